//! Cuts the device off the network, and lets it on again.
//!
//! States: free, or cut off fully or selectively. The table `inet riposte` is the isolation: three
//! chains with policy drop, before connection tracking and before everybody else's rules, so that
//! what was open before is cut as well. What is allowed is said packet by packet, without state.
//!
//! Always: `isolation.json` is written before the rules and removed after them, so after a crash the
//! device is rather cut off than not; both change under one lock, because the emergency release is
//! another process. What is reported as in force was read from the kernel.
//!
//! Not here: when to release by itself (`watch`), which server address is in use (`address`).

use std::net::SocketAddr;

use riposte_wire::{Allowed, Isolated, Isolation};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::data::Data;
use crate::fault::{Fault, Result};
use crate::files;
use crate::host::nft::{self, Chain, Match, Rule, Transport, Verdict};
use crate::network::Network;

/// Our table.
const TABLE: &str = "riposte";
/// Before connection tracking (-200): a packet that is cut is not even looked up.
const PRIORITY: i64 = -300;

/// An isolation as it must be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// How far.
    pub(crate) mode: Isolation,
    /// What stays reachable.
    pub(crate) allow: Vec<Allowed>,
    /// Since when.
    pub(crate) since: i64,
    /// The order.
    pub(crate) order: String,
    /// When it ends by itself.
    pub(crate) until: Option<i64>,
    /// After how many seconds without the server it ends by itself.
    pub(crate) release_when_cut_off_s: Option<u64>,
    /// The server's addresses.
    pub(crate) server: Vec<SocketAddr>,
}

/// The isolation that must be in force.
pub(crate) fn wanted(data: &Data) -> Result<Option<Plan>> {
    files::load(&data.isolation())
}

/// Brings a plan into force and reads it back; what was before comes back when that fails.
pub(crate) fn apply(data: &Data, plan: &Plan) -> Result<()> {
    let chains = chains(plan)?;
    let _held = data.hold_state()?;
    let before = wanted(data).unwrap_or_default();
    files::store(&data.isolation(), plan)?;
    let put = put(&chains);
    if put.is_err() {
        // The transaction failed as a whole, or the kernel does not have what was asked for.
        if let Some(before) = before {
            files::store(&data.isolation(), &before)?;
            let _ = self::chains(&before).and_then(|chains| self::put(&chains));
        } else {
            let _ = nft::delete(TABLE);
            files::remove(&data.isolation())?;
        }
    }
    put
}

/// Brings back into force what must be, after a start or after somebody took it away; says whether
/// anything had to be done.
pub(crate) fn enforce(data: &Data) -> Result<bool> {
    let Some(plan) = wanted(data)? else { return Ok(false) };
    let chains = chains(&plan)?;
    if verify(&chains).is_ok() {
        return Ok(false);
    }
    let _held = data.hold_state()?;
    // Another process may have released while this one waited.
    if wanted(data)?.is_none() {
        return Ok(false);
    }
    put(&chains).map(|()| true)
}

/// Ends every isolation of ours, known or not.
pub(crate) fn release(data: &Data) -> Result<()> {
    let _held = data.hold_state()?;
    nft::delete(TABLE)?;
    if nft::list(TABLE)?.is_some() {
        return Err(Fault::new("the rules are still there"));
    }
    files::remove(&data.isolation())
}

/// The isolation in force, as the kernel's rules say.
pub(crate) fn in_force() -> Result<Option<Isolated>> {
    let Some(objects) = nft::list(TABLE)? else { return Ok(None) };
    let chains = nft::chains(&objects);
    if !["input", "output"]
        .iter()
        .all(|hook| chains.iter().any(|chain| chain.hook == *hook && chain.policy == Verdict::Drop))
    {
        return Ok(None);
    }
    let mut isolated = Isolated { mode: Isolation::Full, since: 0, order: None };
    let mut notes = chains.iter().flat_map(|chain| &chain.rules).flatten();
    if let Some(note) = notes.find_map(|rule| rule.note.as_deref()) {
        let mut words = note.split(' ').skip(1);
        if words.next() == Some("selective") {
            isolated.mode = Isolation::Selective;
        }
        isolated.since = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
        isolated.order = words.next().map(str::to_owned);
    }
    Ok(Some(isolated))
}

/// What the kernel says, in the shape that the server checks.
pub(crate) fn read_back() -> Result<Value> {
    let rules = nft::list(TABLE)?
        .map_or(0, |objects| nft::chains(&objects).iter().map(|c| c.rules.len()).sum());
    Ok(match in_force()? {
        None => json!({"isolated": false, "mode": null, "rules": rules}),
        Some(isolated) => json!({"isolated": true, "mode": isolated.mode, "rules": rules}),
    })
}

fn put(chains: &[Chain]) -> Result<()> {
    let content: String = chains.iter().map(nft::spell).collect();
    nft::put(TABLE, &content)?;
    verify(chains)
}

/// Compares what the kernel has with what must be there, rule by rule.
fn verify(chains: &[Chain]) -> Result<()> {
    let Some(objects) = nft::list(TABLE)? else {
        return Err(Fault::new("the rules are not there"));
    };
    if nft::chains(&objects) == chains {
        Ok(())
    } else {
        Err(Fault::new("the kernel's rules are not the ones that were asked for"))
    }
}

/// The chains of a plan, by name.
fn chains(plan: &Plan) -> Result<Vec<Chain>> {
    if plan.server.is_empty() {
        return Err(Fault::new(
            "the server's address is not known, so nothing would be let through",
        ));
    }
    let mode = match plan.mode {
        Isolation::Full => "full",
        Isolation::Selective => "selective",
    };
    let mut first = accept(vec![Match::In("lo")]);
    first.note = Some(format!("riposte {mode} {} {}", plan.since, order_word(&plan.order)));
    let mut input = vec![first];
    let mut output = vec![accept(vec![Match::Out("lo")])];
    for server in &plan.server {
        let (host, port) = (Network::host(server.ip()), server.port());
        let (from, to) = (Match::From(host), Match::To(host));
        // A packet that opens a connection from the server's port is not part of our channel.
        input.push(accept(vec![from, Match::SourcePort(Transport::Tcp, port), Match::NotOpening]));
        output.push(accept(vec![to, Match::DestinationPort(Transport::Tcp, port)]));
    }
    for kind in nft::NEIGHBOURS {
        input.push(accept(vec![Match::Icmp6(kind)]));
        if kind.starts_with("nd-") {
            output.push(accept(vec![Match::Icmp6(kind)]));
        }
    }
    input.push(accept(vec![Match::Icmp("destination-unreachable")]));
    lease(&mut input, &mut output)?;
    if plan.mode == Isolation::Selective {
        for allowed in &plan.allow {
            let network: Network = allowed.network.parse()?;
            if network.is_everything() {
                return Err(Fault::new(format!("{network} is every address there is")));
            }
            let (from, to) = (Match::From(network), Match::To(network));
            match allowed.port {
                None => {
                    input.push(accept(vec![from]));
                    output.push(accept(vec![to]));
                }
                Some(port) => {
                    let (tcp, udp) = (Transport::Tcp, Transport::Udp);
                    input.push(accept(vec![
                        from.clone(),
                        Match::SourcePort(tcp, port),
                        Match::NotOpening,
                    ]));
                    input.push(accept(vec![from, Match::SourcePort(udp, port)]));
                    output.push(accept(vec![to.clone(), Match::DestinationPort(tcp, port)]));
                    output.push(accept(vec![to, Match::DestinationPort(udp, port)]));
                }
            }
        }
    }
    Ok([("forward", Vec::new()), ("input", input), ("output", output)]
        .into_iter()
        .map(|(hook, rules)| Chain {
            hook: hook.to_owned(),
            priority: PRIORITY,
            policy: Verdict::Drop,
            rules: rules.into_iter().map(Some).collect(),
        })
        .collect())
}

/// Lets the device keep its address: requests to everybody on the link, and their answers.
fn lease(input: &mut Vec<Rule>, output: &mut Vec<Rule>) -> Result<()> {
    let udp = Transport::Udp;
    let (from, to) =
        (|port| Match::SourcePort(udp, port), |port| Match::DestinationPort(udp, port));
    input.push(accept(vec![from(67), to(68)]));
    output.push(accept(vec![Match::To("255.255.255.255".parse()?), from(68), to(67)]));
    input.push(accept(vec![Match::From("fe80::/10".parse()?), from(547), to(546)]));
    output.push(accept(vec![Match::To("ff02::1:2".parse()?), from(546), to(547)]));
    Ok(())
}

fn accept(when: Vec<Match>) -> Rule {
    Rule { when, then: Verdict::Accept, note: None }
}

/// An order's id as far as it can stand in a note; the rest of the note must stay readable.
fn order_word(order: &str) -> String {
    let plain = order.len() <= 64
        && !order.is_empty()
        && order.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if plain { order.to_owned() } else { "unknown".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(mode: Isolation, allow: Vec<Allowed>) -> Plan {
        Plan {
            mode,
            allow,
            since: 1,
            order: "a\" drop".into(),
            until: None,
            release_when_cut_off_s: None,
            server: vec!["192.0.2.1:8443".parse().unwrap()],
        }
    }

    #[test]
    fn nothing_but_addresses_and_ports_reaches_the_rules() {
        for network in ["192.0.2.1; accept", "0.0.0.0/0", "::/0", "@set", "lo\" accept #"] {
            let allow = vec![Allowed { network: network.into(), port: None }];
            assert!(chains(&plan(Isolation::Selective, allow)).is_err(), "{network}");
        }
        let text: String =
            chains(&plan(Isolation::Full, vec![])).unwrap().iter().map(nft::spell).collect();
        assert!(text.contains("comment \"riposte full 1 unknown\""));
        assert!(!text.contains("established"));
    }

    #[test]
    fn full_isolation_has_no_use_for_what_is_allowed() {
        let allow = vec![Allowed { network: "198.51.100.0/24".into(), port: None }];
        assert_eq!(
            chains(&plan(Isolation::Full, allow)).unwrap(),
            chains(&plan(Isolation::Full, vec![])).unwrap()
        );
    }
}
