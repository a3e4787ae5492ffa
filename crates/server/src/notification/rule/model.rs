//! What a mail rule is about, and whether and when it tells of something. Pure.
//!
//! ```text
//! an incident matches ──first time──▶ told ──alerts, severity or status are others──▶ told again
//!                                      └─ within ten minutes: once they are over, all of it in one mail
//! ```
//!
//! A list in which nothing is chosen means everything. Invariants: a rule that tells once tells of an
//! incident once, whatever becomes of it; between two mails of a rule about one incident lie ten
//! minutes at least; what is another only for a moment is not told.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::catalog;
use crate::clock::Timestamp;
use crate::contact::{self, Language};
use crate::error::{Error, Result};
use crate::response::model::ActionState;
use crate::word::{IncidentStatus, Severity, choices};

/// Between two mails of one rule about one incident, in seconds.
pub const GATHER_S: i64 = 600;
/// Who is told by one rule.
pub const MOST_RECIPIENTS: usize = 50;
/// Choices of one list.
const MOST_CHOICES: usize = 100;
/// The longest name of a source or a group, in characters.
const LONGEST: usize = 200;

choices! {
    /// What a mail rule tells of.
    RuleAbout {
        /// Incidents (NOT-9).
        Incidents = "incidents",
        /// Actions that came to their end (NOT-10).
        Actions = "actions",
    }
}

choices! {
    /// On whose word an action was done.
    ActionOrigin {
        /// Somebody's.
        Manual = "manual",
        /// A program's, or it was due by itself.
        Automated = "automated",
    }
}

choices! {
    /// How an action ended, as far as it was carried out. What people cancelled or rejected was not.
    ActionOutcome {
        /// Done, and read back.
        Completed = "completed",
        /// Not done, or not in time.
        Failed = "failed",
    }
}

impl ActionOutcome {
    /// The outcome of a state; `None` of one that is no end, or a decision of people's.
    #[must_use]
    pub fn of(state: ActionState) -> Option<Self> {
        match state {
            ActionState::Succeeded => Some(Self::Completed),
            ActionState::Failed | ActionState::Expired => Some(Self::Failed),
            _ => None,
        }
    }
}

/// Alerts of a source, as a rule chooses them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RuleSource {
    /// `serviceSource` of the alert; any when absent.
    #[serde(default)]
    pub service: Option<String>,
    /// `detectionSource` of the alert; any when absent. *Microsoft Defender Experts* is
    /// `microsoftThreatExperts`.
    #[serde(default)]
    pub detection: Option<String>,
    /// Its own severities; those of the rule when absent.
    #[serde(default)]
    pub severities: Option<Vec<String>>,
}

/// Which incidents a rule tells of (NOT-9).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct IncidentsWanted {
    /// `informational`, `low`, `medium`, `high` or `unknown`; every one when empty.
    #[serde(default)]
    pub severities: Vec<String>,
    /// Every source when empty.
    #[serde(default)]
    pub sources: Vec<RuleSource>,
    /// Groups of devices, in any case; every device when empty.
    #[serde(default)]
    pub device_groups: Vec<String>,
    /// Whether updates of an incident are not told.
    #[serde(default)]
    pub once_per_incident: bool,
}

/// Which actions a rule tells of (NOT-10).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ActionsWanted {
    /// On whose word; anybody's when empty.
    #[serde(default)]
    pub origins: Vec<ActionOrigin>,
    /// Kinds of actions, such as `isolateDevice`; every one when empty.
    #[serde(default)]
    pub actions: Vec<String>,
    /// Groups of devices, in any case; what is done to no device as well when empty.
    #[serde(default)]
    pub device_groups: Vec<String>,
    /// How it ended; either way when empty.
    #[serde(default)]
    pub outcomes: Vec<ActionOutcome>,
}

/// What a rule is about.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "about", rename_all = "camelCase")]
pub enum RuleWhen {
    /// Incidents.
    Incidents(IncidentsWanted),
    /// Actions.
    Actions(ActionsWanted),
}

impl RuleWhen {
    /// What kind of thing.
    #[must_use]
    pub fn about(&self) -> RuleAbout {
        match self {
            Self::Incidents(_) => RuleAbout::Incidents,
            Self::Actions(_) => RuleAbout::Actions,
        }
    }

    /// The same as it is kept: known words, one of each.
    ///
    /// # Errors
    /// `Invalid` with the list that cannot be used.
    pub fn checked(self) -> Result<Self> {
        Ok(match self {
            Self::Incidents(it) => Self::Incidents(IncidentsWanted {
                severities: severities(&it.severities)?,
                sources: sources(it.sources)?,
                device_groups: names("deviceGroups", &it.device_groups)?,
                once_per_incident: it.once_per_incident,
            }),
            Self::Actions(it) => Self::Actions(ActionsWanted {
                origins: it.origins.into_iter().collect::<BTreeSet<_>>().into_iter().collect(),
                actions: actions(&it.actions)?,
                device_groups: names("deviceGroups", &it.device_groups)?,
                outcomes: it.outcomes.into_iter().collect::<BTreeSet<_>>().into_iter().collect(),
            }),
        })
    }
}

fn few(what: &str, count: usize) -> Result<()> {
    if count <= MOST_CHOICES {
        return Ok(());
    }
    Err(Error::Invalid(format!("{what} has {MOST_CHOICES} entries at most")))
}

fn severities(words: &[String]) -> Result<Vec<String>> {
    few("severities", words.len())?;
    let mut found = BTreeSet::new();
    for word in words {
        let none = || Error::Invalid(format!("severities: {word} is none"));
        found.insert(Severity::read(word).ok_or_else(none)?);
    }
    Ok(found.into_iter().map(|it| it.word().to_owned()).collect())
}

fn actions(words: &[String]) -> Result<Vec<String>> {
    few("actions", words.len())?;
    let mut found = BTreeSet::new();
    for word in words {
        let kind = catalog::Kind::read(word).filter(|kind| *kind != catalog::Kind::Text);
        let kind = kind.ok_or_else(|| Error::Invalid(format!("actions: {word} is none")))?;
        found.insert(kind.word().to_owned());
    }
    Ok(found.into_iter().collect())
}

fn name(what: &str, given: &str) -> Result<String> {
    let name = given.trim();
    let sound =
        !name.is_empty() && name.chars().count() <= LONGEST && !name.chars().any(char::is_control);
    if sound { Ok(name.to_owned()) } else { Err(Error::Invalid(format!("{what}: not a name"))) }
}

fn names(what: &str, given: &[String]) -> Result<Vec<String>> {
    few(what, given.len())?;
    let mut found: Vec<String> = Vec::with_capacity(given.len());
    for it in given {
        let it = name(what, it)?;
        if !found.iter().any(|known| known.to_lowercase() == it.to_lowercase()) {
            found.push(it);
        }
    }
    Ok(found)
}

fn sources(given: Vec<RuleSource>) -> Result<Vec<RuleSource>> {
    few("sources", given.len())?;
    let mut found: Vec<RuleSource> = Vec::with_capacity(given.len());
    for it in given {
        let word = |given: Option<String>| given.map(|it| name("sources", &it)).transpose();
        let (service, detection) = (word(it.service)?, word(it.detection)?);
        if service.is_none() && detection.is_none() {
            return Err(Error::Invalid("sources: an entry names a service or a detection".into()));
        }
        if found.iter().any(|known| known.service == service && known.detection == detection) {
            return Err(Error::Invalid("sources: one is there twice".to_owned()));
        }
        let own = it.severities.as_deref().map(severities).transpose()?;
        found.push(RuleSource { service, detection, severities: own });
    }
    Ok(found)
}

/// Somebody who is told by a rule.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RuleRecipient {
    /// The mail address, in lower case.
    pub email: String,
    /// English when absent.
    #[serde(default)]
    pub language: Language,
}

/// Recipients as they are kept: sound addresses, one of each.
///
/// # Errors
/// `Invalid` when there is none, too many, or one is no address.
pub fn recipients(given: &[RuleRecipient]) -> Result<Vec<RuleRecipient>> {
    let mut found: Vec<RuleRecipient> = Vec::with_capacity(given.len());
    for it in given {
        let email = contact::address(&it.email)
            .map_err(|_| Error::Invalid("recipients: one is not a mail address".to_owned()))?;
        if found.iter().any(|known| known.email == email) {
            return Err(Error::Invalid(format!("recipients: {email} is there twice")));
        }
        found.push(RuleRecipient { email, language: it.language });
    }
    if found.is_empty() || found.len() > MOST_RECIPIENTS {
        return Err(Error::Invalid(format!("recipients: name 1 to {MOST_RECIPIENTS}")));
    }
    Ok(found)
}

/// Alerts of an incident that go by the same source and severity.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// `serviceSource`.
    pub service: String,
    /// `detectionSource`.
    pub detection: Option<String>,
    /// How bad the source says it is.
    pub severity: Severity,
}

/// What a rule looks at in an incident.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct IncidentFacts {
    /// Its alerts.
    pub alerts: Vec<Seen>,
    /// The severity that somebody gave the incident by hand; it counts for each of its alerts.
    pub by_hand: Option<Severity>,
    /// Groups of its devices.
    pub groups: BTreeSet<String>,
}

/// Whether one of these groups was chosen, or none was.
fn in_group(chosen: &[String], groups: &BTreeSet<String>) -> bool {
    let same = |it: &String| groups.iter().any(|group| group.to_lowercase() == it.to_lowercase());
    chosen.is_empty() || chosen.iter().any(same)
}

impl IncidentsWanted {
    /// Whether an incident is one that the rule is about: one of its alerts has a chosen source and
    /// severity, and one of its devices is in a chosen group.
    #[must_use]
    pub fn matches(&self, facts: &IncidentFacts) -> bool {
        let bad = |chosen: &[String], it: &Seen| {
            let has = |severity: Severity| chosen.iter().any(|word| word == severity.word());
            chosen.is_empty() || has(it.severity) || facts.by_hand.is_some_and(has)
        };
        let from = |source: &RuleSource, it: &Seen| {
            let is = |chosen: &Option<String>, word: Option<&str>| match chosen {
                None => true,
                Some(chosen) => word.is_some_and(|word| word.eq_ignore_ascii_case(chosen)),
            };
            is(&source.service, Some(&it.service)) && is(&source.detection, it.detection.as_deref())
        };
        let one = |it: &Seen| {
            if self.sources.is_empty() {
                return bad(&self.severities, it);
            }
            self.sources.iter().any(|source| {
                let own = source.severities.as_deref().unwrap_or(&self.severities);
                from(source, it) && bad(own, it)
            })
        };
        facts.alerts.iter().any(one) && in_group(&self.device_groups, &facts.groups)
    }
}

/// What a rule looks at in an action that came to its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ActionFacts {
    /// On whose word it was done.
    pub origin: ActionOrigin,
    /// What was done.
    pub action: &'static str,
    /// How it ended.
    pub outcome: ActionOutcome,
    /// Groups of the device; of what is done to none, none.
    pub groups: BTreeSet<String>,
}

impl ActionsWanted {
    /// Whether an action is one that the rule is about.
    #[must_use]
    pub fn matches(&self, facts: &ActionFacts) -> bool {
        (self.origins.is_empty() || self.origins.contains(&facts.origin))
            && (self.outcomes.is_empty() || self.outcomes.contains(&facts.outcome))
            && (self.actions.is_empty() || self.actions.iter().any(|it| it == facts.action))
            && in_group(&self.device_groups, &facts.groups)
    }
}

/// How an incident is, as far as a rule tells of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stand {
    /// How many alerts it has.
    pub alerts: i64,
    /// How bad it is.
    pub severity: Severity,
    /// Where it stands.
    pub status: IncidentStatus,
}

/// What a rule told of an incident, and when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Told {
    /// When.
    pub at: Timestamp,
    /// How the incident was then.
    pub stand: Stand,
}

/// What a rule does about an incident that it matches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// There is nothing to tell.
    Nothing,
    /// It is told for the first time.
    First,
    /// It is told what is another.
    Update,
    /// What is another is told then.
    NotBefore(Timestamp),
}

/// What a rule does about an incident that it matches, at this moment.
#[must_use]
pub fn step(once: bool, told: Option<&Told>, is: Stand, now: Timestamp) -> Step {
    let Some(told) = told else {
        // What was over before anybody was told is no news, and what was merged is told as its target.
        let over = matches!(is.status, IncidentStatus::Resolved | IncidentStatus::Redirected);
        return if over { Step::Nothing } else { Step::First };
    };
    let more = is.alerts > told.stand.alerts;
    let other = is.severity != told.stand.severity || is.status != told.stand.status;
    if once || is.status == IncidentStatus::Redirected || !(more || other) {
        return Step::Nothing;
    }
    let from = told.at.plus_seconds(GATHER_S);
    if now < from { Step::NotBefore(from) } else { Step::Update }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(service: &str, detection: &str, severity: Severity) -> Seen {
        Seen { service: service.to_owned(), detection: Some(detection.to_owned()), severity }
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn source(service: Option<&str>, detection: Option<&str>, own: Option<&[&str]>) -> RuleSource {
        RuleSource {
            service: service.map(str::to_owned),
            detection: detection.map(str::to_owned),
            severities: own.map(words),
        }
    }

    fn incident(alerts: &[Seen]) -> IncidentFacts {
        IncidentFacts { alerts: alerts.to_vec(), ..IncidentFacts::default() }
    }

    #[test]
    fn severity_source_and_group_have_to_be_of_one_incident_and_source_and_severity_of_one_alert() {
        let endpoint = seen("microsoftDefenderForEndpoint", "antivirus", Severity::Medium);
        let experts = seen("microsoft365Defender", "microsoftThreatExperts", Severity::Low);
        let both = incident(&[endpoint.clone(), experts.clone()]);
        let any = IncidentsWanted::default();
        assert!(any.matches(&both) && !any.matches(&incident(&[])));
        let high = IncidentsWanted { severities: words(&["high"]), ..any.clone() };
        assert!(!high.matches(&both));
        let by_hand = IncidentFacts { by_hand: Some(Severity::High), ..both.clone() };
        assert!(high.matches(&by_hand), "who raised it by hand meant its alerts");
        let of = |sources: Vec<RuleSource>, severities: &[&str]| IncidentsWanted {
            severities: words(severities),
            sources,
            ..IncidentsWanted::default()
        };
        let hunters = source(None, Some("microsoftThreatExperts"), None);
        assert!(of(vec![hunters.clone()], &[]).matches(&both));
        assert!(!of(vec![hunters.clone()], &[]).matches(&incident(&[endpoint])));
        // The alert of medium severity is of another source.
        assert!(!of(vec![hunters.clone()], &["medium"]).matches(&both));
        let own = source(None, Some("microsoftThreatExperts"), Some(&["low"]));
        assert!(of(vec![own], &["high"]).matches(&both), "its own severities");
        let pair = source(Some("microsoftDefenderForEndpoint"), Some("customTi"), None);
        assert!(!of(vec![pair], &[]).matches(&both), "service and detection of one alert");
        let servers = IncidentsWanted { device_groups: words(&["Servers"]), ..any };
        assert!(!servers.matches(&both));
        let groups = ["laptops".to_owned(), "SERVERS".to_owned()].into();
        assert!(servers.matches(&IncidentFacts { groups, ..both }));
    }

    #[test]
    fn an_action_has_to_be_what_each_list_says() {
        let facts = ActionFacts {
            origin: ActionOrigin::Manual,
            action: "isolateDevice",
            outcome: ActionOutcome::Failed,
            groups: ["servers".to_owned()].into(),
        };
        assert!(ActionsWanted::default().matches(&facts));
        for (wanted, is) in [
            (ActionsWanted { origins: vec![ActionOrigin::Manual], ..Default::default() }, true),
            (ActionsWanted { origins: vec![ActionOrigin::Automated], ..Default::default() }, false),
            (ActionsWanted { actions: words(&["isolateDevice"]), ..Default::default() }, true),
            (ActionsWanted { actions: words(&["disableUser"]), ..Default::default() }, false),
            (ActionsWanted { outcomes: vec![ActionOutcome::Failed], ..Default::default() }, true),
            (
                ActionsWanted { outcomes: vec![ActionOutcome::Completed], ..Default::default() },
                false,
            ),
            (ActionsWanted { device_groups: words(&["Servers"]), ..Default::default() }, true),
            (ActionsWanted { device_groups: words(&["laptops"]), ..Default::default() }, false),
        ] {
            assert_eq!(wanted.matches(&facts), is, "{wanted:?}");
        }
        let ends = [ActionState::Succeeded, ActionState::Failed, ActionState::Expired];
        assert!(ends.iter().all(|state| ActionOutcome::of(*state).is_some()));
        let decided = [ActionState::Cancelled, ActionState::Rejected, ActionState::Started];
        assert!(decided.iter().all(|state| ActionOutcome::of(*state).is_none()));
    }

    #[test]
    fn once_is_once_and_updates_are_gathered() {
        let at = |seconds: i64| Timestamp::from_micros(1_000_000 * seconds);
        let stand = |alerts, severity, status| Stand { alerts, severity, status };
        let first = stand(1, Severity::Low, IncidentStatus::Active);
        assert_eq!(step(true, None, first, at(0)), Step::First);
        let over = stand(1, Severity::Low, IncidentStatus::Resolved);
        assert_eq!(step(false, None, over, at(0)), Step::Nothing, "no news");
        let told = Told { at: at(0), stand: first };
        assert_eq!(step(false, Some(&told), first, at(9_999)), Step::Nothing);
        for other in [
            stand(2, Severity::Low, IncidentStatus::Active),
            stand(1, Severity::High, IncidentStatus::Active),
            stand(1, Severity::Low, IncidentStatus::AwaitingAction),
            over,
        ] {
            assert_eq!(step(true, Some(&told), other, at(9_999)), Step::Nothing, "once");
            let soon = step(false, Some(&told), other, at(GATHER_S - 1));
            assert_eq!(soon, Step::NotBefore(at(GATHER_S)), "{other:?}");
            assert_eq!(step(false, Some(&told), other, at(GATHER_S)), Step::Update, "{other:?}");
        }
        let fewer = stand(0, Severity::Low, IncidentStatus::Active);
        assert_eq!(
            step(false, Some(&told), fewer, at(9_999)),
            Step::Nothing,
            "what left is no news"
        );
        let merged = stand(1, Severity::Low, IncidentStatus::Redirected);
        assert_eq!(step(false, Some(&told), merged, at(9_999)), Step::Nothing);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_and_the_rest_is_kept_once() {
        let sound: RuleWhen = serde_json::from_value(serde_json::json!({
            "about": "incidents", "severities": ["HIGH", "low", "high"],
            "deviceGroups": [" Servers ", "servers"],
            "sources": [{ "detection": "microsoftThreatExperts", "severities": ["medium"] }],
        }))
        .expect("a rule");
        let RuleWhen::Incidents(kept) = sound.checked().expect("sound") else {
            panic!("about incidents");
        };
        assert_eq!(kept.severities, ["low", "high"]);
        assert_eq!(kept.device_groups, ["Servers"]);
        for bad in [
            serde_json::json!({ "about": "incidents", "severities": ["grave"] }),
            serde_json::json!({ "about": "incidents", "sources": [{}] }),
            serde_json::json!({ "about": "incidents", "sources": [{ "service": "a" }, { "service": "a" }] }),
            serde_json::json!({ "about": "incidents", "deviceGroups": ["x\r\nBcc: y"] }),
            serde_json::json!({ "about": "actions", "actions": ["text"] }),
            serde_json::json!({ "about": "actions", "actions": ["wipeEverything"] }),
        ] {
            let read: RuleWhen = serde_json::from_value(bad.clone()).expect("a shape");
            assert!(read.checked().is_err(), "{bad}");
        }
        for bad in [
            serde_json::json!({ "about": "incidents", "actions": [] }),
            serde_json::json!({ "about": "everything" }),
            serde_json::json!({ "about": "actions", "outcomes": ["cancelled"] }),
        ] {
            assert!(serde_json::from_value::<RuleWhen>(bad.clone()).is_err(), "{bad}");
        }
        let to =
            |email: &str| RuleRecipient { email: email.to_owned(), language: Language::English };
        assert!(recipients(&[]).is_err() && recipients(&[to("ida")]).is_err());
        assert!(recipients(&[to("a@b.example"), to("A@b.example")]).is_err());
        assert!(recipients(&[to("ida@alder.example\r\nBcc: odd@evil.example")]).is_err());
        let many: Vec<_> =
            (0..=MOST_RECIPIENTS).map(|no| to(&format!("a{no}@b.example"))).collect();
        assert!(recipients(&many).is_err());
    }
}
