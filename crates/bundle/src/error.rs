//! What can go wrong with bundles.

use std::{io, path::PathBuf};

use crate::path::BundlePathError;

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
