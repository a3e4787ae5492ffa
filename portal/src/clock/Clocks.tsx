import { Button, ProgressBar, makeStyles, tokens } from '@fluentui/react-components';
import { ClockRegular } from '@fluentui/react-icons';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';

import { api, read } from '../api/client';
import { NAMES, STATES, WHOSE, counted, lasting, standing, type Look } from '../api/clock-words';
import type { Climb, Incident, ServiceClock } from '../api/hand';
import { useLive } from '../api/live';
import { spelled } from '../api/words';
import { Moment } from '../ui/Moment';
import { Panel } from '../ui/Panel';
import { Failure, Waiting } from '../ui/states';

const useStyles = makeStyles({
  strip: { display: 'flex', flexWrap: 'wrap', alignItems: 'center', gap: '8px' },
  chip: {
    display: 'grid',
    gap: '4px',
    minWidth: '132px',
    padding: '6px 12px 8px',
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    borderRadius: tokens.borderRadiusMedium,
    backgroundColor: tokens.colorNeutralBackground1,
  },
  line: { display: 'flex', justifyContent: 'space-between', gap: '12px', whiteSpace: 'nowrap' },
  name: { fontWeight: tokens.fontWeightSemibold },
  muted: { color: tokens.colorNeutralForeground2 },
  calm: { color: tokens.colorNeutralForeground2 },
  done: { color: tokens.colorNeutralForeground2 },
  near: { color: tokens.colorPaletteDarkOrangeForeground1, fontWeight: tokens.fontWeightSemibold },
  missed: { color: tokens.colorPaletteRedForeground1, fontWeight: tokens.fontWeightSemibold },
  list: { display: 'grid', gap: '16px', margin: 0, padding: 0, listStyleType: 'none' },
  one: { display: 'grid', gap: '4px' },
  about: { margin: 0, color: tokens.colorNeutralForeground2, fontSize: tokens.fontSizeBase200 },
});

const BARS = { calm: 'brand', done: 'success', near: 'warning', missed: 'error' } as const;
const SECOND_MS = 1_000;

/** How long the parts of an incident take, and what is left of what was promised. */
export default function Clocks({ incident }: { incident: Incident }) {
  const styles = useStyles();
  const queries = useQueryClient();
  const [all, setAll] = useState(false);
  const key = ['clocks', incident.id];
  const clocks = useQuery({
    queryKey: key,
    queryFn: ({ signal }) => read(api.GET('/api/v1/incidents/{id}/clocks', { params: { path: { id: incident.id } }, signal })),
    refetchInterval: 60_000,
  });
  useLive((fact) => fact.incidentId === incident.id, () => void queries.invalidateQueries({ queryKey: key }));
  const now = useSecond();
  // A page without its clocks is still of use; the pane says what is wrong.
  if (!clocks.data && !clocks.isError) return null;
  const since = Math.max(0, (now.getTime() - clocks.dataUpdatedAt) / SECOND_MS);
  const value = clocks.data?.value ?? [];
  const shown = value.filter((one) => (one.state === 'running' || one.state === 'paused') && one.targetSeconds !== null);
  return (
    <>
      <div className={styles.strip} role="group" aria-label="Service clocks">
        {shown.map((one) => (
          <Chip key={one.clock} clock={one} look={standing(one, since, now)} since={since} />
        ))}
        <Button appearance={shown.length ? 'subtle' : 'outline'} size="small" icon={<ClockRegular />} onClick={() => setAll(true)}>
          Service clocks
        </Button>
      </div>
      <Panel title="Service clocks" open={all} onClose={() => setAll(false)}>
        {clocks.isError ? (
          <Failure error={clocks.error} retry={() => void clocks.refetch()} />
        ) : clocks.data ? (
          <ul className={styles.list}>
            {value.map((one) => (
              <One key={one.clock} clock={one} since={since} now={now} />
            ))}
            <CallLog id={incident.id} />
          </ul>
        ) : (
          <Waiting rows={7} />
        )}
      </Panel>
    </>
  );
}

function Bar({ clock, look, since }: { clock: ServiceClock; look: Look | null; since: number }) {
  if (clock.targetSeconds === null || !look) return null;
  const share = Math.min(1, counted(clock, since) / clock.targetSeconds);
  return <ProgressBar value={share} color={BARS[look.tone]} aria-label={`${NAMES[clock.clock]}: ${look.text}`} />;
}

function Chip({ clock, look, since }: { clock: ServiceClock; look: Look | null; since: number }) {
  const styles = useStyles();
  if (!look) return null;
  return (
    <div className={styles.chip} title={clock.about}>
      <span className={styles.line}>
        <span className={styles.name}>{NAMES[clock.clock]}</span>
        <span className={styles[look.tone]}>{look.text}</span>
      </span>
      <Bar clock={clock} look={look} since={since} />
    </div>
  );
}

function One({ clock, since, now }: { clock: ServiceClock; since: number; now: Date }) {
  const styles = useStyles();
  const look = standing(clock, since, now);
  const { forecast } = clock;
  return (
    <li className={styles.one}>
      <span className={styles.line}>
        <span>
          <span className={styles.name}>{NAMES[clock.clock]}</span> <span className={styles.muted}>· {WHOSE[clock.whose]}</span>
        </span>
        <span className={look ? styles[look.tone] : styles.muted}>{look ? look.text : STATES[clock.state]}</span>
      </span>
      <Bar clock={clock} look={look} since={since} />
      <p className={styles.about}>
        {clock.about}
        {clock.targetSeconds !== null && ` Target: ${lasting(clock.targetSeconds)}${clock.workingHours ? ' of working hours' : ''}.`}
      </p>
      {clock.startedDateTime && (
        <p className={styles.about}>
          Began <Moment at={clock.startedDateTime} />
          {clock.stoppedDateTime && (
            <>
              {clock.state === 'paused' ? ', paused ' : ', ended '}
              <Moment at={clock.stoppedDateTime} />
            </>
          )}
          {clock.dueDateTime && (
            <>
              , due <Moment at={clock.dueDateTime} />
            </>
          )}
          .
        </p>
      )}
      {forecast && (
        <p className={styles.about}>
          Forecast: half of the incidents like it were done by <Moment at={forecast.expectedDateTime} />
          {forecast.percentMissed !== null && `; ${forecast.percentMissed} of 100 missed the target`} (learned from {forecast.learnedFrom}).
        </p>
      )}
    </li>
  );
}

const WAYS: Record<Climb['steps'][number]['by'], string> = { mail: 'mail', sms: 'text message', call: 'call' };
const ENDS: Record<Climb['standing'], string> = {
  climbing: 'People are being reached',
  acknowledged: 'Somebody reacted',
  nobody: 'Nobody answered',
  ended: 'It was over before anybody reacted',
};

/** NOT-8: who was reached while nobody reacted, and how that ended. */
function CallLog({ id }: { id: string }) {
  const styles = useStyles();
  const log = useQuery({
    queryKey: ['escalation', id],
    queryFn: ({ signal }) => read(api.GET('/api/v1/incidents/{id}/escalation', { params: { path: { id } }, signal })),
    refetchInterval: 10_000,
  });
  const climbs = log.data?.value.filter((climb) => climb.steps.length > 0) ?? [];
  return climbs.map((climb) => (
    <li key={climb.startedDateTime} className={styles.one}>
      <span className={styles.name}>{ENDS[climb.standing]}</span>
      {climb.steps.map((step) => (
        <p key={`${step.dateTime} ${step.name}`} className={styles.about}>
          <Moment at={step.dateTime} as="second" /> {step.name}, {WAYS[step.by]}
          {step.because ? `: passed over, ${step.because}` : step.outcome && `: ${spelled(step.outcome).toLowerCase()}`}
        </p>
      ))}
      {climb.nextDateTime && (
        <p className={styles.about}>
          The next one: <Moment at={climb.nextDateTime} />
        </p>
      )}
    </li>
  ));
}

/** Now, renewed each second while the window is looked at. */
function useSecond(): Date {
  const [now, setNow] = useState(() => new Date());
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) setNow(new Date());
    }, SECOND_MS);
    return () => clearInterval(timer);
  }, []);
  return now;
}
