//! Applications of one organisation, as its people look after them.

use crate::app::App;
use crate::clock::Timestamp;
use crate::db::column;
use crate::error::{Error, Result};
use crate::event::Fact;
use crate::id::TenantNo;
use crate::permission::Permission;
use crate::tenant::Credentials;
use crate::tenant::caller::Caller;
use crate::tx::Tx;

/// An application, without its secret.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its id.
    pub client_id: String,
    /// Its name.
    pub name: String,
    /// What it may do.
    pub permissions: Vec<String>,
    /// When it was added.
    pub created: Timestamp,
    /// When it last asked for a token.
    pub used: Option<Timestamp>,
}

fn number(organisation: TenantNo) -> Option<i64> {
    (organisation != TenantNo::PROVIDER).then_some(organisation.0)
}

/// The permissions an application of this organisation can hold.
pub fn choices(organisation: TenantNo) -> impl Iterator<Item = Permission> {
    let provider = organisation == TenantNo::PROVIDER;
    Permission::of_apps().filter(move |permission| match permission {
        Permission::Experts => provider,
        // The provider has no alerts of its own.
        Permission::AlertIngest => !provider,
        _ => true,
    })
}

/// The applications of the caller's organisation, by name.
pub async fn list(app: &App, caller: &Caller) -> Result<Vec<Listed>> {
    caller.require(&[Permission::AppRead])?;
    let organisation = caller.seat()?.organisation;
    let rows = app
        .db
        .shared()
        .query(
            "select client_id, name, permissions, created_at, used_at from app \
             where coalesce(tenant_no, 0) = $1 order by name, client_id",
            vec![organisation.0.into()],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let words: String = column(row, 2)?;
            Ok(Listed {
                client_id: column(row, 0)?,
                name: column(row, 1)?,
                permissions: words.split(' ').map(str::to_owned).collect(),
                created: Timestamp::from_micros(column(row, 3)?),
                used: column::<Option<i64>>(row, 4)?.map(Timestamp::from_micros),
            })
        })
        .collect()
}

/// Lets an application of the caller's organisation sign in; the secret is shown this once.
pub async fn add(
    app: &App,
    caller: &Caller,
    name: &str,
    permissions: &[Permission],
) -> Result<Credentials> {
    let organisation = changer(app, caller)?;
    let name = super::named("application", name)?;
    if permissions.is_empty() {
        return Err(Error::Invalid(format!("application {name} has no permission")));
    }
    let choices: Vec<Permission> = choices(organisation).collect();
    if let Some(foreign) = permissions.iter().find(|permission| !choices.contains(permission)) {
        return Err(Error::Invalid(format!(
            "{foreign} is not for applications of this organisation"
        )));
    }
    let client_id = app.random.uuid()?;
    let client_secret = app.random.secret()?;
    let words: Vec<String> = permissions.iter().map(ToString::to_string).collect();
    let mut tx = Tx::begin(app, organisation, caller.actor()).await?;
    tx.execute(
        "insert into app (client_id, tenant_no, name, secret_hash, permissions, created_at) \
         values ($1, $2, $3, $4, $5, $6)",
        vec![
            client_id.clone().into(),
            number(organisation).into(),
            name.into(),
            super::hash(&client_secret).into(),
            words.join(" ").into(),
            tx.now().micros().into(),
        ],
    )
    .await?;
    tx.record(Fact::AppAdded {
        client_id: client_id.clone(),
        name: name.to_owned(),
        permissions: words,
    });
    tx.commit().await?;
    let tenant_id = app.tenant_id(organisation).await?.to_string();
    Ok(Credentials { client_id, client_secret, tenant_id })
}

fn changer(app: &App, caller: &Caller) -> Result<TenantNo> {
    caller.require(&[Permission::AppReadWrite])?;
    caller.require_step_up(app.clock.now())?;
    Ok(caller.seat()?.organisation)
}

async fn name_of(tx: &Tx, organisation: TenantNo, client_id: &str) -> Result<String> {
    let row = tx
        .query_one(
            "select name from app where client_id = $1 and coalesce(tenant_no, 0) = $2",
            vec![client_id.into(), organisation.0.into()],
        )
        .await?;
    let row = row.ok_or_else(|| Error::NotFound("the application does not exist".to_owned()))?;
    column(&row, 0)
}

/// Gives an application a new secret; the old one no longer works.
pub async fn renew(app: &App, caller: &Caller, client_id: &str) -> Result<Credentials> {
    let organisation = changer(app, caller)?;
    let client_secret = app.random.secret()?;
    let mut tx = Tx::begin(app, organisation, caller.actor()).await?;
    let name = name_of(&tx, organisation, client_id).await?;
    tx.execute(
        "update app set secret_hash = $2 where client_id = $1",
        vec![client_id.into(), super::hash(&client_secret).into()],
    )
    .await?;
    tx.record(Fact::AppSecretChanged { client_id: client_id.to_owned(), name });
    tx.commit().await?;
    let tenant_id = app.tenant_id(organisation).await?.to_string();
    Ok(Credentials { client_id: client_id.to_owned(), client_secret, tenant_id })
}

/// Ends an application: its secret and, within a second, its tokens no longer count.
pub async fn remove(app: &App, caller: &Caller, client_id: &str) -> Result<()> {
    let organisation = changer(app, caller)?;
    let mut tx = Tx::begin(app, organisation, caller.actor()).await?;
    let name = name_of(&tx, organisation, client_id).await?;
    tx.execute("delete from app where client_id = $1", vec![client_id.into()]).await?;
    tx.record(Fact::AppRemoved { client_id: client_id.to_owned(), name });
    tx.commit().await
}
