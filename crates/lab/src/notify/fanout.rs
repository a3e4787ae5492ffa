//! P9: how many deliveries a second, what one receiver that never answers costs the others, and how
//! soon a word is with the first channel's server.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::TcpListener;

use super::{Ida, person, sink};
use crate::histogram::Histogram;
use crate::http::{Client, Request};
use crate::server::{EXPERT_PERMISSIONS, Install, Server};
use crate::trivial::{Responder, Seen, json as reply};

/// Customers, webhooks of each, and words in the burst for each.
const CUSTOMERS: usize = 4;
const HOOKS: usize = 20;
const BURST: usize = 40;
/// Words one after the other, for the latency, and how often without and with a tarpit.
const WORDS: usize = 100;
const ROUNDS: usize = 3;
/// Words that wait for a tarpit.
const FILL: usize = 200;
const PAUSE: Duration = Duration::from_millis(60);
const PATIENCE: Duration = Duration::from_mins(3);

/// What was measured.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) deliveries: usize,
    pub(crate) took: Duration,
    /// From the moment a word leaves until it is with a receiver.
    pub(crate) alone: Histogram,
    /// The same beside one receiver that never answers.
    pub(crate) beside: Histogram,
    /// The same until it is with the mail server.
    pub(crate) mail: Histogram,
}

/// When each mark arrived where.
type Arrived = Arc<Mutex<HashMap<(String, String), Instant>>>;

struct Customer {
    ida: Ida,
    question: String,
}

/// Measures on an installation that is set up and not yet served.
pub(crate) async fn measure(install: Install, log: &std::path::Path) -> Result<Measured, String> {
    let mails = sink::Taken::new(1);
    mails.calm();
    let mail = sink::mail(Arc::clone(&mails)).await?;
    let install = install
        .with("RIPOSTE_MAIL_SMTP", &format!("smtp://{mail}"))
        .with("RIPOSTE_MAIL_FROM", "soc@harbour.example");
    let arrived: Arrived = Arc::default();
    let hooks = hooks(Arc::clone(&arrived)).await?;
    let experts = install.app_with(None, "experts", &EXPERT_PERMISSIONS).await?;
    let mut server = install.serve_ready(log).await?;
    let address = server.address;
    let mut customers = Vec::new();
    for number in 0..CUSTOMERS {
        let tenant = install.tenant_add(&format!("Alder Freight {number}")).await?;
        let ida = person(&install, address, &tenant, &format!("ida@alder{number}.example")).await?;
        for hook in 0..HOOKS {
            ida.hook(address, &format!("http://{}/{number}-{hook}", hooks.address)).await?;
        }
        customers.push(Customer { question: ida.ask(address).await?, ida });
    }
    let token = server.token(&experts).await?;
    let mut client = Client::new(address);

    let began = Instant::now();
    for word in 0..BURST {
        for (number, customer) in customers.iter().enumerate() {
            say(&mut client, &token, customer, &format!("burst{number}-{word}")).await?;
        }
    }
    let deliveries = CUSTOMERS * HOOKS * BURST;
    until(&arrived, deliveries).await?;
    let took = began.elapsed();
    arrived.lock().unwrap_or_else(PoisonError::into_inner).clear();

    let [first, other, ..] = customers.as_slice() else { return Err("no customers".to_owned()) };
    // One place is made for the tarpit; it is another customer's, and nobody else may feel it.
    other.ida.forget_a_hook(address).await?;
    let (mut alone, mut beside) = (Histogram::default(), Histogram::default());
    // Both by turns: what else the machine does falls on both.
    for round in 0..ROUNDS {
        latency(&mut client, &token, first, &arrived, (&mut alone, &format!("alone{round}-")))
            .await?;
        let tarpit = tarpit().await?;
        other.ida.hook(address, &format!("http://{tarpit}/never")).await?;
        for word in 0..FILL {
            say(&mut client, &token, other, &format!("tar{round}-{word}")).await?;
        }
        // What the other customer's own receivers are told is over: only the tarpit has any left.
        until(&arrived, FILL * (HOOKS - 1)).await?;
        arrived.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let name = format!("beside{round}-");
        latency(&mut client, &token, first, &arrived, (&mut beside, &name)).await?;
        other.ida.forget_a_hook(address).await?;
    }
    let mail = by_mail(&mut client, &token, (address, first), &mails).await?;
    stop(&mut server).await;
    Ok(Measured { deliveries, took, alone, beside, mail })
}

async fn stop(server: &mut Server) {
    // Who is in the tarpit is not waited for.
    let _ = server.kill().await;
}

/// A receiver that notes when what arrived.
async fn hooks(arrived: Arrived) -> Result<Responder, String> {
    let answer = move |seen: &Seen| {
        let mark = sink::mark(&String::from_utf8_lossy(&seen.body));
        let mut all = arrived.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry((seen.path.clone(), mark)).or_insert_with(Instant::now);
        reply(200, "{}")
    };
    Responder::start(answer).await.map_err(|error| format!("receiver of webhooks: {error}"))
}

/// A receiver that takes every connection and never says anything.
async fn tarpit() -> Result<SocketAddr, String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    Ok(address)
}

async fn say(client: &mut Client, token: &str, to: &Customer, mark: &str) -> Result<(), String> {
    let path = format!("/api/v1/conversations/{}/messages", to.question);
    let body = json!({ "text": format!("mark-{mark}. Please look at it.") }).to_string();
    let reply = client.send(&Request::json("POST", &path, token, body.as_bytes())).await;
    let reply = reply.map_err(|error| format!("{path}: {error}"))?;
    if reply.ok() { Ok(()) } else { Err(format!("{path}: {}", reply.excerpt())) }
}

async fn until(arrived: &Arrived, many: usize) -> Result<(), String> {
    let since = Instant::now();
    loop {
        let there = arrived.lock().unwrap_or_else(PoisonError::into_inner).len();
        if there >= many {
            return Ok(());
        }
        if since.elapsed() > PATIENCE {
            return Err(format!("{there} of {many} arrived within {PATIENCE:?}"));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Words one after the other; for each receiver, how long each took.
async fn latency(
    client: &mut Client,
    token: &str,
    to: &Customer,
    arrived: &Arrived,
    (histogram, name): (&mut Histogram, &str),
) -> Result<(), String> {
    let mut said = HashMap::new();
    for word in 0..WORDS {
        let mark = format!("{name}{word}");
        said.insert(mark.clone(), Instant::now());
        say(client, token, to, &mark).await?;
        tokio::time::sleep(PAUSE).await;
    }
    until(arrived, WORDS * HOOKS).await?;
    let mut all = arrived.lock().unwrap_or_else(PoisonError::into_inner);
    for ((_, mark), at) in all.drain() {
        let said = said.get(&mark).ok_or_else(|| format!("nobody said {mark}"))?;
        histogram.add(at.saturating_duration_since(*said));
    }
    Ok(())
}

/// How long until a word is with the mail server.
async fn by_mail(
    client: &mut Client,
    token: &str,
    (address, to): (SocketAddr, &Customer),
    mails: &sink::Taken,
) -> Result<Histogram, String> {
    to.ida.contact(address, "Duty", "duty@alder.example").await?;
    let mut histogram = Histogram::default();
    for word in 0..WORDS {
        let (mark, said) = (format!("mail{word}"), Instant::now());
        say(client, token, to, &mark).await?;
        while !mails.has(&mark) {
            if said.elapsed() > PATIENCE {
                return Err(format!("the mail {mark} did not arrive"));
            }
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
        histogram.add(said.elapsed());
    }
    Ok(histogram)
}
