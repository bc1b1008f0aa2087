//! `readalong verify`: is a bundle what its id stands for?

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use readalong_bundle::{PackageKind, Problem, SealedBundle};
use readalong_model::Digest;

use crate::{cancel, files, output};

/// Check bundles byte by byte: every changed, added, missing or renamed file is named.
#[derive(Args)]
#[command(
    after_help = "Exit codes: 0 all sound, 1 something is wrong with a bundle, 2 not a bundle or not readable."
)]
pub(crate) struct Verify {
    /// Folders of bundles, files that bundles are packed in, and folders of sites
    #[arg(required = true, value_name = "DIR|FILE")]
    bundles: Vec<PathBuf>,
}

impl Verify {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let mut worst = 0;
        for bundle in &self.bundles {
            if readalong_publish::is_site(bundle) {
                worst = worst.max(check_site(bundle)?);
                continue;
            }
            match check(bundle) {
                Ok(found) if found.problems.is_empty() => {
                    output::print_line(&format!(
                        "ok      {} ({} files), id {}",
                        bundle.display(),
                        found.files,
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
                    cancel::check()?;
                    output::print_error(&error);
                    worst = 2;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(ExitCode::from(worst))
    }
}

/// What was found in a bundle.
struct Found {
    id: Digest,
    files: usize,
    problems: Vec<Problem>,
}

/// Looks at a bundle: a folder, or a package in place.
fn check(bundle: &Path) -> anyhow::Result<Found> {
    if bundle.is_dir() {
        let found = readalong_bundle::verify(bundle)?;
        return Ok(Found {
            id: found.id,
            files: found.manifest.files.len(),
            problems: found.problems,
        });
    }
    let bar = output::progress_bar("reading", 0, true);
    let mut package = files::package(bundle, &bar)?;
    let problems = package.verify();
    let is_foreign = package.kind == Some(PackageKind::Html)
        && !package.is_as_packed(&mut (files::source(bundle, &bar)?.open)()?);
    bar.finish_and_clear();
    cancel::check()?; // what could not be read for that is no problem of the package
    if is_foreign {
        output::note(&format!(
            "note: the page around the bundle in {} is not what this readalong writes; `readalong unpack` gives what is verified",
            bundle.display()
        ));
    }
    Ok(Found {
        id: package.id,
        files: package.manifest.files.len(),
        problems,
    })
}

/// Looks at each share of a site, and names what a publication left unfinished; answers with the exit code.
fn check_site(site: &Path) -> anyhow::Result<u8> {
    let found = readalong_publish::check(site)?;
    let mut worst = u8::from(!found.damaged.is_empty());
    for damaged in &found.damaged {
        output::print_line(&format!("damaged {damaged}"))?;
    }
    for (share, version) in &found.shares {
        cancel::check()?;
        let said = match share.bundle {
            None if !version.join("index.html").is_file() => {
                worst = 1;
                format!("missing {}", version.display())
            }
            // Nothing says what its files should be.
            None if share.live => format!("ok      {} (not checked: it grows)", version.display()),
            // The folder is called by the digest of its files.
            None => match SealedBundle::digest(version) {
                Ok(digest) if digest.to_string().starts_with(&share.folder) => {
                    format!("ok      {} (encrypted)", version.display())
                }
                found => {
                    worst = 1;
                    let why = found.err().map(|error| format!(": {error}"));
                    format!(
                        "damaged {} (encrypted){}",
                        version.display(),
                        why.unwrap_or_default()
                    )
                }
            },
            Some(bundle) => match readalong_bundle::verify(version) {
                Ok(found) if found.problems.is_empty() && found.id == bundle => format!(
                    "ok      {} ({} files), id {bundle}",
                    version.display(),
                    found.manifest.files.len()
                ),
                Ok(found) => {
                    worst = 1;
                    let problems: Vec<String> =
                        found.problems.iter().map(ToString::to_string).collect();
                    format!(
                        "damaged {}, id {bundle}: {}",
                        version.display(),
                        problems.join("; ")
                    )
                }
                Err(error) => {
                    worst = 1;
                    format!("damaged {}, id {bundle}: {error}", version.display())
                }
            },
        };
        output::print_line(&said)?;
    }
    for path in &found.unfinished {
        let next = match path.parent() == Some(site) {
            true => "the next publication",
            false => "the next publication of the share",
        };
        output::print_line(&format!(
            "unfinished {}: no reader is led to it; {next} removes it",
            path.display()
        ))?;
        worst = 1;
    }
    Ok(worst)
}
