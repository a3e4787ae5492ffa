// A managed response in a room of a real homeserver, Synapse: one post, answers in its thread in the expert's
// open chat, the expert's word in the thread (COM-5, NOT-4). What is said while the program is down is heard
// when it is back, once; what stands elsewhere, and what programs write, is not.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { Synapse, missing } from './synapse.mjs';
import { Browser, Server, peopled, responded, send, until } from './world.mjs';

const PICTURES = process.env.RIPOSTE_SCREENSHOTS ?? join(tmpdir(), 'riposte-screenshots');
const STORES = { SQLite: null, PostgreSQL: process.env.RIPOSTE_TEST_POSTGRES };

for (const [name, store] of Object.entries(STORES)) {
  const skip = missing() ?? (store === undefined && 'RIPOSTE_TEST_POSTGRES names no address');
  test(`a response is posted in a room of Matrix and talked about below it, on ${name}`, { timeout: 180_000, skip }, async (t) => {
    const matrix = await Synapse.start();
    const server = await Server.start({ store });
    const browser = await Browser.open();
    t.after(async () => {
      await browser.close();
      await server.stop();
      await matrix.stop();
    });
    await journey({ server, browser, matrix });
  });
}

async function journey({ server, browser, matrix }) {
  const { tenantId, signe, ida } = await peopled(server, browser);
  const bot = await matrix.person('riposte', 'Riposte');
  const kari = await matrix.person('kari', 'Kari Nordmann');
  const encryption = { type: 'm.room.encryption', state_key: '', content: { algorithm: 'm.megolm.v1.aes-sha2' } };
  await matrix.room(kari, 'secret', [bot], { initial_state: [encryption] });
  const room = await matrix.room(kari, 'soc', [bot]);
  await matrix.say(kari, room, { msgtype: 'm.text', body: 'Kanarie of before' });

  // The administrator connects the room, as the page asks for it; an encrypted one is refused.
  await ida.goto('/settings/notifications?tab=chat');
  await ida.getByText('No channel is connected yet').waitFor();
  await ida.getByRole('button', { name: 'Connect a channel' }).click();
  const form = ida.getByRole('dialog', { name: 'Connect a channel' });
  await form.getByRole('combobox', { name: 'Chat or service' }).click();
  await ida.getByRole('option', { name: 'Matrix' }).click();
  await form.getByLabel('Homeserver').fill(matrix.url);
  await form.getByLabel('Bot’s access token').fill(bot.token);
  await form.getByLabel('Room').fill('#secret:alder.example');
  await form.getByRole('button', { name: 'Connect', exact: true }).click();
  await form.getByText('cannot be read: take one that is not').waitFor();
  mkdirSync(PICTURES, { recursive: true });
  await ida.screenshot({ path: join(PICTURES, 'matrix-refused.png') });
  await form.getByLabel('Room').fill('#soc:alder.example');
  await form.getByRole('button', { name: 'Connect', exact: true }).click();
  await ida.getByText('Not used yet').waitFor();
  const { value: channels } = await (await ida.request.get('/api/v1/chat-channels')).json();
  assert.equal(channels[0].settings.roomId, room);
  assert.equal(channels[0].known.channel, 'Managed response');
  assert.ok(!JSON.stringify(channels).includes(bot.token), 'secrets are never shown');

  // A break-in, worked by an expert and told with something left to do.
  const { incident, published } = await responded({ server, customer: ida, expert: signe, tenantId, title: 'Fetched @room <b>a payload</b>' });
  const ours = async () => (await matrix.messages(kari, room)).filter((one) => one.sender === bot.id);
  const [post] = await until('the post', async () => ((await ours()).length > 0 ? ours() : null));
  console.log(`# published to post: ${post.origin_server_ts - published} ms`);
  assert.match(post.content.formatted_body, /Fetched @\u200broom &lt;b&gt;a payload&lt;\/b&gt;/);
  assert.deepEqual(post.content['m.mentions'], {});

  // An answer in its thread stands in the expert's open chat, with the name.
  await signe.goto(`/incidents/${incident.id}?response=chat`);
  await signe.getByRole('textbox', { name: 'Message', exact: true }).waitFor();
  const answered = Date.now();
  await matrix.below(kari, room, post.event_id, 'Dock-3 is off. Which one next?');
  const heard = signe.getByRole('article', { name: 'Kari Nordmann, Customer, in Matrix' });
  await heard.getByText('Dock-3 is off.').waitFor();
  console.log(`# answer to open chat: ${Date.now() - answered} ms`);

  // The expert's word stands in the thread.
  await signe.getByRole('textbox', { name: 'Message', exact: true }).fill('Then dock-7, please.');
  await signe.getByRole('button', { name: 'Send', exact: true }).click();
  const word = await until('the word', async () => (await ours()).find((one) => one.content.body.includes('Then dock-7')));
  assert.equal(word.content['m.relates_to'].event_id, post.event_id);
  await signe.screenshot({ path: join(PICTURES, 'matrix-chat-expert.png') });

  // What is said while the program is down, more than one answer of the homeserver holds; in between what is
  // not for it: new posts, notices, edits.
  server.child.kill('SIGKILL');
  await new Promise((resolve) => server.child.once('exit', resolve));
  for (let n = 0; n < 15; n += 1) {
    const said = await matrix.below(kari, room, post.event_id, `Word ${n} of the night.`);
    await matrix.say(kari, room, { msgtype: 'm.text', body: 'Kanarie of a new post' });
    await matrix.below(kari, room, post.event_id, 'Kanarie of a program', { msgtype: 'm.notice' });
    const edit = { msgtype: 'm.text', body: '* Kanarie of an edit', 'm.new_content': { msgtype: 'm.text', body: 'Kanarie' }, 'm.relates_to': { rel_type: 'm.replace', event_id: said } };
    if (n === 3) await matrix.say(kari, room, edit);
  }
  await server.serve();
  const texts = async () => {
    const path = `/api/v1/conversations/incident-${incident.id}`;
    const { messages } = await (await signe.request.get(path)).json();
    return messages.filter((one) => one.via === 'matrix').map((one) => one.text);
  };
  const all = await until('the words of the night', async () => ((await texts()).length >= 16 ? texts() : null), 30);
  const night = Array.from({ length: 15 }, (_, n) => `Word ${n} of the night.`);
  assert.deepEqual(all, ['Dock-3 is off. Which one next?', ...night], 'each once, in order');

  // The homeserver is down, and comes back: what an expert said meanwhile stands there once.
  await matrix.halt();
  await send(signe, 'POST', `/api/v1/conversations/incident-${incident.id}/messages`, { text: 'Said into the dark.' });
  await until('a failed attempt', async () => {
    const { value } = await (await ida.request.get('/api/v1/deliveries?channel=matrix')).json();
    return value.some((one) => one.state === 'waiting' && one.attempts > 0);
  });
  await matrix.serve();
  const dark = async () => (await ours()).filter((one) => one.content.body.includes('Said into the dark.'));
  await until('the word in the dark', async () => (await dark()).length > 0, 60);
  assert.equal((await dark()).length, 1);

  // The bot is thrown out, and the page says so.
  await matrix.ask(kari, 'POST', `/rooms/${encodeURIComponent(room)}/kick`, { user_id: bot.id });
  await until('the trouble', async () => {
    const { value } = await (await ida.request.get('/api/v1/chat-channels')).json();
    return value[0].trouble?.kind === 'notMember';
  }, 30);
  await ida.reload();
  await ida.getByText('The app is not in the channel.').waitFor();
  await ida.screenshot({ path: join(PICTURES, 'matrix-settings.png'), fullPage: true });
  // Invited again, a test goes in by itself.
  await matrix.ask(kari, 'POST', `/rooms/${encodeURIComponent(room)}/invite`, { user_id: bot.id });
  await send(ida, 'POST', `/api/v1/chat-channels/${channels[0].id}/test`, {});
  await until('the test', async () => (await ours()).some((one) => one.content.body.includes('This is a test')), 30);
  assert.equal((await ours()).filter((one) => !one.content['m.relates_to']).length, 2, 'one post for the incident, and the test');
  await ida.reload();
  await ida.getByText('Works', { exact: true }).waitFor();
  assert.deepEqual(browser.complaints, []);
}
