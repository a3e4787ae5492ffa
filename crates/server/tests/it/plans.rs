//! What the store reads for a page, by its own account: never much more than the page, however many
//! rows the customer or the neighbours have.

use riposte::alert::format::Format;
use riposte::db::{Engine, column};
use riposte::graph::odata::query::Options;
use riposte::graph::page::{Cursor, Phase, Plan, Resource};
use riposte::id::IncidentId;
use riposte::tenant::caller::Reach;
use sea_orm::sea_query::{PostgresQueryBuilder, SqliteQueryBuilder};
use serde_json::Value;

use crate::world::{World, alert};

/// Alerts of the large customer, and of the small one, in as many pieces as one.
const LARGE: usize = 3_000;
const SMALL: usize = 60;
const PIECES: usize = 30;
/// Rows of a page.
const PAGE: u64 = 20;

/// A large and a small customer whose alerts came by turns.
async fn neighbours() -> World {
    let world = World::new().await;
    for piece in 0..PIECES {
        for (tenant, count) in [(world.tenant.no, LARGE / PIECES), (world.other.no, SMALL / PIECES)]
        {
            // Forty alerts on one device of each piece, so that there are incidents of some size; few
            // on the others, so that there are many more incidents than a page has.
            let one = |n| {
                let group = format!("{piece}-{}", if n < 40 { 0 } else { n / 5 });
                alert(&format!("{piece}-{n}"), &format!("host{group}"), &format!("user{group}"), 0)
            };
            let alerts: Vec<Value> = (0..count).map(one).collect();
            let outcome = world.push_to(tenant, Format::Graph, Value::from(alerts).to_string());
            assert_eq!(outcome.await.accepted as usize, count);
        }
    }
    world.settle().await;
    world.count_rows().await;
    world
}

/// The lines of the store's plan for a page.
async fn explain(world: &World, plan: &Plan, cursor: &Cursor, phase: Phase) -> Vec<String> {
    let statement = plan.statement(cursor, PAGE, phase);
    let (sql, index) = match world.app.db.engine() {
        Engine::Sqlite => {
            (format!("explain query plan {}", statement.to_string(SqliteQueryBuilder)), 3)
        }
        Engine::Postgres => {
            let how = "analyze, timing off, costs off, summary off";
            (format!("explain ({how}) {}", statement.to_string(PostgresQueryBuilder)), 0)
        }
    };
    let rows = world.app.db.whole("a test").query(&sql, vec![]).await.expect("a plan");
    rows.iter().map(|row| column(row, index).expect("text")).collect()
}

/// The numbers that stand behind `word` in a line.
fn after(line: &str, word: &str) -> u64 {
    let digits = line.split_once(word).map_or("0", |(_, rest)| rest);
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().expect("a number")
}

/// Rows that PostgreSQL read in any one step.
fn most_read(plan: &[String]) -> u64 {
    let read = |line: &String| {
        after(line, "actual rows=") * after(line, "loops=").max(1)
            + after(line, "Rows Removed by Filter: ")
    };
    plan.iter().map(read).max().expect("a plan")
}

#[tokio::test]
async fn a_page_reads_little_more_than_its_own_rows() {
    let world = neighbours().await;
    let (large, small) = (world.tenant.no, world.other.no);
    let both = Reach::Granted([large, small].into());
    let (large, small) = (Reach::Tenant(large), Reach::Tenant(small));
    let fullest = "select id from incident where alert_count = 40 order by id limit 1";
    let fullest = IncidentId(world.rows(fullest).await[0]);
    let its = format!("$filter=incidentId+eq+'{fullest}'");
    let newest = "$orderby=lastUpdateDateTime+desc";
    let later = "$filter=lastUpdateDateTime+gt+2020-01-01&$orderby=lastUpdateDateTime+asc";
    let (alerts, incidents) = (Resource::Alert, Resource::Incident);
    for (resource, reach, query, within, index) in [
        (alerts, &large, "", None, "alert_of_tenant (tenant_no=?"),
        (alerts, &small, "", None, "alert_of_tenant (tenant_no=?"),
        (alerts, &both, "", None, "alert"),
        (alerts, &large, newest, None, "alert_updated (tenant_no=? AND updated_at<?"),
        (alerts, &large, later, None, "alert_updated (tenant_no=? AND updated_at>?"),
        (alerts, &large, &its, None, "alert_of_incident (incident_id=?"),
        (alerts, &large, "", Some(fullest), "alert_of_incident (incident_id=?"),
        (incidents, &large, "", None, "incident_created (tenant_no=? AND created_at"),
        (incidents, &small, "", None, "incident_created (tenant_no=? AND created_at"),
        (incidents, &large, newest, None, "incident_updated (tenant_no=? AND updated_at<?"),
        (incidents, &large, later, None, "incident_updated (tenant_no=? AND updated_at>?"),
        (incidents, &both, "", None, "COVERING INDEX incident_queue_created (created_at"),
        (incidents, &both, newest, None, "COVERING INDEX incident_queue (updated_at<?"),
        (incidents, &both, later, None, "COVERING INDEX incident_queue (updated_at>?"),
    ] {
        let case = format!("{resource:?} {reach:?} {query} {within:?}");
        let options = Options::parse(query).expect(&case);
        let plan = Plan::new(&world.app, resource, &options, reach, within, None).await;
        let Ok(plan) = plan else { panic!("{case}") };
        let start = plan.start();
        // The first page, and one behind half of the rows.
        let rows = plan.rows(&world.app, &start, u64::MAX >> 1).await.expect(&case);
        let middle = rows.get(rows.len() / 2).expect(&case);
        let behind = plan.behind(middle).expect(&case);
        for cursor in [&start, &behind] {
            let lines = explain(&world, &plan, cursor, middle.phase).await;
            let told = format!("{case}\n{}", lines.join("\n"));
            if world.app.db.engine() == Engine::Postgres {
                // Finding them is what may be dear; how the few found are fetched follows from how
                // small this store is.
                let limit = lines.iter().position(|line| line.contains("Limit"));
                let found = &lines[limit.expect("a page has an end")..];
                assert!(most_read(found) <= 5 * PAGE, "{told}");
            } else {
                assert!(lines.iter().any(|line| line.contains(index)), "{told}");
                // Either would be all the rows of the customer, or those of the neighbour.
                // Changes of one microsecond in two tenants are put in order as they come.
                let bad =
                    |line: &String| line.contains("TEMP B-TREE") && !line.contains("FOR LAST TERM");
                // Incidents are found first; then the few of the page are put in order again.
                let page = lines.iter().position(|line| line.contains("SEARCH tenant"));
                let found = &lines[..page.unwrap_or(lines.len())];
                assert!(!found.iter().any(bad), "{told}");
            }
        }
    }
}

#[tokio::test]
async fn looking_for_waiting_alerts_reads_only_those() {
    let world = World::new().await;
    if world.app.db.engine() == Engine::Postgres {
        return; // It knows how few wait.
    }
    for rest in ["order by id limit 128", "and id <= 9"] {
        let sql = format!(
            "explain query plan select id from alert where tenant_no = 1 and incident_id is null {rest}"
        );
        let rows = world.app.db.whole("a test").query(&sql, vec![]).await.expect("a plan");
        let line: String = column(&rows[0], 3).expect("text");
        assert!(line.contains("INDEX alert_pending (tenant_no=?"), "{line}");
    }
}
