create index incident_queue_created on incident (created_at, id, tenant_no, status, severity, owner, classification, determination, updated_at);
