import { Field, Radio, RadioGroup, Textarea, makeStyles, tokens } from '@fluentui/react-components';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';

import { useAnswer, useAsked } from '../api/approval';
import { api, read } from '../api/client';
import type { Action } from '../api/hand';
import { headed } from '../api/words';
import { Ask } from '../ui/Ask';
import { GuardedButton } from '../ui/Guarded';
import { Moment } from '../ui/Moment';
import { SecondPerson } from '../ui/SecondPerson';
import { useToasts } from '../ui/Toasts';
import { Notice } from '../ui/states';
import { InstancesDialog } from './InstancesDialog';
import { useForgetActions } from './data';

const useStyles = makeStyles({
  acts: { display: 'flex', flexWrap: 'wrap', gap: '8px' },
  all: { margin: 0, padding: 0, listStyleType: 'none', display: 'flex', flexDirection: 'column', gap: '10px' },
  one: { display: 'flex', flexDirection: 'column', gap: '2px', overflowWrap: 'anywhere' },
  muted: { color: tokens.colorNeutralForeground2 },
  list: { margin: '4px 0 0', paddingInlineStart: '18px', overflowWrap: 'anywhere' },
});

type Dialog = 'undo' | 'decide' | 'apply' | null;
const OPEN = new Set(['proposed', 'approved', 'started', 'unknown', 'needsHuman']);

/** What can be done with one action; what cannot, and why. */
export function Acts({ action }: { action: Action }) {
  const styles = useStyles();
  const toasts = useToasts();
  const forget = useForgetActions();
  const asked = useAsked(action);
  const answer = useAnswer(action);
  const [dialog, setDialog] = useState<Dialog>(null);
  const [because, setBecause] = useState('');
  const [succeeded, setSucceeded] = useState('');
  const name = headed(`${action.title}: ${action.target.name}`);
  const act = useMutation({
    mutationFn: () => read(api.POST('/api/v1/actions/{id}/cancel', { params: { path: { id: action.id } }, body: {} })),
    onSuccess: () => toasts.done(`${name} is being cancelled.`),
    onError: toasts.fail,
    onSettled: forget,
  });
  const close = () => {
    setDialog(null);
    setBecause('');
  };
  const done = (said: string) => {
    forget();
    toasts.done(said);
  };
  const { state, may } = action;
  return (
    <div className={styles.acts}>
      <SecondPerson asked={asked} onApprove={answer.approve} onReject={answer.reject} />
      {state === 'needsHuman' && (
        <GuardedButton appearance="primary" may={may.decide} onClick={() => setDialog('decide')}>
          Say what became of it
        </GuardedButton>
      )}
      {OPEN.has(state) && (
        <GuardedButton may={may.cancel} busy={act.isPending} onClick={() => act.mutate()}>
          Cancel
        </GuardedButton>
      )}
      {!OPEN.has(state) && (
        <GuardedButton may={may.undo} onClick={() => setDialog('undo')}>
          Undo
        </GuardedButton>
      )}
      {action.kind === 'stopAndQuarantineFile' && may.apply && (
        <GuardedButton may={may.apply} onClick={() => setDialog('apply')}>
          Apply to more instances
        </GuardedButton>
      )}
      {dialog === 'apply' && <InstancesDialog action={action} onClose={close} />}
      {dialog === 'undo' && (
        <Ask
          open
          title={`Undo: ${name}`}
          act="Undo"
          onClose={close}
          onAct={async () => {
            await read(
              api.POST('/api/v1/actions/{id}/undo', {
                params: { path: { id: action.id } },
                body: because.trim() ? { comment: because.trim() } : {},
              }),
            );
            done(`${name} is being taken back.`);
          }}
        >
          <span>
            What was done to <strong>{action.target.name}</strong> is taken back by an action of its own, linked to this one.
          </span>
          <Field label="Comment">
            <Textarea value={because} maxLength={1000} onChange={(_, data) => setBecause(data.value)} />
          </Field>
        </Ask>
      )}
      {dialog === 'decide' && (
        <Ask
          open
          title={`What became of it: ${name}`}
          act="Put on record"
          ready={because.trim() !== '' && succeeded !== ''}
          onClose={close}
          onAct={async () => {
            await read(
              api.POST('/api/v1/actions/{id}/decide', {
                params: { path: { id: action.id } },
                body: { succeeded: succeeded === 'yes', because: because.trim() },
              }),
            );
            done(`What became of ${name} is on record.`);
          }}
        >
          <Notice>Look at {action.target.name} itself first: nobody could find out what became of this action.</Notice>
          <RadioGroup aria-label="What you found" value={succeeded} onChange={(_, data) => setSucceeded(data.value)}>
            <Radio value="yes" label="It was done" />
            <Radio value="no" label="It was not done" />
          </RadioGroup>
          <Field label="How you know" required hint="It stays on record">
            <Textarea value={because} maxLength={1000} onChange={(_, data) => setBecause(data.value)} />
          </Field>
        </Ask>
      )}
    </div>
  );
}

const BULK = {
  approve: { act: 'Approve', done: 'approved' },
  reject: { act: 'Reject', done: 'rejected' },
  undo: { act: 'Undo', done: 'being taken back' },
  cancel: { act: 'Cancel', done: 'cancelled' },
} as const;
export type Change = keyof typeof BULK;

/** The server takes so many at a time. */
const AT_ONCE = 100;

/** Several actions at once: what was not done of them is said one by one. */
export function BulkDialog({
  change,
  actions: all,
  onClose,
  onDone,
}: {
  change: Change;
  actions: Action[];
  onClose: () => void;
  onDone: () => void;
}) {
  const styles = useStyles();
  const toasts = useToasts();
  const forget = useForgetActions();
  const [because, setBecause] = useState('');
  const [refused, setRefused] = useState<{ id: string; because: string | null }[] | null>(null);
  const count = `${all.length} action${all.length === 1 ? '' : 's'}`;
  const nameOf = (id: string) => {
    const found = all.find((one) => one.id === id);
    return found ? `${found.title}: ${found.target.name}` : id;
  };
  if (refused) {
    return (
      <Ask open title={`${refused.length} of ${count} could not be changed`} act="Close" shows onClose={onDone} onAct={async () => undefined}>
        <ul className={styles.list}>
          {refused.map((one) => (
            <li key={one.id}>
              {nameOf(one.id)}: {one.because ?? 'not possible now'}
            </li>
          ))}
        </ul>
      </Ask>
    );
  }
  const needs = change === 'reject';
  return (
    <Ask
      open
      title={`${BULK[change].act} ${count}`}
      act={`${BULK[change].act} ${count}`}
      ready={!needs || because.trim() !== ''}
      onClose={onClose}
      onAct={async () => {
        const failed: { id: string; because: string | null }[] = [];
        for (let start = 0; start < all.length; start += AT_ONCE) {
          const some = all.slice(start, start + AT_ONCE);
          const ids = some.map((one) => one.id);
          const answer = await read(
            api.POST('/api/v1/actions/change', {
              body: {
                ids,
                change,
                ...(because.trim() && { because: because.trim() }),
                // Of what is listed here, which is held fast: what has changed since is refused.
                ...(change === 'approve' && { fingerprints: some.map((one) => one.fingerprint) }),
              },
            }),
          );
          failed.push(...answer.value.filter((one) => !one.done));
        }
        forget();
        const good = all.length - failed.length;
        if (good > 0) toasts.done(`${good} of ${count} ${good === 1 ? 'is' : 'are'} ${BULK[change].done}.`);
        if (failed.length === 0) {
          onDone();
          return undefined;
        }
        setRefused(failed);
        return 'stay';
      }}
    >
      {change === 'approve' ? (
        // What is agreed to is read; none of it is left out.
        <ul className={styles.all}>
          {all.map((one) => (
            <Exactly key={one.id} action={one} />
          ))}
        </ul>
      ) : (
        <ul className={styles.list}>
          {all.slice(0, 10).map((one) => (
            <li key={one.id}>{nameOf(one.id)}</li>
          ))}
          {all.length > 10 && <li>and {all.length - 10} more</li>}
        </ul>
      )}
      {change !== 'approve' && (
        <Field label={needs ? 'Why' : 'Comment'} required={needs}>
          <Textarea value={because} maxLength={1000} onChange={(_, data) => setBecause(data.value)} />
        </Field>
      )}
    </Ask>
  );
}

/** One of several that are approved together. */
function Exactly({ action }: { action: Action }) {
  const styles = useStyles();
  const asked = useAsked(action);
  return (
    <li className={styles.one}>
      <strong>
        {asked.what}: {asked.asset.name}
      </strong>
      {asked.how.length > 0 && <span>{asked.how.map(([title, value]) => `${title}: ${value}`).join(' · ')}</span>}
      <span className={styles.muted}>
        Asked for by {asked.by}, <Moment at={asked.at} />
        {asked.why && `: ${asked.why}`}
      </span>
    </li>
  );
}
