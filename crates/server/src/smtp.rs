//! Receiving mail: as much of SMTP (RFC 5321) and LMTP (RFC 2033) as one listener needs.
//!
//! A mail server in front hands mails over here, or a mailbox that only shows them. The other side is
//! not trusted: every line, every mail and every conversation has its bound, and only `CRLF . CRLF`
//! ends a mail, so that no mail hides another one inside (smuggling by bare line feeds). Not here:
//! who may send, what becomes of a mail, TLS.

use std::collections::VecDeque;
use std::io;
use std::sync::Mutex;
use std::time::Duration;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};

use crate::clock::Timestamp;

/// The longest mail, in bytes.
pub const LARGEST: usize = 10 << 20;
/// The longest line of a command, in bytes.
const LINE: usize = 2_048;
/// The most receivers of one mail.
const RECEIVERS: usize = 100;
/// How long the other side may take for its next line.
const PATIENCE: Duration = Duration::from_mins(2);
/// Commands in one conversation.
const COMMANDS: usize = 10_000;

/// Which of the two it is: they differ in the greeting and in who is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flavor {
    /// One answer for a mail.
    Smtp,
    /// One answer for each receiver of a mail.
    Lmtp,
}

/// A mail as it was handed over.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Envelope {
    /// Who it is from, as the conversation says; empty for a report about another mail.
    pub from: String,
    /// Whom it is for.
    pub to: Vec<String>,
    /// The mail itself, without what the transport added.
    pub data: Vec<u8>,
}

/// Mails that a mailbox keeps.
const KEPT: usize = 200;

/// A mailbox that keeps the last mails in memory, for who tries Riposte out.
#[derive(Default)]
pub struct Mailbox(Mutex<VecDeque<(Timestamp, Envelope)>>);

impl Mailbox {
    /// Keeps a mail that came in then.
    pub fn keep(&self, at: Timestamp, mail: Envelope) {
        if let Ok(mut mails) = self.0.lock() {
            mails.push_front((at, mail));
            mails.truncate(KEPT);
        }
    }

    /// What is kept, the newest first.
    #[must_use]
    pub fn mails(&self) -> Vec<(Timestamp, Envelope)> {
        self.0.lock().map(|mails| mails.iter().cloned().collect()).unwrap_or_default()
    }
}

/// Speaks with one peer until it quits. `deliver` gives an answer for each receiver, such as
/// `250 2.0.0 taken`; with fewer answers than receivers the conversation ends there and then.
///
/// # Errors
/// What broke the connection.
pub async fn converse<S, F>(
    stream: S,
    flavor: Flavor,
    name: &str,
    deliver: impl Fn(Envelope) -> F,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = Vec<String>>,
{
    let mut stream = BufReader::new(stream);
    say(&mut stream, &format!("220 {name} ready")).await?;
    let mut greeted = false;
    let mut envelope: Option<Envelope> = None;
    for _ in 0..COMMANDS {
        let Some(line) = line(&mut stream).await? else { return Ok(()) };
        let Ok(line) = std::str::from_utf8(&line) else {
            say(&mut stream, "500 5.5.2 a command is plain text").await?;
            continue;
        };
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb.to_ascii_uppercase().as_str() {
            "LHLO" if flavor == Flavor::Lmtp => {
                (greeted, envelope) = (true, None);
                hello(&mut stream, name).await?;
            }
            "EHLO" if flavor == Flavor::Smtp => {
                (greeted, envelope) = (true, None);
                hello(&mut stream, name).await?;
            }
            "HELO" if flavor == Flavor::Smtp => {
                (greeted, envelope) = (true, None);
                say(&mut stream, &format!("250 {name}")).await?;
            }
            "NOOP" => say(&mut stream, "250 2.0.0 yes").await?,
            "VRFY" => say(&mut stream, "252 2.5.0 perhaps").await?,
            "RSET" => {
                envelope = None;
                say(&mut stream, "250 2.0.0 forgotten").await?;
            }
            "QUIT" => return say(&mut stream, "221 2.0.0 bye").await,
            "MAIL" if !greeted => say(&mut stream, "503 5.5.1 say hello first").await?,
            "MAIL" => match path(rest, "FROM:") {
                Some(from) if envelope.is_none() => {
                    envelope = Some(Envelope { from, ..Envelope::default() });
                    say(&mut stream, "250 2.1.0 go on").await?;
                }
                Some(_) => say(&mut stream, "503 5.5.1 there is a mail already").await?,
                None => say(&mut stream, "501 5.5.4 expected FROM:<address>").await?,
            },
            "RCPT" => match (path(rest, "TO:").filter(|to| !to.is_empty()), &mut envelope) {
                (_, None) => say(&mut stream, "503 5.5.1 say MAIL first").await?,
                (None, _) => say(&mut stream, "501 5.5.4 expected TO:<address>").await?,
                (_, Some(it)) if it.to.len() >= RECEIVERS => {
                    say(&mut stream, "452 4.5.3 too many receivers").await?;
                }
                (Some(to), Some(it)) => {
                    it.to.push(to);
                    say(&mut stream, "250 2.1.5 go on").await?;
                }
            },
            "DATA" => {
                let Some(mut it) = envelope.take().filter(|it| !it.to.is_empty()) else {
                    say(&mut stream, "503 5.5.1 say whom it is for first").await?;
                    continue;
                };
                say(&mut stream, "354 end with <CRLF>.<CRLF>").await?;
                let Some(data) = data(&mut stream).await? else {
                    say(&mut stream, "552 5.3.4 the mail is too long").await?;
                    continue;
                };
                it.data = data;
                let receivers = it.to.len();
                let answers = deliver(it).await;
                if answers.len() < receivers {
                    return Ok(());
                }
                let asked = if flavor == Flavor::Lmtp { receivers } else { 1 };
                for answer in answers.iter().take(asked) {
                    say(&mut stream, answer).await?;
                }
            }
            _ => say(&mut stream, "502 5.5.1 not known here").await?,
        }
    }
    say(&mut stream, "421 4.7.0 that was enough").await
}

async fn hello<S: AsyncWrite + Unpin>(stream: &mut S, name: &str) -> io::Result<()> {
    let lines = format!(
        "250-{name}\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE {LARGEST}"
    );
    say(stream, &lines).await
}

async fn say<S: AsyncWrite + Unpin>(stream: &mut S, line: &str) -> io::Result<()> {
    stream.write_all(line.as_bytes()).await?;
    stream.write_all(b"\r\n").await?;
    stream.flush().await
}

fn too_late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "nothing was said for too long")
}

/// Reads up to and with the next line feed, `most` bytes at most; empty at the end of the stream.
async fn piece<S: AsyncBufRead + Unpin>(stream: &mut S, most: usize) -> io::Result<Vec<u8>> {
    let mut piece = Vec::new();
    while piece.len() < most {
        let read = tokio::time::timeout(PATIENCE, stream.fill_buf()).await;
        let there = read.map_err(|_| too_late())??;
        if there.is_empty() {
            break;
        }
        let room = there.len().min(most - piece.len());
        let end = there[..room].iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(room, |end| end + 1);
        piece.extend_from_slice(&there[..taken]);
        stream.consume(taken);
        if end.is_some() {
            break;
        }
    }
    Ok(piece)
}

/// The next command without its end; `None` when there is none any more.
async fn line<S: AsyncBufRead + Unpin>(stream: &mut S) -> io::Result<Option<Vec<u8>>> {
    let mut line = piece(stream, LINE).await?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.pop() != Some(b'\n') {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a line is too long"));
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(Some(line))
}

/// A mail up to its end; `None` when it was too long, and all of it was read nevertheless.
async fn data<S: AsyncBufRead + Unpin>(stream: &mut S) -> io::Result<Option<Vec<u8>>> {
    let mut data = Vec::new();
    let (mut fits, mut begins) = (true, true);
    for _ in 0..2 * LARGEST {
        let mut line = piece(stream, 65_536).await?;
        if line.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if begins && line == b".\r\n" {
            return Ok(fits.then_some(data));
        }
        if begins && line.first() == Some(&b'.') {
            line.remove(0);
        }
        // A line begins behind CRLF only: what follows a bare line feed is part of the same one.
        begins = line.ends_with(b"\r\n");
        fits &= data.len() + line.len() <= LARGEST;
        if fits {
            data.extend_from_slice(&line);
        } else {
            data.clear();
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "a mail never ends"))
}

/// The address of `FROM:<a@b> SIZE=1`, without its parameters.
fn path(rest: &str, name: &str) -> Option<String> {
    let rest = rest.trim_start();
    let (head, address) = rest.split_at_checked(name.len())?;
    if !head.eq_ignore_ascii_case(name) {
        return None;
    }
    let address = address.trim_start().strip_prefix('<')?;
    let (address, _) = address.split_once('>')?;
    let sound =
        address.len() <= 320 && !address.chars().any(|c| c.is_whitespace() || c.is_control());
    sound.then(|| address.to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::io::AsyncReadExt;

    use super::*;

    async fn talk(flavor: Flavor, said: &[u8]) -> (String, Vec<Envelope>) {
        let (here, mut there) = tokio::io::duplex(1 << 20);
        let got = Mutex::new(Vec::new());
        let deliver = |it: Envelope| {
            let answers = it.to.iter().map(|to| format!("250 2.0.0 taken for {to}")).collect();
            got.lock().unwrap().push(it);
            std::future::ready(answers)
        };
        there.write_all(said).await.unwrap();
        there.shutdown().await.unwrap();
        let ended = converse(here, flavor, "mx.alder.example", deliver).await;
        let mut answers = String::new();
        there.read_to_string(&mut answers).await.unwrap();
        if let Err(error) = ended {
            answers.push_str(&error.to_string());
        }
        (answers, got.into_inner().unwrap())
    }

    #[tokio::test]
    async fn a_mail_is_taken_as_it_was_sent() {
        let said =
            b"EHLO x\r\nMAIL FROM:<> SIZE=9\r\nRCPT TO:<a@b.example>\r\nRCPT to: <c@d.example>\r\n\
            DATA\r\nSubject: x\r\n\r\n..a\r\n.\r\nQUIT\r\n";
        let (answers, got) = talk(Flavor::Smtp, said).await;
        let to = vec!["a@b.example".to_owned(), "c@d.example".to_owned()];
        let data = b"Subject: x\r\n\r\n.a\r\n".to_vec();
        assert_eq!(got, [Envelope { from: String::new(), to, data }]);
        assert_eq!(answers.matches("taken for").count(), 1, "{answers}");
        assert!(answers.ends_with("221 2.0.0 bye\r\n"), "{answers}");
        let said = String::from_utf8_lossy(said).replace("EHLO", "LHLO");
        let (answers, _) = talk(Flavor::Lmtp, said.as_bytes()).await;
        assert_eq!(answers.matches("taken for").count(), 2, "{answers}");
    }

    #[tokio::test]
    async fn only_crlf_ends_a_mail() {
        for end in ["\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r"] {
            let said = format!(
                "EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nx{end}\
                 MAIL FROM:<e@f.example>\r\nRCPT TO:<g@h.example>\r\nDATA\r\ny\r\n.\r\nQUIT\r\n"
            );
            let (answers, got) = talk(Flavor::Smtp, said.as_bytes()).await;
            assert_eq!(got.len(), 1, "{end:?}: {answers}");
            assert_eq!(got[0].from, "a@b.example");
        }
    }

    #[tokio::test]
    async fn what_is_out_of_order_or_too_long_is_refused() {
        for (said, code) in [
            ("MAIL FROM:<a@b.example>\r\n", "503"),
            ("EHLO x\r\nRCPT TO:<a@b.example>\r\n", "503"),
            ("EHLO x\r\nDATA\r\n", "503"),
            ("EHLO x\r\nMAIL FROM:a@b.example\r\n", "501"),
            ("EHLO x\r\nMAIL FROM:<a b@c.example>\r\n", "501"),
            ("EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<>\r\n", "501"),
            ("EHLO x\r\nSTARTTLS\r\n", "502"),
            ("LHLO x\r\n", "502"),
        ] {
            let (answers, got) = talk(Flavor::Smtp, said.as_bytes()).await;
            let last = answers.lines().last().unwrap_or_default();
            assert!(last.starts_with(code) && got.is_empty(), "{said:?}: {answers}");
        }
        let (answers, _) = talk(Flavor::Smtp, "x".repeat(10_000).as_bytes()).await;
        assert!(answers.ends_with("a line is too long"), "{answers}");
        let mut long =
            b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n".to_vec();
        long.resize(long.len() + 900_000, b'x');
        let (answers, got) = talk(Flavor::Smtp, &long).await;
        assert!(got.is_empty(), "cut off: nothing is taken {answers}");
    }
}
