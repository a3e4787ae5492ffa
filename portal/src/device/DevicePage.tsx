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
import { EditRegular, MoreHorizontalRegular } from '@fluentui/react-icons';
import { useEffect, useMemo, useRef, useState } from 'react';
import { useNavigate, useParams, useSearchParams } from 'react-router';

import { Refusal, sentence } from '../api/error';
import type { Device } from '../api/hand';
import { useLive } from '../api/live';
import { useSession } from '../api/session';
import { useWords } from '../api/use-words';
import { labelOf, spelled } from '../api/words';
import { AskExperts } from '../ui/AskExperts';
import { CopyText } from '../ui/Copy';
import { ActionsOf } from '../ui/ActionsOf';
import { Facts } from '../ui/Facts';
import { Go } from '../ui/Go';
import { GuardedButton, GuardedMenuItem } from '../ui/Guarded';
import { JsonMore } from '../ui/Json';
import { Moment } from '../ui/Moment';
import { Page } from '../ui/Page';
import { Section } from '../ui/Section';
import { Table, type Column } from '../ui/Table';
import { bytes } from '../ui/bytes';
import { Empty, Failure, Waiting } from '../ui/states';
import { InventoryPart } from './InventoryPart';
import { StateBadges } from './StateBadges';
import { MOVES, useDevice, useDeviceTimeline, useForgetDevice } from './data';
import { ActDialog, CodeDialog, EditDialog, RemoveDialog } from './dialogs';
import { moment } from './inventory';

const TABS = [
  { id: 'overview', label: 'Overview' },
  { id: 'timeline', label: 'Timeline' },
  { id: 'inventory', label: 'Inventory' },
  { id: 'incidents', label: 'Incidents' },
  { id: 'actions', label: 'Actions' },
] as const;

const useStyles = makeStyles({
  meta: { marginTop: '8px' },
  crumb: { maxWidth: 'min(420px, 60vw)', overflow: 'hidden', textOverflow: 'ellipsis', whiteSpace: 'nowrap' },
  tabs: { overflowX: 'auto', marginInline: '-8px', borderBottom: `1px solid ${tokens.colorNeutralStroke2}` },
  columns: {
    display: 'grid',
    gridTemplateColumns: 'repeat(auto-fit, minmax(min(100%, 380px), 1fr))',
    gap: '16px',
    alignItems: 'start',
  },
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
  values: { margin: 0, paddingInlineStart: '18px', overflowWrap: 'anywhere' },
  foot: { display: 'flex', justifyContent: 'center', padding: '8px' },
});

export default function DevicePage() {
  const { id = '' } = useParams();
  const device = useDevice(id);
  const forget = useForgetDevice();
  useLive(MOVES, () => forget(id));
  if (device.data) return <Shown device={device.data} />;
  const gone = device.error instanceof Refusal && device.error.status === 404;
  return (
    <Page title="Device">
      {gone ? (
        <Empty title="There is no such device" action={<Go to="/devices">Go to the devices</Go>}>
          It does not exist, or it belongs to an organisation that you cannot see.
        </Empty>
      ) : device.error ? (
        <Failure error={device.error} retry={() => void device.refetch()} />
      ) : (
        <Waiting rows={8} />
      )}
    </Page>
  );
}

type Dialog = { is: 'act'; actionType: string; title: string } | { is: 'code' } | { is: 'edit' } | { is: 'remove' } | null;

function Shown({ device }: { device: Device }) {
  const styles = useStyles();
  const navigate = useNavigate();
  const [params, setParams] = useSearchParams();
  const [dialog, setDialog] = useState<Dialog>(null);
  const tab = TABS.find((one) => one.id === params.get('tab'))?.id ?? 'overview';
  const tabs = useRef<HTMLDivElement>(null);
  // On a phone the row of tabs is wider than the screen.
  useEffect(() => {
    tabs.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  }, [tab]);
  const close = () => setDialog(null);
  const actions = device.actions ?? [];
  return (
    <Page
      title={device.name}
      above={
        <Breadcrumb size="small" aria-label="Where you are">
          <BreadcrumbItem>
            <BreadcrumbButton onClick={() => navigate('/devices')}>Devices</BreadcrumbButton>
          </BreadcrumbItem>
          <BreadcrumbDivider />
          <BreadcrumbItem>
            <BreadcrumbButton current>
              <span className={styles.crumb} title={device.name}>
                {device.name}
              </span>
            </BreadcrumbButton>
          </BreadcrumbItem>
        </Breadcrumb>
      }
      below={
        <div className={styles.meta}>
          <StateBadges device={device} since />
        </div>
      }
      actions={
        <>
          {actions.length === 0 ? (
            <GuardedButton
              appearance="primary"
              may={device.may.act.allowed ? { allowed: false, because: 'There is nothing that can be done from here.' } : device.may.act}
            >
              Take action
            </GuardedButton>
          ) : (
            <Menu>
              <MenuTrigger disableButtonEnhancement>
                <MenuButton appearance="primary">Take action</MenuButton>
              </MenuTrigger>
              <MenuPopover>
                <MenuList>
                  {actions.map((one) => (
                    <GuardedMenuItem key={one.actionType} may={one.may} onClick={() => setDialog({ is: 'act', actionType: one.actionType, title: one.title })}>
                      {one.title}
                    </GuardedMenuItem>
                  ))}
                </MenuList>
              </MenuPopover>
            </Menu>
          )}
          <AskExperts about={{ kind: 'device', id: device.id, name: device.name }} />
          <GuardedButton icon={<EditRegular />} may={device.may.edit} onClick={() => setDialog({ is: 'edit' })}>
            Edit
          </GuardedButton>
          <Menu>
            <MenuTrigger disableButtonEnhancement>
              <Button icon={<MoreHorizontalRegular />} aria-label="More" />
            </MenuTrigger>
            <MenuPopover>
              <MenuList>
                <GuardedMenuItem may={device.may.code} onClick={() => setDialog({ is: 'code' })}>
                  Emergency release code
                </GuardedMenuItem>
                <GuardedMenuItem may={device.may.remove} onClick={() => setDialog({ is: 'remove' })}>
                  Remove the agent
                </GuardedMenuItem>
              </MenuList>
            </MenuPopover>
          </Menu>
        </>
      }
    >
      <div className={styles.tabs} ref={tabs}>
        <TabList
          selectedValue={tab}
          onTabSelect={(_, data) => setParams(data.value === 'overview' ? {} : { tab: String(data.value) })}
          aria-label="Parts of the device"
        >
          {TABS.map((one) => (
            <Tab key={one.id} value={one.id} id={`tab-${one.id}`}>
              {one.id === 'incidents' ? `Incidents (${device.incidentCount})` : one.label}
            </Tab>
          ))}
        </TabList>
      </div>
      <div role="tabpanel" aria-labelledby={`tab-${tab}`}>
        {tab === 'overview' && <Overview device={device} />}
        {tab === 'timeline' && <Timeline device={device} />}
        {tab === 'inventory' && <InventoryPart device={device} />}
        {tab === 'incidents' && <Incidents device={device} />}
        {tab === 'actions' && <ActionsOf asked={{ deviceId: device.id }} none="Nothing was done on this device yet." />}
      </div>
      {dialog?.is === 'act' && <ActDialog device={device} actionType={dialog.actionType} title={dialog.title} onClose={close} />}
      {dialog?.is === 'code' && <CodeDialog device={device} onClose={close} />}
      {dialog?.is === 'edit' && <EditDialog device={device} onClose={close} />}
      {dialog?.is === 'remove' && <RemoveDialog device={device} onClose={close} />}
    </Page>
  );
}

function Overview({ device }: { device: Device }) {
  const styles = useStyles();
  const { side } = useSession();
  const { agent, state, inventory } = device;
  const now = state.isolated || state.restricted || state.blocked.length > 0 || state.quarantined.length > 0;
  return (
    <div className={styles.columns}>
      <div className={styles.stack}>
        <Section title="Device">
          <Facts
            facts={[
              ['Customer', side === 'provider' && device.tenantName],
              ['Operating system', device.os],
              ['Kernel', device.kernel],
              ['Architecture', device.architecture],
              ['Addresses', device.addresses.join(', ')],
              ['Memory', inventory?.memory ? bytes(inventory.memory) : null],
              ['Processors', inventory?.processors || null],
              ['Booted', inventory ? moment(inventory.booted) : null],
              ['Inventory of', device.inventoryDateTime && <Moment key="n" at={device.inventoryDateTime} />],
              ['Groups', device.groups.join(', ') || 'None'],
              ['High value', device.highValue ? 'Yes' : 'No'],
              ['Excluded', device.excluded && sentence(device.excluded.because)],
              ['First seen', <Moment key="c" at={device.createdDateTime} />],
              ['Id', <CopyText key="i" text={device.id} label="Copy the device's id" />],
            ]}
          />
        </Section>
        <Section title="In force now">
          {!now && <p className={styles.muted}>Nothing. The agent reads this from the device itself.</p>}
          {now && (
            <Facts
              facts={[
                [
                  'Isolated',
                  state.isolated && (
                    <span key="i">
                      {spelled(state.isolated.mode)}, since <Moment at={state.isolated.sinceDateTime} as="second" />
                    </span>
                  ),
                ],
                ['App execution', state.restricted && 'Only programs from packages start'],
                [
                  'Blocked',
                  state.blocked.length > 0 && (
                    <ul key="b" className={styles.values}>
                      {state.blocked.slice(0, 50).map((one) => (
                        <li key={`${one.kind} ${one.value}`}>
                          {spelled(one.kind)} {one.value}
                        </li>
                      ))}
                      {state.blocked.length > 50 && <li>and {state.blocked.length - 50} more</li>}
                    </ul>
                  ),
                ],
                [
                  'In quarantine',
                  state.quarantined.length > 0 && (
                    <ul key="q" className={styles.values}>
                      {state.quarantined.slice(0, 50).map((sha) => (
                        <li key={sha}>{sha}</li>
                      ))}
                      {state.quarantined.length > 50 && <li>and {state.quarantined.length - 50} more</li>}
                    </ul>
                  ),
                ],
              ]}
            />
          )}
        </Section>
      </div>
      <Section title="Agent">
        {agent ? (
          <>
            <Facts
              facts={[
                ['Version', agent.version],
                ['Last seen', <Moment key="s" at={agent.seenDateTime} as="second" none="Never" />],
                ['Enrolled', <Moment key="e" at={agent.enrolledDateTime} />],
                ['Memory it takes', agent.memory ? bytes(agent.memory) : null],
                ['It can', agent.can.map((word) => spelled(word)).join(', ')],
              ]}
            />
            {agent.lacks.length > 0 && (
              <Section title="What it cannot do there" plain>
                <Facts facts={agent.lacks.map(([word = '', why = '']) => [spelled(word), sentence(why)])} />
              </Section>
            )}
          </>
        ) : (
          <p className={styles.muted}>No agent speaks for this device: it was removed, or it never enrolled.</p>
        )}
      </Section>
    </div>
  );
}

function Timeline({ device }: { device: Device }) {
  const styles = useStyles();
  const timeline = useDeviceTimeline(device.id);
  const events = (timeline.data?.pages ?? []).flatMap((page) => page.value);
  if (timeline.isPending) return <Waiting rows={8} label="Loading the timeline" />;
  if (timeline.isError && events.length === 0) return <Failure error={timeline.error} retry={() => void timeline.refetch()} />;
  if (events.length === 0) return <Empty title="Nothing was seen yet">The agent tells what starts, connects and signs in on the device.</Empty>;
  return (
    <>
      <ol className={styles.list}>
        {events.map((event, at) => (
          <li key={`${event.at} ${at}`} className={styles.event}>
            <span className={styles.muted}>
              <Moment at={event.at} as="second" /> · {spelled(event.kind)}
            </span>
            <span>{event.text}</span>
            {hasDetail(event.detail) && <JsonMore label="Details" value={event.detail} />}
          </li>
        ))}
      </ol>
      {timeline.hasNextPage && (
        <div className={styles.foot}>
          <Button disabledFocusable={timeline.isFetchingNextPage} onClick={() => void timeline.fetchNextPage()}>
            {timeline.isFetchingNextPage ? 'Loading…' : 'Show earlier ones'}
          </Button>
        </div>
      )}
    </>
  );
}

const hasDetail = (detail: unknown): boolean =>
  typeof detail === 'object' ? detail !== null && Object.keys(detail).length > 0 : Boolean(detail);

type Row = NonNullable<Device['incidents']>[number];

function Incidents({ device }: { device: Device }) {
  const navigate = useNavigate();
  const words = useWords();
  const columns = useMemo<Column<Row>[]>(
    () => [
      { id: 'name', label: 'Incident', lead: true, cell: (row) => row.displayName },
      { id: 'id', label: 'Id', nowrap: true, named: true, cell: (row) => row.id },
      { id: 'severity', label: 'Severity', nowrap: true, cell: (row) => labelOf(words.severity, row.severity) },
      { id: 'status', label: 'Status', nowrap: true, cell: (row) => labelOf(words.status, row.status) },
    ],
    [words],
  );
  const rows = device.incidents ?? [];
  if (rows.length === 0) return <Empty title="No incidents">No incident names this device.</Empty>;
  return (
    <Table
      label="Incidents"
      columns={columns}
      rows={rows}
      id={(row) => row.id}
      name={(row) => row.displayName}
      href={(row) => `/incidents/${encodeURIComponent(row.id)}`}
      onOpen={(row) => navigate(`/incidents/${encodeURIComponent(row.id)}`)}
    />
  );
}
