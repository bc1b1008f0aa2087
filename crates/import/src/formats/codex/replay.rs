//! Copies of earlier records that a fork or a resume wrote into the same file, after a second `session_meta`.
//!
//! Records that repeat the file from its beginning, one by one, are held back. Once the model repeats itself word by word the held ones are a
//! copy and are dropped; what comes after its last words may be a new prompt that happens to be an old one, and is taken.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::{Entry, events::Event, is_by_model};
use crate::responses_items::Draft;

/// Bytes at both ends of a long member that it is recognised by.
const SAMPLE_BYTES: usize = 96;
/// Bytes that are held back, at most.
const HELD_BYTES_MAX: usize = 32 << 20;

/// What a record is recognised by, and whether the model said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    hash: u64,
    by_model: bool,
}

/// What to do with a record.
pub(super) enum Verdict {
    /// Nothing: it repeats an earlier one, as far as is known.
    Held,
    /// It is new; the records held back before it are, too.
    New(Vec<Vec<u8>>),
}

#[derive(Default)]
pub(super) struct Replay {
    /// Marks of all records so far, in order.
    marks: Vec<Mark>,
    /// While a copy is looked for: the place in `marks` that comes next.
    next: Option<usize>,
    held: Vec<(Mark, Vec<u8>)>,
    held_bytes: usize,
}

impl Replay {
    /// A copy may begin here.
    pub(super) fn begin(&mut self) {
        if self.next.is_none() && !self.marks.is_empty() {
            self.next = Some(0);
        }
    }

    pub(super) fn take(&mut self, mark: Mark, bytes: &[u8]) -> Verdict {
        let Some(next) = self.next else {
            self.marks.push(mark);
            return Verdict::New(Vec::new());
        };
        if self.marks.get(next) == Some(&mark) && self.held_bytes < HELD_BYTES_MAX {
            if mark.by_model {
                self.held.clear();
                self.held_bytes = 0;
            } else {
                self.held_bytes += bytes.len();
                self.held.push((mark, bytes.to_vec()));
            }
            self.next = Some(next + 1);
            return Verdict::Held;
        }
        let held = self.end();
        self.marks.push(mark);
        Verdict::New(held)
    }

    /// True where records are held back.
    pub(super) fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// Looks for a copy no longer; the records that were held back and are none.
    pub(super) fn end(&mut self) -> Vec<Vec<u8>> {
        self.next = None;
        self.held_bytes = 0;
        let held = std::mem::take(&mut self.held);
        self.marks.extend(held.iter().map(|(mark, _)| *mark));
        held.into_iter().map(|(_, bytes)| bytes).collect()
    }
}

/// The mark of a record that a copy would repeat; `None` for bookkeeping.
pub(super) fn mark(entry: &Entry<'_>) -> Option<Mark> {
    let mut hasher = DefaultHasher::new();
    let by_model = match entry {
        Entry::Item(Draft::Nothing | Draft::Reference(_), _) => return None,
        Entry::Item(draft, fields) => {
            (
                fields.kind.as_deref(),
                fields.role.as_deref(),
                fields.call_id.as_deref(),
                fields.name.as_deref(),
            )
                .hash(&mut hasher);
            let members = [
                fields.content,
                fields.summary,
                fields.arguments,
                fields.input,
                fields.output,
            ];
            for member in members.into_iter().flatten() {
                sample(member.get(), &mut hasher);
            }
            is_by_model(draft)
        }
        Entry::Event(Event::User { text, .. }) => {
            sample(text, &mut hasher);
            false
        }
        Entry::Event(Event::Said { voice, text, .. }) => {
            voice.hash(&mut hasher);
            sample(text, &mut hasher);
            true
        }
        Entry::Compacted(text) => {
            sample(text.as_deref().unwrap_or_default(), &mut hasher);
            false
        }
        Entry::Event(Event::Compacted) => {
            "compacted".hash(&mut hasher);
            false
        }
        Entry::Event(Event::Aborted(reason)) => {
            reason.hash(&mut hasher);
            false
        }
        Entry::Event(Event::RolledBack(turns)) => {
            turns.hash(&mut hasher);
            false
        }
        Entry::Event(_) | Entry::Meta(_) | Entry::Model(_) | Entry::Nothing | Entry::Unknown(_) => {
            return None;
        }
    };
    Some(Mark {
        hash: hasher.finish(),
        by_model,
    })
}

/// Length and both ends of a text.
fn sample(text: &str, hasher: &mut DefaultHasher) {
    let bytes = text.as_bytes();
    bytes.len().hash(hasher);
    bytes.get(..SAMPLE_BYTES).unwrap_or(bytes).hash(hasher);
    bytes
        .get(bytes.len().saturating_sub(SAMPLE_BYTES)..)
        .unwrap_or_default()
        .hash(hasher);
}
