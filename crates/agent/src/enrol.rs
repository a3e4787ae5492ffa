//! Takes the agent into a customer's fleet: once, by token.
//!
//! Not here: what is kept of it (`identity`).

use std::fs;
use std::path::Path;
use std::time::Duration;

use riposte_wire::{Enrol, Enrolled, VERSION};

use crate::data::Data;
use crate::fault::{Fault, Result};
use crate::identity::{self, Facts};
use crate::{clock, collect, files, http};

/// What the command line says.
pub(crate) struct Wish<'a> {
    /// Where the server is.
    pub(crate) server: &'a str,
    /// The customer's token.
    pub(crate) token: &'a str,
    /// An authority to trust, in PEM.
    pub(crate) authority: Option<&'a Path>,
    /// The name to report instead of the host name.
    pub(crate) name: Option<&'a str>,
    /// Whether to do it although it was done.
    pub(crate) again: bool,
}

/// Enrols; says as whom.
pub(crate) async fn enrol(data: &Data, wish: &Wish<'_>) -> Result<Facts> {
    if identity::exists(data) && !wish.again {
        return Err(Fault::new("the agent is enrolled already; --again enrols it anew"));
    }
    // Not beside an agent that runs: it would go on as the one it was.
    let _held = data.hold_run().await?;
    let url = http::server_url(wish.server)?;
    let name = wish.name.map(collect::host::plain_name).transpose()?;
    let authority = match wish.authority {
        None => None,
        Some(path) => Some(
            files::read(path, 1 << 20)?
                .ok_or_else(|| Fault::new(format!("{} is not there", path.display())))?,
        ),
    };
    let request = identity::request()?;
    let given: Vec<Vec<u8>> = authority.iter().cloned().collect();
    let client = http::builder(&given)?
        .build()
        .map_err(|e| Fault::new(format!("cannot prepare the connection: {}", http::explain(&e))))?;
    let ask = Enrol {
        version: VERSION,
        token: wish.token.trim().to_owned(),
        request: request.pem.clone(),
        host: collect::host::host(name.as_deref()),
    };
    let to = endpoint(&url, "enrol")?;
    let enrolled: Enrolled = http::post(&client, to, &ask, Duration::from_mins(1))
        .await
        .map_err(|e| Fault::new(format!("cannot enrol at {url}: {e}")))?;
    let server = enrolled.server.clone().unwrap_or_else(|| url.to_string());
    let go_on = http::server_url(&server)?;
    if go_on.scheme() != "https" {
        return Err(Fault::new("the server names no https address to go on with"));
    }
    let facts = Facts {
        agent: enrolled.agent.clone(),
        tenant: enrolled.tenant.clone(),
        server: go_on.to_string(),
        name,
        order_key: String::new(),
        since: clock::now(),
    };
    identity::keep(data, &request, &enrolled, authority.as_deref(), &facts)?;
    // What another agent was told and saw is not this one's; what is in force stays and is said.
    files::remove(&data.journal())?;
    files::remove(&data.inventory())?;
    let _ = fs::remove_dir_all(data.spool());
    Ok(facts)
}

/// An address below the server's.
pub(crate) fn endpoint(server: &reqwest::Url, rest: &str) -> Result<reqwest::Url> {
    let base = server.as_str().trim_end_matches('/');
    format!("{base}/agent/v1/{rest}")
        .parse()
        .map_err(|e| Fault::new(format!("{server} is not a server's address: {e}")))
}
