//! Durable appends through the API, beside a file that the same bytes are appended to and synced.

use std::fs::File;
use std::io::Write as _;
use std::thread;
use std::time::Instant;

use serde_json::json;

use crate::message;
use crate::numbers::{Promise, Row, median, percentile};
use crate::served::Served;
use crate::{Outcome, Plan, Report};

/// Messages in one request.
const BATCH: u32 = 100;
const BATCHES: u32 = 200;
/// Writers at once, each with a chat of its own.
const WRITERS: u32 = 4;
/// Requests of one message each.
const SINGLES: u32 = 1_000;
const A_SECOND_MIN: f64 = 10_000.0;
const SINGLE_P99_MS_MAX: f64 = 20.0;

pub(crate) fn run(plan: &Plan, report: &mut Report) -> Outcome<()> {
    let mut file = File::create(plan.folder.join("synced"))?;
    let served = Served::start(plan, &[])?;
    let (mut bare, mut one, mut four, mut cpu) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut bare_us, mut single_us) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        bare.push(
            f64::from(BATCH * BATCHES)
                / seconds(|| (0..BATCHES).try_for_each(|_| sync(&mut file, BATCH)))?,
        );
        let cpu_before = served.usage().cpu_s()?;
        one.push(
            f64::from(BATCH * BATCHES) / seconds(|| append(&served, BATCHES, BATCH).map(|_| ()))?,
        );
        cpu.push((served.usage().cpu_s()? - cpu_before) * 1e6 / f64::from(BATCH * BATCHES));
        four.push(f64::from(BATCH * BATCHES) / seconds(|| append_at_once(&served))?);
        for _ in 0..SINGLES {
            bare_us.push((seconds(|| sync(&mut file, 1))? * 1e6) as u32);
        }
        single_us.extend(append(&served, SINGLES, 1)?);
    }
    let a_second = |what: &str| {
        Row::new(format!("durable appends in batches of 100, {what}"), "/s")
            .promise(Promise::AtLeast(A_SECOND_MIN))
    };
    report.row(
        a_second("one writer")
            .limit(median(bare.clone()))
            .ours(median(one)),
    );
    report.row(
        a_second("four writers")
            .limit(median(bare))
            .ours(median(four)),
    );
    report.row(
        Row::new(
            "durable appends in batches of 100: server CPU a message",
            "µs",
        )
        .ours(median(cpu)),
    );
    report.row(
        Row::new("one durable append, median", "ms")
            .limit(percentile(&mut bare_us, 0.5) / 1e3)
            .ours(percentile(&mut single_us, 0.5) / 1e3),
    );
    report.row(
        Row::new("one durable append, p99", "ms")
            .limit(percentile(&mut bare_us, 0.99) / 1e3)
            .ours(percentile(&mut single_us, 0.99) / 1e3)
            .promise(Promise::AtMost(SINGLE_P99_MS_MAX)),
    );
    Ok(())
}

fn seconds(what: impl FnOnce() -> Outcome<()>) -> Outcome<f64> {
    let begin = Instant::now();
    what()?;
    Ok(begin.elapsed().as_secs_f64())
}

/// The bare limit: the messages' JSON, one write, one sync.
fn sync(file: &mut File, messages: u32) -> Outcome<()> {
    let mut bytes = Vec::new();
    for number in 0..messages {
        serde_json::to_writer(
            &mut bytes,
            &json!({"role": "assistant", "text": message::text(number)}),
        )?;
        bytes.push(b'\n');
    }
    file.write_all(&bytes)?;
    Ok(file.sync_data()?)
}

/// How long each request took, in µs.
fn append(served: &Served, requests: u32, messages: u32) -> Outcome<Vec<u32>> {
    let mut api = served.api()?;
    let chat = api.create_chat("Appended")?;
    let mut times_us = Vec::new();
    for request in 0..requests {
        let from = request * messages;
        let texts: Vec<String> = (from..from + messages).map(message::text).collect();
        let begin = Instant::now();
        api.append(&chat, &texts)?;
        times_us.push(begin.elapsed().as_micros() as u32);
    }
    Ok(times_us)
}

fn append_at_once(served: &Served) -> Outcome<()> {
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|_| scope.spawn(|| append(served, BATCHES / WRITERS, BATCH)))
            .collect();
        writers.into_iter().try_for_each(|writer| {
            writer.join().map_err(|_| "a writer panicked")??;
            Ok(())
        })
    })
}
