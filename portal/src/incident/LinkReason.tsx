import { makeStyles, tokens } from '@fluentui/react-components';

import type { Alert } from '../api/hand';

const useStyles = makeStyles({
  list: { listStyleType: 'none', margin: 0, padding: 0, display: 'grid', gap: '4px' },
  muted: { color: tokens.colorNeutralForeground2 },
  name: { overflowWrap: 'anywhere' },
});

const weight = (value: number): string => value.toLocaleString(undefined, { maximumFractionDigits: 2 });

/** Which shared entity put an alert into its incident, and how much that entity says. */
export function LinkReason({ alert, most }: { alert: Alert; most?: number }) {
  const styles = useStyles();
  const links = alert.links ?? [];
  if (links.length === 0) return <span className={styles.muted}>It opened the incident, or somebody put it here</span>;
  const shown = links.slice(0, most ?? links.length);
  return (
    <ul className={styles.list}>
      {shown.map((link) => (
        <li key={`${link.entityKind} ${link.entityName} ${link.withAlertId}`}>
          Same {link.entityKind} <strong className={styles.name}>{link.entityName}</strong> as {link.withAlertId}{' '}
          <span className={styles.muted}>(weight {weight(link.weight)})</span>
        </li>
      ))}
      {links.length > shown.length && <li className={styles.muted}>and {links.length - shown.length} more</li>}
    </ul>
  );
}
