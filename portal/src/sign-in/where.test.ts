import { expect, it } from 'vitest';

import { returnPath } from './where';

it('leads back into the portal and nowhere else', () => {
  const back = (path: string) => returnPath(`?return=${encodeURIComponent(path)}`);
  expect(back('/incidents/42?tab=alerts')).toBe('/incidents/42?tab=alerts');
  for (const path of [
    'https://evil.example/',
    '//evil.example/',
    '/\\evil.example/',
    '/\t/evil.example',
    '/a\\b',
    'javascript:alert(1)',
    '/sign-in?return=/',
    '',
  ]) {
    expect(back(path)).toBe('/');
  }
  expect(returnPath('')).toBe('/');
});
