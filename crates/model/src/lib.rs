//! The nouns of readalong (chat, message, part, artifact, thread, snapshot, share) and the rules they obey.
//!
//! Pure: no I/O, no clock, no randomness, no `async`. What is valid is decided here and nowhere else.

mod artifact;
mod change_set;
mod chat;
mod digest;
mod event;
mod id;
mod json;
mod message;
mod name;
mod part;
mod share;
mod snapshot;
mod time;
mod tree;
mod warning;

pub use artifact::{Artifact, ArtifactId, ArtifactRole, Availability};
pub use change_set::ChangeSet;
pub use chat::{Chat, Origin, Thread, ThreadId, ThreadKind};
pub use digest::{Digest, DigestError, DigestWriter};
pub use event::{Change, ChatHead, Event, Seq};
pub use id::{ChatId, IdError, ShareId, UserId};
pub use json::{RawJson, RawJsonError};
pub use message::{Author, AuthorKind, Message, MessageId, Role, Status, Usage, Visibility};
pub use name::can_be_seen;
pub use part::{Action, CallState, Edit, NoticeKind, Part, PlanItem, PlanStatus, ToolCall};
pub use share::{Share, ShareCard, ShareVisibility, Updates};
pub use snapshot::{LeftOut, MessageRange, Snapshot, SnapshotOptions};
pub use time::{Timestamp, TimestampError};
pub use tree::Branches;
pub use warning::{Place, Warning};
