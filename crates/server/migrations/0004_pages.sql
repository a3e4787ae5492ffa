create index alert_of_tenant on alert (tenant_no, id);
drop index alert_pending;
create index alert_pending on alert (tenant_no, id) where incident_id is null;
drop index alert_of_incident;
create index alert_of_incident on alert (incident_id, id) where incident_id is not null;
drop index incident_created;
create index incident_created on incident (tenant_no, created_at, id);
