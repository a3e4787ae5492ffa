// What the journeys need: the real program on a store of its own, a real browser, an authenticator
// app and a passkey that answer as a person would.
import { spawn, execFile } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as serveHttp } from 'node:http';
import { createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

import { chromium } from 'playwright-core';

const run = promisify(execFile);

/** The program under test. */
export const RIPOSTE = process.env.RIPOSTE ?? 'target/release/riposte';

// As scripts/need looks for it.
const CHROMIUM = ['chromium', 'chromium-browser', 'google-chrome']
  .flatMap((name) => (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, name)))
  .find((path) => existsSync(path));

export const freePort = () =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

/** A server on an empty store. */
export class Server {
  /**
   * With `store`, a postgres:// address, on that one instead of a file of its own; with `gateway`, an
   * address of this machine, agents connect there; with `settings`, variables of its environment.
   */
  static async start({ demo = false, store = null, gateway = null, settings = {} } = {}) {
    const server = new Server();
    server.env = { ...process.env, ...settings };
    server.dir = mkdtempSync(join(tmpdir(), 'riposte-e2e-'));
    server.port = await freePort();
    server.url = `http://localhost:${server.port}`;
    server.common = ['--data-dir', join(server.dir, 'data')];
    if (!demo) server.common.push('--public-url', server.url);
    if (store) server.common.push('--store', store);
    server.demo = demo;
    server.agents = server.port + 1;
    server.listen = ['--listen', `127.0.0.1:${server.port}`];
    if (gateway) server.listen.push('--agents', `${gateway}:${server.agents}`);
    return server;
  }

  /** One command; its JSON. */
  async command(...words) {
    const { stdout } = await run(RIPOSTE, [...words, ...this.common, '--json']);
    return JSON.parse(stdout);
  }

  async serve() {
    const words = [this.demo ? 'demo' : 'serve', ...this.listen, ...this.common];
    this.child = spawn(RIPOSTE, words, { stdio: ['ignore', 'pipe', 'pipe'], env: this.env });
    this.said = '';
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream.on('data', (piece) => (this.said += piece));
    }
    for (let tries = 0; tries < 300; tries += 1) {
      if (this.child.exitCode !== null) break;
      try {
        if ((await fetch(`http://127.0.0.1:${this.port}/readyz`)).ok) return;
      } catch {
        // Not listening yet.
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`the server did not start:\n${this.said}`);
  }

  async stop() {
    if (this.child && this.child.exitCode === null) {
      this.child.kill('SIGTERM');
      await new Promise((resolve) => this.child.once('exit', resolve));
    }
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** A real OpenID provider; its people are {login: {claims…, amr}}. */
export class IdentityProvider {
  static async start(server, people) {
    const provider = new IdentityProvider();
    const accounts = join(server.dir, 'accounts.json');
    writeFileSync(accounts, JSON.stringify(people));
    const program = new URL('../../tests/oidc/provider.mjs', import.meta.url).pathname;
    const modules = process.env.RIPOSTE_OIDC_MODULES ?? join(homedir(), '.cache/riposte/oidc');
    if (!existsSync(join(modules, 'node_modules/oidc-provider'))) {
      throw new Error('oidc-provider is missing: make oidc');
    }
    provider.child = spawn(process.execPath, [program, accounts, `${server.url}/sign-in/oidc/callback`], {
      env: { ...process.env, RIPOSTE_OIDC_MODULES: modules },
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    const [line] = await once(createInterface(provider.child.stdout), 'line');
    provider.issuer = JSON.parse(line).issuer;
    return provider;
  }

  /** What it knows Riposte by. */
  client = { id: 'riposte', secret: 'a secret, with: signs & 100%' };

  stop() {
    this.child.kill();
  }
}

/** A stand-in for Microsoft Graph, as a connector leads to it: a token, and users read and changed. */
export class Directory {
  /** What it knows Riposte by. */
  client = { id: 'riposte', secret: 'a secret, with: signs & 100%' };

  static async start(names) {
    const directory = new Directory();
    directory.users = new Map(names.map((name) => [name, { accountEnabled: true }]));
    directory.server = serveHttp(async (request, response) => {
      const pieces = [];
      for await (const piece of request) pieces.push(piece);
      const [status, body] = directory.answer(request, Buffer.concat(pieces).toString());
      response.writeHead(status, { 'content-type': 'application/json', connection: 'close' });
      response.end(body === null ? undefined : JSON.stringify(body));
    });
    directory.server.listen(0, '127.0.0.1');
    await once(directory.server, 'listening');
    directory.url = `http://127.0.0.1:${directory.server.address().port}`;
    return directory;
  }

  answer(request, text) {
    if (request.url === '/token') {
      const right = new URLSearchParams(text).get('client_secret') === this.client.secret;
      return right ? [200, { access_token: 'a-token', expires_in: 3_599 }] : [401, {}];
    }
    if (request.headers.authorization !== 'Bearer a-token') return [401, {}];
    const name = decodeURIComponent(new URL(request.url, this.url).pathname.split('/')[3] ?? '');
    if (!name) return [200, { value: [] }];
    const user = this.users.get(name);
    if (!user) return [404, {}];
    if (request.method === 'GET') return [200, { id: name, userPrincipalName: name, ...user }];
    Object.assign(user, JSON.parse(text || '{}'));
    return [204, null];
  }

  stop() {
    this.server.close();
  }
}

/** A mail server that keeps what it takes, and says nothing of it to anybody. */
export class Mailbox {
  static async start() {
    const mailbox = new Mailbox();
    mailbox.kept = [];
    mailbox.server = createServer((socket) => mailbox.converse(socket));
    mailbox.server.listen(0, '127.0.0.1');
    await once(mailbox.server, 'listening');
    mailbox.url = `smtp://127.0.0.1:${mailbox.server.address().port}`;
    return mailbox;
  }

  /** As much of SMTP as a mail from Riposte takes. */
  converse(socket) {
    let waiting = '';
    let data = null;
    let to = [];
    const say = (line) => socket.write(`${line}\r\n`);
    socket.on('error', () => undefined);
    socket.on('data', (piece) => {
      waiting += piece.toString('latin1');
      for (let end = waiting.indexOf('\r\n'); end >= 0; end = waiting.indexOf('\r\n')) {
        const line = waiting.slice(0, end);
        waiting = waiting.slice(end + 2);
        if (data === null) {
          const verb = line.slice(0, 4).toUpperCase();
          if (verb === 'RCPT') to.push(line.match(/<([^>]*)>/)?.[1] ?? '');
          if (verb === 'DATA') data = [];
          say(verb === 'DATA' ? '354 go on' : verb === 'QUIT' ? '221 bye' : '250 ok');
        } else if (line === '.') {
          this.kept.push({ to, text: data.join('\n') });
          [data, to] = [null, []];
          say('250 kept');
        } else {
          data.push(line.startsWith('..') ? line.slice(1) : line);
        }
      }
    });
    say('220 mx.example');
  }

  /** Mails to an address, the oldest first, as they read once their lines are whole again. */
  mails(to) {
    const whole = (text) => Buffer.from(text.replace(/=\n/g, '').replace(/=([0-9A-F]{2})/g, (_, byte) => String.fromCharCode(Number.parseInt(byte, 16))), 'latin1').toString('utf8');
    return this.kept.filter((mail) => mail.to.includes(to)).map((mail) => whole(mail.text));
  }

  stop() {
    this.server.close();
  }
}

/** The code an authenticator app shows then (RFC 6238). */
function code(secret, at) {
  const bits = [...secret.replace(/\s/g, '')].map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(at / 30_000)));
  const digest = createHmac('sha1', key).update(step).digest();
  const offset = digest.at(-1) & 15;
  return String((digest.readUInt32BE(offset) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}

/** A code that the person has not shown yet; the server takes one a step early. */
export async function nextCode(person) {
  const step = Math.max(person.step + 1, Math.floor(Date.now() / 30_000));
  const wait = (step - 1) * 30_000 + 500 - Date.now();
  if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
  person.step = step;
  return code(person.secret, step * 30_000);
}

/** A browser that several people share, each with a profile of their own. */
export class Browser {
  static async open() {
    if (!CHROMIUM) throw new Error('Chromium is missing: scripts/need browser');
    const browser = new Browser();
    browser.chromium = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
    browser.complaints = [];
    return browser;
  }

  /** Somebody at a computer; with a passkey when it has one. */
  async person(base, { passkey = false, ...options } = {}) {
    const context = await this.chromium.newContext({ baseURL: base, viewport: { width: 1360, height: 900 }, ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(15_000);
    page.on('console', (message) => {
      // A refused request is the server's answer, which the pages show; everything else is a fault.
      if (message.type() === 'error' && !/Failed to load resource/.test(message.text())) {
        this.complaints.push(`${page.url()}: ${message.text()}`);
      }
    });
    page.on('pageerror', (error) => this.complaints.push(`${page.url()}: ${error.message}`));
    if (passkey) {
      const cdp = await context.newCDPSession(page);
      await cdp.send('WebAuthn.enable');
      await cdp.send('WebAuthn.addVirtualAuthenticator', {
        options: {
          protocol: 'ctap2',
          transport: 'internal',
          hasResidentKey: true,
          hasUserVerification: true,
          isUserVerified: true,
          automaticPresenceSimulation: true,
        },
      });
    }
    return page;
  }

  close() {
    return this.chromium.close();
  }
}

/** The secret part of a set-up link, opened on the server's own address. */
const local = (url) => new URL(url).pathname + new URL(url).hash;

export const PASSWORD = 'wet gravel under the lantern';

/** Sets sign-in up with a passkey. */
export async function setUpWithPasskey(page, url, name) {
  await page.goto(local(url));
  await page.getByLabel('Your name').fill(name);
  await page.getByRole('button', { name: 'Create a passkey' }).click();
  await page.getByRole('navigation').first().waitFor();
}

/** Sets sign-in up with a password and an app; gives the app, for `nextCode`. */
export async function setUpWithPassword(page, url, name) {
  await page.goto(local(url));
  await page.getByLabel('Your name').fill(name);
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await page.getByRole('button', { name: 'Continue with a password' }).click();
  return confirmApp(page);
}

/** Puts the secret that the page shows into an app and shows its first code. */
export async function confirmApp(page) {
  const secret = await page.getByRole('img', { name: /QR code/ }).waitFor().then(() => page.locator('code').first().textContent());
  const app = { secret, step: 0 };
  await page.getByLabel('Code', { exact: true }).fill(await nextCode(app));
  await page.getByRole('button', { name: 'Finish' }).click();
  await page.getByRole('heading', { name: /recovery codes/i }).waitFor();
  return app;
}

/** Until something holds, looked at ten times a second. */
export async function until(what, holds, seconds = 10) {
  for (let tries = 0; tries < 10 * seconds; tries += 1) {
    const held = await holds();
    if (held) return held;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`it did not come to this: ${what}`);
}

/** Asks the server as the person of a page; what it answers, which is a success. */
export async function send(page, method, path, data) {
  const answer = await page.request.fetch(path, { method, data, headers: { 'X-Riposte': '1' } });
  if (!answer.ok()) throw new Error(`${method} ${path}: ${answer.status()} ${(await answer.text()).slice(0, 400)}`);
  return answer.status() === 204 ? null : answer.json();
}

/** Enters the demo as one of its people, known by the first name. */
export async function enterDemo(page, name) {
  const { people } = await (await page.request.get('/api/v1/sign-in/demo')).json();
  const { id } = people.find((one) => one.email.startsWith(`${name}.`));
  const answer = await page.request.post('/api/v1/sign-in/demo', { data: { id }, headers: { 'X-Riposte': '1' } });
  if (!answer.ok()) throw new Error(`${name} cannot enter: ${await answer.text()}`);
}

/** Until the page has all it asked for and shows it. */
export async function settled(page) {
  await page.waitForFunction(() => {
    const waits = document.querySelector('.fui-Skeleton, .fui-Spinner');
    if (!document.querySelector('h1') || waits) return false;
    // The list of requests ends; the live stream does not and is never in it.
    const last = Math.max(0, ...performance.getEntriesByType('resource').map((one) => one.responseEnd));
    return performance.now() - last > 250;
  });
}

/** What a page shows, in a line: for a failure where nobody can look at the picture. */
export async function told(page) {
  const seen = await page
    .evaluate(() => ({
      at: window.location.pathname + window.location.search,
      focus: document.activeElement?.outerHTML.slice(0, 120),
      dialogs: [...document.querySelectorAll('[role="dialog"], [role="alertdialog"]')].map(
        (it) => `${it.getAttribute('aria-label') ?? it.textContent.slice(0, 60)}${it.closest('[aria-hidden="true"]') ? ' (hidden)' : ''}`,
      ),
      alerts: [...document.querySelectorAll('[role="alert"], [role="status"]')].map((it) => it.textContent.slice(0, 120)),
    }))
    .catch((error) => ({ failed: error.message }));
  return JSON.stringify(seen);
}

/** A provider with an expert and a customer with an administrator, both signed in. */
export async function peopled(server, browser) {
  await server.command('init', '--provider', 'Fjordwatch', '--admin', 'odd@fjordwatch.example');
  const { tenantId } = await server.command('tenant', 'add', 'Alder Freight', '--experts', 'reader');
  const expert = await server.command('user', 'add', '--provider', '--email', 'signe@fjordwatch.example', '--role', 'Expert');
  const customer = await server.command('user', 'add', '--tenant', tenantId, '--email', 'ida@alder.example', '--role', 'Security Administrator');
  await server.serve();
  const signe = await browser.person(server.url, { passkey: true });
  const ida = await browser.person(server.url, { passkey: true });
  await setUpWithPasskey(signe, expert.setupUrl, 'Signe Holm');
  await setUpWithPasskey(ida, customer.setupUrl, 'Ida Berg');
  return { tenantId, signe, ida };
}

/**
 * An incident of one alert that an expert has published a response to, with a call left to the customer;
 * gives it, and when it was published.
 */
export async function responded({ server, customer, expert, tenantId, title = 'Script interpreter fetched a payload' }) {
  await send(customer, 'PUT', '/api/v1/grant', { level: 'reader', approval: 'automatic', endDateTime: null });
  await send(expert, 'POST', '/api/v1/access', { tenantId, level: 'reader', reason: 'Reading timelines.', hours: 1 });
  const file = join(server.dir, 'alert.json');
  const now = new Date().toISOString();
  const at = Object.fromEntries(['created', 'firstActivity', 'lastActivity', 'lastUpdate'].map((of) => [`${of}DateTime`, now]));
  writeFileSync(
    file,
    JSON.stringify({
      id: 'edr-1',
      providerAlertId: 'edr-1',
      title,
      severity: 'high',
      category: 'Execution',
      serviceSource: 'microsoftDefenderForEndpoint',
      detectionSource: 'microsoftDefenderForEndpoint',
      ...at,
      evidence: [{ '@odata.type': '#microsoft.graph.security.userEvidence', userAccount: { userPrincipalName: 'kari@alder.example' } }],
    }),
  );
  const { accepted } = await server.command('import', '--tenant', tenantId, file);
  if (accepted !== 1) throw new Error('the alert was not taken');
  const incident = await until('an incident', async () => {
    const { value } = await (await customer.request.get('/api/v1/incidents')).json();
    return value.find((one) => one.status === 'active');
  });
  const path = `/api/v1/incidents/${incident.id}`;
  await send(expert, 'POST', `${path}/start`, {});
  await send(expert, 'POST', `${path}/tasks`, { actionType: 'text', displayName: 'Call kari' });
  const published = Date.now();
  await send(expert, 'POST', `${path}/publish`, { classification: 'truePositive', determination: 'malware', summary: 'A loader.' });
  return { incident, published };
}
