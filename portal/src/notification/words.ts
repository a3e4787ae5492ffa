/** What notifications are called, and how they stand. Pure. */
import type { Look } from '../api/action-words';
import type { Channel, ContactRole, Delivery, DeliveryState, ReceiverHealth } from '../api/hand';
import { spelled } from '../api/words';

export { languageName } from '../api/languages';

const KINDS: Record<string, string> = {
  responsePublished: 'Managed response published',
  messageFromExperts: 'Message from experts',
  reminder: 'Reminder',
  approvalNeeded: 'Approval needed',
  welcome: 'Welcome to the setup',
  contactAdded: 'New contact',
  deliveryFailed: 'Message not delivered',
  test: 'Test',
};
export const kindName = (kind: string): string => KINDS[kind] ?? spelled(kind);

export const CHANNELS: Record<Channel, string> = { mail: 'Mail', webhook: 'Webhook' };

export const ROLES: Record<ContactRole, { label: string; hint: string }> = {
  incidentNotification: { label: 'Incident notification', hint: 'Managed responses and anything urgent, at any hour' },
  serviceReview: { label: 'Service review', hint: 'Updates, briefings and reports of the service' },
};

export const STATES: Record<DeliveryState, Look> = {
  delivered: { label: 'Delivered', color: 'success' },
  waiting: { label: 'Waiting', color: 'warning' },
  dead: { label: 'Not delivered', color: 'danger' },
  cancelled: { label: 'Cancelled', color: 'informative' },
};

export const OUTCOMES: Record<string, Look> = {
  delivered: { label: 'Delivered', color: 'success' },
  later: { label: 'Not now', color: 'warning' },
  refused: { label: 'Refused', color: 'danger' },
};

export const healthOf = (receivers: ReceiverHealth[], channel: Channel, receiver: string): ReceiverHealth | null =>
  receivers.find((one) => one.channel === channel && one.receiver === receiver) ?? null;

/** How the way to a receiver goes. */
export function healthLook(health: ReceiverHealth | null, what: 'mail' | 'message'): Look {
  if (health?.lastError) return { label: `Last ${what} failed`, color: 'danger' };
  if (health?.lastOkDateTime) return { label: 'Works', color: 'success' };
  return { label: 'Not used yet', color: 'informative' };
}

/** Who did not hear: those whose newest message was given up. The newest stands first. */
export function unheard(deliveries: Delivery[]): Delivery[] {
  const newest = new Map<string, Delivery>();
  for (const one of deliveries) {
    const key = `${one.channel} ${one.receiver}`;
    if (!newest.has(key)) newest.set(key, one);
  }
  return [...newest.values()].filter((one) => one.state === 'dead');
}
