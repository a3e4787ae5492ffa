//! A team and its channel, made in a customer's Microsoft Teams (ONB-6), against a stand-in of Microsoft
//! Graph that takes its time over a team, asks for each permission, and knows what it has made.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use riposte::config::{Chat, Config};
use riposte::permission::Role;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::face::Face;

const ORGANISATION: &str = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";
const BOT: &str = "11111111-2222-4333-8444-555555555555";
const TEAM: &str = "99999999-8888-4777-8666-555555555555";
const SECRET: &str = "a-client-secret-of-the-bot";

/// What an organisation has and lets the app do.
#[derive(Default)]
struct Organisation {
    /// Permissions that an administrator has not consented to.
    lacks: BTreeSet<&'static str>,
    /// Teams that were asked for.
    made: Vec<Value>,
    /// How often its channels are asked for until the team is there.
    provisioning: u32,
    channels: Vec<String>,
    /// Whether the bot's package is in the catalogue.
    uploaded: bool,
    installed: bool,
}

#[derive(Clone, Default)]
struct Graph(Arc<Mutex<Organisation>>);

impl Graph {
    async fn start() -> (Self, String) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let it = Self::default();
        let router = axum::Router::new().fallback(answer).with_state(it.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (it, url)
    }

    fn has(&self) -> std::sync::MutexGuard<'_, Organisation> {
        self.0.lock().expect("an organisation")
    }

    fn answer(&self, method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Response {
        let said = |status: u16, body: Value| {
            (StatusCode::from_u16(status).expect("a status"), body.to_string()).into_response()
        };
        if uri.path().ends_with("/oauth2/v2.0/token") {
            let form: std::collections::HashMap<String, String> =
                openidconnect::url::form_urlencoded::parse(body).into_owned().collect();
            let right = form.get("client_secret").is_some_and(|it| it == SECRET)
                && form["scope"] == "https://graph.microsoft.com/.default"
                && uri.path().starts_with(&format!("/{ORGANISATION}/"));
            return if right {
                said(200, json!({ "access_token": "graph-token", "expires_in": 3_599 }))
            } else {
                said(401, json!({ "error": "invalid_client" }))
            };
        }
        let shown = headers.get("authorization").and_then(|it| it.to_str().ok());
        if shown != Some("Bearer graph-token") {
            return said(401, json!({ "error": { "code": "InvalidAuthenticationToken" } }));
        }
        let mut it = self.has();
        let wants = match (method.as_str(), uri.path()) {
            ("GET", "/teams") => "Team.ReadBasic.All",
            ("POST", "/teams") => "Team.Create",
            ("GET", path) if path.ends_with("/channels") => "Channel.ReadBasic.All",
            ("POST", path) if path.ends_with("/channels") => "Channel.Create",
            ("GET", "/appCatalogs/teamsApps") => "AppCatalog.Read.All",
            ("POST", path) if path.ends_with("/installedApps") => {
                "TeamsAppInstallation.ReadWriteSelfForTeam.All"
            }
            _ => return said(400, json!({ "error": { "code": "BadRequest" } })),
        };
        if it.lacks.contains(wants) {
            return said(403, json!({ "error": { "code": "Forbidden", "message": "<b>no</b>" } }));
        }
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        match wants {
            "Team.ReadBasic.All" => {
                let known = it.made.iter().filter(|_| it.provisioning == 0);
                let all: Vec<Value> = known
                    .map(|team| json!({ "id": TEAM, "displayName": team["displayName"] }))
                    .collect();
                said(200, json!({ "value": all }))
            }
            "Team.Create" => {
                let owner = &body["members"][0];
                let bound = owner["user@odata.bind"].as_str().unwrap_or_default();
                if !bound.ends_with("/users('ida@alder.example')") || owner["roles"][0] != "owner" {
                    let error = json!({ "code": "BadRequest", "message": "no such owner" });
                    return said(400, json!({ "error": error }));
                }
                let named = body["channels"][0]["displayName"].as_str().unwrap_or_default();
                it.channels = vec!["General".to_owned(), named.to_owned()];
                it.made.push(body);
                it.provisioning = 2;
                let at = [("content-location", format!("/teams('{TEAM}')"))];
                (StatusCode::ACCEPTED, at).into_response()
            }
            "Channel.ReadBasic.All" if it.provisioning > 0 => {
                it.provisioning -= 1;
                said(404, json!({ "error": { "code": "NotFound" } }))
            }
            "Channel.ReadBasic.All" => {
                let one = |name: &String| json!({ "id": id(name), "displayName": name });
                said(200, json!({ "value": it.channels.iter().map(one).collect::<Vec<_>>() }))
            }
            "Channel.Create" => {
                let name = body["displayName"].as_str().unwrap_or_default().to_owned();
                it.channels.push(name.clone());
                said(201, json!({ "id": id(&name), "displayName": name }))
            }
            "AppCatalog.Read.All" => {
                let all = if it.uploaded { vec![json!({ "id": "catalog-1" })] } else { vec![] };
                said(200, json!({ "value": all }))
            }
            _ if it.installed => said(409, json!({ "error": { "code": "Conflict" } })),
            _ => {
                let bound = body["teamsApp@odata.bind"].as_str().unwrap_or_default();
                assert!(bound.ends_with("/appCatalogs/teamsApps/catalog-1"), "{bound}");
                it.installed = true;
                StatusCode::CREATED.into_response()
            }
        }
    }
}

fn id(channel: &str) -> String {
    format!("19:{}@thread.tacv2", channel.to_lowercase().replace(' ', ""))
}

async fn answer(
    State(it): State<Graph>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    std::future::ready(it.answer(&method, &uri, &headers, &body)).await
}

async fn customer() -> (Face, Graph, Browser) {
    let (graph, url) = Graph::start().await;
    let chat = Chat { teams_login: url.clone(), teams_graph: url, ..Chat::default() };
    let face = Face::with(Config { chat, ..Config::default() }).await;
    let role = Role::SecurityAdministrator;
    let ida = face.person(&face.world.tenant.id, "ida@alder.example", role).await;
    (face, graph, ida)
}

fn wanted(team: Option<&str>) -> Value {
    json!({
        "tenantId": ORGANISATION, "appId": BOT, "clientSecret": SECRET,
        "owner": "ida@alder.example", "teamId": team,
    })
}

const PATH: &str = "/api/v1/chat-teams";

#[tokio::test]
async fn a_team_is_made_once_and_said_to_be_there_when_it_is() {
    let (face, graph, ida) = customer().await;
    graph.has().uploaded = true;
    let first = ida.post(PATH, &wanted(None)).await.expect(200).json();
    assert_eq!(first, json!({ "teamId": TEAM, "channelId": null, "bot": null }));
    let second = ida.post(PATH, &wanted(Some(TEAM))).await.expect(200).json();
    assert_eq!(second["channelId"], Value::Null, "Microsoft is at it");
    let third = ida.post(PATH, &wanted(Some(TEAM))).await.expect(200).json();
    let there = json!({ "teamId": TEAM, "channelId": id("Managed response"), "bot": "installed" });
    assert_eq!(third, there);
    // Who begins anew gets what is there.
    assert_eq!(ida.post(PATH, &wanted(None)).await.expect(200).json(), there);
    let made = graph.has().made.clone();
    assert_eq!(made.len(), 1, "one team: {made:?}");
    assert_eq!(made[0]["visibility"], "private");
    assert_eq!(made[0]["displayName"], "Defender Experts team");
    let facts = "select count(*) from event where kind = 'chatTeam.made'";
    assert_eq!(face.world.rows(facts).await, [1]);
    let kept = format!("select count(*) from event where body like '%{SECRET}%'");
    assert_eq!(face.world.rows(&kept).await, [0], "the secret is kept nowhere");
}

#[tokio::test]
async fn a_channel_that_a_team_lacks_is_made_there() {
    let (_face, graph, ida) = customer().await;
    {
        let mut it = graph.has();
        it.made.push(json!({ "displayName": "Defender Experts team" }));
        it.channels.push("General".to_owned());
    }
    let made = ida.post(PATH, &wanted(None)).await.expect(200).json();
    assert_eq!(made["channelId"], id("Managed response"));
    assert_eq!(made["bot"], "notUploaded", "its package is not in the catalogue");
    assert_eq!(graph.has().channels, ["General", "Managed response"]);
}

#[tokio::test]
async fn what_microsoft_does_not_allow_is_said_with_what_helps() {
    let (face, graph, ida) = customer().await;
    for (lacks, says) in
        [("Team.ReadBasic.All", "look for the team"), ("Team.Create", "make a team")]
    {
        graph.has().lacks = BTreeSet::from([lacks]);
        let said = ida.post(PATH, &wanted(None)).await.expect(409).text;
        assert!(said.contains(lacks) && said.contains(says), "{said}");
        assert!(!said.contains("<b>"), "{said}");
    }
    assert!(graph.has().made.is_empty());
    graph.has().lacks = BTreeSet::from(["AppCatalog.Read.All"]);
    ida.post(PATH, &wanted(None)).await.expect(200);
    let mut made = json!({});
    for _ in 0..2 {
        made = ida.post(PATH, &wanted(Some(TEAM))).await.expect(200).json();
    }
    assert_eq!(made["bot"], "byHand", "{made}");
    // What makes no sense goes nowhere, nor does what is not the customer's to do.
    for (name, value) in [
        ("tenantId", json!("alder")),
        ("owner", json!("o'neill@alder.example")),
        ("owner", json!("ida")),
        ("channel", json!("a/b")),
        ("teamId", json!("../x")),
    ] {
        let mut odd = wanted(None);
        odd[name] = value;
        let said = ida.post(PATH, &odd).await.expect(400).text;
        assert!(said.contains(name), "{said}");
    }
    let mut wrong = wanted(None);
    wrong["clientSecret"] = json!("another-secret");
    let said = ida.post(PATH, &wrong).await.expect(409).text;
    assert!(said.contains("gives the bot no token"), "{said}");
    let reader = face.person(&face.world.tenant.id, "r@alder.example", Role::SecurityReader).await;
    reader.post(PATH, &wanted(None)).await.expect(403);
}
