import { Badge, Button, Checkbox, Field, SearchBox, makeStyles, tokens } from '@fluentui/react-components';
import { ArrowDownloadRegular } from '@fluentui/react-icons';
import { useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { useSearchParams } from 'react-router';

import { useCredits } from '../api/ask';
import { api, read } from '../api/client';
import type { About, ConversationRow, ConversationsAsked } from '../api/hand';
import { useSession } from '../api/session';
import { userPath } from '../api/user-path';
import { Choices } from '../ui/Choices';
import { Go } from '../ui/Go';
import { GuardedButton } from '../ui/Guarded';
import { Moment } from '../ui/Moment';
import { Page } from '../ui/Page';
import { Panel } from '../ui/Panel';
import { Section } from '../ui/Section';
import { Table, type Column } from '../ui/Table';
import { useToasts } from '../ui/Toasts';
import { Empty, Failure, Waiting } from '../ui/states';
import { AskExperts } from '../ui/AskExperts';
import { CreditLedger } from '../ui/Credits';
import Chat from './Chat';
import { useClose, useConversation, useConversations, useLiveConversations, useMark } from './data';
import { KINDS, grouped, standing, type Grouping } from './words';

const useStyles = makeStyles({
  form: { display: 'flex', flexWrap: 'wrap', gap: '12px', alignItems: 'end' },
  search: { width: '260px', maxWidth: '100%', '& .fui-SearchBox': { maxWidth: '100%' }, '@media (max-width: 640px)': { width: '100%' } },
  choice: { '& .fui-Dropdown': { minWidth: '150px' } },
  subject: { display: 'flex', flexDirection: 'column', gap: '2px', minWidth: 0 },
  fresh: { fontWeight: tokens.fontWeightSemibold },
  said: {
    color: tokens.colorNeutralForeground2,
    fontSize: tokens.fontSizeBase200,
    overflow: 'hidden',
    display: '-webkit-box',
    WebkitBoxOrient: 'vertical',
    WebkitLineClamp: '1',
    overflowWrap: 'anywhere',
  },
  foot: { display: 'flex', justifyContent: 'center' },
  tools: { display: 'flex', flexWrap: 'wrap', alignItems: 'center', gap: '8px' },
});

const STATUSES = [
  { value: '', label: 'Any' },
  { value: 'waitingForExperts', label: 'Waiting for the experts' },
  { value: 'answered', label: 'Answered' },
  { value: 'closed', label: 'Closed' },
];
const KIND_CHOICES = [
  { value: '', label: 'Any' },
  { value: 'managedResponse', label: KINDS.managedResponse },
  { value: 'question', label: KINDS.question },
];
const PERIODS = [
  { value: '', label: 'Any time' },
  { value: '1', label: 'Last day' },
  { value: '7', label: 'Last week' },
  { value: '30', label: 'Last 30 days' },
];
const GROUPINGS: { value: Grouping; label: string }[] = [
  { value: 'none', label: 'Nothing' },
  { value: 'status', label: 'Status' },
  { value: 'submitter', label: 'Submitter' },
  { value: 'reference', label: 'Reference' },
];

/** The moment so many days ago, to the hour, so that the same question is asked until the next. */
function daysAgo(days: string): string | undefined {
  if (!days) return undefined;
  const hour = 3_600_000;
  return new Date(Math.floor((Date.now() - Number(days) * 24 * hour) / hour) * hour).toISOString();
}

/** COM-9: every conversation with the experts, what is new first. */
export default function Messages() {
  const styles = useStyles();
  const { side } = useSession();
  const [params, setParams] = useSearchParams();
  const given = (name: string) => params.get(name) ?? '';
  const set = (name: string, value: string) => {
    const next = new URLSearchParams(params);
    if (value) next.set(name, value);
    else next.delete(name);
    setParams(next, { replace: true });
  };
  const [words, setWords] = useState(given('q'));
  const period = given('period');
  const from = useMemo(() => daysAgo(period), [period]);
  const asked: ConversationsAsked = {
    ...(given('status') && { status: given('status') }),
    ...(given('kind') && { kind: given('kind') }),
    ...(given('tenant') && { tenantId: given('tenant') }),
    ...(given('unread') && { unread: true }),
    ...(given('q') && { search: given('q') }),
    ...(from && { from }),
  };
  const filtered = Object.keys(asked).length > 0;
  const list = useConversations(asked);
  useLiveConversations();
  const credits = useCredits('', side === 'customer');
  const tenants = useQuery({ queryKey: ['tenants'], queryFn: () => read(api.GET('/api/v1/tenants')), enabled: side === 'provider' });
  const rows = useMemo(() => (list.data?.pages ?? []).flatMap((page) => page.value), [list.data]);
  const by = (GROUPINGS.find((one) => one.value === given('group'))?.value ?? 'none') satisfies Grouping;
  const open = params.get('open');
  const columns = useMemo<Column<ConversationRow>[]>(
    () => [
      {
        id: 'subject',
        label: 'Subject',
        lead: true,
        cell: (row) => (
          <span className={styles.subject}>
            <span className={row.unread > 0 ? styles.fresh : undefined}>
              {row.subject ?? 'Access is needed to read this'}
              {row.unread > 0 && (
                <>
                  {' '}
                  <Badge size="small" color="brand" aria-label={`${row.unread} new`}>
                    {row.unread}
                  </Badge>
                </>
              )}
            </span>
            {row.lastMessage && <span className={styles.said}>{`${row.lastMessage.own ? 'You' : row.lastMessage.author}: ${row.lastMessage.text}`}</span>}
          </span>
        ),
      },
      {
        id: 'status',
        label: 'Status',
        nowrap: true,
        cell: (row) => (
          <Badge appearance="tint" shape="rounded" color={row.overdue ? 'danger' : row.status === 'waitingForExperts' ? 'warning' : 'informative'}>
            {standing(row, side)}
          </Badge>
        ),
      },
      ...(side === 'provider' ? [{ id: 'tenant', label: 'Customer', cell: (row: ConversationRow) => row.tenantName }] : []),
      { id: 'kind', label: 'Kind', minor: true, nowrap: true, cell: (row) => KINDS[row.kind] },
      { id: 'by', label: 'Submitted by', minor: true, cell: (row) => row.openedBy },
      { id: 'reference', label: 'Reference', nowrap: true, cell: (row) => row.id },
      { id: 'at', label: 'Last message', nowrap: true, cell: (row) => <Moment at={row.lastMessageDateTime} as="distance" /> },
    ],
    [side, styles],
  );
  const csv = `/api/v1/conversations/export?${new URLSearchParams(Object.entries(asked).map(([name, value]) => [name, String(value)])).toString()}`;
  return (
    <Page
      title="Messages"
      lead={side === 'customer' ? 'What you and the experts say to each other about incidents, and what you asked.' : 'What customers write, and what they wait for.'}
      actions={
        <>
          <Button as="a" href={csv} icon={<ArrowDownloadRegular />}>
            Export as CSV
          </Button>
          {side === 'customer' && credits.data?.rule === 'quarterly' && (
            <Button onClick={() => set('credits', 'ledger')}>{credits.data.usable} credits</Button>
          )}
          <AskExperts appearance="primary" onAsked={(made) => set('open', made.id)} />
        </>
      }
    >
      <form
        className={styles.form}
        role="search"
        aria-label="Messages"
        onSubmit={(event) => {
          event.preventDefault();
          set('q', words.trim());
        }}
      >
        <Field label="Search" className={styles.search}>
          <SearchBox
            data-search="page"
            placeholder="Subject, reference or person"
            value={words}
            onChange={(_, data) => {
              setWords(data.value);
              if (data.value === '' && given('q')) set('q', '');
            }}
          />
        </Field>
        <Field label="Status" className={styles.choice}>
          <Choices choices={STATUSES} value={given('status')} onChoose={(value) => set('status', value)} />
        </Field>
        <Field label="Kind" className={styles.choice}>
          <Choices choices={KIND_CHOICES} value={given('kind')} onChoose={(value) => set('kind', value)} />
        </Field>
        <Field label="Period" className={styles.choice}>
          <Choices choices={PERIODS} value={period} onChoose={(value) => set('period', value)} />
        </Field>
        {side === 'provider' && (
          <Field label="Customer" className={styles.choice}>
            <Choices
              choices={[{ value: '', label: 'Any' }, ...(tenants.data?.value ?? []).map((one) => ({ value: one.id, label: one.name }))]}
              value={given('tenant')}
              onChoose={(value) => set('tenant', value)}
            />
          </Field>
        )}
        <Field label="Group by" className={styles.choice}>
          <Choices choices={GROUPINGS} value={by} onChoose={(value) => set('group', value === 'none' ? '' : value)} />
        </Field>
        <Checkbox label="Unread only" checked={given('unread') !== ''} onChange={(_, data) => set('unread', data.checked ? '1' : '')} />
      </form>
      {list.isPending ? (
        <Waiting rows={6} label="Loading messages" />
      ) : list.isError && rows.length === 0 ? (
        <Failure error={list.error} retry={() => void list.refetch()} title="The messages could not be read" />
      ) : rows.length === 0 ? (
        filtered ? (
          <Empty title="No conversations match">Nothing within your reach is like this.</Empty>
        ) : (
          <Empty title="No messages yet">
            {side === 'customer'
              ? 'A chat opens with each managed response that the experts publish. Anything else you can ask them here.'
              : 'A chat opens with each managed response that is published; customers’ questions come here as well.'}
          </Empty>
        )
      ) : (
        grouped(rows, by, side).map((group) => {
          const table = (
            <Table
              label={group.title}
              columns={columns}
              rows={group.rows}
              id={(row) => row.id}
              name={(row) => row.subject ?? row.id}
              onOpen={(row) => set('open', row.id)}
              href={(row) => `/messages?open=${encodeURIComponent(row.id)}`}
              current={open}
            />
          );
          return by === 'none' ? (
            <div key={group.title}>{table}</div>
          ) : (
            <Section key={group.title} title={`${group.title} (${group.rows.length})`} plain>
              {table}
            </Section>
          );
        })
      )}
      {list.hasNextPage && (
        <div className={styles.foot}>
          <Button disabledFocusable={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
            {list.isFetchingNextPage ? 'Loading…' : `Show more (${rows.length.toLocaleString()} shown)`}
          </Button>
        </div>
      )}
      {open && <Opened id={open} onClose={() => set('open', '')} />}
      <Panel title="Credits" open={given('credits') !== '' && !open} onClose={() => set('credits', '')}>
        {credits.data ? <CreditLedger credits={credits.data} /> : credits.isError ? <Failure error={credits.error} /> : <Waiting rows={4} />}
      </Panel>
    </Page>
  );
}

/** What a question is about, as a way there where it has a page. */
function AboutLink({ about, tenantId }: { about: About; tenantId: string }) {
  const to =
    about.kind === 'device'
      ? `/devices/${encodeURIComponent(about.id)}`
      : about.kind === 'incident'
        ? `/incidents/${encodeURIComponent(about.id)}`
        : about.kind === 'user'
          ? userPath(tenantId, about.id)
          : null;
  return to ? (
    <Go inline to={to}>
      {about.name}
    </Go>
  ) : (
    <>{about.name}</>
  );
}

function Opened({ id, onClose }: { id: string; onClose: () => void }) {
  const styles = useStyles();
  const toasts = useToasts();
  const conversation = useConversation(id);
  const close = useClose(id);
  const mark = useMark();
  const it = conversation.data;
  return (
    <Panel title={it?.subject ?? id} open wide onClose={onClose}>
      {it && (
        <div className={styles.tools}>
          {it.incidentId && <Go to={`/incidents/${it.incidentId}?response=actions`}>Open incident {it.incidentId}</Go>}
          {it.about && (
            <span>
              About the {it.about.kind} <AboutLink about={it.about} tenantId={it.tenantId} />
            </span>
          )}
          <Button
            size="small"
            onClick={() => {
              mark(id, null).then(onClose, toasts.fail);
            }}
          >
            Mark as unread
          </Button>
          <GuardedButton size="small" may={it.may.close} busy={close.isPending} onClick={() => close.mutate(undefined, { onError: toasts.fail })}>
            Close conversation
          </GuardedButton>
        </div>
      )}
      <Chat id={id} />
    </Panel>
  );
}
