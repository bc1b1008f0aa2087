//! The JSON of an export, as far as it is read.

use std::borrow::Cow;

use readalong_model::Timestamp;
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::value::RawValue;

use crate::formats::lenient::{self, Members};

/// One conversation.
#[derive(Deserialize)]
pub(super) struct Conversation<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) title: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) id: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) conversation_id: Option<Cow<'a, str>>,
    #[serde(default, deserialize_with = "lenient::time")]
    pub(super) create_time: Option<Timestamp>,
    #[serde(default, deserialize_with = "lenient::time")]
    pub(super) update_time: Option<Timestamp>,
    #[serde(borrow, default, deserialize_with = "lenient::members")]
    pub(super) mapping: Option<Members<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) current_node: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) gizmo_id: Option<Cow<'a, str>>,
}

impl Conversation<'_> {
    /// True for a conversation that has lost its tree, false for some other record.
    pub(super) fn is_known(&self) -> bool {
        self.conversation_id.is_some()
            || self.current_node.is_some()
            || (self.title.is_some() && self.create_time.is_some())
    }
}

/// A node of the tree.
#[derive(Deserialize)]
pub(super) struct Node<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) parent: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::list")]
    pub(super) children: Vec<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "lenient::object")]
    pub(super) message: Option<MessageIn<'a>>,
}

/// A message.
#[derive(Deserialize)]
pub(super) struct MessageIn<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::object")]
    pub(super) author: Option<AuthorIn<'a>>,
    #[serde(default, deserialize_with = "lenient::time")]
    pub(super) create_time: Option<Timestamp>,
    #[serde(borrow, default)]
    pub(super) content: Option<ContentIn<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) status: Option<Cow<'a, str>>,
    #[serde(default, deserialize_with = "lenient::number")]
    pub(super) weight: Option<f64>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) recipient: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::object")]
    pub(super) metadata: Option<Metadata<'a>>,
}

/// Who wrote a message.
#[derive(Deserialize)]
pub(super) struct AuthorIn<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) role: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) name: Option<Cow<'a, str>>,
}

/// What a message says, of any kind.
pub(super) struct ContentIn<'a> {
    pub(super) raw: &'a RawValue,
    pub(super) members: ContentMembers<'a>,
    pub(super) parts: Vec<PartIn<'a>>,
}

impl<'de: 'a, 'a> Deserialize<'de> for ContentIn<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw: &'a RawValue = Deserialize::deserialize(deserializer)?;
        let members: ContentMembers<'_> = lenient::object_of(raw)
            .map_err(Error::custom)?
            .unwrap_or_default();
        // A list; some programs write its only part in its place.
        let list = match members.parts {
            Some(list) if list.get().starts_with('[') => lenient::list_of(list),
            Some(part) if part.get().starts_with(['"', '{']) => vec![part],
            _ => Vec::new(),
        };
        let parts = list
            .into_iter()
            .map(PartIn::of)
            .collect::<Result<_, _>>()
            .map_err(Error::custom)?;
        Ok(Self {
            raw,
            members,
            parts,
        })
    }
}

/// The members that content of the known kinds has.
#[derive(Default, Deserialize)]
pub(super) struct ContentMembers<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) content_type: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    parts: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) text: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) language: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) url: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) domain: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) title: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) snippet: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) result: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) summary: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) name: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) content: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) user_profile: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) user_instructions: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) model_set_context: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) output_str: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::objects")]
    pub(super) thoughts: Vec<Thought<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient::object")]
    pub(super) screenshot: Option<PartMembers<'a>>,
    #[serde(borrow, default)]
    pub(super) state: Option<&'a RawValue>,
}

/// One thought of a reasoning model.
#[derive(Deserialize)]
pub(super) struct Thought<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) summary: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) content: Option<Cow<'a, str>>,
}

/// A part of a text or of a mixed message.
pub(super) enum PartIn<'a> {
    Text(Cow<'a, str>),
    Object(&'a RawValue, Box<PartMembers<'a>>),
    Other(&'a RawValue),
}

impl<'a> PartIn<'a> {
    fn of(raw: &'a RawValue) -> Result<Self, serde_json::Error> {
        if let Some(text) = lenient::text_of(raw)? {
            return Ok(Self::Text(text));
        }
        Ok(match lenient::object_of(raw)? {
            Some(members) => Self::Object(raw, Box::new(members)),
            None => Self::Other(raw),
        })
    }

    /// True for a picture that the product drew.
    pub(super) fn is_drawn(&self) -> bool {
        matches!(self, Self::Object(_, members) if members.is_drawn())
    }
}

/// The members of a part that is no text: a pointer to a file, or what was said aloud.
#[derive(Deserialize)]
pub(super) struct PartMembers<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) content_type: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) asset_pointer: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) text: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) audio_asset_pointer: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) video_container_asset_pointer: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "lenient::list")]
    pub(super) frames_asset_pointers: Vec<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "lenient::object")]
    pub(super) metadata: Option<PartMetadata<'a>>,
}

#[derive(Deserialize)]
pub(super) struct PartMetadata<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::object")]
    pub(super) dalle: Option<Dalle<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient::members")]
    generation: Option<Members<'a>>,
}

impl PartMembers<'_> {
    /// True for a picture that the product drew.
    pub(super) fn is_drawn(&self) -> bool {
        let metadata = self.metadata.as_ref();
        metadata.is_some_and(|metadata| metadata.dalle.is_some() || metadata.generation.is_some())
    }
}

/// What a picture was made from.
#[derive(Deserialize)]
pub(super) struct Dalle<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) prompt: Option<Cow<'a, str>>,
}

/// What is known of a message beside its content.
#[derive(Default, Deserialize)]
pub(super) struct Metadata<'a> {
    #[serde(default, deserialize_with = "lenient::flag")]
    pub(super) is_visually_hidden_from_conversation: bool,
    #[serde(default, deserialize_with = "lenient::flag")]
    pub(super) is_user_system_message: bool,
    /// What a tool's message is for.
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) command: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) model_slug: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::objects")]
    pub(super) content_references: Vec<Reference<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient::objects")]
    pub(super) citations: Vec<Citation<'a>>,
    #[serde(
        borrow,
        default,
        rename = "_cite_metadata",
        deserialize_with = "lenient::object"
    )]
    pub(super) cite_metadata: Option<CiteMetadata<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient::objects")]
    pub(super) attachments: Vec<AttachmentIn<'a>>,
    #[serde(default, deserialize_with = "lenient::number")]
    pub(super) finished_duration_sec: Option<f64>,
    #[serde(borrow, default, deserialize_with = "lenient::object")]
    pub(super) aggregate_result: Option<RunResult<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient::object")]
    pub(super) finish_details: Option<FinishDetails<'a>>,
    /// The passage that a prompt answers to.
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) targeted_reply: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::object")]
    pub(super) chatgpt_sdk: Option<Window<'a>>,
}

/// The window that a tool shows in the product.
#[derive(Deserialize)]
pub(super) struct Window<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) widget_state: Option<Cow<'a, str>>,
}

/// What is shown there.
#[derive(Deserialize)]
pub(super) struct WindowState<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::object")]
    pub(super) report_message: Option<MessageIn<'a>>,
}

/// A mark in the text and what it stands for.
#[derive(Deserialize)]
pub(super) struct Reference<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) matched_text: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) alt: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) title: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) name: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) url: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) snippet: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::objects")]
    pub(super) items: Vec<ReferenceItem<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient::objects")]
    pub(super) sources: Vec<Site<'a>>,
}

#[derive(Deserialize)]
pub(super) struct ReferenceItem<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) title: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) url: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) snippet: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::objects")]
    pub(super) supporting_websites: Vec<Site<'a>>,
}

/// A page or file that something rests on.
#[derive(Clone, Default, Deserialize)]
pub(super) struct Site<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) title: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) url: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) snippet: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) text: Option<Cow<'a, str>>,
}

/// A citation of older exports: a mark at a place, counted in characters.
#[derive(Deserialize)]
pub(super) struct Citation<'a> {
    #[serde(default, deserialize_with = "lenient::number")]
    pub(super) start_ix: Option<f64>,
    #[serde(borrow, default, deserialize_with = "lenient::object")]
    pub(super) metadata: Option<Site<'a>>,
}

#[derive(Deserialize)]
pub(super) struct CiteMetadata<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::objects")]
    pub(super) metadata_list: Vec<Site<'a>>,
}

/// A file that the human gave.
#[derive(Clone, Deserialize)]
pub(super) struct AttachmentIn<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) id: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) name: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) mime_type: Option<Cow<'a, str>>,
    #[serde(
        borrow,
        default,
        rename = "mimeType",
        deserialize_with = "lenient::text"
    )]
    pub(super) mime_type_new: Option<Cow<'a, str>>,
}

/// What became of a run of the code interpreter.
#[derive(Deserialize)]
pub(super) struct RunResult<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) status: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::objects")]
    pub(super) messages: Vec<RunMessage<'a>>,
}

#[derive(Deserialize)]
pub(super) struct RunMessage<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) message_type: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    pub(super) image_url: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
pub(super) struct FinishDetails<'a> {
    #[serde(borrow, default, rename = "type", deserialize_with = "lenient::text")]
    pub(super) kind: Option<Cow<'a, str>>,
}
