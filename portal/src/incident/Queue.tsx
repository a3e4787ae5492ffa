import {
  Button,
  Menu,
  MenuItem,
  MenuItemLink,
  MenuList,
  MenuPopover,
  MenuTrigger,
  SearchBox,
  Spinner,
  Tab,
  TabList,
  Toolbar,
  ToolbarButton,
  makeStyles,
  tokens,
} from '@fluentui/react-components';
import {
  ArrowClockwiseRegular,
  ArrowDownloadRegular,
  EditRegular,
  LinkRegular,
  MoreHorizontalRegular,
} from '@fluentui/react-icons';
import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useMemo, useRef, useState } from 'react';
import { useNavigate, useSearchParams } from 'react-router';

import { useEvents } from '../api/events';
import type { IncidentRow } from '../api/hand';
import { useSession } from '../api/session';
import { ColumnsButton } from '../ui/ColumnsButton';
import { Page } from '../ui/Page';
import { Table } from '../ui/Table';
import { useToasts } from '../ui/Toasts';
import { remember } from '../ui/remember';
import { Empty, Failure, Waiting } from '../ui/states';
import { Filters } from './Filters';
import { IncidentPane } from './IncidentPane';
import { BulkPanel } from './Manage';
import { SavedFilters } from './SavedFilters';
import { KEY, available, chosenColumns, usualColumns } from './columns';
import { askedBy, rowsById, useCount, usePatchRows, useQueue } from './data';
import { addressOf, filtersOnly, PRESETS, readView, type View } from './query';

const useStyles = makeStyles({
  top: { display: 'flex', flexWrap: 'wrap', gap: '8px 12px', alignItems: 'center', justifyContent: 'space-between' },
  tabs: { overflowX: 'auto', maxWidth: '100%', marginInline: '-8px' },
  bar: { display: 'flex', flexWrap: 'wrap', gap: '8px', alignItems: 'center' },
  search: { width: '280px', maxWidth: '100%', '@media (max-width: 640px)': { width: '100%' } },
  count: { color: tokens.colorNeutralForeground2, marginInlineEnd: 'auto' },
  foot: { display: 'flex', justifyContent: 'center', padding: '4px', minHeight: '40px' },
  bulk: {
    display: 'flex',
    flexWrap: 'wrap',
    alignItems: 'center',
    gap: '8px 12px',
    padding: '6px 12px',
    borderRadius: tokens.borderRadiusLarge,
    backgroundColor: tokens.colorBrandBackground2,
    color: tokens.colorNeutralForeground1,
  },
  live: { color: tokens.colorNeutralForeground2 },
});

/** The incident queue. Everything that is shown follows from the address. */
export default function Queue() {
  const styles = useStyles();
  const { side } = useSession();
  const [params] = useSearchParams();
  const navigate = useNavigate();
  const view = useMemo(() => readView(params), [params]);
  const now = useHour();
  const asked = useMemo(() => askedBy(view, now), [view, now]);
  const queue = useQueue(asked);
  const count = useCount(asked);
  const rows = useMemo(() => {
    // A row that changed between two pages may come twice.
    const seen = new Set<string>();
    return (queue.data?.pages ?? [])
      .flatMap((page) => page.value)
      .filter((row) => !seen.has(row.id) && seen.add(row.id));
  }, [queue.data]);
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [managing, setManaging] = useState(false);
  const [words, setWords] = useState(view.q);
  const toasts = useToasts();
  const live = useLive(rows, () => {
    void queue.refetch();
    void count.refetch();
  });

  const show = (next: Partial<View>, replace = false) =>
    navigate({ search: addressOf({ ...view, ...next }) }, { replace });
  useEffect(() => setWords(view.q), [view.q]);
  // Ticks are about rows that can be seen.
  const asking = JSON.stringify(asked);
  useEffect(() => setSelected(new Set()), [asking]);

  const columns = useMemo(() => chosenColumns(view.columns, side), [view.columns, side]);
  const picked = useMemo(() => rows.filter((row) => selected.has(row.id)), [rows, selected]);
  const here = filtersOnly(view);
  const preset = PRESETS.find((one) => filtersOnly(readView(new URLSearchParams(one.query))) === here);
  const choosePreset = (query: string) =>
    navigate({ search: addressOf({ ...readView(new URLSearchParams(query)), columns: view.columns, sort: view.sort }) });
  const openAt = rows.findIndex((row) => row.id === view.open);
  const neighbour = (step: number) => {
    const row = openAt < 0 ? undefined : rows[openAt + step];
    return row ? () => show({ open: row.id }, true) : null;
  };
  const exportLink = () => {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(asked)) if (value) query.set(name, value);
    return `/api/v1/incidents/export?${query}`;
  };
  const copy = async () => {
    const link = new URL(window.location.href);
    link.search = addressOf({ ...view, open: null });
    try {
      await navigator.clipboard.writeText(link.href);
      toasts.done('The link to this list is copied.');
    } catch {
      toasts.fail(new Error('The browser did not let us copy. Copy the address instead.'));
    }
  };

  return (
    <Page title="Incidents">
      <div className={styles.top}>
        <div className={styles.tabs}>
          <TabList
            size="small"
            selectedValue={preset?.id ?? null}
            onTabSelect={(_, data) => choosePreset(PRESETS.find((one) => one.id === data.value)?.query ?? '')}
            aria-label="Filter presets"
          >
            {PRESETS.map((one) => (
              <Tab key={one.id} value={one.id}>
                {one.id === 'handed' && side === 'provider' ? 'Awaiting customer action' : one.label}
              </Tab>
            ))}
          </TabList>
        </div>
        <Toolbar aria-label="List" size="small">
          <SavedFilters query={addressOf({ ...view, open: null })} onUse={(query) => navigate({ search: query })} />
          <ColumnsButton
            chosen={columns}
            all={available(side)}
            usual={usualColumns(side)}
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
                <MenuItem icon={<LinkRegular />} onClick={copy}>
                  Copy list link
                </MenuItem>
                <MenuItemLink icon={<ArrowDownloadRegular />} href={exportLink()}>
                  Export as CSV (at most 10,000 rows)
                </MenuItemLink>
              </MenuList>
            </MenuPopover>
          </Menu>
        </Toolbar>
      </div>

      <div className={styles.bar}>
        <form
          role="search"
          aria-label="In this list"
          className={styles.search}
          data-search="page"
          onSubmit={(event) => {
            event.preventDefault();
            show({ q: words.trim(), open: null });
          }}
        >
          <SearchBox
            style={{ width: '100%', maxWidth: '100%' }}
            placeholder="Name, id or asset"
            aria-label="Search in this list"
            value={words}
            onChange={(_, data) => {
              setWords(data.value);
              if (data.value === '' && view.q) show({ q: '' });
            }}
          />
        </form>
        <Filters view={view} rows={rows} onChange={(next) => show({ ...next, open: null })} />
      </div>

      <div className={styles.bar}>
        <span className={styles.count} role="status">
          {count.data ? `${count.data.count.toLocaleString()} incident${count.data.count === 1 ? '' : 's'}` : ' '}
          {queue.isFetching && !queue.isPending ? ' · refreshing' : ''}
        </span>
        {live.waiting > 0 && (
          <Button size="small" icon={<ArrowClockwiseRegular />} onClick={live.refresh}>
            {live.waiting === 1 ? '1 incident changed' : `${live.waiting} incidents changed`} – refresh
          </Button>
        )}
      </div>

      {picked.length > 0 && (
        <div className={styles.bulk} role="region" aria-label="Selected incidents">
          <span>{picked.length} selected</span>
          <Button size="small" icon={<EditRegular />} onClick={() => setManaging(true)}>
            Manage
          </Button>
          <Button size="small" appearance="subtle" onClick={() => setSelected(new Set())}>
            Clear
          </Button>
        </div>
      )}

      {queue.isPending ? (
        <Waiting rows={10} label="Loading incidents" />
      ) : queue.isError && rows.length === 0 ? (
        <Failure error={queue.error} retry={() => void queue.refetch()} title="The queue could not be read" />
      ) : rows.length === 0 ? (
        <Empty
          title="No incidents match"
          action={
            here || view.q ? (
              <Button onClick={() => navigate({ search: 'status=all&severity=all&period=all' })}>
                Show all incidents
              </Button>
            ) : undefined
          }
        >
          {here || view.q
            ? 'No incident within your reach fits the filters and words above.'
            : 'No incident is new or in progress. Resolved ones are under another status.'}
        </Empty>
      ) : (
        <Table
          label="Incidents"
          columns={columns}
          rows={rows}
          id={(row) => row.id}
          name={(row) => row.displayName}
          href={(row) => `/incidents/${row.id}`}
          sort={{ by: columns.find((column) => column.field === view.sort.by)?.id ?? '', descending: view.sort.descending }}
          onSort={(id) => {
            const field = columns.find((column) => column.id === id)?.field;
            if (!field) return;
            show({ sort: { by: field, descending: view.sort.by === field ? !view.sort.descending : true } }, true);
          }}
          selected={selected}
          onSelect={setSelected}
          onOpen={(row) => show({ open: row.id }, view.open !== null)}
          current={view.open}
        />
      )}
      {rows.length > 0 && (
        <div className={styles.foot}>
          {queue.isFetchingNextPage ? (
            <Spinner size="tiny" label="Loading more" />
          ) : queue.hasNextPage ? (
            <Button onClick={() => void queue.fetchNextPage()}>
              Show more ({rows.length.toLocaleString()} shown)
            </Button>
          ) : queue.isError ? (
            <Failure error={queue.error} retry={() => void queue.fetchNextPage()} />
          ) : (
            <span className={styles.live}>
              {rows.length > 20 ? 'End of the list' : ''}
            </span>
          )}
        </div>
      )}
      <IncidentPane
        id={view.open}
        row={rows[openAt]}
        onClose={() => show({ open: null }, true)}
        previous={neighbour(-1)}
        next={neighbour(1)}
      />
      <BulkPanel
        open={managing}
        rows={picked}
        onClose={() => setManaging(false)}
        onDone={() => {
          setManaging(false);
          setSelected(new Set());
        }}
      />
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

/**
 * What changes while the list is looked at: rows that are shown change where they stand, anything
 * else is only counted, so that nothing moves under the reader's hand.
 */
function useLive(rows: IncidentRow[], again: () => void) {
  const patch = usePatchRows();
  const queries = useQueryClient();
  const [others, setOthers] = useState<ReadonlySet<string>>(new Set());
  const pending = useRef(new Set<string>());
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null);
  const shown = useRef(rows);
  useEffect(() => {
    shown.current = rows;
  }, [rows]);
  useEvents((fact) => {
    if (!fact.incidentId || !fact.kind.startsWith('incident.')) return;
    pending.current.add(fact.incidentId);
    timer.current ??= setTimeout(() => {
      timer.current = null;
      const changed = [...pending.current];
      pending.current.clear();
      const visible = new Set(shown.current.map((row) => row.id));
      const inside = changed.filter((id) => visible.has(id)).slice(0, 40);
      const outside = changed.filter((id) => !visible.has(id));
      if (outside.length) setOthers((known) => new Set([...known, ...outside]));
      if (inside.length) {
        rowsById(inside).then((page) => patch(page.value), () => undefined);
        for (const id of inside) void queries.invalidateQueries({ queryKey: ['incident', id] });
      }
    }, 700);
  });
  return {
    waiting: others.size,
    refresh: () => {
      setOthers(new Set());
      again();
    },
  };
}
