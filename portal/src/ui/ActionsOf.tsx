import { Button, makeStyles } from '@fluentui/react-components';
import { useNavigate } from 'react-router';

import { actionLook } from '../api/action-words';
import { useActions } from '../api/actions';
import { sentence } from '../api/error';
import type { Action, ActionsAsked } from '../api/hand';
import { Go } from './Go';
import { Mark } from './Mark';
import { Moment } from './Moment';
import { Table, type Column } from './Table';
import { Empty, Failure, Waiting } from './states';

const useStyles = makeStyles({ foot: { display: 'flex', justifyContent: 'center', padding: '8px' } });

const toAction = (action: Action): string => `/actions?tab=history&action=${encodeURIComponent(action.id)}`;
const OF_DEVICE: Column<Action>[] = [
  { id: 'title', label: 'Action', lead: true, cell: (one) => one.title },
  { id: 'state', label: 'Status', nowrap: true, cell: (one) => <Mark look={actionLook(one.state)} /> },
  { id: 'reason', label: 'Reason', minor: true, cell: (one) => (one.reason ? sentence(one.reason) : '–') },
  { id: 'source', label: 'Action source', minor: true, cell: (one) => one.source },
  { id: 'by', label: 'Requested by', cell: (one) => one.requestedBy },
  { id: 'requested', label: 'Requested', nowrap: true, cell: (one) => <Moment at={one.requestedDateTime} /> },
  {
    id: 'incident',
    label: 'Incident',
    nowrap: true,
    named: true,
    cell: (one) => (one.incidentId ? <Go to={`/incidents/${encodeURIComponent(one.incidentId)}`}>{one.incidentId}</Go> : '–'),
  },
];
const OF_USER: Column<Action>[] = OF_DEVICE.flatMap((column) =>
  column.id === 'title' ? [column, { id: 'target', label: 'Account', cell: (one: Action) => one.target.name }] : [column],
);

/** The actions on one thing, the newest first; each opens where it can be undone. */
export function ActionsOf({ asked, none, accounts }: { asked: ActionsAsked; none: string; /** Of a user: on which account. */ accounts?: boolean }) {
  const styles = useStyles();
  const navigate = useNavigate();
  const list = useActions(asked);
  const rows = (list.data?.pages ?? []).flatMap((page) => page.value);
  if (list.isPending) return <Waiting rows={6} label="Loading actions" />;
  if (list.isError && rows.length === 0) return <Failure error={list.error} retry={() => void list.refetch()} />;
  if (rows.length === 0) return <Empty title="No actions">{none}</Empty>;
  return (
    <>
      <Table
        label="Actions"
        columns={accounts ? OF_USER : OF_DEVICE}
        rows={rows}
        id={(row) => row.id}
        name={(row) => row.title}
        href={toAction}
        onOpen={(row) => navigate(toAction(row))}
      />
      {list.hasNextPage && (
        <div className={styles.foot}>
          <Button disabledFocusable={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
            {list.isFetchingNextPage ? 'Loading…' : 'Show more'}
          </Button>
        </div>
      )}
    </>
  );
}
