//! `attachment` records: files that the human named, prompts that came in the middle of a turn, and context that the program injected.
//!
//! Source: Sinity/polylogue (about 38 subtypes). What is not known here is injected context by nature and stays hidden.

use std::{borrow::Cow, io};

use readalong_model::{
    ArtifactId, ArtifactRole, Author, AuthorKind, Message, NoticeKind, Part, RawJson, Role,
    ThreadId, Visibility,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    ChatBuilder, ClaudeCode, Line, Node, Refusal, Surroundings, Taken, World, lenient, record,
};
use crate::anthropic_blocks::Content;

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Attachment<'a> {
    #[serde(borrow, rename = "type", deserialize_with = "lenient::text")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, deserialize_with = "lenient::text")]
    filename: Option<Cow<'a, str>>,
    #[serde(borrow, deserialize_with = "lenient::text")]
    display_path: Option<Cow<'a, str>>,
    #[serde(borrow)]
    prompt: Content<'a>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(deserialize_with = "lenient::flag")]
    truncated: bool,
}

/// The content of a file attachment.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Body<'a> {
    #[serde(borrow, deserialize_with = "record::object")]
    file: File<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct File<'a> {
    #[serde(borrow, deserialize_with = "lenient::text")]
    content: Option<Cow<'a, str>>,
    #[serde(borrow, deserialize_with = "lenient::text")]
    base64: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "type", deserialize_with = "lenient::text")]
    media_type: Option<Cow<'a, str>>,
}

/// Attachments that are files the human named.
const FILES: [&str; 5] = [
    "file",
    "already_read_file",
    "edited_image_file",
    "pdf_reference",
    "image",
];
/// Attachments whose text readers may want.
const TOLD: [&str; 3] = [
    "hook_system_message",
    "max_turns_reached",
    "hook_stopped_continuation",
];

impl ClaudeCode {
    pub(super) fn take_attachment(
        &mut self,
        line: &Line<'_>,
        json: &str,
        chat: &mut ChatBuilder,
        surroundings: &mut dyn Surroundings,
    ) -> Result<Taken, Refusal> {
        let parsed = line
            .attachment
            .map(|raw| serde_json::from_str::<Attachment<'_>>(raw.get()));
        let mut attachment = match parsed {
            Some(Ok(attachment)) => attachment,
            Some(Err(error)) if lenient::is_repairable(&error) => return Err(error.into()),
            _ => {
                chat.put_unknown(self.own_thread(), "attachment", json)?;
                return Ok(Taken::KeptRaw);
            }
        };
        attachment.prompt.parse()?;
        if line.uuid.as_deref().is_some_and(|uuid| self.tree.has(uuid)) {
            return Ok(Taken::Mapped);
        }
        let mut envelope = self.envelope(line, json, chat);
        if line.is_sidechain || line.stream_parent.is_some() {
            envelope.thread = self.thread_of(line, chat);
        }
        let (parent, first) = (self.tree.above(line.parent_uuid.as_deref()), chat.len());
        let kind = attachment.kind.as_deref().unwrap_or_default().to_owned();
        match kind.as_str() {
            "queued_command" if !attachment.prompt.is_unreadable() => {
                let prompt = std::mem::take(&mut attachment.prompt);
                let parts = prompt.read(
                    ArtifactRole::Uploaded,
                    &mut World {
                        chat,
                        surroundings,
                        calls: &mut self.calls,
                    },
                )?;
                self.take_user(line, parts, &envelope, chat, surroundings)?;
                let last = chat.len();
                if last > first {
                    let node = Node {
                        parent,
                        thread: envelope.thread,
                        first: first as u32,
                        last: last as u32 - 1,
                        begins: false,
                    };
                    self.tree.add(line.uuid.as_deref(), node);
                }
            }
            _ if FILES.contains(&kind.as_str())
                && (attachment.filename.is_some() || attachment.content.is_some()) =>
            {
                let artifact = add_file(&attachment, chat, surroundings)?;
                let is_image = chat
                    .chat
                    .artifacts
                    .get(artifact.0 as usize)
                    .is_some_and(|file| file.media_type.starts_with("image/"));
                let part = if is_image {
                    Part::Image {
                        artifact,
                        alt: None,
                    }
                } else {
                    Part::File { artifact }
                };
                match prompt_before(envelope.thread, chat) {
                    Some(place) => {
                        self.subagents.note_more(envelope.thread, place);
                        if let Some(prompt) = chat.message_at(place) {
                            prompt.parts.push(part);
                        }
                    }
                    None => {
                        let who = (Role::User, Visibility::Shown, Author::default());
                        self.put(&envelope, who, vec![part], chat);
                    }
                }
            }
            _ if TOLD.contains(&kind.as_str()) => {
                let text = attachment
                    .content
                    .and_then(|raw| lenient::text_of(raw).ok().flatten())
                    .unwrap_or(Cow::Borrowed(&kind));
                self.put_notice(
                    &envelope,
                    NoticeKind::Info,
                    text.into_owned(),
                    Visibility::Meta,
                    chat,
                );
            }
            _ => {
                let Some(raw) = line.attachment else {
                    return Ok(Taken::Mapped);
                };
                let author = Author {
                    kind: Some(AuthorKind::Harness),
                    ..Author::default()
                };
                let part = Part::Unknown {
                    label: kind,
                    json: RawJson::from(raw.to_owned()),
                };
                self.put(
                    &envelope,
                    (Role::System, Visibility::Hidden, author),
                    vec![part],
                    chat,
                );
            }
        }
        self.tree
            .pass(line.uuid.as_deref(), line.parent_uuid.as_deref());
        Ok(Taken::Mapped)
    }
}

/// The place of the prompt in which a file was named: the last message, hidden context aside.
fn prompt_before(thread: ThreadId, chat: &mut ChatBuilder) -> Option<usize> {
    let is_shown = |place: &usize| {
        chat.kind_at(*place)
            .is_some_and(|(_, visibility, _)| visibility != Visibility::Hidden)
    };
    let last = (0..chat.len()).rev().find(is_shown)?;
    let is_prompt = |message: &Message| message.role == Role::User && message.author.kind.is_none();
    let message = chat.peek_at(last)?;
    (is_prompt(message) && message.thread == thread).then_some(last)
}

fn add_file(
    attachment: &Attachment<'_>,
    chat: &mut ChatBuilder,
    surroundings: &mut dyn Surroundings,
) -> io::Result<ArtifactId> {
    let path = attachment
        .display_path
        .as_deref()
        .or(attachment.filename.as_deref())
        .unwrap_or_default();
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    let role = ArtifactRole::Uploaded;
    let body = attachment
        .content
        .and_then(|raw| lenient::object_of::<Body<'_>>(raw).ok().flatten())
        .unwrap_or_default()
        .file;
    let media_type = body.media_type.as_deref();
    match (body.base64, body.content) {
        (Some(data), _) => chat.add_base64(name, media_type, role, &data, surroundings),
        (None, Some(text)) if attachment.truncated => {
            chat.add_text_only(name, media_type, role, &text, surroundings)
        }
        (None, Some(text)) => {
            chat.add_artifact(name, media_type, role, text.as_bytes(), surroundings)
        }
        (None, None) => Ok(chat.add_missing(name, media_type, role)),
    }
}
