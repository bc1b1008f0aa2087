//! The nouns of readalong (chat, message, part, artifact, thread, snapshot, share) and the rules they obey.
//!
//! Pure: no I/O, no clock, no randomness, no `async`. What is valid is decided here and nowhere else.

mod artifact;
mod chat;
mod digest;
mod json;
mod message;
mod part;
mod share;
mod snapshot;
mod time;
mod tree;
mod warning;

pub use artifact::{Artifact, ArtifactId, ArtifactRole, Availability};
pub use chat::{Chat, Origin, Thread, ThreadId, ThreadKind};
pub use digest::{Digest, DigestError, DigestWriter};
pub use json::{RawJson, RawJsonError};
pub use message::{Author, AuthorKind, Message, MessageId, Role, Status, Usage, Visibility};
pub use part::{Action, CallState, Edit, NoticeKind, Part, PlanItem, PlanStatus, ToolCall};
pub use share::{ShareCard, ShareVisibility, Updates};
pub use snapshot::{LeftOut, MessageRange, Snapshot, SnapshotOptions};
pub use time::{Timestamp, TimestampError};
pub use tree::Branches;
pub use warning::{Place, Warning};
