//! Runs a program and says what it cost: CPU time of all its threads, wall time, and the most memory it held.
//!
//! CPU time comes from the shell's `time`, which asks the kernel for the finished child's usage. The peak is the kernel's own high-water
//! mark, read while the program runs, so what it grows by in its last few milliseconds may be missed.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

/// How often the high-water mark is read: seldom enough not to disturb, often enough to miss little.
const POLL: Duration = Duration::from_millis(3);

/// What one run of a program cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) cpu_s: f64,
    pub(crate) wall_s: f64,
    pub(crate) peak_mb: f64,
}

/// Runs the program to its end; what it prints goes to the log.
pub(crate) fn measure(program: &Path, arguments: &[OsString], log: &Path) -> io::Result<Cost> {
    let script = "TIMEFORMAT='%3U %3S %3R'; log=$1; shift; time \"$@\" >\"$log\" 2>&1";
    let mut shell = Command::new("bash")
        .args(["-c", script, "measure"])
        .arg(log)
        .arg(program)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut peak_kb = 0;
    while shell.try_wait()?.is_none() {
        peak_kb = peak_kb.max(peak_of_child(shell.id()).unwrap_or(0));
        thread::sleep(POLL);
    }
    let output = shell.wait_with_output()?;
    let times = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let said = fs::read_to_string(log).unwrap_or_default();
        return Err(io::Error::other(format!(
            "{} failed: {said}{times}",
            program.display()
        )));
    }
    let seconds: Vec<f64> = times
        .split_whitespace()
        .filter_map(|time| time.parse().ok())
        .collect();
    match seconds[..] {
        [user, system, wall] => Ok(Cost {
            cpu_s: user + system,
            wall_s: wall,
            peak_mb: peak_kb as f64 / 1e3,
        }),
        _ => Err(io::Error::other(format!(
            "the shell did not say how long it took: {times}"
        ))),
    }
}

/// The high-water mark in kB of the shell's one child; nothing before it starts and after it ends.
fn peak_of_child(shell: u32) -> Option<u64> {
    let children = fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).ok()?;
    let status = fs::read_to_string(format!(
        "/proc/{}/status",
        children.split_whitespace().next()?
    ))
    .ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// The middle of each measure by itself.
pub(crate) fn median(costs: Vec<Cost>) -> Cost {
    let middle = |of: fn(&Cost) -> f64| {
        let mut values: Vec<f64> = costs.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    };
    Cost {
        cpu_s: middle(|cost| cost.cpu_s),
        wall_s: middle(|cost| cost.wall_s),
        peak_mb: middle(|cost| cost.peak_mb),
    }
}
