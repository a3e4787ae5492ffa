//! How this process is set up: flags win over `RIPOSTE_*` variables, those over `riposte.toml`.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

use crate::network::Network;

/// Everything a `serve` process can be told.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the SQLite store, keys and TLS files are.
    pub data_dir: PathBuf,
    /// The file with the master key that seals secrets in the store; `master.key` in the data
    /// directory when absent. Replicas of one store share it.
    pub master_key: Option<PathBuf>,
    /// A `postgres://` address; without it the store is SQLite in the data directory.
    pub store: Option<String>,
    /// The address to listen at.
    pub listen: SocketAddr,
    /// How connections are protected.
    pub tls: Tls,
    /// Where agents connect besides; without it at the next port when `listen` has no TLS, and
    /// nowhere else when it has.
    pub agents: Option<Agents>,
    /// The address people and clients reach this installation by, for links; without it links
    /// follow the request's host.
    pub public_url: Option<String>,
    /// Proxies in front of this installation: what they say of where a request came from is believed.
    pub trusted_proxies: Vec<Network>,
    /// Whether to write log lines as JSON objects.
    pub log_json: bool,
    /// What to log, in the syntax of `tracing` (`info,riposte=debug`).
    pub log_filter: String,
    /// An OTLP/HTTP collector such as `http://127.0.0.1:4318/v1/traces`; without it no traces
    /// leave this process.
    pub otlp_endpoint: Option<String>,
    /// Intake limits.
    pub intake: Intake,
    /// Request limits.
    pub limits: Limits,
    /// Choices of the Graph-compatible face.
    pub graph: Graph,
    /// Signing in with identity providers.
    pub oidc: Oidc,
    /// Products that carry actions out.
    pub connectors: Connectors,
    /// What agents collected.
    pub packages: Packages,
    /// Mail that goes out, and what comes back.
    pub mail: Mail,
    /// Text messages and calls that go out (NOT-8).
    pub phone: Phone,
    /// What translates conversations.
    pub translation: Translation,
    /// Where the team chats are that customers connect.
    pub chat: Chat,
    /// Whether the demo's people sign in with one click; only the command `demo` says so.
    #[serde(skip)]
    pub demo: bool,
}

/// How connections are protected: nothing, on a loopback address only; an operator's certificate;
/// or one of our own making.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// The certificate chain, PEM.
    pub cert: Option<PathBuf>,
    /// Its private key, PEM.
    pub key: Option<PathBuf>,
    /// Whether to make a certificate authority and a certificate in the data directory.
    pub self_signed: bool,
}

/// A listener for agents alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Agents {
    /// There is none.
    Off,
    /// At this address, under TLS.
    At(SocketAddr),
}

impl std::str::FromStr for Agents {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let address = text.parse();
        address.map(Self::At).map_err(|_| "expected off or an address such as 0.0.0.0:8471".into())
    }
}

impl TryFrom<String> for Agents {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Intake limits: what may wait in memory before requests are refused with 503.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Intake {
    /// Requests that may wait for their commit.
    pub waiting_requests: usize,
    /// Bytes of alerts that may wait for their commit.
    pub waiting_bytes: usize,
    /// The largest request body once decompressed, in bytes.
    pub body_bytes: usize,
}

/// Requests an application may make; beyond them it gets 429.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Requests a minute of one application to the Graph face and our own API, intake excepted.
    pub per_minute: u32,
    /// The same of everybody of one customer together, so that no customer uses the service up.
    pub tenant_per_minute: u32,
    /// Requests a minute of one application to the older `/api/incidents`.
    pub legacy_per_minute: u32,
    /// Requests an hour of one application to the older `/api/incidents`.
    pub legacy_per_hour: u32,
    /// Tokens a minute that one address may ask for.
    pub tokens_per_minute: u32,
    /// Attempts a minute, from one address, to sign in or to use a set-up link.
    pub sign_in_per_minute: u32,
}

/// Choices of the Graph-compatible face.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Graph {
    /// Rows of a page when `$top` is absent.
    pub default_page: u64,
    /// The largest page.
    pub largest_page: u64,
    /// Whether a PATCH with a member that cannot be changed is refused (400) or the member ignored.
    pub refuse_unknown_members: bool,
}

/// Signing in with identity providers: which of them may be reached inside the operator's network.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Oidc {
    /// Issuers whose scheme, host and port may lie on private addresses; every other provider must
    /// be public.
    pub private_issuers: Vec<String>,
    /// Certificates of authorities that are trusted for providers besides the public ones, PEM.
    pub ca: Option<PathBuf>,
}

/// Products that carry actions out.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Connectors {
    /// How long a product may go on telling what was so before a change, in seconds, an hour at most:
    /// until then nothing is sent again and nobody is asked.
    pub lag_s: u32,
}

/// What agents collected: investigation packages and files.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Packages {
    /// How many days they are kept.
    pub days: u32,
}

/// Mail that goes out, and what comes back.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mail {
    /// The mail server: `smtps://user@host` or `smtp://user@host:587`, where STARTTLS is a must unless
    /// it is this machine; without it no mail goes out.
    pub smtp: Option<String>,
    /// The file with the user's password.
    pub password_file: Option<PathBuf>,
    /// Whose mails they are: `Fjordwatch <soc@fjordwatch.example>`.
    pub from: Option<String>,
    /// Certificates of authorities that are trusted for the mail server besides the public ones, PEM.
    pub ca: Option<PathBuf>,
    /// The selector of the DKIM key in the sender's domain; without it mails are not signed.
    pub dkim_selector: Option<String>,
    /// The file with its private key: RSA as PEM of PKCS #1, or 32 bytes of Ed25519 in base64.
    pub dkim_key: Option<PathBuf>,
    /// The address that answers and reports come back to, with an id behind a `+`:
    /// `reply@mdr.example`; without it mails cannot be answered.
    pub replies: Option<String>,
    /// Where the mail server in front of us hands mails over by LMTP. Whoever reaches this address is
    /// believed as that server.
    pub lmtp: Option<SocketAddr>,
    /// The mailbox that they come into instead: `imaps://user@host/INBOX`.
    pub imap: Option<String>,
    /// The file with that user's password.
    pub imap_password_file: Option<PathBuf>,
    /// The name under which that server, or the mailbox's, says what it found out about a sender: the first word of its
    /// `Authentication-Results`.
    pub authority: Option<String>,
}

/// Text messages and calls that go out (NOT-8), by Twilio.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Phone {
    /// The account's SID at Twilio; without it nobody is called.
    pub account: Option<String>,
    /// The file with its token.
    pub token_file: Option<PathBuf>,
    /// The number that calls: `+15005550006`.
    pub from: Option<String>,
    /// Where the API is.
    pub url: String,
}

impl Default for Phone {
    fn default() -> Self {
        let url = "https://api.twilio.com".to_owned();
        Self { account: None, token_file: None, from: None, url }
    }
}

/// What translates conversations for their readers (COM-3): nothing where no address is given.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Translation {
    /// Where the chat interface of OpenAI, or one like it, is: `https://api.openai.com/v1`.
    pub url: Option<String>,
    /// The model that is asked.
    pub model: String,
    /// The file with the token that is shown there.
    pub token_file: Option<PathBuf>,
}

impl Default for Translation {
    fn default() -> Self {
        Self { url: None, model: "gpt-4o-mini".to_owned(), token_file: None }
    }
}

/// Where the team chats are that customers connect: other clouds of theirs have other addresses.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Chat {
    /// Slack's Web API.
    pub slack_url: String,
    /// PagerDuty's Events API for accounts of its service region US.
    pub pagerduty_us_url: String,
    /// The same for EU.
    pub pagerduty_eu_url: String,
    /// Where a bot of Teams gets its token.
    pub teams_login: String,
    /// Microsoft Graph, which makes a team (ONB-6).
    pub teams_graph: String,
    /// What names the keys that the Bot Framework signs with.
    pub teams_metadata: String,
    /// Where the connector of Teams is until it has called us.
    pub teams_service: String,
}

impl Default for Chat {
    fn default() -> Self {
        Self {
            slack_url: "https://slack.com/api".to_owned(),
            pagerduty_us_url: "https://events.pagerduty.com".to_owned(),
            pagerduty_eu_url: "https://events.eu.pagerduty.com".to_owned(),
            teams_login: "https://login.microsoftonline.com".to_owned(),
            teams_graph: "https://graph.microsoft.com/v1.0".to_owned(),
            teams_metadata: "https://login.botframework.com/v1/.well-known/openidconfiguration"
                .to_owned(),
            teams_service: "https://smba.trafficmanager.net/teams".to_owned(),
        }
    }
}

impl Default for Packages {
    fn default() -> Self {
        Self { days: 90 }
    }
}

impl Default for Connectors {
    fn default() -> Self {
        Self { lag_s: 120 }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: "riposte-data".into(),
            master_key: None,
            store: None,
            listen: SocketAddr::from(([127, 0, 0, 1], 8470)),
            tls: Tls::default(),
            agents: None,
            public_url: None,
            trusted_proxies: Vec::new(),
            log_json: false,
            log_filter: "info".to_owned(),
            otlp_endpoint: None,
            intake: Intake::default(),
            limits: Limits::default(),
            graph: Graph::default(),
            oidc: Oidc::default(),
            connectors: Connectors::default(),
            packages: Packages::default(),
            mail: Mail::default(),
            chat: Chat::default(),
            phone: Phone::default(),
            translation: Translation::default(),
            demo: false,
        }
    }
}

impl Default for Intake {
    fn default() -> Self {
        Self {
            waiting_requests: 2_048,
            waiting_bytes: 64 * 1024 * 1024,
            // On its way to the store a body is there several times over: as it came, read,
            // compressed, as rows.
            body_bytes: 8 * 1024 * 1024,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        // The older interface's published limits (SYN-8); the Graph face is meant to be crawled.
        Self {
            per_minute: 60_000,
            tenant_per_minute: 120_000,
            legacy_per_minute: 50,
            legacy_per_hour: 1_500,
            tokens_per_minute: 600,
            sign_in_per_minute: 60,
        }
    }
}

impl Default for Graph {
    fn default() -> Self {
        // Clients stop at a short page, so a page is as long as the largest any of them asks for.
        Self { default_page: 50, largest_page: 5_000, refuse_unknown_members: false }
    }
}

impl Config {
    /// Reads `riposte.toml` text.
    ///
    /// # Errors
    /// A member that is unknown or of the wrong kind, with its line.
    pub fn read(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| format!("riposte.toml: {error}"))
    }
}
