import { makeStyles } from '@fluentui/react-components';
import { useNavigate } from 'react-router';

import type { Entity, Incident } from '../api/hand';
import { userPath } from '../api/user-path';
import { Moment } from '../ui/Moment';
import { Section } from '../ui/Section';
import { Table, type Column } from '../ui/Table';
import { Empty } from '../ui/states';
import { assetsOf } from './assets';
import { spelled } from '../api/words';

const useStyles = makeStyles({ all: { display: 'flex', flexDirection: 'column', gap: '16px' } });

const COLUMNS: Column<Entity>[] = [
  { id: 'name', label: 'Name', lead: true, cell: (entity) => entity.name },
  { id: 'kind', label: 'Kind', nowrap: true, cell: (entity) => spelled(entity.kind) },
  { id: 'alerts', label: 'Alerts', nowrap: true, end: true, cell: (entity) => entity.alertCount.toLocaleString() },
  { id: 'first', label: 'First seen', nowrap: true, cell: (entity) => <Moment at={entity.firstActivityDateTime} /> },
  { id: 'last', label: 'Last seen', nowrap: true, cell: (entity) => <Moment at={entity.lastActivityDateTime} /> },
];

export default function Assets({ incident }: { incident: Incident }) {
  const styles = useStyles();
  const navigate = useNavigate();
  const groups = assetsOf(incident);
  if (groups.length === 0) return <Empty title="No assets">The alerts of this incident name none.</Empty>;
  return (
    <div className={styles.all}>
      {groups.map((group) => (
        <Section key={group.title} title={`${group.title} (${group.rows.length})`} plain>
          <Table
            label={group.title}
            columns={COLUMNS}
            rows={group.rows}
            {...(group.title === 'Users' && {
              href: (row: Entity) => userPath(incident.tenantId, row.name),
              onOpen: (row: Entity) => navigate(userPath(incident.tenantId, row.name)),
            })}
            id={(row) => `${row.kind} ${row.name} ${row.firstActivityDateTime} ${group.rows.indexOf(row)}`}
            name={(row) => row.name}
          />
        </Section>
      ))}
    </div>
  );
}
