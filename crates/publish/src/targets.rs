//! The targets, one file each.

mod folder;
mod git;
mod objects;
mod program;
mod rsync;

pub(crate) use folder::PARTIAL;

use crate::{PublishError, Target};

/// Opens a target, if the text is in its form.
type Open = fn(&str) -> Option<Result<Box<dyn Target>, PublishError>>;

/// All targets; the first that knows a text takes it. A folder knows every text, so it is the last.
pub(crate) const ALL: [Open; 4] = [objects::open, git::open, rsync::open, folder::open];
