//! Reading chats without their messages, and legacy links to them.

use readalong_model::{ChatHead, ChatId, Timestamp, UserId};
use rusqlite::Row;

use super::Reader;
use crate::{
    ChatFilter, ChatOrder, ChatRecord, LegacyLink, StoreError,
    sql::{self, Result},
};

/// `CROSS JOIN` begins with the few that the owner changed; left to itself, SQLite may go through all messages.
pub(crate) const CHAT: &str = "SELECT c.id, c.owner, c.source, c.title, c.source_title, e.body,
        c.messages - (SELECT count(*) FROM overlays o CROSS JOIN messages m ON m.chat = o.chat AND m.id = o.id
            WHERE o.chat = c.key AND o.erased),
        (SELECT coalesce(max(m.place) + 1, 0) FROM messages m WHERE m.chat = c.key),
        (SELECT count(*) FROM shares s WHERE s.chat = c.key),
        c.created_at, c.changed_at, c.created_seq, c.last_seq
    FROM chats c JOIN events e ON e.seq = c.head_seq";

impl Reader<'_> {
    /// A chat.
    ///
    /// # Errors
    /// The database fails.
    pub fn chat(&self, id: &ChatId) -> Result<Option<ChatRecord>> {
        let sql = format!("{CHAT} WHERE c.id = ?1");
        sql::one(&self.transaction, &sql, [id.as_str()], record)
    }

    /// A chat, for its owner only.
    ///
    /// # Errors
    /// The database fails.
    pub fn chat_of(&self, owner: UserId, id: &ChatId) -> Result<Option<ChatRecord>> {
        let sql = format!("{CHAT} WHERE c.id = ?1 AND c.owner = ?2");
        sql::one(&self.transaction, &sql, (id.as_str(), owner.0), record)
    }

    /// The chat that an owner follows from a source.
    ///
    /// # Errors
    /// The database fails.
    pub fn chat_by_source(&self, owner: UserId, source: &str) -> Result<Option<ChatRecord>> {
        let sql = format!("{CHAT} WHERE c.owner = ?1 AND c.source = ?2");
        sql::one(&self.transaction, &sql, (owner.0, source), record)
    }

    /// True where an owner deleted the chat of a source, and did not bring it back since.
    ///
    /// # Errors
    /// The database fails.
    pub fn is_deleted_source(&self, owner: UserId, source: &str) -> Result<bool> {
        let sql = "SELECT 1 FROM deleted_sources WHERE owner = ?1 AND sha256 = ?2";
        let values = (owner.0, sql::source_digest(source));
        Ok(sql::one(&self.transaction, sql, values, |_| Ok(()))?.is_some())
    }

    /// The chats of an owner, in the order of the filter.
    ///
    /// # Errors
    /// The database fails.
    pub fn chats(&self, owner: UserId, filter: &ChatFilter) -> Result<Vec<ChatRecord>> {
        let order = match filter.order {
            ChatOrder::Changed => "c.changed_at DESC, c.key DESC",
            ChatOrder::Created => "c.key DESC",
            ChatOrder::Title => "c.title_folded, c.key",
        };
        let sql = format!(
            "{CHAT} WHERE c.owner = ?1 AND (?2 IS NULL OR instr(c.title_folded, ?2) > 0)
             ORDER BY {order} LIMIT ?3 OFFSET ?4"
        );
        let text = filter.text.as_deref().map(sql::folded);
        let values = (owner.0, text, filter.limit, filter.offset);
        sql::all(&self.transaction, &sql, values, record)
    }

    /// How many chats of an owner a filter finds, whatever its offset and limit.
    ///
    /// # Errors
    /// The database fails.
    pub fn count_chats(&self, owner: UserId, filter: &ChatFilter) -> Result<u64> {
        let sql = "SELECT count(*) FROM chats c
                   WHERE c.owner = ?1 AND (?2 IS NULL OR instr(c.title_folded, ?2) > 0)";
        let text = filter.text.as_deref().map(sql::folded);
        let count = sql::one(&self.transaction, sql, (owner.0, text), |row| {
            sql::seq(row, 0)
        })?;
        Ok(count.unwrap_or(0))
    }

    /// The legacy link of a path, unless it is dead at `now`.
    ///
    /// # Errors
    /// The database fails.
    pub fn legacy(&self, path: &str, now: Timestamp) -> Result<Option<LegacyLink>> {
        let sql = "SELECT l.path, c.id, l.expires_at FROM legacy l JOIN chats c ON c.key = l.chat
                   WHERE l.path = ?1 AND l.expires_at > ?2";
        sql::one(&self.transaction, sql, (path, now.millis()), |row| {
            Ok(LegacyLink {
                path: row.get(0)?,
                chat: sql::chat_id(row, 1)?,
                expires_at: sql::time(row, 2)?,
            })
        })
    }
}

fn record(row: &Row<'_>) -> Result<ChatRecord> {
    let mut head: ChatHead = sql::json(row, 5)?;
    head.title = row.get(3)?;
    Ok(ChatRecord {
        id: sql::chat_id(row, 0)?,
        owner: UserId(row.get(1)?),
        source: row.get(2)?,
        head,
        source_title: row.get(4)?,
        messages: number(row, 6)?,
        places: number(row, 7)?,
        shares: number(row, 8)?,
        created_at: sql::time(row, 9)?,
        changed_at: sql::time(row, 10)?,
        created_seq: sql::seq(row, 11)?,
        last_seq: sql::seq(row, 12)?,
    })
}

pub(super) fn number(row: &Row<'_>, column: usize) -> Result<u32> {
    let number: i64 = row.get(column)?;
    u32::try_from(number).map_err(StoreError::damaged)
}
