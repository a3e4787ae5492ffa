-- Who reads the audit log as a feed (AUD-1), and the checkpoints over the trees of all tenants.
create table feed (
  tenant_no bigint not null,
  client text not null,
  content_type text not null,
  created_at bigint not null,
  primary key (tenant_no, client, content_type)
) {clustered};
create index checkpoint_at on checkpoint (tenant_no, at, size);
-- Clocks of several servers differ; what a checkpoint over all was signed over follows from this order.
alter table checkpoint add column serial bigint not null default 0;
create table checkpoint_over_all (
  serial {id},
  at bigint not null,
  trees bigint not null,
  root bytea not null,
  key_id text not null,
  signature bytea not null
);
{postgres}alter table feed enable row level security, force row level security;
{postgres}create policy wall on feed using ({wall});
