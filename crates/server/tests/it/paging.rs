//! Clients that crawl ten thousand incidents while every one of them changes (graph-api).
//!
//! All ways of paging go on side by side. In each round every client reads one page while people
//! and sensors change hundreds of incidents; what is asserted holds however the two meet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt;
use riposte::alert::format::Format;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::face::{Client, Face};
use crate::world::alert;

const HOST: &str = "http://graph.riposte.example";
const LIST: &str = "/v1.0/security/incidents";
const INCIDENTS: usize = 10_000;
/// Rounds in which all incidents change once. No crawl is shorter.
const ROUNDS: usize = 15;
/// Rounds after that in which some go on changing.
const MORE_ROUNDS: usize = 12;
/// Incidents patched in each of those.
const MORE_CHANGES: usize = 40;

/// How a client pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Style {
    /// Follows `@odata.nextLink` until there is none.
    Link,
    /// The same, newest change first.
    LinkNewest,
    /// Raises `$skip` by the page size until a page is short.
    Skip,
    /// Keeps `$skip=0` and asks for later than the last row while a page is full.
    LaterThanLast,
    /// Appends its own `$top` to what is behind the last `/` of the link.
    Tail,
    /// Follows links; next minute asks for later than the greatest time it saw.
    LaterThanGreatest,
}

const STYLES: [(Style, usize); 6] = [
    (Style::Link, 640),
    (Style::LinkNewest, 500),
    (Style::Skip, 450),
    (Style::LaterThanLast, 650),
    (Style::Tail, 333),
    (Style::LaterThanGreatest, 600),
];

/// An id with its `lastUpdateDateTime`.
type Version = (String, String);

/// A client in the middle of its crawl.
struct Crawl {
    style: Style,
    top: usize,
    client: Client,
    /// The page to ask for; none when the crawl is over.
    next: Option<String>,
    /// The rows of each crawl: one, or one a minute.
    seen: Vec<Vec<Version>>,
}

impl Crawl {
    fn new(style: Style, top: usize, client: Client) -> Self {
        let mut crawl = Self { style, top, client, next: None, seen: Vec::new() };
        crawl.begin();
        crawl
    }

    /// Begins the crawl, or the next minute's.
    fn begin(&mut self) {
        let top = self.top;
        let greatest = self.rows().map(|(_, at)| at.as_str()).max();
        let since = greatest.unwrap_or("2020-01-01T00:00:00Z");
        self.next = Some(match self.style {
            Style::Link | Style::Tail => format!("{LIST}?$top={top}"),
            Style::LinkNewest => format!("{LIST}?$top={top}&$orderby=lastUpdateDateTime%20desc"),
            Style::Skip => format!("{LIST}?$top={top}&$skip=0"),
            Style::LaterThanLast => later(top, since),
            Style::LaterThanGreatest if greatest.is_none() => format!("{LIST}?$top={top}"),
            Style::LaterThanGreatest => {
                format!("{LIST}?$top={top}&$filter=lastUpdateDateTime+gt+{since}")
            }
        });
        self.seen.push(Vec::new());
    }

    fn rows(&self) -> impl Iterator<Item = &Version> {
        self.seen.iter().flatten()
    }

    /// Reads the next page, if there is one.
    async fn turn(mut self) -> Self {
        let Some(path) = self.next.take() else { return self };
        let page = self.client.get(&path).await.expect(200).json();
        let rows = versions(&page);
        let full = rows.len() == self.top;
        let last = rows.last().map(|(_, at)| at.clone());
        self.seen.last_mut().expect("a crawl").extend(rows);
        let link = page["@odata.nextLink"].as_str();
        if let Some(link) = link {
            assert!(full, "{:?}: a short page with a link", self.style);
            let (_, query) = link.split_once('?').expect("a query");
            assert!(!query.contains('/'), "{link}");
        }
        let top = self.top;
        self.next = match self.style {
            Style::Link | Style::LinkNewest | Style::LaterThanGreatest => {
                link.map(|link| link.strip_prefix(HOST).expect("our host").to_owned())
            }
            Style::Tail => link.map(|link| {
                let (_, tail) = link.rsplit_once('/').expect("a slash");
                format!("/v1.0/security/{tail}&$top={top}")
            }),
            Style::Skip => {
                let so_far = self.rows().count();
                full.then(|| format!("{LIST}?$top={top}&$skip={so_far}"))
            }
            Style::LaterThanLast => last.filter(|_| full).map(|last| later(top, &last)),
        };
        self
    }

    /// The newest version seen of each incident, when none came twice or older than before.
    fn newest(&self) -> BTreeMap<String, String> {
        let mut newest: BTreeMap<String, String> = BTreeMap::new();
        for (id, at) in self.rows() {
            let before = newest.insert(id.clone(), at.clone());
            assert!(before.is_none_or(|before| before < *at), "{:?}: {id} at {at}", self.style);
        }
        newest
    }
}

fn later(top: usize, than: &str) -> String {
    format!(
        "{LIST}?$top={top}&$skip=0&$filter=lastUpdateDateTime+gt+{than}\
         &$orderby=lastUpdateDateTime+asc"
    )
}

fn versions(page: &Value) -> Vec<Version> {
    let text = |row: &Value, name: &str| row[name].as_str().expect("text").to_owned();
    let rows = page["value"].as_array().expect("rows");
    rows.iter().map(|row| (text(row, "id"), text(row, "lastUpdateDateTime"))).collect()
}

/// Alerts each on a device of its own.
fn storm(name: &str, numbers: impl Iterator<Item = usize>, minutes: i64) -> Vec<Value> {
    let one = |n| alert(&format!("{name}{n}"), &format!("host{n}"), &format!("user{n}"), minutes);
    numbers.map(one).collect()
}

/// People change these incidents.
async fn patch(client: &Client, ids: &[i64], round: usize) {
    for (place, id) in ids.iter().enumerate() {
        let mut body = match place % 5 {
            0 => json!({"status": "inProgress", "assignedTo": "ida@alder.example"}),
            1 => json!({"status": "resolved", "classification": "falsePositive"}),
            2 => json!({"severity": if round.is_multiple_of(2) { "high" } else { "low" }}),
            3 => json!({"customTags": [format!("round {round}")]}),
            _ => json!({"displayName": format!("Renamed in round {round}")}),
        };
        body["summary"] = json!(format!("round {round}"));
        client.patch(&format!("{LIST}/{id}"), &body).await.expect(200);
    }
}

/// Changes the incidents of these devices: some get another alert, some are merged, the others
/// patched. New incidents come between.
async fn disturb(face: Arc<Face>, client: Client, devices: Vec<(usize, i64)>, round: usize) {
    face.world.app.clock.advance_seconds(1);
    let (told, patched) = devices.split_at(devices.len() / 2);
    let new = INCIDENTS + round * 10..INCIDENTS + round * 10 + 10;
    let numbers = told.iter().map(|(device, _)| *device).chain(new);
    face.world.alerts(&storm(&format!("r{round}-"), numbers, 30)).await;
    let ids: Vec<i64> = patched.iter().map(|(_, id)| *id).collect();
    patch(&client, &ids, round).await;
    let [(_, one), (_, two), ..] = told else { panic!("too few devices") };
    let merge = json!({"incidentIds": [one.to_string(), two.to_string()]});
    client.post(&format!("{LIST}/mergeIncidents"), &merge).await.expect(200);
}

/// Every incident as it is now.
async fn current(client: &Client) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut next = Some(format!("{LIST}?$top=5000"));
    while let Some(path) = next {
        let page = client.get(&path).await.expect(200).json();
        all.extend(versions(&page));
        let link = page["@odata.nextLink"].as_str();
        next = link.map(|link| link.strip_prefix(HOST).expect("our host").to_owned());
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_way_of_paging_sees_ten_thousand_changing_incidents_once() {
    let face = Arc::new(Face::new().await);
    let numbers: Vec<usize> = (0..INCIDENTS).collect();
    for part in numbers.chunks(1_000) {
        let body = Value::from(storm("a", part.iter().copied(), 0)).to_string();
        assert_eq!(face.world.push(Format::Graph, body).await.accepted, 1_000);
    }
    face.world.settle().await;
    face.world.count_rows().await;
    let ids = face.world.rows("select incident_id from alert order by id").await;
    let existing: BTreeSet<String> = ids.iter().map(i64::to_string).collect();
    assert_eq!(existing.len(), INCIDENTS, "each alert opens its own incident");
    let before = face.world.rows("select max(updated_at) from incident").await[0];
    // All over the place: 7,919 is prime to their number.
    let mut order = (0..INCIDENTS).map(|n| n * 7_919 % INCIDENTS).map(|n| (n, ids[n]));

    let client = face.customer().await;
    let mut crawls: Vec<Crawl> =
        STYLES.map(|(style, top)| Crawl::new(style, top, client.clone())).into();
    for round in 0.. {
        assert!(round < 100, "a crawl does not end");
        if round == ROUNDS {
            let changed = format!(
                "select count(*) from incident where updated_at > {before} and id <= {}",
                ids.iter().max().expect("ids")
            );
            assert_eq!(face.world.rows(&changed).await, [INCIDENTS as i64]);
            assert!(crawls.iter().all(|crawl| crawl.next.is_some()), "a crawl was over before");
        }
        let changes = if round < ROUNDS {
            let devices: Vec<_> = order.by_ref().take(INCIDENTS.div_ceil(ROUNDS)).collect();
            Some(tokio::spawn(disturb(face.clone(), client.clone(), devices, round)))
        } else if round < ROUNDS + MORE_ROUNDS {
            let start = (round * 797) % (INCIDENTS - MORE_CHANGES);
            let (client, ids) = (client.clone(), ids[start..start + MORE_CHANGES].to_vec());
            Some(tokio::spawn(async move { patch(&client, &ids, round).await }))
        } else {
            None
        };
        let mut turns: JoinSet<Crawl> = JoinSet::new();
        for crawl in crawls {
            turns.spawn(crawl.turn());
        }
        crawls = turns.join_all().await;
        let Some(changes) = changes else {
            if crawls.iter().all(|crawl| crawl.next.is_none()) {
                break;
            }
            continue;
        };
        changes.await.expect("changes");
        for crawl in &mut crawls {
            if crawl.next.is_none() && crawl.style == Style::LaterThanGreatest {
                face.world.app.clock.advance_seconds(60);
                crawl.begin();
            }
        }
    }

    let now = current(&client).await;
    for crawl in crawls {
        judge(crawl, &existing, &now).await;
    }
}

/// Whether a client came upon each incident as it should.
async fn judge(mut crawl: Crawl, existing: &BTreeSet<String>, now: &BTreeMap<String, String>) {
    let style = crawl.style;
    if matches!(style, Style::LaterThanLast | Style::LaterThanGreatest) {
        // Whoever polls asks once more, and then knows everything.
        crawl.begin();
        while crawl.next.is_some() {
            crawl = crawl.turn().await;
        }
        assert_eq!(crawl.newest(), *now, "{style:?}");
    }
    // Who follows the changes sees a changed incident again, as often as it changed at most.
    let newest = crawl.newest();
    let missed: Vec<&String> = existing.iter().filter(|id| !newest.contains_key(*id)).collect();
    assert!(missed.is_empty(), "{style:?} missed {missed:?}");
    if matches!(style, Style::LinkNewest | Style::LaterThanLast) {
        return;
    }
    for seen in &crawl.seen {
        let once: BTreeSet<&String> = seen.iter().map(|(id, _)| id).collect();
        assert_eq!(once.len(), seen.len(), "{style:?}: an incident came twice");
    }
}

/// The pieces of a reply's body, as they come; `meanwhile` is done when the first is there.
async fn pieces(client: &Client, path: &str, meanwhile: impl Future<Output = ()>) -> Vec<Bytes> {
    let mut body = client.open(path).await;
    let mut pieces = Vec::new();
    let mut meanwhile = Some(meanwhile);
    while let Some(frame) = body.frame().await {
        pieces.extend(frame.expect("a whole body").into_data());
        if let Some(meanwhile) = meanwhile.take() {
            meanwhile.await;
        }
    }
    pieces
}

#[tokio::test]
async fn an_incident_of_ten_thousand_alerts_expands_whole_while_it_is_read() {
    let face = Face::new().await;
    for part in 0..10_i64 {
        let one = |n: i64| alert(&format!("s{part}-{n}"), "gate", "ida", n % 60);
        let alerts = Value::from((0..1_000).map(one).collect::<Vec<_>>());
        assert_eq!(face.world.push(Format::Graph, alerts.to_string()).await.accepted, 1_000);
    }
    face.world.settle().await;
    let client = face.customer().await;
    let ids = face.world.rows("select id from alert order by id").await;
    let incident = face.world.rows("select id from incident").await;
    assert_eq!((ids.len(), incident.len()), (10_000, 1));
    let last = ids[9_999];
    for (round, path) in [
        format!("{LIST}?$expand=alerts"),
        format!("{LIST}/{}?$expand=alerts", incident[0]),
        format!("{LIST}?$expand=alerts($select=title,assignedTo)"),
    ]
    .iter()
    .enumerate()
    {
        // Whoever changes the last alert when the first piece is out sees it in the last piece:
        // that alert was not read before there was room for it.
        let who = format!("reader {round}");
        let change = async {
            let path = format!("/v1.0/security/alerts_v2/al{last}");
            client.patch(&path, &json!({"assignedTo": who})).await.expect(200);
        };
        let pieces = pieces(&client, path, change).await;
        let largest = pieces.iter().map(Bytes::len).max().expect("pieces");
        assert!(largest < 128 * 1024 && pieces.len() > 10, "{} of {largest}", pieces.len());
        let body: Value = serde_json::from_slice(&pieces.concat()).expect("JSON");
        let whole = body["value"].get(0).unwrap_or(&body);
        let alerts = whole["alerts"].as_array().expect("alerts");
        let got: Vec<&str> = alerts.iter().map(|row| row["id"].as_str().expect("an id")).collect();
        assert!(got.iter().eq(ids.iter().map(|id| format!("al{id}")).collect::<Vec<_>>().iter()));
        assert_eq!(alerts[9_999]["assignedTo"], who.as_str(), "{path}");
        assert!(alerts.iter().all(|row| row["title"] == alerts[0]["title"]));
        assert_eq!(alerts[0].get("severity").is_none(), path.contains("$select"), "{path}");
    }
}
