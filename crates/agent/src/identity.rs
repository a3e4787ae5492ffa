//! Who the agent is: its key and certificate, whom it trusts, and what orders are signed with.
//!
//! Always: the folder `identity` is whole or not there; a new enrolment is written beside it and
//! takes its place in one step. The key is made here and never leaves the device.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use riposte_wire::Enrolled;
use serde::{Deserialize, Serialize};

use crate::data::Data;
use crate::fault::{During, Fault, Result};
use crate::{clock, files};

/// Who the agent is.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// What is not secret.
    pub(crate) facts: Facts,
    /// Certificate and key in PEM, one after the other.
    pub(crate) pem: Vec<u8>,
    /// Authorities to trust, in PEM; those that everybody trusts when there is none.
    pub(crate) authorities: Vec<Vec<u8>>,
    /// What emergency release codes are made of.
    pub(crate) release_secret: Vec<u8>,
}

/// What is not secret of an identity.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Facts {
    /// The agent's id.
    pub(crate) agent: String,
    /// The customer's id.
    pub(crate) tenant: String,
    /// Where the server is: `https://host:port`.
    pub(crate) server: String,
    /// The name to report instead of the host name.
    pub(crate) name: Option<String>,
    /// The public key that orders are signed with, in hex.
    pub(crate) order_key: String,
    /// Since when the certificate is there.
    pub(crate) since: i64,
}

/// A key and the request for its certificate.
pub(crate) struct Request {
    key: KeyPair,
    /// The request in PEM.
    pub(crate) pem: String,
}

/// Makes a key, and a request that asks for no name.
pub(crate) fn request() -> Result<Request> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).during("cannot make a key")?;
    let pem = CertificateParams::default()
        .serialize_request(&key)
        .and_then(|request| request.pem())
        .during("cannot make a certificate request")?;
    Ok(Request { key, pem })
}

/// Whether the agent has been enrolled.
pub(crate) fn exists(data: &Data) -> bool {
    data.identity().join("facts.json").exists()
}

/// Keeps what the server gave.
pub(crate) fn keep(
    data: &Data,
    request: &Request,
    enrolled: &Enrolled,
    authority: Option<&[u8]>,
    facts: &Facts,
) -> Result<()> {
    let order_key = STANDARD.decode(&enrolled.order_key).during("the order key is not base64")?;
    if order_key.len() != 32 {
        return Err(Fault::new("the order key has not 32 bytes"));
    }
    let secret =
        STANDARD.decode(&enrolled.release_secret).during("the release secret is not base64")?;
    if secret.len() < 32 {
        return Err(Fault::new("the release secret has not 32 bytes"));
    }
    let place = data.identity();
    let (beside, before) = (place.with_extension("new"), place.with_extension("old"));
    for left in [&beside, &before] {
        match fs::remove_dir_all(left) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(e).during(format_args!("cannot remove {}", left.display()));
            }
            _ => {}
        }
    }
    files::private_dir(&beside)?;
    files::replace(&beside.join("key.pem"), request.key.serialize_pem().as_bytes())?;
    files::replace(&beside.join("certificate.pem"), enrolled.certificate.as_bytes())?;
    files::replace(&beside.join("release.secret"), &secret)?;
    if let Some(authority) = &enrolled.authority {
        files::replace(&beside.join("authority.pem"), authority.as_bytes())?;
    }
    if let Some(authority) = authority {
        files::replace(&beside.join("given-authority.pem"), authority)?;
    }
    let facts = Facts { order_key: hex::encode(order_key), ..facts.clone() };
    files::store(&beside.join("facts.json"), &facts)?;
    read(&beside)?;
    swap(&place, &beside, &before)
}

/// Puts a new key and certificate in place of the old ones; all else stays.
pub(crate) fn renew(data: &Data, request: &Request, certificate: &str, now: i64) -> Result<()> {
    let place = data.identity();
    let (beside, before) = (place.with_extension("new"), place.with_extension("old"));
    for left in [&beside, &before] {
        match fs::remove_dir_all(left) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(e).during(format_args!("cannot remove {}", left.display()));
            }
            _ => {}
        }
    }
    files::private_dir(&beside)?;
    for name in ["release.secret", "authority.pem", "given-authority.pem"] {
        if let Some(content) = files::read(&place.join(name), 1 << 20)? {
            files::replace(&beside.join(name), &content)?;
        }
    }
    files::replace(&beside.join("key.pem"), request.key.serialize_pem().as_bytes())?;
    files::replace(&beside.join("certificate.pem"), certificate.as_bytes())?;
    let mut facts = read(&place)?.facts;
    facts.since = now;
    files::store(&beside.join("facts.json"), &facts)?;
    read(&beside)?;
    swap(&place, &beside, &before)
}

/// Puts an identity in place of the one that is there.
fn swap(place: &Path, beside: &Path, before: &Path) -> Result<()> {
    if place.exists() {
        fs::rename(place, before).during("cannot put the former identity aside")?;
    }
    fs::rename(beside, place).during("cannot put the identity in place")?;
    if let Some(folder) = place.parent() {
        files::sync_dir(folder).during("cannot put the identity in place")?;
    }
    let _ = fs::remove_dir_all(before);
    Ok(())
}

/// Puts the former identity back where an exchange stopped between its two steps.
pub(crate) fn mend(data: &Data) -> Result<()> {
    let place = data.identity();
    let before = place.with_extension("old");
    if !place.exists() && before.exists() {
        fs::rename(&before, &place).during("cannot put the former identity back")?;
    }
    Ok(())
}

/// Whether it is time for a new certificate.
pub(crate) fn is_due(since: i64, now: i64) -> bool {
    now.saturating_sub(since) >= riposte_wire::RENEW_AFTER_DAYS * clock::DAY
}

/// The identity of an enrolled agent.
pub(crate) fn load(data: &Data) -> Result<Identity> {
    if !exists(data) {
        return Err(Fault::new("the agent is not enrolled; see riposte-agent enrol --help"));
    }
    read(&data.identity())
}

/// What is not secret, when the agent is enrolled.
pub(crate) fn facts(data: &Data) -> Result<Option<Facts>> {
    files::load(&data.identity().join("facts.json"))
}

fn read(place: &Path) -> Result<Identity> {
    let file = |name: &str| files::read(&place.join(name), 1 << 20);
    let must = |name: &str| {
        file(name)?.ok_or_else(|| Fault::new(format!("{} is missing", place.join(name).display())))
    };
    let facts: Facts = files::load(&place.join("facts.json"))?
        .ok_or_else(|| Fault::new(format!("{} has no facts.json", place.display())))?;
    let mut pem = must("certificate.pem")?;
    pem.push(b'\n');
    pem.extend(must("key.pem")?);
    reqwest::Identity::from_pem(&pem).during("the certificate and key do not make an identity")?;
    let mut authorities = Vec::new();
    for name in ["authority.pem", "given-authority.pem"] {
        authorities.extend(file(name)?);
    }
    Ok(Identity { facts, pem, authorities, release_secret: must("release.secret")? })
}

impl Identity {
    /// The public key that orders are signed with.
    pub(crate) fn order_key(&self) -> Vec<u8> {
        hex::decode(&self.facts.order_key).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_renewed_long_before_it_ends() {
        let days = |days: i64| days * clock::DAY;
        assert!(!is_due(days(10), days(10 + riposte_wire::RENEW_AFTER_DAYS) - 1));
        assert!(is_due(days(10), days(10 + riposte_wire::RENEW_AFTER_DAYS)));
        // A clock that was set back makes nothing due.
        assert!(!is_due(days(900), 0) && !is_due(i64::MAX, i64::MIN));
    }
}
