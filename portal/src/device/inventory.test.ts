import { expect, it } from 'vitest';

import type { Inventory } from '../api/hand';
import { bytes } from '../ui/bytes';
import { lists } from './inventory';

it('each part is a list, and what an older agent left out is empty', () => {
  const parts = lists({ users: [{ name: 'root', uid: 0, can_sign_in: true, administrator: true }], services: ['ssh'] } as unknown as Inventory);
  expect(parts.map((part) => [part.id, part.lines.map((line) => line.cells)])).toEqual([
    ['users', [['root', '0', 'Yes', 'Yes']]],
    ['signedIn', []],
    ['ports', []],
    ['packages', []],
    ['services', [['ssh']]],
  ]);
});

it('sizes are told in the unit that fits', () => {
  expect([0, 1_023, 1_024, 4_187_000_000].map(bytes)).toEqual(['0 B', '1,023 B', '1 KiB', '3.9 GiB']);
});
