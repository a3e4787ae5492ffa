//! `/api/v1/events`: what changes within the caller's reach, as server-sent events.
//!
//! The log of each tenant is the stream: an event's place there is its place here, so a client that
//! comes back with `Last-Event-ID` goes on exactly behind the last event it saw, on any replica.
//! What this process commits wakes the stream at once; what others commit is found within
//! [`LOOK`]. A client that does not read is cut off and may come back; it costs a few pieces of
//! bounded size meanwhile. Who asks and how far it reaches is looked at again every [`RECHECK`], so
//! that what is revoked ends within a second here too; `reach.changed`, an event without a place,
//! tells that what the client shows may be more or less than it may see by now. Of a tenant whose queue the caller sees
//! without being inside, only what happened to which incident is told.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use bytes::Bytes;
use serde::Deserialize;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};

use crate::actor::ActorKind;
use crate::api::Params;
use crate::api::timeline::{COLUMNS, shown};
use crate::app::App;
use crate::db::{column, in_list};
use crate::error::{Error, Result};
use crate::event::OF_EXPERTS;
use crate::http::{Answer, Failure, Proof, Site};
use crate::id::TenantNo;
use crate::permission::Permission;
use crate::person::session::Origin;
use crate::tenant::caller::Caller;

/// How often to look for what other replicas committed.
const LOOK: Duration = Duration::from_millis(200);
/// How often to send something when nothing happens, so that nobody takes the stream for dead.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How often who asks and the reach are looked at again.
const RECHECK: Duration = Duration::from_millis(400);
/// How long a client may leave a piece unread.
const PATIENCE: Duration = Duration::from_secs(10);
/// The members that are told of a tenant the caller is not inside of.
const OUTSIDE: [&str; 5] = ["tenantId", "position", "at", "kind", "incidentId"];
/// Events read at a time.
const CHUNK: i64 = 256;

/// Where to begin.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct Begin {
    /// The same as the header `Last-Event-ID`, for clients that cannot set it.
    last_event_id: Option<String>,
}

/// What changes, as it changes. Each event has `id`, `event` (its kind) and `data` (JSON).
#[utoipa::path(
    get, path = "/api/v1/events", tag = "event",
    params(Begin, ("Last-Event-ID" = Option<String>, Header, description = "go on behind this")),
    responses((status = 200, description = "text/event-stream", content_type = "text/event-stream", body = String)),
)]
pub(super) async fn stream(
    State(site): State<Site>,
    caller: Caller,
    proof: Proof,
    origin: Origin,
    Params(begin): Params<Begin>,
    headers: HeaderMap,
) -> Answer {
    caller.require(&[Permission::IncidentRead, Permission::AlertRead, Permission::AuditRead])?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let last = last.or(begin.last_event_id).filter(|id| !id.is_empty());
    let places = match last {
        None => BTreeMap::new(),
        Some(id) => {
            read_id(&id).ok_or_else(|| Failure::bad("the last event id is not one of ours"))?
        }
    };
    let (pieces, body) = mpsc::channel(8);
    let feed = Feed {
        proof,
        address: origin.address,
        changed: site.app.changed.subscribe(),
        site,
        caller,
        places,
        pieces,
        text: String::new(),
    };
    tokio::spawn(feed.run());
    let body = futures_util::stream::unfold(body, |mut body| async move {
        let piece: Bytes = body.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(piece), body))
    });
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // Proxies that gather answers would hold events back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// Which events a caller may see: those about incidents, alerts and what is done about them, those
/// about devices, and those about the service for who may read the audit log.
fn visible(caller: &Caller, kind: &str) -> bool {
    if OF_EXPERTS.contains(&kind) && caller.actor().kind != ActorKind::Expert {
        return false;
    }
    match kind.split('.').next() {
        Some("incident" | "task" | "response" | "message" | "conversation") => {
            caller.may(&[Permission::IncidentRead])
        }
        Some("action") => caller.may(&[Permission::IncidentRead, Permission::DeviceRead]),
        Some("device") => caller.may(&[Permission::DeviceRead]),
        Some("exclusion") => caller.may(&[Permission::ExclusionRead]),
        Some("alert") => caller.may(&[Permission::AlertRead, Permission::IncidentRead]),
        Some("grant" | "access") => caller.may(&[
            Permission::GrantRead,
            Permission::AccessRequest,
            Permission::AccessApprove,
            Permission::AuditRead,
        ]),
        _ => caller.may(&[Permission::AuditRead]),
    }
}

struct Feed {
    site: Site,
    caller: Caller,
    proof: Proof,
    address: Option<IpAddr>,
    changed: tokio::sync::broadcast::Receiver<TenantNo>,
    /// The position of the next event in each log the caller may read.
    places: BTreeMap<TenantNo, i64>,
    pieces: mpsc::Sender<Bytes>,
    text: String,
}

impl Feed {
    async fn run(mut self) {
        if let Err(error) = self.follow().await {
            match error {
                Error::Internal(text) => tracing::error!("an event stream ended: {text}"),
                other => tracing::debug!(app = self.caller.name, "an event stream ended: {other}"),
            }
        }
    }

    async fn follow(&mut self) -> Result<()> {
        self.enter_tenants().await?;
        // So that the client knows at once that it is connected.
        self.text.push_str(": connected\nretry: 1000\n\n");
        self.send().await?;
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut recheck = tokio::time::interval(RECHECK);
        recheck.set_missed_tick_behavior(MissedTickBehavior::Delay);
        recheck.tick().await;
        let mut quiet_since = Instant::now();
        let stop = self.site.stop.clone();
        loop {
            let mut changed = Vec::new();
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = self.pieces.closed() => return Ok(()),
                _ = recheck.tick() => {
                    self.recheck().await?;
                    continue;
                }
                tenant = self.changed.recv() => match tenant {
                    Ok(tenant) => {
                        changed.push(tenant);
                        // Several commits may have happened since; one look serves them all.
                        while let Ok(more) = self.changed.try_recv() {
                            if !changed.contains(&more) {
                                changed.push(more);
                            }
                        }
                    }
                    Err(RecvError::Lagged(_)) => changed = self.grown().await?,
                    Err(RecvError::Closed) => return Ok(()),
                },
                _ = look.tick() => changed = self.grown().await?,
            }
            for tenant in changed {
                if self.tell(tenant).await? {
                    quiet_since = Instant::now();
                }
            }
            if quiet_since.elapsed() >= HEARTBEAT {
                self.text.push_str(": still here\n\n");
                self.send().await?;
                quiet_since = Instant::now();
            }
        }
    }

    /// Tenants that have come within reach begin with what happens next, those that have left are
    /// forgotten.
    async fn enter_tenants(&mut self) -> Result<()> {
        let mut logs = self.caller.logs();
        logs.extend(self.caller.queue.tenants());
        logs.sort_unstable();
        logs.dedup();
        self.places.retain(|tenant, _| logs.binary_search(tenant).is_ok());
        let fresh: Vec<TenantNo> =
            logs.into_iter().filter(|no| !self.places.contains_key(no)).collect();
        for (tenant, size) in sizes(&self.site.app, &fresh).await? {
            self.places.insert(tenant, size);
        }
        Ok(())
    }

    async fn recheck(&mut self) -> Result<()> {
        let found = self.proof.caller(&self.site, self.address, false).await?;
        let Some(caller) = found else {
            return Err(Error::Denied("the token is no longer valid".to_owned()));
        };
        let same = self.caller.may_the_same(&caller);
        self.caller = caller;
        self.enter_tenants().await?;
        if !same {
            self.text.push_str("event: reach.changed\ndata: {\"kind\":\"reach.changed\"}\n\n");
            self.send().await?;
        }
        Ok(())
    }

    /// Tenants whose log is longer than what was sent of it.
    async fn grown(&self) -> Result<Vec<TenantNo>> {
        let all: Vec<TenantNo> = self.places.keys().copied().collect();
        let sizes = sizes(&self.site.app, &all).await?;
        let longer = |(tenant, size): &(TenantNo, i64)| {
            self.places.get(tenant).is_some_and(|place| place < size)
        };
        Ok(sizes.into_iter().filter(longer).map(|(tenant, _)| tenant).collect())
    }

    /// Sends what is new in a tenant's log; says whether there was anything.
    async fn tell(&mut self, tenant: TenantNo) -> Result<bool> {
        let Some(mut place) = self.places.get(&tenant).copied() else { return Ok(false) };
        let sql = format!(
            "select {COLUMNS} from event where tenant_no = $1 and position >= $2 \
             order by position limit {CHUNK}"
        );
        let mut any = false;
        loop {
            let app = &self.site.app;
            let rows = app.db.of(tenant).query(&sql, vec![tenant.0.into(), place.into()]).await?;
            let tenant_id = app.tenant_id(tenant).await?;
            let inside = tenant == TenantNo::PROVIDER || self.caller.reach.includes(tenant);
            for row in &rows {
                place = column::<i64>(row, 1)? + 1;
                self.places.insert(tenant, place);
                let kind: String = column(row, 3)?;
                if !visible(&self.caller, &kind) {
                    continue;
                }
                let mut told = shown(row, &tenant_id)?;
                if !inside {
                    let about = kind.split('.').next().unwrap_or_default();
                    if !matches!(about, "incident" | "access" | "grant") {
                        continue;
                    }
                    told.retain(|name, _| OUTSIDE.contains(&name.as_str()));
                }
                let data = serde_json::to_string(&told).map_err(Error::internal)?;
                let id = write_id(&self.places);
                let _ = write!(self.text, "id: {id}\nevent: {kind}\ndata: {data}\n\n");
                any = true;
                if self.text.len() > 32 * 1024 {
                    self.send().await?;
                }
            }
            if !self.text.is_empty() {
                self.send().await?;
            }
            if (rows.len() as i64) < CHUNK {
                return Ok(any);
            }
        }
    }

    async fn send(&mut self) -> Result<()> {
        let piece = Bytes::from(std::mem::take(&mut self.text));
        match tokio::time::timeout(PATIENCE, self.pieces.send(piece)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Error::Invalid("the client is gone".to_owned())),
            Err(_) => Err(Error::Invalid("the client does not read".to_owned())),
        }
    }
}

async fn sizes(app: &App, tenants: &[TenantNo]) -> Result<Vec<(TenantNo, i64)>> {
    let mut all = Vec::with_capacity(tenants.len());
    for chunk in tenants.chunks(1_024) {
        let (list, keys) = in_list(1, chunk.iter().map(|tenant| tenant.0.into()).collect());
        let sql = format!("select tenant_no, size from ledger where tenant_no in {list}");
        for row in app.db.reach(chunk).query(&sql, keys).await? {
            all.push((TenantNo(column(&row, 0)?), column(&row, 1)?));
        }
    }
    Ok(all)
}

/// Places as an event id: opaque to clients.
fn write_id(places: &BTreeMap<TenantNo, i64>) -> String {
    let mut text = String::new();
    for (tenant, place) in places {
        let _ = write!(text, "{:x}.{place:x},", tenant.0);
    }
    BASE64.encode(text)
}

fn read_id(id: &str) -> Option<BTreeMap<TenantNo, i64>> {
    let text = String::from_utf8(BASE64.decode(id.trim()).ok()?).ok()?;
    text.split(',')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (tenant, place) = part.split_once('.')?;
            let number = |text: &str| i64::from_str_radix(text, 16).ok().filter(|n| *n >= 0);
            Some((TenantNo(number(tenant)?), number(place)?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_id_holds_a_place_for_each_tenant() {
        let places = BTreeMap::from([(TenantNo(1), 0), (TenantNo(300), 123_456)]);
        assert_eq!(read_id(&write_id(&places)), Some(places));
        assert_eq!(read_id("nonsense!"), None);
        assert_eq!(read_id(&BASE64.encode("1.-1")), None);
    }
}
