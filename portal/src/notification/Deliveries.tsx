import { Button, Field, makeStyles, tokens } from '@fluentui/react-components';
import { SendRegular } from '@fluentui/react-icons';
import { useMemo, useState } from 'react';
import { useSearchParams } from 'react-router';

import { api, read } from '../api/client';
import { sentence } from '../api/error';
import type { Channel, Delivery, DeliveryDetail, DeliveryState, Letter, May } from '../api/hand';
import { Choices } from '../ui/Choices';
import { Facts } from '../ui/Facts';
import { Go } from '../ui/Go';
import { GuardedButton } from '../ui/Guarded';
import { Mark } from '../ui/Mark';
import { Moment } from '../ui/Moment';
import { Panel } from '../ui/Panel';
import { Section } from '../ui/Section';
import { Table, type Column } from '../ui/Table';
import { useToasts } from '../ui/Toasts';
import { within } from '../ui/mail';
import { Empty, Failure, Notice, Waiting } from '../ui/states';
import { useDeliveries, useDelivery, useForget, type Asked } from './data';
import { CHANNELS, OUTCOMES, STATES, kindName, languageName } from './words';

const useStyles = makeStyles({
  bar: { display: 'flex', flexWrap: 'wrap', gap: '12px', alignItems: 'end' },
  choice: { '& .fui-Dropdown': { minWidth: '150px' } },
  two: { display: 'flex', flexDirection: 'column', gap: '2px', overflowWrap: 'anywhere' },
  small: { fontSize: tokens.fontSizeBase200, color: tokens.colorNeutralForeground2 },
  foot: { display: 'flex', justifyContent: 'center' },
  letter: {
    display: 'flex',
    flexDirection: 'column',
    gap: '8px',
    padding: '12px 14px',
    overflowWrap: 'anywhere',
    backgroundColor: tokens.colorNeutralBackground3,
    borderRadius: tokens.borderRadiusLarge,
    '& > *': { margin: 0 },
  },
  heading: { fontWeight: tokens.fontWeightSemibold },
  quote: { paddingInlineStart: '12px', borderLeft: `3px solid ${tokens.colorNeutralStroke1}`, whiteSpace: 'pre-wrap' },
  items: { paddingInlineStart: '20px' },
  attempts: { listStyleType: 'none', margin: 0, padding: 0, display: 'flex', flexDirection: 'column', gap: '10px' },
  attempt: { display: 'flex', flexWrap: 'wrap', alignItems: 'center', gap: '2px 8px', overflowWrap: 'anywhere' },
  detail: { flexBasis: '100%', color: tokens.colorNeutralForeground2 },
});

const ANY = { value: '', label: 'Any' };
const STATE_CHOICES = [ANY, ...(Object.keys(STATES) as DeliveryState[]).map((value) => ({ value, label: STATES[value].label }))];
const CHANNEL_CHOICES = [ANY, ...(Object.keys(CHANNELS) as Channel[]).map((value) => ({ value, label: CHANNELS[value] }))];

/** Every message to anybody, and what became of it. */
export function Deliveries({ may }: { may: May }) {
  const styles = useStyles();
  const [params, setParams] = useSearchParams();
  const given = (name: string) => params.get(name) ?? '';
  const set = (name: string, value: string) => {
    const next = new URLSearchParams(params);
    if (value) next.set(name, value);
    else next.delete(name);
    setParams(next, { replace: true });
  };
  const [state, channel, incident, open] = ['state', 'channel', 'incident', 'open'].map(given) as [string, string, string, string];
  const asked: Asked = { ...(state && { state }), ...(channel && { channel }), ...(incident && { incident }) };
  const list = useDeliveries(asked);
  const rows = useMemo(() => (list.data?.pages ?? []).flatMap((page) => page.value), [list.data]);
  const columns = useMemo<Column<Delivery>[]>(
    () => [
      {
        id: 'subject',
        label: 'Subject',
        lead: true,
        cell: (row) => row.subject,
      },
      {
        id: 'state',
        label: 'State',
        nowrap: true,
        cell: (row) => <Mark look={STATES[row.state]} />,
      },
      {
        id: 'receiver',
        label: 'Receiver',
        cell: (row) => (
          <span className={styles.two}>
            {row.name}
            <span className={styles.small}>{row.receiver}</span>
          </span>
        ),
      },
      { id: 'channel', label: 'Channel', minor: true, nowrap: true, cell: (row) => CHANNELS[row.channel] },
      { id: 'at', label: 'Made', nowrap: true, cell: (row) => <Moment at={row.createdDateTime} /> },
      { id: 'attempts', label: 'Attempts', nowrap: true, named: true, cell: (row) => row.attempts },
    ],
    [styles],
  );
  return (
    <>
      <div className={styles.bar} role="search" aria-label="Deliveries">
        <Field label="State" className={styles.choice}>
          <Choices choices={STATE_CHOICES} value={state} onChoose={(value) => set('state', value)} />
        </Field>
        <Field label="Channel" className={styles.choice}>
          <Choices choices={CHANNEL_CHOICES} value={channel} onChoose={(value) => set('channel', value)} />
        </Field>
      </div>
      {incident && (
        <Notice
          action={
            <Button size="small" onClick={() => set('incident', '')}>
              Show all
            </Button>
          }
        >
          Only what is about{' '}
          <Go inline to={`/incidents/${encodeURIComponent(incident)}`}>
            incident {incident}
          </Go>
          .
        </Notice>
      )}
      {list.isPending ? (
        <Waiting rows={6} label="Loading deliveries" />
      ) : list.isError && rows.length === 0 ? (
        <Failure error={list.error} retry={() => void list.refetch()} />
      ) : rows.length === 0 ? (
        Object.keys(asked).length > 0 ? (
          <Empty title="No messages match" />
        ) : (
          <Empty title="Nothing was sent yet">Each message to a contact or a webhook is listed here, with what became of it.</Empty>
        )
      ) : (
        <Table
          label="Deliveries"
          columns={columns}
          rows={rows}
          id={(row) => row.id}
          name={(row) => row.subject}
          onOpen={(row) => set('open', row.id)}
          href={(row) => {
            const next = new URLSearchParams(params);
            next.set('open', row.id);
            return `/settings/notifications?${next.toString()}`;
          }}
          current={open || null}
        />
      )}
      {list.hasNextPage && (
        <div className={styles.foot}>
          <Button disabledFocusable={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
            {list.isFetchingNextPage ? 'Loading…' : `Show more (${rows.length.toLocaleString()} shown)`}
          </Button>
        </div>
      )}
      {open && <Opened key={open} id={open} may={may} onClose={() => set('open', '')} />}
    </>
  );
}

function Opened({ id, may, onClose }: { id: string; may: May; onClose: () => void }) {
  const toasts = useToasts();
  const forget = useForget();
  const delivery = useDelivery(id);
  const [busy, setBusy] = useState(false);
  const it = delivery.data;
  const mayAgain = may.allowed && it?.state === 'waiting' ? { allowed: false, because: 'It waits to be sent already.' } : may;
  const again = async (one: Delivery) => {
    setBusy(true);
    try {
      await read(api.POST('/api/v1/deliveries/{id}/again', { params: { path: { id } }, body: {} }));
      toasts.done(`It is sent to ${one.name} again.`);
    } catch (refused) {
      toasts.fail(refused);
    }
    await forget();
    setBusy(false);
  };
  return (
    <Panel
      title={it?.subject ?? 'Message'}
      open
      onClose={onClose}
      footer={
        it && (
          <GuardedButton icon={<SendRegular />} may={mayAgain} busy={busy} onClick={() => void again(it)}>
            {busy ? 'Sending…' : 'Send again'}
          </GuardedButton>
        )
      }
    >
      {it ? <Shown it={it} /> : delivery.isError ? <Failure error={delivery.error} retry={() => void delivery.refetch()} /> : <Waiting rows={8} />}
    </Panel>
  );
}

function Shown({ it }: { it: DeliveryDetail }) {
  const styles = useStyles();
  return (
    <>
      {it.state === 'dead' && (
        <Notice intent="error" title="It did not reach its receiver.">
          {it.because && sentence(it.because)}
        </Notice>
      )}
      <Facts
        facts={[
          ['State', <Mark key="state" look={STATES[it.state]} />],
          ['Why', it.state !== 'dead' && it.because && sentence(it.because)],
          ['Sent next', it.nextDateTime && <Moment key="next" at={it.nextDateTime} as="distance" />],
          ['Receiver', `${it.name} (${it.receiver})`],
          ['Channel', CHANNELS[it.channel]],
          ['Kind', kindName(it.kind)],
          ['Language', it.channel === 'mail' && languageName(it.language)],
          [
            'About',
            it.incidentId && (
              <Go key="incident" to={`/incidents/${encodeURIComponent(it.incidentId)}`}>
                Incident {it.incidentId}
              </Go>
            ),
          ],
          ['Made', <Moment key="made" at={it.createdDateTime} as="second" />],
          ['Ended', it.endedDateTime && <Moment key="ended" at={it.endedDateTime} as="second" />],
          ['Id', it.id],
        ]}
      />
      <Section title="What it says" plain>
        <Said letter={it.letter} language={it.language} />
      </Section>
      <Section title={`Attempts (${it.attemptsMade.length})`} plain>
        {it.attemptsMade.length === 0 ? (
          <span>None yet.</span>
        ) : (
          <ol className={styles.attempts}>
            {it.attemptsMade.map((one) => (
              <li key={one.number} className={styles.attempt}>
                <span>{one.number}.</span>
                <Mark look={OUTCOMES[one.outcome] ?? { label: one.outcome, color: 'informative' }} />
                <Moment at={one.startedDateTime} as="second" />
                {one.detail && <span className={styles.detail}>{sentence(one.detail)}</span>}
              </li>
            ))}
          </ol>
        )}
      </Section>
    </>
  );
}

function Said({ letter, language }: { letter: Letter; language: string }) {
  const styles = useStyles();
  const [label = '', address = ''] = letter.link;
  const to = within(address, window.location.origin);
  return (
    <div className={styles.letter} lang={language}>
      <p className={styles.heading}>{letter.heading}</p>
      {letter.paragraphs.map((text, at) => (
        <p key={at}>{text}</p>
      ))}
      {letter.items.length > 0 && (
        <ul className={styles.items}>
          {letter.items.map((text, at) => (
            <li key={at}>{text}</li>
          ))}
        </ul>
      )}
      {letter.quote && <blockquote className={styles.quote}>{letter.quote}</blockquote>}
      {letter.whole && (
        <>
          <p className={styles.heading}>{letter.whole.summary[0]}</p>
          <blockquote className={styles.quote}>{letter.whole.summary[1]}</blockquote>
          <p className={styles.heading}>{letter.whole.tasks}</p>
          <ol className={styles.items}>
            {letter.whole.each.map(([title, text], at) => (
              <li key={at}>
                {title}
                {text && <blockquote className={styles.quote}>{text}</blockquote>}
              </li>
            ))}
          </ol>
          {letter.whole.cut && <p>{letter.whole.cut}</p>}
        </>
      )}
      {letter.after.map((text, at) => (
        <p key={at}>{text}</p>
      ))}
      <p>{to ? <Go to={to}>{label}</Go> : `${label}: ${address}`}</p>
      {letter.footer.map((text, at) => (
        <p key={at} className={styles.small}>
          {text}
        </p>
      ))}
    </div>
  );
}
