//! Measures what the store promises: how long a durable write takes, how many messages a second go in, and that neither depends on how long the chat is.
//!
//! `cargo bench --package readalong-store`; `TMPDIR` says on which disk. `cargo bench --package readalong-store -- search` fills a store with 10,000 chats of 100 messages and looks for
//! things in it.

use std::time::{Duration, Instant};

use readalong_model::{
    ChangeSet, ChatHead, ChatId, Message, MessageId, Part, Role, Share, ShareId, ShareVisibility,
    Timestamp, Updates, UserId,
};
use readalong_store::{ChatFilter, ShareFilter, Store, UserRole, Write};

/// Bytes of text of a message.
const TEXT_BYTES: usize = 500;

/// Messages of a batch.
const BATCH: u32 = 100;

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = Store::open(folder.path(), |_| {}).expect("a store");
    let owner = add_user(&store);
    if std::env::args().any(|argument| argument == "search") {
        return search(&store, owner, folder.path());
    }
    println!("messages of {TEXT_BYTES} bytes");
    durable(&store, owner);
    together(&store, owner);
    let short = grown(&store, owner, 3, 100);
    let long = grown(&store, owner, 4, 100_000);
    println!("one message more: {short:.1} µs at 100 messages, {long:.1} µs at 100,000");
    memory();
    lists(&store, owner);
    clear(&store);
}

/// One write at a time, each waited for.
fn durable(store: &Store, owner: UserId) {
    let chat = add_chat(store, owner, 1);
    let times = (0..1000).map(|place| timed(|| wait(store, put(&chat, place..place + 1, true))));
    let times = sorted(times.collect());
    println!(
        "durable write of one message: p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
        millis(times[times.len() / 2]),
        millis(times[times.len() * 99 / 100]),
        millis(times[times.len() - 1]),
    );
}

/// Durable batches one after the other, then from several threads at once.
fn together(store: &Store, owner: UserId) {
    let chat = add_chat(store, owner, 2);
    let batches = 200;
    let time = timed(|| {
        for number in 0..batches {
            wait(
                store,
                put(&chat, number * BATCH..(number + 1) * BATCH, true),
            );
        }
    });
    println!(
        "durable batches of {BATCH}: {:.0} messages a second",
        f64::from(batches * BATCH) / time.as_secs_f64()
    );
    let (threads, each) = (16, 250);
    let time = timed(|| {
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let chat = &chat;
                scope.spawn(move || {
                    let first = batches * BATCH + thread * each;
                    for place in first..first + each {
                        wait(store, put(chat, place..place + 1, true));
                    }
                });
            }
        });
    });
    println!(
        "durable messages one by one from {threads} threads: {:.0} a second",
        f64::from(threads * each) / time.as_secs_f64()
    );
}

/// Microseconds that one more message costs a chat of so many, not waiting for the disk.
fn grown(store: &Store, owner: UserId, number: u8, messages: u32) -> f64 {
    let chat = add_chat(store, owner, number);
    let time = timed(|| {
        for first in (0..messages).step_by(BATCH as usize) {
            wait(store, put(&chat, first..first + BATCH, false));
        }
    });
    println!(
        "batches of {BATCH} that need not be durable, to {messages}: {:.0} messages a second",
        f64::from(messages) / time.as_secs_f64()
    );
    let times = (messages..messages + 1000)
        .map(|place| timed(|| wait(store, put(&chat, place..place + 1, false))));
    let times = sorted(times.collect());
    times[times.len() / 2].as_secs_f64() * 1e6
}

/// Lists of 10,000 chats and shares.
fn lists(store: &Store, owner: UserId) {
    let count: u32 = 10_000;
    let mut ids = Vec::new();
    for number in 0..count {
        let id = ChatId::from_random((u128::from(number) << 64).to_be_bytes());
        let share = share(&id, owner, number);
        ids.push(share.id.clone());
        let head = ChatHead {
            title: format!("Chat about subject {number}"),
            ..ChatHead::default()
        };
        store.write(
            Write::CreateChat {
                id,
                owner,
                source: None,
                head,
            },
            |_| {},
        );
        wait_if(number % 100 == 99, store);
        store.write(Write::CreateShare(share), |_| {});
    }
    wait_if(true, store);
    let filter = |text: Option<&str>, offset| ShareFilter {
        text: text.map(str::to_owned),
        offset,
        ..ShareFilter::default()
    };
    for (name, filter) in [
        ("the newest", filter(None, 0)),
        ("from 9,900", filter(None, 9_900)),
        ("with `JECT 77`", filter(Some("JECT 77"), 0)),
        ("with what none has", filter(Some("none of them"), 0)),
    ] {
        let time = best(|| {
            store
                .read(|reader| reader.shares(owner, &filter))
                .expect("shares");
        });
        println!("100 of {count} shares, {name}: {:.2} ms", millis(time));
    }
    let chats = ChatFilter::default();
    let time = best(|| {
        store
            .read(|reader| reader.chats(owner, &chats))
            .expect("chats");
    });
    println!("100 of {count} chats, the newest: {:.2} ms", millis(time));
    let time = best(|| {
        store
            .read(|reader| reader.share(&ids[5000]))
            .expect("a share");
    });
    println!("one share: {:.1} µs", time.as_secs_f64() * 1e6);
}

/// What looking for something costs in 1,000,000 messages.
fn search(store: &Store, owner: UserId, folder: &std::path::Path) {
    let (chats, messages) = (10_000_u32, 100_u32);
    let mut random = Random(88_172_645_463_325_252);
    let words = Words::new(&mut random);
    let began = Instant::now();
    for number in 0..chats {
        let id = ChatId::from_random((u128::from(number) << 64).to_be_bytes());
        let head = ChatHead {
            title: format!("{} {number}", words.text(&mut random, 30)),
            ..ChatHead::default()
        };
        let create = Write::CreateChat {
            id: id.clone(),
            owner,
            source: None,
            head,
        };
        store.write(create, |_| {});
        let message = |place: u32, random: &mut Random| {
            let markdown = words.text(random, TEXT_BYTES);
            let message = Message {
                parts: vec![Part::Text { markdown }],
                ..Message::new(format!("m{place}"), Role::Assistant)
            };
            (place, message)
        };
        let changes = ChangeSet {
            messages: (0..messages)
                .map(|place| message(place, &mut random))
                .collect(),
            ..ChangeSet::default()
        };
        store.write(
            Write::Apply {
                chat: id,
                by: None,
                changes,
                durable: false,
            },
            |_| {},
        );
        wait_if(number % 20 == 19, store);
    }
    println!(
        "{} messages written in {:.0} s",
        chats * messages,
        began.elapsed().as_secs_f64()
    );
    while !store.read(|reader| reader.is_indexed()).expect("an answer") {
        std::thread::sleep(Duration::from_millis(100));
    }
    println!(
        "all of them in the index after {:.0} s",
        began.elapsed().as_secs_f64()
    );
    let size = std::fs::metadata(folder.join("readalong.db")).map_or(0, |meta| meta.len());
    println!("database of {} MB", size >> 20);
    memory();
    let rare = words.0.len() - 1;
    for (name, text) in [
        ("nothing", None),
        ("the word that most messages have", Some(words.0[0].clone())),
        ("a usual word", Some(words.0[300].clone())),
        ("a rare word", Some(words.0[rare].clone())),
        (
            "two usual words side by side",
            Some(format!("{} {}", words.0[20], words.0[21])),
        ),
        ("three letters", Some(words.0[40][..3].to_owned())),
        ("what no message has", Some("qqzzxxyy".to_owned())),
    ] {
        let mut count = 0;
        let filter = ChatFilter {
            search: text,
            limit: 50,
            ..ChatFilter::default()
        };
        let time = best(|| {
            let page = store
                .read(|reader| reader.chats(owner, &filter))
                .expect("chats");
            count = page.chats.len();
        });
        println!("50 chats with {name}: {count} in {:.1} ms", millis(time));
    }
    memory();
}

/// Random numbers that are the same every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Made-up words, the usual ones first: as in speech, the tenth comes a tenth as often as the first.
struct Words(Vec<String>);

impl Words {
    fn new(random: &mut Random) -> Self {
        const SYLLABLES: [&str; 24] = [
            "the", "an", "er", "in", "re", "on", "at", "con", "ti", "al", "st", "ing", "ex", "pro",
            "de", "co", "ver", "ment", "ly", "mi", "sub", "tra", "qui", "ful",
        ];
        let mut word = || {
            let syllables = 2 + random.next() % 3;
            (0..syllables)
                .map(|_| SYLLABLES[random.next() as usize % SYLLABLES.len()])
                .collect()
        };
        Self((0..8_000).map(|_| word()).collect())
    }

    fn text(&self, random: &mut Random, bytes: usize) -> String {
        let mut text = String::new();
        while text.len() < bytes {
            let part = (random.next() % 1_000_000) as f64 / 1e6;
            let rank = (self.0.len() as f64).powf(part) - 1.0;
            text.push_str(&self.0[rank as usize]);
            text.push(' ');
        }
        text
    }
}

/// Reading and removing the chat of 100,000 messages.
fn clear(store: &Store) {
    let chat = ChatId::from_random([4; 16]);
    let mut count = 0;
    let time = timed(|| {
        store
            .read(|reader| reader.messages(&chat, 0..u32::MAX, &mut |_| count += 1))
            .expect("messages");
    });
    println!("{count} messages read in {:.0} ms", millis(time));
    let time = timed(|| drop(store.read(|reader| reader.index(&chat)).expect("an index")));
    println!("their index in {:.0} ms", millis(time));
    memory();
    let id = MessageId("m500".into());
    let erase = Write::Erase {
        chat: chat.clone(),
        by: None,
        id,
    };
    println!(
        "one erased in {:.1} ms",
        millis(timed(|| wait(store, erase)))
    );
    let delete = Write::DeleteChat { chat, by: None };
    println!(
        "all deleted in {:.0} ms",
        millis(timed(|| wait(store, delete)))
    );
}

/// Resident memory, where the kernel tells.
fn memory() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(line) = status.lines().find(|line| line.starts_with("VmRSS")) {
        println!("{line}");
    }
}

fn add_user(store: &Store) -> UserId {
    let write = Write::CreateUser {
        name: "ada".into(),
        role: UserRole::Owner,
        password_hash: None,
    };
    let written = store.write_and_wait(write).expect("a user");
    written.user.expect("a user was made")
}

fn add_chat(store: &Store, owner: UserId, number: u8) -> ChatId {
    let id = ChatId::from_random([number; 16]);
    let head = ChatHead::default();
    wait(
        store,
        Write::CreateChat {
            id: id.clone(),
            owner,
            source: None,
            head,
        },
    );
    id
}

fn share(chat: &ChatId, owner: UserId, number: u32) -> Share {
    Share {
        id: ShareId::from_random((u128::from(number) << 32).to_be_bytes()),
        chat: chat.clone(),
        owner,
        name: None,
        visibility: ShareVisibility::Public,
        updates: Updates::Live,
        includes_artifacts: true,
        created_at: Timestamp::from_millis(i64::from(number)).expect("a time"),
        expires_at: None,
        frozen_at_seq: None,
        bundle: None,
    }
}

fn put(chat: &ChatId, places: std::ops::Range<u32>, durable: bool) -> Write {
    let message = |place: u32| {
        let markdown = format!("{place:>width$}", width = TEXT_BYTES);
        let message = Message {
            parts: vec![Part::Text { markdown }],
            ..Message::new(format!("m{place}"), Role::Assistant)
        };
        (place, message)
    };
    Write::Apply {
        chat: chat.clone(),
        by: None,
        changes: ChangeSet {
            messages: places.map(message).collect(),
            ..ChangeSet::default()
        },
        durable,
    }
}

fn wait(store: &Store, write: Write) {
    store.write_and_wait(write).expect("it is written");
}

/// Waits until all that was sent is written.
fn wait_if(is_due: bool, store: &Store) {
    if is_due {
        let nothing = Write::Setting {
            key: "bench".into(),
            value: None,
        };
        wait(store, nothing);
    }
}

fn timed(run: impl FnOnce()) -> Duration {
    let began = Instant::now();
    run();
    began.elapsed()
}

fn best(mut run: impl FnMut()) -> Duration {
    let times = (0..20).map(|_| timed(&mut run));
    times.min().unwrap_or_default()
}

fn sorted(mut times: Vec<Duration>) -> Vec<Duration> {
    times.sort_unstable();
    times
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
