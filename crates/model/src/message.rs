//! Messages: one turn by one role.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Digest, Part, ThreadId, Timestamp};

/// Names a message within its chat, stably over re-imports: the native id, or made of position and content.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(pub String);

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One turn by one role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Stable name of the message.
    pub id: MessageId,
    /// The message it follows; several messages with one parent are alternatives (edits, regenerations).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<MessageId>,
    /// The thread it belongs to.
    #[serde(default, skip_serializing_if = "ThreadId::is_main")]
    pub thread: ThreadId,
    /// Who speaks, as a role.
    pub role: Role,
    /// Who speaks, by name.
    #[serde(default, skip_serializing_if = "Author::is_plain")]
    pub author: Author,
    /// When, where the transcript says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Whether it is whole.
    #[serde(default, skip_serializing_if = "Status::is_complete")]
    pub status: Status,
    /// Whether readers see it.
    #[serde(default, skip_serializing_if = "Visibility::is_shown")]
    pub visibility: Visibility,
    /// Its content, in order.
    pub parts: Vec<Part>,
    /// What it cost, where the transcript says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

impl Message {
    /// A shown, complete message of the main thread without content.
    pub fn new(id: impl Into<String>, role: Role) -> Self {
        Self {
            id: MessageId(id.into()),
            parent: None,
            thread: ThreadId::MAIN,
            role,
            author: Author::default(),
            at: None,
            status: Status::Complete,
            visibility: Visibility::Shown,
            parts: Vec::new(),
            usage: None,
        }
    }

    /// Digest of the message as JSON: two messages with the same one are the same.
    pub fn digest(&self) -> Digest {
        let json = serde_json::to_vec(self).expect("a message has only names as keys");
        Digest::of(&json)
    }

    /// True where all that the message said before is still in it: it is the same, or grew. Whoever keeps what it said has nothing to let go of then.
    pub fn continues(&self, before: &Self) -> bool {
        self.parts.len() >= before.parts.len()
            && self.author == before.author
            && before
                .parts
                .iter()
                .zip(&self.parts)
                .all(|(before, now)| now.continues(before))
    }

    /// What stays of the message when its owner erases it: its place in the tree, hidden, and nothing that it said.
    pub fn emptied(&self) -> Self {
        Self {
            id: self.id.clone(),
            parent: self.parent.clone(),
            thread: self.thread,
            visibility: Visibility::Hidden,
            ..Self::new("", self.role)
        }
    }
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The human, or what acts in the human's place.
    User,
    /// The model.
    Assistant,
    /// Instructions and notices of the program around the chat.
    System,
    /// Answers of tools.
    Tool,
}

/// Who wrote a message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// What kind of author; `None` means the usual one for the role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<AuthorKind>,
    /// Name, where the transcript gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The model that wrote it, as the transcript calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

impl Author {
    fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

/// Kinds of authors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthorKind {
    /// A person.
    Human,
    /// A language model.
    Model,
    /// A tool.
    Tool,
    /// The program that drives the model.
    Harness,
}

/// Whether a message is whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// More of it may come.
    Partial,
    /// It is whole.
    #[default]
    Complete,
    /// It was interrupted.
    Aborted,
    /// It ended in an error.
    Error,
}

impl Status {
    fn is_complete(&self) -> bool {
        *self == Self::Complete
    }
}

/// Whether readers see a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Part of the chat as people read it.
    #[default]
    Shown,
    /// About the chat (unknown records, queue operations, summaries): shown quietly, folded.
    Meta,
    /// Never leaves the owner: instructions, injected context, profiles. A snapshot does not hold it.
    Hidden,
}

impl Visibility {
    fn is_shown(&self) -> bool {
        *self == Self::Shown
    }
}

/// Tokens that a message cost, as the provider counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens read, without those from a cache.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Tokens read from a cache.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cached_tokens: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}
