import { expect, test } from 'vitest';

import type { ServiceClock } from './hand';
import { counted, lasting, standing } from './clock-words';

const clock = (more: Partial<ServiceClock>): ServiceClock => ({
  clock: 'triage',
  whose: 'experts',
  about: '',
  state: 'running',
  run: 1,
  startedDateTime: '2026-11-22T10:00:00Z',
  stoppedDateTime: null,
  countedSeconds: 600,
  targetSeconds: 900,
  workingHours: false,
  dueDateTime: '2026-11-22T10:15:00Z',
  isMissed: false,
  forecast: null,
  ...more,
});

test('a time has two units at most', () => {
  expect([0, 59, 60, 3_599, 3_600, 12_000, 86_400 * 2, 86_400 * 3 + 7_200].map(lasting)).toEqual([
    '0 s',
    '59 s',
    '1 min',
    '59 min',
    '1 h',
    '3 h 20 min',
    '2 d',
    '3 d 2 h',
  ]);
  expect(lasting(-5)).toBe('0 s');
});

test('only what runs around the clock grows by itself', () => {
  expect(counted(clock({}), 5)).toBe(605);
  expect(counted(clock({ workingHours: true }), 5)).toBe(600);
  expect(counted(clock({ state: 'paused' }), 5)).toBe(600);
});

test('what is left, near, missed and done', () => {
  const at = (time: string) => new Date(`2026-11-22T${time}Z`);
  expect(standing(clock({}), 0, at('10:10:00'))).toEqual({ text: '5 min left', tone: 'calm' });
  expect(standing(clock({ countedSeconds: 700 }), 0, at('10:12:00'))).toEqual({ text: '3 min left', tone: 'near' });
  expect(standing(clock({}), 360, at('10:16:00'))).toEqual({ text: 'missed 1 min ago', tone: 'missed' });
  expect(standing(clock({ state: 'paused', dueDateTime: null }), 0, at('11:00:00'))).toEqual({ text: 'paused at 10 min of 15 min', tone: 'calm' });
  expect(standing(clock({ state: 'stopped', isMissed: true, countedSeconds: 1_000 }), 0, at('11:00:00'))?.tone).toBe('missed');
  expect(standing(clock({ state: 'stopped', targetSeconds: null }), 0, at('11:00:00'))).toEqual({ text: '10 min', tone: 'done' });
  expect(standing(clock({ state: 'void' }), 0, at('11:00:00'))).toBeNull();
});
