//! Measures what an export costs against the bare limit of the same work, in one run on one machine.
//!
//! `cargo bench --bench export` makes transcripts of 1,000, 10,000 and 100,000 messages below the target folder, exports each with
//! highlighting off and on, and prints ratios beside the figures that the project sets itself. Every measured thing is a process of its own:
//! the limit is this program started again. It measures and prints; it does not judge, since a busy machine is not a wrong program.
//!
//! `-- --messages 1000,10000 --rounds 3` measures less; `-- generate FORMAT MESSAGES FILE` only writes a transcript.

#[path = "generator.rs"]
mod generator;
#[path = "limit.rs"]
mod limit;
#[path = "measure.rs"]
mod measure;

use std::error::Error;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use measure::{Cost, measure, median};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What the project promises itself; printed beside what was measured.
mod promise {
    pub(super) const CPU_PLAIN: f64 = 3.0;
    pub(super) const CPU_HIGHLIGHTED: f64 = 25.0;
    pub(super) const PEAK_MB: f64 = 150.0;
    pub(super) const PAGES: f64 = 0.9;
    pub(super) const BUNDLE: f64 = 2.0;
    pub(super) const PAGE_ONE_KB: f64 = 500.0;
    pub(super) const VERIFY: f64 = 1.5;
    pub(super) const REDACTION: f64 = 0.25;
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        // `cargo test --all-targets` starts benchmarks to see that they start.
        ["--test", ..] => Ok(()),
        ["limit", transcript, folder] => {
            Ok(limit::export(Path::new(transcript), Path::new(folder))?)
        }
        ["generate", format, messages, file] => {
            generate(format, messages.parse()?, Path::new(file)).map(|_| ())
        }
        _ => bench(&Plan::from_arguments(&arguments)?),
    }
}

/// Which sizes to measure and how often.
struct Plan {
    sizes: Vec<usize>,
    rounds: Option<usize>,
    program: PathBuf,
    folder: PathBuf,
}

impl Plan {
    fn from_arguments(arguments: &[String]) -> Outcome<Plan> {
        let mut plan = Plan {
            sizes: vec![1_000, 10_000, 100_000],
            rounds: None,
            program: default_program()?,
            folder: data_folder(),
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let value = arguments
                .next()
                .ok_or_else(|| format!("`{argument}` needs a value"))?;
            match argument.as_str() {
                "--messages" => {
                    plan.sizes = value.split(',').map(str::parse).collect::<Result<_, _>>()?
                }
                "--rounds" => plan.rounds = Some(value.parse()?),
                "--program" => plan.program = PathBuf::from(value),
                "--folder" => plan.folder = PathBuf::from(value),
                _ => return Err(format!("no such argument `{argument}`").into()),
            }
        }
        Ok(plan)
    }

    /// Short runs are repeated more often: they scatter more.
    fn rounds(&self, messages: usize) -> usize {
        self.rounds.unwrap_or(if messages > 20_000 { 3 } else { 7 })
    }
}

fn default_program() -> Outcome<PathBuf> {
    let built = option_env!("CARGO_BIN_EXE_readalong").map(PathBuf::from);
    built
        .or_else(|| std::env::var_os("READALONG").map(PathBuf::from))
        .ok_or_else(|| "set READALONG to the program to measure".into())
}

fn data_folder() -> PathBuf {
    option_env!("CARGO_TARGET_TMPDIR")
        .map_or_else(std::env::temp_dir, PathBuf::from)
        .join("bench-export")
}

fn bench(plan: &Plan) -> Outcome<()> {
    fs::create_dir_all(&plan.folder)?;
    println!(
        "{}: {:.1} MB",
        plan.program.display(),
        megabytes(fs::metadata(&plan.program)?.len())
    );
    let mut results = Vec::new();
    for &messages in &plan.sizes {
        let transcript = plan.folder.join(format!("claude-code-{messages}.jsonl"));
        let written = generate("claude-code", messages, &transcript)?;
        println!(
            "\n{} messages, {} prompts, {:.1} MB ({:.1} MB of images)",
            written.messages,
            written.prompts,
            megabytes(written.bytes),
            megabytes(written.image_bytes)
        );
        let result = bench_one(plan, messages, &transcript, &written)?;
        result.print();
        results.push(result);
    }
    print_linearity(&results);
    Ok(())
}

/// Everything measured on one transcript.
struct Measured {
    messages: usize,
    limit: Cost,
    plain: Cost,
    highlighted: Cost,
    verify: Cost,
    sha256sum: Cost,
    /// What reading costs, and what reading and looking for secrets.
    inspect: Cost,
    secrets: Cost,
    transcript_bytes: u64,
    page_bytes: u64,
    bundle_bytes: u64,
    page_one_bytes: u64,
    pages: usize,
    largest_page: u64,
}

fn bench_one(
    plan: &Plan,
    messages: usize,
    transcript: &Path,
    written: &generator::Written,
) -> Outcome<Measured> {
    let this = std::env::current_exe()?;
    let log = plan.folder.join("log.txt");
    let limit_folder = plan.folder.join("limit");
    let out_folder = plan.folder.join(format!("bundles-{messages}"));
    let limit_arguments = words(&[&"limit", &transcript, &limit_folder]);
    let export_arguments = words(&[&"export", &transcript, &"-o", &out_folder, &"--json"]);
    let plain_arguments: Vec<OsString> = export_arguments
        .iter()
        .cloned()
        .chain([OsString::from("--no-highlight")])
        .collect();
    let inspect_arguments = words(&[&"inspect", &transcript]);
    let secrets_arguments = words(&[&"inspect", &"--secrets", &transcript]);
    let (mut limit, mut plain, mut highlighted) = (Vec::new(), Vec::new(), Vec::new());
    let (mut inspect, mut secrets) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds(messages) {
        fresh(&limit_folder)?;
        limit.push(measure(&this, &limit_arguments, &log)?);
        fresh(&out_folder)?;
        plain.push(measure(&plan.program, &plain_arguments, &log)?);
        fresh(&out_folder)?;
        highlighted.push(measure(&plan.program, &export_arguments, &log)?);
        inspect.push(measure(&plan.program, &inspect_arguments, &log)?);
        secrets.push(measure(&plan.program, &secrets_arguments, &log)?);
    }
    let bundle = bundle_in(&out_folder)?;
    let files = files_below(&bundle)?;
    let verify_arguments = words(&[&"verify", &bundle]);
    let sum_arguments: Vec<OsString> = files
        .iter()
        .map(|(path, _)| path.clone().into_os_string())
        .collect();
    let (mut verify, mut sha256sum) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds(messages) {
        verify.push(measure(&plan.program, &verify_arguments, &log)?);
        sha256sum.push(measure(Path::new("sha256sum"), &sum_arguments, &log)?);
    }
    let pages: Vec<u64> = files
        .iter()
        .filter(|(path, _)| path.extension().is_some_and(|ext| ext == "html"))
        .map(|(_, size)| *size)
        .collect();
    let image_files: u64 = files
        .iter()
        .filter(|(path, _)| path.extension().is_some_and(|ext| ext == "png"))
        .map(|(_, size)| *size)
        .sum();
    Ok(Measured {
        messages,
        limit: median(limit),
        plain: median(plain),
        highlighted: median(highlighted),
        verify: median(verify),
        sha256sum: median(sha256sum),
        inspect: median(inspect),
        secrets: median(secrets),
        transcript_bytes: written.bytes - written.image_bytes,
        page_bytes: pages.iter().sum(),
        bundle_bytes: files.iter().map(|(_, size)| size).sum::<u64>() - image_files,
        page_one_bytes: page_weight(&bundle, "index.html")?,
        pages: pages.len(),
        largest_page: pages.iter().copied().max().unwrap_or(0),
    })
}

impl Measured {
    fn print(&self) {
        println!(
            "{:<26} {:>9} {:>9} {:>9} {:>9} {:>8}",
            "", "CPU s", "wall s", "cores", "peak MB", "× limit"
        );
        for (name, cost) in [
            ("limit", &self.limit),
            ("export, no highlighting", &self.plain),
            ("export", &self.highlighted),
            ("sha256sum", &self.sha256sum),
            ("verify", &self.verify),
            ("inspect", &self.inspect),
            ("inspect --secrets", &self.secrets),
        ] {
            let ratio = cost.cpu_s / self.limit.cpu_s;
            println!(
                "{name:<26} {:>9.3} {:>9.3} {:>9.2} {:>9.1} {ratio:>8.2}",
                cost.cpu_s,
                cost.wall_s,
                cost.cpu_s / cost.wall_s,
                cost.peak_mb
            );
        }
        let transcript = self.transcript_bytes as f64;
        row(
            "CPU, highlighting off",
            self.plain.cpu_s / self.limit.cpu_s,
            promise::CPU_PLAIN,
            "× limit",
        );
        row(
            "CPU, highlighting on",
            self.highlighted.cpu_s / self.limit.cpu_s,
            promise::CPU_HIGHLIGHTED,
            "× limit",
        );
        let redaction = self.secrets.cpu_s - self.inspect.cpu_s;
        row(
            "redaction",
            redaction / self.highlighted.cpu_s,
            promise::REDACTION,
            "of an export's CPU",
        );
        row(
            "redaction, highlighting off",
            redaction / self.plain.cpu_s,
            promise::REDACTION,
            "of an export's CPU",
        );
        row(
            "peak memory",
            self.highlighted.peak_mb.max(self.plain.peak_mb),
            promise::PEAK_MB,
            "MB",
        );
        row(
            "pages",
            self.page_bytes as f64 / transcript,
            promise::PAGES,
            "× transcript without images",
        );
        row(
            "bundle",
            self.bundle_bytes as f64 / transcript,
            promise::BUNDLE,
            "× transcript without images",
        );
        row(
            "page one with all it names",
            self.page_one_bytes as f64 / 1e3,
            promise::PAGE_ONE_KB,
            "KB",
        );
        row(
            "verify, CPU",
            self.verify.cpu_s / self.sha256sum.cpu_s,
            promise::VERIFY,
            "× sha256sum",
        );
        row(
            "verify, wall",
            self.verify.wall_s / self.sha256sum.wall_s,
            promise::VERIFY,
            "× sha256sum",
        );
        println!(
            "{:<26} {} pages, largest {:.0} KB, bundle {:.1} MB",
            "",
            self.pages,
            self.largest_page as f64 / 1e3,
            megabytes(self.bundle_bytes)
        );
    }
}

fn row(name: &str, measured: f64, promised: f64, unit: &str) {
    let verdict = if measured <= promised {
        "kept"
    } else {
        "MISSED"
    };
    println!("{name:<26} {measured:>9.2} of at most {promised} {unit}: {verdict}");
}

/// The cost of one message must not depend on how many there are.
fn print_linearity(results: &[Measured]) {
    println!(
        "\n{:<26} {:>12} {:>12} {:>12}",
        "µs CPU a message", "limit", "plain", "highlighted"
    );
    for result in results {
        let each = |cost: &Cost| cost.cpu_s * 1e6 / result.messages as f64;
        println!(
            "{:<26} {:>12.1} {:>12.1} {:>12.1}",
            result.messages,
            each(&result.limit),
            each(&result.plain),
            each(&result.highlighted)
        );
    }
}

fn generate(format: &str, messages: usize, file: &Path) -> Outcome<generator::Written> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(file)?);
    let written = generator::write(format, generator::Options::messages(messages), &mut out)?;
    out.flush()?;
    Ok(written)
}

fn words(words: &[&dyn AsRef<std::ffi::OsStr>]) -> Vec<OsString> {
    words
        .iter()
        .map(|word| OsString::from(word.as_ref()))
        .collect()
}

/// Empties the folder outside the measured time.
fn fresh(folder: &Path) -> Outcome<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    Ok(fs::create_dir_all(folder)?)
}

fn bundle_in(folder: &Path) -> Outcome<PathBuf> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.join("manifest.json").is_file() {
            return Ok(path);
        }
    }
    Err(format!("no bundle in {}", folder.display()).into())
}

fn files_below(folder: &Path) -> Outcome<Vec<(PathBuf, u64)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            files.extend(files_below(&entry.path())?);
        } else {
            files.push((entry.path(), entry.metadata()?.len()));
        }
    }
    files.sort();
    Ok(files)
}

/// The page and every style, script and picture that it names; what scripts load later is measured in a browser by `open.mjs`.
fn page_weight(bundle: &Path, page: &str) -> Outcome<u64> {
    let html = fs::read_to_string(bundle.join(page))?;
    let mut named: Vec<String> = html
        .split('<')
        .filter(|tag| {
            tag.starts_with("link ") || tag.starts_with("script ") || tag.starts_with("img ")
        })
        .filter_map(|tag| {
            tag.split_once("src=\"")
                .or_else(|| tag.split_once("href=\""))
        })
        .filter_map(|(_, rest)| rest.split('"').next())
        .filter(|path| !path.contains(':'))
        .map(|path| path.replace("&#x2f;", "/"))
        .collect();
    named.sort_unstable();
    named.dedup();
    let mut bytes = html.len() as u64;
    for path in named {
        bytes += fs::metadata(bundle.join(&path))
            .map_err(|error| format!("{page} names {path}: {error}"))?
            .len();
    }
    Ok(bytes)
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
