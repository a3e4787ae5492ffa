// Whoever has to react is reached (NOT-8): the customer writes a ladder and tries it, a response is
// published, and a carrier's stand-in is called, says that nobody answered, and is called for the next one,
// until somebody writes. And a conversation in another language (COM-3), by a service's stand-in.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { Browser, Server, peopled, responded, send, until } from './world.mjs';

const PICTURES = process.env.RIPOSTE_SCREENSHOTS ?? join(tmpdir(), 'riposte-screenshots');
const STORES = { SQLite: null, PostgreSQL: process.env.RIPOSTE_TEST_POSTGRES };
const TOKEN = 'a token of the account’s';

/** An account at a carrier, and a translator: what each was asked for is kept. */
class Outside {
  static async start() {
    const it = new Outside();
    it.calls = [];
    it.translated = [];
    it.dir = mkdtempSync(join(tmpdir(), 'riposte-outside-'));
    it.token = join(it.dir, 'token');
    writeFileSync(it.token, TOKEN);
    it.server = createServer(async (request, response) => {
      const pieces = [];
      for await (const piece of request) pieces.push(piece);
      const [status, body] = it.answer(request, Buffer.concat(pieces).toString());
      response.writeHead(status, { 'content-type': 'application/json', connection: 'close' });
      response.end(JSON.stringify(body));
    });
    it.server.listen(0, '127.0.0.1');
    await once(it.server, 'listening');
    it.url = `http://127.0.0.1:${it.server.address().port}`;
    return it;
  }

  settings() {
    return {
      RIPOSTE_PHONE_ACCOUNT: 'AC0123',
      RIPOSTE_PHONE_TOKEN_FILE: this.token,
      RIPOSTE_PHONE_FROM: '+15005550006',
      RIPOSTE_PHONE_URL: this.url,
      RIPOSTE_TRANSLATION_URL: `${this.url}/v1`,
    };
  }

  answer(request, text) {
    if (request.url === '/v1/chat/completions') {
      const said = JSON.parse(text).messages[1].content;
      this.translated.push(said);
      return [200, { choices: [{ finish_reason: 'stop', message: { content: said === 'She is in the yard.' ? 'Está en el **patio**.' : `ES: ${said}` } }] }];
    }
    const key = `Basic ${Buffer.from(`AC0123:${TOKEN}`).toString('base64')}`;
    if (request.headers.authorization !== key) return [401, { code: 20003 }];
    const form = Object.fromEntries(new URLSearchParams(text));
    this.calls.push(form);
    return [201, { sid: `CA${this.calls.length}`, status: 'queued' }];
  }

  /** Tells how a call ended, as the carrier does. */
  async ended(call, status, token = TOKEN) {
    const form = { CallSid: 'CA1', CallStatus: status };
    const signed = Object.keys(form).sort().reduce((all, name) => all + name + form[name], call.StatusCallback);
    const signature = createHmac('sha1', token).update(signed).digest('base64');
    const answer = await fetch(call.StatusCallback, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', 'x-twilio-signature': signature },
      body: new URLSearchParams(form).toString(),
    });
    return answer.status;
  }

  stop() {
    this.server.close();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

for (const [name, store] of Object.entries(STORES)) {
  const skip = store === undefined && 'RIPOSTE_TEST_POSTGRES names no address';
  test(`who has to react is called, one after the other, on ${name}`, { timeout: 180_000, skip }, async (t) => {
    const outside = await Outside.start();
    const server = await Server.start({ store, settings: outside.settings() });
    const browser = await Browser.open();
    t.after(async () => {
      await browser.close();
      await server.stop();
      outside.stop();
    });
    await journey({ server, browser, outside });
  });
}

async function journey({ server, browser, outside }) {
  const { tenantId, signe, ida } = await peopled(server, browser);
  const choose = async (within, label, option) => {
    await within.getByRole('combobox', { name: label }).click();
    await ida.getByRole('option', { name: option, exact: true }).click();
  };
  mkdirSync(PICTURES, { recursive: true });
  for (const [who, phone] of [['Knut Vakt', '+47 900 00 001'], ['Duty', '+47 900 00 002']]) {
    const email = `${who.toLowerCase().replace(' ', '.')}@alder.example`;
    await send(ida, 'POST', '/api/v1/contacts', { name: who, kind: 'person', email, phone, role: 'incidentNotification' });
  }

  // She writes the ladder and tries the first rung.
  await ida.goto('/settings/notifications?tab=ladder');
  await ida.getByRole('switch', { name: 'Reach people one after the other' }).click();
  await ida.getByRole('checkbox', { name: 'High' }).waitFor();
  for (const who of ['Knut Vakt', 'Duty']) {
    await ida.getByRole('button', { name: 'Add a rung' }).click();
    const rung = ida.getByRole('listitem').filter({ has: ida.getByRole('combobox', { name: 'Contact' }) }).last();
    await choose(rung, 'Contact', who);
    await choose(rung, 'By', 'Call');
  }
  await ida.screenshot({ path: join(PICTURES, 'ladder-written.png'), fullPage: true });
  await ida.getByRole('button', { name: 'Save', exact: true }).click();
  await ida.getByText('The ladder is saved.').first().waitFor();
  await ida.getByRole('button', { name: 'Try it: Knut Vakt by call' }).click();
  const tried = await until('the call that was tried', () => outside.calls[0]);
  assert.equal(tried.To, '+4790000001');
  assert.equal(await outside.ended(tried, 'completed'), 204);

  // A response waits for the customer: the first is called, does not answer, and the second is.
  const { incident } = await responded({ server, customer: ida, expert: signe, tenantId });
  const first = await until('the first call', () => outside.calls[1]);
  assert.equal(first.To, '+4790000001');
  assert.match(first.Twiml, /needs somebody of Alder Freight now/);
  assert.equal(await outside.ended(first, 'no-answer', 'another token'), 401, 'who is not the carrier is not heard');
  assert.equal(await outside.ended(first, 'no-answer'), 204);
  const second = await until('the second call', () => outside.calls[2]);
  assert.equal(second.To, '+4790000002');

  // The experts see who was called.
  await signe.goto(`/incidents/${incident.id}`);
  await signe.getByRole('button', { name: 'Service clocks' }).click();
  const panel = signe.getByRole('dialog', { name: 'Service clocks' });
  await panel.getByText('Knut Vakt').first().waitFor();
  await panel.getByText(/no answer/i).first().waitFor();
  await signe.screenshot({ path: join(PICTURES, 'ladder-log.png') });
  await panel.getByRole('button', { name: 'Close' }).click();

  // Somebody of the customer's writes: nobody is called any more.
  const chat = `/api/v1/conversations/incident-${incident.id}/messages`;
  await send(ida, 'POST', chat, { text: 'She is in the yard.' });
  await until('the ladder rests', async () => {
    const { value } = await (await ida.request.get(`/api/v1/incidents/${incident.id}/escalation`)).json();
    return value[0].standing === 'acknowledged';
  });
  assert.equal(outside.calls.length, 3);

  // The expert reads it in Spanish, as it was written, and in Spanish again.
  await signe.getByRole('button', { name: 'Chat' }).first().click();
  const log = signe.getByRole('log', { name: 'Messages' });
  await log.getByText('She is in the yard.').waitFor();
  await signe.getByRole('combobox', { name: 'Language of the messages' }).click();
  await signe.getByRole('option', { name: 'Español' }).click();
  await log.getByText('Está en el patio.').waitFor();
  await signe.screenshot({ path: join(PICTURES, 'chat-translated.png') });
  const message = log.getByRole('article').filter({ hasText: 'patio' });
  await message.getByRole('button', { name: 'Translated. Show as written' }).click();
  await log.getByText('She is in the yard.').waitFor();
  const asked = outside.translated.length;
  // The address has it that the chat is open.
  await signe.reload();
  await signe.getByRole('combobox', { name: 'Language of the messages' }).click();
  await signe.getByRole('option', { name: 'Español' }).click();
  await log.getByText('Está en el patio.').waitFor();
  assert.equal(outside.translated.length, asked, 'nothing is asked for twice');
  assert.deepEqual(browser.complaints, []);
}
