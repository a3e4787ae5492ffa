-- What a message says in another language (COM-3), by a service of the operator's. No message changes, so
-- this does not either.
create table message_translation (
  message_id text not null,
  language text not null,
  tenant_no bigint not null,
  text text not null,
  made_at bigint not null,
  primary key (message_id, language)
) {clustered};
{postgres}alter table message_translation enable row level security, force row level security;
{postgres}create policy wall on message_translation using ({wall});
