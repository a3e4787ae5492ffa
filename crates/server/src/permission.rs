//! What an application may be allowed, by the names clients know (PER-7).

use std::fmt;
use std::str::FromStr;

/// One permission of an application.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Permission {
    /// Read incidents.
    IncidentRead,
    /// Read and change incidents.
    IncidentReadWrite,
    /// Read alerts.
    AlertRead,
    /// Read and change alerts.
    AlertReadWrite,
    /// Read and change managed-response tasks.
    TaskReadWrite,
    /// Run the action of a managed-response task.
    TaskTakeAction,
    /// Run hunting queries.
    HuntingRead,
    /// Push alerts.
    AlertIngest,
    /// Read the audit log.
    AuditRead,
    /// Act as the provider's experts, in tenants whose grant allows it.
    Experts,
}

/// Every permission and its spelling.
pub const PERMISSIONS: &[(Permission, &str)] = &[
    (Permission::IncidentRead, "SecurityIncident.Read.All"),
    (Permission::IncidentReadWrite, "SecurityIncident.ReadWrite.All"),
    (Permission::AlertRead, "SecurityAlert.Read.All"),
    (Permission::AlertReadWrite, "SecurityAlert.ReadWrite.All"),
    (Permission::TaskReadWrite, "SecurityIncidentTask.ReadWrite.All"),
    (Permission::TaskTakeAction, "SecurityIncidentTask.TakeAction.ReadWrite.All"),
    (Permission::HuntingRead, "ThreatHunting.Read.All"),
    (Permission::AlertIngest, "SecurityAlert.Ingest"),
    (Permission::AuditRead, "AuditLog.Read.All"),
    (Permission::Experts, "Experts.ReadWrite"),
];

impl Permission {
    /// Whether holding `self` also allows `wanted`: who may write may read.
    #[must_use]
    pub fn covers(self, wanted: Self) -> bool {
        self == wanted
            || matches!(
                (self, wanted),
                (Self::IncidentReadWrite, Self::IncidentRead)
                    | (Self::AlertReadWrite, Self::AlertRead)
                    | (
                        Self::Experts,
                        Self::IncidentRead
                            | Self::IncidentReadWrite
                            | Self::AlertRead
                            | Self::AlertReadWrite
                    )
            )
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = PERMISSIONS.iter().find(|(permission, _)| permission == self);
        f.write_str(word.map_or("", |(_, word)| word))
    }
}

impl FromStr for Permission {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        PERMISSIONS
            .iter()
            .find(|(_, word)| word.eq_ignore_ascii_case(text))
            .map(|(permission, _)| *permission)
            .ok_or_else(|| {
                let known: Vec<&str> = PERMISSIONS.iter().map(|(_, word)| *word).collect();
                format!("unknown permission {text}; known are {}", known.join(", "))
            })
    }
}
