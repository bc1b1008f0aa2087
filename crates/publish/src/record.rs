//! The small JSON files of a site (docs/format.md): what is said of a share, of the site, of the catalogue.

use readalong_model::{Digest, ShareId, Timestamp};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::PublishError;

/// What a site says of one of its shares, in `s/<share id>/share.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareRecord {
    /// Always `readalong-share`.
    pub format: String,
    /// The share.
    pub share: ShareId,
    /// Folder of the version that readers see, within the share's folder.
    pub folder: String,
    /// Id of its bundle; of an encrypted one only who has the key may know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Digest>,
    /// What the chat is called; nothing where it is encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// When this version was published.
    pub published_at: Timestamp,
    /// Number of its files, the manifest among them.
    pub files: usize,
    /// Bytes of them.
    pub size_bytes: u64,
    /// True where the version grows, as long as somebody publishes what is new.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub live: bool,
}

impl ShareRecord {
    pub(crate) const FORMAT: &str = "readalong-share";

    /// True where only who has the key can read it.
    pub fn is_sealed(&self) -> bool {
        self.title.is_none()
    }

    /// True where nothing but the time is another.
    pub(crate) fn says_the_same(&self, other: &Self) -> bool {
        Self {
            published_at: other.published_at,
            ..self.clone()
        } == *other
    }
}

/// What a site says of itself, in `site.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SiteRecord {
    /// Always `readalong-site`.
    pub(crate) format: String,
    /// Version of the site's layout.
    pub(crate) version: u32,
    /// Digest of the files at its root that all shares have in common.
    pub(crate) files: Digest,
    /// Names of those that we put there; others were somebody else's before.
    #[serde(default)]
    pub(crate) ours: Vec<String>,
}

impl SiteRecord {
    pub(crate) const FORMAT: &str = "readalong-site";
}

/// A share in the catalogue of a site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// The share.
    pub share: ShareId,
    /// What the chat is called.
    pub title: String,
    /// When it was published last.
    pub published_at: Timestamp,
}

/// The catalogue of a site, in `catalogue.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Catalogue {
    /// Always `readalong-catalogue`: others call files of theirs `catalogue.json`, too.
    pub(crate) format: String,
    /// Those that their owners want to be listed, the newest first.
    pub(crate) shares: Vec<Listing>,
    /// Digest of the page that shows them: another page is somebody else's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) page: Option<Digest>,
    /// Digests of pages of ours that it takes the place of, the newest first: one of them is still there where it was never written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) before: Vec<Digest>,
}

/// Pages that a catalogue remembers: so many publications may come between one that is read and one that is written.
const PAGES_BEFORE_MAX: usize = 8;

impl Default for Catalogue {
    fn default() -> Self {
        Self {
            format: Self::FORMAT.to_owned(),
            shares: Vec::new(),
            page: None,
            before: Vec::new(),
        }
    }
}

impl Catalogue {
    pub(crate) const FORMAT: &str = "readalong-catalogue";

    /// True for a page of ours, and where there is none.
    pub(crate) fn knows(&self, page: Option<Digest>) -> bool {
        page.is_none() || self.page == page || self.before.iter().any(|known| Some(*known) == page)
    }

    /// Takes another page.
    pub(crate) fn turn_to(&mut self, page: Digest) {
        self.before.splice(0..0, self.page);
        self.before.retain(|before| *before != page);
        self.before.truncate(PAGES_BEFORE_MAX);
        self.page = Some(page);
    }

    /// The catalogue with a share as it is to be listed, or without it.
    pub(crate) fn with(&self, share: &ShareId, listing: Option<Listing>) -> Self {
        let others = self
            .shares
            .iter()
            .filter(|other| other.share != *share)
            .cloned();
        let mut shares: Vec<Listing> = others.chain(listing).collect();
        shares.sort_by(|a, b| (b.published_at, &b.share).cmp(&(a.published_at, &a.share)));
        Self {
            shares,
            ..self.clone()
        }
    }
}

/// A record as it is written: one member a line, so that people can read it.
pub(crate) fn write(record: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(record).expect("records are maps with text keys");
    bytes.push(b'\n');
    bytes
}

/// A record as it was read.
pub(crate) fn read<T: DeserializeOwned>(
    target: &str,
    path: &str,
    bytes: Option<Vec<u8>>,
) -> Result<Option<T>, PublishError> {
    let read = |bytes: Vec<u8>| {
        serde_json::from_slice(&bytes).map_err(|source| PublishError::BadRecord {
            target: target.to_owned(),
            path: path.to_owned(),
            source,
        })
    };
    bytes.map(read).transpose()
}
