import { expect, it } from 'vitest';

import type { Rule } from './hand';
import { clock, conditionsTold, decidedTold, duration, effectTold, hoursTold, listed, minuteOf, moved, namesOf, newRule, waitsTold } from './authority-words';

const words = { actions: [{ word: 'isolateDevice', title: 'Isolate device' }], actionGroups: [{ word: 'dangerous', title: 'Dangerous actions' }] };

it('a new rule has a name of its own', () => {
  const { rule } = newRule([], 'UTC');
  expect(rule.id).toBe('rule-1');
  expect(newRule([{ ...rule, id: 'rule-2' }], 'UTC').rule.id).toBe('rule-3');
});

it('says when a rule holds and what it decides', () => {
  const rule: Rule = {
    ...newRule([], 'UTC').rule,
    actions: ['dangerous', 'isolateDevice'],
    things: { devices: ['h1'], deviceGroups: ['servers'], users: [], highValue: true },
    severityTo: 'medium',
    confidenceFrom: 'confirmed',
    hours: { zone: 'Europe/Oslo', days: [1, 2, 3, 4, 5], from: 1320, to: 360, outside: false },
  };
  expect(conditionsTold(rule, words)).toEqual([
    'Dangerous actions or Isolate device',
    'on device h1, device group servers or anything of high value',
    'asked for by experts',
    'severity at most medium',
    'confidence at least confirmed',
    'Monday to Friday, 22:00 to 06:00 of the next day (Europe/Oslo)',
  ]);
  expect(effectTold(rule.effect)).toBe('One of your people approves within 1 hour, else it is not done');
  expect(effectTold({ kind: 'approval', by: 'either', quorum: 2, within: 45, fallback: 'proceed' })).toBe(
    '2 other people approve within 45 minutes, else it is done all the same',
  );
  expect(conditionsTold({ ...rule, actions: [], things: { devices: [], deviceGroups: [], users: [], highValue: false }, who: [], severityTo: null, confidenceFrom: null, hours: null }, words)).toEqual(['Every action']);
});

it('tells hours, durations and lists', () => {
  expect(hoursTold({ zone: 'UTC', days: [6, 7], from: 0, to: 0, outside: true })).toBe('outside of the weekend, all day (UTC)');
  expect([duration(1), duration(90), duration(120), duration(2880)]).toEqual(['1 minute', '90 minutes', '2 hours', '2 days']);
  expect([listed([]), listed(['a']), listed(['a', 'b', 'c'], 'or')]).toEqual(['', 'a', 'a, b or c']);
  expect([clock(0), clock(1439), minuteOf('17:05'), minuteOf('5 pm'), minuteOf('24:01')]).toEqual(['00:00', '23:59', 1025, null, null]);
});

it('moves within the list only', () => {
  expect(moved(['a', 'b', 'c'], 2, -1)).toEqual(['a', 'c', 'b']);
  expect(moved(['a', 'b'], 0, -1)).toEqual(['a', 'b']);
  expect(moved(['a', 'b'], 1, 1)).toEqual(['a', 'b']);
});

it('reads names apart', () => {
  expect(namesOf(' h1, h2\nh3,,\n')).toEqual(['h1', 'h2', 'h3']);
});

it('says what an action still waits for', () => {
  const need = { rule: 'r', title: 'R', by: 'customer' as const, quorum: 3, given: 2, untilDateTime: 'T', fallback: 'refuse' as const };
  const approval = { needs: [need, { ...need, by: 'either' as const, quorum: 1, given: 0, fallback: 'task' as const }], given: [] };
  expect(waitsTold(approval, () => '14:05')).toEqual([
    '2 of 3 approvals by the customer, until 14:05, then refused',
    '0 of 1 approval, until 14:05, then a task for the customer',
  ]);
  expect(decidedTold({ decision: 'waits', title: null, needs: [{ ...need, within: 60 }] })).toBe('after approval: 3 of your people within 1 hour');
});
