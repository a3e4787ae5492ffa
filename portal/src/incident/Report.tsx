import { Button, Checkbox, FluentProvider, makeStyles, tokens } from '@fluentui/react-components';
import { PrintRegular } from '@fluentui/react-icons';
import { useQuery } from '@tanstack/react-query';
import { useState, type ReactNode } from 'react';
import { useParams } from 'react-router';

import { api, read } from '../api/client';
import type { Alert, Fact, Incident } from '../api/hand';
import { Go } from '../ui/Go';
import { Moment } from '../ui/Moment';
import { Page } from '../ui/Page';
import { Rich } from '../ui/Rich';
import { Failure, Notice, Waiting } from '../ui/states';
import { light } from '../ui/theme';
import { FactLine } from './Activities';
import { Grid } from './Grid';
import { IncidentFacts, PriorityFactors } from './IncidentFacts';
import { LinkReason } from './LinkReason';
import { ResponseOf } from './ReportResponse';
import { Drawing } from './Story';
import { assetsOf } from './assets';
import { useIncident } from './data';
import { gathered } from '../api/evidence';
import { spelled } from '../api/words';

/** INC-21: what of each a report has. */
const ASSETS = 10;
const EVIDENCE = 100;
/** More than that nobody reads on paper; the report says what is left out. */
const ALERTS = 1_000;
const ACTIVITIES = 1_000;

const SECTIONS = ['Overview', 'Managed response', 'Attack story', 'Assets', 'Evidence', 'Alerts', 'Activities'] as const;
type Part = (typeof SECTIONS)[number];

const useStyles = makeStyles({
  choose: { display: 'flex', flexWrap: 'wrap', alignItems: 'center', gap: '4px 12px' },
  paper: { minHeight: '100%', backgroundColor: tokens.colorNeutralBackground1 },
  part: { display: 'flex', flexDirection: 'column', gap: '8px', marginTop: '20px' },
  title: { margin: 0, fontSize: tokens.fontSizeBase500, lineHeight: tokens.lineHeightBase500 },
  small: { margin: '8px 0 0', fontSize: tokens.fontSizeBase300 },
  list: { listStyleType: 'none', margin: 0, padding: 0 },
  text: { margin: 0, whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' },
});

/** Every page of a list up to so many rows. */
async function whole<Row>(
  page: (cursor: string | undefined) => Promise<{ value: Row[]; nextCursor: string | number | null }>,
  most: number,
): Promise<Row[]> {
  const rows: Row[] = [];
  let cursor: string | undefined;
  do {
    const one = await page(cursor);
    rows.push(...one.value);
    cursor = one.nextCursor === null ? undefined : String(one.nextCursor);
  } while (cursor && rows.length < most);
  return rows.slice(0, most);
}

/**
 * An incident on paper, or as a PDF: the browser makes it, in the reader's language, zone and letters.
 */
export default function Report() {
  const { id = '' } = useParams();
  const incident = useIncident(id);
  if (incident.data?.may.open.allowed) return <Shown incident={incident.data} />;
  return (
    <Page title={`Report on incident ${id}`}>
      {incident.data ? (
        <Notice>
          This needs access to the customer. <Go inline to={`/incidents/${encodeURIComponent(id)}`}>Request it on the incident’s page</Go>.
        </Notice>
      ) : incident.error ? (
        <Failure error={incident.error} retry={() => void incident.refetch()} />
      ) : (
        <Waiting rows={10} />
      )}
    </Page>
  );
}

function Shown({ incident }: { incident: Incident }) {
  const styles = useStyles();
  const [chosen, setChosen] = useState<ReadonlySet<Part>>(new Set(SECTIONS));
  const path = { id: incident.id };
  const rest = useQuery({
    queryKey: ['report', incident.id],
    queryFn: async ({ signal }) => {
      const [response, alerts, activities, graph] = await Promise.all([
        read(api.GET('/api/v1/incidents/{id}/response', { params: { path }, signal })),
        whole<Alert>(
          (cursor) => read(api.GET('/api/v1/incidents/{id}/alerts', { params: { path, query: { top: 100, cursor } }, signal })),
          ALERTS,
        ),
        whole<Fact>(
          (cursor) => read(api.GET('/api/v1/incidents/{id}/timeline', { params: { path, query: { top: 100, cursor } }, signal })),
          ACTIVITIES,
        ),
        read(api.GET('/api/v1/incidents/{id}/graph', { params: { path }, signal })),
      ]);
      return { response, alerts, activities, graph };
    },
  });
  // What the managed response says of it is not said twice.
  const saidBelow = chosen.has('Managed response') && rest.data?.response.summary === incident.summary;
  const part = (name: Part, inside: ReactNode) =>
    chosen.has(name) && (
      <section className={styles.part}>
        <h2 className={styles.title}>{name}</h2>
        {inside}
      </section>
    );
  return (
    // Paper is white, whatever the screen is.
    <FluentProvider theme={light} className={styles.paper}>
      <Page
        title={incident.displayName}
        lead={`Incident ${incident.id} of ${incident.tenantName}`}
        actions={
          <span data-screen>
            <Button appearance="primary" icon={<PrintRegular />} disabledFocusable={!rest.data || chosen.size === 0} onClick={() => window.print()}>
              Print or save as PDF
            </Button>
          </span>
        }
      >
        <div data-screen className={styles.choose} role="group" aria-label="Parts of the report">
          {SECTIONS.map((name) => (
            <Checkbox
              key={name}
              label={name}
              checked={chosen.has(name)}
              onChange={(_, data) => {
                const next = new Set(chosen);
                if (data.checked) next.add(name);
                else next.delete(name);
                setChosen(next);
              }}
            />
          ))}
        </div>
        {part(
          'Overview',
          <>
            <IncidentFacts row={incident} />
            {incident.summary && !saidBelow && (
              <>
                <h3 className={styles.small}>Investigation summary</h3>
                <Rich text={incident.summary} />
              </>
            )}
            {incident.description && incident.description !== incident.summary && <p className={styles.text}>{incident.description}</p>}
            {incident.priorityScore !== null && (
              <>
                <h3 className={styles.small}>Why this priority</h3>
                <PriorityFactors row={incident} />
              </>
            )}
          </>,
        )}
        {rest.isError ? (
          <Failure error={rest.error} retry={() => void rest.refetch()} />
        ) : !rest.data ? (
          <Waiting rows={8} label="Gathering alerts and activities" />
        ) : (
          <>
            {part('Managed response', <ResponseOf response={rest.data.response} />)}
            {part(
              'Attack story',
              rest.data.graph.nodes.length > 0 ? (
                <Drawing graph={rest.data.graph} until={null} chosen={null} onChoose={() => undefined} />
              ) : (
                'The alerts name nothing.'
              ),
            )}
            {part(
              'Assets',
              assetsOf(incident).map((group) => (
                <div key={group.title}>
                  <h3 className={styles.small}>
                    {group.title} ({group.rows.length > ASSETS ? `${ASSETS} of ${group.rows.length}` : group.rows.length})
                  </h3>
                  <Grid
                    label={group.title}
                    head={['Name', 'Kind', 'Alerts', 'First seen', 'Last seen']}
                    rows={group.rows.slice(0, ASSETS).map((row) => [
                      row.name,
                      spelled(row.kind),
                      row.alertCount.toLocaleString(),
                      <Moment key="f" at={row.firstActivityDateTime} />,
                      <Moment key="l" at={row.lastActivityDateTime} />,
                    ])}
                  />
                </div>
              )),
            )}
            {part('Evidence', <EvidenceOf alerts={rest.data.alerts} />)}
            {part(
              'Alerts',
              <>
                <Grid
                  label="Alerts"
                  head={['Alert', 'Severity', 'Status', 'Product', 'First activity', 'Why it is here']}
                  rows={rest.data.alerts.map((alert) => [
                    `${alert.title} (${alert.id})`,
                    spelled(alert.severity),
                    spelled(alert.status),
                    alert.productName ?? '–',
                    <Moment key="f" at={alert.firstActivityDateTime ?? alert.createdDateTime} as="second" />,
                    <LinkReason key="w" alert={alert} most={3} />,
                  ])}
                />
                {incident.alertCount > rest.data.alerts.length && (
                  <span>
                    The first {rest.data.alerts.length.toLocaleString()} of {incident.alertCount.toLocaleString()}.
                  </span>
                )}
              </>,
            )}
            {part(
              'Activities',
              <ol className={styles.list}>
                {rest.data.activities.map((fact) => (
                  <FactLine key={fact.position} fact={fact} />
                ))}
              </ol>,
            )}
          </>
        )}
      </Page>
    </FluentProvider>
  );
}

function EvidenceOf({ alerts }: { alerts: Alert[] }) {
  const rows = gathered(alerts);
  return (
    <>
      <Grid
        label="Evidence"
        head={['Evidence', 'Kind', 'Verdict', 'Remediation', 'Alerts']}
        rows={rows.slice(0, EVIDENCE).map((row) => [
          row.name,
          row.kind,
          spelled(row.verdict),
          spelled(String(row.evidence.remediationStatus ?? 'none')),
          row.alerts.length.toLocaleString(),
        ])}
      />
      {rows.length > EVIDENCE && (
        <span>
          The first {EVIDENCE} of {rows.length.toLocaleString()}, what is worst first.
        </span>
      )}
    </>
  );
}
