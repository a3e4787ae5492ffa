import { Field, SpinButton, Textarea, makeStyles } from '@fluentui/react-components';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';

import { api, read } from '../api/client';
import { sentence } from '../api/error';
import type { Incident, IncidentChange } from '../api/hand';
import { useSession } from '../api/session';
import { useWords } from '../api/use-words';
import { Ask } from '../ui/Ask';
import { Choices } from '../ui/Choices';
import { GuardedButton } from '../ui/Guarded';
import { useToasts } from '../ui/Toasts';
import { Notice } from '../ui/states';
import { useAct, useForget, useTake } from './data';
import { ClassificationFields } from './Manage';

const useStyles = makeStyles({ acts: { display: 'contents' } });

/** The experts' steps of the workbench: take up, conclude. */
export function ExpertActs({ incident }: { incident: Incident }) {
  const styles = useStyles();
  const { side } = useSession();
  const [concluding, setConcluding] = useState(false);
  const start = useAct(`Incident ${incident.id} is yours.`, (id) =>
    read(api.POST('/api/v1/incidents/{id}/start', { params: { path: { id } }, body: {} })),
  );
  if (side !== 'provider') return null;
  return (
    <div className={styles.acts}>
      <GuardedButton may={incident.may.start} busy={start.isPending} onClick={() => start.mutate(incident.id)}>
        {start.isPending ? 'Taking up…' : 'Take up'}
      </GuardedButton>
      <GuardedButton may={incident.may.conclude} onClick={() => setConcluding(true)}>
        Conclude
      </GuardedButton>
      <Conclude incident={incident} open={concluding} onClose={() => setConcluding(false)} />
    </div>
  );
}

function Conclude({ incident, open, onClose }: { incident: Incident; open: boolean; onClose: () => void }) {
  const words = useWords();
  const take = useTake();
  const toasts = useToasts();
  const [draft, setDraft] = useState<IncidentChange>({});
  const [summary, setSummary] = useState(incident.summary ?? '');
  return (
    <Ask
      open={open}
      title="Conclude the investigation"
      act="Conclude"
      ready={Boolean(draft.classification && draft.determination && summary.trim())}
      onClose={onClose}
      onAct={async () => {
        take(
          await read(
            api.POST('/api/v1/incidents/{id}/conclude', {
              params: { path: { id: incident.id } },
              body: {
                classification: draft.classification ?? '',
                determination: draft.determination ?? '',
                summary: summary.trim(),
              },
            }),
          ),
        );
        toasts.done(`Incident ${incident.id} is concluded.`);
      }}
    >
      <ClassificationFields
        draft={draft}
        words={{ ...words, classification: words.classification.filter((one) => one.concludes) }}
        onDraft={setDraft}
      />
      <Field label="Investigation summary" required hint="The customer reads this: what was seen, what it means, what was done">
        <Textarea
          value={summary}
          rows={8}
          resize="vertical"
          maxLength={30_000}
          onChange={(_, data) => setSummary(data.value)}
        />
      </Field>
    </Ask>
  );
}

/** Why an incident cannot be opened, and the way to change that. */
export function OpenNotAllowed({ incident }: { incident: Incident }) {
  const { side } = useSession();
  const [asking, setAsking] = useState(false);
  return (
    <>
      <Notice
        intent="warning"
        title="You cannot open this incident yet"
        action={
          side === 'provider' && (
            <GuardedButton size="small" may={{ allowed: true, because: null }} onClick={() => setAsking(true)}>
              Request access
            </GuardedButton>
          )
        }
      >
        {sentence(incident.may.open.because ?? 'The customer lets experts in for a time and a reason.')}
      </Notice>
      <RequestAccess incident={incident} open={asking} onClose={() => setAsking(false)} />
    </>
  );
}

/** PER-3: access just in time, with a reason and an end. */
export function RequestAccess({ incident, open, onClose }: { incident: Incident; open: boolean; onClose: () => void }) {
  const toasts = useToasts();
  const forget = useForget();
  const queries = useQueryClient();
  const [level, setLevel] = useState<'reader' | 'operator'>('reader');
  const [reason, setReason] = useState('');
  const [hours, setHours] = useState(4);
  const ask = useMutation({
    mutationFn: () =>
      read(
        api.POST('/api/v1/access', {
          body: { tenantId: incident.tenantId, incidentId: incident.id, level, reason: reason.trim(), hours },
        }),
      ),
    onSuccess: (access) => {
      forget(incident.id);
      void queries.invalidateQueries({ queryKey: ['access'] });
      void queries.invalidateQueries({ queryKey: ['tenants'] });
      toasts.done(
        access.state === 'approved' ? 'You have access.' : `The request went to ${access.tenantName}.`,
      );
    },
  });
  return (
    <Ask
      open={open}
      title={`Request access to ${incident.tenantName}`}
      act="Request access"
      ready={reason.trim().length >= 5}
      onClose={onClose}
      onAct={() => ask.mutateAsync()}
    >
      <Field label="Reason" required hint="At least five characters. Whoever decides reads this, and it stays on record">
        <Textarea value={reason} maxLength={1000} onChange={(_, data) => setReason(data.value)} />
      </Field>
      <Field label="Level">
        <Choices
          choices={[
            { value: 'reader', label: 'Investigate (Security Reader)' },
            { value: 'operator', label: 'Investigate and respond (Security Operator)' },
          ]}
          value={level}
          onChoose={(value) => setLevel(value === 'operator' ? 'operator' : 'reader')}
        />
      </Field>
      <Field label="For how many hours" hint="1 to 8; it ends by itself">
        <SpinButton
          value={hours}
          min={1}
          max={8}
          onChange={(_, data) => {
            const wanted = data.value ?? Number(data.displayValue);
            if (Number.isFinite(wanted)) setHours(Math.max(1, Math.min(8, Math.round(Number(wanted)))));
          }}
        />
      </Field>
    </Ask>
  );
}
