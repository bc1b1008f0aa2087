//! Between SQLite's values and ours.

use readalong_model::{ChatId, Digest, Seq, ShareId, Timestamp};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Params, Row};
use serde::de::DeserializeOwned;

use crate::StoreError;

pub(crate) type Result<T> = std::result::Result<T, StoreError>;

/// The number of a chat within this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChatKey(pub(crate) i64);

impl rusqlite::ToSql for ChatKey {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        Ok(self.0.into())
    }
}

/// Runs a statement that gives no rows; tells how many rows it changed.
pub(crate) fn run(connection: &Connection, sql: &str, values: impl Params) -> Result<usize> {
    Ok(connection.prepare_cached(sql)?.execute(values)?)
}

/// The first row, if there is one.
pub(crate) fn one<T>(
    connection: &Connection,
    sql: &str,
    values: impl Params,
    read: impl FnOnce(&Row<'_>) -> Result<T>,
) -> Result<Option<T>> {
    let mut statement: CachedStatement<'_> = connection.prepare_cached(sql)?;
    let row = statement
        .query_row(values, |row| Ok(read(row)))
        .optional()?;
    row.transpose()
}

/// All rows.
pub(crate) fn all<T>(
    connection: &Connection,
    sql: &str,
    values: impl Params,
    mut read: impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut found = Vec::new();
    each(connection, sql, values, |row| {
        found.push(read(row)?);
        Ok(())
    })?;
    Ok(found)
}

/// Calls `see` with each row.
pub(crate) fn each(
    connection: &Connection,
    sql: &str,
    values: impl Params,
    mut see: impl FnMut(&Row<'_>) -> Result<()>,
) -> Result<()> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
    while let Some(row) = rows.next()? {
        see(row)?;
    }
    Ok(())
}

/// The number of a chat.
pub(crate) fn chat_key(connection: &Connection, id: &ChatId) -> Result<Option<ChatKey>> {
    let sql = "SELECT key FROM chats WHERE id = ?1";
    one(connection, sql, [id.as_str()], |row| {
        Ok(ChatKey(row.get(0)?))
    })
}

/// Text as lists compare it: capital letters make no difference.
pub(crate) fn folded(text: &str) -> String {
    text.to_lowercase()
}

/// A number of an event for SQLite.
pub(crate) fn seq_value(seq: Seq) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

/// A number of an event of a row.
pub(crate) fn seq(row: &Row<'_>, column: usize) -> Result<Seq> {
    let number: i64 = row.get(column)?;
    Seq::try_from(number).map_err(StoreError::damaged)
}

/// A number of an event of a row that may have none.
pub(crate) fn maybe_seq(row: &Row<'_>, column: usize) -> Result<Option<Seq>> {
    let number: Option<i64> = row.get(column)?;
    number
        .map(|number| Seq::try_from(number).map_err(StoreError::damaged))
        .transpose()
}

/// A time of a row.
pub(crate) fn time(row: &Row<'_>, column: usize) -> Result<Timestamp> {
    Timestamp::from_millis(row.get(column)?).map_err(StoreError::damaged)
}

/// A time of a row that may have none.
pub(crate) fn maybe_time(row: &Row<'_>, column: usize) -> Result<Option<Timestamp>> {
    let millis: Option<i64> = row.get(column)?;
    millis
        .map(|millis| Timestamp::from_millis(millis).map_err(StoreError::damaged))
        .transpose()
}

/// A digest of a row.
pub(crate) fn digest(row: &Row<'_>, column: usize) -> Result<Digest> {
    let bytes: [u8; 32] = row.get(column)?;
    Ok(Digest::from(bytes))
}

/// The id of a chat of a row.
pub(crate) fn chat_id(row: &Row<'_>, column: usize) -> Result<ChatId> {
    let id: String = row.get(column)?;
    ChatId::try_from(id).map_err(StoreError::damaged)
}

/// The id of a share of a row.
pub(crate) fn share_id(row: &Row<'_>, column: usize) -> Result<ShareId> {
    let id: String = row.get(column)?;
    ShareId::try_from(id).map_err(StoreError::damaged)
}

/// A value that a row holds as JSON.
pub(crate) fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<T> {
    let text = row.get_ref(column)?.as_str().map_err(StoreError::damaged)?;
    Ok(serde_json::from_str(text)?)
}

/// The JSON name of a unit variant, as in `"frozen"`.
pub(crate) fn word(value: impl serde::Serialize) -> Result<String> {
    match serde_json::to_value(value)? {
        serde_json::Value::String(word) => Ok(word),
        other => Err(StoreError::damaged(format!("`{other}` is no word"))),
    }
}

/// The unit variant that a row holds by its JSON name.
pub(crate) fn variant<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<T> {
    let word: String = row.get(column)?;
    Ok(serde_json::from_value(serde_json::Value::String(word))?)
}

/// How a source is remembered whose chat was deleted: its path tells nobody anything.
pub(crate) fn source_digest(source: &str) -> String {
    readalong_model::Digest::of(source.as_bytes()).to_string()
}
