//! Reading chats without their messages, and legacy links to them.

use std::ops::ControlFlow;

use readalong_model::{ChatHead, ChatId, MessageId, Timestamp, UserId};
use rusqlite::{Connection, Row};

use super::Reader;
use crate::{
    Applied, ChatFilter, ChatFound, ChatOrder, ChatPage, ChatRecord, Cursor, LegacyLink,
    StoreError,
    search::Search,
    sql::{self, ChatKey, Result},
};

/// How many messages a chat `c` has. `CROSS JOIN` begins with the few that the owner changed; left to itself, SQLite may go through all messages.
macro_rules! messages {
    () => {
        "c.messages - (SELECT count(*) FROM overlays o CROSS JOIN messages m ON m.chat = o.chat AND m.id = o.id
            WHERE o.chat = c.key AND o.erased)"
    };
}

pub(crate) const CHAT: &str = concat!(
    "SELECT c.id, c.owner, c.source, c.title, c.source_title, e.body, ",
    messages!(),
    ", (SELECT coalesce(max(m.place) + 1, 0) FROM messages m WHERE m.chat = c.key),
        (SELECT count(*) FROM shares s WHERE s.chat = c.key),
        c.created_at, c.changed_at, c.created_seq, c.last_seq
    FROM chats c JOIN events e ON e.seq = c.head_seq"
);

const LAST: &str = "SELECT place, id FROM messages INDEXED BY messages_by_place WHERE chat = ?1
    ORDER BY place DESC, id LIMIT 1";

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

    /// Where messages are added to a chat, for its owner only: the next free place, and the message before it.
    ///
    /// # Errors
    /// The database fails.
    pub fn end(&self, owner: UserId, id: &ChatId) -> Result<Option<(u32, Option<MessageId>)>> {
        let sql = "SELECT key FROM chats WHERE id = ?1 AND owner = ?2";
        let key = sql::one(&self.transaction, sql, (id.as_str(), owner.0), |row| {
            Ok(ChatKey(row.get(0)?))
        })?;
        let Some(key) = key else { return Ok(None) };
        let last = sql::one(&self.transaction, LAST, [key], |row| {
            Ok((number(row, 0)? + 1, Some(MessageId(row.get(1)?))))
        })?;
        Ok(Some(last.unwrap_or((0, None))))
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
    pub fn chats(&self, owner: UserId, filter: &ChatFilter) -> Result<ChatPage> {
        let search = match &filter.search {
            Some(text) => Some(Search::new(&self.transaction, owner, text)?),
            None => None,
        };
        let mut page = ChatPage {
            chats: Vec::new(),
            next: None,
            is_whole: search.as_ref().is_none_or(|search| search.is_whole),
        };
        let sql = format!("{CHAT} WHERE c.key = ?1");
        let mut left_out = filter.offset;
        self.each_chat(owner, filter, |row| {
            let found = match &search {
                Some(search) if !search.is_in(&row.title_folded) => {
                    if search.is_spent() {
                        page.is_whole = false;
                        return Ok(ControlFlow::Break(()));
                    }
                    let found = search.in_messages(row.key)?;
                    if found.is_none() {
                        page.next = Some(row.cursor(filter.order));
                        return Ok(ControlFlow::Continue(()));
                    }
                    found
                }
                _ => None,
            };
            if left_out > 0 {
                left_out -= 1;
                return Ok(ControlFlow::Continue(()));
            }
            if page.chats.len() >= filter.limit as usize {
                return Ok(ControlFlow::Break(()));
            }
            if let Some(chat) = sql::one(&self.transaction, &sql, [row.key], record)? {
                page.chats.push(ChatFound { chat, found });
            }
            page.next = Some(row.cursor(filter.order));
            Ok(ControlFlow::Continue(()))
        })
        .map(|is_cut| {
            page.next = page.next.filter(|_| is_cut);
            page
        })
    }

    /// Goes through chats of an owner in their order until `see` has enough; true where it had.
    fn each_chat(
        &self,
        owner: UserId,
        filter: &ChatFilter,
        mut see: impl FnMut(Listed) -> Result<ControlFlow<()>>,
    ) -> Result<bool> {
        let (order, after) = match filter.order {
            ChatOrder::Changed => (
                "c.changed_at DESC, c.key DESC",
                "(c.changed_at, c.key) < (CAST(?3 AS INTEGER), CAST(?4 AS INTEGER))",
            ),
            ChatOrder::Created => (
                "c.key DESC",
                "?3 IS NOT NULL AND c.key < CAST(?4 AS INTEGER)",
            ),
            ChatOrder::Title => (
                "c.title_folded, c.key",
                "(c.title_folded, c.key) > (?3, CAST(?4 AS INTEGER))",
            ),
        };
        let sql = format!(
            "SELECT c.key, c.title_folded, c.changed_at FROM chats c
             WHERE c.owner = ?1 AND (?2 IS NULL OR instr(c.title_folded, ?2) > 0) AND (?4 IS NULL OR {after})
             ORDER BY {order}"
        );
        let text = filter.text.as_deref().map(sql::folded);
        let by = filter.after.as_ref().map(|after| &after.by);
        let id = filter.after.as_ref().map(|after| &after.id);
        let mut statement = self.transaction.prepare_cached(&sql)?;
        let mut rows = statement.query((owner.0, text, by, id))?;
        while let Some(row) = rows.next()? {
            let listed = Listed {
                key: ChatKey(row.get(0)?),
                title_folded: row.get(1)?,
                changed_at: row.get(2)?,
            };
            if see(listed)?.is_break() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How many chats of an owner a filter finds by their names, whatever its offset and limit.
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

    /// True where a legacy link of another owner has this path, or one above or below it, which is alive at `now`: what is below a link belongs to it.
    ///
    /// # Errors
    /// The database fails.
    pub fn is_legacy_of_another(&self, owner: UserId, path: &str, now: Timestamp) -> Result<bool> {
        is_legacy_of_another(&self.transaction, owner, path, now)
    }
}

/// Pieces that the name of a file below a legacy link has, at most.
const LEGACY_PIECES_MAX: usize = 2;

pub(crate) fn is_legacy_of_another(
    connection: &Connection,
    owner: UserId,
    path: &str,
    now: Timestamp,
) -> Result<bool> {
    let sql = "SELECT 1 FROM legacy l JOIN chats c ON c.key = l.chat
        WHERE l.path >= ?1 AND l.path < ?2 AND c.owner <> ?3 AND l.expires_at > ?4 LIMIT 1";
    let is_between = |from: &str, to: &str| {
        let values = (from, to, owner.0, now.millis());
        Ok(sql::one(connection, sql, values, |_| Ok(()))?.is_some())
    };
    // With and without a slash at its end it is the same link.
    let path = path.trim_end_matches('/');
    let above = path.rmatch_indices('/').take(LEGACY_PIECES_MAX);
    let above = above.map(|(at, _)| &path[..at]);
    for at in above.chain([path]).filter(|at| !at.is_empty()) {
        if is_between(at, &format!("{at}\0"))?
            || is_between(&format!("{at}/"), &format!("{at}/\0"))?
        {
            return Ok(true);
        }
    }
    // The slash is followed by the zero.
    is_between(&format!("{path}/"), &format!("{path}0"))
}

/// A chat as lists go through it.
struct Listed {
    key: ChatKey,
    title_folded: String,
    changed_at: i64,
}

impl Listed {
    fn cursor(&self, order: ChatOrder) -> Cursor {
        Cursor {
            by: match order {
                ChatOrder::Changed => self.changed_at.to_string(),
                ChatOrder::Created => String::new(),
                ChatOrder::Title => self.title_folded.clone(),
            },
            id: self.key.0.to_string(),
        }
    }
}

/// What a chat is after changes of its source.
pub(crate) fn applied(connection: &Connection, key: ChatKey) -> Result<Option<Applied>> {
    let sql = concat!(
        "SELECT c.last_seq, ",
        messages!(),
        " FROM chats c WHERE c.key = ?1"
    );
    sql::one(connection, sql, [key], |row| {
        Ok(Applied {
            last_seq: sql::seq(row, 0)?,
            messages: number(row, 1)?,
        })
    })
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
