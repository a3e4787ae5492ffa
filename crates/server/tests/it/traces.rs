//! The program itself with a collector of traces beside it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// The trace a client says its request belongs to.
const TRACE: [u8; 16] =
    [0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 7, 7, 7, 7, 7, 7];

#[test]
fn traces_reach_the_collector_and_join_the_trace_of_the_client() {
    let dir = tempfile::tempdir().expect("a folder");
    let (collector, bodies) = collector();
    init(dir.path());
    let address = free_address();
    let endpoint = format!("http://{collector}/v1/traces");
    // The filter is for lines; traces do not depend on it.
    let options = ["--otlp-endpoint", &endpoint, "--log-filter", "error"];
    let mut server = serve(dir.path(), address, &options);
    let traceparent = format!("00-{}-00f067aa0ba902b7-01", hex::encode(TRACE));
    let answer = ask(address, "/v1.0/security/incidents/7", &traceparent);
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    stop(&mut server);
    let sent: Vec<u8> = bodies.try_iter().flatten().collect();
    for text in ["riposte", "GET /v1.0/security/incidents/{id}", "http.response.status_code"] {
        assert!(holds(&sent, text.as_bytes()), "no {text} in what the collector got");
    }
    assert!(holds(&sent, &TRACE), "the span is not of the client's trace");
}

#[test]
fn a_line_about_a_request_has_the_id_that_its_client_got() {
    let dir = tempfile::tempdir().expect("a folder");
    init(dir.path());
    let address = free_address();
    let mut server = serve(dir.path(), address, &["--log-filter", "riposte=debug"]);
    let answer = ask(address, "/v1.0/security/incidents/7", "");
    let mut stderr = server.stderr.take().expect("its lines");
    stop(&mut server);
    let mut lines = String::new();
    stderr.read_to_string(&mut lines).expect("its lines");
    let id = answer.lines().find_map(|line| line.strip_prefix("request-id: ")).unwrap_or("none");
    let line = lines.lines().find(|line| line.contains(&format!("request.id={id}")));
    let line = line.unwrap_or_else(|| panic!("{id} is not in {lines}"));
    assert!(line.contains("GET /v1.0/security/incidents/{id} 401 ms="), "{line}");
    assert!(!line.contains("otel."), "{line}");
}

fn init(dir: &Path) {
    let words = ["init", "--provider", "Harbour Watch", "--admin", "admin@harbour.example"];
    let done = Command::new(env!("CARGO_BIN_EXE_riposte"))
        .args(words)
        .arg("--data-dir")
        .arg(dir)
        .stdout(Stdio::null())
        .status();
    assert!(done.expect("the program").success());
}

fn serve(dir: &Path, address: SocketAddr, options: &[&str]) -> Child {
    let child = Command::new(env!("CARGO_BIN_EXE_riposte"))
        .args(["serve", "--listen", &address.to_string(), "--data-dir"])
        .arg(dir)
        .args(options)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program");
    let started = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(started.elapsed() < Duration::from_secs(30), "the server does not listen");
        std::thread::yield_now();
    }
    child
}

fn stop(server: &mut Child) {
    let told = Command::new("kill").args(["-TERM", &server.id().to_string()]).status();
    assert!(told.expect("kill").success());
    assert!(server.wait().expect("its end").success());
}

/// A loopback address nobody listens at now.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("an address")
}

fn ask(address: SocketAddr, path: &str, traceparent: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: localhost\r\ntraceparent: {traceparent}\r\n\
         connection: close\r\n\r\n"
    )
    .expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// A collector that takes what it gets, and gives the bodies.
fn collector() -> (SocketAddr, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("an address");
    let address = listener.local_addr().expect("an address");
    let (send, bodies) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let send = send.clone();
            std::thread::spawn(move || take(stream, |body| drop(send.send(body))));
        }
    });
    (address, bodies)
}

fn take(stream: TcpStream, mut give: impl FnMut(Vec<u8>)) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim().to_ascii_lowercase();
            if let Some(number) = line.strip_prefix("content-length:") {
                length = number.trim().parse().ok()?;
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        give(body);
        reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").ok()?;
    }
}
