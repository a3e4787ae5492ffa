import { makeStyles, mergeClasses } from '@fluentui/react-components';

import type { Action, Side } from '../api/hand';
import { actionLook } from '../api/action-words';
import { userPath } from '../api/user-path';
import { Go } from '../ui/Go';
import { Mark } from '../ui/Mark';
import { Moment } from '../ui/Moment';
import type { Column } from '../ui/Table';
import { Thing } from '../ui/Thing';
import { remembered } from '../ui/remember';

export type ActionColumn = Column<Action> & { side?: Side };

function pageOf(action: Action): string | undefined {
  if (action.target.kind === 'user') return userPath(action.tenantId, action.target.id);
  return action.target.deviceId ? `/devices/${encodeURIComponent(action.target.deviceId)}` : undefined;
}

const useStyles = makeStyles({
  short: {
    display: '-webkit-box',
    WebkitBoxOrient: 'vertical',
    WebkitLineClamp: '2',
    overflow: 'hidden',
    overflowWrap: 'anywhere',
    minWidth: '132px',
    maxWidth: '170px',
  },
  /** An address is no better for being broken. */
  line: { display: 'block', whiteSpace: 'nowrap', textOverflow: 'ellipsis', overflowWrap: 'normal' },
});

/** Two lines of a text at most, or one; the whole of it on hover. */
function Short({ text, line }: { text: string; line?: boolean }) {
  const styles = useStyles();
  return (
    <span className={mergeClasses(styles.short, line && styles.line)} title={text}>
      {text}
    </span>
  );
}

export const COLUMNS: ActionColumn[] = [
  { id: 'title', label: 'Action', lead: true, sorts: true, cell: (one) => one.title },
  {
    id: 'target',
    label: 'Target',
    sorts: true,
    cell: (one) => <Thing brief kind={one.target.kind} name={one.target.name} to={pageOf(one)} />,
  },
  { id: 'tenant', label: 'Customer', side: 'provider', cell: (one) => one.tenantName },
  { id: 'source', label: 'Action source', minor: true, nowrap: true, cell: (one) => one.source },
  { id: 'state', label: 'Status', nowrap: true, sorts: true, cell: (one) => <Mark look={actionLook(one.state)} /> },
  { id: 'by', label: 'Requested by', minor: true, cell: (one) => <Short line text={one.requestedBy} /> },
  { id: 'requested', label: 'Requested', nowrap: true, sorts: true, cell: (one) => <Moment at={one.requestedDateTime} /> },
  {
    id: 'incident',
    label: 'Incident',
    nowrap: true,
    named: true,
    cell: (one) => (one.incidentId ? <Go to={`/incidents/${encodeURIComponent(one.incidentId)}`}>{one.incidentId}</Go> : '–'),
  },
  { id: 'ended', label: 'Ended', nowrap: true, minor: true, cell: (one) => <Moment at={one.endedDateTime} /> },
  { id: 'deadline', label: 'Tried until', nowrap: true, minor: true, cell: (one) => <Moment at={one.deadlineDateTime} /> },
  { id: 'approvedBy', label: 'Approved by', minor: true, cell: (one) => <Short line text={one.approvedBy ?? '–'} /> },
  { id: 'comment', label: 'Comment', minor: true, cell: (one) => <Short text={one.comment ?? '–'} /> },
];
/** What the browser remembers them by. */
export const KEY = 'actions.columns';
const FIRST = ['title', 'target', 'tenant', 'source', 'state', 'by', 'requested', 'incident'];

export const available = (side: Side): ActionColumn[] => COLUMNS.filter((column) => !column.side || column.side === side);
export const usual = (side: Side): string[] => FIRST.filter((id) => available(side).some((column) => column.id === id));

/** The columns of the address, else those last chosen in this browser, else the usual ones; never without the one that says what a row is. */
export function chosen(asked: string[] | null, side: Side): ActionColumn[] {
  const all = available(side);
  const ids = (asked ?? remembered(KEY) ?? usual(side)).filter((id) => all.some((column) => column.id === id));
  const full = ids.includes('title') ? ids : ['title', ...ids];
  return full.flatMap((id) => all.filter((column) => column.id === id));
}
