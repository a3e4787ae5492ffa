//! Builders of evidence in the shape of Graph `microsoft.graph.security.alertEvidence`.
//!
//! Every piece carries its `@odata.type` and the common members with neutral values, so that a
//! reader only says what it knows. Members without a value (null, empty text) are left out.
//! Which members a subtype has is not checked here; see `shape`.

use serde_json::{Map, Value, json};

use super::when;

/// What every OData type of this namespace begins with.
pub const NAMESPACE: &str = "#microsoft.graph.security.";

/// One piece of evidence while it is put together.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence(Map<String, Value>);

impl Evidence {
    /// An empty piece of a subtype by its stem: `device` is `deviceEvidence`, the empty stem the
    /// general `alertEvidence`.
    #[must_use]
    pub fn new(stem: &str) -> Self {
        let stem = if stem.is_empty() { "alert" } else { stem };
        let mut members = Map::new();
        members.insert("@odata.type".to_owned(), Value::from(format!("{NAMESPACE}{stem}Evidence")));
        members.insert("verdict".to_owned(), Value::from("unknown"));
        members.insert("remediationStatus".to_owned(), Value::from("none"));
        for list in ["roles", "detailedRoles", "tags"] {
            members.insert(list.to_owned(), json!([]));
        }
        Self(members)
    }

    /// A device by a short or full host name; a full one fills `dnsDomain` too.
    #[must_use]
    pub fn device(host: &str) -> Self {
        let host = host.trim().trim_end_matches('.');
        // An address has dots as well, but its first label is no host name.
        let (short, domain) = match host.split_once('.') {
            Some((short, domain)) if host.parse::<std::net::IpAddr>().is_err() => (short, domain),
            _ => (host, ""),
        };
        let piece = Self::new("device").with("deviceDnsName", host).with("hostName", short);
        piece.with("dnsDomain", domain)
    }

    /// A user account.
    #[must_use]
    pub fn user(account: &Account) -> Self {
        Self::new("user").with("userAccount", account.to_value())
    }

    /// A mailbox with its owner.
    #[must_use]
    pub fn mailbox(address: &str, account: &Account) -> Self {
        let piece = Self::new("mailbox").with("primaryAddress", address);
        piece.with("upn", account.upn.as_str()).with("userAccount", account.to_value())
    }

    /// An IP address.
    #[must_use]
    pub fn ip(address: &str) -> Self {
        Self::new("ip").with("ipAddress", address.trim())
    }

    /// A URL.
    #[must_use]
    pub fn url(url: &str) -> Self {
        Self::new("url").with("url", url)
    }

    /// A file; `hashes` are pairs of algorithm and value as for [`file_details`].
    #[must_use]
    pub fn file(name: &str, path: &str, hashes: &[(&str, &str)]) -> Self {
        Self::new("file").with("fileDetails", file_details(name, path, hashes))
    }

    /// A file known by its hash alone.
    #[must_use]
    pub fn file_hash(algorithm: &str, value: &str) -> Self {
        let algorithm = hash_algorithm(algorithm).unwrap_or("unknown");
        Self::new("fileHash").with("algorithm", algorithm).with("value", value)
    }

    /// A process: its number, command line and image (see [`file_details`]).
    #[must_use]
    pub fn process(id: Option<i64>, command_line: &str, image: Value) -> Self {
        let piece = Self::new("process").with("processId", id);
        piece.with("processCommandLine", command_line).with("imageFile", image)
    }

    /// A mail message.
    #[must_use]
    pub fn message(subject: &str, sender: &str, recipient: &str) -> Self {
        let piece = Self::new("analyzedMessage").with("subject", subject);
        piece.with("recipientEmailAddress", recipient).with("p2Sender", email_sender(sender, ""))
    }

    /// A DNS name that was asked for.
    #[must_use]
    pub fn dns(domain: &str) -> Self {
        Self::new("dns").with("domainName", domain.trim().trim_end_matches('.'))
    }

    /// A connection between two addresses; an end may be unknown (empty text). A protocol other
    /// than TCP and UDP is left out: the contract has no spelling for it.
    #[must_use]
    pub fn network_connection(
        source: (&str, Option<i64>),
        destination: (&str, Option<i64>),
        protocol: &str,
    ) -> Self {
        let end = |address: &str| {
            if address.is_empty() { Value::Null } else { Self::ip(address).build() }
        };
        let port = |port: Option<i64>| port.filter(|port| (0..=65_535).contains(port));
        let protocol = match protocol.to_ascii_lowercase().as_str() {
            "tcp" | "6" => "tcp",
            "udp" | "17" => "udp",
            _ => "",
        };
        Self::new("networkConnection")
            .with("sourceAddress", end(source.0))
            .with("sourcePort", port(source.1))
            .with("destinationAddress", end(destination.0))
            .with("destinationPort", port(destination.1))
            .with("protocol", protocol)
    }

    /// A registry key; a hive at the front of the key is told apart from it.
    #[must_use]
    pub fn registry_key(key: &str) -> Self {
        let (hive, key) = split_hive(key);
        Self::new("registryKey").with("registryHive", hive).with("registryKey", key)
    }

    /// A registry value with its name, data and type (`String`, `Dword` …).
    #[must_use]
    pub fn registry_value(key: &str, name: &str, data: &str, kind: &str) -> Self {
        let (hive, key) = split_hive(key);
        let piece = Self::new("registryValue").with("registryHive", hive).with("registryKey", key);
        let piece = piece.with("registryValueName", name).with("registryValue", data);
        piece.with("registryValueType", kind)
    }

    /// An OAuth application of the directory.
    #[must_use]
    pub fn oauth_app(app_id: &str, name: &str) -> Self {
        Self::new("oauthApplication").with("appId", app_id).with("displayName", name)
    }

    /// A cloud application (software as a service) by its catalogue number and name.
    #[must_use]
    pub fn cloud_app(app_id: Option<i64>, name: &str) -> Self {
        Self::new("cloudApplication").with("appId", app_id).with("displayName", name)
    }

    /// A cloud resource: the provider decides the subtype, and an unknown provider gives the
    /// general evidence with `resourceId`.
    #[must_use]
    pub fn cloud_resource(provider: &str, id: &str, name: &str, kind: &str) -> Self {
        let provider = provider.to_ascii_lowercase();
        let named = |piece: Self| piece.with("resourceName", name).with("resourceType", kind);
        match provider.as_str() {
            "aws" | "amazon" => {
                // arn:partition:service:region:account:resource
                let account = id.starts_with("arn:").then(|| id.split(':').nth(4)).flatten();
                let piece = Self::new("amazonResource").with("amazonResourceId", id);
                named(piece.with("amazonAccountId", account.unwrap_or_default()))
            }
            "gcp" | "google" | "google cloud" => {
                let project = id.split_once("projects/").map(|(_, rest)| rest);
                let project = project.and_then(|rest| rest.split('/').next());
                let piece = Self::new("googleCloudResource").with("fullResourceName", id);
                named(piece.with("projectId", project.unwrap_or_default()))
            }
            "azure" | "microsoft" => named(Self::new("azureResource").with("resourceId", id)),
            _ => named(Self::new("").with("resourceId", id)),
        }
    }

    /// A container with its image reference.
    #[must_use]
    pub fn container(id: &str, name: &str, image: &str) -> Self {
        let image = if image.is_empty() {
            Value::Null
        } else {
            Self::new("containerImage").with("imageId", image).build()
        };
        Self::new("container").with("containerId", id).with("name", name).with("image", image)
    }

    /// A Kubernetes pod in its namespace.
    #[must_use]
    pub fn kubernetes_pod(name: &str, namespace: &str) -> Self {
        let namespace = if namespace.is_empty() {
            Value::Null
        } else {
            Self::kubernetes_namespace(namespace).build()
        };
        Self::new("kubernetesPod").with("name", name).with("namespace", namespace)
    }

    /// A Kubernetes namespace.
    #[must_use]
    pub fn kubernetes_namespace(name: &str) -> Self {
        Self::new("kubernetesNamespace").with("name", name)
    }

    /// A malware by name and category.
    #[must_use]
    pub fn malware(name: &str, category: &str) -> Self {
        Self::new("malware").with("name", name).with("category", category)
    }

    /// Sets a member; null, empty text and `None` change nothing.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        let empty = match &value {
            Value::Null => true,
            Value::String(text) => text.trim().is_empty(),
            _ => false,
        };
        if !empty {
            self.0.insert(name.to_owned(), value);
        }
        self
    }

    /// Sets a date member to the wire spelling; what is no moment changes nothing.
    #[must_use]
    pub fn with_time(self, name: &str, value: &Value) -> Self {
        self.with(name, when::wire(value))
    }

    /// When the evidence was seen; what is no moment changes nothing.
    #[must_use]
    pub fn created(self, value: &Value) -> Self {
        self.with_time("createdDateTime", value)
    }

    /// Adds a role of the contract (`attacked`, `source` …).
    #[must_use]
    pub fn role(self, role: &str) -> Self {
        self.push("roles", role)
    }

    /// Adds a role in the product's own words.
    #[must_use]
    pub fn detailed_role(self, role: &str) -> Self {
        self.push("detailedRoles", role)
    }

    /// Adds a tag.
    #[must_use]
    pub fn tag(self, tag: &str) -> Self {
        self.push("tags", tag)
    }

    /// Sets the verdict: `unknown`, `suspicious`, `malicious` or `noThreatsFound`.
    #[must_use]
    pub fn verdict(self, verdict: &str) -> Self {
        self.with("verdict", verdict)
    }

    /// Sets the remediation status (`blocked`, `prevented` …).
    #[must_use]
    pub fn remediation(self, status: &str) -> Self {
        self.with("remediationStatus", status)
    }

    /// Whether any member beyond the common ones is set.
    #[must_use]
    pub fn says_something(&self) -> bool {
        self.0.keys().any(|name| !COMMON.contains(&name.as_str()))
    }

    /// The finished evidence object.
    #[must_use]
    pub fn build(self) -> Value {
        Value::Object(self.0)
    }

    fn push(mut self, list: &str, text: &str) -> Self {
        if let Some(Value::Array(items)) = self.0.get_mut(list)
            && !text.trim().is_empty()
            && !items.iter().any(|item| item == text)
        {
            items.push(Value::from(text));
        }
        self
    }
}

/// The members every subtype has.
const COMMON: [&str; 8] = [
    "@odata.type",
    "createdDateTime",
    "verdict",
    "remediationStatus",
    "remediationStatusDetails",
    "roles",
    "detailedRoles",
    "tags",
];

/// A user account in pieces; what is not known is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// Account name without domain.
    pub name: String,
    /// Windows or directory domain.
    pub domain: String,
    /// User principal name.
    pub upn: String,
    /// Windows security identifier.
    pub sid: String,
    /// Object id in the cloud directory.
    pub directory_id: String,
    /// Name for people.
    pub display_name: String,
}

impl Account {
    /// An account from one text: `DOMAIN\name`, `name@domain` or a bare name. A service account's
    /// bare `name$` and names with blanks stay whole.
    #[must_use]
    pub fn named(text: &str) -> Self {
        let text = text.trim();
        let mut account = Self::default();
        if let Some((domain, name)) = text.rsplit_once('\\') {
            domain.clone_into(&mut account.domain);
            name.clone_into(&mut account.name);
        } else if let Some((name, domain)) = text.split_once('@') {
            name.clone_into(&mut account.name);
            domain.clone_into(&mut account.domain);
            text.clone_into(&mut account.upn);
        } else {
            text.clone_into(&mut account.name);
        }
        account
    }

    /// The same account with a security identifier.
    #[must_use]
    pub fn with_sid(mut self, sid: &str) -> Self {
        sid.trim().clone_into(&mut self.sid);
        self
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Graph `userAccount`, or null when nothing is known.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut members = Map::new();
        for (name, text) in [
            ("accountName", &self.name),
            ("domainName", &self.domain),
            ("userPrincipalName", &self.upn),
            ("userSid", &self.sid),
            ("azureAdUserId", &self.directory_id),
            ("displayName", &self.display_name),
        ] {
            if !text.is_empty() {
                members.insert(name.to_owned(), Value::from(text.as_str()));
            }
        }
        if members.is_empty() { Value::Null } else { Value::Object(members) }
    }
}

/// Graph `fileDetails`, or null when nothing is known. A name that is missing is taken from the
/// end of the path, and a path that ends in the name is cut to its folder, as Graph has it.
/// `hashes` are pairs of algorithm (any spelling) and value; an unknown algorithm is left out.
#[must_use]
pub fn file_details(name: &str, path: &str, hashes: &[(&str, &str)]) -> Value {
    let path = path.trim();
    let (folder, last) = match path.rfind(['\\', '/']).and_then(|cut| path.split_at_checked(cut)) {
        Some((folder, last)) => (folder, last.trim_start_matches(['\\', '/'])),
        None => ("", path),
    };
    let name = name.trim();
    let (name, folder) = if name.is_empty() {
        (last, folder)
    } else if last.eq_ignore_ascii_case(name) {
        (name, folder)
    } else {
        (name, path)
    };
    let mut members = Map::new();
    let mut set = |member: &str, text: &str| {
        if !text.is_empty() {
            members.insert(member.to_owned(), Value::from(text));
        }
    };
    set("fileName", name);
    set("filePath", folder);
    for (algorithm, value) in hashes {
        match hash_algorithm(algorithm) {
            Some("sha256ac") => set("sha256Ac", value.trim()),
            Some(algorithm) => set(algorithm, value.trim()),
            None => {}
        }
    }
    if members.is_empty() { Value::Null } else { Value::Object(members) }
}

/// Graph `emailSender` from an address with or without a display name, or null.
#[must_use]
pub fn email_sender(address: &str, display_name: &str) -> Value {
    let address = address.trim();
    if address.is_empty() {
        return Value::Null;
    }
    let mut members = Map::new();
    members.insert("emailAddress".to_owned(), Value::from(address));
    if let Some((_, domain)) = address.rsplit_once('@') {
        members.insert("domainName".to_owned(), Value::from(domain.trim_end_matches('>')));
    }
    if !display_name.is_empty() {
        members.insert("displayName".to_owned(), Value::from(display_name));
    }
    Value::Object(members)
}

/// The contract's spelling of a hash algorithm.
#[must_use]
pub fn hash_algorithm(name: &str) -> Option<&'static str> {
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    match name.to_ascii_lowercase().as_str() {
        "md5" => Some("md5"),
        "sha1" => Some("sha1"),
        "sha256" => Some("sha256"),
        "sha256ac" => Some("sha256ac"),
        _ => None,
    }
}

/// The text of a string or number member, trimmed; `None` when empty or of another kind.
#[must_use]
pub fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    if text.is_empty() { None } else { Some(text) }
}

/// The whole number of a number or decimal text member (`0x` hexadecimal as well).
#[must_use]
pub fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| {
            // Only a double that is a whole number in exact range; the rest is no count.
            let number = number.as_f64()?;
            (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64)
        }),
        Value::String(text) => {
            let text = text.trim();
            match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
                Some(digits) => i64::from_str_radix(digits, 16).ok(),
                None => text.parse().ok(),
            }
        }
        _ => None,
    }
}

fn split_hive(key: &str) -> (&'static str, &str) {
    let key = key.trim().trim_start_matches("Computer\\");
    let (front, rest) = key.split_once('\\').unwrap_or((key, ""));
    let hive = match front.trim_end_matches(':').to_ascii_uppercase().as_str() {
        "HKEY_LOCAL_MACHINE" | "HKLM" => "HKEY_LOCAL_MACHINE",
        "HKEY_CURRENT_USER" | "HKCU" => "HKEY_CURRENT_USER",
        "HKEY_USERS" | "HKU" => "HKEY_USERS",
        "HKEY_CLASSES_ROOT" | "HKCR" => "HKEY_CLASSES_ROOT",
        "HKEY_CURRENT_CONFIG" | "HKCC" => "HKEY_CURRENT_CONFIG",
        _ => return ("", key),
    };
    (hive, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_has_its_type_and_neutral_common_members() {
        let piece = Evidence::device("till-3.norrland.example")
            .with("osPlatform", "Windows11")
            .with("version", "")
            .role("attacked")
            .role("attacked")
            .verdict("malicious")
            .created(&json!("2024-01-02T03:04:05Z"))
            .build();
        assert_eq!(
            piece,
            json!({
                "@odata.type": "#microsoft.graph.security.deviceEvidence",
                "createdDateTime": "2024-01-02T03:04:05.0000000Z",
                "verdict": "malicious",
                "remediationStatus": "none",
                "roles": ["attacked"],
                "detailedRoles": [],
                "tags": [],
                "deviceDnsName": "till-3.norrland.example",
                "hostName": "till-3",
                "dnsDomain": "norrland.example",
                "osPlatform": "Windows11"
            })
        );
        assert!(!Evidence::new("user").says_something());
        assert_eq!(Evidence::device("192.0.2.7").build()["hostName"], "192.0.2.7");
    }

    #[test]
    fn accounts_are_read_from_one_text() {
        let account = Account::named("ALDER\\ida");
        assert_eq!((account.domain.as_str(), account.name.as_str()), ("ALDER", "ida"));
        let account = Account::named("ida@alder.example");
        assert_eq!(account.upn, "ida@alder.example");
        assert_eq!(account.name, "ida");
        assert_eq!(Account::named("NT AUTHORITY\\LOCAL SERVICE").name, "LOCAL SERVICE");
        assert_eq!(Account::named(" ").to_value(), Value::Null);
    }

    #[test]
    fn a_file_is_split_into_folder_and_name() {
        let details = file_details("", "C:\\Temp\\a.exe", &[("SHA-256", "ab"), ("crc", "1")]);
        assert_eq!(details, json!({"fileName": "a.exe", "filePath": "C:\\Temp", "sha256": "ab"}));
        let details = file_details("a", "/tmp/a", &[]);
        assert_eq!(details, json!({"fileName": "a", "filePath": "/tmp"}));
        let details = file_details("b.exe", "C:\\Temp", &[]);
        assert_eq!(details, json!({"fileName": "b.exe", "filePath": "C:\\Temp"}));
        assert_eq!(file_details("", "", &[]), Value::Null);
    }

    #[test]
    fn a_registry_hive_has_one_spelling() {
        let piece = Evidence::registry_key("HKLM\\Software\\X").build();
        assert_eq!(piece["registryHive"], "HKEY_LOCAL_MACHINE");
        assert_eq!(piece["registryKey"], "Software\\X");
        assert_eq!(Evidence::registry_key("Software").build()["registryKey"], "Software");
    }

    #[test]
    fn a_connection_keeps_only_what_the_contract_can_say() {
        let piece = Evidence::network_connection(("192.0.2.1", Some(99_999)), ("", None), "ICMP");
        let piece = piece.build();
        assert_eq!(piece["sourceAddress"]["ipAddress"], "192.0.2.1");
        assert_eq!(piece.get("sourcePort"), None);
        assert_eq!(piece.get("destinationAddress"), None);
        assert_eq!(piece.get("protocol"), None);
    }

    #[test]
    fn numbers_are_whole_and_exact() {
        assert_eq!(integer(&json!("0x1f")), Some(31));
        assert_eq!(integer(&json!(9_007_199_254_740_993_i64)), Some(9_007_199_254_740_993));
        assert_eq!(integer(&json!(2.5)), None);
        assert_eq!(text(&json!(12)).as_deref(), Some("12"));
        assert_eq!(text(&json!([])), None);
    }
}
