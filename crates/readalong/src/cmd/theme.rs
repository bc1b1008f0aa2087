//! `readalong theme`: which themes there are, and the beginning of one's own.

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};

use crate::output;

/// List the built-in themes, or begin one of your own.
#[derive(Args)]
pub(crate) struct Theme {
    #[command(subcommand)]
    command: ThemeCommand,
}

#[derive(Subcommand)]
enum ThemeCommand {
    /// List the built-in themes
    List,
    /// Write the beginning of a theme into a new folder: a description and the colours, everything else is inherited
    Init {
        /// The folder; it must not exist yet
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}

impl Theme {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            ThemeCommand::List => {
                for name in readalong_themes::builtin_names() {
                    let theme = readalong_themes::Theme::load(&name)?;
                    output::print_line(&format!("{name}  {}", theme.description.description))?;
                }
            }
            ThemeCommand::Init { folder } => {
                for path in readalong_themes::init(&folder)? {
                    output::print_line(&path.display().to_string())?;
                }
                output::note(&format!(
                    "Use it with: readalong export CHAT.jsonl --theme {}",
                    folder.display()
                ));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
