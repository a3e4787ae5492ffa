//! Enrolment: a token and a signing request in, a certificate out.
//!
//! A device is known by its host name and its machine id: the same of both is the same device, whose
//! former agent is shut out by the new one. The token says whose the device is, and nothing in the
//! request can say otherwise. A token that is wrong, over or ended is answered alike. Everything a
//! device says of itself is hostile: it is bounded, and names are refused with a reason rather than
//! bent into shape, because people act on them.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use riposte_wire::{Enrol, Enrolled, Host, VERSION};
use serde_json::json;

use crate::agent::authority::{self, Authority, Named};
use crate::agent::{revoke, token};
use crate::app::App;
use crate::db::column;
use crate::error::{Error, Result};
use crate::event::Fact;
use crate::id::DeviceNo;
use crate::tx::Tx;
use crate::vault::Place;

/// The longest host name.
const NAME: usize = 255;
/// The longest machine id.
const MACHINE: usize = 128;
/// The longest of the other texts.
const TEXT: usize = 200;
/// The longest reason why something cannot be done.
const WHY: usize = 500;
/// Addresses, and things that an agent can or cannot do.
const ENTRIES: usize = 64;
/// The longest token and request that are looked at.
const REQUEST: usize = 16 * 1024;

/// Where agents come in: what an agent is told that enrols elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Door {
    /// The address of the listener that takes client certificates, when it is another than the one
    /// that people use.
    pub server: Option<String>,
    /// Our own authority's certificate in PEM, when the server's is of our own making.
    pub authority: Option<String>,
    /// Whether agents can come in at all.
    pub open: bool,
    /// Whether that other listener can be reached from other machines.
    pub remote: bool,
}

/// Takes an agent in; `None` when its token is not valid.
///
/// # Errors
/// `Invalid` with the reason when what it says of itself cannot be kept, `Conflict` when agents
/// could not connect afterwards.
pub async fn enrol(
    app: &App,
    authority: &Authority,
    door: &Door,
    from: Option<IpAddr>,
    wanted: Enrol,
) -> Result<Option<Enrolled>> {
    if wanted.version != VERSION {
        return Err(Error::Invalid(format!(
            "this server speaks version {VERSION} of the agents' protocol, not {}",
            wanted.version
        )));
    }
    let Some((token, tenant)) = token::look_up(app, &wanted.token).await? else { return Ok(None) };
    let host = sound(wanted.host)?;
    if wanted.request.len() > REQUEST {
        return Err(Error::Invalid("the certificate request is too long".to_owned()));
    }
    if !door.open {
        return Err(Error::Conflict(
            "this server has no address that agents can connect to: see --agents".to_owned(),
        ));
    }
    let now = app.clock.now();
    let tenant_id = app.tenant_id(tenant).await?.to_string();
    let named =
        Named { agent: app.random.uuid()?, tenant: tenant_id, serial: authority::serial(app)? };
    let certificate = authority.issue(&wanted.request, &named, now)?;
    let secret = app.random.bytes::<32>()?;
    let place = secret_of(&named.agent);
    let sealed = app.vault_key(tenant).await?.seal(&app.random, place, &secret)?;
    let mut actor = super::actor(&host.name);
    actor.address = from;
    let mut tx = Tx::begin(app, tenant, actor).await?;
    // It may have ended since it was looked up.
    if !token::count_use(&tx, &token).await? {
        return Ok(None);
    }
    let (device, device_id) = device(&tx, &host).await?;
    revoke(&tx, device).await?;
    tx.execute(
        "insert into agent (id, tenant_no, device_no, serial, release_secret, enrolled_at) \
         values ($1, $2, $3, $4, $5, $6)",
        vec![
            named.agent.clone().into(),
            tenant.0.into(),
            device.0.into(),
            named.serial.into(),
            sealed.into(),
            tx.now().micros().into(),
        ],
    )
    .await?;
    tx.execute(
        "update device set agent_id = $2, run = null where no = $1",
        vec![device.0.into(), named.agent.clone().into()],
    )
    .await?;
    describe(&tx, device, &host).await?;
    tx.record(Fact::DeviceEnrolled {
        device: device_id,
        name: host.name,
        agent: named.agent.clone(),
    });
    tx.commit().await?;
    // A poll of the agent that was shut out ends.
    app.agents.ring(device);
    Ok(Some(Enrolled {
        agent: named.agent,
        tenant: named.tenant,
        certificate,
        authority: door.authority.clone(),
        order_key: authority.order_key(),
        release_secret: BASE64.encode(secret),
        server: door.server.clone(),
    }))
}

/// Where the release secret of an agent is kept.
#[must_use]
pub fn secret_of(agent: &str) -> Place<'_> {
    Place { table: "agent", row: agent, column: "release_secret" }
}

/// The device of a name and a machine, made when there is none.
async fn device(tx: &Tx, host: &Host) -> Result<(DeviceNo, String)> {
    let key = host.name.to_lowercase();
    let known = tx
        .query_one(
            "select no, id from device where tenant_no = $1 and name_key = $2 and machine = $3",
            vec![tx.tenant().0.into(), key.clone().into(), host.machine.clone().into()],
        )
        .await?;
    if let Some(row) = known {
        return Ok((DeviceNo(column(&row, 0)?), column(&row, 1)?));
    }
    let no = tx.next_id("device").await?;
    let id = tx.app().random.uuid()?;
    tx.execute(
        "insert into device (no, tenant_no, id, name, name_key, machine, os, kernel, \
         architecture, addresses, device_groups, created_at, can, lacks, states, own) \
         values ($1, $2, $3, $4, $5, $6, '', '', '', '[]', '[]', $7, '[]', '[]', $8, $9)",
        vec![
            no.into(),
            tx.tenant().0.into(),
            id.clone().into(),
            host.name.clone().into(),
            key.into(),
            host.machine.clone().into(),
            tx.now().micros().into(),
            json!(riposte_wire::States::default()).to_string().into(),
            json!(riposte_wire::Own::default()).to_string().into(),
        ],
    )
    .await?;
    Ok((DeviceNo(no), id))
}

/// Writes what a device says of itself; its name and machine stay what they were at enrolment.
pub(super) async fn describe(
    tx: &crate::db::Transaction,
    device: DeviceNo,
    host: &Host,
) -> Result<()> {
    tx.execute(
        "update device set os = $2, kernel = $3, architecture = $4, addresses = $5, \
         agent_version = $6, can = $7, lacks = $8 where no = $1",
        vec![
            device.0.into(),
            host.os.clone().into(),
            host.kernel.clone().into(),
            host.architecture.clone().into(),
            json!(host.addresses).to_string().into(),
            host.agent.clone().into(),
            json!(host.can).to_string().into(),
            json!(host.lacks).to_string().into(),
        ],
    )
    .await?;
    Ok(())
}

/// What a device says of itself at enrolment, when it can be kept as it is.
fn sound(host: Host) -> Result<Host> {
    let Host { name, machine, .. } = &host;
    let named = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.chars().count() > NAME || !name.chars().all(named) {
        return Err(Error::Invalid(format!(
            "the device needs a host name of 1 to {NAME} letters, digits, hyphens, underscores \
             and dots"
        )));
    }
    let visible = |c: char| c.is_ascii_graphic();
    if machine.is_empty() || machine.len() > MACHINE || !machine.chars().all(visible) {
        return Err(Error::Invalid(format!(
            "the device needs a machine id of 1 to {MACHINE} visible ASCII characters"
        )));
    }
    for (what, text) in [
        ("operating system", &host.os),
        ("kernel", &host.kernel),
        ("architecture", &host.architecture),
        ("agent version", &host.agent),
    ] {
        if text.chars().count() > TEXT || text.chars().any(char::is_control) {
            return Err(Error::Invalid(format!(
                "the device's {what} has at most {TEXT} characters, none of them a control \
                 character"
            )));
        }
    }
    Ok(bounded(host))
}

/// What a device says of itself later, cut to what is kept of it.
pub(super) fn bounded(mut host: Host) -> Host {
    use super::plain;
    for text in [&mut host.os, &mut host.kernel, &mut host.architecture, &mut host.agent] {
        *text = plain(text, TEXT);
    }
    // Addresses are shown and searched: what is none is left out.
    host.addresses.retain(|address| {
        let bare = address.split('%').next().unwrap_or_default();
        let plain = address.len() <= ENTRIES && address.bytes().all(|byte| byte.is_ascii_graphic());
        plain && bare.parse::<IpAddr>().is_ok()
    });
    host.addresses.truncate(ENTRIES);
    host.can.truncate(ENTRIES);
    for word in &mut host.can {
        *word = plain(word, ENTRIES);
    }
    host.lacks.truncate(ENTRIES);
    for (word, why) in &mut host.lacks {
        (*word, *why) = (plain(word, ENTRIES), plain(why, WHY));
    }
    host
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> Host {
        Host { name: name.to_owned(), machine: "m1".to_owned(), ..Host::default() }
    }

    #[test]
    fn a_name_that_could_deceive_is_refused() {
        for name in ["web-1", "web_1.alder.example", "größe7"] {
            assert!(sound(host(name)).is_ok(), "{name}");
        }
        let long = "a".repeat(NAME + 1);
        for name in ["", "a b", "a\0", "a\nb", "a\u{202e}b", "<b>", "../x", "a\"b", long.as_str()] {
            let refused = sound(host(name)).err().map(|error| error.to_string());
            assert!(refused.is_some_and(|why| why.contains("host name")), "{name:?}");
        }
        let control = Host { os: "Debian\u{7}".to_owned(), ..host("web") };
        assert!(sound(control).is_err());
        for machine in ["", "a b", "\u{7f}", "ö"] {
            assert!(sound(Host { machine: machine.to_owned(), ..host("web") }).is_err());
        }
    }

    #[test]
    fn what_a_device_says_of_itself_is_bounded() {
        let loud = Host {
            os: format!("x\u{1b}[2J{}", "y".repeat(9_999)),
            addresses: ["10.0.0.1", "fe80::1%eth0", "nowhere", "<script>"]
                .map(str::to_owned)
                .into(),
            can: vec!["isolate".to_owned(); 1_000],
            lacks: vec![("w".repeat(500), "z".repeat(5_000)); 1_000],
            ..host("web")
        };
        let kept = bounded(loud);
        assert_eq!(kept.os.chars().count(), TEXT);
        assert!(!kept.os.chars().any(char::is_control));
        assert_eq!(kept.addresses, ["10.0.0.1", "fe80::1%eth0"]);
        assert_eq!((kept.can.len(), kept.lacks.len()), (ENTRIES, ENTRIES));
        assert_eq!((kept.lacks[0].0.len(), kept.lacks[0].1.len()), (ENTRIES, WHY));
    }
}
