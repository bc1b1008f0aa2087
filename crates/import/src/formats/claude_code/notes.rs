//! What surrounds the messages of a session: system records, the queue of prompts, titles.

use std::collections::{HashMap, VecDeque};

use readalong_model::{NoticeKind, Part, Visibility};
use serde_json::Value;

use super::{ChatBuilder, ClaudeCode, Line, Refusal, Taken, Tree, words};
use crate::builder::shorten;

/// System records that say nothing a reader could want.
const QUIET: [&str; 10] = [
    "stop_hook_summary",
    "turn_duration",
    "api_metrics",
    "microcompact_boundary",
    "file_snapshot",
    "thinking",
    "init",
    "status",
    "hook_started",
    "hook_response",
];
/// System records whose text readers may want.
const TOLD: [&str; 8] = [
    "informational",
    "away_summary",
    "memory_saved",
    "bridge_status",
    "scheduled_task_fire",
    "agents_killed",
    "permission_retry",
    "model_fallback",
];
/// Characters of a title that is made of a summary, which may be several sentences.
const SUMMARY_CHARS_MAX: usize = 100;
/// Summaries that may be the title, at most: they are looked through with every record. Real files have dozens.
const SUMMARIES_MAX: usize = 256;
/// Prompts taken back out of the queue that are looked for in later prompts, at most: the newest ones.
const POPPED_MAX: usize = 64;

impl ClaudeCode {
    pub(super) fn take_system(
        &mut self,
        line: &Line<'_>,
        json: &str,
        chat: &mut ChatBuilder,
    ) -> Result<Taken, Refusal> {
        let subtype = line.subtype.as_deref().unwrap_or_default();
        let text = line.content.as_deref().unwrap_or_default();
        if line.uuid.as_deref().is_some_and(|uuid| self.tree.has(uuid)) {
            return Ok(Taken::Mapped);
        }
        let mut envelope = self.envelope(line, json, chat);
        if line.is_sidechain {
            envelope.thread = self.thread_of(line, chat);
        }
        let taken = match subtype {
            "compact_boundary" => {
                let place = self.put_notice(
                    &envelope,
                    NoticeKind::Compaction,
                    String::new(),
                    Visibility::Meta,
                    chat,
                );
                self.compactions.insert(envelope.thread, place);
                Taken::Mapped
            }
            "local_command" => {
                for (said, text) in words::said(text) {
                    // A command without tags is no prompt: the record says that it is a command.
                    let said = if said == words::Said::Prompt {
                        words::Said::Command
                    } else {
                        said
                    };
                    self.put_said(
                        Some(said),
                        vec![Part::Text {
                            markdown: text.into_owned(),
                        }],
                        &envelope,
                        false,
                        chat,
                    );
                }
                Taken::Mapped
            }
            "api_error" => {
                self.put_notice(
                    &envelope,
                    NoticeKind::Error,
                    error_text(line),
                    Visibility::Meta,
                    chat,
                );
                Taken::Mapped
            }
            _ if QUIET.contains(&subtype) => Taken::Bookkeeping,
            _ if TOLD.contains(&subtype) && !text.is_empty() => {
                self.put_notice(
                    &envelope,
                    NoticeKind::Info,
                    text.to_owned(),
                    Visibility::Meta,
                    chat,
                );
                Taken::Mapped
            }
            _ => {
                chat.put_unknown(envelope.thread, subtype, json)?;
                Taken::KeptRaw
            }
        };
        self.tree
            .pass(line.uuid.as_deref(), line.parent_uuid.as_deref());
        Ok(taken)
    }

    pub(super) fn take_queue(
        &mut self,
        line: &Line<'_>,
        json: &str,
        chat: &mut ChatBuilder,
    ) -> Result<Taken, Refusal> {
        match line.operation.as_deref() {
            Some("enqueue") => {
                let text = line.content.as_deref().unwrap_or_default();
                if text.trim().is_empty() {
                    return Ok(Taken::Bookkeeping);
                }
                let envelope = self.envelope(line, json, chat);
                let place = self.put_notice(
                    &envelope,
                    NoticeKind::Queue,
                    text.to_owned(),
                    Visibility::Meta,
                    chat,
                );
                self.queue.enter(text, place);
                Ok(Taken::Mapped)
            }
            Some("popAll") => {
                self.queue.pop_all();
                Ok(Taken::Bookkeeping)
            }
            Some("dequeue" | "remove") => Ok(Taken::Bookkeeping),
            _ => {
                chat.put_unknown(self.own_thread(), "queue-operation", json)?;
                Ok(Taken::KeptRaw)
            }
        }
    }
}

/// What went wrong between the program and the provider, in a line.
fn error_text(line: &Line<'_>) -> String {
    if let Some(text) = line.content.as_deref().filter(|text| !text.is_empty()) {
        return text.to_owned();
    }
    let error: Value = line
        .error
        .and_then(|raw| serde_json::from_str(raw.get()).ok())
        .unwrap_or_default();
    let message = [
        "/error/error/message",
        "/error/message",
        "/message",
        "/cause/code",
    ]
    .iter()
    .find_map(|path| error.pointer(path)?.as_str());
    let status = error
        .get("status")
        .and_then(Value::as_u64)
        .map(|status| status.to_string());
    [status.as_deref(), message]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(": ")
}

/// Prompts that wait. Each stands once in the chat: in its notice while it waits, as a prompt once it is delivered.
#[derive(Default)]
pub(super) struct Queue {
    waiting: HashMap<String, VecDeque<usize>>,
    popped: Vec<(String, usize)>,
}

impl Queue {
    fn enter(&mut self, text: &str, place: usize) {
        self.waiting
            .entry(key(text).to_owned())
            .or_default()
            .push_back(place);
    }

    /// The prompts go back to the human, who may send them together or changed.
    fn pop_all(&mut self) {
        for (text, places) in self.waiting.drain() {
            self.popped
                .extend(places.into_iter().map(|place| (text.clone(), place)));
        }
        // The queue's own order is not known, and the same transcript has to give the same chat.
        self.popped.sort_unstable_by_key(|(_, place)| *place);
        let surplus = self.popped.len().saturating_sub(POPPED_MAX);
        self.popped.drain(..surplus);
    }

    /// A prompt arrived: where it waited before, nothing is shown of it any more.
    pub(super) fn deliver(&mut self, prompt: &str, chat: &mut ChatBuilder) {
        let prompt = key(prompt);
        if let Some(places) = self.waiting.get_mut(prompt) {
            let place = places.pop_front();
            if places.is_empty() {
                self.waiting.remove(prompt);
            }
            place.into_iter().for_each(|place| silence(place, chat));
        } else if !self.popped.is_empty() {
            self.popped.retain(|(text, place)| {
                // Sent together, each stands on lines of its own.
                let arrived = format!("\n{prompt}\n").contains(&format!("\n{text}\n"));
                if arrived {
                    silence(*place, chat);
                }
                !arrived
            });
        }
    }
}

/// Texts are compared without the tag that the program puts around its own ones, and without what stands behind that.
fn key(text: &str) -> &str {
    let text = text.trim();
    let inner = text
        .strip_prefix("<task-notification>")
        .and_then(|rest| rest.split_once("</task-notification>"));
    inner.map_or(text, |(inner, _)| inner.trim())
}

fn silence(place: usize, chat: &mut ChatBuilder) {
    let Some(message) = chat.message_at(place) else {
        return;
    };
    message.visibility = Visibility::Hidden;
    if let Some(Part::Notice { text, .. }) = message.parts.first_mut() {
        text.clear();
    }
}

/// What a session is called, by whom.
#[derive(Default)]
pub(super) struct Titles {
    custom: Option<String>,
    by_model: Option<String>,
    agent: Option<String>,
    /// Summaries with the record they end at: often of other sessions.
    summaries: VecDeque<(String, String)>,
}

impl Titles {
    /// Takes a record that names a chat; false where it names none.
    pub(super) fn take(&mut self, line: &Line<'_>) -> bool {
        let owned = |text: &Option<std::borrow::Cow<'_, str>>| {
            text.as_deref()
                .map(str::trim)
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
        };
        let (slot, text) = match line.kind.as_deref() {
            Some("custom-title") => (&mut self.custom, &line.custom_title),
            Some("ai-title") => (&mut self.by_model, &line.ai_title),
            Some("agent-name") => (&mut self.agent, &line.agent_name),
            _ => {
                let (Some(summary), Some(leaf)) = (owned(&line.summary), line.leaf_uuid.as_deref())
                else {
                    return false;
                };
                self.summaries.push_back((leaf.to_owned(), summary));
                if self.summaries.len() > SUMMARIES_MAX {
                    self.summaries.pop_front();
                }
                return true;
            }
        };
        if text.is_some() {
            *slot = owned(text).or(slot.take());
        }
        text.is_some()
    }

    /// The best title there is; none leaves it to the first prompt.
    pub(super) fn best(&self, tree: &Tree) -> Option<String> {
        let own = self
            .summaries
            .iter()
            .rev()
            .find(|(leaf, _)| tree.has(leaf))
            .and_then(|(_, summary)| shorten(summary, SUMMARY_CHARS_MAX));
        self.custom
            .clone()
            .or_else(|| self.by_model.clone())
            .or_else(|| self.agent.clone())
            .or(own)
    }
}
