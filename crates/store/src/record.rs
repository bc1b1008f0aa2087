//! What reading gives: rows with meaning.

use std::{fmt, str::FromStr};

use readalong_model::{
    ChatHead, ChatId, Message, Seq, Share, ShareVisibility, Timestamp, Updates, UserId,
};

use crate::{Found, StoreError};

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
    /// Only chats whose name or messages have this in them; messages from three characters on.
    pub search: Option<String>,
    /// Which come first.
    pub order: ChatOrder,
    /// Only those that come after the one where a list ended.
    pub after: Option<Cursor>,
    /// How many of the first to leave out.
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

/// Where a list ended and goes on, whatever was added or removed before it meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// What the list is sorted by: a time in milliseconds, or a name.
    pub(crate) by: String,
    /// Which of those that are alike in that.
    pub(crate) id: String,
}

/// Between the two parts of a cursor as text.
const CURSOR_GAP: char = '~';

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{CURSOR_GAP}{}", self.id, self.by)
    }
}

impl FromStr for Cursor {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        match text.split_once(CURSOR_GAP) {
            Some((id, by)) => Ok(Self {
                by: by.to_owned(),
                id: id.to_owned(),
            }),
            None => Err(StoreError::damaged(format!("`{text}` is no cursor"))),
        }
    }
}

/// Some chats of a list.
#[derive(Clone, Debug)]
pub struct ChatPage {
    /// The chats, with what was found in their messages.
    pub chats: Vec<ChatFound>,
    /// Where the list goes on.
    pub next: Option<Cursor>,
    /// False where messages came that could not be looked through yet.
    pub is_whole: bool,
}

/// A chat of a list.
#[derive(Clone, Debug)]
pub struct ChatFound {
    /// The chat.
    pub chat: ChatRecord,
    /// Where what was looked for stands in its messages; none where its name has it.
    pub found: Option<Found>,
}

/// Some shares of a list.
#[derive(Clone, Debug)]
pub struct SharePage {
    /// The shares, each with the name of its chat.
    pub shares: Vec<(Share, String)>,
    /// Where the list goes on.
    pub next: Option<Cursor>,
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
    /// Only those of this chat.
    pub chat: Option<ChatId>,
    /// Which come first.
    pub order: ShareOrder,
    /// Only those that come after the one where a list ended.
    pub after: Option<Cursor>,
    /// How many of the first to leave out.
    pub offset: u32,
    /// How many at most.
    pub limit: u32,
}

/// Which shares of a list come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ShareOrder {
    /// The newest.
    #[default]
    Newest,
    /// The oldest.
    Oldest,
    /// By name, capital letters make no difference.
    Name,
}

/// Entries of a list where nobody says how many: what people look through.
const LIST_LIMIT: u32 = 100;

impl Default for ChatFilter {
    fn default() -> Self {
        Self {
            text: None,
            search: None,
            order: ChatOrder::Changed,
            after: None,
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
            chat: None,
            order: ShareOrder::Newest,
            after: None,
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
