import { Checkbox, Link, makeStyles, mergeClasses, tokens, useRestoreFocusTarget } from '@fluentui/react-components';
import { ArrowDownRegular, ArrowUpRegular } from '@fluentui/react-icons';
import { memo, startTransition, useEffect, useLayoutEffect, useMemo, useRef, useState, type KeyboardEvent, type MouseEvent, type ReactNode } from 'react';

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
  link: {
    display: '-webkit-box',
    WebkitBoxOrient: 'vertical',
    WebkitLineClamp: '2',
    overflow: 'hidden',
    overflowWrap: 'anywhere',
    textAlign: 'start',
  },
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
  /** The page of a row: its name leads there, and opens the row when it is simply clicked. */
  href?: (row: Row) => string;
  /** The row whose pane is open. */
  current?: string | null;
};

/** Rows that fill a screen. */
const FIRST = 12;

/** How many of the rows are drawn: those that fill a screen at once, the rest when there is time. */
function useBySteps(total: number): number {
  const [drawn, setDrawn] = useState(FIRST);
  useEffect(() => {
    if (drawn < total) startTransition(() => setDrawn(total));
  }, [drawn, total]);
  return drawn;
}

/**
 * A table whose rows are walked with the arrow keys, opened with Enter and ticked with the space
 * bar. On a phone each row is a small card. A thousand rows stay quick, because a row is drawn anew
 * only when something of its own has changed; so `columns` should keep their identity.
 */
export function Table<Row>(props: Props<Row>) {
  const { label, columns, rows, id, name, sort, onSort, selected, onSelect, onOpen, current } = props;
  const styles = useStyles();
  const body = useRef<HTMLTableSectionElement>(null);
  const anchor = useRef<number | null>(null);
  const [place, setPlace] = useState(0);
  const drawn = useBySteps(rows.length);
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
    const target = event.target as Element;
    if (target.closest('a[data-row]')) {
      // With a key held the browser does what it always does.
      if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
      event.preventDefault();
    } else {
      // Links, buttons and boxes in the row do what they say; selecting text opens nothing.
      if (target.closest('a, button, input, label')) return;
      if (window.getSelection()?.toString()) return;
    }
    go(index);
    onOpen(row);
  };
  // What rows call stays the same from one drawing to the next and does what is right by then.
  const now = useRef({ keys, click, toggle });
  useLayoutEffect(() => {
    now.current = { keys, click, toggle };
  });
  const acts = useMemo<Acts>(
    () => ({
      key: (event, index) => now.current.keys(event, index),
      click: (event, index) => now.current.click(event, index),
      toggle: (index, range) => now.current.toggle(index, range),
      focus: setPlace,
    }),
    [],
  );
  const all = rows.length > 0 && rows.every((row) => selected?.has(id(row)));
  const some = rows.some((row) => selected?.has(id(row)));

  return (
    // Where no row takes the focus the frame does, so that the keyboard can scroll a wide table.
    <div className={styles.frame} tabIndex={walks ? undefined : 0}>
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
          {rows.slice(0, drawn).map((row, index) => {
            const key = id(row);
            return (
              <Line
                key={key}
                row={row}
                index={index}
                columns={columns as Column<unknown>[]}
                name={name(row)}
                href={props.href?.(row)}
                opens={Boolean(onOpen)}
                walks={walks}
                here={walks && index === at}
                ticked={onSelect && Boolean(selected?.has(key))}
                marked={current === key}
                acts={acts}
              />
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

type Acts = {
  key: (event: KeyboardEvent, index: number) => void;
  click: (event: MouseEvent, index: number) => void;
  toggle: (index: number, range: boolean) => void;
  focus: (index: number) => void;
};

type LineProps = {
  row: unknown;
  index: number;
  columns: Column<unknown>[];
  name: string;
  href: string | undefined;
  opens: boolean;
  walks: boolean;
  /** The row that the Tab key goes to. */
  here: boolean;
  /** Absent where rows are not ticked. */
  ticked: boolean | undefined;
  marked: boolean;
  acts: Acts;
};

const Line = memo(function Line({ row, index, columns, name, href, opens, walks, here, ticked, marked, acts }: LineProps) {
  const styles = useStyles();
  // When the pane of a row closes, the focus comes back to the row.
  const restores = useRestoreFocusTarget();
  return (
    <tr
      {...(opens ? restores : {})}
      role="row"
      tabIndex={walks ? (here ? 0 : -1) : undefined}
      aria-selected={ticked}
      onKeyDown={walks ? (event) => acts.key(event, index) : undefined}
      onClick={opens ? (event) => acts.click(event, index) : undefined}
      onFocus={walks ? () => acts.focus(index) : undefined}
      className={mergeClasses(styles.row, opens && styles.opens, (ticked || marked) && styles.marked)}
    >
      {ticked !== undefined && (
        <td role="gridcell" className={mergeClasses(styles.td, styles.check)}>
          <Checkbox
            aria-label={`Select ${name}`}
            checked={ticked}
            onChange={(event) => acts.toggle(index, (event.nativeEvent as PointerEvent).shiftKey)}
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
          {column.lead && href ? (
            <Link as="a" data-row className={styles.link} title={name} href={href}>
              {column.cell(row)}
            </Link>
          ) : (
            column.cell(row)
          )}
        </td>
      ))}
    </tr>
  );
});
