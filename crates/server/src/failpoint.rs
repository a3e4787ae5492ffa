//! Named places at which a test may end the process, as a power cut would.
//!
//! `RIPOSTE_FAILPOINT=ingest.before_commit:3` ends this process at once the third time it comes by.
//! Without that variable a place costs one load of an atomic.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

struct Armed {
    name: String,
    left: AtomicU64,
}

static ARMED: OnceLock<Option<Armed>> = OnceLock::new();

fn armed() -> Option<&'static Armed> {
    ARMED
        .get_or_init(|| {
            let text = std::env::var("RIPOSTE_FAILPOINT").ok()?;
            let (name, count) = text.rsplit_once(':').unwrap_or((&text, "1"));
            let left = AtomicU64::new(count.parse().unwrap_or(1));
            Some(Armed { name: name.to_owned(), left })
        })
        .as_ref()
}

/// Dies here when the environment asks for it.
pub fn hit(name: &str) {
    if let Some(armed) = armed()
        && armed.name == name
        && armed.left.fetch_sub(1, Ordering::SeqCst) == 1
    {
        // No unwinding, no flushing, no handlers: as if the machine had stopped here.
        std::process::abort();
    }
}
