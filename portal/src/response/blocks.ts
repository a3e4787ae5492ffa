/**
 * Parts of an investigation summary that can be written from what the portal has already (MR-2).
 * Markdown; names of the incident go into code marks, where nothing they contain means anything.
 * Pure.
 */
import { evidenceFacts, type EvidenceRow } from '../api/evidence';
import type { Alert, Task } from '../api/hand';
import { spelled } from '../api/words';

/** So many lines a block has at most: a summary is to be read. */
const MOST = 40;

/** A text that stands for itself, on one line. */
export function verbatim(text: string): string {
  const line = text.replace(/\s+/g, ' ').replace(/`/g, '’').trim();
  return line ? `\`${line}\`` : '–';
}
/** The same inside of a table, where a bar ends the cell. */
const cell = (text: string): string => verbatim(text).replace(/\|/g, '\\|');

/** Words of a sentence, without marks that would change what comes after. */
const words = (text: string): string => text.replace(/\s+/g, ' ').replace(/[*`[\]|<>]/g, '').trim();

/** In UTC: who reads it may be anywhere. */
function moment(at: string | null | undefined): string {
  const date = new Date(at ?? '');
  return Number.isNaN(date.getTime()) ? 'time unknown' : `${date.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

function block(title: string, lines: string[], none: string): string {
  const shown = lines.slice(0, MOST);
  if (lines.length > MOST) shown.push(`- and ${lines.length - MOST} more`);
  return `## ${title}\n\n${shown.length ? shown.join('\n') : none}\n`;
}

const began = (alert: Alert): string => alert.firstActivityDateTime ?? alert.createdDateTime;

/** Names of the devices that an alert is about. */
function devices(alert: Alert): string[] {
  const names = alert.evidence
    .filter((one) => /deviceEvidence$/i.test(one['@odata.type']))
    .map((one) => one.deviceDnsName ?? one.hostName)
    .filter((name): name is string => typeof name === 'string' && name !== '');
  return [...new Set(names)];
}

/** What happened, in the order in which it happened, each device by itself. */
export function deviceTimeline(alerts: Alert[]): string {
  const ordered = [...alerts].sort((a, b) => began(a).localeCompare(began(b)));
  const line = (alert: Alert) =>
    `- **${moment(began(alert))}** ${words(alert.title)}${alert.category ? ` (${spelled(alert.category).toLowerCase()})` : ''}`;
  const names = [...new Set(ordered.flatMap(devices))];
  const lines = names.flatMap((name) => [
    ...(names.length > 1 ? [`${verbatim(name)}:`] : []),
    ...ordered.filter((alert) => devices(alert).includes(name)).map(line),
    ...(names.length > 1 ? [''] : []),
  ]);
  const rest = ordered.filter((alert) => devices(alert).length === 0).map(line);
  const title = names.length === 1 ? `Timeline of ${words(names[0] ?? '')}` : 'Device timeline';
  return block(title, [...lines, ...rest], 'No alerts.');
}

/** What the attacker did: techniques and the alerts that saw them. */
export function indicatorsOfAttack(alerts: Alert[]): string {
  const seen = new Map<string, Set<string>>();
  for (const alert of alerts) {
    const names = alert.mitreTechniques.length ? alert.mitreTechniques : [alert.category ? spelled(alert.category) : 'Other'];
    for (const name of names) seen.set(name, (seen.get(name) ?? new Set()).add(words(alert.title)));
  }
  const lines = [...seen]
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([name, titles]) => `- **${words(name)}** ${[...titles].join('; ')}`);
  return block('Indicators of attack', lines, 'None.');
}

const BAD = new Set(['malicious', 'suspicious']);
/** Kinds of evidence that one can look for elsewhere. */
const TELLING = /^(file|process|ip address|url|domain|dns|mail|analyzed message|registry)/i;

function hash(row: EvidenceRow): string | null {
  const found = evidenceFacts(row.evidence).find(([name]) => /sha256$/i.test(name));
  return found?.[1] ?? null;
}

/** What can be looked for elsewhere: bad files by their hash, addresses, names. */
export function indicatorsOfCompromise(rows: EvidenceRow[]): string {
  const bad = rows.filter((row) => BAD.has(row.verdict) && TELLING.test(row.kind));
  const lines = bad.map((row) => {
    const sha = hash(row);
    return `- ${row.kind} ${verbatim(row.name)}${sha ? `, SHA-256 ${verbatim(sha)}` : ''} (${spelled(row.verdict).toLowerCase()})`;
  });
  return block('Indicators of compromise', lines, 'None.');
}

/** All pieces of evidence, what is worst first. */
export function evidenceTable(rows: EvidenceRow[]): string {
  const shown = rows.slice(0, MOST);
  const lines = shown.map(
    (row) => `| ${cell(row.name)} | ${row.kind} | ${spelled(row.verdict)} | ${row.alerts.length} |`,
  );
  const more = rows.length > MOST ? `\nand ${rows.length - MOST} more\n` : '';
  const table = ['| Evidence | Kind | Verdict | Alerts |', '|---|---|---|---|', ...lines].join('\n');
  return `## Evidence\n\n${rows.length ? `${table}\n${more}` : 'None.\n'}`;
}

/** What was done in the customer's place, as the tasks say it. */
export function whatExpertsDid(tasks: Task[]): string {
  const lines = tasks
    .filter((task) => task.state === 'completed' && task.source === 'defenderExpertsManagedResponse')
    .map((task) => {
      const on = task.target ? ` on ${verbatim(task.target.name)}` : '';
      const closed = task.closed;
      const proof = closed?.verified ? ', verified on the asset' : '';
      return `- **${moment(closed?.at)}** ${words(task.displayName)}${on}${closed ? ` by ${words(closed.by)}` : ''}${proof}`;
    });
  return block('What the experts did', lines, 'Nothing yet.');
}

/** Puts a block where the caret is, with an empty line on either side. */
export function inserted(text: string, at: number, what: string): { text: string; caret: number } {
  const before = text.slice(0, at).replace(/\n*$/, '');
  const after = text.slice(at).replace(/^\n*/, '');
  const head = before ? `${before}\n\n` : '';
  const body = what.replace(/\n*$/, '\n');
  return { text: `${head}${body}${after ? `\n${after}` : ''}`, caret: head.length + body.length };
}
