/** What a fact of the log says, as a sentence behind the name of who caused it. Pure. */
import { NAMES } from '../api/clock-words';
import type { ClockName, Fact } from '../api/hand';
import { spelled } from '../api/words';

/** Facts whose reason somebody wrote, or an asset gave. */
const REASONED = /^(access|response|task|action)\./;

/** What somebody wrote with it. */
export function said(fact: Fact): string | undefined {
  if (!REASONED.test(fact.kind)) return undefined;
  const written = fact.kind === 'access.requested' ? fact.reason : (fact.because ?? fact.reason);
  return typeof written === 'string' ? written : undefined;
}

const many = (of: unknown, what: string): string => {
  const count = Array.isArray(of) ? of.length : typeof of === 'number' ? of : 1;
  return count === 1 ? `one ${what}` : `${count} ${what}s`;
};

/** "isolateDevice" on "KONTOR-LT-042", as part of a sentence. */
const done = (kind: unknown, target: unknown): string => {
  const what = kind === 'text' ? 'guidance' : typeof kind === 'string' && kind ? spelled(kind).toLowerCase() : 'an action';
  return typeof target === 'string' && target ? `${what} on ${target}` : what;
};
const ENDED: Record<string, string> = {
  succeeded: 'was carried out',
  failed: 'failed',
  cancelled: 'was cancelled',
  rejected: 'was rejected',
  expired: 'expired before it was begun',
  needsHuman: 'ended, and somebody has to look at how',
};
const CLOSED: Record<string, string> = {
  completed: 'completed',
  failed: 'could not carry out',
  skipped: 'skipped',
  withdrawn: 'withdrew',
};

const names = (of: unknown): string => (Array.isArray(of) && of.length > 0 ? of.join(', ') : 'nobody, because there is no contact for it,');
const clock = (of: unknown): string => `the clock ${NAMES[of as ClockName] ?? String(of)}`;
/** Of what somebody was told. */
const NEWS: Record<string, string> = {
  responsePublished: 'of the managed response',
  messageFromExperts: 'of a message from the experts',
  messageInChat: 'of a message in the chat',
  reminder: 'again what still waits',
  approvalNeeded: 'that an approval is needed',
  welcome: 'how the setup is opened',
  contactAdded: 'of a new contact',
  deliveryFailed: 'of a message that did not reach somebody else',
  escalation: 'that nobody has reacted',
  nobodyAnswered: 'that nobody answers',
  clockNearing: 'that a service target is near',
  clockMissed: 'that a service target was missed',
};

const actions = (of: unknown): string => many(Array.isArray(of) ? of : [], 'action').replace(/^0 /, 'no ');

/** The sentence of a fact; one that is new to this page is told by its name. */
export function told(fact: Fact): string {
  const sentences: Record<string, () => string> = {
    'incident.opened': () => `opened the incident with ${many(fact.alertIds, 'alert')}`,
    'incident.grew': () => `added ${many(fact.alertIds, 'alert')}`,
    'incident.merged': () => 'merged incidents',
    'incident.queued': () => 'put it into the queue of Defender Experts',
    'incident.leftOut': () => `left it to you: ${spelled(String(fact.reason ?? 'out of scope')).toLowerCase()}`,
    'incident.started': () => 'took it up',
    'incident.concluded': () => 'concluded the investigation',
    'incident.changed': () => 'changed the incident',
    'incident.commented': () => 'commented',
    'alert.moved': () => `moved ${many(fact.alertIds, 'alert')}`,
    'alert.received': () => `sent alert ${fact.alertId ?? ''}`,
    'alert.updated': () => `sent newer content of alert ${fact.alertId ?? ''}`,
    'alert.changed': () => `changed alert ${fact.alertId ?? ''}`,
    'alert.commented': () => `commented on alert ${fact.alertId ?? ''}`,
    'task.drafted': () => `drafted task ${fact.taskId}: ${done(fact.actionType, fact.target)}`,
    'task.changed': () => `changed task ${fact.taskId}`,
    'task.removed': () => `removed the draft of task ${fact.taskId}`,
    'task.begun': () => `took task ${fact.taskId} up by hand`,
    'task.started': () => `started task ${fact.taskId}`,
    'task.closed': () =>
      `${CLOSED[String(fact.state)] ?? 'closed'} task ${fact.taskId}${fact.verified === true ? ', verified on the asset' : ''}`,
    'task.reopened': () => `reopened task ${fact.taskId}`,
    'response.published': () =>
      `published the managed response: ${actions(fact.guidedTaskIds)} for the customer, ${actions(fact.managedTaskIds)} by the experts`,
    'response.rejected': () => 'rejected the plan',
    'action.requested': () => `asked for ${done(fact.actionType, fact.target)}`,
    'action.approved': () => `approved action ${fact.actionId}${typeof fact.because === 'string' ? `; ${fact.because}` : ''}`,
    'action.waits': () => `action ${fact.actionId} waits: ${String(fact.because ?? '')}`,
    'action.rejected': () => `rejected action ${fact.actionId}`,
    'action.cancelled': () => `cancelled action ${fact.actionId}`,
    'action.started': () => `sent action ${fact.actionId}${Number(fact.attempt) > 1 ? `, attempt ${fact.attempt}` : ''}`,
    'action.lost': () => `lost sight of action ${fact.actionId}; the asset is asked what became of it`,
    'action.ended': () =>
      `action ${fact.actionId} ${ENDED[String(fact.state)] ?? 'ended'}${fact.verified === true ? ', verified on the asset' : ''}`,
    'action.packageTaken': () => `downloaded what action ${fact.actionId} collected`,
    'notification.made': () => `told ${names(fact.receivers)} ${NEWS[String(fact.notification)] ?? 'as a test'}`,
    'notification.settingChanged': () => 'changed how people are told',
    'delivery.failed': () => `could not bring a message to ${fact.receiver}: ${fact.because}`,
    'delivery.repeated': () => `had the message to ${fact.receiver} sent again`,
    'escalation.stepped': () =>
      typeof fact.because === 'string' ? `passed ${fact.name} over: ${fact.because}` : `reached for ${fact.name} by ${fact.by === 'sms' ? 'text message' : fact.by}`,
    'escalation.ended': () =>
      fact.standing === 'nobody' ? 'found that nobody answers' : fact.standing === 'acknowledged' ? 'stopped, because somebody reacted' : 'stopped reaching for people',
    'call.ended': () => `heard how the call to ${fact.receiver} ended: ${spelled(String(fact.outcome)).toLowerCase()}`,
    'ladder.changed': () => 'changed the ladder',
    'clock.nearing': () => `saw that ${clock(fact.clock)} is near its target of ${many(fact.targetMinutes, 'minute')}`,
    'clock.missed': () => `saw that ${clock(fact.clock)} missed its target of ${many(fact.targetMinutes, 'minute')}`,
    'serviceAgreement.changed': () => 'changed what is promised',
    'tenant.invited': () => `invited ${fact.email} to set the service up`,
    'onboarding.stageChanged': () => `brought the service a stage further: ${String(fact.because ?? '')}`,
    'onboarding.stepped': () => `${fact.state === 'skipped' ? 'skipped' : 'confirmed'} the step ${spelled(String(fact.step)).toLowerCase()} of the setup`,
    'onboarding.submitted': () => 'submitted the setup',
    'onboarding.changed': () => 'changed how the customer is brought into the service',
    'readiness.changed': () => 'found the readiness changed',
    'readiness.lapsed': () => 'found that something the service needs is no longer there',
    'readiness.restored': () => 'found that what was missing is there again',
    'reply.refused': () => `did not take an answer to what ${fact.receiver} was sent: ${fact.because}`,
    'contact.added': () => `added the contact ${fact.name} (${fact.email})`,
    'contact.changed': () => `changed the contact ${fact.name}`,
    'contact.removed': () => `removed the contact ${fact.name}`,
    'mailRule.added': () => `added the mail rule ${fact.name}`,
    'mailRule.changed': () => `changed the mail rule ${fact.name}`,
    'mailRule.removed': () => `removed the mail rule ${fact.name}`,
    'mailRule.restored': () => `took back the removal of the mail rule ${fact.name}`,
    'chatChannel.added': () => `connected the chat channel ${fact.name}`,
    'chatChannel.changed': () => `changed the chat channel ${fact.name}`,
    'chatChannel.removed': () => `removed the chat channel ${fact.name}`,
    'chatChannel.refused': () => `refused a request in the name of ${fact.name}: ${fact.because}`,
    'webhook.added': () => `added the webhook ${fact.name} at ${fact.url}`,
    'webhook.changed': () => `changed the webhook ${fact.name}`,
    'webhook.removed': () => `removed the webhook ${fact.name}`,
    'access.requested': () => `asked for access for ${many(fact.hours, 'hour')}`,
    'access.approved': () => 'let the expert in',
    'access.denied': () => 'denied the access',
    'access.ended': () => 'ended the access',
  };
  return (sentences[fact.kind] ?? (() => spelled(fact.kind.replace('.', ' ')).toLowerCase()))();
}
