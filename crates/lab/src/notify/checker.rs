//! What must hold of notifications when all is over (R3). Pure.
//!
//! ```text
//! N1  what was acknowledged arrived at everybody it is for
//! N2  what arrived at one arrived at all: an unknown outcome is one or the other
//! N3  nothing arrived at anybody under two ids
//! N4  nothing arrived that was never asked for, or was refused
//! N5  nothing is given up or waits when every receiver takes everything
//! N6  a published incident has one post in the chat, and no other incident has any
//! N7  a word about an incident stands once in the chat, below that incident's post
//! N8  nothing stands in the chat twice
//! ```

use std::collections::{BTreeMap, BTreeSet};

use super::chat::Post;
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
    /// The incident in whose chat it was said.
    pub(crate) incident: Option<String>,
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
    /// Incidents to which a response was published, and how asking for that ended.
    pub(crate) published: BTreeMap<String, End>,
    /// What stands in the chat, the oldest first.
    pub(crate) posts: Vec<Post>,
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
    for Asked { mark, end, .. } in &seen.asked {
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
    found.extend(in_chat(seen));
    found
}

/// What does not hold of the chat.
fn in_chat(seen: &Seen) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut wrong = |invariant, message| found.push(Violation { invariant, message });
    let mut tops: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut deliveries: BTreeMap<&str, usize> = BTreeMap::new();
    for it in &seen.posts {
        *deliveries.entry(&it.delivery).or_default() += 1;
        if it.below.is_none() && !it.incident.is_empty() {
            tops.entry(&it.incident).or_default().push(&it.ts);
        }
    }
    for (delivery, times) in deliveries.into_iter().filter(|(_, times)| *times > 1) {
        wrong("N8", format!("the delivery {delivery:?} stands in the chat {times} times"));
    }
    for (incident, end) in &seen.published {
        let posts = tops.get(incident.as_str()).map_or(0, Vec::len);
        let least = usize::from(*end == End::Done);
        if !(least..=1).contains(&posts) {
            wrong("N6", format!("the incident {incident} ({end:?}) has {posts} posts"));
        }
    }
    for incident in tops.keys().filter(|it| !seen.published.contains_key(**it)) {
        wrong("N6", format!("the incident {incident} has a post and no response"));
    }
    for Asked { mark, end, incident } in &seen.asked {
        let stands: Vec<&Post> = seen.posts.iter().filter(|it| it.mark == *mark).collect();
        let Some(incident) = incident else {
            if !stands.is_empty() {
                wrong("N7", format!("{mark} is of a question and stands in the chat"));
            }
            continue;
        };
        let least = usize::from(*end == End::Done);
        if !(least..=1).contains(&stands.len()) {
            wrong("N7", format!("{mark} ({end:?}) stands in the chat {} times", stands.len()));
        }
        let roots = tops.get(incident.as_str()).map_or(&[][..], Vec::as_slice);
        let astray = |it: &&&Post| !roots.iter().any(|root| it.below.as_deref() == Some(*root));
        if let Some(it) = stands.iter().find(astray) {
            wrong("N7", format!("{mark} stands below {:?}, not below {incident}'s post", it.below));
        }
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

    fn post(ts: &str, below: Option<&str>, delivery: &str, mark: &str) -> Post {
        Post {
            ts: ts.to_owned(),
            below: below.map(str::to_owned),
            delivery: delivery.to_owned(),
            incident: "7".to_owned(),
            mark: mark.to_owned(),
        }
    }

    fn good() -> Seen {
        let asked = |mark: &str, end| Asked { mark: mark.to_owned(), end, incident: None };
        let about = |mark: &str, end| Asked { incident: Some("7".to_owned()), ..asked(mark, end) };
        Seen {
            receivers: ["a".to_owned(), "b".to_owned()].into(),
            asked: vec![
                asked("1", End::Done),
                asked("2", End::Unknown),
                asked("3", End::Refused),
                about("4", End::Done),
                about("5", End::Unknown),
            ],
            tests: vec![("t".to_owned(), "a".to_owned())],
            receipts: vec![
                receipt("a", "x", "1"),
                receipt("a", "x", "1"),
                receipt("b", "y", "1"),
                receipt("a", "t", ""),
                receipt("a", "c", "4"),
                receipt("b", "d", "4"),
            ],
            published: [("7".to_owned(), End::Done), ("8".to_owned(), End::Unknown)].into(),
            posts: vec![post("1.0", None, "p", ""), post("1.1", Some("1.0"), "q", "4")],
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
        let plants: [(&str, Plant); 15] = [
            ("N1", |it| it.receipts.retain(|it| it.receiver != "b")),
            ("N1", |it| it.receipts.retain(|it| it.id != "t")),
            ("N2", |it| it.receipts.push(receipt("b", "v", "2"))),
            ("N3", |it| it.receipts.push(receipt("a", "z", "1"))),
            ("N4", |it| it.receipts.push(receipt("a", "w", "3"))),
            ("N4", |it| it.receipts.push(receipt("a", "w", "9"))),
            ("N5", |it| it.left = 1),
            ("N6", |it| it.posts.clear()),
            ("N6", |it| it.posts.push(post("1.2", None, "r", ""))),
            ("N6", |it| it.published.clear()),
            ("N7", |it| it.posts.retain(|it| it.mark != "4")),
            ("N7", |it| it.posts.push(post("1.2", Some("1.0"), "r", "4"))),
            ("N7", |it| it.posts.push(post("1.2", None, "r", "5"))),
            ("N7", |it| it.posts.push(post("1.2", Some("1.0"), "r", "1"))),
            ("N8", |it| it.posts.push(post("1.2", Some("1.0"), "q", ""))),
        ];
        for (invariant, plant) in plants {
            let mut seen = good();
            plant(&mut seen);
            let found = check(&seen);
            assert!(found.iter().any(|it| it.invariant == invariant), "{invariant}: {found:?}");
        }
    }
}
