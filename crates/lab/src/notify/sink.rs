//! Where notifications arrive: a mail server and receivers of webhooks that keep what they took, and
//! fail now and then, before or after they took it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::random::Random;
use crate::trivial::{Responder, Seen, json};

/// One message that somebody took.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Receipt {
    /// Who took it: an address, or the path of a webhook.
    pub(crate) receiver: String,
    /// The id it came under.
    pub(crate) id: String,
    /// The mark in its text; empty where there is none.
    pub(crate) mark: String,
}

/// What happens to one message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Luck {
    /// It has it, and says so.
    Taken,
    /// The receiver says: not now.
    Later,
    /// It hangs up and has nothing.
    Broken,
    /// It has it, and hangs up before it says so.
    TakenAndBroken,
}

/// What all of them took.
#[derive(Debug)]
pub(crate) struct Taken {
    receipts: Mutex<Vec<Receipt>>,
    random: Mutex<Random>,
    fair: AtomicBool,
    faults: Mutex<HashMap<&'static str, u64>>,
}

impl Taken {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            receipts: Mutex::default(),
            random: Mutex::new(Random::new(seed)),
            fair: AtomicBool::new(false),
            faults: Mutex::default(),
        })
    }

    /// From now on nothing fails.
    pub(crate) fn calm(&self) {
        self.fair.store(true, Ordering::Relaxed);
    }

    /// Everything taken so far.
    pub(crate) fn receipts(&self) -> Vec<Receipt> {
        self.receipts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether something with this mark was taken.
    pub(crate) fn has(&self, mark: &str) -> bool {
        let receipts = self.receipts.lock().unwrap_or_else(PoisonError::into_inner);
        receipts.iter().rev().any(|it| it.mark == mark)
    }

    /// How often which fault was made.
    pub(crate) fn faults(&self) -> HashMap<&'static str, u64> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What happens to the next one.
    pub(crate) fn luck(&self) -> Luck {
        if self.fair.load(Ordering::Relaxed) {
            return Luck::Taken;
        }
        let drawn = self.random.lock().unwrap_or_else(PoisonError::into_inner).below(100);
        let (luck, name) = match drawn {
            0..=2 => (Luck::Later, "later"),
            3..=4 => (Luck::Broken, "broken"),
            5..=7 => (Luck::TakenAndBroken, "takenAndBroken"),
            _ => return Luck::Taken,
        };
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default() += 1;
        luck
    }

    fn keep(&self, receipt: Receipt) {
        self.receipts.lock().unwrap_or_else(PoisonError::into_inner).push(receipt);
    }
}

/// The mark in a text: `mark-` and what follows of letters, digits and hyphens.
pub(crate) fn mark(text: &str) -> String {
    let Some((_, rest)) = text.split_once("mark-") else { return String::new() };
    rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect()
}

/// A mail server on a free port of this machine.
pub(crate) async fn mail(taken: Arc<Taken>) -> Result<SocketAddr, String> {
    let failed = |error: std::io::Error| format!("mail server: {error}");
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let taken = Arc::clone(&taken);
            // Who is killed hangs up; that is what this is for.
            tokio::spawn(async move {
                let _ = converse(stream, &taken).await;
            });
        }
    });
    Ok(address)
}

async fn converse(stream: TcpStream, taken: &Taken) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 sink ready\r\n").await?;
    let (mut to, mut line) = (String::new(), String::new());
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        let answer: &[u8] = match verb.as_str() {
            "EHLO" => b"250 sink\r\n",
            "RCPT" => {
                let address = line.split(['<', '>']).nth(1).unwrap_or_default();
                address.clone_into(&mut to);
                b"250 go on\r\n"
            }
            "QUIT" => return stream.write_all(b"221 bye\r\n").await,
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                let mut mail = String::new();
                loop {
                    line.clear();
                    if stream.read_line(&mut line).await? == 0 {
                        return Ok(());
                    }
                    if line == ".\r\n" {
                        break;
                    }
                    mail.push_str(&line);
                }
                let id = mail.lines().find_map(|line| line.strip_prefix("Message-ID: <"));
                let id = id.and_then(|id| id.split('@').next()).unwrap_or_default().to_owned();
                let receipt = Receipt { receiver: to.clone(), id, mark: mark(&mail) };
                match taken.luck() {
                    Luck::Taken => {
                        taken.keep(receipt);
                        b"250 kept\r\n"
                    }
                    Luck::Later => b"451 4.3.0 not now\r\n",
                    Luck::Broken => return Ok(()),
                    Luck::TakenAndBroken => {
                        taken.keep(receipt);
                        return Ok(());
                    }
                }
            }
            _ => b"250 fine\r\n",
        };
        stream.write_all(answer).await?;
    }
}

/// A receiver of webhooks; each path is one.
pub(crate) async fn hooks(taken: Arc<Taken>) -> Result<Responder, String> {
    let answer = move |seen: &Seen| {
        let id = crate::http::header(&seen.head, "webhook-id").unwrap_or_default().to_owned();
        let text = String::from_utf8_lossy(&seen.body);
        let receipt = Receipt { receiver: seen.path.clone(), id, mark: mark(&text) };
        match taken.luck() {
            Luck::Taken => {
                taken.keep(receipt);
                json(200, "{}")
            }
            Luck::Later => json(503, "{}"),
            Luck::Broken => Vec::new(),
            Luck::TakenAndBroken => {
                taken.keep(receipt);
                Vec::new()
            }
        }
    };
    Responder::start(answer).await.map_err(|error| format!("receiver of webhooks: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_in_a_text() {
        assert_eq!(mark("> mark-a1-7. And more"), "a1-7");
        assert_eq!(mark("nothing"), "");
    }
}
