//! Compiled filters on a real store, against the plain evaluation of the same tree.
//!
//! SQLite always; PostgreSQL as well where `RIPOSTE_TEST_POSTGRES_URL` names a database of the C
//! locale to make tables in.

use sea_orm::sea_query::{Expr as Sql, Query};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection};

use super::query::{Direction, Options};
use super::sample::{Case, Dice, MOMENTS, TABLE, TEXTS, cases, selects};
use super::{compile, order, parse, shown};
use crate::clock::Timestamp;

const NOW: i64 = 1_709_164_800_000_000;

const TABLES: [&str; 4] = [
    "CREATE TABLE incident (id bigint, title text, owner text, owner_folded text, code text,
     severity smallint, created bigint, closed bigint, score bigint, flag boolean)",
    "CREATE TABLE case_tag (case_id bigint, kind text, word text)",
    "CREATE TABLE alert (id bigint, case_id bigint, severity smallint, title text)",
    "CREATE TABLE evidence (alert_id bigint, name text)",
];

async fn stores(name: &str) -> Vec<(DatabaseConnection, String)> {
    let mut stores = Vec::new();
    let mut options = ConnectOptions::new("sqlite::memory:");
    options.max_connections(1).sqlx_logging(false);
    stores.push((Database::connect(options).await.unwrap(), "sqlite".to_owned()));
    if let Ok(url) = std::env::var("RIPOSTE_TEST_POSTGRES_URL") {
        let mut options = ConnectOptions::new(url);
        options.max_connections(1).sqlx_logging(false);
        let store = Database::connect(options).await.unwrap();
        let schema = format!("odata_{name}");
        let make = format!(
            "DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema};
             SET search_path = {schema}"
        );
        store.execute_unprepared(&make).await.unwrap();
        stores.push((store, "postgres".to_owned()));
    }
    for (store, _) in &stores {
        for table in TABLES {
            store.execute_unprepared(table).await.unwrap();
        }
        fill(store).await;
    }
    stores
}

async fn insert(store: &DatabaseConnection, table: &'static str, row: Vec<(&'static str, Sql)>) {
    let (columns, values): (Vec<_>, Vec<_>) = row.into_iter().unzip();
    let statement =
        Query::insert().into_table(table).columns(columns).values(values).unwrap().to_owned();
    store.execute(&statement).await.unwrap();
}

async fn fill(store: &DatabaseConnection) {
    let mut alert_id = 0_i64;
    for case in cases() {
        let row = vec![
            ("id", Sql::val(case.id)),
            ("title", Sql::val(case.title)),
            ("owner", Sql::val(case.owner)),
            ("owner_folded", Sql::val(case.owner.map(str::to_lowercase))),
            ("code", Sql::val(case.code)),
            ("severity", Sql::val(case.severity)),
            ("created", Sql::val(case.created)),
            ("closed", Sql::val(case.closed)),
            ("score", Sql::val(case.score)),
            ("flag", Sql::val(case.flag)),
        ];
        insert(store, "incident", row).await;
        let tag = |kind: &'static str, word: Option<&'static str>| {
            vec![("case_id", Sql::val(case.id)), ("kind", Sql::val(kind)), ("word", Sql::val(word))]
        };
        for word in &case.tags {
            insert(store, "case_tag", tag("custom", *word)).await;
        }
        // Must never be seen through customTags.
        insert(store, "case_tag", tag("system", Some("a"))).await;
        for alert in &case.alerts {
            alert_id += 1;
            let row = vec![
                ("id", Sql::val(alert_id)),
                ("case_id", Sql::val(case.id)),
                ("severity", Sql::val(alert.severity)),
                ("title", Sql::val(alert.title)),
            ];
            insert(store, "alert", row).await;
            for name in &alert.evidence {
                let row = vec![("alert_id", Sql::val(alert_id)), ("name", Sql::val(*name))];
                insert(store, "evidence", row).await;
            }
        }
    }
}

async fn ids(store: &DatabaseConnection, condition: Sql) -> Result<Vec<i64>, String> {
    let statement = Query::select()
        .column(("incident", "id"))
        .from("incident")
        .and_where(condition)
        .order_by(("incident", "id"), sea_orm::sea_query::Order::Asc)
        .to_owned();
    let rows = store.query_all(&statement).await.map_err(|bad| bad.to_string())?;
    Ok(rows.iter().map(|row| row.try_get("", "id").unwrap()).collect())
}

/// Runs a filter on every store and compares with the plain evaluation; gives how many rows.
async fn check(stores: &[(DatabaseConnection, String)], rows: &[Case], filter: &str) -> usize {
    let tree = match parse::filter(filter) {
        Ok(tree) => tree,
        Err(bad) => panic!("{}: {bad}", shown(filter)),
    };
    assert_eq!(parse::filter(&tree.to_string()).as_ref(), Ok(&tree), "{filter}");
    let now = Timestamp::from_micros(NOW);
    let condition = match compile::filter(&tree, &TABLE, now) {
        Ok(condition) => condition,
        Err(bad) => panic!("{}: {bad}", shown(filter)),
    };
    let want: Vec<i64> =
        rows.iter().filter(|case| selects(&tree, case, now)).map(|case| case.id).collect();
    for (store, name) in stores {
        let got = ids(store, condition.clone()).await;
        assert_eq!(got.as_ref(), Ok(&want), "{name}: {}", shown(filter));
    }
    want.len()
}

#[tokio::test]
async fn each_operator_and_function_agrees_with_the_plain_evaluation() {
    let (stores, rows) = (stores("each").await, cases());
    let compared = [
        "displayName|'Alder Freight'",
        "assignedTo|'ÅNGSTRÖM'",
        "displayName|'Ångström'",
        "code|'Alder Freight'",
        "displayName|code",
        "assigned_to|title",
        "tolower(code)|tolower('ALDER FREIGHT')",
        "toupper(displayName)|'alder freight'",
        "trim(code)|'padded'",
        "concat(code,'!')|'a!'",
        "substring(displayName,1)|'LDER freight'",
        "substring(assignedTo,1,3)|'nGs'",
        "length(code)|13",
        "indexof(displayName,'freight')|6",
        "indexof(displayName,'freight')|-1",
        "indexof(code,'')|0",
        "indexof(assignedTo,'x')|1.5",
        "severity|'medium'",
        "severity|'Medium'",
        "severity|microsoft.graph.security.alertSeverity'high'",
        "severity|'unknownFutureValue'",
        "alerts/$count|1",
        "createdDateTime|2024-01-01",
        "createdDateTime|'2024-01-01T00:00:00Z'",
        "createdDateTime|2024-01-01T00:00:00.123456Z",
        "createdDateTime|2024-01-01T00:00:00.1234560Z",
        "createdDateTime|2024-01-01T00:00:00.1234565Z",
        "createdDateTime|1969-12-31T23:59:59.9999995Z",
        "closedDateTime|createdDateTime",
        "closedDateTime|now()",
        "closedDateTime add duration'P60D'|2024-03-01",
        "closedDateTime|now() sub duration'P59D'",
        "closedDateTime sub duration'P60D'|createdDateTime",
        "date(closedDateTime)|2024-01-01",
        "date(closedDateTime)|date(createdDateTime)",
        "year(createdDateTime)|2024",
        "year(closedDateTime)|2023.5",
        "year(closedDateTime)|month(createdDateTime)",
        "year(closedDateTime) mod 100|24",
        "month(closedDateTime)|2",
        "day(closedDateTime)|29",
        "hour(closedDateTime)|23",
        "minute(closedDateTime)|59",
        "second(closedDateTime)|59",
        "vm/score|80",
        "vm/score|0.5",
        "vm/score|-7.0",
        "vm/score|9223372036854775808",
        "vm/score|-9223372036854775809",
        "vm/score add 1|81",
        "vm/score mul 2 sub 1|3",
        "vm/score mul vm/score|4",
        "vm/score div 2|-3",
        "vm/score div -1|7",
        "vm/score mod 3|2",
        "-vm/score|7",
        "id|'7'",
        "id|7",
        "id|'seven'",
        "falsePositive|true",
        "contains(code,'a')|false",
        "displayName|null",
        "severity|null",
        "indexof(code,'a')|null",
        "date(closedDateTime)|null",
        "1|2",
        "null|'a'",
    ];
    let mut some = 0;
    for pair in compared {
        let (left, right) = pair.split_once('|').unwrap();
        for op in ["eq", "ne", "gt", "ge", "lt", "le"] {
            // Neither side has an order.
            if right.contains("seven") && !matches!(op, "eq" | "ne") {
                continue;
            }
            for filter in [
                format!("{left} {op} {right}"),
                format!("not ({left} {op} {right})"),
                format!("{right} {op} ({left})"),
                format!("(({left}) {op} {right}) eq false"),
            ] {
                some += usize::from(check(&stores, &rows, &filter).await > 0);
            }
        }
    }
    assert!(some > 700, "only {some} filters select anything");
    for filter in [
        "falsePositive",
        "not falsePositive",
        "not contains(code,'a')",
        "contains(displayName,'FREIGHT')",
        "contains(displayName,'%')",
        "contains(displayName,'_')",
        "contains(displayName,'!')",
        "contains(assignedTo,'\\')",
        "contains(displayName,'''')",
        "contains(code,'%')",
        "contains(code,'')",
        "not contains(code,'')",
        "contains(displayName,code)",
        "startswith(displayName,code)",
        "endswith(displayName,code)",
        "startswith(assignedTo,'å')",
        "endswith(assignedTo,'ÖM')",
        "startswith(code,'A')",
        "endswith(code,'t')",
        "endswith(code,'a very long text that is longer than any')",
        "substringof('freight',displayName)",
        "contains(severity,'i')",
        "not startswith(severity,'zz')",
        "severity has 'high'",
        "severity in ('high','LOW',null)",
        "severity in ('unknownFutureValue')",
        "not (severity in ('high'))",
        "displayName in ('alder FREIGHT','a')",
        "not (code in ('a',null))",
        "code in ()",
        "id in (1,2.0,2.5,'3','x')",
        "vm/score in (80,-7,1.5,99999999999999999999)",
        "closedDateTime in (2024-01-01,2024-01-01T00:00:00.1234565Z,1970-01-01T00:00:00Z)",
        "year(closedDateTime) in (2024,1970)",
        "falsePositive in (true,null)",
        "'A' in customTags",
        "customTags/any()",
        "not customTags/any()",
        "customTags/any(t:t eq 'ALDER freight')",
        "customTags/any(t:not contains(t,'a'))",
        "customTags/all(t:t ne 'a')",
        "customTags/all(t:t gt 'a' or contains(t,'50'))",
        "alerts/any(a:a/severity eq 'high' and a/title eq displayName)",
        "alerts/all(a:a/severity ge 'low')",
        "not alerts/all(a:not (a/severity lt 'high'))",
        "alerts/any(a:a/evidence/any(e:e/name eq code and a/severity ne null))",
        "alerts/any(a:a/evidence/$count gt 1)",
        "alerts/any(a:a/evidence/all(e:contains(e/name,'d')) eq true)",
        "alerts/$count gt customTags/$count",
        "$it/displayName eq 'a'",
    ] {
        check(&stores, &rows, filter).await;
    }
}

fn text_literal(dice: &mut Dice) -> String {
    format!("'{}'", dice.pick(&TEXTS).replace('\'', "''"))
}

fn moment_literal(dice: &mut Dice) -> String {
    let text = Timestamp::from_micros(dice.pick(&MOMENTS)).to_string();
    match dice.below(4) {
        0 => text[..10].to_owned(),
        1 => text.replace("0Z", "5Z"),
        2 => format!("{text} sub duration'PT1S'"),
        _ => text,
    }
}

/// A comparison or text test; `texts` and `words` are the properties in reach.
fn leaf(dice: &mut Dice, texts: &[String], words: &[String]) -> String {
    let op = dice.pick(&["eq", "ne", "gt", "ge", "lt", "le"]);
    let text = dice.pick(texts);
    let moment = dice.pick(&["createdDateTime", "closedDateTime"]);
    match dice.below(16) {
        0 => format!("{text} {op} {}", text_literal(dice)),
        1 => format!("{text} {op} null"),
        2 => format!("{} {op} tolower({text})", text_literal(dice)),
        3 => format!("contains({text},{})", text_literal(dice)),
        4 => format!("startswith({text},{})", text_literal(dice)),
        5 => format!("endswith(displayName,trim({}))", dice.pick(&["code", "displayName"])),
        6 => format!("{text} in ({},{},null)", text_literal(dice), text_literal(dice)),
        7 => format!("{moment} {op} {}", moment_literal(dice)),
        8 => format!("{} {op} {}", dice.pick(words), dice.pick(&["'low'", "'High'", "null"])),
        9 => format!("vm/score {op} {}", dice.pick(&["0", "1.5", "-7", "80", "null"])),
        10 => format!("vm/score add 2 mul vm/score {op} {}", dice.below(9)),
        11 => format!("indexof({text},{}) {op} {}", text_literal(dice), dice.below(4)),
        12 => format!("year({moment}) {op} 2024"),
        13 => format!("length({text}) {op} {}", dice.below(15)),
        14 => dice
            .pick(&["falsePositive", "falsePositive eq false", "closedDateTime lt now()"])
            .to_owned(),
        _ => format!("closedDateTime {op} createdDateTime"),
    }
}

fn condition(dice: &mut Dice, depth: usize, texts: &[String], words: &[String]) -> String {
    if depth == 0 {
        return leaf(dice, texts, words);
    }
    let inner = |dice: &mut Dice| condition(dice, depth - 1, texts, words);
    match dice.below(9) {
        0 | 1 => format!("{} and {}", inner(dice), inner(dice)),
        2 | 3 => format!("({} or {})", inner(dice), inner(dice)),
        4 | 5 => format!("not ({})", inner(dice)),
        6 => format!("({}) {} true", inner(dice), dice.pick(&["eq", "ne"])),
        7 => {
            let quantifier = dice.pick(&["any", "all"]);
            let variable = format!("t{depth}");
            let texts = [texts, std::slice::from_ref(&variable)].concat();
            format!(
                "customTags/{quantifier}({variable}:{})",
                condition(dice, depth - 1, &texts, words)
            )
        }
        _ => {
            let quantifier = dice.pick(&["any", "all"]);
            let variable = format!("a{depth}");
            let texts = [texts, &[format!("{variable}/title")]].concat();
            let words = [words, &[format!("{variable}/severity")]].concat();
            format!(
                "alerts/{quantifier}({variable}:{})",
                condition(dice, depth - 1, &texts, &words)
            )
        }
    }
}

#[tokio::test]
async fn six_hundred_made_up_filters_agree_with_the_plain_evaluation() {
    let (stores, rows) = (stores("many").await, cases());
    let mut dice = Dice(2026);
    let texts: Vec<String> = ["displayName", "assignedTo", "code"].map(str::to_owned).to_vec();
    let words = vec!["severity".to_owned()];
    let mut partial = 0;
    for round in 0..600 {
        let filter = condition(&mut dice, 1 + round % 4, &texts, &words);
        let count = check(&stores, &rows, &filter).await;
        partial += usize::from(count > 0 && count < rows.len());
    }
    assert!(partial > 300, "only {partial} filters select some rows and not all");
}

#[tokio::test]
async fn the_largest_filters_run() {
    let (stores, rows) = (stores("large").await, cases());
    let chain = |part: &str, by: &str, count: usize| vec![part; count].join(by);
    for filter in [
        chain("id eq 1", " or ", 660),
        chain("id ne 1", " and ", 660),
        chain("falsePositive", " or ", 900),
        format!("id in ({})", chain("1", ",", 1000)),
        format!("{}falsePositive{}", "not (".repeat(60), ")".repeat(60)),
        chain("month(createdDateTime) eq 1", " or ", 490),
        format!("contains(displayName,'{}')", chain("%", "", 16_000)),
    ] {
        check(&stores, &rows, &filter).await;
    }
}

#[tokio::test]
async fn nulls_sort_first_and_a_search_ignores_case() {
    for (store, name) in stores("sort").await {
        for (raw, least) in [("assignedTo,id desc", None), ("severity desc,id", Some(4))] {
            let options = Options::parse(&format!("$orderby={raw}")).unwrap();
            let mut statement = Query::select();
            statement
                .column(("incident", "severity"))
                .column(("incident", "owner"))
                .from("incident");
            for key in order::keys(&options.orderby, &TABLE).unwrap() {
                match key.nulls() {
                    Some(nulls) => {
                        statement.order_by_expr_with_nulls(key.expr.clone(), key.order(), nulls)
                    }
                    None => statement.order_by_expr(key.expr.clone(), key.order()),
                };
            }
            let row = store.query_one(&statement).await.unwrap().unwrap();
            let owner: Option<String> = row.try_get("", "owner").unwrap();
            let severity: Option<i32> = match name.as_str() {
                "sqlite" => row.try_get("", "severity").unwrap(),
                _ => row.try_get::<Option<i16>>("", "severity").unwrap().map(i32::from),
            };
            match least {
                None => assert_eq!(owner, None, "{name}"),
                some => assert_eq!(severity, some, "{name}"),
            }
        }
        let found = |raw: &str| {
            let search = Options::parse(&format!("$search={raw}")).unwrap().search.unwrap();
            ids(&store, compile::search(&search, &["title", "assignedTo"], &TABLE).unwrap())
        };
        let holds = |case: &Case, word: &str| {
            let has = |text: Option<&str>| text.is_some_and(|t| t.to_lowercase().contains(word));
            has(case.title) || has(case.owner)
        };
        let want = |test: &dyn Fn(&Case) -> bool| {
            Ok(cases().iter().filter(|case| test(case)).map(|case| case.id).collect::<Vec<_>>())
        };
        assert_eq!(found("FREIGHT").await, want(&|case| holds(case, "freight")));
        assert_eq!(found("NOT freight").await, want(&|case| !holds(case, "freight")));
        assert_eq!(
            found("%22alder freight%22 OR dental norrland").await,
            want(&|case| holds(case, "alder freight") || holds(case, "norrland dental"))
        );
    }
    let keys = |raw: &[(&str, Direction)]| {
        let orderby: Vec<_> = raw.iter().map(|(name, way)| ((*name).to_owned(), *way)).collect();
        order::keys(&orderby, &TABLE).map(|keys| keys.len()).map_err(|bad| bad.message)
    };
    let up = Direction::Ascending;
    assert_eq!(keys(&[("id", up), ("ID", Direction::Descending), ("severity", up)]), Ok(2));
    let unknown = "no property named 'secret' can be used here".to_owned();
    assert_eq!(keys(&[("secret", up)]), Err(unknown));
    let refused = "cannot order by collection 'alerts'".to_owned();
    assert_eq!(keys(&[("alerts", up)]), Err(refused));
}
