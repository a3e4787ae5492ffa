//! Brings indicators into force and takes them out: hashes do not start, addresses are not reached,
//! names do not resolve.
//!
//! Always: `blocked.json` says what must be in force; what is reported as in force was read from the
//! packet filter, from `/etc/hosts` and from the guard that answers.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::net::IpAddr;

use riposte_wire::{Indicator, IndicatorKind};
use serde_json::{Value, json};

use super::guard::Policy;
use super::{Done, restrict};
use crate::agent::Agent;
use crate::data::Data;
use crate::fault::{Fault, Result};
use crate::host::nft::{self, Chain, Match, Rule, Verdict};
use crate::host::{command, names, place};
use crate::network::Network;
use crate::{clock, files, watch};

const TABLE: &str = "riposte_block";
/// After isolation and before everybody else's filters.
const PRIORITY: i64 = -290;
const MOST: usize = 10_000;
/// No value is longer.
const LONGEST: usize = 2_048;

/// The indicators that must be in force.
pub(crate) fn wanted(data: &Data) -> Result<Vec<Indicator>> {
    Ok(files::load(&data.blocked())?.unwrap_or_default())
}

/// The hashes that must be in force.
pub(crate) fn wanted_hashes(data: &Data, now: i64) -> Result<HashMap<String, Option<i64>>> {
    let mut wanted = wanted(data)?;
    wanted.retain(|i| i.kind == IndicatorKind::Hash && !watch::over(i.until, now));
    Ok(wanted.into_iter().map(|i| (i.value, i.until)).collect())
}

/// Brings indicators into force.
pub(crate) fn block(agent: &Agent, indicators: &[Indicator]) -> Result<Done> {
    let new = plain(agent, indicators)?;
    let before = wanted(&agent.data)?;
    let mut all = before.clone();
    all.retain(|old| !new.iter().any(|new| same(old, new)));
    all.extend(new.iter().cloned());
    if all.len() > MOST {
        return Err(Fault::new(format!("more than {MOST} indicators are not kept")));
    }
    change(agent, &before, &all, |agent| {
        let back = read_back(agent, &new);
        if back["missing"] == 0 { Ok(back) } else { Err(Fault::new("not all are in force")) }
    })
}

/// Takes indicators out of force.
pub(crate) fn unblock(agent: &Agent, indicators: &[Indicator]) -> Result<Done> {
    let before = wanted(&agent.data)?;
    let mut all = before.clone();
    // What is not an indicator at all cannot be in force, and is no reason to keep the others.
    let gone: Vec<Indicator> = indicators.iter().filter_map(|i| plain_one(agent, i).ok()).collect();
    all.retain(|old| !gone.iter().any(|gone| same(old, gone)));
    change(agent, &before, &all, |agent| {
        let back = read_back_without(agent, &gone);
        if back["missing"] == 0 { Ok(back) } else { Err(Fault::new("not all are out of force")) }
    })
}

fn change(
    agent: &Agent,
    before: &[Indicator],
    after: &[Indicator],
    check: impl Fn(&Agent) -> Result<Value>,
) -> Result<Done> {
    files::store(&agent.data.blocked(), &after)?;
    let done = enforce(agent).and_then(|()| check(agent));
    if done.is_err() {
        files::store(&agent.data.blocked(), &before)?;
        enforce(agent)?;
    }
    done.map(Done::well)
}

/// What is in force, and how many of these are not.
pub(crate) fn read_back(agent: &Agent, indicators: &[Indicator]) -> Value {
    let all = in_force(&agent.data, agent.guard.policy().as_deref());
    let missing = indicators
        .iter()
        .filter(|i| !plain_one(agent, i).is_ok_and(|i| all.iter().any(|there| same(there, &i))))
        .count();
    json!({"inForce": all, "missing": missing})
}

/// What is in force, and how many of these still are: what is missing of taking them out.
pub(crate) fn read_back_without(agent: &Agent, indicators: &[Indicator]) -> Value {
    let all = in_force(&agent.data, agent.guard.policy().as_deref());
    let missing = indicators
        .iter()
        .filter(|i| plain_one(agent, i).is_ok_and(|i| all.iter().any(|there| same(there, &i))))
        .count();
    json!({"inForce": all, "missing": missing})
}

/// What is in force, as the system says.
pub(crate) fn in_force(data: &Data, guard: Option<&Policy>) -> Vec<Indicator> {
    let wanted = wanted(data).unwrap_or_default();
    if wanted.is_empty() {
        return Vec::new();
    }
    let networks = networks_in_force();
    let names = names::blocked();
    let now = clock::now();
    wanted
        .into_iter()
        .filter(|i| match i.kind {
            IndicatorKind::Hash => guard.is_some_and(|policy| {
                policy.denied.get(&i.value).is_some_and(|until| !watch::over(*until, now))
            }),
            IndicatorKind::Ip => i.value.parse().is_ok_and(|network| networks.contains(&network)),
            IndicatorKind::Domain => names.contains(&i.value),
            IndicatorKind::Url => host_of(&i.value).is_ok_and(|host| names.contains(&host)),
        })
        .collect()
}

/// Makes the system be as `blocked.json` says.
pub(crate) fn enforce(agent: &Agent) -> Result<()> {
    let now = clock::now();
    let mut wanted = wanted(&agent.data)?;
    wanted.retain(|i| !watch::over(i.until, now));
    restrict::enforce(agent)?;
    put_networks(&wanted, now)?;
    let mut hosts = BTreeSet::new();
    for i in &wanted {
        match i.kind {
            IndicatorKind::Domain => drop(hosts.insert(i.value.clone())),
            IndicatorKind::Url => drop(hosts.insert(host_of(&i.value)?)),
            IndicatorKind::Hash | IndicatorKind::Ip => {}
        }
    }
    names::block(&hosts)
}

/// Whether something must be done: an indicator is over, or was taken out of force by somebody.
pub(crate) fn tend(agent: &Agent) -> Result<bool> {
    let (wanted, now) = (wanted(&agent.data)?, clock::now());
    let (over, held): (Vec<_>, Vec<_>) =
        wanted.into_iter().partition(|i| watch::over(i.until, now));
    if !over.is_empty() {
        files::store(&agent.data.blocked(), &held)?;
    } else if held.is_empty()
        || in_force(&agent.data, agent.guard.policy().as_deref()).len() == held.len()
    {
        return Ok(false);
    }
    enforce(agent).map(|()| true)
}

fn same(a: &Indicator, b: &Indicator) -> bool {
    a.kind == b.kind && a.value == b.value
}

fn plain(agent: &Agent, indicators: &[Indicator]) -> Result<Vec<Indicator>> {
    if indicators.len() > MOST {
        return Err(Fault::new(format!("more than {MOST} indicators are not kept")));
    }
    indicators.iter().map(|i| plain_one(agent, i)).collect()
}

/// An indicator in the spelling in which it is compared; refuses what would cut the agent off.
fn plain_one(agent: &Agent, i: &Indicator) -> Result<Indicator> {
    if i.value.len() > LONGEST {
        return Err(Fault::new("an indicator is too long"));
    }
    let own_host = agent.server.host_str().unwrap_or_default();
    let value = match i.kind {
        IndicatorKind::Hash => place::hash(&i.value)?,
        IndicatorKind::Ip => {
            let network: Network = i.value.parse()?;
            let own = agent.addresses.known();
            if network.is_everything() || own.iter().any(|own| network.contains(own.ip())) {
                return Err(Fault::new(format!("{network} would cut the agent off its server")));
            }
            if network.contains(IpAddr::from([127, 0, 0, 1]))
                || network.contains(std::net::Ipv6Addr::LOCALHOST.into())
            {
                return Err(Fault::new(format!("{network} is this device itself")));
            }
            network.to_string()
        }
        IndicatorKind::Domain => names::name(&i.value)?,
        IndicatorKind::Url => {
            host_of(&i.value)?;
            i.value.clone()
        }
    };
    let host = match i.kind {
        IndicatorKind::Domain => Some(value.clone()),
        IndicatorKind::Url => Some(host_of(&value)?),
        IndicatorKind::Hash | IndicatorKind::Ip => None,
    };
    if host.is_some_and(|host| host == own_host) {
        return Err(Fault::new("that is the agent's own server"));
    }
    Ok(Indicator { value, ..i.clone() })
}

fn host_of(url: &str) -> Result<String> {
    let url: reqwest::Url =
        url.parse().map_err(|_| Fault::new("that is not a URL whose host can be blocked"))?;
    names::name(url.host_str().unwrap_or_default())
}

fn chains() -> Vec<Chain> {
    let rule = |when| Some(Rule { when: vec![when], then: Verdict::Drop, note: None });
    let both = || {
        vec![
            rule(Match::FromSet("v4")),
            rule(Match::FromSet("v6")),
            rule(Match::ToSet("v4")),
            rule(Match::ToSet("v6")),
        ]
    };
    ["forward", "input", "output"]
        .into_iter()
        .map(|hook| Chain {
            hook: hook.to_owned(),
            priority: PRIORITY,
            policy: Verdict::Accept,
            rules: both(),
        })
        .collect()
}

fn put_networks(wanted: &[Indicator], now: i64) -> Result<()> {
    let mut networks: Vec<(Network, Option<i64>)> = Vec::new();
    for i in wanted.iter().filter(|i| i.kind == IndicatorKind::Ip) {
        networks.push((i.value.parse()?, i.until));
    }
    if networks.is_empty() {
        if command::find("nft").is_none() {
            return Ok(());
        }
        return if nft::list(TABLE)?.is_some() { nft::delete(TABLE) } else { Ok(()) };
    }
    let mut content = String::new();
    for (set, kind, four) in [("v4", "ipv4_addr", true), ("v6", "ipv6_addr", false)] {
        let _ = writeln!(content, "set {set} {{ type {kind}; flags interval, timeout;");
        // Networks inside others would not be listed one by one, so they are left out of the set
        // and found in the one that holds them.
        let elements: Vec<String> = outermost(&networks)
            .into_iter()
            .filter(|(network, _)| network.is_v4() == four)
            .map(|(network, until)| match until {
                Some(until) => format!("{network} timeout {}s", seconds_until(until, now)),
                None => network.to_string(),
            })
            .collect();
        if !elements.is_empty() {
            let _ = writeln!(content, "elements = {{ {} }}", elements.join(", "));
        }
        content.push_str("}\n");
    }
    for chain in chains() {
        content.push_str(&nft::spell(&chain));
    }
    nft::put(TABLE, &content)
}

/// Whole seconds until a moment, as the kernel takes them: at least one, at most what every
/// `nft` can read; what is to last longer is put in force anew when it has run out.
fn seconds_until(until: i64, now: i64) -> i64 {
    (until.saturating_sub(now) / clock::SECOND).saturating_add(1).clamp(1, 90_000_000)
}

/// The networks that are in no other one; of those that are, the longest time counts.
fn outermost(networks: &[(Network, Option<i64>)]) -> Vec<(Network, Option<i64>)> {
    let mut sorted = networks.to_vec();
    sorted.sort_by_key(|(network, _)| network.length());
    let mut kept: Vec<(Network, Option<i64>)> = Vec::new();
    for (network, until) in sorted {
        match kept.iter_mut().find(|(outer, _)| outer.holds(&network)) {
            Some((_, longest)) => {
                *longest = longest.zip(until).map(|(a, b)| a.max(b));
            }
            None => kept.push((network, until)),
        }
    }
    kept
}

/// A set of networks as the kernel has it.
struct Found(Vec<Network>);

impl Found {
    fn contains(&self, network: &Network) -> bool {
        self.0.iter().any(|there| there.holds(network))
    }
}

fn networks_in_force() -> Found {
    let objects = match nft::list(TABLE) {
        Ok(Some(objects)) => objects,
        Ok(None) => return Found(Vec::new()),
        Err(e) => {
            tracing::debug!("cannot read what is blocked: {e}");
            return Found(Vec::new());
        }
    };
    if nft::chains(&objects) != chains() {
        return Found(Vec::new());
    }
    let elements = objects
        .iter()
        .filter_map(|object| object.get("set")?.get("elem")?.as_array())
        .flatten()
        .map(|element| element["elem"].get("val").unwrap_or(element));
    Found(elements.filter_map(nft::read_network).collect())
}
