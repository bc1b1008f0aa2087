//! `readalong unpack`: a bundle again, from the file that it was packed in.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use crate::{files, output};

/// Unpack a bundle from the file that it was packed in; it comes out verified, or not at all.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  readalong unpack chat.zip\n  readalong unpack chat.zip -o archive"
)]
pub(crate) struct Unpack {
    /// What `readalong pack` wrote, or a zip of a bundle's folder
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Folder that the bundle goes to, under its id
    #[arg(short, long, default_value = "exports", value_name = "DIR")]
    out: PathBuf,
}

impl Unpack {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let bar = output::progress_bar("unpacking", 0, true);
        let written = files::package(&self.file, &bar)?.unpack(&self.out)?;
        bar.finish_and_clear();
        let index = written.path.join("index.html");
        output::print_line(&format!("{}  {}", index.display(), written.id))?;
        Ok(ExitCode::SUCCESS)
    }
}
