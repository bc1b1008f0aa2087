//! `readalong published`: what is where.

use std::process::ExitCode;

use clap::Args;
use readalong_publish::shares;
use serde_json::json;

use crate::{
    data::Data,
    output,
    publications::Publications,
    publishing::{Place, Progress},
};

/// List what was published: from here, or at one place whoever published it
#[derive(Args)]
#[command(
    after_help = "Examples:\n  readalong published\n  readalong published --to s3://bucket/chats"
)]
pub(crate) struct Published {
    /// Ask this place instead of what is remembered here
    #[arg(long, value_name = "TARGET")]
    to: Option<String>,

    /// Print one line of JSON for each, for scripts
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    data: Data,
}

impl Published {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.data.config()?;
        let (mut count, mut is_sound) = (0, true);
        if let Some(to) = &self.to {
            let place = Place::of(to, &config)?;
            let progress = Progress::removing();
            let (found, damaged) = shares(place.target.as_ref(), &progress)?;
            progress.finish();
            for share in &found {
                let link = place.link(&share.share);
                let title = share.title.as_deref().unwrap_or("(encrypted)");
                match self.json {
                    true => output::print_line(&json!({ "link": link, "share": share.share, "title": share.title, "bundle": share.bundle, "published_at": share.published_at, "files": share.files, "size_bytes": share.size_bytes }).to_string())?,
                    false => output::print_line(&format!("{}  {link}  {title}", share.published_at.date()))?,
                }
            }
            count += found.len();
            is_sound = damaged.is_empty();
            for error in damaged {
                output::print_error(&error.into());
            }
        } else {
            let publications = Publications::of(&config.data()?)?;
            for one in publications.all.iter().rev() {
                // What was never sent whole is only remembered for the next try.
                let Some(published_at) = one.published_at else {
                    continue;
                };
                match self.json {
                    true => output::print_line(&serde_json::to_string(one)?)?,
                    false => output::print_line(&format!(
                        "{}  {}  {}  {}",
                        published_at.date(),
                        one.target,
                        one.link,
                        one.title
                    ))?,
                }
                count += 1;
            }
        }
        if count == 0 && is_sound && !self.json {
            output::note("Nothing was published. Begin with `readalong publish FILE --to TARGET`.");
        }
        Ok(ExitCode::from(u8::from(!is_sound)))
    }
}
