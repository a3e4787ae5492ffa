-- Channels of a customer's own team chat, in which its people hear of incidents and answer (COM-5).
create table chat_channel (
  id text primary key,
  tenant_no bigint not null,
  -- slack, teams or mattermost.
  vendor text not null,
  name text not null,
  -- Where it is and as whom we are there, in JSON: nothing of it is secret.
  place text not null,
  -- What the vendor said of it, in JSON: who we are there, where it wants to be called.
  known text not null,
  -- The secrets in JSON, sealed by the vault; empty once it is removed.
  secret bytea not null,
  -- en, es, ja, pt-BR or pt-PT.
  language text not null,
  -- What keeps us from it, in one word, and since when (COM-7); null while nothing is known to.
  trouble text,
  trouble_at bigint,
  -- The last request to us that was not its vendor's, and what was wrong with it.
  refused_at bigint,
  refused text,
  created_by text not null,
  created_at bigint not null,
  removed_at bigint
);
create index chat_channel_live on chat_channel (tenant_no) where removed_at is null;
-- What was posted there: noted before it is sent, so that a crash between loses nothing.
create table chat_post (
  delivery_id text primary key,
  tenant_no bigint not null,
  channel_id text not null,
  incident_id bigint,
  -- 1 for the one post of an incident, 0 for a reply below it or what is about no incident.
  root bigint not null,
  -- What the vendor calls it; null until it is known to be there.
  posted text,
  begun_at bigint not null
);
create unique index chat_post_root on chat_post (channel_id, incident_id) where root = 1;
create index chat_post_posted on chat_post (channel_id, posted) where posted is not null;
-- What was said there, as its vendor told us: on disk before the vendor is answered, and once each.
create table chat_event (
  channel_id text not null,
  -- What the vendor calls the message or the event.
  id text not null,
  tenant_no bigint not null,
  number bigint not null,
  at bigint not null,
  -- The event in JSON; empty once it was looked at.
  body text not null,
  -- When it is looked at (again); null once it was.
  due_at bigint,
  attempts bigint not null,
  -- said, elsewhere, own, refused, nothing or health.
  outcome text,
  primary key (channel_id, id)
) {clustered};
create index chat_event_due on chat_event (due_at) where due_at is not null;
create index chat_event_old on chat_event (at);
{postgres}alter table chat_channel enable row level security, force row level security;
{postgres}create policy wall on chat_channel using ({wall});
{postgres}alter table chat_post enable row level security, force row level security;
{postgres}create policy wall on chat_post using ({wall});
{postgres}alter table chat_event enable row level security, force row level security;
{postgres}create policy wall on chat_event using ({wall});
