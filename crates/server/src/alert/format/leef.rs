//! Log Event Extended Format: `LEEF:1.0|vendor|product|version|event id|attributes`, and 2.0 with
//! the delimiter of the attributes as a further field.
//!
//! Every line with a header is an alert. Attributes are `key=value` between tabs (1.0) or the
//! delimiter told (2.0); attributes without any delimiter are read as a CEF extension, because
//! forwarders turn tabs into blanks.

use serde_json::{Map, Value};

use super::Reading;
use super::cef::{add, extension_members, header_start, split_header, unescape};
use super::log_event::Event;

/// Fields of the header behind the version, without the delimiter of 2.0.
const HEADER: usize = 4;

/// Reads one line; an error when it has no complete LEEF header.
pub fn read(line: &str) -> Result<Reading, String> {
    let line = line.trim_start_matches('\u{feff}').trim_end();
    let (prefix, rest) = header_start(line, "LEEF:").ok_or("no LEEF header")?;
    let (version, rest) = rest.split_once('|').ok_or("the LEEF header ends after its version")?;
    let (fields, mut attributes) = split_header(rest, HEADER);
    if fields.len() < HEADER {
        return Err(format!("the LEEF header has {} of its 5 fields", fields.len() + 1));
    }
    let mut mark = None;
    if version.starts_with('2')
        && let Some((spec, rest)) = attributes.split_once('|')
        && !spec.contains('=')
        && let Some(told) = delimiter(spec)
    {
        mark = Some(told);
        attributes = rest;
    }
    let mut fields = fields.into_iter();
    let mut next = || fields.next().unwrap_or_default().trim().to_owned();
    let event = Event {
        format: "leef",
        prefix: prefix.to_owned(),
        format_version: version.to_owned(),
        vendor: next(),
        product: next(),
        product_version: next(),
        id: next(),
        name: String::new(),
        severity: String::new(),
        extension: attribute_members(attributes, mark),
    };
    Ok(event.alert())
}

/// The delimiter a 2.0 header tells: a character, or its number as `x09`, `0x09` or `\t`. Empty is
/// a tab. `None` when it is none of these.
fn delimiter(spec: &str) -> Option<char> {
    let spec = if spec == "\t" { spec } else { spec.trim() };
    let mut chars = spec.chars();
    match (chars.next(), chars.next()) {
        (None, _) => return Some('\t'),
        (Some(one), None) => return Some(one),
        _ => {}
    }
    if spec == "\\t" {
        return Some('\t');
    }
    let digits = spec.trim_start_matches(['\\', '0']).strip_prefix(['x', 'X', 'u'])?;
    u32::from_str_radix(digits, 16).ok().and_then(char::from_u32)
}

fn attribute_members(text: &str, mark: Option<char>) -> Map<String, Value> {
    let mark = mark.unwrap_or('\t');
    if !text.contains(mark) {
        return extension_members(text);
    }
    let mut members = Map::new();
    // The attribute being read: its value goes on where a delimiter stands in the text.
    let mut open: Option<(&str, String)> = None;
    for attribute in text.split(mark) {
        match attribute.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() && !key.trim_end().ends_with('\\') => {
                if let Some((key, value)) = open.replace((key.trim(), value.to_owned())) {
                    add(&mut members, key, unescape(value.trim()));
                }
            }
            _ => {
                if let Some((_, value)) = &mut open {
                    value.push(mark);
                    value.push_str(attribute);
                }
            }
        }
    }
    if let Some((key, value)) = open {
        add(&mut members, key, unescape(value.trim()));
    }
    members.sort_keys();
    members
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(line: &str) -> Map<String, Value> {
        match read(line).unwrap() {
            Reading::Alerts(mut alerts) => alerts.remove(0).body,
            Reading::Ignored(reason) => panic!("{reason}"),
        }
    }

    #[test]
    fn attributes_stand_between_tabs_or_the_delimiter_told() {
        for line in [
            "LEEF:1.0|Alder|Vault|1.0|LOGON|src=192.0.2.1\tmsg=two words\t shost=till-3\tsev=8",
            "LEEF:2.0|Alder|Vault|1.0|LOGON|^|src=192.0.2.1^msg=two words^shost=till-3^sev=8",
            "LEEF:2.0|Alder|Vault|1.0|LOGON|x7C|src=192.0.2.1|msg=two words|shost=till-3|sev=8",
            "LEEF:2.0|Alder|Vault|1.0|LOGON|0x09|src=192.0.2.1\tmsg=two words\tshost=till-3\tsev=8",
            "LEEF:2.0|Alder|Vault|1.0|LOGON||src=192.0.2.1\tmsg=two words\tshost=till-3\tsev=8",
            "LEEF:2.0|Alder|Vault|1.0|LOGON|src=192.0.2.1\tmsg=two words\tshost=till-3\tsev=8",
            "LEEF:1.0|Alder|Vault|1.0|LOGON|src=192.0.2.1 msg=two words shost=till-3 sev=8",
            "<13>Jan  2 03:04:05 gate LEEF:1.0|Alder|Vault|1.0|LOGON|src=192.0.2.1\tmsg=two words\tshost=till-3\tsev=8",
        ] {
            let body = body(line);
            assert_eq!(body["title"], "LOGON", "{line}");
            assert_eq!(body["description"], "two words", "{line}");
            assert_eq!(body["severity"], "high", "{line}");
            assert_eq!(body["evidence"].as_array().unwrap().len(), 2, "{line}");
        }
    }

    #[test]
    fn a_numbered_event_gets_a_title_people_can_read() {
        let named = body("LEEF:1.0|Alder|Vault|1.0|308|EventMessage=Use Password\tsrc=");
        assert_eq!(named["title"], "Use Password");
        assert_eq!(named["detectorId"], "308");
        assert_eq!(body("LEEF:1.0|Alder|Vault|1.0|308|sent=1")["title"], "Alder Vault event 308");
    }

    #[test]
    fn a_delimiter_inside_a_value_belongs_to_it() {
        let body = body("LEEF:1.0|Alder|Vault|1.0|LOGON|msg=one\ttwo\tUID\\=0 x\tact=a");
        assert_eq!(body["description"], "one\ttwo\tUID=0 x");
        assert_eq!(
            body["additionalData"],
            json!({
                "act": "a", "deviceVendor": "Alder", "deviceProduct": "Vault", "deviceVersion": "1.0",
                "formatVersion": "1.0"
            })
        );
    }

    #[test]
    fn a_line_without_a_whole_header_is_rejected() {
        assert_eq!(read("text").unwrap_err(), "no LEEF header");
        assert!(read("LEEF:1.0|A|B").unwrap_err().contains("3 of its 5 fields"));
    }
}
