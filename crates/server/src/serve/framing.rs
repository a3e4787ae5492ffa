//! Where one HTTP/1 request ends and the next begins, read so strictly that nobody in front of us
//! can read it otherwise.
//!
//!   head -> body of a length, chunks, or nothing -> head …
//!
//! A proxy and a server that disagree about the end of a request let its sender speak in another's
//! name. hyper follows `Transfer-Encoding` when `Content-Length` is there as well, takes a line feed
//! alone for a line's end and any codings before `chunked`; each is a reading that somebody else may
//! not share. [`Framed`] therefore looks at the bytes on their way to hyper. Invariants: what it lets
//! through has one reading; from the first byte that has not, nothing gets through any more. In a
//! head it is replaced by one that no head may hold, which hyper answers with 400 in its turn and
//! closes; in a body the stream ends there. It keeps a few bytes of state, never the bytes
//! themselves. Not here: how long a head may be, and HTTP/2, whose frames have lengths.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Stands for what is refused: no line of a head may hold NUL. The blank line makes hyper look.
const REFUSAL: &[u8] = b"\0\r\n\r\n";
/// Digits of a length; it stays far below what 64 bits hold.
const LENGTH_DIGITS: usize = 18;
/// Hexadecimal digits of a chunk's length.
const CHUNK_DIGITS: u8 = 15;
/// The longest name of a header that is looked at: `transfer-encoding`.
const NAME: usize = 17;
/// The longest value of such a header, with blanks behind it.
const VALUE: usize = 32;

/// A connection whose requests have one reading only.
pub(super) struct Framed<I> {
    inner: I,
    framing: Framing,
    /// What is still to be said instead of what was refused, and then the end.
    refused: Option<&'static [u8]>,
}

impl<I> Framed<I> {
    pub(super) fn new(inner: I) -> Self {
        Self { inner, framing: Framing::default(), refused: None }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Framed<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let this = &mut *self;
        if this.refused.is_none() {
            let before = buf.filled().len();
            ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
            let read = buf.filled().get(before..).unwrap_or_default();
            let Err(Refused { passed, in_head }) = this.framing.take(read) else {
                return Poll::Ready(Ok(()));
            };
            tracing::debug!("a request that others might read otherwise is refused");
            buf.set_filled(before + passed);
            this.refused = Some(if in_head { REFUSAL } else { &[] });
        }
        let rest = this.refused.unwrap_or_default();
        let (now, later) = rest.split_at(rest.len().min(buf.remaining()));
        buf.put_slice(now);
        this.refused = Some(later);
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Framed<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

/// How many of the bytes may pass before the one that may not, and where that one stands.
#[derive(Debug, PartialEq, Eq)]
struct Refused {
    passed: usize,
    in_head: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Before a request line; blank lines are skipped there, as hyper does.
    #[default]
    Between,
    BetweenEnd,
    RequestLine,
    RequestLineEnd,
    /// At the start of a header line.
    Line,
    Name,
    Value,
    LineEnd,
    HeadEnd,
    /// So many bytes to the end of the body.
    Body(u64),
    /// Before the length of a chunk.
    Chunk,
    ChunkLength {
        length: u64,
        digits: u8,
    },
    ChunkExtension {
        length: u64,
    },
    ChunkLengthEnd {
        length: u64,
    },
    ChunkData(u64),
    ChunkDataEnd,
    ChunkDataEnded,
    /// At the start of a trailer line.
    Trailer,
    TrailerLine,
    TrailerLineEnd,
    TrailersEnd,
}

/// What a head has said about its body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Length {
    #[default]
    None,
    Bytes(u64),
    Chunks,
}

/// A short text being gathered; too long a one is remembered as such.
#[derive(Clone, Copy, Debug)]
struct Short<const N: usize> {
    bytes: [u8; N],
    /// More than `N` when it did not fit.
    length: usize,
}

impl<const N: usize> Default for Short<N> {
    fn default() -> Self {
        Self { bytes: [0; N], length: 0 }
    }
}

impl<const N: usize> Short<N> {
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
        }
        self.length = (self.length + 1).min(N + 1);
    }

    /// `None` when it did not fit.
    fn text(&self) -> Option<&[u8]> {
        self.bytes.get(..self.length)
    }

    fn is(&self, word: &[u8]) -> bool {
        self.text().is_some_and(|text| text.eq_ignore_ascii_case(word))
    }
}

#[derive(Debug, Default)]
struct Framing {
    state: State,
    name: Short<NAME>,
    value: Short<VALUE>,
    /// Whether the value of this line matters.
    wanted: bool,
    length: Length,
    /// Whether the host has been named.
    host: bool,
}

impl Framing {
    /// Follows these bytes.
    fn take(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let Some(taken) = self.step(rest) else {
                return Err(Refused { passed: at, in_head: self.in_head() });
            };
            at += taken;
        }
        Ok(())
    }

    fn in_head(&self) -> bool {
        use State::{
            Between, BetweenEnd, HeadEnd, Line, LineEnd, Name, RequestLine, RequestLineEnd, Value,
        };
        matches!(
            self.state,
            Between
                | BetweenEnd
                | RequestLine
                | RequestLineEnd
                | Line
                | Name
                | Value
                | LineEnd
                | HeadEnd
        )
    }

    /// Follows at least one of these bytes and says how many; `None` when the first is refused.
    #[expect(
        clippy::match_same_arms,
        reason = "one arm for each state and byte, in order of states"
    )]
    fn step(&mut self, rest: &[u8]) -> Option<usize> {
        use State::{
            Between, BetweenEnd, Body, Chunk, ChunkData, ChunkDataEnd, ChunkDataEnded,
            ChunkExtension, ChunkLength, ChunkLengthEnd, HeadEnd, Line, LineEnd, Name, RequestLine,
            RequestLineEnd, Trailer, TrailerLine, TrailerLineEnd, TrailersEnd, Value,
        };
        let byte = *rest.first()?;
        let many = u64::try_from(rest.len()).ok()?;
        let mut taken = 1;
        self.state = match (self.state, byte) {
            (Between, b'\r') => BetweenEnd,
            (BetweenEnd, b'\n') => Between,
            (RequestLine, b'\r') => RequestLineEnd,
            (RequestLineEnd | LineEnd, b'\n') => Line,
            (Between | RequestLine | Value | ChunkExtension { .. } | TrailerLine, b'\n' | 0) => {
                return None;
            }
            (Between, _) => {
                *self = Self::default();
                RequestLine
            }
            (RequestLine, _) => {
                taken = plain(rest);
                RequestLine
            }
            (Line, b'\r') => HeadEnd,
            (Line, b' ' | b'\t' | b'\n' | b':' | 0) => return None,
            (Line, _) => {
                self.name = Short::default();
                self.name.push(byte);
                Name
            }
            (Name, b':') => {
                self.value = Short::default();
                self.wanted = [b"content-length".as_slice(), b"transfer-encoding", b"host"]
                    .iter()
                    .any(|name| self.name.is(name));
                Value
            }
            (Name, b'\r' | b'\n' | b' ' | b'\t' | 0) => return None,
            (Name, _) => {
                self.name.push(byte);
                Name
            }
            (Value, b'\r') => {
                if self.wanted {
                    self.told()?;
                }
                LineEnd
            }
            (Value, _) if self.wanted => {
                if self.value.length > 0 || !is_blank(byte) {
                    self.value.push(byte);
                }
                Value
            }
            (Value, _) => {
                taken = plain(rest);
                Value
            }
            (HeadEnd, b'\n') => match self.length {
                Length::None | Length::Bytes(0) => Between,
                Length::Bytes(length) => Body(length),
                Length::Chunks => Chunk,
            },
            (Body(left), _) => {
                let now = left.min(many);
                taken = usize::try_from(now).ok()?;
                if left == now { Between } else { Body(left - now) }
            }
            (Chunk, _) => ChunkLength { length: digit(byte)?, digits: 1 },
            (ChunkLength { length, .. }, b'\r') => ChunkLengthEnd { length },
            (ChunkLength { length, .. }, b';') => ChunkExtension { length },
            (ChunkLength { length, digits }, _) if digits < CHUNK_DIGITS => {
                ChunkLength { length: length * 16 + digit(byte)?, digits: digits + 1 }
            }
            (ChunkExtension { length }, b'\r') => ChunkLengthEnd { length },
            (ChunkExtension { length }, _) => {
                taken = plain(rest);
                ChunkExtension { length }
            }
            (ChunkLengthEnd { length: 0 }, b'\n') => Trailer,
            (ChunkLengthEnd { length }, b'\n') => ChunkData(length),
            (ChunkData(left), _) => {
                let now = left.min(many);
                taken = usize::try_from(now).ok()?;
                if left == now { ChunkDataEnd } else { ChunkData(left - now) }
            }
            (ChunkDataEnd, b'\r') => ChunkDataEnded,
            (ChunkDataEnded, b'\n') => Chunk,
            (Trailer, b'\r') => TrailersEnd,
            (Trailer, b' ' | b'\t' | b'\n' | b':' | 0) => return None,
            (Trailer, _) => TrailerLine,
            (TrailerLine, b'\r') => TrailerLineEnd,
            (TrailerLine, _) => {
                taken = plain(rest);
                TrailerLine
            }
            (TrailerLineEnd, b'\n') => Trailer,
            (TrailersEnd, b'\n') => Between,
            _ => return None,
        };
        Some(taken)
    }

    /// Weighs a header that says where the request ends or whom it is for.
    fn told(&mut self) -> Option<()> {
        if self.name.is(b"host") {
            let first = !self.host;
            self.host = true;
            return first.then_some(());
        }
        let value = self.value.text()?.trim_ascii_end();
        // Said twice, even the same, is one time too many: others may take the other one.
        if self.length != Length::None {
            return None;
        }
        self.length = if self.name.is(b"transfer-encoding") {
            value.eq_ignore_ascii_case(b"chunked").then_some(Length::Chunks)?
        } else {
            let digits = value.iter().all(u8::is_ascii_digit);
            let fits = (1..=LENGTH_DIGITS).contains(&value.len());
            let value = std::str::from_utf8(value).ok()?;
            Length::Bytes((digits && fits).then(|| value.parse().ok())??)
        };
        Some(())
    }
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// How many bytes, at least one, come before the next that could end a line.
fn plain(rest: &[u8]) -> usize {
    let special = |byte: &u8| matches!(byte, b'\r' | b'\n' | 0);
    rest.iter().position(special).unwrap_or(rest.len()).max(1)
}

fn digit(byte: u8) -> Option<u64> {
    char::from(byte).to_digit(16).map(u64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes that pass and whether any were refused, however they are cut.
    fn passed(text: &[u8]) -> Result<(), Refused> {
        let whole = Framing::default().take(text);
        for piece in [1, 2, 3, 7] {
            let mut framing = Framing::default();
            let mut before = 0;
            let mut result = Ok(());
            for part in text.chunks(piece) {
                if let Err(refused) = framing.take(part) {
                    result = Err(Refused { passed: before + refused.passed, ..refused });
                    break;
                }
                before += part.len();
            }
            assert_eq!(result, whole, "in pieces of {piece}: {}", String::from_utf8_lossy(text));
        }
        whole
    }

    fn post(headers: &str, body: &str) -> Vec<u8> {
        format!("POST / HTTP/1.1\r\nHost: a\r\n{headers}\r\n{body}").into_bytes()
    }

    #[test]
    fn requests_with_one_reading_pass_one_after_the_other() {
        let mut all = Vec::new();
        for (headers, body) in [
            ("", ""),
            ("Content-Length: 0\r\n", ""),
            ("content-LENGTH:\t 5  \r\n", "a\r\n\0b"),
            ("Content-Length: 000000000000000005\r\n", "12345"),
            ("Transfer-Encoding: chunked\r\n", "0\r\n\r\n"),
            ("Transfer-Encoding:Chunked \r\n", "A;x=\"y\"\r\n0123456\r\n9\r\n00\r\n\r\n"),
            ("Transfer-Encoding: chunked\r\n", "2\r\nab\r\n1\r\nc\r\n0\r\nX-Sum: 1\r\n\r\n"),
            ("X-Content-Length: 9\r\nContent-Length-X: 9\r\nTransfer-Encodin: x\r\n", ""),
            (&format!("X: {}\r\nContent-Length: 1\r\n", "y".repeat(9_000)), "z"),
        ] {
            let one = post(headers, body);
            assert_eq!(passed(&one), Ok(()), "{headers}");
            all.extend(one);
            all.extend(b"\r\n");
        }
        assert_eq!(passed(&all), Ok(()));
        let long = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", "a".repeat(200));
        assert_eq!(passed(long.as_bytes()), Ok(()));
    }

    #[test]
    fn heads_with_two_readings_are_refused_before_they_end() {
        for headers in [
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            "Content-Length: 5, 5\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: -5\r\n",
            "Content-Length: 5 5\r\n",
            "Content-Length: 0x5\r\n",
            "Content-Length:\r\n",
            "Content-Length: 1000000000000000000\r\n",
            "Content-Length: \u{661}\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked, identity\r\n",
            "Transfer-Encoding: identity\r\n",
            "Transfer-Encoding: xchunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding:                                  chunked  a\r\n",
            "Transfer-Encoding : chunked\r\n",
            "Transfer-Encoding: chunked\n",
            "X: a\nTransfer-Encoding: chunked\r\n",
            "X: a\rb\r\n",
            "X: a\0b\r\n",
            "X: a\r\n b\r\n",
            "X: a\r\n\tTransfer-Encoding: chunked\r\n",
            " Content-Length: 5\r\n",
            "X a\r\n",
            "X\r\n",
            ": a\r\n",
            "\n",
            "host: b\r\n",
        ] {
            let text = post(headers, "");
            let refused = passed(&text).expect_err(headers);
            assert!(refused.in_head, "{headers}");
            assert!(refused.passed < text.len() - 1, "{headers}");
        }
        for text in ["\nGET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\n\n", "GET /\0 HTTP/1.1\r\n\r\n"] {
            assert!(passed(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn chunks_with_two_readings_are_refused() {
        for body in [
            "\r\n",
            "g\r\n",
            "-1\r\n",
            " 1\r\na\r\n0\r\n\r\n",
            "1 \r\na\r\n0\r\n\r\n",
            "1\na\r\n0\r\n\r\n",
            "1\ra\r\n0\r\n\r\n",
            "1;x\na\r\n0\r\n\r\n",
            "1;x\ry\r\na\r\n0\r\n\r\n",
            "1\r\nab\r\n0\r\n\r\n",
            "1\r\na\n0\r\n\r\n",
            "0\r\n\n",
            "0\r\nX: a\n\r\n",
            "0\r\n X: a\r\n\r\n",
            "0\r\nX: a\r\n\rb",
            "0000000000000001\r\na\r\n0\r\n\r\n",
            "fffffffffffffffff\r\n",
        ] {
            let text = post("Transfer-Encoding: chunked\r\n", body);
            let refused = passed(&text).expect_err(body);
            assert!(!refused.in_head, "{body}");
        }
    }
}
