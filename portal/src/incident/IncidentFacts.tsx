import { makeStyles, tokens } from '@fluentui/react-components';

import type { IncidentRow } from '../api/hand';
import { useSession } from '../api/session';
import { useWords } from '../api/use-words';
import { labelOf, spelled } from '../api/words';
import { Facts } from '../ui/Facts';
import { Moment } from '../ui/Moment';
import { Go } from '../ui/Go';
import { Priority, Severity, Status, Tags } from './badges';

const useStyles = makeStyles({
  factors: { listStyleType: 'none', margin: 0, padding: 0, display: 'grid', gap: '6px' },
  factor: { display: 'grid', gridTemplateColumns: '40px 1fr', gap: '10px' },
  why: { display: 'inline-block', '::first-letter': { textTransform: 'uppercase' } },
  points: { textAlign: 'end', fontVariantNumeric: 'tabular-nums', color: tokens.colorNeutralForeground2 },
});

/** What is known of an incident without opening it. */
export function IncidentFacts({ row }: { row: IncidentRow }) {
  const { classification } = useWords();
  const { side } = useSession();
  const determinations = classification.find((one) => one.value === row.classification)?.determinations ?? [];
  return (
    <Facts
      facts={[
        ['Id', row.id],
        ['Status', <Status key="s" value={row.status} />],
        [
          'Redirected to',
          row.redirectIncidentId && (
            <Go key="r" to={`/incidents/${encodeURIComponent(row.redirectIncidentId)}`}>
              Incident {row.redirectIncidentId}
            </Go>
          ),
        ],
        ['Severity', <Severity key="v" value={row.severity} />],
        ['Priority', <Priority key="p" row={row} />],
        ['Assigned to', row.assignedTo ?? 'Unassigned'],
        ['Customer', side === 'provider' && row.tenantName],
        ['Not taken by experts because', row.leftOutBecause],
        ['Classification', row.classification === 'unknown' ? 'Not set' : labelOf(classification, row.classification)],
        ['Determination', row.determination !== 'unknown' && labelOf(determinations, row.determination)],
        ['Resolving comment', row.resolvingComment],
        ['Tags', row.systemTags.length + row.customTags.length > 0 && <Tags key="t" row={row} />],
        ['Alerts', row.alertCount.toLocaleString()],
        ['Categories', row.categories.map(spelled).join(', ')],
        ['Products', row.products.join(', ')],
        ['MITRE techniques', row.mitreTechniques.join(', ')],
        ['First activity', row.firstActivityDateTime && <Moment key="f" at={row.firstActivityDateTime} />],
        ['Last activity', row.lastActivityDateTime && <Moment key="l" at={row.lastActivityDateTime} />],
        ['Created', <Moment key="c" at={row.createdDateTime} />],
        ['Investigation began', row.startedDateTime && <Moment key="b" at={row.startedDateTime} />],
        [
          'Last update',
          <span key="u">
            <Moment at={row.lastUpdateDateTime} /> by {row.lastModifiedBy}
          </span>,
        ],
      ]}
    />
  );
}

export function PriorityFactors({ row }: { row: IncidentRow }) {
  const styles = useStyles();
  return (
    <ul className={styles.factors}>
      {row.priorityFactors.map((factor) => (
        <li key={factor.name} className={styles.factor}>
          <span className={styles.points}>
            {factor.points >= 0 ? '+' : '−'}
            {Math.abs(factor.points)}
          </span>
          <span className={styles.why}>{factor.why}</span>
        </li>
      ))}
    </ul>
  );
}
