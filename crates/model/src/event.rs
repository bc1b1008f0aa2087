//! What changes, one thing at a time: the entries of the log that pages, lists and viewers are fed from.

use serde::{Deserialize, Serialize};

use crate::{
    Artifact, Chat, ChatId, LeftOut, Message, MessageId, Origin, Part, Share, ShareId, Thread,
    Timestamp, UserId,
};

/// The number of an event in the log, from 1. 0 stands before all events.
pub type Seq = u64;

/// One change of a chat or a share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its number in the log.
    pub seq: Seq,
    /// When it was written.
    pub at: Timestamp,
    /// The chat that changed, or whose share did.
    pub chat: ChatId,
    /// What changed.
    pub change: Change,
}

/// What an event says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The chat is there now; its head follows.
    ChatCreated {
        /// Who owns it.
        owner: UserId,
        /// Where it is followed from, if it is: a path or what a client gave; unique among the owner's chats.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<String>,
    },
    /// What is said of the chat as a whole is new.
    Head(ChatHead),
    /// A thread was added, or is new in its place.
    ThreadPut {
        /// Its place in the chat's list.
        place: u32,
        /// The thread.
        thread: Thread,
    },
    /// An artifact was added, or is new in its place.
    ArtifactPut {
        /// Its place in the chat's list.
        place: u32,
        /// The artifact.
        artifact: Artifact,
    },
    /// A message was added, grew, or stands elsewhere.
    MessagePut {
        /// Its place among the chat's messages, from 0.
        place: u32,
        /// The message as the source has it.
        message: Message,
    },
    /// The source does not have the message any more.
    MessageRemoved {
        /// The message.
        id: MessageId,
    },
    /// The owner wrote other text in place of what a message says.
    Edited {
        /// The message.
        id: MessageId,
        /// What it says now.
        parts: Vec<Part>,
    },
    /// The owner hid a message from readers, or showed it again.
    Hidden {
        /// The message.
        id: MessageId,
        /// True where it is hidden now.
        hidden: bool,
    },
    /// The owner removed a message for good; its text is nowhere any more.
    Erased {
        /// The message.
        id: MessageId,
    },
    /// The owner hid an artifact from readers, or showed it again.
    ArtifactHidden {
        /// Its place in the chat's list.
        place: u32,
        /// True where it is hidden now.
        hidden: bool,
    },
    /// The owner removed an artifact for good; its bytes are nowhere any more.
    ArtifactErased {
        /// Its place in the chat's list.
        place: u32,
    },
    /// The owner's last change took an earlier one back: neither counts for what is taken back next.
    Undone {
        /// The event of what was taken back.
        seq: Seq,
    },
    /// Secrets were taken out of the chat, in every version of it that is kept; nothing else changed.
    Redacted,
    /// The owner gave the chat another name.
    Renamed {
        /// The name.
        title: String,
    },
    /// The chat and all its shares are gone.
    ChatDeleted,
    /// A share began.
    ShareCreated(Share),
    /// A share is as said from now on.
    ShareChanged(Share),
    /// A share is gone.
    ShareDeleted(ShareId),
}

impl Change {
    /// True where the owner changed what a chat shows, also in shares that are frozen.
    pub fn is_owners_edit(&self) -> bool {
        matches!(
            self,
            Self::Edited { .. }
                | Self::Hidden { .. }
                | Self::Erased { .. }
                | Self::Redacted
                | Self::ArtifactHidden { .. }
                | Self::ArtifactErased { .. }
                | Self::Renamed { .. }
        )
    }

    /// True where what the owner did concerns everything of a chat that is shown, whatever was shown before: pages are made anew.
    pub fn concerns_all(&self) -> bool {
        matches!(
            self,
            Self::Redacted | Self::ArtifactHidden { .. } | Self::ArtifactErased { .. }
        )
    }
}

/// What is said of a chat as a whole; threads, messages and artifacts come as events of their own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ChatHead {
    /// What the chat is called.
    pub title: String,
    /// Where it came from.
    #[serde(default)]
    pub origin: Origin,
    /// When it began, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// Time of its last change, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
    /// Where the branch that is read first ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_leaf: Option<MessageId>,
    /// Records of the transcript that could not be read.
    #[serde(default)]
    pub damaged_records: u64,
    /// What was left out already.
    #[serde(default)]
    pub left_out: LeftOut,
}

impl ChatHead {
    /// The head of a chat.
    pub fn of(chat: &Chat) -> Self {
        Self {
            title: chat.title.clone(),
            origin: chat.origin.clone(),
            created_at: chat.created_at,
            updated_at: chat.updated_at,
            active_leaf: chat.active_leaf.clone(),
            damaged_records: chat.damaged_records,
            left_out: chat.left_out,
        }
    }

    /// A chat with this head and nothing in it yet.
    pub fn into_chat(self) -> Chat {
        Chat {
            title: self.title,
            origin: self.origin,
            created_at: self.created_at,
            updated_at: self.updated_at,
            active_leaf: self.active_leaf,
            damaged_records: self.damaged_records,
            left_out: self.left_out,
            ..Chat::default()
        }
    }
}
