//! What is between two requests of one ceremony: a password that was right and waits for a code, a
//! passkey that is being made, a visit to an identity provider.
//!
//! The client holds a random name of the ceremony, the store the rest, sealed. A ceremony ends after
//! [`LASTS_S`], and when it is taken: nothing is done twice with it.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::db::column;
use crate::error::{Error, Result};
use crate::id::TenantNo;
use crate::vault::Place;

/// How long a ceremony may take, in seconds.
const LASTS_S: i64 = 600;

fn place(flow_hash: &str) -> Place<'_> {
    Place { table: "ceremony", row: flow_hash, column: "state" }
}

/// Begins a ceremony; gives the name that the client shows again.
pub(super) async fn begin(
    app: &App,
    kind: &str,
    person: Option<&str>,
    state: &(impl Serialize + Sync),
) -> Result<String> {
    let flow = app.random.secret()?;
    let flow_hash = crate::tenant::hash(&flow);
    let state = serde_json::to_vec(state).map_err(Error::internal)?;
    let key = app.vault_key(TenantNo::PROVIDER).await?;
    let sealed = key.seal(&app.random, place(&flow_hash), &state)?;
    let until = app.clock.now().plus_seconds(LASTS_S);
    let tx = app.db.shared().begin().await?;
    tx.execute(
        "insert into ceremony (flow_hash, kind, person_id, state, expires_at) \
         values ($1, $2, $3, $4, $5)",
        vec![
            flow_hash.into(),
            kind.into(),
            person.map(str::to_owned).into(),
            sealed.into(),
            until.micros().into(),
        ],
    )
    .await?;
    tx.commit().await?;
    Ok(flow)
}

/// A ceremony under way.
pub(super) struct Ceremony<T> {
    /// Whose it is, once that is known.
    pub(super) person: Option<String>,
    /// What was kept.
    pub(super) state: T,
}

/// Looks at a ceremony of this kind; `None` when there is none (any more).
pub(super) async fn look<T: DeserializeOwned>(
    app: &App,
    kind: &str,
    flow: &str,
) -> Result<Option<Ceremony<T>>> {
    let flow_hash = crate::tenant::hash(flow);
    let row = app
        .db
        .shared()
        .query_one(
            "select person_id, state from ceremony \
             where flow_hash = $1 and kind = $2 and expires_at > $3",
            vec![flow_hash.clone().into(), kind.into(), app.clock.now().micros().into()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let sealed: Vec<u8> = column(&row, 1)?;
    let key = app.vault_key(TenantNo::PROVIDER).await?;
    let state = key.open(place(&flow_hash), &sealed)?;
    let state = serde_json::from_slice(&state).map_err(Error::internal)?;
    Ok(Some(Ceremony { person: column(&row, 0)?, state }))
}

/// Ends a ceremony; whether it was there to be ended. Of several who try one succeeds.
pub(super) async fn end(app: &App, flow: &str) -> Result<bool> {
    let tx = app.db.shared().begin().await?;
    let ended = tx
        .execute(
            "delete from ceremony where flow_hash = $1",
            vec![crate::tenant::hash(flow).into()],
        )
        .await?;
    tx.commit().await?;
    Ok(ended == 1)
}

/// Looks at a ceremony and ends it.
pub(super) async fn take<T: DeserializeOwned>(
    app: &App,
    kind: &str,
    flow: &str,
) -> Result<Option<Ceremony<T>>> {
    let found = look(app, kind, flow).await?;
    Ok(if found.is_some() && end(app, flow).await? { found } else { None })
}
