//! What can go wrong in the store.

use std::{io, path::PathBuf, sync::Arc};

/// What can go wrong in opening, writing or reading the store.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file or folder cannot be read or written.
    #[error("{action} `{}` failed", path.display())]
    Io {
        /// What was tried: `writing`, `reading`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: Arc<io::Error>,
    },
    /// The file is no SQLite database, or one of another program.
    #[error("`{}` is not a database of readalong", path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// The file was written by a later readalong.
    #[error("the database has version {found}; this readalong knows up to version {known}")]
    TooNew {
        /// Version of the file.
        found: u32,
        /// Greatest version that is known here.
        known: u32,
    },
    /// What is asked for does not exist, or is not the asker's: nobody can tell which.
    #[error("not found")]
    NotFound,
    /// Another one has this id or name already.
    #[error("`{name}` exists already")]
    Exists {
        /// The id or name.
        name: String,
    },
    /// A user that still owns chats was to be removed without them.
    #[error("the user still owns {chats} chats")]
    OwnsChats {
        /// How many.
        chats: u64,
    },
    /// The last admin was to be removed, or to become something else.
    #[error("the last admin stays; make another one first")]
    LastAdmin,
    /// A share was to be frozen at an event whose state of the chat is not there any more.
    #[error("the chat changed after event {seq}, and what it was then is not kept")]
    Superseded {
        /// The event.
        seq: u64,
    },
    /// Too many writes wait.
    #[error("the store has too much to write at the moment")]
    Busy,
    /// Another program has the database locked for longer than is waited for.
    #[error("another program has the database locked")]
    Locked,
    /// The disk has no room left; nothing was changed.
    #[error("the disk is full")]
    Full,
    /// The writer has ended; nothing is written any more.
    #[error("the store is closed")]
    Closed,
    /// A mistake of readalong's own came to light while this was written; nothing was changed.
    #[error("readalong failed in writing this; nothing was changed")]
    Panicked,
    /// A row of the database does not hold what it should.
    #[error("the database is damaged: {what}")]
    Damaged {
        /// What is wrong.
        what: String,
    },
    /// SQLite failed.
    #[error("the database failed")]
    Database(#[source] Arc<rusqlite::Error>),
}

impl StoreError {
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source: Arc::new(source),
        }
    }

    pub(crate) fn damaged(what: impl ToString) -> Self {
        Self::Damaged {
            what: what.to_string(),
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        // Where the index of its log cannot grow, SQLite knows no better name for a full disk.
        let extended = error.sqlite_error().map(|error| error.extended_code);
        if extended == Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE) {
            return Self::Full;
        }
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::Full,
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
                Self::Locked
            }
            Some(rusqlite::ErrorCode::DatabaseCorrupt) => Self::damaged(error),
            _ => Self::Database(Arc::new(error)),
        }
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::damaged(error)
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn a_lock_of_another_program_is_a_matter_of_time() {
        for code in [ffi::SQLITE_BUSY, ffi::SQLITE_LOCKED] {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            assert!(matches!(error.into(), StoreError::Locked));
        }
    }
}
