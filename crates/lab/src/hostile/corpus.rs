//! The cases that are whole HTTP requests.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::raw::Talk;
use crate::alerts::Alerts;
use crate::http::escape;

/// The answer a case must get; a status of 500 or more is always wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    /// 4xx with a JSON error.
    ClientError,
    /// 401 with a JSON error.
    Unauthorised,
    /// 4xx, or 2xx with no record stored and each one's reason.
    Refused,
    /// The same, or closed before the whole request was taken.
    RefusedOrClosed,
    /// 2xx or 4xx: either reading of the input is defensible.
    Tolerated,
    /// 2xx.
    Done,
    /// 2xx with these counts.
    Stored { accepted: u64, rejected: u64 },
    /// On a socket: no 2xx, and 4xx or closed.
    Cut,
    /// On a socket: answered below 500.
    Answered,
}

/// How a case is sent.
pub(super) enum Send {
    /// A well-formed request.
    Http {
        /// `GET`, `POST`, `PATCH`.
        method: &'static str,
        /// Path and query; `{tenant}` stands for the tenant's id.
        path: String,
        /// The body's kind, empty for no body.
        content_type: &'static str,
        /// More header lines.
        headers: String,
        /// A token other than the good one.
        token: Option<String>,
        /// Makes the body, only when it is needed.
        body: Box<dyn Fn() -> Vec<u8> + std::marker::Send + Sync>,
    },
    /// Bytes on a socket.
    Raw(Talk),
}

/// One bad input.
pub(super) struct Case {
    /// Its name in failures.
    pub(super) name: String,
    /// How it is sent.
    pub(super) send: Send,
    /// The answer it must get.
    pub(super) expect: Expect,
    /// How long the answer may take.
    pub(super) limit: Duration,
}

impl Case {
    /// The same case with another time limit.
    fn within(mut self, seconds: u64) -> Self {
        self.limit = Duration::from_secs(seconds);
        self
    }

    fn encoded(mut self, name: &str) -> Self {
        if let Send::Http { headers, .. } = &mut self.send {
            let _ = write!(headers, "Content-Encoding: {name}\r\n");
        }
        self
    }

    fn lines(mut self) -> Self {
        if let Send::Http { content_type, .. } = &mut self.send {
            *content_type = "application/x-ndjson";
        }
        self
    }

    fn token(mut self, text: &str) -> Self {
        if let Send::Http { token, .. } = &mut self.send {
            *token = Some(text.to_owned());
        }
        self
    }

    fn path(mut self, text: &str) -> Self {
        if let Send::Http { path, .. } = &mut self.send {
            text.clone_into(path);
        }
        self
    }

    fn header(mut self, line: &str) -> Self {
        if let Send::Http { headers, .. } = &mut self.send {
            headers.push_str(line);
            headers.push_str("\r\n");
        }
        self
    }
}

fn request(
    name: &str,
    method: &'static str,
    path: &str,
    expect: Expect,
    body: impl Fn() -> Vec<u8> + std::marker::Send + Sync + 'static,
) -> Case {
    let content_type = if method == "GET" { "" } else { "application/json" };
    let send = Send::Http {
        method,
        path: path.to_owned(),
        content_type,
        headers: String::new(),
        token: None,
        body: Box::new(body),
    };
    Case { name: name.to_owned(), send, expect, limit: Duration::from_secs(2) }
}

fn intake(
    name: &str,
    expect: Expect,
    body: impl Fn() -> Vec<u8> + std::marker::Send + Sync + 'static,
) -> Case {
    request(name, "POST", "/api/v1/alerts", expect, body)
}

fn text(name: &str, expect: Expect, body: &'static str) -> Case {
    intake(name, expect, move || body.as_bytes().to_vec())
}

/// A small good alert with some members replaced.
fn alert(id: &str, members: &Value) -> Value {
    let mut alert = json!({
        "id": id,
        "providerAlertId": id,
        "title": "Bad input",
        "severity": "low",
        "status": "new",
        "serviceSource": "microsoftDefenderForEndpoint",
        "category": "Execution",
        "createdDateTime": "2026-11-01T10:00:00Z",
        "evidence": [{
            "@odata.type": "#microsoft.graph.security.deviceEvidence",
            "deviceDnsName": format!("{id}.alder.example"),
        }],
    });
    if let (Some(alert), Some(members)) = (alert.as_object_mut(), members.as_object()) {
        alert.extend(members.clone());
    }
    alert
}

fn with(name: &str, expect: Expect, members: Value) -> Case {
    let id = name.replace(' ', "-");
    intake(name, expect, move || alert(&id, &members).to_string().into_bytes())
}

fn good(number: u64) -> String {
    Alerts::new(610, 0).body(number)
}

fn repeated(unit: &[u8], count: usize) -> Vec<u8> {
    unit.repeat(count)
}

fn gzip(parts: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for part in parts {
        // Writing to a vector cannot fail.
        let _ = encoder.write_all(&part);
    }
    encoder.finish().unwrap_or_default()
}

fn zstandard(parts: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let Ok(mut encoder) = zstd::stream::write::Encoder::new(Vec::new(), 1) else {
        return Vec::new();
    };
    for part in parts {
        let _ = encoder.write_all(&part);
    }
    encoder.finish().unwrap_or_default()
}

/// A gigabyte of blanks.
fn blanks() -> impl Iterator<Item = Vec<u8>> {
    (0..1_024).map(|_| repeated(b" ", 1 << 20))
}

/// All cases; `incident` exists.
pub(super) fn cases(incident: &str) -> Vec<Case> {
    let mut all = json_cases();
    all.extend(record_cases());
    all.extend(encoding_cases());
    all.extend(query_cases());
    all.extend(change_cases(incident));
    all.extend(sign_in_cases());
    all
}

fn json_cases() -> Vec<Case> {
    use Expect::{ClientError, Refused, RefusedOrClosed, Tolerated};
    vec![
        text("empty body", Refused, ""),
        text("blank body", Refused, " \r\n\t "),
        text("a number", Refused, "7"),
        text("a string", Refused, "\"x\""),
        text("null", Refused, "null"),
        text("cut short", Refused, "{\"title\":\"x"),
        text("two objects glued", Tolerated, "{}{}"),
        text("trailing comma", Refused, "{\"title\":\"x\",}"),
        text("single quotes", Refused, "{'title':'x'}"),
        text("comments", Refused, "/* x */ {}"),
        text("not a number", Refused, "{\"title\":NaN}"),
        text("XML", Refused, "<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>"),
        text("empty list", Tolerated, "[]"),
        text("empty object", Tolerated, "{}"),
        text("value is no list", Refused, "{\"value\":5}"),
        text("list of scalars", Refused, "[1,\"x\",null,true]"),
        text(
            "huge number",
            Tolerated,
            "{\"title\":\"n\",\"providerAlertId\":\"huge\",\"x\":1e999}",
        ),
        text("minus zero", Tolerated, "{\"title\":\"z\",\"providerAlertId\":\"zero\",\"x\":-0.0}"),
        text(
            "long number",
            Tolerated,
            concat!(
                "{\"title\":\"l\",\"providerAlertId\":\"long\",\"x\":",
                "123456789012345678901234567890123456789012345678901234567890}"
            ),
        ),
        text(
            "same member twice",
            Tolerated,
            "{\"title\":\"a\",\"title\":\"b\",\"providerAlertId\":\"twice\"}",
        ),
        text("lone surrogate", Tolerated, "{\"title\":\"\\ud800\",\"providerAlertId\":\"lone\"}"),
        text(
            "NUL in text",
            Tolerated,
            "{\"title\":\"a\\u0000b\",\"providerAlertId\":\"nul\\u0000\"}",
        ),
        intake("overlong UTF-8", Refused, || b"{\"title\":\"\xc0\xaf\"}".to_vec()),
        intake("broken UTF-8", Refused, || b"{\"title\":\"\xff\xfe\"}".to_vec()),
        intake("UTF-16", Refused, || {
            "{\"title\":\"x\"}".encode_utf16().flat_map(u16::to_le_bytes).collect()
        }),
        intake("byte order mark", Tolerated, || {
            [b"\xef\xbb\xbf".as_slice(), good(1).as_bytes()].concat()
        }),
        intake("10,000 levels of lists", Refused, || {
            [repeated(b"[", 10_000), repeated(b"]", 10_000)].concat()
        }),
        intake("10,000 levels of objects", Refused, || {
            [repeated(b"{\"a\":", 10_000), b"1".to_vec(), repeated(b"}", 10_000)].concat()
        }),
        intake("open lists without end", Refused, || repeated(b"[", 1_000_000)),
        intake("10,000 levels inside an alert", Tolerated, || {
            let deep = [repeated(b"[", 10_000), repeated(b"]", 10_000)].concat();
            [b"{\"title\":\"d\",\"providerAlertId\":\"deep\",\"x\":".as_slice(), &deep, b"}"]
                .concat()
        }),
        intake("string of 64 MB", RefusedOrClosed, || {
            [b"{\"title\":\"".to_vec(), repeated(b"x", 64 << 20), b"\"}".to_vec()].concat()
        })
        .within(10),
        intake("string of 48 MB", Tolerated, || {
            [b"{\"title\":\"".to_vec(), repeated(b"x", 48 << 20), b"\"}".to_vec()].concat()
        })
        .within(10),
        intake("a million members", Tolerated, || {
            let mut body = String::from("{\"title\":\"m\",\"providerAlertId\":\"members\"");
            for number in 0..1_000_000 {
                let _ = write!(body, ",\"k{number}\":0");
            }
            body.push('}');
            body.into_bytes()
        })
        .within(10),
        intake("a million empty objects", Tolerated, || {
            [b"[{}".to_vec(), repeated(b",{}", 999_999), b"]".to_vec()].concat()
        })
        .within(20),
        intake("a million empty lines", Tolerated, || repeated(b"\n", 1_000_000))
            .lines()
            .within(10),
        intake("a line of 10 MB", Tolerated, || repeated(b"x", 10 << 20)).lines().within(10),
        text("unknown format", ClientError, "{}").path("/api/v1/alerts?format=nonsense"),
        text("not JSON by its kind", Tolerated, "{}").header("X-Lab: 1"),
    ]
}

fn record_cases() -> Vec<Case> {
    use Expect::{Done, Stored, Tolerated};
    let mut cases = vec![
        intake("the rest of a batch is kept", Stored { accepted: 2, rejected: 1 }, || {
            format!("{}\n{{\"title\":\n{}\n", good(20), good(21)).into_bytes()
        })
        .lines(),
        intake("the rest of a list is kept", Stored { accepted: 2, rejected: 1 }, || {
            format!("[{},17,{}]", good(22), good(23)).into_bytes()
        }),
        intake(
            "composed and decomposed ids are two alerts",
            Stored { accepted: 2, rejected: 0 },
            || {
                let (one, two) = (alert("caf\u{e9}", &json!({})), alert("cafe\u{301}", &json!({})));
                format!("{one}\n{two}\n").into_bytes()
            },
        )
        .lines(),
        with(
            "right to left and zero width",
            Done,
            json!({
                "title": "\u{202e}gpj.exe\u{200b}\u{2066}", "category": "\u{feff}x",
            }),
        ),
        with(
            "four-byte characters",
            Done,
            json!({
                "title": "\u{1f9ea}".repeat(200), "assignedTo": "\u{1f9ea}",
            }),
        ),
        with(
            "markup",
            Done,
            json!({
                "title": "<script>alert(1)</script>", "description": "![x](javascript:alert(1)) {{7*7}}",
            }),
        ),
        with("log forging", Done, json!({ "title": "a\nlevel=error forged\r\n\u{1b}[31mred" })),
        with(
            "SQL",
            Done,
            json!({
                "title": "'; drop table alert; --", "category": "\" or 1=1", "assignedTo": "\\'; %_",
            }),
        ),
        with("title of a megabyte", Tolerated, json!({ "title": "x".repeat(1 << 20) })),
        with(
            "members of the wrong kind",
            Tolerated,
            json!({
                "title": {"a": 1}, "severity": 9, "status": [], "evidence": "none", "mitreTechniques": 5,
            }),
        ),
        with("unknown words", Tolerated, json!({ "severity": "apocalyptic", "status": "??" })),
        with("evidence of scalars", Tolerated, json!({ "evidence": [1, null, "x", []] })),
        intake("10,000 entities", Tolerated, || {
            let evidence: Vec<Value> = (0..10_000)
                .map(|number| {
                    json!({
                        "@odata.type": "#microsoft.graph.security.ipEvidence",
                        "ipAddress": format!("10.{}.{}.1", number / 250, number % 250),
                    })
                })
                .collect();
            alert("many-entities", &json!({ "evidence": evidence })).to_string().into_bytes()
        })
        .within(10),
        intake("a storm on one device", Stored { accepted: 5_000, rejected: 0 }, || {
            let alerts = Alerts::new(611, 0);
            let mut lines = String::new();
            for number in 0..5_000 {
                lines.push_str(&alerts.grouped(number, 7));
                lines.push('\n');
            }
            lines.into_bytes()
        })
        .lines()
        .within(15),
    ];
    for (name, time) in [
        ("year 0", "0000-01-01T00:00:00Z"),
        ("year 9999", "9999-12-31T23:59:59.9999999Z"),
        ("year 2263", "2263-01-01T00:00:00Z"),
        ("leap second", "2016-12-31T23:59:60Z"),
        ("no zone", "2026-11-01T10:00:00"),
        ("no such day", "2026-02-30T10:00:00Z"),
        ("no date at all", "yesterday"),
        ("nanoseconds", "2026-11-01T10:00:00.123456789123Z"),
        ("offset of 99 hours", "2026-11-01T10:00:00+99:99"),
        ("year 100000", "+100000-01-01T00:00:00Z"),
    ] {
        let times = json!({ "createdDateTime": time, "firstActivityDateTime": time,
            "lastActivityDateTime": time, "lastUpdateDateTime": time });
        cases.push(with(&format!("time: {name}"), Tolerated, times));
    }
    for (name, address) in [
        ("decimal", "2130706433"),
        ("octal", "0177.0.0.1"),
        ("mapped", "::ffff:127.0.0.1"),
        ("long", "1111:2222:3333:4444:5555:6666:7777:8888:9999"),
        ("none", ""),
    ] {
        let evidence = json!({ "evidence": [{
            "@odata.type": "#microsoft.graph.security.ipEvidence", "ipAddress": address }] });
        cases.push(with(&format!("address: {name}"), Tolerated, evidence));
    }
    for (format, body) in [
        ("cef", "CEF:0|a\\|b|c|d|e|f|g|act=\\= \\\\ \\n\n"),
        ("cef", "CEF:0|||||||\nCEF:0|\nCEF:\n"),
        ("leef", "LEEF:2.0|||||\nLEEF:9|x\n"),
        ("ocsf", "{\"class_uid\":\"x\",\"severity_id\":1e99}"),
        ("wazuh", "{\"rule\":{\"level\":-5},\"agent\":7}"),
        ("suricata", "{\"event_type\":\"alert\",\"alert\":null}"),
        ("elastic", "{\"kibana.alert.uuid\":{}}"),
        ("splunk", "{\"result\":[[]]}"),
        ("sentinel", "{\"properties\":\"x\"}"),
        ("defender", "{\"id\":[],\"machineId\":{}}"),
        ("auto", "<134>1 - - - - - -\n"),
        ("auto", "\u{0}\u{1}\u{2}"),
    ] {
        let case = intake(&format!("{format}: {body:?}"), Tolerated, || body.as_bytes().to_vec());
        cases.push(case.path(&format!("/api/v1/alerts?format={format}")));
    }
    cases.push(
        intake("cef: a line of a megabyte", Tolerated, || {
            [b"CEF:0|a|b|c|d|e|9|msg=".to_vec(), repeated(b"\\=", 1 << 19)].concat()
        })
        .path("/api/v1/alerts?format=cef")
        .within(5),
    );
    cases
}

fn encoding_cases() -> Vec<Case> {
    use Expect::{ClientError, RefusedOrClosed, Tolerated};
    vec![
        intake("gzip bomb of 1 GB", RefusedOrClosed, || gzip(blanks())).encoded("gzip").within(20),
        intake("zstd bomb of 1 GB", RefusedOrClosed, || zstandard(blanks()))
            .encoded("zstd")
            .within(20),
        intake("gzip bomb of objects", RefusedOrClosed, || {
            gzip(
                std::iter::once(b"[{}".to_vec()).chain((0..512).map(|_| repeated(b",{}", 1 << 19))),
            )
        })
        .encoded("gzip")
        .within(20),
        intake("zstd frame that asks for a 2 GB window", ClientError, || {
            // Magic, a descriptor without a size, and the largest window the format can spell.
            vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xff, 0x01, 0x00, 0x00]
        })
        .encoded("zstd"),
        intake("gzip inside gzip", Tolerated, || {
            gzip(std::iter::once(gzip(std::iter::once(good(30).into_bytes()))))
        })
        .encoded("gzip, gzip"),
        intake("gzip said once, done twice", Expect::Refused, || {
            gzip(std::iter::once(gzip(std::iter::once(good(31).into_bytes()))))
        })
        .encoded("gzip"),
        intake("gzip cut short", Expect::Refused, || {
            let mut whole = gzip(std::iter::once(good(32).into_bytes()));
            whole.truncate(whole.len() / 2);
            whole
        })
        .encoded("gzip"),
        intake("gzip with a tail", Tolerated, || {
            let mut whole = gzip(std::iter::once(good(33).into_bytes()));
            whole.extend_from_slice(b"garbage after the end");
            whole
        })
        .encoded("gzip"),
        intake("gzip with a wrong checksum", Expect::Refused, || {
            let mut whole = gzip(std::iter::once(good(34).into_bytes()));
            if let Some(byte) = whole.iter_mut().rev().nth(6) {
                *byte ^= 0xff;
            }
            whole
        })
        .encoded("gzip"),
        text("gzip that is plain", Expect::Refused, "{}").encoded("gzip"),
        text("zstd that is plain", Expect::Refused, "{}").encoded("zstd"),
        text("unknown encoding", ClientError, "{}").encoded("br"),
        text("ten encodings", ClientError, "{}")
            .encoded("gzip, gzip, gzip, gzip, gzip, gzip, gzip, gzip, gzip, gzip"),
        intake("gzip without content", Expect::Refused, || gzip(std::iter::empty()))
            .encoded("gzip"),
    ]
}

fn query_cases() -> Vec<Case> {
    use Expect::{ClientError, Done, Tolerated};
    let list = "/v1.0/security/incidents";
    let get = |name: &str, path: &str, expect| request(name, "GET", path, expect, Vec::new);
    let filter = |text: &str, expect| {
        let shown: String = text.chars().take(60).collect();
        get(&format!("filter {shown}"), &format!("{list}?$filter={}", escape(text)), expect)
    };
    let mut cases = Vec::new();
    for text in [
        "status eq",
        "eq 'active'",
        "(status eq 'active'",
        "status eq 'active')",
        "status eq 'active",
        "status eq 'nonsense'",
        "status xx 'active'",
        "nonsense eq 'x'",
        "nonsense(status) eq 'x'",
        "status eq 'active' and",
        "not",
        "createdDateTime ge 2026-13-45T99:99:99Z",
        "createdDateTime ge 'x'",
        "customTags/any(",
        "customTags/any(t:u eq 'x')",
        "status eq 'active'; drop table incident",
        "1 eq 1 or sleep(5)",
        "\u{0}",
    ] {
        cases.push(filter(text, ClientError));
    }
    for text in [
        "assignedTo eq '''; drop table incident; --'",
        "assignedTo eq '%'",
        "assignedTo eq '\\'",
        "displayName eq '\u{1f9ea}'",
    ] {
        cases.push(filter(text, Done));
    }
    for text in [
        "assignedTo eq 'a\u{0}b'",
        "severity in ()",
        "id eq '99999999999999999999999999'",
        "id eq '-1'",
        "createdDateTime ge 0000-01-01T00:00:00Z and createdDateTime le 9999-12-31T23:59:59Z",
        "contains(displayName,'(a+)+$')",
        "startswith(displayName,'____%%%%')",
    ] {
        cases.push(filter(text, Tolerated));
    }
    let nested = [repeated(b"(", 10_000), b"status eq 'active'".to_vec(), repeated(b")", 10_000)];
    let nested = String::from_utf8_lossy(&nested.concat()).into_owned();
    let many = vec!["status eq 'active'"; 2_000].join(" or ");
    let nots = format!("{} status eq 'active'", "not ".repeat(10_000));
    let listed = format!("assignedTo in ({})", vec!["'x'"; 5_000].join(","));
    cases.push(filter(&nested, ClientError));
    cases.push(filter(&nots, ClientError));
    cases.push(filter(&many, Tolerated));
    cases.push(filter(&listed, Tolerated));
    for (query, expect) in [
        ("$top=abc", ClientError),
        ("$top=99999999999999999999999", Tolerated),
        ("$top=-1", Tolerated),
        ("$top=0", Tolerated),
        ("$skip=-1", Tolerated),
        ("$skip=9223372036854775807", Tolerated),
        ("$orderby=nonsense", ClientError),
        ("$orderby=status%20sideways", ClientError),
        ("$orderby=lastUpdateDateTime%20desc,", Tolerated),
        ("$expand=nonsense", Tolerated),
        ("$select=%00", Tolerated),
        ("$skiptoken=nonsense", ClientError),
        ("$skiptoken=%ff%fe", Tolerated),
        ("$filter=%ff%fe", ClientError),
        ("$filter=%zz", ClientError),
        ("$count=perhaps", Tolerated),
        ("?&&&===&$top=1&$top=2", Tolerated),
    ] {
        cases.push(get(&format!("query {query}"), &format!("{list}?{query}"), expect));
    }
    for id in ["0", "-1", "999999999", "nonsense", "..%2f..%2fetc%2fpasswd", "%00", "1e999"] {
        cases.push(get(&format!("incident {id}"), &format!("{list}/{id}"), ClientError));
    }
    let alert = "/v1.0/security/alerts_v2/..%2f..%2f";
    cases.push(get("alert by a path", alert, ClientError));
    cases.push(get("no such route", "/v1.0/security/nonsense", ClientError));
    cases.push(get("audit with bad dates", "/api/v1/audit?from=x&to=y", ClientError));
    cases
}

fn change_cases(incident: &str) -> Vec<Case> {
    use Expect::{ClientError, Tolerated};
    let place = format!("/v1.0/security/incidents/{incident}");
    let change = |name: &str, expect, body: Value| {
        let body = body.to_string().into_bytes();
        request(&format!("change: {name}"), "PATCH", &place, expect, move || body.clone())
    };
    let comments = format!("{place}/comments");
    let comment = |name: &str, expect, body: Value| {
        let body = body.to_string().into_bytes();
        request(&format!("comment: {name}"), "POST", &comments, expect, move || body.clone())
    };
    vec![
        change("a list", ClientError, json!([])),
        change("a scalar", ClientError, json!(7)),
        change("unknown status", ClientError, json!({ "status": "apocalyptic" })),
        change("status of the experts", ClientError, json!({ "status": "awaitingAction" })),
        change("status of a merge", ClientError, json!({ "status": "redirected" })),
        change(
            "a pair that is not allowed",
            ClientError,
            json!({
                "classification": "falsePositive", "determination": "malware",
            }),
        ),
        change("status of the wrong kind", ClientError, json!({ "status": { "a": 1 } })),
        change("owner of a megabyte", ClientError, json!({ "assignedTo": "x".repeat(1 << 20) })),
        change(
            "10,000 tags",
            ClientError,
            json!({
                "customTags": (0..10_000).map(|number| format!("tag {number}")).collect::<Vec<_>>(),
            }),
        ),
        change("tags of scalars", ClientError, json!({ "customTags": [1, null] })),
        change(
            "members nobody may set",
            Tolerated,
            json!({
                "tenantId": "other", "id": "1", "systemTags": ["x"], "priorityScore": 100,
            }),
        ),
        change("NUL in a tag", Tolerated, json!({ "customTags": ["a\u{0}b"] })),
        request("change: cut short", "PATCH", &place, ClientError, || b"{\"status\":".to_vec()),
        request("change: deep", "PATCH", &place, ClientError, || repeated(b"{\"a\":", 10_000)),
        comment(
            "longer than 30,000 characters",
            ClientError,
            json!({
                "comment": "x".repeat(30_001),
            }),
        ),
        comment("of the wrong kind", ClientError, json!({ "comment": 7 })),
        comment("without text", ClientError, json!({})),
        comment("NUL", Tolerated, json!({ "comment": "a\u{0}b" })),
        comment("markup", Expect::Done, json!({ "comment": "<img src=x onerror=alert(1)>" })),
    ]
}

fn sign_in_cases() -> Vec<Case> {
    use Expect::{ClientError, Tolerated, Unauthorised};
    let queue = "/v1.0/security/incidents";
    let get =
        |name: &str, token: &str| request(name, "GET", queue, Unauthorised, Vec::new).token(token);
    let form = |name: &str, body: &'static str| {
        let path = "/{tenant}/oauth2/v2.0/token";
        let mut case = request(name, "POST", path, ClientError, move || body.as_bytes().to_vec());
        if let Send::Http { content_type, .. } = &mut case.send {
            *content_type = "application/x-www-form-urlencoded";
        }
        case.token("")
    };
    vec![
        get("no token", ""),
        get("a token of nonsense", "nonsense"),
        get(
            "a token with no signature",
            concat!(
                "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.",
                "eyJzdWIiOiJhZG1pbiIsImV4cCI6OTk5OTk5OTk5OX0."
            ),
        ),
        get("a token of three dots", "..."),
        get("a token of 100 KB", &"x".repeat(100_000)).tolerant(),
        text("alerts without a token", Unauthorised, "{}").token(""),
        form("token: empty form", ""),
        form("token: wrong grant", "grant_type=password&client_id=x&client_secret=y"),
        form(
            "token: wrong secret",
            "grant_type=client_credentials&client_id=x&client_secret=y&scope=z%2F.default",
        ),
        form("token: broken escapes", "grant_type=%zz&client_id=%ff"),
        form("token: members twice", "grant_type=client_credentials&grant_type=x&client_id=a"),
        intake("idempotency key of 10 KB", Tolerated, || good(40).into_bytes())
            .header(&format!("Idempotency-Key: {}", "k".repeat(10_000))),
    ]
}

impl Case {
    /// The same case with any refusal accepted.
    fn tolerant(mut self) -> Self {
        self.expect = Expect::ClientError;
        self
    }
}

/// Alerts of `count` devices that share the loopback address and the system account.
pub(super) fn correlation_bomb(count: u64) -> String {
    let mut lines = String::new();
    for number in 0..count {
        let id = format!("bomb-{number}");
        let evidence = json!({ "createdDateTime": crate::clock::graph_time(crate::clock::now_seconds()),
            "evidence": [
            { "@odata.type": "#microsoft.graph.security.deviceEvidence",
              "mdeDeviceId": format!("{number:040x}"), "deviceDnsName": format!("bomb{number}.alder.example") },
            { "@odata.type": "#microsoft.graph.security.ipEvidence", "ipAddress": "127.0.0.1" },
            { "@odata.type": "#microsoft.graph.security.userEvidence", "userAccount": {
              "accountName": "SYSTEM", "domainName": "NT AUTHORITY", "userSid": "S-1-5-18" } },
        ]});
        let _ = writeln!(lines, "{}", alert(&id, &evidence));
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_case_has_a_name_of_its_own_and_a_body() {
        let mut names = HashSet::new();
        for case in cases("1") {
            assert!(names.insert(case.name.clone()), "{}", case.name);
            let Send::Http { body, path, .. } = &case.send else { panic!("{}", case.name) };
            assert!(!path.contains([' ', '\u{0}']), "{path}");
            if !case.name.contains("bomb") {
                body();
            }
        }
        assert!(names.len() > 120, "{}", names.len());
        assert_eq!(correlation_bomb(3).lines().count(), 3);
    }

    #[test]
    fn a_bomb_is_small_on_the_wire() {
        let small = gzip((0..64).map(|_| repeated(b" ", 1 << 20)));
        assert!(small.len() < 1 << 20, "{}", small.len());
        assert!(zstandard((0..64).map(|_| repeated(b" ", 1 << 20))).len() < 1 << 20);
    }
}
