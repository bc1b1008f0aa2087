//! What the tests of all formats share: fixtures and samples read as chats, and chats as compact text.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
};

use readalong_model::{Chat, Digest, Message, Part, Role, Visibility};

use crate::{ImportError, Imported, Pick, Source, Surroundings, Transcript};

/// A folder of files that lie beside a transcript; what is kept stays in memory.
pub(super) struct Folder {
    pub(super) path: PathBuf,
    pub(super) kept: HashMap<Digest, Vec<u8>>,
}

impl Surroundings for Folder {
    fn keep(&mut self, bytes: &[u8]) -> io::Result<Digest> {
        let digest = Digest::of(bytes);
        self.kept.insert(digest, bytes.to_owned());
        Ok(digest)
    }

    fn beside(&mut self, path: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.path.join(path)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(_) => Ok(None),
        }
    }

    fn names_in(&mut self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path.join(folder))
            .into_iter()
            .flatten()
            .flatten();
        let name_of = |entry: fs::DirEntry| {
            let end = if entry.path().is_dir() { "/" } else { "" };
            Some(entry.file_name().into_string().ok()? + end)
        };
        let mut names: Vec<String> = entries.filter_map(name_of).collect();
        names.sort();
        names
    }
}

/// The folder of a format's fixtures.
pub(super) fn fixtures(format: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/fixtures/formats")
        .join(format)
}

/// Real samples of a format, by file name; none (and a note) where they are not on this machine.
pub(super) fn samples(folder: &str) -> Vec<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/samples")
        .join(folder);
    let Ok(entries) = fs::read_dir(&path) else {
        eprintln!("no samples at {}: skipped", path.display());
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// A file as a transcript, its format found by its content.
pub(super) fn open(path: &Path) -> Transcript {
    open_as(path, None)
}

/// A file as a transcript of a format.
pub(super) fn open_as(path: &Path, format: Option<&str>) -> Transcript {
    let file = path.to_owned();
    let open = Box::new(move || Ok(Box::new(fs::File::open(&file)?) as Box<dyn crate::ReadSeek>));
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    Transcript::open(Source { name, open }, format)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The only chat of a file.
pub(super) fn read(path: &Path) -> Imported {
    read_picked(path, &Pick::Only)
}

/// One chat of a file.
pub(super) fn read_picked(path: &Path, pick: &Pick) -> Imported {
    let mut folder = Folder {
        path: path.parent().unwrap().to_owned(),
        kept: HashMap::new(),
    };
    open(path)
        .read(pick, &mut folder)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Some bytes as a transcript, its format found by their content.
pub(super) fn open_bytes(bytes: impl AsRef<[u8]>) -> Result<Transcript, ImportError> {
    let bytes = bytes.as_ref().to_owned();
    let open =
        Box::new(move || Ok(Box::new(io::Cursor::new(bytes.clone())) as Box<dyn crate::ReadSeek>));
    let name = "bytes".to_owned();
    Transcript::open(Source { name, open }, None)
}

/// The only chat of some bytes, its format found by their content.
pub(super) fn read_bytes(bytes: Vec<u8>) -> Imported {
    let transcript = open_bytes(bytes).unwrap();
    transcript.read(&Pick::Only, &mut crate::Discard).unwrap()
}

/// All chats of a file.
pub(super) fn read_all(path: &Path) -> Vec<Imported> {
    let count = open(path).list().unwrap().len();
    (1..=count)
        .map(|number| read_picked(path, &Pick::Named(number.to_string())))
        .collect()
}

/// The counts of records add up.
pub(super) fn assert_accounted(imported: &Imported) {
    let stats = imported.stats;
    assert_eq!(
        stats.records,
        stats.mapped + stats.bookkeeping + stats.kept_raw + stats.damaged,
        "{stats:?}"
    );
}

/// How often a text stands in the chat as text or as the text in a tool's answer.
pub(super) fn occurrences(chat: &Chat, text: &str) -> usize {
    fn count(parts: &[Part], text: &str) -> usize {
        let in_part = |part: &Part| match part {
            Part::Text { markdown } => usize::from(markdown == text),
            Part::ToolResult { parts, .. } => count(parts, text),
            _ => 0,
        };
        parts.iter().map(in_part).sum()
    }
    chat.messages
        .iter()
        .map(|message| count(&message.parts, text))
        .sum()
}

/// The chat as text: a line a message (`role`, what is unusual of it, parent where it is not the message before) and a line a part.
pub(super) fn outline(chat: &Chat) -> String {
    let mut lines = vec![format!("# {}", chat.title)];
    for (place, message) in chat.messages.iter().enumerate() {
        lines.push(head(chat, place, message));
        push_parts(chat, &message.parts, "  ", &mut lines);
    }
    lines.join("\n")
}

fn head(chat: &Chat, place: usize, message: &Message) -> String {
    let role = match message.role {
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::System => "system",
        Role::Tool => "tool",
    };
    let mut line = role.to_owned();
    match message.visibility {
        Visibility::Shown => {}
        Visibility::Meta => line.push_str(" meta"),
        Visibility::Hidden => line.push_str(" hidden"),
    }
    if message.status != readalong_model::Status::Complete {
        line.push_str(&format!(" {:?}", message.status).to_lowercase());
    }
    for word in [&message.author.name, &message.author.model]
        .into_iter()
        .flatten()
    {
        line.push_str(&format!(" {word}"));
    }
    if !message.thread.is_main() {
        line.push_str(&format!(" thread={}", message.thread.0));
    }
    let before = place.checked_sub(1).map(|before| &chat.messages[before].id);
    if message.parent.as_ref() != before {
        let parent = message.parent.as_ref().and_then(|parent| {
            chat.messages
                .iter()
                .position(|message| message.id == *parent)
        });
        line.push_str(&parent.map_or(" root".to_owned(), |parent| {
            format!(" after={}", parent + 1)
        }));
    }
    if chat.active_leaf.as_ref() == Some(&message.id) {
        line.push_str(" active");
    }
    line
}

fn push_parts(chat: &Chat, parts: &[Part], indent: &str, lines: &mut Vec<String>) {
    let file = |id: &readalong_model::ArtifactId| {
        let artifact = &chat.artifacts[id.0 as usize];
        let content = match &artifact.content {
            readalong_model::Availability::Present { size_bytes, .. } => {
                format!("{size_bytes} bytes")
            }
            readalong_model::Availability::TextOnly { size_bytes, .. } => {
                format!("text only, {size_bytes} bytes")
            }
            readalong_model::Availability::Missing => "missing".to_owned(),
            readalong_model::Availability::External { url } => format!("at {url}"),
        };
        format!("{} {} ({content})", artifact.name, artifact.media_type)
    };
    for part in parts {
        let line = match part {
            Part::Text { markdown } => format!("text {markdown:?}"),
            Part::Reasoning {
                markdown,
                duration_ms,
            } => {
                format!(
                    "reasoning {markdown:?}{}",
                    duration_ms
                        .map(|ms| format!(" {ms} ms"))
                        .unwrap_or_default()
                )
            }
            Part::ToolCall(call) => {
                let input = call
                    .input
                    .as_ref()
                    .map(|input| format!(" {}", input.get()))
                    .unwrap_or_default();
                format!(
                    "call {} {} {:?} {:?}{input}",
                    call.call_id, call.name, call.action, call.state
                )
            }
            Part::ToolResult {
                call_id, is_error, ..
            } => format!("result {call_id}{}", if *is_error { " error" } else { "" }),
            Part::Image { artifact, alt } => format!(
                "image {}{}",
                file(artifact),
                alt.as_ref()
                    .map(|alt| format!(" {alt:?}"))
                    .unwrap_or_default()
            ),
            Part::File { artifact } => format!("file {}", file(artifact)),
            Part::Source {
                title,
                url,
                excerpt,
            } => format!(
                "source {title:?} {} {}",
                url.as_deref().unwrap_or("-"),
                excerpt.as_deref().unwrap_or("-")
            ),
            Part::Notice { kind, text } => format!("notice {kind:?} {text:?}"),
            Part::Unknown { label, json } => format!("unknown {label} {}", json.get()),
        };
        lines.push(format!("{indent}{line}"));
        if let Part::ToolResult { parts, .. } = part {
            push_parts(chat, parts, &format!("{indent}  "), lines);
        }
    }
}

/// Compares all chats of a fixture with `<fixture>.outline` beside it; `UPDATE_OUTLINES=1` writes that file anew.
pub(super) fn check_outline(path: &Path) {
    let mut found = String::new();
    for imported in read_all(path) {
        assert_accounted(&imported);
        let stats = imported.stats;
        found.push_str(&outline(&imported.chat));
        found.push_str(&format!(
            "\n= {} mapped, {} bookkeeping, {} kept raw, {} damaged\n",
            stats.mapped, stats.bookkeeping, stats.kept_raw, stats.damaged
        ));
        imported
            .warnings
            .iter()
            .for_each(|warning| found.push_str(&format!("! {warning}\n")));
        found.push('\n');
    }
    let expected = PathBuf::from(format!("{}.outline", path.display()));
    if std::env::var_os("UPDATE_OUTLINES").is_some() {
        fs::write(&expected, &found).unwrap();
    }
    assert_eq!(
        found,
        fs::read_to_string(&expected).unwrap_or_default(),
        "{}",
        expected.display()
    );
}
