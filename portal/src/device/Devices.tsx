import { Button, Field, SearchBox, makeStyles, tokens } from '@fluentui/react-components';
import { useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { useNavigate, useSearchParams } from 'react-router';

import { api, read } from '../api/client';
import type { Device } from '../api/hand';
import { useLive } from '../api/live';
import { useSession } from '../api/session';
import { Choices } from '../ui/Choices';
import { Go } from '../ui/Go';
import { Moment } from '../ui/Moment';
import { Page } from '../ui/Page';
import { Table, type Column } from '../ui/Table';
import { Empty, Failure, Waiting } from '../ui/states';
import { StateBadges } from './StateBadges';
import { MOVES, useDevices } from './data';

const useStyles = makeStyles({
  form: { display: 'flex', flexWrap: 'wrap', gap: '12px', alignItems: 'end' },
  search: { width: '320px', maxWidth: '100%', '& .fui-SearchBox': { maxWidth: '100%' }, '@media (max-width: 640px)': { width: '100%' } },
  count: { color: tokens.colorNeutralForeground2 },
  foot: { display: 'flex', justifyContent: 'center' },
  who: { display: 'flex', flexDirection: 'column', gap: '2px' },
  muted: { color: tokens.colorNeutralForeground2, fontSize: tokens.fontSizeBase200 },
});

/** Every device that has, or had, an agent. */
export default function Devices() {
  const styles = useStyles();
  const { side } = useSession();
  const navigate = useNavigate();
  const [params, setParams] = useSearchParams();
  const search = params.get('q') ?? '';
  const tenant = params.get('tenant') ?? '';
  const [words, setWords] = useState(search);
  const list = useDevices(search, tenant);
  useLive(MOVES, () => void list.refetch());
  const tenants = useQuery({
    queryKey: ['tenants'],
    queryFn: () => read(api.GET('/api/v1/tenants')),
    enabled: side === 'provider',
  });
  const rows = useMemo(() => (list.data?.pages ?? []).flatMap((page) => page.value), [list.data]);
  const count = list.data?.pages[0]?.count;
  const set = (name: string, value: string) => {
    const next = new URLSearchParams(params);
    if (value) next.set(name, value);
    else next.delete(name);
    setParams(next, { replace: true });
  };
  const columns = useMemo<Column<Device>[]>(
    () => [
      { id: 'name', label: 'Device', lead: true, cell: (device) => device.name },
      { id: 'state', label: 'State', cell: (device) => <StateBadges device={device} /> },
      ...(side === 'provider' ? [{ id: 'tenant', label: 'Customer', cell: (device: Device) => device.tenantName }] : []),
      { id: 'os', label: 'Operating system', minor: true, cell: (device) => device.os },
      { id: 'addresses', label: 'Addresses', minor: true, cell: (device) => device.addresses.slice(0, 2).join(', ') || '–' },
      { id: 'groups', label: 'Groups', minor: true, cell: (device) => device.groups.join(', ') || '–' },
      { id: 'incidents', label: 'Incidents', nowrap: true, end: true, cell: (device) => device.incidentCount.toLocaleString() },
      {
        id: 'seen',
        label: 'Last seen',
        nowrap: true,
        named: true,
        cell: (device) => <Moment at={device.agent?.seenDateTime} as="distance" none="Never" />,
      },
    ],
    [side],
  );
  return (
    <Page title="Devices" lead="Devices with an agent: what they are, what is in force on them, and what can be done there.">
      <form
        className={styles.form}
        role="search"
        aria-label="Devices"
        onSubmit={(event) => {
          event.preventDefault();
          set('q', words.trim());
        }}
      >
        <Field label="Search" className={styles.search}>
          <SearchBox
            data-search="page"
            placeholder="Name, address or group"
            value={words}
            onChange={(_, data) => {
              setWords(data.value);
              if (data.value === '' && search) set('q', '');
            }}
          />
        </Field>
        {side === 'provider' && (
          <Field label="Customer">
            <Choices
              choices={[{ value: '', label: 'Any' }, ...(tenants.data?.value ?? []).map((one) => ({ value: one.id, label: one.name }))]}
              value={tenant}
              onChoose={(value) => set('tenant', value)}
            />
          </Field>
        )}
      </form>
      <span className={styles.count} role="status">
        {count === undefined ? ' ' : `${count.toLocaleString()} device${count === 1 ? '' : 's'}`}
      </span>
      {list.isPending ? (
        <Waiting rows={8} label="Loading devices" />
      ) : list.isError && rows.length === 0 ? (
        <Failure error={list.error} retry={() => void list.refetch()} title="The devices could not be read" />
      ) : rows.length === 0 ? (
        search || tenant ? (
          <Empty title="No devices match">No device within your reach has this name, address or group.</Empty>
        ) : (
          <Empty title="No devices yet" action={side === 'customer' && <Go to="/settings/agents">Set up an agent</Go>}>
            A device is here as soon as its agent has enrolled.
          </Empty>
        )
      ) : (
        <Table
          label="Devices"
          columns={columns}
          rows={rows}
          id={(device) => device.id}
          name={(device) => device.name}
          href={(device) => `/devices/${encodeURIComponent(device.id)}`}
          onOpen={(device) => navigate(`/devices/${encodeURIComponent(device.id)}`)}
        />
      )}
      {list.hasNextPage && (
        <div className={styles.foot}>
          <Button disabledFocusable={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
            {list.isFetchingNextPage ? 'Loading…' : `Show more (${rows.length.toLocaleString()} shown)`}
          </Button>
        </div>
      )}
    </Page>
  );
}
