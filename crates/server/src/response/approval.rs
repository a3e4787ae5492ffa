//! Actions that wait for people, as the customer's policy wants it, and who has approved them.
//!
//! ```text
//! Proposed -enough people-> Approved
//!          -time is over->  Approved (proceed) | Expired, and a task for the customer (task) | Expired
//! Approved -the policy asks for people by now-> Proposed
//! ```
//!
//! An approval is a person, a moment and the fingerprint of exactly what was shown. Invariants: who
//! asked never counts, nor does anybody twice; how many are enough is asked of the policy each time
//! and never remembered; what was proposed does not begin because a policy was taken away. Not here:
//! what a policy says (see `coverage`).

use sea_orm::QueryResult;
use serde_json::json;

use crate::actor::{Actor, ActorKind};
use crate::asset::Device;
use crate::authority::policy::{Approvals, Need};
use crate::authority::rule::{By, Fallback};
use crate::clock::Timestamp;
use crate::coverage::{self, Deed, Refusal};
use crate::db::{Transaction, column};
use crate::error::{Error, Result};
use crate::event::Fact;
use crate::id::ActionId;
use crate::response::model::ActionStep;
use crate::response::store::{self, Action};
use crate::response::{engine, follow};
use crate::tx::Tx;

/// For how long an action waits when nothing else is said, in seconds.
const PROPOSED_S: i64 = 24 * 3_600;

/// One person's approval.
#[derive(Clone, Debug)]
pub struct Approval {
    /// The person.
    pub person: String,
    /// The name shown.
    pub name: String,
    /// Whether of the customer; else an expert.
    pub customer: bool,
    /// What was shown.
    pub fingerprint: String,
    /// When.
    pub at: Timestamp,
}

/// What an action waits for.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// Since when.
    pub since: Timestamp,
    /// For whom, as the policy said then.
    pub needs: Vec<Need>,
}

/// Why an action waits, for people.
#[must_use]
pub fn told(needs: &[Need]) -> String {
    let each: Vec<String> = needs
        .iter()
        .map(|need| {
            let people = match (need.by, need.quorum) {
                (By::Customer, 1) => "one of the customer's people".to_owned(),
                (By::Customer, many) => format!("{many} of the customer's people"),
                (By::Experts, 1) => "another expert".to_owned(),
                (By::Experts, many) => format!("{many} other experts"),
                (By::Either, 1) => "a second person".to_owned(),
                (By::Either, many) => format!("{many} other people"),
            };
            format!("{people} ({})", need.title)
        })
        .collect();
    format!("it waits for {}", each.join(" and "))
}

/// When the first of these has waited long enough.
fn until(since: Timestamp, needs: &[Need]) -> Timestamp {
    let first = needs.iter().map(|need| need.within * 60).min().unwrap_or(PROPOSED_S);
    since.plus_seconds(first)
}

/// What an action waits or has waited for.
pub async fn proposal(tx: &Transaction, id: ActionId) -> Result<Option<Proposal>> {
    let sql = "select since_at, needs from proposal where action_id = $1";
    let Some(row) = tx.query_one(sql, vec![id.0.into()]).await? else { return Ok(None) };
    let needs: String = column(&row, 1)?;
    let needs = serde_json::from_str(&needs)
        .map_err(|_| Error::Internal(format!("{id}: what it waits for is damaged")))?;
    Ok(Some(Proposal { since: Timestamp::from_micros(column(&row, 0)?), needs }))
}

/// Everybody who has approved an action, in the order in which they did.
pub async fn approvals(tx: &Transaction, id: ActionId) -> Result<Vec<Approval>> {
    let sql = "select person_id, name, side, fingerprint, at from approval where action_id = $1 \
               order by at, person_id";
    let read = |row: &QueryResult| -> Result<Approval> {
        Ok(Approval {
            person: column(row, 0)?,
            name: column(row, 1)?,
            customer: column::<String>(row, 2)? == "customer",
            fingerprint: column(row, 3)?,
            at: Timestamp::from_micros(column(row, 4)?),
        })
    };
    tx.query(sql, vec![id.0.into()]).await?.iter().map(read).collect()
}

/// The approvals that count: of exactly this action, and by nobody who asked for it.
fn counted(action: &Action, all: &[Approval]) -> Approvals {
    let exact = action.fingerprint();
    let own = action.requester.person.as_deref();
    let counts = |customer: bool| {
        let fit = all.iter().filter(|it| {
            it.fingerprint == exact && it.customer == customer && own != Some(it.person.as_str())
        });
        fit.count() as i64
    };
    // What the customer's people want, experts do not approve.
    let experts = if action.requester.kind == ActorKind::Expert { counts(false) } else { 0 };
    Approvals { customer: counts(true), experts }
}

/// What coverage is asked about an action, with who has approved it and for how long it has waited.
pub(super) async fn deed(tx: &Transaction, action: &Action) -> Result<Deed> {
    let all = approvals(tx, action.id).await?;
    let waiting = proposal(tx, action.id).await?.map(|it| it.since);
    let approvals = counted(action, &all);
    Ok(Deed { approvals, waiting, ..Deed::new(action.kind, action.incident) })
}

/// Writes that an action waits from now on; its state and deadline are the caller's to store.
pub(super) async fn propose(tx: &Tx, action: &mut Action, needs: &[Need]) -> Result<()> {
    wait(tx, action, tx.now(), needs).await
}

async fn wait(tx: &Tx, action: &mut Action, since: Timestamp, needs: &[Need]) -> Result<()> {
    let text = serde_json::to_string(needs).map_err(Error::internal)?;
    tx.execute(
        "insert into proposal (action_id, tenant_no, since_at, needs) values ($1, $2, $3, $4) \
         on conflict (action_id) do update set since_at = excluded.since_at, \
         needs = excluded.needs",
        vec![action.id.0.into(), action.tenant.0.into(), since.micros().into(), text.into()],
    )
    .await?;
    action.deadline = until(since, needs);
    Ok(())
}

/// An action that was about to be sent waits again: the policy asks for people by now.
pub(super) async fn withhold(tx: &mut Tx, action: &mut Action, needs: &[Need]) -> Result<()> {
    engine::step(action, ActionStep::Withhold)?;
    propose(tx, action, needs).await?;
    let because = told(needs);
    action.approved = None;
    action.reason = Some(because.clone());
    store::save_action(tx, action).await?;
    tx.record(Fact::ActionWaits { incident: action.incident, action: action.id, because });
    follow::action_changed(tx, action.id).await
}

/// Whether a person has approved exactly this action.
#[must_use]
pub fn has_approved(action: &Action, given: &[Approval], person: &str) -> bool {
    let exact = action.fingerprint();
    given.iter().any(|it| it.person == person && it.fingerprint == exact)
}

/// Whether somebody of this side may answer what an action waits for, and why not.
///
/// # Errors
/// The reason, for people.
pub fn may_answer(
    action: &Action,
    needs: &[Need],
    (person, kind): (&str, ActorKind),
) -> std::result::Result<(), String> {
    if action.requester.person.as_deref() == Some(person) {
        return Err("nobody approves what they asked for".to_owned());
    }
    let expert = kind == ActorKind::Expert;
    if expert && action.requester.kind != ActorKind::Expert {
        return Err("what the customer wants, the customer approves".to_owned());
    }
    let side = if expert { By::Experts } else { By::Customer };
    if needs.is_empty() || needs.iter().any(|need| need.by == By::Either || need.by == side) {
        return Ok(());
    }
    Err(match side {
        By::Experts => "the authority policy asks for people of the customer".to_owned(),
        _ => "the authority policy asks for other experts".to_owned(),
    })
}

/// What coverage says of an action as it is now.
pub(super) async fn standing(
    tx: &Transaction,
    action: &Action,
    device: Option<&Device>,
    now: Timestamp,
) -> Result<std::result::Result<coverage::Clearance, Refusal>> {
    let thing = action.target.thing(device);
    let authority = action.requester.authority();
    let deed = deed(tx, action).await?;
    coverage::clear(tx, action.tenant, &authority, (deed, thing), now).await
}

/// A person's approval of exactly what was shown; the action is approved when it was the last that
/// was needed. The caller has looked whether this person may.
pub(super) async fn add(tx: &mut Tx, action: &mut Action, person: &str, by: &Actor) -> Result<()> {
    let now = tx.now();
    let side = if by.kind == ActorKind::Expert { "experts" } else { "customer" };
    tx.execute(
        "insert into approval (action_id, tenant_no, person_id, name, side, fingerprint, at) \
         values ($1, $2, $3, $4, $5, $6, $7) on conflict (action_id, person_id) do update set \
         name = excluded.name, side = excluded.side, fingerprint = excluded.fingerprint, \
         at = excluded.at",
        vec![
            action.id.0.into(),
            action.tenant.0.into(),
            person.into(),
            by.name.clone().into(),
            side.into(),
            action.fingerprint().into(),
            now.micros().into(),
        ],
    )
    .await?;
    let device = store::device_of(tx, action).await?;
    let waits = match standing(tx, action, device.as_ref(), now).await? {
        Ok(_) => None,
        Err(Refusal::Waits(needs)) => Some(needs),
        Err(Refusal::No(reason)) => return Err(Error::Denied(format!("{}: {reason}", action.id))),
    };
    if let Some(needs) = &waits {
        let since = proposal(tx, action.id).await?.map_or(now, |it| it.since);
        wait(tx, action, since, needs).await?;
        store::save_action(tx, action).await?;
    } else {
        approve(tx, action).await?;
    }
    let because = waits.as_deref().map(told);
    tx.record(Fact::ActionApproved { incident: action.incident, action: action.id, because });
    follow::action_changed(tx, action.id).await
}

/// It is approved by those who have; the caller records it.
async fn approve(tx: &mut Tx, action: &mut Action) -> Result<()> {
    engine::step(action, ActionStep::Approve)?;
    let now = tx.now();
    let all = approvals(tx, action.id).await?;
    let names: Vec<&str> = all.iter().map(|it| it.name.as_str()).collect();
    let names = if names.is_empty() { "nobody in time" } else { &names.join(", ") };
    action.approved = Some((names.to_owned(), now));
    action.deadline = now.plus_seconds(engine::patience_s(action.kind, action.connector.is_some()));
    action.reason = None;
    store::save_action(tx, action).await
}

/// The time of an action that waits is over, or everybody has been asked in vain (`in_vain`): what the
/// policy says follows.
pub(super) async fn over(tx: &mut Tx, action: &mut Action, in_vain: bool) -> Result<()> {
    let known = proposal(tx, action.id).await?;
    let device = store::device_of(tx, action).await?;
    let proceeds = |needs: &[Need]| needs.iter().any(|it| it.fallback == Fallback::Proceed);
    let since = known.as_ref().map_or(action.requested, |it| it.since);
    let mut lapsed = known.map(|it| it.needs).unwrap_or_default();
    match standing(tx, action, device.as_ref(), tx.now()).await? {
        Ok(_) if proceeds(&lapsed) => {
            let because = "nobody said no in time, and the policy lets it proceed then".to_owned();
            approve(tx, action).await?;
            let (incident, id) = (action.incident, action.id);
            tx.record(Fact::ActionApproved { incident, action: id, because: Some(because) });
            return follow::action_changed(tx, action.id).await;
        }
        // A policy that was taken away approves nothing.
        Ok(_) => {}
        Err(Refusal::No(reason)) => {
            return engine::end(tx, action, ActionStep::Expire, Some(reason)).await;
        }
        Err(Refusal::Waits(needs)) => {
            let waited = tx.now().micros() - since.micros();
            let is_over = |it: &&Need| in_vain || it.within * 60_000_000 <= waited;
            lapsed = needs.iter().filter(is_over).cloned().collect();
            if lapsed.is_empty() {
                // It is given more time by now.
                wait(tx, action, since, &needs).await?;
                return store::save_action(tx, action).await;
            }
        }
    }
    let reason = "nobody approved it in time".to_owned();
    let hand_over = !lapsed.is_empty() && lapsed.iter().all(|it| it.fallback == Fallback::Task);
    if hand_over && follow::hand_over(tx, action, &reason).await? {
        let reason = Some(format!("{reason}: it is a task for the customer now"));
        return engine::end(tx, action, ActionStep::Expire, reason).await;
    }
    engine::end(tx, action, ActionStep::Expire, Some(reason)).await
}

/// What an action waits for and who has approved it, as it is shown.
pub async fn shown(tx: &Transaction, action: &Action) -> Result<serde_json::Value> {
    let given = approvals(tx, action.id).await?;
    let known = proposal(tx, action.id).await?;
    let count = counted(action, &given);
    let needs: Vec<serde_json::Value> = known
        .iter()
        .flat_map(|it| it.needs.iter().map(|need| (it.since, need)))
        .map(|(since, need)| {
            json!({
                "rule": need.rule, "title": need.title, "by": need.by.word(),
                "quorum": need.quorum, "given": count.of(need.by).min(need.quorum),
                "untilDateTime": since.plus_seconds(need.within * 60),
                "fallback": need.fallback.word(),
            })
        })
        .collect();
    let given: Vec<serde_json::Value> = given
        .iter()
        .map(|it| json!({ "by": it.name, "expert": !it.customer, "dateTime": it.at }))
        .collect();
    Ok(json!({ "needs": needs, "given": given }))
}
