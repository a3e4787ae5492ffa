import type { Device } from '../api/hand';
import { useLive } from '../api/live';
import { useSession } from '../api/session';
import { AssetList } from '../ui/AssetList';
import { Go } from '../ui/Go';
import { Moment } from '../ui/Moment';
import type { Column } from '../ui/Table';
import { StateBadges } from './StateBadges';
import { MOVES, useDevices } from './data';

const COLUMNS: Column<Device>[] = [
  { id: 'name', label: 'Device', lead: true, cell: (device) => device.name },
  { id: 'state', label: 'State', cell: (device) => <StateBadges device={device} /> },
  { id: 'tenant', label: 'Customer', cell: (device) => device.tenantName },
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
];

function useLiveDevices(search: string, tenant: string) {
  const list = useDevices(search, tenant);
  useLive(MOVES, () => void list.refetch());
  return list;
}

/** Every device that has, or had, an agent. */
export default function Devices() {
  const { side } = useSession();
  return (
    <AssetList
      title="Devices"
      lead="Devices with an agent: what they are, what is in force on them, and what can be done there."
      one="device"
      placeholder="Name, address or group"
      noMatch="No device within your reach has this name, address or group."
      none="A device is here as soon as its agent has enrolled."
      noneAction={side === 'customer' && <Go to="/settings/agents">Set up an agent</Go>}
      useList={useLiveDevices}
      columns={COLUMNS}
      id={(device) => device.id}
      href={(device) => `/devices/${encodeURIComponent(device.id)}`}
    />
  );
}
