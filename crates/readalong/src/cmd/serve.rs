//! `readalong serve`: the small server that shows shares and keeps live pages in step.

use std::{
    io::IsTerminal,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::Args;
use readalong_server::{Limits, Server};
use tracing_subscriber::EnvFilter;

use crate::{cancel, data::Data, memory, output, redaction};

/// Where a server listens, where nothing else is said.
pub(crate) const ADDR: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4141);

/// Serve shares: frozen ones as files, live ones as pages that are kept in step while their chat goes on
#[derive(Args)]
#[command(
    after_help = "Examples:\n  readalong serve\n  readalong serve ~/.agent/sessions\n  readalong serve --addr 0.0.0.0:4141 --base-url https://chats.example\n\n\
                  Nobody sees a followed chat before it is shared: `readalong share`. Ctrl-C ends the server in order."
)]
pub(crate) struct Serve {
    /// Folders and transcripts to follow; each transcript is a chat
    #[arg(value_name = "FOLDER")]
    follow: Vec<PathBuf>,

    /// Address and port to listen at; port 0 takes a free one
    #[arg(long, default_value_t = ADDR, value_name = "ADDRESS")]
    addr: SocketAddr,

    /// What links begin with, where a reverse proxy stands in front
    #[arg(long, value_name = "URL", value_parser = base_url)]
    base_url: Option<String>,

    /// What is logged: warn, info, debug, or by part
    #[arg(
        long,
        default_value = "info",
        value_name = "FILTER",
        env = "READALONG_LOG"
    )]
    log: String,

    /// Open pages that one address may have; programs on this machine are not counted
    #[arg(long, value_name = "N")]
    sockets_per_address: Option<usize>,

    /// Configuration file: rules for secrets of your own, and what may stay
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(flatten)]
    data: Data,
}

impl Serve {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        memory::keep_little();
        log_to_stderr(&self.log)?;
        let mut options = self.data.server_options()?;
        if let Some(config) = &self.config {
            options.redact = redaction::options(Some(config))?;
        }
        options.base_url = self.base_url;
        options.follow = self.follow;
        if let Some(sockets) = self.sockets_per_address {
            options.limits = Limits {
                streams_per_address: sockets,
                ..options.limits
            };
        }
        let server = Server::open(options)?;
        serve(server, self.addr, |server| {
            let base = server.base_url().unwrap_or_default();
            output::print_line(&format!("readalong serves {base}"))?;
            if let Some(path) = server.owner_link()? {
                output::print_line(&format!("sign in as the owner (works once): {base}{path}"))?;
            }
            output::note("Ctrl-C ends it.");
            Ok(())
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Listens and answers until somebody cancels; `ready` is called once the server answers.
///
/// # Errors
/// The address cannot be listened at, or is open to others and nobody owns the server.
pub(crate) fn serve(
    server: Server,
    addr: SocketAddr,
    ready: impl FnOnce(&Server) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if !addr.ip().is_loopback() && !server.has_owner()? {
        bail!(
            "nobody owns this server, and {addr} is open to others; make an owner first: `readalong user add NAME --owner`"
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
        server.serve(listener, cancel::cancelled(), tell).await?;
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

fn base_url(text: &str) -> Result<String, String> {
    let url = text.trim_end_matches('/');
    let host = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    match host {
        Some(host) if !host.is_empty() && !host.contains(['?', '#', ' ']) => Ok(url.to_owned()),
        _ => Err("write an address that begins with https:// or http://".to_owned()),
    }
}
