//! What can stop an import.

use std::io;

use readalong_model::Warning;

use crate::FORMATS;

/// What can stop an import. Damage inside of a transcript is no error: it becomes a warning.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The file has no bytes, or nothing but blanks.
    #[error("`{file}` is empty")]
    Empty {
        /// Name of the file.
        file: String,
    },
    /// The file is nothing that any format knows.
    #[error("`{file}` is not a transcript that readalong knows: {reason}")]
    NotATranscript {
        /// Name of the file.
        file: String,
        /// What was found instead.
        reason: String,
    },
    /// No format has that name.
    #[error("there is no format `{name}`; the formats are {}", names())]
    NoSuchFormat {
        /// The name that was asked for.
        name: String,
    },
    /// The zip cannot be read.
    #[error("`{file}` is a damaged or cut zip")]
    DamagedZip {
        /// Name of the file.
        file: String,
        /// What the zip reader said.
        source: zip::result::ZipError,
    },
    /// The zip holds no transcript.
    #[error("`{file}` is a zip without a `conversations.json`")]
    ForeignZip {
        /// Name of the file.
        file: String,
    },
    /// The file was read and holds no chat.
    #[error("`{file}` holds no chat that could be read{}", because(.loss))]
    NoChat {
        /// Name of the file.
        file: String,
        /// The first thing that could not be read, where there is one.
        loss: Option<Warning>,
    },
    /// The file holds several chats and none was picked.
    #[error("`{file}` holds {count} chats")]
    ManyChats {
        /// Name of the file.
        file: String,
        /// How many.
        count: usize,
    },
    /// No chat in the file is the one asked for, or several are.
    #[error("`{file}` has {found} chats that match `{pick}`")]
    NoSuchChat {
        /// Name of the file.
        file: String,
        /// What was asked for.
        pick: String,
        /// How many match: 0 or more than 1.
        found: usize,
    },
    /// Reading or keeping bytes failed.
    #[error("reading `{file}` failed")]
    Io {
        /// Name of the file.
        file: String,
        /// Why.
        source: io::Error,
    },
}

fn because(loss: &Option<Warning>) -> String {
    let loss = loss.as_ref().map(|loss| format!(": {loss}"));
    loss.unwrap_or_default()
}

fn names() -> String {
    FORMATS
        .iter()
        .map(|format| format.name)
        .collect::<Vec<_>>()
        .join(", ")
}
