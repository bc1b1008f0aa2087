//! A chat in the making: what all readers need to put one together.

use std::{collections::HashMap, io};

use readalong_model::{
    Artifact, ArtifactId, ArtifactRole, Availability, CallState, Chat, Digest, Message, MessageId,
    Part, Place, RawJson, Role, Thread, ThreadId, ThreadKind, Visibility, Warning,
};

use crate::surroundings::Surroundings;

/// Warnings that are kept one by one; more are only counted.
const WARNINGS_MAX: usize = 200;
/// Characters of a title that is made of a prompt.
const TITLE_CHARS_MAX: usize = 80;

/// A chat in the making.
pub(crate) struct ChatBuilder {
    pub(crate) chat: Chat,
    warnings: Vec<Warning>,
    warnings_left_out: usize,
    place: Place,
    places_of_messages: HashMap<MessageId, usize>,
    last_in_thread: HashMap<ThreadId, usize>,
    artifacts: HashMap<(Digest, String), ArtifactId>,
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
            warnings: Vec::new(),
            warnings_left_out: 0,
            place,
            places_of_messages: HashMap::new(),
            last_in_thread: HashMap::new(),
            artifacts: HashMap::new(),
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

    /// The message of that id.
    pub(crate) fn message(&mut self, id: &str) -> Option<&mut Message> {
        let place = *self.places_of_messages.get(&MessageId(id.to_owned()))?;
        self.chat.messages.get_mut(place)
    }

    /// Adds a message after all others; one with the same id is replaced where it stands.
    pub(crate) fn put(&mut self, message: Message) {
        if let Some(&place) = self.places_of_messages.get(&message.id) {
            self.chat.messages[place] = message;
            return;
        }
        let place = self.chat.messages.len();
        self.places_of_messages.insert(message.id.clone(), place);
        self.last_in_thread.insert(message.thread, place);
        self.chat.messages.push(message);
    }

    /// Adds a message that follows the last one of its thread.
    pub(crate) fn put_next(&mut self, mut message: Message) {
        message.parent = self.last_in(message.thread).map(|last| last.id.clone());
        self.put(message);
    }

    /// The newest message of a thread.
    pub(crate) fn last_in(&self, thread: ThreadId) -> Option<&Message> {
        self.last_in_thread
            .get(&thread)
            .and_then(|&place| self.chat.messages.get(place))
    }

    /// The id of a message that has no native one: made of its position and content, so that a re-import gives the same.
    pub(crate) fn id_by_position(&self, content: &[u8]) -> String {
        let position = self.chat.messages.len();
        format!("{position}-{}", Digest::of(content).short(12))
    }

    /// Adds a thread.
    pub(crate) fn add_thread(&mut self, thread: Thread) -> ThreadId {
        self.chat.threads.push(thread);
        ThreadId(self.chat.threads.len() as u32 - 1)
    }

    /// Moves all messages of a thread to another one that has none yet.
    pub(crate) fn move_messages(&mut self, from: ThreadId, to: ThreadId) {
        self.chat
            .messages
            .iter_mut()
            .filter(|message| message.thread == from)
            .for_each(|message| message.thread = to);
        if let Some(last) = self.last_in_thread.remove(&from) {
            self.last_in_thread.insert(to, last);
        }
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
        let Some((header, data)) = url
            .strip_prefix("data:")
            .and_then(|rest| rest.split_once(','))
        else {
            return Ok(None);
        };
        let media_type = header
            .split(';')
            .next()
            .filter(|essence| !essence.is_empty());
        let bytes = if header.ends_with(";base64") {
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

    /// Settles what only the whole chat tells, and gives it out with its warnings.
    pub(crate) fn finish(mut self, damaged_records: u64) -> (Chat, Vec<Warning>) {
        self.settle_calls();
        let chat = &mut self.chat;
        chat.damaged_records += damaged_records;
        let times = chat.messages.iter().filter_map(|message| message.at);
        chat.created_at = chat.created_at.or_else(|| times.clone().min());
        chat.updated_at = chat.updated_at.or_else(|| times.max());
        if chat.title.trim().is_empty() {
            chat.title = title_of(&chat.messages).unwrap_or_else(|| "Untitled chat".to_owned());
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

    /// Tells each tool call whether its result is in the chat.
    fn settle_calls(&mut self) {
        let mut results: HashMap<String, bool> = HashMap::new();
        for part in self.chat.messages.iter().flat_map(|message| &message.parts) {
            if let Part::ToolResult {
                call_id, is_error, ..
            } = part
            {
                *results.entry(call_id.clone()).or_default() |= *is_error;
            }
        }
        for part in self
            .chat
            .messages
            .iter_mut()
            .flat_map(|message| &mut message.parts)
        {
            let Part::ToolCall(call) = part else { continue };
            call.state = match (call.state, results.get(&call.call_id)) {
                (CallState::Denied, _) => CallState::Denied,
                (_, Some(true)) => CallState::Failed,
                (CallState::Failed, _) => CallState::Failed,
                (_, Some(false)) => CallState::Done,
                (_, None) => CallState::NoResult,
            };
        }
    }
}

/// The first line of the first prompt that people see.
fn title_of(messages: &[Message]) -> Option<String> {
    let prompts = messages.iter().filter(|m| {
        m.role == Role::User && m.visibility == Visibility::Shown && m.thread.is_main()
    });
    let mut texts = prompts
        .flat_map(|message| &message.parts)
        .filter_map(|part| match part {
            Part::Text { markdown } => Some(markdown),
            _ => None,
        });
    texts.find_map(|text| shorten(text, TITLE_CHARS_MAX))
}

/// The first line of a text that says something, cut at a word where it is long.
pub(crate) fn shorten(text: &str, chars_max: usize) -> Option<String> {
    let line = text
        .lines()
        .map(|line| {
            line.trim()
                .trim_start_matches(['#', '>', '*', '-', '`', ' '])
        })
        .find(|line| !line.is_empty())?;
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

fn decode_base64(data: &str) -> Option<Vec<u8>> {
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
