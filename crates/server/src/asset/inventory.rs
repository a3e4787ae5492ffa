//! What is on a device, as its agent listed it last: kept compressed, as it was sent.

use serde_json::Value;

use crate::app::App;
use crate::asset::Device;
use crate::clock::Timestamp;
use crate::db::{Transaction, column};
use crate::error::{Error, Result};

/// The longest inventory, in bytes of JSON.
pub const LONGEST: usize = 4 * 1024 * 1024;
/// After how many seconds a fresh one is wanted.
pub const FRESH_S: i64 = 86_400;

/// Keeps an inventory.
///
/// # Errors
/// `Invalid` when it is longer than [`LONGEST`].
pub async fn keep(
    tx: &Transaction,
    device: &Device,
    inventory: &riposte_wire::Inventory,
    now: Timestamp,
) -> Result<()> {
    let json = serde_json::to_vec(inventory).map_err(Error::internal)?;
    if json.len() > LONGEST {
        return Err(Error::Invalid(format!("an inventory has at most {LONGEST} bytes")));
    }
    let packed = zstd::bulk::compress(&json, 3).map_err(Error::internal)?;
    tx.execute(
        "update device set inventory = $2, inventory_at = $3 where no = $1",
        vec![device.no.0.into(), packed.into(), now.micros().into()],
    )
    .await?;
    Ok(())
}

/// The inventory of a device, and when it came.
pub async fn read(app: &App, device: &Device) -> Result<Option<(Value, Timestamp)>> {
    let sql = "select inventory, inventory_at from device \
               where no = $1 and inventory is not null and inventory_at is not null";
    let row = app.db.of(device.tenant).query_one(sql, vec![device.no.0.into()]).await?;
    let Some(row) = row else { return Ok(None) };
    let packed: Vec<u8> = column(&row, 0)?;
    let damaged = || Error::Internal(format!("the inventory of device {} is damaged", device.id));
    let json = zstd::bulk::decompress(&packed, LONGEST).map_err(|_| damaged())?;
    let inventory = serde_json::from_slice(&json).map_err(|_| damaged())?;
    Ok(Some((inventory, Timestamp::from_micros(column(&row, 1)?))))
}

/// Whether a fresh inventory is wanted.
pub async fn is_wanted(app: &App, device: &Device) -> Result<bool> {
    let old = app.clock.now().plus_seconds(-FRESH_S);
    let sql = "select 1 from device where no = $1 and (inventory_at is null or inventory_at < $2)";
    let values = vec![device.no.0.into(), old.micros().into()];
    Ok(app.db.of(device.tenant).query_one(sql, values).await?.is_some())
}
