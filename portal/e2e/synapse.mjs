// Synapse, the homeserver that most of Matrix runs on, with people and a room of its own (make matrix).
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';

import { freePort, until } from './world.mjs';

const bin = () => join(process.env.RIPOSTE_SYNAPSE ?? join(homedir(), '.cache/riposte/synapse'), 'bin');
const python = () => join(bin(), 'python');

/** Why it cannot run here; null when it can. */
export const missing = () => (existsSync(join(bin(), 'synapse_homeserver')) ? null : 'Synapse is missing: make matrix');

const NAME = 'alder.example';

export class Synapse {
  static async start() {
    const it = new Synapse();
    it.dir = mkdtempSync(join(tmpdir(), 'riposte-synapse-'));
    it.port = await freePort();
    it.url = `http://127.0.0.1:${it.port}`;
    const unlimited = { per_second: 1_000, burst_count: 1_000 };
    // JSON is YAML.
    const config = {
      server_name: NAME,
      pid_file: join(it.dir, 'pid'),
      listeners: [{ port: it.port, type: 'http', tls: false, bind_addresses: ['127.0.0.1'], resources: [{ names: ['client'], compress: false }] }],
      database: { name: 'sqlite3', args: { database: join(it.dir, 'homeserver.db') } },
      media_store_path: join(it.dir, 'media'),
      signing_key_path: join(it.dir, 'signing.key'),
      trusted_key_servers: [],
      suppress_key_server_warning: true,
      report_stats: false,
      registration_shared_secret: 'of this test',
      rc_message: unlimited,
      rc_login: { address: unlimited, account: unlimited },
    };
    it.config = join(it.dir, 'homeserver.yaml');
    writeFileSync(it.config, JSON.stringify(config));
    execFileSync(python(), ['-m', 'synapse.app.homeserver', '--config-path', it.config, '--generate-keys'], { stdio: 'ignore' });
    await it.serve();
    return it;
  }

  async serve() {
    this.child = spawn(python(), ['-m', 'synapse.app.homeserver', '--config-path', this.config], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.said = '';
    for (const stream of [this.child.stdout, this.child.stderr]) stream.on('data', (piece) => (this.said = (this.said + piece).slice(-20_000)));
    await until('the homeserver', async () => {
      if (this.child.exitCode !== null) throw new Error(this.said);
      return (await fetch(`${this.url}/_matrix/client/versions`).catch(() => null))?.ok;
    });
  }

  async halt() {
    if (this.child.exitCode === null) {
      this.child.kill('SIGTERM');
      await new Promise((resolve) => this.child.once('exit', resolve));
    }
  }

  async stop() {
    await this.halt();
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** A request as somebody; its JSON. */
  async ask(who, method, path, body) {
    const reply = await fetch(`${this.url}/_matrix/client/v3${path}`, {
      method,
      headers: { 'content-type': 'application/json', ...(who && { authorization: `Bearer ${who.token}` }) },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const said = await reply.json();
    if (!reply.ok) throw new Error(`${method} ${path}: ${reply.status} ${JSON.stringify(said)}`);
    return said;
  }

  /** Somebody with an account. */
  async person(name, shown) {
    const command = ['-m', 'synapse._scripts.register_new_matrix_user', '-u', name, '-p', 'a long password', '--no-admin', '-k', 'of this test', this.url];
    execFileSync(python(), command, { stdio: 'ignore' });
    const login = { type: 'm.login.password', identifier: { type: 'm.id.user', user: name }, password: 'a long password' };
    const { user_id: id, access_token: token } = await this.ask(null, 'POST', '/login', login);
    const who = { id, token };
    await this.ask(who, 'PUT', `/profile/${encodeURIComponent(id)}/displayname`, { displayname: shown });
    return who;
  }

  async room(who, alias, invite, more = {}) {
    const made = await this.ask(who, 'POST', '/createRoom', { room_alias_name: alias, name: 'Managed response', invite: invite.map((one) => one.id), preset: 'private_chat', ...more });
    return made.room_id;
  }

  /** Somebody says something; its id. */
  async say(who, room, content) {
    this.count = (this.count ?? 0) + 1;
    const said = await this.ask(who, 'PUT', `/rooms/${encodeURIComponent(room)}/send/m.room.message/t${this.count}`, content);
    return said.event_id;
  }

  below(who, room, root, text, more = {}) {
    const relation = { rel_type: 'm.thread', event_id: root, is_falling_back: true, 'm.in_reply_to': { event_id: root } };
    return this.say(who, room, { msgtype: 'm.text', body: text, 'm.relates_to': relation, ...more });
  }

  /** Everything that was said in a room, the oldest first. */
  async messages(who, room) {
    const { chunk } = await this.ask(who, 'GET', `/rooms/${encodeURIComponent(room)}/messages?dir=b&limit=200`);
    return chunk.filter((one) => one.type === 'm.room.message').reverse();
  }
}
