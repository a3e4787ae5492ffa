import { expect, it } from 'vitest';

import { plain } from './plain';

it('writes out what would disguise a text, and leaves languages alone', () => {
  expect(plain('photo\u202Egnp.exe')).toBe('photo[U+202E]gnp.exe');
  expect(plain('pay\u200Bpal\uFEFF')).toBe('pay[U+200B]pal[U+FEFF]');
  const honest = 'Ærø 東京 می‌خواهم שלום 👩‍🚒';
  expect(plain(honest)).toBe(honest);
});
