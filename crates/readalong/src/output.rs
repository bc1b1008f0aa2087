//! What people see in the terminal: lines, errors, warnings, progress.

use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

use anyhow::{Error, anyhow};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use readalong_model::Warning;

use crate::{cancel, help};

/// Warnings that are printed one by one.
const WARNINGS_PRINTED_MAX: usize = 10;

/// Prints a line; foreign text in it cannot steer the terminal, nor begin another line.
pub(crate) fn print_line(line: &str) -> Result<(), Error> {
    writeln!(io::stdout(), "{}", harmless(line))?;
    Ok(())
}

/// So many things, as in `1 page` and `2 pages`.
pub(crate) fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// Prints a line for people beside the output.
pub(crate) fn note(line: &str) {
    eprintln!("{}", harmless(line));
}

/// Asks for what is not shown while it is typed; `instead` says how to give it where there is no terminal.
///
/// # Errors
/// There is no terminal, or nothing is typed.
pub(crate) fn ask_secret(question: &str, instead: &str) -> anyhow::Result<String> {
    rpassword::prompt_password(question).map_err(|error| match error.raw_os_error() {
        Some(_) => anyhow!("there is no terminal to ask at; {instead}"),
        None => error.into(),
    })
}

/// Prints an error and the next step.
pub(crate) fn print_error(error: &Error) {
    if cancel::is_cause(error) {
        return note("error: cancelled; nothing is left half-written");
    }
    // What a parser says may show the place in lines of its own.
    format!("error: {error:#}").lines().for_each(note);
    if let Some(step) = help::next_step(error) {
        note(&format!("help: {step}"));
    }
}

/// Prints warnings, the first ones in full.
pub(crate) fn print_warnings(warnings: &[Warning]) {
    for warning in warnings.iter().take(WARNINGS_PRINTED_MAX) {
        note(&format!("warning: {warning}"));
    }
    if warnings.len() > WARNINGS_PRINTED_MAX {
        note(&format!(
            "warning: {} more; `readalong inspect` lists all",
            warnings.len() - WARNINGS_PRINTED_MAX
        ));
    }
}

/// Characters of foreign text that control, or turn the direction of what follows, become visible as JSON escapes them: a line of JSON says the same.
fn harmless(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    for c in line.chars() {
        match c {
            '\t' => shown.push(c),
            '\n' => shown.push_str("\\n"),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => shown.push_str(&escaped(c)),
            c if c.is_control() => shown.push_str(&escaped(c)),
            c => shown.push(c),
        }
    }
    shown
}

fn escaped(c: char) -> String {
    format!("\\u{:04x}", u32::from(c))
}

/// True where the reader of our output went away: no failure.
pub(crate) fn is_broken_pipe(error: &Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// A progress bar on a terminal, nothing elsewhere.
pub(crate) fn progress_bar(what: &str, length: u64, is_bytes: bool) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr_with_hz(10));
    if !io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    let template = if is_bytes {
        "{msg} {wide_bar} {bytes}/{total_bytes} {eta}"
    } else {
        "{msg} {wide_bar} {pos}/{len} {eta}"
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
