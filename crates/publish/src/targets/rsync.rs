//! A folder of another machine, by the `rsync` program: over ssh with the user's own settings and keys, or to a daemon.
//!
//! A version's folder is sent first, hard links stand for what the host has already; then the heads; what is no longer named goes at the end.

use std::{
    collections::{BTreeSet, HashMap},
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use readalong_bundle::closed_folder;
use tempfile::TempDir;

use super::program::{self, Ran};
use crate::{
    Changes, File, Listed, Origin, PublishError, Session, SitePath, Target, Watch,
    without_credentials,
};

/// Seconds without any answer after which the host is given up.
const TIMEOUT: &str = "--timeout=60";
/// Folders can be entered and files read by the web server; programs are not among them.
const CHMOD: &str = "--chmod=D755,F644";
/// What others may write at the same time is sent without regard to what is there: a difference to a file that changes meanwhile fits nothing.
const WHOLE: &str = "--whole-file";
/// What `rsync` answers where a file is not there: some files could not be sent.
const PARTLY: i32 = 23;
/// What it answers where a file went while it was read.
const VANISHED: i32 = 24;

/// A folder elsewhere.
pub(crate) struct Rsync {
    name: String,
    /// The folder as rsync takes it, with a slash at the end.
    place: String,
}

/// Takes `rsync://HOST/MODULE/PATH`, `HOST::MODULE/PATH` and `USER@HOST:FOLDER`.
pub(crate) fn open(text: &str) -> Option<Result<Box<dyn Target>, PublishError>> {
    let is_daemon = text.starts_with("rsync://");
    let is_remote = || {
        let (host, folder) = text.split_once(':')?;
        // A drive letter is no host, and a path before the colon is a path.
        (host.len() > 1 && !host.contains('/') && !folder.starts_with("//")).then_some(())
    };
    if !is_daemon {
        is_remote()?;
    }
    let name = without_credentials(text);
    let bad = |reason: &str| {
        Some(Err(PublishError::BadTarget {
            target: name.clone(),
            reason: reason.to_owned(),
        }))
    };
    if text.starts_with('-') {
        return bad("it names no host");
    }
    if text.ends_with("::") {
        return bad("it names no module");
    }
    let place = place_of(text);
    Some(Ok(Box::new(Rsync { name, place })))
}

/// The folder with a slash at its end. Behind a host alone it is the one where one arrives, and not the root.
fn place_of(text: &str) -> String {
    match text.ends_with(':') {
        true => format!("{text}./"),
        false => format!("{}/", text.trim_end_matches('/')),
    }
}

impl Target for Rsync {
    fn name(&self) -> &str {
        &self.name
    }

    fn key(&self) -> String {
        self.name.trim_end_matches('/').to_owned()
    }

    fn begin(&self, _watch: &dyn Watch) -> Result<Box<dyn Session + '_>, PublishError> {
        let folder = closed_folder("readalong-rsync-", &std::env::temp_dir());
        let folder = folder.map_err(|source| {
            self.io("making a temporary folder", &std::env::temp_dir(), source)
        })?;
        Ok(Box::new(RsyncSession {
            rsync: self,
            folder,
            folders: 0,
            read: HashMap::new(),
        }))
    }
}

impl Rsync {
    fn io(&self, action: &'static str, path: &Path, source: io::Error) -> PublishError {
        PublishError::Io {
            target: self.name.clone(),
            action,
            path: path.to_owned(),
            source,
        }
    }

    fn at(&self, path: &SitePath) -> String {
        format!("{}{path}", self.place)
    }

    fn run(&self, arguments: &[&str]) -> Result<Ran, PublishError> {
        let mut command = Command::new("rsync");
        if std::env::var_os("RSYNC_RSH").is_none() {
            command.env("RSYNC_RSH", program::SSH);
        }
        program::run(
            &self.name,
            "rsync",
            command.arg(TIMEOUT).args(arguments),
            Vec::new(),
        )
    }

    fn rsync(&self, action: &'static str, arguments: &[&str]) -> Result<Vec<u8>, PublishError> {
        let ran = self.run(arguments)?;
        match ran.code {
            0 => Ok(ran.out),
            _ => Err(self.failed(action, ran)),
        }
    }

    fn failed(&self, action: &'static str, ran: Ran) -> PublishError {
        let (target, says) = (self.name.clone(), ran.says);
        if [
            "auth failed",
            "Permission denied (",
            "Host key verification failed",
        ]
        .iter()
        .any(|sign| says.contains(sign))
        {
            return PublishError::Denied { target, says };
        }
        PublishError::Program {
            target,
            program: "rsync",
            action,
            says,
        }
    }
}

struct RsyncSession<'a> {
    rsync: &'a Rsync,
    folder: TempDir,
    /// Temporary folders that were made.
    folders: usize,
    /// What was read; `None` where there was nothing.
    read: HashMap<SitePath, Option<Vec<u8>>>,
}

impl RsyncSession<'_> {
    /// An empty folder of our own.
    fn empty(&mut self) -> Result<PathBuf, PublishError> {
        self.folders += 1;
        let path = self.folder.path().join(self.folders.to_string());
        fs::create_dir(&path)
            .map_err(|source| self.rsync.io("making a temporary folder", &path, source))?;
        Ok(path)
    }

    /// Writes files as they are to lie below the place.
    fn stage<'f>(
        &mut self,
        files: impl Iterator<Item = (&'f SitePath, Vec<u8>)>,
    ) -> Result<PathBuf, PublishError> {
        let root = self.empty()?;
        for (path, bytes) in files {
            let at = root.join(path.as_str());
            let parent = at.parent().unwrap_or(&root);
            let written = fs::create_dir_all(parent).and_then(|()| fs::write(&at, bytes));
            written.map_err(|source| self.rsync.io("writing", &at, source))?;
        }
        Ok(root)
    }

    /// Sends all below a folder to a place below ours.
    fn send(&self, from: &Path, to: &str, more: &[&str]) -> Result<(), PublishError> {
        let from = format!("{}/", from.display());
        let mut arguments = vec!["-r", "--checksum", "--mkpath", CHMOD];
        arguments.extend_from_slice(more);
        arguments.extend_from_slice(&["--", &from, to]);
        self.rsync.rsync("sending files", &arguments).map(drop)
    }

    fn version(&mut self, version: &SitePath, files: &[File]) -> Result<(), PublishError> {
        let root = self.empty()?;
        let mut before = None;
        for file in files {
            let name = file
                .path
                .as_str()
                .strip_prefix(version.as_str())
                .unwrap_or_default()
                .trim_start_matches('/');
            let at = root.join(name);
            let parent = at.parent().unwrap_or(&root);
            let made = fs::create_dir_all(parent).and_then(|()| match &file.origin {
                Origin::File(from) => link(from, &at),
                Origin::There { path, here } => {
                    before.get_or_insert_with(|| {
                        path.as_str()
                            .split('/')
                            .nth(2)
                            .unwrap_or_default()
                            .to_owned()
                    });
                    link(here, &at)
                }
                Origin::Bytes(bytes) => fs::write(&at, bytes),
            });
            made.map_err(|source| self.rsync.io("writing", &at, source))?;
        }
        let linked = before.map(|before| format!("--link-dest=../{before}/"));
        let more: Vec<&str> = linked.as_deref().into_iter().collect();
        self.send(&root, &format!("{}/", self.rsync.at(version)), &more)
    }

    /// Which of these files are others than those that were read.
    fn moved<'p>(
        &mut self,
        paths: impl Iterator<Item = &'p SitePath>,
    ) -> Result<BTreeSet<SitePath>, PublishError> {
        let read: Vec<&SitePath> = paths.filter(|path| self.read.contains_key(path)).collect();
        if read.is_empty() {
            return Ok(BTreeSet::new());
        }
        let into = self.empty()?;
        let to = format!("{}/", into.display());
        let mut named = BTreeSet::new();
        for path in &read {
            let folders = path.as_str().match_indices('/').map(|(at, _)| at + 1);
            let ends = folders.chain([path.as_str().len()]);
            named.extend(ends.map(|end| format!("--include=/{}", &path.as_str()[..end])));
        }
        let mut arguments = vec!["-r", "--no-motd"];
        arguments.extend(named.iter().map(String::as_str));
        arguments.extend_from_slice(&["--exclude=*", "--", &self.rsync.place, &to]);
        let ran = self.rsync.run(&arguments)?;
        // What others remove in the middle has changed as well.
        if !matches!(ran.code, 0 | VANISHED) && !is_missing(&ran) {
            return Err(self.rsync.failed("reading", ran));
        }
        let moved = read
            .into_iter()
            .filter(|path| self.read[*path] != fs::read(into.join(path.as_str())).ok());
        Ok(moved.cloned().collect())
    }

    /// Removes what lies directly in a folder, folders with all that is in them.
    fn remove(&mut self, folder: &str, names: &BTreeSet<&str>) -> Result<(), PublishError> {
        let at = format!("{}{folder}", self.rsync.place);
        let nothing = format!("{}/", self.empty()?.display());
        let mut arguments = vec!["-r".to_owned(), "--delete".to_owned()];
        for name in names {
            arguments.push(format!("--include=/{name}"));
            arguments.push(format!("--include=/{name}/***"));
        }
        arguments.extend([
            "--exclude=*".to_owned(),
            "--".to_owned(),
            nothing,
            format!("{}/", at.trim_end_matches('/')),
        ]);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.rsync.rsync("removing files", &arguments).map(drop)
    }

    /// Lines of a listing: (is a folder, size, path below the folder); nothing where there is no such folder.
    fn lines(
        &self,
        folder: &SitePath,
        more: &[&str],
    ) -> Result<Vec<(bool, u64, String)>, PublishError> {
        let at = format!("{}/", self.rsync.at(folder));
        let mut arguments = vec!["--list-only", "--no-human-readable", "--no-motd"];
        arguments.extend_from_slice(more);
        arguments.extend_from_slice(&["--", &at]);
        let ran = self.rsync.run(&arguments)?;
        match ran.code {
            0 => {}
            _ if is_missing(&ran) => return Ok(Vec::new()),
            _ => return Err(self.rsync.failed("listing files", ran)),
        }
        // `drwxr-xr-x          4,096 2026/11/27 08:00:00 name`
        let text = String::from_utf8_lossy(&ran.out);
        let lines = text.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            let kind = words.next()?;
            let size: String = words.next()?.chars().filter(char::is_ascii_digit).collect();
            let name = words.nth(2)?;
            Some((kind.starts_with('d'), size.parse().ok()?, name.to_owned()))
        });
        Ok(lines.filter(|(_, _, name)| name != ".").collect())
    }
}

impl Session for RsyncSession<'_> {
    fn read(&mut self, path: &SitePath) -> Result<Option<Vec<u8>>, PublishError> {
        let into = self.empty()?;
        let to = format!("{}/", into.display());
        let ran = self
            .rsync
            .run(&["--no-motd", "--", &self.rsync.at(path), &to])?;
        let at = into.join(path.as_str().rsplit('/').next().unwrap_or_default());
        let read = match ran.code {
            0 => fs::read(&at)
                .map(Some)
                .map_err(|source| self.rsync.io("reading", &at, source))?,
            _ if is_missing(&ran) => None,
            _ => return Err(self.rsync.failed("reading", ran)),
        };
        self.read.insert(path.clone(), read.clone());
        Ok(read)
    }

    fn list(&mut self, folder: &SitePath) -> Result<Vec<Listed>, PublishError> {
        let lines = self.lines(folder, &["-r"])?;
        let files = lines.into_iter().filter(|(is_folder, ..)| !is_folder);
        let listed = files.filter_map(|(_, size_bytes, name)| {
            Some(Listed {
                path: SitePath::parse(&format!("{folder}/{name}"))?,
                size_bytes: Some(size_bytes),
            })
        });
        Ok(listed.collect())
    }

    fn damaged(&mut self, files: &[File]) -> Result<BTreeSet<SitePath>, PublishError> {
        if files.is_empty() {
            return Ok(BTreeSet::new());
        }
        let root = self.empty()?;
        for file in files {
            let at = root.join(file.path.as_str());
            let made = at.parent().map_or(Ok(()), fs::create_dir_all);
            let made =
                made.and_then(|()| file.origin.here().map_or(Ok(()), |here| link(here, &at)));
            made.map_err(|source| self.rsync.io("writing", &at, source))?;
        }
        // It says what it would send.
        let (from, to) = (format!("{}/", root.display()), &self.rsync.place);
        let says = ["--dry-run", "--no-motd", "--out-format=%n"];
        let arguments = [&["-r", "--checksum"], &says[..], &["--", &from, to]].concat();
        let out = self.rsync.rsync("comparing files", &arguments)?;
        let lines = String::from_utf8_lossy(&out);
        Ok(lines.lines().filter_map(SitePath::parse).collect())
    }

    fn folders(&mut self, folder: &SitePath) -> Result<Vec<String>, PublishError> {
        let lines = self.lines(folder, &["-d"])?;
        Ok(lines
            .into_iter()
            .filter(|(is_folder, ..)| *is_folder)
            .map(|(_, _, name)| name)
            .collect())
    }

    fn is_exclusive(&self) -> bool {
        false
    }

    fn apply(&mut self, changes: &Changes, watch: &dyn Watch) -> Result<(), PublishError> {
        let cancelled = |watch: &dyn Watch| match watch.is_cancelled() {
            true => Err(PublishError::Cancelled {
                target: self.rsync.name.clone(),
            }),
            false => Ok(()),
        };
        cancelled(watch)?;
        if let Some((version, files)) = &changes.version {
            self.version(version, files)?;
            let sent = files
                .iter()
                .filter(|file| !matches!(file.origin, Origin::There { .. }));
            watch.sent(sent.map(|file| file.size_bytes).sum());
        }
        let mut files = Vec::new();
        for file in &changes.files {
            let bytes = file.origin.read().map_err(|source| {
                self.rsync
                    .io("reading", Path::new(file.path.as_str()), source)
            })?;
            files.push((&file.path, bytes));
        }
        let place = self.rsync.place.clone();
        if !files.is_empty() {
            let staged = self.stage(files.into_iter())?;
            self.send(&staged, &place, &[WHOLE])?;
        }
        if watch.is_cancelled() {
            return Err(PublishError::Cancelled {
                target: self.rsync.name.clone(),
            });
        }
        if !changes.heads.is_empty() {
            // Nothing can be locked there: what others changed meanwhile is looked for as late as can be.
            let heads = changes.heads.iter().map(|head| &head.path);
            if !self.moved(heads)?.is_empty() {
                return Err(PublishError::MovedOn {
                    target: self.rsync.name.clone(),
                });
            }
            let staged = self.stage(
                changes
                    .heads
                    .iter()
                    .map(|head| (&head.path, head.bytes.clone())),
            )?;
            self.send(&staged, &place, &[WHOLE])?;
            watch.sent(
                changes
                    .heads
                    .iter()
                    .map(|head| head.bytes.len() as u64)
                    .sum(),
            );
        }
        if changes.removed.is_empty() {
            return Ok(());
        }
        watch.visible();
        // A list of shares that somebody else has changed meanwhile stays.
        let at_root = |path: &SitePath| !path.as_str().contains('/');
        let moved = self.moved(changes.removed.iter().filter(|path| at_root(path)))?;
        // Of a share (`s/<id>/<name>`) whole folders go: what is removed from one is all of it.
        let heads = changes.heads.iter().map(|head| &head.path);
        let mut records = heads
            .chain(&changes.removed)
            .filter(|path| path.as_str().ends_with("/share.json"));
        let replaces_versions = changes.version.is_some() || records.next().is_some();
        let mut by_folder: std::collections::BTreeMap<String, BTreeSet<&str>> =
            std::collections::BTreeMap::new();
        for path in changes.removed.iter().filter(|path| !moved.contains(path)) {
            // A version that goes does so as a folder; of one that stays single files go.
            let depth = match replaces_versions {
                true => 2,
                false => path.as_str().matches('/').count(),
            };
            let mut pieces: Vec<&str> = path.as_str().split('/').collect();
            pieces.truncate(depth + 1);
            let name = pieces.pop().unwrap_or_default();
            by_folder.entry(pieces.join("/")).or_default().insert(name);
        }
        for (folder, names) in &by_folder {
            // Another publisher's version is theirs to replace.
            let record = changes
                .heads
                .iter()
                .find(|head| head.path.as_str() == format!("{folder}/share.json"));
            if let Some(record) = record
                && self.read(&record.path)?.as_ref() != Some(&record.bytes)
            {
                continue;
            }
            self.remove(folder, names)?;
        }
        Ok(())
    }
}

fn is_missing(ran: &Ran) -> bool {
    ran.code == PARTLY && ran.says.contains("No such file or directory")
}

/// The same file under another name; a copy where there are no links.
fn link(from: &Path, at: &Path) -> io::Result<()> {
    fs::hard_link(from, at).or_else(|_| fs::copy(from, at).map(drop))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_told_from_folders() {
        let opened = |text: &str| open(text).map(|opened| opened.is_ok());
        for good in [
            "rsync://127.0.0.1:8730/site",
            "host::site",
            "me@host:/var/www",
            "host:site/",
            "host:",
        ] {
            assert_eq!(opened(good), Some(true), "{good}");
        }
        for (text, place) in [("host:", "host:./"), ("host:a//", "host:a/")] {
            assert_eq!(place_of(text), place);
        }
        for bad in ["-e:sh", "host::"] {
            assert_eq!(opened(bad), Some(false), "{bad}");
        }
        for other in ["site", "C:\\site", "./a:b", "s3://bucket/x", "/srv/www:x"] {
            assert_eq!(opened(other), None, "{other}");
        }
    }
}
