//! What decides how a chat reads, without its text: of each message its place in its thread's tree and the kinds and weights of its parts.
//!
//! A bundle makes one of a snapshot; a live share keeps one and no message. Messages come in the order of the transcript, and what the
//! index says of one depends only on those before it, so that a chat that grows reads as one that was there at once. The exception are
//! versions: that a message has others may turn out later.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    num::NonZero,
    sync::Arc,
};

use readalong_model::{
    Action, Branches, Digest, Edit, LeftOut, Message, MessageId, NoticeKind, Part, Role, Snapshot,
    Thread, ThreadId, Timestamp, Visibility,
};

use crate::text;

/// Bytes of text in a thread, with the threads within it, above which it gets pages of its own unseen.
const THREAD_TEXT_BYTES_MAX: usize = 48 << 10;
/// What a message counts for in a thread beside its text: its HTML is never shorter.
const MESSAGE_BYTES: usize = 100;
/// Subagents of subagents that are shown within each other; deeper ones get pages of their own.
pub(crate) const THREAD_DEPTH_MAX: usize = 4;

/// A message's id, made short. Its first 48 bits are the message's anchor.
pub(crate) type Key = u64;

/// The key of another message, where there is one. No key is 0 that anybody could find.
type Link = Option<NonZero<Key>>;

/// The key of a message.
pub(crate) fn key_of(id: &MessageId) -> Key {
    let hex = Digest::of(id.0.as_bytes()).short(16);
    Key::from_str_radix(&hex, 16).unwrap_or_default()
}

/// The anchor of a message on its page: short, safe in URLs, the same at every export.
pub(crate) fn anchor_of(key: Key) -> String {
    format!("m{:012x}", key >> 16)
}

/// A call's id, made short.
fn call_key(call_id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    call_id.hash(&mut hasher);
    hasher.finish()
}

/// The place of a part: message, then part within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PartPlace {
    message: u32,
    part: u32,
}

impl PartPlace {
    pub(crate) fn new(message: usize, part: usize) -> Self {
        Self {
            message: message as u32,
            part: part as u32,
        }
    }

    pub(crate) fn message(self) -> usize {
        self.message as usize
    }

    pub(crate) fn part(self) -> usize {
        self.part as usize
    }
}

/// What is known of a message.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) key: Key,
    /// The message that it says it follows.
    names: Link,
    /// The same with messages passed over that viewers do not see.
    follows: Link,
    thread: u32,
    /// False for a message of which viewers see nothing.
    is_seen: bool,
    pub(crate) role: Role,
    pub(crate) is_meta: bool,
    pub(crate) at: Option<Timestamp>,
    /// Who speaks, as items tell it.
    pub(crate) author: Option<Arc<str>>,
    pub(crate) parts: Box<[PartLine]>,
    /// Another number whenever the message is another.
    pub(crate) version: u64,
}

/// What is known of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PartLine {
    pub(crate) kind: PartKind,
    /// Of calls and results.
    pub(crate) call: u64,
    /// Bytes of text in it, about.
    pub(crate) weight_bytes: u32,
}

/// Kinds of parts, as far as they decide where a part stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PartKind {
    /// What the message says: text, images, files, sources.
    Content,
    Call,
    /// A call that gives work to a subagent.
    Delegation,
    Result,
    /// Thoughts, unknown records, what happened by the way.
    Quiet,
    /// What everybody should see happened.
    Notice,
}

impl Line {
    /// What is known of a message that viewers see as it is given.
    pub(crate) fn of(message: &Message, version: u64) -> Self {
        Self::unseen(message, version).seen(message)
    }

    /// The same message, of which viewers see what is given.
    pub(crate) fn seen(self, message: &Message) -> Self {
        let author = &message.author;
        let name = match message.role {
            Role::User => author.name.as_deref(),
            _ => author.model.as_deref().or(author.name.as_deref()),
        };
        Self {
            author: name.map(|name| Arc::from(text::name(name))),
            parts: message.parts.iter().map(PartLine::of).collect(),
            is_seen: true,
            ..self
        }
    }

    /// A message of which viewers see nothing, but which others may follow.
    pub(crate) fn unseen(message: &Message, version: u64) -> Self {
        let names = message.parent.as_ref().map(key_of).and_then(NonZero::new);
        Self {
            key: key_of(&message.id),
            names,
            follows: names,
            thread: message.thread.0,
            is_seen: false,
            role: message.role,
            is_meta: message.visibility == Visibility::Meta,
            at: message.at,
            author: None,
            parts: Box::default(),
            version,
        }
    }

    /// True where the other stands in its place without anything else standing elsewhere.
    fn is_shaped_as(&self, other: &Self) -> bool {
        let shape = |line: &Self| (line.key, line.names, line.thread, line.is_seen, line.role);
        let kinds = |line: &Self| -> Vec<(PartKind, u64)> {
            line.parts
                .iter()
                .map(|part| (part.kind, part.call))
                .collect()
        };
        shape(self) == shape(other) && kinds(self) == kinds(other)
    }

    fn weight_bytes(&self) -> usize {
        let parts = self.parts.iter().map(|part| part.weight_bytes as usize);
        MESSAGE_BYTES + parts.sum::<usize>()
    }

    fn calls(&self) -> usize {
        self.parts.iter().filter(|part| part.is_call()).count()
    }
}

impl PartLine {
    fn of(part: &Part) -> Self {
        let (kind, call) = match part {
            Part::ToolCall(call) => {
                let delegates = matches!(call.action, Action::Delegate { .. });
                let kind = if delegates {
                    PartKind::Delegation
                } else {
                    PartKind::Call
                };
                (kind, call_key(&call.call_id))
            }
            Part::ToolResult { call_id, .. } => (PartKind::Result, call_key(call_id)),
            Part::Reasoning { .. } | Part::Unknown { .. } => (PartKind::Quiet, 0),
            Part::Notice {
                kind: NoticeKind::Queue | NoticeKind::Command | NoticeKind::Info,
                ..
            } => (PartKind::Quiet, 0),
            Part::Notice { .. } => (PartKind::Notice, 0),
            Part::Text { .. } | Part::Image { .. } | Part::File { .. } | Part::Source { .. } => {
                (PartKind::Content, 0)
            }
        };
        let weight_bytes = u32::try_from(text_bytes(part)).unwrap_or(u32::MAX);
        Self {
            kind,
            call,
            weight_bytes,
        }
    }

    pub(crate) fn is_call(&self) -> bool {
        matches!(self.kind, PartKind::Call | PartKind::Delegation)
    }
}

/// Bytes of text in a part, about.
fn text_bytes(part: &Part) -> usize {
    match part {
        Part::ToolCall(call) => {
            let input = call.input.as_ref().map_or(0, |input| input.get().len());
            input + action_bytes(&call.action)
        }
        Part::ToolResult { parts, .. } => parts
            .iter()
            .map(|part| match part {
                Part::Text { markdown } => markdown.len(),
                _ => 100,
            })
            .sum(),
        Part::Text { markdown } | Part::Reasoning { markdown, .. } => markdown.len(),
        Part::Notice { text, .. } => text.len(),
        Part::Unknown { json, .. } => json.get().len(),
        Part::Image { .. } | Part::File { .. } | Part::Source { .. } => 100,
    }
}

fn action_bytes(action: &Action) -> usize {
    match action {
        Action::Write { content, .. } => content.len(),
        Action::Edit { edits, .. } => edits
            .iter()
            .map(|edit| match edit {
                Edit::Replace { old, new } => old.len() + new.len(),
                Edit::Unified { diff } => diff.len(),
            })
            .sum(),
        Action::Patch { files } => files.iter().map(action_bytes).sum(),
        Action::Run { command: text, .. } | Action::Delegate { prompt: text, .. } => text.len(),
        _ => 0,
    }
}

/// What is known of a chat.
#[derive(Default)]
pub(crate) struct Index {
    /// By place. A place may be empty.
    lines: Vec<Option<Line>>,
    places: HashMap<Key, u32>,
    calls: HashMap<u64, CallPlaces>,
    threads: Vec<ThreadIndex>,
    /// Threads by the call that they name.
    started: HashMap<u64, Vec<usize>>,
    threads_at: HashMap<PartPlace, Vec<ThreadId>>,
    loose: Vec<ThreadId>,
    /// Names of authors: few, and repeated in every message.
    names: HashSet<Arc<str>>,
    /// True where threads may hang elsewhere than they did.
    threads_are_stale: bool,
    /// True where a message names a thread that is not known.
    has_lost_messages: bool,
}

/// Where a call is, and what answers it.
#[derive(Default)]
struct CallPlaces {
    calls: Places,
    /// Only what stands after a call of that id: a result that comes before its call stands for itself.
    results: Places,
}

/// Places of parts: one as a rule, which needs no list.
#[derive(Default)]
enum Places {
    #[default]
    None,
    One(PartPlace),
    Several(Vec<PartPlace>),
}

impl Places {
    fn as_slice(&self) -> &[PartPlace] {
        match self {
            Self::None => &[],
            Self::One(place) => std::slice::from_ref(place),
            Self::Several(places) => places,
        }
    }

    fn push(&mut self, place: PartPlace) {
        match self {
            Self::None => *self = Self::One(place),
            Self::One(first) => *self = Self::Several(vec![*first, place]),
            Self::Several(places) => places.push(place),
        }
    }

    fn pop(&mut self) {
        match self {
            Self::Several(places) if places.len() > 1 => _ = places.pop(),
            _ => *self = Self::None,
        }
    }
}

/// What is known of a thread.
struct ThreadIndex {
    tree: Branches,
    /// Its messages that viewers see, in order.
    places: Vec<u32>,
    /// How many of them do not follow the one before: none where the thread is a plain line.
    jumps: usize,
    calls: usize,
    weight_bytes: usize,
    is_shown: bool,
    home: Option<PartPlace>,
}

impl Default for ThreadIndex {
    fn default() -> Self {
        Self {
            tree: Branches::default(),
            places: Vec::new(),
            jumps: 0,
            calls: 0,
            weight_bytes: 0,
            // Until the threads are looked at: one that appears together with its messages changes nothing that was there.
            is_shown: true,
            home: None,
        }
    }
}

/// What a new look at the threads brought.
#[derive(Default)]
pub(crate) struct ThreadChanges {
    /// Calls at which other threads hang than before.
    pub(crate) calls: Vec<PartPlace>,
    /// True where a thread with older messages appeared or went: the whole chat may read differently.
    pub(crate) all: bool,
}

impl Index {
    /// The index of a snapshot.
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        let mut index = Self::default();
        index.set_threads(&snapshot.threads);
        index.reserve(snapshot.messages.len());
        for message in &snapshot.messages {
            index.push(Some(Line::of(message, 0)));
        }
        index.place_threads(vec![true; snapshot.threads.len()]);
        index
    }

    /// An index of the same threads in which these are the messages, by place.
    pub(crate) fn rebuilt(self, threads: &[Thread], lines: Vec<Option<Line>>) -> Self {
        let mut index = Self::default();
        index.set_threads(threads);
        for (old, new) in self.threads.iter().zip(&mut index.threads) {
            (new.is_shown, new.home) = (old.is_shown, old.home);
        }
        index.threads_at = self.threads_at;
        index.loose = self.loose;
        index.threads_are_stale = true;
        lines.into_iter().for_each(|line| index.push(line));
        index
    }

    /// Makes room for so many more messages.
    fn reserve(&mut self, messages: usize) {
        self.lines.reserve(messages);
        self.places.reserve(messages);
    }

    /// All messages, by place.
    pub(crate) fn take_lines(&mut self) -> Vec<Option<Line>> {
        std::mem::take(&mut self.lines)
    }

    /// Places, empty ones among them.
    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    /// What stands at a place.
    pub(crate) fn line(&self, place: usize) -> Option<&Line> {
        self.lines.get(place)?.as_ref()
    }

    /// The message at a place, where viewers see it.
    pub(crate) fn shown(&self, place: usize) -> Option<&Line> {
        self.line(place)
            .filter(|line| line.is_seen && self.shows_thread(line.thread as usize))
    }

    /// True where viewers see something of the message at a place, its thread aside.
    pub(crate) fn is_seen(&self, place: usize) -> bool {
        self.line(place).is_some_and(|line| line.is_seen)
    }

    /// Where a message is.
    pub(crate) fn place_of(&self, key: Key) -> Option<usize> {
        let place = *self.places.get(&key)? as usize;
        let is_there = |line: &&Line| line.key == key;
        self.line(place).filter(is_there).map(|_| place)
    }

    pub(crate) fn anchor(&self, place: usize) -> String {
        anchor_of(self.line(place).map_or(0, |line| line.key))
    }

    /// The message that this one follows, with messages passed over that viewers do not see; `None` where it begins its thread.
    pub(crate) fn follows(&self, place: usize) -> Option<Key> {
        self.line(place)?.follows.map(NonZero::get)
    }

    /// The message whose word on its parent counts for the one at a place: its own, or that of the first unseen one above it that names
    /// one that viewers see.
    pub(crate) fn names_itself(&self, place: usize) -> usize {
        let mut at = place;
        loop {
            let parent = self.line(at).and_then(|line| line.names);
            match parent.and_then(|parent| self.place_of(parent.get())) {
                Some(parent) if parent < at && !self.is_seen(parent) => at = parent,
                _ => return at,
            }
        }
    }

    pub(crate) fn part(&self, place: PartPlace) -> Option<&PartLine> {
        self.line(place.message())?.parts.get(place.part())
    }

    pub(crate) fn thread_of(&self, place: usize) -> ThreadId {
        ThreadId(self.line(place).map_or(0, |line| line.thread))
    }

    // Calls

    /// True where a result has no call before it: it stands for itself.
    pub(crate) fn is_orphan(&self, place: PartPlace) -> bool {
        self.call_of(place).is_none()
    }

    /// The call that the result at a place answers: the last one of its id before it. Ids are unique, but not every transcript knows.
    pub(crate) fn call_of(&self, place: PartPlace) -> Option<PartPlace> {
        let part = self
            .part(place)
            .filter(|part| part.kind == PartKind::Result)?;
        let calls = self.calls.get(&part.call)?.calls.as_slice();
        let before = &calls[..calls.partition_point(|call| *call < place)];
        let mut before = before.iter().rev().copied();
        before.find(|call| self.shown(call.message()).is_some())
    }

    /// Where the results of the call at a place are: one as a rule, several where a tool answers in pieces. They stand before the next
    /// call of its id.
    pub(crate) fn results_of(&self, place: PartPlace) -> impl Iterator<Item = PartPlace> {
        let part = self.part(place).filter(|part| part.is_call());
        let places = part.and_then(|part| self.calls.get(&part.call));
        let (calls, results) = places.map_or((&[][..], &[][..]), |places| {
            (places.calls.as_slice(), places.results.as_slice())
        });
        let after = |places: &'_ [PartPlace]| places.partition_point(|other| *other <= place);
        let is_shown = |place: &PartPlace| self.shown(place.message()).is_some();
        let mut later = calls[after(calls)..].iter().copied();
        let next = later.find(is_shown);
        let results = results[after(results)..].iter().copied();
        results
            .take_while(move |result| next.is_none_or(|next| *result < next))
            .filter(is_shown)
    }

    // Threads

    fn shows_thread(&self, thread: usize) -> bool {
        self.threads.get(thread).is_some_and(|index| index.is_shown)
    }

    /// The threads that the call at a place started. Each thread has one place, or is loose.
    pub(crate) fn threads_at(&self, place: PartPlace) -> &[ThreadId] {
        self.threads_at.get(&place).map_or(&[], Vec::as_slice)
    }

    /// Threads that no call in a thread above them started.
    pub(crate) fn loose_threads(&self) -> &[ThreadId] {
        &self.loose
    }

    /// The call at which a thread hangs.
    pub(crate) fn home_of(&self, thread: ThreadId) -> Option<PartPlace> {
        self.threads.get(thread.0 as usize)?.home
    }

    /// Which threads are shown.
    pub(crate) fn threads_shown(&self) -> impl Iterator<Item = bool> {
        self.threads.iter().map(|thread| thread.is_shown)
    }

    /// Messages of a thread that viewers see, on all its branches, in order.
    pub(crate) fn places_in(&self, thread: ThreadId) -> &[u32] {
        self.threads
            .get(thread.0 as usize)
            .map_or(&[], |thread| &thread.places)
    }

    /// How many messages of a thread viewers see.
    pub(crate) fn messages_in(&self, thread: usize) -> usize {
        self.threads
            .get(thread)
            .map_or(0, |thread| thread.places.len())
    }

    /// Messages and calls along the path that a thread is read by.
    pub(crate) fn thread_size(&self, thread: ThreadId) -> (usize, usize) {
        match self.threads.get(thread.0 as usize) {
            Some(index) if index.jumps == 0 => (index.places.len(), index.calls),
            _ => {
                let path = self.path_of(thread, None);
                let calls = |place: &usize| self.line(*place).map_or(0, Line::calls);
                (path.len(), path.iter().map(calls).sum())
            }
        }
    }

    /// True for a thread of so much text that it has pages of its own, whatever its HTML.
    pub(crate) fn is_long(&self, thread: ThreadId, depth: usize) -> bool {
        self.weight_with_threads(thread, depth) > THREAD_TEXT_BYTES_MAX
    }

    /// Bytes of text in a thread and those that stand within it; once they are too many, not all are counted.
    fn weight_with_threads(&self, thread: ThreadId, depth: usize) -> usize {
        let Some(index) = self.threads.get(thread.0 as usize) else {
            return 0;
        };
        let mut sum = index.weight_bytes;
        let mut waiting = index.places.iter();
        while let (true, Some(place)) = (sum <= THREAD_TEXT_BYTES_MAX, waiting.next()) {
            let message = *place as usize;
            for part in 0..self.line(message).map_or(0, |line| line.parts.len()) {
                let threads = self.threads_at(PartPlace::new(message, part));
                for within in threads.iter().filter(|_| depth < THREAD_DEPTH_MAX) {
                    let weight = self.weight_with_threads(*within, depth + 1);
                    sum += Some(weight)
                        .filter(|weight| *weight <= THREAD_TEXT_BYTES_MAX)
                        .unwrap_or(MESSAGE_BYTES);
                }
            }
        }
        sum
    }

    /// The messages of a thread as they are read first: through `leaf`, or through the newest.
    pub(crate) fn path_of(&self, thread: ThreadId, leaf: Option<usize>) -> Vec<usize> {
        let Some(index) = self.threads.get(thread.0 as usize) else {
            return Vec::new();
        };
        let mut places = index.places.iter().map(|place| *place as usize);
        if index.jumps == 0 {
            return places.collect();
        }
        let is_in = |leaf: &usize| index.places.binary_search(&(*leaf as u32)).is_ok();
        match leaf.filter(is_in).or_else(|| places.next_back()) {
            Some(leaf) => index.tree.path_through(leaf),
            None => Vec::new(),
        }
    }

    /// The messages of an alternative, from its first one on.
    pub(crate) fn branch_from(&self, place: usize) -> Vec<usize> {
        self.tree(place)
            .map(|tree| tree.branch_from(place))
            .unwrap_or_default()
    }

    /// The versions of a message, itself among them; one means that there is no other.
    pub(crate) fn alternatives(&self, place: usize) -> &[usize] {
        self.tree(place)
            .map_or(&[], |tree| tree.alternatives(place))
    }

    /// The message that one follows in its thread's tree.
    pub(crate) fn parent(&self, place: usize) -> Option<usize> {
        self.tree(place)?.parent(place)
    }

    fn tree(&self, place: usize) -> Option<&Branches> {
        let thread = self.line(place).filter(|line| line.is_seen)?.thread;
        self.threads.get(thread as usize).map(|index| &index.tree)
    }

    // Change

    /// Takes the list of threads; where they hang shows [`Self::refresh_threads`].
    pub(crate) fn set_threads(&mut self, threads: &[Thread]) {
        self.threads
            .resize_with(threads.len().max(1), ThreadIndex::default);
        self.started.clear();
        for (thread, call) in threads.iter().enumerate().skip(1) {
            if let Some(call) = &call.parent_call {
                self.started.entry(call_key(call)).or_default().push(thread);
            }
        }
        self.threads_are_stale = true;
    }

    /// True where messages wait for a thread to be told of.
    pub(crate) fn has_lost_messages(&self) -> bool {
        self.has_lost_messages
    }

    /// Adds the next message, or an empty place.
    pub(crate) fn push(&mut self, line: Option<Line>) {
        let place = self.lines.len();
        if place == self.lines.capacity() {
            // By an eighth, not to twice as much: an index lives long.
            self.lines.reserve_exact((place / 8).max(8));
        }
        let Some(mut line) = line else {
            self.lines.push(None);
            return;
        };
        line.follows = match line.names.and_then(|key| self.place_of(key.get())) {
            Some(parent) if self.line(parent).is_some_and(|line| !line.is_seen) => {
                self.line(parent).and_then(|line| line.follows)
            }
            _ => line.names,
        };
        line.author = line.author.map(|name| self.interned(name));
        if line.is_seen {
            self.add_to_thread(place, &line);
            self.add_calls(place, &line);
        }
        self.places.insert(line.key, place as u32);
        self.lines.push(Some(line));
    }

    fn interned(&mut self, name: Arc<str>) -> Arc<str> {
        match self.names.get(&name) {
            Some(known) => Arc::clone(known),
            None => {
                self.names.insert(Arc::clone(&name));
                name
            }
        }
    }

    fn add_to_thread(&mut self, place: usize, line: &Line) {
        let parent = line.follows.map(|key| {
            let key = key.get();
            let known = self.place_of(key).and_then(|place| self.line(place));
            let is_near = known.is_some_and(|other| other.is_seen && other.thread == line.thread);
            self.place_of(key).filter(|_| is_near)
        });
        let Some(thread) = self.threads.get_mut(line.thread as usize) else {
            self.has_lost_messages = true;
            return;
        };
        let previous = thread.places.last().map(|place| *place as usize);
        // One that follows nothing begins the thread; one that follows what is not there follows the message before it.
        let parent = parent.and_then(|parent| parent.or(previous));
        thread.tree.add(place, parent);
        thread.jumps += usize::from(parent != previous);
        thread.places.push(place as u32);
        thread.calls += line.calls();
        thread.weight_bytes += line.weight_bytes();
        self.threads_are_stale |= thread.places.len() == 1;
    }

    fn add_calls(&mut self, message: usize, line: &Line) {
        for (part, content) in line.parts.iter().enumerate() {
            let place = PartPlace::new(message, part);
            if content.is_call() {
                self.calls
                    .entry(content.call)
                    .or_default()
                    .calls
                    .push(place);
                self.threads_are_stale |= self.started.contains_key(&content.call);
            } else if content.kind == PartKind::Result
                && let Some(call) = self.calls.get_mut(&content.call)
            {
                call.results.push(place);
            }
        }
    }

    /// Takes the last place away again.
    pub(crate) fn pop(&mut self) -> Option<Line> {
        let line = self.lines.pop()??;
        let place = self.lines.len();
        if self.places.get(&line.key) == Some(&(place as u32)) {
            self.places.remove(&line.key);
        }
        if line.is_seen {
            self.remove_from_thread(place, &line);
            self.remove_calls(place, &line);
        }
        Some(line)
    }

    fn remove_from_thread(&mut self, place: usize, line: &Line) {
        let Some(thread) = self.threads.get_mut(line.thread as usize) else {
            return;
        };
        let parent = thread.tree.parent(place);
        thread.tree.remove_last(place);
        thread.places.pop();
        let previous = thread.places.last().map(|place| *place as usize);
        thread.jumps -= usize::from(parent != previous);
        thread.calls -= line.calls();
        thread.weight_bytes -= line.weight_bytes();
        self.threads_are_stale |= thread.places.is_empty();
    }

    fn remove_calls(&mut self, message: usize, line: &Line) {
        for (part, content) in line.parts.iter().enumerate().rev() {
            let place = PartPlace::new(message, part);
            let Some(call) = self.calls.get_mut(&content.call) else {
                continue;
            };
            if content.is_call() {
                call.calls.pop();
                self.threads_are_stale |= self.started.contains_key(&content.call);
                if call.calls.as_slice().is_empty() {
                    self.calls.remove(&content.call);
                }
            } else if call.results.as_slice().last() == Some(&place) {
                call.results.pop();
            }
        }
    }

    /// Puts a message in place of one of the same shape; gives it back where its shape is another.
    pub(crate) fn replace(&mut self, place: usize, mut line: Line) -> Result<(), Line> {
        let Some(old) = self.line(place).filter(|old| old.is_shaped_as(&line)) else {
            return Err(line);
        };
        let (before, after) = (old.weight_bytes(), line.weight_bytes());
        line.follows = old.follows;
        line.author = line.author.map(|name| self.interned(name));
        if line.is_seen
            && let Some(thread) = self.threads.get_mut(line.thread as usize)
        {
            thread.weight_bytes = thread.weight_bytes + after - before;
        }
        self.lines[place] = Some(line);
        Ok(())
    }

    /// Finds out anew which threads are shown and where they hang, where that may have changed. Messages from `new_from` on are new.
    pub(crate) fn refresh_threads(
        &mut self,
        threads: &[Thread],
        left_out: LeftOut,
        new_from: usize,
    ) -> ThreadChanges {
        if !std::mem::take(&mut self.threads_are_stale) {
            return ThreadChanges::default();
        }
        let called_in = |call: &str| -> Vec<ThreadId> {
            let places = self.calls.get(&call_key(call));
            let places = places.map_or(&[][..], |places| places.calls.as_slice());
            places
                .iter()
                .map(|place| self.thread_of(place.message()))
                .collect()
        };
        let shown = left_out.shown_threads(threads, &called_in);
        let before: Vec<_> = self
            .threads
            .iter()
            .map(|thread| (thread.is_shown, thread.home))
            .collect();
        self.place_threads(shown);
        let mut changes = ThreadChanges::default();
        for (thread, (was_shown, home)) in self.threads.iter().zip(before) {
            let has_old = thread
                .places
                .first()
                .is_some_and(|place| (*place as usize) < new_from);
            changes.all |= thread.is_shown != was_shown && has_old;
            if thread.home != home {
                changes.calls.extend(thread.home.into_iter().chain(home));
            }
        }
        changes
    }

    /// Places each thread: at the first call that it names, found from the main thread on, so that no thread hangs within itself.
    /// The others are loose, and what hangs on them hangs there.
    fn place_threads(&mut self, shown: Vec<bool>) {
        let count = self.threads.len();
        for (at, thread) in self.threads.iter_mut().enumerate() {
            thread.is_shown = shown.get(at).copied().unwrap_or(at == 0);
            thread.home = None;
        }
        self.threads_at.clear();
        self.loose.clear();
        // Where threads are started in each thread, by the call. A call that many threads name stands here once.
        let mut below: Vec<Vec<(PartPlace, u64)>> = vec![Vec::new(); count];
        let mut is_called = vec![false; count];
        for (call, started) in &self.started {
            let places = self.calls.get(call);
            let places = places.map_or(&[][..], |places| places.calls.as_slice());
            let mut is_shown = false;
            for place in places
                .iter()
                .filter(|place| self.shown(place.message()).is_some())
            {
                is_shown = true;
                below[self.thread_of(place.message()).0 as usize].push((*place, *call));
            }
            for &thread in started.iter().filter(|thread| self.shows_thread(**thread)) {
                is_called[thread] |= is_shown;
            }
        }
        below.iter_mut().for_each(|calls| calls.sort_unstable());
        let mut waiting: HashMap<u64, &[usize]> = HashMap::with_capacity(self.started.len());
        for (call, started) in &self.started {
            waiting.insert(*call, started);
        }
        let mut is_placed = vec![false; count];
        // The main thread first, then those whose call is nowhere, last those that only call each other.
        let (called, uncalled): (Vec<usize>, Vec<usize>) =
            (1..count).partition(|thread| is_called[*thread]);
        for root in std::iter::once(0).chain(uncalled).chain(called) {
            let is_empty = self.threads[root].places.is_empty();
            if is_placed[root] || is_empty || !self.shows_thread(root) {
                continue;
            }
            is_placed[root] = true;
            if root > 0 {
                self.loose.push(ThreadId(root as u32));
            }
            let mut open = vec![root];
            while let Some(caller) = open.pop() {
                for (place, call) in &below[caller] {
                    // The first call found places all threads that name it.
                    for &thread in waiting.remove(call).unwrap_or_default() {
                        let is_shown = self.threads[thread].is_shown;
                        if !is_shown || std::mem::replace(&mut is_placed[thread], true) {
                            continue;
                        }
                        let threads = self.threads_at.entry(*place).or_default();
                        threads.push(ThreadId(thread as u32));
                        self.threads[thread].home = Some(*place);
                        open.push(thread);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use readalong_model::{Chat, SnapshotOptions, ThreadKind, ToolCall};

    use super::*;

    const ALL: SnapshotOptions = SnapshotOptions {
        title: None,
        artifacts: true,
        reasoning: true,
        tools: true,
        messages: None,
    };

    fn call(id: &str) -> Part {
        Part::ToolCall(ToolCall {
            call_id: id.to_owned(),
            name: "tool".to_owned(),
            action: Action::Other,
            input: None,
            state: Default::default(),
        })
    }

    fn result(id: &str) -> Part {
        Part::ToolResult {
            call_id: id.to_owned(),
            parts: Vec::new(),
            is_error: false,
        }
    }

    /// The index of a chat of one message, with so many threads of one message each that name a call.
    fn index_of(parts: Vec<Part>, threads: usize, parent_call: &str) -> Index {
        let thread = |kind, parent_call: Option<&str>| Thread {
            kind,
            title: None,
            parent_call: parent_call.map(str::to_owned),
        };
        let mut first = Message::new("first", Role::Assistant);
        first.parts = parts;
        let mut snapshot = Snapshot::take(Chat::default(), &ALL);
        snapshot.messages.push(first);
        for number in 1..=threads {
            let started = thread(ThreadKind::Subagent, Some(parent_call));
            snapshot.threads.push(started);
            let mut message = Message::new(format!("m{number}"), Role::Assistant);
            message.thread = ThreadId(number as u32);
            message.parts = vec![call(parent_call)];
            snapshot.messages.push(message);
        }
        Index::of(&snapshot)
    }

    #[test]
    fn a_result_belongs_to_the_last_call_of_its_id_before_it() {
        let parts = vec![
            result("x"),
            call("x"),
            result("x"),
            result("x"),
            call("y"),
            call("x"),
            result("y"),
            result("x"),
        ];
        let index = index_of(parts, 0, "");
        let results = |part| -> Vec<usize> {
            let results = index.results_of(PartPlace::new(0, part));
            results.map(|place| place.part()).collect()
        };
        assert_eq!(results(1), [2, 3]);
        assert_eq!(results(4), [6]);
        assert_eq!(results(5), [7]);
        assert!(index.is_orphan(PartPlace {
            message: 0,
            part: 0
        }));
    }

    #[test]
    fn calls_threads_and_results_of_one_id_take_room_for_each_and_not_for_each_pair() {
        let count = 20_000;
        let calls = (0..count).map(|_| call("x"));
        let results = (0..count).map(|_| result("x"));
        let index = index_of(calls.chain(results).collect(), count, "x");
        let place = |part| PartPlace::new(0, part);
        assert_eq!(index.threads_at(place(0)).len(), count);
        assert_eq!(index.home_of(ThreadId(1)), Some(place(0)));
        let shown: usize = (0..count)
            .map(|part| index.results_of(place(part)).count())
            .sum();
        assert_eq!(shown, count);
    }
}
