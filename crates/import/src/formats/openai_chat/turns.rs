//! Turns of plain message lists (role, text, media, calls) into the messages of a chat: shared by the formats that are such lists.
//!
//! A format first makes [`Turn`]s of a record, which may fail and changes nothing, and then puts them into the chat, which cannot fail
//! but for the keeping of artifacts.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet, VecDeque},
    io,
};

use readalong_model::{
    Action, ArtifactId, ArtifactRole, Author, AuthorKind, CallState, Message, Part, RawJson, Role,
    Timestamp, ToolCall, Visibility,
};
use serde_json::{Map, Value, value::RawValue};

use crate::{
    builder::{ChatBuilder, decode_base64, is_data_url, is_web_url},
    formats::{claude_code::words, lenient},
    surroundings::Surroundings,
};

/// The longest path of a file beside the transcript that is followed.
const PATH_BYTES_MAX: usize = 1024;
/// Calls that wait for an answer without a call's id; older ones are given up, so that a hostile list stays cheap.
const OPEN_CALLS_MAX: usize = 256;

/// One turn as a record tells it.
pub(in crate::formats) struct Turn<'a> {
    pub(in crate::formats) role: Role,
    pub(in crate::formats) id: Option<Cow<'a, str>>,
    pub(in crate::formats) name: Option<Cow<'a, str>>,
    pub(in crate::formats) model: Option<Cow<'a, str>>,
    pub(in crate::formats) at: Option<Timestamp>,
    pub(in crate::formats) visibility: Visibility,
    /// The call that a tool's turn answers, as the transcript names it.
    pub(in crate::formats) answers: Option<Cow<'a, str>>,
    pub(in crate::formats) pieces: Vec<Piece<'a>>,
    /// The record itself: what an id is made of where there is none.
    pub(in crate::formats) raw: &'a str,
    /// True where files that are left over after this turn belong to it.
    takes_the_rest: bool,
}

/// A piece of a turn.
pub(in crate::formats) enum Piece<'a> {
    Text(Cow<'a, str>),
    Reasoning(Cow<'a, str>),
    Call {
        id: Option<Cow<'a, str>>,
        name: Cow<'a, str>,
        input: Input<'a>,
    },
    Media(Media<'a>),
    Source {
        title: Option<Cow<'a, str>>,
        url: Option<Cow<'a, str>>,
    },
    Unknown {
        label: String,
        json: &'a RawValue,
    },
}

/// What a tool was given.
pub(in crate::formats) enum Input<'a> {
    Json(&'a RawValue),
    /// JSON in a string, or any other text.
    Text(Cow<'a, str>),
}

/// A picture, sound, video or other file.
pub(in crate::formats) struct Media<'a> {
    pub(in crate::formats) kind: MediaKind,
    pub(in crate::formats) name: Option<Cow<'a, str>>,
    pub(in crate::formats) media_type: Option<String>,
    pub(in crate::formats) content: MediaContent<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::formats) enum MediaKind {
    Image,
    Audio,
    Video,
    File,
}

pub(in crate::formats) enum MediaContent<'a> {
    /// A `data:` URL, a web address or a path beside the transcript.
    Location(Cow<'a, str>),
    Base64(Cow<'a, str>),
    /// Only its name or id is known.
    Nothing,
}

/// Files that a record lists beside its turns; each `<image>` (`<video>`, `<audio>`) in a text stands for the next one.
#[derive(Default)]
pub(in crate::formats) struct Listed<'a> {
    images: VecDeque<Cow<'a, str>>,
    videos: VecDeque<Cow<'a, str>>,
    audios: VecDeque<Cow<'a, str>>,
}

/// What of the turns before matters for the next one.
#[derive(Default)]
pub(in crate::formats) struct Turns {
    /// Ids of calls as the transcript names them, and what they are called in the chat.
    calls: HashMap<String, String>,
    /// Calls without an answer since the last prompt: tool name and id in the chat.
    open: VecDeque<(String, String)>,
    used: HashSet<String>,
}

impl<'a> Turn<'a> {
    /// A turn without content.
    pub(in crate::formats) fn new(role: Role, raw: &'a str) -> Self {
        let visibility = if role == Role::System {
            Visibility::Hidden
        } else {
            Visibility::Shown
        };
        Self {
            role,
            id: None,
            name: None,
            model: None,
            at: None,
            visibility,
            answers: None,
            pieces: Vec::new(),
            raw,
            takes_the_rest: false,
        }
    }

    /// Something in the place of a turn that is none.
    pub(in crate::formats) fn unknown(json: &'a RawValue) -> Self {
        let piece = Piece::Unknown {
            label: String::new(),
            json,
        };
        Self {
            visibility: Visibility::Meta,
            pieces: vec![piece],
            ..Self::new(Role::System, json.get())
        }
    }

    /// Adds a text, and the thoughts at its beginning as thoughts where a model writes them in `<think>`. Templates of some models end with
    /// that tag, so that the text begins with the thoughts themselves and has a line with the other tag behind them.
    pub(in crate::formats) fn push_text(&mut self, text: Cow<'a, str>) {
        let thought = match (self.role, text.trim_start().strip_prefix("<think>")) {
            (Role::Assistant, Some(rest)) => rest.split_once("</think>"),
            (Role::Assistant, None) if self.pieces.is_empty() => closed_thought(&text),
            _ => None,
        };
        let Some((thought, rest)) = thought else {
            return self.pieces.push(Piece::Text(text));
        };
        let (thought, rest) = (thought.trim().to_owned(), rest.trim_start().to_owned());
        self.pieces.push(Piece::Reasoning(thought.into()));
        self.pieces.push(Piece::Text(rest.into()));
    }
}

/// The thoughts that a text begins with, and what follows the line that closes them. A block of code only quotes such a line.
fn closed_thought(text: &str) -> Option<(&str, &str)> {
    let (mut at, mut is_code) = (0, false);
    for line in text.split_inclusive('\n') {
        let (thought, rest) = text.split_at(at);
        at += line.len();
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code && line.trim_end() == "</think>" && !thought.is_empty() {
            return (!thought.contains("<think>")).then_some((thought, &rest[line.len()..]));
        }
    }
    None
}

impl<'a> Listed<'a> {
    pub(in crate::formats) fn new(
        images: &[&'a RawValue],
        videos: &[&'a RawValue],
        audios: &[&'a RawValue],
    ) -> Result<Self, serde_json::Error> {
        let queue = |list: &[&'a RawValue]| -> Result<VecDeque<Cow<'a, str>>, serde_json::Error> {
            let mut texts = VecDeque::new();
            for raw in list {
                texts.extend(location_of(raw)?);
            }
            Ok(texts)
        };
        Ok(Self {
            images: queue(images)?,
            videos: queue(videos)?,
            audios: queue(audios)?,
        })
    }

    fn next(&mut self, kind: MediaKind) -> Option<Media<'a>> {
        let location = match kind {
            MediaKind::Image => self.images.pop_front(),
            MediaKind::Video => self.videos.pop_front(),
            MediaKind::Audio | MediaKind::File => self.audios.pop_front(),
        };
        location.map(|location| Media::at(kind, location))
    }

    fn is_empty(&self) -> bool {
        self.images.is_empty() && self.videos.is_empty() && self.audios.is_empty()
    }

    /// All that no text stands for, as pieces.
    pub(in crate::formats) fn take_all(&mut self) -> Vec<Piece<'a>> {
        let kinds = [MediaKind::Image, MediaKind::Video, MediaKind::Audio];
        kinds
            .into_iter()
            .flat_map(|kind| std::iter::from_fn(|| self.next(kind)).collect::<Vec<_>>())
            .map(Piece::Media)
            .collect()
    }

    /// Replaces the tokens of a text by the files they stand for, as long as there are any.
    fn split(&mut self, text: Cow<'a, str>, out: &mut Vec<Piece<'a>>) {
        let mut rest: &str = &text;
        let mut found = false;
        while let Some((before, kind, after)) = next_token(rest).filter(|_| !self.is_empty()) {
            let Some(media) = self.next(kind) else { break };
            found = true;
            if !before.trim().is_empty() {
                out.push(Piece::Text(Cow::Owned(before.to_owned())));
            }
            out.push(Piece::Media(media));
            rest = after;
        }
        match found {
            false => out.push(Piece::Text(text)),
            true if rest.trim().is_empty() => {}
            true => out.push(Piece::Text(Cow::Owned(rest.to_owned()))),
        }
    }
}

/// Where a listed file is: a string, or an object that says so (`path`, `url` or inline `bytes`, which are left out).
fn location_of(raw: &RawValue) -> Result<Option<Cow<'_, str>>, serde_json::Error> {
    if let Some(text) = lenient::text_of(raw)? {
        return Ok(Some(text));
    }
    let Some(lenient::Members(members)) = lenient::object_of(raw)? else {
        return Ok(None);
    };
    match members
        .iter()
        .find(|(key, _)| matches!(key.as_ref(), "path" | "url" | "image"))
    {
        Some((_, value)) => lenient::text_of(value),
        None => Ok(None),
    }
}

/// True where a text of the turns has a place for a listed file.
fn any_token(turns: &[Turn<'_>]) -> bool {
    let has = |piece: &Piece<'_>| matches!(piece, Piece::Text(text) if next_token(text).is_some());
    turns.iter().any(|turn| turn.pieces.iter().any(has))
}

fn next_token(text: &str) -> Option<(&str, MediaKind, &str)> {
    let tokens = [
        ("<image>", MediaKind::Image),
        ("<video>", MediaKind::Video),
        ("<audio>", MediaKind::Audio),
    ];
    // Only as far as the first of them, whichever it is: each text is gone through once.
    text.match_indices('<').find_map(|(at, _)| {
        let (before, rest) = text.split_at_checked(at)?;
        let (after, kind) = tokens
            .into_iter()
            .find_map(|(token, kind)| Some((rest.strip_prefix(token)?, kind)))?;
        Some((before, kind, after))
    })
}

impl<'a> Media<'a> {
    /// What lies there.
    pub(in crate::formats) fn at(kind: MediaKind, location: Cow<'a, str>) -> Self {
        Self {
            kind,
            name: None,
            media_type: None,
            content: MediaContent::Location(location),
        }
    }
}

impl Turns {
    /// Puts the turns of a record. Files that no text has a place for belong to the first prompt, those that are left over to the last turn.
    pub(in crate::formats) fn put_all<'a>(
        &mut self,
        mut turns: Vec<Turn<'a>>,
        mut listed: Listed<'a>,
        chat: &mut ChatBuilder,
        surroundings: &mut dyn Surroundings,
    ) -> io::Result<()> {
        if !any_token(&turns) {
            let first = turns
                .iter()
                .position(|turn| turn.role == Role::User)
                .unwrap_or(0);
            if let Some(turn) = turns.get_mut(first) {
                turn.pieces.extend(listed.take_all());
            }
        }
        if let Some(last) = turns.last_mut() {
            last.takes_the_rest = true;
        }
        turns
            .into_iter()
            .try_for_each(|turn| self.put(turn, &mut listed, chat, surroundings))
    }

    fn put<'a>(
        &mut self,
        turn: Turn<'a>,
        listed: &mut Listed<'a>,
        chat: &mut ChatBuilder,
        surroundings: &mut dyn Surroundings,
    ) -> io::Result<()> {
        let native = turn.id.as_deref();
        let id = native
            .filter(|id| !id.is_empty() && !chat.has(id))
            .map_or_else(|| chat.id_by_position(turn.raw.as_bytes()), str::to_owned);
        let mut message = Message::new(id, turn.role);
        message.visibility = turn.visibility;
        message.at = turn.at;
        message.author = author_of(turn.role, turn.name.as_deref(), turn.model.as_deref());
        let mut pieces = Vec::new();
        for piece in turn.pieces {
            match piece {
                Piece::Text(text) if !listed.is_empty() => listed.split(text, &mut pieces),
                piece => pieces.push(piece),
            }
        }
        if turn.takes_the_rest {
            pieces.extend(listed.take_all());
        }
        let mut parts = Vec::new();
        for piece in pieces {
            parts.extend(self.part(piece, &message, chat, surroundings)?);
        }
        match turn.role {
            Role::Tool => {
                let call_id = self
                    .answered(turn.answers.as_deref(), turn.name.as_deref())
                    .unwrap_or_else(|| message.id.0.clone());
                message.parts.push(Part::ToolResult {
                    call_id,
                    parts,
                    is_error: false,
                });
            }
            role => {
                if role == Role::User {
                    self.open.clear();
                }
                message.parts = parts;
            }
        }
        let injected = match message.role {
            Role::User | Role::Tool => words::take_injected(&mut message.parts),
            _ => Vec::new(),
        };
        if chat.grow_newest(turn.id.as_deref(), message.role, &mut message.parts) {
            return Ok(());
        }
        let is_said = !message.parts.is_empty() || injected.is_empty();
        if !injected.is_empty() {
            chat.put_injected(format!("{}~injected", message.id.0), message.at, injected);
        }
        if is_said {
            chat.put_next(message);
        }
        Ok(())
    }

    fn part(
        &mut self,
        piece: Piece<'_>,
        message: &Message,
        chat: &mut ChatBuilder,
        surroundings: &mut dyn Surroundings,
    ) -> io::Result<Option<Part>> {
        Ok(match piece {
            Piece::Text(text) => Some(text.into_owned())
                .filter(|text| !text.is_empty())
                .map(|markdown| Part::Text { markdown }),
            Piece::Reasoning(text) if text.trim().is_empty() => None,
            Piece::Reasoning(text) => Some(Part::Reasoning {
                markdown: text.into_owned(),
                duration_ms: None,
            }),
            Piece::Call { id, name, input } => Some(Part::ToolCall(self.call(
                id.as_deref(),
                &name,
                &input,
                chat,
            ))),
            Piece::Media(media) => {
                let alone = media.kind == MediaKind::Image;
                let artifact = keep(media, message.role, chat, surroundings)?;
                Some(if alone {
                    Part::Image {
                        artifact,
                        alt: None,
                    }
                } else {
                    Part::File { artifact }
                })
            }
            Piece::Source { title, url } => {
                let title = title
                    .or_else(|| url.clone())
                    .filter(|title| !title.is_empty());
                title.map(|title| Part::Source {
                    title: title.into_owned(),
                    url: url.map(Cow::into_owned),
                    excerpt: None,
                })
            }
            Piece::Unknown { label, json } => Some(Part::Unknown {
                label,
                json: RawJson::from(json.to_owned()),
            }),
        })
    }

    fn call(
        &mut self,
        native: Option<&str>,
        name: &str,
        input: &Input<'_>,
        chat: &ChatBuilder,
    ) -> ToolCall {
        let native = native.filter(|id| !id.is_empty());
        let position = || format!("{}-{}", chat.len(), self.used.len());
        let call_id = match native {
            Some(id) if !self.used.contains(id) => id.to_owned(),
            Some(id) => format!("{id}#{}", position()),
            None => format!("call-{}", position()),
        };
        self.used.insert(call_id.clone());
        if let Some(id) = native {
            self.calls.insert(id.to_owned(), call_id.clone());
        }
        if self.open.len() >= OPEN_CALLS_MAX {
            self.open.pop_front();
        }
        self.open.push_back((name.to_owned(), call_id.clone()));
        let (action, input) = action_of(name, input);
        ToolCall {
            call_id,
            name: name.to_owned(),
            action,
            input,
            state: CallState::NoResult,
        }
    }

    /// The call that a tool's turn answers: the one it names, else the oldest open one of that tool, else the oldest open one.
    fn answered(&mut self, native: Option<&str>, name: Option<&str>) -> Option<String> {
        if let Some(native) = native.filter(|id| !id.is_empty()) {
            let call_id = self
                .calls
                .get(native)
                .cloned()
                .unwrap_or_else(|| native.to_owned());
            self.open.retain(|(_, open)| *open != call_id);
            return Some(call_id);
        }
        let by_name = self
            .open
            .iter()
            .position(|(open, _)| Some(open.as_str()) == name);
        let (_, call_id) = self.open.remove(by_name.unwrap_or(0))?;
        Some(call_id)
    }
}

fn author_of(role: Role, name: Option<&str>, model: Option<&str>) -> Author {
    let kind = match role {
        Role::User | Role::Assistant => None,
        Role::System => Some(AuthorKind::Harness),
        Role::Tool => Some(AuthorKind::Tool),
    };
    let model = model.filter(|model| role == Role::Assistant && !model.is_empty());
    Author {
        kind,
        name: name.filter(|name| !name.is_empty()).map(str::to_owned),
        model: model.map(str::to_owned),
    }
}

/// What a call of a widely known tool does, and the input that is left.
fn action_of(name: &str, input: &Input<'_>) -> (Action, Option<RawJson>) {
    let json: Cow<'_, str> = match input {
        Input::Json(raw) => raw.get().into(),
        Input::Text(text) => text.trim().into(),
    };
    let member = match name {
        "bash" | "shell" | "execute_bash" | "run_command" | "run_shell_command" => "command",
        "python" | "execute_python" | "run_python" | "code_interpreter" => "code",
        "web_search" => "query",
        _ => return (Action::Other, rest_of(&json)),
    };
    let Ok(mut members) = serde_json::from_str::<Map<String, Value>>(&json) else {
        return (Action::Other, rest_of(&json));
    };
    let Some(Value::String(_)) = members.get(member) else {
        return (Action::Other, rest_of(&json));
    };
    let Some(Value::String(text)) = members.shift_remove(member) else {
        return (Action::Other, rest_of(&json));
    };
    let action = match member {
        "command" => Action::Run {
            command: text,
            language: None,
            purpose: None,
        },
        "code" => Action::Run {
            command: text,
            language: Some("python".to_owned()),
            purpose: None,
        },
        _ => Action::WebSearch { query: text },
    };
    (
        action,
        Some(Value::Object(members))
            .filter(|rest| rest != &Value::Object(Map::new()))
            .map(|rest| RawJson::from(&rest)),
    )
}

/// The input of a tool that nothing is known of.
fn rest_of(json: &str) -> Option<RawJson> {
    match json {
        "" | "null" => None,
        _ if json
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'))
            .is_some_and(|inner| inner.trim().is_empty()) =>
        {
            None
        }
        _ => Some(
            RawJson::new(json.to_owned())
                .unwrap_or_else(|_| RawJson::from(&Value::String(json.to_owned()))),
        ),
    }
}

fn keep(
    media: Media<'_>,
    role: Role,
    chat: &mut ChatBuilder,
    surroundings: &mut dyn Surroundings,
) -> io::Result<ArtifactId> {
    let role = match role {
        Role::User | Role::System => ArtifactRole::Uploaded,
        Role::Assistant => ArtifactRole::Produced,
        Role::Tool => ArtifactRole::ToolOutput,
    };
    let class = match media.kind {
        MediaKind::Image => Some("image/"),
        MediaKind::Audio => Some("audio/"),
        MediaKind::Video => Some("video/"),
        MediaKind::File => None,
    };
    let name = media.name.as_deref();
    let declared = media.media_type.as_deref();
    let location = match &media.content {
        MediaContent::Base64(data) => {
            return chat.add_base64(name.unwrap_or_default(), declared, role, data, surroundings);
        }
        MediaContent::Nothing => {
            return Ok(chat.add_missing(name.unwrap_or_default(), declared, role));
        }
        MediaContent::Location(location) => location.as_ref(),
    };
    if is_data_url(location) {
        return Ok(
            match chat.add_data_url(name.unwrap_or_default(), location, role, surroundings)? {
                Some(artifact) => artifact,
                None => {
                    chat.warn("a file's data URL does not decode; the file is shown as missing");
                    chat.add_missing(name.unwrap_or_default(), declared, role)
                }
            },
        );
    }
    // Some programs list pictures as bare base64.
    let is_media = |data: &str| {
        let bytes = decode_base64(data);
        let kind = bytes.and_then(|bytes| infer::get(&bytes));
        kind.zip(class)
            .is_some_and(|(kind, class)| kind.mime_type().starts_with(class))
    };
    if !is_web_url(location) && (location.len() > PATH_BYTES_MAX || is_media(location)) {
        return chat.add_base64(
            name.unwrap_or_default(),
            declared,
            role,
            location,
            surroundings,
        );
    }
    let name = name.unwrap_or_else(|| base_name(location));
    if is_web_url(location) {
        return Ok(chat.add_external(name, declared, role, location));
    }
    // A transcript from elsewhere could name any file beside it: only real media are taken, never a text that happens to lie there.
    if let Some(class) = class.filter(|_| is_beside(location))
        && let Some(bytes) = surroundings.beside(location)?
        && infer::get(&bytes).is_some_and(|kind| kind.mime_type().starts_with(class))
    {
        return chat.add_artifact(name, declared, role, &bytes, surroundings);
    }
    Ok(chat.add_missing(name, declared, role))
}

fn base_name(location: &str) -> &str {
    let path = location.split(['?', '#']).next().unwrap_or(location);
    path.trim_end_matches('/')
        .rsplit(['/', '\\'])
        .next()
        .unwrap_or(path)
}

/// True for a relative path that stays below the transcript's folder.
fn is_beside(path: &str) -> bool {
    let plain =
        !path.is_empty() && path.len() <= PATH_BYTES_MAX && !path.contains(['\\', ':', '\0']);
    plain && path.split('/').all(|step| !step.is_empty() && step != "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_stand_for_files_in_their_order() {
        let images = 50_000;
        let mut listed = Listed {
            images: vec!["a.png".into(); images].into(),
            videos: vec!["b.mp4".into()].into(),
            audios: VecDeque::new(),
        };
        // Each part of the text is looked at once, however many tokens follow.
        let text = format!("a < b <{}<video> and <image>", "<image>".repeat(images));
        let mut pieces = Vec::new();
        listed.split(text.into(), &mut pieces);
        let seen: Vec<&str> = pieces
            .iter()
            .filter_map(|piece| match piece {
                Piece::Text(text) => Some(text.as_ref()),
                Piece::Media(media) if media.kind == MediaKind::Video => Some("video"),
                _ => None,
            })
            .collect();
        assert_eq!(seen, ["a < b <", "video", " and <image>"]);
        assert_eq!(pieces.len(), images + 3);
    }
}
