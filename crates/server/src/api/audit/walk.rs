//! A walk through the logs within reach, record by record.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use sea_orm::Value as Sql;
use serde_json::{Value, json};

use crate::api::timeline::{COLUMNS, shown};
use crate::app::App;
use crate::clock::Timestamp;
use crate::db::column;
use crate::error::Result;
use crate::graph::odata::literal::{Literal, whole_moment};
use crate::http::Failure;
use crate::id::TenantNo;
use crate::permission::Permission;
use crate::tenant::caller::{Caller, log_within_reach};

/// Rows read at a time.
const ROWS: usize = 256;
/// Clocks may step back, so events are in order of time only up to this.
const SLACK_MICROS: i64 = 10 * 60 * 1_000_000;

/// Which records, as somebody asks for them.
pub(super) struct Filter {
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
    pub(super) workload: Option<String>,
    pub(super) record_type: Option<String>,
    pub(super) actor: Option<String>,
    pub(super) tenant_id: Option<String>,
    /// The newest record of a log first.
    pub(super) newest_first: bool,
}

/// A record's place: its log, and where in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    tenant: TenantNo,
    position: i64,
}

impl Place {
    pub(super) fn cursor(self) -> String {
        BASE64.encode(format!("{}.{}", self.tenant.0, self.position))
    }

    fn read(cursor: &str) -> Option<Self> {
        let text = String::from_utf8(BASE64.decode(cursor).ok()?).ok()?;
        let (tenant, position) = text.split_once('.')?;
        Some(Self { tenant: TenantNo(tenant.parse().ok()?), position: position.parse().ok()? })
    }
}

/// See the module. Logs come in ascending order of their numbers.
pub(super) struct Walk {
    filter: Filter,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    /// Logs not begun yet, the next one last.
    left: Vec<TenantNo>,
    /// The log under way, and the last row looked at in it.
    place: Option<Place>,
    looked_at: usize,
}

impl Walk {
    /// Before the first record that `caller` may read.
    pub(super) async fn begin(
        app: &App,
        caller: &Caller,
        filter: Filter,
    ) -> std::result::Result<Self, Failure> {
        caller.require(&[Permission::AuditRead])?;
        let from = filter.from.as_deref().map(|text| moment("from", text)).transpose()?;
        let to = filter.to.as_deref().map(|text| moment("to", text)).transpose()?;
        let mut left = match &filter.tenant_id {
            Some(id) => vec![log_within_reach(app, caller, id).await?],
            None => caller.logs(),
        };
        left.reverse();
        Ok(Self { filter, from, to, left, place: None, looked_at: 0 })
    }

    /// Behind the record that a cursor stands for.
    pub(super) fn go_on_behind(&mut self, cursor: &str) -> std::result::Result<(), Failure> {
        let place =
            Place::read(cursor).ok_or_else(|| Failure::bad("the cursor is not one of ours"))?;
        let known = self.left.contains(&place.tenant);
        self.left.retain(|tenant| *tenant > place.tenant);
        self.place = known.then_some(place);
        Ok(())
    }

    /// How many rows were looked at so far.
    pub(super) fn looked_at(&self) -> usize {
        self.looked_at
    }

    /// The last row looked at, where something may come behind it.
    pub(super) fn place(&self) -> Option<Place> {
        let before = if self.filter.newest_first { i64::MAX } else { -1 };
        let next = || self.left.last().map(|tenant| Place { tenant: *tenant, position: before });
        self.place.or_else(next)
    }

    /// The next records, each with its place, of up to some hundred rows; none at the end.
    pub(super) async fn step(&mut self, app: &App) -> Result<Option<Vec<(Place, Value)>>> {
        let fresh = match (self.place, self.left.last()) {
            (Some(_), _) => None,
            (None, None) => return Ok(None),
            (None, Some(_)) => self.left.pop(),
        };
        let Some(tenant) = self.place.map(|place| place.tenant).or(fresh) else { return Ok(None) };
        let behind = self.place.map(|place| place.position);
        // Nothing before or behind these can be in the span.
        let low = first_since(app, tenant, self.from, -SLACK_MICROS).await?.unwrap_or(0);
        let high = first_since(app, tenant, self.to, SLACK_MICROS).await?.unwrap_or(i64::MAX);
        let (low, high) = match behind {
            Some(behind) if self.filter.newest_first => (low, high.min(behind)),
            // A log that was not begun has -1 as its place.
            Some(behind) => (low.max(behind + 1), high),
            None => (low, high),
        };
        let mut position = behind.unwrap_or(-1);
        let (sql, values) = self.query(tenant, low, high);
        let rows = app.db.of(tenant).query(&sql, values).await?;
        let tenant_id = app.tenant_id(tenant).await?;
        let mut records = Vec::with_capacity(rows.len());
        for row in &rows {
            position = column(row, 1)?;
            let entry = shown(row, &tenant_id)?;
            let kind = entry.get("kind").and_then(Value::as_str).unwrap_or_default();
            let (workload, kind_of_record) = record_type(kind);
            let is = |wanted: &Option<String>, word: &str| {
                wanted.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(word))
            };
            if !is(&self.filter.workload, workload) || !is(&self.filter.record_type, kind_of_record)
            {
                continue;
            }
            let record = json!({
                "id": format!("{tenant_id}:{position}"),
                "organizationId": &*tenant_id,
                "creationTime": entry.get("at"),
                "workload": workload,
                "recordType": kind_of_record,
                "operation": kind,
                "userId": entry.get("actor").and_then(|actor| actor.get("name")),
                "userType": entry.get("actor").and_then(|actor| actor.get("kind")),
                "objectId": entry.get("incidentId").filter(|id| !id.is_null())
                    .or(entry.get("alertId")),
                "leaf": hex::encode(column::<Vec<u8>>(row, 9)?),
                "auditData": entry,
            });
            records.push((Place { tenant, position }, record));
        }
        self.looked_at += rows.len();
        self.place = (rows.len() == ROWS).then_some(Place { tenant, position });
        Ok(Some(records))
    }
}

impl Walk {
    fn query(&self, tenant: TenantNo, low: i64, high: i64) -> (String, Vec<Sql>) {
        let mut values: Vec<Sql> = vec![tenant.0.into(), low.into(), high.into()];
        let mut more = String::new();
        for (test, at) in [("event.at >=", self.from), ("event.at <", self.to)] {
            if let Some(at) = at {
                values.push(at.micros().into());
                let _ = write!(more, " and {test} ${}", values.len());
            }
        }
        if let Some(actor) = &self.filter.actor {
            values.push(actor.clone().into());
            let _ = write!(more, " and event.actor = ${}", values.len());
        }
        let order = if self.filter.newest_first { " desc" } else { "" };
        let sql = format!(
            "select {COLUMNS}, event.leaf from event where event.tenant_no = $1 \
             and event.position >= $2 and event.position < $3{more} \
             order by event.position{order} limit {ROWS}"
        );
        (sql, values)
    }
}

/// Workload and record type of a kind of event (AUD-1).
pub(in crate::api) fn record_type(kind: &str) -> (&'static str, &'static str) {
    if matches!(kind, "app.signedIn" | "person.signedIn" | "session.ended") {
        return ("AzureActiveDirectory", "AzureActiveDirectoryStsLogon");
    }
    if kind == "device.releaseCodeShown" || kind.starts_with("action.") {
        return ("MicrosoftDefenderForEndpoint", "MSDEResponseActions");
    }
    match kind.split('.').next() {
        Some(
            "provider" | "tenant" | "app" | "person" | "passkey" | "grant" | "access" | "signIn"
            | "feed" | "device" | "user" | "agentToken" | "exclusion",
        ) => ("MicrosoftDefenderExperts", "DefenderExpertsforXDRAdmin"),
        _ => ("Microsoft365Defender", "MS365DIncident"),
    }
}

/// The position at which a tenant's log may begin to be as late as `at` and some more: a log has one
/// order, and time follows it, so halving finds the place without an index.
async fn first_since(
    app: &App,
    tenant: TenantNo,
    at: Option<Timestamp>,
    more: i64,
) -> Result<Option<i64>> {
    let Some(at) = at else { return Ok(None) };
    let wanted = at.micros().saturating_add(more);
    let size = "select size from ledger where tenant_no = $1";
    let row = app.db.of(tenant).query_one(size, vec![tenant.0.into()]).await?;
    let (mut low, mut high) = (0, row.map_or(Ok(0), |row| column::<i64>(&row, 0))?);
    while low < high {
        let middle = low + (high - low) / 2;
        let sql = "select at from event where tenant_no = $1 and position = $2";
        let row = app.db.of(tenant).query_one(sql, vec![tenant.0.into(), middle.into()]).await?;
        match row {
            Some(row) if column::<i64>(&row, 0)? < wanted => low = middle + 1,
            _ => high = middle,
        }
    }
    Ok(Some(low))
}

pub(in crate::api) fn moment(name: &str, text: &str) -> std::result::Result<Timestamp, Failure> {
    let found = match whole_moment(text.trim()) {
        Some(Literal::Date(at)) => Some(at),
        Some(Literal::Instant(instant)) => {
            let bound = instant.bound();
            i64::try_from(bound.floor).ok().map(Timestamp::from_micros)
        }
        _ => None,
    };
    found.ok_or_else(|| Failure::bad(format!("{name} is not a date or a date and time")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_date_or_a_time() {
        let at = |text: &str| moment("from", text).map(|at| at.to_string()).ok();
        assert_eq!(at("2026-01-02").as_deref(), Some("2026-01-02T00:00:00.0000000Z"));
        assert_eq!(
            at("2026-01-02T03:04:05.123456Z").as_deref(),
            Some("2026-01-02T03:04:05.1234560Z")
        );
        assert_eq!(at("yesterday"), None);
    }
}
