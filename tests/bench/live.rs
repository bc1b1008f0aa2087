//! Measures live shares against the bare limits of the same work, in one run on one machine.
//!
//! `cargo bench --bench live` starts the real program with a data folder below the target folder, lets viewers and writers at it, and prints
//! ratios beside the figures that the project sets itself, at the end as a table. What is measured is always a process of its own, so
//! that the CPU time of viewers and writers is not counted. It measures and prints; it does not judge, since a busy machine is not a wrong program.
//!
//! `-- fan-out follow` measures only those scenarios; `--viewers 1000`, `--rounds 1` measure less. `limit` measures the limit of fan-out by itself.
//! `static` needs nginx (Debian's `nginx-light`) and says so where it is absent. How soon a message is in a browser's page is measured by `live-dom.mjs`.

#[path = "live/append.rs"]
mod append;
#[path = "live/crowd.rs"]
mod crowd;
#[path = "live/fan_out.rs"]
mod fan_out;
#[path = "live/follow.rs"]
mod follow;
#[path = "generator.rs"]
mod generator;
#[path = "live/http.rs"]
mod http;
#[path = "live/joined.rs"]
mod joined;
#[path = "live/limit.rs"]
mod limit;
#[path = "live/lists.rs"]
mod lists;
#[path = "live/memory.rs"]
mod memory;
#[path = "live/message.rs"]
mod message;
#[path = "live/numbers.rs"]
mod numbers;
#[path = "live/process.rs"]
mod process;
#[path = "live/revoke.rs"]
mod revoke;
#[path = "live/served.rs"]
mod served;
#[path = "live/stage.rs"]
mod stage;
#[path = "live/stalled.rs"]
mod stalled;
#[path = "live/static_files.rs"]
mod static_files;
#[path = "live/transcript.rs"]
mod transcript;
#[path = "live/websocket.rs"]
mod websocket;

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use numbers::Row;

type Failure = Box<dyn Error + Send + Sync>;
type Outcome<T> = Result<T, Failure>;
type Scenario = fn(&Plan, &mut Report) -> Outcome<()>;

/// Every scenario: its name, what it measures, how, and whether it runs when none is named.
const SCENARIOS: [(&str, &str, Scenario, bool); 10] = [
    (
        "limit",
        "fan-out of the bare limit by itself",
        fan_out::run_limit,
        false,
    ),
    (
        "fan-out",
        "CPU a delivered message, memory an idle viewer, latency",
        fan_out::run,
        true,
    ),
    (
        "joined",
        "writes a second to a viewer of a busy chat",
        joined::run,
        true,
    ),
    (
        "follow",
        "from a line in a transcript to a viewer's socket",
        follow::run,
        true,
    ),
    (
        "stalled",
        "what viewers that stop reading hold, and do to others",
        stalled::run,
        true,
    ),
    (
        "memory",
        "a chat of 20,000 messages with ten viewers",
        memory::run,
        true,
    ),
    (
        "revoke",
        "how fast edits, switches and revocation reach 1,000 viewers",
        revoke::run,
        true,
    ),
    (
        "lists",
        "the desk's lists of 10,000 chats and shares",
        lists::run,
        true,
    ),
    (
        "append",
        "durable appends through the API",
        append::run,
        true,
    ),
    (
        "static",
        "pages of frozen shares, beside nginx",
        static_files::run,
        true,
    ),
];
/// Both ends of ten thousand sockets are files, each end in a process of its own, and some are needed for other things.
const OPEN_FILES: u64 = 12_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "limit") && arguments.len() == 1 {
        return exit(limit::serve().map_err(Failure::from));
    }
    // `cargo test --benches` starts benchmarks to see that they start.
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("`cargo bench --bench live` measures; scenarios:");
        for (name, what, ..) in SCENARIOS {
            println!("  {name:<10} {what}");
        }
        return ExitCode::SUCCESS;
    }
    exit(Plan::from_arguments(&arguments).and_then(|plan| bench(&plan)))
}

fn exit(outcome: Outcome<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What to measure, how often, and with which program.
struct Plan {
    scenarios: Vec<String>,
    rounds: usize,
    viewers: Option<usize>,
    program: PathBuf,
    folder: PathBuf,
}

impl Plan {
    fn from_arguments(arguments: &[String]) -> Outcome<Self> {
        let mut plan = Self {
            scenarios: Vec::new(),
            rounds: 3,
            viewers: None,
            program: option_env!("CARGO_BIN_EXE_readalong")
                .map(PathBuf::from)
                .or_else(|| std::env::var_os("READALONG").map(PathBuf::from))
                .unwrap_or_else(|| PathBuf::from("readalong")),
            folder: option_env!("CARGO_TARGET_TMPDIR")
                .map_or_else(std::env::temp_dir, PathBuf::from)
                .join("bench-live"),
        };
        let mut arguments = arguments.iter().filter(|argument| *argument != "--bench");
        while let Some(argument) = arguments.next() {
            if SCENARIOS.iter().any(|(name, ..)| name == argument) {
                plan.scenarios.push(argument.clone());
                continue;
            }
            let value = arguments
                .next()
                .ok_or_else(|| format!("`{argument}` is no scenario, or needs a value"))?;
            match argument.as_str() {
                "--rounds" => plan.rounds = value.parse()?,
                "--viewers" => plan.viewers = Some(value.parse()?),
                "--program" => plan.program = PathBuf::from(value),
                "--folder" => plan.folder = PathBuf::from(value),
                _ => return Err(format!("no such argument `{argument}`").into()),
            }
        }
        Ok(plan)
    }

    fn has(&self, scenario: &str, by_default: bool) -> bool {
        if self.scenarios.is_empty() {
            by_default
        } else {
            self.scenarios.iter().any(|name| name == scenario)
        }
    }
}

/// Rows as they come, and why some did not.
#[derive(Default)]
struct Report {
    rows: Vec<Row>,
    skipped: Vec<String>,
}

impl Report {
    fn row(&mut self, row: Row) {
        row.print();
        self.rows.push(row);
    }

    fn skip(&mut self, why: String) {
        println!("  skipped: {why}");
        self.skipped.push(why);
    }
}

/// A scenario that fails is told of; the others are measured all the same.
fn bench(plan: &Plan) -> Outcome<()> {
    fs::create_dir_all(&plan.folder)?;
    process::raise_open_files(OPEN_FILES)?;
    println!(
        "{}, {} cores, {} rounds",
        plan.program.display(),
        std::thread::available_parallelism()?,
        plan.rounds
    );
    let mut report = Report::default();
    for (name, what, scenario, by_default) in SCENARIOS {
        if plan.has(name, by_default) {
            println!("\n{name}: {what}");
            if let Err(error) = scenario(plan, &mut report) {
                report.skip(format!("{name} failed: {error}"));
            }
        }
    }
    numbers::print_table(&report.rows);
    for why in &report.skipped {
        println!("\nskipped: {why}");
    }
    Ok(())
}
