/**
 * Types of what the OpenAPI document does not describe yet. All hand-written types of the API are
 * in this file; when the document learns a path, its entry here goes.
 */

import type { components } from './schema';

type Schemas = components['schemas'];
type Get<Reply, Query = Record<never, never>, Path = never> = {
  get: {
    parameters: { query?: Query; header?: never; cookie?: never } & At<Path>;
    requestBody?: never;
    responses: Ok<Reply>;
  };
};
type Send<Method extends string, Body, Reply, Path = never> = Record<
  Method,
  {
    parameters: { query?: never; header?: never; cookie?: never } & At<Path>;
    requestBody: { content: { 'application/json': Body } };
    responses: Ok<Reply>;
  }
>;
type Remove<Reply = undefined, Path = never> = {
  delete: {
    parameters: { query?: never; header?: never; cookie?: never } & At<Path>;
    requestBody?: never;
    responses: Ok<Reply>;
  };
};
type Post<Body, Reply, Path = never> = Send<'post', Body, Reply, Path>;
type Ok<Reply> = { 200: { headers: Record<string, unknown>; content: { 'application/json': Reply } } };
type At<Path> = [Path] extends [never] ? { path?: never } : { path: Path };
type Id = { id: string };
type OfTenant = { tenantId?: string };
type Nothing = Record<string, never>;

/** What the caller may do now and, if not, why not. */
export type May = Schemas['May'];

export type Side = 'provider' | 'customer';

export type Session = {
  person: { id: string; name: string | null; email: string };
  side: Side;
  organisation: { id: string; name: string; stage: Stage | null };
  role: string;
  memberships: { organisationId: string; name: string; role: string; side: Side }[];
  permissions: string[];
  authenticatedBy: 'passkey' | 'totp' | 'oidc' | 'demo';
  signedInDateTime: string;
  idleDateTime: string;
  expiresDateTime: string;
  stepUpUntilDateTime: string | null;
  factors: { password: boolean; totp: boolean; passkeys: number; recoveryCodes: number };
};

export type Invitation = Schemas['Invited'];
/** What an authenticator app must be told, and the name of the step. */
export type Enrolment = Schemas['Chosen'];

/** The browser's own JSON form of passkeys: bytes as base64url. */
export type PasskeyFinish = { flow: string; credential: unknown };

export type DemoPerson = {
  id: string;
  name: string;
  email: string;
  role: string;
  organisation: string;
  side: Side;
};

export type SessionRow = {
  id: string;
  current: boolean;
  signedInDateTime: string;
  lastSeenDateTime: string;
  expiresDateTime: string;
  address: string | null;
  userAgent: string | null;
  authenticatedBy: string;
};

export type Passkey = { id: string; name: string; createdDateTime: string; lastUsedDateTime: string | null };

export type Person = {
  id: string;
  name: string | null;
  email: string;
  role: string;
  state: 'invited' | 'active' | 'disabled';
  invitedDateTime: string;
  lastSignInDateTime: string | null;
  factors: { password: boolean; totp: boolean; passkeys: number };
  may: Record<'changeRole' | 'disable' | 'enable' | 'remove' | 'invite' | 'signOut', May>;
};
export type People = { value: Person[]; roles: string[]; may: { invite: May } };
export type SetupLink = { setupUrl: string; expiresDateTime: string };

export type AppRow = {
  clientId: string;
  name: string;
  permissions: string[];
  createdDateTime: string;
  lastUsedDateTime: string | null;
  may: { remove: May; rotate: May };
};
export type Apps = { value: AppRow[]; permissions: string[]; may: { add: May } };
export type AppSecret = { clientId: string; clientSecret: string; tenantId: string };

/** Who signs people of the organisation in; `roles` are names of roles by group. */
export type IdentityProvider = Omit<Schemas['ProviderView'], 'roles'> & { roles: Record<string, string> };
export type NewIdentityProvider = Schemas['NewProvider'];

/** A product that carries actions out. */
export type Connector = Schemas['ConnectorView'];
export type NewConnector = Schemas['NewConnector'];
export type EditedConnector = Schemas['EditedConnector'];

/** Who hears of what concerns the customer. */
export type ContactRole = 'incidentNotification' | 'serviceReview';
export type ContactChoice = {
  name: string;
  kind: 'person' | 'group';
  email: string;
  phone: string | null;
  role: ContactRole;
  priority: 'primary' | 'backup';
  language: string;
  /** When the ladder reaches it; null at any hour. */
  hours: Week | null;
};
export type Contact = ContactChoice & { id: string; createdBy: string; createdDateTime: string };

/** Hours of a week in a time zone. */
export type Week = Schemas['Week'];
export type Ladder = Schemas['Ladder'];
/** NOT-8: who is reached, one after the other, while nobody reacts. */
export type LadderSettings = { ladder: Ladder; phone: { isSetUp: boolean; from: string | null }; may: Record<'change', May> };
/** A ladder as it was climbed for an incident. */
export type Climb = {
  standing: 'climbing' | 'acknowledged' | 'nobody' | 'ended';
  startedDateTime: string;
  nextDateTime: string | null;
  endedDateTime: string | null;
  steps: { dateTime: string; name: string; by: Ladder['rungs'][number]['by']; because: string | null; outcome: string | null }[];
};
/** Which mails go out by a customer's own rule, and to whom (NOT-9, NOT-10). */
export type RuleSource = { service: string | null; detection: string | null; severities: string[] | null };
export type IncidentsWanted = { about: 'incidents'; severities: string[]; sources: RuleSource[]; deviceGroups: string[]; oncePerIncident: boolean };
export type ActionsWanted = {
  about: 'actions';
  origins: ('manual' | 'automated')[];
  actions: string[];
  deviceGroups: string[];
  outcomes: ('completed' | 'failed')[];
};
export type MailRuleChoice = {
  name: string;
  when: IncidentsWanted | ActionsWanted;
  organisationName: boolean;
  tenantLink: boolean;
  recipients: { email: string; language: string }[];
  on: boolean;
};
export type MailRule = MailRuleChoice & { id: string; createdBy: string; createdDateTime: string };
/** What a rule can name. */
export type RuleChoices = {
  severities: string[];
  serviceSources: string[];
  detectionSources: string[];
  deviceGroups: string[];
  actions: { word: string; title: string }[];
  languages: string[];
};

/** A program that is told; `secret` only in the answer that drew it. */
export type Webhook = Schemas['WebhookView'];

export type ChatVendor = 'slack' | 'teams' | 'mattermost' | 'matrix' | 'pagerduty';
export type Channel = 'mail' | 'webhook' | 'sms' | 'call' | ChatVendor;
/** A channel of the customer's team chat, or its PagerDuty; its secrets are never shown. */
export type ChatChannel = {
  id: string;
  vendor: ChatVendor;
  name: string;
  language: string;
  settings: Record<string, string>;
  known: { team: string | null; channel: string | null };
  /** Null where nobody has to be told an address. */
  eventsUrl: string | null;
  trouble: { kind: string; because: string; remedy: string; sinceDateTime: string } | null;
  refused: string | null;
  refusedDateTime: string | null;
  createdBy: string;
  createdDateTime: string;
};
export type ChatChannelChoice = { name: string; language: string; settings: Record<string, string>; secrets: Record<string, string> };
/** A team of Microsoft Teams that is being made; `channelId` once its channel is there. */
export type MadeTeam = { teamId: string; channelId: string | null; bot: 'installed' | 'notUploaded' | 'byHand' | null };
/** How the way to a receiver goes: a mail address, or the id of a webhook or a chat channel. */
export type ReceiverHealth = {
  channel: Channel;
  receiver: string;
  waiting: number;
  failures: number;
  pausedUntilDateTime: string | null;
  lastOkDateTime: string | null;
  /** Only when it is newer than the last success. */
  lastError: string | null;
  lastErrorDateTime: string | null;
};
export type NotificationSettings = {
  reminderHours: number;
  /** Whether the mail about a published response contains all of it. */
  wholeResponse: boolean;
  mail: { isSetUp: boolean; from: string; isAnswered: boolean };
  receivers: ReceiverHealth[];
  kinds: string[];
  languages: string[];
  may: { change: May };
};
export type DeliveryState = 'waiting' | 'delivered' | 'dead' | 'cancelled';
export type Delivery = {
  id: string;
  notificationId: string;
  kind: string;
  incidentId: string | null;
  channel: Channel;
  receiver: string;
  name: string;
  language: string;
  state: DeliveryState;
  subject: string;
  attempts: number;
  nextDateTime: string | null;
  createdDateTime: string;
  endedDateTime: string | null;
  because: string | null;
};
export type Letter = {
  subject: string;
  heading: string;
  paragraphs: string[];
  items: string[];
  quote: string | null;
  /** The whole response, where it is wanted: headings, and each task with what is to be done. */
  whole: { summary: string[]; tasks: string; each: string[][]; cut: string | null } | null;
  after: string[];
  /** What it says and where it goes. */
  link: string[];
  footer: string[];
};
export type DeliveryDetail = Delivery & {
  letter: Letter;
  attemptsMade: { number: number; startedDateTime: string; endedDateTime: string; outcome: 'delivered' | 'later' | 'refused'; detail: string }[];
};
/** A mail as it arrived in the demo; what it did not have is null. */
export type DemoMail = {
  /** Its Message-ID, the same when it is sent again. */
  id: string | null;
  receivedDateTime: string;
  from: string | null;
  to: string[];
  /** Whether it may be answered. */
  isAnswered: boolean;
  subject: string | null;
  text: string | null;
  html: string | null;
};

export type GrantLevel = 'none' | 'reader' | 'operator';
export type Approval = 'customer' | 'lead' | 'automatic';
export type Grant = {
  tenantId: string;
  level: GrantLevel;
  approval: Approval;
  endDateTime: string | null;
  /** The networks experts may come from; anywhere when empty. */
  networks: string[];
  effectiveLevel: GrantLevel;
  changedBy: string | null;
  changedDateTime: string | null;
  may: { change: May };
};

export type AccessState = 'requested' | 'approved' | 'denied' | 'revoked' | 'expired' | 'withdrawn';
export type Access = {
  id: string;
  tenantId: string;
  tenantName: string;
  person: { name: string; email: string };
  incidentId: string | null;
  reason: string;
  level: 'reader' | 'operator';
  hours: number;
  state: AccessState;
  requestedDateTime: string;
  decidedDateTime: string | null;
  decidedBy: string | null;
  decidedBecause: string | null;
  untilDateTime: string | null;
  endedDateTime: string | null;
  endedBy: string | null;
  may: Record<'approve' | 'deny' | 'revoke' | 'withdraw', May>;
};

/** How far a customer has come on its way into the service. */
export type Stage = 'invited' | 'setUp' | 'readinessPending' | 'monitoring' | 'active';
export type SetupStep = 'getStarted' | 'permissions' | 'exclusions' | 'contacts' | 'channels';
export type ReadinessStatus = 'toDo' | 'inProgress' | 'completed';
export type ReadinessItem = {
  item: string;
  status: ReadinessStatus;
  completeNow: boolean;
  title: string;
  why: string;
  judged: string;
  link: string;
};
export type Protected = { protected: number; known: number; target: number; isTargetSet: boolean; isReached: boolean };
export type Onboarding = {
  stage: Stage;
  sinceDateTime: string | null;
  isInvited: boolean;
  steps: { step: SetupStep; maySkip: boolean; state: 'done' | 'skipped' | null; setBy: string | null; setDateTime: string | null }[];
  nextStep: SetupStep | null;
  submittedBy: string | null;
  submittedDateTime: string | null;
  monitoringDays: number;
  monitoringEndsDateTime: string | null;
  readiness: {
    isReady: boolean;
    missing: string[];
    toDo: number;
    inProgress: number;
    completed: number;
    items: ReadinessItem[];
    devices: Protected;
    identities: Protected;
  };
  experts: { guide: May; act: May };
  may: { setUp: May; submit: May; change: May };
};
export type Targets = { devices: number | null; identities: number | null };
/** How far a customer is, as the provider sees it. */
export type CustomerOnboarding = {
  stage: Stage;
  sinceDateTime: string | null;
  missing: string[];
  monitoringDays: number | null;
  monitoringEndsDateTime: string | null;
  targets: Targets | null;
  /** Its first administrator's address, as long as it has not signed in. */
  invited: string | null;
  language: string | null;
  linkEndsDateTime: string | null;
  welcome: { state: DeliveryState; because: string | null; madeDateTime: string } | null;
};

export type Tenant = {
  id: string;
  name: string;
  grant: { level: GrantLevel; approval: Approval; endDateTime: string | null; effectiveLevel: GrantLevel };
  /** Unknown to who sees no case there. */
  counts: { active: number; inProgress: number; awaitingAction: number } | null;
  access: Access | null;
  onboarding: CustomerOnboarding;
  may: { request: May; invite: May; welcome: May; endMonitoring: May };
};
export type Tenants = { value: Tenant[]; may: { add: May } };

export type Comment = { comment: string; createdByDisplayName: string; createdDateTime: string };

export type PriorityFactor = { name: string; points: number; why: string };

export type IncidentRow = {
  id: string;
  tenantId: string;
  tenantName: string;
  displayName: string;
  status: string;
  severity: string;
  classification: string;
  determination: string;
  assignedTo: string | null;
  customTags: string[];
  systemTags: string[];
  createdDateTime: string;
  lastUpdateDateTime: string;
  lastModifiedBy: string;
  description: string | null;
  summary: string | null;
  resolvingComment: string | null;
  redirectIncidentId: string | null;
  priorityScore: number | null;
  incidentWebUrl: string;
  stage: string;
  leftOutBecause: string | null;
  priorityFactors: PriorityFactor[];
  alertCount: number;
  startedDateTime: string | null;
  firstActivityDateTime: string | null;
  lastActivityDateTime: string | null;
  products: string[];
  categories: string[];
  mitreTechniques: string[];
  osPlatforms: string[];
  /** Absent, like the next two, for who is not inside of the tenant. */
  deviceGroups?: string[];
  sensitivityLabels?: string[];
  threats?: string[];
  /** The running service clock that is due first. */
  nextDue: { clock: ClockName; whose: ServiceClock['whose']; dueDateTime: string } | null;
};

export type ClockName = 'detect' | 'triage' | 'decide' | 'acknowledge' | 'contain' | 'customer' | 'resolve';

export type ServiceClock = {
  clock: ClockName;
  whose: 'source' | 'experts' | 'customer';
  about: string;
  state: 'notStarted' | 'running' | 'paused' | 'stopped' | 'void';
  run: number | null;
  startedDateTime: string | null;
  stoppedDateTime: string | null;
  countedSeconds: number;
  targetSeconds: number | null;
  workingHours: boolean;
  dueDateTime: string | null;
  isMissed: boolean;
  forecast: { expectedDateTime: string; percentMissed: number | null; learnedFrom: number } | null;
};

/** ASK-2: what questions to the experts cost. What follows `may` is there where they are counted. */
export type Credits = {
  rule: 'unlimited' | 'quarterly';
  grantedEachQuarter: number;
  usableEachQuarter: number;
  may: Record<'change', May>;
  sinceDateTime?: string;
  untilDateTime?: string | null;
  balance?: number;
  usable?: number;
  nextDateTime?: string | null;
  expiresDateTime?: string;
  ledger?: {
    dateTime: string;
    what: 'granted' | 'spent' | 'expired';
    credits: number;
    balance: number;
    conversationId: string | null;
    by: string | null;
  }[];
};

export type ServiceAgreement = {
  agreement: Schemas['Agreement'];
  isOwn: boolean;
  clocks: Pick<ServiceClock, 'clock' | 'whose' | 'about'>[];
  last30Days: {
    clock: ClockName;
    severity: string;
    runs: number;
    medianSeconds: number;
    p90Seconds: number;
    withTarget: number;
    keptTarget: number;
  }[];
  may: Record<'change', May>;
};

export type Entity = {
  kind: string;
  name: string;
  firstActivityDateTime: string;
  lastActivityDateTime: string;
  alertCount: number;
};

export type IncidentVerb = 'open' | 'change' | 'comment' | 'merge' | 'start' | 'conclude';
/** Without `entities` and `comments` when the caller may not open it. */
export type Incident = IncidentRow & {
  entities?: Entity[];
  comments?: Comment[];
  may: Record<IncidentVerb, May>;
};

export type IncidentChange = {
  displayName?: string;
  severity?: string;
  status?: string;
  assignedTo?: string | null;
  classification?: string;
  determination?: string;
  customTags?: string[];
  resolvingComment?: string;
};

export type AlertLink = {
  entityKind: string;
  entityName: string;
  linkedDateTime: string;
  weight: number;
  withAlertId: string;
};

/** Evidence has 48 subtypes; what is shown of one is found by its members' names. */
export type Evidence = { '@odata.type': string; [member: string]: unknown };

export type Alert = {
  id: string;
  incidentId: string;
  tenantId: string;
  title: string;
  description: string | null;
  status: string;
  severity: string;
  category: string | null;
  classification: string;
  determination: string;
  assignedTo: string | null;
  productName: string | null;
  serviceSource: string;
  detectionSource: string;
  providerAlertId: string | null;
  threatDisplayName: string | null;
  recommendedActions: string | null;
  mitreTechniques: string[];
  systemTags: string[];
  createdDateTime: string;
  firstActivityDateTime: string | null;
  lastActivityDateTime: string | null;
  lastUpdateDateTime: string;
  resolvedDateTime: string | null;
  evidence: Evidence[];
  comments: Comment[];
  links?: AlertLink[];
  may?: Record<string, May>;
};
export type AlertChange = {
  status?: string;
  classification?: string;
  determination?: string;
  assignedTo?: string | null;
};

export type Fact = {
  position: number;
  at: string;
  kind: string;
  actor: { kind: string; name: string };
  tenantId: string;
  incidentId: string | null;
  alertId: string | null;
  comment?: string;
  changes?: { field: string; before: unknown; after: unknown }[];
  [member: string]: unknown;
};

export type GraphNode = {
  id: string;
  kind: string;
  name: string;
  alertCount: number;
  firstActivityDateTime: string | null;
};
export type GraphEdge = { source: string; target: string; alertIds: string[]; at: string | null };
export type Graph = { nodes: GraphNode[]; edges: GraphEdge[]; truncated: boolean };

export type Word = { value: string; label: string };
export type Words = {
  /** `settable`: may be set by hand. */
  status: (Word & { settable: boolean })[];
  severity: Word[];
  /** `concludes`: an expert may conclude with it. */
  classification: (Word & { determinations: Word[]; concludes: boolean })[];
};

export type Filter = { id: string; name: string; query: string };

export type Home = {
  awaitingAction: number;
  active: number;
  inProgress: number;
  queued: number;
  resolvedLastMonth: number;
  alertsByHour: { at: string; alerts: number; incidents: number }[];
  accessRequests: number;
  runningAccess: number;
  /** Incidents with a service clock that has missed its target, or will within half an hour. */
  clocks?: { missed: number; near: number };
};

export type AuditRecord = {
  id: string;
  creationTime: string;
  operation: string;
  workload: string;
  recordType: string;
  userId: string;
  userType: string;
  objectId: string | null;
  organizationId: string;
  leaf: string;
  auditData: Record<string, unknown>;
};

/** What an action is done to. */
/** `mailbox`: in whose mailbox an action on a mail is done. */
export type Target = { kind: string; id: string; name: string; deviceId: string | null; mailbox?: string | null };

/** Another action, pending or of late, on the same thing and of the same kind (MR-14). */
export type Overlap = { actionId: string; title: string; state: string; at: string; source: string };

export type ActionVerb = 'approve' | 'reject' | 'cancel' | 'undo' | 'decide';
export type Attempt = {
  number: number;
  startedDateTime: string;
  answeredDateTime: string | null;
  sent: unknown;
  answer: unknown;
  readBack: unknown;
  outcome: string | null;
};
export type Action = {
  id: string;
  kind: string;
  title: string;
  tenantId: string;
  tenantName: string;
  incidentId: string | null;
  taskIds: string[];
  target: Target;
  options: Record<string, unknown>;
  state: string;
  reason: string | null;
  actionStatus: string;
  source: string;
  requestedBy: string;
  requestedDateTime: string;
  approvedBy: string | null;
  approvedDateTime: string | null;
  startedDateTime: string | null;
  endedDateTime: string | null;
  deadlineDateTime: string;
  /** Of exactly this as it is shown: who approves sends it along. */
  fingerprint: string;
  /** What it waits for; null where it never did, and in lists once it does not. */
  approval: ActionApproval | null;
  progress: { percent: number; text: string } | null;
  found: unknown;
  readBack: unknown;
  undoOf: string | null;
  comment: string | null;
  /** Only of one that was asked for by itself. */
  attempts?: Attempt[];
  /** The quarantine it was applied from, and how many were applied from this one (MR-20). */
  instanceOf?: string | null;
  instanceCount?: number;
  may: Record<ActionVerb, May> & { apply?: May };
};
export type ActionsAsked = {
  state?: string;
  tenantId?: string;
  search?: string;
  kind?: string;
  source?: string;
  from?: string;
  to?: string;
  deviceId?: string;
  user?: string;
  incidentId?: string;
  order?: string;
  direction?: 'asc' | 'desc';
};

/** One thing to be told with an action. */
export type ActionOption = {
  name: string;
  title: string;
  kind: 'choice' | 'text' | 'rules' | 'number' | 'list' | 'boolean';
  choices?: { value: string; title: string }[];
  /** The least and the most of a number. */
  range?: number[];
  required: boolean;
  explains: string;
};
export type ActionType = {
  actionType: string;
  title: string;
  explains: string;
  target: string;
  oneClick: boolean;
  reverse: string | null;
  dangerous: boolean;
  options: ActionOption[];
};

export type TaskVerb = 'run' | 'begin' | 'complete' | 'skip' | 'reopen' | 'undo' | 'edit' | 'remove' | 'cancel';
/** A card of a managed response (MR-4). */
export type Task = {
  id: string;
  incidentId: string;
  tenantId: string;
  state: string;
  status: string | null;
  actionStatus: string;
  actionType: string;
  title: string;
  oneClick: boolean;
  displayName: string;
  description: string;
  source: string | null;
  target: Target | null;
  options: Record<string, unknown>;
  guidedBecause: string | null;
  closed: { by: string; at: string; because: string | null; verified: boolean } | null;
  undoOf: string | null;
  undoneBy: string | null;
  createdByDisplayName: string;
  createdDateTime: string;
  lastModifiedByDisplayName: string;
  lastModifiedDateTime: string;
  actions: Action[];
  overlap: Overlap[];
  may: Record<TaskVerb, May>;
};
export type NewTask = {
  actionType: string;
  target?: { kind: string; id: string };
  displayName?: string;
  description?: string;
  options?: Record<string, unknown>;
};

/** What the experts hand over with an incident: what they found, and what is to be done. */
export type ManagedResponse = {
  incidentId: string;
  revision: number;
  summary: string | null;
  draftSummary: string | null;
  classification: string | null;
  determination: string | null;
  publishedDateTime: string | null;
  publishedBy: string | null;
  rejected: { by: string; at: string; because: string } | null;
  /** The chat; there is one once a response was published. */
  conversationId: string | null;
  readyToClose: boolean;
  drafts: Task[];
  pending: Task[];
  completed: Task[];
  may: Record<'draft' | 'publish' | 'reject' | 'saveSummary', May>;
};

/** What running a task would do. */
export type RunPreview = {
  sends: (
    | { channel: 'agent'; deviceId: string; name: string; online: boolean; body: unknown }
    | { channel: Connector['kind']; connectorId: string; name: string; mailbox: string | null; method: string; path: string; body: unknown }
  )[];
  /** What the action is called that takes it back. */
  undo: string | null;
  /** Of the inventories of the devices, each with its device's name. */
  signedIn: (Inventory['signed_in'][number] & { name: string })[];
  services: (Inventory['ports'][number] & { name: string })[];
  overlap: Overlap[];
  blockedBecause: string | null;
  /** For whom it would wait before anything is sent. */
  waitsFor: string | null;
  /** Why to think twice (MR-18). */
  warnings?: string[];
};

/** Where else a quarantined file was seen (MR-20). */
export type Instances = {
  sha256: string;
  value: {
    name: string;
    deviceId: string | null;
    online: boolean;
    path: string | null;
    seenDateTime: string;
    seenBy: string;
    may: May;
  }[];
  /** Whether not everything was looked through. */
  cut: boolean;
  /** Devices that have it in quarantine, this one included. */
  quarantinedCount: number;
  warnings: string[];
};

export type Agent = {
  id: string;
  version: string;
  online: boolean;
  seenDateTime: string | null;
  can: string[];
  /** Pairs: what it cannot do there, and why. */
  lacks: string[][];
  memory: number | null;
  enrolledDateTime: string;
};
/** As the agent sends it: times in microseconds. */
export type Inventory = {
  users: { name: string; uid: number; can_sign_in: boolean; administrator: boolean }[];
  signed_in: { user: string; line: string; from: string | null; since: number }[];
  ports: { protocol: string; address: string; port: number; process: string | null }[];
  packages: { name: string; version: string }[];
  services: string[];
  memory: number;
  processors: number;
  booted: number;
};
export type DeviceVerb = 'act' | 'code' | 'remove' | 'edit';
export type Device = {
  id: string;
  tenantId: string;
  tenantName: string;
  name: string;
  os: string;
  kernel: string;
  architecture: string;
  addresses: string[];
  groups: string[];
  highValue: boolean;
  excluded?: { because: string } | null;
  agent: Agent | null;
  state: {
    isolated: { mode: string; sinceDateTime: string } | null;
    restricted: boolean;
    blocked: { kind: string; value: string }[];
    quarantined: string[];
  };
  createdDateTime: string;
  incidentCount: number;
  may: Record<DeviceVerb, May>;
  /** The rest only of one that was asked for by itself. */
  inventory?: Inventory | null;
  inventoryDateTime?: string | null;
  incidents?: { id: string; displayName: string; status: string; severity: string }[];
  actions?: { actionType: string; title: string; may: May }[];
};
export type DeviceEvent = { at: string; kind: string; text: string; detail: unknown };

/** A user as a list shows it: a name at a customer. */
export type UserLine = {
  name: string;
  tenantId: string;
  tenantName: string;
  incidentCount: number;
  deviceCount: number;
  signedInDateTime: string | null;
  administrator: boolean;
};
/** An account that a device has under the user's name, or that signed in there. */
export type UserAccount = {
  deviceId: string;
  deviceName: string;
  online: boolean;
  login: string;
  sameName: boolean;
  uid: number | null;
  canSignIn: boolean;
  administrator: boolean;
  signedInDateTime: string | null;
  signedInFrom: string | null;
  /** Types of action that the agent there can carry out. */
  can: string[];
};
export type User = {
  name: string;
  tenantId: string;
  tenantName: string;
  incidentCount: number;
  devices: UserAccount[];
  deviceCount: number;
  /** What the directory that is connected can do to this user. */
  directory: { name: string; can: string[] } | null;
  excluded: { because: string } | null;
  /** Marked by the customer, or holds a directory role. */
  highValue: boolean;
  mark: { because: string; by: string; at: string } | null;
  directoryRole: boolean;
  actions: { actionType: string; title: string; explains: string; may: May }[];
  may: { edit: May };
};
export type UserIncident = { id: string; displayName: string; status: string; severity: string; lastActivityDateTime: string };
export type UserAlert = {
  id: string;
  incidentId: string | null;
  title: string;
  severity: string;
  status: string;
  productName: string | null;
  lastActivityDateTime: string;
};
export type UserEvent = {
  at: string;
  kind: string;
  text: string;
  deviceId: string | null;
  deviceName: string | null;
  incidentId: string | null;
  actionId: string | null;
  /** Of an action. */
  state?: string;
  by?: string;
};

export type AgentToken = {
  id: string;
  createdBy: string;
  createdDateTime: string;
  expiresDateTime: string;
  uses: number;
};

export type ExclusionKind = 'device' | 'user' | 'deviceGroup' | 'userGroup';
export type Exclusion = { id: string; name: string; by: string; at: string; because: string | null };
/** What is known of a set of users; `because`: why it is not known, so that experts act on no user. */
export type SetReading = { lastReadDateTime: string | null; members: number | null; because: string | null; error: string | null };
export type GroupExclusion = Exclusion & { groupId: string; reading: SetReading };
/** A group of users in the customer's directory. */
export type UserGroup = { id: string; displayName: string; synced: boolean; excluded: boolean };
export type NewExclusion = { because?: string } & (
  | { kind: 'userGroup'; groupId: string }
  | { kind: Exclude<ExclusionKind, 'userGroup'>; name: string }
);
export type Exclusions = {
  devices: Exclusion[];
  users: Exclusion[];
  deviceGroups: Exclusion[];
  userGroups: GroupExclusion[];
  highValueDevices: boolean;
  highValueUsers: boolean;
  /** Those who hold a directory role. */
  directoryRoles: SetReading;
  may: { change: May; userGroups: May; highValueUsers: May };
};

export type Who = 'expert' | 'customer' | 'automatic';
export type Fallback = 'refuse' | 'task' | 'proceed';
export type Approver = 'customer' | 'experts' | 'either';
export type Effect =
  | { kind: 'atOnce' }
  | { kind: 'never' }
  | { kind: 'approval'; by: Approver; quorum: number; within: number; fallback: Fallback };
export type Hours = { zone: string; days: number[]; from: number; to: number; outside: boolean };
/** One rule of the authority policy; what is empty or null narrows nothing. */
export type Rule = {
  id: string;
  title: string;
  actions: string[];
  things: { devices: string[]; deviceGroups: string[]; users: string[]; highValue: boolean };
  severityFrom: string | null;
  severityTo: string | null;
  confidenceFrom: string | null;
  confidenceTo: string | null;
  hours: Hours | null;
  who: Who[];
  effect: Effect;
};
export type Fault = { rule: string | null; because: string };
/** A policy looked at: `rules` are null where a form cannot say what its text does. */
export type Looked = { text: string | null; rules: Rule[] | null; faults: Fault[]; warnings?: string[] };
export type PolicyVersion = { version: number; savedBy: string | null; savedDateTime: string | null; note: string | null };
export type Policy = Looked & PolicyVersion & { text: string };
export type Drafted = { rules: Rule[] } | { text: string };
export type ActionWord = { word: string; title: string };
/** How far experts act by themselves. */
export type Authority = {
  fourEyes: boolean;
  dangerous: { actionType: string; title: string }[];
  policy: Policy;
  actions: ActionWord[];
  actionGroups: ActionWord[];
  may: { change: May; savePolicy: May };
};
export type Need = { rule: string; title: string; by: Approver; quorum: number; within: number; fallback: Fallback };
export type Decision = 'atOnce' | 'waits' | 'never';
export type Decided = { decision: Decision; title: string | null; needs: Need[] };
export type WhatIfExample = {
  actionId: string | null;
  taskId: string | null;
  incidentId: string | null;
  title: string;
  target: string;
  requestedBy: string;
  dateTime: string;
  before: Decided;
  after: Decided;
};
/** What a draft would have decided otherwise about the past. */
export type WhatIf = {
  lookedAt: number;
  since: string;
  more: boolean;
  same: number;
  changed: { before: Decision; after: Decision; count: number; examples: WhatIfExample[] }[];
};
/** Who has to approve an action and who has. */
export type ActionApproval = {
  needs: {
    rule: string;
    title: string;
    by: Approver;
    quorum: number;
    given: number;
    untilDateTime: string;
    fallback: Fallback;
  }[];
  given: { by: string; expert: boolean; dateTime: string }[];
};

export type ConversationKind = 'managedResponse' | 'question';
export type ConversationStatus = 'waitingForExperts' | 'answered' | 'quiet' | 'closed';
export type Message = {
  id: string;
  side: 'expert' | 'customer' | 'assistant';
  author: string;
  own: boolean;
  visibility: 'both' | 'experts';
  text: string;
  sentDateTime: string;
  /** By which way it came in; null in the portal and through the API. */
  via: Channel | null;
};
export type About = { kind: 'incident' | 'alert' | 'device' | 'file' | 'user'; id: string; name: string };
export type ConversationRow = {
  id: string;
  kind: ConversationKind;
  tenantId: string;
  tenantName: string;
  incidentId: string | null;
  /** Unknown to who is not inside. */
  subject: string | null;
  about: About | null;
  status: ConversationStatus;
  waitingSinceDateTime: string | null;
  overdue: boolean;
  openedBy: string;
  openedDateTime: string;
  lastMessageDateTime: string;
  lastMessage: Message | null;
  unread: number;
  inside: boolean;
};
export type Conversation = ConversationRow & {
  messages: Message[];
  older: boolean;
  firstUnreadId: string | null;
  assistant: string;
  helpful: boolean | null;
  remark: string | null;
  ratings: { helpful: number; notHelpful: number } | null;
  translation: { isSetUp: boolean; languages: string[] };
  may: Record<'write' | 'note' | 'rate' | 'close', May>;
};
/** A message in another language, or why it is not there. */
export type Translated = { id: string; text: string | null; because: string | null };
export type ConversationsAsked = {
  tenantId?: string;
  status?: string;
  kind?: string;
  unread?: boolean;
  from?: string;
  search?: string;
};

export type Page<Row> = { value: Row[]; nextCursor: string | number | null };

type OfUser = { tenant: string; name: string };
type Part = { top?: number; cursor?: string };
type Narrowed = { filter?: string; orderby?: string; search?: string; tenantId?: string };

export type Undocumented = {
  '/api/v1/setup/totp': Post<{ flow: string; code: string }, Session & { recoveryCodes: string[] }>;
  '/api/v1/setup/passkey/finish': Post<PasskeyFinish, Session>;
  '/api/v1/sign-in/options': Get<
    { passkeys: May; provider: { id: string; name: string } | null },
    { email?: string }
  >;
  '/api/v1/sign-in/password': Post<{ email: string; password: string }, { flow: string; next: 'totp' }>;
  '/api/v1/sign-in/totp': Post<{ flow: string; code: string }, Session>;
  '/api/v1/sign-in/enrol/totp': Post<{ flow: string; code: string }, Session & { recoveryCodes: string[] }>;
  '/api/v1/sign-in/passkey/finish': Post<PasskeyFinish, Session>;
  '/api/v1/sign-in/demo': Get<{ people: DemoPerson[] }> & Post<{ id: string }, Session>;
  '/api/v1/session': Get<Session> & Remove;
  '/api/v1/session/organisation': Post<{ organisationId: string }, Session>;
  '/api/v1/session/step-up/totp': Post<{ code: string }, Session>;
  '/api/v1/session/step-up/passkey/finish': Post<PasskeyFinish, Session>;
  '/api/v1/session/list': Get<{ value: SessionRow[] }>;
  '/api/v1/session/passkey': Get<{ value: Passkey[] }>;
  '/api/v1/session/passkey/finish': Post<PasskeyFinish, { value: Passkey[] }>;
  '/api/v1/people': Get<People> &
    Post<{ email: string; role: string; tenantId?: string }, SetupLink & { person: Person }>;
  '/api/v1/people/{id}': Send<'patch', { role?: string; disabled?: boolean }, Person, Id> & Remove<undefined, Id>;
  '/api/v1/people/{id}/invite': Post<Nothing, SetupLink, Id>;
  '/api/v1/apps': Get<Apps> & Post<{ name: string; permissions: string[] }, AppSecret>;
  '/api/v1/apps/{id}/secret': Post<Nothing, AppSecret, Id>;
  '/api/v1/identity-providers': Get<{ value: IdentityProvider[]; may: { add: May; remove: May } }> & Post<NewIdentityProvider, IdentityProvider>;
  '/api/v1/connectors': Get<{ value: Connector[]; may: { add: May } }> & Post<NewConnector, Connector>;
  '/api/v1/contacts': Get<{ value: Contact[]; may: { change: May } }> & Post<ContactChoice, Contact>;
  '/api/v1/contacts/{id}': Send<'patch', Partial<ContactChoice>, Contact, Id> & Remove<undefined, Id>;
  '/api/v1/contacts/{id}/test': Post<Schemas['Tried'], { deliveryId: string }, Id>;
  '/api/v1/ladder': Get<LadderSettings> & Send<'put', Ladder, LadderSettings>;
  '/api/v1/incidents/{id}/escalation': Get<{ value: Climb[] }, Record<never, never>, Id>;
  '/api/v1/mail-rules': Get<{ value: MailRule[]; choices: RuleChoices; may: { change: May } }> & Post<MailRuleChoice, MailRule>;
  '/api/v1/mail-rules/{id}': Send<'patch', Partial<MailRuleChoice>, MailRule, Id> & Remove<undefined, Id>;
  '/api/v1/mail-rules/{id}/restore': Post<Nothing, MailRule, Id>;
  '/api/v1/mail-rules/{id}/test': Post<Nothing, { deliveryIds: string[] }, Id>;
  '/api/v1/webhooks': Get<{ value: Webhook[]; may: { change: May } }> & Post<{ name: string; url: string }, Webhook>;
  '/api/v1/webhooks/{id}/test': Post<Nothing, { deliveryId: string }, Id>;
  '/api/v1/chat-channels': Get<{ value: ChatChannel[]; may: { change: May } }> & Post<ChatChannelChoice & { vendor: ChatVendor }, ChatChannel>;
  '/api/v1/chat-channels/{id}': Send<'patch', Partial<ChatChannelChoice>, ChatChannel, Id> & Remove<undefined, Id>;
  '/api/v1/chat-teams': Post<Schemas['NewTeam'], MadeTeam>;
  '/api/v1/chat-channels/{id}/test': Post<Nothing, { deliveryId: string }, Id>;
  '/api/v1/notifications/settings': Get<NotificationSettings> & Send<'put', { reminderHours?: number; wholeResponse?: boolean }, NotificationSettings>;
  '/api/v1/incidents/{id}/clocks': Get<{ value: ServiceClock[] }, Record<never, never>, Id>;
  '/api/v1/credits': Get<Credits, OfTenant> & {
    put: Omit<Send<'put', Schemas['CountedQuestions'], Credits>['put'], 'parameters'> & Pick<Get<Credits, OfTenant>['get'], 'parameters'>;
  };
  '/api/v1/service-agreement': Get<ServiceAgreement, OfTenant> & {
    put: Omit<Send<'put', Schemas['Agreement'], ServiceAgreement>['put'], 'parameters'> & Pick<Get<ServiceAgreement, OfTenant>['get'], 'parameters'>;
    delete: Get<ServiceAgreement, OfTenant>['get'];
  };
  '/api/v1/notifications/previews/{kind}': Get<{ subject: string; text: string; html: string; letter: Letter }, { language?: string }, { kind: string }>;
  '/api/v1/deliveries': Get<
    Page<Delivery> & { may: { again: May } },
    { state?: string; channel?: string; incident?: string; cursor?: string; top?: number }
  >;
  '/api/v1/deliveries/{id}': Get<DeliveryDetail, Nothing, Id>;
  '/api/v1/incidents/{id}/notifications': Get<{ value: Delivery[]; undelivered: number }, Nothing, Id>;
  '/api/v1/demo/mails': Get<{ value: DemoMail[] }>;
  '/api/v1/demo/mails/answer': Post<{ id: string; text: string }, null>;
  '/api/v1/grant': Get<Grant> &
    Send<
      'put',
      { level: GrantLevel; approval: Approval; endDateTime: string | null; networks: string[] },
      Grant
    >;
  '/api/v1/access': Get<Page<Access>, { state?: string; top?: number; cursor?: string }> &
    Post<
      { tenantId: string; incidentId?: string; level: 'reader' | 'operator'; reason: string; hours: number },
      Access
    >;
  '/api/v1/access/{id}/approve': Post<Nothing, Access, Id>;
  '/api/v1/access/{id}/deny': Post<{ because: string }, Access, Id>;
  '/api/v1/access/{id}/revoke': Post<{ because?: string }, Access, Id>;
  '/api/v1/access/{id}/withdraw': Post<Nothing, Access, Id>;
  '/api/v1/tenants': Get<Tenants> &
    Post<{ name: string; email?: string; language?: string }, { id: string; name: string; setupUrl?: string; expiresDateTime?: string }>;
  '/api/v1/tenants/{id}/welcome': Post<{ email?: string; language?: string }, { setupUrl: string; expiresDateTime: string }, Id>;
  '/api/v1/tenants/{id}/onboarding': Send<'patch', { targets?: Targets; monitoringDays?: number }, undefined, Id>;
  '/api/v1/tenants/{id}/end-monitoring': Post<{ because: string }, undefined, Id>;
  '/api/v1/onboarding': Get<Onboarding>;
  '/api/v1/onboarding/steps/{step}': Send<'put', { state: 'done' | 'skipped' }, Onboarding, { step: SetupStep }>;
  '/api/v1/onboarding/submit': Post<Nothing, Onboarding>;
  '/api/v1/onboarding/check': Post<Nothing, Onboarding>;
  '/api/v1/onboarding/targets': Send<'put', Targets, Onboarding>;
  '/api/v1/incidents': Get<Page<IncidentRow>, Narrowed & { top?: number; cursor?: string }>;
  '/api/v1/incidents/count': Get<{ count: number }, Narrowed>;
  '/api/v1/incidents/{id}': Get<Incident, Nothing, Id> & Send<'patch', IncidentChange, Incident, Id>;
  '/api/v1/incidents/change': Post<
    { ids: string[]; change: IncidentChange },
    { value: { id: string; changed: boolean; error: string | { message: string } | null }[] }
  >;
  '/api/v1/incidents/{id}/comments': Post<{ comment: string }, Incident, Id>;
  '/api/v1/incidents/{id}/start': Post<Nothing, Incident, Id>;
  '/api/v1/incidents/{id}/conclude': Post<
    { classification: string; determination: string; summary: string },
    Incident,
    Id
  >;
  '/api/v1/incidents/{id}/alerts': Get<Page<Alert>, { top?: number; cursor?: string }, Id>;
  '/api/v1/incidents/{id}/timeline': Get<
    Page<Fact>,
    { kind?: string; actor?: string; actorKind?: string; top?: number; cursor?: string },
    Id
  >;
  '/api/v1/incidents/{id}/similar': Get<
    { value: { incident: IncidentRow; shared: { kind: string; name: string }[] }[] },
    Nothing,
    Id
  >;
  '/api/v1/incidents/{id}/graph': Get<Graph, Nothing, Id>;
  '/api/v1/words': Get<Words>;
  '/api/v1/alerts/{id}': Get<Alert, Nothing, Id> & Send<'patch', AlertChange, Alert, Id>;
  '/api/v1/alerts/{id}/comments': Post<{ comment: string }, Alert, Id>;
  '/api/v1/filters': Get<{ value: Filter[] }> & Post<{ name: string; query: string }, Filter>;
  '/api/v1/home': Get<Home>;
  '/api/v1/action-types': Get<{ value: ActionType[] }>;
  '/api/v1/conversations': Get<Page<ConversationRow>, ConversationsAsked & { top?: number; cursor?: string }> &
    Post<{ subject: string; text: string; about?: About }, Conversation>;
  '/api/v1/conversations/{id}': Get<Conversation, Nothing, Id>;
  '/api/v1/conversations/{id}/messages': Get<{ value: Message[]; older: boolean }, { before?: string; top?: number }, Id> &
    Post<{ text: string; visibility?: Message['visibility'] }, Conversation, Id>;
  '/api/v1/conversations/{id}/translations': Post<{ language: string; messageIds: string[] }, { value: Translated[] }, Id>;
  '/api/v1/conversations/{id}/rating': Send<'put', { helpful: boolean | null; remark?: string }, Conversation, Id>;
  '/api/v1/conversations/{id}/close': Post<Nothing, Conversation, Id>;
  '/api/v1/incidents/{id}/response': Get<ManagedResponse, Nothing, Id>;
  '/api/v1/incidents/{id}/response/summary': Send<'put', { summary: string }, ManagedResponse, Id>;
  '/api/v1/incidents/{id}/response/reject': Post<{ because: string }, ManagedResponse, Id>;
  '/api/v1/incidents/{id}/tasks': Post<NewTask, Task, Id>;
  '/api/v1/incidents/{id}/publish': Post<
    { classification: string; determination: string; summary: string },
    ManagedResponse,
    Id
  >;
  '/api/v1/tasks/{id}': Get<Task, Nothing, Id> &
    Send<'patch', { displayName?: string; description?: string; options?: Record<string, unknown> }, Task, Id> &
    Remove<undefined, Id>;
  '/api/v1/tasks/{id}/run': Post<Nothing, Task, Id>;
  '/api/v1/tasks/{id}/begin': Post<Nothing, Task, Id>;
  '/api/v1/tasks/{id}/complete': Post<Nothing, Task, Id>;
  '/api/v1/tasks/{id}/skip': Post<{ because: string }, Task, Id>;
  '/api/v1/tasks/{id}/reopen': Post<Nothing, Task, Id>;
  '/api/v1/tasks/{id}/undo': Post<{ comment?: string }, Task, Id>;
  '/api/v1/tasks/{id}/preview': Post<Nothing, RunPreview, Id>;
  '/api/v1/actions': Get<Page<Action> & { count: number }, ActionsAsked & { top?: number; cursor?: string }>;
  '/api/v1/actions/{id}': Get<Action, Nothing, Id>;
  '/api/v1/actions/{id}/approve': Post<{ fingerprint: string }, Action, Id>;
  '/api/v1/actions/{id}/reject': Post<{ because: string }, Action, Id>;
  '/api/v1/actions/{id}/cancel': Post<Nothing, Action, Id>;
  '/api/v1/actions/{id}/undo': Post<{ comment?: string }, Action, Id>;
  '/api/v1/actions/{id}/instances': Get<Instances, Nothing, Id> &
    Post<
      { deviceIds: string[]; comment: string },
      { value: { deviceId: string | null; actionId: string | null; because: string | null }[] },
      Id
    >;
  '/api/v1/actions/{id}/decide': Post<{ succeeded: boolean; because: string }, Action, Id>;
  '/api/v1/actions/change': Post<
    { ids: string[]; change: 'approve' | 'reject' | 'undo' | 'cancel'; because?: string; fingerprints?: string[] },
    { value: { id: string; done: boolean; because: string | null }[] }
  >;
  '/api/v1/devices': Get<
    Page<Device> & { count: number },
    { search?: string; tenantId?: string; top?: number; cursor?: string }
  >;
  '/api/v1/devices/{id}': Get<Device, Nothing, Id> &
    Send<'patch', { groups?: string[]; highValue?: boolean }, Device, Id> &
    Remove<undefined, Id>;
  '/api/v1/devices/{id}/actions': Post<
    { actionType: string; options?: Record<string, unknown>; comment: string },
    Action,
    Id
  >;
  '/api/v1/devices/{id}/timeline': Get<Page<DeviceEvent>, { top?: number; cursor?: string }, Id>;
  '/api/v1/devices/{id}/release-code': Post<Nothing, { code: string; validUntilDateTime: string }, Id>;
  '/api/v1/users': Get<
    Page<UserLine> & { count: number },
    { search?: string; tenantId?: string; top?: number; cursor?: string }
  >;
  '/api/v1/users/{tenant}/{name}': Get<User, Nothing, OfUser> &
    Send<'patch', { highValue: boolean; because?: string }, User, OfUser>;
  '/api/v1/users/{tenant}/{name}/incidents': Get<Page<UserIncident>, Part, OfUser>;
  '/api/v1/users/{tenant}/{name}/alerts': Get<Page<UserAlert>, Part, OfUser>;
  '/api/v1/users/{tenant}/{name}/timeline': Get<Page<UserEvent>, Part, OfUser>;
  '/api/v1/users/{tenant}/{name}/actions': Post<
    { actionType: string; deviceIds: string[]; directory?: boolean; options?: Record<string, unknown>; comment: string },
    { value: { deviceId: string | null; actionId: string | null; because: string | null }[] },
    OfUser
  >;
  '/api/v1/agent-tokens': Get<{ value: AgentToken[] }> &
    Post<{ hours: number }, { token: string; expiresDateTime: string; command: string }>;
  '/api/v1/agent-tokens/{id}': Remove<undefined, Id>;
  '/api/v1/exclusions': Get<Exclusions> & Post<NewExclusion, Exclusion>;
  '/api/v1/exclusions/user-groups': Get<{ value: UserGroup[] }, { search?: string }>;
  '/api/v1/exclusions/{id}': Remove<undefined, Id>;
  '/api/v1/exclusions/high-value': Send<'put', { devices: boolean; users: boolean }, Exclusions>;
  '/api/v1/authority': Get<Authority> & Send<'put', { fourEyes: boolean }, Authority>;
  '/api/v1/authority/policy': Send<'put', Drafted & { version: number; note?: string }, Authority>;
  '/api/v1/authority/check': Post<Drafted, Looked>;
  '/api/v1/authority/what-if': Post<Drafted, WhatIf>;
  '/api/v1/authority/versions': Get<{ value: PolicyVersion[] }>;
  '/api/v1/authority/versions/{version}': Get<Policy, Record<never, never>, { version: number }>;
  '/api/v1/audit': Get<
    Page<AuditRecord>,
    {
      from?: string;
      to?: string;
      workload?: string;
      recordType?: string;
      actor?: string;
      tenantId?: string;
      order?: 'asc' | 'desc';
      top?: number;
      cursor?: string;
    }
  >;
};
