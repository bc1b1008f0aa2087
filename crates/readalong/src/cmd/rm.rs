//! `readalong rm`: takes shares back, or deletes chats with all their shares.

use std::{
    io::{self, BufRead, IsTerminal},
    process::ExitCode,
};

use anyhow::bail;
use clap::Args;

use crate::{
    cancel,
    data::Data,
    output,
    pick::{self, Picked},
};

/// Take shares back: their links are dead from then on, open pages are closed. Or delete chats, with all their shares
#[derive(Args)]
#[command(after_help = "Examples:\n  readalong rm 3f2a\n  readalong rm \"Login bug\" --yes")]
pub(crate) struct Rm {
    /// Links, ids, beginnings of ids, or names of shares; ids or titles of chats
    #[arg(required = true, value_name = "SHARE|CHAT")]
    what: Vec<String>,

    /// Delete chats without asking
    #[arg(short, long)]
    yes: bool,

    #[command(flatten)]
    data: Data,
}

impl Rm {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let client = self.data.client()?;
        // All are looked up before any is gone: a slip in the third name leaves the first two.
        let mut picked: Vec<Picked> = Vec::new();
        for what in &self.what {
            let entry = pick::share_or_chat(&client, what)?;
            if picked.iter().all(|other| other.path() != entry.path()) {
                picked.push(entry);
            }
        }
        for entry in &picked {
            if let Picked::Chat(chat) = entry {
                self.confirm(chat["title"].as_str().unwrap_or_default())?;
            }
        }
        for entry in &picked {
            client.delete(&entry.path())?;
            match entry {
                Picked::Share(share) => output::print_line(&format!(
                    "taken back: {}",
                    share["url"].as_str().unwrap_or_default()
                ))?,
                Picked::Chat(chat) => output::print_line(&format!(
                    "deleted with all its shares: {}",
                    chat["title"].as_str().unwrap_or_default()
                ))?,
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn confirm(&self, title: &str) -> anyhow::Result<()> {
        if self.yes {
            return Ok(());
        }
        if !io::stdin().is_terminal() {
            bail!("`{title}` is a chat; --yes deletes it and all its shares");
        }
        output::note(&format!(
            "Delete the chat `{title}` and all its shares? Everybody who has a link loses it. [y/N]"
        ));
        let mut answer = String::new();
        cancel::while_asking(|| io::stdin().lock().read_line(&mut answer))?;
        match answer.trim() {
            "y" | "Y" | "yes" => Ok(()),
            _ => bail!("nothing was deleted"),
        }
    }
}
