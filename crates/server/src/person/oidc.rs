//! Signing in by the word of an identity provider: OpenID Connect, code flow with PKCE (PER-6).
//!
//!   begin -> visit (ceremony and cookie) -word holds-> admitted -factor-> session, or our own code
//!
//! **The word.** An id token counts when it is signed with an asymmetric algorithm by one of the keys
//! the provider publishes, and names that issuer, our client alone, this visit's nonce and a time
//! that is not over (ASVS 9.1, 10.5). A visit ends when its browser comes back: a code, a state or a
//! token is used once, and only by the browser that began, which holds a cookie of the visit.
//!
//! **Who.** Account and person are tied by the provider's `sub`. The first time the mail address
//! decides: it must lie in a domain the provider speaks for and not be called unverified (ASVS
//! 6.8.2). A person who belongs to another organisation too is never tied this way, or one customer's
//! provider could enter another's tenant; what was tied before signs in to its own organisation only
//! (see `session::switch`, `person::begin_passkey`).
//!
//! **Role.** The highest role that the person's groups stand for, at each sign-in. Without such a
//! group a member keeps its role and a stranger stays outside. The last administrator stays one.
//!
//! **Second factor.** With `provider` the identity provider answers for it: where it says how the
//! person signed in (`amr`) a second factor must be among it; where it says nothing, the setting
//! itself is its administrator's word. With `ours` its word is the first factor: the person goes on
//! to its authenticator app, or to its passkey, which is two factors by itself, or is shown a secret
//! to set an app up. That app opens nothing alone: such a person has no password.
//!
//! What is dangerous needs a proof of the last minutes; `auth_time` is that proof where the provider
//! sends it, else the person shows a factor of ours.
//!
//! Not here: the settings (see `identity_provider`), what goes over the wire (see `outbound`). A
//! token kept encrypted (JWE), groups behind a link (`_claim_names`) and sign-out at the provider are
//! not known.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::BoxFuture;
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreClaimName, CoreClaimType, CoreClient,
    CoreClientAuthMethod, CoreGrantType, CoreIdToken, CoreJsonWebKey, CoreJsonWebKeySet,
    CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreJwsSigningAlgorithm,
    CoreResponseMode, CoreResponseType, CoreSubjectIdentifierType,
};
use openidconnect::http::{HeaderValue, Request, Response};
use openidconnect::{
    AccessToken, AccessTokenHash, AdditionalProviderMetadata, AsyncHttpClient, AuthType,
    AuthenticationFlow, AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret,
    CsrfToken, DiscoveryError, IdTokenVerifier, IssuerUrl, Nonce, OAuth2TokenResponse as _,
    PkceCodeChallenge, PkceCodeVerifier, ProviderMetadata, RedirectUrl, RequestTokenError, Scope,
    SignatureVerificationError, TokenResponse as _,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::actor::{Actor, ActorKind};
use crate::app::App;
use crate::clock::Timestamp;
use crate::db::{Transaction, column};
use crate::error::{Error, Result};
use crate::event::{Change, Fact};
use crate::id::TenantNo;
use crate::outbound;
use crate::permission::Role;
use crate::person::identity_provider::{self, IdentityProvider, SecondFactor};
use crate::person::session::{self, Opened, Origin};
use crate::person::{administers_role, ceremony, one_administrator_in, party_of, setup, sign_in};
use crate::tenant::caller::Factor;
use crate::tenant::invitation;
use crate::tx::Tx;

/// For how long a provider's description and keys are kept, in seconds.
const KEPT_S: i64 = 600;
/// How soon they are asked for again when a key is not among them, in seconds.
const AGAIN_S: i64 = 60;
/// How far the provider's clock may be ahead, in seconds.
const AHEAD_S: i64 = 60;
/// Descriptions kept at once.
const MOST_KNOWN: usize = 1_000;
/// How long a person may have been signed in at the provider, in seconds.
const LONGEST_VISIT_S: u64 = 12 * 3_600;

/// Values of `amr` (RFC 8176) that say more was shown than a password.
const SECOND: &[&str] =
    &["mfa", "otp", "hwk", "swk", "pop", "sc", "fpt", "face", "iris", "retina", "vbm"];

/// What else a provider's description says.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Besides {
    /// Whether its answers name the issuer (RFC 9207).
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for Besides {}

type Metadata = ProviderMetadata<
    Besides,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// What providers said of themselves lately.
#[derive(Default)]
pub struct Known(Mutex<HashMap<String, (Timestamp, Arc<Metadata>)>>);

impl Known {
    /// A provider's description and keys.
    ///
    /// # Errors
    /// `Invalid` when it cannot be asked, or describes somebody else.
    pub(super) async fn look_up(&self, app: &App, issuer: &str) -> Result<()> {
        self.metadata(app, issuer, AGAIN_S).await.map(|_| ())
    }

    /// The description, not older than so many seconds.
    async fn metadata(&self, app: &App, issuer: &str, oldest_s: i64) -> Result<Arc<Metadata>> {
        let now = app.clock.now();
        let known = self.0.lock().ok().and_then(|known| known.get(issuer).cloned());
        if let Some((at, metadata)) = known
            && now < at.plus_seconds(oldest_s)
        {
            return Ok(metadata);
        }
        let metadata = Arc::new(discover(app, issuer).await?);
        if let Ok(mut known) = self.0.lock() {
            if known.len() >= MOST_KNOWN {
                known.retain(|_, (at, _)| now < at.plus_seconds(KEPT_S));
            }
            known.insert(issuer.to_owned(), (now, metadata.clone()));
        }
        Ok(metadata)
    }
}

async fn discover(app: &App, issuer: &str) -> Result<Metadata> {
    let url = IssuerUrl::new(issuer.to_owned())
        .map_err(|error| Error::Invalid(format!("the issuer is no address: {error}")))?;
    let asking = Asking(app.clone());
    let found: BoxFuture<'_, _> = Box::pin(Metadata::discover_async(url, &asking));
    let metadata = found.await.map_err(|error| match error {
        DiscoveryError::Request(inner) => inner,
        DiscoveryError::Response(_, _, why) | DiscoveryError::Validation(why) => {
            unsuited(issuer, &why)
        }
        _ => unsuited(issuer, "its description cannot be read"),
    })?;
    let Some(token) = metadata.token_endpoint() else {
        return Err(unsuited(issuer, "it names no token endpoint"));
    };
    // The browser is sent to the first: nothing but an address we would call ourselves.
    for url in [metadata.authorization_endpoint().url(), token.url()] {
        outbound::require_sound(&app.config, url)?;
    }
    Ok(metadata)
}

fn unsuited(issuer: &str, why: &str) -> Error {
    Error::Invalid(format!("{issuer} is no identity provider we can ask: {why}"))
}

/// The way to a provider, in the shape the library asks through.
struct Asking(App);

impl<'c> AsyncHttpClient<'c> for Asking {
    type Error = Error;
    type Future = BoxFuture<'c, Result<Response<Vec<u8>>>>;

    fn call(&'c self, request: Request<Vec<u8>>) -> Self::Future {
        Box::pin(outbound::send(&self.0.config, request))
    }
}

/// What is between the two halves of a visit.
#[derive(Serialize, Deserialize)]
struct Visit {
    provider: String,
    /// The hash of what the browser's cookie holds.
    browser: String,
    nonce: String,
    verifier: String,
    redirect: String,
    back: String,
}

/// Where a browser goes, and what it keeps.
pub struct Sent {
    /// The provider's page.
    pub url: String,
    /// For the cookie.
    pub browser: String,
}

/// A path of ours to come back to; anything else is the front page.
#[must_use]
pub fn local(path: Option<&str>) -> String {
    let sound = |path: &&str| {
        path.starts_with('/')
            && !path.starts_with("//")
            && path.len() <= 1_000
            && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
    };
    path.filter(sound).unwrap_or("/").to_owned()
}

fn client(provider: &IdentityProvider, secret: String, metadata: &Metadata) -> Client {
    let known = metadata.token_endpoint_auth_methods_supported();
    let basic = known.is_none_or(|all| all.contains(&CoreClientAuthMethod::ClientSecretBasic));
    let client = CoreClient::from_provider_metadata(
        metadata.clone(),
        ClientId::new(provider.client_id.clone()),
        Some(ClientSecret::new(secret)),
    );
    client.set_auth_type(if basic { AuthType::BasicAuth } else { AuthType::RequestBody })
}

type Client = CoreClient<
    openidconnect::EndpointSet,
    openidconnect::EndpointNotSet,
    openidconnect::EndpointNotSet,
    openidconnect::EndpointNotSet,
    openidconnect::EndpointMaybeSet,
    openidconnect::EndpointMaybeSet,
>;

/// Begins a visit to an identity provider. `base` is where this installation is reached; `fresh`
/// asks the person to prove itself anew.
pub async fn begin(
    app: &App,
    known: &Known,
    id: &str,
    base: &str,
    back: Option<&str>,
    fresh: bool,
) -> Result<Sent> {
    let (provider, secret) = identity_provider::find(app, id).await?;
    let metadata = known.metadata(app, &provider.issuer, KEPT_S).await?;
    let (browser, nonce) = (app.random.secret()?, app.random.secret()?);
    let verifier = PkceCodeVerifier::new(app.random.secret()?);
    let challenge = PkceCodeChallenge::from_code_verifier_sha256(&verifier);
    let redirect = format!("{base}/sign-in/oidc/callback");
    let visit = Visit {
        provider: provider.id.clone(),
        browser: crate::tenant::hash(&browser),
        nonce: nonce.clone(),
        verifier: verifier.secret().clone(),
        redirect: redirect.clone(),
        back: local(back),
    };
    let state = ceremony::begin(app, "oidc", None, &visit).await?;
    let redirect = RedirectUrl::new(redirect).map_err(Error::internal)?;
    let client = client(&provider, secret, &metadata).set_redirect_uri(redirect);
    let mut request = client
        .authorize_url(
            AuthenticationFlow::<CoreResponseType>::AuthorizationCode,
            move || CsrfToken::new(state),
            move || Nonce::new(nonce),
        )
        .add_scope(Scope::new("email".to_owned()))
        .add_scope(Scope::new("profile".to_owned()))
        // It makes the provider say when the person proved itself.
        .set_max_age(std::time::Duration::from_secs(LONGEST_VISIT_S))
        .set_pkce_challenge(challenge);
    let groups = Scope::new("groups".to_owned());
    // Many give groups for this scope only; others refuse what they do not know.
    if metadata.scopes_supported().is_some_and(|all| all.contains(&groups)) {
        request = request.add_scope(groups);
    }
    if fresh {
        request = request.add_prompt(CoreAuthPrompt::Login);
    }
    let (url, _, _) = request.url();
    Ok(Sent { url: url.to_string(), browser })
}

/// What the provider sent the browser back with.
#[derive(Deserialize)]
pub struct Returned {
    /// The visit.
    pub state: Option<String>,
    /// What is exchanged for the token.
    pub code: Option<String>,
    /// The issuer (RFC 9207).
    pub iss: Option<String>,
    /// Why there is no code.
    pub error: Option<String>,
}

/// What a visit ended in; each with the path to go back to.
pub enum Ended {
    /// A session.
    Session(Opened, String),
    /// A code of the person's authenticator app is missing: the name of the ceremony.
    Code(String, String),
    /// The person has no second factor of ours yet: the name of the ceremony to set one up.
    Enrol(String, String),
    /// The person signs in with its passkey.
    Passkey(String),
}

fn refused(why: impl Into<String>) -> Error {
    Error::Denied(why.into())
}

/// Ends a visit. `browser` is what the browser's cookie holds.
///
/// # Errors
/// `Denied` when the word does not hold or the person may not come in, with the reason, which is for
/// the log; `Invalid` when the provider cannot be asked.
pub async fn finish(
    app: &App,
    known: &Known,
    returned: Returned,
    browser: Option<&str>,
    origin: &Origin,
) -> Result<Ended> {
    let none = || refused("there is no such visit to an identity provider, or no more");
    let state = returned.state.as_deref().ok_or_else(none)?;
    let visit = ceremony::look::<Visit>(app, "oidc", state).await?.ok_or_else(none)?.state;
    // Before the visit ends, so that nobody else can end it.
    if browser.map(crate::tenant::hash).as_deref() != Some(visit.browser.as_str()) {
        return Err(refused("the visit was begun by another browser"));
    }
    if !ceremony::end(app, state).await? {
        return Err(none());
    }
    let (provider, secret) = identity_provider::find(app, &visit.provider).await?;
    let metadata = known.metadata(app, &provider.issuer, KEPT_S).await?;
    let named = returned.iss.as_deref();
    let must_name = metadata.additional_metadata().authorization_response_iss_parameter_supported;
    if named.is_some_and(|iss| iss != provider.issuer) || (must_name && named.is_none()) {
        return Err(refused("the answer is not this identity provider's"));
    }
    let Some(code) = returned.code else {
        let error = returned.error.unwrap_or_default();
        let error: String = error.chars().filter(char::is_ascii_alphanumeric).take(60).collect();
        return Err(refused(format!("the identity provider gave no code ({error})")));
    };
    let word = exchange(app, known, &provider, secret, &metadata, &visit, code).await?;
    if !provider.speaks_for(&word.email) {
        return Err(refused("the mail address is in no domain this identity provider speaks for"));
    }
    if provider.factor == SecondFactor::Provider {
        require_second(word.methods.as_deref())?;
    }
    let person = admit(app, &provider, &word, origin).await?;
    go_on(app, &provider, &person, &word, origin, visit.back).await
}

fn require_second(methods: Option<&[String]>) -> Result<()> {
    match methods {
        Some(methods) if !methods.iter().any(|it| SECOND.contains(&it.as_str())) => {
            Err(refused("the identity provider saw no second factor"))
        }
        _ => Ok(()),
    }
}

/// What a provider says of a person, once it holds.
struct Word {
    subject: String,
    email: String,
    name: Option<String>,
    groups: Vec<String>,
    methods: Option<Vec<String>>,
    shown: Option<Timestamp>,
}

async fn exchange(
    app: &App,
    known: &Known,
    provider: &IdentityProvider,
    secret: String,
    metadata: &Metadata,
    visit: &Visit,
    code: String,
) -> Result<Word> {
    let redirect = RedirectUrl::new(visit.redirect.clone()).map_err(Error::internal)?;
    let client = client(provider, secret, metadata).set_redirect_uri(redirect);
    let asking = Asking(app.clone());
    let request = client
        .exchange_code(AuthorizationCode::new(code))
        .map_err(Error::internal)?
        .set_pkce_verifier(PkceCodeVerifier::new(visit.verifier.clone()));
    let answer: BoxFuture<'_, _> = Box::pin(request.request_async(&asking));
    let answer = answer.await.map_err(|error| match error {
        RequestTokenError::Request(inner) => inner,
        RequestTokenError::ServerResponse(answer) => {
            refused(format!("the identity provider refused the code: {:?}", answer.error()))
        }
        // The answer itself may hold tokens.
        _ => refused("the identity provider's answer cannot be read"),
    })?;
    let token = answer.id_token().ok_or_else(|| refused("there is no id token"))?;
    let mut claims = match verify(
        app,
        provider,
        metadata.jwks(),
        (token, answer.access_token()),
        &visit.nonce,
    ) {
        Err(ClaimsVerificationError::SignatureVerification(
            SignatureVerificationError::NoMatchingKey,
        )) => {
            // Keys change; asked for again once a minute at most.
            let fresh = known.metadata(app, &provider.issuer, AGAIN_S).await?;
            verify(app, provider, fresh.jwks(), (token, answer.access_token()), &visit.nonce)
        }
        other => other,
    }
    .map_err(|error| refused(format!("the id token does not hold: {}", chain(&error))))?;
    let subject = text(&claims, "sub").ok_or_else(|| refused("the id token names no subject"))?;
    if !claims.contains_key("email") || !claims.contains_key(&provider.groups_claim) {
        let more = user_info(app, metadata, answer.access_token(), &subject).await?;
        for (name, value) in more {
            // What the signed token says wins; it alone says how and when the person signed in.
            let fills = ["email", "email_verified", "name", &provider.groups_claim]
                .contains(&name.as_str());
            let tied = name == "email_verified" && claims.contains_key("email_verified");
            if fills && !tied {
                claims.entry(name).or_insert(value);
            }
        }
    }
    read(provider, subject, &claims)
}

fn read(provider: &IdentityProvider, subject: String, claims: &Map<String, Value>) -> Result<Word> {
    if subject.is_empty() || subject.len() > 255 {
        return Err(refused("the subject is no account's name"));
    }
    let unverified = match claims.get("email_verified") {
        None | Some(Value::Null | Value::Bool(true)) => false,
        // Some providers send text.
        Some(Value::String(text)) => text != "true",
        Some(_) => true,
    };
    if unverified {
        return Err(refused("the identity provider did not verify the mail address"));
    }
    let email = text(claims, "email").ok_or_else(|| refused("there is no mail address"))?;
    let email = invitation::address(&email).map_err(|_| refused("there is no mail address"))?;
    let name = text(claims, "name");
    let name = name.and_then(|name| crate::tenant::named("person", &name).ok().map(str::to_owned));
    Ok(Word {
        subject,
        email,
        name,
        groups: texts(claims.get(&provider.groups_claim)).unwrap_or_default(),
        methods: texts(claims.get("amr")),
        shown: claims
            .get("auth_time")
            .and_then(Value::as_i64)
            .and_then(|seconds| seconds.checked_mul(1_000_000))
            .map(Timestamp::from_micros),
    })
}

fn text(claims: &Map<String, Value>, name: &str) -> Option<String> {
    claims.get(name).and_then(Value::as_str).map(str::to_owned)
}

/// A list of texts, or the one text that some send instead.
fn texts(value: Option<&Value>) -> Option<Vec<String>> {
    match value? {
        Value::String(one) => Some(vec![one.clone()]),
        Value::Array(all) => {
            Some(all.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        }
        Value::Null => None,
        // Something was said, and nothing we know.
        _ => Some(Vec::new()),
    }
}

fn chain(error: &ClaimsVerificationError) -> String {
    match error {
        ClaimsVerificationError::SignatureVerification(inner) => inner.to_string(),
        other => other.to_string(),
    }
}

fn verifier<'a>(
    provider: &IdentityProvider,
    keys: &CoreJsonWebKeySet,
    issuer: IssuerUrl,
) -> IdTokenVerifier<'a, CoreJsonWebKey> {
    use CoreJwsSigningAlgorithm as Alg;
    // As a client without a secret, so that no key could ever be taken for one that is shared; and
    // only what is signed by a key that the provider alone holds.
    IdTokenVerifier::new_public_client(
        ClientId::new(provider.client_id.clone()),
        issuer,
        keys.clone(),
    )
    .set_allowed_algs([
        Alg::RsaSsaPkcs1V15Sha256,
        Alg::RsaSsaPkcs1V15Sha384,
        Alg::RsaSsaPkcs1V15Sha512,
        Alg::RsaSsaPssSha256,
        Alg::RsaSsaPssSha384,
        Alg::RsaSsaPssSha512,
        Alg::EcdsaP256Sha256,
        Alg::EcdsaP384Sha384,
        Alg::EdDsa,
    ])
}

/// The claims of an id token that holds, and that came with this access token.
fn verify(
    app: &App,
    provider: &IdentityProvider,
    keys: &CoreJsonWebKeySet,
    (token, access): (&CoreIdToken, &AccessToken),
    nonce: &str,
) -> std::result::Result<Map<String, Value>, ClaimsVerificationError> {
    let other = |text: &str| ClaimsVerificationError::Other(text.to_owned());
    let issuer = IssuerUrl::new(provider.issuer.clone()).map_err(|_| other("no issuer"))?;
    let now = app.clock.now().micros() / 1_000_000;
    let at = chrono::DateTime::from_timestamp(now, 0).unwrap_or_default();
    let verifier = verifier(provider, keys, issuer).set_time_fn(move || at);
    let verifier = verifier.set_issue_time_verifier_fn(move |issued| {
        if issued.timestamp() > now + AHEAD_S {
            return Err("the token is from the future".to_owned());
        }
        Ok(())
    });
    let nonce = Nonce::new(nonce.to_owned());
    let claims = token.claims(&verifier, &nonce)?;
    // The library leaves this one to us.
    if claims.authorized_party().is_some_and(|azp| **azp != provider.client_id) {
        return Err(ClaimsVerificationError::InvalidAudience("azp is another client".to_owned()));
    }
    if let Some(bound) = claims.access_token_hash() {
        let signed = ClaimsVerificationError::SignatureVerification;
        let (alg, key) =
            (token.signing_alg().map_err(signed)?, token.signing_key(&verifier).map_err(signed)?);
        let actual = AccessTokenHash::from_token(access, alg, key);
        if actual.map_err(|error| other(&error.to_string()))? != *bound {
            return Err(other("the access token is not the one that the id token names"));
        }
    }
    let spelt = token.to_string();
    let payload = spelt.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let payload = payload.ok_or_else(|| other("the payload cannot be read"))?;
    serde_json::from_slice(&payload).map_err(|_| other("the payload cannot be read"))
}

/// What the provider says of the owner of an access token; nothing when it has no such page.
async fn user_info(
    app: &App,
    metadata: &Metadata,
    access: &AccessToken,
    subject: &str,
) -> Result<Map<String, Value>> {
    let Some(url) = metadata.userinfo_endpoint() else { return Ok(Map::new()) };
    let unreadable = || refused("what the identity provider says of the person cannot be read");
    let bearer = HeaderValue::from_str(&format!("Bearer {}", access.secret()));
    let mut bearer = bearer.map_err(|_| unreadable())?;
    bearer.set_sensitive(true);
    let request = Request::builder()
        .uri(url.as_str())
        .header("authorization", bearer)
        .header("accept", "application/json")
        .body(Vec::new())
        .map_err(|_| unreadable())?;
    let answer = outbound::send(&app.config, request).await?;
    if !answer.status().is_success() {
        return Err(unreadable());
    }
    let claims: Map<String, Value> =
        serde_json::from_slice(answer.body()).map_err(|_| unreadable())?;
    // Else one person's token could be answered with another's claims.
    if text(&claims, "sub").as_deref() != Some(subject) {
        return Err(refused("the identity provider speaks of another person"));
    }
    Ok(claims)
}

/// Lets the person in, as far as this provider decides: who it is, and in which role. Gives its id.
async fn admit(
    app: &App,
    provider: &IdentityProvider,
    word: &Word,
    origin: &Origin,
) -> Result<String> {
    let actor = Actor {
        kind: ActorKind::System,
        name: format!("identity provider {}", provider.name),
        address: origin.address,
    };
    let organisation = provider.organisation;
    let fresh = app.random.uuid()?;
    let mut tx = Tx::begin(app, organisation, actor.clone()).await?;
    let now = tx.now();
    let person = tied(&tx, provider, word, fresh, now).await?;
    let row = tx
        .query_one(
            "select role, disabled_at from membership where person_id = $1 and tenant_no = $2",
            vec![person.clone().into(), organisation.0.into()],
        )
        .await?;
    let wanted = provider.role_of(&word.groups);
    let mut changed = None;
    if let Some(row) = row {
        if column::<Option<i64>>(&row, 1)?.is_some() {
            return Err(refused("the person may not sign in here"));
        }
        let before: String = column(&row, 0)?;
        let before = Role::read(party_of(organisation), &before)
            .map_err(|error| Error::Internal(format!("table membership: {error}")))?;
        let after = wanted.unwrap_or(before);
        // An organisation that nobody administers could never be helped again.
        let last = administers_role(before)
            && !administers_role(after)
            && one_administrator_in(&tx, organisation).await?;
        if after != before && !last {
            tx.execute(
                "update membership set role = $3 where person_id = $1 and tenant_no = $2",
                vec![person.clone().into(), organisation.0.into(), after.name().into()],
            )
            .await?;
            let (before, shown) = (json!(before.name()), json!(after.name()));
            tx.record(Fact::PersonChanged {
                person: person.clone(),
                email: session::email_in(&tx, &person).await?,
                changes: vec![Change { field: "role", before, after: shown }],
            });
            changed = Some(after);
        }
    } else {
        let role = wanted.ok_or_else(|| refused("no group of the person stands for a role"))?;
        tx.execute(
            "insert into membership (person_id, tenant_no, role, created_at, created_by) \
             values ($1, $2, $3, $4, $5)",
            vec![
                person.clone().into(),
                organisation.0.into(),
                role.name().into(),
                now.micros().into(),
                actor.name.clone().into(),
            ],
        )
        .await?;
        let (email, role) = (word.email.clone(), role.name().to_owned());
        tx.record(Fact::PersonAdded { person: person.clone(), email, role });
    }
    tx.commit().await?;
    if let Some(role) = changed
        && organisation == TenantNo::PROVIDER
    {
        crate::access::end_of_person(app, &actor, &person, Some(role)).await?;
    }
    Ok(person)
}

/// The person tied to an account of the provider; ties one when there is none.
async fn tied(
    tx: &Transaction,
    provider: &IdentityProvider,
    word: &Word,
    fresh: String,
    now: Timestamp,
) -> Result<String> {
    let row = tx
        .query_one(
            "select person_id from identity where provider_id = $1 and subject = $2",
            vec![provider.id.clone().into(), word.subject.clone().into()],
        )
        .await?;
    if let Some(row) = row {
        return column(&row, 0);
    }
    tx.execute(
        "insert into person (id, email, name, created_at) values ($1, $2, $3, $4) \
         on conflict do nothing",
        vec![
            fresh.into(),
            word.email.clone().into(),
            word.name.clone().into(),
            now.micros().into(),
        ],
    )
    .await?;
    let row = tx
        .query_one("select id from person where email = $1", vec![word.email.clone().into()])
        .await?;
    let row = row.ok_or_else(|| Error::Internal("a person was not written".to_owned()))?;
    let person: String = column(&row, 0)?;
    let elsewhere = tx
        .query_one(
            "select 1 from membership where person_id = $1 and tenant_no <> $2",
            vec![person.clone().into(), provider.organisation.0.into()],
        )
        .await?;
    if elsewhere.is_some() {
        return Err(refused("the person belongs to another organisation"));
    }
    let other = tx
        .query_one(
            "select 1 from identity where provider_id = $1 and person_id = $2",
            vec![provider.id.clone().into(), person.clone().into()],
        )
        .await?;
    if other.is_some() {
        // An address that was somebody else's before: the new owner is another person.
        return Err(refused("the mail address is tied to another account of the provider"));
    }
    tx.execute(
        "insert into identity (provider_id, subject, person_id, created_at) \
         values ($1, $2, $3, $4)",
        vec![
            provider.id.clone().into(),
            word.subject.clone().into(),
            person.clone().into(),
            now.micros().into(),
        ],
    )
    .await?;
    tx.execute(
        "update person set name = $2 where id = $1 and name is null",
        vec![person.clone().into(), word.name.clone().into()],
    )
    .await?;
    Ok(person)
}

/// What is left to do for somebody who was let in.
async fn go_on(
    app: &App,
    provider: &IdentityProvider,
    person: &str,
    word: &Word,
    origin: &Origin,
    back: String,
) -> Result<Ended> {
    let organisation = provider.organisation;
    if provider.factor == SecondFactor::Provider {
        // Nobody proved anything later than now.
        let shown = word.shown.map(|shown| shown.min(app.clock.now()));
        let opened =
            session::open_proven(app, person, organisation, Factor::Oidc, shown, origin).await?;
        return Ok(Ended::Session(opened, back));
    }
    let (_, factors) = super::itself(app, person).await?;
    if factors.totp {
        let flow = sign_in::after_provider(app, person, organisation, origin).await?;
        return Ok(Ended::Code(flow, back));
    }
    if factors.passkeys > 0 {
        return Ok(Ended::Passkey(back));
    }
    Ok(Ended::Enrol(setup::after_provider(app, person, organisation).await?, back))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_of_ours_is_gone_back_to() {
        for good in ["/", "/incidents/42?tab=alerts#top", "/a%2Fb"] {
            assert_eq!(local(Some(good)), good);
        }
        for bad in [
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "javascript:x",
            "",
            "/a\nb",
        ] {
            assert_eq!(local(Some(bad)), "/", "{bad}");
        }
        assert_eq!(local(None), "/");
    }

    #[test]
    fn a_second_factor_is_one_that_the_provider_names_or_is_trusted_with() {
        let said = |methods: &[&str]| -> Vec<String> {
            methods.iter().map(|it| (*it).to_owned()).collect()
        };
        assert!(require_second(None).is_ok(), "its administrator's word");
        for good in [&["mfa"][..], &["pwd", "otp"], &["pin", "hwk"]] {
            assert!(require_second(Some(&said(good))).is_ok(), "{good:?}");
        }
        for bad in [&[][..], &["pwd"], &["pwd", "kba"], &["MFA"]] {
            assert!(require_second(Some(&said(bad))).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn groups_come_as_a_list_or_as_one() {
        assert_eq!(texts(Some(&json!("one"))), Some(vec!["one".to_owned()]));
        assert_eq!(texts(Some(&json!(["one", 2]))), Some(vec!["one".to_owned()]));
        assert_eq!(texts(Some(&json!({"a": 1}))), Some(Vec::new()));
        assert_eq!(texts(Some(&Value::Null)), None);
        assert_eq!(texts(None), None);
    }
}
