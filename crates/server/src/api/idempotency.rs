//! `Idempotency-Key`: the same request sent again gets the first answer, and is carried out once.
//!
//! The key belongs to the application that sent it, and to the request it first came with; it is
//! remembered for seven days (see `worker`). While the first request is under way a second one is
//! told so. Once begun a request is carried out even when its client goes away.
//!
//! Whoever carries a request out shows every [`BEAT`] that it is alive. A claim without that for
//! [`DEAD_S`] died with its process and is taken over by whoever asks next, under a name of its
//! own: a process that was only paused finds its claim gone and keeps nothing.
//!
//! What the dead one did is not undone. Most requests are harmless when done twice, as an alert is
//! known by its source's id and a step by the state it begins in. What makes something new each time
//! writes a receipt in its own change (`receipt`); who takes such a request over is given it and
//! makes nothing ([`once_made`]).

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use sha2::{Digest, Sha256};
use tokio::task::JoinSet;

use crate::app::App;
use crate::db::column;
use crate::error::{Error, Result};
use crate::http::{Answer, EXCHANGE, Failure, json_bytes};
use crate::lease::LEASE_S;
use crate::receipt::Receipt;
use crate::tenant::caller::Caller;

/// After this many seconds without a sign of life a request is taken to have died with its process.
const DEAD_S: i64 = LEASE_S;
/// How often a request under way gives one.
const BEAT: Duration = Duration::from_secs(1);

/// Carries `work` out, once per key. `request` is everything that makes it this request.
pub async fn once<F>(
    app: &App,
    caller: &Caller,
    headers: &HeaderMap,
    request: &[&[u8]],
    work: F,
) -> Answer
where
    F: Future<Output = Answer> + Send + 'static,
{
    once_made(app, caller, headers, request, |_| work).await
}

/// The same for what makes something: `work` is given the id that a process wrote on the receipt
/// before it died, and then only shows it.
pub async fn once_made<F>(
    app: &App,
    caller: &Caller,
    headers: &HeaderMap,
    request: &[&[u8]],
    work: impl FnOnce(Option<String>) -> F,
) -> Answer
where
    F: Future<Output = Answer> + Send + 'static,
{
    let Some(key) = headers.get("idempotency-key") else { return work(None).await };
    if key.is_empty() || key.len() > 255 {
        return Err(Failure::bad("an Idempotency-Key has 1 to 255 characters"));
    }
    let slot = Slot {
        app: app.clone(),
        caller: caller.client_id.clone(),
        key: hash(&[key.as_bytes()]),
        request: hash(request),
        name: hex::encode(app.random.bytes::<16>()?),
    };
    let work = match slot.claim().await? {
        Claim::Answered(answer) => return Ok(*answer),
        Claim::Ours(made) => work(made),
    };
    let receipt =
        Receipt { caller: slot.caller.clone(), key: slot.key.clone(), claim: slot.name.clone() };
    let task = async move {
        let slot = Arc::new(slot);
        // Beside the work and not between its steps: both may wait for the store. Ends with it,
        // even when it panics.
        let mut beats = JoinSet::new();
        beats.spawn(slot.clone().beat());
        let answer = receipt.hold(work).await;
        crate::failpoint::hit("idempotency.before_kept");
        drop(beats);
        let response = match answer {
            Ok(response) => response,
            Err(failure) => failure.into_response(),
        };
        slot.keep(response).await
    };
    let task = match EXCHANGE.try_with(Clone::clone) {
        Ok(exchange) => tokio::spawn(EXCHANGE.scope(exchange, task)),
        Err(_) => tokio::spawn(task),
    };
    Ok(task.await.map_err(Error::internal)??)
}

/// What became of the wish to carry a request out.
enum Claim {
    /// It was answered before, or is under way.
    Answered(Box<Response>),
    /// It is for this process, with what a dead one has made of it.
    Ours(Option<String>),
}

struct Slot {
    app: App,
    caller: String,
    key: String,
    request: String,
    /// Of this very claim.
    name: String,
}

impl Slot {
    /// Takes the key for this request, or gives the answer to send instead.
    async fn claim(&self) -> std::result::Result<Claim, Failure> {
        // Before the transaction: while this one waits for the store, so may the sign of life that
        // came behind it.
        let now = self.app.clock.now();
        let tx = self.app.db.shared().begin().await?;
        let fresh = tx
            .execute(
                "insert into idempotency (caller, key_hash, request_hash, at, claim) \
                 values ($1, $2, $3, $4, $5) on conflict do nothing",
                vec![
                    self.caller.clone().into(),
                    self.key.clone().into(),
                    self.request.clone().into(),
                    now.micros().into(),
                    self.name.clone().into(),
                ],
            )
            .await?;
        if fresh == 1 {
            tx.commit().await?;
            return Ok(Claim::Ours(None));
        }
        let row = tx
            .query_one(
                "select request_hash, status, reply, made from idempotency \
                 where caller = $1 and key_hash = $2",
                vec![self.caller.clone().into(), self.key.clone().into()],
            )
            .await?;
        let row = row.ok_or_else(Failure::internal)?;
        if column::<String>(&row, 0)? != self.request {
            return Err(Failure::new(
                StatusCode::CONFLICT,
                "this Idempotency-Key came with another request before",
            ));
        }
        if let Some(status) = column::<Option<i64>>(&row, 1)? {
            let reply: Option<String> = column(&row, 2)?;
            let status =
                u16::try_from(status).ok().and_then(|code| StatusCode::from_u16(code).ok());
            let mut response =
                json_bytes(status.unwrap_or(StatusCode::OK), reply.unwrap_or_default());
            let replayed = HeaderValue::from_static("true");
            response.headers_mut().insert("idempotent-replayed", replayed);
            return Ok(Claim::Answered(Box::new(response)));
        }
        let taken = tx
            .execute(
                "update idempotency set at = $3, claim = $5 \
                 where caller = $1 and key_hash = $2 and status is null and at < $4",
                vec![
                    self.caller.clone().into(),
                    self.key.clone().into(),
                    now.micros().into(),
                    now.plus_seconds(-DEAD_S).micros().into(),
                    self.name.clone().into(),
                ],
            )
            .await?;
        tx.commit().await?;
        if taken == 1 {
            return Ok(Claim::Ours(column(&row, 3)?));
        }
        let under_way =
            Failure::new(StatusCode::CONFLICT, "the first request with this key is under way");
        Err(Failure { retry_after_s: Some(1), ..under_way })
    }

    /// Shows that the request is under way, as long as the claim is this one.
    async fn beat(self: Arc<Self>) {
        loop {
            tokio::time::sleep(BEAT).await;
            match self.renew().await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => tracing::warn!("a request under way could not say so: {error}"),
            }
        }
    }

    async fn renew(&self) -> Result<bool> {
        let tx = self.app.db.shared().begin().await?;
        let renewed = tx
            .execute(
                "update idempotency set at = $4 where caller = $1 and key_hash = $2 and claim = $3",
                vec![
                    self.caller.clone().into(),
                    self.key.clone().into(),
                    self.name.clone().into(),
                    self.app.clock.now().micros().into(),
                ],
            )
            .await?;
        tx.commit().await?;
        Ok(renewed == 1)
    }

    /// Keeps the answer for whoever asks again. What failed for reasons of ours is not kept.
    async fn keep(&self, response: Response) -> Result<Response> {
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.map_err(Error::internal)?.to_bytes();
        let kept = !parts.status.is_server_error() && parts.status != StatusCode::TOO_MANY_REQUESTS;
        let tx = self.app.db.shared().begin().await?;
        if kept {
            tx.execute(
                "update idempotency set status = $4, reply = $5 \
                 where caller = $1 and key_hash = $2 and claim = $3",
                vec![
                    self.caller.clone().into(),
                    self.key.clone().into(),
                    self.name.clone().into(),
                    i64::from(parts.status.as_u16()).into(),
                    String::from_utf8_lossy(&bytes).into_owned().into(),
                ],
            )
            .await?;
        } else {
            tx.execute(
                "delete from idempotency where caller = $1 and key_hash = $2 and claim = $3",
                vec![self.caller.clone().into(), self.key.clone().into(), self.name.clone().into()],
            )
            .await?;
        }
        tx.commit().await?;
        Ok(Response::from_parts(parts, bytes.into()))
    }
}

fn hash(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hex::encode(hash.finalize())
}
