create table setting (
  name text primary key,
  value text not null
);
create table sequence (
  name text primary key,
  next bigint not null
);
create table tenant (
  no {id},
  id text not null unique,
  name text not null,
  experts text not null,
  settings text not null,
  created_at bigint not null
);
create table person (
  id text primary key,
  tenant_no bigint,
  email text not null,
  role text not null,
  created_at bigint not null
);
create table setup_link (
  token_hash text primary key,
  person_id text not null,
  expires_at bigint not null,
  used_at bigint
);
create table app (
  client_id text primary key,
  tenant_no bigint,
  name text not null,
  secret_hash text not null,
  permissions text not null,
  created_at bigint not null
);
create table signing_key (
  id text primary key,
  kind text not null,
  pkcs8 bytea not null,
  created_at bigint not null
);
create table ledger (
  tenant_no {id},
  size bigint not null,
  peaks bytea not null,
  last_update bigint not null
);
create table event (
  tenant_no bigint not null,
  position bigint not null,
  at bigint not null,
  kind text not null,
  actor_kind text not null,
  actor text not null,
  incident_id bigint,
  alert_id bigint,
  body text not null,
  leaf bytea not null,
  primary key (tenant_no, position)
) {clustered};
create index event_of_incident on event (incident_id, position) where incident_id is not null;
create table checkpoint (
  tenant_no bigint not null,
  size bigint not null,
  root bytea not null,
  at bigint not null,
  key_id text not null,
  signature bytea not null,
  primary key (tenant_no, size)
) {clustered};
create table idempotency (
  caller text not null,
  key_hash text not null,
  request_hash text not null,
  status bigint,
  reply text,
  at bigint not null,
  primary key (caller, key_hash)
) {clustered};
create table lease (
  name text primary key,
  holder text not null,
  epoch bigint not null,
  until bigint not null
);
create table alert (
  id {id},
  tenant_no bigint not null,
  incident_id bigint,
  dedupe bytea not null,
  content bytea not null,
  source text not null,
  title text not null,
  severity bigint not null,
  status bigint not null,
  classification bigint not null,
  determination bigint not null,
  assigned_to text,
  category text,
  service_source text not null,
  detection_source text,
  product_name text,
  provider_alert_id text,
  detector_id text,
  created_at bigint not null,
  first_activity_at bigint not null,
  last_activity_at bigint not null,
  source_updated_at bigint,
  updated_at bigint not null,
  resolved_at bigint,
  received_at bigint not null,
  links text
);
create unique index alert_dedupe on alert (dedupe, tenant_no);
create index alert_pending on alert (tenant_no, id) where incident_id is null;
create index alert_of_incident on alert (incident_id, id);
create index alert_updated on alert (tenant_no, updated_at);
create index alert_created on alert (tenant_no, created_at);
create table alert_body (
  alert_id {id},
  body bytea not null,
  raw bytea not null
);
create table alert_version (
  alert_id bigint not null,
  version bigint not null,
  content bytea not null,
  received_at bigint not null,
  body bytea not null,
  raw bytea not null,
  primary key (alert_id, version)
) {clustered};
create table entity (
  tenant_no bigint not null,
  id bigint not null,
  kind bigint not null,
  name text not null,
  primary key (tenant_no, id)
) {clustered};
create index entity_name on entity (tenant_no, name);
create table entity_span (
  tenant_no bigint not null,
  entity_id bigint not null,
  span bigint not null,
  anchors bytea not null,
  common_since bigint,
  primary key (entity_id, tenant_no, span)
) {clustered};
create table run (
  tenant_no bigint not null,
  entity_id bigint not null,
  opened_by bigint not null,
  incident_id bigint not null,
  side bigint not null,
  first_at bigint not null,
  last_at bigint not null,
  alerts bigint not null,
  primary key (entity_id, tenant_no, opened_by)
) {clustered};
create index run_of_incident on run (incident_id, entity_id);
create table incident (
  id {id},
  tenant_no bigint not null,
  status bigint not null,
  stage bigint not null,
  state text not null,
  started_at bigint,
  owner text,
  classification bigint not null,
  determination bigint not null,
  severity bigint not null,
  severity_set_by_hand bigint not null,
  display_name text not null,
  name_set_by_hand bigint not null,
  description text,
  summary text,
  resolving_comment text,
  redirect_id bigint,
  priority_score bigint,
  priority_factors text not null,
  custom_tags text not null,
  system_tags text not null,
  facts text not null,
  alert_count bigint not null,
  run_count bigint not null,
  pinned_at bigint,
  first_activity_at bigint not null,
  last_activity_at bigint not null,
  created_at bigint not null,
  updated_at bigint not null,
  last_modified_by text not null
);
create unique index incident_updated on incident (tenant_no, updated_at);
create index incident_created on incident (tenant_no, created_at);
create index incident_queue on incident (updated_at, tenant_no, status, severity, owner, classification, determination, priority_score, created_at, id);
create index incident_redirect on incident (redirect_id) where redirect_id is not null;
create table incident_tag (
  incident_id bigint not null,
  kind text not null,
  tag text not null,
  primary key (incident_id, kind, tag)
) {clustered};
create index incident_by_tag on incident_tag (tag, incident_id);
create table comment (
  id {id},
  tenant_no bigint not null,
  incident_id bigint,
  alert_id bigint,
  text text not null,
  created_by text not null,
  created_at bigint not null,
  origin_id bigint
);
create index comment_of_incident on comment (incident_id, id) where incident_id is not null;
create index comment_of_alert on comment (alert_id, id) where alert_id is not null;
create table follow_up (
  tenant_no bigint not null,
  kind text not null,
  subject bigint not null,
  primary key (tenant_no, kind, subject)
) {clustered};
