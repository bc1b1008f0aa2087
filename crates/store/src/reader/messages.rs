//! Reading messages, threads and artifacts of a chat as they are now.

use std::ops::Range;

use readalong_model::{
    Artifact, ArtifactRole, Availability, ChatId, Digest, Message, MessageId, Part, Thread,
    ThreadKind, Visibility,
};
use rusqlite::Row;
use serde::de::DeserializeOwned;

use super::{Reader, chats::number};
use crate::{
    StoredMessage,
    apply::erase::is_file_erased,
    sql::{self, ChatKey, Result},
};

/// A message with what the owner changed, see [`stored`]; `$by` says by which index it is found.
macro_rules! message {
    ($by:literal, $which:literal) => {
        concat!(
            "SELECT m.place, max(m.seq, coalesce(o.seq, 0)), e.body, x.body,
                coalesce(o.hidden, 0), coalesce(o.erased, 0)
            FROM messages m ",
            $by,
            " JOIN events e ON e.seq = m.seq
            LEFT JOIN overlays o ON o.chat = m.chat AND o.id = m.id
            LEFT JOIN events x ON x.seq = o.edit_seq WHERE ",
            $which
        )
    };
}

/// Left to itself, SQLite goes through the whole chat in the order of its ids.
pub(crate) const AT_PLACE: &str = message!(
    "INDEXED BY messages_by_place",
    "m.chat = ?1 AND m.place = ?2 ORDER BY m.id LIMIT 1"
);
const OF_ID: &str = message!("", "m.chat = ?1 AND m.id = ?2");
const IN_PLACES: &str = message!(
    "INDEXED BY messages_by_place",
    "m.chat = ?1 AND m.place >= ?2 AND m.place < ?3 ORDER BY m.place, m.id"
);

impl Reader<'_> {
    /// The message at a place. Places count from 0 and may have gaps.
    ///
    /// # Errors
    /// The database fails.
    pub fn message(&self, chat: &ChatId, place: u32) -> Result<Option<StoredMessage>> {
        let Some(key) = self.key(chat)? else {
            return Ok(None);
        };
        sql::one(&self.transaction, AT_PLACE, (key, place), stored)
    }

    /// The message with an id.
    ///
    /// # Errors
    /// The database fails.
    pub fn message_by_id(&self, chat: &ChatId, id: &MessageId) -> Result<Option<StoredMessage>> {
        let Some(key) = self.key(chat)? else {
            return Ok(None);
        };
        sql::one(&self.transaction, OF_ID, (key, &id.0), stored)
    }

    /// Calls `see` with the messages at these places, in order, one at a time in memory. `see` should not take long: what is removed meanwhile stays in
    /// the files until the reading ends.
    ///
    /// # Errors
    /// The database fails; `see` has had the messages before then.
    pub fn messages(
        &self,
        chat: &ChatId,
        places: Range<u32>,
        see: &mut dyn FnMut(StoredMessage),
    ) -> Result<()> {
        let Some(key) = self.key(chat)? else {
            return Ok(());
        };
        let values = (key, places.start, places.end);
        sql::each(&self.transaction, IN_PLACES, values, |row| {
            see(stored(row)?);
            Ok(())
        })
    }

    /// A message as the source has it, without what the owner changed; of an erased one, nothing but its place in the tree.
    ///
    /// # Errors
    /// The database fails.
    pub fn source_message(&self, chat: &ChatId, id: &MessageId) -> Result<Option<Message>> {
        let Some(key) = self.key(chat)? else {
            return Ok(None);
        };
        let sql = "SELECT e.body FROM messages m JOIN events e ON e.seq = m.seq WHERE m.chat = ?1 AND m.id = ?2";
        sql::one(&self.transaction, sql, (key, &id.0), |row| {
            sql::json(row, 0)
        })
    }

    /// All messages of the source by id: the digest of the message ([`Message::digest`]) and the place. An erased one has another digest than
    /// the source has, and may be brought again without harm.
    ///
    /// # Errors
    /// The database fails.
    pub fn index(&self, chat: &ChatId) -> Result<Vec<(MessageId, Digest, u32)>> {
        let Some(key) = self.key(chat)? else {
            return Ok(Vec::new());
        };
        let sql = "SELECT m.id, m.digest, m.place FROM messages m WHERE m.chat = ?1 ORDER BY m.place, m.id";
        sql::all(&self.transaction, sql, [key], |row| {
            Ok((
                MessageId(row.get(0)?),
                sql::digest(row, 1)?,
                number(row, 2)?,
            ))
        })
    }

    /// The threads of a chat; the first is the main one and always there.
    ///
    /// # Errors
    /// The database fails.
    pub fn threads(&self, chat: &ChatId) -> Result<Vec<Thread>> {
        match self.key(chat)? {
            Some(key) => {
                let sql = "SELECT t.place, e.body FROM threads t JOIN events e ON e.seq = t.seq WHERE t.chat = ?1 ORDER BY t.place";
                Ok(whole_threads(self.listed(sql, key)?))
            }
            None => Ok(Vec::new()),
        }
    }

    /// The artifacts of a chat.
    ///
    /// # Errors
    /// The database fails.
    pub fn artifacts(&self, chat: &ChatId) -> Result<Vec<Artifact>> {
        match self.key(chat)? {
            Some(key) => {
                let sql = "SELECT a.place, e.body FROM artifacts a JOIN events e ON e.seq = a.seq WHERE a.chat = ?1 ORDER BY a.place";
                self.seen_artifacts(key, self.listed(sql, key)?)
            }
            None => Ok(Vec::new()),
        }
    }

    /// The artifacts of a chat as its owner sees them, those that are hidden marked with true.
    ///
    /// # Errors
    /// The database fails.
    pub fn own_artifacts(&self, chat: &ChatId) -> Result<Vec<(Artifact, bool)>> {
        let Some(key) = self.key(chat)? else {
            return Ok(Vec::new());
        };
        let sql = "SELECT a.place, e.body FROM artifacts a JOIN events e ON e.seq = a.seq WHERE a.chat = ?1 ORDER BY a.place";
        let artifacts = whole_artifacts(self.listed(sql, key)?).into_iter();
        let mut artifacts: Vec<(Artifact, bool)> = artifacts.map(|all| (all, false)).collect();
        for place in self.hidden_artifacts(key)? {
            if let Some((_, is_hidden)) = artifacts.get_mut(place as usize) {
                *is_hidden = true;
            }
        }
        Ok(artifacts)
    }

    /// True where the bytes of an artifact were removed from a chat for good.
    ///
    /// # Errors
    /// The database fails.
    pub fn is_artifact_erased(&self, chat: &ChatId, sha256: Digest) -> Result<bool> {
        match self.key(chat)? {
            Some(key) => is_file_erased(&self.transaction, key, sha256),
            None => Ok(false),
        }
    }

    fn hidden_artifacts(&self, key: ChatKey) -> Result<Vec<u32>> {
        let sql = "SELECT place FROM hidden_artifacts WHERE chat = ?1";
        sql::all(&self.transaction, sql, [key], |row| number(row, 0))
    }

    /// Artifacts by their places, without those that the owner hid.
    pub(super) fn seen_artifacts(
        &self,
        key: ChatKey,
        artifacts: Vec<(u32, Artifact)>,
    ) -> Result<Vec<Artifact>> {
        let mut artifacts = whole_artifacts(artifacts);
        for place in self.hidden_artifacts(key)? {
            if let Some(artifact) = artifacts.get_mut(place as usize) {
                *artifact = artifact.emptied();
            }
        }
        Ok(artifacts)
    }

    fn listed<T: DeserializeOwned>(&self, sql: &str, key: ChatKey) -> Result<Vec<(u32, T)>> {
        sql::all(&self.transaction, sql, [key], |row| {
            Ok((number(row, 0)?, sql::json(row, 1)?))
        })
    }
}

/// Entries that a list may have at most; a place beyond is a mistake that must not fill the memory.
const PLACES_MAX: u32 = 1_000_000;

/// Threads by their places. What names a thread names its place, so a gap is filled.
pub(super) fn whole_threads(threads: Vec<(u32, Thread)>) -> Vec<Thread> {
    let gap = |place| Thread {
        kind: match place {
            0 => ThreadKind::Main,
            _ => ThreadKind::Side,
        },
        title: None,
        parent_call: None,
    };
    let mut threads = filled(threads, gap);
    if threads.is_empty() {
        threads.push(gap(0));
    }
    threads
}

/// Artifacts by their places, gaps filled likewise.
fn whole_artifacts(artifacts: Vec<(u32, Artifact)>) -> Vec<Artifact> {
    filled(artifacts, |_| Artifact {
        name: String::new(),
        media_type: "application/octet-stream".to_owned(),
        role: ArtifactRole::ToolOutput,
        content: Availability::Missing,
        dimensions: None,
    })
}

fn filled<T>(entries: Vec<(u32, T)>, gap: impl Fn(u32) -> T) -> Vec<T> {
    let mut list = Vec::new();
    for (place, entry) in entries {
        while (list.len() as u32) < place.min(PLACES_MAX) {
            list.push(gap(list.len() as u32));
        }
        list.push(entry);
    }
    list
}

/// Lays what the owner changed over a message of the source.
pub(super) fn overlaid(message: &mut Message, edit: Option<Vec<Part>>, hidden: bool) {
    if let Some(parts) = edit {
        message.parts = parts;
    }
    if hidden {
        message.visibility = Visibility::Hidden;
    }
}

fn stored(row: &Row<'_>) -> Result<StoredMessage> {
    let mut message: Message = sql::json(row, 2)?;
    let edited = row.get_ref(3)? != rusqlite::types::ValueRef::Null;
    let edit = match edited {
        true => Some(sql::json(row, 3)?),
        false => None,
    };
    let hidden = row.get(4)?;
    overlaid(&mut message, edit, hidden);
    Ok(StoredMessage {
        place: number(row, 0)?,
        seq: sql::seq(row, 1)?,
        message,
        edited,
        hidden,
        erased: row.get(5)?,
    })
}
