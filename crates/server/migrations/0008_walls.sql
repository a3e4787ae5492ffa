-- The second wall between tenants: whatever a statement says, it sees and writes rows of the tenants
-- that its transaction named, and no other. SQLite has nothing of the kind; there the only wall is
-- that no statement can be written without saying whose rows are meant.
{postgres}alter table access enable row level security, force row level security;
{postgres}create policy wall on access using ({wall});
{postgres}alter table alert enable row level security, force row level security;
{postgres}create policy wall on alert using ({wall});
{postgres}alter table checkpoint enable row level security, force row level security;
{postgres}create policy wall on checkpoint using ({wall});
{postgres}alter table comment enable row level security, force row level security;
{postgres}create policy wall on comment using ({wall});
{postgres}alter table entity_span enable row level security, force row level security;
{postgres}create policy wall on entity_span using ({wall});
{postgres}alter table event enable row level security, force row level security;
{postgres}create policy wall on event using ({wall});
{postgres}alter table follow_up enable row level security, force row level security;
{postgres}create policy wall on follow_up using ({wall});
{postgres}alter table identity_provider enable row level security, force row level security;
{postgres}create policy wall on identity_provider using ({wall});
{postgres}alter table incident enable row level security, force row level security;
{postgres}create policy wall on incident using ({wall});
{postgres}alter table ledger enable row level security, force row level security;
{postgres}create policy wall on ledger using ({wall});
{postgres}alter table run enable row level security, force row level security;
{postgres}create policy wall on run using ({wall});
{postgres}alter table saved_filter enable row level security, force row level security;
{postgres}create policy wall on saved_filter using ({wall});
{postgres}alter table tenant_key enable row level security, force row level security;
{postgres}create policy wall on tenant_key using ({wall});
-- What hangs on a row goes where that row goes. A new one is not looked at: what it hangs on is
-- written in the same transaction, and nobody else could read it.
{postgres}alter table alert_body enable row level security, force row level security;
{postgres}create policy wall on alert_body using (exists (select 1 from alert where alert.id = alert_body.alert_id))
  with check (true);
{postgres}alter table alert_version enable row level security, force row level security;
{postgres}create policy wall on alert_version using (exists (select 1 from alert where alert.id = alert_version.alert_id))
  with check (true);
{postgres}alter table incident_tag enable row level security, force row level security;
{postgres}create policy wall on incident_tag using (exists (select 1 from incident where incident.id = incident_tag.incident_id))
  with check (true);
