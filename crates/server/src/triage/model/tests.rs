//! Scope and priority, by table and by property.

use proptest::prelude::*;

use super::*;

fn set(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn signal(service_source: &str, detection_source: &str, category: &str) -> Signal {
    Signal {
        service_source: service_source.to_owned(),
        product: String::new(),
        detection_source: detection_source.to_owned(),
        category: category.to_owned(),
    }
}

fn endpoint() -> Signal {
    signal("microsoftDefenderForEndpoint", "antivirus", "Malware")
}

fn facts(severity: Severity, signals: &[Signal]) -> Facts {
    Facts { severity, signals: signals.iter().cloned().collect(), alerts: 1, ..Facts::default() }
}

fn reason(facts: &Facts, scope: &Scope) -> Option<&'static str> {
    match decide(facts, scope) {
        Decision::Queued => None,
        Decision::LeftOut(reason) => {
            let text = reason.to_string();
            assert!(text.ends_with('.') && text.len() > 20, "{text}");
            Some(reason.word())
        }
    }
}

fn opted(class: Class) -> Scope {
    Scope { opt_ins: BTreeSet::from([class]), ..Scope::default() }
}

#[test]
fn severity_decides_first() {
    for (severity, expected) in [
        (Severity::High, None),
        (Severity::Medium, None),
        (Severity::Low, Some("severity")),
        (Severity::Informational, Some("severity")),
        (Severity::Unknown, Some("severity")),
    ] {
        let facts = facts(severity, &[endpoint()]);
        assert_eq!(reason(&facts, &Scope::default()), expected, "{severity}");
        assert_eq!(reason(&facts, &opted(Class::LowSeverity)), None, "{severity}");
    }
    let low = decide(&facts(Severity::Low, &[]), &Scope::default());
    let Decision::LeftOut(why) = low else { panic!("low was queued") };
    assert_eq!(
        why.to_string(),
        "Severity is low; experts take incidents of high or medium severity."
    );
}

#[test]
fn a_class_is_left_out_only_when_it_is_all_there_is() {
    for (signal, word, class) in [
        (signal("dataLossPrevention", "", ""), "dataLossPrevention", Class::DataLossPrevention),
        (
            signal("microsoft365Defender", "microsoftDataLossPrevention", "Exfiltration"),
            "dataLossPrevention",
            Class::DataLossPrevention,
        ),
        (signal("", "", "Data loss prevention"), "dataLossPrevention", Class::DataLossPrevention),
        (signal("", "CustomDetection", ""), "customDetection", Class::CustomDetection),
        (signal("", "", "Custom Detection"), "customDetection", Class::CustomDetection),
        (signal("", "", "compliance"), "compliance", Class::Compliance),
        (signal("microsoftInsiderRiskManagement", "", ""), "compliance", Class::Compliance),
        (signal("", "microsoftDefenderForIoT", ""), "iot", Class::Iot),
    ] {
        let alone = facts(Severity::High, std::slice::from_ref(&signal));
        assert_eq!(reason(&alone, &Scope::default()), Some(word));
        assert_eq!(reason(&alone, &opted(class)), None);
        let mixed = facts(Severity::High, &[signal, endpoint()]);
        assert_eq!(reason(&mixed, &Scope::default()), None);
    }
}

#[test]
fn devices_of_other_kinds_are_left_out_when_there_is_no_other() {
    let on = |platforms: &[&str], signal: Signal| Facts {
        platforms: set(platforms),
        ..facts(Severity::High, &[signal])
    };
    for (platforms, expected) in [
        (&["Windows11"][..], None),
        (&["Linux", "macOS"], None),
        (&[], None),
        (&["Other"], None),
        (&["CiscoIOS"], None),
        (&["iOS"], Some("mobile")),
        (&["Android", "iPadOS"], Some("mobile")),
        (&["iOS", "Windows10"], None),
        (&["IoT"], Some("iot")),
    ] {
        assert_eq!(reason(&on(platforms, endpoint()), &Scope::default()), expected);
    }
    let sign_in = signal("azureAdIdentityProtection", "", "InitialAccess");
    assert_eq!(reason(&on(&["iOS"], sign_in), &Scope::default()), None);
    assert_eq!(reason(&on(&["iOS"], endpoint()), &opted(Class::Mobile)), None);
}

#[test]
fn products_are_all_covered_until_some_are_named() {
    let wazuh = Signal { product: "Wazuh".to_owned(), ..signal("unknown", "unknown", "rootkit") };
    let foreign = facts(Severity::Medium, std::slice::from_ref(&wazuh));
    assert_eq!(reason(&foreign, &Scope::default()), None);
    let only = |names: &[&str]| Scope { products: Products::Only(set(names)), ..Scope::default() };
    assert_eq!(reason(&foreign, &only(&["microsoftDefenderForEndpoint"])), Some("product"));
    assert_eq!(reason(&foreign, &only(&["wazuh"])), None);
    assert_eq!(reason(&foreign, &only(&[])), Some("product"));
    let both = facts(Severity::Medium, &[wazuh, endpoint()]);
    assert_eq!(reason(&both, &only(&["microsoftDefenderForEndpoint"])), None);
}

#[test]
fn groups_limit_coverage_to_their_direct_members() {
    let facts = Facts {
        devices: set(&["dev-1", "LAPTOP-7"]),
        accounts: set(&["anna@alderfreight.example"]),
        ..facts(Severity::High, &[endpoint()])
    };
    let scope = |devices: Option<&[&str]>, users: Option<&[&str]>| Scope {
        devices: devices.map(set),
        users: users.map(set),
        ..Scope::default()
    };
    for (limits, expected) in [
        (scope(None, None), None),
        (scope(Some(&["laptop-7"]), None), None),
        (scope(Some(&["laptop-8"]), None), Some("outsideGroups")),
        (scope(Some(&[]), None), Some("outsideGroups")),
        (scope(None, Some(&["Anna@AlderFreight.example"])), None),
        (scope(Some(&["laptop-8"]), Some(&["anna@alderfreight.example"])), None),
        (scope(None, Some(&["laptop-7"])), Some("outsideGroups")),
    ] {
        assert_eq!(reason(&facts, &limits), expected, "{limits:?}");
    }
    let bare = Facts { severity: Severity::High, ..Facts::default() };
    assert_eq!(reason(&bare, &scope(Some(&["laptop-7"]), None)), Some("outsideGroups"));
    assert_eq!(reason(&bare, &scope(None, None)), None);
}

#[test]
fn urgency_falls_into_the_three_bands() {
    let attack = Facts {
        alerts: 6,
        titles: 4,
        hints: Hint::heard("Ransomware spread by hand"),
        ..facts(
            Severity::High,
            &[endpoint(), signal("microsoftDefenderForIdentity", "", "LateralMovement")],
        )
    };
    assert!(priority(&attack).score > 85, "{:?}", priority(&attack));
    let low = Facts {
        titles: 1,
        assets: 2,
        malicious: 1,
        techniques: set(&["T1059", "T1059.001", "T1027", "T1105"]),
        seen_before: Some(0),
        ..facts(Severity::Low, &[endpoint()])
    };
    assert!(priority(&low).score < 15, "{:?}", priority(&low));
    let medium = Facts { titles: 3, alerts: 3, ..facts(Severity::Medium, &[endpoint()]) };
    assert!((15..=85).contains(&priority(&medium).score));
    assert!((15..=85).contains(&priority(&facts(Severity::High, &[endpoint()])).score));
    assert_eq!(priority(&Facts::default()).score, 0);
}

#[test]
fn hints_are_heard_in_words_and_not_in_parts_of_words() {
    assert_eq!(Hint::heard("Possible RANSOMWARE activity"), BTreeSet::from([Hint::Ransomware]));
    assert_eq!(Hint::heard("linked to APT29"), BTreeSet::from([Hint::NationState]));
    assert_eq!(Hint::heard("Attack Disruption"), BTreeSet::from([Hint::Disruption]));
    assert!(Hint::heard("apt install of an adapter, captured").is_empty());
    let by_category = facts(Severity::Medium, &[signal("", "", "Ransomware")]);
    assert!(priority(&by_category).factors.iter().any(|factor| factor.name == "ransomware"));
}

#[test]
fn the_factors_explain_themselves() {
    let facts = Facts {
        asset_tags: set(&["Non-critical", "Domain Controller"]),
        ..facts(Severity::High, &[endpoint()])
    };
    let priority = priority(&facts);
    assert_eq!(
        priority.factors_json().to_string(),
        "[{\"name\":\"severity\",\"points\":52,\"why\":\"severity is high\"},\
         {\"name\":\"criticality\",\"points\":10,\
         \"why\":\"an asset is marked Domain Controller\"}]"
    );
    assert_eq!(priority.score, 62);
}

fn any_facts() -> impl Strategy<Value = Facts> {
    let words = |most| {
        prop::collection::btree_set(
            prop::sample::select(vec!["Malware", "Ransomware", "DLP", "iOS", "Critical", "T1059"]),
            0..most,
        )
    };
    (
        prop::sample::select(Severity::ALL.to_vec()),
        words(5),
        words(5),
        any::<[u32; 4]>(),
        prop::option::of(0u32..3),
        ".{0,40}",
    )
        .prop_map(
            |(severity, categories, tags, [assets, alerts, titles, malicious], seen, text)| {
                let owned = |words: &BTreeSet<&str>| words.iter().map(|&w| w.to_owned()).collect();
                Facts {
                    severity,
                    signals: categories.iter().map(|word| signal("", "", word)).collect(),
                    platforms: owned(&tags),
                    devices: BTreeSet::from([text.clone()]),
                    accounts: BTreeSet::new(),
                    asset_tags: owned(&tags),
                    techniques: owned(&tags),
                    hints: Hint::heard(&text),
                    seen_before: seen,
                    assets,
                    alerts,
                    titles,
                    malicious,
                }
            },
        )
}

proptest! {
    #[test]
    fn the_score_is_the_sum_and_grows_with_severity(facts in any_facts()) {
        let given = priority(&facts);
        let sum: u32 = given.factors.iter().map(|factor| u32::from(factor.points)).sum();
        prop_assert_eq!(u32::from(given.score), sum.min(100));
        prop_assert!(given.factors.iter().all(|factor| factor.points > 0));
        prop_assert_eq!(&given, &priority(&facts));
        let scores = Severity::ALL.iter().map(|severity| {
            priority(&Facts { severity: *severity, ..facts.clone() }).score
        });
        prop_assert!(scores.is_sorted());
    }

    #[test]
    fn a_graver_incident_is_never_left_out_where_a_milder_is_queued(facts in any_facts()) {
        let queued = |severity| {
            decide(&Facts { severity, ..facts.clone() }, &Scope::default()) == Decision::Queued
        };
        prop_assert!(Severity::ALL.iter().map(|severity| queued(*severity)).is_sorted());
    }

    #[test]
    fn opting_in_never_leaves_out(facts in any_facts()) {
        let classes = [
            Class::LowSeverity, Class::CustomDetection, Class::DataLossPrevention,
            Class::Compliance, Class::Iot, Class::Mobile,
        ];
        let all = Scope { opt_ins: BTreeSet::from(classes), ..Scope::default() };
        prop_assert_eq!(decide(&facts, &all), Decision::Queued);
    }
}
