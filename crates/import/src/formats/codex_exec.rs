//! The event stream of `codex exec --json`.
//!
//! Shape: openai/codex codex-rs/exec/src/exec_events.rs (`ThreadEvent`). One event a line; an item is started, updated and completed under one
//! id. The prompt is not in the stream.

use std::{borrow::Cow, io};

use readalong_model::{
    Action, Author, AuthorKind, CallState, Message, NoticeKind, Part, PlanItem, PlanStatus,
    RawJson, Role, ThreadId, ToolCall, Usage, Visibility,
};
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

use super::{Evidence, Format, Growth, Layout, Reader, Record, Refusal, Taken};
use crate::{
    builder::{ChatBuilder, shorten},
    head::Head,
    responses_items::members as lenient,
    responses_items::{answer_of, parts},
    surroundings::Surroundings,
};

pub(super) const FORMAT: Format = Format {
    name: "codex-exec",
    title: "Codex exec events",
    found_at: "output of `codex exec --json`",
    growth: Growth::Append,
    detect,
    reader: || Box::new(ExecReader::default()),
};

/// Types of events that this stream has.
const EVENTS: [&str; 10] = [
    "thread.started",
    "turn.started",
    "turn.completed",
    "turn.failed",
    "item.started",
    "item.updated",
    "item.completed",
    "item.plan.delta",
    "request_user_input",
    "error",
];
/// Characters of the title of work that is given away.
const TITLE_CHARS_MAX: usize = 60;

fn detect(head: &Head) -> Option<Evidence> {
    let kinds: Vec<Option<String>> = head
        .records
        .iter()
        .map(|record| record.string("type"))
        .collect();
    let is = |kind: &Option<String>, names: &[&str]| {
        kind.as_deref().is_some_and(|kind| names.contains(&kind))
    };
    let telling = kinds.iter().zip(&head.records).any(|(kind, record)| {
        is(kind, &EVENTS[..1]) && record.has("thread_id")
            || is(kind, &EVENTS[4..7]) && record.member("item").is_some_and(|item| item.has("id"))
    });
    let matched = kinds.iter().filter(|kind| is(kind, &EVENTS)).count();
    telling.then_some(Evidence {
        matched,
        of: head.records.len(),
        layout: Layout::OneChat,
    })
}

#[derive(Default, Deserialize)]
struct Event<'a> {
    #[serde(borrow, default, rename = "type", deserialize_with = "lenient::text")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    thread_id: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    message: Option<Cow<'a, str>>,
    #[serde(default, deserialize_with = "lenient::object")]
    error: Failure<'a>,
    #[serde(default, deserialize_with = "lenient::object")]
    usage: Tokens,
    #[serde(default, deserialize_with = "lenient::object")]
    item: Item<'a>,
    #[serde(borrow, default)]
    questions: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Failure<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    message: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
struct Tokens {
    #[serde(default, deserialize_with = "lenient::count")]
    input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "lenient::count")]
    cached_input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "lenient::count")]
    output_tokens: Option<u64>,
}

#[derive(Default, Deserialize)]
struct Item<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    id: Option<Cow<'a, str>>,
    /// Older streams call it `item_type`.
    #[serde(
        borrow,
        default,
        rename = "type",
        alias = "item_type",
        deserialize_with = "lenient::text"
    )]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    text: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    message: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    command: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    aggregated_output: Option<Cow<'a, str>>,
    #[serde(default)]
    exit_code: Option<Value>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    status: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    server: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    tool: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    query: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    prompt: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "lenient::object")]
    error: Failure<'a>,
    #[serde(default)]
    changes: Value,
    #[serde(default)]
    items: Value,
}

/// What an item becomes.
enum Made {
    Part(Part),
    Notice(NoticeKind, String),
    Call {
        call: ToolCall,
        answer: Option<(Vec<crate::responses_items::Piece>, bool)>,
    },
    Unknown,
}

#[derive(Default)]
struct ExecReader {
    /// Numbers the runs of a stream: item ids begin anew with each.
    run: usize,
    said_last: Option<String>,
}

impl Reader for ExecReader {
    fn push(
        &mut self,
        record: &Record<'_>,
        chat: &mut ChatBuilder,
        surroundings: &mut dyn Surroundings,
    ) -> Result<Taken, Refusal> {
        let event: Event<'_> = match serde_json::from_slice(record.bytes) {
            Ok(event) => event,
            // JSON, but no such event: kept as it is.
            Err(error) => {
                serde_json::from_slice::<&RawValue>(record.bytes).map_err(|_| error)?;
                Event::default()
            }
        };
        let kind = event.kind.as_deref().unwrap_or_default();
        match kind {
            "thread.started" => {
                self.run += 1;
                let id = &mut chat.chat.origin.native_id;
                *id = id
                    .take()
                    .or_else(|| event.thread_id.as_deref().map(str::to_owned));
                Ok(Taken::Mapped)
            }
            "turn.started" | "item.plan.delta" => Ok(Taken::Bookkeeping),
            "turn.completed" => {
                self.count_tokens(&event.usage, chat);
                Ok(Taken::Bookkeeping)
            }
            "turn.failed" | "error" => {
                let text = event
                    .error
                    .message
                    .or(event.message)
                    .unwrap_or_default()
                    .into_owned();
                self.put_failure(text, record.bytes, chat);
                Ok(Taken::Mapped)
            }
            "item.started" | "item.updated" | "item.completed" if event.item.id.is_some() => {
                let id = format!(
                    "{}{}",
                    if self.run > 1 {
                        format!("run{}-", self.run)
                    } else {
                        String::new()
                    },
                    event.item.id.as_deref().unwrap_or_default()
                );
                let made = event.item.read(&id)?;
                if let Made::Unknown = made {
                    let label = event.item.kind.as_deref().unwrap_or_default();
                    chat.put_unknown(
                        ThreadId::MAIN,
                        label,
                        &String::from_utf8_lossy(record.bytes),
                    )?;
                    return Ok(Taken::KeptRaw);
                }
                self.put(made, id, (chat, surroundings))?;
                Ok(Taken::Mapped)
            }
            _ => {
                let label = if event.questions.is_some() {
                    "request_user_input"
                } else {
                    kind
                };
                chat.put_unknown(
                    ThreadId::MAIN,
                    label,
                    &String::from_utf8_lossy(record.bytes),
                )?;
                Ok(Taken::KeptRaw)
            }
        }
    }
}

impl ExecReader {
    fn count_tokens(&self, usage: &Tokens, chat: &mut ChatBuilder) {
        let (Some(input), Some(output_tokens)) = (usage.input_tokens, usage.output_tokens) else {
            return;
        };
        let cached_tokens = usage.cached_input_tokens.unwrap_or(0);
        if let Some(message) = self.said_last.as_deref().and_then(|id| chat.message(id)) {
            message.usage = Some(Usage {
                input_tokens: input.saturating_sub(cached_tokens),
                output_tokens,
                cached_tokens,
            });
        }
    }

    /// A failure is told twice, as error and as failed turn: the same text in a row is one notice.
    fn put_failure(&mut self, text: String, bytes: &[u8], chat: &mut ChatBuilder) {
        let parts = vec![Part::Notice {
            kind: NoticeKind::Error,
            text,
        }];
        if chat
            .last_in(ThreadId::MAIN)
            .is_some_and(|last| last.parts == parts)
        {
            return;
        }
        let id = chat.id_by_position(bytes);
        self.put_message(id, Role::System, parts, chat);
    }

    fn put(
        &mut self,
        made: Made,
        id: String,
        (chat, surroundings): (&mut ChatBuilder, &mut dyn Surroundings),
    ) -> io::Result<()> {
        match made {
            Made::Part(part) => self.put_message(id, Role::Assistant, vec![part], chat),
            Made::Notice(kind, text) => {
                self.put_message(id, Role::System, vec![Part::Notice { kind, text }], chat)
            }
            Made::Call { call, answer } => {
                let call_id = call.call_id.clone();
                self.put_message(
                    id.clone(),
                    Role::Assistant,
                    vec![Part::ToolCall(call)],
                    chat,
                );
                if let Some((pieces, is_error)) = answer {
                    let parts = parts(pieces, Role::Tool, (&mut *chat, surroundings))?;
                    self.put_message(
                        format!("{id}-result"),
                        Role::Tool,
                        vec![Part::ToolResult {
                            call_id,
                            parts,
                            is_error,
                        }],
                        chat,
                    );
                }
            }
            Made::Unknown => {}
        }
        Ok(())
    }

    /// Puts a message, or what became of it in its place.
    fn put_message(&mut self, id: String, role: Role, parts: Vec<Part>, chat: &mut ChatBuilder) {
        if let Some(message) = chat.message(&id) {
            message.parts = parts;
            return;
        }
        let (kind, visibility) = match role {
            Role::Assistant => (AuthorKind::Model, Visibility::Shown),
            Role::Tool => (AuthorKind::Tool, Visibility::Shown),
            Role::User | Role::System => (AuthorKind::Harness, Visibility::Meta),
        };
        if role == Role::Assistant {
            self.said_last = Some(id.clone());
        }
        let author = Author {
            kind: Some(kind),
            ..Author::default()
        };
        chat.put_next(Message {
            author,
            visibility,
            parts,
            ..Message::new(id, role)
        });
    }
}

impl Item<'_> {
    fn read(&self, id: &str) -> Result<Made, serde_json::Error> {
        let text = || self.text.as_deref().unwrap_or_default().to_owned();
        let kind = self.kind.as_deref().unwrap_or_default();
        Ok(match kind {
            "agent_message" | "assistant_message" | "plan" => {
                Made::Part(Part::Text { markdown: text() })
            }
            "reasoning" => Made::Part(Part::Reasoning {
                markdown: text(),
                duration_ms: None,
            }),
            "error" => Made::Notice(
                NoticeKind::Error,
                self.message
                    .as_deref()
                    .or(self.text.as_deref())
                    .unwrap_or_default()
                    .to_owned(),
            ),
            "command_execution" | "file_change" | "mcp_tool_call" | "collab_tool_call"
            | "web_search" | "todo_list" => self.call(kind, id)?,
            _ => Made::Unknown,
        })
    }

    fn call(&self, kind: &str, id: &str) -> Result<Made, serde_json::Error> {
        let mut name = kind.to_owned();
        let mut input = None;
        let action = match kind {
            "command_execution" => Action::Run {
                command: self.command.as_deref().unwrap_or_default().to_owned(),
                language: None,
                purpose: None,
            },
            "web_search" => Action::WebSearch {
                query: self.query.as_deref().unwrap_or_default().to_owned(),
            },
            "todo_list" => Action::Plan {
                items: plan(&self.items),
            },
            "collab_tool_call" if self.prompt.is_some() => {
                let prompt = self.prompt.as_deref().unwrap_or_default().to_owned();
                name = self.tool.as_deref().unwrap_or(kind).to_owned();
                Action::Delegate {
                    title: shorten(&prompt, TITLE_CHARS_MAX)
                        .unwrap_or_else(|| "Subagent".to_owned()),
                    prompt,
                }
            }
            "file_change" => {
                input = (!self.changes.is_null()).then(|| {
                    RawJson::from(&Value::Object(Map::from_iter([(
                        "changes".to_owned(),
                        self.changes.clone(),
                    )])))
                });
                Action::Other
            }
            _ => {
                let words: Vec<&str> = [self.server.as_deref(), self.tool.as_deref()]
                    .into_iter()
                    .flatten()
                    .collect();
                name = if words.is_empty() {
                    name
                } else {
                    words.join(".")
                };
                input = self
                    .arguments
                    .filter(|arguments| arguments.get() != "{}")
                    .map(|arguments| RawJson::from(arguments.to_owned()));
                Action::Other
            }
        };
        let state = match self.status.as_deref() {
            Some("declined") => CallState::Denied,
            Some("failed") => CallState::Failed,
            _ => CallState::Done,
        };
        let call = ToolCall {
            call_id: id.to_owned(),
            name,
            action,
            input,
            state,
        };
        Ok(Made::Call {
            call,
            answer: self.answer(kind)?,
        })
    }

    /// What the tool answered, once it is done.
    fn answer(
        &self,
        kind: &str,
    ) -> Result<Option<(Vec<crate::responses_items::Piece>, bool)>, serde_json::Error> {
        let failed = matches!(self.status.as_deref(), Some("failed" | "declined"));
        let done = failed
            || self.status.as_deref() == Some("completed")
            || kind == "todo_list"
            || kind == "web_search";
        if !done {
            return Ok(None);
        }
        let text = match kind {
            "command_execution" => self.aggregated_output.as_deref(),
            _ => self.error.message.as_deref(),
        };
        let exit_code = self.exit_code.as_ref().and_then(Value::as_i64).unwrap_or(0);
        let mut pieces = Vec::new();
        pieces.extend(
            text.filter(|text| !text.is_empty())
                .map(|text| crate::responses_items::Piece::Text(text.to_owned())),
        );
        let mut is_error = failed || exit_code != 0;
        if let Some(result) = self.result {
            let answer = answer_of(result)?;
            is_error |= answer.is_error;
            pieces.extend(answer.pieces);
        }
        Ok(Some((pieces, is_error)))
    }
}

fn plan(items: &Value) -> Vec<PlanItem> {
    let item = |item: &Value| {
        let text = item.get("text").and_then(Value::as_str)?.to_owned();
        let status = if item.get("completed") == Some(&Value::Bool(true)) {
            PlanStatus::Done
        } else {
            PlanStatus::Pending
        };
        Some(PlanItem { text, status })
    };
    items
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(item)
        .collect()
}

#[cfg(test)]
mod tests;
