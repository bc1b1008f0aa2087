//! The index of what messages say, and looking in it.
//!
//! Messages are taken in by and by, by the writer's thread when it has time: appending costs nothing more. What follows each other in a chat is one text of the index, which makes that small. A
//! text of which a message becomes another goes, and comes again later. What is not in the index is looked through. The index gives candidates, since it knows only which three letters a
//! text has; whoever looks reads the messages.

use std::{
    cell::Cell,
    collections::{BTreeMap, HashMap},
    ops::ControlFlow,
};

use readalong_model::{Message, MessageId, Part, RawJson, Seq, UserId};
use rusqlite::{Connection, Row};

use crate::{
    StoreError, kind,
    sql::{self, ChatKey, Result, run, seq_value},
};

/// Bytes of a message that can be found: of long output of tools the beginning.
const TEXT_BYTES_MAX: usize = 32 << 10;
/// Events that are taken in at once.
const STEP_EVENTS: u32 = 500;
/// Bytes that are taken in at once, so that whoever writes waits some milliseconds at most.
const STEP_BYTES: usize = 64 << 10;
/// Pages of the index that are written at once to let go of what was removed.
const STEP_PAGES: i64 = 32;
/// Characters of what the index can look for at least.
pub(crate) const QUERY_CHARS_MIN: usize = 3;
/// Characters of what is looked for at most.
const QUERY_CHARS_MAX: usize = 200;
/// Texts that are gone through, those of the newest chats first: more have only what stands everywhere.
const TEXTS_SOUGHT_MAX: u32 = 50_000;
/// Bytes of messages that are read for one answer: some 50 ms.
const READ_BYTES_MAX: usize = 24 << 20;
/// Newest messages that are looked through because the index does not have them yet.
const TAIL_MAX: u32 = 500;
/// Characters before and behind what was found.
const EXCERPT_CHARS: usize = 60;

/// Text as it is looked through: on one line, in small letters.
pub(crate) fn folded(text: &str) -> String {
    lower(&squeezed(text))
}

/// Text on one line: one space for white space and for what would end a text for SQLite.
fn squeezed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut is_space = true;
    for c in text.chars() {
        let is_gap = c.is_whitespace() || c.is_control();
        match is_gap {
            true if is_space => {}
            true => out.push(' '),
            false => out.push(c),
        }
        is_space = is_gap;
    }
    out
}

/// Small letters, each by itself, so that a piece of a text is folded as the text is.
fn lower(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// What people read of a message.
fn text_of(parts: &[Part]) -> String {
    let mut out = String::new();
    add_text(parts, &mut out);
    out
}

fn add_text(parts: &[Part], out: &mut String) {
    let mut add = |text: &str| {
        let room = TEXT_BYTES_MAX.saturating_sub(out.len());
        let mut end = room.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        out.push_str(&text[..end]);
        out.push('\n');
    };
    for part in parts {
        match part {
            Part::Text { markdown } | Part::Reasoning { markdown, .. } => add(markdown),
            Part::ToolCall(call) => {
                add(&call.name);
                add(&serde_json::to_string(&call.action).unwrap_or_default());
                add(call.input.as_ref().map_or("", RawJson::get));
            }
            Part::ToolResult { parts, .. } => add_answer(parts, &mut add),
            Part::Image { alt, .. } => add(alt.as_deref().unwrap_or_default()),
            Part::Source { title, excerpt, .. } => {
                add(title);
                add(excerpt.as_deref().unwrap_or_default());
            }
            Part::Notice { text, .. } => add(text),
            Part::Unknown { json, .. } => add(json.get()),
            Part::File { .. } => {}
        }
    }
}

/// What a tool answered; its answers have no further ones.
fn add_answer(parts: &[Part], add: &mut impl FnMut(&str)) {
    for part in parts {
        if let Part::Text { markdown } = part {
            add(markdown);
        }
    }
}

/// A message as its owner sees it.
struct Shown {
    id: MessageId,
    parts: Vec<Part>,
}

impl Shown {
    fn of_row(connection: &Connection, chat: ChatKey, row: &Row<'_>) -> Result<Self> {
        let Message { id, parts, .. } = sql::json(row, 0)?;
        let edit = sql::one(connection, EDIT, (chat, &id.0), |row| sql::json(row, 0))?;
        let parts = edit.unwrap_or(parts);
        Ok(Self { id, parts })
    }

    fn text(&self) -> String {
        squeezed(&text_of(&self.parts))
    }
}

/// Messages of a chat whose event is within a range, as they are now, in the order of their events.
const SHOWN: &str = "SELECT body FROM events WHERE chat = ?1 AND seq BETWEEN ?2 AND ?3 AND kind = ?4 AND until_seq IS NULL ORDER BY seq";
/// What the owner wrote in place of one.
const EDIT: &str = "SELECT x.body FROM overlays o JOIN events x ON x.seq = o.edit_seq WHERE o.chat = ?1 AND o.id = ?2";

/// Calls `see` with the messages of a range until it has enough.
fn each_shown(
    connection: &Connection,
    chat: ChatKey,
    (first, last): (i64, i64),
    mut see: impl FnMut(Shown) -> ControlFlow<()>,
) -> Result<()> {
    let mut statement = connection.prepare_cached(SHOWN)?;
    let mut rows = statement.query((chat, first, last, kind::MESSAGE_PUT))?;
    while let Some(row) = rows.next()? {
        if see(Shown::of_row(connection, chat, row)?).is_break() {
            break;
        }
    }
    Ok(())
}

/// The last event whose message is in a text.
fn indexed_seq(connection: &Connection) -> Result<i64> {
    let sql = "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'indexed_seq'";
    Ok(sql::one(connection, sql, [], |row| Ok(row.get(0)?))?.unwrap_or(0))
}

/// Takes the text with the message of an event out of the index, because that is another from now on.
pub(crate) fn forget(connection: &Connection, chat: ChatKey, seq: Option<Seq>) -> Result<()> {
    let Some(seq) = seq else {
        return Ok(());
    };
    let sql = "SELECT key FROM text_ranges WHERE chat = ?1 AND last_seq >= ?2 AND first_seq <= ?2 AND NOT due ORDER BY last_seq LIMIT 1";
    let key: Option<i64> = sql::one(connection, sql, (chat, seq_value(seq)), |row| {
        Ok(row.get(0)?)
    })?;
    if let Some(key) = key {
        run(connection, "DELETE FROM texts WHERE rowid = ?1", [key])?;
        run(
            connection,
            "UPDATE text_ranges SET due = 1 WHERE key = ?1",
            [key],
        )?;
    }
    Ok(())
}

/// Takes all texts of a chat out of the index.
pub(crate) fn forget_chat(connection: &Connection, chat: ChatKey) -> Result<()> {
    let sql = "SELECT key FROM text_ranges WHERE chat = ?1 AND NOT due";
    for key in sql::all(connection, sql, [chat], |row| Ok(row.get::<_, i64>(0)?))? {
        run(connection, "DELETE FROM texts WHERE rowid = ?1", [key])?;
    }
    run(
        connection,
        "DELETE FROM text_ranges WHERE chat = ?1",
        [chat],
    )?;
    scrub(connection)
}

/// Says that nothing may stay in the index of what left it: it is written anew by and by.
pub(crate) fn scrub(connection: &Connection) -> Result<()> {
    run(
        connection,
        "UPDATE meta SET value = '1' WHERE key = 'scrub'",
        [],
    )?;
    Ok(())
}

/// How far the scrubbing of the index has come.
fn scrubbing(connection: &Connection) -> Result<i64> {
    let sql = "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'scrub'";
    Ok(sql::one(connection, sql, [], |row| Ok(row.get(0)?))?.unwrap_or(0))
}

/// True where messages are not in the index as they are.
pub(crate) fn is_due(connection: &Connection) -> Result<bool> {
    let changed = "SELECT 1 FROM text_ranges WHERE due LIMIT 1";
    let new = "SELECT 1 FROM events WHERE seq > ?1 AND kind = ?2 LIMIT 1";
    let values = (indexed_seq(connection)?, kind::MESSAGE_PUT);
    Ok(sql::one(connection, changed, [], |_| Ok(()))?.is_some()
        || sql::one(connection, new, values, |_| Ok(()))?.is_some())
}

/// What a step of the index did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// There is more to do.
    More,
    /// The index is as the messages are.
    Done,
    /// It is, and the last of what was removed has just left it.
    Scrubbed,
}

/// Does some of what the index needs, within a transaction.
pub(crate) fn step(connection: &Connection) -> Result<Step> {
    if let Some(range) = due_range(connection)? {
        put(connection, range)?;
        return Ok(Step::More);
    }
    if take_in(connection)? {
        return Ok(Step::More);
    }
    match scrubbing(connection)? {
        0 => Ok(Step::Done),
        stage => merge(connection, stage),
    }
}

/// Writes some of the index anew, less what was removed. The first time all of it is put in line for that.
fn merge(connection: &Connection, stage: i64) -> Result<Step> {
    let pages = if stage == 1 { -STEP_PAGES } else { STEP_PAGES };
    let before = connection.total_changes();
    let sql = "INSERT INTO texts (texts, rank) VALUES ('merge', ?1)";
    run(connection, sql, [pages])?;
    // As its documentation has it: less than two changes say that there was nothing to merge.
    let is_done = connection.total_changes() - before < 2;
    let sql = "UPDATE meta SET value = ?1 WHERE key = 'scrub'";
    run(connection, sql, [if is_done { "0" } else { "2" }])?;
    Ok(if is_done { Step::Scrubbed } else { Step::More })
}

/// Events of a chat whose messages are one text.
#[derive(Clone, Copy)]
struct TextRange {
    chat: ChatKey,
    first: i64,
    last: i64,
}

impl TextRange {
    /// Its number in the index, by which texts of a chat stand together.
    fn key(self) -> i64 {
        (self.chat.0 << 32) | (self.last & 0xffff_ffff)
    }
}

fn due_range(connection: &Connection) -> Result<Option<TextRange>> {
    let sql = "SELECT chat, first_seq, last_seq FROM text_ranges WHERE due LIMIT 1";
    sql::one(connection, sql, [], range)
}

fn range(row: &Row<'_>) -> Result<TextRange> {
    Ok(TextRange {
        chat: ChatKey(row.get(0)?),
        first: row.get(1)?,
        last: row.get(2)?,
    })
}

/// Puts the text of a range into the index; one without messages is forgotten.
fn put(connection: &Connection, range: TextRange) -> Result<()> {
    let mut text = String::new();
    each_shown(connection, range.chat, (range.first, range.last), |shown| {
        text.push_str(&lower(&shown.text()));
        text.push('\n');
        ControlFlow::Continue(())
    })?;
    if text.trim().is_empty() {
        run(
            connection,
            "DELETE FROM text_ranges WHERE key = ?1",
            [range.key()],
        )?;
        return Ok(());
    }
    let sql = "INSERT INTO texts (rowid, text) VALUES (?1, ?2)";
    run(connection, sql, (range.key(), &text))?;
    let sql =
        "INSERT INTO text_ranges (key, chat, first_seq, last_seq, due) VALUES (?1, ?2, ?3, ?4, 0)
        ON CONFLICT DO UPDATE SET due = 0";
    run(
        connection,
        sql,
        (range.key(), range.chat, range.first, range.last),
    )?;
    Ok(())
}

/// Takes in the next messages; false where there are none.
fn take_in(connection: &Connection) -> Result<bool> {
    let sql = "SELECT e.seq, e.chat, length(e.body) FROM events e JOIN chats c ON c.key = e.chat
        WHERE e.seq > ?1 AND e.kind = ?2 AND e.until_seq IS NULL ORDER BY e.seq LIMIT ?3";
    let from = indexed_seq(connection)?;
    let values = (from, kind::MESSAGE_PUT, STEP_EVENTS);
    let (mut ranges, mut bytes, mut last): (BTreeMap<i64, TextRange>, usize, i64) =
        Default::default();
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
    while let Some(row) = rows.next()? {
        let (seq, chat) = (row.get(0)?, ChatKey(row.get(1)?));
        let range = ranges.entry(chat.0).or_insert(TextRange {
            chat,
            first: seq,
            last: seq,
        });
        (range.last, last) = (seq, seq);
        bytes += row.get::<_, u32>(2)?.min(TEXT_BYTES_MAX as u32) as usize;
        if bytes >= STEP_BYTES {
            break;
        }
    }
    drop(rows);
    if ranges.is_empty() {
        // What is left are events of chats that are gone.
        let sql = "SELECT max(seq) FROM events";
        last = sql::one(connection, sql, [], |row| Ok(row.get(0)?))?.unwrap_or(from);
    }
    let is_new = !ranges.is_empty();
    for range in ranges.into_values() {
        put(connection, range)?;
    }
    if last > from {
        let sql = "UPDATE meta SET value = ?1 WHERE key = 'indexed_seq'";
        run(connection, sql, [last.to_string()])?;
    }
    Ok(is_new)
}

/// Where in a chat something was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The message.
    pub message: MessageId,
    /// What stands around it, on one line.
    pub excerpt: String,
}

/// Something that an owner looks for in all their chats.
pub(crate) struct Search<'a> {
    connection: &'a Connection,
    owner: UserId,
    query: String,
    /// Texts that may have it, by their chats.
    texts: HashMap<i64, Vec<i64>>,
    /// What was found in messages that are not in the index.
    unindexed: HashMap<i64, Found>,
    /// Words of it that a message has as they are, where nobody edited it: what lacks one need not be taken apart.
    words: Vec<Vec<u8>>,
    /// Bytes of messages that may still be read.
    bytes_left: Cell<usize>,
    /// False where not everything could be looked through.
    pub(crate) is_whole: bool,
}

impl<'a> Search<'a> {
    /// Begins to look for a text.
    pub(crate) fn new(connection: &'a Connection, owner: UserId, text: &str) -> Result<Self> {
        let query: String = folded(text).trim().chars().take(QUERY_CHARS_MAX).collect();
        let mut search = Self {
            connection,
            owner,
            words: plain_words(&query),
            bytes_left: Cell::new(READ_BYTES_MAX),
            query,
            texts: HashMap::new(),
            unindexed: HashMap::new(),
            is_whole: true,
        };
        if let Some(expression) = expression(&search.query) {
            search.ask_index(&expression)?;
            search.look_through_rest()?;
        }
        Ok(search)
    }

    /// True where a name has it.
    pub(crate) fn is_in(&self, name_folded: &str) -> bool {
        name_folded.contains(&self.query)
    }

    fn ask_index(&mut self, expression: &str) -> Result<()> {
        let sql = "SELECT rowid FROM texts WHERE texts MATCH ?1 ORDER BY rowid DESC LIMIT ?2";
        let mut count = 0;
        let texts = &mut self.texts;
        sql::each(
            self.connection,
            sql,
            (expression, TEXTS_SOUGHT_MAX),
            |row| {
                let key: i64 = row.get(0)?;
                texts.entry(key >> 32).or_default().push(key);
                count += 1;
                Ok(())
            },
        )?;
        self.is_whole &= count < TEXTS_SOUGHT_MAX;
        Ok(())
    }

    /// Looks through what the index does not have of the owner's chats: the newest messages, and texts of which one became another. What others
    /// have is nobody else's to wait for.
    fn look_through_rest(&mut self) -> Result<()> {
        // From the chats on: they are few beside all that may be new.
        let new = "SELECT e.chat, e.seq, e.seq FROM chats c CROSS JOIN events e ON e.chat = c.key AND e.seq > ?2
            WHERE c.owner = ?1 AND e.kind = ?3 AND e.until_seq IS NULL ORDER BY e.seq DESC LIMIT ?4";
        let from = indexed_seq(self.connection)?;
        let mut rest = sql::all(
            self.connection,
            new,
            (self.owner.0, from, kind::MESSAGE_PUT, TAIL_MAX),
            range,
        )?;
        let changed = "SELECT r.chat, r.first_seq, r.last_seq FROM text_ranges r JOIN chats c ON c.key = r.chat
            WHERE r.due AND c.owner = ?1 LIMIT ?2";
        rest.extend(sql::all(
            self.connection,
            changed,
            (self.owner.0, TAIL_MAX),
            range,
        )?);
        self.is_whole &= rest.len() < TAIL_MAX as usize;
        for range in rest {
            if let Some(found) = self.found_in(range)? {
                self.unindexed.insert(range.chat.0, found);
            }
        }
        Ok(())
    }

    /// Where the messages of a chat have it.
    pub(crate) fn in_messages(&self, chat: ChatKey) -> Result<Option<Found>> {
        if let Some(found) = self.unindexed.get(&chat.0) {
            return Ok(Some(found.clone()));
        }
        let sql = "SELECT chat, first_seq, last_seq FROM text_ranges WHERE key = ?1";
        for key in self.texts.get(&chat.0).into_iter().flatten() {
            let range = sql::one(self.connection, sql, [key], range)?;
            if let Some(range) = range
                && let Some(found) = self.found_in(range)?
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// True where so much was read that the rest has to be asked for again.
    pub(crate) fn is_spent(&self) -> bool {
        self.bytes_left.get() == 0
    }

    fn found_in(&self, range: TextRange) -> Result<Option<Found>> {
        let is_edited = "SELECT 1 FROM overlays WHERE chat = ?1 AND edit_seq IS NOT NULL LIMIT 1";
        let is_edited = sql::one(self.connection, is_edited, [range.chat], |_| Ok(()))?.is_some();
        let mut statement = self.connection.prepare_cached(SHOWN)?;
        let values = (range.chat, range.first, range.last, kind::MESSAGE_PUT);
        let mut rows = statement.query(values)?;
        while let Some(row) = rows.next()? {
            let body = row.get_ref(0)?.as_bytes().map_err(StoreError::damaged)?;
            let left = self.bytes_left.get().saturating_sub(body.len());
            self.bytes_left.set(left);
            if !is_edited && !self.may_have(body) {
                continue;
            }
            let shown = Shown::of_row(self.connection, range.chat, row)?;
            if let Some(found) = self.found(&shown) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn may_have(&self, body: &[u8]) -> bool {
        let body = body.to_ascii_lowercase();
        self.words
            .iter()
            .all(|word| memchr::memmem::find(&body, word).is_some())
    }

    fn found(&self, shown: &Shown) -> Option<Found> {
        let whole = shown.text();
        let lower = lower(&whole);
        let at = lower.find(&self.query)?;
        // Few letters have another length when they are small.
        let end = at + self.query.len();
        let is_alike =
            lower.len() == whole.len() && whole.is_char_boundary(at) && whole.is_char_boundary(end);
        let text = if is_alike { whole } else { lower };
        let start = text[..at].char_indices().rev().take(EXCERPT_CHARS).last();
        let start = start.map_or(at, |(start, _)| start);
        let rest = text[end..].char_indices().nth(EXCERPT_CHARS);
        let end = rest.map_or(text.len(), |(rest, _)| end + rest);
        let dots = |is_cut: bool| if is_cut { "…" } else { "" };
        Some(Found {
            message: shown.id.clone(),
            excerpt: format!(
                "{}{}{}",
                dots(start > 0),
                text[start..end].trim(),
                dots(end < text.len())
            ),
        })
    }
}

/// Words that JSON has as they are, in small letters: ASCII without what is written otherwise.
fn plain_words(query: &str) -> Vec<Vec<u8>> {
    let is_plain = |word: &&str| {
        word.bytes()
            .all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
    };
    let words = query.split(' ').filter(is_plain);
    words.map(|word| word.as_bytes().to_vec()).collect()
}

/// All runs of three characters of a query, which a text with the query has all of.
fn expression(query: &str) -> Option<String> {
    let chars: Vec<char> = query.chars().collect();
    if chars.len() < QUERY_CHARS_MIN {
        return None;
    }
    let mut runs: Vec<String> = chars.windows(QUERY_CHARS_MIN).map(quoted).collect();
    runs.sort_unstable();
    runs.dedup();
    Some(runs.join(" AND "))
}

fn quoted(run: &[char]) -> String {
    let text: String = run.iter().collect();
    format!("\"{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_looked_through_in_small_letters_and_on_one_line() {
        assert_eq!(folded("  A\n\tB\u{0}c  "), "a b c ");
        assert_eq!(expression("ab"), None);
        assert_eq!(expression("a\"bc").unwrap(), "\"\"\"bc\" AND \"a\"\"b\"");
    }
}
