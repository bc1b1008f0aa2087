//! Where a follower brings what it reads: a store on this machine, or a server elsewhere ([`HttpSink`](crate::HttpSink)).

use std::path::PathBuf;

use readalong_model::{ChangeSet, ChatHead, ChatId, Digest, Message, MessageId};

/// Takes the changes of followed chats. Called on the follower's own thread, one call at a time a follower; may block.
pub trait Sink: Send + Sync {
    /// The chat of that source, made with that head where there is none yet. The same source always gives the same chat.
    ///
    /// # Errors
    /// See [`SinkError`].
    fn open_chat(&self, source: &str, head: &ChatHead) -> Result<ChatId, SinkError>;

    /// True where that source has a chat.
    ///
    /// # Errors
    /// See [`SinkError`].
    fn has_chat(&self, source: &str) -> Result<bool, SinkError>;

    /// What the chat holds by now, as its source said it, in the order of the places.
    ///
    /// # Errors
    /// See [`SinkError`].
    fn index(&self, chat: &ChatId) -> Result<Vec<IndexEntry>, SinkError>;

    /// A message as its source said it (nothing that its owner changed); `None` where there is none.
    ///
    /// # Errors
    /// See [`SinkError`].
    fn recall(&self, chat: &ChatId, id: &MessageId) -> Result<Option<Message>, SinkError>;

    /// Takes changes: all of them or none. What is there already may be dropped; the same changes twice are the same as once.
    ///
    /// # Errors
    /// See [`SinkError`].
    fn apply(&self, chat: &ChatId, changes: ChangeSet) -> Result<(), SinkError>;

    /// Keeps the bytes of an artifact under their digest. It stands before the changes that name it.
    ///
    /// # Errors
    /// See [`SinkError`].
    fn keep_artifact(&self, chat: &ChatId, bytes: &[u8]) -> Result<Digest, SinkError>;

    /// Hears how a followed file is. Must not block.
    fn state(&self, state: &FollowState) {
        let _ = state;
    }
}

/// A message that a chat holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// Which message.
    pub id: MessageId,
    /// [`Message::digest`] of it, as its source said it.
    pub digest: Digest,
    /// Its place among the chat's messages.
    pub place: u32,
}

/// Why a sink did not take something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// It may be taken later: the follower tries again.
    #[error("{0}")]
    Later(String),
    /// It will never be taken: the follower gives this chat up until its file is another one. The text says why and what to do.
    #[error("{0}")]
    Refused(String),
    /// The sink was told to stop.
    #[error("stopped")]
    Stopped,
}

/// How a followed file is.
#[derive(Clone, Debug, PartialEq)]
pub struct FollowState {
    /// The file.
    pub path: PathBuf,
    /// Its chat, once it is known.
    pub chat: Option<ChatId>,
    /// How it is followed at present.
    pub following: Following,
}

/// How a file is followed at present.
#[derive(Clone, Debug, PartialEq)]
pub enum Following {
    /// It holds no record that tells its format yet.
    Waiting,
    /// What it holds is being read.
    Reading {
        /// Bytes read so far.
        read_bytes: u64,
        /// Bytes that it holds.
        size_bytes: u64,
    },
    /// All that it holds is in its chat; what is appended follows.
    UpToDate,
    /// The file is not there any more. Its chat stays.
    Gone,
    /// It is not followed. The text says why and what to do.
    Refused(String),
    /// It cannot be read or brought on at present; the follower tries again. The text says why.
    Failing(String),
}
