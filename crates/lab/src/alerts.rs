//! Alerts in the Graph shape, each a pure function of a seed and its number.
//!
//! Ten alerts share a device, a user and an address, and nothing else does, so that correlation
//! should make about one incident of ten alerts. Sixty-four such groups are under way at a time,
//! as in a real stream. One alert is about 1.5 KB.

use crate::clock;
use crate::random::mix;

/// Alerts that belong together.
pub(crate) const GROUP: u64 = 10;
/// Groups under way at a time.
const OPEN_GROUPS: u64 = 64;

/// What an alert says happened.
struct Kind {
    title: &'static str,
    category: &'static str,
    technique: &'static str,
    severity: &'static str,
    file: &'static str,
    arguments: &'static str,
}

const KINDS: [Kind; 12] = [
    Kind {
        title: "Office application started a scripting host",
        category: "Execution",
        technique: "T1059.001",
        severity: "medium",
        file: "powershell.exe",
        arguments: "-NoProfile -WindowStyle Hidden -EncodedCommand",
    },
    Kind {
        title: "Credential material read from memory",
        category: "CredentialAccess",
        technique: "T1003.001",
        severity: "high",
        file: "procdump64.exe",
        arguments: "-accepteula -ma lsass.exe",
    },
    Kind {
        title: "Scheduled task created for persistence",
        category: "Persistence",
        technique: "T1053.005",
        severity: "medium",
        file: "schtasks.exe",
        arguments: "/create /sc minute /mo 5 /tn Updater",
    },
    Kind {
        title: "Remote service created over the network",
        category: "LateralMovement",
        technique: "T1021.002",
        severity: "high",
        file: "sc.exe",
        arguments: "create remotesvc binPath= C:\\\\Windows\\\\Temp\\\\r.exe",
    },
    Kind {
        title: "Unusual volume of files renamed",
        category: "Impact",
        technique: "T1486",
        severity: "high",
        file: "sync.exe",
        arguments: "--all --fast",
    },
    Kind {
        title: "Security log cleared",
        category: "DefenseEvasion",
        technique: "T1070.001",
        severity: "medium",
        file: "wevtutil.exe",
        arguments: "cl Security",
    },
    Kind {
        title: "Account and group enumeration",
        category: "Discovery",
        technique: "T1087.002",
        severity: "low",
        file: "net.exe",
        arguments: "group \\\"Domain Admins\\\" /domain",
    },
    Kind {
        title: "Archive tool packed many documents",
        category: "Collection",
        technique: "T1560.001",
        severity: "low",
        file: "7z.exe",
        arguments: "a -p docs.7z D:\\\\Shares",
    },
    Kind {
        title: "Connection to a rarely seen host",
        category: "CommandAndControl",
        technique: "T1071.001",
        severity: "medium",
        file: "rundll32.exe",
        arguments: "update.dll,Start",
    },
    Kind {
        title: "Unwanted software was blocked",
        category: "UnwantedSoftware",
        technique: "T1204.002",
        severity: "informational",
        file: "toolbar-setup.exe",
        arguments: "/silent",
    },
    Kind {
        title: "Token manipulation by an unsigned process",
        category: "PrivilegeEscalation",
        technique: "T1134",
        severity: "high",
        file: "svc-helper.exe",
        arguments: "-i -s cmd.exe",
    },
    Kind {
        title: "Large upload to a file sharing site",
        category: "Exfiltration",
        technique: "T1567.002",
        severity: "medium",
        file: "rclone.exe",
        arguments: "copy D:\\\\Shares remote:x --transfers 32",
    },
];

/// A deterministic stream of alerts.
#[derive(Clone, Debug)]
pub(crate) struct Alerts {
    seed: u64,
    now: i64,
    spread_days: u64,
    canary: String,
}

impl Alerts {
    /// The stream of this seed; the groups' times spread over the last `spread_days` days, or all
    /// lie in this minute when that is 0.
    pub(crate) fn new(seed: u64, spread_days: u64) -> Self {
        Self { seed, now: clock::now_seconds(), spread_days, canary: String::new() }
    }

    /// The same stream with `canary` in every title and id.
    pub(crate) fn marked(mut self, canary: &str) -> Self {
        canary.clone_into(&mut self.canary);
        self
    }

    /// The same stream as it was at another hour, in seconds since 1970.
    #[cfg(test)]
    pub(crate) fn at(mut self, now: i64) -> Self {
        self.now = now;
        self
    }

    /// The group that alert `number` belongs to.
    pub(crate) fn group(number: u64) -> u64 {
        let block = OPEN_GROUPS * GROUP;
        number / block * OPEN_GROUPS + number % OPEN_GROUPS
    }

    /// The id the source gives to alert `number`.
    pub(crate) fn id(&self, number: u64) -> String {
        format!("lab{}-{:x}-{number:x}", self.canary, self.seed)
    }

    /// Alert `number` as one line of JSON.
    pub(crate) fn body(&self, number: u64) -> String {
        self.grouped(number, Self::group(number))
    }

    /// Alert `number` as one line of JSON, put into this group.
    pub(crate) fn grouped(&self, number: u64, group: u64) -> String {
        let group_bits = mix(self.seed ^ mix(group));
        let bits = mix(group_bits ^ number);
        let index = (bits % KINDS.len() as u64) as usize;
        // The remainder is always a valid place; the first kind stands in for none.
        let kind = KINDS.get(index).unwrap_or(&KINDS[0]);
        let age = match self.spread_days {
            0 => 0,
            days => (group_bits % (days * 86_400)).cast_signed(),
        };
        let at = self.now - age + (number % 60).cast_signed();
        let (time, before) = (clock::graph_time(at), clock::graph_time(at - 5));
        let canary = &self.canary;
        let id = self.id(number);
        let host = format!("ws-{:010x}", group_bits >> 24);
        let device =
            format!("{:016x}{:016x}{:08x}", group_bits, mix(group_bits), group & 0xffff_ffff);
        let person = format!("u{:09x}", group_bits & 0xf_ffff_ffff);
        let azure = format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            group_bits >> 32,
            group_bits >> 16 & 0xffff,
            group_bits & 0xfff,
            group >> 12 & 0xfff,
            mix(group_bits ^ 1) >> 16
        );
        let address = format!(
            "10.{}.{}.{}",
            group_bits >> 8 & 0xff,
            group_bits >> 16 & 0xff,
            1 + (group_bits >> 40) % 254
        );
        let sha256 =
            format!("{:016x}{:016x}{:016x}{:016x}", bits, mix(bits), mix(bits ^ 1), mix(bits ^ 2));
        let (process, parent) = (1_000 + bits % 60_000, 500 + bits / 7 % 60_000);
        let Kind { title, category, technique, severity, file, arguments } = kind;
        format!(
            r##"{{"id":"{id}","providerAlertId":"{id}","status":"new","severity":"{severity}","classification":null,"determination":null,"serviceSource":"microsoftDefenderForEndpoint","detectionSource":"antivirus","detectorId":"d{index:03}","title":"{title} {canary}","description":"{title} on {host} by {person}.","category":"{category}","assignedTo":null,"mitreTechniques":["{technique}"],"createdDateTime":"{time}","firstActivityDateTime":"{before}","lastActivityDateTime":"{time}","evidence":[{{"@odata.type":"#microsoft.graph.security.deviceEvidence","verdict":"unknown","mdeDeviceId":"{device}","deviceDnsName":"{host}.alder.example","osPlatform":"Windows11","lastIpAddress":"{address}"}},{{"@odata.type":"#microsoft.graph.security.userEvidence","verdict":"unknown","roles":["compromised"],"userAccount":{{"accountName":"{person}","domainName":"alder","azureAdUserId":"{azure}","userPrincipalName":"{person}@alder.example"}}}},{{"@odata.type":"#microsoft.graph.security.processEvidence","verdict":"suspicious","processId":{process},"parentProcessId":{parent},"processCommandLine":"{file} {arguments}","mdeDeviceId":"{device}","imageFile":{{"fileName":"{file}","filePath":"C:\\Users\\{person}","fileSize":{process},"sha256":"{sha256}"}}}}]}}"##
        )
    }

    /// The alerts of these numbers, one a line.
    pub(crate) fn lines(&self, numbers: impl Iterator<Item = u64>) -> String {
        let mut lines = String::new();
        for number in numbers {
            lines.push_str(&self.body(number));
            lines.push('\n');
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use serde_json::Value;

    use super::*;

    #[test]
    fn groups_have_ten_alerts_and_share_nothing_between_them() {
        let alerts = Alerts::new(7, 30).at(1_790_000_000).marked("c1");
        let mut groups: HashMap<u64, Vec<String>> = HashMap::new();
        let (mut ids, mut bytes) = (HashSet::new(), 0);
        for number in 0..6_400 {
            let body = alerts.body(number);
            bytes += body.len();
            let value: Value = serde_json::from_str(&body).unwrap();
            assert!(ids.insert(value["providerAlertId"].as_str().unwrap().to_owned()));
            let device = value["evidence"][0]["mdeDeviceId"].as_str().unwrap().to_owned();
            groups.entry(Alerts::group(number)).or_default().push(device);
        }
        assert!((1_400..1_650).contains(&(bytes / 6_400)), "{}", bytes / 6_400);
        assert_eq!(groups.len(), 640);
        let mut devices = HashSet::new();
        for members in groups.values() {
            assert_eq!(members.len(), 10);
            assert_eq!(members.iter().collect::<HashSet<_>>().len(), 1);
            assert!(devices.insert(members[0].clone()));
        }
        assert_eq!(alerts.body(5), alerts.body(5));
    }
}
