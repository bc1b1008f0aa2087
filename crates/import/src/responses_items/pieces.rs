//! Content parts of items: texts, pictures, files, citations, and what tools answered.

use std::{borrow::Cow, collections::HashSet, io};

use readalong_model::{ArtifactRole, Part, RawJson, Role};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::AnswerDraft;
use crate::{
    builder::{ChatBuilder, is_data_url, is_web_url},
    responses_items::members as lenient,
    surroundings::Surroundings,
};

/// Lines at the beginning of a command's answer that tell its exit code.
const HEADER_LINES_MAX: usize = 8;
/// Characters at the beginning of an answer that tell of a refusal.
const REFUSAL_BYTES_MAX: usize = 300;

/// A piece of content that was read and has not been put into the chat yet.
#[derive(Debug, PartialEq)]
pub(crate) enum Piece {
    Text(String),
    Image {
        url: String,
        alt: Option<String>,
    },
    Base64Image {
        data: String,
        media_type: String,
        alt: Option<String>,
    },
    File {
        name: String,
        content: Content,
    },
    Source {
        title: String,
        url: Option<String>,
        excerpt: Option<String>,
    },
    Unknown {
        label: String,
        json: RawJson,
    },
}

/// Where a file's bytes are.
#[derive(Debug, PartialEq)]
pub(crate) enum Content {
    DataUrl(String),
    Base64(String),
    External(String),
    Missing,
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default, rename = "type", deserialize_with = "lenient::text")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    text: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    refusal: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    logs: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    image_url: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    url: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    data: Option<Cow<'a, str>>,
    #[serde(
        borrow,
        default,
        rename = "mimeType",
        deserialize_with = "lenient::text"
    )]
    mime_type: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    filename: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    file_data: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    file_url: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    file_id: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    title: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    annotations: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "lenient::object")]
    input_audio: Audio<'a>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    stdout: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    stderr: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
struct Audio<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    data: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    format: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
struct Outcome {
    #[serde(default)]
    exit_code: Option<serde_json::Value>,
}

/// The elements of an array; none where it is something else.
pub(super) fn elements(raw: &RawValue) -> Result<Vec<&RawValue>, serde_json::Error> {
    if raw.get().starts_with('[') {
        serde_json::from_str(raw.get())
    } else {
        Ok(Vec::new())
    }
}

/// A text; `None` where it is something else.
pub(super) fn string(raw: &RawValue) -> Result<Option<Cow<'_, str>>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow, deserialize_with = "lenient::text")] Option<Cow<'a, str>>);
    if raw.get().starts_with('"') {
        serde_json::from_str::<Text<'_>>(raw.get()).map(|text| text.0)
    } else {
        Ok(None)
    }
}

fn unknown(label: &str, raw: &RawValue) -> Piece {
    Piece::Unknown {
        label: label.to_owned(),
        json: RawJson::from(raw.to_owned()),
    }
}

/// The content of a message: a text, or content parts.
pub(super) fn content(raw: &RawValue) -> Result<Vec<Piece>, serde_json::Error> {
    if let Some(text) = string(raw)? {
        return Ok(vec![Piece::Text(text.into_owned())]);
    }
    if !raw.get().starts_with('[') {
        return Ok(vec![unknown("content", raw)]);
    }
    let mut pieces = Vec::new();
    for element in elements(raw)? {
        push_piece(element, &mut pieces)?;
    }
    drop_image_tags(&mut pieces);
    Ok(pieces)
}

/// Reads one content part.
pub(super) fn push_piece(raw: &RawValue, pieces: &mut Vec<Piece>) -> Result<(), serde_json::Error> {
    if let Some(text) = string(raw)? {
        pieces.push(Piece::Text(text.into_owned()));
        return Ok(());
    }
    if !raw.get().starts_with('{') {
        pieces.push(unknown("", raw));
        return Ok(());
    }
    let fields: Fields<'_> = serde_json::from_str(raw.get())?;
    let kind = fields.kind.as_deref().unwrap_or_default();
    match kind {
        "input_text" | "output_text" | "text" | "summary_text" | "reasoning_text"
            if fields.text.is_some() =>
        {
            pieces.push(Piece::Text(fields.text.unwrap_or_default().into_owned()));
            if let Some(annotations) = fields.annotations {
                push_sources(annotations, pieces)?;
            }
        }
        "refusal" if fields.refusal.is_some() => {
            pieces.push(Piece::Text(fields.refusal.unwrap_or_default().into_owned()))
        }
        "logs" if fields.logs.is_some() => {
            pieces.push(Piece::Text(fields.logs.unwrap_or_default().into_owned()))
        }
        "input_image" | "image_url" | "computer_screenshot" | "image" | "output_image" => {
            pieces.push(image(&fields, raw)?)
        }
        "input_file" | "file" => pieces.push(file(&fields)),
        "input_audio" if fields.input_audio.data.is_some() => {
            let name = format!(
                "audio.{}",
                fields.input_audio.format.as_deref().unwrap_or("wav")
            );
            pieces.push(Piece::File {
                name,
                content: Content::Base64(fields.input_audio.data.unwrap_or_default().into_owned()),
            });
        }
        // Only the provider can read it.
        "encrypted_content" => {}
        "" if fields.stdout.is_some() || fields.stderr.is_some() => {
            let texts = [fields.stdout, fields.stderr]
                .into_iter()
                .flatten()
                .filter(|text| !text.is_empty());
            pieces.extend(texts.map(|text| Piece::Text(text.into_owned())));
        }
        _ => pieces.push(unknown(kind, raw)),
    }
    Ok(())
}

fn image(fields: &Fields<'_>, raw: &RawValue) -> Result<Piece, serde_json::Error> {
    #[derive(Deserialize)]
    struct Address<'a> {
        #[serde(borrow, default, deserialize_with = "lenient::text")]
        url: Option<Cow<'a, str>>,
    }
    if let Some(data) = &fields.data {
        let media_type = fields
            .mime_type
            .as_deref()
            .unwrap_or("image/png")
            .to_owned();
        return Ok(Piece::Base64Image {
            data: data.clone().into_owned(),
            media_type,
            alt: None,
        });
    }
    let address = match fields.image_url {
        Some(address) if address.get().starts_with('{') => {
            serde_json::from_str::<Address<'_>>(address.get())?.url
        }
        Some(address) => string(address)?,
        None => None,
    };
    match address
        .as_ref()
        .or(fields.url.as_ref())
        .or(fields.file_id.as_ref())
    {
        Some(url) => Ok(Piece::Image {
            url: url.clone().into_owned(),
            alt: None,
        }),
        None => Ok(unknown(fields.kind.as_deref().unwrap_or_default(), raw)),
    }
}

fn file(fields: &Fields<'_>) -> Piece {
    let content = match (&fields.file_data, &fields.file_url) {
        (Some(data), _) if is_data_url(data) => Content::DataUrl(data.clone().into_owned()),
        (Some(data), _) if !data.is_empty() => Content::Base64(data.clone().into_owned()),
        (_, Some(url)) => Content::External(url.clone().into_owned()),
        _ => Content::Missing,
    };
    let of_url = || fields.file_url.as_deref().map(last_segment);
    let name = fields
        .filename
        .as_deref()
        .or_else(of_url)
        .or(fields.file_id.as_deref())
        .unwrap_or("file");
    Piece::File {
        name: name.to_owned(),
        content,
    }
}

/// What an answer rests on, once each.
fn push_sources(annotations: &RawValue, pieces: &mut Vec<Piece>) -> Result<(), serde_json::Error> {
    let mut seen = HashSet::new();
    for annotation in elements(annotations)? {
        if !annotation.get().starts_with('{') {
            continue;
        }
        let fields: Fields<'_> = serde_json::from_str(annotation.get())?;
        let url = fields.url.as_deref().map(str::to_owned);
        let named = fields
            .title
            .or(fields.filename)
            .filter(|title| !title.trim().is_empty())
            .map(Cow::into_owned);
        let Some(title) = named
            .or_else(|| url.clone())
            .or_else(|| fields.file_id.map(Cow::into_owned))
        else {
            continue;
        };
        if seen.insert((title.clone(), url.clone())) {
            pieces.push(Piece::Source {
                title,
                url,
                excerpt: None,
            });
        }
    }
    Ok(())
}

/// Drops the tags that some writers put as texts around a picture.
fn drop_image_tags(pieces: &mut Vec<Piece>) {
    if !pieces
        .iter()
        .any(|piece| matches!(piece, Piece::Image { .. }))
    {
        return;
    }
    let is_tag = |text: &str| {
        let text = text.trim();
        text == "</image>"
            || text == "<image>"
            || (text.starts_with("<image name=") && text.ends_with('>') && !text.contains('\n'))
    };
    pieces.retain(|piece| !matches!(piece, Piece::Text(text) if is_tag(text)));
}

/// Thoughts, one text for each summary, then the thoughts themselves where they are given.
pub(super) fn reasoning(
    summary: Option<&RawValue>,
    content: Option<&RawValue>,
) -> Result<Vec<String>, serde_json::Error> {
    let mut texts = Vec::new();
    for raw in [summary, content].into_iter().flatten() {
        let mut pieces = Vec::new();
        match string(raw)? {
            Some(text) => texts.push(text.into_owned()),
            None => elements(raw)?
                .into_iter()
                .try_for_each(|element| push_piece(element, &mut pieces))?,
        }
        texts.extend(pieces.into_iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(text),
            Piece::Unknown { json, .. } => Some(json.get().to_owned()),
            _ => None,
        }));
    }
    texts.retain(|text| !text.trim().is_empty());
    Ok(texts)
}

#[derive(Default, Deserialize)]
struct Wrapped<'a> {
    #[serde(borrow, default)]
    output: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "type", deserialize_with = "lenient::text")]
    kind: Option<Cow<'a, str>>,
    #[serde(default, deserialize_with = "lenient::object")]
    metadata: Outcome,
    #[serde(default)]
    success: Option<serde_json::Value>,
    #[serde(
        default,
        rename = "isError",
        alias = "is_error",
        deserialize_with = "lenient::flag"
    )]
    is_error: bool,
}

/// What a tool answered: a text, a text that is JSON around the real one, content parts, or an object.
pub(crate) fn answer(raw: &RawValue) -> Result<AnswerDraft, serde_json::Error> {
    if let Some(text) = string(raw)? {
        if let Some(answer) = unwrapped(&text) {
            return Ok(answer);
        }
        let is_error = exit_code_of(&text).is_some_and(|code| code != 0);
        let is_denied = is_refused(&text);
        return Ok(AnswerDraft {
            pieces: text_piece(text.into_owned()),
            is_error,
            is_denied,
            id: None,
        });
    }
    if raw.get().starts_with('{') {
        return object_answer(raw);
    }
    let mut answer = AnswerDraft::default();
    if !raw.get().starts_with('[') {
        answer.pieces.push(unknown("output", raw));
    }
    for element in elements(raw)? {
        push_piece(element, &mut answer.pieces)?;
        answer.is_error |= element.get().starts_with('{')
            && serde_json::from_str::<ShellOutput>(element.get()).is_ok_and(|shell| shell.failed());
    }
    Ok(answer)
}

#[derive(Deserialize)]
struct ShellOutput {
    #[serde(default, deserialize_with = "lenient::object")]
    outcome: Outcome,
}

impl ShellOutput {
    fn failed(&self) -> bool {
        self.outcome.failed()
    }
}

impl Outcome {
    fn failed(&self) -> bool {
        self.exit_code
            .as_ref()
            .and_then(serde_json::Value::as_i64)
            .is_some_and(|code| code != 0)
    }
}

fn object_answer(raw: &RawValue) -> Result<AnswerDraft, serde_json::Error> {
    let Ok(wrapped) = serde_json::from_str::<Wrapped<'_>>(raw.get()) else {
        return Ok(AnswerDraft {
            pieces: vec![unknown("output", raw)],
            ..AnswerDraft::default()
        });
    };
    let mut pieces = match (wrapped.kind.is_some(), wrapped.output.or(wrapped.content)) {
        (true, _) => {
            let mut pieces = Vec::new();
            push_piece(raw, &mut pieces)?;
            pieces
        }
        (false, Some(inner)) => content(inner)?,
        (false, None) => vec![unknown("output", raw)],
    };
    pieces.retain(|piece| !matches!(piece, Piece::Text(text) if text.is_empty()));
    let is_denied = pieces
        .iter()
        .any(|piece| matches!(piece, Piece::Text(text) if is_refused(text)));
    let is_error =
        wrapped.is_error || wrapped.metadata.failed() || wrapped.success == Some(false.into());
    Ok(AnswerDraft {
        pieces,
        is_error,
        is_denied,
        id: None,
    })
}

/// What a text says that is JSON around the real answer; `None` for every other text.
fn unwrapped(text: &str) -> Option<AnswerDraft> {
    let trimmed = text.trim();
    match trimmed.as_bytes().first()? {
        b'{' if trimmed.ends_with('}') => {
            let wrapped: Wrapped<'_> = serde_json::from_str(trimmed).ok()?;
            let inner = string(
                wrapped
                    .output
                    .filter(|_| wrapped.content.is_none() && wrapped.kind.is_none())?,
            )
            .ok()??;
            let is_error =
                wrapped.metadata.failed() || exit_code_of(&inner).is_some_and(|code| code != 0);
            let is_denied = is_refused(&inner);
            Some(AnswerDraft {
                pieces: text_piece(inner.into_owned()),
                is_error,
                is_denied,
                id: None,
            })
        }
        // Answers of MCP tools: content parts written as text. One part that is not known, and the text stays as it is.
        b'[' if trimmed.contains("\"type\"") && trimmed.ends_with(']') => {
            let mut pieces = Vec::new();
            let list: Vec<&RawValue> = serde_json::from_str(trimmed).ok()?;
            let all = list.into_iter().all(|element| {
                element.get().starts_with('{') && push_piece(element, &mut pieces).is_ok()
            });
            let known = all
                && !pieces.is_empty()
                && !pieces
                    .iter()
                    .any(|piece| matches!(piece, Piece::Unknown { .. }));
            known.then(|| AnswerDraft {
                pieces,
                ..AnswerDraft::default()
            })
        }
        _ => None,
    }
}

fn text_piece(text: String) -> Vec<Piece> {
    if text.is_empty() {
        Vec::new()
    } else {
        vec![Piece::Text(text)]
    }
}

/// The exit code that a command's answer begins with.
fn exit_code_of(text: &str) -> Option<i64> {
    let header = text
        .lines()
        .take(HEADER_LINES_MAX)
        .take_while(|line| line.trim() != "Output:");
    let number = |line: &str| {
        line.strip_prefix("Exit code: ")
            .or_else(|| line.strip_prefix("Process exited with code "))
            .map(|n| n.trim().parse().ok())
    };
    header.filter_map(number).next().flatten()
}

fn is_refused(text: &str) -> bool {
    let text = text.trim_start();
    let mut end = text.len().min(REFUSAL_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    // Longer texts are what a command said, not what the program says of a refusal.
    let short = text.len() <= REFUSAL_BYTES_MAX;
    let begin = text.get(..end).unwrap_or_default();
    [
        "exec command rejected",
        "patch rejected",
        "user rejected",
        "rejected by user",
    ]
    .iter()
    .any(|words| begin.starts_with(words))
        || (short && begin.contains("rejected by user"))
}

/// Parts of what the assistant said or made.
pub(super) fn assistant_parts(
    pieces: Vec<Piece>,
    to: (&mut ChatBuilder, &mut dyn Surroundings),
) -> io::Result<Vec<Part>> {
    parts(pieces, Role::Assistant, to)
}

/// Puts the files of pieces into the chat and makes parts of the pieces.
pub(crate) fn parts(
    pieces: Vec<Piece>,
    role: Role,
    (chat, surroundings): (&mut ChatBuilder, &mut dyn Surroundings),
) -> io::Result<Vec<Part>> {
    let role = match role {
        Role::User | Role::System => ArtifactRole::Uploaded,
        Role::Assistant => ArtifactRole::Produced,
        Role::Tool => ArtifactRole::ToolOutput,
    };
    let mut parts = Vec::with_capacity(pieces.len());
    for piece in pieces {
        parts.push(match piece {
            Piece::Text(markdown) if markdown.is_empty() => continue,
            Piece::Text(markdown) => Part::Text { markdown },
            Piece::Image { url, alt } => Part::Image {
                artifact: add_image(&url, role, (&mut *chat, &mut *surroundings))?,
                alt,
            },
            Piece::Base64Image {
                data,
                media_type,
                alt,
            } => {
                let artifact = chat.add_base64("", Some(&media_type), role, &data, surroundings)?;
                Part::Image { artifact, alt }
            }
            Piece::File { name, content } => {
                let artifact = match content {
                    Content::DataUrl(url) => {
                        match chat.add_data_url(&name, &url, role, surroundings)? {
                            Some(artifact) => artifact,
                            None => chat.add_missing(&name, None, role),
                        }
                    }
                    Content::Base64(data) => {
                        chat.add_base64(&name, None, role, &data, surroundings)?
                    }
                    Content::External(url) => chat.add_external(&name, None, role, &url),
                    Content::Missing => chat.add_missing(&name, None, role),
                };
                Part::File { artifact }
            }
            Piece::Source {
                title,
                url,
                excerpt,
            } => Part::Source {
                title,
                url,
                excerpt,
            },
            Piece::Unknown { label, json } => Part::Unknown { label, json },
        });
    }
    Ok(parts)
}

fn add_image(
    url: &str,
    role: ArtifactRole,
    (chat, surroundings): (&mut ChatBuilder, &mut dyn Surroundings),
) -> io::Result<readalong_model::ArtifactId> {
    if is_data_url(url) {
        return Ok(match chat.add_data_url("", url, role, surroundings)? {
            Some(artifact) => artifact,
            None => {
                chat.warn("a picture's data URL does not decode; the picture is shown as missing");
                chat.add_missing("image", None, role)
            }
        });
    }
    if is_web_url(url) {
        return Ok(chat.add_external(last_segment(url), None, role, url));
    }
    Ok(chat.add_missing(last_segment(url), None, role))
}

/// The file name at the end of an address or path.
fn last_segment(url: &str) -> &str {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    path.trim_end_matches(['/', '\\'])
        .rsplit(['/', '\\'])
        .next()
        .filter(|name| !name.is_empty())
        .unwrap_or("image")
}

/// All text of some parts, one after the other.
pub(crate) fn text_of(parts: &[Part]) -> String {
    parts.iter().fold(String::new(), |mut all, part| {
        if let Part::Text { markdown } = part {
            all.push_str(markdown);
        }
        all
    })
}
