//! The layout of a site (docs/format.md), and how a share gets into it, is replaced and goes.
//!
//! Each version of a share has a folder of its own, which is never changed; a small head, at the share's link, says which one readers see. So a reader sees
//! one version whole, on any host, and what did not change is copied there instead of being sent again.

use std::collections::BTreeMap;
use std::path::PathBuf;

use readalong_bundle::{MANIFEST, Manifest, SealedBundle, VerifiedBundle};
use readalong_model::{Digest, ShareId, Timestamp};

use crate::{
    Changes, File, Head, Listed, Listing, Origin, PublishError, Session, ShareRecord, SitePath,
    Target, Watch,
    path::VERSION_DIGITS,
    record::{self, Catalogue, SiteRecord},
};

/// The version of the site's layout that is written; a higher one is refused.
pub const SITE_VERSION: u32 = 1;
/// Times that a publication begins anew because others published to the same place meanwhile.
const TRIES_MAX: usize = 8;

pub(crate) const INDEX: &str = "index.html";
pub(crate) const SHARE_RECORD: &str = "share.json";
pub(crate) const SITE_RECORD: &str = "site.json";
const CATALOGUE: &str = "catalogue.json";
pub(crate) const HTML: &str = "text/html; charset=utf-8";
pub(crate) const JSON: &str = "application/json";

/// What hosts that read `_headers` are told (Netlify, Cloudflare Pages and others): what readalong's own server says too, as far as it holds for all files.
const HEADERS: &str = "/*
  X-Content-Type-Options: nosniff
  X-Robots-Tag: noindex, nofollow, noarchive
  Referrer-Policy: no-referrer
  Cross-Origin-Opener-Policy: same-origin
  Cross-Origin-Resource-Policy: same-origin
  Content-Security-Policy: frame-ancestors 'none'
";

/// Makes the pages of a site that belong to no bundle.
pub trait SitePages {
    /// The page at a share's link: sends readers on to a page of its version.
    fn head(&self, href: &str, title: Option<&str>) -> Vec<u8>;
    /// The page at the link of a share that was taken back.
    fn tombstone(&self) -> Vec<u8>;
    /// The page for addresses that lead nowhere. It may stand at any depth.
    fn missing(&self) -> Vec<u8>;
    /// The page that lists shares.
    fn catalogue(&self, shares: &[Listing]) -> Vec<u8>;
}

/// What a version of a share consists of: every file of a bundle that was verified.
#[derive(Clone, Debug)]
pub struct Content {
    digest: Digest,
    bundle: Option<Digest>,
    files: Vec<ContentFile>,
}

#[derive(Clone, Debug)]
struct ContentFile {
    path: String,
    here: PathBuf,
    size_bytes: u64,
    sha256: Option<Digest>,
    /// True where another version can have other bytes under this name only if they are the same.
    is_named_by_content: bool,
    media_type: String,
}

impl ContentFile {
    /// It under a name of the site.
    fn at(&self, path: SitePath) -> File {
        File {
            path,
            origin: Origin::File(self.here.clone()),
            size_bytes: self.size_bytes,
            media_type: self.media_type.clone(),
            // A version never changes.
            is_lasting: true,
        }
    }
}

impl Content {
    /// The files of a bundle, as they are.
    pub fn clear(bundle: &VerifiedBundle, manifest_bytes: u64) -> Self {
        let file = |entry: &readalong_bundle::FileEntry| ContentFile {
            path: entry.path.to_string(),
            here: bundle.path.join(entry.path.as_str()),
            size_bytes: entry.size_bytes,
            sha256: Some(entry.sha256),
            is_named_by_content: false,
            media_type: entry.media_type.clone(),
        };
        let mut files: Vec<ContentFile> = bundle.manifest.files.iter().map(file).collect();
        // Last, so that a folder that was left in the middle does not look like a bundle.
        files.push(ContentFile {
            path: MANIFEST.to_owned(),
            here: bundle.path.join(MANIFEST),
            size_bytes: manifest_bytes,
            sha256: None,
            is_named_by_content: false,
            media_type: JSON.to_owned(),
        });
        Self {
            digest: bundle.id,
            bundle: Some(bundle.id),
            files,
        }
    }

    /// The files of a bundle that only who has the key can read.
    pub fn sealed(sealed: &SealedBundle) -> Self {
        let file = |entry: &readalong_bundle::FileEntry| ContentFile {
            path: entry.path.to_string(),
            here: sealed.path.join(entry.path.as_str()),
            size_bytes: entry.size_bytes,
            sha256: None,
            is_named_by_content: !SealedBundle::HEADS.contains(&entry.path.as_str()),
            media_type: entry.media_type.clone(),
        };
        Self {
            digest: sealed.id,
            bundle: None,
            files: sealed.files.iter().map(file).collect(),
        }
    }

    fn folder(&self) -> String {
        self.digest.short(VERSION_DIGITS)
    }
}

/// A share that is to be at a place.
#[derive(Clone, Copy, Debug)]
pub struct Publication<'a> {
    /// The share.
    pub share: &'a ShareId,
    /// What readers are to see.
    pub content: &'a Content,
    /// What the chat is called; `None` where nobody may know without the key.
    pub title: Option<&'a str>,
    /// The time of the publication.
    pub at: Timestamp,
    /// Whether the site's catalogue lists it.
    pub is_listed: bool,
    /// Whether there has to be a site: where one was before it may only be away, and what is sent would lie beside it.
    pub needs_site: bool,
}

/// What is to be done at a place, and what it is done for.
pub struct Plan<'a> {
    session: Box<dyn Session + 'a>,
    seen: Option<ShareRecord>,
    /// The changes.
    pub changes: Changes,
}

/// What was published.
#[derive(Clone, Debug)]
pub struct Published {
    /// Name of the page at the share's link, relative to the site.
    pub link: SitePath,
    /// What was done; nothing where everything was there.
    pub changes: Changes,
}

/// What was taken back.
#[derive(Clone, Debug)]
pub struct Unpublished {
    /// What was done.
    pub changes: Changes,
}

/// Puts a share into a site, or another version of it in place of the one that is there.
///
/// # Errors
/// The place cannot be used, is full, or somebody else published the same share at the same time.
pub fn publish(
    target: &dyn Target,
    publication: &Publication<'_>,
    pages: &dyn SitePages,
    watch: &dyn Watch,
) -> Result<Published, PublishError> {
    let link = SitePath::share(publication.share).file(INDEX);
    let changes = repeat(target, watch, publication.share, |target| {
        Plan::publish(target, publication, pages, watch)
    })?;
    Ok(Published { link, changes })
}

/// Takes a share out of a site and leaves a page that says so at its link.
///
/// # Errors
/// It is not there, or the place cannot be used.
pub fn unpublish(
    target: &dyn Target,
    share: &ShareId,
    pages: &dyn SitePages,
    watch: &dyn Watch,
) -> Result<Unpublished, PublishError> {
    let plan = |target| Plan::unpublish(target, share, pages, watch);
    let changes = match repeat(target, watch, share, plan) {
        Err(full) if full.is_full() => {
            // Not even the page that says so has room. What has to go makes it; until that page is there the link leads nowhere.
            let mut planned = plan(target)?;
            planned.changes.heads.clear();
            planned.session.apply(&planned.changes, watch)?;
            let removed = planned.changes;
            drop(planned.session);
            match repeat(target, watch, share, plan) {
                // A publication had broken off before it had a page: nothing is left of it.
                Err(PublishError::NotThere { .. } | PublishError::NoSite { .. }) => removed,
                again => again?,
            }
        }
        changes => changes?,
    };
    Ok(Unpublished { changes })
}

/// The shares of a site, the newest first, and which records of others are damaged.
///
/// # Errors
/// There is no site, or the place cannot be read.
pub fn shares(
    target: &dyn Target,
    watch: &dyn Watch,
) -> Result<(Vec<ShareRecord>, Vec<PublishError>), PublishError> {
    let mut session = target.begin(watch)?;
    let site = check_site(target, &mut *session)?;
    let (mut shares, mut damaged) = (Vec::new(), Vec::new());
    for name in session.folders(&SitePath::shares())? {
        if watch.is_cancelled() {
            return Err(PublishError::Cancelled {
                target: target.name().to_owned(),
            });
        }
        let Ok(id) = name.parse::<ShareId>() else {
            continue;
        };
        match read_record(target, &mut *session, &id) {
            Err(bad @ PublishError::BadRecord { .. }) => damaged.push(bad),
            read => shares.extend(read?),
        }
    }
    if site.is_none() && shares.is_empty() && damaged.is_empty() {
        return Err(no_site(target));
    }
    shares.sort_by(|a, b| (b.published_at, &b.share).cmp(&(a.published_at, &a.share)));
    Ok((shares, damaged))
}

/// What a site says of a share; `None` where it has none.
///
/// # Errors
/// The place cannot be read.
pub fn share(
    target: &dyn Target,
    share: &ShareId,
    watch: &dyn Watch,
) -> Result<Option<ShareRecord>, PublishError> {
    let mut session = target.begin(watch)?;
    check_site(target, &mut *session)?;
    read_share(target, &mut *session, share)
}

/// Plans and applies until nobody comes between.
fn repeat<'a>(
    target: &'a dyn Target,
    watch: &dyn Watch,
    share: &ShareId,
    plan: impl Fn(&'a dyn Target) -> Result<Plan<'a>, PublishError>,
) -> Result<Changes, PublishError> {
    let mut planned = plan(target)?;
    let mut first_seen = planned.seen.clone();
    let mut sent = None;
    let mut begun = None;
    let mut tries = 1;
    loop {
        // A try that failed in the middle may have left a record of ours.
        let is_ours = sent.is_some() && planned.seen.as_ref().map(record::write) == sent;
        if first_seen != planned.seen && !is_ours {
            let shown = planned.seen.as_ref();
            let shown = shown.map(|seen| place_of(share, &seen.folder));
            if let Some(version) = begun.filter(|begun| Some(begun) != shown.as_ref()) {
                // Nothing names what was sent, and the share may have been taken back meanwhile.
                remove_version(&mut *planned.session, (share, &version), watch)?;
            }
            return Err(PublishError::OtherPublisher {
                target: target.name().to_owned(),
                share: share.to_string(),
            });
        }
        if planned.changes.is_empty() {
            return Ok(planned.changes);
        }
        watch.planned(&planned.changes);
        begun = planned
            .changes
            .version
            .as_ref()
            .map(|(version, _)| version.clone())
            .or(begun);
        match planned.session.apply(&planned.changes, watch) {
            Err(PublishError::MovedOn { .. }) if tries < TRIES_MAX && !watch.is_cancelled() => {
                tries += 1;
                sent = sent_record(&planned.changes, share).or(sent);
                planned = plan(target)?;
                continue;
            }
            applied => applied?,
        }
        if planned.session.is_exclusive() || tries == TRIES_MAX {
            return Ok(planned.changes);
        }
        // Another publisher may have taken what of ours nothing named yet for something left behind, or have written over the list of shares.
        let again = plan(target)?;
        sent = sent_record(&planned.changes, share).or(planned.seen.as_ref().map(record::write));
        let seen = again.seen.as_ref().map(record::write);
        // Who published the same share since then has come after us.
        if again.changes.is_empty() || (seen.is_some() && seen != sent) {
            return Ok(planned.changes);
        }
        tries += 1;
        first_seen = again.seen.clone();
        planned = again;
    }
}

/// The share's record as changes write it.
fn sent_record(changes: &Changes, share: &ShareId) -> Option<Vec<u8>> {
    let path = SitePath::share(share).file(SHARE_RECORD);
    let head = changes.heads.iter().find(|head| head.path == path)?;
    Some(head.bytes.clone())
}

impl<'a> Plan<'a> {
    /// Works out what a publication changes.
    ///
    /// # Errors
    /// The place cannot be read.
    pub fn publish(
        target: &'a dyn Target,
        publication: &Publication<'_>,
        pages: &dyn SitePages,
        watch: &dyn Watch,
    ) -> Result<Self, PublishError> {
        let mut session = target.begin(watch)?;
        let Publication {
            share,
            content,
            title,
            at,
            is_listed,
            needs_site,
        } = *publication;
        let folder = content.folder();
        let site = check_site(target, &mut *session)?;
        if needs_site && site.is_none() {
            return Err(no_site(target));
        }
        let seen = read_share(target, &mut *session, share)?;
        let record = ShareRecord {
            format: ShareRecord::FORMAT.to_owned(),
            share: share.clone(),
            folder: folder.clone(),
            bundle: content.bundle,
            title: title.map(str::to_owned),
            published_at: at,
            files: content.files.len(),
            size_bytes: content.files.iter().map(|file| file.size_bytes).sum(),
            live: false,
        };
        let is_same = seen
            .as_ref()
            .is_some_and(|seen| seen.says_the_same(&record));
        let record = if is_same {
            seen.clone().unwrap_or(record)
        } else {
            record
        };
        let place = SitePath::share(share);
        let version = place_of(share, &folder);
        let mut changes = Changes {
            subject: format!("Publish share {share}"),
            ..Changes::default()
        };

        let there = session.list(&place)?;
        let missing = missing_files(&mut *session, content, &version, seen.as_ref(), &there)?;
        if !missing.is_empty() {
            changes.version = Some((version.clone(), missing));
        }
        site_files(&mut changes, &mut *session, site.as_ref(), pages)?;
        let index = pages.head(&format!("{folder}/{INDEX}"), title);
        if !is_same {
            changes
                .heads
                .push(head(place.file(SHARE_RECORD), record::write(&record), JSON));
        }
        if session.read(&place.file(INDEX))?.as_deref() != Some(&index) {
            changes.heads.push(head(place.file(INDEX), index, HTML));
        }
        let listing = title.filter(|_| is_listed).map(|title| Listing {
            share: share.clone(),
            title: title.to_owned(),
            published_at: record.published_at,
        });
        list_in_catalogue(&mut changes, target, &mut *session, (share, listing), pages)?;
        changes.removed.extend(beside(there, &place, &version));
        Ok(Self {
            session,
            seen,
            changes,
        })
    }

    /// Works out what taking a share back changes.
    ///
    /// # Errors
    /// It is not there, nor is a site, or the place cannot be read.
    pub fn unpublish(
        target: &'a dyn Target,
        share: &ShareId,
        pages: &dyn SitePages,
        watch: &dyn Watch,
    ) -> Result<Self, PublishError> {
        let mut session = target.begin(watch)?;
        let site = check_site(target, &mut *session)?;
        let seen = read_share(target, &mut *session, share)?;
        let place = SitePath::share(share);
        let there = session.list(&place)?;
        let index = place.file(INDEX);
        if there.is_empty() {
            return Err(match site {
                None => no_site(target),
                Some(_) => PublishError::NotThere {
                    target: target.name().to_owned(),
                    share: share.to_string(),
                },
            });
        }
        let mut changes = Changes {
            subject: format!("Take back share {share}"),
            ..Changes::default()
        };
        site_files(&mut changes, &mut *session, site.as_ref(), pages)?;
        let tombstone = pages.tombstone();
        if session.read(&index)?.as_deref() != Some(&tombstone) {
            changes.heads.push(head(index.clone(), tombstone, HTML));
        }
        list_in_catalogue(&mut changes, target, &mut *session, (share, None), pages)?;
        let left = there.into_iter().map(|listed| listed.path);
        changes.removed.extend(left.filter(|path| *path != index));
        Ok(Self {
            session,
            seen,
            changes,
        })
    }
}

/// Removes what is there of a version that no reader is led to.
pub(crate) fn remove_version(
    session: &mut dyn Session,
    (share, version): (&ShareId, &SitePath),
    watch: &dyn Watch,
) -> Result<(), PublishError> {
    let left = session.list(version)?.into_iter();
    let changes = Changes {
        subject: format!("Take back share {share}"),
        removed: left.map(|listed| listed.path).collect(),
        ..Changes::default()
    };
    match changes.is_empty() {
        true => Ok(()),
        false => session.apply(&changes, watch),
    }
}

fn place_of(share: &ShareId, folder: &str) -> SitePath {
    SitePath::version(share, folder).expect("a digest's first digits name a version")
}

/// What lies at a share's place and belongs neither to the version nor to its heads.
pub(crate) fn beside(there: Vec<Listed>, place: &SitePath, version: &SitePath) -> Vec<SitePath> {
    let kept = [place.file(SHARE_RECORD), place.file(INDEX)];
    let paths = there.into_iter().map(|listed| listed.path);
    paths
        .filter(|path| !path.is_below(version) && !kept.contains(path))
        .collect()
}

pub(crate) fn head(path: SitePath, bytes: Vec<u8>, media_type: &'static str) -> Head {
    Head {
        path,
        bytes,
        media_type,
    }
}

/// The site's record, where there is a site; fails where we may not write to it.
pub(crate) fn check_site(
    target: &dyn Target,
    session: &mut dyn Session,
) -> Result<Option<SiteRecord>, PublishError> {
    let path = SitePath::root(SITE_RECORD);
    let site: Option<SiteRecord> =
        record::read(target.name(), path.as_str(), session.read(&path)?)?;
    match site {
        Some(site) if site.version > SITE_VERSION => Err(PublishError::TooNew {
            target: target.name().to_owned(),
            version: site.version,
        }),
        site => Ok(site),
    }
}

pub(crate) fn no_site(target: &dyn Target) -> PublishError {
    PublishError::NoSite {
        target: target.name().to_owned(),
    }
}

/// What the site says of a share; nothing where that is damaged, since whoever publishes it or takes it back replaces it.
pub(crate) fn read_share(
    target: &dyn Target,
    session: &mut dyn Session,
    share: &ShareId,
) -> Result<Option<ShareRecord>, PublishError> {
    match read_record(target, session, share) {
        Err(PublishError::BadRecord { .. }) => Ok(None),
        read => read,
    }
}

fn read_record(
    target: &dyn Target,
    session: &mut dyn Session,
    share: &ShareId,
) -> Result<Option<ShareRecord>, PublishError> {
    let path = SitePath::share(share).file(SHARE_RECORD);
    let read: Option<ShareRecord> =
        record::read(target.name(), path.as_str(), session.read(&path)?)?;
    match read {
        Some(read) if read.share != *share => Err(PublishError::BadRecord {
            target: target.name().to_owned(),
            path: path.to_string(),
            source: serde::de::Error::custom("it is of another share"),
        }),
        read => Ok(read),
    }
}

/// Files of a version that are not whole at their place, and where their bytes come from: from the version before, where it has them.
fn missing_files(
    session: &mut dyn Session,
    content: &Content,
    version: &SitePath,
    seen: Option<&ShareRecord>,
    there: &[Listed],
) -> Result<Vec<File>, PublishError> {
    let names: BTreeMap<&SitePath, Option<u64>> = there
        .iter()
        .map(|listed| (&listed.path, listed.size_bytes))
        .collect();
    let is_there = |path: &SitePath, size_bytes: u64| {
        let there = names.get(path);
        there.is_some_and(|there| there.is_none_or(|there| there == size_bytes))
    };
    let path_of = |folder: &SitePath, path: &str| SitePath::parse(&format!("{folder}/{path}"));
    let all = content.files.iter().map(|file| {
        let path = path_of(version, &file.path).expect("a bundle's names are good in a site");
        (path, file)
    });
    let mut missing: Vec<(SitePath, &ContentFile)> = all.collect();
    let found = missing.iter().map(|(path, file)| file.at(path.clone()));
    let found: Vec<File> = found
        .filter(|file| is_there(&file.path, file.size_bytes))
        .collect();
    let damaged = session.damaged(&found)?;
    missing.retain(|(path, file)| !is_there(path, file.size_bytes) || damaged.contains(path));
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let before = seen
        .and_then(|seen| SitePath::version(&seen.share, &seen.folder))
        .filter(|before| before != version);
    let kept = match &before {
        Some(before) => kept_files(session, before, &is_there)?,
        None => BTreeMap::new(),
    };
    let same_name = |file: &ContentFile| {
        let path = path_of(before.as_ref()?, &file.path)?;
        (file.is_named_by_content && is_there(&path, file.size_bytes)).then_some(path)
    };
    let like = |file: &ContentFile| {
        let same = file.sha256.and_then(|sha256| kept.get(&sha256).cloned());
        same.or_else(|| same_name(file))
    };
    let found = missing
        .iter()
        .filter_map(|(_, file)| Some(file.at(like(file)?)));
    let damaged = session.damaged(&found.collect::<Vec<_>>())?;
    let new = missing.into_iter().map(|(path, file)| {
        let mut new = file.at(path);
        if let Some(path) = like(file).filter(|path| !damaged.contains(path)) {
            let here = file.here.clone();
            new.origin = Origin::There { path, here };
        }
        new
    });
    Ok(new.collect())
}

/// Files of a version that is there, by digest. What its manifest says of files that are not there, or not so long, is not believed.
fn kept_files(
    session: &mut dyn Session,
    version: &SitePath,
    is_there: &dyn Fn(&SitePath, u64) -> bool,
) -> Result<BTreeMap<Digest, SitePath>, PublishError> {
    let Some(manifest) = session.read(&version.file(MANIFEST))? else {
        return Ok(BTreeMap::new());
    };
    // A damaged one only means that everything is sent.
    let Ok(manifest) = serde_json::from_slice::<Manifest>(&manifest) else {
        return Ok(BTreeMap::new());
    };
    let files = manifest.files.into_iter().filter_map(|file| {
        let path = version.of_bundle(&file.path);
        is_there(&path, file.size_bytes).then_some((file.sha256, path))
    });
    Ok(files.collect())
}

/// The files at the root of the site that all shares have in common, where they are not there as we would write them.
pub(crate) fn site_files(
    changes: &mut Changes,
    session: &mut dyn Session,
    site: Option<&SiteRecord>,
    pages: &dyn SitePages,
) -> Result<(), PublishError> {
    const TEXT: &str = "text/plain; charset=utf-8";
    changes.removed.extend(session.leftovers()?);
    let files: [(&'static str, Vec<u8>, &'static str); 3] = [
        ("404.html", pages.missing(), HTML),
        ("_headers", HEADERS.as_bytes().to_vec(), TEXT),
        // Tells GitHub Pages to serve files as they are.
        (".nojekyll", Vec::new(), TEXT),
    ];
    let mut all = Vec::new();
    for (_, bytes, _) in &files {
        all.extend_from_slice(Digest::of(bytes).as_bytes());
    }
    let digest = Digest::of(&all);
    let is_same = site.is_some_and(|site| site.files == digest);
    let mut record = SiteRecord {
        format: SiteRecord::FORMAT.to_owned(),
        version: SITE_VERSION,
        files: digest,
        ours: Vec::new(),
    };
    for (name, bytes, media_type) in files {
        let path = SitePath::root(name);
        let is_ours = site.is_some_and(|site| site.ours.iter().any(|ours| ours == name));
        // What is as it should be may have been lost.
        if is_same && !(is_ours && session.read(&path)?.is_none()) {
            continue;
        }
        // What somebody else has put there is theirs.
        if is_ours || session.read(&path)?.is_none_or(|there| there == bytes) {
            record.ours.push(name.to_owned());
            changes.heads.push(head(path, bytes, media_type));
        }
    }
    if is_same {
        return Ok(());
    }
    let path = SitePath::root(SITE_RECORD);
    changes.heads.push(head(path, record::write(&record), JSON));
    Ok(())
}

/// Brings the catalogue to what it is to say of a share. A site without listed shares has none, or an empty one; a first page that somebody else put there stays, and so does what
/// is called like the catalogue and is none: no share that is not to be listed is in there.
pub(crate) fn list_in_catalogue(
    changes: &mut Changes,
    target: &dyn Target,
    session: &mut dyn Session,
    (share, listing): (&ShareId, Option<Listing>),
    pages: &dyn SitePages,
) -> Result<(), PublishError> {
    let path = SitePath::root(CATALOGUE);
    let is_listed = listing.is_some();
    let mut old = match read_catalogue(target, session, &path) {
        Err(PublishError::BadRecord { .. }) if !is_listed => {
            changes.foreign_list = Some(path);
            return Ok(());
        }
        read => read?,
    };
    if old.page.is_none() && old.with(share, listing.clone()) == old {
        return Ok(());
    }
    let index = SitePath::root(INDEX);
    let there = session.read(&index)?.map(|there| Digest::of(&there));
    if !old.knows(there) {
        // The list is written before its page: somebody may have written both since we read it.
        old = read_catalogue(target, session, &path)?;
    }
    changes.is_unlisted = !is_listed && old.shares.iter().any(|listed| listed.share == *share);
    let mut new = old.with(share, listing);
    let is_ours = old.knows(there);
    if new == old && (there == old.page || !is_ours) {
        return Ok(());
    }
    if is_listed && !is_ours {
        return Err(PublishError::ForeignIndex {
            target: target.name().to_owned(),
        });
    }
    // Where somebody may list a share meanwhile, the empty list stays.
    if new.shares.is_empty() && session.removes_what_was_read() {
        // The list last: without it the page would be somebody else's.
        changes.removed.extend(is_ours.then_some(index));
        changes.removed.push(path);
        return Ok(());
    }
    if !is_ours {
        changes.heads.push(head(path, record::write(&new), JSON));
        return Ok(());
    }
    let page = pages.catalogue(&new.shares);
    new.turn_to(Digest::of(&page));
    changes.heads.push(head(path, record::write(&new), JSON));
    changes.heads.push(head(index, page, HTML));
    Ok(())
}

fn read_catalogue(
    target: &dyn Target,
    session: &mut dyn Session,
    path: &SitePath,
) -> Result<Catalogue, PublishError> {
    let bytes = session.read(path)?;
    if let Some(unmarked) = bytes.as_deref().and_then(unmarked_catalogue) {
        let there = session.read(&SitePath::root(INDEX))?;
        if unmarked.page.is_some() && unmarked.page == there.map(|there| Digest::of(&there)) {
            return Ok(unmarked);
        }
    }
    let read: Option<Catalogue> = record::read(target.name(), path.as_str(), bytes)?;
    match read {
        Some(read) if read.format != Catalogue::FORMAT => Err(PublishError::BadRecord {
            target: target.name().to_owned(),
            path: path.to_string(),
            source: serde::de::Error::custom("it is no list of shares"),
        }),
        read => Ok(read.unwrap_or_default()),
    }
}

/// A catalogue as it was written when it did not say what it is: the page that it names tells that it is ours.
fn unmarked_catalogue(bytes: &[u8]) -> Option<Catalogue> {
    let mut members: serde_json::Map<_, _> = serde_json::from_slice(bytes).ok()?;
    if members.contains_key("format") {
        return None;
    }
    members.insert("format".to_owned(), Catalogue::FORMAT.into());
    serde_json::from_value(members.into()).ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::{
        cell::{Cell, RefCell},
        collections::BTreeSet,
        slice,
    };

    use super::*;
    use crate::open;

    /// Pages of a few bytes.
    pub(crate) struct Plain;

    impl SitePages for Plain {
        fn head(&self, href: &str, _title: Option<&str>) -> Vec<u8> {
            href.into()
        }
        fn tombstone(&self) -> Vec<u8> {
            b"taken back".into()
        }
        fn missing(&self) -> Vec<u8> {
            b"nothing here".into()
        }
        fn catalogue(&self, shares: &[Listing]) -> Vec<u8> {
            shares
                .iter()
                .map(|share| share.title.as_str())
                .collect::<String>()
                .into()
        }
    }

    /// Nobody.
    pub(crate) struct Unseen;

    impl Watch for Unseen {
        fn is_cancelled(&self) -> bool {
            false
        }
        fn planned(&self, _changes: &Changes) {}
        fn sent(&self, _bytes: u64) {}
        fn visible(&self) {}
    }

    /// What a publisher of a share publishes, at a moment of its own.
    struct One {
        share: ShareId,
        content: Content,
        at: Timestamp,
    }

    impl One {
        fn new(share: u8, at: i64) -> Self {
            let content = Content {
                digest: Digest::of(&[share]),
                bundle: None,
                files: Vec::new(),
            };
            let at = Timestamp::from_millis(at).unwrap();
            Self {
                share: ShareId::from_random([share; 16]),
                content,
                at,
            }
        }

        fn with_a_page() -> Self {
            let mut one = Self::new(1, 1);
            one.content.files.push(ContentFile {
                path: INDEX.to_owned(),
                here: "Cargo.toml".into(),
                size_bytes: 1,
                sha256: None,
                is_named_by_content: false,
                media_type: HTML.to_owned(),
            });
            one
        }

        fn listed(&self) -> Publication<'_> {
            Publication {
                share: &self.share,
                content: &self.content,
                title: Some("A chat"),
                at: self.at,
                is_listed: true,
                needs_site: false,
            }
        }

        /// Publishes it; each time between what is read and what is written another one is published.
        fn publish_while(
            &self,
            target: &dyn Target,
            others: &[Self],
        ) -> Result<Changes, PublishError> {
            let others = RefCell::new(others.iter());
            repeat(target, &Unseen, &self.share, |target| {
                let planned = Plan::publish(target, &self.listed(), &Plain, &Unseen);
                if let Some(other) = others.borrow_mut().next() {
                    publish(target, &other.listed(), &Plain, &Unseen)?;
                }
                planned
            })
        }
    }

    fn shares_of(target: &dyn Target) -> Vec<ShareId> {
        let (shares, _) = shares(target, &Unseen).unwrap();
        shares.into_iter().map(|share| share.share).collect()
    }

    /// At a new site, and at one where the first has written all but the catalogue, again and again.
    #[test]
    fn of_shares_that_are_published_at_once_all_are_there() {
        let target = open("memory:///site").unwrap();
        let [a, b, c, d, e] = [1, 2, 3, 4, 5].map(|n| One::new(n, n.into()));
        a.publish_while(target.as_ref(), slice::from_ref(&b))
            .unwrap();
        assert_eq!(
            shares_of(target.as_ref()),
            [b.share.clone(), a.share.clone()]
        );
        c.publish_while(target.as_ref(), &[d, e]).unwrap();
        assert_eq!(shares_of(target.as_ref()).len(), 5);
        let mut session = target.begin(&Unseen).unwrap();
        let catalogue = session.read(&SitePath::root(CATALOGUE)).unwrap().unwrap();
        let catalogue: Catalogue = serde_json::from_slice(&catalogue).unwrap();
        assert_eq!(catalogue.shares.len(), 5);
    }

    #[test]
    fn a_list_that_was_not_written_whole_is_still_ours() {
        for heads in 0.. {
            let target = open("memory:///site").unwrap();
            let [a, b, c] = [1, 2, 3].map(|n| One::new(n, n.into()));
            publish(target.as_ref(), &a.listed(), &Plain, &Unseen).unwrap();
            let mut planned = Plan::publish(target.as_ref(), &b.listed(), &Plain, &Unseen).unwrap();
            if heads == planned.changes.heads.len() {
                break;
            }
            planned.changes.heads.truncate(heads);
            planned.session.apply(&planned.changes, &Unseen).unwrap();
            publish(target.as_ref(), &c.listed(), &Plain, &Unseen).unwrap();
            for one in [&a, &b, &c] {
                let unlisted = Publication {
                    is_listed: false,
                    ..one.listed()
                };
                publish(target.as_ref(), &unlisted, &Plain, &Unseen).unwrap();
            }
            let mut session = target.begin(&Unseen).unwrap();
            let index = session.read(&SitePath::root(INDEX)).unwrap();
            assert_eq!(index.unwrap_or_default(), Plain.catalogue(&[]));
        }
    }

    #[test]
    fn a_list_that_is_not_ours_stays_and_keeps_nothing_from_being_published_or_taken_back() {
        for foreign in [r#"{"products":[1,2]}"#, r#"{"shares":[]}"#, "{"] {
            let target = open("memory:///site").unwrap();
            let path = SitePath::root(CATALOGUE);
            let theirs = Changes {
                heads: vec![head(path.clone(), foreign.into(), JSON)],
                ..Changes::default()
            };
            let mut session = target.begin(&Unseen).unwrap();
            session.apply(&theirs, &Unseen).unwrap();
            let one = One::new(1, 1);
            let unlisted = Publication {
                is_listed: false,
                ..one.listed()
            };
            let told = publish(target.as_ref(), &one.listed(), &Plain, &Unseen).unwrap_err();
            assert!(matches!(told, PublishError::BadRecord { .. }), "{told}");
            let published = publish(target.as_ref(), &unlisted, &Plain, &Unseen).unwrap();
            assert_eq!(published.changes.foreign_list, Some(path.clone()));
            unpublish(target.as_ref(), &one.share, &Plain, &Unseen).unwrap();
            assert_eq!(session.read(&path).unwrap().unwrap(), foreign.as_bytes());
        }
    }

    #[test]
    fn a_list_that_does_not_say_what_it_is_is_ours_where_it_names_its_page() {
        let target = open("memory:///site").unwrap();
        let [a, b] = [1, 2].map(|n| One::new(n, n.into()));
        for one in [&a, &b] {
            publish(target.as_ref(), &one.listed(), &Plain, &Unseen).unwrap();
        }
        let path = SitePath::root(CATALOGUE);
        let mut session = target.begin(&Unseen).unwrap();
        let written = session.read(&path).unwrap().unwrap();
        let mut unmarked: serde_json::Value = serde_json::from_slice(&written).unwrap();
        unmarked.as_object_mut().unwrap().remove("format").unwrap();
        let unmarked = Changes {
            heads: vec![head(path.clone(), record::write(&unmarked), JSON)],
            ..Changes::default()
        };
        session.apply(&unmarked, &Unseen).unwrap();
        unpublish(target.as_ref(), &a.share, &Plain, &Unseen).unwrap();
        let written = session.read(&path).unwrap().unwrap();
        let catalogue: Catalogue = serde_json::from_slice(&written).unwrap();
        assert_eq!(catalogue.shares.len(), 1);
        assert_eq!(catalogue.shares[0].share, b.share);
    }

    #[test]
    fn files_of_the_site_that_were_lost_are_sent_again() {
        let target = open("memory:///site").unwrap();
        let one = One::new(1, 1);
        publish(target.as_ref(), &one.listed(), &Plain, &Unseen).unwrap();
        let lost = SitePath::root("404.html");
        let losing = Changes {
            removed: vec![lost.clone()],
            ..Changes::default()
        };
        let mut session = target.begin(&Unseen).unwrap();
        session.apply(&losing, &Unseen).unwrap();
        publish(target.as_ref(), &one.listed(), &Plain, &Unseen).unwrap();
        assert_eq!(session.read(&lost).unwrap().unwrap(), b"nothing here");
        let again = publish(target.as_ref(), &one.listed(), &Plain, &Unseen).unwrap();
        assert!(again.changes.is_empty());
    }

    #[test]
    fn of_two_who_publish_one_share_at_once_one_is_told() {
        let target = open("memory:///site").unwrap();
        let (a, b) = (One::new(1, 1), One::new(1, 2));
        let told = a
            .publish_while(target.as_ref(), slice::from_ref(&b))
            .unwrap_err();
        assert!(
            matches!(told, PublishError::OtherPublisher { .. }),
            "{told}"
        );
        let told = b.publish_while(target.as_ref(), &[a]);
        assert!(told.is_ok(), "what says the same is the same: {told:?}");
    }

    #[test]
    fn of_a_share_that_is_taken_back_while_it_is_published_nothing_is_left() {
        let target = open("memory:///site").unwrap();
        let mut one = One::new(1, 1);
        let page = ContentFile {
            path: INDEX.to_owned(),
            here: "Cargo.toml".into(),
            size_bytes: 1,
            sha256: None,
            // It would be copied from the version before.
            is_named_by_content: true,
            media_type: HTML.to_owned(),
        };
        one.content.files.push(page);
        publish(target.as_ref(), &one.listed(), &Plain, &Unseen).unwrap();
        one.content.digest = Digest::of(b"changed");
        let is_first = Cell::new(true);
        let told = repeat(target.as_ref(), &Unseen, &one.share, |target| {
            let planned = Plan::publish(target, &one.listed(), &Plain, &Unseen);
            if is_first.replace(false) {
                unpublish(target, &one.share, &Plain, &Unseen)?;
            }
            planned
        })
        .unwrap_err();
        assert!(
            matches!(told, PublishError::OtherPublisher { .. }),
            "{told}"
        );
        let mut session = target.begin(&Unseen).unwrap();
        let left = session.list(&SitePath::shares()).unwrap().into_iter();
        let left: Vec<SitePath> = left.map(|listed| listed.path).collect();
        assert_eq!(left, [SitePath::share(&one.share).file(INDEX)]);
    }

    #[test]
    fn a_share_that_is_taken_back_while_another_is_published_is_gone() {
        let target = open("memory:///site").unwrap();
        let (a, b, c) = (One::new(1, 1), One::new(2, 2), One::new(3, 3));
        for there in [&a, &c] {
            publish(target.as_ref(), &there.listed(), &Plain, &Unseen).unwrap();
        }
        let is_first = Cell::new(true);
        repeat(target.as_ref(), &Unseen, &a.share, |target| {
            let planned = Plan::unpublish(target, &a.share, &Plain, &Unseen);
            if is_first.replace(false) {
                publish(target, &b.listed(), &Plain, &Unseen)?;
            }
            planned
        })
        .unwrap();
        assert_eq!(shares_of(target.as_ref()), [c.share, b.share.clone()]);
    }

    #[test]
    fn a_share_that_is_listed_while_the_last_one_is_taken_back_stays_listed() {
        let target = open("memory:///site").unwrap();
        let [a, b] = [1, 2].map(|n| One::new(n, n.into()));
        publish(target.as_ref(), &a.listed(), &Plain, &Unseen).unwrap();
        let is_first = Cell::new(true);
        repeat(target.as_ref(), &Unseen, &a.share, |target| {
            let planned = Plan::unpublish(target, &a.share, &Plain, &Unseen);
            if is_first.replace(false) {
                publish(target, &b.listed(), &Plain, &Unseen)?;
            }
            planned
        })
        .unwrap();
        let mut session = target.begin(&Unseen).unwrap();
        let catalogue = session.read(&SitePath::root(CATALOGUE)).unwrap().unwrap();
        let catalogue: Catalogue = serde_json::from_slice(&catalogue).unwrap();
        let listed: Vec<&ShareId> = catalogue.shares.iter().map(|one| &one.share).collect();
        assert_eq!(listed, [&b.share]);
        let index = session.read(&SitePath::root(INDEX)).unwrap().unwrap();
        assert_eq!(index, Plain.catalogue(&catalogue.shares));
    }

    /// A place without room, as long as the folder of a version is there.
    struct Tight(Box<dyn Target>);

    struct TightSession<'a>(Box<dyn Session + 'a>);

    impl Target for Tight {
        fn name(&self) -> &str {
            self.0.name()
        }
        fn key(&self) -> String {
            self.0.key()
        }
        fn begin(&self, watch: &dyn Watch) -> Result<Box<dyn Session + '_>, PublishError> {
            Ok(Box::new(TightSession(self.0.begin(watch)?)))
        }
    }

    impl Session for TightSession<'_> {
        fn read(&mut self, path: &SitePath) -> Result<Option<Vec<u8>>, PublishError> {
            self.0.read(path)
        }
        fn list(&mut self, folder: &SitePath) -> Result<Vec<Listed>, PublishError> {
            self.0.list(folder)
        }
        fn damaged(&mut self, files: &[File]) -> Result<BTreeSet<SitePath>, PublishError> {
            self.0.damaged(files)
        }
        fn folders(&mut self, folder: &SitePath) -> Result<Vec<String>, PublishError> {
            self.0.folders(folder)
        }
        fn apply(&mut self, changes: &Changes, watch: &dyn Watch) -> Result<(), PublishError> {
            let there = self.list(&SitePath::shares())?;
            let is_version = |listed: &Listed| listed.path.as_str().matches('/').count() > 2;
            match !changes.heads.is_empty() && there.iter().any(is_version) {
                true => Err(PublishError::Full {
                    target: "a full disk".to_owned(),
                }),
                false => self.0.apply(changes, watch),
            }
        }
    }

    #[test]
    fn what_is_at_a_full_place_can_be_taken_back() {
        let target = open("memory:///site").unwrap();
        let one = One::with_a_page();
        publish(target.as_ref(), &one.listed(), &Plain, &Unseen).unwrap();
        let target = Tight(target);
        unpublish(&target, &one.share, &Plain, &Unseen).unwrap();
        let mut session = target.begin(&Unseen).unwrap();
        let index = SitePath::share(&one.share).file(INDEX);
        let left = session.list(&SitePath::shares()).unwrap().into_iter();
        let left: Vec<SitePath> = left.map(|listed| listed.path).collect();
        assert_eq!(left, slice::from_ref(&index));
        assert_eq!(session.read(&index).unwrap().unwrap(), b"taken back");
    }

    #[test]
    fn what_broke_off_at_a_full_place_can_be_taken_back() {
        for has_site in [false, true] {
            let target = open("memory:///site").unwrap();
            if has_site {
                publish(target.as_ref(), &One::new(2, 2).listed(), &Plain, &Unseen).unwrap();
            }
            let one = One::with_a_page();
            let mut planned =
                Plan::publish(target.as_ref(), &one.listed(), &Plain, &Unseen).unwrap();
            planned.changes.heads.clear();
            planned.session.apply(&planned.changes, &Unseen).unwrap();
            drop(planned);
            let target = Tight(target);
            unpublish(&target, &one.share, &Plain, &Unseen).unwrap();
            let mut session = target.begin(&Unseen).unwrap();
            let left = session.list(&SitePath::share(&one.share)).unwrap();
            assert_eq!(left, []);
        }
    }

    #[test]
    fn a_site_that_is_away_is_not_taken_for_one_that_has_no_share() {
        let target = open("memory:///site").unwrap();
        let one = One::new(1, 1);
        let known = Publication {
            needs_site: true,
            ..one.listed()
        };
        let unsent = publish(target.as_ref(), &known, &Plain, &Unseen).unwrap_err();
        assert!(matches!(unsent, PublishError::NoSite { .. }), "{unsent}");
        let left = unpublish(target.as_ref(), &one.share, &Plain, &Unseen).unwrap_err();
        assert!(matches!(left, PublishError::NoSite { .. }), "{left}");
        let unlisted = shares(target.as_ref(), &Unseen).unwrap_err();
        assert!(
            matches!(unlisted, PublishError::NoSite { .. }),
            "{unlisted}"
        );
        publish(target.as_ref(), &One::new(2, 2).listed(), &Plain, &Unseen).unwrap();
        let left = unpublish(target.as_ref(), &one.share, &Plain, &Unseen).unwrap_err();
        assert!(matches!(left, PublishError::NotThere { .. }), "{left}");
        publish(target.as_ref(), &known, &Plain, &Unseen).unwrap();
    }
}
