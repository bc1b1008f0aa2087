//! What was published from here, so that it gets the same link the next time: `published.json` in the data folder.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use readalong_bundle::{Lock, ShareKey};
use readalong_model::{Digest, ShareId, Timestamp};
use readalong_publish::whole_path;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::pick;

/// Name of the file in the data folder.
const FILE: &str = "published.json";
/// Name of the file that whoever changes it has locked meanwhile.
const LOCK: &str = "published.lock";

/// What a share of a server was made from.
pub(crate) const OF_SERVER: &str = "share";

/// A share at a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Publication {
    /// The place, as `--to` takes it, without credentials.
    pub(crate) target: String,
    /// The share.
    pub(crate) share: ShareId,
    /// What it was made from: the path of a transcript or bundle, or [`OF_SERVER`].
    pub(crate) source: String,
    /// What the chat is called.
    pub(crate) title: String,
    /// Where readers find it, as far as that is known.
    pub(crate) link: String,
    /// Id of its bundle; none for one that grows.
    pub(crate) bundle: Option<Digest>,
    /// The key, of one that only who has it can read, or that was so before: links with it are out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sealed: Option<Sealed>,
    /// True where it is in clear now, although it has a key.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_clear: bool,
    /// When it was published last; nothing as long as it was never sent whole.
    pub(crate) published_at: Option<Timestamp>,
}

impl Publication {
    /// True where only who has the key can read it.
    pub(crate) fn is_sealed(&self) -> bool {
        self.sealed.is_some() && !self.is_clear
    }
}

/// What opens an encrypted share: kept, so that its link stays the same when it is published again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sealed {
    /// The share key, as links carry it.
    pub(crate) key: String,
    /// How the page at the link is unlocked.
    pub(crate) lock: Lock,
}

impl Sealed {
    /// What is opened by the key in a link.
    ///
    /// # Errors
    /// It is no key.
    pub(crate) fn of_key(key: &str) -> anyhow::Result<Self> {
        let share_key: ShareKey = key.parse().context(
            "the key in the link is damaged; copy the link again, with all that follows the #",
        )?;
        Ok(Self {
            key: key.to_owned(),
            lock: Lock::of(&share_key),
        })
    }
}

/// What a transcript or bundle is remembered under, and the chat of a file that holds several; also when it is not there any more.
pub(crate) fn source(path: &Path, chat: Option<&str>) -> String {
    let path = whole_path(path);
    match chat {
        Some(chat) => format!("{}#{chat}", path.display()),
        None => path.display().to_string(),
    }
}

/// All that was published from a data folder.
pub(crate) struct Publications {
    path: PathBuf,
    /// The newest last.
    pub(crate) all: Vec<Publication>,
}

impl Publications {
    /// Reads what is remembered.
    ///
    /// # Errors
    /// It is there and cannot be read.
    pub(crate) fn of(data: &Path) -> anyhow::Result<Self> {
        let path = data.join(FILE);
        let all = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => {
                let reading = || format!("cannot read `{}`", path.display());
                serde_json::from_slice(&read.with_context(reading)?).with_context(reading)?
            }
        };
        Ok(Self { path, all })
    }

    /// The share that a source has been published as, at this place or, so that it has one link's end everywhere, at another.
    pub(crate) fn share_of(&self, source: &str, target: &str) -> Option<&ShareId> {
        let of_source = || self.all.iter().rev().filter(|one| one.source == source);
        let here = of_source().find(|one| one.target == target);
        here.or_else(|| of_source().next()).map(|one| &one.share)
    }

    /// What is remembered of a share, at this place or at another.
    pub(crate) fn of_share(&self, share: &ShareId, target: &str) -> Option<&Publication> {
        let of_share = || self.all.iter().rev().filter(|one| one.share == *share);
        let here = of_share().find(|one| one.target == target);
        here.or_else(|| of_share().next())
    }

    /// The share that a path, a title or the beginning of an id means at a place; `None` where there is none.
    ///
    /// # Errors
    /// Several are meant.
    pub(crate) fn find(&self, text: &str, target: &str) -> anyhow::Result<Option<&ShareId>> {
        let path = source(Path::new(text), None);
        let is_source = |one: &Publication| {
            let rest = one.source.strip_prefix(&path);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('#'))
        };
        let is_id = |one: &Publication| pick::is_beginning(text, one.share.as_str());
        let mut meant = self.all.iter().filter(|one| {
            one.target == target && (one.title == text || is_source(one) || is_id(one))
        });
        let found = meant.next().map(|one| &one.share);
        if meant.any(|one| Some(&one.share) != found) {
            bail!(
                "several that were published are called `{text}`; `readalong published` lists them: name one by its link or id"
            );
        }
        Ok(found)
    }

    /// Remembers what is about to be sent: whatever ends the sending, the next one goes on under the same link and key. What was sent before from another source is there until then.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn put(&mut self, mut publication: Publication) -> anyhow::Result<()> {
        self.change(|all| {
            let (target, share) = (publication.target.clone(), publication.share.clone());
            let is_ours = |one: &Publication| one.target == target && one.share == share;
            let last = all.iter().rfind(|one| is_ours(one));
            let sealed = last.and_then(|one| one.sealed.clone());
            let source = publication.source.clone();
            let before = all.extract_if(.., |one| {
                is_ours(one) && (one.source == source || one.published_at.is_none())
            });
            let before = before.filter(|one| one.source == source).last();
            publication.published_at = before.and_then(|one| one.published_at);
            if publication.sealed.is_none() {
                publication.sealed = sealed;
                publication.is_clear = publication.sealed.is_some();
            }
            all.push(publication);
        })
    }

    /// Remembers what the chat of a share is called now.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn rename(
        &mut self,
        target: &str,
        share: &ShareId,
        title: &str,
    ) -> anyhow::Result<()> {
        self.change(|all| {
            let mut all = all.iter_mut();
            if let Some(one) = all.rfind(|one| one.target == target && one.share == *share) {
                one.title = title.to_owned();
            }
        })
    }

    /// Remembers that the share that was about to be sent is there whole, and which bundle of it.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn sent(
        &mut self,
        (target, share): (&str, &ShareId),
        bundle: Option<Digest>,
        at: Timestamp,
    ) -> anyhow::Result<()> {
        self.change(|all| {
            let ours = all.extract_if(.., |one| one.target == target && one.share == *share);
            if let Some(mut one) = ours.last() {
                one.bundle = bundle;
                one.published_at = Some(at);
                all.push(one);
            }
        })
    }

    /// True for a share that was begun to be sent to a place, and never sent whole.
    pub(crate) fn is_only_begun(&self, target: &str, share: &ShareId) -> bool {
        let of_share = |one: &&Publication| one.target == target && one.share == *share;
        let mut ours = self.all.iter().filter(of_share).peekable();
        ours.peek().is_some() && ours.all(|one| one.published_at.is_none())
    }

    /// Forgets what was taken back.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn remove(&mut self, target: &str, share: &ShareId) -> anyhow::Result<()> {
        self.change(|all| all.retain(|one| (one.target.as_str(), &one.share) != (target, share)))
    }

    /// Changes what is remembered now: others may have published meanwhile, and a key that is forgotten is lost.
    fn change(&mut self, change: impl FnOnce(&mut Vec<Publication>)) -> anyhow::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let changing = || format!("cannot change `{}`", self.path.display());
        fs::create_dir_all(folder).with_context(changing)?;
        // The file itself is another one each time.
        let lock = fs::File::create(folder.join(LOCK)).with_context(changing)?;
        lock.lock().with_context(changing)?;
        self.all = Self::of(folder)?.all;
        change(&mut self.all);
        self.write()
    }

    fn write(&self) -> anyhow::Result<()> {
        let write = || -> io::Result<()> {
            let folder = self.path.parent().unwrap_or(Path::new("."));
            // Only for the owner's eyes, as temporary files are: links of shares are in it.
            let mut file = NamedTempFile::new_in(folder)?;
            serde_json::to_writer_pretty(&mut file, &self.all)?;
            file.flush()?;
            file.as_file().sync_all()?;
            file.persist(&self.path)?;
            Ok(())
        };
        write().with_context(|| format!("cannot write `{}`", self.path.display()))
    }
}
