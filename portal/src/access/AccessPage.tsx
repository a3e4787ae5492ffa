import { Badge, Button, Field, Tab, TabList, Textarea, makeStyles, tokens } from '@fluentui/react-components';
import { useInfiniteQuery, useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useSearchParams } from 'react-router';

import { LEVELS, ROLES, STATES } from '../api/access-words';
import { api, read } from '../api/client';
import type { Access, Page as PageOf } from '../api/hand';
import { useSession } from '../api/session';
import { Ask } from '../ui/Ask';
import { Facts } from '../ui/Facts';
import { GuardedButton } from '../ui/Guarded';
import { Moment } from '../ui/Moment';
import { Page } from '../ui/Page';
import { Panel } from '../ui/Panel';
import { Table, type Column } from '../ui/Table';
import { useToasts } from '../ui/Toasts';
import { Empty, Failure, Waiting } from '../ui/states';
import { Go } from '../ui/Go';

const useStyles = makeStyles({
  tabs: { overflowX: 'auto', marginInline: '-8px' },
  acts: { display: 'inline-flex', gap: '6px', '@media (max-width: 640px)': { flexWrap: 'wrap' } },
  brief: {
    display: '-webkit-box',
    WebkitBoxOrient: 'vertical',
    WebkitLineClamp: '2',
    overflow: 'hidden',
    overflowWrap: 'anywhere',
    color: tokens.colorNeutralForeground2,
  },
  foot: { display: 'flex', justifyContent: 'center' },
  reason: { margin: 0, whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' },
  muted: { color: tokens.colorNeutralForeground2 },
});

const VIEWS = [
  { state: 'open', label: 'Open and running' },
  { state: 'all', label: 'All' },
];
const COLOUR: Record<string, 'warning' | 'success' | 'informative' | 'danger'> = {
  requested: 'warning',
  approved: 'success',
  denied: 'danger',
  revoked: 'danger',
};

export function State({ access }: { access: Access }) {
  return (
    <Badge appearance="tint" shape="rounded" color={COLOUR[access.state] ?? 'informative'}>
      {STATES[access.state] ?? access.state}
    </Badge>
  );
}

/** Who asked to come in, why, who decided, and when it ends (PER-3). For both sides. */
export default function AccessPage() {
  const styles = useStyles();
  const { side } = useSession();
  const [params, setParams] = useSearchParams();
  const asked = params.get('state') ?? (side === 'provider' ? 'open' : 'all');
  const state = asked === 'open' ? 'open' : 'all';
  const open = params.get('open');
  const set = (name: string, value: string | null, replace = false) => {
    const next = new URLSearchParams(params);
    if (value === null) next.delete(name);
    else next.set(name, value);
    setParams(next, { replace });
  };
  const list = useInfiniteQuery({
    queryKey: ['access', state],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) =>
      read(
        api.GET('/api/v1/access', {
          params: { query: { ...(state === 'open' && { state }), top: 50, cursor: pageParam } },
          signal,
        }),
      ),
    getNextPageParam: (last: PageOf<Access>) => (last.nextCursor ? String(last.nextCursor) : undefined),
    refetchInterval: 30_000,
  });
  const rows = (list.data?.pages ?? []).flatMap((page) => page.value);
  const at = rows.findIndex((row) => row.id === open);
  const row = rows[at];
  const to = (next: number) => {
    const neighbour = rows[next];
    return neighbour ? () => set('open', neighbour.id, true) : null;
  };
  const columns: Column<Access>[] = [
    {
      id: 'who',
      label: 'Expert and reason',
      lead: true,
      cell: (one) => (
        <>
          {one.person.name}
          <span className={styles.brief} title={one.reason}>
            {one.reason}
          </span>
        </>
      ),
    },
    ...(side === 'provider' ? [{ id: 'tenant', label: 'Customer', nowrap: true, cell: (one: Access) => one.tenantName }] : []),
    {
      id: 'incident',
      label: 'Incident',
      nowrap: true,
      cell: (one) => (one.incidentId ? <Go to={`/incidents/${encodeURIComponent(one.incidentId)}`}>{one.incidentId}</Go> : '–'),
    },
    { id: 'level', label: 'Level', nowrap: true, minor: true, cell: (one) => ROLES[one.level] },
    { id: 'state', label: 'State', nowrap: true, cell: (one) => <State access={one} /> },
    { id: 'requested', label: 'Requested', nowrap: true, cell: (one) => <Moment at={one.requestedDateTime} as="distance" /> },
    {
      id: 'until',
      label: 'Ends',
      nowrap: true,
      minor: true,
      cell: (one) => <Moment at={one.endedDateTime ?? one.untilDateTime} none={one.hours ? `${one.hours} h` : '–'} />,
    },
    { id: 'acts', label: 'Actions', nowrap: true, cell: (one) => <Acts access={one} /> },
  ];
  return (
    <Page
      title={side === 'provider' ? 'Access requests' : 'Access history'}
      lead={
        side === 'provider'
          ? 'Access to a customer is for a reason and a time. Everything here is on the customer’s record too.'
          : 'Every time experts asked to come in: why, who decided, and when it ended.'
      }
    >
      <div className={styles.tabs}>
        <TabList
          selectedValue={state}
          onTabSelect={(_, data) => set('state', String(data.value))}
          aria-label="Which requests"
        >
          {VIEWS.map((view) => (
            <Tab key={view.state} value={view.state}>
              {view.label}
            </Tab>
          ))}
        </TabList>
      </div>
      {list.isPending ? (
        <Waiting rows={5} />
      ) : list.isError && rows.length === 0 ? (
        <Failure error={list.error} retry={() => void list.refetch()} />
      ) : rows.length === 0 ? (
        <Empty title="No requests here">
          {side === 'provider'
            ? 'Ask for access from a customer’s row or from an incident.'
            : 'Experts have not asked to come in, or not in this state.'}
        </Empty>
      ) : (
        <Table
          label="Access"
          columns={columns}
          rows={rows}
          id={(one) => one.id}
          name={(one) => `${one.person.name}: ${one.reason}`}
          onOpen={(one) => set('open', one.id, open !== null)}
          current={open}
        />
      )}
      {list.hasNextPage && (
        <div className={styles.foot}>
          <Button disabledFocusable={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
            {list.isFetchingNextPage ? 'Loading…' : 'Show more'}
          </Button>
        </div>
      )}
      {row && (
        <Panel
          title={`Access of ${row.person.name}`}
          open
          onClose={() => set('open', null, true)}
          step={{ previous: to(at - 1), next: to(at + 1) }}
        >
          <Acts access={row} />
          <Facts
            facts={[
              ['State', <State key="s" access={row} />],
              ['Expert', `${row.person.name} (${row.person.email})`],
              ['Customer', row.tenantName],
              [
                'Incident',
                row.incidentId && (
                  <Go key="i" to={`/incidents/${encodeURIComponent(row.incidentId)}`}>
                    {row.incidentId}
                  </Go>
                ),
              ],
              ['Reason', <p key="r" className={styles.reason}>{row.reason}</p>],
              ['Level', `${LEVELS[row.level]} (${ROLES[row.level]})`],
              ['Asked for', `${row.hours} hour${row.hours === 1 ? '' : 's'}`],
              ['Requested', <Moment key="q" at={row.requestedDateTime} as="second" />],
              [
                'Decided',
                row.decidedDateTime && (
                  <span key="d">
                    <Moment at={row.decidedDateTime} as="second" /> {row.decidedBy && `by ${row.decidedBy}`}
                  </span>
                ),
              ],
              ['Because', row.decidedBecause],
              ['Ends', row.untilDateTime && <Moment key="u" at={row.untilDateTime} as="second" />],
              [
                'Ended',
                row.endedDateTime && (
                  <span key="e">
                    <Moment at={row.endedDateTime} as="second" /> {row.endedBy && `by ${row.endedBy}`}
                  </span>
                ),
              ],
            ]}
          />
        </Panel>
      )}
    </Page>
  );
}

/** What may be done with a request; those of the other side are left out by what the server says. */
function Acts({ access }: { access: Access }) {
  const styles = useStyles();
  const { side } = useSession();
  const queries = useQueryClient();
  const toasts = useToasts();
  const [denying, setDenying] = useState(false);
  const [because, setBecause] = useState('');
  const again = () => {
    for (const key of ['access', 'home', 'tenants', 'incident']) void queries.invalidateQueries({ queryKey: [key] });
  };
  const act = useMutation({
    mutationFn: (verb: 'approve' | 'revoke' | 'withdraw') => {
      const given = { params: { path: { id: access.id } }, body: {} };
      if (verb === 'approve') return read(api.POST('/api/v1/access/{id}/approve', given));
      if (verb === 'revoke') return read(api.POST('/api/v1/access/{id}/revoke', given));
      return read(api.POST('/api/v1/access/{id}/withdraw', given));
    },
    onSuccess: (_, verb) => {
      again();
      toasts.done(
        verb === 'approve'
          ? `${access.person.name} has access for ${access.hours} h.`
          : verb === 'revoke'
            ? `The access of ${access.person.name} has ended.`
            : 'The request is withdrawn.',
      );
    },
    onError: toasts.fail,
  });
  const waits = access.state === 'requested';
  const runs = access.state === 'approved';
  // An ended access has nothing to be done with it; greyed buttons in each row would only be noise.
  if (!waits && !runs) return null;
  const mine = side === 'provider';
  return (
    <span className={styles.acts}>
      {waits && (
        <>
          <GuardedButton size="small" appearance="primary" may={access.may.approve} busy={act.isPending} onClick={() => act.mutate('approve')}>
            Approve
          </GuardedButton>
          <GuardedButton size="small" may={access.may.deny} onClick={() => setDenying(true)}>
            Deny
          </GuardedButton>
        </>
      )}
      {runs && (
        <GuardedButton size="small" may={access.may.revoke} busy={act.isPending} onClick={() => act.mutate('revoke')}>
          Revoke
        </GuardedButton>
      )}
      {waits && mine && (
        <GuardedButton size="small" appearance="subtle" may={access.may.withdraw} busy={act.isPending} onClick={() => act.mutate('withdraw')}>
          Withdraw
        </GuardedButton>
      )}
      <Ask
        open={denying}
        title={`Deny access to ${access.person.name}`}
        act="Deny"
        ready={because.trim() !== ''}
        onClose={() => setDenying(false)}
        onAct={async () => {
          await read(
            api.POST('/api/v1/access/{id}/deny', { params: { path: { id: access.id } }, body: { because: because.trim() } }),
          );
          again();
          toasts.done('The request is denied.');
        }}
      >
        <Field label="Why" required hint="The expert reads this">
          <Textarea value={because} maxLength={1000} onChange={(_, data) => setBecause(data.value)} />
        </Field>
      </Ask>
    </span>
  );
}
