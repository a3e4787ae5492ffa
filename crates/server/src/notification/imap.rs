//! Mail in from a mailbox over IMAP (RFC 3501), for who has no mail server of their own to hand it over:
//! what is unread is taken and marked as read, and while there is nothing the server is waited for (IDLE,
//! RFC 2177).
//!
//! A mail is marked only once what became of it is on disk, so that a crash in between takes it twice,
//! and it counts once (`inbox`). Mails stay where they are: nothing is deleted or moved. Not here: what
//! becomes of one (`inbox`).

use std::sync::Arc;
use std::time::Duration;

use async_imap::{Client, Session};
use futures_util::TryStreamExt as _;
use mail_parser::{HeaderValue, MessageParser};
use openidconnect::url::Url;
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::config;
use crate::error::{Error, Result};
use crate::notification::inbox;
use crate::notification::mail::{read, unusable};
use crate::smtp::{Envelope, LARGEST};

/// How long one step of a conversation may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the server is waited for at a stretch: a connection that broke unseen is found by then.
const IDLES: Duration = Duration::from_mins(5);
/// The first pause after a failure, which doubles up to the longest.
const PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_mins(5);
/// Headers in which a server says whom a mail was for.
const RECEIVERS: [&str; 5] = ["Delivered-To", "X-Original-To", "Envelope-To", "To", "Cc"];

type Line = Session<TlsStream<TcpStream>>;

/// Which mailbox it is, and how it is opened.
pub struct Mailbox {
    host: String,
    port: u16,
    user: String,
    password: String,
    folder: String,
    tls: TlsConnector,
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Internal(format!("IMAP: {error}"))
}

/// A step that may not take for ever.
async fn within<T, E: std::fmt::Display>(
    step: impl Future<Output = std::result::Result<T, E>>,
) -> Result<T> {
    match tokio::time::timeout(PATIENCE, step).await {
        Ok(done) => done.map_err(failed),
        Err(_) => Err(failed("the server does not answer")),
    }
}

impl Mailbox {
    /// The mailbox that the operator has set up; `None` when there is none.
    ///
    /// # Errors
    /// `Invalid` with the setting that cannot be used.
    pub fn open(mail: &config::Mail) -> Result<Option<Self>> {
        let Some(imap) = &mail.imap else { return Ok(None) };
        let url = Url::parse(imap).map_err(|error| unusable("imap", error))?;
        if url.scheme() != "imaps" {
            return Err(unusable("imap", "it must begin with imaps://"));
        }
        if url.password().is_some() {
            return Err(unusable("imap", "the password belongs into mail.imap_password_file"));
        }
        let host = url.host_str().ok_or_else(|| unusable("imap", "it names no host"))?;
        let user = url.username().replace("%40", "@");
        let path = mail.imap_password_file.as_deref();
        let path = path.filter(|_| !user.is_empty());
        let path = path.ok_or_else(|| {
            unusable("imap", "it names a user, and mail.imap_password_file the password")
        })?;
        let password = read("imap_password_file", path)?.trim_end_matches(['\r', '\n']).to_owned();
        let mut roots = RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        if let Some(ca) = &mail.ca {
            for one in CertificateDer::pem_file_iter(ca).map_err(|error| unusable("ca", error))? {
                let one = one.map_err(|error| unusable("ca", error))?;
                roots.add(one).map_err(|error| unusable("ca", error))?;
            }
        }
        let tls = rustls::ClientConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .map_err(Error::internal)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let folder = url.path().trim_matches('/');
        Ok(Some(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(993),
            user,
            password,
            folder: if folder.is_empty() { "INBOX".to_owned() } else { folder.to_owned() },
            tls: TlsConnector::from(Arc::new(tls)),
        }))
    }

    /// Takes what comes until `stop`; a server that fails is tried again, later each time.
    pub async fn run(self, app: App, stop: CancellationToken) {
        let mut pause = PAUSE;
        loop {
            let worked = tokio::select! {
                () = stop.cancelled() => return,
                worked = Box::pin(self.visit(&app, &mut pause)) => worked,
            };
            if let Err(error) = worked {
                tracing::warn!(
                    "the mailbox {} at {} was not read, will be again in {} s: {error}",
                    self.user,
                    self.host,
                    pause.as_secs()
                );
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Takes what is unread and waits for more, until something breaks.
    async fn visit(&self, app: &App, pause: &mut Duration) -> Result<()> {
        let mut line = Box::pin(self.enter()).await?;
        loop {
            take_unread(app, &mut line).await?;
            *pause = PAUSE;
            let mut idle = line.idle();
            within(idle.init()).await?;
            let (news, _interrupt) = idle.wait_with_timeout(IDLES);
            news.await.map_err(failed)?;
            line = within(idle.done()).await?;
        }
    }

    async fn enter(&self) -> Result<Line> {
        let name = ServerName::try_from(self.host.clone()).map_err(failed)?;
        let stream = within(TcpStream::connect((self.host.as_str(), self.port))).await?;
        let stream = within(self.tls.connect(name, stream)).await?;
        let mut client = Client::new(stream);
        within(client.read_response()).await?;
        let entered = client.login(&self.user, &self.password);
        let mut line = within(async { entered.await.map_err(|(error, _)| error) }).await?;
        within(line.select(&self.folder)).await?;
        Ok(line)
    }
}

/// Takes every unread mail, the oldest first, and marks each when it is done with.
async fn take_unread(app: &App, line: &mut Line) -> Result<()> {
    let mut unread: Vec<u32> = within(line.uid_search("UNSEEN")).await?.into_iter().collect();
    unread.sort_unstable();
    for uid in unread {
        let uid = uid.to_string();
        let sizes =
            async { line.uid_fetch(&uid, "(RFC822.SIZE)").await?.try_collect::<Vec<_>>().await };
        let size = within(sizes).await?.first().and_then(|it| it.size).unwrap_or(u32::MAX);
        if size as usize <= LARGEST {
            let fetched = async {
                line.uid_fetch(&uid, "(BODY.PEEK[])").await?.try_collect::<Vec<_>>().await
            };
            let fetched = within(fetched).await?;
            let Some(data) = fetched.iter().find_map(|it| it.body()) else { continue };
            let answers = inbox::take(app, &envelope(data)).await;
            if answers.iter().any(|answer| answer.starts_with('4')) {
                return Err(failed("what came in could not be written"));
            }
        } else {
            tracing::warn!("a mail of {size} bytes in the mailbox is too long and is left there");
        }
        let marked = async {
            line.uid_store(&uid, "+FLAGS.SILENT (\\Seen)").await?.try_collect::<Vec<_>>().await
        };
        within(marked).await?;
    }
    Ok(())
}

/// A mail as it was handed over to the server of the mailbox, as far as that server wrote it down.
fn envelope(data: &[u8]) -> Envelope {
    let mut it = Envelope { data: data.to_vec(), ..Envelope::default() };
    let Some(mail) = MessageParser::default().parse(data) else { return it };
    for name in RECEIVERS {
        for value in mail.header_values(name) {
            let named: Vec<String> = match value {
                HeaderValue::Address(all) => {
                    all.iter().filter_map(|one| one.address().map(str::to_owned)).collect()
                }
                HeaderValue::Text(text) => {
                    vec![text.trim().trim_matches(['<', '>']).to_owned()]
                }
                _ => Vec::new(),
            };
            it.to.extend(named);
        }
    }
    it.to.sort();
    it.to.dedup();
    it.to.truncate(100);
    // Without a line of its own the sender is who wrote it: an empty one is a report.
    it.from = match mail.headers_raw().find(|(name, _)| name.eq_ignore_ascii_case("Return-Path")) {
        Some((_, value)) => value.trim().trim_matches(['<', '>']).to_owned(),
        None => mail
            .from()
            .and_then(|it| it.first())
            .and_then(|it| it.address())
            .unwrap_or_default()
            .to_owned(),
    };
    it
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_a_mail_was_for_is_read_from_what_the_server_wrote_down() {
        let it = envelope(
            b"Return-Path: <>\r\nDelivered-To: <reply+1@mdr.example>\r\nX-Original-To: \
              reply+2@mdr.example\r\nTo: A <reply+1@mdr.example>, b@c.example\r\n\r\nx",
        );
        assert_eq!(it.to, ["b@c.example", "reply+1@mdr.example", "reply+2@mdr.example"]);
        assert_eq!(it.from, "");
        assert_eq!(envelope(b"From: a@b.example\r\n\r\n").from, "a@b.example");
    }
}
