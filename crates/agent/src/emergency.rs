//! Ends isolation and restriction on the device itself, without the server, for whoever was given a
//! code.
//!
//! Always: an attempt is on disk before it is compared, and no more than five wrong ones an hour
//! are; codes are compared in constant time; what was done is left for the agent to tell the server.

use ring::hmac;
use riposte_wire::{Observed, release};
use serde_json::json;

use crate::act::isolate;
use crate::agent::random;
use crate::clock::{self, HOUR};
use crate::data::Data;
use crate::fault::{Fault, Result};
use crate::{files, identity};

/// Wrong attempts an hour.
const TRIES: usize = 5;

/// Releases, if the code is right.
pub(crate) fn release(data: &Data, typed: &str) -> Result<()> {
    let identity = identity::load(data)?;
    let now = clock::now();
    let mut tries: Vec<i64> = {
        // One attempt after the other, however many are started at once.
        let _held = data.hold_state()?;
        let mut tries: Vec<i64> = files::load(&data.tries())?.unwrap_or_default();
        // One from the future is from before the clock was set back, and counts.
        tries.retain(|at| now.saturating_sub(*at) < HOUR);
        if tries.len() >= TRIES {
            note(data, "emergencyReleaseRefused", "too many wrong codes");
            return Err(Fault::new("there were too many wrong codes; try again in an hour"));
        }
        tries.push(now);
        files::store(&data.tries(), &tries)?;
        tries
    };
    if !is_right(&identity.release_secret, &identity.facts.agent, typed, now) {
        note(data, "emergencyReleaseRefused", "a wrong code was typed");
        let left = TRIES - tries.len();
        return Err(Fault::new(format!("that is not the code; {left} more attempts this hour")));
    }
    isolate::release(data)?;
    files::remove(&data.execution())?;
    tries.pop();
    files::store(&data.tries(), &tries)?;
    note(data, "emergencyReleased", "isolation and restriction were ended on the device, by code");
    Ok(())
}

fn is_right(secret: &[u8], agent: &str, typed: &str, now: i64) -> bool {
    if typed.len() > 200 {
        return false;
    }
    let typed = release::read(typed);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    // Comparing tags under a key that nobody knows tells nothing by its time.
    let blind = hmac::Key::new(hmac::HMAC_SHA256, &random::<32>());
    let given = hmac::sign(&blind, typed.as_bytes());
    let today = release::day(now);
    (0..release::DAYS).fold(false, |right, ago| {
        let text = release::text(agent, today - ago);
        let code = release::spell(hmac::sign(&key, text.as_bytes()).as_ref());
        hmac::verify(&blind, code.as_bytes(), given.as_ref()).is_ok() | right
    })
}

/// Leaves an observation for the running agent.
fn note(data: &Data, kind: &str, text: &str) {
    let observed = Observed {
        at: clock::now(),
        kind: kind.to_owned(),
        text: text.to_owned(),
        detail: json!({}),
    };
    let name = format!("{}.json", hex::encode(random::<8>()));
    let kept = files::private_dir(&data.notes())
        .and_then(|()| files::store(&data.notes().join(name), &observed));
    if let Err(e) = kept {
        tracing::warn!("{e}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::DAY;

    #[test]
    fn a_code_holds_for_its_day_and_two_more() {
        let (secret, now) = ([3; 32], 1_800_000_000_000_000);
        let code = |day: i64| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
            let text = release::text("me", release::day(now) + day);
            release::spell(hmac::sign(&key, text.as_bytes()).as_ref())
        };
        for (day, right) in [(-3, false), (-2, true), (-1, true), (0, true), (1, false)] {
            assert_eq!(is_right(&secret, "me", &code(day), now), right, "{day}");
        }
        let typed = code(0).to_lowercase().replace('-', " ");
        assert!(is_right(&secret, "me", &typed, now));
        assert!(!is_right(&secret, "you", &typed, now));
        assert!(!is_right(&secret, "me", &typed, now + 3 * DAY));
        assert!(!is_right(&secret, "me", "", now));
        assert!(!is_right(&secret, "me", &code(0).repeat(20), now));
    }
}
