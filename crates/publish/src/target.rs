//! Places: what every target can do, and how one is named.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use crate::{Changes, File, PublishError, SitePath, targets};

/// A place that holds a site.
pub trait Target: Send {
    /// The place as its owner wrote it, without credentials.
    fn name(&self) -> &str;

    /// The place in one form, however its owner wrote it, without credentials.
    fn key(&self) -> String;

    /// The whole path of a folder of this machine; `None` for other places.
    fn folder(&self) -> Option<&Path> {
        None
    }

    /// Begins to look at the place and to change it. What two publications do at once does not mix.
    ///
    /// # Errors
    /// The place cannot be reached.
    fn begin(&self, watch: &dyn Watch) -> Result<Box<dyn Session + '_>, PublishError>;
}

/// One publication to a place.
pub trait Session {
    /// A small file; `None` where there is none.
    ///
    /// # Errors
    /// The place cannot be read.
    fn read(&mut self, path: &SitePath) -> Result<Option<Vec<u8>>, PublishError>;

    /// All files below a folder.
    ///
    /// # Errors
    /// The place cannot be read.
    fn list(&mut self, folder: &SitePath) -> Result<Vec<Listed>, PublishError>;

    /// Which of these files, that are there, have other bytes than they should have. What would have to be sent back to be told is taken for whole.
    ///
    /// # Errors
    /// The place cannot be read.
    fn damaged(&mut self, files: &[File]) -> Result<BTreeSet<SitePath>, PublishError>;

    /// Names of the folders in a folder.
    ///
    /// # Errors
    /// The place cannot be read.
    fn folders(&mut self, folder: &SitePath) -> Result<Vec<String>, PublishError>;

    /// Files at the root of the site that a publication left which did not end.
    ///
    /// # Errors
    /// The place cannot be read.
    fn leftovers(&mut self) -> Result<Vec<SitePath>, PublishError> {
        Ok(Vec::new())
    }

    /// False where others can change the place between what we read and what we write.
    fn is_exclusive(&self) -> bool {
        true
    }

    /// False where a file that is removed may be another by then than the one that was read, though one that is written over may not.
    fn removes_what_was_read(&self) -> bool {
        true
    }

    /// Makes changes. After an error or a crash readers see what they saw before, or all that is new.
    ///
    /// # Errors
    /// Something could not be sent; [`PublishError::MovedOn`] where the place changed since it was read.
    fn apply(&mut self, changes: &Changes, watch: &dyn Watch) -> Result<(), PublishError>;
}

/// A file at a place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// Its name.
    pub path: SitePath,
    /// Its length in bytes, where it is known: not of what may be packed there.
    pub size_bytes: Option<u64>,
}

/// Who watches a publication.
pub trait Watch: Sync {
    /// True once the work is to stop.
    fn is_cancelled(&self) -> bool;

    /// These changes are made next; again where others came between.
    fn planned(&self, changes: &Changes);

    /// So many bytes more were sent.
    fn sent(&self, bytes: u64);

    /// Readers see the new version; what it replaces is about to go. May wait a moment for those who are just reading it.
    fn visible(&self);
}

/// The whole path of a file or folder, the same however it is named: `..` and links are followed as far as something is there.
pub fn whole_path(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let found = path.ancestors().find_map(|there| {
        let mut whole = there.canonicalize().ok()?;
        whole.extend(path.strip_prefix(there).ok()?);
        Some(whole)
    });
    found.unwrap_or(path)
}

/// A place's address as it may be shown: without password, and without what stands behind `?`. A name alone is a token, too, where a web server is asked.
pub fn without_credentials(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let (address, branch) = match rest.split_once('#') {
        Some((address, branch)) => (address, format!("#{branch}")),
        None => (rest, String::new()),
    };
    let address = address.split('?').next().unwrap_or_default();
    let authority = address.split('/').next().unwrap_or_default();
    let shown = match authority.rsplit_once('@') {
        Some((_, host)) if scheme.ends_with("http") || scheme.ends_with("https") => host.to_owned(),
        Some((user, host)) => match user.split_once(':') {
            Some((user, _)) => format!("{user}@{host}"),
            None => authority.to_owned(),
        },
        None => authority.to_owned(),
    };
    let path = &address[authority.len()..];
    format!("{scheme}://{shown}{path}{branch}")
}

/// Finds the place that a text names: the first target that knows its form takes it.
///
/// # Errors
/// No target knows the text, or its settings are missing.
pub fn open(text: &str) -> Result<Box<dyn Target>, PublishError> {
    for open in targets::ALL {
        if let Some(target) = open(text) {
            return target;
        }
    }
    Err(PublishError::BadTarget {
        target: without_credentials(text),
        reason: "give a folder, s3://BUCKET, git+URL#BRANCH, HOST:FOLDER or the name of a target of the configuration".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_not_shown() {
        for (text, shown) in [
            (
                "git+https://me:secret@example.org/site#x",
                "git+https://example.org/site#x",
            ),
            (
                "git+http://token@example.org/x.git",
                "git+http://example.org/x.git",
            ),
            (
                "https://example.org/x.git?access_token=secret#x",
                "https://example.org/x.git#x",
            ),
            (
                "git+ssh://git@example.org/site",
                "git+ssh://git@example.org/site",
            ),
            ("rsync://me:secret@host/site", "rsync://me@host/site"),
            ("s3://bucket/folder", "s3://bucket/folder"),
            ("me@host:/srv/a?b#c", "me@host:/srv/a?b#c"),
        ] {
            assert_eq!(without_credentials(text), shown);
        }
    }

    #[test]
    fn a_place_has_one_key_however_it_is_named() {
        let here = std::env::current_dir().unwrap().display().to_string();
        let key = |text: &str| open(text).unwrap().key();
        for (one, other) in [
            ("src/../nowhere/", format!("{here}/nowhere")),
            (&format!("file://{here}/nowhere"), format!("{here}/nowhere")),
            ("./co:lon", format!("{here}/co:lon")),
            ("x.git", format!("git+{here}/x.git#gh-pages")),
            ("git+./x.git#main", format!("git+{here}/x.git#main")),
            ("git@host:x.git", "git+git@host:x.git#gh-pages".to_owned()),
            (
                "git+https://me:secret@host/x/#a",
                "git+https://host/x#a".to_owned(),
            ),
            ("rsync://host/x/", "rsync://host/x".to_owned()),
            ("host:folder/", "host:folder".to_owned()),
            ("memory:///a/", "memory:///a".to_owned()),
        ] {
            assert_eq!(key(one), other, "{one}");
        }
        for (text, is_folder) in [
            ("./co:lon", true),
            ("file:///x", true),
            ("git+/x#a", false),
            ("host:x", false),
        ] {
            assert_eq!(open(text).unwrap().folder().is_some(), is_folder, "{text}");
        }
    }
}
