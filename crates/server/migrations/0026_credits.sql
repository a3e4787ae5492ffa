-- Who is told by mail when the experts answer a question (ASK-3): addresses, in JSON.
alter table thread add column notify text;
-- Customers whose questions cost credits (ASK-2); without a row they are unlimited.
create table credit_rule (
  tenant_no bigint primary key,
  since_at bigint not null,
  -- When the subscription ends and with it every credit; null while it goes on.
  until_at bigint
);
-- A credit that a question has cost.
create table credit (
  thread_id text primary key,
  tenant_no bigint not null,
  at bigint not null,
  spent_by text not null
);
create index credit_newest on credit (tenant_no, at);
{postgres}alter table credit_rule enable row level security, force row level security;
{postgres}create policy wall on credit_rule using ({wall});
{postgres}alter table credit enable row level security, force row level security;
{postgres}create policy wall on credit using ({wall});
