//! A folder of this machine, as a web server serves it.
//!
//! A version's folder is written under a name of its own, synced and renamed; so is each head. One publication at a time: the folder is locked by the
//! operating system, which lets go of it when the program ends, however it ends.

use std::{
    collections::BTreeSet,
    fs, io,
    io::Write,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use readalong_bundle::{BundleError, Manifest};

use crate::{
    Changes, File, Listed, Origin, PublishError, Session, SitePath, Target, Watch, whole_path,
    without_credentials,
};

/// How long another publication to the same folder is waited for.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(60);
/// Time between two looks at whether it is done.
const LOCK_LOOK_EVERY: Duration = Duration::from_millis(50);
/// Bytes of two files that are compared at once.
const COMPARED_BYTES: u64 = 1 << 20;
/// End of the names of what is not whole yet.
pub(crate) const PARTIAL: &str = ".readalong-partial";

/// A folder.
pub(crate) struct Folder {
    name: String,
    root: PathBuf,
}

/// Takes any text as the name of a folder.
pub(crate) fn open(text: &str) -> Option<Result<Box<dyn Target>, PublishError>> {
    let path = text.strip_prefix("file://").unwrap_or(text);
    if path.is_empty() {
        return None;
    }
    if let Some((scheme, _)) = path.split_once("://") {
        let reason = format!(
            "`{scheme}://` is not known; there are folders, s3://, gs://, az://, git+URL#BRANCH, rsync://HOST/MODULE and HOST:FOLDER"
        );
        return Some(Err(PublishError::BadTarget {
            target: without_credentials(text),
            reason,
        }));
    }
    Some(Ok(Box::new(Folder {
        name: text.to_owned(),
        root: whole_path(Path::new(path)),
    })))
}

impl Target for Folder {
    fn name(&self) -> &str {
        &self.name
    }

    fn key(&self) -> String {
        self.root.display().to_string()
    }

    fn folder(&self) -> Option<&Path> {
        Some(&self.root)
    }

    fn begin(&self, watch: &dyn Watch) -> Result<Box<dyn Session + '_>, PublishError> {
        let is_there = self.root.try_exists();
        let is_new = !is_there.map_err(self.io("reading", &self.root))?;
        if let Ok(_) | Err(BundleError::TooNew { .. }) = Manifest::open(&self.root) {
            return Err(PublishError::BadTarget {
                target: self.name.clone(),
                reason: "it is a bundle, which would be damaged; name another folder".to_owned(),
            });
        }
        Ok(Box::new(FolderSession {
            folder: self,
            is_new,
            _lock: if is_new { None } else { self.lock(watch)? },
        }))
    }
}

impl Folder {
    fn io(
        &self,
        action: &'static str,
        path: &Path,
    ) -> impl FnOnce(io::Error) -> PublishError + use<> {
        let (target, path) = (self.name.clone(), path.to_owned());
        move |source| PublishError::Io {
            target,
            action,
            path,
            source,
        }
    }

    fn lock(&self, watch: &dyn Watch) -> Result<Option<fs::File>, PublishError> {
        // Folders cannot be opened everywhere; where they cannot, two publications at once are the owner's to avoid.
        if !cfg!(unix) {
            return Ok(None);
        }
        let file = fs::File::open(&self.root).map_err(self.io("opening", &self.root))?;
        let begun = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(file)),
                Err(fs::TryLockError::Error(error)) => {
                    return Err(self.io("locking", &self.root)(error));
                }
                Err(fs::TryLockError::WouldBlock) if watch.is_cancelled() => {
                    return Err(PublishError::Cancelled {
                        target: self.name.clone(),
                    });
                }
                Err(fs::TryLockError::WouldBlock) if begun.elapsed() > LOCK_WAIT_MAX => {
                    return Err(PublishError::Busy {
                        target: self.name.clone(),
                    });
                }
                Err(fs::TryLockError::WouldBlock) => thread::sleep(LOCK_LOOK_EVERY),
            }
        }
    }
}

struct FolderSession<'a> {
    folder: &'a Folder,
    /// The folder is made when something is to lie in it.
    is_new: bool,
    _lock: Option<fs::File>,
}

impl FolderSession<'_> {
    fn path(&self, path: &SitePath) -> PathBuf {
        self.folder.root.join(path.as_str())
    }

    fn io(
        &self,
        action: &'static str,
        path: &Path,
    ) -> impl FnOnce(io::Error) -> PublishError + use<> {
        self.folder.io(action, path)
    }

    /// What lies in a folder; nothing where there is none.
    fn entries(&self, path: &Path) -> Result<Vec<fs::DirEntry>, PublishError> {
        match fs::read_dir(path).and_then(Iterator::collect) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            entries => entries.map_err(self.io("reading", path)),
        }
    }

    /// Makes the folder of the site, where nobody else has made it meanwhile.
    fn make(&mut self, watch: &dyn Watch) -> Result<(), PublishError> {
        let root = &self.folder.root;
        fs::create_dir_all(root).map_err(self.io("making folder", root))?;
        self._lock = self.folder.lock(watch)?;
        self.is_new = false;
        let mut there = fs::read_dir(root).map_err(self.io("reading", root))?;
        match there.next() {
            Some(_) => Err(PublishError::MovedOn {
                target: self.folder.name.clone(),
            }),
            None => Ok(()),
        }
    }

    /// Writes the folder of a version; it is there whole or not at all.
    fn version(
        &self,
        version: &SitePath,
        files: &[File],
        watch: &dyn Watch,
    ) -> Result<(), PublishError> {
        let place = self.path(version);
        let partial = partial(&place);
        remove_folder(&partial).map_err(self.io("removing", &partial))?;
        // Another version with the same first digits, or one that somebody damaged: what is missing goes in beside what is there.
        let is_new = !place.exists();
        let mut folders = vec![if is_new {
            partial.clone()
        } else {
            place.clone()
        }];
        fs::create_dir_all(&folders[0]).map_err(self.io("making folder", &folders[0]))?;
        for file in files {
            let path = self.path(&file.path);
            let path = path
                .strip_prefix(&place)
                .map_or(path.clone(), |below| folders[0].join(below));
            if let Some(parent) = path
                .parent()
                .filter(|parent| !folders.iter().any(|folder| folder == parent))
            {
                fs::create_dir_all(parent).map_err(self.io("making folder", parent))?;
                folders.push(parent.to_owned());
            }
            self.file(file, &path, watch)?;
        }
        for folder in folders.iter().rev() {
            sync_folder(folder).map_err(self.io("syncing", folder))?;
        }
        if is_new {
            fs::rename(&partial, &place).map_err(self.io("writing", &place))?;
        }
        let parent = place.parent().unwrap_or(&self.folder.root);
        sync_folder(parent).map_err(self.io("syncing", parent))
    }

    /// Writes a file that nothing names yet.
    fn file(&self, file: &File, path: &Path, watch: &dyn Watch) -> Result<(), PublishError> {
        if watch.is_cancelled() {
            return Err(PublishError::Cancelled {
                target: self.folder.name.clone(),
            });
        }
        if let Origin::There { path: from, .. } = &file.origin {
            // A link costs nothing; where there are none, the bytes are copied below.
            if fs::hard_link(self.path(from), path).is_ok() {
                return Ok(());
            }
        }
        let copied = match &file.origin {
            Origin::Bytes(bytes) => write(path, &mut bytes.as_slice()),
            Origin::File(from) | Origin::There { here: from, .. } => {
                let mut source = fs::File::open(from).map_err(self.io("reading", from))?;
                write(path, &mut source)
            }
        };
        copied.map_err(self.io("writing", path))?;
        watch.sent(file.size_bytes);
        Ok(())
    }

    /// Writes a file under another name and renames it, so that readers see the old one or the new one.
    fn replace(&self, path: &SitePath, bytes: &[u8]) -> Result<(), PublishError> {
        let place = self.path(path);
        let parent = place.parent().unwrap_or(&self.folder.root).to_owned();
        let partial = partial(&place);
        fs::create_dir_all(&parent).map_err(self.io("making folder", &parent))?;
        let written = write(&partial, &mut &*bytes).and_then(|()| fs::rename(&partial, &place));
        if written.is_err() {
            let _ = fs::remove_file(&partial);
        }
        written.map_err(self.io("writing", &place))?;
        sync_folder(&parent).map_err(self.io("syncing", &parent))
    }
}

impl Session for FolderSession<'_> {
    fn read(&mut self, path: &SitePath) -> Result<Option<Vec<u8>>, PublishError> {
        let path = self.path(path);
        match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some).map_err(self.io("reading", &path)),
        }
    }

    fn list(&mut self, folder: &SitePath) -> Result<Vec<Listed>, PublishError> {
        let mut listed = Vec::new();
        let mut open = vec![folder.clone()];
        while let Some(folder) = open.pop() {
            for entry in self.entries(&self.path(&folder))? {
                // What can be no file of a site is not ours.
                let name = entry.file_name();
                let Some(path) = name
                    .to_str()
                    .and_then(|name| SitePath::parse(&format!("{folder}/{name}")))
                else {
                    continue;
                };
                let metadata = entry
                    .metadata()
                    .map_err(self.io("reading", &entry.path()))?;
                match metadata.is_dir() {
                    true => open.push(path),
                    false => listed.push(Listed {
                        path,
                        size_bytes: Some(metadata.len()),
                    }),
                }
            }
        }
        listed.sort();
        Ok(listed)
    }

    fn damaged(&mut self, files: &[File]) -> Result<BTreeSet<SitePath>, PublishError> {
        let damaged = files.iter().filter(|file| {
            // What cannot be read is written anew, which says why it cannot.
            let here = file.origin.here();
            here.is_some_and(|here| !is_same(&self.path(&file.path), here).unwrap_or(false))
        });
        Ok(damaged.map(|file| file.path.clone()).collect())
    }

    fn folders(&mut self, folder: &SitePath) -> Result<Vec<String>, PublishError> {
        let path = self.path(folder);
        let mut names = Vec::new();
        for entry in self.entries(&path)? {
            // A link may lead to a folder.
            let kind = entry.file_type().map_err(self.io("reading", &path))?;
            if !kind.is_file() {
                names.extend(entry.file_name().into_string().ok());
            }
        }
        Ok(names)
    }

    fn leftovers(&mut self) -> Result<Vec<SitePath>, PublishError> {
        // Nobody else is at work: the folder is locked.
        let entries = self.entries(&self.folder.root)?.into_iter();
        let names = entries.map(|entry| entry.file_name());
        let left = names.filter_map(|name| SitePath::parse(name.to_str()?));
        Ok(left
            .filter(|path| path.as_str().starts_with('.') && path.as_str().ends_with(PARTIAL))
            .collect())
    }

    fn apply(&mut self, changes: &Changes, watch: &dyn Watch) -> Result<(), PublishError> {
        if self.is_new {
            self.make(watch)?;
        }
        if let Some((version, files)) = &changes.version
            && let Err(error) = self.version(version, files, watch)
        {
            // The place is as it was; what could not be finished is of no use.
            let _ = remove_folder(&partial(&self.path(version)));
            return Err(error);
        }
        for file in &changes.files {
            let bytes = file
                .origin
                .read()
                .map_err(self.io("reading", Path::new(file.path.as_str())))?;
            self.replace(&file.path, &bytes)?;
            watch.sent(file.size_bytes);
        }
        for head in &changes.heads {
            self.replace(&head.path, &head.bytes)?;
            watch.sent(head.bytes.len() as u64);
        }
        if changes.removed.is_empty() {
            return Ok(());
        }
        watch.visible();
        for path in &changes.removed {
            let path = self.path(path);
            match fs::remove_file(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed.map_err(self.io("removing", &path))?,
            }
            remove_empty(&self.folder.root, path.parent());
        }
        Ok(())
    }
}

fn partial(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}{PARTIAL}"))
}

/// True where two files hold the same bytes.
fn is_same(one: &Path, other: &Path) -> io::Result<bool> {
    let (mut one, mut other) = (fs::File::open(one)?, fs::File::open(other)?);
    let piece = |file: &mut fs::File| {
        let mut piece = Vec::new();
        io::Read::read_to_end(&mut io::Read::take(file, COMPARED_BYTES), &mut piece)?;
        io::Result::Ok(piece)
    };
    loop {
        let (one, other) = (piece(&mut one)?, piece(&mut other)?);
        if one != other || one.is_empty() {
            return Ok(one == other);
        }
    }
}

/// Writes and syncs a file.
fn write(path: &Path, source: &mut dyn io::Read) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    io::copy(source, &mut file)?;
    file.flush()?;
    file.sync_all()
}

fn remove_folder(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Removes folders that have become empty, up to the site itself.
fn remove_empty(root: &Path, mut folder: Option<&Path>) {
    while let Some(path) = folder.filter(|path| *path != root && path.starts_with(root)) {
        if fs::remove_dir(path).is_err() {
            return;
        }
        folder = path.parent();
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    match cfg!(unix) {
        true => fs::File::open(folder)?.sync_all(),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use readalong_bundle::MANIFEST;

    use super::*;
    use crate::site::tests::Unseen;

    #[test]
    fn a_bundle_of_any_version_is_no_site() {
        for (manifest, is_bundle) in [
            (
                r#"{"format":"readalong-bundle","version":1,"generator":"","files":[]}"#,
                true,
            ),
            (r#"{"format":"readalong-bundle","version":99}"#, true),
            (r#"{"name":"A web app"}"#, false),
        ] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(MANIFEST), manifest).unwrap();
            let target = open(folder.path().to_str().unwrap()).unwrap().unwrap();
            let begun = target.begin(&Unseen);
            let is_refused = matches!(begun, Err(PublishError::BadTarget { .. }));
            assert_eq!(is_refused, is_bundle, "{manifest}");
        }
    }
}
