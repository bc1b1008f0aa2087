//! `readalong verify`: is a bundle what its id stands for?

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use crate::output;

/// Check bundles byte by byte: every changed, added, missing or renamed file is named.
#[derive(Args)]
#[command(
    after_help = "Exit codes: 0 all sound, 1 something is wrong with a bundle, 2 not a bundle or not readable."
)]
pub(crate) struct Verify {
    /// Folders of bundles
    #[arg(required = true, value_name = "DIR")]
    bundles: Vec<PathBuf>,
}

impl Verify {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let mut worst = 0;
        for bundle in &self.bundles {
            match readalong_bundle::verify(bundle) {
                Ok(found) if found.problems.is_empty() => {
                    output::print_line(&format!(
                        "ok      {} ({} files), id {}",
                        bundle.display(),
                        found.manifest.files.len(),
                        found.id
                    ))?;
                }
                Ok(found) => {
                    output::print_line(&format!(
                        "damaged {} ({} problems), id {}",
                        bundle.display(),
                        found.problems.len(),
                        found.id
                    ))?;
                    found.problems.iter().try_for_each(|problem| {
                        output::print_line(&format!("        {problem}"))
                    })?;
                    worst = worst.max(1);
                }
                Err(error) if self.bundles.len() > 1 => {
                    output::print_error(&error.into());
                    worst = 2;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(ExitCode::from(worst))
    }
}
