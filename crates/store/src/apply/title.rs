//! What a chat is called by those who read it: words that its owner keeps from them are no name either.

use readalong_model::{Message, Part};
use rusqlite::{Connection, types::ValueRef};

use crate::sql::{self, ChatKey, Result};

/// What may stand before the words of a line of Markdown.
const MARKS: [char; 7] = ['#', '>', '*', '-', '`', ' ', '\t'];

/// The name of a chat whose own is erased, or kept from readers.
pub(crate) const TITLE_LEFT: &str = "Untitled chat";

/// The name that its source gives a chat, unless a message that the owner hid or wrote over gave it.
pub(crate) fn seen(connection: &Connection, chat: ChatKey, title: String) -> Result<String> {
    let sql = "SELECT e.body, x.body, o.hidden FROM overlays o CROSS JOIN messages m ON m.chat = o.chat AND m.id = o.id
        JOIN events e ON e.seq = m.seq LEFT JOIN events x ON x.seq = o.edit_seq
        WHERE o.chat = ?1 AND (o.hidden OR o.edit_seq IS NOT NULL)";
    let keeps = sql::all(connection, sql, [chat], |row| {
        let message: Message = sql::json(row, 0)?;
        let edit: Option<Vec<Part>> = match row.get_ref(1)? {
            ValueRef::Null => None,
            _ => Some(sql::json(row, 1)?),
        };
        Ok(keeps(&message.parts, edit.as_deref(), row.get(2)?, &title))
    })?;
    match keeps.contains(&true) {
        true => Ok(TITLE_LEFT.to_owned()),
        false => Ok(title),
    }
}

/// True where what the owner did to a message keeps a title from readers: it is taken from what the message says in its source.
pub(crate) fn keeps(source: &[Part], edit: Option<&[Part]>, hidden: bool, title: &str) -> bool {
    let is_said = !hidden && edit.is_none_or(|edit| says(edit, title));
    !is_said && says(source, title)
}

/// True where a title is taken from what the parts say: a line begins with its words, less the marks of a heading and that of shortening.
pub(super) fn says(parts: &[Part], title: &str) -> bool {
    let bare = |line: &str| line.trim_start_matches(MARKS).to_owned();
    let words = bare(title.trim_end_matches('…').trim_end());
    !words.is_empty()
        && parts.iter().any(|part| match part {
            Part::Text { markdown } => markdown.lines().any(|line| bare(line).starts_with(&words)),
            _ => false,
        })
}
