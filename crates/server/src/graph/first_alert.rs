//! `/security/alerts`: the first version of alerts, for clients that still read it.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::Value;

use crate::graph::Ask;
use crate::graph::alert::{READ, full, id_of};
use crate::graph::write::Shape;
use crate::http::{Answer, Site, json_response};

pub(super) async fn list(State(site): State<Site>, ask: Ask) -> Answer {
    ask.caller.require(READ)?;
    let graph = &site.app.config.graph;
    let (usual, largest) = (graph.default_page, graph.largest_page);
    ask.list(&site, Shape::OldAlert, None, "Security/alerts", usual, largest).await
}

pub(super) async fn get(State(site): State<Site>, Path(id): Path<String>, ask: Ask) -> Answer {
    ask.caller.require(READ)?;
    let full = full(&site.app, &ask.caller.reach, id_of(&id)?, None).await?;
    let mut row = ask.writer(&site, Shape::OldAlert).alert(&site, full).await?;
    let context = ask.context("Security/alerts") + "/$entity";
    row.insert("@odata.context".to_owned(), Value::from(context));
    Ok(json_response(StatusCode::OK, &row))
}
