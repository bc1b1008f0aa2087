//! The command: arguments, wiring, printing, exit codes. Everything else lives in the libraries.

mod cancel;
mod cmd;
mod files;
mod help;
mod output;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Share AI chats read-only: take a transcript, get pages that anybody can read and nobody can change.
#[derive(Parser)]
#[command(
    version,
    arg_required_else_help = true,
    after_help = "Start with:\n  readalong export CHAT.jsonl --open\n\nExit codes: 0 done, 1 verify found something, 2 failed."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Export(cmd::export::Export),
    Inspect(cmd::inspect::Inspect),
    Verify(cmd::verify::Verify),
    Formats(cmd::formats::Formats),
    Theme(cmd::theme::Theme),
    Completions(cmd::completions::Completions),
}

fn main() -> ExitCode {
    cancel::watch();
    let result = match Cli::parse().command {
        Command::Export(command) => command.run(),
        Command::Inspect(command) => command.run(),
        Command::Verify(command) => command.run(),
        Command::Formats(command) => command.run(),
        Command::Theme(command) => command.run(),
        Command::Completions(command) => command.run(),
    };
    match result {
        Ok(code) => code,
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::print_error(&error);
            ExitCode::from(2)
        }
    }
}
