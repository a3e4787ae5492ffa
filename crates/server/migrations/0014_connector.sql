-- Products of a customer's that carry actions out over HTTP.
create table connector (
  id text primary key,
  tenant_no bigint not null,
  -- microsoftGraph.
  kind text not null,
  name text not null,
  base_url text not null,
  token_url text not null,
  client_id text not null,
  -- Sealed by the vault; empty once the connector is removed.
  secret bytea not null,
  created_by text not null,
  created_at bigint not null,
  -- Grows when the client or its secret is another: tokens from before are used no more.
  version bigint not null,
  last_ok_at bigint,
  last_error text,
  -- Actions name it for ever: it is kept when it is removed.
  disabled_at bigint
);
-- One product of a kind: whose user it is, is never a guess.
create unique index connector_of_kind on connector (tenant_no, kind) where disabled_at is null;
-- Which connector carries an action out; null where an agent does.
alter table action add column connector_id text;
-- When a product is to be asked again: for the action, or for what became of it.
alter table action add column next_at bigint;
create index action_remote on action (tenant_no, id)
  where connector_id is not null and state in ('approved', 'started', 'unknown');
{postgres}alter table connector enable row level security, force row level security;
{postgres}create policy wall on connector using ({wall});
