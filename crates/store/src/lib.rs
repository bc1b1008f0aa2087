//! The event log of readalong and its tables, in one SQLite file, with the artifacts of chats in a folder beside it.
//!
//! One thread writes ([`Store::write`]); what waits is written together, told to those who read, and acknowledged when it is durable. Readers have connections of
//! their own ([`Store::read`]) and see what was there when they began. The tables of chats and shares are written by one function, which takes one
//! event (`apply.rs`). Nothing here is `async`, and SQL is nowhere else.
//!
//! A chat has two layers: what its source says, and what its owner changed over it. The source never undoes what the owner did.

mod accounts;
mod actions;
mod apply;
mod artifacts;
mod error;
mod kind;
mod reader;
mod record;
mod reserve;
mod schema;
mod search;
mod showcase;
mod sql;
mod store;
mod sync;
mod write;
mod writer;

pub use error::StoreError;
pub use reader::{
    Reader, ShowcaseEntry, ShowcaseFilter,
    history::{Done, HistoryEntry},
};
pub use record::{
    ChatFilter, ChatFound, ChatOrder, ChatPage, ChatRecord, Cursor, LegacyLink, SessionRecord,
    ShareFilter, ShareOrder, SharePage, StoredMessage, TokenRecord, User, UserRole,
};
pub use schema::VERSION;
pub use search::Found;
pub use showcase::{ShowcaseWords, ShowcaseWrite, Thumbnail};
pub use store::Store;
pub use write::{Applied, Body, Row, ShareChange, Write, Written};

#[cfg(test)]
mod tests;
