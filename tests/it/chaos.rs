//! Many viewers, much to read, and everything that goes wrong: networks that break, viewers that do not read, a server that is killed.
//! Nothing is lost, doubled or out of order.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    env,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    follow::Dice,
    served::{Api, PATIENCE, Served, at, get, get_text, id},
    viewer::{Heard, Item, Line, Page, Told, Viewer, all_items, assert_same_items},
    world::World,
};

/// How much happens.
#[derive(Clone, Copy, Debug)]
struct Size {
    viewers: usize,
    messages: u32,
    /// Times that the server is killed.
    kills: u32,
    /// Messages in one request at most.
    batch: usize,
    /// Longest pause between two requests, in milliseconds.
    pause_ms: usize,
}

const QUICK: Size = Size {
    viewers: 60,
    messages: 600,
    kills: 3,
    batch: 12,
    pause_ms: 30,
};
const FULL: Size = Size {
    viewers: 200,
    messages: 2_000,
    kills: 8,
    batch: 20,
    pause_ms: 120,
};

/// What became of all viewers together.
#[derive(Default)]
struct Sum {
    frames: AtomicU64,
    puts: AtomicU64,
    fetched: AtomicU64,
    connections: AtomicU64,
    cuts: AtomicU64,
    slow: AtomicU64,
}

impl Sum {
    fn add(&self, told: Told) {
        self.frames.fetch_add(told.frames, Ordering::Relaxed);
        self.puts.fetch_add(told.puts, Ordering::Relaxed);
        self.fetched.fetch_add(told.fetched, Ordering::Relaxed);
        self.connections
            .fetch_add(told.connections, Ordering::Relaxed);
    }
}

/// Message number so-and-so; its text is its number, so that what is lost or doubled is seen.
fn message(number: u32, dice: &mut Dice) -> Value {
    let role = match dice.below(3) {
        0 => "user",
        _ => "assistant",
    };
    let words = "Word after word. ".repeat(dice.below(60));
    json!({"id": format!("m-{number}"), "role": role, "text": format!("Number {number}! {words}"), "at": at(number)})
}

/// Sends until the server says that it has it, however often that takes.
fn send(api: &Api, path: &str, body: &Value) {
    let begun = Instant::now();
    loop {
        match api.try_ask("POST", path, body) {
            Ok(answer) if answer.status == 200 || answer.status == 201 => return,
            Ok(answer) => assert!(
                matches!(answer.status, 401 | 503),
                "{} {}",
                answer.status,
                answer.text()
            ),
            Err(_) => {}
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "the server does not take messages"
        );
        thread::sleep(Duration::from_millis(20));
    }
}

/// Numbers of messages in the order in which items show them.
fn numbers(items: &[Item]) -> Vec<u32> {
    let mut numbers = Vec::new();
    for item in items {
        let mut rest = item.html.as_str();
        while let Some((_, after)) = rest.split_once("<p>Number ") {
            let number = after.split('!').next().unwrap();
            numbers.push(number.parse().unwrap());
            rest = after;
        }
    }
    numbers
}

/// Listens until told to stop, with all that happens to a viewer, and then until nothing is missing.
async fn watch(
    link: String,
    seed: u64,
    written: Arc<AtomicU64>,
    last: u32,
    sum: Arc<Sum>,
) -> Viewer {
    let mut dice = Dice::new(seed);
    let mut viewer = Viewer::open(&link).await;
    let is_slow = seed.is_multiple_of(10);
    if is_slow {
        viewer.receive_buffer = Some(4 << 10);
    }
    let mut line: Option<Line> = None;
    let mut quiet = 0;
    loop {
        let mut socket = match line.take() {
            Some(socket) => socket,
            None => viewer.come_back().await,
        };
        let heard = viewer.hear(&mut socket, Duration::from_millis(250)).await;
        // In order at any moment, not only in the end.
        let shown = numbers(&viewer.page.items);
        assert!(
            shown.windows(2).all(|two| two[0] < two[1]),
            "viewer {seed}: {shown:?}"
        );
        match heard {
            Heard::Closed(code) => {
                assert!(
                    matches!(code, None | Some(1001 | 1006 | 1012 | 4408)),
                    "viewer {seed}: closed with {code:?}"
                );
                sum.slow
                    .fetch_add(u64::from(code == Some(4408)), Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(dice.below(300) as u64)).await;
                continue;
            }
            Heard::Frame(_) => quiet = 0,
            Heard::Silence => quiet += 1,
        }
        let written = written.load(Ordering::Relaxed);
        let is_all_written = written > 0;
        if is_all_written && viewer.page.seq >= written && shown.last() == Some(&last) {
            sum.add(viewer.told);
            return viewer;
        }
        if is_all_written {
            assert!(
                quiet < 120,
                "viewer {seed} has {} of {last}",
                shown.last().unwrap_or(&0)
            );
        }
        match dice.below(80) {
            // The network breaks: no word of goodbye.
            0 if !is_all_written => {
                sum.cuts.fetch_add(1, Ordering::Relaxed);
                drop(socket);
                tokio::time::sleep(Duration::from_millis(dice.below(1_500) as u64)).await;
            }
            // It reads nothing for a while.
            1 | 2 if is_slow && !is_all_written => {
                tokio::time::sleep(Duration::from_millis(500 + dice.below(2_500) as u64)).await;
                line = Some(socket);
            }
            _ => line = Some(socket),
        }
    }
}

#[test]
fn through_cuts_and_crashes_nothing_is_lost_doubled_or_out_of_order() {
    let is_full = env::var("READALONG_CHAOS").is_ok_and(|size| size == "full");
    let size = if is_full { FULL } else { QUICK };
    let seed = env::var("READALONG_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1);
    let world = World::new();
    let mut served = Served::with(&world.path("data"), &["--sockets-per-address", "1000"]);
    let token = served.done(&["token", "new", "writer"]);
    let api = served.api.with_token(&token);
    let chat = api.chat("Chaos");
    let path = format!("chats/{chat}/messages");
    let mut dice = Dice::new(seed);
    let mut texts: BTreeMap<u32, Value> = BTreeMap::new();
    texts.insert(0, message(0, &mut dice));
    send(&api, &path, &texts[&0]);
    let share = api.share(&chat, "live");
    let link = served.link(&share);
    let begun = Instant::now();

    // The number of the last change, once everything was written.
    let written = Arc::new(AtomicU64::new(0));
    let sum = Arc::new(Sum::default());
    let last = size.messages - 1;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(16)
        .enable_all()
        .build()
        .unwrap();
    let viewers: Vec<_> = (0..size.viewers as u64)
        .map(|viewer| {
            let (link, written, sum) = (link.clone(), written.clone(), sum.clone());
            runtime.spawn(watch(link, seed * 1_000 + viewer, written, last, sum))
        })
        .collect();

    // One writes, beside it the server is killed at any moment.
    let writing = {
        let api = api.clone();
        thread::spawn(move || {
            let mut next = 1;
            while next <= last {
                let until = (next + 1 + dice.below(size.batch) as u32).min(last + 1);
                let batch: Vec<Value> = (next..until)
                    .map(|number| message(number, &mut dice))
                    .collect();
                for (number, message) in (next..).zip(&batch) {
                    texts.insert(number, message.clone());
                }
                send(&api, &path, &json!(batch));
                if dice.below(6) == 0 {
                    // Sent again, as one does who did not hear the answer.
                    send(&api, &path, &json!(batch));
                }
                if dice.below(4) == 0 {
                    // One that is there already says something else.
                    let number = dice.below(until as usize) as u32;
                    let mut message = texts[&number].clone();
                    message["text"] = json!(format!("Number {number}! Said anew before {until}."));
                    send(&api, &path, &message);
                    texts.insert(number, message);
                }
                next = until;
                dice.pause(size.pause_ms);
            }
            texts
        })
    };
    let mut dice = Dice::new(seed + 77);
    let mut killed = 0;
    while !writing.is_finished() {
        dice.pause(3_000);
        if killed < size.kills {
            served.kill();
            dice.pause(500);
            served.again();
            killed += 1;
        }
    }
    let texts = writing.join().unwrap();
    let lasted_writing = begun.elapsed();
    written.store(Page::parse(&get_text(&link)).seq, Ordering::Relaxed);

    let viewers: Vec<Viewer> = runtime.block_on(async {
        let mut all = Vec::new();
        for viewer in viewers {
            all.push(viewer.await.unwrap());
        }
        all
    });
    let lasted = begun.elapsed();

    // What is there is what was sent.
    let all = all_items(&link);
    assert_eq!(numbers(&all), (0..size.messages).collect::<Vec<_>>());
    let stored = get(&format!("{link}chat.json")).json();
    let stored = stored["messages"].as_array().unwrap();
    assert_eq!(stored.len(), texts.len());
    for (message, sent) in stored.iter().zip(texts.values()) {
        assert_eq!(message["id"], sent["id"]);
        assert_eq!(message["parts"][0]["text"]["markdown"], sent["text"]);
    }
    // A bundle of the same state is the same.
    let frozen = served.api.share(&chat, "frozen");
    assert_same_items(&all_items(&served.link(&frozen)), &all, "the bundle");
    // And every viewer has it.
    let newest = Page::parse(&get_text(&link));
    for (number, viewer) in viewers.iter().enumerate() {
        viewer.assert_is_end_of(&all, &newest, &format!("viewer {number}"));
    }
    let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
    println!(
        "{} viewers, {} messages in {lasted_writing:.1?}, all at the end after {lasted:.1?}; {killed} kills, {} cuts, {} times too slow, {} connections, {} pages fetched, {} frames, {} puts; {}",
        size.viewers,
        size.messages,
        count(&sum.cuts),
        count(&sum.slow),
        count(&sum.connections),
        count(&sum.fetched),
        count(&sum.frames),
        count(&sum.puts),
        id(&share),
    );
    assert!(killed > 0 && count(&sum.cuts) > 0);
    assert_eq!(served.running.stop("-TERM").code, 0);
}
