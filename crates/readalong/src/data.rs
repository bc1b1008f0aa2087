//! Where a person's chats, shares and accounts lie: the data folder.

use std::{env, path::PathBuf};

use anyhow::anyhow;
use clap::Args;

use readalong_server::ServerOptions;

use crate::{client::Client, redaction};

/// The data folder, as every command that needs one asks for it.
#[derive(Args, Clone)]
pub(crate) struct Data {
    /// Folder that holds chats, shares and accounts (default: readalong in $XDG_DATA_HOME or ~/.local/share)
    #[arg(
        long,
        value_name = "DIR",
        env = "READALONG_DATA",
        hide_env_values = true,
        global = true
    )]
    data: Option<PathBuf>,
}

impl Data {
    /// The folder.
    ///
    /// # Errors
    /// No folder is named and the user has no home.
    pub(crate) fn folder(&self) -> anyhow::Result<PathBuf> {
        if let Some(folder) = &self.data {
            return Ok(folder.clone());
        }
        let is_set = |path: &PathBuf| path.is_absolute();
        let base = env::var_os("XDG_DATA_HOME")
            .map(PathBuf::from)
            .filter(is_set)
            .or_else(|| Some(env::home_dir()?.join(".local/share")));
        base.map(|base| base.join("readalong"))
            .ok_or_else(|| anyhow!("there is no home folder; name a data folder with --data DIR"))
    }

    /// How a server of the folder is opened in this process.
    ///
    /// # Errors
    /// No folder is named, or the configuration cannot be used.
    pub(crate) fn server_options(&self) -> anyhow::Result<ServerOptions> {
        server_options(self.folder()?)
    }

    /// Reaches the folder: through its server where one runs.
    ///
    /// # Errors
    /// It cannot be reached.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        Client::of(self.folder()?)
    }
}

/// How a server of a folder is opened in this process, as the configuration says.
///
/// # Errors
/// The configuration cannot be used.
pub(crate) fn server_options(folder: PathBuf) -> anyhow::Result<ServerOptions> {
    let mut options = ServerOptions::new(folder);
    options.redact = redaction::options(None)?;
    Ok(options)
}
