//! Whole streams of alerts through correlation, with all rows kept in memory as a store would.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Instant;

use serde_json::{Value, json};

use super::regroup::{regroup, runs_of};
use super::*;
use crate::incident::entity::{self, entities};

/// A store in memory.
#[derive(Default)]
struct World {
    runs: HashMap<i64, BTreeMap<i64, Run>>,
    runs_of: HashMap<i64, BTreeSet<(i64, i64)>>,
    stats: Stats,
    heads: HashMap<i64, IncidentHead>,
    alerts: HashMap<i64, PendingAlert>,
    members: HashMap<i64, Vec<i64>>,
    last_incident: i64,
    last_alert: i64,
    redirected: HashMap<i64, i64>,
    rows: usize,
}

impl World {
    fn insert_run(&mut self, run: Run) {
        self.rows += 1;
        let old = self.runs.entry(run.entity_id).or_default().insert(run.opened_by, run);
        if let Some(old) = old {
            self.runs_of
                .entry(old.incident_id)
                .or_default()
                .remove(&(run.entity_id, run.opened_by));
        }
        self.runs_of.entry(run.incident_id).or_default().insert((run.entity_id, run.opened_by));
    }

    fn take_runs(&mut self, incident: i64) -> Vec<Run> {
        let keys = self.runs_of.remove(&incident).unwrap_or_default();
        let gone = keys.iter().map(|(entity, by)| {
            self.runs.get_mut(entity).and_then(|runs| runs.remove(by)).expect("the run is stored")
        });
        gone.collect()
    }

    fn open(&mut self, id: i64) {
        let head = IncidentHead {
            id,
            open: true,
            claimed: false,
            pinned: false,
            owner: None,
            classification: 0,
            determination: 0,
            created: Timestamp::from_micros(id),
            alerts: 0,
            entities: 0,
        };
        assert!(self.heads.insert(id, head).is_none());
    }

    /// Receives one batch; answers the alert ids given.
    fn receive(&mut self, mut batch: Vec<PendingAlert>) -> Outcome {
        for alert in &mut batch {
            self.last_alert += 1;
            alert.alert_id = self.last_alert;
            self.alerts.insert(alert.alert_id, alert.clone());
        }
        let needs = needs(&batch);
        let mut state = State::default();
        for entity in &needs.entities {
            let runs = self.runs.get(entity).into_iter().flat_map(BTreeMap::values);
            state.runs.extend(runs.filter(|run| run.last >= needs.from && run.first <= needs.to));
            for window in needs.window_from..=needs.window_to {
                if let Some(stat) = self.stats.get(&(*entity, window)) {
                    state.stats.insert((*entity, window), stat.clone());
                }
            }
        }
        let ids: HashSet<i64> = state.runs.iter().map(|run| run.incident_id).collect();
        state.heads = ids.iter().map(|id| self.heads[id].clone()).collect();
        let mut last = self.last_incident;
        let now = Timestamp::from_micros(last);
        let outcome = correlate(state, batch, now, &mut || {
            last += 1;
            last
        });
        self.last_incident = last;
        self.write(&outcome);
        for incident in &outcome.regroup {
            self.regroup(*incident);
        }
        outcome
    }

    fn write(&mut self, outcome: &Outcome) {
        for id in &outcome.opened {
            self.open(*id);
        }
        for merge in &outcome.merged {
            assert!(self.heads[&merge.source].open && self.heads[&merge.target].open);
            for run in self.take_runs(merge.source) {
                self.insert_run(Run { incident_id: merge.target, ..run });
            }
            let moved = self.members.remove(&merge.source).unwrap_or_default();
            self.members.entry(merge.target).or_default().extend(moved);
            let source = self.heads.get_mut(&merge.source).expect("stored");
            source.open = false;
            let (alerts, entities) = (source.alerts, source.entities);
            let target = self.heads.get_mut(&merge.target).expect("stored");
            target.alerts += alerts;
            target.entities += entities;
            self.redirected.insert(merge.source, merge.target);
        }
        for placement in &outcome.placements {
            assert!(self.heads[&placement.incident_id].open, "a closed incident got an alert");
            self.members.entry(placement.incident_id).or_default().push(placement.alert_id);
        }
        for (id, growth) in &outcome.grown {
            let head = self.heads.get_mut(id).expect("stored");
            head.alerts += growth.alerts;
            head.entities += growth.entities;
        }
        for run in outcome.opened_runs.iter().chain(&outcome.grown_runs) {
            self.insert_run(*run);
        }
        self.rows += outcome.stats.len();
        self.stats.extend(outcome.stats.iter().cloned());
    }

    fn regroup(&mut self, incident: i64) {
        let members: Vec<PendingAlert> =
            self.members[&incident].iter().map(|id| self.alerts[id].clone()).collect();
        let entities: HashSet<i64> =
            members.iter().flat_map(|alert| &alert.mentions).map(|it| it.entity_id).collect();
        let runs = entities.iter().filter_map(|id| self.runs.get(id)).flat_map(BTreeMap::values);
        count_runs(&mut self.stats, runs);
        let mut last = self.last_incident;
        let out = regroup(incident, &members, &self.stats, &mut || {
            last += 1;
            last
        });
        self.last_incident = last;
        self.take_runs(incident);
        for piece in &out.pieces {
            if piece.incident_id != incident {
                self.open(piece.incident_id);
            }
            self.members.insert(piece.incident_id, piece.alerts.clone());
            let head = self.heads.get_mut(&piece.incident_id).expect("stored");
            head.alerts = piece.alerts.len() as u32;
        }
        for run in out.runs {
            self.insert_run(run);
        }
    }

    /// Incidents that have alerts.
    fn incidents(&self) -> usize {
        self.members.values().filter(|members| !members.is_empty()).count()
    }

    fn incident_of(&self, alert: i64) -> i64 {
        let found = self.members.iter().find(|(_, members)| members.contains(&alert));
        *found.expect("every alert has an incident").0
    }
}

/// The groups of a stream received in an order and in batches, as sets of places in the stream.
fn groups(stream: &[PendingAlert], order: &[usize], batch: usize) -> BTreeSet<BTreeSet<usize>> {
    let mut world = World::default();
    for part in order.chunks(batch.max(1)) {
        world.receive(part.iter().map(|place| stream[*place].clone()).collect());
    }
    // Every alert is in exactly one incident, and its stored runs are those of its alerts.
    let all: usize = world.members.values().map(Vec::len).sum();
    assert_eq!(all, stream.len());
    let place = |id: &i64| order[usize::try_from(*id - 1).expect("ids begin at 1")];
    let groups = world.members.values().filter(|members| !members.is_empty());
    groups.map(|members| members.iter().map(place).collect()).collect()
}

fn in_order(stream: &[PendingAlert]) -> BTreeSet<BTreeSet<usize>> {
    groups(stream, &(0..stream.len()).collect::<Vec<_>>(), 100)
}

/// A small seeded generator, so that a failure can be run again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % end.max(1)
    }

    fn shuffled(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        for at in (1..count).rev() {
            order.swap(at, self.below(at + 1));
        }
        order
    }
}

fn same_in_any_order(stream: &[PendingAlert], shuffles: u64) -> BTreeSet<BTreeSet<usize>> {
    let wanted = in_order(stream);
    for seed in 0..shuffles {
        let mut dice = Dice(seed + 1);
        let order = dice.shuffled(stream.len());
        let batch = 1 + dice.below(64);
        let got = groups(stream, &order, batch);
        assert!(got == wanted, "seed {seed}, batches of {batch}: other groups");
    }
    wanted
}

const MINUTE: i64 = 60_000_000;
/// 2026-03-02, a window boundary nowhere near.
const START: i64 = 20_514 * 1440 * MINUTE + 7 * 60 * MINUTE;

fn at(minute: i64) -> Timestamp {
    Timestamp::from_micros(START + minute * MINUTE)
}

fn piece(stem: &str, members: Value) -> Value {
    let mut piece = members;
    piece["@odata.type"] = json!(format!("#microsoft.graph.security.{stem}Evidence"));
    piece
}

fn device(name: &str) -> Value {
    let id = format!("id-{name}");
    let dns = format!("{name}.alder.example");
    piece("device", json!({"mdeDeviceId": id, "deviceDnsName": dns, "hostName": name}))
}

fn user(name: &str) -> Value {
    let upn = format!("{name}@alder.example");
    piece("user", json!({"userAccount": {"accountName": name, "userPrincipalName": upn}}))
}

fn ip(address: &str) -> Value {
    piece("ip", json!({"ipAddress": address}))
}

fn file(hash: &str, folder: &str) -> Value {
    let details = json!({"fileName": "tool.exe", "filePath": folder, "sha256": hash});
    piece("file", json!({"fileDetails": details}))
}

fn url(url: &str) -> Value {
    piece("url", json!({"url": url}))
}

fn alert(detector: &str, minute: i64, evidence: impl IntoIterator<Item = Value>) -> PendingAlert {
    let evidence: Vec<Value> = evidence.into_iter().collect();
    let body = json!({"title": detector, "detectorId": detector,
        "serviceSource": "microsoftDefenderForEndpoint", "evidence": evidence});
    let body = body.as_object().cloned().unwrap_or_default();
    let mentions = mentions(&entities(&body).list);
    PendingAlert { alert_id: 0, first: at(minute), last: at(minute), mentions }
}

#[test]
fn alerts_that_share_a_device_an_account_or_a_message_are_one_incident() {
    let mail = |id: &str| piece("analyzedMessage", json!({"networkMessageId": id}));
    let mailbox = piece("mailbox", json!({"primaryAddress": "M.Lind@alder.example"}));
    let stream = [
        alert("click", 0, vec![mail("m-1"), mailbox]),
        alert("sign-in", 30, vec![user("m.lind"), ip("203.0.113.7")]),
        alert("dropper", 90, vec![device("lap7"), user("m.lind")]),
        alert("beacon", 95, vec![piece("device", json!({"hostName": "LAP7"}))]),
        alert("other", 95, vec![device("lap8"), user("o.berg")]),
    ];
    let groups = same_in_any_order(&stream, 20);
    assert_eq!(groups, BTreeSet::from([BTreeSet::from([0, 1, 2, 3]), BTreeSet::from([4])]));
}

#[test]
fn a_link_ends_with_its_window() {
    let day = 24 * 60;
    let on = |minute| alert("odd", minute, vec![device("lap7")]);
    assert_eq!(in_order(&[on(0), on(3 * day)]).len(), 1);
    assert_eq!(in_order(&[on(0), on(3 * day + 1)]).len(), 2);
    // A late alert between two incidents joins them.
    assert_eq!(same_in_any_order(&[on(0), on(4 * day), on(2 * day)], 10).len(), 1);
    // An address is lent, unless it was called hostile.
    let from = |host, minute| alert("scan", minute, vec![device(host), ip("203.0.113.7")]);
    assert_eq!(in_order(&[from("a1", 0), from("b1", 50)]).len(), 1);
    assert_eq!(in_order(&[from("a1", 0), from("b1", 90)]).len(), 2);
    let hostile = piece("ip", json!({"ipAddress": "203.0.113.7", "verdict": "malicious"}));
    let from = |host, minute| alert("scan", minute, vec![device(host), hostile.clone()]);
    assert_eq!(in_order(&[from("a1", 0), from("b1", 90)]).len(), 1);
    // An alert that claims to have lasted for years links like one of three days.
    let mut long = on(0);
    long.first = Timestamp::from_micros(i64::MIN);
    long.last = Timestamp::from_micros(i64::MAX);
    assert_eq!(in_order(&[long, on(0)]).len(), 2);
}

#[test]
fn two_devices_of_one_short_name_stay_apart() {
    let host = |name: &str| piece("device", json!({"deviceDnsName": name}));
    let stream = [
        alert("a", 0, vec![host("web1.alder.example")]),
        alert("b", 1, vec![host("web1.norrland.example")]),
    ];
    assert_eq!(same_in_any_order(&stream, 5).len(), 2);
}

#[test]
fn one_observation_told_in_two_halves_is_one_incident() {
    let who = || {
        let account = json!({"accountName": "svc", "domainName": "corp.alder.example", "userSid": "S-1-5-21-9-9-9-1"});
        piece("user", json!({"userAccount": account}))
    };
    let place = || piece("device", json!({"deviceDnsName": "dc1.corp.alder.example"}));
    let halves = [alert("key-read", 0, vec![who()]), alert("key-read", 1, vec![place()])];
    assert_eq!(same_in_any_order(&halves, 5).len(), 1);
    let later = [alert("key-read", 0, vec![who()]), alert("key-read", 2, vec![place()])];
    assert_eq!(in_order(&later).len(), 2);
    let unlike = [alert("key-read", 0, vec![who()]), alert("other", 0, vec![place()])];
    assert_eq!(in_order(&unlike).len(), 2);
    let two_places = [
        alert("key-read", 0, vec![place()]),
        alert(
            "key-read",
            0,
            vec![piece("device", json!({"deviceDnsName": "x.corp.alder.example"}))],
        ),
    ];
    assert_eq!(in_order(&two_places).len(), 2);
}

/// A value everybody shares, on many devices, each with its user and two alerts.
fn hub(shared: &Value, devices: usize) -> Vec<PendingAlert> {
    let mut stream = Vec::new();
    for number in 0..devices {
        let (host, name) = (format!("hub{number}"), format!("hub.user{number}"));
        for round in 0..2 {
            let minute = (number % 50) as i64 + round;
            let evidence = vec![device(&host), user(&name), shared.clone()];
            stream.push(alert(&format!("rule-{}", number % 7), minute, evidence));
        }
    }
    stream
}

fn hubs() -> Vec<(&'static str, Value)> {
    let system = json!({"userAccount": {"accountName": "SYSTEM", "userSid": "S-1-5-18"}});
    vec![
        ("loopback", ip("127.0.0.1")),
        ("SYSTEM", piece("user", system)),
        ("proxy", ip("198.51.100.80")),
        ("common program", file(&"ab".repeat(32), "C:\\Tools")),
        ("system program", file(&"cd".repeat(32), "C:\\Windows\\System32")),
        ("service account", user("svc-deploy")),
        ("portal", url("https://portal.alder.example/login")),
        ("domain controller", device("dc1")),
        ("server by its short name", piece("device", json!({"hostName": "dc2"}))),
    ]
}

#[test]
fn no_hub_merges_its_users() {
    for (what, shared) in hubs() {
        let groups = same_in_any_order(&hub(&shared, 300), 3);
        assert_eq!(groups.len(), 300, "{what}");
        assert!(groups.iter().all(|group| group.len() == 2), "{what}");
    }
    // Idle values do not link even two.
    for (what, shared) in hubs() {
        let linked = in_order(&hub(&shared, 2)).len() == 1;
        let idle = ["loopback", "SYSTEM", "system program"].contains(&what);
        assert_eq!(linked, !idle, "{what}");
    }
}

#[test]
fn a_domain_controller_alone_with_each_user_merges_no_users() {
    let mut stream = Vec::new();
    for number in 0..300_i64 {
        let (host, name) = (format!("ws{number}"), format!("user{number}"));
        stream.push(alert("logon", number * 7, vec![user(&name), device(&host)]));
        let rule = format!("ticket-{}", number % 30);
        stream.push(alert(&rule, number * 7 + 1, vec![user(&name), device("dc1")]));
    }
    let groups = same_in_any_order(&stream, 3);
    assert_eq!(groups.len(), 300);
}

#[test]
fn one_detection_about_many_known_people_on_a_shared_server_merges_no_people() {
    let known = |number: i64| {
        let sid = format!("S-1-5-21-7-7-7-{number}");
        let upn = format!("user{number}@alder.example");
        piece("user", json!({"userAccount": {"userPrincipalName": upn, "userSid": sid}}))
    };
    let mut stream = Vec::new();
    for number in 0..300_i64 {
        stream.push(alert("logon", number / 10, [known(number), device(&format!("ws{number}"))]));
        stream.push(alert("ticket", number / 10, [known(number), device("dc1")]));
    }
    assert_eq!(same_in_any_order(&stream, 3).len(), 300);
}

#[test]
fn a_regrouped_incident_keeps_its_largest_part() {
    let odd = |name: &str| alert("odd", 0, [device(name)]);
    let mut members = [odd("lap1"), odd("lap2"), odd("lap2"), odd("lap3")];
    for (place, member) in members.iter_mut().enumerate() {
        member.alert_id = place as i64 + 1;
    }
    let mut next = 70;
    let out = regroup(7, &members, &Stats::new(), &mut || {
        next += 1;
        next
    });
    let pieces: Vec<(i64, &[i64])> =
        out.pieces.iter().map(|piece| (piece.incident_id, piece.alerts.as_slice())).collect();
    assert_eq!(pieces, [(7, &[2, 3][..]), (71, &[1][..]), (72, &[4][..])]);
    let rows: BTreeSet<i64> = out.runs.iter().map(|run| run.incident_id).collect();
    assert_eq!(rows, BTreeSet::from([7, 71, 72]));
}

#[test]
fn a_storm_on_one_device_is_one_incident() {
    let stream: Vec<PendingAlert> = (0..2_000)
        .map(|number| alert(&format!("r{}", number % 9), number % 90, vec![device("srv1")]))
        .collect();
    assert_eq!(same_in_any_order(&stream, 2).len(), 1);
}

#[test]
fn guessing_passwords_of_ten_thousand_accounts_is_one_incident() {
    for with_upn in [false, true] {
        let stream: Vec<PendingAlert> = (0..10_000)
            .map(|number| {
                let name = format!("guess{number}");
                let bare = piece("user", json!({"userAccount": {"accountName": name}}));
                let account = if with_upn { user(&name) } else { bare };
                alert("brute-force", i64::from(number) / 100, vec![device("srv1"), account])
            })
            .collect();
        let groups = groups(&stream, &Dice(3).shuffled(stream.len()), 500);
        assert_eq!(groups.len(), 1, "upn {with_upn}");
    }
}

#[test]
fn one_alert_of_ten_thousand_entities_is_bounded_and_pulls_nobody_in() {
    let many = (0..10_000).map(|number| user(&format!("user{number}")));
    let bomb = alert("spray", 0, many.chain([device("srv1")]));
    assert!(bomb.mentions.len() <= entity::MAX_ENTITIES);
    let mut stream: Vec<PendingAlert> = (0..50)
        .map(|number| {
            alert("odd", 1, vec![user(&format!("user{number}")), device(&format!("ws{number}"))])
        })
        .collect();
    stream.push(bomb);
    stream.push(alert("logon", 5, vec![device("srv1")]));
    assert_eq!(same_in_any_order(&stream, 5).len(), 51);
}

#[test]
fn an_outbreak_of_a_hostile_file_stays_one_incident() {
    let mut sample = file(&"ef".repeat(32), "C:\\Users\\Public");
    sample["verdict"] = json!("malicious");
    assert_eq!(same_in_any_order(&hub(&sample, 200), 2).len(), 1);
}

#[test]
fn a_resolved_incident_never_gets_an_alert() {
    let mut world = World::default();
    world.receive(vec![alert("a", 0, vec![device("lap7")])]);
    let first = world.incident_of(1);
    world.heads.get_mut(&first).expect("stored").open = false;
    let outcome = world.receive(vec![alert("b", 5, vec![device("lap7")])]);
    assert_eq!(outcome.opened.len(), 1);
    assert_ne!(world.incident_of(2), first);
    // The third joins the open one.
    world.receive(vec![alert("c", 6, vec![device("lap7")])]);
    assert_eq!(world.incident_of(3), world.incident_of(2));
}

#[test]
fn incidents_merge_only_as_the_rules_allow() {
    type Change = dyn Fn(&mut IncidentHead, &mut IncidentHead);
    let prepare = |change: &Change| {
        let mut world = World::default();
        world.receive(vec![alert("a", 0, vec![device("lap7")])]);
        world.receive(vec![alert("b", 0, vec![user("m.lind"), device("lap9")])]);
        let (one, two) = (world.incident_of(1), world.incident_of(2));
        let mut first = world.heads[&one].clone();
        let mut second = world.heads[&two].clone();
        change(&mut first, &mut second);
        world.heads.insert(one, first);
        world.heads.insert(two, second);
        let link = alert("c", 3, vec![user("m.lind"), device("lap7")]);
        let outcome = world.receive(vec![link]);
        (outcome.merged, world.incident_of(3), one, two)
    };
    let (merged, joined, one, two) = prepare(&|_, _| {});
    assert_eq!((merged.len(), joined), (1, one), "the older stays");
    assert_eq!((merged[0].source, merged[0].target, merged[0].alert_id), (two, one, 3));
    let (merged, joined, one, two) = prepare(&|_, second| second.claimed = true);
    assert_eq!((merged.len(), joined), (1, two), "the claimed stays");
    assert_eq!((merged[0].source, merged[0].target), (one, two));
    let kept_apart: [&Change; 5] = [
        &|first, second| {
            first.owner = Some("o.berg".to_owned());
            second.owner = Some("k.holm".to_owned());
        },
        &|first, second| (first.classification, second.classification) = (1, 2),
        &|first, second| (first.determination, second.determination) = (1, 2),
        &|first, _| first.entities = MERGE_ENTITIES,
        &|_, second| second.pinned = true,
    ];
    for change in kept_apart {
        let (merged, joined, one, two) = prepare(change);
        assert!(merged.is_empty());
        assert!(joined == one || joined == two);
    }
    let (merged, joined, _, two) = prepare(&|first, _| first.open = false);
    assert_eq!((merged.len(), joined), (0, two), "the closed is no choice");
}

#[test]
fn a_placement_says_why() {
    let mut world = World::default();
    world.receive(vec![alert("a", 0, vec![device("lap7"), user("m.lind")])]);
    let outcome = world.receive(vec![alert("b", 0, vec![device("lap7"), user("m.lind")])]);
    let links = &outcome.placements[0].links;
    assert!(links.iter().all(|link| link.with_alert == 1 && link.weight > 0));
    assert!(links.is_sorted_by_key(|link| Reverse(link.weight)));
    assert!(links.len() >= 3, "device, its name, the account");
}

#[test]
fn weight_falls_with_commonness() {
    let mut world = World::default();
    let mut last = u16::MAX;
    for number in 0..40 {
        let host = device(&format!("ws{number}"));
        let outcome = world.receive(vec![alert("a", 0, vec![host, user("svc")])]);
        let links = &outcome.placements[0].links;
        match links.first() {
            Some(link) => {
                assert!(link.weight < last, "{number}");
                last = link.weight;
            }
            None => assert!(number == 0 || number >= 32, "{number}"),
        }
    }
    assert_eq!(world.incidents(), 40, "taken apart once the account was common");
}

#[test]
fn work_in_progress_is_not_taken_apart() {
    let mut world = World::default();
    for number in 0..32 {
        let host = device(&format!("ws{number}"));
        world.receive(vec![alert("a", 0, vec![host, user("svc")])]);
    }
    let incident = world.incident_of(1);
    world.heads.get_mut(&incident).expect("stored").claimed = true;
    let outcome = world.receive(vec![alert("a", 0, vec![device("ws99"), user("svc")])]);
    assert_eq!((outcome.became_common.len(), outcome.regroup.len()), (1, 0));
    assert_eq!(world.members[&incident].len(), 32);
}

#[test]
fn runs_after_a_move_are_those_of_the_alerts() {
    let mut alerts = [0, 10, 6 * 1440].map(|minute| alert("a", minute, vec![device("lap7")]));
    for (place, alert) in alerts.iter_mut().enumerate() {
        alert.alert_id = place as i64 + 1;
    }
    let runs = runs_of(7, &alerts.iter().collect::<Vec<_>>(), &Stats::new());
    assert!(runs.iter().all(|run| run.incident_id == 7 && [1, 3].contains(&run.opened_by)));
    let of_repeat: Vec<u32> = runs.iter().map(|run| run.alerts).collect();
    assert_eq!(of_repeat.iter().filter(|count| **count == 2).count(), of_repeat.len() / 2);
}

/// Random alerts over few things, with values that become common while they arrive.
fn random_stream(seed: u64, count: usize) -> Vec<PendingAlert> {
    let mut dice = Dice(seed);
    // From a few hours to a month, so that some streams are dense enough for commonness.
    let minutes = [300, 3 * 1440, 9 * 1440, 30 * 1440][dice.below(4)];
    let addresses = ["203.0.113.1", "203.0.113.2", "127.0.0.1"];
    let stream = (0..count).map(|_| {
        let mut evidence = Vec::new();
        if dice.below(4) > 0 {
            let host = dice.below(60);
            evidence.push(match dice.below(3) {
                0 => piece("device", json!({"hostName": format!("ws{host}")})),
                _ => device(&format!("ws{host}")),
            });
        }
        if dice.below(3) > 0 {
            evidence.push(user(&format!("user{}", dice.below(40))));
        }
        if dice.below(5) == 0 {
            evidence.push(ip(addresses[dice.below(3)]));
        }
        if dice.below(6) == 0 {
            evidence.push(user("svc"));
        }
        let minute = dice.below(minutes) as i64;
        let mut alert = alert(&format!("r{}", dice.below(5)), minute, evidence);
        alert.last = at(minute + dice.below(600) as i64);
        alert
    });
    stream.collect()
}

#[test]
fn the_same_alerts_in_any_order_and_batching_give_the_same_incidents() {
    let mut common = 0;
    for seed in 1..=60 {
        let stream = random_stream(seed, 40 + 10 * seed as usize);
        same_in_any_order(&stream, 4);
        let mut world = World::default();
        common += world.receive(stream).became_common.len();
    }
    println!("{common} entities became common");
    assert!(common > 20, "the streams do not test commonness");
}

type Labelled = (Vec<PendingAlert>, Vec<i64>);

/// The labelled alerts and their incidents; `None` when the data is not there.
fn labelled() -> Option<Labelled> {
    // Of the checkout that runs, which need not be the one that was compiled.
    let root = std::env::var("CARGO_MANIFEST_DIR").ok()?;
    let folder = format!("{root}/../../../shared/data/correlation");
    let lines = |name: &str| -> Option<Vec<Value>> {
        let text = std::fs::read_to_string(format!("{folder}/{name}")).ok()?;
        Some(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    };
    let incidents: HashMap<String, i64> = lines("alert_to_incident.ndjson")?
        .iter()
        .filter_map(|row| {
            Some((row["SystemAlertId"].as_str()?.to_owned(), row["IncidentNumber"].as_i64()?))
        })
        .collect();
    let mut out = Labelled::default();
    for row in lines("sentinel_alerts.ndjson")? {
        let reading = crate::alert::format::sentinel::read(&row).expect("the record is readable");
        let crate::alert::format::Reading::Alerts(alerts) = reading else { continue };
        for alert in alerts {
            let when = |member: &str| moment(alert.body.get(member)?.as_str()?);
            let first = when("firstActivityDateTime").expect("a first activity");
            out.0.push(PendingAlert {
                alert_id: 0,
                first,
                last: when("lastActivityDateTime").unwrap_or(first),
                mentions: mentions(&entities(&alert.body).list),
            });
            out.1.push(incidents[row["SystemAlertId"].as_str().unwrap_or_default()]);
        }
    }
    Some(out)
}

/// `2024-06-20T09:10:44…` to the second.
fn moment(text: &str) -> Option<Timestamp> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<u32>().ok();
    let date = (i64::from(number(0, 4)?), number(5, 7)?, number(8, 10)?);
    Timestamp::from_civil(date, (number(11, 13)?, number(14, 16)?, number(17, 19)?), 0)
}

/// Pairwise precision and recall of groups against labels; places beyond the labels are left out.
fn score(groups: &BTreeSet<BTreeSet<usize>>, labels: &[i64]) -> (f64, f64) {
    let mut group_of = vec![0; labels.len()];
    for (number, group) in groups.iter().enumerate() {
        for place in group.iter().filter(|place| **place < labels.len()) {
            group_of[*place] = number;
        }
    }
    let (mut both, mut found, mut wanted) = (0_u32, 0_u32, 0_u32);
    for one in 0..labels.len() {
        for two in one + 1..labels.len() {
            let (same, right) = (group_of[one] == group_of[two], labels[one] == labels[two]);
            both += u32::from(same && right);
            found += u32::from(same);
            wanted += u32::from(right);
        }
    }
    (f64::from(both) / f64::from(found.max(1)), f64::from(both) / f64::from(wanted.max(1)))
}

#[test]
fn known_incidents_are_found() {
    let Some((stream, labels)) = labelled() else { return };
    let groups = same_in_any_order(&stream, 20);
    let (precision, recall) = score(&groups, &labels);
    println!(
        "{} alerts, {} incidents: precision {precision:.4}, recall {recall:.4}",
        stream.len(),
        groups.len()
    );
    for group in &groups {
        let mut known: BTreeMap<i64, usize> = BTreeMap::new();
        for place in group {
            *known.entry(labels[*place]).or_default() += 1;
        }
        println!("  {known:?}");
    }
    assert!(precision >= 0.99 && recall >= 0.99);
}

#[test]
fn known_incidents_are_found_among_hubs_and_a_storm() {
    let Some((known, labels)) = labelled() else { return };
    for (what, shared) in hubs() {
        // The noise falls into the days of the known alerts.
        let mut stream = known.clone();
        let mut noise = hub(&shared, 100);
        noise.extend((0..500).map(|_| alert("storm", 3, vec![device("srv1"), user("m.lind")])));
        for (place, mut alert) in noise.into_iter().enumerate() {
            let day = known[place % known.len()].first;
            alert.last = day.plus_micros(alert.last.micros() - alert.first.micros());
            alert.first = day;
            stream.push(alert);
        }
        let groups = same_in_any_order(&stream, 2);
        let (precision, recall) = score(&groups, &labels);
        assert!(precision >= 0.99 && recall >= 0.99, "{what}: {precision} {recall}");
    }
}

#[test]
fn timing() {
    let time = |what: &str, stream: Vec<PendingAlert>| {
        let count = stream.len();
        let mut world = World::default();
        let begin = Instant::now();
        for batch in stream.chunks(500) {
            world.receive(batch.to_vec());
        }
        let each = begin.elapsed().as_micros() as f64 / count as f64;
        let rows = world.rows as f64 / count as f64;
        println!(
            "{what}: {count} alerts, {} incidents, {each:.1} us and {rows:.2} run and stat rows an alert",
            world.incidents()
        );
    };
    let body = json!({"title": "odd", "detectorId": "odd", "evidence": [device("lap7"),
        user("m.lind"), ip("203.0.113.7"), file(&"ab".repeat(32), "C:\\Tools")]});
    let body = body.as_object().cloned().unwrap_or_default();
    let begin = Instant::now();
    for _ in 0..10_000 {
        assert!(mentions(&entities(&body).list).len() > 4);
    }
    println!("entities: {:.1} us an alert", begin.elapsed().as_micros() as f64 / 10_000.0);
    let storm = alert("storm", 0, vec![device("srv1"), user("m.lind"), ip("203.0.113.7")]);
    time("storm", vec![storm; 100_000]);
    let mixed = (0..100_000_i64).map(|number| {
        let host = number * 7919 % 5_000;
        let minute = number / 5;
        let evidence = vec![
            device(&format!("ws{host}")),
            user(&format!("user{host}")),
            ip("198.51.100.80"),
            file(&"ab".repeat(32), "C:\\Tools"),
            user("svc-deploy"),
        ];
        alert(&format!("r{}", number % 50), minute, evidence)
    });
    time("mixed", mixed.collect());
    time("hub", hub(&user("svc-deploy"), 10_000));
    let guesses = (0..100_000_i64).map(|number| {
        alert("brute-force", number / 500, [device("srv1"), user(&format!("guess{number}"))])
    });
    time("guesses", guesses.collect());
    let strangers = (0..20_000_i64).map(|number| {
        let name = format!("ws{number}");
        alert(
            "odd",
            number / 10,
            [device(&name), user(&name), ip(&format!("10.0.{}.{}", number / 250, number % 250))],
        )
    });
    time("strangers", strangers.collect());
}
