/** The inventory of a device as lists of lines. What the agent left out is an empty list. Pure. */
import type { Inventory } from '../api/hand';
import { local } from '../ui/time';

export type Line = { id: string; cells: string[] };
export type List = { id: string; title: string; columns: string[]; lines: Line[] };

const yes = (value: boolean): string => (value ? 'Yes' : 'No');

/** Microseconds, as the agent counts them. */
export function moment(micros: number | null | undefined): string {
  return typeof micros === 'number' && micros > 0 ? local(new Date(micros / 1_000)) : '';
}

export function lists(inventory: Inventory): List[] {
  const list = (id: string, title: string, columns: string[], rows: string[][]): List => ({
    id,
    title,
    columns,
    lines: rows.map((cells, at) => ({ id: String(at), cells })),
  });
  return [
    list(
      'users',
      'Users',
      ['User', 'Number', 'Can sign in', 'Administrator'],
      (inventory.users ?? []).map((user) => [user.name, String(user.uid), yes(user.can_sign_in), yes(user.administrator)]),
    ),
    list(
      'signedIn',
      'Signed in',
      ['User', 'Terminal', 'From', 'Since'],
      (inventory.signed_in ?? []).map((one) => [one.user, one.line, one.from ?? '', moment(one.since)]),
    ),
    list(
      'ports',
      'Ports',
      ['Process', 'Protocol', 'Address', 'Port'],
      (inventory.ports ?? []).map((port) => [port.process ?? '', port.protocol, port.address, String(port.port)]),
    ),
    list(
      'packages',
      'Packages',
      ['Package', 'Version'],
      (inventory.packages ?? []).map((one) => [one.name, one.version]),
    ),
    list('services', 'Services', ['Service'], (inventory.services ?? []).map((one) => [one])),
  ];
}
