-- Who of a customer hears of what concerns it (NOT-1, NOT-2).
create table contact (
  id text primary key,
  tenant_no bigint not null,
  name text not null,
  -- person or group.
  kind text not null,
  email text not null,
  -- As E.164 writes it.
  phone text,
  -- incidentNotification or serviceReview.
  role text not null,
  -- primary or backup.
  priority text not null,
  -- en, es, ja, pt-BR or pt-PT.
  language text not null,
  created_by text not null,
  created_at bigint not null,
  -- Deliveries name it for ever.
  removed_at bigint
);
create unique index contact_once on contact (tenant_no, role, email) where removed_at is null;
-- Where a customer's own programs hear of it (NOT-11).
create table webhook (
  id text primary key,
  tenant_no bigint not null,
  name text not null,
  url text not null,
  -- Sealed by the vault; empty once it is removed.
  secret bytea not null,
  -- The secret before that one, which signs as well until then.
  former bytea,
  former_until bigint,
  -- When the receiver said that it is gone for good, or somebody paused it.
  paused_at bigint,
  created_by text not null,
  created_at bigint not null,
  removed_at bigint
);
create index webhook_live on webhook (tenant_no) where removed_at is null;
-- How a customer wants to be told.
create table notification_setting (
  tenant_no bigint primary key,
  -- Hours between two reminders of what awaits the customer; 0 for none.
  reminder_hours bigint not null
);
-- Facts of which nobody was told yet: written with the fact, taken away with the notification.
create table untold (
  tenant_no bigint not null,
  position bigint not null,
  primary key (tenant_no, position)
) {clustered};
-- What there is to tell: one for a fact.
create table notification (
  id text primary key,
  tenant_no bigint not null,
  -- responsePublished, messageFromExperts, reminder …
  kind text not null,
  incident_id bigint,
  -- What the words are made of, in JSON.
  data text not null,
  made_at bigint not null
);
create index notification_of_incident on notification (incident_id, made_at) where incident_id is not null;
-- What awaits its customer, to be reminded of.
create index incident_awaiting on incident (tenant_no, id) where status = 5;
-- The way to one receiver: what is due, who is at it, how it goes (COM-7).
create table lane (
  id bigint primary key,
  tenant_no bigint not null,
  -- mail or webhook.
  channel text not null,
  -- The address; of a webhook its id.
  receiver text not null,
  -- When the next delivery is due; null while nothing waits.
  next_at bigint,
  -- After several failures in a row nothing is sent until then.
  paused_until bigint not null,
  failures bigint not null,
  -- Which process is at it, and until when.
  holder text,
  epoch bigint not null,
  held_until bigint not null,
  last_ok_at bigint,
  last_error text,
  last_error_at bigint
);
create unique index lane_to on lane (tenant_no, channel, receiver);
create index lane_due on lane (next_at) where next_at is not null;
-- One notification for one receiver.
create table delivery (
  -- The id that the receiver sees, the same however often it is sent.
  id text primary key,
  -- The order of a lane.
  number bigint not null,
  tenant_no bigint not null,
  lane_id bigint not null,
  notification_id text not null,
  incident_id bigint,
  -- Whom it is for, as people call it.
  name text not null,
  contact_id text,
  language text not null,
  -- waiting, delivered, dead or cancelled.
  state text not null,
  attempts bigint not null,
  -- When it is due; kept as it was once it does not wait any more.
  next_at bigint not null,
  -- From when on it is given up.
  until bigint not null,
  made_at bigint not null,
  ended_at bigint,
  error text
);
create index delivery_due on delivery (lane_id, next_at) where state = 'waiting';
create index delivery_of_notification on delivery (notification_id);
create index delivery_newest on delivery (tenant_no, number);
create index delivery_dead on delivery (incident_id) where state = 'dead';
-- Each time it was sent.
create table delivery_attempt (
  delivery_id text not null,
  number bigint not null,
  tenant_no bigint not null,
  begun_at bigint not null,
  ended_at bigint not null,
  -- delivered, later or refused.
  outcome text not null,
  -- What the receiver's server said, in our words.
  detail text not null,
  primary key (delivery_id, number)
) {clustered};
{postgres}alter table contact enable row level security, force row level security;
{postgres}create policy wall on contact using ({wall});
{postgres}alter table webhook enable row level security, force row level security;
{postgres}create policy wall on webhook using ({wall});
{postgres}alter table notification_setting enable row level security, force row level security;
{postgres}create policy wall on notification_setting using ({wall});
{postgres}alter table untold enable row level security, force row level security;
{postgres}create policy wall on untold using ({wall});
{postgres}alter table notification enable row level security, force row level security;
{postgres}create policy wall on notification using ({wall});
{postgres}alter table lane enable row level security, force row level security;
{postgres}create policy wall on lane using ({wall});
{postgres}alter table delivery enable row level security, force row level security;
{postgres}create policy wall on delivery using ({wall});
{postgres}alter table delivery_attempt enable row level security, force row level security;
{postgres}create policy wall on delivery_attempt using ({wall});
