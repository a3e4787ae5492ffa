//! Values within a filter: what each is, and its SQL once it is known what it meets.

use sea_orm::sea_query::{Expr as Sql, ExprTrait, Func};

use super::super::BadQuery;
use super::super::calendar;
use super::super::compare::truth;
use super::super::fields::{Kind, Rank, Words};
use super::super::filter::{ArithmeticOp, CompareOp, Expr, Function};
use super::super::literal::{Bound, Literal, Number, whole_moment};
use super::super::text::Text;
use super::{Compiler, cannot};
use crate::clock::Timestamp;

/// A value of one type, constant or not.
#[derive(Clone, Debug)]
pub(super) enum Operand {
    Null,
    Bool(bool),
    Number(Number),
    Moment(Bound),
    Duration(i64),
    Text(Text),
    /// True, false or null.
    Test(Sql),
    /// A whole number; `plain` when it is stored as one, not an exact decimal.
    Whole {
        sql: Sql,
        plain: bool,
    },
    Id(Sql),
    /// The rank of a word.
    Word(Sql, &'static Words),
    /// A stored moment and the microseconds to add to it.
    Instant {
        column: Sql,
        offset: i64,
    },
    /// The year or date of such a moment.
    Stepped {
        function: Function,
        column: Sql,
        offset: i64,
    },
    /// Where the second text begins in the first.
    Index(Text, Text),
}

/// What looking a value up in a list means for one member of it.
pub(super) enum Listed {
    /// The member as it is bound.
    Value(Sql),
    /// No value equals this member.
    Never,
    /// It needs a comparison of its own, which also says what is wrong with it.
    Apart,
}

impl Operand {
    pub(super) fn of_literal(literal: &Literal) -> Self {
        match literal {
            Literal::Null => Self::Null,
            Literal::Bool(value) => Self::Bool(*value),
            Literal::Number(number) => Self::Number(number.clone()),
            Literal::Text(text) | Literal::Guid(text) | Literal::Typed { text, .. } => {
                Self::Text(Text::Literal(text.clone()))
            }
            Literal::Date(at) => Self::Moment(Bound::whole(at.micros())),
            Literal::Instant(instant) => Self::Moment(instant.bound()),
            Literal::Duration(micros) => Self::Duration(*micros),
        }
    }

    pub(super) fn is_constant(&self) -> bool {
        match self {
            Self::Text(text) => text.constant().is_some(),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Moment(_) | Self::Duration(_) => {
                true
            }
            _ => false,
        }
    }

    /// A constant as a number; clients quote them at times.
    pub(super) fn number(&self) -> Option<Bound> {
        match self {
            Self::Number(number) => Some(number.bound()),
            Self::Text(text) => Number::parse(text.constant()?).map(|number| number.bound()),
            _ => None,
        }
    }

    /// A constant as a moment; clients quote those as well.
    pub(super) fn moment(&self) -> Option<Bound> {
        match self {
            Self::Moment(bound) => Some(*bound),
            Self::Text(text) => match whole_moment(text.constant()?)? {
                Literal::Date(at) => Some(Bound::whole(at.micros())),
                Literal::Instant(instant) => Some(instant.bound()),
                _ => None,
            },
            _ => None,
        }
    }

    /// Text, or a number as it was written.
    pub(super) fn text(self) -> Option<Text> {
        match self {
            Self::Text(text) => Some(text),
            Self::Number(number) => Some(Text::Literal(number.as_str().to_owned())),
            _ => None,
        }
    }

    /// What can be compared with what.
    pub(super) fn family(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) | Self::Test(_) => "test",
            Self::Number(_)
            | Self::Whole { .. }
            | Self::Id(_)
            | Self::Stepped { function: Function::Year, .. } => "number",
            Self::Stepped { .. } => "date",
            Self::Moment(_) | Self::Instant { .. } => "moment",
            Self::Duration(_) => "duration",
            Self::Text(_) => "text",
            Self::Word(_, words) => words.name,
            Self::Index(..) => "place",
        }
    }

    /// The value in SQL, unless it is a constant, text or a place.
    pub(super) fn column(self) -> Option<Sql> {
        match self {
            Self::Test(sql) | Self::Whole { sql, .. } | Self::Id(sql) | Self::Word(sql, _) => {
                Some(sql)
            }
            Self::Instant { column, offset } => Some(shifted(column, offset)),
            Self::Stepped { function, column, offset } => {
                Some(calendar::part(function, shifted(column, offset)))
            }
            _ => None,
        }
    }

    /// A constant as a member of a list in which this is looked up.
    pub(super) fn listed(&self, value: &Self) -> Listed {
        let bound = match self {
            Self::Whole { .. } | Self::Id(_) => value.number(),
            Self::Instant { offset, .. } if *offset == 0 => value.moment(),
            Self::Word(_, words) => {
                let Self::Text(text) = value else { return Listed::Apart };
                match words.rank(text.constant().unwrap_or_default()) {
                    Rank::Known(rank) => Some(Bound::whole(rank.into())),
                    Rank::Sentinel => return Listed::Never,
                    Rank::Unknown => None,
                }
            }
            _ => None,
        };
        match bound {
            None => Listed::Apart,
            Some(bound) => bound.integer().map_or(Listed::Never, |n| Listed::Value(Sql::val(n))),
        }
    }
}

fn shifted(column: Sql, offset: i64) -> Sql {
    if offset == 0 { column } else { column.add(Sql::val(offset)) }
}

/// Compares two constants.
pub(super) fn constants(op: CompareOp, left: &Operand, right: &Operand) -> Result<Sql, String> {
    let order = match (left, right) {
        (Operand::Null, Operand::Null) => return Ok(truth(op == CompareOp::Eq)),
        (Operand::Null, _) | (_, Operand::Null) => return Ok(truth(op == CompareOp::Ne)),
        (Operand::Bool(left), Operand::Bool(right)) => left.cmp(right),
        (Operand::Number(left), Operand::Number(right)) => {
            whole_order(left.bound(), right.bound())?
        }
        (Operand::Moment(left), Operand::Moment(right)) => whole_order(*left, *right)?,
        (Operand::Text(left), Operand::Text(right)) => left.constant().cmp(&right.constant()),
        _ => return Err("compares constants of different types".to_owned()),
    };
    Ok(truth(match op {
        CompareOp::Eq | CompareOp::Has => order.is_eq(),
        CompareOp::Ne => order.is_ne(),
        CompareOp::Gt => order.is_gt(),
        CompareOp::Ge => order.is_ge(),
        CompareOp::Lt => order.is_lt(),
        CompareOp::Le => order.is_le(),
    }))
}

fn whole_order(left: Bound, right: Bound) -> Result<std::cmp::Ordering, String> {
    if left.floor == right.floor && !(left.exact && right.exact) {
        return Err("compares two constants".to_owned());
    }
    Ok(left.floor.cmp(&right.floor))
}

impl Compiler<'_> {
    pub(super) fn operand(&mut self, expr: &Expr) -> Result<Operand, BadQuery> {
        match expr {
            Expr::Literal(literal) => Ok(Operand::of_literal(literal)),
            Expr::Path(path) => self.property(expr, &path.0),
            Expr::Negate(inner) => self.negated(expr, inner),
            Expr::Arithmetic { op, left, right } => {
                let (left, right) = (self.operand(left)?, self.operand(right)?);
                arithmetic(*op, left, right).map_err(|reason| cannot(expr, &reason))
            }
            Expr::Call {
                function: Function::Contains | Function::StartsWith | Function::EndsWith,
                ..
            } => Ok(Operand::Test(self.predicate(expr, true)?)),
            Expr::Call { function, args } => self.call(expr, *function, args),
            _ => Ok(Operand::Test(self.predicate(expr, true)?)),
        }
    }

    fn property(&mut self, expr: &Expr, path: &[String]) -> Result<Operand, BadQuery> {
        if let Some((last, collection)) = path.split_last()
            && last == "$count"
        {
            let place = self.resolve(collection)?;
            let (mut rows, _) = self.rows(&place, true)?;
            rows.expr(Func::count(Sql::Constant(1_i32.into())));
            let sql = Sql::SubQuery(None, Box::new(rows.into()));
            return Ok(Operand::Whole { sql, plain: true });
        }
        let place = self.resolve(path)?;
        let column = place.column();
        Ok(match place.field.kind {
            Kind::Text(fold) => {
                Operand::Text(Text::Column { alias: place.alias, column: place.field.column, fold })
            }
            Kind::Enum(words) => Operand::Word(column, words),
            Kind::Instant => Operand::Instant { column, offset: 0 },
            Kind::Int => Operand::Whole { sql: column, plain: true },
            Kind::Id => Operand::Id(column),
            Kind::Bool => Operand::Test(column),
            Kind::Collection(_) => return Err(cannot(expr, "is a collection: use any or all")),
        })
    }

    fn negated(&mut self, expr: &Expr, inner: &Expr) -> Result<Operand, BadQuery> {
        match self.operand(inner)? {
            Operand::Null => Ok(Operand::Null),
            Operand::Number(number) => Ok(Operand::Number(number.negated())),
            Operand::Duration(micros) => Ok(Operand::Duration(-micros)),
            Operand::Whole { sql, .. } => {
                let sql = Sql::Constant(0_i64.into()).sub(decimal(sql));
                Ok(Operand::Whole { sql, plain: false })
            }
            _ => Err(cannot(expr, "negates something other than a number")),
        }
    }

    fn call(
        &mut self,
        expr: &Expr,
        function: Function,
        args: &[Expr],
    ) -> Result<Operand, BadQuery> {
        match (function, args) {
            (Function::Now, _) => Ok(Operand::Moment(Bound::whole(Timestamp::micros(self.now)))),
            (Function::Concat, parts) => {
                let parts = parts.iter().map(|part| self.text(part)).collect::<Result<_, _>>()?;
                Ok(Operand::Text(Text::concat(parts)))
            }
            (Function::IndexOf, [whole, part]) => {
                Ok(Operand::Index(self.text(whole)?, self.text(part)?))
            }
            (Function::Substring, [of, numbers @ ..]) => {
                let of = self.text(of)?;
                let mut numbers = numbers.iter().map(small_number);
                let start = numbers.next().flatten();
                let length = numbers.next();
                match (start, length) {
                    (Some(start), None) => Ok(Operand::Text(of.part(start, None))),
                    (Some(start), Some(Some(length))) => {
                        Ok(Operand::Text(of.part(start, Some(length))))
                    }
                    _ => Err(cannot(expr, "needs whole numbers from zero for its places")),
                }
            }
            (Function::ToLower | Function::ToUpper | Function::Trim | Function::Length, [of]) => {
                let text = match self.operand(of)? {
                    Operand::Text(text) => text,
                    // Its words are the same in any case.
                    word @ Operand::Word(..) if function != Function::Length => return Ok(word),
                    _ => return Err(cannot(of, "is not text")),
                };
                Ok(match function {
                    Function::ToLower => Operand::Text(text.lower()),
                    Function::ToUpper => Operand::Text(text.upper()),
                    Function::Trim => Operand::Text(text.trim()),
                    _ => Operand::Whole { sql: text.length(), plain: true },
                })
            }
            (_, [of]) => match self.operand(of)? {
                Operand::Instant { column, offset }
                    if matches!(function, Function::Year | Function::Date) =>
                {
                    Ok(Operand::Stepped { function, column, offset })
                }
                Operand::Instant { column, offset } => {
                    let sql = calendar::part(function, shifted(column, offset));
                    Ok(Operand::Whole { sql, plain: true })
                }
                Operand::Moment(moment) if function == Function::Date => {
                    let day = i128::from(calendar::DAY);
                    let floor = moment.floor.div_euclid(day) * day;
                    Ok(Operand::Moment(Bound { floor, exact: true }))
                }
                _ => Err(cannot(expr, "needs a stored date and time")),
            },
            _ => Err(cannot(expr, "cannot be compared")),
        }
    }
}

/// A literal whole number from zero that both stores take for a place in a text.
fn small_number(expr: &Expr) -> Option<i32> {
    match expr {
        Expr::Literal(Literal::Number(number)) => {
            number.bound().integer().and_then(|n| i32::try_from(n).ok()).filter(|n| *n >= 0)
        }
        _ => None,
    }
}

/// An exact decimal, whose sums cannot overflow on PostgreSQL as a 64-bit number's would.
fn decimal(sql: Sql) -> Sql {
    sql.cast_as("numeric")
}

fn arithmetic(op: ArithmeticOp, left: Operand, right: Operand) -> Result<Operand, String> {
    use ArithmeticOp::{Add, Div, Mod, Mul, Sub};
    let overflow = || "is out of range".to_owned();
    match (op, left, right) {
        (_, Operand::Null, _) | (_, _, Operand::Null) => Ok(Operand::Null),
        (_, Operand::Number(left), Operand::Number(right)) => {
            let whole = |n: &Number| n.bound().integer().ok_or("calculates with a decimal");
            let (left, right) = (whole(&left)?, whole(&right)?);
            let result = match op {
                Add => left.checked_add(right),
                Sub => left.checked_sub(right),
                Mul => left.checked_mul(right),
                Div => left.checked_div(right),
                Mod => left.checked_rem(right),
            };
            let result = result.and_then(|n| Number::parse(&n.to_string()));
            result.map(Operand::Number).ok_or_else(overflow)
        }
        (Add, Operand::Duration(micros), Operand::Instant { column, offset })
        | (Add, Operand::Instant { column, offset }, Operand::Duration(micros)) => {
            let offset = offset.checked_add(micros).ok_or_else(overflow)?;
            Ok(Operand::Instant { column, offset })
        }
        (Sub, Operand::Instant { column, offset }, Operand::Duration(micros)) => {
            let offset = offset.checked_sub(micros).ok_or_else(overflow)?;
            Ok(Operand::Instant { column, offset })
        }
        (Add, Operand::Duration(micros), Operand::Moment(moment))
        | (Add, Operand::Moment(moment), Operand::Duration(micros)) => {
            Ok(Operand::Moment(Bound { floor: moment.floor + i128::from(micros), ..moment }))
        }
        (Sub, Operand::Moment(moment), Operand::Duration(micros)) => {
            Ok(Operand::Moment(Bound { floor: moment.floor - i128::from(micros), ..moment }))
        }
        (Add, Operand::Duration(left), Operand::Duration(right)) => {
            left.checked_add(right).map(Operand::Duration).ok_or_else(overflow)
        }
        (Sub, Operand::Duration(left), Operand::Duration(right)) => {
            left.checked_sub(right).map(Operand::Duration).ok_or_else(overflow)
        }
        (Div | Mod, left, Operand::Number(divisor)) => {
            let Operand::Whole { sql, plain: true } = stored(left) else {
                return Err("divides something other than a stored number".to_owned());
            };
            match (op, divisor.bound().integer()) {
                (_, None) => Err("divides by a decimal".to_owned()),
                (_, Some(0)) => Err("divides by zero".to_owned()),
                // The least 64-bit number has no positive twin.
                (Div, Some(-1)) => {
                    let sql = Sql::Constant(0_i64.into()).sub(decimal(sql));
                    Ok(Operand::Whole { sql, plain: false })
                }
                (Div, Some(divisor)) => {
                    Ok(Operand::Whole { sql: sql.div(Sql::val(divisor)), plain: true })
                }
                (_, Some(divisor)) => {
                    Ok(Operand::Whole { sql: sql.modulo(Sql::val(divisor)), plain: true })
                }
            }
        }
        (Div | Mod, ..) => Err("divides by something other than a constant".to_owned()),
        (_, left, right) => {
            let (left, right) = (summand(left)?, summand(right)?);
            let sql = match op {
                Add => left.add(right),
                Sub => left.sub(right),
                _ => left.mul(right),
            };
            Ok(Operand::Whole { sql, plain: false })
        }
    }
}

/// The year of a moment as a number; anything else as it is.
fn stored(operand: Operand) -> Operand {
    match operand {
        Operand::Stepped { function: Function::Year, column, offset } => {
            let sql = calendar::part(Function::Year, shifted(column, offset));
            Operand::Whole { sql, plain: true }
        }
        other => other,
    }
}

fn summand(operand: Operand) -> Result<Sql, String> {
    match stored(operand) {
        Operand::Whole { sql, plain: true } => Ok(decimal(sql)),
        Operand::Whole { sql, plain: false } => Ok(sql),
        Operand::Number(number) => match number.bound().integer() {
            Some(whole) => Ok(decimal(Sql::val(whole))),
            None => Err("calculates with a decimal".to_owned()),
        },
        _ => Err("calculates with something other than numbers".to_owned()),
    }
}
