//! The files of an export: pointers in messages to members of the zip, in all the ways that exports have named them.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    io,
};

use readalong_model::{ArtifactId, ArtifactRole};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{builder::ChatBuilder, formats::lenient, surroundings::Surroundings};

/// Lists of file names, newest exports only.
const NAMES_MEMBER: &str = "conversation_asset_file_names.json";
const LIBRARY_MEMBER: &str = "library_files.json";
/// Names that a file of a conversation is read under. Real ones have one, or another one with the text that links to them. A mention takes
/// a few bytes of the export, and reading the file as long as its author likes.
const NAMES_MAX: usize = 16;

/// Finds the files of one conversation. Lists and names are read when the first file is asked for.
pub(super) struct Assets {
    conversation_id: Option<String>,
    found: Option<Found>,
}

#[derive(Default)]
struct Found {
    /// Base name to path of what lies beside the conversations.
    members: BTreeMap<String, String>,
    /// File id to name.
    names: HashMap<String, String>,
    library: Vec<LibraryFile>,
    /// What was made of a member, by its path: under each name once.
    read: HashMap<String, Vec<(String, ArtifactId)>>,
}

/// A file of the product's library.
struct LibraryFile {
    id: String,
    name: String,
    media_type: Option<String>,
    message_id: Option<String>,
    conversation_id: Option<String>,
}

/// What is known of a file beside its id.
#[derive(Clone, Copy)]
pub(super) struct Hint<'a> {
    pub(super) name: Option<&'a str>,
    pub(super) media_type: Option<&'a str>,
    pub(super) role: ArtifactRole,
}

impl Assets {
    pub(super) fn new(conversation_id: Option<&str>) -> Self {
        Self {
            conversation_id: conversation_id.map(str::to_owned),
            found: None,
        }
    }

    /// Adds the file of an id: with its bytes where the export has them.
    pub(super) fn add(
        &mut self,
        id: &str,
        hint: Hint<'_>,
        chat: &mut ChatBuilder,
        surroundings: &mut dyn Surroundings,
    ) -> io::Result<ArtifactId> {
        let conversation_id = self.conversation_id.clone();
        let found = match &mut self.found {
            Some(found) => found,
            none => none.insert(Found::load(conversation_id.as_deref(), surroundings)?),
        };
        let in_library = found.library.iter().find(|file| file.id == id);
        let listed = found
            .names
            .get(id)
            .map(String::as_str)
            .or(in_library.map(|file| file.name.as_str()));
        let media_type = hint
            .media_type
            .or(in_library.and_then(|file| file.media_type.as_deref()));
        let member = found.member(id);
        let own = member.map(|(base, _)| {
            base.get(id.len()..)
                .unwrap_or_default()
                .trim_start_matches(['-', '_'])
        });
        let own = own
            .filter(|rest| rest.contains('.') && !rest.starts_with('.') && !rest.ends_with(".dat"));
        let name = hint.name.or(listed).or(own).unwrap_or(id);
        let Some((_, path)) = member else {
            return Ok(chat.add_missing(name, media_type, hint.role));
        };
        let read = found.read.get(path).map_or(&[][..], Vec::as_slice);
        if let Some((_, artifact)) = read.iter().find(|(known, _)| known == name) {
            return Ok(*artifact);
        }
        if let Some((_, artifact)) = read.first().filter(|_| read.len() >= NAMES_MAX) {
            chat.warn("a file has too many names; it is shown under its first one");
            return Ok(*artifact);
        }
        let artifact = match surroundings.beside(path)? {
            Some(bytes) => chat.add_artifact(name, media_type, hint.role, &bytes, surroundings)?,
            None => chat.add_missing(name, media_type, hint.role),
        };
        let (name, path) = (name.to_owned(), path.to_owned());
        found.read.entry(path).or_default().push((name, artifact));
        Ok(artifact)
    }

    /// The id of the file that a message calls `sandbox:/mnt/data/<name>`: what the message made, what the conversation made, or the only
    /// file of that name.
    pub(super) fn sandbox_id(
        &mut self,
        name: &str,
        message_id: &str,
        surroundings: &mut dyn Surroundings,
    ) -> io::Result<Option<String>> {
        let conversation_id = self.conversation_id.clone();
        let found = match &mut self.found {
            Some(found) => found,
            none => none.insert(Found::load(conversation_id.as_deref(), surroundings)?),
        };
        let mut named = found.library.iter().filter(|file| file.name == name);
        let by_message = named
            .clone()
            .find(|file| file.message_id.as_deref() == Some(message_id));
        let in_conversation = |file: &&LibraryFile| {
            conversation_id.is_some() && file.conversation_id == conversation_id
        };
        let by_conversation = by_message.or_else(|| named.clone().find(in_conversation));
        let only = match (named.next(), named.next()) {
            (Some(file), None) => Some(file),
            _ => None,
        };
        Ok(by_conversation.or(only).map(|file| file.id.clone()))
    }
}

impl Found {
    fn load(
        conversation_id: Option<&str>,
        surroundings: &mut dyn Surroundings,
    ) -> io::Result<Self> {
        let mut found = Self::default();
        let mut folders = vec![String::new(), "dalle-generations".to_owned()];
        if let Some(id) = conversation_id.filter(|id| {
            id.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        }) {
            folders.extend([id.to_owned(), format!("{id}/audio")]);
        }
        for folder in folders {
            for name in surroundings.names_in(&folder) {
                let path = if folder.is_empty() {
                    name
                } else {
                    format!("{folder}/{name}")
                };
                let base = path.rsplit('/').next().unwrap_or_default().to_owned();
                // Everything that is not a file of a chat is none of our business: profiles, settings, feedback.
                if base.starts_with("file-") || base.starts_with("file_") {
                    found.members.entry(base).or_insert(path);
                }
            }
        }
        if let Some(bytes) = surroundings.beside(NAMES_MEMBER)? {
            found.read_names(&bytes);
        }
        if let Some(bytes) = surroundings.beside(LIBRARY_MEMBER)? {
            found.read_library(&bytes);
        }
        Ok(found)
    }

    fn read_names(&mut self, bytes: &[u8]) {
        let Ok(lenient::Members(members)) = serde_json::from_slice(bytes) else {
            return;
        };
        for (key, raw) in members {
            if let Ok(Some(name)) = lenient::text_of(raw) {
                let id = key.strip_suffix(".dat").unwrap_or(&key);
                self.names.insert(id.to_owned(), name.into_owned());
            }
        }
    }

    fn read_library(&mut self, bytes: &[u8]) {
        let Ok(records) = serde_json::from_slice::<Vec<&RawValue>>(bytes) else {
            return;
        };
        for raw in records {
            let Ok(Some(LibraryIn {
                file_id: Some(id),
                file_name: Some(name),
                mime_type,
                origination_message_id,
                origination_thread_id,
            })) = lenient::object_of(raw)
            else {
                continue;
            };
            self.library.push(LibraryFile {
                id: id.into_owned(),
                name: name.into_owned(),
                media_type: mime_type.map(Cow::into_owned),
                message_id: origination_message_id.map(Cow::into_owned),
                conversation_id: origination_thread_id.map(Cow::into_owned),
            });
        }
    }

    /// The member whose base name begins with the id and goes on with something that is no part of an id.
    fn member(&self, id: &str) -> Option<(&str, &str)> {
        if !(id.starts_with("file-") || id.starts_with("file_")) {
            return None;
        }
        let candidates = self
            .members
            .range(id.to_owned()..)
            .take_while(|(base, _)| base.starts_with(id));
        let ends = |base: &str| {
            base.get(id.len()..)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_', '.']))
        };
        candidates
            .map(|(base, path)| (base.as_str(), path.as_str()))
            .find(|(base, _)| ends(base))
    }
}

#[derive(Deserialize)]
struct LibraryIn<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    file_id: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    file_name: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    mime_type: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    origination_message_id: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    origination_thread_id: Option<Cow<'a, str>>,
}

/// The file id in a pointer: `file-service://file-XXXX`, `sediment://file_<hex>`, either with pieces after `#` or `?`.
pub(super) fn id_in(pointer: &str) -> &str {
    let rest = pointer.split_once("://").map_or(pointer, |(_, rest)| rest);
    rest.split(['#', '?']).next().unwrap_or(rest)
}
