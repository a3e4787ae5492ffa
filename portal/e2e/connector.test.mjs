// A connector from nothing to a task that is one click: the administrator connects a directory, a task
// on one of its users is carried out and read back, and what goes wrong with it is told where it is
// looked for.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { Browser, Directory, Server, peopled, send } from './world.mjs';

const KARI = 'kari@alder.example';

test('a directory is connected, acts with one click, and says when it does not', { timeout: 180_000 }, async () => {
  const server = await Server.start({});
  const browser = await Browser.open();
  const directory = await Directory.start([KARI]);
  try {
    await journey(server, browser, directory);
  } finally {
    await browser.close();
    await server.stop();
    directory.stop();
  }
});

async function journey(server, browser, directory) {
  const { tenantId, signe, ida } = await peopled(server, browser);

  // Connected through the form, and what the server refuses stands beside its field.
  await ida.goto('/settings/connectors');
  await ida.getByRole('heading', { name: 'No product is connected yet' }).waitFor();
  await ida.getByRole('button', { name: 'Add a connector' }).click();
  const panel = ida.getByRole('dialog', { name: 'Add a connector' });
  await panel.getByLabel('Name').fill('Alder directory');
  await panel.getByLabel('Interface').fill(directory.url);
  await panel.getByLabel('Token address').fill('http://192.0.2.7/token');
  await panel.getByLabel('Client id').fill(directory.client.id);
  await panel.getByLabel('Client secret').fill('not the secret');
  await panel.getByRole('button', { name: 'Add', exact: true }).click();
  await panel.getByText(/must begin with https/).waitFor();
  await panel.getByLabel('Token address').fill(`${directory.url}/token`);
  await panel.getByRole('button', { name: 'Add', exact: true }).click();
  await panel.waitFor({ state: 'detached' });
  const part = ida.getByRole('region', { name: 'Alder directory' });
  await part.getByText('Not used yet').waitFor();
  await part.getByText(/Disable user/).waitFor();

  // A wrong secret is told, put right, and never shown.
  await part.getByRole('button', { name: 'Test Alder directory' }).click();
  await part.getByText('Last contact failed').waitFor();
  await part.getByText('Microsoft Graph gives no token: it answered 401').waitFor();
  await part.getByRole('button', { name: 'Edit Alder directory' }).click();
  const edit = ida.getByRole('dialog', { name: 'Edit Alder directory' });
  assert.equal(await edit.getByLabel('Client secret').inputValue(), '');
  await edit.getByLabel('Client secret').fill(directory.client.secret);
  await edit.getByRole('button', { name: 'Save' }).click();
  await edit.waitFor({ state: 'detached' });
  await part.getByRole('button', { name: 'Test Alder directory' }).click();
  await part.getByText('Works', { exact: true }).waitFor();
  assert.ok(!(await (await ida.request.get('/api/v1/connectors')).text()).includes(directory.client.secret));

  // A task on one of its users is one click, and done when it was read back.
  const at = new Date().toISOString();
  const file = join(server.dir, 'alert.json');
  writeFileSync(file, JSON.stringify({
    id: 'edr-1', providerAlertId: 'edr-1', title: 'Sign-in from two countries', severity: 'high', category: 'InitialAccess',
    createdDateTime: at, lastUpdateDateTime: at, firstActivityDateTime: at, lastActivityDateTime: at,
    serviceSource: 'microsoftDefenderForEndpoint', productName: 'Identity protection',
    evidence: [{ '@odata.type': '#microsoft.graph.security.userEvidence', userAccount: { accountName: 'kari', userPrincipalName: KARI } }],
  }));
  await server.command('import', '--tenant', tenantId, file);
  let incident;
  for (let tries = 0; !incident && tries < 100; tries += 1) {
    incident = (await (await ida.request.get('/api/v1/incidents')).json()).value[0]?.id;
    if (!incident) await ida.waitForTimeout(100);
  }
  await send(ida, 'PUT', '/api/v1/grant', { level: 'reader', approval: 'automatic', endDateTime: null });
  await send(signe, 'POST', '/api/v1/access', { tenantId, level: 'reader', reason: 'Looking at the sign-in.', hours: 1 });
  await send(signe, 'POST', `/api/v1/incidents/${incident}/start`, {});
  for (const actionType of ['disableUser', 'markUserAsCompromised']) {
    await send(signe, 'POST', `/api/v1/incidents/${incident}/tasks`, { actionType, target: { kind: 'user', id: KARI }, options: {}, description: 'The second sign-in was not hers.' });
  }
  await send(signe, 'POST', `/api/v1/incidents/${incident}/publish`, {
    classification: 'truePositive', determination: 'compromisedUser', summary: 'Somebody else signed in as Kari.',
  });
  await ida.goto(`/incidents/${incident}?tab=response`);
  const card = (name) => ida.getByRole('article', { name });
  const open = async (name) => {
    const head = card(name).getByRole('button', { name }).first();
    if ((await head.getAttribute('aria-expanded')) === 'false') await head.click();
  };
  await card(/^Disable user/).waitFor();
  await open(/^Disable user/);
  await card(/^Disable user/).getByRole('button', { name: 'Disable user', exact: true }).click();
  const dialog = ida.getByRole('dialog', { name: /Disable user/ });
  await dialog.getByText('Alder directory').waitFor();
  assert.equal(await dialog.getByText('Offline now').count(), 0);
  assert.equal(directory.users.get(KARI).accountEnabled, true);
  await dialog.getByRole('button', { name: /^Disable user/ }).click();
  await dialog.waitFor({ state: 'detached' });
  await card(/^Disable user/).getByText('Completed').first().waitFor();
  assert.equal(directory.users.get(KARI).accountEnabled, false);
  // What no connector can do is done by hand.
  await open(/^Mark user as compromised/);
  await card(/^Mark user as compromised/).getByRole('button', { name: "I've completed this action" }).waitFor();
  assert.equal(await card(/^Mark user as compromised/).getByRole('button', { name: 'Mark user as compromised', exact: true }).count(), 0);

  await ida.goto('/settings/connectors');
  await part.getByRole('button', { name: 'Remove Alder directory' }).click();
  await ida.getByRole('dialog').getByRole('button', { name: 'Remove Alder directory' }).click();
  await ida.getByRole('heading', { name: 'No product is connected yet' }).waitFor();
  assert.deepEqual(browser.complaints, [], 'nothing complained in a console');
}
