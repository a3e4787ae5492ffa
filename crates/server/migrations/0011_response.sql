-- Managed response (MR): devices and their agents, tasks, actions and each attempt at one.
create table device (
  no {id},
  tenant_no bigint not null,
  id text not null unique,
  name text not null,
  -- In lower case: names are compared without regard to case.
  name_key text not null,
  machine text not null,
  os text not null,
  kernel text not null,
  architecture text not null,
  addresses text not null,
  device_groups text not null,
  high_value_at bigint,
  created_at bigint not null,
  -- The agent that speaks for it now.
  agent_id text,
  agent_version text,
  can text not null,
  lacks text not null,
  -- What the agent read last, and which run of it.
  states text not null,
  own text not null,
  run text,
  seen_at bigint,
  inventory bytea,
  inventory_at bigint
);
create unique index device_of_machine on device (tenant_no, name_key, machine);
create index device_seen on device (tenant_no, seen_at);
create table agent (
  id text primary key,
  tenant_no bigint not null,
  device_no bigint not null,
  serial text not null,
  release_secret bytea not null,
  enrolled_at bigint not null,
  revoked_at bigint
);
create index agent_of_device on agent (device_no);
create table agent_token (
  id text primary key,
  token_hash text not null unique,
  tenant_no bigint not null,
  created_by text not null,
  created_at bigint not null,
  expires_at bigint not null,
  uses bigint not null,
  revoked_at bigint
);
create table device_event (
  device_no bigint not null,
  tenant_no bigint not null,
  position bigint not null,
  at bigint not null,
  kind text not null,
  text text not null,
  detail text not null,
  primary key (device_no, position)
) {clustered};
create index device_event_at on device_event (device_no, at);
create table exclusion (
  id text primary key,
  tenant_no bigint not null,
  -- device, user, deviceGroup, userGroup; highValueDevices and highValueUsers are the switches.
  kind text not null,
  name text not null,
  name_key text not null,
  because text,
  created_by text not null,
  created_at bigint not null
);
create unique index exclusion_named on exclusion (tenant_no, kind, name_key);
create table response (
  incident_id bigint not null,
  tenant_no bigint not null,
  revision bigint not null,
  -- Null while the experts still write it.
  published_at bigint,
  published_by text,
  -- The publishing expert as the incident's model needs it, in JSON.
  publisher text,
  summary text,
  classification bigint not null,
  determination bigint not null,
  rejected_at bigint,
  rejected_by text,
  rejected_because text,
  primary key (incident_id, revision)
) {clustered};
create table task (
  id {id},
  tenant_no bigint not null,
  incident_id bigint not null,
  revision bigint not null,
  kind text not null,
  target_kind text,
  target_key text,
  target_name text,
  device_id text,
  options text not null,
  display_name text not null,
  description text not null,
  -- guided, managed, or null for a draft.
  source text,
  guided_because text,
  state text not null,
  -- How often it was run.
  run bigint not null,
  closed_at bigint,
  closed_by text,
  closed_because text,
  verified_at bigint,
  undo_of bigint,
  published_at bigint,
  created_by text not null,
  created_at bigint not null,
  updated_by text not null,
  updated_at bigint not null
);
create index task_of_incident on task (incident_id, id);
create index task_created on task (tenant_no, created_at, id);
create unique index task_updated on task (tenant_no, updated_at);
create index task_open on task (incident_id, state);
create index task_undone on task (undo_of) where undo_of is not null;
create table action (
  id {id},
  tenant_no bigint not null,
  incident_id bigint,
  kind text not null,
  -- Actions of one family on one target are carried out one after the other.
  family text not null,
  target_kind text not null,
  target_key text not null,
  target_name text not null,
  device_no bigint,
  options text not null,
  -- For what is in force or not: which wish of the target it is. A later one overtakes it.
  generation bigint not null,
  state text not null,
  reason text,
  source text not null,
  comment text,
  requested_by text not null,
  requested_kind text not null,
  -- The person whose access is asked for again at the moment of sending.
  requested_person text,
  requested_at bigint not null,
  approved_by text,
  approved_at bigint,
  deadline_at bigint not null,
  -- Fences what a replica that lost its turn would write.
  epoch bigint not null,
  attempts bigint not null,
  started_at bigint,
  ended_at bigint,
  progress text,
  found text,
  read_back text,
  undo_of bigint,
  -- When what was set for a time is to be taken back.
  ends_at bigint,
  updated_at bigint not null
);
create index action_ends on action (ends_at) where ends_at is not null;
create index action_open on action (tenant_no, target_key, family)
  where state in ('proposed', 'approved', 'started', 'unknown', 'needsHuman');
create index action_of_device on action (device_no, id)
  where state in ('approved', 'started', 'unknown');
create index action_due on action (deadline_at)
  where state in ('proposed', 'approved', 'started', 'unknown');
create index action_listed on action (tenant_no, requested_at, id);
create index action_of_target on action (tenant_no, target_key, requested_at);
-- At most one is under way for a target and family: what the engine promises, the store enforces.
create unique index action_under_way on action (tenant_no, target_key, family)
  where state in ('started', 'unknown');
create table task_action (
  task_id bigint not null,
  run bigint not null,
  action_id bigint not null,
  primary key (task_id, run, action_id)
) {clustered};
create index task_of_action on task_action (action_id);
create table attempt (
  action_id bigint not null,
  number bigint not null,
  -- The order's id, which the agent's journal knows it by.
  order_id text not null unique,
  agent_id text,
  run text,
  sent text not null,
  started_at bigint not null,
  expires_at bigint not null,
  answered_at bigint,
  answer text,
  read_back text,
  outcome text,
  primary key (action_id, number)
) {clustered};
create table desired (
  tenant_no bigint not null,
  target_key text not null,
  family text not null,
  generation bigint not null,
  primary key (tenant_no, target_key, family)
) {clustered};
{postgres}alter table device enable row level security, force row level security;
{postgres}create policy wall on device using ({wall});
{postgres}alter table agent enable row level security, force row level security;
{postgres}create policy wall on agent using ({wall});
{postgres}alter table device_event enable row level security, force row level security;
{postgres}create policy wall on device_event using ({wall});
{postgres}alter table exclusion enable row level security, force row level security;
{postgres}create policy wall on exclusion using ({wall});
{postgres}alter table response enable row level security, force row level security;
{postgres}create policy wall on response using ({wall});
{postgres}alter table task enable row level security, force row level security;
{postgres}create policy wall on task using ({wall});
{postgres}alter table action enable row level security, force row level security;
{postgres}create policy wall on action using ({wall});
{postgres}alter table desired enable row level security, force row level security;
{postgres}create policy wall on desired using ({wall});
{postgres}alter table task_action enable row level security, force row level security;
{postgres}create policy wall on task_action using (exists (select 1 from task where task.id = task_action.task_id))
  with check (true);
{postgres}alter table attempt enable row level security, force row level security;
{postgres}create policy wall on attempt using (exists (select 1 from action where action.id = attempt.action_id))
  with check (true);
