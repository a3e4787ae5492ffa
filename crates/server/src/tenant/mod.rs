//! Customers, the provider, their applications and invited people.
//!
//! A tenant is a customer. One provider runs the installation; its experts reach a tenant only
//! while that tenant's grant (`experts`) is `reader` or `operator`. Applications belong to one
//! tenant or to the provider. Invariants: an application's secret is stored as a hash only; every
//! change here leaves a leaf in the ledger of the tenant it is in, or in the provider's own.
//! Not here: what a caller may do with incidents and alerts (see `caller`, `permission`).

pub mod apps;
pub mod caller;
pub mod grant;
pub mod invitation;
pub mod stage;
pub mod token;

use sha2::{Digest, Sha256};

use crate::actor::Actor;
use crate::app::App;
use crate::clock::Timestamp;
use crate::db::{Transaction, column};
use crate::error::{Error, Result};
use crate::event::{Event, Fact};
use crate::id::TenantNo;
use crate::ledger::Ledger;
use crate::permission::{Party, Permission, Role};
use crate::tenant::invitation::{Invitation, Invited};
use crate::tenant::stage::Stage;

/// How far the provider's experts may go in a tenant (PER-2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExpertAccess {
    /// Not at all.
    None,
    /// *Investigate incidents and guide my responses*.
    Reader,
    /// *Respond directly to active threats*.
    Operator,
}

impl ExpertAccess {
    /// The word stored and shown.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Reader => "reader",
            Self::Operator => "operator",
        }
    }

    /// The level of a word.
    #[must_use]
    pub fn read(word: &str) -> Option<Self> {
        [Self::None, Self::Reader, Self::Operator].into_iter().find(|it| it.word() == word)
    }

    /// More is further.
    #[must_use]
    pub fn rank(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Reader => 1,
            Self::Operator => 2,
        }
    }
}

/// A tenant as its row has it.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// The number inside this store.
    pub no: TenantNo,
    /// The public id, a UUID.
    pub id: String,
    /// The customer's name.
    pub name: String,
}

/// Who a new application or person belongs to.
#[derive(Clone, Copy, Debug)]
pub enum Side<'a> {
    /// One customer, by its public id.
    Tenant(&'a str),
    /// The provider.
    Provider,
}

/// A new application's credentials; the secret is shown this once.
#[derive(Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    /// The application's id, a UUID.
    pub client_id: String,
    /// The secret.
    pub client_secret: String,
    /// The tenant whose token endpoint it uses; the provider's own id for an expert-side one.
    pub tenant_id: String,
}

/// Names the provider and invites its first administrator. Once only.
pub async fn init(app: &App, provider: &str, email: &str) -> Result<(String, String)> {
    let provider = named("provider", provider)?;
    let invited = Invited::read(app, Party::Provider, email, Role::ProviderAdministrator.name())?;
    let id = app.random.uuid()?;
    let now = app.clock.now();
    let tx = app.db.of(TenantNo::PROVIDER).begin().await?;
    let set = tx
        .execute(
            "insert into setting (name, value) values ('provider.id', $1) \
             on conflict (name) do nothing",
            vec![id.clone().into()],
        )
        .await?;
    if set == 0 {
        return Err(Error::Conflict("this store has a provider already".to_owned()));
    }
    tx.execute(
        "insert into setting (name, value) values ('provider.name', $1)",
        vec![provider.into()],
    )
    .await?;
    let link = invited.write(&tx, TenantNo::PROVIDER, "riposte", now).await?;
    let named = Fact::ProviderNamed { provider: id.clone(), name: provider.to_owned() };
    record(&tx, None, now, vec![named, link.fact.clone()]).await?;
    tx.commit().await?;
    Ok((id, link.url(app)))
}

/// The provider's id and name, when [`init`] has run.
pub async fn provider(app: &App) -> Result<Option<(String, String)>> {
    let rows = app
        .db
        .shared()
        .query("select value from setting where name like 'provider.%' order by name", vec![])
        .await?;
    match rows.as_slice() {
        [id, name] => Ok(Some((column(id, 0)?, column(name, 0)?))),
        _ => Ok(None),
    }
}

/// Adds a customer, by a command; it is active at once.
pub async fn add(app: &App, name: &str, experts: ExpertAccess) -> Result<Tenant> {
    add_by(app, &Actor::system("riposte"), name, (experts, Stage::Active)).await
}

/// Adds a customer at a stage.
pub async fn add_by(
    app: &App,
    actor: &Actor,
    name: &str,
    (experts, stage): (ExpertAccess, Stage),
) -> Result<Tenant> {
    let name = named("tenant", name)?;
    let id = app.random.uuid()?;
    let now = app.clock.now();
    let no = TenantNo(app.reserve_ids("tenant", 1).await?.start);
    let tx = app.db.of(no).begin().await?;
    tx.execute(
        "insert into tenant (no, id, name, experts, settings, created_at, stage, stage_at) \
         values ($1, $2, $3, $4, '{}', $5, $6, $5)",
        vec![
            no.0.into(),
            id.clone().into(),
            name.into(),
            experts.word().into(),
            now.micros().into(),
            stage.word().into(),
        ],
    )
    .await?;
    open_ledger(&tx, no).await?;
    record_by(&tx, actor, Some(no), now, vec![Fact::TenantAdded { name: name.to_owned() }]).await?;
    tx.commit().await?;
    Ok(Tenant { no, id, name: name.to_owned() })
}

/// Makes the ledger of a tenant or of the provider, when there is none.
async fn open_ledger(tx: &Transaction, no: TenantNo) -> Result<()> {
    tx.execute(
        "insert into ledger (tenant_no, size, peaks, last_update) values ($1, 0, $2, 0) \
         on conflict do nothing",
        vec![no.0.into(), crate::merkle::Tree::default().to_bytes().into()],
    )
    .await?;
    Ok(())
}

/// Writes the leaves of what the installation's own commands did, in their transaction; of the
/// provider when `tenant` is none.
async fn record(
    tx: &Transaction,
    tenant: Option<TenantNo>,
    at: Timestamp,
    facts: Vec<Fact>,
) -> Result<()> {
    record_by(tx, &Actor::system("riposte"), tenant, at, facts).await
}

async fn record_by(
    tx: &Transaction,
    actor: &Actor,
    tenant: Option<TenantNo>,
    at: Timestamp,
    facts: Vec<Fact>,
) -> Result<()> {
    if tenant.is_none() {
        // A store of an older version has none.
        open_ledger(tx, TenantNo::PROVIDER).await?;
    }
    let event = |fact| Event { at, actor: actor.clone(), fact };
    let events: Vec<Event> = facts.into_iter().map(event).collect();
    let ledger = Ledger::lock(tx, tenant.unwrap_or(TenantNo::PROVIDER)).await?;
    ledger.append(tx, &events).await?;
    Ok(())
}

/// The tenant of a public id.
pub async fn find(app: &App, id: &str) -> Result<Tenant> {
    let row = app
        .db
        .shared()
        .query_one("select no, id, name from tenant where id = $1", vec![id.into()])
        .await?
        .ok_or_else(|| Error::NotFound(format!("no tenant {id}")))?;
    Ok(Tenant { no: TenantNo(column(&row, 0)?), id: column(&row, 1)?, name: column(&row, 2)? })
}

/// A tenant's name as it is now.
pub async fn name(app: &App, tenant: TenantNo) -> Result<String> {
    let sql = "select name from tenant where no = $1";
    let row = app.db.shared().query_one(sql, vec![tenant.0.into()]).await?;
    let row = row.ok_or_else(|| Error::NotFound("the tenant does not exist".to_owned()))?;
    column(&row, 0)
}

/// Lets an application sign in with a secret of its own.
pub async fn add_app(
    app: &App,
    side: Side<'_>,
    name: &str,
    permissions: &[Permission],
) -> Result<Credentials> {
    let name = named("application", name)?;
    if permissions.is_empty() {
        return Err(Error::Invalid(format!("application {name} has no permission")));
    }
    let (tenant, tenant_id) = side_of(app, side).await?;
    if tenant.is_some() && permissions.contains(&Permission::Experts) {
        return Err(Error::Invalid(format!(
            "{} belongs to the provider's side only",
            Permission::Experts
        )));
    }
    let client_id = app.random.uuid()?;
    let client_secret = app.random.secret()?;
    let words: Vec<String> = permissions.iter().map(ToString::to_string).collect();
    let now = app.clock.now();
    let tx = app.db.of(tenant.unwrap_or(TenantNo::PROVIDER)).begin().await?;
    tx.execute(
        "insert into app (client_id, tenant_no, name, secret_hash, permissions, created_at) \
         values ($1, $2, $3, $4, $5, $6)",
        vec![
            client_id.clone().into(),
            tenant.map(|no| no.0).into(),
            name.into(),
            hash(&client_secret).into(),
            words.join(" ").into(),
            now.micros().into(),
        ],
    )
    .await?;
    let fact =
        Fact::AppAdded { client_id: client_id.clone(), name: name.to_owned(), permissions: words };
    record(&tx, tenant, now, vec![fact]).await?;
    tx.commit().await?;
    Ok(Credentials { client_id, client_secret, tenant_id })
}

/// Invites a person; the link it returns is shown once.
pub async fn add_person(app: &App, side: Side<'_>, email: &str, role: &str) -> Result<Invitation> {
    let party = match side {
        Side::Tenant(_) => Party::Customer,
        Side::Provider => Party::Provider,
    };
    let invited = Invited::read(app, party, email, role)?;
    let (tenant, _) = side_of(app, side).await?;
    let now = app.clock.now();
    let tx = app.db.of(tenant.unwrap_or(TenantNo::PROVIDER)).begin().await?;
    let link = invited.write(&tx, tenant.unwrap_or(TenantNo::PROVIDER), "riposte", now).await?;
    record(&tx, tenant, now, vec![link.fact.clone()]).await?;
    tx.commit().await?;
    Ok(link.invitation(app))
}

async fn side_of(app: &App, side: Side<'_>) -> Result<(Option<TenantNo>, String)> {
    match side {
        Side::Tenant(id) => {
            let tenant = find(app, id).await?;
            Ok((Some(tenant.no), tenant.id))
        }
        Side::Provider => {
            let (id, _) = provider(app).await?.ok_or_else(|| {
                Error::Conflict("this store has no provider yet: run riposte init".to_owned())
            })?;
            Ok((None, id))
        }
    }
}

pub(crate) fn named<'a>(noun: &str, name: &'a str) -> Result<&'a str> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > 200 || name.chars().any(char::is_control) {
        return Err(Error::Invalid(format!(
            "the {noun} needs a name of 1 to 200 characters without control characters"
        )));
    }
    Ok(name)
}

/// A secret of ours has 256 random bits, so a plain hash cannot be guessed backwards.
pub(crate) fn hash(secret: &str) -> String {
    hex::encode(Sha256::digest(secret))
}
