//! The desk's lists: what their first page, a search and a filter take, from the request to the last byte, with ten thousand chats and shares.

use std::thread;
use std::time::Instant;

use serde_json::json;

use crate::numbers::{Promise, Row, percentile};
use crate::served::{Api, Served};
use crate::{Outcome, Plan, Report, message};

const COUNT: usize = 10_000;
/// Connections that fill the server: what they write at one time is made durable together.
const WRITERS: usize = 64;
/// One of so many shares is frozen: each of those makes a bundle, which takes the most time.
const FROZEN_OF: usize = 20;
/// Messages of a chat, and the bytes of each.
const MESSAGES: usize = 10;
const MESSAGE_BYTES: usize = 300;
/// Times that a page is asked for.
const ROUNDS: usize = 50;
const MS_MAX: f64 = 50.0;

pub(crate) fn run(plan: &Plan, report: &mut Report) -> Outcome<()> {
    let served = Served::start(plan, &[])?;
    let write = |writer: usize| -> Outcome<()> {
        let mut api = served.api()?;
        (writer..COUNT)
            .step_by(WRITERS)
            .try_for_each(|number| fill(&mut api, number))
    };
    thread::scope(|scope| -> Outcome<()> {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let write = &write;
                scope.spawn(move || write(writer))
            })
            .collect();
        for writer in writers {
            writer.join().map_err(|_| "a writer panicked")??;
        }
        Ok(())
    })?;
    let mut api = served.api()?;
    for (what, path) in [
        ("Chats: first page", "/chats"),
        ("Chats: by name", "/chats?sort=title"),
        ("Chats: a name is looked for", "/chats?q=subject+77"),
        (
            "Chats: words of every message are looked for",
            "/chats?q=reader+sees",
        ),
        (
            "Chats: words of one message are looked for",
            "/chats?q=Message+7+of+77.",
        ),
        ("Shared chats: first page", "/shares"),
        ("Shared chats: a name is looked for", "/shares?q=subject+77"),
        ("Shared chats: Private", "/shares?visibility=private"),
        ("Shared chats: Frozen", "/shares?updates=frozen"),
    ] {
        let mut times_us = Vec::new();
        for _ in 0..ROUNDS {
            let begin = Instant::now();
            let page = api.page(path)?;
            times_us.push(begin.elapsed().as_micros() as u32);
            if !page.text().contains("subject") {
                return Err(format!("{path} lists nothing").into());
            }
        }
        let mut within = |share: f64| percentile(&mut times_us, share) / 1_000.0;
        report.row(Row::new(format!("{what}: half of the answers within"), "ms").ours(within(0.5)));
        report.row(
            Row::new(format!("{what}: 95 of 100 within"), "ms")
                .ours(within(0.95))
                .promise(Promise::AtMost(MS_MAX)),
        );
    }
    Ok(())
}

/// A chat with messages, and a share of it.
fn fill(api: &mut Api, number: usize) -> Outcome<()> {
    let chat = api.create_chat(&format!("Chat about subject {number}"))?;
    let texts: Vec<String> = (0..MESSAGES)
        .map(|place| {
            let mut text = format!("Message {place} of {number}.");
            message::filler(MESSAGE_BYTES, &mut text);
            text
        })
        .collect();
    api.append(&chat, &texts)?;
    let (updates, visibility) = match (number % FROZEN_OF, number % 3) {
        (0, 0) => ("frozen", "private"),
        (0, _) => ("frozen", "public"),
        (_, 0) => ("live", "private"),
        (_, _) => ("live", "public"),
    };
    api.share(
        &chat,
        &json!({"updates": updates, "visibility": visibility}),
    )?;
    Ok(())
}
