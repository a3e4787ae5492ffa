import { expect, test } from 'vitest';

import { blocks, inline } from './markdown';

const text = (text: string) => ({ kind: 'text', text });

test('marks become what they mean', () => {
  expect(inline('a **b *c* d** `d*e*` f')).toEqual([
    text('a '),
    { kind: 'strong', inside: [text('b '), { kind: 'emphasis', inside: [text('c')] }, text(' d')] },
    text(' '),
    { kind: 'code', text: 'd*e*' },
    text(' f'),
  ]);
  expect(inline('**bold** and *soft*')).toEqual([
    { kind: 'strong', inside: [text('bold')] },
    text(' and '),
    { kind: 'emphasis', inside: [text('soft')] },
  ]);
  expect(inline('2 * 3 * 4')).toEqual([text('2 * 3 * 4')]);
});

test('only addresses of the web are links', () => {
  expect(inline('[x](javascript:alert(1)) [y](data:text/html,z) [z](//evil.example)').every((one) => one.kind === 'text')).toBe(true);
  expect(inline('see https://alder.example/a?b=1, please')).toEqual([
    text('see '),
    { kind: 'link', href: 'https://alder.example/a?b=1', inside: [text('https://alder.example/a?b=1')] },
    text(','),
    text(' please'),
  ]);
  expect(inline('![shot](https://alder.example/s.png)')).toEqual([
    { kind: 'link', href: 'https://alder.example/s.png', inside: [text('shot')] },
  ]);
});

test('blocks end where an empty line or another kind begins', () => {
  expect(blocks('# Head\none\ntwo\n\nthree\n- a\n- b\n1. c\n> q\n```\n<b>\n```\nlast').map((one) => one.kind)).toEqual([
    'heading',
    'paragraph',
    'paragraph',
    'list',
    'list',
    'quote',
    'code',
    'paragraph',
  ]);
  expect(blocks('one\ntwo')).toEqual([{ kind: 'paragraph', lines: [[text('one')], [text('two')]] }]);
});

test('raw HTML stays text', () => {
  expect(inline('<img src=x onerror=alert(1)>')).toEqual([text('<img src=x onerror=alert(1)>')]);
});

test('the longest comment of the worst kind comes to an end', () => {
  for (const piece of ['[', '**', '*a ', '`', 'http://', '[x](', '> ', '- ', '![']) {
    expect(blocks(piece.repeat(30_000 / piece.length)).length).toBeGreaterThan(0);
  }
});

test('a table has its heads over a rule of dashes, and each row as many cells', () => {
  expect(blocks('| What | Verdict |\n|---|:-:|\n| `a\\|b` | **bad** |\n| one |\n\nafter')).toEqual([
    {
      kind: 'table',
      head: [[text('What')], [text('Verdict')]],
      rows: [
        [[{ kind: 'code', text: 'a|b' }], [{ kind: 'strong', inside: [text('bad')] }]],
        [[text('one')], []],
      ],
    },
    { kind: 'paragraph', lines: [[text('after')]] },
  ]);
  expect(blocks('| no rule |\n| below |').map((block) => block.kind)).toEqual(['paragraph']);
});
