//! Clients that do a random mix of everything until told to stop, each step in the journal.
//!
//! Every incident is changed by one client only, one change after the other, so that the journal
//! has a plain order of changes for each incident.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::checker;
use super::journal::{self, Journal, Op, Outcome};
use crate::alerts::Alerts;
use crate::http::{Client, escape};
use crate::random::{Random, mix};

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Incidents a client keeps in mind.
const POOL: usize = 100;

/// Where the clients should send, or that they should stop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Target {
    /// The servers that are up; none while all are down.
    pub(crate) addresses: Vec<SocketAddr>,
    /// A token for each tenant.
    pub(crate) tokens: Vec<String>,
    /// Whether the clients are to end.
    pub(crate) stop: bool,
}

/// Who a client is.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    /// Its number.
    pub(crate) client: usize,
    /// The tenant it works for.
    pub(crate) tenant: usize,
    /// Its place among the clients of its tenant, and how many they are.
    pub(crate) share: (u64, u64),
    /// The word in everything it sends.
    pub(crate) canary: String,
    /// What makes its choices.
    pub(crate) seed: u64,
}

/// Starts one client.
pub(crate) fn start(
    who: Who,
    journal: Arc<Journal>,
    target: watch::Receiver<Target>,
) -> JoinHandle<Result<(), String>> {
    let random = Random::new(mix(who.seed ^ mix(who.client as u64)));
    let seed = who.seed.wrapping_mul(1_000).wrapping_add(who.client as u64);
    let alerts = Alerts::new(seed, 0).marked(&who.canary);
    let worker = Worker { who, journal, random, alerts, next: 0, marks: 0, incidents: Vec::new() };
    tokio::spawn(worker.run(target))
}

struct Worker {
    who: Who,
    journal: Arc<Journal>,
    random: Random,
    alerts: Alerts,
    next: u64,
    marks: u64,
    incidents: Vec<String>,
}

impl Worker {
    async fn run(mut self, mut target: watch::Receiver<Target>) -> Result<(), String> {
        let mut connections: Vec<(SocketAddr, Client)> = Vec::new();
        loop {
            let now = target.borrow_and_update().clone();
            if now.stop {
                return Ok(());
            }
            let token = now.tokens.get(self.who.tenant);
            let (Some(address), Some(token)) = (self.random.pick(&now.addresses), token) else {
                if target.changed().await.is_err() {
                    return Ok(());
                }
                continue;
            };
            connections.retain(|(known, _)| now.addresses.contains(known));
            if !connections.iter().any(|(known, _)| known == address) {
                connections.push((*address, Client::new(*address).patient(PATIENCE)));
            }
            let Some((_, client)) = connections.iter_mut().find(|(known, _)| known == address)
            else {
                continue;
            };
            self.step(client, token).await?;
            tokio::time::sleep(Duration::from_millis(self.random.below(8))).await;
        }
    }

    async fn step(&mut self, client: &mut Client, token: &str) -> Result<(), String> {
        let choice = self.random.below(100);
        match choice {
            0..55 => {
                let number = self.fresh();
                self.send_alerts(client, token, vec![number], choice.is_multiple_of(2)).await
            }
            55..63 if self.next > 0 => {
                let number = self.random.below(self.next);
                self.send_alerts(client, token, vec![number], true).await
            }
            63..78 => {
                let count = self.random.between(2, 60);
                let numbers = (0..count)
                    .map(|_| {
                        if self.random.below(5) == 0 && self.next > 0 {
                            self.random.below(self.next)
                        } else {
                            self.fresh()
                        }
                    })
                    .collect();
                self.send_alerts(client, token, numbers, false).await
            }
            78..86 => self.change(client, token).await,
            86..93 => self.comment(client, token).await,
            _ => self.look(client, token).await,
        }
    }

    fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    fn mark(&mut self) -> String {
        self.marks += 1;
        format!("mk{}x{}", self.who.client, self.marks)
    }

    async fn send_alerts(
        &mut self,
        client: &mut Client,
        token: &str,
        numbers: Vec<u64>,
        single: bool,
    ) -> Result<(), String> {
        let op = Op::Alerts { ids: numbers.iter().map(|number| self.alerts.id(*number)).collect() };
        let lines = self.alerts.lines(numbers.into_iter());
        let line = self.journal.invoke(self.who.tenant, &op)?;
        let reply = if single {
            client.post("/api/v1/alerts", token, lines.trim_end().as_bytes()).await
        } else {
            client.post_lines("/api/v1/alerts?format=graph", token, lines.as_bytes()).await
        };
        self.end(line, &op, &reply).await.map(|_| ())
    }

    async fn change(&mut self, client: &mut Client, token: &str) -> Result<(), String> {
        let Some(incident) = self.random.pick(&self.incidents).cloned() else {
            return self.look(client, token).await;
        };
        let mark = self.mark();
        let body = json!({ "customTags": checker::tags(&mark), "description": mark }).to_string();
        let path = format!("/v1.0/security/incidents/{}", escape(&incident));
        let op = Op::Patch { incident, mark };
        let line = self.journal.invoke(self.who.tenant, &op)?;
        let reply = client.patch(&path, token, body.as_bytes()).await;
        self.end(line, &op, &reply).await.map(|_| ())
    }

    async fn comment(&mut self, client: &mut Client, token: &str) -> Result<(), String> {
        let Some(incident) = self.random.pick(&self.incidents).cloned() else {
            return self.look(client, token).await;
        };
        let mark = self.mark();
        let body = json!({
            "@odata.type": "microsoft.graph.security.alertComment", "comment": mark,
        })
        .to_string();
        let path = format!("/v1.0/security/incidents/{}/comments", escape(&incident));
        let op = Op::Comment { incident, mark };
        let line = self.journal.invoke(self.who.tenant, &op)?;
        let reply = client.post(&path, token, body.as_bytes()).await;
        self.end(line, &op, &reply).await.map(|_| ())
    }

    /// Reads the newest incidents and remembers those that are this client's to change.
    async fn look(&mut self, client: &mut Client, token: &str) -> Result<(), String> {
        let path = "/v1.0/security/incidents?$top=50&$orderby=lastUpdateDateTime%20desc";
        let op = Op::Read { path: path.to_owned() };
        let line = self.journal.invoke(self.who.tenant, &op)?;
        let reply = client.get(path, token).await;
        if !self.end(line, &op, &reply).await? {
            return Ok(());
        }
        let page = reply.map_or(Value::Null, |reply| reply.json());
        let (place, of) = self.who.share;
        for row in page["value"].as_array().map(Vec::as_slice).unwrap_or_default() {
            let Some(id) = row["id"].as_str() else { continue };
            let hash = id.bytes().fold(7, |hash, byte| mix(hash ^ u64::from(byte)));
            if hash % of == place && !self.incidents.iter().any(|known| known == id) {
                if self.incidents.len() >= POOL {
                    let oldest = self.random.below(POOL as u64) as usize;
                    self.incidents.swap_remove(oldest);
                }
                self.incidents.push(id.to_owned());
            }
        }
        Ok(())
    }

    async fn end(
        &mut self,
        line: u64,
        op: &Op,
        reply: &Result<crate::http::Reply, crate::http::Failure>,
    ) -> Result<bool, String> {
        let outcome = journal::outcome(op, reply);
        let done = matches!(outcome, Outcome::Ok { .. });
        self.journal.ended(line, outcome)?;
        if !done {
            // A server that is down or refuses is not asked in a tight loop.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Scratch;
    use crate::trivial::{self, Responder};

    #[tokio::test]
    async fn a_client_does_everything_and_stops() {
        let server = Responder::start(|request| {
            if request.path.starts_with("/api/v1/alerts") {
                let count = request.body.split(|byte| *byte == b'\n').filter(|l| !l.is_empty());
                let count = count.count();
                let reply = json!({"received": count, "accepted": count, "duplicates": 0,
                    "ignored": 0, "rejected": 0, "errors": []});
                trivial::json(200, &reply.to_string())
            } else if request.method == "GET" {
                trivial::json(200, r#"{"value":[{"id":"1"},{"id":"2"}]}"#)
            } else {
                trivial::json(500, "{}")
            }
        })
        .await
        .unwrap();
        let scratch = Scratch::new(&std::env::temp_dir(), "load", false).unwrap();
        let path = scratch.path.join("journal");
        let journal = Arc::new(Journal::create(&path).unwrap());
        let (sender, receiver) = watch::channel(Target::default());
        let who = Who { client: 0, tenant: 0, share: (0, 1), canary: "c0q".to_owned(), seed: 1 };
        let client = start(who, journal, receiver);
        let tokens = vec!["t".to_owned()];
        sender.send_replace(Target { addresses: vec![server.address], tokens, stop: false });
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        sender.send_modify(|target| target.stop = true);
        client.await.unwrap().unwrap();
        let calls = journal::read(&path).unwrap();
        let count = |pick: fn(&Op) -> bool| calls.iter().filter(|call| pick(&call.op)).count();
        assert!(count(|op| matches!(op, Op::Alerts { .. })) > 10);
        assert!(count(|op| matches!(op, Op::Patch { .. })) > 0);
        assert!(count(|op| matches!(op, Op::Comment { .. })) > 0);
        assert!(calls.iter().all(|call| call.ended.is_some()));
    }
}
