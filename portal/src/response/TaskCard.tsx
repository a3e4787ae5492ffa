import { ProgressBar, makeStyles, tokens } from '@fluentui/react-components';
import { ChevronDownRegular, ChevronUpRegular } from '@fluentui/react-icons';
import { useMutation } from '@tanstack/react-query';
import { useId, useState, type KeyboardEvent, type ReactNode } from 'react';

import { useActionTypes } from '../api/action-types';
import { actionLook, proposed, taskLook } from '../api/action-words';
import { useAnswer, useAsked } from '../api/approval';
import { sentence } from '../api/error';
import type { Action, Task } from '../api/hand';
import { useOptions } from '../api/options';
import { useSession } from '../api/session';
import { headed } from '../api/words';
import { Facts } from '../ui/Facts';
import { Go } from '../ui/Go';
import { GuardedButton } from '../ui/Guarded';
import { Mark } from '../ui/Mark';
import { Moment } from '../ui/Moment';
import { Rich } from '../ui/Rich';
import { AskedFacts, SecondPerson } from '../ui/SecondPerson';
import { Thing } from '../ui/Thing';
import { useToasts } from '../ui/Toasts';
import { Notice } from '../ui/states';
import { sendTask, useCancel, useForgetResponse } from './data';
import { CompleteDialog, OverlapNotice, RunDialog, SkipDialog, UndoDialog } from './dialogs';
import { BY_CUSTOMER, pageOf } from './tasks';

const useStyles = makeStyles({
  card: {
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    borderRadius: tokens.borderRadiusLarge,
    backgroundColor: tokens.colorNeutralBackground1,
    minWidth: 0,
  },
  heading: { margin: 0, font: 'inherit' },
  head: {
    display: 'grid',
    gridTemplateColumns: 'minmax(0, 1fr) auto auto',
    alignItems: 'center',
    gap: '4px 12px',
    width: '100%',
    padding: '12px 14px',
    font: 'inherit',
    textAlign: 'start',
    color: 'inherit',
    border: 'none',
    borderRadius: tokens.borderRadiusLarge,
    backgroundColor: 'transparent',
    cursor: 'pointer',
    ':hover': { backgroundColor: tokens.colorNeutralBackground1Hover },
    ':focus-visible': { outline: `2px solid ${tokens.colorStrokeFocus2}`, outlineOffset: '-2px' },
    '@media (max-width: 480px)': { gridTemplateColumns: 'minmax(0, 1fr) auto' },
  },
  what: { display: 'flex', flexDirection: 'column', gap: '2px', minWidth: 0 },
  title: { fontWeight: tokens.fontWeightSemibold, overflowWrap: 'anywhere' },
  meta: { display: 'flex', flexWrap: 'wrap', gap: '2px 14px', color: tokens.colorNeutralForeground2, fontSize: tokens.fontSizeBase200 },
  mark: { '@media (max-width: 480px)': { gridColumn: 1, gridRow: 2, justifySelf: 'start' } },
  arrow: { display: 'inline-flex', fontSize: '20px', '@media (max-width: 480px)': { gridColumn: 2, gridRow: '1 / span 2' } },
  body: { display: 'flex', flexDirection: 'column', gap: '12px', padding: '4px 14px 14px' },
  acts: { display: 'flex', flexWrap: 'wrap', alignItems: 'center', gap: '8px' },
  runs: { listStyleType: 'none', margin: 0, padding: 0, display: 'flex', flexDirection: 'column', gap: '8px' },
  run: { display: 'flex', flexDirection: 'column', gap: '4px', paddingInlineStart: '10px', borderLeft: `3px solid ${tokens.colorNeutralStroke2}` },
  second: {
    display: 'flex',
    flexDirection: 'column',
    gap: '10px',
    padding: '10px 12px',
    borderLeft: `3px solid ${tokens.colorPaletteDarkOrangeBorderActive}`,
    borderRadius: tokens.borderRadiusMedium,
    backgroundColor: tokens.colorNeutralBackground2,
  },
  secondTitle: { margin: 0, fontSize: tokens.fontSizeBase300, fontWeight: tokens.fontWeightSemibold },
  line: { display: 'flex', flexWrap: 'wrap', alignItems: 'center', gap: '4px 10px' },
  muted: { color: tokens.colorNeutralForeground2, overflowWrap: 'anywhere' },
});

/** States in which the action may still be run: then it counts what else was done to the same thing. */
const BEFORE = new Set(['draft', 'open', 'doing', 'failed']);
const CLOSED: Record<string, string> = { completed: 'Completed', failed: 'Failed', skipped: 'Skipped', withdrawn: 'Withdrawn' };

type Dialog = 'run' | 'complete' | 'skip' | 'undo' | null;

/** Whose task it is, as the reader says it. */
function doneBy(task: Task, customer: boolean): string | null {
  if (task.source === null) return null;
  const ours = task.source === BY_CUSTOMER;
  if (ours) return customer ? 'By you' : 'By the customer';
  return 'By the experts';
}

/** MR-3: one action of the plan, with all that can be done with it. */
export function TaskCard({ task, opened, sample, extra }: { task: Task; opened?: boolean; /** It only shows how it will look. */ sample?: boolean; extra?: ReactNode }) {
  const styles = useStyles();
  const id = useId();
  const [open, setOpen] = useState(Boolean(opened));
  const { side } = useSession();
  const customer = side === 'customer' || Boolean(sample);
  const keys = (event: KeyboardEvent) => {
    if (event.key === 'ArrowRight') setOpen(true);
    else if (event.key === 'ArrowLeft') setOpen(false);
    else return;
    event.preventDefault();
  };
  const by = doneBy(task, customer);
  const page = pageOf(task.target);
  const options = useOptions(task.actionType, task.options);
  // What waits for approval says all of this itself.
  const saidOf = task.actions.length === 1 && proposed(task).length === 1;
  const saidAbove = task.actions.some((action) => action.reason !== null && action.reason === task.closed?.because);
  return (
    <article className={styles.card} aria-labelledby={`${id}-name`}>
      <h3 className={styles.heading}>
        <button
          type="button"
          className={styles.head}
          aria-expanded={open}
          aria-controls={`${id}-body`}
          onClick={() => setOpen(!open)}
          onKeyDown={keys}
        >
          <span className={styles.what}>
            <span id={`${id}-name`} className={styles.title} title={task.displayName}>
              {headed(task.displayName)}
            </span>
            <span className={styles.meta}>
              {task.target && <Thing kind={task.target.kind} name={headed(task.target.name)} />}
              {by && <span>{by}</span>}
              {!task.displayName.startsWith(task.title) && <span>{task.title}</span>}
            </span>
          </span>
          <span className={styles.mark}>
            <Mark look={taskLook(task)} />
          </span>
          <span className={styles.arrow} aria-hidden>
            {open ? <ChevronUpRegular /> : <ChevronDownRegular />}
          </span>
        </button>
      </h3>
      {open && (
        <div id={`${id}-body`} className={styles.body}>
          {task.description && <Rich text={task.description} />}
          {task.overlap.length > 0 && BEFORE.has(task.state) && <OverlapNotice overlap={task.overlap} />}
          <Runs task={task} sample={Boolean(sample)} />
          <Facts
            facts={[
              ['Action status', !saidOf && taskLook(task).label],
              ['Target', !saidOf && task.target && <Thing key="t" kind={task.target.kind} name={task.target.name} to={page} />],
              ...(saidOf ? [] : options),
              [customer ? 'Why it is yours' : 'Why the customer does it', task.guidedBecause && sentence(task.guidedBecause)],
              [
                CLOSED[task.state] ?? 'Closed',
                task.closed && (
                  <span key="c">
                    <Moment at={task.closed.at} as="second" /> by {task.closed.by}
                    {task.state === 'completed' && (task.closed.verified ? ', verified on the asset' : ', not verified')}
                  </span>
                ),
              ],
              ['Reason', saidAbove ? null : task.closed?.because && sentence(task.closed.because)],
              ['Takes back', task.undoOf && `Action ${task.undoOf} of this list`],
              ['Taken back by', task.undoneBy && `Action ${task.undoneBy} of this list`],
              [
                'Written by',
                !sample && (
                  <span key="w">
                    {task.createdByDisplayName}, <Moment at={task.createdDateTime} />
                  </span>
                ),
              ],
            ]}
          />
          {!sample && <Acts task={task} />}
          {extra}
        </div>
      )}
    </article>
  );
}

/** Each target's action, while there is more to say than the card's badge says. */
function Runs({ task, sample }: { task: Task; sample: boolean }) {
  const speaks = (action: Action) => !['succeeded', 'started'].includes(action.state) || action.progress || action.reason;
  const second = proposed(task);
  const rest = task.actions.filter((action) => action.state !== 'proposed');
  if (second.length > 0) {
    return (
      <>
        {second.map((action) => (
          <Waits key={action.id} action={action} task={task} sample={sample} />
        ))}
        {rest.length > 0 && <RunList actions={rest} />}
      </>
    );
  }
  if (task.actions.length === 0 || (task.actions.length === 1 && !task.actions.some(speaks))) return null;
  return <RunList actions={task.actions} />;
}

/** An action that a second person has to agree to. */
function Waits({ action, task, sample }: { action: Action; task: Task; sample: boolean }) {
  const styles = useStyles();
  const asked = useAsked(action);
  const answer = useAnswer(action);
  const id = useId();
  return (
    <section className={styles.second} aria-labelledby={id}>
      <h4 id={id} className={styles.secondTitle}>
        Waits for approval
      </h4>
      {/* The card's title is what the experts say of it. */}
      <AskedFacts brief asked={asked.why === task.displayName ? { ...asked, why: null } : asked} />
      {!sample && <SecondPerson small asked={asked} onApprove={answer.approve} onReject={answer.reject} />}
    </section>
  );
}

function RunList({ actions }: { actions: Action[] }) {
  const styles = useStyles();
  return (
    <ul className={styles.runs} aria-label="On each target">
      {actions.map((action) => {
        const look = actionLook(action.state);
        return (
          <li key={action.id} className={styles.run}>
            <span className={styles.line}>
              <Thing kind={action.target.kind} name={action.target.name} to={pageOf(action.target)} />
              <Mark look={look} />
              <Go to={`/actions?tab=history&action=${encodeURIComponent(action.id)}`}>Details</Go>
            </span>
            {look.means && <span className={styles.muted}>{look.means}</span>}
            {action.reason && <span>{sentence(action.reason)}</span>}
            {action.progress && (
              <>
                <ProgressBar
                  value={action.progress.percent / 100}
                  aria-label={`Progress on ${action.target.name}`}
                />
                <span className={styles.muted}>
                  {action.progress.percent} %{action.progress.text && ` · ${action.progress.text}`}
                </span>
              </>
            )}
          </li>
        );
      })}
    </ul>
  );
}

const OVER = new Set(['completed', 'skipped', 'withdrawn']);

/** What can be done with a task; what cannot, and why. */
function Acts({ task }: { task: Task }) {
  const styles = useStyles();
  const toasts = useToasts();
  const forget = useForgetResponse();
  const cancel = useCancel();
  const [dialog, setDialog] = useState<Dialog>(null);
  const step = useMutation({
    mutationFn: (verb: 'begin' | 'reopen') => sendTask(verb, task.id),
    onSuccess: (_, verb) => {
      forget(task.incidentId);
      toasts.done(verb === 'begin' ? `You are at it: ${task.displayName}.` : `${task.displayName} is open again.`);
    },
    onError: toasts.fail,
  });
  const { side } = useSession();
  // What is for the customer to say would only be noise on an expert's card.
  const shows = (verb: 'complete' | 'skip' | 'reopen') => side === 'customer' || task.may[verb].allowed;
  const over = OVER.has(task.state);
  const running = task.state === 'running';
  const failed = task.state === 'failed' || task.actions.some((action) => action.state === 'failed');
  const page = pageOf(task.target) ?? pageOf(task.actions.find((action) => action.state === 'failed')?.target ?? null);
  const types = useActionTypes();
  // What cannot be taken back has no button for it.
  const reverses = types.data?.find((one) => one.actionType === task.actionType)?.reverse ?? null;
  const close = () => setDialog(null);
  return (
    <div className={styles.acts}>
      {!over && !running && task.oneClick && (
        <GuardedButton appearance="primary" may={task.may.run} onClick={() => setDialog('run')}>
          {task.state === 'failed' ? 'Retry' : task.title}
        </GuardedButton>
      )}
      {!over && !running && shows('complete') && (
        <GuardedButton appearance={task.oneClick ? 'secondary' : 'primary'} may={task.may.complete} onClick={() => setDialog('complete')}>
          {"I've completed this action"}
        </GuardedButton>
      )}
      {!over && !running && shows('skip') && (
        <GuardedButton may={task.may.skip} onClick={() => setDialog('skip')}>
          Skip
        </GuardedButton>
      )}
      {!over && !running && task.may.begin.allowed && (
        <GuardedButton appearance="subtle" may={task.may.begin} busy={step.isPending} onClick={() => step.mutate('begin')}>
          Mark in progress
        </GuardedButton>
      )}
      {running && (
        <GuardedButton may={task.may.cancel} busy={cancel.isPending} onClick={() => cancel.mutate(task)}>
          {cancel.isPending ? 'Cancelling…' : 'Cancel'}
        </GuardedButton>
      )}
      {task.state === 'completed' && (reverses || task.may.undo.allowed) && (
        <GuardedButton may={task.may.undo} onClick={() => setDialog('undo')}>
          Undo
        </GuardedButton>
      )}
      {((over && task.state !== 'withdrawn') || task.state === 'doing') && shows('reopen') && (
        <GuardedButton may={task.may.reopen} busy={step.isPending} onClick={() => step.mutate('reopen')}>
          Reopen
        </GuardedButton>
      )}
      {failed && page && <Go to={page}>View device details</Go>}
      {dialog === 'run' && <RunDialog task={task} onClose={close} />}
      {dialog === 'complete' && <CompleteDialog task={task} onClose={close} />}
      {dialog === 'skip' && <SkipDialog task={task} onClose={close} />}
      {dialog === 'undo' && <UndoDialog task={task} onClose={close} />}
    </div>
  );
}

/** Cards of one section, or that there are none. */
export function TaskList({ title, tasks, opened, none }: { title: string; tasks: Task[]; opened?: boolean; none: string }) {
  const styles = useListStyles();
  const id = useId();
  return (
    <section aria-labelledby={id} className={styles.section}>
      <h2 id={id} className={styles.title}>
        {title} <span className={styles.count}>({tasks.length})</span>
      </h2>
      {tasks.length === 0 ? (
        <Notice>{none}</Notice>
      ) : (
        tasks.map((task) => <TaskCard key={task.id} task={task} opened={Boolean(opened)} />)
      )}
    </section>
  );
}

const useListStyles = makeStyles({
  section: { display: 'flex', flexDirection: 'column', gap: '8px', minWidth: 0 },
  title: { margin: 0, fontSize: tokens.fontSizeBase400, fontWeight: tokens.fontWeightSemibold },
  count: { fontWeight: tokens.fontWeightRegular, color: tokens.colorNeutralForeground2 },
});
