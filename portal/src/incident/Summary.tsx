import { makeStyles, tokens } from '@fluentui/react-components';

import type { Incident } from '../api/hand';
import { Rich } from '../ui/Rich';
import { Section } from '../ui/Section';
import { IncidentFacts, PriorityFactors } from './IncidentFacts';

const useStyles = makeStyles({
  columns: {
    display: 'grid',
    gridTemplateColumns: 'repeat(auto-fit, minmax(min(100%, 380px), 1fr))',
    gap: '16px',
    alignItems: 'start',
  },
  stack: { display: 'flex', flexDirection: 'column', gap: '16px', minWidth: 0 },
  text: { whiteSpace: 'pre-wrap', overflowWrap: 'anywhere', margin: 0 },
  muted: { color: tokens.colorNeutralForeground2, margin: 0 },
});

/** What is known, on one page. */
export default function Summary({ incident }: { incident: Incident }) {
  const styles = useStyles();
  return (
    <div className={styles.columns}>
      <div className={styles.stack}>
        <Section title="Investigation summary">
          {incident.summary ? (
            <Rich text={incident.summary} />
          ) : (
            <p className={styles.muted}>The experts write it when they conclude the investigation.</p>
          )}
        </Section>
        {/* When experts publish, the contract's description is the summary once more. */}
        {incident.description && incident.description !== incident.summary && (
          <Section title="Description">
            <p className={styles.text}>{incident.description}</p>
          </Section>
        )}
        <Section title="Why this priority">
          {incident.priorityScore === null ? (
            <p className={styles.muted}>No priority was computed.</p>
          ) : (
            <PriorityFactors row={incident} />
          )}
        </Section>
      </div>
      <Section title="Details">
        <IncidentFacts row={incident} />
      </Section>
    </div>
  );
}
