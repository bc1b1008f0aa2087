//! Tool outputs that were too big for the transcript and lie beside it in `<session>/tool-results/`.
//!
//! Source: Sinity/polylogue live/tool_result_sidecars.py: the transcript holds `<persisted-output>` with the path and a preview.

use std::io;

use readalong_model::{ArtifactRole, Part};

use crate::{builder::ChatBuilder, surroundings::Surroundings};

/// A full output up to this size stands in the chat itself; a larger one becomes a file beside its preview.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// Replaces previews in the parts of a tool result by the whole output, or hangs the file to them.
pub(super) fn restore(
    parts: &mut Vec<Part>,
    stem: &str,
    chat: &mut ChatBuilder,
    surroundings: &mut dyn Surroundings,
) -> io::Result<()> {
    let mut files = Vec::new();
    for part in parts.iter_mut() {
        let Part::Text { markdown } = part else {
            continue;
        };
        let Some(preview) = Preview::of(markdown) else {
            continue;
        };
        let file = match preview.find(stem, surroundings)? {
            Some(bytes) => match String::from_utf8(bytes) {
                Ok(text) if text.len() <= TEXT_BYTES_MAX => {
                    *markdown = text;
                    continue;
                }
                other => {
                    let bytes = other.map_or_else(|error| error.into_bytes(), String::into_bytes);
                    chat.add_artifact(
                        preview.name,
                        None,
                        ArtifactRole::ToolOutput,
                        &bytes,
                        surroundings,
                    )?
                }
            },
            None => chat.add_missing(preview.name, None, ArtifactRole::ToolOutput),
        };
        files.push(Part::File { artifact: file });
        *markdown = preview.text.to_owned();
    }
    parts.append(&mut files);
    Ok(())
}

/// What stands in the transcript in place of a big output.
struct Preview<'t> {
    /// Name of the file.
    name: &'t str,
    /// The folder that holds `tool-results`, by its name.
    session: Option<&'t str>,
    text: &'t str,
}

impl<'t> Preview<'t> {
    fn of(text: &'t str) -> Option<Self> {
        let body = text.trim_start().strip_prefix("<persisted-output>")?;
        let path = body.split_once("saved to:")?.1.lines().next()?.trim();
        let mut names = path.rsplit(['/', '\\']);
        let name = names.next().filter(|name| is_plain(name))?;
        let session = names
            .next()
            .filter(|folder| *folder == "tool-results")
            .and_then(|_| names.next())
            .filter(|name| is_plain(name));
        let body = body.trim_end().trim_end_matches("</persisted-output>");
        let text = match body.split_once("Preview") {
            Some((_, preview)) => preview
                .split_once(":\n")
                .map_or(preview, |(_, preview)| preview),
            None => body,
        };
        Some(Self {
            name,
            session,
            text: text.trim_end(),
        })
    }

    fn find(&self, stem: &str, surroundings: &mut dyn Surroundings) -> io::Result<Option<Vec<u8>>> {
        for folder in self
            .session
            .into_iter()
            .chain(Some(stem).filter(|stem| Some(*stem) != self.session && is_plain(stem)))
        {
            if let Some(bytes) =
                surroundings.beside(&format!("{folder}/tool-results/{}", self.name))?
            {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }
}

/// True for a name that leads nowhere else.
pub(super) fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name != "."
        && name != ".."
        && name.len() < 256
        && !name.contains(['/', '\\', '\0', ':'])
}
