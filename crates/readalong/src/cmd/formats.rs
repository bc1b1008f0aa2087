//! `readalong formats`: what can be read.

use std::process::ExitCode;

use clap::Args;
use readalong_import::FORMATS;

use crate::output;

/// List the formats that can be read, and where their transcripts are found.
#[derive(Args)]
pub(crate) struct Formats {}

impl Formats {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let width = |text: fn(&readalong_import::Format) -> &str| {
            FORMATS
                .iter()
                .map(|format| text(format).len())
                .max()
                .unwrap_or(0)
        };
        let (names, titles) = (width(|format| format.name), width(|format| format.title));
        for format in FORMATS {
            output::print_line(&format!(
                "{:<names$}  {:<titles$}  {}",
                format.name, format.title, format.found_at
            ))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
