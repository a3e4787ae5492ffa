//! Every route, by every kind of caller, in the own and in a foreign tenant.
//!
//! The routes come from the document that is made of the router; a route without a row here, or a
//! row without a route, fails. What a role or an application may do comes from the one table in
//! `permission`. The other customer's data carries a canary in every field, which no answer to
//! anybody else may contain.

use std::collections::BTreeSet;

use riposte::permission::{Permission, Role};
use riposte::response::catalog::{Kind, TargetKind};
use riposte::tenant::{ExpertAccess, Side, Tenant};
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::face::{Client, Face, Reply};
use crate::world::alert;

const CANARY: &str = "kanarie7f3";

/// Who may use a route.
enum Guard {
    /// Who has shown nothing yet.
    Stranger,
    /// Any caller at all.
    Anybody,
    /// A person, whatever the role.
    Person,
    /// Who holds one of these.
    Any(&'static [Permission]),
}
use Guard::{Any, Anybody, Person, Stranger};
use Permission as P;

/// What is tried against a foreign tenant: the path and body with names of its things, such as
/// `<incident>`.
type Foreign = Option<(&'static str, &'static str)>;

struct Row {
    method: &'static str,
    path: &'static str,
    guard: Guard,
    foreign: Foreign,
}

const fn row(method: &'static str, path: &'static str, guard: Guard, foreign: Foreign) -> Row {
    Row { method, path, guard, foreign }
}

const IR: Guard = Any(&[P::IncidentRead]);
const IW: Guard = Any(&[P::IncidentReadWrite]);
const AR: Guard = Any(&[P::AlertRead]);
const AW: Guard = Any(&[P::AlertReadWrite]);
const PW: Guard = Any(&[P::PeopleReadWrite]);

/// Our own interface.
fn own() -> Vec<Row> {
    vec![
        row(
            "GET",
            "/api/v1/access",
            Any(&[P::GrantRead, P::AccessRequest]),
            Some(("/api/v1/access?tenantId=<tenant>", "")),
        ),
        row(
            "POST",
            "/api/v1/access",
            Any(&[P::AccessRequest]),
            Some((
                "/api/v1/access",
                r#"{"tenantId":"<tenant>","incidentId":"<incident>","level":"reader","reason":"to look around","hours":1}"#,
            )),
        ),
        row(
            "POST",
            "/api/v1/access/{id}/approve",
            Any(&[P::AccessApprove]),
            Some(("/api/v1/access/<access>/approve", "{}")),
        ),
        row(
            "POST",
            "/api/v1/access/{id}/deny",
            Any(&[P::AccessApprove]),
            Some(("/api/v1/access/<access>/deny", "{}")),
        ),
        row(
            "POST",
            "/api/v1/access/{id}/revoke",
            Any(&[P::AccessApprove, P::AccessRequest]),
            Some(("/api/v1/access/<access>/revoke", "{}")),
        ),
        row(
            "POST",
            "/api/v1/access/{id}/withdraw",
            Any(&[P::AccessRequest]),
            Some(("/api/v1/access/<access>/withdraw", "{}")),
        ),
        row(
            "GET",
            "/api/v1/conversations",
            IR,
            Some(("/api/v1/conversations?tenantId=<tenant>", "")),
        ),
        row("POST", "/api/v1/conversations", IR, None),
        row(
            "GET",
            "/api/v1/conversations/export",
            IR,
            Some(("/api/v1/conversations/export?tenantId=<tenant>", "")),
        ),
        row(
            "GET",
            "/api/v1/conversations/{id}",
            IR,
            Some(("/api/v1/conversations/incident-<incident>", "")),
        ),
        row(
            "POST",
            "/api/v1/conversations/{id}/close",
            IR,
            Some(("/api/v1/conversations/incident-<incident>/close", "{}")),
        ),
        row(
            "GET",
            "/api/v1/conversations/{id}/messages",
            IR,
            Some(("/api/v1/conversations/incident-<incident>/messages", "")),
        ),
        row(
            "POST",
            "/api/v1/conversations/{id}/messages",
            IR,
            Some(("/api/v1/conversations/incident-<incident>/messages", r#"{"text":"x"}"#)),
        ),
        row(
            "PUT",
            "/api/v1/conversations/{id}/rating",
            IR,
            Some(("/api/v1/conversations/incident-<incident>/rating", r#"{"helpful":true}"#)),
        ),
        row(
            "PUT",
            "/api/v1/conversations/{id}/read",
            IR,
            Some(("/api/v1/conversations/incident-<incident>/read", r#"{"messageId":null}"#)),
        ),
        row(
            "POST",
            "/api/v1/conversations/{id}/translations",
            IR,
            Some((
                "/api/v1/conversations/incident-<incident>/translations",
                r#"{"language":"es","messageIds":[]}"#,
            )),
        ),
        row("GET", "/api/v1/action-types", IR, None),
        row("GET", "/api/v1/actions", IR, Some(("/api/v1/actions?tenantId=<tenant>", ""))),
        row("POST", "/api/v1/actions/change", Any(&[P::TaskTakeAction, P::Experts]), None),
        row(
            "GET",
            "/api/v1/actions/export",
            IR,
            Some(("/api/v1/actions/export?tenantId=<tenant>", "")),
        ),
        row("GET", "/api/v1/actions/{id}", IR, Some(("/api/v1/actions/<action>", ""))),
        row(
            "POST",
            "/api/v1/actions/{id}/approve",
            Any(&[P::TaskTakeAction, P::Experts]),
            Some(("/api/v1/actions/<action>/approve", r#"{"fingerprint":"x"}"#)),
        ),
        row(
            "POST",
            "/api/v1/actions/{id}/reject",
            Any(&[P::TaskTakeAction, P::Experts]),
            Some(("/api/v1/actions/<action>/reject", r#"{"because":"no"}"#)),
        ),
        row(
            "GET",
            "/api/v1/actions/{id}/instances",
            IR,
            Some(("/api/v1/actions/<action>/instances", "")),
        ),
        row(
            "POST",
            "/api/v1/actions/{id}/instances",
            Any(&[P::TaskTakeAction, P::Experts]),
            Some((
                "/api/v1/actions/<action>/instances",
                r#"{"deviceIds":["<device>"],"comment":"why"}"#,
            )),
        ),
        row("GET", "/api/v1/authority", Any(&[P::GrantRead]), None),
        row("PUT", "/api/v1/authority", Any(&[P::GrantReadWrite]), None),
        row("PUT", "/api/v1/authority/policy", Any(&[P::GrantReadWrite]), None),
        row("POST", "/api/v1/authority/check", Any(&[P::GrantRead]), None),
        row("POST", "/api/v1/authority/what-if", Any(&[P::GrantReadWrite]), None),
        row("GET", "/api/v1/authority/versions", Any(&[P::GrantRead]), None),
        row("GET", "/api/v1/authority/versions/{version}", Any(&[P::GrantRead]), None),
        row(
            "POST",
            "/api/v1/actions/{id}/cancel",
            Any(&[P::TaskTakeAction, P::Experts]),
            Some(("/api/v1/actions/<action>/cancel", "{}")),
        ),
        row(
            "POST",
            "/api/v1/actions/{id}/decide",
            Any(&[P::TaskTakeAction, P::Experts]),
            Some((
                "/api/v1/actions/<action>/decide",
                r#"{"succeeded":true,"because":"I looked."}"#,
            )),
        ),
        row(
            "GET",
            "/api/v1/actions/{id}/package",
            Any(&[P::DeviceRead]),
            Some(("/api/v1/actions/<action>/package", "")),
        ),
        row(
            "POST",
            "/api/v1/actions/{id}/undo",
            Any(&[P::TaskTakeAction, P::Experts]),
            Some(("/api/v1/actions/<action>/undo", "{}")),
        ),
        row("GET", "/api/v1/agent-tokens", Any(&[P::DeviceReadWrite]), None),
        row("POST", "/api/v1/agent-tokens", Any(&[P::DeviceReadWrite]), None),
        row(
            "DELETE",
            "/api/v1/agent-tokens/{id}",
            Any(&[P::DeviceReadWrite]),
            Some(("/api/v1/agent-tokens/<agent token>", "")),
        ),
        row(
            "GET",
            "/api/v1/devices",
            Any(&[P::DeviceRead]),
            Some(("/api/v1/devices?tenantId=<tenant>", "")),
        ),
        row(
            "GET",
            "/api/v1/devices/{id}",
            Any(&[P::DeviceRead]),
            Some(("/api/v1/devices/<device>", "")),
        ),
        row(
            "PATCH",
            "/api/v1/devices/{id}",
            Any(&[P::DeviceReadWrite]),
            Some(("/api/v1/devices/<device>", r#"{"highValue":true}"#)),
        ),
        row(
            "DELETE",
            "/api/v1/devices/{id}",
            Any(&[P::DeviceReadWrite]),
            Some(("/api/v1/devices/<device>", "")),
        ),
        row(
            "POST",
            "/api/v1/devices/{id}/actions",
            Any(&[P::TaskTakeAction, P::Experts]),
            Some((
                "/api/v1/devices/<device>/actions",
                r#"{"actionType":"isolateDevice","comment":"It beacons."}"#,
            )),
        ),
        row(
            "POST",
            "/api/v1/devices/{id}/release-code",
            Any(&[P::DeviceReadWrite]),
            Some(("/api/v1/devices/<device>/release-code", "{}")),
        ),
        row(
            "GET",
            "/api/v1/devices/{id}/timeline",
            Any(&[P::DeviceRead]),
            Some(("/api/v1/devices/<device>/timeline", "")),
        ),
        row("GET", "/api/v1/users", IR, Some(("/api/v1/users?tenantId=<tenant>", ""))),
        row(
            "GET",
            "/api/v1/users/{tenant}/{name}",
            IR,
            Some(("/api/v1/users/<tenant>/kanarie7f3@alder.example", "")),
        ),
        row(
            "PATCH",
            "/api/v1/users/{tenant}/{name}",
            Any(&[P::ExclusionReadWrite]),
            Some((
                "/api/v1/users/<tenant>/kanarie7f3@alder.example",
                r#"{"highValue":true,"because":"why"}"#,
            )),
        ),
        row(
            "POST",
            "/api/v1/users/{tenant}/{name}/actions",
            Any(&[P::TaskTakeAction, P::Experts]),
            Some((
                "/api/v1/users/<tenant>/kanarie7f3@alder.example/actions",
                r#"{"actionType":"disableUser","deviceIds":["<device>"],"comment":"why"}"#,
            )),
        ),
        row(
            "GET",
            "/api/v1/users/{tenant}/{name}/alerts",
            AR,
            Some(("/api/v1/users/<tenant>/kanarie7f3@alder.example/alerts", "")),
        ),
        row(
            "GET",
            "/api/v1/users/{tenant}/{name}/incidents",
            IR,
            Some(("/api/v1/users/<tenant>/kanarie7f3@alder.example/incidents", "")),
        ),
        row(
            "GET",
            "/api/v1/users/{tenant}/{name}/timeline",
            IR,
            Some(("/api/v1/users/<tenant>/kanarie7f3@alder.example/timeline", "")),
        ),
        row("GET", "/api/v1/exclusions", Any(&[P::ExclusionRead]), None),
        row("POST", "/api/v1/exclusions", Any(&[P::ExclusionReadWrite]), None),
        row("PUT", "/api/v1/exclusions/high-value", Any(&[P::ExclusionReadWrite]), None),
        row("GET", "/api/v1/exclusions/user-groups", Any(&[P::ExclusionReadWrite]), None),
        row(
            "DELETE",
            "/api/v1/exclusions/{id}",
            Any(&[P::ExclusionReadWrite]),
            Some(("/api/v1/exclusions/<exclusion>", "")),
        ),
        row(
            "POST",
            "/api/v1/alerts",
            Any(&[P::AlertIngest]),
            Some(("/api/v1/alerts?tenantId=<tenant>", "[]")),
        ),
        row(
            "POST",
            "/api/v1/alerts/move",
            AW,
            Some(("/api/v1/alerts/move", r#"{"alertIds":["<alert>"]}"#)),
        ),
        row("GET", "/api/v1/alerts/{id}", AR, Some(("/api/v1/alerts/<alert>", ""))),
        row(
            "PATCH",
            "/api/v1/alerts/{id}",
            AW,
            Some(("/api/v1/alerts/<alert>", r#"{"status":"resolved"}"#)),
        ),
        row(
            "POST",
            "/api/v1/alerts/{id}/comments",
            AW,
            Some(("/api/v1/alerts/<alert>/comments", r#"{"comment":"here"}"#)),
        ),
        row("GET", "/api/v1/apps", Any(&[P::AppRead]), None),
        row("POST", "/api/v1/apps", Any(&[P::AppReadWrite]), None),
        row(
            "DELETE",
            "/api/v1/apps/{id}",
            Any(&[P::AppReadWrite]),
            Some(("/api/v1/apps/<app>", "")),
        ),
        row(
            "POST",
            "/api/v1/apps/{id}/secret",
            Any(&[P::AppReadWrite]),
            Some(("/api/v1/apps/<app>/secret", "{}")),
        ),
        row(
            "GET",
            "/api/v1/audit",
            Any(&[P::AuditRead]),
            Some(("/api/v1/audit?tenantId=<tenant>", "")),
        ),
        row(
            "GET",
            "/api/v1/audit/checkpoint",
            Any(&[P::AuditRead]),
            Some(("/api/v1/audit/checkpoint?tenantId=<tenant>", "")),
        ),
        row(
            "GET",
            "/api/v1/audit/export",
            Any(&[P::AuditRead]),
            Some(("/api/v1/audit/export?tenantId=<tenant>", "")),
        ),
        row("GET", "/api/v1/filters", Person, None),
        row("POST", "/api/v1/filters", Person, None),
        row("DELETE", "/api/v1/filters/{id}", Person, Some(("/api/v1/filters/<filter>", ""))),
        row("GET", "/api/v1/grant", Any(&[P::GrantRead]), None),
        row("PUT", "/api/v1/grant", Any(&[P::GrantReadWrite]), None),
        row("GET", "/api/v1/home", Any(&[P::IncidentRead, P::TenantRead]), None),
        row("GET", "/api/v1/incidents", IR, Some(("/api/v1/incidents?tenantId=<tenant>", ""))),
        row(
            "POST",
            "/api/v1/incidents/change",
            IW,
            Some((
                "/api/v1/incidents/change",
                r#"{"ids":["<own>","<incident>"],"change":{"customTags":["x"]}}"#,
            )),
        ),
        row(
            "GET",
            "/api/v1/incidents/count",
            IR,
            Some(("/api/v1/incidents/count?tenantId=<tenant>", "")),
        ),
        row("GET", "/api/v1/connectors", Any(&[P::ConnectorReadWrite]), None),
        row("POST", "/api/v1/connectors", Any(&[P::ConnectorReadWrite]), None),
        row(
            "PATCH",
            "/api/v1/connectors/{id}",
            Any(&[P::ConnectorReadWrite]),
            Some(("/api/v1/connectors/<connector>", r#"{"name":"x"}"#)),
        ),
        row(
            "DELETE",
            "/api/v1/connectors/{id}",
            Any(&[P::ConnectorReadWrite]),
            Some(("/api/v1/connectors/<connector>", "")),
        ),
        row(
            "POST",
            "/api/v1/connectors/{id}/test",
            Any(&[P::ConnectorReadWrite]),
            Some(("/api/v1/connectors/<connector>/test", "{}")),
        ),
        row("GET", "/api/v1/contacts", Any(&[P::ContactRead]), None),
        row("POST", "/api/v1/contacts", Any(&[P::ContactReadWrite]), None),
        row(
            "PATCH",
            "/api/v1/contacts/{id}",
            Any(&[P::ContactReadWrite]),
            Some(("/api/v1/contacts/<contact>", r#"{"name":"x"}"#)),
        ),
        row(
            "DELETE",
            "/api/v1/contacts/{id}",
            Any(&[P::ContactReadWrite]),
            Some(("/api/v1/contacts/<contact>", "")),
        ),
        row(
            "POST",
            "/api/v1/contacts/{id}/test",
            Any(&[P::ContactReadWrite]),
            Some(("/api/v1/contacts/<contact>/test", "{}")),
        ),
        row("GET", "/api/v1/mail-rules", Any(&[P::ContactRead]), None),
        row("POST", "/api/v1/mail-rules", Any(&[P::ContactReadWrite]), None),
        row(
            "PATCH",
            "/api/v1/mail-rules/{id}",
            Any(&[P::ContactReadWrite]),
            Some(("/api/v1/mail-rules/<mail rule>", r#"{"name":"x"}"#)),
        ),
        row(
            "DELETE",
            "/api/v1/mail-rules/{id}",
            Any(&[P::ContactReadWrite]),
            Some(("/api/v1/mail-rules/<mail rule>", "")),
        ),
        row(
            "POST",
            "/api/v1/mail-rules/{id}/restore",
            Any(&[P::ContactReadWrite]),
            Some(("/api/v1/mail-rules/<mail rule>/restore", "{}")),
        ),
        row(
            "POST",
            "/api/v1/mail-rules/{id}/test",
            Any(&[P::ContactReadWrite]),
            Some(("/api/v1/mail-rules/<mail rule>/test", "{}")),
        ),
        row("GET", "/api/v1/webhooks", Any(&[P::ContactRead]), None),
        row("POST", "/api/v1/webhooks", Any(&[P::ContactReadWrite]), None),
        row(
            "PATCH",
            "/api/v1/webhooks/{id}",
            Any(&[P::ContactReadWrite]),
            Some(("/api/v1/webhooks/<webhook>", r#"{"name":"x"}"#)),
        ),
        row(
            "DELETE",
            "/api/v1/webhooks/{id}",
            Any(&[P::ContactReadWrite]),
            Some(("/api/v1/webhooks/<webhook>", "")),
        ),
        row(
            "POST",
            "/api/v1/webhooks/{id}/rotate",
            Any(&[P::ContactReadWrite]),
            Some(("/api/v1/webhooks/<webhook>/rotate", "{}")),
        ),
        row(
            "POST",
            "/api/v1/webhooks/{id}/test",
            Any(&[P::ContactReadWrite]),
            Some(("/api/v1/webhooks/<webhook>/test", "{}")),
        ),
        row("GET", "/api/v1/demo/mails", Anybody, None),
        row("POST", "/api/v1/demo/mails/answer", Anybody, None),
        row("GET", "/api/v1/chat-channels", Any(&[P::ContactRead]), None),
        row("POST", "/api/v1/chat-channels", Any(&[P::ContactReadWrite]), None),
        row("POST", "/api/v1/chat-teams", Any(&[P::ContactReadWrite]), None),
        row(
            "PATCH",
            "/api/v1/chat-channels/{id}",
            Any(&[P::ContactReadWrite]),
            Some(("/api/v1/chat-channels/<chat channel>", r#"{"name":"x"}"#)),
        ),
        row(
            "DELETE",
            "/api/v1/chat-channels/{id}",
            Any(&[P::ContactReadWrite]),
            Some(("/api/v1/chat-channels/<chat channel>", "")),
        ),
        row(
            "POST",
            "/api/v1/chat-channels/{id}/test",
            Any(&[P::ContactReadWrite]),
            Some(("/api/v1/chat-channels/<chat channel>/test", "{}")),
        ),
        // Whoever asks is known by the vendor's proof alone.
        row("POST", "/api/v1/chat-channels/{id}/events", Stranger, None),
        row("GET", "/api/v1/deliveries", Any(&[P::ContactRead]), None),
        row(
            "GET",
            "/api/v1/deliveries/{id}",
            Any(&[P::ContactRead]),
            Some(("/api/v1/deliveries/<delivery>", "")),
        ),
        row(
            "POST",
            "/api/v1/deliveries/{id}/again",
            Any(&[P::ContactReadWrite]),
            Some(("/api/v1/deliveries/<delivery>/again", "{}")),
        ),
        row(
            "GET",
            "/api/v1/incidents/{id}/notifications",
            IR,
            Some(("/api/v1/incidents/<incident>/notifications", "")),
        ),
        row(
            "GET",
            "/api/v1/incidents/{id}/clocks",
            IR,
            Some(("/api/v1/incidents/<incident>/clocks", "")),
        ),
        row(
            "GET",
            "/api/v1/service-agreement",
            Any(&[P::IncidentRead, P::TenantRead]),
            // The provider's administrator promises something to each customer; see service_clock.
            None,
        ),
        row("GET", "/api/v1/ladder", Any(&[P::ContactRead]), None),
        row("PUT", "/api/v1/ladder", Any(&[P::ContactReadWrite]), None),
        row(
            "GET",
            "/api/v1/incidents/{id}/escalation",
            IR,
            Some(("/api/v1/incidents/<incident>/escalation", "")),
        ),
        row("POST", "/api/v1/calls/{id}", Stranger, None),
        row("POST", "/api/v1/calls/{id}/heard", Stranger, None),
        row("GET", "/api/v1/credits", Any(&[P::IncidentRead, P::TenantRead]), None),
        row("PUT", "/api/v1/credits", Any(&[P::TenantReadWrite]), None),
        row("PUT", "/api/v1/service-agreement", Any(&[P::TenantReadWrite]), None),
        row("DELETE", "/api/v1/service-agreement", Any(&[P::TenantReadWrite]), None),
        row("GET", "/api/v1/notifications/settings", Any(&[P::ContactRead]), None),
        row("PUT", "/api/v1/notifications/settings", Any(&[P::ContactReadWrite]), None),
        row("GET", "/api/v1/notifications/previews/{kind}", Any(&[P::ContactRead]), None),
        row("GET", "/api/v1/identity-providers", Any(&[P::SignInReadWrite]), None),
        row("POST", "/api/v1/identity-providers", Any(&[P::SignInReadWrite]), None),
        row(
            "DELETE",
            "/api/v1/identity-providers/{id}",
            Any(&[P::SignInReadWrite]),
            Some(("/api/v1/identity-providers/<identity provider>", "")),
        ),
        row(
            "GET",
            "/api/v1/incidents/export",
            IR,
            Some(("/api/v1/incidents/export?tenantId=<tenant>", "")),
        ),
        row(
            "POST",
            "/api/v1/incidents/merge",
            IW,
            Some(("/api/v1/incidents/merge", r#"{"incidentIds":["<own>","<incident>"]}"#)),
        ),
        row("GET", "/api/v1/incidents/{id}", IR, Some(("/api/v1/incidents/<incident>", ""))),
        row(
            "PATCH",
            "/api/v1/incidents/{id}",
            IW,
            Some(("/api/v1/incidents/<incident>", r#"{"customTags":["x"]}"#)),
        ),
        row(
            "GET",
            "/api/v1/incidents/{id}/alerts",
            Any(&[P::IncidentRead, P::AlertRead]),
            Some(("/api/v1/incidents/<incident>/alerts", "")),
        ),
        row(
            "POST",
            "/api/v1/incidents/{id}/comments",
            IW,
            Some(("/api/v1/incidents/<incident>/comments", r#"{"comment":"here"}"#)),
        ),
        row(
            "POST",
            "/api/v1/incidents/{id}/conclude",
            Any(&[P::Experts]),
            Some((
                "/api/v1/incidents/<incident>/conclude",
                r#"{"classification":"falsePositive","determination":"notMalicious","summary":"s"}"#,
            )),
        ),
        row(
            "GET",
            "/api/v1/incidents/{id}/graph",
            Any(&[P::IncidentRead, P::AlertRead]),
            Some(("/api/v1/incidents/<incident>/graph", "")),
        ),
        row(
            "GET",
            "/api/v1/incidents/{id}/similar",
            IR,
            Some(("/api/v1/incidents/<incident>/similar", "")),
        ),
        row(
            "POST",
            "/api/v1/incidents/{id}/start",
            Any(&[P::Experts]),
            Some(("/api/v1/incidents/<incident>/start", "{}")),
        ),
        row(
            "GET",
            "/api/v1/incidents/{id}/timeline",
            IR,
            Some(("/api/v1/incidents/<incident>/timeline", "")),
        ),
        row(
            "GET",
            "/api/v1/incidents/{id}/response",
            IR,
            Some(("/api/v1/incidents/<incident>/response", "")),
        ),
        row(
            "POST",
            "/api/v1/incidents/{id}/response/reject",
            Any(&[P::TaskReadWrite, P::IncidentReadWrite]),
            Some(("/api/v1/incidents/<incident>/response/reject", r#"{"because":"Not now."}"#)),
        ),
        row(
            "PUT",
            "/api/v1/incidents/{id}/response/summary",
            Any(&[P::Experts]),
            Some(("/api/v1/incidents/<incident>/response/summary", r#"{"summary":"s"}"#)),
        ),
        row(
            "POST",
            "/api/v1/incidents/{id}/tasks",
            Any(&[P::Experts]),
            Some((
                "/api/v1/incidents/<incident>/tasks",
                r#"{"actionType":"isolateDevice","target":{"kind":"device","id":"x"}}"#,
            )),
        ),
        row(
            "POST",
            "/api/v1/incidents/{id}/publish",
            Any(&[P::Experts]),
            Some((
                "/api/v1/incidents/<incident>/publish",
                r#"{"classification":"truePositive","determination":"malware","summary":"s"}"#,
            )),
        ),
        row("GET", "/api/v1/tasks/{id}", IR, Some(("/api/v1/tasks/<task>", ""))),
        row(
            "PATCH",
            "/api/v1/tasks/{id}",
            Any(&[P::Experts]),
            Some(("/api/v1/tasks/<task>", r#"{"displayName":"x"}"#)),
        ),
        row("DELETE", "/api/v1/tasks/{id}", Any(&[P::Experts]), Some(("/api/v1/tasks/<task>", ""))),
        row(
            "POST",
            "/api/v1/tasks/{id}/begin",
            Any(&[P::TaskReadWrite, P::IncidentReadWrite]),
            Some(("/api/v1/tasks/<task>/begin", "{}")),
        ),
        row(
            "POST",
            "/api/v1/tasks/{id}/complete",
            Any(&[P::TaskReadWrite, P::IncidentReadWrite]),
            Some(("/api/v1/tasks/<task>/complete", "{}")),
        ),
        row("POST", "/api/v1/tasks/{id}/preview", IR, Some(("/api/v1/tasks/<task>/preview", "{}"))),
        row(
            "POST",
            "/api/v1/tasks/{id}/reopen",
            Any(&[P::TaskReadWrite, P::IncidentReadWrite]),
            Some(("/api/v1/tasks/<task>/reopen", "{}")),
        ),
        row(
            "POST",
            "/api/v1/tasks/{id}/run",
            Any(&[P::TaskTakeAction, P::TaskReadWrite, P::IncidentReadWrite, P::Experts]),
            Some(("/api/v1/tasks/<task>/run", "{}")),
        ),
        row(
            "POST",
            "/api/v1/tasks/{id}/skip",
            Any(&[P::TaskReadWrite, P::IncidentReadWrite]),
            Some(("/api/v1/tasks/<task>/skip", r#"{"because":"Not now."}"#)),
        ),
        row(
            "POST",
            "/api/v1/tasks/{id}/undo",
            Any(&[P::TaskTakeAction, P::IncidentReadWrite, P::Experts]),
            Some(("/api/v1/tasks/<task>/undo", "{}")),
        ),
        row("GET", "/api/v1/onboarding", Any(&[P::GrantRead]), None),
        row("PUT", "/api/v1/onboarding/steps/{step}", Any(&[P::GrantReadWrite]), None),
        row("PUT", "/api/v1/onboarding/targets", Any(&[P::GrantReadWrite]), None),
        row("POST", "/api/v1/onboarding/submit", Any(&[P::GrantReadWrite]), None),
        row("POST", "/api/v1/onboarding/check", Any(&[P::GrantReadWrite]), None),
        row("GET", "/api/v1/people", Any(&[P::PeopleRead]), None),
        row("POST", "/api/v1/people", Any(&[P::PeopleReadWrite, P::TenantReadWrite]), None),
        row("DELETE", "/api/v1/people/{id}", PW, Some(("/api/v1/people/<person>", ""))),
        row(
            "PATCH",
            "/api/v1/people/{id}",
            PW,
            Some(("/api/v1/people/<person>", r#"{"disabled":true}"#)),
        ),
        row(
            "POST",
            "/api/v1/people/{id}/invite",
            PW,
            Some(("/api/v1/people/<person>/invite", "{}")),
        ),
        row(
            "POST",
            "/api/v1/people/{id}/sign-out",
            PW,
            Some(("/api/v1/people/<person>/sign-out", "{}")),
        ),
        row("GET", "/api/v1/session", Person, None),
        row("GET", "/api/v1/session/list", Person, None),
        row(
            "DELETE",
            "/api/v1/session/list/{id}",
            Person,
            Some(("/api/v1/session/list/<session>", "")),
        ),
        row(
            "POST",
            "/api/v1/session/organisation",
            Person,
            Some(("/api/v1/session/organisation", r#"{"organisationId":"<tenant>"}"#)),
        ),
        row("GET", "/api/v1/session/passkey", Person, None),
        row("POST", "/api/v1/session/passkey/begin", Person, None),
        row("POST", "/api/v1/session/passkey/finish", Person, None),
        row("DELETE", "/api/v1/session/passkey/{id}", Person, None),
        row("POST", "/api/v1/session/step-up/passkey/begin", Person, None),
        row("POST", "/api/v1/session/step-up/passkey/finish", Person, None),
        row("POST", "/api/v1/session/step-up/totp", Person, None),
        row("POST", "/api/v1/setup/look", Stranger, None),
        row("POST", "/api/v1/setup/passkey/begin", Stranger, None),
        row("POST", "/api/v1/setup/passkey/finish", Stranger, None),
        row("POST", "/api/v1/setup/password", Stranger, None),
        row("POST", "/api/v1/setup/totp", Stranger, None),
        row("GET", "/api/v1/sign-in/demo", Stranger, None),
        row("POST", "/api/v1/sign-in/demo", Stranger, None),
        row("POST", "/api/v1/sign-in/enrol", Stranger, None),
        row("POST", "/api/v1/sign-in/enrol/totp", Stranger, None),
        row("GET", "/api/v1/sign-in/options", Stranger, None),
        row("POST", "/api/v1/sign-in/passkey/begin", Stranger, None),
        row("POST", "/api/v1/sign-in/passkey/finish", Stranger, None),
        row("POST", "/api/v1/sign-in/password", Stranger, None),
        row("POST", "/api/v1/sign-in/totp", Stranger, None),
        row("GET", "/api/v1/tenants", Any(&[P::TenantRead, P::GrantRead]), None),
        row("POST", "/api/v1/tenants", Any(&[P::TenantReadWrite]), None),
        row("POST", "/api/v1/tenants/{id}/welcome", Any(&[P::TenantReadWrite]), None),
        row("PATCH", "/api/v1/tenants/{id}/onboarding", Any(&[P::TenantReadWrite]), None),
        row("POST", "/api/v1/tenants/{id}/end-monitoring", Any(&[P::TenantReadWrite]), None),
        row("GET", "/api/v1/words", Anybody, None),
        row("GET", "/api/incidents", IR, None),
        row("GET", "/api/incidents/{id}", IR, Some(("/api/incidents/<incident>", ""))),
        row(
            "PATCH",
            "/api/incidents/{id}",
            IW,
            Some(("/api/incidents/<incident>", r#"{"tags":["x"]}"#)),
        ),
        row("GET", "/sign-in/oidc/callback", Stranger, None),
        row("GET", "/sign-in/oidc/{id}", Stranger, None),
        row(
            "GET",
            "/api/v1.0/{tenant}/activity/feed/subscriptions/list",
            Any(&[P::AuditRead]),
            Some(("/api/v1.0/<tenant>/activity/feed/subscriptions/list", "")),
        ),
        row(
            "POST",
            "/api/v1.0/{tenant}/activity/feed/subscriptions/start",
            Any(&[P::AuditRead]),
            Some((
                "/api/v1.0/<tenant>/activity/feed/subscriptions/start?contentType=Audit.General",
                "{}",
            )),
        ),
        row(
            "POST",
            "/api/v1.0/{tenant}/activity/feed/subscriptions/stop",
            Any(&[P::AuditRead]),
            Some((
                "/api/v1.0/<tenant>/activity/feed/subscriptions/stop?contentType=Audit.General",
                "{}",
            )),
        ),
        row(
            "GET",
            "/api/v1.0/{tenant}/activity/feed/subscriptions/content",
            Any(&[P::AuditRead]),
            Some((
                "/api/v1.0/<tenant>/activity/feed/subscriptions/content?contentType=Audit.General",
                "",
            )),
        ),
        row(
            "GET",
            "/api/v1.0/{tenant}/activity/feed/audit/{id}",
            Any(&[P::AuditRead]),
            Some((
                // From 0 to 5 of Audit.General.
                "/api/v1.0/<tenant>/activity/feed/audit/MC41LkF1ZGl0LkdlbmVyYWw",
                "",
            )),
        ),
        row("POST", "/{tenant}/oauth2/token", Stranger, None),
        row("POST", "/{tenant}/oauth2/v2.0/token", Stranger, None),
    ]
}

/// Routes whose answer never ends, or that end the caller's own session: they have tests of their
/// own (`access::an_open_stream_ends…`, `people::sessions_are_listed_and_ended`).
const APART: &[(&str, &str)] = &[("GET", "/api/v1/events"), ("DELETE", "/api/v1/session")];

/// The Graph face, below each version.
fn graph() -> Vec<Row> {
    let read_within: fn() -> Guard = || Any(&[P::IncidentRead, P::AlertRead]);
    let read_tasks: fn() -> Guard = || Any(&[P::IncidentRead, P::TaskReadWrite]);
    vec![
        row("GET", "/security/alerts", AR, None),
        row("GET", "/security/alerts/$count", AR, None),
        row("GET", "/security/alerts/{id}", AR, Some(("/security/alerts/<alert>", ""))),
        row(
            "PATCH",
            "/security/alerts/{id}",
            AW,
            Some((
                "/security/alerts/<alert>",
                r#"{"status":"resolved","vendorInformation":{"provider":"p","vendor":"v"}}"#,
            )),
        ),
        row("GET", "/security/alerts_v2", AR, None),
        row("POST", "/security/alerts_v2", Any(&[P::AlertReadWrite, P::AlertIngest]), None),
        row("GET", "/security/alerts_v2/$count", AR, None),
        row(
            "POST",
            "/security/alerts_v2/microsoft.graph.security.moveAlerts",
            AW,
            Some((
                "/security/alerts_v2/microsoft.graph.security.moveAlerts",
                r#"{"alertIds":["<alert>"],"incidentId":"<own>"}"#,
            )),
        ),
        row("GET", "/security/alerts_v2/{id}", AR, Some(("/security/alerts_v2/<alert>", ""))),
        row(
            "PATCH",
            "/security/alerts_v2/{id}",
            AW,
            Some(("/security/alerts_v2/<alert>", r#"{"status":"resolved"}"#)),
        ),
        row(
            "GET",
            "/security/alerts_v2/{id}/comments",
            AR,
            Some(("/security/alerts_v2/<alert>/comments", "")),
        ),
        row(
            "POST",
            "/security/alerts_v2/{id}/comments",
            AW,
            Some(("/security/alerts_v2/<alert>/comments", r#"[{"comment":"here"}]"#)),
        ),
        row(
            "GET",
            "/security/alerts_v2/{id}/comments/$count",
            AR,
            Some(("/security/alerts_v2/<alert>/comments/$count", "")),
        ),
        row("GET", "/security/incidents", IR, None),
        row("POST", "/security/incidents", IW, None),
        row("GET", "/security/incidents/$count", IR, None),
        row(
            "POST",
            "/security/incidents/microsoft.graph.security.mergeIncidents",
            IW,
            Some((
                "/security/incidents/microsoft.graph.security.mergeIncidents",
                r#"{"incidentIds":["<own>","<incident>"]}"#,
            )),
        ),
        row("GET", "/security/incidents/{id}", IR, Some(("/security/incidents/<incident>", ""))),
        row(
            "PATCH",
            "/security/incidents/{id}",
            IW,
            Some(("/security/incidents/<incident>", r#"{"customTags":["x"]}"#)),
        ),
        row(
            "GET",
            "/security/incidents/{id}/alerts",
            read_within(),
            Some(("/security/incidents/<incident>/alerts", "")),
        ),
        row(
            "GET",
            "/security/incidents/{id}/alerts/$count",
            read_within(),
            Some(("/security/incidents/<incident>/alerts/$count", "")),
        ),
        row(
            "GET",
            "/security/incidents/{id}/alerts/{alert}",
            read_within(),
            Some(("/security/incidents/<own>/alerts/<alert>", "")),
        ),
        row(
            "POST",
            "/security/incidents/{id}/alerts/{alert}/comments",
            Any(&[P::IncidentReadWrite, P::AlertReadWrite]),
            Some(("/security/incidents/<own>/alerts/<alert>/comments", r#"[{"comment":"here"}]"#)),
        ),
        row(
            "GET",
            "/security/incidents/{id}/comments",
            IR,
            Some(("/security/incidents/<incident>/comments", "")),
        ),
        row(
            "POST",
            "/security/incidents/{id}/comments",
            IW,
            Some(("/security/incidents/<incident>/comments", r#"{"comment":"here"}"#)),
        ),
        row(
            "GET",
            "/security/incidents/{id}/comments/$count",
            IR,
            Some(("/security/incidents/<incident>/comments/$count", "")),
        ),
        row("GET", "/security/incidentTasks", read_tasks(), None),
        row("GET", "/security/incidentTasks/$count", read_tasks(), None),
        row(
            "GET",
            "/security/incidentTasks/{id}",
            read_tasks(),
            Some(("/security/incidentTasks/<task>", "")),
        ),
        row(
            "PATCH",
            "/security/incidentTasks/{id}",
            Any(&[P::IncidentReadWrite, P::TaskReadWrite]),
            Some(("/security/incidentTasks/<task>", r#"{"status":"completed"}"#)),
        ),
        row(
            "GET",
            "/security/incidentTasks/{id}/incident",
            IR,
            Some(("/security/incidentTasks/<task>/incident", "")),
        ),
        row(
            "POST",
            "/security/incidentTasks/{id}/microsoft.graph.security.executeResponseAction",
            Any(&[P::IncidentReadWrite, P::TaskReadWrite, P::TaskTakeAction]),
            Some((
                "/security/incidentTasks/<task>/microsoft.graph.security.executeResponseAction",
                "",
            )),
        ),
    ]
}

fn all() -> Vec<(String, Row, String)> {
    let mut all: Vec<(String, Row, String)> =
        own().into_iter().map(|row| (row.path.to_owned(), row, String::new())).collect();
    for version in ["/v1.0", "/beta"] {
        let rows = graph().into_iter();
        all.extend(rows.map(|row| (format!("{version}{}", row.path), row, version.to_owned())));
    }
    all
}

/// The ids of one customer's things.
struct Things {
    tenant: String,
    incident: String,
    task: String,
    alert: String,
    person: String,
    app: String,
    access: String,
    filter: String,
    session: String,
    identity_provider: String,
    connector: String,
    contact: String,
    mail_rule: String,
    webhook: String,
    chat_channel: String,
    delivery: String,
    device: String,
    action: String,
    agent_token: String,
    exclusion: String,
}

impl Things {
    fn in_place(&self, text: &str, own: &str) -> String {
        let mut text = text.replace("<own>", own);
        for (name, id) in [
            ("tenant", &self.tenant),
            ("incident", &self.incident),
            ("task", &self.task),
            ("alert", &self.alert),
            ("person", &self.person),
            ("app", &self.app),
            ("access", &self.access),
            ("filter", &self.filter),
            ("session", &self.session),
            ("identity provider", &self.identity_provider),
            ("connector", &self.connector),
            ("contact", &self.contact),
            ("mail rule", &self.mail_rule),
            ("webhook", &self.webhook),
            ("chat channel", &self.chat_channel),
            ("delivery", &self.delivery),
            ("device", &self.device),
            ("action", &self.action),
            ("agent token", &self.agent_token),
            ("exclusion", &self.exclusion),
        ] {
            text = text.replace(&format!("<{name}>"), id);
        }
        text
    }

    /// Takes the ids out of an answer, so that two answers can be compared.
    fn out_of(&self, text: &str) -> String {
        let mut text = text.to_owned();
        // An alert's or action's id may end with the digits of the incident's.
        let ids =
            [&self.tenant, &self.alert, &self.action, &self.device, &self.incident, &self.task];
        let ids = ids.into_iter().chain([&self.person, &self.app]);
        for id in ids {
            text = text.replace(id.as_str(), "ID");
        }
        text
    }
}

enum Show {
    Nothing(Browser),
    Session(Browser),
    Token(Client),
}

struct Who {
    name: &'static str,
    show: Show,
    permissions: Vec<Permission>,
    /// Whether it is inside of the first customer's tenant.
    inside: bool,
    /// Whether it belongs to the second customer.
    other: bool,
}

impl Who {
    async fn send(&self, method: &str, path: &str, body: &str) -> Reply {
        let own = [("x-riposte", "1")];
        let json = (!body.is_empty()).then(|| serde_json::from_str::<Value>(body).expect("JSON"));
        match &self.show {
            Show::Nothing(browser) | Show::Session(browser) => {
                browser.send(method, path, json.as_ref(), &own).await
            }
            Show::Token(client) => {
                let body = json.map(|body| body.to_string());
                let headers = [("content-type", "application/json"), ("x-riposte", "1")];
                client.send(method, path, body, &headers).await
            }
        }
    }

    fn holds(&self, guard: &Guard) -> bool {
        match guard {
            Stranger | Anybody => true,
            Person => !matches!(self.show, Show::Token(_)),
            Any(wanted) => {
                wanted.iter().any(|wanted| self.permissions.iter().any(|held| held.covers(*wanted)))
            }
        }
    }
}

struct Stage {
    face: Face,
    callers: Vec<Who>,
    ours: Things,
    theirs: Things,
}

/// A published task of an incident.
async fn published(face: &Face, incident: &str, mark: &str) -> String {
    let user = Some((TargetKind::User, mark));
    let task = crate::task::task(Kind::DisableUser, user, &format!("{mark} task"));
    let incident = incident.parse().expect("an incident");
    crate::task::publish(&face.world, incident, mark, vec![task]).await.remove(0)
}

/// What a customer has of devices and agents.
async fn devices(face: &Face, tenant: &Tenant, admin: &Browser, mark: &str, things: &mut Things) {
    let name = format!("{mark}-host");
    let (device, action) = crate::agent::lived_in(face, tenant, admin, &name).await;
    let groups = json!({ "groups": [mark] });
    let text = |value: &Value| value.as_str().expect("an id").to_owned();
    things.device = text(&device["id"]);
    things.action = action;
    admin.patch(&format!("/api/v1/devices/{}", things.device), &groups).await.expect(200);
    let token = admin.post("/api/v1/agent-tokens", &json!({})).await.expect(201).json();
    things.agent_token = text(&token["id"]);
    let excluded = json!({ "kind": "user", "name": mark, "because": mark });
    let excluded = admin.post("/api/v1/exclusions", &excluded).await.expect(201).json();
    things.exclusion = text(&excluded["id"]);
}

async fn things(
    mark: &str,
    (admin, domain): (&Browser, &str),
    tenant: &str,
    app: &str,
    (expert, issuer): (&Browser, &str),
) -> Things {
    let provider = json!({
        "name": mark, "issuer": issuer, "clientId": mark, "clientSecret": mark,
        "domains": [domain], "factor": "ours", "roles": { mark: "Security Reader" },
    });
    let provider = admin.post("/api/v1/identity-providers", &provider).await.expect(201).json();
    let connector = json!({
        "kind": "microsoftGraph", "name": mark, "baseUrl": issuer, "tokenUrl": issuer,
        "clientId": mark, "clientSecret": mark,
    });
    let connector = admin.post("/api/v1/connectors", &connector).await.expect(201).json();
    let webhook = json!({ "name": mark, "url": format!("{issuer}/{mark}") });
    let webhook = admin.post("/api/v1/webhooks", &webhook).await.expect(201).json();
    let chat = json!({
        "vendor": "slack", "name": mark, "settings": { "channelId": "C012AB3CD" },
        "secrets": { "botToken": "xoxb-canary-1", "signingSecret": "0123456789abcdef" },
    });
    let chat = admin.post("/api/v1/chat-channels", &chat).await.expect(201).json();
    let contact = json!({
        "name": mark, "kind": "person", "email": format!("{}@{domain}", mark.to_lowercase()),
        "role": "incidentNotification",
    });
    let contact = admin.post("/api/v1/contacts", &contact).await.expect(201).json();
    let mail_rule = json!({
        "name": mark, "when": { "about": "incidents" },
        "recipients": [{ "email": format!("{}@{domain}", mark.to_lowercase()) }],
    });
    let mail_rule = admin.post("/api/v1/mail-rules", &mail_rule).await.expect(201).json();
    let told = format!("/api/v1/contacts/{}/test", contact["id"].as_str().expect("an id"));
    let delivery = admin.post(&told, &json!({})).await.expect(202).json();
    let queue = admin.get("/api/v1/incidents").await.expect(200).json();
    let incident = queue["value"][0]["id"].as_str().expect("an incident").to_owned();
    let alerts = admin.get(&format!("/api/v1/incidents/{incident}/alerts")).await.expect(200);
    let people = admin.get("/api/v1/people").await.expect(200).json();
    let sessions = admin.get("/api/v1/session/list").await.expect(200).json();
    let filter = json!({ "name": mark, "query": format!("q={mark}") });
    let filter = admin.post("/api/v1/filters", &filter).await.expect(201).json();
    let wanted = json!({
        "tenantId": tenant, "incidentId": incident, "level": "reader",
        "reason": format!("{mark}, to look"), "hours": 8,
    });
    let access = expert.post("/api/v1/access", &wanted).await.expect(201).json();
    let text = |value: &Value| value.as_str().expect("an id").to_owned();
    Things {
        tenant: tenant.to_owned(),
        alert: text(&alerts.json()["value"][0]["id"]),
        task: String::new(),
        incident,
        person: text(&people["value"][0]["id"]),
        app: app.to_owned(),
        access: text(&access["id"]),
        filter: text(&filter["id"]),
        session: text(&sessions["value"][0]["id"]),
        identity_provider: text(&provider["id"]),
        connector: text(&connector["id"]),
        contact: text(&contact["id"]),
        mail_rule: text(&mail_rule["id"]),
        webhook: text(&webhook["id"]),
        chat_channel: text(&chat["id"]),
        delivery: text(&delivery["deliveryId"]),
        device: String::new(),
        action: String::new(),
        agent_token: String::new(),
        exclusion: String::new(),
    }
}

async fn stage() -> Stage {
    let face = Face::new().await;
    let world = &face.world;
    let (a, b) = (world.tenant.clone(), world.other.clone());
    world.alerts(&[alert("one", "h1", "u1", 0)]).await;
    let mut canary = alert(&format!("{CANARY}-id"), &format!("{CANARY}-host"), CANARY, 0);
    for member in ["title", "description", "category", "threatDisplayName", "alertWebUrl"] {
        canary[member] = json!(format!("{CANARY} {member}"));
    }
    canary["recommendedActions"] = json!(format!("{CANARY} advice"));
    let body = json!([canary]).to_string();
    world.push_to(b.no, riposte::alert::format::Format::Graph, body).await;
    world.settle().await;

    let reader = face.person(&a.id, "reader@alder.example", Role::SecurityReader).await;
    let operator = face.person(&a.id, "operator@alder.example", Role::SecurityOperator).await;
    let admin = face.person(&a.id, "admin@alder.example", Role::SecurityAdministrator).await;
    let other_admin = face
        .person(&b.id, &format!("{CANARY}@norrland.example"), Role::SecurityAdministrator)
        .await;
    let inside = face.provider_person("inside@fjordwatch.example", Role::Expert).await;
    let expert = face.provider_person("expert@fjordwatch.example", Role::Expert).await;
    let expired = face.provider_person("expired@fjordwatch.example", Role::Expert).await;
    let lead = face.provider_person("lead2@fjordwatch.example", Role::Lead).await;
    let manager =
        face.provider_person("sdm@fjordwatch.example", Role::ServiceDeliveryManager).await;
    let provider = face.provider_person("pa@fjordwatch.example", Role::ProviderAdministrator).await;

    let all = [P::IncidentReadWrite, P::AlertReadWrite, P::AlertIngest, P::AuditRead];
    let app_a = face.app(Side::Tenant(&a.id), &all).await;
    let app_b = face.app(Side::Tenant(&b.id), &all).await;
    let ingest = face.app(Side::Tenant(&a.id), &[P::AlertIngest]).await;
    let experts = face.app(Side::Provider, &[P::Experts, P::AuditRead]).await;

    // While the other customer grants access too, its things are named by an expert.
    let grant = |level: ExpertAccess| json!({ "level": level.word(), "approval": "automatic", "endDateTime": null });
    for who in [&admin, &other_admin] {
        who.put("/api/v1/grant", &grant(ExpertAccess::Reader)).await.expect(200);
    }
    let issuer = crate::oidc::issuer().await;
    let with = (&inside, issuer.as_str());
    let mut ours = things("ours", (&admin, "alder.example"), &a.id, &app_a.client_id, with).await;
    let mut theirs =
        things(CANARY, (&other_admin, "norrland.example"), &b.id, &app_b.client_id, with).await;
    let path = format!("/api/v1/incidents/{}", theirs.incident);
    let said = json!({ "comment": format!("{CANARY} said") });
    other_admin.post(&format!("{path}/comments"), &said).await.expect(200);
    let tags = json!({ "customTags": [CANARY], "assignedTo": CANARY, "summary": CANARY });
    other_admin.patch(&path, &tags).await.expect(200);
    let asked = json!({ "subject": format!("{CANARY} asks"), "text": format!("{CANARY} says") });
    other_admin.post("/api/v1/conversations", &asked).await.expect(201);
    ours.task = published(&face, &ours.incident, "ours").await;
    theirs.task = published(&face, &theirs.incident, CANARY).await;
    devices(&face, &a, &admin, "ours", &mut ours).await;
    devices(&face, &b, &other_admin, CANARY, &mut theirs).await;
    let wanted = json!({
        "tenantId": a.id, "level": "reader", "reason": "to look around", "hours": 1,
    });
    let access = expired.post("/api/v1/access", &wanted).await.expect(201).json();
    let revoke = format!("/api/v1/access/{}/revoke", access["id"].as_str().expect("an id"));
    expired.post(&revoke, &json!({})).await.expect(200);
    other_admin.put("/api/v1/grant", &grant(ExpertAccess::None)).await.expect(200);
    world.settle().await;

    let person = |name, browser, role: Role, inside, other| Who {
        name,
        show: Show::Session(browser),
        permissions: role.permissions().to_vec(),
        inside,
        other,
    };
    let token = async |name, app, permissions: &[Permission], other: bool| Who {
        name,
        show: Show::Token(face.sign_in(app).await),
        permissions: permissions.to_vec(),
        inside: !other,
        other,
    };
    let callers = vec![
        Who {
            name: "anonymous",
            show: Show::Nothing(Browser::new(&face.router)),
            permissions: vec![],
            inside: false,
            other: false,
        },
        person("reader", reader, Role::SecurityReader, true, false),
        person("operator", operator, Role::SecurityOperator, true, false),
        person("administrator", admin, Role::SecurityAdministrator, true, false),
        person("expert inside", inside, Role::Expert, true, false),
        person("expert outside", expert, Role::Expert, false, false),
        person("expert whose access has ended", expired, Role::Expert, false, false),
        person("lead", lead, Role::Lead, false, false),
        person("service delivery manager", manager, Role::ServiceDeliveryManager, false, false),
        person("provider administrator", provider, Role::ProviderAdministrator, false, false),
        person("other administrator", other_admin, Role::SecurityAdministrator, false, true),
        token("application", &app_a, &all, false).await,
        token("ingest application", &ingest, &[P::AlertIngest], false).await,
        token("other application", &app_b, &all, true).await,
        token("experts' application", &experts, &[P::Experts, P::AuditRead], false).await,
    ];
    Stage { face, callers, ours, theirs }
}

#[test]
fn every_route_has_a_row_and_every_row_a_route() {
    let document = serde_json::to_value(riposte::router::document()).expect("a document");
    let mut routes = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for method in methods.as_object().expect("methods").keys() {
            routes.insert((method.to_uppercase(), path.clone()));
        }
    }
    let mut rows: BTreeSet<(String, String)> =
        all().into_iter().map(|(path, row, _)| (row.method.to_owned(), path)).collect();
    rows.extend(APART.iter().map(|(method, path)| ((*method).to_owned(), (*path).to_owned())));
    let missing: Vec<_> = routes.symmetric_difference(&rows).collect();
    assert!(missing.is_empty(), "rows and routes differ: {missing:?}");
}

#[test]
fn every_operation_of_the_document_has_a_name_of_its_own() {
    let document = serde_json::to_value(riposte::router::document()).expect("a document");
    let mut names = BTreeSet::new();
    for methods in document["paths"].as_object().expect("paths").values() {
        for operation in methods.as_object().expect("methods").values() {
            let name = operation["operationId"].as_str().expect("a name").to_owned();
            assert!(names.insert(name.clone()), "{name} is there twice");
        }
    }
}

/// What a caller is answered in its own tenant, where it holds the permission or not.
#[tokio::test]
async fn a_role_does_what_its_row_says_and_nothing_else() {
    let stage = Box::pin(stage()).await;
    let unknown = Things {
        tenant: stage.ours.tenant.clone(),
        incident: "999999999".to_owned(),
        task: "999999999".to_owned(),
        alert: "al999999999".to_owned(),
        person: "nobody".to_owned(),
        app: "nothing".to_owned(),
        access: "nothing".to_owned(),
        filter: "nothing".to_owned(),
        session: "nothing".to_owned(),
        identity_provider: "nothing".to_owned(),
        connector: "nothing".to_owned(),
        contact: "nothing".to_owned(),
        mail_rule: "nothing".to_owned(),
        webhook: "nothing".to_owned(),
        chat_channel: "nothing".to_owned(),
        delivery: "nothing".to_owned(),
        device: "nothing".to_owned(),
        action: "ac999999999".to_owned(),
        agent_token: "nothing".to_owned(),
        exclusion: "nothing".to_owned(),
    };
    let mut faults = Vec::new();
    for (path, row, version) in all() {
        for who in &stage.callers {
            // Nothing is changed by what is allowed: the body is refused, or the thing is unknown.
            let template = row.foreign.map_or(path.clone(), |(path, _)| format!("{version}{path}"));
            let things = if row.method == "DELETE" { &unknown } else { &stage.ours };
            let target = things.in_place(&template, &stage.ours.incident);
            let target = target.replace("{id}", "unknown").replace("{tenant}", &stage.ours.tenant);
            let body = if matches!(row.method, "GET" | "DELETE") { "" } else { r#"{"no":1}"# };
            let reply = who.send(row.method, &target, body).await;
            let status = reply.status.as_u16();
            let holds = who.holds(&row.guard);
            let right = match (&who.show, &row.guard) {
                (_, Stranger) => !matches!(status, 403 | 500..),
                (Show::Nothing(_), _) => status == 401,
                (_, _) if !holds => status == 403,
                // Outside, what is in the tenant is told to need access, or does not exist.
                (_, Any(_)) if !who.inside => !matches!(status, 401 | 405 | 500..),
                _ => !matches!(status, 401 | 403 | 405 | 500..),
            };
            // No body of ours has such a member: whoever sends one is told, and nothing is done.
            // (A record that cannot be read is counted as such; the rest of its batch goes in.)
            let intake = row.path == "/api/v1/alerts";
            let own = version.is_empty() && path.starts_with("/api/v1/") && !intake;
            let done = own && !body.is_empty() && (200..300).contains(&status);
            if done {
                faults.push(format!(
                    "{} {target} by {} takes an unknown member",
                    row.method, who.name
                ));
            }
            if !right {
                faults.push(format!(
                    "{} {target} by {}: {status} (holds: {holds}) {}",
                    row.method, who.name, reply.text
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// Headers and body of an answer as they could betray something.
fn all_of(reply: &Reply) -> String {
    format!("{:?}\n{}", reply.headers, reply.text)
}

#[tokio::test]
async fn a_foreign_tenant_does_not_exist() {
    let stage = Box::pin(stage()).await;
    let nobody = |text: &str| stage.face.world.app.random.uuid().expect(text);
    let unknown = Things {
        tenant: nobody("tenant"),
        incident: "999999999".to_owned(),
        task: "999999999".to_owned(),
        alert: "al999999999".to_owned(),
        person: nobody("person"),
        app: nobody("app"),
        access: nobody("access"),
        filter: nobody("filter"),
        session: nobody("session"),
        identity_provider: nobody("identity provider"),
        connector: nobody("connector"),
        contact: nobody("contact"),
        mail_rule: nobody("mail rule"),
        webhook: nobody("webhook"),
        chat_channel: nobody("chat channel"),
        delivery: nobody("delivery"),
        device: nobody("device"),
        action: "ac999999999".to_owned(),
        agent_token: nobody("agent token"),
        exclusion: nobody("exclusion"),
    };
    let sizes = "select size from ledger where tenant_no <> 0 order by tenant_no";
    let before = stage.face.world.rows(sizes).await;
    let mut faults = Vec::new();
    for (path, row, version) in all() {
        for who in stage.callers.iter().filter(|who| !who.other) {
            let Some((template, body)) = row.foreign else {
                if row.method == "GET" {
                    // A list, a count, a file: nothing of the other is in it.
                    let reply = who.send("GET", &path, "").await;
                    if all_of(&reply).contains(CANARY) {
                        faults.push(format!("GET {path} by {} shows the canary", who.name));
                    }
                }
                continue;
            };
            let template = format!("{version}{template}");
            let ask = async |things: &Things| {
                let target = things.in_place(&template, &stage.ours.incident);
                let body = things.in_place(body, &stage.ours.incident);
                let reply = who.send(row.method, &target, &body).await;
                let mut json: Value = serde_json::from_str(&reply.text).unwrap_or_default();
                json["error"]["innerError"] = Value::Null;
                (reply.status.as_u16(), things.out_of(&json.to_string()), all_of(&reply))
            };
            let (status, text, all) = ask(&stage.theirs).await;
            let (unknown_status, unknown_text, _) = ask(&unknown).await;
            let what = format!("{} {template} by {}", row.method, who.name);
            // Its own session list and its own requests are an expert's own, wherever they are.
            let own_access = who.name == "expert inside" && template.contains("<access>");
            if own_access {
                continue;
            }
            if all.contains(CANARY) {
                faults.push(format!("{what} shows the canary: {all}"));
            }
            let expected = match &who.show {
                Show::Nothing(_) => 401,
                _ if who.holds(&row.guard) => 404,
                _ => 403,
            };
            // A mixture of own and foreign things: outside, the own one is told to need access.
            let own_refused = status == 403 && !who.inside && body.contains("<own>");
            // What is the customer's to say no expert says anywhere, whatever there is.
            let not_theirs = status == 403
                && who.permissions.contains(&P::Experts)
                && text.contains("this is for the customer to say");
            if status != expected && !own_refused && !not_theirs {
                faults.push(format!("{what}: {status}, not {expected}: {text}"));
            }
            if !own_refused && (status, &text) != (unknown_status, &unknown_text) {
                faults.push(format!(
                    "{what}: unknown differs: {unknown_status} {unknown_text}\n  from {text}"
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    let after = stage.face.world.rows(sizes).await;
    assert_eq!(before[1], after[1], "something happened in the other tenant");
}
