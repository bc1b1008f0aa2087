//! One conversation, its messages in order.

use serde::{Deserialize, Serialize};

use crate::{Artifact, LeftOut, Message, MessageId, ShareCard, Timestamp};

/// One conversation, whole, as its owner has it. Viewers get a [`Snapshot`](crate::Snapshot) of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chat {
    /// What the chat is called.
    pub title: String,
    /// Where it came from.
    pub origin: Origin,
    /// When it began, where known.
    pub created_at: Option<Timestamp>,
    /// Time of its last change, where known.
    pub updated_at: Option<Timestamp>,
    /// Its threads; the first is the main one, [`ThreadId`] is the place in this list.
    pub threads: Vec<Thread>,
    /// Its messages, in the order of the transcript.
    pub messages: Vec<Message>,
    /// The message at which the branch that is read first ends; `None` means the last message of the main thread.
    pub active_leaf: Option<MessageId>,
    /// Its files; [`ArtifactId`](crate::ArtifactId) is the place in this list.
    pub artifacts: Vec<Artifact>,
    /// Records of the transcript that could not be read.
    pub damaged_records: u64,
    /// What was left out already: a chat that comes from a bundle lacks what its owner kept back.
    pub left_out: LeftOut,
    /// The share that it was taken from, for a chat that comes from a bundle of one.
    pub share: Option<ShareCard>,
}

/// Where a chat came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Name of the format, as `readalong formats` lists it.
    pub format: String,
    /// The program that wrote it, with its version where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// The chat's id there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub native_id: Option<String>,
}

/// The place of a thread in its chat's list of threads.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct ThreadId(pub u32);

impl ThreadId {
    /// The main thread.
    pub const MAIN: Self = Self(0);

    /// True for the main thread.
    pub fn is_main(&self) -> bool {
        *self == Self::MAIN
    }
}

/// A sequence of messages of its own within a chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thread {
    /// What kind of sequence.
    pub kind: ThreadKind,
    /// What it is called, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The tool call that started it, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_call: Option<String>,
}

/// Kinds of threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThreadKind {
    /// What the human and the model say to each other.
    Main,
    /// Work of a subagent.
    Subagent,
    /// The making of a summary.
    Compaction,
    /// Anything beside the main thread.
    Side,
}
