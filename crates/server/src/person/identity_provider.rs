//! Identity providers: whose word an organisation takes for who a person is.
//!
//! A provider belongs to one organisation, a customer or the provider of the service, and speaks for
//! mail domains that are nobody else's. Nothing here can prove that a domain belongs to a customer,
//! so an administrator claims only the domain of the own mail address, and a provider never signs in
//! a person of another organisation (see `oidc`). Invariants: a mail domain has one provider; the
//! client's secret is sealed and never shown again; no fact holds it. Not here: signing in with one.

use std::collections::{BTreeMap, BTreeSet};

use openidconnect::url::Url;
use sea_orm::QueryResult;
use serde_json::{Value, json};

use crate::app::App;
use crate::clock::Timestamp;
use crate::db::{Transaction, column};
use crate::error::{Error, Result};
use crate::event::{Change, Fact};
use crate::id::TenantNo;
use crate::outbound;
use crate::permission::{Permission, Role};
use crate::person::{oidc, party_of};
use crate::tenant::caller::{Caller, Factor};
use crate::tx::Tx;
use crate::vault::Place;

/// Providers of one organisation.
pub const MOST: usize = 20;
/// Groups of one provider that stand for a role.
const MOST_GROUPS: usize = 200;
/// The longest text of a setting, in bytes.
const LONGEST: usize = 2_000;
/// Where everybody may have an address: nobody's own.
const PUBLIC_MAIL: &[&str] = &[
    "aol.com",
    "gmail.com",
    "gmx.de",
    "gmx.net",
    "googlemail.com",
    "hotmail.com",
    "icloud.com",
    "live.com",
    "mail.com",
    "mail.ru",
    "me.com",
    "msn.com",
    "outlook.com",
    "proton.me",
    "protonmail.com",
    "qq.com",
    "web.de",
    "yahoo.com",
    "yandex.ru",
    "163.com",
];

/// Whose second factor counts.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum SecondFactor {
    /// The identity provider's own: it makes sure of it, by its administrator's word.
    Provider,
    /// One of ours, shown after the identity provider's word.
    Ours,
}

impl SecondFactor {
    /// The word stored and shown.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Ours => "ours",
        }
    }
}

/// An identity provider as its organisation sees it.
#[derive(Clone, Debug)]
pub struct IdentityProvider {
    /// Its id, a UUID.
    pub id: String,
    /// The organisation whose people it signs in.
    pub organisation: TenantNo,
    /// What it is called.
    pub name: String,
    /// The issuer, exactly as its tokens spell it.
    pub issuer: String,
    /// As which client we ask.
    pub client_id: String,
    /// The mail domains it speaks for.
    pub domains: Vec<String>,
    /// The claim with a person's groups.
    pub groups_claim: String,
    /// Which role a group has here.
    pub roles: BTreeMap<String, Role>,
    /// Whose second factor counts.
    pub factor: SecondFactor,
    /// Since when it is there.
    pub created: Timestamp,
}

const COLUMNS: &str =
    "id, tenant_no, name, issuer, client_id, groups_claim, roles, factor, created_at";

impl IdentityProvider {
    fn from_row(row: &QueryResult) -> Result<Self> {
        let organisation = TenantNo(column(row, 1)?);
        let unreadable =
            |error: String| Error::Internal(format!("table identity_provider: {error}"));
        let roles: String = column(row, 6)?;
        let roles: BTreeMap<String, String> =
            serde_json::from_str(&roles).map_err(|error| unreadable(error.to_string()))?;
        let role = |(group, name): (String, String)| {
            Ok((group, Role::read(party_of(organisation), &name).map_err(unreadable)?))
        };
        Ok(Self {
            id: column(row, 0)?,
            organisation,
            name: column(row, 2)?,
            issuer: column(row, 3)?,
            client_id: column(row, 4)?,
            domains: Vec::new(),
            groups_claim: column(row, 5)?,
            roles: roles.into_iter().map(role).collect::<Result<_>>()?,
            factor: match column::<String>(row, 7)?.as_str() {
                "provider" => SecondFactor::Provider,
                _ => SecondFactor::Ours,
            },
            created: Timestamp::from_micros(column(row, 8)?),
        })
    }

    /// The role of somebody in these groups: the highest that one of them stands for.
    #[must_use]
    pub fn role_of(&self, groups: &[String]) -> Option<Role> {
        groups.iter().filter_map(|group| self.roles.get(group)).copied().max()
    }

    /// Whether it speaks for a mail address.
    #[must_use]
    pub fn speaks_for(&self, email: &str) -> bool {
        domain_of(email).is_some_and(|domain| self.domains.iter().any(|it| it == domain))
    }

    fn settings(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("name", json!(self.name)),
            ("issuer", json!(self.issuer)),
            ("clientId", json!(self.client_id)),
            ("domains", json!(self.domains)),
            ("groupsClaim", json!(self.groups_claim)),
            ("roles", names(&self.roles)),
            ("factor", json!(self.factor.word())),
        ]
    }
}

/// Roles by their names, as they are stored and shown.
#[must_use]
pub fn names(roles: &BTreeMap<String, Role>) -> Value {
    let named: BTreeMap<&str, &str> =
        roles.iter().map(|(group, role)| (group.as_str(), role.name())).collect();
    json!(named)
}

fn domain_of(email: &str) -> Option<&str> {
    email.rsplit_once('@').map(|(_, domain)| domain)
}

/// Where a client's secret is.
fn secret_of(id: &str) -> Place<'_> {
    Place { table: "identity_provider", row: id, column: "client_secret" }
}

fn unknown() -> Error {
    Error::NotFound("the identity provider does not exist".to_owned())
}

/// The identity providers of the caller's organisation, the oldest first.
pub async fn list(app: &App, caller: &Caller) -> Result<Vec<IdentityProvider>> {
    caller.require(&[Permission::SignInReadWrite])?;
    let organisation = caller.seat()?.organisation;
    let sql = format!(
        "select {COLUMNS} from identity_provider where tenant_no = $1 order by created_at, id"
    );
    let rows = app.db.of(organisation).query(&sql, vec![organisation.0.into()]).await?;
    let mut found: Vec<IdentityProvider> =
        rows.iter().map(IdentityProvider::from_row).collect::<Result<_>>()?;
    let rows = app
        .db
        .of(organisation)
        .query(
            "select mail_domain.provider_id, mail_domain.domain from mail_domain \
             join identity_provider on identity_provider.id = mail_domain.provider_id \
             where identity_provider.tenant_no = $1 order by mail_domain.domain",
            vec![organisation.0.into()],
        )
        .await?;
    for row in rows {
        let id: String = column(&row, 0)?;
        if let Some(provider) = found.iter_mut().find(|it| it.id == id) {
            provider.domains.push(column(&row, 1)?);
        }
    }
    Ok(found)
}

/// One identity provider, of whichever organisation, with the secret of our client there.
///
/// # Errors
/// `NotFound` when there is none of this id.
pub(super) async fn find(app: &App, id: &str) -> Result<(IdentityProvider, String)> {
    let sql = format!("select {COLUMNS}, client_secret from identity_provider where id = $1");
    let row = app
        .db
        .whole("whose provider signs in is not known yet")
        .query_one(&sql, vec![id.into()])
        .await?
        .ok_or_else(unknown)?;
    let mut provider = IdentityProvider::from_row(&row)?;
    let sealed: Vec<u8> = column(&row, 9)?;
    let sql = "select domain from mail_domain where provider_id = $1 order by domain";
    for row in app.db.shared().query(sql, vec![id.into()]).await? {
        provider.domains.push(column(&row, 0)?);
    }
    let key = app.vault_key(provider.organisation).await?;
    let secret = key.open(secret_of(&provider.id), &sealed)?;
    let secret = String::from_utf8(secret).map_err(Error::internal)?;
    Ok((provider, secret))
}

/// Id and name of the provider that speaks for a mail address. It says nothing of whether anybody
/// has that address.
pub async fn of_address(app: &App, email: &str) -> Result<Option<(String, String)>> {
    let email = email.trim().to_lowercase();
    let Some(domain) = domain_of(&email) else { return Ok(None) };
    let row = app
        .db
        .whole("whose provider signs in is not known yet")
        .query_one(
            "select identity_provider.id, identity_provider.name from mail_domain \
             join identity_provider on identity_provider.id = mail_domain.provider_id \
             where mail_domain.domain = $1",
            vec![domain.into()],
        )
        .await?;
    row.map(|row| Ok((column(&row, 0)?, column(&row, 1)?))).transpose()
}

/// A new identity provider, as it was asked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What it is to be called.
    pub name: String,
    /// The issuer.
    pub issuer: String,
    /// As which client we ask.
    pub client_id: String,
    /// The client's secret.
    pub client_secret: String,
    /// The mail domains it shall speak for.
    pub domains: Vec<String>,
    /// The claim with a person's groups; `groups` when absent.
    pub groups_claim: Option<String>,
    /// Names of roles by group.
    pub roles: BTreeMap<String, String>,
    /// Whose second factor counts.
    pub factor: SecondFactor,
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

fn read_domains(given: &[String], caller: &Caller) -> Result<Vec<String>> {
    let own = domain_of(&caller.name).unwrap_or_default();
    let domains: BTreeSet<String> =
        given.iter().map(|domain| domain.trim().to_ascii_lowercase()).collect();
    if domains.is_empty() {
        return Err(Error::Invalid("domains names no mail domain".to_owned()));
    }
    for domain in &domains {
        if domain != own {
            return Err(Error::Invalid(format!(
                "the mail domain {domain} can only be claimed by an administrator whose own mail \
                 address is in it"
            )));
        }
        if PUBLIC_MAIL.contains(&domain.as_str()) {
            return Err(Error::Invalid(format!("{domain} is open to everybody")));
        }
    }
    Ok(domains.into_iter().collect())
}

fn read(app: &App, caller: &Caller, wanted: &Wanted) -> Result<IdentityProvider> {
    let organisation = caller.seat()?.organisation;
    let issuer = text("issuer", &wanted.issuer)?;
    let url = Url::parse(&issuer)
        .map_err(|error| Error::Invalid(format!("issuer is no address: {error}")))?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Error::Invalid("issuer has no query and no fragment".to_owned()));
    }
    outbound::require_sound(&app.config, &url)?;
    if wanted.roles.len() > MOST_GROUPS {
        return Err(Error::Invalid(format!("roles names more than {MOST_GROUPS} groups")));
    }
    let role = |(group, name): (&String, &String)| {
        let group = crate::tenant::named("group", group)?.to_owned();
        Ok((group, Role::read(party_of(organisation), name).map_err(Error::Invalid)?))
    };
    Ok(IdentityProvider {
        id: app.random.uuid()?,
        organisation,
        name: crate::tenant::named("identity provider", &wanted.name)?.to_owned(),
        issuer,
        client_id: text("clientId", &wanted.client_id)?,
        domains: read_domains(&wanted.domains, caller)?,
        groups_claim: text("groupsClaim", wanted.groups_claim.as_deref().unwrap_or("groups"))?,
        roles: wanted.roles.iter().map(role).collect::<Result<_>>()?,
        factor: wanted.factor,
        created: app.clock.now(),
    })
}

/// Lets an identity provider sign in the people of the caller's organisation (PER-6). It is asked
/// for its description first, so that a wrong issuer shows now and not when somebody signs in.
///
/// # Errors
/// `Conflict` when a mail domain has a provider already.
pub async fn add(
    app: &App,
    known: &oidc::Known,
    caller: &Caller,
    wanted: &Wanted,
) -> Result<IdentityProvider> {
    caller.require(&[Permission::SignInReadWrite])?;
    caller.require_step_up(app.clock.now())?;
    let provider = read(app, caller, wanted)?;
    let secret = text("clientSecret", &wanted.client_secret)?;
    known.look_up(app, &provider.issuer).await?;
    let key = app.vault_key(provider.organisation).await?;
    let sealed = key.seal(&app.random, secret_of(&provider.id), secret.as_bytes())?;
    let mut tx = Tx::begin(app, provider.organisation, caller.actor()).await?;
    require_room(&tx, provider.organisation).await?;
    tx.execute(
        "insert into identity_provider (id, tenant_no, name, issuer, client_id, client_secret, \
         groups_claim, roles, factor, created_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        vec![
            provider.id.clone().into(),
            provider.organisation.0.into(),
            provider.name.clone().into(),
            provider.issuer.clone().into(),
            provider.client_id.clone().into(),
            sealed.into(),
            provider.groups_claim.clone().into(),
            names(&provider.roles).to_string().into(),
            provider.factor.word().into(),
            provider.created.micros().into(),
        ],
    )
    .await?;
    for domain in &provider.domains {
        let claimed = tx
            .execute(
                "insert into mail_domain (domain, provider_id) values ($1, $2) \
                 on conflict do nothing",
                vec![domain.clone().into(), provider.id.clone().into()],
            )
            .await?;
        if claimed == 0 {
            return Err(Error::Conflict(format!(
                "the mail domain {domain} has an identity provider already"
            )));
        }
    }
    let change = |(field, after)| Change { field, before: Value::Null, after };
    let changes = provider.settings().into_iter().map(change).collect();
    let (id, name) = (provider.id.clone(), provider.name.clone());
    tx.record(Fact::SignInChanged { provider: id, name, changes });
    tx.commit().await?;
    Ok(provider)
}

async fn require_room(tx: &Transaction, organisation: TenantNo) -> Result<()> {
    let sql = "select id from identity_provider where tenant_no = $1";
    if tx.query(sql, vec![organisation.0.into()]).await?.len() >= MOST {
        return Err(Error::Conflict(format!("there are {MOST} identity providers already")));
    }
    Ok(())
}

/// Why the caller may not take an identity provider away, when there is a reason.
pub async fn locked_out(app: &App, caller: &Caller) -> Result<Option<&'static str>> {
    let (_, factors) = super::itself(app, &caller.client_id).await?;
    // The demo's people sign in with a click.
    let clicks = caller.seat()?.factor == Factor::Demo;
    let own = clicks || factors.passkeys > 0 || (factors.password && factors.totp);
    Ok((!own).then_some("this identity provider is all you can sign in with; add a passkey first"))
}

/// Takes an identity provider's word no longer, and ends the sessions that rest on such a word.
///
/// # Errors
/// `Conflict` when the caller has nothing else to sign in with: nobody locks themselves out.
pub async fn remove(app: &App, caller: &Caller, id: &str) -> Result<()> {
    caller.require(&[Permission::SignInReadWrite])?;
    caller.require_step_up(app.clock.now())?;
    let organisation = caller.seat()?.organisation;
    let provider = list(app, caller).await?.into_iter().find(|it| it.id == id);
    let provider = provider.ok_or_else(unknown)?;
    if let Some(because) = locked_out(app, caller).await? {
        return Err(Error::Conflict(because.to_owned()));
    }
    let mut tx = Tx::begin(app, organisation, caller.actor()).await?;
    let gone = tx
        .execute(
            "delete from identity_provider where id = $1 and tenant_no = $2",
            vec![id.into(), organisation.0.into()],
        )
        .await?;
    if gone == 0 {
        return Err(unknown());
    }
    tx.execute("delete from mail_domain where provider_id = $1", vec![id.into()]).await?;
    tx.execute("delete from identity where provider_id = $1", vec![id.into()]).await?;
    tx.execute(
        "delete from session where tenant_no = $1 and factor = $2",
        vec![organisation.0.into(), Factor::Oidc.word().into()],
    )
    .await?;
    let change = |(field, before)| Change { field, before, after: Value::Null };
    let changes = provider.settings().into_iter().map(change).collect();
    tx.record(Fact::SignInChanged { provider: provider.id, name: provider.name, changes });
    tx.commit().await
}
