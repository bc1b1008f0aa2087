//! One file a command.

pub(crate) mod completions;
pub(crate) mod export;
pub(crate) mod formats;
pub(crate) mod inspect;
pub(crate) mod theme;
pub(crate) mod verify;
