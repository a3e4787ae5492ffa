import {
  Breadcrumb,
  BreadcrumbButton,
  BreadcrumbDivider,
  BreadcrumbItem,
  Button,
  Menu,
  MenuItem,
  MenuList,
  MenuPopover,
  MenuTrigger,
  Tab,
  TabList,
  makeStyles,
  tokens,
} from '@fluentui/react-components';
import { EditRegular, LinkRegular, MergeRegular, MoreHorizontalRegular, PrintRegular } from '@fluentui/react-icons';
import { lazy, Suspense, useEffect, useRef, useState, type ComponentType } from 'react';
import { useNavigate, useParams, useSearchParams } from 'react-router';

import { useEvents } from '../api/events';
import { Refusal } from '../api/error';
import type { Incident } from '../api/hand';
import { useSession } from '../api/session';
import { AskExperts } from '../ui/AskExperts';
import { GuardedButton, GuardedMenuItem } from '../ui/Guarded';
import { Moment } from '../ui/Moment';
import { Page } from '../ui/Page';
import { useToasts } from '../ui/Toasts';
import { Empty, Failure, Notice, PageWaiting, Waiting } from '../ui/states';
import { Go } from '../ui/Go';
import { AlertPane } from './AlertPane';
import { ExpertActs, OpenNotAllowed } from './Expert';
import { IncidentFacts } from './IncidentFacts';
import { ManagePanel } from './Manage';
import { MergeDialog } from './Merge';
import { Priority, Severity, Status, Tags } from './badges';
import { useForget, useIncident } from './data';

const Story = lazy(() => import('./Story'));
const Alerts = lazy(() => import('./Alerts'));
const Assets = lazy(() => import('./Assets'));
const EvidenceTab = lazy(() => import('./EvidenceTab'));
const Summary = lazy(() => import('./Summary'));
const Similar = lazy(() => import('./Similar'));
const Activities = lazy(() => import('./Activities'));

const TABS = [
  { id: 'story', label: 'Attack story' },
  { id: 'response', label: 'Managed response' },
  { id: 'alerts', label: 'Alerts' },
  { id: 'assets', label: 'Assets' },
  { id: 'evidence', label: 'Evidence' },
  { id: 'summary', label: 'Summary' },
  { id: 'similar', label: 'Similar incidents' },
  { id: 'activities', label: 'Activities' },
] as const;

const useStyles = makeStyles({
  meta: { display: 'flex', flexWrap: 'wrap', alignItems: 'center', gap: '6px 18px', marginTop: '8px' },
  pair: { display: 'inline-flex', alignItems: 'center', gap: '6px' },
  name: { color: tokens.colorNeutralForeground2 },
  tabs: { overflowX: 'auto', marginInline: '-8px', borderBottom: `1px solid ${tokens.colorNeutralStroke2}` },
});

/** What other parts of the portal show of an incident; the route table puts them in. */
export type Guests = Record<'Card' | 'Clocks' | 'Tab' | 'Flyout' | 'Undelivered', ComponentType<{ incident: Incident }>>;

export default function IncidentPage({ response }: { response: Guests }) {
  const { id = '' } = useParams();
  const incident = useIncident(id);
  const forget = useForget();
  useEvents((fact) => {
    if (fact.incidentId === id) forget(id);
  });
  if (incident.data) return <Shown incident={incident.data} response={response} />;
  const gone = incident.error instanceof Refusal && incident.error.status === 404;
  return (
    <Page title={`Incident ${id}`}>
      {gone ? (
        <Empty title="There is no such incident" action={<Go to="/incidents">Go to the queue</Go>}>
          It does not exist, or it belongs to an organisation that you cannot see.
        </Empty>
      ) : incident.error ? (
        <Failure error={incident.error} retry={() => void incident.refetch()} />
      ) : (
        <Waiting rows={8} />
      )}
    </Page>
  );
}

function Shown({ incident, response: Response }: { incident: Incident; response: Guests }) {
  const styles = useStyles();
  const tabs = useRef<HTMLDivElement>(null);
  const { side } = useSession();
  const navigate = useNavigate();
  const toasts = useToasts();
  const [params, setParams] = useSearchParams();
  const asked = params.get('tab');
  const tab = TABS.find((one) => one.id === asked)?.id ?? 'story';
  // On a phone the row of tabs is wider than the screen.
  useEffect(() => {
    tabs.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  }, [tab]);
  const [managing, setManaging] = useState(false);
  const [merging, setMerging] = useState(false);
  const set = (name: string, value: string | null, replace = false) => {
    const next = new URLSearchParams(params);
    if (value === null) next.delete(name);
    else next.set(name, value);
    setParams(next, { replace });
  };
  const openAlert = (alertId: string | null) => set('alert', alertId, params.get('alert') !== null);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(`${window.location.origin}/incidents/${incident.id}`);
      toasts.done('The link is copied.');
    } catch {
      toasts.fail(new Error('The browser did not let us copy. Copy the address instead.'));
    }
  };
  const open = incident.may.open.allowed;
  return (
    <Page
      title={incident.displayName}
      above={
        <Breadcrumb size="small" aria-label="Where you are">
          <BreadcrumbItem>
            <BreadcrumbButton onClick={() => navigate('/incidents')}>Incidents</BreadcrumbButton>
          </BreadcrumbItem>
          <BreadcrumbDivider />
          <BreadcrumbItem>
            <BreadcrumbButton current>Incident {incident.id}</BreadcrumbButton>
          </BreadcrumbItem>
        </Breadcrumb>
      }
      below={
        <div className={styles.meta}>
          <Status value={incident.status} />
          <Severity value={incident.severity} />
          <span className={styles.pair}>
            <span className={styles.name}>Priority</span> <Priority row={incident} />
          </span>
          <span className={styles.pair}>
            <span className={styles.name}>Assigned to</span> {incident.assignedTo ?? 'Unassigned'}
          </span>
          {side === 'provider' && (
            <span className={styles.pair}>
              <span className={styles.name}>Customer</span> {incident.tenantName}
            </span>
          )}
          <span className={styles.pair}>
            <span className={styles.name}>Last update</span> <Moment at={incident.lastUpdateDateTime} as="distance" />
          </span>
          <Tags row={incident} />
        </div>
      }
      actions={
        <>
          <ExpertActs incident={incident} />
          <GuardedButton appearance="primary" icon={<EditRegular />} may={incident.may.change} onClick={() => setManaging(true)}>
            Manage incident
          </GuardedButton>
          {open && <AskExperts about={{ kind: 'incident', id: incident.id, name: incident.displayName }} />}
          <Menu>
            <MenuTrigger disableButtonEnhancement>
              <Button icon={<MoreHorizontalRegular />} aria-label="More" />
            </MenuTrigger>
            <MenuPopover>
              <MenuList>
                <GuardedMenuItem may={incident.may.merge} icon={<MergeRegular />} onClick={() => setMerging(true)}>
                  Merge with other incidents
                </GuardedMenuItem>
                <MenuItem icon={<PrintRegular />} disabled={!open} onClick={() => navigate(`/incidents/${incident.id}/report`)}>
                  Export as PDF
                </MenuItem>
                <MenuItem icon={<LinkRegular />} onClick={copy}>
                  Copy link
                </MenuItem>
              </MenuList>
            </MenuPopover>
          </Menu>
        </>
      }
    >
      {incident.redirectIncidentId && (
        <Notice title="This incident was merged">
          Its alerts and tags are now in{' '}
          <Go inline to={`/incidents/${encodeURIComponent(incident.redirectIncidentId)}`}>
            incident {incident.redirectIncidentId}
          </Go>
          .
        </Notice>
      )}
      {open ? (
        <>
          <Suspense>
            <Response.Undelivered incident={incident} />
          </Suspense>
          <Suspense>
            <Response.Clocks incident={incident} />
          </Suspense>
          <Suspense>
            <Response.Card incident={incident} />
          </Suspense>
          <div className={styles.tabs} ref={tabs}>
            <TabList
              selectedValue={tab}
              onTabSelect={(_, data) => set('tab', data.value === 'story' ? null : String(data.value))}
              aria-label="Parts of the incident"
            >
              {TABS.map((one) => (
                <Tab key={one.id} value={one.id} id={`tab-${one.id}`}>
                  {one.id === 'alerts' ? `Alerts (${incident.alertCount})` : one.label}
                </Tab>
              ))}
            </TabList>
          </div>
          <div role="tabpanel" aria-labelledby={`tab-${tab}`}>
            <Suspense fallback={<PageWaiting />}>
              {tab === 'story' && <Story incident={incident} onAlert={openAlert} />}
              {tab === 'response' && <Response.Tab incident={incident} />}
              {tab === 'alerts' && <Alerts incident={incident} onAlert={openAlert} current={params.get('alert')} />}
              {tab === 'assets' && <Assets incident={incident} />}
              {tab === 'evidence' && <EvidenceTab incident={incident} onAlert={openAlert} />}
              {tab === 'summary' && <Summary incident={incident} />}
              {tab === 'similar' && <Similar incident={incident} />}
              {tab === 'activities' && <Activities incident={incident} />}
            </Suspense>
          </div>
        </>
      ) : (
        <>
          <OpenNotAllowed incident={incident} />
          <IncidentFacts row={incident} />
        </>
      )}
      {managing && <ManagePanel incident={incident} onClose={() => setManaging(false)} />}
      <MergeDialog incident={incident} open={merging} onClose={() => setMerging(false)} />
      {open && (
        <Suspense>
          <Response.Flyout incident={incident} />
        </Suspense>
      )}
      <AlertPane id={params.get('alert')} onClose={() => openAlert(null)} incident={incident} />
    </Page>
  );
}
