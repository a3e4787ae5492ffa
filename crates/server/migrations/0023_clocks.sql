-- Facts that a service clock goes by and of which no clock knows yet: written with the fact.
create table untimed (
  tenant_no bigint not null,
  position bigint not null,
  primary key (tenant_no, position)
) {clustered};
-- What the service clocks of an incident are worked out from.
create table service_clock (
  incident_id bigint primary key,
  tenant_no bigint not null,
  -- [[microseconds, mark], …] in the order of the ledger.
  marks text not null,
  -- Of which run notice was given: [[clock, run, notice], …].
  said text not null,
  -- When something is to be said, or looked at again; null while nothing runs towards a target.
  next_at bigint,
  -- The running clock that is due first, and when: null where none has a target.
  due_clock text,
  due_at bigint
);
create index service_clock_next on service_clock (next_at) where next_at is not null;
create index service_clock_due on service_clock (tenant_no, due_at) where due_at is not null;
-- Runs that have their time.
create table clock_run (
  incident_id bigint not null,
  clock text not null,
  -- The first of an incident is 1.
  number bigint not null,
  tenant_no bigint not null,
  severity bigint not null,
  began_at bigint not null,
  stopped_at bigint not null,
  -- Microseconds that count.
  took bigint not null,
  -- What was promised when it stopped; null where nothing was.
  target bigint,
  primary key (incident_id, clock, number)
) {clustered};
create index clock_run_newest on clock_run (tenant_no, clock, severity, stopped_at);
-- What a provider has promised this customer, where it is not what it promises to all.
create table service_agreement (
  tenant_no bigint primary key,
  body text not null
);
{postgres}alter table untimed enable row level security, force row level security;
{postgres}create policy wall on untimed using ({wall});
{postgres}alter table service_clock enable row level security, force row level security;
{postgres}create policy wall on service_clock using ({wall});
{postgres}alter table clock_run enable row level security, force row level security;
{postgres}create policy wall on clock_run using ({wall});
{postgres}alter table service_agreement enable row level security, force row level security;
{postgres}create policy wall on service_agreement using ({wall});
