//! A snapshot and a theme into pages: static HTML that reads without script, and fragments that a live page appends.
//!
//! The only crate that knows HTML. It takes a [`Snapshot`] and never a chat: what a share leaves out cannot
//! leak, because it was never here. No clock, no randomness: the same input gives the same bytes.

mod activity;
mod book;
mod context;
mod copies;
mod data;
mod desk;
mod diff;
mod direction;
mod fragment;
mod highlight;
mod html;
mod index;
mod linkify;
mod literal;
mod live;
mod markdown;
mod notice;
mod outline;
mod page;
mod parts;
#[cfg(test)]
mod pattern;
mod site;
mod templates;
mod terminal;
mod text;

use std::error::Error;

use minijinja::Environment;
use readalong_model::{Digest, Snapshot};
use readalong_themes::{Theme, ThemeError};

pub use crate::{
    desk::{DeskEntry, DeskPage},
    live::{Library, LiveBook, LiveShare, Moment, Op, Page},
    notice::{NoticePage, SigninPage},
    page::{CSP, CSP_DESK, CSP_LIVE, CSP_SIGNIN},
    site::SitePage,
};
use crate::{highlight::Highlighter, templates::Assets};

/// Renders snapshots with one theme; made once, used for many.
pub struct Renderer {
    environment: Environment<'static>,
    assets: Assets,
    highlighter: Option<Highlighter>,
}

/// A copy of a chat in one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyFormat {
    /// `chat.json` of a bundle: everything, for machines.
    Json,
    /// `chat.md` of a bundle, for people.
    Markdown,
}

/// Writes a snapshot as one file, as bundles have it.
pub fn copy(snapshot: &Snapshot, format: CopyFormat) -> Vec<u8> {
    match format {
        CopyFormat::Json => copies::json(snapshot).flatten().collect(),
        CopyFormat::Markdown => {
            let index = index::Index::of(snapshot);
            let outline = outline::Outline::of(snapshot, &index);
            copies::markdown(snapshot, &outline).flatten().collect()
        }
    }
}

/// Takes the files of a bundle as they are made.
pub trait Output {
    /// Takes one file, in pieces; its path is relative to the bundle's root.
    ///
    /// # Errors
    /// The file could not be kept; rendering ends.
    fn write(
        &mut self,
        path: &str,
        pieces: &mut dyn Iterator<Item = Vec<u8>>,
    ) -> Result<(), OutputError>;

    /// Told how many of all messages are rendered.
    fn progress(&mut self, _done: usize, _of: usize) {}
}

/// What an [`Output`] may fail with.
pub type OutputError = Box<dyn Error + Send + Sync>;

/// What can go wrong in rendering.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RenderError {
    /// A template of the theme is wrong.
    #[error("a template of the theme failed")]
    Template(#[from] minijinja::Error),
    /// The theme is wrong.
    #[error(transparent)]
    Theme(#[from] ThemeError),
    /// A range of messages cannot be live.
    #[error("a live share shows the whole chat, not a range of its messages")]
    RangeOfLive,
    /// A file could not be kept.
    #[error("writing `{path}` failed")]
    Output {
        /// The file.
        path: String,
        /// Why.
        source: OutputError,
    },
}

/// What was rendered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RenderStats {
    /// Pages of messages.
    pub pages: usize,
    /// Messages on them.
    pub messages: usize,
}

impl Renderer {
    /// Makes a renderer; `highlight` colours code.
    ///
    /// # Errors
    /// The theme is wrong.
    pub fn new(theme: &Theme, highlight: bool) -> Result<Self, RenderError> {
        Ok(Self {
            environment: templates::environment(theme)?,
            assets: Assets::of(theme)?,
            highlighter: highlight.then(Highlighter::new),
        })
    }

    /// The theme's files, those that only live pages load among them: `assets/<sha256>.<ext>` and the bytes.
    pub fn assets(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let files = self.assets.iter();
        files.map(|asset| (asset.path.as_str(), asset.bytes.as_slice()))
    }

    /// One of the theme's files, by its path.
    pub fn asset(&self, path: &str) -> Option<&[u8]> {
        let mut assets = self.assets();
        assets
            .find(|(other, _)| *other == path)
            .map(|(_, bytes)| bytes)
    }

    /// Renders a snapshot: pages, contents, search data, copies for machines and people, the theme's files. Artifacts are the caller's:
    /// `blobs` reads those few that stand in a page.
    ///
    /// # Errors
    /// A template is wrong, or `out` failed.
    pub fn render(
        &self,
        snapshot: &Snapshot,
        blobs: &(dyn Fn(Digest) -> Option<Vec<u8>> + Sync),
        out: &mut dyn Output,
    ) -> Result<RenderStats, RenderError> {
        book::render(self, snapshot, blobs, out)
    }
}
