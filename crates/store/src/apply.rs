//! The only code that writes the log and the tables of chats and shares: one event at a time, both in the same transaction.
//!
//! [`apply`] takes nothing but the event, so that a log from elsewhere could be applied as well. What may be written is decided before; see `actions.rs`.

pub(crate) mod erase;
pub(crate) mod purge;
pub(crate) mod rewrite;
pub(crate) mod title;

use readalong_model::{
    Artifact, Change, ChatHead, ChatId, Digest, Event, Message, MessageId, Part, Seq, Share,
    ShareId, Thread, Timestamp, UserId,
};
use rusqlite::Connection;

use crate::{
    StoreError, kind,
    reader::log::{Created, Gone},
    search, showcase,
    sql::{self, ChatKey, Result, chat_key, run, seq_value},
    writer::After,
};

/// Changes of one thing that the history keeps: as many as people go back through.
const CHANGES_KEPT: usize = 50;

/// The end of the log within a transaction.
pub(crate) struct Log<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) now: Timestamp,
    pub(crate) seq: &'a mut Seq,
    pub(crate) events: &'a mut Vec<Event>,
    pub(crate) after: &'a mut After,
}

impl Log<'_> {
    /// Appends a change and applies it.
    pub(crate) fn append(&mut self, chat: &ChatId, change: Change) -> Result<()> {
        let event = Event {
            seq: *self.seq + 1,
            at: self.now,
            chat: chat.clone(),
            change,
        };
        apply(self.connection, &event)?;
        *self.seq = event.seq;
        self.events.push(event);
        Ok(())
    }
}

/// Writes an event into the log and what it changes into the tables.
pub(crate) fn apply(connection: &Connection, event: &Event) -> Result<()> {
    if let Change::ChatCreated { owner, source } = &event.change {
        insert_chat(connection, event, *owner, source.as_deref())?;
    }
    let key = chat_key(connection, &event.chat)?.ok_or(StoreError::NotFound)?;
    let to = Applying {
        connection,
        key,
        seq: event.seq,
        at: event.at,
    };
    let kind = kind::of(&event.change);
    match &event.change {
        Change::ChatCreated { owner, source } => {
            let (owner, source) = (*owner, source.clone());
            to.log(kind, None, None, json(&Created { owner, source })?)?;
        }
        Change::Head(head) => to.head(head)?,
        Change::ThreadPut { place, thread } => to.thread(*place, thread)?,
        Change::ArtifactPut { place, artifact } => to.artifact(*place, artifact)?,
        Change::MessagePut { place, message } => to.message(*place, message)?,
        Change::MessageRemoved { id } => to.message_removed(id)?,
        Change::Edited { id, parts } => to.edited(id, parts)?,
        Change::Hidden { id, hidden } => to.hidden(id, *hidden)?,
        Change::Erased { id } => to.erased(id)?,
        Change::Redacted => {
            to.log(kind, None, None, None)?;
            to.settle_title()?;
        }
        Change::ArtifactHidden { place, hidden } => to.artifact_hidden(*place, *hidden)?,
        Change::ArtifactErased { place } => to.artifact_erased(*place)?,
        Change::Undone { seq } => to.undone(*seq)?,
        Change::Renamed { title } => to.renamed(title)?,
        Change::ChatDeleted => return to.chat_deleted(&event.chat),
        Change::ShareCreated(share) | Change::ShareChanged(share) => {
            to.share(kind, share)?;
        }
        Change::ShareDeleted(share) => to.share_deleted(&event.chat, share)?,
    }
    to.touch(kind)
}

fn insert_chat(
    connection: &Connection,
    event: &Event,
    owner: UserId,
    source: Option<&str>,
) -> Result<()> {
    let sql = "INSERT INTO chats (id, owner, source, source_title, title, title_folded, head_seq, messages,
            created_at, changed_at, created_seq, last_seq, lost_seq)
        VALUES (?1, ?2, ?3, '', '', '', 0, 0, ?4, ?4, ?5, ?5, 0)";
    let (id, seq) = (event.chat.as_str(), seq_value(event.seq));
    run(
        connection,
        sql,
        (id, owner.0, source, event.at.millis(), seq),
    )?;
    if let Some(source) = source {
        let sql = "DELETE FROM deleted_sources WHERE owner = ?1 AND sha256 = ?2";
        run(connection, sql, (owner.0, sql::source_digest(source)))?;
    }
    Ok(())
}

/// Where and when an event is applied.
struct Applying<'a> {
    connection: &'a Connection,
    key: ChatKey,
    seq: Seq,
    at: Timestamp,
}

impl Applying<'_> {
    /// Writes the row of the log.
    fn log(
        &self,
        kind: i64,
        place: Option<u32>,
        message: Option<&MessageId>,
        body: impl Into<Option<String>>,
    ) -> Result<()> {
        let sql = "INSERT INTO events (seq, at, chat, kind, place, message, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let message = message.map(|id| id.0.as_str());
        let (seq, at) = (seq_value(self.seq), self.at.millis());
        self.run(sql, (seq, at, self.key, kind, place, message, body.into()))?;
        if kind::is_of_owner(kind) {
            let sql = "INSERT INTO changes (chat, seq) VALUES (?1, ?2)";
            self.run(sql, (self.key, seq))?;
        }
        Ok(())
    }

    fn run(&self, sql: &str, values: impl rusqlite::Params) -> Result<usize> {
        run(self.connection, sql, values)
    }

    /// Says of the chat when it changed; what is said of its shares is no change of the chat.
    fn touch(&self, kind: i64) -> Result<()> {
        let sql = match kind {
            kind::SHARE_CREATED | kind::SHARE_CHANGED | kind::SHARE_DELETED => {
                "UPDATE chats SET last_seq = ?2 WHERE key = ?1 AND ?3 IS NOT NULL"
            }
            _ => "UPDATE chats SET last_seq = ?2, changed_at = ?3 WHERE key = ?1",
        };
        self.run(sql, (self.key, seq_value(self.seq), self.at.millis()))?;
        Ok(())
    }

    /// Lets go of what this event takes the place of, unless a frozen share shows it.
    fn supersede(&self, old: Option<Seq>, message: Option<&MessageId>) -> Result<()> {
        let Some(old) = old.filter(|&old| old > 0) else {
            return Ok(());
        };
        let sql = "SELECT coalesce(max(frozen_at_seq), 0) FROM shares WHERE chat = ?1";
        let frozen = sql::one(self.connection, sql, [self.key], |row| sql::seq(row, 0))?;
        if frozen.unwrap_or(0) >= old {
            let sql = "UPDATE events SET until_seq = ?2, message = ?3 WHERE seq = ?1";
            let message = message.map(|id| id.0.as_str());
            self.run(sql, (seq_value(old), seq_value(self.seq), message))?;
        } else {
            self.forget(Some(old))?;
            let sql = "UPDATE chats SET lost_seq = ?2 WHERE key = ?1";
            self.run(sql, (self.key, seq_value(self.seq)))?;
        }
        Ok(())
    }

    /// Removes a row of the log that later ones made void.
    fn forget(&self, old: Option<Seq>) -> Result<()> {
        if let Some(old) = old {
            self.run("DELETE FROM events WHERE seq = ?1", [seq_value(old)])?;
        }
        Ok(())
    }

    fn chat_seq(&self, sql: &str) -> Result<Option<Seq>> {
        let seq = sql::one(self.connection, sql, [self.key], |row| {
            sql::maybe_seq(row, 0)
        })?;
        Ok(seq.flatten())
    }

    fn head(&self, head: &ChatHead) -> Result<()> {
        let old = self.chat_seq("SELECT head_seq FROM chats WHERE key = ?1")?;
        self.log(kind::HEAD, None, None, json(head)?)?;
        self.supersede(old, None)?;
        let sql = "UPDATE chats SET head_seq = ?2 WHERE key = ?1";
        self.run(sql, (self.key, seq_value(self.seq)))?;
        let sql = "UPDATE chats SET source_title = ?2 WHERE key = ?1 AND source_title <> ?2";
        match self.run(sql, (self.key, &head.title))? {
            0 => Ok(()),
            _ => self.settle_title(),
        }
    }

    /// Calls the chat as its source does, unless its owner gave it a name or keeps that one from readers.
    fn settle_title(&self) -> Result<()> {
        let title = title::seen(self.connection, self.key, self.source_title()?)?;
        let sql = "UPDATE chats SET title = ?2, title_folded = ?3 WHERE key = ?1 AND renamed_seq IS NULL AND title <> ?2";
        self.run(sql, (self.key, &title, sql::folded(&title)))?;
        Ok(())
    }

    fn source_title(&self) -> Result<String> {
        let sql = "SELECT source_title FROM chats WHERE key = ?1";
        let title = sql::one(self.connection, sql, [self.key], |row| Ok(row.get(0)?))?;
        title.ok_or(StoreError::NotFound)
    }

    fn renamed(&self, title: &str) -> Result<()> {
        self.pass(kind::RENAMED, None)?;
        self.log(kind::RENAMED, None, None, title.to_owned())?;
        // Whoever calls a chat as its source does lets that call it otherwise later.
        let is_given = title != title::seen(self.connection, self.key, self.source_title()?)?;
        let renamed_seq = is_given.then(|| seq_value(self.seq));
        let sql = "UPDATE chats SET renamed_seq = ?2, title = ?3, title_folded = ?4 WHERE key = ?1";
        self.run(sql, (self.key, renamed_seq, title, sql::folded(title)))?;
        Ok(())
    }

    fn thread(&self, place: u32, thread: &Thread) -> Result<()> {
        let old = "SELECT seq FROM threads WHERE chat = ?1 AND place = ?2";
        let old = self.seq_at(old, place)?;
        self.log(kind::THREAD_PUT, Some(place), None, json(thread)?)?;
        self.supersede(old, None)?;
        let sql = "INSERT INTO threads (chat, place, seq) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET seq = excluded.seq";
        self.run(sql, (self.key, place, seq_value(self.seq)))?;
        Ok(())
    }

    fn artifact(&self, place: u32, artifact: &Artifact) -> Result<()> {
        let old = "SELECT seq FROM artifacts WHERE chat = ?1 AND place = ?2";
        let old = self.seq_at(old, place)?;
        self.log(kind::ARTIFACT_PUT, Some(place), None, json(artifact)?)?;
        self.supersede(old, None)?;
        let sql = "INSERT INTO artifacts (chat, place, seq) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET seq = excluded.seq";
        self.run(sql, (self.key, place, seq_value(self.seq)))?;
        if let Some((sha256, _)) = artifact.bytes() {
            let sql = "INSERT INTO files (sha256, chat) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
            self.run(sql, (sha256.as_bytes(), self.key))?;
        }
        Ok(())
    }

    fn seq_at(&self, sql: &str, place: u32) -> Result<Option<Seq>> {
        sql::one(self.connection, sql, (self.key, place), |row| {
            sql::seq(row, 0)
        })
    }

    fn message(&self, place: u32, message: &Message) -> Result<()> {
        let body = json(message)?;
        let digest = Digest::of(body.as_bytes());
        let old = message_seq(self.connection, self.key, &message.id)?;
        search::forget(self.connection, self.key, old)?;
        self.log(kind::MESSAGE_PUT, Some(place), None, body)?;
        self.supersede(old, Some(&message.id))?;
        if old.is_none() {
            self.count(1)?;
        }
        let sql = "INSERT INTO messages (chat, id, place, seq, digest) VALUES (?1, ?2, ?3, ?4, ?5)
            ON CONFLICT DO UPDATE SET place = excluded.place, seq = excluded.seq, digest = excluded.digest";
        let seq = seq_value(self.seq);
        let values = (self.key, &message.id.0, place, seq, digest.as_bytes());
        self.run(sql, values)?;
        let sql = "SELECT 1 FROM overlays WHERE chat = ?1 AND id = ?2";
        match sql::one(self.connection, sql, (self.key, &message.id.0), |_| Ok(()))? {
            Some(()) => self.settle_title(),
            None => Ok(()),
        }
    }

    fn message_removed(&self, id: &MessageId) -> Result<()> {
        let old = message_seq(self.connection, self.key, id)?;
        search::forget(self.connection, self.key, old)?;
        self.log(kind::MESSAGE_REMOVED, None, Some(id), None)?;
        self.supersede(old, Some(id))?;
        let sql = "DELETE FROM messages WHERE chat = ?1 AND id = ?2";
        if self.run(sql, (self.key, &id.0))? > 0 {
            self.count(-1)?;
        }
        Ok(())
    }

    fn count(&self, more: i64) -> Result<()> {
        let sql = "UPDATE chats SET messages = messages + ?2 WHERE key = ?1";
        self.run(sql, (self.key, more))?;
        Ok(())
    }

    fn edited(&self, id: &MessageId, parts: &[Part]) -> Result<()> {
        let source = message_seq(self.connection, self.key, id)?;
        search::forget(self.connection, self.key, source)?;
        self.pass(kind::EDITED, Some(id))?;
        self.log(kind::EDITED, None, Some(id), json(&parts)?)?;
        // An edit that says what the source says is none: what that says later counts again.
        let edit = match self.is_said_by_source(id, parts)? {
            true => None,
            false => Some(seq_value(self.seq)),
        };
        let sql = "INSERT INTO overlays (chat, id, seq, edit_seq, hidden, erased) VALUES (?1, ?2, ?3, ?4, 0, 0)
            ON CONFLICT DO UPDATE SET seq = excluded.seq, edit_seq = excluded.edit_seq";
        self.run(sql, (self.key, &id.0, seq_value(self.seq), edit))?;
        self.settle_title()
    }

    fn is_said_by_source(&self, id: &MessageId, parts: &[Part]) -> Result<bool> {
        let sql = "SELECT e.body FROM messages m JOIN events e ON e.seq = m.seq WHERE m.chat = ?1 AND m.id = ?2";
        let source: Option<Message> = sql::one(self.connection, sql, (self.key, &id.0), |row| {
            sql::json(row, 0)
        })?;
        Ok(source.is_some_and(|source| source.parts == parts))
    }

    /// Marks the newest change of a kind as one of the past: it stays for the history, and of very many the oldest go.
    fn pass(&self, kind: i64, message: Option<&MessageId>) -> Result<()> {
        let message = message.map(|id| id.0.as_str());
        let sql = "SELECT c.seq FROM changes c JOIN events e ON e.seq = c.seq
            WHERE c.chat = ?1 AND e.kind = ?2 AND e.message IS ?3 ORDER BY c.seq DESC";
        let values = (self.key, kind, message);
        let changes = sql::all(self.connection, sql, values, |row| sql::seq(row, 0))?;
        if let Some(newest) = changes.first() {
            let sql = "UPDATE events SET until_seq = ?2 WHERE seq = ?1";
            self.run(sql, (seq_value(*newest), seq_value(self.seq)))?;
        }
        for old in changes.into_iter().skip(CHANGES_KEPT) {
            self.forget_change(old)?;
        }
        Ok(())
    }

    /// Removes what the owner did from the log and its history.
    fn forget_change(&self, seq: Seq) -> Result<()> {
        self.forget(Some(seq))?;
        let sql = "DELETE FROM changes WHERE chat = ?1 AND seq = ?2";
        self.run(sql, (self.key, seq_value(seq)))?;
        Ok(())
    }

    /// Lets what was taken back, and the change that did it, be of no account for what is taken back next.
    fn undone(&self, seq: Seq) -> Result<()> {
        self.log(kind::UNDONE, None, None, json(&seq)?)?;
        let sql = "UPDATE changes SET undone = 1 WHERE chat = ?1 AND seq IN (?2, (SELECT max(seq) FROM changes WHERE chat = ?1))";
        self.run(sql, (self.key, seq_value(seq)))?;
        Ok(())
    }

    fn artifact_hidden(&self, place: u32, hidden: bool) -> Result<()> {
        self.log(kind::ARTIFACT_HIDDEN, Some(place), None, json(&hidden)?)?;
        let sql = match hidden {
            true => {
                "INSERT INTO hidden_artifacts (chat, place) VALUES (?1, ?2) ON CONFLICT DO NOTHING"
            }
            false => "DELETE FROM hidden_artifacts WHERE chat = ?1 AND place = ?2",
        };
        self.run(sql, (self.key, place))?;
        Ok(())
    }

    fn hidden(&self, id: &MessageId, hidden: bool) -> Result<()> {
        self.log(kind::HIDDEN, Some(hidden.into()), Some(id), None)?;
        let sql = "INSERT INTO overlays (chat, id, seq, edit_seq, hidden, erased) VALUES (?1, ?2, ?3, NULL, ?4, 0)
            ON CONFLICT DO UPDATE SET seq = excluded.seq, hidden = excluded.hidden";
        self.run(sql, (self.key, &id.0, seq_value(self.seq), hidden))?;
        self.settle_title()
    }

    /// Makes the chat unknown at once; its messages, of which there may be many, are cleared away by and by.
    fn chat_deleted(&self, id: &ChatId) -> Result<()> {
        search::forget_chat(self.connection, self.key)?;
        for table in [
            "threads",
            "artifacts",
            "hidden_artifacts",
            "changes",
            "files",
            "overlays",
            "erasures",
            "shares",
            "legacy",
        ] {
            let sql = format!("DELETE FROM {table} WHERE chat = ?1");
            self.run(&sql, [self.key])?;
        }
        let sql = "SELECT owner, source FROM chats WHERE key = ?1 AND source IS NOT NULL";
        let source = sql::one(self.connection, sql, [self.key], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
        })?;
        if let Some((owner, source)) = source {
            let sql = "INSERT OR IGNORE INTO deleted_sources (owner, sha256) VALUES (?1, ?2)";
            self.run(sql, (owner, sql::source_digest(&source)))?;
        }
        self.run("DELETE FROM chats WHERE key = ?1", [self.key])?;
        self.run("INSERT INTO purges (chat) VALUES (?1)", [self.key])?;
        let gone = Gone {
            chat: id.clone(),
            share: None,
        };
        self.log(kind::CHAT_DELETED, None, None, json(&gone)?)
    }

    fn share(&self, kind: i64, share: &Share) -> Result<()> {
        self.log(kind, None, None, json(share)?)?;
        let old = self.forget_share(&share.id)?;
        let sql = "INSERT INTO shares (id, chat, owner, name, name_folded, visibility, updates, includes_artifacts,
                created_at, expires_at, frozen_at_seq, bundle, seq)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
        self.run(
            sql,
            rusqlite::params![
                share.id.as_str(),
                self.key,
                share.owner.0,
                share.name,
                share.name.as_deref().map(sql::folded),
                sql::word(share.visibility)?,
                sql::word(share.updates)?,
                share.includes_artifacts,
                share.created_at.millis(),
                share.expires_at.map(Timestamp::millis),
                share.frozen_at_seq.map(seq_value),
                share.bundle.as_ref().map(Digest::as_bytes),
                seq_value(self.seq),
            ],
        )?;
        match old {
            Some(old) if old != share.frozen_at_seq => self.forget_versions(),
            _ => Ok(()),
        }
    }

    fn share_deleted(&self, chat: &ChatId, share: &ShareId) -> Result<()> {
        let gone = Gone {
            chat: chat.clone(),
            share: Some(share.clone()),
        };
        self.log(kind::SHARE_DELETED, None, None, json(&gone)?)?;
        self.forget_share(share)?;
        showcase::forget_share(self.connection, share)?;
        self.forget_versions()
    }

    /// Removes the row of a share, and of the log what was said of it last; tells at which event it was frozen.
    fn forget_share(&self, share: &ShareId) -> Result<Option<Option<Seq>>> {
        let sql = "SELECT seq, frozen_at_seq FROM shares WHERE id = ?1";
        let old = sql::one(self.connection, sql, [share.as_str()], |row| {
            Ok((sql::seq(row, 0)?, sql::maybe_seq(row, 1)?))
        })?;
        let Some((seq, frozen_at_seq)) = old else {
            return Ok(None);
        };
        self.forget(Some(seq))?;
        self.run("DELETE FROM shares WHERE id = ?1", [share.as_str()])?;
        Ok(Some(frozen_at_seq))
    }

    /// Removes what was kept for frozen shares only, where none shows it any more.
    fn forget_versions(&self) -> Result<()> {
        let sql = "DELETE FROM events WHERE chat = ?1 AND until_seq IS NOT NULL AND kind NOT IN (?2, ?3) AND NOT EXISTS (
                SELECT 1 FROM shares s
                WHERE s.chat = ?1 AND s.frozen_at_seq >= events.seq AND s.frozen_at_seq < events.until_seq
            )";
        if self.run(sql, (self.key, kind::EDITED, kind::RENAMED))? > 0 {
            let sql = "UPDATE chats SET lost_seq = ?2 WHERE key = ?1";
            self.run(sql, (self.key, seq_value(self.seq)))?;
        }
        Ok(())
    }
}

/// The row of the log that holds the body of a message.
pub(crate) fn message_seq(
    connection: &Connection,
    chat: ChatKey,
    id: &MessageId,
) -> Result<Option<Seq>> {
    let sql = "SELECT seq FROM messages WHERE chat = ?1 AND id = ?2";
    sql::one(connection, sql, (chat, &id.0), |row| sql::seq(row, 0))
}

/// Written as [`Message::digest`] writes it.
fn json(value: &impl serde::Serialize) -> Result<String> {
    Ok(serde_json::to_string(value)?)
}
