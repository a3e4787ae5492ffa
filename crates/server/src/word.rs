//! The words of the contract that incidents and alerts share, and which verdicts they allow.
//!
//! Each word has one canonical spelling on the wire, a small number in the store, and the older
//! spellings that are still understood. A member that the contract lists after its sentinel
//! `unknownFutureValue` is named only to clients that ask for it (INC-3).
//! Invariant: a [`Verdict`] never pairs a determination with a classification it does not explain
//! (INC-8); only words that came from another product may be retired ones.
//! Not here: how a filter or a request spells a qualified enum (see the Graph face).

/// What stands for a member that a client has not asked to be told by name.
pub const SENTINEL: &str = "unknownFutureValue";

/// Declares a closed set of words: `Variant = code "canonical" | "older spelling"`, and after
/// `late` those that the contract lists after its sentinel.
macro_rules! words {
    (
        $(#[$meta:meta])* $name:ident {
            $($(#[$about:meta])* $variant:ident = $code:literal $word:literal $(| $older:literal)*,)+
        } late [$($late:ident),*]
    ) => {
        $(#[$meta])*
        pub enum $name { $($(#[$about])* $variant,)+ }

        impl $name {
            /// Every member, in the order of the store's numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The canonical spelling on the wire.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// Reads any known spelling, older ones included, in any case; `None` for the rest.
            #[must_use]
            pub fn read(text: &str) -> Option<Self> {
                $(if text.eq_ignore_ascii_case($word) $(|| text.eq_ignore_ascii_case($older))* {
                    return Some(Self::$variant);
                })+
                None
            }

            /// The number that stands for this word in the store; it never changes.
            #[must_use]
            pub fn code(self) -> i16 {
                match self { $(Self::$variant => $code,)+ }
            }

            /// The word behind a number from the store; `None` when there is none.
            #[must_use]
            pub fn from_code(code: i16) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)+ _ => None }
            }

            /// The word as this client may see it: by name, or as the sentinel when the contract
            /// lists it after the sentinel and the client did not ask for such members.
            #[must_use]
            pub fn spelled(self, include_unknown: bool) -> &'static str {
                const LATE: &[$name] = &[$($name::$late),*];
                if !include_unknown && LATE.contains(&self) { SENTINEL } else { self.word() }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

/// Declares a closed set of words of ours, spelt alike on the wire and in the store.
macro_rules! choices {
    // A bare token: utoipa reads no name that comes wrapped up as a `literal`.
    ($(#[$meta:meta])* $name:ident { $($(#[$about:meta])* $variant:ident = $word:tt,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[derive(serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
        pub enum $name { $($(#[$about])* #[serde(rename = $word)] $variant,)+ }

        impl $name {
            /// Every member.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word stored and shown.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// The member of a word.
            #[must_use]
            pub fn read(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|it| it.word() == word)
            }
        }
    };
}
pub(crate) use choices;

words! {
    /// Where an incident stands, as the contract says it (INC-2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    IncidentStatus {
        /// Nobody works on it yet.
        Active = 1 "active",
        /// Closed.
        Resolved = 2 "resolved",
        /// Somebody works on it.
        InProgress = 3 "inProgress",
        /// Merged into another incident.
        Redirected = 4 "redirected",
        /// The customer has tasks to do.
        AwaitingAction = 5 "awaitingAction",
    } late [AwaitingAction]
}

words! {
    /// How bad it could be, from least to worst (INC-5).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
    Severity {
        /// Not said.
        #[default]
        Unknown = 0 "unknown" | "unSpecified",
        /// Worth knowing, not harmful.
        Informational = 1 "informational" | "info",
        /// Little harm.
        Low = 2 "low",
        /// Harm that needs attention.
        Medium = 3 "medium",
        /// Grave harm.
        High = 4 "high",
    } late []
}

words! {
    /// Whether it was a threat at all (INC-6).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    Classification {
        /// Not set.
        #[default]
        Unknown = 0 "unknown",
        /// A real threat.
        TruePositive = 1 "truePositive",
        /// No threat: the detection erred.
        FalsePositive = 2 "falsePositive",
        /// Real, known and expected activity.
        InformationalExpectedActivity = 3 "informationalExpectedActivity",
    } late []
}

words! {
    /// What kind of threat or non-threat it was (INC-7), with the spellings of older clients
    /// (INC-9).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    Determination {
        /// Not set.
        #[default]
        Unknown = 0 "unknown" | "notAvailable",
        /// An advanced persistent threat; retired.
        Apt = 1 "apt",
        /// Malware.
        Malware = 2 "malware",
        /// Security staff at work; retired.
        SecurityPersonnel = 3 "securityPersonnel",
        /// A security test.
        SecurityTesting = 4 "securityTesting",
        /// Software nobody wants.
        UnwantedSoftware = 5 "unwantedSoftware",
        /// Something else.
        Other = 6 "other",
        /// An attack in several stages.
        MultiStagedAttack = 7 "multiStagedAttack",
        /// A compromised account.
        CompromisedAccount = 8 "compromisedAccount" | "compromisedUser",
        /// Phishing.
        Phishing = 9 "phishing",
        /// A user with ill intent.
        MaliciousUserActivity = 10 "maliciousUserActivity",
        /// Not malicious.
        NotMalicious = 11 "notMalicious" | "clean",
        /// Too little data to tell.
        NotEnoughDataToValidate = 12 "notEnoughDataToValidate" | "noEnoughDataToValidate"
            | "insufficientData",
        /// Activity that its author confirmed.
        ConfirmedActivity = 13 "confirmedActivity" | "confirmedUserActivity",
        /// An application of the business.
        LineOfBusinessApplication = 14 "lineOfBusinessApplication",
    } late []
}

words! {
    /// Where an alert stands (INC-23).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    AlertStatus {
        /// Not said.
        #[default]
        Unknown = 0 "unknown",
        /// Nobody works on it yet.
        New = 1 "new" | "newAlert",
        /// Somebody works on it.
        InProgress = 2 "inProgress",
        /// Closed.
        Resolved = 3 "resolved",
    } late []
}

words! {
    /// The state of an incident by name alone: finer than its status, as triage sees it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    Stage {
        /// Active, and not with the experts.
        New = 1 "new",
        /// Active, and left to the customer by triage.
        LeftOut = 2 "leftOut",
        /// Active, and waiting for an expert.
        Queued = 3 "queued",
        /// Somebody works on it.
        InProgress = 4 "inProgress",
        /// The customer has tasks to do.
        AwaitingCustomer = 5 "awaitingCustomer",
        /// Closed.
        Resolved = 6 "resolved",
        /// Merged into another incident.
        Redirected = 7 "redirected",
    } late []
}

impl Stage {
    /// The status of the contract that this state shows as (INC-2).
    #[must_use]
    pub fn status(self) -> IncidentStatus {
        match self {
            Self::New | Self::LeftOut | Self::Queued => IncidentStatus::Active,
            Self::InProgress => IncidentStatus::InProgress,
            Self::AwaitingCustomer => IncidentStatus::AwaitingAction,
            Self::Resolved => IncidentStatus::Resolved,
            Self::Redirected => IncidentStatus::Redirected,
        }
    }
}

impl Determination {
    /// Whether the word is still read but no longer offered or taken as a new verdict.
    #[must_use]
    pub fn retired(self) -> bool {
        matches!(self, Self::Apt | Self::SecurityPersonnel)
    }

    /// The determinations an analyst may choose under a classification, in the order shown.
    #[must_use]
    pub fn offered(classification: Classification) -> &'static [Self] {
        match classification {
            Classification::Unknown => &[],
            Classification::TruePositive => &[
                Self::MultiStagedAttack,
                Self::MaliciousUserActivity,
                Self::CompromisedAccount,
                Self::Malware,
                Self::Phishing,
                Self::UnwantedSoftware,
                Self::Other,
            ],
            Classification::InformationalExpectedActivity => &[
                Self::SecurityTesting,
                Self::LineOfBusinessApplication,
                Self::ConfirmedActivity,
                Self::Other,
            ],
            Classification::FalsePositive => {
                &[Self::NotMalicious, Self::NotEnoughDataToValidate, Self::Other]
            }
        }
    }
}

/// Whether the two words may stand together as a new verdict (INC-8); a determination that is not
/// set goes with every classification.
#[must_use]
pub fn allows(classification: Classification, determination: Determination) -> bool {
    determination == Determination::Unknown
        || Determination::offered(classification).contains(&determination)
}

/// A classification and the determination that explains it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Verdict {
    classification: Classification,
    determination: Determination,
}

/// Two words that do not stand together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPair {
    /// A determination needs a classification first.
    #[error("{0} needs a classification")]
    Unclassified(Determination),
    /// The determination does not explain this classification.
    #[error("{1} does not go with classification {0}")]
    Mismatch(Classification, Determination),
}

impl Verdict {
    /// A new verdict; fails when the words do not stand together.
    pub fn new(
        classification: Classification,
        determination: Determination,
    ) -> Result<Self, BadPair> {
        if allows(classification, determination) {
            Ok(Self { classification, determination })
        } else if classification == Classification::Unknown {
            Err(BadPair::Unclassified(determination))
        } else {
            Err(BadPair::Mismatch(classification, determination))
        }
    }

    /// A verdict as another product or the store tells it: retired words are kept under a
    /// classification, and a determination that explains nothing is dropped instead of refused.
    #[must_use]
    pub fn told(classification: Classification, determination: Determination) -> Self {
        let kept = allows(classification, determination)
            || (determination.retired() && classification != Classification::Unknown);
        let determination = if kept { determination } else { Determination::Unknown };
        Self { classification, determination }
    }

    /// This verdict with the words a request names: clearing the classification clears the
    /// determination, and a new classification keeps the determination only if it still fits.
    pub fn changed(
        self,
        classification: Option<Classification>,
        determination: Option<Determination>,
    ) -> Result<Self, BadPair> {
        match (classification, determination) {
            (None, None) => Ok(self),
            // What a client read and sends back unchanged is no new verdict, retired or not.
            _ if classification.is_none_or(|word| word == self.classification)
                && determination.is_none_or(|word| word == self.determination) =>
            {
                Ok(self)
            }
            (Some(classification), None) => Ok(Self::new(classification, self.determination)
                .unwrap_or(Self { classification, determination: Determination::Unknown })),
            (classification, Some(determination)) => {
                Self::new(classification.unwrap_or(self.classification), determination)
            }
        }
    }

    /// Whether it was a threat.
    #[must_use]
    pub fn classification(self) -> Classification {
        self.classification
    }

    /// What kind.
    #[must_use]
    pub fn determination(self) -> Determination {
        self.determination
    }

    /// Whether both words are set, as a conclusion needs (INC-12).
    #[must_use]
    pub fn complete(self) -> bool {
        self.classification != Classification::Unknown
            && self.determination != Determination::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! round_trips {
        ($($name:ident),+) => {$(
            for member in $name::ALL {
                let pascal = format!("{}{}", member.word()[..1].to_uppercase(), &member.word()[1..]);
                for text in [member.word(), &pascal, &pascal.to_uppercase()] {
                    assert_eq!($name::read(text), Some(*member), "{text}");
                }
                assert_eq!($name::from_code(member.code()), Some(*member));
                assert_eq!(member.spelled(true), member.word());
                assert_eq!(member.to_string(), member.word());
            }
            for text in ["", " ", SENTINEL, "nonsense", "\u{130}nProgress"] {
                assert_eq!($name::read(text), None, "{text}");
            }
            assert_eq!($name::from_code(-1), None);
            assert_eq!($name::from_code(i16::MAX), None);
        )+};
    }

    #[test]
    fn every_word_survives_the_wire_and_the_store() {
        round_trips!(IncidentStatus, Severity, Classification, Determination, AlertStatus);
        round_trips!(Stage);
    }

    #[test]
    fn only_what_follows_the_sentinel_hides_behind_it() {
        for status in IncidentStatus::ALL {
            let hidden = *status == IncidentStatus::AwaitingAction;
            assert_eq!(status.spelled(false) == SENTINEL, hidden, "{status}");
        }
        assert!(Severity::ALL.iter().all(|word| word.spelled(false) == word.word()));
        assert!(Determination::ALL.iter().all(|word| word.spelled(false) == word.word()));
    }

    #[test]
    fn older_spellings_are_read() {
        for (text, word) in [
            ("compromisedUser", Determination::CompromisedAccount),
            ("Clean", Determination::NotMalicious),
            ("INSUFFICIENTDATA", Determination::NotEnoughDataToValidate),
            ("NoEnoughDataToValidate", Determination::NotEnoughDataToValidate),
            ("ConfirmedUserActivity", Determination::ConfirmedActivity),
            ("Apt", Determination::Apt),
        ] {
            assert_eq!(Determination::read(text), Some(word), "{text}");
        }
    }

    #[test]
    fn severities_are_ordered() {
        assert!(Severity::ALL.is_sorted());
        assert!(Severity::High > Severity::Medium && Severity::Informational > Severity::Unknown);
    }

    #[test]
    fn exactly_the_fourteen_pairs_of_the_table_are_allowed() {
        let table = [
            (
                "truePositive",
                "multiStagedAttack maliciousUserActivity compromisedAccount malware phishing \
                 unwantedSoftware other",
            ),
            (
                "informationalExpectedActivity",
                "securityTesting lineOfBusinessApplication confirmedActivity other",
            ),
            ("falsePositive", "notMalicious notEnoughDataToValidate other"),
        ];
        for classification in Classification::ALL {
            for determination in Determination::ALL {
                let listed = table.iter().any(|(first, words)| {
                    classification.word() == *first
                        && words.split_whitespace().any(|word| word == determination.word())
                });
                let expected = listed || *determination == Determination::Unknown;
                assert_eq!(
                    allows(*classification, *determination),
                    expected,
                    "{classification} {determination}"
                );
                assert_eq!(Verdict::new(*classification, *determination).is_ok(), expected);
                assert!(!(determination.retired() && listed));
            }
        }
    }

    #[test]
    fn a_verdict_changes_only_into_a_pair() {
        use Classification as C;
        use Determination as D;
        let start = Verdict::new(C::TruePositive, D::Other).unwrap();
        let after = |c, d| start.changed(c, d).map(|v| (v.classification(), v.determination()));
        assert_eq!(after(None, None), Ok((C::TruePositive, D::Other)));
        assert_eq!(after(Some(C::Unknown), None), Ok((C::Unknown, D::Unknown)));
        assert_eq!(after(Some(C::FalsePositive), None), Ok((C::FalsePositive, D::Other)));
        assert_eq!(after(None, Some(D::Malware)), Ok((C::TruePositive, D::Malware)));
        assert_eq!(after(None, Some(D::Unknown)), Ok((C::TruePositive, D::Unknown)));
        assert_eq!(
            after(None, Some(D::NotMalicious)),
            Err(BadPair::Mismatch(C::TruePositive, D::NotMalicious))
        );
        assert_eq!(
            after(Some(C::Unknown), Some(D::Malware)),
            Err(BadPair::Unclassified(D::Malware))
        );
        assert_eq!(
            Verdict::default().changed(None, Some(D::Malware)),
            Err(BadPair::Unclassified(D::Malware))
        );
        let malware = Verdict::new(C::TruePositive, D::Malware).unwrap();
        let dropped = malware.changed(Some(C::FalsePositive), None).unwrap();
        assert_eq!(dropped.determination(), D::Unknown);
        assert!(malware.complete() && !dropped.complete());
    }

    #[test]
    fn a_retired_word_is_kept_when_told_and_when_sent_back_but_never_newly_taken() {
        use Classification as C;
        use Determination as D;
        let told = Verdict::told(C::TruePositive, D::Apt);
        assert_eq!(told.determination(), D::Apt);
        assert_eq!(told.changed(Some(C::TruePositive), Some(D::Apt)), Ok(told));
        assert!(Verdict::default().changed(Some(C::TruePositive), Some(D::Apt)).is_err());
        assert_eq!(Verdict::told(C::Unknown, D::Apt), Verdict::default());
        let odd = Verdict::told(C::FalsePositive, D::Phishing);
        assert_eq!(odd.determination(), D::Unknown);
    }
}
