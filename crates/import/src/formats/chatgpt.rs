//! ChatGPT exports: `conversations.json` of the zip that the product mails to its users, or one conversation of it.
//!
//! Shape: Sinity/polylogue (`parsers/chatgpt.py`, `chatgpt_sidecars.py`), pionxzh/chatgpt-exporter (`src/api.ts`), jamesmoore/chatgpt-export
//! (`Models/ContentTypes.cs`), danny-avila/LibreChat (`chatgpt-modern-export.json`). Each conversation is one record: a tree of nodes, most
//! of which hold a message. Of the zip's other members only files and the lists of their names are read, never `user.json`.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use readalong_model::{Message, MessageId, Part, RawJson, Role, ThreadId, Visibility};

use super::{Evidence, Format, Growth, Layout, Reader, Record, Refusal, Taken, lenient};
use crate::{
    builder::ChatBuilder,
    head::{Head, HeadRecord},
    surroundings::Surroundings,
};

mod assets;
mod calls;
mod citations;
mod content;
#[cfg(test)]
mod tests;
mod tree;
mod wire;

use assets::Assets;
use content::Making;
use wire::{Conversation, Node};

pub(super) const FORMAT: Format = Format {
    name: "chatgpt",
    title: "ChatGPT export",
    found_at: "the zip from ChatGPT's Settings > Data controls > Export data, or the conversations.json in it",
    growth: Growth::Export,
    detect,
    reader: || Box::new(ExportReader),
};

fn detect(head: &Head) -> Option<Evidence> {
    let is_conversation = |record: &&HeadRecord| {
        let mapped = record
            .member("mapping")
            .is_some_and(|mapping| matches!(mapping, HeadRecord::Object(_)));
        let whole = mapped
            && [
                "current_node",
                "conversation_id",
                "create_time",
                "moderation_results",
            ]
            .iter()
            .any(|key| record.has(key));
        // Some conversations of an export have lost their tree.
        whole
            || (record.has("conversation_id")
                && record.has("default_model_slug")
                && !record.has("messages"))
    };
    let matched = head.records.iter().filter(is_conversation).count();
    (matched > 0).then_some(Evidence {
        matched,
        of: head.records.len(),
        layout: Layout::ChatPerRecord,
    })
}

/// Reads a conversation from its one record.
struct ExportReader;

/// A node with what became of its reading.
enum Read<'a> {
    Node(Box<Node<'a>>),
    /// Its JSON cannot be read as a node.
    Broken(&'a str),
}

impl Reader for ExportReader {
    fn push(
        &mut self,
        record: &Record<'_>,
        chat: &mut ChatBuilder,
        surroundings: &mut dyn Surroundings,
    ) -> Result<Taken, Refusal> {
        let raw: &serde_json::value::RawValue = serde_json::from_slice(record.bytes)?;
        let Some(conversation) = lenient::object_of::<Conversation<'_>>(raw)? else {
            chat.put_unknown(ThreadId::MAIN, "", raw.get())?;
            return Ok(Taken::KeptRaw);
        };
        let Some(lenient::Members(members)) = &conversation.mapping else {
            if !conversation.is_known() {
                chat.put_unknown(ThreadId::MAIN, "", raw.get())?;
                return Ok(Taken::KeptRaw);
            }
            chat.warn("a conversation without its messages");
            return Ok(Taken::Bookkeeping);
        };
        let mut nodes = Vec::with_capacity(members.len());
        for (key, raw) in members {
            let node = match lenient::object_of::<Node<'_>>(raw) {
                Ok(Some(node)) => Read::Node(Box::new(node)),
                Err(error) if lenient::is_repairable(&error) => return Err(error.into()),
                Ok(None) | Err(_) => Read::Broken(raw.get()),
            };
            nodes.push((key, node));
        }
        note_conversation(&conversation, chat);
        let has_messages = put_nodes(&nodes, &conversation, chat, surroundings)?;
        if !has_messages {
            chat.warn("a conversation without messages");
        }
        Ok(if has_messages {
            Taken::Mapped
        } else {
            Taken::Bookkeeping
        })
    }
}

/// What a conversation says of itself as a whole.
fn note_conversation(conversation: &Conversation<'_>, chat: &mut ChatBuilder) {
    let id = conversation
        .conversation_id
        .as_ref()
        .or(conversation.id.as_ref());
    chat.chat.origin.native_id = id.map(|id| id.clone().into_owned());
    chat.chat.title = conversation
        .title
        .as_deref()
        .map(citations::clean)
        .unwrap_or_default()
        .into_owned();
    chat.chat.created_at = conversation.create_time;
    chat.chat.updated_at = conversation.update_time;
    let custom = conversation
        .gizmo_id
        .as_deref()
        .filter(|id| id.starts_with("g-") && !id.starts_with("g-p-"));
    chat.chat.origin.app = Some(custom.map_or_else(
        || "ChatGPT".to_owned(),
        |id| format!("ChatGPT with custom GPT {id}"),
    ));
}

/// Puts the messages of all nodes, parents before children; true where there was one.
fn put_nodes(
    nodes: &[(&Cow<'_, str>, Read<'_>)],
    conversation: &Conversation<'_>,
    chat: &mut ChatBuilder,
    surroundings: &mut dyn Surroundings,
) -> Result<bool, Refusal> {
    let order = tree::order(nodes);
    let mut assets = Assets::new(
        conversation
            .conversation_id
            .as_deref()
            .or(conversation.id.as_deref()),
    );
    // The message that stands for a node: its own, or its nearest ancestor's.
    let mut standing: Vec<Option<MessageId>> = vec![None; nodes.len()];
    let mut contexts: Vec<calls::Context> = vec![calls::Context::default(); nodes.len()];
    let mut used: HashSet<String> = HashSet::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut put_any = false;
    for step in &order {
        let Some((key, read)) = nodes.get(step.node) else {
            continue;
        };
        places.entry(key.as_ref()).or_insert(step.node);
        let (above, context) = match step.parent {
            tree::Parent::Node(parent) => (
                standing.get(parent).cloned().flatten(),
                contexts.get(parent).cloned().unwrap_or_default(),
            ),
            tree::Parent::Lost => (chat.last_id_in(ThreadId::MAIN), calls::Context::default()),
            tree::Parent::None => (None, calls::Context::default()),
        };
        let id = if used.insert(key.to_string()) {
            key.to_string()
        } else {
            format!("{key}#{}", step.node)
        };
        let messages = match read {
            Read::Node(node) => {
                let mut making = Making {
                    chat,
                    assets: &mut assets,
                    surroundings,
                    context,
                };
                let made = match &node.message {
                    Some(message) => making.messages(&id, message)?,
                    None => Vec::new(),
                };
                set(&mut contexts, step.node, making.context);
                made
            }
            Read::Broken("null") => Vec::new(),
            Read::Broken(json) => {
                chat.warn("a message that could not be read was kept as it is");
                vec![broken(&id, json)?]
            }
        };
        let mut stands = above;
        for mut message in messages {
            message.parent = stands.replace(message.id.clone());
            chat.put(message);
            put_any = true;
        }
        set(&mut standing, step.node, stands);
    }
    let current = conversation
        .current_node
        .as_deref()
        .and_then(|key| places.get(key));
    if let Some(leaf) = current.and_then(|place| standing.get(*place).cloned().flatten()) {
        chat.chat.active_leaf = Some(leaf);
    }
    Ok(put_any)
}

fn set<T>(list: &mut [T], place: usize, value: T) {
    if let Some(slot) = list.get_mut(place) {
        *slot = value;
    }
}

/// A node that cannot be read, kept as it was.
fn broken(id: &str, json: &str) -> Result<Message, serde_json::Error> {
    let raw: Box<serde_json::value::RawValue> = serde_json::from_str(json)?;
    let part = Part::Unknown {
        label: String::new(),
        json: RawJson::from(raw),
    };
    Ok(Message {
        visibility: Visibility::Meta,
        parts: vec![part],
        ..Message::new(id, Role::System)
    })
}
