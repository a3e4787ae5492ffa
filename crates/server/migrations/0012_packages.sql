-- What agents sent from a device: investigation packages and files, each a zip in pieces of 1 MiB.
create table package (
  id text primary key,
  tenant_no bigint not null,
  order_id text not null,
  device_no bigint not null,
  size bigint not null,
  sha256 text not null,
  created_at bigint not null,
  -- Null while it is on its way.
  whole_at bigint
);
create index package_of_order on package (order_id);
create table package_part (
  package_id text not null,
  number bigint not null,
  bytes bytea not null,
  primary key (package_id, number)
);
{postgres}alter table package enable row level security, force row level security;
{postgres}create policy wall on package using ({wall});
{postgres}alter table package_part enable row level security, force row level security;
{postgres}create policy wall on package_part using (exists (select 1 from package where package.id = package_part.package_id))
  with check (true);
