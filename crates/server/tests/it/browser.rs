//! A browser's view: a cookie jar, our own header, an address, and the codes of an authenticator
//! app.

use std::net::IpAddr;
use std::sync::Mutex;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request};
use riposte::http::Peer;
use riposte::permission::Role;
use riposte::tenant::{self, Side};
use serde_json::{Value, json};
use totp_rs::{Builder, Secret};

use crate::face::{Face, Reply, send};
use crate::world::World;

/// A password that nobody tries first.
pub const PASSWORD: &str = "wet gravel under the lantern";

pub struct Browser {
    router: Router,
    pub cookie: Mutex<Option<String>>,
    /// The cookie of a visit to an identity provider.
    pub visit: Mutex<Option<String>>,
    pub address: IpAddr,
    /// The secret of the authenticator app, once set up.
    pub secret: Mutex<Option<String>>,
}

impl Browser {
    pub fn new(router: &Router) -> Self {
        Self {
            router: router.clone(),
            cookie: Mutex::default(),
            visit: Mutex::default(),
            address: IpAddr::from([192, 0, 2, 10]),
            secret: Mutex::default(),
        }
    }

    /// The same browser on another network.
    pub fn from(mut self, address: &str) -> Self {
        self.address = address.parse().expect("an address");
        self
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, None, &[("x-riposte", "1")]).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send("POST", path, Some(body), &[("x-riposte", "1")]).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Reply {
        self.send("PUT", path, Some(body), &[("x-riposte", "1")]).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Reply {
        self.send("PATCH", path, Some(body), &[("x-riposte", "1")]).await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.send("DELETE", path, None, &[("x-riposte", "1")]).await
    }

    pub fn request(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Request<Body> {
        let mut request = Request::builder().method(method).uri(path).header("host", "mdr.example");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let held = [&self.cookie, &self.visit].map(|held| held.lock().expect("a lock").clone());
        let held: Vec<String> = held.into_iter().flatten().collect();
        if !held.is_empty() {
            request = request.header("cookie", held.join("; "));
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let mut request = request.body(body).expect("a request");
        request.extensions_mut().insert(Peer(self.address));
        request
    }

    pub async fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Reply {
        let reply = send(&self.router, self.request(method, path, body, headers)).await;
        self.keep(&reply.headers);
        reply
    }

    fn keep(&self, headers: &HeaderMap) {
        for value in headers.get_all("set-cookie") {
            let text = value.to_str().expect("text");
            let (pair, attributes) = text.split_once(';').expect("attributes");
            let visit = pair.starts_with("__Host-riposte-oidc=");
            let site = if visit { "SameSite=Lax" } else { "SameSite=Strict" };
            for wanted in ["Path=/", "Secure", "HttpOnly", site] {
                assert!(attributes.contains(wanted), "{text}");
            }
            assert!(pair.starts_with("__Host-") && !attributes.contains("Domain"), "{text}");
            let gone = pair.ends_with('=');
            let place = if visit { &self.visit } else { &self.cookie };
            *place.lock().expect("a lock") = (!gone).then(|| pair.to_owned());
        }
    }

    /// The code of the authenticator app at this moment.
    pub fn code(&self, world: &World) -> String {
        let secret = self.secret.lock().expect("a lock").clone().expect("an app that is set up");
        let secret = Secret::try_from_base32(&secret).expect("base32");
        let totp = Builder::new().with_secret(secret).build().expect("totp");
        let seconds = u64::try_from(world.app.clock.now().micros() / 1_000_000).expect("a time");
        totp.generate(seconds).to_string()
    }

    /// Sets sign-in up with a link; gives what the last answer said.
    pub async fn set_up(&self, world: &World, url: &str, name: &str) -> Value {
        let token = url.split_once('#').expect("a fragment").1;
        let chosen = self
            .post(
                "/api/v1/setup/password",
                &json!({ "token": token, "name": name, "password": PASSWORD }),
            )
            .await
            .expect(200)
            .json();
        let secret = chosen["totp"]["secret"].as_str().expect("a secret").to_owned();
        *self.secret.lock().expect("a lock") = Some(secret);
        let code = self.code(world);
        let body = json!({ "flow": chosen["flow"], "code": code });
        self.post("/api/v1/setup/totp", &body).await.expect(200).json()
    }

    /// Signs in with password and code.
    pub async fn sign_in(&self, world: &World, email: &str) -> Reply {
        let body = json!({ "email": email, "password": PASSWORD });
        let first = self.post("/api/v1/sign-in/password", &body).await;
        if first.status != 200 {
            return first;
        }
        let body = json!({ "flow": first.json()["flow"], "code": self.code(world) });
        self.post("/api/v1/sign-in/totp", &body).await
    }
}

impl Face {
    /// Somebody of a customer who has set up sign-in and is signed in.
    pub async fn person(&self, tenant: &str, email: &str, role: Role) -> Browser {
        self.invited(Side::Tenant(tenant), email, role).await
    }

    /// Somebody of the provider who has set up sign-in and is signed in.
    pub async fn provider_person(&self, email: &str, role: Role) -> Browser {
        self.invited(Side::Provider, email, role).await
    }

    async fn invited(&self, side: Side<'_>, email: &str, role: Role) -> Browser {
        let invited = tenant::add_person(&self.world.app, side, email, role.name()).await;
        let browser = Browser::new(&self.router);
        let url = invited.expect("an invitation").setup_url;
        browser.set_up(&self.world, &url, "A Person").await;
        browser
    }
}
