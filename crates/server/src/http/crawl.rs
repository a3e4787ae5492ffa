//! Where crawls that raise `$skip` are.
//!
//! A client that asks for rows 50 to 99 after it got rows 0 to 49 means "go on behind the last row
//! I got", but rows that changed meanwhile have moved in the order, so that counting from the
//! beginning would leave some out. So the place behind each full page is remembered for a while, by
//! application and query, and a request for the next rows goes on there. When the memory is gone
//! (another replica, a long pause) the rows are counted from the beginning.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use sha2::{Digest, Sha256};

use crate::clock::Timestamp;

/// How long a place is remembered, in seconds.
const REMEMBERED_S: i64 = 120;
/// Places of one query and offset: several crawls may be under way at once.
const ABREAST: usize = 8;
/// Offsets remembered over all queries; beyond it the old ones are forgotten, then all.
const MOST: usize = 20_000;

/// What identifies a crawl: application, path and options.
pub type Key = [u8; 32];

/// See the module.
#[derive(Default)]
pub struct Crawls(Mutex<HashMap<(Key, u64), VecDeque<Place>>>);

struct Place {
    at: Timestamp,
    token: String,
    used: bool,
}

/// The key of a query.
#[must_use]
pub fn key(parts: &[&str]) -> Key {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

impl Crawls {
    /// Remembers that row `offset` of a query comes right behind `token`.
    pub fn note(&self, key: Key, offset: u64, token: String, now: Timestamp) {
        let Ok(mut places) = self.0.lock() else { return };
        if places.len() >= MOST {
            let fresh = |place: &Place| now < place.at.plus_seconds(REMEMBERED_S);
            places.retain(|_, abreast| abreast.iter().any(fresh));
            if places.len() >= MOST {
                places.clear();
            }
        }
        let abreast = places.entry((key, offset)).or_default();
        if abreast.len() >= ABREAST {
            abreast.pop_front();
        }
        abreast.push_back(Place { at: now, token, used: false });
    }

    /// The token behind which row `offset` comes: of the crawl that waits longest for it, or, when
    /// a client asks again, of the last one that asked.
    #[must_use]
    pub fn find(&self, key: Key, offset: u64, now: Timestamp) -> Option<String> {
        let mut places = self.0.lock().ok()?;
        let abreast = places.get_mut(&(key, offset))?;
        abreast.retain(|place| now < place.at.plus_seconds(REMEMBERED_S));
        let place = match abreast.iter().position(|place| !place.used) {
            Some(index) => abreast.get_mut(index)?,
            None => abreast.back_mut()?,
        };
        place.used = true;
        Some(place.token.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crawls_abreast_keep_their_own_places() {
        let crawls = Crawls::default();
        let now = Timestamp::from_micros(0);
        let one = key(&["app", "query"]);
        crawls.note(one, 50, "a".to_owned(), now);
        crawls.note(one, 50, "b".to_owned(), now);
        assert_eq!(crawls.find(one, 50, now).as_deref(), Some("a"));
        assert_eq!(crawls.find(one, 50, now).as_deref(), Some("b"));
        assert_eq!(crawls.find(one, 50, now).as_deref(), Some("b"));
        assert_eq!(crawls.find(one, 100, now), None);
        assert_eq!(crawls.find(key(&["appq", "uery"]), 50, now), None);
        assert_eq!(crawls.find(one, 50, now.plus_seconds(REMEMBERED_S)), None);
    }
}
