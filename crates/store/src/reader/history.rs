//! What the owner did to a chat, and what was before.

use readalong_model::{Change, ChatId, Message, MessageId, Part, Seq, Timestamp};
use rusqlite::{Connection, Row};

use super::{Reader, chats::number};
use crate::{
    StoreError,
    apply::title,
    kind,
    sql::{self, ChatKey, Result, seq_value},
};

/// Something that the owner did to a chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryEntry {
    /// The event.
    pub seq: Seq,
    /// When.
    pub at: Timestamp,
    /// What.
    pub done: Done,
    /// True where it can be taken back: all that was done later to the same thing was, and nothing is gone for good.
    pub can_undo: bool,
}

/// What an owner does to a chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// Gave it another name.
    Renamed {
        /// The name.
        title: String,
    },
    /// Wrote something else in place of what a message says.
    Edited {
        /// The message.
        message: MessageId,
    },
    /// Hid a message or showed it again.
    Hidden {
        /// The message.
        message: MessageId,
        /// True where it was hidden.
        hidden: bool,
    },
    /// Removed a message for good.
    Erased {
        /// The message.
        message: MessageId,
    },
    /// Hid an artifact or showed it again.
    ArtifactHidden {
        /// Its place in the chat's list.
        place: u32,
        /// True where it was hidden.
        hidden: bool,
    },
    /// Removed an artifact for good.
    ArtifactErased {
        /// Its place in the chat's list.
        place: u32,
    },
}

const CHANGE: &str = "SELECT e.seq, e.at, e.kind, e.place, e.message, e.body FROM changes c JOIN events e ON e.seq = c.seq";
/// It was not taken back, nor did it take something back, and nothing later that is so was done to the same thing: a message that is hidden can be edited, and
/// one of them is gone for good.
const IS_LAST: &str = "NOT c.undone AND NOT EXISTS (SELECT 1 FROM changes l JOIN events f ON f.seq = l.seq
    WHERE l.chat = ?1 AND l.seq > e.seq AND NOT l.undone AND f.message IS e.message
    AND (f.kind = e.kind AND (e.kind <> 16 OR f.place = e.place) OR f.kind = 9 OR f.kind = 17 AND f.place = e.place))";

/// What was removed for good has no past.
const HAS_PAST: &str = "NOT EXISTS (SELECT 1 FROM changes l JOIN events f ON f.seq = l.seq
    WHERE l.chat = ?1 AND l.seq > e.seq
    AND (f.kind = 9 AND f.message = e.message OR f.kind = 17 AND e.kind = 16 AND f.place = e.place))";

impl Reader<'_> {
    /// What the owner did to a chat, the newest first: at most `limit` of those before an event, or of all.
    ///
    /// # Errors
    /// The database fails.
    pub fn history(
        &self,
        chat: &ChatId,
        before: Option<Seq>,
        limit: u32,
    ) -> Result<Vec<HistoryEntry>> {
        let Some(key) = self.key(chat)? else {
            return Ok(Vec::new());
        };
        let sql = format!(
            "SELECT e.seq, e.at, e.kind, e.place, e.message, e.body, {IS_LAST} FROM changes c JOIN events e ON e.seq = c.seq
             WHERE c.chat = ?1 AND (?2 IS NULL OR c.seq < ?2) AND {HAS_PAST} ORDER BY c.seq DESC LIMIT ?3"
        );
        let values = (key, before.map(seq_value), limit);
        sql::all(&self.transaction, &sql, values, |row| {
            let done = done(row)?;
            let is_gone = matches!(done, Done::Erased { .. } | Done::ArtifactErased { .. });
            Ok(HistoryEntry {
                seq: sql::seq(row, 0)?,
                at: sql::time(row, 1)?,
                can_undo: row.get::<_, bool>(6)? && !is_gone,
                done,
            })
        })
    }
}

fn done(row: &Row<'_>) -> Result<Done> {
    let message = || Ok::<_, StoreError>(MessageId(row.get(4)?));
    Ok(match row.get(2)? {
        kind::RENAMED => Done::Renamed { title: row.get(5)? },
        kind::EDITED => Done::Edited {
            message: message()?,
        },
        kind::HIDDEN => Done::Hidden {
            message: message()?,
            hidden: row.get(3)?,
        },
        kind::ERASED => Done::Erased {
            message: message()?,
        },
        kind::ARTIFACT_HIDDEN => Done::ArtifactHidden {
            place: number(row, 3)?,
            hidden: sql::json(row, 5)?,
        },
        kind::ARTIFACT_ERASED => Done::ArtifactErased {
            place: number(row, 3)?,
        },
        other => return Err(StoreError::damaged(format!("a change of kind {other}"))),
    })
}

/// The change that takes an event back.
///
/// # Errors
/// It is not there, cannot be taken back, was, or something later was done to the same thing.
pub(crate) fn before(connection: &Connection, chat: ChatKey, seq: Seq) -> Result<Change> {
    let sql = format!("{CHANGE} WHERE c.chat = ?1 AND c.seq = ?2 AND {IS_LAST}");
    let last = sql::one(connection, &sql, (chat, seq_value(seq)), done)?;
    match last.ok_or(StoreError::NotFound)? {
        Done::Renamed { .. } => Ok(Change::Renamed {
            title: title_before(connection, chat, seq)?,
        }),
        Done::Edited { message } => {
            let parts = parts_before(connection, chat, &message, seq)?;
            Ok(Change::Edited { id: message, parts })
        }
        Done::Hidden { message, hidden } => Ok(Change::Hidden {
            id: message,
            hidden: !hidden,
        }),
        Done::ArtifactHidden { place, hidden } => Ok(Change::ArtifactHidden {
            place,
            hidden: !hidden,
        }),
        Done::Erased { .. } | Done::ArtifactErased { .. } => Err(StoreError::NotFound),
    }
}

/// What a message says now, edited or not.
pub(crate) fn said(
    connection: &Connection,
    chat: ChatKey,
    id: &MessageId,
) -> Result<Option<Vec<Part>>> {
    let sql = "SELECT e.body FROM overlays o JOIN events e ON e.seq = o.edit_seq WHERE o.chat = ?1 AND o.id = ?2";
    let edit = sql::one(connection, sql, (chat, &id.0), |row| sql::json(row, 0))?;
    match edit {
        Some(parts) => Ok(Some(parts)),
        None => said_by_source(connection, chat, id),
    }
}

fn said_by_source(
    connection: &Connection,
    chat: ChatKey,
    id: &MessageId,
) -> Result<Option<Vec<Part>>> {
    let sql = "SELECT e.body FROM messages m JOIN events e ON e.seq = m.seq WHERE m.chat = ?1 AND m.id = ?2";
    let message = sql::one(connection, sql, (chat, &id.0), |row| {
        sql::json::<Message>(row, 0)
    })?;
    Ok(message.map(|message| message.parts))
}

/// What the newest change of a kind before an event said that was not taken back.
const BEFORE: &str = "SELECT e.body FROM changes c JOIN events e ON e.seq = c.seq
    WHERE c.chat = ?1 AND c.seq < ?2 AND NOT c.undone AND e.kind = ?3 AND e.message IS ?4 ORDER BY c.seq DESC LIMIT 1";

fn title_before(connection: &Connection, chat: ChatKey, seq: Seq) -> Result<String> {
    let values = (chat, seq_value(seq), kind::RENAMED, None::<&str>);
    let given: Option<String> = sql::one(connection, BEFORE, values, |row| Ok(row.get(0)?))?;
    let sql = "SELECT source_title FROM chats WHERE key = ?1";
    let source: Option<String> = sql::one(connection, sql, [chat], |row| Ok(row.get(0)?))?;
    let source = source.ok_or(StoreError::NotFound)?;
    match given.filter(|given| *given != source) {
        Some(given) => Ok(given),
        None => title::seen(connection, chat, source),
    }
}

fn parts_before(
    connection: &Connection,
    chat: ChatKey,
    id: &MessageId,
    seq: Seq,
) -> Result<Vec<Part>> {
    let values = (chat, seq_value(seq), kind::EDITED, Some(&id.0));
    let edit = sql::one(connection, BEFORE, values, |row| sql::json(row, 0))?;
    match edit {
        Some(parts) => Ok(parts),
        None => said_by_source(connection, chat, id)?.ok_or(StoreError::NotFound),
    }
}
