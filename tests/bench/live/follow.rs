//! From a line that is appended to a followed transcript to a viewer's socket, in a short chat and in a very long one by turns.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::crowd::Crowd;
use crate::message;
use crate::numbers::{Promise, Row, percentile};
use crate::served::Served;
use crate::transcript::Transcript;
use crate::{Outcome, Plan, Report, fs};

/// Messages of the two chats.
const SIZES: [u32; 2] = [100, 100_000];
/// Lines appended to each.
const LINES: u32 = 800;
/// Between a line of one chat and one of the other: more than twice that is longer than what is joined into one frame.
const EVERY: Duration = Duration::from_millis(37);
/// Reading the long transcript for the first time.
const FIRST_READ: Duration = Duration::from_secs(300);
const P99_MS_MAX: f64 = 5.0;
const LONG_TIMES_SHORT_MAX: f64 = 1.1;

pub(crate) fn run(plan: &Plan, report: &mut Report) -> Outcome<()> {
    let folder = fresh_folder(plan, "followed")?;
    let mut transcripts = Vec::new();
    for size in SIZES {
        let path = folder.join(format!("chat-{size}.jsonl"));
        transcripts.push(Transcript::create(&path, &format!("chat-{size}"), size)?);
    }
    let begin = Instant::now();
    let served = Served::start(plan, std::slice::from_ref(&folder))?;
    let mut api = served.api()?;
    let mut crowds = Vec::new();
    for size in SIZES {
        // Chats of coding agents are told apart by the session's own name, wherever its transcript lies.
        let session = format!("chat-{size}");
        let chat = api.wait_for_chat(&session, u64::from(size), FIRST_READ)?;
        println!(
            "  {size} messages were read {:.1} s after the start",
            begin.elapsed().as_secs_f64()
        );
        let share = api.share(&chat, &json!({"updates": "live"}))?;
        let mut crowd = Crowd::new()?;
        crowd.join(&served.door(&share), 1)?;
        crowds.push(crowd);
    }
    for crowd in &mut crowds {
        crowd.read_for(Duration::from_secs(1))?;
        crowd.expect(0);
        crowd.take_tally();
    }
    let cpu_before = served.usage().cpu_s()?;
    for number in 0..LINES {
        for (transcript, crowd) in transcripts.iter_mut().zip(&mut crowds) {
            let begin = Instant::now();
            transcript.append(&message::text(number))?;
            let wanted = u64::from(number) + 1;
            crowd.read_until(Duration::from_secs(5), |crowd| {
                crowd.tally.delivered >= wanted
            })?;
            thread::sleep(EVERY.saturating_sub(begin.elapsed()));
        }
    }
    let cpu = served.usage().cpu_s()? - cpu_before;
    let mut p99 = Vec::new();
    for (size, crowd) in SIZES.iter().zip(&mut crowds) {
        let mut tally = crowd.take_tally();
        let missing = u64::from(LINES) - tally.delivered + tally.doubled;
        let times = &mut tally.latencies_us;
        let what = |figure: &str| format!("transcript to socket, {size} messages: {figure}");
        report.row(Row::new(what("median"), "ms").ours(percentile(times, 0.5) / 1e3));
        p99.push(percentile(times, 0.99) / 1e3);
        report.row(
            Row::new(what("p99"), "ms")
                .ours(percentile(times, 0.99) / 1e3)
                .promise(Promise::AtMost(P99_MS_MAX)),
        );
        report.row(
            Row::new(what("lost or doubled"), "")
                .ours(missing as f64)
                .promise(Promise::AtMost(0.0)),
        );
    }
    if let [short, long] = p99[..] {
        report.row(
            Row::new(
                "transcript to socket, p99: long chat beside short one",
                "ms",
            )
            .limit(short)
            .ours(long)
            .promise(Promise::TimesLimit(LONG_TIMES_SHORT_MAX)),
        );
    }
    report.row(
        Row::new("followed lines: server CPU a line", "µs").ours(cpu * 1e6 / f64::from(LINES * 2)),
    );
    Ok(())
}

/// An empty folder below the one for everything that is measured.
pub(crate) fn fresh_folder(plan: &Plan, name: &str) -> Outcome<PathBuf> {
    let folder = plan.folder.join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    Ok(folder)
}
