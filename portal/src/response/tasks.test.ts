import { expect, it } from 'vitest';

import { gathered } from '../api/evidence';
import type { ActionType, Alert, Entity, ManagedResponse, Task } from '../api/hand';
import { byTarget, fate, headline, receiversOf, targetsFor } from './tasks';

const YES = { allowed: true, because: null };
const task = (state: string, rest: Partial<Task> = {}): Task =>
  ({ state, source: 'defenderExpertsGuidedResponse', guidedBecause: null, actions: [], may: { run: YES }, ...rest }) as unknown as Task;
const response = (pending: Task[], completed: Task[], rest: Partial<ManagedResponse> = {}): ManagedResponse =>
  ({ revision: 1, rejected: null, readyToClose: false, drafts: [], pending, completed, ...rest }) as unknown as ManagedResponse;
const ours = { source: 'defenderExpertsManagedResponse' };

it('counts what needs the customer, of all', () => {
  const mixed = response([task('open'), task('doing'), task('running', ours), task('failed', ours)], [task('completed')]);
  expect(headline(mixed, true)).toMatchObject({
    mood: 'urgent',
    title: 'Managed response: 2 of 5 actions need you',
    text: '1 in progress, 1 failed.',
  });
  expect(headline(mixed, false)?.title).toBe('Managed response: 2 of 5 actions wait for the customer');
  expect(headline(response([task('open')], []), true)?.title).toBe('Managed response: 1 of 1 action needs you');
});

it('says that nothing needs anybody, that it can be closed, and that it was rejected', () => {
  expect(headline(response([task('running', ours)], []), true)?.mood).toBe('calm');
  expect(headline(response([task('failed', ours)], []), true)).toMatchObject({ mood: 'bad', title: 'Managed response: 1 of 1 action failed' });
  expect(headline(response([], [task('completed'), task('skipped')], { readyToClose: true }), true)).toEqual({
    mood: 'calm',
    title: 'Managed response: all 2 actions are done',
    text: 'The incident is ready to close.',
  });
  expect(headline(response([], [], { rejected: { by: 'Ida', at: '', because: 'payday' } }), false)?.text).toBe('Ida: payday');
  expect(headline(response([], [], { revision: 0 }), true)).toBeNull();
});

it('says that somebody has to approve', () => {
  const asked = task('running', { actions: [{ state: 'proposed' }] as Task['actions'] });
  expect(headline(response([asked, task('running')], [task('completed')]), true)).toMatchObject({
    mood: 'urgent',
    title: 'Managed response: 1 of 3 actions waits for approval',
  });
  expect(headline(response([task('open'), asked], []), true)?.text).toBe('1 waiting for approval.');
});

it('what the server lets run now is run when it is published; the rest is left, for its reason', () => {
  expect(fate(task('draft'))).toEqual({ managed: true });
  expect(fate(task('completed', { may: { run: { allowed: false, because: 'it is completed' } } as Task['may'] }))).toEqual({ managed: true });
  expect(fate(task('draft', { may: { run: { allowed: false, because: 'the device is excluded' } } as Task['may'] }))).toEqual({
    managed: false,
    because: 'the device is excluded',
  });
});

it('groups the catalogue by what is acted on, in its own order', () => {
  const types = ['text none', 'isolateDevice device', 'disableUser user', 'unIsolateDevice device'].map((text) => {
    const [actionType, target] = text.split(' ');
    return { actionType, target } as ActionType;
  });
  expect(byTarget(types).map((group) => [group.title, group.types.map((type) => type.actionType)])).toEqual([
    ['Guidance', ['text']],
    ['Device', ['isolateDevice', 'unIsolateDevice']],
    ['User', ['disableUser']],
  ]);
});

it('offers the incident’s own things, files by their hash', () => {
  const evidence = gathered([
    {
      evidence: [
        { '@odata.type': '#microsoft.graph.security.fileEvidence', fileDetails: { fileName: 'a.exe', sha256: 'ab12' } },
        { '@odata.type': '#microsoft.graph.security.processEvidence', imageFile: { fileName: 'b.exe' } },
        { '@odata.type': '#microsoft.graph.security.deviceEvidence', deviceDnsName: 'lt-1.alder.example' },
        { '@odata.type': '#microsoft.graph.security.deviceEvidence', hostName: 'lt-1' },
      ],
    } as unknown as Alert,
  ]);
  const entities = [
    { kind: 'device name', name: 'LT-1' },
    { kind: 'device', name: 'srv-2' },
    { kind: 'account', name: 'ida' },
  ] as Entity[];
  expect(targetsFor('file', entities, evidence)).toEqual([{ id: 'ab12', name: 'a.exe' }]);
  expect(targetsFor('device', entities, evidence)).toEqual([
    { id: 'lt-1.alder.example', name: 'lt-1.alder.example' },
    { id: 'srv-2', name: 'srv-2' },
  ]);
  expect(targetsFor('user', entities, evidence)).toEqual([{ id: 'ida', name: 'ida' }]);
});

it('knows a mail by its message id, once, and who received it', () => {
  const type = '#microsoft.graph.security.analyzedMessageEvidence';
  const piece = (rest: object) => ({ '@odata.type': type, subject: 'Your parcel', ...rest });
  const alerts = [
    {
      evidence: [
        piece({ internetMessageId: '<1@Mail.example>', networkMessageId: 'N1', recipientEmailAddress: 'Kari@alder.example' }),
        piece({ networkMessageId: 'n1', recipientEmailAddress: 'ola@alder.example' }),
        piece({ internetMessageId: '<2@mail.example>', networkMessageId: 'n2', recipientEmailAddress: 'per@alder.example' }),
      ],
    },
  ] as unknown as Alert[];
  expect(receiversOf(alerts, ' 1@Mail.example ')).toEqual(['kari@alder.example', 'ola@alder.example']);
  expect(receiversOf(alerts, '')).toEqual([]);
  const entities = [{ kind: 'message', name: 'n1' }, { kind: 'mailbox', name: 'kari@alder.example' }, { kind: 'message', name: 'n9' }] as unknown as Entity[];
  expect(targetsFor('mail', entities, gathered(alerts))).toEqual([
    { id: '<1@Mail.example>', name: 'Your parcel <1@Mail.example>' },
    { id: '<2@mail.example>', name: 'Your parcel <2@mail.example>' },
    { id: 'n9', name: 'n9' },
  ]);
});
