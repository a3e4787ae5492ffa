import {
  Button,
  DrawerBody,
  DrawerHeader,
  DrawerHeaderTitle,
  OverlayDrawer,
  Tooltip,
  makeStyles,
  mergeClasses,
  tokens,
} from '@fluentui/react-components';
import {
  AlertRegular,
  AppsRegular,
  BuildingMultipleRegular,
  ChatMultipleRegular,
  ClockRegular,
  DesktopRegular,
  DismissRegular,
  DocumentTextRegular,
  GavelRegular,
  HomeRegular,
  KeyRegular,
  MailInboxRegular,
  PanelLeftContractRegular,
  PanelLeftExpandRegular,
  PeopleRegular,
  PersonKeyRegular,
  PersonRegular,
  PlugConnectedRegular,
  PlugConnectedSettingsRegular,
  ShieldErrorRegular,
  ShieldKeyholeRegular,
  ShieldProhibitedRegular,
  ShieldTaskRegular,
  TaskListSquareLtrRegular,
} from '@fluentui/react-icons';
import { useState, type ReactElement } from 'react';
import { NavLink } from 'react-router';

import type { Side } from '../api/hand';
import { CASES, concerns, useSession } from '../api/session';
import { useReturn } from '../ui/useReturn';

type Entry = {
  to: string;
  label: string;
  icon: ReactElement;
  side?: Side;
  /** Without a permission about one of these there is nothing to be seen. */
  about?: readonly string[];
  /** Only where people are invented. */
  demo?: boolean;
};
type Group = { label: string | null; entries: Entry[] };

const GROUPS: Group[] = [
  {
    label: null,
    entries: [
      { to: '/', label: 'Home', icon: <HomeRegular /> },
      { to: '/incidents', label: 'Incidents', icon: <ShieldErrorRegular />, about: CASES },
      { to: '/actions', label: 'Action center', icon: <TaskListSquareLtrRegular />, about: CASES },
      { to: '/messages', label: 'Messages', icon: <ChatMultipleRegular />, about: CASES },
      { to: '/customers', label: 'Customers', icon: <BuildingMultipleRegular />, side: 'provider' },
      { to: '/access', label: 'Access requests', icon: <KeyRegular />, side: 'provider', about: ['Access'] },
      { to: '/access', label: 'Access history', icon: <KeyRegular />, side: 'customer' },
      { to: '/demo/mailbox', label: 'Mailbox (demo)', icon: <MailInboxRegular />, demo: true },
    ],
  },
  {
    label: 'Assets',
    entries: [
      { to: '/devices', label: 'Devices', icon: <DesktopRegular />, about: ['Device', 'Experts'] },
      { to: '/users', label: 'Users', icon: <PersonRegular />, about: CASES },
    ],
  },
  {
    label: 'Settings',
    entries: [
      { to: '/settings/service', label: 'Service status', icon: <ShieldTaskRegular />, side: 'customer', about: ['Grant'] },
      { to: '/settings/permissions', label: 'Permissions', icon: <ShieldKeyholeRegular />, side: 'customer' },
      { to: '/settings/authority', label: 'Authority', icon: <GavelRegular />, side: 'customer' },
      { to: '/settings/exclusions', label: 'Exclusions', icon: <ShieldProhibitedRegular />, side: 'customer', about: ['Exclusion'] },
      { to: '/settings/notifications', label: 'Notifications', icon: <AlertRegular />, side: 'customer', about: ['Contact'] },
      { to: '/settings/clocks', label: 'Service clocks', icon: <ClockRegular />, about: ['SecurityIncident', 'Experts', 'Tenant'] },
      { to: '/settings/agents', label: 'Agents', icon: <PlugConnectedSettingsRegular />, side: 'customer', about: ['Device'] },
      { to: '/settings/connectors', label: 'Connectors', icon: <PlugConnectedRegular />, side: 'customer', about: ['Connector'] },
      { to: '/settings/people', label: 'People', icon: <PeopleRegular /> },
      { to: '/settings/apps', label: 'Apps', icon: <AppsRegular />, about: ['App'] },
      { to: '/settings/sign-in', label: 'Sign-in', icon: <PersonKeyRegular />, about: ['SignIn'] },
      { to: '/settings/audit', label: 'Audit', icon: <DocumentTextRegular />, about: ['AuditLog'] },
    ],
  },
];

const useStyles = makeStyles({
  nav: {
    display: 'flex',
    flexDirection: 'column',
    gap: '2px',
    width: '220px',
    height: '100%',
    boxSizing: 'border-box',
    padding: '12px 8px',
    backgroundColor: tokens.colorNeutralBackground2,
    borderRight: `1px solid ${tokens.colorNeutralStroke2}`,
    overflowY: 'auto',
  },
  slim: { width: '56px' },
  inDrawer: { width: '100%', borderRight: 'none', padding: 0, backgroundColor: 'transparent' },
  list: { listStyleType: 'none', margin: 0, padding: 0, display: 'flex', flexDirection: 'column', gap: '2px' },
  label: {
    margin: '14px 10px 4px',
    fontSize: tokens.fontSizeBase200,
    fontWeight: tokens.fontWeightSemibold,
    color: tokens.colorNeutralForeground3,
  },
  rule: { height: '1px', margin: '10px 8px', backgroundColor: tokens.colorNeutralStroke2 },
  link: {
    display: 'flex',
    alignItems: 'center',
    gap: '12px',
    height: '36px',
    padding: '0 10px',
    borderRadius: tokens.borderRadiusMedium,
    color: tokens.colorNeutralForeground2,
    textDecorationLine: 'none',
    whiteSpace: 'nowrap',
    ':hover': { backgroundColor: tokens.colorNeutralBackground2Hover, color: tokens.colorNeutralForeground1 },
    ':focus-visible': { outline: `2px solid ${tokens.colorStrokeFocus2}`, outlineOffset: '-2px' },
    '& svg': { fontSize: '20px', flexShrink: 0 },
  },
  here: {
    color: tokens.colorNeutralForeground1,
    fontWeight: tokens.fontWeightSemibold,
    backgroundColor: tokens.colorNeutralBackground1,
    boxShadow: `inset 3px 0 0 ${tokens.colorBrandStroke1}`,
  },
  foot: { marginTop: 'auto', paddingTop: '12px' },
});

type Props = { drawer?: boolean; open?: boolean; onClose?: () => void };

/** The places to go; a drawer where there is no room for it. */
export function Navigation({ drawer, open, onClose }: Props) {
  const [slim, setSlim] = useState(() => window.innerWidth < 1200);
  useReturn(Boolean(open));
  if (!drawer) return <List slim={slim} onSlim={() => setSlim(!slim)} />;
  return (
    <OverlayDrawer position="start" open={Boolean(open)} onOpenChange={(_, data) => !data.open && onClose?.()}>
      <DrawerHeader>
        <DrawerHeaderTitle
          action={<Button appearance="subtle" aria-label="Close" icon={<DismissRegular />} onClick={onClose} />}
        >
          Riposte
        </DrawerHeaderTitle>
      </DrawerHeader>
      <DrawerBody>
        <List inDrawer onGo={onClose} />
      </DrawerBody>
    </OverlayDrawer>
  );
}

function List(props: { slim?: boolean; inDrawer?: boolean; onSlim?: () => void; onGo?: (() => void) | undefined }) {
  const styles = useStyles();
  const session = useSession();
  const { slim, inDrawer, onSlim, onGo } = props;
  const shown = GROUPS.map(({ label, entries }) => ({
    label,
    entries: entries
      .filter((entry) => !entry.side || entry.side === session.side)
      .filter((entry) => !entry.demo || session.authenticatedBy === 'demo')
      .filter((entry) => !entry.about || concerns(session, entry.about)),
  })).filter((group) => group.entries.length > 0);
  return (
    <nav aria-label="Main" className={mergeClasses(styles.nav, slim && styles.slim, inDrawer && styles.inDrawer)}>
      {shown.map((group) => (
        <div key={group.label ?? ''}>
          {group.label && (slim ? <div className={styles.rule} /> : <div className={styles.label}>{group.label}</div>)}
          <ul className={styles.list}>
            {group.entries.map((entry) => (
              <li key={entry.label}>
                <Item entry={entry} slim={Boolean(slim)} onGo={onGo} />
              </li>
            ))}
          </ul>
        </div>
      ))}
      {onSlim && (
        <div className={styles.foot}>
          <Tooltip content={slim ? 'Show labels' : 'Hide labels'} relationship="label">
            <Button
              appearance="subtle"
              icon={slim ? <PanelLeftExpandRegular /> : <PanelLeftContractRegular />}
              onClick={onSlim}
            />
          </Tooltip>
        </div>
      )}
    </nav>
  );
}

function Item({ entry, slim, onGo }: { entry: Entry; slim: boolean; onGo?: (() => void) | undefined }) {
  const styles = useStyles();
  const link = (
    <NavLink
      to={entry.to}
      end={entry.to === '/'}
      onClick={onGo}
      className={({ isActive }) => mergeClasses(styles.link, isActive && styles.here)}
    >
      {entry.icon}
      {!slim && entry.label}
    </NavLink>
  );
  if (!slim) return link;
  return (
    <Tooltip content={entry.label} relationship="label" positioning="after">
      {link}
    </Tooltip>
  );
}
