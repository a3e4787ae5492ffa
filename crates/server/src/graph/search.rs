//! What `$search` looks through, and ids as the store knows them.

use sea_orm::sea_query::{Expr as Sql, ExprTrait, Func, LikeExpr, Query};

use crate::graph::odata::filter::Expr;
use crate::graph::odata::literal::Literal;
use crate::graph::odata::search::Search;
use crate::graph::page::Resource;
use crate::id::{AlertId, IncidentId, TaskId};

/// Rows in whose names, ids or entities the words occur, in any case.
#[must_use]
pub fn condition(resource: Resource, search: &Search) -> Sql {
    let many = |parts: &[Search], and: bool| {
        let mut parts = parts.iter().map(|part| condition(resource, part));
        let first = parts.next().unwrap_or_else(|| Sql::cust("1 = 1"));
        parts.fold(first, |all, part| if and { all.and(part) } else { all.or(part) })
    };
    match search {
        Search::And(parts) => many(parts, true),
        Search::Or(parts) => many(parts, false),
        Search::Not(part) => condition(resource, part).not(),
        Search::Term(term) => match resource {
            Resource::Incident => incident(term),
            Resource::Alert => alert(term),
            Resource::Task => task(term),
        },
    }
}

fn incident(term: &str) -> Sql {
    let mut named = Query::select();
    named
        .expr(Sql::cust("1"))
        .from("run")
        .and_where(Sql::col(("run", "incident_id")).equals(("incident", "id")))
        .and_where(contains(Sql::col(("run", "name")), term));
    let found = contains(Sql::col(("incident", "display_name")), term).or(Sql::exists(named));
    match term.parse::<IncidentId>() {
        Ok(id) => found.or(Sql::col(("incident", "id")).eq(id.0)),
        Err(()) => found,
    }
}

fn alert(term: &str) -> Sql {
    let provider_id = Func::coalesce([Sql::col(("alert", "provider_alert_id")), Sql::val("")]);
    let found = contains(Sql::col(("alert", "title")), term).or(contains(provider_id.into(), term));
    match term.parse::<AlertId>() {
        Ok(id) => found.or(Sql::col(("alert", "id")).eq(id.0)),
        Err(()) => found,
    }
}

fn task(term: &str) -> Sql {
    let target = Func::coalesce([Sql::col(("task", "target_name")), Sql::val("")]);
    let found =
        contains(Sql::col(("task", "display_name")), term).or(contains(target.into(), term));
    match term.parse::<TaskId>() {
        Ok(id) => found.or(Sql::col(("task", "id")).eq(id.0)),
        Err(()) => found,
    }
}

fn contains(column: Sql, term: &str) -> Sql {
    let mut pattern = String::from("%");
    for character in term.to_lowercase().chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    Sql::from(Func::lower(column)).like(LikeExpr::new(pattern).escape('\\'))
}

/// The filter with alert ids (`'al42'`) compared with a member `id` replaced by their numbers.
#[must_use]
pub fn ids_as_numbers(filter: Expr) -> Expr {
    let all = |parts: Vec<Expr>| parts.into_iter().map(ids_as_numbers).collect();
    match filter {
        Expr::Or(parts) => Expr::Or(all(parts)),
        Expr::And(parts) => Expr::And(all(parts)),
        Expr::Not(inner) => Expr::Not(Box::new(ids_as_numbers(*inner))),
        Expr::Compare { op, mut left, mut right } => {
            if is_id(&left)
                && let Expr::Literal(literal) = &mut *right
            {
                number(literal);
            } else if is_id(&right)
                && let Expr::Literal(literal) = &mut *left
            {
                number(literal);
            }
            Expr::Compare { op, left, right }
        }
        Expr::In { item, mut list } => {
            if is_id(&item) {
                list.iter_mut().for_each(number);
            }
            Expr::In { item, list }
        }
        Expr::Lambda { quantifier, collection, predicate } => Expr::Lambda {
            quantifier,
            collection,
            predicate: predicate.map(|(name, inner)| (name, Box::new(ids_as_numbers(*inner)))),
        },
        other => other,
    }
}

fn is_id(expr: &Expr) -> bool {
    let Expr::Path(path) = expr else { return false };
    path.0
        .last()
        .is_some_and(|name| name.eq_ignore_ascii_case("id") || name.eq_ignore_ascii_case("alertId"))
}

fn number(literal: &mut Literal) {
    if let Literal::Text(text) = literal
        && let Ok(id) = text.parse::<AlertId>()
    {
        *text = id.0.to_string();
    }
}
