//! Tokens that let agents enrol: of one customer, for a while, for as many agents as show one.
//!
//! Only a token's hash is stored. It is looked up before anybody knows whose it is, so its table is
//! not behind the walls. A token says where a device belongs and nothing else: what it enrolled
//! stays when the token ends.

use crate::actor::Actor;
use crate::app::App;
use crate::clock::Timestamp;
use crate::db::column;
use crate::error::{Error, Result};
use crate::event::Fact;
use crate::id::TenantNo;
use crate::permission::Permission;
use crate::tenant;
use crate::tenant::caller::Caller;
use crate::tx::Tx;

/// How long a token is valid when nobody says otherwise, in hours.
pub const HOURS: i64 = 24;
/// The longest, in hours.
pub const MOST_HOURS: i64 = 720;
/// Tokens of one customer that are valid at once.
const MOST: i64 = 100;
/// What every token begins with: a secret can be recognised where it should not be, and none begins
/// with a hyphen, which a command line would take for a flag.
const MARK: &str = "rpa_";

/// A new token; shown this once.
#[derive(Debug)]
pub struct Issued {
    /// Its id.
    pub id: String,
    /// The token.
    pub token: String,
    /// Until when it is valid.
    pub until: Timestamp,
}

/// A valid token, without its secret.
#[derive(Debug)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// Who made it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Until when it is valid.
    pub until: Timestamp,
    /// How many agents enrolled with it.
    pub uses: i64,
}

/// Makes a token for the caller's own tenant.
pub async fn add(app: &App, caller: &Caller, hours: Option<i64>) -> Result<Issued> {
    let tenant = administers(caller)?;
    caller.require_step_up(app.clock.now())?;
    make(app, tenant, caller.actor(), hours).await
}

/// Makes a token by a command.
pub async fn add_by_command(app: &App, tenant: &str, hours: Option<i64>) -> Result<Issued> {
    let tenant = tenant::find(app, &tenant.to_ascii_lowercase()).await?;
    make(app, tenant.no, Actor::system("riposte"), hours).await
}

fn administers(caller: &Caller) -> Result<TenantNo> {
    caller.require(&[Permission::DeviceReadWrite])?;
    caller.own_tenant()
}

async fn make(app: &App, tenant: TenantNo, by: Actor, hours: Option<i64>) -> Result<Issued> {
    let hours = hours.unwrap_or(HOURS);
    if !(1..=MOST_HOURS).contains(&hours) {
        return Err(Error::Invalid(format!("a token is valid for 1 to {MOST_HOURS} hours")));
    }
    let id = app.random.uuid()?;
    let token = format!("{MARK}{}", app.random.secret()?);
    let mut tx = Tx::begin(app, tenant, by).await?;
    let until = tx.now().plus_seconds(hours * 3_600);
    let row = tx
        .query_one(
            "select count(*) from agent_token where tenant_no = $1 and expires_at > $2 \
             and revoked_at is null",
            vec![tenant.0.into(), tx.now().micros().into()],
        )
        .await?;
    if row.map_or(Ok(0), |row| column::<i64>(&row, 0))? >= MOST {
        return Err(Error::Conflict(format!(
            "{MOST} tokens are valid already: remove some of them first"
        )));
    }
    tx.execute(
        "insert into agent_token (id, token_hash, tenant_no, created_by, created_at, expires_at, \
         uses) values ($1, $2, $3, $4, $5, $6, 0)",
        vec![
            id.clone().into(),
            tenant::hash(&token).into(),
            tenant.0.into(),
            tx.actor().name.clone().into(),
            tx.now().micros().into(),
            until.micros().into(),
        ],
    )
    .await?;
    tx.record(Fact::AgentTokenAdded { token: id.clone(), until });
    tx.commit().await?;
    Ok(Issued { id, token, until })
}

/// The valid tokens of the caller's own tenant, the newest first.
pub async fn list(app: &App, caller: &Caller) -> Result<Vec<Listed>> {
    let tenant = administers(caller)?;
    let rows = app
        .db
        .of(tenant)
        .query(
            "select id, created_by, created_at, expires_at, uses from agent_token \
             where tenant_no = $1 and expires_at > $2 and revoked_at is null \
             order by created_at desc, id",
            vec![tenant.0.into(), app.clock.now().micros().into()],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Listed {
                id: column(row, 0)?,
                by: column(row, 1)?,
                at: Timestamp::from_micros(column(row, 2)?),
                until: Timestamp::from_micros(column(row, 3)?),
                uses: column(row, 4)?,
            })
        })
        .collect()
}

/// Ends a token. What it enrolled stays.
pub async fn remove(app: &App, caller: &Caller, id: &str) -> Result<()> {
    let tenant = administers(caller)?;
    let mut tx = Tx::begin(app, tenant, caller.actor()).await?;
    let ended = tx
        .execute(
            "update agent_token set revoked_at = $3 \
             where id = $1 and tenant_no = $2 and revoked_at is null",
            vec![id.into(), tenant.0.into(), tx.now().micros().into()],
        )
        .await?;
    if ended == 0 {
        return Err(Error::NotFound("the token does not exist".to_owned()));
    }
    tx.record(Fact::AgentTokenRemoved { token: id.to_owned() });
    tx.commit().await
}

/// The id and the tenant of a token that is valid now.
pub(super) async fn look_up(app: &App, token: &str) -> Result<Option<(String, TenantNo)>> {
    let row = app
        .db
        .shared()
        .query_one(
            "select id, tenant_no from agent_token where token_hash = $1 and expires_at > $2 \
             and revoked_at is null",
            vec![tenant::hash(token).into(), app.clock.now().micros().into()],
        )
        .await?;
    row.map(|row| Ok((column(&row, 0)?, TenantNo(column(&row, 1)?)))).transpose()
}

/// Counts a use, inside the change that enrols; says whether the token is still valid.
pub(super) async fn count_use(tx: &Tx, id: &str) -> Result<bool> {
    let counted = tx
        .execute(
            "update agent_token set uses = uses + 1 \
             where id = $1 and expires_at > $2 and revoked_at is null",
            vec![id.into(), tx.now().micros().into()],
        )
        .await?;
    Ok(counted == 1)
}
