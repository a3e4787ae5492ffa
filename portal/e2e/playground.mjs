// Microsoft's own playground for bots of Teams, and what stands between it and the program: it signs in as
// Microsoft does, which the playground leaves out, and looks at what the bot shows.
import { spawn } from 'node:child_process';
import { createSign, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';

import { freePort, until } from './world.mjs';

const modules = () => process.env.RIPOSTE_TEAMS_MODULES ?? join(homedir(), '.cache/riposte/teams');
const program = () => join(modules(), 'node_modules/@microsoft/m365agentsplayground/cli.js');

/** Why it cannot run here; null when it can. */
export const missing = () => (existsSync(program()) ? null : 'the playground of Microsoft is missing: make teams');

export const TENANT = 'aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee';
export const BOT = '11111111-2222-4333-8444-555555555555';
export const SECRET = 'a-client-secret-of-the-bot';
export const CHANNEL = '19:managed@thread.tacv2';

const base64 = (it) => Buffer.from(it).toString('base64url');
const user = (n, name) => ({ id: `29:user-${n}`, name, userPrincipleName: `u${n}@alder.example`, aadObjectId: `aad-${n}`, givenName: name, surname: 'x', email: `u${n}@alder.example` });

export class Playground {
  static async start() {
    const it = new Playground();
    it.key = generateKeyPairSync('rsa', { modulusLength: 2048 });
    it.refused = [];
    it.forward = null;
    it.server = createServer((request, response) => void it.answer(request, response));
    it.server.listen(0, '127.0.0.1');
    await once(it.server, 'listening');
    it.url = `http://127.0.0.1:${it.server.address().port}`;
    return it;
  }

  /** What the program is told, so that this stands for Microsoft. */
  settings() {
    return {
      RIPOSTE_CHAT_TEAMS_LOGIN: this.url,
      RIPOSTE_CHAT_TEAMS_METADATA: `${this.url}/metadata`,
      RIPOSTE_CHAT_TEAMS_SERVICE: `${this.url}/_connector`,
    };
  }

  /** Opens it for a bot whose messaging endpoint this is. */
  async open(endpoint) {
    this.forward = endpoint;
    this.port = await freePort();
    this.dir = mkdtempSync(join(tmpdir(), 'riposte-playground-'));
    const config = {
      version: '0.1.1',
      tenantId: TENANT,
      bot: { id: `28:${BOT}`, name: 'Riposte' },
      currentUser: user(0, 'Kari Nordmann'),
      users: [1, 2, 3, 4, 5].map((n) => user(n, `Person ${n}`)),
      personalChat: { id: 'personal' },
      groupChat: { id: 'group', name: 'Group' },
      team: { id: '19:team@thread.tacv2', name: 'Defender Experts team', aadGroupId: 'aad-group', channels: [{ id: CHANNEL, name: 'Managed response' }] },
    };
    // JSON is YAML.
    writeFileSync(join(this.dir, '.m365agentsplayground.yml'), JSON.stringify(config));
    const words = ['start', '-e', `${this.url}/api/messages`, '-c', 'msteams', '-p', String(this.port), '--su', `${this.url}/_connector`, '--dt'];
    this.child = spawn(process.execPath, [program(), ...words], { cwd: this.dir, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, BROWSER: 'none' } });
    this.said = '';
    for (const stream of [this.child.stdout, this.child.stderr]) stream.on('data', (piece) => (this.said += piece));
    await until(`the playground: ${this.said}`, async () => {
      try {
        return (await fetch(`http://127.0.0.1:${this.port}/`)).ok;
      } catch {
        return false;
      }
    });
  }

  /** A token as the connector shows it. */
  token(claims = {}) {
    const now = Math.floor(Date.now() / 1000);
    const head = base64(JSON.stringify({ alg: 'RS256', typ: 'JWT', kid: 'k1' }));
    const body = base64(
      JSON.stringify({ iss: 'https://api.botframework.com', aud: BOT, nbf: now - 60, exp: now + 600, serviceurl: `${this.url}/_connector`, ...claims }),
    );
    return `${head}.${body}.${createSign('RSA-SHA256').update(`${head}.${body}`).sign(this.key.privateKey, 'base64url')}`;
  }

  async answer(request, response) {
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    const body = Buffer.concat(pieces);
    const json = (status, it) => {
      response.writeHead(status, { 'content-type': 'application/json', connection: 'close' });
      response.end(JSON.stringify(it));
    };
    const { pathname } = new URL(request.url, this.url);
    if (pathname === '/metadata') return json(200, { jwks_uri: `${this.url}/keys` });
    if (pathname === '/keys') {
      const key = this.key.publicKey.export({ format: 'jwk' });
      return json(200, { keys: [{ ...key, use: 'sig', kid: 'k1', endorsements: ['msteams'] }] });
    }
    if (pathname === `/${TENANT}/oauth2/v2.0/token`) {
      const form = new URLSearchParams(body.toString());
      const right = form.get('client_id') === BOT && form.get('client_secret') === SECRET;
      return right ? json(200, { access_token: 'a-token-of-the-bot', expires_in: 3_599 }) : json(401, {});
    }
    if (pathname === '/api/messages') {
      if (request.method === 'HEAD') return json(200, {});
      const answer = await fetch(this.forward, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${this.token()}` },
        body,
      });
      return json(answer.status, {});
    }
    if (pathname.startsWith('/_connector')) {
      if (request.headers.authorization !== 'Bearer a-token-of-the-bot') {
        this.refused.push(request.url);
        return json(401, {});
      }
      const answer = await fetch(`http://127.0.0.1:${this.port}${request.url}`, {
        method: request.method,
        headers: { 'content-type': request.headers['content-type'] ?? 'application/json', authorization: 'Bearer x' },
        ...(body.length > 0 && { body }),
      });
      const text = await answer.text();
      response.writeHead(answer.status, { 'content-type': 'application/json', connection: 'close' });
      return response.end(text);
    }
    return json(404, {});
  }

  async stop() {
    this.server.close();
    if (this.child && this.child.exitCode === null) {
      this.child.kill();
      await once(this.child, 'exit');
    }
    if (this.dir) rmSync(this.dir, { recursive: true, force: true });
  }
}
