//! `readalong legacy`: links of an older system that go on working until they expire.

use std::{io::Read as _, path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::Value;

use crate::{data::Data, files, output};

/// Links of an older system that go on working until they expire
#[derive(Args)]
pub(crate) struct Legacy {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    data: Data,
}

#[derive(Subcommand)]
enum Command {
    /// Take over links from a CSV file with the columns path, chat, expires_at
    #[command(
        after_help = "Example file:\n  path,chat,expires_at\n  /chats/view/17,9f86d081884c7d659a2feaa0c55ad015,2027-06-30T00:00:00Z\n\n\
                      `chat` is the id of a chat, as `readalong list --chats` prints it. All lines are taken, or none."
    )]
    Import {
        /// The CSV file
        file: PathBuf,
    },
}

impl Legacy {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let Command::Import { file } = &self.command;
        let mut csv = Vec::new();
        let bar = output::progress_bar("reading", 0, true);
        (files::source(file, &bar)?.open)()
            .and_then(|mut read| read.read_to_end(&mut csv))
            .with_context(|| format!("cannot read `{}`", file.display()))?;
        bar.finish_and_clear();
        let client = self.data.client()?;
        let answer: Value = client
            .send("POST", "/api/v1/legacy_links", "text/csv", &csv)
            .with_context(|| format!("`{}` was not taken", file.display()))?;
        output::print_line(&match answer["imported"].as_u64() {
            Some(1) => "1 legacy link works until it expires".to_owned(),
            _ => format!("{} legacy links work until they expire", answer["imported"]),
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
