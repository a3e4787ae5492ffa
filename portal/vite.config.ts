import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

// Where `npm run dev` finds a server. A session comes from that server's own sign-in.
const server = process.env.RIPOSTE_URL ?? 'http://127.0.0.1:8470';

export default defineConfig({
  plugins: [react()],
  // The server puts a fresh value in the place of this word in every page it sends.
  html: { cspNonce: '__NONCE__' },
  build: {
    target: 'es2022',
    manifest: true,
    // A data: address for a small file would need a wider policy.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 1000,
    reportCompressedSize: false,
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            // What nearly every page needs comes in one file, not in forty.
            { name: 'base', test: /node_modules\/(react|react-dom|scheduler|react-router|@tanstack|openapi-fetch|@griffel|tabster|keyborg)\// },
            { name: 'fluent', test: /node_modules\/@fluentui\//, minShareCount: 3 },
            // Small pieces that most pages share.
            { name: 'parts', test: /src\/(ui|api|incident)\//, minShareCount: 3 },
          ],
        },
      },
    },
  },
  server: {
    port: 8471,
    proxy: Object.fromEntries(
      ['/api', '/openapi.json', '/sign-in/oidc'].map((path) => [
        path,
        { target: server, changeOrigin: false },
      ]),
    ),
  },
  test: { environment: 'node', include: ['src/**/*.test.ts', 'tests/*.test.ts'] },
});
