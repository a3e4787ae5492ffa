//! `$orderby` as sort keys whose nulls come first when ascending and last when descending, on
//! both stores.

use sea_orm::sea_query::{Expr as Sql, NullOrdering, Order};

use super::compile::unknown;
use super::fields::{Field, Kind, Table, find};
use super::query::Direction;
use super::text::{Text, case_of};
use super::{BadQuery, shown};

/// One sort key.
#[derive(Clone, Debug)]
pub struct SortKey {
    /// The property it came from.
    pub field: &'static Field,
    /// What is sorted: the column, or the folded text.
    pub expr: Sql,
    /// Which way.
    pub direction: Direction,
}

impl SortKey {
    /// The direction in SQL.
    #[must_use]
    pub fn order(&self) -> Order {
        match self.direction {
            Direction::Ascending => Order::Asc,
            Direction::Descending => Order::Desc,
        }
    }

    /// Where nulls go; `None` when there are none, so that a plain index serves.
    #[must_use]
    pub fn nulls(&self) -> Option<NullOrdering> {
        match self.direction {
            _ if !self.field.nullable => None,
            Direction::Ascending => Some(NullOrdering::First),
            Direction::Descending => Some(NullOrdering::Last),
        }
    }
}

/// The sort keys of an `$orderby`; a property named twice counts where it stands first.
///
/// # Errors
/// Names a property that does not exist or has no order.
pub fn keys(orderby: &[(String, Direction)], table: &Table) -> Result<Vec<SortKey>, BadQuery> {
    let mut keys: Vec<SortKey> = Vec::new();
    for (name, direction) in orderby {
        let field = find(table.fields, name).ok_or_else(|| unknown(name))?;
        if keys.iter().any(|key| std::ptr::eq(key.field, field)) {
            continue;
        }
        let expr = match field.kind {
            Kind::Collection(_) => {
                return Err(BadQuery::new(format!("cannot order by collection '{}'", shown(name))));
            }
            Kind::Text(fold) => {
                let alias = table.alias.to_owned();
                let text = Text::Column { alias, column: field.column, fold };
                text.sql(case_of(&[&text]))
            }
            _ => Sql::col((table.alias, field.column)),
        };
        keys.push(SortKey { field, expr, direction: *direction });
    }
    Ok(keys)
}
