// A real mail server, Debian's Postfix, in a folder of its own: the one that Riposte sends by, the
// customer's with one mailbox, and the one in front of Riposte that hands answers over by LMTP.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const TOOL = ['/usr/sbin/postfix', '/usr/local/sbin/postfix'].find((path) => existsSync(path));
/** Who owns mails: Postfix delivers none as root. */
const NOBODY = 65_534;

/** Why it cannot be had here; null when it can. */
export function missing() {
  if (process.platform !== 'linux') return 'Postfix runs here on Linux only';
  if (process.getuid() !== 0) return 'Postfix needs root';
  return TOOL ? null : 'Postfix is missing (scripts/need mail)';
}

export class Postfix {
  /**
   * @param ports `world`: whom anybody may bring mail to; `alder`: where Alder's own people, whom it knows,
   * bring theirs; `lmtp`: where Riposte takes what is for it.
   */
  static async start({ world, alder, lmtp }) {
    const it = new Postfix();
    Object.assign(it, { world, alder });
    it.dir = mkdtempSync(join(tmpdir(), 'riposte-postfix-'));
    chmodSync(it.dir, 0o755);
    const at = (name) => join(it.dir, name);
    for (const name of ['config', 'queue', 'data', 'mail']) mkdirSync(at(name));
    const postfix = Number(execFileSync('id', ['-u', 'postfix']).toString());
    chownSync(at('data'), postfix, -1);
    chownSync(at('mail'), NOBODY, NOBODY);
    // What is said under our own name by a mail that comes in is taken away; of Alder's own people it knows
    // that they are (RFC 8601).
    writeFileSync(at('config/strip'), '/^Authentication-Results:[[:space:]]*mx\\.fjordwatch\\.example/ IGNORE\n');
    writeFileSync(
      at('config/known'),
      '/^Authentication-Results:[[:space:]]*mx\\.fjordwatch\\.example/ IGNORE\n' +
        '/^From:/ PREPEND Authentication-Results: mx.fjordwatch.example; dmarc=pass header.from=alder.example\n',
    );
    writeFileSync(
      at('config/main.cf'),
      `compatibility_level = 3.6
queue_directory = ${at('queue')}
data_directory = ${at('data')}
maillog_file = ${at('log')}
maillog_file_prefixes = ${it.dir}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.fjordwatch.example
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
mynetworks = 127.0.0.0/8
smtpd_recipient_restrictions = permit_mynetworks, reject
recipient_delimiter = +
virtual_mailbox_domains = alder.example
virtual_mailbox_base = ${at('mail')}
virtual_mailbox_maps = static:ida/
virtual_uid_maps = static:${NOBODY}
virtual_gid_maps = static:${NOBODY}
relay_domains = mdr.fjordwatch.example
transport_maps = inline:{mdr.fjordwatch.example=lmtp:inet:127.0.0.1:${lmtp}}
header_checks = regexp:${at('config/strip')}
default_transport = error:nobody is sent mail from here
`,
    );
    writeFileSync(
      at('config/master.cf'),
      `127.0.0.1:${world} inet n - n - - smtpd
127.0.0.1:${alder} inet n - n - - smtpd
  -o cleanup_service_name=known
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
known unix n - n - 0 cleanup
  -o header_checks=regexp:${at('config/known')}
qmgr unix n - n 1 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`,
    );
    it.child = spawn(TOOL, ['-c', at('config'), 'start-fg'], { stdio: ['ignore', 'pipe', 'pipe'] });
    it.said = '';
    for (const stream of [it.child.stdout, it.child.stderr]) stream.on('data', (piece) => (it.said += piece));
    for (let tries = 0; tries < 200; tries += 1) {
      if (await listens(world)) return it;
      if (it.child.exitCode !== null) break;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`Postfix did not start: ${it.said}\n${it.log()}`);
  }

  log() {
    const path = join(this.dir, 'log');
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  }

  /** What is in Ida's mailbox, the oldest first. */
  mails() {
    const folder = join(this.dir, 'mail/ida/new');
    if (!existsSync(folder)) return [];
    // Its names begin with the second and go on with the microsecond.
    const order = (name) => name.replace(/^(\d+)\..*?M(\d+).*/, (_, s, us) => `${s}.${us.padStart(6, '0')}`);
    const names = readdirSync(folder).sort((a, b) => order(a).localeCompare(order(b)));
    return names.map((name) => readFileSync(join(folder, name), 'utf8'));
  }

  /** Brings a mail to one of its doors; fails when it is not taken. */
  async bring(port, from, to, mail) {
    const lines = ['EHLO desk-14.alder.example', `MAIL FROM:<${from}>`, `RCPT TO:<${to}>`, 'DATA'];
    const socket = connect(port, '127.0.0.1');
    socket.setEncoding('utf8');
    let heard = '';
    const answer = async (code) => {
      for (;;) {
        const last = heard.match(/^(\d{3}) [^\n]*\r\n/m);
        if (last) {
          heard = heard.slice(last.index + last[0].length);
          if (!last[1].startsWith(code)) throw new Error(`the mail server says ${last[0].trim()}`);
          return;
        }
        const [piece] = await new Promise((resolve, reject) => {
          socket.once('data', (it) => resolve([it]));
          socket.once('close', () => reject(new Error('the mail server hung up')));
        });
        heard += piece;
      }
    };
    try {
      await answer('2');
      for (const line of lines) {
        socket.write(`${line}\r\n`);
        await answer(line === 'DATA' ? '3' : '2');
      }
      socket.write(`${mail.replace(/\r?\n/g, '\r\n').replace(/\r\n\./g, '\r\n..')}\r\n.\r\n`);
      await answer('2');
    } finally {
      socket.destroy();
    }
  }

  async stop() {
    if (this.child.exitCode === null) {
      const ended = once(this.child, 'exit');
      execFileSync(TOOL, ['-c', join(this.dir, 'config'), 'stop'], { stdio: 'ignore' });
      await ended;
    }
    rmSync(this.dir, { recursive: true, force: true });
  }
}

function listens(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
