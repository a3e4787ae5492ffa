//! Who Riposte is to PostgreSQL: nobody that row-level security does not bind.
//!
//! The policies bind the owner of the tables too (`force`), but neither superusers nor roles with
//! BYPASSRLS. Whoever connects as one of those works as [`APPLICATION`] instead, which may read and
//! write rows and nothing else; only migrations run as who connected.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};

use super::{Transaction, column};
use crate::error::{Error, Result};

/// The role of an installation whose own one would pass over the walls.
pub(super) const APPLICATION: &str = "riposte_app";

/// The condition of every policy: the row is of a tenant that the transaction named as its reach.
///
/// Both subselects stand alone, so that PostgreSQL reads the setting once a statement and not once a
/// row. A transaction that named nothing has NULL or, once another did on the same connection, an
/// empty text. It is a `case` because the planner guesses that one lets half of the rows through:
/// written as `or` it guesses next to none, and sorts whole tables instead of reading in order.
pub(super) const WALL: &str = "case when (select current_setting('riposte.reach', true)) = '*' then true else tenant_no = any \
     ((select nullif(nullif(current_setting('riposte.reach', true), '*'), '')::bigint[])::bigint[]) \
     end";

/// Whether row-level security binds the role of a connection. Where it does not, the role it binds is
/// made.
pub(super) async fn bound(connection: &DatabaseConnection) -> Result<bool> {
    let ask = async |sql: &str| {
        let rows =
            connection.query_all_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
        Ok::<_, Error>(rows)
    };
    let free = "select rolsuper or rolbypassrls from pg_roles where rolname = current_user";
    if !ask(free).await?.first().map_or(Ok(false), |row| column(row, 0))? {
        return Ok(true);
    }
    let there = format!("select 1 from pg_roles where rolname = '{APPLICATION}'");
    if ask(&there).await?.is_empty() {
        // Roles belong to the whole server, where another process may make it at the same moment.
        let made =
            connection.execute_unprepared(&format!("create role {APPLICATION} nologin")).await;
        if let Err(error) = made
            && ask(&there).await?.is_empty()
        {
            return Err(Error::Internal(format!(
                "PostgreSQL does not let the walls between tenants hold: the role of --store passes \
                 over row-level security and cannot make the role {APPLICATION} to work as: {error}"
            )));
        }
    }
    let member = format!("select pg_has_role(current_user, '{APPLICATION}', 'member')");
    if !ask(&member).await?.first().map_or(Ok(false), |row| column(row, 0))? {
        connection.execute_unprepared(&format!("grant {APPLICATION} to current_user")).await?;
    }
    Ok(false)
}

/// Lets [`APPLICATION`] read and write the rows of every table, where it may not yet.
pub(super) async fn give(tx: &Transaction) -> Result<()> {
    let row = tx
        .query_one(
            "select current_schema()::text, exists (select 1 from pg_tables \
             where schemaname = current_schema() and not has_table_privilege($1::text, \
             format('%I.%I', schemaname, tablename), 'delete'))",
            vec![APPLICATION.into()],
        )
        .await?;
    let Some(row) = row else { return Ok(()) };
    let (schema, missing): (String, bool) = (column(&row, 0)?, column(&row, 1)?);
    if missing {
        let schema = schema.replace('"', "\"\"");
        tx.execute(&format!("grant usage on schema \"{schema}\" to {APPLICATION}"), vec![]).await?;
        let rows = format!(
            "grant select, insert, update, delete on all tables in schema \"{schema}\" \
             to {APPLICATION}"
        );
        tx.execute(&rows, vec![]).await?;
    }
    Ok(())
}
