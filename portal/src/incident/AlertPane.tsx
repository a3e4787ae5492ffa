import { Button, Field, Textarea, makeStyles, tokens } from '@fluentui/react-components';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';

import { api, read } from '../api/client';
import { evidenceFacts, evidenceKind, evidenceName, words as list } from '../api/evidence';
import type { Alert, AlertChange, Incident } from '../api/hand';
import { useSession } from '../api/session';
import { useWords } from '../api/use-words';
import { labelOf, sourceName, spelled } from '../api/words';
import { AskExperts } from '../ui/AskExperts';
import { Choices } from '../ui/Choices';
import { Facts } from '../ui/Facts';
import { GuardedButton } from '../ui/Guarded';
import { Moment } from '../ui/Moment';
import { Panel } from '../ui/Panel';
import { Rich } from '../ui/Rich';
import { Section } from '../ui/Section';
import { useToasts } from '../ui/Toasts';
import { Failure, Waiting } from '../ui/states';
import { Go } from '../ui/Go';
import { LinkReason } from './LinkReason';
import { ClassificationFields } from './Manage';
import { MoveDialog } from './Move';
import { Severity } from './badges';
import { useForget } from './data';

const useStyles = makeStyles({
  text: { whiteSpace: 'pre-wrap', overflowWrap: 'anywhere', margin: 0 },
  acts: { display: 'flex', flexWrap: 'wrap', gap: '8px' },
  form: { display: 'flex', flexDirection: 'column', gap: '12px' },
  evidence: {
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    borderRadius: tokens.borderRadiusLarge,
    padding: '8px 12px',
  },
  summary: { cursor: 'pointer', overflowWrap: 'anywhere' },
  inside: { paddingTop: '10px' },
  comment: { borderLeft: `3px solid ${tokens.colorNeutralStroke2}`, paddingLeft: '12px' },
  muted: { color: tokens.colorNeutralForeground2 },
});

/** One alert beside the incident. */
export function AlertPane({ id, incident, onClose }: { id: string | null; incident?: Incident; onClose: () => void }) {
  const alert = useQuery({
    queryKey: ['alert', id],
    queryFn: ({ signal }) => read(api.GET('/api/v1/alerts/{id}', { params: { path: { id: id ?? '' } }, signal })),
    enabled: id !== null,
  });
  if (id === null) return null;
  return (
    <Panel title={alert.data?.title ?? `Alert ${id}`} open wide onClose={onClose}>
      {alert.isError ? (
        <Failure error={alert.error} retry={() => void alert.refetch()} />
      ) : alert.data ? (
        <AlertDetails alert={alert.data} {...(incident && { incident })} />
      ) : (
        <Waiting rows={8} />
      )}
    </Panel>
  );
}

export function AlertDetails({ alert, incident }: { alert: Alert; incident?: Incident }) {
  const styles = useStyles();
  const words = useWords();
  const [managing, setManaging] = useState(false);
  const [moving, setMoving] = useState(false);
  // The rights on an alert are those on its incident where the alert does not tell its own.
  const may = alert.may?.change ?? incident?.may.change;
  const determinations = words.classification.find((one) => one.value === alert.classification)?.determinations ?? [];
  return (
    <>
      <div className={styles.acts}>
        <GuardedButton may={may} onClick={() => setManaging(!managing)} aria-expanded={managing}>
          Manage alert
        </GuardedButton>
        {incident && (
          <GuardedButton may={may} onClick={() => setMoving(true)}>
            Move to another incident
          </GuardedButton>
        )}
        <AskExperts about={{ kind: 'alert', id: alert.id, name: alert.title }} />
      </div>
      {managing && <ManageAlert alert={alert} onDone={() => setManaging(false)} />}
      {alert.description && <p className={styles.text}>{alert.description}</p>}
      <Facts
        facts={[
          ['Id', alert.id],
          [
            'Incident',
            alert.incidentId && (
              <Go key="i" to={`/incidents/${encodeURIComponent(alert.incidentId)}`}>
                {alert.incidentId}
              </Go>
            ),
          ],
          ['Status', spelled(alert.status)],
          ['Severity', <Severity key="s" value={alert.severity} />],
          ['Category', alert.category && spelled(alert.category)],
          ['MITRE techniques', alert.mitreTechniques.join(', ')],
          ['Classification', alert.classification === 'unknown' ? 'Not set' : labelOf(words.classification, alert.classification)],
          ['Determination', alert.determination !== 'unknown' && labelOf(determinations, alert.determination)],
          ['Assigned to', alert.assignedTo ?? 'Unassigned'],
          ['Product', alert.productName],
          ['Service source', sourceName(alert.serviceSource)],
          ['Detection source', sourceName(alert.detectionSource)],
          ['Threat', alert.threatDisplayName],
          ['Id at its source', alert.providerAlertId],
          ['First activity', alert.firstActivityDateTime && <Moment key="f" at={alert.firstActivityDateTime} as="second" />],
          ['Last activity', alert.lastActivityDateTime && <Moment key="l" at={alert.lastActivityDateTime} as="second" />],
          ['Created', <Moment key="c" at={alert.createdDateTime} as="second" />],
          ['Resolved', alert.resolvedDateTime && <Moment key="r" at={alert.resolvedDateTime} as="second" />],
        ]}
      />
      <Section title="Why it is in this incident" plain>
        <LinkReason alert={alert} />
      </Section>
      {alert.recommendedActions && (
        <Section title="What its source recommends" plain>
          <p className={styles.text}>{alert.recommendedActions}</p>
        </Section>
      )}
      <Section title={`Evidence (${alert.evidence.length})`} plain>
        {alert.evidence.length === 0 && <span className={styles.muted}>None</span>}
        {alert.evidence.map((evidence, at) => (
          <details key={at} className={styles.evidence}>
            <summary className={styles.summary}>
              <strong>{evidenceKind(evidence)}</strong> {evidenceName(evidence)}
            </summary>
            <div className={styles.inside}>
              <Facts
                facts={[
                  ['Verdict', spelled(String(evidence.verdict ?? 'unknown'))],
                  ['Remediation', spelled(String(evidence.remediationStatus ?? 'none'))],
                  ['Roles', list(evidence.roles).map(spelled).join(', ')],
                  ...evidenceFacts(evidence),
                ]}
              />
            </div>
          </details>
        ))}
      </Section>
      <AlertComments alert={alert} may={alert.may?.comment ?? incident?.may.comment} />
      {incident && <MoveDialog incident={incident} alerts={[alert]} open={moving} onClose={() => setMoving(false)} onDone={() => undefined} />}
    </>
  );
}

/** Alert statuses are three, and none has a rule of its own here. */
const STATUSES = ['new', 'inProgress', 'resolved'].map((value) => ({ value, label: spelled(value) }));

function ManageAlert({ alert, onDone }: { alert: Alert; onDone: () => void }) {
  const styles = useStyles();
  const words = useWords();
  const queries = useQueryClient();
  const forget = useForget();
  const toasts = useToasts();
  const { person } = useSession();
  const me = person.name ?? person.email;
  const [draft, setDraft] = useState<AlertChange>({});
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const send = async (change: AlertChange) => {
    const changed = await read(
      api.PATCH('/api/v1/alerts/{id}', { params: { path: { id: alert.id } }, body: change }),
    );
    queries.setQueryData(['alert', alert.id], { ...alert, ...changed });
    void queries.invalidateQueries({ queryKey: ['alert', alert.id] });
    forget(alert.incidentId);
  };
  const save = async () => {
    setBusy(true);
    setError(null);
    try {
      await send(draft);
      const back: AlertChange = {};
      if (draft.status) back.status = alert.status;
      if (draft.assignedTo !== undefined) back.assignedTo = alert.assignedTo;
      if (draft.classification) Object.assign(back, { classification: alert.classification, determination: alert.determination });
      toasts.done(`Alert ${alert.id} is changed.`, () => void send(back).catch(toasts.fail));
      onDone();
    } catch (refused) {
      setError(refused);
      setBusy(false);
    }
  };
  return (
    <div className={styles.form}>
      <Field label="Status">
        <Choices choices={STATUSES} value={draft.status ?? alert.status} onChoose={(value) => setDraft({ ...draft, status: value })} />
      </Field>
      <ClassificationFields
        draft={{
          classification: draft.classification ?? alert.classification,
          determination: draft.determination ?? (draft.classification ? '' : alert.determination),
        }}
        words={words}
        onDraft={(next) =>
          setDraft({
            ...draft,
            ...(next.classification !== undefined && { classification: next.classification }),
            ...(next.determination !== undefined && { determination: next.determination }),
          })
        }
      />
      <div className={styles.acts}>
        <Button
          onClick={() => setDraft({ ...draft, assignedTo: me })}
          disabledFocusable={(draft.assignedTo ?? alert.assignedTo) === me}
        >
          Assign to me
        </Button>
      </div>
      <Failure error={error} />
      <div className={styles.acts}>
        <Button appearance="primary" onClick={save} disabledFocusable={busy || Object.keys(draft).length === 0}>
          {busy ? 'Saving…' : 'Save'}
        </Button>
        <Button onClick={onDone}>Cancel</Button>
      </div>
    </div>
  );
}

function AlertComments({ alert, may }: { alert: Alert; may: Incident['may']['comment'] | undefined }) {
  const styles = useStyles();
  const queries = useQueryClient();
  const [text, setText] = useState('');
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const add = async () => {
    setBusy(true);
    setError(null);
    try {
      await read(
        api.POST('/api/v1/alerts/{id}/comments', {
          params: { path: { id: alert.id } },
          body: { comment: text.trim() },
        }),
      );
      setText('');
      await queries.invalidateQueries({ queryKey: ['alert', alert.id] });
    } catch (refused) {
      setError(refused);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Section title={`Comments (${alert.comments.length})`} plain>
      {alert.comments.map((comment, at) => (
        <div key={at} className={styles.comment}>
          <span className={styles.muted}>
            {comment.createdByDisplayName} · <Moment at={comment.createdDateTime} />
          </span>
          <Rich text={comment.comment} />
        </div>
      ))}
      <Field label="Add a comment">
        <Textarea value={text} maxLength={30_000} onChange={(_, data) => setText(data.value)} />
      </Field>
      <Failure error={error} />
      <div className={styles.acts}>
        <GuardedButton
          may={may?.allowed && !text.trim() ? { allowed: false, because: 'Write something first.' } : may}
          busy={busy}
          onClick={add}
        >
          {busy ? 'Sending…' : 'Comment'}
        </GuardedButton>
      </div>
    </Section>
  );
}
