// Every page of the portal as each who uses it sees it: looked at by axe in light, in dark and on a
// phone, with a picture of each for people to look at. Complete by construction: the addresses come
// from the route table, and one that nobody visits fails. With RIPOSTE_PAGES, a regular expression,
// only the pages of such names, for who works on them.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { missing } from './devices.mjs';
import { Browser, Directory, IdentityProvider, Server, enterDemo, send, settled } from './world.mjs';

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
let directory;
const ONLY = process.env.RIPOSTE_PAGES ? new RegExp(process.env.RIPOSTE_PAGES) : null;
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
  directory?.stop();
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

/** The demo's real devices once their agents have enrolled; none where there can be none. */
async function real(page, name) {
  if (missing()) return null;
  for (let tries = 0; tries < 300; tries += 1) {
    const { value } = await (await page.request.get('/api/v1/devices')).json();
    if (value[0]?.name === name && value[0].agent?.online && value[0].agent.can.length > 0) return value[0];
    await page.waitForTimeout(100);
  }
  throw new Error(`${name} is not online:\n${server.said}`);
}

test('every page, as who uses it', { timeout: 600_000, concurrency: true }, async (t) => {
  const people = {};
  for (const name of ['signe', 'mikkel', 'runa', 'odd', 'ida', 'tomas', 'noor', 'aino']) {
    people[name] = await browser.person(server.url, { bypassCSP: true });
    await enterDemo(people[name], name);
  }
  const { signe, ida, tomas } = people;
  const json = async (page, path) => (await page.request.get(path)).json();

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

  // A product that answers, with an action on one of its users.
  const user = 'jonas.krogh@alderfreight.example';
  directory = await Directory.start([user]);
  const { id: connector } = await send(ida, 'POST', '/api/v1/connectors', {
    kind: 'microsoftGraph', name: 'Directory of Alder Freight', baseUrl: directory.url, tokenUrl: `${directory.url}/token`,
    clientId: directory.client.id, clientSecret: directory.client.secret,
  });
  await send(ida, 'POST', `/api/v1/connectors/${connector}/test`, {});
  // Another customer's does not: its secret is wrong.
  const { aino } = people;
  const { id: broken } = await send(aino, 'POST', '/api/v1/connectors', {
    kind: 'microsoftGraph', baseUrl: directory.url, tokenUrl: `${directory.url}/token`,
    clientId: '5a1f2c34-9c1b-4d0e-9a44-1c3b1f0f6a11', clientSecret: 'run out',
  });
  await send(aino, 'POST', `/api/v1/connectors/${broken}/test`, {});

  // Who is told, and a program that is told and does not answer as it should.
  for (const contact of [
    { name: 'Duty officer of the freight terminal', kind: 'group', email: 'vakt@alderfreight.example', role: 'incidentNotification', language: 'en' },
    { name: 'Leitung IT', kind: 'person', email: 'it@alderfreight.example', role: 'serviceReview' },
  ]) {
    const { id } = await send(ida, 'POST', '/api/v1/contacts', contact);
    await send(ida, 'POST', `/api/v1/contacts/${id}/test`, {});
  }
  // Whom she wants to be reached while nobody reacts: by day, and at night.
  const office = { from: '08:00', until: '16:30' };
  const { value: contacts } = await (await ida.request.get('/api/v1/contacts')).json();
  const [first, second] = contacts.filter((one) => one.role === 'incidentNotification');
  await send(ida, 'PATCH', `/api/v1/contacts/${second.id}`, {
    phone: '+46 8 765 43 21',
    hours: { timeZone: 'Europe/Stockholm', days: [office, office, office, office, office, null, null] },
  });
  const rung = (contactId, by, waitMinutes, always = false) => ({ contactId, by, waitMinutes, always });
  await send(ida, 'PUT', '/api/v1/ladder', {
    isOn: true, severities: ['high', 'medium'], rounds: 2, nobody: 'lead',
    rungs: [rung(first.id, 'mail', 15), rung(second.id, 'call', 10, true), rung(second.id, 'sms', 10)],
  });
  const { id: hook } = await send(ida, 'POST', '/api/v1/webhooks', { name: 'SIEM of the group', url: `${directory.url}/hook` });
  await send(ida, 'POST', `/api/v1/webhooks/${hook}/test`, {});
  // A team chat that does not take its secret.
  const { id: channel } = await send(ida, 'POST', '/api/v1/chat-channels', {
    vendor: 'mattermost',
    name: 'Managed response of the freight terminal',
    settings: { baseUrl: directory.url, channelId: 'qmd5oqtwoibz8cuzxzg5ekshgr' },
    secrets: { botToken: 'pbg5n3xtkjf3uppzkm6prfhx4w', webhookToken: '9jrxak1ykxrmnaed9cps9i4cim' },
  });
  await send(ida, 'POST', `/api/v1/chat-channels/${channel}/test`, {});

  // Managed response: what the demo has of it, and what was done to a real device.
  const access = JSON.parse(readFileSync(join(server.dir, 'data/demo-access.json'), 'utf8'));
  const [composed, guided] = access.devices.map((device) => `/incidents/${device.incident}`);
  const waits = incidents.filter((one) => one.status === 'awaitingAction').map((one) => `/incidents/${one.id}`);
  assert.ok(waits.length >= 3, 'the demo has responses that wait for the customer');
  const device = await real(ida, 'wharf-07');
  const imaging = await real(people.aino, 'imaging-02');
  let listed = null;
  if (device) {
    const act = async (actionType, rest) => {
      const { id } = await send(ida, 'POST', `/api/v1/devices/${device.id}/actions`, { actionType, comment: 'As agreed on the phone.', ...rest });
      for (let tries = 0; tries < 300; tries += 1) {
        const { state } = await json(ida, `/api/v1/actions/${id}`);
        if (['succeeded', 'failed'].includes(state)) return id;
        await ida.waitForTimeout(100);
      }
      throw new Error(`${actionType} on wharf-07 does not end`);
    };
    listed = await act('listProcesses', {});
    await act('unIsolateDevice', {});
    await act('collectFile', { target: '/nothing/here' });
    await act('isolateDevice', { options: { forMinutes: 600 } });
    await send(ida, 'PATCH', `/api/v1/devices/${device.id}`, { groups: ['Aarhus', 'Servers that the harbour needs'], highValue: true });
  }
  await send(ida, 'POST', '/api/v1/exclusions', { kind: 'device', name: 'crane-steering-04', because: 'A load may hang from it: call the harbour master first.' });
  await send(ida, 'POST', '/api/v1/exclusions', { kind: 'user', name: 'break-glass@alderfreight.example' });
  const policy = await send(ida, 'PUT', '/api/v1/authority/policy', {
    version: 0,
    note: 'Agreed with the harbour master after the drill in May.',
    rules: [
      {
        id: 'grave', title: 'Grave and confirmed: no time to lose', who: ['expert'], severityFrom: 'high', confidenceFrom: 'confirmed',
        things: { deviceGroups: ['kiosks', 'office'] }, effect: { kind: 'atOnce' },
      },
      {
        id: 'cranes', title: 'Nothing is done to the cranes by anybody but the harbour’s own people', who: ['expert', 'automatic'],
        things: { deviceGroups: ['cranes'], devices: ['crane-steering-04'] }, effect: { kind: 'never' },
      },
      {
        id: 'nights', title: 'Two of us outside of office hours', who: ['expert'], actions: ['dangerous', 'user'],
        things: { deviceGroups: ['servers that the harbour needs'] },
        hours: { zone: 'Europe/Copenhagen', days: [1, 2, 3, 4, 5], from: 480, to: 1020, outside: true },
        effect: { kind: 'approval', by: 'customer', quorum: 2, within: 45, fallback: 'task' },
      },
    ],
  });
  assert.equal(policy.policy.version, 1);
  await send(signe, 'POST', `/api/v1/incidents/${busy.id}/tasks`, {
    actionType: 'requireSignIn', target: { kind: 'user', id: user }, options: {}, description: 'Somebody else has the token.',
  });
  // What both sides said about one that waits, and a question.
  const chat = `/api/v1/conversations/incident-${waits[0].split('/').pop()}/messages`;
  await send(ida, 'POST', chat, { text: 'We can cut **one** of the two off before the night shift. Which matters more?' });
  await send(signe, 'POST', chat, { text: 'Jonas may have opened the same mail on another device, I look.', visibility: 'experts' });
  await send(signe, 'POST', chat, { text: 'The one in the dispatch office:\n\n1. isolate it now\n2. leave it switched on, so that its memory can be read\n\nThe other one has not talked to `203.0.113.44` since noon.' });
  await send(tomas, 'POST', chat, { text: 'Done. How will we know that it worked? The shift lead asks every ten minutes, and the vessel that we load leaves at 04:30 whether or not the office has its screens back.' });
  await send(people.noor, 'POST', '/api/v1/conversations', {
    subject: 'Is a remote support tool of the crane’s maker that starts at night expected, or is it somebody else’s?',
    text: 'It came with the update of last week.', about: { kind: 'file', id: '00'.repeat(32), name: 'CraneAssistRemoteSupportService.exe' },
  });
  const { value: alerts } = await json(ida, `/api/v1/incidents/${busy.id}/alerts`);
  const incident = `/incidents/${busy.id}`;

  const { value: users } = await json(ida, '/api/v1/users?top=200');
  const userOf = (user) => `/users/${user.tenantId}/${encodeURIComponent(user.name)}`;
  const named = users.filter((one) => one.incidentCount > 0).sort((a, b) => b.incidentCount - a.incidentCount)[0];
  const local = device && users.find((one) => one.deviceCount > 0);

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
      ['incidents/:id', 'response-card-expert', composed],
      ['incidents/:id', 'response-compose', `${composed}?tab=response`],
      ['incidents/:id', 'response-preview', `${composed}?tab=response`, dialog('Preview')],
      ['incidents/:id', 'response-add', `${composed}?tab=response`, async (page) => {
        const opener = await dialog('Add an action')(page);
        await page.getByRole('dialog').getByRole('combobox', { name: 'Action' }).click();
        await page.getByRole('option', { name: 'Isolate device' }).click();
        return opener;
      }],
      ['incidents/:id', 'response-user', `${incident}?tab=response`],
      ['incidents/:id', 'response-user-preview', `${incident}?tab=response`, dialog('Preview')],
      ['incidents/:id', 'response-expert-waits', `${waits[0]}?tab=response`],
      ['actions', 'action-center-expert', '/actions'],
      ['messages', 'messages-expert', '/messages'],
      ['messages', 'messages-expert-pane', `/messages?open=incident-${waits[0].split('/').pop()}`],
      ['devices', 'devices-expert', '/devices'],
      ['users', 'users-expert', '/users'],
    ],
    // The customer's administrator.
    ida: [
      ['/', 'home-customer', '/'],
      ['incidents', 'queue-customer', '/incidents'],
      ['incidents/:id', 'incident-customer', incident],
      ['access', 'access-customer', '/access'],
      ['settings', 'settings', '/settings'],
      // A customer that is active has no setup to go through; `onboarding.test.mjs` looks at each step.
      ['onboarding', 'onboarding-over', '/onboarding'],
      ['settings/service', 'service', '/settings/service'],
      ['settings/service', 'service-assets', '/settings/service?tab=assets', dialog('Change targets')],
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
      ...waits.slice(0, 3).flatMap((path, at) => [
        ['incidents/:id', `response-card-${at}`, path],
        ['incidents/:id', `response-actions-${at}`, `${path}?response=actions`],
      ]),
      ['incidents/:id', 'response-summary', `${waits[0]}?response=summary`],
      ['incidents/:id', 'response-tab', `${waits[0]}?tab=response`],
      ['incidents/:id', 'response-skip', `${waits[0]}?tab=response`, dialog('Skip')],
      ['incidents/:id', 'response-reject', `${waits[0]}?tab=response`, dialog('Reject this plan')],
      ['incidents/:id', 'response-chat', `${waits[0]}?response=chat`],
      ['incidents/:id', 'response-chat-quiet', `${waits[1]}?response=chat`],
      ['messages', 'messages', '/messages'],
      ['messages', 'messages-grouped', '/messages?group=status&period=30'],
      ['messages', 'messages-none', '/messages?q=nothingiscalledlikethis'],
      ['messages', 'messages-ask', '/messages', dialog('Ask the experts')],
      ['actions', 'action-center-pending', '/actions'],
      ['actions', 'action-center-history', '/actions?tab=history'],
      ...(listed ? [['actions', 'action-pane', `/actions?tab=history&action=${listed}`]] : []),
      ['actions', 'action-pane-unknown', '/actions?tab=history&action=ac0'],
      ['devices', 'devices', '/devices'],
      ...(device ? ['overview', 'timeline', 'inventory', 'incidents', 'actions'] : []).map((tab) => [
        'devices/:id', `device-${tab}`, `/devices/${device.id}?tab=${tab}`,
      ]),
      ...(device
        ? [
            ['devices/:id', 'device-act', `/devices/${device.id}`, async (page) => {
              const opener = page.getByRole('button', { name: 'Take action' });
              await opener.click();
              await page.getByRole('menuitem', { name: 'Restrict app execution' }).click();
              await page.getByRole('dialog').waitFor();
              return opener;
            }],
          ]
        : []),
      ['settings/authority', 'authority', '/settings/authority'],
      ['settings/authority', 'authority-rule', '/settings/authority', dialog('Edit Two of us outside of office hours')],
      ['settings/authority', 'authority-add', '/settings/authority', dialog('Add a rule')],
      ['settings/authority', 'authority-version', '/settings/authority', dialog('Show version 1')],
      ['settings/authority', 'authority-text', '/settings/authority', async (page) => {
        await page.getByRole('button', { name: 'Write it as text' }).click();
        await page.getByRole('textbox', { name: 'Policy' }).fill('@id("night") forbid (principal, action, resource) when { context.mood };');
        await page.getByText('It cannot be saved like this').waitFor();
      }],
      ['settings/authority', 'authority-save', '/settings/authority', async (page) => {
        await page.getByRole('button', { name: /^Remove Nothing is done/ }).click();
        const opener = page.getByRole('button', { name: 'Save…' });
        await opener.click();
        await page.getByText('the last 90 days').waitFor();
        return opener;
      }],
      ['users', 'users', '/users'],
      ...['overview', 'timeline', 'incidents', 'alerts', 'actions'].map((tab) => ['users/:tenant/:name', `user-${tab}`, `${userOf(named)}?tab=${tab}`]),
      ...(local
        ? [
            ['users/:tenant/:name', 'user-local', userOf(local)],
            ['users/:tenant/:name', 'user-act', userOf(local), async (page) => {
              const opener = page.getByRole('button', { name: 'Take action' });
              await opener.click();
              await page.getByRole('menuitem', { name: 'Disable user' }).click();
              await page.getByRole('dialog').waitFor();
              return opener;
            }],
          ]
        : []),
      ['settings/exclusions', 'exclusions', '/settings/exclusions'],
      ['settings/exclusions', 'exclusions-add', '/settings/exclusions', dialog('Exclude a device')],
      ['settings/connectors', 'connectors', '/settings/connectors'],
      ['settings/connectors', 'connectors-edit', '/settings/connectors', dialog(/^Edit /)],
      ['settings/notifications', 'notifications', '/settings/notifications'],
      ['settings/notifications', 'notifications-add', '/settings/notifications', dialog('Add a contact')],
      ['settings/notifications', 'notifications-edit', '/settings/notifications', dialog('Edit Leitung IT')],
      ...['rules', 'chat', 'webhooks', 'ladder', 'reminders', 'deliveries', 'messages'].map((tab) => [
        'settings/notifications', `notifications-${tab}`, `/settings/notifications?tab=${tab}`,
      ]),
      ['settings/notifications', 'notifications-rules-add', '/settings/notifications?tab=rules', dialog('Add a mail rule')],
      ['settings/notifications', 'notifications-chat-add', '/settings/notifications?tab=chat', dialog('Connect a channel')],
      ['settings/notifications', 'notifications-chat-edit', '/settings/notifications?tab=chat', dialog(/^Set up /)],
      ['settings/notifications', 'notifications-webhook-add', '/settings/notifications?tab=webhooks', dialog('Add a webhook')],
      ['settings/notifications', 'notifications-delivery', '/settings/notifications?tab=deliveries', async (page) => {
        // What comes in meanwhile stands above it.
        const row = page.locator('tbody tr').last();
        await row.click();
        await page.getByRole('dialog').waitFor();
        return row;
      }],
      ['settings/notifications', 'notifications-messages-ja', '/settings/notifications?tab=messages&kind=reminder&language=ja'],
      ['demo/mailbox', 'mailbox', '/demo/mailbox'],
      ['demo/mailbox', 'mailbox-mail', '/demo/mailbox', async (page) => {
        const row = page.locator('tbody tr').last();
        await row.click();
        await page.getByRole('dialog').waitFor();
        return row;
      }],
      ['settings/agents', 'agents', '/settings/agents'],
      ['settings/agents', 'agents-make', '/settings/agents', dialog('Make a token')],
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
      ['messages', 'messages-outside', '/messages'],
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
      ['settings/clocks', 'clocks-administrator', '/settings/clocks'],
      ['settings/clocks', 'clocks-hours', '/settings/clocks', async (page) => {
        await page.getByRole('switch', { name: /working hours only/ }).click();
        await page.getByRole('checkbox', { name: 'Saturday' }).waitFor();
      }],
    ],
    // One of the customer's people.
    tomas: [
      ['incidents', 'queue-empty', '/incidents?q=nothingiscalledlikethis'],
      ['incidents', 'queue-filtered', '/incidents?period=1w&classification=unknown&determination=unknown&category=Execution&product=x&source=x&detection=x&rule=x&tag=x&assigned=-'],
      ['incidents', 'queue-filter', '/incidents', dialog(/^Status/)],
      ['incidents', 'queue-selected', '/incidents', (page) => page.getByRole('checkbox', { name: 'Select all rows shown' }).check()],
      ['incidents/:id', 'incident-manage', `/incidents/${queued.id}`, dialog('Manage incident')],
      ['alerts/:id', 'alert', `/alerts/${alerts[0].id}`],
      ['settings/service', 'service-reader', '/settings/service'],
      ['settings/permissions', 'permissions-reader', '/settings/permissions'],
      ['settings/connectors', 'connectors-refused', '/settings/connectors'],
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
      ['incidents/:id', 'response-reader', `${waits[0]}?tab=response`],
      ['settings/authority', 'authority-reader', '/settings/authority'],
      ['incidents/:id', 'response-chat-reader', `${waits[0]}?response=chat`],
      ['messages', 'messages-question', '/messages?open=question-1'],
      ['settings/exclusions', 'exclusions-reader', '/settings/exclusions'],
      ['settings/agents', 'agents-reader', '/settings/agents'],
      ['settings/notifications', 'notifications-reader', '/settings/notifications'],
      ['settings/clocks', 'clocks-reader', '/settings/clocks'],
      ['incidents/:id', 'clocks-incident', waits[0], dialog('Service clocks')],
    ],
    // Another customer's administrator.
    aino: [
      ['incidents/:id', 'incident-unknown', incident],
      ['alerts/:id', 'alert-unknown', `/alerts/${alerts[0].id}`],
      ['settings/apps', 'apps-none', '/settings/apps'],
      ['settings/sign-in', 'sign-in-settings-none', '/settings/sign-in'],
      ['incidents/:id', 'response-guided', `${guided}?response=actions`],
      ...(imaging ? [['incidents/:id', 'response-run', `${guided}?tab=response`, dialog(/^Isolate device$/)]] : []),
      ['settings/connectors', 'connectors-failed', '/settings/connectors'],
      ['settings/connectors', 'connectors-none', '/settings/connectors', async (page) => {
        await send(page, 'DELETE', `/api/v1/connectors/${broken}`);
        await page.reload();
      }],
      ['settings/connectors', 'connectors-add', '/settings/connectors', dialog('Add a connector')],
      ['settings/notifications', 'notifications-chat-none', '/settings/notifications?tab=chat'],
      ['settings/notifications', 'notifications-webhooks-none', '/settings/notifications?tab=webhooks'],
      ['devices', 'devices-other', '/devices'],
      ['users/:tenant/:name', 'user-unknown', userOf(named)],
      ['devices/:id', 'device-unknown', `/devices/${device?.id ?? 'none'}`],
      ['actions', 'action-center-none', '/actions?tab=history'],
    ],
  };
  const waiting = Object.entries(plan);
  const worker = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const [who, pages] = next;
      await t.test(who, async () => {
        for (const visit of pages) if (!ONLY || ONLY.test(visit[1])) await look(people[who], ...visit);
      });
    }
  };
  // While one waits for its page another is looked at.
  await Promise.all([worker(), worker(), worker()]);

  if (!ONLY) assert.deepEqual(routes().filter((route) => !visited.has(route)), [], 'every route is visited');
  assert.deepEqual(faults, []);
  assert.deepEqual(browser.complaints, [], 'nothing complained in a console');
});
