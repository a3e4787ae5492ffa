//! Actions that end by themselves: what was set for a time is taken back when it is over.
//!
//! The agent that was told until when takes it back by itself, also while it hears nothing of us;
//! here the same is asked for as an action of its own, so that it is read back, shown and on record
//! like any other. Invariant: what somebody has wished for since is left alone.

use serde_json::Value;

use crate::app::App;
use crate::db::column;
use crate::error::Result;
use crate::id::{ActionId, TenantNo};
use crate::response::engine::{self, Wish};
use crate::response::store::{self, Action, Requester};
use crate::response::target;
use crate::tx::Tx;

/// From which part of the product.
const SOURCE: &str = "Automated device action";
/// How many are looked at in one turn.
const MOST: i64 = 200;

/// Asks for the reverse of what is over.
pub(super) async fn end_what_is_over(app: &App) -> Result<()> {
    let now = app.clock.now();
    let rows = app
        .db
        .whole("what was set for a time ends in every tenant")
        .query(
            "select id, tenant_no from action where ends_at <= $1 order by ends_at limit $2",
            vec![now.micros().into(), MOST.into()],
        )
        .await?;
    for row in rows {
        end_one(app, ActionId(column(&row, 0)?), TenantNo(column(&row, 1)?)).await?;
    }
    Ok(())
}

async fn end_one(app: &App, id: ActionId, tenant: TenantNo) -> Result<()> {
    let mut tx = Tx::begin(app, tenant, engine::engine()).await?;
    // Looked at once, whatever comes of it.
    let sql = "update action set ends_at = null where id = $1 and ends_at is not null";
    if tx.execute(sql, vec![id.0.into()]).await? == 0 {
        return Ok(());
    }
    let action: Action = store::action(&tx, id).await?;
    let Some(reverse) = action.kind.entry().reverse else { return tx.commit().await };
    let Some(channel) = target::channel_of(&tx, &action).await? else { return tx.commit().await };
    let row = tx
        .query_one(
            "select generation from desired where tenant_no = $1 and target_key = $2 \
             and family = $3",
            vec![tenant.0.into(), action.target_key.clone().into(), action.family.clone().into()],
        )
        .await?;
    let newest: i64 = row.map_or(Ok(0), |row| column(&row, 0))?;
    if newest > action.generation {
        return tx.commit().await;
    }
    let options = Value::Object(serde_json::Map::new());
    engine::request(
        &mut tx,
        Wish {
            kind: reverse,
            target: &action.target,
            channel: &channel,
            options: &options,
            incident: action.incident,
            source: SOURCE,
            comment: Some(format!("{id} was for a time that is over")),
            undo_of: Some(id),
            requester: Requester {
                name: engine::engine().name,
                kind: engine::engine().kind,
                person: None,
            },
            confirmed: false,
        },
    )
    .await?;
    tx.commit().await?;
    channel.ring(app);
    Ok(())
}
