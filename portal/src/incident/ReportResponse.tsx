import { makeStyles, tokens } from '@fluentui/react-components';

import { taskLook } from '../api/action-words';
import { sentence } from '../api/error';
import type { ManagedResponse, Task } from '../api/hand';
import { useWords } from '../api/use-words';
import { labelOf } from '../api/words';
import { Facts } from '../ui/Facts';
import { Moment } from '../ui/Moment';
import { Rich } from '../ui/Rich';
import { Grid } from './Grid';

const useStyles = makeStyles({
  small: { margin: '8px 0 0', fontSize: tokens.fontSizeBase300 },
  text: { margin: 0 },
});

/** What the experts published, and what became of each action; on paper. */
export function ResponseOf({ response }: { response: ManagedResponse }) {
  const styles = useStyles();
  const { classification } = useWords();
  if (response.revision === 0) return <p className={styles.text}>No managed response was published.</p>;
  const determinations = classification.find((one) => one.value === response.classification)?.determinations ?? [];
  return (
    <>
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
          ['Determination', response.determination && labelOf(determinations, response.determination)],
          [
            'Rejected',
            response.rejected && (
              <span key="r">
                <Moment at={response.rejected.at} as="second" /> by {response.rejected.by}: {response.rejected.because}
              </span>
            ),
          ],
        ]}
      />
      {response.summary && (
        <>
          <h3 className={styles.small}>Investigation summary</h3>
          <Rich text={response.summary} />
        </>
      )}
      <Tasks title="Completed actions" tasks={response.completed} none="None is completed." />
      <Tasks title="Pending actions" tasks={response.pending} none="Nothing is left to do." />
    </>
  );
}

function Tasks({ title, tasks, none }: { title: string; tasks: Task[]; none: string }) {
  const styles = useStyles();
  return (
    <div>
      <h3 className={styles.small}>
        {title} ({tasks.length})
      </h3>
      {tasks.length === 0 ? (
        <p className={styles.text}>{none}</p>
      ) : (
        <Grid
          label={title}
          head={['Action', 'Target', 'State', 'By', 'When', 'Reason']}
          rows={tasks.map((task) => [
            task.displayName.startsWith(task.title) ? task.displayName : `${task.displayName} (${task.title})`,
            task.target?.name ?? '–',
            state(task),
            task.closed?.by ?? OWNERS[task.source ?? ''] ?? '–',
            <Moment key="w" at={task.closed?.at} as="second" />,
            reason(task),
          ])}
        />
      )}
    </div>
  );
}

/** Whose it is while nobody has closed it. */
const OWNERS: Record<string, string> = {
  defenderExpertsGuidedResponse: 'For the customer',
  defenderExpertsManagedResponse: 'For the experts',
};

function state(task: Task): string {
  const { label } = taskLook(task);
  if (task.state !== 'completed') return label;
  return `${label}, ${task.closed?.verified ? 'verified on the asset' : 'by hand'}`;
}

/** Why it was skipped or failed; of what is left, why it is the customer's. */
function reason(task: Task): string {
  const why = task.closed ? task.closed.because : task.guidedBecause;
  return why ? sentence(why) : '–';
}
