//! How many comments a query finds.
//!
//! An alert's comments are partly rows of ours and partly in what its source told, so the query
//! runs in the store over all of them as a table of values. Not here: what a comment looks like.

use sea_orm::sea_query::{Expr as Sql, Query};
use serde_json::Value;

use crate::app::App;
use crate::db::column;
use crate::graph::fields::COMMENTS;
use crate::graph::odata::compile;
use crate::graph::odata::literal::{Literal, whole_moment};
use crate::graph::odata::query::Options;
use crate::http::Failure;

/// Comments a statement holds; it binds three values for each.
const ROWS: usize = 1_000;

/// How many of these comments, as the contract shows them, `$filter` and `$search` let through.
pub(super) async fn count(app: &App, options: &Options, said: &[Value]) -> Result<i64, Failure> {
    let mut conditions = Vec::new();
    if let Some(filter) = &options.filter {
        conditions.push(compile::filter(filter, &COMMENTS, app.clock.now())?);
    }
    if let Some(search) = &options.search {
        conditions.push(compile::search(search, &["comment"], &COMMENTS)?);
    }
    if conditions.is_empty() {
        return Ok(said.len() as i64);
    }
    let mut found = 0;
    for chunk in said.chunks(ROWS) {
        let mut query = Query::select();
        query.expr(Sql::cust("count(*)")).from_values(chunk.iter().map(row), COMMENTS.alias);
        for condition in &conditions {
            query.and_where(condition.clone());
        }
        for row in app.db.shared().query_built(&query).await? {
            found += column::<i64>(&row, 0)?;
        }
    }
    Ok(found)
}

fn row(comment: &Value) -> (String, String, i64) {
    let text = |name: &str| comment.get(name).and_then(Value::as_str).unwrap_or_default();
    let micros = match whole_moment(text("createdDateTime")) {
        Some(Literal::Instant(instant)) => i64::try_from(instant.bound().floor).unwrap_or_default(),
        _ => 0,
    };
    (text("comment").to_owned(), text("createdByDisplayName").to_owned(), micros)
}
