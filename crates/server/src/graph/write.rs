//! Writes the rows of a page: as one piece when the page is small, as a stream when it may be long.
//!
//! An incident may have ten thousand alerts; they are read some at a time while the client takes
//! what was written before, fewer the longer they are, and one at a time is opened: its stored body
//! is small, what it says may be large. So memory stays bounded whatever is asked (graph-api rule
//! 13).

use std::collections::{BTreeSet, HashMap};

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use sea_orm::QueryResult;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use crate::alert::view::{self as alert_view, Comment, Full, Spelling};
use crate::db::{Scope, column, in_list};
use crate::error::{Error, Result};
use crate::graph::legacy;
use crate::graph::odata::query::Options;
use crate::graph::page::{Phase, Plan, Resource};
use crate::graph::task::Shown;
use crate::http::{Failure, Prefer, Site, json_bytes};
use crate::id::{IncidentId, TenantNo};
use crate::incident::view as incident_view;
use crate::incident::{self, Incident, advice};
use crate::tenant::caller::Reach;

/// Rows read at a time.
const ROWS: u64 = 100;
/// Alerts read at first, when nothing is known of their length.
const FIRST_ALERTS: u64 = 10;
/// Bytes of rows, as written, that the next look should be good for.
const LOOK: usize = 4 * 1024 * 1024;
/// Alerts of a page of incidents up to which they are found in one look.
const FEW: u64 = 500;
/// Rows of a page up to which it is answered in one piece.
const WHOLE: u64 = 500;
/// Bytes of a page up to which it is answered in one piece.
const WHOLE_BYTES: usize = 8 * 1024 * 1024;
/// Bytes of an alert's body beyond which it waits for its turn to be opened.
const LONG: usize = 128 * 1024;
/// Bytes gathered before they are handed to the connection.
const PIECE: usize = 64 * 1024;
/// Comments shown with a row of a list; the thing by itself has all.
const COMMENTS: i64 = 50;
/// Bytes of an unexpanded page of 50 rows; some clients refuse more.
const PAGE_BYTES: usize = 1_000_000;

/// In which shape rows are shown.
#[derive(Clone, Debug)]
pub enum Shape {
    /// `incident`, with its alerts when asked.
    Incident(Option<Box<Options>>),
    /// `alert`.
    Alert,
    /// The older `/api/incidents`.
    OldIncident,
    /// The first version of `alert`.
    OldAlert,
    /// `incidentTask`, with its incident in full when asked.
    Task(Option<Box<Options>>),
}

impl Shape {
    /// What is listed.
    #[must_use]
    pub fn resource(&self) -> Resource {
        match self {
            Self::Incident(_) | Self::OldIncident => Resource::Incident,
            Self::Alert | Self::OldAlert => Resource::Alert,
            Self::Task(_) => Resource::Task,
        }
    }
}

/// How the rows of one answer are written.
#[derive(Clone, Debug)]
pub struct Writer {
    /// In which shape.
    pub shape: Shape,
    /// Members wanted; all when empty.
    pub select: Vec<String>,
    /// Whether the client wants members after the sentinel by name.
    pub named: bool,
    /// Whether members of the beta version are shown.
    pub beta: bool,
    /// The address of web pages.
    pub web: String,
    /// What the caller may see.
    pub reach: Reach,
    /// Bytes a row may take; none when nothing is cut.
    pub budget: Option<usize>,
    /// `@odata.context` of an answer that is one incident.
    pub context: Option<String>,
}

/// Everything before and after the rows of a page.
pub struct Envelope {
    /// `@odata.context`.
    pub context: String,
    /// `@odata.count`, when asked for.
    pub count: Option<i64>,
    /// Rows of the page.
    pub top: u64,
    /// The address of the next page, up to the token that is put in for `{token}`.
    pub next: Box<dyn Fn(&str) -> String + Send + Sync>,
    /// Called with the place behind a full page.
    pub note: Box<dyn Fn(&str) + Send + Sync>,
}

/// Where bytes go.
struct Sink {
    piece: Vec<u8>,
    /// Bytes handed over so far.
    handed: usize,
    stream: Option<mpsc::Sender<std::io::Result<Bytes>>>,
    /// Bytes of an answer in one piece beyond which it is given up.
    most: usize,
    /// Whether it was.
    too_long: bool,
}

impl Sink {
    /// For an answer in one piece of at most so many bytes that begins so.
    fn whole(begin: String, most: usize) -> Self {
        Self { piece: begin.into_bytes(), handed: 0, stream: None, most, too_long: false }
    }

    fn json(&mut self, value: &impl serde::Serialize) -> Result<()> {
        serde_json::to_writer(&mut self.piece, value).map_err(Error::internal)
    }

    /// Bytes written so far.
    fn written(&self) -> usize {
        self.handed + self.piece.len()
    }

    /// Hands over what has gathered and waits until there is room for more.
    async fn breathe(&mut self) -> Result<()> {
        let Some(stream) = &self.stream else {
            self.too_long = self.piece.len() > self.most;
            if self.too_long {
                return Err(Error::Invalid("the page is too long for one piece".to_owned()));
            }
            return Ok(());
        };
        if self.piece.len() < PIECE {
            return Ok(());
        }
        self.handed += self.piece.len();
        let piece = Bytes::from(std::mem::take(&mut self.piece));
        stream.send(Ok(piece)).await.map_err(|_| gone())
    }
}

fn gone() -> Error {
    Error::Invalid("the client is gone".to_owned())
}

/// The per-tenant part of a spelling, looked up once an answer.
struct Tenants<'a> {
    site: &'a Site,
    known: HashMap<TenantNo, (std::sync::Arc<str>, bool)>,
}

impl Tenants<'_> {
    async fn get(&mut self, tenant: TenantNo) -> Result<(std::sync::Arc<str>, bool)> {
        if let Some(known) = self.known.get(&tenant) {
            return Ok(known.clone());
        }
        let id = self.site.app.tenant_id(tenant).await?;
        let spells = self.site.always_spells(tenant).await?;
        self.known.insert(tenant, (id.clone(), spells));
        Ok((id, spells))
    }
}

/// How many rows to read next, when this many were so many bytes.
fn next_look(rows: u64, bytes: usize) -> u64 {
    let each = bytes / usize::try_from(rows.max(1)).unwrap_or(usize::MAX) + 1;
    ((LOOK / each) as u64).clamp(1, ROWS)
}

/// Answers with a page.
pub async fn page(
    site: &Site,
    plan: Plan,
    writer: Writer,
    envelope: Envelope,
    prefer: Prefer,
) -> std::result::Result<Response, Failure> {
    let expanded = matches!(writer.shape, Shape::Incident(Some(_)) | Shape::OldIncident);
    let start = plan.start();
    let look = match writer.shape.resource() {
        Resource::Incident | Resource::Task => ROWS,
        Resource::Alert => FIRST_ALERTS,
    };
    let look = look.min(envelope.top + 1);
    // The first rows are read before the answer begins, so that what fails, fails with a status.
    let mut first = plan.rows(&site.app, &start, look).await?;
    let mut head = Map::new();
    head.insert("@odata.context".to_owned(), Value::from(envelope.context.clone()));
    if let Some(count) = envelope.count {
        head.insert("@odata.count".to_owned(), Value::from(count));
    }
    let mut text = Value::Object(head).to_string();
    text.pop();
    text.push_str(",\"value\":[");
    if !expanded && envelope.top <= WHOLE {
        let mut sink = Sink::whole(text.clone(), WHOLE_BYTES);
        let filled = fill(site, &plan, &writer, &envelope, (first, look), &mut sink).await;
        if !sink.too_long {
            filled?;
            return Ok(prefer.applied(json_bytes(StatusCode::OK, sink.piece)));
        }
        // Rare enough to begin anew.
        drop(sink);
        first = plan.rows(&site.app, &start, look).await?;
    }
    let (stream, pieces) = mpsc::channel(2);
    let mut sink = Sink::whole(text, usize::MAX);
    sink.stream = Some(stream.clone());
    let site = site.clone();
    tokio::spawn(async move {
        let written = fill(&site, &plan, &writer, &envelope, (first, look), &mut sink).await;
        finish(written, sink, &stream).await;
    });
    Ok(prefer.applied(json_bytes(StatusCode::OK, streamed(pieces))))
}

/// Sends what is left, or breaks the answer off so that a client sees that it is not whole.
async fn finish(written: Result<()>, sink: Sink, stream: &mpsc::Sender<std::io::Result<Bytes>>) {
    match written {
        Ok(()) => {
            let _ = stream.send(Ok(Bytes::from(sink.piece))).await;
        }
        Err(error) if !stream.is_closed() => {
            tracing::error!("an answer was cut off: {error}");
            let _ = stream.send(Err(std::io::Error::other("cut off"))).await;
        }
        Err(_) => {}
    }
}

fn streamed(pieces: mpsc::Receiver<std::io::Result<Bytes>>) -> Body {
    Body::from_stream(futures_util::stream::unfold(pieces, |mut pieces| async move {
        pieces.recv().await.map(|piece| (piece, pieces))
    }))
}

async fn fill(
    site: &Site,
    plan: &Plan,
    writer: &Writer,
    envelope: &Envelope,
    first: (Vec<crate::graph::page::Row>, u64),
    sink: &mut Sink,
) -> Result<()> {
    let mut tenants = Tenants { site, known: HashMap::new() };
    let (mut rows, mut asked) = first;
    let mut written = 0;
    let mut last = None;
    let mut more = false;
    loop {
        let got = rows.len() as u64;
        let before = sink.written();
        let room = usize::try_from(envelope.top - written).unwrap_or(usize::MAX);
        if rows.len() > room {
            rows.truncate(room);
            more = envelope.top > 0;
        }
        if let Some(row) = rows.last() {
            last = Some(plan.behind(row)?);
        }
        let mut rest = rows.as_slice();
        while let Some(row) = rest.first() {
            let phase = row.phase;
            let end = rest.iter().position(|row| row.phase != phase).unwrap_or(rest.len());
            let (part, others) = rest.split_at(end);
            rest = others;
            let part: Vec<&QueryResult> = part.iter().map(|row| &row.row).collect();
            writer.rows(site, &mut tenants, sink, &part, written > 0, plan, phase).await?;
            written += part.len() as u64;
        }
        if more || got < asked {
            break;
        }
        let Some(cursor) = &last else { break };
        asked = next_look(got, sink.written() - before).min(envelope.top - written + 1);
        // Not both at once.
        drop(std::mem::take(&mut rows));
        rows = plan.rows(&site.app, cursor, asked).await?;
    }
    sink.piece.push(b']');
    if let Some(cursor) = last {
        let token = cursor.token()?;
        if written == envelope.top {
            (envelope.note)(&token);
        }
        if more {
            sink.piece.extend_from_slice(b",\"@odata.nextLink\":");
            sink.json(&(envelope.next)(&token))?;
        }
    }
    sink.piece.push(b'}');
    Ok(())
}

impl Writer {
    /// Bytes a row of a page of `top` rows may take.
    #[must_use]
    pub fn share(top: u64) -> usize {
        PAGE_BYTES / usize::try_from(top.clamp(1, 50)).unwrap_or(50)
    }

    #[expect(clippy::too_many_arguments, reason = "one step of `fill`")]
    async fn rows(
        &self,
        site: &Site,
        tenants: &mut Tenants<'_>,
        sink: &mut Sink,
        rows: &[&QueryResult],
        mut after_first: bool,
        plan: &Plan,
        phase: Phase,
    ) -> Result<()> {
        let not_after = plan.not_after(phase);
        match self.shape.resource() {
            Resource::Incident => {
                let incidents: Result<Vec<Incident>> =
                    rows.iter().map(|row| Incident::from_row(row)).collect();
                self.incidents(site, tenants, sink, &incidents?, &mut after_first, not_after).await
            }
            Resource::Alert => {
                self.alerts(site, tenants, sink, rows, &self.select, &mut after_first, not_after)
                    .await
            }
            Resource::Task => {
                let tasks: Result<Vec<Shown>> =
                    rows.iter().map(|row| Shown::from_row(row)).collect();
                for row in self.task_rows(site, tenants, &tasks?, not_after).await? {
                    if std::mem::replace(&mut after_first, true) {
                        sink.piece.push(b',');
                    }
                    sink.json(&row)?;
                    sink.breathe().await?;
                }
                Ok(())
            }
        }
    }

    async fn incidents(
        &self,
        site: &Site,
        tenants: &mut Tenants<'_>,
        sink: &mut Sink,
        incidents: &[Incident],
        after_first: &mut bool,
        not_after: Option<crate::clock::Timestamp>,
    ) -> Result<()> {
        let ids: Vec<i64> = incidents.iter().map(|incident| incident.id.0).collect();
        let comments = self.comments_of(site, &ids).await?;
        let few = self.few_alerts(site, incidents).await?;
        for incident in incidents {
            let (tenant_id, spells) = tenants.get(incident.tenant).await?;
            let spelling = Spelling {
                named: self.named || spells,
                web: &self.web,
                tenant_id: &tenant_id,
                beta: self.beta,
                not_after,
            };
            let comments = comments.get(&incident.id.0).map_or(&[][..], Vec::as_slice);
            if std::mem::replace(after_first, true) {
                sink.piece.push(b',');
            }
            let advice = match &self.shape {
                Shape::Incident(_) if self.beta && wanted(&self.select, "recommendedActions") => {
                    advice::actions(&site.app, incident).await?
                }
                _ => None,
            };
            let expand = match &self.shape {
                Shape::Incident(None) => {
                    let mut row =
                        incident_view::json(incident, comments, advice.as_deref(), spelling);
                    keep(&mut row, &self.select);
                    self.mark(&mut row);
                    if let Some(budget) = self.budget {
                        incident_view::shorten(&mut row, budget);
                    }
                    sink.json(&row)?;
                    sink.breathe().await?;
                    continue;
                }
                Shape::Incident(Some(options)) => Some(options),
                _ => None,
            };
            let mut row = match expand {
                Some(_) => {
                    let mut row =
                        incident_view::json(incident, comments, advice.as_deref(), spelling);
                    keep(&mut row, &self.select);
                    row
                }
                None => legacy::incident(incident, comments, spelling),
            };
            self.mark(&mut row);
            row.remove("alerts");
            let mut text = Value::Object(row).to_string();
            text.pop();
            sink.piece.extend_from_slice(text.as_bytes());
            sink.piece.extend_from_slice(b",\"alerts\":[");
            let alerts = few.as_ref().map(|few| few.get(&incident.id).cloned().unwrap_or_default());
            self.alerts_of(site, tenants, sink, incident, expand.map(Box::as_ref), alerts).await?;
            sink.piece.extend_from_slice(b"]}");
            sink.breathe().await?;
        }
        Ok(())
    }

    fn mark(&self, row: &mut Map<String, Value>) {
        if let Some(context) = &self.context {
            row.insert("@odata.context".to_owned(), Value::from(context.as_str()));
        }
    }

    /// The alerts of all these incidents in one look, when they are few and wanted as they are.
    async fn few_alerts(
        &self,
        site: &Site,
        incidents: &[Incident],
    ) -> Result<Option<HashMap<IncidentId, Vec<i64>>>> {
        let plain = match &self.shape {
            Shape::Incident(Some(options)) => plain(options),
            Shape::OldIncident => true,
            _ => false,
        };
        let total: i64 = incidents.iter().map(|incident| incident.alert_count).sum();
        if !plain || incidents.is_empty() || total > FEW as i64 {
            return Ok(None);
        }
        let keys = incidents.iter().map(|incident| incident.id.0.into()).collect();
        let (list, keys) = in_list(1, keys);
        let sql = format!(
            "select id, incident_id from alert where incident_id in {list} order by id limit {}",
            FEW + 1
        );
        let rows = site.app.db.reach(self.reach.tenants()).query(&sql, keys).await?;
        if rows.len() as u64 > FEW {
            return Ok(None);
        }
        let mut few: HashMap<IncidentId, Vec<i64>> = HashMap::new();
        for row in rows {
            few.entry(IncidentId(column(&row, 1)?)).or_default().push(column(&row, 0)?);
        }
        Ok(Some(few))
    }

    async fn alerts_of(
        &self,
        site: &Site,
        tenants: &mut Tenants<'_>,
        sink: &mut Sink,
        incident: &Incident,
        options: Option<&Options>,
        few: Option<Vec<i64>>,
    ) -> Result<()> {
        let none = Vec::new();
        let select = options.map_or(&none, |options| &options.select);
        let mut after_first = false;
        if let Some(ids) = few {
            for ids in ids.chunks(FIRST_ALERTS as usize) {
                let (list, keys) = in_list(1, ids.iter().map(|id| (*id).into()).collect());
                let sql = format!(
                    "select {} from alert join alert_body on alert_body.alert_id = alert.id \
                     where alert.id in {list} order by alert.id",
                    alert_view::COLUMNS
                );
                let rows = site.app.db.of(incident.tenant).query(&sql, keys).await?;
                let rows: Vec<&QueryResult> = rows.iter().collect();
                self.alerts(site, tenants, sink, &rows, select, &mut after_first, None).await?;
            }
            return Ok(());
        }
        let default = Options::default();
        let options = options.unwrap_or(&default);
        let reach = Reach::Tenant(incident.tenant);
        let plan = Plan::new(&site.app, Resource::Alert, options, &reach, Some(incident.id), None)
            .await
            .map_err(|failure| Error::Invalid(failure.message))?;
        let mut cursor = plan.start();
        let mut left = options.top.unwrap_or(u64::MAX);
        let mut look = FIRST_ALERTS;
        while left > 0 {
            let asked = left.min(look);
            let before = sink.written();
            let rows = plan.rows(&site.app, &cursor, asked).await?;
            let got = rows.len() as u64;
            let Some(last) = rows.last() else { break };
            cursor = plan.behind(last)?;
            left -= got;
            let rows: Vec<&QueryResult> = rows.iter().map(|row| &row.row).collect();
            self.alerts(site, tenants, sink, &rows, select, &mut after_first, None).await?;
            if got < asked {
                break;
            }
            look = next_look(got, sink.written() - before);
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "one step of `fill`")]
    async fn alerts(
        &self,
        site: &Site,
        tenants: &mut Tenants<'_>,
        sink: &mut Sink,
        rows: &[&QueryResult],
        select: &[String],
        after_first: &mut bool,
        not_after: Option<crate::clock::Timestamp>,
    ) -> Result<()> {
        let ids: Result<Vec<i64>> = rows.iter().map(|row| column(row, 0)).collect();
        let comments = alert_view::comments(&self.scope(site), "alert_id", &ids?, COMMENTS).await?;
        for row in rows {
            // Held until the row is written; nobody waits for a client meanwhile.
            let turn = match Full::length(row)? {
                ..=LONG => None,
                _ => Some(site.long_alerts.acquire().await.map_err(Error::internal)?),
            };
            let full = Full::from_row(row)?;
            let id = full.alert.id.0;
            let (tenant_id, spells) = tenants.get(full.alert.tenant).await?;
            let spelling = Spelling {
                named: self.named || spells,
                web: &self.web,
                tenant_id: &tenant_id,
                beta: self.beta,
                not_after,
            };
            let comments: &[Comment] = comments.get(&id).map_or(&[], Vec::as_slice);
            let mut row = match self.shape {
                Shape::OldIncident => legacy::alert(full, comments, spelling),
                Shape::OldAlert => legacy::first_alert(full, comments, spelling),
                _ => alert_view::json(full, comments, spelling),
            };
            keep(&mut row, select);
            if std::mem::replace(after_first, true) {
                sink.piece.push(b',');
            }
            sink.json(&row)?;
            drop((row, turn));
            sink.breathe().await?;
        }
        Ok(())
    }

    /// Answers with one incident, all of it.
    pub async fn incident(
        self,
        site: &Site,
        incident: Incident,
        prefer: Prefer,
    ) -> std::result::Result<Response, Failure> {
        if let Shape::Incident(Some(options)) = &self.shape {
            // What is wrong with nested options is found before the answer begins.
            let reach = Reach::Tenant(incident.tenant);
            Plan::new(&site.app, Resource::Alert, options, &reach, Some(incident.id), None).await?;
        }
        let mut sink = Sink::whole(String::new(), usize::MAX);
        if matches!(self.shape, Shape::Incident(None)) {
            let mut tenants = Tenants { site, known: HashMap::new() };
            self.incidents(site, &mut tenants, &mut sink, &[incident], &mut false, None).await?;
            return Ok(prefer.applied(json_bytes(StatusCode::OK, sink.piece)));
        }
        let (stream, pieces) = mpsc::channel(2);
        sink.stream = Some(stream.clone());
        let site = site.clone();
        tokio::spawn(async move {
            let mut tenants = Tenants { site: &site, known: HashMap::new() };
            let written =
                self.incidents(&site, &mut tenants, &mut sink, &[incident], &mut false, None).await;
            finish(written, sink, &stream).await;
        });
        Ok(prefer.applied(json_bytes(StatusCode::OK, streamed(pieces))))
    }

    /// One task as JSON.
    pub async fn task(&self, site: &Site, task: &Shown) -> Result<Map<String, Value>> {
        let mut tenants = Tenants { site, known: HashMap::new() };
        let rows = self.task_rows(site, &mut tenants, std::slice::from_ref(task), None).await?;
        Ok(rows.into_iter().next().unwrap_or_default())
    }

    async fn task_rows(
        &self,
        site: &Site,
        tenants: &mut Tenants<'_>,
        tasks: &[Shown],
        not_after: Option<crate::clock::Timestamp>,
    ) -> Result<Vec<Map<String, Value>>> {
        let whole = match &self.shape {
            Shape::Task(Some(options)) => {
                let ids = tasks.iter().map(|shown| shown.task.incident).collect();
                Some(self.incidents_of(site, tenants, ids, &options.select, not_after).await?)
            }
            _ => None,
        };
        let mut rows = Vec::new();
        for shown in tasks {
            let (tenant_id, spells) = tenants.get(shown.task.tenant).await?;
            let spelling = Spelling {
                named: self.named || spells,
                web: &self.web,
                tenant_id: &tenant_id,
                beta: self.beta,
                not_after,
            };
            let id = shown.task.incident;
            let mut row = shown.json(json!({ "id": id, "tenantId": tenant_id }), spelling);
            keep(&mut row, &self.select);
            if let Some(incident) = whole.as_ref().and_then(|whole| whole.get(&id)) {
                row.insert("incident".to_owned(), Value::Object(incident.clone()));
            }
            rows.push(row);
        }
        Ok(rows)
    }

    /// The incidents of these ids, for what shows its own in full.
    async fn incidents_of(
        &self,
        site: &Site,
        tenants: &mut Tenants<'_>,
        ids: BTreeSet<IncidentId>,
        select: &[String],
        not_after: Option<crate::clock::Timestamp>,
    ) -> Result<HashMap<IncidentId, Map<String, Value>>> {
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        let (list, keys) = in_list(1, ids.iter().map(|id| (*id).into()).collect());
        let sql = format!(
            "select {} from {} where incident.id in {list}",
            incident::COLUMNS,
            incident::FROM
        );
        let found = self.scope(site).query(&sql, keys).await?;
        let comments = self.comments_of(site, &ids).await?;
        let mut all = HashMap::new();
        for row in &found {
            let incident = Incident::from_row(row)?;
            let (tenant_id, spells) = tenants.get(incident.tenant).await?;
            let spelling = Spelling {
                named: self.named || spells,
                web: &self.web,
                tenant_id: &tenant_id,
                beta: self.beta,
                not_after,
            };
            let comments = comments.get(&incident.id.0).map_or(&[][..], Vec::as_slice);
            let advice = if self.beta && wanted(select, "recommendedActions") {
                advice::actions(&site.app, &incident).await?
            } else {
                None
            };
            let mut row = incident_view::json(&incident, comments, advice.as_deref(), spelling);
            keep(&mut row, select);
            if let Some(budget) = self.budget {
                incident_view::shorten(&mut row, budget);
            }
            all.insert(incident.id, row);
        }
        Ok(all)
    }

    /// The comments of incidents, in a list the newest of each.
    async fn comments_of(&self, site: &Site, ids: &[i64]) -> Result<HashMap<i64, Vec<Comment>>> {
        let most = if self.budget.is_some() { COMMENTS } else { i64::MAX };
        alert_view::comments(&self.scope(site), "incident_id", ids, most).await
    }

    /// The store as far as the caller sees it.
    fn scope<'a>(&self, site: &'a Site) -> Scope<'a> {
        site.app.db.reach(self.reach.tenants())
    }

    /// One alert as JSON.
    pub async fn alert(&self, site: &Site, full: Full) -> Result<Map<String, Value>> {
        let mut tenants = Tenants { site, known: HashMap::new() };
        let (tenant_id, spells) = tenants.get(full.alert.tenant).await?;
        let ids = [full.alert.id.0];
        let comments = alert_view::comments(&self.scope(site), "alert_id", &ids, i64::MAX).await?;
        let comments: &[Comment] = comments.get(&ids[0]).map_or(&[], Vec::as_slice);
        let spelling = Spelling {
            named: self.named || spells,
            web: &self.web,
            tenant_id: &tenant_id,
            beta: self.beta,
            not_after: None,
        };
        let mut row = match self.shape {
            Shape::OldAlert => legacy::first_alert(full, comments, spelling),
            _ => alert_view::json(full, comments, spelling),
        };
        keep(&mut row, &self.select);
        Ok(row)
    }
}

/// Whether nested options ask for all alerts in their usual order.
fn plain(options: &Options) -> bool {
    options.filter.is_none()
        && options.orderby.is_empty()
        && options.top.is_none()
        && options.skip.is_none()
        && options.search.is_none()
}

/// Keeps the members a `$select` names, and the id.
fn keep(row: &mut Map<String, Value>, select: &[String]) {
    row.retain(|name, _| name == "id" || name.starts_with('@') || wanted(select, name));
}

/// Whether a `$select` lets a member through.
fn wanted(select: &[String], name: &str) -> bool {
    let names = |wanted: &String| {
        wanted == "*" || wanted.split('/').next().unwrap_or_default().eq_ignore_ascii_case(name)
    };
    select.is_empty() || select.iter().any(names)
}
