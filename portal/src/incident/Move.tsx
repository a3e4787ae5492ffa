import { Field, Radio, RadioGroup, SearchBox, Textarea, makeStyles, tokens } from '@fluentui/react-components';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';

import { api, read } from '../api/client';
import type { Alert, Incident } from '../api/hand';
import { Ask } from '../ui/Ask';
import { useToasts } from '../ui/Toasts';
import { Failure, Waiting } from '../ui/states';
import { useForget } from './data';
import { useCandidates } from './Merge';

const useStyles = makeStyles({
  list: {
    maxHeight: '260px',
    overflowY: 'auto',
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    borderRadius: tokens.borderRadiusLarge,
    padding: '4px 8px',
  },
});

const NEW = ' new';

/** INC-17: alerts to another incident, or into one of their own. */
export function MoveDialog({
  incident,
  alerts,
  open,
  onClose,
  onDone,
}: {
  incident: Incident;
  alerts: Alert[];
  open: boolean;
  onClose: () => void;
  onDone: () => void;
}) {
  const styles = useStyles();
  const toasts = useToasts();
  const forget = useForget();
  const queries = useQueryClient();
  const [words, setWords] = useState('');
  const [to, setTo] = useState(NEW);
  const [comment, setComment] = useState('');
  const found = useCandidates(incident, words, open);
  const rows = (found.data?.value ?? []).filter((row) => row.id !== incident.id);
  const alertIds = alerts.map((alert) => alert.id);
  const move = async (incidentId: string | null, why: string | null) => {
    const { targetIncidentId } = await read(
      api.POST('/api/v1/alerts/move', { body: { alertIds, incidentId, comment: why } }),
    );
    for (const id of [incident.id, targetIncidentId]) forget(id);
    for (const id of alertIds) void queries.invalidateQueries({ queryKey: ['alert', id] });
    return targetIncidentId;
  };
  return (
    <Ask
      open={open}
      title={`Move ${alerts.length} alert${alerts.length === 1 ? '' : 's'}`}
      act="Move"
      onClose={onClose}
      onAct={async () => {
        const target = await move(to === NEW ? null : to, comment.trim() || null);
        onDone();
        toasts.done(`Moved to incident ${target}.`, () => {
          move(incident.id, null).then(() => toasts.done('They are back.'), toasts.fail);
        });
      }}
    >
      <SearchBox
        aria-label="Find an incident"
        placeholder="Name, id or asset"
        value={words}
        onChange={(_, data) => setWords(data.value)}
      />
      <div className={styles.list}>
        <RadioGroup aria-label="Where to" value={to} onChange={(_, data) => setTo(data.value)}>
          <Radio value={NEW} label="A new incident" />
          {found.isPending ? (
            <Waiting rows={3} />
          ) : found.isError ? (
            <Failure error={found.error} />
          ) : (
            rows.map((row) => <Radio key={row.id} value={row.id} label={`${row.id} · ${row.displayName}`} />)
          )}
        </RadioGroup>
      </div>
      <Field label="Why (optional)">
        <Textarea value={comment} maxLength={1000} onChange={(_, data) => setComment(data.value)} />
      </Field>
    </Ask>
  );
}
