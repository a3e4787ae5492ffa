import {
  Breadcrumb,
  BreadcrumbButton,
  BreadcrumbDivider,
  BreadcrumbItem,
  Button,
  Menu,
  MenuButton,
  MenuList,
  MenuPopover,
  MenuTrigger,
  Tab,
  TabList,
  makeStyles,
  tokens,
} from '@fluentui/react-components';
import { useEffect, useMemo, useRef, useState, type ReactNode } from 'react';
import { useNavigate, useParams, useSearchParams } from 'react-router';

import { actionLook } from '../api/action-words';
import { Refusal, sentence } from '../api/error';
import type { Page as Rows, User, UserAccount, UserAlert, UserIncident } from '../api/hand';
import { useSession } from '../api/session';
import { useLive } from '../api/live';
import { useWords } from '../api/use-words';
import { labelOf, spelled } from '../api/words';
import { AskExperts } from '../ui/AskExperts';
import { ActionsOf } from '../ui/ActionsOf';
import { Facts } from '../ui/Facts';
import { Go } from '../ui/Go';
import { GuardedButton, GuardedMenuItem } from '../ui/Guarded';
import { Mark } from '../ui/Mark';
import { Moment } from '../ui/Moment';
import { Page } from '../ui/Page';
import { Section } from '../ui/Section';
import { Table, type Column } from '../ui/Table';
import { Empty, Failure, Waiting } from '../ui/states';
import { ActDialog } from './ActDialog';
import { EditDialog } from './EditDialog';
import { useForgetUsers, useUser, useUserAlerts, useUserIncidents, useUserTimeline } from './data';

const TABS = [
  { id: 'overview', label: 'Overview' },
  { id: 'timeline', label: 'Timeline' },
  { id: 'incidents', label: 'Incidents' },
  { id: 'alerts', label: 'Alerts' },
  { id: 'actions', label: 'Actions' },
] as const;

const useStyles = makeStyles({
  meta: { marginTop: '8px', display: 'flex', flexWrap: 'wrap', gap: '6px', alignItems: 'center' },
  crumb: { maxWidth: 'min(420px, 60vw)', overflow: 'hidden', textOverflow: 'ellipsis', whiteSpace: 'nowrap' },
  tabs: { overflowX: 'auto', marginInline: '-8px', borderBottom: `1px solid ${tokens.colorNeutralStroke2}` },
  stack: { display: 'flex', flexDirection: 'column', gap: '16px', minWidth: 0 },
  list: { listStyleType: 'none', margin: 0, padding: 0, display: 'flex', flexDirection: 'column', maxWidth: '860px' },
  event: {
    display: 'flex',
    flexDirection: 'column',
    gap: '2px',
    padding: '8px 0',
    borderBottom: `1px solid ${tokens.colorNeutralStroke3}`,
    overflowWrap: 'anywhere',
  },
  muted: { margin: 0, color: tokens.colorNeutralForeground2, fontSize: tokens.fontSizeBase200 },
  foot: { display: 'flex', justifyContent: 'center', padding: '8px' },
});

export default function UserPage() {
  const { tenant = '', name = '' } = useParams();
  const user = useUser({ tenant, name });
  const forget = useForgetUsers();
  useLive(/^(action|exclusion|incident|user)\./, forget);
  if (user.data) return <Shown user={user.data} />;
  const gone = user.error instanceof Refusal && user.error.status === 404;
  return (
    <Page title="User">
      {gone ? (
        <Empty title="There is no such user" action={<Go to="/users">Go to the users</Go>}>
          Nothing has named it, or it belongs to an organisation that you cannot see.
        </Empty>
      ) : user.error ? (
        <Failure error={user.error} retry={() => void user.refetch()} />
      ) : (
        <Waiting rows={8} />
      )}
    </Page>
  );
}

/** Why nothing can be done, whoever asks. */
function lacking(user: User, actionType: string): string | null {
  if (user.directory?.can.includes(actionType) || user.devices.some((one) => one.can.includes(actionType))) return null;
  return user.devices.length === 0
    ? 'No device has an account of that name, and no directory is connected that could do it.'
    : 'No agent of a device with such an account can do it.';
}

function Shown({ user }: { user: User }) {
  const styles = useStyles();
  const navigate = useNavigate();
  const [params, setParams] = useSearchParams();
  const [editing, setEditing] = useState(false);
  const [act, setAct] = useState<{ actionType: string; title: string } | null>(null);
  const tab = TABS.find((one) => one.id === params.get('tab'))?.id ?? 'overview';
  const tabs = useRef<HTMLDivElement>(null);
  // On a phone the row of tabs is wider than the screen.
  useEffect(() => {
    tabs.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  }, [tab]);
  const who = { tenant: user.tenantId, name: user.name };
  return (
    <Page
      title={user.name}
      above={
        <Breadcrumb size="small" aria-label="Where you are">
          <BreadcrumbItem>
            <BreadcrumbButton onClick={() => navigate('/users')}>Users</BreadcrumbButton>
          </BreadcrumbItem>
          <BreadcrumbDivider />
          <BreadcrumbItem>
            <BreadcrumbButton current>
              <span className={styles.crumb} title={user.name}>
                {user.name}
              </span>
            </BreadcrumbButton>
          </BreadcrumbItem>
        </Breadcrumb>
      }
      below={
        (user.highValue || user.excluded) && (
          <div className={styles.meta}>
            {user.highValue && <Mark look={{ label: 'High value', color: 'important' }} />}
            {user.excluded && <Mark look={{ label: 'Excluded', color: 'subtle' }} title={sentence(user.excluded.because)} />}
          </div>
        )
      }
      actions={
        <>
          <AskExperts about={{ kind: 'user', id: user.name, name: user.name }} />
          <GuardedButton may={user.may.edit} onClick={() => setEditing(true)}>
            Edit
          </GuardedButton>
          {user.actions.length === 0 ? (
            <GuardedButton appearance="primary" may={{ allowed: false, because: 'There is nothing that can be done from here.' }}>
              Take action
            </GuardedButton>
          ) : (
            <Menu>
              <MenuTrigger disableButtonEnhancement>
                <MenuButton appearance="primary">Take action</MenuButton>
              </MenuTrigger>
              <MenuPopover>
                <MenuList>
                  {user.actions.map((one) => {
                    const because = one.may.allowed ? lacking(user, one.actionType) : one.may.because;
                    return (
                      <GuardedMenuItem key={one.actionType} may={{ allowed: because === null, because }} onClick={() => setAct(one)}>
                        {one.title}
                      </GuardedMenuItem>
                    );
                  })}
                </MenuList>
              </MenuPopover>
            </Menu>
          )}
        </>
      }
    >
      <div className={styles.tabs} ref={tabs}>
        <TabList
          selectedValue={tab}
          onTabSelect={(_, data) => setParams(data.value === 'overview' ? {} : { tab: String(data.value) })}
          aria-label="Parts of the user"
        >
          {TABS.map((one) => (
            <Tab key={one.id} value={one.id} id={`tab-${one.id}`}>
              {one.id === 'incidents' ? `Incidents (${user.incidentCount.toLocaleString()})` : one.label}
            </Tab>
          ))}
        </TabList>
      </div>
      <div role="tabpanel" aria-labelledby={`tab-${tab}`}>
        {tab === 'overview' && <Overview user={user} />}
        {tab === 'timeline' && <Timeline who={who} />}
        {tab === 'incidents' && <Incidents who={who} />}
        {tab === 'alerts' && <Alerts who={who} />}
        {tab === 'actions' && (
          <ActionsOf asked={{ user: user.name, tenantId: user.tenantId }} none="Nothing was done to this user yet." accounts />
        )}
      </div>
      {editing && <EditDialog user={user} onClose={() => setEditing(false)} />}
      {act && <ActDialog user={user} actionType={act.actionType} title={act.title} onClose={() => setAct(null)} />}
    </Page>
  );
}

const ACCOUNTS: Column<UserAccount>[] = [
  { id: 'device', label: 'Device', lead: true, cell: (one) => one.deviceName },
  { id: 'login', label: 'Account', named: true, cell: (one) => one.login },
  {
    id: 'local',
    label: 'On the device',
    cell: (one) =>
      one.uid === null ? 'None of its own' : `Number ${one.uid}${one.canSignIn ? '' : ', cannot sign in'}${one.administrator ? ', administrator' : ''}`,
  },
  { id: 'at', label: 'Last sign-in seen', nowrap: true, named: true, cell: (one) => <Moment at={one.signedInDateTime} none="–" /> },
  { id: 'from', label: 'From', minor: true, cell: (one) => one.signedInFrom ?? '–' },
];

/** Why a user is of high value. */
function worth(user: User): string {
  const why = [user.mark && `${user.mark.because} (${user.mark.by})`, user.directoryRole && 'holds a role in the directory'];
  return user.highValue ? `Yes: ${why.filter(Boolean).join('; ')}` : 'No';
}

function Overview({ user }: { user: User }) {
  const styles = useStyles();
  const navigate = useNavigate();
  const { side } = useSession();
  const same = user.devices.every((one) => one.sameName);
  return (
    <div className={styles.stack}>
      <Section title="User">
        <Facts
          facts={[
            ['Name', user.name],
            ['Customer', side === 'provider' && user.tenantName],
            ['Incidents', user.incidentCount.toLocaleString()],
            ['Directory', user.directory?.name],
            ['High value', worth(user)],
            ['Excluded', user.excluded ? sentence(user.excluded.because) : 'No'],
          ]}
        />
      </Section>
      <Section title={`Accounts on devices (${user.deviceCount.toLocaleString()})`} plain>
        {user.devices.length === 0 ? (
          <Empty title="No accounts">No device with an agent has an account of this name, and none saw it sign in.</Empty>
        ) : (
          <>
            {!same && (
              <p className={styles.muted}>
                Some bear only the part of the name before the @: whether they are the same person nobody has said.
              </p>
            )}
            <Table
              label="Accounts on devices"
              columns={ACCOUNTS}
              rows={user.devices}
              id={(one) => `${one.deviceId} ${one.login}`}
              name={(one) => one.deviceName}
              href={(one) => `/devices/${encodeURIComponent(one.deviceId)}`}
              onOpen={(one) => navigate(`/devices/${encodeURIComponent(one.deviceId)}`)}
            />
            {user.deviceCount > user.devices.length && (
              <p className={styles.muted}>
                {(user.deviceCount - user.devices.length).toLocaleString()} more; those are shown that signed in last.
              </p>
            )}
          </>
        )}
      </Section>
    </div>
  );
}

type Listing<Row> = {
  data: { pages: Rows<Row>[] } | undefined;
  isPending: boolean;
  isError: boolean;
  error: unknown;
  hasNextPage: boolean;
  isFetchingNextPage: boolean;
  refetch: () => unknown;
  fetchNextPage: () => unknown;
};

/** The pages of a list so far, and the way to more. */
function Paged<Row>({ list, none, more, children }: { list: Listing<Row>; none: ReactNode; more: string; children: (rows: Row[]) => ReactNode }) {
  const styles = useStyles();
  const rows = (list.data?.pages ?? []).flatMap((page) => page.value);
  if (list.isPending) return <Waiting rows={8} />;
  if (list.isError && rows.length === 0) return <Failure error={list.error} retry={() => void list.refetch()} />;
  return (
    <>
      {rows.length > 0 ? children(rows) : !list.hasNextPage && none}
      {list.hasNextPage && (
        <div className={styles.foot}>
          <Button disabledFocusable={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
            {list.isFetchingNextPage ? 'Loading…' : more}
          </Button>
        </div>
      )}
    </>
  );
}

type Who = { tenant: string; name: string };

const LABEL: Record<string, string> = { incident: 'Named in an incident', action: 'Action' };

function Timeline({ who }: { who: Who }) {
  const styles = useStyles();
  const list = useUserTimeline(who);
  return (
    <Paged list={list} more="Show earlier ones" none={<Empty title="Nothing was seen yet">Sign-ins on devices with an agent, incidents and actions are told here.</Empty>}>
      {(rows) => (
        <ol className={styles.list}>
          {rows.map((event, at) => (
            <li key={`${event.at} ${at}`} className={styles.event}>
              <span className={styles.muted}>
                <Moment at={event.at} as="second" /> · {LABEL[event.kind] ?? spelled(event.kind)}
                {event.deviceId && event.deviceName && (
                  <>
                    {' '}
                    on <Go to={`/devices/${encodeURIComponent(event.deviceId)}`}>{event.deviceName}</Go>
                  </>
                )}
              </span>
              <span>
                {event.actionId ? (
                  <Go to={`/actions?tab=history&action=${encodeURIComponent(event.actionId)}`}>{event.text}</Go>
                ) : event.kind === 'incident' && event.incidentId ? (
                  <Go to={`/incidents/${encodeURIComponent(event.incidentId)}`}>{event.text}</Go>
                ) : (
                  event.text
                )}{' '}
                {event.state && <Mark look={actionLook(event.state)} />}
              </span>
              {event.by && <span className={styles.muted}>Requested by {event.by}</span>}
            </li>
          ))}
        </ol>
      )}
    </Paged>
  );
}

function Incidents({ who }: { who: Who }) {
  const navigate = useNavigate();
  const words = useWords();
  const list = useUserIncidents(who);
  const columns = useMemo<Column<UserIncident>[]>(
    () => [
      { id: 'name', label: 'Incident', lead: true, cell: (row) => row.displayName },
      { id: 'id', label: 'Id', nowrap: true, named: true, cell: (row) => row.id },
      { id: 'severity', label: 'Severity', nowrap: true, cell: (row) => labelOf(words.severity, row.severity) },
      { id: 'status', label: 'Status', nowrap: true, cell: (row) => labelOf(words.status, row.status) },
      { id: 'last', label: 'Last activity', nowrap: true, minor: true, cell: (row) => <Moment at={row.lastActivityDateTime} /> },
    ],
    [words],
  );
  const to = (row: UserIncident) => `/incidents/${encodeURIComponent(row.id)}`;
  return (
    <Paged list={list} more="Show more" none={<Empty title="No incidents">No incident names this user.</Empty>}>
      {(rows) => (
        <Table label="Incidents" columns={columns} rows={rows} id={(row) => row.id} name={(row) => row.displayName} href={to} onOpen={(row) => navigate(to(row))} />
      )}
    </Paged>
  );
}

function Alerts({ who }: { who: Who }) {
  const navigate = useNavigate();
  const words = useWords();
  const list = useUserAlerts(who);
  const columns = useMemo<Column<UserAlert>[]>(
    () => [
      { id: 'title', label: 'Alert', lead: true, cell: (row) => row.title },
      { id: 'severity', label: 'Severity', nowrap: true, cell: (row) => labelOf(words.severity, row.severity) },
      { id: 'status', label: 'Status', nowrap: true, cell: (row) => spelled(row.status) },
      { id: 'product', label: 'Product', minor: true, cell: (row) => row.productName ?? '–' },
      {
        id: 'incident',
        label: 'Incident',
        nowrap: true,
        named: true,
        cell: (row) => (row.incidentId ? <Go to={`/incidents/${encodeURIComponent(row.incidentId)}`}>{row.incidentId}</Go> : '–'),
      },
      { id: 'last', label: 'Last activity', nowrap: true, minor: true, cell: (row) => <Moment at={row.lastActivityDateTime} /> },
    ],
    [words],
  );
  const to = (row: UserAlert) => `/alerts/${encodeURIComponent(row.id)}`;
  return (
    <Paged list={list} more="Look through more alerts" none={<Empty title="No alerts">No alert names this user.</Empty>}>
      {(rows) => <Table label="Alerts" columns={columns} rows={rows} id={(row) => row.id} name={(row) => row.title} href={to} onOpen={(row) => navigate(to(row))} />}
    </Paged>
  );
}
