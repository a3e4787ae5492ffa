// Compresses what the build made, once, so that the server sends it as it lies there; and says
// what the first view weighs, which has a budget.
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const BUDGET = 350 * 1024;
const dist = new URL('../dist/', import.meta.url).pathname;
const sizes = new Map();

function* files(folder) {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) yield* files(path);
    else yield path;
  }
}

for (const path of [...files(dist)]) {
  if (!/\.(js|css|svg|json)$/.test(path)) continue;
  const plain = readFileSync(path);
  const gzip = gzipSync(plain, { level: 9 });
  const brotli = brotliCompressSync(plain, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } });
  writeFileSync(`${path}.gz`, gzip);
  writeFileSync(`${path}.br`, brotli);
  sizes.set(path.slice(dist.length), { plain: plain.length, gzip: gzip.length, brotli: brotli.length });
}

// The first view: the entry with all it imports at once, and the sign-in page's own chunk.
const manifest = JSON.parse(readFileSync(join(dist, '.vite/manifest.json'), 'utf8'));
const first = new Set();
const follow = (key) => {
  const chunk = manifest[key];
  if (!chunk || first.has(chunk.file)) return;
  first.add(chunk.file);
  for (const next of chunk.imports ?? []) follow(next);
};
rmSync(join(dist, '.vite'), { recursive: true });
follow('index.html');
for (const key of Object.keys(manifest)) {
  if (/^src\/(sign-in\/SignIn|shell\/Shell|home\/Home|incident\/Queue)\.tsx$/.test(key)) follow(key);
}
let gzip = 0;
let brotli = 0;
for (const file of first) {
  const size = sizes.get(file);
  if (!size) continue;
  gzip += size.gzip;
  brotli += size.brotli;
}
const kib = (bytes) => `${(bytes / 1024).toFixed(1)} KiB`;
console.log(`first view: ${first.size} files, ${kib(gzip)} gzip, ${kib(brotli)} brotli`);
if (gzip > BUDGET) {
  console.error(`first view is over its budget of ${kib(BUDGET)}`);
  process.exit(1);
}
