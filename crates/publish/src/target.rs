//! Places: what every target can do, and how one is named.

use crate::{Changes, PublishError, SitePath, targets};

/// A place that holds a site.
pub trait Target: Send {
    /// The place as its owner wrote it, without credentials.
    fn name(&self) -> &str;

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

    /// Names of the folders in a folder.
    ///
    /// # Errors
    /// The place cannot be read.
    fn folders(&mut self, folder: &SitePath) -> Result<Vec<String>, PublishError>;

    /// False where others can change the place between what we read and what we write.
    fn is_exclusive(&self) -> bool {
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
    /// Its length as it is kept there, in bytes; packed files are shorter than what they hold.
    pub size_bytes: u64,
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
        target: text.to_owned(),
        reason: "give a folder, s3://BUCKET, git+URL#BRANCH, HOST:FOLDER or the name of a target of the configuration".to_owned(),
    })
}
