//! Intake: JSON, records and compression.

use std::fmt::Write as _;
use std::io::Write as _;

use serde_json::{Value, json};

use super::{Case, Expect, alert, good, intake, repeated, text, with};

/// All cases of intake.
pub(super) fn cases() -> Vec<Case> {
    let mut all = json_cases();
    all.extend(record_cases());
    all.extend(encoding_cases());
    all
}

pub(super) fn gzip(parts: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
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
        intake("string of 7 MB", Refused, || {
            [b"{\"title\":\"".to_vec(), repeated(b"x", 7 << 20), b"\"}".to_vec()].concat()
        })
        .within(10),
        intake("600,000 members", Tolerated, || {
            let mut body = String::from("{\"title\":\"m\",\"providerAlertId\":\"members\"");
            for number in 0..600_000 {
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
        intake(
            "the rest is kept beside what would unfold",
            Stored { accepted: 2, rejected: 3 },
            || {
                let zeros = alert("zeros", &json!({ "x": vec![0; 100_000] }));
                let long = alert("long", &json!({ "description": "x".repeat(1 << 20) }));
                let wide = alert("wide", &json!({ "evidence": vec![json!({}); 10_001] }));
                format!("{}\n{zeros}\n{long}\n{wide}\n{}\n", good(24), good(25)).into_bytes()
            },
        )
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
        ("future", "2199-01-01T00:00:00Z"),
        ("negative year", "-0001-01-01T00:00:00Z"),
        ("second 61", "2026-11-01T10:00:61Z"),
        ("number beyond 64 bits", "99999999999999999999999"),
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
        ("cef", "CEF:0|Alder\\|Co|Gate\\\\|1|1|a\\=b|5|msg=x\\=y act=\\n cs1=\\|\n"),
        ("cef", "CEF:0|a|b|c|d|e|11|rt=\n"),
        ("cef", "Nov 01 10:00:00 fw CEF:0|a|b|c|d|e|5|msg=no priority\n"),
        ("cef", "<>CEF:0|a|b|c|d|e|5|\n<999999>CEF:0|a|b|c|d|e|5|\n"),
        ("cef", "99999 <134>CEF:0|a|b|c|d|e|5|a count that lies\n"),
        ("cef", "2 <134>CEF:0|a|b|c|d|e|5|a count that lies\n-1 <134>CEF:0|a|b|c|d|e|5|\n"),
        ("leef", "LEEF:2.0|a|b|c|d|x\\|=|k=v\n"),
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
        text("zip as an encoding", ClientError, "{}").encoded("zip"),
        text("deflate", ClientError, "{}").encoded("deflate"),
        intake("a zip archive", Expect::Refused, || {
            let mut archive = b"PK\x03\x04\x14\0\0\0\x08\0".to_vec();
            archive.resize(4_096, 0);
            archive
        }),
        intake("gzip members without end", Expect::RefusedOrClosed, || {
            gzip(std::iter::once(b" ".to_vec())).repeat(200_000)
        })
        .encoded("gzip")
        .within(10),
        intake("zstd of 8 MB windows", RefusedOrClosed, || {
            zstandard((0..64).map(|_| repeated(b" ", 1 << 20))).repeat(64)
        })
        .encoded("zstd")
        .within(10),
        intake("zstd cut short", Expect::Refused, || {
            let mut whole = zstandard(std::iter::once(good(35).into_bytes()));
            whole.truncate(whole.len() / 2);
            whole
        })
        .encoded("zstd"),
        text("ten encodings", ClientError, "{}")
            .encoded("gzip, gzip, gzip, gzip, gzip, gzip, gzip, gzip, gzip, gzip"),
        intake("gzip without content", Expect::Refused, || gzip(std::iter::empty()))
            .encoded("gzip"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bomb_is_small_on_the_wire() {
        let small = gzip((0..64).map(|_| repeated(b" ", 1 << 20)));
        assert!(small.len() < 1 << 20, "{}", small.len());
        assert!(zstandard((0..64).map(|_| repeated(b" ", 1 << 20))).len() < 1 << 20);
    }
}
