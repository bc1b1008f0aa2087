//! What a chat's transcript is called: the same name wherever the chat is brought from, so that it is one chat.

use std::path::Path;

use readalong_import::{FORMATS, Growth};
use readalong_model::{Digest, Origin};

/// Digits in the groups of a UUID.
const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];
/// Characters of a UUID.
const UUID_CHARS: usize = 36;

/// Names the source of a chat: by its own id, else by machine and path. The same transcript is the same chat whether it is followed, forwarded
/// or shared once.
///
/// A file to which lines are appended has to bear the id in its name: a copy of a session goes on as another one with the same first lines.
pub fn source_key(origin: &Origin, file: &Path, host: &str) -> String {
    own_source(&origin.format, origin.native_id.as_deref(), file)
        .unwrap_or_else(|| source_of_path(file, host))
}

/// The source by the chat's own id. It is the same after the first line as after the last.
pub(crate) fn own_source(format: &str, id: Option<&str>, file: &Path) -> Option<String> {
    let is_appended_to = FORMATS
        .iter()
        .any(|known| known.name == format && known.growth == Growth::Append);
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    if is_appended_to && is_uuid(&stem) {
        return Some(format!("{format}:{stem}"));
    }
    let id = id.filter(|id| !id.is_empty())?;
    (!is_appended_to || bears(&stem, id)).then(|| format!("{format}:{id}"))
}

/// True where a file's name has an id in it as a whole word.
fn bears(stem: &str, id: &str) -> bool {
    let is_part_of_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    stem.match_indices(id).any(|(at, _)| {
        let (before, after) = (&stem[..at], &stem[at + id.len()..]);
        !is_part_of_word(before.chars().next_back()) && !is_part_of_word(after.chars().next())
    })
}

/// The source by machine and path.
pub(crate) fn source_of_path(file: &Path, host: &str) -> String {
    let path = file.canonicalize();
    let path = path.as_deref().unwrap_or(file);
    let source = format!("{host}:{}", path.display());
    match path.to_str() {
        Some(_) => source,
        // What is no text looks alike in text: without its bytes two files would be one chat.
        None => {
            let digest = Digest::of(path.as_os_str().as_encoded_bytes());
            format!("{source} {}", digest.short(16))
        }
    }
}

/// The UUID in a file's name, where there is one: copies of a session have the same.
pub(crate) fn uuid_in_name(file: &Path) -> Option<String> {
    let stem = file.file_stem()?.to_str()?;
    let starts = stem.match_indices('-').map(|(at, _)| at);
    let starts = starts.filter_map(|at| at.checked_sub(GROUPS[0]));
    let pieces = starts.filter_map(|at| stem.get(at..at + UUID_CHARS));
    pieces
        .into_iter()
        .find(|piece| is_uuid(piece))
        .map(str::to_owned)
}

/// True for hexadecimal digits in five groups.
fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.len() == GROUPS.len()
        && groups.iter().zip(GROUPS).all(|(group, length)| {
            group.len() == length && group.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(format: &str, id: Option<&str>, file: &str) -> String {
        let origin = Origin {
            format: format.to_owned(),
            app: None,
            native_id: id.map(str::to_owned),
        };
        source_key(&origin, Path::new(file), "here")
    }

    #[test]
    fn a_chat_is_named_by_its_own_id_or_by_where_it_lies() {
        let appended = FORMATS
            .iter()
            .find(|format| format.growth == Growth::Append)
            .map_or("", |format| format.name);
        let written = FORMATS
            .iter()
            .find(|format| format.growth != Growth::Append)
            .map_or("", |format| format.name);
        let uuid = "0f0e0d0c-1111-2222-3333-444455556666";
        assert_eq!(
            key(written, Some("x1"), "/no/a.json"),
            format!("{written}:x1")
        );
        assert_eq!(key(written, None, "/no/a.json"), "here:/no/a.json");
        assert_eq!(
            key(appended, Some("x1"), "/no/run-x12.jsonl"),
            "here:/no/run-x12.jsonl"
        );
        assert_eq!(
            key(appended, Some("x1"), "/no/run-x1.jsonl"),
            format!("{appended}:x1")
        );
        assert_eq!(
            key(appended, Some("x1"), "/no/copy.jsonl"),
            "here:/no/copy.jsonl"
        );
        // Whatever its first lines were copied from.
        assert_eq!(
            key(appended, Some("x1"), &format!("/no/{uuid}.jsonl")),
            format!("{appended}:{uuid}")
        );
    }

    #[test]
    fn a_uuid_is_found_in_a_name() {
        let uuid = "0f0e0d0c-1111-2222-3333-444455556666";
        for name in ["{}", "rollout-2026-01-02T03-04-05-{}", "é{} copy"] {
            let file = format!("/no/{}.jsonl", name.replace("{}", uuid));
            assert_eq!(uuid_in_name(Path::new(&file)).as_deref(), Some(uuid));
        }
        assert_eq!(uuid_in_name(Path::new("/no/2026-01-02-notes.jsonl")), None);
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_no_text_are_told_apart() {
        use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
        let source = |name: &[u8]| source_of_path(Path::new(OsStr::from_bytes(name)), "here");
        let (one, other) = (source(b"/no/a\xfe.jsonl"), source(b"/no/a\xff.jsonl"));
        assert_ne!(one, other);
        assert!(one.starts_with("here:/no/a\u{fffd}.jsonl "), "{one}");
    }
}
