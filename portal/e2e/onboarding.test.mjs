// A customer's way from its welcome mail to an active service, in the browser (ONB-1 to ONB-5, NOT-3,
// EXC-4): invited by the provider, set up step by step by two people on two machines, ready, monitored,
// active; and every setting as it was chosen, by the interface and on its own page afterwards.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { Browser, Directory, Mailbox, Server, send, setUpWithPasskey, settled, until } from './world.mjs';

const PICTURES = process.env.RIPOSTE_SCREENSHOTS ?? join(tmpdir(), 'riposte-screenshots');
const AXE = readFileSync(new URL('../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
const STORES = { SQLite: null, PostgreSQL: process.env.RIPOSTE_TEST_POSTGRES };
const WIDE = { width: 1360, height: 900 };
const NARROW = { width: 380, height: 780 };
const now = () => new Date().toISOString();

for (const [name, store] of Object.entries(STORES)) {
  const skip = store === undefined && 'RIPOSTE_TEST_POSTGRES names no address';
  test(`from the welcome mail to an active service, on ${name}`, { timeout: 240_000, skip }, async (t) => {
    const mailbox = await Mailbox.start();
    const settings = { RIPOSTE_MAIL_SMTP: mailbox.url, RIPOSTE_MAIL_FROM: 'Fjordwatch <soc@fjordwatch.example>' };
    const server = await Server.start({ store, settings });
    const browser = await Browser.open();
    const hooks = await Directory.start([]);
    t.after(async () => {
      await browser.close();
      await server.stop();
      mailbox.stop();
      hooks.stop();
    });
    // The pictures are the same on both stores.
    await journey({ server, browser, mailbox, hooks, pictures: store === null }).catch(async (error) => {
      // What each of them saw when it went wrong.
      const pages = browser.chromium.contexts().flatMap((context) => context.pages());
      for (const [at, page] of pages.entries()) await page.screenshot({ path: join(PICTURES, `onboarding-failed-${at}.png`) });
      throw error;
    });
    assert.deepEqual(browser.complaints, []);
  });
}

/** A page as it looks in light, in dark and on a phone, judged by axe in each. */
async function look(page, name, pictures) {
  if (!pictures) return;
  mkdirSync(PICTURES, { recursive: true });
  await settled(page);
  await page.evaluate(() => window.scrollTo(0, 0));
  for (const [as, size, colorScheme] of [['light', WIDE, 'light'], ['dark', WIDE, 'dark'], ['narrow', NARROW, 'light']]) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize(size);
    await page.waitForTimeout(150);
    await page.screenshot({ path: join(PICTURES, `onboarding-${name}.${as}.png`), fullPage: true });
    const found = await page.evaluate(async (axe) => {
      if (!window.axe) (0, eval)(axe);
      const { violations } = await window.axe.run({ exclude: ['[data-tabster-dummy]'] }, { resultTypes: ['violations'] });
      const grave = violations.filter((one) => one.impact === 'serious' || one.impact === 'critical');
      return grave.map((one) => `${one.id}: ${one.nodes[0].target.join(' ')}`);
    }, AXE);
    assert.deepEqual(found, [], `${name} (${as})`);
    const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(over <= 0, `${name} (${as}) scrolls ${over} px sideways`);
  }
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize(WIDE);
}

const linkOf = (mail) => mail.match(/\/setup#[0-9a-f]{64}/)?.[0];
const read = async (page, path) => (await page.request.get(path)).json();
const next = (page) => page.getByRole('button', { name: 'Next', exact: true }).click();
const step = (page, name) => page.getByRole('heading', { level: 2, name, exact: true }).waitFor();

async function journey({ server, browser, mailbox, hooks, pictures }) {
  const { setupUrl } = await server.command('init', '--provider', 'Fjordwatch', '--admin', 'odd@fjordwatch.example');
  await server.serve();
  const odd = await browser.person(server.url, { passkey: true });
  await setUpWithPasskey(odd, setupUrl, 'Odd Nes');

  // The provider invites.
  await odd.goto('/customers');
  await odd.getByRole('button', { name: 'Add a customer' }).click();
  const form = odd.getByRole('dialog');
  await form.getByRole('textbox', { name: 'Name', exact: true }).fill('Birch Rail');
  await form.getByLabel(/First administrator/).fill('beate@birch.example');
  await form.getByRole('combobox', { name: 'Language' }).click();
  await odd.getByRole('option', { name: 'Português (Portugal)' }).click();
  await form.getByRole('button', { name: 'Add', exact: true }).click();
  await odd.getByText('The welcome mail brings this link.').waitFor();
  await odd.getByRole('button', { name: 'Done' }).click();
  await odd.getByText('Invited').first().waitFor();
  await odd.getByText(/welcome mail delivered/).waitFor({ timeout: 20_000 }).catch(() => odd.reload());
  const first = await until('the welcome mail', () => mailbox.mails('beate@birch.example')[0]);
  assert.match(first, /Configure Fjordwatch para Birch Rail/);

  // It is sent again; only the newer link works.
  await odd.getByRole('button', { name: 'More for Birch Rail' }).click();
  await odd.getByRole('menuitem', { name: 'Send the welcome mail again' }).click();
  await odd.getByRole('dialog').getByRole('button', { name: 'Send', exact: true }).click();
  await odd.getByRole('dialog').getByRole('button', { name: 'Done' }).click();
  const mail = await until('the second mail', () => mailbox.mails('beate@birch.example')[1]);
  assert.notEqual(linkOf(mail), linkOf(first));
  await look(odd, 'customers', pictures);

  const beate = await browser.person(server.url, { passkey: true, bypassCSP: true });
  await beate.goto(linkOf(first));
  await beate.getByText('This link does not work any more').waitFor();
  await setUpWithPasskey(beate, `${server.url}${linkOf(mail)}`, 'Beate Lund');
  // The link opens the setup.
  await step(beate, 'Get started');
  assert.match(beate.url(), /\/onboarding$/);
  await look(beate, '1-start', pictures);
  assert.equal((await read(beate, '/api/v1/onboarding')).stage, 'invited');
  await beate.getByRole('button', { name: 'Get started', exact: true }).last().click();

  // How far experts may go: the recommended level, with two people for what is dangerous.
  await step(beate, 'Permissions');
  assert.ok(await beate.getByRole('radio', { name: /Investigate incidents/ }).isChecked(), 'the lesser level is the default');
  await beate.getByRole('radio', { name: /Respond directly to active threats/ }).check();
  await beate.getByRole('switch', { name: /second person approves/ }).click();
  await until('the switch is saved', async () => (await read(beate, '/api/v1/authority')).fourEyes);
  await look(beate, '2-permissions', pictures);
  assert.equal((await read(beate, '/api/v1/grant')).level, 'none', 'nothing is granted before it is confirmed');
  await next(beate);

  // What is left out by Skip is gone; what is confirmed by Next is kept (EXC-4).
  await step(beate, 'Exclusions');
  assert.equal((await read(beate, '/api/v1/grant')).level, 'operator');
  const exclude = async (what, name, because) => {
    await beate.getByRole('button', { name: `Exclude a ${what}`, exact: true }).click();
    const dialog = beate.getByRole('dialog');
    await dialog.getByLabel('Name').fill(name);
    await dialog.getByLabel('Reason').fill(because);
    await dialog.getByRole('button', { name: 'Exclude', exact: true }).click();
    await dialog.waitFor({ state: 'detached' });
    await beate.getByText(name).first().waitFor();
  };
  await exclude('device', 'kiosk-9', 'a mistake');
  await beate.getByText('Not saved yet').first().waitFor();
  await beate.getByRole('button', { name: 'Skip' }).click();
  await step(beate, 'Contacts');
  assert.deepEqual((await read(beate, '/api/v1/exclusions')).devices, []);
  await beate.getByRole('button', { name: 'Back' }).click();
  await step(beate, 'Exclusions');
  await beate.getByText('No devices are excluded').waitFor();
  await exclude('device', 'signal-1', 'It moves trains.');
  await beate.getByRole('tab', { name: /^Users/ }).click();
  await exclude('user', 'bo@birch.example', 'On call.');
  await beate.getByRole('switch', { name: 'Exclude all high-value devices' }).check();
  await look(beate, '3-exclusions', pictures);
  await next(beate);

  // Without a contact it does not go on.
  await step(beate, 'Contacts');
  await next(beate);
  await beate.getByText('Name at least one incident contact first').waitFor();
  await beate.getByRole('button', { name: 'Add a contact' }).click();
  const contact = beate.getByRole('dialog');
  await contact.getByRole('textbox', { name: 'Name', exact: true }).fill('Duty officer');
  await contact.getByLabel('E-mail').fill('duty@birch.example');
  await contact.getByRole('button', { name: 'Add', exact: true }).click();
  await beate.getByText('duty@birch.example').first().waitFor();
  await beate.getByText('Name at least one incident contact first').waitFor({ state: 'detached' });
  await look(beate, '4-contacts', pictures);
  await next(beate);
  await step(beate, 'Chat channels');

  // A colleague goes on, on another machine; a reader sees what is awaited and changes nothing.
  const { setupUrl: forBo } = await send(beate, 'POST', '/api/v1/people', { email: 'bo@birch.example', role: 'Security Administrator' });
  const { setupUrl: forRut } = await send(beate, 'POST', '/api/v1/people', { email: 'rut@birch.example', role: 'Security Reader' });
  const rut = await browser.person(server.url, { passkey: true, bypassCSP: true });
  await setUpWithPasskey(rut, forRut, 'Rut Vik');
  await rut.getByText('The service is being set up.').waitFor();
  await rut.goto('/onboarding');
  await rut.getByText(/Next comes: Chat channels/).waitFor();
  await look(rut, 'reader', pictures);
  await beate.close();
  const bo = await browser.person(server.url, { passkey: true, bypassCSP: true });
  await setUpWithPasskey(bo, forBo, 'Bo Ek');
  await bo.getByRole('link', { name: 'Go on with the setup' }).first().click();
  await step(bo, 'Chat channels');
  await bo.getByRole('button', { name: 'Add a webhook' }).click();
  const hook = bo.getByRole('dialog');
  await hook.getByRole('textbox', { name: 'Name', exact: true }).fill('Ticket system');
  await hook.getByLabel(/Address|URL/).fill(`${hooks.url}/hook`);
  await hook.getByRole('button', { name: 'Add', exact: true }).click();
  await bo.getByRole('button', { name: 'Done' }).click();
  await look(bo, '5-channels', pictures);
  // The keyboard alone leads on.
  await bo.getByRole('button', { name: 'Next', exact: true }).focus();
  await bo.keyboard.press('Enter');
  await step(bo, 'Review');
  assert.ok(await bo.getByRole('heading', { level: 2, name: 'Review' }).evaluate((node) => node === document.activeElement), 'a reader hears where it is');
  for (const text of [/Respond directly/, /signal-1/, /bo@birch\.example/, /all high-value devices/, /Duty officer/, /Ticket system/]) {
    await bo.getByText(text).first().waitFor();
  }
  await look(bo, '6-review', pictures);
  await bo.getByRole('button', { name: 'Submit' }).click();

  // Readiness: what is missing is named; an alert is.
  await bo.getByRole('heading', { level: 1, name: 'Service status' }).waitFor();
  await bo.getByText('Still needed: Connect a source of alerts.').waitFor();
  await bo.getByText('Complete now', { exact: true }).first().waitFor();
  await look(bo, '7-readiness', pictures);
  await bo.getByRole('tab', { name: 'Protected assets' }).click();
  await bo.getByRole('button', { name: 'Change targets' }).click();
  await bo.getByRole('dialog').getByLabel('Devices').fill('many');
  assert.ok(await bo.getByRole('dialog').getByRole('button', { name: 'Save' }).getAttribute('aria-disabled'));
  await bo.getByRole('dialog').getByLabel('Devices').fill('0');
  await bo.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
  await bo.getByText('The target was set by hand.').first().waitFor();
  await look(bo, '8-assets', pictures);
  const { value: customers } = await read(odd, '/api/v1/tenants');
  const birch = customers.find((one) => one.name === 'Birch Rail');
  assert.equal(birch.onboarding.stage, 'readinessPending');
  assert.deepEqual(birch.onboarding.missing, ['Connect a source of alerts']);
  const file = join(server.dir, 'alert.json');
  const at = Object.fromEntries(['created', 'firstActivity', 'lastActivity', 'lastUpdate'].map((name) => [`${name}DateTime`, now()]));
  const alert = {
    id: 'edr-1', providerAlertId: 'edr-1', title: 'Script interpreter fetched a payload', severity: 'high', category: 'Execution',
    serviceSource: 'microsoftDefenderForEndpoint', detectionSource: 'microsoftDefenderForEndpoint', ...at,
    evidence: [{ '@odata.type': '#microsoft.graph.security.userEvidence', userAccount: { userPrincipalName: 'ben@birch.example' } }],
  };
  writeFileSync(file, JSON.stringify(alert));
  assert.equal((await server.command('import', '--tenant', birch.id, file)).accepted, 1);
  await bo.getByRole('button', { name: 'Check again' }).click();
  await bo.getByRole('heading', { level: 2, name: 'Monitoring' }).waitFor();
  await bo.getByText(/Monitoring ends/).waitFor();
  await bo.goto('/');
  await bo.getByText('Your organisation is being monitored.').waitFor();

  // The provider ends the monitoring early, with a reason; the customer's open page shows it.
  await odd.goto('/customers');
  await odd.getByText('Monitoring').first().waitFor();
  await odd.getByRole('button', { name: 'More for Birch Rail' }).click();
  await odd.getByRole('menuitem', { name: 'End monitoring now' }).click();
  await odd.getByRole('dialog').getByLabel('Reason').fill('They know the service from their sister company.');
  await odd.getByRole('dialog').getByRole('button', { name: 'End monitoring' }).click();
  await odd.getByText('Birch Rail is active.').first().waitFor();
  await bo.getByText('Your organisation is being monitored.').waitFor({ state: 'detached' });
  await bo.goto('/settings/service');
  await bo.getByRole('heading', { level: 2, name: 'Active' }).waitFor();
  await look(bo, '9-active', pictures);

  // Every setting, as it was chosen.
  const onboarding = await read(bo, '/api/v1/onboarding');
  assert.equal(onboarding.stage, 'active');
  assert.equal(onboarding.submittedBy, 'bo@birch.example');
  assert.deepEqual(
    onboarding.steps.map((one) => [one.step, one.state, one.setBy.split('@')[0]]),
    [
      ['getStarted', 'done', 'beate'],
      ['permissions', 'done', 'beate'],
      ['exclusions', 'done', 'beate'],
      ['contacts', 'done', 'beate'],
      ['channels', 'done', 'bo'],
    ],
  );
  assert.equal(onboarding.readiness.devices.target, 0);
  assert.equal((await read(bo, '/api/v1/grant')).effectiveLevel, 'operator');
  assert.equal((await read(bo, '/api/v1/authority')).fourEyes, true);
  const excluded = await read(bo, '/api/v1/exclusions');
  assert.deepEqual(excluded.devices.map((one) => [one.name, one.because, one.by]), [['signal-1', 'It moves trains.', 'beate@birch.example']]);
  assert.deepEqual(excluded.users.map((one) => one.name), ['bo@birch.example']);
  assert.deepEqual([excluded.highValueDevices, excluded.highValueUsers], [true, false]);
  const contacts = await read(bo, '/api/v1/contacts');
  assert.deepEqual(contacts.value.map((one) => [one.name, one.email, one.role, one.priority]), [
    ['Duty officer', 'duty@birch.example', 'incidentNotification', 'primary'],
  ]);
  assert.deepEqual((await read(bo, '/api/v1/webhooks')).value.map((one) => one.name), ['Ticket system']);

  // And each on its own page, where it is changed from now on.
  await bo.goto('/settings/permissions');
  await until('the level', () => bo.getByRole('radio', { name: /Respond directly/ }).isChecked());
  await until('two people', () => bo.getByRole('switch', { name: /second person approves/ }).isChecked());
  await bo.goto('/settings/exclusions');
  await bo.getByText('signal-1').waitFor();
  await until('high value', () => bo.getByRole('switch', { name: 'Exclude all high-value devices' }).isChecked());
  await bo.goto('/settings/notifications');
  await bo.getByText('duty@birch.example').first().waitFor();
  await bo.goto('/settings/notifications?tab=webhooks');
  await bo.getByRole('heading', { name: 'Ticket system' }).waitFor();
  // The setup is over.
  await bo.goto('/onboarding');
  await bo.getByRole('heading', { level: 1, name: 'Service status' }).waitFor();
}
