import { readFileSync } from 'node:fs';

import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

// Where `npm run dev` finds a server. A session comes from that server's own sign-in.
const server = process.env.RIPOSTE_URL ?? 'http://127.0.0.1:8470';
// Development only: `RIPOSTE_DEV` names a module that changes what the proxy sends.
const adjust = process.env.RIPOSTE_DEV
  ? (await import(/* @vite-ignore */ process.env.RIPOSTE_DEV)).default
  : undefined;

export default defineConfig({
  plugins: [react(), ...(adjust ? [adjust.plugin] : [])],
  // The server puts a fresh value in the place of this word in every page it sends.
  html: { cspNonce: '__NONCE__' },
  define: {
    __VERSION__: JSON.stringify(JSON.parse(readFileSync('package.json', 'utf8')).version),
  },
  build: {
    target: 'es2022',
    manifest: true,
    // A data: address for a small file would need a wider policy.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 1000,
    reportCompressedSize: false,
  },
  server: {
    port: 8471,
    proxy: Object.fromEntries(
      ['/api', '/openapi.json', '/sign-in/oidc'].map((path) => [
        path,
        { target: server, changeOrigin: false, ...adjust?.proxy },
      ]),
    ),
  },
  test: { environment: 'node', include: ['src/**/*.test.ts', 'tests/*.test.ts'] },
});
