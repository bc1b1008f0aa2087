//! Transcripts on disk and what lies beside them.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::{Component, Path, PathBuf},
};

use anyhow::Context;
use indicatif::ProgressBar;
use readalong_bundle::{Package, Spool};
use readalong_import::{ReadSeek, Source, Surroundings};
use readalong_model::Digest;

use crate::cancel;

/// The largest neighbour of a transcript that is read; a larger one counts as missing.
const NEIGHBOUR_BYTES_MAX: u64 = 256 << 20;

/// A transcript file as a source; `bar` follows how far it is read.
///
/// # Errors
/// There is no such file, or it is a folder or a pipe.
pub(crate) fn source(path: &Path, bar: &ProgressBar) -> anyhow::Result<Source> {
    let opening = || format!("cannot open `{}`", path.display());
    let meta = fs::metadata(path).with_context(opening)?;
    if meta.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory)).with_context(opening);
    }
    // A transcript is read more than once, and a pipe would wait for ever.
    if !meta.is_file() {
        let reason = io::Error::new(io::ErrorKind::Unsupported, "it is not a plain file");
        return Err(reason).with_context(opening);
    }
    bar.set_length(meta.len());
    let (path, bar) = (path.to_owned(), bar.clone());
    let name = path.display().to_string();
    let open = move || -> io::Result<Box<dyn ReadSeek>> {
        Ok(Box::new(Watched {
            file: File::open(&path)?,
            bar: bar.clone(),
        }))
    };
    Ok(Source {
        name,
        open: Box::new(open),
    })
}

/// A package; `bar` follows how far it is read.
///
/// # Errors
/// There is no such file, it is not one, or it is no package.
pub(crate) fn package(path: &Path, bar: &ProgressBar) -> anyhow::Result<Package> {
    let read = source(path, bar)?;
    let file = (read.open)().with_context(|| format!("cannot open `{}`", path.display()))?;
    Ok(Package::open(path, file)?)
}

/// The name of this machine, which tells apart transcripts that lie under the same path on several.
pub(crate) fn host_name() -> String {
    gethostname::gethostname().to_string_lossy().into_owned()
}

/// A file that tells how far it is read, and stops when somebody cancels.
struct Watched {
    file: File,
    bar: ProgressBar,
}

impl Read for Watched {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        cancel::check()?;
        let read = self.file.read(out)?;
        self.bar.inc(read as u64);
        Ok(read)
    }
}

impl Seek for Watched {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = self.file.seek(to)?;
        self.bar.set_position(at);
        Ok(at)
    }
}

/// What lies beside a transcript, and the spool that artifacts go to.
pub(crate) struct Neighbours {
    folder: PathBuf,
    spool: Spool,
}

impl Neighbours {
    /// The neighbours of a transcript.
    ///
    /// # Errors
    /// No temporary folder can be made.
    pub(crate) fn of(transcript: &Path) -> io::Result<Self> {
        let folder = transcript
            .parent()
            .map_or_else(PathBuf::new, Path::to_owned);
        Ok(Self {
            folder,
            spool: Spool::new(None)?,
        })
    }

    /// Where artifacts were kept.
    pub(crate) fn spool(&self) -> &Spool {
        &self.spool
    }

    /// The place of a neighbour: below the transcript's folder, and no link on the way.
    fn place(&self, path: &str) -> Option<PathBuf> {
        let mut place = self.folder.clone();
        for piece in Path::new(path).components() {
            let Component::Normal(name) = piece else {
                return None;
            };
            place.push(name);
            if fs::symlink_metadata(&place).ok()?.file_type().is_symlink() {
                return None;
            }
        }
        Some(place)
    }
}

impl Surroundings for Neighbours {
    fn keep(&mut self, bytes: &[u8]) -> io::Result<Digest> {
        self.spool.keep(bytes)
    }

    fn beside(&mut self, path: &str) -> io::Result<Option<Vec<u8>>> {
        let Some(place) = self.place(path) else {
            return Ok(None);
        };
        let meta = match fs::metadata(&place) {
            Ok(meta) if meta.is_file() && meta.len() <= NEIGHBOUR_BYTES_MAX => meta,
            _ => return Ok(None),
        };
        let mut bytes = Vec::with_capacity(meta.len() as usize);
        File::open(&place)?
            .take(NEIGHBOUR_BYTES_MAX)
            .read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    fn names_in(&mut self, folder: &str) -> Vec<String> {
        let place = if folder.is_empty() {
            Some(self.folder.clone())
        } else {
            self.place(folder)
        };
        let place = place.map(|place| {
            if place.as_os_str().is_empty() {
                PathBuf::from(".")
            } else {
                place
            }
        });
        let entries = place
            .and_then(|place| fs::read_dir(place).ok())
            .into_iter()
            .flatten()
            .flatten();
        let mut names: Vec<String> = entries.filter_map(|entry| name_of(&entry)).collect();
        names.sort();
        names
    }
}

/// The name of a file, or of a folder with `/` at the end; `None` for a link and anything else.
fn name_of(entry: &fs::DirEntry) -> Option<String> {
    let name = entry.file_name().to_string_lossy().into_owned();
    match entry.file_type() {
        Ok(kind) if kind.is_file() => Some(name),
        Ok(kind) if kind.is_dir() => Some(name + "/"),
        _ => None,
    }
}
