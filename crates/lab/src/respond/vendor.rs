//! A stand-in for Microsoft Graph, as connectors lead to it: it keeps users, enforces the rules of its
//! interface and misbehaves by seed.
//!
//! It takes requests and drops the line before or after it did what they ask for or amid its answer,
//! answers when nobody waits any more, does things late, does one request twice and answers it twice,
//! says 5xx of what it did, is too busy, takes tokens back, and shows what was so before for a while.
//! All of it is over within [`LATE`] and [`LAGS`], which the server is told to allow for. What comes in
//! and what is done is written down as it happens; that is the truth the checker goes by.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::random::{Random, mix};
use crate::{clock, http};

/// Our client there, and its secret.
pub(super) const CLIENT: (&str, &str) = ("riposte-lab", "a secret of the lab's own");
/// For how long the server is told to allow a product to lag, in seconds.
pub(super) const ALLOWED_S: i64 = 8;
/// How late it does what it does late, in milliseconds.
const LATE: (u64, u64) = (1_500, 3_500);
/// For how long a reading shows what was before, in milliseconds.
const LAGS: (u64, u64) = (500, 2_500);
/// How long it sits on an answer, which is longer than anybody waits for it.
const SITS: Duration = Duration::from_secs(4);
/// How long it takes a token for good.
const TOKEN_LASTS: Duration = Duration::from_secs(30);
/// Whose account nobody may change.
pub(super) const GUARDED: &str = "guarded@";
/// Whose account there is not.
pub(super) const NOBODY: &str = "nobody@";

/// What a user is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct User {
    pub(crate) enabled: bool,
    /// The sessions that hold are newer than this, in microseconds since 1970.
    pub(crate) valid_from: i64,
    pub(crate) must_change: bool,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Verb {
    Disable,
    Enable,
    EndSessions,
    ResetPassword,
}

/// Something that happened there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "camelCase")]
pub(crate) enum What {
    /// A request to do something came in.
    Asked { verb: Verb },
    /// That was answered with this status, which is no success, whatever was done.
    Said { status: u16 },
    /// Something was done to the user; `again` where it was done before for the same request.
    Done { verb: Verb, again: bool },
    /// The user was read, and this was shown.
    Read { shown: User },
}

/// What happened, when, and to whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Event {
    /// Microseconds since 1970, no two alike.
    pub(crate) at: i64,
    /// The order that the request named.
    pub(crate) order: String,
    pub(crate) user: String,
    #[serde(flatten)]
    pub(crate) what: What,
}

/// How often it misbehaved in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Requests, tokens included.
    pub(crate) requests: u64,
    /// Lines dropped before or amid an answer.
    pub(crate) dropped: u64,
    /// Requests done twice, and answered twice.
    pub(crate) twice: u64,
    /// Answers, and things done, when nobody waited any more.
    pub(crate) late: u64,
    /// Readings that showed what was before.
    pub(crate) lagged: u64,
    /// Refusals of the moment: too busy, not available, a token taken back.
    pub(crate) refused: u64,
    /// 5xx about what it did.
    pub(crate) belied: u64,
}

impl Tally {
    /// As it is printed.
    pub(crate) fn shown(&self) -> Value {
        json!({
            "vendorRequests": self.requests, "vendorDropped": self.dropped,
            "vendorTwice": self.twice, "vendorLate": self.late, "vendorLagged": self.lagged,
            "vendorRefused": self.refused, "vendorBelied": self.belied,
        })
    }
}

struct Inside {
    random: Random,
    users: BTreeMap<String, Account>,
    tokens: Vec<(String, Instant)>,
    events: Vec<Event>,
    file: File,
    tally: Tally,
    last: i64,
    /// Whether it behaves.
    calm: bool,
}

struct Account {
    is: User,
    /// What is shown until then.
    was: User,
    until: i64,
}

/// The stand-in; it stops when dropped.
#[derive(Debug)]
pub(crate) struct Vendor {
    /// Where it is.
    pub(crate) address: SocketAddr,
    inside: Shared,
    task: JoinHandle<()>,
}

type Shared = Arc<Mutex<Inside>>;

impl std::fmt::Debug for Inside {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Inside").field("tally", &self.tally).finish_non_exhaustive()
    }
}

/// A way to misbehave with a request to do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// It is too busy, and says until when.
    Busy,
    /// It is not available, and says until when.
    Away,
    /// It does it and says that it failed.
    Belie,
    /// It does it and says that it is not available, and until when.
    BelieAway,
    /// It does nothing and drops the line.
    DropBefore,
    /// It does it and drops the line.
    DropAfter,
    /// It does it and drops the line amid the answer.
    DropAmid,
    /// It does it, and answers when nobody waits any more.
    Sit,
    /// It does it late, and answers later.
    Late,
    /// It does it twice and answers twice.
    Twice,
}

/// The ways of a hundred requests; the rest goes well.
const FAULTS: [(u64, Fault); 10] = [
    (8, Fault::Busy),
    (4, Fault::Away),
    (5, Fault::Belie),
    (3, Fault::BelieAway),
    (10, Fault::DropBefore),
    (7, Fault::DropAfter),
    (6, Fault::DropAmid),
    (2, Fault::Sit),
    (4, Fault::Late),
    (6, Fault::Twice),
];

fn fault(random: &mut Random) -> Option<Fault> {
    let mut drawn = random.below(100);
    for (share, fault) in FAULTS {
        if drawn < share {
            return Some(fault);
        }
        drawn -= share;
    }
    None
}

/// What is sent back, and how.
struct Answer {
    after: Duration,
    bytes: Vec<u8>,
    /// How much of it is sent before the line is dropped; all of it when absent.
    cut: Option<usize>,
    /// What is done before it is sent.
    late: Option<(Duration, Verb)>,
}

impl Answer {
    fn now(bytes: Vec<u8>) -> Self {
        Self { after: Duration::ZERO, bytes, cut: None, late: None }
    }

    fn status(status: u16) -> Self {
        Self::now(reply(status, "", r#"{"error":{"code":"lab","message":"as it happens"}}"#))
    }

    fn later(status: u16, seconds: u64) -> Self {
        Self::now(reply(status, &format!("Retry-After: {seconds}\r\n"), "{}"))
    }
}

fn reply(status: u16, headers: &str, body: &str) -> Vec<u8> {
    let length =
        if status == 204 { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let body = if status == 204 { "" } else { body };
    format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nConnection: close\r\n{headers}{length}\r\n{body}"
    )
    .into_bytes()
}

/// A request as it came in.
struct Request {
    method: String,
    path: String,
    head: String,
    body: Vec<u8>,
}

impl Request {
    fn header(&self, name: &str) -> &str {
        http::header(&self.head, name).unwrap_or_default()
    }

    /// The user, and what is to be done; nothing for a reading.
    fn asks(&self) -> Option<(String, Option<Verb>)> {
        let path = self.path.split('?').next().unwrap_or_default().replace("%40", "@");
        let rest = path.strip_prefix("/v1.0/users/")?;
        if self.method == "GET" {
            return Some((rest.to_owned(), None));
        }
        if let Some(user) = rest.strip_suffix("/revokeSignInSessions") {
            return Some((user.to_owned(), Some(Verb::EndSessions)));
        }
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let verb = match body["accountEnabled"].as_bool() {
            Some(true) => Verb::Enable,
            Some(false) => Verb::Disable,
            None => Verb::ResetPassword,
        };
        Some((rest.to_owned(), Some(verb)))
    }
}

impl Inside {
    fn note(&mut self, order: &str, user: &str, what: What) {
        self.last = clock::now_micros().max(self.last + 1);
        let event = Event { at: self.last, order: order.to_owned(), user: user.to_owned(), what };
        if let Ok(line) = serde_json::to_string(&event) {
            // What cannot be written is still in memory, where the checker reads it.
            let _ = writeln!(self.file, "{line}");
        }
        self.events.push(event);
    }

    fn do_it(&mut self, order: &str, user: &str, verb: Verb, again: bool) {
        self.note(order, user, What::Done { verb, again });
        let lags = !self.calm && self.random.below(3) == 0;
        let (least, most) = LAGS;
        let lag = if lags { self.random.between(least, most).cast_signed() * 1_000 } else { 0 };
        let at = self.last;
        let Some(account) = self.users.get_mut(user) else { return };
        if at >= account.until {
            account.was = account.is.clone();
        }
        account.until = account.until.max(at + lag);
        match verb {
            Verb::Disable => account.is.enabled = false,
            Verb::Enable => account.is.enabled = true,
            Verb::EndSessions => account.is.valid_from = at,
            Verb::ResetPassword => account.is.must_change = true,
        }
    }

    fn token(&mut self, request: &Request) -> Answer {
        let form = String::from_utf8_lossy(&request.body).into_owned();
        let secret = format!("client_secret={}&", http::escape(CLIENT.1));
        if !form.contains(&secret) || !form.contains("grant_type=client_credentials") {
            return Answer::status(401);
        }
        if !self.calm && self.random.below(12) == 0 {
            self.tally.refused += 1;
            return Answer::later(503, 1);
        }
        let token = format!("token-{:016x}", self.random.next());
        self.tokens.push((format!("Bearer {token}"), Instant::now()));
        let body = json!({ "access_token": token, "expires_in": 3_599, "token_type": "Bearer" });
        Answer::now(reply(200, "", &body.to_string()))
    }

    fn read(&mut self, order: &str, user: &str) -> Answer {
        if !self.calm {
            match self.random.below(100) {
                0..5 => {
                    self.tally.refused += 1;
                    return Answer::later(429, 1);
                }
                5..8 => {
                    self.tally.dropped += 1;
                    return Answer { cut: Some(0), ..Answer::status(500) };
                }
                8..10 => return Answer::status(502),
                _ => {}
            }
        }
        let Some(account) = self.users.get(user) else { return Answer::status(404) };
        let lags = clock::now_micros() < account.until;
        let shown = if lags { account.was.clone() } else { account.is.clone() };
        if lags && account.was != account.is {
            self.tally.lagged += 1;
        }
        let body = json!({
            "id": user, "userPrincipalName": user, "accountEnabled": shown.enabled,
            "signInSessionsValidFromDateTime": clock::precise_time(shown.valid_from),
            "passwordProfile": { "forceChangePasswordNextSignIn": shown.must_change },
        });
        self.note(order, user, What::Read { shown });
        Answer::now(reply(200, "", &body.to_string()))
    }

    /// A request to do something.
    fn change(&mut self, order: &str, user: &str, verb: Verb) -> Answer {
        self.note(order, user, What::Asked { verb });
        let said = |status| What::Said { status };
        if user.starts_with(GUARDED) {
            self.note(order, user, said(403));
            return Answer::status(403);
        }
        if !self.users.contains_key(user) {
            self.note(order, user, said(404));
            return Answer::status(404);
        }
        let drawn = if self.calm { None } else { fault(&mut self.random) };
        let (status, body) = match verb {
            Verb::EndSessions => (200, r#"{"value":true}"#),
            _ => (204, ""),
        };
        let good = reply(status, "", body);
        let late = Duration::from_millis(self.random.between(LATE.0, LATE.1));
        let seconds = self.random.between(1, 2);
        match drawn {
            Some(Fault::Busy) => {
                self.tally.refused += 1;
                self.note(order, user, said(429));
                return Answer::later(429, seconds);
            }
            Some(Fault::Away) => {
                self.tally.refused += 1;
                self.note(order, user, said(503));
                return Answer::later(503, seconds);
            }
            Some(Fault::DropBefore) => {
                self.tally.dropped += 1;
                return Answer { cut: Some(0), ..Answer::now(good) };
            }
            Some(Fault::Late) => {
                self.tally.late += 1;
                return Answer { after: SITS, late: Some((late, verb)), ..Answer::now(good) };
            }
            _ => {}
        }
        self.do_it(order, user, verb, false);
        match drawn {
            Some(Fault::Belie) => {
                self.tally.belied += 1;
                self.note(order, user, said(500));
                Answer::status(500)
            }
            Some(Fault::BelieAway) => {
                self.tally.belied += 1;
                self.note(order, user, said(503));
                Answer::later(503, seconds)
            }
            Some(Fault::DropAfter) => {
                self.tally.dropped += 1;
                Answer { cut: Some(0), ..Answer::now(good) }
            }
            Some(Fault::DropAmid) => {
                self.tally.dropped += 1;
                Answer { cut: Some(good.len() / 2), ..Answer::now(good) }
            }
            Some(Fault::Sit) => {
                self.tally.late += 1;
                Answer { after: SITS, ..Answer::now(good) }
            }
            Some(Fault::Twice) => {
                self.tally.twice += 1;
                self.do_it(order, user, verb, true);
                Answer::now([good.clone(), good].concat())
            }
            _ => Answer::now(good),
        }
    }

    fn answer(&mut self, request: &Request) -> (Answer, String, String) {
        self.tally.requests += 1;
        let order = request.header("client-request-id").to_owned();
        if request.path == "/token" {
            return (self.token(request), order, String::new());
        }
        let bearer = request.header("authorization");
        let good =
            |(token, made): &(String, Instant)| token == bearer && made.elapsed() < TOKEN_LASTS;
        let known = self.tokens.iter().any(good);
        let (user, verb) = match request.asks() {
            Some(asks) => asks,
            None if known => {
                return (Answer::now(reply(200, "", r#"{"value":[]}"#)), order, String::new());
            }
            None => (String::new(), None),
        };
        if !known {
            self.tally.refused += 1;
            if let Some(verb) = verb {
                self.note(&order, &user, What::Asked { verb });
                self.note(&order, &user, What::Said { status: 401 });
            }
            return (Answer::status(401), order, user);
        }
        let answer = match verb {
            Some(verb) => self.change(&order, &user, verb),
            None => self.read(&order, &user),
        };
        (answer, order, user)
    }
}

impl Vendor {
    /// One with these users, that writes what happens to `journal`.
    pub(crate) async fn start(
        users: impl IntoIterator<Item = String>,
        seed: u64,
        journal: &Path,
    ) -> Result<Self, String> {
        let say = |error: std::io::Error| format!("vendor: {error}");
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(say)?;
        let address = listener.local_addr().map_err(say)?;
        let file = File::create(journal).map_err(say)?;
        let account = |name: String| {
            let is = User { enabled: true, valid_from: 1_000_000, must_change: false };
            (name, Account { was: is.clone(), is, until: 0 })
        };
        let inside = Arc::new(Mutex::new(Inside {
            random: Random::new(mix(seed ^ 0x7e4d)),
            users: users.into_iter().map(account).collect(),
            tokens: Vec::new(),
            events: Vec::new(),
            file,
            tally: Tally::default(),
            last: 0,
            calm: false,
        }));
        let shared = Arc::clone(&inside);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let inside = Arc::clone(&shared);
                // A line that breaks ends by itself; what was to be done late is done all the same.
                tokio::spawn(async move {
                    let _ = serve(stream, &inside).await;
                });
            }
        });
        Ok(Self { address, inside, task })
    }

    fn with<T>(&self, look: impl FnOnce(&mut Inside) -> T) -> T {
        look(&mut self.inside.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on it behaves.
    pub(crate) fn calm(&self) {
        self.with(|inside| inside.calm = true);
    }

    /// All that happened, in order.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.with(|inside| inside.events.clone())
    }

    /// What each user is.
    pub(crate) fn users(&self) -> BTreeMap<String, User> {
        self.with(|inside| {
            inside.users.iter().map(|(name, account)| (name.clone(), account.is.clone())).collect()
        })
    }

    /// How often it misbehaved.
    pub(crate) fn tally(&self) -> Tally {
        self.with(|inside| inside.tally)
    }
}

impl Drop for Vendor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One request; whoever asks opens a line for each.
async fn serve(mut stream: TcpStream, inside: &Shared) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer: Vec<u8> = Vec::new();
    let end = loop {
        if let Some(end) = http::head_end(&buffer) {
            break end;
        }
        http::fill(&mut stream, &mut buffer).await?;
    };
    let head: Vec<u8> = buffer.drain(..end).collect();
    let head = String::from_utf8_lossy(&head).into_owned();
    let length: usize =
        http::header(&head, "content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    while buffer.len() < length {
        http::fill(&mut stream, &mut buffer).await?;
    }
    let body = buffer.drain(..length).collect();
    let mut words = head.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let request = Request { method, path, head, body };
    let locked = || inside.lock().unwrap_or_else(PoisonError::into_inner);
    let (Answer { after, bytes, cut, late }, order, user) = locked().answer(&request);
    let mut rest = after;
    if let Some((moment, verb)) = late {
        tokio::time::sleep(moment).await;
        rest = rest.saturating_sub(moment);
        locked().do_it(&order, &user, verb, false);
    }
    tokio::time::sleep(rest).await;
    stream.write_all(bytes.get(..cut.unwrap_or(bytes.len())).unwrap_or(&bytes)).await?;
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Client, Failure, Reply};

    async fn ask(
        vendor: &Vendor,
        method: &str,
        path: &str,
        token: &str,
        body: &str,
    ) -> Result<Reply, Failure> {
        let headers = "client-request-id: o1\r\n";
        let request =
            http::Request { headers, ..http::Request::json(method, path, token, body.as_bytes()) };
        Client::new(vendor.address).send(&request).await
    }

    async fn token(vendor: &Vendor) -> String {
        let form = format!(
            "grant_type=client_credentials&client_id=x&client_secret={}&scope=y",
            http::escape(CLIENT.1)
        );
        let reply = ask(vendor, "POST", "/token", "", &form).await.unwrap();
        reply.json()["access_token"].as_str().unwrap_or_default().to_owned()
    }

    async fn vendor() -> (Vendor, tempdir::Dir) {
        let dir = tempdir::Dir::new();
        let users = ["kari@alder.example".to_owned()];
        let vendor = Vendor::start(users, 1, &dir.0.join("vendor.ndjson")).await.unwrap();
        (vendor, dir)
    }

    /// A directory of a test's own.
    mod tempdir {
        pub(super) struct Dir(pub(super) std::path::PathBuf);

        impl Dir {
            pub(super) fn new() -> Self {
                let unique = format!(
                    "riposte-vendor-{}-{:?}",
                    std::process::id(),
                    std::thread::current().id()
                );
                let path = std::env::temp_dir().join(unique);
                std::fs::create_dir_all(&path).unwrap();
                Self(path)
            }
        }

        impl Drop for Dir {
            fn drop(&mut self) {
                let _ = std::fs::remove_dir_all(&self.0);
            }
        }
    }

    #[tokio::test]
    async fn it_keeps_users_and_takes_nobody_without_a_token() {
        let (vendor, _dir) = vendor().await;
        vendor.calm();
        let path = "/v1.0/users/kari%40alder.example";
        let off = r#"{"accountEnabled":false}"#;
        assert_eq!(ask(&vendor, "PATCH", path, "forged", off).await.unwrap().status, 401);
        assert!(vendor.users()["kari@alder.example"].enabled);
        let token = token(&vendor).await;
        assert_eq!(ask(&vendor, "PATCH", path, &token, off).await.unwrap().status, 204);
        let read = ask(&vendor, "GET", &format!("{path}?$select=id"), &token, "").await.unwrap();
        assert_eq!(read.json()["accountEnabled"], false);
        let nobody = "/v1.0/users/nobody%40alder.example";
        assert_eq!(ask(&vendor, "PATCH", nobody, &token, off).await.unwrap().status, 404);
        let whats: Vec<What> = vendor.events().into_iter().map(|event| event.what).collect();
        let verb = Verb::Disable;
        assert_eq!(
            whats[..4],
            [
                What::Asked { verb },
                What::Said { status: 401 },
                What::Asked { verb },
                What::Done { verb, again: false },
            ]
        );
    }

    #[tokio::test]
    async fn it_misbehaves_in_each_way_and_writes_down_what_it_did() {
        let (vendor, _dir) = vendor().await;
        let token = token(&vendor).await;
        let path = "/v1.0/users/kari%40alder.example/revokeSignInSessions";
        let (mut lost, mut refused) = (0, 0);
        for _ in 0..60 {
            let asked = tokio::time::timeout(
                Duration::from_millis(200),
                ask(&vendor, "POST", path, &token, ""),
            );
            match asked.await {
                Ok(Ok(reply)) if reply.ok() => {}
                Ok(Ok(_)) => refused += 1,
                _ => lost += 1,
            }
        }
        let tally = vendor.tally();
        assert!(lost > 0 && refused > 0, "{lost} {refused} {tally:?}");
        let every = [tally.dropped, tally.twice, tally.late, tally.refused, tally.belied];
        assert!(every.iter().all(|count| *count > 0), "{tally:?}");
        let count = |pick: fn(&What) -> bool| {
            vendor.events().iter().filter(|event| pick(&event.what)).count() as u64
        };
        assert_eq!(count(|what| matches!(what, What::Asked { .. })), 60);
        assert_eq!(count(|what| matches!(what, What::Done { again: true, .. })), tally.twice);
    }
}
