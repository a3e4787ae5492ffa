-- The customer's authority policy, what waits for people because of it, and who has approved.
create table authority_policy (
  tenant_no bigint not null,
  version bigint not null,
  -- In Cedar: what is evaluated.
  text text not null,
  saved_by text not null,
  saved_at bigint not null,
  note text,
  primary key (tenant_no, version)
) {clustered};
-- An action that waits or has waited: since when, and for whom, in JSON.
create table proposal (
  action_id bigint primary key,
  tenant_no bigint not null,
  since_at bigint not null,
  needs text not null
) {clustered};
create table approval (
  action_id bigint not null,
  tenant_no bigint not null,
  person_id text not null,
  name text not null,
  -- customer or experts.
  side text not null,
  -- Of the action as it was shown: it counts for no other.
  fingerprint text not null,
  at bigint not null,
  primary key (action_id, person_id)
) {clustered};
{postgres}alter table authority_policy enable row level security, force row level security;
{postgres}create policy wall on authority_policy using ({wall});
{postgres}alter table proposal enable row level security, force row level security;
{postgres}create policy wall on proposal using ({wall});
{postgres}alter table approval enable row level security, force row level security;
{postgres}create policy wall on approval using ({wall});
