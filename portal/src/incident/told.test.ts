import { expect, it } from 'vitest';

import type { Fact } from '../api/hand';
import { said, told } from './told';

const fact = (kind: string, rest: Record<string, unknown> = {}): Fact => ({
  position: 1,
  at: '2026-01-01T00:00:00Z',
  kind,
  actor: { kind: 'expert', name: 'Signe Holm' },
  tenantId: 't',
  incidentId: '4',
  alertId: null,
  ...rest,
});

it('tells what happened to a managed response', () => {
  expect(told(fact('task.drafted', { taskId: '7', actionType: 'isolateDevice', target: 'LT-042' }))).toBe(
    'drafted task 7: isolate device on LT-042',
  );
  expect(told(fact('response.published', { guidedTaskIds: ['1'], managedTaskIds: [] }))).toBe(
    'published the managed response: one action for the customer, no actions by the experts',
  );
  expect(told(fact('task.begun', { taskId: '7' }))).toBe('took task 7 up by hand');
  expect(told(fact('task.closed', { taskId: '7', state: 'completed', verified: true }))).toBe(
    'completed task 7, verified on the asset',
  );
  expect(told(fact('action.ended', { actionId: 'ac9', state: 'failed', verified: false }))).toBe('action ac9 failed');
});

it('tells who was told, and who was not', () => {
  expect(told(fact('notification.made', { notification: 'reminder', receivers: ['Duty officer', 'SIEM'] }))).toBe('told Duty officer, SIEM again what still waits');
  expect(told(fact('notification.made', { notification: 'responsePublished', receivers: [] }))).toBe(
    'told nobody, because there is no contact for it, of the managed response',
  );
  expect(told(fact('notification.made', { notification: 'messageInChat', receivers: ['#soc'] }))).toBe('told #soc of a message in the chat');
  expect(told(fact('delivery.failed', { receiver: 'Duty officer', because: 'the address does not exist' }))).toBe(
    'could not bring a message to Duty officer: the address does not exist',
  );
  expect(told(fact('reply.refused', { receiver: 'Ida Berg', because: 'it is from another address' }))).toBe(
    'did not take an answer to what Ida Berg was sent: it is from another address',
  );
  expect(told(fact('delivery.repeated', { receiver: 'Duty officer' }))).toBe('had the message to Duty officer sent again');
});

it('has a sentence of its own for all that concerns notifications', () => {
  for (const kind of ['notification.made', 'notification.settingChanged', 'delivery.failed', 'delivery.repeated']) {
    expect(told(fact(kind))).not.toBe(kind.replace('.', ' ').toLowerCase());
  }
  for (const what of ['contact', 'webhook']) {
    for (const done of ['added', 'changed', 'removed']) expect(told(fact(`${what}.${done}`, { name: 'SIEM' }))).toContain(`${done} the ${what} SIEM`);
  }
  for (const done of ['connected', 'changed', 'removed']) {
    expect(told(fact(`chatChannel.${done === 'connected' ? 'added' : done}`, { name: '#soc' }))).toBe(`${done} the chat channel #soc`);
  }
  expect(told(fact('chatChannel.refused', { name: '#soc', because: 'it is old' }))).toBe('refused a request in the name of #soc: it is old');
});

it('says why, where somebody wrote it', () => {
  expect(said(fact('response.rejected', { because: 'not on a payday' }))).toBe('not on a payday');
  expect(said(fact('action.lost', { reason: 'the device fell silent' }))).toBe('the device fell silent');
  expect(said(fact('incident.merged', { because: 'x' }))).toBeUndefined();
  expect(said(fact('task.closed', { because: null }))).toBeUndefined();
});

it('tells a fact that is new to it by its name', () => {
  expect(told(fact('whale.seenTwice'))).toBe('whale seen twice');
});
