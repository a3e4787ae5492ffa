import {
  Badge,
  Button,
  Field,
  Link as FluentLink,
  Menu,
  MenuList,
  MenuPopover,
  MenuTrigger,
  SpinButton,
  Textarea,
  makeStyles,
  tokens,
} from '@fluentui/react-components';
import { AddRegular, MoreHorizontalRegular } from '@fluentui/react-icons';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useNavigate } from 'react-router';

import { LEVELS, ROLES, STATES } from '../api/access-words';
import { api, read } from '../api/client';
import type { Tenant } from '../api/hand';
import { Ask } from '../ui/Ask';
import { Choices } from '../ui/Choices';
import { GuardedButton, GuardedMenuItem } from '../ui/Guarded';
import { Moment } from '../ui/Moment';
import { Page } from '../ui/Page';
import { Table, type Column } from '../ui/Table';
import { useToasts } from '../ui/Toasts';
import { Empty, Failure, Waiting } from '../ui/states';
import { AddCustomer, EndMonitoring, InviteAdministrator, OnboardingSettings, Service, WelcomeAgain } from './Onboarding';

const useStyles = makeStyles({
  acts: { display: 'inline-flex', gap: '6px', '@media (max-width: 640px)': { flexWrap: 'wrap' } },
  muted: { color: tokens.colorNeutralForeground2 },
  count: { display: 'inline-flex', alignItems: 'center', justifyContent: 'end', minWidth: '24px', minHeight: '24px' },
});

const EVERY_MS = 10_000;

/** Every customer within reach: what waits there, and what may be done there. */
export default function Customers() {
  const styles = useStyles();
  const navigate = useNavigate();
  const [adding, setAdding] = useState(false);
  const [asking, setAsking] = useState<Tenant | null>(null);
  const [inviting, setInviting] = useState<Tenant | null>(null);
  const [open, setOpen] = useState<{ form: 'welcome' | 'settings' | 'end'; tenant: Tenant } | null>(null);
  // Who sees no case there hears of nothing either: neither of a welcome mail nor of a stage.
  const tenants = useQuery({ queryKey: ['tenants'], queryFn: () => read(api.GET('/api/v1/tenants')), refetchInterval: EVERY_MS });

  const count = (tenant: Tenant, value: number | undefined, status: string, label: string) =>
    value === undefined ? (
      <span className={styles.muted}>–</span>
    ) : value === 0 ? (
      <span className={styles.muted}>0</span>
    ) : (
      <FluentLink
        as="button"
        className={styles.count}
        aria-label={`${value.toLocaleString()} ${label} at ${tenant.name}`}
        onClick={() => navigate(`/incidents?status=${status}&severity=all&period=all&tenant=${encodeURIComponent(tenant.id)}`)}
      >
        {value.toLocaleString()}
      </FluentLink>
    );
  const columns: Column<Tenant>[] = [
    { id: 'name', label: 'Customer', lead: true, cell: (tenant) => tenant.name },
    { id: 'service', label: 'Service', cell: (tenant) => <Service of={tenant.onboarding} /> },
    { id: 'active', label: 'New', end: true, nowrap: true, cell: (tenant) => count(tenant, tenant.counts?.active, 'active', 'new') },
    { id: 'work', label: 'In progress', end: true, nowrap: true, cell: (tenant) => count(tenant, tenant.counts?.inProgress, 'inProgress', 'in progress') },
    { id: 'await', label: 'Awaiting customer', end: true, nowrap: true, cell: (tenant) => count(tenant, tenant.counts?.awaitingAction, 'awaitingAction', 'awaiting customer action') },
    {
      id: 'grant',
      label: 'Granted',
      cell: (tenant) => (
        <>
          <span title={LEVELS[tenant.grant.effectiveLevel]}>{ROLES[tenant.grant.effectiveLevel] || 'Nothing'}</span>
          {tenant.grant.endDateTime && (
            <span className={styles.muted}>
              {' '}
              until <Moment at={tenant.grant.endDateTime} as="day" />
            </span>
          )}
        </>
      ),
    },
    {
      id: 'access',
      label: 'My access',
      named: true,
      nowrap: true,
      cell: (tenant) =>
        tenant.access ? (
          <>
            <Badge appearance="tint" shape="rounded" color={tenant.access.state === 'approved' ? 'success' : 'warning'}>
              {STATES[tenant.access.state]}
            </Badge>{' '}
            {tenant.access.untilDateTime && (
              <span className={styles.muted}>
                ends <Moment at={tenant.access.untilDateTime} as="distance" />
              </span>
            )}
          </>
        ) : (
          <span className={styles.muted}>None</span>
        ),
    },
    {
      id: 'acts',
      label: 'Actions',
      nowrap: true,
      cell: (tenant) => (
        <span className={styles.acts}>
          <GuardedButton size="small" may={tenant.may.request} onClick={() => setAsking(tenant)}>
            Request access
          </GuardedButton>
          <GuardedButton size="small" appearance="subtle" may={tenant.may.invite} onClick={() => setInviting(tenant)}>
            Invite administrator
          </GuardedButton>
          <Menu>
            <MenuTrigger disableButtonEnhancement>
              <Button size="small" appearance="subtle" icon={<MoreHorizontalRegular />} aria-label={`More for ${tenant.name}`} />
            </MenuTrigger>
            <MenuPopover>
              <MenuList>
                <GuardedMenuItem may={tenant.may.welcome} onClick={() => setOpen({ form: 'welcome', tenant })}>
                  Send the welcome mail again
                </GuardedMenuItem>
                <GuardedMenuItem may={tenants.data?.may.add} onClick={() => setOpen({ form: 'settings', tenant })}>
                  Targets and monitoring
                </GuardedMenuItem>
                <GuardedMenuItem may={tenant.may.endMonitoring} onClick={() => setOpen({ form: 'end', tenant })}>
                  End monitoring now
                </GuardedMenuItem>
              </MenuList>
            </MenuPopover>
          </Menu>
        </span>
      ),
    },
  ];
  return (
    <Page
      title="Customers"
      actions={
        <GuardedButton appearance="primary" icon={<AddRegular />} may={tenants.data?.may.add} onClick={() => setAdding(true)}>
          Add a customer
        </GuardedButton>
      }
    >
      {tenants.isPending ? (
        <Waiting rows={5} />
      ) : tenants.isError ? (
        <Failure error={tenants.error} retry={() => void tenants.refetch()} />
      ) : tenants.data.value.length === 0 ? (
        <Empty title="No customers yet">Add the first one, then invite its administrator.</Empty>
      ) : (
        <Table
          label="Customers"
          columns={columns}
          rows={tenants.data.value}
          id={(tenant) => tenant.id}
          name={(tenant) => tenant.name}
        />
      )}
      {adding && <AddCustomer onClose={() => setAdding(false)} />}
      {asking && <RequestAccess tenant={asking} onClose={() => setAsking(null)} />}
      {inviting && <InviteAdministrator tenant={inviting} onClose={() => setInviting(null)} />}
      {open?.form === 'welcome' && <WelcomeAgain tenant={open.tenant} onClose={() => setOpen(null)} />}
      {open?.form === 'settings' && <OnboardingSettings tenant={open.tenant} onClose={() => setOpen(null)} />}
      {open?.form === 'end' && <EndMonitoring tenant={open.tenant} onClose={() => setOpen(null)} />}
    </Page>
  );
}

function RequestAccess({ tenant, onClose }: { tenant: Tenant; onClose: () => void }) {
  const queries = useQueryClient();
  const toasts = useToasts();
  const [level, setLevel] = useState<'reader' | 'operator'>('reader');
  const [reason, setReason] = useState('');
  const [hours, setHours] = useState(4);
  return (
    <Ask
      open
      title={`Request access to ${tenant.name}`}
      act="Request access"
      ready={reason.trim().length >= 5}
      onClose={onClose}
      onAct={async () => {
        const access = await read(
          api.POST('/api/v1/access', { body: { tenantId: tenant.id, level, reason: reason.trim(), hours } }),
        );
        await queries.invalidateQueries({ queryKey: ['tenants'] });
        void queries.invalidateQueries({ queryKey: ['access'] });
        toasts.done(access.state === 'approved' ? 'You have access.' : `The request went to ${tenant.name}.`);
      }}
    >
      <Field label="Reason" required hint="At least five characters. Whoever decides reads this, and it stays on record">
        <Textarea value={reason} maxLength={1000} onChange={(_, data) => setReason(data.value)} />
      </Field>
      <Field label="Level">
        <Choices
          choices={(['reader', 'operator'] as const).map((value) => ({ value, label: `${LEVELS[value]} (${ROLES[value]})` }))}
          value={level}
          onChoose={(value) => setLevel(value === 'operator' ? 'operator' : 'reader')}
        />
      </Field>
      <Field label="For how many hours" hint="1 to 8; it ends by itself">
        <SpinButton
          value={hours}
          min={1}
          max={8}
          onChange={(_, data) => {
            const wanted = Number(data.value ?? data.displayValue);
            if (Number.isFinite(wanted)) setHours(Math.max(1, Math.min(8, Math.round(wanted))));
          }}
        />
      </Field>
    </Ask>
  );
}
