//! Rows of the log whose content becomes another, as though it had always been so: nothing of what they said stays.

use readalong_model::Digest;
use rusqlite::Connection;

use super::json;
use crate::{
    Body, Row,
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
