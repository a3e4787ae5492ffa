/** Rules of the authority policy in words, and what is done to a list of them. Pure. */
import type { ActionApproval, Approver, Authority, Decided, Effect, Fallback, Hours, Need, Rule, Who } from './hand';

export const WHO: Record<Who, string> = { expert: 'experts', customer: 'your own people', automatic: 'Riposte by itself' };
export const APPROVERS: Record<Approver, string> = { customer: 'your people', experts: 'other experts', either: 'your people or experts' };
export const FALLBACKS: Record<Fallback, string> = {
  refuse: 'it is not done',
  task: 'it becomes a task for your people',
  proceed: 'it is done all the same',
};
export const SEVERITIES = ['unknown', 'informational', 'low', 'medium', 'high'];
export const CONFIDENCES: Record<string, string> = {
  unsaid: 'nobody has said it is a threat',
  indicated: 'a source judged evidence malicious',
  confirmed: 'a person classified it as a true positive',
};
export const DAYS = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];

/** A rule to begin with: experts ask before what is dangerous. */
export function newRule(rules: readonly Rule[], zone: string): { rule: Rule; hours: Hours } {
  const taken = new Set(rules.map((rule) => rule.id));
  let number = rules.length + 1;
  while (taken.has(`rule-${number}`)) number += 1;
  return {
    rule: {
      id: `rule-${number}`,
      title: '',
      actions: ['dangerous'],
      things: { devices: [], deviceGroups: [], users: [], highValue: false },
      severityFrom: null,
      severityTo: null,
      confidenceFrom: null,
      confidenceTo: null,
      hours: null,
      who: ['expert'],
      effect: { kind: 'approval', by: 'customer', quorum: 1, within: 60, fallback: 'refuse' },
    },
    hours: { zone, days: [1, 2, 3, 4, 5], from: 8 * 60, to: 17 * 60, outside: false },
  };
}

/** `a`, `a and b`, `a, b and c`. */
export function listed(all: readonly string[], last = 'and'): string {
  if (all.length < 2) return all.join('');
  return `${all.slice(0, -1).join(', ')} ${last} ${all[all.length - 1]}`;
}

/** Minutes as people say them. */
export function duration(minutes: number): string {
  const of = (count: number, one: string) => `${count} ${one}${count === 1 ? '' : 's'}`;
  if (minutes % 1440 === 0) return of(minutes / 1440, 'day');
  if (minutes % 60 === 0) return of(minutes / 60, 'hour');
  return of(minutes, 'minute');
}

/** A minute of the day as a clock shows it; the end of the day is 24:00. */
export const clock = (minute: number): string =>
  `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`;

/** The minute of the day of what a clock shows. */
export function minuteOf(text: string): number | null {
  const found = /^(\d{2}):(\d{2})$/.exec(text);
  if (!found) return null;
  const minute = Number(found[1]) * 60 + Number(found[2]);
  return minute <= 1440 ? minute : null;
}

const people = (by: Approver, quorum: number): string => {
  const one = by === 'customer' ? 'one of your people' : by === 'experts' ? 'another expert' : 'a second person';
  const many = by === 'customer' ? 'of your people' : by === 'experts' ? 'other experts' : 'other people';
  return quorum === 1 ? one : `${quorum} ${many}`;
};

/** What a rule decides. */
export function effectTold(effect: Effect): string {
  if (effect.kind === 'atOnce') return 'Experts may act at once';
  if (effect.kind === 'never') return 'Never: it is a task for your people';
  const { by, quorum, within, fallback } = effect;
  const who = people(by, quorum);
  return `${who.charAt(0).toUpperCase()}${who.slice(1)} ${quorum === 1 ? 'approves' : 'approve'} within ${duration(within)}, else ${FALLBACKS[fallback]}`;
}

function days(all: readonly number[]): string {
  if (all.length === 7) return 'every day';
  if (all.join() === '1,2,3,4,5') return 'Monday to Friday';
  if (all.join() === '6,7') return 'the weekend';
  return listed(all.map((day) => DAYS[day - 1] ?? ''));
}

export function hoursTold(hours: Hours): string {
  const { from, to, zone } = hours;
  const all = from === to ? 'all day' : `${clock(from)} to ${clock(to)}${to < from ? ' of the next day' : ''}`;
  return `${hours.outside ? 'outside of ' : ''}${days(hours.days)}, ${all} (${zone})`;
}

/** When a rule holds, one part for each field that narrows it. */
export function conditionsTold(rule: Rule, authority: Pick<Authority, 'actions' | 'actionGroups'>): string[] {
  const word = (name: string) => [...authority.actionGroups, ...authority.actions].find((one) => one.word === name)?.title ?? name;
  const { things } = rule;
  const on = [
    ...(things.devices.length > 0 ? [`device ${listed(things.devices, 'or')}`] : []),
    ...(things.deviceGroups.length > 0 ? [`device group ${listed(things.deviceGroups, 'or')}`] : []),
    ...(things.users.length > 0 ? [`user ${listed(things.users, 'or')}`] : []),
    ...(things.highValue ? ['anything of high value'] : []),
  ];
  const range = (name: string, from: string | null, to: string | null) =>
    from && to ? (from === to ? [`${name} ${from}`] : [`${name} ${from} to ${to}`]) : from ? [`${name} at least ${from}`] : to ? [`${name} at most ${to}`] : [];
  return [
    rule.actions.length > 0 ? listed(rule.actions.map(word), 'or') : 'Every action',
    ...(on.length > 0 ? [`on ${listed(on, 'or')}`] : []),
    ...(rule.who.length > 0 ? [`asked for by ${listed(rule.who.map((who) => WHO[who]), 'or')}`] : []),
    ...range('severity', rule.severityFrom, rule.severityTo),
    ...range('confidence', rule.confidenceFrom, rule.confidenceTo),
    ...(rule.hours ? [hoursTold(rule.hours)] : []),
  ];
}

/** The list with one moved up (-1) or down (1); the same list at its ends. */
export function moved<T>(all: readonly T[], at: number, by: -1 | 1): readonly T[] {
  const to = at + by;
  if (to < 0 || to >= all.length) return all;
  const next = [...all];
  next.splice(to, 0, ...next.splice(at, 1));
  return next;
}

/** The names of a text field: one a line, or apart by commas. */
export const namesOf = (text: string): string[] =>
  text
    .split(/[\n,]+/)
    .map((name) => name.trim())
    .filter(Boolean);

export const DECISIONS: Record<string, string> = { atOnce: 'at once', waits: 'after approval', never: 'only as a task for you' };

const needTold = (need: Pick<Need, 'by' | 'quorum' | 'within'>) => `${people(need.by, need.quorum)} within ${duration(need.within)}`;

/** What would follow for one wish. */
export function decidedTold(decided: Decided): string {
  const what = DECISIONS[decided.decision] ?? decided.decision;
  const needs = decided.needs.length > 0 ? `: ${listed(decided.needs.map(needTold))}` : '';
  return `${what}${needs}`;
}

const AFTER: Record<Fallback, string> = { refuse: 'then refused', task: 'then a task for the customer', proceed: 'then done' };

/** `2 of 3 approvals by the customer, until 14:05, then refused`: what an action still waits for. */
export function waitsTold(approval: ActionApproval, at: (moment: string) => string): string[] {
  const by: Record<Approver, string> = { customer: ' by the customer', experts: ' by experts', either: '' };
  return approval.needs.map(
    (need) =>
      `${need.given} of ${need.quorum} ${need.quorum === 1 ? 'approval' : 'approvals'}${by[need.by]}, until ${at(need.untilDateTime)}, ${AFTER[need.fallback]}`,
  );
}
