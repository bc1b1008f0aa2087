//! What reading gives: rows with meaning.

use std::{fmt, str::FromStr};

use readalong_model::{
    ChatHead, ChatId, Message, Seq, ShareVisibility, Timestamp, Updates, UserId,
};

use crate::StoreError;

/// A chat without its messages.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatRecord {
    /// Its id.
    pub id: ChatId,
    /// Who owns it.
    pub owner: UserId,
    /// Where it is followed from, if it is.
    pub source: Option<String>,
    /// What is said of it as a whole, with the name that the owner gave it.
    pub head: ChatHead,
    /// What the source calls it.
    pub source_title: String,
    /// How many messages it has, hidden ones included, erased ones not.
    pub messages: u32,
    /// One more than the place of its last message.
    pub places: u32,
    /// How many shares it has.
    pub shares: u32,
    /// When it was made here.
    pub created_at: Timestamp,
    /// When it changed last here.
    pub changed_at: Timestamp,
    /// The event that made it.
    pub created_seq: Seq,
    /// Its last event, those of its shares included.
    pub last_seq: Seq,
}

/// A message as readers get it: what the source says with the owner's changes over it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredMessage {
    /// Its place among the chat's messages.
    pub place: u32,
    /// The event that changed it last, be it the source's or the owner's.
    pub seq: Seq,
    /// The message; one that the owner hid or erased is [`Hidden`](readalong_model::Visibility::Hidden).
    pub message: Message,
    /// True where the owner wrote what it says.
    pub edited: bool,
    /// True where the owner hid it.
    pub hidden: bool,
    /// True where the owner erased it; nothing of it is left then.
    pub erased: bool,
}

/// What chats of a list are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatFilter {
    /// Only chats whose name has this in it, in capital letters or not.
    pub text: Option<String>,
    /// Which come first.
    pub order: ChatOrder,
    /// How many of the newest to leave out.
    pub offset: u32,
    /// How many at most.
    pub limit: u32,
}

/// Which chats of a list come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChatOrder {
    /// The one that changed last here.
    #[default]
    Changed,
    /// The one that was made here last.
    Created,
    /// By name, capital letters make no difference.
    Title,
}

/// What shares of a list are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareFilter {
    /// Only shares whose name (the chat's, where they have none) has this in it, in capital letters or not.
    pub text: Option<String>,
    /// Only shares that these people can open.
    pub visibility: Option<ShareVisibility>,
    /// Only frozen or only live ones.
    pub updates: Option<Updates>,
    /// How many of the newest to leave out.
    pub offset: u32,
    /// How many at most.
    pub limit: u32,
}

/// Entries of a list where nobody says how many: what people look through.
const LIST_LIMIT: u32 = 100;

impl Default for ChatFilter {
    fn default() -> Self {
        Self {
            text: None,
            order: ChatOrder::Changed,
            offset: 0,
            limit: LIST_LIMIT,
        }
    }
}

impl Default for ShareFilter {
    fn default() -> Self {
        Self {
            text: None,
            visibility: None,
            updates: None,
            offset: 0,
            limit: LIST_LIMIT,
        }
    }
}

/// An old link that a chat still answers at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegacyLink {
    /// Path of its URL, with the `/` at its beginning.
    pub path: String,
    /// The chat.
    pub chat: ChatId,
    /// From when on it is dead.
    pub expires_at: Timestamp,
}

/// A user of the server. The password is not here; see [`Reader::password_hash`](crate::Reader::password_hash).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The id.
    pub id: UserId,
    /// The name to sign in with.
    pub name: String,
    /// What the user may do.
    pub role: UserRole,
    /// True where a password is set.
    pub has_password: bool,
    /// When the user was made.
    pub created_at: Timestamp,
}

/// What a user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UserRole {
    /// Sees private shares.
    Viewer,
    /// Has chats and shares of its own too.
    Owner,
    /// May do all, for all users.
    Admin,
}

impl UserRole {
    /// The role as text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Owner => "owner",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for UserRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for UserRole {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        [Self::Viewer, Self::Owner, Self::Admin]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| StoreError::damaged(format!("`{text}` is no role")))
    }
}

/// An API token; the token itself is known to its holder only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRecord {
    /// Its number.
    pub id: i64,
    /// Whose.
    pub user: UserId,
    /// What it is for.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is worth nothing.
    pub expires_at: Option<Timestamp>,
    /// When it was used last, to the minute.
    pub used_at: Option<Timestamp>,
}

/// Hexadecimal digits of a session's id: so many tell the sessions of a user apart.
pub(crate) const SESSION_ID_DIGITS: u32 = 16;

/// A session of a user who signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// Names it among the user's: the first digits of its digest.
    pub id: String,
    /// The program that it is in, as it calls itself.
    pub agent: String,
    /// When it was used last, to the minute.
    pub used_at: Option<Timestamp>,
    /// Whose.
    pub user: UserId,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}
