//! Reading the log.

use readalong_model::{Change, ChatId, Event, MessageId, Seq, ShareId, UserId};
use rusqlite::Row;
use serde::{Deserialize, Serialize};

use super::{Reader, chats::number};
use crate::{
    Body, StoreError, kind,
    sql::{self, Result},
};

const EVENT: &str = "SELECT e.seq, e.at, e.kind, e.place, e.message, e.body, c.id
    FROM events e LEFT JOIN chats c ON c.key = e.chat";

/// Body of an event about a chat that may be gone when it is read.
#[derive(Serialize, Deserialize)]
pub(crate) struct Gone {
    pub(crate) chat: ChatId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) share: Option<ShareId>,
}

/// Body of the event that makes a chat.
#[derive(Serialize, Deserialize)]
pub(crate) struct Created {
    pub(crate) owner: UserId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<String>,
}

impl Reader<'_> {
    /// The events after one, in order, of one chat or of all, at most `limit`. What later events made void is left out: whoever applies what comes has
    /// the present state.
    ///
    /// # Errors
    /// The database fails.
    pub fn events(&self, after: Seq, chat: Option<&ChatId>, limit: u32) -> Result<Vec<Event>> {
        let after = sql::seq_value(after);
        match chat {
            None => {
                let sql = format!(
                    "{EVENT} WHERE e.seq > ?1 AND e.until_seq IS NULL AND (c.key IS NOT NULL OR e.kind IN (?3, ?4))
                     ORDER BY e.seq LIMIT ?2"
                );
                let values = (after, limit, kind::CHAT_DELETED, kind::SHARE_DELETED);
                sql::all(&self.transaction, &sql, values, event)
            }
            Some(chat) => {
                let sql = format!(
                    "{EVENT} WHERE e.chat = ?1 AND e.seq > ?2 AND e.until_seq IS NULL ORDER BY e.seq LIMIT ?3"
                );
                match self.key(chat)? {
                    Some(key) => sql::all(&self.transaction, &sql, (key, after, limit), event),
                    None => Ok(Vec::new()),
                }
            }
        }
    }
}

impl Reader<'_> {
    /// Calls `see` with all content of a chat that is kept, as it is now and as frozen shares show it, one row at a time in memory.
    ///
    /// # Errors
    /// The database fails.
    pub fn rows(&self, chat: &ChatId, see: &mut dyn FnMut(crate::Row)) -> Result<()> {
        let Some(key) = self.key(chat)? else {
            return Ok(());
        };
        let sql =
            "SELECT seq, kind, body FROM events WHERE chat = ?1 AND body IS NOT NULL ORDER BY seq";
        sql::each(&self.transaction, sql, [key], |row| {
            let body = match row.get(1)? {
                kind::HEAD => Body::Head(sql::json(row, 2)?),
                kind::THREAD_PUT => Body::Thread(sql::json(row, 2)?),
                kind::ARTIFACT_PUT => Body::Artifact(sql::json(row, 2)?),
                kind::MESSAGE_PUT => Body::Message(sql::json(row, 2)?),
                kind::EDITED => Body::Edited(sql::json(row, 2)?),
                kind::RENAMED => Body::Title(row.get(2)?),
                _ => return Ok(()),
            };
            let seq = sql::seq(row, 0)?;
            see(crate::Row { seq, body });
            Ok(())
        })
    }

    /// Which secrets of a chat stay because its owner wants them to.
    ///
    /// # Errors
    /// The database fails.
    pub fn kept(&self, chat: &ChatId) -> Result<Vec<String>> {
        let sql = "SELECT kept FROM chats WHERE id = ?1";
        let kept = sql::one(&self.transaction, sql, [chat.as_str()], |row| {
            sql::json(row, 0)
        })?;
        Ok(kept.unwrap_or_default())
    }
}

fn event(row: &Row<'_>) -> Result<Event> {
    let kind: i64 = row.get(2)?;
    let chat = match kind {
        kind::CHAT_DELETED | kind::SHARE_DELETED => sql::json::<Gone>(row, 5)?.chat,
        _ => sql::chat_id(row, 6)?,
    };
    Ok(Event {
        seq: sql::seq(row, 0)?,
        at: sql::time(row, 1)?,
        chat,
        change: change(kind, row)?,
    })
}

fn change(kind: i64, row: &Row<'_>) -> Result<Change> {
    let message = || -> Result<MessageId> { Ok(MessageId(row.get(4)?)) };
    Ok(match kind {
        kind::CHAT_CREATED => {
            let Created { owner, source } = sql::json(row, 5)?;
            Change::ChatCreated { owner, source }
        }
        kind::HEAD => Change::Head(sql::json(row, 5)?),
        kind::THREAD_PUT => Change::ThreadPut {
            place: number(row, 3)?,
            thread: sql::json(row, 5)?,
        },
        kind::ARTIFACT_PUT => Change::ArtifactPut {
            place: number(row, 3)?,
            artifact: sql::json(row, 5)?,
        },
        kind::MESSAGE_PUT => Change::MessagePut {
            place: number(row, 3)?,
            message: sql::json(row, 5)?,
        },
        kind::MESSAGE_REMOVED => Change::MessageRemoved { id: message()? },
        kind::EDITED => Change::Edited {
            id: message()?,
            parts: sql::json(row, 5)?,
        },
        kind::HIDDEN => Change::Hidden {
            id: message()?,
            hidden: row.get(3)?,
        },
        kind::ERASED => Change::Erased { id: message()? },
        kind::REDACTED => Change::Redacted,
        kind::ARTIFACT_HIDDEN => Change::ArtifactHidden {
            place: number(row, 3)?,
            hidden: sql::json(row, 5)?,
        },
        kind::ARTIFACT_ERASED => Change::ArtifactErased {
            place: number(row, 3)?,
        },
        kind::UNDONE => Change::Undone {
            seq: sql::json(row, 5)?,
        },
        kind::RENAMED => Change::Renamed { title: row.get(5)? },
        kind::CHAT_DELETED => Change::ChatDeleted,
        kind::SHARE_CREATED => Change::ShareCreated(sql::json(row, 5)?),
        kind::SHARE_CHANGED => Change::ShareChanged(sql::json(row, 5)?),
        kind::SHARE_DELETED => {
            let gone: Gone = sql::json(row, 5)?;
            let share = gone.share.ok_or_else(|| StoreError::damaged("no share"))?;
            Change::ShareDeleted(share)
        }
        other => return Err(StoreError::damaged(format!("event of kind {other}"))),
    })
}
