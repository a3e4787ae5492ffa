//! Parts of a stored moment in whole-number SQL, because the stores' own date functions differ.
//!
//! A moment is shifted to count from 1 March of the year -400, a day before any the product can
//! hold: all intermediate numbers are then positive, where both stores divide alike.

use sea_orm::sea_query::{CaseStatement, Expr as Sql, ExprTrait, Value};

use super::filter::Function;
use crate::clock::Timestamp;

pub(super) const SECOND: i64 = 1_000_000;
pub(super) const DAY: i64 = 86_400 * SECOND;
const DAYS_TO_EPOCH: i64 = 719_468 + 146_097;

/// The part of a moment that a function asks for, as a whole number; the day number since the
/// epoch for `date`.
pub(super) fn part(function: Function, moment: Sql) -> Sql {
    let shifted = moment.add(whole(DAYS_TO_EPOCH * DAY));
    match function {
        Function::Hour => shifted.div(whole(3600 * SECOND)).modulo(whole(24)),
        Function::Minute => shifted.div(whole(60 * SECOND)).modulo(whole(60)),
        Function::Second => shifted.div(whole(SECOND)).modulo(whole(60)),
        Function::Year | Function::Month | Function::Day => {
            civil(function, &shifted.div(whole(DAY)))
        }
        _ => shifted.div(whole(DAY)).sub(whole(DAYS_TO_EPOCH)),
    }
}

/// Year, month or day of a day number, by years of 365.2425 days that begin in March.
fn civil(function: Function, days: &Sql) -> Sql {
    let era_day = days.clone().modulo(whole(146_097));
    let leap = |every: i64| era_day.clone().div(whole(every));
    let era_year =
        era_day.clone().sub(leap(1460)).add(leap(36_524)).sub(leap(146_096)).div(whole(365));
    let year = |scale: Sql| era_year.clone().binary(sea_orm::sea_query::BinOper::Div, scale);
    let begun = era_year.clone().mul(whole(365)).add(year(whole(4))).sub(year(whole(100)));
    let day_of_year = era_day.clone().sub(begun);
    let month_from_march = day_of_year.clone().mul(whole(5)).add(whole(2)).div(whole(153));
    match function {
        Function::Day => {
            let before = month_from_march.mul(whole(153)).add(whole(2)).div(whole(5));
            day_of_year.sub(before).add(whole(1))
        }
        Function::Month => month_from_march.add(whole(2)).modulo(whole(12)).add(whole(1)),
        _ => {
            let era = days.clone().div(whole(146_097));
            let new_year = CaseStatement::new()
                .case(month_from_march.gte(whole(10)), whole(1 - 400))
                .finally(whole(-400));
            era.mul(whole(400)).add(era_year.clone()).add(new_year)
        }
    }
}

/// The first microsecond of a year; `None` beyond the years 0 to 9999.
pub(super) fn year_start(year: i128) -> Option<i64> {
    let year = i64::try_from(year).ok()?;
    Timestamp::from_civil((year, 1, 1), (0, 0, 0), 0).map(Timestamp::micros)
}

/// A number of ours, written into the SQL: never one a client sent.
fn whole(number: i64) -> Sql {
    Sql::Constant(Value::BigInt(Some(number)))
}
