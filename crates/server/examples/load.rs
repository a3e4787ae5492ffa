//! temp
use riposte::actor::Actor;
use riposte::alert::format::Format;
use riposte::alert::intake::Intake;
use riposte::app::App;
use riposte::clock::Clock;
use riposte::config::Config;
use riposte::db::Db;
use riposte::id::Random;
use riposte::tenant::{self, ExpertAccess};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

fn alert(n: u64) -> String {
    let dev = n / 10;
    format!(
        r##"{{"id":"x{n}","providerAlertId":"x{n}","title":"Suspicious thing {}","severity":"medium","category":"Execution","serviceSource":"microsoftDefenderForEndpoint","detectionSource":"microsoftDefenderForEndpoint","productName":"Endpoint","description":"{}","mitreTechniques":["T1059.001"],"createdDateTime":"2026-11-2{}T0{}:{:02}:00Z","firstActivityDateTime":"2026-11-2{}T0{}:{:02}:00Z","evidence":[{{"@odata.type":"#microsoft.graph.security.deviceEvidence","deviceDnsName":"pc{dev}.alder.example","hostName":"pc{dev}","osPlatform":"Windows11","mdeDeviceId":"{dev:040x}"}},{{"@odata.type":"#microsoft.graph.security.userEvidence","userAccount":{{"accountName":"u{dev}","userPrincipalName":"u{dev}@alder.example"}}}},{{"@odata.type":"#microsoft.graph.security.processEvidence","processId":{},"processCommandLine":"powershell -enc {n}","imageFile":{{"fileName":"a{n}.exe","filePath":"c:\\users\\public","sha256":"{n:064x}"}}}},{{"@odata.type":"#microsoft.graph.security.ipEvidence","ipAddress":"203.0.{}.{}"}}]}}"##,
        n % 7,
        "x".repeat(300),
        n % 2,
        n % 9,
        n % 60,
        n % 2,
        n % 9,
        n % 60,
        n % 30000,
        (n / 200) % 250,
        n % 250
    )
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let secs: u64 = std::env::args().nth(1).unwrap().parse().unwrap();
    let conns: usize = std::env::args().nth(2).unwrap().parse().unwrap();
    let batch: u64 = std::env::args().nth(3).unwrap().parse().unwrap();
    let dir = std::path::PathBuf::from(std::env::args().nth(4).unwrap());
    let db = match std::env::var("PG") {
        Ok(url) => Db::open_postgres(&url, None).await.unwrap(),
        Err(_) => {
            std::fs::create_dir_all(&dir).unwrap();
            Db::open_sqlite(&dir).await.unwrap()
        }
    };
    db.migrate().await.unwrap();
    let app = App::new(db, Clock::system(), Random::system(), Config::default()).unwrap();
    let t = tenant::add(&app, "T", ExpertAccess::Operator).await.unwrap();
    let intake = Intake::start(&app);
    let stop = tokio_util::sync::CancellationToken::new();
    let w = tokio::spawn(riposte::worker::run(app.clone(), stop.clone()));
    let n = Arc::new(AtomicU64::new(0));
    let lat = Arc::new(std::sync::Mutex::new(Vec::new()));
    let start = std::time::Instant::now();
    let mut hs = vec![];
    let no = t.no;
    for _ in 0..conns {
        let (app, intake, n, lat) = (app.clone(), intake.clone(), n.clone(), lat.clone());
        hs.push(tokio::spawn(async move {
            while start.elapsed().as_secs() < secs {
                let first = n.fetch_add(batch, Ordering::Relaxed);
                let body: String = (first..first + batch).map(|n| alert(n) + "\n").collect();
                let s = std::time::Instant::now();
                intake
                    .accept(&app, no, Actor::integration("s"), Format::Graph, body.into())
                    .await
                    .unwrap();
                lat.lock().unwrap().push(s.elapsed().as_micros() as u64);
            }
        }));
    }
    for h in hs {
        h.await.unwrap();
    }
    let total = n.load(Ordering::Relaxed);
    let el = start.elapsed().as_secs_f64();
    let mut l = lat.lock().unwrap().clone();
    l.sort();
    println!(
        "{} alerts in {el:.1}s = {:.0}/s p50 {}us p99 {}us",
        total,
        total as f64 / el,
        l[l.len() / 2],
        l[l.len() * 99 / 100]
    );
    let s = std::time::Instant::now();
    loop {
        let r = app
            .db
            .query_one("select count(*) from alert where incident_id is null", vec![])
            .await
            .unwrap()
            .unwrap();
        let c: i64 = riposte::db::column(&r, 0).unwrap();
        if s.elapsed().as_millis() < 30 {
            println!("backlog {c}");
        }
        if c == 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    println!("drained in {:.2}s", s.elapsed().as_secs_f64());
    let r = app.db.query_one("select count(*) from incident", vec![]).await.unwrap().unwrap();
    println!("incidents {}", riposte::db::column::<i64>(&r, 0).unwrap());
    println!(
        "{}",
        app.metrics
            .text()
            .lines()
            .filter(|l| l.contains("_sum") || l.contains("_count"))
            .collect::<Vec<_>>()
            .join("\n")
    );
    stop.cancel();
    w.await.unwrap();
}
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
