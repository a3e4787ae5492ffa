//! How many requests an application may make; beyond it 429 with a time to come back (SYN-8).

use std::collections::HashMap;
use std::sync::Mutex;

use crate::app::App;
use crate::clock::Timestamp;
use crate::error::{Error, Result};

/// Which limit a request counts towards.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Class {
    /// The Graph face and our own API.
    General,
    /// The same, of everybody of one customer.
    Tenant,
    /// The older `/api/incidents`.
    Legacy,
    /// Tokens asked for, from one address.
    Token,
    /// Attempts to sign in, from one address.
    SignIn,
    /// What one endpoint agent asks and says.
    Agent,
    /// What team chats say of what was said there, from one address.
    Chat,
}

/// Requests a minute of one agent, which polls every half minute and reports what it sees.
const AGENT_PER_MINUTE: u32 = 600;

/// Requests a minute of one address of a chat's vendor, from which all its customers' may come.
const CHAT_PER_MINUTE: u32 = 1_200;

/// Callers and addresses remembered before those of more than a minute ago are forgotten.
const REMEMBERED: usize = 50_000;

/// Requests made lately by each application, person or address.
#[derive(Default)]
pub struct Limiter {
    counts: Mutex<HashMap<(String, Class), Vec<Window>>>,
}

/// Requests since the first one of a span of time.
#[derive(Clone, Copy)]
struct Window {
    since: Timestamp,
    count: u32,
}

impl Limiter {
    /// Counts a request.
    ///
    /// # Errors
    /// `Busy` when the application has used up its minute or hour; such a request is not counted.
    pub fn count(&self, client_id: &str, class: Class, app: &App) -> Result<()> {
        let limits = &app.config.limits;
        let spans: &[(i64, u32)] = match class {
            Class::General => &[(60, limits.per_minute)],
            Class::Tenant => &[(60, limits.tenant_per_minute)],
            Class::Token => &[(60, limits.tokens_per_minute)],
            Class::SignIn => &[(60, limits.sign_in_per_minute)],
            Class::Agent => &[(60, AGENT_PER_MINUTE)],
            Class::Chat => &[(60, CHAT_PER_MINUTE)],
            Class::Legacy => &[(60, limits.legacy_per_minute), (3_600, limits.legacy_per_hour)],
        };
        let now = app.clock.now();
        let Ok(mut counts) = self.counts.lock() else { return Ok(()) };
        if counts.len() >= REMEMBERED {
            // Addresses are many: what is over counts for nothing.
            counts.retain(|_, windows| windows.iter().any(|it| now < it.since.plus_seconds(60)));
        }
        let windows = counts
            .entry((client_id.to_owned(), class))
            .or_insert_with(|| vec![Window { since: now, count: 0 }; spans.len()]);
        let mut wait = 0;
        for (window, (seconds, most)) in windows.iter_mut().zip(spans) {
            let end = window.since.plus_seconds(*seconds);
            if now >= end || now < window.since {
                *window = Window { since: now, count: 0 };
            } else if window.count >= *most {
                let left = (end.micros() - now.micros() + 999_999) / 1_000_000;
                wait = wait.max(u32::try_from(left).unwrap_or(1));
            }
        }
        if wait > 0 {
            return Err(Error::Busy {
                what: "the limit of requests is reached".to_owned(),
                retry_after_s: wait,
                own_limit: true,
            });
        }
        for window in windows {
            window.count = window.count.saturating_add(1);
        }
        Ok(())
    }
}
