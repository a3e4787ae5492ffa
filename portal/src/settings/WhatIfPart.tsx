import { makeStyles, tokens } from '@fluentui/react-components';
import { useQuery } from '@tanstack/react-query';

import { DECISIONS, decidedTold } from '../api/authority-words';
import { api, read } from '../api/client';
import type { Drafted, WhatIfExample } from '../api/hand';
import { Go } from '../ui/Go';
import { Moment } from '../ui/Moment';
import { Section } from '../ui/Section';
import { Failure, Waiting } from '../ui/states';

const useStyles = makeStyles({
  text: { margin: 0 },
  muted: { margin: 0, color: tokens.colorNeutralForeground2 },
  list: { margin: 0, paddingInlineStart: '18px', display: 'flex', flexDirection: 'column', gap: '6px', overflowWrap: 'anywhere' },
  one: { display: 'flex', flexDirection: 'column' },
  more: { minWidth: 0 },
  summary: { cursor: 'pointer', fontWeight: tokens.fontWeightSemibold, minHeight: '24px', lineHeight: '24px' },
});

/** What a draft would have decided otherwise about the last months. */
export function WhatIfPart({ draft }: { draft: Drafted }) {
  const styles = useStyles();
  const found = useQuery({
    queryKey: ['authority', 'what-if', draft],
    queryFn: () => read(api.POST('/api/v1/authority/what-if', { body: draft })),
    staleTime: 30_000,
    retry: false,
  });
  if (found.isPending) return <Waiting rows={3} label="Looking at the last 90 days" />;
  if (found.isError) return <Failure error={found.error} retry={() => void found.refetch()} />;
  const { lookedAt, changed, more } = found.data;
  const total = changed.reduce((sum, one) => sum + one.count, 0);
  return (
    <Section title="What would have changed" plain>
      <p className={styles.text} role="status">
        {lookedAt === 0
          ? 'In the last 90 days nothing was asked for, so there is nothing to compare.'
          : `Of ${more ? 'the newest ' : ''}${lookedAt} ${lookedAt === 1 ? 'action or task' : 'actions and tasks'} of the last 90 days ${
              total === 0 ? 'none would have been decided otherwise.' : `${total} would have been decided otherwise:`
            }`}
      </p>
      {changed.map((shift) => (
        <details key={`${shift.before} ${shift.after}`} className={styles.more}>
          <summary className={styles.summary}>
            {shift.count} × {shift.before === shift.after ? `${DECISIONS[shift.before]}, but of others` : `${DECISIONS[shift.after]} instead of ${DECISIONS[shift.before]}`}
          </summary>
          <ul className={styles.list}>
            {shift.examples.map((one) => (
              <Example key={one.actionId ?? `task ${one.taskId}`} one={one} />
            ))}
          </ul>
        </details>
      ))}
      <p className={styles.muted}>Severity, confidence and device groups are taken as they are known now. Nothing is changed by looking.</p>
    </Section>
  );
}

function Example({ one }: { one: WhatIfExample }) {
  const styles = useStyles();
  const what = `${one.title}: ${one.target}`;
  return (
    <li>
      <span className={styles.one}>
        <span>
          {one.incidentId ? (
            <Go to={`/incidents/${encodeURIComponent(one.incidentId)}`} inline>
              {what}
            </Go>
          ) : (
            what
          )}
          , <Moment at={one.dateTime} /> by {one.requestedBy}
        </span>
        <span className={styles.muted}>
          Would be done {decidedTold(one.after)}
          {one.after.title && ` (${one.after.title})`}. Is done {decidedTold(one.before)}
          {one.before.title && ` (${one.before.title})`}.
        </span>
      </span>
    </li>
  );
}
