//! `readalong serve`: the small server that shows shares and keeps live pages in step.

use std::{io::IsTerminal, net::SocketAddr, path::PathBuf, process::ExitCode};

use anyhow::{Context, bail};
use clap::Args;
use readalong_server::{RunningServer, Server};
use tracing_subscriber::EnvFilter;

use crate::{
    cancel,
    config::{self, Flags},
    data::Data,
    memory,
    mirror::Mirror,
    output,
};

/// Serve shares: frozen ones as files, live ones as pages that are kept in step while their chat goes on
#[derive(Args)]
#[command(
    after_help = "Examples:\n  readalong serve\n  readalong serve ~/.agent/sessions\n  readalong serve --addr 0.0.0.0:4141 --base-url https://chats.example\n\n\
                  Nobody sees a followed chat before it is shared: `readalong share`. Ctrl-C ends the server in order. `readalong config` prints what is set."
)]
pub(crate) struct Serve {
    #[command(flatten)]
    flags: ServerFlags,

    #[command(flatten)]
    data: Data,
}

/// What can be said of a server on the command line; everything else is set in the configuration.
#[derive(Args, Clone, Debug)]
pub(crate) struct ServerFlags {
    /// Folders and transcripts to follow; each transcript is a chat
    #[arg(value_name = "FOLDER")]
    follow: Vec<PathBuf>,

    /// Address and port to listen at (default: 127.0.0.1:4141); port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", value_parser = config::listen_addr)]
    addr: Option<SocketAddr>,

    /// What links begin with, where a reverse proxy stands in front
    #[arg(long, value_name = "URL", value_parser = config::base_url)]
    base_url: Option<String>,

    /// What is logged: warn, info (the default), debug, or by part
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,

    /// Open pages that one address may have; programs on this machine are not counted
    #[arg(long, value_name = "N")]
    sockets_per_address: Option<u32>,
}

impl ServerFlags {
    /// What was said.
    pub(crate) fn flags(&self) -> Flags {
        let mut flags = Flags::new();
        if !self.follow.is_empty() {
            let paths = self.follow.iter().map(|path| path.to_string_lossy());
            let paths: Vec<String> = paths.map(std::borrow::Cow::into_owned).collect();
            flags.push(("follow", "FOLDER", paths.into()));
        }
        if let Some(addr) = self.addr {
            flags.push(("addr", "--addr", addr.to_string().into()));
        }
        if let Some(url) = &self.base_url {
            flags.push(("base_url", "--base-url", url.as_str().into()));
        }
        if let Some(log) = &self.log {
            flags.push(("log", "--log", log.as_str().into()));
        }
        if let Some(sockets) = self.sockets_per_address {
            let flag = "--sockets-per-address";
            flags.push((
                "limits.streams_per_address",
                flag,
                i64::from(sockets).into(),
            ));
        }
        flags
    }
}

impl Serve {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        memory::keep_little();
        let config = self.data.settings(self.flags.flags())?.config;
        log_to_stderr(&config.log)?;
        let data = config.data()?;
        let mut options = config.server_options()?;
        // Paths need not be text.
        options.follow = match self.flags.follow.is_empty() {
            true => config.follow.clone(),
            false => self.flags.follow,
        };
        let mirror = Mirror::of(&config)?;
        options.on_change = mirror.as_ref().map(Mirror::listener);
        let server = Server::open(options)?;
        let setup = match config.addr.ip().is_loopback() || server.has_owner()? {
            true => None,
            false => Some(server.begin_setup()?),
        };
        serve(server, config.addr, cancel::cancelled(), |server| {
            let base = server.base_url().unwrap_or_default();
            output::print_line(&format!("readalong serves {base}"))?;
            if let Ok(Some(running)) = RunningServer::of(&data)
                && running.url != base
            {
                output::note(&format!("It listens at {}.", running.addr));
            }
            if config.addr.ip().is_unspecified() && config.base_url.is_none() {
                output::note(&format!(
                    "Links begin with {base}, which others do not reach: say what they call this server with --base-url."
                ));
            }
            if let Some(path) = setup {
                output::print_line(&format!(
                    "nothing is served before there is an account; make it here (works once, within an hour): {base}{path}"
                ))?;
            } else {
                match server.owner_link() {
                    Ok(Some(path)) => {
                        let link = format!("sign in as the owner (works once): {base}{path}");
                        output::print_line(&link)?;
                    }
                    Ok(None) => {}
                    // Who has a link to a share can read it all the same.
                    Err(error) => output::note(&format!("nobody can sign in by a link: {error}")),
                }
            }
            output::note("Ctrl-C ends it.");
            if let Some(mirror) = mirror {
                mirror.start(&config)?;
            }
            Ok(())
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Listens and answers until it is to end; `ready` is called once the server answers, and ends it at once where it fails.
///
/// # Errors
/// The address cannot be listened at, or is open to others and nobody owns the server.
pub(crate) fn serve(
    server: Server,
    addr: SocketAddr,
    end: impl Future<Output = ()> + Send + 'static,
    ready: impl FnOnce(&Server) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if !addr.ip().is_loopback() && !server.has_owner()? && !server.is_in_setup() {
        bail!(
            "nobody owns this server, and {addr} is open to others; make an owner first: `readalong user add NAME --admin`"
        );
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    runtime.block_on(async {
        let listener = server.listen(addr)?;
        let mut told = Ok(());
        let tell = || {
            told = ready(&server);
            if told.is_err() {
                cancel::cancel();
            }
        };
        server.serve(listener, end, tell).await?;
        told
    })
}

/// Sends what the server logs to standard error.
///
/// # Errors
/// The filter cannot be read.
pub(crate) fn log_to_stderr(filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter)
        .with_context(|| format!("`{filter}` is no log filter; write warn, info or debug"))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
    Ok(())
}
