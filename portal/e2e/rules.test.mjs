// Mail rules in the browser (NOT-9, NOT-10): one is written by keyboard, its mail arrives for an alert that it
// is about, it is tested, turned off, removed and taken back; and the whole response is in a mail once that is
// wanted (NOT-4).
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { Browser, Mailbox, Server, peopled, responded, send, settled, until } from './world.mjs';

const PICTURES = process.env.RIPOSTE_SCREENSHOTS ?? join(tmpdir(), 'riposte-screenshots');
const AXE = readFileSync(new URL('../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
const STORES = { SQLite: null, PostgreSQL: process.env.RIPOSTE_TEST_POSTGRES };
const WIDE = { width: 1360, height: 900 };
const NARROW = { width: 380, height: 780 };

for (const [name, store] of Object.entries(STORES)) {
  const skip = store === undefined && 'RIPOSTE_TEST_POSTGRES names no address';
  test(`mails go out by a customer's own rules, on ${name}`, { timeout: 180_000, skip }, async (t) => {
    const mailbox = await Mailbox.start();
    const settings = { RIPOSTE_MAIL_SMTP: mailbox.url, RIPOSTE_MAIL_FROM: 'Fjordwatch <soc@fjordwatch.example>' };
    const server = await Server.start({ store, settings });
    const browser = await Browser.open();
    t.after(async () => {
      await browser.close();
      await server.stop();
      mailbox.stop();
    });
    await journey({ server, browser, mailbox, pictures: store === null }).catch(async (error) => {
      const pages = browser.chromium.contexts().flatMap((context) => context.pages());
      for (const [at, page] of pages.entries()) await page.screenshot({ path: join(PICTURES, `rules-failed-${at}.png`) });
      throw error;
    });
    assert.deepEqual(browser.complaints, []);
  });
}

/** The page as it looks in light, in dark and on a phone, judged by axe in each. */
async function look(page, name, pictures) {
  if (!pictures) return;
  mkdirSync(PICTURES, { recursive: true });
  await settled(page);
  for (const [as, size, colorScheme] of [['light', WIDE, 'light'], ['dark', WIDE, 'dark'], ['narrow', NARROW, 'light']]) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize(size);
    await page.waitForTimeout(200);
    await page.screenshot({ path: join(PICTURES, `rules-${name}.${as}.png`), fullPage: true });
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

async function journey({ server, browser, mailbox, pictures }) {
  const { tenantId, signe, ida } = await peopled(server, browser);
  const to = (address) => mailbox.mails(address);

  await ida.goto('/settings/notifications?tab=rules');
  await ida.getByText('No mail rules yet').waitFor();
  await look(ida, 'empty', pictures);

  // A rule about incidents, with the keyboard alone.
  await ida.getByRole('button', { name: 'Add a mail rule' }).focus();
  await ida.keyboard.press('Enter');
  const panel = ida.getByRole('dialog');
  await panel.getByRole('textbox', { name: 'Name' }).focus();
  await ida.keyboard.type('Medium and worse');
  await panel.getByRole('checkbox', { name: 'Medium' }).focus();
  await ida.keyboard.press('Space');
  await panel.getByRole('combobox', { name: 'Sources' }).focus();
  await ida.keyboard.press('Enter');
  await ida.keyboard.type('Microsoft Defender for Endpoint');
  await ida.keyboard.press('Enter');
  await ida.keyboard.press('Escape');
  await panel.getByRole('combobox', { name: 'Severities from Microsoft Defender for Endpoint' }).waitFor();
  await panel.getByRole('switch', { name: /organisation’s name/ }).focus();
  await ida.keyboard.press('Space');
  await panel.getByRole('textbox', { name: 'E-mail 1' }).focus();
  await ida.keyboard.type('soc@alder.example');
  await look(ida, 'pane', pictures);
  await panel.getByRole('button', { name: 'Add', exact: true }).focus();
  await ida.keyboard.press('Enter');
  await panel.waitFor({ state: 'detached' });
  await ida.getByRole('switch', { name: 'Medium and worse is on' }).waitFor();
  await ida.getByText('Severity: Medium, High').waitFor();

  // One about actions; what the server refuses stands at its field.
  await ida.getByRole('button', { name: 'Add a mail rule' }).click();
  await panel.getByRole('radio', { name: 'Response actions' }).click();
  await panel.getByRole('textbox', { name: 'Name' }).fill('Actions that failed');
  await panel.getByRole('checkbox', { name: 'Failed' }).click();
  await panel.getByRole('textbox', { name: 'E-mail 1' }).fill('night@alder.example');
  await panel.getByRole('button', { name: 'Add a recipient' }).click();
  await panel.getByRole('textbox', { name: 'E-mail 2' }).fill('night@alder.example');
  await panel.getByRole('button', { name: 'Add', exact: true }).click();
  await panel.getByText(/is there twice/).waitFor();
  await look(ida, 'refused', pictures);
  await panel.getByRole('button', { name: 'Remove recipient 2' }).click();
  await panel.getByRole('button', { name: 'Add', exact: true }).click();
  await panel.waitFor({ state: 'detached' });
  await ida.getByText('When it failed').waitFor();

  // An incident that the rule is about, and the response to it, whole.
  await ida.goto('/settings/notifications?tab=reminders');
  await ida.getByRole('switch', { name: 'Send the whole response in the mail' }).click();
  await ida.getByText('Mails contain the whole response.').first().waitFor();
  await look(ida, 'contents', pictures);
  await send(ida, 'POST', '/api/v1/contacts', { name: 'Ida Berg', kind: 'person', role: 'incidentNotification', email: 'ida@alder.example' });
  await responded({ server, customer: ida, expert: signe, tenantId });
  const [mail] = await until('the mail of the rule', () => to('soc@alder.example').length > 0 && to('soc@alder.example'));
  assert.match(mail, /Subject: Alder Freight: Incident \d+/);
  assert.match(mail, /Medium and worse/);
  const told = await until('the mail about the response', () => to('ida@alder.example').find((one) => /Call kari/.test(one)));
  assert.match(told, /Investigation summary/);
  assert.equal(to('night@alder.example').length, 0, 'nothing has failed');

  // Tested, turned off, removed, and taken back.
  await ida.goto('/settings/notifications?tab=rules');
  await ida.getByRole('button', { name: 'Send a test of Actions that failed' }).click();
  await ida.getByText('Actions that failed: the test has arrived.').first().waitFor();
  assert.match(to('night@alder.example')[0], /This is a test/);
  await ida.getByRole('switch', { name: 'Actions that failed is on' }).click();
  await ida.getByText('Actions that failed is off.').first().waitFor();
  await look(ida, 'list', pictures);
  await ida.getByRole('button', { name: 'Remove Medium and worse' }).click();
  await ida.getByText('No rule is about incidents.').waitFor();
  await ida.getByRole('button', { name: 'Undo' }).click();
  await ida.getByRole('switch', { name: 'Medium and worse is on' }).waitFor();
}
