//! Users excluded by what a directory says of them: by a group (EXC-1), or because they are of high
//! value (EXC-3).
//!
//! Invariant: where that counts and the directory's word is missing or too old, experts act on no user
//! at all, since it may be any. It is asked in the transaction that sends, like every exclusion.

use crate::app::App;
use crate::asset::account::{self, Account, Mark};
use crate::clock::Timestamp;
use crate::connector::{self, Connector};
use crate::coverage;
use crate::db::{Transaction, column};
use crate::directory::{self, ROLES, Set};
use crate::error::{Error, Result};
use crate::id::TenantNo;
use crate::tenant::caller::Caller;

/// The switch that excludes all users of high value.
pub const HIGH_VALUE_USERS: &str = "highValueUsers";
/// The kind of an exclusion of a group of users.
pub const USER_GROUP: &str = "userGroup";

/// Whether a user is of high value: the customer marked it, or it holds a directory role as far as the
/// directory was ever read.
pub(super) async fn is_high_value(tx: &Transaction, tenant: TenantNo, user: &str) -> Result<bool> {
    Ok(account::is_marked(tx, tenant, user).await?
        || directory::of_user(tx, tenant, user).await?.contains(ROLES))
}

/// What makes a user one of high value, for its page: that the customer marked this very name, and
/// whether it holds a directory role.
pub async fn high_value_of(app: &App, it: &Account) -> Result<(Option<Mark>, bool)> {
    let tx = app.db.of(it.tenant).snapshot().await?;
    let role = directory::of_user(&tx, it.tenant, &it.name).await?.contains(ROLES);
    Ok((account::mark_in(&tx, it.tenant, &it.name).await?, role))
}

/// Why experts leave a user alone for what a directory says; `None` when they need not.
pub(super) async fn excluded(
    tx: &Transaction,
    tenant: TenantNo,
    user: &str,
    now: Timestamp,
) -> Result<Option<String>> {
    let sql = "select kind, name, name_key from exclusion where tenant_no = $1 \
               and kind in ('userGroup', 'highValueUsers') order by kind, name_key";
    let rows = tx.query(sql, vec![tenant.0.into()]).await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let sets = directory::sets(tx, tenant).await?;
    let of = directory::of_user(tx, tenant, user).await?;
    let connector = connector::directory_in(tx, tenant).await?;
    let mut unknown = None;
    for row in rows {
        let (kind, name, key): (String, String, String) =
            (column(&row, 0)?, column(&row, 1)?, column(&row, 2)?);
        let switch = kind == HIGH_VALUE_USERS;
        let id = if switch { ROLES } else { key.as_str() };
        let set = sets.iter().find(|set| set.id == id);
        let name = set.map_or(name.as_str(), |set| called(set, &name));
        if of.contains(id) || (switch && account::is_marked(tx, tenant, user).await?) {
            return Ok(Some(if switch {
                "users of high value are excluded".to_owned()
            } else {
                format!("a member of the user group {name} is excluded")
            }));
        }
        if let Some(doubt) = doubt(set, connector.as_ref(), now) {
            let whose = if switch {
                "all users of high value are excluded, and who holds a directory role is not known"
                    .to_owned()
            } else {
                format!("the user group {name} is excluded, and who is in it is not known")
            };
            unknown.get_or_insert(format!("{whose}, so experts act on no user: {doubt}"));
        }
    }
    Ok(unknown)
}

fn doubt(set: Option<&Set>, connector: Option<&Connector>, now: Timestamp) -> Option<String> {
    set.map_or_else(|| Some("it was never read".to_owned()), |set| set.doubt(connector, now))
}

/// Exclusions of users of which nobody knows at this moment whom they mean, each with why: until that is
/// known experts act on no user.
pub async fn doubts(tx: &Transaction, tenant: TenantNo, now: Timestamp) -> Result<Vec<String>> {
    let sql = "select kind, name, name_key from exclusion where tenant_no = $1 \
               and kind in ('userGroup', 'highValueUsers') order by kind, name_key";
    let rows = tx.query(sql, vec![tenant.0.into()]).await?;
    let sets = directory::sets(tx, tenant).await?;
    let connector = connector::directory_in(tx, tenant).await?;
    let mut doubts = Vec::new();
    for row in rows {
        let (kind, name, key): (String, String, String) =
            (column(&row, 0)?, column(&row, 1)?, column(&row, 2)?);
        let switch = kind == HIGH_VALUE_USERS;
        let set = sets.iter().find(|set| set.id == if switch { ROLES } else { key.as_str() });
        if let Some(doubt) = doubt(set, connector.as_ref(), now) {
            let what =
                if switch { "directory roles" } else { set.map_or(&*name, |it| called(it, &name)) };
            doubts.push(format!("{what}: {doubt}"));
        }
    }
    Ok(doubts)
}

fn called<'a>(set: &'a Set, otherwise: &'a str) -> &'a str {
    if set.name.is_empty() { otherwise } else { &set.name }
}

/// What is known of the sets that exclusions go by: each with why it is not to be relied on.
pub async fn readings(app: &App, tenant: TenantNo) -> Result<Vec<(Set, Option<String>)>> {
    let tx = app.db.of(tenant).snapshot().await?;
    let connector = connector::directory_in(&tx, tenant).await?;
    let now = app.clock.now();
    let sets = directory::sets(&tx, tenant).await?.into_iter();
    Ok(sets
        .map(|set| {
            let doubt = set.doubt(connector.as_ref(), now);
            (set, doubt)
        })
        .collect())
}

/// Why no group of users can be excluded now; `None` when one can.
pub async fn why_no_groups(app: &App, tenant: TenantNo) -> Result<Option<String>> {
    let found = connector::directory_in(&app.db.of(tenant).snapshot().await?, tenant).await?;
    Ok(found.is_none().then(|| directory::not_connected().to_string()))
}

/// Excludes the members of a group of the customer's directory, whoever they are at any time.
///
/// # Errors
/// `Conflict` when no directory is connected, or with why it does not tell.
pub async fn exclude_group(
    app: &App,
    caller: &Caller,
    group: &str,
    because: Option<String>,
) -> Result<String> {
    // Its name is the directory's word, not the caller's. Nothing outside is asked inside a change.
    let group = directory::group(app, caller, group).await?;
    if group.hidden {
        return Err(Error::Invalid(format!(
            "the group {} hides its members, so that nobody could tell who is in it",
            group.name
        )));
    }
    let named = (USER_GROUP, group.name.as_str(), group.id.as_str());
    coverage::write(app, caller, named, because).await
}
