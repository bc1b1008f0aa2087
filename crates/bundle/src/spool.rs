//! Where artifacts wait, under their digests, from the import of a chat until its bundle is written.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use readalong_model::Digest;

/// Makes a temporary folder that other users cannot look into: what lies in it may be encrypted, or without secrets, only where it goes from here.
///
/// # Errors
/// It cannot be made.
pub fn closed_folder(prefix: &str, parent: &Path) -> io::Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    builder.tempdir_in(parent)
}

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
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
        let folder = closed_folder(".readalong-spool-", &parent)?;
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

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn only_its_owner_looks_into_a_spool() {
        let spool = Spool::new(None).unwrap();
        let mode = spool.folder.path().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}
