//! A server of the tests' own: mutual TLS, signed orders, and every way to misbehave.

use std::convert::Infallible;
use std::fs::File;
use std::net::IpAddr;
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use nix::sched::{CloneFlags, setns};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer, DnType,
    IsCa, KeyPair, SanType,
};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use riposte_wire::{
    Action, Enrol, Enrolled, Order, OrderResult, Orders, Poll, Renew, Renewed, Report, Reported,
    Signed,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

pub(crate) const AGENT: &str = "5f0c2f60-0000-4000-8000-000000000001";
pub(crate) const TOKEN: &str = "token-1";
pub(crate) const SECRET: [u8; 32] = [9; 32];

#[derive(Default)]
pub(crate) struct State {
    pub(crate) polls: Vec<Poll>,
    pub(crate) results: Vec<OrderResult>,
    pub(crate) reports: Vec<Report>,
    pub(crate) orders: Vec<Signed>,
    pub(crate) uploads: Vec<(String, Vec<u8>)>,
    pub(crate) uploading: usize,
    /// Offers every order each time, whatever the agent knows.
    pub(crate) forgetful: bool,
    /// Takes reports and drops the connection instead of answering, so many times.
    pub(crate) drop_reports: usize,
    /// Takes reports and acknowledges nothing.
    pub(crate) silent: bool,
    /// Says this to polls.
    pub(crate) poll_body: Option<Vec<u8>>,
    /// Says no to everything.
    pub(crate) refuse: Option<u16>,
    /// How long a poll is held open; a little less than a second when absent.
    pub(crate) hold: Option<Duration>,
    /// Fails so many uploads.
    pub(crate) fail_uploads: usize,
    /// Certificates given in place of another.
    pub(crate) renewed: Vec<Vec<u8>>,
    /// The certificate of each poll.
    pub(crate) shown: Vec<Vec<u8>>,
    /// Never answers uploads.
    pub(crate) hold_uploads: bool,
}

pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) authority: String,
    /// How long is waited for anything.
    pub(crate) patience: Duration,
    state: Arc<(Mutex<State>, Condvar, tokio::sync::Notify)>,
    key: Ed25519KeyPair,
}

struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Server {
    /// A server in a network namespace, or on this machine's loopback.
    pub(crate) fn start(namespace: Option<&str>, address: &str) -> Self {
        Self::start_at(namespace, address, 0)
    }

    pub(crate) fn start_at(namespace: Option<&str>, address: &str, port: u16) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test authority");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = issuer.pem();
        let ip: IpAddr = address.parse().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names.push(SanType::IpAddress(ip));
        params.subject_alt_names.push(SanType::DnsName("server.example".try_into().unwrap()));
        let server_key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&server_key, &issuer).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(issuer.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .allow_unauthenticated()
                .build()
                .unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(server_key.serialize_der())),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let state = Arc::new((Mutex::default(), Condvar::new(), tokio::sync::Notify::new()));
        let shared = Arc::clone(&state);
        let ca = Arc::new(Authority { issuer });
        let given = authority.clone();
        let namespace = namespace.map(|name| File::open(format!("/run/netns/{name}")).unwrap());
        let (said, bound) = mpsc::channel();
        thread::spawn(move || {
            if let Some(namespace) = namespace {
                setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
            }
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::bind((ip, port)).await.unwrap();
                said.send(listener.local_addr().unwrap()).unwrap();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
                    let (ca, given) = (Arc::clone(&ca), given.clone());
                    tokio::spawn(async move {
                        let Ok(stream) = acceptor.accept(stream).await else { return };
                        let known = stream.get_ref().1.peer_certificates();
                        let known = known.and_then(|all| all.first()).map(|it| it.to_vec());
                        let service = service_fn(move |request| {
                            answer(
                                request,
                                known.clone(),
                                Arc::clone(&shared),
                                Arc::clone(&ca),
                                given.clone(),
                            )
                        });
                        let _ = hyper::server::conn::http1::Builder::new()
                            .serve_connection(TokioIo::new(stream), service)
                            .await;
                    });
                }
            });
        });
        let bound = bound.recv().unwrap();
        Self {
            url: format!("https://{bound}"),
            authority,
            patience: Duration::from_mins(1),
            state,
            key: Ed25519KeyPair::from_seed_unchecked(&[5; 32]).unwrap(),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.0.lock().unwrap()
    }

    pub(crate) fn change(&self, f: impl FnOnce(&mut State)) {
        f(&mut self.state());
        self.state.2.notify_waiters();
    }

    /// Waits until something is so.
    pub(crate) fn wait<T>(&self, what: &str, mut f: impl FnMut(&mut State) -> Option<T>) -> T {
        let until = Instant::now() + self.patience;
        let mut state = self.state();
        loop {
            if let Some(found) = f(&mut state) {
                return found;
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain: {what}; results: {:?}", state.results);
            state = self.state.1.wait_timeout(state, left).unwrap().0;
        }
    }

    pub(crate) fn sign(&self, body: &str) -> Signed {
        let signature = STANDARD.encode(self.key.sign(body.as_bytes()));
        Signed { body: body.to_owned(), signature }
    }

    pub(crate) fn order(&self, id: &str, generation: i64, action: Action) -> Signed {
        let issued = now();
        let (id, agent) = (id.to_owned(), AGENT.to_owned());
        let expires = issued + 600_000_000;
        let order = Order { id, agent, issued, expires, generation, action };
        self.sign(&serde_json::to_string(&order).unwrap())
    }

    pub(crate) fn offer(&self, signed: Signed) {
        self.change(|state| state.orders.push(signed));
    }

    /// Gives an order and waits for what becomes of it.
    pub(crate) fn carry_out(&self, id: &str, generation: i64, action: Action) -> OrderResult {
        self.offer(self.order(id, generation, action));
        self.result(id)
    }

    /// The final outcome of an order.
    pub(crate) fn result(&self, id: &str) -> OrderResult {
        self.wait(&format!("the outcome of {id}"), |state| {
            state.results.iter().find(|r| r.order == id && r.outcome.is_final()).cloned()
        })
    }

    /// Waits for a poll that comes after this moment.
    pub(crate) fn next_poll(&self) -> Poll {
        let before = self.state().polls.len();
        self.wait("another poll", |state| {
            // The first may have been on its way.
            (state.polls.len() > before + 1).then(|| state.polls.last().cloned()).flatten()
        })
    }
}

pub(crate) fn now() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "the server of the tests has a clock")]
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_micros()).unwrap()
}

type Shared = Arc<(Mutex<State>, Condvar, tokio::sync::Notify)>;

fn reply(status: u16, body: Vec<u8>) -> Response<Full<Bytes>> {
    Response::builder().status(status).body(Full::new(Bytes::from(body))).unwrap()
}

fn json(value: &impl serde::Serialize) -> Response<Full<Bytes>> {
    reply(200, serde_json::to_vec(value).unwrap())
}

#[derive(Debug)]
struct Dropped;
impl std::fmt::Display for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("dropped")
    }
}
impl std::error::Error for Dropped {}
impl From<Infallible> for Dropped {
    fn from(_: Infallible) -> Self {
        Self
    }
}

async fn answer(
    request: Request<Incoming>,
    known: Option<Vec<u8>>,
    shared: Shared,
    ca: Arc<Authority>,
    given: String,
) -> Result<Response<Full<Bytes>>, Dropped> {
    let path = request.uri().path().to_owned();
    if let Some(order) = path.strip_prefix("/agent/v1/package/") {
        shared.0.lock().unwrap().uploading += 1;
        shared.1.notify_all();
        if shared.0.lock().unwrap().hold_uploads {
            std::future::pending::<()>().await;
        }
        let fail = {
            let mut state = shared.0.lock().unwrap();
            let fail = state.fail_uploads;
            state.fail_uploads = fail.saturating_sub(1);
            fail
        };
        match fail {
            0 => {}
            1 => return Ok(reply(503, Vec::new())),
            _ => return Err(Dropped),
        }
        let body = request.into_body().collect().await.map_err(|_| Dropped)?.to_bytes();
        shared.0.lock().unwrap().uploads.push((order.to_owned(), body.to_vec()));
        shared.1.notify_all();
        return Ok(json(&Reported::default()));
    }
    let body = request.into_body().collect().await.map_err(|_| Dropped)?.to_bytes();
    if path == "/agent/v1/enrol" {
        let enrol: Enrol = serde_json::from_slice(&body).unwrap();
        if enrol.token != TOKEN {
            return Ok(reply(403, br#"{"error":{"message":"the token is not valid"}}"#.to_vec()));
        }
        let mut request = CertificateSigningRequestParams::from_pem(&enrol.request).unwrap();
        request.params.distinguished_name.push(DnType::CommonName, AGENT);
        let certificate = request.signed_by(&ca.issuer).unwrap();
        let key = Ed25519KeyPair::from_seed_unchecked(&[5; 32]).unwrap();
        return Ok(json(&Enrolled {
            agent: AGENT.into(),
            tenant: "5f0c2f60-0000-4000-8000-0000000000aa".into(),
            certificate: certificate.pem(),
            authority: Some(given),
            order_key: STANDARD.encode(key.public_key().as_ref()),
            release_secret: STANDARD.encode(SECRET),
            server: None,
        }));
    }
    let Some(certificate) = known else { return Ok(reply(401, Vec::new())) };
    if let Some(status) = shared.0.lock().unwrap().refuse {
        return Ok(reply(status, Vec::new()));
    }
    if path == "/agent/v1/renew" {
        let renew: Renew = serde_json::from_slice(&body).unwrap();
        let mut request = CertificateSigningRequestParams::from_pem(&renew.request).unwrap();
        request.params.distinguished_name.push(DnType::CommonName, AGENT);
        let certificate = request.signed_by(&ca.issuer).unwrap();
        let mut state = shared.0.lock().unwrap();
        state.renewed.push(certificate.der().to_vec());
        drop(state);
        shared.1.notify_all();
        return Ok(json(&Renewed { certificate: certificate.pem() }));
    }
    if path == "/agent/v1/poll" {
        shared.0.lock().unwrap().shown.push(certificate);
    }
    match path.as_str() {
        "/agent/v1/poll" => Ok(poll(&serde_json::from_slice(&body).unwrap(), &shared).await),
        "/agent/v1/report" => report(serde_json::from_slice(&body).unwrap(), &shared),
        _ => Ok(reply(404, Vec::new())),
    }
}

async fn poll(poll: &Poll, shared: &Shared) -> Response<Full<Bytes>> {
    {
        let mut state = shared.0.lock().unwrap();
        state.polls.push(poll.clone());
        if let Some(body) = &state.poll_body {
            let body = body.clone();
            shared.1.notify_all();
            return reply(200, body);
        }
    }
    shared.1.notify_all();
    let hold = shared.0.lock().unwrap().hold.unwrap_or(Duration::from_millis(900));
    let hold = tokio::time::Instant::now() + hold;
    loop {
        let changed = shared.2.notified();
        let orders = {
            let state = shared.0.lock().unwrap();
            let done = |id: &str| {
                state.results.iter().any(|r| r.order == id && r.outcome.is_final())
                    || poll.known.iter().any(|known| known == id)
            };
            let orders: Vec<Signed> = state
                .orders
                .iter()
                .filter(|signed| {
                    let body: serde_json::Value =
                        serde_json::from_str(&signed.body).unwrap_or_default();
                    state.forgetful || !done(body["id"].as_str().unwrap_or_default())
                })
                .cloned()
                .collect();
            orders
        };
        let expired = tokio::time::Instant::now() >= hold;
        if !orders.is_empty() || expired {
            return json(&Orders { orders, ..Orders::default() });
        }
        let _ = tokio::time::timeout_at(hold, changed).await;
    }
}

fn report(report: Report, shared: &Shared) -> Result<Response<Full<Bytes>>, Dropped> {
    let mut state = shared.0.lock().unwrap();
    let acknowledged = report
        .results
        .iter()
        .filter(|r| r.outcome.is_final() && !state.silent)
        .map(|r| r.order.clone())
        .collect();
    state.results.extend(report.results.iter().cloned());
    state.reports.push(report);
    let drop = state.drop_reports > 0;
    state.drop_reports = state.drop_reports.saturating_sub(1);
    std::mem::drop(state);
    shared.1.notify_all();
    if drop { Err(Dropped) } else { Ok(json(&Reported { acknowledged })) }
}
