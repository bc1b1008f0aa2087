//! The manifest: what a bundle holds. Its digest is the bundle's id.

use std::{
    fs,
    io::{self, Read},
    path::Path,
};

use readalong_model::Digest;
use serde::{Deserialize, Serialize};

use crate::{BundleError, BundlePath};

/// Name of the manifest in a bundle.
pub const MANIFEST: &str = "manifest.json";
/// The version of the on-disk format that is written; all earlier ones are read.
pub const FORMAT_VERSION: u32 = 1;

/// The largest manifest that is read: about 300,000 files.
pub(crate) const MANIFEST_BYTES_MAX: u64 = 64 << 20;

/// What a bundle holds. Written as canonical JSON (RFC 8785).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Always `readalong-bundle`.
    pub format: String,
    /// Version of the on-disk format.
    pub version: u32,
    /// The program that wrote it, with its version.
    pub generator: String,
    /// Every file but the manifest, by name.
    pub files: Vec<FileEntry>,
}

/// A file of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its name.
    pub path: BundlePath,
    /// What it is.
    pub media_type: String,
    /// Its length.
    pub size_bytes: u64,
    /// Its digest.
    pub sha256: Digest,
}

impl Manifest {
    pub(crate) const FORMAT: &str = "readalong-bundle";

    /// The manifest as it is written: canonical JSON.
    pub(crate) fn to_bytes(&self) -> io::Result<Vec<u8>> {
        serde_json_canonicalizer::to_vec(self).map_err(io::Error::other)
    }

    /// Reads the manifest of a bundle and tells the bundle's id.
    ///
    /// # Errors
    /// There is none, it is not one of ours, or it is of a later version.
    pub fn open(bundle: &Path) -> Result<(Self, Digest), BundleError> {
        let path = bundle.join(MANIFEST);
        let bytes = match read(&path) {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                let path = bundle.to_owned();
                return Err(match bundle.join(crate::INDEX).is_file() {
                    true => BundleError::IsSealed { path },
                    false => BundleError::NotABundle { path },
                });
            }
            bytes => bytes.map_err(BundleError::io("reading", &path))?,
        };
        Self::parse(&bytes, bundle)
    }

    /// The manifest of a bundle that lies at `bundle`, or is packed there.
    pub(crate) fn parse(bytes: &[u8], bundle: &Path) -> Result<(Self, Digest), BundleError> {
        /// Read first, so that a later version is named as such and not called damaged.
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let bad = |source| BundleError::BadManifest {
            path: bundle.to_owned(),
            source,
        };
        let Version { version } = serde_json::from_slice(bytes).map_err(bad)?;
        if version > FORMAT_VERSION {
            return Err(BundleError::TooNew {
                path: bundle.to_owned(),
                version,
            });
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(bad)?;
        Ok((manifest, Digest::of(bytes)))
    }
}

/// A manifest that anybody may have put there: a link to a device or a pipe is none, and would have no end.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::symlink_metadata(path)?.is_file() {
        return Err(io::Error::other("it is no plain file"));
    }
    let mut bytes = Vec::new();
    let mut file = fs::File::open(path)?.take(MANIFEST_BYTES_MAX + 1);
    match file.read_to_end(&mut bytes)? as u64 > MANIFEST_BYTES_MAX {
        true => Err(io::ErrorKind::FileTooLarge.into()),
        false => Ok(bytes),
    }
}
