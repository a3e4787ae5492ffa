import { expect, it } from 'vitest';

import { tables } from './found';

it('a list of processes is a table, whatever members its rows have', () => {
  const { facts, lists } = tables({ processes: [{ pid: 1, name: 'init' }, { pid: 7, parent: 1, sockets: ['a', 'b'] }], taken: 'now' });
  expect(facts).toEqual([['taken', 'now']]);
  expect(lists).toEqual([
    {
      title: 'processes',
      columns: ['pid', 'name', 'parent', 'sockets'],
      rows: [
        { pid: '1', name: 'init', parent: '', sockets: '' },
        { pid: '7', name: '', parent: '1', sockets: 'a, b' },
      ],
    },
  ]);
});

it('bytes are told as people read them', () => {
  expect(tables({ processes: [{ pid: 4096, memory: 12_582_912 }] }).lists[0]?.rows).toEqual([{ pid: '4096', memory: '12 MiB' }]);
  expect(tables({ file: { size: 2_048 } }).facts).toEqual([['file size', '2 KiB']]);
});

it('takes anything', () => {
  expect(tables(null)).toEqual({ facts: [], lists: [] });
  expect(tables('done')).toEqual({ facts: [['Found', 'done']], lists: [] });
  expect(tables([{ deep: { a: 1 } }]).lists[0]?.rows).toEqual([{ deep: '{"a":1}' }]);
  expect(tables({ file: { path: '/tmp/x', mode: 420 } }).facts).toEqual([
    ['file path', '/tmp/x'],
    ['file mode', '420'],
  ]);
});
