//! Who may do what: the permissions, which of them an application can hold, and the table of roles.
//!
//! An application holds permissions by the names clients know (PER-7). A person holds a role, and a
//! role is a row of [`ROLES`]. How far a permission reaches is another question: a customer's people
//! and applications reach their own tenant, the provider's reach what a customer's grant and running
//! access allow (see `tenant::caller`).

use std::fmt;
use std::str::FromStr;

/// One permission of an application or a person.
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
    /// See who belongs to one's own organisation.
    PeopleRead,
    /// Invite people to one's own organisation, change their roles, end their sessions.
    PeopleReadWrite,
    /// See the applications of one's own organisation.
    AppRead,
    /// Add and remove applications of one's own organisation.
    AppReadWrite,
    /// See how far the provider may go, and who of it has been inside.
    GrantRead,
    /// Change how far the provider may go.
    GrantReadWrite,
    /// Ask for just-in-time access to a customer's tenant.
    AccessRequest,
    /// Decide requests for access and end running access.
    AccessApprove,
    /// See the customers.
    TenantRead,
    /// Add customers and invite their first administrator.
    TenantReadWrite,
    /// Choose which identity provider signs people in.
    SignInReadWrite,
    /// See devices and what their agents say.
    DeviceRead,
    /// Let agents enrol, shut them out, group devices, release one by code.
    DeviceReadWrite,
    /// See what experts never act on.
    ExclusionRead,
    /// Decide what experts never act on.
    ExclusionReadWrite,
    /// Connect products that carry actions out.
    ConnectorReadWrite,
    /// See who hears of what concerns the customer, and what was sent.
    ContactRead,
    /// Decide who hears of what concerns the customer, and by which channel.
    ContactReadWrite,
}

/// Every permission, its spelling, and whether an application can hold it.
pub const PERMISSIONS: &[(Permission, &str, bool)] = &[
    (Permission::IncidentRead, "SecurityIncident.Read.All", true),
    (Permission::IncidentReadWrite, "SecurityIncident.ReadWrite.All", true),
    (Permission::AlertRead, "SecurityAlert.Read.All", true),
    (Permission::AlertReadWrite, "SecurityAlert.ReadWrite.All", true),
    (Permission::TaskReadWrite, "SecurityIncidentTask.ReadWrite.All", true),
    (Permission::TaskTakeAction, "SecurityIncidentTask.TakeAction.ReadWrite.All", true),
    (Permission::HuntingRead, "ThreatHunting.Read.All", true),
    (Permission::AlertIngest, "SecurityAlert.Ingest", true),
    (Permission::AuditRead, "AuditLog.Read.All", true),
    (Permission::Experts, "Experts.ReadWrite", true),
    (Permission::PeopleRead, "People.Read", false),
    (Permission::PeopleReadWrite, "People.ReadWrite", false),
    (Permission::AppRead, "App.Read", false),
    (Permission::AppReadWrite, "App.ReadWrite", false),
    (Permission::GrantRead, "Grant.Read", false),
    (Permission::GrantReadWrite, "Grant.ReadWrite", false),
    (Permission::AccessRequest, "Access.Request", false),
    (Permission::AccessApprove, "Access.Approve", false),
    (Permission::TenantRead, "Tenant.Read", false),
    (Permission::TenantReadWrite, "Tenant.ReadWrite", false),
    (Permission::SignInReadWrite, "SignIn.ReadWrite", false),
    (Permission::DeviceRead, "Device.Read", false),
    (Permission::DeviceReadWrite, "Device.ReadWrite", false),
    (Permission::ExclusionRead, "Exclusion.Read", false),
    (Permission::ExclusionReadWrite, "Exclusion.ReadWrite", false),
    (Permission::ConnectorReadWrite, "Connector.ReadWrite", false),
    (Permission::ContactRead, "Contact.Read", false),
    (Permission::ContactReadWrite, "Contact.ReadWrite", false),
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
                    | (Self::PeopleReadWrite, Self::PeopleRead)
                    | (Self::AppReadWrite, Self::AppRead)
                    | (Self::GrantReadWrite, Self::GrantRead)
                    | (Self::TenantReadWrite, Self::TenantRead)
                    | (Self::DeviceReadWrite, Self::DeviceRead)
                    | (Self::ExclusionReadWrite, Self::ExclusionRead)
                    | (Self::ContactReadWrite, Self::ContactRead)
                    | (
                        Self::Experts,
                        Self::IncidentRead
                            | Self::IncidentReadWrite
                            | Self::AlertRead
                            | Self::AlertReadWrite
                            | Self::DeviceRead
                            | Self::ExclusionRead
                    )
            )
    }

    /// The permissions an application can hold.
    pub fn of_apps() -> impl Iterator<Item = Self> {
        PERMISSIONS.iter().filter(|(_, _, app)| *app).map(|(permission, _, _)| *permission)
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = PERMISSIONS.iter().find(|(permission, _, _)| permission == self);
        f.write_str(word.map_or("", |(_, word, _)| word))
    }
}

impl FromStr for Permission {
    type Err = String;
    /// Reads a permission that an application can hold.
    fn from_str(text: &str) -> Result<Self, String> {
        Self::of_apps()
            .find(|permission| permission.to_string().eq_ignore_ascii_case(text))
            .ok_or_else(|| {
                let known: Vec<String> = Self::of_apps().map(|known| known.to_string()).collect();
                format!("unknown permission {text}; known are {}", known.join(", "))
            })
    }
}

/// Whose people hold a role.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Party {
    /// A customer's.
    Customer,
    /// The provider's.
    Provider,
}

impl Party {
    /// The word shown.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Provider => "provider",
        }
    }
}

/// What a person is in an organisation (PER-6).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    /// Reads.
    SecurityReader,
    /// Reads, changes incidents, carries tasks out.
    SecurityOperator,
    /// As well decides on people, applications and how far the provider may go.
    SecurityAdministrator,
    /// Investigates and concludes in customers' tenants.
    Expert,
    /// An expert who also decides on requests for access.
    Lead,
    /// Looks after customers; reads, and changes nothing of theirs.
    ServiceDeliveryManager,
    /// Looks after the installation: people, customers, applications. Sees no case.
    ProviderAdministrator,
}

/// The table: each role, its name, whose it is, and what it may do.
pub const ROLES: &[(Role, &str, Party, &[Permission])] = &[
    (
        Role::SecurityReader,
        "Security Reader",
        Party::Customer,
        &[
            Permission::IncidentRead,
            Permission::AlertRead,
            Permission::AuditRead,
            Permission::PeopleRead,
            Permission::AppRead,
            Permission::GrantRead,
            Permission::DeviceRead,
            Permission::ExclusionRead,
            Permission::ContactRead,
        ],
    ),
    (
        Role::SecurityOperator,
        "Security Operator",
        Party::Customer,
        &[
            Permission::IncidentReadWrite,
            Permission::AlertReadWrite,
            Permission::TaskReadWrite,
            Permission::TaskTakeAction,
            Permission::HuntingRead,
            Permission::AuditRead,
            Permission::PeopleRead,
            Permission::AppRead,
            Permission::GrantRead,
            Permission::DeviceRead,
            Permission::ExclusionRead,
            Permission::ContactRead,
        ],
    ),
    (
        Role::SecurityAdministrator,
        "Security Administrator",
        Party::Customer,
        &[
            Permission::IncidentReadWrite,
            Permission::AlertReadWrite,
            Permission::TaskReadWrite,
            Permission::TaskTakeAction,
            Permission::HuntingRead,
            Permission::AuditRead,
            Permission::PeopleReadWrite,
            Permission::AppReadWrite,
            Permission::GrantReadWrite,
            Permission::AccessApprove,
            Permission::SignInReadWrite,
            Permission::DeviceReadWrite,
            Permission::ExclusionReadWrite,
            Permission::ConnectorReadWrite,
            Permission::ContactReadWrite,
        ],
    ),
    (
        Role::Expert,
        "Expert",
        Party::Provider,
        &[
            Permission::Experts,
            Permission::HuntingRead,
            Permission::AccessRequest,
            Permission::TenantRead,
            Permission::PeopleRead,
        ],
    ),
    (
        Role::Lead,
        "Lead",
        Party::Provider,
        &[
            Permission::Experts,
            Permission::HuntingRead,
            Permission::AccessRequest,
            Permission::AccessApprove,
            Permission::TenantRead,
            Permission::PeopleRead,
            Permission::AuditRead,
        ],
    ),
    (
        Role::ServiceDeliveryManager,
        "Service delivery manager",
        Party::Provider,
        &[
            Permission::IncidentRead,
            Permission::AlertRead,
            Permission::AccessRequest,
            Permission::TenantRead,
            Permission::PeopleRead,
            Permission::DeviceRead,
            Permission::ExclusionRead,
        ],
    ),
    (
        Role::ProviderAdministrator,
        "Provider administrator",
        Party::Provider,
        &[
            Permission::TenantReadWrite,
            Permission::PeopleReadWrite,
            Permission::AppReadWrite,
            Permission::AuditRead,
            Permission::SignInReadWrite,
        ],
    ),
];

impl Role {
    fn row(self) -> Option<&'static (Self, &'static str, Party, &'static [Permission])> {
        ROLES.iter().find(|(role, ..)| *role == self)
    }

    /// The name stored and shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().map_or("", |(_, name, ..)| name)
    }

    /// Whose people hold it.
    #[must_use]
    pub fn party(self) -> Party {
        self.row().map_or(Party::Customer, |(_, _, party, _)| *party)
    }

    /// What it may do.
    #[must_use]
    pub fn permissions(self) -> &'static [Permission] {
        self.row().map_or(&[], |(.., permissions)| permissions)
    }

    /// The roles of a party, the least first.
    pub fn of(party: Party) -> impl Iterator<Item = Self> {
        ROLES.iter().filter(move |(_, _, whose, _)| *whose == party).map(|(role, ..)| *role)
    }

    /// The role of this name, in any case, among those of a party.
    ///
    /// # Errors
    /// The names that are known there.
    pub fn read(party: Party, name: &str) -> Result<Self, String> {
        Self::of(party).find(|role| role.name().eq_ignore_ascii_case(name.trim())).ok_or_else(
            || {
                let known: Vec<&str> = Self::of(party).map(Self::name).collect();
                format!("no role {name} there; known are {}", known.join(", "))
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_has_a_row_and_every_permission_a_spelling() {
        for (role, name, ..) in ROLES {
            assert_eq!(role.name(), *name);
            assert!(!role.permissions().is_empty());
        }
        for (permission, word, app) in PERMISSIONS {
            assert_eq!(permission.to_string(), *word);
            assert_eq!(word.parse::<Permission>().is_ok(), *app, "{word}");
        }
    }

    #[test]
    fn no_customer_role_acts_as_an_expert_and_no_provider_role_decides_a_grant() {
        for (_, name, party, permissions) in ROLES {
            let expert = permissions.contains(&Permission::Experts);
            let grants = permissions.contains(&Permission::GrantReadWrite);
            match party {
                Party::Customer => assert!(!expert, "{name}"),
                Party::Provider => assert!(!grants, "{name}"),
            }
        }
    }

    #[test]
    fn who_looks_after_the_installation_sees_no_case() {
        for permission in Role::ProviderAdministrator.permissions() {
            for of_cases in [Permission::IncidentRead, Permission::AlertRead, Permission::Experts] {
                assert!(!permission.covers(of_cases));
            }
        }
    }
}
