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

  /**
   * Milliseconds from asking for the address until the first rows are painted and can be clicked, by
   * the page's own clock: what a driver needs to notice that is not the reader's time.
   */
  const once = async (path) => {
    const page = await browser.person(url, { storageState: state });
    await page.addInitScript(() => {
      const rows = new MutationObserver(() => {
        if (window.firstRows || !document.querySelector('tbody tr a')) return;
        // The first frame behind the next one has them on it.
        window.firstRows = new Promise((resolve) => {
          requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now())));
        });
      });
      rows.observe(document, { childList: true, subtree: true });
    });
    await page.goto(path, { waitUntil: 'commit' });
    await page.waitForFunction(() => window.firstRows);
    const took = await page.evaluate(() => window.firstRows);
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
