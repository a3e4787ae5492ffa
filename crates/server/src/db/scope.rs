//! What a statement may see: the walls between tenants.
//!
//! There is no way to the store without saying whose rows are meant. On PostgreSQL that is enforced
//! a second time: each read and each change runs in a transaction that names its reach in the
//! setting `riposte.reach`, and the policies of `0008_walls` let no other row be seen or written,
//! whatever the statement says. A transaction without a reach sees nothing of any tenant.

use std::fmt::Write as _;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, QueryResult, Statement,
    TransactionOptions, TransactionTrait, Value,
};

use super::{Db, Engine, Transaction, statement};
use crate::error::Result;
use crate::id::TenantNo;

/// Tables whose every row belongs to one tenant.
pub const WALLED: &[&str] = &[
    "access",
    "account",
    "action",
    "agent",
    "alert",
    "alert_body",
    "alert_version",
    "approval",
    "attempt",
    "authority_policy",
    "chat_channel",
    "chat_event",
    "chat_post",
    "checkpoint",
    "climb",
    "climb_step",
    "clock_run",
    "comment",
    "connector",
    "contact",
    "credit",
    "credit_rule",
    "delivery",
    "delivery_attempt",
    "desired",
    "device",
    "device_account",
    "device_event",
    "directory_member",
    "directory_set",
    "entity_span",
    "event",
    "exclusion",
    "feed",
    "follow_up",
    "high_value_user",
    "identity_provider",
    "incident",
    "incident_facet",
    "incident_tag",
    "ladder",
    "lane",
    "ledger",
    "mail_rule",
    "mail_rule_told",
    "message",
    "message_translation",
    "notification",
    "notification_setting",
    "onboarding",
    "onboarding_step",
    "package",
    "package_part",
    "proposal",
    "reply",
    "response",
    "run",
    "saved_filter",
    "service_agreement",
    "service_clock",
    "task",
    "task_action",
    "tenant_key",
    "thread",
    "thread_reader",
    "unruled",
    "untimed",
    "untold",
    "webhook",
];

/// Whose rows.
#[derive(Clone, Debug)]
enum Walls {
    /// Nobody's: tables that belong to no tenant.
    Shared,
    /// Those of these tenants, as PostgreSQL writes an array.
    Tenants(String),
    /// Everybody's.
    Whole,
}

/// A view of the store that ends at the walls of some tenants.
#[derive(Clone)]
pub struct Scope<'a> {
    db: &'a Db,
    walls: Walls,
}

impl Db {
    /// The rows of one tenant, and what belongs to none.
    #[must_use]
    pub fn of(&self, tenant: TenantNo) -> Scope<'_> {
        self.reach(&[tenant])
    }

    /// The rows of these tenants, and what belongs to none.
    #[must_use]
    pub fn reach(&self, tenants: &[TenantNo]) -> Scope<'_> {
        let mut list = String::with_capacity(2 + tenants.len() * 4);
        // On SQLite nobody reads it.
        if self.engine() == Engine::Postgres {
            list.push('{');
            for (index, tenant) in tenants.iter().enumerate() {
                let comma = if index == 0 { "" } else { "," };
                let _ = write!(list, "{comma}{}", tenant.0);
            }
            list.push('}');
        }
        Scope { db: self, walls: Walls::Tenants(list) }
    }

    /// Only what belongs to no tenant: people, sessions, settings.
    #[must_use]
    pub fn shared(&self) -> Scope<'_> {
        Scope { db: self, walls: Walls::Shared }
    }

    /// Every row of every tenant, for work of the installation itself that nobody asks for; `_why`
    /// says which.
    #[must_use]
    pub fn whole(&self, _why: &'static str) -> Scope<'_> {
        Scope { db: self, walls: Walls::Whole }
    }
}

impl Scope<'_> {
    /// Which engine the store is.
    #[must_use]
    pub fn engine(&self) -> Engine {
        self.db.engine()
    }

    /// Reads rows.
    pub async fn query(&self, sql: &str, values: Vec<Value>) -> Result<Vec<QueryResult>> {
        self.guard(sql);
        self.read(statement(self.db.engine, sql, values)).await
    }

    /// Reads at most one row.
    pub async fn query_one(&self, sql: &str, values: Vec<Value>) -> Result<Option<QueryResult>> {
        Ok(self.query(sql, values).await?.into_iter().next())
    }

    /// Reads rows with a statement built with the query builder.
    pub async fn query_built(
        &self,
        statement: &impl sea_orm::StatementBuilder,
    ) -> Result<Vec<QueryResult>> {
        let statement = statement.build(&self.db.engine.backend());
        self.guard(&statement.sql);
        self.read(statement).await
    }

    async fn read(&self, statement: Statement) -> Result<Vec<QueryResult>> {
        let Some(reach) = self.setting() else {
            return Ok(self.db.read.query_all_raw(statement).await?);
        };
        let tx = self.db.read.begin().await?;
        tx.execute_unprepared(&reach).await?;
        let rows = tx.query_all_raw(statement).await?;
        tx.commit().await?;
        Ok(rows)
    }

    /// Begins a write transaction.
    pub async fn begin(&self) -> Result<Transaction> {
        self.begin_on(&self.db.write).await
    }

    /// The same, as who may change tables.
    pub(super) async fn begin_as_owner(&self) -> Result<Transaction> {
        self.begin_on(self.db.owner.as_ref().unwrap_or(&self.db.write)).await
    }

    async fn begin_on(&self, connection: &DatabaseConnection) -> Result<Transaction> {
        let db = self.db;
        let gate = match db.engine {
            Engine::Sqlite => Some(db.gate.clone().lock_owned().await),
            Engine::Postgres => None,
        };
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(sea_orm::SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let inner = self.walled(connection.begin_with_options(options).await?).await?;
        let shared = matches!(self.walls, Walls::Shared);
        Ok(Transaction { engine: db.engine, inner, gate, store: Some(db.clone()), shared })
    }

    /// Begins a transaction that only reads and sees the store as it is at its first reading, while
    /// others write on.
    pub async fn snapshot(&self) -> Result<Transaction> {
        let db = self.db;
        let options = match db.engine {
            Engine::Sqlite => TransactionOptions {
                sqlite_transaction_mode: Some(sea_orm::SqliteTransactionMode::Deferred),
                ..TransactionOptions::default()
            },
            Engine::Postgres => TransactionOptions {
                isolation_level: Some(sea_orm::IsolationLevel::RepeatableRead),
                access_mode: Some(sea_orm::AccessMode::ReadOnly),
                ..TransactionOptions::default()
            },
        };
        let inner = self.walled(db.read.begin_with_options(options).await?).await?;
        let shared = matches!(self.walls, Walls::Shared);
        Ok(Transaction { engine: db.engine, inner, gate: None, store: None, shared })
    }

    async fn walled(&self, inner: DatabaseTransaction) -> Result<DatabaseTransaction> {
        if let Some(reach) = self.setting() {
            inner.execute_unprepared(&reach).await?;
        }
        Ok(inner)
    }

    /// The statement that names the reach to PostgreSQL; it ends with the transaction.
    fn setting(&self) -> Option<String> {
        if self.db.engine == Engine::Sqlite {
            return None;
        }
        match &self.walls {
            Walls::Shared => None,
            Walls::Tenants(list) => Some(format!("set local riposte.reach = '{list}'")),
            Walls::Whole => Some("set local riposte.reach = '*'".to_owned()),
        }
    }

    fn guard(&self, sql: &str) {
        guard(matches!(self.walls, Walls::Shared), sql);
    }
}

/// On SQLite nothing but the text could betray a statement that forgot the wall, so that every test
/// looks at it.
pub(super) fn guard(shared: bool, sql: &str) {
    if cfg!(debug_assertions)
        && shared
        && let Some(table) = walled_table(sql)
    {
        panic!("a statement reads or writes {table} without a tenant: {sql}");
    }
}

/// A table of tenants that a statement names.
fn walled_table(sql: &str) -> Option<&str> {
    let mut words = sql.split(|c: char| c.is_whitespace() || "(),;\"".contains(c));
    let mut before = "";
    words.by_ref().filter(|word| !word.is_empty()).find(|word| {
        let names =
            ["from", "join", "into", "update"].iter().any(|it| before.eq_ignore_ascii_case(it));
        before = word;
        names && WALLED.contains(word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_tenants_are_found_wherever_a_statement_names_them() {
        for (sql, found) in [
            ("select 1 from incident where id = $1", Some("incident")),
            ("select 1 from (select * from \"alert\") x", Some("alert")),
            ("select 1 from person join access on true", Some("access")),
            ("insert into event (a) values (1)", Some("event")),
            ("update run set side = 1", Some("run")),
            ("select incident from person where alert = 'from'", None),
            ("select access from session", None),
        ] {
            assert_eq!(walled_table(sql), found, "{sql}");
        }
    }
}
