//! Content parts and calls of a message as the pieces of a turn.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    input_of,
    turns::{Input, Media, MediaContent, MediaKind, Piece, Turn},
};
use crate::{builder::is_data_url, formats::lenient};

/// A content part, of the API or of a dataset.
#[derive(Deserialize)]
struct PartIn<'a> {
    #[serde(borrow, default, rename = "type", deserialize_with = "lenient::text")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
    #[serde(borrow, default)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow, default)]
    thinking: Option<&'a RawValue>,
    #[serde(borrow, default)]
    image_url: Option<&'a RawValue>,
    #[serde(borrow, default)]
    image: Option<&'a RawValue>,
    #[serde(borrow, default)]
    url: Option<&'a RawValue>,
    #[serde(borrow, default)]
    video: Option<&'a RawValue>,
    #[serde(borrow, default)]
    video_url: Option<&'a RawValue>,
    #[serde(borrow, default)]
    audio: Option<&'a RawValue>,
    #[serde(borrow, default)]
    audio_url: Option<&'a RawValue>,
    #[serde(borrow, default)]
    input_audio: Option<&'a RawValue>,
    #[serde(borrow, default)]
    file: Option<&'a RawValue>,
}

/// The inner object of a media part.
#[derive(Default, Deserialize)]
struct MediaIn<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    url: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    data: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    format: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    file_data: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    file_id: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    filename: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    transcript: Option<Cow<'a, str>>,
}

/// A call, in the API's shape (`function` inside), the older one or a dataset's.
#[derive(Deserialize)]
struct CallIn<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
    #[serde(borrow, default)]
    parameters: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "lenient::object")]
    function: Option<FunctionIn<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient::object")]
    custom: Option<FunctionIn<'a>>,
}

#[derive(Deserialize)]
struct FunctionIn<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
    #[serde(borrow, default)]
    parameters: Option<&'a RawValue>,
}

/// Adds what a message's `content` holds.
pub(super) fn push_content<'a>(
    content: &'a RawValue,
    turn: &mut Turn<'a>,
) -> Result<(), serde_json::Error> {
    match content.get().as_bytes().first() {
        Some(b'"') => {
            if let Some(text) = lenient::text_of(content)? {
                turn.push_text(text);
            }
        }
        Some(b'[') => {
            for part in lenient::list_of(content) {
                push_part(part, turn)?;
            }
        }
        Some(b'{') => push_part(content, turn)?,
        Some(b'n') | None => {}
        // A number or truth value: a tool that answers with a bare value.
        Some(_) => turn.pieces.push(Piece::Text(content.get().into())),
    }
    Ok(())
}

fn push_part<'a>(raw: &'a RawValue, turn: &mut Turn<'a>) -> Result<(), serde_json::Error> {
    if let Some(text) = lenient::text_of(raw)? {
        turn.push_text(text);
        return Ok(());
    }
    let part = match lenient::object_of::<PartIn<'_>>(raw) {
        Ok(Some(part)) => part,
        Err(error) if lenient::is_repairable(&error) => return Err(error),
        Ok(None) | Err(_) => {
            turn.pieces.push(Piece::Unknown {
                label: String::new(),
                json: raw,
            });
            return Ok(());
        }
    };
    let kind = part.kind.as_deref().unwrap_or_default().to_owned();
    let before = turn.pieces.len();
    match kind.as_str() {
        "text" | "input_text" | "output_text" => {
            if let Some(text) = text_in(part.text.or(part.value))? {
                turn.push_text(text);
                return Ok(());
            }
        }
        "refusal" => turn
            .pieces
            .extend(text_in(part.refusal.or(part.value))?.map(Piece::Text)),
        "reasoning" | "thinking" | "think" => {
            let thought = part
                .reasoning
                .or(part.thinking)
                .or(part.text)
                .or(part.value);
            turn.pieces.extend(text_in(thought)?.map(Piece::Reasoning));
            // Some providers write a list of texts.
            for text in thought.map(lenient::list_of).unwrap_or_default() {
                turn.pieces.extend(thought_of(text)?.map(Piece::Reasoning));
            }
        }
        "tool_call" | "function_call" => push_value_calls(part.value, turn)?,
        "image_url" | "image" | "input_image" => push_media(
            MediaKind::Image,
            part.image_url.or(part.image).or(part.url).or(part.value),
            turn,
        )?,
        "video" | "video_url" => push_media(
            MediaKind::Video,
            part.video.or(part.video_url).or(part.url).or(part.value),
            turn,
        )?,
        "audio" | "audio_url" => push_media(
            MediaKind::Audio,
            part.audio.or(part.audio_url).or(part.url).or(part.value),
            turn,
        )?,
        "input_audio" => push_media(MediaKind::Audio, part.input_audio, turn)?,
        "file" | "input_file" => push_media(MediaKind::File, part.file.or(Some(raw)), turn)?,
        _ => {}
    }
    if turn.pieces.len() == before {
        turn.pieces.push(Piece::Unknown {
            label: kind,
            json: raw,
        });
    }
    Ok(())
}

/// A text that may stand in an object under `value`.
fn text_in(raw: Option<&RawValue>) -> Result<Option<Cow<'_, str>>, serde_json::Error> {
    let Some(raw) = raw else { return Ok(None) };
    match lenient::object_of::<PartIn<'_>>(raw)? {
        Some(PartIn {
            value: Some(value), ..
        }) => lenient::text_of(value),
        _ => lenient::text_of(raw),
    }
}

fn push_media<'a>(
    kind: MediaKind,
    raw: Option<&'a RawValue>,
    turn: &mut Turn<'a>,
) -> Result<(), serde_json::Error> {
    let Some(raw) = raw else { return Ok(()) };
    if let Some(location) = lenient::text_of(raw)? {
        turn.pieces.push(Piece::Media(Media::at(kind, location)));
        return Ok(());
    }
    let Some(media) = lenient::object_of::<MediaIn<'_>>(raw)? else {
        return Ok(());
    };
    let content = match (media.url, media.data, media.file_data, &media.file_id) {
        (Some(url), ..) => MediaContent::Location(url),
        (None, Some(data), ..) => data_or_url(data),
        (None, None, Some(data), _) => data_or_url(data),
        (None, None, None, Some(_)) => MediaContent::Nothing,
        _ if media.filename.is_some() => MediaContent::Nothing,
        _ => return Ok(()),
    };
    let media_type = media
        .format
        .filter(|_| kind == MediaKind::Audio)
        .map(|format| format!("audio/{format}"));
    let name = media.filename.or(media.file_id);
    turn.pieces.push(Piece::Media(Media {
        kind,
        name,
        media_type,
        content,
    }));
    Ok(())
}

fn data_or_url(data: Cow<'_, str>) -> MediaContent<'_> {
    if is_data_url(&data) {
        MediaContent::Location(data)
    } else {
        MediaContent::Base64(data)
    }
}

/// A spoken answer: its words, and its sound where it is there.
pub(super) fn push_audio_answer<'a>(
    raw: &'a RawValue,
    turn: &mut Turn<'a>,
) -> Result<(), serde_json::Error> {
    let Some(audio) = lenient::object_of::<MediaIn<'_>>(raw)? else {
        return Ok(());
    };
    let said: bool = turn
        .pieces
        .iter()
        .any(|piece| matches!(piece, Piece::Text(text) if !text.is_empty()));
    turn.pieces.extend(
        audio
            .transcript
            .filter(|text| !said && !text.is_empty())
            .map(Piece::Text),
    );
    if let Some(data) = audio.data {
        let media_type = audio.format.map(|format| format!("audio/{format}"));
        turn.pieces.push(Piece::Media(Media {
            kind: MediaKind::Audio,
            name: None,
            media_type,
            content: data_or_url(data),
        }));
    }
    Ok(())
}

/// One call as the API writes it; kept as it is where it has no name.
pub(super) fn pieces_of_call(raw: &RawValue) -> Result<Piece<'_>, serde_json::Error> {
    let call = match lenient::object_of::<CallIn<'_>>(raw) {
        Ok(Some(call)) => call,
        Err(error) if lenient::is_repairable(&error) => return Err(error),
        Ok(None) | Err(_) => {
            return Ok(Piece::Unknown {
                label: "tool_call".to_owned(),
                json: raw,
            });
        }
    };
    let own = call.arguments.or(call.input).or(call.parameters);
    let (name, arguments) = match call.function.or(call.custom) {
        Some(inner) => (
            inner.name.or(call.name),
            inner.arguments.or(inner.input).or(inner.parameters).or(own),
        ),
        None => (call.name, own),
    };
    let Some(name) = name else {
        return Ok(Piece::Unknown {
            label: "tool_call".to_owned(),
            json: raw,
        });
    };
    let input = arguments
        .map(input_of)
        .transpose()?
        .unwrap_or(Input::Text(Cow::Borrowed("")));
    Ok(Piece::Call {
        id: call.id,
        name,
        input,
    })
}

/// Calls of a dataset: `{name, arguments}` or a list of those, often as a string.
fn push_value_calls<'a>(
    value: Option<&'a RawValue>,
    turn: &mut Turn<'a>,
) -> Result<(), serde_json::Error> {
    let Some(value) = value else { return Ok(()) };
    match lenient::text_of(value)? {
        Some(text) => turn.pieces.extend(calls_in_text(text)),
        None if value.get().starts_with('[') => {
            for call in lenient::list_of(value) {
                turn.pieces.push(pieces_of_call(call)?);
            }
        }
        None => turn.pieces.push(pieces_of_call(value)?),
    }
    Ok(())
}

/// Calls written as text: JSON where it is some, else a call without a name.
pub(in crate::formats) fn calls_in_text(text: Cow<'_, str>) -> Vec<Piece<'_>> {
    let parsed: Option<Vec<Piece<'static>>> = serde_json::from_str::<&RawValue>(&text)
        .ok()
        .and_then(|raw| {
            let list = if raw.get().starts_with('[') {
                lenient::list_of(raw)
            } else {
                vec![raw]
            };
            list.into_iter().map(named_call).collect()
        });
    match parsed {
        Some(calls) if !calls.is_empty() => calls,
        _ => vec![Piece::Call {
            id: None,
            name: Cow::Borrowed("function_call"),
            input: Input::Text(text),
        }],
    }
}

/// A call that owns its text.
fn named_call(raw: &RawValue) -> Option<Piece<'static>> {
    let Ok(Piece::Call { id, name, input }) = pieces_of_call(raw) else {
        return None;
    };
    let input = match input {
        Input::Json(raw) => raw.get().to_owned(),
        Input::Text(text) => text.into_owned(),
    };
    Some(Piece::Call {
        id: id.map(|id| Cow::Owned(id.into_owned())),
        name: Cow::Owned(name.into_owned()),
        input: Input::Text(Cow::Owned(input)),
    })
}

/// A thought of `reasoning_details`; encrypted ones say nothing.
pub(super) fn thought_of(raw: &RawValue) -> Result<Option<Cow<'_, str>>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Detail<'a> {
        #[serde(borrow, default, deserialize_with = "lenient::text")]
        text: Option<Cow<'a, str>>,
        #[serde(borrow, default, deserialize_with = "lenient::text")]
        summary: Option<Cow<'a, str>>,
    }
    Ok(lenient::object_of::<Detail<'_>>(raw)?.and_then(|detail| detail.text.or(detail.summary)))
}

/// A source that the answer cites.
pub(super) fn source_of(raw: &RawValue) -> Result<Piece<'_>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Annotation<'a> {
        #[serde(borrow, default, deserialize_with = "lenient::object")]
        url_citation: Option<Citation<'a>>,
        #[serde(borrow, default, deserialize_with = "lenient::text")]
        title: Option<Cow<'a, str>>,
        #[serde(borrow, default, deserialize_with = "lenient::text")]
        url: Option<Cow<'a, str>>,
    }
    #[derive(Deserialize)]
    struct Citation<'a> {
        #[serde(borrow, default, deserialize_with = "lenient::text")]
        title: Option<Cow<'a, str>>,
        #[serde(borrow, default, deserialize_with = "lenient::text")]
        url: Option<Cow<'a, str>>,
    }
    Ok(match lenient::object_of::<Annotation<'_>>(raw)? {
        Some(Annotation {
            url_citation: Some(Citation { title, url }),
            ..
        }) if title.is_some() || url.is_some() => Piece::Source { title, url },
        Some(Annotation { title, url, .. }) if title.is_some() || url.is_some() => {
            Piece::Source { title, url }
        }
        _ => Piece::Unknown {
            label: "annotation".to_owned(),
            json: raw,
        },
    })
}
