//! One event of a CEF or LEEF line as an alert.
//!
//! Both formats name the same members (`src`, `duser`, `fileHash` …), and vendors mix in their
//! own; a member becomes evidence when its text is what its name says. How a line is cut into
//! members is not here, see `cef` and `leef`.

use serde_json::{Map, Value, json};

use super::draft::{Draft, Fields, int, severity_word, something, texts};
use super::{Reading, parts, when};

/// Longest vendor or product that goes into the dedupe key.
const MAX_SOURCE: usize = 100;

/// The contract's severity of a CEF severity; `None` when the text is no severity at all.
pub(super) fn severity(text: &str) -> Option<&'static str> {
    let text = text.trim();
    match text.parse::<i64>() {
        Ok(0..=3) => Some("low"),
        Ok(4..=6) => Some("medium"),
        Ok(7..=10) => Some("high"),
        // -1 is how some products say that they do not know.
        Ok(_) => Some("unknown"),
        Err(_) if text.is_empty() || text.eq_ignore_ascii_case("unknown") => Some("unknown"),
        Err(_) => severity_word(text),
    }
}

/// One event of a CEF or LEEF line.
pub(super) struct Event {
    /// `cef` or `leef`.
    pub(super) format: &'static str,
    /// What stood before the header.
    pub(super) prefix: String,
    /// Version of the format, as spelt.
    pub(super) format_version: String,
    /// The vendor, often empty.
    pub(super) vendor: String,
    /// The product.
    pub(super) product: String,
    /// The version of the product.
    pub(super) product_version: String,
    /// The product's id of this kind of event.
    pub(super) id: String,
    /// The name of this kind of event, often empty.
    pub(super) name: String,
    /// The severity, as spelt.
    pub(super) severity: String,
    /// The extension or attributes.
    pub(super) extension: Map<String, Value>,
}

impl Event {
    /// The alert this event is.
    pub(super) fn alert(self) -> Reading {
        let short = |text: &str| text.to_lowercase().chars().take(MAX_SOURCE).collect::<String>();
        let source = format!("{}:{}|{}", self.format, short(&self.vendor), short(&self.product));
        let product = if self.product.to_lowercase().starts_with(&self.vendor.to_lowercase()) {
            self.product.clone()
        } else {
            format!("{} {}", self.vendor, self.product).trim().to_owned()
        };
        let extension = Value::Object(self.extension);
        let mut fields = Fields::new(&extension);

        let title = something(&self.name).map(str::to_owned).or_else(|| {
            let word = something(&self.id).filter(|id| !id.chars().any(|c| c.is_ascii_digit()));
            word.map(str::to_owned)
        });
        let title = title.or_else(|| {
            let names = ["EventMessage", "eventName", "event_name", "eventDesc", "Action"];
            names.iter().find_map(|name| fields.peek(name)).filter(|name| name.len() <= 200)
        });
        let title = title.unwrap_or_else(|| format!("{product} event {}", self.id));
        let mut draft = Draft::new(&source, Some(title));
        draft.set("productName", something(&product));
        draft.set("detectorId", something(&self.id));
        let severity_text = something(&self.severity).map(str::to_owned);
        let severity_text = severity_text.or_else(|| fields.first(&["sev", "severity"]));
        draft.set("severity", severity_text.as_deref().and_then(severity));
        // A bare number is the product's own numbering, not a word for people.
        let category = fields.peek("cat").filter(|text| text.parse::<i64>().is_err());
        if category.is_some() {
            fields.take("cat");
        }
        draft.set("category", category);
        draft.set("description", fields.first(&["msg", "event_description", "description"]));
        draft.set("providerAlertId", fields.text("externalId").filter(|id| id != "0"));

        times(&mut draft, &mut fields, &self.prefix);
        techniques(&mut draft, &extension);
        evidence(&mut draft, &mut fields);

        let mut leftover = fields.leftover();
        for (name, text) in [
            ("deviceVendor", self.vendor),
            ("deviceProduct", self.product),
            ("deviceVersion", self.product_version),
            ("formatVersion", self.format_version),
            ("formatSeverity", self.severity),
            ("linePrefix", self.prefix.trim().to_owned()),
        ] {
            if !text.is_empty() && !leftover.contains_key(name) {
                leftover.insert(name.to_owned(), Value::String(text));
            }
        }
        draft.finish(leftover)
    }
}

fn times(draft: &mut Draft, fields: &mut Fields, prefix: &str) {
    let mut first = |keys: &[&str]| {
        keys.iter().find_map(|key| {
            let exact = fields.time(key);
            if exact.is_some() {
                return exact;
            }
            let plain = plain_time(&fields.peek(key)?)?;
            fields.take(key);
            Some(plain)
        })
    };
    let start = first(&["start", "startTime"]);
    let end = first(&["end", "endTime"]);
    let at = first(&[
        "rt",
        "devTime",
        "deviceReceiptTime",
        "FTNTFGTeventtime",
        "FortinetFortiGateeventtime",
        "eventTime",
        "BitdefenderGZDetectionTime",
        "event_timestamp",
        "Date",
    ]);
    // RFC 5424 puts a full moment before the header; RFC 3164 has no year and is not a moment.
    let sent = || prefix.split_whitespace().take(4).find_map(|word| when::wire(&json!(word)));
    let created = at.or_else(|| end.clone()).or_else(|| start.clone()).or_else(sent);
    draft.set("firstActivityDateTime", start.or_else(|| created.clone()));
    draft.set("lastActivityDateTime", end.or_else(|| created.clone()));
    draft.set("lastUpdateDateTime", created.clone());
    draft.set("createdDateTime", created);
}

/// Spellings of a moment that only these formats have: `… GMT+00:00`, a zone by its short name,
/// and the timestamps of IBM i, `2020-04-30-12.11.52.265056`.
fn plain_time(text: &str) -> Option<String> {
    // Only names that mean one offset the world over.
    const ZONES: [(&str, &str); 12] = [
        ("CET", "+01:00"),
        ("CEST", "+02:00"),
        ("EET", "+02:00"),
        ("EEST", "+03:00"),
        ("WET", "+00:00"),
        ("WEST", "+01:00"),
        ("EST", "-05:00"),
        ("EDT", "-04:00"),
        ("PST", "-08:00"),
        ("PDT", "-07:00"),
        ("MDT", "-06:00"),
        ("JST", "+09:00"),
    ];
    let text = text.trim();
    if text.len() > 64 {
        return None;
    }
    let spelt = if let Some((head, zone)) = text.rsplit_once(' ')
        && let Some((_, offset)) = ZONES.iter().find(|(name, _)| *name == zone)
    {
        format!("{head} {offset}")
    } else if let Some((date, time)) = text.split_at_checked(10)
        && let Some(time) = time.strip_prefix('-')
    {
        format!("{date} {}", time.replacen('.', ":", 2))
    } else {
        ["GMT+", "GMT-", "UTC+", "UTC-"].iter().find_map(|zone| {
            let (head, offset) = text.split_once(zone)?;
            Some(format!("{head}{}{offset}", zone.get(3..)?))
        })?
    };
    when::wire(&Value::String(spelt))
}

fn techniques(draft: &mut Draft, extension: &Value) {
    for (key, value) in extension.as_object().into_iter().flatten() {
        let key = key.to_ascii_lowercase();
        if ["mitre", "attck", "technique", "attack"].iter().any(|word| key.contains(word)) {
            for text in texts(value) {
                draft.mitre(&text);
            }
        }
    }
}

/// Adds what one of several members names, and marks that member only when it named something.
fn each(
    draft: &mut Draft,
    fields: &mut Fields,
    keys: &[&str],
    build: impl Fn(&str) -> Option<Value>,
) -> Option<String> {
    let mut first = None;
    for key in keys {
        let Some(found) = fields.find(key) else { continue };
        let values = texts(found);
        let pieces: Vec<Value> = values.iter().filter_map(|text| build(text)).collect();
        if pieces.is_empty() {
            continue;
        }
        if pieces.len() == values.len() {
            fields.take(key);
        }
        for piece in pieces {
            draft.evidence(Some(piece));
        }
        first = first.or_else(|| values.into_iter().next());
    }
    first
}

fn evidence(draft: &mut Draft, fields: &mut Fields) {
    let from_keys = ["src", "src_ip", "identSrc", "Source IPv6 Address", "source_address"];
    let to_keys = ["dst", "dst_ip", "Destination IPv6 Address", "destination_address"];
    let from = each(draft, fields, &from_keys, |text| parts::ip(text, &["source"]));
    let to = each(draft, fields, &to_keys, |text| parts::ip(text, &["destination"]));
    each(draft, fields, &["sourceTranslatedAddress", "srcPostNAT"], |text| {
        parts::ip(text, &["source"])
    });
    each(draft, fields, &["destinationTranslatedAddress", "dstPostNAT"], |text| {
        parts::ip(text, &["destination"])
    });
    if let (Some(from), Some(to)) = (&from, &to) {
        let mut port = |keys: &[&str]| {
            let key = keys.iter().find(|key| fields.find(key).is_some())?;
            let port = parts::port(&fields.peek(key)?)?;
            fields.take(key);
            Some(port)
        };
        let from_port = port(&["spt", "srcPort", "src_port"]);
        let to_port = port(&["dpt", "dstPort", "dst_port"]);
        let protocol = fields.peek("proto").or_else(|| fields.peek("protocol"));
        let piece = parts::connection((from, from_port), (to, to_port), protocol.as_deref());
        draft.evidence(piece);
    }

    let source_host = each(draft, fields, &["shost", "identHostName"], |text| {
        parts::device(text, None, &["source"])
    });
    // What a web request went to is a site, not one of the customer's machines.
    let web = ["request", "requestMethod", "url"].iter().any(|key| fields.peek(key).is_some());
    let target_host = each(draft, fields, &["dhost"], |text| {
        if web && text.contains('.') && parts::address(text).is_none() {
            parts::dns(text, &["destination"])
        } else {
            parts::device(text, None, &["destination"])
        }
    });
    each(draft, fields, &["MachineName", "computerName", "device_name"], |text| {
        parts::device(text, None, &[])
    });
    // The reporting machine is the subject of a host sensor and mere context of a firewall.
    let known = [&from, &to, &source_host, &target_host].iter().any(|end| end.is_some());
    let role: &[&str] = if known { &["contextual"] } else { &[] };
    each(draft, fields, &["dvchost"], |text| parts::device(text, None, role));
    each(draft, fields, &["MachineIP"], |text| parts::ip(text, &[]));
    // Several addresses may be listed with commas.
    let listed = fields.peek("dvc").unwrap_or_default();
    let addresses: Vec<Value> =
        listed.split(',').take(64).filter_map(|text| parts::ip(text, role)).collect();
    if !addresses.is_empty() {
        fields.take("dvc");
    }
    for address in addresses {
        draft.evidence(Some(address));
    }

    let source_domain = fields.peek("sntdom");
    let target_domain = fields.peek("dntdom");
    let source_id = fields.peek("suid");
    let target_id = fields.peek("duid");
    each(draft, fields, &["suser", "usrName", "src_user", "susr", "SourceUser", "User"], |text| {
        parts::user(text, source_domain.as_deref(), source_id.as_deref(), &["source"])
    });
    each(draft, fields, &["duser", "TargetUser", "accountName"], |text| {
        parts::user(text, target_domain.as_deref(), target_id.as_deref(), &["destination"])
    });

    each(draft, fields, &["request", "url"], |text| parts::url(text.trim_matches('"'), &[]));
    let names = ["destinationDnsDomain", "sourceDnsDomain", "dstname", "cncHost", "query_name"];
    each(
        draft,
        fields,
        &names,
        |text| if text.contains('.') { parts::dns(text, &[]) } else { None },
    );

    file(draft, fields);
    for (path, id, parent) in [("sproc", "spid", true), ("dproc", "dpid", false)] {
        let image = fields.peek(path).map(|text| text.trim_matches('"').to_owned());
        let Some(image) = image else { continue };
        let command = if parent { fields.peek("BitdefenderGZProcessCommandLine") } else { None };
        let process = parts::Process {
            id: fields.find(id).and_then(int),
            command_line: command,
            image: parts::File::at(Some(image)),
            ..parts::Process::default()
        };
        let piece = process.evidence(&[]);
        if piece.is_some() {
            for key in [path, id] {
                fields.take(key);
            }
        }
        draft.evidence(piece);
    }
}

fn file(draft: &mut Draft, fields: &mut Fields) {
    let name = ["fname", "fileName"].into_iter().find(|key| fields.peek(key).is_some());
    let path = ["filePath"].into_iter().find(|key| fields.peek(key).is_some());
    let mut hashes = Vec::new();
    let mut hash_keys = Vec::new();
    for key in [
        "fileHash",
        "Hash",
        "BitdefenderGZFileHashSha256",
        "BitdefenderGZMalwareHash",
        "PanOSFileHash",
        "FTNTFGTfilehash",
        "md5",
        "sha1",
        "sha256",
        "MD5",
        "SHA1",
        "SHA256",
    ] {
        if let Some(hash) = fields.peek(key).filter(|hash| parts::hash_algorithm(hash).is_some()) {
            hashes.push(hash);
            hash_keys.push(key);
        }
    }
    // A request that is a path, not a link: Cybereason puts the file there.
    let path = path.or_else(|| {
        let text = fields.peek("request")?;
        if text.trim_start_matches('"').contains(":\\") { Some("request") } else { None }
    });
    let file = parts::File {
        path: path.and_then(|key| fields.peek(key)).map(|path| path.trim_matches('"').to_owned()),
        name: name.and_then(|key| fields.peek(key)),
        hashes,
        size: fields.find("fsize").and_then(int),
    };
    let piece = file.evidence(&[]);
    if piece.is_some() {
        for key in hash_keys.into_iter().chain(name).chain(path).chain(["fsize"]) {
            fields.take(key);
        }
    }
    draft.evidence(piece);
}
