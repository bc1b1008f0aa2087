//! `readalong completions`: for the shell.

use std::{io::Write as _, process::ExitCode};

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::Cli;

/// Print completions for your shell.
#[derive(Args)]
#[command(
    after_help = "Example:\n  readalong completions bash > ~/.local/share/bash-completion/completions/readalong"
)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "readalong", &mut script);
        std::io::stdout().write_all(&script)?;
        Ok(ExitCode::SUCCESS)
    }
}
