import { Link as FluentLink, ProgressBar, SearchBox, makeStyles, tokens } from '@fluentui/react-components';
import { useMemo, useState } from 'react';

import { actionLook } from '../api/action-words';
import { useDeviceName } from '../api/device-name';
import { Refusal, sentence } from '../api/error';
import type { Action, Attempt } from '../api/hand';
import { useOptions } from '../api/options';
import { useSession } from '../api/session';
import { userPath } from '../api/user-path';
import { headed, spelled } from '../api/words';
import { Facts } from '../ui/Facts';
import { Go } from '../ui/Go';
import { Json, JsonMore } from '../ui/Json';
import { Mark } from '../ui/Mark';
import { Moment } from '../ui/Moment';
import { Panel } from '../ui/Panel';
import { Section } from '../ui/Section';
import { Table } from '../ui/Table';
import { waitFacts } from '../ui/SecondPerson';
import { Thing } from '../ui/Thing';
import { Empty, Failure, Notice, Waiting } from '../ui/states';
import { Acts } from './acts';
import { useAction } from './data';
import { tables, type Cells, type Found } from './found';

const useStyles = makeStyles({
  attempt: {
    display: 'flex',
    flexDirection: 'column',
    gap: '10px',
    padding: '12px 14px',
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    borderRadius: tokens.borderRadiusLarge,
    minWidth: 0,
  },
  title: { margin: 0, fontSize: tokens.fontSizeBase300, fontWeight: tokens.fontWeightSemibold },
  part: { display: 'flex', flexDirection: 'column', gap: '4px', minWidth: 0 },
  name: { color: tokens.colorNeutralForeground2 },
  muted: { margin: 0, color: tokens.colorNeutralForeground2 },
  search: { maxWidth: '320px', width: '100%' },
  progress: { display: 'flex', flexDirection: 'column', gap: '4px' },
});

/** Everything about one action: what was asked, sent, answered and seen. */
export function ActionPane({
  id,
  row,
  onClose,
  step,
}: {
  id: string;
  row: Action | undefined;
  onClose: () => void;
  step: { previous: (() => void) | null; next: (() => void) | null };
}) {
  const action = useAction(id);
  const known = action.data ?? row;
  const gone = action.error instanceof Refusal && action.error.status === 404;
  return (
    <Panel title={known ? headed(`${known.title}: ${known.target.name}`) : `Action ${id}`} open wide onClose={onClose} step={step}>
      {gone ? (
        <Empty title="There is no such action">It does not exist, or it belongs to an organisation that you cannot see.</Empty>
      ) : action.isError ? (
        <Failure error={action.error} retry={() => void action.refetch()} />
      ) : action.data ? (
        <Details action={action.data} />
      ) : (
        <Waiting rows={8} />
      )}
    </Panel>
  );
}

/** Actions whose outcome is a file. */
const PACKED = new Set(['collectInvestigationPackage', 'collectFile']);

const by = (at: string | null, who: string | null) =>
  at && (
    <span>
      <Moment at={at} as="second" /> {who && `by ${who}`}
    </span>
  );

function Details({ action }: { action: Action }) {
  const styles = useStyles();
  const { side } = useSession();
  const look = actionLook(action.state);
  const page = action.target.deviceId ? `/devices/${encodeURIComponent(action.target.deviceId)}` : undefined;
  const thing = action.target.kind === 'user' ? userPath(action.tenantId, action.target.id) : page;
  const attempts = action.attempts ?? [];
  const options = useOptions(action.kind, action.options);
  const inside = action.target.kind === 'device' || 'deviceId' in action.options ? null : action.target.deviceId;
  const on = useDeviceName(inside);
  return (
    <>
      <Acts action={action} />
      {look.means && <Notice intent={['needsHuman', 'proposed'].includes(action.state) ? 'warning' : 'info'}>{look.means}</Notice>}
      {action.progress && (
        <div className={styles.progress}>
          <ProgressBar value={action.progress.percent / 100} aria-label="Progress" />
          <span className={styles.name}>
            {action.progress.percent} %{action.progress.text && ` · ${action.progress.text}`}
          </span>
        </div>
      )}
      <Facts
        facts={[
          ['Status', <Mark key="s" look={look} />],
          ['Reason', action.state !== 'proposed' && action.reason && sentence(action.reason)],
          ['Target', <Thing key="t" kind={action.target.kind} name={action.target.name} to={thing} />],
          ['Target id', action.target.id !== action.target.name && action.target.id],
          [
            'In the mailbox of',
            action.target.mailbox && (
              <Go key="m" to={userPath(action.tenantId, action.target.mailbox)}>
                {action.target.mailbox}
              </Go>
            ),
          ],
          ['On device', on && page && <Go key="o" to={page}>{on}</Go>],
          ['Customer', side === 'provider' && action.tenantName],
          [
            'Incident',
            action.incidentId && (
              <Go key="i" to={`/incidents/${encodeURIComponent(action.incidentId)}?response=actions`}>
                {action.incidentId}
              </Go>
            ),
          ],
          ['Action source', action.source],
          ...options,
          ['Comment', action.comment],
          ['Requested', by(action.requestedDateTime, action.requestedBy)],
          ['Approved', by(action.approvedDateTime, action.approvedBy)],
          ['Begun', by(action.startedDateTime, null)],
          ['Ended', by(action.endedDateTime, null)],
          ...(action.state === 'proposed' ? waitFacts(action.approval, action.deadlineDateTime) : []),
          ['Tried until', action.state !== 'proposed' && !action.endedDateTime && <Moment key="d" at={action.deadlineDateTime} as="second" />],
          [
            'Takes back',
            action.undoOf && (
              <Go key="u" to={`/actions?tab=history&action=${encodeURIComponent(action.undoOf)}`}>
                {action.undoOf}
              </Go>
            ),
          ],
          [
            'Applied from',
            action.instanceOf && (
              <Go key="f" to={`/actions?tab=history&action=${encodeURIComponent(action.instanceOf)}`}>
                {action.instanceOf}
              </Go>
            ),
          ],
          ['Applied to', action.instanceCount ? `${action.instanceCount.toLocaleString()} more instances` : null],
          [
            'Package',
            PACKED.has(action.kind) && action.state === 'succeeded' && (
              <FluentLink key="p" href={`/api/v1/actions/${encodeURIComponent(action.id)}/package`} download>
                Download the package
              </FluentLink>
            ),
          ],
        ]}
      />
      <FoundParts found={action.found} />
      {action.readBack !== null && action.readBack !== undefined && (
        <Section title="Read back from the asset" plain>
          <Json value={action.readBack} label="Read back from the asset" />
        </Section>
      )}
      <Section title={`Attempts (${attempts.length})`} plain>
        {attempts.length === 0 && <p className={styles.muted}>Nothing was sent yet.</p>}
        {attempts.map((attempt) => (
          <AttemptPart key={attempt.number} attempt={attempt} />
        ))}
      </Section>
    </>
  );
}

function AttemptPart({ attempt }: { attempt: Attempt }) {
  const styles = useStyles();
  const parts: [string, unknown][] = [
    ['What was sent', attempt.sent],
    ['What came back', attempt.answer],
    ['What was read back', attempt.readBack],
  ];
  return (
    <article className={styles.attempt} aria-label={`Attempt ${attempt.number}`}>
      <h3 className={styles.title}>Attempt {attempt.number}</h3>
      <Facts
        facts={[
          ['Sent', <Moment key="s" at={attempt.startedDateTime} as="second" />],
          ['Answered', <Moment key="a" at={attempt.answeredDateTime} as="second" none="Not yet" />],
          ['Outcome', attempt.outcome && spelled(attempt.outcome)],
        ]}
      />
      {parts.map(([label, value]) =>
        value === null || value === undefined ? (
          <span key={label} className={styles.name}>
            {label}: nothing yet
          </span>
        ) : (
          <JsonMore key={label} label={label} value={value} />
        ),
      )}
    </article>
  );
}

function FoundParts({ found }: { found: unknown }) {
  const { facts, lists } = useMemo(() => tables(found), [found]);
  if (facts.length === 0 && lists.length === 0) return null;
  return (
    <>
      {facts.length > 0 && (
        <Section title="What it found" plain>
          <Facts facts={facts.map(([name, value]) => [spelled(name), value])} />
        </Section>
      )}
      {lists.map((list) => (
        <FoundTable key={list.title} list={list} />
      ))}
    </>
  );
}

/** Rows that are drawn at most; what is looked for comes up by searching. */
const MOST = 200;

function FoundTable({ list }: { list: Found }) {
  const styles = useStyles();
  const [words, setWords] = useState('');
  const columns = useMemo(
    () =>
      list.columns.map((name, at) => ({
        id: name,
        label: spelled(name),
        ...(at === 0 ? {} : { minor: at > 3, named: true }),
        cell: (row: Cells & { at: string }) => row[name] || '–',
      })),
    [list],
  );
  const wanted = words.trim().toLowerCase();
  const fitting = list.rows
    .map((row, at) => ({ ...row, at: String(at) }) as Cells & { at: string })
    .filter((row) => !wanted || list.columns.some((name) => row[name]?.toLowerCase().includes(wanted)));
  const title = `${spelled(list.title)} (${list.rows.length})`;
  return (
    <Section
      title={title}
      plain
      actions={
        list.rows.length > 10 && (
          <SearchBox
            className={styles.search}
            size="small"
            aria-label={`Search in ${spelled(list.title)}`}
            placeholder="Search"
            value={words}
            onChange={(_, data) => setWords(data.value)}
          />
        )
      }
    >
      {fitting.length === 0 ? (
        <p className={styles.muted}>{list.rows.length === 0 ? 'Nothing.' : 'Nothing fits.'}</p>
      ) : (
        <Table label={title} columns={columns} rows={fitting.slice(0, MOST)} id={(row) => row.at} name={(row) => row[list.columns[0] ?? ''] ?? ''} />
      )}
      {fitting.length > MOST && <p className={styles.muted}>{fitting.length - MOST} more; search to narrow them down.</p>}
    </Section>
  );
}
