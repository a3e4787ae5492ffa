//! What is known of a customer's directory: who is in a group of users, and who holds a directory role
//! (EXC-1, EXC-3).
//!
//! A **set** is a group that somebody wants to know the members of, or everybody who holds a role. It is
//! read in the background (`read`) and relied on for an hour. Invariants: what is known of a set is one
//! reading, whole, through the connector that the customer has now; what was read longer ago, through
//! another connector or never is no knowledge, and [`Set::doubt`] says which; a reading that fails
//! leaves the one before as it is. A user is in a set when one of its names may be one of the set's
//! (`incident::account::may_be_same`): better held back than forgotten. Not here: what follows for
//! experts (`coverage`), how a product is asked (`connector`).

mod read;

pub use read::{run, tick};

use std::collections::BTreeSet;

use sea_orm::{QueryResult, Value as Sql};

use crate::app::App;
use crate::clock::Timestamp;
use crate::connector::{self, Connector, Group, Lines};
use crate::db::{Transaction, column};
use crate::error::{Error, Result};
use crate::id::TenantNo;
use crate::incident::account;
use crate::permission::Permission;
use crate::tenant::caller::Caller;

/// The set of those who hold a directory role.
pub const ROLES: &str = "directoryRoles";
/// For how long a reading is relied on, in seconds.
pub const RELIED_S: i64 = 3_600;
/// Groups a customer may want to know the members of.
pub const MOST_GROUPS: i64 = 100;
/// The longest text somebody looks for, in characters.
const LONGEST_SEARCH: usize = 256;

/// A set, and what is known of the knowledge of it.
#[derive(Clone, Debug)]
pub struct Set {
    /// The group's id in the directory, or [`ROLES`].
    pub id: String,
    /// What it was called when it was last read.
    pub name: String,
    /// Through which connector it was read.
    connector: Option<String>,
    /// When the last reading that succeeded began.
    pub read: Option<Timestamp>,
    /// How many users it has.
    pub members: i64,
    /// Why the last reading did not succeed.
    pub error: Option<String>,
}

const COLUMNS: &str = "id, name, connector_id, read_at, members, error";

impl Set {
    fn from_row(row: &QueryResult) -> Result<Self> {
        Ok(Self {
            id: column(row, 0)?,
            name: column(row, 1)?,
            connector: column(row, 2)?,
            read: column::<Option<i64>>(row, 3)?.map(Timestamp::from_micros),
            members: column(row, 4)?,
            error: column(row, 5)?,
        })
    }

    /// Why nobody knows at this moment who is in it; `None` when that is known.
    #[must_use]
    pub fn doubt(&self, connector: Option<&Connector>, now: Timestamp) -> Option<String> {
        let Some(connector) = connector else {
            return Some("no directory is connected any more: connect Microsoft Graph".to_owned());
        };
        let told = self.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        match self.read {
            None => Some(format!("it was never read{told}")),
            Some(_) if self.connector.as_ref() != Some(&connector.id) => {
                Some(format!("it was not read yet through {}{told}", connector.name))
            }
            Some(read) if read.plus_seconds(RELIED_S) <= now => {
                Some(format!("it was last read more than an hour ago{told}"))
            }
            Some(_) => None,
        }
    }
}

/// Wants a set to be known from now on; it is read as soon as may be.
pub async fn want(
    tx: &Transaction,
    tenant: TenantNo,
    (id, name): (&str, &str),
    now: Timestamp,
) -> Result<()> {
    tx.execute(
        "insert into directory_set (tenant_no, id, name, members, due_at) \
         values ($1, $2, $3, 0, $4) on conflict do nothing",
        vec![tenant.0.into(), id.into(), name.into(), now.micros().into()],
    )
    .await?;
    Ok(())
}

/// Does not want to know a set any more.
pub async fn forget(tx: &Transaction, tenant: TenantNo, id: &str) -> Result<()> {
    // The set first: a reading that is being written waits for it, and finds nothing to write to.
    let values: Vec<Sql> = vec![tenant.0.into(), id.into()];
    let sql = "delete from directory_set where tenant_no = $1 and id = $2";
    tx.execute(sql, values.clone()).await?;
    let sql = "delete from directory_member where tenant_no = $1 and set_id = $2";
    tx.execute(sql, values).await?;
    Ok(())
}

/// A tenant's sets.
pub async fn sets(tx: &Transaction, tenant: TenantNo) -> Result<Vec<Set>> {
    let sql = format!("select {COLUMNS} from directory_set where tenant_no = $1 order by id");
    let rows = tx.query(&sql, vec![tenant.0.into()]).await?;
    rows.iter().map(Set::from_row).collect()
}

/// The ids of the sets that a user is in, as each was last read.
pub async fn of_user(tx: &Transaction, tenant: TenantNo, user: &str) -> Result<BTreeSet<String>> {
    let user = account::name(user);
    let rows = tx
        .query(
            "select set_id, name from directory_member where tenant_no = $1 and bare = $2",
            vec![tenant.0.into(), account::bare(&user).into()],
        )
        .await?;
    let mut found = BTreeSet::new();
    for row in rows {
        if account::may_be_same(&user, &column::<String>(&row, 1)?) {
            found.insert(column(&row, 0)?);
        }
    }
    Ok(found)
}

/// How the caller's directory is reached.
async fn connected(app: &App, tenant: TenantNo) -> Result<Connector> {
    let found = connector::directory_in(&app.db.of(tenant).snapshot().await?, tenant).await?;
    found.ok_or_else(not_connected)
}

/// What is said where a directory is needed and there is none.
#[must_use]
pub fn not_connected() -> Error {
    Error::Conflict(
        "no directory is connected that says who is in a group: connect Microsoft Graph under \
         Settings > Connectors first"
            .to_owned(),
    )
}

/// Security groups of the directory of the caller's organisation whose name begins with a text.
///
/// # Errors
/// `Conflict` when no directory is connected, or with why it does not tell.
pub async fn search(app: &App, caller: &Caller, begins: &str) -> Result<Vec<Group>> {
    caller.require(&[Permission::ExclusionReadWrite])?;
    let begins = begins.trim();
    if begins.chars().count() > LONGEST_SEARCH || begins.chars().any(char::is_control) {
        return Err(Error::Invalid(format!("search has at most {LONGEST_SEARCH} characters")));
    }
    let connector = connected(app, caller.own_tenant()?).await?;
    let lines = Lines::default();
    let found = async { lines.open(app, &connector).await?.find_groups(app, begins).await }.await;
    found.map_err(|fault| Error::Conflict(fault.reason))
}

/// A group as the directory of the caller's organisation knows it now.
///
/// # Errors
/// `Conflict` when no directory is connected, or with why it does not tell.
pub async fn group(app: &App, caller: &Caller, id: &str) -> Result<Group> {
    caller.require(&[Permission::ExclusionReadWrite])?;
    let id = connector::group_id(id).map_err(Error::Invalid)?;
    let connector = connected(app, caller.own_tenant()?).await?;
    let lines = Lines::default();
    let found = async { lines.open(app, &connector).await?.group(app, &id).await }.await;
    found.map_err(|fault| Error::Conflict(fault.reason))
}
