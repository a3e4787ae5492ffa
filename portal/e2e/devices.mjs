// Devices that are really there: network namespaces in which the real agent runs, and one outside
// that they speak to. It takes root, `ip` and `nft`.
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, openSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

import { RIPOSTE } from './world.mjs';

const run = promisify(execFile);
const AGENT = join(dirname(RIPOSTE), 'riposte-agent');
// Of documentation (RFC 5737); nothing of it leaves the namespaces.
const OUTSIDE = '198.51.100.7';
const PORT = 4443;

/** Why there can be no devices here; null when there can. A program that is missing is a fault. */
export function missing() {
  if (process.getuid?.() !== 0) return 'network namespaces take root';
  const space = `rpe2e${process.pid}-try`;
  try {
    execFileSync('ip', ['netns', 'add', space], { stdio: 'pipe' });
    execFileSync('ip', ['netns', 'delete', space], { stdio: 'pipe' });
  } catch (error) {
    if (error.code !== 'ENOENT') return `no network namespaces here: ${error.stderr}`.trim();
    throw new Error('ip is missing: scripts/need agents', { cause: error });
  }
  if (!existsSync(AGENT)) throw new Error(`${AGENT} is missing: make build`);
  return null;
}

// One word a second from inside, answered from outside.
const SERVER = `require('net').createServer((peer) => peer.on('error', () => {}).pipe(peer)).listen(${PORT}, '${OUTSIDE}', () => console.log('listening'))`;
const CLIENT = `
  const peer = require('net').connect(${PORT}, '${OUTSIDE}');
  const end = (code) => process.exit(code);
  peer.setTimeout(3000, () => end(1)).on('error', () => end(1)).on('data', () => end(0)).on('connect', () => peer.write('x'));`;

// A kernel may take its time over a namespace that is deleted: each making has names and a net of its own.
let made = 0;

export class Devices {
  /** The namespaces, with their cables; agents connect to `gateway`. */
  static async make(names) {
    const devices = new Devices();
    made += 1;
    devices.tag = `rpe2e${process.pid}-${made}`;
    devices.names = names;
    devices.net = `10.84.${(process.pid + made) % 256}`;
    devices.gateway = `${devices.net}.1`;
    devices.children = [];
    devices.agents = {};
    const ip = (...words) => run('ip', words);
    const out = devices.space('out');
    await ip('netns', 'add', out);
    await ip('-n', out, 'link', 'set', 'lo', 'up');
    await ip('-n', out, 'address', 'add', `${OUTSIDE}/32`, 'dev', 'lo');
    for (const [place, name] of names.entries()) {
      const [space, here, own] = [devices.space(name), `re${process.pid}-${made}-${place}`, `${devices.net}.${11 + place}`];
      await ip('netns', 'add', space);
      await ip('link', 'add', here, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', space);
      await ip('address', 'add', devices.gateway, 'peer', own, 'dev', here);
      await ip('link', 'set', here, 'up');
      await ip('-n', space, 'link', 'set', 'lo', 'up');
      await ip('-n', space, 'address', 'add', own, 'peer', devices.gateway, 'dev', 'eth0');
      await ip('-n', space, 'link', 'set', 'eth0', 'up');
      await ip('-n', space, 'route', 'add', 'default', 'via', devices.gateway, 'dev', 'eth0');
      await ip('-n', space, 'link', 'add', 'wan', 'type', 'veth', 'peer', 'name', `w${place}`, 'netns', out);
      await ip('-n', space, 'link', 'set', 'wan', 'up');
      await ip('-n', space, 'route', 'add', `${OUTSIDE}/32`, 'dev', 'wan', 'src', own);
      await ip('-n', out, 'link', 'set', `w${place}`, 'up');
      await ip('-n', out, 'route', 'add', `${own}/32`, 'dev', `w${place}`);
    }
    const server = devices.spawn(out, [process.execPath, '-e', SERVER], ['ignore', 'pipe', 'inherit']);
    await once(createInterface(server.stdout), 'line');
    return devices;
  }

  space(name) {
    return `${this.tag}-${name}`;
  }

  spawn(space, words, stdio) {
    const child = spawn('ip', ['netns', 'exec', space, ...words], { stdio });
    this.children.push(child);
    return child;
  }

  /** Has the agent of each device enrol, and run. */
  async enrol(server, token) {
    const url = `https://${this.gateway}:${server.agents}`;
    for (const name of this.names) {
      const [agent, log] = [[AGENT, '--data-dir', join(server.dir, `agent-${name}`)], join(server.dir, `agent-${name}.log`)];
      const words = ['--server', url, '--token', token, '--ca', join(server.dir, 'data/tls/ca.pem'), '--name', name];
      await run('ip', ['netns', 'exec', this.space(name), ...agent, 'enrol', ...words]);
      const file = openSync(log, 'a');
      // Restriction is not tried here; with marks on mounts it would reach no farther than this machine's.
      this.agents[name] = this.spawn(this.space(name), [...agent, 'run', '--marks', 'mounts'], ['ignore', file, file]);
    }
  }

  /** Has the agent of a device stand still. */
  pause(name) {
    this.agents[name].kill('SIGSTOP');
  }

  resume(name) {
    this.agents[name].kill('SIGCONT');
  }

  /** What the agent of a device said last. */
  log(server, name) {
    return readFileSync(join(server.dir, `agent-${name}.log`), 'utf8').split('\n').slice(-12).join('\n');
  }

  /** Whether a program on the device can speak to the outside: connect, send, and be answered. */
  async speaks(name) {
    return run('ip', ['netns', 'exec', this.space(name), process.execPath, '-e', CLIENT]).then(
      () => true,
      () => false,
    );
  }

  async stop() {
    for (const child of this.children) child.kill('SIGKILL');
    await Promise.all(this.children.map((child) => child.exitCode ?? child.signalCode ?? once(child, 'exit')));
    for (const name of [...this.names, 'out']) await run('ip', ['netns', 'delete', this.space(name)]).catch(() => null);
  }
}
