//! `readalong show`: one share or chat, with its link and QR code.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use crate::{
    cmd::list::for_each,
    data::Data,
    link, output,
    pick::{self, Picked},
};

/// Show a share or a chat: what it is, who can open it, its link and QR code
#[derive(Args)]
#[command(
    after_help = "Examples:\n  readalong show 3f2a\n  readalong show http://127.0.0.1:4141/s/3f2a…\n  readalong show \"Login bug\""
)]
pub(crate) struct Show {
    /// Link, id, beginning of an id, or name of a share; or id or title of a chat
    #[arg(value_name = "SHARE|CHAT")]
    what: String,

    /// Print it as JSON, for scripts
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    data: Data,
}

impl Show {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let client = self.data.client()?;
        let picked = pick::share_or_chat(&client, &self.what)?;
        let (Picked::Share(entry) | Picked::Chat(entry)) = &picked;
        if self.json {
            output::print_line(&entry.to_string())?;
            return Ok(ExitCode::SUCCESS);
        }
        match &picked {
            Picked::Share(share) => print_share(share)?,
            Picked::Chat(chat) => {
                print_chat(chat)?;
                let path = format!("/api/v1/shares?chat={}", pick::id(chat));
                for_each(&client, &path, &mut |share| {
                    let text = |member: &str| share[member].as_str().unwrap_or_default();
                    output::print_line(&format!(
                        "Share     {} ({}, {})",
                        text("url"),
                        text("visibility"),
                        text("updates")
                    ))
                })?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Says what a share is, then its link.
///
/// # Errors
/// Standard output is closed.
pub(crate) fn print_share(share: &Value) -> anyhow::Result<()> {
    let text = |member: &str| share[member].as_str().unwrap_or_default();
    let title = share["name"].as_str().unwrap_or_else(|| text("chat_title"));
    let who = match text("visibility") {
        "private" => "private: only signed-in viewers",
        _ => "public: anyone with the link",
    };
    let updates = match text("updates") {
        "live" => "live: new messages appear as they come",
        _ => "frozen: later messages are not in it",
    };
    let artifacts = if share["artifacts"] == true {
        "included"
    } else {
        "not included"
    };
    let mut lines = vec![
        ("Name", title.to_owned()),
        ("Readers", who.to_owned()),
        ("Updates", updates.to_owned()),
        ("Artifacts", artifacts.to_owned()),
        ("Created", text("created_at").to_owned()),
    ];
    if let Some(expires) = share["expires_at"].as_str() {
        lines.push(("Expires", expires.to_owned()));
    }
    if let Some(readers) = share["readers"].as_u64().filter(|readers| *readers > 0) {
        lines.push(("Open now", readers.to_string()));
    }
    lines.push(("Id", text("id").to_owned()));
    for (name, value) in lines {
        output::note(&format!("{name:<9} {value}"));
    }
    link::print(text("url"))
}

fn print_chat(chat: &Value) -> anyhow::Result<()> {
    let text = |member: &str| chat[member].as_str().unwrap_or("-");
    for (name, value) in [
        ("Title", text("title")),
        ("Id", text("id")),
        ("Source", text("source")),
        ("Begun", text("created_at")),
        ("Changed", text("updated_at")),
    ] {
        output::print_line(&format!("{name:<9} {value}"))?;
    }
    output::print_line(&format!("Messages  {}", chat["messages"]))
}
