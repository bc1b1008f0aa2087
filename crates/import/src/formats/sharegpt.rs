//! ShareGPT datasets: many chats in a file, each `{"conversations": [{"from", "value"}]}`.
//!
//! Shape: hiyouga/LLaMA-Factory (`data/glaive_toolcall_en_demo.json`, `data/mllm_demo.json`, `data/dpo_en_demo.json`), which adds
//! `system`, `tools`, `images` and pairs of a chosen and a rejected answer.

use std::borrow::Cow;

use readalong_model::Role;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Evidence, Format, Growth, Layout, Reader, Record, Refusal, Taken, lenient,
    openai_chat::{
        calls_in_text,
        turns::{Listed, Piece, Turn, Turns},
    },
};
use crate::{
    builder::ChatBuilder,
    head::{Head, HeadRecord},
    surroundings::Surroundings,
};

#[cfg(test)]
mod tests;

pub(super) const FORMAT: Format = Format {
    name: "sharegpt",
    title: "ShareGPT dataset",
    found_at: "training datasets: arrays or JSONL of {\"conversations\": [{\"from\", \"value\"}]}",
    growth: Growth::Export,
    detect,
    reader: || Box::new(DatasetReader::default()),
};

fn detect(head: &Head) -> Option<Evidence> {
    let has_turns = |record: &&HeadRecord| {
        let turns = record
            .member("conversations")
            .or_else(|| record.member("conversation"))
            .map(|turns| turns.elements())
            .unwrap_or_default();
        turns
            .iter()
            .any(|turn| turn.string("from").is_some() && turn.has("value"))
    };
    let matched = head.records.iter().filter(has_turns).count();
    (matched > 0).then_some(Evidence {
        matched,
        of: head.records.len(),
        layout: Layout::ChatPerRecord,
    })
}

#[derive(Default)]
struct DatasetReader {
    turns: Turns,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow, default)]
    conversations: Option<&'a RawValue>,
    #[serde(borrow, default)]
    conversation: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    system: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    title: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    model: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    chosen: Option<&'a RawValue>,
    #[serde(borrow, default)]
    rejected: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "lenient::list")]
    images: Vec<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "lenient::list")]
    videos: Vec<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "lenient::list")]
    audios: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct TurnIn<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    from: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
}

impl Reader for DatasetReader {
    fn push(
        &mut self,
        record: &Record<'_>,
        chat: &mut ChatBuilder,
        surroundings: &mut dyn Surroundings,
    ) -> Result<Taken, Refusal> {
        let raw: &RawValue = serde_json::from_slice(record.bytes)?;
        let entry: Option<Entry<'_>> = lenient::object_of(raw)?;
        let Some((list, entry)) =
            entry.and_then(|entry| Some((entry.conversations.or(entry.conversation)?, entry)))
        else {
            chat.put_unknown(readalong_model::ThreadId::MAIN, "", raw.get())?;
            return Ok(Taken::KeptRaw);
        };
        let mut turns = Vec::new();
        if let Some(system) = entry.system.clone().filter(|system| !system.is_empty()) {
            let mut turn = Turn::new(Role::System, "");
            turn.pieces.push(Piece::Text(system));
            turns.push(turn);
        }
        for raw in lenient::list_of(list) {
            turns.push(turn_of(raw, entry.model.as_ref())?);
        }
        // Of two answers the chosen one is read first: it comes last.
        let answers = [entry.rejected, entry.chosen].into_iter().flatten();
        let answers: Vec<Turn<'_>> = answers
            .map(|raw| turn_of(raw, entry.model.as_ref()))
            .collect::<Result<_, _>>()?;
        if turns.is_empty() && answers.is_empty() {
            chat.warn("an entry without turns");
            return Ok(Taken::Bookkeeping);
        }
        let listed = Listed::new(&entry.images, &entry.videos, &entry.audios)?;
        chat.chat.origin.native_id = entry.id.map(id_of).transpose()?.flatten();
        if let Some(title) = entry.title {
            chat.chat.title = title.into_owned();
        }
        self.turns.put_all(turns, listed, chat, surroundings)?;
        let parent = chat.newest().map(|message| message.id.clone());
        for answer in answers {
            self.turns
                .put_all(vec![answer], Listed::default(), chat, surroundings)?;
            if let Some(message) = chat.newest() {
                message.parent.clone_from(&parent);
            }
        }
        Ok(Taken::Mapped)
    }
}

/// An id that is text or a number.
fn id_of(raw: &RawValue) -> Result<Option<String>, serde_json::Error> {
    let number = raw
        .get()
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| raw.get().to_owned());
    Ok(lenient::text_of(raw)?
        .map(Cow::into_owned)
        .or(number)
        .filter(|id| !id.is_empty()))
}

/// One turn; what is none is kept as it is.
fn turn_of<'a>(
    raw: &'a RawValue,
    model: Option<&Cow<'a, str>>,
) -> Result<Turn<'a>, serde_json::Error> {
    let parsed = match lenient::object_of::<TurnIn<'_>>(raw) {
        Ok(Some(TurnIn {
            from: Some(from),
            value: Some(value),
        })) => Some((from, value)),
        Err(error) if lenient::is_repairable(&error) => return Err(error),
        _ => None,
    };
    let Some((from, value)) = parsed else {
        return Ok(Turn::unknown(raw));
    };
    let (role, named) = role_of(&from);
    let mut turn = Turn::new(role, raw.get());
    turn.model = model.cloned();
    if named {
        turn.name = Some(from.clone());
    }
    match lenient::text_of(value)? {
        Some(text) if is_call(&from) => turn.pieces.extend(calls_in_text(text)),
        Some(text) => turn.push_text(text),
        None if is_call(&from) => turn
            .pieces
            .extend(calls_in_text(Cow::Borrowed(value.get()))),
        None if role == Role::Tool => turn.push_text(Cow::Borrowed(value.get())),
        None if value.get() == "null" => {}
        None => turn.pieces.push(Piece::Unknown {
            label: from.into_owned(),
            json: value,
        }),
    }
    Ok(turn)
}

/// The role of a speaker, and whether the speaker's name says more than the role.
fn role_of(from: &str) -> (Role, bool) {
    match from {
        "human" | "user" | "prompter" => (Role::User, false),
        "gpt" | "assistant" | "model" | "function_call" | "tool_call" => (Role::Assistant, false),
        "system" => (Role::System, false),
        "observation" | "tool" | "tool_response" | "function_response" | "function" | "ipython" => {
            (Role::Tool, false)
        }
        // Other models by their names: chatgpt, bing, bard, claude and so on.
        _ => (Role::Assistant, true),
    }
}

fn is_call(from: &str) -> bool {
    matches!(from, "function_call" | "tool_call")
}
