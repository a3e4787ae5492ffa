import { Checkbox, makeStyles, mergeClasses, tokens, useRestoreFocusTarget } from '@fluentui/react-components';
import { ArrowDownRegular, ArrowUpRegular } from '@fluentui/react-icons';
import { useRef, useState, type KeyboardEvent, type MouseEvent, type ReactNode } from 'react';

const useStyles = makeStyles({
  frame: {
    overflowX: 'auto',
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    borderRadius: tokens.borderRadiusLarge,
    backgroundColor: tokens.colorNeutralBackground1,
  },
  table: { borderCollapse: 'collapse', width: '100%' },
  head: { '@media (max-width: 640px)': { display: 'none' } },
  th: {
    textAlign: 'start',
    fontWeight: tokens.fontWeightSemibold,
    fontSize: tokens.fontSizeBase200,
    color: tokens.colorNeutralForeground2,
    whiteSpace: 'nowrap',
    padding: '0 8px',
    height: '36px',
    borderBottom: `1px solid ${tokens.colorNeutralStroke2}`,
    backgroundColor: tokens.colorNeutralBackground2,
  },
  sort: {
    display: 'inline-flex',
    alignItems: 'center',
    gap: '4px',
    font: 'inherit',
    color: 'inherit',
    padding: '4px 0',
    border: 'none',
    backgroundColor: 'transparent',
    cursor: 'pointer',
    ':hover': { color: tokens.colorNeutralForeground1 },
  },
  row: {
    borderBottom: `1px solid ${tokens.colorNeutralStroke3}`,
    ':last-child': { borderBottom: 'none' },
    ':focus-visible': { outline: `2px solid ${tokens.colorStrokeFocus2}`, outlineOffset: '-2px' },
    '@media (max-width: 640px)': {
      position: 'relative',
      display: 'flex',
      flexWrap: 'wrap',
      alignItems: 'center',
      gap: '4px 10px',
      padding: '10px 12px',
    },
  },
  opens: { cursor: 'pointer', ':hover': { backgroundColor: tokens.colorNeutralBackground1Hover } },
  marked: { backgroundColor: tokens.colorNeutralBackground1Selected },
  td: {
    padding: '7px 8px',
    verticalAlign: 'middle',
    fontSize: tokens.fontSizeBase300,
    '@media (max-width: 640px)': { padding: 0, fontSize: tokens.fontSizeBase200 },
  },
  nowrap: { whiteSpace: 'nowrap' },
  lead: {
    minWidth: '210px',
    overflowWrap: 'anywhere',
    '@media (max-width: 640px)': { flex: '1 0 100%', order: -1, boxSizing: 'border-box', paddingRight: '40px', minWidth: 0, fontSize: tokens.fontSizeBase300 },
  },
  minor: { '@media (max-width: 640px)': { display: 'none' } },
  end: { textAlign: 'end' },
  name: { display: 'none', color: tokens.colorNeutralForeground2, '@media (max-width: 640px)': { display: 'inline' } },
  check: {
    width: '36px',
    padding: '0 0 0 6px',
    '@media (max-width: 640px)': { position: 'absolute', top: '4px', right: '4px', width: 'auto', padding: 0 },
  },
});

export type Column<Row> = {
  id: string;
  label: string;
  cell: (row: Row) => ReactNode;
  /** The column that says what the row is; on a phone it stands first, over the whole width. */
  lead?: boolean;
  /** Left out on a phone. */
  minor?: boolean;
  nowrap?: boolean;
  end?: boolean;
  /** Can be sorted by. */
  sorts?: boolean;
  /** On a phone the label stands before the value, because the value alone says nothing. */
  named?: boolean;
};

type Props<Row> = {
  label: string;
  columns: Column<Row>[];
  rows: Row[];
  id: (row: Row) => string;
  /** What a row is called when it is ticked. */
  name: (row: Row) => string;
  sort?: { by: string; descending: boolean };
  onSort?: (by: string) => void;
  selected?: ReadonlySet<string>;
  onSelect?: (selected: Set<string>) => void;
  onOpen?: (row: Row) => void;
  /** The row whose pane is open. */
  current?: string | null;
};

/**
 * A table whose rows are walked with the arrow keys, opened with Enter and ticked with the space
 * bar. On a phone each row is a small card.
 */
export function Table<Row>(props: Props<Row>) {
  const { label, columns, rows, id, name, sort, onSort, selected, onSelect, onOpen, current } = props;
  const styles = useStyles();
  // When the pane of a row closes, the focus comes back to the row.
  const restores = useRestoreFocusTarget();
  const body = useRef<HTMLTableSectionElement>(null);
  const anchor = useRef<number | null>(null);
  const [place, setPlace] = useState(0);
  const at = Math.min(place, Math.max(0, rows.length - 1));
  const walks = Boolean(onOpen || onSelect);

  const go = (to: number) => {
    const next = Math.max(0, Math.min(rows.length - 1, to));
    setPlace(next);
    (body.current?.children[next] as HTMLElement | undefined)?.focus();
  };
  const toggle = (index: number, range: boolean) => {
    if (!selected || !onSelect) return;
    const next = new Set(selected);
    const row = rows[index];
    if (!row) return;
    const on = !next.has(id(row));
    const from = range && anchor.current !== null ? Math.min(anchor.current, index) : index;
    const to = range && anchor.current !== null ? Math.max(anchor.current, index) : index;
    for (const one of rows.slice(from, to + 1)) {
      if (on) next.add(id(one));
      else next.delete(id(one));
    }
    anchor.current = index;
    onSelect(next);
  };
  const keys = (event: KeyboardEvent, index: number) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const onRow = event.target === event.currentTarget;
    const moves: Record<string, number> = {
      ArrowDown: index + 1,
      ArrowUp: index - 1,
      Home: 0,
      End: rows.length - 1,
    };
    const row = rows[index];
    if (event.key in moves) go(moves[event.key] ?? index);
    else if (event.key === 'Enter' && onRow && onOpen && row) onOpen(row);
    else if (event.key === ' ' && onRow && onSelect) toggle(index, event.shiftKey);
    else return;
    event.preventDefault();
  };
  const click = (event: MouseEvent, index: number) => {
    const row = rows[index];
    if (!onOpen || !row) return;
    // Links, buttons and boxes in the row do what they say; selecting text opens nothing.
    if ((event.target as Element).closest('a, button, input, label')) return;
    if (window.getSelection()?.toString()) return;
    go(index);
    onOpen(row);
  };
  const all = rows.length > 0 && rows.every((row) => selected?.has(id(row)));
  const some = rows.some((row) => selected?.has(id(row)));

  return (
    <div className={styles.frame}>
      <table role={walks ? 'grid' : 'table'} aria-label={label} className={styles.table} aria-multiselectable={onSelect ? true : undefined}>
        <thead className={styles.head}>
          <tr role="row">
            {onSelect && (
              <th role="columnheader" className={mergeClasses(styles.th, styles.check)} scope="col">
                <Checkbox
                  aria-label="Select all rows shown"
                  checked={all ? true : some ? 'mixed' : false}
                  onChange={() => onSelect(all ? new Set() : new Set(rows.map(id)))}
                />
              </th>
            )}
            {columns.map((column) => (
              <th
                key={column.id}
                role="columnheader"
                scope="col"
                className={mergeClasses(styles.th, column.end && styles.end)}
                aria-sort={
                  sort?.by === column.id ? (sort.descending ? 'descending' : 'ascending') : undefined
                }
              >
                {column.sorts && onSort ? (
                  <button type="button" className={styles.sort} onClick={() => onSort(column.id)}>
                    {column.label}
                    {sort?.by === column.id &&
                      (sort.descending ? <ArrowDownRegular fontSize={14} /> : <ArrowUpRegular fontSize={14} />)}
                  </button>
                ) : (
                  column.label
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody ref={body}>
          {rows.map((row, index) => {
            const key = id(row);
            const ticked = selected?.has(key);
            return (
              <tr
                key={key}
                {...(onOpen ? restores : {})}
                role="row"
                tabIndex={walks ? (index === at ? 0 : -1) : undefined}
                aria-selected={onSelect ? Boolean(ticked) : undefined}
                onKeyDown={walks ? (event) => keys(event, index) : undefined}
                onClick={onOpen ? (event) => click(event, index) : undefined}
                onFocus={walks ? () => setPlace(index) : undefined}
                className={mergeClasses(
                  styles.row,
                  onOpen && styles.opens,
                  (ticked || current === key) && styles.marked,
                )}
              >
                {onSelect && (
                  <td role="gridcell" className={mergeClasses(styles.td, styles.check)}>
                    <Checkbox
                      aria-label={`Select ${name(row)}`}
                      checked={Boolean(ticked)}
                      onChange={(event) => toggle(index, (event.nativeEvent as PointerEvent).shiftKey)}
                    />
                  </td>
                )}
                {columns.map((column) => (
                  <td
                    key={column.id}
                    role={walks ? 'gridcell' : 'cell'}
                    className={mergeClasses(
                      styles.td,
                      column.nowrap && styles.nowrap,
                      column.lead && styles.lead,
                      column.minor && styles.minor,
                      column.end && styles.end,
                    )}
                  >
                    {(column.named || column.end) && (
                      <span className={styles.name} aria-hidden>
                        {column.label}{' '}
                      </span>
                    )}
                    {column.cell(row)}
                  </td>
                ))}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
