//! Items of the Responses API: an array or lines of items, a request (`input`), a response (`output`), or a list of items.
//!
//! Shape: (openai/codex codex-rs/protocol/src/models.rs and open-telemetry/semantic-conventions-genai,
//! with common knowledge of the API). A file of items is one chat; where each line or element holds items, each is a chat.

use std::borrow::Cow;

use readalong_model::{NoticeKind, Role, ThreadId, Timestamp, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Evidence, Format, Growth, Layout, Reader, Record, Refusal, Taken};
use crate::{
    builder::ChatBuilder,
    head::{Head, HeadRecord},
    responses_items::members as lenient,
    responses_items::{Circumstances, Draft, Fields, Items},
    surroundings::Surroundings,
};

pub(super) const FORMAT: Format = Format {
    name: "openai-responses",
    title: "OpenAI Responses items",
    found_at: "requests and responses of the Responses API, saved as JSON or JSONL",
    growth: Growth::Append,
    detect,
    reader: || Box::new(ResponsesReader::default()),
};

/// Kinds of items that no other format has.
const KINDS: [&str; 22] = [
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "custom_tool_call_output",
    "reasoning",
    "web_search_call",
    "file_search_call",
    "code_interpreter_call",
    "image_generation_call",
    "computer_call",
    "computer_call_output",
    "mcp_call",
    "mcp_list_tools",
    "mcp_approval_request",
    "mcp_approval_response",
    "local_shell_call",
    "local_shell_call_output",
    "shell_call",
    "shell_call_output",
    "compaction",
    "item_reference",
    "apply_patch_call",
];

fn detect(head: &Head) -> Option<Evidence> {
    let of = head.records.len();
    let items = marks(&head.records);
    if items > 0 {
        return Some(Evidence {
            matched: items,
            of,
            layout: Layout::OneChat,
        });
    }
    let matched = head
        .records
        .iter()
        .filter(|record| holds_items(record))
        .count();
    (matched > 0).then_some(Evidence {
        matched,
        of,
        layout: Layout::ChatPerRecord,
    })
}

/// Records that are items; none where nothing tells them from messages of another format.
fn marks(records: &[HeadRecord]) -> usize {
    let strong = records.iter().filter(|record| is_marked(record)).count();
    if strong == 0 {
        0
    } else {
        records
            .iter()
            .filter(|record| is_marked(record) || is_plain_message(record))
            .count()
    }
}

fn is_marked(record: &HeadRecord) -> bool {
    match record.string("type").as_deref() {
        Some("message") | None => {
            record.has("role")
                && content_kinds(record)
                    .iter()
                    .any(|kind| CONTENT_KINDS.contains(&kind.as_str()))
        }
        Some("reasoning") => record.has("summary") || record.has("encrypted_content"),
        Some("function_call" | "custom_tool_call") => record.has("call_id") && record.has("name"),
        Some(kind) => KINDS.contains(&kind) && !record.has("payload") && !record.has("uuid"),
    }
}

/// Kinds of content parts that only these items have.
const CONTENT_KINDS: [&str; 4] = ["input_text", "output_text", "input_image", "input_file"];

fn content_kinds(record: &HeadRecord) -> Vec<String> {
    record
        .member("content")
        .map(|content| {
            content
                .elements()
                .iter()
                .filter_map(|part| part.string("type"))
                .collect()
        })
        .unwrap_or_default()
}

/// A message in the short form, which other formats have, too.
fn is_plain_message(record: &HeadRecord) -> bool {
    matches!(record.string("type").as_deref(), None | Some("message"))
        && record.string("role").is_some()
        && record.has("content")
        && !record.has("tool_calls")
        && !record.has("tool_call_id")
        && !record.has("parts")
}

fn holds_items(record: &HeadRecord) -> bool {
    if matches!(record, HeadRecord::Array(_)) {
        return marks(&record.elements()) > 0;
    }
    let is_response =
        record.string("object").as_deref() == Some("response") && record.has("output");
    is_response
        || ["output", "items", "input", "data"].iter().any(|key| {
            record
                .member(key)
                .is_some_and(|items| marks(&items.elements()) > 0)
        })
}

/// A request, a response, or a list of items.
#[derive(Default, Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    model: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    title: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    created_at: Option<&'a RawValue>,
    #[serde(borrow, default)]
    instructions: Option<&'a RawValue>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
    #[serde(borrow, default)]
    items: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    output: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "lenient::object")]
    usage: Tokens,
    #[serde(default, deserialize_with = "lenient::object")]
    error: Failure<'a>,
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
    output_tokens: Option<u64>,
    #[serde(default, deserialize_with = "lenient::object")]
    input_tokens_details: CachedTokens,
}

#[derive(Default, Deserialize)]
struct CachedTokens {
    #[serde(default, deserialize_with = "lenient::count")]
    cached_tokens: Option<u64>,
}

/// Something that was read and waits to be put into the chat.
struct Read<'a> {
    /// The item; `None` where its kind is unknown.
    draft: Option<Draft>,
    id: Option<Cow<'a, str>>,
    kind: Cow<'a, str>,
    raw: &'a str,
}

#[derive(Default)]
struct ResponsesReader {
    items: Items,
}

impl Reader for ResponsesReader {
    fn push(
        &mut self,
        record: &Record<'_>,
        chat: &mut ChatBuilder,
        surroundings: &mut dyn Surroundings,
    ) -> Result<Taken, Refusal> {
        let raw: &RawValue = serde_json::from_slice(record.bytes)?;
        if raw.get().starts_with('[') {
            let list = read_list(raw)?;
            return self.put_all(list, &Envelope::default(), (chat, surroundings));
        }
        if !raw.get().starts_with('{') {
            chat.put_unknown(ThreadId::MAIN, "", raw.get())?;
            return Ok(Taken::KeptRaw);
        }
        let fields: Fields<'_> = serde_json::from_str(raw.get())?;
        let envelope: Envelope<'_> = serde_json::from_str(raw.get())?;
        let is_item = fields.kind.is_some() || fields.role.is_some();
        let lists = [
            envelope.input.filter(|input| !input.get().starts_with('{')),
            envelope.items,
            envelope.data,
            envelope.output,
        ];
        if is_item || lists.iter().all(Option::is_none) {
            return self.put_item(read_item(fields, raw.get())?, (chat, surroundings));
        }
        let mut list = Vec::new();
        for raw in lists.into_iter().flatten() {
            list.extend(read_list(raw)?);
        }
        let instructions = envelope
            .instructions
            .map(read_list)
            .transpose()?
            .unwrap_or_default();
        for read in instructions {
            self.put_instructions(read, (&mut *chat, &mut *surroundings))?;
        }
        self.put_all(list, &envelope, (chat, surroundings))
    }
}

/// Reads a list of items; a text in the place of a list is the user's message.
fn read_list(raw: &RawValue) -> Result<Vec<Read<'_>>, serde_json::Error> {
    #[derive(Deserialize)]
    struct List<'a> {
        #[serde(borrow, default)]
        data: Option<&'a RawValue>,
    }
    let elements: Vec<&RawValue> = match raw.get().as_bytes().first() {
        Some(b'[') => serde_json::from_str(raw.get())?,
        Some(b'{') => match serde_json::from_str::<List<'_>>(raw.get())?.data {
            Some(data) if data.get().starts_with('[') => serde_json::from_str(data.get())?,
            _ => vec![raw],
        },
        Some(b'"') => {
            return Ok(vec![read_item(Fields::of_user(raw), raw.get())?]);
        }
        _ => Vec::new(),
    };
    elements
        .into_iter()
        .map(|element| match element.get().starts_with('{') {
            true => read_item(serde_json::from_str(element.get())?, element.get()),
            false => read_item(Fields::default(), element.get()),
        })
        .collect()
}

fn read_item<'a>(fields: Fields<'a>, raw: &'a str) -> Result<Read<'a>, serde_json::Error> {
    let draft = fields.draft()?;
    Ok(Read {
        draft,
        id: fields.id,
        kind: fields.kind.unwrap_or_default(),
        raw,
    })
}

impl ResponsesReader {
    /// Instructions are the program's words, however they are written.
    fn put_instructions(
        &mut self,
        read: Read<'_>,
        (chat, surroundings): (&mut ChatBuilder, &mut dyn Surroundings),
    ) -> Result<(), Refusal> {
        let around = Circumstances {
            at: None,
            model: None,
            bytes: read.raw.as_bytes(),
        };
        if let Some(Draft::Message { pieces, .. }) = read.draft {
            self.items.put(
                Draft::Message {
                    role: Role::System,
                    pieces,
                },
                None,
                &around,
                (chat, surroundings),
            )?;
        }
        Ok(())
    }

    fn put_all(
        &mut self,
        list: Vec<Read<'_>>,
        envelope: &Envelope<'_>,
        (chat, surroundings): (&mut ChatBuilder, &mut dyn Surroundings),
    ) -> Result<Taken, Refusal> {
        let at = envelope
            .created_at
            .and_then(|raw| serde_json::from_str::<f64>(raw.get()).ok())
            .and_then(|at| Timestamp::from_number(at).ok());
        let nothing = list.is_empty();
        for read in list {
            let around = Circumstances {
                at: None,
                model: envelope.model.as_deref(),
                bytes: read.raw.as_bytes(),
            };
            self.put(read, &around, (&mut *chat, &mut *surroundings))?;
        }
        chat.chat.created_at = chat.chat.created_at.or(at);
        let origin = &mut chat.chat.origin;
        origin.native_id = origin
            .native_id
            .take()
            .or_else(|| envelope.id.as_deref().map(str::to_owned));
        if let Some(title) = &envelope.title {
            chat.chat.title = title.clone().into_owned();
        }
        if let (Some(input), Some(output)) =
            (envelope.usage.input_tokens, envelope.usage.output_tokens)
        {
            let cached_tokens = envelope
                .usage
                .input_tokens_details
                .cached_tokens
                .unwrap_or(0);
            if let Some(message) = self.items.said_last(chat) {
                message.usage = Some(Usage {
                    input_tokens: input.saturating_sub(cached_tokens),
                    output_tokens: output,
                    cached_tokens,
                });
            }
        }
        if let Some(message) = &envelope.error.message {
            let around = Circumstances {
                at: None,
                model: None,
                bytes: message.as_bytes(),
            };
            self.items.put_notice(
                NoticeKind::Error,
                message.clone().into_owned(),
                &around,
                chat,
            );
        }
        Ok(if nothing && envelope.error.message.is_none() {
            Taken::Bookkeeping
        } else {
            Taken::Mapped
        })
    }

    fn put_item(
        &mut self,
        read: Read<'_>,
        to: (&mut ChatBuilder, &mut dyn Surroundings),
    ) -> Result<Taken, Refusal> {
        let around = Circumstances {
            at: None,
            model: None,
            bytes: read.raw.as_bytes(),
        };
        self.put(read, &around, to)
    }

    fn put(
        &mut self,
        read: Read<'_>,
        around: &Circumstances<'_>,
        (chat, surroundings): (&mut ChatBuilder, &mut dyn Surroundings),
    ) -> Result<Taken, Refusal> {
        match read.draft {
            Some(Draft::Nothing) => Ok(Taken::Bookkeeping),
            Some(Draft::Reference(id)) if self.items.knows(&id) => Ok(Taken::Mapped),
            None | Some(Draft::Reference(_)) => {
                chat.put_unknown(ThreadId::MAIN, &read.kind, read.raw)?;
                Ok(Taken::KeptRaw)
            }
            Some(draft) => {
                self.items
                    .put(draft, read.id.as_deref(), around, (chat, surroundings))?;
                Ok(Taken::Mapped)
            }
        }
    }
}

#[cfg(test)]
mod tests;
