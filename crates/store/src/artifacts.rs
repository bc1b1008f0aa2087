//! Artifacts: files beside the database, named by their digests.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use readalong_model::{Digest, DigestWriter};

use crate::{StoreError, sql::Result};

/// How long a file waits for a chat to name it before it may be cleared away: longer than anybody takes between the upload of an artifact and that of
/// the message it is in.
const UNNAMED_TIME: Duration = Duration::from_secs(600);

/// Bytes that are copied at once.
const COPY_BYTES: usize = 64 * 1024;

/// Names of files that are not whole yet begin so.
const PARTIAL: &str = ".partial-";

/// The folder of artifacts.
pub(crate) struct Artifacts {
    folder: PathBuf,
    /// Files that were kept and that no chat names yet, and since when. Nobody deletes one of these, and who deletes holds the lock.
    unnamed: Mutex<HashMap<Digest, Instant>>,
}

impl Artifacts {
    /// The folder, made if it is not there.
    pub(crate) fn open(folder: PathBuf) -> Result<Self> {
        make_folder(&folder).map_err(StoreError::io("making", &folder))?;
        Ok(Self {
            folder,
            unnamed: Mutex::default(),
        })
    }

    pub(crate) fn path(&self, digest: Digest) -> PathBuf {
        self.folder.join(digest.to_string())
    }

    /// Keeps bytes; see [`Artifacts::keep`].
    pub(crate) fn keep_bytes(&self, bytes: &[u8]) -> Result<Digest> {
        let digest = Digest::of(bytes);
        self.lock().insert(digest, Instant::now());
        match self.path(digest).exists() {
            true => Ok(digest),
            false => self.keep(&mut &*bytes),
        }
    }

    /// Keeps what comes out of `bytes`; it is on the disk when this returns. The same bytes are kept once.
    pub(crate) fn keep(&self, bytes: &mut dyn Read) -> Result<Digest> {
        let partial = Partial::new(&self.folder)?;
        let digest = partial
            .fill(bytes)
            .map_err(StoreError::io("writing", &partial.path))?;
        self.lock().insert(digest, Instant::now());
        let path = self.path(digest);
        if !path.exists() {
            fs::rename(&partial.path, &path).map_err(StoreError::io("writing", &path))?;
            sync_folder(&self.folder).map_err(StoreError::io("writing", &self.folder))?;
        }
        Ok(digest)
    }

    /// A chat names the file now.
    pub(crate) fn named(&self, digest: Digest) {
        self.lock().remove(&digest);
    }

    /// Deletes a file unless `is_used` or somebody has just kept it; false means it is to be tried again later.
    pub(crate) fn delete(
        &self,
        digest: Digest,
        is_used: impl FnOnce() -> Result<bool>,
    ) -> Result<bool> {
        let mut unnamed = self.lock();
        unnamed.retain(|_, since| since.elapsed() < UNNAMED_TIME);
        if unnamed.contains_key(&digest) {
            return Ok(false);
        }
        if !is_used()? {
            let path = self.path(digest);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(StoreError::io("deleting", path)(error));
                }
                _ => {}
            }
        }
        Ok(true)
    }

    /// Clears away what nobody names, as an interrupted program leaves it. For a store that is being opened only.
    pub(crate) fn sweep(&self, mut is_used: impl FnMut(Digest) -> Result<bool>) -> Result<()> {
        let failed = StoreError::io("reading", &self.folder);
        for entry in fs::read_dir(&self.folder).map_err(failed)?.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let goes = match name.parse::<Digest>() {
                Ok(digest) => !is_used(digest)?,
                Err(_) => name.starts_with(PARTIAL),
            };
            if goes {
                let path = entry.path();
                fs::remove_file(&path).map_err(StoreError::io("deleting", path))?;
            }
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Instant>> {
        self.unnamed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file that is not whole yet; it goes when this is dropped, unless it was renamed.
struct Partial {
    path: PathBuf,
    file: File,
}

impl Partial {
    fn new(folder: &Path) -> Result<Self> {
        let path = folder.join(format!("{PARTIAL}{}", random_name()?));
        let file = private_file(&path).map_err(StoreError::io("writing", &path))?;
        Ok(Self { path, file })
    }

    fn fill(&self, bytes: &mut dyn Read) -> io::Result<Digest> {
        let mut digest = DigestWriter::default();
        let mut buffer = vec![0; COPY_BYTES];
        loop {
            match bytes.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    digest.update(&buffer[..count]);
                    (&self.file).write_all(&buffer[..count])?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.file.sync_all()?;
        Ok(digest.finish())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After a rename it is not there, which is as well.
        let _ = fs::remove_file(&self.path);
    }
}

/// 16 hexadecimal digits that nothing else has.
pub(crate) fn random_name() -> Result<String> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| {
        StoreError::io("reading", "the random source")(io::Error::other(error.to_string()))
    })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Makes a folder that only its owner may look into.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Makes a file that only its owner may read.
pub(crate) fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}
