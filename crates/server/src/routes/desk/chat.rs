//! `/chats/{chat}`: one chat as its owner edits it: its name, messages, artifacts, and what was done to it.

use std::sync::Arc;

use axum::{
    extract::{Path, Query, State, rejection::QueryRejection},
    response::Response,
};
use readalong_model::{ChatId, Message, MessageId, Part, Role, Seq, Timestamp, Visibility};
use readalong_store::{Reader, StoreError, StoredMessage};
use serde::{Deserialize, Serialize};

use super::{OwnerVisitor, page};
use crate::{
    routes::{
        api::{
            artifacts::{self, ArtifactEntry},
            chats::ChatEntry,
            history::ChangeEntry,
        },
        errors, viewer,
    },
    service::Service,
};

/// Messages on a page.
const PAGE: u32 = 50;
/// Changes of the history on a page.
const CHANGES: usize = 30;
/// Characters of a message that are shown; editing has all of them.
const SHOWN_CHARS: usize = 2_000;

/// Characters that tell one thought or result from another.
const NAME_CHARS: usize = 80;

/// What is asked for; what cannot be read is not asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    /// Place of the first message.
    from: u32,
    /// A message that is to be on the page, in place of that.
    message: Option<String>,
    /// Only changes before this event.
    before: Option<Seq>,
}

#[derive(Serialize)]
struct Content {
    chat: ChatEntry,
    messages: Vec<Shown>,
    /// Place of the message that is asked for.
    wanted: Option<u32>,
    from: u32,
    previous: Option<u32>,
    next: Option<u32>,
    artifacts: Vec<ArtifactEntry>,
    changes: Vec<ChangeEntry>,
    /// Before which event there are more.
    earlier: Option<Seq>,
    /// There are newer ones.
    is_earlier: bool,
}

/// A message as the owner sees it.
#[derive(Serialize)]
struct Shown {
    id: MessageId,
    place: u32,
    seq: Seq,
    role: Role,
    at: Option<Timestamp>,
    edited: bool,
    hidden: bool,
    /// It is no part of what anybody is shown.
    never_shown: bool,
    /// How what it says begins.
    text: String,
    is_cut: bool,
    /// It says something that can be edited.
    can_edit: bool,
    /// What else it has: tool calls, pictures.
    others: Vec<Other>,
}

#[derive(Serialize)]
struct Other {
    kind: &'static str,
    name: String,
}

impl Shown {
    fn new(stored: StoredMessage) -> Self {
        let StoredMessage {
            place,
            seq,
            message,
            edited,
            hidden,
            ..
        } = stored;
        let mut shown = Self {
            place,
            seq,
            edited,
            hidden,
            never_shown: message.visibility == Visibility::Hidden && !hidden,
            role: message.role,
            at: message.at,
            text: String::new(),
            is_cut: false,
            can_edit: false,
            others: Vec::new(),
            id: message.id.clone(),
        };
        shown.add(&message);
        shown
    }

    fn add(&mut self, message: &Message) {
        for part in &message.parts {
            match part {
                Part::Text { markdown } => {
                    self.can_edit = true;
                    if !self.text.is_empty() {
                        self.text.push_str("\n\n");
                    }
                    self.text.push_str(markdown.trim());
                }
                other => self.others.push(Other::of(other)),
            }
        }
        if let Some((at, _)) = self.text.char_indices().nth(SHOWN_CHARS) {
            self.text.truncate(at);
            self.is_cut = true;
        }
    }
}

impl Other {
    fn of(part: &Part) -> Self {
        let (kind, name) = match part {
            Part::Text { .. } => ("text", String::new()),
            Part::Reasoning { markdown, .. } => ("reasoning", first_line(markdown)),
            Part::ToolCall(call) => ("call", call.name.clone()),
            Part::ToolResult { parts, .. } => {
                let said = parts.iter().find_map(|part| match part {
                    Part::Text { markdown } => Some(first_line(markdown)),
                    _ => None,
                });
                ("result", said.unwrap_or_default())
            }
            Part::Image { alt, .. } => ("image", alt.clone().unwrap_or_default()),
            Part::File { .. } => ("file", String::new()),
            Part::Source { title, .. } => ("source", title.clone()),
            Part::Notice { text, .. } => ("notice", text.clone()),
            Part::Unknown { label, .. } => ("unknown", label.clone()),
        };
        Self { kind, name }
    }
}

/// The first line of a text that says something, as far as it is shown.
fn first_line(text: &str) -> String {
    let mut lines = text.lines().map(str::trim);
    let line = lines.find(|line| !line.is_empty()).unwrap_or_default();
    line.chars().take(NAME_CHARS).collect()
}

/// Shows the page.
pub(crate) async fn show(
    State(service): State<Arc<Service>>,
    OwnerVisitor { visitor, owner }: OwnerVisitor,
    Path(chat): Path<String>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let (Ok(chat), Query(asked)) = (chat.parse::<ChatId>(), asked.unwrap_or_default()) else {
        return errors::gone();
    };
    let (id, before) = (chat.clone(), asked.before);
    let read = service.read(move |r| match r.chat_of(owner.id, &id)? {
        Some(record) => Ok(Some((
            record,
            messages(r, &id, &asked)?,
            r.history(&id, before, CHANGES as u32 + 1)?,
        ))),
        None => Ok(None),
    });
    let (record, (messages, from, wanted), mut history) = match read.await {
        Ok(Some(read)) => read,
        Ok(None) => return errors::gone(),
        Err(error) => return viewer::failed(&error),
    };
    let Ok(artifacts) = artifacts::of_chat(&service, chat).await else {
        return errors::failed();
    };
    let is_cut = history.len() > CHANGES;
    history.truncate(CHANGES);
    let content = Content {
        earlier: history.last().filter(|_| is_cut).map(|change| change.seq),
        is_earlier: before.is_some(),
        from,
        previous: (from > 0).then(|| from.saturating_sub(PAGE)),
        next: from.checked_add(PAGE).filter(|next| *next < record.places),
        messages,
        wanted,
        artifacts,
        changes: history.into_iter().map(ChangeEntry::from).collect(),
        chat: record.into(),
    };
    page(&service, &visitor, ("chat", "chats"), &content)
}

/// The messages that are asked for, the place of the first, and that of the one that is asked for by its id.
fn messages(
    reader: &Reader<'_>,
    chat: &ChatId,
    asked: &Asked,
) -> Result<(Vec<Shown>, u32, Option<u32>), StoreError> {
    let wanted = match &asked.message {
        Some(id) => reader.message_by_id(chat, &MessageId(id.clone()))?,
        None => None,
    };
    let wanted = wanted.map(|message| message.place);
    let from = wanted.map_or(asked.from, |place| place / PAGE * PAGE);
    let mut messages = Vec::new();
    reader.messages(chat, from..from.saturating_add(PAGE), &mut |stored| {
        if !stored.erased {
            messages.push(Shown::new(stored));
        }
    })?;
    Ok((messages, from, wanted))
}
