/** How tasks are counted and put together for the page. Pure. */
import type { ActionType, Alert, Entity, Evidence, ManagedResponse, Target, Task } from '../api/hand';
import { proposed, targetName } from '../api/action-words';
import { evidenceKind, evidenceName, type EvidenceRow } from '../api/evidence';

export const BY_CUSTOMER = 'defenderExpertsGuidedResponse';
const BY_EXPERTS = 'defenderExpertsManagedResponse';

/** Tasks that wait for the customer: neither under way nor the experts' own. */
export const waiting = (response: ManagedResponse): Task[] =>
  response.pending.filter((task) => task.source === BY_CUSTOMER && task.state !== 'running');

/**
 * What publishing does with a draft: whoever could run it now does it then; else it is left to the
 * customer, for the server's reason.
 */
export function fate(task: Task): { managed: true } | { managed: false; because: string | null } {
  // What is no draft any more was run before it was published.
  if (task.state !== 'draft' || task.may.run.allowed) return { managed: true };
  return { managed: false, because: task.guidedBecause ?? task.may.run.because ?? null };
}

/** A draft as it will stand there when it is published. */
export function asPublished(task: Task): Task {
  const what = fate(task);
  return {
    ...task,
    ...(task.state === 'draft' && { state: what.managed ? 'running' : 'open', actionStatus: what.managed ? 'inProgress' : 'notStarted' }),
    source: what.managed ? BY_EXPERTS : BY_CUSTOMER,
    guidedBecause: what.managed ? null : what.because,
  };
}

export type Headline = {
  mood: 'urgent' | 'calm' | 'bad';
  title: string;
  text: string;
};

const many = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;

/** What the card on top of an incident says; null when there is nothing to say. */
export function headline(response: ManagedResponse, customer: boolean): Headline | null {
  if (response.revision === 0) return null;
  const all = response.pending.length + response.completed.length;
  const need = waiting(response).length;
  const second = response.pending.filter((task) => proposed(task).length > 0).length;
  const running = response.pending.filter((task) => task.state === 'running').length - second;
  const failed = response.pending.filter((task) => task.state === 'failed').length;
  if (response.rejected) {
    return {
      mood: 'bad',
      title: 'Managed response: the plan was rejected',
      text: `${response.rejected.by}: ${response.rejected.because}`,
    };
  }
  const also = [second > 0 && `${second} waiting for approval`, running > 0 && `${running} in progress`, failed > 0 && `${failed} failed`].filter(Boolean).join(', ');
  if (need > 0) {
    return {
      mood: 'urgent',
      title: customer
        ? `Managed response: ${need} of ${many(all, 'action')} ${need === 1 ? 'needs' : 'need'} you`
        : `Managed response: ${need} of ${many(all, 'action')} ${need === 1 ? 'waits' : 'wait'} for the customer`,
      text: also ? `${also}.` : customer ? 'Experts have done what they could; this part is yours.' : '',
    };
  }
  if (second > 0) {
    return {
      mood: 'urgent',
      title: `Managed response: ${second} of ${many(all, 'action')} ${second === 1 ? 'waits' : 'wait'} for approval`,
      text: 'Nothing of it is sent before somebody else agrees.',
    };
  }
  if (response.pending.length > 0) {
    return {
      mood: failed > 0 ? 'bad' : 'calm',
      title: `Managed response: ${response.pending.length} of ${many(all, 'action')} ${failed === response.pending.length ? 'failed' : 'in progress'}`,
      text: failed > 0 && running > 0 ? `${also}.` : failed > 0 ? 'Open the actions to see why.' : 'Nothing of it needs you now.',
    };
  }
  return {
    mood: 'calm',
    title: all === 0 ? 'Managed response: an investigation summary' : `Managed response: ${all === 1 ? 'the action is' : `all ${all} actions are`} done`,
    text: response.readyToClose ? 'The incident is ready to close.' : '',
  };
}

/** The catalogue by what actions are done to, in its own order. */
export function byTarget(types: ActionType[]): { title: string; types: ActionType[] }[] {
  const groups = new Map<string, ActionType[]>();
  for (const type of types) groups.set(type.target, [...(groups.get(type.target) ?? []), type]);
  return [...groups].map(([kind, list]) => ({ title: targetName(kind), types: list }));
}

/** Words of the incident's entities and evidence for each kind of target. */
const ENTITIES: Record<string, RegExp> = {
  device: /^device( name)?$/,
  user: /^(account( name)?|user)$/,
  file: /^file/,
  mail: /^message$/,
  indicator: /^(file|IP address|URL|domain)/,
  app: /^(application|oauth)/,
  process: /^process/,
};
const EVIDENCE: Record<string, RegExp> = {
  device: /^device$/i,
  user: /^(user|account)/i,
  file: /^(file|process)$/i,
  mail: /^(analyzed message|mail cluster)/i,
  indicator: /^(file|ip address|url|dns|domain)/i,
  app: /^(oauth application|cloud application)/i,
  process: /^process/i,
};

/** What an action of this kind could be done to: id and name, each once. */
export function targetsFor(kind: string, entities: Entity[], evidence: EvidenceRow[]): { id: string; name: string }[] {
  const found = new Map<string, { id: string; name: string }>();
  const named = new Set<string>();
  const add = (id: string, name: string) => {
    const key = id.toLowerCase();
    if (id && !found.has(key)) found.set(key, { id, name });
  };
  for (const row of evidence) {
    if (!EVIDENCE[kind]?.test(row.kind)) continue;
    const sha = kind === 'file' || (kind === 'indicator' && /^file/i.test(row.kind)) ? sha256(row) : null;
    // Of a process it is the program that can be taken away, and that goes by its hash.
    if (kind === 'file' && !sha && !/^file$/i.test(row.kind)) continue;
    const mails = kind === 'mail' ? mailsOf(row) : [];
    for (const { id, number } of mails) {
      add(id, mails.length > 1 ? `${row.name} ${id}` : row.name);
      // The incident names it by the number of the product that saw it.
      named.add(row.name.toLowerCase()).add(number ?? '');
    }
    if (mails.length === 0) add(sha ?? evidenceName(row.evidence), row.name);
  }
  for (const one of found.values()) named.add(one.name.toLowerCase());
  for (const entity of entities) {
    if (ENTITIES[kind]?.test(entity.kind) && !named.has(entity.name.toLowerCase())) add(entity.name, entity.name);
  }
  const all = [...found.values()];
  if (kind !== 'device') return all;
  // A device is known by its full name or by the first part of it.
  return all.filter(({ name }) => !all.some((other) => other.name.toLowerCase().startsWith(`${name.toLowerCase()}.`)));
}

/** A text of a piece of evidence, in lower case. */
function member(evidence: Evidence, name: string): string | null {
  const value = evidence[name];
  return typeof value === 'string' && value.trim() ? value.trim().toLowerCase() : null;
}

/** The mails that one piece of evidence stands for: those of a campaign often share a subject. */
function mailsOf(row: EvidenceRow): { id: string; number: string | null }[] {
  const found = new Map<string, { id: string; number: string | null }>();
  for (const one of row.alerts.flatMap((alert) => alert.evidence)) {
    const id = one.internetMessageId;
    if (evidenceKind(one) !== row.kind || evidenceName(one) !== row.name || typeof id !== 'string' || !id.trim()) continue;
    found.set(id.trim().toLowerCase(), { id: id.trim(), number: member(one, 'networkMessageId') });
  }
  return [...found.values()];
}

/** Who received a mail, as the evidence of alerts says; the server looks by itself where nobody says. */
export function receiversOf(alerts: Alert[], mail: string): string[] {
  const pieces = alerts.flatMap((alert) => alert.evidence).filter((one) => /analyzedMessageEvidence$/i.test(one['@odata.type']));
  const bare = (text: string | null): string | null => text?.replace(/^<|>$/g, '') ?? null;
  const wanted = bare(mail.trim().toLowerCase());
  const same = (one: Evidence): boolean => bare(member(one, 'internetMessageId')) === wanted;
  const numbers = new Set(pieces.filter(same).map((one) => member(one, 'networkMessageId')));
  numbers.delete(null);
  const found = pieces
    .filter((one) => same(one) || numbers.has(member(one, 'networkMessageId')))
    .map((one) => member(one, 'recipientEmailAddress'));
  return [...new Set(found.filter((one): one is string => one !== null))].sort();
}

function sha256(row: EvidenceRow): string | null {
  for (const member of ['fileDetails', 'imageFile']) {
    const details = row.evidence[member];
    if (typeof details === 'object' && details !== null) {
      const sha = (details as Record<string, unknown>).sha256;
      if (typeof sha === 'string' && sha) return sha;
    }
  }
  return null;
}

/** Where a target has a page of its own. */
export const pageOf = (target: Target | null): string | undefined =>
  target?.deviceId ? `/devices/${encodeURIComponent(target.deviceId)}` : undefined;
