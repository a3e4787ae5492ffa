//! What the server and the endpoint agent say to each other: JSON over HTTPS, and nothing else.
//!
//! ```text
//! POST /agent/v1/enrol            Enrol  -> Enrolled    by token, before there is a certificate
//! POST /agent/v1/poll             Poll   -> Orders      held open until there is something to do
//! POST /agent/v1/report           Report -> Reported    outcomes, progress, observations, inventory
//! PUT  /agent/v1/package/{order}  a zip, streamed       an investigation package or a file
//! POST /agent/v1/renew            Renew  -> Renewed     a new certificate, long before the old one ends
//! ```
//!
//! All but the first go over mutual TLS: the client certificate names the agent. An order is signed
//! by the server over the exact bytes of [`Signed::body`]; the agent keeps the key from its
//! enrolment. Every order has an id of its own and is carried out at most once: the agent writes it
//! into its journal before it begins, and the journal decides after a crash. The same order may
//! therefore be offered again without harm, and is, while the agent does not say that it knows it.
//!
//! Times are whole microseconds since 1970-01-01T00:00:00Z. Unknown members are ignored on both
//! sides, unknown actions are answered with [`Outcome::Refused`]: an older agent and a newer server
//! go on talking. Not here: what an order means to an incident.

use serde::{Deserialize, Serialize};

/// The version of this protocol; a server names the ones it speaks when it refuses another.
pub const VERSION: u32 = 1;

/// How long a poll is held open by the server, in seconds, when there is nothing to do.
pub const HOLD_S: u64 = 25;

/// An agent asks to belong to a customer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Enrol {
    /// The version of the protocol.
    pub version: u32,
    /// The token of the customer, valid for a while.
    pub token: String,
    /// A certificate signing request in PEM; its key never leaves the device. The names in it are
    /// not used: the server gives the name.
    pub request: String,
    /// The device.
    pub host: Host,
}

/// What the server gives an agent that it takes in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Enrolled {
    /// The agent's id, a UUID; the common name of its certificate.
    pub agent: String,
    /// The customer's id, a UUID.
    pub tenant: String,
    /// The agent's certificate in PEM.
    pub certificate: String,
    /// The authority of the server's certificate in PEM, where it is one of the server's own making.
    pub authority: Option<String>,
    /// The Ed25519 public key that orders are signed with, in base64.
    pub order_key: String,
    /// 32 bytes in base64 that emergency release codes are made of; see [`release`].
    pub release_secret: String,
    /// Where to go on from, when it is not where the agent enrolled: `https://host:port`.
    pub server: Option<String>,
}

/// After how many days an agent asks for a new certificate: one lasts two years.
pub const RENEW_AFTER_DAYS: i64 = 490;

/// An agent asks for a new certificate, with the old one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Renew {
    /// The version of the protocol.
    pub version: u32,
    /// A certificate signing request in PEM, of a new key.
    pub request: String,
}

/// A new certificate. The old one holds until the new one is first shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Renewed {
    /// The certificate in PEM.
    pub certificate: String,
}

/// A device as its agent sees it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// The host name.
    pub name: String,
    /// `/etc/machine-id`, or what stands for it.
    pub machine: String,
    /// The operating system as people call it: `Debian GNU/Linux 12 (bookworm)`.
    pub os: String,
    /// The kernel's release.
    pub kernel: String,
    /// `x86_64`, `aarch64` …
    pub architecture: String,
    /// The agent's own version.
    pub agent: String,
    /// Addresses other than loopback.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// What this agent can do here: the words of [`Action::word`]. What is missing is missing on
    /// the device (no nftables, no fanotify, not root), see `lacks`.
    #[serde(default)]
    pub can: Vec<String>,
    /// For each action that it cannot do, why, in a sentence.
    #[serde(default)]
    pub lacks: Vec<(String, String)>,
}

/// The agent says that it is there and asks what to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Poll {
    /// The version of the protocol.
    pub version: u32,
    /// A random text of this run of the agent. Only the newest run is given orders.
    pub run: String,
    /// Orders that are in the journal and whose outcome the server has not acknowledged.
    #[serde(default)]
    pub known: Vec<String>,
    /// What the agent reads of the device's state now.
    pub states: States,
    /// What the agent itself takes.
    #[serde(default)]
    pub own: Own,
}

/// Resources that the agent itself uses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Own {
    /// Resident memory in bytes.
    pub memory: u64,
    /// CPU time since the start in microseconds.
    pub cpu: u64,
    /// Microseconds since the start.
    pub up: u64,
    /// Reports that wait to be sent.
    pub spooled: u64,
}

/// What is in force on the device, read from the device and not from memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct States {
    /// Network isolation, as the kernel's rules say.
    pub isolated: Option<Isolated>,
    /// Whether only allowed programs start, as a probe found.
    pub restricted: bool,
    /// Indicators in force.
    #[serde(default)]
    pub blocked: Vec<Indicator>,
    /// SHA-256 of the files in quarantine, in hex.
    #[serde(default)]
    pub quarantined: Vec<String>,
}

/// Network isolation in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Isolated {
    /// How far.
    pub mode: Isolation,
    /// Since when.
    pub since: i64,
    /// The order that brought it about, when it is known.
    pub order: Option<String>,
}

/// How far a device is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Isolation {
    /// From everything but the server.
    Full,
    /// From everything but the server and what is allowed by name.
    Selective,
}

/// What the server wants done.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Orders {
    /// Orders, the oldest first.
    #[serde(default)]
    pub orders: Vec<Signed>,
    /// Orders whose outcome is stored: the journal may forget them after a week.
    #[serde(default)]
    pub acknowledged: Vec<String>,
    /// Whether a fresh inventory is wanted.
    #[serde(default)]
    pub inventory: bool,
}

/// An order and its signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// The JSON text of an [`Order`].
    pub body: String,
    /// The Ed25519 signature over the bytes of `body`, in base64.
    pub signature: String,
}

/// One thing to do, once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Its id.
    pub id: String,
    /// The agent it is for; another refuses it.
    pub agent: String,
    /// When it was signed.
    pub issued: i64,
    /// From when it is no longer to be begun.
    pub expires: i64,
    /// For things that are in force or not: orders of a lower generation than the last one carried
    /// out for the same thing ([`Action::family`]) are refused as overtaken.
    pub generation: i64,
    /// What to do.
    pub action: Action,
}

/// What can be done on a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Action {
    /// Cuts the device off the network.
    Isolate {
        /// How far.
        mode: Isolation,
        /// What stays reachable, for [`Isolation::Selective`].
        #[serde(default)]
        allow: Vec<Allowed>,
        /// Seconds without the server after which it undoes itself; never when absent.
        #[serde(default)]
        release_when_cut_off_s: Option<u64>,
        /// When it ends by itself.
        #[serde(default)]
        until: Option<i64>,
    },
    /// Ends the isolation, also one that the server knows nothing of.
    Release,
    /// Kills what runs from a file and moves the file away.
    Quarantine {
        /// The file, absolute.
        #[serde(default)]
        path: Option<String>,
        /// The SHA-256 it must have, in hex. Without a path, files below `under` are looked at.
        #[serde(default)]
        sha256: Option<String>,
        /// Where to look, absolute.
        #[serde(default)]
        under: Vec<String>,
    },
    /// Brings a file back from quarantine, bit for bit, with owner, mode and times.
    Restore {
        /// The file's SHA-256 in hex.
        sha256: String,
    },
    /// Lets only programs start that come from packages or are allowed.
    Restrict {
        /// SHA-256 of further programs that may start, in hex.
        #[serde(default)]
        allow: Vec<String>,
        /// When it ends by itself.
        #[serde(default)]
        until: Option<i64>,
    },
    /// Lets every program start again.
    LiftRestriction,
    /// Looks for malware.
    Scan {
        /// The whole device, or only where malware usually is.
        full: bool,
        /// YARA rules, each a name and its text.
        #[serde(default)]
        rules: Vec<(String, String)>,
    },
    /// Gathers what an investigation needs, as a zip with a manifest of hashes.
    CollectPackage,
    /// Sends one file as a zip with a manifest.
    CollectFile {
        /// The file, absolute.
        path: String,
    },
    /// Brings indicators into force.
    Block {
        /// The indicators.
        indicators: Vec<Indicator>,
    },
    /// Takes indicators out of force.
    Unblock {
        /// The indicators.
        indicators: Vec<Indicator>,
    },
    /// Lists what runs.
    ListProcesses,
    /// Kills a process.
    StopProcess {
        /// Its number.
        pid: i32,
        /// Its start in clock ticks since boot, as `/proc/PID/stat` says it, so that a reused number
        /// is not taken for it.
        started: u64,
    },
    /// Locks a local account and ends what runs under it.
    DisableUser {
        /// The account's name.
        name: String,
    },
    /// Unlocks a local account.
    EnableUser {
        /// The account's name.
        name: String,
    },
    /// Ends the sessions of a local account.
    SignOut {
        /// The account's name.
        name: String,
    },
    /// Stops an order under way: a scan, a package.
    Cancel {
        /// The order.
        order: String,
    },
}

impl Action {
    /// The word of this kind of action, as it is on the wire.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Isolate { .. } => "isolate",
            Self::Release => "release",
            Self::Quarantine { .. } => "quarantine",
            Self::Restore { .. } => "restore",
            Self::Restrict { .. } => "restrict",
            Self::LiftRestriction => "liftRestriction",
            Self::Scan { .. } => "scan",
            Self::CollectPackage => "collectPackage",
            Self::CollectFile { .. } => "collectFile",
            Self::Block { .. } => "block",
            Self::Unblock { .. } => "unblock",
            Self::ListProcesses => "listProcesses",
            Self::StopProcess { .. } => "stopProcess",
            Self::DisableUser { .. } => "disableUser",
            Self::EnableUser { .. } => "enableUser",
            Self::SignOut { .. } => "signOut",
            Self::Cancel { .. } => "cancel",
        }
    }

    /// The thing that is in force or not after this action; `None` for what happens once.
    #[must_use]
    pub fn family(&self) -> Option<String> {
        match self {
            Self::Isolate { .. } | Self::Release => Some("isolation".to_owned()),
            Self::Restrict { .. } | Self::LiftRestriction => Some("execution".to_owned()),
            Self::DisableUser { name } | Self::EnableUser { name } => {
                Some(format!("account {name}"))
            }
            _ => None,
        }
    }
}

/// What stays reachable from a device that is selectively isolated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowed {
    /// An address or network: `192.0.2.7`, `2001:db8::/32`.
    pub network: String,
    /// One TCP or UDP port; all when absent.
    #[serde(default)]
    pub port: Option<u16>,
}

/// What is not to be used, until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Indicator {
    /// What it is.
    pub kind: IndicatorKind,
    /// Its value: a SHA-256 in hex, an address or network, a host name, a URL.
    pub value: String,
    /// From when it no longer holds; for ever when absent.
    #[serde(default)]
    pub until: Option<i64>,
}

/// What an indicator is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum IndicatorKind {
    /// A file by its SHA-256: it does not start.
    Hash,
    /// An address or network: nothing goes there or comes from there.
    Ip,
    /// A host name: it does not resolve.
    Domain,
    /// A URL; on a device its host is what can be blocked.
    Url,
}

/// What became of things.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// Outcomes and progress of orders, the oldest first.
    #[serde(default)]
    pub results: Vec<OrderResult>,
    /// What was seen on the device.
    #[serde(default)]
    pub observed: Vec<Observed>,
    /// The inventory, when it was asked for or has changed.
    #[serde(default)]
    pub inventory: Option<Box<Inventory>>,
}

/// The server's answer to a report: all of it is on disk.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Reported {
    /// Orders whose final outcome is stored.
    #[serde(default)]
    pub acknowledged: Vec<String>,
}

/// What became of an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderResult {
    /// The order.
    pub order: String,
    /// When the agent began it, by the device's clock.
    pub began: i64,
    /// When this was so, by the device's clock.
    pub at: i64,
    /// What became of it.
    pub outcome: Outcome,
    /// What was read from the device after it was done: the proof. See `docs/agent.md` for the
    /// shape of each action's.
    #[serde(default)]
    pub read_back: Option<serde_json::Value>,
    /// What the action found: processes, files quarantined, hits of a scan.
    #[serde(default)]
    pub found: Option<serde_json::Value>,
}

/// What became of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "camelCase")]
pub enum Outcome {
    /// Under way; not final.
    Progress {
        /// 0 to 100.
        percent: u8,
        /// What it is at.
        text: String,
    },
    /// Done, and read back: the device is as it should be.
    Succeeded,
    /// Not done; what had been begun was taken back.
    Failed {
        /// Why.
        reason: String,
    },
    /// Never begun: badly signed, expired, overtaken, not known, for another agent.
    Refused {
        /// Why.
        reason: String,
    },
    /// The agent ended while it was at it; `read_back` says how the device is now.
    Unknown {
        /// What is known.
        reason: String,
    },
}

impl Outcome {
    /// Whether nothing more will be said of the order.
    #[must_use]
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Progress { .. })
    }
}

/// Something seen on the device, for its timeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// When, by the device's clock.
    pub at: i64,
    /// `processStarted`, `connectionOpened`, `signedIn`, `fileQuarantined`, `isolated` …
    pub kind: String,
    /// One line for people.
    pub text: String,
    /// The rest.
    #[serde(default)]
    pub detail: serde_json::Value,
}

/// What is on the device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Inventory {
    /// The device.
    pub host: Host,
    /// Local accounts.
    #[serde(default)]
    pub users: Vec<User>,
    /// Who is signed in.
    #[serde(default)]
    pub signed_in: Vec<SignedIn>,
    /// What listens.
    #[serde(default)]
    pub ports: Vec<Port>,
    /// Installed packages, by name: at most 10,000.
    #[serde(default)]
    pub packages: Vec<Package>,
    /// Active services.
    #[serde(default)]
    pub services: Vec<String>,
    /// Memory in bytes.
    #[serde(default)]
    pub memory: u64,
    /// Logical processors.
    #[serde(default)]
    pub processors: u32,
    /// When it booted.
    #[serde(default)]
    pub booted: i64,
}

/// A local account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Its name.
    pub name: String,
    /// Its number.
    pub uid: u32,
    /// Whether it can sign in.
    pub can_sign_in: bool,
    /// Whether it may become root: uid 0, or in `sudo`, `wheel` or `admin`.
    pub administrator: bool,
}

/// Somebody signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedIn {
    /// The account.
    pub user: String,
    /// The terminal.
    pub line: String,
    /// Where from, when from elsewhere.
    pub from: Option<String>,
    /// Since when.
    pub since: i64,
}

/// A listening port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// `tcp` or `udp`.
    pub protocol: String,
    /// The address it listens at.
    pub address: String,
    /// Its number.
    pub port: u16,
    /// Which process, when that can be seen.
    pub process: Option<String>,
}

/// An installed package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// How emergency release codes are made and read (MR-18).
///
/// A code releases one device without the server, for three days: it is the first 80 bits of
/// HMAC-SHA256 over [`release::text`] under the device's secret, in base32 without the letters that
/// look like digits, in groups of four: `7KQM-2XWA-PD4T-9HNC`.
pub mod release {
    /// Letters of a code: Crockford's base32.
    pub const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    /// For how many days a code holds, the day it was made on included.
    pub const DAYS: i64 = 3;

    /// The day of a moment, whole days since 1970.
    #[must_use]
    pub fn day(at: i64) -> i64 {
        at.div_euclid(86_400_000_000)
    }

    /// The text whose HMAC is the code of an agent and a day.
    #[must_use]
    pub fn text(agent: &str, day: i64) -> String {
        format!("riposte release {agent} {day}")
    }

    /// The code of an HMAC.
    #[must_use]
    pub fn spell(mac: &[u8]) -> String {
        let mut code = String::new();
        let (mut bits, mut count) = (0_u32, 0);
        for byte in mac.iter().take(10) {
            bits = (bits << 8) | u32::from(*byte);
            count += 8;
            while count >= 5 {
                count -= 5;
                if code.len() % 5 == 4 {
                    code.push('-');
                }
                let letter = LETTERS.get((bits >> count) as usize & 31).copied().unwrap_or(b'0');
                code.push(char::from(letter));
            }
        }
        code
    }

    /// A code as people may have typed it, in the spelling of [`spell`].
    #[must_use]
    pub fn read(typed: &str) -> String {
        let mut code = String::new();
        for c in typed.chars().filter(char::is_ascii_alphanumeric) {
            let c = match c.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                c => c,
            };
            if code.len() % 5 == 4 {
                code.push('-');
            }
            code.push(c);
        }
        code
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_code_is_read_as_people_type_it() {
            let code = spell(&[0xff, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
            assert_eq!(code.len(), 19);
            assert_eq!(read(&code.to_lowercase().replace('-', " ")), code);
            assert_eq!(read("o0iL"), "0011");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_spelled_as_its_word() {
        for action in [
            Action::Release,
            Action::LiftRestriction,
            Action::CollectPackage,
            Action::ListProcesses,
            Action::Isolate {
                mode: Isolation::Full,
                allow: vec![],
                release_when_cut_off_s: None,
                until: None,
            },
            Action::SignOut { name: "kari".to_owned() },
        ] {
            let json = serde_json::to_value(&action).unwrap();
            assert_eq!(json["do"], action.word());
            assert_eq!(serde_json::from_value::<Action>(json).unwrap(), action);
        }
    }
}
