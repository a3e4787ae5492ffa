//! A request body cut into records.
//!
//! JSON comes as one object, an array, a page (`{"value":[…]}`), NDJSON or documents one after
//! the other, with or without a byte order mark, with the trailing commas some products publish;
//! CEF and LEEF come as lines, and a line that begins no new message belongs to the message
//! before. What cannot be read is a record as well, with the reason, so that one bad line never
//! takes the rest with it. Bounds: [`MAX_RECORD`] bytes and [`MAX_VALUES`] values a record,
//! [`MAX_RECORDS`] a body. A body is cut first, and each record parsed when its turn comes: parsed
//! JSON takes many times its length, so no more than one record of a body is ever in memory so.

use std::cell::Cell;
use std::ops::Range;
use std::rc::Rc;

use serde_json::{Map, Value};

use super::Format;

/// The largest record in bytes.
pub const MAX_RECORD: usize = 4 * 1024 * 1024;
/// The most values of a record: texts, numbers, lists, objects. Each takes up to some hundred bytes
/// when parsed, whatever its length.
pub const MAX_VALUES: usize = 100_000;
/// The most records a request may hold, and the most alerts within them.
pub const MAX_RECORDS: usize = 20_000;
/// Pages within lists within pages that are still opened.
const MAX_PAGES_NESTED: usize = 2;

/// One record of a request body.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its place in the body, from 0.
    pub index: usize,
    /// Its bytes as they came; for a member of a page or an array, that member alone. A record
    /// that is too large keeps none.
    pub raw: Vec<u8>,
    /// What it says, or why it cannot be read.
    pub parsed: Result<Parsed, String>,
    /// How many alerts it may hold.
    pub room: Room,
}

/// How many alerts the records of a request may still hold; all of them share it. A record is some
/// bytes, but may be a list of very many alerts.
#[derive(Debug, Clone, PartialEq)]
pub struct Room(Rc<Cell<usize>>);

impl Default for Room {
    fn default() -> Self {
        Self(Rc::new(Cell::new(MAX_RECORDS)))
    }
}

impl Room {
    /// Takes room for so many alerts.
    ///
    /// # Errors
    ///
    /// Says so when there is no room for all of them.
    pub fn take(&self, alerts: usize) -> Result<(), String> {
        let left = self.0.get().checked_sub(alerts);
        let left = left.ok_or_else(|| format!("more than {MAX_RECORDS} alerts in one request"))?;
        self.0.set(left);
        Ok(())
    }
}

/// A record that could be read.
#[derive(Debug, Clone, PartialEq)]
pub enum Parsed {
    /// A JSON value.
    Json(Value),
    /// A line of text, without its line break.
    Text(String),
    /// A page of a list with no members.
    EmptyPage,
}

/// Cuts a body into its records, in order; each is parsed when it is asked for.
///
/// # Errors
///
/// Says so when the body holds more than [`MAX_RECORDS`] records.
pub fn split(format: Format, body: &[u8]) -> Result<Records<'_>, String> {
    let mut cuts = Cuts { found: Vec::new(), budget: body.len().saturating_mul(8) };
    let start = if body.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let first = body.get(start..).unwrap_or_default().iter().find(|byte| !is_blank(**byte));
    let text = match format {
        Format::Cef | Format::Leef => !matches!(first, Some(b'{' | b'[')),
        Format::Auto => !matches!(first, Some(b'{' | b'[')),
        _ => false,
    };
    if text {
        lines(body, start, &mut cuts)?;
    } else {
        documents(body, start, &mut cuts)?;
    }
    let cuts = cuts.found.into_iter().enumerate();
    Ok(Records { body, cuts, mark: (0, 1, 0), room: Room::default() })
}

/// What stands at a place of the body.
#[derive(Clone, Copy)]
enum Kind {
    Json,
    Text,
    EmptyPage,
}

/// The places of the records found so far, bounded.
struct Cuts {
    found: Vec<(Range<usize>, Kind)>,
    /// Bytes that searches for a closing bracket may still scan in vain; without it, a body of
    /// opening brackets would be scanned once for each.
    budget: usize,
}

impl Cuts {
    fn push(&mut self, found: Range<usize>, kind: Kind) -> Result<(), String> {
        if self.found.len() >= MAX_RECORDS {
            return Err(format!("more than {MAX_RECORDS} records in one request"));
        }
        self.found.push((found, kind));
        Ok(())
    }
}

/// The records of a body, each parsed when its turn comes.
pub struct Records<'a> {
    body: &'a [u8],
    cuts: std::iter::Enumerate<std::vec::IntoIter<(Range<usize>, Kind)>>,
    /// A place passed before: byte, its line from 1 and where that line starts.
    mark: (usize, usize, usize),
    room: Room,
}

impl Iterator for Records<'_> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        let (index, (found, kind)) = self.cuts.next()?;
        let raw = self.body.get(found.clone()).unwrap_or_default();
        let room = self.room.clone();
        if raw.len() > MAX_RECORD {
            let reason = format!("record of {} bytes, the limit is {MAX_RECORD}", raw.len());
            return Some(Record { index, raw: Vec::new(), parsed: Err(reason), room });
        }
        let parsed = match kind {
            Kind::Json => self.parse(&found),
            Kind::Text => self.text(&found).map(|text| Parsed::Text(text.to_owned())),
            Kind::EmptyPage => Ok(Parsed::EmptyPage),
        };
        Some(Record { index, raw: raw.to_vec(), parsed, room })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.cuts.size_hint()
    }
}

impl ExactSizeIterator for Records<'_> {}

impl Records<'_> {
    fn text(&mut self, found: &Range<usize>) -> Result<&str, String> {
        let raw = self.body.get(found.clone()).unwrap_or_default();
        std::str::from_utf8(raw).map_err(|error| {
            let (line, column) = self.place(found.start + error.valid_up_to());
            format!("invalid UTF-8 at line {line} column {column}")
        })
    }

    /// Reads one JSON document; places in the reason are those of the body.
    fn parse(&mut self, found: &Range<usize>) -> Result<Parsed, String> {
        let body = self.body;
        self.text(found)?;
        let raw = body.get(found.clone()).unwrap_or_default();
        if raw.len() > MAX_VALUES && values(raw) > MAX_VALUES {
            return Err(format!("more than {MAX_VALUES} values in one record"));
        }
        let text = std::str::from_utf8(raw).unwrap_or_default();
        match serde_json::from_str(text) {
            Ok(value) => Ok(Parsed::Json(sorted(value))),
            Err(error) => {
                // Both repairs are tried only on what failed: they cost a copy.
                if let Some(repaired) = repair(text)
                    && let Ok(value) = serde_json::from_str(&repaired)
                {
                    return Ok(Parsed::Json(sorted(value)));
                }
                let (first_line, first_column) = self.place(found.start);
                let line = first_line + error.line().saturating_sub(1);
                let column = if error.line() <= 1 {
                    first_column + error.column().saturating_sub(1)
                } else {
                    error.column()
                };
                let reason = error.to_string();
                let reason = reason.split(" at line ").next().unwrap_or_default().to_owned();
                Err(format!("invalid JSON: {reason} at line {line} column {column}"))
            }
        }
    }

    /// Line and column, both from 1, of a byte of the body; cheapest when asked in order.
    fn place(&mut self, at: usize) -> (usize, usize) {
        let (from, mut line, mut line_start) = self.mark;
        if at < from {
            (line, line_start) = (1, 0);
        }
        let from = if at < from { 0 } else { from };
        for (offset, byte) in self.body.get(from..at).unwrap_or_default().iter().enumerate() {
            if *byte == b'\n' {
                line += 1;
                line_start = from + offset + 1;
            }
        }
        self.mark = (at, line, line_start);
        (line, at - line_start + 1)
    }
}

/// At least the number of values of a JSON document, counted without parsing it.
#[must_use]
pub fn values(raw: &[u8]) -> usize {
    let (mut quoted, mut escaped, mut count) = (false, false, 1);
    for byte in raw {
        match (*byte, quoted) {
            _ if escaped => escaped = false,
            (b'\\', true) => escaped = true,
            (b'"', _) => quoted = !quoted,
            // The first value of a list or object follows its bracket, every other a comma.
            (b',' | b'[' | b'{', false) => count += 1,
            _ => {}
        }
    }
    count
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// JSON documents one after the other, whatever stands between them.
fn documents(body: &[u8], start: usize, cuts: &mut Cuts) -> Result<(), String> {
    let mut at = start;
    while let Some(next) = next_content(body, at) {
        at = next;
        let found = document(body, at, &mut cuts.budget);
        let raw = body.get(found.clone()).unwrap_or_default();
        at = found.end.max(at + 1);
        let list = match raw.first() {
            Some(b'[') => Some(found.clone()),
            Some(b'{') => page(body, &found),
            _ => None,
        };
        if let Some(list) = list {
            array(body, list, 0, cuts)?;
        } else {
            cuts.push(found, Kind::Json)?;
        }
    }
    Ok(())
}

/// The next byte that begins a document. Commas between documents are tolerated, and so is a
/// byte order mark at the start of a line of joined files.
fn next_content(body: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let byte = *body.get(at)?;
        if is_blank(byte) || byte == b',' || byte == 0x1e {
            at += 1;
        } else if body.get(at..).is_some_and(|rest| rest.starts_with(b"\xef\xbb\xbf")) {
            at += 3;
        } else {
            return Some(at);
        }
    }
}

/// Where the document that begins at `at` ends: behind its closing bracket, or, when it has none
/// or is no object or array, at the end of the line. A document that never closes gives up at the
/// first line that begins a new one, so that one bad line costs itself only.
fn document(body: &[u8], at: usize, budget: &mut usize) -> Range<usize> {
    if !matches!(body.get(at), Some(b'{' | b'[')) || *budget == 0 {
        return at..line_end(body, at);
    }
    if let Some(end) = close(body, at) {
        // What follows the bracket on the same line, if it begins no document, is part of the
        // broken line: `{"a":1} x`.
        at..rest_of_line(body, end).unwrap_or(end)
    } else {
        *budget = budget.saturating_sub(body.len() - at);
        at..recover(body, at)
    }
}

/// The end of the line when something stands behind a document that does not begin another.
fn rest_of_line(body: &[u8], end: usize) -> Option<usize> {
    let rest = body.get(end..)?;
    let next = rest.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b','))?;
    (!matches!(next, b'{' | b'[' | b'\n' | 0x1e | 0xef)).then(|| line_end(body, end))
}

fn line_end(body: &[u8], at: usize) -> usize {
    let rest = body.get(at..).unwrap_or_default();
    rest.iter().position(|byte| *byte == b'\n').map_or(body.len(), |len| at + len)
}

/// Behind the bracket that closes the one at `at`; `None` when there is none, or when a bracket
/// closes that was never opened. A string may not hold a raw line break, so an unclosed one ends
/// its line and with it the search.
fn close(body: &[u8], at: usize) -> Option<usize> {
    let mut open: Vec<u8> = Vec::new();
    let mut quoted = false;
    let mut escaped = false;
    for (offset, byte) in body.get(at..)?.iter().enumerate() {
        match (*byte, quoted) {
            _ if escaped => escaped = false,
            (b'\\', true) => escaped = true,
            (b'"', _) => quoted = !quoted,
            (b'\n', true) => return None,
            (b'{', false) => open.push(b'}'),
            (b'[', false) => open.push(b']'),
            (b'}' | b']', false) => {
                if open.pop() != Some(*byte) {
                    return None;
                }
                if open.is_empty() {
                    return Some(at + offset + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// The end of a document that does not close: before the next line that starts with a bracket in
/// its first column, else the end of the body.
fn recover(body: &[u8], at: usize) -> usize {
    let mut end = line_end(body, at);
    while end < body.len() {
        if matches!(body.get(end + 1), Some(b'{' | b'[')) {
            return end;
        }
        end = line_end(body, end + 1);
    }
    body.len()
}

/// The list of a page: an object whose `value` is an array and that is no record itself.
fn page(body: &[u8], document: &Range<usize>) -> Option<Range<usize>> {
    let mut found = None;
    let mut at = document.start + 1;
    let inner_end = document.end.checked_sub(1)?;
    while let Some(start) = next_content(body, at).filter(|start| *start < inner_end) {
        // Member name, colon, value: anything else is left to the parser to complain about.
        if body.get(start) != Some(&b'"') {
            return None;
        }
        let name_end = string_end(body, start)?;
        let colon = next_content(body, name_end)?;
        if body.get(colon) != Some(&b':') {
            return None;
        }
        let value = next_content(body, colon + 1)?;
        let end = value_end(body, value, inner_end)?;
        let name = body.get(start + 1..name_end - 1)?;
        match (name, body.get(value)) {
            (b"value", Some(b'[')) => found = Some(value..end),
            (b"schema" | b"results" | b"id" | b"title", _) => return None,
            _ => {}
        }
        at = end;
    }
    found
}

/// The members of an array, each a record of its own.
fn array(body: &[u8], list: Range<usize>, nested: usize, cuts: &mut Cuts) -> Result<(), String> {
    let Some(inner_end) = list.end.checked_sub(1) else { return Ok(()) };
    let closed = body.get(inner_end) == Some(&b']') && close(body, list.start) == Some(list.end);
    if !closed {
        return cuts.push(list, Kind::Json);
    }
    let before = cuts.found.len();
    let mut at = list.start + 1;
    while let Some(start) = next_content(body, at).filter(|start| *start < inner_end) {
        let end = value_end(body, start, inner_end).unwrap_or(inner_end);
        let found = start..end;
        // Tools that collect answers hand over a list of pages.
        if body.get(start) == Some(&b'{')
            && let Some(members) = page(body, &found)
            && nested < MAX_PAGES_NESTED
        {
            array(body, members, nested + 1, cuts)?;
            at = end.max(start + 1);
            continue;
        }
        cuts.push(found, Kind::Json)?;
        at = end.max(start + 1);
    }
    if cuts.found.len() == before {
        cuts.push(list, Kind::EmptyPage)?;
    }
    Ok(())
}

fn string_end(body: &[u8], at: usize) -> Option<usize> {
    let mut escaped = false;
    for (offset, byte) in body.get(at + 1..)?.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + offset + 2),
            _ => {}
        }
    }
    None
}

/// Behind the value that begins at `at`, at most `limit`.
fn value_end(body: &[u8], at: usize, limit: usize) -> Option<usize> {
    let end = match body.get(at)? {
        b'{' | b'[' => close(body, at)?,
        b'"' => string_end(body, at)?,
        _ => {
            let rest = body.get(at..limit)?;
            let ends = |byte: &u8| is_blank(*byte) || matches!(byte, b',' | b'}' | b']');
            at + rest.iter().position(ends).unwrap_or(rest.len()).max(1)
        }
    };
    (end <= limit).then_some(end)
}

/// The same document without commas before a closing bracket, and with U+FFFD in place of halves
/// of surrogate pairs; `None` when it has neither.
fn repair(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut quoted = false;
    let mut changed = false;
    while let Some(c) = rest.chars().next() {
        let (piece, after) = rest.split_at_checked(c.len_utf8())?;
        let mut step = after;
        match (c, quoted) {
            ('"', _) => {
                quoted = !quoted;
                out.push_str(piece);
            }
            ('\\', true) => match unit(rest) {
                Some(0xd800..=0xdbff) => {
                    let low = rest.get(6..).and_then(unit);
                    if matches!(low, Some(0xdc00..=0xdfff)) {
                        out.push_str(rest.get(..12)?);
                        step = rest.get(12..)?;
                    } else {
                        out.push('\u{fffd}');
                        changed = true;
                        step = rest.get(6..)?;
                    }
                }
                Some(0xdc00..=0xdfff) => {
                    out.push('\u{fffd}');
                    changed = true;
                    step = rest.get(6..)?;
                }
                _ => {
                    let next = after.chars().next().map_or(0, char::len_utf8);
                    let (escape, after) = rest.split_at_checked(1 + next)?;
                    out.push_str(escape);
                    step = after;
                }
            },
            (',', false) if after.trim_start().starts_with(['}', ']']) => changed = true,
            _ => out.push_str(piece),
        }
        rest = step;
    }
    changed.then_some(out)
}

/// The UTF-16 unit of an escape `\uXXXX` at the front of a text.
fn unit(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    u32::from_str_radix(digits, 16).ok()
}

/// CEF and LEEF: messages of one or more lines; a line of JSON among them is its own record.
fn lines(body: &[u8], start: usize, cuts: &mut Cuts) -> Result<(), String> {
    let mut message: Option<Range<usize>> = None;
    let mut at = start;
    while at < body.len() {
        let end = line_end(body, at);
        let line = body.get(at..end).unwrap_or_default();
        if line.first() == Some(&b'{') && close(body.get(..end).unwrap_or_default(), at).is_some() {
            finish(body, message.take(), cuts)?;
            cuts.push(trim(body, at..end), Kind::Json)?;
        } else if begins_message(line) || message.is_none() {
            finish(body, message.take(), cuts)?;
            if line.iter().any(|byte| !is_blank(*byte)) {
                message = Some(at..end);
            }
        } else if let Some(message) = &mut message {
            message.end = end;
        }
        at = end + 1;
    }
    finish(body, message, cuts)
}

fn finish(body: &[u8], message: Option<Range<usize>>, cuts: &mut Cuts) -> Result<(), String> {
    let Some(found) = message else { return Ok(()) };
    let mut found = trim(body, found);
    if body.get(found.clone()).is_some_and(|raw| raw.starts_with(b"\xef\xbb\xbf")) {
        found.start += 3;
    }
    if found.is_empty() { Ok(()) } else { cuts.push(found, Kind::Text) }
}

/// The same place without blanks at its ends.
fn trim(body: &[u8], found: Range<usize>) -> Range<usize> {
    let raw = body.get(found.clone()).unwrap_or_default();
    let start = found.start + (raw.len() - raw.trim_ascii_start().len());
    start..start + raw.trim_ascii().len()
}

const MONTHS: [&[u8]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// Whether a line begins a message: CEF or LEEF itself or a syslog header in front of it.
fn begins_message(line: &[u8]) -> bool {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    if line.starts_with(b"CEF:") || line.starts_with(b"LEEF:") {
        return true;
    }
    if let Some(rest) = line.strip_prefix(b"<") {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        return (1..=3).contains(&digits) && rest.get(digits) == Some(&b'>');
    }
    let front = line.get(..line.len().min(512)).unwrap_or_default();
    let quotes = |word: &[u8]| front.windows(word.len()).any(|window| window == word);
    let dated = |date: &[u8]| {
        MONTHS.iter().any(|month| date.starts_with(month)) && date.get(3) == Some(&b' ')
            || (date.len() > 10
                && date.iter().take(4).all(u8::is_ascii_digit)
                && date.get(4) == Some(&b'-'))
    };
    // A date alone may as well be text of the message before.
    dated(line) && (quotes(b"CEF:") || quotes(b"LEEF:"))
}

/// An object of a record, or why it is none.
pub(super) fn object(value: &Value) -> Result<&Map<String, Value>, String> {
    value.as_object().ok_or_else(|| {
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "text",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        };
        format!("{kind} where an object was expected")
    })
}

/// A record reads the same in whatever order a source sends its members.
fn sorted(mut value: Value) -> Value {
    value.sort_all_objects();
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(format: Format, body: &str) -> Vec<Record> {
        split(format, body.as_bytes()).unwrap().collect()
    }

    fn values(body: &str) -> Vec<Value> {
        of(Format::Graph, body)
            .into_iter()
            .map(|record| match record.parsed {
                Ok(Parsed::Json(value)) => value,
                Ok(Parsed::EmptyPage) => json!("empty page"),
                other => json!(format!("{other:?}")),
            })
            .collect()
    }

    #[test]
    fn json_in_all_its_wrappings() {
        let one = json!({"id": "1"});
        let two = json!({"id": "2"});
        for body in [
            r#"[{"id":"1"},{"id":"2"}]"#,
            r#"{"@odata.context":"x","value":[{"id":"1"},{"id":"2"}]}"#,
            "{\"id\":\"1\"}\n{\"id\":\"2\"}",
            "{\"id\":\"1\"}\r\n\r\n\r\n{\"id\":\"2\"}\r\n",
            "\u{feff}{\"id\":\"1\"}\n\u{feff}{\"id\":\"2\"}\n",
            "{\n  \"id\": \"1\"\n}\n{\n  \"id\": \"2\"\n}\n",
            "{\"id\":\"1\"}{\"id\":\"2\"}",
            "{\"id\":\"1\"},\n{\"id\":\"2\"},\n",
            r#"[{"value":[{"id":"1"}]},{"@odata.nextLink":"x","value":[{"id":"2"}]}]"#,
            "[\n{\"id\":\"1\",},\n{\"id\":\"2\"},\n]",
        ] {
            assert_eq!(values(body), [one.clone(), two.clone()], "{body}");
        }
        assert_eq!(values(r#"{"id":"1"}"#), std::slice::from_ref(&one));
        assert_eq!(values(""), [] as [Value; 0]);
        assert_eq!(values(" \r\n\u{feff}\n"), [] as [Value; 0]);
    }

    #[test]
    fn an_empty_page_is_a_record_that_says_so() {
        let body = "{\"id\":\"1\"}\n{\"@odata.context\":\"x\",\"value\":[]}\n{\"id\":\"2\"}";
        assert_eq!(values(body), [json!({"id":"1"}), json!("empty page"), json!({"id":"2"})]);
        assert_eq!(values("[]"), [json!("empty page")]);
        // An alert may have a member of that name too.
        assert_eq!(values(r#"{"id":"1","value":[]}"#).len(), 1);
    }

    #[test]
    fn a_bad_line_costs_itself_only() {
        for bad in ["{\"id\": nope}", "{\"id\":\"2\"", "{\"id\":\"2", "plain", "{\"a\":1}]", "}"] {
            let body = format!("{{\"id\":\"1\"}}\n{bad}\n{{\"id\":\"3\"}}\n");
            let records = of(Format::Graph, &body);
            assert_eq!(records.len(), 3, "{bad} {records:?}");
            assert!(records[0].parsed.is_ok(), "{bad}");
            let reason = records[1].parsed.clone().unwrap_err();
            assert!(reason.contains("line 2") || reason.contains("line 3"), "{reason}");
            assert!(records[2].parsed.is_ok(), "{bad}");
            assert_eq!(records[2].index, 2);
        }
    }

    #[test]
    fn values_json_does_not_have_are_rejected_with_the_place() {
        let records = of(Format::Graph, "{\"a\": NaN}\n");
        let reason = records[0].parsed.clone().unwrap_err();
        assert_eq!(reason, "invalid JSON: expected value at line 1 column 7");
        let records = of(Format::Graph, "{\"a\": 1e999}");
        assert!(records[0].parsed.clone().unwrap_err().contains("out of range"));
    }

    #[test]
    fn text_that_is_not_utf8_costs_its_record() {
        let body = b"{\"id\":\"1\"}\n{\"id\":\"\xff\"}\n{\"id\":\"3\"}";
        let records: Vec<_> = split(Format::Graph, body).unwrap().collect();
        assert_eq!(records.len(), 3);
        assert_eq!(records[1].parsed.clone().unwrap_err(), "invalid UTF-8 at line 2 column 8");
        assert!(records[2].parsed.is_ok());
    }

    #[test]
    fn trailing_commas_and_lone_surrogates_are_repaired() {
        assert_eq!(values(r#"{"a":[1,2,],"b":",}",}"#), [json!({"a":[1,2],"b":",}"})]);
        assert_eq!(values(r#"{"a":"\ud83d x"}"#), [json!({"a":"\u{fffd} x"})]);
        assert_eq!(
            values(r#"{"a":"\udc00","b":"\\ud83d"}"#),
            [json!({"a":"\u{fffd}","b":"\\ud83d"})]
        );
        assert_eq!(values(r#"{"a":"😀"}"#), [json!({"a":"😀"})]);
    }

    #[test]
    fn numbers_stay_exact_and_the_last_of_equal_names_wins() {
        let read = values(r#"{"n":1704164645123456789,"a":1,"a":2}"#);
        assert_eq!(read[0]["n"].as_i64(), Some(1_704_164_645_123_456_789));
        assert_eq!(read[0]["a"], 2);
    }

    #[test]
    fn bounds_hold() {
        let body = format!("{{\"a\":\"{}\"}}\n{{\"id\":\"2\"}}", "x".repeat(MAX_RECORD));
        let records = of(Format::Graph, &body);
        assert!(records[0].parsed.clone().unwrap_err().contains("the limit is 4194304"));
        assert!(records[1].parsed.is_ok());
        let deep = format!("[{{\"a\":{}", "[\n".repeat(19_000));
        assert!(of(Format::Graph, &deep).iter().all(|record| record.parsed.is_err()));
        let nested = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
        assert!(of(Format::Graph, &nested)[0].parsed.is_err());
        let list = |zeros: usize| format!("{{\"a,[\":[{}0]}}", "0,".repeat(zeros));
        let records =
            of(Format::Graph, &format!("{}\n{}", list(MAX_VALUES - 3), list(MAX_VALUES - 2)));
        assert!(records[0].parsed.is_ok());
        assert_eq!(
            records[1].parsed.clone().unwrap_err(),
            format!("more than {MAX_VALUES} values in one record")
        );
        let many = "{}\n".repeat(MAX_RECORDS + 1);
        assert!(split(Format::Graph, many.as_bytes()).is_err());
    }

    #[test]
    fn a_message_keeps_its_line_breaks() {
        let body = "<13>Jan 02 03:04:05 fw CEF:0|Alder|Gate|1|1|a|5|msg=one\ntwo\r\n\r\nthree\n\
                    CEF:0|Alder|Gate|1|2|b|5|msg=x\r\nLEEF:1.0|A|B|1|c|k=v\n";
        let records = of(Format::Cef, body);
        let texts: Vec<_> = records
            .iter()
            .map(|record| match &record.parsed {
                Ok(Parsed::Text(text)) => text.lines().count(),
                _ => 0,
            })
            .collect();
        assert_eq!(texts, [4, 1, 1]);
        assert_eq!(of(Format::Auto, "\u{feff}CEF:0|A|B|1|2|b|5|\n{\"id\":1}\n").len(), 2);
    }

    #[test]
    fn brackets_that_never_close_are_not_searched_for_each_anew() {
        let records = of(Format::Graph, &"{\n".repeat(19_000));
        assert_eq!(records.len(), 19_000);
        assert!(records[18_999].parsed.clone().unwrap_err().contains("line 19000"));
    }

    #[test]
    fn any_bytes_are_survived() {
        let mut seed = 0x2545_f491_u32;
        for round in 0..3000 {
            let alphabet = b"{}[]\",:\\u1a\n\r \xef\xbb\xbfCEF|<>value";
            let body: Vec<u8> = (0..round % 60)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    alphabet[(seed >> 16) as usize % alphabet.len()]
                })
                .collect();
            for format in [Format::Graph, Format::Cef, Format::Auto] {
                let records = split(format, &body).unwrap();
                assert!(records.enumerate().all(|(at, record)| record.index == at));
            }
        }
    }
}
