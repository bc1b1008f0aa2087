//! A bundle's own `chat.json`: exporting it again gives the same bundle. Its shape is in `docs/format.md`.

use std::io;

use readalong_model::{Artifact, Availability, Digest, Snapshot};
use serde::Deserialize;

use super::{Evidence, Format, Growth, Layout, Reader, Record, Refusal, Taken};
use crate::{builder::ChatBuilder, head::Head, surroundings::Surroundings};

/// The newest version of `chat.json` that is read.
const VERSION_MAX: u32 = 1;

pub(super) const FORMAT: Format = Format {
    name: "readalong",
    title: "readalong bundle",
    found_at: "chat.json in a bundle",
    growth: Growth::Export,
    detect,
    reader: || Box::new(ChatJsonReader),
};

fn detect(head: &Head) -> Option<Evidence> {
    let is_ours = head
        .records
        .first()
        .is_some_and(|record| record.has("readalong") && record.has("messages"));
    is_ours.then_some(Evidence {
        matched: 1,
        of: 1,
        layout: Layout::OneChat,
    })
}

#[derive(Deserialize)]
struct Version {
    readalong: u32,
}

struct ChatJsonReader;

impl Reader for ChatJsonReader {
    fn push(
        &mut self,
        record: &Record<'_>,
        chat: &mut ChatBuilder,
        surroundings: &mut dyn Surroundings,
    ) -> Result<Taken, Refusal> {
        let Version { readalong: version } = serde_json::from_slice(record.bytes)?;
        if version > VERSION_MAX {
            let reason = format!(
                "it is of version {version}; this readalong reads up to version {VERSION_MAX}"
            );
            return Err(Refusal::Unreadable(reason));
        }
        let snapshot: Snapshot = serde_json::from_slice(record.bytes)?;
        for artifact in &snapshot.artifacts {
            let content = content(artifact, chat, surroundings)?;
            chat.push_artifact(Artifact {
                content,
                ..artifact.clone()
            });
        }
        // A result may have been hidden from readers.
        chat.keep_states();
        for message in snapshot.messages {
            chat.put(message);
        }
        let made = &mut chat.chat;
        made.title = snapshot.title;
        made.origin = snapshot.origin;
        (made.created_at, made.updated_at) = (snapshot.created_at, snapshot.updated_at);
        made.threads = snapshot.threads;
        made.active_leaf = snapshot.active_leaf;
        made.damaged_records = snapshot.damaged_records;
        made.left_out = snapshot.left_out;
        made.share = snapshot.share;
        Ok(Taken::Mapped)
    }
}

/// Keeps an artifact's bytes, which lie beside `chat.json`; a file that is not what it should be counts as missing.
fn content(
    artifact: &Artifact,
    chat: &mut ChatBuilder,
    surroundings: &mut dyn Surroundings,
) -> io::Result<Availability> {
    let (Some((sha256, _)), Some(path)) = (artifact.bytes(), artifact.path()) else {
        return Ok(artifact.content.clone());
    };
    let problem = match surroundings.beside(&path)? {
        None => format!("file `{path}` is missing"),
        Some(bytes) if Digest::of(&bytes) != sha256 => {
            format!("file `{path}` was changed and is left out")
        }
        Some(bytes) => {
            surroundings.keep(&bytes)?;
            return Ok(artifact.content.clone());
        }
    };
    chat.warn(problem);
    Ok(Availability::Missing)
}
