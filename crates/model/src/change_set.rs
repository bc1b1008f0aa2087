//! What a source brings at once: the changes of one chat that belong together.

use serde::{Deserialize, Serialize};

use crate::{Artifact, ChatHead, Message, MessageId, Thread};

/// Changes of one chat that are written together or not at all. Threads and artifacts stand before the messages that name them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChangeSet {
    /// What is said of the chat as a whole, where that is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head: Option<ChatHead>,
    /// Threads that are new or changed, with their places; thread 0, the main one, is always there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub threads: Vec<(u32, Thread)>,
    /// Artifacts that are new or changed, with their places.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<(u32, Artifact)>,
    /// Messages that are new, grew or moved, with their places.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<(u32, Message)>,
    /// Messages that are not there any more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<MessageId>,
}

impl ChangeSet {
    /// True where nothing changes.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
