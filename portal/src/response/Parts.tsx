/** The two parts that the flyout and the tab have in common. */
import { makeStyles, tokens } from '@fluentui/react-components';
import { useState } from 'react';

import type { ManagedResponse } from '../api/hand';
import { useSession } from '../api/session';
import { useWords } from '../api/use-words';
import { labelOf } from '../api/words';
import { Facts } from '../ui/Facts';
import { GuardedButton } from '../ui/Guarded';
import { Moment } from '../ui/Moment';
import { Rich } from '../ui/Rich';
import { Empty, Notice } from '../ui/states';
import { TaskList } from './TaskCard';
import { RejectDialog } from './dialogs';

const useStyles = makeStyles({
  all: { display: 'flex', flexDirection: 'column', gap: '16px', minWidth: 0 },
  acts: { display: 'flex', flexWrap: 'wrap', gap: '8px', paddingTop: '4px' },
  muted: { color: tokens.colorNeutralForeground2 },
});

/** MR-2: what happened, as the experts wrote it. */
export function SummaryPart({ response }: { response: ManagedResponse }) {
  const styles = useStyles();
  const { classification } = useWords();
  if (response.revision === 0) return <Empty title="No investigation summary yet">The experts publish it together with the actions.</Empty>;
  const kind = classification.find((one) => one.value === response.classification);
  return (
    <div className={styles.all}>
      <Rejected response={response} />
      {response.summary ? <Rich text={response.summary} /> : <span className={styles.muted}>The summary is empty.</span>}
      <Facts
        facts={[
          [
            'Published',
            <span key="p">
              <Moment at={response.publishedDateTime} as="second" /> {response.publishedBy && `by ${response.publishedBy}`}
            </span>,
          ],
          ['Revision', response.revision],
          ['Classification', response.classification && labelOf(classification, response.classification)],
          ['Determination', response.determination && labelOf(kind?.determinations ?? [], response.determination)],
        ]}
      />
    </div>
  );
}

/** MR-3: what is still to be done, and what is done. */
export function ActionsPart({ response }: { response: ManagedResponse }) {
  const styles = useStyles();
  const { side } = useSession();
  const [rejecting, setRejecting] = useState(false);
  if (response.revision === 0) return <Empty title="No actions yet">The experts publish them together with the investigation summary.</Empty>;
  return (
    <div className={styles.all}>
      <Rejected response={response} />
      {response.readyToClose && response.pending.length === 0 && (
        <Notice intent="success" title="Ready to close">
          Every action is done or skipped. The incident can be resolved with <strong>Manage incident</strong>.
        </Notice>
      )}
      <TaskList title="Pending actions" tasks={response.pending} opened none="Nothing is left to do." />
      <TaskList title="Completed actions" tasks={response.completed} none="Nothing is completed yet." />
      {side === 'customer' && !response.rejected && (
        <div className={styles.acts}>
          <GuardedButton may={response.may.reject} onClick={() => setRejecting(true)}>
            Reject this plan
          </GuardedButton>
        </div>
      )}
      {rejecting && <RejectDialog response={response} onClose={() => setRejecting(false)} />}
    </div>
  );
}

export function Rejected({ response }: { response: ManagedResponse }) {
  if (!response.rejected) return null;
  return (
    <Notice intent="warning" title="This plan was rejected">
      {response.rejected.by}, <Moment at={response.rejected.at} />: {response.rejected.because}
    </Notice>
  );
}
