//! Looks at a site in a folder of this machine: what its shares say, and what a publication left unfinished.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use readalong_bundle::MANIFEST;
use readalong_model::{Digest, ShareId};

use crate::{
    PublishError, ShareRecord, SitePath,
    path::VERSION_DIGITS,
    record,
    site::{INDEX, SHARE_RECORD, SITE_RECORD},
    targets::PARTIAL,
};

/// What a site in a folder holds.
#[derive(Debug, Default)]
pub struct SiteCheck {
    /// Its shares, each with the folder of the version that readers see.
    pub shares: Vec<(ShareRecord, PathBuf)>,
    /// Records of shares that cannot be read.
    pub damaged: Vec<PublishError>,
    /// What nothing names: left by a publication that did not end. The next one removes it, of a share the next one to that.
    pub unfinished: Vec<PathBuf>,
}

/// True where a folder holds a site.
pub fn is_site(folder: &Path) -> bool {
    folder.join(SITE_RECORD).is_file()
}

/// Looks at a site.
///
/// # Errors
/// It cannot be read.
pub fn check(folder: &Path) -> Result<SiteCheck, PublishError> {
    let target = folder.display().to_string();
    let io = |path: &Path, source| PublishError::Io {
        target: target.clone(),
        action: "reading",
        path: path.to_owned(),
        source,
    };
    let names = |path: &Path| names_in(path).map_err(|error| io(path, error));
    let is_partial = |name: &&String| name.ends_with(PARTIAL);
    let mut found = SiteCheck::default();
    found.unfinished.extend(
        names(folder)?
            .iter()
            .filter(is_partial)
            .map(|name| folder.join(name)),
    );
    for id in names(&folder.join(SitePath::shares().as_str()))? {
        let Ok(share) = id.parse::<ShareId>() else {
            continue;
        };
        let place = folder.join(SitePath::share(&share).as_str());
        let path = place.join(SHARE_RECORD);
        let bytes = read(&path).map_err(|error| io(&path, error))?;
        let path = path.display().to_string();
        let seen: Option<ShareRecord> = match record::read(&target, &path, bytes) {
            Ok(seen) => seen,
            Err(damaged) => {
                found.damaged.push(damaged);
                continue;
            }
        };
        let seen = seen.map(|seen| shown(seen, &place)).transpose();
        let seen = seen.map_err(|error| io(&place, error))?;
        for name in names(&place)? {
            let is_named = seen.as_ref().is_some_and(|seen| seen.folder == name);
            let is_version = SitePath::version(&share, &name).is_some();
            if is_partial(&&name) || (is_version && !is_named) {
                found.unfinished.push(place.join(name));
            }
        }
        if let Some(seen) = seen {
            // What a record names is not ours to trust.
            let version = SitePath::version(&share, &seen.folder)
                .map(|version| folder.join(version.as_str()));
            found.shares.extend(version.map(|version| (seen, version)));
        }
    }
    Ok(found)
}

/// The record of the version that readers see: the head's, where a publication ended between the record and the head.
fn shown(record: ShareRecord, place: &Path) -> io::Result<ShareRecord> {
    let head = read(&place.join(INDEX))?.unwrap_or_default();
    let head = String::from_utf8_lossy(&head);
    let is_shown = |folder: &str| head.contains(&format!("{folder}/"));
    if is_shown(&record.folder) {
        return Ok(record);
    }
    let mut names = names_in(place)?.into_iter();
    let Some(folder) =
        names.find(|name| SitePath::version(&record.share, name).is_some() && is_shown(name))
    else {
        return Ok(record);
    };
    // One that is encrypted or grows has none.
    let manifest = read(&place.join(&folder).join(MANIFEST))?;
    let bundle = manifest.map(|manifest| Digest::of(&manifest));
    let is_its_own = bundle.is_none_or(|bundle| bundle.short(VERSION_DIGITS) == folder);
    Ok(ShareRecord {
        bundle: if is_its_own { bundle } else { record.bundle },
        folder,
        ..record
    })
}

/// Names of what lies in a folder, in order; none where it is not there. What cannot be read is never taken for empty.
fn names_in(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().into_string().ok());
    }
    names.sort();
    Ok(names)
}

/// A file; `None` where there is none.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}
