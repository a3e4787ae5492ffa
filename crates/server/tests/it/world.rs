//! A world to test in: a store of its own, a clock that stands still, and callers.

use riposte::actor::Actor;
use riposte::alert::format::Format;
use riposte::alert::intake::{Intake, Outcome};
use riposte::app::App;
use riposte::clock::{Clock, Timestamp};
use riposte::config::Config;
use riposte::db::{Db, column};
use riposte::id::{Random, TenantNo};
use riposte::permission::Permission;
use riposte::tenant::caller::{Caller, Reach};
use riposte::tenant::{self, ExpertAccess, Tenant};
use serde_json::{Value, json};

/// The hour at which every world begins.
pub const START: i64 = 1_795_000_000_000_000;

pub struct World {
    pub app: App,
    pub intake: Intake,
    pub tenant: Tenant,
    pub other: Tenant,
    _dir: tempfile::TempDir,
}

impl World {
    pub async fn new() -> Self {
        Self::with(Config::default()).await
    }

    pub async fn with(config: Config) -> Self {
        let Bare { app, _dir: dir } = with_config(config).await;
        tenant::init(&app, "Fjordwatch", "lead@fjordwatch.example").await.expect("a provider");
        let tenant =
            tenant::add(&app, "Alder Freight", ExpertAccess::Operator).await.expect("a tenant");
        let other =
            tenant::add(&app, "Norrland Dental", ExpertAccess::None).await.expect("a tenant");
        let intake = Intake::start(&app);
        Self { app, intake, tenant, other, _dir: dir }
    }

    /// A second process on the same store, for what replicas do to each other.
    pub fn replica(&self) -> App {
        let config = self.app.config.clone();
        App::new(self.app.db.clone(), self.app.clock.clone(), Random::system(), config)
            .expect("an app")
    }

    pub async fn push(&self, format: Format, body: impl Into<Vec<u8>>) -> Outcome {
        self.push_to(self.tenant.no, format, body).await
    }

    pub async fn push_to(
        &self,
        tenant: TenantNo,
        format: Format,
        body: impl Into<Vec<u8>>,
    ) -> Outcome {
        self.intake
            .accept(&self.app, tenant, Actor::integration("sensor"), format, body.into().into())
            .await
            .expect("intake answers")
    }

    /// Pushes alerts and correlates them.
    pub async fn alerts(&self, alerts: &[Value]) -> Outcome {
        let outcome = self.push(Format::Graph, Value::from(alerts).to_string()).await;
        assert_eq!(outcome.rejected + outcome.ignored, 0, "{:?}", outcome.errors);
        self.settle().await;
        outcome
    }

    /// Runs what waits until nothing does.
    pub async fn settle(&self) {
        riposte::worker::settle(&self.app).await.expect("work succeeds");
    }

    /// Lets PostgreSQL count its rows, as it does by itself within a minute.
    pub async fn count_rows(&self) {
        self.app.db.count_rows().await.expect("statistics");
    }

    pub fn expert(&self) -> Caller {
        Caller::local("Signe Holm", Reach::Granted([self.tenant.no].into()), &[Permission::Experts])
    }

    pub fn customer(&self) -> Caller {
        Caller::local(
            "Alder SIEM",
            Reach::Tenant(self.tenant.no),
            &[Permission::IncidentReadWrite, Permission::AlertReadWrite],
        )
    }

    /// Rows of a query as text, for assertions about what is on disk.
    pub async fn rows(&self, sql: &str) -> Vec<i64> {
        let rows = self.app.db.whole("a test").query(sql, vec![]).await.expect("a query");
        rows.iter().map(|row| column::<i64>(row, 0).expect("a number")).collect()
    }

    /// The alerts' provider ids by incident, each group sorted, the groups too.
    pub async fn groups(&self) -> Vec<Vec<String>> {
        let sql = "select incident_id, provider_alert_id from alert order by incident_id, \
                   provider_alert_id";
        let rows = self.app.db.whole("a test").query(sql, vec![]).await.expect("a query");
        let mut groups = std::collections::BTreeMap::<i64, Vec<String>>::new();
        for row in rows {
            let incident: i64 = column(&row, 0).expect("every alert has an incident");
            groups.entry(incident).or_default().push(column(&row, 1).expect("an id"));
        }
        let mut groups: Vec<_> = groups.into_values().collect();
        groups.sort();
        groups
    }
}

/// A store with its schema and nothing in it.
pub struct Bare {
    pub app: App,
    _dir: tempfile::TempDir,
}

pub async fn bare() -> Bare {
    with_config(Config::default()).await
}

async fn with_config(mut config: Config) -> Bare {
    let dir = tempfile::tempdir().expect("a temporary folder");
    dir.path().clone_into(&mut config.data_dir);
    let db = open(dir.path()).await;
    db.migrate().await.expect("the schema");
    let clock = Clock::manual(Timestamp::from_micros(START));
    let app = App::new(db, clock, Random::system(), config).expect("an app");
    Bare { app, _dir: dir }
}

async fn open(dir: &std::path::Path) -> Db {
    let Ok(url) = std::env::var("RIPOSTE_TEST_POSTGRES") else {
        return Db::open_sqlite(dir).await.expect("a SQLite store");
    };
    let schema = format!("t{}", uuid::Uuid::new_v4().simple());
    Db::open_postgres(&url, Some(&schema)).await.expect("PostgreSQL")
}

/// An endpoint alert of our own on one device by one person, `minutes` after the start.
pub fn alert(id: &str, host: &str, user: &str, minutes: i64) -> Value {
    let at = Timestamp::from_micros(START).plus_seconds(minutes * 60);
    json!({
        "id": id,
        "providerAlertId": id,
        "title": "Script interpreter fetched a payload",
        "severity": "medium",
        "category": "Execution",
        "serviceSource": "microsoftDefenderForEndpoint",
        "detectionSource": "microsoftDefenderForEndpoint",
        "productName": "Endpoint protection",
        "createdDateTime": at,
        "lastUpdateDateTime": at,
        "firstActivityDateTime": at,
        "lastActivityDateTime": at,
        "evidence": [
            {
                "@odata.type": "#microsoft.graph.security.deviceEvidence",
                "deviceDnsName": format!("{host}.alder.example"),
                "hostName": host,
                "osPlatform": "Windows11",
            },
            {
                "@odata.type": "#microsoft.graph.security.userEvidence",
                "userAccount": {"userPrincipalName": format!("{user}@alder.example")},
            },
        ],
    })
}
