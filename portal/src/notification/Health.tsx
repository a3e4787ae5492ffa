import { makeStyles, tokens } from '@fluentui/react-components';

import { sentence } from '../api/error';
import type { ReceiverHealth } from '../api/hand';
import { Mark } from '../ui/Mark';
import { Moment } from '../ui/Moment';
import { healthLook } from './words';

const useStyles = makeStyles({
  all: { display: 'flex', flexDirection: 'column', alignItems: 'flex-start', gap: '2px', minWidth: 0 },
  why: { fontSize: tokens.fontSizeBase200, color: tokens.colorNeutralForeground2, overflowWrap: 'anywhere' },
});

/** How the way to a receiver goes, and why it does not. */
export function Health({ of, what }: { of: ReceiverHealth | null; what: 'mail' | 'message' }) {
  const styles = useStyles();
  return (
    <span className={styles.all}>
      <Mark look={healthLook(of, what)} />
      {of?.lastError && (
        <span className={styles.why}>
          {sentence(of.lastError)} (<Moment at={of.lastErrorDateTime} as="distance" />)
        </span>
      )}
      {of && of.waiting > 0 && (
        <span className={styles.why}>
          {of.waiting} {of.waiting === 1 ? 'waits' : 'wait'} to be sent
          {of.pausedUntilDateTime && (
            <>
              , the next <Moment at={of.pausedUntilDateTime} as="distance" />
            </>
          )}
        </span>
      )}
    </span>
  );
}
