//! A transcript that grows: lines go in, what changed comes out, at a cost that follows what is new.
//!
//! The same readers as for a whole file. Only the newest messages are held; what was handed out and is needed again is got back from whoever
//! took it.

use std::collections::HashMap;

use readalong_model::{Artifact, ChangeSet, ChatHead, Digest, Message, Place, Thread};

use super::{Piece, Taking, Transcript, io_error};
use crate::{
    Detection, Format, ImportError, Layout, Surroundings,
    formats::{BesideLines, Growth, Unsettled},
    framer::{self, LINE_BYTES_MAX},
    head::{Framing, HEAD_RECORDS_MAX, Head, HeadRecord},
    messages::{Recall, weight},
};

/// What a transcript takes of memory, about, beside its messages.
const BYTES: usize = 64 << 10;
/// What a message takes that is not held: its id, its digest, its place.
const BYTES_A_MESSAGE: usize = 256;

/// One chat of a file to which lines are appended.
pub struct GrowingTranscript {
    taking: Taking,
    format: &'static Format,
    place: Place,
    /// The first records, until there are enough of them to know the format for certain.
    head: Option<Head>,
    looks_otherwise: bool,
    /// Lines taken of each file beside the transcript.
    lines_beside: HashMap<String, u64>,
    /// The id that the transcript gave itself first.
    first_id: Option<String>,
    head_sent: Option<ChatHead>,
    ended: bool,
}

/// What is to be handed out of the changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// More lines are about to come: only what will hardly change again, so that what was read before is not told as it was on the way.
    Passing,
    /// All, as if the transcript ended here, but for what needs settling.
    All,
    /// All, and the time of the last change too, which alone is no news while messages come.
    Quiet,
}

/// Changes of a growing chat. Threads and artifacts stand before the messages that name them.
#[derive(Debug, Default)]
pub struct Changes {
    /// What is said of the chat as a whole, where that is new.
    pub head: Option<ChatHead>,
    /// Threads that are new or changed, with their places.
    pub threads: Vec<(u32, Thread)>,
    /// Artifacts that are new, with their places.
    pub artifacts: Vec<(u32, Artifact)>,
    /// Messages that are new or changed, with their places and [`Message::digest`].
    pub messages: Vec<(u32, Message, Digest)>,
}

impl Changes {
    /// True where nothing changed.
    pub fn is_empty(&self) -> bool {
        self.head.is_none()
            && self.threads.is_empty()
            && self.artifacts.is_empty()
            && self.messages.is_empty()
    }

    /// The same as a change set.
    pub fn into_change_set(self) -> ChangeSet {
        let messages = self.messages.into_iter();
        ChangeSet {
            head: self.head,
            threads: self.threads,
            artifacts: self.artifacts,
            messages: messages
                .map(|(place, message, _)| (place, message))
                .collect(),
            removed: Vec::new(),
        }
    }
}

/// What a growing chat lacks before it is what reading the whole file would give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lack {
    /// Nothing.
    Nothing,
    /// [`GrowingTranscript::settle`], which may go over all that is known of the chat and reads nothing.
    Settling,
    /// Reading the file anew, and [`GrowingTranscript::end`] after it: records are held back, or something old could not be got back.
    Rereading,
}

impl Transcript {
    /// True where the file is one chat to which lines are appended: [`GrowingTranscript`] can read it.
    pub fn grows(&self) -> bool {
        self.archive.is_none()
            && self.framing == Framing::Lines
            && self.detection.layout == Layout::OneChat
            && self.detection.format.growth == Growth::Append
    }

    /// An empty growing chat of this file's name and format. `recall` gets back messages that were handed out.
    pub fn growing(&self, recall: Recall) -> GrowingTranscript {
        let place = Place {
            file: self.source.name.clone(),
            unit: "line",
            number: 0,
        };
        GrowingTranscript {
            taking: Taking::growing(self.detection.format, &place, recall),
            format: self.detection.format,
            place,
            head: (!self.forced).then_some(Head {
                framing: Framing::Lines,
                records: Vec::new(),
            }),
            looks_otherwise: false,
            lines_beside: HashMap::new(),
            first_id: None,
            head_sent: None,
            ended: false,
        }
    }
}

impl GrowingTranscript {
    /// The format that the transcript is read as.
    pub fn format(&self) -> &'static Format {
        self.format
    }

    /// True where the file holds a part of a chat that another file holds: the work of a subagent.
    pub fn is_part(&self) -> bool {
        self.taking.reader.is_part()
    }

    /// How many messages there are.
    pub fn len(&self) -> usize {
        self.taking.chat.len()
    }

    /// True where there is no message yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// About how many bytes of memory it takes.
    pub fn held_bytes(&self) -> usize {
        BYTES + self.len() * BYTES_A_MESSAGE + self.taking.chat.held_bytes()
    }

    /// The id that the transcript gave its chat first, at whatever pieces it was read.
    pub fn first_id(&self) -> Option<&str> {
        self.first_id.as_deref()
    }

    /// Takes whole lines that follow those taken before; the last one may lack its line feed.
    ///
    /// # Errors
    /// Keeping an artifact or reading a neighbour failed.
    pub fn push(
        &mut self,
        lines: &[u8],
        surroundings: &mut dyn Surroundings,
    ) -> Result<(), ImportError> {
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            self.place.number += 1;
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            if line.len() > LINE_BYTES_MAX {
                self.skip(line.len() as u64);
                continue;
            }
            self.look_at(line);
            let piece = Piece::Bytes(line, &self.place);
            self.taking
                .take(piece, surroundings)
                .map_err(|error| io_error(&self.place.file, error))?;
            if self.first_id.is_none() {
                self.taking.reader.settle_new(&mut self.taking.chat);
                self.first_id = self.taking.chat.chat.origin.native_id.clone();
            }
        }
        Ok(())
    }

    /// Takes note of a line that is too long to be held; its bytes were passed over.
    pub fn pass_over(&mut self, line_bytes: u64) {
        self.place.number += 1;
        self.skip(line_bytes);
    }

    fn skip(&mut self, bytes: u64) {
        let reason = framer::too_long(bytes);
        self.taking.skip(reason, &self.place);
    }

    /// Looks at one of the first lines: they may be of another format than the very first ones were.
    fn look_at(&mut self, line: &[u8]) {
        let Some(head) = &mut self.head else { return };
        let line = framer::trim(line);
        if line.is_empty() {
            return;
        }
        head.records
            .push(HeadRecord::parse(&String::from_utf8_lossy(line)));
        let detection = Detection::of(head);
        self.looks_otherwise = detection.is_none_or(|detection| {
            detection.format.name != self.format.name || detection.layout != Layout::OneChat
        });
        if head.records.len() >= HEAD_RECORDS_MAX {
            self.head = None;
        }
    }

    /// True where so few lines were read that later ones may tell of another format.
    pub fn is_young(&self) -> bool {
        self.head.is_some()
    }

    /// True where the lines so far look like another format than the one that they are read as: the file is to be opened anew.
    pub fn looks_otherwise(&self) -> bool {
        self.looks_otherwise
    }

    /// Paths of files beside the transcript that hold more of the chat and may grow too, in the order in which they are to be read. Ask again after
    /// reading: they may tell of more.
    ///
    /// # Errors
    /// Reading a neighbour failed.
    pub fn beside(
        &mut self,
        surroundings: &mut dyn Surroundings,
    ) -> Result<Vec<String>, ImportError> {
        self.taking
            .reader
            .beside(surroundings)
            .map_err(|error| io_error(&self.place.file, error))
    }

    /// Takes whole lines of such a file that follow those taken before.
    ///
    /// # Errors
    /// Keeping an artifact or reading a neighbour failed.
    pub fn push_beside(
        &mut self,
        path: &str,
        lines: &[u8],
        surroundings: &mut dyn Surroundings,
    ) -> Result<(), ImportError> {
        let before = self.lines_beside.entry(path.to_owned()).or_default();
        let number = *before + 1;
        *before += memchr::memchr_iter(b'\n', lines).count() as u64;
        let lines = BesideLines {
            path,
            bytes: lines,
            number,
        };
        self.taking
            .reader
            .push_beside(&lines, &mut self.taking.chat, surroundings)
            .map_err(|error| io_error(&self.place.file, error))
    }

    /// What is said of the chat as a whole so far.
    pub fn head(&mut self) -> ChatHead {
        self.taking.reader.settle_new(&mut self.taking.chat);
        self.taking.chat.look_through();
        self.taking.chat.head(self.taking.stats.damaged)
    }

    /// Changes since the last call, about `messages_max` messages and `bytes_max` bytes of them at most. To be asked until there is nothing more.
    pub fn take_changes(
        &mut self,
        amount: Amount,
        messages_max: usize,
        bytes_max: usize,
    ) -> Changes {
        let head = self.head();
        let chat = &mut self.taking.chat;
        let mut changes = Changes {
            threads: chat.take_threads(),
            artifacts: chat.take_artifacts(),
            ..Changes::default()
        };
        let mut bytes = 0;
        while changes.messages.len() < messages_max && bytes < bytes_max {
            let Some(changed) = chat.messages().next_changed(amount != Amount::Passing) else {
                chat.messages().drop_old();
                break;
            };
            bytes += weight(&changed.1);
            changes.messages.push(changed);
        }
        if amount != Amount::Passing && self.is_news(&head, amount) {
            self.head_sent = Some(head.clone());
            changes.head = Some(head);
        }
        changes
    }

    fn is_news(&self, head: &ChatHead, amount: Amount) -> bool {
        let Some(sent) = &self.head_sent else {
            return true;
        };
        if amount == Amount::Quiet {
            return sent != head;
        }
        let but_for_the_time = ChatHead {
            updated_at: head.updated_at,
            ..sent.clone()
        };
        but_for_the_time != *head
    }

    /// What the chat lacks before it is what reading the whole file would give.
    pub fn lack(&self) -> Lack {
        if self.ended {
            return Lack::Nothing;
        }
        let unsettled = self.taking.reader.unsettled();
        if self.taking.chat.is_torn() || unsettled == Unsettled::HeldBack {
            Lack::Rereading
        } else if unsettled == Unsettled::Settling || self.is_time_old() {
            Lack::Settling
        } else {
            Lack::Nothing
        }
    }

    fn is_time_old(&self) -> bool {
        let head = self.taking.chat.head(self.taking.stats.damaged);
        self.head_sent
            .as_ref()
            .is_some_and(|sent| sent.updated_at != head.updated_at)
    }

    /// Settles what only the whole tells. May go over all that is known of the chat.
    pub fn settle(&mut self) {
        self.taking.reader.settle_all(&mut self.taking.chat);
    }

    /// Takes what was held back and settles all, as at the end of the file. A file that grows after that has to be read anew.
    ///
    /// # Errors
    /// Keeping an artifact or reading a neighbour failed.
    pub fn end(&mut self, surroundings: &mut dyn Surroundings) -> Result<(), ImportError> {
        self.ended = true;
        self.taking
            .reader
            .end(&mut self.taking.chat, surroundings)
            .map_err(|error| io_error(&self.place.file, error))?;
        self.settle();
        Ok(())
    }

    /// The messages.
    #[cfg(test)]
    pub(crate) fn messages(&mut self) -> &mut crate::messages::Messages {
        self.taking.chat.messages()
    }

    /// True where [`end`](Self::end) was said.
    pub fn is_ended(&self) -> bool {
        self.ended
    }
}
