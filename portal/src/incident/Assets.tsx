import { makeStyles } from '@fluentui/react-components';

import type { Entity, Incident } from '../api/hand';
import { Moment } from '../ui/Moment';
import { Section } from '../ui/Section';
import { Table, type Column } from '../ui/Table';
import { Empty } from '../ui/states';
import { spelled } from './words';

const useStyles = makeStyles({ all: { display: 'flex', flexDirection: 'column', gap: '16px' } });

/** The groups of INC-22; what belongs to none of them stands under Other entities. */
const GROUPS: { title: string; kinds: string[] }[] = [
  { title: 'Devices', kinds: ['device', 'device name'] },
  { title: 'Users', kinds: ['account', 'account name', 'user'] },
  { title: 'Mailboxes and messages', kinds: ['mailbox', 'message'] },
  { title: 'Apps', kinds: ['application', 'sign-in session'] },
  { title: 'Cloud resources', kinds: ['cloud resource', 'container', 'repository'] },
];
/** Kinds that join alerts but are nothing one can own. */
const RULES = /^same detection/;

const COLUMNS: Column<Entity>[] = [
  { id: 'name', label: 'Name', lead: true, cell: (entity) => entity.name },
  { id: 'kind', label: 'Kind', nowrap: true, cell: (entity) => spelled(entity.kind) },
  { id: 'alerts', label: 'Alerts', nowrap: true, end: true, cell: (entity) => entity.alertCount.toLocaleString() },
  { id: 'first', label: 'First seen', nowrap: true, cell: (entity) => <Moment at={entity.firstActivityDateTime} /> },
  { id: 'last', label: 'Last seen', nowrap: true, cell: (entity) => <Moment at={entity.lastActivityDateTime} /> },
];

/** One line for each name: the same device may be known under its id and its name, a file by several hashes. */
function merged(entities: Entity[], of = (entity: Entity) => entity.name): Entity[] {
  const byName = new Map<string, Entity>();
  for (const entity of entities) {
    const key = of(entity).toLowerCase();
    const known = byName.get(key);
    if (!known) byName.set(key, { ...entity });
    else {
      known.alertCount = Math.max(known.alertCount, entity.alertCount);
      if (entity.firstActivityDateTime < known.firstActivityDateTime) known.firstActivityDateTime = entity.firstActivityDateTime;
      if (entity.lastActivityDateTime > known.lastActivityDateTime) known.lastActivityDateTime = entity.lastActivityDateTime;
    }
  }
  return [...byName.values()];
}

export default function Assets({ incident }: { incident: Incident }) {
  const styles = useStyles();
  const entities = (incident.entities ?? []).filter((entity) => !RULES.test(entity.kind));
  if (entities.length === 0) return <Empty title="No assets">The alerts of this incident name none.</Empty>;
  const rest = entities.filter((entity) => !GROUPS.some((group) => group.kinds.includes(entity.kind)));
  const groups = [
    ...GROUPS.map((group) => ({
      title: group.title,
      rows: merged(entities.filter((entity) => group.kinds.includes(entity.kind))),
    })),
    { title: 'Other entities', rows: merged(rest, (entity) => `${entity.kind} ${entity.name}`) },
  ].filter((group) => group.rows.length > 0);
  return (
    <div className={styles.all}>
      {groups.map((group) => (
        <Section key={group.title} title={`${group.title} (${group.rows.length})`} plain>
          <Table
            label={group.title}
            columns={COLUMNS}
            rows={group.rows}
            id={(row) => `${row.kind} ${row.name} ${row.firstActivityDateTime} ${group.rows.indexOf(row)}`}
            name={(row) => row.name}
          />
        </Section>
      ))}
    </div>
  );
}
