//! Message arrays of Anthropic's Messages API: an array of messages, an object with `messages`, or lines of either.
//!
//! Source of the shape: the vendor's API. The blocks are read by `anthropic_blocks.rs`. Arrays of plain strings are left to the chat
//! format of the other vendor, which they equal.

use std::borrow::Cow;

use readalong_model::{
    ArtifactRole, Author, AuthorKind, Message, Role, ThreadId, Timestamp, Visibility,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Evidence, Format, Growth, Layout, Reader, Record, Refusal, Taken,
    claude_code::{
        record::{Tokens, object},
        runs, words,
    },
    lenient,
    openai_chat::OWN_MESSAGE,
};
use crate::{
    anthropic_blocks::{CallIds, Content, World},
    builder::ChatBuilder,
    head::{Head, HeadRecord},
    surroundings::Surroundings,
};

pub(super) const FORMAT: Format = Format {
    name: "anthropic",
    title: "Anthropic messages",
    found_at: "requests and logs of Anthropic's Messages API",
    growth: Growth::Append,
    detect,
    reader: || Box::new(Anthropic::default()),
};

/// Block kinds that no other message array has.
const MARKS: [&str; 9] = [
    "tool_use",
    "tool_result",
    "thinking",
    "redacted_thinking",
    "document",
    "server_tool_use",
    "mcp_tool_use",
    "container_upload",
    "search_result",
];

fn detect(head: &Head) -> Option<Evidence> {
    let (mut matched, mut marks, mut chats, mut in_blocks) = (0, 0, 0, 0);
    for record in &head.records {
        let inner = match record {
            HeadRecord::Array(_) => Some(record.elements()),
            _ => record
                .member("messages")
                .map(|messages| messages.elements()),
        };
        let (fits, found) = match &inner {
            Some(messages) => (
                !messages.is_empty() && messages.iter().all(is_message),
                messages.iter().map(count_marks).sum::<usize>() + usize::from(record.has("system")),
            ),
            None => (is_message(record), count_marks(record)),
        };
        matched += usize::from(fits);
        chats += usize::from(fits && inner.is_some());
        marks += if fits { found } else { 0 };
        in_blocks += usize::from(match &inner {
            Some(messages) => fits && messages.iter().all(is_in_blocks),
            None => is_in_blocks(record),
        });
    }
    if marks == 0 {
        matched = in_blocks;
    }
    if matched == 0 {
        return None;
    }
    let layout = if chats > 0 {
        Layout::ChatPerRecord
    } else {
        Layout::OneChat
    };
    Some(Evidence {
        matched,
        of: head.records.len(),
        layout,
    })
}

fn is_message(record: &HeadRecord) -> bool {
    let role = record.string("role");
    let speaks = matches!(role.as_deref(), Some("user" | "assistant" | "system"));
    let foreign = ["tool_calls", "tool_call_id", "function_call", "parts"]
        .iter()
        .any(|key| record.has(key));
    let content = record
        .member("content")
        .is_some_and(|content| match content {
            HeadRecord::Array(_) => content
                .elements()
                .iter()
                .all(|block| block.has("type") || matches!(block, HeadRecord::Other)),
            _ => record.string("content").is_some(),
        });
    speaks && content && !foreign
}

/// True for text blocks with nothing that only messages of the other vendor have: it writes plain strings where there is only text.
fn is_in_blocks(message: &HeadRecord) -> bool {
    let blocks = message
        .member("content")
        .map(|content| content.elements())
        .unwrap_or_default();
    let is_text = |block: &HeadRecord| {
        block.string("type").as_deref() == Some("text") && block.string("text").is_some()
    };
    let role = message.string("role");
    matches!(role.as_deref(), Some("user" | "assistant"))
        && !blocks.is_empty()
        && blocks.iter().all(is_text)
        && !OWN_MESSAGE.iter().any(|key| message.has(key))
}

fn count_marks(message: &HeadRecord) -> usize {
    let blocks = message
        .member("content")
        .map(|content| content.elements())
        .unwrap_or_default();
    let marked = |block: &&HeadRecord| {
        let kind = block.string("type").unwrap_or_default();
        MARKS.contains(&kind.as_str())
            || (kind == "image"
                && block
                    .member("source")
                    .is_some_and(|source| source.has("type")))
    };
    blocks.iter().filter(marked).count()
}

/// A message, or an object that holds a whole chat.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Item<'a> {
    #[serde(borrow, deserialize_with = "lenient::text")]
    role: Option<Cow<'a, str>>,
    #[serde(borrow)]
    content: Content<'a>,
    #[serde(borrow, deserialize_with = "lenient::text")]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, deserialize_with = "lenient::text")]
    model: Option<Cow<'a, str>>,
    #[serde(deserialize_with = "object")]
    usage: Tokens,
    #[serde(deserialize_with = "lenient::time")]
    timestamp: Option<Timestamp>,
    #[serde(deserialize_with = "lenient::time")]
    created_at: Option<Timestamp>,
    #[serde(deserialize_with = "lenient::time")]
    ts: Option<Timestamp>,
    #[serde(borrow, deserialize_with = "lenient::text")]
    title: Option<Cow<'a, str>>,
    #[serde(borrow)]
    system: Content<'a>,
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
}

/// Reads one array of messages, or one object that holds them.
#[derive(Default)]
struct Anthropic {
    calls: CallIds,
}

impl Reader for Anthropic {
    fn push(
        &mut self,
        record: &Record<'_>,
        chat: &mut ChatBuilder,
        surroundings: &mut dyn Surroundings,
    ) -> Result<Taken, Refusal> {
        let raw: &RawValue = serde_json::from_slice(record.bytes)?;
        let mut item: Item<'_> = lenient_item(raw)?.unwrap_or_default();
        item.system.parse()?;
        let list = match item.messages.take() {
            Some(messages) => Some(lenient::list_of(messages)),
            None => raw.get().starts_with('[').then(|| lenient::list_of(raw)),
        };
        let Some(list) = list else {
            return self.put(raw, item, chat, surroundings);
        };
        let items = list
            .into_iter()
            .map(|raw| lenient_item(raw).map(|item| (raw, item.unwrap_or_default())))
            .collect::<Result<Vec<_>, _>>()?;
        self.put_system(std::mem::take(&mut item.system), raw, chat, surroundings)?;
        if let Some(title) = item.title {
            chat.chat.title = title.into_owned();
        }
        chat.chat.origin.native_id = item.id.map(Cow::into_owned);
        for (raw, mut turn) in items {
            turn.model = turn.model.or_else(|| item.model.clone());
            self.put(raw, turn, chat, surroundings)?;
        }
        Ok(Taken::Mapped)
    }
}

/// A value as an item with its blocks; `None` where it is no object or has a shape of its own.
fn lenient_item(raw: &RawValue) -> Result<Option<Item<'_>>, serde_json::Error> {
    match lenient::object_of::<Item<'_>>(raw) {
        Err(error) if lenient::is_repairable(&error) => Err(error),
        Ok(Some(mut item)) => item.content.parse().map(|()| Some(item)),
        _ => Ok(None),
    }
}

impl Anthropic {
    fn put_system(
        &mut self,
        system: Content<'_>,
        raw: &RawValue,
        chat: &mut ChatBuilder,
        surroundings: &mut dyn Surroundings,
    ) -> Result<(), Refusal> {
        let parts = system.read(
            ArtifactRole::Uploaded,
            &mut World {
                chat,
                surroundings,
                calls: &mut self.calls,
            },
        )?;
        if !parts.is_empty() {
            let id = chat.id_by_position(raw.get().as_bytes());
            chat.put_next(Message {
                visibility: Visibility::Hidden,
                parts,
                ..Message::new(id, Role::System)
            });
        }
        Ok(())
    }

    /// Puts a message; its tool results become messages of their own.
    fn put(
        &mut self,
        raw: &RawValue,
        item: Item<'_>,
        chat: &mut ChatBuilder,
        surroundings: &mut dyn Surroundings,
    ) -> Result<Taken, Refusal> {
        let (role, file_role) = match item.role.as_deref() {
            Some("user") => (Role::User, ArtifactRole::Uploaded),
            Some("assistant") => (Role::Assistant, ArtifactRole::Produced),
            Some("system" | "developer") => (Role::System, ArtifactRole::Uploaded),
            _ => {
                chat.put_unknown(
                    ThreadId::MAIN,
                    item.role.as_deref().unwrap_or_default(),
                    raw.get(),
                )?;
                return Ok(Taken::KeptRaw);
            }
        };
        if item.content.is_unreadable() {
            chat.put_unknown(
                ThreadId::MAIN,
                item.role.as_deref().unwrap_or_default(),
                raw.get(),
            )?;
            return Ok(Taken::KeptRaw);
        }
        let at = item.timestamp.or(item.created_at).or(item.ts);
        let mut usage = item.usage.usage();
        let native = item
            .id
            .as_deref()
            .filter(|id| !id.is_empty())
            .map(str::to_owned);
        let mut native = native.filter(|id| !chat.has(id));
        let mut parts = item.content.read(
            file_role,
            &mut World {
                chat,
                surroundings,
                calls: &mut self.calls,
            },
        )?;
        let visibility = if role == Role::System {
            Visibility::Hidden
        } else {
            Visibility::Shown
        };
        let injected = match role {
            Role::User => words::take_injected(&mut parts),
            _ => Vec::new(),
        };
        if chat.grow_newest(item.id.as_deref(), role, &mut parts) {
            if let Some(newest) = chat.newest() {
                newest.usage = usage.or(newest.usage);
            }
            return Ok(Taken::Mapped);
        }
        if !injected.is_empty() {
            let id = chat.id_by_position(raw.get().as_bytes());
            chat.put_injected(id, at, injected);
        }
        for (is_result, parts) in runs(parts) {
            let id = native
                .take()
                .unwrap_or_else(|| chat.id_by_position(raw.get().as_bytes()));
            let message = if is_result {
                let author = Author {
                    kind: Some(AuthorKind::Tool),
                    ..Author::default()
                };
                Message {
                    author,
                    ..Message::new(id, Role::Tool)
                }
            } else {
                let model = item
                    .model
                    .as_deref()
                    .filter(|_| role == Role::Assistant)
                    .map(str::to_owned);
                let usage = usage.take();
                Message {
                    author: Author {
                        model,
                        ..Author::default()
                    },
                    usage,
                    visibility,
                    ..Message::new(id, role)
                }
            };
            chat.put_next(Message {
                at,
                parts,
                ..message
            });
        }
        Ok(Taken::Mapped)
    }
}

#[cfg(test)]
mod tests;
