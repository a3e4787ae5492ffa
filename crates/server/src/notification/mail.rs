//! Mail out over SMTP: one message for one address, signed where the operator has a key for it.
//!
//! The same delivery makes the same message however often it is sent, but for the hour of a signature:
//! its Message-ID, its date and its boundary come from the delivery. Messages about one incident make
//! one thread. A program that answers by itself is asked not to (RFC 3834). Not here: when it is sent
//! (`engine`), what it says (`letter`), what comes back (`inbox`).

use std::net::IpAddr;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use lettre::address::Envelope;
use lettre::message::dkim::{
    DkimCanonicalization, DkimCanonicalizationType, DkimConfig, DkimSigningAlgorithm,
    DkimSigningKey,
};
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::{self, PoolConfig};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use minijinja::Environment;
use openidconnect::url::Url;

use crate::clock::Timestamp;
use crate::config;
use crate::contact::Language;
use crate::error::{Error, Result};
use crate::notification::letter::Letter;
use crate::notification::model::Answer;

/// How long a conversation with the mail server may take, at each of its steps.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections to the mail server at once.
pub(super) const CONNECTIONS: u32 = 16;
/// The longest answer of a mail server that is kept, in characters.
const LONGEST: usize = 200;

static LAYOUTS: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    // A layout that cannot be read is found by the test that renders each kind.
    let _ = environment.add_template("mail.html", include_str!("mail.html"));
    let _ = environment.add_template("mail.txt", include_str!("mail.txt"));
    environment
});

/// A message, ready to be dressed as mail.
#[derive(Clone, Debug)]
pub struct Parcel<'a> {
    /// The delivery's id.
    pub id: &'a str,
    /// The address.
    pub to: &'a str,
    /// Whom it is for, as people call it.
    pub name: &'a str,
    /// Who sends it.
    pub provider: &'a str,
    /// What it says.
    pub letter: &'a Letter,
    /// In which language.
    pub language: Language,
    /// When it was made.
    pub made: Timestamp,
    /// What it belongs to, for one thread of mails: `7.<tenant>`.
    pub thread: Option<String>,
    /// Where reports about it go, and answers where it takes some.
    pub back: Option<&'a str>,
}

/// The way to the mail server.
pub struct Post {
    from: Mailbox,
    transport: AsyncSmtpTransport<Tokio1Executor>,
    dkim: Option<DkimConfig>,
}

pub(super) fn unusable(what: &str, why: impl std::fmt::Display) -> Error {
    Error::Invalid(format!("mail.{what} cannot be used: {why}"))
}

pub(super) fn read(what: &str, path: &std::path::Path) -> Result<String> {
    std::fs::read_to_string(path)
        .map_err(|error| unusable(what, format!("{}: {error}", path.display())))
}

impl Post {
    /// The way that the operator has set up; `None` when there is none.
    ///
    /// # Errors
    /// `Invalid` with the setting that cannot be used.
    pub fn open(mail: &config::Mail) -> Result<Option<Self>> {
        let Some(smtp) = &mail.smtp else { return Ok(None) };
        let url = Url::parse(smtp).map_err(|error| unusable("smtp", error))?;
        let from = mail.from.as_deref().ok_or_else(|| unusable("from", "it is missing"))?;
        let from: Mailbox = from.parse().map_err(|error| unusable("from", error))?;
        let host = url.host_str().map(|host| host.trim_matches(['[', ']']).to_owned());
        let host = host.ok_or_else(|| unusable("smtp", "it names no host"))?;
        let address = host.parse::<IpAddr>();
        let loopback = host == "localhost" || address.is_ok_and(|it| it.is_loopback());
        let mut tls = TlsParameters::builder(host.clone());
        if let Some(ca) = &mail.ca {
            let pem = read("ca", ca)?;
            tls = tls.add_root_certificate(
                Certificate::from_pem(pem.as_bytes()).map_err(|error| unusable("ca", error))?,
            );
        }
        let tls = || tls.build_rustls().map_err(|error| unusable("smtp", error));
        let (tls, port) = match url.scheme() {
            "smtps" => (Tls::Wrapper(tls()?), 465),
            // Nobody listens between two programs of one machine, but a password is never in the clear.
            "smtp" if loopback && url.username().is_empty() => (Tls::None, 25),
            // Without the server's STARTTLS nothing is sent.
            "smtp" => (Tls::Required(tls()?), 587),
            _ => return Err(unusable("smtp", "it must begin with smtps:// or smtp://")),
        };
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(url.port().unwrap_or(port))
            .tls(tls)
            .timeout(Some(PATIENCE))
            .pool_config(PoolConfig::new().max_size(CONNECTIONS));
        if !url.username().is_empty() {
            let password = match &mail.password_file {
                Some(path) => {
                    read("password_file", path)?.trim_end_matches(['\r', '\n']).to_owned()
                }
                None => {
                    return Err(unusable("password_file", "smtp names a user and this is missing"));
                }
            };
            let user = url.username().replace("%40", "@");
            transport = transport.credentials(Credentials::new(user, password));
        }
        if url.password().is_some() {
            return Err(unusable("smtp", "the password belongs into mail.password_file"));
        }
        let dkim = match (&mail.dkim_selector, &mail.dkim_key) {
            (Some(selector), Some(path)) => {
                let domain = from.email.domain().to_owned();
                Some(signature(selector, domain, &read("dkim_key", path)?)?)
            }
            (None, None) => None,
            _ => return Err(unusable("dkim_key", "it goes together with mail.dkim_selector")),
        };
        Ok(Some(Self { from, transport: transport.build(), dkim }))
    }

    /// The domain that Message-IDs end with.
    fn domain(&self) -> &str {
        self.from.email.domain()
    }

    /// The message of a parcel.
    ///
    /// # Errors
    /// `Invalid` when the address is none.
    pub fn message(&self, it: &Parcel<'_>) -> Result<Message> {
        let bad = |error: &dyn std::fmt::Display| Error::Invalid(format!("no mail: {error}"));
        let to: Address = it.to.parse().map_err(|error| bad(&error))?;
        let at = u64::try_from(it.made.micros()).unwrap_or_default();
        let date = SystemTime::UNIX_EPOCH + Duration::from_micros(at);
        let header = |name: &'static str, value: &str| {
            HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
        };
        // Who has no name is called by the address, which needs no second time.
        let name = Some(it.name.to_owned()).filter(|name| name != it.to);
        let mut from = self.from.clone();
        from.name.get_or_insert_with(|| it.provider.to_owned());
        let mut message = Message::builder()
            .from(from.clone())
            .to(Mailbox::new(name, to.clone()))
            .date(date)
            .subject(it.letter.subject.clone())
            .message_id(Some(format!("<{}@{}>", it.id, self.domain())))
            .raw_header(header("Auto-Submitted", "auto-generated"))
            .raw_header(header("X-Auto-Response-Suppress", "All"));
        if let Some(thread) = &it.thread {
            // Nobody ever got a mail of this id; it only ties together those that belong together.
            message = message.references(format!("<thread.{thread}@{}>", self.domain()));
        }
        if let Some(back) = it.back {
            let back: Address = back.parse().map_err(|error| bad(&error))?;
            if it.letter.answer.is_some() {
                message = message.reply_to(Mailbox::new(from.name.clone(), back.clone()));
            }
            let envelope = Envelope::new(Some(back), vec![to.clone()]);
            message = message.envelope(envelope.map_err(|error| bad(&error))?);
        }
        let (text, html) = (text(it.letter)?, html(it.provider, it.letter, it.language)?);
        let body = MultiPart::alternative()
            .boundary(format!("riposte-{}", it.id))
            .singlepart(SinglePart::plain(text))
            .singlepart(SinglePart::html(html));
        let mut message = message.multipart(body).map_err(|error| bad(&error))?;
        if let Some(dkim) = &self.dkim {
            message.sign(dkim);
        }
        Ok(message)
    }

    /// Brings a message to the mail server.
    pub async fn send(&self, message: Message) -> Answer {
        match self.transport.send(message).await {
            Ok(response) => {
                let said = response.message().next().unwrap_or_default().to_owned();
                Answer::Delivered(shown(&format!("{} {said}", response.code())))
            }
            Err(error) => {
                let code = error.status().map(u16::from);
                let said = shown(&said(&error));
                // What is said of this address or this message stays so; what is said of us may not.
                match code {
                    Some(550..=555 | 501) => Answer::Refused(said),
                    _ => Answer::Later(said),
                }
            }
        }
    }

    /// Asks the mail server whether it is there.
    ///
    /// # Errors
    /// Why it is not, for people.
    pub async fn look(&self) -> std::result::Result<(), String> {
        match self.transport.test_connection().await {
            Ok(true) => Ok(()),
            Ok(false) => Err("the mail server is not ready".to_owned()),
            Err(error) => Err(shown(&said(&error))),
        }
    }
}

fn signature(selector: &str, domain: String, key: &str) -> Result<DkimConfig> {
    let algorithm = if key.contains("BEGIN RSA PRIVATE KEY") {
        DkimSigningAlgorithm::Rsa
    } else {
        DkimSigningAlgorithm::Ed25519
    };
    let key = DkimSigningKey::new(key.trim(), algorithm).map_err(|error| {
        let wanted = "PEM of PKCS #1, or 32 bytes of Ed25519 in base64";
        unusable("dkim_key", format!("{error}; it is {wanted}"))
    })?;
    // What a relay may fold or space anew on the way does not break the signature.
    let relaxed = DkimCanonicalizationType::Relaxed;
    let canonicalization = DkimCanonicalization { header: relaxed, body: relaxed };
    let signed = ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"];
    let signed = signed.into_iter().map(HeaderName::new_from_ascii_str).collect();
    Ok(DkimConfig::new(selector.to_owned(), domain, key, signed, canonicalization))
}

/// What went wrong: what the server said, else what became of the connection.
fn said(error: &smtp::Error) -> String {
    let text = error.to_string();
    match (error.status(), text.split_once(": ")) {
        (Some(code), Some((_, said))) => format!("{code} {said}"),
        (Some(code), None) => code.to_string(),
        (None, _) => text,
    }
}

/// What a server said, in one line that harms no log.
fn shown(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(LONGEST).collect::<String>().trim().to_owned()
}

fn layout(name: &str, values: minijinja::Value) -> Result<String> {
    let template = LAYOUTS.get_template(name).map_err(Error::internal)?;
    template.render(values).map_err(Error::internal)
}

/// A letter as plain text.
pub(super) fn text(letter: &Letter) -> Result<String> {
    layout("mail.txt", minijinja::context! { letter })
}

/// A letter as HTML: every value escaped, nothing loaded from anywhere.
pub(super) fn html(provider: &str, letter: &Letter, language: Language) -> Result<String> {
    let language = language.word();
    layout("mail.html", minijinja::context! { provider, letter, language })
}
