//! An agent that is played: it speaks as a real one over mutual TLS, and does nothing.
//!
//! It says of every order that it was carried out, with a reading that shows it. One connection, one
//! request at a time, as a real agent's poll and report. Not here: real agents (see `device`).

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rcgen::{CertificateParams, KeyPair};
use riposte_wire::{
    Action, Enrol, Enrolled, Host, Inventory, Isolated, Isolation, Order, OrderResult, Orders,
    Outcome, Own, Poll, Report, Reported, States, VERSION,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::clock;
use crate::http::{self, Reply, Request};

/// What it says that it can do.
const CAN: [&str; 3] = ["isolate", "release", "listProcesses"];

/// An agent that is enrolled.
#[derive(Debug)]
pub(crate) struct Robot {
    line: Line,
    host: Host,
    run: String,
    isolated: bool,
    known: Vec<String>,
}

/// Orders and when the first byte of them was there.
#[derive(Debug)]
pub(crate) struct Told {
    /// The orders.
    pub(crate) orders: Vec<Order>,
    /// When the first byte of the answer came.
    pub(crate) first_byte: Instant,
}

struct Line {
    address: SocketAddr,
    config: Arc<ClientConfig>,
    stream: Option<Box<TlsStream<TcpStream>>>,
    buffer: Vec<u8>,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "line to {}", self.address)
    }
}

impl Line {
    async fn ask(&mut self, path: &str, body: &[u8]) -> Result<(Reply, Instant), String> {
        let request = Request::json("POST", path, "", body).bytes(self.address);
        let failed = |error: std::io::Error| format!("{path}: {error}");
        let mut stream = if let Some(stream) = self.stream.take() {
            stream
        } else {
            self.buffer.clear();
            let stream = http::connect(self.address).await.map_err(failed)?;
            let name = ServerName::from(self.address.ip());
            let connector = TlsConnector::from(Arc::clone(&self.config));
            Box::new(connector.connect(name, stream).await.map_err(failed)?)
        };
        stream.write_all(&request).await.map_err(failed)?;
        stream.flush().await.map_err(failed)?;
        http::fill(stream.as_mut(), &mut self.buffer).await.map_err(failed)?;
        let first_byte = Instant::now();
        let (reply, reusable) =
            http::read_reply(stream.as_mut(), &mut self.buffer).await.map_err(failed)?;
        if reusable {
            self.stream = Some(stream);
        }
        Ok((reply, first_byte))
    }

    async fn say<T: DeserializeOwned>(
        &mut self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<(T, Instant), String> {
        let body = serde_json::to_vec(body).map_err(|error| format!("{path}: {error}"))?;
        let (reply, first_byte) = self.ask(path, &body).await?;
        if !reply.ok() {
            return Err(format!("{path}: {}", reply.excerpt()));
        }
        let said = serde_json::from_slice(&reply.body);
        said.map(|said| (said, first_byte)).map_err(|error| format!("{path}: {error}"))
    }
}

impl Robot {
    /// Enrols an agent called `name` at the server's address for agents.
    pub(crate) async fn enrol(
        address: SocketAddr,
        ca: &Path,
        token: &str,
        name: &str,
    ) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        let authority = CertificateDer::from_pem_file(ca)
            .map_err(|error| format!("{}: {error}", ca.display()))?;
        roots.add(authority).map_err(|error| format!("authority: {error}"))?;
        let plain = builder()?.with_root_certificates(roots.clone()).with_no_client_auth();
        let mut line = Line { address, config: Arc::new(plain), stream: None, buffer: Vec::new() };
        let key = KeyPair::generate().map_err(|error| format!("key: {error}"))?;
        let request = CertificateParams::default()
            .serialize_request(&key)
            .and_then(|request| request.pem())
            .map_err(|error| format!("request: {error}"))?;
        let host = Host {
            name: name.to_owned(),
            machine: format!("machine-of-{name}"),
            os: "Debian GNU/Linux 12 (bookworm)".to_owned(),
            kernel: "6.1.0".to_owned(),
            architecture: "x86_64".to_owned(),
            agent: env!("CARGO_PKG_VERSION").to_owned(),
            can: CAN.iter().map(|word| (*word).to_owned()).collect(),
            ..Host::default()
        };
        let wanted =
            Enrol { version: VERSION, token: token.to_owned(), request, host: host.clone() };
        let (enrolled, _): (Enrolled, _) = line.say("/agent/v1/enrol", &wanted).await?;
        let own = |error: rustls::pki_types::pem::Error| format!("certificate: {error}");
        let certificate = CertificateDer::from_pem_slice(enrolled.certificate.as_bytes());
        let private = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes());
        line.config = Arc::new(
            builder()?
                .with_root_certificates(roots)
                .with_client_auth_cert(vec![certificate.map_err(own)?], private.map_err(own)?)
                .map_err(|error| format!("certificate: {error}"))?,
        );
        line.stream = None;
        let run = format!("run-of-{name}");
        Ok(Self { line, host, run, isolated: false, known: Vec::new() })
    }

    fn states(&self) -> States {
        let isolated = Isolated { mode: Isolation::Full, since: 0, order: None };
        States { isolated: self.isolated.then_some(isolated), ..States::default() }
    }

    /// Asks what to do, once; sends its inventory when that is wanted.
    pub(crate) async fn poll(&mut self) -> Result<Told, String> {
        let poll = Poll {
            version: VERSION,
            run: self.run.clone(),
            known: self.known.clone(),
            states: self.states(),
            own: Own::default(),
        };
        let (told, first_byte): (Orders, _) = self.line.say("/agent/v1/poll", &poll).await?;
        self.known.retain(|order| !told.acknowledged.contains(order));
        if told.inventory {
            let inventory = Inventory { host: self.host.clone(), ..Inventory::default() };
            let report = Report { inventory: Some(Box::new(inventory)), ..Report::default() };
            let _: (Reported, _) = self.line.say("/agent/v1/report", &report).await?;
        }
        let mut orders = Vec::new();
        for signed in told.orders {
            let order = serde_json::from_str(&signed.body);
            orders.push(order.map_err(|error| format!("order: {error}"))?);
        }
        Ok(Told { orders, first_byte })
    }

    /// Says of orders that they were carried out; gives when the server had it on disk.
    pub(crate) async fn obey(&mut self, orders: &[Order]) -> Result<Instant, String> {
        let mut results = Vec::new();
        for order in orders {
            let read_back = self.carry_out(&order.action);
            let at = clock::now_seconds().saturating_mul(1_000_000);
            let outcome = if read_back.is_null() {
                Outcome::Refused { reason: "this agent only plays".to_owned() }
            } else {
                Outcome::Succeeded
            };
            self.known.push(order.id.clone());
            results.push(OrderResult {
                order: order.id.clone(),
                began: at,
                at,
                outcome,
                read_back: Some(read_back),
                found: None,
            });
        }
        let report = Report { results, ..Report::default() };
        let (reported, first_byte): (Reported, _) =
            self.line.say("/agent/v1/report", &report).await?;
        self.known.retain(|order| !reported.acknowledged.contains(order));
        if let Some(order) = orders.iter().find(|it| !reported.acknowledged.contains(&it.id)) {
            return Err(format!("the outcome of {} was not acknowledged", order.id));
        }
        Ok(first_byte)
    }

    fn carry_out(&mut self, action: &Action) -> Value {
        match action {
            Action::Isolate { .. } => self.isolated = true,
            Action::Release => self.isolated = false,
            Action::ListProcesses => return json!({ "count": 1 }),
            _ => return Value::Null,
        }
        let mode = self.isolated.then_some(Isolation::Full);
        json!({ "isolated": self.isolated, "mode": mode, "rules": 9 })
    }
}

fn builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS: {error}"))
}
