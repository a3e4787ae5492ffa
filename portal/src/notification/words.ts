/** What notifications are called, and how they stand. Pure. */
import type { Look } from '../api/action-words';
import type { Channel, ChatVendor, ContactRole, Delivery, DeliveryState, MailRuleChoice, ReceiverHealth, RuleChoices, RuleSource } from '../api/hand';
import { sourceName, spelled } from '../api/words';

export { languageName } from '../api/languages';

const KINDS: Record<string, string> = {
  responsePublished: 'Managed response published',
  messageFromExperts: 'Message from experts',
  messageInChat: 'Message in the chat',
  reminder: 'Reminder',
  approvalNeeded: 'Approval needed',
  welcome: 'Welcome to the setup',
  contactAdded: 'New contact',
  deliveryFailed: 'Message not delivered',
  escalation: 'Answer needed (ladder)',
  nobodyAnswered: 'Nobody answers',
  customerReacted: 'Somebody is on it',
  noLongerWaits: 'No longer waiting',
  incidentMail: 'Incident, by a mail rule',
  actionMail: 'Response action, by a mail rule',
  readinessLapsed: 'Readiness has lapsed',
  readinessRestored: 'Readiness is whole again',
  test: 'Test',
};
export const kindName = (kind: string): string => KINDS[kind] ?? spelled(kind);

export const VENDORS: Record<ChatVendor, string> = {
  slack: 'Slack',
  teams: 'Microsoft Teams',
  mattermost: 'Mattermost',
  matrix: 'Matrix',
  pagerduty: 'PagerDuty',
};
export const CHANNELS: Record<Channel, string> = { mail: 'Mail', webhook: 'Webhook', sms: 'Text message', call: 'Call', ...VENDORS };

export type ChatField = { name: string; label: string; hint: string; secret?: boolean; choices?: { value: string; label: string }[] };

/** What connects a channel, in the order in which an administrator comes by it. */
export const CHAT_FIELDS: Record<ChatVendor, ChatField[]> = {
  slack: [
    { name: 'botToken', label: 'Bot token', hint: 'OAuth & Permissions of your Slack app; it begins with xoxb-', secret: true },
    { name: 'signingSecret', label: 'Signing secret', hint: 'Basic Information of your Slack app', secret: true },
    { name: 'channelId', label: 'Channel id', hint: 'At the foot of the channel’s details, such as C012AB3CD' },
  ],
  teams: [
    { name: 'tenantId', label: 'Organisation id', hint: 'Overview of Entra ID: Tenant ID' },
    { name: 'appId', label: 'Bot’s app id', hint: 'Configuration of your Azure Bot: Microsoft App ID' },
    { name: 'clientSecret', label: 'Client secret', hint: 'Of the bot’s app registration, under Certificates & secrets', secret: true },
    { name: 'channelId', label: 'Channel', hint: 'Paste what “Get link to channel” gives, or the id 19:…@thread.tacv2' },
  ],
  mattermost: [
    { name: 'baseUrl', label: 'Server', hint: 'Its https address, such as https://chat.alder.example' },
    { name: 'botToken', label: 'Bot’s access token', hint: 'Shown once when the bot account is added', secret: true },
    { name: 'channelId', label: 'Channel id', hint: 'In the channel’s information, 26 letters and digits' },
    { name: 'webhookToken', label: 'Outgoing webhook’s token', hint: 'Of the webhook that is added for this channel', secret: true },
  ],
  matrix: [
    { name: 'baseUrl', label: 'Homeserver', hint: 'Its https address, such as https://matrix.alder.example' },
    { name: 'accessToken', label: 'Bot’s access token', hint: 'Of the account that the bot has there', secret: true },
    { name: 'roomId', label: 'Room', hint: 'Its address, such as #soc:alder.example, or its id, such as !AbCd:alder.example' },
  ],
  pagerduty: [
    {
      name: 'region',
      label: 'Service region',
      hint: 'Where the PagerDuty account is',
      choices: [
        { value: 'us', label: 'US' },
        { value: 'eu', label: 'EU' },
      ],
    },
    { name: 'routingKey', label: 'Integration key', hint: 'Of an Events API v2 integration, 32 letters and digits', secret: true },
  ],
};

/** What an administrator does there; the address for events is known once the channel is connected. */
export const CHAT_STEPS: Record<ChatVendor, string[]> = {
  slack: [
    'Create an app at api.slack.com/apps with the bot scopes chat:write, channels:read, channels:history, users:read (and groups:read, groups:history for a private channel).',
    'Install it in your workspace, and add it to the channel.',
    'Connect the channel here. Then, under Event Subscriptions, enter the address for events and subscribe to message.channels, message.groups, channel_archive, channel_unarchive, channel_deleted and app_uninstalled.',
  ],
  teams: [
    'In Azure, add an Azure Bot of the type Single Tenant with the channel Microsoft Teams, and a client secret to its app registration.',
    'Create a private team “Defender Experts team” with the channel “Managed response”, or let the app make them below, and connect it here.',
    'Enter the address for events as the bot’s messaging endpoint, and add the bot to the team as an app.',
    'People mention the bot in an answer to reach the experts.',
  ],
  mattermost: [
    'Add a bot account and an access token (Integrations, Bot Accounts), and add the bot to the team and the channel.',
    'Add an outgoing webhook for that channel (a public one) without trigger words.',
    'Connect the channel here, then enter the address for events as the webhook’s callback address.',
  ],
  matrix: [
    'Register an account for the bot on your homeserver, sign in as it once, and keep its access token; signing out would end it.',
    'Make a room that is not encrypted, and invite the bot: in an encrypted room nothing could be read.',
    'Connect the room here; the bot joins it. People answer in the thread below a post.',
  ],
  pagerduty: [
    'In PagerDuty, open the service whose people are to be called, and add an integration of the type Events API v2.',
    'Connect it here with the integration key. An incident calls when it waits for you, is acknowledged when one of you acts on it or answers the experts, and is resolved when it waits no more.',
  ],
};

/** The id of a channel of Teams, out of the link to it where that is what was pasted. */
export function teamsChannel(text: string): string {
  const path = text.match(/\/l\/channel\/([^/?]+)/)?.[1];
  try {
    return path ? decodeURIComponent(path) : text;
  } catch {
    return text;
  }
}

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

/** What a setting of a channel is shown as. */
export const settingOf = (field: ChatField, value: string): string => field.choices?.find((one) => one.value === value)?.label ?? value;

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

/** A source of a rule, as people call it. */
export const ruleSource = (source: RuleSource): string =>
  [source.service, source.detection].flatMap((word) => (word === null ? [] : [sourceName(word)])).join(', ');

const FEW = 3;
const few = (names: string[]): string =>
  names.length > FEW ? `${names.slice(0, FEW).join(', ')} and ${names.length - FEW} more` : names.join(', ');

/** What a rule is about, in one line for each thing that it narrows. */
export function ruleTold({ when }: MailRuleChoice, choices: RuleChoices): string[] {
  const groups = when.deviceGroups.length > 0 ? [`Device groups: ${few(when.deviceGroups)}`] : [];
  if (when.about === 'actions') {
    const titles = when.actions.map((word) => choices.actions.find((one) => one.word === word)?.title ?? spelled(word));
    return [
      titles.length > 0 ? few(titles) : 'Every action',
      ...(when.origins.length === 1 ? [`${spelled(when.origins[0] ?? '')} only`] : []),
      ...(when.outcomes.length === 1 ? [`When it ${when.outcomes[0] === 'failed' ? 'failed' : 'is completed'}`] : []),
      ...groups,
    ];
  }
  return [
    when.severities.length > 0 ? `Severity: ${few(when.severities.map(spelled))}` : 'Every severity',
    ...(when.sources.length > 0
      ? [`From: ${few(when.sources.map((one) => `${ruleSource(one)}${one.severities && one.severities.length > 0 ? ` (${one.severities.join(', ')})` : ''}`))}`]
      : []),
    ...groups,
    when.oncePerIncident ? 'Once per incident' : 'With updates',
  ];
}
