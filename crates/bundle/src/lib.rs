//! Bundles on disk: digests, the manifest; write, open, verify, pack. The only crate that knows the on-disk format (`docs/format.md`).
//!
//! A reader sees a whole bundle or none: it is written into a folder of its own, synced and renamed to its id. No clock, and no randomness but for new keys (`encrypt`).

mod encrypt;
mod error;
mod manifest;
mod pack;
mod path;
mod spool;
mod verify;
mod write;

pub use encrypt::{
    Connections, INDEX, Lock, PASSPHRASE_ROUNDS, PIECE_BYTES_MAX, Piece, PieceError, SealedBundle,
    SealedIndex, ShareKey, ShareKeyError, reader, seal,
};
pub use error::BundleError;
pub use manifest::{FORMAT_VERSION, FileEntry, MANIFEST, Manifest};
pub use pack::{HTML_BYTES_COMFORTABLE, Package, PackageKind, pack, pack_to};
pub use path::{BundlePath, BundlePathError};
pub use spool::{Spool, closed_folder};
pub use verify::{Problem, Verification, VerifiedBundle, verify};
pub use write::{BundleWriter, WrittenBundle};
