import {
  Button,
  Checkbox,
  Popover,
  PopoverSurface,
  PopoverTrigger,
  ToolbarButton,
  makeStyles,
  mergeClasses,
  tokens,
} from '@fluentui/react-components';
import { ArrowDownRegular, ArrowUpRegular, ColumnEditRegular, ReOrderDotsVerticalRegular } from '@fluentui/react-icons';
import { useRef, useState } from 'react';


const useStyles = makeStyles({
  surface: { width: '300px', maxWidth: 'calc(100vw - 48px)', maxHeight: '70vh', overflowY: 'auto', padding: '12px' },
  title: { margin: '0 0 8px', fontSize: tokens.fontSizeBase300 },
  list: { listStyleType: 'none', margin: 0, padding: 0 },
  item: {
    display: 'flex',
    alignItems: 'center',
    gap: '4px',
    borderRadius: tokens.borderRadiusMedium,
    ':hover': { backgroundColor: tokens.colorNeutralBackground1Hover },
  },
  over: { boxShadow: `0 -2px 0 ${tokens.colorBrandStroke1}` },
  grip: { color: tokens.colorNeutralForeground3, cursor: 'grab', display: 'inline-flex' },
  box: { flexGrow: 1, minWidth: 0 },
  rest: { marginLeft: '18px' },
});

type Choosable = { id: string; label: string; lead?: boolean | undefined };

/** Which columns, and in which order: by dragging, or with the arrows beside each. */
export function ColumnsButton({
  chosen,
  all,
  usual,
  onChoose,
}: {
  chosen: Choosable[];
  all: Choosable[];
  /** What the last button leads back to. */
  usual: string[];
  onChoose: (ids: string[]) => void;
}) {
  const styles = useStyles();
  const [over, setOver] = useState<string | null>(null);
  const dragged = useRef<string | null>(null);
  const ids = chosen.map((column) => column.id);
  const rest = all.filter((column) => !ids.includes(column.id));
    const move = (id: string, to: number) => {
    const next = ids.filter((one) => one !== id);
    next.splice(Math.max(0, Math.min(next.length, to)), 0, id);
    onChoose(next);
  };
  return (
    <Popover positioning="below-end" trapFocus>
      <PopoverTrigger disableButtonEnhancement>
        <ToolbarButton icon={<ColumnEditRegular />}>Columns</ToolbarButton>
      </PopoverTrigger>
      <PopoverSurface className={styles.surface} aria-label="Columns" tabIndex={-1}>
        <h2 className={styles.title}>Columns</h2>
        <ul className={styles.list}>
          {chosen.map((column, index) => (
            <li
              key={column.id}
              className={mergeClasses(styles.item, over === column.id && styles.over)}
              draggable
              onDragStart={() => {
                dragged.current = column.id;
              }}
              onDragOver={(event) => {
                event.preventDefault();
                setOver(column.id);
              }}
              onDragEnd={() => setOver(null)}
              onDrop={() => {
                if (dragged.current && dragged.current !== column.id) move(dragged.current, index);
                setOver(null);
              }}
            >
              <span className={styles.grip} aria-hidden>
                <ReOrderDotsVerticalRegular />
              </span>
              <span className={styles.box}>
                <Checkbox
                  label={column.label}
                  checked
                  disabled={column.lead}
                  onChange={() => onChoose(ids.filter((id) => id !== column.id))}
                />
              </span>
              <Button
                size="small"
                appearance="subtle"
                icon={<ArrowUpRegular />}
                aria-label={`Move ${column.label} towards the start`}
                disabledFocusable={index === 0}
                onClick={() => move(column.id, index - 1)}
              />
              <Button
                size="small"
                appearance="subtle"
                icon={<ArrowDownRegular />}
                aria-label={`Move ${column.label} towards the end`}
                disabledFocusable={index === chosen.length - 1}
                onClick={() => move(column.id, index + 1)}
              />
            </li>
          ))}
          {rest.map((column) => (
            <li key={column.id} className={styles.item}>
              <Checkbox
                className={styles.rest}
                label={column.label}
                checked={false}
                onChange={() => onChoose([...ids, column.id])}
              />
            </li>
          ))}
        </ul>
        <Button appearance="subtle" onClick={() => onChoose(usual)}>
          Back to the usual columns
        </Button>
      </PopoverSurface>
    </Popover>
  );
}
