-- Users as alerts, devices and actions name them: by which entities each goes (0: nothing but the name).
create table account (
  tenant_no bigint not null,
  -- In lower case, as alerts are shown it.
  name text not null,
  entity_id bigint not null,
  primary key (tenant_no, name, entity_id)
) {clustered};
create index account_named on account (name, tenant_no);
insert into account (tenant_no, name, entity_id)
  select distinct tenant_no, name, entity_id from run where kind in (3, 4, 103, 104) and name <> '';
-- Accounts that devices have, or that signed in there.
create table device_account (
  tenant_no bigint not null,
  name text not null,
  device_no bigint not null,
  -- As the device spells it.
  login text not null,
  -- Null once the device has no such account of its own.
  uid bigint,
  can_sign_in bigint not null,
  administrator bigint not null,
  signed_in_at bigint,
  signed_in_from text,
  primary key (tenant_no, name, device_no)
) {clustered};
create index device_account_on on device_account (device_no);
-- Who signed in or out, of observations that say so.
alter table device_event add column account text;
create index device_event_of_account on device_event (tenant_no, account, at) where account is not null;
create index action_of_users on action (tenant_no, requested_at, id) where target_kind = 'user';
{postgres}alter table account enable row level security, force row level security;
{postgres}create policy wall on account using ({wall});
{postgres}alter table device_account enable row level security, force row level security;
{postgres}create policy wall on device_account using ({wall});
