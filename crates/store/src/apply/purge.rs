//! Clearing away what is left of a deleted chat, a little at a time, so that others can write meanwhile.

use rusqlite::Connection;

use crate::{
    kind,
    sql::{self, ChatKey, Result, run},
};

/// Rows of a table that are removed at once: some milliseconds.
const ROWS: u32 = 500;

/// True where something is left to clear away.
pub(crate) fn is_due(connection: &Connection) -> Result<bool> {
    Ok(next(connection)?.is_some())
}

/// Removes some rows, within a transaction. Of a chat that is gone the log keeps only that it and its shares are.
pub(crate) fn some(connection: &Connection) -> Result<()> {
    let Some(chat) = next(connection)? else {
        return Ok(());
    };
    let events = "DELETE FROM events WHERE seq IN (
        SELECT seq FROM events WHERE chat = ?1 AND kind NOT IN (?2, ?3) LIMIT ?4)";
    let values = (chat, kind::CHAT_DELETED, kind::SHARE_DELETED, ROWS);
    let events = run(connection, events, values)?;
    let messages = "DELETE FROM messages WHERE chat = ?1 AND id IN (
        SELECT id FROM messages WHERE chat = ?1 LIMIT ?2)";
    let messages = run(connection, messages, (chat, ROWS))?;
    if events.max(messages) < ROWS as usize {
        run(connection, "DELETE FROM purges WHERE chat = ?1", [chat])?;
    }
    Ok(())
}

fn next(connection: &Connection) -> Result<Option<ChatKey>> {
    let sql = "SELECT chat FROM purges LIMIT 1";
    sql::one(connection, sql, [], |row| Ok(ChatKey(row.get(0)?)))
}
