//! A lean HTTP/1.1 client for loopback: keep-alive, no pipelining, fixed and chunked bodies.
//!
//! It tells two failures apart, because the crash lab must: a request that surely never left, and
//! one whose fate nobody knows. It never sends a request again by itself. Not here: the event
//! stream (see `stream`) and requests that break the protocol on purpose (see `hostile::raw`).

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The largest reply that is read, in bytes.
const LARGEST_REPLY: usize = 512 * 1024 * 1024;
/// How long a reply may take unless told otherwise.
const PATIENCE: Duration = Duration::from_mins(1);

/// Why there is no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No connection came about: the server has not seen the request.
    NotSent(String),
    /// The connection broke or time ran out: it may have been done or not.
    Unknown(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent(reason) => write!(out, "not sent: {reason}"),
            Self::Unknown(reason) => write!(out, "no reply: {reason}"),
        }
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    /// The status code.
    pub(crate) status: u16,
    /// The status line and header lines.
    pub(crate) head: String,
    /// The body, with any chunking taken off.
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// Whether the status says done.
    pub(crate) fn ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as JSON; null when it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The first value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    /// The beginning of the body, for a message to people.
    pub(crate) fn excerpt(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        format!("{} {}", self.status, text.chars().take(300).collect::<String>())
    }
}

/// The first value of `name` in a block of header lines.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.split("\r\n").skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// Where the head of a message ends, blank line included.
pub(crate) fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    /// `GET`, `POST`, `PATCH`.
    pub(crate) method: &'a str,
    /// Path and query, already escaped.
    pub(crate) path: &'a str,
    /// The bearer token, empty for none.
    pub(crate) token: &'a str,
    /// The body's kind, empty for no body.
    pub(crate) content_type: &'a str,
    /// More header lines, each ending in CR LF.
    pub(crate) headers: &'a str,
    /// The body.
    pub(crate) body: &'a [u8],
}

impl<'a> Request<'a> {
    /// A GET.
    pub(crate) fn get(path: &'a str, token: &'a str) -> Self {
        Self { method: "GET", path, token, content_type: "", headers: "", body: b"" }
    }

    /// A request with a JSON body.
    pub(crate) fn json(method: &'a str, path: &'a str, token: &'a str, body: &'a [u8]) -> Self {
        Self { method, path, token, content_type: "application/json", headers: "", body }
    }

    /// A POST of one JSON record a line.
    pub(crate) fn lines(path: &'a str, token: &'a str, body: &'a [u8]) -> Self {
        Self { content_type: "application/x-ndjson", ..Self::json("POST", path, token, body) }
    }

    /// The request as it goes over the wire.
    pub(crate) fn bytes(&self, address: SocketAddr) -> Vec<u8> {
        use std::io::Write as _;
        let Self { method, path, token, content_type, headers, body } = self;
        let mut bytes = Vec::with_capacity(512 + token.len() + body.len());
        // Writing to a vector cannot fail.
        let _ = write!(bytes, "{method} {path} HTTP/1.1\r\nHost: {address}\r\n{headers}");
        if !token.is_empty() {
            let _ = write!(bytes, "Authorization: Bearer {token}\r\n");
        }
        if !content_type.is_empty() {
            let _ =
                write!(bytes, "Content-Type: {content_type}\r\nContent-Length: {}\r\n", body.len());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(body);
        bytes
    }
}

/// One connection, opened when needed and kept.
#[derive(Debug)]
pub(crate) struct Client {
    address: SocketAddr,
    patience: Duration,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
}

impl Client {
    /// A client of this address; nothing is opened yet.
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, patience: PATIENCE, stream: None, buffer: Vec::new() }
    }

    /// The same client, giving up on a reply after `patience`.
    pub(crate) fn patient(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sends one request and reads its reply.
    pub(crate) async fn send(&mut self, request: &Request<'_>) -> Result<Reply, Failure> {
        let bytes = request.bytes(self.address);
        let outcome = tokio::time::timeout(self.patience, self.exchange(&bytes)).await;
        let outcome = outcome.unwrap_or_else(|_| Err(Failure::Unknown("time ran out".to_owned())));
        if outcome.is_err() {
            self.stream = None;
        }
        outcome
    }

    /// A GET, which is safe to send again once when a kept connection turns out to be closed.
    pub(crate) async fn get(&mut self, path: &str, token: &str) -> Result<Reply, Failure> {
        let kept = self.stream.is_some();
        let request = Request::get(path, token);
        match self.send(&request).await {
            Err(Failure::Unknown(_)) if kept => self.send(&request).await,
            other => other,
        }
    }

    /// A POST of JSON.
    pub(crate) async fn post(
        &mut self,
        path: &str,
        token: &str,
        body: &[u8],
    ) -> Result<Reply, Failure> {
        self.send(&Request::json("POST", path, token, body)).await
    }

    /// A POST of one JSON record a line.
    pub(crate) async fn post_lines(
        &mut self,
        path: &str,
        token: &str,
        body: &[u8],
    ) -> Result<Reply, Failure> {
        self.send(&Request::lines(path, token, body)).await
    }

    /// A PATCH of JSON.
    pub(crate) async fn patch(
        &mut self,
        path: &str,
        token: &str,
        body: &[u8],
    ) -> Result<Reply, Failure> {
        self.send(&Request::json("PATCH", path, token, body)).await
    }

    async fn exchange(&mut self, bytes: &[u8]) -> Result<Reply, Failure> {
        let mut stream = if let Some(stream) = self.stream.take() {
            stream
        } else {
            self.buffer.clear();
            connect(self.address).await.map_err(|error| Failure::NotSent(error.to_string()))?
        };
        let unknown = |error: std::io::Error| Failure::Unknown(error.to_string());
        // A refusal may arrive before the whole body is taken, so a broken write still reads.
        let written = stream.write_all(bytes).await;
        let reply = read_reply(&mut stream, &mut self.buffer).await;
        let (reply, reusable) = match (reply, written) {
            (Ok(reply), _) => reply,
            (Err(_), Err(error)) | (Err(error), Ok(())) => return Err(unknown(error)),
        };
        if reusable {
            self.stream = Some(stream);
        }
        Ok(reply)
    }
}

/// Opens a connection that sends small writes at once.
pub(crate) async fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn broken(reason: &str) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, reason)
}

/// Reads at least one more byte into `buffer`.
pub(crate) async fn fill(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
) -> std::io::Result<()> {
    if buffer.len() > LARGEST_REPLY {
        return Err(broken("reply too large"));
    }
    buffer.reserve(16 * 1024);
    match stream.read_buf(buffer).await? {
        0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

/// Reads one reply; `true` when the connection may carry another request. Bytes after the reply
/// stay in `buffer`.
pub(crate) async fn read_reply(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
) -> std::io::Result<(Reply, bool)> {
    let (status, head) = loop {
        let end = loop {
            if let Some(end) = head_end(buffer) {
                break end;
            }
            fill(stream, buffer).await?;
        };
        let head: Vec<u8> = buffer.drain(..end).collect();
        let head = String::from_utf8(head).map_err(|_| broken("head is not text"))?;
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
        match status {
            None => return Err(broken("no status")),
            // An interim reply (100) is followed by the real one.
            Some(100..=199) => {}
            Some(status) => break (status, head),
        }
    };
    let chunked = header(&head, "transfer-encoding")
        .is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
    let mut reusable = !header(&head, "connection")
        .is_some_and(|value| value.eq_ignore_ascii_case("close"))
        && head.starts_with("HTTP/1.1");
    let body = if chunked {
        let mut body = Vec::new();
        while let Some(mut chunk) = read_chunk(stream, buffer).await? {
            body.append(&mut chunk);
        }
        body
    } else if let Some(length) = header(&head, "content-length") {
        let length: usize = length.parse().map_err(|_| broken("bad content-length"))?;
        while buffer.len() < length {
            fill(stream, buffer).await?;
        }
        buffer.drain(..length).collect()
    } else if status == 204 || status == 304 {
        Vec::new()
    } else {
        reusable = false;
        while fill(stream, buffer).await.is_ok() {}
        std::mem::take(buffer)
    };
    Ok((Reply { status, head, body }, reusable))
}

/// Reads one chunk; `None` after the last, whose trailing lines are dropped.
pub(crate) async fn read_chunk(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
) -> std::io::Result<Option<Vec<u8>>> {
    let line = read_line(stream, buffer).await?;
    let size = line.split(';').next().unwrap_or("").trim();
    let size = usize::from_str_radix(size, 16).map_err(|_| broken("bad chunk size"))?;
    if size > LARGEST_REPLY {
        return Err(broken("chunk too large"));
    }
    if size == 0 {
        while !read_line(stream, buffer).await?.is_empty() {}
        return Ok(None);
    }
    while buffer.len() < size + 2 {
        fill(stream, buffer).await?;
    }
    let chunk = buffer.drain(..size).collect();
    buffer.drain(..2);
    Ok(Some(chunk))
}

async fn read_line(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
) -> std::io::Result<String> {
    loop {
        if let Some(end) = buffer.windows(2).position(|window| window == b"\r\n") {
            let line: Vec<u8> = buffer.drain(..end + 2).take(end).collect();
            return String::from_utf8(line).map_err(|_| broken("line is not text"));
        }
        fill(stream, buffer).await?;
    }
}

/// Escapes everything but letters, digits and `-._~` for a path or query.
pub(crate) fn escape(text: &str) -> String {
    use std::fmt::Write as _;
    let mut escaped = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trivial;

    #[tokio::test]
    async fn keeps_its_connection_and_reads_both_kinds_of_body() {
        let server = trivial::Responder::start(|request| match request.path.as_str() {
            "/chunked" => trivial::chunked(&["he", "llo"]),
            "/close" => b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end".to_vec(),
            _ => trivial::json(201, &format!("\"{}\"", request.body.len())),
        })
        .await
        .unwrap();
        let mut client = Client::new(server.address);
        for _ in 0..3 {
            let reply = client.post("/x", "token", b"12345").await.unwrap();
            assert_eq!((reply.status, reply.json()), (201, Value::from("5")));
        }
        assert_eq!(client.get("/chunked", "").await.unwrap().body, b"hello");
        assert_eq!(server.connections(), 1);
        assert_eq!(client.get("/close", "").await.unwrap().body, b"until the end");
        assert_eq!(client.get("/chunked", "").await.unwrap().body, b"hello");
        assert_eq!(server.connections(), 2);
    }

    #[tokio::test]
    async fn knows_what_was_surely_not_sent() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let refused = Client::new(address).get("/", "").await;
        assert!(matches!(refused, Err(Failure::NotSent(_))), "{refused:?}");

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let hang_up = tokio::spawn(async move { listener.accept().await.map(|_| ()) });
        let broken = Client::new(address).post("/", "", b"{}").await;
        assert!(matches!(broken, Err(Failure::Unknown(_))), "{broken:?}");
        hang_up.await.unwrap().unwrap();
    }

    #[test]
    fn escapes_filters() {
        assert_eq!(escape("a eq 'x'&+"), "a%20eq%20%27x%27%26%2B");
    }
}
