//! A history and an observation that agree, then each violation planted in turn.

use super::*;

fn call(invoked: u64, op: Op, outcome: Outcome) -> Call {
    Call { invoked, ended: Some(invoked + 1), tenant: 0, op, outcome }
}

fn alerts(ids: &[&str]) -> Op {
    Op::Alerts { ids: ids.iter().map(|id| (*id).to_owned()).collect() }
}

fn stored(accepted: u64, duplicates: u64, errors: &[u64]) -> Outcome {
    let rejected = errors.len() as u64;
    let counts = Counts {
        received: accepted + duplicates + rejected,
        accepted,
        duplicates,
        ignored: 0,
        rejected,
        errors: errors.to_vec(),
    };
    Outcome::Ok { counts: Some(counts), echoed: false }
}

fn patch(mark: &str) -> Op {
    Op::Patch { incident: "i1".to_owned(), mark: mark.to_owned() }
}

fn comment(mark: &str) -> Op {
    Op::Comment { incident: "i1".to_owned(), mark: mark.to_owned() }
}

fn done() -> Outcome {
    Outcome::Ok { counts: None, echoed: true }
}

fn unknown() -> Outcome {
    Outcome::Info { why: "reset".to_owned() }
}

fn refused() -> Outcome {
    Outcome::Fail { why: "400".to_owned() }
}

fn alert(id: &str, incident: &str) -> AlertSeen {
    AlertSeen {
        id: format!("al-{id}"),
        source_id: id.to_owned(),
        incident: Some(incident.to_owned()),
        tenant_id: "t0".to_owned(),
    }
}

/// Five alerts in two incidents; `i1` changed, commented on and changed again.
fn agreement() -> (Vec<Call>, Seen) {
    let calls = vec![
        call(1, alerts(&["a"]), stored(1, 0, &[])),
        call(3, alerts(&["b", "a", "x"]), stored(1, 1, &[2])),
        call(5, alerts(&["c"]), unknown()),
        call(7, alerts(&["d"]), unknown()),
        call(9, alerts(&["e"]), refused()),
        call(11, alerts(&["a"]), stored(0, 1, &[])),
        call(13, patch("m1"), done()),
        call(15, comment("m2"), done()),
        call(17, comment("m3"), unknown()),
        call(19, patch("m4"), unknown()),
        call(21, patch("m5"), refused()),
        call(23, Op::Read { path: "/".to_owned() }, done()),
    ];
    let incident = IncidentSeen {
        id: "i1".to_owned(),
        tenant_id: "t0".to_owned(),
        redirect: None,
        tags: tags("m1").into_iter().chain(["by-hand".to_owned()]).collect(),
        description: Some("m1".to_owned()),
        alerts: vec!["al-a".to_owned(), "al-b".to_owned()],
        comments: vec!["m2 seen".to_owned()],
        timeline: Some(vec!["tags m1-a m1-b text m1".to_owned(), "comment m2".to_owned()]),
    };
    let other = IncidentSeen {
        id: "i2".to_owned(),
        tenant_id: "t0".to_owned(),
        alerts: vec!["al-c".to_owned()],
        ..IncidentSeen::default()
    };
    let tenant = TenantSeen {
        tenant_id: "t0".to_owned(),
        canary: "canary0".to_owned(),
        canaries: ["canary0".to_owned()].into(),
        alerts: vec![alert("a", "i1"), alert("b", "i1"), alert("c", "i2")],
        incidents: vec![incident, other],
        alert_count: Some(3),
        incident_count: Some(2),
        leaves: Some(log(&[
            ("alert.received", None, Some("al-a"), "a"),
            ("alert.received", None, Some("al-b"), "b"),
            ("incident.opened", Some("i1"), None, ""),
            ("alert.received", None, Some("al-c"), "c"),
            ("incident.opened", Some("i2"), None, ""),
            ("incident.changed", Some("i1"), None, "[\"m1-a\",\"m1-b\"] \"m1\""),
            ("incident.commented", Some("i1"), None, "m2"),
        ])),
    };
    let audit = Verified { ok: true, leaves: 9, first_bad: "null".to_owned() };
    (calls, Seen { tenants: vec![tenant], audit: Some(audit) })
}

/// An operation, its incident, its alert, and what it says.
type Entry<'a> = (&'a str, Option<&'a str>, Option<&'a str>, &'a str);

fn log(entries: &[Entry<'_>]) -> Vec<Leaf> {
    let leaf = |(position, (operation, incident, alert, says)): (usize, &Entry<'_>)| Leaf {
        position: position as u64,
        operation: (*operation).to_owned(),
        incident: incident.map(str::to_owned),
        alert: alert.map(str::to_owned),
        says: (*says).to_owned(),
    };
    entries.iter().enumerate().map(leaf).collect()
}

/// Changes the agreement and expects exactly this violation.
fn planted(
    invariant: &str,
    says: &str,
    plant: impl FnOnce(&mut Vec<Call>, &mut TenantSeen, &mut Verified),
) {
    let (mut calls, mut seen) = agreement();
    let mut audit = seen.audit.take().unwrap();
    plant(&mut calls, &mut seen.tenants[0], &mut audit);
    seen.audit = Some(audit);
    let found = check(&calls, &seen);
    assert!(
        found.iter().any(|one| one.invariant == invariant && one.message.contains(says)),
        "{invariant} {says}: {found:?}"
    );
}

#[test]
fn an_agreement_is_clean() {
    let (calls, seen) = agreement();
    assert_eq!(check(&calls, &seen), []);
}

#[test]
fn unknown_changes_may_be_there_when_whole() {
    let (calls, mut seen) = agreement();
    let tenant = &mut seen.tenants[0];
    let incident = &mut tenant.incidents[0];
    incident.tags = tags("m4").into();
    incident.description = Some("m4".to_owned());
    incident.comments.push("m3".to_owned());
    incident.timeline.as_mut().unwrap().extend(["m3".to_owned(), "m1 to m4".to_owned()]);
    tenant.alerts.push(alert("d", "i2"));
    tenant.incidents[1].alerts.push("al-d".to_owned());
    tenant.alert_count = Some(4);
    let leaves = tenant.leaves.as_mut().unwrap();
    leaves.extend(log(&[
        ("alert.received", None, Some("al-d"), "d"),
        ("incident.changed", Some("i1"), None, "m4"),
        ("incident.commented", Some("i1"), None, "m3"),
    ]));
    for (place, leaf) in leaves.iter_mut().enumerate() {
        leaf.position = place as u64;
    }
    seen.audit.as_mut().unwrap().leaves = 10;
    assert_eq!(check(&calls, &seen), []);
}

#[test]
fn a_merged_incident_takes_its_comments_along() {
    let (calls, mut seen) = agreement();
    let tenant = &mut seen.tenants[0];
    tenant.incidents[0].redirect = Some("i2".to_owned());
    let comments = std::mem::take(&mut tenant.incidents[0].comments);
    let alerts = std::mem::take(&mut tenant.incidents[0].alerts);
    tenant.incidents[1].comments = comments;
    tenant.incidents[1].alerts.extend(alerts);
    for alert in &mut tenant.alerts {
        alert.incident = Some("i2".to_owned());
    }
    assert_eq!(check(&calls, &seen), []);
    seen.tenants[0].incidents[1].comments.clear();
    assert!(check(&calls, &seen)[0].message.contains("lost the acknowledged comment"));
    seen.tenants[0].incidents[1].redirect = Some("i1".to_owned());
    assert!(check(&calls, &seen).iter().any(|one| one.message.contains("circle")));
}

#[test]
fn lost_doubled_refused_and_invented_alerts_are_found() {
    planted("I1", "alert a was acknowledged and is lost", |_, tenant, _| {
        tenant.alerts.remove(0);
    });
    planted("I1", "alert b is there 2 times", |_, tenant, _| {
        tenant.alerts.push(AlertSeen { id: "al-b2".to_owned(), ..alert("b", "i1") });
    });
    planted("I1", "alert c is there 2 times", |_, tenant, _| {
        tenant.alerts.push(AlertSeen { id: "al-c2".to_owned(), ..alert("c", "i2") });
    });
    planted("I1", "alert e was refused and is there", |_, tenant, _| {
        tenant.alerts.push(alert("e", "i2"));
    });
    planted("I1", "alert x was refused and is there", |_, tenant, _| {
        tenant.alerts.push(alert("x", "i2"));
    });
    planted("I1", "alert z was never sent", |_, tenant, _| {
        tenant.alerts.push(alert("z", "i2"));
    });
}

#[test]
fn replies_that_do_not_add_up_are_found() {
    planted("I1", "does not add up", |calls, _, _| {
        calls[0].outcome = stored(1, 1, &[]);
    });
    planted("I1", "accepted again", |calls, _, _| {
        calls[5].outcome = stored(1, 0, &[]);
    });
}

#[test]
fn a_repeat_under_way_at_the_same_time_may_win() {
    let (mut calls, seen) = agreement();
    // The first acknowledgement came after the repeat had left.
    calls[0].ended = Some(12);
    calls[0].outcome = stored(0, 1, &[]);
    calls[1].outcome = stored(1, 1, &[2]);
    calls[5].outcome = stored(1, 0, &[]);
    calls[1].ended = Some(14);
    assert_eq!(check(&calls, &seen), []);
}

#[test]
fn forgotten_alerts_are_found() {
    planted("I3", "al-c", |_, tenant, _| tenant.alerts[2].incident = None);
}

#[test]
fn a_broken_audit_is_found() {
    planted("I5", "first bad leaf 7", |_, _, audit| {
        audit.ok = false;
        audit.first_bad = "7".to_owned();
    });
    planted("I5", "4 leaves were verified and 7 are shown", |_, _, audit| audit.leaves = 4);
}

#[test]
fn a_promise_without_its_own_leaf_is_found_though_their_number_fits() {
    // One leaf is replaced by another each time: counting them finds nothing.
    let replaced = |tenant: &mut TenantSeen, place: usize, by: Entry<'_>| {
        let leaves = tenant.leaves.as_mut().unwrap();
        let mut other = log(&[by]).remove(0);
        other.position = place as u64;
        leaves[place] = other;
    };
    planted("I5", "alert al-a has 0 leaves", |_, tenant, _| {
        replaced(tenant, 0, ("alert.updated", None, Some("al-a"), "a"));
    });
    planted("I5", "alert al-a has 2 leaves", |_, tenant, _| {
        replaced(tenant, 1, ("alert.received", None, Some("al-a"), "a"));
    });
    planted("I5", "a leaf received alert al-z, which is not there", |_, tenant, _| {
        replaced(tenant, 2, ("alert.received", None, Some("al-z"), "z"));
    });
    planted("I5", "the leaf of alert al-b received \"c\", the alert is \"b\"", |_, tenant, _| {
        replaced(tenant, 1, ("alert.received", None, Some("al-b"), "c"));
    });
    planted("I5", "incident i2 has no leaf", |_, tenant, _| {
        replaced(tenant, 4, ("incident.opened", Some("i1"), None, ""));
    });
    planted("I5", "m1 of incident i1 was acknowledged and has 0 leaves", |_, tenant, _| {
        replaced(tenant, 5, ("incident.changed", Some("i2"), None, "m1"));
    });
    planted("I5", "m1 of incident i1 was acknowledged and has 0 leaves", |_, tenant, _| {
        replaced(tenant, 5, ("incident.changed", Some("i1"), None, "m12"));
    });
    planted("I5", "m1 of incident i1 was acknowledged and has 2 leaves", |_, tenant, _| {
        replaced(tenant, 6, ("incident.changed", Some("i1"), None, "m1"));
    });
    planted("I5", "m2 of incident i1 was acknowledged and has 0 leaves", |_, tenant, _| {
        replaced(tenant, 6, ("incident.commented", Some("i1"), None, "m1"));
    });
    planted("I5", "m5 of incident i1 was refused and has 1 leaves", |_, tenant, _| {
        let leaves = tenant.leaves.as_mut().unwrap();
        leaves.extend(log(&[("incident.changed", Some("i1"), None, "m5")]));
        leaves[7].position = 7;
    });
    planted("I5", "m3 of incident i1 was left open and has 2 leaves", |_, tenant, _| {
        let leaves = tenant.leaves.as_mut().unwrap();
        let twice = ("incident.commented", Some("i1"), None, "m3");
        leaves.extend(log(&[twice, twice]));
        (leaves[7].position, leaves[8].position) = (7, 8);
    });
    planted("I5", "position 3 at place 2", |_, tenant, _| {
        tenant.leaves.as_mut().unwrap()[2].position = 3;
    });
}

#[test]
fn counts_and_links_that_disagree_are_found() {
    planted("I6", "$count of alerts", |_, tenant, _| tenant.alert_count = Some(4));
    planted("I6", "$count of incidents", |_, tenant, _| tenant.incident_count = Some(1));
    planted("I6", "incident i1 shows 1 alerts and 2", |_, tenant, _| {
        tenant.incidents[0].alerts.pop();
    });
    planted("I6", "incident i1 shows 3 alerts and 2", |_, tenant, _| {
        tenant.incidents[0].alerts.push("al-b".to_owned());
    });
    planted("I6", "name incident i2, which is not there", |_, tenant, _| {
        tenant.incidents.pop();
    });
    planted("I6", "gives rows twice", |_, tenant, _| tenant.alerts.push(alert("a", "i1")));
    planted("I6", "gives i2 twice", |_, tenant, _| {
        let again = tenant.incidents[1].clone();
        tenant.incidents.push(again);
    });
}

#[test]
fn rows_of_others_are_found() {
    planted("I7", "sees canary1", |_, tenant, _| {
        tenant.canaries.insert("canary1".to_owned());
    });
    planted("I7", "is shown al-a of \"t1\"", |_, tenant, _| {
        tenant.alerts[0].tenant_id = "t1".to_owned();
    });
    planted("I7", "is shown i2 of \"\"", |_, tenant, _| {
        tenant.incidents[1].tenant_id = String::new();
    });
}

#[test]
fn half_changes_are_found() {
    planted("I8", "half of the tags of m1", |_, tenant, _| {
        tenant.incidents[0].tags.remove("m1-b");
    });
    planted("I8", "lost the acknowledged change m1", |_, tenant, _| {
        tenant.incidents[0].tags.clear();
    });
    planted("I8", "tags of several changes", |_, tenant, _| {
        tenant.incidents[0].tags.extend(tags("m4"));
    });
    planted("I8", "text None", |_, tenant, _| tenant.incidents[0].description = None);
    planted("I8", "went back", |calls, _, _| calls[9].outcome = done());
    planted("I8", "m5, which was refused", |_, tenant, _| {
        tenant.incidents[0].tags = tags("m5").into();
    });
    planted("I8", "incident i1 was changed and is not there", |_, tenant, _| {
        tenant.incidents.remove(0);
    });
}

#[test]
fn logs_that_disagree_are_found() {
    let log = |tenant: &mut TenantSeen, entry: &str| {
        tenant.incidents[0].timeline.as_mut().unwrap().push(entry.to_owned());
    };
    planted("I8", "m1 was acknowledged and not logged", |_, tenant, _| {
        tenant.incidents[0].timeline = Some(vec!["m2".to_owned(), "m12".to_owned()]);
    });
    planted("I8", "m5 was refused and is logged", |_, tenant, _| log(tenant, "m5"));
    planted("I8", "m4 is logged and not there", |calls, tenant, _| {
        calls.remove(10);
        log(tenant, "m4");
    });
    planted("I8", "m4 is there and not logged", |_, tenant, _| {
        tenant.incidents[0].tags = tags("m4").into();
        tenant.incidents[0].description = Some("m4".to_owned());
    });
}

#[test]
fn comments_are_kept_once_or_not_at_all() {
    planted("I8", "lost the acknowledged comment m2", |_, tenant, _| {
        tenant.incidents[0].comments.clear();
    });
    planted("I8", "comment m2 is there twice", |_, tenant, _| {
        tenant.incidents[0].comments.push("m2".to_owned());
    });
    planted("I8", "comment m3 and its log entry disagree", |_, tenant, _| {
        tenant.incidents[0].comments.push("m3".to_owned());
    });
    planted("I8", "has the refused comment m2", |calls, _, _| calls[7].outcome = refused());
}
