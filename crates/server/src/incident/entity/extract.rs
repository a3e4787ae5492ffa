//! Reads the evidence of an alert body into entities.
//!
//! Every piece is hostile input: a member of the wrong type is a missing one, nothing recurses,
//! and what is read and kept is bounded.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use serde_json::{Map, Value};

use super::{Entities, Entity, EntityKind, MAX_ENTITIES, Side, entity_id, worth};

/// Evidence read of one alert; a body of more is a list, not an alert.
const MAX_EVIDENCE: usize = 20_000;
/// Things of one kind beyond which an alert is a list of them and links through none: the ten
/// thousand account names of a guessing attack do not make ten thousand people one incident.
const MAX_OF_KIND: usize = 32;
/// Keys of one kind kept, so that a list of one kind leaves room for the others.
const MAX_KEYS_OF_KIND: usize = 200;
/// Longest key kept, in characters; the id is of the whole.
const MAX_KEY: usize = 512;
/// Longest name kept for people to read, in characters.
const MAX_NAME: usize = 256;

/// The things a body in the Graph `alerts_v2` shape names in its `evidence`.
#[must_use]
pub fn entities(body: &Map<String, Value>) -> Entities {
    let evidence = body.get("evidence").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut found = Found::default();
    found.out.left_out = evidence.len().saturating_sub(MAX_EVIDENCE);
    // Parties first: they are what the other evidence hangs on, and what the limit must keep.
    for rank in 0..4 {
        for piece in evidence.iter().take(MAX_EVIDENCE) {
            let stem = stem(piece);
            if rank_of(stem) == rank {
                found.piece(stem, piece);
            }
        }
    }
    found.finish(body)
}

fn stem(piece: &Value) -> &str {
    let kind = text(piece, "@odata.type");
    let kind = kind.rsplit('.').next().unwrap_or_default();
    kind.strip_suffix("Evidence").unwrap_or(kind)
}

/// Devices first, then people, then what an attack leaves, then the rest.
fn rank_of(stem: &str) -> u8 {
    match stem {
        "device" | "ioTDevice" => 0,
        "user" | "mailbox" => 1,
        "analyzedMessage"
        | "submissionMail"
        | "teamsMessage"
        | "file"
        | "fileHash"
        | "url"
        | "oauthApplication"
        | "servicePrincipal"
        | "azureResource"
        | "amazonResource"
        | "googleCloudResource"
        | "ip" => 2,
        _ => 3,
    }
}

#[derive(Default)]
struct Found {
    out: Entities,
    seen: HashSet<i64>,
    kept: HashMap<i16, usize>,
    things: u16,
    /// Domains of the accounts and devices found, for [`EntityKind::Halves`].
    domains: Vec<String>,
    /// The first key of the first device, and whether a second device was named.
    device: Option<(u16, String, String)>,
    many_devices: bool,
    controller: bool,
    /// Whether a product's own sensor sits on a device named.
    on_device: bool,
}

impl Found {
    fn thing(&mut self) -> u16 {
        self.things = self.things.saturating_add(1);
        self.things
    }

    fn push(&mut self, mut entity: Entity) {
        entity.id = entity_id(entity.code(), &entity.key);
        if entity.key.is_empty() || !self.seen.insert(entity.id) {
            return;
        }
        if let Some((end, _)) = entity.key.char_indices().nth(MAX_KEY) {
            entity.key.truncate(end);
        }
        let of_kind = self.kept.entry(entity.code()).or_default();
        *of_kind += 1;
        if self.out.list.len() >= MAX_ENTITIES || *of_kind > MAX_KEYS_OF_KIND {
            self.out.left_out = self.out.left_out.saturating_add(1);
            return;
        }
        self.out.list.push(entity);
    }

    /// Adds a key of a thing, and its judged twin when the source called it hostile.
    fn key(&mut self, kind: EntityKind, thing: u16, key: String, name: &str, mark: Mark) {
        let name: String = name.chars().take(MAX_NAME).collect();
        let weight = if mark.idle.is_some() { 0 } else { kind.base_weight() };
        let entity = Entity {
            id: 0,
            kind,
            judged: false,
            side: mark.side,
            key,
            name,
            thing,
            weight,
            idle: mark.idle,
        };
        if mark.judged && !mark.never {
            let (weight, idle) = (kind.base_weight(), None);
            self.push(Entity { judged: true, weight, idle, ..entity.clone() });
        }
        self.push(entity);
    }

    fn piece(&mut self, stem: &str, piece: &Value) {
        let hostile = hostile(piece);
        match stem {
            "device" => self.device(piece),
            "ioTDevice" => {
                let thing = self.thing();
                let id = text(piece, "deviceId").to_lowercase();
                let mac = text(piece, "macAddress").to_lowercase();
                let name = first(&[text(piece, "deviceName"), &id, &mac]);
                self.note_device(thing, &format!("iot:{}", first(&[&id, &mac])), name);
                self.key(EntityKind::Device, thing, keyed("iot", &id), name, Mark::default());
                self.key(EntityKind::Device, thing, keyed("mac", &mac), name, Mark::default());
            }
            "user" => self.account(piece.get("userAccount"), hostile),
            "mailbox" => self.mailbox(piece, hostile),
            "mailboxConfiguration" => {
                let address = first(&[text(piece, "upn"), text(piece, "mailboxPrimaryAddress")]);
                self.address(address, false);
            }
            "hostLogonSession" => {
                self.account(piece.get("account").and_then(|user| user.get("userAccount")), false);
                if let Some(host) = piece.get("host") {
                    self.device(host);
                }
            }
            "cloudLogonSession" => {
                self.account(piece.get("account").and_then(|user| user.get("userAccount")), false);
                self.plain(EntityKind::Session, "session", text(piece, "sessionId"));
            }
            "cloudLogonRequest" => {
                self.plain(EntityKind::Session, "request", text(piece, "requestId"));
            }
            "analyzedMessage" => {
                let id = text(piece, "networkMessageId");
                if id.is_empty() {
                    self.plain(EntityKind::Message, "mail", text(piece, "internetMessageId"));
                } else {
                    self.plain(EntityKind::Message, "mail", id);
                }
                self.address(text(piece, "recipientEmailAddress"), false);
            }
            "submissionMail" => {
                self.plain(EntityKind::Message, "mail", text(piece, "networkMessageId"));
                self.address(text(piece, "recipient"), false);
            }
            "teamsMessage" => self.plain(EntityKind::Message, "chat", text(piece, "messageId")),
            "ip" => self.ip(piece, hostile),
            "networkConnection" => {
                for end in ["sourceAddress", "destinationAddress"] {
                    if let Some(end) = piece.get(end) {
                        self.ip(end, hostile);
                    }
                }
            }
            "url" | "blob" | "blobContainer" => self.url(text(piece, "url"), hostile),
            "dns" => self.domain(text(piece, "domainName"), hostile),
            "file" => self.file(piece.get("fileDetails"), piece),
            "fileHash" => {
                let hash = text(piece, "value").to_lowercase();
                self.hash(&hash, &hash, None, malicious(piece));
            }
            "process" => self.process(piece),
            "malware" => {
                for file in items(piece, "files").iter().take(MAX_OF_KIND) {
                    self.file(file.get("fileDetails"), file);
                }
                for process in items(piece, "processes").iter().take(MAX_OF_KIND) {
                    self.process(process);
                }
            }
            "oauthApplication" => {
                let id = first(&[text(piece, "appId"), text(piece, "objectId")]);
                self.named(EntityKind::Application, "app", id, text(piece, "displayName"));
            }
            "servicePrincipal" => {
                let id = first(&[text(piece, "appId"), text(piece, "servicePrincipalObjectId")]);
                let name = text(piece, "servicePrincipalName");
                self.named(EntityKind::Application, "app", id, name);
            }
            "azureResource" | "alert" => self.resource(piece, "resourceId"),
            "amazonResource" => self.resource(piece, "amazonResourceId"),
            "googleCloudResource" => self.resource(piece, "fullResourceName"),
            "registryKey" | "registryValue" => {
                let device = text(piece, "mdeDeviceId");
                let parts = [text(piece, "registryHive"), text(piece, "registryKey")];
                let value = text(piece, "registryValueName");
                // Without its device a key such as Run is the same on every machine.
                if !device.is_empty() && !parts[1].is_empty() {
                    let key = format!("{device}|{}|{}|{value}", parts[0], parts[1]);
                    self.named(EntityKind::Registry, "reg", &key, parts[1]);
                }
                self.device_id(device);
            }
            "container" => {
                self.named(
                    EntityKind::Container,
                    "container",
                    text(piece, "containerId"),
                    text(piece, "name"),
                );
            }
            "kubernetesPod"
            | "kubernetesController"
            | "kubernetesService"
            | "kubernetesServiceAccount"
            | "kubernetesSecret" => {
                let namespace = piece.get("namespace").unwrap_or(&Value::Null);
                let cluster = namespace.get("cluster").unwrap_or(&Value::Null);
                let name = text(piece, "name");
                // Without a cluster the name is anybody's: every cluster has a `default`.
                if !name.is_empty() && !text(cluster, "name").is_empty() {
                    let place = [text(cluster, "name"), text(namespace, "name")].join("|");
                    self.named(EntityKind::Container, stem, &format!("{place}|{name}"), name);
                }
            }
            "gitHubRepo" => self.plain(EntityKind::Repository, "repo", text(piece, "repoId")),
            "gitHubOrganization" => {
                self.plain(EntityKind::Repository, "org", text(piece, "orgId"));
            }
            "gitHubUser" => self.plain(EntityKind::Repository, "user", text(piece, "userId")),
            _ => {}
        }
    }

    fn plain(&mut self, kind: EntityKind, space: &str, id: &str) {
        self.named(kind, space, id, id);
    }

    fn named(&mut self, kind: EntityKind, space: &str, id: &str, name: &str) {
        let id = id.trim().to_lowercase();
        if !id.is_empty() {
            let thing = self.thing();
            let name = first(&[name, &id]);
            self.key(kind, thing, format!("{space}:{id}"), name, Mark::default());
        }
    }

    fn note_device(&mut self, thing: u16, key: &str, name: &str) {
        match &self.device {
            Some((first, ..)) if *first != thing => self.many_devices = true,
            Some(_) => {}
            None => self.device = Some((thing, key.to_owned(), name.to_owned())),
        }
    }

    fn device(&mut self, piece: &Value) {
        let mde = text(piece, "mdeDeviceId").to_lowercase();
        let dns = text(piece, "deviceDnsName").trim_end_matches('.').to_lowercase();
        let host = text(piece, "hostName").trim_end_matches('.').to_lowercase();
        let domain = text(piece, "dnsDomain").trim_matches('.').to_lowercase();
        let dotted = |name: &str| name.contains('.') && name.parse::<IpAddr>().is_err();
        let full = if dotted(&dns) {
            dns.clone()
        } else if dotted(&host) {
            host.clone()
        } else if !host.is_empty() && !domain.is_empty() {
            format!("{host}.{domain}")
        } else {
            String::new()
        };
        let short = if full.is_empty() {
            first(&[&host, &dns]).to_owned()
        } else {
            full.split('.').next().unwrap_or_default().to_owned()
        };
        let idle = worth::idle_host(&short);
        let known = !mde.is_empty() || !full.is_empty();
        let aad = if known { String::new() } else { text(piece, "azureAdDeviceId").to_lowercase() };
        let keys = [keyed("mde", &mde), keyed("dns", &full), keyed("aad", &aad)];
        self.on_device |= !mde.is_empty();
        // The same device may have been named before by another piece of evidence.
        let thing = self.known_thing(&keys).unwrap_or_else(|| self.thing());
        let shown = first(&[&short, &mde, &aad]).to_owned();
        if idle.is_none() {
            self.note_device(thing, first(&[&keys[1], &keys[0], &keys[2], &short]), &shown);
        }
        let tagged = items(piece, "tags").iter().filter_map(Value::as_str);
        self.controller |= tagged.clone().any(|tag| tag.eq_ignore_ascii_case("domaincontroller"));
        let mut rest = full.split_once('.').map_or(domain.as_str(), |(_, rest)| rest);
        for _ in 0..4 {
            if !rest.contains('.') {
                break;
            }
            self.domains.push(rest.to_owned());
            rest = rest.split_once('.').map_or("", |(_, parent)| parent);
        }
        let mark = Mark { idle, ..Mark::default() };
        for key in keys {
            // A product's id names one device even where its name is `localhost`.
            let mark = if key.starts_with("dns:") { mark } else { Mark::default() };
            self.key(EntityKind::Device, thing, key, &shown, mark);
        }
        let side = if known { Side::One } else { Side::Any };
        self.key(EntityKind::DeviceName, thing, short.clone(), &short, Mark { side, ..mark });
        let machine = piece.get("vmMetadata").map_or("", |vm| text(vm, "resourceId"));
        if !machine.is_empty() {
            let key = format!("resource:{}", machine.to_lowercase());
            self.key(EntityKind::CloudResource, thing, key, &shown, Mark::default());
        }
    }

    /// A device other evidence mentions by its product id alone.
    fn device_id(&mut self, id: &str) {
        let key = keyed("mde", &id.to_lowercase());
        if key.is_empty() || self.seen.contains(&entity_id(EntityKind::Device as i16, &key)) {
            return;
        }
        let thing = self.thing();
        self.note_device(thing, &key, id);
        self.key(EntityKind::Device, thing, key, id, Mark::default());
    }

    fn known_thing(&self, keys: &[String]) -> Option<u16> {
        let ids = keys.iter().filter(|key| !key.is_empty());
        let id = ids
            .map(|key| entity_id(EntityKind::Device as i16, key))
            .find(|id| self.seen.contains(id))?;
        self.out.list.iter().find(|entity| entity.id == id).map(|entity| entity.thing)
    }

    fn account(&mut self, account: Option<&Value>, judged: bool) {
        let Some(account) = account else { return };
        let upn = text(account, "userPrincipalName").to_lowercase();
        let sid = text(account, "userSid").to_lowercase();
        let oid = text(account, "azureAdUserId").to_lowercase();
        let name = text(account, "accountName").to_lowercase();
        let domain = text(account, "domainName").to_lowercase();
        let resolved = !oid.is_empty() || !upn.is_empty();
        let qualified = resolved || !domain.is_empty();
        let idle = (if sid.is_empty() { None } else { worth::idle_sid(&sid) }).or_else(|| {
            if resolved && name.is_empty() {
                None
            } else {
                worth::idle_account(&name, &domain, qualified || !sid.is_empty())
            }
        });
        let shown = first(&[&upn, &name, &sid, &oid]).to_owned();
        let mark = Mark { idle, judged, never: idle.is_some(), side: Side::Any };
        let thing = self.thing();
        let before = self.out.list.len();
        self.key(EntityKind::Account, thing, keyed("upn", &upn), &shown, mark);
        self.key(EntityKind::Account, thing, keyed("oid", &oid), &shown, mark);
        self.key(EntityKind::Account, thing, keyed("sid", &sid), &shown, mark);
        let known = !sid.is_empty() || resolved;
        if !name.is_empty() && (!known || (!domain.is_empty() && !domain.contains('.'))) {
            // The first label of a directory's name is, nearly always, its short Windows name.
            let label = domain.split('.').next().unwrap_or_default();
            let key = if label.is_empty() { name } else { format!("{label}\\{name}") };
            self.key(EntityKind::AccountName, thing, key, &shown, mark);
        }
        if idle.is_none() && self.out.list.len() > before {
            let suffix = upn.split_once('@').map_or("", |(_, suffix)| suffix);
            for domain in [domain.as_str(), suffix] {
                if domain.contains('.') {
                    self.domains.push(domain.to_owned());
                }
            }
        }
    }

    fn mailbox(&mut self, piece: &Value, judged: bool) {
        self.account(piece.get("userAccount"), judged);
        self.address(text(piece, "upn"), judged);
        self.address(text(piece, "primaryAddress"), judged);
    }

    /// A mail address is its owner's account.
    fn address(&mut self, address: &str, judged: bool) {
        let address = address.trim().to_lowercase();
        if address.contains('@') {
            let thing = self.thing();
            let mark = Mark { judged, ..Mark::default() };
            self.key(EntityKind::Account, thing, format!("upn:{address}"), &address, mark);
        }
    }

    fn ip(&mut self, piece: &Value, judged: bool) {
        let Ok(address) = text(piece, "ipAddress").trim().parse::<IpAddr>() else { return };
        let address = address.to_canonical();
        let idle = worth::idle_address(address);
        let judged = judged || hostile(piece);
        let (thing, name) = (self.thing(), address.to_string());
        let mark = Mark { idle, judged, never: idle.is_some(), side: Side::Any };
        self.key(EntityKind::Ip, thing, name.clone(), &name, mark);
    }

    fn url(&mut self, url: &str, judged: bool) {
        let url = url.trim();
        // http and https, and a closing slash, are the same place; path and query are not ours
        // to fold.
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let rest = rest.split('#').next().unwrap_or_default().trim_end_matches('/');
        let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let host = host.rsplit('@').next().unwrap_or_default().to_lowercase();
        let bare = host.split(':').next().unwrap_or_default();
        if bare.is_empty() {
            return;
        }
        let idle = worth::idle_host(bare);
        let mark = Mark { idle, judged, never: idle.is_some(), side: Side::Any };
        if path.is_empty() {
            // A URL without a path is its host: the same thing as a DNS name.
            return self.domain(&host, judged);
        }
        let thing = self.thing();
        self.key(EntityKind::Url, thing, format!("{host}{path}"), url, mark);
        if judged {
            self.domain(&host, judged);
        }
    }

    fn domain(&mut self, name: &str, judged: bool) {
        let name = name.trim().trim_end_matches('.').to_lowercase();
        if !name.is_empty() {
            let idle = worth::idle_host(name.split(':').next().unwrap_or_default());
            let mark = Mark { idle, judged, never: idle.is_some(), side: Side::Any };
            let thing = self.thing();
            self.key(EntityKind::Domain, thing, name.clone(), &name, mark);
        }
    }

    fn file(&mut self, details: Option<&Value>, piece: &Value) {
        if let Some(details) = details {
            let hash =
                first(&[text(details, "sha256"), text(details, "sha1"), text(details, "md5")])
                    .to_lowercase();
            let name = text(details, "fileName");
            let idle = worth::idle_file(text(details, "filePath"), name);
            self.hash(&hash, first(&[name, &hash]), idle, malicious(piece));
        }
        self.device_id(text(piece, "mdeDeviceId"));
    }

    fn hash(&mut self, hash: &str, name: &str, idle: Option<&'static str>, judged: bool) {
        if hash.len() < 16 {
            return;
        }
        let empty = worth::idle_hash(hash);
        let thing = self.thing();
        let mark = Mark { idle: empty.or(idle), judged, never: empty.is_some(), side: Side::Any };
        self.key(EntityKind::File, thing, hash.to_owned(), name, mark);
    }

    fn process(&mut self, piece: &Value) {
        let device = text(piece, "mdeDeviceId");
        let started = text(piece, "processCreationDateTime");
        if let Some(id) = piece.get("processId").and_then(Value::as_i64)
            && !device.is_empty()
            && !started.is_empty()
        {
            let image = piece.get("imageFile").map_or("", |file| text(file, "fileName"));
            let key = format!("{device}|{id}|{started}");
            self.named(EntityKind::Process, "process", &key, image);
        }
        self.account(piece.get("userAccount"), false);
        self.file(piece.get("imageFile"), piece);
    }

    fn resource(&mut self, piece: &Value, member: &str) {
        let id = text(piece, member).trim_end_matches('/');
        let shown = first(&[text(piece, "resourceName"), id]);
        self.named(EntityKind::CloudResource, "resource", id, shown);
    }

    /// Takes the weight of kinds the alert only lists, and adds what the alert as a whole says.
    fn finish(mut self, body: &Map<String, Value>) -> Entities {
        let mut things: HashMap<(EntityKind, bool), HashSet<u16>> = HashMap::new();
        for entity in self.out.list.iter().filter(|entity| entity.weight > 0) {
            things.entry((entity.kind, entity.judged)).or_default().insert(entity.thing);
        }
        for entity in &mut self.out.list {
            let of_kind = things.get(&(entity.kind, entity.judged)).map_or(0, HashSet::len);
            if of_kind > MAX_OF_KIND {
                entity.weight = 0;
                entity.idle = entity.idle.or(Some("one of very many in the alert"));
            }
        }
        let member = |name| body.get(name).and_then(Value::as_str).unwrap_or_default();
        let detector = member("detectorId").trim().to_lowercase();
        let source = first(&[member("detectionSource"), member("serviceSource")]);
        let title = member("title").trim().to_lowercase();
        let rule = first(&[&detector, &title]);
        if let Some((thing, key, name)) = self.device.take()
            && !self.many_devices
            && !self.controller
            && !rule.is_empty()
        {
            let key = format!("{source}|{rule}|{key}");
            self.key(EntityKind::Repeat, thing, key, &name, Mark::default());
        }
        self.halves(source, &detector);
        self.out
    }

    /// A sensor that watches a directory may tell one event in two alerts: one names the account,
    /// the other the device. Same detection, same domain, same minute, and neither names both.
    /// A sensor on the device itself is none of these: it knows both.
    fn halves(&mut self, source: &str, detector: &str) {
        let has = |wanted: &[EntityKind]| {
            let mut telling = self.out.list.iter().filter(|entity| entity.weight > 0);
            telling.any(|entity| wanted.contains(&entity.kind))
        };
        let who = has(&[EntityKind::Account]);
        let place = has(&[EntityKind::Device]);
        if detector.is_empty() || who == place || self.on_device || has(&[EntityKind::Message]) {
            return;
        }
        let side = if who { Side::One } else { Side::Two };
        let mut domains = std::mem::take(&mut self.domains);
        domains.sort();
        domains.dedup();
        let thing = self.thing();
        for domain in domains.into_iter().take(8) {
            let key = format!("{source}|{detector}|{domain}");
            self.key(EntityKind::Halves, thing, key, &domain, Mark { side, ..Mark::default() });
        }
    }
}

#[derive(Clone, Copy, Default)]
struct Mark {
    idle: Option<&'static str>,
    judged: bool,
    /// Idle whatever the verdict: loopback is loopback.
    never: bool,
    side: Side,
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value.get(member).and_then(Value::as_str).map(str::trim).unwrap_or_default()
}

fn items<'a>(value: &'a Value, member: &str) -> &'a [Value] {
    value.get(member).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn first<'a>(texts: &[&'a str]) -> &'a str {
    texts.iter().find(|text| !text.is_empty()).copied().unwrap_or_default()
}

fn keyed(space: &str, id: &str) -> String {
    if id.is_empty() { String::new() } else { format!("{space}:{id}") }
}

fn malicious(piece: &Value) -> bool {
    text(piece, "verdict") == "malicious"
}

/// Whether the source said the thing belongs to the attack rather than to its victim.
fn hostile(piece: &Value) -> bool {
    malicious(piece)
        || items(piece, "roles")
            .iter()
            .filter_map(Value::as_str)
            .any(|role| matches!(role, "attacker" | "commandAndControl" | "compromised"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(evidence: &Value) -> Entities {
        let body = json!({"title": "odd", "evidence": evidence});
        entities(body.as_object().unwrap())
    }

    fn piece(stem: &str, mut members: Value) -> Value {
        members["@odata.type"] = json!(format!("#microsoft.graph.security.{stem}Evidence"));
        members
    }

    fn keys(evidence: &Value) -> Vec<String> {
        let telling = of(evidence).list.into_iter().filter(|entity| entity.weight > 0);
        telling.map(|entity| format!("{} {}", entity.kind.word(), entity.key)).collect()
    }

    #[test]
    fn a_device_has_a_key_for_each_way_it_is_known() {
        let full = piece(
            "device",
            json!({"mdeDeviceId": "D1", "hostName": "LAP7", "dnsDomain": "alder.example"}),
        );
        let wanted = ["device mde:d1", "device dns:lap7.alder.example", "device name lap7"];
        assert_eq!(keys(&json!([full]))[..3], wanted);
        let repeat = of(&json!([full])).list.pop().unwrap();
        assert_eq!(repeat.kind, EntityKind::Repeat);
        let short = of(&json!([piece("device", json!({"deviceDnsName": "lap7"}))]));
        assert_eq!((short.list[0].key.as_str(), short.list[0].side), ("lap7", Side::Any));
        // Its file names it again; that is no second device.
        let file = piece("file", json!({"mdeDeviceId": "d1"}));
        let list = of(&json!([full, file])).list;
        assert_eq!(list.iter().filter(|entity| entity.kind == EntityKind::Device).count(), 2);
        assert!(list.iter().any(|entity| entity.kind == EntityKind::Repeat));
    }

    #[test]
    fn a_person_is_one_account_by_user_mailbox_and_message() {
        let upn = "account upn:m.lind@alder.example";
        for evidence in [
            piece("user", json!({"userAccount": {"userPrincipalName": "M.Lind@alder.example"}})),
            piece("mailbox", json!({"primaryAddress": "m.lind@ALDER.example"})),
            piece("analyzedMessage", json!({"recipientEmailAddress": "m.lind@alder.example"})),
        ] {
            assert_eq!(keys(&json!([evidence])), [upn]);
        }
        let local = json!({"userAccount": {"accountName": "m.lind", "domainName": "ALDER"}});
        assert_eq!(keys(&json!([piece("user", local)])), ["account name alder\\m.lind"]);
    }

    #[test]
    fn places_are_one_whatever_the_scheme() {
        let of_url = |url: &str| keys(&json!([piece("url", json!({"url": url}))]));
        let page = ["URL pay.example/Login?a=1"];
        assert_eq!(of_url("https://Pay.example/Login?a=1#top"), page);
        assert_eq!(of_url("http://user@pay.example/Login?a=1"), page);
        for host in ["https://pay.example/", "pay.example", "HTTP://PAY.EXAMPLE"] {
            assert_eq!(of_url(host), ["domain pay.example"], "{host}");
        }
        assert!(of_url("http://127.0.0.1/x").is_empty());
    }

    #[test]
    fn what_the_source_calls_hostile_is_an_entity_of_its_own() {
        let hash = "ab".repeat(32);
        let in_system = |verdict: &str| {
            let details =
                json!({"filePath": "C:\\Windows\\System32", "fileName": "a.exe", "sha256": hash});
            of(&json!([piece("file", json!({"fileDetails": details, "verdict": verdict}))])).list
        };
        let plain = in_system("suspicious");
        assert_eq!((plain.len(), plain[0].weight), (1, 0));
        assert_eq!(plain[0].idle, Some("program of the operating system"));
        let hostile = in_system("malicious");
        assert_eq!((hostile.len(), hostile[0].judged, hostile[0].weight), (2, true, 800));
        assert_eq!(hostile[0].code(), 109);
        assert_ne!(hostile[0].id, hostile[1].id);
        let loopback = json!({"ipAddress": "::ffff:127.0.0.1", "verdict": "malicious"});
        assert!(keys(&json!([piece("ip", loopback)])).is_empty());
    }

    #[test]
    fn hostile_bodies_give_little_and_never_fail() {
        let odd = json!([
            null, 7, "text", [], {}, {"@odata.type": 3}, piece("device", json!({"hostName": 5})),
            piece("user", json!({"userAccount": ["x"]})), piece("user", json!({"userAccount": "x"})),
            piece("ip", json!({"ipAddress": "999.1.1.1"})), piece("url", json!({"url": "://@:/"})),
            piece("url", json!({"url": "é"})), piece("process", json!({"processId": 1e300})),
            piece("file", json!({"fileDetails": {"filePath": "é", "sha256": "é"}})),
            piece("malware", json!({"files": {}})), piece("neverHeardOf", json!({"id": "x"})),
            piece("device", json!({"deviceDnsName": "..", "tags": [null], "roles": "x"}))
        ]);
        assert!(of(&odd).list.len() < 4);
        assert!(entities(&Map::new()).list.is_empty());
        let long = "x".repeat(1_000_000);
        let list = of(&json!([piece("device", json!({"hostName": long}))])).list;
        assert!(list.iter().all(|entity| entity.name.len() <= MAX_NAME));
        assert!(list.iter().all(|entity| entity.key.len() <= MAX_KEY));
    }

    #[test]
    fn a_list_of_thousands_is_cut_and_links_through_none_of_them() {
        let mut evidence: Vec<Value> = (0..30_000)
            .map(|number| {
                piece("user", json!({"userAccount": {"accountName": format!("u{number}")}}))
            })
            .collect();
        evidence.insert(9_000, piece("device", json!({"hostName": "srv1"})));
        let found = of(&Value::Array(evidence));
        assert!(found.list.len() <= MAX_ENTITIES);
        assert!(found.left_out > 29_000);
        assert_eq!(found.list[0].kind, EntityKind::DeviceName);
        let telling: Vec<_> = found.list.iter().filter(|entity| entity.weight > 0).collect();
        assert_eq!(telling.len(), 2, "the device and its repeat");
    }

    #[test]
    fn codes_are_stable() {
        for code in 1..=18 {
            assert_eq!(EntityKind::from_code(code).map(|kind| kind as i16), Some(code));
            assert_eq!(EntityKind::from_code(code + 100).map(|kind| kind as i16), Some(code));
        }
        assert_eq!(EntityKind::from_code(99), None);
        assert_eq!(entity_id(3, "upn:m.lind@alder.example"), ID_OF_M_LIND);
    }

    /// Worked out apart: `printf '\0\3upn:m.lind@alder.example' | sha256sum`.
    const ID_OF_M_LIND: i64 = -7_291_848_730_228_932_242;
}
