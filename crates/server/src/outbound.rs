//! The one way out over HTTP: to addresses that were looked at first.
//!
//! Where to call is told by people who may mean harm: an administrator of one customer must not make
//! this process ask a host beside it, or the metadata service of its cloud (ASVS 1.3.6, 13.2.4,
//! 15.3.2). So the name is resolved here, every address it has must be public, and the connection
//! goes to the very addresses that were looked at: a name that resolves otherwise a moment later
//! gains nothing. Only https, no redirects, no proxy, an end to time and length. Two ways in for an
//! operator: `oidc.private_issuers` names origins inside its own network, and an installation that
//! serves itself only, on loopback without TLS, may call loopback. Not here: what is asked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use axum::http::{Request, Response};
use reqwest::Url;
use reqwest::redirect::Policy;

use crate::config::Config;
use crate::error::{Error, Result};

/// How long a request may take, its answer included.
const LASTS: Duration = Duration::from_secs(10);
/// How long it may take to find a name's addresses or to connect.
const CONNECT: Duration = Duration::from_secs(5);
/// The longest answer read, in bytes.
const LONGEST: usize = 1 << 20;

/// Refuses an address that could never be called, without asking anybody.
///
/// # Errors
/// `Invalid` with the reason.
pub fn require_sound(config: &Config, url: &Url) -> Result<()> {
    let refused = |why: &str| {
        let host = url.host_str().unwrap_or_default();
        Err(Error::Invalid(format!("the address of {host:?} cannot be used: {why}")))
    };
    if url.host_str().is_none_or(str::is_empty) {
        return refused("it names no host");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refused("it carries a name or a password");
    }
    match url.scheme() {
        "https" => {}
        "http" if names_loopback(url) && serves_itself(config) => {}
        _ => return refused("it must begin with https"),
    }
    if let Some(literal) = literal(url)
        && !may_connect(config, url, literal)
    {
        return refused("it is not public");
    }
    Ok(())
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Unanswered {
    /// Nothing of the request left this process: it is as if it had never been made.
    NotSent(Error),
    /// It may have arrived, and may have done what it asks for.
    Lost(Error),
}

impl From<Unanswered> for Error {
    fn from(why: Unanswered) -> Self {
        match why {
            Unanswered::NotSent(error) | Unanswered::Lost(error) => error,
        }
    }
}

/// Sends a request and reads the answer.
///
/// # Errors
/// `Invalid` when the address is not one we call, or nobody answers there as HTTP does.
pub async fn send(config: &Config, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>> {
    Ok(ask(config, request, LASTS).await?)
}

/// The same within `lasts`, for a request that does something: it matters whether it left.
///
/// # Errors
/// See [`Unanswered`]; the errors inside are those of [`send`].
pub async fn ask(
    config: &Config,
    request: Request<Vec<u8>>,
    lasts: Duration,
) -> std::result::Result<Response<Vec<u8>>, Unanswered> {
    let begun = Instant::now();
    let (parts, body) = request.into_parts();
    let url = Url::parse(&parts.uri.to_string())
        .map_err(|error| Error::Invalid(format!("an address cannot be read: {error}")))
        .map_err(Unanswered::NotSent)?;
    let host = url.host_str().unwrap_or_default().to_owned();
    let failed = |error: reqwest::Error| {
        let connected = !error.is_connect();
        let why = spelt(&error.without_url());
        let error = Error::Invalid(format!("{host} does not answer: {why}"));
        if connected { Unanswered::Lost(error) } else { Unanswered::NotSent(error) }
    };
    // A client for each request: no connection is kept that may be half dead when it is needed.
    let client = client(config, &url, lasts).await.map_err(Unanswered::NotSent)?;
    let left = lasts.saturating_sub(begun.elapsed()).max(Duration::from_millis(1));
    let request = client.request(parts.method, url).headers(parts.headers).body(body);
    let mut answer = request.timeout(left).send().await.map_err(failed)?;
    let mut whole = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(failed)? {
        if whole.len() + piece.len() > LONGEST {
            let error = Error::Invalid(format!("{host} answers more than {LONGEST} bytes"));
            return Err(Unanswered::Lost(error));
        }
        whole.extend_from_slice(&piece);
    }
    let mut response = Response::new(whole);
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    Ok(response)
}

/// A client that connects to the addresses of this host that were looked at, and nowhere else.
async fn client(config: &Config, url: &Url, lasts: Duration) -> Result<reqwest::Client> {
    let host = url.host_str().unwrap_or_default();
    let addresses = tokio::time::timeout(lasts, addresses(config, url))
        .await
        .map_err(|_| Error::Invalid(format!("{host} was not found in time")))??;
    let mut client = reqwest::Client::builder()
        .redirect(Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT)
        .timeout(LASTS)
        .resolve_to_addrs(host, &addresses);
    if let Some(path) = &config.oidc.ca {
        let pem = tokio::fs::read(path).await.map_err(|error| {
            Error::Internal(format!("cannot read oidc.ca {}: {error}", path.display()))
        })?;
        let roots = reqwest::Certificate::from_pem_bundle(&pem).map_err(Error::internal)?;
        for root in roots {
            client = client.add_root_certificate(root);
        }
    }
    client.build().map_err(Error::internal)
}

fn spelt(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

/// The addresses of a host, all of which may be called.
async fn addresses(config: &Config, url: &Url) -> Result<Vec<SocketAddr>> {
    require_sound(config, url)?;
    let port = url.port_or_known_default().unwrap_or(443);
    if let Some(literal) = literal(url) {
        return Ok(vec![SocketAddr::new(literal, port)]);
    }
    let host = url.host_str().unwrap_or_default();
    let found = tokio::time::timeout(CONNECT, tokio::net::lookup_host((host, port))).await;
    let found: Vec<SocketAddr> = match found {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(_)) | Err(_) => Vec::new(),
    };
    // One answer for a name that nobody has and for one of our own network: which names there are
    // is nobody's business.
    if found.is_empty() || !found.iter().all(|it| may_connect(config, url, it.ip())) {
        return Err(Error::Invalid(format!("{host} has no public address")));
    }
    Ok(found)
}

fn may_connect(config: &Config, url: &Url, address: IpAddr) -> bool {
    let address = address.to_canonical();
    if is_public(address) {
        return true;
    }
    if address.is_loopback() && names_loopback(url) && serves_itself(config) {
        return true;
    }
    let named = |listed: &String| {
        Url::parse(listed).is_ok_and(|it| it.origin() == url.origin() && it.scheme() == "https")
    };
    // Not even an operator means the metadata service.
    is_private(address) && config.oidc.private_issuers.iter().any(named)
}

/// The address a URL spells out, instead of a name.
fn literal(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

fn names_loopback(url: &Url) -> bool {
    url.host_str() == Some("localhost") || literal(url).is_some_and(|it| it.is_loopback())
}

/// Whether nobody but this machine reaches the installation: no TLS of its own, a loopback address,
/// and no public address that something in front of it answers at.
fn serves_itself(config: &Config) -> bool {
    let tls = config.tls.self_signed || config.tls.cert.is_some();
    let public = config.public_url.as_deref().is_some_and(|url| {
        Url::parse(url).map_or(true, |url| url.scheme() != "http" || !names_loopback(&url))
    });
    config.listen.ip().is_loopback() && !tls && !public
}

/// An address of somebody's own network, which an operator may allow.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
            v4.is_private() || v4.is_loopback() || shared
        }
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_loopback(),
    }
}

/// An address that anybody may call: none of the special ones of IANA's registries.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = a == 0
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || a >= 240
        || (a == 100 && b & 0xc0 == 64)
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && b & 0xfe == 18);
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    // What is global unicast, without what carries another address inside (6to4, Teredo) and
    // without what is for documents.
    a & 0xe000 == 0x2000
        && a != 0x2002
        && !(a == 0x2001 && (b < 0x0200 || b == 0x0db8))
        && !(a == 0x3fff && b < 0x1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound(config: &Config, text: &str) -> bool {
        Url::parse(text).is_ok_and(|url| require_sound(config, &url).is_ok())
    }

    fn exposed() -> Config {
        Config { public_url: Some("https://mdr.example".to_owned()), ..Config::default() }
    }

    #[test]
    fn only_https_to_public_addresses_is_sound() {
        for good in ["https://login.alder.example/x", "https://8.8.8.8", "https://[2606:4700::1]"] {
            assert!(sound(&exposed(), good), "{good}");
        }
        for bad in [
            "http://login.alder.example",
            "ftp://login.alder.example",
            "file:///etc/passwd",
            "gopher://login.alder.example",
            "https://user:secret@login.alder.example",
            "https://127.0.0.1",
            "https://127.1",
            "https://2130706433",
            "https://0x7f.0.0.1",
            "https://0177.0.0.1",
            "http://localhost",
            "https://0.0.0.0",
            "https://10.0.0.1",
            "https://172.16.0.1",
            "https://192.168.1.1",
            "https://100.64.0.1",
            "https://169.254.169.254/latest/meta-data",
            "https://192.0.0.192",
            "https://198.18.0.1",
            "https://203.0.113.9",
            "https://224.0.0.1",
            "https://240.0.0.1",
            "https://255.255.255.255",
            "https://[::]",
            "https://[::1]",
            "https://[::ffff:127.0.0.1]",
            "https://[::ffff:169.254.169.254]",
            "https://[::127.0.0.1]",
            "https://[64:ff9b::7f00:1]",
            "https://[2002:7f00:1::]",
            "https://[2001:0:4136:e378::1]",
            "https://[2001:db8::1]",
            "https://[fc00::1]",
            "https://[fd00:ec2::254]",
            "https://[fe80::1]",
            "https://[fec0::1]",
            "https://[ff02::1]",
        ] {
            assert!(!sound(&exposed(), bad), "{bad}");
        }
    }

    #[test]
    fn loopback_is_for_an_installation_that_serves_itself() {
        let alone = Config::default();
        assert!(sound(&alone, "http://127.0.0.1:9000") && sound(&alone, "http://localhost:9000"));
        assert!(!sound(&alone, "http://10.0.0.1"), "loopback is not the network");
        let everywhere = Config { listen: ([0, 0, 0, 0], 8470).into(), ..Config::default() };
        let mut encrypted = Config::default();
        encrypted.tls.self_signed = true;
        for config in [exposed(), everywhere, encrypted] {
            assert!(!sound(&config, "http://127.0.0.1:9000"));
            assert!(!sound(&config, "https://127.0.0.1:9000"));
        }
    }

    #[test]
    fn an_operator_may_name_an_origin_of_its_own_network() {
        let mut config = exposed();
        config.oidc.private_issuers =
            vec!["https://10.1.2.3/realms/alder".to_owned(), "https://169.254.169.254".to_owned()];
        assert!(sound(&config, "https://10.1.2.3/keys"));
        assert!(!sound(&config, "https://10.1.2.3:8443/keys"), "another port");
        assert!(!sound(&config, "https://10.1.2.4"), "another host");
        assert!(!sound(&config, "http://10.1.2.3"), "not encrypted");
        assert!(!sound(&config, "https://169.254.169.254"), "never");
    }

    #[tokio::test]
    async fn a_name_is_judged_by_what_it_resolves_to() {
        let config = exposed();
        let url = Url::parse("https://localhost/").unwrap();
        let error = addresses(&config, &url).await.unwrap_err();
        assert_eq!(error.to_string(), "localhost has no public address");
    }
}
