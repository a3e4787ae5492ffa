-- What else queues are filtered by (UI-1): platforms and groups of devices, sensitivity labels, threats.
create table incident_facet (
  incident_id bigint not null,
  kind text not null,
  value text not null,
  primary key (incident_id, kind, value)
) {clustered};
create index incident_by_facet on incident_facet (kind, value, incident_id);
{postgres}alter table incident_facet enable row level security, force row level security;
{postgres}create policy wall on incident_facet using (exists (select 1 from incident where incident.id = incident_facet.incident_id))
  with check (true);
