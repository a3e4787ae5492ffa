//! From a filter's tree to one SQL expression that means the same on SQLite and PostgreSQL.
//!
//! OData's null: `eq` and `ne` compare it as a value, the other comparisons are false, a function
//! of null is null, and `and`, `or` and `not` treat null as unknown. Words a client sent are
//! matched against the table's names and otherwise bound. What the store cannot do is refused by
//! name rather than done in memory.

mod operand;

use sea_orm::sea_query::{Alias, BinOper, Expr as Sql, ExprTrait, Func, Query, SelectStatement};

use self::operand::{Listed, Operand, constants};
use super::compare::{balanced, both, bound, constant, nothing, null, settled, step, truth};
use super::fields::{Element, Field, Fixed, Kind, Rank, Table, find};
use super::filter::{CompareOp, Expr, Function, Path, Quantifier};
use super::literal::{Bound, Literal};
use super::search::Search;
use super::text::{Text, case_of};
use super::{BadQuery, calendar, shown};
use crate::clock::Timestamp;

/// Each level is a subquery per row of the one above.
const MAX_LAMBDAS: usize = 4;

/// Compiles a filter into a condition on the table's rows; `now` answers `now()`.
///
/// # Errors
/// Names the property that is unknown, the word its enumeration lacks, or the part that has no
/// counterpart in SQL.
pub fn filter(filter: &Expr, table: &Table, now: Timestamp) -> Result<Sql, BadQuery> {
    Compiler { table, now, scopes: Vec::new() }.predicate(filter, false)
}

/// Compiles a search: each term must occur in one of the named text properties, in any case that
/// the property's folding allows.
///
/// # Errors
/// Names a property that is unknown or not text.
pub fn search(search: &Search, properties: &[&str], table: &Table) -> Result<Sql, BadQuery> {
    let many = |parts: &[Search], op| {
        let parts = parts.iter().map(|part| self::search(part, properties, table));
        Ok(balanced(parts.collect::<Result<_, BadQuery>>()?, op))
    };
    match search {
        Search::And(parts) => many(parts, BinOper::And),
        Search::Or(parts) => many(parts, BinOper::Or),
        Search::Not(part) => Ok(self::search(part, properties, table)?.not()),
        Search::Term(term) => {
            let mut tests = Vec::new();
            for name in properties {
                let field = find(table.fields, name).ok_or_else(|| unknown(name))?;
                let Kind::Text(fold) = field.kind else {
                    return Err(BadQuery::new(format!("property '{name}' is not text")));
                };
                let alias = table.alias.to_owned();
                let whole = Text::Column { alias, column: field.column, fold };
                tests.push(settled(Text::contains(&whole, &Text::Literal(term.clone())), true));
            }
            Ok(balanced(tests, BinOper::Or))
        }
    }
}

pub(super) fn unknown(name: &str) -> BadQuery {
    BadQuery::new(format!("no property named '{}' can be used here", shown(name)))
}

/// A range variable and what it stands for.
struct Scope {
    variable: String,
    alias: String,
    element: &'static Element,
}

/// A property and the alias of the table it is in.
struct Place {
    alias: String,
    field: &'static Field,
}

impl Place {
    fn column(&self) -> Sql {
        Sql::col((self.alias.clone(), self.field.column))
    }
}

struct Compiler<'a> {
    table: &'a Table,
    now: Timestamp,
    scopes: Vec<Scope>,
}

impl Compiler<'_> {
    /// A condition; where a comparison in it is negated it must be strict, never null.
    fn predicate(&mut self, expr: &Expr, strict: bool) -> Result<Sql, BadQuery> {
        match expr {
            Expr::Or(parts) => Ok(balanced(self.predicates(parts, strict)?, BinOper::Or)),
            Expr::And(parts) => Ok(balanced(self.predicates(parts, strict)?, BinOper::And)),
            Expr::Not(inner) => Ok(self.predicate(inner, true)?.not()),
            Expr::Compare { op, left, right } => {
                let (left, right) = (self.operand(left)?, self.operand(right)?);
                compare(*op, left, right, strict).map_err(|reason| cannot(expr, &reason))
            }
            Expr::In { item, list } => self.member(expr, item, list, strict),
            Expr::Lambda { quantifier, collection, predicate } => {
                self.lambda(*quantifier, collection, predicate.as_ref())
            }
            Expr::Call { function, args } => match (function, args.as_slice()) {
                (Function::Contains | Function::StartsWith | Function::EndsWith, [whole, part]) => {
                    self.text_test(*function, whole, part)
                }
                _ => Err(cannot(expr, "is not a condition")),
            },
            Expr::Literal(Literal::Bool(value)) => Ok(truth(*value)),
            Expr::Path(_) => match self.operand(expr)? {
                Operand::Test(test) => Ok(test),
                _ => Err(cannot(expr, "is not true or false")),
            },
            _ => Err(cannot(expr, "is not a condition")),
        }
    }

    fn predicates(&mut self, parts: &[Expr], strict: bool) -> Result<Vec<Sql>, BadQuery> {
        parts.iter().map(|part| self.predicate(part, strict)).collect()
    }

    /// `contains` and its kin; on an enumeration, whether the word is among those that fit.
    fn text_test(
        &mut self,
        function: Function,
        whole: &Expr,
        part: &Expr,
    ) -> Result<Sql, BadQuery> {
        let part = self.text(part)?;
        if let Operand::Word(column, words) = self.operand(whole)?
            && let Some(text) = part.constant()
        {
            let text = text.to_ascii_lowercase();
            let fits = |word: &str| match function {
                Function::StartsWith => word.starts_with(&text),
                Function::EndsWith => word.ends_with(&text),
                _ => word.contains(&text),
            };
            let ranks = words.words.iter().filter(|(word, _)| fits(&word.to_ascii_lowercase()));
            let ranks: Vec<i64> = ranks.map(|(_, rank)| i64::from(*rank)).collect();
            // Unequal to itself: false for a word, null for null, as the function would be.
            return Ok(if ranks.is_empty() {
                column.clone().ne(column)
            } else {
                column.is_in(ranks)
            });
        }
        let whole = self.text(whole)?;
        Ok(match function {
            Function::StartsWith => Text::starts_with(&whole, &part),
            Function::EndsWith => Text::ends_with(&whole, &part),
            _ => Text::contains(&whole, &part),
        })
    }

    /// `item in (list)`.
    fn member(
        &mut self,
        whole: &Expr,
        item: &Expr,
        list: &[Literal],
        strict: bool,
    ) -> Result<Sql, BadQuery> {
        let item = self.operand(item)?;
        let mut values = Vec::new();
        let mut tests = Vec::new();
        for literal in list {
            let value = Operand::of_literal(literal);
            let listed = match (&item, &value) {
                (Operand::Text(text), Operand::Text(value)) if text.constant().is_none() => {
                    Listed::Value(value.sql(case_of(&[text])))
                }
                _ => item.listed(&value),
            };
            match listed {
                Listed::Value(value) => values.push(value),
                Listed::Never => {}
                Listed::Apart => tests.push(
                    compare(CompareOp::Eq, item.clone(), value, strict)
                        .map_err(|reason| cannot(whole, &reason))?,
                ),
            }
        }
        if !values.is_empty() {
            let item = match item {
                Operand::Text(text) => text.sql(case_of(&[&text])),
                other => other.column().ok_or_else(|| cannot(whole, "has no list form"))?,
            };
            tests.push(settled(item.is_in(values), strict));
        }
        Ok(balanced(tests, BinOper::Or))
    }

    fn lambda(
        &mut self,
        quantifier: Quantifier,
        collection: &Path,
        predicate: Option<&(String, Box<Expr>)>,
    ) -> Result<Sql, BadQuery> {
        let place = self.resolve(&collection.0)?;
        let Kind::Collection(members) = place.field.kind else {
            return Err(BadQuery::new(format!(
                "property '{}' is not a collection",
                shown(&collection.to_string())
            )));
        };
        if self.scopes.len() == MAX_LAMBDAS {
            return Err(BadQuery::new(format!(
                "more than {MAX_LAMBDAS} lambdas within one another"
            )));
        }
        let (mut rows, alias) = self.rows(&place)?;
        rows.expr(Sql::Constant(1_i32.into()));
        if let Some((variable, inner)) = predicate {
            let variable = variable.clone();
            self.scopes.push(Scope { variable, alias, element: &members.element });
            let test = self.predicate(inner, false);
            self.scopes.pop();
            let test = test?;
            rows.and_where(match quantifier {
                Quantifier::Any => test,
                // A member for which it is unknown does not meet it.
                Quantifier::All => settled(test, true).not(),
            });
        }
        let exists = Sql::exists(rows);
        Ok(if quantifier == Quantifier::Any { exists } else { exists.not() })
    }

    /// The rows of a collection that belong to the row of its parent, and their alias.
    fn rows(&self, place: &Place) -> Result<(SelectStatement, String), BadQuery> {
        let Kind::Collection(members) = place.field.kind else {
            return Err(unknown(place.field.name));
        };
        let alias = format!("member{}", self.scopes.len() + 1);
        let mut rows = Query::select();
        rows.from_as(members.table, Alias::new(alias.clone()));
        for (parent, child) in members.join {
            let child = Sql::col((alias.clone(), *child));
            rows.and_where(child.eq(Sql::col((place.alias.clone(), *parent))));
        }
        for (column, value) in members.only {
            let value = match value {
                Fixed::Int(number) => Sql::Constant((*number).into()),
                Fixed::Text(text) => Sql::Constant((*text).into()),
                Fixed::Bool(value) => truth(*value),
            };
            rows.and_where(Sql::col((alias.clone(), *column)).eq(value));
        }
        Ok((rows, alias))
    }

    fn resolve(&self, path: &[String]) -> Result<Place, BadQuery> {
        let whole = || path.join("/");
        let (first, rest) = path.split_first().ok_or_else(|| unknown(""))?;
        if let Some(scope) = self.scopes.iter().rev().find(|scope| scope.variable == *first) {
            let field = match scope.element {
                Element::Value(field) if rest.is_empty() => Some(field),
                Element::Entity(fields) => find(fields, &rest.join("/")),
                Element::Value(_) => None,
            };
            let field = field.ok_or_else(|| unknown(&whole()))?;
            return Ok(Place { alias: scope.alias.clone(), field });
        }
        let path = if first == "$it" { rest } else { path };
        let field = find(self.table.fields, &path.join("/")).ok_or_else(|| unknown(&whole()))?;
        Ok(Place { alias: self.table.alias.to_owned(), field })
    }

    fn text(&mut self, expr: &Expr) -> Result<Text, BadQuery> {
        match self.operand(expr)? {
            Operand::Text(text) => Ok(text),
            _ => Err(cannot(expr, "is not text")),
        }
    }
}

fn cannot(expr: &Expr, reason: &str) -> BadQuery {
    BadQuery::new(format!("'{}' {reason}", shown(&expr.to_string())))
}

/// Compares two operands, or says why that cannot be.
fn compare(op: CompareOp, left: Operand, right: Operand, strict: bool) -> Result<Sql, String> {
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
            stepped(op, function, column, offset, &value, strict)
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
    column: Sql,
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
            step(op, &column, start, end, strict)
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
