//! Rows of the log whose content becomes another, as though it had always been so: nothing of what they said stays.

use readalong_model::{Digest, MessageId};
use rusqlite::Connection;

use super::{json, message_seq};
use crate::{
    Body, Row, search,
    sql::{self, ChatKey, Result, run, seq_value},
};

/// Puts the content of a row; true where there was another.
pub(crate) fn put(connection: &Connection, chat: ChatKey, row: &Row) -> Result<bool> {
    let body = match &row.body {
        Body::Head(head) => json(head)?,
        Body::Thread(thread) => json(thread)?,
        Body::Artifact(artifact) => json(artifact)?,
        Body::Message(message) => json(message)?,
        Body::Edited(parts) => json(parts)?,
        Body::Title(title) => title.clone(),
    };
    let seq = seq_value(row.seq);
    let sql = "UPDATE events SET body = ?3 WHERE chat = ?1 AND seq = ?2 AND body IS NOT ?3";
    if run(connection, sql, (chat, seq, &body))? == 0 {
        return Ok(false);
    }
    forget_text(connection, chat, row)?;
    match &row.body {
        Body::Head(head) => {
            let sql = "UPDATE chats SET source_title = ?3 WHERE key = ?1 AND head_seq = ?2";
            run(connection, sql, (chat, seq, &head.title))?;
            let sql = "UPDATE chats SET title = ?3, title_folded = ?4 WHERE key = ?1 AND head_seq = ?2 AND renamed_seq IS NULL";
            let values = (chat, seq, &head.title, sql::folded(&head.title));
            run(connection, sql, values)?;
        }
        Body::Title(title) => {
            let sql = "UPDATE chats SET title = ?3, title_folded = ?4 WHERE key = ?1 AND renamed_seq = ?2";
            run(connection, sql, (chat, seq, title, sql::folded(title)))?;
        }
        Body::Artifact(artifact) => {
            if let Some((sha256, _)) = artifact.bytes() {
                let sql = "INSERT INTO files (sha256, chat) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
                run(connection, sql, (sha256.as_bytes(), chat))?;
            }
        }
        Body::Message(message) => {
            let sql = "UPDATE messages SET digest = ?3 WHERE chat = ?1 AND seq = ?2";
            run(connection, sql, (chat, seq, message.digest().as_bytes()))?;
        }
        Body::Thread(_) | Body::Edited(_) => {}
    }
    Ok(true)
}

/// Takes what a row said out of what can be found.
fn forget_text(connection: &Connection, chat: ChatKey, row: &Row) -> Result<()> {
    let message = match &row.body {
        Body::Message(message) => Some(message.id.clone()),
        Body::Edited(_) => {
            let sql = "SELECT message FROM events WHERE seq = ?1";
            let values = [seq_value(row.seq)];
            let id: Option<String> = sql::one(connection, sql, values, |row| Ok(row.get(0)?))?;
            id.map(MessageId)
        }
        Body::Head(_) | Body::Thread(_) | Body::Artifact(_) | Body::Title(_) => None,
    };
    match message {
        Some(id) => {
            search::forget(connection, chat, message_seq(connection, chat, &id)?)?;
            search::scrub(connection)
        }
        None => Ok(()),
    }
}

/// Gives up files of a chat that none of its rows names any more.
pub(crate) fn drop_unnamed_files(connection: &Connection, chat: ChatKey) -> Result<()> {
    let sql = "SELECT sha256 FROM files WHERE chat = ?1";
    for sha256 in sql::all(connection, sql, [chat], |row| sql::digest(row, 0))? {
        let sql =
            "SELECT 1 FROM events WHERE chat = ?1 AND kind = ?2 AND instr(body, ?3) > 0 LIMIT 1";
        let values = (chat, crate::kind::ARTIFACT_PUT, Digest::to_string(&sha256));
        if sql::one(connection, sql, values, |_| Ok(()))?.is_none() {
            let sql = "DELETE FROM files WHERE sha256 = ?1 AND chat = ?2";
            run(connection, sql, (sha256.as_bytes(), chat))?;
        }
    }
    Ok(())
}
