import { makeStyles, tokens } from '@fluentui/react-components';

const useStyles = makeStyles({
  json: {
    margin: 0,
    padding: '10px 12px',
    maxHeight: '320px',
    overflow: 'auto',
    whiteSpace: 'pre-wrap',
    overflowWrap: 'anywhere',
    fontFamily: tokens.fontFamilyMonospace,
    fontSize: tokens.fontSizeBase200,
    backgroundColor: tokens.colorNeutralBackground3,
    borderRadius: tokens.borderRadiusMedium,
    ':focus-visible': { outline: `2px solid ${tokens.colorStrokeFocus2}` },
  },
  more: { minWidth: 0 },
  summary: { cursor: 'pointer', overflowWrap: 'anywhere' },
});

const written = (value: unknown): string =>
  typeof value === 'string' ? value : (JSON.stringify(value, null, 2) ?? 'nothing');

/** Data as programs exchange it, in a block that scrolls by itself. */
export function Json({ value, label }: { value: unknown; label: string }) {
  const styles = useStyles();
  return (
    // What scrolls must be reached by the keyboard.
    // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <pre className={styles.json} tabIndex={0} role="region" aria-label={label}>
      {written(value)}
    </pre>
  );
}

/** The same, shown when it is asked for. */
export function JsonMore({ value, label }: { value: unknown; label: string }) {
  const styles = useStyles();
  return (
    <details className={styles.more}>
      <summary className={styles.summary}>{label}</summary>
      <Json value={value} label={label} />
    </details>
  );
}
