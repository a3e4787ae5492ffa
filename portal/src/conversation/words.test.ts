import { expect, test } from 'vitest';

import type { ConversationRow, Message } from '../api/hand';
import { byDay, grouped, party, standing } from './words';

const row = (id: string, more: Partial<ConversationRow> = {}): ConversationRow => ({
  id,
  kind: 'question',
  tenantId: 't',
  tenantName: 'Alder Freight',
  incidentId: null,
  subject: id,
  about: null,
  status: 'answered',
  waitingSinceDateTime: null,
  overdue: false,
  openedBy: 'ida@alder.example',
  openedDateTime: '2026-11-18T10:00:00Z',
  lastMessageDateTime: '2026-11-18T10:00:00Z',
  lastMessage: null,
  unread: 0,
  inside: true,
  ...more,
});

test('groups stand where their first row stood, and keep the order of their rows', () => {
  const rows = [row('a'), row('b', { status: 'waitingForExperts' }), row('c'), row('d', { incidentId: '7', kind: 'managedResponse' })];
  expect(grouped(rows, 'none', 'customer').map((group) => group.rows.length)).toEqual([4]);
  expect(grouped(rows, 'status', 'customer').map((group) => [group.title, group.rows.map((one) => one.id).join('')])).toEqual([
    ['Answered', 'acd'],
    ['Waiting for the experts', 'b'],
  ]);
  expect(grouped(rows, 'reference', 'customer').map((group) => group.title)).toEqual(['Questions', 'Incident 7']);
  expect(grouped(rows, 'submitter', 'provider').map((group) => group.title)).toEqual(['ida@alder.example']);
});

test('a wait is called as it concerns the reader', () => {
  expect(standing(row('a', { status: 'waitingForExperts' }), 'provider')).toBe('Customer waits');
  expect(standing(row('a', { status: 'waitingForExperts', overdue: true }), 'customer')).toBe('Overdue');
  expect(party({ side: 'expert', own: true, via: null })).toBe('You');
  expect(party({ side: 'assistant', own: false, via: null })).toBe('Automatic');
  expect(party({ side: 'customer', own: false, via: 'mail' })).toBe('Customer, by mail');
  expect(party({ side: 'customer', own: false, via: 'teams' })).toBe('Customer, in Teams');
});

test('messages stand under the days they were sent on', () => {
  const message = (id: string, sentDateTime: string) => ({ id, sentDateTime }) as Message;
  const days = byDay([message('1', '2026-11-17T12:00:00Z'), message('2', '2026-11-18T12:00:00Z'), message('3', '2026-11-18T12:01:00Z')]);
  expect(days.map((day) => day.messages.map((one) => one.id).join(''))).toEqual(['1', '23']);
});
