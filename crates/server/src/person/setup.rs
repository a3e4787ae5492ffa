//! Setting up how to sign in: with a link, a passkey, or a password and an authenticator app; after an
//! identity provider's word, an authenticator app beside it.
//!
//!   link -password-> ceremony -code-> session        link -passkey made-> session
//!   provider's word -> ceremony -app told-> ceremony -code-> session
//!
//! A link is valid once, for an hour. It replaces whatever the person signed in with before, and ends
//! every session: that is what it is for when somebody lost a phone. Invariant: a person has two
//! factors, or cannot sign in.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use webauthn_rs::prelude::PasskeyRegistration;

use crate::actor::{Actor, ActorKind};
use crate::app::App;
use crate::clock::Timestamp;
use crate::db::{Transaction, column};
use crate::error::{Error, Result};
use crate::event::Fact;
use crate::id::TenantNo;
use crate::person::session::{self, Opened, Origin};
use crate::person::sign_in::secret_of;
use crate::person::totp::Enrolment;
use crate::person::{ceremony, passkey, password, totp};
use crate::tenant::caller::Factor;
use crate::tx::Tx;

/// What a link is for.
#[derive(Clone, Debug)]
pub struct Invited {
    /// The person.
    pub person: String,
    /// Its mail address.
    pub email: String,
    /// Its name, when it was told before.
    pub name: Option<String>,
    /// The organisation that invites.
    pub organisation: TenantNo,
    /// The organisation's name.
    pub organisation_name: String,
    /// The role there.
    pub role: String,
    /// Until when the link is valid.
    pub until: Timestamp,
}

fn gone() -> Error {
    Error::NotFound(
        "this link was used, has expired or never was; ask who invited you for another".to_owned(),
    )
}

fn wrong_code() -> Error {
    Error::Invalid("the code is not right; is the clock of the phone right?".to_owned())
}

async fn write_codes(tx: &Transaction, person: &str, codes: &[String]) -> Result<()> {
    for code in codes {
        tx.execute(
            "insert into recovery_code (person_id, code_hash) values ($1, $2)",
            vec![person.into(), totp::recovery_hash(person, code).into()],
        )
        .await?;
    }
    Ok(())
}

/// What a link is for, while it is valid.
pub async fn look(app: &App, token: &str) -> Result<Invited> {
    let row = app
        .db
        .shared()
        .query_one(
            "select person.id, person.email, person.name, setup_link.tenant_no, \
             coalesce(tenant.name, setting.value, ''), membership.role, setup_link.expires_at \
             from setup_link join person on person.id = setup_link.person_id \
             join membership on membership.person_id = person.id \
             and membership.tenant_no = setup_link.tenant_no and membership.disabled_at is null \
             left join tenant on tenant.no = setup_link.tenant_no \
             left join setting on setting.name = 'provider.name' and setup_link.tenant_no = 0 \
             where setup_link.token_hash = $1 and setup_link.used_at is null \
             and setup_link.expires_at > $2",
            vec![crate::tenant::hash(token).into(), app.clock.now().micros().into()],
        )
        .await?
        .ok_or_else(gone)?;
    Ok(Invited {
        person: column(&row, 0)?,
        email: column(&row, 1)?,
        name: column(&row, 2)?,
        organisation: TenantNo(column(&row, 3)?),
        organisation_name: column(&row, 4)?,
        role: column(&row, 5)?,
        until: Timestamp::from_micros(column(&row, 6)?),
    })
}

#[derive(Serialize, Deserialize)]
struct Chosen {
    token: String,
    name: String,
    hash: String,
    secret: Vec<u8>,
}

/// Chooses a password; gives what the authenticator app must be told.
pub async fn choose_password(
    app: &App,
    token: &str,
    name: &str,
    given: &str,
) -> Result<(String, Enrolment)> {
    let invited = look(app, token).await?;
    let name = crate::tenant::named("person", name)?.to_owned();
    password::check(given, &[&invited.email, &invited.organisation_name, &name])?;
    let hash = password::hash(&app.random, given).await?;
    let secret = totp::draw(&app.random)?;
    let provider = crate::tenant::provider(app).await?.map(|(_, name)| name).unwrap_or_default();
    let enrolment = totp::enrolment(&secret, &invited.email, &provider)?;
    let state = Chosen { token: token.to_owned(), name, hash, secret };
    let flow = ceremony::begin(app, "set up", Some(&invited.person), &state).await?;
    Ok((flow, enrolment))
}

/// Shows the first code: from now on the person signs in with password and app. Gives the session
/// and the recovery codes, this once.
pub async fn confirm_code(
    app: &App,
    flow: &str,
    code: &str,
    origin: &Origin,
) -> Result<(Opened, Vec<String>)> {
    let found = ceremony::look::<Chosen>(app, "set up", flow).await?.ok_or_else(gone)?;
    let Chosen { token, name, hash, secret } = found.state;
    let step = totp::step_of(&secret, code, app.clock.now(), None)?;
    let step = step.ok_or_else(wrong_code)?;
    let invited = look(app, &token).await?;
    let codes = totp::recovery_codes(&app.random)?;
    let key = app.vault_key(TenantNo::PROVIDER).await?;
    let sealed = key.seal(&app.random, secret_of(&invited.person), &secret)?;
    let mut tx = use_link(app, &token, &invited, origin).await?;
    let now = tx.now();
    tx.execute(
        "update person set name = $2, password = $3, totp = $4, totp_at = $5, totp_step = $6 \
         where id = $1",
        vec![
            invited.person.clone().into(),
            name.into(),
            hash.into(),
            sealed.into(),
            now.micros().into(),
            step.into(),
        ],
    )
    .await?;
    write_codes(&tx, &invited.person, &codes).await?;
    record(&mut tx, &invited, Factor::Totp);
    tx.commit().await?;
    ceremony::end(app, flow).await?;
    let opened =
        session::open_in(app, &invited.person, invited.organisation, Factor::Totp, origin).await?;
    Ok((opened, codes))
}

#[derive(Serialize, Deserialize)]
struct Making {
    token: String,
    name: String,
    state: PasskeyRegistration,
}

/// Begins to make a passkey.
pub async fn begin_passkey(app: &App, token: &str, name: &str) -> Result<(String, Value)> {
    let invited = look(app, token).await?;
    let name = crate::tenant::named("person", name)?.to_owned();
    let (options, state) = passkey::begin_making(app, &invited.person, &invited.email, &name, &[])?;
    let state = Making { token: token.to_owned(), name, state };
    let flow = ceremony::begin(app, "set up passkey", Some(&invited.person), &state).await?;
    Ok((flow, options))
}

/// Takes the passkey: from now on the person signs in with it.
pub async fn finish_passkey(
    app: &App,
    flow: &str,
    credential: Value,
    origin: &Origin,
) -> Result<Opened> {
    let found = ceremony::take::<Making>(app, "set up passkey", flow).await?.ok_or_else(gone)?;
    let Making { token, name, state } = found.state;
    let made = passkey::finish_making(app, credential, &state)?;
    let invited = look(app, &token).await?;
    let mut tx = use_link(app, &token, &invited, origin).await?;
    let now = tx.now();
    tx.execute(
        "update person set name = $2 where id = $1",
        vec![invited.person.clone().into(), name.into()],
    )
    .await?;
    passkey::write(&tx, &invited.person, "First passkey", &made, now).await?;
    record(&mut tx, &invited, Factor::Passkey);
    tx.commit().await?;
    session::open_in(app, &invited.person, invited.organisation, Factor::Passkey, origin).await
}

/// Begins to set an authenticator app up for somebody an identity provider vouches for.
pub(super) async fn after_provider(
    app: &App,
    person: &str,
    organisation: TenantNo,
) -> Result<String> {
    ceremony::begin(app, "enrol", Some(person), &organisation.0).await
}

#[derive(Serialize, Deserialize)]
struct Enrolling {
    organisation: i64,
    secret: Vec<u8>,
}

fn too_late() -> Error {
    Error::NotFound("this took too long; sign in again".to_owned())
}

/// Draws the secret for the authenticator app of somebody an identity provider vouches for.
pub async fn begin_app(app: &App, flow: &str) -> Result<(String, Enrolment)> {
    let found = ceremony::take::<i64>(app, "enrol", flow).await?.ok_or_else(too_late)?;
    let person = found.person.ok_or_else(too_late)?;
    let secret = totp::draw(&app.random)?;
    let provider = crate::tenant::provider(app).await?.map(|(_, name)| name).unwrap_or_default();
    let enrolment = totp::enrolment(&secret, &session::email_of(app, &person).await?, &provider)?;
    let state = Enrolling { organisation: found.state, secret };
    Ok((ceremony::begin(app, "enrol app", Some(&person), &state).await?, enrolment))
}

/// Shows its first code. Gives the session and the recovery codes, this once.
///
/// # Errors
/// `Conflict` when the person has a factor by now: nobody replaces one this way.
pub async fn finish_app(
    app: &App,
    flow: &str,
    code: &str,
    origin: &Origin,
) -> Result<(Opened, Vec<String>)> {
    let found = ceremony::look::<Enrolling>(app, "enrol app", flow).await?.ok_or_else(too_late)?;
    let (person, Enrolling { organisation, secret }) =
        (found.person.ok_or_else(too_late)?, found.state);
    let organisation = TenantNo(organisation);
    let step = totp::step_of(&secret, code, app.clock.now(), None)?.ok_or_else(wrong_code)?;
    if !ceremony::end(app, flow).await? {
        return Err(too_late());
    }
    let codes = totp::recovery_codes(&app.random)?;
    let key = app.vault_key(TenantNo::PROVIDER).await?;
    let sealed = key.seal(&app.random, secret_of(&person), &secret)?;
    let email = session::email_of(app, &person).await?;
    let mut tx = Tx::begin(app, organisation, actor(organisation, &email, origin)).await?;
    let now = tx.now();
    let set = tx
        .execute(
            "update person set totp = $2, totp_at = $3, totp_step = $4 where id = $1 \
             and totp_at is null \
             and not exists (select 1 from passkey where passkey.person_id = person.id)",
            vec![person.clone().into(), sealed.into(), now.micros().into(), step.into()],
        )
        .await?;
    if set == 0 {
        return Err(Error::Conflict("there is a second factor already; sign in again".to_owned()));
    }
    tx.execute("delete from recovery_code where person_id = $1", vec![person.clone().into()])
        .await?;
    write_codes(&tx, &person, &codes).await?;
    let factor = Factor::Totp.word().to_owned();
    tx.record(Fact::PersonSetUp { person: person.clone(), email, factor });
    tx.commit().await?;
    let opened = session::open_in(app, &person, organisation, Factor::Oidc, origin).await?;
    Ok((opened, codes))
}

fn actor(organisation: TenantNo, email: &str, origin: &Origin) -> Actor {
    Actor {
        kind: match organisation {
            TenantNo::PROVIDER => ActorKind::Expert,
            _ => ActorKind::Customer,
        },
        name: email.to_owned(),
        address: origin.address,
    }
}

/// Begins the change that a link makes: the link is used, and all that was there before is gone.
async fn use_link(app: &App, token: &str, invited: &Invited, origin: &Origin) -> Result<Tx> {
    let actor = actor(invited.organisation, &invited.email, origin);
    let tx = Tx::begin(app, invited.organisation, actor).await?;
    let used = tx
        .execute(
            "update setup_link set used_at = $2 where token_hash = $1 and used_at is null \
             and expires_at > $2",
            vec![crate::tenant::hash(token).into(), tx.now().micros().into()],
        )
        .await?;
    if used == 0 {
        return Err(gone());
    }
    forget_factors(&tx, &invited.person).await?;
    session::end_all(&tx, &invited.person, None).await?;
    Ok(tx)
}

/// Takes away everything a person signs in with.
pub(super) async fn forget_factors(tx: &Transaction, person: &str) -> Result<()> {
    tx.execute(
        "update person set password = null, totp = null, totp_at = null, totp_step = null \
         where id = $1",
        vec![person.into()],
    )
    .await?;
    tx.execute("delete from passkey where person_id = $1", vec![person.into()]).await?;
    tx.execute("delete from recovery_code where person_id = $1", vec![person.into()]).await?;
    Ok(())
}

fn record(tx: &mut Tx, invited: &Invited, factor: Factor) {
    tx.record(Fact::PersonSetUp {
        person: invited.person.clone(),
        email: invited.email.clone(),
        factor: factor.word().to_owned(),
    });
}
