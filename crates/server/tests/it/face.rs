//! A client of the HTTP face: requests straight into the router, with a real token.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use riposte::config::Config;
use riposte::http::Site;
use riposte::permission::Permission;
use riposte::router::router;
use riposte::tenant::caller::Callers;
use riposte::tenant::token::Keys;
use riposte::tenant::{self, Credentials, Side};
use serde_json::Value;
use tower::ServiceExt;

use crate::world::World;

pub struct Face {
    pub world: World,
    _site: Site,
    pub router: Router,
}

/// A reply, read to its end.
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    /// The reply, when it has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }
}

/// An application that has signed in.
#[derive(Clone)]
pub struct Client {
    router: Router,
    pub token: String,
}

impl Face {
    pub async fn new() -> Self {
        Self::with(Config::default()).await
    }

    pub async fn with(config: Config) -> Self {
        let world = World::with(config).await;
        let keys = Keys::load(&world.app).await.expect("keys");
        let callers = Arc::new(Callers::new(keys));
        let site = Site::new(world.app.clone(), callers, world.intake.clone());
        let router = router(site.clone());
        Self { world, _site: site, router }
    }

    pub async fn app(&self, side: Side<'_>, permissions: &[Permission]) -> Credentials {
        tenant::add_app(&self.world.app, side, "client", permissions).await.expect("an app")
    }

    /// Signs an application in as any client would.
    pub async fn sign_in(&self, app: &Credentials) -> Client {
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}&scope=https%3A%2F%2Fgraph.microsoft.com%2F.default",
            app.client_id, app.client_secret
        );
        let reply = send(
            &self.router,
            Request::post(format!("/{}/oauth2/v2.0/token", app.tenant_id))
                .header("content-type", "application/x-www-form-urlencoded")
                .body(Body::from(form))
                .expect("a request"),
        )
        .await
        .expect(200);
        let token = reply.json()["access_token"].as_str().expect("a token").to_owned();
        Client { router: self.router.clone(), token }
    }

    /// A customer's application that may do everything a customer's may.
    pub async fn customer(&self) -> Client {
        let all = [
            Permission::IncidentReadWrite,
            Permission::AlertReadWrite,
            Permission::AlertIngest,
            Permission::AuditRead,
        ];
        let app = self.app(Side::Tenant(&self.world.tenant.id), &all).await;
        self.sign_in(&app).await
    }

    pub async fn expert(&self) -> Client {
        let app = self.app(Side::Provider, &[Permission::Experts]).await;
        self.sign_in(&app).await
    }
}

impl Client {
    pub async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, None, &[]).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send("POST", path, Some(body.to_string()), &[]).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Reply {
        self.send("PUT", path, Some(body.to_string()), &[]).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Reply {
        self.send("PATCH", path, Some(body.to_string()), &[]).await
    }

    /// The body of a 200, not yet read.
    pub async fn open(&self, path: &str) -> Body {
        let request = Request::get(path)
            .header("host", "graph.riposte.example")
            .header("authorization", format!("Bearer {}", self.token));
        let request = request.body(Body::empty()).expect("a request");
        let response = self.router.clone().oneshot(request).await.expect("an answer");
        assert_eq!(response.status(), 200, "{path}");
        response.into_body()
    }

    pub async fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<String>,
        headers: &[(&str, &str)],
    ) -> Reply {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "graph.riposte.example")
            .header("authorization", format!("Bearer {}", self.token));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.map_or_else(Body::empty, Body::from);
        send(&self.router, request.body(body).expect("a request")).await
    }
}

pub async fn send(router: &Router, request: Request<Body>) -> Reply {
    let response = router.clone().oneshot(request).await.expect("an answer");
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.expect("a whole body").to_bytes();
    let text = String::from_utf8(bytes.to_vec()).expect("text");
    Reply { status: parts.status, headers: parts.headers, text }
}
