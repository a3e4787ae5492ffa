//! What the time of an answer must not tell: whether a foreign id exists, and whether somebody has
//! an account (ASVS 6.3.8, 8.2.2). Questions of both kinds are asked by turns, so that what else the
//! machine does weighs on both alike; the medians may be 5 ms apart.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use totp_rs::{Builder, Secret};

use crate::http::{Client, Reply, Request};
use crate::server::Install;

/// How far apart the medians may be, in milliseconds.
pub(super) const APART_MS: f64 = 5.0;
/// Questions of each kind about ids.
const LOOKS: usize = 400;
/// Attempts to sign in of each kind; each costs a password hash.
const ATTEMPTS: usize = 60;
const PASSWORD: &str = "wet gravel under the lantern";

/// Two kinds of question, what was asked and what they took.
pub(super) struct Pair {
    /// What is compared.
    pub(super) what: String,
    /// Medians in milliseconds, of what is there and of what is not.
    pub(super) medians: (f64, f64),
    /// What else told them apart, when something did.
    pub(super) betrayed: Option<String>,
}

impl Pair {
    /// How far apart the medians are, in milliseconds.
    pub(super) fn gap(&self) -> f64 {
        (self.medians.0 - self.medians.1).abs()
    }
}

/// Measures on a fresh installation.
pub(super) async fn measure(install: &Install, log: &Path) -> Result<Vec<Pair>, String> {
    let init = install
        .run(&["init", "--provider", "Harbour Watch", "--admin", "admin@harbour.example"], None)
        .await?;
    let link = init["setupUrl"].as_str().ok_or("init gives no link")?.to_owned();
    let (ours, theirs) =
        (install.tenant_add("Alder Freight").await?, install.tenant_add("Norrland").await?);
    let ours = install.app_add(Some(&ours), "ours").await?;
    let theirs = install.app_add(Some(&theirs), "theirs").await?;
    let mut server = install.serve_ready(log).await?;
    let (token, foreign) = (server.token(&ours).await?, server.token(&theirs).await?);
    let incident = super::an_incident(server.address, &foreign).await?;
    let mut pairs = Vec::new();
    for (what, path) in [
        ("incident", "/api/v1/incidents/"),
        ("incident on the Graph face", "/v1.0/security/incidents/"),
        ("queue of a tenant", "/api/v1/incidents?tenantId="),
        ("log of a tenant", "/api/v1/audit?tenantId="),
    ] {
        let (there, nowhere) = if what.ends_with("tenant") {
            (theirs.tenant_id.clone(), "00000000-0000-4000-8000-000000000000".to_owned())
        } else {
            (incident.clone(), "999999999".to_owned())
        };
        let paths = [format!("{path}{there}"), format!("{path}{nowhere}")];
        pairs.push(looks(server.address, &token, what, &paths, [&there, &nowhere]).await?);
    }
    // So that there is an account to guess at.
    set_up(server.address, &link, "Odd Nes").await?;
    pairs.push(sign_ins(server.address).await?);
    server.stop().await?;
    Ok(pairs)
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(0.0, |time| time.as_secs_f64() * 1_000.0)
}

/// An answer without what names the request or the thing asked for.
fn plain(reply: &Reply, id: &str) -> (u16, String) {
    let mut body: Value = reply.json();
    if let Some(error) = body.get_mut("error").and_then(Value::as_object_mut) {
        error.remove("innerError");
    }
    (reply.status, body.to_string().replace(id, "ID"))
}

async fn looks(
    address: SocketAddr,
    token: &str,
    what: &str,
    paths: &[String; 2],
    ids: [&String; 2],
) -> Result<Pair, String> {
    let mut client = Client::new(address);
    let mut times = [Vec::new(), Vec::new()];
    let mut betrayed = None;
    for round in 0..LOOKS {
        let mut said = Vec::new();
        for kind in [round % 2, (round + 1) % 2] {
            let started = Instant::now();
            let reply = client.get(&paths[kind], token).await.map_err(|error| error.to_string())?;
            times[kind].push(started.elapsed());
            said.push(plain(&reply, ids[kind]));
        }
        if said[0] != said[1] || said[0].0 != 404 {
            betrayed = Some(format!("{said:?}"));
        }
    }
    let [there, nowhere] = times;
    Ok(Pair { what: what.to_owned(), medians: (median(there), median(nowhere)), betrayed })
}

async fn post(client: &mut Client, path: &str, from: &str, body: &Value) -> Result<Reply, String> {
    let headers = format!("X-Riposte: 1\r\nX-Forwarded-For: {from}\r\n");
    let body = body.to_string();
    let request = Request { headers: &headers, ..Request::json("POST", path, "", body.as_bytes()) };
    client.send(&request).await.map_err(|error| error.to_string())
}

/// Sets a person's sign-in up by the link that was sent; the reply opens the session.
pub(crate) async fn set_up(address: SocketAddr, link: &str, name: &str) -> Result<Reply, String> {
    let mut client = Client::new(address);
    let token = link.split_once('#').ok_or("the link has no secret")?.1;
    let chosen = json!({ "token": token, "name": name, "password": PASSWORD });
    let reply = post(&mut client, "/api/v1/setup/password", "192.0.2.1", &chosen).await?;
    let body = reply.json();
    let secret = body["totp"]["secret"].as_str().ok_or_else(|| reply.excerpt())?;
    let secret = Secret::try_from_base32(secret).map_err(|error| error.to_string())?;
    let totp = Builder::new().with_secret(secret).build().map_err(|error| error.to_string())?;
    let now = std::time::UNIX_EPOCH.elapsed().map_err(|error| error.to_string())?;
    let code = totp.generate(now.as_secs());
    let shown = json!({ "flow": body["flow"], "code": code.to_string() });
    let reply = post(&mut client, "/api/v1/setup/totp", "192.0.2.1", &shown).await?;
    if reply.ok() { Ok(reply) } else { Err(reply.excerpt()) }
}

async fn sign_ins(address: SocketAddr) -> Result<Pair, String> {
    let mut client = Client::new(address);
    let mut times = [Vec::new(), Vec::new()];
    let mut betrayed = None;
    for round in 0..ATTEMPTS {
        let mut said = Vec::new();
        for kind in [round % 2, (round + 1) % 2] {
            let email = if kind == 0 { "admin@harbour.example" } else { "nobody@harbour.example" };
            let body = json!({ "email": email, "password": "surely not the password" });
            // Each from an address of its own: neither pair is ever locked.
            let from = format!("198.51.{kind}.{round}");
            let started = Instant::now();
            let reply = post(&mut client, "/api/v1/sign-in/password", &from, &body).await?;
            times[kind].push(started.elapsed());
            said.push(plain(&reply, email));
        }
        if said[0] != said[1] || said[0].0 != 401 {
            betrayed = Some(format!("{said:?}"));
        }
    }
    let [there, nowhere] = times;
    let medians = (median(there), median(nowhere));
    Ok(Pair { what: "account at sign-in".to_owned(), medians, betrayed })
}
