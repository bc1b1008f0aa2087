//! Opening the database: its settings, its version, and how older versions become this one.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, config::DbConfig};

use crate::{
    StoreError, artifacts,
    sql::{self, Result},
};

/// Statements that make each version of the database out of the one before. What is here is never changed; a new version is a new file.
const MIGRATIONS: [&str; 5] = [
    include_str!("migrations/1.sql"),
    include_str!("migrations/2.sql"),
    include_str!("migrations/3.sql"),
    include_str!("migrations/4.sql"),
    include_str!("migrations/5.sql"),
];

/// Version of the database that this readalong writes.
pub const VERSION: u32 = MIGRATIONS.len() as u32;

/// Marks the file as ours: "rdal".
const APPLICATION_ID: i32 = 0x7264_616c;

/// How long a connection waits for another one. Within one process nobody waits; two processes are kept apart by the server's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Pages of the writer that are kept in memory, in KiB.
const WRITER_CACHE_KIB: i32 = 1024;

/// Pages of a reader that are kept in memory, in KiB.
const READER_CACHE_KIB: i32 = 1024;

/// The log of SQLite is written into the database after this many of its pages: about 16 MB, so that few commits pay for it.
pub(crate) const CHECKPOINT_PAGES: i32 = 4000;

/// The log of SQLite keeps at most this many bytes on the disk for further use.
const LOG_BYTES: i32 = 16 * 1024 * 1024;

/// Statements that a connection keeps ready; a connection uses about 60.
const STATEMENTS: usize = 100;

/// Where the kernel says which run of the machine this is.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Opens the database for writing, made or brought to this version as needed.
pub(crate) fn open_writer(path: &Path) -> Result<Connection> {
    match artifacts::private_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(StoreError::io("writing", path)(error));
        }
        _ => {}
    }
    let mut connection = open_ours(path)?;
    connection.pragma_update(None, "secure_delete", "ON")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A commit does not wait for the disk: see sync.rs.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
    migrate(&mut connection, &MIGRATIONS)?;
    match truncate_log(&connection) {
        // Links work without: what the log holds goes over when there is space again.
        Ok(_) | Err(StoreError::Full) => Ok(connection),
        Err(error) => Err(error),
    }
}

/// Opens the database for reading; it must be there.
pub(crate) fn open_reader(path: &Path) -> Result<Connection> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY, READER_CACHE_KIB)?;
    connection.pragma_update(None, "query_only", "ON")?;
    Ok(connection)
}

fn connect(path: &Path, access: OpenFlags, cache_kib: i32) -> Result<Connection> {
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Plans do not depend on the values that are bound; else statements are parsed anew whenever another value is.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "cache_size", -cache_kib)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(connection)
}

/// Opens the file, or refuses it as another program's before anything is changed in it.
fn open_ours(path: &Path) -> Result<Connection> {
    let opened = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, WRITER_CACHE_KIB)
        .and_then(|connection| Ok((is_ours(&connection)?, connection)));
    match opened {
        Ok((true, connection)) => Ok(connection),
        Ok((false, _)) => Err(not_ours(path)),
        Err(StoreError::Database(error))
            if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) =>
        {
            Err(not_ours(path))
        }
        Err(error) => Err(error),
    }
}

fn not_ours(path: &Path) -> StoreError {
    let path = path.to_owned();
    StoreError::NotOurs { path }
}

/// True for an empty file and one with our mark.
fn is_ours(connection: &Connection) -> Result<bool> {
    let id = pragma(connection, "application_id")?;
    let tables = "SELECT count(*) FROM sqlite_master";
    let tables: i64 = connection.query_row(tables, [], |row| row.get(0))?;
    Ok(id == APPLICATION_ID || (id == 0 && tables == 0))
}

fn migrate(connection: &mut Connection, migrations: &[&str]) -> Result<()> {
    let found = pragma(connection, "user_version")? as u32;
    let known = migrations.len() as u32;
    if found > known {
        return Err(StoreError::TooNew { found, known });
    }
    for (version, statements) in (1..).zip(migrations).skip(found as usize) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(statements)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i32> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

/// Writes SQLite's log into the database and empties it, so that nothing that was removed stays in it. False where readers stand in the way.
pub(crate) fn truncate_log(connection: &Connection) -> Result<bool> {
    let busy: i64 =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    Ok(busy == 0)
}

/// The epoch: numbers of events mean the same for as long as it is the same. It changes where the machine was started anew, since the last events
/// before that may be lost and their numbers given again.
pub(crate) fn epoch(connection: &Connection) -> Result<String> {
    let boot = std::fs::read_to_string(BOOT_ID).unwrap_or_default();
    let boot = boot.trim();
    let was = (meta(connection, "boot")?, meta(connection, "epoch")?);
    if let (Some(old), Some(epoch)) = was
        && old == boot
        && !boot.is_empty()
    {
        return Ok(epoch);
    }
    let epoch = artifacts::random_name()?;
    for (key, value) in [("epoch", epoch.as_str()), ("boot", boot)] {
        let sql = "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value";
        sql::run(connection, sql, (key, value))?;
    }
    Ok(epoch)
}

fn meta(connection: &Connection, key: &str) -> Result<Option<String>> {
    let sql = "SELECT value FROM meta WHERE key = ?1";
    sql::one(connection, sql, [key], |row| Ok(row.get(0)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_database_is_brought_forward_with_what_is_in_it() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, &MIGRATIONS).unwrap();
        let row = "INSERT INTO settings (key, value) VALUES ('a', 'b')";
        connection.execute(row, []).unwrap();
        let more = "ALTER TABLE settings ADD COLUMN more TEXT NOT NULL DEFAULT 'c'";
        let next = [MIGRATIONS.as_slice(), &[more]].concat();
        migrate(&mut connection, &next).unwrap();
        migrate(&mut connection, &next).unwrap();
        let found: (String, String) = connection
            .query_row("SELECT value, more FROM settings", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .unwrap();
        assert_eq!(found, ("b".to_owned(), "c".to_owned()));
        let newer = migrate(&mut connection, &MIGRATIONS).unwrap_err();
        let is_too_new = matches!(newer, StoreError::TooNew { found, known } if (found, known) == (VERSION + 1, VERSION));
        assert!(is_too_new, "{newer}");
    }

    #[test]
    fn a_migration_that_fails_changes_nothing() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, &MIGRATIONS).unwrap();
        let more = "CREATE TABLE more (a); CREATE TABLE settings (a)";
        let broken = [MIGRATIONS.as_slice(), &[more]].concat();
        migrate(&mut connection, &broken).unwrap_err();
        let version = pragma(&connection, "user_version").unwrap();
        assert_eq!(version as u32, VERSION);
        assert!(connection.prepare("SELECT * FROM more").is_err());
    }
}
