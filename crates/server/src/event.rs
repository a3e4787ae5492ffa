//! Every fact that can happen, one closed list.
//!
//! One event row serves every reader: the incident's activity log, the audit tree and its search, and
//! the live stream. State tables stay the truth; an event carries ids and what changed, not copies.

use serde_json::{Value, json};

use crate::actor::Actor;
use crate::clock::Timestamp;
use crate::id::{ActionId, AlertId, IncidentId, TaskId};

/// A fact, who caused it, and when.
#[derive(Clone, Debug)]
pub struct Event {
    /// When it happened.
    pub at: Timestamp,
    /// Who caused it.
    pub actor: Actor,
    /// What happened.
    pub fact: Fact,
}

/// One changed member of an incident or alert, with its values before and after.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Change {
    /// The contract spelling of the member.
    pub field: &'static str,
    /// The value before; null when there was none.
    pub before: Value,
    /// The value after; null when there is none.
    pub after: Value,
}

/// What happened.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the members are what their types say")]
pub enum Fact {
    /// An alert is on disk for the first time (INC-23).
    AlertReceived { alert: AlertId, source: String, provider_alert_id: Option<String> },
    /// The source sent newer content for a known alert; the former is kept as a version.
    AlertUpdated { alert: AlertId, incident: Option<IncidentId>, version: i64 },
    /// Somebody changed members of an alert.
    AlertChanged { alert: AlertId, incident: Option<IncidentId>, changes: Vec<Change> },
    /// Somebody commented on an alert.
    AlertCommented { alert: AlertId, incident: Option<IncidentId>, comment: i64 },
    /// Correlation opened an incident for these alerts (T1).
    IncidentOpened { incident: IncidentId, alerts: Vec<AlertId> },
    /// Correlation added these alerts.
    IncidentGrew { incident: IncidentId, alerts: Vec<AlertId> },
    /// `source` became part of `target` (INC-16, T8).
    IncidentMerged { source: IncidentId, target: IncidentId, because: String },
    /// Alerts left `source` for `target` (INC-17).
    AlertsMoved { source: IncidentId, target: IncidentId, alerts: Vec<AlertId>, because: String },
    /// In scope: queued for the experts (T2).
    IncidentQueued { incident: IncidentId, score: i64 },
    /// Out of scope, and why (TRI-2).
    IncidentLeftOut { incident: IncidentId, reason: String, sentence: String },
    /// An expert took it up (T3).
    IncidentStarted { incident: IncidentId, changes: Vec<Change> },
    /// An expert concluded it as no threat (T4).
    IncidentConcluded { incident: IncidentId, changes: Vec<Change> },
    /// Somebody changed members of the incident.
    IncidentChanged { incident: IncidentId, changes: Vec<Change> },
    /// Somebody commented on the incident.
    IncidentCommented { incident: IncidentId, comment: i64, text: String },
    /// The provider has its name and id.
    ProviderNamed { provider: String, name: String },
    /// A customer exists.
    TenantAdded { name: String },
    /// Its first administrator is to be written to (NOT-3). `welcome` says which of the mails holds;
    /// none where the person signs in already.
    TenantInvited { person: String, email: String, language: &'static str, welcome: Option<String> },
    /// It came a stage further on its way into the service, and why (ONB-5).
    StageChanged { changes: Vec<Change>, because: String },
    /// Somebody of it confirmed or skipped a step of the setup (ONB-1).
    SetupStepped { step: &'static str, state: &'static str },
    /// It submitted the setup.
    SetupSubmitted,
    /// How it is brought into the service is another: targets, days of monitoring.
    OnboardingChanged { changes: Vec<Change> },
    /// An evaluation of its readiness found something else than the one before (ONB-4).
    ReadinessChanged { changes: Vec<Change> },
    /// What the service began with is not there any more, and people are told of it.
    ReadinessLapsed { items: Vec<&'static str> },
    /// It is there again.
    ReadinessRestored { items: Vec<&'static str> },
    /// An application may sign in.
    AppAdded { client_id: String, name: String, permissions: Vec<String> },
    /// An application of the provider was given a token: an expert signed in (AUD-1).
    AppSignedIn { client_id: String },
    /// A person was invited.
    PersonAdded { person: String, email: String, role: String },
    /// A person was sent a new link to set up sign-in with.
    PersonInvited { person: String, email: String },
    /// A person set up how to sign in; what was there before is gone.
    PersonSetUp { person: String, email: String, factor: String },
    /// Somebody changed a person's role, or whether the person may sign in.
    PersonChanged { person: String, email: String, changes: Vec<Change> },
    /// A person no longer belongs to the organisation.
    PersonRemoved { person: String, email: String },
    /// A person signed in, and how (AUD-1).
    PersonSignedIn { person: String, factor: String },
    /// A session was ended, by its person or by somebody else.
    SessionEnded { person: String, session: String },
    /// A person added or removed a passkey.
    PasskeyChanged { person: String, passkey: String, removed: bool },
    /// An application may no longer sign in.
    AppRemoved { client_id: String, name: String },
    /// An application has a new secret; the old one no longer works.
    AppSecretChanged { client_id: String, name: String },
    /// The customer changed how far the provider may go (PER-2).
    GrantChanged { changes: Vec<Change> },
    /// An expert asked to enter the tenant (PER-3).
    AccessRequested {
        access: String,
        person: String,
        incident: Option<IncidentId>,
        level: String,
        hours: i64,
        reason: String,
    },
    /// The request was approved: the expert is inside until then.
    AccessApproved {
        access: String,
        person: String,
        incident: Option<IncidentId>,
        until: Timestamp,
    },
    /// The request was denied.
    AccessDenied { access: String, person: String, incident: Option<IncidentId>, because: String },
    /// Somebody ended the access, or took the request back.
    AccessEnded { access: String, person: String, incident: Option<IncidentId>, because: String },
    /// How people of an organisation sign in with another provider was set or taken away.
    SignInChanged { provider: String, name: String, changes: Vec<Change> },
    /// Somebody began or ceased to read the log as a feed.
    FeedChanged { changes: Vec<Change> },
    /// An expert drafted a task of a managed response (MR-4).
    TaskDrafted { incident: IncidentId, task: TaskId, action: &'static str, target: String },
    /// Somebody changed what a task says.
    TaskChanged { incident: IncidentId, task: TaskId, changes: Vec<Change> },
    /// Somebody of the customer is at a task by hand.
    TaskBegun { incident: IncidentId, task: TaskId },
    /// An expert took a draft away.
    TaskRemoved { incident: IncidentId, task: TaskId },
    /// Experts published a managed response (T5, T6): tasks for the customer, and tasks they do.
    ResponsePublished {
        incident: IncidentId,
        revision: i64,
        guided: Vec<TaskId>,
        managed: Vec<TaskId>,
    },
    /// The customer sent the plan back.
    ResponseRejected { incident: IncidentId, revision: i64, because: String },
    /// Somebody ran a task's action.
    TaskStarted { incident: IncidentId, task: TaskId, actions: Vec<ActionId> },
    /// A task is completed, failed, skipped or withdrawn.
    TaskClosed {
        incident: IncidentId,
        task: TaskId,
        state: &'static str,
        because: Option<String>,
        verified: bool,
    },
    /// A closed task waits again.
    TaskReopened { incident: IncidentId, task: TaskId },
    /// Somebody wants something done (AUD-1: a device action).
    ActionRequested {
        incident: Option<IncidentId>,
        action: ActionId,
        kind: &'static str,
        target: String,
        source: &'static str,
        generation: i64,
    },
    /// Somebody else agreed to it, or it was done because nobody said no in time.
    ActionApproved { incident: Option<IncidentId>, action: ActionId, because: Option<String> },
    /// It waits for people to approve it, as the customer's policy wants.
    ActionWaits { incident: Option<IncidentId>, action: ActionId, because: String },
    /// It is about to be sent: written before a byte leaves.
    ActionStarted { incident: Option<IncidentId>, action: ActionId, attempt: i64, order: String },
    /// It was sent, and nobody knows what became of it; the thing itself is asked.
    ActionLost { incident: Option<IncidentId>, action: ActionId, attempt: i64, reason: String },
    /// What became of it in the end.
    ActionEnded {
        incident: Option<IncidentId>,
        action: ActionId,
        state: &'static str,
        reason: Option<String>,
        verified: bool,
    },
    /// Somebody was given what an agent had collected: a package, or a file.
    PackageTaken { incident: Option<IncidentId>, action: ActionId, sha256: String, bytes: u64 },
    /// A device has an agent that speaks for it.
    DeviceEnrolled { device: String, name: String, agent: String },
    /// Somebody changed what is known of a device.
    DeviceChanged { device: String, name: String, changes: Vec<Change> },
    /// Something known of a user is different.
    UserChanged { name: String, changes: Vec<Change> },
    /// A device's agent may no longer speak for it.
    DeviceRemoved { device: String, name: String },
    /// Somebody was shown the code that releases a device without the server (MR-18).
    ReleaseCodeShown { device: String, name: String },
    /// Agents may enrol with a new token until then.
    AgentTokenAdded { token: String, until: Timestamp },
    /// A token enrols no agent any more.
    AgentTokenRemoved { token: String },
    /// What experts never act on has changed (EXC-1).
    ExclusionChanged { changes: Vec<Change> },
    /// A product carries actions out from now on.
    ConnectorAdded { connector: String, kind: &'static str, name: String, address: String },
    /// It is called otherwise, or asked as another client or with another secret.
    ConnectorChanged { connector: String, name: String, changes: Vec<Change> },
    /// It does not any more.
    ConnectorRemoved { connector: String, name: String },
    /// The customer's authority policy has a new version; the text goes by its hash.
    AuthorityChanged { version: i64, sha256: String, rules: u64, note: Option<String> },
    /// Somebody of the customer asked the experts something (ASK-1).
    ConversationOpened { thread: String },
    /// Somebody said something that both sides see (COM-1).
    MessageSent {
        incident: Option<IncidentId>,
        thread: String,
        message: String,
        side: &'static str,
    },
    /// An expert said something that only experts see.
    MessageNoted { incident: Option<IncidentId>, thread: String, message: String },
    /// Somebody of the customer said whether it was helped (COM-4).
    ConversationRated {
        incident: Option<IncidentId>,
        thread: String,
        helpful: Option<bool>,
        remark: Option<String>,
    },
    /// A conversation is over, until somebody writes again.
    ConversationClosed { incident: Option<IncidentId>, thread: String },
    /// Somebody hears of what concerns the customer from now on (NOT-1).
    ContactAdded { contact: String, name: String, email: String, role: &'static str },
    /// It is called otherwise, or reached at another address (`moved`).
    ContactChanged { contact: String, name: String, changes: Vec<Change>, moved: bool },
    /// It does not any more.
    ContactRemoved { contact: String, name: String },
    /// A program of the customer's hears of what concerns it from now on (NOT-11).
    WebhookAdded { webhook: String, name: String, address: String },
    /// It is called otherwise, paused, or has a new secret.
    WebhookChanged { webhook: String, name: String, changes: Vec<Change> },
    /// It does not any more.
    WebhookRemoved { webhook: String, name: String },
    /// A channel of the customer's team chat hears of what concerns it from now on (COM-5).
    ChatChannelAdded { channel: String, vendor: &'static str, name: String },
    /// A team was made for it in the customer's Microsoft Teams (ONB-6): its id there, and its name.
    ChatTeamMade { team: String, name: String },
    /// It is called otherwise, is another, has new secrets, or something keeps us from it (COM-7).
    ChatChannelChanged { channel: String, name: String, changes: Vec<Change> },
    /// It does not any more.
    ChatChannelRemoved { channel: String, name: String },
    /// Somebody asked something of us in its name and was not its vendor.
    ChatChannelRefused { channel: String, name: String, because: String },
    /// Mails go out by a rule of the customer's from now on (NOT-9, NOT-10).
    MailRuleAdded { rule: String, about: &'static str, name: String, receivers: Vec<String> },
    /// It says something else, or was turned on or off.
    MailRuleChanged { rule: String, name: String, changes: Vec<Change> },
    /// They do not any more.
    MailRuleRemoved { rule: String, name: String },
    /// Its removal was taken back.
    MailRuleRestored { rule: String, name: String },
    /// How the customer wants to be told is another.
    NotificationSettingChanged { changes: Vec<Change> },
    /// There is something to tell, and this is who is told.
    NotificationMade {
        incident: Option<IncidentId>,
        notification: String,
        kind: &'static str,
        receivers: Vec<String>,
    },
    /// It could not be brought to somebody, and is not tried any more.
    DeliveryFailed {
        incident: Option<IncidentId>,
        delivery: String,
        channel: &'static str,
        receiver: String,
        because: String,
    },
    /// Somebody had it sent again.
    DeliveryRepeated { incident: Option<IncidentId>, delivery: String, receiver: String },
    /// A mail came back in answer to it and was not taken (COM-8).
    ReplyRefused {
        incident: Option<IncidentId>,
        delivery: String,
        receiver: String,
        because: String,
    },
    /// What the provider promises is different.
    ServiceAgreementChanged { changes: Vec<Change> },
    /// Whether questions to the experts cost credits is different (ASK-2).
    CreditRuleChanged { changes: Vec<Change> },
    /// Whom the customer wants to be reached is different (NOT-8).
    LadderChanged { changes: Vec<Change> },
    /// A contact was tried for an incident that nobody has reacted to, or passed over (`because`).
    EscalationStepped {
        incident: IncidentId,
        run: i64,
        contact: String,
        name: String,
        by: &'static str,
        step: i64,
        because: Option<&'static str>,
    },
    /// Nobody is tried any more: somebody reacted, nobody did, or there is no reason to.
    EscalationEnded { incident: IncidentId, standing: &'static str },
    /// A call or message to a contact came to its end, as the carrier tells it.
    CallEnded {
        incident: Option<IncidentId>,
        delivery: String,
        name: String,
        outcome: &'static str,
    },
    /// A service clock will miss its target, in minutes, at `due`.
    ClockNearing {
        incident: IncidentId,
        clock: &'static str,
        whose: &'static str,
        due: Timestamp,
        target: i64,
    },
    /// A service clock has missed its target, in minutes, at `due`.
    ClockMissed {
        incident: IncidentId,
        clock: &'static str,
        whose: &'static str,
        due: Timestamp,
        target: i64,
    },
}

/// Kinds of facts about what only the experts see: drafts of a response, and words among themselves.
pub const OF_EXPERTS: [&str; 4] = ["task.drafted", "task.changed", "task.removed", "message.noted"];

impl Fact {
    /// The word of this kind of fact: subject first, past tense.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::AlertReceived { .. } => "alert.received",
            Self::AlertUpdated { .. } => "alert.updated",
            Self::AlertChanged { .. } => "alert.changed",
            Self::AlertCommented { .. } => "alert.commented",
            Self::IncidentOpened { .. } => "incident.opened",
            Self::IncidentGrew { .. } => "incident.grew",
            Self::IncidentMerged { .. } => "incident.merged",
            Self::AlertsMoved { .. } => "alert.moved",
            Self::IncidentQueued { .. } => "incident.queued",
            Self::IncidentLeftOut { .. } => "incident.leftOut",
            Self::IncidentStarted { .. } => "incident.started",
            Self::IncidentConcluded { .. } => "incident.concluded",
            Self::IncidentChanged { .. } => "incident.changed",
            Self::IncidentCommented { .. } => "incident.commented",
            Self::ProviderNamed { .. } => "provider.named",
            Self::TenantAdded { .. } => "tenant.added",
            Self::TenantInvited { .. } => "tenant.invited",
            Self::StageChanged { .. } => "onboarding.stageChanged",
            Self::SetupStepped { .. } => "onboarding.stepped",
            Self::SetupSubmitted => "onboarding.submitted",
            Self::OnboardingChanged { .. } => "onboarding.changed",
            Self::ReadinessChanged { .. } => "readiness.changed",
            Self::ReadinessLapsed { .. } => "readiness.lapsed",
            Self::ReadinessRestored { .. } => "readiness.restored",
            Self::AppAdded { .. } => "app.added",
            Self::AppSignedIn { .. } => "app.signedIn",
            Self::PersonAdded { .. } => "person.added",
            Self::PersonInvited { .. } => "person.invited",
            Self::PersonSetUp { .. } => "person.setUp",
            Self::PersonChanged { .. } => "person.changed",
            Self::PersonRemoved { .. } => "person.removed",
            Self::PersonSignedIn { .. } => "person.signedIn",
            Self::SessionEnded { .. } => "session.ended",
            Self::PasskeyChanged { .. } => "passkey.changed",
            Self::AppRemoved { .. } => "app.removed",
            Self::AppSecretChanged { .. } => "app.secretChanged",
            Self::GrantChanged { .. } => "grant.changed",
            Self::AccessRequested { .. } => "access.requested",
            Self::AccessApproved { .. } => "access.approved",
            Self::AccessDenied { .. } => "access.denied",
            Self::AccessEnded { .. } => "access.ended",
            Self::SignInChanged { .. } => "signIn.changed",
            Self::FeedChanged { .. } => "feed.changed",
            Self::TaskDrafted { .. } => "task.drafted",
            Self::TaskChanged { .. } => "task.changed",
            Self::TaskRemoved { .. } => "task.removed",
            Self::TaskBegun { .. } => "task.begun",
            Self::ResponsePublished { .. } => "response.published",
            Self::ResponseRejected { .. } => "response.rejected",
            Self::TaskStarted { .. } => "task.started",
            Self::TaskClosed { .. } => "task.closed",
            Self::TaskReopened { .. } => "task.reopened",
            Self::ActionRequested { .. } => "action.requested",
            Self::ActionApproved { .. } => "action.approved",
            Self::ActionWaits { .. } => "action.waits",
            Self::ActionStarted { .. } => "action.started",
            Self::ActionLost { .. } => "action.lost",
            Self::ActionEnded { .. } => "action.ended",
            Self::PackageTaken { .. } => "action.packageTaken",
            Self::DeviceEnrolled { .. } => "device.enrolled",
            Self::DeviceChanged { .. } => "device.changed",
            Self::UserChanged { .. } => "user.changed",
            Self::DeviceRemoved { .. } => "device.removed",
            Self::ReleaseCodeShown { .. } => "device.releaseCodeShown",
            Self::AgentTokenAdded { .. } => "agentToken.added",
            Self::AgentTokenRemoved { .. } => "agentToken.removed",
            Self::ExclusionChanged { .. } => "exclusion.changed",
            Self::ConnectorAdded { .. } => "connector.added",
            Self::ConnectorChanged { .. } => "connector.changed",
            Self::ConnectorRemoved { .. } => "connector.removed",
            Self::AuthorityChanged { .. } => "authority.changed",
            Self::ConversationOpened { .. } => "conversation.opened",
            Self::MessageSent { .. } => "message.sent",
            Self::MessageNoted { .. } => "message.noted",
            Self::ConversationRated { .. } => "conversation.rated",
            Self::ConversationClosed { .. } => "conversation.closed",
            Self::ContactAdded { .. } => "contact.added",
            Self::ContactChanged { .. } => "contact.changed",
            Self::ContactRemoved { .. } => "contact.removed",
            Self::WebhookAdded { .. } => "webhook.added",
            Self::WebhookChanged { .. } => "webhook.changed",
            Self::WebhookRemoved { .. } => "webhook.removed",
            Self::ChatChannelAdded { .. } => "chatChannel.added",
            Self::ChatTeamMade { .. } => "chatTeam.made",
            Self::ChatChannelChanged { .. } => "chatChannel.changed",
            Self::ChatChannelRemoved { .. } => "chatChannel.removed",
            Self::ChatChannelRefused { .. } => "chatChannel.refused",
            Self::MailRuleAdded { .. } => "mailRule.added",
            Self::MailRuleChanged { .. } => "mailRule.changed",
            Self::MailRuleRemoved { .. } => "mailRule.removed",
            Self::MailRuleRestored { .. } => "mailRule.restored",
            Self::NotificationSettingChanged { .. } => "notification.settingChanged",
            Self::NotificationMade { .. } => "notification.made",
            Self::DeliveryFailed { .. } => "delivery.failed",
            Self::DeliveryRepeated { .. } => "delivery.repeated",
            Self::ReplyRefused { .. } => "reply.refused",
            Self::ServiceAgreementChanged { .. } => "serviceAgreement.changed",
            Self::CreditRuleChanged { .. } => "creditRule.changed",
            Self::LadderChanged { .. } => "ladder.changed",
            Self::EscalationStepped { .. } => "escalation.stepped",
            Self::EscalationEnded { .. } => "escalation.ended",
            Self::CallEnded { .. } => "call.ended",
            Self::ClockNearing { .. } => "clock.nearing",
            Self::ClockMissed { .. } => "clock.missed",
        }
    }

    /// The incident it belongs to, for that incident's activity log.
    #[must_use]
    pub fn incident(&self) -> Option<IncidentId> {
        match self {
            Self::AlertUpdated { incident, .. }
            | Self::AlertChanged { incident, .. }
            | Self::AlertCommented { incident, .. }
            | Self::AccessRequested { incident, .. }
            | Self::AccessApproved { incident, .. }
            | Self::AccessDenied { incident, .. }
            | Self::AccessEnded { incident, .. }
            | Self::ActionRequested { incident, .. }
            | Self::ActionApproved { incident, .. }
            | Self::ActionWaits { incident, .. }
            | Self::ActionStarted { incident, .. }
            | Self::ActionLost { incident, .. }
            | Self::ActionEnded { incident, .. }
            | Self::MessageSent { incident, .. }
            | Self::MessageNoted { incident, .. }
            | Self::ConversationRated { incident, .. }
            | Self::ConversationClosed { incident, .. }
            | Self::NotificationMade { incident, .. }
            | Self::DeliveryFailed { incident, .. }
            | Self::DeliveryRepeated { incident, .. }
            | Self::ReplyRefused { incident, .. }
            | Self::CallEnded { incident, .. }
            | Self::PackageTaken { incident, .. } => *incident,
            Self::IncidentOpened { incident, .. }
            | Self::IncidentGrew { incident, .. }
            | Self::IncidentQueued { incident, .. }
            | Self::IncidentLeftOut { incident, .. }
            | Self::IncidentStarted { incident, .. }
            | Self::IncidentConcluded { incident, .. }
            | Self::IncidentChanged { incident, .. }
            | Self::IncidentCommented { incident, .. }
            | Self::TaskDrafted { incident, .. }
            | Self::TaskChanged { incident, .. }
            | Self::TaskRemoved { incident, .. }
            | Self::TaskBegun { incident, .. }
            | Self::ResponsePublished { incident, .. }
            | Self::ResponseRejected { incident, .. }
            | Self::TaskStarted { incident, .. }
            | Self::TaskClosed { incident, .. }
            | Self::TaskReopened { incident, .. }
            | Self::EscalationStepped { incident, .. }
            | Self::EscalationEnded { incident, .. }
            | Self::ClockNearing { incident, .. }
            | Self::ClockMissed { incident, .. } => Some(*incident),
            // The log of the target tells it; the source's own log ends with its redirection.
            Self::IncidentMerged { target, .. } | Self::AlertsMoved { target, .. } => Some(*target),
            Self::AlertReceived { .. }
            | Self::ProviderNamed { .. }
            | Self::TenantAdded { .. }
            | Self::TenantInvited { .. }
            | Self::StageChanged { .. }
            | Self::SetupStepped { .. }
            | Self::SetupSubmitted
            | Self::OnboardingChanged { .. }
            | Self::ReadinessChanged { .. }
            | Self::ReadinessLapsed { .. }
            | Self::ReadinessRestored { .. }
            | Self::AppAdded { .. }
            | Self::AppSignedIn { .. }
            | Self::AppRemoved { .. }
            | Self::AppSecretChanged { .. }
            | Self::PersonAdded { .. }
            | Self::PersonInvited { .. }
            | Self::PersonSetUp { .. }
            | Self::PersonChanged { .. }
            | Self::PersonRemoved { .. }
            | Self::PersonSignedIn { .. }
            | Self::SessionEnded { .. }
            | Self::PasskeyChanged { .. }
            | Self::GrantChanged { .. }
            | Self::SignInChanged { .. }
            | Self::FeedChanged { .. }
            | Self::DeviceEnrolled { .. }
            | Self::DeviceChanged { .. }
            | Self::UserChanged { .. }
            | Self::DeviceRemoved { .. }
            | Self::ReleaseCodeShown { .. }
            | Self::AgentTokenAdded { .. }
            | Self::AgentTokenRemoved { .. }
            | Self::ExclusionChanged { .. }
            | Self::ConnectorAdded { .. }
            | Self::ConnectorChanged { .. }
            | Self::ConnectorRemoved { .. }
            | Self::AuthorityChanged { .. }
            | Self::ContactAdded { .. }
            | Self::ContactChanged { .. }
            | Self::ContactRemoved { .. }
            | Self::WebhookAdded { .. }
            | Self::WebhookChanged { .. }
            | Self::WebhookRemoved { .. }
            | Self::ChatChannelAdded { .. }
            | Self::ChatTeamMade { .. }
            | Self::ChatChannelChanged { .. }
            | Self::ChatChannelRemoved { .. }
            | Self::ChatChannelRefused { .. }
            | Self::MailRuleAdded { .. }
            | Self::MailRuleChanged { .. }
            | Self::MailRuleRemoved { .. }
            | Self::MailRuleRestored { .. }
            | Self::NotificationSettingChanged { .. }
            | Self::ServiceAgreementChanged { .. }
            | Self::CreditRuleChanged { .. }
            | Self::LadderChanged { .. }
            | Self::ConversationOpened { .. } => None,
        }
    }

    /// Whether a customer's readiness may be another after it (see `onboarding`).
    #[must_use]
    pub fn touches_readiness(&self) -> bool {
        matches!(
            self,
            Self::GrantChanged { .. }
                | Self::ExclusionChanged { .. }
                | Self::ContactAdded { .. }
                | Self::ContactChanged { .. }
                | Self::ContactRemoved { .. }
                | Self::WebhookAdded { .. }
                | Self::WebhookChanged { .. }
                | Self::WebhookRemoved { .. }
                | Self::ChatChannelAdded { .. }
                | Self::ChatChannelChanged { .. }
                | Self::ChatChannelRemoved { .. }
                | Self::ConnectorAdded { .. }
                | Self::ConnectorChanged { .. }
                | Self::ConnectorRemoved { .. }
                | Self::DeviceEnrolled { .. }
                | Self::DeviceRemoved { .. }
                | Self::AppAdded { .. }
                | Self::AppRemoved { .. }
                | Self::PersonAdded { .. }
                | Self::PersonSetUp { .. }
                | Self::PersonChanged { .. }
                | Self::PersonRemoved { .. }
                | Self::PasskeyChanged { .. }
        )
    }

    /// Whether somebody may have to be told of it (see `notification`).
    #[must_use]
    pub fn tells(&self) -> bool {
        match self {
            Self::ResponsePublished { .. }
            | Self::ContactAdded { .. }
            | Self::TenantInvited { .. }
            | Self::ActionRequested { .. }
            | Self::ActionWaits { .. }
            | Self::MessageSent { .. }
            | Self::DeliveryFailed { .. }
            | Self::ActionEnded { .. }
            | Self::ReadinessLapsed { .. }
            | Self::ReadinessRestored { .. }
            | Self::ClockNearing { .. }
            | Self::ClockMissed { .. }
            | Self::ResponseRejected { .. }
            | Self::TaskBegun { .. }
            | Self::TaskStarted { .. }
            | Self::TaskClosed { .. } => true,
            Self::ContactChanged { moved, .. } => *moved,
            Self::EscalationStepped { because, .. } => because.is_none(),
            Self::EscalationEnded { standing, .. } => *standing == "nobody",
            // What it called people for is over.
            Self::IncidentChanged { changes, .. } | Self::IncidentConcluded { changes, .. } => {
                let awaited = serde_json::json!(crate::word::Stage::AwaitingCustomer.word());
                changes.iter().any(|it| it.field == "state" && it.before == awaited)
            }
            _ => false,
        }
    }

    /// The incident that mail rules may have something to say of after it: new alerts, or another
    /// severity or status (NOT-9).
    #[must_use]
    pub fn rules(&self) -> Option<IncidentId> {
        match self {
            Self::IncidentOpened { incident, .. }
            | Self::IncidentGrew { incident, .. }
            | Self::IncidentStarted { incident, .. }
            | Self::IncidentConcluded { incident, .. }
            | Self::IncidentChanged { incident, .. }
            | Self::ResponsePublished { incident, .. }
            | Self::ResponseRejected { incident, .. }
            | Self::TaskClosed { incident, .. }
            | Self::TaskReopened { incident, .. } => Some(*incident),
            Self::IncidentMerged { target, .. } | Self::AlertsMoved { target, .. } => Some(*target),
            _ => None,
        }
    }

    /// Whether a service clock may go by it: each comes with a row in `untimed`.
    #[must_use]
    pub fn times(&self) -> bool {
        match self {
            Self::IncidentQueued { .. }
            | Self::IncidentLeftOut { .. }
            | Self::IncidentMerged { .. }
            | Self::IncidentStarted { .. }
            | Self::IncidentConcluded { .. }
            | Self::ResponsePublished { .. }
            | Self::ResponseRejected { .. }
            | Self::TaskBegun { .. }
            | Self::TaskStarted { .. }
            | Self::TaskClosed { .. } => true,
            Self::IncidentChanged { changes, .. } => {
                changes.iter().any(|change| matches!(change.field, "state" | "severity"))
            }
            Self::MessageSent { side, incident, .. } => *side == "customer" && incident.is_some(),
            Self::ActionEnded { incident, verified, .. } => *verified && incident.is_some(),
            _ => false,
        }
    }

    /// The alert it is about, when it is about one.
    #[must_use]
    pub fn alert(&self) -> Option<AlertId> {
        match self {
            Self::AlertReceived { alert, .. }
            | Self::AlertUpdated { alert, .. }
            | Self::AlertChanged { alert, .. }
            | Self::AlertCommented { alert, .. } => Some(*alert),
            _ => None,
        }
    }

    /// The rest of the fact, as the activity log, the stream and the audit leaf carry it.
    #[must_use]
    pub fn body(&self) -> Value {
        match self {
            Self::AlertReceived { source, provider_alert_id, .. } => {
                json!({ "source": source, "providerAlertId": provider_alert_id })
            }
            Self::AlertUpdated { version, .. } => json!({ "version": version }),
            Self::AlertChanged { changes, .. }
            | Self::FeedChanged { changes }
            | Self::NotificationSettingChanged { changes }
            | Self::ServiceAgreementChanged { changes }
            | Self::CreditRuleChanged { changes }
            | Self::LadderChanged { changes }
            | Self::ExclusionChanged { changes }
            | Self::OnboardingChanged { changes }
            | Self::ReadinessChanged { changes }
            | Self::IncidentStarted { changes, .. }
            | Self::IncidentConcluded { changes, .. }
            | Self::IncidentChanged { changes, .. }
            | Self::GrantChanged { changes } => json!({ "changes": changes }),
            Self::AlertCommented { comment, .. } => json!({ "commentId": comment }),
            Self::IncidentOpened { alerts, .. } | Self::IncidentGrew { alerts, .. } => {
                json!({ "alertIds": alerts })
            }
            Self::IncidentMerged { source, target, because } => {
                json!({ "sourceIncidentId": source, "targetIncidentId": target, "because": because })
            }
            Self::AlertsMoved { source, target, alerts, because } => json!({
                "sourceIncidentId": source,
                "targetIncidentId": target,
                "alertIds": alerts,
                "because": because,
            }),
            Self::IncidentQueued { score, .. } => json!({ "priorityScore": score }),
            Self::IncidentLeftOut { reason, sentence, .. } => {
                json!({ "reason": reason, "sentence": sentence })
            }
            Self::IncidentCommented { comment, text, .. } => {
                json!({ "commentId": comment, "comment": text })
            }
            Self::TaskDrafted { task, action, target, .. } => {
                json!({ "taskId": task, "actionType": action, "target": target })
            }
            Self::TaskChanged { task, changes, .. } => {
                json!({ "taskId": task, "changes": changes })
            }
            Self::TaskRemoved { task, .. }
            | Self::TaskBegun { task, .. }
            | Self::TaskReopened { task, .. } => {
                json!({ "taskId": task })
            }
            Self::ResponsePublished { revision, guided, managed, .. } => {
                json!({ "revision": revision, "guidedTaskIds": guided, "managedTaskIds": managed })
            }
            Self::ResponseRejected { revision, because, .. } => {
                json!({ "revision": revision, "because": because })
            }
            Self::TaskStarted { task, actions, .. } => {
                json!({ "taskId": task, "actionIds": actions })
            }
            Self::TaskClosed { task, state, because, verified, .. } => json!({
                "taskId": task, "state": state, "because": because, "verified": verified,
            }),
            Self::ActionRequested { action, kind, target, source, generation, .. } => json!({
                "actionId": action, "actionType": kind, "target": target, "source": source,
                "generation": generation,
            }),
            Self::ActionApproved { action, because, .. } => {
                json!({ "actionId": action, "because": because })
            }
            Self::ActionWaits { action, because, .. } => {
                json!({ "actionId": action, "because": because })
            }
            Self::ActionStarted { action, attempt, order, .. } => {
                json!({ "actionId": action, "attempt": attempt, "order": order })
            }
            Self::ActionLost { action, attempt, reason, .. } => {
                json!({ "actionId": action, "attempt": attempt, "reason": reason })
            }
            Self::ActionEnded { action, state, reason, verified, .. } => json!({
                "actionId": action, "state": state, "because": reason, "verified": verified,
            }),
            Self::PackageTaken { action, sha256, bytes, .. } => {
                json!({ "actionId": action, "sha256": sha256, "bytes": bytes })
            }
            Self::DeviceEnrolled { device, name, agent } => {
                json!({ "deviceId": device, "name": name, "agentId": agent })
            }
            Self::DeviceChanged { device, name, changes } => {
                json!({ "deviceId": device, "name": name, "changes": changes })
            }
            Self::UserChanged { name, changes } => json!({ "name": name, "changes": changes }),
            Self::DeviceRemoved { device, name } | Self::ReleaseCodeShown { device, name } => {
                json!({ "deviceId": device, "name": name })
            }
            Self::AuthorityChanged { version, sha256, rules, note } => json!({
                "version": version, "sha256": sha256, "rules": rules, "note": note,
            }),
            Self::AgentTokenAdded { token, until } => {
                json!({ "tokenId": token, "untilDateTime": until })
            }
            Self::AgentTokenRemoved { token } => json!({ "tokenId": token }),
            Self::ConversationOpened { thread } | Self::ConversationClosed { thread, .. } => {
                json!({ "conversationId": thread })
            }
            // What was said stays where it is: who reads this log need not have taken part.
            Self::MessageSent { thread, message, side, .. } => {
                json!({ "conversationId": thread, "messageId": message, "side": side })
            }
            Self::MessageNoted { thread, message, .. } => {
                json!({ "conversationId": thread, "messageId": message })
            }
            Self::ConversationRated { thread, helpful, remark, .. } => {
                json!({ "conversationId": thread, "helpful": helpful, "remark": remark })
            }
            Self::ContactAdded { contact, name, email, role } => json!({
                "contactId": contact, "name": name, "email": email, "role": role,
            }),
            Self::ContactChanged { contact, name, changes, .. } => {
                json!({ "contactId": contact, "name": name, "changes": changes })
            }
            Self::ContactRemoved { contact, name } => {
                json!({ "contactId": contact, "name": name })
            }
            Self::ChatChannelAdded { channel, vendor, name } => {
                json!({ "chatChannelId": channel, "vendor": vendor, "name": name })
            }
            Self::ChatTeamMade { team, name } => json!({ "teamId": team, "name": name }),
            Self::ChatChannelChanged { channel, name, changes } => {
                json!({ "chatChannelId": channel, "name": name, "changes": changes })
            }
            Self::ChatChannelRemoved { channel, name } => {
                json!({ "chatChannelId": channel, "name": name })
            }
            Self::ChatChannelRefused { channel, name, because } => {
                json!({ "chatChannelId": channel, "name": name, "because": because })
            }
            Self::WebhookAdded { webhook, name, address } => {
                json!({ "webhookId": webhook, "name": name, "url": address })
            }
            Self::WebhookChanged { webhook, name, changes } => {
                json!({ "webhookId": webhook, "name": name, "changes": changes })
            }
            Self::WebhookRemoved { webhook, name } => {
                json!({ "webhookId": webhook, "name": name })
            }
            Self::MailRuleAdded { rule, about, name, receivers } => json!({
                "mailRuleId": rule, "about": about, "name": name, "receivers": receivers,
            }),
            Self::MailRuleChanged { rule, name, changes } => {
                json!({ "mailRuleId": rule, "name": name, "changes": changes })
            }
            Self::MailRuleRemoved { rule, name } | Self::MailRuleRestored { rule, name } => {
                json!({ "mailRuleId": rule, "name": name })
            }
            Self::NotificationMade { notification, kind, receivers, .. } => json!({
                "notificationId": notification, "notification": kind, "receivers": receivers,
            }),
            Self::DeliveryFailed { delivery, channel, receiver, because, .. } => json!({
                "deliveryId": delivery, "channel": channel, "receiver": receiver,
                "because": because,
            }),
            Self::DeliveryRepeated { delivery, receiver, .. } => {
                json!({ "deliveryId": delivery, "receiver": receiver })
            }
            Self::ReplyRefused { delivery, receiver, because, .. } => {
                json!({ "deliveryId": delivery, "receiver": receiver, "because": because })
            }
            Self::EscalationStepped { run, contact, name, by, step, because, .. } => json!({
                "run": run, "contactId": contact, "name": name, "by": by, "step": step,
                "because": because,
            }),
            Self::EscalationEnded { standing, .. } => json!({ "standing": standing }),
            Self::CallEnded { delivery, name, outcome, .. } => {
                json!({ "deliveryId": delivery, "receiver": name, "outcome": outcome })
            }
            Self::ClockNearing { clock, whose, due, target, .. }
            | Self::ClockMissed { clock, whose, due, target, .. } => json!({
                "clock": clock, "whose": whose, "dueDateTime": due, "targetMinutes": target,
            }),
            Self::ProviderNamed { provider, name } => {
                json!({ "providerId": provider, "name": name })
            }
            Self::TenantAdded { name } => json!({ "name": name }),
            Self::TenantInvited { person, email, language, welcome } => json!({
                "personId": person, "email": email, "language": language, "welcomeId": welcome,
            }),
            Self::StageChanged { changes, because } => {
                json!({ "changes": changes, "because": because })
            }
            Self::SetupStepped { step, state } => json!({ "step": step, "state": state }),
            Self::SetupSubmitted => json!({}),
            Self::ReadinessLapsed { items } | Self::ReadinessRestored { items } => {
                json!({ "items": items })
            }
            Self::AppAdded { client_id, name, permissions } => {
                json!({ "clientId": client_id, "name": name, "permissions": permissions })
            }
            Self::AppSignedIn { client_id } => json!({ "clientId": client_id }),
            Self::PersonAdded { person, email, role } => {
                json!({ "personId": person, "email": email, "role": role })
            }
            Self::PersonInvited { person, email } | Self::PersonRemoved { person, email } => {
                json!({ "personId": person, "email": email })
            }
            Self::PersonSetUp { person, email, factor } => {
                json!({ "personId": person, "email": email, "factor": factor })
            }
            Self::PersonChanged { person, email, changes } => {
                json!({ "personId": person, "email": email, "changes": changes })
            }
            Self::PersonSignedIn { person, factor } => {
                json!({ "personId": person, "factor": factor })
            }
            Self::SessionEnded { person, session } => {
                json!({ "personId": person, "sessionId": session })
            }
            Self::PasskeyChanged { person, passkey, removed } => {
                json!({ "personId": person, "name": passkey, "removed": removed })
            }
            Self::AppRemoved { client_id, name } | Self::AppSecretChanged { client_id, name } => {
                json!({ "clientId": client_id, "name": name })
            }
            Self::AccessRequested { access, person, level, hours, reason, .. } => json!({
                "accessId": access, "person": person, "level": level, "hours": hours,
                "reason": reason,
            }),
            Self::AccessApproved { access, person, until, .. } => {
                json!({ "accessId": access, "person": person, "untilDateTime": until })
            }
            Self::AccessDenied { access, person, because, .. }
            | Self::AccessEnded { access, person, because, .. } => {
                json!({ "accessId": access, "person": person, "because": because })
            }
            Self::ConnectorAdded { connector, kind, name, address } => json!({
                "connectorId": connector, "kind": kind, "name": name, "baseUrl": address,
            }),
            Self::ConnectorChanged { connector, name, changes } => {
                json!({ "connectorId": connector, "name": name, "changes": changes })
            }
            Self::ConnectorRemoved { connector, name } => {
                json!({ "connectorId": connector, "name": name })
            }
            Self::SignInChanged { provider, name, changes } => {
                json!({ "identityProviderId": provider, "name": name, "changes": changes })
            }
        }
    }
}
