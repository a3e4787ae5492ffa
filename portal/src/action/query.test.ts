import { expect, it } from 'vitest';

import { addressOf, askedBy, narrowed, readView } from './query';

const read = (text: string) => readView(new URLSearchParams(text));
const NOW = new Date('2026-03-08T12:00:00Z');

it('an address survives being read and written', () => {
  const text = 'tab=history&q=lt-042&kind=isolateDevice&source=Manual+device+action&period=1w&order=title&reversed=yes&columns=title%2Cstate&action=ac9';
  expect(addressOf(read(text))).toBe(text);
  expect(addressOf(read(''))).toBe('');
  expect(read('period=nonsense&order=nonsense&tab=nonsense')).toEqual(read(''));
});

it('asks for a period of the history, and for all that is pending', () => {
  expect(askedBy(read('tab=history&period=1d'), NOW)).toEqual({
    state: 'history',
    order: 'requested',
    direction: 'desc',
    from: '2026-03-07T12:00:00.000Z',
  });
  expect(askedBy(read('period=1d'), NOW)).toEqual({ state: 'pending', order: 'requested', direction: 'desc' });
  expect(askedBy(read('order=title'), NOW).direction).toBe('asc');
  expect(askedBy(read('order=title&reversed=yes'), NOW).direction).toBe('desc');
  expect(askedBy(read('reversed=yes'), NOW).direction).toBe('asc');
  expect(askedBy(read('tab=history&period=custom&from=2026-01-01T00:00:00.000Z&to=2026-02-01T00:00:00.000Z'), NOW)).toMatchObject({
    from: '2026-01-01T00:00:00.000Z',
    to: '2026-02-01T00:00:00.000Z',
  });
});

it('knows whether a list was narrowed', () => {
  expect(narrowed(read(''))).toBe(false);
  expect(narrowed(read('q=x'))).toBe(true);
});
