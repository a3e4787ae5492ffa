//! Reports: what became of orders, what was seen, what is on the device.
//!
//! An agent repeats a report until it is answered with success, which it is only once all of it is
//! on disk. So whatever could be repeated for ever without being taken is cut to its bounds here and
//! not refused.

use riposte_wire::{Report, Reported};

use crate::agent::{Agent, enrol};
use crate::app::App;
use crate::asset::timeline::{self, Seen};
use crate::asset::{account, inventory};
use crate::error::{Error, Result};
use crate::incident::account::Names;
use crate::response::engine;

/// Outcomes of one report.
const RESULTS: usize = 1_000;
/// Observations of one report.
const OBSERVED: usize = 5_000;
/// Installed packages of an inventory, and entries of its other lists.
const LISTED: usize = 10_000;

/// Stores a report.
///
/// # Errors
/// `Invalid` when it says more at once than an agent may.
pub async fn report(app: &App, agent: &Agent, mut said: Report) -> Result<Reported> {
    if said.results.len() > RESULTS || said.observed.len() > OBSERVED {
        return Err(Error::Invalid(format!(
            "a report has at most {RESULTS} outcomes and {OBSERVED} observations"
        )));
    }
    let device = agent.device(app).await?;
    let acknowledged = if said.results.is_empty() {
        Vec::new()
    } else {
        engine::settle(app, &device, &said.results).await?
    };
    if said.observed.is_empty() && said.inventory.is_none() {
        return Ok(Reported { acknowledged });
    }
    let seen: Vec<Seen> = said.observed.iter().map(Seen::of).collect();
    let tx = app.db.of(agent.tenant).begin().await?;
    // Reports of one device go one after the other.
    let lock = format!("select no from device where no = $1{}", tx.engine().for_update());
    tx.query(&lock, vec![device.no.0.into()]).await?;
    let now = app.clock.now();
    let mut names = Names::default();
    account::keep_seen(&tx, &device, &seen, (now, &mut names)).await?;
    timeline::keep(&tx, &device, seen).await?;
    if let Some(inventory) = said.inventory.as_mut() {
        inventory.host = enrol::bounded(std::mem::take(&mut inventory.host));
        inventory.packages.truncate(LISTED);
        inventory.users.truncate(LISTED);
        inventory.signed_in.truncate(LISTED);
        inventory.ports.truncate(LISTED);
        inventory.services.truncate(LISTED);
        match inventory::keep(&tx, &device, inventory, now).await {
            Ok(()) => {
                account::keep_inventory(&tx, &device, inventory, (now, &mut names)).await?;
            }
            // It would be sent again and again; what is known of the device stays.
            Err(Error::Invalid(why)) => {
                tracing::warn!(device.id = device.id, "an inventory was not kept: {why}");
            }
            Err(error) => return Err(error),
        }
        enrol::describe(&tx, device.no, &inventory.host).await?;
    }
    names.write(&tx).await?;
    tx.commit().await?;
    Ok(Reported { acknowledged })
}
