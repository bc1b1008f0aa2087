//! One line of a Claude Code session, of all kinds together.

use std::{borrow::Cow, fmt, marker::PhantomData};

use readalong_model::{Timestamp, Usage};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::value::RawValue;

use crate::{anthropic_blocks::Content, formats::lenient};

/// A record. Members that no reader needs (`toolUseResult` is two fifths of all bytes) are passed over.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Line<'a> {
    #[serde(borrow, rename = "type", deserialize_with = "lenient::text")]
    pub(super) kind: Option<Cow<'a, str>>,
    #[serde(borrow, deserialize_with = "lenient::text")]
    pub(super) subtype: Option<Cow<'a, str>>,
    #[serde(borrow, deserialize_with = "lenient::text")]
    pub(super) uuid: Option<Cow<'a, str>>,
    #[serde(borrow, deserialize_with = "lenient::text")]
    pub(super) parent_uuid: Option<Cow<'a, str>>,
    #[serde(borrow, deserialize_with = "lenient::text")]
    pub(super) session_id: Option<Cow<'a, str>>,
    #[serde(deserialize_with = "lenient::time")]
    pub(super) timestamp: Option<Timestamp>,
    #[serde(borrow, deserialize_with = "lenient::text")]
    pub(super) version: Option<Cow<'a, str>>,
    #[serde(borrow, deserialize_with = "lenient::text")]
    pub(super) agent_id: Option<Cow<'a, str>>,
    /// The call that a progress record belongs to.
    #[serde(borrow, rename = "parentToolUseID", deserialize_with = "lenient::text")]
    pub(super) progress_of: Option<Cow<'a, str>>,
    /// In streams: the call whose subagent speaks.
    #[serde(
        borrow,
        rename = "parent_tool_use_id",
        deserialize_with = "lenient::text"
    )]
    pub(super) stream_parent: Option<Cow<'a, str>>,
    #[serde(deserialize_with = "lenient::flag")]
    pub(super) is_sidechain: bool,
    #[serde(deserialize_with = "lenient::flag")]
    pub(super) is_meta: bool,
    #[serde(deserialize_with = "lenient::flag")]
    pub(super) is_compact_summary: bool,
    #[serde(deserialize_with = "lenient::flag")]
    pub(super) is_api_error_message: bool,
    #[serde(borrow, deserialize_with = "object")]
    pub(super) message: Message<'a>,
    #[serde(borrow, deserialize_with = "object")]
    pub(super) data: Progress<'a>,
    #[serde(borrow, deserialize_with = "object")]
    pub(super) tool_use_result: Outcome<'a>,
    #[serde(borrow)]
    pub(super) attachment: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
    /// Of system records and queue operations.
    #[serde(borrow, deserialize_with = "lenient::text")]
    pub(super) content: Option<Cow<'a, str>>,
    #[serde(borrow, deserialize_with = "lenient::text")]
    pub(super) operation: Option<Cow<'a, str>>,
    #[serde(borrow, deserialize_with = "lenient::text")]
    pub(super) summary: Option<Cow<'a, str>>,
    #[serde(borrow, deserialize_with = "lenient::text")]
    pub(super) leaf_uuid: Option<Cow<'a, str>>,
    #[serde(borrow, deserialize_with = "lenient::text")]
    pub(super) custom_title: Option<Cow<'a, str>>,
    #[serde(borrow, deserialize_with = "lenient::text")]
    pub(super) ai_title: Option<Cow<'a, str>>,
    #[serde(borrow, deserialize_with = "lenient::text")]
    pub(super) agent_name: Option<Cow<'a, str>>,
    #[serde(borrow, deserialize_with = "lenient::text")]
    pub(super) pr_url: Option<Cow<'a, str>>,
    /// What a stream ends with.
    #[serde(borrow, deserialize_with = "lenient::text")]
    pub(super) result: Option<Cow<'a, str>>,
    #[serde(borrow, deserialize_with = "lenient::list")]
    pub(super) errors: Vec<&'a RawValue>,
    #[serde(rename = "is_error", deserialize_with = "lenient::flag")]
    pub(super) is_error: bool,
    /// In streams.
    #[serde(borrow, rename = "session_id", deserialize_with = "lenient::text")]
    pub(super) stream_session: Option<Cow<'a, str>>,
}

/// The API message of a user or assistant record.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Message<'a> {
    #[serde(borrow, deserialize_with = "lenient::text")]
    pub(super) id: Option<Cow<'a, str>>,
    #[serde(borrow, deserialize_with = "lenient::text")]
    pub(super) model: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) content: Content<'a>,
    #[serde(deserialize_with = "object")]
    pub(super) usage: Tokens,
}

/// The tokens of an API message.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Tokens {
    #[serde(deserialize_with = "lenient::number")]
    input_tokens: Option<f64>,
    #[serde(deserialize_with = "lenient::number")]
    output_tokens: Option<f64>,
    #[serde(deserialize_with = "lenient::number")]
    cache_creation_input_tokens: Option<f64>,
    #[serde(deserialize_with = "lenient::number")]
    cache_read_input_tokens: Option<f64>,
}

/// What a progress record says that somebody needs.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Progress<'a> {
    #[serde(borrow, deserialize_with = "lenient::text")]
    pub(super) agent_id: Option<Cow<'a, str>>,
}

/// What the structured copy of a tool result says that somebody needs.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Outcome<'a> {
    #[serde(borrow, deserialize_with = "lenient::text")]
    pub(super) agent_id: Option<Cow<'a, str>>,
}

impl Line<'_> {
    pub(super) fn session(&self) -> Option<&str> {
        self.session_id
            .as_deref()
            .or(self.stream_session.as_deref())
    }
}

impl Tokens {
    /// As the model counts; `None` where nothing was counted.
    pub(crate) fn usage(&self) -> Option<Usage> {
        self.input_tokens.or(self.output_tokens)?;
        let number = |number: Option<f64>| number.unwrap_or_default() as u64;
        Some(Usage {
            input_tokens: number(self.input_tokens)
                .saturating_add(number(self.cache_creation_input_tokens)),
            output_tokens: number(self.output_tokens),
            cached_tokens: number(self.cache_read_input_tokens),
        })
    }
}

/// An object read in one pass; the default where the value is no object.
pub(crate) fn object<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    deserializer.deserialize_any(ObjectVisitor(PhantomData))
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, _: &str) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<T, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(T::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}
