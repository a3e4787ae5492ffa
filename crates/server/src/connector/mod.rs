//! Connectors: products of a customer's that carry actions out over HTTP, where no agent of ours is.
//!
//! A customer's administrator names a product, its addresses and the client we are there; the
//! client's secret is sealed and never shown again. A customer has one connector of a kind, so that
//! whose user a name means is never a guess. Invariants: nothing here asks for leave, writes what
//! became of an action or tries anything twice (see `response::remote`); every word to a product goes
//! through `outbound`; nothing of what a product answers is quoted to anybody. Not here: how a
//! product is spoken to (`graph`; `directory`: of groups and roles, `mailbox`: of mails).

mod directory;
mod graph;
mod mailbox;

pub use directory::{Group, Page, group_id, holders_of, members_of};
pub use graph::{Fault, Lines, Open, Request, Told};
pub use mailbox::{Letter, Move, message_id};

use openidconnect::url::Url;
use sea_orm::QueryResult;
use serde_json::{Value, json};

use crate::app::App;
use crate::clock::Timestamp;
use crate::db::{Scope, Transaction, column};
use crate::error::{Error, Result};
use crate::event::{Change, Fact};
use crate::id::TenantNo;
use crate::outbound;
use crate::permission::Permission;
use crate::tenant::caller::Caller;
use crate::tx::Tx;
use crate::vault::Place;

/// The longest text of a setting, in bytes.
const LONGEST: usize = 2_000;
/// The longest name of a user, in characters.
const LONGEST_USER: usize = 320;

/// Which product it is.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum ConnectorKind {
    /// The users of Microsoft Entra ID, through Microsoft Graph.
    MicrosoftGraph,
}

impl ConnectorKind {
    /// Every kind.
    pub const ALL: [Self; 1] = [Self::MicrosoftGraph];

    /// The word stored and shown.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::MicrosoftGraph => "microsoftGraph",
        }
    }

    fn read(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// What people call the product.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::MicrosoftGraph => "Microsoft Graph",
        }
    }

    /// Whether it can do this.
    #[must_use]
    pub fn can(self, verb: Verb) -> bool {
        match (self, verb) {
            (
                Self::MicrosoftGraph,
                Verb::DisableUser | Verb::EnableUser | Verb::EndSessions | Verb::ResetPassword,
            ) => true,
        }
    }

    /// Whether it says who is in a group of users.
    #[must_use]
    pub fn is_directory(self) -> bool {
        match self {
            Self::MicrosoftGraph => true,
        }
    }

    /// Whether it reaches into mailboxes.
    #[must_use]
    pub fn moves_mail(self) -> bool {
        match self {
            Self::MicrosoftGraph => true,
        }
    }

    /// Where it is when nobody says otherwise.
    #[must_use]
    pub fn base_url(self) -> &'static str {
        match self {
            Self::MicrosoftGraph => "https://graph.microsoft.com",
        }
    }
}

/// What is asked of a product about a user.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verb {
    /// The account cannot sign in.
    DisableUser,
    /// It can again.
    EnableUser,
    /// Everything signed in under it has to sign in anew.
    EndSessions,
    /// It has to choose a new password.
    ResetPassword,
}

/// A connector as its customer sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Connector {
    /// Its id, a UUID.
    pub id: String,
    /// Whose it is.
    pub tenant: TenantNo,
    /// Which product.
    pub kind: ConnectorKind,
    /// What it is called.
    pub name: String,
    /// Where the product's interface is.
    pub base_url: String,
    /// Where it gives tokens.
    pub token_url: String,
    /// As which client we ask.
    pub client_id: String,
    /// Grows when the client or its secret is another.
    pub version: i64,
    /// Who connected it.
    pub created_by: String,
    /// When.
    pub created: Timestamp,
    /// When it last answered.
    pub last_ok: Option<Timestamp>,
    /// Why it did not since.
    pub last_error: Option<String>,
}

const COLUMNS: &str = "id, tenant_no, kind, name, base_url, token_url, client_id, created_by, \
    created_at, last_ok_at, last_error, version";

impl Connector {
    fn from_row(row: &QueryResult) -> Result<Self> {
        let kind: String = column(row, 2)?;
        Ok(Self {
            id: column(row, 0)?,
            tenant: TenantNo(column(row, 1)?),
            kind: ConnectorKind::read(&kind)
                .ok_or_else(|| Error::Internal("table connector: kind is damaged".to_owned()))?,
            name: column(row, 3)?,
            base_url: column(row, 4)?,
            token_url: column(row, 5)?,
            client_id: column(row, 6)?,
            created_by: column(row, 7)?,
            created: Timestamp::from_micros(column(row, 8)?),
            last_ok: column::<Option<i64>>(row, 9)?.map(Timestamp::from_micros),
            last_error: column(row, 10)?,
            version: column(row, 11)?,
        })
    }
}

/// Where a client's secret is.
fn secret_of(id: &str) -> Place<'_> {
    Place { table: "connector", row: id, column: "secret" }
}

fn unknown() -> Error {
    Error::NotFound("the connector does not exist".to_owned())
}

/// The name of a user as a directory knows it, in lower case.
///
/// # Errors
/// Why it is none.
pub fn user_name(text: &str) -> std::result::Result<String, String> {
    let text = text.trim().to_lowercase();
    let sound = |c: char| c.is_ascii_alphanumeric() || "'.-_!#^~+".contains(c);
    let whole = match text.split_once('@') {
        Some((user, domain)) => {
            !user.is_empty()
                && user.chars().all(sound)
                && domain.contains('.')
                && domain.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-')
        }
        None => false,
    };
    if !whole || text.len() > LONGEST_USER {
        return Err(
            "it is not the name of a user in a directory, such as kari@alder.example".into()
        );
    }
    Ok(text)
}

/// The connectors of the caller's organisation, the oldest first.
pub async fn list(app: &App, caller: &Caller) -> Result<Vec<Connector>> {
    caller.require(&[Permission::ConnectorReadWrite])?;
    let tenant = caller.seat()?.organisation;
    let sql = format!(
        "select {COLUMNS} from connector where tenant_no = $1 and disabled_at is null \
         order by created_at, id"
    );
    let rows = app.db.of(tenant).query(&sql, vec![tenant.0.into()]).await?;
    rows.iter().map(Connector::from_row).collect()
}

/// The connector of this id that is in use; `None` when there is none, or no more.
pub async fn find_in(tx: &Transaction, tenant: TenantNo, id: &str) -> Result<Option<Connector>> {
    let sql = format!(
        "select {COLUMNS} from connector where id = $1 and tenant_no = $2 and disabled_at is null"
    );
    let row = tx.query_one(&sql, vec![id.into(), tenant.0.into()]).await?;
    row.as_ref().map(Connector::from_row).transpose()
}

/// The connector of a tenant that can do something to a user.
pub async fn able(tx: &Transaction, tenant: TenantNo, verb: Verb) -> Result<Option<Connector>> {
    first(tx, tenant, |kind| kind.can(verb)).await
}

/// The connector of a tenant that says who is in a group of users.
pub async fn directory_in(tx: &Transaction, tenant: TenantNo) -> Result<Option<Connector>> {
    first(tx, tenant, ConnectorKind::is_directory).await
}

/// The connector of a tenant that reaches into mailboxes.
pub async fn for_mail(tx: &Transaction, tenant: TenantNo) -> Result<Option<Connector>> {
    first(tx, tenant, ConnectorKind::moves_mail).await
}

/// The connectors of a tenant that are in use, the oldest first.
pub async fn in_use(tx: &Transaction, tenant: TenantNo) -> Result<Vec<Connector>> {
    let sql = format!(
        "select {COLUMNS} from connector where tenant_no = $1 and disabled_at is null \
         order by created_at, id"
    );
    let rows = tx.query(&sql, vec![tenant.0.into()]).await?;
    rows.iter().map(Connector::from_row).collect()
}

async fn first(
    tx: &Transaction,
    tenant: TenantNo,
    fits: impl Fn(ConnectorKind) -> bool,
) -> Result<Option<Connector>> {
    Ok(in_use(tx, tenant).await?.into_iter().find(|it| fits(it.kind)))
}

/// Notes how a product answered last.
pub async fn note(
    tx: &Transaction,
    it: &Connector,
    now: Timestamp,
    said: Option<&str>,
) -> Result<()> {
    let at = said.is_none().then(|| now.micros());
    tx.execute(
        "update connector set last_ok_at = coalesce($3, last_ok_at), last_error = $4 \
         where id = $1 and tenant_no = $2",
        vec![it.id.clone().into(), it.tenant.0.into(), at.into(), said.map(str::to_owned).into()],
    )
    .await?;
    Ok(())
}

/// The secret of our client there. Not to be asked for inside a change.
async fn secret(app: &App, scope: &Scope<'_>, it: &Connector) -> Result<String> {
    let sql = "select secret from connector where id = $1 and disabled_at is null";
    let row = scope.query_one(sql, vec![it.id.clone().into()]).await?.ok_or_else(unknown)?;
    let sealed: Vec<u8> = column(&row, 0)?;
    let key = app.vault_key(it.tenant).await?;
    String::from_utf8(key.open(secret_of(&it.id), &sealed)?).map_err(Error::internal)
}

/// A connector as it was asked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Which product.
    pub kind: ConnectorKind,
    /// What it is to be called; the product's name when absent.
    pub name: Option<String>,
    /// Where its interface is; the product's own when absent.
    pub base_url: Option<String>,
    /// Where it gives tokens.
    pub token_url: String,
    /// As which client we ask.
    pub client_id: String,
    /// The client's secret.
    pub client_secret: String,
}

fn text(what: &str, given: &str) -> Result<String> {
    let sound = |c: char| c == ' ' || c.is_ascii_graphic();
    if given.is_empty() || given.len() > LONGEST || !given.chars().all(sound) {
        return Err(Error::Invalid(format!(
            "{what} is 1 to {LONGEST} printable characters of ASCII"
        )));
    }
    Ok(given.to_owned())
}

fn address(app: &App, what: &str, given: &str) -> Result<String> {
    let given = text(what, given)?;
    let url = Url::parse(&given)
        .map_err(|error| Error::Invalid(format!("{what} is no address: {error}")))?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Error::Invalid(format!("{what} has no query and no fragment")));
    }
    outbound::require_sound(&app.config, &url)?;
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// Connects a product to the caller's organisation.
///
/// # Errors
/// `Conflict` when there is one of its kind already.
pub async fn add(app: &App, caller: &Caller, wanted: &Wanted) -> Result<Connector> {
    caller.require(&[Permission::ConnectorReadWrite])?;
    caller.require_step_up(app.clock.now())?;
    let tenant = caller.seat()?.organisation;
    let kind = wanted.kind;
    let connector = Connector {
        id: app.random.uuid()?,
        tenant,
        kind,
        name: crate::tenant::named("connector", wanted.name.as_deref().unwrap_or(kind.title()))?
            .to_owned(),
        base_url: address(app, "baseUrl", wanted.base_url.as_deref().unwrap_or(kind.base_url()))?,
        token_url: address(app, "tokenUrl", &wanted.token_url)?,
        client_id: text("clientId", &wanted.client_id)?,
        version: 1,
        created_by: caller.actor().name,
        created: app.clock.now(),
        last_ok: None,
        last_error: None,
    };
    let secret = text("clientSecret", &wanted.client_secret)?;
    let key = app.vault_key(tenant).await?;
    let sealed = key.seal(&app.random, secret_of(&connector.id), secret.as_bytes())?;
    let mut tx = Tx::begin(app, tenant, caller.actor()).await?;
    let sql = "select 1 from connector where tenant_no = $1 and kind = $2 and disabled_at is null";
    if tx.query_one(sql, vec![tenant.0.into(), kind.word().into()]).await?.is_some() {
        return Err(Error::Conflict(format!("{} is connected already", kind.title())));
    }
    tx.execute(
        "insert into connector (id, tenant_no, kind, name, base_url, token_url, client_id, secret, \
         created_by, created_at, version) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        vec![
            connector.id.clone().into(),
            tenant.0.into(),
            kind.word().into(),
            connector.name.clone().into(),
            connector.base_url.clone().into(),
            connector.token_url.clone().into(),
            connector.client_id.clone().into(),
            sealed.into(),
            connector.created_by.clone().into(),
            connector.created.micros().into(),
            connector.version.into(),
        ],
    )
    .await?;
    tx.record(Fact::ConnectorAdded {
        connector: connector.id.clone(),
        kind: kind.word(),
        name: connector.name.clone(),
        address: connector.base_url.clone(),
    });
    tx.commit().await?;
    Ok(connector)
}

/// What of a connector is to be another; what is absent stays. Where the product is stays always:
/// what was sent there is read there.
#[derive(Clone, Debug, Default)]
pub struct Edit {
    /// What it is called.
    pub name: Option<String>,
    /// Where the product gives tokens.
    pub token_url: Option<String>,
    /// As which client we ask.
    pub client_id: Option<String>,
    /// The client's secret.
    pub client_secret: Option<String>,
}

/// Changes a connector of the caller's organisation.
///
/// # Errors
/// `Invalid` when the secret would be shown to another address or as another client's without having
/// been given again.
pub async fn change(app: &App, caller: &Caller, id: &str, edit: &Edit) -> Result<Connector> {
    caller.require(&[Permission::ConnectorReadWrite])?;
    let tenant = caller.seat()?.organisation;
    let given =
        |what: &str, given: &Option<String>| given.as_deref().map(|it| text(what, it)).transpose();
    let secret = given("clientSecret", &edit.client_secret)?;
    let key = app.vault_key(tenant).await?;
    let sealed =
        secret.map(|secret| key.seal(&app.random, secret_of(id), secret.as_bytes())).transpose()?;
    let mut tx = Tx::begin(app, tenant, caller.actor()).await?;
    let before = find_in(&tx, tenant, id).await?.ok_or_else(unknown)?;
    caller.require_step_up(tx.now())?;
    let mut after = before.clone();
    if let Some(name) = &edit.name {
        crate::tenant::named("connector", name)?.clone_into(&mut after.name);
    }
    if let Some(url) = &edit.token_url {
        after.token_url = address(app, "tokenUrl", url)?;
    }
    if let Some(client_id) = given("clientId", &edit.client_id)? {
        after.client_id = client_id;
    }
    let asks = (&before.token_url, &before.client_id) != (&after.token_url, &after.client_id);
    if asks && sealed.is_none() {
        // Who may write an address down must not learn a secret that somebody else gave.
        return Err(Error::Invalid(
            "clientSecret is needed again for another clientId or tokenUrl".to_owned(),
        ));
    }
    let mut changes: Vec<Change> = [
        ("name", &before.name, &after.name),
        ("tokenUrl", &before.token_url, &after.token_url),
        ("clientId", &before.client_id, &after.client_id),
    ]
    .into_iter()
    .filter(|(_, before, after)| before != after)
    .map(|(field, before, after)| Change { field, before: json!(before), after: json!(after) })
    .collect();
    if sealed.is_some() {
        // That it is another is on record, and nothing of either.
        changes.push(Change { field: "clientSecret", before: Value::Null, after: Value::Null });
        after.version += 1;
    }
    if changes.is_empty() {
        return Ok(after);
    }
    tx.execute(
        "update connector set name = $3, token_url = $4, client_id = $5, version = $6, \
         secret = coalesce($7, secret) where id = $1 and tenant_no = $2",
        vec![
            id.into(),
            tenant.0.into(),
            after.name.clone().into(),
            after.token_url.clone().into(),
            after.client_id.clone().into(),
            after.version.into(),
            sealed.into(),
        ],
    )
    .await?;
    let name = after.name.clone();
    tx.record(Fact::ConnectorChanged { connector: id.to_owned(), name, changes });
    tx.commit().await?;
    // What waits for a good secret need not wait for its pause.
    app.respond.notify_one();
    Ok(after)
}

/// Takes a product away and forgets the secret. What was not sent is not sent any more; what was
/// sent and nobody knows of, a person has to look at.
pub async fn remove(app: &App, caller: &Caller, id: &str) -> Result<()> {
    caller.require(&[Permission::ConnectorReadWrite])?;
    let tenant = caller.seat()?.organisation;
    let mut tx = Tx::begin(app, tenant, caller.actor()).await?;
    let it = find_in(&tx, tenant, id).await?.ok_or_else(unknown)?;
    caller.require_step_up(tx.now())?;
    tx.execute(
        "update connector set disabled_at = $2, secret = $3 where id = $1",
        vec![id.into(), tx.now().micros().into(), Vec::<u8>::new().into()],
    )
    .await?;
    tx.record(Fact::ConnectorRemoved { connector: it.id, name: it.name });
    tx.commit().await
}

/// Asks a product for a token and for one user, and changes nothing there; gives why that did not
/// succeed, when it did not.
pub async fn test(app: &App, caller: &Caller, id: &str) -> Result<Option<String>> {
    caller.require(&[Permission::ConnectorReadWrite])?;
    let it = list(app, caller).await?.into_iter().find(|it| it.id == id).ok_or_else(unknown)?;
    caller.require_step_up(app.clock.now())?;
    // A token of its own: what is kept would say nothing of the secret.
    let lines = Lines::default();
    let said = match lines.open(app, &it).await {
        Ok(open) => open.look_around(app).await.err(),
        Err(fault) => Some(fault),
    };
    let said = said.map(|fault| fault.reason);
    let tx = app.db.of(it.tenant).begin().await?;
    note(&tx, &it, app.clock.now(), said.as_deref()).await?;
    tx.commit().await?;
    Ok(said)
}

/// What was read of a user, in the words an action is proven by. `before` is what was read before
/// anything was sent: sessions have ended when the moment they are valid from is a later one, by the
/// product's own clock.
#[must_use]
pub fn reading(verb: Verb, before: &Value, user: &Value) -> Value {
    graph::reading(verb, before, user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_directories_are_names() {
        assert_eq!(user_name(" Kari@Alder.example ").as_deref(), Ok("kari@alder.example"));
        assert!(user_name("knut_gmail.com#ext#@alder.example").is_ok());
        for bad in ["kari", "@alder.example", "kari@", "kari@alder", "a b@alder.example"] {
            assert!(user_name(bad).is_err(), "{bad}");
        }
        for bad in ["../me@alder.example", "a@b.example/x", "a?b@c.example", "a@b@c.example"] {
            assert!(user_name(bad).is_err(), "{bad}");
        }
        assert!(user_name(&format!("{}@alder.example", "a".repeat(400))).is_err());
    }
}
