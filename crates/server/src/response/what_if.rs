//! What a draft of the authority policy would have decided otherwise: the actions and tasks of the
//! last months asked about once more, under the policy that holds and under the draft.
//!
//! The hour is that of the wish; the incident, the device and its groups are as they are known now.
//! Nothing is changed, and it looks at so many and for so long at most. Not here: what a policy is
//! (see `authority`).

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::app::App;
use crate::asset::{self, Device};
use crate::authority;
use crate::authority::policy::{Need, Question, Ruling};
use crate::clock::Timestamp;
use crate::coverage::{self, Authority, Deed, Thing};
use crate::db::Transaction;
use crate::error::Result;
use crate::id::{ActionId, DeviceNo, IncidentId, TaskId, TenantNo};
use crate::permission::Permission;
use crate::response::store::{self, Action, Target, Task};
use crate::response::target;
use crate::tenant::caller::Caller;

/// How far it looks back, in seconds.
const BACK_S: i64 = 90 * 86_400;
/// How many actions and tasks it looks at.
const MOST: usize = 1_000;
/// How many of each kind of change it names.
const NAMED: usize = 10;
/// For how long it looks, in microseconds.
const LONGEST_MICROS: i64 = 5_000_000;

/// What was, or would be, decided.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Decided {
    /// `atOnce`, `waits` or `never`.
    pub decision: &'static str,
    /// The rule that decided, by its title; none where the grant alone did.
    pub title: Option<String>,
    /// For whom it waits.
    pub needs: Vec<Need>,
}

impl Decided {
    fn of(ruling: Ruling) -> Self {
        match ruling {
            Ruling::AtOnce(why) => {
                let title = why.map(|why| why.title);
                Self { decision: "atOnce", title, needs: Vec::new() }
            }
            Ruling::Waits(needs) => {
                let title = needs.first().map(|need| need.title.clone());
                Self { decision: "waits", title, needs }
            }
            Ruling::Never(why) => {
                Self { decision: "never", title: Some(why.title), needs: Vec::new() }
            }
        }
    }

    /// Whether the same follows, whatever the rule is called.
    fn is_same(&self, other: &Self) -> bool {
        let asks = |it: &Self| -> Vec<_> {
            let mut all: Vec<_> = it
                .needs
                .iter()
                .map(|need| (need.by, need.quorum, need.within, need.fallback))
                .collect();
            all.sort();
            all
        };
        self.decision == other.decision && asks(self) == asks(other)
    }
}

/// One wish that would have been decided otherwise.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Example {
    /// The action, when it was one.
    pub action_id: Option<ActionId>,
    /// The task, when it never came to an action.
    pub task_id: Option<TaskId>,
    /// The incident.
    pub incident_id: Option<IncidentId>,
    /// What was to be done.
    pub title: &'static str,
    /// To what.
    pub target: String,
    /// Who wanted it.
    pub requested_by: String,
    /// When.
    pub date_time: Timestamp,
    /// Under the policy that holds.
    pub before: Decided,
    /// Under the draft.
    pub after: Decided,
}

/// How many would have gone from one decision to another, with some of them.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shift {
    /// The decision under the policy that holds.
    pub before: &'static str,
    /// The decision under the draft.
    pub after: &'static str,
    /// How many.
    pub count: u64,
    /// The newest of them.
    pub examples: Vec<Example>,
}

/// See the module.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WhatIf {
    /// How many actions and tasks were looked at.
    pub looked_at: u64,
    /// Since when.
    pub since: Timestamp,
    /// Whether there were more.
    pub more: bool,
    /// How many are decided as they were.
    pub same: u64,
    /// What would change.
    pub changed: Vec<Shift>,
}

/// A wish of the past.
struct Past {
    authority: Authority,
    deed: Deed,
    target: Target,
    device: Option<DeviceNo>,
    known: Option<Device>,
    example: Example,
}

/// Asks a draft about the past; `text` is valid.
pub async fn what_if(app: &App, caller: &Caller, text: &str) -> Result<WhatIf> {
    caller.require(&[Permission::GrantReadWrite])?;
    let tenant = caller.own_tenant()?;
    let (began, tx) = (app.clock.now(), app.db.of(tenant).snapshot().await?);
    let since = began.plus_seconds(-BACK_S);
    let holds = authority::current_in(&tx, tenant).await?.map(|version| version.text);
    let two_people = coverage::wants_four_eyes(&tx, tenant).await?;
    let past = wishes(&tx, tenant, since).await?;
    let mut more = past.len() > MOST;
    let mut out = WhatIf { looked_at: 0, since, more: false, same: 0, changed: Vec::new() };
    let mut shifts: BTreeMap<(&'static str, &'static str), Shift> = BTreeMap::new();
    let mut devices: HashMap<DeviceNo, Option<Device>> = HashMap::new();
    for mut it in past.into_iter().take(MOST) {
        if app.clock.now().micros() - began.micros() > LONGEST_MICROS {
            more = true;
            break;
        }
        if out.looked_at.is_multiple_of(20) {
            tokio::task::yield_now().await;
        }
        out.looked_at += 1;
        if let Some(no) = it.device {
            it.known = match devices.entry(no) {
                Entry::Occupied(known) => known.get().clone(),
                Entry::Vacant(new) => new.insert(asset::load_in(&tx, no).await?).clone(),
            };
        }
        let thing = it.target.thing(it.known.as_ref());
        let question = asked(&tx, tenant, &it, thing).await?;
        let Some(question) = question else {
            out.same += 1;
            continue;
        };
        let rule =
            |text: Option<&str>| Decided::of(authority::rule_on(text, two_people, &question));
        it.example.before = rule(holds.as_deref());
        it.example.after = rule(Some(text));
        if it.example.before.is_same(&it.example.after) {
            out.same += 1;
            continue;
        }
        let (before, after) = (it.example.before.decision, it.example.after.decision);
        let shift = shifts.entry((before, after)).or_insert_with(|| Shift {
            before,
            after,
            count: 0,
            examples: Vec::new(),
        });
        shift.count += 1;
        if shift.examples.len() < NAMED {
            shift.examples.push(it.example);
        }
    }
    out.more = more;
    out.changed = shifts.into_values().collect();
    out.changed.sort_by_key(|shift| std::cmp::Reverse(shift.count));
    Ok(out)
}

/// What a policy is asked about a wish of the past; nothing where none has a say: a task that was
/// never run is the customer's without experts who may act on its target.
async fn asked(
    tx: &Transaction,
    tenant: TenantNo,
    it: &Past,
    thing: Thing<'_>,
) -> Result<Option<Question>> {
    let now = it.example.date_time;
    if it.example.task_id.is_some()
        && coverage::covers(tx, tenant, &it.authority, thing, now).await?.is_err()
    {
        return Ok(None);
    }
    Ok(Some(coverage::question(tx, tenant, &it.authority, (it.deed, thing), now).await?))
}

/// The actions of the time, and the tasks that never came to one, the newest first.
async fn wishes(tx: &Transaction, tenant: TenantNo, since: Timestamp) -> Result<Vec<Past>> {
    let most = (MOST + 1) as i64;
    let values = || vec![tenant.0.into(), since.micros().into(), most.into()];
    let sql = format!(
        "select {} from action where tenant_no = $1 and requested_at >= $2 \
         order by requested_at desc, id desc limit $3",
        store::ACTION
    );
    let nothing = || Decided { decision: "", title: None, needs: Vec::new() };
    let mut all = Vec::new();
    for row in tx.query(&sql, values()).await? {
        let it = Action::from_row(&row)?;
        all.push(Past {
            authority: it.requester.authority(),
            deed: Deed::new(it.kind, it.incident),
            device: it.device,
            known: None,
            example: Example {
                action_id: Some(it.id),
                task_id: None,
                incident_id: it.incident,
                title: it.kind.entry().title,
                target: it.target.name.clone(),
                requested_by: it.requester.name,
                date_time: it.requested,
                before: nothing(),
                after: nothing(),
            },
            target: it.target,
        });
    }
    let sql = format!(
        "select {} from task where tenant_no = $1 and published_at >= $2 and run = 0 \
         order by published_at desc, id desc limit $3",
        store::TASK
    );
    for row in tx.query(&sql, values()).await? {
        let it = Task::from_row(&row)?;
        let (Some(target), Some(at)) = (&it.target, it.published) else { continue };
        let (entry, whose) = (it.kind.entry(), (tenant, Some(it.incident)));
        // What nothing can do by itself is by hand, whatever a policy says.
        let Ok(channels) = target::channels(tx, whose, entry, Some(target), &it.options).await?
        else {
            continue;
        };
        all.extend(channels.into_iter().map(|channel| Past {
            authority: Authority::Expert { person: None },
            deed: Deed { confirmed: true, ..Deed::new(it.kind, Some(it.incident)) },
            device: None,
            known: channel.device().cloned(),
            example: Example {
                action_id: None,
                task_id: Some(it.id),
                incident_id: Some(it.incident),
                title: entry.title,
                target: target.name.clone(),
                requested_by: it.created_by.clone(),
                date_time: at,
                before: nothing(),
                after: nothing(),
            },
            target: channel.aimed(target),
        }));
    }
    all.sort_by_key(|it| std::cmp::Reverse(it.example.date_time));
    Ok(all)
}
