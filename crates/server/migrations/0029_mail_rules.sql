-- A customer's own rules by which mails go out about incidents (NOT-9) and actions (NOT-10).
create table mail_rule (
  id text primary key,
  tenant_no bigint not null,
  -- incidents or actions.
  about text not null,
  name text not null,
  -- What it is about and who is told, in JSON.
  body text not null,
  -- Since when it is off; null while it is on.
  off_at bigint,
  created_by text not null,
  created_at bigint not null,
  removed_at bigint
);
create index mail_rule_live on mail_rule (tenant_no, about) where removed_at is null and off_at is null;
-- What a rule has told of an incident, and how the incident was then.
create table mail_rule_told (
  rule_id text not null,
  incident_id bigint not null,
  tenant_no bigint not null,
  told_at bigint not null,
  alerts bigint not null,
  severity bigint not null,
  status bigint not null,
  -- When an update that came too soon is looked at; null while none waits.
  due_at bigint,
  primary key (rule_id, incident_id)
) {clustered};
create index mail_rule_told_due on mail_rule_told (due_at) where due_at is not null;
-- Incidents that have changed and that no rule has looked at yet: written with the fact, where a rule is on.
create table unruled (
  tenant_no bigint not null,
  incident_id bigint not null,
  primary key (tenant_no, incident_id)
) {clustered};
{postgres}alter table mail_rule enable row level security, force row level security;
{postgres}create policy wall on mail_rule using ({wall});
{postgres}alter table mail_rule_told enable row level security, force row level security;
{postgres}create policy wall on mail_rule_told using ({wall});
{postgres}alter table unruled enable row level security, force row level security;
{postgres}create policy wall on unruled using ({wall});
