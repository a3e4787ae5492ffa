//! Text expressions, and the SQL for the text functions.
//!
//! Whether case counts is settled per comparison, not per column, so an expression stays a tree
//! until both sides are known. LIKE ignores ASCII case on SQLite and not on PostgreSQL: it is used
//! only on folded text, and its escape mark is `!`, which neither store treats specially.

use sea_orm::sea_query::{BinOper, Expr as Sql, ExprTrait, Func, Value};

use super::fields::Fold;

const ESCAPE: char = '!';

/// A text expression.
#[derive(Clone, Debug)]
pub(super) enum Text {
    Column { alias: String, column: &'static str, fold: Fold },
    Literal(String),
    Lower(Box<Text>),
    Upper(Box<Text>),
    Trim(Box<Text>),
    Concat(Vec<Text>),
    Part { of: Box<Text>, start: i32, length: Option<i32> },
}

/// How the case of letters is treated in one comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    Exact,
    /// Everything goes through the store's `lower`.
    Lower,
    /// Every column has a folded twin; constants are folded here.
    Folded,
}

/// Folded as soon as one column is compared without regard to case.
pub(super) fn case_of(texts: &[&Text]) -> Case {
    let mut folds = Vec::new();
    for text in texts {
        text.folds(&mut folds);
    }
    if folds.iter().all(|fold| *fold == Fold::Exact) {
        Case::Exact
    } else if folds.iter().all(|fold| matches!(fold, Fold::Column(_))) {
        Case::Folded
    } else {
        Case::Lower
    }
}

impl Text {
    /// The text itself when it holds no column.
    pub(super) fn constant(&self) -> Option<&str> {
        if let Self::Literal(text) = self { Some(text) } else { None }
    }

    /// In lower case, at once when it is a constant; likewise for the next four. Beyond ASCII the
    /// store's own `lower` must do it, as it does for the column on the other side.
    pub(super) fn lower(self) -> Self {
        match self {
            Self::Literal(text) if text.is_ascii() => Self::Literal(text.to_ascii_lowercase()),
            other => Self::Lower(Box::new(other)),
        }
    }

    pub(super) fn upper(self) -> Self {
        match self {
            Self::Literal(text) if text.is_ascii() => Self::Literal(text.to_ascii_uppercase()),
            other => Self::Upper(Box::new(other)),
        }
    }

    pub(super) fn trim(self) -> Self {
        match self {
            // Blanks only, as SQL's trim.
            Self::Literal(text) => Self::Literal(text.trim_matches(' ').to_owned()),
            other => Self::Trim(Box::new(other)),
        }
    }

    pub(super) fn concat(parts: Vec<Self>) -> Self {
        match parts.iter().map(Self::constant).collect::<Option<String>>() {
            Some(text) => Self::Literal(text),
            None => Self::Concat(parts),
        }
    }

    pub(super) fn part(self, start: i32, length: Option<i32>) -> Self {
        let count = |number: i32| usize::try_from(number).unwrap_or_default();
        match self {
            Self::Literal(text) => {
                let rest = text.chars().skip(count(start));
                Self::Literal(rest.take(length.map_or(usize::MAX, count)).collect())
            }
            other => Self::Part { of: Box::new(other), start, length },
        }
    }

    fn folds(&self, into: &mut Vec<Fold>) {
        match self {
            Self::Column { fold, .. } => into.push(*fold),
            Self::Literal(_) => {}
            Self::Lower(inner) | Self::Upper(inner) | Self::Trim(inner) => inner.folds(into),
            Self::Part { of, .. } => of.folds(into),
            Self::Concat(parts) => parts.iter().for_each(|part| part.folds(into)),
        }
    }

    /// The expression in SQL; null when a column in it is.
    pub(super) fn sql(&self, case: Case) -> Sql {
        match self {
            Self::Column { alias, column, fold } => {
                let raw = Sql::col((alias.clone(), *column));
                match (case, fold) {
                    (Case::Exact, _) => raw,
                    (Case::Folded, Fold::Column(folded)) => Sql::col((alias.clone(), *folded)),
                    _ => Func::lower(raw).into(),
                }
            }
            Self::Literal(text) => match case {
                Case::Exact => Sql::val(text.clone()),
                Case::Lower => Func::lower(Sql::val(text.clone())).into(),
                Case::Folded => Sql::val(text.to_lowercase()),
            },
            Self::Lower(inner) if case == Case::Exact => Func::lower(inner.sql(case)).into(),
            Self::Upper(inner) if case == Case::Exact => Func::upper(inner.sql(case)).into(),
            Self::Lower(inner) | Self::Upper(inner) => inner.sql(case),
            Self::Trim(inner) => Func::cust("trim").arg(inner.sql(case)).into(),
            Self::Concat(parts) => {
                let parts = parts.iter().map(|part| part.sql(case));
                parts.reduce(joined).unwrap_or_else(|| Sql::val(""))
            }
            Self::Part { of, start, length } => {
                let start = Sql::val(start.saturating_add(1));
                let call = Func::cust("substr").arg(of.sql(case)).arg(start);
                match length {
                    Some(length) => call.arg(Sql::val(*length)).into(),
                    None => call.into(),
                }
            }
        }
    }

    pub(super) fn length(&self) -> Sql {
        length(self.sql(Case::Exact))
    }

    /// `whole` has `part` within it; null when either is. Likewise for the next two.
    pub(super) fn contains(whole: &Self, part: &Self) -> Sql {
        let case = case_of(&[whole, part]);
        match part.constant() {
            Some(text) if case != Case::Exact => like(whole, case, &["%", text, "%"]),
            // What is left after taking every occurrence out differs if there was one. SQLite's
            // instr and PostgreSQL's strpos have no name in common.
            _ => {
                let (whole, part) = (whole.sql(case), part.sql(case));
                let without = Func::cust("replace").arg(whole.clone()).arg(part.clone());
                let removed = Sql::from(without.arg(Sql::val(""))).ne(whole.clone());
                removed.or(part.eq(Sql::val("")).and(whole.clone().eq(whole)))
            }
        }
    }

    pub(super) fn starts_with(whole: &Self, part: &Self) -> Sql {
        let case = case_of(&[whole, part]);
        match part.constant() {
            Some(text) if case != Case::Exact => like(whole, case, &["", text, "%"]),
            _ => {
                let (whole, part) = (whole.sql(case), part.sql(case));
                let head = Func::cust("substr").arg(whole).arg(Sql::val(1_i32));
                Sql::from(head.arg(length(part.clone()))).eq(part)
            }
        }
    }

    pub(super) fn ends_with(whole: &Self, part: &Self) -> Sql {
        let case = case_of(&[whole, part]);
        match part.constant() {
            Some(text) if case != Case::Exact => like(whole, case, &["%", text, ""]),
            _ => {
                let (whole, part) = (whole.sql(case), part.sql(case));
                // A place before the first would count from the end on SQLite.
                let fits = length(whole.clone()).gte(length(part.clone()));
                let start = length(whole.clone()).sub(length(part.clone())).add(1_i32);
                let tail = Func::cust("substr").arg(whole).arg(start);
                fits.and(Sql::from(tail).eq(part))
            }
        }
    }
}

fn length(text: Sql) -> Sql {
    Func::cust("length").arg(text).into()
}

fn joined(left: Sql, right: Sql) -> Sql {
    left.binary(BinOper::Custom("||"), right)
}

/// Folded text against before, a literal, and after.
fn like(whole: &Text, case: Case, pattern: &[&str; 3]) -> Sql {
    let [before, literal, after] = pattern;
    let mut spelled = (*before).to_owned();
    for character in literal.chars() {
        if matches!(character, '%' | '_' | ESCAPE) {
            spelled.push(ESCAPE);
        }
        spelled.push(character);
    }
    spelled.push_str(after);
    let pattern = Text::Literal(spelled).sql(case);
    let escape = Sql::Constant(Value::from(ESCAPE.to_string()));
    whole.sql(case).binary(BinOper::Like, pattern.binary(BinOper::Escape, escape))
}
