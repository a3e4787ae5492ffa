import { Button, makeStyles, tokens } from '@fluentui/react-components';
import { ArrowRightRegular } from '@fluentui/react-icons';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from 'react-router';

import { api, read } from '../api/client';
import type { Home as Figures } from '../api/hand';
import { useLive } from '../api/live';
import { CASES, concerns, useSession } from '../api/session';
import { AskExperts } from '../ui/AskExperts';
import { Go } from '../ui/Go';
import { Page } from '../ui/Page';
import { Section } from '../ui/Section';
import { Failure, Waiting } from '../ui/states';
import { HourChart } from './HourChart';

const useStyles = makeStyles({
  call: {
    display: 'flex',
    flexWrap: 'wrap',
    alignItems: 'center',
    justifyContent: 'space-between',
    gap: '12px 24px',
    padding: '20px',
    borderRadius: tokens.borderRadiusLarge,
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    backgroundColor: tokens.colorNeutralBackground1,
  },
  urgent: { borderLeft: `4px solid ${tokens.colorPaletteDarkOrangeBorderActive}` },
  calm: { borderLeft: `4px solid ${tokens.colorPaletteGreenBorderActive}` },
  callTitle: { margin: 0, fontSize: tokens.fontSizeBase500, fontWeight: tokens.fontWeightSemibold, lineHeight: tokens.lineHeightBase500 },
  callText: { margin: '4px 0 0', color: tokens.colorNeutralForeground2 },
  figures: { display: 'grid', gridTemplateColumns: 'repeat(auto-fit, minmax(150px, 1fr))', gap: '12px', margin: 0 },
  figure: {
    display: 'flex',
    flexDirection: 'column-reverse',
    justifyContent: 'flex-end',
    gap: '2px',
    padding: '14px 16px',
    borderRadius: tokens.borderRadiusLarge,
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    backgroundColor: tokens.colorNeutralBackground1,
  },
  name: { color: tokens.colorNeutralForeground2 },
  value: { margin: 0, fontSize: tokens.fontSizeHero700, lineHeight: tokens.lineHeightHero700, fontWeight: tokens.fontWeightSemibold, fontVariantNumeric: 'tabular-nums' },
});

const AGAIN_MS = 3_000;

export default function Home() {
  const session = useSession();
  const queries = useQueryClient();
  const cases = concerns(session, CASES);
  const home = useQuery({
    queryKey: ['home'],
    queryFn: ({ signal }) => read(api.GET('/api/v1/home', { signal })),
    enabled: cases,
    refetchInterval: 60_000,
  });
  useLive(/./, () => void queries.invalidateQueries({ queryKey: ['home'] }), AGAIN_MS);
  return (
    <Page title="Home" lead={`${session.organisation.name} · ${session.role}`} actions={<AskExperts />}>
      {!cases ? (
        <Places />
      ) : home.data ? (
        <Cards figures={home.data} />
      ) : home.isError ? (
        <Failure error={home.error} retry={() => void home.refetch()} />
      ) : (
        <Waiting rows={8} />
      )}
    </Page>
  );
}

/** For who looks after the installation and sees no case. */
function Places() {
  return (
    <Section title="You look after the installation">
      <span>
        Incidents are for experts, leads and service delivery managers. Your work is{' '}
        <Go inline to="/customers">customers</Go>, <Go inline to="/settings/people">people</Go>,{' '}
        <Go inline to="/settings/apps">apps</Go>, <Go inline to="/settings/sign-in">sign-in</Go> and the{' '}
        <Go inline to="/settings/audit">audit log</Go>.
      </span>
    </Section>
  );
}

function Cards({ figures }: { figures: Figures }) {
  const styles = useStyles();
  const navigate = useNavigate();
  const { side } = useSession();
  const customer = side === 'customer';
  const awaiting = figures.awaitingAction;
  const queued = 'status=active&severity=all&assigned=Defender+Experts';
  const call = customer
    ? {
        urgent: awaiting > 0,
        title: awaiting === 0 ? 'No incidents awaiting your action' : awaiting === 1 ? '1 incident awaiting your action' : `${awaiting} incidents awaiting your action`,
        text:
          awaiting > 0
            ? 'Defender Experts have finished their part and need you for the rest.'
            : 'Nothing waits for you. Defender Experts will tell you when something does.',
        to: '/incidents?status=awaitingAction&severity=all',
        act: 'Show them',
      }
    : {
        urgent: figures.queued > 0,
        title: figures.queued === 0 ? 'No incidents waiting for experts' : figures.queued === 1 ? '1 incident waiting for experts' : `${figures.queued} incidents waiting for experts`,
        text: figures.queued > 0 ? 'Queued by triage and not taken up yet.' : 'Every queued incident is taken up.',
        to: `/incidents?${queued}&sort=-priorityScore`,
        act: 'Open the queue',
      };
  const list: [name: string, value: number, to: string][] = [
    ['New', figures.active, '/incidents?status=active&severity=all&period=all'],
    ['In progress', figures.inProgress, '/incidents?status=inProgress&severity=all&period=all'],
    ...(customer
      ? ([['Waiting for experts', figures.queued, `/incidents?${queued}`]] as [string, number, string][])
      : ([['Awaiting customer action', awaiting, '/incidents?status=awaitingAction&severity=all']] as [string, number, string][])),
    ['Resolved in the last month', figures.resolvedLastMonth, '/incidents?status=resolved&severity=all&period=30d'],
    ...(figures.clocks && figures.clocks.missed + figures.clocks.near > 0
      ? ([
          ['Past a service target', figures.clocks.missed, '/incidents?severity=all&period=all'],
          ['Due within 30 minutes', figures.clocks.near, '/incidents?severity=all&period=all'],
        ] as [string, number, string][])
      : []),
    ['Access requests to decide', figures.accessRequests, '/access?state=open'],
    [customer ? 'Experts with access now' : 'Running access', figures.runningAccess, '/access?state=open'],
  ];
  return (
    <>
      <section
        className={`${styles.call} ${call.urgent ? styles.urgent : styles.calm}`}
        aria-labelledby="home-call"
      >
        <div>
          <h2 id="home-call" className={styles.callTitle}>
            {call.title}
          </h2>
          <p className={styles.callText}>{call.text}</p>
        </div>
        {call.urgent && (
          <Button appearance="primary" icon={<ArrowRightRegular />} iconPosition="after" onClick={() => navigate(call.to)}>
            {call.act}
          </Button>
        )}
      </section>
      <dl className={styles.figures}>
        {list.map(([name, value, to]) => (
          <div key={name} className={styles.figure}>
            <dt className={styles.name}>
              <Go to={to}>{name}</Go>
            </dt>
            <dd className={styles.value}>{value.toLocaleString()}</dd>
          </div>
        ))}
      </dl>
      <Section title="Alerts and incidents of the last 24 hours">
        <HourChart hours={figures.alertsByHour} />
      </Section>
    </>
  );
}
