//! Reading: one transaction, so that all that one reader tells fits together.

mod accounts;
pub(crate) mod chats;
pub(crate) mod history;
pub(crate) mod log;
pub(crate) mod messages;
pub(crate) mod shares;
mod showcase;
mod whole;

pub use showcase::{ShowcaseEntry, ShowcaseFilter};

use readalong_model::{ChatId, Seq};
use rusqlite::Transaction;

use crate::{
    search,
    sql::{self, ChatKey, Result},
};

/// Reads the store as it was when the reading began.
pub struct Reader<'a> {
    transaction: Transaction<'a>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(transaction: Transaction<'a>) -> Self {
        Self { transaction }
    }

    /// The last event of the log that this reader sees: what it reads is as of this event.
    ///
    /// # Errors
    /// The database fails.
    pub fn last_seq(&self) -> Result<Seq> {
        let sql = "SELECT coalesce(max(seq), 0) FROM events";
        Ok(sql::one(&self.transaction, sql, [], |row| sql::seq(row, 0))?.unwrap_or(0))
    }

    /// True where everything that messages say can be found by its index.
    ///
    /// # Errors
    /// The database fails.
    pub fn is_indexed(&self) -> Result<bool> {
        Ok(!search::is_due(&self.transaction)?)
    }

    fn key(&self, chat: &ChatId) -> Result<Option<ChatKey>> {
        sql::chat_key(&self.transaction, chat)
    }
}
