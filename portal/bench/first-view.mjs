// How soon an expert sees the queue of a large store, in a real browser that knows nothing of the
// portal yet. `node bench/first-view.mjs STORE`, where STORE is a data directory as `riposte-lab
// bench` leaves it. One JSON object a line, as the rest of `make bench`.
import { execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';

import { Browser, RIPOSTE, setUpWithPasskey } from '../e2e/world.mjs';

const FLOOR_MS = 1_000;
const ROUNDS = 15;
const PORT = 8479;

const [dir] = process.argv.slice(2);
if (!dir) throw new Error('usage: node bench/first-view.mjs STORE');
const url = `http://localhost:${PORT}`;
const common = ['--data-dir', dir, '--public-url', url];
const run = promisify(execFile);

const email = `reader-${process.pid}@harbour.example`;
const words = ['user', 'add', '--provider', '--email', email, '--role', 'Expert', ...common, '--json'];
const { setupUrl } = JSON.parse((await run(RIPOSTE, words)).stdout);
const server = spawn(RIPOSTE, ['serve', '--listen', `127.0.0.1:${PORT}`, ...common], { stdio: 'ignore' });
const ready = async () => {
  try {
    return (await fetch(`http://127.0.0.1:${PORT}/readyz`)).ok;
  } catch {
    return false;
  }
};
const browser = await Browser.open();
try {
  while (!(await ready())) await new Promise((resolve) => setTimeout(resolve, 100));
  const first = await browser.person(url, { passkey: true });
  await setUpWithPasskey(first, setupUrl, 'Signe Holm');
  const { value: tenants } = await (await first.request.get('/api/v1/tenants')).json();
  const state = await first.context().storageState();

  /** Milliseconds from asking for the address to the first row that can be clicked. */
  const once = async (path) => {
    const page = await browser.person(url, { storageState: state });
    const began = performance.now();
    await page.goto(path, { waitUntil: 'commit' });
    await page.locator('tbody tr a').first().waitFor();
    const took = performance.now() - began;
    await page.context().close();
    return took;
  };
  for (const [what, path] of [
    ['the queue as it opens', '/incidents'],
    ['the queue, everything of all time', '/incidents?status=all&severity=all&period=all'],
  ]) {
    await once(path);
    const times = [];
    for (let round = 0; round < ROUNDS; round += 1) times.push(await once(path));
    times.sort((a, b) => a - b);
    const median = times[ROUNDS >> 1];
    console.log(
      JSON.stringify({
        id: 'first view',
        what,
        tenants: tenants.length,
        value: Math.round(median),
        max: Math.round(times.at(-1)),
        unit: 'ms, median, empty cache',
        floor: FLOOR_MS,
        ok: median <= FLOOR_MS,
      }),
    );
  }
} finally {
  await browser.close();
  server.kill('SIGTERM');
}
