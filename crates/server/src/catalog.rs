//! Every action there is (MR-8): one registry, from which cards, forms, permissions, contract names
//! and reverse pairs follow.
//!
//! A type is one row of [`CATALOG`]. What can carry it out for a target is asked of what is connected
//! (see `executor`); a type with nothing connected is a card for somebody to carry out by hand.
//! Pure: no store, no clock.

use serde_json::Value;

use crate::yara;

/// A type of action, by its position in the contract and beyond it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[expect(missing_docs, reason = "the catalogue says what each is")]
pub enum Kind {
    Text,
    IsolateDevice,
    StopAndQuarantineFile,
    RunAntiVirusScan,
    CollectInvestigationPackage,
    RestrictAppExecution,
    SubmitIocRule,
    ForceUserPasswordReset,
    DisableUser,
    MarkUserAsCompromised,
    RequireSignIn,
    HardDeleteEmail,
    SoftDeleteEmail,
    UnIsolateDevice,
    UnRestrictAppExecution,
    EnableUser,
    RestoreFile,
    RemoveIocRule,
    CollectFile,
    ListProcesses,
    StopProcess,
    ContainDevice,
    ReleaseContainedDevice,
    OffboardDevice,
    SuspendUser,
    UnsuspendUser,
    ContainUser,
    ReleaseContainedUser,
    MoveEmailToJunk,
    MoveEmailToInbox,
    MoveEmailToQuarantine,
    MoveEmailToDeletedItems,
    StopExternalForwarding,
    BlockOAuthApp,
    StartInvestigation,
}

/// What an action is done to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TargetKind {
    /// Nothing: guidance in words.
    None,
    /// A device.
    Device,
    /// A file, by its SHA-256 or its path, on one device or wherever it is.
    File,
    /// A user.
    User,
    /// A mail.
    Mail,
    /// A hash, address, domain or URL.
    Indicator,
    /// An application of the directory.
    App,
    /// A process on a device.
    Process,
}

impl TargetKind {
    /// The word of the API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Device => "device",
            Self::File => "file",
            Self::User => "user",
            Self::Mail => "mail",
            Self::Indicator => "indicator",
            Self::App => "app",
            Self::Process => "process",
        }
    }

    /// The kind of a word.
    #[must_use]
    pub fn read(word: &str) -> Option<Self> {
        [
            Self::None,
            Self::Device,
            Self::File,
            Self::User,
            Self::Mail,
            Self::Indicator,
            Self::App,
            Self::Process,
        ]
        .into_iter()
        .find(|kind| kind.word() == word)
    }
}

/// What doing it twice means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Sets something: it may be tried again once the thing itself was read and is not so (class A).
    Sets,
    /// Happens: it is sent once at most, and what became of it a person says where nobody knows
    /// (class B).
    Happens,
}

/// What an option takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Takes {
    /// One of these words, each with what it means.
    Choice(&'static [(&'static str, &'static str)]),
    /// A text.
    Text,
    /// YARA rules: a text of several lines.
    Rules,
    /// A list of texts.
    List,
    /// A whole number from and to.
    Number(i64, i64),
    /// Yes or no.
    Boolean,
}

/// Something to choose about an action.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Opt {
    /// Its name in the API.
    pub name: &'static str,
    /// What people read.
    pub title: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// Whether it has to be given.
    pub required: bool,
    /// One sentence.
    pub explains: &'static str,
}

/// A type of action.
#[derive(Debug)]
pub struct Entry {
    /// Which.
    pub kind: Kind,
    /// `incidentTaskActionType` of the contract, or a word of our own where it has none.
    pub word: &'static str,
    /// The type of `responseAction` of the contract, without its namespace; none where the contract
    /// has no such type.
    pub contract: Option<&'static str>,
    /// Whether the contract's enumeration lists it; other words are named only to clients that ask.
    pub listed: bool,
    /// What people read.
    pub title: &'static str,
    /// What it does, for who has to decide on it.
    pub explains: &'static str,
    /// What it is done to.
    pub target: TargetKind,
    /// What is set; actions of one family on one target go one after the other.
    pub family: &'static str,
    /// What doing it twice means.
    pub effect: Effect,
    /// What takes it back.
    pub reverse: Option<Kind>,
    /// Whether two people decide where the customer wants four eyes.
    pub dangerous: bool,
    /// The type of the older API's `machineAction` (MR-19).
    pub machine_action: Option<&'static str>,
    /// How long it is worth trying, in seconds: a device may be offline (MR-18).
    pub patience_s: i64,
    /// How long an answer may take once it was sent, in seconds.
    pub answer_s: i64,
    /// What can be chosen.
    pub options: &'static [Opt],
}

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

const ISOLATION_TYPE: Opt = Opt {
    name: "isolationType",
    title: "Isolation",
    takes: Takes::Choice(&[
        ("full", "Full: only Riposte reaches the device"),
        ("selective", "Selective: what is allowed below stays reachable"),
    ]),
    required: false,
    explains: "How far the device is cut off.",
};
const ALLOW: Opt = Opt {
    name: "allow",
    title: "Stays reachable",
    takes: Takes::List,
    required: false,
    explains: "Addresses, networks or address:port that stay reachable when isolation is selective.",
};
const RELEASE_WHEN_CUT_OFF: Opt = Opt {
    name: "releaseWhenCutOffMinutes",
    title: "Release when Riposte cannot be reached for (minutes)",
    takes: Takes::Number(5, 7 * 24 * 60),
    required: false,
    explains: "The device undoes its isolation by itself when it loses Riposte for so long.",
};
const FOR_MINUTES: Opt = Opt {
    name: "forMinutes",
    title: "Ends by itself after (minutes)",
    takes: Takes::Number(1, 365 * 24 * 60),
    required: false,
    explains: "Taken back without anybody's doing after this time.",
};
const DEVICE_ID: Opt = Opt {
    name: "deviceId",
    title: "Device",
    takes: Takes::Text,
    required: false,
    explains: "The device it is done on; every device of the incident with an agent when absent.",
};

const ACCOUNT_DEVICE: Opt = Opt {
    explains: "The device whose local account it is; absent for a user of a directory.",
    ..DEVICE_ID
};

const MAILBOXES: Opt = Opt {
    name: "mailboxes",
    title: "Mailboxes",
    takes: Takes::List,
    required: false,
    explains: "Addresses of the mailboxes it is done in; those that the incident's evidence names \
               with this mail when absent.",
};

const fn entry(kind: Kind, word: &'static str, target: TargetKind, family: &'static str) -> Entry {
    Entry {
        kind,
        word,
        contract: None,
        listed: true,
        title: "",
        explains: "",
        target,
        family,
        effect: Effect::Sets,
        reverse: None,
        dangerous: false,
        machine_action: None,
        patience_s: 3 * DAY,
        answer_s: 60,
        options: &[],
    }
}

/// Every type, those of the contract first and in its order.
pub const CATALOG: &[Entry] = &[
    Entry {
        title: "Guidance",
        explains: "Something to do that is described in words.",
        ..entry(Kind::Text, "text", TargetKind::None, "guidance")
    },
    Entry {
        contract: Some("isolateDeviceIncidentTaskResponseAction"),
        title: "Isolate device",
        explains: "Cuts the device off the network, so that an intruder can neither go on nor take \
                   anything away. Riposte keeps its own channel to the device.",
        reverse: Some(Kind::UnIsolateDevice),
        dangerous: true,
        machine_action: Some("Isolate"),
        options: &[ISOLATION_TYPE, ALLOW, RELEASE_WHEN_CUT_OFF, FOR_MINUTES],
        ..entry(Kind::IsolateDevice, "isolateDevice", TargetKind::Device, "isolation")
    },
    Entry {
        contract: Some("stopAndQuarantineFileIncidentTaskResponseAction"),
        title: "Stop and quarantine file",
        explains: "Ends what runs from the file and moves the file to a place where nothing can \
                   start it. It can be brought back bit for bit.",
        reverse: Some(Kind::RestoreFile),
        dangerous: false,
        machine_action: Some("StopAndQuarantineFile"),
        answer_s: 30 * 60,
        options: &[
            DEVICE_ID,
            Opt {
                name: "path",
                title: "Path",
                takes: Takes::Text,
                required: false,
                explains: "Where the file is; it is looked for by its hash when absent.",
            },
            Opt {
                name: "under",
                title: "Look below",
                takes: Takes::List,
                required: false,
                explains: "Folders in which the file is looked for by its hash.",
            },
        ],
        ..entry(
            Kind::StopAndQuarantineFile,
            "stopAndQuarantineFile",
            TargetKind::File,
            "quarantine",
        )
    },
    Entry {
        contract: Some("runAntivirusScanIncidentTaskResponseAction"),
        title: "Run antivirus scan",
        explains: "Looks for malware on the device.",
        effect: Effect::Happens,
        machine_action: Some("RunAntiVirusScan"),
        answer_s: DAY,
        options: &[
            Opt {
                name: "scanType",
                title: "Scan",
                takes: Takes::Choice(&[
                    ("quick", "Quick: where malware usually is"),
                    ("full", "Full: the whole device"),
                ]),
                required: false,
                explains: "How much is looked at.",
            },
            Opt {
                name: "rules",
                title: "YARA rules",
                takes: Takes::Rules,
                required: false,
                explains: "Rules to look for besides what the device's own engine knows; that \
                           takes YARA on the device.",
            },
        ],
        ..entry(Kind::RunAntiVirusScan, "runAntiVirusScan", TargetKind::Device, "scan")
    },
    Entry {
        contract: Some("collectInvestigationPackageIncidentTaskResponseAction"),
        title: "Collect investigation package",
        explains: "Gathers processes, connections, sign-ins, services, scheduled jobs, packages, \
                   recent files and logs of the device into one archive.",
        effect: Effect::Happens,
        machine_action: Some("CollectInvestigationPackage"),
        answer_s: 2 * HOUR,
        ..entry(
            Kind::CollectInvestigationPackage,
            "collectInvestigationPackage",
            TargetKind::Device,
            "package",
        )
    },
    Entry {
        contract: Some("restrictAppExecutionIncidentTaskResponseAction"),
        title: "Restrict app execution",
        explains: "Only programs that come from installed packages, or are allowed by hash, start \
                   on the device.",
        reverse: Some(Kind::UnRestrictAppExecution),
        dangerous: true,
        machine_action: Some("RestrictCodeExecution"),
        options: &[
            Opt {
                name: "allowHashes",
                title: "May start as well",
                takes: Takes::List,
                required: false,
                explains: "SHA-256 of further programs that may start.",
            },
            FOR_MINUTES,
        ],
        ..entry(Kind::RestrictAppExecution, "restrictAppExecution", TargetKind::Device, "execution")
    },
    Entry {
        title: "Block indicator",
        explains: "Blocks a file hash, an address, a domain or a URL on the customer's devices.",
        reverse: Some(Kind::RemoveIocRule),
        dangerous: false,
        answer_s: 5 * 60,
        options: &[DEVICE_ID, FOR_MINUTES],
        ..entry(Kind::SubmitIocRule, "submitIocRule", TargetKind::Indicator, "indicator")
    },
    Entry {
        contract: Some("forceUserPasswordResetIncidentTaskResponseAction"),
        title: "Force password reset",
        explains: "The user has to choose a new password at the next sign-in.",
        effect: Effect::Happens,
        dangerous: true,
        ..entry(
            Kind::ForceUserPasswordReset,
            "forceUserPasswordReset",
            TargetKind::User,
            "password",
        )
    },
    Entry {
        contract: Some("disableUserIncidentTaskResponseAction"),
        title: "Disable user",
        explains: "The account can no longer sign in, and what runs under it on the device ends.",
        reverse: Some(Kind::EnableUser),
        dangerous: true,
        options: &[ACCOUNT_DEVICE, FOR_MINUTES],
        ..entry(Kind::DisableUser, "disableUser", TargetKind::User, "account")
    },
    Entry {
        contract: Some("markUserAsCompromisedIncidentTaskResponseAction"),
        title: "Mark user as compromised",
        explains: "Tells the identity provider that the account is in wrong hands, so that its \
                   policies for that take hold.",
        ..entry(Kind::MarkUserAsCompromised, "markUserAsCompromised", TargetKind::User, "risk")
    },
    Entry {
        contract: Some("requireSignInIncidentTaskResponseAction"),
        title: "Require sign-in",
        explains: "Ends the user's sessions; the user has to sign in anew.",
        effect: Effect::Happens,
        options: &[ACCOUNT_DEVICE],
        ..entry(Kind::RequireSignIn, "requireSignIn", TargetKind::User, "session")
    },
    Entry {
        contract: Some("hardDeleteEmailIncidentTaskResponseAction"),
        title: "Hard delete mail",
        explains: "Removes the mail from the mailboxes so that its receivers cannot bring it back.",
        // Nothing takes it back: where nobody knows what became of it, a person looks before it is
        // sent once more.
        effect: Effect::Happens,
        dangerous: true,
        options: &[MAILBOXES],
        ..entry(Kind::HardDeleteEmail, "hardDeleteEmail", TargetKind::Mail, "mail")
    },
    Entry {
        contract: Some("softDeleteIncidentTaskResponseAction"),
        title: "Soft delete mail",
        explains: "Moves the mail out of every folder of the mailboxes; it can be recovered for a \
                   while.",
        reverse: Some(Kind::MoveEmailToInbox),
        dangerous: true,
        options: &[MAILBOXES],
        ..entry(Kind::SoftDeleteEmail, "softDeleteEmail", TargetKind::Mail, "mail")
    },
    Entry {
        contract: Some("unIsolateDeviceIncidentTaskResponseAction"),
        title: "Release from isolation",
        explains: "The device is on the network again.",
        reverse: Some(Kind::IsolateDevice),
        dangerous: true,
        machine_action: Some("Unisolate"),
        ..entry(Kind::UnIsolateDevice, "unIsolateDevice", TargetKind::Device, "isolation")
    },
    Entry {
        contract: Some("unRestrictAppExecutionIncidentTaskResponseAction"),
        title: "Remove app restriction",
        explains: "Every program may start on the device again.",
        reverse: Some(Kind::RestrictAppExecution),
        machine_action: Some("UnrestrictCodeExecution"),
        ..entry(
            Kind::UnRestrictAppExecution,
            "unRestrictAppExecution",
            TargetKind::Device,
            "execution",
        )
    },
    Entry {
        contract: Some("enableUserIncidentTaskResponseAction"),
        title: "Enable user",
        explains: "The account can sign in again.",
        reverse: Some(Kind::DisableUser),
        options: &[ACCOUNT_DEVICE],
        ..entry(Kind::EnableUser, "enableUser", TargetKind::User, "account")
    },
    Entry {
        listed: false,
        title: "Restore file",
        explains: "Brings the file back from quarantine, bit for bit.",
        reverse: Some(Kind::StopAndQuarantineFile),
        dangerous: true,
        options: &[DEVICE_ID],
        ..entry(Kind::RestoreFile, "restoreFile", TargetKind::File, "quarantine")
    },
    Entry {
        listed: false,
        title: "Remove indicator",
        explains: "What was blocked may be used again.",
        reverse: Some(Kind::SubmitIocRule),
        answer_s: 5 * 60,
        options: &[DEVICE_ID],
        ..entry(Kind::RemoveIocRule, "removeIocRule", TargetKind::Indicator, "indicator")
    },
    Entry {
        listed: false,
        title: "Collect file",
        explains: "Brings a copy of one file of the device, with its hash.",
        effect: Effect::Happens,
        answer_s: 2 * HOUR,
        options: &[DEVICE_ID],
        ..entry(Kind::CollectFile, "collectFile", TargetKind::File, "package")
    },
    Entry {
        listed: false,
        title: "List processes",
        explains: "What runs on the device at this moment.",
        effect: Effect::Happens,
        ..entry(Kind::ListProcesses, "listProcesses", TargetKind::Device, "look")
    },
    Entry {
        listed: false,
        title: "Stop process",
        explains: "Ends one process on the device.",
        effect: Effect::Happens,
        machine_action: Some("LiveResponse"),
        options: &[
            Opt { required: true, ..DEVICE_ID },
            Opt {
                name: "started",
                title: "Started (clock ticks)",
                takes: Takes::Number(0, i64::MAX),
                required: true,
                explains: "When the process started, as the list of processes says it.",
            },
        ],
        ..entry(Kind::StopProcess, "stopProcess", TargetKind::Process, "process")
    },
    Entry {
        listed: false,
        title: "Contain device",
        explains: "Other devices no longer talk to this one, which nobody manages.",
        reverse: Some(Kind::ReleaseContainedDevice),
        dangerous: true,
        ..entry(Kind::ContainDevice, "containDevice", TargetKind::Device, "containment")
    },
    Entry {
        listed: false,
        title: "Release contained device",
        explains: "Other devices talk to this one again.",
        reverse: Some(Kind::ContainDevice),
        ..entry(
            Kind::ReleaseContainedDevice,
            "releaseContainedDevice",
            TargetKind::Device,
            "containment",
        )
    },
    Entry {
        listed: false,
        title: "Offboard device",
        explains: "The security product no longer looks after the device.",
        effect: Effect::Happens,
        dangerous: true,
        machine_action: Some("Offboard"),
        ..entry(Kind::OffboardDevice, "offboardDevice", TargetKind::Device, "management")
    },
    Entry {
        listed: false,
        title: "Suspend user",
        explains: "The account is suspended in the application that the alert is about.",
        reverse: Some(Kind::UnsuspendUser),
        dangerous: true,
        ..entry(Kind::SuspendUser, "suspendUser", TargetKind::User, "suspension")
    },
    Entry {
        listed: false,
        title: "Unsuspend user",
        explains: "The account works again in the application that the alert is about.",
        reverse: Some(Kind::SuspendUser),
        ..entry(Kind::UnsuspendUser, "unsuspendUser", TargetKind::User, "suspension")
    },
    Entry {
        listed: false,
        title: "Contain user",
        explains: "Devices no longer let the account in over the network.",
        reverse: Some(Kind::ReleaseContainedUser),
        dangerous: true,
        ..entry(Kind::ContainUser, "containUser", TargetKind::User, "containment")
    },
    Entry {
        listed: false,
        title: "Release contained user",
        explains: "Devices let the account in over the network again.",
        reverse: Some(Kind::ContainUser),
        ..entry(Kind::ReleaseContainedUser, "releaseContainedUser", TargetKind::User, "containment")
    },
    Entry {
        listed: false,
        title: "Move mail to junk",
        explains: "Moves the mail to the junk folder of the mailboxes.",
        reverse: Some(Kind::MoveEmailToInbox),
        options: &[MAILBOXES],
        ..entry(Kind::MoveEmailToJunk, "moveEmailToJunk", TargetKind::Mail, "mail")
    },
    Entry {
        listed: false,
        title: "Move mail to inbox",
        explains: "Moves the mail back to where its receivers see it, from junk, the deleted items \
                   and what can be recovered.",
        options: &[MAILBOXES],
        ..entry(Kind::MoveEmailToInbox, "moveEmailToInbox", TargetKind::Mail, "mail")
    },
    Entry {
        listed: false,
        title: "Move mail to quarantine",
        explains: "Moves the mail to where only administrators see it.",
        reverse: Some(Kind::MoveEmailToInbox),
        options: &[MAILBOXES],
        ..entry(Kind::MoveEmailToQuarantine, "moveEmailToQuarantine", TargetKind::Mail, "mail")
    },
    Entry {
        listed: false,
        title: "Move mail to deleted items",
        explains: "Moves the mail to the deleted items of the mailboxes, where their owners see it.",
        reverse: Some(Kind::MoveEmailToInbox),
        options: &[MAILBOXES],
        ..entry(Kind::MoveEmailToDeletedItems, "moveEmailToDeletedItems", TargetKind::Mail, "mail")
    },
    Entry {
        listed: false,
        title: "Stop external forwarding",
        explains: "The mailbox no longer forwards mail to addresses outside.",
        dangerous: false,
        ..entry(
            Kind::StopExternalForwarding,
            "stopExternalForwarding",
            TargetKind::User,
            "forwarding",
        )
    },
    Entry {
        listed: false,
        title: "Block application",
        explains: "The application of the directory may no longer be used or given consent to.",
        dangerous: true,
        ..entry(Kind::BlockOAuthApp, "blockOAuthApp", TargetKind::App, "application")
    },
    Entry {
        listed: false,
        title: "Start investigation",
        explains: "The security product looks into the device by itself.",
        effect: Effect::Happens,
        ..entry(Kind::StartInvestigation, "startInvestigation", TargetKind::Device, "investigation")
    },
];

impl Kind {
    /// Its row of the catalogue.
    #[must_use]
    pub fn entry(self) -> &'static Entry {
        // The test below shows that each kind has a row; the first is harmless.
        CATALOG.iter().find(|entry| entry.kind == self).unwrap_or(&CATALOG[0])
    }

    /// Whether an attack gets no further once it is verified: a service clock stops there.
    #[must_use]
    pub fn contains(self) -> bool {
        matches!(
            self,
            Self::IsolateDevice
                | Self::ContainDevice
                | Self::RestrictAppExecution
                | Self::StopAndQuarantineFile
                | Self::StopProcess
                | Self::SubmitIocRule
                | Self::DisableUser
                | Self::SuspendUser
                | Self::ContainUser
                | Self::ForceUserPasswordReset
                | Self::RequireSignIn
                | Self::HardDeleteEmail
                | Self::SoftDeleteEmail
                | Self::MoveEmailToJunk
                | Self::MoveEmailToQuarantine
                | Self::MoveEmailToDeletedItems
                | Self::StopExternalForwarding
                | Self::BlockOAuthApp
        )
    }

    /// The type of a word of the contract or of ours, in any case.
    #[must_use]
    pub fn read(word: &str) -> Option<Self> {
        CATALOG.iter().find(|entry| entry.word.eq_ignore_ascii_case(word)).map(|entry| entry.kind)
    }

    /// The word.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.entry().word
    }
}

impl Entry {
    /// Checks options against what this type takes; gives them as they are stored.
    ///
    /// # Errors
    /// What is wrong with which option.
    pub fn options(&self, given: &Value) -> Result<Value, String> {
        let empty = serde_json::Map::new();
        let given = match given {
            Value::Null => &empty,
            Value::Object(given) => given,
            _ => return Err("options are a JSON object".to_owned()),
        };
        for name in given.keys() {
            if !self.options.iter().any(|option| option.name == name) {
                let shown: String = name.chars().take(64).flat_map(char::escape_debug).collect();
                return Err(format!("{} has no option {shown}", self.word));
            }
        }
        let mut kept = serde_json::Map::new();
        for option in self.options {
            match given.get(option.name).filter(|value| !value.is_null()) {
                None if option.required => {
                    return Err(format!("{} needs {}", self.word, option.name));
                }
                None => {}
                Some(value) => {
                    option.check(value)?;
                    kept.insert(option.name.to_owned(), value.clone());
                }
            }
        }
        Ok(Value::Object(kept))
    }
}

/// The longest text of an option, in characters.
const LONGEST: usize = 4_096;
/// The longest list of an option.
const MOST: usize = 100;

impl Opt {
    fn check(&self, value: &Value) -> Result<(), String> {
        let name = self.name;
        let text = |value: &Value| {
            value.as_str().is_some_and(|text| {
                !text.trim().is_empty()
                    && text.chars().count() <= LONGEST
                    && !text.chars().any(char::is_control)
            })
        };
        let fits = match self.takes {
            Takes::Choice(words) => words.iter().any(|(word, _)| value.as_str() == Some(word)),
            Takes::Text => text(value),
            Takes::Rules => {
                let rules = value.as_str().ok_or(format!("{name} is a text"))?;
                return yara::check(rules).map_err(|why| format!("{name}: {why}"));
            }
            Takes::List => {
                value.as_array().is_some_and(|list| list.len() <= MOST && list.iter().all(text))
            }
            Takes::Number(least, most) => {
                value.as_i64().is_some_and(|number| (least..=most).contains(&number))
            }
            Takes::Boolean => value.is_boolean(),
        };
        if fits {
            return Ok(());
        }
        Err(match self.takes {
            Takes::Choice(words) => {
                let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                format!("{name} is one of {}", words.join(", "))
            }
            Takes::Text | Takes::Rules => {
                format!("{name} is a text of 1 to {LONGEST} characters")
            }
            Takes::List => format!("{name} is a list of at most {MOST} texts"),
            Takes::Number(least, most) => {
                format!("{name} is a whole number from {least} to {most}")
            }
            Takes::Boolean => format!("{name} is true or false"),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_has_one_row_one_word_and_says_what_it_does() {
        let words: BTreeSet<String> =
            CATALOG.iter().map(|entry| entry.word.to_ascii_lowercase()).collect();
        let kinds: BTreeSet<Kind> = CATALOG.iter().map(|entry| entry.kind).collect();
        assert_eq!((words.len(), kinds.len()), (CATALOG.len(), CATALOG.len()));
        assert_eq!(kinds.len(), Kind::StartInvestigation as usize + 1);
        for entry in CATALOG {
            assert_eq!(entry.kind.entry().word, entry.word);
            assert_eq!(Kind::read(&entry.word.to_uppercase()), Some(entry.kind));
            assert!(!entry.title.is_empty() && !entry.explains.is_empty(), "{}", entry.word);
            assert!(entry.answer_s <= entry.patience_s, "{}", entry.word);
        }
    }

    #[test]
    fn a_reverse_is_of_the_same_family_and_sets_what_it_takes_back() {
        for entry in CATALOG {
            let Some(reverse) = entry.reverse else { continue };
            assert_eq!(reverse.entry().family, entry.family, "{}", entry.word);
            assert_eq!(reverse.entry().target, entry.target, "{}", entry.word);
            assert_eq!(reverse.entry().effect, entry.effect, "{}", entry.word);
        }
    }

    #[test]
    fn options_are_those_of_the_type_and_no_others() {
        let isolate = Kind::IsolateDevice.entry();
        assert_eq!(isolate.options(&Value::Null), Ok(json!({})));
        let given =
            json!({ "isolationType": "selective", "allow": ["192.0.2.7"], "forMinutes": 5 });
        assert_eq!(isolate.options(&given), Ok(given.clone()));
        for bad in [
            json!({ "isolationType": "half" }),
            json!({ "isolationType": 1 }),
            json!({ "allow": "192.0.2.7" }),
            json!({ "forMinutes": 0 }),
            json!({ "forMinutes": 1.5 }),
            json!({ "more": 1 }),
            json!([]),
            json!({ "allow": ["a\nb"] }),
        ] {
            assert!(isolate.options(&bad).is_err(), "{bad}");
        }
        assert!(Kind::StopProcess.entry().options(&json!({ "deviceId": "x" })).is_err());
    }
}
