import { Checkbox, Field, Input, Select, SpinButton, Switch, makeStyles, tokens } from '@fluentui/react-components';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useId, useState } from 'react';

import { useCredits } from '../api/ask';
import { api, read } from '../api/client';
import { NAMES, WHOSE, lasting } from '../api/clock-words';
import type { ClockName, ServiceAgreement } from '../api/hand';
import { useSession } from '../api/session';
import { CreditLedger } from '../ui/Credits';
import { GuardedButton } from '../ui/Guarded';
import { Page } from '../ui/Page';
import { Section } from '../ui/Section';
import { Table, type Column } from '../ui/Table';
import { useToasts } from '../ui/Toasts';
import { WeekHours, officeWeek, spelledWeek } from '../ui/WeekHours';
import { Empty, Failure, Notice, Waiting } from '../ui/states';

const useStyles = makeStyles({
  form: { display: 'flex', flexDirection: 'column', alignItems: 'stretch', gap: '16px' },
  who: { maxWidth: '360px' },
  clocks: { display: 'grid', gap: '14px', margin: 0, padding: 0, listStyleType: 'none' },
  clock: {
    display: 'grid',
    gridTemplateColumns: 'minmax(200px, 1fr) repeat(3, minmax(150px, 190px))',
    gap: '6px 16px',
    alignItems: 'start',
    '@media (max-width: 860px)': { gridTemplateColumns: 'repeat(3, minmax(90px, 1fr))' },
    '@media (max-width: 480px)': { gridTemplateColumns: '1fr' },
  },
  what: { '@media (max-width: 860px)': { gridColumn: '1 / -1' } },
  name: { fontWeight: tokens.fontWeightSemibold },
  about: { margin: '2px 0 0', color: tokens.colorNeutralForeground2, fontSize: tokens.fontSizeBase200 },
  target: { display: 'grid', gap: '2px', minWidth: 0, '& input': { minWidth: 0 }, '& .fui-SpinButton': { minWidth: 0, width: '100%' } },
  pair: { display: 'flex', flexWrap: 'wrap', gap: '12px', '& > *': { flex: '1 1 220px', minWidth: 0 } },
  acts: { display: 'flex', flexWrap: 'wrap', gap: '8px' },
  part: { margin: 0, fontSize: tokens.fontSizeBase300, fontWeight: tokens.fontWeightSemibold },
});

type Terms = ServiceAgreement['agreement'];
const KEY = 'service-agreement';
const SEVERITIES = ['high', 'medium', 'low'] as const;
const SPELT: Record<string, string> = { high: 'High', medium: 'Medium', low: 'Low', informational: 'Informational' };

/** What the provider promises, and how it did. */
export default function Agreement() {
  const styles = useStyles();
  const { side, organisation } = useSession();
  const provider = side === 'provider';
  const [tenant, setTenant] = useState('');
  const tenants = useQuery({ queryKey: ['tenants'], queryFn: () => read(api.GET('/api/v1/tenants')), enabled: provider });
  const query = tenant ? { tenantId: tenant } : {};
  const found = useQuery({
    queryKey: [KEY, tenant],
    queryFn: ({ signal }) => read(api.GET('/api/v1/service-agreement', { params: { query }, signal })),
  });
  const name = tenants.data?.value.find((one) => one.id === tenant)?.name;
  return (
    <Page
      title="Service clocks"
      lead={
        provider
          ? 'How long each part of an incident may take, who is told before a target is missed, and how it went.'
          : `What your provider has promised ${organisation.name}: how long each part of an incident may take, and how it went.`
      }
    >
      {provider && (
        <Field label="Agreement with" className={styles.who}>
          <Select value={tenant} onChange={(_, data) => setTenant(data.value)}>
            <option value="">All customers without one of their own</option>
            {tenants.data?.value.map((one) => (
              <option key={one.id} value={one.id}>
                {one.name}
              </option>
            ))}
          </Select>
        </Field>
      )}
      {found.data ? (
        <>
          {tenant && !found.data.isOwn && (
            <Notice title={`${name ?? 'This customer'} has no agreement of its own`}>What is promised to all customers holds. Saving makes one for this customer.</Notice>
          )}
          {found.data.may.change.allowed ? (
            <Form key={`${tenant} ${found.dataUpdatedAt}`} found={found.data} tenant={tenant} />
          ) : (
            <Promised found={found.data} />
          )}
          {(tenant || !provider) && <Measured rows={found.data.last30Days} />}
          {tenant && found.data.may.change.allowed && <Questions key={tenant} tenant={tenant} />}
        </>
      ) : found.isError ? (
        <Failure error={found.error} retry={() => void found.refetch()} />
      ) : (
        <Waiting rows={8} />
      )}
    </Page>
  );
}

/** For who reads it. */
function Promised({ found }: { found: ServiceAgreement }) {
  const styles = useStyles();
  const { targets, hours, chatHours, noticePercent, lead } = found.agreement;
  type Clock = ServiceAgreement['clocks'][number];
  const promise = (clock: ClockName, severity: string) => {
    const it = targets.find((one) => one.clock === clock && one.severity === severity);
    return it ? `${lasting(it.minutes * 60)}${it.workingHours ? ' of working hours' : ''}` : '–';
  };
  const columns: Column<Clock>[] = [
    {
      id: 'clock',
      label: 'Clock',
      lead: true,
      cell: (row) => (
        <>
          <span className={styles.name}>{NAMES[row.clock]}</span> · {WHOSE[row.whose]}
          <p className={styles.about}>{row.about}</p>
        </>
      ),
    },
    ...SEVERITIES.map((severity) => ({
      id: severity,
      label: SPELT[severity] ?? severity,
      nowrap: true,
      named: true,
      cell: (row: Clock) => promise(row.clock, severity),
    })),
  ];
  return (
    <Section title="Targets">
      <Table label="Targets" rows={found.clocks} columns={columns} id={(row) => row.clock} name={(row) => NAMES[row.clock]} />
      <span>
        Notice is given after {noticePercent} % of a target{lead ? `; the provider’s lead is ${lead.name}` : ''}.
        {hours && ` Working hours (${hours.timeZone}): ${spelledWeek(hours)}.`}
        {chatHours && ` Experts answer in conversations (${chatHours.timeZone}): ${spelledWeek(chatHours)}.`}
      </span>
    </Section>
  );
}

function Form({ found, tenant }: { found: ServiceAgreement; tenant: string }) {
  const styles = useStyles();
  const form = useId();
  const queries = useQueryClient();
  const toasts = useToasts();
  const [terms, setTerms] = useState<Terms>(found.agreement);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const changed = JSON.stringify(terms) !== JSON.stringify(found.agreement);
  const query = tenant ? { tenantId: tenant } : {};

  const promised = (clock: ClockName, severity: string) => terms.targets.find((one) => one.clock === clock && one.severity === severity);
  const promise = (clock: ClockName, severity: string, change: { minutes?: number | null; workingHours?: boolean }) => {
    const before = promised(clock, severity);
    const rest = terms.targets.filter((one) => one !== before);
    const minutes = change.minutes === undefined ? (before?.minutes ?? null) : change.minutes;
    const workingHours = change.workingHours ?? before?.workingHours ?? false;
    setTerms({ ...terms, targets: minutes === null ? rest : [...rest, { clock, severity, minutes, workingHours }] });
  };
  const send = async (what: () => Promise<ServiceAgreement>, said: string) => {
    setBusy(true);
    setError(null);
    try {
      queries.setQueryData([KEY, tenant], await what());
      toasts.done(said);
    } catch (refused) {
      setError(refused);
    } finally {
      setBusy(false);
    }
  };
  const save = () => send(() => read(api.PUT('/api/v1/service-agreement', { params: { query }, body: terms })), 'The agreement is saved. Clocks that run are held against it.');
  const drop = () => send(() => read(api.DELETE('/api/v1/service-agreement', { params: { query } })), 'What is promised to all customers holds.');

  return (
    <Section title="Targets">
      <form
        id={form}
        className={styles.form}
        onSubmit={(event) => {
          event.preventDefault();
          if (changed && !busy) void save();
        }}
      >
        <ul className={styles.clocks}>
          {found.clocks.map((one) => (
            <li key={one.clock} className={styles.clock}>
              <div className={styles.what}>
                <span className={styles.name}>{NAMES[one.clock]}</span> · {WHOSE[one.whose]}
                <p className={styles.about}>{one.about}</p>
              </div>
              {SEVERITIES.map((severity) => {
                const it = promised(one.clock, severity);
                return (
                  <div key={severity} className={styles.target}>
                    <Field label={`${SPELT[severity]}, minutes`} size="small">
                      <SpinButton
                        min={0}
                        max={527_040}
                        value={it?.minutes ?? null}
                        displayValue={it ? String(it.minutes) : ''}
                        placeholder="No target"
                        aria-label={`${NAMES[one.clock]}, ${SPELT[severity]}: minutes, empty for no target`}
                        onChange={(_, data) => {
                          const typed = data.value ?? (data.displayValue?.trim() ? Number(data.displayValue) : null);
                          if (typed !== null && !Number.isInteger(typed)) return;
                          promise(one.clock, severity, { minutes: typed !== null && typed > 0 ? typed : null });
                        }}
                      />
                    </Field>
                    {terms.hours && it && (
                      <Checkbox
                        size="medium"
                        checked={it.workingHours ?? false}
                        label="Working hours only"
                        onChange={(_, data) => promise(one.clock, severity, { workingHours: data.checked === true })}
                      />
                    )}
                  </div>
                );
              })}
            </li>
          ))}
        </ul>
        <Switch
          label="Some targets count in working hours only"
          checked={terms.hours !== null && terms.hours !== undefined}
          onChange={(_, data) =>
            setTerms({
              ...terms,
              hours: data.checked ? officeWeek() : null,
              targets: data.checked ? terms.targets : terms.targets.map((one) => ({ ...one, workingHours: false })),
            })
          }
        />
        {terms.hours && <WeekHours week={terms.hours} onChange={(hours) => setTerms({ ...terms, hours })} />}
        <Switch
          label="Experts answer in conversations at certain hours only"
          checked={Boolean(terms.chatHours)}
          onChange={(_, data) => setTerms({ ...terms, chatHours: data.checked ? officeWeek() : null })}
        />
        {terms.chatHours && <WeekHours week={terms.chatHours} onChange={(chatHours) => setTerms({ ...terms, chatHours })} />}
        <Field label="Give notice after this share of a target, in per cent" className={styles.who}>
          <SpinButton
            min={10}
            max={95}
            value={terms.noticePercent}
            onChange={(_, data) => {
              const typed = data.value ?? Number(data.displayValue);
              if (Number.isInteger(typed)) setTerms({ ...terms, noticePercent: typed });
            }}
          />
        </Field>
        <h3 className={styles.part}>The provider’s lead</h3>
        <Switch
          label="Somebody of the provider is told when a target is near or missed"
          checked={terms.lead !== null && terms.lead !== undefined}
          onChange={(_, data) => setTerms({ ...terms, lead: data.checked ? { name: '', email: '', language: 'en' } : null })}
        />
        {terms.lead && (
          <div className={styles.pair}>
            <Field label="Name" required>
              <Input
                value={terms.lead.name}
                onChange={(_, data) => terms.lead && setTerms({ ...terms, lead: { ...terms.lead, name: data.value } })}
              />
            </Field>
            <Field label="Mail address" required>
              <Input
                type="email"
                value={terms.lead.email}
                onChange={(_, data) => terms.lead && setTerms({ ...terms, lead: { ...terms.lead, email: data.value } })}
              />
            </Field>
          </div>
        )}
        <Failure error={error} />
        <div className={styles.acts}>
          <GuardedButton
            appearance="primary"
            type="submit"
            busy={busy}
            may={changed ? found.may.change : { allowed: false, because: 'Nothing has changed.' }}
          >
            {busy ? 'Saving…' : 'Save'}
          </GuardedButton>
          {changed && <GuardedButton may={found.may.change} onClick={() => setTerms(found.agreement)}>Undo changes</GuardedButton>}
          {found.isOwn && tenant && (
            <GuardedButton may={found.may.change} busy={busy} onClick={() => void drop()}>
              Use what is promised to all
            </GuardedButton>
          )}
        </div>
      </form>
    </Section>
  );
}

type Row = ServiceAgreement['last30Days'][number];
const keyOf = (row: Row) => `${NAMES[row.clock]}, ${row.severity}`;

function Measured({ rows }: { rows: Row[] }) {
  const columns: Column<Row>[] = [
    { id: 'clock', label: 'Clock', lead: true, cell: (row) => `${NAMES[row.clock]}, ${SPELT[row.severity] ?? row.severity}` },
    { id: 'runs', named: true, label: 'Ended', end: true, nowrap: true, cell: (row) => row.runs.toLocaleString() },
    { id: 'median', named: true, label: 'Half took at most', end: true, nowrap: true, cell: (row) => lasting(row.medianSeconds) },
    { id: 'p90', named: true, label: 'Nine of ten', end: true, nowrap: true, cell: (row) => lasting(row.p90Seconds) },
    {
      id: 'kept',
      label: 'Target kept',
      named: true,
      end: true,
      nowrap: true,
      cell: (row) => (row.withTarget ? `${Math.floor((row.keptTarget * 100) / row.withTarget)} % (${row.keptTarget.toLocaleString()} of ${row.withTarget.toLocaleString()})` : '–'),
    },
  ];
  return (
    <Section title="The last 30 days">
      {rows.length === 0 ? (
        <Empty title="Nothing has been measured yet">As soon as a clock of an incident stops, it is counted here.</Empty>
      ) : (
        <Table label="The last 30 days" rows={rows} columns={columns} id={keyOf} name={keyOf} />
      )}
    </Section>
  );
}

/** ASK-2: whether a customer's questions to the experts cost credits. */
function Questions({ tenant }: { tenant: string }) {
  const styles = useStyles();
  const queries = useQueryClient();
  const toasts = useToasts();
  const [busy, setBusy] = useState(false);
  const credits = useCredits(tenant);
  const [until, setUntil] = useState<string | null>(null);
  if (credits.isError) return <Failure error={credits.error} retry={() => void credits.refetch()} />;
  if (!credits.data) return <Waiting rows={3} />;
  const it = credits.data;
  const counted = it.rule === 'quarterly';
  const day = until ?? it.untilDateTime?.slice(0, 10) ?? '';
  const choose = async (rule: 'unlimited' | 'quarterly', ends: string) => {
    setBusy(true);
    try {
      const body = { rule, ...(rule === 'quarterly' && ends && { untilDateTime: `${ends}T00:00:00Z` }) };
      queries.setQueryData(['credits', tenant], await read(api.PUT('/api/v1/credits', { params: { query: { tenantId: tenant } }, body })));
      setUntil(null);
      toasts.done(rule === 'quarterly' ? 'Questions cost credits.' : 'Questions are unlimited.');
    } catch (refused) {
      toasts.fail(refused);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Section title="Questions to the experts">
      <Switch
        label={`Questions cost credits: ${it.grantedEachQuarter} at the start of each quarter, at most ${it.usableEachQuarter} used in one`}
        checked={counted}
        disabled={busy}
        onChange={(_, data) => void choose(data.checked ? 'quarterly' : 'unlimited', day)}
      />
      {counted && (
        <>
          <Field label="The subscription ends" hint="UTC; every credit expires with it. Empty while it goes on." className={styles.who}>
            <Input type="date" value={day} onChange={(_, data) => setUntil(data.value)} onBlur={() => until !== null && void choose('quarterly', until)} />
          </Field>
          <CreditLedger credits={it} />
        </>
      )}
    </Section>
  );
}
