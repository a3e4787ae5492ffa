//! What was seen on a device, in the order of the device's clock.
//!
//! Agents send what they saw at least once: what is there already is not kept twice. At most
//! [`MOST`] observations are kept of a device, the oldest to arrive go first; nothing here is proof
//! of what we did, that is in the ledger.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::app::App;
use crate::asset::Device;
use crate::clock::Timestamp;
use crate::db::{Transaction, column};
use crate::error::Result;
use crate::incident::account;

/// Observations kept of a device.
pub const MOST: i64 = 50_000;
/// The longest line, in characters.
const TEXT: usize = 1_000;
/// The longest word of a kind, in characters.
const KIND: usize = 64;
/// The longest detail, in bytes of JSON.
const DETAIL: usize = 8 * 1024;

/// Something that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Seen {
    /// When, by the device's clock.
    pub at: Timestamp,
    /// What kind of thing: `processStarted` …
    pub kind: String,
    /// One line for people.
    pub text: String,
    /// The rest, in JSON.
    pub detail: String,
}

impl Seen {
    /// What an agent saw, cut to what is kept of it.
    #[must_use]
    pub fn of(observed: &riposte_wire::Observed) -> Self {
        let plain = |text: &str, most: usize| -> String {
            let clean = |c: char| if c.is_control() { ' ' } else { c };
            text.chars().map(clean).take(most).collect()
        };
        let detail = observed.detail.to_string();
        Self {
            at: Timestamp::from_micros(observed.at),
            kind: plain(&observed.kind, KIND),
            text: plain(&observed.text, TEXT),
            detail: if detail.len() > DETAIL { json!({"cut": true}).to_string() } else { detail },
        }
    }

    fn session(&self, member: &str) -> Option<String> {
        if !matches!(self.kind.as_str(), "signedIn" | "signedOut") {
            return None;
        }
        let detail: Value = serde_json::from_str(&self.detail).ok()?;
        let text = detail.get("session")?.get(member)?.as_str()?;
        Some(text.to_owned()).filter(|text| !text.trim().is_empty())
    }

    /// Who signed in or out, where it says that somebody did.
    #[must_use]
    pub fn account(&self) -> Option<String> {
        self.session("user")
    }

    /// Where from, when somebody signed in from elsewhere.
    #[must_use]
    pub fn from(&self) -> Option<String> {
        self.session("from")
    }
}

/// Keeps what was seen on a device, whose row the caller has locked.
pub async fn keep(tx: &Transaction, device: &Device, seen: Vec<Seen>) -> Result<()> {
    let (Some(first), Some(last)) =
        (seen.iter().map(|it| it.at).min(), seen.iter().map(|it| it.at).max())
    else {
        return Ok(());
    };
    let rows = tx
        .query(
            "select at, kind, text, detail from device_event \
             where device_no = $1 and at >= $2 and at <= $3",
            vec![device.no.0.into(), first.micros().into(), last.micros().into()],
        )
        .await?;
    let mut known = HashSet::new();
    for row in rows {
        known.insert(Seen {
            at: Timestamp::from_micros(column(&row, 0)?),
            kind: column(&row, 1)?,
            text: column(&row, 2)?,
            detail: column(&row, 3)?,
        });
    }
    let row = tx
        .query_one(
            "select coalesce(max(position), 0) from device_event where device_no = $1",
            vec![device.no.0.into()],
        )
        .await?;
    let mut position: i64 = row.map_or(Ok(0), |row| column(&row, 0))?;
    let mut values = Vec::new();
    for it in seen {
        if known.contains(&it) {
            continue;
        }
        position += 1;
        values.extend([
            device.no.0.into(),
            device.tenant.0.into(),
            position.into(),
            it.at.micros().into(),
            it.kind.clone().into(),
            it.text.clone().into(),
            it.detail.clone().into(),
            it.account().map(|name| account::name(&name)).into(),
        ]);
        known.insert(it);
    }
    tx.insert_rows(
        "insert into device_event (device_no, tenant_no, position, at, kind, text, detail, \
         account)",
        8,
        "",
        values,
    )
    .await?;
    tx.execute(
        "delete from device_event where device_no = $1 and position <= $2",
        vec![device.no.0.into(), (position - MOST).into()],
    )
    .await?;
    Ok(())
}

/// What was seen on a device, the newest first: at most `most`, behind this moment and position.
pub async fn read(
    app: &App,
    device: &Device,
    behind: Option<(i64, i64)>,
    most: u64,
) -> Result<Vec<(i64, Seen)>> {
    let (at, position) = behind.unwrap_or((i64::MAX, i64::MAX));
    let sql = format!(
        "select position, at, kind, text, detail from device_event where device_no = $1 \
         and (at < $2 or (at = $2 and position < $3)) \
         order by at desc, position desc limit {most}"
    );
    let values = vec![device.no.0.into(), at.into(), position.into()];
    let rows = app.db.of(device.tenant).query(&sql, values).await?;
    rows.iter()
        .map(|row| {
            let seen = Seen {
                at: Timestamp::from_micros(column(row, 1)?),
                kind: column(row, 2)?,
                text: column(row, 3)?,
                detail: column(row, 4)?,
            };
            Ok((column(row, 0)?, seen))
        })
        .collect()
}

impl Seen {
    /// As the interface shows it.
    #[must_use]
    pub fn json(&self) -> Value {
        let detail: Value = serde_json::from_str(&self.detail).unwrap_or_default();
        json!({ "at": self.at, "kind": self.kind, "text": self.text, "detail": detail })
    }
}
