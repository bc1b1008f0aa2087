//! What can go wrong with bundles.

use std::{io, path::PathBuf};

use zip::result::ZipError;

use crate::{BundlePath, PieceError, Problem, path::BundlePathError};

/// What can go wrong in writing or opening a bundle. What a verification finds is no error but a [`Problem`](crate::Problem).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// A file or folder cannot be read or written.
    #[error("{action} `{}` failed", path.display())]
    Io {
        /// What was tried: `writing`, `reading`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder holds no bundle.
    #[error("`{}` is not a bundle: it has no manifest.json", path.display())]
    NotABundle {
        /// The folder.
        path: PathBuf,
    },
    /// The manifest is not one of ours.
    #[error("the manifest of `{}` cannot be read", path.display())]
    BadManifest {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The bundle was written by a later readalong.
    #[error("`{}` is a bundle of format version {version}; this readalong reads up to version {}", path.display(), crate::FORMAT_VERSION)]
    TooNew {
        /// The folder.
        path: PathBuf,
        /// Its format version.
        version: u32,
    },
    /// Whoever takes the package cannot take more.
    #[error("writing the package failed")]
    Packing {
        /// Why.
        source: io::Error,
    },
    /// A file is not what it was when the bundle was verified.
    #[error("`{path}` changed while it was read")]
    ChangedMeanwhile {
        /// The file.
        path: BundlePath,
    },
    /// The file holds no bundle.
    #[error("`{}` is no bundle that was packed", path.display())]
    NotAPackage {
        /// The file.
        path: PathBuf,
    },
    /// The zip is cut or damaged.
    #[error("the zip `{}` is damaged", path.display())]
    DamagedZip {
        /// The zip.
        path: PathBuf,
        /// Why.
        source: ZipError,
    },
    /// A bundle is not what its manifest says.
    #[error("the bundle in `{}` is damaged: {problem}{}", path.display(), and_more(*more))]
    Damaged {
        /// Its folder, or its package.
        path: PathBuf,
        /// What is wrong with it.
        problem: Problem,
        /// Further problems.
        more: usize,
    },
    /// A package has more files than any chat.
    #[error("`{}` has {files} files; more than {files_max} are not read", path.display())]
    TooManyFiles {
        /// The package.
        path: PathBuf,
        /// Files in it.
        files: usize,
        /// Files that are read.
        files_max: usize,
    },
    /// A package grows beyond reason.
    #[error("`{}` of {size_bytes} bytes would become {total_bytes} bytes", path.display())]
    Bomb {
        /// The package.
        path: PathBuf,
        /// Its size.
        size_bytes: u64,
        /// The size of what it holds.
        total_bytes: u64,
    },
    /// The folder holds no sealed bundle.
    #[error("`{}` is not a sealed bundle: it has no index.js of one", path.display())]
    NotSealed {
        /// The folder.
        path: PathBuf,
    },
    /// What is sealed grows: it is no whole bundle.
    #[error("the encrypted share in `{}` grows: it holds no bundle", path.display())]
    IsGrowing {
        /// The folder.
        path: PathBuf,
    },
    /// The folder holds a sealed bundle where a plain one is asked for.
    #[error("the bundle in `{}` is encrypted", path.display())]
    IsSealed {
        /// The folder.
        path: PathBuf,
    },
    /// A sealed bundle is not what it was when it was written.
    #[error("the sealed bundle `{}` has changed: its files do not give its name", path.display())]
    SealedChanged {
        /// The folder.
        path: PathBuf,
    },
    /// A piece of a sealed bundle cannot be opened.
    #[error("`{}` cannot be decrypted", path.display())]
    BadPiece {
        /// The file.
        path: PathBuf,
        /// Why.
        source: PieceError,
    },
    /// The key is that of another share.
    #[error("this key does not open the bundle")]
    WrongKey,
    /// The passphrase is another.
    #[error("this passphrase does not open the bundle")]
    WrongPassphrase,
    /// Only a key opens it.
    #[error("the bundle is opened by the key in its link, and by no passphrase")]
    NoPassphrase,
    /// What unlocks a sealed bundle is damaged.
    #[error("the lock of the sealed bundle, in its index.js, is damaged")]
    DamagedLock,
    /// A name that no file of a bundle may have.
    #[error(transparent)]
    BadPath(#[from] BundlePathError),
    /// Two files of one name.
    #[error("the bundle has two files `{path}` with different content")]
    Twice {
        /// The name.
        path: String,
    },
}

impl BundleError {
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}

/// How many problems are not named.
fn and_more(more: usize) -> String {
    match more {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    }
}
