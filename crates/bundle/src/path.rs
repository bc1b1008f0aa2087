//! Names of files in a bundle.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// The longest name of a file, in bytes: fits every file system and archive.
const PATH_BYTES_MAX: usize = 200;

/// The name of a file in a bundle, relative to its root.
///
/// Invariant: one to three pieces of `a-z A-Z 0-9 . _ -`, joined by `/`, none of which begins with a dot. So no name climbs out of the
/// bundle, hides, or means another file on another system. Ordered by bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct BundlePath(String);

/// The text is no name of a file in a bundle.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a name that a file of a bundle may have")]
pub struct BundlePathError(String);

impl BundlePath {
    /// Takes a name.
    ///
    /// # Errors
    /// The text breaks the rules for names.
    pub fn new(text: &str) -> Result<Self, BundlePathError> {
        let piece = |piece: &str| {
            let allowed =
                |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
            !piece.is_empty() && !piece.starts_with('.') && piece.bytes().all(allowed)
        };
        if text.len() <= PATH_BYTES_MAX
            && text.split('/').all(piece)
            && text.split('/').count() <= 3
        {
            Ok(Self(text.to_owned()))
        } else {
            Err(BundlePathError(text.chars().take(PATH_BYTES_MAX).collect()))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BundlePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for BundlePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_climbs_out_or_hides() {
        for good in [
            "index.html",
            "files/ab12.png",
            "data/search-2.js",
            "assets/x.tar.gz",
        ] {
            assert!(BundlePath::new(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a//b",
            ".hidden",
            "a/.b",
            "a\\b",
            "C:x",
            "ä",
            "a/b/c/d",
            "a b",
            "x\0",
        ] {
            assert!(BundlePath::new(bad).is_err(), "{bad}");
        }
        assert!(BundlePath::new(&"x".repeat(201)).is_err());
    }
}
