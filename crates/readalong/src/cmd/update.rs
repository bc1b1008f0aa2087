//! `readalong update`: changes a share, or the title of a chat. Open pages follow at once.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use serde_json::{Map, Value, json};

use crate::{
    cmd::show::print_share,
    data::Data,
    moment, output,
    pick::{self, Picked},
};

/// Change a share: who can open it, artifacts, name, expiry; freeze it, or freeze it anew
#[derive(Args)]
#[command(
    after_help = "Examples:\n  readalong update 3f2a --private\n  readalong update 3f2a --artifacts --expires 7d\n  readalong update 3f2a --refresh\n\n\
                  Readers who have the page open see the change at once."
)]
pub(crate) struct Update {
    /// Link, id, beginning of an id, or name of a share; or a chat, for --name
    #[arg(value_name = "SHARE|CHAT")]
    what: String,

    /// Anyone with the link can open it
    #[arg(long, conflicts_with = "private")]
    public: bool,

    /// Only signed-in viewers can open it
    #[arg(long)]
    private: bool,

    /// With images and files
    #[arg(long, conflicts_with = "no_artifacts")]
    artifacts: bool,

    /// Without images and files
    #[arg(long)]
    no_artifacts: bool,

    /// What readers see as its title; of a chat: its title
    #[arg(long)]
    name: Option<String>,

    /// When the link dies: 12h, 7d, a date, or `never`
    #[arg(long, value_name = "WHEN")]
    expires: Option<String>,

    /// Freeze a live share at the chat's present state
    #[arg(long, conflicts_with = "refresh")]
    freeze: bool,

    /// Bring a frozen share to the chat's present state, under the same link
    #[arg(long)]
    refresh: bool,

    /// Print the share as JSON, for scripts
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    data: Data,
}

impl Update {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let changes = self.changes()?;
        if changes.is_empty() {
            bail!("nothing to change; `readalong update --help` lists what can be changed");
        }
        let client = self.data.client()?;
        let picked = pick::share_or_chat(&client, &self.what)?;
        let changes = match &picked {
            Picked::Share(_) => Value::Object(changes),
            Picked::Chat(_) => match (&self.name, changes.len()) {
                (Some(name), 1) => json!({ "title": name }),
                _ => bail!(
                    "`{}` is a chat: only its --name can be changed; `readalong show` lists its shares",
                    self.what
                ),
            },
        };
        let changed: Value = client.patch(&picked.path(), &changes)?;
        match (&picked, self.json) {
            (_, true) => output::print_line(&changed.to_string())?,
            (Picked::Share(_), false) => print_share(&changed)?,
            (Picked::Chat(_), false) => output::print_line(&format!(
                "{}  {}",
                pick::id(&changed),
                changed["title"].as_str().unwrap_or_default()
            ))?,
        }
        Ok(ExitCode::SUCCESS)
    }

    fn changes(&self) -> anyhow::Result<Map<String, Value>> {
        let mut changes = Map::new();
        let mut set = |member: &str, value: Value| {
            changes.insert(member.to_owned(), value);
        };
        if self.public || self.private {
            set(
                "visibility",
                json!(if self.private { "private" } else { "public" }),
            );
        }
        if self.artifacts || self.no_artifacts {
            set("artifacts", json!(self.artifacts));
        }
        if let Some(name) = &self.name {
            set("name", json!(name));
        }
        match self.expires.as_deref() {
            None => {}
            Some("never") => set("expires_at", Value::Null),
            Some(text) => {
                let at =
                    moment::parse(text).map_err(|reason| anyhow::anyhow!("--expires: {reason}"))?;
                set("expires_at", json!(at));
            }
        }
        if self.freeze {
            set("updates", json!("frozen"));
        }
        if self.refresh {
            set("refresh", json!(true));
        }
        Ok(changes)
    }
}
