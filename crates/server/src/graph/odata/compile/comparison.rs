//! Which comparison two operands make, by what each of them is.

use sea_orm::sea_query::{Expr as Sql, ExprTrait, Func};

use super::super::calendar;
use super::super::compare::{both, bound, constant, nothing, null, settled, step, truth};
use super::super::fields::Rank;
use super::super::filter::{CompareOp, Function};
use super::super::literal::Bound;
use super::super::shown;
use super::super::text::{Text, case_of};
use super::operand::{Operand, constants};

/// Compares two operands, or says why that cannot be.
pub(super) fn compare(
    op: CompareOp,
    left: Operand,
    right: Operand,
    strict: bool,
) -> Result<Sql, String> {
    if op == CompareOp::Has && !matches!(left, Operand::Word(..)) {
        return Err("uses has on something other than an enumeration".to_owned());
    }
    match (left.is_constant(), right.is_constant()) {
        (true, true) => return constants(op, &left, &right),
        (true, false) => return compare(op.flipped(), right, left, strict),
        _ => {}
    }
    match (left, right) {
        (Operand::Index(whole, part), Operand::Null) => Ok(null(op, Text::contains(&whole, &part))),
        (Operand::Index(whole, part), value) => {
            let place = value.number().ok_or("compares a place with something else")?;
            index(op, &whole, &part, place, strict)
        }
        (Operand::Text(text), Operand::Null) => Ok(null(op, text.sql(case_of(&[&text])))),
        (Operand::Text(text), value) => {
            let other = value.text().ok_or("compares text with something else")?;
            let case = case_of(&[&text, &other]);
            let (left, right) = (text.sql(case), other.sql(case));
            Ok(match other.constant() {
                Some(_) => constant(op, left, right, strict),
                None => both(op, left, right, strict),
            })
        }
        (Operand::Word(column, words), Operand::Text(text)) => {
            let word = text.constant().ok_or("compares an enumeration with other text")?;
            match words.rank(word) {
                Rank::Known(rank) => Ok(bound(op, column, Bound::whole(rank.into()), strict)),
                Rank::Sentinel => Ok(nothing(op)),
                Rank::Unknown => {
                    Err(format!("has a word that {} lacks: '{}'", words.name, shown(word)))
                }
            }
        }
        (Operand::Test(test), Operand::Bool(value)) => {
            Ok(constant(op, test, Sql::val(value), strict))
        }
        (Operand::Id(column), value @ Operand::Text(_)) => match value.number() {
            Some(number) => Ok(bound(op, column, number, strict)),
            None => Ok(nothing(op)),
        },
        (Operand::Id(column) | Operand::Whole { sql: column, .. }, value)
            if value.number().is_some() =>
        {
            let number = value.number().ok_or("compares a number with something else")?;
            Ok(bound(op, column, number, strict))
        }
        (Operand::Instant { column, offset }, value) if value.moment().is_some() => {
            let moment = value.moment().ok_or("compares a moment with something else")?;
            let moment = Bound { floor: moment.floor - i128::from(offset), ..moment };
            Ok(bound(op, column, moment, strict))
        }
        (Operand::Stepped { function, column, offset }, value) if value.is_constant() => {
            stepped(op, function, &column, offset, &value, strict)
        }
        (left, Operand::Null) => match left.column() {
            Some(column) => Ok(null(op, column)),
            None => Err("cannot be compared with null".to_owned()),
        },
        (left, right) => {
            if left.family() != right.family() || right.is_constant() {
                return Err("compares values of different types".to_owned());
            }
            match (left.column(), right.column()) {
                (Some(left), Some(right)) => Ok(both(op, left, right, strict)),
                _ => Err("cannot be compared".to_owned()),
            }
        }
    }
}

/// `year(x)` or `date(x)` against a constant, as a range of `x` where that is possible.
fn stepped(
    op: CompareOp,
    function: Function,
    column: &Sql,
    offset: i64,
    value: &Operand,
    strict: bool,
) -> Result<Sql, String> {
    let whole = Operand::Stepped { function, column: column.clone(), offset };
    let whole = whole.column().ok_or("cannot be compared")?;
    if matches!(value, Operand::Null) {
        return Ok(null(op, whole));
    }
    let day = i128::from(calendar::DAY);
    let (value, ends) = if function == Function::Date {
        let moment = value.moment().ok_or("compares a date with something else")?;
        let floor = moment.floor.div_euclid(day);
        let exact = moment.exact && moment.floor.rem_euclid(day) == 0;
        let micros = |days: i128| i64::try_from(days * day).ok();
        (Bound { floor, exact }, (micros(floor), micros(floor + 1)))
    } else {
        let year = value.number().ok_or("compares a year with something else")?;
        let (floor, next) = (year.floor, year.floor.saturating_add(1));
        (year, (calendar::year_start(floor), calendar::year_start(next)))
    };
    Ok(match ends {
        (Some(start), Some(end)) if value.exact => {
            let (start, end) = (start.saturating_sub(offset), end.saturating_sub(offset));
            step(op, column, start, end, strict)
        }
        _ => bound(op, whole, value, strict),
    })
}

/// `indexof` against a number. The stores have no function for it in common, but whether it is
/// at most so much is whether the text that far contains the part.
fn index(
    op: CompareOp,
    whole: &Text,
    part: &Text,
    place: Bound,
    strict: bool,
) -> Result<Sql, String> {
    let length = part.constant().ok_or("looks for the place of something not constant")?;
    let length = i32::try_from(length.chars().count()).unwrap_or(i32::MAX);
    let found = Text::contains(whole, part);
    let at_most = |limit: i128| match i32::try_from(limit.clamp(-2, i32::MAX.into())) {
        Ok(limit @ 0..) => {
            let head = whole.clone().part(0, Some(limit.saturating_add(length)));
            found.clone().not().or(Text::contains(&head, part))
        }
        Ok(-1) => found.clone().not(),
        // False, but null for null.
        _ => found.clone().and(found.clone().not()),
    };
    let below = at_most(if place.exact { place.floor - 1 } else { place.floor });
    let at = at_most(place.floor);
    let equal = |below: Sql, at: Sql| if place.exact { at.and(below.not()) } else { truth(false) };
    Ok(match op {
        CompareOp::Eq | CompareOp::Has => settled(equal(below, at), strict),
        CompareOp::Ne => Func::coalesce([equal(below, at).not(), truth(true)]).into(),
        CompareOp::Lt => settled(below, strict),
        CompareOp::Le => settled(at, strict),
        CompareOp::Gt => settled(at.not(), strict),
        CompareOp::Ge => settled(below.not(), strict),
    })
}
