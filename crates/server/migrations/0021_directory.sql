-- What is read of a customer's directory: who is in an excluded group, and who holds a directory role.
create table directory_set (
  tenant_no bigint not null,
  -- The group's id in the directory; directoryRoles: everybody who holds one.
  id text not null,
  -- As it was called when it was last read.
  name text not null,
  -- Through which connector it was read: what another one said says nothing of it.
  connector_id text,
  -- When the last reading that succeeded began.
  read_at bigint,
  members bigint not null,
  tried_at bigint,
  -- Why the last reading did not succeed.
  error text,
  -- When it is to be read next.
  due_at bigint not null,
  primary key (tenant_no, id)
) {clustered};
create index directory_set_due on directory_set (due_at);
-- A name that somebody in it goes by, in lower case.
create table directory_member (
  tenant_no bigint not null,
  set_id text not null,
  name text not null,
  -- The name without its domain.
  bare text not null,
  primary key (tenant_no, set_id, name)
) {clustered};
create index directory_member_bare on directory_member (tenant_no, bare, set_id);
-- Users whom the customer marked as of high value.
create table high_value_user (
  tenant_no bigint not null,
  name text not null,
  bare text not null,
  because text not null,
  marked_by text not null,
  marked_at bigint not null,
  primary key (tenant_no, name)
) {clustered};
create index high_value_user_bare on high_value_user (tenant_no, bare);
{postgres}alter table directory_set enable row level security, force row level security;
{postgres}create policy wall on directory_set using ({wall});
{postgres}alter table directory_member enable row level security, force row level security;
{postgres}create policy wall on directory_member using ({wall});
{postgres}alter table high_value_user enable row level security, force row level security;
{postgres}create policy wall on high_value_user using ({wall});
