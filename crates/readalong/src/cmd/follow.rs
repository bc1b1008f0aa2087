//! `readalong follow`: streams transcripts to a server elsewhere while they grow.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    thread,
    time::Duration,
};

use anyhow::{Context, bail};
use clap::Args;
use readalong_import::Transcript;
use readalong_live::{
    Connection, FollowOptions, FollowState, Follower, FollowerHandle, Following, HttpSink,
    redacting::{RedactingSink, Redactions},
};

use crate::{
    cancel,
    config::ConfigFile,
    files, output,
    redaction::{self, Redaction},
};

/// Time between two looks at how the files are.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Stream transcripts to a readalong server elsewhere while they grow; loses and doubles nothing when either side restarts
#[derive(Args)]
#[command(
    after_help = "Examples:\n  readalong follow session.jsonl --to https://chats.example\n  READALONG_TOKEN=… readalong follow ~/.agent/sessions --to https://chats.example\n\n\
                  Make a token on the server with `readalong token new NAME`. What is streamed is a chat there; share it there, or through its API."
)]
pub(crate) struct Follow {
    /// Transcripts, or folders of them
    #[arg(required = true, value_name = "FILE|FOLDER")]
    paths: Vec<PathBuf>,

    /// The server
    #[arg(long, value_name = "URL")]
    to: String,

    /// File that holds the API token; without it READALONG_TOKEN is taken, or the token is asked for
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// Stop once everything that is there now has arrived
    #[arg(long)]
    once: bool,

    #[command(flatten)]
    redaction: Redaction,

    #[command(flatten)]
    config: ConfigFile,
}

impl Follow {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.config.config()?;
        let token = self.token()?;
        let redactor = self.redaction.redactor(&config)?;
        if self.redaction.is_off() && self.redaction.waived().is_empty() {
            bail!(
                "`--redact off` sends secrets as they come; say that you waive it: --waive all, or --waive with kinds or rules"
            );
        }
        let forward = HttpSink::new(&self.to, token.trim())?;
        let forward = forward.with_notice(tell_connection);
        // Who names a file wants its chat; a folder does not bring back what was deleted, and gets other files.
        let has_folder = self.paths.iter().any(|path| path.is_dir());
        let forward = Arc::new(match has_folder {
            true => forward.without_deleted(),
            false => forward,
        });
        let redactions = Arc::new(Redactions::new(redactor, |_| Vec::new()));
        let sink = RedactingSink::new(forward.clone(), redactions.clone(), |_, report, _| {
            redaction::note(report);
        });
        let mut options = FollowOptions::default();
        options.host = files::host_name();
        let mut followers = Vec::new();
        for path in &self.paths {
            fs::metadata(path).with_context(|| format!("cannot follow `{}`", path.display()))?;
            followers.push(Follower::start(path, sink.clone(), options.clone())?);
        }
        output::note(&format!("Streaming to {}. Ctrl-C stops.", self.to));
        let mut told: Vec<FollowState> = Vec::new();
        let refused = loop {
            let states: Vec<FollowState> =
                followers.iter().flat_map(FollowerHandle::states).collect();
            for state in states.iter().filter(|state| !told.contains(state)) {
                tell(state);
            }
            let is_there =
                |follower: &FollowerHandle| follower.wait_until_up_to_date(Duration::ZERO);
            let is_refused =
                |state: &&FollowState| matches!(state.following, Following::Refused(_));
            let refused = states.iter().filter(is_refused).count();
            let all_refused = !states.is_empty() && refused == states.len();
            let is_over = all_refused && (!has_folder || forward.is_denied());
            // An end that could be the beginning of a secret comes a moment later.
            let done = self.once && followers.iter().all(is_there) && !redactions.is_holding();
            told = states;
            if done || is_over || cancel::is_cancelled() {
                break refused;
            }
            thread::sleep(LOOK_EVERY);
        };
        forward.stop();
        if self.once && !cancel::is_cancelled() {
            for (path, follower) in self.paths.iter().zip(&followers) {
                check_came(path, &follower.states())?;
            }
        }
        match refused {
            0 => Ok(ExitCode::SUCCESS),
            refused => bail!("{refused} of {} files could not be followed", told.len()),
        }
    }

    fn token(&self) -> anyhow::Result<String> {
        if let Some(file) = &self.token_file {
            return fs::read_to_string(file)
                .with_context(|| format!("cannot read `{}`", file.display()));
        }
        match env::var("READALONG_TOKEN") {
            Ok(token) if !token.trim().is_empty() => Ok(token),
            _ => output::ask_secret(
                &format!("API token of {}: ", self.to),
                "set READALONG_TOKEN, or name a file with --token-file",
            ),
        }
    }
}

/// Fails where a file or folder has nothing that could be brought, with the words that other commands have for it.
fn check_came(path: &Path, states: &[FollowState]) -> anyhow::Result<()> {
    let is_waiting = |state: &FollowState| state.following == Following::Waiting;
    if !states.iter().all(is_waiting) {
        return Ok(());
    }
    if path.is_dir() {
        bail!(
            "`{}` holds no transcript; `readalong formats` lists what can be read",
            path.display()
        );
    }
    let bar = output::progress_bar("reading", 0, true);
    Transcript::open(files::source(path, &bar)?, None)?;
    bail!(
        "`{}` holds no message yet; without --once it is followed until it does",
        path.display()
    )
}

/// Says why nothing happens, and that it goes on.
fn tell_connection(connection: &Connection) {
    match connection {
        Connection::Lost(reason) => output::note(&format!("warning: {reason}; trying again")),
        Connection::Back => output::note("the server answers again"),
    }
}

/// Says what is new of a file: not every step of reading.
fn tell(state: &FollowState) {
    let path = state.path.display();
    match &state.following {
        Following::Waiting | Following::Reading { .. } => {}
        Following::UpToDate => output::note(&format!("{path}: up to date")),
        Following::Gone => output::note(&format!("{path}: gone; its chat stays")),
        Following::Refused(reason) => output::note(&format!("error: {path}: {reason}")),
        Following::Failing(reason) => {
            output::note(&format!("warning: {path}: {reason}; trying again"));
        }
    }
}
