//! Rows of incidents, their tags and comments.

use std::collections::BTreeMap;

use sea_orm::{QueryResult, Value as Sql};
use serde::{Deserialize, Serialize};

use crate::actor::{Actor, ActorKind};
use crate::clock::Timestamp;
use crate::db::{Transaction, column};
use crate::error::{Error, Result};
use crate::id::{IncidentId, TenantNo};
use crate::incident::Incident;
use crate::incident::facts::Facts;
use crate::incident::model::{self, StateParts};
use crate::word::{Classification, Determination, Severity, Stage, Verdict};

/// The columns [`Incident::from_row`] expects, in order.
pub const COLUMNS: &str = "incident.id, incident.tenant_no, tenant.id, incident.stage, \
    incident.state, incident.started_at, incident.owner, incident.classification, \
    incident.determination, incident.severity, incident.severity_set_by_hand, \
    incident.display_name, incident.name_set_by_hand, incident.description, incident.summary, \
    incident.resolving_comment, incident.priority_score, incident.priority_factors, \
    incident.custom_tags, incident.system_tags, incident.facts, incident.alert_count, \
    incident.first_activity_at, incident.last_activity_at, incident.created_at, \
    incident.updated_at, incident.last_modified_by, incident.run_count, incident.pinned_at";

/// How many columns [`COLUMNS`] names.
pub const WIDTH: usize = 29;

/// Where [`COLUMNS`] come from.
pub const FROM: &str = "incident join tenant on tenant.no = incident.tenant_no";

/// The facts of a state as the row keeps them.
#[derive(Serialize, Deserialize, Default)]
struct StoredState {
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<(String, String)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Incident {
    /// An incident from a row of [`COLUMNS`].
    pub fn from_row(row: &QueryResult) -> Result<Self> {
        let id: i64 = column(row, 0)?;
        let bad = |name: &str| Error::Internal(format!("incident {id}: {name} is damaged"));
        let code = |index: usize| column::<i64>(row, index).map(|code| code as i16);
        let at = |index: usize| column::<i64>(row, index).map(Timestamp::from_micros);
        let text = |index: usize| column::<String>(row, index);
        let state: StoredState = serde_json::from_str(&text(4)?).map_err(|_| bad("state"))?;
        let by = match state.by {
            Some((kind, name)) => Some(Actor {
                kind: ActorKind::read(&kind).ok_or_else(|| bad("state"))?,
                name,
                address: None,
            }),
            None => None,
        };
        let parts = StateParts {
            stage: Stage::from_code(code(3)?).ok_or_else(|| bad("stage"))?,
            at: state.at.map(Timestamp::from_micros),
            by,
            to: state.to,
            reason: state.reason,
        };
        let classification =
            Classification::from_code(code(7)?).ok_or_else(|| bad("classification"))?;
        let determination =
            Determination::from_code(code(8)?).ok_or_else(|| bad("determination"))?;
        let tags = |index: usize, name: &str| -> Result<Vec<String>> {
            serde_json::from_str(&text(index)?).map_err(|_| bad(name))
        };
        Ok(Self {
            id: IncidentId(id),
            tenant: TenantNo(column(row, 1)?),
            model: model::Incident {
                id,
                tenant: text(2)?,
                state: parts.state().ok_or_else(|| bad("state"))?,
                owner: column(row, 6)?,
                verdict: Verdict::told(classification, determination),
                severity: Severity::from_code(code(9)?).ok_or_else(|| bad("severity"))?,
                severity_set_by_hand: code(10)? != 0,
                display_name: text(11)?,
                name_set_by_hand: code(12)? != 0,
                description: column(row, 13)?,
                summary: column(row, 14)?,
                resolving_comment: column(row, 15)?,
                priority_score: column::<Option<i64>>(row, 16)?
                    .map(|score| score.clamp(0, 100) as u8),
                custom_tags: tags(18, "custom tags")?,
                system_tags: tags(19, "system tags")?,
                started: column::<Option<i64>>(row, 5)?.map(Timestamp::from_micros),
                created: at(24)?,
                updated: at(25)?,
                modified_by: text(26)?,
            },
            priority_factors: text(17)?,
            facts: serde_json::from_str(&text(20)?).map_err(|_| bad("facts"))?,
            alert_count: column(row, 21)?,
            first_activity: at(22)?,
            last_activity: at(23)?,
            run_count: column(row, 27)?,
            pinned: column::<Option<i64>>(row, 28)?.map(Timestamp::from_micros),
        })
    }
}

/// The incidents of these ids that exist in `tenant`, by id.
pub(super) async fn load(
    tx: &Transaction,
    tenant: TenantNo,
    ids: &[IncidentId],
) -> Result<BTreeMap<IncidentId, Incident>> {
    let found = load_of(tx, [tenant], ids).await?;
    Ok(found.into_iter().map(|incident| (incident.id, incident)).collect())
}

/// The incidents of these ids that exist in any of these tenants.
pub(super) async fn load_of(
    tx: &Transaction,
    tenants: impl IntoIterator<Item = TenantNo>,
    ids: &[IncidentId],
) -> Result<Vec<Incident>> {
    let mut found = Vec::new();
    let tenants = tenants.into_iter().map(|tenant| tenant.0.into()).collect();
    let (tenants, tenant_values) = tx.engine().among(1, tenants);
    for chunk in ids.chunks(1_024) {
        let mut values = tenant_values.clone();
        let first = values.len() + 1;
        let (list, keys) = tx.engine().among(first, chunk.iter().map(|id| id.0.into()).collect());
        values.extend(keys);
        let sql = format!(
            "select {COLUMNS} from {FROM} \
             where +incident.tenant_no {tenants} and incident.id {list}"
        );
        for row in tx.query(&sql, values).await? {
            found.push(Incident::from_row(&row)?);
        }
    }
    Ok(found)
}

/// What is written of an incident, in the order of [`values`].
const WRITTEN: [&str; 30] = [
    "id",
    "tenant_no",
    "created_at",
    "status",
    "owner",
    "classification",
    "determination",
    "severity",
    "stage",
    "state",
    "started_at",
    "severity_set_by_hand",
    "display_name",
    "name_set_by_hand",
    "description",
    "summary",
    "resolving_comment",
    "redirect_id",
    "priority_score",
    "priority_factors",
    "custom_tags",
    "system_tags",
    "facts",
    "alert_count",
    "first_activity_at",
    "last_activity_at",
    "updated_at",
    "last_modified_by",
    "run_count",
    "pinned_at",
];
/// Of these, what never changes.
const FIXED: usize = 3;
/// And what comes after that by which the queue is filtered, and which seldom changes.
const FILTERED: usize = 8;

fn values(incident: &Incident) -> Result<[Sql; WRITTEN.len()]> {
    let it = &incident.model;
    let parts = it.state.parts();
    let state = StoredState {
        at: parts.at.map(Timestamp::micros),
        by: parts.by.map(|by| (by.kind.word().to_owned(), by.name)),
        to: parts.to,
        reason: parts.reason,
    };
    let json = |value: &Vec<String>| serde_json::to_string(value).map_err(Error::internal);
    Ok([
        incident.id.0.into(),
        incident.tenant.0.into(),
        it.created.micros().into(),
        i64::from(it.status().code()).into(),
        it.owner.clone().into(),
        i64::from(it.verdict.classification().code()).into(),
        i64::from(it.verdict.determination().code()).into(),
        i64::from(it.severity.code()).into(),
        i64::from(parts.stage.code()).into(),
        Sql::from(serde_json::to_string(&state).map_err(Error::internal)?),
        it.started.map(Timestamp::micros).into(),
        i64::from(it.severity_set_by_hand).into(),
        it.display_name.clone().into(),
        i64::from(it.name_set_by_hand).into(),
        it.description.clone().into(),
        it.summary.clone().into(),
        it.resolving_comment.clone().into(),
        it.redirect_id().into(),
        it.priority_score.map(i64::from).into(),
        incident.priority_factors.clone().into(),
        json(&it.custom_tags)?.into(),
        json(&it.system_tags)?.into(),
        serde_json::to_string(&incident.facts).map_err(Error::internal)?.into(),
        incident.alert_count.into(),
        incident.first_activity.micros().into(),
        incident.last_activity.micros().into(),
        it.updated.micros().into(),
        it.modified_by.clone().into(),
        incident.run_count.into(),
        incident.pinned.map(Timestamp::micros).into(),
    ])
}

/// Whether a change leaves alone all that the queue is filtered by.
pub(super) fn is_found_as_before(before: &model::Incident, after: &model::Incident) -> bool {
    before.status() == after.status()
        && before.owner == after.owner
        && before.verdict.classification() == after.verdict.classification()
        && before.verdict.determination() == after.verdict.determination()
        && before.severity == after.severity
}

/// Writes incidents, new or known.
pub(super) async fn save(tx: &Transaction, incidents: &[&Incident]) -> Result<()> {
    let mut rows: Vec<Sql> = Vec::with_capacity(incidents.len() * WRITTEN.len());
    for incident in incidents {
        rows.extend(values(incident)?);
    }
    let set: Vec<String> =
        WRITTEN.iter().skip(FIXED).map(|name| format!("{name} = excluded.{name}")).collect();
    tx.insert_rows(
        &format!("insert into incident ({})", WRITTEN.join(", ")),
        WRITTEN.len(),
        &format!("on conflict (id) do update set {}", set.join(", ")),
        rows,
    )
    .await?;
    Ok(())
}

/// Writes known incidents of which nothing changed that the queue is filtered by
/// ([`is_found_as_before`]). PostgreSQL clears dead entries out of an index by itself where a
/// statement does not mention the index's columns; most changes are alerts that join.
pub(super) async fn save_grown(tx: &Transaction, incidents: &[&Incident]) -> Result<()> {
    let columns = WRITTEN.get(FILTERED..).unwrap_or_default();
    let mut rows: Vec<Sql> = Vec::with_capacity(incidents.len() * (columns.len() + 1));
    for incident in incidents {
        let mut values = values(incident)?.into_iter();
        rows.extend(values.next());
        rows.extend(values.skip(FILTERED - 1));
    }
    let changed = tx.update_rows("incident", &["id"], columns, rows).await?;
    if changed == incidents.len() as u64 {
        Ok(())
    } else {
        Err(Error::Internal(format!("{} incidents to write, {changed} found", incidents.len())))
    }
}

const INSERT_TAGS: &str = "insert into incident_tag (incident_id, kind, tag)";

/// Brings the tag rows, which lists filter by, in line with an incident's tags.
pub(super) async fn save_tags(
    tx: &Transaction,
    id: IncidentId,
    before: Option<&model::Incident>,
    after: &model::Incident,
) -> Result<()> {
    let none = Vec::new();
    for (kind, old, new) in [
        ("custom", before.map_or(&none, |it| &it.custom_tags), &after.custom_tags),
        ("system", before.map_or(&none, |it| &it.system_tags), &after.system_tags),
    ] {
        for tag in old.iter().filter(|tag| !new.contains(tag)) {
            tx.execute(
                "delete from incident_tag where incident_id = $1 and kind = $2 and tag = $3",
                vec![id.0.into(), kind.into(), tag.clone().into()],
            )
            .await?;
        }
        let rows: Vec<Sql> = new
            .iter()
            .filter(|tag| !old.contains(tag))
            .flat_map(|tag| [id.0.into(), kind.into(), tag.clone().into()])
            .collect();
        tx.insert_rows(INSERT_TAGS, 3, "on conflict do nothing", rows).await?;
    }
    Ok(())
}

/// An incident, and kind and value of what it is found by.
pub(super) type Facet = (IncidentId, (&'static str, String));

/// Brings the rows of facets, which lists filter by, in line with incidents' facts.
pub(super) async fn save_facets(
    tx: &Transaction,
    fresh: Vec<Facet>,
    gone: Vec<Facet>,
) -> Result<()> {
    for (id, (kind, value)) in gone {
        let sql = "delete from incident_facet where incident_id = $1 and kind = $2 and value = $3";
        tx.execute(sql, vec![id.0.into(), kind.into(), value.into()]).await?;
    }
    let rows: Vec<Sql> = fresh
        .into_iter()
        .flat_map(|(id, (kind, value))| [id.0.into(), kind.into(), value.into()])
        .collect();
    let insert = "insert into incident_facet (incident_id, kind, value)";
    tx.insert_rows(insert, 3, "on conflict do nothing", rows).await?;
    Ok(())
}

/// Writes the tag rows of incidents that had none, all at once.
pub(super) async fn save_first_tags(tx: &Transaction, incidents: &[&Incident]) -> Result<()> {
    let mut rows: Vec<Sql> = Vec::new();
    for incident in incidents {
        let (custom, system) = (&incident.model.custom_tags, &incident.model.system_tags);
        for (kind, tags) in [("custom", custom), ("system", system)] {
            for tag in tags {
                rows.extend([incident.id.0.into(), kind.into(), tag.clone().into()]);
            }
        }
    }
    tx.insert_rows(INSERT_TAGS, 3, "on conflict do nothing", rows).await?;
    Ok(())
}

/// An incident that does not exist yet.
pub(super) fn fresh(tenant: TenantNo, model: model::Incident, facts: Facts) -> Incident {
    let at = model.created;
    Incident {
        id: IncidentId(model.id),
        tenant,
        model,
        priority_factors: "[]".to_owned(),
        facts,
        alert_count: 0,
        first_activity: at,
        last_activity: at,
        run_count: 0,
        pinned: None,
    }
}
