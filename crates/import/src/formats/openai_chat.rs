//! Plain message arrays of the OpenAI chat API and of the many programs and datasets that took over their shape.
//!
//! One message a record, or one chat a record (`{"messages": [...]}` or a bare array). Shape: the API's own, and hiyouga/LLaMA-Factory
//! (`data/reason_tool_use_demo_50.jsonl`, `data/mllm_demo.json`), which writes content parts as `{type, value}` and files as lists beside.

use std::borrow::Cow;

use readalong_model::{Role, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Evidence, Format, Growth, Layout, Reader, Record, Refusal, Taken, lenient};
use crate::{
    builder::ChatBuilder,
    head::{Head, HeadRecord},
    surroundings::Surroundings,
};

mod content;
mod log;
#[cfg(test)]
mod tests;
pub(super) mod turns;

pub(super) use content::calls_in_text;
use content::{pieces_of_call, push_content};
use turns::{Input, Listed, Piece, Turn, Turns};

pub(super) const FORMAT: Format = Format {
    name: "openai-chat",
    title: "OpenAI chat messages",
    found_at: "message arrays, {\"messages\": [...]} and JSONL of either, as the chat completions API takes them and datasets hold them",
    growth: Growth::Append,
    detect,
    reader: || Box::new(ChatReader::default()),
};

/// Members that other formats have beside `messages`.
const FOREIGN_ENVELOPE: [&str; 12] = [
    "conversationId",
    "sessionId",
    "projectHash",
    "history",
    "messagesTree",
    "trajectory",
    "loglines",
    "requests",
    "steps",
    "chat_messages",
    "mapping",
    "schema_version",
];
/// Members that other formats' messages have.
const FOREIGN_MESSAGE: [&str; 8] = [
    "type",
    "parts",
    "uuid",
    "parentUuid",
    "messageId",
    "parentId",
    "versions",
    "swipes",
];
/// Members that only messages of this format have.
pub(super) const OWN_MESSAGE: [&str; 7] = [
    "tool_calls",
    "tool_call_id",
    "function_call",
    "reasoning_content",
    "refusal",
    "reasoning_details",
    "annotations",
];
/// Content parts of Anthropic messages and of Responses items.
const FOREIGN_PARTS: [&str; 16] = [
    "tool_use",
    "tool_result",
    "thinking",
    "redacted_thinking",
    "document",
    "server_tool_use",
    "web_search_tool_result",
    "mcp_tool_use",
    "mcp_tool_result",
    "container_upload",
    "search_result",
    "input_text",
    "output_text",
    "input_image",
    "input_file",
    "summary_text",
];

/// What the messages of a head speak for.
#[derive(Clone, Copy, Default)]
struct Marks {
    /// Roles, members or content parts that only this format has.
    own: usize,
    /// Content that is a string or null.
    plain: usize,
    /// Content parts of other formats.
    foreign: usize,
    /// Messages of any shape that could be of this format.
    messages: usize,
}

fn detect(head: &Head) -> Option<Evidence> {
    let (mut marks, mut single, mut whole) = (Marks::default(), 0, 0);
    for record in &head.records {
        let before = marks.messages;
        match record {
            HeadRecord::Array(_) => record
                .elements()
                .iter()
                .for_each(|element| marks.look_at(element)),
            HeadRecord::Object(_) if record.has("messages") => {
                if !FOREIGN_ENVELOPE.iter().any(|key| record.has(key)) {
                    let messages = record
                        .member("messages")
                        .map(|messages| messages.elements())
                        .unwrap_or_default();
                    messages.iter().for_each(|element| marks.look_at(element));
                }
            }
            HeadRecord::Object(_) if !record.has("role") => {
                if !FOREIGN_ENVELOPE.iter().any(|key| record.has(key)) {
                    let messages = log::messages(record);
                    messages.iter().for_each(|message| marks.look_at(message));
                }
            }
            _ => marks.look_at(record),
        }
        if marks.messages > before {
            let is_message = record.has("role") && !record.has("messages");
            *(if is_message { &mut single } else { &mut whole }) += 1;
        }
    }
    // Blocks alone, with nothing that only this format has, are how Anthropic messages look.
    let ours = marks.foreign == 0 && (marks.own > 0 || marks.plain > 0);
    let layout = if whole >= single {
        Layout::ChatPerRecord
    } else {
        Layout::OneChat
    };
    (ours && single + whole > 0).then_some(Evidence {
        matched: single.max(whole),
        of: head.records.len(),
        layout,
    })
}

impl Marks {
    fn look_at(&mut self, message: &HeadRecord) {
        let Some(role) = message.string("role").and_then(|role| role_of(&role)) else {
            return;
        };
        let own_member = OWN_MESSAGE.iter().any(|key| message.has(key));
        if FOREIGN_MESSAGE.iter().any(|key| message.has(key))
            || !(message.has("content") || own_member)
        {
            return;
        }
        self.messages += 1;
        self.own += usize::from(own_member || matches!(role, Role::System | Role::Tool));
        match message.member("content") {
            Some(content @ HeadRecord::Array(_)) => content
                .elements()
                .iter()
                .for_each(|part| self.look_at_part(part)),
            _ => self.plain += 1,
        }
    }

    fn look_at_part(&mut self, part: &HeadRecord) {
        let kind = part.string("type").unwrap_or_default();
        self.foreign += usize::from(
            FOREIGN_PARTS.contains(&kind.as_str()) || (kind == "image" && part.has("source")),
        );
        self.own += usize::from(
            matches!(
                kind.as_str(),
                "image_url" | "input_audio" | "file" | "refusal"
            ) || part.has("value"),
        );
    }
}

/// The roles of the API, and what models' own templates and other vendors call them.
fn role_of(role: &str) -> Option<Role> {
    Some(match role.to_ascii_lowercase().as_str() {
        "user" | "human" => Role::User,
        "assistant" | "model" | "ai" => Role::Assistant,
        "system" | "developer" | "platform" | "root" | "instruction" | "instructions"
        | "context" => Role::System,
        "tool" | "function" | "ipython" => Role::Tool,
        _ => return None,
    })
}

#[derive(Default)]
struct ChatReader {
    turns: Turns,
}

/// A message, or an object that holds a whole chat.
#[derive(Deserialize)]
struct MessageOrChat<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    role: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    messages: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    title: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    model: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    system: Option<Cow<'a, str>>,
    #[serde(default, deserialize_with = "lenient::time")]
    created_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "lenient::time")]
    created: Option<Timestamp>,
    #[serde(default, deserialize_with = "lenient::time")]
    timestamp: Option<Timestamp>,
    #[serde(default, deserialize_with = "lenient::time")]
    updated_at: Option<Timestamp>,
    #[serde(borrow, default, deserialize_with = "lenient::list")]
    tool_calls: Vec<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    tool_call_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    function_call: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    reasoning_content: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    reasoning: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    thinking: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::list")]
    reasoning_details: Vec<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    refusal: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    audio: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "lenient::list")]
    annotations: Vec<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "lenient::list")]
    images: Vec<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "lenient::list")]
    videos: Vec<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "lenient::list")]
    audios: Vec<&'a RawValue>,
}

impl Reader for ChatReader {
    fn push(
        &mut self,
        record: &Record<'_>,
        chat: &mut ChatBuilder,
        surroundings: &mut dyn Surroundings,
    ) -> Result<Taken, Refusal> {
        let raw: &RawValue = serde_json::from_slice(record.bytes)?;
        let mut parsed: Option<MessageOrChat<'_>> = lenient::object_of(raw)?;
        let is_bare = |parsed: &MessageOrChat<'_>| parsed.messages.or(parsed.content).is_none();
        if let Some(request) = parsed.as_ref().filter(|parsed| is_bare(parsed))
            && request.role.is_none()
            && let Some(request) = log::request(raw)?
        {
            parsed = lenient::object_of(request)?;
        }
        let (turns, listed) = match &parsed {
            None if raw.get().starts_with('[') => {
                (turns_of(&lenient::list_of(raw), None)?, Listed::default())
            }
            Some(whole)
                if whole
                    .messages
                    .is_some_and(|messages| messages.get().starts_with('[')) =>
            {
                chat_of(whole, raw)?
            }
            Some(message) => match turn_of(message, raw)? {
                Some(turn) => (
                    vec![turn],
                    Listed::new(&message.images, &message.videos, &message.audios)?,
                ),
                None if message.role.is_none() => {
                    let answer = log::answer_alone(raw)?;
                    let turns = turns_of_answer(answer, raw, message.model.as_ref())?;
                    (turns, Listed::default())
                }
                None => (Vec::new(), Listed::default()),
            },
            None => (Vec::new(), Listed::default()),
        };
        if turns.is_empty() {
            if raw.get().starts_with('[') || parsed.is_some_and(|parsed| parsed.messages.is_some())
            {
                return Ok(Taken::Bookkeeping);
            }
            chat.put_unknown(readalong_model::ThreadId::MAIN, "", raw.get())?;
            return Ok(Taken::KeptRaw);
        }
        if let Some(whole) = parsed.filter(|parsed| parsed.messages.is_some()) {
            note_chat(whole, chat);
        }
        self.turns.put_all(turns, listed, chat, surroundings)?;
        Ok(Taken::Mapped)
    }
}

/// What an object says of its chat as a whole.
fn note_chat(whole: MessageOrChat<'_>, chat: &mut ChatBuilder) {
    if let Some(title) = whole.title.or(whole.name) {
        chat.chat.title = title.into_owned();
    }
    if let Some(id) = whole.id {
        chat.chat.origin.native_id = Some(id.into_owned());
    }
    chat.chat.created_at = whole.created_at.or(whole.created);
    chat.chat.updated_at = whole.updated_at;
}

fn chat_of<'a>(
    whole: &MessageOrChat<'a>,
    raw: &'a RawValue,
) -> Result<(Vec<Turn<'a>>, Listed<'a>), serde_json::Error> {
    let messages = whole.messages.map(lenient::list_of).unwrap_or_default();
    let mut turns = Vec::new();
    if let Some(system) = whole.system.clone().filter(|system| !system.is_empty()) {
        let mut turn = Turn::new(Role::System, raw.get().get(..0).unwrap_or_default());
        turn.pieces.push(Piece::Text(system));
        turns.push(turn);
    }
    turns.extend(turns_of(&messages, whole.model.as_ref())?);
    // A log of requests has what came back beside what was asked, where it is not among the messages.
    if turns.last().is_none_or(|last| last.role != Role::Assistant) {
        let answer = turns_of_answer(log::answer(raw)?, raw, whole.model.as_ref())?;
        if answer.is_empty() {
            turns.extend(log::response(raw)?.map(Turn::unknown));
        }
        // A list may say again what was asked.
        turns.extend(answer.into_iter().last());
    }
    Ok((
        turns,
        Listed::new(&whole.images, &whole.videos, &whole.audios)?,
    ))
}

/// What came back for a request that a record logs.
fn turns_of_answer<'a>(
    answer: Option<log::Answer<'a>>,
    raw: &'a RawValue,
    model: Option<&Cow<'a, str>>,
) -> Result<Vec<Turn<'a>>, serde_json::Error> {
    match answer {
        Some(log::Answer::Messages(messages)) => turns_of(&messages, model),
        Some(log::Answer::Text(text)) if !text.is_empty() => {
            let mut turn = Turn::new(Role::Assistant, raw.get().get(..0).unwrap_or_default());
            turn.model = model.cloned();
            turn.pieces.push(Piece::Text(text));
            Ok(vec![turn])
        }
        _ => Ok(Vec::new()),
    }
}

/// The messages of a list; what is no message is kept as it is.
fn turns_of<'a>(
    messages: &[&'a RawValue],
    model: Option<&Cow<'a, str>>,
) -> Result<Vec<Turn<'a>>, serde_json::Error> {
    let mut turns = Vec::with_capacity(messages.len());
    for raw in messages {
        let turn = lenient::object_of::<MessageOrChat<'_>>(raw).and_then(|message| match message {
            Some(mut message) => {
                message.model = message.model.or_else(|| model.cloned());
                let mut turn = turn_of(&message, raw)?;
                if let Some(turn) = &mut turn {
                    turn.pieces.extend(
                        Listed::new(&message.images, &message.videos, &message.audios)?.take_all(),
                    );
                }
                Ok(turn)
            }
            None => Ok(None),
        });
        turns.push(match turn {
            Ok(Some(turn)) => turn,
            Err(error) if lenient::is_repairable(&error) => return Err(error),
            Ok(None) | Err(_) => Turn::unknown(raw),
        });
    }
    Ok(turns)
}

/// A message as a turn; `None` where it has no role that is known.
fn turn_of<'a>(
    message: &MessageOrChat<'a>,
    raw: &'a RawValue,
) -> Result<Option<Turn<'a>>, serde_json::Error> {
    let Some(role) = message.role.as_deref().and_then(role_of) else {
        return Ok(None);
    };
    let mut turn = Turn::new(role, raw.get());
    turn.id.clone_from(&message.id);
    turn.name.clone_from(&message.name);
    turn.model.clone_from(&message.model);
    turn.at = message.created_at.or(message.timestamp).or(message.created);
    turn.answers.clone_from(&message.tool_call_id);
    push_reasoning(message, &mut turn)?;
    if let Some(content) = message.content {
        push_content(content, &mut turn)?;
    }
    if let Some(refusal) = message
        .refusal
        .clone()
        .filter(|refusal| !refusal.is_empty())
        .filter(|refusal| {
            !turn
                .pieces
                .iter()
                .any(|piece| matches!(piece, Piece::Text(text) if text == refusal))
        })
    {
        turn.pieces.push(Piece::Text(refusal));
    }
    if let Some(audio) = message.audio {
        content::push_audio_answer(audio, &mut turn)?;
    }
    for call in &message.tool_calls {
        turn.pieces.push(pieces_of_call(call)?);
    }
    if let Some(call) = message
        .function_call
        .filter(|call| call.get().starts_with('{'))
    {
        turn.pieces.push(pieces_of_call(call)?);
    }
    for annotation in &message.annotations {
        turn.pieces.push(content::source_of(annotation)?);
    }
    Ok(Some(turn))
}

/// Thoughts: providers write the same ones under several names.
fn push_reasoning<'a>(
    message: &MessageOrChat<'a>,
    turn: &mut Turn<'a>,
) -> Result<(), serde_json::Error> {
    let names = [
        &message.reasoning_content,
        &message.reasoning,
        &message.thinking,
    ];
    let texts = names.into_iter().flatten();
    let mut found: Vec<&Cow<'a, str>> = texts.filter(|text| !text.is_empty()).collect();
    found.dedup();
    if found.is_empty() {
        for detail in &message.reasoning_details {
            turn.pieces
                .extend(content::thought_of(detail)?.map(Piece::Reasoning));
        }
    }
    turn.pieces
        .extend(found.into_iter().map(|text| Piece::Reasoning(text.clone())));
    Ok(())
}

/// The input of a call: a string of JSON, or the JSON itself.
fn input_of(raw: &RawValue) -> Result<Input<'_>, serde_json::Error> {
    Ok(match lenient::text_of(raw)? {
        Some(text) => Input::Text(text),
        None => Input::Json(raw),
    })
}
