//! `/api/v1/connectors`: the products of a customer's that carry actions out.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::api::{May, done, nothing, read};
use crate::clock::Timestamp;
use crate::connector::{self, Connector, ConnectorKind, Edit, Wanted};
use crate::http::{Answer, Site, json_response};
use crate::permission::Permission;
use crate::response::order;
use crate::tenant::caller::Caller;

/// A connector; the secret is never shown.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConnectorView {
    id: String,
    kind: ConnectorKind,
    name: String,
    /// Where the product's interface is.
    base_url: String,
    /// Where it gives tokens.
    token_url: String,
    client_id: String,
    /// The types of actions it carries out.
    actions: Vec<&'static str>,
    created_by: String,
    #[schema(value_type = String)]
    created_date_time: Timestamp,
    /// When it last answered.
    #[schema(value_type = Option<String>)]
    last_ok_date_time: Option<Timestamp>,
    /// Why it did not since.
    last_error: Option<String>,
}

impl From<Connector> for ConnectorView {
    fn from(it: Connector) -> Self {
        Self {
            id: it.id,
            kind: it.kind,
            name: it.name,
            base_url: it.base_url,
            token_url: it.token_url,
            client_id: it.client_id,
            actions: order::kinds(it.kind).map(|kind| kind.entry().word).collect(),
            created_by: it.created_by,
            created_date_time: it.created,
            last_ok_date_time: it.last_ok,
            last_error: it.last_error,
        }
    }
}

/// The connectors of the organisation.
#[utoipa::path(
    get, path = "/api/v1/connectors", tag = "connector",
    responses((status = 200, description = "value, may", body = Object)),
)]
pub(super) async fn list(State(site): State<Site>, caller: Caller) -> Answer {
    let found = connector::list(&site.app, &caller).await?;
    let free = ConnectorKind::ALL.iter().any(|kind| found.iter().all(|it| it.kind != *kind));
    let full = (!free).then(|| "every product there is a connector for is connected".to_owned());
    let may = json!({ "add": May::unless(full) });
    let value: Vec<ConnectorView> = found.into_iter().map(ConnectorView::from).collect();
    Ok(json_response(StatusCode::OK, &json!({ "value": value, "may": may })))
}

/// A product to connect.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct NewConnector {
    kind: ConnectorKind,
    /// The product's name when absent.
    name: Option<String>,
    /// `https://graph.microsoft.com` when absent.
    base_url: Option<String>,
    /// Such as `https://login.microsoftonline.com/<directory>/oauth2/v2.0/token`.
    token_url: String,
    client_id: String,
    client_secret: String,
}

/// Connects a product; needs a fresh factor.
#[utoipa::path(
    post, path = "/api/v1/connectors", tag = "connector", request_body = NewConnector,
    responses(
        (status = 201, body = ConnectorView),
        (status = 409, description = "one of this kind is connected already"),
    ),
)]
pub(super) async fn add(
    State(site): State<Site>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::ConnectorReadWrite])?;
    let (asked, _) = read::<NewConnector>(&site, &headers, body).await?;
    let wanted = Wanted {
        kind: asked.kind,
        name: asked.name,
        base_url: asked.base_url,
        token_url: asked.token_url,
        client_id: asked.client_id,
        client_secret: asked.client_secret,
    };
    let added = connector::add(&site.app, &caller, &wanted).await?;
    Ok(json_response(StatusCode::CREATED, &ConnectorView::from(added)))
}

/// What of a connector is to be another; what is absent stays.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct EditedConnector {
    name: Option<String>,
    token_url: Option<String>,
    client_id: Option<String>,
    /// Needed again for another client or another address of tokens.
    client_secret: Option<String>,
}

/// Changes a connector; needs a fresh factor.
#[utoipa::path(
    patch, path = "/api/v1/connectors/{id}", tag = "connector", request_body = EditedConnector,
    params(("id" = String, Path, description = "the connector's id")),
    responses(
        (status = 200, body = ConnectorView),
        (status = 400, description = "the secret is needed again"),
    ),
)]
pub(super) async fn change(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::ConnectorReadWrite])?;
    let (asked, _) = read::<EditedConnector>(&site, &headers, body).await?;
    let edit = Edit {
        name: asked.name,
        token_url: asked.token_url,
        client_id: asked.client_id,
        client_secret: asked.client_secret,
    };
    let changed = connector::change(&site.app, &caller, &id, &edit).await?;
    Ok(json_response(StatusCode::OK, &ConnectorView::from(changed)))
}

/// Takes a product away and forgets its secret; needs a fresh factor.
#[utoipa::path(
    delete, path = "/api/v1/connectors/{id}", tag = "connector",
    params(("id" = String, Path, description = "the connector's id")),
    responses((status = 204)),
)]
pub(super) async fn remove(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer {
    connector::remove(&site.app, &caller, &id).await?;
    Ok(done())
}

/// What became of a test.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Tested {
    /// Whether the product gave a token and let us read.
    ok: bool,
    /// Why not.
    because: Option<String>,
}

/// Asks the product for a token and for one user; changes nothing there; needs a fresh factor.
#[utoipa::path(
    post, path = "/api/v1/connectors/{id}/test", tag = "connector",
    request_body = crate::api::sign_in::Nothing,
    params(("id" = String, Path, description = "the connector's id")),
    responses((status = 200, body = Tested)),
)]
pub(super) async fn test(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::ConnectorReadWrite])?;
    nothing(&site, &headers, body).await?;
    let because = connector::test(&site.app, &caller, &id).await?;
    Ok(json_response(StatusCode::OK, &Tested { ok: because.is_none(), because }))
}
