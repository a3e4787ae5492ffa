-- Conversations of experts and customer (COM, ASK): one for each incident with a published response,
-- and the customer's questions.
create table thread (
  -- incident-7 or question-3: what people cite.
  id text primary key,
  tenant_no bigint not null,
  incident_id bigint,
  -- A question's own; an incident's chat goes by the incident's name.
  subject text,
  -- What a question is about: kind, id and name, in JSON.
  about text,
  opened_by text not null,
  opened_at bigint not null,
  last_number bigint not null,
  -- The last message that both sides see, and when it was sent.
  last_shared bigint not null,
  last_at bigint not null,
  -- nobody, experts or customer.
  waits_for text not null,
  -- Since when the customer waits for an expert.
  waits_since bigint,
  -- When the customer was last told that it has not been forgotten, in this wait.
  told_at bigint,
  closed_at bigint
);
create index thread_newest on thread (tenant_no, last_at, id);
create index thread_waiting on thread (waits_since) where waits_since is not null and told_at is null;
create table message (
  thread_id text not null,
  number bigint not null,
  tenant_no bigint not null,
  id text not null,
  -- expert, customer or assistant.
  side text not null,
  author text not null,
  -- The person's or application's id; null for the assistant.
  author_id text,
  -- 0 where only the experts see it.
  shared bigint not null,
  text text not null,
  sent_at bigint not null,
  primary key (thread_id, number)
) {clustered};
create unique index message_named on message (id);
-- How far a reader has read, and what it thinks of the help.
create table thread_reader (
  thread_id text not null,
  reader text not null,
  tenant_no bigint not null,
  read_to bigint not null,
  -- 1 helpful, 0 not; null where nothing was said.
  helpful bigint,
  remark text,
  primary key (thread_id, reader)
) {clustered};
insert into thread (id, tenant_no, incident_id, opened_by, opened_at, last_number, last_shared, last_at, waits_for)
  select 'incident-' || cast(incident_id as text), tenant_no, incident_id, published_by, published_at,
    0, 0, published_at, 'nobody'
  from response where published_at is not null and revision = (
    select min(other.revision) from response other
    where other.incident_id = response.incident_id and other.published_at is not null);
{postgres}alter table thread enable row level security, force row level security;
{postgres}create policy wall on thread using ({wall});
{postgres}alter table message enable row level security, force row level security;
{postgres}create policy wall on message using ({wall});
{postgres}alter table thread_reader enable row level security, force row level security;
{postgres}create policy wall on thread_reader using ({wall});
