//! How a customer wants to be told: how often it is reminded (NOT-6), and whether the mail about a
//! published response contains all of it (NOT-4).

use serde_json::json;

use crate::app::App;
use crate::db::{Transaction, column};
use crate::error::{Error, Result};
use crate::event::{Change, Fact};
use crate::id::TenantNo;
use crate::notification::reminder::{HOURS, LONGEST};
use crate::permission::Permission;
use crate::tenant::caller::Caller;
use crate::tx::Tx;

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Setting {
    /// Hours between two reminders; 0 for none.
    pub reminder_hours: i64,
    /// Whether the mail about a published response contains the summary and every task.
    pub whole_response: bool,
}

pub(super) async fn find_in(tx: &Transaction, tenant: TenantNo) -> Result<Setting> {
    let sql = "select reminder_hours, whole_response_at from notification_setting \
               where tenant_no = $1";
    let row = tx.query_one(sql, vec![tenant.0.into()]).await?;
    let Some(row) = row else {
        return Ok(Setting { reminder_hours: HOURS, whole_response: false });
    };
    Ok(Setting {
        reminder_hours: column(&row, 0)?,
        whole_response: column::<Option<i64>>(&row, 1)?.is_some(),
    })
}

/// How the caller's own organisation wants to be told.
pub async fn find(app: &App, caller: &Caller) -> Result<Setting> {
    caller.require(&[Permission::ContactRead])?;
    let tenant = caller.own_tenant()?;
    find_in(&app.db.of(tenant).snapshot().await?, tenant).await
}

/// Chooses how the caller's own organisation is told; what is absent stays.
pub async fn choose(
    app: &App,
    caller: &Caller,
    hours: Option<i64>,
    whole: Option<bool>,
) -> Result<()> {
    caller.require(&[Permission::ContactReadWrite])?;
    let tenant = caller.own_tenant()?;
    if hours.is_some_and(|hours| !(0..=LONGEST).contains(&hours)) {
        return Err(Error::Invalid(format!(
            "reminderHours is a whole number from 0 (never) to {LONGEST}"
        )));
    }
    let mut tx = Tx::begin(app, tenant, caller.actor()).await?;
    let before = find_in(&tx, tenant).await?;
    let after = Setting {
        reminder_hours: hours.unwrap_or(before.reminder_hours),
        whole_response: whole.unwrap_or(before.whole_response),
    };
    let changes: Vec<Change> = [
        ("reminderHours", json!(before.reminder_hours), json!(after.reminder_hours)),
        ("wholeResponse", json!(before.whole_response), json!(after.whole_response)),
    ]
    .into_iter()
    .filter(|(_, before, after)| before != after)
    .map(|(field, before, after)| Change { field, before, after })
    .collect();
    if changes.is_empty() {
        return Ok(());
    }
    let since = after.whole_response.then(|| tx.now().micros());
    tx.execute(
        "insert into notification_setting (tenant_no, reminder_hours, whole_response_at) \
         values ($1, $2, $3) on conflict (tenant_no) do update set \
         reminder_hours = excluded.reminder_hours, whole_response_at = excluded.whole_response_at",
        vec![tenant.0.into(), after.reminder_hours.into(), since.into()],
    )
    .await?;
    tx.record(Fact::NotificationSettingChanged { changes });
    tx.commit().await
}
