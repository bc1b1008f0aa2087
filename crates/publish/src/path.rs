//! Names of files in a site.

use std::fmt;

use readalong_bundle::BundlePath;
use readalong_model::ShareId;

/// Digits of a version's folder: of the digest that stands for its content.
pub(crate) const VERSION_DIGITS: usize = 16;
/// The longest path in a site, in bytes: below the limits of all hosts.
const PATH_BYTES_MAX: usize = 300;

/// The name of a file or folder in a site, relative to its root.
///
/// Invariant: pieces of `a-z A-Z 0-9 . _ -` joined by `/`, none empty, `.` or `..`. So nothing that a host answers can lead out of the site.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SitePath(String);

impl SitePath {
    /// Takes a name as a host gives it; `None` where no file of a site can be called so.
    pub fn parse(text: &str) -> Option<Self> {
        let piece = |piece: &str| {
            let allowed =
                |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
            !matches!(piece, "" | "." | "..") && piece.bytes().all(allowed)
        };
        (text.len() <= PATH_BYTES_MAX && text.split('/').all(piece)).then(|| Self(text.to_owned()))
    }

    /// A file at the root of the site.
    pub(crate) fn root(name: &'static str) -> Self {
        Self(name.to_owned())
    }

    /// The folder that holds all shares.
    pub(crate) fn shares() -> Self {
        Self("s".to_owned())
    }

    /// The folder of a share.
    pub fn share(id: &ShareId) -> Self {
        Self(format!("s/{id}"))
    }

    /// A file of ours within a folder.
    pub(crate) fn file(&self, name: &'static str) -> Self {
        Self(format!("{self}/{name}"))
    }

    /// The folder of a version of a share. `None` where the text is no name of one.
    pub(crate) fn version(id: &ShareId, version: &str) -> Option<Self> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_one = version.len() == VERSION_DIGITS && version.bytes().all(is_digit);
        is_one.then(|| Self(format!("s/{id}/{version}")))
    }

    /// A file with a name that a version can have, within a folder.
    pub(crate) fn below(&self, name: &str) -> Option<Self> {
        Self::parse(&format!("{self}/{name}"))
    }

    /// A file of a bundle within a folder.
    pub(crate) fn of_bundle(&self, path: &BundlePath) -> Self {
        Self(format!("{self}/{path}"))
    }

    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True for what lies below a folder.
    pub(crate) fn is_below(&self, folder: &Self) -> bool {
        self.0
            .strip_prefix(&folder.0)
            .is_some_and(|rest| rest.starts_with('/'))
    }
}

impl fmt::Display for SitePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leads_out_of_a_site() {
        for good in [
            "index.html",
            "s/abc/0123456789abcdef/data/search-2.js",
            ".nojekyll",
            "s/x/.version.partial/a",
            "s/x/files/a..b",
        ] {
            assert!(SitePath::parse(good).is_some(), "{good}");
        }
        for bad in [
            "", "/", "/etc", "..", "s/../x", "s//x", "s/./x", "a b", "ä", "a\\b", "x\n",
        ] {
            assert!(SitePath::parse(bad).is_none(), "{bad}");
        }
    }
}
