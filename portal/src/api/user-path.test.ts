import { expect, test } from 'vitest';

import type { Evidence } from './hand';
import { userOf, userPath } from './user-path';

test('a user has an address whatever its name', () => {
  expect(userPath('t', 'Kari@Alder.example')).toBe('/users/t/kari%40alder.example');
  expect(userPath('t', 'a/b')).toBe('/users/t/a%2Fb');
});

test('evidence is about the user that alerts are shown', () => {
  const of = (more: object) => userOf({ '@odata.type': '#microsoft.graph.security.userEvidence', ...more } as Evidence);
  expect(of({ userAccount: { userPrincipalName: 'a@b', accountName: 'a' } })).toBe('a@b');
  expect(of({ userAccount: { userPrincipalName: null, accountName: 'a' } })).toBe('a');
  expect(of({ userAccount: 'x' })).toBeNull();
  expect(of({ primaryAddress: 'a@b' })).toBeNull();
  expect(of({ '@odata.type': '#microsoft.graph.security.mailboxEvidence', primaryAddress: 'a@b' })).toBe('a@b');
});
