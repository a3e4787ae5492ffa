// Every page of the portal as each who uses it sees it: looked at by axe in light, in dark and on a
// phone, with a picture of each for people to look at. Complete by construction: the addresses come
// from the route table, and one that nobody visits fails.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { Browser, Server, enterDemo, settled } from './world.mjs';

const PICTURES = process.env.RIPOSTE_SCREENSHOTS ?? join(tmpdir(), 'riposte-screenshots');
const AXE = readFileSync(new URL('../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
const WIDE = { width: 1360, height: 900 };
const NARROW = { width: 380, height: 780 };

/** The addresses of `routes.tsx`. */
function routes() {
  const table = readFileSync(new URL('../src/routes.tsx', import.meta.url), 'utf8');
  const all = table.match(/<Route\s[^>]*/g).filter((route) => !route.includes('<Shell'));
  return all.map((route) => (/\sindex\s/.test(route) ? '/' : route.match(/\spath="([^"]*)"/)[1]));
}

let server;
let browser;
const visited = new Set();
const faults = [];

before(async () => {
  mkdirSync(PICTURES, { recursive: true });
  server = await Server.start({ demo: true });
  await server.serve();
  browser = await Browser.open();
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

/** One address in its three looks. `act` brings the page into the state that is to be seen. */
async function look(page, route, name, path, act) {
  visited.add(route);
  await page.setViewportSize(WIDE);
  await page.emulateMedia({ colorScheme: 'light' });
  await page.goto(path);
  await settled(page);
  if (act) {
    await act(page);
    await settled(page);
  }
  for (const [as, size, colorScheme] of [
    ['light', WIDE, 'light'],
    ['dark', WIDE, 'dark'],
    ['narrow', NARROW, 'light'],
  ]) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize(size);
    await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
    // Drawers and messages that are on their way would be judged half transparent.
    await page.evaluate(() => Promise.all(document.getAnimations().filter((one) => one.effect?.getTiming().iterations !== Infinity).map((one) => one.finished.catch(() => null))));
    await page.screenshot({ path: join(PICTURES, `${name}.${as}.png`), fullPage: true });
    const found = await page.evaluate(async (axe) => {
      if (!window.axe) (0, eval)(axe);
      // The keyboard helpers of Fluent's focus traps are hidden from readers and pass the focus on.
      const { violations } = await window.axe.run({ exclude: ['[data-tabster-dummy]'] }, {
        runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
        resultTypes: ['violations'],
      });
      return violations
        .filter((one) => one.impact === 'serious' || one.impact === 'critical')
        .map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) => node.target.join(' ')).join(' | ')}`);
    }, AXE);
    for (const one of found) faults.push(`${name} (${as}): ${one}`);
    if (as !== 'narrow') continue;
    const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (over > 0) faults.push(`${name} (${as}): the page scrolls ${over} px sideways`);
  }
}

test('every page, as who uses it', { timeout: 300_000 }, async (t) => {
  const people = {};
  for (const name of ['signe', 'mikkel', 'runa', 'odd', 'ida', 'tomas', 'aino']) {
    people[name] = await browser.person(server.url, { bypassCSP: true });
    await enterDemo(people[name], name);
  }
  const { signe, mikkel, runa, odd, ida, tomas, aino } = people;
  const json = async (page, path) => (await page.request.get(path)).json();
  const send = async (page, method, path, data) => {
    const answer = await page.request.fetch(path, { method, data, headers: { 'X-Riposte': '1' } });
    assert.ok(answer.ok(), `${method} ${path}: ${answer.status()} ${await answer.text()}`);
    return answer.status() === 204 ? null : answer.json();
  };

  // What the demo has not yet: access that was asked for, granted and denied, names of every length.
  const { value: tenants } = await json(signe, '/api/v1/tenants');
  const [alder, norrland] = ['Alder Freight', 'Norrland Dental'].map((name) => tenants.find((one) => one.name === name));
  const { value: incidents } = await json(ida, '/api/v1/incidents?top=60');
  const busy = incidents.filter((one) => one.stage === 'inProgress').sort((a, b) => b.alertCount - a.alertCount)[0];
  const queued = incidents.find((one) => one.stage === 'queued');
  const ask = (tenant, reason, incidentId) =>
    send(signe, 'POST', '/api/v1/access', { tenantId: tenant.id, ...(incidentId && { incidentId }), level: 'reader', reason, hours: 4 });
  const granted = await ask(alder, 'Two alerts on one server within an hour; need the process tree and the sign-ins.', busy.id);
  await send(mikkel, 'POST', `/api/v1/access/${granted.id}/approve`, {});
  const other = await ask(norrland, 'A look around.');
  await send(mikkel, 'POST', `/api/v1/access/${other.id}/deny`, { because: 'Name the incident.' });
  await ask(norrland, 'An attachment with a macro was opened by somebody at the front desk.');
  await send(signe, 'POST', `/api/v1/incidents/${busy.id}/comments`, { comment: 'The first alert is the customer’s own deployment tool.\nThe second one is not.' });
  await send(tomas, 'PATCH', `/api/v1/incidents/${queued.id}`, {
    displayName: 'Ransomware note and shadow copies removed on the accounting server of the Aarhus office, reported by two sensors and by a colleague on the phone',
    customTags: ['aarhus', 'finance department', 'needs-a-call-before-nine'],
  });
  await send(ida, 'POST', '/api/v1/filters', { name: 'High and unassigned', query: 'severity=high&assigned=-&period=all' });
  await send(ida, 'POST', '/api/v1/apps', { name: 'Ticket system of the service desk', permissions: ['SecurityIncident.Read.All', 'SecurityAlert.Read.All'] });
  const { value: alerts } = await json(ida, `/api/v1/incidents/${busy.id}/alerts`);
  const incident = `/incidents/${busy.id}`;

  await t.test('strangers', async () => {
    const stranger = await browser.person(server.url, { bypassCSP: true });
    await look(stranger, 'sign-in', 'sign-in', '/sign-in');
    await look(stranger, 'sign-in', 'sign-in-failed', '/sign-in?failed=oidc');
    await look(stranger, 'sign-in', 'sign-in-code', '/sign-in?next=totp&return=/#none');
    await look(stranger, 'sign-in', 'sign-in-enrol-late', '/sign-in?next=enrol&return=/#none');
    await look(stranger, 'sign-in', 'sign-in-passkey', '/sign-in?next=passkey&return=/');
    await look(stranger, 'setup', 'setup-expired', '/setup#expired');
    await look(stranger, 'setup/:token', 'setup-expired-in-path', '/setup/expired');
    const made = await send(ida, 'POST', '/api/v1/people', { email: 'vera.lund@alderfreight.example', role: 'Security Reader' });
    const link = new URL(made.setupUrl);
    await look(stranger, 'setup', 'setup', `/setup${link.hash}`);
    await stranger.context().close();
  });

  await t.test('home', async () => {
    for (const name of ['ida', 'tomas', 'signe', 'mikkel', 'runa', 'odd']) await look(people[name], '/', `home-${name}`, '/');
  });

  await t.test('the queue', async () => {
    await look(ida, 'incidents', 'queue-customer', '/incidents');
    await look(signe, 'incidents', 'queue-expert', '/incidents?period=all&sort=-priorityScore');
    await look(signe, 'incidents', 'queue-pane', `/incidents?period=all&status=all&severity=all&open=${busy.id}`);
    await look(tomas, 'incidents', 'queue-empty', '/incidents?q=nothingiscalledlikethis');
    await look(tomas, 'incidents', 'queue-selected', '/incidents', async (page) => {
      await page.getByRole('checkbox', { name: 'Select all rows shown' }).check();
    });
    await look(odd, 'incidents', 'queue-refused', '/incidents');
  });

  await t.test('an incident', async () => {
    for (const tab of ['story', 'alerts', 'assets', 'evidence', 'summary', 'similar', 'activities']) {
      await look(signe, 'incidents/:id', `incident-${tab}`, tab === 'story' ? incident : `${incident}?tab=${tab}`);
    }
    await look(ida, 'incidents/:id', 'incident-customer', incident);
    await look(signe, 'incidents/:id', 'incident-alert-pane', `${incident}?alert=${alerts[0].id}`);
    await look(tomas, 'incidents/:id', 'incident-manage', `/incidents/${queued.id}`, async (page) => {
      await page.getByRole('button', { name: 'Manage incident' }).click();
      await page.getByRole('dialog').waitFor();
    });
    await look(mikkel, 'incidents/:id', 'incident-outside', incident);
    await look(aino, 'incidents/:id', 'incident-unknown', incident);
  });

  await t.test('an alert', async () => {
    await look(tomas, 'alerts/:id', 'alert', `/alerts/${alerts[0].id}`);
    await look(aino, 'alerts/:id', 'alert-unknown', `/alerts/${alerts[0].id}`);
  });

  await t.test('customers and access', async () => {
    for (const name of ['signe', 'runa', 'odd']) await look(people[name], 'customers', `customers-${name}`, '/customers');
    await look(mikkel, 'access', 'access-lead', '/access');
    await look(signe, 'access', 'access-expert', '/access');
    await look(ida, 'access', 'access-customer', '/access');
    await look(odd, 'access', 'access-refused', '/access');
  });

  await t.test('settings', async () => {
    await look(ida, 'settings', 'settings', '/settings');
    await look(ida, 'settings/permissions', 'permissions', '/settings/permissions');
    await look(tomas, 'settings/permissions', 'permissions-reader', '/settings/permissions');
    await look(ida, 'settings/people', 'people-customer', '/settings/people');
    await look(odd, 'settings/people', 'people-provider', '/settings/people');
    await look(signe, 'settings/people', 'people-expert', '/settings/people');
    await look(ida, 'settings/people', 'people-invite', '/settings/people', async (page) => {
      await page.getByRole('button', { name: 'Invite' }).first().click();
      await page.getByRole('dialog').waitFor();
    });
    await look(ida, 'settings/apps', 'apps', '/settings/apps');
    await look(aino, 'settings/apps', 'apps-none', '/settings/apps');
    await look(ida, 'settings/sign-in', 'sign-in-settings', '/settings/sign-in');
    await look(ida, 'settings/sign-in', 'sign-in-settings-add', '/settings/sign-in', async (page) => {
      await page.getByRole('button', { name: 'Add an identity provider' }).click();
      await page.getByRole('button', { name: 'Add a group' }).click();
    });
    await look(tomas, 'settings/sign-in', 'sign-in-settings-refused', '/settings/sign-in');
    await look(ida, 'settings/audit', 'audit-customer', '/settings/audit');
    await look(odd, 'settings/audit', 'audit-provider', '/settings/audit');
    await look(signe, 'account', 'account', '/account');
    await look(tomas, '*', 'not-found', '/nothing/here');
    await look(tomas, '*', 'keyboard', '/nothing/here', async (page) => {
      await page.keyboard.press('?');
      await page.getByRole('dialog').waitFor();
    });
  });

  assert.deepEqual(routes().filter((route) => !visited.has(route)), [], 'every route is visited');
  assert.deepEqual(faults, []);
  assert.deepEqual(browser.complaints, [], 'nothing complained in a console');
});
