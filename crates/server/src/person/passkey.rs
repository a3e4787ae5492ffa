//! Passkeys: made and asked for by the rules of `WebAuthn`, with the user verified each time, which
//! makes one of them two factors.
//!
//! A passkey belongs to a host name. Ours is the host of the public address, or `localhost` on a
//! machine of one's own; an address made of digits has no passkeys, as browsers refuse them there.

use sea_orm::QueryResult;
use serde_json::{Value, json};
use webauthn_rs::prelude::{
    DiscoverableAuthentication, Passkey, PasskeyAuthentication, PasskeyRegistration,
    PublicKeyCredential, RegisterPublicKeyCredential, Url, Uuid,
};
use webauthn_rs::{Webauthn, WebauthnBuilder};

use crate::app::App;
use crate::clock::Timestamp;
use crate::db::{Transaction, column};
use crate::error::{Error, Result};

/// Passkeys of one person.
const MOST: usize = 20;

/// Why there are no passkeys at this address, or nothing when there are.
#[must_use]
pub fn unavailable(app: &App, origin: &str) -> Option<String> {
    let own = own_origin(app);
    let (Some(url), Ok(asked)) = (&own, Url::parse(origin)) else {
        return Some("passkeys need a public address with a host name".to_owned());
    };
    let same_host = url.host_str() == asked.host_str() && url.scheme() == asked.scheme();
    if same_host {
        return None;
    }
    let port = asked.port().map_or_else(String::new, |port| format!(":{port}"));
    let better = match &app.config.public_url {
        Some(public) => public.clone(),
        None => format!("{}://localhost{port}", url.scheme()),
    };
    Some(format!("passkeys belong to the address {better}"))
}

/// The origin that passkeys belong to; `None` when its host is an address made of digits.
fn own_origin(app: &App) -> Option<Url> {
    let url = if let Some(public) = &app.config.public_url {
        Url::parse(public).ok()?
    } else {
        let tls = app.config.tls.self_signed || app.config.tls.cert.is_some();
        Url::parse(if tls { "https://localhost" } else { "http://localhost" }).ok()?
    };
    url.domain().is_some().then_some(url)
}

fn webauthn(app: &App) -> Result<Webauthn> {
    let none = || Error::Conflict("there are no passkeys at this address".to_owned());
    let origin = own_origin(app).ok_or_else(none)?;
    let host = origin.domain().ok_or_else(none)?.to_owned();
    WebauthnBuilder::new(&host, &origin)
        // The port of a machine of one's own is whatever was free.
        .map(|builder| builder.allow_any_port(app.config.public_url.is_none()).rp_name("Riposte"))
        .and_then(WebauthnBuilder::build)
        .map_err(|error| Error::Internal(format!("webauthn: {error}")))
}

/// Why the browser's answer does not count. The details are for the log: they say what an attacker
/// would like to know.
fn refused(error: &webauthn_rs::prelude::WebauthnError) -> Error {
    tracing::info!("a passkey was refused: {error}");
    Error::Denied("the passkey was not accepted".to_owned())
}

fn read<T: serde::de::DeserializeOwned>(credential: Value) -> Result<T> {
    serde_json::from_value(credential)
        .map_err(|error| Error::Invalid(format!("the credential cannot be read: {error}")))
}

/// What a browser needs to make a passkey, and what to remember meanwhile.
pub(super) fn begin_making(
    app: &App,
    person: &str,
    email: &str,
    name: &str,
    known: &[Known],
) -> Result<(Value, PasskeyRegistration)> {
    if known.len() >= MOST {
        return Err(Error::Conflict(format!("a person has {MOST} passkeys at most")));
    }
    let id = Uuid::parse_str(person).map_err(Error::internal)?;
    let shown = if name.is_empty() { email } else { name };
    let exclude = known.iter().map(|known| known.passkey.cred_id().clone()).collect();
    let (options, state) = webauthn(app)?
        .start_passkey_registration(id, email, shown, Some(exclude))
        .map_err(|error| Error::Internal(format!("webauthn: {error}")))?;
    let mut options = serde_json::to_value(options).map_err(Error::internal)?;
    let mut options = options["publicKey"].take();
    // One that the browser finds by itself: signing in then asks for no address.
    options["authenticatorSelection"]["residentKey"] = json!("required");
    options["authenticatorSelection"]["requireResidentKey"] = json!(true);
    Ok((options, state))
}

/// The passkey a browser made.
pub(super) fn finish_making(
    app: &App,
    credential: Value,
    state: &PasskeyRegistration,
) -> Result<Passkey> {
    let credential: RegisterPublicKeyCredential = read(credential)?;
    webauthn(app)?.finish_passkey_registration(&credential, state).map_err(|error| refused(&error))
}

/// What a browser needs to ask for any passkey of ours.
pub(super) fn begin_asking_anybody(app: &App) -> Result<(Value, DiscoverableAuthentication)> {
    let (options, state) = webauthn(app)?
        .start_discoverable_authentication()
        .map_err(|error| Error::Internal(format!("webauthn: {error}")))?;
    let mut options = serde_json::to_value(options).map_err(Error::internal)?;
    Ok((options["publicKey"].take(), state))
}

/// Whose passkey answered, when the answer is right; the passkey with its new counter is written.
pub(super) async fn finish_asking_anybody(
    app: &App,
    credential: Value,
    state: DiscoverableAuthentication,
) -> Result<String> {
    let credential: PublicKeyCredential = read(credential)?;
    let webauthn = webauthn(app)?;
    let (person, _) = webauthn
        .identify_discoverable_authentication(&credential)
        .map_err(|error| refused(&error))?;
    let person = person.to_string();
    let known = of_person(app, &person).await?;
    let id = credential.get_credential_id();
    let Some(mut known) =
        known.into_iter().find(|known| <_ as AsRef<[u8]>>::as_ref(known.passkey.cred_id()) == id)
    else {
        return Err(Error::Denied("the passkey was not accepted".to_owned()));
    };
    let result = webauthn
        .finish_discoverable_authentication_v2(&credential, state, &known.passkey)
        .map_err(|error| refused(&error))?;
    known.passkey.update_credential(&result);
    used(app, &known).await?;
    Ok(person)
}

/// What a browser needs to ask for a passkey of this person.
pub(super) fn begin_asking(app: &App, known: &[Known]) -> Result<(Value, PasskeyAuthentication)> {
    let passkeys: Vec<Passkey> = known.iter().map(|known| known.passkey.clone()).collect();
    let (options, state) = webauthn(app)?
        .start_passkey_authentication(&passkeys)
        .map_err(|error| Error::Internal(format!("webauthn: {error}")))?;
    let mut options = serde_json::to_value(options).map_err(Error::internal)?;
    Ok((options["publicKey"].take(), state))
}

/// Checks the answer of one of the person's passkeys.
pub(super) async fn finish_asking(
    app: &App,
    person: &str,
    credential: Value,
    state: &PasskeyAuthentication,
) -> Result<()> {
    let credential: PublicKeyCredential = read(credential)?;
    let result = webauthn(app)?
        .finish_passkey_authentication(&credential, state)
        .map_err(|error| refused(&error))?;
    let known = of_person(app, person).await?;
    let Some(mut known) =
        known.into_iter().find(|known| known.passkey.cred_id() == result.cred_id())
    else {
        return Err(Error::Denied("the passkey was not accepted".to_owned()));
    };
    known.passkey.update_credential(&result);
    used(app, &known).await
}

/// A stored passkey.
pub(super) struct Known {
    /// The id of its credential.
    pub(super) id: String,
    /// What its owner calls it.
    pub(super) name: String,
    /// When it was made.
    pub(super) created: Timestamp,
    /// When it was last used.
    pub(super) used: Option<Timestamp>,
    /// Public key and counter.
    pub(super) passkey: Passkey,
}

const COLUMNS: &str = "id, name, created_at, used_at, credential";

impl Known {
    fn from_row(row: &QueryResult) -> Result<Self> {
        let credential: String = column(row, 4)?;
        Ok(Self {
            id: column(row, 0)?,
            name: column(row, 1)?,
            created: Timestamp::from_micros(column(row, 2)?),
            used: column::<Option<i64>>(row, 3)?.map(Timestamp::from_micros),
            passkey: serde_json::from_str(&credential).map_err(Error::internal)?,
        })
    }
}

/// The passkeys of a person, the oldest first.
pub(super) async fn of_person(app: &App, person: &str) -> Result<Vec<Known>> {
    let sql = format!("select {COLUMNS} from passkey where person_id = $1 order by created_at, id");
    let rows = app.db.shared().query(&sql, vec![person.into()]).await?;
    rows.iter().map(Known::from_row).collect()
}

/// Writes a passkey inside a change. One credential is one person's: another's is refused.
pub(super) async fn write(
    tx: &Transaction,
    person: &str,
    name: &str,
    passkey: &Passkey,
    now: Timestamp,
) -> Result<()> {
    let written = tx
        .execute(
            "insert into passkey (id, person_id, name, credential, created_at) \
             values ($1, $2, $3, $4, $5) on conflict do nothing",
            vec![
                hex::encode(passkey.cred_id()).into(),
                person.into(),
                name.into(),
                serde_json::to_string(passkey).map_err(Error::internal)?.into(),
                now.micros().into(),
            ],
        )
        .await?;
    if written == 1 {
        Ok(())
    } else {
        Err(Error::Conflict("this passkey is known already".to_owned()))
    }
}

async fn used(app: &App, known: &Known) -> Result<()> {
    let tx = app.db.shared().begin().await?;
    tx.execute(
        "update passkey set credential = $2, used_at = $3 where id = $1",
        vec![
            known.id.clone().into(),
            serde_json::to_string(&known.passkey).map_err(Error::internal)?.into(),
            app.clock.now().micros().into(),
        ],
    )
    .await?;
    tx.commit().await
}
