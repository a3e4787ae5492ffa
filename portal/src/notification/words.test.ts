import { expect, it } from 'vitest';

import type { Delivery, ReceiverHealth } from '../api/hand';
import { healthLook, healthOf, kindName, languageName, ruleTold, teamsChannel, unheard } from './words';

const delivery = (receiver: string, state: Delivery['state'], rest: Partial<Delivery> = {}): Delivery => ({
  id: `${receiver}-${state}`,
  notificationId: 'n',
  kind: 'reminder',
  incidentId: '4',
  channel: 'mail',
  receiver,
  name: receiver,
  language: 'en',
  state,
  subject: 's',
  attempts: 1,
  nextDateTime: null,
  createdDateTime: '2026-01-01T00:00:00Z',
  endedDateTime: null,
  because: null,
  ...rest,
});
const health = (rest: Partial<ReceiverHealth> = {}): ReceiverHealth => ({
  channel: 'mail',
  receiver: 'a@b.example',
  waiting: 0,
  failures: 0,
  pausedUntilDateTime: null,
  lastOkDateTime: null,
  lastError: null,
  lastErrorDateTime: null,
  ...rest,
});

it('finds who did not hear by the newest message of each', () => {
  expect(unheard([]).map((one) => one.receiver)).toEqual([]);
  const told = [delivery('a', 'delivered'), delivery('a', 'dead'), delivery('b', 'dead'), delivery('b', 'delivered'), delivery('c', 'waiting'), delivery('c', 'dead')];
  expect(unheard(told).map((one) => one.receiver)).toEqual(['b']);
  expect(unheard([delivery('a', 'delivered'), delivery('a', 'dead', { channel: 'webhook' })])).toHaveLength(1);
});

it('tells how the way to a receiver goes', () => {
  expect(healthLook(null, 'mail').label).toBe('Not used yet');
  expect(healthLook(health(), 'mail').label).toBe('Not used yet');
  expect(healthLook(health({ lastOkDateTime: '2026-01-01T00:00:00Z' }), 'mail').label).toBe('Works');
  expect(healthLook(health({ lastOkDateTime: '2026-01-01T00:00:00Z', lastError: 'no such address' }), 'mail').label).toBe('Last mail failed');
  expect(healthOf([health({ channel: 'webhook' })], 'mail', 'a@b.example')).toBeNull();
});

it('names what it knows and takes the rest as it comes', () => {
  expect(kindName('messageFromExperts')).toBe('Message from experts');
  expect(kindName('weeklyReport')).toBe('Weekly report');
  expect(languageName('pt-BR')).toBe('Português (Brasil)');
  expect(languageName('de')).toBe('de');
});

it('finds the id of a channel of Teams in the link to it', () => {
  const link = 'https://teams.microsoft.com/l/channel/19%3Aabc%40thread.tacv2/Managed%20response?groupId=1&tenantId=2';
  expect(teamsChannel(link)).toBe('19:abc@thread.tacv2');
  expect(teamsChannel('19:abc@thread.tacv2')).toBe('19:abc@thread.tacv2');
  expect(teamsChannel('https://teams.microsoft.com/l/channel/%E0%A4%A/x')).toBe('https://teams.microsoft.com/l/channel/%E0%A4%A/x');
});

it('says what a mail rule is about, and only what it narrows', () => {
  const choices = { severities: [], serviceSources: [], detectionSources: [], deviceGroups: [], actions: [{ word: 'isolateDevice', title: 'Isolate device' }], languages: [] };
  const rule = { name: 'x', organisationName: false, tenantLink: false, recipients: [], on: true };
  const incidents = { about: 'incidents' as const, severities: [], sources: [], deviceGroups: [], oncePerIncident: false };
  expect(ruleTold({ ...rule, when: incidents }, choices)).toEqual(['Every severity', 'With updates']);
  const sources = [
    { service: null, detection: 'microsoftThreatExperts', severities: ['low'] },
    { service: 'microsoftSentinel', detection: 'scheduledAlerts', severities: null },
  ];
  expect(ruleTold({ ...rule, when: { ...incidents, severities: ['high'], sources, deviceGroups: ['a', 'b', 'c', 'd'], oncePerIncident: true } }, choices)).toEqual([
    'Severity: High',
    'From: Microsoft Defender Experts (low), Microsoft Sentinel, Scheduled alerts',
    'Device groups: a, b, c and 1 more',
    'Once per incident',
  ]);
  const actions = { about: 'actions' as const, origins: ['manual' as const], actions: ['isolateDevice'], deviceGroups: [], outcomes: ['failed' as const] };
  expect(ruleTold({ ...rule, when: actions }, choices)).toEqual(['Isolate device', 'Manual only', 'When it failed']);
});
