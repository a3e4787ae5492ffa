import { Checkbox, Field, SearchBox, Textarea, makeStyles, tokens } from '@fluentui/react-components';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useDeferredValue, useState } from 'react';
import { useNavigate } from 'react-router';

import { api, read } from '../api/client';
import type { Incident, IncidentRow } from '../api/hand';
import { Ask } from '../ui/Ask';
import { useToasts } from '../ui/Toasts';
import { Failure, Waiting } from '../ui/states';
import { useForget } from './data';
import { searchOf, readView } from './query';

const useStyles = makeStyles({
  list: {
    maxHeight: '260px',
    overflowY: 'auto',
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    borderRadius: tokens.borderRadiusLarge,
    padding: '4px 8px',
  },
  text: { margin: 0, color: tokens.colorNeutralForeground2 },
});

/** INC-16: so many become one at most. */
const MOST = 5;

/** A choice of other incidents of the same organisation. */
export function useCandidates(incident: Pick<Incident, 'id' | 'tenantId'>, words: string, enabled: boolean) {
  const asked = useDeferredValue(words);
  const search = searchOf(readView(new URLSearchParams({ q: asked })));
  return useQuery({
    queryKey: ['candidates', incident.tenantId, search ?? ''],
    queryFn: ({ signal }) =>
      read(
        api.GET('/api/v1/incidents', {
          params: {
            query: {
              filter: `tenantId eq '${incident.tenantId}' and status ne 'redirected' and status ne 'resolved'`,
              ...(search && { search }),
              top: 20,
            },
          },
          signal,
        }),
      ),
    enabled,
  });
}

export function MergeDialog({ incident, open, onClose }: { incident: Incident; open: boolean; onClose: () => void }) {
  const styles = useStyles();
  const navigate = useNavigate();
  const toasts = useToasts();
  const forget = useForget();
  const queries = useQueryClient();
  const [words, setWords] = useState('');
  const [comment, setComment] = useState('');
  const [picked, setPicked] = useState<IncidentRow[]>([]);
  const found = useCandidates(incident, words, open);
  const rows = (found.data?.value ?? []).filter((row) => row.id !== incident.id);
  const listed = [...picked, ...rows.filter((row) => !picked.some((one) => one.id === row.id))];
  return (
    <Ask
      open={open}
      title="Merge with other incidents"
      act={picked.length ? `Merge ${picked.length + 1} incidents` : 'Merge'}
      ready={picked.length > 0}
      onClose={onClose}
      onAct={async () => {
        const { targetIncidentId } = await read(
          api.POST('/api/v1/incidents/merge', {
            body: {
              incidentIds: [incident.id, ...picked.map((row) => row.id)],
              comment: comment.trim() || null,
            },
          }),
        );
        for (const id of [incident.id, targetIncidentId]) forget(id);
        void queries.invalidateQueries({ queryKey: ['incidents'] });
        toasts.done(`They are now incident ${targetIncidentId}.`);
        setPicked([]);
        if (targetIncidentId !== incident.id) navigate(`/incidents/${targetIncidentId}`);
      }}
    >
      <p className={styles.text}>
        All alerts and tags go into one incident; the others lead to it. Which one stays is decided by who works on it
        and by age. At most {MOST} at a time.
      </p>
      <SearchBox
        aria-label="Find incidents"
        placeholder="Name, id or asset"
        value={words}
        onChange={(_, data) => setWords(data.value)}
      />
      <div className={styles.list} role="group" aria-label="Incidents to merge with">
        {found.isPending ? (
          <Waiting rows={3} />
        ) : found.isError ? (
          <Failure error={found.error} />
        ) : listed.length === 0 ? (
          <p className={styles.text}>No open incident of {incident.tenantName || 'this organisation'} fits.</p>
        ) : (
          listed.map((row) => {
            const on = picked.some((one) => one.id === row.id);
            return (
              <Checkbox
                key={row.id}
                label={`${row.id} · ${row.displayName}`}
                checked={on}
                disabled={!on && picked.length >= MOST - 1}
                onChange={() => setPicked(on ? picked.filter((one) => one.id !== row.id) : [...picked, row])}
              />
            );
          })
        )}
      </div>
      <Field label="Why (optional)">
        <Textarea value={comment} maxLength={1000} onChange={(_, data) => setComment(data.value)} />
      </Field>
    </Ask>
  );
}

