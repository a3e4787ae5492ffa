import { Button, Field, makeStyles, tokens } from '@fluentui/react-components';
import { AddRegular, EyeRegular } from '@fluentui/react-icons';
import { useState } from 'react';

import { taskLook } from '../api/action-words';
import { api, read } from '../api/client';
import { sentence } from '../api/error';
import type { Incident, ManagedResponse, NewTask, Task } from '../api/hand';
import { useWords } from '../api/use-words';
import { headed } from '../api/words';
import { Ask } from '../ui/Ask';
import { Choices } from '../ui/Choices';
import { GuardedButton } from '../ui/Guarded';
import { Panel } from '../ui/Panel';
import { Rich } from '../ui/Rich';
import { Section } from '../ui/Section';
import { useToasts } from '../ui/Toasts';
import { Notice } from '../ui/states';
import { SummaryEditor } from './SummaryEditor';
import { TaskCard } from './TaskCard';
import { EditTask, NewTaskPanel } from './TaskForm';
import { useForgetResponse, useTakeResponse } from './data';
import { RunDialog } from './dialogs';
import { asPublished, fate } from './tasks';

const useStyles = makeStyles({
  row: { display: 'flex', flexWrap: 'wrap', gap: '12px 16px', alignItems: 'end' },
  field: { flex: '1 1 220px', maxWidth: '340px' },
  acts: { display: 'flex', flexWrap: 'wrap', gap: '8px' },
  list: { display: 'flex', flexDirection: 'column', gap: '8px' },
  muted: { color: tokens.colorNeutralForeground2, margin: 0 },
  what: { margin: 0, paddingInlineStart: '18px', display: 'grid', gap: '6px', overflowWrap: 'anywhere' },
});

/** Where experts write a response: summary, verdict, actions, and then all of it to the customer. */
export function Workbench({ incident, response }: { incident: Incident; response: ManagedResponse }) {
  const styles = useStyles();
  const [summary, setSummary] = useState(response.draftSummary ?? response.summary ?? '');
  const [verdict, setVerdict] = useState({
    classification: response.classification ?? '',
    determination: response.determination ?? '',
  });
  const [adding, setAdding] = useState(false);
  const [previewing, setPreviewing] = useState(false);
  const [publishing, setPublishing] = useState(false);
  const words = useWords();
  // What concludes an incident asks nothing of the customer; a response goes with the others.
  const kinds = words.classification.filter((one) => !one.concludes && one.determinations.length > 0);
  const kind = kinds.find((one) => one.value === verdict.classification) ?? kinds[0];
  const determination = kind?.determinations.some((one) => one.value === verdict.determination) ? verdict.determination : '';
  const { drafts, may } = response;
  const seen = [...drafts.map(asPublished), ...response.pending];
  const lacks = !may.publish.allowed
    ? null
    : !summary.trim()
      ? 'The customer reads an investigation summary first: write one.'
      : !determination
        ? 'Choose a determination first.'
        : null;
  return (
    <Section
      title={response.revision === 0 ? 'Compose a managed response' : `Compose revision ${response.revision + 1}`}
      actions={
        <div className={styles.acts}>
          <Button icon={<EyeRegular />} onClick={() => setPreviewing(true)}>
            Preview
          </Button>
          <GuardedButton
            appearance="primary"
            may={lacks ? { allowed: false, because: lacks } : may.publish}
            onClick={() => setPublishing(true)}
          >
            Publish
          </GuardedButton>
        </div>
      }
    >
      {!may.draft.allowed && <Notice>{sentence(may.draft.because ?? 'You cannot write a response here now.')}</Notice>}
      <SummaryEditor incident={incident} response={response} value={summary} onValue={setSummary} />
      <div className={styles.row}>
        {kinds.length > 1 && (
          <Field label="Classification" className={styles.field}>
            <Choices
              choices={kinds}
              value={kind?.value ?? ''}
              onChoose={(value) => setVerdict({ classification: value, determination: '' })}
            />
          </Field>
        )}
        <Field label="Determination" required hint={kind && `Classification: ${kind.label}`} className={styles.field}>
          <Choices
            placeholder="Choose"
            choices={kind?.determinations ?? []}
            value={determination}
            onChoose={(value) => setVerdict({ classification: kind?.value ?? '', determination: value })}
          />
        </Field>
      </div>
      <Section
        plain
        title={`Drafted actions (${drafts.length})`}
        actions={
          <GuardedButton icon={<AddRegular />} may={may.draft} onClick={() => setAdding(true)}>
            Add an action
          </GuardedButton>
        }
      >
        {drafts.length === 0 ? (
          <p className={styles.muted}>Nothing drafted. Add what should be done, by you or by the customer.</p>
        ) : (
          <div className={styles.list}>
            {drafts.map((task) => (
              <TaskCard key={task.id} task={task} sample extra={<DraftActs task={task} />} />
            ))}
          </div>
        )}
      </Section>
      {adding && <NewTaskPanel incident={incident} onClose={() => setAdding(false)} />}
      {previewing && (
        <Panel title="As the customer sees it" open wide onClose={() => setPreviewing(false)}>
          <Section title="Investigation summary" plain>
            {summary.trim() ? <Rich text={summary} /> : <p className={styles.muted}>Nothing is written yet.</p>}
          </Section>
          <Section title="Pending actions" plain>
            {seen.length === 0 && <p className={styles.muted}>None.</p>}
            {seen.map((task) => (
              <TaskCard key={task.id} task={task} opened sample />
            ))}
          </Section>
        </Panel>
      )}
      {publishing && (
        <Publish
          response={response}
          body={{ classification: kind?.value ?? '', determination, summary: summary.trim() }}
          onClose={() => setPublishing(false)}
        />
      )}
    </Section>
  );
}

/** What can be done with a draft. */
function DraftActs({ task }: { task: Task }) {
  const styles = useStyles();
  const toasts = useToasts();
  const forget = useForgetResponse();
  const [editing, setEditing] = useState(false);
  const [running, setRunning] = useState(false);
  const again = () => forget(task.incidentId);
  const remove = async () => {
    try {
      await read(api.DELETE('/api/v1/tasks/{id}', { params: { path: { id: task.id } } }));
      again();
      toasts.done(`${task.displayName} is removed.`, () => {
        const same: NewTask = {
          actionType: task.actionType,
          displayName: task.displayName,
          description: task.description,
          options: task.options,
          ...(task.target && { target: { kind: task.target.kind, id: task.target.id } }),
        };
        read(api.POST('/api/v1/incidents/{id}/tasks', { params: { path: { id: task.incidentId } }, body: same })).then(
          again,
          toasts.fail,
        );
      });
    } catch (refused) {
      toasts.fail(refused);
    }
  };
  const what = fate(task);
  return (
    <div className={styles.list}>
      <p className={styles.muted}>
        {task.state !== 'draft'
          ? 'Run by the experts already; it is published as it is then.'
          : what.managed
            ? 'Carried out by the experts when it is published.'
            : `Left to the customer. ${sentence(what.because ?? '')}`}
      </p>
      <div className={styles.acts}>
        {task.oneClick && (
          <GuardedButton may={task.may.run} onClick={() => setRunning(true)}>
            Run now
          </GuardedButton>
        )}
        <GuardedButton may={task.may.edit} onClick={() => setEditing(true)}>
          Edit
        </GuardedButton>
        <GuardedButton may={task.may.remove} appearance="subtle" onClick={() => void remove()}>
          Remove
        </GuardedButton>
      </div>
      {editing && <EditTask task={task} onClose={() => setEditing(false)} />}
      {running && <RunDialog task={task} onClose={() => setRunning(false)} />}
    </div>
  );
}

/** What is done and on what, said once. */
function named(task: Task): string {
  const on = task.target && !task.displayName.includes(task.target.name) ? `: ${task.target.name}` : '';
  return headed(task.displayName + on);
}

/** Everything goes to the customer at once; what happens with each action is said before. */
function Publish({
  response,
  body,
  onClose,
}: {
  response: ManagedResponse;
  body: { classification: string; determination: string; summary: string };
  onClose: () => void;
}) {
  const styles = useStyles();
  const toasts = useToasts();
  const take = useTakeResponse();
  const drafts = response.drafts.map((task) => ({ task, because: null, ...fate(task) }));
  const managed = drafts.filter((one) => one.managed);
  const guided = drafts.filter((one) => !one.managed);
  return (
    <Ask
      open
      title={`Publish revision ${response.revision + 1}`}
      act="Publish"
      onClose={onClose}
      onAct={async () => {
        take(
          await read(
            api.POST('/api/v1/incidents/{id}/publish', { params: { path: { id: response.incidentId } }, body }),
          ),
        );
        toasts.done('The managed response is published.');
      }}
    >
      {response.drafts.length === 0 && <span>The customer gets the investigation summary. No new actions are drafted.</span>}
      {managed.length > 0 && (
        <Section plain title={`Carried out by the experts (${managed.length})`}>
          <ul className={styles.what}>
            {managed.map(({ task }) => (
              <li key={task.id}>
                {named(task)}
                {task.state !== 'draft' && ` (${taskLook(task).label.toLowerCase()})`}
              </li>
            ))}
          </ul>
        </Section>
      )}
      {guided.length > 0 && (
        <Section plain title={`Left to the customer (${guided.length})`}>
          <ul className={styles.what}>
            {guided.map(({ task, because }) => (
              <li key={task.id}>
                {named(task)}
                {because && <p className={styles.muted}>{sentence(because)}</p>}
              </li>
            ))}
          </ul>
        </Section>
      )}
    </Ask>
  );
}
