//! Writes a bundle: into a folder of its own, synced, renamed to its id. Whoever looks sees a whole bundle or none.

use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, File},
    io::{self, ErrorKind, Read, Write},
    path::{Path, PathBuf},
    process,
};

use rayon::prelude::*;
use readalong_model::{Digest, DigestWriter};

use crate::{BundleError, BundlePath, FORMAT_VERSION, FileEntry, MANIFEST, Manifest};

/// Bytes of a file that is copied in at once.
const COPY_BYTES: usize = 256 << 10;

/// A bundle that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenBundle {
    /// Its id.
    pub id: Digest,
    /// Its folder.
    pub path: PathBuf,
    /// Files in it, without the manifest.
    pub files: usize,
    /// Bytes of them.
    pub size_bytes: u64,
}

/// A bundle in the making. Dropped before it is finished, it leaves nothing.
pub struct BundleWriter {
    parent: PathBuf,
    folder: PathBuf,
    folders_made: HashSet<PathBuf>,
    files: BTreeMap<BundlePath, FileEntry>,
    is_finished: bool,
}

impl BundleWriter {
    /// Begins a bundle that will lie in `parent`, which is made if it is not there.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn create(parent: &Path) -> Result<Self, BundleError> {
        fs::create_dir_all(parent).map_err(BundleError::io("making folder", parent))?;
        let mut number = 0;
        // Not a `TempDir`: that one is closed to other users, and a web server has to read the bundle.
        let folder = loop {
            let folder = parent.join(format!(".readalong-{}-{number}.partial", process::id()));
            match fs::create_dir(&folder) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
                made => {
                    made.map_err(BundleError::io("making folder", &folder))?;
                    break folder;
                }
            }
        };
        Ok(Self {
            parent: parent.to_owned(),
            folder,
            folders_made: HashSet::new(),
            files: BTreeMap::new(),
            is_finished: false,
        })
    }

    /// Adds a file, in pieces.
    ///
    /// # Errors
    /// The name is not allowed or taken, or the file cannot be written.
    pub fn write(
        &mut self,
        path: &str,
        media_type: &str,
        pieces: &mut dyn Iterator<Item = Vec<u8>>,
    ) -> Result<(), BundleError> {
        let (path, at) = self.place(path)?;
        let mut file = File::create_new(&at).map_err(BundleError::io("writing", &at))?;
        let mut digest = DigestWriter::default();
        let mut size_bytes = 0;
        for piece in pieces {
            digest.update(&piece);
            size_bytes += piece.len() as u64;
            file.write_all(&piece)
                .map_err(BundleError::io("writing", &at))?;
        }
        self.enter(FileEntry {
            path,
            media_type: media_type.to_owned(),
            size_bytes,
            sha256: digest.finish(),
        });
        Ok(())
    }

    /// Adds a copy of a file whose digest is known. It may be added several times.
    ///
    /// # Errors
    /// The name is not allowed or taken by other content, or the file cannot be copied.
    pub fn copy(&mut self, path: &str, media_type: &str, from: &Path) -> Result<(), BundleError> {
        let name = BundlePath::new(path)?;
        let mut source = File::open(from).map_err(BundleError::io("reading", from))?;
        if let Some(there) = self.files.get(&name) {
            let mut digest = DigestWriter::default();
            copy((&mut source, from), (&mut io::sink(), from), &mut digest)?;
            return if digest.finish() == there.sha256 {
                Ok(())
            } else {
                Err(BundleError::Twice {
                    path: path.to_owned(),
                })
            };
        }
        self.take(path, media_type, (&mut source, from)).map(|_| ())
    }

    /// Adds what is read from a file, or from within one, and tells its digest and length.
    pub(crate) fn take(
        &mut self,
        path: &str,
        media_type: &str,
        source: (&mut dyn Read, &Path),
    ) -> Result<(Digest, u64), BundleError> {
        let (path, at) = self.place(path)?;
        let mut file = File::create_new(&at).map_err(BundleError::io("writing", &at))?;
        let mut digest = DigestWriter::default();
        let size_bytes = copy(source, (&mut file, &at), &mut digest)?;
        let sha256 = digest.finish();
        self.enter(FileEntry {
            path,
            media_type: media_type.to_owned(),
            size_bytes,
            sha256,
        });
        Ok((sha256, size_bytes))
    }

    /// Writes the manifest, syncs everything and gives the bundle its name. A bundle that is there already stays as it is.
    ///
    /// # Errors
    /// Something cannot be written; then nothing is left.
    pub fn finish(mut self, generator: &str) -> Result<WrittenBundle, BundleError> {
        let files: Vec<FileEntry> = std::mem::take(&mut self.files).into_values().collect();
        let size_bytes = files.iter().map(|file| file.size_bytes).sum();
        let count = files.len();
        let manifest = Manifest {
            format: Manifest::FORMAT.to_owned(),
            version: FORMAT_VERSION,
            generator: generator.to_owned(),
            files,
        };
        let at = self.folder.join(MANIFEST);
        let bytes = manifest
            .to_bytes()
            .map_err(BundleError::io("writing", &at))?;
        fs::write(&at, &bytes).map_err(BundleError::io("writing", &at))?;
        let id = Digest::of(&bytes);
        let names = manifest.files.iter().map(|file| file.path.as_str());
        let is_whole =
            |path: &Path| matches!(crate::verify(path), Ok(found) if found.problems.is_empty());
        let path = self.settle(id, &mut names.chain([MANIFEST]), &is_whole)?;
        Ok(WrittenBundle {
            id,
            path,
            files: count,
            size_bytes,
        })
    }

    /// Gives the folder the name that follows from its files, without a manifest. One that is there stays if it is whole.
    pub(crate) fn finish_as(
        mut self,
        name: impl FnOnce(&[FileEntry]) -> Digest,
        is_whole: &dyn Fn(&Path) -> bool,
    ) -> Result<(Digest, PathBuf, Vec<FileEntry>), BundleError> {
        let files: Vec<FileEntry> = std::mem::take(&mut self.files).into_values().collect();
        let id = name(&files);
        let mut names = files.iter().map(|file| file.path.as_str());
        let path = self.settle(id, &mut names, is_whole)?;
        Ok((id, path, files))
    }

    /// Syncs everything and renames the folder. Its name stands for its content: what has the name and is whole is the same, what is not is
    /// replaced.
    fn settle(
        mut self,
        id: Digest,
        names: &mut dyn Iterator<Item = &str>,
        is_whole: &dyn Fn(&Path) -> bool,
    ) -> Result<PathBuf, BundleError> {
        self.sync(names)?;
        let path = self.parent.join(id.to_string());
        loop {
            if path.exists() {
                if is_whole(&path) {
                    return Ok(path);
                }
                fs::remove_dir_all(&path).map_err(BundleError::io("replacing", &path))?;
            }
            match fs::rename(&self.folder, &path) {
                // Somebody who writes the same was quicker.
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists
                    ) => {}
                renamed => break renamed.map_err(BundleError::io("writing", &path))?,
            }
        }
        self.is_finished = true;
        sync_folder(&self.parent)?;
        Ok(path)
    }

    /// Where a new file goes.
    fn place(&mut self, path: &str) -> Result<(BundlePath, PathBuf), BundleError> {
        let name = BundlePath::new(path)?;
        if self.files.contains_key(&name) || path == MANIFEST {
            return Err(BundleError::Twice {
                path: path.to_owned(),
            });
        }
        let at = self.folder.join(path);
        if let Some(folder) = at.parent().filter(|folder| *folder != self.folder)
            && self.folders_made.insert(folder.to_owned())
        {
            fs::create_dir_all(folder).map_err(BundleError::io("making folder", folder))?;
        }
        Ok((name, at))
    }

    fn enter(&mut self, entry: FileEntry) {
        self.files.insert(entry.path.clone(), entry);
    }

    fn sync(&self, names: &mut dyn Iterator<Item = &str>) -> Result<(), BundleError> {
        let paths: Vec<PathBuf> = names.map(|name| self.folder.join(name)).collect();
        paths.par_iter().try_for_each(|path| {
            let synced = File::open(path).and_then(|file| file.sync_all());
            synced.map_err(BundleError::io("syncing", path))
        })?;
        self.folders_made
            .iter()
            .try_for_each(|folder| sync_folder(folder))?;
        sync_folder(&self.folder)
    }
}

impl Drop for BundleWriter {
    fn drop(&mut self) {
        if !self.is_finished {
            // Nothing can be done about a failure here, and the folder's name says what it is.
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

fn copy(
    (source, from): (&mut dyn Read, &Path),
    (out, at): (&mut dyn Write, &Path),
    digest: &mut DigestWriter,
) -> Result<u64, BundleError> {
    let mut buffer = vec![0; COPY_BYTES];
    let mut size_bytes = 0;
    loop {
        let read = match source.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read.map_err(BundleError::io("reading", from))?,
        };
        if read == 0 {
            return Ok(size_bytes);
        }
        digest.update(&buffer[..read]);
        out.write_all(&buffer[..read])
            .map_err(BundleError::io("writing", at))?;
        size_bytes += read as u64;
    }
}

/// Makes the names in a folder durable. Not every system can open a folder; there the rename itself has to do.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), BundleError> {
    if cfg!(unix) {
        let synced = File::open(folder).and_then(|file| file.sync_all());
        synced.map_err(BundleError::io("syncing", folder))?;
    }
    Ok(())
}
