//! Resident memory with a long chat live: as a coding agent writes it, followed from its transcript, and of plain short messages.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::time::Duration;

use serde_json::json;

use crate::crowd::Crowd;
use crate::follow::fresh_folder;
use crate::generator;
use crate::message;
use crate::numbers::{Promise, Row};
use crate::served::{Api, Served};
use crate::{Outcome, Plan, Report};

const MESSAGES: u32 = 20_000;
const VIEWERS: usize = 10;
/// Messages that come while the viewers look.
const MORE: u32 = 50;
/// Messages in one request.
const BATCH: u32 = 100;
/// Reading the transcript for the first time.
const FIRST_READ: Duration = Duration::from_secs(300);
/// Time for a server to come to rest.
const REST: Duration = Duration::from_secs(3);
const RESIDENT_MB_MAX: f64 = 50.0;

pub(crate) fn run(plan: &Plan, report: &mut Report) -> Outcome<()> {
    let folder = fresh_folder(plan, "generated")?;
    let path = folder.join("generated.jsonl");
    let mut out = BufWriter::with_capacity(1 << 20, File::create(&path)?);
    let options = generator::Options::messages(MESSAGES as usize);
    let written = generator::write("claude-code", options, &mut out)?;
    out.flush()?;
    drop(out);
    println!(
        "  a transcript of {} records, {:.1} MB",
        written.messages,
        written.bytes as f64 / 1e6
    );
    let served = Served::start(plan, std::slice::from_ref(&folder))?;
    let mut api = served.api()?;
    // Pieces of one answer are one message of the chat, so there are fewer of these than records: wait until no more come.
    let mut read = 0;
    let chat = loop {
        let chat = api.wait_for_chat("", read + 1, FIRST_READ)?;
        std::thread::sleep(REST);
        let now = api.json("GET", &format!("/api/v1/chats/{chat}"), &json!(null))?["messages"]
            .as_u64()
            .unwrap_or(0);
        if now == read + 1 {
            break chat;
        }
        read = now.saturating_sub(1);
    };
    println!("  are {} messages", read + 1);
    with_viewers(&served, &mut api, &chat, "followed transcript", report)?;
    drop((api, served));

    let served = Served::start(plan, &[])?;
    let mut api = served.api()?;
    let chat = api.create_chat("Long")?;
    for batch in 0..MESSAGES / BATCH {
        let texts: Vec<String> = (0..BATCH)
            .map(|place| {
                let mut text = format!("{}", batch * BATCH + place);
                message::filler(message::MESSAGE_BYTES - text.len(), &mut text);
                text
            })
            .collect();
        api.append(&chat, &texts)?;
    }
    with_viewers(&served, &mut api, &chat, "500-byte messages", report)
}

fn with_viewers(
    served: &Served,
    api: &mut Api,
    chat: &str,
    what: &str,
    report: &mut Report,
) -> Outcome<()> {
    let usage = served.usage();
    let before_mb = usage.resident_kb()? / 1e3;
    let share = api.share(chat, &json!({"updates": "live", "artifacts": true}))?;
    let mut crowd = Crowd::new()?;
    crowd.join(&served.door(&share), VIEWERS)?;
    crowd.expect(0);
    for number in 0..MORE {
        api.append(chat, &[message::text(number)])?;
        let wanted = VIEWERS as u64 * u64::from(number + 1);
        crowd.read_until(Duration::from_secs(5), |crowd| {
            crowd.tally.delivered >= wanted
        })?;
    }
    crowd.read_for(REST)?;
    let resident_mb = usage.resident_kb()? / 1e3;
    let title = |figure: &str| format!("20,000 messages, {what}: {figure}");
    report.row(Row::new(title("resident before it is shared"), "MB").ours(before_mb));
    report.row(
        Row::new(title("resident, ten viewers"), "MB")
            .ours(resident_mb)
            .promise(Promise::AtMost(RESIDENT_MB_MAX)),
    );
    report.row(Row::new(title("peak"), "MB").ours(usage.peak_kb()? / 1e3));
    report.row(
        Row::new(title("lost or doubled"), "")
            .ours((crowd.tally.lost + crowd.tally.doubled) as f64 + crowd.without(MORE - 1) as f64)
            .promise(Promise::AtMost(0.0)),
    );
    Ok(())
}
