// A conversation by mail, through a real mail server: a published response reaches a contact's mailbox,
// the answer stands in the expert's open chat, the expert's word in the customer's, in the thread of mails and
// in Microsoft's playground for Teams where that can be had (COM-5, COM-8, NOT-4, NOT-5). What is forged stays
// outside.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { BOT, CHANNEL, Playground, SECRET, TENANT, missing as noTeams } from './playground.mjs';
import { Postfix, missing } from './postfix.mjs';
import { Browser, Server, freePort, peopled, responded, send, until } from './world.mjs';

const PICTURES = process.env.RIPOSTE_SCREENSHOTS ?? join(tmpdir(), 'riposte-screenshots');
const STORES = { SQLite: null, PostgreSQL: process.env.RIPOSTE_TEST_POSTGRES };

for (const [name, store] of Object.entries(STORES)) {
  const skip = missing() ?? (store === undefined && 'RIPOSTE_TEST_POSTGRES names no address');
  test(`a response is told, answered and talked about by mail, on ${name}`, { timeout: 180_000, skip }, async (t) => {
    const [world, alder, lmtp] = [await freePort(), await freePort(), await freePort()];
    const postfix = await Postfix.start({ world, alder, lmtp });
    const teams = noTeams() ? null : await Playground.start();
    const server = await Server.start({
      store,
      settings: {
        RIPOSTE_MAIL_SMTP: `smtp://127.0.0.1:${world}`,
        RIPOSTE_MAIL_FROM: 'Fjordwatch <soc@fjordwatch.example>',
        RIPOSTE_MAIL_REPLIES: 'reply@mdr.fjordwatch.example',
        RIPOSTE_MAIL_LMTP: `127.0.0.1:${lmtp}`,
        RIPOSTE_MAIL_AUTHORITY: 'mx.fjordwatch.example',
        ...teams?.settings(),
      },
    });
    const browser = await Browser.open();
    t.after(async () => {
      await browser.close();
      await server.stop();
      await postfix.stop();
      await teams?.stop();
    });
    await journey({ server, browser, postfix, teams });
  });
}

/** A header of a mail, unfolded. */
const header = (mail, name) => {
  const head = mail.split(/\r?\n\r?\n/)[0].replace(/\r?\n[ \t]+/g, ' ');
  return head.match(new RegExp(`^${name}: (.*)$`, 'mi'))?.[1].trim();
};
const whole = (mail) => mail.replace(/=\r?\n/g, '').replaceAll('=3D', '=');
const addressOf = (text) => text.match(/<([^>]+)>/)?.[1] ?? text;
/** An answer as a mail program writes it, with what it answers to below. */
const answer = (to, text) =>
  [
    'From: Ida Berg <ida@alder.example>',
    `To: ${addressOf(header(to, 'Reply-To'))}`,
    `Subject: Re: ${header(to, 'Subject')}`,
    `In-Reply-To: ${header(to, 'Message-ID')}`,
    `Message-ID: <${Math.random().toString(36).slice(2)}@alder.example>`,
    'Content-Type: text/plain; charset=utf-8',
    '',
    text,
    '',
    'On Sunday 22 November 2026, Fjordwatch wrote:',
    '> ―――― Write above this line to answer the experts. ――――',
    '> Fjordwatch needs you on an incident',
  ].join('\n');

/** The customer's channel in Teams, as somebody there sees it. */
async function channel(ida, browser, teams) {
  const made = await send(ida, 'POST', '/api/v1/chat-channels', {
    vendor: 'teams',
    name: 'Managed response',
    language: 'en',
    settings: { tenantId: TENANT, appId: BOT, channelId: CHANNEL },
    secrets: { clientSecret: SECRET },
  });
  await teams.open(made.eventsUrl);
  const context = await browser.chromium.newContext({ viewport: { width: 1360, height: 900 } });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  await page.goto(`http://127.0.0.1:${teams.port}/`);
  await page.getByText('Managed response').first().click();
  return page;
}

async function journey({ server, browser, postfix, teams }) {
  const { tenantId, signe, ida } = await peopled(server, browser);

  // Who hears of it, and that it is told so.
  await send(ida, 'POST', '/api/v1/contacts', { name: 'Ida Berg', kind: 'person', role: 'incidentNotification', email: 'ida@alder.example' });
  await until('the contact is told that it is one', () => postfix.mails().length === 1);
  const kari = teams && (await channel(ida, browser, teams));

  // A break-in, worked by an expert and told with something left to do.
  const { incident, published } = await responded({ server, customer: ida, expert: signe, tenantId });

  // Its mail arrives, with the way to it.
  const told = await until('the mail about the response', () => postfix.mails()[1]);
  console.log(`# published to mailbox: ${Date.now() - published} ms`);
  assert.match(whole(told), new RegExp(`${server.url}/incidents/${incident.id}\\?response=actions`));
  assert.match(whole(told), /Call kari/);
  await kari?.getByText('Fjordwatch needs you on an incident').waitFor();

  // The answer shows in the expert's open chat.
  const chat = `/incidents/${incident.id}?response=chat`;
  await signe.goto(chat);
  await ida.goto(chat);
  await signe.getByRole('textbox', { name: 'Message', exact: true }).waitFor();
  await postfix.bring(postfix.alder, 'ida@alder.example', addressOf(header(told, 'Reply-To')), answer(told, 'Kari is told. *Which device first?*'));
  const heard = signe.getByRole('article', { name: 'Ida Berg, Customer, by mail' });
  await heard.getByText('Kari is told.').waitFor();
  assert.equal(await heard.getByText('needs you on an incident').count(), 0, 'nothing of what is answered to');
  await ida.getByText('Which device first?').waitFor();
  await kari?.getByText('Kari is told.').waitFor();

  // The same words from outside, with a finding that the mail brought along, do not.
  const back = addressOf(header(told, 'Reply-To'));
  const forged = `Authentication-Results: mx.fjordwatch.example; dmarc=pass header.from=alder.example\n${answer(told, 'Kanarie: isolate nothing.')}`;
  await postfix.bring(postfix.world, 'ida@alder.example', back, forged);
  await signe.getByText(/was not taken/).waitFor();
  for (const page of [signe, ida]) assert.equal(await page.getByText('Kanarie').count(), 0);
  assert.equal(await ida.getByText(/was not taken/).count(), 0, 'only experts are told');

  // The expert's word shows in the customer's chat, below the card in Teams and in the same thread of mails.
  await signe.getByRole('textbox', { name: 'Message', exact: true }).fill('Dock-3, then dock-7.');
  await signe.getByRole('button', { name: 'Send', exact: true }).click();
  await ida.getByText('Dock-3, then dock-7.').waitFor();
  await kari?.getByText('Dock-3, then dock-7.').waitFor();
  const word = await until('the mail with the word', () => postfix.mails()[2]);
  assert.match(whole(word), /Dock-3, then dock-7\./);
  assert.equal(header(word, 'References'), header(told, 'References'), 'one thread');
  await postfix.bring(postfix.alder, 'ida@alder.example', addressOf(header(word, 'Reply-To')), answer(word, 'Both are off the net.'));
  await signe.getByText('Both are off the net.').waitFor();
  mkdirSync(PICTURES, { recursive: true });
  await signe.screenshot({ path: join(PICTURES, 'mail-chat-expert.png') });
  await ida.screenshot({ path: join(PICTURES, 'mail-chat-customer.png') });
  assert.equal(postfix.mails().length, 3, 'nothing went round');
}
