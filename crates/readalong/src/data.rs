//! Where a person's chats, shares and accounts lie: the data folder.

use std::path::PathBuf;

use clap::Args;

use crate::{
    client::Client,
    config::{Config, ConfigFile, Flags, Settings},
};

/// The data folder, as every command that needs one asks for it.
#[derive(Args, Clone)]
pub(crate) struct Data {
    /// Folder that holds chats, shares and accounts (default: READALONG_DATA, else what the configuration says, else readalong in $XDG_DATA_HOME or ~/.local/share)
    #[arg(long, value_name = "DIR", global = true)]
    data: Option<PathBuf>,

    #[command(flatten)]
    config: ConfigFile,
}

impl Data {
    /// What is set, with the flags of a command on top.
    ///
    /// # Errors
    /// The configuration cannot be used.
    pub(crate) fn settings(&self, mut flags: Flags) -> anyhow::Result<Settings> {
        if let Some(data) = &self.data {
            flags.push(("data", "--data", data.to_string_lossy().into_owned().into()));
        }
        let mut settings = Settings::load(&self.config, flags)?;
        // Paths need not be text.
        settings.config.data = self.data.clone().or(settings.config.data);
        Ok(settings)
    }

    /// What is set.
    ///
    /// # Errors
    /// The configuration cannot be used.
    pub(crate) fn config(&self) -> anyhow::Result<Config> {
        Ok(self.settings(Flags::new())?.config)
    }

    /// Reaches the folder: through its server where one runs.
    ///
    /// # Errors
    /// It cannot be reached.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        Client::of(&self.config()?)
    }
}
