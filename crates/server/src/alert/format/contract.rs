//! The members and enumerations of the Graph security contract, as far as an alert reaches.
//!
//! Facts only: which members `alert`, its evidence subtypes and their parts have, of which kind
//! each is and whether it may be null. What is done with them is in `shape`.

use Kind::{Choice, Flag, List, Object, Open, Piece, Real, Text, Time, Uuid, Whole, Whole32};

/// What a member holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// Any text.
    Text,
    /// A UUID as text.
    Uuid,
    /// A moment in the wire spelling.
    Time,
    /// A whole number of 64 bits.
    Whole,
    /// A whole number of 32 bits.
    Whole32,
    /// A number.
    Real,
    /// True or false.
    Flag,
    /// A member of an enumeration that may grow.
    Choice(&'static [&'static str]),
    /// An object with these members.
    Object(&'static [Member]),
    /// An object of any members.
    Open,
    /// A piece of evidence.
    Piece,
    /// A list, never null.
    List(&'static Kind),
}

/// One member of an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    /// Its spelling on the wire.
    pub(super) name: &'static str,
    /// What it holds.
    pub(super) kind: Kind,
    /// Whether null is a value of it.
    pub(super) nullable: bool,
}

const fn is(name: &'static str, kind: Kind) -> Member {
    Member { name, kind, nullable: false }
}

const fn may(name: &'static str, kind: Kind) -> Member {
    Member { name, kind, nullable: true }
}

/// Members of `alert` that a source may give.
pub(super) const ALERT: &[Member] = &[
    may("actorDisplayName", Text),
    may("additionalData", Open),
    may("alertPolicyId", Text),
    may("assignedTo", Text),
    is("categories", List(&Text)),
    may("category", Text),
    may("classification", Choice(ALERT_CLASSIFICATION)),
    is("comments", List(&Object(ALERT_COMMENT))),
    may("createdDateTime", Time),
    may("customDetails", Open),
    may("description", Text),
    may("detectionSource", Choice(DETECTION_SOURCE)),
    may("detectorId", Text),
    may("determination", Choice(ALERT_DETERMINATION)),
    is("evidence", List(&Piece)),
    may("firstActivityDateTime", Time),
    may("investigationState", Choice(INVESTIGATION_STATE)),
    may("lastActivityDateTime", Time),
    may("lastUpdateDateTime", Time),
    is("mitreTechniques", List(&Text)),
    may("productName", Text),
    may("providerAlertId", Text),
    may("recommendedActions", Text),
    may("resolvedDateTime", Time),
    is("serviceSource", Choice(SERVICE_SOURCE)),
    is("severity", Choice(ALERT_SEVERITY)),
    is("status", Choice(ALERT_STATUS)),
    is("systemTags", List(&Text)),
    may("threatDisplayName", Text),
    may("threatFamilyName", Text),
    may("title", Text),
];

/// Members of every piece of evidence.
pub(super) const COMMON: &[Member] = &[
    is("createdDateTime", Time),
    is("detailedRoles", List(&Text)),
    is("remediationStatus", Choice(EVIDENCE_REMEDIATION_STATUS)),
    may("remediationStatusDetails", Text),
    is("roles", List(&Choice(EVIDENCE_ROLE))),
    is("tags", List(&Text)),
    is("verdict", Choice(EVIDENCE_VERDICT)),
];

const ALERT_COMMENT: &[Member] =
    &[may("comment", Text), may("createdByDisplayName", Text), is("createdDateTime", Time)];

const EMAIL_SENDER: &[Member] =
    &[may("displayName", Text), may("domainName", Text), may("emailAddress", Text)];

const FILE_DETAILS: &[Member] = &[
    may("fileName", Text),
    may("filePath", Text),
    may("filePublisher", Text),
    may("fileSize", Whole),
    may("issuer", Text),
    may("md5", Text),
    may("sha1", Text),
    may("sha256", Text),
    may("sha256Ac", Text),
    may("signer", Text),
];

const FILE_HASH: &[Member] = &[is("algorithm", Choice(FILE_HASH_ALGORITHM)), may("value", Text)];

const GEO_LOCATION: &[Member] = &[
    may("city", Text),
    may("countryName", Text),
    may("latitude", Real),
    may("longitude", Real),
    may("state", Text),
];

const KUBERNETES_SERVICE_PORT: &[Member] = &[
    may("appProtocol", Text),
    may("name", Text),
    is("nodePort", Whole32),
    is("port", Whole32),
    may("protocol", Choice(CONTAINER_PORT_PROTOCOL)),
    may("targetPort", Text),
];

const LOGGED_ON_USER: &[Member] = &[may("accountName", Text), may("domainName", Text)];

const RESOURCE_ACCESS_EVENT: &[Member] = &[
    may("accessDateTime", Time),
    may("accountId", Text),
    may("ipAddress", Text),
    may("resourceIdentifier", Text),
];

const STREAM: &[Member] = &[may("name", Text)];

const USER_ACCOUNT: &[Member] = &[
    may("accountName", Text),
    may("activeDirectoryObjectGuid", Uuid),
    may("azureAdUserId", Text),
    may("displayName", Text),
    may("domainName", Text),
    is("resourceAccessEvents", List(&Object(RESOURCE_ACCESS_EVENT))),
    may("tenantId", Text),
    may("userPrincipalName", Text),
    may("userSid", Text),
];

const VM_METADATA: &[Member] = &[
    is("cloudProvider", Choice(VM_CLOUD_PROVIDER)),
    may("resourceId", Text),
    may("subscriptionId", Text),
    may("vmId", Text),
];

/// The evidence subtypes by their stem (`device` for `deviceEvidence`), the frequent ones first.
pub(super) const SUBTYPES: &[(&str, &[Member])] = &[
    (
        "device",
        &[
            may("azureAdDeviceId", Text),
            may("defenderAvStatus", Choice(DEFENDER_AV_STATUS)),
            may("deviceDnsName", Text),
            may("dnsDomain", Text),
            may("firstSeenDateTime", Time),
            may("healthStatus", Choice(DEVICE_HEALTH_STATUS)),
            may("hostName", Text),
            is("ipInterfaces", List(&Text)),
            may("lastExternalIpAddress", Text),
            may("lastIpAddress", Text),
            is("loggedOnUsers", List(&Object(LOGGED_ON_USER))),
            may("mdeDeviceId", Text),
            may("ntDomain", Text),
            may("onboardingStatus", Choice(ONBOARDING_STATUS)),
            may("osBuild", Whole),
            may("osPlatform", Text),
            may("rbacGroupId", Whole32),
            may("rbacGroupName", Text),
            is("resourceAccessEvents", List(&Object(RESOURCE_ACCESS_EVENT))),
            may("riskScore", Choice(DEVICE_RISK_SCORE)),
            may("version", Text),
            may("vmMetadata", Object(VM_METADATA)),
        ],
    ),
    ("user", &[may("stream", Object(STREAM)), may("userAccount", Object(USER_ACCOUNT))]),
    (
        "ip",
        &[
            may("countryLetterCode", Text),
            may("ipAddress", Text),
            may("location", Object(GEO_LOCATION)),
            may("stream", Object(STREAM)),
        ],
    ),
    ("url", &[may("url", Text)]),
    (
        "file",
        &[
            may("detectionStatus", Choice(DETECTION_STATUS)),
            may("fileDetails", Object(FILE_DETAILS)),
            may("mdeDeviceId", Text),
        ],
    ),
    (
        "process",
        &[
            may("detectionStatus", Choice(DETECTION_STATUS)),
            may("imageFile", Object(FILE_DETAILS)),
            may("mdeDeviceId", Text),
            may("parentProcessCreationDateTime", Time),
            may("parentProcessId", Whole),
            may("parentProcessImageFile", Object(FILE_DETAILS)),
            may("processCommandLine", Text),
            may("processCreationDateTime", Time),
            may("processId", Whole),
            may("userAccount", Object(USER_ACCOUNT)),
        ],
    ),
    (
        "mailbox",
        &[
            may("displayName", Text),
            may("primaryAddress", Text),
            may("upn", Text),
            may("userAccount", Object(USER_ACCOUNT)),
        ],
    ),
    (
        "analyzedMessage",
        &[
            may("antiSpamDirection", Text),
            may("attachmentsCount", Whole),
            may("deliveryAction", Text),
            may("deliveryLocation", Text),
            may("internetMessageId", Text),
            may("language", Text),
            may("networkMessageId", Text),
            may("p1Sender", Object(EMAIL_SENDER)),
            may("p2Sender", Object(EMAIL_SENDER)),
            may("receivedDateTime", Time),
            may("recipientEmailAddress", Text),
            may("senderIp", Text),
            may("subject", Text),
            is("threatDetectionMethods", List(&Text)),
            is("threats", List(&Text)),
            may("urlCount", Whole),
            is("urls", List(&Text)),
            may("urn", Text),
        ],
    ),
    ("fileHash", &[is("algorithm", Choice(FILE_HASH_ALGORITHM)), may("value", Text)]),
    (
        "cloudApplication",
        &[
            may("appId", Whole),
            may("displayName", Text),
            may("instanceId", Whole),
            may("instanceName", Text),
            may("saasAppId", Whole),
            may("stream", Object(STREAM)),
        ],
    ),
    (
        "azureResource",
        &[may("resourceId", Text), may("resourceName", Text), may("resourceType", Text)],
    ),
    ("registryKey", &[may("registryHive", Text), may("registryKey", Text)]),
    (
        "registryValue",
        &[
            may("mdeDeviceId", Text),
            may("registryHive", Text),
            may("registryKey", Text),
            may("registryValue", Text),
            may("registryValueName", Text),
            may("registryValueType", Text),
        ],
    ),
    (
        "container",
        &[
            is("args", List(&Text)),
            is("command", List(&Text)),
            may("containerId", Text),
            may("image", Piece),
            is("isPrivileged", Flag),
            may("name", Text),
            may("pod", Piece),
        ],
    ),
    (
        "kubernetesPod",
        &[
            is("containers", List(&Piece)),
            may("controller", Piece),
            is("ephemeralContainers", List(&Piece)),
            is("initContainers", List(&Piece)),
            may("labels", Open),
            may("name", Text),
            may("namespace", Piece),
            may("podIp", Piece),
            may("serviceAccount", Piece),
        ],
    ),
    (
        "networkConnection",
        &[
            may("destinationAddress", Piece),
            may("destinationPort", Whole32),
            may("protocol", Choice(PROTOCOL_TYPE)),
            may("sourceAddress", Piece),
            may("sourcePort", Whole32),
        ],
    ),
    (
        "dns",
        &[
            may("dnsServerIp", Piece),
            may("domainName", Text),
            may("hostIpAddress", Piece),
            is("ipAddresses", List(&Piece)),
        ],
    ),
    (
        "activeDirectoryDomain",
        &[may("activeDirectoryDomainName", Text), is("trustedDomains", List(&Piece))],
    ),
    (
        "aiAgent",
        &[
            may("agentId", Text),
            may("agentName", Text),
            may("hostingPlatformType", Choice(AI_AGENT_PLATFORM)),
            may("instructions", Text),
        ],
    ),
    (
        "amazonResource",
        &[
            may("amazonAccountId", Text),
            may("amazonResourceId", Text),
            may("resourceName", Text),
            may("resourceType", Text),
        ],
    ),
    ("blobContainer", &[may("name", Text), may("storageResource", Piece), may("url", Text)]),
    (
        "blob",
        &[
            may("blobContainer", Piece),
            may("etag", Text),
            is("fileHashes", List(&Object(FILE_HASH))),
            may("name", Text),
            may("url", Text),
        ],
    ),
    ("cloudLogonRequest", &[may("requestId", Text)]),
    (
        "cloudLogonSession",
        &[
            may("account", Piece),
            may("browser", Text),
            may("deviceName", Text),
            may("operatingSystem", Text),
            may("previousLogonDateTime", Time),
            may("protocol", Text),
            may("sessionId", Text),
            may("startUtcDateTime", Time),
            may("userAgent", Text),
        ],
    ),
    ("containerImage", &[may("digestImage", Piece), may("imageId", Text), may("registry", Piece)]),
    ("containerRegistry", &[may("registry", Text)]),
    (
        "gitHubOrganization",
        &[
            may("company", Text),
            may("displayName", Text),
            may("email", Text),
            may("login", Text),
            may("orgId", Text),
            may("webUrl", Text),
        ],
    ),
    (
        "gitHubRepo",
        &[
            may("baseUrl", Text),
            may("login", Text),
            may("owner", Text),
            may("ownerType", Text),
            may("repoId", Text),
        ],
    ),
    (
        "gitHubUser",
        &[
            may("email", Text),
            may("login", Text),
            may("name", Text),
            may("userId", Text),
            may("webUrl", Text),
        ],
    ),
    (
        "googleCloudResource",
        &[
            may("fullResourceName", Text),
            may("location", Text),
            may("locationType", Choice(GOOGLE_CLOUD_LOCATION_TYPE)),
            may("projectId", Text),
            may("projectNumber", Whole),
            may("resourceName", Text),
            may("resourceType", Text),
        ],
    ),
    (
        "hostLogonSession",
        &[
            may("account", Piece),
            may("endUtcDateTime", Time),
            may("host", Piece),
            may("sessionId", Text),
            may("startUtcDateTime", Time),
        ],
    ),
    (
        "ioTDevice",
        &[
            may("deviceId", Text),
            may("deviceName", Text),
            may("devicePageLink", Text),
            may("deviceSubType", Text),
            may("deviceType", Text),
            may("importance", Choice(IO_TDEVICE_IMPORTANCE_TYPE)),
            may("ioTHub", Piece),
            may("ioTSecurityAgentId", Text),
            may("ipAddress", Piece),
            may("isAuthorized", Flag),
            may("isProgramming", Flag),
            may("isScanner", Flag),
            may("macAddress", Text),
            may("manufacturer", Text),
            may("model", Text),
            is("nics", List(&Piece)),
            may("operatingSystem", Text),
            is("owners", List(&Text)),
            is("protocols", List(&Text)),
            may("purdueLayer", Text),
            may("sensor", Text),
            may("serialNumber", Text),
            may("site", Text),
            may("source", Text),
            may("sourceRef", Piece),
            may("zone", Text),
        ],
    ),
    (
        "kubernetesCluster",
        &[
            may("cloudResource", Piece),
            may("distribution", Text),
            may("name", Text),
            may("platform", Choice(KUBERNETES_PLATFORM)),
            may("version", Text),
        ],
    ),
    (
        "kubernetesController",
        &[may("labels", Open), may("name", Text), may("namespace", Piece), may("type", Text)],
    ),
    ("kubernetesNamespace", &[may("cluster", Piece), may("labels", Open), may("name", Text)]),
    ("kubernetesSecret", &[may("name", Text), may("namespace", Piece), may("secretType", Text)]),
    ("kubernetesServiceAccount", &[may("name", Text), may("namespace", Piece)]),
    (
        "kubernetesService",
        &[
            may("clusterIP", Piece),
            is("externalIPs", List(&Piece)),
            may("labels", Open),
            may("name", Text),
            may("namespace", Piece),
            may("selector", Open),
            is("servicePorts", List(&Object(KUBERNETES_SERVICE_PORT))),
            is("serviceType", Choice(KUBERNETES_SERVICE_TYPE)),
        ],
    ),
    (
        "mailCluster",
        &[
            may("clusterBy", Text),
            may("clusterByValue", Text),
            may("emailCount", Whole),
            is("networkMessageIds", List(&Text)),
            may("query", Text),
            may("urn", Text),
        ],
    ),
    (
        "mailboxConfiguration",
        &[
            may("configurationId", Text),
            may("configurationType", Choice(MAILBOX_CONFIGURATION_TYPE)),
            may("displayName", Text),
            may("externalDirectoryObjectId", Uuid),
            may("mailboxPrimaryAddress", Text),
            may("upn", Text),
        ],
    ),
    (
        "malware",
        &[
            may("category", Text),
            is("files", List(&Piece)),
            may("name", Text),
            is("processes", List(&Piece)),
        ],
    ),
    ("nic", &[may("ipAddress", Piece), may("macAddress", Text), is("vlans", List(&Text))]),
    (
        "oauthApplication",
        &[
            may("appId", Text),
            may("displayName", Text),
            may("objectId", Text),
            may("publisher", Text),
        ],
    ),
    (
        "sasToken",
        &[
            may("allowedIpAddresses", Text),
            is("allowedResourceTypes", List(&Text)),
            is("allowedServices", List(&Text)),
            may("expiryDateTime", Time),
            is("permissions", List(&Text)),
            may("protocol", Text),
            may("signatureHash", Text),
            may("signedWith", Text),
            may("startDateTime", Time),
            may("storageResource", Piece),
        ],
    ),
    (
        "securityGroup",
        &[
            may("activeDirectoryObjectGuid", Uuid),
            may("displayName", Text),
            may("distinguishedName", Text),
            may("friendlyName", Text),
            may("securityGroupId", Text),
            may("sid", Text),
        ],
    ),
    (
        "servicePrincipal",
        &[
            may("appId", Text),
            may("appOwnerTenantId", Text),
            may("servicePrincipalName", Text),
            may("servicePrincipalObjectId", Text),
            may("servicePrincipalType", Choice(SERVICE_PRINCIPAL_TYPE)),
            may("tenantId", Text),
        ],
    ),
    (
        "submissionMail",
        &[
            may("networkMessageId", Text),
            may("recipient", Text),
            may("reportType", Text),
            may("sender", Text),
            may("senderIp", Text),
            may("subject", Text),
            may("submissionDateTime", Time),
            may("submissionId", Text),
            may("submitter", Text),
        ],
    ),
    (
        "teamsMessage",
        &[
            may("campaignId", Text),
            may("channelId", Text),
            may("deliveryAction", Choice(TEAMS_MESSAGE_DELIVERY_ACTION)),
            may("deliveryLocation", Choice(TEAMS_DELIVERY_LOCATION)),
            is("files", List(&Piece)),
            may("groupId", Text),
            may("isExternal", Flag),
            may("isOwned", Flag),
            may("lastModifiedDateTime", Time),
            may("messageDirection", Choice(ANTISPAM_TEAMS_DIRECTION)),
            may("messageId", Text),
            may("owningTenantId", Uuid),
            may("parentMessageId", Text),
            may("receivedDateTime", Time),
            is("recipients", List(&Text)),
            may("senderFromAddress", Text),
            may("senderIP", Text),
            may("sourceAppName", Text),
            may("sourceId", Text),
            may("subject", Text),
            is("suspiciousRecipients", List(&Text)),
            may("threadId", Text),
            may("threadType", Text),
            is("urls", List(&Piece)),
        ],
    ),
];

const AI_AGENT_PLATFORM: &[&str] =
    &["unknown", "azureAIFoundry", "copilotStudio", "copilot", "unknownFutureValue"];
const ALERT_CLASSIFICATION: &[&str] = &[
    "unknown",
    "falsePositive",
    "truePositive",
    "informationalExpectedActivity",
    "unknownFutureValue",
];
/// Members of `alertDetermination`.
pub(super) const ALERT_DETERMINATION: &[&str] = &[
    "unknown",
    "apt",
    "malware",
    "securityPersonnel",
    "securityTesting",
    "unwantedSoftware",
    "other",
    "multiStagedAttack",
    "compromisedAccount",
    "phishing",
    "maliciousUserActivity",
    "notMalicious",
    "notEnoughDataToValidate",
    "confirmedActivity",
    "lineOfBusinessApplication",
    "unknownFutureValue",
];
const ALERT_SEVERITY: &[&str] =
    &["unknown", "informational", "low", "medium", "high", "unknownFutureValue"];
const ALERT_STATUS: &[&str] = &["unknown", "new", "inProgress", "resolved", "unknownFutureValue"];
const ANTISPAM_TEAMS_DIRECTION: &[&str] =
    &["unknown", "inbound", "outbound", "intraorg", "unknownFutureValue"];
const CONTAINER_PORT_PROTOCOL: &[&str] = &["udp", "tcp", "sctp", "unknownFutureValue"];
const DEFENDER_AV_STATUS: &[&str] = &[
    "notReporting",
    "disabled",
    "notUpdated",
    "updated",
    "unknown",
    "notSupported",
    "unknownFutureValue",
];
/// Members of `detectionSource`.
pub(in crate::alert) const DETECTION_SOURCE: &[&str] = &[
    "unknown",
    "microsoftDefenderForEndpoint",
    "antivirus",
    "smartScreen",
    "customTi",
    "microsoftDefenderForOffice365",
    "automatedInvestigation",
    "microsoftThreatExperts",
    "customDetection",
    "microsoftDefenderForIdentity",
    "cloudAppSecurity",
    "microsoft365Defender",
    "azureAdIdentityProtection",
    "manual",
    "microsoftDataLossPrevention",
    "appGovernancePolicy",
    "appGovernanceDetection",
    "unknownFutureValue",
    "microsoftDefenderForCloud",
    "microsoftDefenderForIoT",
    "microsoftDefenderForServers",
    "microsoftDefenderForStorage",
    "microsoftDefenderForDNS",
    "microsoftDefenderForDatabases",
    "microsoftDefenderForContainers",
    "microsoftDefenderForNetwork",
    "microsoftDefenderForAppService",
    "microsoftDefenderForKeyVault",
    "microsoftDefenderForResourceManager",
    "microsoftDefenderForApiManagement",
    "nrtAlerts",
    "scheduledAlerts",
    "microsoftDefenderThreatIntelligenceAnalytics",
    "builtInMl",
    "microsoftInsiderRiskManagement",
    "microsoftThreatIntelligence",
    "microsoftDefenderForAIServices",
    "securityCopilot",
    "microsoftSentinel",
];
const DETECTION_STATUS: &[&str] = &["detected", "blocked", "prevented", "unknownFutureValue"];
const DEVICE_HEALTH_STATUS: &[&str] = &[
    "active",
    "inactive",
    "impairedCommunication",
    "noSensorData",
    "noSensorDataImpairedCommunication",
    "unknown",
    "unknownFutureValue",
];
const DEVICE_RISK_SCORE: &[&str] =
    &["none", "informational", "low", "medium", "high", "unknownFutureValue"];
/// Members of `evidenceRemediationStatus`.
pub(in crate::alert) const EVIDENCE_REMEDIATION_STATUS: &[&str] = &[
    "none",
    "remediated",
    "prevented",
    "blocked",
    "notFound",
    "unknownFutureValue",
    "active",
    "pendingApproval",
    "declined",
    "unremediated",
    "running",
    "partiallyRemediated",
];
/// Members of `evidenceRole`.
pub(super) const EVIDENCE_ROLE: &[&str] = &[
    "unknown",
    "contextual",
    "scanned",
    "source",
    "destination",
    "created",
    "added",
    "compromised",
    "edited",
    "attacked",
    "attacker",
    "commandAndControl",
    "loaded",
    "suspicious",
    "policyViolator",
    "unknownFutureValue",
];
/// Members of `evidenceVerdict`.
pub(super) const EVIDENCE_VERDICT: &[&str] =
    &["unknown", "suspicious", "malicious", "noThreatsFound", "unknownFutureValue"];
const FILE_HASH_ALGORITHM: &[&str] =
    &["unknown", "md5", "sha1", "sha256", "sha256ac", "unknownFutureValue"];
const GOOGLE_CLOUD_LOCATION_TYPE: &[&str] =
    &["unknown", "regional", "zonal", "global", "unknownFutureValue"];
const INVESTIGATION_STATE: &[&str] = &[
    "unknown",
    "terminated",
    "successfullyRemediated",
    "benign",
    "failed",
    "partiallyRemediated",
    "running",
    "pendingApproval",
    "pendingResource",
    "queued",
    "innerFailure",
    "preexistingAlert",
    "unsupportedOs",
    "unsupportedAlertType",
    "suppressedAlert",
    "partiallyInvestigated",
    "terminatedByUser",
    "terminatedBySystem",
    "unknownFutureValue",
];
const IO_TDEVICE_IMPORTANCE_TYPE: &[&str] =
    &["unknown", "low", "normal", "high", "unknownFutureValue"];
const KUBERNETES_PLATFORM: &[&str] = &["unknown", "aks", "eks", "gke", "arc", "unknownFutureValue"];
const KUBERNETES_SERVICE_TYPE: &[&str] =
    &["unknown", "clusterIP", "externalName", "nodePort", "loadBalancer", "unknownFutureValue"];
const MAILBOX_CONFIGURATION_TYPE: &[&str] = &[
    "mailForwardingRule",
    "owaSettings",
    "ewsSettings",
    "mailDelegation",
    "userInboxRule",
    "unknownFutureValue",
];
const ONBOARDING_STATUS: &[&str] =
    &["insufficientInfo", "onboarded", "canBeOnboarded", "unsupported", "unknownFutureValue"];
const PROTOCOL_TYPE: &[&str] = &["tcp", "udp", "unknownFutureValue"];
const SERVICE_PRINCIPAL_TYPE: &[&str] =
    &["unknown", "application", "managedIdentity", "legacy", "unknownFutureValue"];
/// Members of `serviceSource`.
pub(in crate::alert) const SERVICE_SOURCE: &[&str] = &[
    "unknown",
    "microsoftDefenderForEndpoint",
    "microsoftDefenderForIdentity",
    "microsoftDefenderForCloudApps",
    "microsoftDefenderForOffice365",
    "microsoft365Defender",
    "azureAdIdentityProtection",
    "microsoftAppGovernance",
    "dataLossPrevention",
    "unknownFutureValue",
    "microsoftDefenderForCloud",
    "microsoftSentinel",
    "microsoftInsiderRiskManagement",
    "microsoftThreatIntelligence",
    "microsoftSecurityForAI",
];
const TEAMS_DELIVERY_LOCATION: &[&str] =
    &["unknown", "teams", "quarantine", "failed", "unknownFutureValue"];
const TEAMS_MESSAGE_DELIVERY_ACTION: &[&str] =
    &["unknown", "deliveredAsSpam", "delivered", "blocked", "replaced", "unknownFutureValue"];
const VM_CLOUD_PROVIDER: &[&str] = &["unknown", "azure", "unknownFutureValue"];
