/** What an evidence says: 48 subtypes, told by what their members are called. Pure. */
import type { Alert, Evidence } from './hand';
import { spelled } from './words';

/** "#microsoft.graph.security.deviceEvidence" → "Device". */
export function evidenceKind(evidence: Evidence): string {
  const type = evidence['@odata.type'].split('.').pop() ?? '';
  const kind = spelled(type.replace(/Evidence$/, '') || 'Evidence');
  return kind === 'IP' ? 'IP address' : kind;
}

const text = (value: unknown): string | null =>
  typeof value === 'string' && value !== '' ? value : typeof value === 'number' ? String(value) : null;

/** The value at a path such as `imageFile.fileName`. */
function at(evidence: Evidence, path: string): string | null {
  let value: unknown = evidence;
  for (const member of path.split('.')) {
    if (typeof value !== 'object' || value === null) return null;
    value = (value as Record<string, unknown>)[member];
  }
  return text(value);
}

const NAMES = [
  'deviceDnsName',
  'hostName',
  'userAccount.userPrincipalName',
  'userAccount.accountName',
  'primaryAddress',
  'imageFile.fileName',
  'fileDetails.fileName',
  'ipAddress',
  'url',
  'domainName',
  'subject',
  'networkMessageId',
  'registryKey',
  'displayName',
  'resourceName',
  'resourceId',
  'name',
  'clusterName',
  'sessionId',
  'appId',
];

/** What a person would call it. */
export function evidenceName(evidence: Evidence): string {
  const [from, to] = [at(evidence, 'sourceAddress.ipAddress'), at(evidence, 'destinationAddress.ipAddress')];
  if (from && to) {
    const port = at(evidence, 'destinationPort');
    return `${from} → ${to}${port ? ` port ${port}` : ''}`;
  }
  for (const path of NAMES) {
    const found = at(evidence, path);
    if (found) return found;
  }
  return evidenceKind(evidence);
}

/** The hash that a file is known by, where the evidence is one. */
export function fileHash(evidence: Evidence): string | null {
  for (const path of ['fileDetails.sha256', 'imageFile.sha256', 'fileDetails.sha1', 'imageFile.sha1']) {
    const found = at(evidence, path);
    if (found) return found;
  }
  return null;
}

const LEFT_OUT = new Set([
  '@odata.type',
  'createdDateTime',
  'verdict',
  'remediationStatus',
  'remediationStatusDetails',
  'roles',
  'detailedRoles',
  'tags',
]);
const MOST = 40;

/** All members that say something, flat: `imageFile.sha256` is "Image file · Sha256". */
export function evidenceFacts(evidence: Evidence): [string, string][] {
  const facts: [string, string][] = [];
  const walk = (value: unknown, name: string, depth: number) => {
    if (facts.length >= MOST || value === null || value === undefined) return;
    if (Array.isArray(value)) {
      const all = value.map(text).filter((one): one is string => one !== null);
      if (all.length) facts.push([name, all.slice(0, 20).join(', ')]);
    } else if (typeof value === 'object') {
      if (depth >= 4) return;
      for (const [member, inner] of Object.entries(value)) {
        walk(inner, name ? `${name} · ${spelled(member).toLowerCase()}` : spelled(member), depth + 1);
      }
    } else {
      const shown = typeof value === 'boolean' ? (value ? 'yes' : 'no') : text(value);
      if (shown) facts.push([name, shown]);
    }
  };
  for (const [member, value] of Object.entries(evidence)) {
    if (!LEFT_OUT.has(member) && !member.startsWith('@')) walk(value, spelled(member), 0);
  }
  return facts;
}

export const words = (value: unknown): string[] =>
  Array.isArray(value) ? value.map(text).filter((one): one is string => one !== null) : [];

/** A piece of evidence with the alerts that carry it. */
export type EvidenceRow = { id: string; evidence: Evidence; kind: string; name: string; alerts: Alert[]; verdict: string };

/** The worst verdict of several is the one that counts. */
const RANK = ['unknown', 'noThreatsFound', 'suspicious', 'malicious'];

/** The evidence of alerts, each piece once, what is worst first. */
export function gathered(alerts: Alert[]): EvidenceRow[] {
  const rows = new Map<string, EvidenceRow>();
  for (const alert of alerts) {
    for (const evidence of alert.evidence) {
      const kind = evidenceKind(evidence);
      const name = evidenceName(evidence);
      const id = `${kind} ${name.toLowerCase()}`;
      const verdict = String(evidence.verdict ?? 'unknown');
      const known = rows.get(id);
      if (!known) rows.set(id, { id, evidence, kind, name, alerts: [alert], verdict });
      else {
        if (!known.alerts.includes(alert)) known.alerts.push(alert);
        if (RANK.indexOf(verdict) > RANK.indexOf(known.verdict)) {
          known.verdict = verdict;
          known.evidence = evidence;
        }
      }
    }
  }
  return [...rows.values()].sort((a, b) => RANK.indexOf(b.verdict) - RANK.indexOf(a.verdict));
}
