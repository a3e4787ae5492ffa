//! From a filter's tree to one SQL expression that means the same on SQLite and PostgreSQL.
//!
//! OData's null: `eq` and `ne` compare it as a value, the other comparisons are false, a function
//! of null is null, and `and`, `or` and `not` treat null as unknown. Words a client sent are
//! matched against the table's names and otherwise bound. What the store cannot do is refused by
//! name rather than done in memory.

mod comparison;
mod operand;

use sea_orm::sea_query::{Alias, BinOper, Expr as Sql, ExprTrait, Query, SelectStatement};

use self::comparison::compare;
use self::operand::{Listed, Operand};
use super::compare::{balanced, settled, truth};
use super::fields::{Element, Field, Fixed, Kind, Table, find};
use super::filter::{CompareOp, Expr, Function, Path, Quantifier};
use super::literal::Literal;
use super::search::Search;
use super::text::{Text, case_of};
use super::{BadQuery, shown};
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
        // Few rows have a given tag: they are found once, rather than each row asked for its tags.
        let at_once = match members.join {
            [(parent, child)] if matches!(members.table, "incident_tag" | "incident_facet") => {
                Some((*parent, *child))
            }
            _ => None,
        };
        let (mut rows, alias) = self.rows(&place, at_once.is_none())?;
        match at_once {
            Some((_, child)) => rows.column((Alias::new(alias.clone()), child)),
            None => rows.expr(Sql::Constant(1_i32.into())),
        };
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
        let exists = match at_once {
            Some((parent, _)) => Sql::col((place.alias.clone(), parent)).in_subquery(rows),
            None => Sql::exists(rows),
        };
        Ok(if quantifier == Quantifier::Any { exists } else { exists.not() })
    }

    /// The rows of a collection, when `joined` those that belong to the row of its parent, and
    /// their alias.
    fn rows(&self, place: &Place, joined: bool) -> Result<(SelectStatement, String), BadQuery> {
        let Kind::Collection(members) = place.field.kind else {
            return Err(unknown(place.field.name));
        };
        let alias = format!("member{}", self.scopes.len() + 1);
        let mut rows = Query::select();
        rows.from_as(members.table, Alias::new(alias.clone()));
        for (parent, child) in members.join.iter().filter(|_| joined) {
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

#[cfg(test)]
mod tests {
    use sea_orm::sea_query::{PostgresQueryBuilder, SqliteQueryBuilder};

    use super::super::sample::TABLE;
    use super::*;

    fn compiled(text: &str) -> Result<SelectStatement, BadQuery> {
        let tree = super::super::parse::filter(text)?;
        let condition = filter(&tree, &TABLE, Timestamp::default())?;
        Ok(Query::select().and_where(condition).to_owned())
    }

    #[test]
    fn the_sql_is_plain_and_has_one_spelling() {
        let check = |text: &str, want: &str| {
            let Ok(statement) = compiled(text) else { panic!("{text}") };
            let (sql, _) = statement.build(SqliteQueryBuilder);
            assert_eq!(sql.strip_prefix("SELECT  WHERE "), Some(want), "{text}");
            // The stores differ only in how a parameter is numbered.
            let (other, _) = statement.build(PostgresQueryBuilder);
            let unnumbered: Vec<&str> = other
                .split('$')
                .map(|part| part.trim_start_matches(|c: char| c.is_ascii_digit()))
                .collect();
            assert_eq!(unnumbered.join("?"), sql, "{text}");
        };
        check("severity eq 'high'", r#""incident"."severity" = ?"#);
        check("Severity in ('high','low')", r#""incident"."severity" IN (?, ?)"#);
        check("displayName eq 'x'", r#"LOWER("incident"."title") = LOWER(?)"#);
        check("assignedTo eq 'x'", r#""incident"."owner_folded" = ?"#);
        check("code eq 'x'", r#""incident"."code" = ?"#);
        check("code ne 'x'", r#"COALESCE("incident"."code" <> ?, TRUE)"#);
        check("not (code eq 'x')", r#"NOT COALESCE("incident"."code" = ?, FALSE)"#);
        check("code eq null", r#""incident"."code" IS NULL"#);
        check("code gt null", "FALSE");
        check("contains(assignedTo,'50%_!')", r#""incident"."owner_folded" LIKE ? ESCAPE '!'"#);
        check(
            "createdDateTime gt 2024-01-01 and falsePositive",
            r#""incident"."created" > ? AND "incident"."flag""#,
        );
        check(
            "customTags/any(t:t eq 'x')",
            concat!(
                r#"EXISTS(SELECT 1 FROM "case_tag" AS "member1" WHERE "member1"."case_id" = "#,
                r#""incident"."id" AND "member1"."kind" = 'custom' AND "#,
                r#"LOWER("member1"."word") = LOWER(?))"#
            ),
        );
    }

    #[test]
    fn what_a_client_sends_never_becomes_sql() {
        let shape = |value: &str| {
            let value = value.replace('\'', "''");
            let text = format!(
                "code eq '{value}' or contains(displayName,'{value}') or startswith(code,'{value}')
                 or concat(code,'{value}') gt '{value}' or id eq '9{value}' or code in ('{value}')"
            );
            let Ok(statement) = compiled(&text) else { panic!("{text}") };
            (statement.build(SqliteQueryBuilder).0, statement.build(PostgresQueryBuilder).0)
        };
        let plain = shape("x");
        for value in
            ["'", "''; DROP TABLE incident; --", "\\", "\\'", "$1", "?", "\"", "/*", "\u{ff07}"]
        {
            assert_eq!(shape(value), plain, "{value}");
        }
    }

    #[test]
    fn what_cannot_be_answered_is_refused_by_name() {
        let check = |text: &str, want: &str| match compiled(text) {
            Ok(_) => panic!("{text}"),
            Err(bad) => assert_eq!(bad.message, want, "{text}"),
        };
        check("secret eq 1", "no property named 'secret' can be used here");
        check("a/b/c eq 1", "no property named 'a/b/c' can be used here");
        check("alerts/any(a:a/secret eq 1)", "no property named 'a/secret' can be used here");
        check("alerts/any(a:a eq 1)", "no property named 'a' can be used here");
        check("customTags/any(t:t/x eq 1)", "no property named 't/x' can be used here");
        check("customTags/any(t:b eq 1)", "no property named 'b' can be used here");
        check("customTags eq 'x'", "'customTags' is a collection: use any or all");
        check("displayName/any(t:t eq 1)", "property 'displayName' is not a collection");
        check(
            "severity eq 'terrible'",
            "'severity eq 'terrible'' has a word that alertSeverity lacks: 'terrible'",
        );
        check(
            "severity in ('high','terrible')",
            "'severity in ('high','terrible')' has a word that alertSeverity lacks: 'terrible'",
        );
        check("severity eq 3", "'severity eq 3' compares values of different types");
        check("displayName", "'displayName' is not true or false");
        check("'x'", "''x'' is not a condition");
        check("1 add 1", "'1 add 1' is not a condition");
        check("null", "'null' is not a condition");
        check("tolower(code)", "'tolower(code)' is not a condition");
        check("code add 1 eq 2", "'code add 1' calculates with something other than numbers");
        check("-code eq 2", "'-code' negates something other than a number");
        check("vm/score div 0 eq 2", "'vm/score div 0' divides by zero");
        check("1 div 0 eq 2", "'1 div 0' is out of range");
        check("9223372036854775807 add 1 eq 2", "'9223372036854775807 add 1' is out of range");
        check("vm/score add 0.5 eq 2", "'vm/score add 0.5' calculates with a decimal");
        check("1 div vm/score eq 2", "'1 div vm/score' divides by something other than a constant");
        check("createdDateTime gt 5", "'createdDateTime gt 5' compares values of different types");
        check(
            "createdDateTime gt 'today'",
            "'createdDateTime gt 'today'' compares values of different types",
        );
        check("vm/score eq 'x'", "'vm/score eq 'x'' compares values of different types");
        check("falsePositive eq 'x'", "'falsePositive eq 'x'' compares values of different types");
        check("code has 'x'", "'code has 'x'' uses has on something other than an enumeration");
        check("1 eq 'x'", "'1 eq 'x'' compares constants of different types");
        check("year(code) eq 1", "'year(code)' needs a stored date and time");
        check("length(vm/score) eq 1", "'vm/score' is not text");
        check(
            "substring(code,-1) eq 'x'",
            "'substring(code,-1)' needs whole numbers from zero for its places",
        );
        check(
            "indexof(code,displayName) eq 1",
            "'indexof(code,displayName) eq 1' looks for the place of something not constant",
        );
        let nested = |depth: usize| {
            let open = (0..depth).map(|n| format!("customTags/any(t{n}:")).collect::<Vec<_>>();
            format!("{}falsePositive{}", open.concat(), ")".repeat(depth))
        };
        assert!(compiled(&nested(4)).is_ok());
        check(&nested(5), "more than 4 lambdas within one another");
    }
}
