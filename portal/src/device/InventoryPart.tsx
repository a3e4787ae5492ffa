import { SearchBox, Tab, TabList, makeStyles, tokens } from '@fluentui/react-components';
import { useMemo, useState } from 'react';
import { useSearchParams } from 'react-router';

import type { Device, Inventory } from '../api/hand';
import { Table, type Column } from '../ui/Table';
import { Empty } from '../ui/states';
import { lists, type Line } from './inventory';

const useStyles = makeStyles({
  all: { display: 'flex', flexDirection: 'column', gap: '12px' },
  bar: { display: 'flex', flexWrap: 'wrap', gap: '8px 16px', alignItems: 'center', justifyContent: 'space-between' },
  tabs: { overflowX: 'auto', maxWidth: '100%', marginInline: '-8px' },
  search: { width: '280px', maxWidth: '100%', '@media (max-width: 640px)': { width: '100%' } },
  muted: { margin: 0, color: tokens.colorNeutralForeground2 },
});

/** Rows that are drawn at most; what is looked for comes up by searching. */
const MOST = 300;

/** What is on the device, as its agent last told. */
export function InventoryPart({ device }: { device: Device }) {
  if (!device.inventory) return <Empty title="No inventory yet">The agent sends it when it has enrolled, and when something has changed.</Empty>;
  return <Shown inventory={device.inventory} />;
}

function Shown({ inventory }: { inventory: Inventory }) {
  const styles = useStyles();
  const [params, setParams] = useSearchParams();
  const [words, setWords] = useState('');
  const all = useMemo(() => lists(inventory), [inventory]);
  const part = all.find((one) => one.id === params.get('list')) ?? all[0];
  const columns = useMemo<Column<Line>[]>(
    () =>
      (part?.columns ?? []).map((label, at) => ({
        id: label,
        label,
        cell: (line) => line.cells[at] || '–',
        ...(at === 0 ? { lead: true } : { named: true }),
      })),
    [part],
  );
  if (!part) return null;
  const wanted = words.trim().toLowerCase();
  const fitting = wanted ? part.lines.filter((line) => line.cells.some((cell) => cell.toLowerCase().includes(wanted))) : part.lines;
  return (
    <div className={styles.all}>
      <div className={styles.bar}>
        <div className={styles.tabs}>
          <TabList
            size="small"
            selectedValue={part.id}
            onTabSelect={(_, data) => {
              const next = new URLSearchParams(params);
              next.set('list', String(data.value));
              setParams(next, { replace: true });
            }}
            aria-label="Parts of the inventory"
          >
            {all.map((one) => (
              <Tab key={one.id} value={one.id}>
                {one.title} ({one.lines.length.toLocaleString()})
              </Tab>
            ))}
          </TabList>
        </div>
        <SearchBox
          className={styles.search}
          aria-label={`Search in ${part.title}`}
          placeholder={`Search in ${part.title.toLowerCase()}`}
          value={words}
          onChange={(_, data) => setWords(data.value)}
        />
      </div>
      {fitting.length === 0 ? (
        <Empty title={part.lines.length === 0 ? `No ${part.title.toLowerCase()}` : 'Nothing fits'} />
      ) : (
        <Table
          label={part.title}
          columns={columns}
          rows={fitting.slice(0, MOST)}
          id={(line) => line.id}
          name={(line) => line.cells[0] ?? ''}
        />
      )}
      {fitting.length > MOST && (
        <p className={styles.muted}>{(fitting.length - MOST).toLocaleString()} more; search to narrow them down.</p>
      )}
    </div>
  );
}
