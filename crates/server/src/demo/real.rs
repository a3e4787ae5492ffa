//! The devices of the demo that are really there: what they are called, what lies on them, and what
//! alerts told of them. How they come into being is in `agents`, what runs inside in `inside`.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::alert::format::Format;
use crate::clock::Timestamp;
use crate::tenant;

/// Where the intruder's server is: an address of documentation (RFC 5737), in a namespace of its own.
pub(super) const OUTSIDE: &str = "203.0.113.66";
/// Its port.
pub(super) const PORT: u16 = 4443;

/// A device of the demo that an agent speaks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Device {
    /// Its host name.
    pub name: String,
    /// The customer's name.
    pub customer: String,
    /// The customer's id.
    pub tenant_id: String,
    /// The incident that names it.
    pub incident: String,
    /// What there is to do with it, and who does it.
    pub click: String,
}

/// A device as it is built.
pub(super) struct Build {
    pub(super) customer: &'static str,
    pub(super) name: &'static str,
    pub(super) domain: &'static str,
    /// A local account.
    pub(super) user: &'static str,
    /// A file that the intruder left, and what is in it.
    pub(super) file: (&'static str, &'static str),
    pub(super) click: &'static str,
    alert: (&'static str, &'static str, &'static str, &'static str),
}

pub(super) const BUILDS: &[Build] = &[
    Build {
        customer: "Alder Freight",
        name: "wharf-07",
        domain: "alderfreight.example",
        user: "maja",
        file: ("/srv/tracking/upload/label.sh", "#!/bin/sh\n# The demo's, harmless.\nexit 0\n"),
        click: "enter as Signe Holm and publish the drafted response",
        alert: (
            "Web server started a shell",
            "The tracking site ran a file that had just been uploaded.",
            "T1505.003",
            "sh /srv/tracking/upload/label.sh",
        ),
    },
    Build {
        customer: "Norrland Dental",
        name: "imaging-02",
        domain: "norrlanddental.example",
        user: "linn",
        file: ("/home/linn/.cache/fontd", "#!/bin/sh\n# The demo's, harmless too.\nexit 0\n"),
        click: "enter as Aino Salmi and choose Isolate device",
        alert: (
            "Program of a user folder starts with every sign-in",
            "A file in a cache folder was entered among the programs that start by themselves.",
            "T1547.013",
            "/home/linn/.cache/fontd --quiet",
        ),
    },
];

impl Build {
    /// The hash of the file that the intruder left.
    pub(super) fn hash(&self) -> String {
        tenant::hash(self.file.1)
    }

    fn full_name(&self) -> String {
        format!("{}.{}", self.name, self.domain)
    }

    fn evidence(&self) -> Value {
        json!([
            {
                "@odata.type": "#microsoft.graph.security.deviceEvidence",
                "deviceDnsName": self.full_name(),
                "hostName": self.name,
                "osPlatform": "Linux",
                "roles": ["attacked"],
                "verdict": "suspicious",
            },
            {
                "@odata.type": "#microsoft.graph.security.userEvidence",
                "userAccount": {
                    "accountName": self.user,
                    "userPrincipalName": format!("{}@{}", self.user, self.domain),
                },
            },
        ])
    }

    /// What two products told of it, in the order it came in.
    pub(super) fn records(&self, now: Timestamp) -> Vec<(Format, String)> {
        let (title, text, technique, line) = self.alert;
        let (path, _) = self.file;
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let at = |minutes: i64| now.plus_seconds(-minutes * 60).to_string();
        let mut seen = self.evidence();
        let file = json!({ "fileName": name, "filePath": folder, "sha256": self.hash() });
        let more = [
            json!({
                "@odata.type": "#microsoft.graph.security.processEvidence",
                "processId": 4_211,
                "processCommandLine": line,
                "verdict": "malicious",
                "imageFile": file,
            }),
            json!({
                "@odata.type": "#microsoft.graph.security.fileEvidence",
                "verdict": "malicious",
                "fileDetails": file,
            }),
        ];
        seen.as_array_mut().into_iter().for_each(|all| all.extend(more.clone()));
        let mut spoke = self.evidence();
        let server = json!({
            "@odata.type": "#microsoft.graph.security.ipEvidence",
            "ipAddress": OUTSIDE,
            "verdict": "malicious",
        });
        spoke.as_array_mut().into_iter().for_each(|all| all.push(server.clone()));
        let record = |id: &str, minutes: i64, more: Value| {
            let mut record = json!({
                "id": format!("{id}-{}", self.full_name()),
                "providerAlertId": format!("{id}-{}", self.full_name()),
                "severity": "high",
                "status": "new",
                "serviceSource": "microsoftDefenderForEndpoint",
                "detectionSource": "microsoftDefenderForEndpoint",
                "productName": "Endpoint protection",
                "createdDateTime": at(minutes - 1),
                "lastUpdateDateTime": at(minutes - 1),
                "firstActivityDateTime": at(minutes),
                "lastActivityDateTime": at(minutes),
            });
            if let (Some(record), Value::Object(more)) = (record.as_object_mut(), more) {
                record.extend(more);
            }
            (Format::Graph, record.to_string())
        };
        vec![
            record(
                "real-1",
                48,
                json!({
                    "title": title,
                    "description": text,
                    "category": "Persistence",
                    "mitreTechniques": [technique],
                    "evidence": seen,
                }),
            ),
            record(
                "real-2",
                41,
                json!({
                    "title": "Connection to a known control server is held open",
                    "description":
                        format!("{} speaks to {OUTSIDE}:{PORT} every second.", self.name),
                    "category": "CommandAndControl",
                    "mitreTechniques": ["T1571"],
                    "evidence": spoke,
                }),
            ),
        ]
    }
}
