//! The command: arguments, wiring, printing, exit codes. Everything else lives in the libraries.

mod cancel;
mod client;
mod cmd;
mod config;
mod data;
mod files;
mod help;
mod link;
mod memory;
mod mirror;
mod moment;
mod output;
mod pick;
mod publications;
mod publishing;
mod redaction;
mod sealing;
mod upload;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Share AI chats read-only: take a transcript, get pages that anybody can read and nobody can change.
#[derive(Parser)]
#[command(
    version,
    arg_required_else_help = true,
    after_help = "Start with:\n  readalong demo\n  readalong export CHAT.jsonl --open\n  readalong share CHAT.jsonl --live\n\nExit codes: 0 done, 1 verify, published or inspect --secrets found something, 2 failed."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(cmd::demo::Demo),
    Export(cmd::export::Export),
    Serve(cmd::serve::Serve),
    Share(cmd::share::Share),
    List(cmd::list::List),
    Show(cmd::show::Show),
    Update(cmd::update::Update),
    Rm(cmd::rm::Rm),
    Follow(cmd::follow::Follow),
    User(cmd::user::User),
    Token(cmd::token::Token),
    Legacy(cmd::legacy::Legacy),
    Inspect(cmd::inspect::Inspect),
    Rescan(cmd::rescan::Rescan),
    Publish(cmd::publish::Publish),
    Unpublish(cmd::unpublish::Unpublish),
    Published(cmd::published::Published),
    Verify(cmd::verify::Verify),
    Pack(cmd::pack::Pack),
    Unpack(cmd::unpack::Unpack),
    Formats(cmd::formats::Formats),
    Theme(cmd::theme::Theme),
    Config(cmd::config::Config),
    Completions(cmd::completions::Completions),
}

fn main() -> ExitCode {
    cancel::watch();
    let result = match Cli::parse().command {
        Command::Demo(command) => command.run(),
        Command::Export(command) => command.run(),
        Command::Serve(command) => command.run(),
        Command::Share(command) => command.run(),
        Command::List(command) => command.run(),
        Command::Show(command) => command.run(),
        Command::Update(command) => command.run(),
        Command::Rm(command) => command.run(),
        Command::Follow(command) => command.run(),
        Command::User(command) => command.run(),
        Command::Token(command) => command.run(),
        Command::Legacy(command) => command.run(),
        Command::Inspect(command) => command.run(),
        Command::Rescan(command) => command.run(),
        Command::Publish(command) => command.run(),
        Command::Unpublish(command) => command.run(),
        Command::Published(command) => command.run(),
        Command::Verify(command) => command.run(),
        Command::Pack(command) => command.run(),
        Command::Unpack(command) => command.run(),
        Command::Formats(command) => command.run(),
        Command::Theme(command) => command.run(),
        Command::Config(command) => command.run(),
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
