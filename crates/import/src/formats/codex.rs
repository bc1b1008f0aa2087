//! Rollouts of the Codex command line program, in the present and the old form.
//!
//! Shape: openai/codex codex-rs/protocol/src/protocol.rs (`RolloutLine`, `RolloutItem`, `EventMsg`) and models.rs; kvsankar/agent-history
//! docs/codex-format.md; polylogue parsers/codex.py. Present form: `{timestamp, type, payload}` a line. Old form: a first
//! line `{id, timestamp, instructions, git}`, then bare items between `{"record_type": "state"}`.
//!
//! Texts stand twice, as item and as event, in either order; [`Twins`](twins::Twins) shows each once. The events tell which of the user's
//! messages a person wrote.

use std::{borrow::Cow, io};

use readalong_model::{
    ArtifactRole, MessageId, NoticeKind, Part, Role, ThreadId, Timestamp, Visibility,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Evidence, Format, Growth, Layout, Reader, Record, Refusal, Taken, Unsettled};
use crate::{
    builder::ChatBuilder,
    head::{Head, HeadRecord},
    responses_items::members as lenient,
    responses_items::{Circumstances, Draft, Fields, Items, Piece, is_injected, text_of},
    surroundings::Surroundings,
};

mod events;
mod plans;
mod replay;
mod twins;

use events::Event;
use replay::Replay;
use twins::{Known, Said, Twins, Voice};

pub(super) const FORMAT: Format = Format {
    name: "codex",
    title: "Codex rollout",
    found_at: "~/.codex/sessions/YYYY/MM/DD/rollout-*.jsonl",
    growth: Growth::Append,
    detect,
    reader: || Box::new(CodexReader::default()),
};

/// Types of lines that only rollouts have.
const LINE_TYPES: [&str; 7] = [
    "session_meta",
    "response_item",
    "event_msg",
    "turn_context",
    "compacted",
    "world_state",
    "ghost_snapshot",
];

fn detect(head: &Head) -> Option<Evidence> {
    let of = head.records.len();
    let lines = |known: bool| {
        let matches = head.records.iter().filter(|record| {
            let kind = record.string("type");
            let is_known = kind
                .as_deref()
                .is_some_and(|kind| LINE_TYPES.contains(&kind));
            record.has("payload")
                && record.has("timestamp")
                && if known { is_known } else { kind.is_some() }
        });
        matches.count()
    };
    // Lines of unknown type speak for the format only beside known ones.
    let present = if lines(true) > 0 { lines(false) } else { 0 };
    let matched = present.max(old_lines(&head.records));
    (matched > 0).then_some(Evidence {
        matched,
        of,
        layout: Layout::OneChat,
    })
}

/// Lines of the old form; none where neither its first line nor its state lines are there.
fn old_lines(records: &[HeadRecord]) -> usize {
    let is_state = |record: &&HeadRecord| record.string("record_type").is_some();
    let is_header = |record: &&HeadRecord| {
        record.has("id")
            && record.has("timestamp")
            && (record.has("instructions") || record.has("git"))
            && !record.has("type")
            && !record.has("role")
    };
    let is_item = |record: &&HeadRecord| match record.string("type").as_deref() {
        Some("message") => record.has("role") && record.has("content"),
        Some("reasoning") => record.has("summary"),
        Some(kind) => {
            record.has("call_id") && (kind.ends_with("_call") || kind.ends_with("_output"))
        }
        None => false,
    };
    let marks = records.iter().filter(is_state).count() + records.iter().filter(is_header).count();
    if marks == 0 {
        0
    } else {
        marks + records.iter().filter(is_item).count()
    }
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    timestamp: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "type", deserialize_with = "lenient::text")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    record_type: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
    /// Members of the old form's first line.
    #[serde(borrow, default)]
    instructions: Option<&'a RawValue>,
    #[serde(borrow, default)]
    git: Option<&'a RawValue>,
}

/// What is wanted of `session_meta` and of the old form's first line.
#[derive(Default, Deserialize)]
struct Meta<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    originator: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    cli_version: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
struct TurnContext<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    model: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
struct Compacted<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    message: Option<Cow<'a, str>>,
}

/// A line, read as far as it is needed.
enum Entry<'a> {
    Meta(Meta<'a>),
    Model(Option<Cow<'a, str>>),
    Compacted(Option<Cow<'a, str>>),
    Event(Event<'a>),
    Item(Draft, Box<Fields<'a>>),
    Nothing,
    /// Of an unknown type.
    Unknown(String),
}

#[derive(Default)]
struct CodexReader {
    items: Items,
    /// No prompt stands above this message: it was looked at for turns to take back.
    without_prompts: Option<MessageId>,
    twins: Twins,
    replay: Replay,
    model: Option<String>,
    meta_seen: bool,
    /// The sum of tokens that was counted last: the same sum again is the same answer again.
    tokens_seen: u64,
}

impl Reader for CodexReader {
    fn push(
        &mut self,
        record: &Record<'_>,
        chat: &mut ChatBuilder,
        surroundings: &mut dyn Surroundings,
    ) -> Result<Taken, Refusal> {
        let (entry, at) = read(record.bytes)?;
        if let Some(mark) = replay::mark(&entry) {
            match self.replay.take(mark, record.bytes) {
                replay::Verdict::Held => return Ok(Taken::Mapped),
                replay::Verdict::New(held) => self.take_held(held, chat, surroundings)?,
            }
        }
        self.take(entry, at, record.bytes, (chat, surroundings))
    }

    fn unsettled(&self) -> Unsettled {
        if self.replay.holds() {
            Unsettled::HeldBack
        } else {
            Unsettled::Nothing
        }
    }

    fn end(
        &mut self,
        chat: &mut ChatBuilder,
        surroundings: &mut dyn Surroundings,
    ) -> Result<(), io::Error> {
        let held = self.replay.end();
        self.take_held(held, chat, surroundings)
            .or_else(|refusal| match refusal {
                Refusal::Io(error) => Err(error),
                Refusal::Unreadable(_) => Ok(()),
            })
    }
}

/// Reads a line without changing anything.
fn read(bytes: &[u8]) -> Result<(Entry<'_>, Option<Timestamp>), Refusal> {
    let line: Line<'_> = match serde_json::from_slice(bytes) {
        Ok(line) => line,
        // JSON, but no such line: kept as it is.
        Err(error) => {
            return serde_json::from_slice::<&RawValue>(bytes)
                .map(|_| (Entry::Unknown(String::new()), None))
                .map_err(|_| error.into());
        }
    };
    let at = line.timestamp.as_deref().and_then(|at| at.parse().ok());
    let kind = line.kind.as_deref().unwrap_or_default();
    let Some(payload) = line.payload else {
        let entry = match kind {
            _ if line.record_type.is_some() => Entry::Nothing,
            "" if line.instructions.is_some() || line.git.is_some() => {
                Entry::Meta(serde_json::from_slice(bytes)?)
            }
            _ => item(serde_json::from_slice(bytes)?)?,
        };
        return Ok((entry, at));
    };
    if !payload.get().starts_with('{') {
        return Ok((Entry::Unknown(kind.to_owned()), at));
    }
    let entry = match kind {
        "session_meta" => Entry::Meta(serde_json::from_str(payload.get())?),
        "turn_context" => {
            Entry::Model(serde_json::from_str::<TurnContext<'_>>(payload.get())?.model)
        }
        "compacted" => {
            Entry::Compacted(serde_json::from_str::<Compacted<'_>>(payload.get())?.message)
        }
        "world_state" | "ghost_snapshot" | "inter_agent_communication_metadata" => Entry::Nothing,
        "response_item" => item(serde_json::from_str(payload.get())?)?,
        "event_msg" => match events::read(payload.get())? {
            Ok(event) => Entry::Event(event),
            Err(label) => Entry::Unknown(label),
        },
        _ => Entry::Unknown(kind.to_owned()),
    };
    Ok((entry, at))
}

fn item(fields: Fields<'_>) -> Result<Entry<'_>, serde_json::Error> {
    Ok(match fields.draft()? {
        Some(draft) => Entry::Item(draft, Box::new(fields)),
        None => Entry::Unknown(fields.kind.as_deref().unwrap_or_default().to_owned()),
    })
}

impl CodexReader {
    fn take(
        &mut self,
        entry: Entry<'_>,
        at: Option<Timestamp>,
        bytes: &[u8],
        (chat, surroundings): (&mut ChatBuilder, &mut dyn Surroundings),
    ) -> Result<Taken, Refusal> {
        let model = self.model.take();
        let around = Circumstances {
            at,
            model: model.as_deref(),
            bytes,
        };
        let mut next_model = None;
        let taken = match entry {
            Entry::Meta(meta) => {
                self.take_meta(&meta, chat);
                Taken::Mapped
            }
            Entry::Model(name) => {
                next_model = name.map(Cow::into_owned);
                Taken::Bookkeeping
            }
            Entry::Compacted(text) => {
                self.items
                    .put_compaction(text.unwrap_or_default().into_owned(), &around, chat);
                Taken::Mapped
            }
            Entry::Event(event) => self.take_event(event, &around, (chat, surroundings))?,
            Entry::Item(draft, fields) => {
                self.take_item(draft, fields.id.as_deref(), &around, (chat, surroundings))?
            }
            Entry::Nothing => Taken::Bookkeeping,
            Entry::Unknown(label) => {
                chat.put_unknown(ThreadId::MAIN, &label, &String::from_utf8_lossy(bytes))?;
                Taken::KeptRaw
            }
        };
        self.model = next_model.or(model);
        Ok(taken)
    }

    /// Takes records that looked like a copy of earlier ones and were none.
    fn take_held(
        &mut self,
        held: Vec<Vec<u8>>,
        chat: &mut ChatBuilder,
        surroundings: &mut dyn Surroundings,
    ) -> Result<(), Refusal> {
        for bytes in held {
            let (entry, at) = read(&bytes)?;
            self.take(entry, at, &bytes, (&mut *chat, &mut *surroundings))?;
        }
        Ok(())
    }

    fn take_meta(&mut self, meta: &Meta<'_>, chat: &mut ChatBuilder) {
        if std::mem::replace(&mut self.meta_seen, true) {
            // A fork or a resume: what follows may repeat what is there.
            self.replay.begin();
            return;
        }
        let origin = &mut chat.chat.origin;
        origin.native_id = meta.id.as_deref().map(str::to_owned);
        let words: Vec<&str> = [meta.originator.as_deref(), meta.cli_version.as_deref()]
            .into_iter()
            .flatten()
            .collect();
        origin.app = (!words.is_empty()).then(|| words.join(" "));
    }

    fn take_item(
        &mut self,
        draft: Draft,
        id: Option<&str>,
        around: &Circumstances<'_>,
        to: (&mut ChatBuilder, &mut dyn Surroundings),
    ) -> Result<Taken, Refusal> {
        if is_answer(&draft) {
            self.twins.answered();
        }
        let draft = match draft {
            Draft::Message {
                role: Role::User,
                pieces,
            } => return self.take_users_item(pieces, around, to),
            Draft::Message {
                role: Role::Assistant,
                pieces,
            } => {
                let pieces = self.take_said(pieces);
                Draft::Message {
                    role: Role::Assistant,
                    pieces,
                }
            }
            Draft::Reasoning { mut texts } => {
                if texts.is_empty() {
                    return Ok(Taken::Bookkeeping);
                }
                texts.retain(|text| {
                    self.twins.say(Voice::Reasoning, Known::Item, text) == Said::Now
                });
                Draft::Reasoning { texts }
            }
            Draft::Nothing | Draft::Reference(_) => return Ok(Taken::Bookkeeping),
            other => other,
        };
        self.items.put(draft, id, around, to)?;
        Ok(Taken::Mapped)
    }

    /// What of an assistant's item is not there yet. Events tell its text without the plan in it, and the plan on its own.
    fn take_said(&mut self, pieces: Vec<Piece>) -> Vec<Piece> {
        let mut said = String::new();
        let mut cut: Vec<(bool, Piece)> = Vec::new();
        for piece in pieces {
            let Piece::Text(text) = piece else {
                cut.push((false, piece));
                continue;
            };
            for (is_plan, text) in plans::cut(&text) {
                if !is_plan {
                    said.push_str(text);
                }
                cut.push((is_plan, Piece::Text(text.to_owned())));
            }
        }
        let is_new = self.twins.say(Voice::Assistant, Known::Item, &said) == Said::Now;
        cut.retain(|(is_plan, piece)| match piece {
            Piece::Text(plan) if *is_plan => {
                self.twins.say(Voice::Assistant, Known::Item, plan) == Said::Now
            }
            Piece::Text(_) => is_new,
            _ => true,
        });
        cut.into_iter().map(|(_, piece)| piece).collect()
    }

    /// Takes an item that speaks as the user: a person's words, or what the program says in the person's place.
    fn take_users_item(
        &mut self,
        pieces: Vec<Piece>,
        around: &Circumstances<'_>,
        (chat, surroundings): (&mut ChatBuilder, &mut dyn Surroundings),
    ) -> Result<Taken, Refusal> {
        let mut parts =
            crate::responses_items::parts(pieces, Role::User, (&mut *chat, surroundings))?;
        if parts.is_empty() {
            return Ok(Taken::Bookkeeping);
        }
        let text = text_of(&parts);
        if let Some(command) = users_command(&text) {
            self.items
                .put_notice(NoticeKind::Command, command, around, chat);
            return Ok(Taken::Mapped);
        }
        let injected = is_injected(&text);
        let context = split_context(&mut parts);
        let text = text_of(&parts);
        if let Some(id) = self.twins.user_says(Known::Item, &text) {
            if let Some(message) = chat.message(&id) {
                message.parts = parts;
            }
            return Ok(Taken::Mapped);
        }
        self.put_context(context, around, chat);
        let visibility = if injected || is_injected(&text) || self.twins.events_seen() {
            Visibility::Hidden
        } else {
            Visibility::Shown
        };
        if visibility == Visibility::Shown {
            self.items.human_spoke(chat);
        }
        let id = self
            .items
            .put_message(Role::User, parts, visibility, around, chat);
        self.twins.put_user(&text, id);
        Ok(Taken::Mapped)
    }

    fn put_context(
        &mut self,
        context: Option<String>,
        around: &Circumstances<'_>,
        chat: &mut ChatBuilder,
    ) {
        if let Some(markdown) = context {
            self.items.put_message(
                Role::System,
                vec![Part::Text { markdown }],
                Visibility::Hidden,
                around,
                chat,
            );
        }
    }

    fn take_event(
        &mut self,
        event: Event<'_>,
        around: &Circumstances<'_>,
        to: (&mut ChatBuilder, &mut dyn Surroundings),
    ) -> Result<Taken, Refusal> {
        let chat = to.0;
        match event {
            Event::User {
                text,
                images,
                files,
                is_human,
                known,
            } => {
                return self.take_users_event(
                    (text.into_owned(), images, files, is_human),
                    known,
                    around,
                    (chat, to.1),
                );
            }
            Event::Said { voice, text, known } => {
                if self.twins.say(voice, known, &text) == Said::Now {
                    let markdown = text.into_owned();
                    let part = match voice {
                        Voice::Assistant => Part::Text { markdown },
                        Voice::Reasoning => Part::Reasoning {
                            markdown,
                            duration_ms: None,
                        },
                    };
                    self.items.add(vec![part], around, chat);
                }
            }
            Event::Compacted => self.items.put_compaction(String::new(), around, chat),
            Event::Aborted(reason) => {
                self.items.human_spoke(chat);
                self.items
                    .put_notice(NoticeKind::Interrupted, reason, around, chat);
            }
            Event::RolledBack(turns) => self.roll_back(turns, around, chat),
            Event::Notice(kind, text) => self.items.put_notice(kind, text, around, chat),
            Event::Title(title) => chat.chat.title = title,
            Event::Tokens { total, usage } => {
                if total != self.tokens_seen {
                    self.tokens_seen = total;
                    if let Some(message) = self.items.said_last(chat) {
                        let sum = message.usage.get_or_insert_default();
                        sum.input_tokens = sum.input_tokens.saturating_add(usage.input_tokens);
                        sum.output_tokens = sum.output_tokens.saturating_add(usage.output_tokens);
                        sum.cached_tokens = sum.cached_tokens.saturating_add(usage.cached_tokens);
                    }
                }
                return Ok(Taken::Bookkeeping);
            }
            Event::Nothing => return Ok(Taken::Bookkeeping),
        }
        Ok(Taken::Mapped)
    }

    /// Takes an event that tells what a person wrote: shows the item of that text, or the text where its item has not come.
    fn take_users_event(
        &mut self,
        (text, images, files, is_human): (String, Vec<String>, Vec<String>, bool),
        known: Known,
        around: &Circumstances<'_>,
        (chat, surroundings): (&mut ChatBuilder, &mut dyn Surroundings),
    ) -> Result<Taken, Refusal> {
        let is_first = !self.twins.events_seen();
        // With the first event it is clear that items without one are not a person's words, back to where the model spoke.
        for id in self.twins.first_event() {
            if let Some(message) = chat.message(&id) {
                message.visibility = Visibility::Hidden;
            }
        }
        let visibility = if is_human {
            Visibility::Shown
        } else {
            Visibility::Hidden
        };
        let mut parts = if text.is_empty() {
            Vec::new()
        } else {
            vec![Part::Text { markdown: text }]
        };
        let context = split_context(&mut parts);
        let text = text_of(&parts);
        if let Some(id) = self.twins.user_says(known, &text) {
            if let Some(message) = chat.message(&id) {
                message.visibility = visibility;
                self.without_prompts = None;
            }
            if is_first {
                hide_before(&id, chat);
            }
        } else {
            self.put_context(context, around, chat);
            let pieces = images
                .into_iter()
                .map(|url| Piece::Image { url, alt: None })
                .collect();
            parts.extend(crate::responses_items::parts(
                pieces,
                Role::User,
                (&mut *chat, surroundings),
            )?);
            for path in files {
                let name = path.rsplit(['/', '\\']).next().unwrap_or(&path).to_owned();
                parts.push(Part::Image {
                    artifact: chat.add_missing(&name, None, ArtifactRole::Uploaded),
                    alt: None,
                });
            }
            let id = self
                .items
                .put_message(Role::User, parts, visibility, around, chat);
            self.twins.put_user(&text, id);
        }
        if is_human {
            self.items.human_spoke(chat);
        }
        Ok(Taken::Mapped)
    }

    /// Takes back the last turns: they become a branch beside the one that goes on from here.
    fn roll_back(&mut self, turns: u64, around: &Circumstances<'_>, chat: &mut ChatBuilder) {
        let mut left = turns;
        let mut at: Option<MessageId> = chat.last_id_in(ThreadId::MAIN);
        let mut from = at.clone();
        while let (Some(id), true) = (at.take(), left > 0) {
            if Some(&id) == self.without_prompts.as_ref() {
                break;
            }
            let Some(message) = chat.peek(&id.0) else {
                break;
            };
            at = message.parent.clone();
            if message.role == Role::User && message.visibility == Visibility::Shown {
                left -= 1;
                from = at.clone();
            }
        }
        if left > 0 {
            self.without_prompts.clone_from(&from);
        }
        let text = if turns == 1 {
            "the last turn was taken back".to_owned()
        } else {
            format!("the last {turns} turns were taken back")
        };
        self.items
            .put_notice(NoticeKind::Rewind, text, around, chat);
        let notice = chat.last_id_in(ThreadId::MAIN);
        if let Some(message) = notice.and_then(|id| chat.message(&id.0)) {
            message.parent = from;
        }
    }
}

/// True for what the model says, thinks or does.
fn is_by_model(draft: &Draft) -> bool {
    let says = matches!(draft, Draft::Message { role, .. } if *role == Role::Assistant);
    says || matches!(draft, Draft::Reasoning { .. } | Draft::Call { .. })
}

/// True for what a reader sees the model say or do: it may think before the prompt is there.
fn is_answer(draft: &Draft) -> bool {
    let is_seen = |piece: &Piece| !matches!(piece, Piece::Text(text) if text.trim().is_empty());
    match draft {
        Draft::Message {
            role: Role::Assistant,
            pieces,
        } => pieces.iter().any(is_seen),
        Draft::Call { .. } => true,
        _ => false,
    }
}

/// Hides what stands in the person's place directly before a message: the first event says that the message is the prompt.
fn hide_before(id: &str, chat: &mut ChatBuilder) {
    let mut at = chat.peek(id).and_then(|message| message.parent.clone());
    while let Some(message) = at.and_then(|id| chat.message(&id.0)) {
        if message.role != Role::User && message.visibility != Visibility::Hidden {
            break;
        }
        message.visibility = Visibility::Hidden;
        at = message.parent.clone();
    }
}

/// A command that the person ran in the program, and what it said.
fn users_command(text: &str) -> Option<String> {
    let inner = text
        .trim()
        .strip_prefix("<user_shell_command>")?
        .strip_suffix("</user_shell_command>")?;
    let plain = inner
        .replace("<command>", "")
        .replace("</command>", "")
        .replace("<result>", "")
        .replace("</result>", "");
    Some(plain.trim().to_owned())
}

/// Takes what the program put before a prompt (its tags, and open files and tabs of its windows) out of it: the context was not written by the person.
fn split_context(parts: &mut Vec<Part>) -> Option<String> {
    const CONTEXTS: [&str; 3] = [
        "# Context from my IDE setup:",
        "# Files mentioned by the user:",
        "# In app browser:",
    ];
    const REQUESTS: [&str; 2] = ["\n## My request for Codex:", "\n## My request:"];
    let is_text = |part: &Part| matches!(part, Part::Text { .. });
    let place = parts.iter().position(is_text)?;
    let Some(Part::Text { markdown }) = parts.get_mut(place) else {
        return None;
    };
    let (tags, rest) = events::split_tags(markdown);
    let begin = rest.trim_start();
    // A prompt may begin like a heading, and goes on behind it.
    let heading = begin.lines().next().map_or("", str::trim_end);
    let is_window = CONTEXTS.contains(&heading);
    let splits = REQUESTS.iter().filter_map(|end| rest.split_once(end));
    let split = splits.min_by_key(|(context, _)| context.len());
    let (context, request) = match split.filter(|_| is_window) {
        Some((context, request)) => (format!("{tags}{context}"), request),
        // Tags without a prompt stay what they are, and are hidden whole.
        None if tags.is_empty() || begin.is_empty() => return None,
        None => (tags.to_owned(), rest),
    };
    let request = request.trim().to_owned();
    if request.is_empty() {
        parts.remove(place);
    } else {
        *markdown = request;
    }
    Some(context.trim_end().to_owned())
}

#[cfg(test)]
mod tests;
