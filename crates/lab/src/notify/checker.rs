//! What must hold of notifications when all is over (R3). Pure.
//!
//! ```text
//! N1  what was acknowledged arrived at everybody it is for
//! N2  what arrived at one arrived at all: an unknown outcome is one or the other
//! N3  nothing arrived at anybody under two ids
//! N4  nothing arrived that was never asked for, or was refused
//! N5  nothing is given up or waits when every receiver takes everything
//! ```

use std::collections::{BTreeMap, BTreeSet};

use super::sink::Receipt;
use crate::crash::checker::Violation;

/// How asking for something ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// Acknowledged.
    Done,
    /// Surely not done.
    Refused,
    /// Nobody knows.
    Unknown,
}

/// A message that everybody is to hear of, by its mark.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Asked {
    pub(crate) mark: String,
    pub(crate) end: End,
}

/// Everything to judge by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Everybody who hears of messages.
    pub(crate) receivers: BTreeSet<String>,
    /// The messages.
    pub(crate) asked: Vec<Asked>,
    /// Tests that were acknowledged: the delivery's id, and whom it is for.
    pub(crate) tests: Vec<(String, String)>,
    /// What arrived.
    pub(crate) receipts: Vec<Receipt>,
    /// Deliveries that are neither delivered nor cancelled.
    pub(crate) left: u64,
}

/// What does not hold.
pub(crate) fn check(seen: &Seen) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut wrong = |invariant, message| found.push(Violation { invariant, message });
    let mut by_mark: BTreeMap<&str, BTreeMap<&str, BTreeSet<&str>>> = BTreeMap::new();
    let mut by_id: BTreeSet<(&str, &str)> = BTreeSet::new();
    for it in &seen.receipts {
        by_id.insert((&it.id, &it.receiver));
        if !it.mark.is_empty() {
            let ids = by_mark.entry(&it.mark).or_default().entry(&it.receiver).or_default();
            ids.insert(&it.id);
        }
    }
    for Asked { mark, end } in &seen.asked {
        let arrived = by_mark.remove(mark.as_str()).unwrap_or_default();
        let at: BTreeSet<&str> = arrived.keys().copied().collect();
        let missing: Vec<&String> =
            seen.receivers.iter().filter(|it| !at.contains(it.as_str())).collect();
        match end {
            End::Done if !missing.is_empty() => {
                wrong("N1", format!("{mark} did not arrive at {missing:?}"));
            }
            End::Unknown if !at.is_empty() && !missing.is_empty() => {
                wrong("N2", format!("{mark} arrived at {at:?} and not at {missing:?}"));
            }
            End::Refused if !at.is_empty() => {
                wrong("N4", format!("{mark} was refused and arrived at {at:?}"));
            }
            End::Done | End::Unknown | End::Refused => {}
        }
        for (receiver, ids) in arrived {
            if ids.len() > 1 {
                wrong("N3", format!("{mark} arrived at {receiver} under {ids:?}"));
            }
        }
    }
    for mark in by_mark.keys() {
        wrong("N4", format!("{mark} arrived and nobody asked for it"));
    }
    for (id, receiver) in &seen.tests {
        if !by_id.contains(&(id.as_str(), receiver.as_str())) {
            wrong("N1", format!("the test {id} did not arrive at {receiver}"));
        }
    }
    if seen.left > 0 {
        wrong("N5", format!("{} deliveries neither arrived nor were called off", seen.left));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(receiver: &str, id: &str, mark: &str) -> Receipt {
        let [receiver, id, mark] = [receiver, id, mark].map(str::to_owned);
        Receipt { receiver, id, mark }
    }

    fn good() -> Seen {
        let asked = |mark: &str, end| Asked { mark: mark.to_owned(), end };
        Seen {
            receivers: ["a".to_owned(), "b".to_owned()].into(),
            asked: vec![asked("1", End::Done), asked("2", End::Unknown), asked("3", End::Refused)],
            tests: vec![("t".to_owned(), "a".to_owned())],
            receipts: vec![
                receipt("a", "x", "1"),
                receipt("a", "x", "1"),
                receipt("b", "y", "1"),
                receipt("a", "t", ""),
            ],
            left: 0,
        }
    }

    #[test]
    fn all_is_well_when_it_is() {
        assert_eq!(check(&good()), []);
        let mut seen = good();
        seen.receipts.extend([receipt("a", "u", "2"), receipt("b", "v", "2")]);
        assert_eq!(check(&seen), []);
    }

    #[test]
    fn each_violation_is_found() {
        type Plant = fn(&mut Seen);
        let plants: [(&str, Plant); 7] = [
            ("N1", |it| it.receipts.retain(|it| it.receiver != "b")),
            ("N1", |it| it.receipts.retain(|it| it.id != "t")),
            ("N2", |it| it.receipts.push(receipt("b", "v", "2"))),
            ("N3", |it| it.receipts.push(receipt("a", "z", "1"))),
            ("N4", |it| it.receipts.push(receipt("a", "w", "3"))),
            ("N4", |it| it.receipts.push(receipt("a", "w", "9"))),
            ("N5", |it| it.left = 1),
        ];
        for (invariant, plant) in plants {
            let mut seen = good();
            plant(&mut seen);
            let found = check(&seen);
            assert!(found.iter().any(|it| it.invariant == invariant), "{invariant}: {found:?}");
        }
    }
}
