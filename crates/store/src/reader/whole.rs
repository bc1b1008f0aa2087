//! Reading a chat whole, as it is or as it was when a share of it was frozen.

use std::collections::HashMap;

use readalong_model::{Chat, ChatHead, ChatId, Message, MessageId, Part, Seq};
use rusqlite::types::ValueRef;
use serde::de::DeserializeOwned;

use super::{
    Reader,
    chats::number,
    messages::{overlaid, whole_threads},
};
use crate::{
    apply::title::{TITLE_LEFT, keeps},
    kind,
    sql::{self, ChatKey, Result},
};

/// What the owner changed of one message.
struct Overlay {
    edit: Option<Vec<Part>>,
    hidden: bool,
}

impl Reader<'_> {
    /// A chat with all its messages, as its source had it at an event (now, for `None`) and with what its owner changed up to now.
    ///
    /// Of the past only what a frozen share shows is kept: `at` should be its `frozen_at_seq`.
    ///
    /// # Errors
    /// The database fails.
    pub fn whole_chat(&self, chat: &ChatId, at: Option<Seq>) -> Result<Option<Chat>> {
        let Some(key) = self.key(chat)? else {
            return Ok(None);
        };
        let at = match at {
            Some(at) => at,
            None => self.last_seq()?,
        };
        let mut overlays = self.overlays(key)?;
        let (mut head, is_given) = self.head_at(key, at)?;
        let mut messages: Vec<Message> = self.bodies_at(key, kind::MESSAGE_PUT, at)?;
        for message in &mut messages {
            if let Some(Overlay { edit, hidden }) = overlays.remove(&message.id) {
                if !is_given && keeps(&message.parts, edit.as_deref(), hidden, &head.title) {
                    TITLE_LEFT.clone_into(&mut head.title);
                }
                overlaid(message, edit, hidden);
            }
        }
        Ok(Some(Chat {
            threads: whole_threads(self.entries_at(key, kind::THREAD_PUT, at)?),
            artifacts: self.seen_artifacts(key, self.entries_at(key, kind::ARTIFACT_PUT, at)?)?,
            messages,
            ..head.into_chat()
        }))
    }

    /// What was said of the chat at an event, with the name it has now if the owner gave it one, and whether that is so.
    fn head_at(&self, key: ChatKey, at: Seq) -> Result<(ChatHead, bool)> {
        let mut heads: Vec<ChatHead> = self.bodies_at(key, kind::HEAD, at)?;
        let mut head = heads.pop().unwrap_or_default();
        let sql = "SELECT title FROM chats WHERE key = ?1 AND renamed_seq IS NOT NULL";
        let given = sql::one(&self.transaction, sql, [key], |row| Ok(row.get(0)?))?;
        let is_given = given.is_some();
        head.title = given.unwrap_or(head.title);
        Ok((head, is_given))
    }

    fn bodies_at<T: DeserializeOwned>(&self, key: ChatKey, kind: i64, at: Seq) -> Result<Vec<T>> {
        let entries = self.entries_at(key, kind, at)?;
        Ok(entries.into_iter().map(|(_, body)| body).collect())
    }

    /// What the log holds of a kind that was there at an event, with places, in their order.
    fn entries_at<T: DeserializeOwned>(
        &self,
        key: ChatKey,
        kind: i64,
        at: Seq,
    ) -> Result<Vec<(u32, T)>> {
        // Bodies are fetched after the sorting, or SQLite would keep them all in its sorter.
        let sql = "SELECT e.place, b.body FROM (
                SELECT seq, coalesce(place, 0) AS place FROM events
                WHERE chat = ?1 AND kind = ?2 AND seq <= ?3 AND (until_seq IS NULL OR until_seq > ?3)
                ORDER BY place, seq LIMIT -1
            ) e JOIN events b ON b.seq = e.seq";
        let values = (key, kind, sql::seq_value(at));
        sql::all(&self.transaction, sql, values, |row| {
            Ok((number(row, 0)?, sql::json(row, 1)?))
        })
    }

    fn overlays(&self, key: ChatKey) -> Result<HashMap<MessageId, Overlay>> {
        let sql = "SELECT o.id, x.body, o.hidden FROM overlays o LEFT JOIN events x ON x.seq = o.edit_seq WHERE o.chat = ?1";
        let overlays = sql::all(&self.transaction, sql, [key], |row| {
            let edit = match row.get_ref(1)? {
                ValueRef::Null => None,
                _ => Some(sql::json(row, 1)?),
            };
            let hidden = row.get(2)?;
            Ok((MessageId(row.get(0)?), Overlay { edit, hidden }))
        })?;
        Ok(overlays.into_iter().collect())
    }
}
