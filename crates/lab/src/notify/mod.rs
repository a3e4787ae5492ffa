//! R3: no notification is lost and none comes under two ids, whatever is killed.
//!
//! Experts respond to incidents of a customer with contacts, webhooks and a channel of a team chat, and
//! write to it, and its administrator sends tests, while
//! the server is killed again and again, at named places too; the mail server and the receivers of
//! webhooks and the chat fail before and after they took something. Then the weather clears, and everything that
//! was acknowledged must have arrived at everybody, once or more, under one id, and stand in the chat once, each word below its
//! incident's one post. Not here: what a
//! receiver refuses for good, and 72 hours (tests of the server, on a clock of their own).

pub(crate) mod chat;
pub(crate) mod checker;
pub(crate) mod fanout;
pub(crate) mod sink;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::args::{self, Args, Store};
use crate::clock;
use crate::crash::checker::Violation;
use crate::crash::{last_words, tell};
use crate::hostile::set_up;
use crate::http::{Client, Failure, Reply, Request};
use crate::out;
use crate::postgres::Cluster;
use crate::random::Random;
use crate::respond::session;
use crate::server::{EXPERT_PERMISSIONS, Install, Scratch, Server, free_address};
use checker::{Asked, End, Seen};
use sink::Taken;

/// Contacts and webhooks of the customer.
const CONTACTS: usize = 8;
const HOOKS: usize = 4;
/// Incidents that are responded to, and after how many words the next one is.
const INCIDENTS: usize = 12;
const WORDS: usize = 12;
/// Experts who write.
const EXPERTS: usize = 2;
/// How long a start may take before the run is given up.
const READY_PATIENCE: Duration = Duration::from_mins(1);
/// How long what waits may take once the weather is clear: a lane may be held by a process that is
/// gone, and then pause.
const SETTLE_PATIENCE: Duration = Duration::from_mins(4);
/// Where the binary can be asked to stop dead.
const FAILPOINTS: [&str; 4] = [
    "notification.after_sent",
    "chat.after_post",
    "notification.before_settled",
    "chat.before_post",
];

/// What to do.
#[derive(Clone, Debug)]
struct Plan {
    riposte: PathBuf,
    scratch: PathBuf,
    kills: u64,
    seed: u64,
    keep: bool,
}

/// Where the clients send to, for now; nowhere while there is no server.
type Target = Option<SocketAddr>;

/// Runs as the command line says; `false` when something was found.
pub(crate) async fn run(mut args: Args) -> Result<bool, String> {
    let riposte = args.text("--riposte")?.ok_or("notify needs --riposte PATH")?;
    let stores = args::stores(&args.value("--store", "sqlite".to_owned())?)?;
    let plan = Plan {
        riposte: riposte.into(),
        scratch: args.value("--scratch", std::env::temp_dir())?,
        kills: args.value("--kills", 15)?,
        seed: args.value("--seed", 1)?,
        keep: args.flag("--keep"),
    };
    args.finish()?;
    let mut found = Vec::new();
    for store in stores {
        found.push((store, on_store(&plan, store).await?));
    }
    Ok(last_words(&found))
}

async fn on_store(plan: &Plan, store: Store) -> Result<Vec<Violation>, String> {
    let scratch = Scratch::new(&plan.scratch, &format!("notify-{}", store.name()), plan.keep)?;
    out::note(&format!("notify lab on {} in {}", store.name(), scratch.path.display()));
    let cluster = match store {
        Store::Sqlite => None,
        Store::Postgres => Some(Cluster::start(&scratch.path.join("pg"), plan.keep).await?),
    };
    let taken = Taken::new(plan.seed);
    let mail = sink::mail(Arc::clone(&taken)).await?;
    let hooks = sink::hooks(Arc::clone(&taken)).await?;
    let (channel, slack) = chat::slack(Arc::clone(&taken)).await?;
    let store_url = cluster.as_ref().map(Cluster::url);
    let install = Install::new(&plan.riposte, &scratch.path.join("data"), store_url)
        .with("RIPOSTE_MAIL_SMTP", &format!("smtp://{mail}"))
        .with("RIPOSTE_MAIL_FROM", "Harbour Watch <soc@harbour.example>")
        .with("RIPOSTE_CHAT_SLACK_URL", &format!("http://{}", slack.address));
    install.init(None).await?;
    let tenant = install.tenant_add("Alder Freight").await?;
    let experts = install.app_with(None, "experts", &EXPERT_PERMISSIONS).await?;
    let log = scratch.path.join("server.log");
    let address = free_address()?;
    let mut server = install.serve(address, &log, None)?;
    server.ready(READY_PATIENCE).await?;

    let ida = person(&install, address, &tenant, "ida@alder.example").await?;
    let receivers = ida.receivers(address, hooks.address).await?;
    let question = ida.ask(address).await?;
    ida.connect(address).await?;
    let shown = server.token(&experts).await?;
    let sender = install.app_add(Some(&tenant), "edr").await?;
    let sender = server.token(&sender).await?;
    let incidents = ida.incidents(address, (&shown, &sender)).await?;

    let (target, _) = watch::channel::<Target>(None);
    let mut clients: Vec<JoinHandle<Result<Vec<Asked>, String>>> = Vec::new();
    for number in 0..EXPERTS {
        let path = format!("/api/v1/conversations/{question}/messages");
        let shown = server.token(&experts).await?;
        clients.push(tokio::spawn(write(number, path, shown, target.subscribe())));
    }
    let responding = tokio::spawn(respond(incidents, shown, target.subscribe()));
    let contacts = receivers.contacts.clone();
    let tests = tokio::spawn(test(ida.clone(), contacts, target.subscribe()));

    let at_failpoints = kill(plan, &install, (address, &log), server, &target).await?;
    // The weather clears, and the last server has time.
    taken.calm();
    let mut server = install.serve(address, &log, None)?;
    server.ready(READY_PATIENCE).await?;
    target.send_replace(Some(address));
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop(target);
    let mut seen = Seen { receivers: receivers.all(), ..Seen::default() };
    for client in clients {
        seen.asked.extend(client.await.map_err(|error| format!("client: {error}"))??);
    }
    let (published, said) = responding.await.map_err(|error| format!("client: {error}"))??;
    seen.asked.extend(said);
    seen.published = published;
    seen.tests = tests.await.map_err(|error| format!("client: {error}"))??;
    let settled = Instant::now();
    loop {
        seen.left = ida.left(address).await?;
        if seen.left == 0 || settled.elapsed() > SETTLE_PATIENCE {
            break;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let settled = settled.elapsed();
    seen.receipts = taken.receipts();
    seen.posts = channel.posts();
    let mut violations = checker::check(&seen);
    if let Err(message) = server.stop().await {
        violations.push(Violation { invariant: "SIGTERM", message });
    }
    let verified = install.verify().await?;
    if !verified.ok {
        let message = format!("the audit tree does not fit at {}", verified.first_bad);
        violations.push(Violation { invariant: "audit", message });
    }
    tell(store, &violations);
    let ended = |end: End| seen.asked.iter().filter(|it| it.end == end).count();
    let marked: std::collections::BTreeSet<_> =
        seen.receipts.iter().map(|it| (&it.receiver, &it.id)).collect();
    out::result(&json!({
        "id": "R3",
        "store": store.name(),
        "value": violations.len(),
        "unit": "violations",
        "floor": 0,
        "target": 0,
        "ok": violations.is_empty(),
        "seed": plan.seed,
        "kills": plan.kills,
        "atFailpoints": at_failpoints,
        "receivers": CONTACTS + HOOKS,
        "messages": { "acknowledged": ended(End::Done), "refused": ended(End::Refused), "unknown": ended(End::Unknown) },
        "tests": seen.tests.len(),
        "published": seen.published.len(),
        "posts": seen.posts.len(),
        "arrived": marked.len(),
        "arrivedAgain": seen.receipts.len() - marked.len(),
        "faults": taken.faults(),
        "settleSeconds": settled.as_secs_f64(),
        "leaves": verified.leaves,
    }));
    drop(cluster);
    Ok(violations)
}

/// Kills the server again and again under load; gives how often at a named place.
async fn kill(
    plan: &Plan,
    install: &Install,
    (address, log): (SocketAddr, &std::path::Path),
    first: Server,
    target: &watch::Sender<Target>,
) -> Result<u64, String> {
    let mut random = Random::new(plan.seed);
    let mut running = Some(first);
    let mut at_failpoints = 0;
    for kill in 0..plan.kills {
        let failpoint = (kill % 2 == 1).then(|| {
            let name = FAILPOINTS.get(kill as usize / 2 % FAILPOINTS.len()).unwrap_or(&"");
            format!("{name}:{}", random.between(1, 60))
        });
        let mut server = if let Some(server) = running.take() {
            server
        } else {
            let mut server = install.serve(address, log, failpoint.as_deref())?;
            match server.ready(READY_PATIENCE).await {
                Ok(_) => server,
                // What waited may bring it to its place before it is ready.
                Err(_) if failpoint.is_some() && server.exited().is_some() => {
                    at_failpoints += 1;
                    continue;
                }
                Err(error) => return Err(error),
            }
        };
        target.send_replace(Some(address));
        // A third lives long enough to take over what the one before held.
        let longest = if kill % 3 == 2 { 9_000 } else { 2_500 };
        let lasts = Duration::from_millis(random.between(100, longest));
        let lasts = if failpoint.is_some() { lasts.max(Duration::from_secs(7)) } else { lasts };
        if server.ends(lasts).await {
            if failpoint.is_none() {
                return Err("riposte serve ended by itself".to_owned());
            }
            at_failpoints += 1;
        }
        server.kill().await?;
        target.send_replace(None);
    }
    out::note(&format!("{} kills, {at_failpoints} at named places", plan.kills));
    Ok(at_failpoints)
}

/// How a request ended.
fn end(reply: &Result<Reply, Failure>) -> End {
    match reply {
        Ok(reply) if reply.ok() => End::Done,
        Ok(reply) if reply.status < 500 => End::Refused,
        Err(Failure::NotSent(_)) => End::Refused,
        Ok(_) | Err(Failure::Unknown(_)) => End::Unknown,
    }
}

/// An expert writes, until there is nobody to write to any more.
async fn write(
    number: usize,
    path: String,
    token: String,
    mut target: watch::Receiver<Target>,
) -> Result<Vec<Asked>, String> {
    let mut asked = Vec::new();
    for count in 0.. {
        let Some(address) = next(&mut target).await else { break };
        let mark = format!("e{number}-{count}");
        let body = json!({ "text": format!("mark-{mark}. Please look at it.") }).to_string();
        let request = Request::json("POST", &path, &token, body.as_bytes());
        let reply = Client::new(address).patient(Duration::from_secs(15)).send(&request).await;
        if let Ok(reply) = &reply
            && (400..500).contains(&reply.status)
        {
            return Err(format!("an expert was refused: {}", reply.excerpt()));
        }
        asked.push(Asked { mark, end: end(&reply), incident: None });
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    Ok(asked)
}

/// An expert publishes responses one after the other, and writes about those that are.
async fn respond(
    incidents: Vec<String>,
    token: String,
    mut target: watch::Receiver<Target>,
) -> Result<(BTreeMap<String, End>, Vec<Asked>), String> {
    let (mut published, mut asked) = (BTreeMap::new(), Vec::new());
    let mut done: Vec<&String> = Vec::new();
    for count in 0.. {
        let Some(address) = next(&mut target).await else { break };
        let mut client = Client::new(address).patient(Duration::from_secs(15));
        let told = if count % WORDS == 0 { None } else { done.get(count % done.len().max(1)) };
        if let Some(incident) = told {
            let mark = format!("i{incident}-{count}");
            let path = format!("/api/v1/conversations/incident-{incident}/messages");
            let body = json!({ "text": format!("mark-{mark}. Please look at it.") }).to_string();
            let request = Request::json("POST", &path, &token, body.as_bytes());
            let reply = client.send(&request).await;
            if let Ok(reply) = &reply
                && (400..500).contains(&reply.status)
            {
                return Err(format!("an expert was refused: {}", reply.excerpt()));
            }
            let incident = Some((*incident).clone());
            asked.push(Asked { mark, end: end(&reply), incident });
        } else if let Some(incident) = incidents.get(done.len()) {
            let path = format!("/api/v1/incidents/{incident}/publish");
            let body = json!({
                "classification": "truePositive", "determination": "malware",
                "summary": "A loader that talks to its server.",
            });
            let body = body.to_string();
            let reply = client.send(&Request::json("POST", &path, &token, body.as_bytes())).await;
            // One that nobody knows of is asked for again, and may be refused since it is done.
            let before = published.get(incident).copied();
            let ended = match end(&reply) {
                End::Refused if before == Some(End::Unknown) => End::Unknown,
                ended => ended,
            };
            match (&reply, ended) {
                (Ok(reply), End::Refused) => {
                    return Err(format!("nothing was published: {}", reply.excerpt()));
                }
                (_, End::Refused) => {}
                (Ok(_), End::Unknown) => {
                    published.insert(incident.clone(), ended);
                    done.push(incident);
                }
                (_, ended) => {
                    published.insert(incident.clone(), ended);
                    if ended == End::Done {
                        done.push(incident);
                    }
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(120)).await;
    }
    Ok((published, asked))
}

/// The administrator sends tests; gives those that were acknowledged.
async fn test(
    ida: Ida,
    contacts: Vec<(String, String)>,
    mut target: watch::Receiver<Target>,
) -> Result<Vec<(String, String)>, String> {
    let mut acknowledged = Vec::new();
    for (id, email) in contacts.iter().cycle() {
        let Some(address) = next(&mut target).await else { break };
        let path = format!("/api/v1/contacts/{id}/test");
        if let Ok(reply) = ida.send(address, "POST", &path, Some(&json!({}))).await
            && reply.status == 202
            && let Some(delivery) = reply.json()["deliveryId"].as_str()
        {
            acknowledged.push((delivery.to_owned(), email.clone()));
        }
        tokio::time::sleep(Duration::from_millis(90)).await;
    }
    Ok(acknowledged)
}

/// Posts something that is good.
async fn must(client: &mut Client, path: &str, token: &str, body: &Value) -> Result<(), String> {
    let body = body.to_string();
    let reply = client.send(&Request::json("POST", path, token, body.as_bytes())).await;
    let reply = reply.map_err(|error| format!("{path}: {error}"))?;
    if reply.ok() { Ok(()) } else { Err(format!("{path}: {}", reply.excerpt())) }
}

/// Where to send to next; waits while there is no server, `None` at the end.
async fn next(target: &mut watch::Receiver<Target>) -> Option<SocketAddr> {
    loop {
        // The last one is served until its sender is gone.
        target.has_changed().ok()?;
        let address = *target.borrow_and_update();
        if address.is_some() {
            return address;
        }
        target.changed().await.ok()?;
    }
}

/// The customer's administrator.
#[derive(Clone, Debug)]
struct Ida {
    cookie: String,
}

/// An administrator of a customer, set up and signed in.
async fn person(
    install: &Install,
    address: SocketAddr,
    tenant: &str,
    email: &str,
) -> Result<Ida, String> {
    let role = "Security Administrator";
    let words = ["user", "add", "--tenant", tenant, "--email", email, "--role", role];
    let added = install.run(&words, None).await?;
    let link = added["setupUrl"].as_str().ok_or("user add gives no link")?;
    Ok(Ida { cookie: session(&set_up(address, link, "Ida Berg").await?)? })
}

/// Who is told.
struct Receivers {
    /// Each contact's id and address.
    contacts: Vec<(String, String)>,
    hooks: Vec<String>,
}

impl Receivers {
    fn all(&self) -> std::collections::BTreeSet<String> {
        let contacts = self.contacts.iter().map(|(_, email)| email.clone());
        contacts.chain(self.hooks.iter().cloned()).collect()
    }
}

impl Ida {
    async fn send(
        &self,
        address: SocketAddr,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Reply, Failure> {
        let headers = format!("X-Riposte: 1\r\nCookie: {}\r\n", self.cookie);
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = if body.is_empty() {
            Request { method, headers: &headers, ..Request::get(path, "") }
        } else {
            Request { headers: &headers, ..Request::json(method, path, "", body.as_bytes()) }
        };
        Client::new(address).patient(Duration::from_secs(15)).send(&request).await
    }

    async fn must(
        &self,
        address: SocketAddr,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, String> {
        let reply = self.send(address, "POST", path, body).await;
        let reply = reply.map_err(|error| format!("{path}: {error}"))?;
        if reply.ok() { Ok(reply.json()) } else { Err(format!("{path}: {}", reply.excerpt())) }
    }

    async fn receivers(&self, address: SocketAddr, hooks: SocketAddr) -> Result<Receivers, String> {
        let mut all = Receivers { contacts: Vec::new(), hooks: Vec::new() };
        for number in 0..CONTACTS {
            let email = format!("duty{number}@alder.example");
            let id = self.contact(address, &format!("Duty {number}"), &email).await?;
            all.contacts.push((id, email));
        }
        for number in 0..HOOKS {
            self.hook(address, &format!("http://{hooks}/{number}")).await?;
            all.hooks.push(format!("/{number}"));
        }
        Ok(all)
    }

    /// Adds a contact; gives its id.
    async fn contact(
        &self,
        address: SocketAddr,
        name: &str,
        email: &str,
    ) -> Result<String, String> {
        let wanted = json!({
            "name": name, "kind": "group", "email": email, "role": "incidentNotification",
        });
        let added = self.must(address, "/api/v1/contacts", Some(&wanted)).await?;
        added["id"].as_str().map(str::to_owned).ok_or_else(|| format!("no contact: {added}"))
    }

    /// Adds a webhook.
    async fn hook(&self, address: SocketAddr, url: &str) -> Result<(), String> {
        let wanted = json!({ "name": "Hook", "url": url });
        self.must(address, "/api/v1/webhooks", Some(&wanted)).await.map(drop)
    }

    /// Takes the newest webhook away.
    async fn forget_a_hook(&self, address: SocketAddr) -> Result<(), String> {
        let path = "/api/v1/webhooks";
        let reply = self.send(address, "GET", path, None).await;
        let all = reply.map_err(|error| format!("{path}: {error}"))?.json();
        let last = all["value"].as_array().and_then(|all| all.last());
        let id = last.and_then(|it| it["id"].as_str()).ok_or("no webhook")?;
        let path = format!("{path}/{id}");
        let reply = self.send(address, "DELETE", &path, None).await;
        let reply = reply.map_err(|error| format!("{path}: {error}"))?;
        if reply.ok() { Ok(()) } else { Err(format!("{path}: {}", reply.excerpt())) }
    }

    /// Connects the channel of the team chat.
    async fn connect(&self, address: SocketAddr) -> Result<(), String> {
        let wanted = json!({
            "vendor": "slack", "settings": { "channelId": chat::PLACE },
            "secrets": { "botToken": chat::TOKEN, "signingSecret": chat::SECRET },
        });
        self.must(address, "/api/v1/chat-channels", Some(&wanted)).await.map(drop)
    }

    /// Incidents that experts have begun to respond to; `token` is theirs and of who sends alerts.
    async fn incidents(
        &self,
        address: SocketAddr,
        (token, sender): (&str, &str),
    ) -> Result<Vec<String>, String> {
        let grant = json!({ "level": "reader", "approval": "automatic", "endDateTime": null });
        let granted = self.send(address, "PUT", "/api/v1/grant", Some(&grant)).await;
        let granted = granted.map_err(|error| format!("the grant: {error}"))?;
        if !granted.ok() {
            return Err(format!("the grant: {}", granted.excerpt()));
        }
        let mut client = Client::new(address).patient(Duration::from_secs(15));
        for number in 0..INCIDENTS {
            let (id, at) = (format!("quay-{number}"), clock::graph_time(clock::now_seconds()));
            let alert = json!({
                "id": id, "providerAlertId": id, "title": "Script interpreter fetched a payload",
                "severity": "high", "category": "Execution", "createdDateTime": at,
                "lastUpdateDateTime": at, "firstActivityDateTime": at, "lastActivityDateTime": at,
                "serviceSource": "microsoftDefenderForEndpoint",
                "evidence": [{
                    "@odata.type": "#microsoft.graph.security.deviceEvidence",
                    "deviceDnsName": format!("{id}.alder.example"), "hostName": id,
                }],
            });
            must(&mut client, "/api/v1/alerts", sender, &alert).await?;
        }
        let began = Instant::now();
        let found = loop {
            let page = client.get("/api/v1/incidents?top=100", token).await;
            let page = page.map_err(|error| format!("incidents: {error}"))?.json();
            let ids: Vec<String> = page["value"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|it| Some(it["id"].as_str()?.to_owned()))
                .collect();
            if ids.len() >= INCIDENTS {
                break ids;
            }
            if began.elapsed() > READY_PATIENCE {
                return Err(format!("{} incidents came of {INCIDENTS} alerts", ids.len()));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        for id in &found {
            let path = format!("/api/v1/incidents/{id}");
            must(&mut client, &format!("{path}/start"), token, &json!({})).await?;
            let task = json!({ "actionType": "text", "displayName": "Call the duty officer" });
            must(&mut client, &format!("{path}/tasks"), token, &task).await?;
        }
        Ok(found)
    }

    /// Begins a conversation that experts answer in; gives its id.
    async fn ask(&self, address: SocketAddr) -> Result<String, String> {
        let question = json!({ "subject": "Is it over?", "text": "We see nothing more." });
        let asked = self.must(address, "/api/v1/conversations", Some(&question)).await?;
        asked["id"].as_str().map(str::to_owned).ok_or_else(|| format!("no question: {asked}"))
    }

    /// How many deliveries wait or were given up, as far as one page shows.
    async fn left(&self, address: SocketAddr) -> Result<u64, String> {
        let mut left = 0;
        for state in ["waiting", "dead"] {
            let path = format!("/api/v1/deliveries?state={state}&top=200");
            let reply = self.send(address, "GET", &path, None).await;
            let reply = reply.map_err(|error| format!("{path}: {error}"))?;
            if !reply.ok() {
                return Err(format!("{path}: {}", reply.excerpt()));
            }
            left += reply.json()["value"].as_array().map_or(0, Vec::len) as u64;
        }
        Ok(left)
    }
}
