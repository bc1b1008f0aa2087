//! Tool outputs that were too big for the transcript and lie beside it in `<session>/tool-results/`.
//!
//! Source: Sinity/polylogue live/tool_result_sidecars.py: the transcript holds `<persisted-output>` with the path and a preview.

use std::{
    collections::{HashMap, HashSet},
    io,
};

use readalong_model::{ArtifactId, ArtifactRole, Part, ThreadId};

use crate::{builder::ChatBuilder, surroundings::Surroundings};

/// A full output up to this size stands in the chat itself; a larger one becomes a file beside its preview.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// The big outputs of a session.
#[derive(Default)]
pub(super) struct Outputs {
    /// The sessions that the records say they are of. A text names any folder, and those of other sessions lie beside this one.
    sessions: HashSet<String>,
    /// Files that stand in the chat as text, by the subagent whose file named them and by path. Each does so once: what a text can name
    /// without end would make the chat as long.
    restored: HashSet<(Option<ThreadId>, String)>,
    /// Files that hang to their previews.
    files: HashMap<String, ArtifactId>,
}

impl Outputs {
    /// Takes note of the session that a record is of.
    pub(super) fn note_session(&mut self, session: &str) {
        if !self.sessions.contains(session) {
            self.sessions.insert(session.to_owned());
        }
    }

    /// Replaces previews in the parts of a tool result by the whole output, or hangs the file to them.
    pub(super) fn restore(
        &mut self,
        parts: &mut Vec<Part>,
        (stem, inside): (&str, Option<ThreadId>),
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
            let artifact = match self.find(&preview, (stem, inside), chat, surroundings)? {
                Output::Text(text) => {
                    *markdown = text;
                    continue;
                }
                Output::File(artifact) => artifact,
                Output::Missing => chat.add_missing(preview.name, None, ArtifactRole::ToolOutput),
            };
            files.push(Part::File { artifact });
            *markdown = preview.text.to_owned();
        }
        parts.append(&mut files);
        Ok(())
    }

    /// Looks for a whole output in the folders of this session.
    fn find(
        &mut self,
        preview: &Preview<'_>,
        (stem, inside): (&str, Option<ThreadId>),
        chat: &mut ChatBuilder,
        surroundings: &mut dyn Surroundings,
    ) -> io::Result<Output> {
        let named = preview
            .session
            .filter(|folder| *folder != stem && self.sessions.contains(*folder));
        for folder in named
            .into_iter()
            .chain(Some(stem).filter(|stem| is_plain(stem)))
        {
            let path = format!("{folder}/tool-results/{}", preview.name);
            if let Some(file) = self.files.get(&path) {
                return Ok(Output::File(*file));
            }
            let Some(bytes) = surroundings.beside(&path)? else {
                continue;
            };
            let key = (inside, path);
            if bytes.len() <= TEXT_BYTES_MAX
                && !self.restored.contains(&key)
                && let Ok(text) = std::str::from_utf8(&bytes)
            {
                self.restored.insert(key);
                return Ok(Output::Text(text.to_owned()));
            }
            let role = ArtifactRole::ToolOutput;
            let file = chat.add_artifact(preview.name, None, role, &bytes, surroundings)?;
            self.files.insert(key.1, file);
            return Ok(Output::File(file));
        }
        Ok(Output::Missing)
    }
}

/// Where a whole output is.
enum Output {
    Text(String),
    File(ArtifactId),
    Missing,
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
}

/// True for a name that leads nowhere else.
pub(super) fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name != "."
        && name != ".."
        && name.len() < 256
        && !name.contains(['/', '\\', '\0', ':'])
}
