//! Alerts: what security products told us, in the Graph `alerts_v2` shape (INC-23).
//!
//!   received -correlate-> in an incident -resolve-> resolved
//!
//! Invariants: an alert that was acknowledged is on disk together with its dedupe key, its audit
//! leaf and the mark that it waits for correlation (`incident_id` is null); the same alert sent
//! twice is one alert; newer content replaces older and the older is kept as a version; the raw
//! record is kept for replay. Not here: how records are read (see `format`), which incident an
//! alert belongs to (see `incident`).

pub mod change;
pub mod format;
pub mod intake;
pub mod view;

use std::cell::RefCell;

use sea_orm::{QueryResult, Value as Sql};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::alert::format::{NewAlert, when};
use crate::clock::Timestamp;
use crate::db::column;
use crate::error::{Error, Result};
use crate::id::{AlertId, IncidentId, TenantNo};
use crate::word::{AlertStatus, Classification, Determination, Severity};

/// Words that `serviceSource` can be, without what stands for others.
pub fn service_sources() -> impl Iterator<Item = &'static str> {
    sources(format::contract::SERVICE_SOURCE)
}

/// Words that `detectionSource` can be, without what stands for others.
pub fn detection_sources() -> impl Iterator<Item = &'static str> {
    sources(format::contract::DETECTION_SOURCE)
}

fn sources(words: &'static [&'static str]) -> impl Iterator<Item = &'static str> {
    words.iter().copied().filter(|word| *word != crate::word::SENTINEL)
}

/// An alert ready to be stored: its row, and its body and raw record compressed.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// First 16 bytes of SHA-256 over source and source id, else over the content.
    pub dedupe: [u8; 16],
    /// First 16 bytes of SHA-256 over the body.
    pub content: [u8; 16],
    /// The product that speaks.
    pub source: String,
    /// When the source last changed it.
    pub source_updated: Option<Timestamp>,
    /// What lists filter and sort by.
    pub head: Head,
    /// The body, JSON, zstd.
    pub body: Vec<u8>,
    /// The record as it came, zstd.
    pub raw: Vec<u8>,
    /// Bytes this alert holds in memory while it waits.
    pub weight: usize,
}

/// The members of an alert that lists filter and sort by.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "each is the contract's member of the same name")]
pub struct Head {
    pub title: String,
    pub severity: Severity,
    pub status: AlertStatus,
    pub classification: Classification,
    pub determination: Determination,
    pub assigned_to: Option<String>,
    pub category: Option<String>,
    pub service_source: String,
    pub detection_source: Option<String>,
    pub product_name: Option<String>,
    pub provider_alert_id: Option<String>,
    pub detector_id: Option<String>,
    pub created: Timestamp,
    pub first_activity: Timestamp,
    pub last_activity: Timestamp,
    pub resolved: Option<Timestamp>,
}

/// A stored alert.
#[derive(Clone, Debug)]
pub struct Alert {
    /// Its id.
    pub id: AlertId,
    /// Whose it is.
    pub tenant: TenantNo,
    /// Where correlation put it; `None` for the moment before.
    pub incident: Option<IncidentId>,
    /// What lists filter and sort by.
    pub head: Head,
    /// When it last changed here; unique in its tenant.
    pub updated: Timestamp,
    /// Why it is in its incident: JSON array of links.
    pub links: Option<String>,
}

/// The columns [`Alert::from_row`] expects, in order.
pub const COLUMNS: &str = "alert.id, alert.tenant_no, alert.incident_id, alert.title, \
    alert.severity, alert.status, alert.classification, alert.determination, alert.assigned_to, \
    alert.category, alert.service_source, alert.detection_source, alert.product_name, \
    alert.provider_alert_id, alert.detector_id, alert.created_at, alert.first_activity_at, \
    alert.last_activity_at, alert.resolved_at, alert.updated_at, alert.links";

/// How many columns [`COLUMNS`] names.
pub const WIDTH: usize = 21;

/// The longest body of an alert in bytes of JSON; a page of alerts is made of whole bodies.
pub const MAX_BODY: usize = 1024 * 1024;
/// The most pieces of evidence of an alert; an answer gives each of them a dozen members.
pub const MAX_EVIDENCE: usize = 10_000;

impl Prepared {
    /// Prepares what a reader made of a record.
    ///
    /// # Errors
    /// `Invalid` when the alert is larger than an alert may be.
    pub fn new(alert: NewAlert, raw: &[u8], now: Timestamp) -> Result<Self> {
        let head = Head::read(&alert.body, now);
        let evidence = alert.body.get("evidence").and_then(Value::as_array).map_or(0, Vec::len);
        if evidence > MAX_EVIDENCE {
            return Err(Error::Invalid(format!(
                "alert with {evidence} pieces of evidence, the limit is {MAX_EVIDENCE}"
            )));
        }
        let raw = alert.raw.as_deref().unwrap_or(raw);
        // The same content is the same text, in whatever order a source sends its members.
        let mut body = Value::Object(alert.body);
        body.sort_all_objects();
        let text = body.to_string();
        if text.len() > MAX_BODY {
            return Err(Error::Invalid(format!(
                "alert of {} bytes, the limit is {MAX_BODY}",
                text.len()
            )));
        }
        let content = digest(&[text.as_bytes()]);
        let dedupe = match &alert.source_id {
            Some(id) => digest(&[alert.source.as_bytes(), b"id", id.as_bytes()]),
            None => digest(&[alert.source.as_bytes(), b"content", &content]),
        };
        let body = pack(text.as_bytes())?;
        let raw = pack(raw)?;
        let weight = body.len() + raw.len() + 512;
        Ok(Self {
            dedupe,
            content,
            source: alert.source,
            source_updated: alert.updated,
            head,
            body,
            raw,
            weight,
        })
    }
}

impl Head {
    /// Reads the members from a body in the Graph shape; what is missing gets the contract's
    /// default, times that are missing are the time of receipt.
    #[must_use]
    pub fn read(body: &Map<String, Value>, now: Timestamp) -> Self {
        let text = |name: &str| {
            let text = body.get(name).and_then(Value::as_str).map(|text| clip(text, 2_000));
            text.filter(|text| !text.is_empty())
        };
        let word = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
        let time = |name: &str| body.get(name).and_then(when::from_value);
        let first =
            time("firstActivityDateTime").or_else(|| time("createdDateTime")).unwrap_or(now);
        let last = time("lastActivityDateTime").unwrap_or(first);
        Self {
            title: text("title").unwrap_or_else(|| "Untitled alert".to_owned()),
            severity: Severity::read(word("severity")).unwrap_or(Severity::Unknown),
            status: AlertStatus::read(word("status")).unwrap_or(AlertStatus::New),
            classification: Classification::read(word("classification"))
                .unwrap_or(Classification::Unknown),
            determination: Determination::read(word("determination"))
                .unwrap_or(Determination::Unknown),
            assigned_to: text("assignedTo"),
            category: text("category"),
            service_source: text("serviceSource").unwrap_or_else(|| "unknown".to_owned()),
            detection_source: text("detectionSource"),
            product_name: text("productName"),
            provider_alert_id: text("providerAlertId"),
            detector_id: text("detectorId"),
            created: time("createdDateTime").unwrap_or(now),
            first_activity: first.min(last),
            last_activity: last.max(first),
            resolved: time("resolvedDateTime"),
        }
    }

    /// The values of the columns from `title` to `resolved_at`, in the order of [`COLUMNS`].
    #[must_use]
    pub fn values(&self) -> [Sql; 16] {
        [
            self.title.clone().into(),
            i64::from(self.severity.code()).into(),
            i64::from(self.status.code()).into(),
            i64::from(self.classification.code()).into(),
            i64::from(self.determination.code()).into(),
            self.assigned_to.clone().into(),
            self.category.clone().into(),
            self.service_source.clone().into(),
            self.detection_source.clone().into(),
            self.product_name.clone().into(),
            self.provider_alert_id.clone().into(),
            self.detector_id.clone().into(),
            self.created.micros().into(),
            self.first_activity.micros().into(),
            self.last_activity.micros().into(),
            self.resolved.map(Timestamp::micros).into(),
        ]
    }
}

impl Alert {
    /// An alert from a row of [`COLUMNS`].
    pub fn from_row(row: &QueryResult) -> Result<Self> {
        let id = AlertId(column(row, 0)?);
        let bad = |name: &str| Error::Internal(format!("alert {id}: {name} is damaged"));
        let code = |index: usize| column::<i64>(row, index).map(|code| code as i16);
        Ok(Self {
            id,
            tenant: TenantNo(column(row, 1)?),
            incident: column::<Option<i64>>(row, 2)?.map(IncidentId),
            head: Head {
                title: column(row, 3)?,
                severity: Severity::from_code(code(4)?).ok_or_else(|| bad("severity"))?,
                status: AlertStatus::from_code(code(5)?).ok_or_else(|| bad("status"))?,
                classification: Classification::from_code(code(6)?)
                    .ok_or_else(|| bad("classification"))?,
                determination: Determination::from_code(code(7)?)
                    .ok_or_else(|| bad("determination"))?,
                assigned_to: column(row, 8)?,
                category: column(row, 9)?,
                service_source: column(row, 10)?,
                detection_source: column(row, 11)?,
                product_name: column(row, 12)?,
                provider_alert_id: column(row, 13)?,
                detector_id: column(row, 14)?,
                created: Timestamp::from_micros(column(row, 15)?),
                first_activity: Timestamp::from_micros(column(row, 16)?),
                last_activity: Timestamp::from_micros(column(row, 17)?),
                resolved: column::<Option<i64>>(row, 18)?.map(Timestamp::from_micros),
            },
            updated: Timestamp::from_micros(column(row, 19)?),
            links: column(row, 20)?,
        })
    }
}

/// First 16 bytes of SHA-256 over the parts, each preceded by its length.
fn digest(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut short = [0; 16];
    short.copy_from_slice(&hash.finalize()[..16]);
    short
}

fn clip(text: &str, most: usize) -> String {
    // PostgreSQL text cannot hold NUL; the body keeps what the product said.
    text.chars().filter(|c| *c != '\0').take(most).collect()
}

/// Compresses what is stored with an alert. Level 1: the gain of more is small on short records
/// and it would be paid on the way to every acknowledgement.
pub(crate) fn pack(bytes: &[u8]) -> Result<Vec<u8>> {
    // Making a compressor costs several times what compressing one alert does.
    thread_local! {
        static PACKER: RefCell<Option<zstd::bulk::Compressor<'static>>> =
            const { RefCell::new(None) };
    }
    PACKER.with_borrow_mut(|packer| {
        if packer.is_none() {
            *packer = Some(zstd::bulk::Compressor::new(1).map_err(Error::internal)?);
        }
        let Some(packer) = packer else { return Ok(Vec::new()) };
        packer.compress(bytes).map_err(Error::internal)
    })
}

/// How many bytes [`unpack`] makes of these.
pub(crate) fn unpacked_length(bytes: &[u8]) -> Result<usize> {
    zstd::zstd_safe::get_frame_content_size(bytes)
        .ok()
        .flatten()
        .and_then(|length| usize::try_from(length).ok())
        .ok_or_else(|| Error::Internal("a stored alert is damaged".to_owned()))
}

/// The opposite of [`pack`].
pub(crate) fn unpack(bytes: &[u8]) -> Result<Vec<u8>> {
    thread_local! {
        static UNPACKER: RefCell<Option<zstd::bulk::Decompressor<'static>>> =
            const { RefCell::new(None) };
    }
    let length = unpacked_length(bytes)?;
    UNPACKER.with_borrow_mut(|unpacker| {
        if unpacker.is_none() {
            *unpacker = Some(zstd::bulk::Decompressor::new().map_err(Error::internal)?);
        }
        let Some(unpacker) = unpacker else { return Ok(Vec::new()) };
        unpacker.decompress(bytes, length).map_err(Error::internal)
    })
}

/// The stored body of an alert.
pub(crate) fn body(bytes: &[u8]) -> Result<Map<String, Value>> {
    serde_json::from_slice(&unpack(bytes)?).map_err(Error::internal)
}
