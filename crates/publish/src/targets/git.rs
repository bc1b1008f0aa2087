//! A branch of a Git repository, as GitHub and GitLab Pages serve it. The `git` program does the work, with the user's own settings and credentials.
//!
//! One commit a publication, on top of what the branch has, without a work tree and without the contents of what is there already; pushed without force, so
//! that a branch that moved on is noticed.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
};

use readalong_bundle::closed_folder;
use tempfile::TempDir;

use super::program::{self, Ran};
use crate::{
    Changes, File, Listed, Origin, PublishError, Session, SitePath, Target, Watch, whole_path,
    without_credentials,
};

/// The branch where none is named: what GitHub's own tools use.
const BRANCH: &str = "gh-pages";

/// A host that says nothing for a minute is given up.
const SPEED_MIN: [&str; 4] = ["-c", "http.lowSpeedLimit=1", "-c", "http.lowSpeedTime=60"];

/// A version's folder has a name of its own: git would not look for its files in the folder of the one before, and send them again.
const WHOLE_LOOK: [&str; 2] = ["-c", "pack.useSparse=false"];

/// A branch.
pub(crate) struct Git {
    name: String,
    url: String,
    branch: String,
}

/// Takes `git+URL#BRANCH`, `git@HOST:PATH#BRANCH`, and what ends in `.git`.
pub(crate) fn open(text: &str) -> Option<Result<Box<dyn Target>, PublishError>> {
    let (place, branch) = text.split_once('#').unwrap_or((text, BRANCH));
    let url = match place.strip_prefix("git+") {
        Some(url) => url,
        None if place.ends_with(".git") || place.starts_with("git@") => place,
        None => return None,
    };
    let bad = |reason: &str| {
        Some(Err(PublishError::BadTarget {
            target: without_credentials(text),
            reason: reason.to_owned(),
        }))
    };
    if url.is_empty() || url.starts_with('-') {
        return bad("it names no repository");
    }
    let is_ref = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    if branch.is_empty()
        || branch.starts_with(['-', '/', '.'])
        || branch.contains("..")
        || !branch.chars().all(is_ref)
    {
        return bad("it names no branch");
    }
    Some(Ok(Box::new(Git {
        name: without_credentials(text),
        url: whole_url(url),
        branch: branch.to_owned(),
    })))
}

/// What git is told: it runs in a folder of its own, so a repository of this machine needs its whole path.
fn whole_url(url: &str) -> String {
    let first = url.split('/').next().unwrap_or_default();
    match first.contains(':') {
        true => url.to_owned(),
        false => whole_path(Path::new(url)).display().to_string(),
    }
}

impl Target for Git {
    fn name(&self) -> &str {
        &self.name
    }

    fn key(&self) -> String {
        let url = without_credentials(&self.url);
        format!("git+{}#{}", url.trim_end_matches('/'), self.branch)
    }

    fn begin(&self, _watch: &dyn Watch) -> Result<Box<dyn Session + '_>, PublishError> {
        let io = |source| PublishError::Io {
            target: self.name.clone(),
            action: "making a temporary repository",
            path: std::env::temp_dir(),
            source,
        };
        let mut session = GitSession {
            git: self,
            folder: closed_folder("readalong-git-", &std::env::temp_dir()).map_err(io)?,
            tip: None,
        };
        session.fetch()?;
        Ok(Box::new(session))
    }
}

struct GitSession<'a> {
    git: &'a Git,
    folder: TempDir,
    /// The commit at the end of the branch; `None` where there is no branch yet.
    tip: Option<String>,
}

impl GitSession<'_> {
    fn command(&self) -> Command {
        let mut command = Command::new("git");
        // Nobody is there to answer a question of a publication.
        command
            .current_dir(self.folder.path())
            .env("GIT_DIR", self.folder.path())
            .env("GIT_TERMINAL_PROMPT", "0")
            .args(SPEED_MIN);
        command.env(
            "GIT_INDEX_FILE",
            self.folder.path().join("publication-index"),
        );
        if std::env::var_os("GIT_SSH_COMMAND").is_none() {
            command.env("GIT_SSH_COMMAND", program::SSH);
        }
        command
    }

    fn run(&self, arguments: &[&str], input: Vec<u8>) -> Result<Ran, PublishError> {
        let ran = program::run(&self.git.name, "git", self.command().args(arguments), input)?;
        // It names the repository as it was told.
        let says = ran
            .says
            .replace(&self.git.url, &without_credentials(&self.git.url));
        Ok(Ran { says, ..ran })
    }

    /// Runs git and takes its output.
    fn git(
        &self,
        action: &'static str,
        arguments: &[&str],
        input: Vec<u8>,
    ) -> Result<Vec<u8>, PublishError> {
        let ran = self.run(arguments, input)?;
        match ran.code {
            0 => Ok(ran.out),
            _ => Err(self.failed(action, ran)),
        }
    }

    fn failed(&self, action: &'static str, ran: Ran) -> PublishError {
        let target = self.git.name.clone();
        let says = ran.says;
        let is_denied = [
            "Authentication failed",
            "Permission denied",
            "could not read Username",
            "could not read Password",
            "403",
        ];
        if is_denied.iter().any(|sign| says.contains(sign)) {
            return PublishError::Denied { target, says };
        }
        PublishError::Program {
            target,
            program: "git",
            action,
            says,
        }
    }

    /// The commit at the end of the branch as it is there now.
    fn tip_there(&self) -> Result<Option<String>, PublishError> {
        let head = format!("refs/heads/{}", self.git.branch);
        let asked = ["ls-remote", "origin", &head];
        let found = self.git("asking for the branch", &asked, Vec::new())?;
        let found = String::from_utf8_lossy(&found);
        Ok(found.split_whitespace().next().map(str::to_owned))
    }

    /// Gets the end of the branch, without its history, and without contents where the host can leave them out.
    fn fetch(&mut self) -> Result<(), PublishError> {
        self.git(
            "making a temporary repository",
            &["init", "--bare", "--quiet"],
            Vec::new(),
        )?;
        self.git(
            "naming the repository",
            &["remote", "add", "origin", &self.git.url],
            Vec::new(),
        )?;
        if self.tip_there()?.is_none() {
            return Ok(());
        }
        let head = format!("refs/heads/{}", self.git.branch);
        self.git(
            "fetching the branch",
            &[
                "fetch",
                "--quiet",
                "--depth=1",
                "--no-tags",
                "--filter=blob:none",
                "origin",
                &head,
            ],
            Vec::new(),
        )?;
        let tip = self.git(
            "reading the branch",
            &["rev-parse", "--verify", "FETCH_HEAD^{commit}"],
            Vec::new(),
        )?;
        self.tip = Some(text(&tip));
        Ok(())
    }

    /// Entries of a tree of the branch: (type, name of the object, path).
    fn tree(
        &self,
        arguments: &[&str],
        folder: &str,
    ) -> Result<Vec<(String, String, SitePath)>, PublishError> {
        let Some(tip) = &self.tip else {
            return Ok(Vec::new());
        };
        let mut all = vec!["ls-tree", "-z"];
        all.extend_from_slice(arguments);
        all.extend_from_slice(&[tip.as_str(), "--", folder]);
        let out = self.git("reading the branch", &all, Vec::new())?;
        let entries = out.split(|byte| *byte == 0).filter_map(|line| {
            let (head, path) = std::str::from_utf8(line).ok()?.split_once('\t')?;
            let mut words = head.split(' ').skip(1);
            Some((
                words.next()?.to_owned(),
                words.next()?.to_owned(),
                SitePath::parse(path)?,
            ))
        });
        Ok(entries.collect())
    }

    /// Names of the objects that hold files, by path.
    fn blobs(&self) -> Result<BTreeMap<SitePath, String>, PublishError> {
        let entries = self.tree(&["-r"], "s/")?.into_iter();
        Ok(entries.map(|(_, object, path)| (path, object)).collect())
    }

    /// Names of the objects that files of this machine make, in order; `-w` puts them into the repository.
    fn hash_files(&self, paths: &[&Path], more: &[&str]) -> Result<Vec<String>, PublishError> {
        let mut input = Vec::new();
        for path in paths {
            let path =
                std::path::absolute(path).map_err(|source| self.io("reading", path, source))?;
            let Some(line) = path.to_str().filter(|path| !path.contains('\n')) else {
                return Err(self.io("reading", &path, std::io::ErrorKind::InvalidInput.into()));
            };
            input.extend_from_slice(line.as_bytes());
            input.push(b'\n');
        }
        let mut arguments = vec!["hash-object", "--no-filters", "--stdin-paths"];
        arguments.extend_from_slice(more);
        let out = self.git("taking files in", &arguments, input)?;
        Ok(text(&out).lines().map(str::to_owned).collect())
    }

    fn put_bytes(&self, bytes: Vec<u8>) -> Result<String, PublishError> {
        let out = self.git(
            "taking files in",
            &["hash-object", "-w", "--no-filters", "--stdin"],
            bytes,
        )?;
        Ok(text(&out))
    }

    fn io(&self, action: &'static str, path: &Path, source: std::io::Error) -> PublishError {
        PublishError::Io {
            target: self.git.name.clone(),
            action,
            path: path.to_owned(),
            source,
        }
    }

    /// The objects of all that is new, by path.
    fn objects(&self, changes: &Changes) -> Result<BTreeMap<SitePath, String>, PublishError> {
        let there = self.blobs()?;
        let mut objects = BTreeMap::new();
        let mut files = Vec::new();
        for file in changes.new_files() {
            match &file.origin {
                Origin::There { path, .. } if there.contains_key(path) => {
                    objects.insert(file.path.clone(), there[path].clone());
                }
                Origin::File(here) | Origin::There { here, .. } => {
                    files.push((&file.path, here.as_path()))
                }
                Origin::Bytes(bytes) => {
                    objects.insert(file.path.clone(), self.put_bytes(bytes.clone())?);
                }
            }
        }
        let paths: Vec<&Path> = files.iter().map(|(_, here)| *here).collect();
        let names = self.hash_files(&paths, &["-w"])?;
        objects.extend(files.iter().map(|(path, _)| (*path).clone()).zip(names));
        for head in &changes.heads {
            objects.insert(head.path.clone(), self.put_bytes(head.bytes.clone())?);
        }
        Ok(objects)
    }
}

impl Session for GitSession<'_> {
    fn read(&mut self, path: &SitePath) -> Result<Option<Vec<u8>>, PublishError> {
        let entry = self
            .tree(&[], path.as_str())?
            .into_iter()
            .find(|(kind, _, _)| kind == "blob");
        let Some((_, object, _)) = entry else {
            return Ok(None);
        };
        self.git(
            "reading the branch",
            &["cat-file", "blob", &object],
            Vec::new(),
        )
        .map(Some)
    }

    fn list(&mut self, folder: &SitePath) -> Result<Vec<Listed>, PublishError> {
        let entries = self.tree(&["-r"], &format!("{folder}/"))?;
        // Lengths would have to be fetched.
        Ok(entries
            .into_iter()
            .map(|(_, _, path)| Listed {
                path,
                size_bytes: None,
            })
            .collect())
    }

    fn damaged(&mut self, files: &[File]) -> Result<BTreeSet<SitePath>, PublishError> {
        if files.is_empty() {
            return Ok(BTreeSet::new());
        }
        let there = self.blobs()?;
        let files = files
            .iter()
            .filter_map(|file| Some((&file.path, file.origin.here()?)));
        let (names, paths): (Vec<&SitePath>, Vec<&Path>) = files.unzip();
        let objects = self.hash_files(&paths, &[])?;
        let damaged = names
            .into_iter()
            .zip(objects)
            .filter(|(path, object)| there.get(path) != Some(object));
        Ok(damaged.map(|(path, _)| path.clone()).collect())
    }

    fn folders(&mut self, folder: &SitePath) -> Result<Vec<String>, PublishError> {
        let entries = self.tree(&["-d"], &format!("{folder}/"))?;
        let names = entries
            .into_iter()
            .filter_map(|(_, _, path)| path.as_str().rsplit('/').next().map(str::to_owned));
        Ok(names.collect())
    }

    fn apply(&mut self, changes: &Changes, watch: &dyn Watch) -> Result<(), PublishError> {
        let objects = self.objects(changes)?;
        if let Some(tip) = &self.tip {
            self.git("reading the branch", &["read-tree", tip], Vec::new())?;
        }
        let mut index = Vec::new();
        for path in &changes.removed {
            index.extend_from_slice(format!("0 {}\t{path}\0", "0".repeat(40)).as_bytes());
        }
        for (path, object) in &objects {
            index.extend_from_slice(format!("100644 {object}\t{path}\0").as_bytes());
        }
        self.git(
            "making a tree",
            &["update-index", "-z", "--index-info"],
            index,
        )?;
        let tree = text(&self.git("making a tree", &["write-tree", "--missing-ok"], Vec::new())?);
        let mut commit = vec![
            "commit-tree".to_owned(),
            tree,
            "-m".to_owned(),
            changes.subject.clone(),
        ];
        if let Some(tip) = &self.tip {
            commit.extend(["-p".to_owned(), tip.clone()]);
        }
        let mut command = self.command();
        if self.run(&["var", "GIT_AUTHOR_IDENT"], Vec::new())?.code != 0 {
            // Who has never told git a name publishes under ours.
            for role in ["AUTHOR", "COMMITTER"] {
                command
                    .env(format!("GIT_{role}_NAME"), "readalong")
                    .env(format!("GIT_{role}_EMAIL"), "readalong@localhost");
            }
        }
        let ran = program::run(&self.git.name, "git", command.args(&commit), Vec::new())?;
        if ran.code != 0 {
            return Err(self.failed("making a commit", ran));
        }
        let commit = text(&ran.out);
        if watch.is_cancelled() {
            return Err(PublishError::Cancelled {
                target: self.git.name.clone(),
            });
        }
        let place = format!("{commit}:refs/heads/{}", self.git.branch);
        let mut push = WHOLE_LOOK.to_vec();
        push.extend(["push", "--quiet", "origin", &place]);
        let pushed = self.run(&push, Vec::new())?;
        if pushed.code != 0 {
            let has_moved = [
                "non-fast-forward",
                "fetch first",
                "failed to update ref",
                "cannot lock ref",
                "incorrect old value",
            ];
            // A branch that cannot be made or written is refused in the same words; one that somebody writes right now moves in a moment.
            if has_moved.iter().any(|sign| pushed.says.contains(sign))
                && (pushed.says.contains("File exists") || self.tip_there()? != self.tip)
            {
                return Err(PublishError::MovedOn {
                    target: self.git.name.clone(),
                });
            }
            return Err(self.failed("pushing", pushed));
        }
        watch.sent(changes.totals().bytes);
        Ok(())
    }
}

fn text(out: &[u8]) -> String {
    String::from_utf8_lossy(out).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_told_from_folders() {
        let opened = |text: &str| open(text).map(|opened| opened.is_ok());
        for good in [
            "git+https://example.org/site",
            "git@example.org:me/site#pages",
            "../site.git",
            "https://example.org/site.git#main",
            "git+/srv/site#a/b",
        ] {
            assert_eq!(opened(good), Some(true), "{good}");
        }
        for bad in [
            "git+",
            "git+--upload-pack=x",
            "git+https://example.org/site#",
            "x.git#--force",
            "x.git#a..b",
            "x.git#a b",
        ] {
            assert_eq!(opened(bad), Some(false), "{bad}");
        }
        for other in ["site", "s3://bucket", "host:folder"] {
            assert_eq!(opened(other), None, "{other}");
        }
    }
}
