-- When a contact can be reached: a week and its time zone, in JSON; null for always (NOT-1).
alter table contact add column hours text;
-- The run of the Acknowledge clock that counts now, and since when; null while nobody is waited for.
alter table service_clock add column awaits_run bigint;
alter table service_clock add column awaits_since bigint;
create index service_clock_awaits on service_clock (tenant_no, incident_id) where awaits_run is not null;
-- Whom a customer wants to be reached one after the other (NOT-8), in JSON.
create table ladder (
  tenant_no bigint primary key,
  body text not null
);
-- A ladder that is climbed for an incident that nobody has reacted to.
create table climb (
  incident_id bigint not null,
  -- The run of the Acknowledge clock; 0 for a test.
  run bigint not null,
  tenant_no bigint not null,
  -- climbing, acknowledged, nobody or ended.
  state text not null,
  -- The rung that is tried next, the first is 0, and how often the ladder was climbed before.
  rung bigint not null,
  round bigint not null,
  -- When; kept as it was once it is not climbed any more.
  next_at bigint not null,
  began_at bigint not null,
  ended_at bigint,
  primary key (incident_id, run)
) {clustered};
create index climb_due on climb (next_at) where state = 'climbing';
-- What was tried of it: the call log.
create table climb_step (
  incident_id bigint not null,
  run bigint not null,
  number bigint not null,
  tenant_no bigint not null,
  at bigint not null,
  contact_id text not null,
  name text not null,
  -- mail, sms or call.
  way text not null,
  -- told or passedOver.
  outcome text not null,
  -- Why it was passed over.
  because text,
  -- By which it was told, once that is made.
  delivery_id text,
  primary key (incident_id, run, number)
) {clustered};
create index climb_step_delivery on climb_step (delivery_id) where delivery_id is not null;
{postgres}alter table ladder enable row level security, force row level security;
{postgres}create policy wall on ladder using ({wall});
{postgres}alter table climb enable row level security, force row level security;
{postgres}create policy wall on climb using ({wall});
{postgres}alter table climb_step enable row level security, force row level security;
{postgres}create policy wall on climb_step using ({wall});
-- How a call or a text message ended, as the carrier tells it.
alter table delivery add column call_outcome text;
