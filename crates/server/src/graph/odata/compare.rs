//! Comparisons that are never null: OData has `eq` and `ne` tell null apart and the others false.
//!
//! `strict` asks for false rather than null where an operand is null. Where nothing negates the
//! comparison, null and false select the same rows, and the plain form can use an index.

use sea_orm::sea_query::{BinOper, Expr as Sql, ExprTrait, Func, Value};

use super::filter::CompareOp;
use super::literal::Bound;

/// True or false, written into the SQL.
pub(super) fn truth(value: bool) -> Sql {
    Sql::Constant(Value::Bool(Some(value)))
}

/// `test`, false instead of null.
pub(super) fn settled(test: Sql, strict: bool) -> Sql {
    if strict { Func::coalesce([test, truth(false)]).into() } else { test }
}

/// Two values that can both be null.
pub(super) fn both(op: CompareOp, left: Sql, right: Sql, strict: bool) -> Sql {
    match op {
        CompareOp::Eq | CompareOp::Has => {
            left.binary(BinOper::Custom("IS NOT DISTINCT FROM"), right)
        }
        CompareOp::Ne => left.binary(BinOper::Custom("IS DISTINCT FROM"), right),
        _ => settled(ordered(op, left, right), strict),
    }
}

/// A value that can be null and one that is not.
pub(super) fn constant(op: CompareOp, left: Sql, right: Sql, strict: bool) -> Sql {
    match op {
        CompareOp::Ne => Func::coalesce([left.ne(right), truth(true)]).into(),
        _ => settled(ordered(op, left, right), strict),
    }
}

/// A value that can be null against null itself.
pub(super) fn null(op: CompareOp, left: Sql) -> Sql {
    match op {
        CompareOp::Eq => left.is_null(),
        CompareOp::Ne => left.is_not_null(),
        _ => truth(false),
    }
}

/// A value that can be null against one that no value equals and none can be ordered with.
pub(super) fn nothing(op: CompareOp) -> Sql {
    truth(op == CompareOp::Ne)
}

/// A whole number that can be null against a literal that need not be whole, nor fit 64 bits.
pub(super) fn bound(op: CompareOp, left: Sql, bound: Bound, strict: bool) -> Sql {
    let Ok(floor) = i64::try_from(bound.floor) else {
        let all = match op {
            CompareOp::Lt | CompareOp::Le => bound.floor > 0,
            CompareOp::Gt | CompareOp::Ge => bound.floor < 0,
            _ => return nothing(op),
        };
        return if all { left.is_not_null() } else { truth(false) };
    };
    // Between two whole numbers: at least it is above its floor, at most it is its floor.
    let op = match op {
        _ if bound.exact => op,
        CompareOp::Ge => CompareOp::Gt,
        CompareOp::Lt => CompareOp::Le,
        CompareOp::Gt | CompareOp::Le => op,
        _ => return nothing(op),
    };
    constant(op, left, Sql::val(floor), strict)
}

/// A value that grows in steps (the year, the date) against one of them, as a comparison of what
/// it grows with: the step begins at `start` and the next one at `end`.
pub(super) fn step(op: CompareOp, of: &Sql, start: i64, end: i64, strict: bool) -> Sql {
    let below = |limit: i64| of.clone().lt(Sql::val(limit));
    let from = |limit: i64| of.clone().gte(Sql::val(limit));
    let test = match op {
        CompareOp::Lt => below(start),
        CompareOp::Le => below(end),
        CompareOp::Gt => from(end),
        CompareOp::Ge => from(start),
        CompareOp::Eq | CompareOp::Has => from(start).and(below(end)),
        CompareOp::Ne => {
            return Func::coalesce([below(start).or(from(end)), truth(true)]).into();
        }
    };
    settled(test, strict)
}

fn ordered(op: CompareOp, left: Sql, right: Sql) -> Sql {
    match op {
        CompareOp::Eq | CompareOp::Has => left.eq(right),
        CompareOp::Ne => left.ne(right),
        CompareOp::Gt => left.gt(right),
        CompareOp::Ge => left.gte(right),
        CompareOp::Lt => left.lt(right),
        CompareOp::Le => left.lte(right),
    }
}

/// All tests joined by one operator, as a balanced tree: SQLite refuses a deep one.
pub(super) fn balanced(mut tests: Vec<Sql>, op: BinOper) -> Sql {
    match tests.len() {
        0 => truth(op == BinOper::And),
        1 => tests.pop().unwrap_or_else(|| truth(false)),
        count => {
            let right = balanced(tests.split_off(count / 2), op);
            balanced(tests, op).binary(op, right)
        }
    }
}
