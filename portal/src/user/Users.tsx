import type { UserLine } from '../api/hand';
import { userPath } from '../api/user-path';
import { AssetList } from '../ui/AssetList';
import { Moment } from '../ui/Moment';
import type { Column } from '../ui/Table';
import { useUsers } from './data';

const COLUMNS: Column<UserLine>[] = [
  { id: 'name', label: 'User', lead: true, cell: (user) => user.name },
  { id: 'tenant', label: 'Customer', cell: (user) => user.tenantName },
  { id: 'incidents', label: 'Incidents', nowrap: true, named: true, end: true, cell: (user) => user.incidentCount.toLocaleString() },
  { id: 'devices', label: 'Devices', nowrap: true, named: true, end: true, cell: (user) => user.deviceCount.toLocaleString() },
  { id: 'root', label: 'Administrator', nowrap: true, minor: true, cell: (user) => (user.administrator ? 'On a device' : '–') },
  { id: 'seen', label: 'Last sign-in seen', nowrap: true, named: true, cell: (user) => <Moment at={user.signedInDateTime} none="–" /> },
];

/** Every user that something named. */
export default function Users() {
  return (
    <AssetList
      title="Users"
      lead="Users that alerts name, that devices have, or that something was done to."
      one="user"
      placeholder="Part of the name"
      noMatch="No user within your reach has this in the name."
      none="A user is here as soon as an alert names one, or the agent of a device knows an account."
      useList={useUsers}
      columns={COLUMNS}
      id={(user) => `${user.tenantId} ${user.name}`}
      href={(user) => userPath(user.tenantId, user.name)}
    />
  );
}
