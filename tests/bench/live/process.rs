//! Programs that are measured while they run: CPU time of all their threads, memory, and what the kernel holds for their sockets.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::Outcome;

/// What one tick of `/proc/<pid>/stat` lasts, on every Linux.
const TICK_S: f64 = 0.01;

/// A program that ends when this is dropped.
pub(crate) struct Program {
    child: Child,
}

impl Program {
    pub(crate) fn start(command: &mut Command) -> Outcome<Self> {
        let child = command
            .spawn()
            .map_err(|error| format!("cannot start {:?}: {error}", command.get_program()))?;
        Ok(Self { child })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn usage(&self) -> Usage {
        Usage { id: self.id() }
    }

    /// What the processes that it started have used.
    pub(crate) fn usages_of_children(&self) -> Outcome<Vec<Usage>> {
        let id = self.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
        let ids: Result<Vec<u32>, _> = children.split_whitespace().map(str::parse).collect();
        Ok(ids?.into_iter().map(|id| Usage { id }).collect())
    }

    /// Waits until it has ended by itself.
    pub(crate) fn wait(&mut self) {
        let _ = self.child.wait();
    }

    /// Ends it at once.
    pub(crate) fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Whether it ended by itself.
    pub(crate) fn has_ended(&mut self) -> Outcome<bool> {
        Ok(self.child.try_wait()?.is_some())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.end();
    }
}

/// The bare limit: this program started again.
pub(crate) struct Limit {
    pub(crate) program: Program,
    pub(crate) address: SocketAddr,
}

impl Limit {
    pub(crate) fn start() -> Outcome<Self> {
        let this = std::env::current_exe()?;
        let mut command = Command::new(this);
        command
            .arg("limit")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut program = Program::start(&mut command)?;
        let stdout = program
            .child
            .stdout
            .take()
            .ok_or("the limit has no output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        Ok(Self {
            address: line.trim().parse()?,
            program,
        })
    }
}

/// What a process has used so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    id: u32,
}

impl Usage {
    /// CPU seconds of all its threads, also of those that ended.
    pub(crate) fn cpu_s(self) -> Outcome<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id))?;
        // The name, in brackets, may hold anything.
        let fields = stat.rsplit_once(')').ok_or("no fields in stat")?.1;
        let ticks: Vec<f64> = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse().ok())
            .collect();
        Ok(ticks.iter().sum::<f64>() * TICK_S)
    }

    /// Resident memory in KB. The cheap counters of `status` are off by hundreds of KB, so each mapping is asked.
    pub(crate) fn resident_kb(self) -> Outcome<f64> {
        line_kb(&format!("/proc/{}/smaps_rollup", self.id), "Rss:")
    }

    /// The most resident memory so far, in KB.
    pub(crate) fn peak_kb(self) -> Outcome<f64> {
        line_kb(&format!("/proc/{}/status", self.id), "VmHWM:")
    }
}

fn line_kb(file: &str, name: &str) -> Outcome<f64> {
    let text = fs::read_to_string(file)?;
    text.lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| format!("no {name} in {file}").into())
}

/// What the kernel holds for each connection of the server at `port`, in bytes, by the port of the viewer: queued to be sent, kept ready
/// for it, and come but not read. Asks `ss`; `None` where that is not installed.
pub(crate) fn kernel_bytes(port: u16) -> Outcome<Option<Vec<(u16, u64)>>> {
    let asked = Command::new("ss")
        .args(["-tmnHO", "state", "all", "sport", "=", &format!(":{port}")])
        .output();
    let output = match asked {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(Some(text.lines().filter_map(held_by_line).collect()))
}

/// `ESTAB 0 0 127.0.0.1:80 127.1.0.1:4000 skmem:(r0,rb131072,t0,tb87040,f4096,w0,o0,bl0,d0)`
fn held_by_line(line: &str) -> Option<(u16, u64)> {
    let (addresses, memory) = line.split_once("skmem:(")?;
    let viewer = addresses.split_whitespace().last()?.rsplit_once(':')?.1;
    let held = memory
        .trim_end()
        .trim_end_matches(')')
        .split(',')
        .filter_map(|field| {
            let digits = field.find(|c: char| c.is_ascii_digit())?;
            let bytes: u64 = field[digits..].parse().ok()?;
            matches!(&field[..digits], "r" | "w" | "f").then_some(bytes)
        })
        .sum();
    Some((viewer.parse().ok()?, held))
}

/// Raises the number of files that this program and what it starts may hold open, as far as the system allows.
pub(crate) fn raise_open_files(wanted: u64) -> Outcome<()> {
    let allowed = rlimit::increase_nofile_limit(wanted)?;
    if allowed < wanted {
        return Err(format!("only {allowed} files may be open at once, {wanted} are needed: raise the hard limit with `ulimit -Hn`").into());
    }
    Ok(())
}

/// True where a program of that name can be started.
pub(crate) fn is_installed(name: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|paths| {
        std::env::split_paths(&paths)
            .chain([Path::new("/usr/sbin").to_owned()])
            .any(|folder| folder.join(name).is_file())
    })
}
