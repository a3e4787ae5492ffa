// Managed response through both worlds, with real agents in network namespaces: a customer that lets
// experts investigate does what they write; one that lets them act sees it done. What is said to be
// isolated cannot reach the outside, and can again when it is said to be released.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { Devices, missing } from './devices.mjs';
import { Browser, Server, send, setUpWithPasskey, told, until } from './world.mjs';

const PICTURES = process.env.RIPOSTE_SCREENSHOTS ?? join(tmpdir(), 'riposte-screenshots');
const now = () => new Date().toISOString();
const alert = (id, title, user, hosts) => ({
  id,
  providerAlertId: id,
  title,
  severity: 'high',
  category: 'CommandAndControl',
  serviceSource: 'microsoftDefenderForEndpoint',
  detectionSource: 'microsoftDefenderForEndpoint',
  createdDateTime: now(),
  firstActivityDateTime: now(),
  lastActivityDateTime: now(),
  lastUpdateDateTime: now(),
  evidence: [
    ...hosts.map((host) => ({
      '@odata.type': '#microsoft.graph.security.deviceEvidence',
      deviceDnsName: `${host}.alder.example`,
      hostName: host,
      osPlatform: 'Linux',
    })),
    { '@odata.type': '#microsoft.graph.security.userEvidence', userAccount: { userPrincipalName: `${user}@alder.example` } },
  ],
});

const STORES = { SQLite: null, PostgreSQL: process.env.RIPOSTE_TEST_POSTGRES };

for (const [name, store] of Object.entries(STORES)) {
  const skip = missing() ?? (store === undefined && 'RIPOSTE_TEST_POSTGRES names no address');
  test(`from a break-in to a verified response in both worlds, on ${name}`, { timeout: 300_000, skip }, async (t) => {
    const devices = await Devices.make(['desk-14', 'dock-3', 'crane-1']);
    const server = await Server.start({ store, gateway: devices.gateway });
    const browser = await Browser.open();
    t.after(async () => {
      await browser.close();
      await devices.stop();
      await server.stop();
    });
    await journey(t, { server, browser, devices });
  });
}

async function journey(t, { server, browser, devices }) {
  let failed = false;
  const step = (name, act) =>
    t.test(name, async (inner) => {
      if (failed) return inner.skip('an earlier step failed');
      failed = true;
      try {
        await act();
      } catch (error) {
        await look();
        throw error;
      }
      failed = false;
    });
  /** What both saw when something went wrong, for people to look at. */
  const look = async () => {
    mkdirSync(PICTURES, { recursive: true });
    for (const [name, page] of Object.entries({ signe, ida })) {
      await page.screenshot({ path: join(PICTURES, `response-failed-${name}.png`) }).catch(() => null);
      console.log(`# what ${name} sees: ${await told(page)}`);
    }
    for (const name of ['desk-14', 'dock-3', 'crane-1']) console.log(`# the agent of ${name}:\n${devices.log(server, name)}`);
    const known = await send(ida, 'GET', '/api/v1/devices').catch((error) => ({ value: [], failed: error.message }));
    console.log(`# what the server knows of them: ${JSON.stringify(known.value.map((it) => [it.name, it.state, it.agent?.seenDateTime]))}`);
  };
  const { setupUrl } = await server.command('init', '--provider', 'Fjordwatch', '--admin', 'odd@fjordwatch.example');
  const { tenantId } = await server.command('tenant', 'add', 'Alder Freight', '--experts', 'reader');
  const expert = await server.command('user', 'add', '--provider', '--email', 'signe@fjordwatch.example', '--role', 'Expert');
  const customer = await server.command('user', 'add', '--tenant', tenantId, '--email', 'ida@alder.example', '--role', 'Security Administrator');
  assert.ok(setupUrl);
  await server.serve();
  const { token } = await server.command('agent-token', '--tenant', tenantId);
  await devices.enrol(server, token);

  const signe = await browser.person(server.url, { passkey: true });
  const ida = await browser.person(server.url, { passkey: true, acceptDownloads: true });
  await setUpWithPasskey(signe, expert.setupUrl, 'Signe Holm');
  await setUpWithPasskey(ida, customer.setupUrl, 'Ida Berg');
  /** How far experts may go from now on, and the expert inside as far. */
  const grant = async (level) => {
    // The access that was ends with the grant it was under.
    for (const next of ['none', level]) await send(ida, 'PUT', '/api/v1/grant', { level: next, approval: 'automatic', endDateTime: null });
    await send(signe, 'POST', '/api/v1/access', { tenantId, level, reason: 'Reading timelines.', hours: 1 });
  };
  /** An alert comes in; gives the address of its incident. */
  const breakIn = async (id, title, user, hosts) => {
    const file = join(server.dir, `${id}.json`);
    writeFileSync(file, JSON.stringify(alert(id, title, user, hosts)));
    const outcome = await server.command('import', '--tenant', tenantId, file);
    assert.equal(outcome.accepted, 1);
    const incident = await until(`an incident of ${title}`, async () => {
      const { value } = await (await ida.request.get('/api/v1/incidents')).json();
      return value.find((one) => one.status === 'active');
    });
    return `/incidents/${incident.id}`;
  };
  const choose = async (page, within, label, option) => {
    await within.getByRole('combobox', { name: label }).click();
    await page.getByRole('option', { name: option, exact: true }).click();
  };
  /** The expert drafts an action. */
  const draft = async (action, target, title) => {
    await signe.getByRole('button', { name: 'Add an action' }).click();
    const panel = signe.getByRole('dialog', { name: 'Add an action' });
    await panel.getByRole('combobox', { name: 'Action' }).click();
    await signe.getByRole('option', { name: action }).click();
    if (target) await choose(signe, panel, 'Device', `${target}.alder.example`);
    if (title) await panel.getByLabel('Title').fill(title);
    await panel.getByRole('button', { name: 'Add', exact: true }).click();
    await panel.waitFor({ state: 'detached' });
  };
  const takeUp = async (incident) => {
    await signe.goto(incident);
    await signe.getByRole('button', { name: 'Take up' }).click();
    await signe.getByText(/is yours/).first().waitFor();
    await signe.getByRole('button', { name: 'Compose a managed response' }).click();
  };
  const publish = async (summary) => {
    await signe.getByLabel('Investigation summary').fill(summary);
    await choose(signe, signe, /Determination/, 'Malware');
    await signe.getByRole('button', { name: 'Publish' }).click();
    const dialog = signe.getByRole('dialog', { name: /Publish revision/ });
    await dialog.getByRole('button', { name: 'Publish' }).click();
    await dialog.waitFor({ state: 'detached' });
  };
  const card = (page, name) => page.getByRole('article', { name, exact: true });
  /** A card of the list, opened. */
  const open = async (page, name) => {
    const head = card(page, name).getByRole('button', { name, exact: false }).first();
    await head.waitFor();
    if ((await head.getAttribute('aria-expanded')) === 'false') await head.click();
    return card(page, name);
  };
  const confirm = async (page, title, act) => {
    const dialog = page.getByRole('dialog', { name: title });
    await dialog.getByRole('button', { name: act, exact: true }).click();
    await dialog.waitFor({ state: 'detached' });
  };
  let first;

  await step('the devices speak to the outside, and their agents are online', async () => {
    for (const name of devices.names) assert.ok(await devices.speaks(name), name);
    await ida.goto('/devices');
    for (const name of devices.names) {
      await ida.getByRole('row', { name: new RegExp(name) }).getByText('Online').waitFor();
    }
  });

  await step('Reader: the expert takes it up, composes a response and publishes it', async () => {
    await grant('reader');
    first = await breakIn('edr-1', 'Beacon from an office device', 'bea', ['desk-14']);
    await takeUp(first);
    await draft('Isolate device', 'desk-14', 'Isolate desk-14');
    await draft('Guidance', null, 'Call bea on the phone');
    const draftCard = await open(signe, 'Isolate desk-14');
    await draftCard.getByText('Left to the customer. The customer grants the experts access to investigate, not to act').waitFor();
    await publish('A loader of the **Grebe** family runs on `desk-14` and speaks to its server.');
    await signe.getByRole('heading', { name: '2 of 2 actions wait for the customer' }).waitFor();
  });

  await step('the customer sees that two actions need it, and what the experts wrote', async () => {
    await ida.goto(first);
    await ida.getByRole('heading', { name: '2 of 2 actions need you' }).waitFor();
    await ida.getByRole('button', { name: 'Investigation summary' }).click();
    await ida.getByRole('dialog', { name: 'Managed response' }).getByText('Grebe').waitFor();
    await ida.getByRole('tab', { name: 'Actions', exact: true }).last().click();
  });

  await step('it isolates the device, and the card goes through In progress to Completed by itself', async () => {
    const isolate = await open(ida, 'Isolate desk-14');
    await ida.evaluate(() => (window.stayed = true));
    // So that there is time to look.
    devices.pause('desk-14');
    await isolate.getByRole('button', { name: 'Isolate device', exact: true }).click();
    await confirm(ida, /Isolate device/, 'Isolate device');
    await card(ida, 'Isolate desk-14').getByText('In progress').first().waitFor();
    assert.ok(await devices.speaks('desk-14'), 'nothing is done yet');
    devices.resume('desk-14');
    await card(ida, 'Isolate desk-14').getByText('Completed').first().waitFor();
    assert.equal(await ida.evaluate(() => window.stayed), true, 'the page was never loaded anew');
    await (await open(ida, 'Isolate desk-14')).getByText(/verified on the asset/).waitFor();
  });

  await step('the device reaches the outside no more, and its agent is online', async () => {
    assert.equal(await devices.speaks('desk-14'), false, devices.log(server, 'desk-14'));
    assert.ok(await devices.speaks('dock-3'), 'the others do');
    await ida.goto('/devices');
    const row = ida.getByRole('row', { name: /desk-14/ });
    await row.getByText('Isolated').waitFor();
    await row.getByText('Online').waitFor();
  });

  await step('it skips the guidance with a reason, and the expert sees that it can be closed', async () => {
    await ida.goto(first);
    await ida.getByRole('heading', { name: '1 of 2 actions needs you' }).waitFor();
    await ida.getByRole('button', { name: 'View actions' }).click();
    await (await open(ida, 'Call bea on the phone')).getByRole('button', { name: 'Skip' }).click();
    const dialog = ida.getByRole('dialog', { name: 'Skip this action?' });
    await dialog.getByLabel('Reason').fill('She sits next to us.');
    await confirm(ida, 'Skip this action?', 'Yes, skip this action');
    await card(ida, 'Call bea on the phone').getByText('Skipped').first().waitFor();
    // The expert's page was open all the time.
    await signe.getByText('The incident is ready to close').waitFor();
  });

  await step('undone from the card: a release of its own, verified, and the device speaks again', async () => {
    await (await open(ida, 'Isolate desk-14')).getByRole('button', { name: 'Undo' }).click();
    const title = /^Undo: Isolate device/;
    await ida.getByRole('dialog', { name: title }).getByLabel('Comment').fill('Cleaned.');
    await confirm(ida, title, 'Undo');
    await card(ida, 'Release from isolation: desk-14').getByText('Completed').first().waitFor();
    const release = await open(ida, 'Release from isolation: desk-14');
    await release.getByText(/verified on the asset/).waitFor();
    await release.getByText('Takes back').waitFor();
    assert.ok(await devices.speaks('desk-14'));
  });

  await step('the expert resolves the incident', async () => {
    await signe.getByRole('button', { name: 'Manage incident' }).click();
    const dialog = signe.getByRole('dialog', { name: /Manage incident/ });
    await choose(signe, dialog, 'Status', 'Resolved');
    await dialog.getByLabel('Resolving comment').fill('Contained and cleaned.');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.waitFor({ state: 'detached' });
    await until('resolved', async () => (await send(ida, 'GET', `/api/v1${first}`)).status === 'resolved');
  });

  await step('Operator: what experts publish they do, and the incident resolves by itself', async () => {
    await grant('operator');
    const second = await breakIn('edr-2', 'Beacon from the loading dock', 'tor', ['dock-3']);
    await takeUp(second);
    await draft('Isolate device', 'dock-3', 'Isolate dock-3');
    await (await open(signe, 'Isolate dock-3')).getByText('Carried out by the experts when it is published').waitFor();
    await ida.goto(second);
    await publish('The dock speaks to the same server.');
    await ida.getByRole('heading', { name: 'Managed response: the action is done' }).waitFor();
    await until('resolved', async () => (await send(ida, 'GET', `/api/v1${second}`)).status === 'resolved');
    await ida.getByRole('button', { name: 'View actions' }).click();
    await (await open(ida, 'Isolate dock-3')).getByText(/verified on the asset/).waitFor();
    assert.equal(await devices.speaks('dock-3'), false);
  });

  await step('a device excluded in the middle is left to the customer, with the reason', async () => {
    const third = await breakIn('edr-3', 'Beacon from the yard', 'liv', ['desk-14', 'crane-1']);
    await takeUp(third);
    await draft('Isolate device', 'desk-14', 'Isolate desk-14');
    await draft('Isolate device', 'crane-1', 'Isolate crane-1');
    await ida.goto('/settings/exclusions');
    await ida.getByRole('button', { name: 'Exclude a device' }).click();
    const dialog = ida.getByRole('dialog', { name: 'Exclude a device' });
    await dialog.getByLabel('Name').fill('crane-1');
    await dialog.getByLabel('Reason').fill('A load may hang from it.');
    await confirm(ida, 'Exclude a device', 'Exclude');
    await publish('Two devices of the yard speak to the same server.');
    await ida.goto(third);
    await ida.getByRole('heading', { name: '1 of 2 actions needs you' }).waitFor();
    await ida.getByRole('button', { name: 'View actions' }).click();
    await (await open(ida, 'Isolate crane-1')).getByText('The device crane-1 is excluded').waitFor();
    await card(ida, 'Isolate desk-14').getByText('Completed').first().waitFor();
    assert.deepEqual([await devices.speaks('desk-14'), await devices.speaks('crane-1')], [false, true]);
    await (await open(ida, 'Isolate crane-1')).getByRole('button', { name: "I've completed this action" }).click();
    await confirm(ida, "I've completed this action", "Yes, I've done it");
    await ida.getByText('Ready to close', { exact: true }).waitFor();
    await (await open(ida, 'Isolate crane-1')).getByText(/not verified/).waitFor();
  });

  await step('the action center has all of it, with attempts and what was read back, and as a file', async () => {
    await ida.goto('/actions?tab=history');
    const table = ida.getByRole('grid', { name: 'Actions' });
    for (const [title, source] of [
      ['Isolate device', 'Managed response (customer)'],
      ['Isolate device', 'Managed response (experts)'],
      ['Release from isolation', 'Managed response (customer)'],
    ]) {
      await table.getByRole('row', { name: new RegExp(title) }).filter({ hasText: source }).first().waitFor();
    }
    await table.getByRole('link', { name: /^Isolate device/ }).first().click();
    const pane = ida.getByRole('dialog', { name: /^Isolate device/ });
    await pane.getByRole('article', { name: 'Attempt 1' }).getByText('Succeeded', { exact: true }).waitFor();
    await pane.getByRole('heading', { name: 'Read back from the asset' }).waitFor();
    await pane.getByText(/isolated/).first().waitFor();
    await pane.getByRole('button', { name: 'Close' }).click();
    await ida.getByRole('button', { name: 'More', exact: true }).click();
    const [download] = await Promise.all([
      ida.waitForEvent('download'),
      ida.getByRole('menuitem', { name: 'Export as CSV' }).click(),
    ]);
    const lines = readFileSync(await download.path(), 'utf8').trim().split('\n');
    assert.equal(lines.length, 1 + 4, lines.join('\n'));
    assert.ok(lines.filter((line) => line.includes('Managed response (experts)')).length === 2, lines.join('\n'));
  });

  await step('the expert releases what it isolated from the action center', async () => {
    await signe.goto('/actions?tab=history');
    const row = signe.getByRole('row', { name: /dock-3/ }).first();
    await row.getByRole('link', { name: /^Isolate device/ }).click();
    const pane = signe.getByRole('dialog', { name: /^Isolate device/ });
    await pane.getByRole('button', { name: 'Undo' }).click();
    await confirm(signe, /^Undo: Isolate device/, 'Undo');
    await pane.getByRole('button', { name: 'Close' }).click();
    await signe.getByRole('row', { name: /Release from isolation.*dock-3/ }).getByText('Completed').waitFor();
    assert.ok(await devices.speaks('dock-3'));
  });

  assert.deepEqual(browser.complaints, [], 'nothing complained in a console');
}
