//! What the machine itself can do, measured in the same run as the server.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::alerts::Alerts;
use crate::histogram::Histogram;
use crate::http::Client;
use crate::trivial::{self, Responder};

/// Measures a 4 KiB append with `fdatasync` in `dir`, for two seconds.
pub(crate) fn fdatasync(dir: &Path) -> Result<Value, String> {
    let path = dir.join("fdatasync.probe");
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut file = File::create(&path).map_err(failed)?;
    let block = [0x5a; 4096];
    let mut histogram = Histogram::default();
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(2) {
        let before = Instant::now();
        file.write_all(&block).map_err(failed)?;
        file.sync_data().map_err(failed)?;
        histogram.add(before.elapsed());
    }
    // The probe may be in nobody's way afterwards; failing to remove it harms nothing.
    let _ = std::fs::remove_file(&path);
    Ok(json!({
        "id": "M1", "what": "fdatasync of 4 KiB", "value": histogram.percentile(50.0),
        "unit": "ms p50", "p99": histogram.percentile(99.0), "count": histogram.count(),
    }))
}

/// Measures a 1.5 KB POST to a responder that does nothing, over `connections` connections.
pub(crate) async fn loopback(connections: usize) -> Result<Value, String> {
    let responder = Responder::start(|_| trivial::json(200, "{}"))
        .await
        .map_err(|error| format!("responder: {error}"))?;
    let until = Instant::now() + Duration::from_secs(2);
    let address = responder.address;
    let tasks: Vec<_> = (0..connections)
        .map(|_| {
            tokio::spawn(async move {
                let body = Alerts::new(1, 0).body(0);
                let mut client = Client::new(address);
                let mut histogram = Histogram::default();
                while Instant::now() < until {
                    let before = Instant::now();
                    client
                        .post("/api/v1/alerts", "token", body.as_bytes())
                        .await
                        .map_err(|error| error.to_string())?;
                    histogram.add(before.elapsed());
                }
                Ok::<_, String>(histogram)
            })
        })
        .collect();
    let mut histogram = Histogram::default();
    for task in tasks {
        histogram.merge(&task.await.map_err(|error| error.to_string())??);
    }
    Ok(json!({
        "id": "M2", "what": "loopback POST of 1.5 KB, responder and client in one process",
        "connections": connections, "value": histogram.count() / 2, "unit": "requests/s",
        "p50": histogram.percentile(50.0), "p99": histogram.percentile(99.0),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn both_probes_give_figures() {
        let disk = fdatasync(&std::env::temp_dir()).unwrap();
        assert!(disk["count"].as_u64().unwrap() > 0);
        let loopback = loopback(2).await.unwrap();
        assert!(loopback["value"].as_u64().unwrap() > 0);
    }
}
