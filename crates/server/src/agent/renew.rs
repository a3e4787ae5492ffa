//! Renewal: a certificate and a new key's signing request in, the next certificate out.
//!
//! Invariant: an agent is never without a certificate that holds. The old one goes on until the new
//! one is first shown, and then holds no more; a renewal whose answer was lost is asked for again, and
//! what was given before it is nobody's.

use riposte_wire::{Renew, Renewed, VERSION};

use crate::agent::Agent;
use crate::agent::authority::{self, Authority, Named};
use crate::app::App;
use crate::error::{Error, Result};
use crate::id::TenantNo;

/// The longest request that is looked at.
const REQUEST: usize = 16 * 1024;

/// Gives an agent its next certificate.
///
/// # Errors
/// `Invalid` when the request cannot be used.
pub async fn renew(
    app: &App,
    authority: &Authority,
    agent: &Agent,
    wanted: Renew,
) -> Result<Renewed> {
    if wanted.version != VERSION {
        return Err(Error::Invalid(format!(
            "this server speaks version {VERSION} of the agents' protocol, not {}",
            wanted.version
        )));
    }
    if wanted.request.len() > REQUEST {
        return Err(Error::Invalid("the certificate request is too long".to_owned()));
    }
    let tenant = app.tenant_id(agent.tenant).await?.to_string();
    let named = Named { agent: agent.id.clone(), tenant, serial: authority::serial(app)? };
    let certificate = authority.issue(&wanted.request, &named, app.clock.now())?;
    let tx = app.db.of(agent.tenant).begin().await?;
    let sql = "update agent set next_serial = $2 where id = $1 and revoked_at is null";
    if tx.execute(sql, vec![agent.id.clone().into(), named.serial.into()]).await? == 0 {
        return Err(Error::Conflict("the agent was shut out".to_owned()));
    }
    tx.commit().await?;
    Ok(Renewed { certificate })
}

/// The next certificate was shown: it is the only one from now on.
pub(super) async fn take_over(app: &App, tenant: TenantNo, named: &Named) -> Result<()> {
    let tx = app.db.of(tenant).begin().await?;
    let sql = "update agent set serial = $2, next_serial = null \
               where id = $1 and next_serial = $2 and revoked_at is null";
    tx.execute(sql, vec![named.agent.clone().into(), named.serial.clone().into()]).await?;
    tx.commit().await
}
