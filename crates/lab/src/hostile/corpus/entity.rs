//! Texts that mean harm to whoever shows, searches, exports or compares them, in the members an
//! alert is correlated by.

use serde_json::{Value, json};

use super::{Case, Expect, alert, intake, with};
use crate::alerts::Alerts;

/// Alerts in one request of the storm.
const STORM_REQUEST: u64 = 2_500;

/// Every member of an alert and its evidence that is free text, holding `text`.
fn everywhere(text: &str) -> Value {
    let of = |kind: &str| format!("#microsoft.graph.security.{kind}Evidence");
    json!({
        "title": text, "description": text, "category": text, "assignedTo": text,
        "recommendedActions": text, "threatDisplayName": text, "actorDisplayName": text,
        "productName": text, "detectorId": text, "mitreTechniques": [text],
        "systemTags": [text], "customDetails": { text: text },
        "comments": [{ "comment": text, "createdByDisplayName": text }],
        "evidence": [
            { "@odata.type": of("device"), "deviceDnsName": text, "hostName": text,
              "mdeDeviceId": text, "osPlatform": text, "tags": [text], "roles": [text] },
            { "@odata.type": of("user"), "userAccount": { "accountName": text,
              "domainName": text, "userSid": text, "userPrincipalName": text } },
            { "@odata.type": of("file"), "fileDetails": { "fileName": text, "filePath": text,
              "sha1": text, "sha256": text } },
            { "@odata.type": of("process"), "processCommandLine": text,
              "imageFile": { "fileName": text, "filePath": text } },
            { "@odata.type": of("url"), "url": text },
            { "@odata.type": of("ip"), "ipAddress": text },
            { "@odata.type": of("mailbox"), "primaryAddress": text, "displayName": text },
            { "@odata.type": text },
        ],
    })
}

/// All of them, and a storm of this many alerts on one device.
pub(super) fn cases(storm: u64) -> Vec<Case> {
    use Expect::{Done, Stored, Tolerated};
    let mut cases = Vec::new();
    for (name, text) in [
        ("four bytes", "\u{1f9ea}\u{1f468}\u{200d}\u{1f4bb}"),
        ("homoglyphs", "\u{0430}lder.ex\u{0430}mple"),
        ("mixed directions", "\u{202e}elpmaxe.redla\u{2066}"),
        ("composed", "caf\u{e9}.alder.example"),
        ("decomposed", "cafe\u{301}.alder.example"),
        ("case that grows", "\u{0130}\u{df}\u{fb03}\u{1e9e}"),
        ("script", "<script>alert(1)</script>"),
        ("attribute", "\" onmouseover=alert(1) x=\""),
        ("SVG", "<svg/onload=alert(1)>"),
        ("style", "</style><style>@import'//alder.example'</style>"),
        ("Markdown", "[x](javascript:alert(1)) ![y](//alder.example/z) <iframe src=x>"),
        ("template", "{{7*7}} ${7*7} <%= 7*7 %> #{7*7}"),
        ("formula", "=HYPERLINK(\"//alder.example\",\"x\")"),
        ("formula with plus", "+1+cmd|'/C calc'!A0"),
        ("formula with at", "@SUM(1+1)*cmd|'/C calc'!A0"),
        ("formula behind a tab", "\t=1+1"),
        ("line breaks", "a\r\nBcc: ida@alder.example\r\n\r\nb"),
        ("forged line", "a\nlevel=error msg=forged"),
        ("terminal", "\u{1b}]8;;//alder.example\u{7}x\u{1b}]8;;\u{7}\u{1b}[2J\u{9b}31m"),
        ("path", "../../../../etc/passwd"),
        ("path of Windows", "C:\\..\\..\\CON\\..\\x.txt::$DATA"),
        ("path with NUL", "/tmp/a\u{0}.txt"),
        ("SQL", "'; drop table alert; --"),
        ("pattern", "%_[a-z]*?\\"),
        ("full text search", "\"a\" NEAR/0 b* NOT (c OR :d) ^e"),
        ("expression", "(a+)+$(.*)*(x|x)*"),
        ("glob", "**/**/**/**/*{a,b}{a,b}{a,b}"),
        ("address in decimal", "http://2130706433/"),
        ("address in octal", "http://0177.0.0.1/"),
        ("address in hexadecimal", "http://0x7f.1/"),
        ("mapped address", "http://[::ffff:169.254.169.254]/latest/meta-data"),
        ("nothing", "http://0/ http://[::]/"),
        ("no dots", "http://localhost"),
        ("user in front", "https://alder.example@127.0.0.1/"),
        ("international name", "https://xn--80ak6aa92e.example/"),
        ("hash of no length", "da39a3ee"),
        ("hash in upper case", "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709"),
        ("IPv6 with zone", "fe80::1%eth0"),
        ("IPv6 in long form", "2001:0DB8:0000:0000:0000:0000:0000:0001"),
        ("everything there is", "0.0.0.0/0"),
        ("everything there is in IPv6", "::/0"),
        ("blank", " \t\u{a0}\u{3000} "),
        ("nothing at all", ""),
    ] {
        cases.push(with(&format!("everywhere: {name}"), Done, everywhere(text)));
    }
    cases.push(with("everywhere: 50,000 characters", Tolerated, everywhere(&"x".repeat(50_000))));
    let sent = storm.div_ceil(STORM_REQUEST);
    for part in 0..sent {
        let (from, to) = (part * STORM_REQUEST, storm.min((part + 1) * STORM_REQUEST));
        let stored = Stored { accepted: to - from, rejected: 0 };
        let storm = intake(&format!("a storm on one device, part {part}"), stored, move || {
            let alerts = Alerts::new(611, 0);
            let lines = (from..to).map(|number| alerts.grouped(number, 7) + "\n");
            lines.collect::<String>().into_bytes()
        });
        cases.push(storm.lines().within(15));
    }
    cases.push(
        intake("homoglyph hosts", Stored { accepted: 2, rejected: 0 }, || {
            let host = |id: &str, name: &str| {
                alert(
                    id,
                    &json!({ "evidence": [{ "deviceDnsName": name,
                "@odata.type": "#microsoft.graph.security.deviceEvidence" }] }),
                )
            };
            let one = host("glyph-1", "till-9.alder.example");
            let two = host("glyph-2", "till-9.\u{0430}lder.example");
            format!("{one}\n{two}\n").into_bytes()
        })
        .lines(),
    );
    cases
}
