//! `readalong share`: one command from a transcript to a link.

use std::{
    fs::File,
    io::{self, Read},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{anyhow, bail};
use clap::Args;
use readalong_import::{ImportError, Imported, Pick, Transcript};
use readalong_model::Timestamp;
use readalong_server::{RunningServer, Server};
use serde_json::{Map, Value, json};

use crate::{
    cancel,
    client::{Client, encode},
    cmd::{serve, show::print_share},
    config::{self, Config},
    data::Data,
    files::{self, Neighbours},
    memory, moment, output, pick,
    redaction::{Redaction, Spooled},
    upload,
};

/// How long a server may take to read a transcript before its share is made. A large one goes on growing behind the link.
const READING_MAX: Duration = Duration::from_secs(60);
/// A file that has no message after so long is said to be waited for.
const TOLD_AFTER: Duration = Duration::from_secs(1);
/// Bytes within which a first line ends that may become a record: followers wait for as many.
const FIRST_LINE_BYTES_MAX: u64 = 256 << 10;
/// Time between two looks at how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Share a transcript or a chat: prints a link, and a QR code for the phone
#[derive(Args, Clone)]
#[command(
    after_help = "Examples:\n  readalong share session.jsonl\n  readalong share session.jsonl --live\n  readalong share \"Login bug\" --private --expires 7d\n\n\
                  A frozen share is the chat as it is now. A live one grows with it: where no server runs, --live starts one, until Ctrl-C.\n\
                  System prompts, injected context and profiles are never shared. Secrets (keys, tokens, passwords) are taken out, and you are told how many; still, read the page before you hand on its link."
)]
pub(crate) struct Share {
    /// A transcript; or a chat by id or title
    #[arg(value_name = "FILE|CHAT")]
    what: String,

    /// New messages appear as they come
    #[arg(long, conflicts_with_all = ["frozen", "chat", "format"])]
    live: bool,

    /// Later messages do not appear (the default)
    #[arg(long)]
    frozen: bool,

    /// Anyone with the link can open it (the default)
    #[arg(long, conflicts_with = "private")]
    public: bool,

    /// Only signed-in viewers can open it
    #[arg(long)]
    private: bool,

    /// With images and files
    #[arg(long)]
    artifacts: bool,

    /// What readers see as its title instead of the chat's
    #[arg(long)]
    name: Option<String>,

    /// When the link dies: 12h, 7d, 4w, 2026-12-31
    #[arg(long, value_name = "WHEN", value_parser = moment::parse)]
    expires: Option<Timestamp>,

    /// Which chat of a file that holds several: its number, id, or (part of) its title
    #[arg(long)]
    chat: Option<String>,

    /// Read the file as this format instead of finding it out
    #[arg(long, value_name = "NAME")]
    format: Option<String>,

    /// Where the server listens that --live starts
    #[arg(long, value_name = "ADDRESS", value_parser = config::listen_addr)]
    addr: Option<SocketAddr>,

    /// Print the share as one line of JSON, for scripts
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    redaction: Redaction,

    #[command(flatten)]
    data: Data,
}

impl Share {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let file = PathBuf::from(&self.what);
        let is_file = file.is_file();
        if self.live && is_file {
            memory::keep_little();
            return self.share_growing(Some(&file));
        }
        let config = self.data.config()?;
        let client = Client::of(&config)?;
        let chat = match pick::find_chat(&client, &self.what)? {
            Some(_) if self.live && !client.is_served() => {
                memory::keep_little();
                drop(client);
                return self.share_growing(None);
            }
            Some(chat) if !is_file => chat,
            _ if file.exists() => upload::upload(
                &client,
                &file,
                self.chat.as_deref(),
                self.format.as_deref(),
                (&self.redaction, &config),
            )?,
            _ => bail!(
                "`{}` is neither a file nor a chat; `readalong list --chats` lists chats",
                self.what
            ),
        };
        let share = self.make(&client, pick::id(&chat))?;
        self.print(&share)?;
        if !client.is_served() {
            output::note("The link works while `readalong serve` runs.");
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Shares a transcript, or a chat where there is none, that goes on: by the server that runs, or by one of our own, here, until somebody cancels.
    fn share_growing(self, file: Option<&Path>) -> anyhow::Result<ExitCode> {
        let config = self.data.config()?;
        let folder = config.data()?;
        let path = file.map(Path::canonicalize).transpose()?;
        if let Some(file) = file {
            check_transcript(file, &self.redaction, &config)?;
        }
        if let Ok(Some(running)) = RunningServer::of(&folder) {
            let client = Client::of(&config)?;
            if client.is_served() {
                if self.redaction.hides_more() {
                    bail!(
                        "the server that runs decides what else is taken out of a chat that it follows: set it in its configuration, or end the server first"
                    );
                }
                let share = self.find_and_make(&Client::of_server(running), path.as_deref())?;
                self.print(&share)?;
                return Ok(ExitCode::SUCCESS);
            }
        }
        serve::log_to_stderr("warn")?;
        let mut options = config.server_options()?;
        options.redact = self.redaction.options(&config)?;
        let server = Server::open(options)?;
        let addr = self.addr.unwrap_or(config.addr);
        let failed = Arc::new(Mutex::new(None));
        let failure = failed.clone();
        serve::serve(server, addr, cancel::cancelled(), move |_| {
            // The share is made beside the server, which has to answer for it.
            thread::spawn(move || {
                let made = RunningServer::of(&folder)
                    .map_err(anyhow::Error::from)
                    .and_then(|running| {
                        running.ok_or_else(|| anyhow!("the server does not say where it is"))
                    })
                    .and_then(|running| {
                        self.find_and_make(&Client::of_server(running), path.as_deref())
                    })
                    .and_then(|share| self.print(&share));
                match made {
                    Ok(()) => output::note(
                        "Ctrl-C ends the server; the link works again once `readalong serve` runs.",
                    ),
                    Err(error) => {
                        *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                        cancel::cancel();
                    }
                }
            });
            Ok(())
        })?;
        let failed = failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        failed.map_or(Ok(ExitCode::SUCCESS), Err)
    }

    fn find_and_make(&self, client: &Client, file: Option<&Path>) -> anyhow::Result<Value> {
        let chat = match file {
            Some(path) => follow(client, path, self.redaction.waived())?,
            None => match pick::find_chat(client, &self.what)? {
                Some(chat) => pick::id(&chat).to_owned(),
                None => bail!("the chat `{}` is not there any more", self.what),
            },
        };
        self.make(client, &chat)
    }

    fn make(&self, client: &Client, chat: &str) -> anyhow::Result<Value> {
        let mut body = Map::new();
        let mut set = |member: &str, value: Value| {
            body.insert(member.to_owned(), value);
        };
        set("chat", json!(chat));
        set("updates", json!(if self.live { "live" } else { "frozen" }));
        set(
            "visibility",
            json!(if self.private { "private" } else { "public" }),
        );
        set("artifacts", json!(self.artifacts));
        if let Some(name) = &self.name {
            set("name", json!(name));
        }
        if let Some(expires) = self.expires {
            set("expires_at", json!(expires));
        }
        client.post("/api/v1/shares", &Value::Object(body))
    }

    fn print(&self, share: &Value) -> anyhow::Result<()> {
        match self.json {
            true => output::print_line(&share.to_string()),
            false => print_share(share),
        }
    }
}

/// Has a server follow a transcript, and waits until its chat is there; answers with the chat's id.
///
/// # Errors
/// The server does not follow it, or it is no transcript.
pub(crate) fn follow(client: &Client, path: &Path, kept: &[String]) -> anyhow::Result<String> {
    let follow = json!({ "path": path, "kept": kept });
    let mut entry: Value = client.post("/api/v1/follow", &follow)?;
    let (begun, mut is_told) = (Instant::now(), false);
    let query = format!("/api/v1/follow?path={}", encode(&path.to_string_lossy()));
    loop {
        cancel::check()?;
        let chat = entry["chats"][0].as_str().map(str::to_owned);
        let state = entry["state"].as_str().unwrap_or_default();
        let is_late = begun.elapsed() > READING_MAX;
        match (chat, state) {
            (Some(chat), "up to date") => return Ok(chat),
            (Some(chat), _) if is_late => return Ok(chat),
            (None, "waiting" | "up to date") if begun.elapsed() > TOLD_AFTER && !is_told => {
                is_told = true;
                output::note(&format!(
                    "`{}` holds no message yet; waiting for the first",
                    path.display()
                ));
            }
            (_, "waiting" | "reading" | "up to date" | "") => {}
            (_, problem) => bail!("`{}` cannot be followed: {problem}", path.display()),
        }
        thread::sleep(LOOK_EVERY);
        let entries: Vec<Value> = client.get(&query)?;
        let is_it = |one: &Value| one["path"].as_str().map(PathBuf::from).as_deref() == Some(path);
        entry = entries.into_iter().find(is_it).unwrap_or(Value::Null);
    }
}

/// True where somebody may be just writing the first record of a file.
fn is_first_line_open(file: &Path) -> io::Result<bool> {
    let mut beginning = Vec::new();
    let mut head = File::open(file)?.take(FIRST_LINE_BYTES_MAX);
    head.read_to_end(&mut beginning)?;
    Ok(beginning.starts_with(b"{") && !beginning.contains(&b'\n'))
}

/// Fails at once where a file is no transcript, in any format, and says what is taken out of it so far. One that has not begun is none yet, and may become one.
///
/// # Errors
/// It cannot be read, is no transcript, or the redaction refuses it.
pub(crate) fn check_transcript(
    file: &Path,
    redaction: &Redaction,
    config: &Config,
) -> anyhow::Result<()> {
    let bar = output::progress_bar("reading", 0, true);
    let transcript = match Transcript::open(files::source(file, &bar)?, None) {
        Ok(transcript) => transcript,
        Err(ImportError::Empty { .. }) => return Ok(()),
        Err(ImportError::NotATranscript { .. }) if is_first_line_open(file)? => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut neighbours = Neighbours::of(file)?;
    // What is wrong with it is said by whoever follows it.
    let Ok(Imported { mut chat, .. }) = transcript.read(&Pick::Only, &mut neighbours) else {
        return Ok(());
    };
    bar.finish_and_clear();
    let redactor = redaction.redactor(config)?;
    let report = redactor.chat(&mut chat, &mut Spooled(neighbours.spool()))?;
    redaction.check(&report)?;
    crate::redaction::note(&report);
    Ok(())
}
