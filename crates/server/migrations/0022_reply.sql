-- Mails that came back, so that each counts once.
create table reply (
  tenant_no bigint not null,
  -- What makes it the same mail: its own id, or what it says.
  id text not null,
  delivery_id text not null,
  at bigint not null,
  -- said, refused, automatic, bounce or nothing.
  outcome text not null,
  primary key (tenant_no, id)
) {clustered};
-- By which way a word came in: mail; null in the portal and through the API.
alter table message add column via text;
{postgres}alter table reply enable row level security, force row level security;
{postgres}create policy wall on reply using ({wall});
