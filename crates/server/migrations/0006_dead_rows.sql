{postgres}drop index incident_queue_created;
{postgres}create index incident_queue_created on incident (created_at, id, tenant_no, status, severity, owner, classification, determination) include (updated_at);
{postgres}alter table incident set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
