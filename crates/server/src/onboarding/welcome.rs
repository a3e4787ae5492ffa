//! The welcome mail: a customer's first administrator is invited, and written to (NOT-3).
//!
//! The mail brings a link that opens the setup. Invariants: the link's secret is kept nowhere. It is a
//! mark, made with the tenant's own key of the welcome's random id, so that whoever sends the mail makes
//! the same one again and whoever reads the store, a notification or a delivery does not; the store
//! has its hash, as of every link. One welcome holds at a time: a new one ends the link of the one
//! before. Not here: what the mail says (`notification`), what a link does (`person::setup`).

use crate::app::App;
use crate::clock::Timestamp;
use crate::contact::Language;
use crate::error::{Error, Result};
use crate::event::Fact;
use crate::id::TenantNo;
use crate::onboarding;
use crate::permission::{Party, Permission, Role};
use crate::person::Sent;
use crate::tenant::caller::Caller;
use crate::tenant::invitation::{self, Invited, WELCOME_LASTS_S};
use crate::tenant::stage::{self, Stage};
use crate::tenant::{self, ExpertAccess, Tenant};
use crate::tx::Tx;
use crate::vault::Key;

/// Where somebody who signs in already goes on.
pub const SIGN_IN: &str = "/sign-in?return=%2Fonboarding";

fn token(key: &Key, welcome: &str) -> String {
    hex::encode(key.mark::<32>("welcome link", welcome))
}

/// The address that a welcome mail brings; `None` when its link was used, has expired or was replaced.
pub async fn link(app: &App, tenant: TenantNo, welcome: &str) -> Result<Option<String>> {
    let token = token(&*app.vault_key(tenant).await?, welcome);
    let row = app
        .db
        .shared()
        .query_one(
            "select 1 from setup_link where token_hash = $1 and used_at is null \
             and expires_at > $2",
            vec![tenant::hash(&token).into(), app.clock.now().micros().into()],
        )
        .await?;
    Ok(row.map(|_| invitation::setup_url(app, &token)))
}

/// Adds a customer, as the provider's administrator. It grants nothing, and its way begins with its
/// administrator.
pub async fn add_customer(app: &App, caller: &Caller, name: &str) -> Result<Tenant> {
    caller.require(&[Permission::TenantReadWrite])?;
    caller.require_step_up(app.clock.now())?;
    tenant::add_by(app, &caller.actor(), name, (ExpertAccess::None, Stage::Invited)).await
}

/// Invites the first administrator of a customer, as the provider's administrator, and writes to it.
pub async fn invite(
    app: &App,
    caller: &Caller,
    to: TenantNo,
    (email, language): (&str, Language),
) -> Result<Sent> {
    caller.require(&[Permission::TenantReadWrite])?;
    caller.seat()?;
    caller.require_step_up(app.clock.now())?;
    let (welcome, token) = draw(app, to).await?;
    let invited = first(app, email, token)?;
    let mut tx = Tx::begin(app, to, caller.actor()).await?;
    let sql = "select 1 from membership where tenant_no = $1";
    if tx.query_one(sql, vec![to.0.into()]).await?.is_some() {
        // From then on it is the customer's own business who belongs to it.
        return Err(Error::Conflict(
            "the customer has people already; its administrators invite others".to_owned(),
        ));
    }
    let sent = write(&mut tx, caller, &invited, (&welcome, language)).await?;
    tx.commit().await?;
    Ok(sent)
}

/// Which welcome, and the secret of its link. The key is asked for outside of any change.
async fn draw(app: &App, tenant: TenantNo) -> Result<(String, String)> {
    let welcome = app.random.uuid()?;
    let token = token(&*app.vault_key(tenant).await?, &welcome);
    Ok((welcome, token))
}

fn first(app: &App, email: &str, token: String) -> Result<Invited> {
    let role = Role::SecurityAdministrator.name();
    Ok(Invited::read(app, Party::Customer, email, role)?.welcome(token))
}

async fn write(
    tx: &mut Tx,
    caller: &Caller,
    invited: &Invited,
    (welcome, language): (&str, Language),
) -> Result<Sent> {
    let (tenant, now) = (tx.tenant(), tx.now());
    let link = invited.write(tx, tenant, &caller.name, now).await?;
    tx.record(link.fact.clone());
    let held = link.sets_up().then_some(welcome);
    let setup_url = link.url(tx.app());
    let until = now.plus_seconds(WELCOME_LASTS_S);
    // A customer that a command has added is active: there is no setup to be written about.
    if stage::find_in(tx, tenant).await? != Stage::Active {
        note(tx, (&link.person, invited.email()), held, (language, until)).await?;
    }
    Ok(Sent { person: link.person, setup_url, until })
}

/// Notes which welcome holds, and that it is to be told.
async fn note(
    tx: &mut Tx,
    (person, email): (&str, &str),
    welcome: Option<&str>,
    (language, until): (Language, Timestamp),
) -> Result<()> {
    onboarding::open(tx).await?;
    tx.execute(
        "update onboarding set person_id = $2, language = $3, welcome = $4, welcome_until = $5 \
         where tenant_no = $1",
        vec![
            tx.tenant().0.into(),
            person.into(),
            language.word().into(),
            welcome.into(),
            welcome.map(|_| until.micros()).into(),
        ],
    )
    .await?;
    tx.record(Fact::TenantInvited {
        person: person.to_owned(),
        email: email.to_owned(),
        language: language.word(),
        welcome: welcome.map(str::to_owned),
    });
    Ok(())
}

/// Writes to a customer's first administrator again, under a new link; to another address where the
/// first one was wrong.
///
/// # Errors
/// `Conflict` when nobody was invited, or the person has signed in and begun.
pub async fn again(
    app: &App,
    caller: &Caller,
    id: &str,
    (email, language): (Option<&str>, Option<Language>),
) -> Result<Sent> {
    caller.require(&[Permission::TenantReadWrite])?;
    caller.require_step_up(app.clock.now())?;
    let tenant = tenant::find(app, &id.to_ascii_lowercase()).await?.no;
    let (welcome, token) = draw(app, tenant).await?;
    let other = email.map(|email| first(app, email, token.clone())).transpose()?;
    let mut tx = Tx::begin(app, tenant, caller.actor()).await?;
    let way = onboarding::way_in(&tx, tenant).await?.unwrap_or_default();
    let nobody = || Error::Conflict("nobody was invited yet".to_owned());
    let person = way.person.ok_or_else(nobody)?;
    let people = crate::person::of_organisation(&tx, tenant).await?;
    let member = people.into_iter().find(|it| it.id == person).ok_or_else(nobody)?;
    let signs_in = invitation::can_sign_in(&tx, &person).await?;
    if signs_in && stage::find_in(&tx, tenant).await? != Stage::Invited {
        return Err(Error::Conflict(format!("{} has begun the setup already", member.email)));
    }
    let language = language.unwrap_or(way.language);
    let sent = match other.filter(|other| other.email() != member.email) {
        Some(other) if signs_in => {
            return Err(Error::Conflict(format!(
                "{} signs in already and invites {} itself",
                member.email,
                other.email()
            )));
        }
        Some(other) => {
            let membership = "delete from membership where tenant_no = $1 and person_id = $2";
            tx.execute(membership, vec![tenant.0.into(), person.clone().into()]).await?;
            let link = "delete from setup_link where tenant_no = $1 and person_id = $2";
            tx.execute(link, vec![tenant.0.into(), person.clone().into()]).await?;
            tx.record(Fact::PersonRemoved { person, email: member.email });
            write(&mut tx, caller, &other, (&welcome, language)).await?
        }
        None => {
            let until = tx.now().plus_seconds(WELCOME_LASTS_S);
            let held = (!signs_in).then_some(welcome.as_str());
            if held.is_some() {
                invitation::write_link(&tx, &person, tenant, &token, until).await?;
                let (person, email) = (person.clone(), member.email.clone());
                tx.record(Fact::PersonInvited { person, email });
            }
            note(&mut tx, (&person, &member.email), held, (language, until)).await?;
            let setup_url = match held {
                Some(_) => invitation::setup_url(app, &token),
                None => format!("{}{SIGN_IN}", app.web()),
            };
            Sent { person, setup_url, until }
        }
    };
    tx.commit().await?;
    Ok(sent)
}
