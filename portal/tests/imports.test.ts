import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

import { expect, it } from 'vitest';

const src = resolve(import.meta.dirname, '../src');
/** What every feature may use. */
const SHARED = ['api', 'ui'];

function* sources(folder: string): Generator<string> {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) yield* sources(path);
    else if (/\.tsx?$/.test(name)) yield path;
  }
}

/** The folder below src that a path is in; none for files of src itself. */
const part = (path: string): string => relative(src, path).split('/').slice(0, -1)[0] ?? '';

function imports(): { from: string; to: string; what: string }[] {
  return [...sources(src)].flatMap((path) =>
    [...readFileSync(path, 'utf8').matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)].map((found) => ({
      from: part(path),
      to: part(resolve(dirname(path), found[1] ?? '')),
      what: `${relative(src, path)} imports ${found[1]}`,
    })),
  );
}

it('a feature uses the shared parts and itself, no other feature', () => {
  const wrong = imports().filter(
    // Files of src itself put the features together.
    ({ from, to }) => from !== '' && from !== to && to !== '' && !SHARED.includes(to),
  );
  expect(wrong.map(({ what }) => what)).toEqual([]);
});

it('the shared parts know no feature, and the API knows no parts to show', () => {
  const wrong = imports().filter(({ from, to }) => (SHARED.includes(from) && to === '') || (from === 'api' && to === 'ui'));
  expect(wrong.map(({ what }) => what)).toEqual([]);
});

it('only the API speaks to the server', () => {
  const wrong = [...sources(src)].filter((path) => part(path) !== 'api' && /\bfetch\(|XMLHttpRequest|EventSource\(/.test(readFileSync(path, 'utf8')));
  expect(wrong.map((path) => relative(src, path))).toEqual([]);
});

it('nothing is written into the page as markup', () => {
  const wrong = [...sources(src)].filter((path) => /dangerouslySetInnerHTML|innerHTML|insertAdjacentHTML|document\.write/.test(readFileSync(path, 'utf8')));
  expect(wrong.map((path) => relative(src, path))).toEqual([]);
});
