//! What a live book keeps of an item, and what an item rests on.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
};

use readalong_model::{Seq, Thread, ThreadId};
use smallvec::SmallVec;

use crate::{
    fragment::Fragment,
    index::{Index, PartPlace, THREAD_DEPTH_MAX},
    outline::{Item, ItemKey, ItemKind},
};

/// An item as a live book remembers it.
pub(super) struct Record {
    pub(super) item: Item,
    pub(super) key: ItemKey,
    /// Digest of all that the item's HTML is made of; the same digest means the same HTML.
    pub(super) input: u64,
    pub(super) facts: Facts,
    /// Number of the page that it is on, from 1.
    pub(super) page: u32,
    /// Bytes of the items before it on the page.
    pub(super) bytes_before: u32,
    /// When it was shown first, and when it changed last.
    pub(super) created: Seq,
    pub(super) changed: Seq,
}

/// What is remembered of an item's HTML.
#[derive(Default)]
pub(super) struct Facts {
    pub(super) html_bytes: u32,
    /// Marks of secrets that were taken out of it.
    pub(super) redacted: u32,
    html: u64,
    /// First words of a prompt.
    pub(super) prompt: Option<Box<str>>,
    /// Anchors of the messages that begin in it, without the `m`.
    anchors: SmallVec<[u64; 2]>,
}

impl Record {
    /// An item that is not rendered yet.
    pub(super) fn new(mut item: Item, index: &Index, now: Seq) -> Self {
        item.parts.shrink_to_fit();
        Self {
            key: item.key(index),
            item,
            input: 0,
            facts: Facts::default(),
            page: 0,
            bytes_before: 0,
            created: now,
            changed: now,
        }
    }

    pub(super) fn is_prompt(&self) -> bool {
        self.facts.prompt.is_some()
    }

    /// Takes what its HTML is now; false where that is the same as before.
    pub(super) fn take(&mut self, fragment: &Fragment) -> bool {
        let facts = Facts::of(fragment);
        let before = (self.facts.html, self.facts.html_bytes);
        let is_new = before != (facts.html, facts.html_bytes);
        self.facts = facts;
        is_new
    }

    pub(super) fn anchors(&self) -> impl Iterator<Item = String> {
        let anchors = self.facts.anchors.iter();
        anchors.map(|anchor| format!("m{anchor:012x}"))
    }

    pub(super) fn messages(&self) -> usize {
        self.facts.anchors.len()
    }

    pub(super) fn has_anchor(&self, anchor: &str) -> bool {
        let digits = anchor.strip_prefix('m').filter(|digits| digits.len() == 12);
        let anchor = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        anchor.is_some_and(|anchor| self.facts.anchors.contains(&anchor))
    }
}

impl Facts {
    fn of(fragment: &Fragment) -> Self {
        let mut hasher = DefaultHasher::new();
        fragment.html.hash(&mut hasher);
        let anchor = |anchor: &String| u64::from_str_radix(&anchor[1..], 16).unwrap_or_default();
        let prompt = fragment.prompt.as_ref();
        Self {
            html_bytes: u32::try_from(fragment.html.len()).unwrap_or(u32::MAX),
            redacted: u32::try_from(fragment.redacted).unwrap_or(u32::MAX),
            html: hasher.finish(),
            prompt: prompt.map(|prompt| prompt.text.as_str().into()),
            anchors: fragment.anchors.iter().map(anchor).collect(),
        }
    }
}

/// What items rest on: messages, and what the index says of them.
pub(super) struct Rests<'a> {
    index: &'a Index,
    threads: &'a [Thread],
    hasher: DefaultHasher,
    places: BTreeSet<usize>,
}

impl<'a> Rests<'a> {
    pub(super) fn new(index: &'a Index, threads: &'a [Thread]) -> Self {
        Self {
            index,
            threads,
            hasher: DefaultHasher::new(),
            places: BTreeSet::new(),
        }
    }

    /// Digest of all that an item's HTML is made of.
    pub(super) fn input(mut self, item: &Item) -> u64 {
        self.item(item);
        self.hasher.finish()
    }

    /// The messages that are needed to render some items.
    pub(super) fn places<'i>(mut self, items: impl Iterator<Item = &'i Item>) -> BTreeSet<usize> {
        items.for_each(|item| self.item(item));
        self.places
    }

    fn item(&mut self, item: &Item) {
        let words = (item.kind, item.number(), item.has_anchor);
        words.hash(&mut self.hasher);
        item.day.map(|day| day.millis()).hash(&mut self.hasher);
        item.author.hash(&mut self.hasher);
        self.message(item.message);
        if item.has_anchor {
            self.versions(item.message);
        }
        for place in &item.parts {
            place.part().hash(&mut self.hasher);
            self.message(place.message());
            self.call(*place, 0);
        }
        if let ItemKind::LooseThread(thread) = item.kind {
            self.thread(thread, 0);
        }
    }

    fn message(&mut self, place: usize) {
        let line = self.index.line(place);
        let line = line.map(|line| (line.key, line.version));
        line.hash(&mut self.hasher);
        self.places.insert(place);
    }

    /// The other versions of a message: that they are there, not what they say.
    fn versions(&mut self, place: usize) {
        let versions = self.index.alternatives(place);
        if versions.len() > 1 {
            for version in versions {
                let key = self.index.line(*version).map(|line| line.key);
                key.hash(&mut self.hasher);
            }
        }
    }

    fn call(&mut self, place: PartPlace, depth: usize) {
        let index = self.index;
        for result in index.results_of(place) {
            result.part().hash(&mut self.hasher);
            self.message(result.message());
        }
        for thread in index.threads_at(place) {
            self.thread(*thread, depth);
        }
    }

    /// A thread in a place at this depth, as far as it stands there.
    fn thread(&mut self, thread: ThreadId, depth: usize) {
        let title = self.threads.get(thread.0 as usize);
        title.map(|thread| &thread.title).hash(&mut self.hasher);
        self.index.thread_size(thread).hash(&mut self.hasher);
        let first = self.index.places_in(thread).first();
        let first = first.and_then(|place| self.index.line(*place as usize));
        first.map(|line| line.key).hash(&mut self.hasher);
        if depth >= THREAD_DEPTH_MAX || self.index.is_long(thread, depth + 1) {
            return;
        }
        for message in self.index.path_of(thread, None) {
            self.message(message);
            self.versions(message);
            let parts = self.index.line(message).map_or(0, |line| line.parts.len());
            for part in 0..parts {
                let place = PartPlace::new(message, part);
                // A result stands for itself or with its call.
                self.index.is_orphan(place).hash(&mut self.hasher);
                self.call(place, depth + 1);
            }
        }
    }
}
