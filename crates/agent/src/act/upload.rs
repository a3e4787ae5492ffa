//! Sends a file to the server, streamed, until the server has it.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_util::io::ReaderStream;

use super::Work;
use crate::agent::{Agent, random};
use crate::clock;
use crate::enrol::endpoint;
use crate::fault::{During, Fault, Result};
use crate::http::{Lost, answered, explain};
use crate::watch::back_off;

/// How long one attempt may take.
const LIMIT: Duration = Duration::from_mins(30);
const ATTEMPTS: u32 = 8;

/// Sends a file as the package of an order. Called from a thread, not from the runtime.
pub(crate) fn send(agent: &Agent, path: &Path, size: u64, work: &Work<'_>) -> Result<()> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let lost = match agent.runtime.block_on(put(agent, path, size, work)) {
            Ok(()) => return Ok(()),
            Err(lost) => lost,
        };
        if work.cancel.load(Ordering::Relaxed) {
            return Err(Fault::new("it was cancelled"));
        }
        let for_good = matches!(&lost, Lost::Refused(status, _)
            if status.is_client_error() && !matches!(status.as_u16(), 401 | 403 | 408 | 425 | 429));
        if for_good || attempt >= ATTEMPTS {
            return Err(Fault::new(format!("the server did not take it: {lost}")));
        }
        tracing::warn!("the server did not take the package of order {}: {lost}", work.order);
        clock::pause(back_off(attempt + 2, u64::from_le_bytes(random())));
    }
}

async fn put(
    agent: &Agent,
    path: &Path,
    size: u64,
    work: &Work<'_>,
) -> std::result::Result<(), Lost> {
    let url = endpoint(&agent.server, &format!("package/{}", work.order)).map_err(Lost::Else)?;
    let file = tokio::fs::File::open(path).await.during("cannot read it").map_err(Lost::Else)?;
    let sending = agent
        .client()
        .put(url)
        .header("content-type", "application/zip")
        .header("content-length", size)
        .timeout(LIMIT)
        .body(reqwest::Body::wrap_stream(ReaderStream::with_capacity(file, 64 << 10)))
        .send();
    let cancelled = async {
        while !work.cancel.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let response = tokio::select! {
        response = sending => response.map_err(|e| Lost::Else(Fault::new(explain(&e))))?,
        () = cancelled => return Err(Lost::Else(Fault::new("it was cancelled"))),
    };
    answered(response).await.map(|_| ())
}
