create table run_by_incident (
  incident_id bigint not null,
  entity_id bigint not null,
  opened_by bigint not null,
  tenant_no bigint not null,
  kind bigint not null,
  name text not null,
  side bigint not null,
  first_at bigint not null,
  last_at bigint not null,
  alerts bigint not null,
  span bigint not null,
  anchor bigint,
  primary key (incident_id, entity_id, opened_by)
) {clustered};
insert into run_by_incident (incident_id, entity_id, opened_by, tenant_no, kind, name, side, first_at, last_at, alerts, span)
  select run.incident_id, run.entity_id, run.opened_by, run.tenant_no, entity.kind, entity.name, run.side, run.first_at, run.last_at, run.alerts, 0
  from run join entity on entity.tenant_no = run.tenant_no and entity.id = run.entity_id;
drop table run;
drop table entity;
alter table run_by_incident rename to run;
create unique index run_of_entity on run (entity_id, tenant_no, opened_by);
drop index alert_of_incident;
create index alert_of_incident on alert (incident_id, id) where incident_id is not null;
