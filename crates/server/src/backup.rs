//! Backup and restore: the whole store in one file, the same for both engines.
//!
//! A backup is a zstd stream of lines of JSON: a head with the schema, then for each table its name
//! and columns followed by one array a row, and a last line with the number of rows. All of it is
//! read in one snapshot, so it is the store at one moment even while a server writes. It restores
//! into either engine, in one transaction: a restore that is cut off leaves the store empty.
//! Leases are left out: they belong to running processes; so are sessions: a restored store asks
//! everybody to sign in again. Not here: `tls/`, `riposte.toml`, and `master.key`, without which
//! the secrets of a restored store stay sealed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sea_orm::Value as Sql;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::app::App;
use crate::db::{Engine, Transaction, column};
use crate::error::{Error, Result};

/// The version of the file's layout.
const LAYOUT: u32 = 1;
/// Tables that are neither kept nor expected to be empty.
const LEFT_OUT: &[&str] = &["ceremony", "lease", "migration", "session", "sign_in_failure"];
/// About how many bytes of rows are in memory at a time.
const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// The longest line of a backup that is read, in bytes.
const LONGEST_LINE: u64 = 256 * 1024 * 1024;

/// What was kept or brought back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Tables.
    pub tables: u64,
    /// Rows over all tables.
    pub rows: u64,
    /// The size of the file.
    pub bytes: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    riposte_backup: u32,
    schema: Vec<String>,
    at: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(rename = "table")]
    name: String,
    columns: Vec<String>,
    kinds: Vec<Kind>,
    #[serde(skip)]
    key: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Integer,
    Text,
    Bytes,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Foot {
    end: bool,
    rows: u64,
}

/// Writes the store to `path`, readable by its owner only; an earlier file there is replaced when
/// the new one is whole and on disk.
pub async fn backup(app: &App, path: &Path) -> Result<Summary> {
    let failed = |error: std::io::Error| {
        Error::Invalid(format!("cannot write the backup {}: {error}", path.display()))
    };
    let name = path.file_name().ok_or_else(|| {
        Error::Invalid(format!("{} does not name a file for the backup", path.display()))
    })?;
    let mut partial = name.to_owned();
    partial.push(format!(".{}.partial", std::process::id()));
    let partial = path.with_file_name(partial);
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&partial).map_err(failed)?;
    let written = write_all(app, file).await;
    let summary = written.and_then(|summary| {
        std::fs::rename(&partial, path).map_err(failed)?;
        sync_dir(path).map_err(failed)?;
        Ok(summary)
    });
    if summary.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    summary
}

fn sync_dir(path: &Path) -> std::io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

async fn write_all(app: &App, file: File) -> Result<Summary> {
    let mut out = zstd::Encoder::new(BufWriter::new(file), 3).map_err(io)?;
    out.include_checksum(true).map_err(io)?;
    let tx = app.db.whole("a backup").snapshot().await?;
    let head = Head {
        riposte_backup: LAYOUT,
        schema: schema(&tx).await?,
        at: app.clock.now().to_string(),
    };
    line(&mut out, &head)?;
    let mut summary = Summary::default();
    for table in tables(&tx).await? {
        line(&mut out, &table)?;
        summary.tables += 1;
        summary.rows += write_rows(&tx, &table, &mut out).await?;
    }
    line(&mut out, &Foot { end: true, rows: summary.rows })?;
    let file = out.finish().map_err(io)?.into_inner().map_err(|error| io(error.into_error()))?;
    file.sync_all().map_err(io)?;
    summary.bytes = file.metadata().map_err(io)?.len();
    Ok(summary)
}

async fn write_rows(tx: &Transaction, table: &Table, out: &mut impl Write) -> Result<u64> {
    let key: Vec<&str> = table
        .key
        .iter()
        .filter_map(|index| table.columns.get(*index))
        .map(String::as_str)
        .collect();
    let key_list = key.join(", ");
    let places: Vec<String> = (1..=key.len()).map(|place| format!("${place}")).collect();
    let columns = table.columns.join(", ");
    let mut after: Vec<Sql> = Vec::new();
    let mut rows = 0;
    let mut page = 256;
    loop {
        let beyond = if after.is_empty() {
            String::new()
        } else {
            format!("where ({key_list}) > ({}) ", places.join(", "))
        };
        let sql = format!(
            "select {columns} from {} {beyond}order by {key_list} limit {page}",
            table.name
        );
        let found = tx.query(&sql, std::mem::take(&mut after)).await?;
        let mut bytes = 0;
        for row in &found {
            let mut values: Vec<Value> = Vec::with_capacity(table.kinds.len());
            for (index, kind) in table.kinds.iter().enumerate() {
                values.push(match kind {
                    Kind::Integer => column::<Option<i64>>(row, index)?.into(),
                    Kind::Text => column::<Option<String>>(row, index)?.into(),
                    Kind::Bytes => {
                        let bytes: Option<Vec<u8>> = column(row, index)?;
                        bytes.map(|bytes| BASE64.encode(bytes)).into()
                    }
                });
            }
            bytes += line(out, &values)?;
        }
        rows += found.len() as u64;
        let Some(last) = found.last().filter(|_| found.len() >= page) else { return Ok(rows) };
        for index in &table.key {
            after.push(match table.kinds.get(*index) {
                Some(Kind::Integer) => column::<i64>(last, *index)?.into(),
                Some(Kind::Bytes) => column::<Vec<u8>>(last, *index)?.into(),
                _ => column::<String>(last, *index)?.into(),
            });
        }
        let each = bytes / found.len().max(1);
        page = (PAGE_BYTES / each.max(1)).clamp(1, 4_096);
    }
}

/// Brings a backup back into an empty store of either engine.
///
/// # Errors
/// `Conflict` when the store is not empty or has another schema, `Invalid` when the file is damaged
/// or cut off; the store is empty then, as before.
pub async fn restore(app: &App, path: &Path) -> Result<Summary> {
    let bad = |error: &dyn std::fmt::Display| {
        Error::Invalid(format!("the backup {} cannot be read: {error}", path.display()))
    };
    let file = File::open(path).map_err(|error| bad(&error))?;
    let bytes = file.metadata().map_err(|error| bad(&error))?.len();
    let decoder = zstd::Decoder::new(file).map_err(|error| bad(&error))?;
    let mut lines = Lines { input: BufReader::new(decoder), text: Vec::new(), number: 0 };
    let head: Head = lines.next().and_then(read).map_err(|error| bad(&error))?;
    if head.riposte_backup != LAYOUT {
        return Err(bad(&format!("its layout {} is unknown", head.riposte_backup)));
    }
    let tx = app.db.whole("a backup is restored").begin().await?;
    if schema(&tx).await? != head.schema {
        return Err(Error::Conflict(format!(
            "the backup has the schema of another version (up to {}): restore it with that \
             version of riposte, then start this one",
            head.schema.last().map_or("none", String::as_str)
        )));
    }
    let known: BTreeMap<String, Table> =
        tables(&tx).await?.into_iter().map(|table| (table.name.clone(), table)).collect();
    for table in known.keys() {
        if tx.query_one(&format!("select 1 from {table} limit 1"), vec![]).await?.is_some() {
            return Err(Error::Conflict(format!(
                "the store is not empty (there are rows in {table}): restore into a new one"
            )));
        }
    }
    let mut summary = Summary { bytes, ..Summary::default() };
    let mut rows: Option<Rows<'_>> = None;
    loop {
        let value: Value = lines.next().and_then(read).map_err(|error| bad(&error))?;
        let number = lines.number;
        if let Value::Array(values) = value {
            let rows = rows.as_mut().ok_or_else(|| bad(&"a row before its table"))?;
            rows.add(values).map_err(|error| bad(&format!("line {number}: {error}")))?;
            summary.rows += 1;
            if rows.bytes > PAGE_BYTES || rows.values.len() > 16_000 {
                rows.flush(&tx).await?;
            }
            continue;
        }
        if let Some(mut rows) = rows.take() {
            rows.flush(&tx).await?;
        }
        if value.get("end").is_some() {
            let foot: Foot = serde_json::from_value(value).map_err(|error| bad(&error))?;
            if foot.rows != summary.rows {
                return Err(bad(&format!("{} of {} rows are there", summary.rows, foot.rows)));
            }
            lines.end().map_err(|error| bad(&error))?;
            break;
        }
        let table: Table = serde_json::from_value(value)
            .map_err(|error| bad(&format!("line {number}: {error}")))?;
        // What the file names is compared with what is, and only then put into a statement.
        let here = known
            .get(&table.name)
            .filter(|here| here.columns == table.columns && here.kinds == table.kinds);
        let here = here.ok_or_else(|| bad(&format!("its table {:?} is unknown", table.name)))?;
        summary.tables += 1;
        rows = Some(Rows { table: here, values: Vec::new(), bytes: 0 });
    }
    tx.commit().await?;
    app.db.count_rows().await?;
    Ok(summary)
}

/// Rows read but not yet written.
struct Rows<'a> {
    table: &'a Table,
    values: Vec<Sql>,
    bytes: usize,
}

impl Rows<'_> {
    fn add(&mut self, values: Vec<Value>) -> std::result::Result<(), String> {
        if values.len() != self.table.kinds.len() {
            return Err(format!("a row of {} has {} values", self.table.name, values.len()));
        }
        for (kind, value) in self.table.kinds.iter().zip(values) {
            self.bytes += 16;
            self.values.push(match (kind, value) {
                (Kind::Integer, Value::Null) => Sql::from(None::<i64>),
                (Kind::Text, Value::Null) => Sql::from(None::<String>),
                (Kind::Bytes, Value::Null) => Sql::from(None::<Vec<u8>>),
                (Kind::Integer, Value::Number(number)) => {
                    number.as_i64().ok_or("a number is out of range")?.into()
                }
                (Kind::Text, Value::String(text)) => {
                    self.bytes += text.len();
                    text.into()
                }
                (Kind::Bytes, Value::String(text)) => {
                    self.bytes += text.len();
                    BASE64.decode(text).map_err(|error| error.to_string())?.into()
                }
                _ => return Err(format!("a value of {} is of another kind", self.table.name)),
            });
        }
        Ok(())
    }

    async fn flush(&mut self, tx: &Transaction) -> Result<()> {
        let head = format!("insert into {} ({})", self.table.name, self.table.columns.join(", "));
        self.bytes = 0;
        let values = std::mem::take(&mut self.values);
        tx.insert_rows(&head, self.table.columns.len(), "", values).await?;
        Ok(())
    }
}

/// The lines of an opened backup.
struct Lines<R> {
    input: R,
    text: Vec<u8>,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    fn next(&mut self) -> std::result::Result<&[u8], String> {
        self.text.clear();
        self.number += 1;
        let mut input = (&mut self.input).take(LONGEST_LINE);
        input.read_until(b'\n', &mut self.text).map_err(|error| error.to_string())?;
        match self.text.split_last() {
            Some((b'\n', line)) => Ok(line),
            _ => Err(format!("it is cut off at line {}", self.number)),
        }
    }

    /// Reads the stream to its end, where its checksum is.
    fn end(&mut self) -> std::result::Result<(), String> {
        let mut one = [0];
        match self.input.read(&mut one) {
            Ok(0) => Ok(()),
            Ok(_) => Err("something follows its end".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn read<T: serde::de::DeserializeOwned>(line: &[u8]) -> std::result::Result<T, String> {
    serde_json::from_slice(line).map_err(|error| error.to_string())
}

fn line(out: &mut impl Write, value: &impl Serialize) -> Result<usize> {
    let mut text = serde_json::to_vec(value).map_err(Error::internal)?;
    text.push(b'\n');
    out.write_all(&text).map_err(io)?;
    Ok(text.len())
}

#[expect(clippy::needless_pass_by_value, reason = "the shape map_err wants")]
fn io(error: std::io::Error) -> Error {
    Error::Invalid(format!("the backup cannot be written: {error}"))
}

async fn schema(tx: &Transaction) -> Result<Vec<String>> {
    let rows = tx.query("select name from migration order by name", vec![]).await?;
    rows.iter().map(|row| column(row, 0)).collect()
}

/// Every table that is kept, in order of name, with its columns as the engine's catalogue has
/// them, so that a table of a later schema cannot be forgotten here.
async fn tables(tx: &Transaction) -> Result<Vec<Table>> {
    let names = match tx.engine() {
        Engine::Sqlite => {
            "select name from sqlite_master where type = 'table' and name not like 'sqlite%' \
             order by name"
        }
        Engine::Postgres => {
            "select cast(table_name as text) from information_schema.tables \
             where table_schema = current_schema() and table_type = 'BASE TABLE' order by 1"
        }
    };
    let columns = match tx.engine() {
        Engine::Sqlite => "select name, lower(type), pk from pragma_table_info($1) order by name",
        Engine::Postgres => {
            "select cast(c.column_name as text), cast(c.data_type as text), \
             cast(coalesce(k.ordinal_position, 0) as bigint) \
             from information_schema.columns c \
             left join information_schema.table_constraints t on t.table_name = c.table_name \
             and t.table_schema = c.table_schema and t.constraint_type = 'PRIMARY KEY' \
             left join information_schema.key_column_usage k \
             on k.constraint_name = t.constraint_name and k.table_schema = t.table_schema \
             and k.table_name = c.table_name and k.column_name = c.column_name \
             where c.table_schema = current_schema() and c.table_name = $1 order by 1"
        }
    };
    let mut tables = Vec::new();
    for row in tx.query(names, vec![]).await? {
        let name: String = column(&row, 0)?;
        if LEFT_OUT.contains(&name.as_str()) {
            continue;
        }
        let mut table = Table { name, columns: vec![], kinds: vec![], key: vec![] };
        let mut key = Vec::new();
        for (index, row) in
            tx.query(columns, vec![table.name.clone().into()]).await?.iter().enumerate()
        {
            let (name, kind): (String, String) = (column(row, 0)?, column(row, 1)?);
            let place: i64 = column(row, 2)?;
            table.kinds.push(match kind.as_str() {
                "integer" | "bigint" => Kind::Integer,
                "text" => Kind::Text,
                "bytea" => Kind::Bytes,
                other => {
                    return Err(Error::Internal(format!(
                        "column {name} of {} has the unknown kind {other}",
                        table.name
                    )));
                }
            });
            table.columns.push(name);
            if place > 0 {
                key.push((place, index));
            }
        }
        key.sort_unstable();
        table.key = key.into_iter().map(|(_, index)| index).collect();
        if table.key.is_empty() {
            return Err(Error::Internal(format!("table {} has no primary key", table.name)));
        }
        tables.push(table);
    }
    // The two engines sort underscores differently.
    tables.sort_by(|one, other| one.name.cmp(&other.name));
    for table in &mut tables {
        table.sort_columns();
    }
    Ok(tables)
}

impl Table {
    /// Puts the columns into an order that does not depend on the engine's collation.
    fn sort_columns(&mut self) {
        let mut order: Vec<usize> = (0..self.columns.len()).collect();
        order.sort_by(|one, other| self.columns.get(*one).cmp(&self.columns.get(*other)));
        let key = &self.key;
        let new_key =
            key.iter().filter_map(|old| order.iter().position(|from| from == old)).collect();
        let columns = order.iter().filter_map(|from| self.columns.get(*from).cloned()).collect();
        let kinds = order.iter().filter_map(|from| self.kinds.get(*from).copied()).collect();
        (self.columns, self.kinds, self.key) = (columns, kinds, new_key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::config::Config;
    use crate::db::Db;
    use crate::id::Random;
    use crate::tenant::{self, ExpertAccess, Side};

    async fn open(dir: &Path) -> App {
        let db = Db::open_sqlite(dir).await.unwrap();
        start(db).await
    }

    async fn start(db: Db) -> App {
        db.migrate().await.unwrap();
        App::new(db, Clock::system(), Random::system(), Config::default()).unwrap()
    }

    async fn fill(app: &App) {
        tenant::init(app, "Fjordwatch", "lead@fjordwatch.example").await.unwrap();
        for number in 0..300 {
            tenant::add(app, &format!("Customer ü{number} \u{1f980}"), ExpertAccess::Reader)
                .await
                .unwrap();
        }
        let permission = crate::permission::Permission::Experts;
        tenant::add_app(app, Side::Provider, "bench", &[permission]).await.unwrap();
    }

    async fn content(app: &App) -> Vec<u8> {
        let tx = app.db.whole("a test").snapshot().await.unwrap();
        let mut out = Vec::new();
        for table in tables(&tx).await.unwrap() {
            line(&mut out, &table).unwrap();
            write_rows(&tx, &table, &mut out).await.unwrap();
        }
        // The engines sort text keys differently; the rows are what must be equal.
        let mut lines: Vec<&[u8]> = out.split(|byte| *byte == b'\n').collect();
        lines.sort_unstable();
        lines.concat()
    }

    #[tokio::test]
    async fn a_restored_store_is_the_same_store() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let app = open(from.path()).await;
        fill(&app).await;
        let file = from.path().join("store.backup");
        let kept = backup(&app, &file).await.unwrap();
        assert!(kept.rows > 900, "{kept:?}");

        let other = open(to.path()).await;
        let back = restore(&other, &file).await.unwrap();
        assert_eq!(back, kept);
        assert_eq!(content(&other).await, content(&app).await);
        let finding = crate::audit::verify(&other, None).await.unwrap();
        assert!(finding.ok && finding.leaves > 0, "{finding:?}");

        let again = restore(&other, &file).await.unwrap_err();
        assert!(matches!(&again, Error::Conflict(text) if text.contains("not empty")), "{again}");
    }

    #[tokio::test]
    async fn a_damaged_backup_leaves_the_store_empty() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let app = open(from.path()).await;
        fill(&app).await;
        let file = from.path().join("store.backup");
        backup(&app, &file).await.unwrap();
        let whole = std::fs::read(&file).unwrap();
        let other = open(to.path()).await;
        let empty = content(&other).await;
        for length in [0, 1, 9, whole.len() / 2, whole.len() - 1] {
            std::fs::write(&file, &whole[..length]).unwrap();
            let error = restore(&other, &file).await.unwrap_err();
            assert!(matches!(error, Error::Invalid(_)), "{error}");
        }
        for at in [10, whole.len() / 3, whole.len() - 3] {
            let mut flipped = whole.clone();
            flipped[at] ^= 0x10;
            std::fs::write(&file, &flipped).unwrap();
            assert!(restore(&other, &file).await.is_err(), "byte {at}");
        }
        assert_eq!(content(&other).await, empty);
        std::fs::write(&file, &whole).unwrap();
        restore(&other, &file).await.unwrap();
    }

    #[tokio::test]
    async fn a_file_cannot_name_a_table_of_its_own() {
        let to = tempfile::tempdir().unwrap();
        let app = open(to.path()).await;
        let tx = app.db.whole("a test").snapshot().await.unwrap();
        let schema = schema(&tx).await.unwrap();
        drop(tx);
        let head = serde_json::json!({ "riposte_backup": 1, "schema": schema, "at": "" });
        for table in [
            r#"{"table":"app; drop table app","columns":["a"],"kinds":["text"]}"#,
            r#"{"table":"lease","columns":["name"],"kinds":["text"]}"#,
            r#"{"table":"setting","columns":["name","value) --"],"kinds":["text","text"]}"#,
            r#"["a row"]"#,
        ] {
            let text = format!("{head}\n{table}\n");
            let file = to.path().join("evil");
            std::fs::write(&file, zstd::bulk::compress(text.as_bytes(), 1).unwrap()).unwrap();
            let error = restore(&app, &file).await.unwrap_err();
            assert!(matches!(error, Error::Invalid(_)), "{error}");
        }
    }

    #[tokio::test]
    async fn a_backup_moves_a_store_between_the_engines() {
        let Ok(url) = std::env::var("RIPOSTE_TEST_POSTGRES") else { return };
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let app = open(from.path()).await;
        fill(&app).await;
        let file = from.path().join("store.backup");
        let kept = backup(&app, &file).await.unwrap();

        let schema = format!("backup_{}", std::process::id());
        let middle = start(Db::open_postgres(&url, Some(&schema)).await.unwrap()).await;
        let there = restore(&middle, &file).await.unwrap();
        assert_eq!(there, kept);
        assert_eq!(content(&middle).await, content(&app).await);

        backup(&middle, &file).await.unwrap();
        let last = open(to.path()).await;
        restore(&last, &file).await.unwrap();
        assert_eq!(content(&last).await, content(&app).await);
        assert!(crate::audit::verify(&last, None).await.unwrap().ok);
    }
}
