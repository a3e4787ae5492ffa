//! Credits for questions to the experts (ASK-2): unlimited, or by the calendar.
//!
//! By the calendar a customer is granted ten at the start of each quarter, and ten when it begins; what is
//! left rolls over, at most twenty can be used in one quarter, and all of them expire with the year or
//! the subscription. Quarters are those of UTC. The ledger is worked out from when it began and what was
//! spent, so it cannot disagree with itself. A question costs one, in the change that asks it.

use sea_orm::QueryResult;
use serde_json::json;

use crate::app::App;
use crate::clock::Timestamp;
use crate::db::{Transaction, column};
use crate::error::{Error, Result};
use crate::event::{Change, Fact};
use crate::id::TenantNo;
use crate::permission::Permission;
use crate::tenant::caller::{self, Caller};
use crate::tx::Tx;

/// Granted at the start of a quarter.
pub const GRANTED: i64 = 10;
/// Of which so many can be used in one quarter, with those that rolled over.
pub const USABLE: i64 = 20;

/// From when until when questions cost credits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Since when.
    pub since: Timestamp,
    /// When the subscription ends.
    pub until: Option<Timestamp>,
}

/// A question that cost a credit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spent {
    /// When.
    pub at: Timestamp,
    /// The conversation.
    pub thread: String,
    /// Who asked.
    pub by: String,
}

/// What happened to the balance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// A quarter, or the subscription, began.
    Granted,
    /// A question was asked.
    Spent,
    /// The year, or the subscription, ended.
    Expired,
}

impl What {
    /// The word shown.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Spent => "spent",
            Self::Expired => "expired",
        }
    }
}

/// A line of the ledger.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub what: What,
    /// By how many the balance changed.
    pub credits: i64,
    /// The balance afterwards.
    pub balance: i64,
    /// The question.
    pub spent: Option<Spent>,
}

/// The ledger and what it comes to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ledger {
    /// The oldest first.
    pub entries: Vec<Entry>,
    /// What there is.
    pub balance: i64,
    /// What of it can be used this quarter.
    pub usable: i64,
    /// When the next ones are granted.
    pub next: Option<Timestamp>,
    /// When what there is expires.
    pub expires: Timestamp,
}

/// The year and the quarter, 0 to 3, of a moment.
fn quarter(at: Timestamp) -> (i64, i64) {
    let text = at.to_string();
    let part = |range: std::ops::Range<usize>| text.get(range).and_then(|it| it.parse().ok());
    let (year, month): (i64, i64) = (part(0..4).unwrap_or(0), part(5..7).unwrap_or(1));
    (year, (month - 1) / 3)
}

/// The first moment of a quarter.
fn start((year, quarter): (i64, i64)) -> Timestamp {
    let (year, quarter) = (year + quarter.div_euclid(4), quarter.rem_euclid(4));
    let month = u32::try_from(quarter * 3 + 1).unwrap_or(1);
    let first = Timestamp::from_civil((year, month, 1), (0, 0, 0), 0);
    first.unwrap_or(Timestamp::from_micros(i64::MAX))
}

/// The ledger at `now`; what was spent comes in order.
#[must_use]
pub fn ledger(rule: Rule, spent: &[Spent], now: Timestamp) -> Ledger {
    let end = rule.until.unwrap_or(Timestamp::from_micros(i64::MAX));
    let (mut entries, mut balance) = (Vec::new(), 0_i64);
    let mut spent = spent.iter().filter(|it| it.at >= rule.since && it.at <= now).peekable();
    let (mut year, mut number) = quarter(rule.since);
    let mut begins = rule.since;
    let this = quarter(now);
    let mut used = 0;
    while begins <= now {
        if number == 0 && balance > 0 {
            let credits = -balance;
            balance = 0;
            entries.push(Entry { at: begins, what: What::Expired, credits, balance, spent: None });
        }
        if begins < end {
            balance += GRANTED;
            let credits = GRANTED;
            entries.push(Entry { at: begins, what: What::Granted, credits, balance, spent: None });
        }
        let ends = start((year, number + 1));
        while let Some(it) = spent.next_if(|it| it.at < ends.min(end)) {
            balance -= 1;
            used += i64::from((year, number) == this);
            entries.push(Entry {
                at: it.at,
                what: What::Spent,
                credits: -1,
                balance,
                spent: Some(it.clone()),
            });
        }
        if end < ends && end <= now && balance > 0 {
            let credits = -balance;
            balance = 0;
            entries.push(Entry { at: end, what: What::Expired, credits, balance, spent: None });
        }
        (year, number) = if number == 3 { (year + 1, 0) } else { (year, number + 1) };
        begins = ends;
    }
    let next = start((this.0, this.1 + 1)).max(rule.since);
    Ledger {
        entries,
        balance,
        usable: balance.min(USABLE - used).max(0),
        next: (next < end).then_some(next),
        expires: start((this.0, 4)).min(end),
    }
}

fn rule_of(row: &QueryResult) -> Result<Rule> {
    Ok(Rule {
        since: Timestamp::from_micros(column(row, 0)?),
        until: column::<Option<i64>>(row, 1)?.map(Timestamp::from_micros),
    })
}

/// The rule of a customer; none where questions are unlimited.
async fn rule(tx: &Transaction, tenant: TenantNo) -> Result<Option<Rule>> {
    let sql = "select since_at, until_at from credit_rule where tenant_no = $1";
    let row = tx.query_one(sql, vec![tenant.0.into()]).await?;
    row.as_ref().map(rule_of).transpose()
}

async fn spent(tx: &Transaction, tenant: TenantNo, rule: Rule) -> Result<Vec<Spent>> {
    let rows = tx
        .query(
            "select at, thread_id, spent_by from credit where tenant_no = $1 and at >= $2 \
             order by at, thread_id",
            vec![tenant.0.into(), rule.since.micros().into()],
        )
        .await?;
    let one = |row: &QueryResult| {
        let at = Timestamp::from_micros(column(row, 0)?);
        Ok(Spent { at, thread: column(row, 1)?, by: column(row, 2)? })
    };
    rows.iter().map(one).collect()
}

/// Takes a credit for a question, where they are counted.
///
/// # Errors
/// `Conflict` when none can be used.
pub(super) async fn spend(tx: &Tx, thread: &str) -> Result<()> {
    let (tenant, now) = (tx.tenant(), tx.now());
    let Some(rule) = rule(tx, tenant).await? else { return Ok(()) };
    let ledger = ledger(rule, &spent(tx, tenant, rule).await?, now);
    if ledger.usable < 1 {
        let next = ledger.next.map(|at| at.to_string().chars().take(10).collect::<String>());
        let when = next.map_or_else(String::new, |day| format!("; the next ones come on {day}"));
        let why = if ledger.balance > 0 {
            format!("{USABLE} credits were used this quarter, which is the most")
        } else {
            "no credits are left".to_owned()
        };
        return Err(Error::Conflict(format!("{why}{when}")));
    }
    tx.execute(
        "insert into credit (thread_id, tenant_no, at, spent_by) values ($1, $2, $3, $4)",
        vec![thread.into(), tenant.0.into(), now.micros().into(), tx.actor().name.clone().into()],
    )
    .await?;
    Ok(())
}

/// Whose credits somebody means: a customer its own, the provider those of one customer.
async fn whose(app: &App, caller: &Caller, tenant: Option<&str>) -> Result<TenantNo> {
    match tenant {
        None => caller.own_tenant(),
        Some(id) => caller::tenant_served(app, caller, id).await,
    }
}

/// A customer's rule and ledger; none where questions are unlimited.
pub async fn credits(
    app: &App,
    caller: &Caller,
    tenant: Option<&str>,
) -> Result<Option<(Rule, Ledger)>> {
    caller.require(&[Permission::IncidentRead, Permission::TenantRead])?;
    let tenant = whose(app, caller, tenant).await?;
    let tx = app.db.of(tenant).snapshot().await?;
    let Some(rule) = rule(&tx, tenant).await? else { return Ok(None) };
    let spent = spent(&tx, tenant, rule).await?;
    Ok(Some((rule, ledger(rule, &spent, app.clock.now()))))
}

/// Lets a customer's questions cost credits from now on, until its subscription ends; or not, where
/// `counted` is none.
pub async fn choose(
    app: &App,
    caller: &Caller,
    tenant: Option<&str>,
    counted: Option<Option<Timestamp>>,
) -> Result<()> {
    caller.require(&[Permission::TenantReadWrite])?;
    let tenant = whose(app, caller, tenant).await?;
    let mut tx = Tx::begin(app, tenant, caller.actor()).await?;
    let before = rule(&tx, tenant).await?;
    let after =
        counted.map(|until| Rule { since: before.map_or(tx.now(), |before| before.since), until });
    if before == after {
        return Ok(());
    }
    if after.is_some_and(|rule| rule.until.is_some_and(|until| until <= rule.since)) {
        let why = "untilDateTime: the subscription ends before it began".to_owned();
        return Err(Error::Invalid(why));
    }
    if let Some(rule) = after {
        tx.execute(
            "insert into credit_rule (tenant_no, since_at, until_at) values ($1, $2, $3) \
             on conflict (tenant_no) do update set until_at = excluded.until_at",
            vec![
                tenant.0.into(),
                rule.since.micros().into(),
                rule.until.map(Timestamp::micros).into(),
            ],
        )
        .await?;
    } else {
        let sql = "delete from credit_rule where tenant_no = $1";
        tx.execute(sql, vec![tenant.0.into()]).await?;
    }
    let word = |rule: Option<Rule>| match rule {
        None => json!("unlimited"),
        Some(Rule { until: None, .. }) => json!("quarterly"),
        Some(Rule { until: Some(until), .. }) => json!(format!("quarterly until {until}")),
    };
    let changes = vec![Change { field: "credits", before: word(before), after: word(after) }];
    tx.record(Fact::CreditRuleChanged { changes });
    tx.commit().await
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(year: i64, month: u32, day: u32) -> Timestamp {
        Timestamp::from_civil((year, month, day), (12, 0, 0), 0).expect("a day")
    }

    fn asked(at: Timestamp, count: usize) -> Vec<Spent> {
        let one = |n| Spent { at: at.plus_seconds(n), thread: format!("q{n}"), by: "Ida".into() };
        (0..count as i64).map(one).collect()
    }

    const fn rule(since: Timestamp) -> Rule {
        Rule { since, until: None }
    }

    #[test]
    fn ten_a_quarter_roll_over_and_expire_with_the_year() {
        let it = rule(day(2026, 5, 10));
        let at = |now| {
            let ledger = ledger(it, &[], now);
            (ledger.balance, ledger.usable)
        };
        assert_eq!(at(day(2026, 5, 10)), (10, 10));
        assert_eq!(at(day(2026, 6, 30)), (10, 10));
        assert_eq!(at(day(2026, 7, 1)), (20, 20));
        assert_eq!(at(day(2026, 12, 31)), (30, 20), "twenty in one quarter at most");
        assert_eq!(at(day(2027, 1, 1)), (10, 10));
        let ledger = ledger(it, &[], day(2027, 1, 1));
        let what: Vec<_> = ledger.entries.iter().map(|it| (it.what, it.credits)).collect();
        let granted = (What::Granted, 10);
        assert_eq!(what, [granted, granted, granted, (What::Expired, -30), granted]);
        assert_eq!(ledger.expires, start((2028, 0)));
        assert_eq!(ledger.next, Some(start((2027, 1))));
    }

    #[test]
    fn twenty_are_the_most_of_a_quarter_whatever_is_left() {
        let it = rule(day(2026, 1, 1));
        let spent = asked(day(2026, 11, 1), 20);
        let now = ledger(it, &spent, day(2026, 11, 2));
        assert_eq!((now.balance, now.usable), (20, 0));
        let few = ledger(it, &spent[..3], day(2026, 11, 2));
        assert_eq!((few.balance, few.usable), (37, 17));
    }

    #[test]
    fn nothing_outlives_the_subscription() {
        let it = Rule { since: day(2026, 1, 1), until: Some(day(2026, 5, 1)) };
        let now = ledger(it, &asked(day(2026, 2, 1), 4), day(2026, 6, 1));
        assert_eq!((now.balance, now.usable, now.next), (0, 0, None));
        assert_eq!(now.entries.last().map(|it| (it.what, it.credits)), Some((What::Expired, -16)));
        assert_eq!(ledger(it, &[], day(2026, 4, 30)).expires, day(2026, 5, 1));
    }

    proptest! {
        #[test]
        fn a_ledger_adds_up(
            since in 0_i64..1_000,
            asks in proptest::collection::vec(0_i64..1_200, 0..60),
            now in 0_i64..1_200,
        ) {
            let first = day(2026, 1, 1);
            let at = |days: i64| first.plus_seconds(days * 86_400);
            let mut asks = asks;
            asks.sort_unstable();
            // Each is asked only when it may be.
            let (mut spent, it) = (Vec::new(), rule(at(since)));
            for (number, days) in asks.iter().enumerate().filter(|(_, days)| **days >= since) {
                if ledger(it, &spent, at(*days)).usable > 0 {
                    let thread = format!("q{number}");
                    spent.push(Spent { at: at(*days), thread, by: String::new() });
                }
            }
            let now = at(now.max(since));
            let ledger = ledger(it, &spent, now);
            let mut balance = 0;
            for entry in &ledger.entries {
                balance += entry.credits;
                prop_assert_eq!(balance, entry.balance);
                prop_assert!((0..=40).contains(&balance));
                prop_assert!(entry.at <= now);
            }
            prop_assert_eq!(balance, ledger.balance);
            prop_assert!((0..=USABLE).contains(&ledger.usable));
            let times: Vec<_> = ledger.entries.iter().map(|it| it.at).collect();
            prop_assert!(times.is_sorted());
        }
    }
}
