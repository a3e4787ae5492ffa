//! What a provider promises: how long each clock may take, of which severity, and in whose hours.
//!
//! There is one agreement for all customers and, where a customer has another, that one instead.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::contact::{self, Language};
use crate::db::{Transaction, column};
use crate::error::{Error, Result};
use crate::hours::{Hours, Week};
use crate::service_clock::model::{Clock, Target};
use crate::word::Severity;

/// The name of the setting that holds the agreement for all customers.
pub(super) const FOR_ALL: &str = "service.agreement";
/// The longest target, in minutes: a year.
const LONGEST: i64 = 366 * 1_440;

/// What is promised of one clock.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Promise {
    /// Which clock.
    pub clock: Clock,
    /// Of incidents of this severity: `high`, `medium`, `low` or `informational`.
    pub severity: String,
    /// It is to have its time within so many minutes.
    pub minutes: i64,
    /// Whether only the working hours count.
    #[serde(default)]
    pub working_hours: bool,
}

/// Who of the provider is told when a target is near or missed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Lead {
    /// What people call them.
    pub name: String,
    /// The mail address.
    pub email: String,
    /// In which language.
    #[serde(default)]
    pub language: Language,
}

/// An agreement.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Agreement {
    /// What is promised; a clock and severity that is not named has no target.
    pub targets: Vec<Promise>,
    /// The working hours that some targets count in.
    pub hours: Option<Week>,
    /// When the experts answer in conversations (COM-2); at any hour when absent.
    #[serde(default)]
    pub chat_hours: Option<Week>,
    /// After which share of a target notice is given, in per cent: 10 to 95.
    pub notice_percent: i64,
    /// Who of the provider is told.
    pub lead: Option<Lead>,
}

impl Default for Agreement {
    /// What is promised where nobody has said anything: an answer to what is grave within a quarter of
    /// an hour, and an end to it within a day.
    fn default() -> Self {
        let promise = |(clock, severity, minutes): &(Clock, &str, i64)| Promise {
            clock: *clock,
            severity: (*severity).to_owned(),
            minutes: *minutes,
            working_hours: false,
        };
        let targets = [
            (Clock::Triage, "high", 15),
            (Clock::Triage, "medium", 60),
            (Clock::Decide, "high", 60),
            (Clock::Decide, "medium", 240),
            (Clock::Acknowledge, "high", 60),
            (Clock::Acknowledge, "medium", 480),
            (Clock::Contain, "high", 60),
            (Clock::Resolve, "high", 1_440),
            (Clock::Resolve, "medium", 4_320),
        ];
        Self {
            targets: targets.iter().map(promise).collect(),
            hours: None,
            chat_hours: None,
            notice_percent: 75,
            lead: None,
        }
    }
}

impl Agreement {
    /// The agreement with what it says made plain, or what of it makes no sense.
    ///
    /// # Errors
    /// `Invalid` with the member and the reason.
    pub fn checked(mut self) -> Result<Self> {
        let hours = self.hours.as_ref().map(Week::read).transpose()?;
        self.chat_hours.as_ref().map(Week::read).transpose()?;
        let mut known = Vec::new();
        for promise in &mut self.targets {
            let Promise { clock, severity, minutes, working_hours } = promise;
            let name = format!("targets, {} {severity}", clock.word());
            let read = Severity::read(severity).filter(|read| *read != Severity::Unknown);
            let read = read.ok_or_else(|| {
                Error::Invalid(format!("{name}: severity is high, medium, low or informational"))
            })?;
            read.word().clone_into(severity);
            if !(1..=LONGEST).contains(minutes) {
                let why = format!("{name}: minutes is a whole number from 1 to {LONGEST}");
                return Err(Error::Invalid(why));
            }
            if *working_hours && hours.is_none() {
                return Err(Error::Invalid(format!("{name}: no working hours are set (hours)")));
            }
            if known.contains(&(*clock, read)) {
                return Err(Error::Invalid(format!("{name}: it has two targets")));
            }
            known.push((*clock, read));
        }
        if !(10..=95).contains(&self.notice_percent) {
            let why = "noticePercent is a whole number from 10 to 95".to_owned();
            return Err(Error::Invalid(why));
        }
        if let Some(lead) = &mut self.lead {
            crate::tenant::named("lead", &lead.name)?.to_owned().clone_into(&mut lead.name);
            lead.email = contact::address(&lead.email)?;
        }
        Ok(self)
    }

    /// The agreement, ready to be asked.
    pub fn read(&self) -> Result<Terms> {
        Ok(Terms {
            agreement: self.clone(),
            hours: self.hours.as_ref().map(Week::read).transpose()?,
        })
    }
}

/// An agreement, ready to be asked.
#[derive(Clone, Debug)]
pub struct Terms {
    /// As it was written down.
    pub agreement: Agreement,
    hours: Option<Hours>,
}

impl Terms {
    /// What is promised of a clock for an incident of this severity.
    #[must_use]
    pub fn target(&self, clock: Clock, severity: Severity) -> Option<Target> {
        let promises = &self.agreement.targets;
        let promise = promises
            .iter()
            .find(|it| it.clock == clock && Severity::read(&it.severity) == Some(severity))?;
        Some(Target {
            within: promise.minutes.saturating_mul(60_000_000),
            hours: self.hours.clone().filter(|_| promise.working_hours),
            notice_percent: self.agreement.notice_percent,
        })
    }
}

/// The agreement with a customer, and whether it is its own; for all where `tenant` is none.
pub(super) async fn of(tx: &Transaction, tenant: Option<i64>) -> Result<(Agreement, bool)> {
    if let Some(tenant) = tenant {
        let sql = "select body from service_agreement where tenant_no = $1";
        if let Some(row) = tx.query_one(sql, vec![tenant.into()]).await? {
            return Ok((parse(&column::<String>(&row, 0)?)?, true));
        }
    }
    let sql = "select value from setting where name = $1";
    match tx.query_one(sql, vec![FOR_ALL.into()]).await? {
        Some(row) => Ok((parse(&column::<String>(&row, 0)?)?, false)),
        None => Ok((Agreement::default(), false)),
    }
}

fn parse(text: &str) -> Result<Agreement> {
    serde_json::from_str(text).map_err(|e| Error::Internal(format!("a service agreement: {e}")))
}

/// How an agreement is written down.
pub(super) fn spelt(agreement: &Agreement) -> String {
    json!(agreement).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_promised_by_default_makes_sense() {
        let terms = Agreement::default().checked().and_then(|it| it.read()).expect("sound");
        let within = |clock, severity| {
            terms.target(clock, severity).map(|target| target.within / 60_000_000)
        };
        assert_eq!(within(Clock::Triage, Severity::High), Some(15));
        assert_eq!(within(Clock::Triage, Severity::Low), None);
        assert_eq!(within(Clock::Detect, Severity::High), None);
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_name() {
        type Change = fn(&mut Agreement);
        let cases: [(Change, &str); 7] = [
            (|it| it.notice_percent = 100, "noticePercent"),
            (|it| it.targets[0].minutes = 0, "targets, triage high: minutes"),
            (|it| it.targets[0].minutes = i64::MAX, "minutes"),
            (|it| it.targets[0].severity = "dire".to_owned(), "severity is high"),
            (|it| it.targets[0].working_hours = true, "no working hours are set"),
            (|it| it.targets[1].severity = "High".to_owned(), "it has two targets"),
            (
                |it| {
                    it.lead = Some(Lead {
                        name: "Lead".to_owned(),
                        email: "lead@fjordwatch".to_owned(),
                        language: Language::English,
                    });
                },
                "email",
            ),
        ];
        for (change, why) in cases {
            let mut agreement = Agreement::default();
            change(&mut agreement);
            let said = agreement.checked().expect_err("refused").to_string();
            assert!(said.contains(why), "{said}");
        }
    }
}
