//! `readalong export`: a transcript becomes a bundle. The whole path of a frozen chat, top to bottom.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, anyhow, bail};
use clap::{Args, builder::NonEmptyStringValueParser};
use indicatif::ProgressBar;
use readalong_bundle::{BundleWriter, Spool, WrittenBundle};
use readalong_import::{ImportError, Imported, Pick, Transcript};
use readalong_model::{
    Artifact, Branches, Chat, MessageRange, Snapshot, SnapshotOptions, ThreadId, Warning,
    can_be_seen,
};
use readalong_redact::{Known, Redactor, Report};
use readalong_render::{Output, OutputError, RenderStats, Renderer};
use readalong_themes::Theme;
use serde_json::json;

use crate::{
    cancel,
    config::{Config, ConfigFile},
    files::{self, Neighbours},
    output,
    redaction::{self, Redaction, Spooled},
};

/// What the manifest names as the bundle's maker.
const GENERATOR: &str = concat!("readalong ", env!("CARGO_PKG_VERSION"));
/// Chats that are listed where one has to be picked.
const CHATS_LISTED_MAX: usize = 20;

/// Turn transcripts into bundles: folders of static pages that open anywhere and that anybody can verify.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  readalong export session.jsonl --open\n  readalong export export.zip --chat \"Holiday plans\" -o public\n  \
                        readalong export a.jsonl b.jsonl --no-tools --json\n\nSystem prompts, injected context and profiles are never published. Secrets (keys, tokens, passwords) are taken out; `readalong inspect --secrets` lists them."
)]
pub(crate) struct Export {
    /// Transcripts: session files of coding agents, exports of chat products, message arrays (see `readalong formats`)
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Folder that the bundles go to
    #[arg(short, long, default_value = "exports", value_name = "DIR")]
    out: PathBuf,

    #[command(flatten)]
    how: HowToExport,

    #[command(flatten)]
    config: ConfigFile,

    /// Open the first page in the browser
    #[arg(long)]
    open: bool,

    /// Print one line of JSON for each file, for scripts
    #[arg(long)]
    json: bool,
}

/// What of a chat is rendered, and how: for all commands that render transcripts.
#[derive(Args, Clone)]
pub(crate) struct HowToExport {
    /// Which chat of a file that holds several: its number, id, or (part of) its title
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    chat: Option<String>,

    /// Read the files as this format instead of finding it out
    #[arg(long, value_name = "NAME")]
    format: Option<String>,

    /// Title of the chat instead of its own
    #[arg(long, value_parser = parse_title)]
    title: Option<String>,

    /// Built-in theme, or folder of your own (see `readalong theme`); else the default one
    #[arg(long, value_name = "NAME|DIR")]
    theme: Option<String>,

    /// Leave out images and files
    #[arg(long)]
    no_artifacts: bool,

    /// Leave out the model's reasoning
    #[arg(long)]
    no_reasoning: bool,

    /// Leave out tool calls, their results and subagents
    #[arg(long)]
    no_tools: bool,

    /// Only these messages, counted from 1 as the chat is read: 5..20, 5.. or ..20
    #[arg(long, value_name = "A..B", value_parser = parse_range)]
    messages: Option<MessageRange>,

    #[command(flatten)]
    redaction: Redaction,

    /// Leave code without colours (faster)
    #[arg(long)]
    no_highlight: bool,
}

impl Export {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let exporter = self.how.exporter(&self.config.config()?)?;
        let mut failed = 0;
        for file in &self.files {
            match exporter.export(file, &self.out) {
                Ok(exported) => self.report(file, &exported)?,
                // One file that cannot be exported is no reason to leave the others.
                Err(error) if self.files.len() > 1 => {
                    cancel::check()?;
                    output::print_error(&error);
                    failed += 1;
                }
                Err(error) => return Err(error),
            }
        }
        match failed {
            0 => Ok(ExitCode::SUCCESS),
            failed => Err(anyhow!(
                "{failed} of {} files could not be exported",
                self.files.len()
            )),
        }
    }

    fn report(&self, file: &Path, exported: &Exported) -> anyhow::Result<()> {
        let Exported {
            title,
            warnings,
            report,
            rendered,
            written,
        } = exported;
        output::print_warnings(warnings);
        redaction::note(report);
        let index = written.path.join("index.html");
        if self.json {
            let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
            output::print_line(
                &json!({
                    "file": file, "path": written.path, "index": index, "id": written.id, "title": title,
                    "messages": rendered.messages, "pages": rendered.pages, "files": written.files,
                    "size_bytes": written.size_bytes, "warnings": warnings, "redactions": report.findings,
                })
                .to_string(),
            )?;
        } else {
            output::note(&format!(
                "{title}: {} on {}",
                output::count(rendered.messages, "message"),
                output::count(rendered.pages, "page")
            ));
            output::print_line(&format!("{}  {}", index.display(), written.id))?;
        }
        if self.open {
            open::that_detached(&index).with_context(|| {
                format!("cannot open a browser; the page is {}", index.display())
            })?;
        }
        Ok(())
    }
}

impl HowToExport {
    /// Which chat of a file is meant.
    pub(crate) fn chat(&self) -> Option<&str> {
        self.chat.as_deref()
    }

    /// The title that is to stand instead of the chat's own.
    pub(crate) fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// Whether images and files are to be there.
    pub(crate) fn artifacts(&self) -> bool {
        !self.no_artifacts
    }

    /// What is taken out.
    pub(crate) fn redaction(&self) -> &Redaction {
        &self.redaction
    }

    /// The first of these flags that was given.
    pub(crate) fn given(&self) -> Option<&'static str> {
        let given = [
            ("--chat", self.chat.is_some()),
            ("--format", self.format.is_some()),
            ("--title", self.title.is_some()),
            ("--theme", self.theme.is_some()),
            ("--no-artifacts", self.no_artifacts),
            ("--no-reasoning", self.no_reasoning),
            ("--no-tools", self.no_tools),
            ("--messages", self.messages.is_some()),
            ("--no-highlight", self.no_highlight),
        ];
        let given = given.into_iter().find(|(_, is_given)| *is_given);
        given
            .map(|(flag, _)| flag)
            .or_else(|| self.redaction.given())
    }

    /// Gets ready to export as these flags say.
    ///
    /// # Errors
    /// The theme or the rules for secrets are wrong.
    pub(crate) fn exporter(&self, config: &Config) -> anyhow::Result<Exporter<'_>> {
        let theme = self.theme.as_deref().unwrap_or(readalong_themes::DEFAULT);
        let theme = Theme::load(theme)?;
        Ok(Exporter {
            how: self,
            renderer: Renderer::new(&theme, !self.no_highlight)?,
            redactor: self.redaction.redactor(config)?,
        })
    }

    fn snapshot_options(&self) -> SnapshotOptions {
        SnapshotOptions {
            title: self.title.clone(),
            artifacts: !self.no_artifacts,
            reasoning: !self.no_reasoning,
            tools: !self.no_tools,
            messages: self.messages,
        }
    }
}

/// Exports transcripts, one after the other.
pub(crate) struct Exporter<'a> {
    how: &'a HowToExport,
    renderer: Renderer,
    redactor: Redactor,
}

impl Exporter<'_> {
    /// The path of a frozen chat: file, chat, what is left without secrets, snapshot, pages, bundle.
    ///
    /// # Errors
    /// The file is no transcript, or the bundle cannot be written.
    pub(crate) fn export(&self, file: &Path, out: &Path) -> anyhow::Result<Exported> {
        let bar = output::progress_bar("reading", 0, true);
        let transcript = Transcript::open(files::source(file, &bar)?, self.how.format.as_deref())?;
        let mut neighbours = Neighbours::of(file).context("cannot make a temporary folder")?;
        let pick = self.how.chat.clone().map_or(Pick::Only, Pick::Named);
        let imported = transcript.read(&pick, &mut neighbours);
        bar.finish_and_clear();
        let Imported {
            mut chat, warnings, ..
        } = match imported {
            Err(error @ ImportError::ManyChats { .. }) => {
                list_chats(&transcript)?;
                return Err(error.into());
            }
            imported => imported?,
        };
        let spool = neighbours.spool();
        let report = self.redactor.chat(&mut chat, &mut Spooled(spool))?;
        self.how.redaction.check(&report)?;
        let mut options = self.how.snapshot_options();
        if let Some(title) = &mut options.title {
            self.redactor.text(title, "title", &mut Known::default());
        }
        if let Some(range) = options.messages {
            check_range(range, &chat, &options)?;
        }
        let snapshot = Snapshot::take(chat, &options);
        let (rendered, written) = write_bundle(&snapshot, out, &self.renderer, spool)?;
        Ok(Exported {
            title: snapshot.title,
            warnings,
            report,
            rendered,
            written,
        })
    }
}

/// A range that begins behind the last message is a slip: nobody means to show nothing.
fn check_range(range: MessageRange, chat: &Chat, options: &SnapshotOptions) -> anyhow::Result<()> {
    let all = SnapshotOptions {
        messages: None,
        ..options.clone()
    };
    let all = Snapshot::take(chat.clone(), &all);
    let path = Branches::of(&all.messages, ThreadId::MAIN)
        .active_path(&all.messages, all.active_leaf.as_ref());
    if range.first > path.len() {
        bail!(
            "--messages begins at {}, and the chat has {}",
            range.first,
            output::count(path.len(), "message")
        );
    }
    Ok(())
}

/// Renders a snapshot into a bundle below a folder.
fn write_bundle(
    snapshot: &Snapshot,
    out: &Path,
    renderer: &Renderer,
    spool: &Spool,
) -> anyhow::Result<(RenderStats, WrittenBundle)> {
    let mut bundle = BundleOutput {
        writer: BundleWriter::create(out)?,
        bar: output::progress_bar("rendering", snapshot.messages.len() as u64, false),
    };
    let rendered = renderer.render(snapshot, &|digest| spool.read(digest).ok(), &mut bundle)?;
    bundle.copy_artifacts(&snapshot.artifacts, spool)?;
    bundle.bar.finish_and_clear();
    cancel::check()?;
    Ok((rendered, bundle.writer.finish(GENERATOR)?))
}

/// Writes the bundle of a bundle's own `chat.json` anew without the secrets that are found in it; `None` where there are none.
///
/// # Errors
/// It cannot be read or written.
pub(crate) fn export_anew(
    chat_json: &Path,
    out: &Path,
    redactor: &Redactor,
    renderer: &Renderer,
) -> anyhow::Result<Option<(PathBuf, Report)>> {
    let bar = output::progress_bar("reading", 0, true);
    let transcript = Transcript::open(files::source(chat_json, &bar)?, None)?;
    let mut neighbours = Neighbours::of(chat_json).context("cannot make a temporary folder")?;
    let Imported { mut chat, .. } = transcript.read(&Pick::Only, &mut neighbours)?;
    bar.finish_and_clear();
    let spool = neighbours.spool();
    let report = redactor.chat(&mut chat, &mut Spooled(spool))?;
    if report.removed() == 0 {
        return Ok(None);
    }
    let everything = SnapshotOptions {
        title: None,
        artifacts: true,
        reasoning: true,
        tools: true,
        messages: None,
    };
    let snapshot = Snapshot::take(chat, &everything);
    let (_, written) = write_bundle(&snapshot, out, renderer, spool)?;
    Ok(Some((written.path, report)))
}

/// What became of one file.
pub(crate) struct Exported {
    pub(crate) title: String,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) report: Report,
    pub(crate) rendered: RenderStats,
    pub(crate) written: WrittenBundle,
}

/// Takes what is rendered into a bundle.
struct BundleOutput {
    writer: BundleWriter,
    bar: ProgressBar,
}

impl BundleOutput {
    fn copy_artifacts(&mut self, artifacts: &[Artifact], spool: &Spool) -> anyhow::Result<()> {
        for artifact in artifacts {
            cancel::check()?;
            if let (Some((sha256, _)), Some(path)) = (artifact.bytes(), artifact.path()) {
                // What is stored under an inert name is announced as such.
                let media_type = if path.ends_with(".txt") {
                    "text/plain; charset=utf-8"
                } else {
                    &artifact.media_type
                };
                self.writer.copy(&path, media_type, &spool.path(sha256))?;
            }
        }
        Ok(())
    }
}

impl Output for BundleOutput {
    fn write(
        &mut self,
        path: &str,
        pieces: &mut dyn Iterator<Item = Vec<u8>>,
    ) -> Result<(), OutputError> {
        cancel::check()?;
        Ok(self.writer.write(path, media_type(path), pieces)?)
    }

    fn progress(&mut self, done: usize, of: usize) {
        self.bar.set_length(of as u64);
        self.bar.set_position(done as u64);
    }
}

/// The media type of a file that we render or that a theme brings.
pub(crate) fn media_type(path: &str) -> &'static str {
    match Path::new(path).extension().and_then(OsStr::to_str) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("json") => "application/json",
        Some("md") => "text/markdown; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}

pub(crate) fn list_chats(transcript: &Transcript) -> anyhow::Result<()> {
    let chats = transcript.list()?;
    for chat in chats.iter().take(CHATS_LISTED_MAX) {
        output::note(&format!(
            "{:>6}  {}  ({} messages)",
            chat.number, chat.title, chat.messages
        ));
    }
    if chats.len() > CHATS_LISTED_MAX {
        output::note(&format!(
            "        and {} more",
            chats.len() - CHATS_LISTED_MAX
        ));
    }
    Ok(())
}

/// A title is there to be seen.
fn parse_title(text: &str) -> Result<String, String> {
    match can_be_seen(text) {
        true => Ok(text.to_owned()),
        false => Err("a title needs something to see in it".to_owned()),
    }
}

/// Reads `5..20`, `5..`, `..20` or `7`.
fn parse_range(text: &str) -> Result<MessageRange, String> {
    let wrong =
        || format!("`{text}` is no range of messages; write 5..20, 5.., ..20 or 7, counted from 1");
    let number = |text: &str, otherwise: usize| {
        if text.is_empty() {
            Ok(otherwise)
        } else {
            text.parse().map_err(|_| wrong())
        }
    };
    let (first, last) = match text.split_once("..") {
        Some((first, last)) => (
            number(first, 1)?,
            number(last.trim_start_matches('='), usize::MAX)?,
        ),
        None => (number(text, 0)?, number(text, 0)?),
    };
    if first == 0 || last < first {
        Err(wrong())
    } else {
        Ok(MessageRange { first, last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_people_write_them() {
        let range = |first, last| Ok(MessageRange { first, last });
        assert_eq!(parse_range("5..20"), range(5, 20));
        assert_eq!(parse_range("..3"), range(1, 3));
        assert_eq!(parse_range("4.."), range(4, usize::MAX));
        assert_eq!(parse_range("7"), range(7, 7));
        for wrong in ["", "0..3", "5..2", "a..b", "-1"] {
            assert!(parse_range(wrong).is_err(), "{wrong}");
        }
    }
}
