//! The customer's authority policy: which actions experts may take at once, which wait for people to
//! approve, and which they never take.
//!
//! ```text
//! rules of a form  <-cedar->  a text in Cedar  -policy->  at once | waits for people | never
//! ```
//!
//! The text is what is stored and evaluated; each saved version is kept. Invariants: without a policy
//! everything is as the grant says; with one, nothing is wider than that, because coverage asks for
//! both; a text that was saved was valid by the schema, and one that is not any more waits for a
//! person. Not here: who is an expert and what is excluded (see `coverage`), what waits for an
//! approval and who has given one (see `response`).

pub mod cedar;
pub mod policy;
pub mod rule;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use sea_orm::QueryResult;
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::authority::policy::{Fault, Policy, Question, Ruling};
use crate::authority::rule::{Confidence, Effect, FOUR_EYES, Rule, Who};
use crate::clock::Timestamp;
use crate::db::{Transaction, column};
use crate::error::{Error, Result};
use crate::event::Fact;
use crate::id::{IncidentId, TenantNo};
use crate::incident::facts::Facts;
use crate::permission::Permission;
use crate::tenant::caller::Caller;
use crate::tx::Tx;
use crate::word::Classification;

/// Versions listed at most, the newest first.
const LISTED: i64 = 200;
/// Policies remembered as they were read; beyond it all are forgotten and read anew.
const REMEMBERED: usize = 64;
/// The longest note with a version, in characters.
const LONGEST_NOTE: usize = 1_000;

/// A saved policy.
#[derive(Clone, Debug)]
pub struct Version {
    /// Which, from 1; 0 stands for none saved yet.
    pub number: i64,
    /// In Cedar.
    pub text: String,
    /// Who saved it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// What was said about it.
    pub note: Option<String>,
}

const COLUMNS: &str = "version, text, saved_by, saved_at, note";

impl Version {
    fn from_row(row: &QueryResult) -> Result<Self> {
        Ok(Self {
            number: column(row, 0)?,
            text: column(row, 1)?,
            by: column(row, 2)?,
            at: Timestamp::from_micros(column(row, 3)?),
            note: column(row, 4)?,
        })
    }
}

/// The policy that holds; `None` where the customer has saved none.
pub async fn current_in(tx: &Transaction, tenant: TenantNo) -> Result<Option<Version>> {
    let sql = format!(
        "select {COLUMNS} from authority_policy where tenant_no = $1 order by version desc limit 1"
    );
    tx.query_one(&sql, vec![tenant.0.into()]).await?.as_ref().map(Version::from_row).transpose()
}

/// The same outside a change.
pub async fn current(app: &App, tenant: TenantNo) -> Result<Option<Version>> {
    current_in(&app.db.of(tenant).snapshot().await?, tenant).await
}

/// The newest versions, the newest first.
pub async fn versions(app: &App, tenant: TenantNo) -> Result<Vec<Version>> {
    let sql = format!(
        "select {COLUMNS} from authority_policy where tenant_no = $1 order by version desc limit $2"
    );
    let rows = app.db.of(tenant).query(&sql, vec![tenant.0.into(), LISTED.into()]).await?;
    rows.iter().map(Version::from_row).collect()
}

/// One version.
pub async fn version(app: &App, tenant: TenantNo, number: i64) -> Result<Version> {
    let sql =
        format!("select {COLUMNS} from authority_policy where tenant_no = $1 and version = $2");
    let row = app.db.of(tenant).query_one(&sql, vec![tenant.0.into(), number.into()]).await?;
    row.as_ref()
        .map(Version::from_row)
        .transpose()?
        .ok_or_else(|| Error::NotFound("the policy has no such version".to_owned()))
}

type Read = Arc<std::result::Result<Policy, Vec<Fault>>>;

/// A text as it is evaluated. What was read lately is not read again; it follows from the text alone.
#[must_use]
pub fn read(text: &str) -> Read {
    static KNOWN: OnceLock<Mutex<HashMap<[u8; 32], Read>>> = OnceLock::new();
    let known = KNOWN.get_or_init(Mutex::default);
    let key: [u8; 32] = Sha256::digest(text).into();
    if let Some(read) = known.lock().ok().and_then(|known| known.get(&key).cloned()) {
        return read;
    }
    let read: Read = Arc::new(Policy::read(text));
    if let Ok(mut known) = known.lock() {
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(key, read.clone());
    }
    read
}

/// The rule that the switch for two people stands for.
fn four_eyes() -> Rule {
    Rule {
        id: FOUR_EYES.to_owned(),
        title: "Two people for dangerous actions".to_owned(),
        actions: vec!["dangerous".to_owned()],
        things: rule::Things::default(),
        severity_from: None,
        severity_to: None,
        confidence_from: None,
        confidence_to: None,
        hours: None,
        who: vec![Who::Expert, Who::Customer],
        effect: Effect::Approval {
            by: rule::By::Either,
            quorum: 1,
            within: 24 * 60,
            fallback: rule::Fallback::Refuse,
        },
    }
}

/// What a policy and the switch for two people say to a question; the stricter holds.
#[must_use]
pub fn rule_on(text: Option<&str>, two_people: bool, question: &Question) -> Ruling {
    let mut ruling = Ruling::AtOnce(None);
    if let Some(text) = text {
        ruling = match &*read(text) {
            Ok(policy) => policy.decide(question),
            Err(faults) => policy::in_doubt(&policy::told(faults), question.approvals),
        };
    }
    if two_people && question.entry.dangerous && question.who != Who::Automatic {
        let switch = read(&cedar::write(&[four_eyes()]));
        ruling = match &*switch {
            Ok(policy) => policy.decide(question),
            Err(faults) => policy::in_doubt(&policy::told(faults), question.approvals),
        }
        .and(ruling);
    }
    ruling
}

/// What a question is about, of an incident.
#[derive(Clone, Copy, Default, Debug)]
pub struct Standing {
    /// How severe it is.
    pub severity: i64,
    /// How sure it is that it is a threat.
    pub confidence: i64,
}

/// How an incident stands.
pub async fn standing(
    tx: &Transaction,
    tenant: TenantNo,
    incident: IncidentId,
) -> Result<Standing> {
    let sql = "select severity, classification, facts from incident \
               where id = $1 and tenant_no = $2";
    let row = tx.query_one(sql, vec![incident.0.into(), tenant.0.into()]).await?;
    let Some(row) = row else { return Ok(Standing::default()) };
    let facts: String = column(&row, 2)?;
    let facts: Facts = serde_json::from_str(&facts)
        .map_err(|_| Error::Internal(format!("incident {incident}: facts are damaged")))?;
    let classification = Classification::from_code(column::<i64>(&row, 1)? as i16);
    let confidence = match classification {
        Some(Classification::TruePositive) => Confidence::Confirmed,
        Some(Classification::Unknown) if facts.malicious > 0 => Confidence::Indicated,
        _ => Confidence::Unsaid,
    };
    Ok(Standing { severity: column(&row, 0)?, confidence: confidence.number() })
}

/// A draft of a policy: the rules of a form, or a text.
#[derive(Clone, Debug)]
pub enum Draft {
    /// As a form has them.
    Rules(Vec<Rule>),
    /// As it is written.
    Text(String),
}

impl Draft {
    /// Its text, as it would be stored.
    ///
    /// # Errors
    /// What is wrong with which rule.
    pub fn text(self) -> std::result::Result<String, Vec<Fault>> {
        let mut rules = match self {
            Self::Text(text) => return Ok(text),
            Self::Rules(rules) => rules,
        };
        let mut faults = Vec::new();
        if rules.len() > rule::MOST_RULES {
            let because = format!("a form has at most {} rules", rule::MOST_RULES);
            faults.push(Fault { rule: None, because });
        }
        for rule in &mut rules {
            if let Err(because) = rule.check() {
                faults.push(Fault { rule: Some(rule.id.clone()), because });
            }
        }
        if faults.is_empty() { Ok(cedar::write(&rules)) } else { Err(faults) }
    }
}

/// Saves a policy as the newest version; `seen` is the one it was made from. To widen what experts
/// may do asks for a fresh factor.
pub async fn save(
    app: &App,
    caller: &Caller,
    seen: i64,
    draft: Draft,
    note: Option<String>,
) -> Result<i64> {
    caller.require(&[Permission::GrantReadWrite])?;
    caller.seat()?;
    let tenant = caller.own_tenant()?;
    let note = note.map(|note| note.trim().to_owned()).filter(|note| !note.is_empty());
    if note.as_ref().is_some_and(|note| note.chars().count() > LONGEST_NOTE || note.contains('\0'))
    {
        return Err(Error::Invalid(format!("note has at most {LONGEST_NOTE} characters")));
    }
    let refused = |faults: &[Fault]| Error::Invalid(policy::told(faults));
    let text = draft.text().map_err(|faults| refused(&faults))?;
    let after = read_aside(&text).await?;
    let after = after.as_ref().as_ref().map_err(|faults| refused(faults))?;
    if after.policies().iter().any(|policy| policy.annotation("id") == Some(FOUR_EYES)) {
        return Err(Error::Invalid(format!("{FOUR_EYES} is the name of the switch's own rule")));
    }
    let mut tx = Tx::begin(app, tenant, caller.actor()).await?;
    let before = current_in(&tx, tenant).await?;
    let number = before.as_ref().map_or(0, |before| before.number);
    if number != seen {
        return Err(Error::Conflict(format!(
            "the policy is version {number} by now, and this change was made from version {seen}: \
             look again"
        )));
    }
    let known = before.map_or_else(|| cedar::GRANT_TEXT.to_owned(), |before| before.text);
    if known == text {
        return Ok(number);
    }
    let narrower = match &*read(&known) {
        Ok(before) => after.only_narrows(before),
        Err(_) => false,
    };
    if !narrower {
        caller.require_step_up(tx.now())?;
    }
    tx.execute(
        "insert into authority_policy (tenant_no, version, text, saved_by, saved_at, note) \
         values ($1, $2, $3, $4, $5, $6)",
        vec![
            tenant.0.into(),
            (number + 1).into(),
            text.clone().into(),
            tx.actor().name.clone().into(),
            tx.now().micros().into(),
            note.clone().into(),
        ],
    )
    .await?;
    tx.record(Fact::AuthorityChanged {
        version: number + 1,
        sha256: hex::encode(Sha256::digest(&text)),
        rules: after.policies().len() as u64,
        note,
    });
    tx.commit().await?;
    Ok(number + 1)
}

/// Reads a text where it holds nobody up.
pub async fn read_aside(text: &str) -> Result<Read> {
    let text = text.to_owned();
    tokio::task::spawn_blocking(move || read(&text)).await.map_err(Error::internal)
}
