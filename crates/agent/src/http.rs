//! The way to the server: TLS with the pinned authority, JSON in and out, everything bounded.
//!
//! Always: no proxy, no redirect, no body larger than 8 MB. The addresses that were reached are
//! kept, so that an isolated device, which cannot ask for names, finds the server again.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Certificate, Client, ClientBuilder, Response, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::act::isolate;
use crate::data::Data;
use crate::fault::{During, Fault, Result};
use crate::files;
use crate::lock::lock;

/// No answer is larger.
const LARGEST: usize = 8 << 20;

/// A client that trusts these authorities, or those that everybody trusts.
pub(crate) fn builder(authorities: &[Vec<u8>]) -> Result<ClientBuilder> {
    let mut builder = Client::builder()
        .use_rustls_tls()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("riposte-agent/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(10))
        .tcp_keepalive(Duration::from_secs(20))
        .pool_max_idle_per_host(1)
        .pool_idle_timeout(Duration::from_mins(1));
    if !authorities.is_empty() {
        builder = builder.tls_built_in_root_certs(false);
        for pem in authorities {
            for certificate in
                Certificate::from_pem_bundle(pem).during("cannot read the authority")?
            {
                builder = builder.add_root_certificate(certificate);
            }
        }
    }
    Ok(builder)
}

/// A server's address, and whether it is spoken to in the clear.
pub(crate) fn server_url(text: &str) -> Result<Url> {
    let url: Url = text.parse().during(format_args!("{text:?} is not an address"))?;
    let loopback = match url.host_str() {
        None => return Err(Fault::new(format!("{text:?} names no host"))),
        Some("localhost") => true,
        Some(host) => {
            host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
        }
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if loopback => Ok(url),
        "http" => Err(Fault::new("the server must be https; http is for loopback only")),
        other => Err(Fault::new(format!("{other} is not a way to reach the server"))),
    }
}

/// Why a request came to nothing.
#[derive(Debug)]
pub(crate) enum Lost {
    /// The server said no, and in which words.
    Refused(StatusCode, String),
    /// Everything else.
    Else(Fault),
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(status, text) if text.is_empty() => {
                write!(f, "the server answered {status}")
            }
            Self::Refused(status, text) => write!(f, "the server answered {status}: {text}"),
            Self::Else(why) => why.fmt(f),
        }
    }
}

/// Sends JSON and reads JSON.
pub(crate) async fn post<T: DeserializeOwned>(
    client: &Client,
    url: Url,
    body: &impl Serialize,
    limit: Duration,
) -> std::result::Result<T, Lost> {
    let body = serde_json::to_vec(body).during("cannot spell the request").map_err(Lost::Else)?;
    let sent = client
        .post(url)
        .header("content-type", "application/json")
        .timeout(limit)
        .body(body)
        .send()
        .await;
    let response = sent.map_err(|e| Lost::Else(Fault::new(explain(&e))))?;
    let content = answered(response).await?;
    serde_json::from_slice(&content)
        .during("cannot understand the server's answer")
        .map_err(Lost::Else)
}

/// The body of a good answer, or what the server said instead.
pub(crate) async fn answered(response: Response) -> std::result::Result<Vec<u8>, Lost> {
    let status = response.status();
    let content = content(response).await.map_err(Lost::Else)?;
    if status.is_success() {
        return Ok(content);
    }
    Err(Lost::Refused(status, said(&content)))
}

/// What a refusal says, in one line for people.
fn said(content: &[u8]) -> String {
    let text = match serde_json::from_slice::<serde_json::Value>(content) {
        Ok(json) => ["/error/message", "/error", "/message", "/detail"]
            .iter()
            .find_map(|path| json.pointer(path)?.as_str().map(str::to_owned))
            .unwrap_or_default(),
        Err(_) => String::new(),
    };
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}

async fn content(mut response: Response) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| Fault::new(explain(&e)))? {
        if content.len() + chunk.len() > LARGEST {
            return Err(Fault::new("the server's answer is larger than 8 MB"));
        }
        content.extend_from_slice(&chunk);
    }
    Ok(content)
}

/// An error with what is behind it, without the address, which whoever logs it knows.
pub(crate) fn explain(e: &reqwest::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next: Option<&dyn std::error::Error> = Some(e);
    while let Some(error) = next {
        let text = error.to_string();
        if !parts.last().is_some_and(|last| last.contains(&text)) {
            parts.push(text);
        }
        next = error.source();
    }
    parts.join(": ")
}

/// Where the server is: looked up while the device may ask, remembered when it may not.
#[derive(Debug)]
pub(crate) struct Addresses {
    data: Data,
    host: String,
    port: u16,
    known: Mutex<Vec<IpAddr>>,
}

impl Addresses {
    /// The addresses of this server as they were last known.
    pub(crate) fn new(data: &Data, server: &Url) -> Self {
        let host = server.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = server.port_or_known_default().unwrap_or(443);
        let kept: Option<(String, Vec<IpAddr>)> =
            files::load(&data.addresses()).unwrap_or_default();
        let known = match (host.parse(), kept) {
            (Ok(address), _) => vec![address],
            (Err(_), Some((of, known))) if of == host => known,
            _ => Vec::new(),
        };
        Self { data: data.clone(), host, port, known: Mutex::new(known) }
    }

    /// The addresses with the port.
    pub(crate) fn known(&self) -> Vec<SocketAddr> {
        lock(&self.known).iter().map(|ip| SocketAddr::new(*ip, self.port)).collect()
    }

    async fn look_up(self: Arc<Self>) -> Vec<SocketAddr> {
        let isolated = isolate::wanted(&self.data).ok().flatten().is_some();
        if !isolated
            && let Ok(found) = tokio::net::lookup_host((self.host.as_str(), self.port)).await
        {
            let mut found: Vec<IpAddr> = found.map(|address| address.ip()).collect();
            found.sort_unstable();
            found.dedup();
            found.truncate(16);
            let news = {
                let mut known = lock(&self.known);
                let news = !found.is_empty() && *known != found;
                if news {
                    known.clone_from(&found);
                }
                news
            };
            if news && let Err(e) = files::store(&self.data.addresses(), &(&self.host, &found)) {
                tracing::warn!("{e}");
            }
        }
        self.known()
    }
}

/// The resolver that a client asks.
#[derive(Debug)]
pub(crate) struct Resolver(pub(crate) Arc<Addresses>);

impl Resolve for Resolver {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses = Arc::clone(&self.0);
        Box::pin(async move {
            let found = addresses.look_up().await;
            if found.is_empty() {
                return Err("the server's name cannot be resolved".into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_only() {
        for good in ["https://riposte.example:8443", "http://127.0.0.1:8470", "http://[::1]:1"] {
            assert!(server_url(good).is_ok(), "{good}");
        }
        for bad in
            ["http://riposte.example", "ftp://127.0.0.1", "riposte.example", "http://10.0.0.1"]
        {
            assert!(server_url(bad).is_err(), "{bad}");
        }
    }
}
