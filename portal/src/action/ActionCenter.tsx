import {
  Button,
  Field,
  Input,
  Menu,
  MenuItemLink,
  MenuList,
  MenuPopover,
  MenuTrigger,
  SearchBox,
  Tab,
  TabList,
  Toolbar,
  ToolbarButton,
  makeStyles,
  tokens,
} from '@fluentui/react-components';
import { ArrowDownloadRegular, MoreHorizontalRegular } from '@fluentui/react-icons';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useMemo, useState } from 'react';
import { useNavigate, useSearchParams } from 'react-router';

import { useActions } from '../api/actions';
import { useActionTypes } from '../api/action-types';
import { SOURCES } from '../api/action-words';
import { api, read } from '../api/client';
import type { Action } from '../api/hand';
import { useSession } from '../api/session';
import { Choices } from '../ui/Choices';
import { ColumnsButton } from '../ui/ColumnsButton';
import { GuardedButton } from '../ui/Guarded';
import { Page } from '../ui/Page';
import { Table } from '../ui/Table';
import { remember } from '../ui/remember';
import { Empty, Failure, Waiting } from '../ui/states';
import { fromInput, toInput } from '../ui/time';
import { ActionPane } from './ActionPane';
import { BulkDialog, type Change } from './acts';
import { KEY, available, chosen, usual } from './columns';
import { useLiveActions } from './data';
import { PERIODS, addressOf, askedBy, descending, narrowed, readView, type View } from './query';

const useStyles = makeStyles({
  top: { display: 'flex', flexWrap: 'wrap', gap: '8px 12px', alignItems: 'center', justifyContent: 'space-between' },
  tabs: { overflowX: 'auto', marginInline: '-8px' },
  form: { display: 'flex', flexWrap: 'wrap', gap: '12px', alignItems: 'end' },
  search: { width: '260px', maxWidth: '100%', '& .fui-SearchBox': { maxWidth: '100%' }, '@media (max-width: 640px)': { width: '100%' } },
  choice: { '& > button, & .fui-Dropdown': { minWidth: '160px' }, '@media (max-width: 640px)': { flex: '1 1 140px' } },
  count: { color: tokens.colorNeutralForeground2 },
  foot: { display: 'flex', justifyContent: 'center' },
  bulk: {
    display: 'flex',
    flexWrap: 'wrap',
    alignItems: 'center',
    gap: '8px 12px',
    padding: '6px 12px',
    borderRadius: tokens.borderRadiusLarge,
    backgroundColor: tokens.colorBrandBackground2,
  },
});

const CHANGES: { change: Change; label: string; seldom?: boolean }[] = [
  { change: 'approve', label: 'Approve', seldom: true },
  { change: 'reject', label: 'Reject', seldom: true },
  { change: 'cancel', label: 'Cancel them' },
  { change: 'undo', label: 'Undo' },
];
const ANY = { value: '', label: 'Any' };

/** MR-20: what waits to be approved or done, and what was done. Everything shown follows from the address. */
export default function ActionCenter() {
  const styles = useStyles();
  const { side } = useSession();
  const [params] = useSearchParams();
  const navigate = useNavigate();
  const view = useMemo(() => readView(params), [params]);
  const now = useHour();
  const asked = useMemo(() => askedBy(view, now), [view, now]);
  const list = useActions(asked);
  const types = useActionTypes();
  const tenants = useQuery({
    queryKey: ['tenants'],
    queryFn: () => read(api.GET('/api/v1/tenants')),
    enabled: side === 'provider',
  });
  useLiveActions();
  const rows = useMemo(() => (list.data?.pages ?? []).flatMap((page) => page.value), [list.data]);
  const count = list.data?.pages[0]?.count;
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  // Held fast: rows leave the list while the dialog still speaks of them.
  const [bulk, setBulk] = useState<{ change: Change; actions: Action[] } | null>(null);
  const [words, setWords] = useState(view.q);
  const show = (next: Partial<View>, replace = false) => navigate({ search: addressOf({ ...view, ...next }) }, { replace });
  useEffect(() => setWords(view.q), [view.q]);
  // Ticks are about rows that can be seen.
  const asking = JSON.stringify(asked);
  useEffect(() => setSelected(new Set()), [asking]);
  const columns = useMemo(() => chosen(view.columns, side), [view.columns, side]);
  const picked = rows.filter((row) => selected.has(row.id));
  const at = rows.findIndex((row) => row.id === view.action);
  const neighbour = (step: number) => {
    const row = at < 0 ? undefined : rows[at + step];
    return row ? () => show({ action: row.id }, true) : null;
  };
  const file = () => {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(asked)) if (value) query.set(name, value);
    return `/api/v1/actions/export?${query}`;
  };
  const pending = view.tab === 'pending';
  const input = (text: string | null) => (text ? toInput(new Date(text)) : '');
  return (
    <Page
      title="Action center"
      lead="What waits to be approved or carried out on your assets, and everything that was."
    >
      <div className={styles.top}>
        <div className={styles.tabs}>
          <TabList
            selectedValue={view.tab}
            onTabSelect={(_, data) => show({ tab: data.value === 'history' ? 'history' : 'pending', action: null })}
            aria-label="Which actions"
          >
            <Tab value="pending">Pending</Tab>
            <Tab value="history">History</Tab>
          </TabList>
        </div>
        <Toolbar aria-label="List" size="small">
          <ColumnsButton
            chosen={columns}
            all={available(side)}
            usual={usual(side)}
            onChoose={(ids) => {
              remember(KEY, ids);
              show({ columns: ids }, true);
            }}
          />
          <Menu>
            <MenuTrigger disableButtonEnhancement>
              <ToolbarButton icon={<MoreHorizontalRegular />} aria-label="More" />
            </MenuTrigger>
            <MenuPopover>
              <MenuList>
                <MenuItemLink icon={<ArrowDownloadRegular />} href={file()}>
                  Export as CSV
                </MenuItemLink>
              </MenuList>
            </MenuPopover>
          </Menu>
        </Toolbar>
      </div>
      <form
        className={styles.form}
        role="search"
        aria-label="Actions"
        onSubmit={(event) => {
          event.preventDefault();
          show({ q: words.trim(), action: null });
        }}
      >
        <Field label="Search" className={styles.search}>
          <SearchBox
            data-search="page"
            placeholder="Target, person or id"
            value={words}
            onChange={(_, data) => {
              setWords(data.value);
              if (data.value === '' && view.q) show({ q: '' });
            }}
          />
        </Field>
        <Field label="Action" className={styles.choice}>
          <Choices
            choices={[ANY, ...(types.data ?? []).map((type) => ({ value: type.actionType, label: type.title }))]}
            value={view.kind}
            onChoose={(kind) => show({ kind })}
          />
        </Field>
        <Field label="Action source" className={styles.choice}>
          <Choices
            choices={[ANY, ...SOURCES.map((value) => ({ value, label: value }))]}
            value={view.source}
            onChoose={(source) => show({ source })}
          />
        </Field>
        {side === 'provider' && (
          <Field label="Customer" className={styles.choice}>
            <Choices
              choices={[ANY, ...(tenants.data?.value ?? []).map((one) => ({ value: one.id, label: one.name }))]}
              value={view.tenant}
              onChoose={(tenant) => show({ tenant })}
            />
          </Field>
        )}
        {!pending && (
          <Field label="Period" className={styles.choice}>
            <Choices choices={[...PERIODS]} value={view.period} onChoose={(period) => show({ period })} />
          </Field>
        )}
        {!pending && view.period === 'custom' && (
          <>
            <Field label="From">
              <Input type="datetime-local" value={input(view.from)} onChange={(_, data) => show({ from: fromInput(data.value) }, true)} />
            </Field>
            <Field label="To">
              <Input type="datetime-local" value={input(view.to)} onChange={(_, data) => show({ to: fromInput(data.value) }, true)} />
            </Field>
          </>
        )}
      </form>
      <span className={styles.count} role="status">
        {count === undefined ? ' ' : `${count.toLocaleString()} action${count === 1 ? '' : 's'}`}
      </span>
      {picked.length > 0 && (
        <div className={styles.bulk} role="region" aria-label="Selected actions">
          <span>{picked.length} selected</span>
          {CHANGES.filter((one) => (pending ? one.change !== 'undo' : one.change === 'undo')).map((one) => {
            const fit = picked.filter((row) => row.may[one.change].allowed);
            // Only what some customers want is shown only where there is some of it.
            if (one.seldom && !picked.some((row) => row.state === 'proposed')) return null;
            return (
              <GuardedButton
                key={one.change}
                size="small"
                may={{ allowed: fit.length > 0, because: picked[0]?.may[one.change].because ?? null }}
                onClick={() => setBulk({ change: one.change, actions: picked })}
              >
                {one.label}
              </GuardedButton>
            );
          })}
          <Button size="small" appearance="subtle" onClick={() => setSelected(new Set())}>
            Clear
          </Button>
        </div>
      )}
      {list.isPending ? (
        <Waiting rows={8} label="Loading actions" />
      ) : list.isError && rows.length === 0 ? (
        <Failure error={list.error} retry={() => void list.refetch()} title="The actions could not be read" />
      ) : rows.length === 0 ? (
        <Empty title={pending ? 'Nothing is pending' : 'No actions here'}>
          {narrowed(view)
            ? 'No action within your reach fits the filters above.'
            : pending
              ? 'No action waits for approval or for its turn.'
              : 'Nothing was done yet.'}
        </Empty>
      ) : (
        <Table
          label="Actions"
          columns={columns}
          rows={rows}
          id={(row) => row.id}
          name={(row) => `${row.title}: ${row.target.name}`}
          href={(row) => `/actions?tab=${view.tab}&action=${encodeURIComponent(row.id)}`}
          sort={{ by: view.order, descending: descending(view) }}
          onSort={(order) => show({ order, reversed: order === view.order && !view.reversed }, true)}
          selected={selected}
          onSelect={setSelected}
          onOpen={(row) => show({ action: row.id }, view.action !== null)}
          current={view.action}
        />
      )}
      {list.hasNextPage && (
        <div className={styles.foot}>
          <Button disabledFocusable={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
            {list.isFetchingNextPage ? 'Loading…' : `Show more (${rows.length.toLocaleString()} shown)`}
          </Button>
        </div>
      )}
      {view.action && (
        <ActionPane
          id={view.action}
          row={rows[at]}
          onClose={() => show({ action: null }, true)}
          step={{ previous: neighbour(-1), next: neighbour(1) }}
        />
      )}
      {bulk && (
        <BulkDialog
          change={bulk.change}
          actions={bulk.actions}
          onClose={() => setBulk(null)}
          onDone={() => {
            setBulk(null);
            setSelected(new Set());
          }}
        />
      )}
    </Page>
  );
}

/** Now, to the hour: periods move on while the page stays open. */
function useHour(): Date {
  const [now, setNow] = useState(() => new Date());
  useEffect(() => {
    const timer = setInterval(() => setNow(new Date()), 3_600_000);
    return () => clearInterval(timer);
  }, []);
  return now;
}
