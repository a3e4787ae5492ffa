//! Certificates: those an operator brings, or our own small authority.
//!
//! With `--tls-self-signed` the data directory holds `tls/{ca,ca-key,cert,key}.pem`. The authority
//! is made once and kept, so that clients which trust `ca.pem` go on trusting it; the certificate
//! below it is made anew when it lacks a name or has less than [`LEFT_DAYS`] days left. Private
//! keys are readable by their owner only.
//!
//! Clients may show a certificate, and need not: agents do. The only authority asked for is that of
//! our agents, by name, so that a browser, which has no certificate of it, asks nobody anything.

use std::io::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use time::OffsetDateTime;

use crate::clock::Timestamp;
use crate::error::{Error, Result};

/// A certificate of ours with fewer days left is replaced at the next start.
pub const LEFT_DAYS: i64 = 30;
/// Days a certificate of ours lasts; clients refuse much longer ones.
const CERT_DAYS: i64 = 397;
/// Days the authority lasts.
const CA_DAYS: i64 = 20 * 365;
const DAY_S: i64 = 86_400;
/// Addresses of this machine that go into a certificate.
const ADDRESSES: usize = 64;

/// A server configuration from an operator's PEM files: the certificate chain and its key. Clients
/// may show a certificate below `agents`.
///
/// # Errors
/// `Invalid` naming the file that cannot be used.
pub fn load(
    cert: &Path,
    key: &Path,
    agents: Option<&CertificateDer<'static>>,
) -> Result<Arc<ServerConfig>> {
    let bad = |path: &Path, error: &dyn std::fmt::Display| {
        Error::Invalid(format!("the TLS file {} cannot be used: {error}", path.display()))
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect)
        .map_err(|error| bad(cert, &error))?;
    if chain.is_empty() {
        return Err(bad(cert, &"it holds no certificate"));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| bad(key, &error))?;
    warn_if_open(key);
    let clients = match agents {
        None => WebPkiClientVerifier::no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.clone()).map_err(Error::internal)?;
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
                .allow_unauthenticated()
                .build()
                .map_err(Error::internal)?
        }
    };
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(Error::internal)?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, private)
        .map_err(|error| bad(cert, &error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// A server configuration with a certificate of our own for `names` (host names and addresses),
/// kept in `dir`.
pub fn self_signed(
    dir: &Path,
    names: &[String],
    now: Timestamp,
    agents: Option<&CertificateDer<'static>>,
) -> Result<Arc<ServerConfig>> {
    make_dir(dir)?;
    let (ca, ca_key) = (dir.join("ca.pem"), dir.join("ca-key.pem"));
    let (cert, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    // What no client could ask for cannot be in a certificate.
    let names: Vec<String> =
        names.iter().filter(|name| ServerName::try_from(name.as_str()).is_ok()).cloned().collect();
    let issuer = match (ca.exists(), ca_key.exists()) {
        (true, true) => {
            let text = std::fs::read_to_string(&ca_key)
                .map_err(|error| Error::Invalid(format!("{}: {error}", ca_key.display())))?;
            let pair = KeyPair::from_pem(&text).map_err(|error| {
                Error::Invalid(format!("the key {} is damaged: {error}", ca_key.display()))
            })?;
            Issuer::new(ca_params(&pair, now), pair)
        }
        (false, false) => {
            let pair = KeyPair::generate().map_err(Error::internal)?;
            let params = ca_params(&pair, now);
            let signed = params.self_signed(&pair).map_err(Error::internal)?;
            write(&ca_key, &pair.serialize_pem(), 0o600)?;
            write(&ca, &signed.pem(), 0o644)?;
            tracing::info!("made a certificate authority of our own: {}", ca.display());
            Issuer::new(params, pair)
        }
        _ => {
            return Err(Error::Invalid(format!(
                "{} has only half of the certificate authority: restore the other file, or remove \
                 the directory to make a new one",
                dir.display()
            )));
        }
    };
    if !(key.exists() && covers(&ca, &cert, &names, now)) {
        let pair = KeyPair::generate().map_err(Error::internal)?;
        let mut params = CertificateParams::new(names.clone()).map_err(Error::internal)?;
        (params.not_before, params.not_after) = lasting(now, CERT_DAYS)?;
        params.distinguished_name.push(DnType::CommonName, "Riposte");
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let signed = params.signed_by(&pair, &issuer).map_err(Error::internal)?;
        write(&key, &pair.serialize_pem(), 0o600)?;
        write(&cert, &signed.pem(), 0o644)?;
        tracing::info!("made a certificate for {}", names.join(", "));
    }
    load(&cert, &key, agents)
}

/// The certificate of our own authority in `dir`, in PEM.
pub fn authority(dir: &Path) -> Result<String> {
    let path = dir.join("ca.pem");
    std::fs::read_to_string(&path)
        .map_err(|error| Error::Invalid(format!("cannot read {}: {error}", path.display())))
}

/// The names a certificate of ours should have: this machine's, the listening address (or all that
/// the machine has) and the public one.
#[must_use]
pub fn names(listen: SocketAddr, public_url: Option<&str>) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    names.push(host_name());
    if listen.ip().is_unspecified() {
        names.extend(addresses());
    } else {
        names.push(listen.ip().to_string());
    }
    names.extend(public_url.and_then(host_of));
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| !name.is_empty() && seen.insert(name.clone()));
    names
}

/// The name of this machine.
fn host_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::fs::read_to_string("/etc/hostname"))
        .unwrap_or_default();
    host.trim().to_ascii_lowercase()
}

/// The addresses of this machine, as the kernel lists them; none where it does not. Link-local ones
/// are left out: nobody can name them alone.
fn addresses() -> Vec<String> {
    let v4 = std::fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
    let v6 = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    let mut found: Vec<String> = local_v4(&v4).map(|ip| ip.to_string()).collect();
    found.extend(local_v6(&v6).map(|ip| ip.to_string()));
    found.sort();
    found.dedup();
    found.truncate(ADDRESSES);
    found
}

/// A leaf stands on a line of its own, and on one of the next what it is.
fn local_v4(trie: &str) -> impl Iterator<Item = Ipv4Addr> {
    let lines: Vec<&str> = trie.lines().map(str::trim).collect();
    let pairs: Vec<(&str, &str)> =
        lines.iter().copied().zip(lines.iter().skip(1).copied()).collect();
    pairs
        .into_iter()
        .filter(|(_, kind)| *kind == "/32 host LOCAL")
        .filter_map(|(leaf, _)| leaf.strip_prefix("|-- ")?.parse().ok())
        .filter(|ip: &Ipv4Addr| !ip.is_link_local())
        .collect::<Vec<_>>()
        .into_iter()
}

fn local_v6(list: &str) -> impl Iterator<Item = Ipv6Addr> {
    list.lines()
        .filter_map(|line| u128::from_str_radix(line.split_whitespace().next()?, 16).ok())
        .map(Ipv6Addr::from)
        .filter(|ip| !ip.is_unicast_link_local())
}

/// Where agents reach a listener of their own: the listening address, or one that stands for it.
#[must_use]
pub fn reachable(listening: SocketAddr, public_url: Option<&str>) -> String {
    let port = listening.port();
    let public = public_url.and_then(host_of).filter(|_| !listening.ip().is_loopback());
    let host = match (public, listening.ip()) {
        (Some(host), _) => host,
        (None, ip) if !ip.is_unspecified() => ip.to_string(),
        (None, _) => {
            Some(host_name()).filter(|name| !name.is_empty()).unwrap_or("localhost".into())
        }
    };
    if host.contains(':') {
        return format!("https://[{host}]:{port}");
    }
    format!("https://{host}:{port}")
}

fn host_of(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next()?,
        None => authority.split(':').next()?,
    };
    Some(host.to_ascii_lowercase())
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The authority's own parameters. Its name follows from its key, so that they can be put together
/// again from the key alone, and the authorities of two installations never share a name.
fn ca_params(pair: &KeyPair, now: Timestamp) -> CertificateParams {
    use sha2::{Digest, Sha256};
    let mut params = CertificateParams::default();
    if let Ok((from, until)) = lasting(now, CA_DAYS) {
        (params.not_before, params.not_after) = (from, until);
    }
    let mut mark = hex::encode(Sha256::digest(pair.public_key_raw()));
    mark.truncate(8);
    params.distinguished_name.push(DnType::CommonName, format!("Riposte authority {mark}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// From a day ago, for clocks that are late, until `days` from now.
fn lasting(now: Timestamp, days: i64) -> Result<(OffsetDateTime, OffsetDateTime)> {
    let at = |moment: Timestamp| {
        OffsetDateTime::from_unix_timestamp(moment.micros() / 1_000_000).map_err(Error::internal)
    };
    Ok((at(now.plus_seconds(-DAY_S))?, at(now.plus_seconds(days * DAY_S))?))
}

/// Whether the certificate is the authority's, has every name, and time left: asked exactly as a
/// client would.
fn covers(ca: &Path, cert: &Path, names: &[String], now: Timestamp) -> bool {
    let (Ok(ca), Ok(cert)) =
        (CertificateDer::from_pem_file(ca), CertificateDer::from_pem_file(cert))
    else {
        return false;
    };
    let mut roots = RootCertStore::empty();
    if roots.add(ca).is_err() {
        return false;
    }
    let Ok(client) =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build()
    else {
        return false;
    };
    [now, now.plus_seconds(LEFT_DAYS * DAY_S)].into_iter().all(|moment| {
        let seconds = u64::try_from(moment.micros() / 1_000_000).unwrap_or_default();
        let moment = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        names.iter().all(|name| {
            ServerName::try_from(name.as_str())
                .is_ok_and(|name| client.verify_server_cert(&cert, &[], &name, &[], moment).is_ok())
        })
    })
}

fn make_dir(dir: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(dir)
        .map_err(|error| Error::Invalid(format!("cannot make {}: {error}", dir.display())))
}

/// Writes a file under another name first: a file that is there is whole, and never for a moment
/// more readable than `mode`.
fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    let partial = path.with_extension("partial");
    let attempt = || -> std::io::Result<()> {
        let _ = std::fs::remove_file(&partial);
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
        let mut file = options.open(&partial)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&partial, path)
    };
    attempt().map_err(|error| Error::Invalid(format!("cannot write {}: {error}", path.display())))
}

#[cfg(unix)]
fn warn_if_open(key: &Path) {
    use std::os::unix::fs::PermissionsExt;
    if let Ok(found) = std::fs::metadata(key)
        && found.permissions().mode() & 0o077 != 0
    {
        tracing::warn!("the private key {} can be read by others", key.display());
    }
}

#[cfg(not(unix))]
fn warn_if_open(_key: &Path) {}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_micros(1_790_000_000_000_000)
    }

    fn names(more: &[&str]) -> Vec<String> {
        ["localhost", "127.0.0.1", "::1"].iter().chain(more).map(|&name| name.to_owned()).collect()
    }

    fn read(dir: &Path) -> [String; 4] {
        ["ca.pem", "ca-key.pem", "cert.pem", "key.pem"]
            .map(|name| std::fs::read_to_string(dir.join(name)).unwrap())
    }

    #[test]
    fn the_authority_stays_and_the_certificate_follows_names_and_time() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("tls");
        let config =
            self_signed(&dir, &names(&["bad name", "siem.alder.example"]), now(), None).unwrap();
        assert_eq!(config.alpn_protocols[0], b"h2");
        let first = read(&dir);
        assert!(covers(&dir.join("ca.pem"), &dir.join("cert.pem"), &names(&[]), now()));
        assert!(!covers(&dir.join("ca.pem"), &dir.join("cert.pem"), &names(&["10.0.0.1"]), now()));

        self_signed(&dir, &names(&[]), now().plus_seconds(300 * DAY_S), None).unwrap();
        assert_eq!(read(&dir), first, "reused while it covers the names and lasts");

        self_signed(&dir, &names(&["10.0.0.1"]), now(), None).unwrap();
        let second = read(&dir);
        assert_eq!(second[..2], first[..2], "the same authority");
        assert_ne!(second[2], first[2]);
        assert!(covers(&dir.join("ca.pem"), &dir.join("cert.pem"), &names(&["10.0.0.1"]), now()));

        self_signed(&dir, &names(&[]), now().plus_seconds(370 * DAY_S), None).unwrap();
        let third = read(&dir);
        assert_ne!(third[2], second[2], "27 days left are too few");
        assert_eq!(third[0], first[0]);
    }

    #[cfg(unix)]
    #[test]
    fn keys_are_readable_by_their_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        self_signed(dir.path(), &names(&[]), now(), None).unwrap();
        for name in ["ca-key.pem", "key.pem"] {
            let mode = std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn half_an_authority_is_refused_with_a_reason() {
        let dir = tempfile::tempdir().unwrap();
        self_signed(dir.path(), &names(&[]), now(), None).unwrap();
        std::fs::remove_file(dir.path().join("ca-key.pem")).unwrap();
        let error = self_signed(dir.path(), &names(&[]), now(), None).unwrap_err();
        assert!(error.to_string().contains("only half"), "{error}");
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        self_signed(one.path(), &names(&[]), now(), None).unwrap();
        self_signed(two.path(), &names(&[]), now(), None).unwrap();
        assert!(load(&one.path().join("cert.pem"), &two.path().join("key.pem"), None).is_err());
        assert!(load(Path::new("/nowhere"), Path::new("/nowhere"), None).is_err());
    }

    #[test]
    fn names_come_from_the_addresses_without_repeats() {
        let listen = "10.1.2.3:443".parse().unwrap();
        let names = super::names(listen, Some("https://[2001:db8::1]:8443/x"));
        assert!(names.contains(&"10.1.2.3".to_owned()));
        assert!(names.contains(&"2001:db8::1".to_owned()));
        let any = super::names("0.0.0.0:443".parse().unwrap(), Some("https://siem.alder.example/"));
        assert!(!any.contains(&"0.0.0.0".to_owned()));
        assert!(any.contains(&"siem.alder.example".to_owned()));
        assert_eq!(
            super::names("127.0.0.1:1".parse().unwrap(), None)[..3],
            ["localhost", "127.0.0.1", "::1"]
        );
    }

    #[test]
    fn the_kernel_s_lists_of_addresses_are_read() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     \
                    +-- 127.0.0.0/8 2 0 2\n           |-- 127.0.0.1\n              /32 host LOCAL\n     \
                    |-- 10.1.2.3\n        /32 host LOCAL\n     |-- 10.1.2.255\n        \
                    /32 link BROADCAST\n     |-- 169.254.1.1\n        /32 host LOCAL\n";
        let found: Vec<String> = local_v4(trie).map(|ip| ip.to_string()).collect();
        assert_eq!(found, ["127.0.0.1", "10.1.2.3"]);
        let list = "00000000000000000000000000000001 01 80 10 80       lo\n\
                    20010db8000000000000000000000007 02 40 00 00     eth0\n\
                    fe800000000000000000000000000001 02 40 20 80     eth0\n";
        let found: Vec<String> = local_v6(list).map(|ip| ip.to_string()).collect();
        assert_eq!(found, ["::1", "2001:db8::7"]);
    }

    #[test]
    fn agents_are_told_an_address_that_the_certificate_has() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let public = Some("https://mdr.alder.example");
        assert_eq!(reachable(at("127.0.0.1:8471"), public), "https://127.0.0.1:8471");
        assert_eq!(reachable(at("[::1]:8471"), None), "https://[::1]:8471");
        assert_eq!(reachable(at("0.0.0.0:8471"), public), "https://mdr.alder.example:8471");
        assert_eq!(reachable(at("10.0.0.1:8471"), None), "https://10.0.0.1:8471");
        assert!(!reachable(at("0.0.0.0:8471"), None).contains("0.0.0.0"));
    }
}
