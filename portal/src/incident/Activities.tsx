import { Avatar, Button, Field, Input, Textarea, makeStyles, tokens } from '@fluentui/react-components';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useState } from 'react';

import { api, read } from '../api/client';
import type { Fact, Incident, Page } from '../api/hand';
import { Choices } from '../ui/Choices';
import { GuardedButton } from '../ui/Guarded';
import { Moment } from '../ui/Moment';
import { Rich, RICH_HINT } from '../ui/Rich';
import { Section } from '../ui/Section';
import { Empty, Failure, Waiting } from '../ui/states';
import { useTake } from './data';
import { said, told } from './told';
import { spelled } from '../api/words';

const useStyles = makeStyles({
  all: { display: 'flex', flexDirection: 'column', gap: '16px', maxWidth: '860px' },
  bar: { display: 'flex', flexWrap: 'wrap', gap: '12px', alignItems: 'end' },
  list: { listStyleType: 'none', margin: 0, padding: 0, display: 'flex', flexDirection: 'column' },
  fact: {
    display: 'grid',
    gridTemplateColumns: '32px minmax(0, 1fr)',
    gap: '12px',
    paddingBottom: '18px',
    position: 'relative',
    '::before': {
      content: '""',
      position: 'absolute',
      left: '15px',
      top: '36px',
      bottom: '4px',
      width: '2px',
      backgroundColor: tokens.colorNeutralStroke2,
    },
    ':last-child::before': { display: 'none' },
  },
  head: { display: 'flex', flexWrap: 'wrap', gap: '2px 8px', alignItems: 'baseline', overflowWrap: 'anywhere', '& > *': { minWidth: 0 } },
  when: { color: tokens.colorNeutralForeground2, fontSize: tokens.fontSizeBase200 },
  comment: {
    margin: '6px 0 0',
    padding: '10px 12px',
    overflowWrap: 'anywhere',
    backgroundColor: tokens.colorNeutralBackground3,
    borderRadius: tokens.borderRadiusLarge,
  },
  changes: { margin: '4px 0 0', paddingInlineStart: '18px', color: tokens.colorNeutralForeground2, overflowWrap: 'anywhere' },
  acts: { display: 'flex', gap: '8px' },
});

const KINDS = [
  { value: '', label: 'Everything' },
  { value: 'incident.commented', label: 'Comments' },
  { value: 'incident.changed', label: 'Changes' },
  { value: 'incident.grew', label: 'New alerts' },
  { value: 'incident.merged', label: 'Merges' },
  { value: 'alert.moved', label: 'Moved alerts' },
  { value: 'alert.changed', label: 'Changes of alerts' },
  { value: 'alert.commented', label: 'Comments on alerts' },
  { value: 'response.*', label: 'Managed responses' },
  { value: 'task.*', label: 'Tasks of a response' },
  { value: 'action.*', label: 'Actions on assets' },
  { value: 'notification.*', label: 'Who was told' },
  { value: 'delivery.*', label: 'Messages not delivered' },
  { value: 'access.*', label: 'Access of experts' },
];
const ACTORS = [
  { value: '', label: 'Anybody' },
  { value: 'expert', label: 'Experts' },
  { value: 'customer', label: 'Your organisation' },
  { value: 'integration', label: 'Apps' },
  { value: 'system', label: 'The system' },
];

/** INC-19: everything that happened to the incident, newest last, with comments among it. */
export default function Activities({ incident }: { incident: Incident }) {
  const styles = useStyles();
  const [kind, setKind] = useState('');
  const [actorKind, setActorKind] = useState('');
  const [performer, setPerformer] = useState('');
  const [typed, setTyped] = useState('');
  const timeline = useInfiniteQuery({
    queryKey: ['timeline', incident.id, kind, actorKind, performer],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) =>
      read(
        api.GET('/api/v1/incidents/{id}/timeline', {
          params: {
            path: { id: incident.id },
            query: {
              top: 100,
              cursor: pageParam,
              ...(kind && { kind }),
              ...(actorKind && { actorKind }),
              ...(performer && { actor: performer }),
            },
          },
          signal,
        }),
      ),
    getNextPageParam: (last: Page<Fact>) => (last.nextCursor === null ? undefined : String(last.nextCursor)),
  });
  const facts = (timeline.data?.pages ?? []).flatMap((page) => page.value);
  return (
    <div className={styles.all}>
      <div className={styles.bar}>
        <Field label="What">
          <Choices choices={KINDS} value={kind} onChoose={setKind} />
        </Field>
        <Field label="Who">
          <Choices choices={ACTORS} value={actorKind} onChoose={setActorKind} />
        </Field>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            setPerformer(typed.trim());
          }}
        >
          <Field label="Performed by">
            <Input
              value={typed}
              placeholder="Name or address"
              onChange={(_, data) => {
                setTyped(data.value);
                if (data.value === '') setPerformer('');
              }}
              onBlur={() => setPerformer(typed.trim())}
            />
          </Field>
        </form>
      </div>
      {timeline.isPending ? (
        <Waiting rows={6} label="Loading activities" />
      ) : timeline.isError && facts.length === 0 ? (
        <Failure error={timeline.error} retry={() => void timeline.refetch()} />
      ) : facts.length === 0 ? (
        <Empty title="Nothing of this kind happened" />
      ) : (
        <ol className={styles.list}>
          {facts.map((fact) => (
            <FactLine key={fact.position} fact={fact} />
          ))}
        </ol>
      )}
      {timeline.hasNextPage && (
        <div className={styles.acts}>
          <Button disabledFocusable={timeline.isFetchingNextPage} onClick={() => void timeline.fetchNextPage()}>
            {timeline.isFetchingNextPage ? 'Loading…' : 'Show later ones'}
          </Button>
        </div>
      )}
      <AddComment incident={incident} />
    </div>
  );
}

/** One line of the log. */
export function FactLine({ fact }: { fact: Fact }) {
  const styles = useStyles();
  return (
    <li className={styles.fact}>
      <Avatar size={32} name={fact.actor.name} color={fact.actor.kind === 'system' ? 'neutral' : 'colorful'} aria-hidden />
      <div>
        <div className={styles.head}>
          <strong>{fact.actor.name}</strong>
          <span>{told(fact)}</span>
          <span className={styles.when}>
            <Moment at={fact.at} as="second" />
          </span>
        </div>
        {fact.comment ? (
          <div className={styles.comment}>
            <Rich text={fact.comment} />
          </div>
        ) : (
          said(fact) && <p className={styles.comment}>{said(fact)}</p>
        )}
        {fact.changes && fact.changes.length > 0 && (
          <ul className={styles.changes}>
            {fact.changes.map((change) => (
              <li key={change.field}>
                {FIELDS[change.field] ?? spelled(change.field)}: <Value of={change.before} field={change.field} /> →{' '}
                <Value of={change.after} field={change.field} />
              </li>
            ))}
          </ul>
        )}
      </div>
    </li>
  );
}

/** Members that are called otherwise on the page. */
const FIELDS: Record<string, string> = {
  startedDateTime: 'Investigation began',
  inProgressBy: 'Taken up by',
  displayName: 'Name',
  customTags: 'Tags',
};

/** Members whose values are words of ours and not what somebody wrote. */
const WORDED = new Set(['state', 'status', 'severity', 'classification', 'determination']);

/** A value of a change, whatever it is; moments in the reader's zone. */
function Value({ of, field }: { of: unknown; field: string }) {
  if (typeof of === 'string' && /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(of)) return <Moment at={of} as="second" />;
  if (typeof of === 'string' && WORDED.has(field)) return <>{of === 'unknown' ? 'Not set' : spelled(of)}</>;
  return <>{value(of)}</>;
}

function value(of: unknown): string {
  if (of === null || of === undefined || of === '') return 'nothing';
  if (Array.isArray(of)) return of.map(value).join(', ') || 'nothing';
  if (typeof of === 'object') return JSON.stringify(of);
  return String(of);
}

function AddComment({ incident }: { incident: Incident }) {
  const styles = useStyles();
  const take = useTake();
  const [text, setText] = useState('');
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const add = async () => {
    setBusy(true);
    setError(null);
    try {
      take(
        await read(
          api.POST('/api/v1/incidents/{id}/comments', {
            params: { path: { id: incident.id } },
            body: { comment: text.trim() },
          }),
        ),
      );
      setText('');
    } catch (refused) {
      setError(refused);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Section title="Add a comment">
      <Field label="Comment" hint={`Comments are one-way: experts do not answer here. ${RICH_HINT}`}>
        <Textarea value={text} rows={4} resize="vertical" maxLength={30_000} onChange={(_, data) => setText(data.value)} />
      </Field>
      <Failure error={error} />
      <div className={styles.acts}>
        <GuardedButton
          appearance="primary"
          may={incident.may.comment.allowed && !text.trim() ? { allowed: false, because: 'Write something first.' } : incident.may.comment}
          busy={busy}
          onClick={add}
        >
          {busy ? 'Sending…' : 'Comment'}
        </GuardedButton>
      </div>
    </Section>
  );
}
