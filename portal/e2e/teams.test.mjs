// A managed response in Microsoft's own playground for bots of Teams: a card in the channel, an answer below
// it in the expert's open chat, the expert's word below the card (COM-5, NOT-4). Tokens are checked on both
// sides; new posts and forged activities stay outside.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { BOT, CHANNEL, Playground, SECRET, TENANT, missing } from './playground.mjs';
import { Browser, Server, peopled, responded } from './world.mjs';

const PICTURES = process.env.RIPOSTE_SCREENSHOTS ?? join(tmpdir(), 'riposte-screenshots');
const STORES = { SQLite: null, PostgreSQL: process.env.RIPOSTE_TEST_POSTGRES };

for (const [name, store] of Object.entries(STORES)) {
  const skip = missing() ?? (store === undefined && 'RIPOSTE_TEST_POSTGRES names no address');
  test(`a response is posted in Teams and talked about below its card, on ${name}`, { timeout: 180_000, skip }, async (t) => {
    const teams = await Playground.start();
    const server = await Server.start({ store, settings: teams.settings() });
    const browser = await Browser.open();
    t.after(async () => {
      await browser.close();
      await server.stop();
      await teams.stop();
    });
    await journey({ server, browser, teams });
  });
}

async function journey({ server, browser, teams }) {
  const { tenantId, signe, ida } = await peopled(server, browser);

  // The administrator connects the channel, as the page asks for it.
  await ida.goto('/settings/notifications?tab=chat');
  await ida.getByText('No channel is connected yet').waitFor();
  await ida.getByRole('button', { name: 'Connect a channel' }).click();
  const form = ida.getByRole('dialog', { name: 'Connect a channel' });
  await form.getByLabel('Organisation id').fill(TENANT);
  await form.getByLabel('Bot’s app id').fill(BOT);
  await form.getByLabel('Client secret').fill(SECRET);
  const link = `https://teams.microsoft.com/l/channel/${encodeURIComponent(CHANNEL)}/Managed%20response?tenantId=${TENANT}`;
  await form.getByRole('textbox', { name: 'Channel' }).fill(link);
  mkdirSync(PICTURES, { recursive: true });
  await ida.screenshot({ path: join(PICTURES, 'chat-connect.png') });
  await form.getByRole('button', { name: 'Connect', exact: true }).click();
  await ida.getByText('Not used yet').waitFor();
  const { value: channels } = await (await ida.request.get('/api/v1/chat-channels')).json();
  assert.equal(channels[0].settings.channelId, CHANNEL);
  assert.ok(!JSON.stringify(channels).includes(SECRET), 'secrets are never shown');
  await teams.open(channels[0].eventsUrl);

  // The channel, as somebody of the customer's sees it in Teams.
  const context = await browser.chromium.newContext({ viewport: { width: 1360, height: 900 } });
  const kari = await context.newPage();
  kari.setDefaultTimeout(15_000);
  await kari.goto(`http://127.0.0.1:${teams.port}/`);
  await kari.getByText('Managed response').first().click();

  // A break-in, worked by an expert and told with something left to do.
  const { incident, published } = await responded({ server, customer: ida, expert: signe, tenantId, title: 'Fetched <at>everyone</at> **a payload**' });

  // The card is in the channel; what the alert is called stands there as text.
  await kari.getByText('Fjordwatch needs you on an incident').waitFor();
  console.log(`# published to card: ${Date.now() - published} ms`);
  await kari.getByText('Call kari').waitFor();
  await kari.getByText('<at>everyone</at> **a payload**').first().waitFor();
  await kari.getByText('Open the managed response').waitFor();
  await kari.screenshot({ path: join(PICTURES, 'teams-card.png') });

  // An answer below it stands in the expert's open chat, with the name.
  await signe.goto(`/incidents/${incident.id}?response=chat`);
  await signe.getByRole('textbox', { name: 'Message', exact: true }).waitFor();
  await answer(kari, 'Dock-3 is off. Which one next?');
  const heard = signe.getByRole('article', { name: 'Kari Nordmann, Customer, in Teams' });
  await heard.getByText('Dock-3 is off.').waitFor();

  // The expert's word stands below the card.
  await signe.getByRole('textbox', { name: 'Message', exact: true }).fill('Then dock-7, please.');
  await signe.getByRole('button', { name: 'Send', exact: true }).click();
  await kari.getByText('Then dock-7, please.').waitFor();
  await kari.screenshot({ path: join(PICTURES, 'teams-thread.png') });
  await signe.screenshot({ path: join(PICTURES, 'teams-chat-expert.png') });

  // A new post is not seen by experts, and a forged activity is nobody's.
  await fresh(kari, 'Kanarie of a new post');
  const forged = { type: 'message', id: 'x', text: 'Kanarie forged' };
  for (const token of [teams.token({ aud: TENANT }), `${teams.token().slice(0, -4)}AAAA`, '']) {
    const reply = await fetch(channels[0].eventsUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify(forged),
    });
    assert.equal(reply.status, 401);
  }
  await answer(kari, 'Both are off.');
  await signe.getByText('Both are off.').waitFor();
  assert.equal(await signe.getByText('Kanarie').count(), 0);
  assert.deepEqual(teams.refused, [], 'the bot shows its token each time');
  const { value: deliveries } = await (await ida.request.get('/api/v1/deliveries?channel=teams')).json();
  assert.ok(deliveries.length >= 3 && deliveries.every((one) => one.attempts <= 1), JSON.stringify(deliveries.map((one) => [one.kind, one.state])));
  await ida.reload();
  await ida.getByText('A request in its name was refused.').waitFor();
  await ida.getByText('Works', { exact: true }).waitFor();
  await ida.screenshot({ path: join(PICTURES, 'chat-settings.png'), fullPage: true });
  assert.deepEqual(browser.complaints, []);
}

/** Teams tells a bot only of what mentions it. */
async function mention(page, text) {
  await page.keyboard.type('@');
  await page.getByRole('menuitem', { name: 'Riposte' }).click();
  await page.keyboard.type(` ${text}`);
}

/** Writes below the newest post. */
async function answer(page, text) {
  await page.getByRole('textbox').last().click();
  await mention(page, text);
  await page.getByRole('button', { name: 'Send Message' }).last().click();
}

/** Begins a new post in the channel. */
async function fresh(page, text) {
  await page.getByRole('textbox').first().click();
  await mention(page, text);
  await page.getByRole('button', { name: 'Post', exact: true }).click();
}

// The setup makes the team (ONB-6): a stand-in of Microsoft Graph takes its time over it, and first lacks
// a permission.
test('a team and its channel are made in the setup', { timeout: 90_000 }, async (t) => {
  const team = '99999999-8888-4777-8666-555555555555';
  let [lacks, asked, made] = [true, 0, 0];
  const graph = createServer((request, response) => {
    const say = (status, body, headers = {}) => {
      response.writeHead(status, { 'content-type': 'application/json', connection: 'close', ...headers });
      response.end(JSON.stringify(body));
    };
    request.resume();
    if (request.url.endsWith('/oauth2/v2.0/token')) return say(200, { access_token: 'graph', expires_in: 3_599 });
    if (request.method === 'GET' && request.url.startsWith('/teams?')) return say(200, { value: [] });
    if (request.method === 'POST' && request.url === '/teams') {
      if (lacks) return say(403, { error: { code: 'Forbidden' } });
      made += 1;
      return say(202, {}, { 'content-location': `/teams('${team}')` });
    }
    if (request.url.startsWith(`/teams/${team}/channels`)) {
      asked += 1;
      return asked < 2 ? say(404, {}) : say(200, { value: [{ id: CHANNEL, displayName: 'Managed response' }] });
    }
    return say(200, { value: [] });
  });
  graph.listen(0, '127.0.0.1');
  await once(graph, 'listening');
  const url = `http://127.0.0.1:${graph.address().port}`;
  const server = await Server.start({ settings: { RIPOSTE_CHAT_TEAMS_LOGIN: url, RIPOSTE_CHAT_TEAMS_GRAPH: url } });
  const browser = await Browser.open();
  t.after(async () => {
    await browser.close();
    await server.stop();
    graph.close();
  });
  const { ida } = await peopled(server, browser);
  await ida.goto('/settings/notifications?tab=chat');
  await ida.getByRole('button', { name: 'Connect a channel' }).click();
  const form = ida.getByRole('dialog', { name: 'Connect a channel' });
  await form.getByLabel('Organisation id').fill(TENANT);
  await form.getByLabel('Bot’s app id').fill(BOT);
  await form.getByLabel('Client secret').fill(SECRET);
  await form.getByRole('button', { name: 'Make the team' }).click();
  await form.getByText(/application permission Team\.Create with/).waitFor();
  lacks = false;
  await form.getByRole('button', { name: 'Make the team' }).click();
  await form.getByText('Microsoft is making the team.').first().waitFor();
  await form.getByText('The team and its channel are there.').waitFor();
  await form.getByText(/upload its package/).waitFor();
  assert.equal(await form.getByRole('textbox', { name: 'Channel' }).inputValue(), CHANNEL);
  assert.equal(made, 1);
  mkdirSync(PICTURES, { recursive: true });
  await form.getByRole('button', { name: 'Make the team' }).scrollIntoViewIfNeeded();
  await ida.screenshot({ path: join(PICTURES, 'team-made.png') });
});
