//! The Graph-compatible face: the contract's paths, spellings and habits, and no rules of our own.
//!
//! Handlers read a request, call a verb of a domain and show the result as the contract has it.
//! Invariant: a client that works with the original works here with nothing but its address
//! changed. Not here: what may be changed by whom (see `incident`, `alert`).

mod alert;
mod comment;
pub mod fields;
mod first_alert;
mod incident;
pub mod key;
pub mod legacy;
pub mod odata;
mod old_incident;
pub mod page;
pub(crate) mod patch;
pub mod search;
pub mod task;
pub mod token;
pub mod write;

use axum::Router;
use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, middleware};

use crate::graph::odata::query::Options;
use crate::graph::page::Plan;
use crate::graph::write::{Envelope, Shape, Writer};
use crate::http::{Base, Failure, Prefer, Site, crawl};
use crate::id::IncidentId;
use crate::tenant::caller::Caller;

/// Which version of the interface a request speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    /// `/v1.0`.
    One,
    /// `/beta`.
    Beta,
}

impl Version {
    fn name(self) -> &'static str {
        match self {
            Self::One => "v1.0",
            Self::Beta => "beta",
        }
    }
}

/// The routes of a version.
pub fn routes(version: Version) -> Router<Site> {
    let incidents = format!("/{}/security/incidents", version.name());
    let alerts = format!("/{}/security/alerts_v2", version.name());
    let first = format!("/{}/security/alerts", version.name());
    let merge = format!("{incidents}/microsoft.graph.security.mergeIncidents");
    let moving = format!("{alerts}/microsoft.graph.security.moveAlerts");
    let tasks = format!("/{}/security/incidentTasks", version.name());
    let execute = format!("{tasks}/{{id}}/microsoft.graph.security.executeResponseAction");
    Router::new()
        .route(&incidents, get(incident::list).post(incident::create))
        .route(&format!("{incidents}/$count"), get(incident::count))
        .route(&merge, post(incident::merge))
        .route(&format!("{incidents}/mergeIncidents"), post(incident::merge))
        .route(
            &format!("{incidents}/{{id}}"),
            get(incident::get).patch(incident::update).delete(incident::delete),
        )
        .route(
            &format!("{incidents}/{{id}}/comments"),
            get(incident::comments).post(incident::add_comment),
        )
        .route(&format!("{incidents}/{{id}}/comments/$count"), get(incident::count_comments))
        .route(&format!("{incidents}/{{id}}/alerts"), get(alert::list_within))
        .route(&format!("{incidents}/{{id}}/alerts/$count"), get(alert::count_within))
        .route(&format!("{incidents}/{{id}}/alerts/{{alert}}"), get(alert::get_within))
        .route(
            &format!("{incidents}/{{id}}/alerts/{{alert}}/comments"),
            post(alert::add_comment_within),
        )
        .route(&alerts, get(alert::list).post(alert::create))
        .route(&format!("{alerts}/$count"), get(alert::count))
        .route(&moving, post(alert::move_alerts))
        .route(&format!("{alerts}/moveAlerts"), post(alert::move_alerts))
        .route(
            &format!("{alerts}/{{id}}"),
            get(alert::get).patch(alert::update).delete(alert::delete),
        )
        .route(&format!("{alerts}/{{id}}/comments"), get(alert::comments).post(alert::add_comment))
        .route(&format!("{alerts}/{{id}}/comments/$count"), get(alert::count_comments))
        .route(&first, get(first_alert::list))
        .route(&format!("{first}/$count"), get(alert::count))
        .route(&format!("{first}/{{id}}"), get(first_alert::get).patch(first_alert::update))
        .route(&tasks, get(task::list))
        .route(&format!("{tasks}/$count"), get(task::count))
        .route(&format!("{tasks}/{{id}}"), get(task::get).patch(task::update))
        .route(&format!("{tasks}/{{id}}/incident"), get(task::of))
        .route(&execute, post(task::execute))
        .route(&format!("{tasks}/{{id}}/executeResponseAction"), post(task::execute))
        .layer(Extension(version))
        .layer(middleware::from_fn(odata_version))
}

/// The routes of the older interface, from the root.
pub fn old_routes() -> Router<Site> {
    Router::new()
        .route("/api/incidents", get(old_incident::list))
        .route("/api/incidents/{id}", get(old_incident::get).patch(old_incident::update))
        .layer(Extension(Version::One))
        .layer(middleware::from_fn(odata_version))
}

/// Says which OData this is, as the original does.
async fn odata_version(request: Request, next: middleware::Next) -> Response {
    let mut response = next.run(request).await;
    let value = axum::http::HeaderValue::from_static("4.0");
    response.headers_mut().insert("odata-version", value);
    response
}

/// What every read of this face is made of.
pub struct Ask {
    /// Who asks.
    pub caller: Caller,
    /// The query options.
    pub options: Options,
    /// What the client prefers.
    pub prefer: Prefer,
    /// Which version it speaks.
    pub version: Version,
    /// The address it reached us by.
    pub base: Base,
    /// The path it asked for, without the query.
    path: String,
}

impl FromRequestParts<Site> for Ask {
    type Rejection = Failure;
    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Failure> {
        let caller = Caller::from_request_parts(parts, site).await?;
        Self::by(caller, parts, site).await
    }
}

impl Ask {
    async fn by(caller: Caller, parts: &mut Parts, site: &Site) -> Result<Self, Failure> {
        let options = Options::parse(parts.uri.query().unwrap_or_default())?;
        let Ok(base) = Base::from_request_parts(parts, site).await;
        let path = parts.uri.path().to_owned();
        Ok(Self {
            caller,
            options,
            prefer: Prefer::read(&parts.headers),
            version: parts.extensions.get().copied().unwrap_or(Version::One),
            base,
            path,
        })
    }

    /// `@odata.context` of what is at `path` below the version.
    #[must_use]
    pub fn context(&self, path: &str) -> String {
        let select = &self.options.select;
        let fields =
            if select.is_empty() { String::new() } else { format!("({})", select.join(",")) };
        format!("{}/{}/$metadata#{path}{fields}", self.base.0, self.version.name())
    }

    /// How rows are written for this request.
    #[must_use]
    pub fn writer(&self, site: &Site, shape: Shape) -> Writer {
        Writer {
            shape,
            select: self.options.select.clone(),
            named: self.prefer.unknown_members,
            beta: self.version == Version::Beta,
            web: self.base.web(&site.app).to_owned(),
            reach: self.caller.reach.clone(),
            budget: None,
            context: None,
        }
    }

    /// Answers with a page of a list.
    pub async fn list(
        self,
        site: &Site,
        shape: Shape,
        within: Option<IncidentId>,
        context: &str,
        usual: u64,
        largest: u64,
    ) -> Result<Response, Failure> {
        if let Shape::Incident(Some(nested)) = &shape {
            // What is wrong with nested options is found before the answer begins.
            let reach = &self.caller.reach;
            let resource = page::Resource::Alert;
            Plan::new(&site.app, resource, nested, reach, None, None).await?;
        }
        let top = self.options.top.or(self.prefer.page).unwrap_or(usual).min(largest.max(1));
        let resource = shape.resource();
        let key = {
            let bare =
                self.options.rebuilt(&[("$skip", None), ("$top", None), ("$skiptoken", None)]);
            crawl::key(&[&self.caller.client_id, &self.path, &bare])
        };
        let skip = self.options.skip.unwrap_or(0);
        let own = self.options.skiptoken.clone();
        let remembered = if own.is_none() && skip > 0 {
            site.crawls.find(key, skip, site.app.clock.now())
        } else {
            None
        };
        let token = own.as_ref().or(remembered.as_ref());
        let reach = &self.caller.reach;
        let plan =
            Plan::new(&site.app, resource, &self.options, reach, within, token.map(String::as_str))
                .await?;
        let count = if self.options.count { Some(plan.count(&site.app).await?) } else { None };
        let mut writer = self.writer(site, shape);
        writer.budget = Some(Writer::share(top));
        let (base, path, options) = (self.base.0.clone(), self.path.clone(), self.options.clone());
        let (crawls, app) = (site.crawls.clone(), site.app.clone());
        let from_token = own.is_some();
        let envelope = Envelope {
            context: self.context(context),
            count,
            top,
            next: Box::new(move |token| {
                let query = options.rebuilt(&[("$skip", None), ("$skiptoken", Some(token))]);
                format!("{base}{path}?{query}")
            }),
            note: Box::new(move |token| {
                if !from_token {
                    let next = skip.saturating_add(top);
                    crawls.note(key, next, token.to_owned(), app.clock.now());
                }
            }),
        };
        write::page(site, plan, writer, envelope, self.prefer).await
    }

    /// Answers with how many rows there are, as plain text.
    pub async fn count(
        self,
        site: &Site,
        resource: page::Resource,
        within: Option<IncidentId>,
    ) -> Result<Response, Failure> {
        let reach = &self.caller.reach;
        let plan = Plan::new(&site.app, resource, &self.options, reach, within, None).await?;
        let count = plan.count(&site.app).await?;
        Ok(plain(count))
    }
}

/// A number as plain text.
fn plain(number: i64) -> Response {
    let mut response = Response::new(number.to_string().into());
    let kind = axum::http::HeaderValue::from_static("text/plain");
    response.headers_mut().insert(axum::http::header::CONTENT_TYPE, kind);
    response
}

/// The paths of this face and their methods, for the OpenAPI document. Those below `/security` are
/// there once for each version.
pub const PATHS: &[(&str, &[&str])] = &[
    ("/security/incidents", &["get", "post"]),
    ("/security/incidents/$count", &["get"]),
    ("/security/incidents/{id}", &["get", "patch"]),
    ("/security/incidents/{id}/comments", &["get", "post"]),
    ("/security/incidents/{id}/comments/$count", &["get"]),
    ("/security/incidents/{id}/alerts", &["get"]),
    ("/security/incidents/{id}/alerts/$count", &["get"]),
    ("/security/incidents/{id}/alerts/{alert}", &["get"]),
    ("/security/incidents/{id}/alerts/{alert}/comments", &["post"]),
    ("/security/incidents/microsoft.graph.security.mergeIncidents", &["post"]),
    ("/security/alerts_v2", &["get", "post"]),
    ("/security/alerts_v2/$count", &["get"]),
    ("/security/alerts_v2/{id}", &["get", "patch"]),
    ("/security/alerts_v2/{id}/comments", &["get", "post"]),
    ("/security/alerts_v2/{id}/comments/$count", &["get"]),
    ("/security/alerts_v2/microsoft.graph.security.moveAlerts", &["post"]),
    ("/security/alerts", &["get"]),
    ("/security/alerts/$count", &["get"]),
    ("/security/alerts/{id}", &["get", "patch"]),
    ("/security/incidentTasks", &["get"]),
    ("/security/incidentTasks/$count", &["get"]),
    ("/security/incidentTasks/{id}", &["get", "patch"]),
    ("/security/incidentTasks/{id}/incident", &["get"]),
    ("/security/incidentTasks/{id}/microsoft.graph.security.executeResponseAction", &["post"]),
    ("/api/incidents", &["get"]),
    ("/api/incidents/{id}", &["get", "patch"]),
    ("/{tenant}/oauth2/v2.0/token", &["post"]),
    ("/{tenant}/oauth2/token", &["post"]),
];
