//! Runs the programs that places need.

use std::{
    io::{self, Write},
    process::{Command, Stdio},
    thread,
};

use crate::PublishError;

/// Characters of what a program says that are passed on.
const SAYS_CHARS_MAX: usize = 600;

/// How ssh is started where nobody said otherwise: nobody is there to answer a question, and a host that says nothing any more is given up.
pub(super) const SSH: &str = "ssh -oBatchMode=yes -oConnectTimeout=30 -oServerAliveInterval=15";

/// What a program did.
pub(super) struct Ran {
    /// Its output.
    pub(super) out: Vec<u8>,
    /// The end of what it complained of.
    pub(super) says: String,
    /// Its exit code; 0 for success.
    pub(super) code: i32,
}

/// Runs a program to its end, with bytes as its input.
///
/// # Errors
/// It cannot be started.
pub(super) fn run(
    target: &str,
    program: &'static str,
    command: &mut Command,
    input: Vec<u8>,
) -> Result<Ran, PublishError> {
    let start = || -> io::Result<Ran> {
        let mut child = command
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        // Beside the reading of its output: it may say much before it has read all.
        let stdin = child.stdin.take();
        let feeder = thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&input)));
        let output = child.wait_with_output()?;
        // It may have enough before the end; then its exit code tells.
        drop(feeder.join());
        let says = String::from_utf8_lossy(&output.stderr);
        let says = says.trim();
        let skipped = says.chars().count().saturating_sub(SAYS_CHARS_MAX);
        Ok(Ran {
            out: output.stdout,
            says: says.chars().skip(skipped).collect(),
            code: output.status.code().unwrap_or(-1),
        })
    };
    start().map_err(|source| PublishError::NoProgram {
        target: target.to_owned(),
        program,
        source,
    })
}
