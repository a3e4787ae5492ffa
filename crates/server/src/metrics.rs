//! Counters and histograms, served at `/metrics` in Prometheus text.

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// The figures of one process.
pub struct Metrics {
    registry: Registry,
    /// Requests by status class (`2xx`) and part (`graph`, `api`, `token`).
    pub requests: Family<Vec<(String, String)>, Counter>,
    /// Seconds a request took.
    pub request_seconds: Histogram,
    /// Alerts by outcome: accepted, duplicate, ignored, rejected.
    pub alerts: Family<Vec<(String, String)>, Counter>,
    /// Seconds a group commit took, from begin to durable.
    pub commit_seconds: Histogram,
    /// Requests in one group commit.
    pub commit_requests: Histogram,
    /// Alerts accepted and not yet in an incident, as last seen by this process.
    pub backlog: Gauge,
    /// Requests refused because too much was waiting.
    pub overloaded: Counter,
    /// Seconds one batch of correlation took.
    pub correlate_seconds: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        let seconds = || Histogram::new(exponential_buckets(0.000_5, 2.0, 16));
        let mut metrics = Self {
            registry: Registry::with_prefix("riposte"),
            requests: Family::default(),
            request_seconds: seconds(),
            alerts: Family::default(),
            commit_seconds: seconds(),
            commit_requests: Histogram::new(exponential_buckets(1.0, 2.0, 10)),
            backlog: Gauge::default(),
            overloaded: Counter::default(),
            correlate_seconds: seconds(),
        };
        let registry = &mut metrics.registry;
        registry.register(
            "requests",
            "Requests by part and status class",
            metrics.requests.clone(),
        );
        registry.register("request_seconds", "Time to answer", metrics.request_seconds.clone());
        registry.register("alerts", "Alerts by outcome", metrics.alerts.clone());
        registry.register(
            "commit_seconds",
            "Time of a group commit",
            metrics.commit_seconds.clone(),
        );
        registry.register(
            "commit_requests",
            "Requests a group commit",
            metrics.commit_requests.clone(),
        );
        registry.register("backlog_alerts", "Alerts not yet correlated", metrics.backlog.clone());
        registry.register(
            "overloaded",
            "Requests refused for overload",
            metrics.overloaded.clone(),
        );
        registry.register(
            "correlate_seconds",
            "Time of a correlation batch",
            metrics.correlate_seconds.clone(),
        );
        metrics
    }
}

impl Metrics {
    /// The Prometheus text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// Counts alerts of one outcome.
    pub fn count_alerts(&self, outcome: &str, count: u64) {
        if count > 0 {
            self.alerts
                .get_or_create(&vec![("outcome".to_owned(), outcome.to_owned())])
                .inc_by(count);
        }
    }
}
