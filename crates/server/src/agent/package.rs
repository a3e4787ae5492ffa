//! Files that agents send: investigation packages and collected files, each a zip.
//!
//! A package is taken for an order of this very agent that is under way, and for nothing else. It
//! comes in pieces, each its own change, so that no change waits for a slow device; only a package
//! that came whole is seen by anybody, and it replaces what was sent for the order before. What
//! stopped half-way is removed a day later, the rest after as many days as the operator keeps it; that
//! somebody was given one is written down first.

use sha2::{Digest, Sha256};

use crate::agent::Agent;
use crate::app::App;
use crate::clock::Timestamp;
use crate::db::column;
use crate::error::{Error, Result};
use crate::event::Fact;
use crate::id::{ActionId, IncidentId, TenantNo};
use crate::permission::Permission;
use crate::tenant::caller::Caller;
use crate::tx::Tx;

/// The largest package, in bytes.
pub const LARGEST: u64 = 512 * 1024 * 1024;
/// Bytes of a piece.
const PIECE: usize = 1024 * 1024;
/// After how many seconds a package that never became whole is removed.
const STALE_S: i64 = 86_400;

/// A package on its way in.
pub struct Incoming {
    app: App,
    tenant: TenantNo,
    device: i64,
    order: String,
    id: String,
    piece: Vec<u8>,
    pieces: i64,
    size: u64,
    hash: Sha256,
}

/// Begins to take a package in.
///
/// # Errors
/// `NotFound` when the agent has no such order, `Conflict` when it is no longer under way.
pub async fn begin(app: &App, agent: &Agent, order: &str) -> Result<Incoming> {
    let row = app
        .db
        .of(agent.tenant)
        .query_one(
            "select action.state from attempt join action on action.id = attempt.action_id \
             where attempt.order_id = $1 and attempt.agent_id = $2 and action.device_no = $3 \
             and action.tenant_no = $4",
            vec![
                order.into(),
                agent.id.clone().into(),
                agent.device.0.into(),
                agent.tenant.0.into(),
            ],
        )
        .await?;
    let row = row.ok_or_else(|| Error::NotFound("the order does not exist".to_owned()))?;
    if !matches!(column::<String>(&row, 0)?.as_str(), "started" | "unknown") {
        return Err(Error::Conflict(format!("the order {order} is not under way any more")));
    }
    let id = app.random.uuid()?;
    let tx = app.db.of(agent.tenant).begin().await?;
    tx.execute(
        "insert into package (id, tenant_no, order_id, device_no, size, sha256, created_at) \
         values ($1, $2, $3, $4, 0, '', $5)",
        vec![
            id.clone().into(),
            agent.tenant.0.into(),
            order.into(),
            agent.device.0.into(),
            app.clock.now().micros().into(),
        ],
    )
    .await?;
    tx.commit().await?;
    Ok(Incoming {
        app: app.clone(),
        tenant: agent.tenant,
        device: agent.device.0,
        order: order.to_owned(),
        id,
        piece: Vec::new(),
        pieces: 0,
        size: 0,
        hash: Sha256::new(),
    })
}

impl Incoming {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// `Invalid` when they are none of a zip, or more than [`LARGEST`].
    pub async fn take(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.size += bytes.len() as u64;
        if self.size > LARGEST {
            return Err(Error::Invalid(format!("a package has at most {LARGEST} bytes")));
        }
        self.hash.update(bytes);
        while !bytes.is_empty() {
            let room = PIECE.saturating_sub(self.piece.len()).min(bytes.len());
            let (now, later) = bytes.split_at(room);
            self.piece.extend_from_slice(now);
            bytes = later;
            if self.piece.len() >= PIECE {
                self.keep().await?;
            }
        }
        Ok(())
    }

    async fn keep(&mut self) -> Result<()> {
        if self.pieces == 0 && !is_zip(&self.piece) {
            return Err(Error::Invalid("a package is a zip".to_owned()));
        }
        let bytes = std::mem::take(&mut self.piece);
        let tx = self.app.db.of(self.tenant).begin().await?;
        tx.execute(
            "insert into package_part (package_id, number, bytes) values ($1, $2, $3)",
            vec![self.id.clone().into(), self.pieces.into(), bytes.into()],
        )
        .await?;
        tx.commit().await?;
        self.pieces += 1;
        Ok(())
    }

    /// All of it is there: gives its size and SHA-256 when it is on disk.
    pub async fn finish(mut self) -> Result<(u64, String)> {
        if !self.piece.is_empty() || self.pieces == 0 {
            self.keep().await?;
        }
        let sha256 = hex::encode(self.hash.finalize());
        let tx = self.app.db.of(self.tenant).begin().await?;
        tx.execute(
            "delete from package_part where package_id in \
             (select id from package where order_id = $1 and device_no = $2 and id <> $3)",
            vec![self.order.clone().into(), self.device.into(), self.id.clone().into()],
        )
        .await?;
        tx.execute(
            "delete from package where order_id = $1 and device_no = $2 and id <> $3",
            vec![self.order.into(), self.device.into(), self.id.clone().into()],
        )
        .await?;
        let whole = tx
            .execute(
                "update package set size = $2, sha256 = $3, whole_at = $4 where id = $1",
                vec![
                    self.id.into(),
                    i64::try_from(self.size).unwrap_or(i64::MAX).into(),
                    sha256.clone().into(),
                    self.app.clock.now().micros().into(),
                ],
            )
            .await?;
        if whole == 0 {
            // The same package was sent twice at once, and the other one came whole first.
            return Err(Error::Conflict("the package was sent again meanwhile".to_owned()));
        }
        tx.commit().await?;
        Ok((self.size, sha256))
    }

    /// Forgets what came so far.
    pub async fn give_up(self) -> Result<()> {
        let tx = self.app.db.of(self.tenant).begin().await?;
        for sql in
            ["delete from package_part where package_id = $1", "delete from package where id = $1"]
        {
            tx.execute(sql, vec![self.id.clone().into()]).await?;
        }
        tx.commit().await
    }
}

/// Whether these bytes begin a zip, be it one without a file.
fn is_zip(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06")
}

/// A package that came whole.
#[derive(Clone, Debug)]
pub struct Package {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub tenant: TenantNo,
    /// The action it was collected by.
    pub action: ActionId,
    /// For which incident.
    pub incident: Option<IncidentId>,
    /// The name of the device it is of.
    pub device: String,
    /// Its bytes.
    pub size: u64,
    /// Its SHA-256 in hexadecimal.
    pub sha256: String,
    /// When it came.
    pub at: Timestamp,
}

/// The newest package of an action within the caller's reach.
///
/// # Errors
/// `NotFound` for unknown and foreign actions alike, and for those without a package.
pub async fn find(app: &App, caller: &Caller, action: Option<ActionId>) -> Result<Package> {
    caller.require(&[Permission::DeviceRead])?;
    let unknown = || Error::NotFound("the action does not exist".to_owned());
    let action = action.ok_or_else(unknown)?;
    let scope = caller.view(app);
    let sql = "select tenant_no from action where id = $1";
    let row = scope.query_one(sql, vec![action.0.into()]).await?;
    let tenant = row.map(|row| column(&row, 0).map(TenantNo)).transpose()?;
    let tenant = tenant.filter(|no| caller.queue.includes(*no)).ok_or_else(unknown)?;
    caller.require_inside(app, tenant, unknown()).await?;
    let row = app
        .db
        .of(tenant)
        .query_one(
            "select package.id, device.name, package.size, package.sha256, package.whole_at, \
             action.incident_id from attempt join action on action.id = attempt.action_id \
             join package on package.order_id = attempt.order_id \
             join device on device.no = package.device_no \
             where attempt.action_id = $1 and package.tenant_no = $2 \
             and package.whole_at is not null order by package.whole_at desc limit 1",
            vec![action.0.into(), tenant.0.into()],
        )
        .await?;
    let row = row.ok_or_else(|| Error::NotFound(format!("the action {action} has no package")))?;
    Ok(Package {
        id: column(&row, 0)?,
        tenant,
        action,
        incident: column::<Option<i64>>(&row, 5)?.map(IncidentId),
        device: column(&row, 1)?,
        size: u64::try_from(column::<i64>(&row, 2)?).unwrap_or_default(),
        sha256: column(&row, 3)?,
        at: Timestamp::from_micros(column(&row, 4)?),
    })
}

/// Writes down that the caller is given a package, before it is.
pub async fn note_taken(app: &App, caller: &Caller, package: &Package) -> Result<()> {
    let mut tx = Tx::begin(app, package.tenant, caller.actor()).await?;
    tx.record(Fact::PackageTaken {
        incident: package.incident,
        action: package.action,
        sha256: package.sha256.clone(),
        bytes: package.size,
    });
    tx.commit().await
}

/// A piece of a package, from 0; `None` behind the last.
pub async fn piece(app: &App, package: &Package, number: i64) -> Result<Option<Vec<u8>>> {
    let sql = "select bytes from package_part where package_id = $1 and number = $2";
    let values = vec![package.id.clone().into(), number.into()];
    let row = app.db.of(package.tenant).query_one(sql, values).await?;
    row.map(|row| column(&row, 0)).transpose()
}

/// Removes what never became whole, and what was kept for as long as the operator wants.
pub async fn tidy(app: &App) -> Result<()> {
    let now = app.clock.now();
    let stale = now.plus_seconds(-STALE_S).micros();
    let kept = i64::from(app.config.packages.days).saturating_mul(86_400);
    let old = now.plus_seconds(-kept).micros();
    let scope = app.db.whole("packages whose time is over");
    let sql = "select id from package where (whole_at is null and created_at < $1) \
               or whole_at < $2 order by created_at limit 20";
    for row in scope.query(sql, vec![stale.into(), old.into()]).await? {
        // Each by itself: its pieces are large.
        let id: String = column(&row, 0)?;
        let tx = scope.begin().await?;
        for sql in
            ["delete from package_part where package_id = $1", "delete from package where id = $1"]
        {
            tx.execute(sql, vec![id.clone().into()]).await?;
        }
        tx.commit().await?;
    }
    Ok(())
}
