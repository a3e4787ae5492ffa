//! What people and integrations change on an alert.

use std::collections::HashSet;

use crate::alert::{Alert, COLUMNS};
use crate::app::App;
use crate::clock::Timestamp;
use crate::db::column;
use crate::error::{Error, Result};
use crate::event::{Change, Fact};
use crate::id::{AlertId, TenantNo};
use crate::tenant::caller::{Caller, Reach};
use crate::tx::Tx;
use crate::word::{AlertStatus, Classification, Determination, Verdict};

/// The longest comment, in characters (INC-19).
const LONGEST_COMMENT: usize = 30_000;

/// Members to change; `None` leaves a member alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlertPatch {
    /// The new owner; `Some(None)` for nobody.
    pub assigned_to: Option<Option<String>>,
    /// Where it stands.
    pub status: Option<AlertStatus>,
    /// Threat or not; `Unknown` clears the determination too.
    pub classification: Option<Classification>,
    /// Of which kind.
    pub determination: Option<Determination>,
}

/// The alert of an id, when it is within reach.
///
/// # Errors
/// `NotFound`, in the same words for an unknown and for a foreign id.
pub async fn find(app: &App, reach: &Reach, id: AlertId) -> Result<Alert> {
    let row = app
        .db
        .reach(reach.tenants())
        .query_one(&format!("select {COLUMNS} from alert where id = $1"), vec![id.0.into()])
        .await?;
    let alert = row.as_ref().map(Alert::from_row).transpose()?;
    alert.filter(|alert| reach.includes(alert.tenant)).ok_or_else(|| unknown(id))
}

/// Changes members of an alert: all that the patch names, or none.
pub async fn change(app: &App, caller: &Caller, id: AlertId, patch: AlertPatch) -> Result<()> {
    let mut tx = begin(app, caller, id).await?;
    let alert = one(&tx, id).await?;
    edit(&mut tx, &alert, patch).await?;
    tx.commit().await
}

/// Adds comments to an alert.
pub async fn comment(app: &App, caller: &Caller, id: AlertId, texts: Vec<String>) -> Result<()> {
    let mut tx = begin(app, caller, id).await?;
    let alert = one(&tx, id).await?;
    for text in &texts {
        say(&mut tx, &alert, text).await?;
    }
    tx.made(id).await?;
    tx.commit().await
}

/// Changes members of an alert and adds those of `texts` that it has no comment of yet: all of it,
/// or nothing. For interfaces whose alerts carry their comments as a list of texts.
pub async fn rewrite(
    app: &App,
    caller: &Caller,
    id: AlertId,
    patch: AlertPatch,
    texts: &[String],
) -> Result<()> {
    let mut tx = begin(app, caller, id).await?;
    let alert = one(&tx, id).await?;
    let rows = tx.query("select text from comment where alert_id = $1", vec![id.0.into()]).await?;
    let said: Result<Vec<String>> = rows.iter().map(|row| column(row, 0)).collect();
    let mut said: HashSet<String> = said?.into_iter().collect();
    edit(&mut tx, &alert, patch).await?;
    for text in texts {
        if said.insert(text.trim().to_owned()) {
            say(&mut tx, &alert, text).await?;
        }
    }
    tx.commit().await
}

async fn one(tx: &Tx, id: AlertId) -> Result<Alert> {
    let row = tx
        .query_one(&format!("select {COLUMNS} from alert where id = $1"), vec![id.0.into()])
        .await?
        .ok_or_else(|| unknown(id))?;
    Alert::from_row(&row)
}

async fn edit(tx: &mut Tx, alert: &Alert, patch: AlertPatch) -> Result<()> {
    let id = alert.id;
    let before = &alert.head;
    let mut after = before.clone();
    let verdict = Verdict::told(before.classification, before.determination)
        .changed(patch.classification, patch.determination)
        .map_err(|bad| Error::Invalid(format!("alert {id}: {bad}")))?;
    after.classification = verdict.classification();
    after.determination = verdict.determination();
    if let Some(owner) = patch.assigned_to {
        let owner = owner.map(|owner| owner.trim().to_owned()).filter(|owner| !owner.is_empty());
        if owner.as_ref().is_some_and(|owner| owner.chars().count() > 256 || owner.contains('\0')) {
            return Err(Error::Invalid(format!(
                "alert {id}: assignedTo is longer than 256 characters or contains a null character"
            )));
        }
        after.assigned_to = owner;
    }
    if let Some(status) = patch.status {
        after.status = status;
        after.resolved = match (status, before.status) {
            (AlertStatus::Resolved, AlertStatus::Resolved) => before.resolved,
            (AlertStatus::Resolved, _) => Some(tx.now()),
            _ => None,
        };
    }
    let mut changes = Vec::new();
    let mut note = |field: &'static str, before: serde_json::Value, after: serde_json::Value| {
        if before != after {
            changes.push(Change { field, before, after });
        }
    };
    note("assignedTo", before.assigned_to.clone().into(), after.assigned_to.clone().into());
    note("status", before.status.word().into(), after.status.word().into());
    note("classification", before.classification.word().into(), after.classification.word().into());
    note("determination", before.determination.word().into(), after.determination.word().into());
    if changes.is_empty() {
        return Ok(());
    }
    let updated = tx.next_update();
    tx.execute(
        "update alert set assigned_to = $2, status = $3, classification = $4, \
         determination = $5, resolved_at = $6, updated_at = $7 where id = $1",
        vec![
            id.0.into(),
            after.assigned_to.into(),
            i64::from(after.status.code()).into(),
            i64::from(after.classification.code()).into(),
            i64::from(after.determination.code()).into(),
            after.resolved.map(Timestamp::micros).into(),
            updated.micros().into(),
        ],
    )
    .await?;
    tx.record(Fact::AlertChanged { alert: id, incident: alert.incident, changes });
    Ok(())
}

async fn say(tx: &mut Tx, alert: &Alert, text: &str) -> Result<()> {
    let id = alert.id;
    let text = text.trim();
    if text.is_empty() || text.chars().count() > LONGEST_COMMENT || text.contains('\0') {
        return Err(Error::Invalid(format!(
            "alert {id}: a comment has 1 to {LONGEST_COMMENT} characters, none of them null"
        )));
    }
    let comment = tx.comment(None, Some(id), text).await?;
    let updated = tx.next_update();
    tx.execute(
        "update alert set updated_at = $2 where id = $1",
        vec![id.0.into(), updated.micros().into()],
    )
    .await?;
    tx.record(Fact::AlertCommented { alert: id, incident: alert.incident, comment });
    Ok(())
}

async fn begin(app: &App, caller: &Caller, id: AlertId) -> Result<Tx> {
    let row = caller
        .view(app)
        .query_one("select tenant_no from alert where id = $1", vec![id.0.into()])
        .await?;
    let tenant = row.map(|row| column(&row, 0)).transpose()?.map(TenantNo);
    let tenant = tenant.ok_or_else(|| unknown(id))?;
    caller.require_inside(app, tenant, unknown(id)).await?;
    Tx::begin(app, tenant, caller.actor()).await
}

fn unknown(id: AlertId) -> Error {
    Error::NotFound(format!("alert {id} does not exist"))
}
