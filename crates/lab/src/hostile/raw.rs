//! The cases that break the protocol itself, spoken over a plain socket.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::corpus::{Case, Expect, Send};
use crate::http;

/// How long an answer is waited for before the sending side is closed.
const SILENCE: Duration = Duration::from_millis(700);
/// How long an answer is waited for after that.
const LISTEN: Duration = Duration::from_secs(3);

/// When the sending side of a socket is closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Close {
    /// At once after the last byte, as a client that is done sending may.
    AtOnce,
    /// When nothing more is heard, so that a server that waits for more learns nothing will come
    /// and one that would answer has had the time to.
    #[default]
    WhenSilent,
}

/// What is said on a socket.
#[derive(Debug, Default)]
pub(super) struct Talk {
    /// Bytes, and the pause after them.
    pub(super) parts: Vec<(Vec<u8>, Duration)>,
    /// When the sending side is closed.
    pub(super) close: Close,
    /// How many times it is said, each on a socket of its own; for what only sometimes goes wrong.
    pub(super) times: usize,
}

/// What was heard on a socket.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// The status of every reply, in order.
    pub(super) statuses: Vec<u16>,
    /// Whether the server closed the connection.
    pub(super) closed: bool,
}

/// Says it, and listens until the server closes or for some seconds.
pub(super) async fn talk(address: SocketAddr, talk: &Talk) -> Answer {
    let Ok(mut stream) = http::connect(address).await else {
        return Answer { statuses: Vec::new(), closed: true };
    };
    for (bytes, pause) in &talk.parts {
        // A refusal may come before everything is said; then only listening is left.
        if stream.write_all(bytes).await.is_err() {
            break;
        }
        if !pause.is_zero() {
            tokio::time::sleep(*pause).await;
        }
    }
    let mut heard = Vec::new();
    let mut closed =
        talk.close == Close::WhenSilent && listen(&mut stream, &mut heard, SILENCE).await;
    if !closed {
        // A server that has closed already makes this fail, which the listening finds out.
        let _ = stream.shutdown().await;
        closed = listen(&mut stream, &mut heard, LISTEN).await;
    }
    Answer { statuses: statuses(&heard), closed }
}

/// Adds to `heard` for at most `patience`; `true` when the server closed.
async fn listen(stream: &mut TcpStream, heard: &mut Vec<u8>, patience: Duration) -> bool {
    let all = async {
        while let Ok(count) = stream.read_buf(heard).await {
            if count == 0 {
                break;
            }
        }
    };
    tokio::time::timeout(patience, all).await.is_ok()
}

fn statuses(heard: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(heard);
    text.match_indices("HTTP/1.")
        .filter_map(|(at, _)| text.get(at + 9..at + 12)?.parse().ok())
        .filter(|status| *status >= 200)
        .collect()
}

/// Whether the answer is the one a case must get.
pub(super) fn judge(expect: Expect, answer: &Answer) -> Result<(), String> {
    let wrong = || Err(format!("expected {expect:?}, heard {answer:?}"));
    if answer.statuses.iter().any(|status| *status >= 500) {
        return wrong();
    }
    let refused = answer.statuses.iter().all(|status| (400..500).contains(status));
    let held = match expect {
        Expect::GoodThenBad => answer.closed && answer.statuses == [200, 400],
        Expect::Bad => answer.closed && answer.statuses == [400],
        Expect::Cut => refused && (answer.closed || !answer.statuses.is_empty()),
        Expect::Answered => !answer.statuses.is_empty(),
        _ => answer.closed || !answer.statuses.is_empty(),
    };
    if held { Ok(()) } else { wrong() }
}

/// All cases on a socket.
pub(super) fn cases(token: &str) -> Vec<Case> {
    use Expect::{Answered, Bad, Cut};
    let head = |line: &str, more: &str| {
        format!(
            "{line}\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\n{more}\r\n"
        )
    };
    let post =
        |more: &str, body: &str| format!("{}{body}", head("POST /api/v1/alerts HTTP/1.1", more));
    let get = |more: &str| format!("GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n{more}\r\n");
    let smuggled = "0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    let length = smuggled.len();
    let once = |name: &str, expect, text: String| case(name, expect, vec![text.into_bytes()]);
    let mut cases = vec![
        once(
            "length and chunks",
            Bad,
            post(&format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"), smuggled),
        ),
        once(
            "chunks and length",
            Bad,
            post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "0\r\n\r\n"),
        ),
        once("two lengths", Bad, post("Content-Length: 2\r\nContent-Length: 5\r\n", "{}   ")),
        once("two lengths in one", Bad, post("Content-Length: 2, 5\r\n", "{}   ")),
        once("negative length", Bad, post("Content-Length: -1\r\n", "{}")),
        once("length with a sign", Bad, post("Content-Length: +2\r\n", "{}")),
        once("length in hex", Bad, post("Content-Length: 0x2\r\n", "{}")),
        once(
            "length beyond all bounds",
            Bad,
            post("Content-Length: 99999999999999999999999\r\n", "{}"),
        ),
        once("unknown transfer coding", Bad, post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n")),
        once("chunks not last", Bad, post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n")),
        once(
            "chunk size that is none",
            Bad,
            post("Transfer-Encoding: chunked\r\n", "zz\r\n{}\r\n0\r\n\r\n"),
        ),
        once(
            "chunk size too large",
            Bad,
            post("Transfer-Encoding: chunked\r\n", "fffffffffffffffff\r\n{}\r\n0\r\n\r\n"),
        ),
        once(
            "chunk without its end",
            Cut,
            post("Transfer-Encoding: chunked\r\n", "2\r\n{}XX0\r\n\r\n"),
        ),
        once(
            "chunk extension of 100 KB",
            Cut,
            post(
                "Transfer-Encoding: chunked\r\n",
                &format!("2;{}\r\n{{}}\r\n0\r\n\r\n", "x".repeat(100_000)),
            ),
        ),
        once("blank before the colon", Bad, get("X-A : 1\r\n")),
        once(
            "blank before the colon of the coding",
            Bad,
            post("Transfer-Encoding : chunked\r\n", smuggled),
        ),
        once(
            "the same length twice",
            Bad,
            post("Content-Length: 2\r\nContent-Length: 2\r\n", "{}"),
        ),
        once("no length", Bad, post("Content-Length: \r\n", "{}")),
        once(
            "chunks behind another coding",
            Bad,
            post("Transfer-Encoding: gzip, chunked\r\n", smuggled),
        ),
        once(
            "chunks twice",
            Bad,
            post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", smuggled),
        ),
        once("no coding", Bad, post("Transfer-Encoding: identity\r\n", "{}")),
        once(
            "line feed alone ends the coding",
            Bad,
            post("Transfer-Encoding: chunked\n", smuggled),
        ),
        once("line feeds alone", Bad, "GET /readyz HTTP/1.1\nHost: 127.0.0.1\n\n".to_owned()),
        once(
            "coding in a folded line",
            Bad,
            post("X-A: 1\r\n Transfer-Encoding: chunked\r\n", smuggled),
        ),
        once(
            "folded first line",
            Bad,
            "GET /readyz HTTP/1.1\r\n Host: 127.0.0.1\r\n\r\n".to_owned(),
        ),
        once("two hosts", Bad, get("Host: alder.example\r\n")),
        once(
            "chunks in HTTP/1.0",
            Bad,
            post("Transfer-Encoding: chunked\r\n", smuggled).replacen("HTTP/1.1", "HTTP/1.0", 1),
        ),
        once(
            "line feed in a chunk extension",
            Bad,
            post("Transfer-Encoding: chunked\r\n", "2;\n{}\r\n0\r\n\r\n"),
        ),
        once(
            "chunk size with blanks",
            Bad,
            post("Transfer-Encoding: chunked\r\n", "2 \r\n{}\r\n0\r\n\r\n"),
        ),
        once("folded header", Bad, get("X-A: 1\r\n folded: 2\r\n")),
        once("header without a name", Bad, get(": 1\r\n")),
        once("NUL in a header", Bad, get("X-A: a\0b\r\n")),
        once("lone carriage return", Bad, get("X-A: a\rX-B: c\r\n")),
        once("header of 100 KB", Answered, get(&format!("X-A: {}\r\n", "x".repeat(100_000)))),
        once("header of 10 MB", Cut, get(&format!("X-A: {}\r\n", "x".repeat(10 << 20)))),
        once("10,000 headers", Cut, get(&"X-A: 1\r\n".repeat(10_000))),
        once(
            "request line of 100 KB",
            Cut,
            format!("GET /{} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "x".repeat(100_000)),
        ),
        once("no method", Cut, "/readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".to_owned()),
        once(
            "unknown method",
            Answered,
            "BREW /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".to_owned(),
        ),
        once("unknown version", Cut, "GET /readyz HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n".to_owned()),
        once("no version", Cut, "GET /readyz\r\n\r\n".to_owned()),
        once("half closed after a whole request", Answered, post("Content-Length: 2\r\n", "{}")),
        once("half closed within the body", Cut, post("Content-Length: 200\r\n", "{\"title\":")),
        once("half closed within the head", Cut, "GET /readyz HTTP/1.1\r\nHost".to_owned()),
        case("a TLS greeting", Cut, vec![b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()]),
        case("noise", Cut, vec![(0..2_048_u32).map(|byte| (byte * 7 % 256) as u8).collect()]),
    ];
    // Behind a request that is answered, in its turn and as the last.
    let clash = post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", smuggled);
    let text = format!("{}{clash}", get(""));
    cases.push(once("length and chunks behind a good request", Expect::GoodThenBad, text));
    // A body that never ends must hold up nobody else; the connection itself may stay open.
    let slow = post("Content-Length: 100000\r\n", "{\"title\":\"");
    let parts = std::iter::once(slow.into_bytes()).chain((0..10).map(|_| b"x".to_vec()));
    let parts = parts.map(|bytes| (bytes, Duration::from_millis(100))).collect();
    let send = Send::Raw(Talk { parts, close: Close::AtOnce, times: 1 });
    let limit = Duration::from_secs(6);
    cases.push(Case { name: "socket: slow body".to_owned(), send, expect: Cut, limit, at_once: 1 });
    cases
}

fn case(name: &str, expect: Expect, parts: Vec<Vec<u8>>) -> Case {
    let parts = parts.into_iter().map(|bytes| (bytes, Duration::ZERO)).collect();
    // The cases on closing are about doing so at once, and a race is not lost every time.
    let at_once = name.starts_with("half closed");
    let (close, times) = if at_once { (Close::AtOnce, 10) } else { (Close::WhenSilent, 1) };
    let send = Send::Raw(Talk { parts, close, times });
    Case {
        name: format!("socket: {name}"),
        send,
        expect,
        limit: Duration::from_secs(6),
        at_once: 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trivial::{self, Responder};

    #[tokio::test]
    async fn every_reply_on_a_socket_is_heard() {
        let server = Responder::start(|_| trivial::json(404, "{}")).await.unwrap();
        let twice = b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n".to_vec();
        let parts = vec![(twice, Duration::ZERO)];
        let said = Talk { parts, close: Close::AtOnce, times: 1 };
        let answer = talk(server.address, &said).await;
        assert_eq!(answer, Answer { statuses: vec![404, 404], closed: true });
        assert!(judge(Expect::Cut, &answer).is_ok());
    }

    #[test]
    fn a_smuggled_reply_is_wrong() {
        let answer = |statuses: &[u16], closed| Answer { statuses: statuses.to_vec(), closed };
        assert!(judge(Expect::Cut, &answer(&[400, 200], true)).is_err());
        assert!(judge(Expect::Cut, &answer(&[], false)).is_err());
        assert!(judge(Expect::Cut, &answer(&[], true)).is_ok());
        assert!(judge(Expect::Answered, &answer(&[], true)).is_err());
        assert!(judge(Expect::Answered, &answer(&[503], true)).is_err());
        assert!(judge(Expect::Bad, &answer(&[400], true)).is_ok());
        for (statuses, closed) in
            [(&[400][..], false), (&[], true), (&[200], true), (&[400, 200], true)]
        {
            assert!(judge(Expect::Bad, &answer(statuses, closed)).is_err());
        }
        assert!(judge(Expect::GoodThenBad, &answer(&[200, 400], true)).is_ok());
        assert!(judge(Expect::GoodThenBad, &answer(&[200, 200], true)).is_err());
        assert!(cases("t").len() > 25);
    }
}
