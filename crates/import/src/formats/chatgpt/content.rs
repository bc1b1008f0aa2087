//! One message of an export as a message of the chat: its content of every kind, who sees it, and what it calls or answers.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    io,
};

use readalong_model::{
    ArtifactRole, Author, AuthorKind, CallState, Message, NoticeKind, Part, RawJson, Role, Status,
    ToolCall, Visibility,
};
use serde_json::value::RawValue;

use super::{
    assets::{self, Assets, Hint},
    calls::{self, Context},
    citations::{self, Marks},
    wire::{AttachmentIn, ContentIn, MessageIn, Metadata, PartIn, PartMembers, WindowState},
};
use crate::{builder::ChatBuilder, formats::lenient, surroundings::Surroundings};

/// Links of this kind name files that the code interpreter made.
const SANDBOX: &str = "sandbox:/mnt/data/";
/// Files of that kind that one message can name.
const SANDBOX_LINKS_MAX: usize = 100;

/// What the product tells its model before the state of a tool's window.
const WINDOW_STATE: &str = "The latest state of the widget is: ";

/// What is at hand while a message is made.
pub(super) struct Making<'m> {
    pub(super) chat: &'m mut ChatBuilder,
    pub(super) assets: &'m mut Assets,
    pub(super) surroundings: &'m mut dyn Surroundings,
    pub(super) context: Context,
}

/// A message and what is known of it while its parts are made.
struct Piece<'a, 'm> {
    role: Role,
    marks: Marks<'m>,
    metadata: &'m Metadata<'a>,
    /// The files that were given with the message, by id.
    attachments: HashMap<&'m str, &'m AttachmentIn<'a>>,
    /// Ids of files that are in the message already.
    shown: HashSet<String>,
    /// Pictures that a tool drew.
    drawn: Vec<Part>,
}

impl Making<'_> {
    /// The messages of a node, each after the one before, without the parent of the first.
    pub(super) fn messages(
        &mut self,
        id: &str,
        source: &MessageIn<'_>,
    ) -> io::Result<Vec<Message>> {
        let (message, drawn) = self.message(id, source)?;
        let report = self.report(&message, source)?;
        // What was asked for is the answer, not the result of a call.
        let pictures = (!drawn.is_empty()).then(|| Message {
            at: message.at,
            visibility: visibility_of_drawn(&message, source),
            parts: drawn,
            ..Message::new(format!("{id}~drawn"), Role::Assistant)
        });
        let all = [Some(message), pictures, report];
        Ok(all.into_iter().flatten().collect())
    }

    /// The report that a tool's message holds as the state of its window, hidden or not: to a reader it is the answer.
    fn report(&mut self, message: &Message, source: &MessageIn<'_>) -> io::Result<Option<Message>> {
        let Some(state) = window_state(message.role, source) else {
            return Ok(None);
        };
        let state = serde_json::Deserializer::from_str(state).into_iter().next();
        let report = match state {
            Some(Ok(WindowState { report_message })) => report_message,
            Some(Err(_)) => {
                self.chat
                    .warn("what a tool's window showed could not be read");
                None
            }
            None => None,
        };
        let Some(report) = report else {
            return Ok(None);
        };
        let (mut report, _) = self.message(&format!("{}~report", message.id.0), &report)?;
        report.at = report.at.or(message.at);
        let text = format!("{:?}", report.parts);
        let is_new = self.context.report.as_deref() != Some(&text);
        let is_answer = report.role == Role::Assistant && report.visibility == Visibility::Shown;
        if !is_answer || !is_new || report.parts.is_empty() {
            return Ok(None);
        }
        self.context.report = Some(text.into());
        Ok(Some(report))
    }

    /// The message of a node, without its parent, and the pictures that a tool drew.
    fn message<'a>(
        &mut self,
        id: &str,
        source: &MessageIn<'a>,
    ) -> io::Result<(Message, Vec<Part>)> {
        let empty = Metadata::default();
        let metadata: &Metadata<'a> = source.metadata.as_ref().unwrap_or(&empty);
        let native_role = source
            .author
            .as_ref()
            .and_then(|author| author.role.as_deref())
            .unwrap_or("assistant");
        let role = match native_role {
            "user" => Role::User,
            "system" | "developer" | "critic" => Role::System,
            "tool" | "function" => Role::Tool,
            _ => Role::Assistant,
        };
        let mut message = Message::new(id, role);
        message.at = source.create_time;
        message.author = author_of(role, source, metadata);
        message.status = status_of(source, metadata);
        message.visibility = visibility_of(role, source, metadata);
        let mut piece = Piece {
            role,
            marks: Marks::of(metadata),
            metadata,
            // Of several with one id the first counts.
            attachments: (metadata.attachments.iter().rev())
                .filter_map(|attachment| Some((attachment.id.as_deref()?, attachment)))
                .collect(),
            shown: HashSet::new(),
            drawn: Vec::new(),
        };
        let recipient = source.recipient.as_deref().unwrap_or("all");
        if role == Role::Assistant && calls::is_tool(recipient) {
            message.parts = self.call(id, recipient, source.content.as_ref(), &mut piece)?;
            self.warn_of_marks(&piece);
            self.context.call = Some(id.into());
            return Ok((message, piece.drawn));
        }
        let mut parts = match &source.content {
            Some(content) => self.parts(content, &mut piece)?,
            None => Vec::new(),
        };
        if let Some(passage) = (metadata.targeted_reply.as_deref()).filter(|_| role == Role::User) {
            parts.insert(0, quotation(passage));
        }
        self.add_attachments(&mut parts, &mut piece)?;
        if role == Role::Assistant {
            self.add_sandbox_files(id, &mut parts)?;
        }
        self.warn_of_marks(&piece);
        parts.extend(
            citations::sources(metadata)
                .into_iter()
                .filter(|source| !parts.contains(source))
                .collect::<Vec<_>>(),
        );
        match role {
            Role::Tool => {
                self.add_run_pictures(&mut piece)?;
                let call_id = self.context.call.as_deref().unwrap_or(id).to_owned();
                message.parts.push(Part::ToolResult {
                    call_id,
                    is_error: is_error(source, metadata),
                    parts,
                });
            }
            _ => {
                let speaks = parts
                    .iter()
                    .any(|part| !matches!(part, Part::Reasoning { .. }));
                if message.visibility == Visibility::Shown && (role == Role::User || speaks) {
                    self.context.call = None;
                }
                message.parts = parts;
            }
        }
        Ok((message, piece.drawn))
    }

    fn warn_of_marks(&mut self, piece: &Piece<'_, '_>) {
        if piece.marks.left_out() {
            let what = "a message cites a source too often; some of these links are left out";
            self.chat.warn(what);
        }
    }

    /// A call: what the model says to the tool is its input.
    fn call<'a>(
        &mut self,
        id: &str,
        tool: &str,
        content: Option<&ContentIn<'a>>,
        piece: &mut Piece<'a, '_>,
    ) -> io::Result<Vec<Part>> {
        let (mut input, mut others) = (String::new(), Vec::new());
        if let Some(content) = content {
            let texts = content.parts.iter().filter_map(|part| match part {
                PartIn::Text(text) => Some(text.as_ref()),
                _ => None,
            });
            match (content.members.text.as_deref(), content.kind()) {
                (Some(text), _) => text.clone_into(&mut input),
                (None, "text" | "multimodal_text") => input = texts.collect::<Vec<_>>().join("\n"),
                _ => others = self.parts(content, piece)?,
            }
            for part in content
                .parts
                .iter()
                .filter(|part| !matches!(part, PartIn::Text(_)))
            {
                self.push_part(part, piece, &mut others)?;
            }
        }
        let (action, input) = calls::action_of(tool, &citations::clean(&input), &mut self.context);
        let call = ToolCall {
            call_id: id.to_owned(),
            name: calls::name_of(tool).to_owned(),
            action,
            input,
            state: CallState::NoResult,
        };
        others.push(Part::ToolCall(call));
        Ok(others)
    }

    /// The parts of content of any kind.
    fn parts<'a>(
        &mut self,
        content: &ContentIn<'a>,
        piece: &mut Piece<'a, '_>,
    ) -> io::Result<Vec<Part>> {
        let members = &content.members;
        let mut parts = Vec::new();
        match content.kind() {
            "text" | "multimodal_text" => {
                for part in &content.parts {
                    self.push_part(part, piece, &mut parts)?;
                }
                parts.extend(text(&members.text, &piece.marks));
            }
            "code" => {
                let language = members
                    .language
                    .as_deref()
                    .filter(|language| *language != "unknown")
                    .unwrap_or_default();
                parts.extend(
                    members
                        .text
                        .as_deref()
                        .filter(|code| !code.is_empty())
                        .map(|code| fenced(language, code)),
                );
            }
            "execution_output"
            | "tether_browsing_code"
            | "citable_code_output"
            | "tether_browsing_display" => {
                let texts = [
                    &members.text,
                    &members.output_str,
                    &members.result,
                    &members.summary,
                ];
                let mut found: Vec<Part> = texts
                    .into_iter()
                    .flat_map(|member| text(member, &piece.marks))
                    .collect();
                found.dedup();
                parts.extend(found);
                for part in &content.parts {
                    self.push_part(part, piece, &mut parts)?;
                }
            }
            "tether_quote" | "sonic_webpage" => parts.push(page(content)),
            "user_editable_context" => {
                let profile = [&members.user_profile, &members.user_instructions];
                parts.extend(
                    profile
                        .into_iter()
                        .flat_map(|member| text(member, &piece.marks)),
                );
            }
            "model_editable_context" => {
                parts.extend(text(&members.model_set_context, &piece.marks))
            }
            "thoughts" => {
                let thoughts = members.thoughts.iter();
                parts.extend(thoughts.filter_map(|thought| {
                    thought_of(thought.summary.as_deref(), thought.content.as_deref())
                }));
            }
            "reasoning_recap" => {
                let seconds = piece
                    .metadata
                    .finished_duration_sec
                    .filter(|seconds| (0.0..1e9).contains(seconds));
                let markdown = members
                    .content
                    .as_deref()
                    .map(citations::clean)
                    .unwrap_or_default()
                    .into_owned();
                parts.push(Part::Reasoning {
                    markdown,
                    duration_ms: seconds.map(|seconds| (seconds * 1000.0).round() as u64),
                });
            }
            "computer_output" => {
                if let Some(screenshot) = &members.screenshot {
                    self.push_pointer(screenshot, piece, &mut parts)?;
                }
                let state = members.state.filter(|state| state.get() != "null");
                parts.extend(state.map(|state| unknown("state", state)));
            }
            "system_error" => {
                let words: Vec<&str> = [&members.name, &members.text]
                    .into_iter()
                    .flatten()
                    .map(Cow::as_ref)
                    .collect();
                let text = citations::clean(&words.join(": ")).into_owned();
                parts.push(if piece.role == Role::Tool {
                    Part::Text { markdown: text }
                } else {
                    Part::Notice {
                        kind: NoticeKind::Error,
                        text,
                    }
                });
            }
            _ if content.raw.get() == "null" => {}
            other => parts.push(unknown(other, content.raw)),
        }
        // A known kind in an unknown shape is kept as it is rather than lost.
        if parts.is_empty() && content.is_odd() {
            parts.push(unknown(content.kind(), content.raw));
        }
        Ok(parts)
    }

    fn push_part<'a>(
        &mut self,
        part: &PartIn<'a>,
        piece: &mut Piece<'a, '_>,
        parts: &mut Vec<Part>,
    ) -> io::Result<()> {
        let (raw, members) = match part {
            PartIn::Text(text) => {
                let markdown = piece.marks.replace(text).into_owned();
                parts.extend((!markdown.is_empty()).then_some(Part::Text { markdown }));
                return Ok(());
            }
            PartIn::Object(raw, members) => (*raw, members),
            PartIn::Other(raw) => {
                parts.extend((raw.get() != "null").then(|| unknown("", raw)));
                return Ok(());
            }
        };
        match members.content_type.as_deref().unwrap_or_default() {
            "image_asset_pointer" | "audio_asset_pointer" | "video_container_asset_pointer"
                if members.asset_pointer.is_some() =>
            {
                self.push_pointer(members, piece, parts)?;
            }
            "audio_transcription" | "text" if members.text.is_some() => {
                parts.extend(text(&members.text, &piece.marks))
            }
            "real_time_user_audio_video_asset_pointer" => {
                let single = [
                    members.audio_asset_pointer,
                    members.video_container_asset_pointer,
                ]
                .into_iter()
                .flatten();
                let before = parts.len();
                for raw in single.chain(members.frames_asset_pointers.iter().copied()) {
                    self.push_raw_pointer(raw, piece, parts)?;
                }
                if parts.len() == before {
                    parts.push(unknown("real_time_user_audio_video_asset_pointer", raw));
                }
            }
            other => parts.push(unknown(other, raw)),
        }
        Ok(())
    }

    /// A pointer that is an object of its own or only its address.
    fn push_raw_pointer(
        &mut self,
        raw: &RawValue,
        piece: &mut Piece<'_, '_>,
        parts: &mut Vec<Part>,
    ) -> io::Result<()> {
        match (
            lenient::object_of::<PartMembers<'_>>(raw),
            lenient::text_of(raw),
        ) {
            (Ok(Some(members)), _) if members.asset_pointer.is_some() => {
                self.push_pointer(&members, piece, parts)
            }
            (_, Ok(Some(pointer))) => {
                parts.push(self.asset(&pointer, None, piece)?);
                Ok(())
            }
            _ if raw.get() == "null" => Ok(()),
            _ => {
                parts.push(unknown("asset_pointer", raw));
                Ok(())
            }
        }
    }

    fn push_pointer(
        &mut self,
        members: &PartMembers<'_>,
        piece: &mut Piece<'_, '_>,
        parts: &mut Vec<Part>,
    ) -> io::Result<()> {
        let Some(pointer) = members.asset_pointer.as_deref() else {
            return Ok(());
        };
        let prompt = members
            .metadata
            .as_ref()
            .and_then(|metadata| metadata.dalle.as_ref())
            .and_then(|dalle| dalle.prompt.as_deref());
        let is_image = !members
            .content_type
            .as_deref()
            .is_some_and(|kind| kind.starts_with("audio") || kind.starts_with("video"));
        let alt = is_image.then(|| {
            prompt
                .filter(|prompt| !prompt.is_empty())
                .map(|prompt| citations::clean(prompt).into_owned())
        });
        let part = self.asset(pointer, alt, piece)?;
        if piece.role == Role::Tool && members.is_drawn() {
            piece.drawn.push(part);
        } else {
            parts.push(part);
        }
        Ok(())
    }

    /// A file by its pointer: a picture where `alt` says so, else by what its bytes are.
    fn asset(
        &mut self,
        pointer: &str,
        alt: Option<Option<String>>,
        piece: &mut Piece<'_, '_>,
    ) -> io::Result<Part> {
        let id = assets::id_in(pointer);
        let attachment = piece.attachments.get(id).copied();
        let hint = Hint {
            name: attachment.and_then(|attachment| attachment.name.as_deref()),
            media_type: attachment.and_then(media_type),
            role: artifact_role(piece.role),
        };
        let artifact = self.assets.add(id, hint, self.chat, self.surroundings)?;
        piece.shown.insert(id.to_owned());
        Ok(match alt {
            Some(alt) => Part::Image { artifact, alt },
            None => self.file_part(artifact),
        })
    }

    fn file_part(&self, artifact: readalong_model::ArtifactId) -> Part {
        let kept = self.chat.chat.artifacts.get(artifact.0 as usize);
        match kept.is_some_and(|kept| kept.media_type.starts_with("image/")) {
            true => Part::Image {
                artifact,
                alt: None,
            },
            false => Part::File { artifact },
        }
    }

    /// Files that were given with a message and are not in it yet.
    fn add_attachments(
        &mut self,
        parts: &mut Vec<Part>,
        piece: &mut Piece<'_, '_>,
    ) -> io::Result<()> {
        for attachment in &piece.metadata.attachments {
            let id = attachment.id.as_deref().unwrap_or_default();
            if piece.shown.contains(id) || (id.is_empty() && attachment.name.is_none()) {
                continue;
            }
            let hint = Hint {
                name: attachment.name.as_deref(),
                media_type: media_type(attachment),
                role: artifact_role(piece.role),
            };
            let artifact = self.assets.add(id, hint, self.chat, self.surroundings)?;
            parts.push(self.file_part(artifact));
            piece.shown.insert(id.to_owned());
        }
        Ok(())
    }

    /// Files that the text links to and the code interpreter made.
    fn add_sandbox_files(&mut self, message_id: &str, parts: &mut Vec<Part>) -> io::Result<()> {
        let mut names: Vec<String> = Vec::new();
        for part in parts.iter() {
            let Part::Text { markdown } = part else {
                continue;
            };
            for rest in markdown.split(SANDBOX).skip(1).take(SANDBOX_LINKS_MAX) {
                let name = rest
                    .split([')', '"', '\'', '>', '`', '\n', '\r', ']'])
                    .next()
                    .unwrap_or_default()
                    .trim_end_matches(['.', ',']);
                let name = name.replace("%20", " ");
                if !name.is_empty() && names.len() < SANDBOX_LINKS_MAX && !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        for name in names {
            let base = name.rsplit('/').next().unwrap_or(&name);
            let id = self
                .assets
                .sandbox_id(base, message_id, self.surroundings)?;
            let hint = Hint {
                name: Some(base),
                media_type: None,
                role: ArtifactRole::Produced,
            };
            let artifact = self.assets.add(
                id.as_deref().unwrap_or_default(),
                hint,
                self.chat,
                self.surroundings,
            )?;
            parts.push(self.file_part(artifact));
        }
        Ok(())
    }

    /// Pictures that a run of the code interpreter drew.
    fn add_run_pictures(&mut self, piece: &mut Piece<'_, '_>) -> io::Result<()> {
        let Some(run) = &piece.metadata.aggregate_result else {
            return Ok(());
        };
        for drawn in run
            .messages
            .iter()
            .filter(|message| message.message_type.as_deref() == Some("image"))
        {
            let Some(pointer) = drawn.image_url.as_deref() else {
                continue;
            };
            if !piece.shown.contains(assets::id_in(pointer)) {
                let picture = self.asset(pointer, Some(None), piece)?;
                piece.drawn.push(picture);
            }
        }
        Ok(())
    }
}

impl ContentIn<'_> {
    /// What kind of content it is; plain text where it does not say.
    fn kind(&self) -> &str {
        match self.members.content_type.as_deref() {
            Some(kind) => kind,
            None if !self.parts.is_empty() || self.members.text.is_some() => "text",
            None => "",
        }
    }

    /// True where a member that should be a text is something else, so that nothing of it could be read.
    fn is_odd(&self) -> bool {
        let Ok(Some(lenient::Members(members))) = lenient::object_of(self.raw) else {
            return self.raw.get() != "null";
        };
        let is_filled =
            |raw: &RawValue| raw.get().starts_with(['{', '[']) && !matches!(raw.get(), "{}" | "[]");
        members
            .iter()
            .any(|(key, raw)| !matches!(key.as_ref(), "parts" | "thoughts") && is_filled(raw))
    }
}

/// What the window of a tool shows, as JSON: beside the tool's message, or told to the model as its text.
fn window_state<'m>(role: Role, source: &'m MessageIn<'_>) -> Option<&'m str> {
    let metadata = source.metadata.as_ref().filter(|_| role == Role::Tool)?;
    let window = metadata.chatgpt_sdk.as_ref();
    let beside = window.and_then(|window| window.widget_state.as_deref());
    let mut parts = source.content.iter().flat_map(|content| &content.parts);
    beside.or_else(|| {
        parts.find_map(|part| match part {
            PartIn::Text(text) => text.strip_prefix(WINDOW_STATE),
            _ => None,
        })
    })
}

fn author_of(role: Role, source: &MessageIn<'_>, metadata: &Metadata<'_>) -> Author {
    let kind = match role {
        Role::User | Role::Assistant => None,
        Role::System => Some(AuthorKind::Harness),
        Role::Tool => Some(AuthorKind::Tool),
    };
    let name = source
        .author
        .as_ref()
        .and_then(|author| author.name.as_deref())
        .filter(|name| !name.is_empty());
    let model = metadata
        .model_slug
        .as_deref()
        .filter(|model| role == Role::Assistant && !model.is_empty());
    Author {
        kind,
        name: name.map(str::to_owned),
        model: model.map(str::to_owned),
    }
}

fn status_of(source: &MessageIn<'_>, metadata: &Metadata<'_>) -> Status {
    let interrupted = metadata
        .finish_details
        .as_ref()
        .and_then(|details| details.kind.as_deref())
        == Some("interrupted");
    match source.status.as_deref() {
        _ if interrupted => Status::Aborted,
        Some("in_progress") => Status::Partial,
        Some("finished_partial_completion") => Status::Aborted,
        _ => Status::Complete,
    }
}

/// Hidden is what the product hides, and messages that are out of the context.
fn visibility_of(role: Role, source: &MessageIn<'_>, metadata: &Metadata<'_>) -> Visibility {
    match is_hidden(role, source, metadata) || source.weight == Some(0.0) {
        true => Visibility::Hidden,
        false => Visibility::Shown,
    }
}

/// A picture that was drawn is out of the context and shown; what stands beside it is for the model.
fn visibility_of_drawn(message: &Message, source: &MessageIn<'_>) -> Visibility {
    let mut parts = source.content.iter().flat_map(|content| &content.parts);
    let empty = Metadata::default();
    let metadata = source.metadata.as_ref().unwrap_or(&empty);
    match parts.any(PartIn::is_drawn) && !is_hidden(message.role, source, metadata) {
        true => Visibility::Shown,
        false => message.visibility,
    }
}

/// True for the product's own instructions, the owner's profile and other windows.
fn is_hidden(role: Role, source: &MessageIn<'_>, metadata: &Metadata<'_>) -> bool {
    let kind = source.content.as_ref().map_or("", ContentIn::kind);
    let context = matches!(
        kind,
        "user_editable_context" | "model_editable_context" | "app_pairing_content"
    );
    let flagged = metadata.is_visually_hidden_from_conversation || metadata.is_user_system_message;
    let instructions = match role {
        Role::System => kind != "system_error",
        Role::Tool => matches!(
            metadata.command.as_deref(),
            Some("prompt" | "context_stuff")
        ),
        _ => false,
    };
    context || flagged || instructions
}

fn is_error(source: &MessageIn<'_>, metadata: &Metadata<'_>) -> bool {
    let failed = metadata
        .aggregate_result
        .as_ref()
        .and_then(|run| run.status.as_deref())
        .is_some_and(|status| status.starts_with("failed"));
    failed
        || source
            .content
            .as_ref()
            .is_some_and(|content| content.kind() == "system_error")
}

fn text(member: &Option<Cow<'_, str>>, marks: &Marks<'_>) -> Option<Part> {
    let text = member.as_deref().filter(|text| !text.is_empty())?;
    Some(Part::Text {
        markdown: marks.replace(text).into_owned(),
    })
}

fn thought_of(summary: Option<&str>, content: Option<&str>) -> Option<Part> {
    let summary = summary
        .filter(|summary| !summary.trim().is_empty())
        .map(|summary| format!("**{}**", citations::clean(summary)));
    let content = content
        .filter(|content| !content.trim().is_empty())
        .map(|content| citations::clean(content).into_owned());
    let paragraphs: Vec<String> = summary.into_iter().chain(content).collect();
    (!paragraphs.is_empty()).then(|| Part::Reasoning {
        markdown: paragraphs.join("\n\n"),
        duration_ms: None,
    })
}

/// A page that a tool looked at.
fn page(content: &ContentIn<'_>) -> Part {
    let members = &content.members;
    let url = members
        .url
        .as_deref()
        .filter(|url| url.starts_with("http://") || url.starts_with("https://"));
    let titles = [
        members.title.as_deref(),
        members.domain.as_deref(),
        members.url.as_deref(),
    ];
    let title = titles
        .into_iter()
        .flatten()
        .find(|title| !title.trim().is_empty())
        .unwrap_or("page");
    let excerpt = members
        .text
        .as_deref()
        .filter(|text| !text.is_empty())
        .or(members.snippet.as_deref());
    let excerpt = excerpt.map(|excerpt| citations::clean(excerpt).into_owned());
    Part::Source {
        title: citations::clean(title).into_owned(),
        url: url.map(str::to_owned),
        excerpt,
    }
}

fn quotation(passage: &str) -> Part {
    let passage = citations::clean(passage);
    let lines: Vec<String> = passage
        .trim()
        .lines()
        .map(|line| format!("> {line}"))
        .collect();
    Part::Text {
        markdown: lines.join("\n"),
    }
}

/// Code in a fence that is longer than any in it.
fn fenced(language: &str, code: &str) -> Part {
    let mut ticks = 3;
    for run in code.split(|c| c != '`') {
        ticks = ticks.max(run.len() + 1);
    }
    let fence = "`".repeat(ticks);
    let language: String = language
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '#'))
        .collect();
    Part::Text {
        markdown: format!(
            "{fence}{language}\n{}\n{fence}",
            citations::clean(code).trim_end_matches('\n')
        ),
    }
}

fn unknown(label: &str, raw: &RawValue) -> Part {
    Part::Unknown {
        label: label.to_owned(),
        json: RawJson::from(raw.to_owned()),
    }
}

fn media_type<'a>(attachment: &'a AttachmentIn<'_>) -> Option<&'a str> {
    attachment
        .mime_type
        .as_deref()
        .or(attachment.mime_type_new.as_deref())
}

fn artifact_role(role: Role) -> ArtifactRole {
    match role {
        Role::User | Role::System => ArtifactRole::Uploaded,
        Role::Assistant => ArtifactRole::Produced,
        Role::Tool => ArtifactRole::ToolOutput,
    }
}
