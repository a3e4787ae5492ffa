// The whole way: a provider sets itself up, a customer is invited and grants, an expert asks to come
// in, works an incident, and the customer sees it and ends the grant.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { Browser, IdentityProvider, PASSWORD, Server, confirmApp, nextCode, setUpWithPasskey, setUpWithPassword } from './world.mjs';

const alert = {
  id: 'edr-1',
  providerAlertId: 'edr-1',
  title: 'Script interpreter fetched a payload',
  severity: 'medium',
  category: 'Execution',
  serviceSource: 'microsoftDefenderForEndpoint',
  detectionSource: 'microsoftDefenderForEndpoint',
  createdDateTime: new Date().toISOString(),
  firstActivityDateTime: new Date().toISOString(),
  lastActivityDateTime: new Date().toISOString(),
  lastUpdateDateTime: new Date().toISOString(),
  evidence: [
    { '@odata.type': '#microsoft.graph.security.deviceEvidence', deviceDnsName: 'desk-14.alder.example', hostName: 'desk-14', osPlatform: 'Windows11' },
    { '@odata.type': '#microsoft.graph.security.userEvidence', userAccount: { userPrincipalName: 'bea@alder.example' } },
  ],
};

/** Invites somebody on the People page; gives the link. */
async function invite(page, email, role) {
  await page.goto('/settings/people');
  await page.getByRole('button', { name: 'Invite' }).first().click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('E-mail').fill(email);
  await dialog.getByRole('combobox').click();
  await page.getByRole('option', { name: role, exact: true }).click();
  await dialog.getByRole('button', { name: 'Create the link' }).click();
  return link(page);
}

async function link(page) {
  const shown = page.getByRole('dialog').locator('code');
  await shown.waitFor();
  const url = await shown.textContent();
  await page.getByRole('button', { name: 'Done' }).click();
  return url;
}

/** Signs in by way of the identity provider's own pages. */
async function signInWithProvider(page, login, back) {
  await page.goto(`/sign-in?return=${encodeURIComponent(back)}`);
  await page.getByLabel('Work e-mail').fill(`${login}@alder.example`);
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByRole('button', { name: 'Continue with Alder login' }).click();
  await page.locator('input[name=login]').fill(login);
  await page.locator('input[name=password]').fill('anything');
  await page.locator('button[type=submit]').click();
  await page.locator('form[action*="/interaction/"] button[type=submit]').click();
}

const STORES = { SQLite: null, PostgreSQL: process.env.RIPOSTE_TEST_POSTGRES };

for (const [name, store] of Object.entries(STORES)) {
  // Where there is no PostgreSQL, `riposte-lab postgres run` makes one.
  const skip = store === undefined && 'RIPOSTE_TEST_POSTGRES names no address';
  test(`from an empty store to a concluded incident and an ended grant, on ${name}`, { timeout: 300_000, skip }, async (t) => {
    const server = await Server.start({ store });
    const browser = await Browser.open();
    t.after(async () => {
      await browser.close();
      await server.stop();
    });
    await journey(t, server, browser);
  });
}

async function journey(t, server, browser) {
  let provider;
  t.after(() => provider?.stop());
  // What comes after a step that failed would only say so again.
  let failed = false;
  const step = (name, act) =>
    t.test(name, async (inner) => {
      if (failed) return inner.skip('an earlier step failed');
      failed = true;
      await act();
      failed = false;
    });
  const { setupUrl } = await server.command('init', '--provider', 'Fjordwatch', '--admin', 'odd@fjordwatch.example');
  await server.serve();

  const odd = await browser.person(server.url, { passkey: true });
  const mikkel = await browser.person(server.url);
  const signe = await browser.person(server.url, { passkey: true });
  const ida = await browser.person(server.url);
  let leadLink;
  let expertLink;
  let customerLink;
  let idasApp;

  await step('the provider is set up by its link, with a passkey', async () => {
    await setUpWithPasskey(odd, setupUrl, 'Odd Nes');
    leadLink = await invite(odd, 'mikkel@fjordwatch.example', 'Lead');
    expertLink = await invite(odd, 'signe@fjordwatch.example', 'Expert');
  });

  await step('the link works once', async () => {
    const again = await browser.person(server.url);
    await again.goto(new URL(setupUrl).pathname + new URL(setupUrl).hash);
    await again.getByText('This link does not work any more').waitFor();
  });

  await step('a customer is added and its administrator invited', async () => {
    await odd.goto('/customers');
    await odd.getByRole('button', { name: 'Add a customer' }).click();
    await odd.getByRole('dialog').getByLabel('Name').fill('Alder Freight');
    await odd.getByRole('dialog').getByRole('button', { name: 'Add' }).click();
    await odd.getByRole('button', { name: 'Invite administrator' }).click();
    await odd.getByRole('dialog').getByLabel('E-mail').fill('ida@alder.example');
    await odd.getByRole('dialog').getByRole('button', { name: /link/i }).click();
    customerLink = await link(odd);
  });

  await step('the others set up a password with an authenticator app, or a passkey', async () => {
    await setUpWithPassword(mikkel, leadLink, 'Mikkel Dahl');
    await mikkel.getByLabel('I have put them somewhere safe').check();
    await mikkel.getByRole('button', { name: 'Go to Riposte' }).click();
    await setUpWithPasskey(signe, expertLink, 'Signe Holm');
    idasApp = await setUpWithPassword(ida, customerLink, 'Ida Berg');
    await ida.getByLabel('I have put them somewhere safe').check();
    await ida.getByRole('button', { name: 'Go to Riposte' }).click();
    await ida.getByRole('navigation').first().waitFor();
  });

  await step('signing in again takes both factors, or the passkey', async () => {
    const sign = await browser.person(server.url);
    await sign.goto('/sign-in');
    await sign.getByLabel('Work e-mail').fill('ida@alder.example');
    await sign.getByRole('button', { name: 'Continue' }).click();
    await sign.getByLabel('Password').fill(PASSWORD);
    await sign.getByRole('button', { name: 'Continue' }).click();
    const field = sign.getByLabel('Code or recovery code');
    await field.waitFor();
    // The code that confirmed the app counts no more; the next one does.
    await field.fill(await nextCode(idasApp));
    await sign.getByRole('button', { name: 'Sign in' }).click();
    await sign.getByRole('navigation').first().waitFor();
    await sign.context().close();

    await signe.context().clearCookies();
    await signe.goto('/sign-in');
    await signe.getByRole('button', { name: 'Sign in with a passkey' }).click();
    await signe.getByRole('navigation').first().waitFor();
  });

  await step('an alert becomes an incident that the expert does not see before the grant', async () => {
    const { value } = await (await odd.request.get('/api/v1/tenants')).json();
    const file = join(server.dir, 'alert.json');
    writeFileSync(file, JSON.stringify(alert));
    const outcome = await server.command('import', '--tenant', value[0].id, file);
    assert.equal(outcome.accepted, 1);
    await ida.goto('/incidents?severity=all&period=all');
    await ida.getByText('Script interpreter fetched a payload').first().waitFor();
    await signe.goto('/incidents?severity=all&period=all');
    await signe.getByText(/no incident/i).first().waitFor();
  });

  await step('the customer grants Reader; the expert asks, the lead approves', async () => {
    await ida.goto('/settings/permissions');
    await ida.getByRole('radio', { name: /Investigate incidents and guide my responses/ }).check();
    await ida.getByRole('radio', { name: /lead of the provider/i }).check();
    await ida.getByRole('button', { name: 'Grant' }).click();
    await ida.getByText(/Experts now have/).first().waitFor();

    await signe.goto('/incidents?severity=all&period=all');
    await signe.getByRole('link', { name: /Script interpreter fetched a payload/ }).first().click();
    await signe.getByText('Script interpreter fetched a payload').first().waitFor();
    const { value } = await (await signe.request.get('/api/v1/incidents')).json();
    await signe.goto(`/incidents/${value[0].id}`);
    await signe.getByRole('button', { name: 'Request access' }).click();
    await signe.getByRole('dialog').getByLabel('Reason').fill('A payload was fetched; need the device timeline.');
    await signe.getByRole('dialog').getByRole('button', { name: 'Request access' }).click();
    await signe.getByText(/The request went to/).first().waitFor();

    await mikkel.goto('/access?state=requested');
    await mikkel.getByRole('button', { name: 'Approve' }).first().click();
    await mikkel.getByText(/need the device timeline/).first().waitFor();
    await assert.doesNotReject(async () => {
      for (let tries = 0; tries < 50; tries += 1) {
        const seen = await (await signe.request.get(`/api/v1/incidents/${value[0].id}`)).json();
        if (seen.may.open.allowed) return;
        await signe.waitForTimeout(100);
      }
      throw new Error('the expert is not inside');
    });
  });

  await step('the expert takes it up and concludes: false positive, resolved', async () => {
    await signe.reload();
    await signe.getByRole('button', { name: 'Take up' }).click();
    await signe.getByText(/is yours/).first().waitFor();
    await signe.getByRole('button', { name: 'Conclude' }).click();
    const dialog = signe.getByRole('dialog');
    await dialog.getByRole('combobox', { name: /Classification/ }).click();
    await signe.getByRole('option', { name: 'False positive' }).click();
    await dialog.getByRole('combobox', { name: /Determination/ }).click();
    await signe.getByRole('option', { name: 'Not malicious' }).click();
    await dialog.getByLabel('Investigation summary').fill('The deployment tool of the customer, signed by its maker.');
    await dialog.getByRole('button', { name: 'Conclude' }).click();
    await signe.getByText(/is concluded/).first().waitFor();
  });

  await step('the customer sees every step', async () => {
    const { value } = await (await ida.request.get('/api/v1/incidents')).json();
    const incident = value[0];
    assert.equal(incident.status, 'resolved');
    assert.equal(incident.classification, 'falsePositive');
    const log = await (await ida.request.get(`/api/v1/incidents/${incident.id}/timeline`)).json();
    const kinds = log.value.map((entry) => entry.kind);
    for (const kind of ['access.requested', 'access.approved', 'incident.started', 'incident.concluded']) {
      assert.ok(kinds.includes(kind), `${kind} in ${kinds}`);
    }
    await ida.goto(`/incidents/${incident.id}?tab=activities`);
    await ida.getByText(/signe@fjordwatch\.example/).first().waitFor();
    await ida.goto('/access');
    await ida.getByText('need the device timeline').first().waitFor();
  });

  await step('the grant ends with one click and the open page is refused within a second', async () => {
    const { value } = await (await ida.request.get('/api/v1/incidents')).json();
    const path = `/api/v1/incidents/${value[0].id}`;
    await signe.goto(`/incidents/${value[0].id}`);
    await signe.getByText('desk-14').first().waitFor();
    await ida.goto('/settings/permissions');
    await ida.getByRole('radio', { name: /No access/ }).check();
    await ida.getByRole('button', { name: 'End the permission' }).click();
    await ida.getByText(/Experts now have/).first().waitFor();
    const ended = Date.now();
    // The page itself notices, without anybody touching it.
    await signe.getByText(/does not exist|no longer|not found|has ended|could not/i).first().waitFor({ timeout: 5_000 });
    const took = Date.now() - ended;
    assert.equal((await signe.request.get(path)).status(), 404);
    assert.ok(took < 1_000, `the open page was refused after ${took} ms`);
  });

  await step('who is signed out by somebody else sees the sign-in page within a second', async () => {
    await signe.goto('/customers?all=1');
    await signe.getByRole('heading', { level: 1, name: 'Customers' }).waitFor();
    await odd.goto('/settings/people');
    await odd.getByRole('button', { name: 'Actions for Signe Holm' }).click();
    await odd.getByRole('menuitem', { name: 'Sign out everywhere' }).click();
    await odd.getByText('Signe Holm is signed out everywhere').first().waitFor();
    const ended = Date.now();
    await signe.getByRole('heading', { name: 'Sign in' }).waitFor({ timeout: 5_000 });
    const took = Date.now() - ended;
    assert.ok(took < 1_000, `the sign-in page came after ${took} ms`);
    await signe.getByRole('button', { name: 'Sign in with a passkey' }).click();
    await signe.getByRole('heading', { level: 1, name: 'Customers' }).waitFor();
    assert.match(signe.url(), /\/customers\?all=1$/);
  });

  await step('the customer names its identity provider, having shown a factor again', async () => {
    provider = await IdentityProvider.start(server, {
      knut: { email: 'knut@alder.example', email_verified: true, name: 'Knut Aas', groups: ['soc'], amr: ['pwd', 'otp'] },
      gro: { email: 'gro@alder.example', email_verified: true, name: 'Gro Lie', groups: ['chess'], amr: ['pwd', 'otp'] },
    });
    await ida.goto('/settings/sign-in');
    await ida.getByRole('button', { name: 'Add an identity provider' }).click();
    const form = ida.getByRole('dialog');
    await form.getByText(`${server.url}/sign-in/oidc/callback`).waitFor();
    await form.getByLabel('Name').fill('Alder login');
    await form.getByLabel('Issuer').fill('https://192.0.2.1');
    await form.getByLabel('Client id').fill(provider.client.id);
    await form.getByLabel('Client secret').fill(provider.client.secret);
    assert.equal(await form.getByLabel('Mail domain').inputValue(), 'alder.example');
    await form.getByRole('button', { name: 'Add a group' }).click();
    await form.getByLabel('Group', { exact: true }).fill('soc');
    await form.getByRole('combobox', { name: 'Role' }).click();
    await ida.getByRole('option', { name: 'Security Operator' }).click();
    await form.getByRole('button', { name: 'Add', exact: true }).click();
    // The refusal stands at the field it is about.
    await form.getByText(/cannot be used/).waitFor();
    assert.equal(await form.getByLabel('Issuer').getAttribute('aria-invalid'), 'true');
    await form.getByLabel('Issuer').fill(provider.issuer);
    // Five minutes are not waited for: the server's refusal is put in its place, once.
    await ida.route('**/api/v1/identity-providers', (route) =>
      route.fulfill({ status: 403, json: { error: { code: 'StepUpRequired', message: 'show a factor again' } } }), { times: 1 });
    await form.getByRole('button', { name: 'Add', exact: true }).click();
    const proof = ida.getByRole('dialog', { name: 'Confirm that it is you' });
    await proof.getByLabel('Code').fill(await nextCode(idasApp));
    await proof.getByRole('button', { name: 'Confirm' }).click();
    await ida.getByText('People may now sign in with Alder login').first().waitFor();
    await ida.getByRole('heading', { name: 'Alder login' }).waitFor();
    await ida.getByText('soc → Security Operator').waitFor();
  });

  await step('a new person of the customer signs in there and is inside, with the role of its group', async () => {
    const knut = await browser.person(server.url);
    await signInWithProvider(knut, 'knut', '/incidents?status=all&severity=all&period=all');
    await knut.getByText('Script interpreter fetched a payload').first().waitFor();
    const session = await (await knut.request.get('/api/v1/session')).json();
    assert.equal(session.role, 'Security Operator');
    assert.equal(session.authenticatedBy, 'oidc');
    assert.match(knut.url(), /\/incidents\?status=all/);

    // Without a group that stands for a role nobody comes in.
    const gro = await browser.person(server.url);
    await signInWithProvider(gro, 'gro', '/');
    await gro.getByText('That did not work').waitFor();
  });

  await step('where our own second factor counts, the first time sets an app up and the next time asks for it', async () => {
    await ida.goto('/settings/sign-in');
    const { value } = await (await ida.request.get('/api/v1/identity-providers')).json();
    await ida.getByRole('button', { name: 'Remove Alder login' }).click();
    await ida.getByRole('dialog').getByRole('button', { name: 'Remove Alder login' }).click();
    await ida.getByText('No identity provider yet').waitFor();
    const { id, createdDateTime, ...settings } = value[0];
    assert.ok(id && createdDateTime);
    const again = await ida.request.post('/api/v1/identity-providers', {
      data: { ...settings, clientSecret: provider.client.secret, factor: 'ours' },
      headers: { 'X-Riposte': '1' },
    });
    assert.equal(again.status(), 201);

    const knut = await browser.person(server.url);
    await signInWithProvider(knut, 'knut', '/account');
    await knut.getByRole('heading', { name: 'Add an authenticator app' }).waitFor();
    const app = await confirmApp(knut);
    await knut.getByLabel('I have put them somewhere safe').check();
    await knut.getByRole('button', { name: 'Go to Riposte' }).click();
    await knut.getByRole('heading', { name: 'Sessions and passkeys' }).waitFor();

    await knut.context().clearCookies();
    await signInWithProvider(knut, 'knut', '/account');
    await knut.getByLabel('Code or recovery code').fill(await nextCode(app));
    await knut.getByRole('button', { name: 'Sign in' }).click();
    await knut.getByRole('heading', { name: 'Sessions and passkeys' }).waitFor();
  });

  assert.deepEqual(browser.complaints, [], 'nothing complained in a console');
}
