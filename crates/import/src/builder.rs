//! A chat in the making: what all readers need to put one together.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io,
};

use readalong_model::{
    Artifact, ArtifactId, ArtifactRole, Author, AuthorKind, Availability, Chat, ChatHead, Digest,
    Message, MessageId, Part, Place, RawJson, Role, Thread, ThreadId, ThreadKind, Timestamp,
    Visibility, Warning, can_be_seen,
};

use crate::{
    messages::{Messages, Recall},
    surroundings::Surroundings,
};

/// Warnings that are kept one by one; more are only counted.
const WARNINGS_MAX: usize = 200;
/// Characters of a title that is made of a prompt.
const TITLE_CHARS_MAX: usize = 80;

/// Prompts that a title may be made of and that are kept at hand, at most: the first one may turn out to be none.
const TITLES_MAX: usize = 8;

/// A chat in the making. Its messages are asked for by methods, so that it is known which of them change.
pub(crate) struct ChatBuilder {
    /// What is said of the chat as a whole, and its artifacts. Its messages come in at the end.
    pub(crate) chat: Chat,
    messages: Messages,
    warnings: Vec<Warning>,
    warnings_left_out: usize,
    place: Place,
    last_in_thread: HashMap<ThreadId, usize>,
    artifacts: HashMap<(Digest, String), ArtifactId>,
    /// The file beside the transcript that messages come from at present; its name is in ids by position.
    within: Option<String>,
    /// How many messages came from each file.
    positions: HashMap<Option<String>, usize>,
    /// Threads that are new or changed since they were handed out.
    threads_changed: BTreeSet<u32>,
    /// Artifacts that were handed out.
    artifacts_sent: usize,
    seen: Seen,
}

/// What the head of a growing chat needs to know of its messages.
#[derive(Default)]
struct Seen {
    first_at: Option<Timestamp>,
    last_at: Option<Timestamp>,
    /// Titles that the first prompts would make, by the prompts' places.
    titles: BTreeMap<usize, String>,
    /// There are more such prompts.
    more_titles: bool,
}

impl ChatBuilder {
    /// An empty chat of that format, from a file of that name.
    pub(crate) fn new(format: &str, place: Place) -> Self {
        let mut chat = Chat::default();
        format.clone_into(&mut chat.origin.format);
        chat.threads.push(Thread {
            kind: ThreadKind::Main,
            title: None,
            parent_call: None,
        });
        Self {
            chat,
            messages: Messages::default(),
            warnings: Vec::new(),
            warnings_left_out: 0,
            place,
            last_in_thread: HashMap::new(),
            artifacts: HashMap::new(),
            within: None,
            positions: HashMap::new(),
            threads_changed: BTreeSet::new(),
            artifacts_sent: 0,
            seen: Seen::default(),
        }
    }

    /// An empty chat that grows: what changes is known, and old messages are got back where they are needed.
    pub(crate) fn growing(format: &str, place: Place, recall: Recall) -> Self {
        Self {
            messages: Messages::growing(recall),
            ..Self::new(format, place)
        }
    }

    /// Where the record that is being taken stands: the place of warnings to come.
    pub(crate) fn at(&mut self, place: &Place) {
        self.place.clone_from(place);
    }

    /// Notes a problem at the current place.
    pub(crate) fn warn(&mut self, message: impl Into<String>) {
        if self.warnings.len() < WARNINGS_MAX {
            self.warnings.push(Warning {
                place: self.place.clone(),
                message: message.into(),
            });
        } else {
            self.warnings_left_out += 1;
        }
    }

    /// How many messages there are.
    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Bytes of the messages that are held while the chat grows.
    pub(crate) fn held_bytes(&self) -> usize {
        self.messages.held_bytes()
    }

    /// True where there is a message of that id.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.messages.has(id)
    }

    /// The message of that id, to be changed.
    pub(crate) fn message(&mut self, id: &str) -> Option<&mut Message> {
        self.messages.at_mut(self.messages.place(id)?)
    }

    /// The message at that place, to be changed.
    pub(crate) fn message_at(&mut self, place: usize) -> Option<&mut Message> {
        self.messages.at_mut(place)
    }

    /// The message of that id, to look at.
    pub(crate) fn peek(&mut self, id: &str) -> Option<&Message> {
        self.messages.peek(self.messages.place(id)?)
    }

    /// The message at that place, to look at.
    pub(crate) fn peek_at(&mut self, place: usize) -> Option<&Message> {
        self.messages.peek(place)
    }

    /// Role, visibility and thread of the message at that place.
    pub(crate) fn kind_at(&self, place: usize) -> Option<(Role, Visibility, ThreadId)> {
        self.messages.kind_at(place)
    }

    /// The message that was added last.
    pub(crate) fn newest(&mut self) -> Option<&mut Message> {
        self.messages.at_mut(self.messages.len().checked_sub(1)?)
    }

    /// Adds a message after all others; one with the same id is replaced where it stands.
    pub(crate) fn put(&mut self, message: Message) {
        let (count, thread) = (self.messages.len(), message.thread);
        let place = self.messages.put(message);
        if place == count {
            self.last_in_thread.insert(thread, place);
            *self.positions.entry(self.within.clone()).or_default() += 1;
        }
    }

    /// Adds a message that follows the last one of its thread.
    pub(crate) fn put_next(&mut self, mut message: Message) {
        message.parent = self.last_id_in(message.thread);
        self.put(message);
    }

    /// Gives the newest message these parts where it has that id and role and says the beginning of them: programs write a message again
    /// whenever there is more of it. An id alone is not believed, since some have the chat's in every message. False where it is another one.
    pub(crate) fn grow_newest(
        &mut self,
        id: Option<&str>,
        role: Role,
        parts: &mut Vec<Part>,
    ) -> bool {
        let place = self.len().saturating_sub(1);
        let is_same = id.is_some_and(|id| self.messages.place(id) == Some(place));
        let grows = is_same
            && self
                .peek_at(place)
                .is_some_and(|newest| newest.role == role && is_beginning(&newest.parts, parts));
        if grows && let Some(newest) = self.newest() {
            newest.parts = std::mem::take(parts);
        }
        grows
    }

    /// Adds what a program injected for its model as a message that readers do not see.
    pub(crate) fn put_injected(&mut self, id: String, at: Option<Timestamp>, parts: Vec<Part>) {
        self.put_next(Message {
            author: Author {
                kind: Some(AuthorKind::Harness),
                ..Author::default()
            },
            at,
            visibility: Visibility::Hidden,
            parts,
            ..Message::new(id, Role::System)
        });
    }

    /// The id of the newest message of a thread.
    pub(crate) fn last_id_in(&self, thread: ThreadId) -> Option<MessageId> {
        self.messages.id_at(*self.last_in_thread.get(&thread)?)
    }

    /// The newest message of a thread, to look at.
    pub(crate) fn last_in(&mut self, thread: ThreadId) -> Option<&Message> {
        self.messages.peek(*self.last_in_thread.get(&thread)?)
    }

    /// The id of a message that has no native one: made of its position in its file and its content, so that a re-import gives the same.
    pub(crate) fn id_by_position(&self, content: &[u8]) -> String {
        let position = self.position();
        let digest = Digest::of(content).short(12);
        match &self.within {
            Some(file) => format!("{file}-{position}-{digest}"),
            None => format!("{position}-{digest}"),
        }
    }

    /// How many messages came from the file that is being read.
    pub(crate) fn position(&self) -> usize {
        self.positions.get(&self.within).copied().unwrap_or(0)
    }

    /// Messages come from a file beside the transcript from now on, or from the transcript itself again. Positions count a file at a time, so
    /// that they are the same whichever of two growing files is read first.
    pub(crate) fn read_within(&mut self, file: Option<&str>) {
        self.within = file.map(str::to_owned);
    }

    /// Adds a thread.
    pub(crate) fn add_thread(&mut self, thread: Thread) -> ThreadId {
        self.chat.threads.push(thread);
        let id = self.chat.threads.len() as u32 - 1;
        self.threads_changed.insert(id);
        ThreadId(id)
    }

    /// A thread, to be changed.
    pub(crate) fn thread_mut(&mut self, thread: ThreadId) -> Option<&mut Thread> {
        let entry = self.chat.threads.get_mut(thread.0 as usize)?;
        self.threads_changed.insert(thread.0);
        Some(entry)
    }

    /// Moves all messages of a thread to another one that has none yet; their places.
    pub(crate) fn move_messages(&mut self, from: ThreadId, to: ThreadId) -> Vec<usize> {
        let is_of = |place: &usize| {
            let kind = self.messages.kind_at(*place);
            kind.is_some_and(|(_, _, thread)| thread == from)
        };
        let places: Vec<usize> = (0..self.messages.len()).filter(is_of).collect();
        for place in &places {
            if let Some(message) = self.messages.at_mut(*place) {
                message.thread = to;
            }
        }
        if let Some(last) = self.last_in_thread.remove(&from) {
            self.last_in_thread.insert(to, last);
        }
        places
    }

    /// Keeps an unknown record as it was, in a message that readers see folded.
    ///
    /// # Errors
    /// The record is not JSON.
    pub(crate) fn put_unknown(
        &mut self,
        thread: ThreadId,
        label: &str,
        json: &str,
    ) -> Result<(), serde_json::Error> {
        let json: Box<serde_json::value::RawValue> = serde_json::from_str(json)?;
        let id = self.id_by_position(json.get().as_bytes());
        let mut message = Message {
            thread,
            visibility: Visibility::Meta,
            ..Message::new(id, Role::System)
        };
        message.parts.push(Part::Unknown {
            label: label.to_owned(),
            json: RawJson::from(json),
        });
        self.put_next(message);
        Ok(())
    }

    /// Adds a file whose bytes are there. The bytes decide what it is, the declared type counts where they say nothing.
    ///
    /// # Errors
    /// The bytes could not be kept.
    pub(crate) fn add_artifact(
        &mut self,
        name: &str,
        declared_type: Option<&str>,
        role: ArtifactRole,
        bytes: &[u8],
        surroundings: &mut dyn Surroundings,
    ) -> io::Result<ArtifactId> {
        let sha256 = surroundings.keep(bytes)?;
        let key = (sha256, name.to_owned());
        if let Some(id) = self.artifacts.get(&key) {
            return Ok(*id);
        }
        let media_type = media_type(name, declared_type, bytes);
        let name = if name.is_empty() {
            default_name(&media_type)
        } else {
            name.to_owned()
        };
        let dimensions = imagesize::blob_size(bytes)
            .ok()
            .filter(|_| media_type.starts_with("image/"))
            .and_then(|size| {
                Some((
                    u32::try_from(size.width).ok()?,
                    u32::try_from(size.height).ok()?,
                ))
            });
        let content = Availability::Present {
            sha256,
            size_bytes: bytes.len() as u64,
        };
        let id = self.push_artifact(Artifact {
            name,
            media_type,
            role,
            content,
            dimensions,
        });
        self.artifacts.insert(key, id);
        Ok(id)
    }

    /// Adds a file given as `data:` URL, as base64 or percent-encoded text; `None` where it is no such URL or does not decode.
    ///
    /// # Errors
    /// The bytes could not be kept.
    pub(crate) fn add_data_url(
        &mut self,
        name: &str,
        url: &str,
        role: ArtifactRole,
        surroundings: &mut dyn Surroundings,
    ) -> io::Result<Option<ArtifactId>> {
        let rest = url.get(DATA.len()..).filter(|_| is_data_url(url));
        let Some((header, data)) = rest.and_then(|rest| rest.split_once(',')) else {
            return Ok(None);
        };
        let media_type = header
            .split(';')
            .next()
            .filter(|essence| !essence.is_empty());
        let bytes = if header.to_ascii_lowercase().ends_with(";base64") {
            decode_base64(data)
        } else {
            Some(percent_decode(data))
        };
        match bytes {
            Some(bytes) => self
                .add_artifact(name, media_type, role, &bytes, surroundings)
                .map(Some),
            None => Ok(None),
        }
    }

    /// Adds a file given as base64; where that does not decode, a missing one and a warning.
    ///
    /// # Errors
    /// The bytes could not be kept.
    pub(crate) fn add_base64(
        &mut self,
        name: &str,
        declared_type: Option<&str>,
        role: ArtifactRole,
        data: &str,
        surroundings: &mut dyn Surroundings,
    ) -> io::Result<ArtifactId> {
        match decode_base64(data) {
            Some(bytes) => self.add_artifact(name, declared_type, role, &bytes, surroundings),
            None => {
                self.warn("a file's base64 does not decode; the file is shown as missing");
                Ok(self.add_missing(name, declared_type, role))
            }
        }
    }

    /// Adds text that was extracted from a file whose bytes are not there.
    ///
    /// # Errors
    /// The text could not be kept.
    pub(crate) fn add_text_only(
        &mut self,
        name: &str,
        declared_type: Option<&str>,
        role: ArtifactRole,
        text: &str,
        surroundings: &mut dyn Surroundings,
    ) -> io::Result<ArtifactId> {
        let sha256 = surroundings.keep(text.as_bytes())?;
        let media_type = media_type(name, declared_type, b"");
        let content = Availability::TextOnly {
            sha256,
            size_bytes: text.len() as u64,
        };
        Ok(self.push_artifact(Artifact {
            name: name.to_owned(),
            media_type,
            role,
            content,
            dimensions: None,
        }))
    }

    /// Adds a file that the transcript names and does not hold.
    pub(crate) fn add_missing(
        &mut self,
        name: &str,
        declared_type: Option<&str>,
        role: ArtifactRole,
    ) -> ArtifactId {
        self.add_without_bytes(name, declared_type, role, Availability::Missing)
    }

    /// Adds a file that lies on another host.
    pub(crate) fn add_external(
        &mut self,
        name: &str,
        declared_type: Option<&str>,
        role: ArtifactRole,
        url: &str,
    ) -> ArtifactId {
        self.add_without_bytes(
            name,
            declared_type,
            role,
            Availability::External {
                url: url.to_owned(),
            },
        )
    }

    fn add_without_bytes(
        &mut self,
        name: &str,
        declared_type: Option<&str>,
        role: ArtifactRole,
        content: Availability,
    ) -> ArtifactId {
        let media_type = media_type(name, declared_type, b"");
        let name = if name.is_empty() {
            default_name(&media_type)
        } else {
            name.to_owned()
        };
        self.push_artifact(Artifact {
            name,
            media_type,
            role,
            content,
            dimensions: None,
        })
    }

    /// Adds an artifact as it is.
    pub(crate) fn push_artifact(&mut self, artifact: Artifact) -> ArtifactId {
        self.chat.artifacts.push(artifact);
        ArtifactId(self.chat.artifacts.len() as u32 - 1)
    }

    /// What the calls say of their states stays: they are of a chat that was settled before.
    pub(crate) fn keep_states(&mut self) {
        self.messages.are_settled = true;
    }

    /// Settles what only the whole chat tells, and gives it out with its warnings.
    pub(crate) fn finish(mut self, damaged_records: u64) -> (Chat, Vec<Warning>) {
        let chat = &mut self.chat;
        chat.messages = self.messages.into_all();
        chat.damaged_records += damaged_records;
        let times = chat.messages.iter().filter_map(|message| message.at);
        chat.created_at = chat.created_at.or_else(|| times.clone().min());
        chat.updated_at = chat.updated_at.or_else(|| times.max());
        if !can_be_seen(&chat.title) {
            let title = chat.messages.iter().find_map(title_of);
            chat.title = title.unwrap_or_else(|| UNTITLED.to_owned());
        }
        if self.warnings_left_out > 0 {
            let message = format!("{} more warnings like these", self.warnings_left_out);
            self.warnings.push(Warning {
                place: Place {
                    number: 0,
                    ..self.place
                },
                message,
            });
        }
        (self.chat, self.warnings)
    }

    /// Looks through the messages that changed: what they say of calls and of the chat as a whole.
    pub(crate) fn look_through(&mut self) {
        let seen = &mut self.seen;
        self.messages.look_through(|place, message| {
            seen.first_at = seen.first_at.into_iter().chain(message.at).min();
            seen.last_at = seen.last_at.into_iter().chain(message.at).max();
            seen.titles.remove(&place);
            if let Some(title) = title_of(message) {
                seen.titles.insert(place, title);
                if seen.titles.len() > TITLES_MAX {
                    seen.titles.pop_last();
                    seen.more_titles = true;
                }
            }
        });
    }

    /// What is said of the growing chat as a whole, as of the last look through.
    pub(crate) fn head(&self, damaged_records: u64) -> ChatHead {
        let mut head = ChatHead::of(&self.chat);
        head.damaged_records += damaged_records;
        head.created_at = head.created_at.or(self.seen.first_at);
        head.updated_at = head.updated_at.or(self.seen.last_at);
        if !can_be_seen(&head.title) {
            let first = self.seen.titles.first_key_value();
            head.title = first.map_or_else(|| UNTITLED.to_owned(), |(_, title)| title.clone());
        }
        head
    }

    /// Threads that are new or changed since the last call.
    pub(crate) fn take_threads(&mut self) -> Vec<(u32, Thread)> {
        let threads = &self.chat.threads;
        std::mem::take(&mut self.threads_changed)
            .into_iter()
            .filter_map(|place| Some((place, threads.get(place as usize)?.clone())))
            .collect()
    }

    /// Artifacts that are new since the last call.
    pub(crate) fn take_artifacts(&mut self) -> Vec<(u32, Artifact)> {
        let sent = std::mem::replace(&mut self.artifacts_sent, self.chat.artifacts.len());
        let new = self.chat.artifacts.iter().enumerate().skip(sent);
        new.map(|(place, artifact)| (place as u32, artifact.clone()))
            .collect()
    }

    /// The messages, for handing them out.
    pub(crate) fn messages(&mut self) -> &mut Messages {
        &mut self.messages
    }

    /// True where something old was needed and could not be had: only reading the transcript anew makes the chat right.
    pub(crate) fn is_torn(&self) -> bool {
        let titles = &self.seen.titles;
        self.messages.missed() || (titles.is_empty() && self.seen.more_titles)
    }
}

/// What a chat without title and prompts is called.
const UNTITLED: &str = "Untitled chat";

/// The title that a message makes: the first line of a prompt that people see.
fn title_of(message: &Message) -> Option<String> {
    let is_prompt = message.role == Role::User
        && message.visibility == Visibility::Shown
        && message.thread.is_main();
    let mut texts = message.parts.iter().filter_map(|part| match part {
        Part::Text { markdown } if is_prompt => Some(markdown),
        _ => None,
    });
    texts.find_map(|text| shorten(text, TITLE_CHARS_MAX))
}

/// True where parts are what was there of others before those were whole.
fn is_beginning(before: &[Part], whole: &[Part]) -> bool {
    before.len() <= whole.len()
        && before.iter().zip(whole).all(|pair| match pair {
            (Part::Text { markdown }, Part::Text { markdown: whole })
            | (
                Part::Reasoning { markdown, .. },
                Part::Reasoning {
                    markdown: whole, ..
                },
            ) => whole.starts_with(markdown.as_str()),
            (before, whole) => before == whole,
        })
}

/// The first line of a text that says something, cut at a word where it is long.
pub(crate) fn shorten(text: &str, chars_max: usize) -> Option<String> {
    let line = text
        .lines()
        .map(|line| {
            line.trim()
                .trim_start_matches(['#', '>', '*', '-', '`', ' '])
        })
        .find(|line| can_be_seen(line))?;
    if line.chars().count() <= chars_max {
        return Some(line.to_owned());
    }
    let cut: String = line.chars().take(chars_max).collect();
    let at_word = cut
        .rfind(' ')
        .filter(|at| *at > cut.len() / 2)
        .unwrap_or(cut.len());
    Some(format!("{}…", cut[..at_word].trim_end()))
}

/// What a file is: by its first bytes, else as declared, else by its name.
fn media_type(name: &str, declared: Option<&str>, bytes: &[u8]) -> String {
    let valid = |text: &&str| {
        text.contains('/')
            && text.len() < 100
            && text.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
    };
    if let Some(kind) = infer::get(bytes) {
        return kind.mime_type().to_owned();
    }
    let by_name = || mime_guess::from_path(name).first_raw();
    declared
        .filter(valid)
        .filter(|declared| *declared != "application/octet-stream")
        .or_else(by_name)
        .unwrap_or("application/octet-stream")
        .to_ascii_lowercase()
}

fn default_name(media_type: &str) -> String {
    let (class, kind) = media_type.split_once('/').unwrap_or(("file", "bin"));
    let class = if matches!(class, "image" | "audio" | "video") {
        class
    } else {
        "file"
    };
    let extension = match kind {
        "jpeg" => "jpg",
        "svg+xml" => "svg",
        "plain" => "txt",
        "octet-stream" => "bin",
        other => other,
    };
    format!("{class}.{extension}")
}

/// The scheme of an address that holds the file itself.
const DATA: &str = "data:";

/// True for an address that holds the file itself.
pub(crate) fn is_data_url(url: &str) -> bool {
    has_scheme(url, DATA)
}

/// True for an address on the web.
pub(crate) fn is_web_url(url: &str) -> bool {
    has_scheme(url, "https://") || has_scheme(url, "http://")
}

/// Schemes are the same in capitals.
fn has_scheme(url: &str, scheme: &str) -> bool {
    url.get(..scheme.len())
        .is_some_and(|begin| begin.eq_ignore_ascii_case(scheme))
}

pub(crate) fn decode_base64(data: &str) -> Option<Vec<u8>> {
    use base64::{
        Engine, engine::DecodePaddingMode, engine::GeneralPurpose, engine::GeneralPurposeConfig,
    };
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let decode = |data: &[u8]| {
        let standard = GeneralPurpose::new(&base64::alphabet::STANDARD, config).decode(data);
        standard
            .or_else(|_| GeneralPurpose::new(&base64::alphabet::URL_SAFE, config).decode(data))
            .ok()
    };
    decode(data.as_bytes()).or_else(|| {
        let dense: Vec<u8> = data.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
        decode(&dense)
    })
}

fn percent_decode(data: &str) -> Vec<u8> {
    let bytes = data.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        let value = escape
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        out.push(value.unwrap_or(bytes[at]));
        at += if value.is_some() { 3 } else { 1 };
    }
    out
}
