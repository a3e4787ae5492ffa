//! Exclusions by what a customer's directory says: groups of users and users of high value (EXC-1,
//! EXC-3, INV-1), against the groups and roles of the stand-in for Microsoft Graph.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use riposte::connector::Lines;
use riposte::coverage::{self, Authority, Deed, Thing};
use riposte::directory;
use riposte::permission::Role;
use riposte::response::catalog::Kind;
use serde_json::{Value, json};

use crate::connector::{KARI, Scene, Vendor, scene};
use crate::world::alert;

const OLA: &str = "ola@alder.example";

/// What is in a group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Member {
    /// A user, with the name it has on premises.
    User(String, Option<String>),
    /// Another group.
    Group(String),
    /// A device.
    Device(String),
}

/// How the stand-in answers one question for a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Odd {
    /// With this status.
    Status(u16),
    /// With no JSON.
    Page,
    /// With JSON that is no list.
    NoList,
    /// With a next page at another host.
    Elsewhere(String),
    /// With a next page that is none.
    Number,
    /// With a next page that is this one, for ever.
    Endless,
    /// With a member of a name that never ends.
    Huge,
    /// With a member whose name our client may not read.
    Nameless,
    /// With two megabytes.
    Long,
}

#[derive(Clone, Default)]
struct Group {
    name: String,
    hidden: bool,
    members: Vec<Member>,
}

/// Groups and roles.
#[derive(Default)]
pub struct Directory {
    groups: BTreeMap<String, Group>,
    roles: BTreeMap<String, Vec<Member>>,
    /// How the next pages of members are answered.
    odd: VecDeque<Option<Odd>>,
    /// It always answers so.
    always: Option<Odd>,
    /// The paths asked for.
    asked: Vec<String>,
}

fn user(name: &str) -> Member {
    Member::User(name.to_owned(), None)
}

impl Directory {
    /// A group called as its id, with these users and nobody else.
    pub fn group(&mut self, id: &str, users: &[&str]) {
        let members = users.iter().map(|name| user(name)).collect();
        let group = Group { name: format!("The {id}"), hidden: false, members };
        self.groups.insert(id.to_owned(), group);
    }

    fn add(&mut self, group: &str, member: Member) {
        self.groups.entry(group.to_owned()).or_default().members.push(member);
    }

    /// All members of a group, those of groups inside it as well, each once.
    fn transitive(&self, id: &str, seen: &mut BTreeSet<String>) -> Vec<Member> {
        if !seen.insert(id.to_owned()) {
            return Vec::new();
        }
        let mut found = Vec::new();
        for member in self.groups.get(id).map(|it| it.members.clone()).unwrap_or_default() {
            if let Member::Group(inner) = &member {
                found.extend(self.transitive(inner, seen));
            }
            found.push(member);
        }
        found
    }

    pub fn answer(&mut self, base: &str, uri: &Uri) -> Response {
        self.asked.push(uri.to_string());
        let (path, full) = (uri.path().to_owned(), format!("{base}{uri}"));
        let url = openidconnect::url::Url::parse(&full).expect("an address");
        let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        let parts: Vec<&str> = path.trim_start_matches("/v1.0/").split('/').collect();
        let shown = |(id, it): (&String, &Group)| {
            json!({
                "id": id, "displayName": it.name, "onPremisesSyncEnabled": null,
                "visibility": it.hidden.then_some("HiddenMembership"),
            })
        };
        match parts.as_slice() {
            ["groups"] => {
                let filter = query.get("$filter").cloned().unwrap_or_default();
                assert!(filter.starts_with("securityEnabled eq true"), "{filter}");
                let begins = filter.split_once("startswith(displayName,'").map_or("", |it| it.1);
                let begins = begins.trim_end_matches("')").replace("''", "'").to_lowercase();
                let found = self.groups.iter();
                let found = found.filter(|(_, it)| it.name.to_lowercase().starts_with(&begins));
                axum::Json(json!({ "value": found.map(shown).collect::<Vec<_>>() })).into_response()
            }
            ["groups", id] => match self.groups.get_key_value(*id) {
                Some(found) => axum::Json(shown(found)).into_response(),
                None => StatusCode::NOT_FOUND.into_response(),
            },
            ["groups", id, "transitiveMembers"] => {
                if !self.groups.contains_key(*id) {
                    return StatusCode::NOT_FOUND.into_response();
                }
                let all = self.transitive(id, &mut BTreeSet::new());
                self.list(&full, &query, &all)
            }
            ["directoryRoles"] => {
                let roles: Vec<Value> = self.roles.keys().map(|id| json!({ "id": id })).collect();
                axum::Json(json!({ "value": roles })).into_response()
            }
            ["directoryRoles", id, "members"] => {
                let members = self.roles.get(*id).cloned().unwrap_or_default();
                self.list(&full, &query, &members)
            }
            _ => axum::Json(json!({ "value": [] })).into_response(),
        }
    }

    fn list(&mut self, at: &str, query: &BTreeMap<String, String>, all: &[Member]) -> Response {
        let odd = self.always.clone().or_else(|| self.odd.pop_front().flatten());
        let top: usize = query.get("$top").map_or(100, |it| it.parse().expect("a number"));
        let skip: usize = query.get("$skiptoken").map_or(0, |it| it.parse().expect("a number"));
        let mut value: Vec<Value> = all
            .iter()
            .skip(skip)
            .take(top)
            .map(|member| match member {
                Member::User(name, sam) => json!({
                    "@odata.type": "#microsoft.graph.user", "userPrincipalName": name,
                    "id": name.replace(|c: char| !c.is_ascii_alphanumeric(), "-"),
                    "onPremisesSamAccountName": sam,
                }),
                Member::Group(id) => json!({ "@odata.type": "#microsoft.graph.group", "id": id }),
                Member::Device(id) => json!({ "@odata.type": "#microsoft.graph.device", "id": id }),
            })
            .collect();
        let bare = at.split("&$skiptoken").next().unwrap_or_default();
        let next = format!("{bare}&$skiptoken={}", skip + top);
        let mut next = if all.len() > skip + top { json!(next) } else { Value::Null };
        match odd {
            None => {}
            Some(Odd::Status(code)) => {
                return StatusCode::from_u16(code).expect("a status").into_response();
            }
            Some(Odd::Page) => return "<html>Welcome</html>".into_response(),
            Some(Odd::NoList) => return axum::Json(json!({ "value": "all" })).into_response(),
            Some(Odd::Long) => return vec![b' '; 2 << 20].into_response(),
            Some(Odd::Elsewhere(host)) => next = json!(format!("{host}/v1.0/groups/x")),
            Some(Odd::Number) => next = json!(7),
            Some(Odd::Endless) => next = json!(at),
            Some(Odd::Huge) => value.push(json!({ "id": "x", "userPrincipalName": "x".repeat(9_000) })),
            Some(Odd::Nameless) => value.push(
                json!({ "@odata.type": "#microsoft.graph.user", "id": "x", "userPrincipalName": null }),
            ),
        }
        axum::Json(json!({ "value": value, "@odata.nextLink": next })).into_response()
    }
}

impl Scene {
    fn directory<T>(&self, look: impl FnOnce(&mut Directory) -> T) -> T {
        self.vendor.with(|it| look(&mut it.directory))
    }

    async fn read(&self) {
        directory::tick(&self.case.face.world.app, &self.lines).await.expect("a reading");
    }

    /// Excludes a group; gives the exclusion's id.
    async fn exclude(&self, group: &str) -> String {
        let wanted = json!({ "kind": "userGroup", "groupId": group, "because": "They lift." });
        let made = self.case.ida.post("/api/v1/exclusions", &wanted).await.expect(201).json();
        made["id"].as_str().expect("an id").to_owned()
    }

    async fn exclusions(&self) -> Value {
        self.case.ida.get("/api/v1/exclusions").await.expect(200).json()
    }

    /// What is known of the cranes: why it is not, why the last try failed, and how many they are. Without
    /// a session, which would end while the time is turned.
    async fn known(&self) -> (Option<String>, Option<String>, i64) {
        let world = &self.case.face.world;
        let all = coverage::readings(&world.app, world.tenant.no).await.expect("readings");
        let found = all.into_iter().find(|(set, _)| set.id == "cranes");
        let (set, doubt) = found.expect("the cranes");
        (doubt, set.error, set.members)
    }

    /// Why experts leave a user alone.
    async fn why(&self, user: &str) -> Option<String> {
        let world = &self.case.face.world;
        coverage::why_user_excluded(&world.app, world.tenant.no, user).await.expect("an answer")
    }

    /// An expert's wish for a user; the reason where it is refused.
    async fn wish(&self, kind: &str, user: &str) -> Result<(), String> {
        let incident = self.case.incident.parse().expect("an id");
        let refused = self.run(incident, kind, user).await.err().map(|error| error.to_string());
        // It begins with the task's name.
        let why = |text: String| text.split_once(": ").map_or(text.clone(), |it| it.1.to_owned());
        refused.map_or(Ok(()), |text| Err(why(text)))
    }
}

const LEFT: &str = "a member of the user group The cranes is excluded";
const NEVER: &str = "the user group The cranes is excluded, and who is in it is not known, so \
                     experts act on no user: it was never read";

#[tokio::test]
async fn a_member_of_an_excluded_group_is_left_alone_whichever_way_it_is_one() {
    let scene = scene("operator").await;
    for name in [OLA, "last@alder.example"] {
        scene.vendor.add(name);
    }
    scene.directory(|it| {
        it.group("cranes", &[]);
        it.group("crew", &[KARI]);
        it.add("cranes", Member::Group("crew".to_owned()));
        // Groups may be in each other.
        it.add("crew", Member::Group("cranes".to_owned()));
        it.add("cranes", Member::Device("laptop".to_owned()));
        for number in 0..2_100 {
            it.add("cranes", user(&format!("u{number}@alder.example")));
        }
        let last = "Last@alder.example".to_owned();
        it.add("cranes", Member::User(last, Some("LNORD".to_owned())));
    });
    let found = scene.case.ida.get("/api/v1/exclusions/user-groups?search=the%20CR").await;
    let found = found.expect(200).json();
    let ids: Vec<&str> = found["value"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|it| it["id"].as_str())
        .collect();
    assert_eq!(ids, ["cranes", "crew"], "{found}");
    let none = scene.case.ida.get("/api/v1/exclusions/user-groups?search=O%27x").await;
    assert_eq!(none.expect(200).json(), json!({ "value": [] }));
    scene.exclude("cranes").await;
    assert_eq!(scene.wish("disableUser", OLA).await, Err(NEVER.to_owned()), "before it was read");

    scene.read().await;
    let shown = scene.exclusions().await;
    let group = &shown["userGroups"][0];
    assert_eq!((&group["name"], &group["groupId"]), (&json!("The cranes"), &json!("cranes")));
    assert_eq!(group["reading"]["members"], 2_102, "{shown}");
    assert_eq!(group["reading"]["because"], Value::Null, "{shown}");
    let way = scene.case.ida.get("/api/v1/connectors").await.expect(200).json();
    assert!(way["value"][0]["lastOkDateTime"].is_string(), "its connector works: {way}");
    // By every name a user goes by, and one without a domain may be anybody's.
    for name in [KARI, "Kari@Alder.example", "kari", "ALDER\\Kari", "last@alder.example", "lnord"] {
        assert_eq!(scene.why(name).await.as_deref(), Some(LEFT), "{name}");
    }
    for name in ["u2099@alder.example", "alder\\lnord", "lnord@alder.local"] {
        assert_eq!(scene.why(name).await.as_deref(), Some(LEFT), "{name}");
    }
    for name in [OLA, "ola", "kari@birk.example", "root"] {
        assert_eq!(scene.why(name).await, None, "{name}");
    }
    assert_eq!(scene.wish("disableUser", KARI).await, Err(LEFT.to_owned()));
    assert_eq!(scene.wish("disableUser", "last@alder.example").await, Err(LEFT.to_owned()));
    scene.act("disableUser", OLA).await;
    assert_eq!(scene.settle(OLA).await, "succeeded");
    // The customer's own people are not held back.
    let task = scene.draft("disableUser", KARI).await;
    scene.case.publish().await;
    let left = scene.case.task(&task).await;
    assert_eq!(left["guidedBecause"], LEFT, "{left}");
    scene.case.step(&task, "run", &json!({})).await.expect(200);
    scene.tick().await;
    assert_eq!(scene.vendor.effects(KARI), ["disable"]);

    // Taken back: nothing of it is kept.
    let id = group["id"].as_str().expect("an id");
    scene.case.ida.delete(&format!("/api/v1/exclusions/{id}")).await.expect(204);
    assert_eq!(scene.why(KARI).await, None);
    let kept = "select count(*) from directory_member where set_id = 'cranes'";
    assert_eq!(scene.case.face.world.rows(kept).await, [0]);
    let log = scene.case.ida.get("/api/v1/audit?top=1000").await.expect(200).text;
    assert!(log.contains("exclusion.changed") && log.contains("The cranes"), "{log}");
}

#[tokio::test]
async fn who_joins_between_approval_and_sending_is_left_alone_once_that_is_read() {
    let scene = scene("operator").await;
    scene.directory(|it| it.group("cranes", &[OLA]));
    scene.exclude("cranes").await;
    scene.read().await;
    scene.act("disableUser", KARI).await;
    scene.directory(|it| it.group("cranes", &[OLA, KARI]));
    scene.later(299);
    let asked = scene.directory(|it| it.asked.len());
    scene.read().await;
    assert_eq!(scene.directory(|it| it.asked.len()), asked, "not before its time");
    scene.later(1);
    scene.read().await;
    scene.tick().await;
    assert_eq!(scene.state(KARI).await, ("failed".into(), LEFT.into()));
    assert!(scene.vendor.effects(KARI).is_empty());
    // Who leaves it is not left alone any more.
    scene.directory(|it| it.group("cranes", &[KARI]));
    scene.later(300);
    scene.read().await;
    assert_eq!((scene.why(OLA).await, scene.why(KARI).await), (None, Some(LEFT.to_owned())));
}

#[tokio::test]
async fn what_was_read_more_than_an_hour_ago_says_nothing_of_anybody() {
    let scene = scene("operator").await;
    scene.directory(|it| it.group("cranes", &[OLA]));
    scene.exclude("cranes").await;
    scene.read().await;
    scene.directory(|it| it.always = Some(Odd::Status(500)));
    scene.later(3_599);
    scene.read().await;
    assert_eq!(scene.why(KARI).await, None);
    let error = "Microsoft Graph answered 500".to_owned();
    assert_eq!(scene.known().await, (None, Some(error), 1));
    scene.act("disableUser", KARI).await;
    scene.later(1);
    let because = "the user group The cranes is excluded, and who is in it is not known, so \
                   experts act on no user: it was last read more than an hour ago: Microsoft Graph \
                   answered 500";
    scene.tick().await;
    assert_eq!(scene.state(KARI).await, ("failed".into(), because.into()));
    assert_eq!(scene.wish("requireSignIn", KARI).await, Err(because.to_owned()));
    assert_eq!(scene.why(OLA).await.as_deref(), Some(LEFT), "what is known stays so");
    // Devices and what is no user are not concerned.
    let world = &scene.case.face.world;
    let device = riposte::asset::find_named(&world.app, world.tenant.no, "h1").await;
    if let Some(device) = device.expect("a look") {
        assert_eq!(coverage::why_excluded(&world.app, &device).await.expect("a look"), None);
    }
    scene.directory(|it| it.always = None);
    scene.later(60);
    scene.read().await;
    scene.act("disableUser", KARI).await;
    assert_eq!(scene.settle(KARI).await, "succeeded");
}

#[tokio::test]
async fn without_its_connector_an_exclusion_holds_for_everybody() {
    let mut scene = scene("operator").await;
    scene.directory(|it| {
        it.group("cranes", &[OLA]);
        it.group("secret", &[OLA]);
        it.groups.get_mut("secret").expect("a group").hidden = true;
    });
    let ida = &scene.case.ida;
    for (id, status) in [("nobody", 409), ("../users", 400), ("secret", 400)] {
        let wanted = json!({ "kind": "userGroup", "groupId": id });
        ida.post("/api/v1/exclusions", &wanted).await.expect(status);
    }
    for bad in [json!({ "kind": "userGroup", "name": "The cranes" }), json!({ "kind": "user" })] {
        ida.post("/api/v1/exclusions", &bad).await.expect(400);
    }
    scene.exclude("cranes").await;
    scene.exclude("cranes").await;
    scene.read().await;
    assert_eq!(scene.why(KARI).await, None);
    // What begins to hide its members is not held to have none.
    scene.directory(|it| it.groups.get_mut("cranes").expect("a group").hidden = true);
    scene.later(300);
    scene.read().await;
    let hides = Some("the group hides its members".to_owned());
    assert_eq!(scene.known().await, (None, hides, 1));
    // Her factor is an old one by now.
    let tenant = &scene.case.face.world.tenant.id;
    let eva = "eva@alder.example";
    let ida = &scene.case.face.person(tenant, eva, Role::SecurityAdministrator).await;
    ida.delete(&format!("/api/v1/connectors/{}", scene.connector)).await.expect(204);
    scene.read().await;
    let gone = "the user group The cranes is excluded, and who is in it is not known, so experts \
                act on no user: no directory is connected any more: connect Microsoft Graph";
    assert_eq!(scene.why(KARI).await.as_deref(), Some(gone));
    let shown = scene.exclusions().await;
    assert_eq!(shown["userGroups"].as_array().map(Vec::len), Some(1), "{shown}");
    assert!(!shown["userGroups"][0]["reading"]["because"].is_null(), "{shown}");
    for what in ["userGroups", "highValueUsers"] {
        let may = &shown["may"][what];
        assert_eq!(may["allowed"], false, "{shown}");
        assert!(may["because"].as_str().expect("why").contains("connect Microsoft Graph"), "{may}");
    }
    ida.get("/api/v1/exclusions/user-groups").await.expect(409);
    let group = json!({ "kind": "userGroup", "groupId": "crew" });
    let refused = ida.post("/api/v1/exclusions", &group).await.expect(409);
    assert!(refused.text.contains("connect Microsoft Graph"), "{}", refused.text);
    let both = json!({ "devices": false, "users": true });
    ida.put("/api/v1/exclusions/high-value", &both).await.expect(409);

    // Another directory has to say it anew: what the one before said counts no more.
    scene.vendor = Vendor::start(&scene.case.face.world.app.clock).await;
    scene.lines = Lines::default();
    ida.post("/api/v1/connectors", &scene.vendor.wanted()).await.expect(201);
    let because = scene.why(KARI).await.expect("a reason");
    assert!(because.contains("it was not read yet through Alder directory"), "{because}");
    scene.later(300);
    scene.read().await;
    let because = scene.why(KARI).await.expect("a reason");
    assert!(because.contains("there is no such group (404)"), "{because}");
    scene.directory(|it| it.group("cranes", &[KARI]));
    scene.later(60);
    scene.read().await;
    assert_eq!((scene.why(OLA).await, scene.why(KARI).await), (None, Some(LEFT.to_owned())));
}

#[tokio::test]
async fn a_directory_speaks_for_its_own_customer_only() {
    let scene = scene("operator").await;
    scene.directory(|it| it.group("cranes", &[OLA]));
    let world = &scene.case.face.world;
    let admin = scene
        .case
        .face
        .person(&world.other.id, "a@birk.example", Role::SecurityAdministrator)
        .await;
    let theirs = Vendor::start(&world.app.clock).await;
    theirs.with(|it| it.directory.group("cranes", &[KARI]));
    admin.post("/api/v1/connectors", &theirs.wanted()).await.expect(201);
    let wanted = json!({ "kind": "userGroup", "groupId": "cranes" });
    admin.post("/api/v1/exclusions", &wanted).await.expect(201);
    assert_eq!(scene.why(KARI).await, None, "theirs was never read, ours is not excluded");
    scene.exclude("cranes").await;
    scene.read().await;
    assert_eq!((scene.why(OLA).await, scene.why(KARI).await), (Some(LEFT.to_owned()), None));
    let why = async |user: &str| {
        coverage::why_user_excluded(&world.app, world.other.no, user).await.expect("an answer")
    };
    assert_eq!((why(OLA).await, why(KARI).await), (None, Some(LEFT.to_owned())));
    // Taken back here, it stands there.
    let shown = scene.exclusions().await;
    let id = shown["userGroups"][0]["id"].as_str().expect("an id").to_owned();
    scene.case.ida.delete(&format!("/api/v1/exclusions/{id}")).await.expect(204);
    assert_eq!(why(KARI).await.as_deref(), Some(LEFT));
}

#[tokio::test]
async fn whatever_a_directory_answers_nothing_that_was_read_is_lost() {
    let scene = scene("operator").await;
    let clock = &scene.case.face.world.app.clock;
    let trap = Vendor::start(clock).await;
    scene.directory(|it| it.group("cranes", &[OLA]));
    scene.exclude("cranes").await;
    let unreadable = "Microsoft Graph answers what cannot be read";
    let away = "Microsoft Graph leads on to another address";
    let silent = "Microsoft Graph does not answer";
    let port = scene.vendor.url.rsplit_once(':').expect("a port").1.to_owned();
    for (odd, because) in [
        (Odd::Page, unreadable),
        (Odd::NoList, unreadable),
        (Odd::Number, unreadable),
        (Odd::Huge, unreadable),
        (Odd::Long, silent),
        (Odd::Elsewhere(trap.url.clone()), away),
        (Odd::Elsewhere(format!("{}@127.0.0.1:{port}", scene.vendor.url)), away),
        (Odd::Elsewhere(format!("{}.evil.example", scene.vendor.url)), away),
        (Odd::Elsewhere(format!("{}/..", scene.vendor.url)), away),
        (Odd::Endless, "the list of members does not come to an end"),
        (
            Odd::Nameless,
            "Microsoft Graph does not tell who the members are: our client may not read users there",
        ),
        (Odd::Status(403), "Microsoft Graph does not tell: our client may not do that there (403)"),
        (Odd::Status(429), "Microsoft Graph has too much to do"),
        (Odd::Status(503), "Microsoft Graph answered 503"),
        (Odd::Status(302), "Microsoft Graph answered 302"),
    ] {
        scene.directory(|it| it.group("cranes", &[OLA]));
        scene.later(301);
        scene.read().await;
        assert_eq!(scene.why(OLA).await.as_deref(), Some(LEFT), "{odd:?}");
        // Another member now, so that a reading that half succeeded would show.
        scene.directory(|it| {
            it.group("cranes", &[KARI]);
            it.always = Some(odd.clone());
            it.asked.clear();
        });
        scene.later(301);
        scene.read().await;
        scene.directory(|it| it.always = None);
        assert_eq!(scene.known().await, (None, Some(because.to_owned()), 1), "{odd:?}");
        assert!(scene.directory(|it| it.asked.len()) < 500, "{odd:?}");
        let (of_ola, of_kari) = (scene.why(OLA).await, scene.why(KARI).await);
        assert_eq!((of_ola.as_deref(), of_kari), (Some(LEFT), None), "{odd:?}");
    }
    assert_eq!(trap.with(|it| it.requests), 0, "our token was shown to nobody else");
    // The first page is good and the second is not: neither counts.
    scene.directory(|it| {
        it.group("cranes", &[KARI]);
        for number in 0..1_500 {
            it.add("cranes", user(&format!("u{number}@alder.example")));
        }
        it.odd.extend([None, Some(Odd::Status(500))]);
    });
    scene.later(61);
    scene.read().await;
    let kept = "select count(*) from directory_member where set_id = 'cranes'";
    assert_eq!(scene.case.face.world.rows(kept).await, [1]);
    scene.later(61);
    scene.read().await;
    assert_eq!(scene.case.face.world.rows(kept).await, [1_501]);
    assert_eq!((scene.why(OLA).await, scene.why(KARI).await), (None, Some(LEFT.to_owned())));
}

#[tokio::test]
async fn two_processes_read_a_directory_once() {
    let scene = scene("operator").await;
    scene.directory(|it| it.group("cranes", &[OLA]));
    scene.exclude("cranes").await;
    let replica = scene.case.face.world.replica();
    let lines = Lines::default();
    let app = &scene.case.face.world.app;
    let (one, two) =
        tokio::join!(directory::tick(app, &scene.lines), directory::tick(&replica, &lines));
    one.and(two).expect("readings");
    let of_group = |it: &mut Directory| {
        it.asked.iter().filter(|path| path.contains("transitiveMembers")).count()
    };
    assert_eq!(scene.directory(of_group), 1);
    assert_eq!(scene.why(OLA).await.as_deref(), Some(LEFT));
}

#[tokio::test]
async fn users_of_high_value_are_those_marked_and_those_who_hold_a_role() {
    let scene = scene("operator").await;
    scene.directory(|it| {
        let lender = Member::Group("admins".to_owned());
        it.roles.insert("reader".to_owned(), vec![user("ada@alder.example")]);
        it.roles.insert("global".to_owned(), vec![lender]);
        it.group("admins", &["bo@alder.example"]);
    });
    scene.vendor.add(OLA);
    let world = &scene.case.face.world;
    let ida = &scene.case.ida;
    let path = format!("/api/v1/users/{}/{KARI}", world.tenant.id);
    let valued = async |user: &str| {
        let tx = world.app.db.of(world.tenant.no).snapshot().await.expect("a look");
        let thing = Thing { user: Some(user), ..Thing::default() };
        let deed = (Deed::new(Kind::DisableUser, None), thing);
        let (tenant, now) = (world.tenant.no, world.app.clock.now());
        let asked = coverage::question(&tx, tenant, &Authority::Customer, deed, now).await;
        asked.expect("a question").high_value
    };
    // Marked by hand, with the reason.
    ida.patch(&path, &json!({ "highValue": true, "because": " " })).await.expect(400);
    ida.patch(&path, &json!({ "highValue": true })).await.expect(400);
    ida.patch(&path, &json!({ "highValue": false, "because": "x" })).await.expect(400);
    assert!(!valued(KARI).await);
    let mark = json!({ "highValue": true, "because": "She signs the payments." });
    let shown = ida.patch(&path, &mark).await.expect(200).json();
    assert_eq!(shown["mark"]["because"], "She signs the payments.", "{shown}");
    assert_eq!((&shown["highValue"], &shown["directoryRole"]), (&json!(true), &json!(false)));
    assert!(valued(KARI).await && valued("alder\\kari").await && !valued(OLA).await);
    let operator =
        scene.case.face.person(&world.tenant.id, "op@alder.example", Role::SecurityOperator).await;
    operator.patch(&path, &mark).await.expect(403);
    scene.case.expert.patch(&path, &mark).await.expect(403);
    let seen = operator.get(&path).await.expect(200).json();
    assert_eq!(seen["may"]["edit"]["allowed"], false, "{seen}");
    assert_eq!(scene.why(KARI).await, None, "the switch is off");

    // Excluded, all of them: nobody while it is not known who holds a role.
    let on = json!({ "devices": false, "users": true });
    let shown = ida.put("/api/v1/exclusions/high-value", &on).await.expect(200).json();
    assert_eq!(shown["highValueUsers"], true, "{shown}");
    let high = "users of high value are excluded";
    assert_eq!(scene.why(KARI).await.as_deref(), Some(high));
    let unknown = "all users of high value are excluded, and who holds a directory role is not \
                   known, so experts act on no user: it was never read";
    assert_eq!(scene.wish("disableUser", OLA).await, Err(unknown.to_owned()));
    scene.read().await;
    for user in [KARI, "ada@alder.example", "bo@alder.example", "bo"] {
        assert_eq!(scene.why(user).await.as_deref(), Some(high), "{user}");
        assert!(valued(user).await, "{user}");
    }
    assert_eq!(scene.wish("disableUser", KARI).await, Err(high.to_owned()));
    scene.act("disableUser", OLA).await;
    assert_eq!(scene.settle(OLA).await, "succeeded");
    let shown = scene.exclusions().await;
    assert_eq!(shown["directoryRoles"]["members"], 2, "{shown}");
    // Marked after it was switched on.
    world.alerts(&[alert("b", "h1", "ola", 0)]).await;
    let ola = format!("/api/v1/users/{}/{OLA}", world.tenant.id);
    ida.patch(&ola, &json!({ "highValue": true, "because": "New." })).await.expect(200);
    assert_eq!(scene.why(OLA).await.as_deref(), Some(high));
    ida.patch(&ola, &json!({ "highValue": false })).await.expect(200);
    assert_eq!(scene.why(OLA).await, None);
    scene.later(3_601);
    let because = scene.why(OLA).await.expect("a reason");
    assert!(because.ends_with("it was last read more than an hour ago"), "{because}");
    // Her session has ended by now.
    let eva = "eva@alder.example";
    let eva = scene.case.face.person(&world.tenant.id, eva, Role::SecurityAdministrator).await;
    let off = json!({ "devices": false, "users": false });
    eva.put("/api/v1/exclusions/high-value", &off).await.expect(200);
    assert_eq!((scene.why(OLA).await, scene.why(KARI).await), (None, None));
    let log = eva.get("/api/v1/audit?top=1000").await.expect(200).text;
    assert!(log.contains("user.changed") && log.contains("She signs the payments."), "{log}");
}

#[tokio::test]
async fn an_excluded_user_is_not_acted_on_by_a_name_without_its_domain() {
    let scene = scene("operator").await;
    let excluded = json!({ "kind": "user", "name": KARI });
    scene.case.ida.post("/api/v1/exclusions", &excluded).await.expect(201);
    let because = format!("the user {KARI} is excluded");
    for name in [KARI, "kari", "ALDER\\kari"] {
        assert_eq!(scene.why(name).await.as_deref(), Some(because.as_str()), "{name}");
    }
    for name in ["kari@birk.example", "karin", "ari"] {
        assert_eq!(scene.why(name).await, None, "{name}");
    }
}
