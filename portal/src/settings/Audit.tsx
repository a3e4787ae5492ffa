import {
  Button,
  Field,
  Input,
  Menu,
  MenuItemLink,
  MenuList,
  MenuPopover,
  MenuTrigger,
  makeStyles,
  tokens,
} from '@fluentui/react-components';
import { ArrowDownloadRegular } from '@fluentui/react-icons';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useSearchParams } from 'react-router';

import { api, read } from '../api/client';
import { Refusal } from '../api/error';
import type { AuditRecord, Page as PageOf } from '../api/hand';
import { useSession } from '../api/session';
import { Choices } from '../ui/Choices';
import { CopyButton, CopyText } from '../ui/Copy';
import { Facts } from '../ui/Facts';
import { Moment } from '../ui/Moment';
import { Page } from '../ui/Page';
import { Panel } from '../ui/Panel';
import { Section } from '../ui/Section';
import { Table, type Column } from '../ui/Table';
import { Empty, Failure, Waiting } from '../ui/states';
import { fromInput, toInput } from '../ui/time';

const useStyles = makeStyles({
  form: { display: 'flex', flexWrap: 'wrap', gap: '12px', alignItems: 'end' },
  foot: { display: 'flex', justifyContent: 'center' },
  json: {
    margin: 0,
    padding: '12px',
    fontFamily: tokens.fontFamilyMonospace,
    fontSize: tokens.fontSizeBase200,
    whiteSpace: 'pre-wrap',
    overflowWrap: 'anywhere',
    backgroundColor: tokens.colorNeutralBackground3,
    borderRadius: tokens.borderRadiusLarge,
  },
  muted: { color: tokens.colorNeutralForeground2, margin: 0 },
});

const ANY = { value: '', label: 'Any' };
/** The table of AUD-1; the server takes others as well. */
const WORKLOADS = ['AzureActiveDirectory', 'Microsoft365Defender', 'MicrosoftDefenderForEndpoint', 'MicrosoftDefenderExperts'];
const TYPES = [
  'AzureActiveDirectoryStsLogon',
  'MS365DIncident',
  'MS365DSuppressionRule',
  'MSDEIndicatorsSettings',
  'MSDEResponseActions',
  'DefenderExpertsforXDRAdmin',
];
const words = (list: string[]) => [ANY, ...list.map((value) => ({ value, label: value }))];

const COLUMNS: Column<AuditRecord>[] = [
  { id: 'operation', label: 'Operation', lead: true, cell: (record) => record.operation },
  { id: 'at', label: 'When', nowrap: true, cell: (record) => <Moment at={record.creationTime} as="second" /> },
  { id: 'who', label: 'Who', cell: (record) => `${record.userId}${record.userType ? ` (${record.userType})` : ''}` },
  { id: 'object', label: 'Object', nowrap: true, cell: (record) => record.objectId ?? '–' },
  { id: 'type', label: 'Record type', minor: true, cell: (record) => record.recordType },
];

/** AUD-1, AUD-2: everything on record, as search, as file, and with a proof that nothing was altered. */
export default function Audit() {
  const styles = useStyles();
  const [params, setParams] = useSearchParams();
  const asked = Object.fromEntries(
    ['from', 'to', 'workload', 'recordType', 'actor'].flatMap((name) => {
      const value = params.get(name);
      return value ? [[name, value]] : [];
    }),
  ) as { from?: string; to?: string; workload?: string; recordType?: string; actor?: string };
  const [open, setOpen] = useState<string | null>(null);
  const [actor, setActor] = useState(asked.actor ?? '');
  const set = (name: string, value: string | null) => {
    const next = new URLSearchParams(params);
    if (value) next.set(name, value);
    else next.delete(name);
    setParams(next, { replace: true });
  };
  const list = useInfiniteQuery({
    queryKey: ['audit', asked],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) =>
      read(api.GET('/api/v1/audit', { params: { query: { ...asked, order: 'desc', top: 50, cursor: pageParam } }, signal })),
    getNextPageParam: (last: PageOf<AuditRecord>) => (last.nextCursor ? String(last.nextCursor) : undefined),
  });
  const rows = (list.data?.pages ?? []).flatMap((page) => page.value);
  const at = rows.findIndex((row) => row.id === open);
  const record = rows[at];
  const to = (next: number) => {
    const neighbour = rows[next];
    return neighbour ? () => setOpen(neighbour.id) : null;
  };
  const file = (format: string) => `/api/v1/audit/export?${new URLSearchParams({ ...asked, format })}`;
  const input = (text: string | undefined) => (text ? toInput(new Date(text)) : '');
  return (
    <Page
      title="Audit"
      lead="Everything that was done, by people, apps and the system. Records can be added, never changed."
      actions={
        <Menu>
          <MenuTrigger disableButtonEnhancement>
            <Button icon={<ArrowDownloadRegular />}>Export</Button>
          </MenuTrigger>
          <MenuPopover>
            <MenuList>
              <MenuItemLink href={file('csv')}>CSV, for a spreadsheet</MenuItemLink>
              <MenuItemLink href={file('ndjson')}>NDJSON, for programs</MenuItemLink>
            </MenuList>
          </MenuPopover>
        </Menu>
      }
    >
      <form
        className={styles.form}
        role="search"
        aria-label="Audit records"
        onSubmit={(event) => {
          event.preventDefault();
          set('actor', actor.trim());
        }}
      >
        <Field label="From">
          <Input type="datetime-local" value={input(asked.from)} onChange={(_, data) => set('from', fromInput(data.value))} />
        </Field>
        <Field label="To">
          <Input type="datetime-local" value={input(asked.to)} onChange={(_, data) => set('to', fromInput(data.value))} />
        </Field>
        <Field label="Workload">
          <Choices choices={words(WORKLOADS)} value={asked.workload ?? ''} onChoose={(value) => set('workload', value)} />
        </Field>
        <Field label="Record type">
          <Choices choices={words(TYPES)} value={asked.recordType ?? ''} onChoose={(value) => set('recordType', value)} />
        </Field>
        <Field label="Who">
          <Input
            value={actor}
            data-search="page"
            placeholder="Name"
            onChange={(_, data) => setActor(data.value)}
            onBlur={() => set('actor', actor.trim())}
          />
        </Field>
        <Button type="submit">Search</Button>
      </form>
      {list.isPending ? (
        <Waiting rows={8} />
      ) : list.isError && rows.length === 0 ? (
        <Failure error={list.error} retry={() => void list.refetch()} />
      ) : rows.length === 0 ? (
        <Empty title="No records fit">Widen the time or take away a filter.</Empty>
      ) : (
        <Table label="Audit records" columns={COLUMNS} rows={rows} id={(row) => row.id} name={(row) => row.operation} onOpen={(row) => setOpen(row.id)} current={open} />
      )}
      {list.hasNextPage && (
        <div className={styles.foot}>
          <Button disabledFocusable={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
            {list.isFetchingNextPage ? 'Loading…' : 'Show more'}
          </Button>
        </div>
      )}
      <Checkpoint />
      {record && (
        <Panel
          title={record.operation}
          open
          wide
          onClose={() => setOpen(null)}
          step={{ previous: to(at - 1), next: to(at + 1) }}
        >
          <Facts
            facts={[
              ['When', <Moment key="w" at={record.creationTime} as="second" />],
              ['Who', `${record.userId} (${record.userType})`],
              ['Object', record.objectId],
              ['Record type', record.recordType],
              ['Workload', record.workload],
              ['Organisation', record.organizationId],
              ['Record', <CopyText key="i" text={record.id} label="Copy the record's id" />],
              ['Leaf', <CopyText key="l" text={record.leaf} label="Copy the leaf's hash" />],
            ]}
          />
          <Section title="All of it" plain>
            <pre className={styles.json}>{JSON.stringify(record.auditData, null, 2)}</pre>
          </Section>
        </Panel>
      )}
    </Page>
  );
}

/** A signed state of the log: kept elsewhere, it shows later that nothing before it was altered. */
function Checkpoint() {
  const styles = useStyles();
  const { organisation } = useSession();
  const checkpoint = useQuery({
    queryKey: ['checkpoint', organisation.id],
    queryFn: () => read(api.GET('/api/v1/audit/checkpoint', { params: { query: { tenantId: organisation.id } } })),
  });
  const none = checkpoint.error instanceof Refusal && checkpoint.error.status === 404;
  return (
    <Section
      title="Checkpoint"
      actions={
        checkpoint.data && (
          <CopyButton text={JSON.stringify(checkpoint.data, null, 2)} label="Copy the checkpoint">
            Copy the checkpoint
          </CopyButton>
        )
      }
    >
      <p className={styles.muted}>
        A signed state of this log. Keep a copy elsewhere; <code>riposte audit verify --checkpoint FILE</code> shows
        later whether anything before it was altered.
      </p>
      {none ? (
        <p className={styles.muted}>There is none yet; one is signed every minute.</p>
      ) : checkpoint.isError ? (
        <Failure error={checkpoint.error} retry={() => void checkpoint.refetch()} />
      ) : checkpoint.data ? (
        <Facts
          facts={[
            ['Records', checkpoint.data.size.toLocaleString()],
            ['Signed', <Moment key="s" at={new Date(checkpoint.data.at / 1_000).toISOString()} as="second" />],
            ['Root', <CopyText key="r" text={checkpoint.data.root} label="Copy the root" />],
          ]}
        />
      ) : (
        <Waiting rows={2} />
      )}
    </Section>
  );
}
