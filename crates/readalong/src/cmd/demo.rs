//! `readalong demo`: both sides on a sample chat. A bundle is written, and a live page opens on which the chat grows.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
    thread,
    time::Duration,
};

use anyhow::{Context, anyhow};
use clap::{Args, Parser};
use readalong_bundle::closed_folder;
use readalong_server::{RunningServer, Server};
use serde_json::{Value, json};

use crate::{
    cancel,
    client::Client,
    cmd::{export::Export, serve, share},
    config::{self, Config, ConfigFile},
    link, output,
};

/// The sample: a coding agent's session, and the subagent's beside it.
const CHAT: &str = include_str!("../../../../tests/fixtures/chats/agent.jsonl");
const SUBAGENT: &str =
    include_str!("../../../../tests/fixtures/chats/agent/subagents/agent-a4c81e.jsonl");
/// Lines that are there when the page opens.
const LINES_AT_FIRST: usize = 8;
/// Time between two lines that are appended.
const LINE_EVERY: Duration = Duration::from_millis(1200);

/// Show both sides on a sample chat: write it as a bundle, and open a live page on which it grows
#[derive(Args)]
pub(crate) struct Demo {
    /// Folder that the bundle goes to
    #[arg(short, long, default_value = "exports", value_name = "DIR")]
    out: PathBuf,

    /// Where the server listens; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS", value_parser = config::listen_addr)]
    addr: SocketAddr,

    /// Print the address and open no browser
    #[arg(long)]
    no_open: bool,

    #[command(flatten)]
    config: ConfigFile,
}

/// The options of `export`, with their defaults.
#[derive(Parser)]
struct ExportLine {
    #[command(flatten)]
    export: Export,
}

impl Demo {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let mut config = self.config.config()?;
        let folder = closed_folder("readalong-demo-", &std::env::temp_dir())
            .context("cannot make a temporary folder")?;
        let whole = folder.path().join("agent.jsonl");
        let beside = folder.path().join("agent/subagents");
        fs::create_dir_all(&beside)?;
        // The line that is damaged for the tests' sake is no part of a first look.
        let is_whole = |line: &&str| serde_json::from_str::<Value>(line).is_ok();
        let lines: Vec<&str> = CHAT.lines().filter(is_whole).collect();
        fs::write(&whole, joined(&lines))?;
        fs::write(beside.join("agent-a4c81e.jsonl"), SUBAGENT)?;
        output::note("A bundle, to keep or to put on any static host:");
        let line = [
            "export".as_ref(),
            whole.as_os_str(),
            "-o".as_ref(),
            self.out.as_os_str(),
        ];
        ExportLine::parse_from(line).export.run()?;

        let growing = folder.path().join("live.jsonl");
        fs::write(&growing, joined(&lines[..LINES_AT_FIRST]))?;
        let data = folder.path().join("data");
        serve::log_to_stderr("warn")?;
        config.data = Some(data.clone());
        config.base_url = None;
        let server = Server::open(config.server_options()?)?;
        serve::serve(server, self.addr, cancel::cancelled(), move |_| {
            thread::spawn(move || {
                let shown = open(&config, &growing, self.no_open);
                match shown.and_then(|()| grow(&growing, &lines[LINES_AT_FIRST..])) {
                    Ok(()) => {}
                    Err(_) if cancel::is_cancelled() => {}
                    Err(error) => {
                        output::print_error(&error);
                        cancel::cancel();
                    }
                }
            });
            Ok(())
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Shares the growing chat and opens its page.
fn open(config: &Config, growing: &std::path::Path, no_open: bool) -> anyhow::Result<()> {
    let running =
        RunningServer::of(&config.data()?)?.ok_or_else(|| anyhow!("the server did not start"))?;
    let client = Client::of_server(running);
    let chat = share::follow(&client, growing, &[])?;
    let body =
        json!({ "chat": chat, "updates": "live", "visibility": "public", "artifacts": true });
    let share: Value = client.post("/api/v1/shares", &body)?;
    let url = share["url"].as_str().unwrap_or_default();
    output::note("");
    output::note("A live page, on which the same chat grows:");
    link::print(url)?;
    output::note("Ctrl-C ends it.");
    if !no_open && open::that_detached(url).is_err() {
        output::note("No browser could be opened here: open the link yourself.");
    }
    Ok(())
}

/// Appends line after line, as an agent does.
fn grow(growing: &std::path::Path, lines: &[&str]) -> anyhow::Result<()> {
    let mut file = OpenOptions::new().append(true).open(growing)?;
    for line in lines {
        let mut rest = LINE_EVERY;
        while !rest.is_zero() {
            cancel::check()?;
            let step = rest.min(Duration::from_millis(100));
            thread::sleep(step);
            rest -= step;
        }
        file.write_all(format!("{line}\n").as_bytes())?;
    }
    output::note("The sample chat has ended; its page stays until Ctrl-C.");
    Ok(())
}

fn joined(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}
