//! A verified bundle to a place that serves files: a folder, object storage, a Git branch, a host with rsync.
//!
//! What is sent goes under a name of its own first, and only then the small files that name it: a reader sees the old version of a share or the new
//! one, whole. Credentials are looked for where the programs and clients of a place look for them, and nowhere else.

mod changes;
mod check;
mod error;
mod live;
mod path;
mod record;
mod site;
mod target;
mod targets;

pub use changes::{Changes, File, Head, Origin, Totals};
pub use check::{SiteCheck, check, is_site};
pub use error::PublishError;
pub use live::{LivePlace, LiveRecord, LiveStep, LiveVersion, NewFile, Undress, live_step};
pub use path::SitePath;
pub use record::{Listing, ShareRecord};
pub use site::{
    Content, Plan, Publication, Published, SITE_VERSION, SitePages, Unpublished, publish, share,
    shares, unpublish,
};
pub use target::{Listed, Session, Target, Watch, open, whole_path, without_credentials};
