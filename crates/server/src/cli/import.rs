//! Files of records through the same intake as HTTP, in pieces of bounded size.
//!
//! Records one a line are read as a stream, whatever the file's length. A file that is one JSON
//! document over many lines is read whole, up to [`DOCUMENT_BYTES`]; the members of an array go in
//! by pieces as well. Places in the reasons are places over all files together.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;

use crate::actor::Actor;
use crate::alert::format::{Format, split};
use crate::alert::intake::{Intake, Outcome, RecordError};
use crate::app::App;
use crate::error::{Error, Result};
use crate::id::TenantNo;

/// Lines that go in together.
const PIECE_LINES: usize = 500;
/// Bytes that go in together, unless one record is longer.
const PIECE_BYTES: usize = 8 * 1024 * 1024;
/// The largest file that is one document, and the longest line.
const DOCUMENT_BYTES: usize = 256 * 1024 * 1024;
/// Reasons kept; the counts are always complete.
const KEPT_ERRORS: usize = 1_000;
/// How often a piece is offered again while the store is busy.
const TRIES: u32 = 5;

/// Takes every file in. Gives what became of the records and, when a file could not be read, why;
/// what was read before it is in.
pub(super) async fn import(
    app: &App,
    tenant: TenantNo,
    format: Format,
    files: &[PathBuf],
) -> Result<(Outcome, Option<String>)> {
    let mut import = Import {
        app,
        tenant,
        format,
        intake: Intake::start(app),
        sum: Outcome::default(),
        records: 0,
    };
    // All are opened before the first record goes in: a misspelt name then changes nothing.
    let mut inputs = Vec::new();
    for path in files {
        inputs.push((path, open(path)?));
    }
    for (path, input) in inputs {
        match import.file(input).await {
            Ok(()) => {}
            Err(Error::Invalid(reason)) => {
                return Ok((import.sum, Some(format!("cannot read {}: {reason}", path.display()))));
            }
            Err(error) => return Err(error),
        }
    }
    Ok((import.sum, None))
}

/// What became of the records, for a person.
pub(super) fn tell(outcome: &Outcome) -> String {
    let mut text = format!(
        "{} received: {} accepted, {} duplicates, {} ignored, {} rejected\n",
        outcome.received, outcome.accepted, outcome.duplicates, outcome.ignored, outcome.rejected
    );
    for error in outcome.errors.iter().take(20) {
        let _ = write!(text, "  record {}: ", error.index);
        crate::log::escape(&mut text, &error.message);
        text.push('\n');
    }
    let more = outcome.errors.len().saturating_sub(20);
    if more > 0 {
        let _ = writeln!(text, "  and {more} more reasons; --json lists them");
    }
    text
}

fn open(path: &Path) -> Result<Box<dyn BufRead + Send>> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::new(std::io::stdin())));
    }
    let file = File::open(path)
        .map_err(|error| Error::Invalid(format!("cannot read {}: {error}", path.display())))?;
    Ok(Box::new(BufReader::with_capacity(256 * 1024, file)))
}

struct Import<'a> {
    app: &'a App,
    tenant: TenantNo,
    format: Format,
    intake: Intake,
    sum: Outcome,
    /// Records so far, over all files.
    records: u64,
}

impl Import<'_> {
    async fn file(&mut self, mut input: Box<dyn BufRead + Send>) -> Result<()> {
        let mut first = Vec::new();
        while first.iter().all(u8::is_ascii_whitespace) {
            first.clear();
            if !read_line(&mut input, &mut first)? {
                break;
            }
        }
        if is_document(&first) {
            input
                .take((DOCUMENT_BYTES - first.len().min(DOCUMENT_BYTES)) as u64 + 1)
                .read_to_end(&mut first)
                .map_err(unreadable)?;
            if first.len() > DOCUMENT_BYTES {
                return Err(too_long());
            }
            return self.document(first).await;
        }
        let text = !matches!(first.iter().find(|b| !b.is_ascii_whitespace()), Some(b'{' | b'['));
        let (mut piece, mut lines) = (first, 1);
        let mut line = Vec::new();
        loop {
            line.clear();
            let more = read_line(&mut input, &mut line)?;
            let full = lines >= PIECE_LINES || piece.len() + line.len() > PIECE_BYTES;
            // A message of several lines stays together, within reason.
            let cut = !text || begins_message(&line) || piece.len() > 4 * PIECE_BYTES;
            if !more || full && cut {
                self.piece(std::mem::take(&mut piece)).await?;
                lines = 0;
            }
            if !more {
                return Ok(());
            }
            piece.extend_from_slice(&line);
            lines += 1;
        }
    }

    /// A file that is one document. The members of an array go in by pieces.
    async fn document(&mut self, body: Vec<u8>) -> Result<()> {
        let Some(members) = members(&body).filter(|members| !members.is_empty()) else {
            return self.piece(body).await;
        };
        let mut from = 0;
        while let Some(first) = members.get(from) {
            let mut to = from + 1;
            while to - from < PIECE_LINES
                && members.get(to).is_some_and(|next| next.end - first.start < PIECE_BYTES)
            {
                to += 1;
            }
            let end = members.get(to - 1).map_or(first.end, |last| last.end);
            let mut piece = vec![b'['];
            piece.extend_from_slice(body.get(first.start..end).unwrap_or_default());
            piece.push(b']');
            self.piece(piece).await?;
            from = to;
        }
        Ok(())
    }

    async fn piece(&mut self, body: Vec<u8>) -> Result<()> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        let body = Bytes::from(body);
        let (format, counted) = (self.format, body.clone());
        // How many records these are is not in the answer, and alerts may be more than records.
        let records = tokio::task::spawn_blocking(move || {
            split::split(format, &counted).map_or(1, |records| records.len() as u64)
        });
        let outcome = self.offer(&body).await?;
        let sum = &mut self.sum;
        sum.received += outcome.received;
        sum.accepted += outcome.accepted;
        sum.duplicates += outcome.duplicates;
        sum.ignored += outcome.ignored;
        sum.rejected += outcome.rejected;
        for error in outcome.errors {
            if sum.errors.len() < KEPT_ERRORS {
                let index = self.records + error.index;
                sum.errors.push(RecordError { index, message: error.message });
            }
        }
        self.records += records.await.map_err(Error::internal)?;
        Ok(())
    }

    /// Offers a piece until the store has time for it; what is in already is a duplicate then.
    async fn offer(&self, body: &Bytes) -> Result<Outcome> {
        let mut tries = 0;
        loop {
            let actor = Actor::system("import");
            let answer =
                self.intake.accept(self.app, self.tenant, actor, self.format, body.clone()).await;
            match answer {
                Err(Error::Busy { retry_after_s, .. }) if tries < TRIES => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_secs(retry_after_s.into())).await;
                }
                answer => return answer,
            }
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape map_err wants")]
fn unreadable(error: std::io::Error) -> Error {
    Error::Invalid(error.to_string())
}

fn too_long() -> Error {
    Error::Invalid(format!(
        "a line or document is longer than {} MB; write one record a line",
        DOCUMENT_BYTES / 1024 / 1024
    ))
}

/// Reads one line with its break; false at the end.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> Result<bool> {
    let read = input.take(DOCUMENT_BYTES as u64 + 1).read_until(b'\n', line).map_err(unreadable)?;
    if line.len() > DOCUMENT_BYTES {
        return Err(too_long());
    }
    Ok(read > 0)
}

/// Whether a file that begins with this line is one JSON document over several lines.
fn is_document(first: &[u8]) -> bool {
    let first = first.strip_prefix(b"\xef\xbb\xbf").unwrap_or(first).trim_ascii();
    match first.first() {
        // Also an array on one line: it may be a million alerts.
        Some(b'[') => true,
        Some(b'{') => {
            matches!(
                serde_json::from_slice::<serde::de::IgnoredAny>(first),
                Err(error) if error.is_eof()
            )
        }
        _ => false,
    }
}

fn begins_message(line: &[u8]) -> bool {
    let front = line.get(..line.len().min(512)).unwrap_or_default();
    line.starts_with(b"{")
        || front.windows(4).any(|word| word == b"CEF:")
        || front.windows(5).any(|word| word == b"LEEF:")
}

/// The places of the members of a body that is one JSON array and nothing else. Only brackets and
/// strings are looked at; whether a member can be read is for its reader to say.
fn members(body: &[u8]) -> Option<Vec<Range<usize>>> {
    let mut members = Vec::new();
    let (mut depth, mut string, mut escaped) = (0_u32, false, false);
    let mut start = None;
    let mut closed = false;
    let begin = if body.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    for (at, byte) in body.iter().enumerate().skip(begin) {
        if string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => string = false,
                _ => {}
            }
            continue;
        }
        let blank = byte.is_ascii_whitespace();
        if closed {
            if blank {
                continue;
            }
            return None;
        }
        match byte {
            b'[' if depth == 0 => depth = 1,
            _ if depth == 0 && blank => {}
            _ if depth == 0 => return None,
            b'[' | b'{' => {
                if depth == 1 {
                    start.get_or_insert(at);
                }
                depth += 1;
            }
            b']' | b'}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    members.extend(start.take().map(|start| start..at));
                    closed = true;
                }
            }
            b',' if depth == 1 => members.extend(start.take().map(|start| start..at)),
            _ => {
                string = *byte == b'"';
                if depth == 1 && !blank {
                    start.get_or_insert(at);
                }
            }
        }
    }
    closed.then_some(members)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::config::Config;
    use crate::db::Db;
    use crate::id::Random;
    use crate::tenant::{self, ExpertAccess};

    #[test]
    fn members_of_an_array_are_found_by_brackets_and_strings() {
        let of = |text: &str| {
            members(text.as_bytes()).map(|found| {
                found.into_iter().map(|range| text[range].trim().to_owned()).collect::<Vec<_>>()
            })
        };
        assert_eq!(
            of(r#" [ {"a":"],[\"}"} , [1,2], 3 ] "#).unwrap(),
            [r#"{"a":"],[\"}"}"#, "[1,2]", "3"]
        );
        assert_eq!(of("[]").unwrap(), Vec::<String>::new());
        assert_eq!(of("[1,]").unwrap(), ["1"]);
        for broken in ["", "[1", "[1]]", "[1] 2", "{}", "x[1]", "[\"", "]"] {
            assert_eq!(of(broken), None, "{broken}");
        }
    }

    #[test]
    fn a_document_is_told_from_lines() {
        assert!(is_document(b"[{\"a\":1},\n"));
        assert!(is_document(b"[1]\n"));
        assert!(is_document(b"{\n"));
        assert!(is_document(b"{ \"value\": [\n"));
        assert!(!is_document(b"{\"a\":1}\n"));
        assert!(!is_document(b"{\"a\":1} {\"b\":2}\n"));
        assert!(!is_document(b"{bad}\n"));
        assert!(!is_document(b"CEF:0|a|b\n"));
    }

    fn alert(number: usize) -> String {
        format!(r#"{{"id":"a{number}","title":"Odd sign-in {number}","severity":"low"}}"#)
    }

    async fn imported(text: &str) -> Outcome {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open_sqlite(dir.path()).await.unwrap();
        db.migrate().await.unwrap();
        let app = App::new(db, Clock::system(), Random::system(), Config::default()).unwrap();
        let tenant = tenant::add(&app, "Alder Freight", ExpertAccess::Reader).await.unwrap();
        let file = dir.path().join("alerts");
        std::fs::write(&file, text).unwrap();
        let files = [file];
        let (outcome, failed) = import(&app, tenant.no, Format::Graph, &files).await.unwrap();
        assert_eq!(failed, None);
        outcome
    }

    #[tokio::test]
    async fn places_are_places_in_the_file() {
        let mut lines: Vec<String> = (0..1_300).map(alert).collect();
        lines[700] = "{\"title\": nonsense}".to_owned();
        lines[1_299] = "{\"title\": more".to_owned();
        let outcome = imported(&lines.join("\n")).await;
        assert_eq!((outcome.received, outcome.accepted, outcome.rejected), (1_300, 1_298, 2));
        let places: Vec<u64> = outcome.errors.iter().map(|error| error.index).collect();
        assert_eq!(places, [700, 1_299]);
    }

    #[tokio::test]
    async fn an_array_goes_in_by_pieces() {
        let alerts: Vec<String> = (0..1_200).map(alert).collect();
        let outcome = imported(&format!("[\n{},\n 7]", alerts.join(",\n"))).await;
        assert_eq!((outcome.received, outcome.accepted), (1_201, 1_200));
        assert_eq!(outcome.errors.first().map(|error| error.index), Some(1_200));
    }

    #[tokio::test]
    async fn a_page_over_many_lines_is_one_document() {
        let outcome =
            imported(&format!("{{\n\"value\": [\n{},\n{}\n]\n}}\n", alert(1), alert(2))).await;
        assert_eq!(outcome.accepted, 2);
        assert_eq!(imported("").await, Outcome::default());
        assert_eq!(imported("\n \n").await.received, 0);
    }
}
