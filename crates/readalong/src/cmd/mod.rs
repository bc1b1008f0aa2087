//! One file a command.

pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod export;
pub(crate) mod follow;
pub(crate) mod formats;
pub(crate) mod inspect;
pub(crate) mod legacy;
pub(crate) mod list;
pub(crate) mod pack;
pub(crate) mod publish;
pub(crate) mod published;
pub(crate) mod rescan;
pub(crate) mod rm;
pub(crate) mod serve;
pub(crate) mod share;
pub(crate) mod show;
pub(crate) mod theme;
pub(crate) mod token;
pub(crate) mod unpack;
pub(crate) mod unpublish;
pub(crate) mod update;
pub(crate) mod user;
pub(crate) mod verify;
