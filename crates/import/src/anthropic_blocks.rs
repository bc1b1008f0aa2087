//! Content blocks of Anthropic's Messages API, as transcripts and message arrays hold them, into parts.
//!
//! Source of the shapes: real transcripts and the vendor's API. Knows blocks only: who speaks and how messages follow each
//! other is the reader's business.

use std::{borrow::Cow, fmt, io};

use readalong_model::{ArtifactRole, Part, RawJson};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{
    builder::{ChatBuilder, is_web_url},
    formats::lenient,
    names::Names,
    surroundings::Surroundings,
};

mod tools;

/// How deep blocks are looked into; a fetched page in a tool result takes four steps.
const DEPTH_MAX: usize = 8;

/// The content of a message or of a tool result.
#[derive(Default)]
pub(crate) enum Content<'a> {
    /// No content, or a value that is none.
    #[default]
    Nothing,
    /// Plain text.
    Text(Cow<'a, str>),
    /// Blocks, in order.
    Blocks(Vec<Element<'a>>),
    /// One object in the place of blocks, as server tools answer.
    Object(Vec<(Cow<'a, str>, &'a RawValue)>),
}

/// An element of a list of blocks. It is parsed on its own, and what lies in it later: hostile nesting must not deepen the stack.
pub(crate) struct Element<'a> {
    raw: &'a RawValue,
    /// `None` where the element is not parsed yet, or is neither a block nor a text.
    block: Option<Block<'a>>,
}

/// A block: the members of all kinds together, each absent where it is of another type than expected.
#[derive(Deserialize)]
pub(crate) struct Block<'a> {
    #[serde(borrow, rename = "type", default, deserialize_with = "lenient::text")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    text: Option<Cow<'a, str>>,
    /// A text; of other vendors that took the blocks over a list of texts.
    #[serde(borrow, default)]
    thinking: Content<'a>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    tool_use_id: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    title: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    url: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    file_id: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    tool_name: Option<Cow<'a, str>>,
    #[serde(default, deserialize_with = "lenient::flag")]
    is_error: bool,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
    #[serde(borrow, default)]
    source: Option<&'a RawValue>,
    #[serde(borrow, default)]
    citations: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content: Content<'a>,
}

/// Where the bytes of an image or document are.
#[derive(Deserialize)]
struct FileSource<'a> {
    #[serde(borrow, rename = "type", default, deserialize_with = "lenient::text")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    media_type: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    data: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    url: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    file_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    content: Content<'a>,
}

/// What a text rests on.
#[derive(Deserialize)]
struct Citation<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    title: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    document_title: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    url: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    source: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    cited_text: Option<Cow<'a, str>>,
}

/// What a code execution answered.
#[derive(Deserialize)]
struct Execution<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    stdout: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    stderr: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    error_code: Option<Cow<'a, str>>,
    #[serde(default, deserialize_with = "lenient::number")]
    return_code: Option<f64>,
    #[serde(borrow, default)]
    content: Content<'a>,
}

/// Call ids as the chat has them: the native ones, made unique where a transcript uses one twice.
#[derive(Default)]
pub(crate) struct CallIds {
    /// How often each native id was used.
    uses: Names,
}

impl CallIds {
    /// The name of a new call.
    pub(crate) fn declare(&mut self, native: &str) -> String {
        let uses = self.uses.get(native).unwrap_or(0) + 1;
        self.uses.insert(native, uses);
        Self::name(native, uses)
    }

    /// True where there is a call with that native id.
    pub(crate) fn knows(&self, native: &str) -> bool {
        self.uses.get(native).is_some()
    }

    /// The name of the call that a result answers.
    pub(crate) fn answered(&self, native: &str) -> String {
        match self.uses.get(native) {
            Some(uses) => Self::name(native, uses),
            None => native.to_owned(),
        }
    }

    /// The name of the newest call with that native id.
    fn name(native: &str, uses: u32) -> String {
        if uses == 1 && !native.is_empty() {
            native.to_owned()
        } else {
            format!("{native}~{uses}")
        }
    }
}

/// What reading blocks changes besides the parts it makes.
pub(crate) struct World<'w> {
    pub(crate) chat: &'w mut ChatBuilder,
    pub(crate) surroundings: &'w mut dyn Surroundings,
    pub(crate) calls: &'w mut CallIds,
}

impl<'a> Content<'a> {
    /// Parses the elements.
    ///
    /// # Errors
    /// An element cannot be read as it stands and can be repaired: the record is to be refused, and comes again.
    pub(crate) fn parse(&mut self) -> Result<(), serde_json::Error> {
        let Self::Blocks(elements) = self else {
            return Ok(());
        };
        for element in elements {
            match Block::of(element.raw) {
                Err(error) if lenient::is_repairable(&error) => return Err(error),
                block => element.block = block.ok().flatten(),
            }
        }
        Ok(())
    }

    /// True where there is nothing that could be read.
    pub(crate) fn is_unreadable(&self) -> bool {
        matches!(self, Self::Nothing | Self::Object(_))
    }

    /// The texts of the content, without looking into blocks of other kinds.
    pub(crate) fn texts(&self) -> Vec<&str> {
        match self {
            Self::Text(text) => vec![text],
            Self::Blocks(elements) => elements.iter().filter_map(Element::plain_text).collect(),
            Self::Nothing | Self::Object(_) => Vec::new(),
        }
    }

    /// The thoughts of the content.
    pub(crate) fn thoughts(&self) -> Vec<&str> {
        self.blocks()
            .flat_map(|block| block.thinking.texts())
            .collect()
    }

    /// The native ids of the calls in the content.
    pub(crate) fn calls(&self) -> Vec<&str> {
        let is_call = |block: &&Block<'_>| {
            let kind = block.kind.as_deref();
            kind.is_some_and(|kind| kind.ends_with("tool_use"))
        };
        let calls = self.blocks().filter(is_call);
        calls.filter_map(|block| block.id.as_deref()).collect()
    }

    fn blocks(&self) -> impl Iterator<Item = &Block<'a>> {
        let elements = match self {
            Self::Blocks(elements) => elements.as_slice(),
            _ => &[],
        };
        elements.iter().filter_map(|element| element.block.as_ref())
    }

    /// The first native id of a call that the content answers.
    pub(crate) fn answered_call(&self) -> Option<&str> {
        self.blocks().find_map(|block| block.tool_use_id.as_deref())
    }

    /// The content as parts. Tool results among them are for the caller to put into messages of their own.
    ///
    /// # Errors
    /// A file could not be kept.
    pub(crate) fn read(self, role: ArtifactRole, world: &mut World<'_>) -> io::Result<Vec<Part>> {
        let mut parts = Vec::new();
        self.read_into(role, DEPTH_MAX, world, &mut parts)?;
        Ok(parts)
    }

    fn read_into(
        self,
        role: ArtifactRole,
        depth: usize,
        world: &mut World<'_>,
        parts: &mut Vec<Part>,
    ) -> io::Result<()> {
        match self {
            Self::Nothing => {}
            Self::Text(text) => put_text(parts, text),
            Self::Blocks(elements) => {
                for element in elements {
                    element.read(role, depth, world, parts)?;
                }
            }
            Self::Object(members) => read_object(&raw_object(&members), role, depth, world, parts)?,
        }
        Ok(())
    }
}

impl<'a> Element<'a> {
    fn plain_text(&self) -> Option<&str> {
        let block = self
            .block
            .as_ref()
            .filter(|block| block.kind.as_deref() == Some("text"))?;
        block.text.as_deref()
    }

    fn read(
        self,
        role: ArtifactRole,
        depth: usize,
        world: &mut World<'_>,
        parts: &mut Vec<Part>,
    ) -> io::Result<()> {
        let block = self.block.or_else(|| Block::of(self.raw).ok().flatten());
        let Some(mut block) = block.filter(|_| depth > 0) else {
            parts.push(unknown("", self.raw));
            return Ok(());
        };
        let kind = block.kind.as_deref().unwrap_or_default();
        match kind {
            "text" if block.text.is_some() => {
                put_text(parts, block.text.unwrap_or_default());
                put_citations(parts, block.citations);
            }
            "thinking" if !matches!(block.thinking, Content::Object(_)) => {
                block.thinking.parse().ok();
                parts.push(Part::Reasoning {
                    markdown: block.thinking.texts().join("\n\n"),
                    duration_ms: None,
                });
            }
            "redacted_thinking" => parts.push(Part::Reasoning {
                markdown: String::new(),
                duration_ms: None,
            }),
            "tool_use" | "server_tool_use" | "mcp_tool_use" if block.name.is_some() => {
                let call_id = world.calls.declare(block.id.as_deref().unwrap_or_default());
                let name = block.name.as_deref().unwrap_or_default();
                let mut call = tools::tool_call(call_id, name, block.input);
                if let Some(plan) = tools::take_plan(&mut call) {
                    put_text(parts, plan.into());
                }
                parts.push(Part::ToolCall(call));
            }
            "image" if block.source.is_some() => {
                let artifact = read_file(block.source, "", Some("image/png"), role, world)?;
                parts.push(artifact.map_or_else(
                    || unknown(kind, self.raw),
                    |artifact| Part::Image {
                        artifact,
                        alt: None,
                    },
                ));
            }
            "document" if block.source.is_some() => {
                let title = block.title.as_deref().unwrap_or_default();
                match read_document(block.source, title, depth, role, world)? {
                    Some(found) => parts.extend(found),
                    None => parts.push(unknown(kind, self.raw)),
                }
            }
            "container_upload" => {
                let artifact =
                    world
                        .chat
                        .add_missing(block.file_id.as_deref().unwrap_or("file"), None, role);
                parts.push(Part::File { artifact });
            }
            "web_search_result" => put_source(parts, block.title, block.url, None),
            "web_fetch_result" => {
                put_source(parts, block.title, block.url, None);
                block.content.read_into(role, depth - 1, world, parts)?;
            }
            "search_result" => {
                block.content.parse().ok();
                let excerpt = block.content.texts().join("\n");
                put_source(
                    parts,
                    block.title,
                    block
                        .source
                        .and_then(|source| lenient::text_of(source).ok().flatten()),
                    Some(excerpt),
                );
            }
            "tool_reference" if block.tool_name.is_some() => {
                put_text(parts, block.tool_name.unwrap_or_default())
            }
            _ if block.tool_use_id.is_some() && kind.ends_with("_result") => {
                let call_id = world
                    .calls
                    .answered(block.tool_use_id.as_deref().unwrap_or_default());
                let is_error = block.is_error || block.content.is_error();
                let mut inner = Vec::new();
                block
                    .content
                    .read_into(ArtifactRole::ToolOutput, depth - 1, world, &mut inner)?;
                parts.push(Part::ToolResult {
                    call_id,
                    parts: inner,
                    is_error,
                });
            }
            _ => parts.push(unknown(kind, self.raw)),
        }
        Ok(())
    }
}

impl Content<'_> {
    /// True for the object that a server tool answers with when it failed.
    fn is_error(&self) -> bool {
        let Self::Object(members) = self else {
            return false;
        };
        members
            .iter()
            .any(|(key, value)| key == "type" && value.get().ends_with("_error\""))
    }
}

/// Text that says nothing makes no part.
fn put_text(parts: &mut Vec<Part>, text: Cow<'_, str>) {
    if !text.trim().is_empty() {
        parts.push(Part::Text {
            markdown: text.into_owned(),
        });
    }
}

fn unknown(label: &str, raw: &RawValue) -> Part {
    Part::Unknown {
        label: label.to_owned(),
        json: RawJson::from(raw.to_owned()),
    }
}

fn put_source(
    parts: &mut Vec<Part>,
    title: Option<Cow<'_, str>>,
    url: Option<Cow<'_, str>>,
    excerpt: Option<String>,
) {
    let title = title
        .filter(|title| !title.is_empty())
        .or_else(|| url.clone())
        .unwrap_or_default()
        .into_owned();
    let source = Part::Source {
        title,
        url: url.map(Cow::into_owned),
        excerpt: excerpt.filter(|text| !text.trim().is_empty()),
    };
    if !parts.contains(&source) {
        parts.push(source);
    }
}

fn put_citations(parts: &mut Vec<Part>, citations: Option<&RawValue>) {
    let mut sources = Vec::new();
    for raw in citations.map(lenient::list_of).unwrap_or_default() {
        let Ok(Some(citation)) = lenient::object_of::<Citation<'_>>(raw) else {
            continue;
        };
        let title = citation.title.or(citation.document_title);
        put_source(
            &mut sources,
            title,
            citation.url.or(citation.source),
            citation.cited_text.map(Cow::into_owned),
        );
    }
    parts.append(&mut sources);
}

/// The file that a `source` holds, names or points to; `None` where it is no source that is known.
fn read_file(
    source: Option<&RawValue>,
    name: &str,
    default_type: Option<&str>,
    role: ArtifactRole,
    world: &mut World<'_>,
) -> io::Result<Option<readalong_model::ArtifactId>> {
    let Some(Ok(Some(source))) = source.map(lenient::object_of::<FileSource<'_>>) else {
        return Ok(None);
    };
    let declared = source.media_type.as_deref().or(default_type);
    let artifact =
        match (source.data, source.url, source.file_id) {
            (Some(text), ..) if source.kind.as_deref() == Some("text") => world
                .chat
                .add_text_only(name, declared, role, &text, world.surroundings)?,
            (Some(data), ..) => {
                world
                    .chat
                    .add_base64(name, declared, role, &data, world.surroundings)?
            }
            (None, Some(url), _) => {
                match world
                    .chat
                    .add_data_url(name, &url, role, world.surroundings)?
                {
                    Some(artifact) => artifact,
                    None if is_web_url(&url) => {
                        world
                            .chat
                            .add_external(name_in_url(name, &url), declared, role, &url)
                    }
                    None => world.chat.add_missing(name, declared, role),
                }
            }
            (None, None, Some(id)) => {
                world
                    .chat
                    .add_missing(if name.is_empty() { &id } else { name }, declared, role)
            }
            (None, None, None) => return Ok(None),
        };
    Ok(Some(artifact))
}

fn name_in_url<'u>(name: &'u str, url: &'u str) -> &'u str {
    let last = || {
        url.split(['?', '#'])
            .next()
            .and_then(|path| path.rsplit('/').next())
            .unwrap_or_default()
    };
    if name.is_empty() { last() } else { name }
}

/// A document: a file, or blocks of its own.
fn read_document(
    source: Option<&RawValue>,
    title: &str,
    depth: usize,
    role: ArtifactRole,
    world: &mut World<'_>,
) -> io::Result<Option<Vec<Part>>> {
    let parsed = source.map(lenient::object_of::<FileSource<'_>>);
    if let Some(Ok(Some(FileSource {
        content: content @ (Content::Blocks(_) | Content::Text(_)),
        ..
    }))) = parsed
    {
        let mut parts = Vec::new();
        content.read_into(role, depth - 1, world, &mut parts)?;
        return Ok(Some(parts));
    }
    let name = if title.is_empty() { "document" } else { title };
    Ok(read_file(source, name, None, role, world)?.map(|artifact| vec![Part::File { artifact }]))
}

/// What a server tool answered as one object: a code execution, a fetched page, an error.
fn read_object(
    json: &str,
    role: ArtifactRole,
    depth: usize,
    world: &mut World<'_>,
    parts: &mut Vec<Part>,
) -> io::Result<()> {
    let Ok(raw) = serde_json::from_str::<&RawValue>(json) else {
        return Ok(());
    };
    let before = parts.len();
    if let (Some(depth), Ok(Some(execution))) = (
        depth.checked_sub(1),
        lenient::object_of::<Execution<'_>>(raw),
    ) {
        for text in [execution.stdout, execution.stderr].into_iter().flatten() {
            put_text(parts, text);
        }
        if let Some(code) = execution.return_code.filter(|code| *code != 0.0) {
            parts.push(Part::Text {
                markdown: format!("exit code {code}"),
            });
        }
        if let Some(code) = execution.error_code {
            put_text(parts, code);
        }
        if let Content::Blocks(elements) = execution.content {
            for element in elements {
                let file_id = Block::of(element.raw)
                    .ok()
                    .flatten()
                    .and_then(|block| block.file_id);
                match file_id {
                    Some(file_id) => parts.push(Part::File {
                        artifact: world.chat.add_missing(&file_id, None, role),
                    }),
                    None => element.read(role, depth, world, parts)?,
                }
            }
        }
    }
    if parts.len() == before {
        let block = Block::of(raw).ok().flatten();
        let known = block.filter(|block| {
            matches!(
                block.kind.as_deref(),
                Some("text" | "image" | "document" | "web_fetch_result")
            )
        });
        match known.filter(|_| depth > 0) {
            Some(block) => Element {
                raw,
                block: Some(block),
            }
            .read(role, depth - 1, world, parts)?,
            None => parts.push(unknown("", raw)),
        }
    }
    Ok(())
}

/// Members back into the object they came from.
fn raw_object(members: &[(Cow<'_, str>, &RawValue)]) -> String {
    let mut json = String::from("{");
    for (key, value) in members {
        if json.len() > 1 {
            json.push(',');
        }
        json.push_str(&serde_json::Value::from(key.as_ref()).to_string());
        json.push(':');
        json.push_str(value.get());
    }
    json.push('}');
    json
}

impl<'a> Block<'a> {
    /// An element as a block; a string counts as a text block. `None` for anything else.
    fn of(raw: &'a RawValue) -> Result<Option<Self>, serde_json::Error> {
        match raw.get().starts_with('"') {
            true => Ok(lenient::text_of(raw)?.map(Self::text)),
            false => lenient::object_of(raw),
        }
    }

    /// A text that stands in the place of a block.
    fn text(text: Cow<'a, str>) -> Self {
        Self {
            kind: Some(Cow::Borrowed("text")),
            text: Some(text),
            thinking: Content::Nothing,
            id: None,
            name: None,
            tool_use_id: None,
            title: None,
            url: None,
            file_id: None,
            tool_name: None,
            is_error: false,
            input: None,
            source: None,
            citations: None,
            content: Content::Nothing,
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Content<'de>, E> {
        Ok(Content::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Content<'de>, E> {
        Ok(Content::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Content<'de>, E> {
        Ok(Content::Nothing)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Content<'de>, E> {
        Ok(Content::Nothing)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Content<'de>, E> {
        Ok(Content::Nothing)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Content<'de>, E> {
        Ok(Content::Nothing)
    }

    fn visit_unit<E>(self) -> Result<Content<'de>, E> {
        Ok(Content::Nothing)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Content<'de>, A::Error> {
        let mut elements = Vec::new();
        while let Some(raw) = seq.next_element()? {
            elements.push(Element { raw, block: None });
        }
        Ok(Content::Blocks(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Content<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some(key) = map.next_key::<Key<'de>>()? {
            match key.0 {
                Some(key) => members.push((key, map.next_value()?)),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Content::Object(members))
    }
}

struct Key<'a>(Option<Cow<'a, str>>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        lenient::text(deserializer).map(Self)
    }
}
