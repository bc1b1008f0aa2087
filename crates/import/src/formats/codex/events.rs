//! Events of a rollout (`event_msg`): what they say beyond the items.

use std::borrow::Cow;

use readalong_model::{NoticeKind, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::twins::{Known, Voice};
use crate::responses_items::{in_tag, members as lenient};

/// An event, as far as it matters.
pub(super) enum Event<'a> {
    /// The person's words.
    User {
        text: Cow<'a, str>,
        images: Vec<String>,
        files: Vec<String>,
        is_human: bool,
        known: Known,
    },
    /// The model's words or thoughts.
    Said {
        voice: Voice,
        text: Cow<'a, str>,
        known: Known,
    },
    Compacted,
    Aborted(String),
    RolledBack(u64),
    Notice(NoticeKind, String),
    Title(String),
    /// Tokens of the last answer, and of all answers so far.
    Tokens {
        total: u64,
        usage: Usage,
    },
    /// Says nothing that items do not say, or nothing that a reader could want.
    Nothing,
}

/// Beginnings of the types of events that need no place in the chat: the items hold what they tell.
const BOOKKEEPING: [&str; 38] = [
    "task_",
    "turn_started",
    "turn_complete",
    "turn_diff",
    "exec_",
    "patch_apply_",
    "apply_patch_",
    "mcp_",
    "web_search_",
    "view_image_",
    "image_generation_",
    "plan_",
    "session_configured",
    "background_event",
    "deprecation_notice",
    "undo_",
    "shutdown_complete",
    "entered_review_mode",
    "exited_review_mode",
    "raw_response_item",
    "item_started",
    "hook_",
    "collab_",
    "sub_agent_",
    "get_history_",
    "list_",
    "skills_",
    "agent_message_",
    "agent_reasoning_",
    "reasoning_",
    "terminal_interaction",
    "elicitation_request",
    "request_",
    "dynamic_tool_",
    "remote_skill",
    "realtime_",
    "guardian_",
    "conversation_path",
];

#[derive(Default, Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default, rename = "type", deserialize_with = "lenient::text")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "kind", deserialize_with = "lenient::text")]
    prompt_kind: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    message: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    text: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    reason: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    thread_name: Option<Cow<'a, str>>,
    #[serde(default, deserialize_with = "lenient::count")]
    num_turns: Option<u64>,
    #[serde(borrow, default)]
    images: Option<&'a RawValue>,
    #[serde(borrow, default)]
    local_images: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "lenient::object")]
    info: TokenInfo,
    #[serde(borrow, default)]
    item: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct TokenInfo {
    #[serde(default, deserialize_with = "lenient::object")]
    total_token_usage: Tokens,
    #[serde(default, deserialize_with = "lenient::object")]
    last_token_usage: Tokens,
}

#[derive(Default, Deserialize)]
struct Tokens {
    #[serde(default, deserialize_with = "lenient::count")]
    input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "lenient::count")]
    cached_input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "lenient::count")]
    output_tokens: Option<u64>,
    #[serde(default, deserialize_with = "lenient::count")]
    total_tokens: Option<u64>,
}

/// An item that is told of when it is finished.
#[derive(Default, Deserialize)]
struct Finished<'a> {
    #[serde(borrow, default, rename = "type", deserialize_with = "lenient::text")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    text: Option<Cow<'a, str>>,
}

/// Reads an event; `Err` with its type where that is unknown.
pub(super) fn read(json: &str) -> Result<Result<Event<'_>, String>, serde_json::Error> {
    let fields: Fields<'_> = serde_json::from_str(json)?;
    let kind = fields.kind.as_deref().unwrap_or_default();
    let said = |voice, text: Option<Cow<'_, str>>| {
        text.filter(|text| !text.trim().is_empty())
            .map(|text| (voice, text.into_owned()))
    };
    let event = match kind {
        "user_message" => {
            let text = fields.message.unwrap_or_default();
            let is_human = is_human(&text, fields.prompt_kind.as_deref());
            Event::User {
                images: texts(fields.images),
                files: texts(fields.local_images),
                is_human,
                text,
                known: Known::Event,
            }
        }
        "agent_message" => said_event(said(Voice::Assistant, fields.message), Known::Event),
        "agent_reasoning" | "agent_reasoning_raw_content" => {
            said_event(said(Voice::Reasoning, fields.text), Known::Event)
        }
        "item_completed" => fields
            .item
            .map(finished)
            .transpose()?
            .unwrap_or(Event::Nothing),
        "context_compacted" => Event::Compacted,
        "turn_aborted" => Event::Aborted(fields.reason.unwrap_or_default().into_owned()),
        "thread_rolled_back" => Event::RolledBack(fields.num_turns.unwrap_or(0)),
        "error" | "stream_error" => Event::Notice(
            NoticeKind::Error,
            fields.message.unwrap_or_default().into_owned(),
        ),
        "warning" => Event::Notice(
            NoticeKind::Info,
            fields.message.unwrap_or_default().into_owned(),
        ),
        "thread_name_updated" => fields
            .thread_name
            .map_or(Event::Nothing, |name| Event::Title(name.into_owned())),
        "token_count" => tokens(&fields.info),
        _ if BOOKKEEPING
            .iter()
            .any(|beginning| kind.starts_with(beginning)) =>
        {
            Event::Nothing
        }
        _ => return Ok(Err(kind.to_owned())),
    };
    Ok(Ok(event))
}

fn said_event<'a>(said: Option<(Voice, String)>, known: Known) -> Event<'a> {
    said.map_or(Event::Nothing, |(voice, text)| Event::Said {
        voice,
        text: text.into(),
        known,
    })
}

/// Events tell of the person's words, but for those whose kind says otherwise, or that are tags of the program from beginning to end.
fn is_human(text: &str, kind: Option<&str>) -> bool {
    let (tags, rest) = split_tags(text);
    (tags.is_empty() || !rest.trim().is_empty()) && kind.is_none_or(|kind| kind == "plain")
}

/// The closed tags of the program that a text begins with, and the rest of it.
pub(super) fn split_tags(text: &str) -> (&str, &str) {
    const TAGS: [&str; 2] = ["environment_context", "user_instructions"];
    let mut rest = text;
    while let Some((_, after)) = TAGS.iter().find_map(|tag| in_tag(rest.trim_start(), tag)) {
        rest = after;
    }
    text.split_at(text.len() - rest.len())
}

fn tokens(info: &TokenInfo) -> Event<'static> {
    let last = &info.last_token_usage;
    let (Some(input), Some(output), Some(total)) = (
        last.input_tokens,
        last.output_tokens,
        info.total_token_usage.total_tokens,
    ) else {
        return Event::Nothing;
    };
    let cached_tokens = last.cached_input_tokens.unwrap_or(0);
    Event::Tokens {
        total,
        usage: Usage {
            input_tokens: input.saturating_sub(cached_tokens),
            output_tokens: output,
            cached_tokens,
        },
    }
}

/// A finished item as the event that it is the newer form of.
fn finished<'a>(item: &RawValue) -> Result<Event<'a>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Content<'a> {
        #[serde(borrow, default, deserialize_with = "lenient::text")]
        text: Option<Cow<'a, str>>,
    }
    if !item.get().starts_with('{') {
        return Ok(Event::Nothing);
    }
    let item: Finished<'_> = serde_json::from_str(item.get())?;
    let mut text = String::new();
    for content in raw_elements(item.content)
        .into_iter()
        .filter(|content| content.get().starts_with('{'))
    {
        text.push_str(
            serde_json::from_str::<Content<'_>>(content.get())?
                .text
                .as_deref()
                .unwrap_or_default(),
        );
    }
    Ok(match item.kind.as_deref() {
        Some("UserMessage") => Event::User {
            is_human: is_human(&text, None),
            text: text.into(),
            images: Vec::new(),
            files: Vec::new(),
            known: Known::Finished,
        },
        Some("Plan") => said_event(
            item.text.map(|plan| (Voice::Assistant, plan.into_owned())),
            Known::Finished,
        ),
        Some("AgentMessage") if !text.trim().is_empty() => Event::Said {
            voice: Voice::Assistant,
            text: text.into(),
            known: Known::Finished,
        },
        _ => Event::Nothing,
    })
}

fn raw_elements(raw: Option<&RawValue>) -> Vec<&RawValue> {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok())
        .unwrap_or_default()
}

/// The texts of an array.
fn texts(raw: Option<&RawValue>) -> Vec<String> {
    raw_elements(raw)
        .into_iter()
        .filter_map(|element| serde_json::from_str(element.get()).ok())
        .collect()
}
