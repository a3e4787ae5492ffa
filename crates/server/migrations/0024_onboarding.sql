-- How far a customer has come on its way into the service (ONB-5): invited, setUp, readinessPending,
-- monitoring or active. Who was here before is active.
alter table tenant add column stage text not null default 'active';
-- Since when; 0: from before there were stages.
alter table tenant add column stage_at bigint not null default 0;
-- What is known of the way of a customer that was invited.
create table onboarding (
  tenant_no bigint primary key,
  -- The first administrator, and in which language it is written to.
  person_id text,
  language text not null,
  -- Which of the welcome mails holds, and until when its link does. The link's secret is computed from
  -- this and the tenant's key, and kept nowhere.
  welcome text,
  welcome_until bigint,
  submitted_at bigint,
  submitted_by text,
  -- How long it is watched before everything is allowed, in days.
  monitoring_days bigint not null,
  -- What is to be protected; null: what is known.
  target_devices bigint,
  target_identities bigint,
  -- What the last evaluation of readiness found, in JSON, and when it was.
  assessment text,
  evaluated_at bigint,
  -- When it is to be evaluated next; 0 as soon as may be, since something has changed.
  due_at bigint not null
);
create index onboarding_due on onboarding (due_at);
-- A step of the setup that somebody has confirmed or skipped.
create table onboarding_step (
  tenant_no bigint not null,
  step text not null,
  -- done or skipped.
  state text not null,
  set_by text not null,
  set_at bigint not null,
  primary key (tenant_no, step)
) {clustered};
{postgres}alter table onboarding enable row level security, force row level security;
{postgres}create policy wall on onboarding using ({wall});
{postgres}alter table onboarding_step enable row level security, force row level security;
{postgres}create policy wall on onboarding_step using ({wall});
