//! Signing in with an identity provider: a real one, and one that means harm (PER-6; ASVS 6.8.2,
//! 9.1, 10.5).

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use axum::routing::{any, get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use riposte::app::App;
use riposte::clock::Clock;
use riposte::config::Config;
use riposte::id::Random;
use riposte::permission::Role;
use riposte::person::{identity_provider, oidc};
use riposte::tenant::{self, Side};
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::face::{Face, Reply};
use crate::world::{START, World};

const IDA: &str = "ida@alder.example";
const SECRET: &str = "a secret, with: signs & 100%";
const CALLBACK: &str = "http://mdr.example/sign-in/oidc/callback";

/// A world at the machine's own time: what a real provider signs is valid then.
async fn face() -> Face {
    let face = Face::new().await;
    let now = Clock::system().now().micros();
    face.world.app.clock.advance_seconds((now - START) / 1_000_000);
    face
}

async fn administrator(face: &Face) -> Browser {
    face.person(&face.world.tenant.id, IDA, Role::SecurityAdministrator).await
}

fn settings(issuer: &str, factor: &str) -> Value {
    json!({
        "name": "Alder login",
        "issuer": issuer,
        "clientId": "riposte",
        "clientSecret": SECRET,
        "domains": ["alder.example"],
        "roles": {
            "readers": "Security Reader",
            "soc": "security operator",
            "admins": "Security Administrator",
        },
        "factor": factor,
    })
}

/// An identity provider of the customer's; gives its id.
async fn provider(admin: &Browser, issuer: &str, factor: &str) -> String {
    let added = admin.post("/api/v1/identity-providers", &settings(issuer, factor)).await;
    added.expect(201).json()["id"].as_str().expect("an id").to_owned()
}

fn located(reply: &Reply) -> String {
    reply.headers["location"].to_str().expect("text").to_owned()
}

fn query(url: &str) -> BTreeMap<String, String> {
    let url = reqwest::Url::parse(url).expect("an address");
    url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

/// Begins a visit; gives the provider's address.
async fn begin(browser: &Browser, id: &str) -> String {
    let path = format!("/sign-in/oidc/{id}?return=/incidents/42");
    located(&browser.get(&path).await.expect(302))
}

/// Comes back from the provider, as a browser does that another site sends.
async fn come_back(browser: &Browser, url: &str) -> Reply {
    let path = url.strip_prefix("http://mdr.example").expect("our address");
    browser.send("GET", path, None, &[("sec-fetch-site", "cross-site")]).await
}

/// The reply to somebody who stays outside; no session came with it.
#[track_caller]
fn stays_outside(browser: &Browser, reply: &Reply, what: &str) {
    assert_eq!(reply.status, 302, "{what}: {}", reply.text);
    assert_eq!(located(reply), "/sign-in?failed=oidc", "{what}");
    assert!(browser.cookie.lock().expect("a lock").is_none(), "{what}");
}

/// The real provider, on a free port.
struct Peer {
    child: Child,
    issuer: String,
    accounts: PathBuf,
    /// It ends when it cannot print any more.
    _said: BufReader<ChildStdout>,
    _dir: tempfile::TempDir,
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Peer {
    /// Starts it; `None`, said in a line, where it is not installed.
    #[expect(clippy::print_stdout, reason = "who reads the run sees that this was not shown")]
    fn start(conform: bool) -> Option<Self> {
        let cache = std::env::var_os("RIPOSTE_CACHE").map_or_else(
            || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/riposte"),
            PathBuf::from,
        );
        let modules = cache.join("oidc");
        let node =
            Command::new("node").arg("--version").output().is_ok_and(|it| it.status.success());
        if !node || !modules.join("node_modules/oidc-provider").is_dir() {
            assert!(
                std::env::var("RIPOSTE_REQUIRE_OIDC").as_deref() != Ok("1"),
                "node or oidc-provider is missing: make oidc"
            );
            println!("skipped: node or oidc-provider is missing (make oidc)");
            return None;
        }
        let dir = tempfile::tempdir().expect("a folder");
        let accounts = dir.path().join("accounts.json");
        std::fs::write(&accounts, "{}").expect("writes");
        let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
        let mut child = Command::new("node")
            .arg(root.join("../../tests/oidc/provider.mjs"))
            .args([accounts.as_os_str(), CALLBACK.as_ref()])
            .args(conform.then_some("conform"))
            .env("RIPOSTE_OIDC_MODULES", modules)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("node starts");
        let mut line = String::new();
        let mut said = BufReader::new(child.stdout.take().expect("a pipe"));
        said.read_line(&mut line).expect("a line");
        let first: Value = serde_json::from_str(&line).expect("what it says of itself");
        let issuer = first["issuer"].as_str().expect("an issuer").to_owned();
        Some(Self { child, issuer, accounts, _said: said, _dir: dir })
    }

    fn account(&self, login: &str, claims: Value) {
        let text = std::fs::read_to_string(&self.accounts).expect("reads");
        let mut all: Value = serde_json::from_str(&text).expect("JSON");
        all[login] = claims;
        std::fs::write(&self.accounts, all.to_string()).expect("writes");
    }

    /// Goes through the provider's pages as a person would; gives where they send the browser.
    async fn sign_in(&self, url: &str, login: &str) -> String {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        let client = client.build().expect("a client");
        let mut jar = BTreeMap::new();
        let (mut url, mut form) = (url.to_owned(), None);
        for _ in 0..20 {
            let request = match form.take() {
                Some(form) => client
                    .post(&url)
                    .header("content-type", "application/x-www-form-urlencoded")
                    .body::<String>(form),
                None => client.get(&url),
            };
            let cookies: Vec<String> =
                jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let reply = request.header("cookie", cookies.join("; ")).send().await.expect("a reply");
            for cookie in reply.headers().get_all("set-cookie") {
                let pair = cookie.to_str().expect("text").split(';').next().expect("a pair");
                let (name, value) = pair.split_once('=').expect("a value");
                jar.insert(name.to_owned(), value.to_owned());
            }
            if let Some(to) = reply.headers().get("location") {
                let base = reqwest::Url::parse(&url).expect("an address");
                url = base.join(to.to_str().expect("text")).expect("an address").into();
                if url.starts_with(CALLBACK) {
                    return url;
                }
                continue;
            }
            let page = reply.text().await.expect("a page");
            let (_, rest) = page.split_once("action=\"").unwrap_or_else(|| panic!("{page}"));
            rest.split('"').next().expect("an address").clone_into(&mut url);
            form = Some(if page.contains("value=\"login\"") {
                format!("prompt=login&login={login}")
            } else {
                "prompt=consent".to_owned()
            });
        }
        panic!("the provider does not send the browser back");
    }

    /// The whole way.
    async fn visit(&self, browser: &Browser, id: &str, login: &str) -> Reply {
        let url = begin(browser, id).await;
        let back = self.sign_in(&url, login).await;
        come_back(browser, &back).await
    }
}

fn knut(groups: &[&str]) -> Value {
    json!({
        "email": "Knut@Alder.example", "email_verified": true, "name": "Knut Aas",
        "groups": groups, "amr": ["pwd", "otp"],
    })
}

#[tokio::test]
async fn a_real_provider_signs_a_new_person_in_with_the_role_of_its_groups() {
    // Once with all in the id token, once with mail address and groups at the userinfo endpoint.
    for conform in [false, true] {
        let Some(peer) = Peer::start(conform) else { return };
        let face = face().await;
        let admin = administrator(&face).await;
        let id = provider(&admin, &peer.issuer, "provider").await;
        peer.account("knut", knut(&["readers", "soc", "chess"]));

        let browser = Browser::new(&face.router);
        let options = browser.get("/api/v1/sign-in/options?email=Knut@alder.example").await;
        let options = options.expect(200).json();
        assert_eq!(options["provider"], json!({ "id": id, "name": "Alder login" }));
        let reply = peer.visit(&browser, &id, "knut").await.expect(200);
        assert!(reply.text.contains("content=\"0;url=/incidents/42\""), "{}", reply.text);
        assert!(browser.visit.lock().unwrap().is_none(), "the visit is over");

        let session = browser.get("/api/v1/session").await.expect(200).json();
        assert_eq!(session["person"]["email"], "knut@alder.example");
        assert_eq!(session["person"]["name"], "Knut Aas");
        assert_eq!(session["role"], "Security Operator", "the highest of the groups");
        assert_eq!(session["organisation"]["name"], "Alder Freight");
        assert_eq!(session["authenticatedBy"], "oidc");
        assert!(session["stepUpUntilDateTime"].is_string(), "the provider said when");

        // The second time it is the same person, and nobody is added.
        let again = Browser::new(&face.router);
        peer.visit(&again, &id, "knut").await.expect(200);
        let same = again.get("/api/v1/session").await.expect(200).json();
        assert_eq!(same["person"]["id"], session["person"]["id"]);
        let people = admin.get("/api/v1/people").await.expect(200).json();
        assert_eq!(people["value"].as_array().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn changed_groups_change_the_role_and_the_last_administrator_stays_one() {
    let Some(peer) = Peer::start(false) else { return };
    let face = face().await;
    let admin = administrator(&face).await;
    let id = provider(&admin, &peer.issuer, "provider").await;
    let role = async |browser: &Browser| {
        browser.get("/api/v1/session").await.expect(200).json()["role"].clone()
    };
    let browser = Browser::new(&face.router);
    for (groups, expected) in [
        (&["soc"][..], "Security Operator"),
        (&["admins", "readers"], "Security Administrator"),
        (&["readers"], "Security Reader"),
        // Nothing is said about a member.
        (&["chess"], "Security Reader"),
    ] {
        peer.account("knut", knut(groups));
        peer.visit(&browser, &id, "knut").await.expect(200);
        assert_eq!(role(&browser).await, expected);
    }
    let log = admin.get("/api/v1/audit?top=1000").await.expect(200).json();
    let text = log.to_string();
    assert!(text.contains("identity provider Alder login"), "{text}");

    // The only administrator signs in with a group of readers.
    let ida = json!({ "email": IDA, "groups": ["readers"], "amr": ["mfa"] });
    peer.account("ida", ida);
    let other = Browser::new(&face.router);
    peer.visit(&other, &id, "ida").await.expect(200);
    assert_eq!(role(&other).await, "Security Administrator");
}

#[tokio::test]
async fn a_visit_counts_once_and_for_the_browser_that_began_it() {
    let Some(peer) = Peer::start(false) else { return };
    let face = face().await;
    let admin = administrator(&face).await;
    let id = provider(&admin, &peer.issuer, "provider").await;
    peer.account("knut", knut(&["soc"]));

    let browser = Browser::new(&face.router);
    let back = peer.sign_in(&begin(&browser, &id).await, "knut").await;
    // A browser that was sent the address by somebody else.
    let victim = Browser::new(&face.router);
    stays_outside(&victim, &come_back(&victim, &back).await, "another browser, no cookie");
    begin(&victim, &id).await;
    stays_outside(&victim, &come_back(&victim, &back).await, "another browser's cookie");
    // A state of nobody's; the cookie is gone after it, so it is put back.
    let cookie = browser.visit.lock().unwrap().clone();
    let state = query(&back)["state"].clone();
    let wrong = back.replace(&state, &state.chars().rev().collect::<String>());
    stays_outside(&browser, &come_back(&browser, &wrong).await, "another state");
    browser.visit.lock().unwrap().clone_from(&cookie);
    come_back(&browser, &back).await.expect(200);
    // The same address again, with the same cookie.
    let replayed = Browser::new(&face.router);
    *replayed.visit.lock().unwrap() = cookie;
    stays_outside(&replayed, &come_back(&replayed, &back).await, "replayed");
    // The same code in another visit: the provider refuses it.
    let other = begin(&replayed, &id).await;
    let swapped = back.replace(&state, &query(&other)["state"]);
    stays_outside(&replayed, &come_back(&replayed, &swapped).await, "a code of another visit");
    // Ten minutes are over.
    let late = Browser::new(&face.router);
    let back = peer.sign_in(&begin(&late, &id).await, "knut").await;
    face.world.app.clock.advance_seconds(600);
    stays_outside(&late, &come_back(&late, &back).await, "too late");
}

#[tokio::test]
async fn who_has_no_group_or_a_foreign_address_stays_outside() {
    let Some(peer) = Peer::start(false) else { return };
    let face = face().await;
    let admin = administrator(&face).await;
    let id = provider(&admin, &peer.issuer, "provider").await;
    let mut outsider = knut(&["soc"]);
    outsider["email"] = json!("knut@norrland.example");
    let mut unverified = knut(&["soc"]);
    unverified["email_verified"] = json!(false);
    let mut nobody = knut(&["soc"]);
    nobody["email"] = Value::Null;
    let mut weak = knut(&["soc"]);
    weak["amr"] = json!(["pwd"]);
    for (what, claims) in [
        ("no group that is mapped", knut(&["chess"])),
        ("a domain that is not the provider's", outsider),
        ("an address that nobody verified", unverified),
        ("no address", nobody),
        ("no second factor", weak),
    ] {
        peer.account("knut", claims);
        let browser = Browser::new(&face.router);
        stays_outside(&browser, &peer.visit(&browser, &id, "knut").await, what);
    }
    assert_eq!(face.world.rows("select count(*) from person where email like 'knut%'").await, [0]);
    // Disabled here is outside, whatever the provider says.
    peer.account("knut", knut(&["soc"]));
    let browser = Browser::new(&face.router);
    peer.visit(&browser, &id, "knut").await.expect(200);
    let session = browser.get("/api/v1/session").await.expect(200).json();
    let path = format!("/api/v1/people/{}", session["person"]["id"].as_str().unwrap());
    admin.patch(&path, &json!({ "disabled": true })).await.expect(200);
    browser.get("/api/v1/session").await.expect(401);
    let again = Browser::new(&face.router);
    stays_outside(&again, &peer.visit(&again, &id, "knut").await, "disabled");
}

#[tokio::test]
async fn where_the_second_factor_is_ours_no_session_opens_without_it() {
    let Some(peer) = Peer::start(false) else { return };
    let face = face().await;
    let world = &face.world;
    let admin = administrator(&face).await;
    let id = provider(&admin, &peer.issuer, "ours").await;
    let mut claims = knut(&["soc"]);
    claims["amr"] = json!(["pwd"]);
    peer.account("knut", claims);
    let browser = Browser::new(&face.router);
    let flow = |reply: &Reply, step: &str| {
        let to = located(reply);
        let (path, flow) = to.split_once('#').expect("a flow");
        assert_eq!(path, format!("/sign-in?next={step}&return=/incidents/42"));
        flow.to_owned()
    };
    // The first time an app is set up.
    let enrol = flow(&peer.visit(&browser, &id, "knut").await.expect(302), "enrol");
    assert!(browser.cookie.lock().unwrap().is_none());
    let asked = json!({ "flow": enrol });
    let told = browser.post("/api/v1/sign-in/enrol", &asked).await.expect(200).json();
    browser.post("/api/v1/sign-in/enrol", &asked).await.expect(404);
    *browser.secret.lock().unwrap() = told["totp"]["secret"].as_str().map(str::to_owned);
    let wrong = json!({ "flow": told["flow"], "code": "000000" });
    browser.post("/api/v1/sign-in/enrol/totp", &wrong).await.expect(400);
    let right = json!({ "flow": told["flow"], "code": browser.code(world) });
    let done = browser.post("/api/v1/sign-in/enrol/totp", &right).await.expect(200).json();
    assert_eq!(done["recoveryCodes"].as_array().map(Vec::len), Some(10));
    assert_eq!(done["authenticatedBy"], "oidc");
    // From then on its code is asked for; the app's secret is not shown again.
    world.app.clock.advance_seconds(30);
    let again = Browser::new(&face.router);
    again.secret.lock().unwrap().clone_from(&browser.secret.lock().unwrap());
    let code = flow(&peer.visit(&again, &id, "knut").await.expect(302), "totp");
    again.get("/api/v1/session").await.expect(401);
    again.post("/api/v1/sign-in/enrol", &json!({ "flow": code })).await.expect(404);
    let right = json!({ "flow": code, "code": again.code(world) });
    let session = again.post("/api/v1/sign-in/totp", &right).await.expect(200).json();
    assert_eq!(session["authenticatedBy"], "oidc");
    // The app alone opens nothing: there is no password.
    let alone = json!({ "email": "knut@alder.example", "password": "" });
    again.post("/api/v1/sign-in/password", &alone).await.expect(401);
}

/// A provider of the test's own, which answers what it is told.
struct Hostile {
    issuer: String,
    keys: Keys,
    /// The token endpoint's next answer.
    token: Arc<Mutex<(StatusCode, Value)>>,
    /// The keys it publishes, and how often it was asked for them.
    published: Arc<Mutex<(Vec<Value>, usize)>>,
    /// What the description says otherwise; `me` is what the userinfo endpoint says.
    lies: Arc<Mutex<Value>>,
    /// Requests to where nobody should come.
    trapped: Arc<AtomicUsize>,
}

struct Keys {
    pair: EcdsaKeyPair,
    kid: String,
}

impl Keys {
    fn new(kid: &str) -> Self {
        let random = SystemRandom::new();
        let alg = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let key = EcdsaKeyPair::generate_pkcs8(alg, &random).expect("a key");
        let pair = EcdsaKeyPair::from_pkcs8(alg, key.as_ref(), &random).expect("a key");
        Self { pair, kid: kid.to_owned() }
    }

    fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    fn jwk(&self) -> Value {
        let (x, y) = self.public()[1..].split_at(32);
        json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.kid,
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        })
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let input = unsigned(header, claims);
        let signature = self.pair.sign(&SystemRandom::new(), input.as_bytes()).expect("signs");
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }

    /// The usual header.
    fn header(&self) -> Value {
        json!({ "alg": "ES256", "kid": self.kid, "typ": "JWT" })
    }
}

fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

fn hmac(header: &Value, claims: &Value, secret: &[u8]) -> String {
    let input = unsigned(header, claims);
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
    let tag = ring::hmac::sign(&key, input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
}

/// The issuer of a provider that describes itself; it ends with the test.
pub async fn issuer() -> String {
    Hostile::start().await.issuer
}

impl Hostile {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let issuer = format!("http://{}", listener.local_addr().expect("an address"));
        let keys = Keys::new("first");
        let token = Arc::new(Mutex::new((StatusCode::OK, Value::Null)));
        let lies = Arc::new(Mutex::new(json!({})));
        let trapped = Arc::new(AtomicUsize::new(0));
        let published = Arc::new(Mutex::new((vec![keys.jwk()], 0)));
        let (said, jwks) = (issuer.clone(), published.clone());
        let (answer, told, counted) = (token.clone(), lies.clone(), trapped.clone());
        let of_person = lies.clone();
        let routes = axum::Router::new()
            .route(
                "/.well-known/openid-configuration",
                get(async move || {
                    let mut description = json!({
                        "issuer": said,
                        "authorization_endpoint": format!("{said}/auth"),
                        "token_endpoint": format!("{said}/token"),
                        "jwks_uri": format!("{said}/keys"),
                        "response_types_supported": ["code"],
                        "subject_types_supported": ["public"],
                        // A description that permits everything permits nothing.
                        "id_token_signing_alg_values_supported": ["none", "HS256", "ES256"],
                    });
                    for (name, value) in told.lock().expect("a lock").as_object().expect("members")
                    {
                        description[name] = value.clone();
                    }
                    axum::Json(description)
                }),
            )
            .route(
                "/keys",
                get(async move || {
                    let mut published = jwks.lock().expect("a lock");
                    published.1 += 1;
                    axum::Json(json!({ "keys": published.0 }))
                }),
            )
            .route(
                "/token",
                post(async move || {
                    let (status, body) = answer.lock().expect("a lock").clone();
                    let to = body["location"].as_str().unwrap_or("/").to_owned();
                    (status, [(header::LOCATION, to)], axum::Json(body)).into_response()
                }),
            )
            .route(
                "/me",
                get(async move || axum::Json(of_person.lock().expect("a lock")["me"].clone())),
            )
            .route(
                "/trap",
                any(async move || {
                    counted.fetch_add(1, Ordering::SeqCst);
                    StatusCode::NO_CONTENT
                }),
            );
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { issuer, keys, token, published, lies, trapped }
    }

    /// What an honest token would say.
    fn claims(&self, world: &World, nonce: &str) -> Value {
        let now = world.app.clock.now().micros() / 1_000_000;
        json!({
            "iss": self.issuer, "aud": "riposte", "sub": "account 1", "nonce": nonce,
            "iat": now, "exp": now + 300, "auth_time": now,
            "email": "knut@alder.example", "email_verified": true, "groups": ["soc"],
            "amr": ["mfa"],
        })
    }

    fn answers(&self, id_token: &str) {
        let body = json!({
            "access_token": "opaque", "token_type": "Bearer", "id_token": id_token,
        });
        *self.token.lock().expect("a lock") = (StatusCode::OK, body);
    }

    /// A visit that ends in a token this makes of honest claims.
    async fn visit(
        &self,
        face: &Face,
        browser: &Browser,
        id: &str,
        forge: impl FnOnce(&Keys, Value) -> String,
    ) -> Reply {
        let asked = query(&begin(browser, id).await);
        self.answers(&forge(&self.keys, self.claims(&face.world, &asked["nonce"])));
        come_back(browser, &format!("{CALLBACK}?code=c&state={}", asked["state"])).await
    }
}

/// Makes a token of honest claims.
type Forge<'a> = Box<dyn Fn(&Keys, Value) -> String + 'a>;

#[tokio::test]
async fn a_forged_id_token_opens_nothing() {
    let mut config = Config::default();
    config.limits.sign_in_per_minute = 1_000;
    let face = Face::with(config).await;
    let admin = administrator(&face).await;
    let hostile = Hostile::start().await;
    let id = provider(&admin, &hostile.issuer, "provider").await;
    let foreign = Keys::new("first");

    let with = |name: &'static str, value: Value| -> Forge<'_> {
        Box::new(move |keys, mut claims| {
            claims[name] = value.clone();
            keys.sign(&keys.header(), &claims)
        })
    };
    let without = |name: &'static str| -> Forge<'_> {
        Box::new(move |keys, mut claims| {
            claims.as_object_mut().expect("members").remove(name);
            keys.sign(&keys.header(), &claims)
        })
    };
    let headed = |name: &'static str, value: Value, by: &'static str| -> Forge<'_> {
        let foreign = &foreign;
        Box::new(move |keys, claims| {
            let mut header = keys.header();
            header[name] = value.clone();
            let signer = if by == "foreign" { foreign } else { keys };
            signer.sign(&header, &claims)
        })
    };
    let now = face.world.app.clock.now().micros() / 1_000_000;
    let shared = |header: Value, secret: Option<&'static str>| -> Forge<'_> {
        Box::new(move |keys, claims| {
            let key = secret.map_or_else(|| keys.public().to_vec(), |it| it.as_bytes().to_vec());
            hmac(&header, &claims, &key)
        })
    };
    let forgeries: Vec<(&str, Forge<'_>)> = vec![
        (
            "alg none",
            Box::new(|_, claims| format!("{}.", unsigned(&json!({ "alg": "none" }), &claims))),
        ),
        (
            "alg none, with a signature",
            Box::new(|keys, claims| keys.sign(&json!({ "alg": "none" }), &claims)),
        ),
        (
            "alg None",
            Box::new(|_, claims| format!("{}.", unsigned(&json!({ "alg": "None" }), &claims))),
        ),
        ("HS256 with the public key", shared(json!({ "alg": "HS256", "kid": "first" }), None)),
        ("HS256 with the public key, no kid", shared(json!({ "alg": "HS256" }), None)),
        ("HS256 with the client's secret", shared(json!({ "alg": "HS256" }), Some(SECRET))),
        ("ES256 that is an HMAC", shared(json!({ "alg": "ES256", "kid": "first" }), None)),
        ("RS256 over an EC key", headed("alg", json!("RS256"), "own")),
        (
            "no signature",
            Box::new(|keys, claims| format!("{}.", unsigned(&keys.header(), &claims))),
        ),
        ("a foreign key", headed("typ", json!("JWT"), "foreign")),
        ("an unknown key", headed("kid", json!("second"), "foreign")),
        ("a key that the token brings along", headed("jwk", foreign.jwk(), "foreign")),
        (
            "keys at another address",
            headed("jku", json!(format!("{}/trap", hostile.issuer)), "foreign"),
        ),
        ("something critical that nobody knows", headed("crit", json!(["x"]), "own")),
        (
            "altered after signing",
            Box::new(|keys, mut claims| {
                let honest = keys.sign(&keys.header(), &claims);
                claims["groups"] = json!(["admins"]);
                let signature = honest.rsplit('.').next().expect("a signature");
                format!("{}.{signature}", unsigned(&keys.header(), &claims))
            }),
        ),
        ("another client", with("aud", json!("another"))),
        ("another client as well", with("aud", json!(["riposte", "another"]))),
        ("no audience", without("aud")),
        ("given to another client", with("azp", json!("another"))),
        ("another issuer", with("iss", json!("https://login.alder.example"))),
        ("the issuer with a slash", with("iss", json!(format!("{}/", hostile.issuer)))),
        ("expired", with("exp", json!(now))),
        ("no end", without("exp")),
        ("from the future", with("iat", json!(now + 3_600))),
        ("another visit's nonce", with("nonce", json!("n"))),
        ("no nonce", without("nonce")),
        ("another access token", with("at_hash", json!("AAAAAAAAAAAAAAAAAAAAAA"))),
        ("no subject", without("sub")),
        ("an empty subject", with("sub", json!(""))),
        ("two addresses", with("email", json!("knut@evil.example,x@alder.example"))),
        ("not verified, as text", with("email_verified", json!("false"))),
        ("a second factor nobody knows", with("amr", json!(["pwd", "kba"]))),
        ("no list of methods", with("amr", json!({ "mfa": true }))),
        ("no token at all", Box::new(|_, _| "x".to_owned())),
    ];
    for (what, forge) in forgeries {
        let browser = Browser::new(&face.router);
        let reply = hostile.visit(&face, &browser, &id, forge).await;
        stays_outside(&browser, &reply, what);
    }
    assert_eq!(hostile.trapped.load(Ordering::SeqCst), 0, "nobody followed the token's address");
    assert_eq!(face.world.rows("select count(*) from identity").await, [0]);

    // All else is as it should be: the honest token opens a session.
    let browser = Browser::new(&face.router);
    let honest = |keys: &Keys, claims: Value| keys.sign(&keys.header(), &claims);
    hostile.visit(&face, &browser, &id, honest).await.expect(200);
    browser.get("/api/v1/session").await.expect(200);
    // A provider that says nothing of methods is trusted by its setting.
    let browser = Browser::new(&face.router);
    hostile.visit(&face, &browser, &id, without("amr")).await.expect(200);
    // An address that another account has is not handed on.
    let browser = Browser::new(&face.router);
    let reply = hostile.visit(&face, &browser, &id, with("sub", json!("account 2"))).await;
    stays_outside(&browser, &reply, "an address of another account");
    // An answer that names another issuer.
    let browser = Browser::new(&face.router);
    let asked = query(&begin(&browser, &id).await);
    hostile.answers(&honest(&hostile.keys, hostile.claims(&face.world, &asked["nonce"])));
    let back = format!("{CALLBACK}?code=c&state={}&iss=https://login.example", asked["state"]);
    stays_outside(&browser, &come_back(&browser, &back).await, "a mix-up");
}

#[tokio::test]
async fn new_keys_are_asked_for_once_a_minute_at_most() {
    let face = Face::new().await;
    let admin = administrator(&face).await;
    let hostile = Hostile::start().await;
    let id = provider(&admin, &hostile.issuer, "provider").await;
    let asked = || hostile.published.lock().expect("a lock").1;
    let second = Keys::new("second");
    let signed = |_: &Keys, claims: Value| second.sign(&second.header(), &claims);
    hostile.published.lock().expect("a lock").0.push(second.jwk());
    assert_eq!(asked(), 1);
    // Not yet: whoever signs with unknown keys must not make us ask for each.
    for _ in 0..3 {
        let browser = Browser::new(&face.router);
        let reply = hostile.visit(&face, &browser, &id, signed).await;
        stays_outside(&browser, &reply, "a key that is not known yet");
    }
    assert_eq!(asked(), 1);
    face.world.app.clock.advance_seconds(60);
    let browser = Browser::new(&face.router);
    hostile.visit(&face, &browser, &id, signed).await.expect(200);
    assert_eq!(asked(), 2);
    // A known key asks nobody, until ten minutes are over.
    face.world.app.clock.advance_seconds(540);
    hostile.visit(&face, &browser, &id, signed).await.expect(200);
    assert_eq!(asked(), 2);
    face.world.app.clock.advance_seconds(60);
    // A key that was withdrawn is no key.
    hostile.published.lock().expect("a lock").0.pop();
    let browser = Browser::new(&face.router);
    let reply = hostile.visit(&face, &browser, &id, signed).await;
    stays_outside(&browser, &reply, "a withdrawn key");
    assert_eq!(asked(), 3);
}

#[tokio::test]
async fn what_the_browser_is_sent_with_is_guarded() {
    let face = Face::new().await;
    let admin = administrator(&face).await;
    let hostile = Hostile::start().await;
    let id = provider(&admin, &hostile.issuer, "provider").await;
    let browser = Browser::new(&face.router);
    let asked = query(&begin(&browser, &id).await);
    assert_eq!(asked["response_type"], "code");
    assert_eq!(asked["code_challenge_method"], "S256");
    assert_eq!(asked["redirect_uri"], CALLBACK);
    assert!(asked["state"].len() >= 43 && asked["nonce"].len() >= 43);
    assert!(!asked.contains_key("prompt"));
    let fresh = browser.get(&format!("/sign-in/oidc/{id}?fresh=true")).await.expect(302);
    assert_eq!(query(&located(&fresh))["prompt"], "login");
    // Another site begins nothing, and nobody is sent on to one.
    let foreign = [("sec-fetch-site", "cross-site")];
    browser.send("GET", &format!("/sign-in/oidc/{id}"), None, &foreign).await.expect(403);
    let honest = |keys: &Keys, claims: Value| keys.sign(&keys.header(), &claims);
    let asked =
        browser.get(&format!("/sign-in/oidc/{id}?return=https://evil.example")).await.expect(302);
    let asked = query(&located(&asked));
    hostile.answers(&honest(&hostile.keys, hostile.claims(&face.world, &asked["nonce"])));
    let back = format!("{CALLBACK}?code=c&state={}", asked["state"]);
    let reply = come_back(&browser, &back).await.expect(200);
    assert!(reply.text.contains("content=\"0;url=/\""), "{}", reply.text);
    // No such provider looks like one that does not answer.
    let reply = browser.get("/sign-in/oidc/00000000-0000-0000-0000-000000000000").await;
    assert_eq!(located(&reply), "/sign-in?failed=oidc");
}

#[tokio::test]
async fn addresses_of_our_own_network_are_refused_when_set_and_when_used() {
    let hostile = Hostile::start().await;
    let exposed =
        || Config { public_url: Some("https://mdr.example".to_owned()), ..Config::default() };
    let face = Face::with(exposed()).await;
    let admin = administrator(&face).await;
    let port = hostile.issuer.rsplit(':').next().expect("a port").to_owned();
    for issuer in [
        hostile.issuer.as_str(),
        "http://login.alder.example",
        "https://127.0.0.1",
        &format!("https://localhost:{port}"),
        "https://10.0.0.7",
        "https://169.254.169.254",
        "https://[::1]",
        "https://[::ffff:10.0.0.7]",
        "https://[fd00:ec2::254]",
        "https://2130706433",
        "https://user:pass@login.alder.example",
        "https://login.alder.example/?x=1",
        "file:///etc/passwd",
        "https://nobody.invalid",
    ] {
        let wanted = settings(issuer, "provider");
        let reply = admin.post("/api/v1/identity-providers", &wanted).await.expect(400);
        assert!(!reply.text.contains("clientSecret"), "{}", reply.text);
    }
    assert_eq!(face.world.rows("select count(*) from identity_provider").await, [0]);

    // A provider that was set while nobody else could reach this installation.
    let face = Face::new().await;
    let admin = administrator(&face).await;
    let id = provider(&admin, &hostile.issuer, "provider").await;
    let world = &face.world;
    let later = App::new(world.app.db.clone(), world.app.clock.clone(), Random::system(), {
        Config { data_dir: world.app.config.data_dir.clone(), ..exposed() }
    });
    let later = later.expect("an app");
    let known = oidc::Known::default();
    let refused = oidc::begin(&later, &known, &id, "https://mdr.example", None, false).await;
    assert!(refused.is_err_and(|error| error.to_string().contains("must begin with https")));

    // A provider that changes its mind about where its parts are; ten minutes later it shows.
    for (what, lies) in [
        ("token", json!({ "token_endpoint": "https://169.254.169.254/token" })),
        ("authorization", json!({ "authorization_endpoint": "https://10.0.0.7/auth" })),
        ("authorization", json!({ "authorization_endpoint": "javascript:alert(1)" })),
        ("keys", json!({ "jwks_uri": "https://192.168.0.1/keys" })),
        ("issuer", json!({ "issuer": "https://login.alder.example" })),
    ] {
        world.app.clock.advance_seconds(600);
        *hostile.lies.lock().unwrap() = lies;
        let browser = Browser::new(&face.router);
        let reply = browser.get(&format!("/sign-in/oidc/{id}")).await;
        stays_outside(&browser, &reply, what);
    }
    *hostile.lies.lock().unwrap() = json!({});
    // One that sends us on somewhere else is not followed.
    let browser = Browser::new(&face.router);
    let asked = query(&begin(&browser, &id).await);
    let trap = json!({ "location": format!("{}/trap", hostile.issuer) });
    *hostile.token.lock().unwrap() = (StatusCode::TEMPORARY_REDIRECT, trap);
    let back = format!("{CALLBACK}?code=c&state={}", asked["state"]);
    stays_outside(&browser, &come_back(&browser, &back).await, "redirected");
    assert_eq!(hostile.trapped.load(Ordering::SeqCst), 0);
    // Nor is more read than anybody needs: the same answer opens a session when it is short.
    for (length, opens) in [(2 << 20, false), (2 << 10, true)] {
        let browser = Browser::new(&face.router);
        let asked = query(&begin(&browser, &id).await);
        let claims = hostile.claims(world, &asked["nonce"]);
        hostile.answers(&hostile.keys.sign(&hostile.keys.header(), &claims));
        hostile.token.lock().unwrap().1["access_token"] = json!("x".repeat(length));
        let back = format!("{CALLBACK}?code=c&state={}", asked["state"]);
        let reply = come_back(&browser, &back).await;
        if opens {
            reply.expect(200);
        } else {
            stays_outside(&browser, &reply, "too long");
        }
    }
}

#[tokio::test]
async fn what_the_userinfo_endpoint_says_counts_for_its_person_and_never_against_the_token() {
    let face = Face::new().await;
    let admin = administrator(&face).await;
    let hostile = Hostile::start().await;
    let me = json!({ "sub": "account 1", "email": "knut@alder.example", "groups": ["soc"] });
    let tells = |name: &str, value: Value| {
        let mut me = me.clone();
        me[name] = value;
        let url = format!("{}/me", hostile.issuer);
        *hostile.lies.lock().unwrap() = json!({ "userinfo_endpoint": url, "me": me });
    };
    tells("name", Value::Null);
    let id = provider(&admin, &hostile.issuer, "provider").await;
    let bare = |verified: Option<bool>| {
        move |keys: &Keys, mut claims: Value| {
            let members = claims.as_object_mut().expect("members");
            members.retain(|name, _| !["email", "email_verified", "groups"].contains(&&**name));
            if let Some(verified) = verified {
                members.insert("email_verified".to_owned(), json!(verified));
            }
            keys.sign(&keys.header(), &claims)
        }
    };
    for (what, name, value, verified) in [
        ("another person", "sub", json!("account 2"), None),
        ("nobody", "sub", Value::Null, None),
        ("not verified", "email_verified", json!(false), None),
        ("verified, against the token", "email_verified", json!(true), Some(false)),
        ("another domain", "email", json!("knut@norrland.example"), None),
        ("no group", "groups", json!([]), None),
        ("no list", "groups", json!({ "soc": true }), None),
    ] {
        tells(name, value);
        let browser = Browser::new(&face.router);
        let reply = hostile.visit(&face, &browser, &id, bare(verified)).await;
        stays_outside(&browser, &reply, what);
    }
    // How somebody signed in is not for this page to say.
    tells("amr", json!(["mfa"]));
    let weak = |keys: &Keys, mut claims: Value| {
        claims["amr"] = json!(["pwd"]);
        claims.as_object_mut().expect("members").remove("email");
        keys.sign(&keys.header(), &claims)
    };
    let browser = Browser::new(&face.router);
    let reply = hostile.visit(&face, &browser, &id, weak).await;
    stays_outside(&browser, &reply, "a second factor nobody signed");
    tells("name", json!("Knut Aas"));
    hostile.visit(&face, &browser, &id, bare(None)).await.expect(200);
    let session = browser.get("/api/v1/session").await.expect(200).json();
    assert_eq!(session["person"]["name"], "Knut Aas");
}

#[tokio::test]
async fn a_provider_signs_in_nobody_of_another_organisation() {
    let face = Face::new().await;
    let world = &face.world;
    let admin = administrator(&face).await;
    let hostile = Hostile::start().await;
    let id = provider(&admin, &hostile.issuer, "provider").await;
    let honest = |keys: &Keys, claims: Value| keys.sign(&keys.header(), &claims);
    // Somebody of another customer, with an address in this customer's domain.
    face.person(&world.other.id, "knut@alder.example", Role::SecurityAdministrator).await;
    let browser = Browser::new(&face.router);
    let reply = hostile.visit(&face, &browser, &id, honest).await;
    stays_outside(&browser, &reply, "a person of another customer");
    assert_eq!(world.rows("select count(*) from identity").await, [0]);

    // Somebody who is tied already and then invited elsewhere enters only where the provider speaks.
    let browser = Browser::new(&face.router);
    let other = |keys: &Keys, mut claims: Value| {
        claims["email"] = json!("per@alder.example");
        claims["sub"] = json!("account 2");
        keys.sign(&keys.header(), &claims)
    };
    hostile.visit(&face, &browser, &id, other).await.expect(200);
    let side = Side::Tenant(&world.other.id);
    tenant::add_person(&world.app, side, "per@alder.example", "Security Reader").await.unwrap();
    hostile.visit(&face, &browser, &id, other).await.expect(200);
    let to = json!({ "organisationId": world.other.id });
    browser.post("/api/v1/session/organisation", &to).await.expect(403);
    let name = json!({ "name": "key" });
    let reply = browser.post("/api/v1/session/passkey/begin", &name).await.expect(403);
    assert!(reply.text.contains("another organisation"), "{}", reply.text);
}

#[tokio::test]
async fn a_mail_domain_has_one_provider_which_somebody_inside_it_names() {
    let face = Face::new().await;
    let world = &face.world;
    let admin = administrator(&face).await;
    let hostile = Hostile::start().await;
    let url = "/api/v1/identity-providers";
    let reader = face.person(&world.tenant.id, "bo@alder.example", Role::SecurityOperator).await;
    reader.post(url, &settings(&hostile.issuer, "ours")).await.expect(403);
    reader.get(url).await.expect(403);
    for (member, value) in [
        ("domains", json!(["norrland.example"])),
        ("domains", json!(["alder.example", "norrland.example"])),
        ("domains", json!([])),
        ("name", json!("")),
        ("clientSecret", json!("")),
        ("roles", json!({ "soc": "Lead" })),
        ("factor", json!("none")),
        ("issuer", json!("alder")),
        ("tenantId", json!(world.other.id)),
    ] {
        let mut wanted = settings(&hostile.issuer, "ours");
        wanted[member] = value;
        admin.post(url, &wanted).await.expect(400);
    }
    let added = admin.post(url, &settings(&hostile.issuer, "ours")).await.expect(201);
    assert!(!added.text.contains(SECRET), "{}", added.text);
    let id = added.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(added.json()["roles"]["soc"], "Security Operator");
    admin.post(url, &settings(&hostile.issuer, "ours")).await.expect(409);
    let listed = admin.get(url).await.expect(200);
    assert!(!listed.text.contains(SECRET), "{}", listed.text);
    assert_eq!(listed.json()["value"][0]["domains"], json!(["alder.example"]));
    let log = admin.get("/api/v1/audit?top=1000").await.expect(200);
    assert!(log.text.contains("Alder login") && !log.text.contains(SECRET), "{}", log.text);
    let sealed = world
        .app
        .db
        .whole("a test")
        .query("select client_secret from identity_provider", vec![])
        .await;
    let sealed: Vec<u8> = riposte::db::column(&sealed.unwrap()[0], 0).unwrap();
    assert!(!sealed.windows(8).any(|part| SECRET.as_bytes().starts_with(part)));

    // Another customer sees nothing of it, even with an address of the domain.
    let other =
        face.person(&world.other.id, "eve@alder.example", Role::SecurityAdministrator).await;
    other.post(url, &settings(&hostile.issuer, "ours")).await.expect(409);
    assert_eq!(other.get(url).await.expect(200).json()["value"], json!([]));
    other.delete(&format!("{url}/{id}")).await.expect(404);
    // An old proof does not do.
    world.app.clock.advance_seconds(300);
    let stale = admin.delete(&format!("{url}/{id}")).await.expect(403);
    assert!(stale.text.contains("StepUpRequired"), "{}", stale.text);
    let step_up = json!({ "code": admin.code(world) });
    admin.post("/api/v1/session/step-up/totp", &step_up).await.expect(200);
    admin.delete(&format!("{url}/{id}")).await.expect(204);
    let found = identity_provider::of_address(&world.app, IDA).await.expect("reads");
    assert!(found.is_none());
}

#[tokio::test]
async fn removing_a_provider_ends_what_rests_on_its_word() {
    let face = Face::new().await;
    let admin = administrator(&face).await;
    let hostile = Hostile::start().await;
    let id = provider(&admin, &hostile.issuer, "provider").await;
    let url = format!("/api/v1/identity-providers/{id}");
    let browser = Browser::new(&face.router);
    let chief = |keys: &Keys, mut claims: Value| {
        claims["groups"] = json!("admins");
        keys.sign(&keys.header(), &claims)
    };
    hostile.visit(&face, &browser, &id, chief).await.expect(200);
    // Who has nothing else to sign in with does not saw off the branch.
    let reply = browser.delete(&url).await.expect(409);
    assert!(reply.text.contains("add a passkey first"), "{}", reply.text);
    admin.delete(&url).await.expect(204);
    browser.get("/api/v1/session").await.expect(401);
    admin.get("/api/v1/session").await.expect(200);
    let reply = browser.get(&format!("/sign-in/oidc/{id}")).await;
    assert_eq!(located(&reply), "/sign-in?failed=oidc");
}
