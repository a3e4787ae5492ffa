//! Clients that ask for actions, take them back, draft, publish and run until told to stop, each
//! request in the journal.
//!
//! A request whose answer was lost is sent again under the same key until its fate is known, as a
//! careful client does. Between the requests of one client others go on.

mod users;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::files::{Folder, Made};
use super::journal::{self, Op, Outcome};
use crate::clock;
use crate::crash::journal::Journal;
use crate::crash::load::Target;
use crate::http::{Client, Failure, Reply, Request, escape};
use crate::random::{Random, mix};
use users::Case;
pub(crate) use users::{Duty, users};

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// How soon a request whose answer was lost is sent again.
const AGAIN: Duration = Duration::from_millis(1_500);
/// How long it is tried after the end of the load.
const LAST_TRIES: Duration = Duration::from_secs(40);
/// Ids a client keeps in mind.
const POOL: usize = 40;
/// What is taken back. A file that was restored is not: it would be looked for on the whole machine.
const REVERSIBLE: [&str; 3] = ["isolateDevice", "unIsolateDevice", "stopAndQuarantineFile"];
/// Processes that are made to be stopped.
const PROCESSES: usize = 24;

/// A device as clients know it.
#[derive(Debug)]
pub(crate) struct Aim {
    /// The server's id of it.
    pub(crate) id: String,
    /// Its name.
    pub(crate) name: String,
    /// Whose it is.
    pub(crate) tenant: usize,
    /// Whether its agent may cut it off.
    pub(crate) isolates: bool,
    /// Its files.
    pub(crate) folder: Folder,
    /// Those that are quarantined and restored again and again.
    pub(crate) pool: Vec<Made>,
}

/// What all clients share.
#[derive(Debug)]
pub(crate) struct Fleet {
    /// The devices.
    pub(crate) aims: Vec<Aim>,
    /// The customers' ids.
    pub(crate) tenants: Vec<String>,
    /// Tasks that customers may run, with whose they are.
    pub(crate) tasks: Mutex<Vec<(usize, String)>>,
    /// Processes that are there to be stopped, by number.
    pub(crate) processes: Mutex<Vec<(String, Child)>>,
    /// Says which device was just told something.
    pub(crate) poke: mpsc::Sender<usize>,
    /// Tasks about users that wait for their customer, with whose they are.
    pub(crate) user_tasks: Mutex<Vec<(usize, String)>>,
    /// What makes the content of files.
    pub(crate) seed: u64,
}

/// Who a client is: its number, and a customer's number, or none for the experts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Who {
    /// Its number.
    pub(crate) client: usize,
    /// The customer, by number; none for the experts.
    pub(crate) customer: Option<usize>,
    /// What it does for users; without it its work is about devices.
    pub(crate) duty: Option<Duty>,
}

/// A request.
#[derive(Clone, Debug)]
struct Ask {
    op: Op,
    path: String,
    body: Value,
    device: Option<usize>,
    due: Instant,
}

/// Starts one client.
pub(crate) fn start(
    who: Who,
    fleet: Arc<Fleet>,
    journal: Arc<Journal>,
    target: watch::Receiver<Target>,
) -> JoinHandle<Result<(), String>> {
    let random = Random::new(mix(fleet.seed ^ mix(who.client as u64 + 1_000)));
    let worker = Worker {
        who,
        fleet,
        journal,
        random,
        marks: 0,
        waiting: VecDeque::new(),
        actions: Vec::new(),
        newest: None,
        flow: false,
        case: Case::default(),
        made: None,
        done: Vec::new(),
    };
    tokio::spawn(worker.run(target))
}

struct Worker {
    who: Who,
    fleet: Arc<Fleet>,
    journal: Arc<Journal>,
    random: Random,
    marks: u64,
    /// Requests whose fate is not known.
    waiting: VecDeque<Ask>,
    /// Actions that can be taken back once they are done.
    actions: Vec<String>,
    /// The action it asked for last.
    newest: Option<String>,
    /// Whether an alert was sent and waits to become an incident.
    flow: bool,
    /// What it works on, where that is about users.
    case: Case,
    /// What came of its last request.
    made: Option<String>,
    /// Tasks about users that it ran.
    done: Vec<String>,
}

/// The line to a server, and the tokens of the customers and, last, of the experts.
struct Line<'a> {
    client: &'a mut Client,
    tokens: &'a [String],
}

impl Worker {
    async fn run(mut self, mut target: watch::Receiver<Target>) -> Result<(), String> {
        let mut open: Option<(SocketAddr, Client)> = None;
        let mut stopped: Option<Instant> = None;
        loop {
            let now = target.borrow_and_update().clone();
            if now.stop {
                let since = *stopped.get_or_insert_with(Instant::now);
                if self.waiting.is_empty() || since.elapsed() > LAST_TRIES {
                    return Ok(());
                }
            }
            let Some(address) = now.addresses.first().copied() else {
                if target.changed().await.is_err() {
                    return Ok(());
                }
                continue;
            };
            let (_, client) = match open.take().filter(|(known, _)| *known == address) {
                Some(known) => open.insert(known),
                None => open.insert((address, Client::new(address).patient(PATIENCE))),
            };
            let mut line = Line { client, tokens: &now.tokens };
            self.again(&mut line).await?;
            if !now.stop {
                self.step(&mut line).await?;
            }
            tokio::time::sleep(Duration::from_millis(self.random.between(40, 250))).await;
        }
    }

    fn token<'a>(&self, tokens: &'a [String]) -> &'a str {
        let place = self.who.customer.unwrap_or(tokens.len().saturating_sub(1));
        tokens.get(place).map_or("", String::as_str)
    }

    fn mark(&mut self) -> String {
        self.marks += 1;
        format!("mk{}x{}", self.who.client, self.marks)
    }

    /// Sends what is due again, one of it.
    async fn again(&mut self, line: &mut Line<'_>) -> Result<(), String> {
        let due = self.waiting.iter().position(|ask| ask.due <= Instant::now());
        if let Some(ask) = due.and_then(|place| self.waiting.remove(place)) {
            self.send(line, ask).await?;
        }
        Ok(())
    }

    async fn step(&mut self, line: &mut Line<'_>) -> Result<(), String> {
        if let Some(duty) = self.who.duty {
            return self.on_users(line, duty).await;
        }
        let fleet = Arc::clone(&self.fleet);
        // The experts act by themselves where they may; a customer on what is its own.
        let own = self.who.customer.unwrap_or(0);
        let own: Vec<usize> = (0..fleet.aims.len())
            .filter(|device| fleet.aims.get(*device).is_some_and(|aim| aim.tenant == own))
            .collect();
        let Some(device) = self.random.pick(&own).copied() else { return Ok(()) };
        let Some(aim) = fleet.aims.get(device) else { return Ok(()) };
        match self.random.below(100) {
            0..10 => self.act(line, device, "listProcesses", None, json!({})).await,
            10..26 => {
                let made = aim.folder.make(self.fleet.seed)?;
                self.act(line, device, "collectFile", Some(made.path), json!({})).await
            }
            26..33 => self.stop_process(line, device).await,
            33..53 if aim.isolates => {
                let kind = self.random.pick(&["isolateDevice", "unIsolateDevice"]).copied();
                self.act(line, device, kind.unwrap_or_default(), None, json!({})).await
            }
            33..64 => {
                let Some(made) = self.random.pick(&aim.pool).cloned() else { return Ok(()) };
                let (kind, options) = if self.random.below(2) == 0 {
                    ("stopAndQuarantineFile", json!({ "path": made.path }))
                } else {
                    ("restoreFile", json!({}))
                };
                self.act(line, device, kind, Some(made.sha256), options).await
            }
            64..71 => self.undo(line).await,
            71..78 => self.cancel(line).await,
            _ => self.elsewhere(line).await,
        }
    }

    async fn act(
        &mut self,
        line: &mut Line<'_>,
        device: usize,
        kind: &str,
        target: Option<String>,
        options: Value,
    ) -> Result<(), String> {
        let fleet = Arc::clone(&self.fleet);
        let Some(aim) = fleet.aims.get(device) else { return Ok(()) };
        let mark = self.mark();
        let mut body = json!({ "actionType": kind, "options": options, "comment": mark });
        if let Some(target) = target {
            body["target"] = Value::from(target);
        }
        let op = Op::Act { device: aim.name.clone(), kind: kind.to_owned(), mark };
        let path = format!("/api/v1/devices/{}/actions", aim.id);
        self.ask(line, op, path, body, Some(device)).await
    }

    async fn stop_process(&mut self, line: &mut Line<'_>, device: usize) -> Result<(), String> {
        let many = {
            let all = self.fleet.processes.lock().unwrap_or_else(PoisonError::into_inner);
            all.len() >= PROCESSES
        };
        let id = self.fleet.aims.get(device).map(|aim| aim.id.clone());
        let (false, Some(id)) = (many, id) else { return Ok(()) };
        let child = Command::new("sleep").arg("900").kill_on_drop(true).spawn();
        let child = child.map_err(|error| format!("sleep: {error}"))?;
        let Some(pid) = child.id() else { return Ok(()) };
        let started = started(pid)?;
        {
            let mut all = self.fleet.processes.lock().unwrap_or_else(PoisonError::into_inner);
            all.push((pid.to_string(), child));
        }
        let options = json!({ "deviceId": id, "started": started });
        self.act(line, device, "stopProcess", Some(pid.to_string()), options).await
    }

    async fn undo(&mut self, line: &mut Line<'_>) -> Result<(), String> {
        let Some(action) = self.random.pick(&self.actions).cloned() else { return Ok(()) };
        let mark = self.mark();
        let path = format!("/api/v1/actions/{action}/undo");
        let op = Op::Undo { action, mark: mark.clone() };
        self.ask(line, op, path, json!({ "comment": mark }), None).await
    }

    /// Takes the newest one back that it knows, which may not have been sent yet.
    async fn cancel(&mut self, line: &mut Line<'_>) -> Result<(), String> {
        let Some(action) = self.newest.take() else { return Ok(()) };
        let path = format!("/api/v1/actions/{action}/cancel");
        self.ask(line, Op::Cancel { action }, path, json!({}), None).await
    }

    /// The experts' responses, and what customers do with them.
    async fn elsewhere(&mut self, line: &mut Line<'_>) -> Result<(), String> {
        let Some(customer) = self.who.customer else {
            return if self.flow { self.respond(line).await } else { self.alert(line).await };
        };
        let own: Vec<String> = {
            let tasks = self.fleet.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            tasks.iter().filter(|(of, _)| *of == customer).map(|(_, id)| id.clone()).collect()
        };
        let Some(task) = self.random.pick(&own).cloned() else { return Ok(()) };
        if self.random.below(3) > 0 {
            let path = format!("/api/v1/tasks/{task}/run");
            return self.ask(line, Op::Run { task }, path, json!({}), None).await;
        }
        let mark = self.mark();
        let path = format!("/api/v1/tasks/{task}/undo");
        let op = Op::UndoTask { task, mark: mark.clone() };
        self.ask(line, op, path, json!({ "comment": mark }), None).await
    }

    /// An alert about a device, so that there is an incident to respond to.
    async fn alert(&mut self, line: &mut Line<'_>) -> Result<(), String> {
        let fleet = Arc::clone(&self.fleet);
        let Some(aim) = self.random.pick(&fleet.aims) else { return Ok(()) };
        let (id, at) = (self.mark(), clock::graph_time(clock::now_seconds()));
        let body = json!({
            "id": id, "providerAlertId": id, "title": "Script interpreter fetched a payload",
            "severity": "high", "category": "Execution", "createdDateTime": at,
            "lastUpdateDateTime": at, "firstActivityDateTime": at, "lastActivityDateTime": at,
            "serviceSource": "microsoftDefenderForEndpoint", "productName": "Endpoint protection",
            "evidence": [{
                "@odata.type": "#microsoft.graph.security.deviceEvidence",
                "deviceDnsName": aim.name, "hostName": aim.name, "osPlatform": "Linux",
            }],
        });
        let token = line.tokens.get(aim.tenant).map_or("", String::as_str);
        let path = "/api/v1/alerts";
        self.flow = self.plain(line, "POST", path, token, &body).await?.is_some();
        Ok(())
    }

    /// Takes an incident, drafts something for one of its devices and tells the customer.
    async fn respond(&mut self, line: &mut Line<'_>) -> Result<(), String> {
        self.flow = false;
        let fleet = Arc::clone(&self.fleet);
        let token = self.token(line.tokens).to_owned();
        let queue = "/api/v1/incidents?top=20";
        let Some(page) = self.plain(line, "GET", queue, &token, &Value::Null).await? else {
            return Ok(());
        };
        let rows = page["value"].as_array().cloned().unwrap_or_default();
        let open: Vec<(&str, &str)> = rows
            .iter()
            .filter(|row| row["status"] != "resolved")
            .filter_map(|row| Some((row["id"].as_str()?, row["displayName"].as_str()?)))
            // Whoever publishes these has drafted for them.
            .filter(|(_, name)| !name.contains(users::ALERT))
            .collect();
        let Some((incident, title)) = self.random.pick(&open).copied() else { return Ok(()) };
        let incident = escape(incident);
        let path = format!("/api/v1/incidents/{incident}/start");
        self.plain(line, "POST", &path, &token, &json!({})).await?;
        let named = fleet.aims.iter().find(|aim| title.contains(&aim.name));
        let Some(aim) = named.or_else(|| fleet.aims.first()) else { return Ok(()) };
        let mark = self.mark();
        let (kind, target, options) = match self.random.below(3) {
            0 if aim.isolates => {
                ("isolateDevice", json!({ "kind": "device", "id": aim.id }), json!({}))
            }
            1 if aim.isolates => {
                ("unIsolateDevice", json!({ "kind": "device", "id": aim.id }), json!({}))
            }
            _ => {
                let Some(made) = self.random.pick(&aim.pool) else { return Ok(()) };
                (
                    "stopAndQuarantineFile",
                    json!({ "kind": "file", "id": made.sha256 }),
                    json!({ "deviceId": aim.id, "path": made.path }),
                )
            }
        };
        let body = json!({ "actionType": kind, "target": target, "options": options, "description": mark });
        let op = Op::Draft { incident: incident.clone(), mark };
        let path = format!("/api/v1/incidents/{incident}/tasks");
        self.ask(line, op, path, body, None).await?;
        let mark = self.mark();
        let body = json!({
            "classification": "truePositive", "determination": "malware",
            "summary": format!("Seen on {}, {mark}.", aim.name),
        });
        let op = Op::Publish { incident: incident.clone(), mark };
        let path = format!("/api/v1/incidents/{incident}/publish");
        self.ask(line, op, path, body, None).await?;
        let path = format!("/api/v1/incidents/{incident}/response");
        if let Some(response) = self.plain(line, "GET", &path, &token, &Value::Null).await? {
            let pending = response["pending"].as_array().cloned().unwrap_or_default();
            let done = response["completed"].as_array().cloned().unwrap_or_default();
            let mut tasks = fleet.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            for task in pending.iter().chain(&done) {
                let of =
                    fleet.tenants.iter().position(|tenant| task["tenantId"] == tenant.as_str());
                let (Some(of), Some(id)) = (of, task["id"].as_str()) else { continue };
                if !tasks.iter().any(|(_, known)| known == id) {
                    tasks.push((of, id.to_owned()));
                }
            }
        }
        Ok(())
    }

    /// A request that no rule is about; the answer when it was good.
    async fn plain(
        &mut self,
        line: &mut Line<'_>,
        method: &str,
        path: &str,
        token: &str,
        body: &Value,
    ) -> Result<Option<Value>, String> {
        let number = self.journal.invoke(self.who.client, &Op::Else { path: path.to_owned() })?;
        let text = body.to_string();
        let reply = if method == "GET" {
            line.client.get(path, token).await
        } else {
            line.client.send(&Request::json(method, path, token, text.as_bytes())).await
        };
        self.journal.ended(number, journal::outcome(&reply))?;
        Ok(reply.ok().filter(Reply::ok).map(|reply| reply.json()))
    }

    async fn ask(
        &mut self,
        line: &mut Line<'_>,
        op: Op,
        path: String,
        body: Value,
        device: Option<usize>,
    ) -> Result<(), String> {
        self.send(line, Ask { op, path, body, device, due: Instant::now() }).await
    }

    async fn send(&mut self, line: &mut Line<'_>, ask: Ask) -> Result<(), String> {
        let token = self.token(line.tokens).to_owned();
        let key = ask.op.mark().map(|mark| format!("Idempotency-Key: {mark}\r\n"));
        let text = ask.body.to_string();
        let number = self.journal.invoke(self.who.client, &ask.op)?;
        let request = Request {
            headers: key.as_deref().unwrap_or_default(),
            ..Request::json("POST", &ask.path, &token, text.as_bytes())
        };
        let reply = line.client.send(&request).await;
        let outcome = journal::outcome(&reply);
        self.journal.ended(number, outcome.clone())?;
        match outcome {
            Outcome::Ok { id } => {
                self.made = id.clone().filter(|_| matches!(ask.op, Op::Draft { .. }));
                if let (Some(id), Op::Act { kind, .. }) = (id, &ask.op) {
                    if REVERSIBLE.contains(&kind.as_str()) {
                        if self.actions.len() >= POOL {
                            self.actions.remove(0);
                        }
                        self.actions.push(id.clone());
                    }
                    self.newest = Some(id);
                }
                if let Some(device) = ask.device {
                    // Nobody listens any more at the end.
                    let _ = self.fleet.poke.try_send(device);
                }
            }
            Outcome::Fail { .. } if !matches!(reply, Err(Failure::NotSent(_))) => {}
            // What was never sent may be a repetition of what was.
            _ if ask.op.mark().is_some() => {
                let due = Instant::now() + AGAIN;
                self.waiting.push_back(Ask { due, ..ask });
            }
            _ => {}
        }
        Ok(())
    }
}

/// When a process started, in clock ticks since boot.
fn started(pid: u32) -> Result<u64, String> {
    let path = format!("/proc/{pid}/stat");
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    // The name may hold blanks: numbers count from its closing bracket.
    let after = text.rsplit(')').next().unwrap_or_default();
    let ticks = after.split_whitespace().nth(19).and_then(|word| word.parse().ok());
    ticks.ok_or_else(|| format!("{path} cannot be read"))
}
