//! A rule as a form has it: which actions on which things, when, asked for by whom, and what then.
//!
//! Rules are in order, and the first that holds decides. Invariant: what [`Rule::check`] lets pass
//! can be written as Cedar and read back the same (see `cedar`). Pure: no store, no clock.

use serde::{Deserialize, Serialize};

use crate::catalog::CATALOG;
use crate::word::{Severity, choices};

/// Rules a policy has at most.
pub const MOST_RULES: usize = 40;
/// Names a rule lists of one kind at most.
const MOST_NAMES: usize = 100;
/// The longest time to wait for an approval, in minutes: a week.
pub const LONGEST_MIN: i64 = 7 * 24 * 60;
/// People a rule asks for at most.
pub const MOST_PEOPLE: i64 = 5;
/// The name of the policy that stands for the grant.
pub const GRANT: &str = "grant";
/// The name of the rule that the switch for two people stands for.
pub const FOUR_EYES: &str = "fourEyes";

choices! {
    /// Who asks for an action.
    Who {
        /// The provider's experts, people and applications.
        Expert = "expert",
        /// The customer's own people and applications.
        Customer = "customer",
        /// Riposte by itself: what was set for a time and is over.
        Automatic = "automatic",
    }
}

choices! {
    /// Who approves.
    By {
        /// People of the customer.
        Customer = "customer",
        /// Experts who are cleared.
        Experts = "experts",
        /// Either.
        Either = "either",
    }
}

choices! {
    /// What follows when nobody approves in time.
    Fallback {
        /// It is not done.
        Refuse = "refuse",
        /// It becomes a task of the customer's people.
        Task = "task",
        /// It is done.
        Proceed = "proceed",
    }
}

choices! {
    /// How sure it is that an incident is a threat.
    Confidence {
        /// Nobody has said so.
        Unsaid = "unsaid",
        /// A source judged evidence of it malicious.
        Indicated = "indicated",
        /// A person has classified it as a true positive.
        Confirmed = "confirmed",
    }
}

impl Confidence {
    /// Its number in a policy.
    #[must_use]
    pub fn number(self) -> i64 {
        match self {
            Self::Unsaid => 0,
            Self::Indicated => 1,
            Self::Confirmed => 2,
        }
    }
}

/// What a rule is about; everything when nothing is named.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Things {
    /// Devices by name or id.
    pub devices: Vec<String>,
    /// Groups of devices.
    pub device_groups: Vec<String>,
    /// Users.
    pub users: Vec<String>,
    /// Devices and users of high value.
    pub high_value: bool,
}

impl Things {
    /// Whether it names nothing, and so means everything.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.devices.is_empty()
            && self.device_groups.is_empty()
            && self.users.is_empty()
            && !self.high_value
    }
}

/// Hours of the week in a time zone, by the clock on the wall there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Hours {
    /// An IANA name such as `Europe/Oslo`.
    pub zone: String,
    /// Days on which they begin, 1 for Monday to 7 for Sunday.
    pub days: Vec<i64>,
    /// From this minute of the day on.
    pub from: i64,
    /// To before this minute; of the next day when it is not later than `from`.
    pub to: i64,
    /// Whether the rule holds outside of these hours instead.
    #[serde(default)]
    pub outside: bool,
}

/// What a rule decides.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    deny_unknown_fields,
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Effect {
    /// It may be done at once.
    AtOnce,
    /// People have to approve first, none of them the one who asks.
    Approval {
        /// Whose.
        by: By,
        /// How many different people.
        quorum: i64,
        /// For how long it waits, in minutes.
        within: i64,
        /// What follows then.
        fallback: Fallback,
    },
    /// Experts never do it: it is a task for the customer.
    Never,
}

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Rule {
    /// Its name in the policy.
    pub id: String,
    /// What people call it.
    pub title: String,
    /// Types and groups of actions; every action when empty.
    #[serde(default)]
    pub actions: Vec<String>,
    /// What it is about.
    #[serde(default)]
    pub things: Things,
    /// The least severity of the incident.
    #[serde(default)]
    pub severity_from: Option<String>,
    /// The greatest.
    #[serde(default)]
    pub severity_to: Option<String>,
    /// The least confidence.
    #[serde(default)]
    pub confidence_from: Option<Confidence>,
    /// The greatest.
    #[serde(default)]
    pub confidence_to: Option<Confidence>,
    /// When; always when absent.
    #[serde(default)]
    pub hours: Option<Hours>,
    /// Who asks; anybody when empty.
    #[serde(default)]
    pub who: Vec<Who>,
    /// What then.
    pub effect: Effect,
}

/// The number of a severity in a policy.
#[must_use]
pub fn severity(word: &str) -> Option<i64> {
    Severity::ALL.iter().find(|it| it.word() == word).map(|it| i64::from(it.code()))
}

/// The groups of actions a rule may name, each with what people read.
pub const GROUPS: [(&str, &str); 8] = [
    ("dangerous", "Dangerous actions"),
    ("device", "Everything done to a device"),
    ("file", "Everything done to a file"),
    ("user", "Everything done to a user"),
    ("indicator", "Everything done to an indicator"),
    ("process", "Everything done to a process"),
    ("mail", "Everything done to mail"),
    ("app", "Everything done to an application"),
];

/// The groups a type of action is in.
pub fn groups_of(entry: &crate::catalog::Entry) -> impl Iterator<Item = &'static str> {
    let on = entry.target.word();
    let dangerous = entry.dangerous;
    GROUPS
        .into_iter()
        .map(|(word, _)| word)
        .filter(move |word| *word == on || (dangerous && *word == "dangerous"))
}

/// The types of action that a list of types and groups means; all when it is empty.
#[must_use]
pub fn types_of(actions: &[String]) -> Vec<&'static str> {
    let named = |word: &str| actions.iter().any(|it| it == word);
    CATALOG
        .iter()
        .filter(|entry| actions.is_empty() || named(entry.word) || groups_of(entry).any(named))
        .map(|entry| entry.word)
        .collect()
}

fn names(what: &str, names: &mut Vec<String>) -> Result<(), String> {
    if names.len() > MOST_NAMES {
        return Err(format!("it names more than {MOST_NAMES} {what}"));
    }
    for name in names.iter_mut() {
        let kept = name.trim().to_lowercase();
        if kept.is_empty() || kept.chars().count() > 256 || kept.chars().any(char::is_control) {
            return Err(format!("{what} are named by texts of 1 to 256 characters"));
        }
        *name = kept;
    }
    names.sort();
    names.dedup();
    Ok(())
}

fn range<T>(
    what: &str,
    from: Option<T>,
    to: Option<T>,
    number: fn(T) -> i64,
) -> Result<(), String> {
    if let (Some(from), Some(to)) = (from, to)
        && number(from) > number(to)
    {
        return Err(format!("its {what} ends before it begins"));
    }
    Ok(())
}

impl Rule {
    /// Refuses what means nothing, and brings the rest into the one spelling there is.
    ///
    /// # Errors
    /// The reason, for people.
    pub fn check(&mut self) -> Result<(), String> {
        let word = |text: &str| {
            !text.is_empty()
                && text.len() <= 64
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if !word(&self.id) || self.id == GRANT || self.id == FOUR_EYES {
            return Err(format!(
                "its id is 1 to 64 letters, digits, - or _, and not {GRANT} or {FOUR_EYES}"
            ));
        }
        self.title = self.title.trim().to_owned();
        if self.title.is_empty()
            || self.title.chars().count() > 200
            || self.title.chars().any(char::is_control)
        {
            return Err("its title has 1 to 200 characters in one line".to_owned());
        }
        for action in &self.actions {
            let known = CATALOG.iter().any(|entry| entry.word == action)
                || GROUPS.iter().any(|(group, _)| group == action);
            if !known {
                let shown: String = action.chars().take(64).flat_map(char::escape_debug).collect();
                return Err(format!("{shown} is no action and no group of actions"));
            }
        }
        self.actions.sort();
        self.actions.dedup();
        names("devices", &mut self.things.devices)?;
        names("device groups", &mut self.things.device_groups)?;
        names("users", &mut self.things.users)?;
        for given in [&self.severity_from, &self.severity_to].into_iter().flatten() {
            if severity(given).is_none() {
                return Err("a severity is unknown, informational, low, medium or high".to_owned());
            }
        }
        let number = |word: &String| severity(word).unwrap_or_default();
        range("severity", self.severity_from.as_ref(), self.severity_to.as_ref(), number)?;
        range("confidence", self.confidence_from, self.confidence_to, Confidence::number)?;
        if let Some(hours) = &mut self.hours {
            hours.check()?;
        }
        self.who.sort();
        self.who.dedup();
        self.check_effect()
    }

    fn check_effect(&self) -> Result<(), String> {
        let asked_by = |who| self.who.is_empty() || self.who.contains(&who);
        match self.effect {
            Effect::Never if asked_by(Who::Customer) => Err(
                "experts can be told never to act, your own people cannot: name who asks for it"
                    .to_owned(),
            ),
            Effect::Approval { quorum, .. } if !(1..=MOST_PEOPLE).contains(&quorum) => {
                Err(format!("an approval takes 1 to {MOST_PEOPLE} people"))
            }
            Effect::Approval { within, .. } if !(1..=LONGEST_MIN).contains(&within) => {
                Err(format!("an approval waits for 1 to {LONGEST_MIN} minutes"))
            }
            Effect::Approval { by: By::Experts, .. } if asked_by(Who::Customer) => {
                Err("what your own people ask for experts cannot approve: name who asks for it"
                    .to_owned())
            }
            Effect::AtOnce | Effect::Never | Effect::Approval { .. } => Ok(()),
        }
    }
}

impl Hours {
    fn check(&mut self) -> Result<(), String> {
        if jiff::tz::TimeZone::get(&self.zone).is_err() {
            let shown: String = self.zone.chars().take(64).flat_map(char::escape_debug).collect();
            return Err(format!("{shown} is no time zone; one is Europe/Oslo"));
        }
        self.days.sort_unstable();
        self.days.dedup();
        if self.days.is_empty() || self.days.iter().any(|day| !(1..=7).contains(day)) {
            return Err("its days are numbers from 1 for Monday to 7 for Sunday".to_owned());
        }
        let minute = 0..1440;
        if !minute.contains(&self.from) || !(0..=1440).contains(&self.to) {
            return Err("its hours are minutes of a day, from 0 to 1440".to_owned());
        }
        Ok(())
    }
}
