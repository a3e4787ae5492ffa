//! The way from an agent to the server, as a network is: it can be cut, and it can swallow answers.
//!
//! A relay of bytes. TLS goes through it untouched, so what is lost is lost as on a real line: at any
//! byte, in either direction. It stays where it is while the server behind it dies and comes back.

use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How the line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Line {
    /// Counts the cuts; a connection lives as long as it is the same.
    cuts: u64,
    /// Whether answers are swallowed.
    deaf: bool,
}

/// A relay; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Way {
    /// Where the agent connects.
    pub(crate) address: SocketAddr,
    line: watch::Sender<Line>,
    task: JoinHandle<()>,
}

impl Way {
    /// A relay at a free port of `from` that leads to `to`.
    pub(crate) async fn open(from: IpAddr, to: SocketAddr) -> Result<Self, String> {
        let listener =
            TcpListener::bind((from, 0)).await.map_err(|error| format!("relay: {error}"))?;
        let address = listener.local_addr().map_err(|error| format!("relay: {error}"))?;
        let (line, state) = watch::channel(Line::default());
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let state = state.clone();
                tokio::spawn(async move {
                    if let Ok(far) = TcpStream::connect(to).await {
                        carry(near, far, state).await;
                    }
                });
            }
        });
        Ok(Self { address, line, task })
    }

    /// Ends every connection there is now.
    pub(crate) fn cut(&self) {
        self.line.send_modify(|line| {
            line.cuts += 1;
            line.deaf = false;
        });
    }

    /// Swallows what the server says from now on, until the line is cut.
    pub(crate) fn swallow(&self) {
        self.line.send_modify(|line| line.deaf = true);
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

async fn carry(near: TcpStream, far: TcpStream, mut state: watch::Receiver<Line>) {
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let (near_in, near_out) = near.into_split();
    let (far_in, far_out) = far.into_split();
    let born = state.borrow().cuts;
    let (up, down) = (state.clone(), state.clone());
    tokio::select! {
        () = pump(near_in, far_out, up, false) => {}
        () = pump(far_in, near_out, down, true) => {}
        // Also when the relay itself is gone.
        _ = state.wait_for(|line| line.cuts != born) => {}
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    state: watch::Receiver<Line>,
    answers: bool,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let Ok(count @ 1..) = from.read(&mut buffer).await else { return };
        if answers && state.borrow().deaf {
            continue;
        }
        let piece = buffer.get(..count).unwrap_or_default();
        if to.write_all(piece).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::http::{Client, Failure};
    use crate::trivial::{self, Responder};

    #[tokio::test]
    async fn a_line_carries_swallows_and_is_cut() {
        let server = Responder::start(|_| trivial::json(200, "1")).await.unwrap();
        let way = Way::open("127.0.0.1".parse().unwrap(), server.address).await.unwrap();
        let mut client = Client::new(way.address).patient(Duration::from_millis(300));
        assert_eq!(client.get("/", "").await.unwrap().status, 200);
        way.swallow();
        let lost = client.post("/", "", b"{}").await;
        assert!(matches!(lost, Err(Failure::Unknown(_))), "{lost:?}");
        way.cut();
        assert_eq!(client.get("/", "").await.unwrap().status, 200);
        way.cut();
        let lost = client.post("/", "", b"{}").await;
        assert!(matches!(lost, Err(Failure::Unknown(_))), "{lost:?}");
    }
}
