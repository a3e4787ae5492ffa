// Every page of the portal as each who uses it sees it: looked at by axe in light, in dark and on a
// phone, with a picture of each for people to look at. Complete by construction: the addresses come
// from the route table, and one that nobody visits fails.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { Browser, IdentityProvider, Server, enterDemo, settled } from './world.mjs';

const PICTURES = process.env.RIPOSTE_SCREENSHOTS ?? join(tmpdir(), 'riposte-screenshots');
const AXE = readFileSync(new URL('../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
const WIDE = { width: 1360, height: 900 };
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
const NARROW = { width: 380, height: 780 };

/** The addresses of `routes.tsx`. */
function routes() {
  const table = readFileSync(new URL('../src/routes.tsx', import.meta.url), 'utf8');
  const all = table.match(/<Route\s[^>]*/g).filter((route) => !route.includes('<Shell'));
  return all.map((route) => (/\sindex\s/.test(route) ? '/' : route.match(/\spath="([^"]*)"/)[1]));
}

let server;
let browser;
let provider;
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
  provider?.stop();
  await server?.stop();
});

/**
 * One address in its three looks. `act` brings the page into the state that is to be seen; what it
 * gives has opened a dialog and has the focus again when that is closed.
 */
async function look(page, route, name, path, act) {
  visited.add(route);
  await page.setViewportSize(WIDE);
  await page.emulateMedia({ colorScheme: 'light' });
  await page.goto(path);
  await settled(page);
  // What is refused is a notice; an alert says that something went wrong.
  const alarm = page.getByRole('alert');
  if ((await alarm.count()) > 0 && !name.endsWith('-late')) faults.push(`${name}: ${await alarm.first().innerText()}`);
  const opener = act && (await act(page));
  if (act) await settled(page);
  // What differs is looked at: in dark the colours, on a phone all but them.
  const contrast = ['color-contrast', 'link-in-text-block'];
  for (const [as, size, colorScheme, rules] of [
    ['light', WIDE, 'light', { runOnly: RULES }],
    ['dark', WIDE, 'dark', { runOnly: contrast }],
    ['narrow', NARROW, 'light', { runOnly: RULES, rules: Object.fromEntries(contrast.map((rule) => [rule, { enabled: false }])) }],
  ]) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize(size);
    await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
    // Drawers and messages that are on their way would be judged half transparent.
    await page.evaluate(() => Promise.all(document.getAnimations().filter((one) => one.effect?.getTiming().iterations !== Infinity).map((one) => one.finished.catch(() => null))));
    // What lies over the page does not grow with it.
    const fullPage = (await page.locator('[role="dialog"]').count()) === 0;
    await page.screenshot({ path: join(PICTURES, `${name}.${as}.png`), fullPage });
    const found = await page.evaluate(async ([axe, rules]) => {
      if (!window.axe) (0, eval)(axe);
      // The keyboard helpers of Fluent's focus traps are hidden from readers and pass the focus on.
      const { violations } = await window.axe.run({ exclude: ['[data-tabster-dummy]'] }, {
        ...rules,
        resultTypes: ['violations'],
      });
      return violations
        .filter((one) => one.impact === 'serious' || one.impact === 'critical')
        .map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) => node.target.join(' ')).join(' | ')}`);
    }, [AXE, rules]);
    for (const one of found) faults.push(`${name} (${as}): ${one}`);
    if (as !== 'narrow') continue;
    const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (over > 0) faults.push(`${name} (${as}): the page scrolls ${over} px sideways`);
  }
  if (!opener) return;
  await page.setViewportSize(WIDE);
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  const focused = opener.and(page.locator(':focus'));
  await focused.waitFor({ timeout: 2_000 }).catch(() => faults.push(`${name}: after Escape the focus is not where it came from`));
}

test('every page, as who uses it', { timeout: 300_000, concurrency: true }, async (t) => {
  const people = {};
  for (const name of ['signe', 'mikkel', 'runa', 'odd', 'ida', 'tomas', 'noor', 'aino']) {
    people[name] = await browser.person(server.url, { bypassCSP: true });
    await enterDemo(people[name], name);
  }
  const { signe, ida, tomas } = people;
  const json = async (page, path) => (await page.request.get(path)).json();
  const send = async (page, method, path, data) => {
    const answer = await page.request.fetch(path, { method, data, headers: { 'X-Riposte': '1' } });
    assert.ok(answer.ok(), `${method} ${path}: ${answer.status()} ${await answer.text()}`);
    return answer.status() === 204 ? null : answer.json();
  };

  // What the demo has not: names of every length, an identity provider, saved filters.
  const { value: incidents } = await json(ida, '/api/v1/incidents?top=60');
  const busy = incidents.filter((one) => one.stage === 'inProgress').sort((a, b) => b.alertCount - a.alertCount)[0];
  const queued = incidents.find((one) => one.stage === 'queued');
  await send(signe, 'POST', `/api/v1/incidents/${busy.id}/comments`, { comment: 'The first alert is the customer’s own deployment tool.\nThe second one is not.' });
  await send(tomas, 'PATCH', `/api/v1/incidents/${queued.id}`, {
    displayName: 'Ransomware note and shadow copies removed on the accounting server of the Aarhus office, reported by two sensors and by a colleague on the phone',
    customTags: ['aarhus', 'finance department', 'needs-a-call-before-nine'],
  });
  await send(ida, 'POST', '/api/v1/filters', { name: 'High and unassigned', query: 'severity=high&assigned=-&period=all' });
  await send(ida, 'POST', '/api/v1/apps', { name: 'Ticket system of the service desk', permissions: ['SecurityIncident.Read.All', 'SecurityAlert.Read.All'] });
  provider = await IdentityProvider.start(server, {});
  await send(ida, 'POST', '/api/v1/identity-providers', {
    name: 'Alder login', issuer: provider.issuer, clientId: provider.client.id, clientSecret: provider.client.secret,
    domains: ['alderfreight.example'], factor: 'provider',
    roles: { soc: 'Security Operator', 'Information security, Aarhus and Bergen': 'Security Administrator' },
  });
  const { value: alerts } = await json(ida, `/api/v1/incidents/${busy.id}/alerts`);
  const incident = `/incidents/${busy.id}`;

  const made = await send(ida, 'POST', '/api/v1/people', { email: 'vera.lund@alderfreight.example', role: 'Security Reader' });
  people.stranger = await browser.person(server.url, { bypassCSP: true });
  const dialog = (name) => async (page) => {
    const button = page.getByRole('button', { name }).first();
    await button.click();
    await page.getByRole('dialog').waitFor();
    return button;
  };
  const plan = {
    // An expert who is inside one customer.
    signe: [
      ['/', 'home-expert', '/'],
      ['incidents', 'queue-expert', '/incidents?period=all&sort=-priorityScore'],
      ['incidents', 'queue-pane', `/incidents?period=all&status=all&severity=all&open=${busy.id}`],
      ...['story', 'alerts', 'assets', 'evidence', 'summary', 'similar', 'activities'].map((tab) => [
        'incidents/:id', `incident-${tab}`, tab === 'story' ? incident : `${incident}?tab=${tab}`,
      ]),
      ['incidents/:id', 'incident-alert-pane', `${incident}?alert=${alerts[0].id}`],
      ['incidents/:id/report', 'report', `${incident}/report`],
      ['customers', 'customers-expert', '/customers'],
      ['access', 'access-expert', '/access'],
      ['settings/people', 'people-expert', '/settings/people'],
      ['settings/audit', 'audit-refused', '/settings/audit'],
      ['account', 'account', '/account'],
    ],
    // The customer's administrator.
    ida: [
      ['/', 'home-customer', '/'],
      ['incidents', 'queue-customer', '/incidents'],
      ['incidents/:id', 'incident-customer', incident],
      ['access', 'access-customer', '/access'],
      ['settings', 'settings', '/settings'],
      ['settings/permissions', 'permissions', '/settings/permissions'],
      ['settings/people', 'people-customer', '/settings/people'],
      ['settings/people', 'people-invite', '/settings/people', dialog('Invite')],
      ['settings/apps', 'apps', '/settings/apps'],
      ['settings/sign-in', 'sign-in-settings', '/settings/sign-in'],
      ['settings/sign-in', 'sign-in-settings-remove', '/settings/sign-in', dialog('Remove Alder login')],
      ['settings/sign-in', 'sign-in-settings-add', '/settings/sign-in', async (page) => {
        const opener = await dialog('Add an identity provider')(page);
        await page.getByRole('button', { name: 'Add a group' }).click();
        return opener;
      }],
      ['settings/audit', 'audit-customer', '/settings/audit'],
    ],
    // Not signed in.
    stranger: [
      ['sign-in', 'sign-in', '/sign-in'],
      ['sign-in', 'sign-in-provider', '/sign-in', async (page) => {
        await page.getByLabel('Work e-mail').fill('vera.lund@alderfreight.example');
        await page.getByRole('button', { name: 'Continue' }).click();
        await page.getByText('Continue with Alder login').waitFor();
      }],
      ['sign-in', 'sign-in-failed', '/sign-in?failed=oidc'],
      ['sign-in', 'sign-in-code', '/sign-in?next=totp&return=/#none'],
      ['sign-in', 'sign-in-enrol-late', '/sign-in?next=enrol&return=/#none'],
      ['sign-in', 'sign-in-passkey', '/sign-in?next=passkey&return=/'],
      ['setup', 'setup', `/setup${new URL(made.setupUrl).hash}`],
      ['setup', 'setup-expired', '/setup#expired'],
      ['setup/:token', 'setup-expired-in-path', '/setup/expired'],
    ],
    // A lead, who is not inside.
    mikkel: [
      ['/', 'home-lead', '/'],
      ['incidents/:id', 'incident-outside', incident],
      ['incidents/:id/report', 'report-outside', `${incident}/report`],
      ['incidents/:id', 'incident-request-access', incident, dialog('Request access')],
      ['access', 'access-lead', '/access'],
    ],
    // A service delivery manager.
    runa: [
      ['/', 'home-manager', '/'],
      ['customers', 'customers-manager', '/customers'],
    ],
    // The provider's administrator, who sees no case.
    odd: [
      ['/', 'home-provider-administrator', '/'],
      ['incidents', 'queue-refused', '/incidents'],
      ['customers', 'customers-administrator', '/customers'],
      ['access', 'access-refused', '/access'],
      ['settings/people', 'people-provider', '/settings/people'],
      ['settings/audit', 'audit-provider', '/settings/audit'],
    ],
    // One of the customer's people.
    tomas: [
      ['incidents', 'queue-empty', '/incidents?q=nothingiscalledlikethis'],
      ['incidents', 'queue-filtered', '/incidents?period=1w&classification=unknown&determination=unknown&category=Execution&product=x&source=x&detection=x&rule=x&tag=x&assigned=-'],
      ['incidents', 'queue-filter', '/incidents', dialog(/^Status/)],
      ['incidents', 'queue-selected', '/incidents', (page) => page.getByRole('checkbox', { name: 'Select all rows shown' }).check()],
      ['incidents/:id', 'incident-manage', `/incidents/${queued.id}`, dialog('Manage incident')],
      ['alerts/:id', 'alert', `/alerts/${alerts[0].id}`],
      ['settings/permissions', 'permissions-reader', '/settings/permissions'],
      ['settings/sign-in', 'sign-in-settings-refused', '/settings/sign-in'],
      ['*', 'not-found', '/nothing/here'],
      ['*', 'keyboard', '/nothing/here', async (page) => {
        await page.keyboard.press('?');
        await page.getByRole('dialog').waitFor();
      }],
    ],
    // Who only reads.
    noor: [
      ['/', 'home-reader', '/'],
      ['incidents/:id', 'incident-reader', `/incidents/${queued.id}`],
    ],
    // Another customer's administrator.
    aino: [
      ['incidents/:id', 'incident-unknown', incident],
      ['alerts/:id', 'alert-unknown', `/alerts/${alerts[0].id}`],
      ['settings/apps', 'apps-none', '/settings/apps'],
      ['settings/sign-in', 'sign-in-settings-none', '/settings/sign-in'],
    ],
  };
  const waiting = Object.entries(plan);
  const worker = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const [who, pages] = next;
      await t.test(who, async () => {
        for (const visit of pages) await look(people[who], ...visit);
      });
    }
  };
  // While one waits for its page another is looked at.
  await Promise.all([worker(), worker(), worker()]);

  assert.deepEqual(routes().filter((route) => !visited.has(route)), [], 'every route is visited');
  assert.deepEqual(faults, []);
  assert.deepEqual(browser.complaints, [], 'nothing complained in a console');
});
