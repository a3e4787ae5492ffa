import { expect, it } from 'vitest';

import { providerPath, returnPath } from './where';

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

it('goes to an identity provider with the way back', () => {
  expect(providerPath('a/b', '/incidents?q=1&tab=x')).toBe('/sign-in/oidc/a%2Fb?return=%2Fincidents%3Fq%3D1%26tab%3Dx');
  expect(providerPath('1', '/', true)).toBe('/sign-in/oidc/1?return=%2F&fresh=true');
});
