//! Sets read in the background.
//!
//! Who reads for a tenant holds its lease `directory N`, renews it between two pages, and writes a
//! reading in one change that renews it once more: a process that was paused and comes back writes
//! nothing. What a directory may cost is bounded: pages and members of a reading, time of a turn,
//! tenants at once; a slow directory keeps no other tenant waiting. Only what differs is written.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sea_orm::Value as Sql;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::clock::Timestamp;
use crate::connector::{self, Connector, Fault, Lines, Open};
use crate::db::column;
use crate::directory::ROLES;
use crate::error::Result;
use crate::id::TenantNo;
use crate::incident::account;
use crate::lease::{self, Lease};

/// How often to look for what is due.
const LOOK: Duration = Duration::from_secs(1);
/// How often a set is read, in seconds.
const EVERY_S: i64 = 300;
/// After how long a reading that failed is tried again, in seconds.
const AGAIN_S: i64 = 60;
/// Pages of one reading.
const MOST_PAGES: usize = 400;
/// Users of one set.
const MOST_USERS: usize = 100_000;
/// After how long a turn begins no other page: what is left is due still.
const TURN: Duration = Duration::from_mins(4);
/// Tenants at once.
const TENANTS: usize = 64;

/// Works until `stop`; what is under way is given up, since it is read again.
pub async fn run(app: App, stop: CancellationToken) {
    let lines = Arc::new(Lines::default());
    let turn = |app: App, tenant| {
        let (lines, stop) = (lines.clone(), stop.clone());
        async move { stop.run_until_cancelled(turn(&app, &lines, tenant)).await.unwrap_or(Ok(())) }
    };
    let looks = (LOOK, None, TENANTS);
    lease::turns(&app, looks, stop.clone(), |app| async move { waiting(&app).await }, turn).await;
}

/// One turn for every tenant that has something due, one after the other.
pub async fn tick(app: &App, lines: &Lines) -> Result<()> {
    for tenant in waiting(app).await? {
        turn(app, lines, tenant).await?;
    }
    Ok(())
}

async fn waiting(app: &App) -> Result<Vec<TenantNo>> {
    // Those who hold a role are of high value wherever there is a directory.
    let sql = "select distinct connector.tenant_no from connector \
               left join directory_set on directory_set.tenant_no = connector.tenant_no \
               and directory_set.id = $2 where connector.disabled_at is null \
               and (directory_set.id is null or exists (select 1 from directory_set due \
               where due.tenant_no = connector.tenant_no and due.due_at <= $1))";
    let scope = app.db.whole("directories are read in every tenant");
    let rows = scope.query(sql, vec![app.clock.now().micros().into(), ROLES.into()]).await?;
    rows.iter().map(|row| Ok(TenantNo(column(row, 0)?))).collect()
}

async fn turn(app: &App, lines: &Lines, tenant: TenantNo) -> Result<()> {
    // Another replica is at it.
    let Some(lease) = Lease::take(app, &format!("directory {}", tenant.0)).await? else {
        return Ok(());
    };
    let done = all(app, lines, (tenant, &lease)).await;
    lease.end(app, done).await
}

async fn all(app: &App, lines: &Lines, (tenant, lease): (TenantNo, &Lease)) -> Result<()> {
    let scope = app.db.of(tenant);
    let tx = scope.begin().await?;
    lease.fence(app, &tx).await?;
    let Some(connector) = connector::directory_in(&tx, tenant).await? else { return Ok(()) };
    let now = app.clock.now();
    super::want(&tx, tenant, (ROLES, ""), now).await?;
    let sql = "select id from directory_set where tenant_no = $1 and due_at <= $2 \
               order by due_at, id";
    let rows = tx.query(sql, vec![tenant.0.into(), now.micros().into()]).await?;
    tx.commit().await?;
    let ends = Instant::now() + TURN;
    for row in rows {
        let set: String = column(&row, 0)?;
        if Instant::now() > ends {
            break;
        }
        let work = Work { app, tenant, lease, connector: &connector, ends };
        let began = app.clock.now();
        match work.read(lines, &set).await? {
            Ok(read) => work.keep(&set, read, began).await?,
            Err(fault) => work.note(&set, &fault).await?,
        }
    }
    Ok(())
}

/// One turn of a tenant, under its lease.
struct Work<'a> {
    app: &'a App,
    tenant: TenantNo,
    lease: &'a Lease,
    connector: &'a Connector,
    ends: Instant,
}

/// Who is in a set.
#[derive(Default)]
struct Reading {
    /// What the set is called.
    name: String,
    users: BTreeSet<String>,
    /// Every name that one of them goes by.
    names: BTreeSet<String>,
    /// Groups that were met on the way.
    groups: BTreeSet<String>,
    pages: usize,
}

type Tried<T> = Result<std::result::Result<T, Fault>>;

impl Work<'_> {
    /// Shows that this process still lives; nothing is to be written where another has taken over.
    async fn alive(&self) -> Result<()> {
        let tx = self.app.db.shared().begin().await?;
        self.lease.fence(self.app, &tx).await?;
        tx.commit().await
    }

    async fn read(&self, lines: &Lines, set: &str) -> Tried<Reading> {
        let app = self.app;
        let open = match lines.open(app, self.connector).await {
            Ok(open) => open,
            Err(fault) => return Ok(Err(fault)),
        };
        self.alive().await?;
        let mut reading = Reading::default();
        if set != ROLES {
            match open.group(app, set).await {
                Ok(group) if group.hidden => {
                    let reason = "the group hides its members".to_owned();
                    return Ok(Err(Fault { reason, lasting: true }));
                }
                Ok(group) => reading.name = group.name,
                Err(fault) => return Ok(Err(fault)),
            }
            let told = self.list(&open, &mut reading, connector::members_of(set)).await?;
            return Ok(told.map(|()| reading));
        }
        let roles = match open.roles(app).await {
            Ok(roles) => roles,
            Err(fault) => return Ok(Err(fault)),
        };
        for role in roles {
            if let Err(fault) = self.list(&open, &mut reading, connector::holders_of(&role)).await?
            {
                return Ok(Err(fault));
            }
        }
        // A group that holds a role lends it to its members; those of groups inside it are in its list.
        for group in std::mem::take(&mut reading.groups) {
            if let Err(fault) =
                self.list(&open, &mut reading, connector::members_of(&group)).await?
            {
                return Ok(Err(fault));
            }
        }
        Ok(Ok(reading))
    }

    /// Reads a list to its end.
    async fn list(&self, open: &Open<'_>, reading: &mut Reading, first: String) -> Tried<()> {
        let mut path = first;
        loop {
            reading.pages += 1;
            if reading.pages > MOST_PAGES || Instant::now() > self.ends {
                return Ok(Err(Fault {
                    reason: "the list of members does not come to an end".to_owned(),
                    lasting: true,
                }));
            }
            let page = match open.page(self.app, &path).await {
                Ok(page) => page,
                Err(fault) => return Ok(Err(fault)),
            };
            self.alive().await?;
            for user in page.users {
                reading.users.insert(user.id);
                reading.names.extend(user.names.iter().map(|name| account::name(name)));
            }
            reading.groups.extend(page.groups);
            if reading.users.len() > MOST_USERS {
                return Ok(Err(Fault {
                    reason: format!("it has more than {MOST_USERS} members"),
                    lasting: true,
                }));
            }
            match page.next {
                Some(next) => path = next,
                None => return Ok(Ok(())),
            }
        }
    }

    /// Writes a reading: what is known of the set from now on.
    async fn keep(&self, set: &str, read: Reading, began: Timestamp) -> Result<()> {
        let tenant = self.tenant.0;
        let tx = self.app.db.of(self.tenant).begin().await?;
        self.lease.fence(self.app, &tx).await?;
        // What was read lately is relied on, so it must have been read through what is connected now.
        if connector::find_in(&tx, self.tenant, &self.connector.id).await?.is_none() {
            return Ok(());
        }
        connector::note(&tx, self.connector, began, None).await?;
        let kept = tx
            .execute(
                "update directory_set set name = $3, connector_id = $4, read_at = $5, \
                 members = $6, tried_at = $5, error = null, due_at = $7 \
                 where tenant_no = $1 and id = $2",
                vec![
                    tenant.into(),
                    set.into(),
                    read.name.into(),
                    self.connector.id.clone().into(),
                    began.micros().into(),
                    i64::try_from(read.users.len()).unwrap_or(i64::MAX).into(),
                    began.plus_seconds(EVERY_S).micros().into(),
                ],
            )
            .await?;
        if kept == 0 {
            // Nobody wants to know it any more.
            return Ok(());
        }
        let sql = "select name from directory_member where tenant_no = $1 and set_id = $2";
        let rows = tx.query(sql, vec![tenant.into(), set.into()]).await?;
        let known: Result<BTreeSet<String>> = rows.iter().map(|row| column(row, 0)).collect();
        let known = known?;
        let mut values: Vec<Sql> = Vec::new();
        for name in read.names.difference(&known) {
            let bare = account::bare(name).to_owned();
            values.extend([tenant.into(), set.into(), name.clone().into(), bare.into()]);
        }
        tx.insert_rows(
            "insert into directory_member (tenant_no, set_id, name, bare)",
            4,
            "",
            values,
        )
        .await?;
        let gone: Vec<Sql> =
            known.difference(&read.names).map(|name| name.clone().into()).collect();
        for gone in gone.chunks(1_000) {
            let (among, mut values) = tx.engine().among(3, gone.to_vec());
            values.splice(0..0, [tenant.into(), set.into()]);
            let sql = format!(
                "delete from directory_member where tenant_no = $1 and set_id = $2 and name {among}"
            );
            tx.execute(&sql, values).await?;
        }
        tx.commit().await
    }

    /// Notes why a set was not read; what was read before stays until it is too old.
    async fn note(&self, set: &str, fault: &Fault) -> Result<()> {
        let no = self.tenant.0;
        tracing::warn!(tenant.no = no, set, "a directory was not read: {}", fault.reason);
        let now = self.app.clock.now();
        let tx = self.app.db.of(self.tenant).begin().await?;
        self.lease.fence(self.app, &tx).await?;
        // What is so of one group says nothing of the way there.
        if !fault.lasting {
            connector::note(&tx, self.connector, now, Some(&fault.reason)).await?;
        }
        tx.execute(
            "update directory_set set tried_at = $3, error = $4, due_at = $5 \
             where tenant_no = $1 and id = $2",
            vec![
                no.into(),
                set.into(),
                now.micros().into(),
                fault.reason.clone().into(),
                now.plus_seconds(AGAIN_S).micros().into(),
            ],
        )
        .await?;
        tx.commit().await
    }
}
