import { Field, Input, ProgressBar, Tab, TabList, makeStyles, mergeClasses, tokens } from '@fluentui/react-components';
import { ArrowClockwiseRegular } from '@fluentui/react-icons';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useSearchParams } from 'react-router';

import { api, read } from '../api/client';
import { sentence } from '../api/error';
import type { Onboarding, Protected, ReadinessItem } from '../api/hand';
import { Ask } from '../ui/Ask';
import { Go } from '../ui/Go';
import { GuardedButton } from '../ui/Guarded';
import { Mark } from '../ui/Mark';
import { Moment } from '../ui/Moment';
import { Page } from '../ui/Page';
import { Section } from '../ui/Section';
import { Table, type Column } from '../ui/Table';
import { useToasts } from '../ui/Toasts';
import { Failure, Notice, Waiting } from '../ui/states';
import { ONBOARDING, useOnboarding } from './data';
import { STAGES, STATUSES, targetOf } from './words';

const useStyles = makeStyles({
  stages: { listStyleType: 'none', margin: 0, padding: 0, display: 'flex', flexWrap: 'wrap', gap: '8px' },
  stage: {
    flex: '1 1 120px',
    padding: '8px 12px',
    borderRadius: tokens.borderRadiusMedium,
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    color: tokens.colorNeutralForeground2,
  },
  passed: { borderTop: `3px solid ${tokens.colorPaletteGreenBorderActive}` },
  here: {
    borderTop: `3px solid ${tokens.colorBrandStroke1}`,
    color: tokens.colorNeutralForeground1,
    fontWeight: tokens.fontWeightSemibold,
  },
  tabs: { overflowX: 'auto', marginInline: '-8px', borderBottom: `1px solid ${tokens.colorNeutralStroke2}` },
  part: { display: 'flex', flexDirection: 'column', gap: '16px', minWidth: 0 },
  figures: { display: 'grid', gridTemplateColumns: 'repeat(auto-fit, minmax(120px, 1fr))', gap: '12px', margin: 0 },
  figure: {
    display: 'flex',
    flexDirection: 'column-reverse',
    padding: '12px 16px',
    borderRadius: tokens.borderRadiusLarge,
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    backgroundColor: tokens.colorNeutralBackground1,
  },
  value: { margin: 0, fontSize: tokens.fontSizeHero700, lineHeight: tokens.lineHeightHero700, fontWeight: tokens.fontWeightSemibold },
  two: { display: 'flex', flexDirection: 'column', gap: '2px' },
  small: { fontSize: tokens.fontSizeBase200, color: tokens.colorNeutralForeground2 },
  hint: { margin: 0, color: tokens.colorNeutralForeground2 },
  bars: { display: 'grid', gridTemplateColumns: 'repeat(auto-fit, minmax(260px, 1fr))', gap: '16px' },
});

/** ONB-2 to ONB-5: how far the service is, what it needs, and what that allows. */
export default function Service() {
  const queries = useQueryClient();
  const toasts = useToasts();
  const onboarding = useOnboarding();
  const [busy, setBusy] = useState(false);
  const check = async () => {
    setBusy(true);
    try {
      queries.setQueryData(ONBOARDING, await read(api.POST('/api/v1/onboarding/check', { body: {} })));
      void queries.invalidateQueries({ queryKey: ['session'] });
      toasts.done('It is evaluated anew.');
    } catch (refused) {
      toasts.fail(refused);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Page
      title="Service status"
      lead="How far the service is, what it still needs, and what experts may do meanwhile."
      actions={
        <GuardedButton icon={<ArrowClockwiseRegular />} may={onboarding.data?.may.change} busy={busy} onClick={() => void check()}>
          Check again
        </GuardedButton>
      }
    >
      {onboarding.data ? (
        <Shown onboarding={onboarding.data} />
      ) : onboarding.isError ? (
        <Failure error={onboarding.error} retry={() => void onboarding.refetch()} />
      ) : (
        <Waiting rows={8} />
      )}
    </Page>
  );
}

function Shown({ onboarding }: { onboarding: Onboarding }) {
  const styles = useStyles();
  const [params, setParams] = useSearchParams();
  const tab = params.get('tab') === 'assets' ? 'assets' : 'actions';
  const { readiness, stage } = onboarding;
  return (
    <>
      <Progress onboarding={onboarding} />
      {stage === 'readinessPending' && (
        <Notice intent="warning" title="The service has not begun.">
          {readiness.missing.length > 0 ? `Still needed: ${readiness.missing.join('; ')}.` : 'Everything is there; it begins within a minute.'}
        </Notice>
      )}
      {stage === 'active' && !readiness.isReady && (
        <Notice intent="warning" title="Something that the service needs has lapsed.">
          The service goes on. Needed again: {readiness.missing.join('; ')}.
        </Notice>
      )}
      <div className={styles.tabs}>
        <TabList
          selectedValue={tab}
          onTabSelect={(_, data) => setParams(data.value === 'assets' ? { tab: 'assets' } : {})}
          aria-label="Readiness"
        >
          <Tab value="actions" id="tab-actions">
            Actions needed ({readiness.toDo + readiness.inProgress})
          </Tab>
          <Tab value="assets" id="tab-assets">
            Protected assets
          </Tab>
        </TabList>
      </div>
      <div role="tabpanel" aria-labelledby={`tab-${tab}`} className={styles.part}>
        {tab === 'actions' ? <Actions onboarding={onboarding} /> : <Assets onboarding={onboarding} />}
      </div>
    </>
  );
}

function Progress({ onboarding }: { onboarding: Onboarding }) {
  const styles = useStyles();
  const { stage, sinceDateTime, monitoringEndsDateTime, experts } = onboarding;
  const at = STAGES.findIndex((one) => one.id === stage);
  return (
    <Section title={STAGES[at]?.label ?? stage}>
      <ol className={styles.stages} aria-label="Stages">
        {STAGES.map((one, place) => (
          <li
            key={one.id}
            aria-current={place === at ? 'step' : undefined}
            className={mergeClasses(styles.stage, place < at && styles.passed, place === at && styles.here)}
          >
            {one.label}
          </li>
        ))}
      </ol>
      <span>
        {STAGES[at]?.what} {!experts.act.allowed && 'Your own people are not held back by this.'}
      </span>
      {(stage === 'invited' || stage === 'setUp') && onboarding.may.setUp.allowed && <Go to="/onboarding">Go on with the setup</Go>}
      {monitoringEndsDateTime && (
        <span>
          Monitoring ends <Moment at={monitoringEndsDateTime} />, or earlier by your provider.
        </span>
      )}
      {sinceDateTime && (
        <span className={styles.small}>
          Since <Moment at={sinceDateTime} />
          {onboarding.submittedDateTime && (
            <>
              ; set up by {onboarding.submittedBy} <Moment at={onboarding.submittedDateTime} />
            </>
          )}
        </span>
      )}
    </Section>
  );
}

const ORDER = { toDo: 0, inProgress: 1, completed: 2 };

function Actions({ onboarding }: { onboarding: Onboarding }) {
  const styles = useStyles();
  const { items, toDo, inProgress, completed } = onboarding.readiness;
  const rows = [...items].sort(
    (a, b) => Number(b.completeNow && b.status !== 'completed') - Number(a.completeNow && a.status !== 'completed') || ORDER[a.status] - ORDER[b.status],
  );
  const columns: Column<ReadinessItem>[] = [
    {
      id: 'title',
      label: 'Action',
      lead: true,
      cell: (row) => (
        <span className={styles.two}>
          <Go to={row.link}>{row.title}</Go>
          <span className={styles.small}>{row.why}</span>
        </span>
      ),
    },
    {
      id: 'status',
      label: 'Status',
      nowrap: true,
      cell: (row) => (
        <>
          <Mark look={STATUSES[row.status]} /> {row.completeNow && row.status !== 'completed' && <Mark look={{ label: 'Complete now', color: 'important' }} />}
        </>
      ),
    },
    { id: 'judged', label: 'Judged by', cell: (row) => sentence(row.judged) },
  ];
  return (
    <>
      <dl className={styles.figures}>
        {(
          [
            ['To do', toDo],
            ['In progress', inProgress],
            ['Completed', completed],
          ] as const
        ).map(([name, value]) => (
          <div key={name} className={styles.figure}>
            <dt>{name}</dt>
            <dd className={styles.value}>{value}</dd>
          </div>
        ))}
      </dl>
      <p className={styles.hint}>
        What is marked <em>Complete now</em> has to be there before the service begins. It is evaluated after each change and once a day.
      </p>
      <Table label="Actions needed" columns={columns} rows={rows} id={(row) => row.item} name={(row) => row.title} />
    </>
  );
}

function Assets({ onboarding }: { onboarding: Onboarding }) {
  const styles = useStyles();
  const [editing, setEditing] = useState(false);
  const { devices, identities } = onboarding.readiness;
  return (
    <>
      <div>
        <GuardedButton may={onboarding.may.change} onClick={() => setEditing(true)}>
          Change targets
        </GuardedButton>
      </div>
      <div className={styles.bars}>
        <Asset title="Devices" of={devices}>
          A device counts while its agent was heard of within 24 hours. {devices.known.toLocaleString()} have an agent.
        </Asset>
        <Asset title="Identities" of={identities}>
          Users that are known from alerts, devices and actions.
        </Asset>
      </div>
      {editing && <TargetsForm onboarding={onboarding} onClose={() => setEditing(false)} />}
    </>
  );
}

function Asset({ title, of, children }: { title: string; of: Protected; children: React.ReactNode }) {
  const styles = useStyles();
  const share = of.target === 0 ? 1 : Math.min(1, of.protected / of.target);
  return (
    <Section title={title} actions={<Mark look={of.isReached ? { label: 'Target reached', color: 'success' } : { label: 'Below target', color: 'warning' }} />}>
      <span>
        {of.protected.toLocaleString()} of {of.target.toLocaleString()} protected
      </span>
      <ProgressBar value={share} color={of.isReached ? 'success' : 'warning'} aria-label={`${title} protected`} />
      <span className={styles.small}>{of.isTargetSet ? 'The target was set by hand.' : 'The target is what is known.'}</span>
      <span className={styles.small}>{children}</span>
    </Section>
  );
}

function TargetsForm({ onboarding, onClose }: { onboarding: Onboarding; onClose: () => void }) {
  const queries = useQueryClient();
  const toasts = useToasts();
  const { devices, identities } = onboarding.readiness;
  const shown = (of: Protected) => (of.isTargetSet ? String(of.target) : '');
  const [typed, setTyped] = useState({ devices: shown(devices), identities: shown(identities) });
  const wanted = { devices: targetOf(typed.devices), identities: targetOf(typed.identities) };
  const bad = (value: number | null | undefined) =>
    value === undefined ? ({ validationState: 'error', validationMessage: 'A whole number up to 10,000,000, or nothing' } as const) : {};
  return (
    <Ask
      open
      title="Change targets"
      act="Save"
      ready={wanted.devices !== undefined && wanted.identities !== undefined}
      onClose={onClose}
      onAct={async () => {
        const body = { devices: wanted.devices ?? null, identities: wanted.identities ?? null };
        queries.setQueryData(ONBOARDING, await read(api.PUT('/api/v1/onboarding/targets', { body })));
        void queries.invalidateQueries({ queryKey: ['session'] });
        toasts.done('The targets are saved.');
      }}
    >
      <Field label="Devices" hint="Such as those that are licensed. Empty: the devices with an agent" {...bad(wanted.devices)}>
        <Input inputMode="numeric" value={typed.devices} onChange={(_, data) => setTyped({ ...typed, devices: data.value })} />
      </Field>
      <Field label="Identities" hint="Empty: the users that are known" {...bad(wanted.identities)}>
        <Input inputMode="numeric" value={typed.identities} onChange={(_, data) => setTyped({ ...typed, identities: data.value })} />
      </Field>
    </Ask>
  );
}
