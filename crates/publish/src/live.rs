//! A share that grows on a host that only serves files.
//!
//! Its version's folder has the pages, and beside them what came since as small files of frames; a head, `data/live.js`, says how many. The page that is open asks for the head
//! and loads what it lacks. A page is sent again when as much has come since as it weighs twice, so what is sent for a message does not depend on how many there are.

use std::{collections::BTreeSet, path::PathBuf};

use readalong_model::{Digest, Seq, ShareId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    Changes, File, Head, Origin, PublishError, Session, ShareRecord, SitePages, SitePath, Target,
    Watch,
    path::VERSION_DIGITS,
    record,
    site::{
        HTML, INDEX, SHARE_RECORD, beside, check_site, head, list_in_catalogue, no_site,
        read_share, remove_version, site_files,
    },
};

/// Name of the head within a version's folder.
const HEAD: &str = "data/live.js";
/// What stands before and behind its JSON: it has to load from `file://` too.
const HEAD_BEGIN: &str = "readalong.data(\"live\",";
const HEAD_END: &str = ");\n";
const SCRIPT: &str = "text/javascript; charset=utf-8";
/// How names begin that have the same bytes as long as they are there; everything else of a version that grows is written over.
const LASTING: [&str; 3] = ["assets/", "files/", "data/live-"];

/// What the head says: to pages which frames there are, to whoever goes on publishing where they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveRecord {
    /// The epoch of the source's log.
    pub epoch: String,
    /// The number of the last change that was sent.
    pub seq: Seq,
    /// The first file of frames that is there; the last page lacks none before it.
    pub first: u64,
    /// The last file of frames; below `first` where there is none.
    pub last: u64,
    /// File name of the last page.
    pub page: String,
    /// Bytes of that page as it was sent last.
    pub page_bytes: u64,
    /// Bytes of frames that were sent since.
    pub since_bytes: u64,
}

/// A version that begins.
#[derive(Clone, Debug)]
pub struct LiveVersion {
    /// All its files.
    pub files: Vec<NewFile>,
}

/// A file for the folder of a version.
#[derive(Clone, Debug)]
pub struct NewFile {
    /// Its name there.
    pub name: String,
    /// Its bytes.
    pub origin: Origin,
    /// How many they are.
    pub size_bytes: u64,
    /// What they are.
    pub media_type: String,
}

/// What is sent at once.
pub struct LiveStep<'a> {
    /// Folder of the version; [`LiveRecord::folder`] names a new one.
    pub folder: &'a str,
    /// Folder and head of the version that whoever goes on has sent before, or found: nobody else may have changed it.
    pub before: Option<(&'a str, &'a LiveRecord)>,
    /// All files of the version, where it begins.
    pub version: Option<LiveVersion>,
    /// Frames, as JSON texts: the file number `record.last`.
    pub frames: &'a [String],
    /// Pages and data that are other than before.
    pub pages: Vec<(String, Vec<u8>)>,
    /// Files that were not there.
    pub files: Vec<NewFile>,
    /// Names of files that go.
    pub removed: Vec<String>,
    /// What goes beside the version: [`LivePlace::stale`].
    pub stale: Vec<SitePath>,
    /// What the head is to say then.
    pub record: &'a LiveRecord,
    /// What becomes of the head and of frames before they are sent, by their names (`live`, `live-7`).
    pub dress: &'a dyn Fn(&str, Vec<u8>) -> Vec<u8>,
    /// Page of the version that the share's link leads to.
    pub first_page: &'a str,
    /// Whether the share's link has to lead to another page than before.
    pub is_head_new: bool,
    /// What the chat is called.
    pub title: Option<&'a str>,
    /// The time.
    pub at: Timestamp,
}

impl LiveRecord {
    /// The folder of a version that begins now.
    pub fn folder(&self, share: &ShareId, at: Timestamp) -> String {
        let text = format!("{share} {} {} {at}", self.epoch, self.seq);
        Digest::of(text.as_bytes()).short(VERSION_DIGITS)
    }

    fn to_script(&self) -> Vec<u8> {
        let json = serde_json::to_string(self).expect("a record is a map with text keys");
        format!("{HEAD_BEGIN}{json}{HEAD_END}").into_bytes()
    }

    fn of_script(script: &[u8]) -> Option<Self> {
        let json = script
            .strip_prefix(HEAD_BEGIN.as_bytes())?
            .strip_suffix(HEAD_END.as_bytes())?;
        serde_json::from_slice(json).ok()
    }
}

/// A live share at a place, as it stands there. Nobody else changes it meanwhile where the place can be locked.
pub struct LivePlace<'a> {
    session: Box<dyn Session + 'a>,
    version: SitePath,
    /// Folder of its version.
    pub folder: String,
    /// What the site says that the chat is called.
    pub title: Option<String>,
    /// What its head says.
    pub record: LiveRecord,
    /// Names of all files of the version.
    pub names: BTreeSet<String>,
    /// What lies beside it, and no reader is led to: whoever sent the version could not remove it.
    pub stale: Vec<SitePath>,
}

/// Undoes what [`LiveStep::dress`] does to a file of this name; `None` where that is not what the bytes are.
pub type Undress<'a> = dyn Fn(&str, Vec<u8>) -> Option<Vec<u8>> + 'a;

impl<'a> LivePlace<'a> {
    /// Looks at a live share. `None` where there is no version that could go on.
    ///
    /// # Errors
    /// The place cannot be read.
    pub fn of(
        target: &'a dyn Target,
        share: &ShareId,
        undress: &Undress<'_>,
        watch: &dyn Watch,
    ) -> Result<Option<Self>, PublishError> {
        let mut session = target.begin(watch)?;
        check_site(target, &mut *session)?;
        let Some(seen) = read_share(target, &mut *session, share)?.filter(|seen| seen.live) else {
            return Ok(None);
        };
        let Some(version) = SitePath::version(share, &seen.folder) else {
            return Ok(None);
        };
        let script = session.read(&version.file(HEAD))?;
        let script = script.and_then(|script| undress("live", script));
        let Some(record) = script.as_deref().and_then(LiveRecord::of_script) else {
            return Ok(None);
        };
        let prefix = format!("{version}/");
        let place = SitePath::share(share);
        let there = session.list(&place)?;
        let names = there.iter().filter_map(|listed| {
            let name = listed.path.as_str().strip_prefix(&prefix)?;
            Some(name.to_owned())
        });
        let names = names.collect();
        let stale = beside(there, &place, &version);
        Ok(Some(Self {
            folder: seen.folder,
            title: seen.title,
            record,
            names,
            stale,
            session,
            version,
        }))
    }

    /// A file of the version; `None` where there is none.
    ///
    /// # Errors
    /// The place cannot be read.
    pub fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>, PublishError> {
        match self.version.below(name) {
            Some(path) => self.session.read(&path),
            None => Ok(None),
        }
    }
}

/// Sends what is new of a live share, the head last.
///
/// # Errors
/// The place cannot be used; readers see what they saw, and the same step can be tried again. [`PublishError::NotLive`] where somebody else took the share back or goes on with it.
pub fn live_step(
    target: &dyn Target,
    share: &ShareId,
    step: LiveStep<'_>,
    pages: &dyn SitePages,
    watch: &dyn Watch,
) -> Result<Changes, PublishError> {
    let mut session = target.begin(watch)?;
    let place = SitePath::share(share);
    if let Some((folder, record)) = step.before {
        let head = (step.dress)("live", record.to_script());
        still_live(target, &mut *session, (share, folder, &head), watch)?;
    }
    let version =
        SitePath::version(share, step.folder).expect("folders of versions are made from digests");
    let named = |name: &str| {
        version
            .below(name)
            .expect("names of pages and artifacts are good in a site")
    };
    let file = |new: NewFile| File {
        is_lasting: LASTING.iter().any(|begin| new.name.starts_with(begin)),
        path: named(&new.name),
        origin: new.origin,
        size_bytes: new.size_bytes,
        media_type: new.media_type,
    };
    let mut changes = Changes {
        subject: format!("Go on with share {share}"),
        ..Changes::default()
    };
    if !step.frames.is_empty() {
        let bytes = format!(
            "readalong.data(\"live-{}\",[{}]);\n",
            step.record.last,
            step.frames.join(",")
        )
        .into_bytes();
        let bytes = (step.dress)(&format!("live-{}", step.record.last), bytes);
        changes.files.push(File {
            path: named(&format!("data/live-{}.js", step.record.last)),
            size_bytes: bytes.len() as u64,
            origin: Origin::Bytes(bytes),
            media_type: SCRIPT.to_owned(),
            is_lasting: true,
        });
    }
    changes.files.extend(step.files.into_iter().map(file));
    for (name, bytes) in step.pages {
        let media_type = if name.ends_with(".html") {
            HTML
        } else {
            SCRIPT
        };
        changes.heads.push(head(named(&name), bytes, media_type));
    }
    changes.removed = step.removed.iter().map(|name| named(name)).collect();
    changes.removed.extend(step.stale);
    let is_new = step.version.is_some();
    if let Some(new) = step.version {
        let site = check_site(target, &mut *session)?;
        let there = session.list(&place)?;
        changes.removed = beside(there, &place, &version);
        let mut files: Vec<File> = new.files.into_iter().map(file).collect();
        let bytes = (step.dress)("live", step.record.to_script());
        files.push(File {
            path: version.file(HEAD),
            size_bytes: bytes.len() as u64,
            origin: Origin::Bytes(bytes),
            media_type: SCRIPT.to_owned(),
            is_lasting: false,
        });
        site_files(&mut changes, &mut *session, site.as_ref(), pages)?;
        let record = ShareRecord {
            format: ShareRecord::FORMAT.to_owned(),
            share: share.clone(),
            folder: step.folder.to_owned(),
            bundle: None,
            title: step.title.map(str::to_owned),
            published_at: step.at,
            files: files.len(),
            size_bytes: files.iter().map(|file| file.size_bytes).sum(),
            live: true,
        };
        changes.version = Some((version.clone(), files));
        changes.heads.push(head(
            place.file(SHARE_RECORD),
            record::write(&record),
            "application/json",
        ));
    } else {
        changes.heads.push(Head {
            path: version.file(HEAD),
            bytes: (step.dress)("live", step.record.to_script()),
            media_type: SCRIPT,
        });
    }
    if step.is_head_new {
        let href = format!("{}/{}", step.folder, step.first_page);
        changes
            .heads
            .push(head(place.file(INDEX), pages.head(&href, step.title), HTML));
    }
    if is_new {
        // It may have been listed before, with a title that nobody is to know any more.
        list_in_catalogue(&mut changes, target, &mut *session, (share, None), pages)?;
    }
    watch.planned(&changes);
    session.apply(&changes, watch)?;
    Ok(changes)
}

/// Fails where the site is away, where readers are not shown this version any more, and what is left of it, because a step met whoever took it back, goes; or where its head is not ours.
fn still_live(
    target: &dyn Target,
    session: &mut dyn Session,
    (share, folder, head): (&ShareId, &str, &[u8]),
    watch: &dyn Watch,
) -> Result<(), PublishError> {
    let version = SitePath::version(share, folder).expect("it was sent to this folder");
    if check_site(target, session)?.is_none() {
        return Err(no_site(target));
    }
    let seen = read_share(target, session, share)?;
    if seen.is_some_and(|seen| seen.live && seen.folder == folder) {
        // Two who go on with the same version would write over each other's frames.
        if session.read(&version.file(HEAD))?.as_deref() == Some(head) {
            return Ok(());
        }
    } else {
        remove_version(session, (share, &version), watch)?;
    }
    Err(PublishError::NotLive {
        target: target.name().to_owned(),
        share: share.to_string(),
    })
}

impl NewFile {
    /// A file of this machine.
    pub fn here(name: String, path: PathBuf, size_bytes: u64, media_type: &str) -> Self {
        Self {
            name,
            origin: Origin::File(path),
            size_bytes,
            media_type: media_type.to_owned(),
        }
    }

    /// Bytes.
    pub fn bytes(name: String, bytes: Vec<u8>, media_type: &str) -> Self {
        Self {
            name,
            size_bytes: bytes.len() as u64,
            origin: Origin::Bytes(bytes),
            media_type: media_type.to_owned(),
        }
    }
}
