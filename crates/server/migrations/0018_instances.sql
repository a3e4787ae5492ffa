-- The quarantine that another one was applied from (MR-20).
alter table action add column instance_of bigint;
create index action_instances on action (instance_of) where instance_of is not null;
