//! Pages of a list: filter, order, count, and a place to go on from.
//!
//! However a client pages, it comes upon every row that existed when it began, although rows change
//! meanwhile. By default rows come in an order that never changes (creation). In an order that does
//! change, rows that changed since the first page leave it and come at the end, by time of change.
//! A token holds the last row's sort values and the bound `began`: the newest
//! `lastUpdateDateTime` when the crawl began. In an unchanging order no row claims to be newer than
//! that, so that a client which remembers the greatest value and asks for more next time comes upon
//! every change since. Not here: what a row looks like (see `write`).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use sea_orm::QueryResult;
use sea_orm::sea_query::{
    Expr as Sql, ExprTrait, IntoIden, NullOrdering, Order, Query, SelectStatement,
};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::clock::Timestamp;
use crate::db::column;
use crate::error::{Error, Result};
use crate::graph::fields::{ALERTS, INCIDENTS, TASK_RANKS, TASKS};
use crate::graph::odata::fields::{Kind, Table};
use crate::graph::odata::query::{Direction, Options};
use crate::graph::odata::{BadQuery, compile, order};
use crate::graph::{search, task};
use crate::http::Failure;
use crate::id::IncidentId;
use crate::tenant::caller::Reach;

/// What is listed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resource {
    /// Incidents.
    Incident,
    /// Alerts, with their bodies.
    Alert,
    /// Tasks that were published.
    Task,
}

impl Resource {
    fn table(self) -> &'static Table {
        match self {
            Self::Incident => &INCIDENTS,
            Self::Alert => &ALERTS,
            Self::Task => &TASKS,
        }
    }

    fn columns(self) -> &'static str {
        match self {
            Self::Incident => crate::incident::COLUMNS,
            Self::Alert => crate::alert::view::COLUMNS,
            Self::Task => task::COLUMNS.as_str(),
        }
    }

    fn width(self) -> usize {
        match self {
            Self::Incident => crate::incident::WIDTH,
            Self::Alert => crate::alert::view::WIDTH,
            Self::Task => task::WIDTH,
        }
    }

    /// When a row came into being: the column of the default order that never changes.
    fn born(self) -> &'static str {
        match self {
            Self::Incident | Self::Task => "created_at",
            Self::Alert => "received_at",
        }
    }
}

/// A sort value of the last row of a page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Value {
    None,
    Number(i64),
    Text(String),
}

/// Which part of a crawl a row is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// In an order that never changes.
    #[serde(rename = "s")]
    Still,
    /// In the order asked for, rows that have not changed since the crawl began.
    #[serde(rename = "o")]
    Ordered,
    /// By time of change, rows that have.
    #[serde(rename = "c")]
    Changed,
}

/// Where to go on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cursor {
    #[serde(rename = "o")]
    order: String,
    #[serde(rename = "p")]
    phase: Phase,
    /// The newest `lastUpdateDateTime` when the crawl began, in microseconds.
    #[serde(rename = "b")]
    began: i64,
    #[serde(rename = "k", skip_serializing_if = "Vec::is_empty", default)]
    after: Vec<Value>,
}

impl Cursor {
    /// The text of a `$skiptoken`.
    pub fn token(&self) -> Result<String> {
        Ok(BASE64.encode(serde_json::to_vec(self).map_err(Error::internal)?))
    }

    fn read(token: &str) -> Option<Self> {
        serde_json::from_slice(&BASE64.decode(token).ok()?).ok()
    }
}

struct Sort {
    expr: Sql,
    descending: bool,
    nullable: bool,
    text: bool,
}

/// A list request, ready to be answered page by page.
pub struct Plan {
    resource: Resource,
    reach: Reach,
    conditions: Vec<Sql>,
    sorts: Vec<Sort>,
    order: String,
    with_tenant: bool,
    start: Cursor,
    offset: u64,
}

/// A row with the part of the crawl it is from.
pub struct Row {
    /// The columns of the resource, then the sort values.
    pub row: QueryResult,
    /// From which part.
    pub phase: Phase,
}

impl Plan {
    /// Plans the answer to `options` over what `reach` includes; `within` limits alerts to one
    /// incident. `token` stands for the request's own `$skiptoken` or a remembered place.
    pub async fn new(
        app: &App,
        resource: Resource,
        options: &Options,
        reach: &Reach,
        within: Option<IncidentId>,
        token: Option<&str>,
    ) -> std::result::Result<Self, Failure> {
        let table = resource.table();
        // Alerts of many tenants lie in the order of their ids already, and the queue over many
        // tenants has indexes of its own.
        let in_order = options.filter.is_none() && options.orderby.is_empty();
        let many = reach.tenants().len() > 1
            && match resource {
                Resource::Incident => true,
                Resource::Alert => in_order,
                Resource::Task => false,
            };
        let mut plan = Self {
            resource,
            reach: reach.clone(),
            conditions: vec![within_reach(table, reach, many || within.is_some())],
            sorts: Vec::new(),
            order: String::new(),
            with_tenant: false,
            start: Cursor {
                order: String::new(),
                phase: Phase::Still,
                began: 0,
                after: Vec::new(),
            },
            offset: 0,
        };
        if let Some(incident) = within {
            plan.conditions.push(Sql::col((table.alias, "incident_id")).eq(incident.0));
        }
        if resource == Resource::Task {
            // A draft is nobody's but the experts'.
            plan.conditions.push(Sql::col((table.alias, "published_at")).is_not_null());
        }
        if let Some(filter) = &options.filter {
            plan.with_tenant = filter.to_string().to_ascii_lowercase().contains("tenantid");
            let filter = match resource {
                Resource::Incident | Resource::Alert => search::ids_as_numbers(filter.clone()),
                Resource::Task => filter.clone(),
            };
            plan.conditions.push(compile::filter(&filter, table, app.clock.now())?);
        }
        if let Some(search) = &options.search {
            plan.conditions.push(search::condition(resource, search));
        }
        plan.order_by(&options.orderby)?;
        if let Some(token) = token {
            plan.start = Cursor::read(token)
                .filter(|cursor| cursor.order == plan.order && plan.fits(cursor))
                .ok_or_else(|| BadQuery::new("the $skiptoken does not belong to this query"))?;
        } else {
            plan.start.order.clone_from(&plan.order);
            plan.start.began = newest(app, reach).await?;
            plan.offset = options.skip.unwrap_or(0);
        }
        Ok(plan)
    }

    fn order_by(&mut self, orderby: &[(String, Direction)]) -> std::result::Result<(), Failure> {
        let table = self.resource.table();
        let col = |name: &'static str| Sql::col((table.alias, name));
        let mut still = true;
        for key in order::keys(orderby, table)? {
            let name = key.field.column;
            still &= matches!(
                (self.resource, name),
                (_, "id" | "tenant_id") | (Resource::Incident | Resource::Task, "created_at")
            );
            self.with_tenant |= name == "tenant_id";
            let descending = key.direction == Direction::Descending;
            self.order.push_str(name);
            self.order.push(if descending { '-' } else { '+' });
            self.sorts.push(Sort {
                expr: key.expr,
                descending,
                nullable: key.field.nullable,
                text: matches!(key.field.kind, Kind::Text(_)),
            });
            if name == "id" {
                break;
            }
        }
        if self.sorts.is_empty() && self.resource != Resource::Alert {
            // What several replicas make gets its ids from different blocks; the moment of
            // creation follows the order of commits.
            self.sorts.push(plain(col("created_at"), false));
        }
        if !self.order.contains("id+") && !self.order.contains("id-") {
            let descending = self.sorts.last().is_some_and(|sort| sort.descending);
            self.sorts.push(plain(col("id"), descending));
        }
        self.start.phase = if still {
            Phase::Still
        } else if self.order.starts_with("updated_at+") {
            Phase::Changed
        } else {
            Phase::Ordered
        };
        Ok(())
    }

    fn sorts_of(&self, phase: Phase) -> std::borrow::Cow<'_, [Sort]> {
        match phase {
            Phase::Still | Phase::Ordered => std::borrow::Cow::Borrowed(&self.sorts),
            Phase::Changed => {
                let alias = self.resource.table().alias;
                std::borrow::Cow::Owned(vec![
                    plain(Sql::col((alias, "updated_at")), false),
                    plain(Sql::col((alias, "id")), false),
                ])
            }
        }
    }

    /// Whether a cursor's values are of the kinds that this order compares.
    fn fits(&self, cursor: &Cursor) -> bool {
        let sorts = self.sorts_of(cursor.phase);
        let fits = |(sort, value): (&Sort, &Value)| match value {
            Value::None => sort.nullable,
            Value::Number(_) => !sort.text,
            Value::Text(_) => sort.text,
        };
        cursor.after.is_empty()
            || (cursor.after.len() == sorts.len() && sorts.iter().zip(&cursor.after).all(fits))
    }

    /// Where the first page begins.
    #[must_use]
    pub fn start(&self) -> Cursor {
        self.start.clone()
    }

    /// No row of this phase claims to have changed later than this.
    #[must_use]
    pub fn not_after(&self, phase: Phase) -> Option<Timestamp> {
        (phase == Phase::Still).then(|| Timestamp::from_micros(self.start.began))
    }

    /// The place behind a row.
    pub fn behind(&self, row: &Row) -> Result<Cursor> {
        let mut after = Vec::new();
        for (index, sort) in self.sorts_of(row.phase).iter().enumerate() {
            let index = self.resource.width() + index;
            after.push(if sort.text {
                column::<Option<String>>(&row.row, index)?.map_or(Value::None, Value::Text)
            } else {
                column::<Option<i64>>(&row.row, index)?.map_or(Value::None, Value::Number)
            });
        }
        Ok(Cursor { order: self.order.clone(), phase: row.phase, began: self.start.began, after })
    }

    /// Up to `limit` rows from `cursor` on.
    pub async fn rows(&self, app: &App, cursor: &Cursor, limit: u64) -> Result<Vec<Row>> {
        let mut rows = self.rows_of(app, cursor, limit, cursor.phase).await?;
        let left = limit.saturating_sub(rows.len() as u64);
        if cursor.phase == Phase::Ordered && left > 0 {
            // What an offset did not use up there it cannot use up here: these rows changed while
            // the crawl was under way, so it began with a first page.
            if self.offset == 0 || !cursor.after.is_empty() {
                let rest = Cursor {
                    phase: Phase::Changed,
                    after: vec![Value::Number(cursor.began), Value::Number(i64::MAX)],
                    ..cursor.clone()
                };
                rows.extend(self.rows_of(app, &rest, left, Phase::Changed).await?);
            }
        }
        Ok(rows)
    }

    async fn rows_of(
        &self,
        app: &App,
        cursor: &Cursor,
        limit: u64,
        phase: Phase,
    ) -> Result<Vec<Row>> {
        let rows = app
            .db
            .reach(self.reach.tenants())
            .query_built(&self.statement(cursor, limit, phase))
            .await?;
        Ok(rows.into_iter().map(|row| Row { row, phase }).collect())
    }

    /// The statement that reads up to `limit` rows of one phase from `cursor` on.
    #[must_use]
    pub fn statement(&self, cursor: &Cursor, limit: u64, phase: Phase) -> SelectStatement {
        let table = self.resource.table();
        let sorts = self.sorts_of(phase);
        let place = (!cursor.after.is_empty()).then(|| behind(&sorts, &cursor.after));
        let mut source = self.source();
        if self.resource == Resource::Alert {
            self.join(&mut source);
        }
        let mut select = self.meeting(source, place.as_ref());
        if let (Resource::Alert, [sort], [Value::Number(id)]) =
            (self.resource, &*sorts, cursor.after.as_slice())
        {
            // Bodies have the same ids; PostgreSQL may read them in that order, from the first on.
            let body = Sql::col(("alert_body", "alert_id"));
            select.and_where(if sort.descending { body.lt(*id) } else { body.gt(*id) });
        }
        match phase {
            // What came into being since is for the next crawl.
            Phase::Still => {
                select.and_where(Sql::col((table.alias, self.resource.born())).lte(cursor.began));
            }
            Phase::Ordered => {
                select.and_where(Sql::col((table.alias, "updated_at")).lte(cursor.began));
            }
            Phase::Changed => {}
        }
        if place.is_none() {
            select.offset(self.offset);
        }
        select.limit(limit);
        if self.resource == Resource::Incident {
            // Which rows is told by an index that holds all that queues are filtered by; only those
            // of the page are then read whole.
            let id = || Sql::col((table.alias, "id"));
            select.expr(id());
            in_order(&mut select, &sorts);
            let mut whole = self.source();
            self.join(&mut whole);
            whole.and_where(id().in_subquery(select));
            select = whole;
        }
        select.expr(Sql::cust(self.resource.columns()));
        for sort in sorts.iter() {
            select.expr(sort.expr.clone());
        }
        in_order(&mut select, &sorts);
        select
    }

    /// How many rows the filter lets through, over all pages.
    pub async fn count(&self, app: &App) -> Result<i64> {
        let mut select = self.meeting(self.source(), None);
        select.expr(Sql::cust("count(*)"));
        let rows = app.db.reach(self.reach.tenants()).query_built(&select).await?;
        rows.first().map_or(Ok(0), |row| column(row, 0))
    }

    /// The rows that meet all conditions and, before all others, this one: of several bounds on one
    /// column SQLite begins its index at the first, and a place is narrower than any filter.
    fn meeting(&self, mut select: SelectStatement, place: Option<&Sql>) -> SelectStatement {
        for condition in place.into_iter().chain(&self.conditions) {
            select.and_where(condition.clone());
        }
        select
    }

    /// The rows of the resource, with the public id of their tenant when somebody asks about it and
    /// with what is found out about each.
    fn source(&self) -> SelectStatement {
        let alias = self.resource.table().alias;
        let mut select = Query::select();
        if !self.with_tenant && self.resource != Resource::Task {
            select.from(alias);
            return select;
        }
        let mut all = Query::select();
        all.expr(Sql::cust(format!("{alias}.*"))).from(alias);
        if self.with_tenant {
            all.expr_as(Sql::col(("whose", "id")), "tenant_id").join_as(
                sea_orm::sea_query::JoinType::InnerJoin,
                "tenant",
                "whose",
                Sql::col(("whose", "no")).equals((alias, "tenant_no")),
            );
        }
        if self.resource == Resource::Task {
            for (column, rank) in TASK_RANKS.iter() {
                all.expr_as(Sql::cust(rank.as_str()), *column);
            }
        }
        select.from_subquery(all, alias.into_iden());
        select
    }

    /// What a row is shown with.
    fn join(&self, select: &mut SelectStatement) {
        match self.resource {
            Resource::Incident => select
                .inner_join("tenant", Sql::col(("tenant", "no")).equals(("incident", "tenant_no"))),
            Resource::Alert => select.inner_join(
                "alert_body",
                Sql::col(("alert_body", "alert_id")).equals(("alert", "id")),
            ),
            Resource::Task => select,
        };
    }
}

fn in_order(select: &mut SelectStatement, sorts: &[Sort]) {
    for sort in sorts {
        let order = if sort.descending { Order::Desc } else { Order::Asc };
        if sort.nullable {
            let nulls = if sort.descending { NullOrdering::Last } else { NullOrdering::First };
            select.order_by_expr_with_nulls(sort.expr.clone(), order, nulls);
        } else {
            select.order_by_expr(sort.expr.clone(), order);
        }
    }
}

fn plain(expr: Sql, descending: bool) -> Sort {
    Sort { expr, descending, nullable: false, text: false }
}

impl Clone for Sort {
    fn clone(&self) -> Self {
        Self { expr: self.expr.clone(), ..*self }
    }
}

/// The condition that a row is of a tenant within reach. `unindexed`: written so that no index
/// begins with it, where SQLite, which does not know how many rows a tenant has, would prefer that
/// to a narrower one.
fn within_reach(table: &Table, reach: &Reach, unindexed: bool) -> Sql {
    let tenant = Sql::col((table.alias, "tenant_no"));
    let within = match reach.tenants() {
        [one] => tenant.eq(one.0),
        all => tenant.is_in(all.iter().map(|tenant| tenant.0)),
    };
    if unindexed { within.is(Sql::Constant(true.into())) } else { within }
}

/// The newest `lastUpdateDateTime` within reach, in microseconds.
async fn newest(app: &App, reach: &Reach) -> Result<i64> {
    let mut newest: i64 = 0;
    for chunk in reach.tenants().chunks(256) {
        let keys = chunk.iter().map(|tenant| tenant.0.into()).collect();
        let (list, keys) = crate::db::in_list(1, keys);
        let sql = format!("select max(last_update) from ledger where tenant_no in {list}");
        if let Some(row) = app.db.reach(chunk).query_one(&sql, keys).await? {
            newest = Ord::max(newest, column::<Option<i64>>(&row, 0)?.unwrap_or(0));
        }
    }
    Ok(newest)
}

/// The condition that a row comes behind these values. Null comes first when ascending and last
/// when descending, as if it were the smallest value.
fn behind(sorts: &[Sort], after: &[Value]) -> Sql {
    if let Some(test) = behind_at_once(sorts, after) {
        return test;
    }
    let mut tests: Option<Sql> = None;
    let mut bound: Option<Sql> = None;
    for (index, (sort, value)) in sorts.iter().zip(after).enumerate().rev() {
        let expr = || sort.expr.clone();
        let is = |value: &Value| match value {
            Value::None => expr().is_null(),
            Value::Number(number) => expr().eq(*number),
            Value::Text(text) => expr().eq(text.as_str()),
        };
        let beyond = match (value, sort.descending) {
            (Value::None, false) => Some(expr().is_not_null()),
            (Value::None, true) => None,
            (Value::Number(number), false) => Some(expr().gt(*number)),
            (Value::Text(text), false) => Some(expr().gt(text.as_str())),
            (Value::Number(number), true) => Some(expr().lt(*number)),
            (Value::Text(text), true) => Some(expr().lt(text.as_str())),
        };
        let beyond = match beyond {
            Some(test) if sort.descending && sort.nullable => Some(test.or(expr().is_null())),
            other => other,
        };
        tests = match (beyond, tests) {
            (Some(beyond), Some(rest)) => Some(beyond.or(is(value).and(rest))),
            (None, Some(rest)) => Some(is(value).and(rest)),
            (beyond, None) => beyond,
        };
        // Says nothing new, but an index can begin there.
        if index == 0 && !sort.nullable {
            bound = match (value, sort.descending) {
                (Value::Number(number), false) => Some(expr().gte(*number)),
                (Value::Number(number), true) => Some(expr().lte(*number)),
                _ => None,
            };
        }
    }
    let tests = tests.unwrap_or_else(|| Sql::cust("1 = 0"));
    match bound {
        Some(bound) => bound.and(tests),
        None => tests,
    }
}

/// The same as one comparison of rows, by which an index begins at the very row; where all sorts go
/// one way and know no null.
fn behind_at_once(sorts: &[Sort], after: &[Value]) -> Option<Sql> {
    let descending = sorts.first()?.descending;
    if sorts.iter().any(|sort| sort.nullable || sort.descending != descending) {
        return None;
    }
    let values = after.iter().map(|value| match value {
        Value::None => None,
        Value::Number(number) => Some(Sql::val(*number)),
        Value::Text(text) => Some(Sql::val(text.as_str())),
    });
    let mut values: Vec<Sql> = values.collect::<Option<_>>()?;
    let mut columns: Vec<Sql> = sorts.iter().map(|sort| sort.expr.clone()).collect();
    let (columns, values) = match (columns.len(), columns.pop(), values.pop()) {
        (1, Some(column), Some(value)) => (column, value),
        (_, column, value) => {
            columns.extend(column);
            values.extend(value);
            (Sql::tuple(columns), Sql::tuple(values))
        }
    };
    Some(if descending { columns.lt(values) } else { columns.gt(values) })
}

impl From<BadQuery> for Failure {
    fn from(bad: BadQuery) -> Self {
        Self::bad(format!("Invalid ODATA query filter: {bad}"))
    }
}
