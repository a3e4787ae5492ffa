import { Button, makeStyles, mergeClasses, tokens } from '@fluentui/react-components';
import { CheckmarkCircleFilled, CircleRegular, SubtractCircleRegular } from '@fluentui/react-icons';
import { useQueryClient } from '@tanstack/react-query';
import { Suspense, useCallback, useEffect, useRef, useState, type ComponentType } from 'react';
import { Navigate, useNavigate, useSearchParams } from 'react-router';

import { api, read } from '../api/client';
import { sentence } from '../api/error';
import { useEvents } from '../api/events';
import type { Onboarding, SetupStep } from '../api/hand';
import { useSession } from '../api/session';
import { Go } from '../ui/Go';
import { GuardedButton } from '../ui/Guarded';
import { Page } from '../ui/Page';
import { Section } from '../ui/Section';
import { Failure, Notice, Waiting } from '../ui/states';
import type { OnUnsaved, Unsaved } from '../ui/useUnsaved';
import { Review } from './Review';
import { ONBOARDING, useOnboarding } from './data';
import { STEPS, mayOpen, placeOf, stageName, type Place } from './words';

const useStyles = makeStyles({
  frame: {
    display: 'grid',
    gridTemplateColumns: '200px minmax(0, 1fr)',
    gap: '24px',
    alignItems: 'start',
    '@media (max-width: 800px)': { gridTemplateColumns: 'minmax(0, 1fr)', gap: '12px' },
  },
  steps: {
    listStyleType: 'none',
    margin: 0,
    padding: 0,
    display: 'flex',
    flexDirection: 'column',
    gap: '2px',
    '@media (max-width: 800px)': { flexDirection: 'row', flexWrap: 'wrap' },
  },
  step: { justifyContent: 'flex-start', width: '100%', fontWeight: tokens.fontWeightRegular },
  here: { fontWeight: tokens.fontWeightSemibold, backgroundColor: tokens.colorNeutralBackground1Selected },
  part: { display: 'flex', flexDirection: 'column', gap: '16px', minWidth: 0 },
  title: { margin: 0, fontSize: tokens.fontSizeBase500, fontWeight: tokens.fontWeightSemibold, outlineStyle: 'none' },
  lead: { margin: 0, color: tokens.colorNeutralForeground2 },
  list: { margin: 0, paddingInlineStart: '18px', display: 'flex', flexDirection: 'column', gap: '6px' },
  acts: {
    display: 'flex',
    flexWrap: 'wrap',
    gap: '8px',
    paddingTop: '12px',
    borderTop: `1px solid ${tokens.colorNeutralStroke2}`,
  },
  done: { color: tokens.colorPaletteGreenForeground1 },
});

type Part = ComponentType<{ onUnsaved?: OnUnsaved }>;
export type Parts = Record<Exclude<SetupStep, 'getStarted'>, Part>;

/** ONB-1: the setup, step by step; it goes on where it stopped, on whatever machine. */
export default function Setup({ parts }: { parts: Parts }) {
  const onboarding = useOnboarding();
  return (
    <Page title="Set up the service" lead="It can be interrupted at any step and goes on where it stopped.">
      {onboarding.data ? (
        <Guide onboarding={onboarding.data} parts={parts} />
      ) : onboarding.isError ? (
        <Failure error={onboarding.error} retry={() => void onboarding.refetch()} />
      ) : (
        <Waiting rows={8} />
      )}
    </Page>
  );
}

function Guide({ onboarding, parts }: { onboarding: Onboarding; parts: Parts }) {
  const submitted = onboarding.stage !== 'invited' && onboarding.stage !== 'setUp';
  if (submitted) return <Navigate to="/settings/service" replace />;
  if (!onboarding.may.setUp.allowed) {
    const next = STEPS.find((one) => one.id === placeOf(onboarding));
    return (
      <Notice title={`${stageName(onboarding.stage)}: the service is being set up.`}>
        {sentence(onboarding.may.setUp.because ?? '')} Next comes: {next?.label}.
      </Notice>
    );
  }
  return <Steps onboarding={onboarding} parts={parts} />;
}

function Steps({ onboarding, parts }: { onboarding: Onboarding; parts: Parts }) {
  const styles = useStyles();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const [params, setParams] = useSearchParams();
  const asked = STEPS.find((one) => one.id === params.get('step'))?.id;
  const place: Place = asked && mayOpen(asked, onboarding) ? asked : placeOf(onboarding);
  const at = STEPS.findIndex((one) => one.id === place);
  const unsaved = useRef<Unsaved | null>(null);
  const keep = useCallback((now: Unsaved | null) => {
    unsaved.current = now;
  }, []);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  // What was refused for want of something is not said any more once there is something else.
  useEvents((fact) => {
    if (/^(contact|exclusion|grant|webhook)\./.test(fact.kind)) setError(null);
  });
  const heading = useRef<HTMLHeadingElement>(null);
  const first = useRef(true);
  useEffect(() => {
    setError(null);
    // Whoever goes on hears where they are.
    if (!first.current) heading.current?.focus({ preventScroll: true });
    first.current = false;
    window.scrollTo(0, 0);
  }, [place]);
  const go = (to: Place | undefined) => setParams(to ? { step: to } : {});
  const run = async (act: () => Promise<void>) => {
    setBusy(true);
    setError(null);
    try {
      await act();
    } catch (refused) {
      setError(refused);
    } finally {
      setBusy(false);
    }
  };
  const leave = (state: 'done' | 'skipped') =>
    run(async () => {
      if (place === 'review') return;
      if (state === 'done') await unsaved.current?.save();
      const now = await read(api.PUT('/api/v1/onboarding/steps/{step}', { params: { path: { step: place } }, body: { state } }));
      queries.setQueryData(ONBOARDING, now);
      if (place === 'getStarted') void queries.invalidateQueries({ queryKey: ['session'] });
      go(STEPS[at + 1]?.id);
    });
  const submit = () =>
    run(async () => {
      const now = await read(api.POST('/api/v1/onboarding/submit', { body: {} }));
      await queries.invalidateQueries({ queryKey: ['session'] });
      queries.setQueryData(ONBOARDING, now);
      navigate('/settings/service', { replace: true });
    });
  const state = onboarding.steps.find((one) => one.step === place);
  const Part = place === 'getStarted' || place === 'review' ? null : parts[place];
  return (
    <div className={styles.frame}>
      <nav aria-label="Steps of the setup">
        <ol className={styles.steps}>
          {STEPS.map((one) => (
            <li key={one.id}>
              <StepButton one={one} onboarding={onboarding} here={one.id === place} onOpen={() => go(one.id)} />
            </li>
          ))}
        </ol>
      </nav>
      <div className={styles.part}>
        <h2 ref={heading} tabIndex={-1} className={styles.title}>
          {STEPS[at]?.label}
        </h2>
        <p className={styles.lead}>{STEPS[at]?.lead}</p>
        {/* Another step is another form: what was not saved in the one before is gone, also while the next one still loads. */}
        <Suspense key={place} fallback={<Waiting rows={6} />}>
          {Part ? <Part onUnsaved={keep} /> : place === 'review' ? <Review onEdit={go} /> : <Start />}
        </Suspense>
        <Failure error={error} />
        <div className={styles.acts}>
          {at > 0 && (
            <Button onClick={() => go(STEPS[at - 1]?.id)} disabledFocusable={busy}>
              Back
            </Button>
          )}
          {state?.maySkip && (
            <Button onClick={() => void leave('skipped')} disabledFocusable={busy}>
              Skip
            </Button>
          )}
          {place === 'review' ? (
            <GuardedButton appearance="primary" may={onboarding.may.submit} busy={busy} onClick={() => void submit()}>
              {busy ? 'Submitting…' : 'Submit'}
            </GuardedButton>
          ) : (
            <GuardedButton appearance="primary" may={onboarding.may.setUp} busy={busy} onClick={() => void leave('done')}>
              {busy ? 'Saving…' : place === 'getStarted' ? 'Get started' : 'Next'}
            </GuardedButton>
          )}
        </div>
      </div>
    </div>
  );
}

function StepButton(props: { one: { id: Place; label: string }; onboarding: Onboarding; here: boolean; onOpen: () => void }) {
  const styles = useStyles();
  const { one, onboarding, here } = props;
  const state = onboarding.steps.find((step) => step.step === one.id)?.state ?? null;
  const said = state === 'done' ? ', done' : state === 'skipped' ? ', skipped' : '';
  const icon = state === 'done' ? <CheckmarkCircleFilled className={styles.done} /> : state === 'skipped' ? <SubtractCircleRegular /> : <CircleRegular />;
  return (
    <GuardedButton
      appearance="subtle"
      className={mergeClasses(styles.step, here && styles.here)}
      icon={icon}
      aria-current={here ? 'step' : undefined}
      aria-label={`${one.label}${said}`}
      may={mayOpen(one.id, onboarding) ? { allowed: true } : { allowed: false, because: 'The steps before it come first.' }}
      onClick={props.onOpen}
    >
      {one.label}
    </GuardedButton>
  );
}

function Start() {
  const styles = useStyles();
  const { organisation } = useSession();
  return (
    <Section title={`Welcome, ${organisation.name}`}>
      <ul className={styles.list}>
        <li>You decide how far experts may go, on what they never act, who is told, and by which channels: some ten minutes.</li>
        <li>After you submit, the service looks whether what it needs is there: a contact, access, a source of alerts, and agents on your devices.</li>
        <li>Then experts get to know your organisation for some days. They tell you what to do and do not act themselves yet.</li>
        <li>
          A colleague with the role Security Administrator can go on in your place: invite one under <Go inline to="/settings/people">People</Go>.
        </li>
      </ul>
    </Section>
  );
}
