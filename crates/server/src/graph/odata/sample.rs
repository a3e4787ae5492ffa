//! A small invented resource for the tests: its table, its rows, and a plain evaluation of a
//! filter over them that shares nothing with the compiler but the tree.

use super::fields::{Collection, Element, Field, Fixed, Fold, Kind, Rank, Table, Words};
use super::filter::{ArithmeticOp, CompareOp, Expr, Function, Quantifier};
use super::literal::{Bound, Literal, whole_moment};
use crate::clock::Timestamp;

pub(super) static SEVERITY: Words = Words {
    name: "alertSeverity",
    words: &[("informational", 1), ("low", 2), ("medium", 3), ("high", 4)],
    sentinels: &["unknownFutureValue"],
};

static TAGS: Collection = Collection {
    table: "case_tag",
    join: &[("id", "case_id")],
    only: &[("kind", Fixed::Text("custom"))],
    element: Element::Value(Field::new("", "word", Kind::Text(Fold::Lower))),
};

static EVIDENCE: Collection = Collection {
    table: "evidence",
    join: &[("id", "alert_id")],
    only: &[],
    element: Element::Entity(&[Field::new("name", "name", Kind::Text(Fold::Exact))]),
};

static ALERTS: Collection = Collection {
    table: "alert",
    join: &[("id", "case_id")],
    only: &[],
    element: Element::Entity(&[
        Field::new("severity", "severity", Kind::Enum(&SEVERITY)),
        Field::new("title", "title", Kind::Text(Fold::Lower)),
        Field::collection("evidence", &EVIDENCE),
    ]),
};

pub(super) static TABLE: Table = Table {
    alias: "incident",
    fields: &[
        Field::required("id", "id", Kind::Id),
        Field::new("displayName", "title", Kind::Text(Fold::Lower)).or(&["title"]),
        Field::new("assignedTo", "owner", Kind::Text(Fold::Column("owner_folded")))
            .or(&["assigned_to"]),
        Field::new("code", "code", Kind::Text(Fold::Exact)),
        Field::new("severity", "severity", Kind::Enum(&SEVERITY)),
        Field::required("createdDateTime", "created", Kind::Instant),
        Field::new("closedDateTime", "closed", Kind::Instant),
        Field::new("vm/score", "score", Kind::Int),
        Field::new("falsePositive", "flag", Kind::Bool),
        Field::collection("customTags", &TAGS),
        Field::collection("alerts", &ALERTS),
    ],
};

#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) id: i64,
    pub(super) title: Option<&'static str>,
    pub(super) owner: Option<&'static str>,
    pub(super) code: Option<&'static str>,
    pub(super) severity: Option<i32>,
    pub(super) created: i64,
    pub(super) closed: Option<i64>,
    pub(super) score: Option<i64>,
    pub(super) flag: Option<bool>,
    pub(super) tags: Vec<Option<&'static str>>,
    pub(super) alerts: Vec<Alert>,
}

#[derive(Clone, Debug)]
pub(super) struct Alert {
    pub(super) severity: Option<i32>,
    pub(super) title: Option<&'static str>,
    pub(super) evidence: Vec<Option<&'static str>>,
}

pub(super) const TEXTS: [&str; 12] = [
    "",
    "Alder Freight",
    "alder freight",
    "50% off_now!",
    "50x offxnow!",
    "O'Brien \\ Co",
    "Ångström",
    "ångström",
    " padded ",
    "norrland dental",
    "a",
    "A'; DROP TABLE incident; --",
];

pub(super) const MOMENTS: [i64; 7] = [
    0,
    -1,
    1_704_067_200_000_000,
    1_704_067_200_123_456,
    1_709_164_800_000_001,
    1_735_689_599_999_999,
    -62_135_596_800_000_000,
];

/// Rows in which every property is null somewhere.
pub(super) fn cases() -> Vec<Case> {
    let mut dice = Dice(7);
    (1..=50)
        .map(|id| Case {
            id,
            title: dice.maybe(&TEXTS),
            owner: dice.maybe(&TEXTS),
            code: dice.maybe(&TEXTS),
            severity: dice.maybe(&[1, 2, 3, 4]),
            created: dice.pick(&MOMENTS),
            closed: dice.maybe(&MOMENTS),
            score: dice.maybe(&[i64::MIN, -7, -1, 0, 1, 2, 80, i64::MAX]),
            flag: dice.maybe(&[true, false]),
            tags: (0..dice.below(3)).map(|_| dice.maybe(&TEXTS)).collect(),
            alerts: (0..dice.below(3))
                .map(|_| Alert {
                    severity: dice.maybe(&[1, 2, 3, 4]),
                    title: dice.maybe(&TEXTS),
                    evidence: (0..dice.below(3)).map(|_| dice.maybe(&TEXTS)).collect(),
                })
                .collect(),
        })
        .collect()
}

/// Numbers that look random and are the same every time.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    pub(super) fn pick<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }

    fn maybe<T: Clone>(&mut self, all: &[T]) -> Option<T> {
        if self.below(4) == 0 { None } else { Some(self.pick(all)) }
    }
}

/// A value of the plain evaluation. Numbers count millionths, moments trillionths of a second.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Null,
    Bool(bool),
    Number(i128),
    Text(String, Fold),
    Word(i32),
    Moment(i128),
    Day(i128),
    Duration(i64),
}

/// What a range variable or the row itself stands for.
#[derive(Clone, Copy)]
enum Thing<'a> {
    Case(&'a Case),
    Tag(Option<&'a str>),
    Alert(&'a Alert),
    Evidence(Option<&'a str>),
}

type Scopes<'a> = Vec<(String, Thing<'a>)>;

/// Whether a filter selects a row.
pub(super) fn selects(filter: &Expr, case: &Case, now: Timestamp) -> bool {
    test(filter, &mut vec![(String::new(), Thing::Case(case))], now) == Some(true)
}

fn test(expr: &Expr, scopes: &mut Scopes<'_>, now: Timestamp) -> Option<bool> {
    match expr {
        Expr::And(parts) | Expr::Or(parts) => {
            // What settles the chain, wherever it stands; else one unknown makes it unknown.
            let decisive = matches!(expr, Expr::Or(_));
            let tests: Vec<_> = parts.iter().map(|part| test(part, scopes, now)).collect();
            if tests.contains(&Some(decisive)) {
                Some(decisive)
            } else if tests.contains(&None) {
                None
            } else {
                Some(!decisive)
            }
        }
        Expr::Not(inner) => test(inner, scopes, now).map(|value| !value),
        Expr::Compare { op, left, right } => {
            Some(compare(*op, &value(left, scopes, now), &value(right, scopes, now)))
        }
        Expr::In { item, list } => {
            let item = value(item, scopes, now);
            Some(list.iter().any(|one| compare(CompareOp::Eq, &item, &literal(one))))
        }
        Expr::Lambda { quantifier, collection, predicate } => {
            let members = members(&collection.0, scopes);
            let mut hits = members.into_iter().map(|member| match predicate {
                None => true,
                Some((variable, inner)) => {
                    scopes.push((variable.clone(), member));
                    let hit = test(inner, scopes, now) == Some(true);
                    scopes.pop();
                    hit
                }
            });
            Some(match quantifier {
                Quantifier::Any => hits.any(|hit| hit),
                Quantifier::All => hits.all(|hit| hit),
            })
        }
        _ => match value(expr, scopes, now) {
            Value::Bool(value) => Some(value),
            Value::Null => None,
            other => panic!("{other:?} is no condition"),
        },
    }
}

fn members<'a>(path: &[String], scopes: &Scopes<'a>) -> Vec<Thing<'a>> {
    let (things, name) = match path {
        [name] => (scopes.first(), name),
        [variable, name] => (scopes.iter().rev().find(|(known, _)| known == variable), name),
        other => panic!("{other:?}"),
    };
    match (things, name.as_str()) {
        (Some((_, Thing::Case(case))), "customTags") => {
            case.tags.iter().map(|tag| Thing::Tag(*tag)).collect()
        }
        (Some((_, Thing::Case(case))), "alerts") => case.alerts.iter().map(Thing::Alert).collect(),
        (Some((_, Thing::Alert(alert))), "evidence") => {
            alert.evidence.iter().map(|name| Thing::Evidence(*name)).collect()
        }
        _ => panic!("{path:?}"),
    }
}

fn property(path: &[String], scopes: &Scopes<'_>) -> Value {
    if let [collection @ .., last] = path
        && last == "$count"
    {
        return Value::Number(members(collection, scopes).len() as i128 * 1_000_000);
    }
    let text = |text: Option<&str>, fold| {
        text.map_or(Value::Null, |text| Value::Text(text.to_owned(), fold))
    };
    let word = |rank: Option<i32>| rank.map_or(Value::Null, Value::Word);
    let moment = |at: i64| Value::Moment(i128::from(at) * 1_000_000);
    let path = if path[0] == "$it" { &path[1..] } else { path };
    let (thing, name) = match scopes.iter().rev().find(|(known, _)| *known == path[0]) {
        Some((_, thing)) => (*thing, path[1..].join("/")),
        None => (scopes[0].1, path.join("/")),
    };
    match (thing, name.as_str()) {
        (Thing::Tag(tag), "") => text(tag, Fold::Lower),
        (Thing::Evidence(name), "name") => text(name, Fold::Exact),
        (Thing::Alert(alert), "severity") => word(alert.severity),
        (Thing::Alert(alert), "title") => text(alert.title, Fold::Lower),
        (Thing::Case(case), name) => match name {
            "id" => Value::Number(i128::from(case.id) * 1_000_000),
            "displayName" | "title" => text(case.title, Fold::Lower),
            "assignedTo" | "assigned_to" => text(case.owner, Fold::Column("")),
            "code" => text(case.code, Fold::Exact),
            "severity" => word(case.severity),
            "createdDateTime" => moment(case.created),
            "closedDateTime" => case.closed.map_or(Value::Null, moment),
            "vm/score" => {
                case.score.map_or(Value::Null, |n| Value::Number(i128::from(n) * 1_000_000))
            }
            "falsePositive" => case.flag.map_or(Value::Null, Value::Bool),
            _ => panic!("{path:?}"),
        },
        _ => panic!("{path:?}"),
    }
}

fn literal(literal: &Literal) -> Value {
    match literal {
        Literal::Null => Value::Null,
        Literal::Bool(value) => Value::Bool(*value),
        Literal::Number(number) => {
            let (whole, fraction) =
                number.as_str().split_once('.').unwrap_or((number.as_str(), ""));
            let digits = format!("{whole}{fraction:0<6}");
            Value::Number(digits.parse().unwrap())
        }
        Literal::Text(text) | Literal::Guid(text) | Literal::Typed { text, .. } => {
            Value::Text(text.clone(), Fold::Exact)
        }
        Literal::Date(at) => Value::Moment(i128::from(at.micros()) * 1_000_000),
        Literal::Instant(instant) => {
            // The last six of the twelve digits it is spelled with are below the microsecond.
            let Bound { floor, .. } = instant.bound();
            let spelled = instant.to_string();
            let below: i128 = spelled[spelled.len() - 7..spelled.len() - 1].parse().unwrap();
            Value::Moment(floor * 1_000_000 + below)
        }
        Literal::Duration(micros) => Value::Duration(*micros),
    }
}

fn value(expr: &Expr, scopes: &mut Scopes<'_>, now: Timestamp) -> Value {
    match expr {
        Expr::Literal(one) => literal(one),
        Expr::Path(path) => property(&path.0, scopes),
        Expr::Negate(inner) => match value(inner, scopes, now) {
            Value::Number(number) => Value::Number(-number),
            _ => Value::Null,
        },
        Expr::Arithmetic { op, left, right } => {
            match (op, value(left, scopes, now), value(right, scopes, now)) {
                (ArithmeticOp::Add, Value::Moment(at), Value::Duration(by)) => {
                    Value::Moment(at + i128::from(by) * 1_000_000)
                }
                (ArithmeticOp::Sub, Value::Moment(at), Value::Duration(by)) => {
                    Value::Moment(at - i128::from(by) * 1_000_000)
                }
                (op, Value::Number(left), Value::Number(right)) => {
                    let (left, right) = (left / 1_000_000, right / 1_000_000);
                    let result = match op {
                        ArithmeticOp::Add => left + right,
                        ArithmeticOp::Sub => left - right,
                        ArithmeticOp::Mul => left * right,
                        ArithmeticOp::Div => left / right,
                        ArithmeticOp::Mod => left % right,
                    };
                    Value::Number(result.saturating_mul(1_000_000))
                }
                _ => Value::Null,
            }
        }
        Expr::Call { function, args } => {
            let args: Vec<Value> = args.iter().map(|arg| value(arg, scopes, now)).collect();
            if args.contains(&Value::Null) { Value::Null } else { call(*function, &args, now) }
        }
        _ => test(expr, scopes, now).map_or(Value::Null, Value::Bool),
    }
}

/// Both texts as they are compared. `lower` on SQLite knows only ASCII.
fn folded(left: (&str, Fold), right: (&str, Fold)) -> (String, String) {
    let fold: fn(&str) -> String = match (left.1, right.1) {
        (Fold::Exact, Fold::Exact) => str::to_owned,
        (Fold::Column(_), Fold::Column(_) | Fold::Exact) | (Fold::Exact, Fold::Column(_)) => {
            str::to_lowercase
        }
        _ => str::to_ascii_lowercase,
    };
    (fold(left.0), fold(right.0))
}

fn call(function: Function, args: &[Value], now: Timestamp) -> Value {
    let number = |number: usize| Value::Number(number as i128 * 1_000_000);
    let whole = |arg: Option<&Value>| match arg {
        Some(Value::Number(number)) => usize::try_from(number / 1_000_000).unwrap(),
        _ => usize::MAX,
    };
    if let [Value::Moment(at)] = args {
        let text = Timestamp::from_micros(i64::try_from(at.div_euclid(1_000_000)).unwrap());
        let text = text.to_string();
        return match function {
            Function::Year => number(text[..4].parse().unwrap()),
            Function::Month => number(text[5..7].parse().unwrap()),
            Function::Day => number(text[8..10].parse().unwrap()),
            Function::Hour => number(text[11..13].parse().unwrap()),
            Function::Minute => number(text[14..16].parse().unwrap()),
            Function::Second => number(text[17..19].parse().unwrap()),
            Function::Date => Value::Day(at.div_euclid(86_400_000_000_000_000)),
            other => panic!("{other:?}"),
        };
    }
    if let [Value::Word(rank), part] = args {
        let known = SEVERITY.words.iter().find(|(_, known)| known == rank).unwrap();
        return call(function, &[Value::Text(known.0.to_owned(), Fold::Lower), part.clone()], now);
    }
    match (function, args) {
        (Function::Now, _) => Value::Moment(i128::from(now.micros()) * 1_000_000),
        (
            Function::Contains | Function::StartsWith | Function::EndsWith | Function::IndexOf,
            [Value::Text(left, a), Value::Text(right, b)],
        ) => {
            let (left, right) = folded((left, *a), (right, *b));
            match function {
                Function::Contains => Value::Bool(left.contains(&right)),
                Function::StartsWith => Value::Bool(left.starts_with(&right)),
                Function::EndsWith => Value::Bool(left.ends_with(&right)),
                _ => match left.find(&right) {
                    Some(at) => number(left[..at].chars().count()),
                    None => Value::Number(-1_000_000),
                },
            }
        }
        (Function::Concat, [Value::Text(left, a), Value::Text(right, b)]) => {
            let fold = if *a == Fold::Exact { *b } else { *a };
            Value::Text(format!("{left}{right}"), fold)
        }
        (Function::ToLower | Function::ToUpper, [Value::Word(rank)]) => Value::Word(*rank),
        (_, [Value::Text(text, fold), rest @ ..]) => match function {
            Function::ToLower => Value::Text(text.to_ascii_lowercase(), *fold),
            Function::ToUpper => Value::Text(text.to_ascii_uppercase(), *fold),
            Function::Trim => Value::Text(text.trim_matches(' ').to_owned(), *fold),
            Function::Length => number(text.chars().count()),
            Function::Substring => {
                let chars = text.chars().skip(whole(rest.first()));
                Value::Text(chars.take(whole(rest.get(1))).collect(), *fold)
            }
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn compare(op: CompareOp, left: &Value, right: &Value) -> bool {
    let order = match (left, right) {
        (Value::Null, Value::Null) => return op == CompareOp::Eq,
        (Value::Null, _) | (_, Value::Null) => return op == CompareOp::Ne,
        (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
        (Value::Number(left), Value::Number(right))
        | (Value::Moment(left), Value::Moment(right))
        | (Value::Day(left), Value::Day(right)) => left.cmp(right),
        (Value::Word(left), Value::Word(right)) => left.cmp(right),
        (Value::Word(left), Value::Text(word, _)) => match SEVERITY.rank(word) {
            Rank::Known(rank) => left.cmp(&rank),
            _ => return op == CompareOp::Ne,
        },
        (Value::Moment(_), Value::Text(text, _)) => {
            return compare(op, left, &literal(&whole_moment(text).unwrap()));
        }
        (Value::Day(day), Value::Moment(at)) => (day * 86_400_000_000_000_000).cmp(at),
        (Value::Text(left, a), Value::Text(right, b)) => {
            let (left, right) = folded((left, *a), (right, *b));
            left.cmp(&right)
        }
        (Value::Number(number), Value::Text(text, _)) => match text.parse::<i128>() {
            Ok(other) => number.cmp(&(other * 1_000_000)),
            Err(_) => return op == CompareOp::Ne,
        },
        (Value::Text(..) | Value::Moment(_), _) => {
            return compare(op.flipped(), right, left);
        }
        other => panic!("{other:?}"),
    };
    match op {
        CompareOp::Eq | CompareOp::Has => order.is_eq(),
        CompareOp::Ne => order.is_ne(),
        CompareOp::Gt => order.is_gt(),
        CompareOp::Ge => order.is_ge(),
        CompareOp::Lt => order.is_lt(),
        CompareOp::Le => order.is_le(),
    }
}
