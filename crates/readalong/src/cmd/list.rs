//! `readalong list`: the shares of a data folder, or its chats.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use crate::{
    cancel,
    client::{Client, encode},
    data::Data,
    output,
};

/// Entries asked for at once.
const PAGE: usize = 500;

/// List shares, newest first, with their links; or chats
#[derive(Args)]
#[command(
    after_help = "Examples:\n  readalong list\n  readalong list --live login\n  readalong list --chats --json"
)]
pub(crate) struct List {
    /// Only those whose name or chat's title has this in it
    #[arg(value_name = "TEXT")]
    filter: Option<String>,

    /// Chats instead of shares
    #[arg(long, conflicts_with_all = ["public", "private", "live", "frozen"])]
    chats: bool,

    /// Only public shares
    #[arg(long, conflicts_with = "private")]
    public: bool,

    /// Only private shares
    #[arg(long)]
    private: bool,

    /// Only live shares
    #[arg(long, conflicts_with = "frozen")]
    live: bool,

    /// Only frozen shares
    #[arg(long)]
    frozen: bool,

    /// Print one line of JSON for each, for scripts
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    data: Data,
}

impl List {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let client = self.data.client()?;
        let mut query = String::new();
        let chosen = [
            (self.public, "&visibility=public"),
            (self.private, "&visibility=private"),
            (self.live, "&updates=live"),
            (self.frozen, "&updates=frozen"),
        ];
        for (_, more) in chosen.iter().filter(|(is, _)| *is) {
            query.push_str(more);
        }
        if let Some(filter) = &self.filter {
            query.push_str(&format!("&filter={}", encode(filter)));
        }
        let what = if self.chats { "chats" } else { "shares" };
        let mut count = 0;
        for_each(
            &client,
            &format!("/api/v1/{what}?{}", query.trim_start_matches('&')),
            &mut |entry| {
                count += 1;
                if self.json {
                    output::print_line(&entry.to_string())
                } else if self.chats {
                    print_chat(entry)
                } else {
                    print_share(entry)
                }
            },
        )?;
        if count == 0 && !self.json {
            output::note(&match query.is_empty() {
                true => format!("no {what} yet; `readalong share FILE` makes one"),
                false => {
                    format!("no {what} like this; `readalong list` without a filter lists all")
                }
            });
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Goes over all entries of a list, page by page.
///
/// # Errors
/// The list cannot be had, or `see` failed.
pub(crate) fn for_each(
    client: &Client,
    path: &str,
    see: &mut dyn FnMut(&Value) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let join = if path.contains('?') { '&' } else { '?' };
    for page in 0.. {
        cancel::check()?;
        let entries: Vec<Value> =
            client.get(&format!("{path}{join}offset={}&limit={PAGE}", page * PAGE))?;
        for entry in &entries {
            see(entry)?;
        }
        if entries.len() < PAGE {
            break;
        }
    }
    Ok(())
}

fn print_share(share: &Value) -> anyhow::Result<()> {
    let text = |member: &str| share[member].as_str().unwrap_or_default().to_owned();
    let name = share["name"]
        .as_str()
        .unwrap_or_else(|| share["chat_title"].as_str().unwrap_or_default());
    let mut facts = vec![text("visibility"), text("updates")];
    if share["artifacts"] == true {
        facts.push("with artifacts".to_owned());
    }
    facts.push(format!(
        "since {}",
        text("created_at").get(..10).unwrap_or_default()
    ));
    if let Some(expires) = share["expires_at"].as_str() {
        facts.push(format!("until {}", expires.get(..16).unwrap_or(expires)));
    }
    match share["readers"].as_u64().unwrap_or(0) {
        0 => {}
        1 => facts.push("1 reader now".to_owned()),
        readers => facts.push(format!("{readers} readers now")),
    }
    output::print_line(&text("url"))?;
    output::print_line(&format!("    {name} ({})", facts.join(", ")))
}

fn print_chat(chat: &Value) -> anyhow::Result<()> {
    let text = |member: &str| chat[member].as_str().unwrap_or_default().to_owned();
    let changed = chat["updated_at"]
        .as_str()
        .and_then(|at| at.get(..16))
        .unwrap_or("-");
    output::print_line(&format!(
        "{}  {} ({} messages, {changed})",
        text("id"),
        text("title"),
        chat["messages"]
    ))
}
