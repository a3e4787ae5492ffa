//! What this process says while it runs: lines on standard error, and traces when configured.
//!
//! A line is one line whatever it quotes: control characters are escaped, so a value that came from
//! outside can neither begin a line of its own nor speak to the terminal. A human line can be read
//! alone; values follow as `name=value`. With `log_json` each line is one JSON object instead.
//! Traces leave this process only when an OTLP collector is configured.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use axum::http::HeaderMap;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry};

use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::error::{Error, Result};

/// The longest value of a field in a line, in characters; the rest is cut off.
const LONGEST: usize = 4_096;
/// How long the last traces may take to leave when the process ends.
const FLUSH: Duration = Duration::from_secs(2);

/// Ends with the process; sends what is left of the traces when dropped.
pub struct Guard(Option<SdkTracerProvider>);

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(provider) = &self.0 {
            // There is no one left to tell.
            let _ = provider.shutdown_with_timeout(FLUSH);
        }
    }
}

/// Starts logging and, when configured, tracing. Called once, before the runtime is made: the
/// trace exporter has a thread and a blocking client of its own.
///
/// # Errors
/// `Invalid` for a filter or collector address that cannot be read, `Conflict` the second time.
pub fn init(config: &Config, clock: &Clock) -> Result<Guard> {
    let filter = EnvFilter::try_new(&config.log_filter).map_err(|error| {
        Error::Invalid(format!("log filter {:?} cannot be read: {error}", config.log_filter))
    })?;
    let provider = config.otlp_endpoint.as_deref().map(exporter).transpose()?;
    let traces = provider
        .as_ref()
        .map(|provider| tracing_opentelemetry::layer().with_tracer(provider.tracer("riposte")));
    let lines = Lines { json: config.log_json, clock: clock.clone(), out: Out::Stderr };
    // The filter is for lines: what they say of their request, and traces, do not depend on it.
    let spans = |meta: &Metadata<'_>| meta.is_span() && *meta.level() <= Level::INFO;
    Registry::default()
        .with(traces.with_filter(filter_fn(spans)))
        .with(lines.with_filter(filter.or(filter_fn(spans))))
        .try_init()
        .map_err(|error| Error::Conflict(format!("logging has started already: {error}")))?;
    Ok(Guard(provider))
}

fn exporter(endpoint: &str) -> Result<SdkTracerProvider> {
    let bad = |reason: String| {
        Error::Invalid(format!("the trace collector {endpoint:?} cannot be used: {reason}"))
    };
    if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
        return Err(bad("its address must begin with http:// or https://".to_owned()));
    }
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_headers(std::collections::HashMap::new())
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(endpoint)
        .with_timeout(Duration::from_secs(5))
        .build()
        .map_err(|error| bad(error.to_string()))?;
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(Resource::builder().with_service_name("riposte").build())
        .build())
}

/// Makes a request's span part of the trace that its client names (`traceparent`, W3C Trace
/// Context). Without a collector, or when the header cannot be read, it stays a trace of its own.
pub fn join_trace(span: &tracing::Span, headers: &HeaderMap) {
    struct Named<'a>(&'a HeaderMap);
    impl Extractor for Named<'_> {
        fn get(&self, key: &str) -> Option<&str> {
            self.0.get(key)?.to_str().ok()
        }
        fn keys(&self) -> Vec<&str> {
            self.0.keys().map(axum::http::HeaderName::as_str).collect()
        }
    }
    if headers.contains_key("traceparent") {
        let _ = span.set_parent(TraceContextPropagator::new().extract(&Named(headers)));
    }
}

/// Writes one line an event.
struct Lines {
    json: bool,
    clock: Clock,
    out: Out,
}

enum Out {
    Stderr,
    #[cfg(test)]
    Kept(std::sync::Arc<std::sync::Mutex<String>>),
}

/// The fields of a span, kept with it for the lines inside it.
struct SpanFields(Fields);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            // These speak to the collector only.
            fields.values.retain(|(name, _)| !name.starts_with("otel."));
            span.extensions_mut().insert(SpanFields(fields));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(SpanFields(fields)) = span.extensions_mut().get_mut()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(SpanFields(outer)) = span.extensions().get() {
                for (name, value) in &outer.values {
                    if !fields.values.iter().any(|(known, _)| known == name) {
                        fields.values.push((*name, value.clone()));
                    }
                }
            }
        }
        let meta = event.metadata();
        let now = self.clock.now();
        let line = if self.json {
            json_line(now, meta.level().as_str(), meta.target(), fields)
        } else {
            human_line(now, meta.level().as_str(), meta.target(), &fields)
        };
        match &self.out {
            // A full disk or a closed pipe must not stop the work that is being told about.
            Out::Stderr => drop(std::io::stderr().lock().write_all(line.as_bytes())),
            #[cfg(test)]
            Out::Kept(kept) => kept.lock().unwrap().push_str(&line),
        }
    }
}

/// What an event or a span says.
#[derive(Default)]
struct Fields {
    message: String,
    values: Vec<(&'static str, Value)>,
}

impl Fields {
    fn set(&mut self, field: &Field, value: Value) {
        let name = field.name();
        if name == "message" {
            self.message = match value {
                Value::String(text) => text,
                other => other.to_string(),
            };
        } else if let Some(known) = self.values.iter_mut().find(|(known, _)| *known == name) {
            known.1 = value;
        } else {
            self.values.push((name, value));
        }
    }
}

impl Visit for Fields {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value.into());
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value.into());
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, clip(value).into());
    }
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.set(field, clip(&format!("{value:?}")).into());
    }
}

fn clip(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn human_line(at: Timestamp, level: &str, target: &str, fields: &Fields) -> String {
    let mut line = format!("{at} {level:<5} {target}: ");
    escape(&mut line, &fields.message);
    for (name, value) in &fields.values {
        let _ = write!(line, " {name}=");
        match value {
            Value::String(text) if is_plain(text) => line.push_str(text),
            Value::String(text) => {
                line.push('"');
                escape(&mut line, &text.replace('\\', "\\\\").replace('"', "\\\""));
                line.push('"');
            }
            other => escape(&mut line, &other.to_string()),
        }
    }
    line.push('\n');
    line
}

fn json_line(at: Timestamp, level: &str, target: &str, fields: Fields) -> String {
    let mut line = Map::new();
    line.insert("time".to_owned(), at.to_string().into());
    line.insert("level".to_owned(), level.to_ascii_lowercase().into());
    line.insert("target".to_owned(), target.into());
    line.insert("message".to_owned(), fields.message.into());
    for (name, value) in fields.values {
        // The four names above stay ours, whatever a library calls its fields.
        let name = if line.contains_key(name) { format!("field.{name}") } else { name.to_owned() };
        line.insert(name, value);
    }
    // JSON escapes line breaks and ESC; what else a terminal may act on is escaped here.
    let mut text = String::new();
    for c in Value::Object(line).to_string().chars() {
        if is_unsafe(c) {
            let _ = write!(text, "\\u{:04x}", c as u32);
        } else {
            text.push(c);
        }
    }
    text.push('\n');
    text
}

fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(|c| !c.is_whitespace() && !c.is_control() && !"\"\\=".contains(c))
}

/// Control characters, and the marks that reorder or break a displayed line.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Adds `text` to a line so that it stays in that line and says nothing to a terminal.
pub(crate) fn escape(line: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            c if is_unsafe(c) => {
                let _ = write!(line, "\\u{{{:x}}}", c as u32);
            }
            c => line.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn lines(json: bool, say: impl FnOnce()) -> String {
        let kept = Arc::new(Mutex::new(String::new()));
        let clock = Clock::manual(Timestamp::from_micros(1_700_000_000_123_456));
        let layer = Lines { json, clock, out: Out::Kept(kept.clone()) };
        tracing::subscriber::with_default(Registry::default().with(layer), say);
        let text = kept.lock().unwrap();
        text.clone()
    }

    #[test]
    fn a_line_can_be_read_alone() {
        let text = lines(false, || {
            let span = tracing::info_span!("request", request.id = "r1");
            span.in_scope(|| tracing::warn!(tenant.no = 7, part = "a b", "slow reply"));
        });
        assert_eq!(
            text,
            "2023-11-14T22:13:20.1234560Z WARN  riposte::log::tests: slow reply tenant.no=7 \
             part=\"a b\" request.id=r1\n"
        );
    }

    #[test]
    fn a_value_cannot_forge_a_line() {
        let evil = "x\n2026-01-01T00:00:00Z INFO all is well\r\u{1b}[31m\u{202e}\u{9b}2J";
        for json in [false, true] {
            let text = lines(json, || tracing::info!(name = evil, shown = %evil, "said {evil}"));
            assert_eq!(text.matches('\n').count(), 1, "{text:?}");
            let plain = text.trim_end().chars().all(|c| !is_unsafe(c));
            assert!(plain, "{text:?}");
        }
        let text = lines(true, || tracing::info!(name = evil, level = "forged", "m"));
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["name"], evil);
        assert_eq!(line["level"], "info");
        assert_eq!(line["field.level"], "forged");
    }

    #[test]
    fn a_long_value_is_cut() {
        let text = lines(false, || tracing::info!(value = "é".repeat(100_000), "long"));
        assert!(text.chars().count() < LONGEST + 200);
    }
}
