import { expect, it } from 'vitest';

import { parse } from './event-text';

it('reads an event, and nothing from a heartbeat', () => {
  expect(parse('id: 7.3\nevent: incident.opened\ndata: {"a":1}')).toEqual({ id: '7.3', data: '{"a":1}' });
  expect(parse('data: a\ndata: b')).toEqual({ id: null, data: 'a\nb' });
  expect(parse(': heartbeat')).toEqual({ id: null, data: '' });
});
