//! Items of the Responses API as parts of a chat: messages, reasoning, tool calls and what they answered. Used by every format that holds
//! such items.
//!
//! Shape: openai/codex codex-rs/protocol/src/models.rs (`ResponseItem`) and the vendor's API. An item is read in two
//! steps: [`Fields::draft`] may fail and changes nothing, [`Items::put`] changes the chat and cannot fail but for keeping a file.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    io,
};

use readalong_model::{
    Action, Author, AuthorKind, CallState, Message, MessageId, NoticeKind, Part, RawJson, Role,
    ThreadId, Timestamp, ToolCall, Visibility,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    builder::ChatBuilder, responses_items::members as lenient, surroundings::Surroundings,
};

mod hosted;
pub(crate) mod members;
mod patch;
mod pieces;
mod tools;

pub(crate) use pieces::{Piece, answer as answer_of, parts, text_of};

/// Bytes of an item that its message's id is made of, at most: enough to tell items apart, few enough to cost nothing.
const ID_BYTES_MAX: usize = 256;

/// The members of all kinds of items that are looked at.
#[derive(Default, Deserialize)]
pub(crate) struct Fields<'a> {
    #[serde(borrow, default, rename = "type", deserialize_with = "lenient::text")]
    pub(crate) kind: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(crate) id: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(crate) role: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    author: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(crate) name: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(crate) call_id: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    status: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    server_label: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    code: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(crate) content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(crate) summary: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(crate) arguments: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(crate) input: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(crate) output: Option<&'a RawValue>,
    #[serde(borrow, default)]
    outputs: Option<&'a RawValue>,
    #[serde(borrow, default)]
    action: Option<&'a RawValue>,
    #[serde(borrow, default)]
    operation: Option<&'a RawValue>,
    #[serde(borrow, default)]
    queries: Option<&'a RawValue>,
    #[serde(borrow, default)]
    results: Option<&'a RawValue>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tools: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    revised_prompt: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    output_format: Option<Cow<'a, str>>,
}

/// An item that was read and waits to be put into the chat.
pub(crate) enum Draft {
    /// Something that was said.
    Message { role: Role, pieces: Vec<Piece> },
    /// What another agent said to this one.
    Agent { name: String, pieces: Vec<Piece> },
    /// Thoughts or their summaries.
    Reasoning { texts: Vec<String> },
    /// A call, and its answer where the item holds both.
    Call {
        call: CallDraft,
        answer: Option<AnswerDraft>,
    },
    /// What a tool answered to an earlier call.
    Answer(AnswerDraft),
    /// What the model made (pictures).
    Made(Vec<Piece>),
    /// The history was replaced by a summary.
    Compaction,
    /// A mention of an item that stands elsewhere.
    Reference(String),
    /// Known to say nothing that a reader could want.
    Nothing,
}

/// A tool call that was read.
#[derive(Default)]
pub(crate) struct CallDraft {
    /// Its id in the transcript.
    pub(crate) id: Option<String>,
    pub(crate) name: String,
    pub(crate) action: Action,
    pub(crate) input: Option<RawJson>,
    pub(crate) state: CallState,
    /// True where the human was asked to allow it: without an answer it was refused.
    pub(crate) asks: bool,
}

/// A tool's answer that was read.
#[derive(Default)]
pub(crate) struct AnswerDraft {
    /// The id of the call in the transcript.
    pub(crate) id: Option<String>,
    pub(crate) pieces: Vec<Piece>,
    pub(crate) is_error: bool,
    pub(crate) is_denied: bool,
}

impl<'a> Fields<'a> {
    /// What the user said, where a text stands in the place of items.
    pub(crate) fn of_user(text: &'a RawValue) -> Self {
        Self {
            role: Some(Cow::Borrowed("user")),
            content: Some(text),
            ..Self::default()
        }
    }

    /// Reads the item; `None` where its kind is unknown.
    ///
    /// # Errors
    /// A text in it is broken. Nothing was changed; the record may come again, repaired.
    pub(crate) fn draft(&self) -> Result<Option<Draft>, serde_json::Error> {
        let kind = match self.kind.as_deref() {
            Some(kind) => kind,
            // Short messages of the API and of old writers say no type.
            None if self.role.is_some() && self.content.is_some() => "message",
            None => return Ok(None),
        };
        Ok(Some(match kind {
            "message" => match self.message()? {
                Some(draft) => draft,
                None => return Ok(None),
            },
            "reasoning" => Draft::Reasoning {
                texts: pieces::reasoning(self.summary, self.content)?,
            },
            "function_call" | "custom_tool_call" | "tool_search_call" => Draft::Call {
                call: self.call()?,
                answer: None,
            },
            "function_call_output"
            | "custom_tool_call_output"
            | "local_shell_call_output"
            | "shell_call_output"
            | "computer_call_output"
            | "apply_patch_call_output"
            | "tool_search_output"
            | "mcp_tool_call_output" => Draft::Answer(self.answer()?),
            "compaction" | "compaction_summary" | "context_compaction" => Draft::Compaction,
            "item_reference" => Draft::Reference(self.id.as_deref().unwrap_or_default().to_owned()),
            "agent_message" => Draft::Agent {
                name: self.author.as_deref().unwrap_or_default().to_owned(),
                pieces: self.pieces()?,
            },
            "ghost_snapshot" | "mcp_list_tools" | "compaction_trigger" | "configuration_update" => {
                Draft::Nothing
            }
            // Of any other kind these are instructions for the model, such as tools that it may call.
            _ if matches!(self.role.as_deref(), Some("developer" | "system")) => Draft::Nothing,
            _ => return self.hosted(kind),
        }))
    }

    fn pieces(&self) -> Result<Vec<Piece>, serde_json::Error> {
        let pieces = self.content.map(pieces::content).transpose()?;
        Ok(pieces.unwrap_or_default())
    }

    fn message(&self) -> Result<Option<Draft>, serde_json::Error> {
        let role = self.role.as_deref().map(str::to_ascii_lowercase);
        let role = match role.as_deref() {
            Some("user") => Role::User,
            Some("assistant") => Role::Assistant,
            Some("system" | "developer") => Role::System,
            _ => return Ok(None),
        };
        let pieces = self.pieces()?;
        Ok(Some(Draft::Message { role, pieces }))
    }

    fn call(&self) -> Result<CallDraft, serde_json::Error> {
        let input = tools::Input::read(self.arguments.or(self.input))?;
        let name =
            self.name
                .as_deref()
                .unwrap_or(if self.kind.as_deref() == Some("tool_search_call") {
                    "tool_search"
                } else {
                    "tool"
                });
        Ok(CallDraft {
            id: self.call_id(),
            ..tools::call(name, input)
        })
    }

    fn answer(&self) -> Result<AnswerDraft, serde_json::Error> {
        let answer = match self.output.or(self.tools).or(self.result) {
            Some(output) => pieces::answer(output)?,
            None => AnswerDraft::default(),
        };
        let failed = self.status.as_deref() == Some("failed");
        Ok(AnswerDraft {
            id: self.call_id(),
            is_error: answer.is_error || failed,
            ..answer
        })
    }

    fn call_id(&self) -> Option<String> {
        self.call_id
            .as_deref()
            .or(self.id.as_deref())
            .filter(|id| !id.is_empty())
            .map(str::to_owned)
    }
}

/// What is known around an item.
pub(crate) struct Circumstances<'a> {
    /// When.
    pub(crate) at: Option<Timestamp>,
    /// The model that answers.
    pub(crate) model: Option<&'a str>,
    /// The item's bytes: what ids are made of where there are no native ones.
    pub(crate) bytes: &'a [u8],
}

/// Puts items into a chat: joins what one model says in a row, keeps call ids unique.
#[derive(Default)]
pub(crate) struct Items {
    /// The calls by their ids in the transcript.
    calls: HashMap<String, PutCall>,
    call_ids: HashSet<String>,
    /// The number that a call id got last: none is tried twice.
    call_number: usize,
    /// Ids of items that were put.
    item_ids: HashSet<String>,
    /// The assistant's message that further items of the same answer are added to.
    open: Option<MessageId>,
    /// Calls that the human was asked to allow and that have no answer yet.
    asked: HashSet<String>,
}

/// A call that was put into the chat.
struct PutCall {
    /// What it is called in the chat.
    call_id: String,
    /// The message that it stands in, and as which of its parts.
    message: String,
    part: usize,
}

impl Items {
    /// Puts one item into the chat.
    ///
    /// # Errors
    /// A file could not be kept.
    pub(crate) fn put(
        &mut self,
        draft: Draft,
        item_id: Option<&str>,
        around: &Circumstances<'_>,
        (chat, surroundings): (&mut ChatBuilder, &mut dyn Surroundings),
    ) -> io::Result<()> {
        if let Some(id) = item_id {
            self.item_ids.insert(id.to_owned());
        }
        match draft {
            Draft::Message {
                role: Role::Assistant,
                pieces,
            } => {
                let parts = pieces::assistant_parts(pieces, (chat, surroundings))?;
                self.add(parts, around, chat);
            }
            Draft::Message { role, pieces } => {
                let parts = pieces::parts(pieces, role, (&mut *chat, surroundings))?;
                if parts.is_empty() {
                    return Ok(());
                }
                let hidden = role == Role::System || is_injected(&text_of(&parts));
                if hidden {
                    self.put_message(Role::System, parts, Visibility::Hidden, around, chat);
                } else {
                    self.human_spoke(chat);
                    self.put_message(role, parts, Visibility::Shown, around, chat);
                }
            }
            Draft::Agent { name, pieces } => {
                let parts = pieces::assistant_parts(pieces, (&mut *chat, surroundings))?;
                if parts.is_empty() {
                    return Ok(());
                }
                let id = self.put_message(Role::Assistant, parts, Visibility::Shown, around, chat);
                if let Some(message) = chat.message(&id) {
                    message.author.model = None;
                    message.author.name = Some(name).filter(|name| !name.is_empty());
                }
            }
            Draft::Reasoning { texts } => {
                let parts = texts
                    .into_iter()
                    .map(|markdown| Part::Reasoning {
                        markdown,
                        duration_ms: None,
                    })
                    .collect();
                self.add(parts, around, chat);
            }
            Draft::Made(pieces) => {
                let parts = pieces::assistant_parts(pieces, (chat, surroundings))?;
                self.add(parts, around, chat);
            }
            Draft::Call { call, answer } => {
                let native = self.put_call(call, around, chat);
                if let Some(answer) = answer {
                    self.put_answer(
                        AnswerDraft {
                            id: Some(native),
                            ..answer
                        },
                        around,
                        (chat, surroundings),
                    )?;
                }
            }
            Draft::Answer(answer) => self.put_answer(answer, around, (chat, surroundings))?,
            Draft::Compaction => self.put_compaction(String::new(), around, chat),
            Draft::Reference(_) | Draft::Nothing => {}
        }
        Ok(())
    }

    /// True where an item or a call of that id is in the chat.
    pub(crate) fn knows(&self, id: &str) -> bool {
        self.item_ids.contains(id) || self.calls.contains_key(id)
    }

    /// Adds parts to what the assistant is saying.
    pub(crate) fn add(
        &mut self,
        parts: Vec<Part>,
        around: &Circumstances<'_>,
        chat: &mut ChatBuilder,
    ) {
        if parts.is_empty() {
            return;
        }
        let open = self
            .open
            .as_ref()
            .filter(|open| {
                chat.last_id_in(ThreadId::MAIN)
                    .is_some_and(|last| last == **open)
            })
            .cloned();
        if let Some(message) = open.and_then(|id| chat.message(&id.0)) {
            message.parts.extend(parts);
            return;
        }
        self.put_message(Role::Assistant, parts, Visibility::Shown, around, chat);
        self.open = chat.last_id_in(ThreadId::MAIN);
    }

    /// The assistant's message that is being said, or was said last.
    pub(crate) fn said_last<'c>(&self, chat: &'c mut ChatBuilder) -> Option<&'c mut Message> {
        chat.message(&self.open.as_ref()?.0)
    }

    /// Puts a message after all others and tells its id.
    pub(crate) fn put_message(
        &mut self,
        role: Role,
        parts: Vec<Part>,
        visibility: Visibility,
        around: &Circumstances<'_>,
        chat: &mut ChatBuilder,
    ) -> String {
        let id = chat.id_by_position(around.bytes.get(..ID_BYTES_MAX).unwrap_or(around.bytes));
        let (kind, model) = match role {
            Role::Assistant => (AuthorKind::Model, around.model.map(str::to_owned)),
            Role::User => (AuthorKind::Human, None),
            Role::Tool => (AuthorKind::Tool, None),
            Role::System => (AuthorKind::Harness, None),
        };
        let author = Author {
            kind: Some(kind),
            name: None,
            model,
        };
        chat.put_next(Message {
            author,
            at: around.at,
            visibility,
            parts,
            ..Message::new(id.clone(), role)
        });
        id
    }

    /// Puts a notice.
    pub(crate) fn put_notice(
        &mut self,
        kind: NoticeKind,
        text: String,
        around: &Circumstances<'_>,
        chat: &mut ChatBuilder,
    ) {
        self.put_message(
            Role::System,
            vec![Part::Notice { kind, text }],
            Visibility::Meta,
            around,
            chat,
        );
    }

    /// Puts a notice of a compaction; several records about the same one make one notice.
    pub(crate) fn put_compaction(
        &mut self,
        text: String,
        around: &Circumstances<'_>,
        chat: &mut ChatBuilder,
    ) {
        let last = chat.last_id_in(ThreadId::MAIN);
        let is_compaction = |message: &Message| {
            matches!(
                message.parts.as_slice(),
                [Part::Notice {
                    kind: NoticeKind::Compaction,
                    ..
                }]
            )
        };
        if let Some(message) = last
            .filter(|id| chat.peek(&id.0).is_some_and(is_compaction))
            .and_then(|id| chat.message(&id.0))
            && let [
                Part::Notice {
                    kind: NoticeKind::Compaction,
                    text: known,
                },
            ] = message.parts.as_mut_slice()
            && (known.is_empty() || text.is_empty() || *known == text)
        {
            if known.is_empty() {
                *known = text;
            }
            return;
        }
        self.put_notice(NoticeKind::Compaction, text, around, chat);
    }

    /// The human spoke or interrupted: calls that waited for leave did not get it.
    pub(crate) fn human_spoke(&mut self, chat: &mut ChatBuilder) {
        for native in std::mem::take(&mut self.asked) {
            self.set_state(&native, CallState::Denied, chat);
        }
    }

    /// Puts a call and tells its id in the transcript.
    fn put_call(
        &mut self,
        call: CallDraft,
        around: &Circumstances<'_>,
        chat: &mut ChatBuilder,
    ) -> String {
        let native = call.id.unwrap_or_else(|| {
            format!(
                "call-{}",
                chat.id_by_position(around.bytes.get(..ID_BYTES_MAX).unwrap_or(around.bytes))
            )
        });
        let call_id = self.unique_call_id(&native);
        if call.asks {
            self.asked.insert(native.clone());
        }
        let part = ToolCall {
            call_id: call_id.clone(),
            name: call.name,
            action: call.action,
            input: call.input,
            state: call.state,
        };
        self.add(vec![Part::ToolCall(part)], around, chat);
        let message = self
            .open
            .as_ref()
            .map(|id| id.0.clone())
            .unwrap_or_default();
        let parts = chat.peek(&message).map_or(0, |message| message.parts.len());
        let call = PutCall {
            call_id,
            message,
            part: parts.saturating_sub(1),
        };
        self.calls.insert(native.clone(), call);
        native
    }

    /// A call id that occurs twice in a transcript gets a number the second time.
    fn unique_call_id(&mut self, native: &str) -> String {
        let mut id = native.to_owned();
        self.call_number = self.call_number.max(self.call_ids.len());
        while !self.call_ids.insert(id.clone()) {
            self.call_number += 1;
            id = format!("{native}~{}", self.call_number);
        }
        id
    }

    fn put_answer(
        &mut self,
        answer: AnswerDraft,
        around: &Circumstances<'_>,
        (chat, surroundings): (&mut ChatBuilder, &mut dyn Surroundings),
    ) -> io::Result<()> {
        let native = answer.id.unwrap_or_default();
        let call_id = self
            .calls
            .get(&native)
            .map_or_else(|| native.clone(), |call| call.call_id.clone());
        let parts = pieces::parts(answer.pieces, Role::Tool, (&mut *chat, surroundings))?;
        let is_error = answer.is_error || answer.is_denied;
        let result = Part::ToolResult {
            call_id,
            parts,
            is_error,
        };
        self.put_message(Role::Tool, vec![result], Visibility::Shown, around, chat);
        self.asked.remove(&native);
        if answer.is_denied {
            self.set_state(&native, CallState::Denied, chat);
        }
        Ok(())
    }

    fn set_state(&self, native: &str, new: CallState, chat: &mut ChatBuilder) {
        let Some(put) = self.calls.get(native) else {
            return;
        };
        let part = chat
            .message(&put.message)
            .and_then(|message| message.parts.get_mut(put.part));
        match part {
            Some(Part::ToolCall(call)) if call.call_id == put.call_id => call.state = new,
            _ => {}
        }
    }
}

/// What programs put into the user's mouth: no person wrote it. A tag that nothing closes is of a person who writes about it.
pub(crate) fn is_injected(text: &str) -> bool {
    const TAGS: [&str; 11] = [
        "environment_context",
        "user_instructions",
        "INSTRUCTIONS",
        "permissions instructions",
        "collaboration_mode",
        "turn_aborted",
        "skill",
        "skills_instructions",
        "apps_instructions",
        "subagent_notification",
        "model_switch",
    ];
    let text = text.trim_start();
    if let Some(instructions) = text.strip_prefix("# AGENTS.md instructions") {
        return instructions.starts_with(" for /") || instructions.contains("</INSTRUCTIONS>");
    }
    TAGS.iter().any(|tag| in_tag(text, tag).is_some())
}

/// What a tag that begins the text holds, and what follows the tag.
pub(crate) fn in_tag<'t>(text: &'t str, tag: &str) -> Option<(&'t str, &'t str)> {
    let inner = text
        .strip_prefix('<')?
        .strip_prefix(tag)?
        .strip_prefix('>')?;
    inner.split_once(&format!("</{tag}>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_injected_where_its_tag_is_closed() {
        for text in [
            "\n<environment_context>\ncwd\n</environment_context>",
            "<permissions instructions>sandboxed</permissions instructions>",
            "# AGENTS.md instructions for /home/dev/app\nUse tabs.",
            "# AGENTS.md instructions\n\n<INSTRUCTIONS>\nUse tabs.\n</INSTRUCTIONS>\n<environment_context>x</environment_context>",
        ] {
            assert!(is_injected(text), "{text}");
        }
        for text in [
            "<environment_context> appears in my prompt. Why?",
            "<skills>a</skills>",
            "# AGENTS.md instructions are ignored by the agent.",
        ] {
            assert!(!is_injected(text), "{text}");
        }
    }

    #[test]
    fn a_call_id_that_occurs_again_gets_a_number_whatever_ids_there_are() {
        let many = 20_000;
        let mut items = Items::default();
        assert_eq!(items.unique_call_id("x"), "x");
        assert_eq!(items.unique_call_id("x"), "x~2");
        // The numbers that come next are taken already: none of them is tried more than once.
        for number in many..3 * many {
            items.unique_call_id(&format!("x~{number}"));
        }
        let ids: HashSet<String> = (0..many).map(|_| items.unique_call_id("x")).collect();
        assert_eq!(ids.len(), many);
    }
}
