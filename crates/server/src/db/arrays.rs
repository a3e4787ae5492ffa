//! Many rows as one array for each column, for PostgreSQL.
//!
//! A statement with a marker for each value of each row is parsed and planned anew for nearly
//! every number of rows, which costs more than running it. With arrays its text is the same for
//! any number of rows and it has one marker for each column. An array of this library cannot hold
//! nulls: a column that has some is accompanied by an array that says where.

use sea_orm::Value;

/// A source of rows for `insert … select` or `update … from`, with its values.
pub(super) struct Arrays {
    /// The expression of each column, in order.
    pub(super) columns: Vec<String>,
    /// What to put after `from`.
    pub(super) source: String,
    /// The values of the markers, from `$1`.
    pub(super) values: Vec<Value>,
}

enum Column {
    Numbers(Vec<i64>),
    Texts(Vec<String>),
    Bytes(Vec<Vec<u8>>),
}

/// Turns rows of `width` values into arrays; gives the values back when they are of other types
/// or of different types within a column.
pub(super) fn arrays(values: Vec<Value>, width: usize) -> Result<Arrays, Vec<Value>> {
    let rows = values.len() / width.max(1);
    let fits = rows > 0
        && values.iter().enumerate().all(|(index, value)| {
            let first = values.get(index % width);
            let known = matches!(value, Value::BigInt(_) | Value::String(_) | Value::Bytes(_));
            known
                && first.is_some_and(|first| {
                    std::mem::discriminant(first) == std::mem::discriminant(value)
                })
        });
    if !fits {
        return Err(values);
    }
    let mut columns: Vec<(Column, Vec<bool>)> = Vec::with_capacity(width);
    for (index, value) in values.into_iter().enumerate() {
        let place = index % width;
        if place == columns.len() {
            let column = match &value {
                Value::BigInt(_) => Column::Numbers(Vec::with_capacity(rows)),
                Value::String(_) => Column::Texts(Vec::with_capacity(rows)),
                _ => Column::Bytes(Vec::with_capacity(rows)),
            };
            columns.push((column, Vec::with_capacity(rows)));
        }
        let Some((column, nulls)) = columns.get_mut(place) else { continue };
        let null = match (column, value) {
            (Column::Numbers(all), Value::BigInt(value)) => put(all, value),
            (Column::Texts(all), Value::String(value)) => put(all, value),
            (Column::Bytes(all), Value::Bytes(value)) => put(all, value),
            _ => continue,
        };
        nulls.push(null);
    }
    let mut made = Arrays { columns: Vec::new(), source: String::new(), values: Vec::new() };
    let (mut markers, mut names) = (Vec::new(), Vec::new());
    for (place, (column, nulls)) in columns.into_iter().enumerate() {
        let (kind, array) = match column {
            Column::Numbers(all) => ("bigint", Value::from(all)),
            Column::Texts(all) => ("text", Value::from(all)),
            Column::Bytes(all) => ("bytea", Value::from(all)),
        };
        made.values.push(array);
        markers.push(format!("${}::{kind}[]", made.values.len()));
        names.push(format!("column{}", place + 1));
        if nulls.contains(&true) {
            made.values.push(Value::from(nulls));
            markers.push(format!("${}::boolean[]", made.values.len()));
            names.push(format!("null{}", place + 1));
            made.columns.push(format!("case when not null{0} then column{0} end", place + 1));
        } else {
            made.columns.push(format!("column{}", place + 1));
        }
    }
    made.source = format!("unnest({}) as given({})", markers.join(", "), names.join(", "));
    Ok(made)
}

/// Values of one type, none of them null, as one array.
pub(super) fn array(values: &[Value]) -> Option<Value> {
    match values.first()? {
        Value::BigInt(_) => all(values, |value| match value {
            Value::BigInt(Some(number)) => Some(*number),
            _ => None,
        }),
        Value::String(_) => all(values, |value| match value {
            Value::String(Some(text)) => Some(text.clone()),
            _ => None,
        }),
        Value::Bytes(_) => all(values, |value| match value {
            Value::Bytes(Some(bytes)) => Some(bytes.clone()),
            _ => None,
        }),
        _ => None,
    }
}

fn all<T>(values: &[Value], read: impl Fn(&Value) -> Option<T>) -> Option<Value>
where
    Vec<T>: Into<Value>,
{
    values.iter().map(read).collect::<Option<Vec<T>>>().map(Into::into)
}

/// Adds a value, or what stands for none; gives whether it was none.
fn put<T: Default>(all: &mut Vec<T>, value: Option<T>) -> bool {
    let null = value.is_none();
    all.push(value.unwrap_or_default());
    null
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_arrays() {
        let none: Option<String> = None;
        let values = vec![1_i64.into(), none.into(), 2_i64.into(), "b".into()];
        let made = arrays(values, 2).unwrap_or_else(|_| panic!("these fit"));
        assert_eq!(made.columns, ["column1", "case when not null2 then column2 end"]);
        assert_eq!(
            made.source,
            "unnest($1::bigint[], $2::text[], $3::boolean[]) as given(column1, column2, null2)"
        );
        assert_eq!(made.values[0], Value::from(vec![1_i64, 2]));
        assert_eq!(made.values[2], Value::from(vec![true, false]));
    }

    #[test]
    fn mixed_columns_stay_rows() {
        assert!(arrays(vec![1_i64.into(), "a".into()], 1).is_err());
        assert!(arrays(vec![Value::from(true)], 1).is_err());
        assert!(arrays(vec![], 3).is_err());
    }
}
