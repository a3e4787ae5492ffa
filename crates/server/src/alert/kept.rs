//! Alerts that were acknowledged a moment ago, kept in memory so that correlation need not read
//! them back and unpack them.
//!
//! Only a memory: whatever is not in it is read from the store, where it was first. An alert is
//! used only while its row has the `updated_at` that it was kept with. Not here: alerts of large
//! requests, which would fill the memory before anybody looks.

use std::any::Any;

use serde_json::{Map, Value};

use crate::alert::{Alert, Head};
use crate::app::App;
use crate::clock::Timestamp;
use crate::id::{AlertId, TenantNo};

/// Alerts of a request that are kept, at most.
pub(super) const REQUEST: usize = 8;
/// Bytes of a body that is kept, at most; in memory it is several times that.
pub(super) const BODY: usize = 8 * 1024;

/// What is kept of an alert.
pub(super) struct Kept {
    pub(super) head: Head,
    pub(super) body: Map<String, Value>,
    pub(super) updated: Timestamp,
}

/// Keeps alerts after their commit.
pub(super) fn keep(app: &App, alerts: impl IntoIterator<Item = (AlertId, Kept)>) {
    let alerts = alerts.into_iter();
    app.kept.put(alerts.map(|(id, kept)| (id.0, Box::new(kept) as Box<dyn Any + Send>)));
}

/// Takes a waiting alert out of the memory, when it is there as its row is.
#[must_use]
pub fn take(
    app: &App,
    tenant: TenantNo,
    id: AlertId,
    updated: Timestamp,
) -> Option<(Alert, Map<String, Value>)> {
    let kept = app.kept.take(id.0)?.downcast::<Kept>().ok()?;
    if kept.updated != updated {
        return None;
    }
    let Kept { head, body, updated } = *kept;
    Some((Alert { id, tenant, incident: None, head, updated, links: None }, body))
}
