//! How a chat reads: its messages as the items that pages show (prompts, answers, activity, notices), in order.
//!
//! Works on a [`Snapshot`] alone and makes no HTML. An item is the unit that is rendered, counted for page weight and, live, replaced.

use std::collections::{HashMap, HashSet};

use readalong_model::{
    Action, Branches, Digest, Edit, Message, NoticeKind, Part, Role, Snapshot, ThreadId, Timestamp,
    Visibility,
};

/// Calls in one activity, and bytes of their texts; a longer run of calls is broken, so that the cost of one more call stays bounded and
/// a page can be split between them.
const ACTIVITY_ENTRIES_MAX: usize = 64;
const ACTIVITY_BYTES_MAX: usize = 48 << 10;
/// What a thread within a call counts for.
const THREAD_BYTES: usize = 24 << 10;

/// The place of a part: message, then part within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PartPlace {
    pub(crate) message: usize,
    pub(crate) part: usize,
}

/// What an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    pub(crate) parts: Vec<PartPlace>,
    /// Number of the prompt within its path, from 1.
    pub(crate) number: usize,
    /// The time of the item, where its day is not that of the item before.
    pub(crate) day: Option<Timestamp>,
    /// Who speaks, where that is not clear from what comes before.
    pub(crate) author: Option<String>,
    /// True for the item that carries the message's anchor.
    pub(crate) has_anchor: bool,
    /// Bytes of text in it, about.
    weight_bytes: usize,
}

/// A snapshot with what is needed to find one's way in it.
pub(crate) struct Outline<'a> {
    pub(crate) snapshot: &'a Snapshot,
    /// Anchor of each message.
    pub(crate) anchors: Vec<String>,
    results: HashMap<&'a str, Vec<PartPlace>>,
    calls: HashSet<&'a str>,
    threads_at: HashMap<PartPlace, Vec<ThreadId>>,
    loose: Vec<ThreadId>,
    trees: Vec<Branches>,
}

impl<'a> Outline<'a> {
    pub(crate) fn of(snapshot: &'a Snapshot) -> Self {
        let mut results: HashMap<&str, Vec<PartPlace>> = HashMap::new();
        let mut calls = HashSet::new();
        for (message, part, content) in parts(snapshot) {
            match content {
                Part::ToolCall(call) => {
                    calls.insert(call.call_id.as_str());
                }
                Part::ToolResult { call_id, .. } => {
                    results
                        .entry(call_id.as_str())
                        .or_default()
                        .push(PartPlace { message, part });
                }
                _ => {}
            }
        }
        let (threads_at, loose) = place_threads(snapshot, &calls);
        Self {
            snapshot,
            anchors: snapshot
                .messages
                .iter()
                .map(|message| anchor(&message.id.0))
                .collect(),
            results,
            calls,
            threads_at,
            loose,
            trees: Branches::of_all(&snapshot.messages, snapshot.threads.len()),
        }
    }

    pub(crate) fn message(&self, place: usize) -> &'a Message {
        &self.snapshot.messages[place]
    }

    pub(crate) fn part(&self, place: PartPlace) -> &'a Part {
        &self.snapshot.messages[place.message].parts[place.part]
    }

    /// Where the results of a call are: one as a rule, several where a tool answers in pieces.
    pub(crate) fn results_of(&self, call_id: &str) -> &[PartPlace] {
        self.results.get(call_id).map_or(&[], Vec::as_slice)
    }

    /// The threads that the call at a place started. Each thread has one place, or is loose.
    pub(crate) fn threads_at(&self, place: PartPlace) -> &[ThreadId] {
        self.threads_at.get(&place).map_or(&[], Vec::as_slice)
    }

    /// Threads that no call in a thread above them started.
    pub(crate) fn loose_threads(&self) -> &[ThreadId] {
        &self.loose
    }

    /// Bytes of text that a part brings to an item, with what hangs on it.
    fn weight_bytes(&self, part: &Part) -> usize {
        match part {
            Part::ToolCall(call) => {
                let input = call.input.as_ref().map_or(0, |input| input.get().len());
                let results = self.results_of(&call.call_id).iter();
                let result: usize = results
                    .map(|place| self.weight_bytes(self.part(*place)))
                    .sum();
                input + action_bytes(&call.action) + result
            }
            Part::ToolResult { parts, .. } => parts
                .iter()
                .map(|part| {
                    if let Part::Text { markdown } = part {
                        markdown.len()
                    } else {
                        100
                    }
                })
                .sum(),
            Part::Text { markdown } | Part::Reasoning { markdown, .. } => markdown.len(),
            Part::Notice { text, .. } => text.len(),
            Part::Unknown { json, .. } => json.get().len(),
            Part::Image { .. } | Part::File { .. } | Part::Source { .. } => 100,
        }
    }

    /// The messages of a thread as they are read first.
    pub(crate) fn path_of(&self, thread: ThreadId) -> Vec<usize> {
        let leaf = self
            .snapshot
            .active_leaf
            .as_ref()
            .filter(|_| thread.is_main());
        self.trees
            .get(thread.0 as usize)
            .map(|tree| tree.active_path(&self.snapshot.messages, leaf))
            .unwrap_or_default()
    }

    /// The messages of an alternative, from its first one on.
    pub(crate) fn branch_from(&self, message: usize) -> Vec<usize> {
        self.tree(message)
            .map(|tree| tree.branch_from(message))
            .unwrap_or_default()
    }

    /// The versions of a message, itself among them; one means that there is no other.
    pub(crate) fn alternatives(&self, message: usize) -> &[usize] {
        self.tree(message)
            .map_or(&[], |tree| tree.alternatives(message))
    }

    fn tree(&self, message: usize) -> Option<&Branches> {
        self.trees.get(self.message(message).thread.0 as usize)
    }

    /// A loose thread as an item.
    pub(crate) fn loose_thread(&self, thread: ThreadId) -> Item {
        let message = self.path_of(thread).first().copied().unwrap_or(0);
        let kind = ItemKind::LooseThread(thread);
        Item {
            kind,
            message,
            parts: Vec::new(),
            number: 0,
            day: None,
            author: None,
            has_anchor: false,
            weight_bytes: THREAD_BYTES,
        }
    }

    /// A path of messages as items.
    pub(crate) fn items(&self, path: &[usize]) -> Vec<Item> {
        let mut items = Items {
            outline: self,
            done: Vec::new(),
            prompts: 0,
            last_day: None,
            last_author: None,
        };
        for &message in path {
            items.add_message(message);
        }
        items.done
    }
}

/// Where each thread hangs: at the first call that it names, found from the main thread on, so that no thread hangs within itself.
/// The others are loose, and what hangs on them hangs there.
fn place_threads(
    snapshot: &Snapshot,
    calls: &HashSet<&str>,
) -> (HashMap<PartPlace, Vec<ThreadId>>, Vec<ThreadId>) {
    let mut of_call: HashMap<&str, Vec<usize>> = HashMap::new();
    for (thread, call) in snapshot
        .threads
        .iter()
        .map(|thread| thread.parent_call.as_deref())
        .enumerate()
    {
        of_call
            .entry(call.unwrap_or_default())
            .or_default()
            .push(thread);
    }
    let mut messages_of: Vec<Vec<usize>> = vec![Vec::new(); snapshot.threads.len()];
    for (place, message) in snapshot.messages.iter().enumerate() {
        if let Some(places) = messages_of.get_mut(message.thread.0 as usize) {
            places.push(place);
        }
    }
    let mut at: HashMap<PartPlace, Vec<ThreadId>> = HashMap::new();
    let mut loose = Vec::new();
    let mut is_placed = vec![false; snapshot.threads.len()];
    let has_caller = |thread: &usize| {
        let call = snapshot.threads[*thread].parent_call.as_deref();
        call.is_some_and(|call| calls.contains(call))
    };
    // The main thread first, then those whose call is nowhere, last those that only call each other.
    let (called, uncalled): (Vec<usize>, Vec<usize>) =
        (1..snapshot.threads.len()).partition(has_caller);
    for root in std::iter::once(0).chain(uncalled).chain(called) {
        if is_placed.get(root).is_none_or(|placed| *placed) || messages_of[root].is_empty() {
            continue;
        }
        is_placed[root] = true;
        if root > 0 {
            loose.push(ThreadId(root as u32));
        }
        let mut open = vec![root];
        while let Some(thread) = open.pop() {
            for &message in &messages_of[thread] {
                for (part, content) in snapshot.messages[message].parts.iter().enumerate() {
                    let Part::ToolCall(call) = content else {
                        continue;
                    };
                    for &started in of_call.get(call.call_id.as_str()).into_iter().flatten() {
                        if started > 0 && !std::mem::replace(&mut is_placed[started], true) {
                            at.entry(PartPlace { message, part })
                                .or_default()
                                .push(ThreadId(started as u32));
                            open.push(started);
                        }
                    }
                }
            }
        }
    }
    (at, loose)
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

fn parts(snapshot: &Snapshot) -> impl Iterator<Item = (usize, usize, &Part)> {
    let messages = snapshot.messages.iter().enumerate();
    messages.flat_map(|(place, message)| {
        message
            .parts
            .iter()
            .enumerate()
            .map(move |(part, content)| (place, part, content))
    })
}

/// The anchor of a message on its page: short, safe in URLs, the same at every export.
fn anchor(id: &str) -> String {
    format!("m{}", Digest::of(id.as_bytes()).short(12))
}

/// Items in the making.
struct Items<'o, 'a> {
    outline: &'o Outline<'a>,
    done: Vec<Item>,
    prompts: usize,
    last_day: Option<String>,
    last_author: Option<String>,
}

impl Items<'_, '_> {
    fn add_message(&mut self, place: usize) {
        let message = self.outline.message(place);
        let mut has_item = false;
        for (part, content) in message.parts.iter().enumerate() {
            let Some(kind) = self.kind_of(message, content) else {
                continue;
            };
            let place = PartPlace {
                message: place,
                part,
            };
            let threads = self.outline.threads_at(place).len();
            let weight_bytes = self.outline.weight_bytes(content) + threads * THREAD_BYTES;
            if !self.joins(kind, place, weight_bytes) {
                self.begin(kind, place.message, !has_item);
            }
            has_item = true;
            if let Some(item) = self.done.last_mut() {
                item.parts.push(place);
                item.weight_bytes += weight_bytes;
            }
        }
        // A message of which nothing is shown in its own place (it failed before it said anything) still stands where it was.
        if message.parts.is_empty() {
            self.begin(
                if message.role == Role::User {
                    ItemKind::Prompt
                } else {
                    ItemKind::Answer
                },
                place,
                true,
            );
        }
    }

    /// What kind of item a part belongs to; `None` where it is shown elsewhere.
    fn kind_of(&self, message: &Message, part: &Part) -> Option<ItemKind> {
        match part {
            Part::ToolCall(_) | Part::Reasoning { .. } | Part::Unknown { .. } => {
                Some(ItemKind::Activity)
            }
            Part::ToolResult { call_id, .. } => {
                (!self.outline.calls.contains(call_id.as_str())).then_some(ItemKind::Activity)
            }
            Part::Notice {
                kind: NoticeKind::Queue | NoticeKind::Command | NoticeKind::Info,
                ..
            } => Some(ItemKind::Activity),
            Part::Notice { .. } => Some(ItemKind::Notice),
            _ if message.visibility == Visibility::Meta => Some(ItemKind::Activity),
            _ => match message.role {
                Role::User => Some(ItemKind::Prompt),
                Role::Assistant | Role::Tool => Some(ItemKind::Answer),
                Role::System => Some(ItemKind::Notice),
            },
        }
    }

    /// True where a part goes on with the last item: calls run on over messages, other items hold one message.
    fn joins(&self, kind: ItemKind, place: PartPlace, weight_bytes: usize) -> bool {
        let Some(last) = self.done.last().filter(|last| last.kind == kind) else {
            return false;
        };
        let same_message = last
            .parts
            .last()
            .is_some_and(|part| part.message == place.message);
        match kind {
            ItemKind::Activity => {
                let fits = last.parts.len() < ACTIVITY_ENTRIES_MAX
                    && last.weight_bytes + weight_bytes <= ACTIVITY_BYTES_MAX;
                fits && (same_message || self.outline.alternatives(place.message).len() < 2)
            }
            _ => same_message,
        }
    }

    fn begin(&mut self, kind: ItemKind, place: usize, has_anchor: bool) {
        let message = self.outline.message(place);
        let day = message.at.map(Timestamp::date);
        let is_new_day = day.is_some() && day != self.last_day;
        if is_new_day {
            self.last_day.clone_from(&day);
        }
        self.prompts += usize::from(kind == ItemKind::Prompt && has_anchor);
        let author = self.author_of(kind, message);
        self.done.push(Item {
            kind,
            message: place,
            parts: Vec::new(),
            number: self.prompts,
            day: message.at.filter(|_| is_new_day),
            author,
            has_anchor,
            weight_bytes: 0,
        });
    }

    /// A prompt's author where it has a name; the model where it is not the one before.
    fn author_of(&mut self, kind: ItemKind, message: &Message) -> Option<String> {
        match kind {
            ItemKind::Prompt => message.author.name.clone(),
            ItemKind::Answer => {
                let author = message
                    .author
                    .model
                    .clone()
                    .or_else(|| message.author.name.clone())?;
                let is_new = self.last_author.as_ref() != Some(&author);
                self.last_author = Some(author.clone());
                is_new.then_some(author)
            }
            _ => None,
        }
    }
}
