//! What a publication changes at a place, worked out before anything is sent.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::SitePath;

/// The changes of one publication, in the order in which they are made.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// What was done, in one line: the subject of a commit.
    pub subject: String,
    /// The folder of a version that is new, and its files: nothing names them yet.
    pub version: Option<(SitePath, Vec<File>)>,
    /// Other files that nothing names yet.
    pub files: Vec<File>,
    /// Small files that readers come to, in this order: with them the new version is there.
    pub heads: Vec<Head>,
    /// Files that go at the end.
    pub removed: Vec<SitePath>,
    /// A list of shares that is damaged, or none of ours: what it says stays as it is.
    pub foreign_list: Option<SitePath>,
    /// True where the share is taken out of the list of shares.
    pub is_unlisted: bool,
}

/// A file that is new at a place.
#[derive(Clone, Debug)]
pub struct File {
    /// Where it goes.
    pub path: SitePath,
    /// Where its bytes are.
    pub origin: Origin,
    /// How many they are.
    pub size_bytes: u64,
    /// What they are.
    pub media_type: String,
    /// True where no other bytes ever lie under this name: caches may keep them.
    pub is_lasting: bool,
}

/// Where the bytes of a file are.
#[derive(Clone, Debug)]
pub enum Origin {
    /// In a file of this machine.
    File(PathBuf),
    /// Here.
    Bytes(Vec<u8>),
    /// At the place already, under another name.
    There {
        /// The name.
        path: SitePath,
        /// The same bytes on this machine, for places that cannot copy.
        here: PathBuf,
    },
}

impl Origin {
    /// The file of this machine that holds the bytes.
    pub(crate) fn here(&self) -> Option<&Path> {
        match self {
            Self::File(path) | Self::There { here: path, .. } => Some(path),
            Self::Bytes(_) => None,
        }
    }

    /// The bytes.
    pub(crate) fn read(&self) -> io::Result<Vec<u8>> {
        match self {
            Self::File(path) | Self::There { here: path, .. } => fs::read(path),
            Self::Bytes(bytes) => Ok(bytes.clone()),
        }
    }
}

/// A small file that is written over.
#[derive(Clone, Debug)]
pub struct Head {
    /// Its name.
    pub path: SitePath,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What they are.
    pub media_type: &'static str,
}

/// What a publication sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Files that are sent.
    pub files: usize,
    /// Bytes of them.
    pub bytes: u64,
    /// Files that are there already and get another name.
    pub copied: usize,
    /// Files that go.
    pub removed: usize,
}

impl Changes {
    /// All new files, those of the version first.
    pub fn new_files(&self) -> impl Iterator<Item = &File> {
        let version = self.version.iter().flat_map(|(_, files)| files);
        version.chain(&self.files)
    }

    /// True where nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.new_files().next().is_none() && self.heads.is_empty() && self.removed.is_empty()
    }

    /// What is sent.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals {
            removed: self.removed.len(),
            ..Totals::default()
        };
        for file in self.new_files() {
            match file.origin {
                Origin::There { .. } => totals.copied += 1,
                _ => {
                    totals.files += 1;
                    totals.bytes += file.size_bytes;
                }
            }
        }
        for head in &self.heads {
            totals.files += 1;
            totals.bytes += head.bytes.len() as u64;
        }
        totals
    }
}
