//! Listening: connections in, requests to the router, and a clean end.
//!
//!   listening -SIGTERM or SIGINT-> draining -all answered, or 10 s-> stopped
//!
//! Draining: nothing new is accepted, requests under way are answered, event streams are ended,
//! workers finish what they hold, the store is closed. A second signal ends the process at once;
//! nothing that was acknowledged is lost either way, because an answer is only given for what is on
//! disk. A connection may not hold its place without saying something: handshake, head and idle
//! time are bounded. Not here: routes and the limits of single requests.

mod framing;
mod linger;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, header};
use futures_util::{FutureExt as _, StreamExt as _};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::app::App;
use crate::error::{Error, Result};
use crate::http::Certificate;
use framing::Framed;
use linger::Lingering;

/// Connections open at once at one address; more wait in the kernel's queue.
const CONNECTIONS: usize = 4_096;
/// The longest head of a request, in bytes; a longer one is answered with 431.
const HEAD_BYTES: usize = 64 * 1024;
/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a request's head may take, and a kept connection be idle.
const IDLE: Duration = Duration::from_secs(30);
/// How long requests under way may go on while draining; what remains of the promised ten seconds
/// belongs to the workers and the store.
const DRAIN: Duration = Duration::from_secs(7);
/// How long the workers may take to finish what they hold.
const WORKERS: Duration = Duration::from_secs(2);

/// Where and how to listen.
#[derive(Clone)]
pub struct Options {
    /// The address; port 0 lets the machine choose.
    pub listen: SocketAddr,
    /// The certificate and key, or none for plain HTTP on a loopback address.
    pub tls: Option<Arc<ServerConfig>>,
}

/// A listening address that is open but not yet served.
pub struct Listening {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    /// The address, with the port the machine chose.
    pub address: SocketAddr,
}

impl Listening {
    /// The address as a client writes it.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        if self.address.ip().is_unspecified() {
            return format!("{scheme}://localhost:{}", self.address.port());
        }
        format!("{scheme}://{}", self.address)
    }
}

/// Opens the listening address.
///
/// # Errors
/// `Invalid` when the address could be reached from elsewhere and there is no TLS, or it cannot be
/// opened.
pub async fn listen(options: Options) -> Result<Listening> {
    let Options { listen, tls } = options;
    if tls.is_none() && !listen.ip().to_canonical().is_loopback() {
        return Err(Error::Invalid(format!(
            "refusing to listen at {listen} without TLS: give --tls CERT KEY or \
             --tls-self-signed, or a loopback address"
        )));
    }
    let failed = |error| Error::Invalid(format!("cannot listen at {listen}: {error}"));
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok(Listening { listener, tls: tls.map(TlsAcceptor::from), address })
}

/// An open address and what is answered there.
pub struct Door {
    /// The address.
    pub listening: Listening,
    /// The routes.
    pub router: axum::Router,
}

/// Serves until a signal, which also cancels `stop`; see the module.
pub async fn serve(app: App, doors: Vec<Door>, stop: CancellationToken) -> Result<()> {
    let signals = Signals::new()?;
    tokio::spawn(signals.wait(stop.clone()));
    serve_until(app, doors, stop).await
}

/// Serves until `stop`; see the module.
pub async fn serve_until(app: App, doors: Vec<Door>, stop: CancellationToken) -> Result<()> {
    // A setting that cannot be used is said before anybody is let in.
    let ways = crate::notification::engine::Ways::open(&app)?;
    let inbox = crate::notification::inbox::listen(&app).await?;
    let mailbox = crate::notification::imap::Mailbox::open(&app.config.mail)?;
    for door in &doors {
        tracing::info!("listening at {}", door.listening.url());
    }
    // Workers stop after the requests: what is acknowledged last is still correlated if time allows.
    let stop_work = CancellationToken::new();
    let workers = tokio::spawn(crate::worker::run(app.clone(), ways, stop_work.clone()));
    if let Some(inbox) = inbox {
        // What it has acknowledged is on disk; the rest is handed over again.
        tokio::spawn(inbox.run(app.clone(), stop.clone()));
    }
    if let Some(mailbox) = mailbox {
        tokio::spawn(mailbox.run(app.clone(), stop.clone()));
    }
    // Each address has its own: agents, which stay, take no place from people.
    let places: Vec<Arc<Semaphore>> =
        doors.iter().map(|_| Arc::new(Semaphore::new(CONNECTIONS))).collect();
    let abort = CancellationToken::new();
    let accepting = doors.iter().zip(&places).map(|(door, it)| accept(door, it, &stop, &abort));
    futures_util::future::join_all(accepting).await;
    drop(doors);
    let open = || places.iter().map(|it| CONNECTIONS - it.available_permits()).sum::<usize>();
    tracing::info!(connections = open(), "draining");
    // Every connection holds a place until it ends.
    let all_ended = places.iter().map(|it| it.acquire_many(CONNECTIONS as u32));
    let all_ended = futures_util::future::join_all(all_ended);
    if tokio::time::timeout(DRAIN, all_ended).await.is_err() {
        tracing::warn!(connections = open(), "gave up waiting for open requests");
        abort.cancel();
    }
    stop_work.cancel();
    match tokio::time::timeout(WORKERS, workers).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!("a worker ended badly: {error}"),
        // Its transaction is rolled back, and its lease ends by itself.
        Err(_) => tracing::warn!("gave up waiting for the workers"),
    }
    let closed = tokio::time::timeout(Duration::from_millis(500), app.db.clone().close()).await;
    if let Ok(Err(error)) = closed {
        tracing::warn!("the store did not close cleanly: {error}");
    }
    tracing::info!("stopped");
    Ok(())
}

async fn accept(
    door: &Door,
    places: &Arc<Semaphore>,
    stop: &CancellationToken,
    abort: &CancellationToken,
) {
    let Door { listening, router } = door;
    loop {
        let place = tokio::select! {
            () = stop.cancelled() => return,
            // The semaphore is never closed.
            place = places.clone().acquire_owned() => match place {
                Ok(place) => place,
                Err(_) => return,
            },
        };
        let stream = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listening.listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Mostly a client that is gone already; out of file descriptors, it must not
                    // become a busy loop.
                    tracing::warn!("cannot accept a connection: {error}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let _ = stream.set_nodelay(true);
        let served = connection(stream, listening.tls.clone(), router.clone(), stop.clone(), place);
        let abort = abort.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = served => {}
                () = abort.cancelled() => {}
            }
        });
    }
}

async fn connection(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    router: axum::Router,
    stop: CancellationToken,
    place: OwnedSemaphorePermit,
) {
    let peer = stream.peer_addr().ok().map(|peer| peer.ip());
    let stream = Lingering::new(stream);
    match tls {
        None => requests(Framed::new(stream), peer, None, router, stop).await,
        Some(tls) => match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
            Ok(Ok(stream)) => {
                let session = stream.get_ref().1;
                let h2 = session.alpn_protocol() == Some(b"h2");
                // Verified by now: without being ours it would have ended the handshake.
                let shown = session.peer_certificates().and_then(<[_]>::first);
                let certificate = shown.map(|it| Certificate(it.clone().into_owned()));
                let secured = Some(Secured { h2, certificate });
                if h2 {
                    requests(stream, peer, secured, router, stop).await;
                } else {
                    requests(Framed::new(stream), peer, secured, router, stop).await;
                }
            }
            Ok(Err(error)) => tracing::debug!("TLS handshake failed: {error}"),
            Err(_) => tracing::debug!("TLS handshake took too long"),
        },
    }
    drop(place);
}

/// What is known of a connection under TLS.
#[derive(Clone)]
struct Secured {
    /// Whether both ends agreed on HTTP/2.
    h2: bool,
    /// The agent's certificate, when the client showed one.
    certificate: Option<Certificate>,
}

async fn requests<I>(
    io: I,
    peer: Option<IpAddr>,
    secured: Option<Secured>,
    router: axum::Router,
    stop: CancellationToken,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_buf_size(HEAD_BYTES)
        .half_close(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEAD_BYTES as u32)
        .max_concurrent_streams(128)
        .keep_alive_interval(IDLE)
        .keep_alive_timeout(Duration::from_secs(20));
    // Which of the two is settled here: guessing from the first bytes would wait for them without
    // a limit.
    let h2 = secured.as_ref().is_some_and(|secured| secured.h2);
    let builder = if h2 { builder.http2_only() } else { builder.http1_only() };
    let ended = stop.clone();
    let service = router
        .map_request(move |request: Request<hyper::body::Incoming>| {
            let mut request = request.map(Body::new);
            if let Some(secured) = &secured {
                request.extensions_mut().insert(crate::http::Tls);
                if let Some(certificate) = &secured.certificate {
                    request.extensions_mut().insert(certificate.clone());
                }
            }
            if let Some(peer) = peer {
                request.extensions_mut().insert(crate::http::Peer(peer));
            }
            request
        })
        .map_response(move |response| end_streams(response, &ended));
    let connection = builder.serve_connection(TokioIo::new(io), TowerToHyperService::new(service));
    tokio::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!("connection ended: {error}");
    }
}

/// Lets an event stream end when the process stops; it would keep its connection open for ever.
fn end_streams(mut response: Response<Body>, stop: &CancellationToken) -> Response<Body> {
    let is_stream = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    if is_stream {
        let stop = stop.clone().cancelled_owned();
        return response
            .map(|body| Body::from_stream(body.into_data_stream().take_until(stop.boxed())));
    }
    // A client that keeps its connection would send the next request into a closed one.
    if stop.is_cancelled() && response.version() < axum::http::Version::HTTP_2 {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The signals that end this process.
struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    #[cfg(unix)]
    fn new() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(Error::internal)?,
            interrupt: signal(SignalKind::interrupt()).map_err(Error::internal)?,
        })
    }

    #[cfg(unix)]
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    #[cfg(not(unix))]
    fn new() -> Result<Self> {
        Ok(Self {})
    }

    #[cfg(not(unix))]
    async fn next(&mut self) -> &'static str {
        let _ = tokio::signal::ctrl_c().await;
        "an interrupt"
    }

    /// Stops in good order at the first signal, at once at the second.
    async fn wait(mut self, stop: CancellationToken) {
        let signal = self.next().await;
        tracing::info!("{signal}: stopping");
        stop.cancel();
        let signal = self.next().await;
        tracing::warn!("{signal} again: stopping at once");
        std::process::exit(1);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::routing::{get, post};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::Notify;

    use super::*;
    use crate::clock::Clock;
    use crate::config::Config;
    use crate::db::Db;
    use crate::id::Random;

    struct Running {
        address: SocketAddr,
        stop: CancellationToken,
        ended: tokio::task::JoinHandle<Result<()>>,
        dir: tempfile::TempDir,
    }

    async fn start(router: axum::Router, tls: bool) -> Running {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open_sqlite(dir.path()).await.unwrap();
        db.migrate().await.unwrap();
        let app = App::new(db, Clock::system(), Random::system(), Config::default()).unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let tls = tls.then(|| {
            let names = crate::tls::names(any, None);
            crate::tls::self_signed(&dir.path().join("tls"), &names, app.clock.now(), None).unwrap()
        });
        let listening = listen(Options { listen: any, tls }).await.unwrap();
        let (address, stop) = (listening.address, CancellationToken::new());
        let ended = tokio::spawn(serve_until(app, vec![Door { listening, router }], stop.clone()));
        Running { address, stop, ended, dir }
    }

    /// Sends bytes as they are and reads the answer to its end.
    async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[tokio::test]
    async fn an_open_address_without_tls_is_refused() {
        for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0"] {
            let options = Options { listen: address.parse().unwrap(), tls: None };
            let error = listen(options).await.err().map(|error| error.to_string());
            assert!(error.is_some_and(|text| text.contains("without TLS")), "{address}");
        }
        let taken = start(axum::Router::new(), false).await;
        let options = Options { listen: taken.address, tls: None };
        let error = listen(options).await.err().map(|error| error.to_string());
        assert!(error.is_some_and(|text| text.contains("cannot listen at")));
    }

    #[tokio::test]
    async fn a_head_that_is_too_large_is_answered() {
        let router = axum::Router::new().route("/", get(async || "fine"));
        let server = start(router, false).await;
        let large = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "y".repeat(400_000));
        let answer = raw(server.address, large.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
        let many = "x: y\r\n".repeat(10_000);
        let answer =
            raw(server.address, format!("GET / HTTP/1.1\r\nhost: a\r\n{many}\r\n").as_bytes())
                .await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
        let answer = raw(server.address, b"GET / HTTP/1.1\r\nno colon\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        let fine = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        assert!(raw(server.address, fine).await.ends_with("fine"));
    }

    #[tokio::test]
    async fn a_request_with_two_readings_is_refused_and_the_connection_closed() {
        let length = async |body: axum::body::Bytes| format!("{} bytes", body.len());
        let server = start(axum::Router::new().route("/", post(length)), false).await;
        let smuggled = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\nx";
        for headers in [
            "content-length: 6\r\ntransfer-encoding: chunked\r\n",
            "transfer-encoding: chunked\r\ncontent-length: 6\r\n",
            "content-length: 6\r\ncontent-length: 7\r\n",
            "content-length: 6\r\ncontent-length: 6\r\n",
            "transfer-encoding: chunked, identity\r\n",
            "transfer-encoding: identity, chunked\r\n",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
            "transfer-encoding : chunked\r\n",
            "transfer-encoding: chunked\n",
            "x: a\r\n transfer-encoding: chunked\r\n",
            "host: b\r\n",
        ] {
            let bad = format!("POST / HTTP/1.1\r\nhost: a\r\n{headers}\r\n0\r\n\r\n{smuggled}");
            let answer = raw(server.address, bad.as_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 400 "), "{headers}: {answer}");
            assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{headers}: {answer}");
            // In its turn, behind one that is answered.
            let answer = raw(server.address, format!("{smuggled}{bad}").as_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 200 "), "{headers}: {answer}");
            assert!(answer.contains("1 bytesHTTP/1.1 400 "), "{headers}: {answer}");
            assert_eq!(answer.matches("HTTP/1.1 ").count(), 2, "{headers}: {answer}");
        }
        let body = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n\
                    1;x\nab\r\n0\r\n\r\n";
        let answer = raw(server.address, format!("{body}{smuggled}").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    }

    #[tokio::test]
    async fn a_client_that_is_done_sending_is_answered() {
        let router = axum::Router::new().route(
            "/",
            post(async |body: axum::body::Bytes| {
                // Long enough for the end to be noticed: it comes with the request here.
                for _ in 0..64 {
                    tokio::task::yield_now().await;
                }
                format!("{} bytes", body.len())
            }),
        );
        for request in [
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}",
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n\
             2\r\n{}\r\n0\r\n\r\n",
        ] {
            let (mut client, server) = tokio::io::duplex(4_096);
            client.write_all(request.as_bytes()).await.unwrap();
            client.shutdown().await.unwrap();
            requests(Framed::new(server), None, None, router.clone(), CancellationToken::new())
                .await;
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
            assert!(answer.ends_with("2 bytes"), "{answer}");
        }
    }

    #[tokio::test]
    async fn draining_finishes_what_is_under_way_and_ends_streams() {
        let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (tell, wait) = (begun.clone(), go.clone());
        let router = axum::Router::new()
            .route(
                "/slow",
                post(async move || {
                    tell.notify_one();
                    wait.notified().await;
                    "done"
                }),
            )
            .route(
                "/events",
                get(async || {
                    let first = futures_util::stream::iter([Ok::<_, Infallible>("data: 1\n\n")]);
                    let body = first.chain(futures_util::stream::pending());
                    ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(body))
                }),
            );
        let server = start(router, false).await;
        let base = format!("http://{}", server.address);
        let client = reqwest::Client::new();
        let slow = tokio::spawn(client.post(format!("{base}/slow")).send());
        let mut events = client.get(format!("{base}/events")).send().await.unwrap();
        assert_eq!(events.chunk().await.unwrap().unwrap(), "data: 1\n\n");
        begun.notified().await;
        server.stop.cancel();
        assert_eq!(events.chunk().await.unwrap(), None, "the stream ends");
        while TcpStream::connect(server.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        go.notify_one();
        let answer = slow.await.unwrap().unwrap();
        assert_eq!(answer.text().await.unwrap(), "done");
        server.ended.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn tls_speaks_both_versions_and_names_its_authority() {
        let router = axum::Router::new().route("/", get(async || "fine"));
        let server = start(router, true).await;
        let ca = std::fs::read(server.dir.path().join("tls/ca.pem")).unwrap();
        let ca = reqwest::Certificate::from_pem(&ca).unwrap();
        for http1 in [true, false] {
            let mut client = reqwest::Client::builder()
                .tls_built_in_root_certs(false)
                .add_root_certificate(ca.clone());
            if http1 {
                client = client.http1_only();
            }
            let url = format!("https://localhost:{}/", server.address.port());
            let answer = client.build().unwrap().get(url).send().await.unwrap();
            assert_eq!(answer.text().await.unwrap(), "fine");
        }
        let plain = raw(server.address, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert!(!plain.contains("fine"));
    }
}
