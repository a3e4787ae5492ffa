//! Tasks of managed responses over the Graph face, as a client of the beta contract uses them (MR-4,
//! MR-5, MR-7, MR-9, MR-12, X-21).

use std::collections::BTreeSet;

use riposte::config::Config;
use riposte::graph::fields::{TASK_ACTION_STATUS, TASK_RANKS};
use riposte::id::{IncidentId, TaskId};
use riposte::incident::model::Finding;
use riposte::permission::Permission;
use riposte::response::catalog::{CATALOG, Kind, TargetKind};
use riposte::response::model::{ActionState, TaskState, action_status};
use riposte::response::{self, NewTask};
use riposte::tenant::Side;
use riposte::tenant::caller::{Caller, Reach};
use riposte::word::{Classification, Determination};
use serde_json::{Value, json};

use crate::agent::{self, Machine};
use crate::contract::{
    beta_alias_of, beta_operations, beta_options_of, beta_words, check, check_beta,
};
use crate::face::{Client, Face, Reply};
use crate::world::{World, alert};

const LIST: &str = "/beta/security/incidentTasks";
const SHA256: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

/// A task as an expert wants it, with its title.
pub fn task(kind: Kind, target: Option<(TargetKind, &str)>, title: &str) -> NewTask {
    NewTask {
        kind,
        target: target.map(|(kind, key)| (kind, key.to_owned())),
        display_name: Some(title.to_owned()),
        description: Some(format!("{title}: why and how.")),
        options: Value::Null,
    }
}

fn disable(user: &str) -> NewTask {
    task(Kind::DisableUser, Some((TargetKind::User, user)), &format!("Disable {user}"))
}

fn text(title: &str) -> NewTask {
    task(Kind::Text, None, title)
}

/// An expert who is inside of both customers.
fn expert(world: &World) -> Caller {
    let both = Reach::Granted([world.tenant.no, world.other.no].into());
    Caller::local("Signe Holm", both, &[Permission::Experts])
}

/// An expert takes an incident up, drafts tasks and publishes them; gives their ids.
pub async fn publish(
    world: &World,
    incident: IncidentId,
    mark: &str,
    tasks: Vec<NewTask>,
) -> Vec<String> {
    let (app, expert) = (&world.app, expert(world));
    riposte::incident::start(app, &expert, incident).await.expect("an incident");
    let mut ids = Vec::new();
    for task in tasks {
        let id = response::draft(app, &expert, incident, task).await.expect("a task");
        ids.push(id.to_string());
        app.clock.advance_seconds(1);
    }
    let finding = Finding {
        classification: Classification::TruePositive,
        determination: Determination::Malware,
        summary: format!("{mark}: a stealer came by mail."),
    };
    response::publish(app, &expert, incident, finding).await.expect("a response");
    ids
}

/// A customer with an incident of these tasks, and an application of it.
struct Case {
    face: Face,
    client: Client,
    incident: IncidentId,
    ids: Vec<String>,
}

impl Case {
    async fn new(tasks: Vec<NewTask>) -> Self {
        Self::on(Face::new().await, tasks).await
    }

    async fn on(face: Face, tasks: Vec<NewTask>) -> Self {
        face.world.alerts(&[alert("one", "web-1", "ida", 0)]).await;
        let incident = IncidentId(face.world.rows("select max(id) from incident").await[0]);
        let ids = publish(&face.world, incident, "Sable", tasks).await;
        let client = face.customer().await;
        Self { face, client, incident, ids }
    }

    fn path(&self, index: usize) -> String {
        format!("{LIST}/{}", self.ids[index])
    }

    async fn patch(&self, index: usize, status: &str) -> Reply {
        self.client.patch(&self.path(index), &json!({ "status": status })).await
    }

    /// Sets a status that is to be had.
    async fn set(&self, index: usize, status: &str) -> Value {
        let after = self.patch(index, status).await.expect(200).json();
        check_beta("PATCH", "/security/incidentTasks/1", 200, &after);
        after
    }

    async fn run(&self, index: usize) -> Reply {
        let path = format!("{}/microsoft.graph.security.executeResponseAction", self.path(index));
        self.client.send("POST", &path, None, &[]).await
    }

    async fn with(&self, permissions: &[Permission]) -> Client {
        let app = self.face.app(Side::Tenant(&self.face.world.tenant.id), permissions).await;
        self.face.sign_in(&app).await
    }
}

fn rows(page: &Value) -> &[Value] {
    page["value"].as_array().expect("rows")
}

fn ids(page: &Value) -> Vec<String> {
    rows(page).iter().map(|row| row["id"].as_str().expect("an id").to_owned()).collect()
}

fn query(text: &str) -> String {
    format!("{LIST}?{}", text.replace(' ', "%20"))
}

fn message(reply: &Reply) -> String {
    reply.json()["error"]["message"].as_str().expect("a message").to_owned()
}

#[tokio::test]
async fn a_task_reads_as_the_contract_has_it() {
    let mut quarantine =
        task(Kind::StopAndQuarantineFile, Some((TargetKind::File, SHA256)), "Quarantine");
    quarantine.options = json!({ "deviceId": "web-7" });
    let mut isolate = task(Kind::IsolateDevice, Some((TargetKind::Device, "web-7")), "Isolate");
    isolate.options = json!({ "isolationType": "selective", "allow": ["192.0.2.7"] });
    let case = Case::new(vec![text("Rotate the keys"), quarantine, isolate, disable("ida")]).await;
    let page = case.client.get(&format!("{LIST}?$count=true")).await.expect(200).json();
    check_beta("GET", "/security/incidentTasks", 200, &page);
    assert_eq!(page["@odata.count"], 4);
    let context = "http://graph.riposte.example/beta/$metadata#security/incidentTasks";
    assert_eq!(page["@odata.context"], context);
    assert_eq!(ids(&page), case.ids, "in the order they came into being");
    let tenant = &case.face.world.tenant.id;
    for row in rows(&page) {
        let members: BTreeSet<&str> =
            row.as_object().expect("a task").keys().map(String::as_str).collect();
        let wanted = [
            "@odata.type",
            "id",
            "displayName",
            "description",
            "source",
            "status",
            "actionType",
            "actionStatus",
            "responseAction",
            "createdByDisplayName",
            "createdDateTime",
            "lastModifiedByDisplayName",
            "lastModifiedDateTime",
            "incident",
        ];
        assert_eq!(members, wanted.into());
        assert_eq!(row["incident"], json!({ "id": case.incident, "tenantId": tenant }));
        assert_eq!(row["source"], "defenderExpertsGuidedResponse");
        assert_eq!((&row["status"], &row["actionStatus"]), (&json!("open"), &json!("notStarted")));
        assert_eq!(row["createdByDisplayName"], "Signe Holm");
    }
    let first = &rows(&page)[0];
    assert_eq!(first["displayName"], "Rotate the keys");
    assert_eq!(first["description"], "Rotate the keys: why and how.");
    let action = |index: usize| rows(&page)[index]["responseAction"].clone();
    assert_eq!(action(0), Value::Null);
    let kind = |name: &str| format!("#microsoft.graph.security.{name}IncidentTaskResponseAction");
    let wanted = json!({
        "@odata.type": kind("stopAndQuarantineFile"),
        "identifierValue": SHA256, "deviceId": "web-7",
    });
    assert_eq!(action(1), wanted);
    let wanted = json!({
        "@odata.type": kind("isolateDevice"),
        "identifierValue": "web-7", "isolationType": "selective",
    });
    assert_eq!(action(2), wanted);
    let wanted = json!({ "@odata.type": kind("disableUser"), "identifierValue": "ida" });
    assert_eq!(action(3), wanted);

    let id = &case.ids[1];
    for path in [
        format!("{LIST}/{id}"),
        format!("{LIST}('{id}')"),
        format!("{LIST}({id})/"),
        format!("/v1.0/security/incidentTasks/{id}"),
    ] {
        let one = case.client.get(&path).await.expect(200).json();
        check_beta("GET", "/security/incidentTasks/1", 200, &one);
        assert_eq!(one["id"], id.as_str());
        assert!(one["@odata.context"].as_str().is_some_and(|it| it.ends_with("Tasks/$entity")));
    }
    let of = case.client.get(&format!("{LIST}/{id}/incident")).await.expect(200).json();
    check("GET", "/security/incidents/1", 200, &of);
    assert_eq!((&of["id"], of["summary"].is_string()), (&json!(case.incident), true));
    for (path, want) in [
        ("$count", "4"),
        ("%24count?$filter=actionType+eq+'text'", "1"),
        ("$count?$search=quarantine", "1"),
    ] {
        let reply = case.client.get(&format!("{LIST}/{path}")).await.expect(200);
        assert_eq!(
            (reply.text.as_str(), &reply.headers["content-type"]),
            (want, &"text/plain".parse().expect("a value"))
        );
    }
    for path in ["0", "999", "x", "01", "al1"] {
        let reply = case.client.get(&format!("{LIST}/{path}")).await.expect(404);
        assert_eq!(message(&reply), format!("task {path} does not exist"));
    }
}

#[tokio::test]
async fn every_type_of_the_catalogue_is_shown_as_the_contract_allows() {
    let one_of_each = CATALOG.iter().map(|entry| {
        let key = match entry.target {
            TargetKind::None => None,
            TargetKind::File => Some(SHA256),
            TargetKind::Indicator => Some("192.0.2.66"),
            TargetKind::Process => Some("4711"),
            TargetKind::Device => Some("web-7"),
            TargetKind::User | TargetKind::Mail | TargetKind::App => Some("ida"),
        };
        let mut task = task(entry.kind, key.map(|key| (entry.target, key)), entry.title);
        if entry.kind == Kind::StopProcess {
            task.options = json!({ "deviceId": "web-7", "started": 7 });
        }
        task
    });
    let case = Case::new(one_of_each.collect()).await;
    let plain = case.client.get(LIST).await.expect(200);
    assert!(plain.headers.get("preference-applied").is_none());
    let plain = plain.json();
    check_beta("GET", "/security/incidentTasks", 200, &plain);
    let prefer = [("prefer", "include-unknown-enum-members")];
    let named = case.client.send("GET", LIST, None, &prefer).await.expect(200);
    assert_eq!(named.headers["preference-applied"], "include-unknown-enum-members");
    let named = named.json();
    let words = beta_words("incidentTaskActionType");
    for ((entry, plain), named) in CATALOG.iter().zip(rows(&plain)).zip(rows(&named)) {
        assert_eq!(named["actionType"], entry.word);
        let shown = if entry.listed { entry.word } else { "unknownFutureValue" };
        assert_eq!(plain["actionType"], shown);
        if let Some(words) = &words {
            assert_eq!(words.iter().any(|word| word == entry.word), entry.listed);
        }
        let kind = entry.contract.map(|name| format!("#microsoft.graph.security.{name}"));
        assert_eq!(plain["responseAction"]["@odata.type"], json!(kind));
        assert_eq!(plain["responseAction"].is_null(), kind.is_none());
        let filter = query(&format!("$filter=type eq '{}'", entry.word.to_uppercase()));
        let found = case.client.get(&filter).await.expect(200).json();
        assert_eq!(ids(&found), [plain["id"].as_str().expect("an id")], "{filter}");
    }
    assert_eq!(rows(&plain).len(), CATALOG.len());
    let one = format!("{LIST}/{}", case.ids[CATALOG.len() - 1]);
    let named = case.client.send("GET", &one, None, &prefer).await.expect(200).json();
    assert_eq!(named["actionType"], CATALOG[CATALOG.len() - 1].word);
}

#[tokio::test]
async fn filters_are_those_of_the_contract_and_more() {
    let tasks = vec![text("One"), disable("ida"), disable("ole"), text("Four")];
    let case = Case::new(tasks).await;
    case.set(0, "completed").await;
    case.set(1, "inProgress").await;
    case.set(3, "notRelevant").await;
    let page = case.client.get(LIST).await.expect(200).json();
    let member =
        |index: usize, name: &str| rows(&page)[index][name].as_str().expect("a text").to_owned();
    let (id, incident) = (case.ids[1].clone(), case.incident);
    let tenant = &case.face.world.tenant.id;
    let created = member(1, "createdDateTime");
    let one = case.client.get(&case.path(3)).await.expect(200).json();
    let changed = one["lastModifiedDateTime"].as_str().expect("a time").to_owned();
    for (filter, want) in [
        (format!("incidentId eq '{incident}'"), 4),
        (format!("incidentId eq {incident}"), 4),
        (format!("incident/id eq '{incident}'"), 4),
        (format!("incidentId ne '{incident}'"), 0),
        (format!("incidentId in ('{incident}','999')"), 4),
        (format!("id eq '{id}'"), 1),
        (format!("id ne '{id}'"), 3),
        (format!("id in ('{id}','999')"), 1),
        (format!("id eq 'al{id}'"), 0),
        (format!("tenantId eq '{tenant}' and status eq 'open'"), 1),
        ("tenantId eq 'other'".to_owned(), 0),
        ("status eq 'open'".to_owned(), 1),
        ("status eq 'Completed'".to_owned(), 1),
        ("status eq microsoft.graph.security.incidentTaskStatus'inProgress'".to_owned(), 1),
        ("status ne 'open'".to_owned(), 3),
        ("status in ('notRelevant','failed')".to_owned(), 1),
        ("status eq 'unknownFutureValue'".to_owned(), 0),
        ("not (status eq 'open')".to_owned(), 3),
        ("status eq 'open' or status eq 'completed'".to_owned(), 2),
        ("(status eq 'open' or status eq 'completed') and type eq 'text'".to_owned(), 1),
        ("actionStatus eq 'notStarted'".to_owned(), 2),
        ("actionStatus in ('inProgress','completed')".to_owned(), 2),
        ("actionType eq 'text'".to_owned(), 2),
        ("type ne 'text'".to_owned(), 2),
        ("startswith(type,'disable')".to_owned(), 2),
        ("source eq 'defenderExpertsGuidedResponse'".to_owned(), 4),
        ("source eq 'defenderExpertsManagedResponse'".to_owned(), 0),
        ("source eq 'defenderExpertsXDR'".to_owned(), 0),
        ("contains(displayName,'disable')".to_owned(), 2),
        ("createdByDisplayName eq 'signe holm'".to_owned(), 4),
        (format!("createdDateTime eq {created}"), 1),
        (format!("createdDateTime lt {created}"), 1),
        (format!("createdDateTime ge {created}"), 3),
        (format!("lastUpdateDateTime eq {changed}"), 1),
        (format!("lastModifiedDateTime ge {changed}"), 1),
        (format!("lastUpdateDateTime lt {changed}"), 3),
        (format!("lastUpdateDateTime gt {changed}"), 0),
        ("lastUpdateDateTime ge 2020-01-01T00:00:00%2B00:00".to_owned(), 4),
    ] {
        let found = case.client.get(&query(&format!("$filter={filter}&$count=true"))).await;
        let found = found.expect(200).json();
        check_beta("GET", "/security/incidentTasks", 200, &found);
        assert_eq!((rows(&found).len(), &found["@odata.count"]), (want, &json!(want)), "{filter}");
    }
    for bad in ["status eq 'skipped'", "owner eq 'x'", "source eq 'nobody'", "status eq"] {
        let error = case.client.get(&query(&format!("$filter={bad}"))).await.expect(400);
        assert!(message(&error).starts_with("Invalid ODATA query filter"), "{bad}");
    }
}

#[tokio::test]
async fn a_list_is_paged_ordered_searched_and_cut_as_asked() {
    let case = Case::new((0..7).map(|n| disable(&format!("user{n}"))).collect()).await;
    case.set(2, "completed").await;
    // However it pages, a client comes upon every task once.
    for order in [
        "",
        "&$orderby=createdDateTime desc",
        "&$orderby=lastUpdateDateTime",
        "&$orderby=status desc,id",
    ] {
        let mut seen = Vec::new();
        let mut next = Some(query(&format!("$top=3&$filter=incidentId ne '999'{order}")));
        while let Some(path) = next {
            let page = case.client.get(&path).await.expect(200).json();
            check_beta("GET", "/security/incidentTasks", 200, &page);
            seen.extend(ids(&page));
            let link = page["@odata.nextLink"].as_str();
            next = link.map(|link| link.replace("http://graph.riposte.example", ""));
        }
        let all: BTreeSet<&String> = seen.iter().collect();
        assert_eq!((all.len(), seen.len()), (7, 7), "{order}: {seen:?}");
    }
    let backwards = case.client.get(&query("$orderby=lastModifiedDateTime desc")).await.expect(200);
    assert_eq!(ids(&backwards.json())[0], case.ids[2]);
    let by_id = case.client.get(&query("$orderby=id desc&$skip=1&$top=2")).await.expect(200);
    assert_eq!(ids(&by_id.json()), [case.ids[5].clone(), case.ids[4].clone()]);
    let page = case.client.get(&format!("{LIST}?$skip=5")).await.expect(200).json();
    assert_eq!(ids(&page), case.ids[5..]);
    let page = case.client.get(&format!("{LIST}?$top=100000")).await.expect(200).json();
    assert_eq!(ids(&page), case.ids);
    let page = case.client.get(&format!("{LIST}?$top=0&$count=true")).await.expect(200).json();
    assert_eq!((rows(&page).len(), &page["@odata.count"]), (0, &json!(7)));
    let page = case.client.get(&format!("{LIST}?$select=status,displayName")).await;
    for row in rows(&page.expect(200).json()) {
        assert_eq!(row.as_object().map(serde_json::Map::len), Some(4), "{row}");
        assert!(row["id"].is_string() && row["status"].is_string());
    }
    for (search, want) in [
        ("user3", 1),
        ("%22Disable user%22", 7),
        ("user3 OR user4", 2),
        ("NOT user3", 6),
        ("nobody", 0),
        (case.ids[6].as_str(), 1),
    ] {
        let found = case.client.get(&query(&format!("$search={search}"))).await.expect(200);
        assert_eq!(rows(&found.json()).len(), want, "{search}");
    }
    for bad in ["$orderby=owner", "$top=-1", "$skiptoken=x", "$search=(", "$expand=incident("] {
        case.client.get(&query(bad)).await.expect(400);
    }
}

#[tokio::test]
async fn a_page_has_five_hundred_tasks_at_most() {
    let face = Face::new().await;
    let alerts = [alert("one", "web-1", "ida", 0), alert("two", "web-2", "ole", 600)];
    face.world.alerts(&alerts).await;
    for incident in face.world.rows("select id from incident order by id").await {
        let tasks = (0..251).map(|n| text(&format!("Step {n}"))).collect();
        publish(&face.world, IncidentId(incident), "Sable", tasks).await;
    }
    let client = face.customer().await;
    for path in [LIST.to_owned(), format!("{LIST}?$top=1000")] {
        let page = client.get(&path).await.expect(200).json();
        assert_eq!(rows(&page).len(), 500, "{path}");
        let next = page["@odata.nextLink"].as_str().expect("a link");
        let next = next.replace("http://graph.riposte.example", "");
        let rest = client.get(&next).await.expect(200).json();
        assert_eq!((rows(&rest).len(), rest.get("@odata.nextLink")), (2, None));
    }
}

#[tokio::test]
async fn a_client_that_asks_for_what_changed_misses_nothing() {
    let case = Case::new((0..3).map(|n| disable(&format!("user{n}"))).collect()).await;
    let page = case.client.get(LIST).await.expect(200).json();
    let newest = rows(&page).iter().filter_map(|row| row["lastModifiedDateTime"].as_str()).max();
    let newest = newest.expect("a time").to_owned();
    let changed = query(&format!("$filter=lastUpdateDateTime gt {newest}"));
    let before = case.client.get(&changed).await.expect(200).json();
    assert_eq!(ids(&before), Vec::<String>::new());
    case.set(1, "inProgress").await;
    let after = case.client.get(&changed).await.expect(200).json();
    assert_eq!(ids(&after), [case.ids[1].clone()]);
}

#[tokio::test]
async fn a_task_s_incident_is_shown_whole_to_who_may_read_incidents() {
    let case = Case::new(vec![text("One"), text("Two")]).await;
    for path in ["$expand=incident", "$expand=*", "$select=id&$expand=incident"] {
        let page = case.client.get(&query(path)).await.expect(200).json();
        check_beta("GET", "/security/incidentTasks", 200, &page);
        for row in rows(&page) {
            let incident = &row["incident"];
            check("GET", "/security/incidents/1", 200, incident);
            assert_eq!(incident["id"], json!(case.incident));
            assert_eq!(incident["summary"], "Sable: a stealer came by mail.");
            assert!(incident.get("recommendedHuntingQueries").is_some());
            assert_eq!(incident["status"], "unknownFutureValue", "it waits for the customer");
        }
    }
    let one = format!("{}?$expand=incident($select=displayName)", case.path(0));
    let prefer = [("prefer", "include-unknown-enum-members")];
    let one = case.client.send("GET", &one, None, &prefer).await.expect(200).json();
    let mut members: Vec<&String> = one["incident"].as_object().expect("one").keys().collect();
    members.sort();
    assert_eq!(members, ["@odata.type", "displayName", "id"]);
    let whole = format!("{}/incident?$expand=alerts", case.path(0));
    let whole = case.client.get(&whole).await.expect(200).json();
    assert_eq!(whole["alerts"].as_array().map(Vec::len), Some(1));
    case.client.get(&query("$expand=incident($expand=alerts)")).await.expect(400);
    let tasks_only = case.with(&[Permission::TaskReadWrite]).await;
    tasks_only.get(LIST).await.expect(200);
    tasks_only.get(&query("$expand=incident")).await.expect(403);
    tasks_only.get(&format!("{}/incident", case.path(0))).await.expect(403);
}

#[tokio::test]
async fn a_client_sets_a_task_s_status_and_nothing_else_of_it() {
    let case = Case::new(vec![disable("ida"), text("Two"), text("Three")]).await;
    let before = case.client.get(&case.path(0)).await.expect(200).json();
    let doing = case.set(0, "INPROGRESS").await;
    assert_eq!(
        (&doing["status"], &doing["actionStatus"]),
        (&"inProgress".into(), &"inProgress".into())
    );
    assert_eq!(doing["lastModifiedByDisplayName"], "client");
    assert_ne!(doing["lastModifiedDateTime"], before["lastModifiedDateTime"]);
    assert_eq!(case.set(0, "inProgress").await, doing, "the same again changes nothing");
    assert_eq!(case.set(0, "open").await["actionStatus"], "notStarted");
    let done = case.set(0, "completed").await;
    assert_eq!(
        (&done["status"], &done["actionStatus"]),
        (&"completed".into(), &"completed".into())
    );
    assert_eq!(case.set(0, "completed").await, done);
    // What somebody says is done can be taken back; it has to be, before anything else.
    for other in ["notRelevant", "inProgress"] {
        let reply = case.patch(0, other).await.expect(409);
        assert_eq!(message(&reply), format!("task {}: it is completed", case.ids[0]));
    }
    case.set(0, "open").await;
    let skipped = case.set(0, "notRelevant").await;
    assert_eq!(
        (&skipped["status"], &skipped["actionStatus"]),
        (&"notRelevant".into(), &"notStarted".into())
    );
    case.patch(0, "completed").await.expect(409);
    case.set(0, "open").await;

    let whole = json!({
        "id": "7", "displayName": "mine", "status": "Completed", "source": "defenderExpertsXDR",
        "incident": { "id": "7" }, "@odata.type": "#microsoft.graph.security.incidentTask",
    });
    let after = case.client.patch(&case.path(1), &whole).await.expect(200).json();
    assert_eq!((&after["displayName"], &after["status"]), (&"Two".into(), &"completed".into()));
    let same = case.client.patch(&case.path(1), &json!({})).await.expect(200).json();
    assert_eq!(same, after);
    let reply = case.patch(0, "failed").await.expect(400);
    assert_eq!(message(&reply), "status cannot be set to 'failed': only an action fails");
    for bad in [
        json!({ "status": "skipped" }),
        json!({ "status": "unknownFutureValue" }),
        json!({ "status": null }),
        json!({ "status": 1 }),
        json!(["status"]),
        Value::Null,
    ] {
        let error = case.client.patch(&case.path(0), &bad).await.expect(400).json();
        assert_eq!(error["error"]["code"], "BadRequest", "{bad}");
    }
    // With the last of its tasks the incident goes back to the experts; closed, it asks nothing.
    case.set(0, "completed").await;
    case.set(2, "notRelevant").await;
    let incident = format!("/v1.0/security/incidents/{}", case.incident);
    let now = case.client.get(&incident).await.expect(200).json();
    assert_eq!(now["status"], "inProgress");
    case.client.patch(&incident, &json!({ "status": "resolved" })).await.expect(200);
    let reply = case.patch(0, "open").await.expect(409);
    let closed = format!("task {}: incident {} is closed", case.ids[0], case.incident);
    assert_eq!(message(&reply), closed);
    assert_eq!(case.set(0, "completed").await["status"], "completed");
}

#[tokio::test]
async fn other_members_are_refused_where_the_configuration_says_so() {
    let mut config = Config::default();
    config.graph.refuse_unknown_members = true;
    let case = Case::on(Face::with(config).await, vec![text("One")]).await;
    let body = json!({ "status": "completed", "displayName": "mine" });
    let reply = case.client.patch(&case.path(0), &body).await.expect(400);
    assert_eq!(message(&reply), "'displayName' cannot be changed");
    let body = json!({ "@odata.type": "#microsoft.graph.security.incidentTask" });
    let same = case.client.patch(&case.path(0), &body).await.expect(200).json();
    assert_eq!(same["status"], "open");
}

#[tokio::test]
async fn what_cannot_be_run_says_why() {
    let case = Case::new(vec![disable("ida"), text("Two"), disable("ole")]).await;
    let reply = case.run(0).await.expect(409);
    let why = format!("task {}: no agent speaks for a device it is on", case.ids[0]);
    assert_eq!(message(&reply), why);
    let reply = case.run(1).await.expect(409);
    assert_eq!(message(&reply), format!("task {}: it is guidance in words", case.ids[1]));
    case.set(2, "completed").await;
    let reply = case.run(2).await.expect(409);
    assert_eq!(message(&reply), format!("task {}: it is completed", case.ids[2]));
    let alias = format!("{}/executeResponseAction", case.path(0));
    for (body, status) in
        [("", 409), ("{}", 409), (" { } ", 409), ("{\"a\":1}", 400), ("[]", 400), ("{", 400)]
    {
        let reply = case.client.send("POST", &alias, Some(body.to_owned()), &[]).await;
        reply.expect(status);
    }
    let one = case.client.get(&case.path(0)).await.expect(200).json();
    assert_eq!((&one["status"], &one["actionStatus"]), (&"open".into(), &"notStarted".into()));
    let unknown = format!("{LIST}/999/microsoft.graph.security.executeResponseAction");
    case.client.post(&unknown, &json!({})).await.expect(404);
}

#[tokio::test]
async fn each_permission_opens_what_the_contract_says() {
    use Permission as P;
    let case = Case::new(vec![disable("ida")]).await;
    let run = format!("{}/microsoft.graph.security.executeResponseAction", case.path(0));
    let doing = json!({ "status": "inProgress" }).to_string();
    // Running it is refused for another reason: nothing is connected.
    for (permission, read, write, execute) in [
        (P::IncidentRead, 200, 403, 403),
        (P::IncidentReadWrite, 200, 200, 409),
        (P::TaskReadWrite, 200, 200, 409),
        (P::TaskTakeAction, 403, 403, 409),
        (P::AlertReadWrite, 403, 403, 403),
    ] {
        let client = case.with(&[permission]).await;
        for path in [LIST.to_owned(), format!("{LIST}/$count"), case.path(0)] {
            client.get(&path).await.expect(read);
        }
        client.send("PATCH", &case.path(0), Some(doing.clone()), &[]).await.expect(write);
        client.send("POST", &run, None, &[]).await.expect(execute);
    }
    // It is for the customer to say that something is done.
    let expert = case.face.expert().await;
    expert.get(&case.path(0)).await.expect(200);
    expert.patch(&case.path(0), &json!({ "status": "completed" })).await.expect(403);
    let side = Side::Tenant(&case.face.world.other.id);
    let other = case.face.app(side, &[P::IncidentReadWrite, P::TaskReadWrite]).await;
    let other = case.face.sign_in(&other).await;
    let (task, unknown) = (case.path(0), format!("{LIST}/999"));
    for (method, more, body) in [
        ("GET", "", None),
        ("GET", "/incident", None),
        ("PATCH", "", Some(doing.clone())),
        ("POST", "/executeResponseAction", None),
    ] {
        for path in [&task, &unknown] {
            let path = format!("{path}{more}");
            let reply = other.send(method, &path, body.clone(), &[]).await.expect(404);
            let id = path.split('/').nth(4).expect("an id");
            assert_eq!(message(&reply), format!("task {id} does not exist"));
        }
    }
    let page = other.get(&format!("{LIST}?$count=true")).await.expect(200).json();
    assert_eq!((rows(&page).len(), &page["@odata.count"]), (0, &json!(0)));
    assert_eq!(other.get(&format!("{LIST}/$count")).await.expect(200).text, "0");
}

#[tokio::test]
async fn a_draft_does_not_exist_here() {
    let case = Case::new(vec![text("One")]).await;
    let expert = expert(&case.face.world);
    let draft = response::draft(&case.face.world.app, &expert, case.incident, disable("ida")).await;
    let draft: TaskId = draft.expect("a draft");
    for client in [case.client.clone(), case.face.expert().await] {
        assert_eq!(ids(&client.get(LIST).await.expect(200).json()), case.ids);
        assert_eq!(client.get(&format!("{LIST}/$count")).await.expect(200).text, "1");
        let found = client.get(&query(&format!("$filter=id eq '{draft}'"))).await.expect(200);
        assert_eq!(ids(&found.json()), Vec::<String>::new());
        let path = format!("{LIST}/{draft}");
        client.get(&path).await.expect(404);
        client.get(&format!("{path}/incident")).await.expect(404);
        client.patch(&path, &json!({ "status": "completed" })).await.expect(404);
        client.post(&format!("{path}/executeResponseAction"), &json!({})).await.expect(404);
    }
}

#[tokio::test]
async fn every_operation_and_option_that_beta_adds_for_tasks_is_answered() {
    let case = Case::new(vec![disable("ida"), text("Two")]).await;
    let id = &case.ids[0];
    let ours = beta_operations().into_iter().filter(|(_, path)| path.contains("incidentTasks"));
    for (method, template) in ours {
        let path = template.replace("{incidentTask-id}", id);
        let name = path.rsplit(['/', '.']).next().unwrap_or_default();
        // Nothing is connected that could run it.
        let (body, status) = match (method.as_str(), name) {
            ("PATCH", _) => (Some(json!({ "status": "inProgress" }).to_string()), 200),
            ("POST", "executeResponseAction") => (None, 409),
            ("GET", _) => (None, 200),
            _ => panic!("the contract has an operation that nobody thought of: {method} {path}"),
        };
        for version in ["/beta", "/v1.0"] {
            let alias = beta_alias_of(&method, &template);
            let alias = alias.map(|alias| alias.replace("{incidentTask-id}", id));
            for path in [Some(path.clone()), alias].into_iter().flatten() {
                let full = format!("{version}{path}");
                let reply = case.client.send(&method, &full, body.clone(), &[]).await;
                let reply = reply.expect(status);
                if name != "$count" && !path.ends_with("/executeResponseAction") {
                    check_beta(&method, &path, status, &reply.json());
                }
            }
        }
        for option in beta_options_of(&method, &template) {
            let value = match option.as_str() {
                "$filter" => "type+eq+'disableUser'",
                "$top" | "$skip" => "1",
                "$search" => "ida",
                "$count" => "true",
                "$orderby" => "lastUpdateDateTime+desc",
                "$select" => "id,status",
                "$expand" => "incident",
                other => panic!("the contract has an option that nobody thought of: {other}"),
            };
            let reply = case.client.get(&format!("/beta{path}?{option}={value}")).await;
            let reply = reply.expect(200);
            if name == "$count" {
                assert_eq!(reply.text, "1", "{option}");
                continue;
            }
            let page = reply.json();
            check_beta(&method, &path, 200, &page);
            if let (Some(rows), "$filter" | "$search" | "$top" | "$skip") =
                (page["value"].as_array(), option.as_str())
            {
                assert_eq!(rows.len(), 1, "{option}");
            }
        }
    }
}

/// All lists of up to three states of actions, whatever their order.
fn lists() -> Vec<Vec<ActionState>> {
    let states: Vec<ActionState> = ActionState::all().collect();
    let mut all = vec![Vec::new()];
    for (first, one) in states.iter().enumerate() {
        all.push(vec![*one]);
        for (second, two) in states.iter().enumerate().skip(first) {
            all.push(vec![*one, *two]);
            all.extend(states.iter().skip(second).map(|three| vec![*one, *two, *three]));
        }
    }
    all
}

#[tokio::test]
async fn the_store_says_of_actions_what_the_model_says() {
    let world = World::new().await;
    let (_, rank) = TASK_RANKS.iter().find(|(name, _)| *name == "action_rank").expect("a rank");
    let lists = lists();
    for state in TaskState::all() {
        let (mut tasks, mut actions, mut links) = (vec![], vec![], vec![]);
        for (id, list) in lists.iter().enumerate() {
            tasks.push(format!("({id}, 2, '{}')", state.word()));
            for action in list {
                let number = actions.len();
                actions.push(format!("({number}, '{}')", action.word()));
                links.push(format!("({id}, 2, {number})"));
                // Of a former run, and of no interest.
                links.push(format!("({id}, 1, {})", number / 2));
            }
        }
        let sql = format!(
            "with task(id, run, state) as (values {}), action(id, state) as (values {}), \
             task_action(task_id, run, action_id) as (values {}) \
             select {rank} from task order by id",
            tasks.join(", "),
            actions.join(", "),
            links.join(", ")
        );
        let found = world.rows(&sql).await;
        assert_eq!(found.len(), lists.len());
        for (list, rank) in lists.iter().zip(found) {
            let word = TASK_ACTION_STATUS.words.iter().find(|(_, it)| i64::from(*it) == rank);
            let word = word.expect("a word").0;
            assert_eq!(word, action_status(state, list), "{state:?} {list:?}");
        }
    }
}

/// Knows the beta contract and nothing of ours.
#[tokio::test]
async fn a_client_of_the_contract_alone_finds_a_task_runs_it_and_closes_another() {
    let face = Face::new().await;
    let machine = Machine::enrol(&face, &face.world.tenant.id, "web-1", "m1").await;
    // Experts may not act on it: the customer's own client runs the same card.
    let admin = Caller::local(
        "Ida",
        Reach::Tenant(face.world.tenant.no),
        &[Permission::ExclusionReadWrite],
    );
    riposte::coverage::exclude(&face.world.app, &admin, "device", "web-1", None)
        .await
        .expect("an exclusion");
    let isolate = task(Kind::IsolateDevice, Some((TargetKind::Device, "web-1")), "Isolate web-1");
    let case = Case::on(face, vec![isolate, text("Call Ida")]).await;
    let app = Side::Tenant(&case.face.world.tenant.id);
    let app = case.face.app(app, &[Permission::TaskReadWrite, Permission::TaskTakeAction]).await;
    let client = case.face.sign_in(&app).await;

    let incident = case.incident;
    let list = query(&format!("$filter=incidentId eq '{incident}'&$orderby=lastUpdateDateTime"));
    let list = client.get(&list).await.expect(200).json();
    check_beta("GET", "/security/incidentTasks", 200, &list);
    let of_type = |word: &str| {
        let found = rows(&list).iter().find(|row| row["actionType"] == word).expect("a task");
        found["id"].as_str().expect("an id").to_owned()
    };
    let (isolate, call) = (of_type("isolateDevice"), of_type("text"));
    let read = async |id: &str| {
        let path = format!("/beta/security/incidentTasks/{id}");
        let one = client.get(&path).await.expect(200).json();
        check_beta("GET", "/security/incidentTasks/1", 200, &one);
        let word = |name: &str| one[name].as_str().expect("a word").to_owned();
        (word("status"), word("actionStatus"))
    };
    assert_eq!(read(&isolate).await, ("open".to_owned(), "notStarted".to_owned()));
    let run = format!(
        "/beta/security/incidentTasks/{isolate}/microsoft.graph.security.executeResponseAction"
    );
    let done = client.send("POST", &run, None, &[]).await.expect(204);
    assert_eq!(done.text, "");
    assert_eq!(read(&isolate).await, ("inProgress".to_owned(), "inProgress".to_owned()));
    let again = client.send("POST", &run, None, &[]).await.expect(409);
    assert_eq!(message(&again), format!("task {isolate}: its action is under way"));
    let path = format!("/beta/security/incidentTasks/{isolate}");
    client.patch(&path, &json!({ "status": "completed" })).await.expect(409);

    // The device does it, and shows that it is done.
    let router = &case.face.router;
    let ask = async |path: &str, body: Value| {
        let certificate = Some(&machine.certificate);
        agent::ask(router, "POST", path, certificate, body.to_string()).await.expect(200).json()
    };
    let hello = json!({
        "version": 1, "run": "r1", "known": [],
        "states": { "isolated": null, "restricted": false },
    });
    let orders = ask("/agent/v1/poll", hello).await;
    let order = orders["orders"][0]["body"].as_str().expect("an order");
    let order: Value = serde_json::from_str(order).expect("an order");
    assert_eq!(order["action"]["do"], "isolate");
    let result = json!({
        "order": order["id"], "began": 1, "at": 2, "outcome": { "is": "succeeded" },
        "read_back": { "isolated": true, "mode": "full" },
    });
    ask("/agent/v1/report", json!({ "results": [result] })).await;
    assert_eq!(read(&isolate).await, ("completed".to_owned(), "completed".to_owned()));

    let path = format!("/beta/security/incidentTasks/{call}");
    let closed = client.patch(&path, &json!({ "status": "notRelevant" })).await.expect(200).json();
    check_beta("PATCH", "/security/incidentTasks/1", 200, &closed);
    assert_eq!(closed["status"], "notRelevant");
    let open = query(&format!("$filter=incidentId eq '{incident}' and status eq 'open'"));
    assert_eq!(ids(&client.get(&open).await.expect(200).json()), Vec::<String>::new());
}
