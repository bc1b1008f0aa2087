//! Claude Code sessions: JSONL that grows by appended lines, with subagents and big tool outputs in files beside it.
//!
//! Source of the shape: real transcripts (the corpora of entireio/cli and marot/spotter; Sinity/polylogue
//! polylogue/sources/parsers/claude/code_parser.py; wesm/agentsview internal/parser/claude.go). There is no official schema.
//!
//! One API message is spread over several records, one content block each: they are joined again. Records are read in file order;
//! `parentUuid` only tells real forks (`tree.rs`).

use std::{
    collections::{HashMap, HashSet, hash_map::RandomState},
    hash::BuildHasher,
    io,
};

use readalong_model::{
    ArtifactRole, Author, AuthorKind, CallState, Message, NoticeKind, Part, Role, ThreadId,
    Timestamp, Visibility,
};
use serde_json::value::RawValue;

use super::{
    BesideLines, Evidence, Format, Growth, Layout, Reader, Record, Refusal, Taken, Unsettled,
    lenient,
};
use crate::{
    anthropic_blocks::{CallIds, World},
    builder::ChatBuilder,
    head::{Head, HeadRecord},
    names::Names,
    surroundings::Surroundings,
};

mod attachments;
mod notes;
pub(super) mod record;
mod sidecars;
mod subagents;
mod tree;
pub(super) mod words;

use notes::{Queue, Titles};
use record::Line;
use sidecars::Outputs;
use subagents::Subagents;
use tree::{Forks, Node, Tree};
use words::Said;

pub(super) const FORMAT: Format = Format {
    name: "claude-code",
    title: "Claude Code session",
    found_at: "~/.claude/projects/<folder>/<session>.jsonl",
    growth: Growth::Append,
    detect,
    reader: || Box::new(ClaudeCode::default()),
};

/// Kinds of records that say nothing about the chat.
const BOOKKEEPING: [&str; 28] = [
    "progress",
    "file-history-snapshot",
    "file-history-delta",
    "last-prompt",
    "permission-mode",
    "mode",
    "bridge-session",
    "started",
    "init",
    "worktree-state",
    "content-replacement",
    "attribution-snapshot",
    "speculation-accept",
    "agent-color",
    "agent-setting",
    "tag",
    "task-summary",
    "cost-state",
    "frame-link",
    "artifact-autoreact-ledger",
    "artifact-comment-monitor",
    "atis-latch",
    "stream_event",
    "keep_alive",
    "control_request",
    "control_response",
    "rate_limit_event",
    "tool_progress",
];
/// A pull request that was told of within so many messages is not told of again.
const PULL_REQUEST_MESSAGES: usize = 200;
/// Notices of a record that a repetition of it is looked for in, at most. Real records make a handful; a repetition that is not found out
/// stands in the chat twice.
const REPEATED_NOTICES_MAX: usize = 64;
/// The model that the program names for its own words.
const NO_MODEL: &str = "<synthetic>";

fn detect(head: &Head) -> Option<Evidence> {
    let matched = head.records.iter().filter(|record| is_line(record)).count();
    Some(Evidence {
        matched,
        of: head.records.len(),
        layout: Layout::OneChat,
    })
}

/// True for a record with the marks of this format.
pub(super) fn is_line(record: &HeadRecord) -> bool {
    let Some(kind) = record.string("type") else {
        return false;
    };
    // Streams of older versions have no `uuid`.
    let stream = ["uuid", "parent_tool_use_id", "subtype"];
    let tree = record.has("sessionId")
        || record.has("parentUuid")
        || (record.has("session_id") && stream.iter().any(|key| record.has(key)));
    match kind.as_str() {
        "user" | "assistant" => record.has("message") && (tree || record.has("uuid")),
        "system" => record.has("subtype") && (tree || record.has("uuid")),
        "summary" => record.has("leafUuid") || (record.has("summary") && !record.has("id")),
        "file-history-snapshot" => record.has("snapshot"),
        "queue-operation" => record.has("operation"),
        "attachment" => record.has("attachment") && record.has("uuid"),
        "progress" => record.has("data") && tree,
        "permission-mode" | "ai-title" | "custom-title" | "agent-name" | "last-prompt"
        | "pr-link" | "mode" | "bridge-session" => record.has("sessionId"),
        _ => record.has("parentUuid") && record.has("sessionId"),
    }
}

/// Reads one session.
#[derive(Default)]
pub(super) struct ClaudeCode {
    calls: CallIds,
    /// Places of the messages that hold the calls, and as which of their parts.
    call_places: Names,
    call_parts: Names,
    tree: Tree,
    forks: Forks,
    /// Places of the newest notices of pull requests, by address.
    pull_requests: HashMap<String, usize>,
    /// The API message that each thread is in the middle of.
    open: HashMap<ThreadId, Open>,
    /// Places of the messages that count the tokens of an API message.
    counted: Names,
    /// Notices of compaction that wait for their summary, and of commands that wait for their output.
    compactions: HashMap<ThreadId, usize>,
    commands: HashMap<ThreadId, usize>,
    queue: Queue,
    titles: Titles,
    subagents: Subagents,
    outputs: Outputs,
    /// Name of the file without its ending.
    stem: String,
    session: Option<String>,
    /// The agent whose own file this is: its first message is of a sidechain.
    exported_agent: Option<String>,
    begun: bool,
    /// While a subagent's file is read: its thread, and whether readers need it.
    inside: Option<(ThreadId, Visibility)>,
}

/// An API message that may go on.
struct Open {
    api_id: String,
    place: usize,
    /// Something that people read came after it: only calls can still join it without standing before what they follow.
    followed: bool,
}

/// What all messages of one record have in common.
struct Envelope {
    id: String,
    thread: ThreadId,
    at: Option<Timestamp>,
    first: usize,
}

impl Reader for ClaudeCode {
    fn push(
        &mut self,
        record: &Record<'_>,
        chat: &mut ChatBuilder,
        surroundings: &mut dyn Surroundings,
    ) -> Result<Taken, Refusal> {
        let json = std::str::from_utf8(record.bytes)
            .map_err(|error| Refusal::Unreadable(error.to_string()))?;
        let parsed = serde_json::from_str::<Line<'_>>(json)
            .and_then(|mut line| line.message.content.parse().map(|()| line));
        let line = match parsed {
            Ok(line) => line,
            Err(error) => {
                let is_json = serde_json::from_str::<&RawValue>(json).is_ok();
                if !is_json || lenient::is_repairable(&error) {
                    return Err(error.into());
                }
                chat.put_unknown(self.own_thread(), "", json)?;
                return Ok(Taken::KeptRaw);
            }
        };
        if self.inside.is_none() {
            self.note_session(&line, &record.place.file, chat);
        }
        self.take(line, json, chat, surroundings)
    }

    fn beside(&mut self, surroundings: &mut dyn Surroundings) -> io::Result<Vec<String>> {
        self.subagent_files(surroundings)
    }

    fn push_beside(
        &mut self,
        lines: &BesideLines<'_>,
        chat: &mut ChatBuilder,
        surroundings: &mut dyn Surroundings,
    ) -> io::Result<()> {
        self.read_subagent(lines, chat, surroundings)
    }

    fn settle_new(&mut self, chat: &mut ChatBuilder) {
        self.link_subagents(chat);
        if let Some(title) = self.titles.best(&self.tree) {
            chat.chat.title = title;
        }
        chat.chat.origin.native_id = match (&self.session, &self.exported_agent) {
            (Some(session), Some(agent)) => Some(format!("{session}/{agent}")),
            (session, _) => session.clone(),
        };
    }

    fn settle_all(&mut self, chat: &mut ChatBuilder) {
        if let Some(forks) = self.tree.settle_forks() {
            self.forks.settle(forks, chat);
        }
    }

    fn is_part(&self) -> bool {
        self.exported_agent.is_some()
    }

    fn unsettled(&self) -> Unsettled {
        if self.tree.is_settled() {
            Unsettled::Nothing
        } else {
            Unsettled::Settling
        }
    }
}

impl ClaudeCode {
    fn own_thread(&self) -> ThreadId {
        self.inside.map_or(ThreadId::MAIN, |(thread, _)| thread)
    }

    fn note_session(&mut self, line: &Line<'_>, file: &str, chat: &mut ChatBuilder) {
        if self.stem.is_empty() {
            let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
            name.rsplit_once('.')
                .map_or(name, |(stem, _)| stem)
                .clone_into(&mut self.stem);
        }
        if let Some(session) = line.session() {
            self.outputs.note_session(session);
        }
        if let Some(session) = line
            .session()
            .filter(|session| self.session.is_none() || *session == self.stem)
            && self.session.as_deref() != Some(session)
        {
            self.session = Some(session.to_owned());
        }
        if let Some(version) = line.version.as_deref() {
            let app = &mut chat.chat.origin.app;
            if app
                .as_deref()
                .and_then(|app| app.strip_prefix("Claude Code "))
                != Some(version)
            {
                *app = Some(format!("Claude Code {version}"));
            }
        } else if chat.chat.origin.app.is_none() {
            chat.chat.origin.app = Some("Claude Code".to_owned());
        }
    }

    fn take(
        &mut self,
        line: Line<'_>,
        json: &str,
        chat: &mut ChatBuilder,
        surroundings: &mut dyn Surroundings,
    ) -> Result<Taken, Refusal> {
        let kind = line.kind.as_deref().unwrap_or_default();
        match kind {
            "user" | "assistant" => return self.take_message(line, json, chat, surroundings),
            "system" => return self.take_system(&line, json, chat),
            "attachment" => return self.take_attachment(&line, json, chat, surroundings),
            "progress" => self
                .subagents
                .link(line.data.agent_id.as_deref(), line.progress_of.as_deref()),
            "queue-operation" => return self.take_queue(&line, json, chat),
            "summary" if !line.message.content.texts().is_empty() => {
                let envelope = self.envelope(&line, json, chat);
                let text = line.message.content.texts().join("\n");
                self.put_compaction(&envelope, &text, chat);
                self.tree
                    .pass(line.uuid.as_deref(), line.parent_uuid.as_deref());
                return Ok(Taken::Mapped);
            }
            "summary" | "custom-title" | "ai-title" | "agent-name" if self.titles.take(&line) => {}
            "pr-link" if line.pr_url.is_some() => {
                let url = line.pr_url.as_deref().unwrap_or_default();
                let is_near = |place: &usize| chat.len() - place <= PULL_REQUEST_MESSAGES;
                if !self.pull_requests.get(url).is_some_and(is_near) {
                    let envelope = self.envelope(&line, json, chat);
                    let place = self.put_notice(
                        &envelope,
                        NoticeKind::Info,
                        url.to_owned(),
                        Visibility::Meta,
                        chat,
                    );
                    self.pull_requests.insert(url.to_owned(), place);
                }
                return Ok(Taken::Mapped);
            }
            "result" => return self.take_end(&line, json, chat),
            _ if BOOKKEEPING.contains(&kind) => {}
            _ => {
                chat.put_unknown(self.own_thread(), kind, json)?;
                self.tree
                    .pass(line.uuid.as_deref(), line.parent_uuid.as_deref());
                return Ok(Taken::KeptRaw);
            }
        }
        self.tree
            .pass(line.uuid.as_deref(), line.parent_uuid.as_deref());
        Ok(Taken::Bookkeeping)
    }

    /// The end of a stream: its result repeats the last answer, unless it is an error.
    fn take_end(
        &mut self,
        line: &Line<'_>,
        json: &str,
        chat: &mut ChatBuilder,
    ) -> Result<Taken, Refusal> {
        let texts = (line.errors.iter()).filter_map(|error| lenient::text_of(error).ok().flatten());
        let text = match line.result.as_deref().unwrap_or_default() {
            "" => texts.collect::<Vec<_>>().join("\n"),
            result => result.to_owned(),
        };
        if !line.is_error || text.is_empty() {
            return Ok(Taken::Bookkeeping);
        }
        let envelope = self.envelope(line, json, chat);
        self.put_notice(&envelope, NoticeKind::Error, text, Visibility::Shown, chat);
        Ok(Taken::Mapped)
    }

    fn take_message(
        &mut self,
        mut line: Line<'_>,
        json: &str,
        chat: &mut ChatBuilder,
        surroundings: &mut dyn Surroundings,
    ) -> Result<Taken, Refusal> {
        let kind = line.kind.as_deref().unwrap_or_default().to_owned();
        if line.message.content.is_unreadable() {
            chat.put_unknown(self.own_thread(), &kind, json)?;
            return Ok(Taken::KeptRaw);
        }
        if self.is_replay(&line, chat) {
            return Ok(Taken::Mapped);
        }
        let thread = self.thread_of(&line, chat);
        let envelope = Envelope {
            thread,
            ..self.envelope(&line, json, chat)
        };
        if let (Some(agent), Some(call)) = (
            line.tool_use_result.agent_id.as_deref(),
            line.message.content.answered_call(),
        ) {
            self.subagents
                .link(Some(agent), Some(&self.calls.answered(call)));
        }
        let parent = self.tree.above(line.parent_uuid.as_deref());
        let texts = line.message.content.texts();
        let is_expansion = line.is_meta && texts.into_iter().all(is_plain_prompt);
        if kind == "assistant" || is_expansion {
            self.answer_command(parent, thread, chat);
        }
        let role = if kind == "user" {
            ArtifactRole::Uploaded
        } else {
            ArtifactRole::Produced
        };
        let content = std::mem::take(&mut line.message.content);
        let parts = content.read(
            role,
            &mut World {
                chat,
                surroundings,
                calls: &mut self.calls,
            },
        )?;
        let (calls, results) = call_ids(&parts);
        let (first, begins) = match kind.as_str() {
            "user" => (
                chat.len(),
                self.take_user(&line, parts, &envelope, chat, surroundings)?,
            ),
            _ => self.take_assistant(&line, parts, &envelope, chat),
        };
        let last = chat.len().saturating_sub(1).max(first);
        if first >= chat.len() {
            self.tree
                .pass(line.uuid.as_deref(), line.parent_uuid.as_deref());
            return Ok(Taken::Mapped);
        }
        let node = self.tree.add(
            line.uuid.as_deref(),
            Node {
                parent,
                thread,
                first: first as u32,
                last: last as u32,
                begins,
            },
        );
        for call in calls {
            self.tree.note_call(node, &call);
        }
        for call in results {
            self.tree.note_result(node, &call);
        }
        Ok(Taken::Mapped)
    }

    /// A command that the model answers, or that is written out for it, is what a human asks for: only the program answers its own ones.
    fn answer_command(&mut self, parent: Option<u32>, thread: ThreadId, chat: &mut ChatBuilder) {
        let Some(place) = self.commands.get(&thread).copied() else {
            return;
        };
        let above = parent.and_then(|node| self.tree.node(node));
        if above.is_none_or(|node| node.last as usize != place) {
            return;
        }
        self.commands.remove(&thread);
        let Some(message) = chat.message_at(place) else {
            return;
        };
        if let (Visibility::Meta, [Part::Notice { text, .. }]) =
            (message.visibility, message.parts.as_mut_slice())
        {
            let markdown = std::mem::take(text);
            (message.role, message.visibility) = (Role::User, Visibility::Shown);
            message.author = Author::default();
            message.parts = vec![Part::Text {
                markdown: markdown.clone(),
            }];
            self.queue.deliver(&markdown, chat);
        }
    }

    /// True for a record that repeats one that was taken, as compaction does with the history.
    fn is_replay(&self, line: &Line<'_>, chat: &mut ChatBuilder) -> bool {
        let Some(node) = line
            .uuid
            .as_deref()
            .and_then(|uuid| self.tree.made_by(uuid))
        else {
            return false;
        };
        let (first, last) = (node.first as usize, node.last as usize);
        // What the record said, gone through once: hashes of its texts, and the notices, which hold more than their text.
        let state = RandomState::new();
        let (mut texts, mut notices) = (HashSet::new(), Vec::new());
        for place in first..=last {
            for part in chat
                .peek_at(place)
                .iter()
                .flat_map(|message| &message.parts)
            {
                match part {
                    Part::Text { markdown } | Part::Reasoning { markdown, .. } => {
                        _ = texts.insert(state.hash_one(markdown))
                    }
                    Part::Notice { text, .. } if notices.len() < REPEATED_NOTICES_MAX => {
                        notices.push(text.clone())
                    }
                    _ => {}
                }
            }
        }
        let holds = |wanted: &str| {
            texts.contains(&state.hash_one(wanted))
                || notices.iter().any(|text| text.contains(wanted))
        };
        let is_there = |text: &str| {
            text.trim().is_empty()
                || holds(text)
                || !is_plain_prompt(text)
                    && words::said(text)
                        .into_iter()
                        .filter(|(said, _)| *said == Said::Prompt)
                        .all(|(_, text)| holds(&text))
        };
        let content = &line.message.content;
        let says_no_more = content.texts().into_iter().all(is_there)
            && content.thoughts().into_iter().all(is_there)
            && content.calls().into_iter().all(|id| self.calls.knows(id));
        line.is_meta || says_no_more
    }

    fn envelope(&self, line: &Line<'_>, json: &str, chat: &ChatBuilder) -> Envelope {
        let id = line
            .uuid
            .as_deref()
            .filter(|uuid| !uuid.is_empty())
            .map_or_else(|| chat.id_by_position(json.as_bytes()), str::to_owned);
        Envelope {
            id,
            thread: self.own_thread(),
            at: line.timestamp,
            first: chat.len(),
        }
    }

    /// Takes what stands in a user record; true where it begins with a prompt.
    fn take_user(
        &mut self,
        line: &Line<'_>,
        parts: Vec<Part>,
        envelope: &Envelope,
        chat: &mut ChatBuilder,
        surroundings: &mut dyn Surroundings,
    ) -> io::Result<bool> {
        let mut groups: Vec<(Option<Said>, Vec<Part>)> = Vec::new();
        let mut put = |said: Option<Said>, part: Part| match groups.last_mut() {
            Some((last, parts))
                if *last == said && matches!(said, None | Some(Said::Prompt | Said::Hidden)) =>
            {
                parts.push(part)
            }
            _ => groups.push((said, vec![part])),
        };
        for part in parts {
            match part {
                Part::ToolResult {
                    call_id,
                    mut parts,
                    is_error,
                } => {
                    let result = (call_id.as_str(), is_error);
                    let others = self.settle_result(result, &mut parts, chat, surroundings)?;
                    put(
                        None,
                        Part::ToolResult {
                            call_id,
                            parts,
                            is_error,
                        },
                    );
                    for (said, markdown) in others {
                        put(Some(said), Part::Text { markdown });
                    }
                }
                Part::Text { markdown } if line.is_compact_summary => {
                    put(Some(Said::Compaction), Part::Text { markdown })
                }
                part if line.is_meta => put(Some(Said::Hidden), part),
                Part::Text { markdown } => {
                    for (said, text) in words::said(&markdown) {
                        put(
                            Some(said),
                            Part::Text {
                                markdown: text.into_owned(),
                            },
                        );
                    }
                }
                part => put(Some(Said::Prompt), part),
            }
        }
        if groups.is_empty() {
            // A command of the program that had nothing to say.
            self.commands.remove(&envelope.thread);
        }
        let begins = matches!(groups.first(), Some((Some(Said::Prompt), _)));
        for (said, parts) in groups {
            self.put_said(said, parts, envelope, line.is_sidechain, chat);
        }
        Ok(begins)
    }

    fn put_said(
        &mut self,
        said: Option<Said>,
        parts: Vec<Part>,
        envelope: &Envelope,
        of_model: bool,
        chat: &mut ChatBuilder,
    ) {
        let by = |kind: AuthorKind| Author {
            kind: Some(kind),
            ..Author::default()
        };
        let text = |parts: Vec<Part>| {
            parts
                .into_iter()
                .find_map(|part| {
                    if let Part::Text { markdown } = part {
                        Some(markdown)
                    } else {
                        None
                    }
                })
                .unwrap_or_default()
        };
        match said {
            None => drop(self.put(
                envelope,
                (Role::Tool, Visibility::Shown, by(AuthorKind::Tool)),
                parts,
                chat,
            )),
            Some(Said::Prompt) => {
                for part in &parts {
                    if let Part::Text { markdown } = part {
                        self.queue.deliver(markdown, chat);
                    }
                }
                let author = if of_model && self.exported_agent.is_none() {
                    by(AuthorKind::Model)
                } else {
                    Author::default()
                };
                self.put(
                    envelope,
                    (Role::User, Visibility::Shown, author),
                    parts,
                    chat,
                );
            }
            Some(Said::Hidden) => drop(self.put(
                envelope,
                (Role::System, Visibility::Hidden, by(AuthorKind::Harness)),
                parts,
                chat,
            )),
            Some(Said::Compaction) => self.put_compaction(envelope, &text(parts), chat),
            Some(Said::Command) => {
                let place = self.put_notice(
                    envelope,
                    NoticeKind::Command,
                    text(parts),
                    Visibility::Meta,
                    chat,
                );
                self.commands.insert(envelope.thread, place);
            }
            Some(Said::Output) => self.put_output(envelope, text(parts), chat),
            Some(Said::Interrupted) => {
                let text = text(parts);
                let text = text
                    .trim_start_matches('[')
                    .trim_end_matches(']')
                    .to_owned();
                self.put_notice(
                    envelope,
                    NoticeKind::Interrupted,
                    text,
                    Visibility::Shown,
                    chat,
                );
            }
            Some(Said::Info) => {
                let text = text(parts);
                self.queue.deliver(&text, chat);
                self.put_notice(envelope, NoticeKind::Info, text, Visibility::Meta, chat);
            }
        }
    }

    /// Restores a big output, takes reminders and the human's words out, and marks a refused call. Gives what was taken out.
    fn settle_result(
        &mut self,
        (call_id, is_error): (&str, bool),
        parts: &mut Vec<Part>,
        chat: &mut ChatBuilder,
        surroundings: &mut dyn Surroundings,
    ) -> io::Result<Vec<(Said, String)>> {
        let mut others = Vec::new();
        for part in parts.iter_mut() {
            let Part::Text { markdown } = part else {
                continue;
            };
            let (body, reminders) = words::without_trailing_reminders(markdown);
            if !reminders.is_empty() {
                let reminders = reminders.into_iter().map(str::to_owned);
                others.extend(reminders.map(|reminder| (Said::Hidden, reminder)));
                *markdown = body.to_owned();
            }
            let words = if words::is_refusal(markdown) {
                self.mark_denied(call_id, chat);
                is_error.then(|| words::take_refusal(markdown)).flatten()
            } else if words::is_answered(markdown) && self.is_question(call_id, chat) {
                words::take_answers(markdown)
            } else {
                None
            };
            others.extend(words.map(|words| (Said::Prompt, words)));
        }
        let inside = self.inside.map(|(thread, _)| thread);
        self.outputs
            .restore(parts, (&self.stem, inside), chat, surroundings)?;
        Ok(others)
    }

    fn mark_denied(&self, call_id: &str, chat: &mut ChatBuilder) {
        let (Some(place), Some(part)) =
            (self.call_places.get(call_id), self.call_parts.get(call_id))
        else {
            return;
        };
        let part = chat
            .message_at(place as usize)
            .and_then(|message| message.parts.get_mut(part as usize));
        match part {
            Some(Part::ToolCall(call)) if call.call_id == call_id => call.state = CallState::Denied,
            _ => {}
        }
    }

    /// True for a call that asks the human.
    fn is_question(&self, call_id: &str, chat: &mut ChatBuilder) -> bool {
        let place = self.call_places.get(call_id).map(|place| place as usize);
        let message = place.and_then(|place| chat.peek_at(place));
        message.is_some_and(|message| {
            message.parts.iter().any(|part| {
                matches!(part, Part::ToolCall(call) if call.call_id == call_id && call.name == words::QUESTION)
            })
        })
    }

    /// Takes what stands in an assistant record; the place of its first message and whether it begins with words in a message of its own.
    fn take_assistant(
        &mut self,
        line: &Line<'_>,
        parts: Vec<Part>,
        envelope: &Envelope,
        chat: &mut ChatBuilder,
    ) -> (usize, bool) {
        let model = line
            .message
            .model
            .as_deref()
            .filter(|model| *model != NO_MODEL);
        if line.is_api_error_message {
            let texts = parts.into_iter().filter_map(|part| {
                if let Part::Text { markdown } = part {
                    Some(markdown)
                } else {
                    None
                }
            });
            let text = texts.collect::<Vec<_>>().join("\n");
            return (
                self.put_notice(envelope, NoticeKind::Error, text, Visibility::Shown, chat),
                false,
            );
        }
        let by_program = line.message.model.as_deref() == Some(NO_MODEL);
        let kind = if by_program {
            AuthorKind::Harness
        } else {
            AuthorKind::Model
        };
        let author = Author {
            kind: Some(kind).filter(|_| by_program),
            name: None,
            model: model.map(str::to_owned),
        };
        let visibility = if by_program {
            Visibility::Meta
        } else {
            Visibility::Shown
        };
        let begins = matches!(
            parts.first(),
            Some(Part::Text { .. } | Part::Reasoning { .. })
        );
        let (mut first, mut merged) = (None, false);
        for (is_result, parts) in runs(parts) {
            if is_result {
                let author = Author {
                    kind: Some(AuthorKind::Tool),
                    ..Author::default()
                };
                let place = self.put(
                    envelope,
                    (Role::Tool, Visibility::Shown, author),
                    parts,
                    chat,
                );
                first.get_or_insert(place);
                continue;
            }
            let api_id = line.message.id.as_deref().filter(|id| !id.is_empty());
            let only_calls = parts.iter().all(|part| matches!(part, Part::ToolCall(_)));
            let open = self.open.get(&envelope.thread);
            let joins = open
                .filter(|open| {
                    Some(open.api_id.as_str()) == api_id && (!open.followed || only_calls)
                })
                .map(|open| open.place);
            let place = match joins {
                Some(place) => {
                    merged |= first.is_none();
                    self.join(place, parts, chat)
                }
                None => self.put(
                    envelope,
                    (Role::Assistant, visibility, author.clone()),
                    parts,
                    chat,
                ),
            };
            if let Some(api_id) = api_id.filter(|_| joins.is_none()) {
                self.open.insert(
                    envelope.thread,
                    Open {
                        api_id: api_id.to_owned(),
                        place,
                        followed: false,
                    },
                );
            }
            first.get_or_insert(place);
            self.count(line, place, chat);
        }
        (first.unwrap_or(usize::MAX), begins && !merged)
    }

    /// Adds parts to a message that is there.
    fn join(&mut self, place: usize, parts: Vec<Part>, chat: &mut ChatBuilder) -> usize {
        if let Some(message) = chat.message_at(place) {
            self.note_calls(&parts, (place, message.parts.len()));
            message.parts.extend(parts);
        }
        place
    }

    /// Takes note of the calls in parts of a message that begin there.
    fn note_calls(&mut self, parts: &[Part], (place, first): (usize, usize)) {
        for (at, part) in parts.iter().enumerate() {
            if let Part::ToolCall(call) = part {
                self.call_places.insert(&call.call_id, place as u32);
                self.call_parts.insert(&call.call_id, (first + at) as u32);
                self.subagents.note_call(call);
            }
        }
    }

    /// Counts the tokens of an API message once, by the highest count that its records tell.
    fn count(&mut self, line: &Line<'_>, place: usize, chat: &mut ChatBuilder) {
        let Some(usage) = line.message.usage.usage() else {
            return;
        };
        let place = match line.message.id.as_deref().filter(|id| !id.is_empty()) {
            Some(id) => self.counted.get_or_insert(id, place as u32) as usize,
            None => place,
        };
        let Some(message) = chat.message_at(place) else {
            return;
        };
        let counted = message.usage.get_or_insert(usage);
        counted.input_tokens = counted.input_tokens.max(usage.input_tokens);
        counted.output_tokens = counted.output_tokens.max(usage.output_tokens);
        counted.cached_tokens = counted.cached_tokens.max(usage.cached_tokens);
    }

    /// Adds a message of a record; several of one record get ids of their own.
    fn put(
        &mut self,
        envelope: &Envelope,
        who: (Role, Visibility, Author),
        parts: Vec<Part>,
        chat: &mut ChatBuilder,
    ) -> usize {
        let (role, visibility, author) = who;
        let place = chat.len();
        let mut id = envelope.id.clone();
        while chat.has(&id) {
            id = if place == envelope.first {
                format!("{id}~{}", chat.position())
            } else {
                format!("{}~{}", id, place - envelope.first + 1)
            };
        }
        let visibility = match self.inside {
            Some((_, Visibility::Hidden)) => Visibility::Hidden,
            _ => visibility,
        };
        self.note_calls(&parts, (place, 0));
        if role == Role::User {
            self.subagents.note_prompt(envelope.thread, place, &parts);
        }
        match self.open.get_mut(&envelope.thread) {
            Some(_) if role == Role::User => drop(self.open.remove(&envelope.thread)),
            Some(open) if visibility != Visibility::Hidden => open.followed = true,
            _ => {}
        }
        if visibility != Visibility::Hidden {
            self.commands.remove(&envelope.thread);
        }
        chat.put_next(Message {
            thread: envelope.thread,
            author,
            at: envelope.at,
            visibility,
            parts,
            ..Message::new(id, role)
        });
        place
    }

    fn put_notice(
        &mut self,
        envelope: &Envelope,
        kind: NoticeKind,
        text: String,
        visibility: Visibility,
        chat: &mut ChatBuilder,
    ) -> usize {
        let author = Author {
            kind: Some(AuthorKind::Harness),
            ..Author::default()
        };
        self.put(
            envelope,
            (Role::System, visibility, author),
            vec![Part::Notice { kind, text }],
            chat,
        )
    }

    /// One notice for a compaction: its boundary and its summary are two records.
    fn put_compaction(&mut self, envelope: &Envelope, summary: &str, chat: &mut ChatBuilder) {
        let waiting = self
            .compactions
            .remove(&envelope.thread)
            .and_then(|place| chat.message_at(place));
        match waiting.and_then(|message| message.parts.first_mut()) {
            Some(Part::Notice { text, .. }) => summary.clone_into(text),
            _ => drop(self.put_notice(
                envelope,
                NoticeKind::Compaction,
                summary.to_owned(),
                Visibility::Meta,
                chat,
            )),
        }
    }

    /// What a command said goes into its notice.
    fn put_output(&mut self, envelope: &Envelope, output: String, chat: &mut ChatBuilder) {
        let waiting = self
            .commands
            .remove(&envelope.thread)
            .and_then(|place| chat.message_at(place));
        match waiting.and_then(|message| message.parts.first_mut()) {
            Some(Part::Notice { text, .. }) => {
                text.push('\n');
                text.push_str(&output);
            }
            _ => drop(self.put_notice(
                envelope,
                NoticeKind::Command,
                output,
                Visibility::Meta,
                chat,
            )),
        }
    }
}

/// True for a text that is a prompt as it stands, with nothing of the program in it.
fn is_plain_prompt(text: &str) -> bool {
    matches!(words::said(text).as_slice(), [(Said::Prompt, _)])
}

/// The ids of the calls and of the results among some parts.
fn call_ids(parts: &[Part]) -> (Vec<String>, Vec<String>) {
    let (mut calls, mut results) = (Vec::new(), Vec::new());
    for part in parts {
        match part {
            Part::ToolCall(call) => calls.push(call.call_id.clone()),
            Part::ToolResult { call_id, .. } => results.push(call_id.clone()),
            _ => {}
        }
    }
    (calls, results)
}

/// Cuts parts into runs of tool results and runs of other parts.
pub(super) fn runs(parts: Vec<Part>) -> Vec<(bool, Vec<Part>)> {
    let mut runs: Vec<(bool, Vec<Part>)> = Vec::new();
    for part in parts {
        let is_result = matches!(part, Part::ToolResult { .. });
        match runs.last_mut() {
            Some((last, parts)) if *last == is_result => parts.push(part),
            _ => runs.push((is_result, vec![part])),
        }
    }
    runs
}

#[cfg(test)]
mod tests;
