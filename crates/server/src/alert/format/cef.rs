//! Common Event Format: `CEF:0|vendor|product|version|id|name|severity|extension`.
//!
//! Every line with a header is an alert. The header may stand behind a syslog prefix or inside
//! another log line; what stands before it is kept. In the extension a key is a word directly
//! before an unescaped `=` and behind white space, and its value ends before the next key, so that
//! values may hold blanks and line breaks. Parsing is linear in the length of the line.

use serde_json::{Map, Value};

use super::Reading;
use super::draft::something;
use super::log_event::{Event, severity};

/// Fields of the header behind the version.
const HEADER: usize = 6;
/// Longer words before a `=` are text, not keys.
const MAX_KEY: usize = 128;

/// Reads one line; an error when it has no complete CEF header.
pub fn read(line: &str) -> Result<Reading, String> {
    let line = line.trim_start_matches('\u{feff}').trim();
    let (prefix, rest) = header_start(line, "CEF:").ok_or("no CEF header")?;
    let (version, rest) = rest.split_once('|').ok_or("the CEF header ends after its version")?;
    let (mut fields, mut extension) = split_header(rest, HEADER);
    if fields.len() < HEADER {
        return Err(format!("the CEF header has {} of its 7 fields", fields.len() + 1));
    }
    // Check Point exporters write an empty vendor *before* the vendor: everything is shifted by one.
    if fields.first().is_some_and(String::is_empty)
        && severity(fields.last().map_or("", String::as_str)).is_none()
        && let Some((shifted, tail)) = extension.split_once('|')
        && severity(shifted).is_some()
    {
        fields.remove(0);
        fields.push(shifted.to_owned());
        extension = tail;
    }
    // A line quoted whole ends with the quote it began with.
    if prefix.ends_with('"') {
        extension = extension.strip_suffix('"').unwrap_or(extension);
    }
    let mut fields = fields.into_iter();
    let mut next = || fields.next().unwrap_or_default().trim().to_owned();
    let event = Event {
        format: "cef",
        prefix: prefix.to_owned(),
        format_version: version.to_owned(),
        vendor: next(),
        product: next(),
        product_version: next(),
        id: next(),
        name: next(),
        severity: next(),
        extension: pair_labels(extension_members(extension)),
    };
    Ok(event.alert())
}

/// Where a header begins: the text before it and the text behind `marker`. A header is the marker
/// with a digit behind it.
pub(super) fn header_start<'a>(line: &'a str, marker: &str) -> Option<(&'a str, &'a str)> {
    line.match_indices(marker).find_map(|(at, _)| {
        let (before, rest) = line.split_at_checked(at)?;
        let rest = rest.strip_prefix(marker)?;
        if rest.starts_with(|c: char| c.is_ascii_digit()) { Some((before, rest)) } else { None }
    })
}

/// The first `count` fields between unescaped bars, unescaped, and the text behind them. The last
/// field may end with the line.
pub(super) fn split_header(text: &str, count: usize) -> (Vec<String>, &str) {
    let mut fields = Vec::new();
    let mut field = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some((_, escaped @ ('|' | '\\'))) => field.push(escaped),
                Some((_, other)) => field.extend(['\\', other]),
                None => field.push('\\'),
            },
            '|' => {
                fields.push(std::mem::take(&mut field));
                if fields.len() == count {
                    return (fields, text.get(at + 1..).unwrap_or_default());
                }
            }
            _ => field.push(c),
        }
    }
    fields.push(field);
    (fields, "")
}

/// The members of an extension, by name; a repeated key has its values as a list.
pub(super) fn extension_members(text: &str) -> Map<String, Value> {
    let bytes = text.as_bytes();
    let mut members = Map::new();
    let mut open: Option<(&str, usize)> = None;
    let mut escaped = false;
    for (at, &byte) in bytes.iter().enumerate() {
        if escaped || byte != b'=' {
            escaped = !escaped && byte == b'\\';
            continue;
        }
        let Some(key) = key_before(text, at) else { continue };
        let key_start = at - key.len();
        if let Some((last, from)) = open.replace((key, at + 1)) {
            let value = text.get(from..key_start).unwrap_or_default();
            add(&mut members, last, unescape(value.trim()));
        }
    }
    if let Some((last, from)) = open {
        add(&mut members, last, unescape(text.get(from..).unwrap_or_default().trim()));
    }
    members.sort_keys();
    members
}

/// The key that ends at a `=`: a word with white space, or the start of the text, before it.
fn key_before(text: &str, at: usize) -> Option<&str> {
    let head = text.get(..at)?;
    let is_key = |byte: &u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'[' | b']' | b':')
    };
    let length = head.bytes().rev().take(MAX_KEY + 1).take_while(|byte| is_key(byte)).count();
    if length == 0 || length > MAX_KEY {
        return None;
    }
    let (before, key) = head.split_at_checked(at - length)?;
    if before.is_empty() || before.ends_with(char::is_whitespace) { Some(key) } else { None }
}

/// Adds a member, a second value of the same key into a list.
pub(super) fn add(members: &mut Map<String, Value>, key: &str, value: String) {
    let value = Value::String(value);
    match members.get_mut(key) {
        None => {
            members.insert(key.to_owned(), value);
        }
        Some(Value::Array(values)) => values.push(value),
        Some(first) => *first = Value::Array(vec![first.take(), value]),
    }
}

/// Resolves `\=`, `\|`, `\\`, `\n` and `\r`; other back-slashes are text.
pub(super) fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.as_str().chars().next() {
            Some(c @ ('=' | '|' | '\\')) => {
                out.push(c);
                chars.next();
            }
            // A single back-slash before a letter is a Windows path more often than an escape.
            Some('n' | 'r') if !is_path(&out) => {
                out.push('\n');
                chars.next();
            }
            _ => out.push('\\'),
        }
    }
    out
}

/// Whether the last word begins as a Windows path does, such as `C:` or `\\host`.
fn is_path(text: &str) -> bool {
    let tail: Vec<char> = text.chars().rev().take_while(|c| !c.is_whitespace()).take(260).collect();
    let mut word = tail.iter().rev().skip_while(|c| matches!(c, '"' | '\''));
    let first = word.next().copied();
    let second = word.next().copied();
    first == Some('\\') || (first.is_some_and(|c| c.is_ascii_alphabetic()) && second == Some(':'))
}

/// Replaces pairs such as `cs1Label=Rule cs1=allow-all` by `Rule=allow-all`, unless that name is
/// taken.
fn pair_labels(mut members: Map<String, Value>) -> Map<String, Value> {
    let mut pairs: Vec<(String, String, String)> = Vec::new();
    for (key, label) in &members {
        let Some(base) = key.strip_suffix("Label") else { continue };
        let Some(label) = label.as_str().and_then(something) else { continue };
        let custom =
            ["cs", "cn", "cfp", "c6a", "flexString", "flexNumber", "flexDate", "deviceCustom"]
                .iter()
                .any(|family| base.starts_with(family));
        if custom && members.contains_key(base) && !members.contains_key(label) {
            pairs.push((key.clone(), base.to_owned(), label.to_owned()));
        }
    }
    for (key, base, label) in pairs {
        // Two pairs may carry the same label.
        if members.contains_key(&label) {
            continue;
        }
        if let Some(value) = members.remove(&base) {
            members.remove(&key);
            members.insert(label, value);
        }
    }
    members
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(line: &str) -> Map<String, Value> {
        alert(line).body
    }

    fn alert(line: &str) -> super::super::NewAlert {
        match read(line).unwrap() {
            Reading::Alerts(mut alerts) => alerts.remove(0),
            Reading::Ignored(reason) => panic!("{reason}"),
        }
    }

    fn pieces(body: &Map<String, Value>, kind: &str) -> Vec<Value> {
        let kind = format!("#microsoft.graph.security.{kind}Evidence");
        let all = body["evidence"].as_array().unwrap();
        all.iter().filter(|piece| piece["@odata.type"] == kind).cloned().collect()
    }

    #[test]
    fn a_plain_line_becomes_an_alert() {
        let alert = alert(
            "CEF:0|Alder Works|Gate|1.2|77|Odd call|8|rt=1704164645000 src=192.0.2.1 spt=1000 \
             dst=192.0.2.2 dpt=443 proto=TCP suser=ALDER\\\\ida msg=two words=here act=blocked",
        );
        assert_eq!(alert.source, "cef:alder works|gate");
        assert_eq!(alert.source_id, None);
        let body = alert.body;
        assert_eq!(body["title"], "Odd call");
        assert_eq!(body["severity"], "high");
        assert_eq!(body["detectorId"], "77");
        assert_eq!(body["productName"], "Alder Works Gate");
        assert_eq!(body["createdDateTime"], "2024-01-02T03:04:05.0000000Z");
        // The words before an equals sign are a key wherever blanks are around them.
        assert_eq!(body["description"], "two");
        assert_eq!(body["additionalData"]["words"], "here");
        assert_eq!(body["additionalData"]["act"], "blocked");
        let user = &pieces(&body, "user")[0];
        assert_eq!(user["userAccount"]["accountName"], "ida");
        let connection = &pieces(&body, "networkConnection")[0];
        assert_eq!(connection["destinationPort"], 443);
        assert_eq!(connection["protocol"], "tcp");
        assert_eq!(pieces(&body, "ip")[1]["roles"], json!(["destination"]));
    }

    #[test]
    fn header_and_extension_escapes_are_resolved() {
        let body = body(
            r"CEF:0|A\|B|C\\D|1|2|x \| y|3|msg=a\=b \\ c\nd filePath=c:\new\read.me url=http://h.example/?q\=1",
        );
        assert_eq!(body["additionalData"]["deviceVendor"], "A|B");
        assert_eq!(body["additionalData"]["deviceProduct"], "C\\D");
        assert_eq!(body["title"], "x | y");
        assert_eq!(body["description"], "a=b \\ c\nd");
        let file = &pieces(&body, "file")[0]["fileDetails"];
        assert_eq!(file["filePath"], "c:\\new");
        assert_eq!(file["fileName"], "read.me");
        assert_eq!(pieces(&body, "url")[0]["url"], "http://h.example/?q=1");
    }

    #[test]
    fn severities_are_numbers_or_words() {
        for (text, expected) in [
            ("0", "low"),
            ("3", "low"),
            ("4", "medium"),
            ("10", "high"),
            ("-1", "unknown"),
            ("Unknown", "unknown"),
            ("", "unknown"),
            ("Low", "low"),
            ("MAJOR", "high"),
            ("very-high", "high"),
        ] {
            let body = body(&format!("CEF:0|A|B|1|2|Odd|{text}|"));
            assert_eq!(body["severity"], expected, "{text}");
        }
    }

    #[test]
    fn prefixes_marks_and_quotes_around_the_header_do_not_matter() {
        let line = "CEF:0|A|B|1|2|Odd|3|src=192.0.2.1";
        for line in [
            format!("\u{feff}{line}"),
            format!("<134>1 2024-01-02T03:04:05Z gate - - - {line}"),
            format!("Jan  2 03:04:05 gate {line}"),
            format!("CEF:{line}"),
            format!("ASM:{line}"),
            format!("relay said \"{line}"),
            "CEF: 1|CEF:0|A|B|1|2|Odd|3|src=192.0.2.1".to_owned(),
        ] {
            let body = body(&line);
            assert_eq!(body["title"], "Odd", "{line}");
            assert_eq!(pieces(&body, "ip").len(), 1, "{line}");
        }
        let quoted = body(&format!("\"{line} act=x\""));
        assert_eq!(quoted["additionalData"]["act"], "x");
        let body = body(&format!("<134>1 2024-01-02T03:04:05Z gate - - - {line}"));
        assert_eq!(body["createdDateTime"], "2024-01-02T03:04:05.0000000Z");
        assert_eq!(body["additionalData"]["linePrefix"], "<134>1 2024-01-02T03:04:05Z gate - - -");
    }

    #[test]
    fn an_empty_vendor_before_the_vendor_shifts_the_header_back() {
        let shifted = alert("CEF:0||Alder|Gate|7|Log|https|Unknown|act=Accept dpt=443");
        assert_eq!(shifted.source, "cef:alder|gate");
        assert_eq!(shifted.body["title"], "https");
        assert_eq!(shifted.body["additionalData"]["act"], "Accept");
        // A vendor that is just empty shifts nothing.
        let empty = alert("CEF:0||Gate|7|9|Odd|5|msg=a|7|b");
        assert_eq!(empty.source, "cef:|gate");
        assert_eq!(empty.body["description"], "a|7|b");
    }

    #[test]
    fn a_cut_line_is_read_as_far_as_it_goes() {
        assert_eq!(body("CEF:0|A|B|1|2|Odd|5")["title"], "Odd");
        assert_eq!(body("CEF:0|A|B|1|2|Odd|5|msg=cut ke")["description"], "cut ke");
        assert!(read("CEF:0|A|B|1|2|Odd").unwrap_err().contains("6 of its 7 fields"));
        assert!(read("CEF:0").unwrap_err().contains("ends after its version"));
        assert_eq!(read("just text").unwrap_err(), "no CEF header");
        assert_eq!(read("CEF:x|A|B").unwrap_err(), "no CEF header");
    }

    #[test]
    fn labels_name_their_values_and_repeats_become_lists() {
        let body = body(
            "CEF:0|A|B|1|2|Odd|3|cs1=allow-all cs1Label=Rule Name cs3Label=WAN layer=x layer=y \
             cn1=5 cn1Label=Rule Name\ncat=7 src=192.0.2.1 src=192.0.2.2",
        );
        let more = &body["additionalData"];
        // Two pairs with one label: the second keeps its own key.
        assert_eq!(more["Rule Name"], "5");
        assert_eq!(more["cs1"], "allow-all");
        assert_eq!(more["cs3Label"], "WAN");
        assert_eq!(more["layer"], json!(["x", "y"]));
        assert_eq!(more["cat"], "7");
        assert_eq!(body.get("category"), None);
        assert_eq!(pieces(&body, "ip").len(), 2);
    }

    #[test]
    fn values_that_are_not_what_their_key_says_stay_where_they_were() {
        let body = body(
            "CEF:0|A|B|1|2|Odd|3|src=192.0.2.0/24 dvc=192.0.2.1, 192.0.2.3 fileHash=00000000000000000000000000000000 \
             suser=(no user) dvchost=localhost request=no link rt=yesterday",
        );
        let more = &body["additionalData"];
        for key in ["src", "fileHash", "suser", "dvchost", "request", "rt"] {
            assert!(more.get(key).is_some(), "{key}");
        }
        assert_eq!(pieces(&body, "ip").len(), 2);
        assert_eq!(body["evidence"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn the_target_of_a_web_request_is_a_site_and_not_a_device() {
        let web = body("CEF:0|A|B|1|2|Odd|3|dhost=shop.example request=http://shop.example/x");
        assert_eq!(pieces(&web, "dns")[0]["domainName"], "shop.example");
        assert_eq!(pieces(&web, "device"), Vec::<Value>::new());
        let logon = body("CEF:0|A|B|1|2|Odd|3|dhost=till-3.norrland.example dvchost=gate");
        assert_eq!(pieces(&logon, "device")[0]["hostName"], "till-3");
        assert_eq!(pieces(&logon, "device")[1]["roles"], json!(["contextual"]));
    }

    #[test]
    fn times_of_these_formats() {
        for (text, expected) in [
            ("Aug 16 2017 05:00:40 GMT+00:00", "2017-08-16T05:00:40.0000000Z"),
            ("May 01 2025 18:00:02.009 CEST", "2025-05-01T16:00:02.0090000Z"),
            ("2020-04-30-12.11.52.265056", "2020-04-30T12:11:52.2650560Z"),
            ("Mar 01 2021 20:35:54", "2021-03-01T20:35:54.0000000Z"),
            ("Wed Mar 12 11:02:25 2025", "2025-03-12T11:02:25.0000000Z"),
        ] {
            let body = body(&format!("CEF:0|A|B|1|2|Odd|3|rt={text} act=x"));
            assert_eq!(body["createdDateTime"], expected, "{text}");
        }
    }

    #[test]
    fn techniques_come_from_the_keys_that_hold_them() {
        let body = body(
            r#"CEF:0|A|B|1|2|Odd|3|GateAttCkId=["T1053","T1059"] mitre=TA0006:T1110 msg=model T1234"#,
        );
        assert_eq!(body["mitreTechniques"], json!(["T1053", "T1059", "T1110"]));
    }

    /// A fixed sequence of bytes that looks random.
    fn noise(seed: u64, length: usize) -> Vec<u8> {
        let mut state = seed;
        let step = |_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        };
        (0..length).map(step).collect()
    }

    #[test]
    fn no_bytes_can_break_a_line_reader() {
        let alphabet: Vec<char> =
            "CEF:LEEF:012|\\=^\t \nab\u{feff}é\u{202e}x09\"\u{0}".chars().collect();
        for seed in 0..3000 {
            let bytes = noise(seed, 200);
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let picked: String =
                bytes.iter().map(|byte| alphabet[usize::from(*byte) % alphabet.len()]).collect();
            for tail in [text, picked] {
                for head in ["", "CEF:0|", "LEEF:2.0|", "LEEF:1.0|a|b|c|d|", "CEF:0|a|b|c|d|e|5|"] {
                    let line = format!("{head}{tail}");
                    let _ = read(&line);
                    let _ = super::super::leef::read(&line);
                }
            }
        }
    }

    #[test]
    fn a_long_line_takes_time_in_proportion_to_its_length() {
        for unit in [
            "a",
            "a=b ",
            "=",
            "\\",
            "\\n",
            "|",
            "CEF:",
            "src=1.2.3.4 ",
            "aaaaaaaaaaaaaaaa:\\n",
            " k",
            "mitre=T1059 ",
        ] {
            let line = format!("CEF:0|A|B|1|2|Odd|3|{}", unit.repeat(1_048_576 / unit.len()));
            let started = std::time::Instant::now();
            let _ = read(&line);
            let _ = super::super::leef::read(&line.replacen("CEF:0", "LEEF:1.0", 1));
            assert!(started.elapsed().as_secs() < 10, "{unit:?}");
        }
    }
}
