//! Mail rules carried out: what they tell is written in the change that takes the fact off the list.
//!
//! An incident that has changed stands in `unruled`, written with the fact; here each rule looks at it
//! as it is now and compares with what it has told (`mail_rule_told`). So a hundred changes in a row are
//! one look, and a change that came and went is none. An action that ended comes as a fact of `untold`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::actor::ActorKind;
use crate::asset;
use crate::clock::Timestamp;
use crate::db::{Transaction, column};
use crate::error::{Error, Result};
use crate::id::{ActionId, IncidentId};
use crate::incident::{self, Incident};
use crate::notification::letter::Kind;
use crate::notification::make::{self, Notice, id_of};
use crate::notification::rule::model::{
    ActionFacts, ActionOrigin, ActionOutcome, IncidentFacts, RuleAbout, RuleWhen, Seen, Stand,
    Step, Told, step,
};
use crate::notification::rule::{MailRule, live};
use crate::response::store::{self, Action};
use crate::tx::Tx;
use crate::word::{IncidentStatus, Severity};

/// Incidents of one tenant in one transaction.
pub(in crate::notification) const MOST: i64 = 50;
/// Different sources and severities of one incident.
const SEEN: i64 = 1_000;

/// Tells what rules have to say of incidents that have changed, and of updates whose time has come;
/// gives how many incidents were looked at.
pub(in crate::notification) async fn incidents(tx: &mut Tx) -> Result<usize> {
    let tenant = tx.tenant();
    let changed = tx
        .query(
            "select incident_id from unruled where tenant_no = $1 order by incident_id limit $2",
            vec![tenant.0.into(), MOST.into()],
        )
        .await?;
    let due = tx
        .query(
            "select rule_id, incident_id from mail_rule_told where tenant_no = $1 \
             and due_at <= $2 order by due_at limit $3",
            vec![tenant.0.into(), tx.now().micros().into(), MOST.into()],
        )
        .await?;
    if changed.is_empty() && due.is_empty() {
        return Ok(0);
    }
    let rules = live(tx, tenant, RuleAbout::Incidents).await?;
    let mut looks: BTreeMap<i64, BTreeSet<String>> = BTreeMap::new();
    for row in &changed {
        let incident: i64 = column(row, 0)?;
        looks.entry(incident).or_default().extend(rules.iter().map(|it| it.id.clone()));
        tx.execute(
            "delete from unruled where tenant_no = $1 and incident_id = $2",
            vec![tenant.0.into(), incident.into()],
        )
        .await?;
    }
    for row in &due {
        let (rule, incident): (String, i64) = (column(row, 0)?, column(row, 1)?);
        tx.execute(
            "update mail_rule_told set due_at = null where rule_id = $1 and incident_id = $2",
            vec![rule.clone().into(), incident.into()],
        )
        .await?;
        looks.entry(incident).or_default().insert(rule);
    }
    for (id, by) in &looks {
        let incident = match incident::one(tx, IncidentId(*id)).await {
            // There is nothing to tell of what is not there any more.
            Err(Error::NotFound(_)) => continue,
            found => found?,
        };
        let mut it = Look { incident, facts: None };
        for rule in rules.iter().filter(|rule| by.contains(&rule.id)) {
            it.by(tx, rule).await?;
        }
    }
    Ok(looks.len())
}

/// One look at an incident, by every rule.
struct Look {
    incident: Incident,
    facts: Option<IncidentFacts>,
}

impl Look {
    async fn by(&mut self, tx: &mut Tx, rule: &MailRule) -> Result<()> {
        let RuleWhen::Incidents(wanted) = &rule.said.when else { return Ok(()) };
        let told = told(tx, rule, self.incident.id).await?;
        let is = Stand {
            alerts: self.incident.alert_count,
            severity: self.incident.model.severity,
            status: self.incident.model.status(),
        };
        let step = step(wanted.once_per_incident, told.as_ref(), is, tx.now());
        // What there is nothing to tell of is not looked at closely.
        if step == Step::Nothing {
            return Ok(());
        }
        if self.facts.is_none() {
            self.facts = Some(facts(tx, &self.incident).await?);
        }
        if !self.facts.as_ref().is_some_and(|facts| wanted.matches(facts)) {
            return Ok(());
        }
        if let Step::NotBefore(from) = step {
            tx.execute(
                "update mail_rule_told set due_at = $3 where rule_id = $1 and incident_id = $2",
                vec![rule.id.clone().into(), self.incident.id.0.into(), from.micros().into()],
            )
            .await?;
            return Ok(());
        }
        save(tx, rule, self.incident.id, is).await?;
        let link = link(tx, rule, &format!("/incidents/{}", self.incident.id)).await?;
        let notice = self.notice(tx, rule, (told.map(|it| it.stand), is), &link);
        let notice = make::complete(tx, notice).await?;
        make::tell(tx, &notice, rule.receivers()).await
    }

    fn notice(
        &self,
        tx: &Tx,
        rule: &MailRule,
        (before, is): (Option<Stand>, Stand),
        link: &str,
    ) -> Notice {
        let id = self.incident.id;
        let changed = |is: &'static str, before: Option<&'static str>| {
            before.filter(|before| *before != is).map_or(Value::Null, Value::from)
        };
        let data = json!({
            "rule": rule.name,
            "organisation": rule.said.organisation_name,
            "first": before.is_none(),
            "alerts": is.alerts,
            "newAlerts": before.map_or(0, |before| (is.alerts - before.alerts).max(0)),
            "severityBefore": changed(is.severity.word(), before.map(|it| it.severity.word())),
            "status": is.status.word(),
            "statusBefore": changed(is.status.word(), before.map(|it| it.status.word())),
            "link": link,
        });
        // Between two of one rule about one incident lie minutes.
        let at = tx.now().micros().to_string();
        let named = id_of(&["mail rule", &rule.id, &id.to_string(), &at]);
        Notice { id: named, kind: Kind::IncidentMail, incident: Some(id), data }
    }
}

async fn told(tx: &Transaction, rule: &MailRule, incident: IncidentId) -> Result<Option<Told>> {
    let row = tx
        .query_one(
            "select told_at, alerts, severity, status from mail_rule_told \
             where rule_id = $1 and incident_id = $2",
            vec![rule.id.clone().into(), incident.0.into()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let damaged = || Error::Internal("table mail_rule_told is damaged".to_owned());
    let code = |index| Ok::<_, Error>(i16::try_from(column::<i64>(&row, index)?).unwrap_or(-1));
    Ok(Some(Told {
        at: Timestamp::from_micros(column(&row, 0)?),
        stand: Stand {
            alerts: column(&row, 1)?,
            severity: Severity::from_code(code(2)?).ok_or_else(damaged)?,
            status: IncidentStatus::from_code(code(3)?).ok_or_else(damaged)?,
        },
    }))
}

async fn save(tx: &Tx, rule: &MailRule, incident: IncidentId, is: Stand) -> Result<()> {
    tx.execute(
        "insert into mail_rule_told (rule_id, incident_id, tenant_no, told_at, alerts, severity, \
         status) values ($1, $2, $3, $4, $5, $6, $7) on conflict (rule_id, incident_id) \
         do update set told_at = excluded.told_at, alerts = excluded.alerts, \
         severity = excluded.severity, status = excluded.status, due_at = null",
        vec![
            rule.id.clone().into(),
            incident.0.into(),
            tx.tenant().0.into(),
            tx.now().micros().into(),
            is.alerts.into(),
            i64::from(is.severity.code()).into(),
            i64::from(is.status.code()).into(),
        ],
    )
    .await?;
    Ok(())
}

/// Where a mail of a rule leads: for who belongs to several organisations, to the one it is of.
async fn link(tx: &Tx, rule: &MailRule, path: &str) -> Result<String> {
    if !rule.said.tenant_link {
        return Ok(path.to_owned());
    }
    let tenant = tx.app().tenant_id(tx.tenant()).await?;
    Ok(format!("{path}?tid={tenant}"))
}

/// What rules look at in an incident: its alerts, and the groups of its devices, as sources and agents
/// name them.
async fn facts(tx: &Tx, incident: &Incident) -> Result<IncidentFacts> {
    let rows = tx
        .query(
            "select distinct service_source, detection_source, severity from alert \
             where incident_id = $1 limit $2",
            vec![incident.id.0.into(), SEEN.into()],
        )
        .await?;
    let mut alerts = Vec::with_capacity(rows.len());
    for row in rows {
        let severity = i16::try_from(column::<i64>(&row, 2)?).unwrap_or_default();
        alerts.push(Seen {
            service: column(&row, 0)?,
            detection: column(&row, 1)?,
            severity: Severity::from_code(severity).unwrap_or_default(),
        });
    }
    let mut groups: BTreeSet<String> = incident.facts.groups.iter().map(str::to_owned).collect();
    let names = incident.facts.devices.iter().chain(incident.facts.device_ids.iter());
    let short = |name: &str| name.split('.').next().unwrap_or_default().to_lowercase();
    let names: BTreeSet<String> =
        names.flat_map(|name| [name.to_lowercase(), short(name)]).collect();
    if !names.is_empty() {
        let (among, mut values) = tx.engine().among(2, names.into_iter().map(Into::into).collect());
        values.insert(0, tx.tenant().0.into());
        let sql =
            format!("select device_groups from device where tenant_no = $1 and name_key {among}");
        for row in tx.query(&sql, values).await? {
            let own: Vec<String> =
                serde_json::from_str(&column::<String>(&row, 0)?).map_err(Error::internal)?;
            groups.extend(own);
        }
    }
    let model = &incident.model;
    let by_hand = model.severity_set_by_hand.then_some(model.severity);
    Ok(IncidentFacts { alerts, by_hand, groups })
}

/// An action that came to its end, as rules look at it.
struct Ended {
    action: Action,
    facts: ActionFacts,
}

async fn ended(tx: &Tx, id: ActionId) -> Result<Option<Ended>> {
    let action = store::action(tx, id).await?;
    let Some(outcome) = ActionOutcome::of(action.state) else { return Ok(None) };
    let device = match (store::device_of(tx, &action).await?, &action.target.device) {
        (Some(device), _) => Some(device),
        (None, Some(name)) => match asset::find_in(tx, tx.tenant(), name).await {
            // Several go by this name: whose groups are meant nobody knows.
            Err(Error::Invalid(_)) => None,
            found => found?,
        },
        (None, None) => None,
    };
    let by_itself = matches!(action.requester.kind, ActorKind::System | ActorKind::Integration);
    let facts = ActionFacts {
        origin: if by_itself { ActionOrigin::Automated } else { ActionOrigin::Manual },
        action: action.kind.word(),
        outcome,
        groups: device.map(|it| it.groups.into_iter().collect()).unwrap_or_default(),
    };
    Ok(Some(Ended { action, facts }))
}

/// Tells what rules have to say of actions that ended. Those that ended together, of one incident, are
/// one mail; its id comes from the first of them.
pub(in crate::notification) async fn actions(tx: &mut Tx, ids: &[ActionId]) -> Result<()> {
    let rules = match ids {
        [] => return Ok(()),
        _ => live(tx, tx.tenant(), RuleAbout::Actions).await?,
    };
    if rules.is_empty() {
        return Ok(());
    }
    let mut by_incident: BTreeMap<Option<IncidentId>, Vec<Ended>> = BTreeMap::new();
    for id in ids {
        if let Some(it) = ended(tx, *id).await? {
            by_incident.entry(it.action.incident).or_default().push(it);
        }
    }
    for rule in &rules {
        let RuleWhen::Actions(wanted) = &rule.said.when else { continue };
        for (incident, all) in &by_incident {
            let told: Vec<&Ended> = all.iter().filter(|it| wanted.matches(&it.facts)).collect();
            let path = match incident {
                Some(id) => format!("/incidents/{id}"),
                None => "/actions".to_owned(),
            };
            let link = link(tx, rule, &path).await?;
            let Some(notice) = notice(rule, *incident, &told, &link) else { continue };
            let notice = make::complete(tx, notice).await?;
            make::tell(tx, &notice, rule.receivers()).await?;
        }
    }
    Ok(())
}

fn notice(
    rule: &MailRule,
    incident: Option<IncidentId>,
    told: &[&Ended],
    link: &str,
) -> Option<Notice> {
    let first = told.first()?;
    let one = |it: &&Ended| {
        json!({
            "action": it.action.kind.entry().title,
            "target": it.action.target.name,
            "outcome": it.facts.outcome,
            "because": it.action.reason.clone().unwrap_or_default(),
        })
    };
    let data = json!({
        "rule": rule.name,
        "organisation": rule.said.organisation_name,
        "action": first.action.kind.entry().title,
        "target": first.action.target.name,
        "outcome": first.facts.outcome,
        "author": first.action.requester.name,
        "count": told.len(),
        "actions": told.iter().map(one).collect::<Vec<_>>(),
        "link": link,
    });
    // An action ends once.
    let id = id_of(&["mail rule", &rule.id, &first.action.id.to_string()]);
    Some(Notice { id, kind: Kind::ActionMail, incident, data })
}
