//! Readiness: what is found of a customer, evaluated when a fact touches it and daily (ONB-2..4).
//!
//! A fact that touches readiness makes the tenant due in its own transaction (`Ledger::append`), so that
//! no crash comes between. Who evaluates holds the tenant's lease `readiness N` and its ledger; what has
//! changed is a fact, and moves the customer on. Not here: how it is judged (`model`).

use sea_orm::Value as Sql;
use serde_json::Value;

use crate::actor::Actor;
use crate::app::App;
use crate::clock::Timestamp;
use crate::connector;
use crate::contact::{self, ContactRole, Priority};
use crate::coverage;
use crate::db::{Transaction, column};
use crate::error::{Error, Result};
use crate::event::Fact;
use crate::id::TenantNo;
use crate::lease::Lease;
use crate::onboarding::model::{self, Assessment, Found, LIVE_S, Targets};
use crate::onboarding::{Way, way_in};
use crate::permission::Permission;
use crate::person;
use crate::tenant::grant;
use crate::tenant::stage::{self, Stage};
use crate::tx::Tx;

/// In whose name readiness is evaluated.
pub const ASSESSOR: &str = "Readiness";
/// Tenants looked at in one go.
const MOST: i64 = 100;
/// Excluded names that are looked for.
const NAMES: i64 = 100;

async fn count(tx: &Transaction, sql: &str, values: Vec<Sql>) -> Result<u64> {
    let row = tx.query_one(sql, values).await?;
    let count: i64 = row.map_or(Ok(0), |row| column(&row, 0))?;
    u64::try_from(count).map_err(Error::internal)
}

/// Whom a mail has reached, of these addresses.
async fn reached(tx: &Transaction, tenant: TenantNo, addresses: &[String]) -> Result<u64> {
    let sql = "select receiver from lane where tenant_no = $1 and channel = 'mail' \
               and last_ok_at is not null";
    let rows = tx.query(sql, vec![tenant.0.into()]).await?;
    let mut found = 0;
    for row in rows {
        found += u64::from(addresses.contains(&column::<String>(&row, 0)?));
    }
    Ok(found)
}

/// Devices and users excluded by a name that nothing known goes by.
async fn unknown(tx: &Transaction, tenant: TenantNo) -> Result<Vec<String>> {
    let rows = tx
        .query(
            "select name from exclusion where tenant_no = $1 and ((kind = 'device' \
             and not exists (select 1 from device where device.tenant_no = $1 \
             and (lower(device.name) = name_key or device.id = name_key))) or (kind = 'user' \
             and not exists (select 1 from account where account.tenant_no = $1 \
             and account.name = name_key))) order by name_key limit $2",
            vec![tenant.0.into(), NAMES.into()],
        )
        .await?;
    rows.iter().map(|row| column(row, 0)).collect()
}

async fn gather(
    tx: &Transaction,
    tenant: TenantNo,
    targets: Targets,
    now: Timestamp,
) -> Result<Found> {
    let own = || -> Vec<Sql> { vec![tenant.0.into()] };
    let contacts = contact::of_role(tx, tenant, ContactRole::IncidentNotification).await?;
    let addresses: Vec<String> = contacts.iter().map(|it| it.email.clone()).collect();
    let people = person::of_organisation(tx, tenant).await?;
    let administrators: Vec<_> = people.iter().filter(|it| it.administers()).collect();
    let inside = |it: &&&person::Member| it.state() == "active";
    // Who has no factor here and signs in is signed in by the organisation's identity provider.
    let strong = |it: &&&person::Member| it.factors.passkeys > 0 || !it.factors.totp;
    let products = connector::in_use(tx, tenant).await?;
    let silent = products.iter().filter_map(|it| match (&it.last_error, it.last_ok) {
        (Some(error), _) => Some(format!("{}: {error}", it.name)),
        (None, None) => Some(format!("{}: it was never asked", it.name)),
        (None, Some(_)) => None,
    });
    let live = now.plus_seconds(-LIVE_S).micros();
    Ok(Found {
        grant: grant::find_in(tx, tenant).await?.effective(now),
        contacts: contacts.len() as u64,
        reached: reached(tx, tenant, &addresses).await?,
        backups: contacts.iter().filter(|it| it.priority == Priority::Backup).count() as u64,
        alerts: tx
            .query_one("select 1 from alert where tenant_no = $1 limit 1", own())
            .await?
            .is_some(),
        senders: count(
            tx,
            "select count(*) from app where tenant_no = $1 and permissions like $2",
            vec![tenant.0.into(), format!("%{}%", Permission::AlertIngest).into()],
        )
        .await?,
        administrators: administrators.iter().filter(inside).count() as u64,
        strong: administrators.iter().filter(inside).filter(strong).count() as u64,
        invited: administrators.iter().filter(|it| it.state() == "invited").count() as u64,
        devices: count(
            tx,
            "select count(*) from device where tenant_no = $1 and agent_id is not null",
            own(),
        )
        .await?,
        live: count(
            tx,
            "select count(*) from device where tenant_no = $1 and agent_id is not null \
             and seen_at > $2",
            vec![tenant.0.into(), live.into()],
        )
        .await?,
        identities: count(
            tx,
            "select count(distinct name) from account where tenant_no = $1",
            own(),
        )
        .await?,
        connectors: products.len() as u64,
        silent: silent.collect(),
        doubts: coverage::doubts(tx, tenant, now).await?,
        unknown: unknown(tx, tenant).await?,
        channels: count(
            tx,
            "select (select count(*) from webhook where tenant_no = $1 and removed_at is null \
             and paused_at is null) + (select count(*) from chat_channel where tenant_no = $1 \
             and removed_at is null and trouble is null)",
            own(),
        )
        .await?,
        targets,
    })
}

/// A tenant's readiness at this moment.
pub async fn look(
    tx: &Transaction,
    tenant: TenantNo,
    targets: Targets,
    now: Timestamp,
) -> Result<Assessment> {
    Ok(model::judge(&gather(tx, tenant, targets, now).await?))
}

/// Evaluates the transaction's tenant, which was invited: notes what has changed and moves it on.
pub(super) async fn evaluate(tx: &mut Tx) -> Result<()> {
    let (tenant, now) = (tx.tenant(), tx.now());
    let way = way_in(tx, tenant).await?.unwrap_or_default();
    let found = look(tx, tenant, way.targets, now).await?;
    let actor = Actor::system(ASSESSOR);
    let changes = found.changes(&way.kept);
    // The first evaluation has nothing to be compared with.
    if !changes.is_empty() && way.kept != Value::Null {
        tx.record_as(actor.clone(), Fact::ReadinessChanged { changes });
    }
    let lapses = lapses(tx, &found, &way).await?;
    let mut at = (stage::find_in(tx, tenant).await?, stage::since(tx, tenant).await?);
    while let Some((to, because)) = model::advance(at, found.is_ready(), way.days, now) {
        stage::advance_as(tx, &actor, to, &because).await?;
        at = (to, now);
    }
    let due = model::due(at, way.days, now);
    tx.execute(
        "update onboarding set assessment = $2, evaluated_at = $3, due_at = $4, lapses = $5 \
         where tenant_no = $1",
        vec![
            tenant.0.into(),
            found.kept().to_string().into(),
            now.micros().into(),
            due.micros().into(),
            lapses.to_string().into(),
        ],
    )
    .await?;
    Ok(())
}

/// Notes what has lapsed since the service began, and what is there again; gives what people were told.
async fn lapses(tx: &mut Tx, found: &Assessment, way: &Way) -> Result<Value> {
    // Before the service began nothing can lapse: what is missing holds it back.
    if !matches!(stage::find_in(tx, tx.tenant()).await?, Stage::Monitoring | Stage::Active) {
        return Ok(way.told.clone());
    }
    let lapses = found.lapses(&way.kept, &way.told, tx.now());
    let actor = Actor::system(ASSESSOR);
    if !lapses.lapsed.is_empty() {
        tx.record_as(actor.clone(), Fact::ReadinessLapsed { items: lapses.lapsed });
    }
    if !lapses.restored.is_empty() {
        tx.record_as(actor, Fact::ReadinessRestored { items: lapses.restored });
    }
    Ok(lapses.kept)
}

/// Evaluates every tenant that is due.
pub async fn watch(app: &App) -> Result<()> {
    let rows = app
        .db
        .whole("readiness in every tenant")
        .query(
            "select tenant_no from onboarding where due_at <= $1 order by due_at limit $2",
            vec![app.clock.now().micros().into(), MOST.into()],
        )
        .await?;
    for row in rows {
        let tenant = TenantNo(column(&row, 0)?);
        if let Err(error) = turn(app, tenant).await {
            let no = tenant.0;
            tracing::error!(
                tenant.no = no,
                "readiness of tenant {no} was not evaluated, will be: {error}"
            );
        }
    }
    Ok(())
}

async fn turn(app: &App, tenant: TenantNo) -> Result<()> {
    // Another replica is at it.
    let Some(lease) = Lease::take(app, &format!("readiness {}", tenant.0)).await? else {
        return Ok(());
    };
    let done = async {
        let mut tx = Tx::begin(app, tenant, Actor::system(ASSESSOR)).await?;
        lease.fence(app, &tx).await?;
        let sql = "select 1 from onboarding where tenant_no = $1 and due_at <= $2";
        let values = vec![tenant.0.into(), tx.now().micros().into()];
        if tx.query_one(sql, values).await?.is_none() {
            return Ok(());
        }
        evaluate(&mut tx).await?;
        tx.commit().await
    }
    .await;
    lease.end(app, done).await
}
