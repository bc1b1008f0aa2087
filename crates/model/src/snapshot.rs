//! What a share shows of a chat at one moment: filtered, in memory, and all that a renderer ever gets.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::{
    Artifact, ArtifactId, Branches, Chat, Message, MessageId, Origin, Part, ShareCard, Status,
    Thread, ThreadId, ThreadKind, Timestamp, Visibility,
};

/// Title of a range of messages whose chat is called after a message outside of it.
const PART_TITLE: &str = "Part of a chat";

/// What of a chat is to be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotOptions {
    /// Another title.
    pub title: Option<String>,
    /// With artifacts (images and files).
    pub artifacts: bool,
    /// With the model's reasoning.
    pub reasoning: bool,
    /// With tool calls, their results and the threads they started.
    pub tools: bool,
    /// Only these messages.
    pub messages: Option<MessageRange>,
}

/// A range of messages of the main thread as it is read first, counted from 1, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageRange {
    /// Number of the first message.
    pub first: usize,
    /// Number of the last message.
    pub last: usize,
}

/// Kinds of content that the owner left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Artifacts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub artifacts: bool,
    /// Reasoning.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reasoning: bool,
    /// Tool calls and results.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tools: bool,
    /// Messages outside of a range.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub messages: bool,
}

/// What a share shows of a chat at one moment. Holds nothing that its viewers may not see. `chat.json` is this, written out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// What the chat is called.
    pub title: String,
    /// Where it came from.
    pub origin: Origin,
    /// When the chat began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// Time of the last change that is in the snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
    /// The share that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<ShareCard>,
    /// What the owner left out.
    #[serde(default)]
    pub left_out: LeftOut,
    /// Records of the transcript that could not be read.
    #[serde(default)]
    pub damaged_records: u64,
    /// Threads; the first is the main one.
    pub threads: Vec<Thread>,
    /// Where the branch that is read first ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_leaf: Option<MessageId>,
    /// Files.
    #[serde(default)]
    pub artifacts: Vec<Artifact>,
    /// Messages. Written one a line by whoever writes `chat.json`, after everything else.
    #[serde(skip_serializing)]
    pub messages: Vec<Message>,
}

impl Snapshot {
    /// Takes a snapshot: applies `options` and drops all that is hidden.
    pub fn take(chat: Chat, options: &SnapshotOptions) -> Self {
        let left_out = LeftOut::of(options, chat.left_out);
        let mut snapshot = Self {
            title: options.title.clone().unwrap_or(chat.title),
            origin: chat.origin,
            created_at: chat.created_at,
            updated_at: chat.updated_at,
            share: chat.share,
            left_out,
            damaged_records: chat.damaged_records,
            threads: chat.threads,
            active_leaf: chat.active_leaf,
            artifacts: chat.artifacts,
            messages: chat.messages,
        };
        if snapshot.threads.is_empty() {
            snapshot.threads.push(Thread {
                kind: ThreadKind::Main,
                title: None,
                parent_call: None,
            });
        }
        snapshot.drop_unseen(left_out);
        if let Some(range) = options.messages {
            let said = snapshot.says_its_title();
            snapshot.keep_range(range);
            if said && options.title.is_none() && !snapshot.says_its_title() {
                PART_TITLE.clone_into(&mut snapshot.title);
            }
        }
        snapshot.drop_threads(left_out);
        snapshot.drop_unused_artifacts();
        snapshot
    }

    /// Drops hidden messages, parts of kinds that are left out, and messages of which nothing remains.
    fn drop_unseen(&mut self, left_out: LeftOut) {
        for message in &mut self.messages {
            retain_parts(&mut message.parts, left_out);
        }
        self.retain_messages(|_, message| is_seen(message));
    }

    /// True where the title is taken from a message: one outside of a range would be told by it.
    fn says_its_title(&self) -> bool {
        let words = self.title.trim_end_matches('…');
        let mut parts = self.messages.iter().flat_map(|message| &message.parts);
        parts.any(|part| matches!(part, Part::Text { markdown } if markdown.contains(words)))
    }

    fn keep_range(&mut self, range: MessageRange) {
        let path = Branches::of(&self.messages, ThreadId::MAIN)
            .active_path(&self.messages, self.active_leaf.as_ref());
        let kept: HashSet<usize> = path
            .into_iter()
            .take(range.last)
            .skip(range.first.saturating_sub(1))
            .collect();
        self.retain_messages(|place, message| !message.thread.is_main() || kept.contains(&place));
    }

    /// Drops threads whose call is not there any more, with all below them, and numbers the rest anew.
    fn drop_threads(&mut self, left_out: LeftOut) {
        let mut callers: HashMap<&str, Vec<ThreadId>> = HashMap::new();
        for message in &self.messages {
            for part in &message.parts {
                if let Part::ToolCall(call) = part {
                    let threads = callers.entry(call.call_id.as_str()).or_default();
                    threads.push(message.thread);
                }
            }
        }
        let called_in = |call: &str| callers.get(call).cloned().unwrap_or_default();
        let shown = left_out.shown_threads(&self.threads, &called_in);
        let mut renamed: HashMap<ThreadId, ThreadId> = HashMap::new();
        for (old, _) in shown.iter().enumerate().filter(|(_, shown)| **shown) {
            renamed.insert(ThreadId(old as u32), ThreadId(renamed.len() as u32));
        }
        let is_known = |message: &Message| renamed.contains_key(&message.thread);
        if self.threads.len() == renamed.len() && self.messages.iter().all(is_known) {
            return;
        }
        let mut at = 0;
        self.threads.retain(|_| {
            at += 1;
            shown[at - 1]
        });
        self.drop_messages_of_other_threads(&renamed);
    }

    /// Drops messages of threads that are not kept. What followed one of them from another thread follows the message before it in
    /// its own: no thread reads differently because of what another shows.
    fn drop_messages_of_other_threads(&mut self, renamed: &HashMap<ThreadId, ThreadId>) {
        let mut dropped: HashSet<MessageId> = HashSet::new();
        let mut previous: HashMap<ThreadId, MessageId> = HashMap::new();
        self.messages.retain_mut(|message| {
            let Some(thread) = renamed.get(&message.thread) else {
                dropped.insert(message.id.clone());
                return false;
            };
            message.thread = *thread;
            let is_lost = |parent: &MessageId| dropped.contains(parent);
            if message.parent.as_ref().is_some_and(is_lost) {
                message.parent = previous.get(thread).cloned();
            }
            previous.insert(*thread, message.id.clone());
            true
        });
        self.active_leaf = self.active_leaf.take().filter(|id| !dropped.contains(id));
    }

    /// Drops artifacts that nothing in the snapshot shows, and numbers the rest anew.
    fn drop_unused_artifacts(&mut self) {
        let mut used: HashSet<ArtifactId> = HashSet::new();
        for message in &mut self.messages {
            for_each_artifact(&mut message.parts, &mut |artifact| {
                used.insert(*artifact);
            });
        }
        let mut renamed: HashMap<ArtifactId, ArtifactId> = HashMap::new();
        let mut old = 0;
        self.artifacts.retain(|_| {
            let id = ArtifactId(old);
            old += 1;
            let keep = used.contains(&id);
            if keep {
                renamed.insert(id, ArtifactId(renamed.len() as u32));
            }
            keep
        });
        for message in &mut self.messages {
            for_each_artifact(&mut message.parts, &mut |artifact| {
                if let Some(new) = renamed.get(artifact) {
                    *artifact = *new;
                }
            });
        }
    }

    /// Keeps some messages; what followed a dropped one follows its nearest kept ancestor.
    fn retain_messages(&mut self, keep: impl Fn(usize, &Message) -> bool) {
        let mut moved: HashMap<MessageId, Option<MessageId>> = HashMap::new();
        let resolve =
            |moved: &HashMap<MessageId, Option<MessageId>>, id: Option<&MessageId>| match id {
                Some(id) => moved.get(id).cloned().unwrap_or_else(|| Some(id.clone())),
                None => None,
            };
        let mut place = 0;
        self.messages.retain_mut(|message| {
            place += 1;
            if message
                .parent
                .as_ref()
                .is_some_and(|parent| moved.contains_key(parent))
            {
                message.parent = resolve(&moved, message.parent.as_ref());
            }
            let kept = keep(place - 1, message);
            if !kept {
                moved.insert(message.id.clone(), message.parent.clone());
            }
            kept
        });
        if self
            .active_leaf
            .as_ref()
            .is_some_and(|leaf| moved.contains_key(leaf))
        {
            self.active_leaf = resolve(&moved, self.active_leaf.as_ref());
        }
    }
}

impl LeftOut {
    /// What a share with these options leaves out of a chat that lacks something already.
    pub fn of(options: &SnapshotOptions, already: Self) -> Self {
        Self {
            artifacts: !options.artifacts || already.artifacts,
            reasoning: !options.reasoning || already.reasoning,
            tools: !options.tools || already.tools,
            messages: options.messages.is_some() || already.messages,
        }
    }

    /// A message as viewers see it: without what is left out; `None` where nothing remains or it is hidden. The one rule that snapshots
    /// and live shares go by.
    pub fn see(self, mut message: Message) -> Option<Message> {
        retain_parts(&mut message.parts, self);
        is_seen(&message).then_some(message)
    }

    /// Which threads are shown: those whose call stands in a thread that is shown, and those without a call unless their kind is left
    /// out. `called_in` gives the threads in which viewers see a call.
    pub fn shown_threads(
        self,
        threads: &[Thread],
        called_in: &dyn Fn(&str) -> Vec<ThreadId>,
    ) -> Vec<bool> {
        // A call that many threads name is looked at once, and so is a thread that goes: both may be as many as messages.
        let mut started: HashMap<&str, Vec<usize>> = HashMap::new();
        let mut gone = Vec::new();
        for (at, thread) in threads.iter().enumerate() {
            match &thread.parent_call {
                _ if thread.kind == ThreadKind::Main => {}
                Some(call) => started.entry(call).or_default().push(at),
                None if self.messages => gone.push(at),
                None if self.tools && thread.kind == ThreadKind::Subagent => gone.push(at),
                None => {}
            }
        }
        // For each call how many shown threads it stands in, and what it started; for each thread the calls in it.
        let mut calls: Vec<(usize, Vec<usize>)> = Vec::with_capacity(started.len());
        let mut calls_in: Vec<Vec<usize>> = vec![Vec::new(); threads.len()];
        for (call, started) in started {
            let mut callers = 0;
            for caller in called_in(call) {
                if let Some(calls_in) = calls_in.get_mut(caller.0 as usize) {
                    calls_in.push(calls.len());
                    callers += 1;
                }
            }
            if callers == 0 {
                gone.extend(&started);
            }
            calls.push((callers, started));
        }
        let mut shown = vec![true; threads.len()];
        while let Some(thread) = gone.pop() {
            if !std::mem::replace(&mut shown[thread], false) {
                continue;
            }
            for call in &calls_in[thread] {
                let (callers, started) = &mut calls[*call];
                *callers -= 1;
                if *callers == 0 {
                    gone.extend(started.iter());
                }
            }
        }
        shown
    }
}

fn is_seen(message: &Message) -> bool {
    message.visibility != Visibility::Hidden
        && (!message.parts.is_empty() || message.status != Status::Complete)
}

fn retain_parts(parts: &mut Vec<Part>, left_out: LeftOut) {
    parts.retain_mut(|part| match part {
        Part::Reasoning { .. } => !left_out.reasoning,
        Part::ToolCall(_) => !left_out.tools,
        Part::ToolResult { parts, .. } => {
            retain_parts(parts, left_out);
            !left_out.tools
        }
        Part::Image { .. } | Part::File { .. } => !left_out.artifacts,
        Part::Text { .. } | Part::Source { .. } | Part::Notice { .. } | Part::Unknown { .. } => {
            true
        }
    });
}

fn for_each_artifact(parts: &mut [Part], see: &mut impl FnMut(&mut ArtifactId)) {
    for part in parts {
        match part {
            Part::Image { artifact, .. } | Part::File { artifact } => see(artifact),
            Part::ToolResult { parts, .. } => for_each_artifact(parts, see),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
