/** What steps, stages and items are called. Pure. */
import type { Look } from '../api/action-words';
import type { Onboarding, ReadinessStatus, SetupStep, Stage } from '../api/hand';

/** The steps in their order; the review is no step of the server's, it is left by submitting. */
export type Place = SetupStep | 'review';

export const STEPS: { id: Place; label: string; lead: string }[] = [
  { id: 'getStarted', label: 'Get started', lead: 'What is going to happen, and what is needed for it.' },
  { id: 'permissions', label: 'Permissions', lead: 'What Defender Experts may do in your organisation.' },
  { id: 'exclusions', label: 'Exclusions', lead: 'Devices and users that experts never act on: for these they only tell you what to do.' },
  { id: 'contacts', label: 'Contacts', lead: 'Who is told of managed responses and of anything urgent. At least one incident contact is needed.' },
  { id: 'channels', label: 'Chat channels', lead: 'Chats and programs that are told besides mail. This can be left for later.' },
  { id: 'review', label: 'Review', lead: 'What was chosen. All of it can be changed later under Settings.' },
];

/** Where the setup goes on: the first step that is open, at the end the review. */
export const placeOf = (of: Pick<Onboarding, 'nextStep'>): Place => of.nextStep ?? 'review';

/** Whether a place can be opened: those that are done, and the next one. */
export function mayOpen(place: Place, of: Pick<Onboarding, 'nextStep'>): boolean {
  const order = STEPS.map((one) => one.id);
  return order.indexOf(place) <= order.indexOf(placeOf(of));
}

export const STAGES: { id: Stage; label: string; what: string }[] = [
  { id: 'invited', label: 'Invited', what: 'Alerts are taken in. Experts only look.' },
  { id: 'setUp', label: 'Setup', what: 'Alerts are taken in. Experts only look.' },
  { id: 'readinessPending', label: 'Readiness', what: 'Experts only look until what the service needs is there.' },
  { id: 'monitoring', label: 'Monitoring', what: 'Experts learn what is normal and publish guidance. They do not act themselves.' },
  { id: 'active', label: 'Active', what: 'Experts do everything that your permissions and your authority policy allow.' },
];

export const stageName = (stage: Stage): string => STAGES.find((one) => one.id === stage)?.label ?? stage;

export const STATUSES: Record<ReadinessStatus, Look> = {
  toDo: { label: 'To do', color: 'danger' },
  inProgress: { label: 'In progress', color: 'warning' },
  completed: { label: 'Completed', color: 'success' },
};

/** A target as it is typed: nothing stands for what is known; `undefined` when it is no number. */
export function targetOf(text: string): number | null | undefined {
  const bare = text.trim();
  if (bare === '') return null;
  return /^\d{1,8}$/.test(bare) && Number(bare) <= 10_000_000 ? Number(bare) : undefined;
}
