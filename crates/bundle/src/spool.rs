//! Where artifacts wait, under their digests, from the import of a chat until its bundle is written.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use readalong_model::Digest;

/// A temporary folder of artifacts; it goes when the spool is dropped.
pub struct Spool {
    folder: tempfile::TempDir,
}

impl Spool {
    /// Makes an empty spool within `parent`, or in the system's folder for temporary files.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn new(parent: Option<&Path>) -> io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".readalong-spool-");
        let folder = match parent {
            Some(parent) => builder.tempdir_in(parent)?,
            None => builder.tempdir()?,
        };
        Ok(Self { folder })
    }

    /// Keeps bytes and tells their digest; the same bytes are kept once.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn keep(&self, bytes: &[u8]) -> io::Result<Digest> {
        let digest = Digest::of(bytes);
        let path = self.path(digest);
        if !path.exists() {
            fs::write(path, bytes)?;
        }
        Ok(digest)
    }

    /// The bytes under a digest.
    ///
    /// # Errors
    /// They are not there or cannot be read.
    pub fn read(&self, digest: Digest) -> io::Result<Vec<u8>> {
        fs::read(self.path(digest))
    }

    /// Where the bytes under a digest lie.
    pub fn path(&self, digest: Digest) -> PathBuf {
        self.folder.path().join(digest.to_string())
    }
}
