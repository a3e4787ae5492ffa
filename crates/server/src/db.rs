//! The store: SQLite by default, PostgreSQL when a `postgres://` address is given; one SQL text
//! for both.
//!
//! What differs between the two engines is here and nowhere else: how they are opened, how a write
//! transaction begins, and the handful of words in [`Engine`]. On SQLite every write transaction is
//! `begin immediate` on the one writing connection, so that a read followed by a write never meets
//! "database is locked"; reads have connections of their own.

mod arrays;
mod condition;
mod roles;
mod scope;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend,
    QueryResult, Statement, Value,
};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::error::{Error, Result};

pub use condition::Condition;
pub use scope::{Scope, WALLED};

/// Which of the two engines a store is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Engine {
    /// One file in the data directory.
    Sqlite,
    /// A server, which several replicas may share.
    Postgres,
}

impl Engine {
    fn backend(self) -> DbBackend {
        match self {
            Self::Sqlite => DbBackend::Sqlite,
            Self::Postgres => DbBackend::Postgres,
        }
    }

    /// What to put behind a `select` so that its rows stay as they are until the transaction ends.
    /// On SQLite nobody else writes anyway.
    #[must_use]
    pub fn for_update(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " for update",
        }
    }

    /// The same, and without the rows that somebody else holds.
    #[must_use]
    pub fn skip_locked(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " for update skip locked",
        }
    }

    /// The condition that a column is one of many values of one type, numbered from `$first`, to be
    /// put behind the column. On PostgreSQL it is one array: a long list without known values makes
    /// its planner read the whole table.
    #[must_use]
    pub fn among(self, first: usize, values: Vec<Value>) -> (String, Vec<Value>) {
        if self == Self::Postgres
            && let Some(array) = arrays::array(&values)
        {
            return (format!("= any(${first})"), vec![array]);
        }
        let (list, values) = in_list(first, values);
        (format!("in {list}"), values)
    }
}

/// The open store. Cheap to clone.
#[derive(Clone)]
pub struct Db {
    engine: Engine,
    read: DatabaseConnection,
    write: DatabaseConnection,
    // Who may change tables, where the others may not.
    owner: Option<DatabaseConnection>,
    // SQLite has one writer. Waiting here is fair and costs nothing; waiting inside SQLite is a
    // sleep with back-off that starves whoever came first.
    gate: Arc<Mutex<()>>,
    log: Arc<Log>,
}

/// The write-ahead log of SQLite: what is known of it.
#[derive(Default)]
struct Log {
    commits: AtomicU32,
    copying: AtomicBool,
}

/// Commits after which the log is copied back, in the background.
const COPY_EVERY: u32 = 128;
/// Pages of log from which writing pauses for a moment, so that the log can begin anew.
const LONG_LOG: i64 = 12_000;

impl Db {
    /// Opens the SQLite store `riposte.db` in `dir`, creating it when absent.
    pub async fn open_sqlite(dir: &Path) -> Result<Self> {
        let path = dir.join("riposte.db");
        let url = format!("sqlite://{}?mode=rwc", path.display());
        let open = |connections: u32, cache: &'static str| {
            let mut options = ConnectOptions::new(&url);
            options
                .max_connections(connections)
                .min_connections(1)
                .sqlx_logging(false)
                .acquire_timeout(Duration::from_secs(30))
                .test_before_acquire(false)
                .map_sqlx_sqlite_opts(move |options| {
                    use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
                    options
                        .journal_mode(SqliteJournalMode::Wal)
                        .synchronous(SqliteSynchronous::Full)
                        .busy_timeout(Duration::from_secs(15))
                        .foreign_keys(true)
                        .statement_cache_capacity(512)
                        // A whole page of rows crosses to the asking task without a pause.
                        .row_buffer_size(1_024)
                        // Negative: KiB. Enough for the upper levels of the indexes that are read
                        // at a million alerts; the rest is the page cache of the kernel.
                        .pragma("cache_size", cache)
                        .pragma("temp_store", "memory")
                        // Far beyond what `copy_log` lets it come to: a commit that copies the
                        // log keeps everybody waiting.
                        .pragma("wal_autocheckpoint", "40000")
                        .pragma("journal_size_limit", "67108864")
                });
            options
        };
        let write = Database::connect(open(1, "-16000")).await.map_err(|error| {
            Error::Internal(format!("cannot open the store {}: {error}", path.display()))
        })?;
        let read = Database::connect(open(4, "-8000")).await?;
        Ok(Self {
            engine: Engine::Sqlite,
            read,
            write,
            owner: None,
            gate: Arc::default(),
            log: Arc::default(),
        })
    }

    /// Connects to PostgreSQL at `url` (`postgres://…`), keeping tables in `schema` when given, which
    /// is made when it is not there.
    ///
    /// # Errors
    /// Also when the walls between tenants could not hold: the role of `url` passes over row-level
    /// security, and may not make one that does not.
    pub async fn open_postgres(url: &str, schema: Option<&str>) -> Result<Self> {
        let open = |most: u32, given: Vec<(&'static str, &'static str)>| {
            let mut options = ConnectOptions::new(url);
            options
                .max_connections(most)
                .min_connections(1)
                .sqlx_logging(false)
                .acquire_timeout(Duration::from_secs(15))
                .map_sqlx_postgres_opts(move |options| {
                    let options = options
                        .statement_cache_capacity(256)
                        .application_name("riposte")
                        .options([
                            // A replica that stops in the middle of a transaction (a paused machine)
                            // must not hold its locks: another takes its work over within 30 s.
                            ("idle_in_transaction_session_timeout", "15s"),
                            ("lock_timeout", "20s"),
                            ("synchronous_commit", "on"),
                        ]);
                    options.options(given.clone())
                });
            if let Some(schema) = schema {
                options.set_schema_search_path(schema);
            }
            Database::connect(options)
        };
        let cannot = |error| Error::Internal(format!("cannot reach PostgreSQL: {error}"));
        let owner = open(1, vec![]).await.map_err(cannot)?;
        if let Some(schema) = schema {
            owner.execute_unprepared(&format!("create schema if not exists {schema}")).await?;
        }
        let bound = roles::bound(&owner).await?;
        let with_role = |mut given: Vec<(&'static str, &'static str)>| {
            given.extend((!bound).then_some(("role", roles::APPLICATION)));
            given
        };
        let read = with_role(vec![("plan_cache_mode", "auto"), ("enable_seqscan", "on")]);
        let read = open(8, read).await.map_err(cannot)?;
        // Inside a change every row is found by its key, and planning that anew each time costs
        // more than doing it. A plan made while tables were empty must not read them whole later.
        let write =
            with_role(vec![("plan_cache_mode", "force_generic_plan"), ("enable_seqscan", "off")]);
        let write = open(8, write).await.map_err(cannot)?;
        Ok(Self {
            engine: Engine::Postgres,
            read,
            write,
            owner: (!bound).then_some(owner),
            gate: Arc::default(),
            log: Arc::default(),
        })
    }

    /// Which engine this is.
    #[must_use]
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Lets PostgreSQL count its rows at once, as it does by itself some time after many have come:
    /// its planner chooses by what it counted. SQLite is asked in a way that needs no counting.
    pub async fn count_rows(&self) -> Result<()> {
        if self.engine == Engine::Postgres {
            let owner = self.owner.as_ref().unwrap_or(&self.write);
            owner.execute_unprepared("analyze").await?;
        }
        Ok(())
    }

    /// Closes the connections, so that the last SQLite one can tidy up its log.
    pub async fn close(self) -> Result<()> {
        self.read.close().await?;
        self.write.close().await?;
        if let Some(owner) = self.owner {
            owner.close().await?;
        }
        Ok(())
    }

    fn count_commit(self) {
        if self.engine == Engine::Sqlite
            && self.log.commits.fetch_add(1, Ordering::Relaxed) % COPY_EVERY == COPY_EVERY - 1
            && !self.log.copying.swap(true, Ordering::AcqRel)
        {
            tokio::spawn(async move {
                if let Err(error) = self.copy_log().await {
                    // Not urgent: the writing connection does it at the latest.
                    tracing::debug!("the log of the store was not copied back: {error}");
                }
                self.log.copying.store(false, Ordering::Release);
            });
        }
    }

    /// Copies SQLite's log into the database file, most of it while others write.
    async fn copy_log(&self) -> Result<()> {
        let scope = self.shared();
        let copy = || scope.query_one("pragma wal_checkpoint(passive)", vec![]);
        let pages: i64 = copy().await?.map_or(Ok(0), |row| column(&row, 1))?;
        if pages > LONG_LOG {
            // Only a log that is copied to its end begins anew; what is left is little.
            let _gate = self.gate.lock().await;
            copy().await?;
        }
        Ok(())
    }

    /// Brings the store to the newest schema; two processes may try at once.
    pub async fn migrate(&self) -> Result<()> {
        let dialect: BTreeMap<&str, &str> = match self.engine {
            Engine::Sqlite => {
                [("{id}", "integer primary key"), ("{clustered}", "without rowid"), ("{wall}", "")]
            }
            Engine::Postgres => {
                [("{id}", "bigint primary key"), ("{clustered}", ""), ("{wall}", roles::WALL)]
            }
        }
        .into();
        let tx = self.whole("migrations").begin_as_owner().await?;
        if self.engine == Engine::Postgres {
            // Any constant will do; it stands for "the schema of Riposte".
            tx.execute("select pg_advisory_xact_lock($1)", vec![8_470_001_i64.into()]).await?;
        }
        tx.execute(
            "create table if not exists migration (name text primary key, applied_at bigint)",
            vec![],
        )
        .await?;
        for (name, text) in MIGRATIONS {
            let known =
                tx.query("select 1 from migration where name = $1", vec![(*name).into()]).await?;
            if !known.is_empty() {
                continue;
            }
            let mut sql = (*text).to_owned();
            for (word, meaning) in &dialect {
                sql = sql.replace(word, meaning);
            }
            for statement in sql.split(";\n").map(without_comment).filter(|text| !text.is_empty()) {
                // What only one engine needs; the other has no such thing.
                let statement = match (statement.strip_prefix("{postgres}"), self.engine) {
                    (Some(_), Engine::Sqlite) => continue,
                    (Some(statement), Engine::Postgres) => statement,
                    (None, _) => statement,
                };
                tx.inner
                    .execute_unprepared(statement)
                    .await
                    .map_err(|error| Error::Internal(format!("migration {name}: {error}")))?;
                crate::failpoint::hit("migrate.middle");
            }
            tx.execute("insert into migration (name) values ($1)", vec![(*name).into()]).await?;
            tracing::info!(migration.name = name, "applied migration {name}");
        }
        if self.owner.is_some() {
            roles::give(&tx).await?;
        }
        tx.commit().await
    }
}

/// A statement of a migration without the lines of comment before it.
fn without_comment(mut statement: &str) -> &str {
    loop {
        statement = statement.trim();
        match statement.strip_prefix("--") {
            Some(comment) => statement = comment.split_once('\n').map_or("", |(_, rest)| rest),
            None => return statement,
        }
    }
}

/// The schema's history, oldest first. A migration that has landed is never edited.
const MIGRATIONS: &[(&str, &str)] = &[
    ("0001_core", include_str!("../migrations/0001_core.sql")),
    ("0002_runs", include_str!("../migrations/0002_runs.sql")),
    ("0003_claims", include_str!("../migrations/0003_claims.sql")),
    ("0004_pages", include_str!("../migrations/0004_pages.sql")),
    ("0005_queue", include_str!("../migrations/0005_queue.sql")),
    ("0006_dead_rows", include_str!("../migrations/0006_dead_rows.sql")),
    ("0007_people", include_str!("../migrations/0007_people.sql")),
    ("0008_walls", include_str!("../migrations/0008_walls.sql")),
    ("0009_feed", include_str!("../migrations/0009_feed.sql")),
    ("0010_facets", include_str!("../migrations/0010_facets.sql")),
    ("0011_response", include_str!("../migrations/0011_response.sql")),
    ("0012_packages", include_str!("../migrations/0012_packages.sql")),
    ("0013_receipts", include_str!("../migrations/0013_receipts.sql")),
    ("0014_connector", include_str!("../migrations/0014_connector.sql")),
    ("0015_authority", include_str!("../migrations/0015_authority.sql")),
    ("0016_conversation", include_str!("../migrations/0016_conversation.sql")),
    ("0017_accounts", include_str!("../migrations/0017_accounts.sql")),
    ("0018_instances", include_str!("../migrations/0018_instances.sql")),
    ("0019_renewals", include_str!("../migrations/0019_renewals.sql")),
    ("0020_notification", include_str!("../migrations/0020_notification.sql")),
    ("0021_directory", include_str!("../migrations/0021_directory.sql")),
    ("0022_reply", include_str!("../migrations/0022_reply.sql")),
    ("0023_clocks", include_str!("../migrations/0023_clocks.sql")),
    ("0024_onboarding", include_str!("../migrations/0024_onboarding.sql")),
    ("0025_chat", include_str!("../migrations/0025_chat.sql")),
    ("0026_credits", include_str!("../migrations/0026_credits.sql")),
    ("0027_escalation", include_str!("../migrations/0027_escalation.sql")),
    ("0028_chat_since", include_str!("../migrations/0028_chat_since.sql")),
    ("0029_mail_rules", include_str!("../migrations/0029_mail_rules.sql")),
    ("0030_told_of", include_str!("../migrations/0030_told_of.sql")),
    ("0031_translation", include_str!("../migrations/0031_translation.sql")),
];

/// The pattern of `like … escape '\'` for lower-case text that has this in it, in any case.
#[must_use]
pub fn contains(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.trim().to_lowercase().chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// An open write transaction; dropped without [`Transaction::commit`] it never happened.
pub struct Transaction {
    engine: Engine,
    inner: DatabaseTransaction,
    gate: Option<OwnedMutexGuard<()>>,
    // Of a transaction that writes.
    store: Option<Db>,
    // Without the rows of any tenant.
    shared: bool,
}

impl Transaction {
    /// Which engine this is.
    #[must_use]
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Runs one statement and says how many rows it changed.
    pub async fn execute(&self, sql: &str, values: Vec<Value>) -> Result<u64> {
        scope::guard(self.shared, sql);
        let statement = statement(self.engine, sql, values);
        Ok(self.inner.execute_raw(statement).await?.rows_affected())
    }

    /// Reads rows inside the transaction.
    pub async fn query(&self, sql: &str, values: Vec<Value>) -> Result<Vec<QueryResult>> {
        scope::guard(self.shared, sql);
        Ok(self.inner.query_all_raw(statement(self.engine, sql, values)).await?)
    }

    /// Reads at most one row inside the transaction.
    pub async fn query_one(&self, sql: &str, values: Vec<Value>) -> Result<Option<QueryResult>> {
        Ok(self.query(sql, values).await?.into_iter().next())
    }

    /// Runs a statement once for each of many rows, as few multi-row statements as possible.
    ///
    /// `head` is the text before `values`, `row_width` the number of values a row has, `tail` what
    /// comes after (`on conflict …`, may be empty).
    pub async fn insert_rows(
        &self,
        head: &str,
        row_width: usize,
        tail: &str,
        mut values: Vec<Value>,
    ) -> Result<u64> {
        debug_assert_eq!(values.len() % row_width.max(1), 0);
        let mut changed = 0;
        // SQLite allows 32,766 bound values in a statement, PostgreSQL 65,535.
        let most = (16_000 / row_width.max(1)).clamp(1, 256);
        while !values.is_empty() {
            let take = self.rows_at_once(values.len() / row_width, most);
            let rest = values.split_off(take * row_width);
            let (source, given) = match self.arrays(values, row_width) {
                Ok(arrays) => {
                    let columns = arrays.columns.join(", ");
                    (format!("select {columns} from {}", arrays.source), arrays.values)
                }
                Err(values) => {
                    let rows = placeholders(self.engine, take, row_width);
                    (format!("values {rows}"), values)
                }
            };
            changed += self.execute(&format!("{head} {source} {tail}"), given).await?;
            values = rest;
        }
        Ok(changed)
    }

    /// Sets columns of many rows of `table` at once. `values` holds, row after row, the values of
    /// the primary key and then one for each of `columns`.
    pub async fn update_rows(
        &self,
        table: &str,
        key: &[&str],
        columns: &[&str],
        mut values: Vec<Value>,
    ) -> Result<u64> {
        let width = key.len() + columns.len();
        let given = |index: usize| format!("given.column{}", index + 1);
        let same = key.iter().enumerate();
        let same: Vec<String> =
            same.map(|(index, key)| format!("{table}.{key} = {}", given(index))).collect();
        let set = columns.iter().enumerate();
        let set: Vec<String> =
            set.map(|(index, column)| format!("{column} = {}", given(key.len() + index))).collect();
        let (same, set) = (same.join(" and "), set.join(", "));
        let mut changed = 0;
        while !values.is_empty() {
            let take = self.rows_at_once(values.len() / width, 256);
            let rest = values.split_off(take * width);
            let (source, values_given) = self.given(values, width);
            let sql = format!("update {table} set {set} from {source} where {same}");
            changed += self.execute(&sql, values_given).await?;
            values = rest;
        }
        Ok(changed)
    }

    /// Rows of `width` values as a table `given` with the columns `column1` and so on, for
    /// `select … from {table} cross join …` with further markers numbered from the number of
    /// values that come back.
    #[must_use]
    pub fn given(&self, values: Vec<Value>, width: usize) -> (String, Vec<Value>) {
        let rows = values.len() / width.max(1);
        match self.arrays(values, width) {
            Ok(arrays) => {
                let columns: Vec<String> = arrays
                    .columns
                    .iter()
                    .enumerate()
                    .map(|(index, column)| format!("{column} as column{}", index + 1))
                    .collect();
                let columns = columns.join(", ");
                (format!("(select {columns} from {}) as given", arrays.source), arrays.values)
            }
            Err(values) => {
                let rows = placeholders(self.engine, rows, width);
                (format!("(values {rows}) as given"), values)
            }
        }
    }

    fn arrays(
        &self,
        values: Vec<Value>,
        width: usize,
    ) -> std::result::Result<arrays::Arrays, Vec<Value>> {
        match self.engine {
            Engine::Sqlite => Err(values),
            Engine::Postgres => arrays::arrays(values, width),
        }
    }

    /// How many of `rows` the next statement takes. Small groups go at once, because each statement
    /// costs a hand-over; large ones on SQLite in multiples of 32, so that few prepared statements
    /// serve them.
    fn rows_at_once(&self, rows: usize, most: usize) -> usize {
        const STEP: usize = 32;
        let take = rows.min(most.max(1));
        if self.engine == Engine::Postgres || take <= STEP { take } else { take - take % STEP }
    }

    /// Makes everything since [`Scope::begin`] durable: it is on disk when this returns.
    pub async fn commit(self) -> Result<()> {
        self.inner.commit().await?;
        drop(self.gate);
        if let Some(store) = self.store {
            store.count_commit();
        }
        Ok(())
    }
}

/// `($1, $2), ($3, $4)` for two rows of two; on SQLite, where a name costs a look-up for each
/// value, `(?, ?), (?, ?)`.
fn placeholders(engine: Engine, rows: usize, width: usize) -> String {
    use std::fmt::Write;
    if engine == Engine::Sqlite {
        let row = format!("({})", vec!["?"; width].join(", "));
        return vec![row; rows].join(", ");
    }
    let mut text = String::with_capacity(rows * width * 6);
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ", (" });
        for column in 0..width {
            let comma = if column == 0 { "" } else { ", " };
            let _ = write!(text, "{comma}${}", row * width + column + 1);
        }
        text.push(')');
    }
    text
}

/// A list for `in (…)` beginning at `$first`, padded to a power of four with its last value, so
/// that a handful of prepared statements serve every length.
#[must_use]
pub fn in_list(first: usize, mut values: Vec<Value>) -> (String, Vec<Value>) {
    use std::fmt::Write;
    let mut size = 1;
    while size < values.len() {
        size *= 4;
    }
    if let Some(last) = values.last().cloned() {
        values.resize(size, last);
    }
    let mut text = String::with_capacity(size * 6 + 2);
    text.push('(');
    for index in 0..values.len() {
        let comma = if index == 0 { "" } else { ", " };
        let _ = write!(text, "{comma}${}", first + index);
    }
    text.push(')');
    (text, values)
}

/// Below this many values a statement is left as it is written.
const MANY_VALUES: usize = 12;

/// A statement with its values.
///
/// SQLite looks `$7` up by its name among all names of the statement, once for each value: with
/// the thousands of values of a multi-row insert that look-up was half of all time spent. Plain
/// `?` has no name, so a long text whose markers come in order, each once, is rewritten.
fn statement(engine: Engine, sql: &str, values: Vec<Value>) -> Statement {
    if engine == Engine::Sqlite
        && values.len() >= MANY_VALUES
        && sql.contains('$')
        && let Some(plain) = without_names(sql, values.len())
    {
        return Statement::from_sql_and_values(engine.backend(), plain, values);
    }
    Statement::from_sql_and_values(engine.backend(), sql, values)
}

/// The text with `$1` to `$count` replaced by `?`; `None` unless each comes once and in order.
fn without_names(sql: &str, count: usize) -> Option<String> {
    let mut plain = String::with_capacity(sql.len());
    let mut pieces = sql.split('$');
    plain.push_str(pieces.next()?);
    let mut next = 1;
    for piece in pieces {
        let digits = piece.bytes().take_while(u8::is_ascii_digit).count();
        if piece.get(..digits)?.parse() != Ok(next) {
            return None;
        }
        next += 1;
        plain.push('?');
        plain.push_str(piece.get(digits..)?);
    }
    (next == count + 1).then_some(plain)
}

/// Reads a column by its place in the row.
pub fn column<T: sea_orm::TryGetable>(row: &QueryResult, index: usize) -> Result<T> {
    row.try_get_by_index(index).map_err(Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_markers_in_order_lose_their_names() {
        assert_eq!(
            without_names("a = $1 and b in ($2, $3)", 3).as_deref(),
            Some("a = ? and b in (?, ?)")
        );
        assert_eq!(without_names("a = $2 and b = $1", 2), None);
        assert_eq!(without_names("a = $1 or b = $1", 1), None);
        assert_eq!(without_names("a = $1", 2), None);
        assert_eq!(without_names("price = '$'", 0), None);
    }

    #[test]
    fn rows_become_placeholders() {
        assert_eq!(placeholders(Engine::Postgres, 2, 2), "($1, $2), ($3, $4)");
        assert_eq!(placeholders(Engine::Sqlite, 2, 2), "(?, ?), (?, ?)");
    }
}
