import { Field, Textarea, makeStyles, tokens } from '@fluentui/react-components';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';

import { useActionTypes } from '../api/action-types';
import { actionLook, proposed } from '../api/action-words';
import { api, read } from '../api/client';
import { sentence } from '../api/error';
import type { ManagedResponse, Overlap, RunPreview, Task } from '../api/hand';
import { headed } from '../api/words';
import { Ask } from '../ui/Ask';
import { Facts } from '../ui/Facts';
import { Go } from '../ui/Go';
import { JsonMore } from '../ui/Json';
import { Moment } from '../ui/Moment';
import { Thing } from '../ui/Thing';
import { useToasts } from '../ui/Toasts';
import { Failure, Notice, Waiting } from '../ui/states';
import { sendTask, useForgetResponse, useTakeResponse } from './data';

const useStyles = makeStyles({
  list: { margin: '4px 0 0', paddingInlineStart: '18px' },
  muted: { color: tokens.colorNeutralForeground2 },
  text: { margin: 0 },
});

type Given = { task: Task; onClose: () => void };

const on = (task: Task): string => (task.target ? headed(`: ${task.target.name}`) : '');

/** Before something is done to an asset: what, to which, what is sent, and how it is taken back. */
export function RunDialog({ task, onClose }: Given) {
  const toasts = useToasts();
  const forget = useForgetResponse();
  const preview = useQuery({
    queryKey: ['task-preview', task.id],
    queryFn: () => read(api.POST('/api/v1/tasks/{id}/preview', { params: { path: { id: task.id } }, body: {} })),
    // Who is signed in is asked each time.
    staleTime: 0,
    gcTime: 0,
  });
  const again = task.state === 'failed';
  return (
    <Ask
      open
      title={`${task.title}${on(task)}`}
      act={again ? 'Retry' : task.title}
      ready={preview.isSuccess && !preview.data.blockedBecause}
      onClose={onClose}
      onAct={async () => {
        const run = await sendTask('run', task.id);
        forget(task.incidentId);
        toasts.done(`${task.title}${on(task)} ${proposed(run).length > 0 ? 'waits for approval' : 'is in progress'}.`);
      }}
    >
      {preview.isPending ? (
        <Waiting rows={3} label="Looking at what would happen" />
      ) : preview.isError ? (
        <Failure error={preview.error} retry={() => void preview.refetch()} />
      ) : (
        <Preview task={task} preview={preview.data} />
      )}
    </Ask>
  );
}

/** Each once, and not too many: it is read before a decision. */
function few(all: string[]): string {
  const each = [...new Set(all)];
  return each.slice(0, 12).join(', ') + (each.length > 12 ? ` and ${each.length - 12} more` : '');
}

/** What running a task would do. */
function Preview({ task, preview }: { task: Task; preview: RunPreview }) {
  const styles = useStyles();
  const several = preview.sends.length > 1;
  return (
    <>
      {preview.blockedBecause && <Notice intent="warning">{sentence(preview.blockedBecause)}</Notice>}
      {!preview.blockedBecause && preview.waitsFor && <Notice>{sentence(preview.waitsFor)}</Notice>}
      {preview.warnings?.map((warning) => (
        <Notice key={warning} intent="warning">
          {sentence(warning)}
        </Notice>
      ))}
      {preview.overlap.length > 0 && <OverlapNotice overlap={preview.overlap} />}
      <Facts
        facts={[
          ['Asset', task.target && <Thing key="t" kind={task.target.kind} name={task.target.name} />],
          ['On', several && few(preview.sends.flatMap((send) => ('mailbox' in send && send.mailbox ? [] : [send.name])))],
          ['In the mailboxes of', few(preview.sends.flatMap((send) => ('mailbox' in send && send.mailbox ? [send.mailbox] : [])))],
          ['By', few(preview.sends.filter((send) => 'connectorId' in send).map((send) => send.name))],
          ['Offline now', preview.sends.filter((send) => 'online' in send && !send.online).map((send) => send.name).join(', ')],
          ['Signed in there', few(preview.signedIn.map((one) => `${one.user}${one.from ? ` from ${one.from}` : ''}${several ? ` (${one.name})` : ''}`))],
          ['Services there', few(preview.services.map((one) => `${one.process ?? one.protocol} at ${one.port}${several ? ` (${one.name})` : ''}`))],
          ['To take it back', preview.undo ?? 'Nothing takes this back'],
        ]}
      />
      {preview.sends.length === 0 && <p className={styles.text}>Nothing is sent.</p>}
      {preview.sends.map((send, at) => (
        <JsonMore
          key={at}
          label={several ? `What is sent ${'mailbox' in send && send.mailbox ? `for ${send.mailbox}` : `to ${send.name}`}` : 'What is sent'}
          value={'connectorId' in send ? { method: send.method, path: send.path, body: send.body } : send.body}
        />
      ))}
    </>
  );
}

/** MR-14: something of the same kind is under way, or was just done, on the same thing. */
export function OverlapNotice({ overlap }: { overlap: Overlap[] }) {
  const styles = useStyles();
  return (
    <Notice intent="warning" title={overlap.length === 1 ? 'There is another action of this kind on the same asset' : `There are ${overlap.length} other actions of this kind on the same asset`}>
      <ul className={styles.list}>
        {overlap.map((one) => (
          <li key={one.actionId}>
            <Go inline to={`/actions?tab=history&action=${encodeURIComponent(one.actionId)}`}>
              {one.title}
            </Go>{' '}
            ({actionLook(one.state).label.toLowerCase()}, <Moment at={one.at} as="distance" />, {one.source})
          </li>
        ))}
      </ul>
    </Notice>
  );
}

export function CompleteDialog({ task, onClose }: Given) {
  const toasts = useToasts();
  const forget = useForgetResponse();
  return (
    <Ask
      open
      title="I've completed this action"
      act="Yes, I've done it"
      onClose={onClose}
      onAct={async () => {
        await sendTask('complete', task.id);
        forget(task.incidentId);
        toasts.done(`${task.displayName} is completed.`, () => {
          sendTask('reopen', task.id).then(() => forget(task.incidentId), toasts.fail);
        });
      }}
    >
      <span>
        You have done this yourself{task.target && <> on <strong>{task.target.name}</strong></>}: {task.displayName}
      </span>
    </Ask>
  );
}

export function SkipDialog({ task, onClose }: Given) {
  const toasts = useToasts();
  const forget = useForgetResponse();
  const [because, setBecause] = useState('');
  return (
    <Ask
      open
      title="Skip this action?"
      act="Yes, skip this action"
      ready={because.trim() !== ''}
      onClose={onClose}
      onAct={async () => {
        await read(api.POST('/api/v1/tasks/{id}/skip', { params: { path: { id: task.id } }, body: { because: because.trim() } }));
        forget(task.incidentId);
        toasts.done(`${task.displayName} is skipped.`, () => {
          sendTask('reopen', task.id).then(() => forget(task.incidentId), toasts.fail);
        });
      }}
    >
      <span>{task.displayName}</span>
      <Field label="Reason" required hint="The experts read this, and it stays on record">
        <Textarea value={because} maxLength={1000} onChange={(_, data) => setBecause(data.value)} />
      </Field>
    </Ask>
  );
}

/** MR-17: what takes an action back is a new action, linked to the first. */
export function UndoDialog({ task, onClose }: Given) {
  const toasts = useToasts();
  const forget = useForgetResponse();
  const types = useActionTypes();
  const [comment, setComment] = useState('');
  const reverse = types.data?.find((one) => one.actionType === task.actionType)?.reverse;
  const back = types.data?.find((one) => one.actionType === reverse);
  return (
    <Ask
      open
      title={`Undo: ${task.title}${on(task)}`}
      act="Undo"
      onClose={onClose}
      onAct={async () => {
        await read(
          api.POST('/api/v1/tasks/{id}/undo', {
            params: { path: { id: task.id } },
            body: comment.trim() ? { comment: comment.trim() } : {},
          }),
        );
        forget(task.incidentId);
        toasts.done(`${back?.title ?? 'Undo'}${on(task)} is in progress.`);
      }}
    >
      <span>
        {back ? (
          <>
            <strong>{back.title}</strong> runs{task.target && <> on <strong>{task.target.name}</strong></>}. {back.explains}
          </>
        ) : (
          <>What was done{task.target && <> on <strong>{task.target.name}</strong></>} is taken back.</>
        )}{' '}
        It stands in the list as an action of its own.
      </span>
      <Field label="Comment">
        <Textarea value={comment} maxLength={1000} onChange={(_, data) => setComment(data.value)} />
      </Field>
    </Ask>
  );
}

export function RejectDialog({ response, onClose }: { response: ManagedResponse; onClose: () => void }) {
  const toasts = useToasts();
  const take = useTakeResponse();
  const [because, setBecause] = useState('');
  return (
    <Ask
      open
      title="Reject this plan?"
      act="Reject this plan"
      ready={because.trim() !== ''}
      onClose={onClose}
      onAct={async () => {
        take(
          await read(
            api.POST('/api/v1/incidents/{id}/response/reject', {
              params: { path: { id: response.incidentId } },
              body: { because: because.trim() },
            }),
          ),
        );
        toasts.done('The plan is rejected; the experts have your reason.');
      }}
    >
      <span>The incident goes back to the experts with your reason. What is done already stays done.</span>
      <Field label="Reason" required hint="What should be done differently?">
        <Textarea value={because} maxLength={1000} onChange={(_, data) => setBecause(data.value)} />
      </Field>
    </Ask>
  );
}
