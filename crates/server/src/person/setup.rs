//! Setting up how to sign in, with a link: a passkey, or a password and an authenticator app.
//!
//!   link -password-> ceremony -code-> session        link -passkey made-> session
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
use crate::person::session::{self, Factor, Opened, Origin};
use crate::person::sign_in::secret_of;
use crate::person::totp::Enrolment;
use crate::person::{ceremony, passkey, password, totp};
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

/// What a link is for, while it is valid.
pub async fn look(app: &App, token: &str) -> Result<Invited> {
    let row = app
        .db
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
    let Some(step) = step else {
        return Err(Error::Invalid(
            "the code is not right; is the clock of the phone right?".to_owned(),
        ));
    };
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
    for code in &codes {
        tx.execute(
            "insert into recovery_code (person_id, code_hash) values ($1, $2)",
            vec![invited.person.clone().into(), totp::recovery_hash(&invited.person, code).into()],
        )
        .await?;
    }
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

/// Begins the change that a link makes: the link is used, and all that was there before is gone.
async fn use_link(app: &App, token: &str, invited: &Invited, origin: &Origin) -> Result<Tx> {
    let actor = Actor {
        kind: match invited.organisation {
            TenantNo::PROVIDER => ActorKind::Expert,
            _ => ActorKind::Customer,
        },
        name: invited.email.clone(),
        address: origin.address,
    };
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
