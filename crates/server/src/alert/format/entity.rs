//! Sentinel entities as evidence.
//!
//! Entities refer to each other by `$id` and `$ref`, also forward and from within others.
//! References are followed a bounded number of steps and only for members that evidence has, so
//! that cycles end. Member names are found in the spelling of the log table (`HostName`) and of
//! the management interface (`hostName`, under `properties`).

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::contract::{EVIDENCE_REMEDIATION_STATUS, EVIDENCE_ROLE, EVIDENCE_VERDICT};
use super::evidence::{self, Account, Evidence, email_sender, file_details};
use super::shape;

/// Steps from one reference to the next before giving up.
const MAX_HOPS: usize = 8;
/// Entities looked at in one alert.
const MAX_ENTITIES: usize = 20_000;
/// Bytes of evidence one alert may unfold to: references let a small record tell a large one.
const MAX_UNFOLDED: usize = 16 * 1024 * 1024;
/// Items looked at in a list within an entity, and members of an entity in another case.
const MAX_ITEMS: usize = 256;

/// The evidence of a list of entities, in its order, and how many entities beyond the bounds were
/// left out. Hosts and accounts only told within other entities follow the list.
pub(super) fn evidence(entities: &Value) -> (Vec<Value>, usize) {
    let mut graph = Graph { by_id: HashMap::new(), all: Vec::new() };
    let Some(list) = entities.as_array() else { return (Vec::new(), 0) };
    for entity in list {
        graph.collect(entity);
    }
    let device_id = graph.only_device();
    let top = list.iter().filter_map(|entity| Some(graph.node(graph.resolve(entity)?)));
    let nested = graph.all.iter().map(|members| graph.node(members));
    let nested = nested.filter(|node| matches!(node.kind().as_str(), "host" | "account"));
    let mut built: HashSet<usize> = HashSet::new();
    let mut seen: HashSet<String> = HashSet::new();
    let (mut found, mut unfolded, mut left_out) = (Vec::new(), 0, 0);
    for node in top.chain(nested) {
        // The same entity by another reference tells nothing new.
        if !built.insert(std::ptr::from_ref(node.members).addr()) {
            continue;
        }
        if unfolded >= MAX_UNFOLDED || found.len() >= MAX_ENTITIES {
            left_out += 1;
            continue;
        }
        let Some(piece) = node.piece(device_id.as_deref()) else { continue };
        let piece = piece.build();
        let text = piece.to_string();
        unfolded += text.len();
        // Sources repeat entities under new numbers as well.
        if seen.insert(text) {
            found.push(piece);
        }
    }
    (found, left_out)
}

/// The entities of an alert by their `$id`.
struct Graph<'a> {
    by_id: HashMap<String, &'a Map<String, Value>>,
    all: Vec<&'a Map<String, Value>>,
}

impl<'a> Graph<'a> {
    /// Walks the tree without recursion and remembers every object that is an entity.
    fn collect(&mut self, root: &'a Value) {
        let mut open = vec![root];
        while let Some(value) = open.pop() {
            if self.all.len() >= MAX_ENTITIES {
                return;
            }
            match value {
                Value::Object(members) => {
                    if let Some(id) = members.get("$id").and_then(evidence::text) {
                        self.by_id.entry(id).or_insert(members);
                    }
                    if members.contains_key("Type") || members.contains_key("kind") {
                        self.all.push(members);
                    }
                    open.extend(members.values().rev());
                }
                Value::Array(items) => open.extend(items.iter().rev()),
                _ => {}
            }
        }
    }

    fn resolve(&self, value: &'a Value) -> Option<&'a Map<String, Value>> {
        let mut members = value.as_object()?;
        for _ in 0..MAX_HOPS {
            match members.get("$ref").and_then(evidence::text) {
                Some(id) => members = self.by_id.get(&id)?,
                None => return Some(members),
            }
        }
        None
    }

    fn node(&self, members: &'a Map<String, Value>) -> Node<'a, '_> {
        Node { members, graph: self }
    }

    /// The device id of an alert that names one device only.
    fn only_device(&self) -> Option<String> {
        let hosts = self.all.iter().map(|members| self.node(members));
        let ids = hosts.filter(|node| node.kind() == "host").map(|node| node.text("MdatpDeviceId"));
        let ids: HashSet<String> = ids.filter(|id| !id.is_empty()).collect();
        if ids.len() == 1 { ids.into_iter().next() } else { None }
    }
}

/// One entity and the others it may refer to.
#[derive(Clone, Copy)]
struct Node<'a, 'g> {
    members: &'a Map<String, Value>,
    graph: &'g Graph<'a>,
}

impl<'a> Node<'a, '_> {
    fn get(&self, name: &str) -> Option<&'a Value> {
        let inner = self.members.get("properties").and_then(Value::as_object);
        for members in [Some(self.members), inner].into_iter().flatten() {
            if let Some(found) = members.get(name) {
                return Some(found);
            }
            let mut others = members.iter().take(MAX_ITEMS);
            let found = others.find(|(known, _)| known.eq_ignore_ascii_case(name));
            if let Some((_, found)) = found {
                return Some(found);
            }
        }
        None
    }

    /// Text of a member, empty when there is none.
    fn text(&self, name: &str) -> String {
        self.get(name).and_then(evidence::text).unwrap_or_default()
    }

    fn first(&self, names: &[&str]) -> String {
        names.iter().map(|name| self.text(name)).find(|text| !text.is_empty()).unwrap_or_default()
    }

    fn integer(&self, name: &str) -> Option<i64> {
        self.get(name).and_then(evidence::integer)
    }

    fn raw(&self, name: &str) -> &'a Value {
        self.get(name).unwrap_or(&Value::Null)
    }

    fn child(&self, name: &str) -> Option<Self> {
        Some(self.graph.node(self.graph.resolve(self.get(name)?)?))
    }

    fn children(&self, name: &str) -> Vec<Self> {
        let items = self.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let resolved = items.iter().take(MAX_ITEMS).filter_map(|item| self.graph.resolve(item));
        resolved.map(|members| self.graph.node(members)).collect()
    }

    fn texts(&self, name: &str) -> Vec<String> {
        match self.get(name) {
            Some(Value::Array(items)) => items.iter().filter_map(evidence::text).collect(),
            Some(one) => evidence::text(one).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// The type without case and joiners.
    fn kind(&self) -> String {
        let kind = ["Type", "kind"].iter().find_map(|name| self.members.get(*name)?.as_str());
        let kind = kind.unwrap_or_default();
        let kind = kind.rsplit('/').next().unwrap_or_default();
        kind.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
    }

    /// An address told as text or as an entity.
    fn address(&self, name: &str) -> String {
        let text = self.text(name);
        if text.is_empty() {
            self.child(name).map(|ip| ip.text("Address")).unwrap_or_default()
        } else {
            text
        }
    }

    fn address_piece(&self, name: &str) -> Value {
        let address = self.address(name);
        if address.is_empty() { Value::Null } else { Evidence::ip(&address).build() }
    }

    fn account(&self) -> Account {
        let name = self.first(&["AccountName", "Name", "FriendlyName"]);
        let mut account = Account::named(&name);
        let domain = self.first(&["NTDomain", "DomainName", "DnsDomain"]);
        if !domain.is_empty() {
            account.domain = domain;
        }
        let suffix = self.text("UPNSuffix");
        let upn = self.first(&["UserPrincipalName", "Upn"]);
        if !upn.is_empty() {
            account.upn = upn;
        } else if !suffix.is_empty() && !name.is_empty() && !name.contains(['@', '\\', ' ']) {
            account.upn = format!("{name}@{suffix}");
        }
        account.sid = self.text("Sid");
        account.directory_id = self.first(&["AadUserId", "ObjectGuid"]);
        account.display_name = self.text("DisplayName");
        account
    }

    fn file(&self) -> Value {
        let hashes: Vec<(String, String)> = self
            .children("FileHashes")
            .iter()
            .map(|hash| (hash.text("Algorithm"), hash.text("Value")))
            .collect();
        let hashes: Vec<(&str, &str)> =
            hashes.iter().map(|(algorithm, value)| (algorithm.as_str(), value.as_str())).collect();
        let name = self.first(&["Name", "FileName"]);
        let mut details = file_details(&name, &self.text("Directory"), &hashes);
        if let (Value::Object(members), Some(size)) = (&mut details, self.integer("SizeInBytes")) {
            members.insert("fileSize".to_owned(), Value::from(size));
        }
        details
    }

    fn device(&self) -> Evidence {
        let short = self.first(&["HostName", "NetBiosName"]);
        let domain = self.text("DnsDomain");
        let full = match self.text("FQDN") {
            full if !full.is_empty() => full,
            _ if domain.is_empty() || short.is_empty() || short.contains('.') => short.clone(),
            _ => format!("{short}.{domain}"),
        };
        let resource = self.first(&["AzureID", "ResourceId"]);
        let machine = if resource.is_empty() {
            Value::Null
        } else {
            let lower = resource.to_ascii_lowercase();
            let rest = lower.split_once("/subscriptions/").map(|(_, rest)| rest);
            let subscription = rest.and_then(|rest| rest.split('/').next()).map(str::to_owned);
            json!({
                "cloudProvider": "azure", "resourceId": resource, "subscriptionId": subscription
            })
        };
        let users = self.children("LoggedOnUsers");
        let users: Vec<Value> = users
            .iter()
            .filter_map(|user| {
                let name = user.first(&["AccountName", "Name"]);
                let domain = user.first(&["DomainName", "NTDomain"]);
                (!name.is_empty()).then(|| json!({"accountName": name, "domainName": domain}))
            })
            .collect();
        Evidence::device(&full)
            .with("hostName", short)
            .with("dnsDomain", domain)
            .with("ntDomain", self.text("NTDomain"))
            .with("mdeDeviceId", self.text("MdatpDeviceId"))
            .with("azureAdDeviceId", self.text("AadDeviceId"))
            .with("osPlatform", self.first(&["OSPlatform", "OSFamily"]))
            .with("version", self.text("OSVersion"))
            .with("osBuild", self.integer("OsBuild"))
            .with("lastIpAddress", self.address("LastIpAddress"))
            .with("lastExternalIpAddress", self.address("LastExternalIpAddress"))
            .with("healthStatus", self.text("HealthStatus"))
            .with("riskScore", self.text("RiskScore"))
            .with("onboardingStatus", word(&self.text("OnboardingStatus")))
            .with("defenderAvStatus", word(&self.text("AvStatus")))
            .with("rbacGroupName", self.text("RbacGroupName"))
            .with_time("firstSeenDateTime", self.raw("FirstSeenDateTime"))
            .with("loggedOnUsers", Some(users).filter(|users| !users.is_empty()))
            .with("vmMetadata", machine)
    }

    fn process(&self, device_id: Option<&str>) -> Evidence {
        let image = self.child("ImageFile").map(|file| file.file());
        let account = self.child("Account").map(|account| account.account().to_value());
        let parent = self.child("ParentProcess");
        let get = |name: &str| parent.map_or(&Value::Null, |parent| parent.raw(name));
        let parent_image = parent.and_then(|parent| parent.child("ImageFile"));
        let piece = Evidence::process(
            self.integer("ProcessId"),
            &self.text("CommandLine"),
            image.unwrap_or_default(),
        );
        piece
            .with_time("processCreationDateTime", self.raw("CreationTimeUtc"))
            .with("parentProcessId", evidence::integer(get("ProcessId")))
            .with_time("parentProcessCreationDateTime", get("CreationTimeUtc"))
            .with("parentProcessImageFile", parent_image.map(|file| file.file()))
            .with("userAccount", account)
            .with("mdeDeviceId", self.device_id(device_id))
    }

    /// The device an entity was seen on: its own, its host's, or the alert's only one.
    fn device_id(&self, only: Option<&str>) -> String {
        let own = self.text("MdatpDeviceId");
        if !own.is_empty() {
            return own;
        }
        let host = self.child("Host").map(|host| host.text("MdatpDeviceId"));
        host.filter(|id| !id.is_empty()).unwrap_or_else(|| only.unwrap_or_default().to_owned())
    }

    fn nested(&self, name: &str) -> Value {
        let Some(node) = self.child(name) else { return Value::Null };
        // Two levels are all the contract nests by reference here.
        let piece = match node.kind().as_str() {
            "host" => node.device(),
            "account" => Evidence::user(&node.account()),
            "k8snamespace" | "kubernetesnamespace" => {
                let cluster = node.child("Cluster").map(|cluster| cluster.text("Name"));
                let cluster =
                    cluster.map(|name| Evidence::new("kubernetesCluster").with("name", name));
                Evidence::kubernetes_namespace(&node.text("Name"))
                    .with("cluster", cluster.map(Evidence::build))
            }
            "azureresource" => Evidence::cloud_resource("azure", &node.text("ResourceId"), "", ""),
            _ => return Value::Null,
        };
        if piece.says_something() { piece.build() } else { Value::Null }
    }

    fn piece(&self, device_id: Option<&str>) -> Option<Evidence> {
        let name = self.first(&["Name", "FriendlyName"]);
        let kind = self.kind();
        let piece = match kind.as_str() {
            "host" | "machine" => self.device(),
            "account" | "user" => Evidence::user(&self.account()),
            "ip" | "ipaddress" => {
                let location = self.child("Location");
                let country = location.map(|place| place.text("CountryCode")).unwrap_or_default();
                let location = location.map(|place| {
                    json!({
                        "city": place.text("City"), "countryName": place.text("CountryName"),
                        "state": place.text("State"), "latitude": place.raw("Latitude"),
                        "longitude": place.raw("Longitude")
                    })
                });
                let address = self.text("Address");
                if address.is_empty() {
                    return None;
                }
                let piece = Evidence::ip(&address).with("countryLetterCode", country);
                piece.with("location", location)
            }
            "url" => Evidence::url(&self.text("Url")),
            "dns" | "dnsresolution" => Evidence::dns(&self.text("DomainName"))
                .with("dnsServerIp", self.address_piece("DnsServerIp"))
                .with("hostIpAddress", self.address_piece("HostIpAddress")),
            "file" => Evidence::new("file")
                .with("fileDetails", self.file())
                .with("mdeDeviceId", self.device_id(device_id)),
            "filehash" => Evidence::file_hash(&self.text("Algorithm"), &self.text("Value")),
            "process" => self.process(device_id),
            "mailmessage" => self.message(),
            "mailcluster" => Evidence::new("mailCluster")
                .with("clusterBy", self.text("ClusterBy"))
                .with("clusterByValue", self.text("ClusterByValue"))
                .with("emailCount", self.integer("MailCount"))
                .with("networkMessageIds", list(self.texts("NetworkMessageIds")))
                .with("query", self.text("Query"))
                .with("urn", self.text("Urn")),
            "mailbox" => {
                let upn = self.text("Upn");
                let mut account = Account::named(&upn);
                account.directory_id = self.text("AadId");
                account.display_name = self.text("DisplayName");
                Evidence::mailbox(&self.text("MailboxPrimaryAddress"), &account)
                    .with("displayName", self.text("DisplayName"))
            }
            "submissionmail" => Evidence::new("submissionMail")
                .with("networkMessageId", self.text("NetworkMessageId"))
                .with("recipient", self.text("Recipient"))
                .with("reportType", self.text("ReportType"))
                .with("sender", self.text("Sender"))
                .with("senderIp", self.text("SenderIp"))
                .with("subject", self.text("Subject"))
                .with("submissionId", self.text("SubmissionId"))
                .with("submitter", self.text("Submitter"))
                .with_time("submissionDateTime", self.raw("SubmissionDate")),
            "cloudlogonrequest" => {
                Evidence::new("cloudLogonRequest").with("requestId", self.text("RequestId"))
            }
            "cloudlogonsession" => Evidence::new("cloudLogonSession")
                .with("account", self.nested("Account"))
                .with("sessionId", self.text("SessionId"))
                .with("browser", self.text("Browser"))
                .with("deviceName", self.text("DeviceName"))
                .with("operatingSystem", self.text("OperatingSystem"))
                .with("protocol", self.text("Protocol"))
                .with("userAgent", self.text("UserAgent"))
                .with_time("startUtcDateTime", self.raw("StartTimeUtc"))
                .with_time("previousLogonDateTime", self.raw("PreviousLogonTimeUtc")),
            "hostlogonsession" => Evidence::new("hostLogonSession")
                .with("account", self.nested("Account"))
                .with("host", self.nested("Host"))
                .with("sessionId", self.text("SessionId"))
                .with_time("startUtcDateTime", self.raw("StartTimeUtc"))
                .with_time("endUtcDateTime", self.raw("EndTimeUtc")),
            "registrykey" => {
                Evidence::registry_key(&self.text("Key")).with("registryHive", self.text("Hive"))
            }
            "registryvalue" => {
                let key = self.child("Key");
                let hive = key.map(|key| key.text("Hive")).unwrap_or_default();
                let key = key.map_or_else(|| self.text("Key"), |key| key.text("Key"));
                let kind = self.text("ValueType");
                Evidence::registry_value(&key, &name, &self.text("Value"), &kind)
                    .with("registryHive", hive)
                    .with("mdeDeviceId", self.device_id(device_id))
            }
            "oauthapplication" => Evidence::oauth_app(&self.text("OAuthAppId"), &name)
                .with("objectId", self.text("OAuthObjectId"))
                .with("publisher", self.text("PublisherName")),
            "cloudapplication" => {
                let name = self.first(&["Name", "AppName"]);
                Evidence::cloud_app(self.integer("AppId"), &name)
                    .with("saasAppId", self.integer("SaasId"))
                    .with("instanceName", self.text("InstanceName"))
                    .with("instanceId", self.integer("InstanceId"))
            }
            "serviceprincipal" => Evidence::new("servicePrincipal")
                .with("servicePrincipalName", self.first(&["ServicePrincipalName", "Name"]))
                .with("servicePrincipalObjectId", self.text("ServicePrincipalObjectId"))
                .with("appId", self.text("AppId"))
                .with("tenantId", self.text("TenantId")),
            "azureresource"
            | "amazonresource"
            | "awsresource"
            | "gcpresource"
            | "googlecloudresource" => self.cloud_resource(&kind),
            "container" => {
                let image = self.child("Image").map(|image| image.text("ImageId"));
                let id = self.text("ContainerId");
                Evidence::container(&id, &name, &image.unwrap_or_default())
            }
            "containerimage" => {
                Evidence::new("containerImage").with("imageId", self.text("ImageId"))
            }
            "containerregistry" => {
                Evidence::new("containerRegistry").with("registry", self.text("Registry"))
            }
            "k8scluster" | "kubernetescluster" => Evidence::new("kubernetesCluster")
                .with("name", name)
                .with("distribution", self.text("Distribution"))
                .with("version", self.text("Version"))
                .with("platform", self.text("Platform").to_ascii_lowercase())
                .with("cloudResource", self.nested("CloudResource")),
            "k8snamespace" | "kubernetesnamespace" => Evidence::kubernetes_namespace(&name),
            "k8spod" | "kubernetespod" => Evidence::kubernetes_pod(&name, "")
                .with("namespace", self.nested("Namespace"))
                .with("podIp", self.address_piece("PodIp")),
            "k8scontroller" | "kubernetescontroller" => Evidence::new("kubernetesController")
                .with("name", name)
                .with("type", self.text("ControllerType"))
                .with("namespace", self.nested("Namespace")),
            "k8sservice" | "kubernetesservice" => Evidence::new("kubernetesService")
                .with("name", name)
                .with("namespace", self.nested("Namespace"))
                .with("clusterIP", self.address_piece("ClusterIP")),
            "k8sserviceaccount" | "kubernetesserviceaccount" => {
                Evidence::new("kubernetesServiceAccount")
                    .with("name", name)
                    .with("namespace", self.nested("Namespace"))
            }
            "k8ssecret" | "kubernetessecret" => Evidence::new("kubernetesSecret")
                .with("name", name)
                .with("secretType", self.text("SecretType"))
                .with("namespace", self.nested("Namespace")),
            "securitygroup" => Evidence::new("securityGroup")
                .with("distinguishedName", self.text("DistinguishedName"))
                .with("sid", self.text("SID"))
                .with("activeDirectoryObjectGuid", self.text("ObjectGuid"))
                .with("securityGroupId", self.first(&["AadSecurityGroupId", "SecurityGroupId"]))
                .with("displayName", self.first(&["DisplayName", "FriendlyName", "Name"])),
            "iotdevice" => Evidence::new("ioTDevice")
                .with("deviceId", self.text("DeviceId"))
                .with("deviceName", self.first(&["DeviceName", "FriendlyName"]))
                .with("deviceType", self.text("DeviceType"))
                .with("ipAddress", self.address_piece("IpAddress"))
                .with("macAddress", self.text("MacAddress"))
                .with("manufacturer", self.text("Manufacturer"))
                .with("model", self.text("Model"))
                .with("operatingSystem", self.text("OperatingSystem"))
                .with("protocols", list(self.texts("Protocols")))
                .with("serialNumber", self.text("SerialNumber"))
                .with("source", self.text("Source"))
                .with("ioTHub", self.nested("IoTHub")),
            "malware" => Evidence::malware(&name, &self.text("Category")),
            "networkconnection" => Evidence::network_connection(
                (&self.address("SourceAddress"), self.integer("SourcePort")),
                (&self.address("DestinationAddress"), self.integer("DestinationPort")),
                &self.text("Protocol"),
            ),
            "activedirectorydomain" => Evidence::new("activeDirectoryDomain").with(
                "activeDirectoryDomainName",
                self.first(&["ActiveDirectoryDomainName", "Name"]),
            ),
            // References that lead nowhere and objects of no type say nothing.
            "" => return None,
            _ => Evidence::new("")
                .with("entityType", kind)
                .with("entity", Value::Object(self.members.clone())),
        };
        piece.says_something().then(|| self.common(piece))
    }

    fn cloud_resource(&self, kind: &str) -> Evidence {
        let (provider, id) = match kind {
            "azureresource" => ("azure", self.text("ResourceId")),
            "amazonresource" | "awsresource" => {
                ("aws", self.first(&["AmazonResourceId", "ARN", "ResourceId"]))
            }
            _ => ("gcp", self.first(&["FullResourceName", "RelativeResourceName", "ResourceId"])),
        };
        let name = self.first(&["ResourceName", "Name"]);
        Evidence::cloud_resource(provider, &id, &name, &self.text("ResourceType"))
            .with("amazonAccountId", self.text("AmazonAccountId"))
            .with("projectId", self.text("ProjectId"))
    }

    fn message(&self) -> Evidence {
        let sender = |prefix: &str| {
            let address = self.text(prefix);
            email_sender(&address, &self.text(&format!("{prefix}DisplayName")))
        };
        let subject = self.text("Subject");
        Evidence::message(&subject, &self.text("Sender"), &self.text("Recipient"))
            .with("p1Sender", sender("P1Sender"))
            .with("p2Sender", sender("P2Sender"))
            .with("senderIp", self.text("SenderIP"))
            .with_time("receivedDateTime", self.raw("ReceivedDate"))
            .with("networkMessageId", self.text("NetworkMessageId"))
            .with("internetMessageId", self.text("InternetMessageId"))
            .with("antiSpamDirection", self.text("AntispamDirection"))
            .with("deliveryAction", self.text("DeliveryAction"))
            .with("deliveryLocation", self.text("DeliveryLocation"))
            .with("language", self.text("Language"))
            .with("threats", list(self.texts("Threats")))
            .with("threatDetectionMethods", list(self.texts("ThreatDetectionMethods")))
            .with("urls", list(self.texts("Urls")))
            .with("urlCount", self.integer("UrlCount"))
            .with("urn", self.text("Urn"))
    }

    /// The members every piece of evidence has.
    fn common(&self, piece: Evidence) -> Evidence {
        let mut piece = piece.created(self.raw("CreatedTimeUtc"));
        let verdict = self.text("LastVerdict");
        if !verdict.is_empty() {
            piece = piece.verdict(&shape::choose(EVIDENCE_VERDICT, &verdict));
        }
        let status = self.first(&["LastRemediationState", "RemediationStatus"]);
        if let Some(status) = shape::find(EVIDENCE_REMEDIATION_STATUS, &status) {
            piece = piece.remediation(status);
        }
        for role in self.texts("Roles") {
            piece = match shape::find(EVIDENCE_ROLE, &role) {
                Some(role) => piece.role(role),
                None => piece.detailed_role(&role),
            };
        }
        for tag in self.children("Tags") {
            piece = piece.tag(&tag.first(&["TagName", "TagId"]));
        }
        for tag in self.texts("Tags") {
            piece = piece.tag(&tag);
        }
        piece
    }
}

/// Text that is a word; sources also write bare numbers that mean nothing here.
fn word(text: &str) -> &str {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { "" } else { text }
}

fn list(texts: Vec<String>) -> Value {
    if texts.is_empty() { Value::Null } else { Value::from(texts) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(found: &[Value]) -> Vec<&str> {
        let kind = |piece: &'_ Value| piece["@odata.type"].as_str().map(str::len);
        assert!(found.iter().all(|piece| kind(piece).is_some()));
        let names = found.iter().filter_map(|piece| piece["@odata.type"].as_str());
        names.map(|name| name.trim_start_matches(evidence::NAMESPACE)).collect()
    }

    #[test]
    fn references_lead_forward_and_into_others() {
        let (found, _) = evidence(&json!([
            {"$id": "1", "Type": "process", "ProcessId": "0x10", "CommandLine": "a.exe -x",
             "Host": {"$ref": "6"}, "Account": {"$id": "2", "Type": "account", "Name": "ida", "NTDomain": "ALDER"},
             "ImageFile": {"$ref": "4"}, "ParentProcess": {"ProcessId": "7", "ImageFile": {"$ref": "4"}},
             "CreationTimeUtc": "2024-01-02T03:04:05.1234567Z", "LastVerdict": "Malicious",
             "Roles": ["Source", "Ringleader"]},
            {"$id": "4", "Type": "file", "Directory": "c:\\t\\a.exe", "Name": "a.exe",
             "FileHashes": [{"$id": "5", "Type": "filehash", "Algorithm": "SHA256", "Value": "ab"}]},
            {"$id": "6", "Type": "host", "HostName": "till-3", "DnsDomain": "alder.example",
             "MdatpDeviceId": "d1", "AvStatus": 1000, "LastIpAddress": {"Type": "ip", "Address": "192.0.2.3"},
             "Tags": [{"TagName": "shop"}, "night"]},
            {"$ref": "5"}
        ]));
        assert_eq!(
            kinds(&found),
            [
                "processEvidence",
                "fileEvidence",
                "deviceEvidence",
                "fileHashEvidence",
                "userEvidence"
            ]
        );
        let process = &found[0];
        assert_eq!(process["processId"], 16);
        assert_eq!(process["mdeDeviceId"], "d1");
        assert_eq!(
            process["imageFile"],
            json!({"fileName": "a.exe", "filePath": "c:\\t", "sha256": "ab"})
        );
        assert_eq!(process["parentProcessId"], 7);
        assert_eq!(process["userAccount"]["domainName"], "ALDER");
        assert_eq!(process["processCreationDateTime"], "2024-01-02T03:04:05.1234567Z");
        assert_eq!(process["verdict"], "malicious");
        assert_eq!(process["roles"], json!(["source"]));
        assert_eq!(process["detailedRoles"], json!(["Ringleader"]));
        let device = &found[2];
        assert_eq!(device["deviceDnsName"], "till-3.alder.example");
        assert_eq!(device["lastIpAddress"], "192.0.2.3");
        assert_eq!(device["tags"], json!(["shop", "night"]));
        assert_eq!(device.get("defenderAvStatus"), None);
    }

    #[test]
    fn references_in_a_circle_end() {
        let (found, _) = evidence(&json!([
            {"$id": "1", "$ref": "2"}, {"$id": "2", "$ref": "1"}, {"$ref": "9"},
            {"$id": "3", "Type": "process", "ProcessId": 1, "ParentProcess": {"$ref": "3"}},
            {"$id": "4", "Type": "file", "FileHashes": [{"$ref": "4"}], "Host": {"$ref": "4"}, "Name": "a"}
        ]));
        assert_eq!(kinds(&found), ["processEvidence", "fileEvidence"]);
    }

    #[test]
    fn a_small_record_does_not_unfold_to_a_large_one() {
        let mut list = vec![json!({"$id": "f", "Type": "file", "Name": "x".repeat(1_000_000)})];
        for id in 0..200 {
            list.push(json!({"Type": "process", "ProcessId": id, "ImageFile": {"$ref": "f"}}));
            list.push(json!({"$ref": "f"}));
        }
        let (found, left_out) = evidence(&Value::Array(list));
        assert!(found.len() < 30, "{}", found.len());
        assert!(left_out > 150);
    }

    #[test]
    fn every_kind_has_its_evidence() {
        let cases = [
            (json!({"Type": "url", "Url": "http://x.example"}), "url"),
            (json!({"Type": "dns", "DomainName": "x.example"}), "dns"),
            (json!({"Type": "mailbox", "MailboxPrimaryAddress": "ida@alder.example"}), "mailbox"),
            (
                json!({"Type": "mailMessage", "Subject": "hi", "P2Sender": "a@b.example"}),
                "analyzedMessage",
            ),
            (json!({"Type": "mailCluster", "Query": "q", "MailCount": "3"}), "mailCluster"),
            (json!({"Type": "cloud-logon-request", "RequestId": "r"}), "cloudLogonRequest"),
            (json!({"Type": "cloud-logon-session", "SessionId": "s"}), "cloudLogonSession"),
            (json!({"Type": "host-logon-session", "SessionId": "s"}), "hostLogonSession"),
            (json!({"Type": "registry-key", "Hive": "HKEY_USERS", "Key": "K"}), "registryKey"),
            (
                json!({"Type": "registry-value", "Key": {"Type": "x", "Key": "K"}, "Name": "n"}),
                "registryValue",
            ),
            (json!({"Type": "oauth-application", "OAuthAppId": "o"}), "oauthApplication"),
            (json!({"Type": "cloud-application", "AppId": 1}), "cloudApplication"),
            (json!({"Type": "azure-resource", "ResourceId": "/s"}), "azureResource"),
            (json!({"Type": "aws-resource", "ARN": "arn:aws:s3:eu:12:b"}), "amazonResource"),
            (
                json!({"Type": "gcp-resource", "FullResourceName": "projects/p"}),
                "googleCloudResource",
            ),
            (
                json!({"Type": "container", "ContainerId": "c", "Image": {"ImageId": "i"}}),
                "container",
            ),
            (
                json!({"Type": "K8s-pod", "Name": "p", "Namespace": {"Type": "K8s-namespace", "Name": "n"}}),
                "kubernetesPod",
            ),
            (json!({"Type": "security-group", "SID": "S-1"}), "securityGroup"),
            (json!({"Type": "iotdevice", "DeviceId": "d"}), "ioTDevice"),
            (json!({"Type": "malware", "Name": "Frost"}), "malware"),
            (json!({"Type": "hologram", "Colour": "red"}), "alert"),
            (json!({"kind": "Account", "properties": {"accountName": "ida"}}), "user"),
        ];
        for (entity, stem) in cases {
            let (found, _) = evidence(&json!([entity]));
            assert_eq!(found[0]["@odata.type"], format!("{}{stem}Evidence", evidence::NAMESPACE));
        }
        assert!(
            evidence(&json!([{"Type": "ip", "IsValid": false}, {"Type": "url"}, 7])).0.is_empty()
        );
        assert_eq!(evidence(&json!("none")), (Vec::new(), 0));
    }

    #[test]
    fn an_account_prefers_the_name_of_the_machine_to_that_of_people() {
        let found =
            evidence(&json!([{"Type": "account", "Name": "Ida Berg", "AccountName": "iberg",
            "UPNSuffix": "alder.example", "Sid": "S-1-5-21-1", "AadUserId": "u1"}]));
        let account = &found.0[0]["userAccount"];
        assert_eq!(account["accountName"], "iberg");
        assert_eq!(account["userPrincipalName"], "iberg@alder.example");
    }
}
