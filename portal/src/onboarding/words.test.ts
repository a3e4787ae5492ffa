import { expect, it } from 'vitest';

import { STEPS, mayOpen, placeOf, targetOf } from './words';

it('the setup goes on at the first open step, at the end with the review', () => {
  expect(placeOf({ nextStep: 'contacts' })).toBe('contacts');
  expect(placeOf({ nextStep: null })).toBe('review');
});

it('only what is done and the next step can be opened', () => {
  const open = (nextStep: 'contacts' | null) => STEPS.map((one) => one.id).filter((id) => mayOpen(id, { nextStep }));
  expect(open('contacts')).toEqual(['getStarted', 'permissions', 'exclusions', 'contacts']);
  expect(open(null)).toEqual(STEPS.map((one) => one.id));
});

it('a target is a whole number, or nothing for what is known', () => {
  expect(targetOf(' 25 ')).toBe(25);
  expect(targetOf('0')).toBe(0);
  expect(targetOf('')).toBeNull();
  for (const bad of ['-1', '2.5', '1e3', 'many', '10000001', '999999999']) expect(targetOf(bad)).toBeUndefined();
});
