//! The kernel's packet filter, through `nft`: tables of our own, put in place in one transaction
//! and read back rule by rule.
//!
//! Always: a rule is made of typed values only, so nothing that came from the server can be
//! anything but an address, a port or a word of ours; what is read back is turned into the same
//! type and compared, and a rule that we do not know compares to nothing.

use std::fmt::{self, Write as _};
use std::time::Duration;

use serde_json::Value;

use super::command;
use crate::fault::{During, Fault, Result};
use crate::network::Network;

const LIMIT: Duration = Duration::from_secs(20);

/// A protocol with ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Transport {
    fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// What a packet must be for a rule to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    /// It came in by this interface.
    In(&'static str),
    /// It goes out by this interface.
    Out(&'static str),
    /// It is from there.
    From(Network),
    /// It goes there.
    To(Network),
    /// From this port.
    SourcePort(Transport, u16),
    /// To this port.
    DestinationPort(Transport, u16),
    /// It does not open a TCP connection.
    NotOpening,
    /// It is this ICMP message.
    Icmp(&'static str),
    /// It is this message of ICMP for IPv6.
    Icmp6(&'static str),
    /// It is from an address in this set of the table.
    FromSet(&'static str),
    /// It goes to an address in this set of the table.
    ToSet(&'static str),
}

/// What happens to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It goes on.
    Accept,
    /// It is gone.
    Drop,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Drop => "drop",
        }
    }
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// All of these hold.
    pub(crate) when: Vec<Match>,
    /// And then.
    pub(crate) then: Verdict,
    /// A note of ours.
    pub(crate) note: Option<String>,
}

/// A base chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    /// `input`, `output` or `forward`: its name and its hook.
    pub(crate) hook: String,
    /// Where in the order of hooks.
    pub(crate) priority: i64,
    /// What becomes of what no rule names.
    pub(crate) policy: Verdict,
    /// Its rules; `None` stands for one that was read and is not one of ours.
    pub(crate) rules: Vec<Option<Rule>>,
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = |network: &Network| if network.is_v4() { "ip" } else { "ip6" };
        let of_set = |set: &str| if set.ends_with('6') { "ip6" } else { "ip" };
        match self {
            Self::In(name) => write!(f, "iifname \"{name}\""),
            Self::Out(name) => write!(f, "oifname \"{name}\""),
            Self::From(network) => write!(f, "{} saddr {network}", family(network)),
            Self::To(network) => write!(f, "{} daddr {network}", family(network)),
            Self::SourcePort(transport, port) => write!(f, "{} sport {port}", transport.word()),
            Self::DestinationPort(transport, port) => {
                write!(f, "{} dport {port}", transport.word())
            }
            Self::NotOpening => f.write_str("tcp flags & (syn | ack) != syn"),
            Self::Icmp(kind) => write!(f, "icmp type {kind}"),
            Self::Icmp6(kind) => write!(f, "icmpv6 type {kind}"),
            Self::FromSet(set) => write!(f, "{} saddr @{set}", of_set(set)),
            Self::ToSet(set) => write!(f, "{} daddr @{set}", of_set(set)),
        }
    }
}

/// A chain as `nft` reads it.
pub(crate) fn spell(chain: &Chain) -> String {
    let mut text = format!(
        "chain {hook} {{ type filter hook {hook} priority {}; policy {};\n",
        chain.priority,
        chain.policy.word(),
        hook = chain.hook,
    );
    for rule in chain.rules.iter().flatten() {
        for when in &rule.when {
            let _ = write!(text, "{when} ");
        }
        text.push_str(rule.then.word());
        if let Some(note) = &rule.note {
            // Only what cannot end the quoted text; notes are ours, but their parts came from
            // elsewhere.
            let note: String = note
                .chars()
                .filter(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-'))
                .take(120)
                .collect();
            let _ = write!(text, " comment \"{note}\"");
        }
        text.push('\n');
    }
    text.push_str("}\n");
    text
}

/// Puts a table in place of the one of that name, in one transaction.
pub(crate) fn put(table: &'static str, content: &str) -> Result<()> {
    let script = format!(
        "add table inet {table}\ndelete table inet {table}\ntable inet {table} {{\n{content}}}\n"
    );
    feed(&script)
}

/// Takes a table away; that it is not there is fine.
pub(crate) fn delete(table: &'static str) -> Result<()> {
    feed(&format!("add table inet {table}\ndelete table inet {table}\n"))
}

/// Has `nft` carry out a script in one transaction.
pub(crate) fn feed(script: &str) -> Result<()> {
    command::run("nft", &["-f", "-"], script.as_bytes(), LIMIT)?.ok("nft").map(|_| ())
}

/// The objects of a table as `nft` lists them; `None` when there is no such table.
pub(crate) fn list(table: &'static str) -> Result<Option<Vec<Value>>> {
    let said = command::run("nft", &["-j", "list", "table", "inet", table], b"", LIMIT)?;
    if said.status == Some(1) && said.complaint.contains("No such file or directory") {
        return Ok(None);
    }
    let mut listed: Value =
        serde_json::from_slice(&said.ok("nft")?).during("cannot understand nft")?;
    match listed.get_mut("nftables").map(Value::take) {
        Some(Value::Array(objects)) => Ok(Some(objects)),
        _ => Err(Fault::new("cannot understand nft: no list of objects")),
    }
}

/// The base chains in a listing, by name.
pub(crate) fn chains(objects: &[Value]) -> Vec<Chain> {
    let text = |of: &Value, name: &str| of[name].as_str().unwrap_or_default().to_owned();
    let mut chains: Vec<Chain> = objects
        .iter()
        .filter_map(|object| object.get("chain"))
        .filter(|chain| chain["hook"].is_string() && chain["type"] == "filter")
        .map(|chain| Chain {
            hook: text(chain, "hook"),
            priority: chain["prio"].as_i64().unwrap_or(i64::MAX),
            policy: if chain["policy"] == "drop" { Verdict::Drop } else { Verdict::Accept },
            rules: objects
                .iter()
                .filter_map(|object| object.get("rule"))
                .filter(|rule| rule["chain"] == chain["name"])
                .map(read_rule)
                .collect(),
        })
        .collect();
    chains.sort_by(|a, b| a.hook.cmp(&b.hook));
    chains
}

fn read_rule(rule: &Value) -> Option<Rule> {
    let (last, conditions) = rule["expr"].as_array()?.split_last()?;
    let then = if last.get("accept").is_some() {
        Verdict::Accept
    } else if last.get("drop").is_some() {
        Verdict::Drop
    } else {
        return None;
    };
    let mut when = Vec::with_capacity(conditions.len());
    for condition in conditions {
        when.push(read_match(condition.get("match")?)?);
    }
    Some(Rule { when, then, note: rule["comment"].as_str().map(str::to_owned) })
}

fn read_match(found: &Value) -> Option<Match> {
    let (left, right) = (&found["left"], &found["right"]);
    if left.get("&").is_some() {
        // The mask is spelled differently by each version of nft; ours is the only one there is.
        let flags =
            left["&"][0]["payload"] == serde_json::json!({"protocol": "tcp", "field": "flags"});
        return (flags && found["op"] == "!=" && right == "syn").then_some(Match::NotOpening);
    }
    if found["op"] != "==" {
        return None;
    }
    if let Some(key) = left["meta"]["key"].as_str() {
        let name = if right == "lo" { "lo" } else { return None };
        return match key {
            "iifname" => Some(Match::In(name)),
            "oifname" => Some(Match::Out(name)),
            _ => None,
        };
    }
    let protocol = left["payload"]["protocol"].as_str()?;
    let field = left["payload"]["field"].as_str()?;
    let transport = if protocol == "udp" { Transport::Udp } else { Transport::Tcp };
    let port = || right.as_u64().and_then(|port| u16::try_from(port).ok());
    let kind = |known: &[&'static str]| known.iter().find(|kind| right == **kind).copied();
    match (protocol, field) {
        ("ip" | "ip6", "saddr" | "daddr") => {
            if let Some(set) = right.as_str().and_then(|text| text.strip_prefix('@')) {
                let set = ["v4", "v6"].into_iter().find(|known| *known == set)?;
                return Some(if field == "saddr" {
                    Match::FromSet(set)
                } else {
                    Match::ToSet(set)
                });
            }
            let network = read_network(right)?;
            Some(if field == "saddr" { Match::From(network) } else { Match::To(network) })
        }
        ("tcp" | "udp", "sport") => Some(Match::SourcePort(transport, port()?)),
        ("tcp" | "udp", "dport") => Some(Match::DestinationPort(transport, port()?)),
        ("icmp", "type") => kind(&["destination-unreachable"]).map(Match::Icmp),
        ("icmpv6", "type") => kind(&NEIGHBOURS).map(Match::Icmp6),
        _ => None,
    }
}

/// The messages without which IPv6 does not work on a link, and the one that says how large a
/// packet may be.
pub(crate) const NEIGHBOURS: [&str; 5] = [
    "nd-router-solicit",
    "nd-router-advert",
    "nd-neighbor-solicit",
    "nd-neighbor-advert",
    "packet-too-big",
];

/// A network as a listing spells it: a text, or an address with a length.
pub(crate) fn read_network(listed: &Value) -> Option<Network> {
    if let Some(text) = listed.as_str() {
        return text.parse().ok();
    }
    let prefix = listed.get("prefix")?;
    let length = u8::try_from(prefix["len"].as_u64()?).ok()?;
    Network::new(prefix["addr"].as_str()?.parse().ok()?, length)
}
