//! Reminders of what still awaits a customer (NOT-6).
//!
//! An incident that awaits customer action is told again when as many hours have passed since it was
//! last told of, as long as something of it is the customer's. Not here: how often it wants them (`setting`), clocks with
//! targets.

use serde_json::json;

use crate::actor::Actor;
use crate::app::App;
use crate::clock::Timestamp;
use crate::db::column;
use crate::error::Result;
use crate::id::{IncidentId, TenantNo};
use crate::notification::letter::Kind;
use crate::notification::make::{self, NOTIFIER, Notice};
use crate::tx::Tx;
use crate::word::IncidentStatus;

/// Hours between two reminders where a customer says nothing.
pub const HOURS: i64 = 4;
/// The longest pause that can be chosen, in hours.
pub const LONGEST: i64 = 168;
/// Incidents reminded of in one go.
const MOST: i64 = 200;

/// What is due: incidents that await their customer and were last told of long enough ago. `$1` is
/// now, `$2` the hours where nothing is said. The status is spelt out: only so SQLite takes the index.
fn due(more: &str) -> String {
    let status = IncidentStatus::AwaitingAction.code();
    format!(
        "select tenant_no, id from (select incident.tenant_no, incident.id, \
         coalesce(notification_setting.reminder_hours, $2) as hours, \
         (select max(made_at) from notification where notification.incident_id = incident.id \
         and kind in ('responsePublished', 'reminder')) as told from incident \
         left join notification_setting \
         on notification_setting.tenant_no = incident.tenant_no \
         where incident.status = {status}) waits \
         where hours > 0 and told + hours * 3600000000 <= $1 {more}"
    )
}

/// Reminds of everything that is due, in every tenant.
pub async fn watch(app: &App) -> Result<()> {
    let now = app.clock.now();
    let rows = app
        .db
        .whole("reminders in every tenant")
        .query(&due("order by told limit $3"), vec![now.micros().into(), HOURS.into(), MOST.into()])
        .await?;
    for row in rows {
        let tenant = TenantNo(column(&row, 0)?);
        let incident = IncidentId(column(&row, 1)?);
        if let Err(error) = remind(app, tenant, incident).await {
            let id = incident.0;
            tracing::error!(incident.id = id, "no reminder of incident {id}, will be: {error}");
        }
    }
    Ok(())
}

async fn remind(app: &App, tenant: TenantNo, incident: IncidentId) -> Result<()> {
    let mut tx = Tx::begin(app, tenant, Actor::system(NOTIFIER)).await?;
    // Another process may have been first, or the customer.
    let due = tx
        .query_one(
            &due("and id = $3"),
            vec![tx.now().micros().into(), HOURS.into(), incident.0.into()],
        )
        .await?;
    if due.is_none() {
        return Ok(());
    }
    let first = tx
        .query_one(
            "select max(made_at) from notification where incident_id = $1 \
             and kind = 'responsePublished'",
            vec![incident.0.into()],
        )
        .await?;
    let since = first.map(|row| column::<Option<i64>>(&row, 0)).transpose()?.flatten();
    let since = Timestamp::from_micros(since.unwrap_or(tx.now().micros()));
    let hours = (tx.now().micros() - since.micros()) / 3_600_000_000;
    let (pending, done) = make::tasks(&tx, incident).await?;
    let notice = Notice {
        id: make::id_of(&["reminder", &incident.to_string(), &tx.now().micros().to_string()]),
        kind: Kind::Reminder,
        incident: Some(incident),
        data: json!({
            "pending": pending,
            "done": done,
            "hours": hours,
            "link": format!("/incidents/{incident}?response=actions"),
        }),
    };
    let notice = make::complete(&tx, notice).await?;
    let receivers = make::everybody(&tx).await?;
    make::tell(&mut tx, &notice, receivers).await?;
    tx.commit().await?;
    app.tell.notify_one();
    Ok(())
}
