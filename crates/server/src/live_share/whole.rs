//! A chat rendered whole into a folder, for what no book has: other branches, threads, copies.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
    time::Instant,
};

use http::HeaderValue;
use readalong_bundle::BundlePath;
use readalong_model::{Digest, Seq};
use readalong_render::{Output, OutputError};

use super::Found;
use crate::{
    content::{Content, Packing, Source},
    frozen::media_type,
    underway::Cut,
};

/// The whole chat rendered into a folder, for what the book does not have.
pub(super) struct Whole {
    /// Where its files are.
    pub(super) folder: tempfile::TempDir,
    /// What the log said up to here is in it.
    pub(super) seq: Seq,
    /// When it was made.
    pub(super) at: Instant,
}

impl Whole {
    /// A file that was rendered.
    pub(super) fn file(&self, name: &str, cut: Cut) -> Option<Found> {
        BundlePath::new(name).ok()?;
        let path = self.folder.path().join(name);
        let size_bytes = fs::metadata(&path)
            .ok()
            .filter(fs::Metadata::is_file)?
            .len();
        Some(Found::File(Content {
            media_type: HeaderValue::from_static(media_type(name)),
            // Not of the bytes, but of the rendering, whose folder has a name of its own: it names them as exactly.
            sha256: Digest::of(path.as_os_str().as_encoded_bytes()),
            packing: Packing::Plain,
            source: Source::File {
                path,
                size_bytes,
                cut,
            },
        }))
    }
}

/// Takes what is rendered into a folder.
pub(super) struct FolderOutput<'a>(pub(super) &'a Path);

impl Output for FolderOutput<'_> {
    fn write(
        &mut self,
        path: &str,
        pieces: &mut dyn Iterator<Item = Vec<u8>>,
    ) -> Result<(), OutputError> {
        let path = self.0.join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = io::BufWriter::new(fs::File::create_new(&path)?);
        for piece in pieces {
            file.write_all(&piece)?;
        }
        Ok(file.flush()?)
    }
}
