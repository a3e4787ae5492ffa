//! Request bodies: bounded in length, decompressed without trusting what they claim to hold.
//!
//! A body is gathered piece by piece and counted against a budget that all requests share, so that
//! neither one large body nor many at once fill the memory. What a compressed body becomes counts
//! in the same way, while it is being unpacked. Parsed JSON takes many times its length: what is
//! not intake is refused before it is parsed when it has too many values, and [`Reading`] lets only
//! so much intake be read at once. A body has to keep coming: one that stops, or dribbles, is given
//! up.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONTENT_ENCODING;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::alert::format::split;
use crate::error::Error;
use crate::http::Failure;

/// The largest body of a request that is not intake, in bytes.
pub const SMALL: usize = 1024 * 1024;
/// The most values such a body may hold.
const SMALL_VALUES: usize = 10_000;
/// How long a body may take: 8 MiB come within it at a quarter of a megabit a second.
const PATIENCE: Patience =
    Patience { piece: Duration::from_secs(30), whole: Duration::from_mins(5) };
/// Bytes that reading intake bodies may take at once, by estimate.
const READING: u32 = 96 * 1024 * 1024;
/// What reading one body takes at most: one record of it at a time is parsed, which is bounded.
const READING_ONE: usize = 96 * 1024 * 1024;
/// Bodies up to this length are read at once; there are no more of them than threads.
const READ_AT_ONCE: usize = 128 * 1024;
/// Unpacked beyond this, a body is unpacked away from the threads that answer requests.
const QUICK: usize = 256 * 1024;
/// The greatest window a zstd body may ask for, as a power of two: 8 MiB.
const ZSTD_WINDOW_LOG: u32 = 23;

/// Bytes of request bodies that may be in memory at once. Cheap to clone.
#[derive(Clone)]
pub struct Budget {
    held: Arc<AtomicUsize>,
    most: usize,
}

/// How long a body may take.
#[derive(Clone, Copy)]
struct Patience {
    /// Until its next piece.
    piece: Duration,
    /// Altogether.
    whole: Duration,
}

/// A body in memory; its bytes are given back when it is dropped.
pub struct Held {
    /// The body.
    pub bytes: Bytes,
    _share: Share,
}

struct Share {
    budget: Budget,
    size: usize,
}

impl Budget {
    /// A budget of `most` bytes.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { held: Arc::default(), most }
    }

    fn share(&self) -> Share {
        Share { budget: self.clone(), size: 0 }
    }
}

/// Memory for reading intake bodies, of which each takes its share while it is read. Cheap to clone.
#[derive(Clone)]
pub struct Reading(Arc<Semaphore>);

impl Default for Reading {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(READING as usize)))
    }
}

impl Reading {
    /// Waits for the share of this body; nothing for one that is read at once.
    pub async fn share(&self, body: &[u8]) -> Option<OwnedSemaphorePermit> {
        if body.len() <= READ_AT_ONCE {
            return None;
        }
        // Never closed, and nobody takes more than there is.
        self.0.clone().acquire_many_owned(estimate(body)).await.ok()
    }
}

/// About how many bytes the parsed records of a body take, if it were one record.
fn estimate(body: &[u8]) -> u32 {
    let mut bytes = 0_usize;
    for byte in body {
        // An object takes room for eleven members at once, and reading makes a second one of it;
        // an alert is one, and on its way into the store it takes that much again.
        bytes += match byte {
            b'{' => 3_000,
            b',' | b'[' => 160,
            _ => 0,
        };
    }
    bytes.min(READING_ONE) as u32
}

impl Share {
    fn grow(&mut self, by: usize) -> Result<(), Failure> {
        let before = self.budget.held.fetch_add(by, Ordering::Relaxed);
        self.size += by;
        if before.saturating_add(by) > self.budget.most {
            return Err(Error::Busy {
                what: "too many large requests are under way".to_owned(),
                retry_after_s: 1,
                own_limit: false,
            }
            .into());
        }
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(self.size, Ordering::Relaxed);
    }
}

#[derive(Clone, Copy)]
enum Encoding {
    Plain,
    Gzip,
    Zstd,
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, Failure> {
    let mut found = Encoding::Plain;
    let all = headers.get_all(CONTENT_ENCODING).iter();
    for word in all.flat_map(|value| value.to_str().unwrap_or("?").split(',')) {
        let next = match word.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => continue,
            "gzip" | "x-gzip" => Encoding::Gzip,
            "zstd" => Encoding::Zstd,
            _ => return Err(unsupported("content encoding is neither gzip nor zstd")),
        };
        if !matches!(found, Encoding::Plain) {
            return Err(unsupported("content is encoded more than once"));
        }
        found = next;
    }
    Ok(found)
}

fn unsupported(message: &str) -> Failure {
    Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message)
}

fn too_long(limit: usize) -> Failure {
    Failure::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("request body is longer than {limit} bytes"),
    )
}

/// Reads a body of at most `limit` bytes, before and after decompression.
pub async fn read(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    budget: &Budget,
) -> Result<Held, Failure> {
    let encoding = encoding(headers)?;
    let length = headers
        .get(axum::http::header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > limit as u64) {
        return Err(too_long(limit));
    }
    let mut share = budget.share();
    let packed = gather(body, limit, &mut share, PATIENCE).await?;
    if matches!(encoding, Encoding::Plain) {
        return Ok(Held { bytes: packed, _share: share });
    }
    let mut unpacked = budget.share();
    if let Some(bytes) = unpack(encoding, &packed, QUICK.min(limit), &mut unpacked)? {
        return Ok(Held { bytes, _share: unpacked });
    }
    if limit <= QUICK {
        return Err(too_long(limit));
    }
    let mut unpacked = budget.share();
    let (result, unpacked) = tokio::task::spawn_blocking(move || {
        let _packed = share;
        let result = unpack(encoding, &packed, limit, &mut unpacked);
        (result, unpacked)
    })
    .await
    .map_err(Error::internal)?;
    let bytes = result?.ok_or_else(|| too_long(limit))?;
    Ok(Held { bytes, _share: unpacked })
}

/// Reads a body as it comes.
async fn gather(
    body: Body,
    limit: usize,
    share: &mut Share,
    patience: Patience,
) -> Result<Bytes, Failure> {
    let mut body = body;
    let mut first = Bytes::new();
    let mut rest: Vec<u8> = Vec::new();
    let end = Instant::now() + patience.whole;
    loop {
        let until = end.min(Instant::now() + patience.piece);
        let frame = timeout_at(until, body.frame()).await;
        let frame = frame.map_err(|_| {
            Failure::new(StatusCode::REQUEST_TIMEOUT, "request body came too slowly")
        })?;
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|_| Failure::bad("request body ended too early"))?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + rest.len() + data.len() > limit {
            return Err(too_long(limit));
        }
        share.grow(data.len())?;
        if first.is_empty() && rest.is_empty() {
            first = data;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&std::mem::take(&mut first));
            }
            rest.extend_from_slice(&data);
        }
    }
    Ok(if rest.is_empty() { first } else { Bytes::from(rest) })
}

/// Unpacks up to `limit` bytes; `None` when there are more.
fn unpack(
    encoding: Encoding,
    packed: &Bytes,
    limit: usize,
    share: &mut Share,
) -> Result<Option<Bytes>, Failure> {
    let bad = |_| Failure::bad("request body cannot be decompressed");
    let mut reader: Box<dyn Read + '_> = match encoding {
        Encoding::Plain => return Ok(Some(packed.clone())),
        Encoding::Gzip => Box::new(flate2::read::MultiGzDecoder::new(&packed[..])),
        Encoding::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::new(&packed[..]).map_err(bad)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(bad)?;
            Box::new(decoder)
        }
    };
    let mut out = Vec::new();
    let mut piece = vec![0; 32 * 1024];
    loop {
        let count = reader.read(&mut piece).map_err(bad)?;
        if count == 0 {
            return Ok(Some(Bytes::from(out)));
        }
        if out.len() + count > limit {
            return Ok(None);
        }
        share.grow(count)?;
        out.extend_from_slice(piece.get(..count).unwrap_or_default());
    }
}

/// Reads a JSON body of at most [`SMALL`] bytes; an empty one is `null`.
pub async fn json(headers: &HeaderMap, body: Body, budget: &Budget) -> Result<Value, Failure> {
    let held = read(headers, body, SMALL, budget).await?;
    // Some clients begin with a byte order mark.
    let text = held.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&held.bytes);
    if text.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Null);
    }
    if text.len() > SMALL_VALUES && split::values(text) > SMALL_VALUES {
        return Err(Failure::bad(format!("request body has more than {SMALL_VALUES} values")));
    }
    serde_json::from_slice(text)
        .map_err(|error| Failure::bad(format!("request body is not valid JSON: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    use futures_util::StreamExt as _;
    use futures_util::stream;

    #[tokio::test]
    async fn a_body_that_stops_or_dribbles_is_given_up() {
        let budget = Budget::new(1024);
        let long = Duration::from_hours(1);
        let stops = || {
            let first = Ok::<_, std::convert::Infallible>(Bytes::from_static(b"x"));
            Body::from_stream(stream::iter([first]).chain(stream::pending()))
        };
        // Pieces without content come as long as somebody listens.
        let dribbles = |pieces: usize| {
            Body::from_stream(stream::iter(0..pieces).then(async |_| {
                tokio::task::yield_now().await;
                Ok::<_, std::convert::Infallible>(Bytes::new())
            }))
        };
        for (body, piece, whole, comes) in [
            (stops(), Duration::ZERO, long, false),
            (dribbles(usize::MAX), long, Duration::ZERO, false),
            (dribbles(9), long, long, true),
        ] {
            let gathered = gather(body, 1024, &mut budget.share(), Patience { piece, whole }).await;
            match gathered {
                Ok(bytes) => assert!(comes && bytes.is_empty()),
                Err(failure) => {
                    assert!(!comes && failure.status == StatusCode::REQUEST_TIMEOUT);
                }
            }
        }
        assert_eq!(budget.held.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn a_small_body_of_very_many_values_is_refused_before_it_is_parsed() {
        let budget = Budget::new(1024 * 1024);
        let list = |zeros: usize| Body::from(format!("[{}0]", "0,".repeat(zeros)));
        assert!(json(&HeaderMap::new(), list(SMALL_VALUES - 2), &budget).await.is_ok());
        let failure = json(&HeaderMap::new(), list(SMALL_VALUES), &budget).await.unwrap_err();
        assert_eq!(failure.status, StatusCode::BAD_REQUEST);
    }

    #[tokio::test]
    async fn only_so_much_is_read_at_once() {
        let reading = Reading::default();
        assert!(reading.share(&vec![b'{'; READ_AT_ONCE]).await.is_none());
        let ordinary = vec![b'x'; READ_AT_ONCE + 1];
        let harmful = vec![b'{'; 1024 * 1024];
        let first = reading.share(&harmful).await;
        assert!(first.is_some());
        let (again, then) = (reading.clone(), harmful.clone());
        let mut second = tokio::spawn(async move { again.share(&then).await });
        assert!(futures_util::poll!(&mut second).is_pending());
        tokio::task::yield_now().await;
        assert!(futures_util::poll!(&mut second).is_pending());
        drop(first);
        assert!(second.await.unwrap().is_some());
        assert!(reading.share(&ordinary).await.is_some());
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    async fn status(encoding: &str, body: Vec<u8>, limit: usize, budget: &Budget) -> u16 {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, encoding.parse().unwrap());
        match read(&headers, Body::from(body), limit, budget).await {
            Ok(_) => 200,
            Err(failure) => failure.status.as_u16(),
        }
    }

    #[tokio::test]
    async fn a_bomb_is_refused_before_it_unfolds() {
        let budget = Budget::new(8 * 1024 * 1024);
        let zeros = vec![0_u8; 16 * 1024 * 1024];
        let zstd = zstd::bulk::compress(&zeros, 3).unwrap();
        assert_eq!(status("gzip", gzip(&zeros), 1024 * 1024, &budget).await, 413);
        assert_eq!(status("zstd", zstd.clone(), 1024 * 1024, &budget).await, 413);
        assert_eq!(status("zstd", zstd, 64 * 1024 * 1024, &budget).await, 503);
        assert_eq!(status("gzip", gzip(b"{}"), 1024, &budget).await, 200);
        assert_eq!(status("gzip", b"{}".to_vec(), 1024, &budget).await, 400);
        assert_eq!(status("br", b"{}".to_vec(), 1024, &budget).await, 415);
        assert_eq!(status("gzip, gzip", b"{}".to_vec(), 1024, &budget).await, 415);
        assert_eq!(status("identity", vec![b' '; 2048], 1024, &budget).await, 413);
        assert_eq!(budget.held.load(Ordering::Relaxed), 0);
    }
}
