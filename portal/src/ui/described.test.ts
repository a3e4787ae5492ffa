import { expect, it } from 'vitest';

import { bodyOf, fault, ready, valuesOf, type Described } from './described';

const field = (name: string, kind: Described['kind'], required = false, choices?: Described['choices']): Described => ({
  name,
  title: name,
  kind,
  required,
  explains: '',
  ...(choices && { choices }),
});
const FIELDS = [
  field('isolationType', 'choice', true, [
    { value: 'full', title: 'Full' },
    { value: 'selective', title: 'Selective' },
  ]),
  field('allow', 'list'),
  field('hours', 'number'),
  field('note', 'text'),
  field('deep', 'boolean'),
];

it('begins with the first of the choices, and with nothing else', () => {
  expect(valuesOf(FIELDS)).toEqual({ isolationType: 'full', allow: '', hours: '', note: '', deep: false });
});

it('sends what was filled in, as its kind wants it', () => {
  const values = { isolationType: 'selective', allow: ' 192.0.2.7 \n\n2001:db8::/32', hours: '72', note: '  ', deep: true };
  expect(bodyOf(FIELDS, values)).toEqual({
    isolationType: 'selective',
    allow: ['192.0.2.7', '2001:db8::/32'],
    hours: 72,
    deep: true,
  });
  expect(bodyOf(FIELDS, valuesOf(FIELDS))).toEqual({ isolationType: 'full' });
});

it('reads back what it sent', () => {
  const sent = { isolationType: 'selective', allow: ['192.0.2.7', '192.0.2.8'], hours: 4, deep: true };
  expect(bodyOf(FIELDS, valuesOf(FIELDS, sent))).toEqual(sent);
});

it('is not ready without what is needed, or with a number that is none', () => {
  expect(ready(FIELDS, valuesOf(FIELDS))).toBe(true);
  expect(ready(FIELDS, { ...valuesOf(FIELDS), isolationType: '' })).toBe(false);
  expect(fault(field('hours', 'number'), { hours: 'many' })).toBe('This is not a number.');
  expect(fault({ ...field('hours', 'number'), range: [1, 72] }, { hours: '73' })).toBe('From 1 to 72.');
  expect(fault({ ...field('hours', 'number'), range: [1, 72] }, { hours: '72' })).toBeNull();
  expect(fault(field('path', 'text', true), { path: ' ' })).toBe('This is needed.');
});
