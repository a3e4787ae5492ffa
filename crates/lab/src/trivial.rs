//! A responder that does nothing: the yardstick for what the loopback itself costs, and the
//! stand-in for a server in tests.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::http;

/// A request as the responder sees it.
#[derive(Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "the yardstick looks at nothing"))]
pub(crate) struct Seen {
    /// `GET`, `POST`, `PATCH`.
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    /// The request line and the header lines.
    pub(crate) head: String,
    /// The body.
    pub(crate) body: Vec<u8>,
}

/// A running responder; it stops when dropped.
#[derive(Debug)]
pub(crate) struct Responder {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Responder {
    /// Starts one on a free loopback port; `answer` gives the whole reply, head included.
    pub(crate) async fn start<F>(answer: F) -> io::Result<Self>
    where
        F: Fn(&Seen) -> Vec<u8> + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let connections = Arc::new(AtomicUsize::new(0));
        let (answer, counter) = (Arc::new(answer), Arc::clone(&connections));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::Relaxed);
                let answer = Arc::clone(&answer);
                // A client that goes away ends its own connection and nothing else.
                tokio::spawn(async move {
                    let _ = serve(stream, answer.as_ref()).await;
                });
            }
        });
        Ok(Self { address, connections, task })
    }

    /// How many connections it has accepted.
    #[cfg(test)]
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        let _ = self.connections.load(Ordering::Relaxed);
        self.task.abort();
    }
}

async fn serve<F: Fn(&Seen) -> Vec<u8>>(mut stream: TcpStream, answer: &F) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer: Vec<u8> = Vec::new();
    loop {
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
        let reply = answer(&Seen { method, path, head, body });
        stream.write_all(&reply).await?;
        if !reply.windows(15).any(|window| window.eq_ignore_ascii_case(b"content-length:"))
            && !reply.windows(8).any(|window| window == b"chunked\r")
        {
            stream.shutdown().await?;
            let mut rest = [0; 64];
            while stream.read(&mut rest).await? > 0 {}
            return Ok(());
        }
    }
}

/// A whole reply with a JSON body.
pub(crate) fn json(status: u16, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A whole reply in chunks.
#[cfg(test)]
pub(crate) fn chunked(parts: &[&str]) -> Vec<u8> {
    let mut reply = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for part in parts {
        reply.extend_from_slice(format!("{:x}\r\n{part}\r\n", part.len()).as_bytes());
    }
    reply.extend_from_slice(b"0\r\n\r\n");
    reply
}
