import { makeStyles } from '@fluentui/react-components';

import type { Device } from '../api/hand';
import { sentence } from '../api/error';
import { Mark } from '../ui/Mark';
import { Moment } from '../ui/Moment';

const useStyles = makeStyles({
  badges: { display: 'flex', flexWrap: 'wrap', alignItems: 'center', gap: '6px' },
});

/** Whether the agent is there, and everything that is in force on the device. */
export function StateBadges({ device, since }: { device: Device; /** Also since when it is away. */ since?: boolean }) {
  const styles = useStyles();
  const { agent, state } = device;
  return (
    <span className={styles.badges}>
      {!agent ? (
        <Mark look={{ label: 'No agent', color: 'subtle' }} />
      ) : agent.online ? (
        <Mark look={{ label: 'Online', color: 'success' }} />
      ) : (
        <>
          <Mark look={{ label: 'Offline', color: 'informative' }} />
          {since && agent.seenDateTime && (
            <span>
              since <Moment at={agent.seenDateTime} />
            </span>
          )}
        </>
      )}
      {state.isolated && (
        <Mark look={{ label: state.isolated.mode === 'selective' ? 'Isolated (selective)' : 'Isolated', color: 'danger' }} />
      )}
      {state.restricted && <Mark look={{ label: 'App execution restricted', color: 'warning' }} />}
      {device.highValue && <Mark look={{ label: 'High value', color: 'important' }} />}
      {device.excluded && <Mark look={{ label: 'Excluded', color: 'subtle' }} title={sentence(device.excluded.because)} />}
    </span>
  );
}
