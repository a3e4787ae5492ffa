import { expect, it } from 'vitest';

import { optionsTold, taskLook } from './action-words';
import type { Action, ActionType } from './hand';
import { headed } from './words';

it('a task of which something waits for approval says so', () => {
  const actions = [{ state: 'succeeded' }, { state: 'proposed' }] as Action[];
  expect(taskLook({ state: 'running', actionStatus: 'inProgress', actions }).label).toBe('Waits for approval');
  expect(taskLook({ state: 'running', actionStatus: 'inProgress', actions: actions.slice(0, 1) }).label).toBe('In progress');
});

it('options are told in the catalogue’s words, and what it does not know in its own', () => {
  const type = {
    options: [{ name: 'isolationType', title: 'Isolation', choices: [{ value: 'full', title: 'Full: nothing is reached' }] }],
  } as unknown as ActionType;
  expect(optionsTold({ isolationType: 'full', allow: ['a', 'b'], forGood: true }, type)).toEqual([
    { name: 'isolationType', title: 'Isolation', value: 'Full: nothing is reached' },
    { name: 'allow', title: 'Allow', value: 'a, b' },
    { name: 'forGood', title: 'For good', value: 'Yes' },
  ]);
});

it('a hash in a heading is its beginning; other names stay', () => {
  const sha = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08';
  expect(headed(`Stop: ${sha} on lt-1`)).toBe('Stop: 9f86d081884c… on lt-1');
  expect(headed('2bfea4f1-71b3-4eb2-b3cf-4bfe21e5195f')).toBe('2bfea4f1-71b3-4eb2-b3cf-4bfe21e5195f');
});
