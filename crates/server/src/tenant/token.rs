//! Access tokens: client credentials in, an ES256 JSON web token out, as Entra does it.
//!
//! The signing key is in the store, so that every replica signs and accepts alike. Failures carry
//! `error`, `error_description` (`AADSTS…`) and `error_codes`, which identity libraries parse
//! (graph-api rule 7).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use ring::signature::{KeyPair, UnparsedPublicKey};
use serde_json::{Value, json};

use crate::actor::Actor;
use crate::app::App;
use crate::clock::Timestamp;
use crate::db::column;
use crate::error::{Error, Result};
use crate::event::Fact;
use crate::id::TenantNo;

/// How long a token is valid, in seconds.
pub const LIFETIME_S: i64 = 3599;

/// Why a token was not given, as Entra says it.
#[derive(Debug)]
pub struct TokenRefusal {
    /// `invalid_client`, `invalid_request` …
    pub error: &'static str,
    /// The number behind `AADSTS`.
    pub code: u32,
    /// What is wrong.
    pub text: String,
}

/// The installation's signing keys: the newest signs, all verify.
pub struct Keys {
    keys: Vec<(String, EcdsaKeyPair)>,
}

/// What a valid token says.
#[derive(Clone, Debug)]
pub struct Claims {
    /// The application.
    pub client_id: String,
    /// The tenant (or provider) it was issued by.
    pub tenant_id: String,
    /// From when it is no longer valid.
    pub expires: Timestamp,
}

impl Keys {
    /// Reads the signing keys, making the first one when there is none.
    pub async fn load(app: &App) -> Result<Self> {
        let fresh =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, app.random.ring())
                .map_err(|_| Error::Internal("cannot make a signing key".to_owned()))?;
        let tx = app.db.shared().begin().await?;
        let known =
            tx.query("select id from signing_key where kind = 'token' limit 1", vec![]).await?;
        if known.is_empty() {
            // Two replicas may both come here; both keys then sign and verify everywhere after the
            // next restart, and the unique name keeps the second out until then.
            tx.execute(
                "insert into signing_key (id, kind, pkcs8, created_at) values ('token-1', 'token', $1, $2) \
                 on conflict (id) do nothing",
                vec![fresh.as_ref().to_vec().into(), app.clock.now().micros().into()],
            )
            .await?;
        }
        tx.commit().await?;
        let rows = app
            .db
            .shared()
            .query(
                "select id, pkcs8 from signing_key where kind = 'token' order by created_at desc",
                vec![],
            )
            .await?;
        let mut keys = Vec::new();
        for row in rows {
            let id: String = column(&row, 0)?;
            let pkcs8: Vec<u8> = column(&row, 1)?;
            let key = EcdsaKeyPair::from_pkcs8(
                &ECDSA_P256_SHA256_FIXED_SIGNING,
                &pkcs8,
                app.random.ring(),
            )
            .map_err(|_| Error::Internal(format!("signing key {id} is damaged")))?;
            keys.push((id, key));
        }
        if keys.is_empty() {
            return Err(Error::Internal("there is no signing key".to_owned()));
        }
        Ok(Self { keys })
    }

    /// Signs a token.
    pub fn sign(
        &self,
        app: &App,
        issuer: &str,
        audience: &str,
        claims: &Claims,
        roles: &[&str],
    ) -> Result<String> {
        let (id, key) = &self.keys[0];
        let now = app.clock.now().micros() / 1_000_000;
        let header = json!({ "typ": "JWT", "alg": "ES256", "kid": id });
        let body = json!({
            "iss": issuer,
            "aud": audience,
            "iat": now,
            "nbf": now,
            "exp": claims.expires.micros() / 1_000_000,
            "appid": claims.client_id,
            "azp": claims.client_id,
            "oid": claims.client_id,
            "sub": claims.client_id,
            "tid": claims.tenant_id,
            "roles": roles,
            "uti": hex::encode(app.random.bytes::<12>()?),
            "ver": "1.0",
        });
        let signed =
            format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(body.to_string()));
        let signature = key
            .sign(app.random.ring(), signed.as_bytes())
            .map_err(|_| Error::Internal("cannot sign a token".to_owned()))?;
        Ok(format!("{signed}.{}", BASE64.encode(signature)))
    }

    /// What a token says, when one of our keys signed it and its time has come and not passed.
    #[must_use]
    pub fn verify(&self, token: &str, now: Timestamp) -> Option<Claims> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, body) = signed.split_once('.')?;
        let header: Value = serde_json::from_slice(&BASE64.decode(header).ok()?).ok()?;
        // The algorithm is ours to say, never the token's: anything else is a forgery.
        if header.get("alg")?.as_str()? != "ES256" {
            return None;
        }
        let id = header.get("kid")?.as_str()?;
        let (_, key) = self.keys.iter().find(|(known, _)| known == id)?;
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.public_key().as_ref())
            .verify(signed.as_bytes(), &BASE64.decode(signature).ok()?)
            .ok()?;
        let body: Value = serde_json::from_slice(&BASE64.decode(body).ok()?).ok()?;
        let seconds = |name: &str| body.get(name).and_then(Value::as_i64);
        let at = |seconds: i64| Timestamp::from_micros(0).plus_seconds(seconds);
        let expires = at(seconds("exp")?);
        // Five minutes of grace for clocks of replicas that differ.
        if now >= expires || now.plus_seconds(300) < at(seconds("nbf")?) {
            return None;
        }
        let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Claims { client_id: text("appid")?, tenant_id: text("tid")?, expires })
    }

    /// The public keys as a JSON web key set.
    #[must_use]
    pub fn public(&self) -> Value {
        let keys: Vec<Value> = self
            .keys
            .iter()
            .map(|(id, key)| {
                let point = key.public_key().as_ref();
                json!({
                    "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": id,
                    "x": BASE64.encode(point.get(1..33).unwrap_or_default()),
                    "y": BASE64.encode(point.get(33..65).unwrap_or_default()),
                })
            })
            .collect();
        json!({ "keys": keys })
    }
}

/// Checks an application's secret and says what it may do. That an application of the provider
/// signed in is a leaf of the provider's ledger.
pub async fn authenticate(
    app: &App,
    tenant_id: &str,
    client_id: &str,
    client_secret: &str,
) -> Result<std::result::Result<Vec<String>, TokenRefusal>> {
    let provider = super::provider(app).await?;
    let row = app
        .db
        .shared()
        .query_one(
            "select app.secret_hash, app.permissions, tenant.id, app.name from app \
             left join tenant on tenant.no = app.tenant_no where app.client_id = $1",
            vec![client_id.to_ascii_lowercase().into()],
        )
        .await?;
    let unknown_app = || TokenRefusal {
        error: "unauthorized_client",
        code: 700_016,
        text: format!(
            "Application with identifier '{client_id}' was not found in the directory '{tenant_id}'."
        ),
    };
    let Some(row) = row else { return Ok(Err(unknown_app())) };
    let owner: Option<String> = column(&row, 2)?;
    let expert = owner.is_none();
    let owner = owner.or(provider.map(|(id, _)| id));
    if owner.as_deref() != Some(tenant_id) {
        return Ok(Err(unknown_app()));
    }
    let stored: String = column(&row, 0)?;
    let given = super::hash(client_secret);
    // Both are hashes; comparing them byte by byte tells nothing about the secret.
    if stored != given {
        return Ok(Err(TokenRefusal {
            error: "invalid_client",
            code: 7_000_215,
            text: "Invalid client secret provided. Ensure the secret being sent in the request is \
                   the client secret value, not the client secret ID."
                .to_owned(),
        }));
    }
    if expert {
        // No token without its leaf: who acts for the provider is on record (INV-6).
        let name: String = column(&row, 3)?;
        let fact = Fact::AppSignedIn { client_id: client_id.to_ascii_lowercase() };
        let tx = app.db.of(TenantNo::PROVIDER).begin().await?;
        super::record_by(&tx, &Actor::expert(&name), None, app.clock.now(), vec![fact]).await?;
        tx.commit().await?;
    }
    let permissions: String = column(&row, 1)?;
    Ok(Ok(permissions.split(' ').map(str::to_owned).collect()))
}
