//! How a chat reads: its messages as the items that pages show (prompts, answers, activity, notices), in order.
//!
//! Makes no HTML. An item is the unit that is rendered, counted for page weight and, live, replaced. Whether a part joins the last item
//! depends only on what comes before it.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, LazyLock},
};

use readalong_model::{Artifact, Message, Part, Role, Snapshot, Thread, ThreadId, Timestamp};
use smallvec::SmallVec;

pub(crate) use crate::index::PartPlace;
use crate::index::{Index, Key, PartKind, PartLine, anchor_of};

/// Calls in one activity, and bytes of their texts; a longer run of calls is broken, so that the cost of one more call stays bounded and
/// a page can be split between them.
const ACTIVITY_ENTRIES_MAX: usize = 64;
const ACTIVITY_BYTES_MAX: u32 = 48 << 10;
/// What a subagent's work counts for in the activity that starts it.
const DELEGATION_BYTES: u32 = 24 << 10;
/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// What an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ItemKind {
    Prompt,
    Answer,
    Activity,
    Notice,
    /// A thread whose call is not known; it has no parts.
    LooseThread(ThreadId),
}

/// One thing on a page.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) kind: ItemKind,
    /// The message that it begins with.
    pub(crate) message: usize,
    pub(crate) parts: SmallVec<[PartPlace; 2]>,
    /// The time of the item, where its day is not that of the item before.
    pub(crate) day: Option<Timestamp>,
    /// Who speaks, where that is not clear from what comes before.
    pub(crate) author: Option<Arc<str>>,
    /// True for the item that carries the message's anchor.
    pub(crate) has_anchor: bool,
    /// Bytes of text in it, about; many are not told from more.
    weight_bytes: u32,
    /// Where the path stands before it.
    pub(crate) before: Standing,
}

/// What items take from those before them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    pub(crate) prompts: u32,
    day: Option<i32>,
    author: Option<Arc<str>>,
}

impl Item {
    /// A loose thread as an item.
    pub(crate) fn loose(index: &Index, thread: ThreadId) -> Self {
        Self {
            kind: ItemKind::LooseThread(thread),
            message: index.path_of(thread, None).first().copied().unwrap_or(0),
            parts: SmallVec::new(),
            day: None,
            author: None,
            has_anchor: false,
            weight_bytes: 0,
            before: Standing::default(),
        }
    }

    /// Number of a prompt within its path, from 1; 0 for anything else.
    pub(crate) fn number(&self) -> usize {
        match self.kind {
            ItemKind::Prompt => self.before.prompts as usize + usize::from(self.has_anchor),
            _ => 0,
        }
    }

    /// The part that it begins with.
    pub(crate) fn first_part(&self) -> PartPlace {
        let message = self.message;
        let first = self.parts.first().copied();
        first.unwrap_or(PartPlace::new(message, 0))
    }

    /// The last message that is in it.
    pub(crate) fn last_message(&self) -> usize {
        self.parts
            .last()
            .map_or(self.message, |part| part.message())
    }

    /// The name of the item within its chat, which it keeps.
    pub(crate) fn key(&self, index: &Index) -> ItemKey {
        let part = match self.kind {
            ItemKind::LooseThread(_) => WHOLE_THREAD,
            _ => self.first_part().part() as u32,
        };
        ItemKey {
            message: index.line(self.message).map_or(0, |line| line.key),
            part,
        }
    }
}

/// The name of an item within its chat: the message that it begins with, and the part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ItemKey {
    message: Key,
    part: u32,
}

/// Stands for the part of an item that is a thread: the thread's first message has an item of its own within it.
const WHOLE_THREAD: u32 = u32::MAX;

impl fmt::Display for ItemKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let anchor = anchor_of(self.message);
        match self.part {
            WHOLE_THREAD => write!(f, "{anchor}-thread"),
            part => write!(f, "{anchor}-{part}"),
        }
    }
}

/// A chat with what is needed to find one's way in it: its index, and its messages or those of them that are needed.
pub(crate) struct Outline<'a> {
    pub(crate) index: &'a Index,
    pub(crate) threads: &'a [Thread],
    pub(crate) artifacts: &'a [Artifact],
    messages: Messages<'a>,
    leaf: Option<usize>,
}

/// Messages by place.
enum Messages<'a> {
    All(&'a [Message]),
    Some(&'a HashMap<usize, Arc<Message>>),
}

/// Stand for what is not there: a store may be ahead of the index for a moment.
static NO_MESSAGE: LazyLock<Message> = LazyLock::new(|| Message::new("", Role::System));
static NO_PART: Part = Part::Text {
    markdown: String::new(),
};

impl<'a> Outline<'a> {
    pub(crate) fn of(snapshot: &'a Snapshot, index: &'a Index) -> Self {
        let leaf = snapshot.active_leaf.as_ref();
        Self {
            index,
            threads: &snapshot.threads,
            artifacts: &snapshot.artifacts,
            messages: Messages::All(&snapshot.messages),
            leaf: leaf.and_then(|id| index.place_of(crate::index::key_of(id))),
        }
    }

    /// An outline that holds some of the messages.
    pub(crate) fn of_some(
        index: &'a Index,
        threads: &'a [Thread],
        artifacts: &'a [Artifact],
        messages: &'a HashMap<usize, Arc<Message>>,
    ) -> Self {
        Self {
            index,
            threads,
            artifacts,
            messages: Messages::Some(messages),
            leaf: None,
        }
    }

    pub(crate) fn message(&self, place: usize) -> &'a Message {
        let message = match &self.messages {
            Messages::All(messages) => messages.get(place),
            Messages::Some(messages) => messages.get(&place).map(Arc::as_ref),
        };
        message.unwrap_or(&NO_MESSAGE)
    }

    pub(crate) fn part(&self, place: PartPlace) -> &'a Part {
        let parts = &self.message(place.message()).parts;
        parts.get(place.part()).unwrap_or(&NO_PART)
    }

    pub(crate) fn anchor(&self, place: usize) -> String {
        self.index.anchor(place)
    }

    /// The messages of a thread as they are read first.
    pub(crate) fn path_of(&self, thread: ThreadId) -> Vec<usize> {
        let leaf = self.leaf.filter(|_| thread.is_main());
        self.index.path_of(thread, leaf)
    }

    /// A path of messages as items.
    pub(crate) fn items(&self, path: &[usize]) -> Vec<Item> {
        let mut items = Items::new(self.index, Standing::default());
        path.iter().for_each(|message| items.add_message(*message));
        items.done
    }
}

/// Items in the making.
pub(crate) struct Items<'i> {
    index: &'i Index,
    pub(crate) done: Vec<Item>,
    standing: Standing,
}

impl<'i> Items<'i> {
    /// Begins where a path stands so. What comes next begins an item.
    pub(crate) fn new(index: &'i Index, standing: Standing) -> Self {
        Self {
            index,
            done: Vec::new(),
            standing,
        }
    }

    /// Adds the next message of the path.
    pub(crate) fn add_message(&mut self, message: usize) {
        let Some(line) = self.index.line(message) else {
            return;
        };
        let mut has_item = false;
        for (part, content) in line.parts.iter().enumerate() {
            let place = PartPlace::new(message, part);
            let mut weight_bytes = content.weight_bytes;
            if content.kind == PartKind::Delegation {
                weight_bytes = weight_bytes.saturating_add(DELEGATION_BYTES);
            }
            let Some(kind) = self.kind_of(content, place) else {
                // It is shown with its call, and counts where it came.
                let last = self.done.last_mut();
                if let Some(last) = last.filter(|last| last.kind == ItemKind::Activity) {
                    last.weight_bytes = last.weight_bytes.saturating_add(weight_bytes);
                }
                continue;
            };
            if !self.joins(kind, place, weight_bytes) {
                self.begin(kind, message, !has_item);
            }
            has_item = true;
            if let Some(item) = self.done.last_mut() {
                item.parts.push(place);
                item.weight_bytes = item.weight_bytes.saturating_add(weight_bytes);
            }
        }
        // A message of which nothing is shown in its own place (it failed before it said anything) still stands where it was.
        if line.parts.is_empty() {
            let kind = match line.role {
                Role::User => ItemKind::Prompt,
                _ => ItemKind::Answer,
            };
            self.begin(kind, message, true);
        }
    }

    /// What kind of item a part belongs to; `None` where it is shown elsewhere.
    fn kind_of(&self, part: &PartLine, place: PartPlace) -> Option<ItemKind> {
        let line = self.index.line(place.message())?;
        match part.kind {
            PartKind::Call | PartKind::Delegation | PartKind::Quiet => Some(ItemKind::Activity),
            PartKind::Result => self.index.is_orphan(place).then_some(ItemKind::Activity),
            PartKind::Notice => Some(ItemKind::Notice),
            PartKind::Content if line.is_meta => Some(ItemKind::Activity),
            PartKind::Content => match line.role {
                Role::User => Some(ItemKind::Prompt),
                Role::Assistant | Role::Tool => Some(ItemKind::Answer),
                Role::System => Some(ItemKind::Notice),
            },
        }
    }

    /// True where a part goes on with the last item: calls run on over messages, other items hold one message.
    fn joins(&self, kind: ItemKind, place: PartPlace, weight_bytes: u32) -> bool {
        let Some(last) = self.done.last().filter(|last| last.kind == kind) else {
            return false;
        };
        let same_message = last
            .parts
            .last()
            .is_some_and(|part| part.message() == place.message());
        match kind {
            ItemKind::Activity => {
                let fits = last.parts.len() < ACTIVITY_ENTRIES_MAX
                    && last.weight_bytes.saturating_add(weight_bytes) <= ACTIVITY_BYTES_MAX;
                fits && (same_message || self.index.alternatives(place.message()).len() < 2)
            }
            _ => same_message,
        }
    }

    fn begin(&mut self, kind: ItemKind, message: usize, has_anchor: bool) {
        let Some(line) = self.index.line(message) else {
            return;
        };
        let before = self.standing.clone();
        let day = line.at.map(|at| at.millis().div_euclid(DAY_MS) as i32);
        let is_new_day = day.is_some() && day != self.standing.day;
        if is_new_day {
            self.standing.day = day;
        }
        self.standing.prompts += u32::from(kind == ItemKind::Prompt && has_anchor);
        let author = self.author_of(kind, line.author.as_ref());
        self.done.push(Item {
            kind,
            message,
            parts: SmallVec::new(),
            day: line.at.filter(|_| is_new_day),
            author,
            has_anchor,
            weight_bytes: 0,
            before,
        });
    }

    /// A prompt's author where it has a name; the model where it is not the one before.
    fn author_of(&mut self, kind: ItemKind, author: Option<&Arc<str>>) -> Option<Arc<str>> {
        match kind {
            ItemKind::Prompt => author.cloned(),
            ItemKind::Answer => {
                let is_new = self.standing.author.as_ref() != author;
                if author.is_some() {
                    self.standing.author = author.cloned();
                }
                author.filter(|_| is_new).cloned()
            }
            _ => None,
        }
    }
}
