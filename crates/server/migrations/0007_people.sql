create table membership (
  person_id text not null,
  tenant_no bigint not null,
  role text not null,
  created_at bigint not null,
  created_by text not null,
  last_used_at bigint,
  disabled_at bigint,
  primary key (person_id, tenant_no)
) {clustered};
create index membership_of_tenant on membership (tenant_no, person_id);
insert into membership (person_id, tenant_no, role, created_at, created_by)
  select same.id, coalesce(person.tenant_no, 0), min(person.role), min(person.created_at), 'riposte'
  from person join (select lower(email) as email, min(id) as id from person group by lower(email)) same on same.email = lower(person.email)
  group by same.id, coalesce(person.tenant_no, 0);
delete from setup_link where person_id not in (select min(id) from person group by lower(email));
delete from person where id not in (select min(id) from person group by lower(email));
alter table person drop column tenant_no;
alter table person drop column role;
alter table person add column name text;
alter table person add column password text;
alter table person add column totp bytea;
alter table person add column totp_at bigint;
alter table person add column totp_step bigint;
alter table person add column signed_in_at bigint;
update person set email = lower(email);
create unique index person_email on person (email);
alter table setup_link add column tenant_no bigint not null default 0;
create table passkey (
  id text primary key,
  person_id text not null,
  name text not null,
  credential text not null,
  created_at bigint not null,
  used_at bigint
);
create index passkey_of_person on passkey (person_id);
create table recovery_code (
  person_id text not null,
  code_hash text not null,
  used_at bigint,
  primary key (person_id, code_hash)
) {clustered};
create table session (
  token_hash text primary key,
  id text not null unique,
  person_id text not null,
  tenant_no bigint not null,
  factor text not null,
  address text not null,
  user_agent text not null,
  created_at bigint not null,
  seen_at bigint not null,
  expires_at bigint not null,
  step_up_at bigint
);
create index session_of_person on session (person_id);
create table ceremony (
  flow_hash text primary key,
  kind text not null,
  person_id text,
  state bytea not null,
  expires_at bigint not null
);
create table sign_in_failure (
  pair_hash text primary key,
  count bigint not null,
  since bigint not null
);
create table identity_provider (
  id text primary key,
  tenant_no bigint not null,
  name text not null,
  issuer text not null,
  client_id text not null,
  client_secret bytea not null,
  groups_claim text not null,
  roles text not null,
  factor text not null,
  created_at bigint not null
);
create index identity_provider_of_tenant on identity_provider (tenant_no);
create table mail_domain (
  domain text primary key,
  provider_id text not null
);
create index mail_domain_of_provider on mail_domain (provider_id);
create table identity (
  provider_id text not null,
  subject text not null,
  person_id text not null,
  created_at bigint not null,
  primary key (provider_id, subject)
) {clustered};
create index identity_of_person on identity (person_id);
create table tenant_key (
  tenant_no {id},
  wrapped bytea not null,
  created_at bigint not null
);
alter table tenant add column grant_approval text not null default 'lead';
alter table tenant add column grant_until bigint;
alter table tenant add column grant_networks text not null default '[]';
alter table tenant add column grant_by text;
alter table tenant add column grant_at bigint;
alter table app add column used_at bigint;
create table access (
  id text primary key,
  tenant_no bigint not null,
  person_id text not null,
  incident_id bigint,
  level text not null,
  hours bigint not null,
  reason text not null,
  requested_at bigint not null,
  decision text,
  decided_at bigint,
  decided_by text,
  decided_because text,
  until bigint,
  ended_at bigint,
  ended_by text,
  ended_because text
);
create index access_of_tenant on access (tenant_no, requested_at);
create index access_of_person on access (person_id, requested_at);
create table saved_filter (
  id text primary key,
  person_id text not null,
  tenant_no bigint not null,
  name text not null,
  query text not null,
  created_at bigint not null
);
create index saved_filter_of_person on saved_filter (person_id, tenant_no);
