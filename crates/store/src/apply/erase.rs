//! Erasing a message: its words go from every version that is kept, with files that only it had, and names of the chat and its threads that
//! were taken from it.

use readalong_model::{Artifact, ChatHead, Digest, Message, MessageId, Part, Seq, Thread};
use serde::de::DeserializeOwned;

use super::{
    Applying, json, message_seq,
    title::{TITLE_LEFT, says},
};
use crate::{
    kind, search,
    sql::{self, ChatKey, Result, seq_value},
};

/// Kind of an erasure: a file.
const FILE: i64 = 0;
/// Kind of an erasure: a name of the chat or of a thread.
const TITLE: i64 = 1;

impl Applying<'_> {
    /// Empties every version of the message that there is, and what the owner wrote in its place.
    pub(super) fn erased(&self, id: &MessageId) -> Result<()> {
        let source = message_seq(self.connection, self.key, id)?;
        search::forget(self.connection, self.key, source)?;
        search::scrub(self.connection)?;
        self.log(kind::ERASED, None, Some(id), None)?;
        let mut parts: Vec<Part> = Vec::new();
        for edit in self.edits(id)? {
            parts.extend(self.body::<Vec<Part>>(edit)?);
            self.forget_change(edit)?;
        }
        for seq in self.versions(id)? {
            let message: Message = self.body(seq)?;
            self.put_body(seq, &message.emptied())?;
            parts.extend(message.parts);
        }
        if let Some(current) = message_seq(self.connection, self.key, id)? {
            let left: Message = self.body(current)?;
            let sql = "UPDATE messages SET digest = ?3 WHERE chat = ?1 AND id = ?2";
            self.run(sql, (self.key, &id.0, left.digest().as_bytes()))?;
        }
        let sql = "INSERT INTO overlays (chat, id, seq, edit_seq, hidden, erased) VALUES (?1, ?2, ?3, NULL, 0, 1)
            ON CONFLICT DO UPDATE SET seq = excluded.seq, edit_seq = NULL, hidden = 0, erased = 1";
        self.run(sql, (self.key, &id.0, seq_value(self.seq)))?;
        self.erase_files(&parts)?;
        self.erase_titles(&parts)?;
        self.erase_thread_titles(&parts)
    }

    /// What the owner wrote in its place, now and before.
    fn edits(&self, id: &MessageId) -> Result<Vec<Seq>> {
        let sql = "SELECT c.seq FROM changes c JOIN events e ON e.seq = c.seq WHERE c.chat = ?1 AND e.kind = ?2 AND e.message = ?3";
        let values = (self.key, kind::EDITED, &id.0);
        sql::all(self.connection, sql, values, |row| sql::seq(row, 0))
    }

    /// The rows of the log that hold the message: as it is, and as frozen shares show it.
    fn versions(&self, id: &MessageId) -> Result<Vec<Seq>> {
        let sql = "SELECT seq FROM events WHERE chat = ?1 AND until_seq IS NOT NULL AND kind = ?2 AND message = ?3";
        let values = (self.key, kind::MESSAGE_PUT, &id.0);
        let mut versions = sql::all(self.connection, sql, values, |row| sql::seq(row, 0))?;
        versions.extend(message_seq(self.connection, self.key, id)?);
        Ok(versions)
    }

    /// Empties artifacts that were in these parts and are in no other message.
    fn erase_files(&self, parts: &[Part]) -> Result<()> {
        let mut places = Vec::new();
        artifacts_of(parts, &mut places);
        places.sort_unstable();
        places.dedup();
        for place in places {
            if !self.is_shown(place)? {
                self.empty_artifact(place)?;
            }
        }
        Ok(())
    }

    /// Empties every version of an artifact that there is.
    fn empty_artifact(&self, place: u32) -> Result<()> {
        let sql = "SELECT seq FROM events WHERE chat = ?1 AND kind = ?2 AND place = ?3";
        let values = (self.key, kind::ARTIFACT_PUT, place);
        for seq in sql::all(self.connection, sql, values, |row| sql::seq(row, 0))? {
            let artifact: Artifact = self.body(seq)?;
            self.put_body(seq, &artifact.emptied())?;
            if let Some((sha256, _)) = artifact.bytes() {
                self.erase_file(sha256)?;
            }
        }
        Ok(())
    }

    /// Empties an artifact whatever shows it, and remembers that its bytes do not come back.
    pub(super) fn artifact_erased(&self, place: u32) -> Result<()> {
        self.log(kind::ARTIFACT_ERASED, Some(place), None, None)?;
        self.empty_artifact(place)
    }

    /// True where a message of the chat has the artifact: every body is looked through, which only an erasure does.
    fn is_shown(&self, place: u32) -> Result<bool> {
        let sql = "SELECT kind, body FROM events WHERE chat = ?1 AND kind IN (?2, ?3)
            AND (instr(body, ?4) > 0 OR instr(body, ?5) > 0)";
        // As JSON is written here. What a transcript brings as JSON may hold the same, so the parts decide.
        let (last, further) = (
            format!("\"artifact\":{place}}}"),
            format!("\"artifact\":{place},"),
        );
        let values = (self.key, kind::MESSAGE_PUT, kind::EDITED, last, further);
        let shows = sql::all(self.connection, sql, values, |row| {
            let parts: Vec<Part> = match row.get(0)? {
                kind::EDITED => sql::json(row, 1)?,
                _ => sql::json::<Message>(row, 1)?.parts,
            };
            let mut places = Vec::new();
            artifacts_of(&parts, &mut places);
            Ok(places.contains(&place))
        })?;
        Ok(shows.contains(&true))
    }

    /// Gives a file up, unless another artifact of the chat has the same bytes.
    fn erase_file(&self, sha256: Digest) -> Result<()> {
        let sql =
            "SELECT 1 FROM events WHERE chat = ?1 AND kind = ?2 AND instr(body, ?3) > 0 LIMIT 1";
        let values = (self.key, kind::ARTIFACT_PUT, sha256.to_string());
        if sql::one(self.connection, sql, values, |_| Ok(()))?.is_none() {
            let sql = "DELETE FROM files WHERE sha256 = ?1 AND chat = ?2";
            self.run(sql, (sha256.as_bytes(), self.key))?;
            self.remember(FILE, sha256)?;
        }
        Ok(())
    }

    /// Takes names of the chat away that are words of these parts. The name that the owner gave stays.
    fn erase_titles(&self, parts: &[Part]) -> Result<()> {
        let sql = "SELECT seq FROM events WHERE chat = ?1 AND kind = ?2";
        let heads = (self.key, kind::HEAD);
        for seq in sql::all(self.connection, sql, heads, |row| sql::seq(row, 0))? {
            let mut head: ChatHead = self.body(seq)?;
            if head.title != TITLE_LEFT && says(parts, &head.title) {
                self.remember(TITLE, Digest::of(head.title.as_bytes()))?;
                TITLE_LEFT.clone_into(&mut head.title);
                self.put_body(seq, &head)?;
                self.set_source_title_if_current(seq, TITLE_LEFT)?;
            }
        }
        Ok(())
    }

    /// Takes names of threads away that are words of these parts, or of the call among them that began the thread.
    fn erase_thread_titles(&self, parts: &[Part]) -> Result<()> {
        let begins = |call: &str| {
            let is_it = |part: &Part| matches!(part, Part::ToolCall(of) if of.call_id == call);
            parts.iter().any(is_it)
        };
        let sql = "SELECT seq FROM events WHERE chat = ?1 AND kind = ?2";
        let threads = (self.key, kind::THREAD_PUT);
        for seq in sql::all(self.connection, sql, threads, |row| sql::seq(row, 0))? {
            let mut thread: Thread = self.body(seq)?;
            let is_begun = thread.parent_call.as_deref().is_some_and(begins);
            if let Some(title) = thread.title.take()
                && (is_begun || says(parts, &title))
            {
                self.remember(TITLE, Digest::of(title.as_bytes()))?;
                self.put_body(seq, &thread)?;
            }
        }
        Ok(())
    }

    fn set_source_title_if_current(&self, head: Seq, title: &str) -> Result<()> {
        let sql = "UPDATE chats SET source_title = ?3 WHERE key = ?1 AND head_seq = ?2";
        if self.run(sql, (self.key, seq_value(head), title))? > 0 {
            self.settle_title()?;
        }
        Ok(())
    }

    fn remember(&self, kind: i64, sha256: Digest) -> Result<()> {
        let sql =
            "INSERT INTO erasures (chat, kind, sha256) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
        self.run(sql, (self.key, kind, sha256.as_bytes()))?;
        Ok(())
    }

    fn body<T: DeserializeOwned>(&self, seq: Seq) -> Result<T> {
        let sql = "SELECT body FROM events WHERE seq = ?1";
        let body = sql::one(self.connection, sql, [seq_value(seq)], |row| {
            sql::json(row, 0)
        })?;
        body.ok_or_else(|| crate::StoreError::damaged(format!("event {seq} is missing")))
    }

    fn put_body(&self, seq: Seq, value: &impl serde::Serialize) -> Result<()> {
        let sql = "UPDATE events SET body = ?2 WHERE seq = ?1";
        self.run(sql, (seq_value(seq), json(value)?))?;
        Ok(())
    }
}

/// True where the file went with an erased message of the chat.
pub(crate) fn is_file_erased(
    connection: &rusqlite::Connection,
    chat: ChatKey,
    sha256: Digest,
) -> Result<bool> {
    is_remembered(connection, chat, FILE, sha256)
}

/// True where the name of the chat or of a thread went with an erased message.
pub(crate) fn is_title_erased(
    connection: &rusqlite::Connection,
    chat: ChatKey,
    title: &str,
) -> Result<bool> {
    is_remembered(connection, chat, TITLE, Digest::of(title.as_bytes()))
}

fn is_remembered(
    connection: &rusqlite::Connection,
    chat: ChatKey,
    kind: i64,
    sha256: Digest,
) -> Result<bool> {
    let sql = "SELECT 1 FROM erasures WHERE chat = ?1 AND kind = ?2 AND sha256 = ?3";
    let values = (chat, kind, sha256.as_bytes());
    Ok(sql::one(connection, sql, values, |_| Ok(()))?.is_some())
}

fn artifacts_of(parts: &[Part], places: &mut Vec<u32>) {
    for part in parts {
        match part {
            Part::Image { artifact, .. } | Part::File { artifact } => places.push(artifact.0),
            Part::ToolResult { parts, .. } => artifacts_of(parts, places),
            _ => {}
        }
    }
}
