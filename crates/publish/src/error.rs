//! What can go wrong in publishing.

use std::{io, path::PathBuf};

/// What can go wrong in publishing. The place is always named as the user wrote it, without credentials.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The text names no place that can be published to.
    #[error("`{target}` is no place to publish to: {reason}")]
    BadTarget {
        /// The text.
        target: String,
        /// Why not.
        reason: String,
    },
    /// A file or folder of the place, or of this machine, cannot be read or written.
    #[error("{action} `{}` for {target} failed", path.display())]
    Io {
        /// The place.
        target: String,
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The object storage failed, or the network to it.
    #[error("{action} `{path}` at {target} failed: {says}")]
    Storage {
        /// The place.
        target: String,
        /// What was tried.
        action: &'static str,
        /// The object.
        path: String,
        /// Why, in the words of whoever noticed first: those who pass it on repeat it.
        says: String,
    },
    /// There is no room for more.
    #[error("{target} is full")]
    Full {
        /// The place.
        target: String,
    },
    /// The bucket or container is not there.
    #[error("{target} is not there: no such bucket or container")]
    NoBucket {
        /// The place.
        target: String,
    },
    /// The place does not take our credentials, or has seen none.
    #[error("{target} does not let us in: {says}")]
    Denied {
        /// The place.
        target: String,
        /// What it says.
        says: String,
    },
    /// A program that the place needs is not installed.
    #[error("{target} needs the program `{program}`, which cannot be started")]
    NoProgram {
        /// The place.
        target: String,
        /// The program.
        program: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A program failed.
    #[error("`{program}` failed in {action} for {target}: {says}")]
    Program {
        /// The place.
        target: String,
        /// The program.
        program: &'static str,
        /// What was tried.
        action: &'static str,
        /// The end of what it said.
        says: String,
    },
    /// The branch has other commits than the one that the publication was made for.
    #[error("{target} moved on while we were publishing")]
    MovedOn {
        /// The place.
        target: String,
    },
    /// Somebody else published the same share at the same time.
    #[error(
        "share {share} was published to {target} by somebody else at the same time; nothing of ours is visible"
    )]
    OtherPublisher {
        /// The place.
        target: String,
        /// The share.
        share: String,
    },
    /// Another publication holds the folder.
    #[error("another publication to {target} is still running")]
    Busy {
        /// The place.
        target: String,
    },
    /// The site was written by a later readalong.
    #[error(
        "{target} holds a site of version {version}; this readalong writes up to version {}",
        crate::SITE_VERSION
    )]
    TooNew {
        /// The place.
        target: String,
        /// Its version.
        version: u32,
    },
    /// A list of shares would take the place of a page that is not ours.
    #[error("{target} has an `index.html` of its own, which a list of shares would replace")]
    ForeignIndex {
        /// The place.
        target: String,
    },
    /// A record of the site is not one of ours.
    #[error("`{path}` at {target} cannot be read")]
    BadRecord {
        /// The place.
        target: String,
        /// The file.
        path: String,
        /// Why.
        source: serde_json::Error,
    },
    /// There is no site where there has been one.
    #[error("there is no site at {target} now")]
    NoSite {
        /// The place.
        target: String,
    },
    /// The share is not at the place.
    #[error("{target} has no share {share}")]
    NotThere {
        /// The place.
        target: String,
        /// The share.
        share: String,
    },
    /// A share that was kept in step was taken back, or published otherwise.
    #[error(
        "share {share} was taken back from {target}, or somebody else publishes it there; it is not kept in step any more"
    )]
    NotLive {
        /// The place.
        target: String,
        /// The share.
        share: String,
    },
    /// Somebody cancelled.
    #[error("cancelled; {target} shows what it showed before")]
    Cancelled {
        /// The place.
        target: String,
    },
}

impl PublishError {
    /// True where there is no room for more.
    pub(crate) fn is_full(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        match self {
            Self::Full { .. } => true,
            Self::Io { source, .. } => matches!(source.kind(), StorageFull | QuotaExceeded),
            _ => false,
        }
    }
}
