//! Agents as this process knows them: who waits here for orders, and who was heard of when.
//!
//! Nothing in here is the truth: what an agent is to do and what is known of its device is in the
//! store. A bell that is rung too often costs a look; one that is never rung costs the quarter of a
//! second until the next look (see `agent::watch`). Not here: what an agent is told.

use std::collections::HashMap;
use std::sync::Mutex;

use tokio::sync::watch;

use crate::clock::Timestamp;
use crate::id::{DeviceNo, TenantNo};

/// Within how many seconds a run that was taken over may not come back without a word about it.
const ALTERNATING_S: i64 = 60;
/// How many seconds pass before an agent is asked for the same inventory again.
const ASKED_S: i64 = 60;

/// See the module.
#[derive(Default)]
pub struct Presence {
    bells: Mutex<HashMap<DeviceNo, watch::Sender<()>>>,
    heard: Mutex<HashMap<DeviceNo, Heard>>,
    lately: Mutex<HashMap<DeviceNo, Lately>>,
}

/// What an agent said of itself last; not yet in the store.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Whose device it is.
    pub tenant: TenantNo,
    /// When.
    pub at: Timestamp,
    /// What the agent takes, in JSON.
    pub own: String,
}

/// What this process remembers of an agent for a minute.
#[derive(Default)]
struct Lately {
    /// The run that was taken over last, and when.
    former: Option<(String, Timestamp)>,
    warned: Option<Timestamp>,
    asked: Option<Timestamp>,
}

/// A place to wait at until the device's bell is rung. What was rung since it was taken counts.
pub struct Bell<'a> {
    presence: &'a Presence,
    device: DeviceNo,
    rung: Option<watch::Receiver<()>>,
}

impl Presence {
    /// Tells whoever waits for this device's orders, at this process, that there may be some.
    pub fn ring(&self, device: DeviceNo) {
        if let Ok(bells) = self.bells.lock()
            && let Some(bell) = bells.get(&device)
        {
            let _ = bell.send(());
        }
    }

    /// Begins to listen to a device's bell.
    #[must_use]
    pub fn listen(&self, device: DeviceNo) -> Bell<'_> {
        let rung = self.bells.lock().ok().map(|mut bells| {
            bells.entry(device).or_insert_with(|| watch::channel(()).0).subscribe()
        });
        Bell { presence: self, device, rung }
    }

    /// The devices whose bells somebody listens to.
    #[must_use]
    pub fn waiting(&self) -> Vec<DeviceNo> {
        self.bells.lock().map(|bells| bells.keys().copied().collect()).unwrap_or_default()
    }

    /// Notes that an agent was heard of.
    pub fn hear(&self, device: DeviceNo, heard: Heard) {
        if let Ok(mut all) = self.heard.lock() {
            all.insert(device, heard);
        }
    }

    /// Takes what was heard since the last time.
    #[must_use]
    pub fn take_heard(&self) -> HashMap<DeviceNo, Heard> {
        self.heard.lock().map(|mut all| std::mem::take(&mut *all)).unwrap_or_default()
    }

    /// Returns what could not be written, unless something newer is known by now.
    pub fn give_back(&self, heard: HashMap<DeviceNo, Heard>) {
        if let Ok(mut all) = self.heard.lock() {
            for (device, heard) in heard {
                all.entry(device).or_insert(heard);
            }
        }
    }

    /// Notes that `run` took over from `former`. Says whether that should be told: two runs that
    /// alternate are two machines with one identity.
    #[must_use]
    pub fn take_over(&self, device: DeviceNo, former: &str, run: &str, now: Timestamp) -> bool {
        let Ok(mut all) = self.lately.lock() else { return false };
        let lately = all.entry(device).or_default();
        let fresh = |at: Timestamp| now < at.plus_seconds(ALTERNATING_S);
        let back = lately.former.as_ref().is_some_and(|(known, at)| known == run && fresh(*at));
        lately.former = Some((former.to_owned(), now));
        let tell = back && !lately.warned.is_some_and(fresh);
        if tell {
            lately.warned = Some(now);
        }
        tell
    }

    /// Whether to ask an agent for something that it was not asked for within a minute.
    #[must_use]
    pub fn may_ask(&self, device: DeviceNo, now: Timestamp) -> bool {
        let Ok(mut all) = self.lately.lock() else { return false };
        let lately = all.entry(device).or_default();
        if lately.asked.is_some_and(|at| now < at.plus_seconds(ASKED_S)) {
            return false;
        }
        lately.asked = Some(now);
        true
    }
}

impl Bell<'_> {
    /// Waits until the bell is rung, or returns at once when it was since the last time.
    pub async fn rung(&mut self) {
        if let Some(rung) = &mut self.rung
            && rung.changed().await.is_ok()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}

impl Drop for Bell<'_> {
    fn drop(&mut self) {
        self.rung = None;
        if let Ok(mut bells) = self.presence.bells.lock()
            && bells.get(&self.device).is_some_and(|bell| bell.receiver_count() == 0)
        {
            bells.remove(&self.device);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(0).plus_seconds(seconds)
    }

    #[tokio::test]
    async fn a_bell_is_heard_by_all_who_listen_even_before_they_wait() {
        let presence = Presence::default();
        presence.ring(DeviceNo(1));
        let (mut one, mut two) = (presence.listen(DeviceNo(1)), presence.listen(DeviceNo(1)));
        let mut other = presence.listen(DeviceNo(2));
        presence.ring(DeviceNo(1));
        one.rung().await;
        two.rung().await;
        assert!(futures_util::poll!(Box::pin(one.rung())).is_pending(), "once a ring");
        assert!(futures_util::poll!(Box::pin(other.rung())).is_pending());
        drop(one);
        assert_eq!(presence.waiting().len(), 2);
        drop((two, other));
        assert!(presence.waiting().is_empty());
    }

    #[test]
    fn two_runs_that_alternate_are_told_once_a_minute() {
        let presence = Presence::default();
        let device = DeviceNo(1);
        assert!(!presence.take_over(device, "", "a", at(0)));
        assert!(!presence.take_over(device, "a", "b", at(1)));
        assert!(presence.take_over(device, "b", "a", at(2)));
        assert!(!presence.take_over(device, "a", "b", at(3)), "told already");
        assert!(presence.take_over(device, "b", "a", at(62)));
        assert!(!presence.take_over(device, "a", "c", at(200)), "restarts are no machines");
    }
}
