//! `readalong pack`: a bundle as one file, for mail and download.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use readalong_bundle::{BundleError, HTML_BYTES_COMFORTABLE, PackageKind, VerifiedBundle};
use readalong_publish::whole_path;

use crate::{cancel, output};

/// Pack a bundle into one file; `readalong unpack` makes the same bundle of it again.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  readalong pack exports/0c5f… --as zip\n  readalong pack exports/0c5f… --as html -o chat.html"
)]
pub(crate) struct Pack {
    /// Folder of the bundle
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,

    /// What to pack it as
    #[arg(long = "as", value_name = "KIND")]
    kind: Kind,

    /// File to write; one that is there is replaced. Default: the bundle's id with the kind as ending, in the present folder
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Kinds as they are typed.
#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// One HTML file that shows itself in any browser
    Html,
    /// A zip, which every system opens
    Zip,
}

impl Pack {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let bundle = verified(&self.bundle)?;
        let kind = match self.kind {
            Kind::Html => PackageKind::Html,
            Kind::Zip => PackageKind::Zip,
        };
        let out = self
            .out
            .unwrap_or_else(|| PathBuf::from(format!("{}.{kind}", bundle.id)));
        check_place(&out, &bundle.path)?;
        if let Some(folder) = out.parent() {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot make folder `{}`", folder.display()))?;
        }
        let bar = output::progress_bar("packing", 0, true);
        readalong_bundle::pack_to(&bundle, kind, &out, &mut |bytes| {
            bar.inc(bytes as u64);
            cancel::check()
        })?;
        bar.finish_and_clear();
        let size_bytes = fs::metadata(&out).map_or(0, |file| file.len());
        if kind == PackageKind::Html && size_bytes > HTML_BYTES_COMFORTABLE {
            output::note(&format!(
                "warning: {} has {} MB: browsers take seconds to open it, and those of phones may not; `--as zip` has no such limit",
                out.display(),
                size_bytes / 1_000_000
            ));
        }
        output::print_line(&format!("{}  {}", out.display(), bundle.id))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Fails where the package would damage its bundle, or take the place of a link, a device or a folder.
fn check_place(out: &Path, bundle: &Path) -> anyhow::Result<()> {
    if fs::symlink_metadata(out).is_ok_and(|there| !there.is_file()) {
        bail!(
            "`{}` is no plain file, and is not replaced; name another one with -o",
            out.display()
        );
    }
    if whole_path(out).starts_with(whole_path(bundle)) {
        bail!(
            "`{}` lies in the bundle, which would not verify any more; name a file elsewhere with -o",
            out.display()
        );
    }
    Ok(())
}

/// The bundle in a folder, if every byte of it is as it should be.
fn verified(folder: &Path) -> Result<VerifiedBundle, BundleError> {
    let found = readalong_bundle::verify(folder)?;
    found
        .into_verified()
        .map_err(|mut problems| BundleError::Damaged {
            path: folder.to_owned(),
            more: problems.len() - 1,
            problem: problems.swap_remove(0),
        })
}
