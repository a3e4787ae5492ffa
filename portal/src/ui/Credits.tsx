import { makeStyles, tokens } from '@fluentui/react-components';

import type { Credits as Counted } from '../api/hand';
import { Go } from './Go';
import { Moment } from './Moment';

const useStyles = makeStyles({
  list: { display: 'grid', gap: '10px', margin: 0, padding: 0, listStyleType: 'none' },
  one: { display: 'grid', gridTemplateColumns: '1fr auto', gap: '2px 16px' },
  muted: { color: tokens.colorNeutralForeground2 },
  end: { textAlign: 'end', fontVariantNumeric: 'tabular-nums' },
});

const WHAT: Record<'granted' | 'spent' | 'expired', string> = { granted: 'Granted', spent: 'Question', expired: 'Expired' };

/** ASK-2: what questions to the experts have cost, the newest first. */
export function CreditLedger({ credits }: { credits: Counted }) {
  const styles = useStyles();
  if (credits.rule === 'unlimited') return <span>Questions to the experts are unlimited.</span>;
  return (
    <>
      <span>
        {credits.usable} of {credits.balance} credits can be used now. {credits.grantedEachQuarter} are granted at the start of each quarter, at most{' '}
        {credits.usableEachQuarter} can be used in one, and what is left expires <Moment at={credits.expiresDateTime} as="day" />.
        {credits.nextDateTime && (
          <>
            {' '}
            The next ones come <Moment at={credits.nextDateTime} as="day" />.
          </>
        )}
      </span>
      <ul className={styles.list}>
        {credits.ledger?.map((line, at) => (
          <li key={at} className={styles.one}>
            <span>
              {WHAT[line.what]}
              {line.conversationId && (
                <>
                  {' '}
                  <Go inline to={`/messages?open=${encodeURIComponent(line.conversationId)}`}>
                    {line.conversationId}
                  </Go>
                </>
              )}
            </span>
            <span className={styles.end}>
              {line.credits > 0 ? '+' : '−'}
              {Math.abs(line.credits)}, {line.balance} left
            </span>
            <span className={styles.muted}>
              <Moment at={line.dateTime} />
              {line.by && ` · ${line.by}`}
            </span>
          </li>
        ))}
      </ul>
    </>
  );
}
