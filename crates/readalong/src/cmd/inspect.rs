//! `readalong inspect`: what a file is and what is in it, without writing anything.

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

use clap::Args;
use readalong_import::{ChatEntry, Discard, Imported, Layout, Pick, Transcript};
use readalong_model::{Availability, Branches, Chat, Part, Role, ThreadId, Visibility, Warning};

use crate::{
    config::{Config, ConfigFile},
    files, output,
    redaction::{self, Redaction, Spooled},
};

/// Tell what a transcript is: format and why, chats, messages and parts by kind, artifacts, warnings. Writes nothing.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  readalong inspect session.jsonl\n  readalong inspect conversations.json --chat 3\n  readalong inspect session.jsonl --secrets"
)]
pub(crate) struct Inspect {
    /// The transcript
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Which chat of a file that holds several: its number, id, or (part of) its title
    #[arg(long)]
    chat: Option<String>,

    /// Read the file as this format instead of finding it out
    #[arg(long, value_name = "NAME")]
    format: Option<String>,

    /// List the secrets in it instead, with the message of each; exit code 1 where there are any
    #[arg(long)]
    secrets: bool,

    #[command(flatten)]
    redaction: Redaction,

    #[command(flatten)]
    config: ConfigFile,
}

impl Inspect {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.config.config()?;
        let bar = output::progress_bar("reading", 0, true);
        let transcript =
            Transcript::open(files::source(&self.file, &bar)?, self.format.as_deref())?;
        let detection = transcript.detection();
        let say = |line: &str| match self.secrets {
            true => Ok(()),
            false => output::print_line(line),
        };
        say(&format!(
            "Format    {} ({}): {}",
            detection.format.name, detection.format.title, detection.reason
        ))?;
        if detection.layout == Layout::ChatPerRecord && self.chat.is_none() {
            let (chats, warnings) = transcript.list_with_warnings()?;
            bar.finish_and_clear();
            if chats.len() > 1 {
                print_chats(&chats)?;
                print_warnings(&warnings)?;
                return Ok(ExitCode::SUCCESS);
            }
        }
        let pick = self.chat.clone().map_or(Pick::Only, Pick::Named);
        if self.secrets {
            return self.list_secrets(&transcript, &pick, &config);
        }
        let imported = transcript.read(
            &pick,
            &mut Beside {
                neighbours: files::Neighbours::of(&self.file)?,
            },
        )?;
        bar.finish_and_clear();
        print_chat(&imported)?;
        Ok(ExitCode::SUCCESS)
    }

    fn list_secrets(
        &self,
        transcript: &Transcript,
        pick: &Pick,
        config: &Config,
    ) -> anyhow::Result<ExitCode> {
        let redactor = self.redaction.redactor(config)?;
        let mut neighbours = files::Neighbours::of(&self.file)?;
        let mut chat = transcript.read(pick, &mut neighbours)?.chat;
        let report = redactor.chat(&mut chat, &mut Spooled(neighbours.spool()))?;
        redaction::print_findings(&report)?;
        if report.findings.is_empty() {
            output::note("no secrets found");
        }
        Ok(match report.removed() {
            0 => ExitCode::SUCCESS,
            _ => ExitCode::from(1),
        })
    }
}

/// Sees what lies beside the transcript and keeps nothing.
struct Beside {
    neighbours: files::Neighbours,
}

impl readalong_import::Surroundings for Beside {
    fn keep(&mut self, bytes: &[u8]) -> std::io::Result<readalong_model::Digest> {
        Discard.keep(bytes)
    }

    fn beside(&mut self, path: &str) -> std::io::Result<Option<Vec<u8>>> {
        self.neighbours.beside(path)
    }

    fn names_in(&mut self, folder: &str) -> Vec<String> {
        self.neighbours.names_in(folder)
    }
}

fn print_chats(chats: &[ChatEntry]) -> anyhow::Result<()> {
    output::print_line(&format!("Chats     {}", chats.len()))?;
    for chat in chats {
        let changed = chat.updated_at.map(|at| format!(", {}", at.date()));
        let id = chat.id.as_ref().map(|id| format!("  {id}"));
        output::print_line(&format!(
            "{:>8}  {} ({} messages{}){}",
            chat.number,
            chat.title,
            chat.messages,
            changed.unwrap_or_default(),
            id.unwrap_or_default()
        ))?;
    }
    Ok(())
}

fn print_chat(imported: &Imported) -> anyhow::Result<()> {
    let Imported {
        chat,
        warnings,
        stats,
    } = imported;
    output::print_line(&format!("Title     {}", chat.title))?;
    for (name, value) in [("Id", &chat.origin.native_id), ("App", &chat.origin.app)] {
        if let Some(value) = value {
            output::print_line(&format!("{name:<9} {value}"))?;
        }
    }
    if let (Some(begun), Some(changed)) = (chat.created_at, chat.updated_at) {
        output::print_line(&format!("Time      {begun} to {changed}"))?;
    }
    output::print_line(&format!(
        "Records   {}: {} read ({} of them bookkeeping), {} kept raw, {} damaged",
        stats.records,
        stats.mapped + stats.bookkeeping,
        stats.bookkeeping,
        stats.kept_raw,
        stats.damaged
    ))?;
    output::print_line(&format!("Messages  {}", messages(chat)))?;
    output::print_line(&format!("Parts     {}", parts(chat)))?;
    if chat.threads.len() > 1 {
        output::print_line(&format!(
            "Threads   {} beside the main one",
            chat.threads.len() - 1
        ))?;
    }
    let forks = forks(chat);
    if forks > 0 {
        output::print_line(&format!("Branches  {forks} messages have other versions"))?;
    }
    output::print_line(&format!("Artifacts {}", chat.artifacts.len()))?;
    for artifact in &chat.artifacts {
        let state = match &artifact.content {
            Availability::Present { size_bytes, .. } => format!("{size_bytes} bytes"),
            Availability::TextOnly { size_bytes, .. } => format!("text only, {size_bytes} bytes"),
            Availability::Missing => "missing".to_owned(),
            Availability::External { url } => format!("on another host: {url}"),
        };
        output::print_line(&format!(
            "          {} ({}, {state})",
            artifact.name, artifact.media_type
        ))?;
    }
    print_warnings(warnings)
}

fn print_warnings(warnings: &[Warning]) -> anyhow::Result<()> {
    output::print_line(&format!("Warnings  {}", warnings.len()))?;
    warnings
        .iter()
        .try_for_each(|warning| output::print_line(&format!("          {warning}")))
}

fn messages(chat: &Chat) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for message in &chat.messages {
        let kind = match (message.visibility, message.role) {
            (Visibility::Hidden, _) => "hidden (never published)",
            (Visibility::Meta, _) => "about the chat",
            (_, Role::User) => "user",
            (_, Role::Assistant) => "assistant",
            (_, Role::System) => "system",
            (_, Role::Tool) => "tool",
        };
        *counts.entry(kind).or_default() += 1;
    }
    format!("{}: {}", chat.messages.len(), list(&counts))
}

fn parts(chat: &Chat) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let parts = chat.messages.iter().flat_map(|message| &message.parts);
    let mut total = 0;
    for part in parts {
        let kind = match part {
            Part::Text { .. } => "text",
            Part::Reasoning { .. } => "reasoning",
            Part::ToolCall(_) => "tool call",
            Part::ToolResult { .. } => "tool result",
            Part::Image { .. } => "image",
            Part::File { .. } => "file",
            Part::Source { .. } => "source",
            Part::Notice { .. } => "notice",
            Part::Unknown { .. } => "unknown",
        };
        *counts.entry(kind).or_default() += 1;
        total += 1;
    }
    format!("{total}: {}", list(&counts))
}

fn list(counts: &BTreeMap<&str, usize>) -> String {
    counts
        .iter()
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn forks(chat: &Chat) -> usize {
    let tree = Branches::of(&chat.messages, ThreadId::MAIN);
    let in_main = chat
        .messages
        .iter()
        .enumerate()
        .filter(|(_, message)| message.thread.is_main());
    in_main
        .filter(|(place, _)| tree.alternatives(*place).len() > 1)
        .count()
}
