//! `readalong rescan`: what was shared or exported before the rules knew a secret loses it now.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use readalong_redact::Report;
use readalong_render::Renderer;
use readalong_themes::Theme;
use serde_json::{Value, json};

use crate::{
    cancel,
    client::{Client, encode},
    cmd::export,
    config::Config,
    data::Data,
    mirror, output,
    pick::{self, id},
    publications::{OF_SERVER, Publications},
    publishing::Place,
    redaction::{self, Redaction},
};

/// Chats that are asked for at once.
const CHATS_AT_ONCE: usize = 500;

/// Go over all shares, and bundles that you name, with the rules of now: what holds a secret is published anew without it
#[derive(Args)]
#[command(
    after_help = "Examples:\n  readalong rescan\n  readalong rescan exports/*\n\n\
                  A share keeps its link: open pages follow, frozen shares get a new bundle. A bundle that holds a secret is written anew beside the old one, under its \
                  new id, and the old one is removed. What others have downloaded cannot be recalled."
)]
pub(crate) struct Rescan {
    /// Bundles to go over instead of the shares
    #[arg(value_name = "BUNDLE")]
    bundles: Vec<PathBuf>,

    /// Also take out, wherever they stand in a chat, the texts that standard input has, one a line
    #[arg(long, conflicts_with = "bundles")]
    texts_stdin: bool,

    #[command(flatten)]
    redaction: Redaction,

    #[command(flatten)]
    data: Data,
}

impl Rescan {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self.bundles.is_empty() {
            true => self.shares()?,
            false => self.bundles()?,
        }
        Ok(ExitCode::SUCCESS)
    }

    fn shares(&self) -> anyhow::Result<()> {
        let texts = self.texts()?;
        let config = self.data.config()?;
        let client = Client::of(&config)?;
        let mut chats: Vec<Value> = Vec::new();
        loop {
            let offset = chats.len();
            let path = format!("/api/v1/chats?sort=created&offset={offset}&limit={CHATS_AT_ONCE}");
            let more: Vec<Value> = client.get(&path)?;
            if more.is_empty() {
                break;
            }
            chats.extend(more);
        }
        let bar = output::progress_bar("looking", chats.len() as u64, false);
        let mut changed = Vec::new();
        for chat in &chats {
            cancel::check()?;
            let report = rescan(&client, chat, &texts)?;
            bar.inc(1);
            if report.removed() > 0 {
                changed.push(chat);
                let title = chat["title"].as_str().unwrap_or_default();
                bar.suspend(|| {
                    output::print_line(&format!(
                        "{title}: {} taken out",
                        redaction::summary(&report)
                    ))
                })?;
            }
        }
        bar.finish_and_clear();
        output::note(&format!(
            "{} looked at, {} changed",
            output::count(chats.len(), "chat"),
            changed.len()
        ));
        tell_what_is_published(&config, &client, &changed)
    }

    fn texts(&self) -> anyhow::Result<Vec<String>> {
        if !self.texts_stdin {
            return Ok(Vec::new());
        }
        let lines = std::io::stdin().lines().collect::<Result<Vec<_>, _>>();
        let lines = lines.context("cannot read standard input")?;
        Ok(lines
            .into_iter()
            .filter(|line| !line.trim().is_empty())
            .collect())
    }

    fn bundles(&self) -> anyhow::Result<()> {
        let redactor = self.redaction.redactor(&self.data.config()?)?;
        let renderer = Renderer::new(&Theme::load(readalong_themes::DEFAULT)?, true)?;
        let mut changed = 0;
        for bundle in &self.bundles {
            cancel::check()?;
            let about = || format!("bundle `{}`", bundle.display());
            let verified = readalong_bundle::verify(bundle).with_context(about)?;
            if verified.into_verified().is_err() {
                bail!(
                    "bundle `{}` is damaged; `readalong verify` says where",
                    bundle.display()
                );
            }
            let parent = parent(bundle)?;
            let new = export::export_anew(&bundle.join("chat.json"), &parent, &redactor, &renderer);
            let Some((path, report)) = new.with_context(about)? else {
                continue;
            };
            changed += 1;
            fs::remove_dir_all(bundle).with_context(about)?;
            output::print_line(&format!(
                "{} is now {}: {} taken out",
                bundle.display(),
                path.display(),
                redaction::summary(&report)
            ))?;
        }
        output::note(&format!(
            "{} looked at, {changed} changed",
            output::count(self.bundles.len(), "bundle")
        ));
        Ok(())
    }
}

/// Says what `publish` sent that does not change with the shares: its readers go on seeing what was taken out.
fn tell_what_is_published(
    config: &Config,
    client: &Client,
    changed: &[&Value],
) -> anyhow::Result<()> {
    let publications = Publications::of(&config.data()?)?.all;
    let sent = publications.iter().filter(|one| one.published_at.is_some());
    let (of_shares, of_files): (Vec<_>, Vec<_>) = sent.partition(|one| one.source == OF_SERVER);
    let mut shares = Vec::new();
    for chat in changed {
        shares.extend(pick::shares_of(client, chat)?);
    }
    for one in of_shares {
        let is_changed = shares.iter().any(|share| id(share) == one.share.as_str());
        if is_changed && !mirror::keeps(config, &Place::of(&one.target, config)?, &one.share)? {
            output::print_line(&format!(
                "{} at {} still holds it; publish it again: readalong publish {} --to {}",
                one.title, one.target, one.share, one.target
            ))?;
        }
    }
    if !of_files.is_empty() {
        output::note(&format!(
            "{} of transcripts and bundles not looked at; publish them again, or take them back (readalong published, readalong unpublish)",
            output::count(of_files.len(), "publication")
        ));
    }
    Ok(())
}

fn parent(bundle: &Path) -> anyhow::Result<PathBuf> {
    let bundle = bundle.canonicalize()?;
    let parent = bundle
        .parent()
        .ok_or_else(|| anyhow!("it lies in no folder"))?;
    Ok(parent.to_owned())
}

fn rescan(client: &Client, chat: &Value, texts: &[String]) -> anyhow::Result<Report> {
    let path = format!("/api/v1/chats/{}/rescan", encode(id(chat)));
    let answer: Value = client.post(&path, &json!({ "texts": texts }))?;
    Ok(Report {
        findings: serde_json::from_value(answer["redactions"].clone())?,
    })
}
