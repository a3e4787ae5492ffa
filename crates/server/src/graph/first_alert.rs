//! `/security/alerts`: the first version of alerts, for clients that still speak it.
//!
//! A PATCH answers with the alert, as those of the newer version do. Comments are a list of texts
//! here: those that are not there yet are added, none is ever taken away.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::alert::change;
use crate::graph::alert::{READ, WRITE, full, id_of};
use crate::graph::write::Shape;
use crate::graph::{Ask, patch};
use crate::http::{Answer, Site, body, json_response};
use crate::id::AlertId;

pub(super) async fn list(State(site): State<Site>, ask: Ask) -> Answer {
    ask.caller.require(READ)?;
    let graph = &site.app.config.graph;
    let (usual, largest) = (graph.default_page, graph.largest_page);
    ask.list(&site, Shape::OldAlert, None, "Security/alerts", usual, largest).await
}

pub(super) async fn get(State(site): State<Site>, Path(id): Path<String>, ask: Ask) -> Answer {
    ask.caller.require(READ)?;
    show(&site, &ask, id_of(&id)?).await
}

async fn show(site: &Site, ask: &Ask, id: AlertId) -> Answer {
    let full = full(&site.app, &ask.caller.reach, id, None).await?;
    let mut row = ask.writer(site, Shape::OldAlert).alert(site, full).await?;
    let context = ask.context("Security/alerts") + "/$entity";
    row.insert("@odata.context".to_owned(), Value::from(context));
    Ok(ask.prefer.applied(json_response(StatusCode::OK, &row)))
}

pub(super) async fn update(
    State(site): State<Site>,
    Path(id): Path<String>,
    ask: Ask,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    ask.caller.require(WRITE)?;
    let id = id_of(&id)?;
    let members = patch::object(body::json(&headers, body, &site.bodies).await?)?;
    let (changes, texts) = patch::first_alert(&site.app, &members)?;
    change::rewrite(&site.app, &ask.caller, id, changes, &texts).await?;
    show(&site, &ask, id).await
}
