//! Kinds of events as the log numbers them. A number is never used for anything else.

use readalong_model::Change;

pub(crate) const CHAT_CREATED: i64 = 1;
pub(crate) const HEAD: i64 = 2;
pub(crate) const THREAD_PUT: i64 = 3;
pub(crate) const ARTIFACT_PUT: i64 = 4;
pub(crate) const MESSAGE_PUT: i64 = 5;
pub(crate) const MESSAGE_REMOVED: i64 = 6;
pub(crate) const EDITED: i64 = 7;
pub(crate) const HIDDEN: i64 = 8;
pub(crate) const ERASED: i64 = 9;
pub(crate) const RENAMED: i64 = 10;
pub(crate) const CHAT_DELETED: i64 = 11;
pub(crate) const SHARE_CREATED: i64 = 12;
pub(crate) const SHARE_CHANGED: i64 = 13;
pub(crate) const SHARE_DELETED: i64 = 14;
pub(crate) const REDACTED: i64 = 15;
pub(crate) const ARTIFACT_HIDDEN: i64 = 16;
pub(crate) const ARTIFACT_ERASED: i64 = 17;
pub(crate) const UNDONE: i64 = 18;

/// True for what the owner does to a chat, which its history shows.
pub(crate) fn is_of_owner(kind: i64) -> bool {
    matches!(
        kind,
        EDITED | HIDDEN | ERASED | RENAMED | ARTIFACT_HIDDEN | ARTIFACT_ERASED
    )
}

/// The number of a change's kind.
pub(crate) fn of(change: &Change) -> i64 {
    match change {
        Change::ChatCreated { .. } => CHAT_CREATED,
        Change::Head(_) => HEAD,
        Change::ThreadPut { .. } => THREAD_PUT,
        Change::ArtifactPut { .. } => ARTIFACT_PUT,
        Change::MessagePut { .. } => MESSAGE_PUT,
        Change::MessageRemoved { .. } => MESSAGE_REMOVED,
        Change::Edited { .. } => EDITED,
        Change::Hidden { .. } => HIDDEN,
        Change::Erased { .. } => ERASED,
        Change::Redacted => REDACTED,
        Change::ArtifactHidden { .. } => ARTIFACT_HIDDEN,
        Change::ArtifactErased { .. } => ARTIFACT_ERASED,
        Change::Undone { .. } => UNDONE,
        Change::Renamed { .. } => RENAMED,
        Change::ChatDeleted => CHAT_DELETED,
        Change::ShareCreated(_) => SHARE_CREATED,
        Change::ShareChanged(_) => SHARE_CHANGED,
        Change::ShareDeleted(_) => SHARE_DELETED,
    }
}
