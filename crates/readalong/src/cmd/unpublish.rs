//! `readalong unpublish`: takes back what was published.

use std::process::ExitCode;

use anyhow::{anyhow, bail};
use clap::Args;
use readalong_publish::{Plan, PublishError, unpublish};

use crate::{
    data::Data,
    link, mirror, output,
    publications::Publications,
    publishing::{Pages, Place, Progress, print_plan, summary},
};

/// Take back what was published: its link says so from then on
#[derive(Args)]
#[command(
    after_help = "Examples:\n  readalong unpublish https://chats.example/s/3f2a…/ --to s3://bucket/chats\n  readalong unpublish session.jsonl --to /var/www/chats\n\n\
                  What cannot be recalled: copies that readers and archives made, what caches of the host still hold (up to an hour, some hosts longer), and, in a Git branch, \
                  its history: who has the repository has every version that ever was on it."
)]
pub(crate) struct Unpublish {
    /// Link or share id, or the transcript or title that was published
    #[arg(value_name = "LINK|FILE")]
    what: String,

    /// Where it was published to
    #[arg(long, value_name = "TARGET")]
    to: String,

    /// Say what would be removed, and do nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    data: Data,
}

impl Unpublish {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.data.config()?;
        let place = Place::of(&self.to, &config)?;
        let target = place.target.as_ref();
        let mut publications = Publications::of(&config.data()?)?;
        let share = match link::share_id(&self.what) {
            Some(share) => share,
            None => publications.find(&self.what, &place.key())?.cloned().ok_or_else(|| {
                anyhow!("nothing called `{}` was published to {} from here; `readalong published` lists what was, and `readalong published --to {}` what is there", self.what, target.name(), target.name())
            })?,
        };
        if mirror::keeps(&config, &place, &share)? {
            bail!(
                "share {share} is kept at {} by the server (`mirror` in the configuration), which would send it again; `readalong rm {share}` ends it here and there",
                target.name()
            );
        }
        let pages = Pages::new(&config)?;
        let progress = Progress::removing();
        if self.dry_run {
            let plan = Plan::unpublish(target, &share, &pages, &progress)?;
            progress.finish();
            print_plan(&plan.changes)?;
            return Ok(ExitCode::SUCCESS);
        }
        let unpublished = unpublish(target, &share, &pages, &progress);
        progress.finish();
        // One that never came so far is forgotten, too, also where the place cannot be asked.
        let is_only_begun = publications.is_only_begun(&place.key(), &share);
        if is_only_begun || matches!(unpublished, Ok(_) | Err(PublishError::NotThere { .. })) {
            publications.remove(&place.key(), &share)?;
        }
        if is_only_begun && let Err(error) = &unpublished {
            output::note(&format!(
                "Share {share} was never sent whole, and is forgotten here ({error})."
            ));
            return Ok(ExitCode::SUCCESS);
        }
        let unpublished = unpublished?;
        output::print_line(&format!(
            "Taken back: {} ({})",
            place.link(&share),
            summary(&unpublished.changes)
        ))?;
        output::note(
            "Copies that others made cannot be recalled, nor what caches hold for a while, nor the history of a Git branch. If a secret was in it, change the secret.",
        );
        Ok(ExitCode::SUCCESS)
    }
}
