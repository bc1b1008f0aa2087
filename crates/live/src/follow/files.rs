//! Opens what may be followed and nothing else: plain files at or below the followed path, through no link that leads out of it.

use std::{
    ffi::OsStr,
    fs::{self, File, Metadata, OpenOptions},
    io,
    os::{
        fd::AsRawFd,
        unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt},
    },
    path::{Component, Path, PathBuf},
    time::SystemTime,
};

/// Folders in folders that are looked into.
const DEPTH_MAX: usize = 8;
/// Endings of names that transcripts in folders have. What they hold decides what they are.
pub(crate) const ENDINGS: [&str; 3] = ["jsonl", "json", "ndjson"];

/// What is followed, without links.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    /// The file or folder.
    pub(crate) path: PathBuf,
    /// The folder that nothing outside of is read.
    pub(crate) folder: PathBuf,
    pub(crate) is_folder: bool,
    left_out: Option<PathBuf>,
}

/// What a file looks like from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) dev: u64,
    pub(crate) inode: u64,
    pub(crate) size: u64,
    modified: Option<SystemTime>,
}

impl Look {
    pub(crate) fn of(meta: &Metadata) -> Self {
        Self {
            dev: meta.dev(),
            inode: meta.ino(),
            size: meta.len(),
            modified: meta.modified().ok(),
        }
    }
}

impl Look {
    /// A look that no file has.
    pub(crate) fn unlike(self) -> Self {
        Self {
            inode: 0,
            size: u64::MAX,
            ..self
        }
    }
}

/// Why a path is not read.
#[derive(Debug)]
pub(crate) enum Unread {
    /// Nothing is there.
    Gone,
    /// What is there is never read: the words say why.
    Never(String),
    /// It cannot be read at present.
    Now(io::Error),
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::Gone,
            _ => Self::Now(error),
        }
    }
}

impl Root {
    /// The file or folder at a path; a link is gone after once, here.
    pub(crate) fn of(path: &Path, left_out: Option<PathBuf>) -> io::Result<Self> {
        // A file may be followed before it is there, where its folder is.
        let path = match fs::canonicalize(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let name = path.file_name().ok_or(error)?;
                let folder = path.parent().filter(|path| !path.as_os_str().is_empty());
                fs::canonicalize(folder.unwrap_or(Path::new(".")))?.join(name)
            }
            path => path?,
        };
        let is_folder = path.is_dir();
        let folder = match path.parent() {
            Some(parent) if !is_folder => parent.to_owned(),
            _ => path.clone(),
        };
        Ok(Self {
            path,
            folder,
            is_folder,
            left_out,
        })
    }

    /// True for the folder that is not looked into, and what lies in it.
    pub(crate) fn leaves_out(&self, path: &Path) -> bool {
        let left_out = self.left_out.as_ref();
        left_out.is_some_and(|folder| path.starts_with(folder))
    }

    /// Opens a plain file below the folder.
    pub(crate) fn open(&self, path: &Path) -> Result<(File, Metadata), Unread> {
        let meta = fs::symlink_metadata(path)?;
        is_plain(&meta)?;
        // Between the look and the opening something else may have come to stand there: it is not waited for and looked at again.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW)
            .open(path)?;
        let meta = file.metadata()?;
        is_plain(&meta)?;
        if !self.holds(&file, path) {
            return Err(Unread::Never(
                "it lies outside of the followed folder, behind a link; follow it by its own path"
                    .to_owned(),
            ));
        }
        Ok((file, meta))
    }

    /// True where an opened file really lies below the folder.
    fn holds(&self, file: &File, path: &Path) -> bool {
        let real = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))
            .or_else(|_| fs::canonicalize(path));
        real.is_ok_and(|real| real.starts_with(&self.folder))
    }

    /// All files of the folder that may be transcripts.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        match self.is_folder {
            true => self.files_below(&self.path),
            false => vec![self.path.clone()],
        }
    }

    /// Those of them that lie below a folder.
    pub(crate) fn files_below(&self, folder: &Path) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut open = match self.pieces(folder) {
            Some(pieces) if pieces.len() <= DEPTH_MAX => vec![(folder.to_owned(), pieces.len())],
            _ => Vec::new(),
        };
        while let Some((folder, depth)) = open.pop() {
            let Ok(entries) = fs::read_dir(&folder) else {
                continue;
            };
            let mut folders = Vec::new();
            let mut files = Vec::new();
            for entry in entries.flatten() {
                let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
                let (path, Ok(kind)) = (entry.path(), entry.file_type()) else {
                    continue;
                };
                if kind.is_dir() && !is_hidden && !self.leaves_out(&path) {
                    folders.push(path);
                } else if !is_hidden && !kind.is_dir() && is_candidate(&path) {
                    files.push(path);
                }
            }
            // What lies in a folder named as a transcript belongs to it.
            folders.retain(|folder| !files.iter().any(|file| file.with_extension("") == *folder));
            found.extend(files);
            if depth < DEPTH_MAX {
                open.extend(folders.into_iter().map(|folder| (folder, depth + 1)));
            }
        }
        found
    }

    /// The names on the way to a path in the followed folder; `None` where one is hidden, or it lies elsewhere.
    fn pieces<'a>(&self, path: &'a Path) -> Option<Vec<&'a OsStr>> {
        let inside = path.strip_prefix(&self.path).ok()?;
        let pieces: Vec<&OsStr> = inside.components().map(Component::as_os_str).collect();
        let is_hidden = |piece: &&OsStr| piece.as_encoded_bytes().starts_with(b".");
        (self.is_folder && !pieces.iter().any(is_hidden)).then_some(pieces)
    }

    /// True where a path may be a transcript of the folder.
    pub(crate) fn may_hold(&self, path: &Path) -> bool {
        if !self.is_folder {
            return path == self.path;
        }
        let Some(pieces) = self.pieces(path) else {
            return false;
        };
        is_candidate(path)
            && pieces.len() <= DEPTH_MAX + 1
            && fs::symlink_metadata(path).is_ok_and(|meta| !meta.is_dir())
            && !path
                .ancestors()
                .skip(1)
                .take(pieces.len() - 1)
                .any(|folder| {
                    ENDINGS
                        .iter()
                        .any(|ending| folder.with_extension(ending).is_file())
                })
    }
}

fn is_candidate(path: &Path) -> bool {
    path.extension()
        .is_some_and(|found| ENDINGS.iter().any(|ending| found == *ending))
}

fn is_plain(meta: &Metadata) -> Result<(), Unread> {
    let kind = meta.file_type();
    let what = if kind.is_file() {
        return Ok(());
    } else if kind.is_symlink() {
        "it is a link; follow what it leads to"
    } else if kind.is_dir() {
        "it is a folder"
    } else if kind.is_fifo() {
        "it is a pipe, which can be read only once; write its output to a file and follow that"
    } else if kind.is_socket() {
        "it is a socket; write its output to a file and follow that"
    } else {
        "it is a device; write its output to a file and follow that"
    };
    Err(Unread::Never(what.to_owned()))
}

/// Bytes of a file from a place on, `bytes_max` at most; fewer only where it ends.
pub(crate) fn read_at(file: &File, from: u64, bytes_max: usize) -> io::Result<Vec<u8>> {
    let left = file.metadata()?.len().saturating_sub(from);
    let mut bytes = vec![0; bytes_max.min(usize::try_from(left).unwrap_or(usize::MAX))];
    let mut length = 0;
    while length < bytes.len() {
        match file.read_at(&mut bytes[length..], from + length as u64) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}
