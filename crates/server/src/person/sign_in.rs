//! Signing in: password and then a code, or a passkey; and showing a factor again later.
//!
//!   password right, or a provider's word -> ceremony -code right-> session
//!   passkey right -> session
//!
//! Whether an address belongs to somebody shows in no answer and in no time taken. Five wrong
//! answers for an address of a person from an address of the network lock that pair for a quarter of
//! an hour: an attacker elsewhere locks nobody out. A code counts once.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::app::App;
use crate::clock::Timestamp;
use crate::db::column;
use crate::error::{Error, Result};
use crate::id::TenantNo;
use crate::person::session::{self, Opened, Origin};
use crate::person::{ceremony, passkey, password, totp};
use crate::tenant::caller::{Caller, Factor};
use crate::vault::Place;

/// Wrong answers after which a pair is locked.
const WRONG_ANSWERS: i64 = 5;
/// For how long, in seconds from the first of them.
pub(super) const LOCKED_S: i64 = 900;

/// What is kept of the first half of signing in.
#[derive(Serialize, Deserialize)]
struct FirstHalf {
    /// Whose wrong answers are counted together.
    pair: String,
    /// Whose identity provider gave its word; none after a password.
    organisation: Option<i64>,
}

/// What every wrong answer is told.
fn wrong() -> Error {
    Error::Denied("the mail address, the password or the code is not right".to_owned())
}

/// Whether an error is that answer.
#[must_use]
pub fn is_wrong(error: &Error) -> bool {
    matches!((error, wrong()), (Error::Denied(one), Error::Denied(other)) if *one == other)
}

fn pair(email: &str, origin: &Origin) -> String {
    let address = origin.address.map_or_else(String::new, |address| address.to_string());
    hex::encode(Sha256::digest(format!("{}\n{address}", email.trim().to_lowercase())))
}

async fn refuse_locked(app: &App, pair: &str) -> Result<()> {
    let now = app.clock.now();
    let sql = "select count, since from sign_in_failure where pair_hash = $1";
    let Some(row) = app.db.shared().query_one(sql, vec![pair.into()]).await? else { return Ok(()) };
    let until = Timestamp::from_micros(column(&row, 1)?).plus_seconds(LOCKED_S);
    if column::<i64>(&row, 0)? >= WRONG_ANSWERS && now < until {
        let left = (until.micros() - now.micros() + 999_999) / 1_000_000;
        return Err(Error::Busy {
            what: "too many wrong answers from this address".to_owned(),
            retry_after_s: u32::try_from(left).unwrap_or(1),
            own_limit: true,
        });
    }
    Ok(())
}

/// Counts a wrong answer; before it is looked at, so that many at once count as many.
async fn count(app: &App, pair: &str) -> Result<()> {
    let now = app.clock.now();
    let tx = app.db.shared().begin().await?;
    tx.execute(
        "insert into sign_in_failure (pair_hash, count, since) values ($1, 1, $2) \
         on conflict (pair_hash) do update set \
         count = case when sign_in_failure.since <= $3 then 1 else sign_in_failure.count + 1 end, \
         since = case when sign_in_failure.since <= $3 then $2 else sign_in_failure.since end",
        vec![pair.into(), now.micros().into(), now.plus_seconds(-LOCKED_S).micros().into()],
    )
    .await?;
    tx.commit().await
}

async fn forgive(app: &App, pair: &str) -> Result<()> {
    let tx = app.db.shared().begin().await?;
    tx.execute("delete from sign_in_failure where pair_hash = $1", vec![pair.into()]).await?;
    tx.commit().await
}

/// The first half: a mail address and a password. Gives the name of the ceremony for the second.
pub async fn with_password(app: &App, email: &str, given: &str, origin: &Origin) -> Result<String> {
    let pair = pair(email, origin);
    refuse_locked(app, &pair).await?;
    count(app, &pair).await?;
    let row = app
        .db
        .shared()
        .query_one(
            "select id, password from person where email = $1 and totp_at is not null",
            vec![email.trim().to_lowercase().into()],
        )
        .await?;
    let (person, hash): (Option<String>, Option<String>) = match row {
        Some(row) => (Some(column(&row, 0)?), column(&row, 1)?),
        None => (None, None),
    };
    // As long for nobody as for somebody.
    let given: String = given.chars().take(password::MOST + 1).collect();
    let right = password::is_right(hash, &given).await?;
    match person.filter(|_| right) {
        Some(person) => {
            let half = FirstHalf { pair, organisation: None };
            ceremony::begin(app, "first half", Some(&person), &half).await
        }
        None => Err(wrong()),
    }
}

/// The first half by an identity provider's word; the second is the same.
pub(super) async fn after_provider(
    app: &App,
    person: &str,
    organisation: TenantNo,
    origin: &Origin,
) -> Result<String> {
    let pair = pair(&session::email_of(app, person).await?, origin);
    let half = FirstHalf { pair, organisation: Some(organisation.0) };
    ceremony::begin(app, "first half", Some(person), &half).await
}

/// The second half: a code of the authenticator app, or a recovery code.
pub async fn with_code(app: &App, flow: &str, code: &str, origin: &Origin) -> Result<Opened> {
    let found = ceremony::look::<FirstHalf>(app, "first half", flow).await?;
    let Some((Some(person), half)) = found.map(|found| (found.person, found.state)) else {
        return Err(wrong());
    };
    let FirstHalf { pair, organisation } = half;
    refuse_locked(app, &pair).await?;
    count(app, &pair).await?;
    if !code_is_right(app, &person, code).await? {
        return Err(wrong());
    }
    if !ceremony::end(app, flow).await? {
        return Err(wrong());
    }
    forgive(app, &pair).await?;
    match organisation {
        Some(no) => session::open_in(app, &person, TenantNo(no), Factor::Oidc, origin).await,
        None => session::open(app, &person, Factor::Totp, origin).await,
    }
}

/// Whether a code is right and was not used; it counts as used from now on.
async fn code_is_right(app: &App, person: &str, code: &str) -> Result<bool> {
    let row = app
        .db
        .shared()
        .query_one("select totp, totp_step from person where id = $1", vec![person.into()])
        .await?;
    let Some(row) = row else { return Ok(false) };
    let Some(sealed) = column::<Option<Vec<u8>>>(&row, 0)? else { return Ok(false) };
    let last: Option<i64> = column(&row, 1)?;
    let secret = app.vault_key(TenantNo::PROVIDER).await?.open(secret_of(person), &sealed)?;
    let step = totp::step_of(&secret, code, app.clock.now(), last)?;
    let tx = app.db.shared().begin().await?;
    let used = match step {
        Some(step) => {
            tx.execute(
                "update person set totp_step = $2 where id = $1 and coalesce(totp_step, 0) < $2",
                vec![person.into(), step.into()],
            )
            .await?
        }
        None => {
            tx.execute(
                "update recovery_code set used_at = $3 \
                 where person_id = $1 and code_hash = $2 and used_at is null",
                vec![
                    person.into(),
                    totp::recovery_hash(person, code).into(),
                    app.clock.now().micros().into(),
                ],
            )
            .await?
        }
    };
    tx.commit().await?;
    Ok(used == 1)
}

/// Where a person's secret is.
pub(super) fn secret_of(person: &str) -> Place<'_> {
    Place { table: "person", row: person, column: "totp" }
}

/// Asks for any passkey.
pub async fn begin_passkey(app: &App) -> Result<(String, Value)> {
    let (options, state) = passkey::begin_asking_anybody(app)?;
    Ok((ceremony::begin(app, "passkey", None, &state).await?, options))
}

/// Opens a session for whose passkey answered.
pub async fn with_passkey(
    app: &App,
    flow: &str,
    credential: Value,
    origin: &Origin,
) -> Result<Opened> {
    let ceremony = ceremony::take(app, "passkey", flow).await?.ok_or_else(wrong)?;
    let person = passkey::finish_asking_anybody(app, credential, ceremony.state).await?;
    session::open(app, &person, Factor::Passkey, origin).await
}

/// Shows a factor again with a code.
pub async fn step_up_with_code(
    app: &App,
    caller: &Caller,
    code: &str,
    origin: &Origin,
) -> Result<()> {
    caller.seat()?;
    let pair = pair(&caller.name, origin);
    refuse_locked(app, &pair).await?;
    count(app, &pair).await?;
    if !code_is_right(app, &caller.client_id, code).await? {
        return Err(wrong());
    }
    forgive(app, &pair).await?;
    session::prove(app, caller).await
}

/// Asks for a passkey of the caller's.
pub async fn begin_step_up(app: &App, caller: &Caller) -> Result<(String, Value)> {
    caller.seat()?;
    let known = passkey::of_person(app, &caller.client_id).await?;
    if known.is_empty() {
        return Err(Error::Conflict("there is no passkey to ask for".to_owned()));
    }
    let (options, state) = passkey::begin_asking(app, &known)?;
    let flow = ceremony::begin(app, "step up", Some(&caller.client_id), &state).await?;
    Ok((flow, options))
}

/// Shows a factor again with a passkey.
pub async fn step_up_with_passkey(
    app: &App,
    caller: &Caller,
    flow: &str,
    credential: Value,
) -> Result<()> {
    let ceremony = ceremony::take(app, "step up", flow).await?.ok_or_else(wrong)?;
    if ceremony.person.as_deref() != Some(&caller.client_id) {
        return Err(wrong());
    }
    passkey::finish_asking(app, &caller.client_id, credential, &ceremony.state).await?;
    session::prove(app, caller).await
}
