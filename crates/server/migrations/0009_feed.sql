-- Who reads the audit log as a feed (AUD-1), and the checkpoints over the trees of all tenants.
create table feed (
  tenant_no bigint not null,
  client text not null,
  content_type text not null,
  created_at bigint not null,
  primary key (tenant_no, client, content_type)
) {clustered};
create index checkpoint_at on checkpoint (tenant_no, at, size);
create table checkpoint_over_all (
  at {id},
  trees bigint not null,
  root bytea not null,
  key_id text not null,
  signature bytea not null
);
{postgres}alter table feed enable row level security, force row level security;
{postgres}create policy wall on feed using ({wall});
