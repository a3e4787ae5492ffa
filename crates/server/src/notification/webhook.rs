//! Webhooks: programs of a customer's that hear of what concerns it, signed (NOT-11).
//!
//! A message is a `CloudEvents` 1.0 envelope in JSON, signed as Standard Webhooks does: `webhook-id` is
//! the delivery's and the same however often it is sent, `webhook-timestamp` is when, and
//! `webhook-signature` is HMAC-SHA256 over `id.timestamp.body` with the secret, and with the former
//! one for a day after it was changed. What the receiver answers is not read beyond its status, and
//! goes by `outbound`. Invariants: a secret is shown once; who may write an address down gives a new
//! secret with it. Not here: when it is sent (`engine`).

use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openidconnect::url::Url;
use ring::hmac;
use sea_orm::QueryResult;
use serde_json::{Value, json};

use crate::app::App;
use crate::clock::Timestamp;
use crate::db::{Scope, Transaction, column};
use crate::error::{Error, Result};
use crate::event::{Change, Fact};
use crate::id::TenantNo;
use crate::notification::model::Answer;
use crate::outbound;
use crate::permission::Permission;
use crate::tenant::caller::Caller;
use crate::tx::Tx;
use crate::vault::Place;

/// Webhooks of one customer.
const MOST: i64 = 20;
/// How long the former secret signs as well, in seconds.
const BOTH_S: i64 = 86_400;
/// The longest address, in bytes.
const LONGEST: usize = 2_000;

/// A webhook as its customer sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Webhook {
    /// Its id, a UUID.
    pub id: String,
    /// Whose it is.
    pub tenant: TenantNo,
    /// What it is called.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// Until when the former secret signs as well.
    pub former_until: Option<Timestamp>,
    /// Since when nothing is sent there.
    pub paused: Option<Timestamp>,
    /// Who added it.
    pub created_by: String,
    /// When.
    pub created: Timestamp,
}

const COLUMNS: &str = "id, tenant_no, name, url, former_until, paused_at, created_by, created_at";

impl Webhook {
    fn from_row(row: &QueryResult) -> Result<Self> {
        let at = |index| -> Result<Option<Timestamp>> {
            Ok(column::<Option<i64>>(row, index)?.map(Timestamp::from_micros))
        };
        Ok(Self {
            id: column(row, 0)?,
            tenant: TenantNo(column(row, 1)?),
            name: column(row, 2)?,
            url: column(row, 3)?,
            former_until: at(4)?,
            paused: at(5)?,
            created_by: column(row, 6)?,
            created: Timestamp::from_micros(column(row, 7)?),
        })
    }
}

fn unknown() -> Error {
    Error::NotFound("the webhook does not exist".to_owned())
}

fn secret_of(id: &str) -> Place<'_> {
    Place { table: "webhook", row: id, column: "secret" }
}

fn address(app: &App, given: &str) -> Result<String> {
    let sound = |c: char| c.is_ascii_graphic();
    if given.is_empty() || given.len() > LONGEST || !given.chars().all(sound) {
        return Err(Error::Invalid(format!(
            "url is 1 to {LONGEST} printable characters of ASCII without blanks"
        )));
    }
    let url =
        Url::parse(given).map_err(|error| Error::Invalid(format!("url is no address: {error}")))?;
    if url.fragment().is_some() {
        return Err(Error::Invalid("url has no fragment".to_owned()));
    }
    outbound::require_sound(&app.config, &url)?;
    Ok(url.to_string())
}

/// A new secret, as receivers are told it.
fn draw(app: &App) -> Result<String> {
    Ok(format!("whsec_{}", STANDARD.encode(app.random.bytes::<32>()?)))
}

/// The webhooks of the caller's own organisation, the oldest first.
pub async fn list(app: &App, caller: &Caller) -> Result<Vec<Webhook>> {
    caller.require(&[Permission::ContactRead])?;
    let tenant = caller.own_tenant()?;
    let sql = format!(
        "select {COLUMNS} from webhook where tenant_no = $1 and removed_at is null \
         order by created_at, id"
    );
    let rows = app.db.of(tenant).query(&sql, vec![tenant.0.into()]).await?;
    rows.iter().map(Webhook::from_row).collect()
}

/// Those that something is sent to, in an open change.
pub(crate) async fn live(tx: &Transaction, tenant: TenantNo) -> Result<Vec<Webhook>> {
    let sql = format!(
        "select {COLUMNS} from webhook where tenant_no = $1 and removed_at is null \
         and paused_at is null order by created_at, id"
    );
    let rows = tx.query(&sql, vec![tenant.0.into()]).await?;
    rows.iter().map(Webhook::from_row).collect()
}

pub(crate) async fn find_in(tx: &Transaction, tenant: TenantNo, id: &str) -> Result<Webhook> {
    let sql = format!(
        "select {COLUMNS} from webhook where tenant_no = $1 and id = $2 and removed_at is null"
    );
    let row = tx.query_one(&sql, vec![tenant.0.into(), id.into()]).await?;
    row.as_ref().map(Webhook::from_row).transpose()?.ok_or_else(unknown)
}

/// Adds a webhook to the caller's own organisation; gives its secret, this once.
pub async fn add(app: &App, caller: &Caller, name: &str, url: &str) -> Result<(Webhook, String)> {
    caller.require(&[Permission::ContactReadWrite])?;
    caller.require_step_up(app.clock.now())?;
    let tenant = caller.own_tenant()?;
    let name = crate::tenant::named("webhook", name)?.to_owned();
    let (id, url, secret) = (app.random.uuid()?, address(app, url)?, draw(app)?);
    let key = app.vault_key(tenant).await?;
    let sealed = key.seal(&app.random, secret_of(&id), secret.as_bytes())?;
    let mut tx = Tx::begin(app, tenant, caller.actor()).await?;
    let sql = "select count(*) from webhook where tenant_no = $1 and removed_at is null";
    let row = tx.query_one(sql, vec![tenant.0.into()]).await?;
    if row.map(|row| column::<i64>(&row, 0)).transpose()?.unwrap_or_default() >= MOST {
        return Err(Error::Conflict(format!("an organisation has {MOST} webhooks at most")));
    }
    let it = Webhook {
        id,
        tenant,
        name,
        url,
        former_until: None,
        paused: None,
        created_by: tx.actor().name.clone(),
        created: tx.now(),
    };
    tx.execute(
        "insert into webhook (id, tenant_no, name, url, secret, created_by, created_at) \
         values ($1, $2, $3, $4, $5, $6, $7)",
        vec![
            it.id.clone().into(),
            tenant.0.into(),
            it.name.clone().into(),
            it.url.clone().into(),
            sealed.into(),
            it.created_by.clone().into(),
            it.created.micros().into(),
        ],
    )
    .await?;
    tx.record(Fact::WebhookAdded {
        webhook: it.id.clone(),
        name: it.name.clone(),
        address: it.url.clone(),
    });
    tx.commit().await?;
    Ok((it, secret))
}

/// Calls a webhook otherwise, pauses it or goes on with it.
pub async fn change(
    app: &App,
    caller: &Caller,
    id: &str,
    name: Option<&str>,
    paused: Option<bool>,
) -> Result<Webhook> {
    caller.require(&[Permission::ContactReadWrite])?;
    let tenant = caller.own_tenant()?;
    let mut tx = Tx::begin(app, tenant, caller.actor()).await?;
    let before = find_in(&tx, tenant, id).await?;
    let mut after = before.clone();
    if let Some(name) = name {
        crate::tenant::named("webhook", name)?.clone_into(&mut after.name);
    }
    after.paused = match paused {
        None => before.paused,
        Some(true) => before.paused.or(Some(tx.now())),
        Some(false) => None,
    };
    let changes: Vec<Change> = [
        ("name", json!(before.name), json!(after.name)),
        ("paused", json!(before.paused.is_some()), json!(after.paused.is_some())),
    ]
    .into_iter()
    .filter(|(_, before, after)| before != after)
    .map(|(field, before, after)| Change { field, before, after })
    .collect();
    if changes.is_empty() {
        return Ok(after);
    }
    write_pause(&tx, &after).await?;
    tx.execute(
        "update webhook set name = $3 where tenant_no = $1 and id = $2",
        vec![tenant.0.into(), id.into(), after.name.clone().into()],
    )
    .await?;
    tx.record(Fact::WebhookChanged {
        webhook: after.id.clone(),
        name: after.name.clone(),
        changes,
    });
    tx.commit().await?;
    Ok(after)
}

async fn write_pause(tx: &Transaction, it: &Webhook) -> Result<()> {
    tx.execute(
        "update webhook set paused_at = $3 where tenant_no = $1 and id = $2",
        vec![it.tenant.0.into(), it.id.clone().into(), it.paused.map(Timestamp::micros).into()],
    )
    .await?;
    Ok(())
}

/// Pauses a webhook whose receiver said that it is gone for good.
pub(super) async fn gone(tx: &mut Tx, id: &str) -> Result<()> {
    let tenant = tx.tenant();
    let Ok(mut it) = find_in(tx, tenant, id).await else { return Ok(()) };
    if it.paused.is_some() {
        return Ok(());
    }
    it.paused = Some(tx.now());
    write_pause(tx, &it).await?;
    let changes = vec![Change { field: "paused", before: json!(false), after: json!(true) }];
    tx.record(Fact::WebhookChanged { webhook: it.id, name: it.name, changes });
    Ok(())
}

/// Draws another secret and gives it, this once; the former one signs as well for a day.
pub async fn rotate(app: &App, caller: &Caller, id: &str) -> Result<(Webhook, String)> {
    caller.require(&[Permission::ContactReadWrite])?;
    caller.require_step_up(app.clock.now())?;
    let tenant = caller.own_tenant()?;
    let secret = draw(app)?;
    let key = app.vault_key(tenant).await?;
    let sealed = key.seal(&app.random, secret_of(id), secret.as_bytes())?;
    let mut tx = Tx::begin(app, tenant, caller.actor()).await?;
    let mut it = find_in(&tx, tenant, id).await?;
    it.former_until = Some(tx.now().plus_seconds(BOTH_S));
    tx.execute(
        "update webhook set former = secret, former_until = $3, secret = $4 \
         where tenant_no = $1 and id = $2",
        vec![
            tenant.0.into(),
            id.into(),
            it.former_until.map(Timestamp::micros).into(),
            sealed.into(),
        ],
    )
    .await?;
    // That it is another is on record, and nothing of either.
    let changes = vec![Change { field: "secret", before: Value::Null, after: Value::Null }];
    tx.record(Fact::WebhookChanged { webhook: it.id.clone(), name: it.name.clone(), changes });
    tx.commit().await?;
    Ok((it, secret))
}

/// Takes a webhook away and forgets its secrets; what waits for it is not sent any more.
pub async fn remove(app: &App, caller: &Caller, id: &str) -> Result<()> {
    caller.require(&[Permission::ContactReadWrite])?;
    let tenant = caller.own_tenant()?;
    let mut tx = Tx::begin(app, tenant, caller.actor()).await?;
    let it = find_in(&tx, tenant, id).await?;
    tx.execute(
        "update webhook set removed_at = $3, secret = $4, former = null \
         where tenant_no = $1 and id = $2",
        vec![tenant.0.into(), id.into(), tx.now().micros().into(), Vec::<u8>::new().into()],
    )
    .await?;
    tx.record(Fact::WebhookRemoved { webhook: it.id, name: it.name });
    tx.commit().await
}

/// Where a webhook is, and what signs: the way to it, opened once for several deliveries.
pub(super) struct Line {
    url: String,
    keys: Vec<hmac::Key>,
}

/// Opens the way to a webhook; `None` when it is paused or gone by now.
pub(super) async fn open(
    app: &App,
    scope: &Scope<'_>,
    tenant: TenantNo,
    id: &str,
) -> Result<Option<Line>> {
    let row = scope
        .query_one(
            "select url, secret, former, former_until from webhook where tenant_no = $1 \
             and id = $2 and removed_at is null and paused_at is null",
            vec![tenant.0.into(), id.into()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let mut sealed: Vec<Vec<u8>> = vec![column(&row, 1)?];
    let until = column::<Option<i64>>(&row, 3)?.unwrap_or_default();
    if let (Some(former), true) = (column(&row, 2)?, until > app.clock.now().micros()) {
        sealed.push(former);
    }
    let vault = app.vault_key(tenant).await?;
    let mut keys = Vec::with_capacity(sealed.len());
    for sealed in sealed {
        let secret = String::from_utf8(vault.open(secret_of(id), &sealed)?);
        keys.push(key(&secret.map_err(Error::internal)?)?);
    }
    Ok(Some(Line { url: column(&row, 0)?, keys }))
}

fn key(secret: &str) -> Result<hmac::Key> {
    let bytes = STANDARD.decode(secret.strip_prefix("whsec_").unwrap_or(secret));
    let bytes = bytes.map_err(|_| Error::Internal("a webhook's secret is damaged".to_owned()))?;
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

/// `v1,…` for each secret, over exactly what is sent.
fn signatures(keys: &[hmac::Key], id: &str, at_s: i64, body: &[u8]) -> String {
    let mut signed = format!("{id}.{at_s}.").into_bytes();
    signed.extend_from_slice(body);
    let each =
        keys.iter().map(|key| format!("v1,{}", STANDARD.encode(hmac::sign(key, &signed).as_ref())));
    each.collect::<Vec<_>>().join(" ")
}

impl Line {
    /// Sends one message.
    pub(super) async fn send(&self, app: &App, id: &str, body: &Value) -> Answer {
        let body = body.to_string().into_bytes();
        let at_s = app.clock.now().micros().div_euclid(1_000_000);
        let request = Request::post(&self.url)
            .header("content-type", "application/cloudevents+json; charset=utf-8")
            .header("user-agent", "Riposte")
            .header("webhook-id", id)
            .header("webhook-timestamp", at_s.to_string())
            .header("webhook-signature", signatures(&self.keys, id, at_s, &body))
            .body(body);
        let request = match request {
            Ok(request) => request,
            Err(error) => return Answer::Refused(format!("no request: {error}")),
        };
        match outbound::send(&app.config, request).await {
            Ok(answer) => {
                let status = answer.status();
                let said = status.to_string();
                match status.as_u16() {
                    200..=299 => Answer::Delivered(said),
                    // It says itself that it will never take anything again.
                    410 => Answer::Refused(said),
                    _ => Answer::Later(said),
                }
            }
            Err(error) => Answer::Later(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_one_of_the_published_example() {
        // Standard Webhooks, the example of its reference libraries.
        let key = key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
        let body = br#"{"test": 2432232314}"#;
        let signed = signatures(&[key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
