//! Steps of the setup and items of readiness: what each wants, and when a customer is ready. Pure.
//!
//! What is found of a customer ([`Found`]) is judged into items, each to do, in progress or completed,
//! and into two targets. Invariants: an item's status follows from what was found and nothing else; a
//! customer is ready when every item marked *Complete now* is completed and both targets are reached.

use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::event::Change;
use crate::tenant::ExpertAccess;
use crate::tenant::stage::Stage;
use crate::word::choices;

/// Days a customer is watched where nobody says otherwise, and at most.
pub const DAYS: i64 = 7;
/// The most days that can be chosen.
pub const MOST_DAYS: i64 = 30;
/// The largest target.
pub const MOST_ASSETS: i64 = 10_000_000;
/// For how long after it was heard of a device counts as protected, in seconds: who closes a laptop for
/// the night loses no protection by that.
pub const LIVE_S: i64 = 86_400;
const DAY_S: i64 = 86_400;
/// How often readiness is evaluated that a customer waits for, in seconds: an agent that is heard of and
/// an alert that comes in are no facts of their own.
const SOON_S: i64 = 60;
/// Names in one sentence.
const NAMED: usize = 3;

choices! {
    /// A step of the setup, before it is reviewed and submitted (ONB-1).
    Step {
        /// What is going to happen.
        GetStarted = "getStarted",
        /// How far experts may go (PER-2).
        Permissions = "permissions",
        /// On what they never act (EXC-1).
        Exclusions = "exclusions",
        /// Who is told (NOT-1).
        Contacts = "contacts",
        /// By which channels besides mail.
        Channels = "channels",
    }
}

choices! {
    /// How a step was left.
    StepState {
        /// Confirmed.
        Done = "done",
        /// Left out; what was not saved is gone (EXC-4).
        Skipped = "skipped",
    }
}

impl Step {
    /// Whether it may be left out.
    #[must_use]
    pub fn may_skip(self) -> bool {
        matches!(self, Self::Exclusions | Self::Channels)
    }
}

/// The first step that nobody has confirmed or skipped; `None` when only the review is left.
#[must_use]
pub fn next_step(set: &[Step]) -> Option<Step> {
    Step::ALL.iter().copied().find(|step| !set.contains(step))
}

/// Why a step cannot be set like this now; `None` when it can.
#[must_use]
pub fn why_not_step(step: Step, state: StepState, set: &[Step]) -> Option<String> {
    if state == StepState::Skipped && !step.may_skip() {
        return Some(format!("the step {} cannot be skipped", step.word()));
    }
    match next_step(set) {
        Some(next) if step > next => {
            Some(format!("the step {} comes before {}", next.word(), step.word()))
        }
        _ => None,
    }
}

choices! {
    /// Something that a customer is to do.
    ItemKind {
        /// Somebody hears of incidents.
        IncidentContact = "incidentContact",
        /// Experts may look.
        ExpertAccess = "expertAccess",
        /// Alerts come in.
        AlertSource = "alertSource",
        /// Whom exclusions mean is known.
        ExclusionsResolved = "exclusionsResolved",
        /// A mail has reached whoever hears of incidents.
        ContactReached = "contactReached",
        /// Somebody else is told when nobody is reached.
        BackupContact = "backupContact",
        /// Somebody else can administer.
        SecondAdministrator = "secondAdministrator",
        /// Administrators sign in with what cannot be phished.
        StrongSignIn = "strongSignIn",
        /// Agents are heard of.
        Agents = "agents",
        /// Products answer.
        Connectors = "connectors",
        /// What is excluded by name is known.
        ExclusionsKnown = "exclusionsKnown",
        /// Experts may act.
        RespondDirectly = "respondDirectly",
        /// A chat or a program is told as well.
        ChatChannel = "chatChannel",
    }
}

choices! {
    /// How far an item is.
    Status {
        /// Not begun.
        ToDo = "toDo",
        /// Begun.
        InProgress = "inProgress",
        /// There.
        Completed = "completed",
    }
}

impl ItemKind {
    /// Whether the service does not begin without it: *Complete now*.
    #[must_use]
    pub fn is_required(self) -> bool {
        matches!(
            self,
            Self::IncidentContact
                | Self::ExpertAccess
                | Self::AlertSource
                | Self::ExclusionsResolved
        )
    }

    /// What it is called.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::IncidentContact => "Name an incident contact",
            Self::ExpertAccess => "Let experts investigate",
            Self::AlertSource => "Connect a source of alerts",
            Self::ExclusionsResolved => "Have exclusions resolved",
            Self::ContactReached => "Reach the incident contacts",
            Self::BackupContact => "Name a backup contact",
            Self::SecondAdministrator => "Have a second administrator",
            Self::StrongSignIn => "Sign administrators in with passkeys",
            Self::Agents => "Keep agents running",
            Self::Connectors => "Connect a product that acts",
            Self::ExclusionsKnown => "Check the names of exclusions",
            Self::RespondDirectly => "Let experts respond directly",
            Self::ChatChannel => "Connect a chat or a program",
        }
    }

    /// Why it is wanted.
    #[must_use]
    pub fn why(self) -> &'static str {
        match self {
            Self::IncidentContact => {
                "Without somebody to tell, a managed response waits until somebody looks."
            }
            Self::ExpertAccess => "Without a grant experts see nothing of your incidents.",
            Self::AlertSource => {
                "Experts work on alerts of your products; without any there is nothing to see."
            }
            Self::ExclusionsResolved => {
                "While it is not known whom an exclusion means, experts act on no user at all."
            }
            Self::ContactReached => {
                "An address with a mistake in it is found out now and not at night."
            }
            Self::BackupContact => "It hears of what reached no primary contact.",
            Self::SecondAdministrator => {
                "When the only administrator is away, nobody can end a grant or let a colleague in."
            }
            Self::StrongSignIn => {
                "Who can be tricked out of a code gives away what decides over the experts' access."
            }
            Self::Agents => "Experts isolate, scan and collect through agents that are heard of.",
            Self::Connectors => {
                "Through it experts disable a user or remove a mail, and groups of users can be excluded."
            }
            Self::ExclusionsKnown => "A name with a mistake in it excludes nothing.",
            Self::RespondDirectly => {
                "Recommended: with it experts contain a threat at once instead of waiting for you."
            }
            Self::ChatChannel => "A message in a chat is often seen before a mail is.",
        }
    }

    /// Where it is done.
    #[must_use]
    pub fn link(self) -> &'static str {
        match self {
            Self::IncidentContact | Self::BackupContact => "/settings/notifications",
            Self::ContactReached => "/settings/notifications?tab=deliveries",
            Self::ExpertAccess | Self::RespondDirectly => "/settings/permissions",
            Self::AlertSource => "/settings/apps",
            Self::ExclusionsResolved => "/settings/exclusions?tab=userGroups",
            Self::ExclusionsKnown => "/settings/exclusions",
            Self::SecondAdministrator | Self::StrongSignIn => "/settings/people",
            Self::Agents => "/settings/agents",
            Self::Connectors => "/settings/connectors",
            Self::ChatChannel => "/settings/notifications?tab=webhooks",
        }
    }
}

/// What was found of a customer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// How far its grant goes now.
    pub grant: ExpertAccess,
    /// Contacts for incidents.
    pub contacts: u64,
    /// Those of them that a mail has reached.
    pub reached: u64,
    /// Those of them that are a backup.
    pub backups: u64,
    /// Whether an alert ever came.
    pub alerts: bool,
    /// Applications that may send alerts.
    pub senders: u64,
    /// Administrators that can sign in.
    pub administrators: u64,
    /// Those of them with a passkey, or whom an identity provider signs in.
    pub strong: u64,
    /// Administrators that were invited and have not signed in.
    pub invited: u64,
    /// Devices with an agent.
    pub devices: u64,
    /// Those of them that were heard of lately.
    pub live: u64,
    /// Users that are known.
    pub identities: u64,
    /// Products that carry actions out.
    pub connectors: u64,
    /// Those of them that do not answer, each with why.
    pub silent: Vec<String>,
    /// Exclusions of which nobody knows whom they mean.
    pub doubts: Vec<String>,
    /// Excluded names that nothing known goes by.
    pub unknown: Vec<String>,
    /// Programs and chats that are told.
    pub channels: u64,
    /// What is to be protected, where somebody said so.
    pub targets: Targets,
}

/// What is to be protected, where somebody said so; else what is known is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Targets {
    /// Devices.
    pub devices: Option<u64>,
    /// Users.
    pub identities: Option<u64>,
}

/// An item as it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// Which.
    pub kind: ItemKind,
    /// How far it is.
    pub status: Status,
    /// What it is judged by, as it is now.
    pub judged: String,
}

/// Protected assets of one kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Protected {
    /// How many are.
    pub protected: u64,
    /// How many are known.
    pub known: u64,
    /// How many are to be.
    pub target: u64,
    /// Whether somebody said so; else what is known is to be protected.
    pub is_set: bool,
}

impl Protected {
    fn new(protected: u64, known: u64, target: Option<u64>) -> Self {
        Self { protected, known, target: target.unwrap_or(known), is_set: target.is_some() }
    }

    /// Whether as many are protected as are to be.
    #[must_use]
    pub fn is_reached(self) -> bool {
        self.protected >= self.target
    }
}

/// What an evaluation comes to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Assessment {
    /// Every item, those that gate the start first.
    pub items: Vec<Item>,
    /// Devices.
    pub devices: Protected,
    /// Users.
    pub identities: Protected,
}

fn several(count: u64, one: &str, more: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {more}") }
}

fn list(names: &[String]) -> String {
    let said = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
    match names.len().checked_sub(NAMED) {
        None | Some(0) => said,
        Some(more) => format!("{said} and {more} more"),
    }
}

/// Completed with all of some, in progress with part of them, else to do.
fn part(done: u64, all: u64) -> Status {
    match (done, all) {
        (_, 0) => Status::ToDo,
        (done, all) if done >= all => Status::Completed,
        (0, _) => Status::ToDo,
        _ => Status::InProgress,
    }
}

fn either(completed: bool, begun: bool) -> Status {
    match (completed, begun) {
        (true, _) => Status::Completed,
        (false, true) => Status::InProgress,
        (false, false) => Status::ToDo,
    }
}

fn item(kind: ItemKind, it: &Found) -> (Status, String) {
    match kind {
        ItemKind::IncidentContact => (
            either(it.contacts > 0, false),
            several(it.contacts, "incident contact is named", "incident contacts are named"),
        ),
        ItemKind::ExpertAccess => (
            either(it.grant != ExpertAccess::None, false),
            match it.grant {
                ExpertAccess::None => "no access is granted now".to_owned(),
                ExpertAccess::Reader => "experts may investigate and guide".to_owned(),
                ExpertAccess::Operator => "experts may respond directly".to_owned(),
            },
        ),
        ItemKind::AlertSource => (
            either(it.alerts, it.senders > 0),
            if it.alerts {
                "alerts have come in".to_owned()
            } else if it.senders > 0 {
                "an app may send alerts; none has come in yet".to_owned()
            } else {
                "no app may send alerts, and none has come in".to_owned()
            },
        ),
        ItemKind::ExclusionsResolved => (
            either(it.doubts.is_empty(), true),
            if it.doubts.is_empty() {
                "it is known whom each exclusion means".to_owned()
            } else {
                format!("not known: {}", list(&it.doubts))
            },
        ),
        ItemKind::ContactReached => (
            part(it.reached, it.contacts),
            format!(
                "a mail has reached {} of {}",
                it.reached,
                several(it.contacts, "contact", "contacts")
            ),
        ),
        ItemKind::BackupContact => (
            either(it.backups > 0, it.contacts > 1),
            several(it.backups, "backup contact is named", "backup contacts are named"),
        ),
        ItemKind::SecondAdministrator => (
            either(it.administrators > 1, it.invited > 0),
            several(it.administrators, "administrator can sign in", "administrators can sign in"),
        ),
        ItemKind::StrongSignIn => (
            part(it.strong, it.administrators),
            format!(
                "{} of {} with a passkey or through your identity provider",
                it.strong,
                several(it.administrators, "administrator", "administrators")
            ),
        ),
        ItemKind::Agents => (
            either(it.devices > 0 && it.live >= it.devices, it.devices > 0),
            format!(
                "{} of {} heard of within 24 hours",
                it.live,
                several(it.devices, "device with an agent", "devices with an agent")
            ),
        ),
        ItemKind::Connectors => (
            either(it.connectors > 0 && it.silent.is_empty(), it.connectors > 0),
            match (it.connectors, it.silent.is_empty()) {
                (0, _) => "none is connected".to_owned(),
                (_, true) => "each one answers".to_owned(),
                (_, false) => format!("does not answer: {}", list(&it.silent)),
            },
        ),
        ItemKind::ExclusionsKnown => (
            either(it.unknown.is_empty(), true),
            if it.unknown.is_empty() {
                "each excluded name is of something known".to_owned()
            } else {
                format!("nothing known goes by: {}", list(&it.unknown))
            },
        ),
        ItemKind::RespondDirectly => (
            either(it.grant == ExpertAccess::Operator, it.grant == ExpertAccess::Reader),
            match it.grant {
                ExpertAccess::Operator => "experts may respond directly".to_owned(),
                _ => "experts may not act for you".to_owned(),
            },
        ),
        ItemKind::ChatChannel => (
            either(it.channels > 0, false),
            several(it.channels, "channel is told", "channels are told"),
        ),
    }
}

/// Judges what was found.
#[must_use]
pub fn judge(found: &Found) -> Assessment {
    let items = ItemKind::ALL.iter().map(|&kind| {
        let (status, judged) = item(kind, found);
        Item { kind, status, judged }
    });
    let (devices, identities) = (found.targets.devices, found.targets.identities);
    Assessment {
        items: items.collect(),
        devices: Protected::new(found.live, found.devices, devices),
        identities: Protected::new(found.identities, found.identities, identities),
    }
}

impl Assessment {
    /// Whether nothing stands in the way of the start.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.missing().is_empty()
    }

    /// What stands in the way, in words: items marked *Complete now*, and targets.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let items = self.items.iter().filter(|it| it.kind.is_required());
        let mut missing: Vec<String> = items
            .filter(|it| it.status != Status::Completed)
            .map(|it| it.kind.title().to_owned())
            .collect();
        for (what, it) in [("devices", self.devices), ("identities", self.identities)] {
            if !it.is_reached() {
                missing.push(format!("Protect {} {what} ({} are)", it.target, it.protected));
            }
        }
        missing
    }

    /// As it is kept, to see later what has changed: statuses, and whether targets are reached.
    #[must_use]
    pub fn kept(&self) -> Value {
        let mut kept: serde_json::Map<String, Value> =
            self.items.iter().map(|it| (it.kind.word().to_owned(), json!(it.status))).collect();
        for (name, it) in [(DEVICES, self.devices), (IDENTITIES, self.identities)] {
            kept.insert(name.to_owned(), reached(it.is_reached()));
        }
        Value::Object(kept)
    }

    /// What is another than what was kept.
    #[must_use]
    pub fn changes(&self, before: &Value) -> Vec<Change> {
        let now = self.kept();
        let names = ItemKind::ALL.iter().map(|kind| kind.word()).chain([DEVICES, IDENTITIES]);
        names
            .map(|field| Change { field, before: before[field].clone(), after: now[field].clone() })
            .filter(|it| it.before != it.after)
            .collect()
    }
}

/// After people were told that an item lapsed, for how long they are not told so again, in seconds.
pub const LAPSE_S: i64 = DAY_S;

/// What people are to be told of items that the service began with: those that lapsed, and those that
/// are there again.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Lapses {
    /// Not there any more.
    pub lapsed: Vec<&'static str>,
    /// There again, of those that people were told of.
    pub restored: Vec<&'static str>,
    /// What people were told, as it is kept: for each item when, and whether it still lacks.
    pub kept: Value,
}

impl Assessment {
    /// What has lapsed of what gates the start, and what is there again. `before` is the assessment
    /// before this one, `told` what people were told. An item that comes and goes is told of once a
    /// day; one that lapsed again meanwhile is told of once the day is over, if it still lacks then.
    #[must_use]
    pub fn lapses(&self, before: &Value, told: &Value, now: Timestamp) -> Lapses {
        let required = self.items.iter().filter(|it| it.kind.is_required());
        let items = required.map(|it| (it.kind.word(), it.status == Status::Completed));
        // Where nobody set a target, all that is known is to be protected, and each device that is
        // away for a day would be a lapse.
        let targets = [(DEVICES, self.devices), (IDENTITIES, self.identities)]
            .map(|(name, it)| (name, !it.is_set || it.is_reached()));
        let mut found = Lapses { kept: json!({}), ..Lapses::default() };
        for (name, is_there) in items.chain(targets) {
            let at = told[name]["at"].as_i64();
            let is_lacking = told[name]["lacks"].as_bool().unwrap_or_default();
            // Told of before, it was there again since: then it has lapsed once more.
            let was_there = met(&before[name]) || (at.is_some() && !is_lacking);
            let is_early =
                at.is_some_and(|at| now < Timestamp::from_micros(at).plus_seconds(LAPSE_S));
            let next = match (is_there, is_lacking) {
                (false, false) if was_there && !is_early => {
                    found.lapsed.push(name);
                    Some((now.micros(), true))
                }
                // Too early, and nothing is kept of it otherwise: it is looked at again.
                (false, false) if was_there => at.map(|at| (at, false)),
                (true, true) => {
                    found.restored.push(name);
                    at.map(|at| (at, false))
                }
                _ => at.map(|at| (at, is_lacking)),
            };
            if let Some((at, lacks)) = next {
                found.kept[name] = json!({ "at": at, "lacks": lacks });
            }
        }
        found
    }
}

/// Whether an item that was kept was there.
fn met(kept: &Value) -> bool {
    *kept == json!(Status::Completed) || *kept == reached(true)
}

const DEVICES: &str = "protectedDevices";
const IDENTITIES: &str = "protectedIdentities";

fn reached(is: bool) -> Value {
    json!(if is { "reached" } else { "missed" })
}

/// What an assessment that was kept says is missing, in words.
#[must_use]
pub fn missing_of(kept: &Value) -> Vec<String> {
    let items = ItemKind::ALL.iter().filter(|kind| kind.is_required());
    let mut missing: Vec<String> = items
        .filter(|kind| kept.get(kind.word()).is_some_and(|it| *it != json!(Status::Completed)))
        .map(|kind| kind.title().to_owned())
        .collect();
    for (name, what) in [(DEVICES, "devices"), (IDENTITIES, "identities")] {
        if kept.get(name).is_some_and(|it| *it != reached(true)) {
            missing.push(format!("Protect as many {what} as are to be"));
        }
    }
    missing
}

/// To which stage a customer comes now, and why; `None` while it stays.
#[must_use]
pub fn advance(
    (stage, since): (Stage, Timestamp),
    is_ready: bool,
    days: i64,
    now: Timestamp,
) -> Option<(Stage, String)> {
    match stage {
        Stage::ReadinessPending if is_ready => Some((
            Stage::Monitoring,
            "everything marked Complete now is there and the targets are reached".to_owned(),
        )),
        Stage::Monitoring if now >= since.plus_seconds(days * DAY_S) => {
            let days = u64::try_from(days).unwrap_or_default();
            Some((
                Stage::Active,
                format!("{} of monitoring are over", several(days, "day", "days")),
            ))
        }
        _ => None,
    }
}

/// Until when a customer is monitored; `None` while it is not.
#[must_use]
pub fn monitored_until((stage, since): (Stage, Timestamp), days: i64) -> Option<Timestamp> {
    (stage == Stage::Monitoring).then(|| since.plus_seconds(days * DAY_S))
}

/// When readiness is evaluated next, if nothing happens before.
#[must_use]
pub fn due((stage, since): (Stage, Timestamp), days: i64, now: Timestamp) -> Timestamp {
    let daily = now.plus_seconds(DAY_S);
    match stage {
        Stage::ReadinessPending => now.plus_seconds(SOON_S),
        Stage::Monitoring => daily.min(since.plus_seconds(days * DAY_S)),
        Stage::Invited | Stage::SetUp | Stage::Active => daily,
    }
}

#[cfg(test)]
mod tests;
