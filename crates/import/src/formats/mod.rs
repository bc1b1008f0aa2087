//! The registry of formats: the one list that detection, `readalong formats` and the tests go by.

mod anthropic;
mod chatgpt;
mod claude_code;
mod claude_code_web;
mod codex;
mod codex_exec;
#[cfg(test)]
mod growth;
pub(crate) mod lenient;
mod openai_chat;
mod openai_responses;
#[cfg(test)]
mod outline;
mod readalong;
mod sharegpt;

use std::{collections::HashSet, io};

use readalong_model::Place;

use crate::{builder::ChatBuilder, head::Head, surroundings::Surroundings};

/// All formats, most telling first: where two match equally well, the earlier one wins.
pub static FORMATS: &[Format] = &[
    readalong::FORMAT,
    claude_code::FORMAT,
    claude_code_web::FORMAT,
    codex::FORMAT,
    codex_exec::FORMAT,
    anthropic::FORMAT,
    chatgpt::FORMAT,
    sharegpt::FORMAT,
    openai_chat::FORMAT,
    openai_responses::FORMAT,
];

/// A foreign shape of a transcript.
pub struct Format {
    /// Name on the command line, such as `openai-chat`.
    pub name: &'static str,
    /// Name for people.
    pub title: &'static str,
    /// Where such transcripts are found, for people.
    pub found_at: &'static str,
    /// How a transcript changes while its chat goes on.
    pub growth: Growth,
    /// Looks at the first records and tells whether they are of this format.
    pub(crate) detect: fn(&Head) -> Option<Evidence>,
    /// Makes a reader for one chat.
    pub(crate) reader: fn() -> Box<dyn Reader>,
}

/// How a transcript changes while its chat goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// Lines are appended.
    Append,
    /// The file is written anew.
    Rewrite,
    /// The file is an export and does not change.
    Export,
}

/// How chats lie in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// All records make up one chat.
    OneChat,
    /// Each record is a chat.
    ChatPerRecord,
}

/// What speaks for a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Evidence {
    /// Records that have the format's marks.
    pub(crate) matched: usize,
    /// Records looked at.
    pub(crate) of: usize,
    /// How chats lie in the file.
    pub(crate) layout: Layout,
}

/// One JSON value of a transcript, as bytes.
pub(crate) struct Record<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) place: &'a Place,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is in the chat (hidden parts of it too), or repeats what is there.
    Mapped,
    /// It is known and says nothing about the chat that a reader could want (progress, counters).
    Bookkeeping,
    /// It is unknown and kept as it was.
    KeptRaw,
}

/// Why a record was not taken.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It could not be understood. Nothing of it was taken: the record may be repaired and pushed again.
    Unreadable(String),
    /// Keeping an artifact or reading a neighbour failed; the import ends.
    Io(io::Error),
}

impl From<serde_json::Error> for Refusal {
    fn from(error: serde_json::Error) -> Self {
        Self::Unreadable(error.to_string())
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Takes the records of one chat, in order, and makes the chat. The same for whole files and for growing ones.
pub(crate) trait Reader: Send {
    /// Takes the next record.
    ///
    /// # Errors
    /// [`Refusal::Unreadable`] leaves the reader as it was before.
    fn push(
        &mut self,
        record: &Record<'_>,
        chat: &mut ChatBuilder,
        surroundings: &mut dyn Surroundings,
    ) -> Result<Taken, Refusal>;

    /// Paths of files beside the transcript that hold more of the chat and may grow too, in the order in which they are to be read. Reading one may
    /// bring more of them.
    fn beside(&mut self, _surroundings: &mut dyn Surroundings) -> io::Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// Takes lines of a file that [`beside`](Self::beside) named; `number` is that of the first.
    ///
    /// # Errors
    /// Keeping an artifact or reading a neighbour failed.
    fn push_beside(
        &mut self,
        _lines: &BesideLines<'_>,
        _chat: &mut ChatBuilder,
        _surroundings: &mut dyn Surroundings,
    ) -> io::Result<()> {
        Ok(())
    }

    /// Takes what was held back because later records could have told more of it. Nothing can be pushed after that.
    ///
    /// # Errors
    /// Keeping an artifact or reading a neighbour failed.
    fn end(
        &mut self,
        _chat: &mut ChatBuilder,
        _surroundings: &mut dyn Surroundings,
    ) -> io::Result<()> {
        Ok(())
    }

    /// Settles what follows from records together (title, threads), at a cost that does not depend on the length of the chat.
    fn settle_new(&mut self, _chat: &mut ChatBuilder) {}

    /// Settles what only the whole tells (forks). May go over everything that the reader knows.
    fn settle_all(&mut self, _chat: &mut ChatBuilder) {}

    /// True where the file holds a part of a chat that another file holds.
    fn is_part(&self) -> bool {
        false
    }

    /// What would change if the transcript ended here.
    fn unsettled(&self) -> Unsettled {
        Unsettled::Nothing
    }

    /// Takes what lies beside the transcript and settles what only the end tells.
    ///
    /// # Errors
    /// Keeping an artifact or reading a neighbour failed.
    fn finish(
        &mut self,
        chat: &mut ChatBuilder,
        surroundings: &mut dyn Surroundings,
    ) -> io::Result<()> {
        let mut read: HashSet<String> = HashSet::new();
        loop {
            let paths = self.beside(surroundings)?;
            let new: Vec<String> = paths
                .into_iter()
                .filter(|path| read.insert(path.clone()))
                .collect();
            if new.is_empty() {
                break;
            }
            for path in new {
                if let Some(bytes) = surroundings.beside(&path)? {
                    let lines = BesideLines {
                        path: &path,
                        bytes: &bytes,
                        number: 1,
                    };
                    self.push_beside(&lines, chat, surroundings)?;
                }
            }
        }
        self.end(chat, surroundings)?;
        self.settle_new(chat);
        self.settle_all(chat);
        Ok(())
    }
}

/// Lines of a file beside the transcript.
pub(crate) struct BesideLines<'a> {
    /// Path of the file.
    pub(crate) path: &'a str,
    /// Whole lines.
    pub(crate) bytes: &'a [u8],
    /// Number of the first line, from 1.
    pub(crate) number: u64,
}

/// What of a growing chat is not as it would be at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Unsettled {
    /// Nothing.
    #[default]
    Nothing,
    /// What [`Reader::settle_all`] settles.
    Settling,
    /// What [`Reader::end`] takes.
    HeldBack,
}
