import { makeStyles, tokens } from '@fluentui/react-components';

import type { IncidentRow, Side } from '../api/hand';
import { useWords } from '../api/use-words';
import { labelOf, spelled } from '../api/words';
import { Moment } from '../ui/Moment';
import type { Column } from '../ui/Table';
import { remembered } from '../ui/remember';
import { NextDue, Priority, Severity, Status, Tags } from './badges';

export type QueueColumn = Column<IncidentRow> & {
  /** The member it is sorted by. */
  field?: string;
  /** Of use only where several customers are seen. */
  side?: Side;
};

const useStyles = makeStyles({
  muted: { color: tokens.colorNeutralForeground2 },
  cut: {
    display: 'inline-block',
    maxWidth: '150px',
    overflow: 'hidden',
    textOverflow: 'ellipsis',
    whiteSpace: 'nowrap',
    verticalAlign: 'bottom',
  },
});

function Owner({ name }: { name: string | null }) {
  const styles = useStyles();
  return name ? <span className={styles.cut} title={name}>{name}</span> : <span className={styles.muted}>Unassigned</span>;
}

function List({ of }: { of: string[] }) {
  const styles = useStyles();
  const text = of.map(spelled).join(', ');
  return (
    <span className={styles.cut} title={text}>
      {text || '–'}
    </span>
  );
}

function Names({ of }: { of: string[] }) {
  const styles = useStyles();
  const text = of.join(', ');
  return (
    <span className={styles.cut} title={text}>
      {text || '–'}
    </span>
  );
}

function Classified({ row, what }: { row: IncidentRow; what: 'classification' | 'determination' }) {
  const { classification } = useWords();
  const words =
    what === 'classification'
      ? classification
      : (classification.find((one) => one.value === row.classification)?.determinations ?? []);
  return <>{row[what] === 'unknown' ? 'Not set' : labelOf(words, row[what])}</>;
}

export const COLUMNS: QueueColumn[] = [
  { id: 'name', label: 'Incident', field: 'displayName', sorts: true, lead: true, cell: (row) => row.displayName },
  { id: 'id', label: 'Id', field: 'id', sorts: true, nowrap: true, cell: (row) => row.id },
  { id: 'priority', label: 'Priority', field: 'priorityScore', sorts: true, cell: (row) => <Priority row={row} /> },
  { id: 'severity', label: 'Severity', field: 'severity', sorts: true, nowrap: true, cell: (row) => <Severity value={row.severity} /> },
  { id: 'status', label: 'Status', field: 'status', sorts: true, nowrap: true, cell: (row) => <Status value={row.status} /> },
  { id: 'owner', label: 'Assigned to', field: 'assignedTo', sorts: true, nowrap: true, cell: (row) => <Owner name={row.assignedTo} /> },
  { id: 'tenant', label: 'Customer', nowrap: true, side: 'provider', cell: (row) => <Names of={[row.tenantName]} /> },
  { id: 'due', label: 'Next due', nowrap: true, cell: (row) => <NextDue of={row.nextDue} /> },
  { id: 'alerts', label: 'Alerts', nowrap: true, end: true, minor: true, cell: (row) => row.alertCount.toLocaleString() },
  { id: 'tags', label: 'Tags', minor: true, cell: (row) => <Tags row={row} most={2} /> },
  { id: 'categories', label: 'Categories', minor: true, cell: (row) => <List of={row.categories} /> },
  { id: 'products', label: 'Products', minor: true, cell: (row) => <Names of={row.products} /> },
  { id: 'lastActivity', label: 'Last activity', field: 'lastActivityDateTime', sorts: true, nowrap: true, minor: true, cell: (row) => <Moment at={row.lastActivityDateTime} /> },
  { id: 'updated', label: 'Last update', field: 'lastUpdateDateTime', sorts: true, nowrap: true, cell: (row) => <Moment at={row.lastUpdateDateTime} as="distance" /> },
  { id: 'firstActivity', label: 'First activity', field: 'firstActivityDateTime', sorts: true, nowrap: true, minor: true, cell: (row) => <Moment at={row.firstActivityDateTime} /> },
  { id: 'created', label: 'Created', field: 'createdDateTime', sorts: true, nowrap: true, minor: true, cell: (row) => <Moment at={row.createdDateTime} /> },
  { id: 'classification', label: 'Classification', field: 'classification', sorts: true, nowrap: true, minor: true, cell: (row) => <Classified row={row} what="classification" /> },
  { id: 'determination', label: 'Determination', field: 'determination', sorts: true, nowrap: true, minor: true, cell: (row) => <Classified row={row} what="determination" /> },
  { id: 'techniques', label: 'Techniques', minor: true, cell: (row) => <Names of={row.mitreTechniques} /> },
  { id: 'modifiedBy', label: 'Changed by', field: 'lastModifiedBy', sorts: true, nowrap: true, minor: true, cell: (row) => row.lastModifiedBy },
];

const FIRST = ['name', 'priority', 'severity', 'status', 'owner'];
/** Experts are led by what is due next, customers by what is new. */
const THEN: Record<Side, string[]> = { provider: ['tenant', 'due', 'alerts', 'tags'], customer: ['alerts', 'tags', 'updated'] };
const first = (side: Side): string[] => [...FIRST, ...THEN[side]];
/** What the browser remembers them by. */
export const KEY = 'queue.columns';

export const available = (side: Side): QueueColumn[] => COLUMNS.filter((column) => !column.side || column.side === side);

/** The columns of the address; else those last chosen in this browser; else the usual ones. */
export function chosenColumns(asked: string[] | null, side: Side): QueueColumn[] {
  const all = available(side);
  const pick = (ids: string[]) =>
    ids.map((id) => all.find((column) => column.id === id)).filter((column) => column !== undefined);
  const given = pick(asked ?? remembered(KEY) ?? first(side));
  const columns = given.length ? given : pick(first(side));
  // Without its name a row says nothing.
  return columns.some((column) => column.id === 'name') ? columns : [...pick(['name']), ...columns];
}

export function usualColumns(side: Side): string[] {
  return first(side).filter((id) => available(side).some((column) => column.id === id));
}
