//! Transcripts that grow, by the real server and the real `follow`, while somebody writes them in every way there is and somebody else watches.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    env, fs,
    fs::OpenOptions,
    io::Write,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    served::{
        Api, PATIENCE, Running, Served, done_on, get, get_text, id, on, try_on, wait_for,
        wait_until,
    },
    viewer::{Heard, Item, Page, Viewer, all_items, assert_same_items, block_on, items_of_bundle},
    world::{Exported, Session, World, program, run},
};

/// Schedules of a quick run; `READALONG_SCHEDULES` says how many.
const SCHEDULES: u64 = 40;
/// Files that are written at the same time.
const AT_ONCE: usize = 10;

/// Numbers that look random and are the same each time.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5555_aaaa)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % limit.max(1)
    }

    pub(crate) fn pause(&mut self, below_ms: usize) {
        thread::sleep(Duration::from_millis(self.below(below_ms) as u64));
    }
}

pub(crate) fn append(path: &Path, bytes: &[u8]) {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    file.write_all(bytes).unwrap();
}

/// What an import of a file gives: the pages' items and the messages.
fn imported(world: &World, file: &Path) -> (Vec<Item>, Value) {
    let out = world.path("imports").join(file.file_stem().unwrap());
    let ran = run(program()
        .arg("export")
        .arg(file)
        .args(["--no-artifacts", "--json", "--out"])
        .arg(out));
    assert_eq!(ran.code, 0, "{}: {}", file.display(), ran.err);
    let exported = Exported::of(&ran);
    (
        items_of_bundle(&exported.path),
        exported.chat()["messages"].clone(),
    )
}

/// The chat of a followed file, once it is there.
fn chat_of(api: &Api, file: &Path) -> String {
    let file = file.to_str().unwrap();
    wait_for("a file's chat", || {
        let followed = api.get("follow");
        let files = followed.as_array().unwrap().iter();
        let mut files = files.flat_map(|entry| entry["files"].as_array().unwrap());
        let found = files.find(|entry| entry["path"] == file)?;
        found["chat"].as_str().map(str::to_owned)
    })
}

/// Listens until the page shows what an import of the file shows; back when both, and a fresh page, are the same.
async fn settle(
    world: &World,
    viewer: &mut Viewer,
    line: &mut crate::viewer::Line,
    link: &str,
    file: &Path,
    what: &str,
) {
    let (bundle, messages) = imported(world, file);
    let begun = Instant::now();
    while viewer.page.items != bundle {
        match viewer.hear(line, Duration::from_millis(300)).await {
            Heard::Closed(_) => *line = viewer.come_back().await,
            Heard::Frame(_) => {}
            Heard::Silence if begun.elapsed() > PATIENCE => {
                let text = fs::read_to_string(file).unwrap();
                let fresh = all_items(link);
                let is_fresh = if fresh == bundle {
                    "as it should be"
                } else {
                    "wrong too"
                };
                eprintln!("{what}: the server's page is {is_fresh}; the file is\n{text}");
                assert_same_items(&viewer.page.items, &bundle, what);
            }
            Heard::Silence => {}
        }
    }
    let mut fresh = Vec::new();
    wait_until("a fresh page is the same", || {
        fresh = all_items(link);
        fresh == bundle
    });
    let begun = Instant::now();
    loop {
        let served = get(&format!("{link}chat.json")).json()["messages"].clone();
        if served == messages {
            break;
        }
        if begun.elapsed() > PATIENCE / 4 {
            assert_eq!(served, messages, "{what}: chat.json");
        }
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_folder_is_followed_as_files_appear() {
    let world = World::new();
    let folder = world.path("sessions");
    let old = world.write(
        "sessions/old.jsonl",
        Session::new().prompt("Old").answer("One.").text(),
    );
    world.write("sessions/notes.txt", "no transcript");
    let served = Served::with(&world.path("data"), &[folder.to_str().unwrap()]);
    let old_chat = chat_of(&served.api, &old);
    let new = world.write(
        "sessions/deep/new.jsonl",
        Session::new().prompt("New").text(),
    );
    let new_chat = chat_of(&served.api, &new);
    assert_ne!(old_chat, new_chat);

    // Nobody but the owner sees them.
    assert_eq!(served.done(&["list", "--json"]), "");
    assert_eq!(
        served.done(&["list", "--chats", "--json"]).lines().count(),
        2
    );

    let share = served.api.share(&new_chat, "live");
    let link = served.link(&share);
    block_on(async {
        let mut viewer = Viewer::open(&link).await;
        let mut line = viewer.come_back().await;
        viewer.hear(&mut line, PATIENCE).await;
        // A line comes at once; half a line waits for its other half.
        let session = Session::new()
            .prompt("New")
            .answer("First.")
            .answer("Second, with äöü.")
            .answer("Third.");
        let text = session.text();
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let begun = Instant::now();
        append(&new, lines[1].as_bytes());
        viewer
            .hear_until(&mut line, "a line", |viewer| {
                viewer.text().contains("First.")
            })
            .await;
        assert!(
            begun.elapsed() < Duration::from_millis(1_500),
            "it is not the poll that finds it: {:?}",
            begun.elapsed()
        );
        let cut = lines[2].find('ä').unwrap() + 1;
        append(&new, &lines[2].as_bytes()[..cut]);
        while !matches!(
            viewer.hear(&mut line, Duration::from_millis(400)).await,
            Heard::Silence
        ) {}
        assert!(!viewer.text().contains("Second"));
        append(&new, &lines[2].as_bytes()[cut..]);
        viewer
            .hear_until(&mut line, "its other half", |viewer| {
                viewer.text().contains("Second, with äöü.")
            })
            .await;
        // The last line has no end yet.
        append(&new, lines[3].trim_end().as_bytes());
        viewer
            .hear_until(&mut line, "a line without its end", |viewer| {
                viewer.text().contains("Third.")
            })
            .await;
        append(&new, b"\n");
        settle(&world, &mut viewer, &mut line, &link, &new, "by line").await;
        assert_eq!(viewer.told.fetched, 1);

        // The file goes; the chat stays, also over a restart, and goes on when the file is back.
        fs::rename(&new, world.path("elsewhere")).unwrap();
        wait_until("it is seen", || {
            served.api.get("follow").to_string().contains("\"gone\"")
        });
        assert!(get_text(&link).contains("Third."));
        fs::rename(world.path("elsewhere"), &new).unwrap();
        append(
            &new,
            session
                .answer("Fourth.")
                .text()
                .split_inclusive('\n')
                .next_back()
                .unwrap()
                .as_bytes(),
        );
        viewer
            .hear_until(&mut line, "it is back", |viewer| {
                viewer.text().contains("Fourth.")
            })
            .await;
    });
    assert_eq!(
        served.done(&["list", "--chats", "--json"]).lines().count(),
        2,
        "the same chat"
    );
}

#[test]
fn what_was_written_while_no_server_ran_is_there_afterwards() {
    let world = World::new();
    let session = Session::new()
        .prompt("Question")
        .answer("One.")
        .answer("Two.")
        .answer("Three.");
    let file = world.write("sessions/s.jsonl", session.first(2));
    let mut served = Served::with(
        &world.path("data"),
        &[world.path("sessions").to_str().unwrap()],
    );
    let chat = chat_of(&served.api, &file);
    let link = served.link(&served.api.share(&chat, "live"));
    for lines in [3, 4, 1] {
        served.kill();
        fs::write(&file, session.first(lines)).unwrap();
        served.again();
        let (bundle, _) = imported(&world, &file);
        wait_until("the page is as the file", || all_items(&link) == bundle);
        assert_eq!(chat_of(&served.api, &file), chat);
    }
    assert_eq!(
        served.done(&["list", "--chats", "--json"]).lines().count(),
        1
    );
}

#[test]
fn a_file_of_a_followed_folder_is_shared_by_name() {
    let world = World::new();
    let file = world.write(
        "sessions/s.jsonl",
        Session::new().prompt("Question").answer("One.").text(),
    );
    let served = Served::with(
        &world.path("data"),
        &[world.path("sessions").to_str().unwrap()],
    );
    chat_of(&served.api, &file);
    let share: Value =
        serde_json::from_str(&served.done(&["share", file.to_str().unwrap(), "--live", "--json"]))
            .unwrap();
    let link = served.link(&share);
    block_on(async {
        let mut viewer = Viewer::open(&link).await;
        let mut line = viewer.come_back().await;
        let mut session = Session::new().prompt("Question").answer("One.");
        for number in 0..20 {
            session = session.answer(&format!("Piece {number}."));
            append(
                &file,
                session
                    .text()
                    .split_inclusive('\n')
                    .next_back()
                    .unwrap()
                    .as_bytes(),
            );
        }
        settle(
            &world,
            &mut viewer,
            &mut line,
            &link,
            &file,
            "followed twice",
        )
        .await;
    });
    assert_eq!(
        served.done(&["list", "--chats", "--json"]).lines().count(),
        1,
        "one chat a file"
    );
}

#[test]
fn follow_says_what_is_wrong() {
    let world = World::new();
    let served = Served::start(&world);
    let file = world.write("s.jsonl", Session::new().prompt("Question").text());
    let url = served.api.url.clone();
    let follow = |token: &str, file: &Path, url: &str| {
        let mut command = on(&world.path("none"));
        command
            .env("READALONG_TOKEN", token)
            .arg("follow")
            .arg(file)
            .args(["--to", url]);
        Running::start(&mut command).ended()
    };
    let ran = follow("not-a-token", &file, &url);
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(ran.err.contains("token"), "{}", ran.err);
    // New files of a folder would not be taken either.
    let folder = world.path("sessions");
    world.write("sessions/s.jsonl", Session::new().prompt("Question").text());
    let ran = follow("not-a-token", &folder, &url);
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(ran.err.contains("token"), "{}", ran.err);
    let ran = follow("x", &world.path("nothing.jsonl"), &url);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("nothing.jsonl"), "{}", ran.err);
    let ran = follow("x", &file, "ftp://nowhere");
    assert_eq!(ran.code, 2);
    assert!(
        ran.err.contains("ftp://nowhere") || ran.err.contains("http"),
        "{}",
        ran.err
    );
    let ran = try_on(
        &world.path("none"),
        &["follow", file.to_str().unwrap(), "--to", &url],
    );
    assert_eq!(ran.code, 2, "no token, and nobody to ask");
    assert!(
        ran.err.contains("READALONG_TOKEN") && ran.err.contains("--token-file"),
        "{}",
        ran.err
    );
    assert!(!world.path("none").exists(), "follow has no data folder");
    // A viewer's token is not enough.
    let mut add = on(&served.data);
    add.args(["user", "add", "ada", "--password-stdin"])
        .stdin(fs::File::open(world.write("password", "correct-horse\n")).unwrap());
    assert_eq!(run(&mut add).code, 0);
    let token = served.done(&["token", "new", "x", "--user", "ada"]);
    let ran = follow(token.trim(), &file, &url);
    assert_eq!(ran.code, 2, "{}", ran.err);
}

#[test]
fn follow_brings_a_folder_to_a_server_elsewhere() {
    let world = World::new();
    let served = Served::start(&world);
    let one = world.write(
        "sessions/one.jsonl",
        Session::new().prompt("One").answer("Yes.").text(),
    );
    let two = world.write(
        "sessions/deep/two.jsonl",
        Session::new().prompt("Two").answer("No.").text(),
    );
    let token = world.write("token", served.done(&["token", "new", "laptop"]));
    let mut command = on(&world.path("none"));
    command
        .arg("follow")
        .arg(world.path("sessions"))
        .args(["--to", &served.api.url, "--token-file"])
        .arg(&token);
    let mut following = Running::start(&mut command);
    wait_until("two chats", || {
        served.api.get("chats").as_array().unwrap().len() == 2
    });
    append(
        &one,
        Session::new()
            .prompt("One")
            .answer("Yes.")
            .answer("Yes indeed.")
            .text()
            .split_inclusive('\n')
            .next_back()
            .unwrap()
            .as_bytes(),
    );
    let three = world.write(
        "sessions/three.jsonl",
        Session::new().prompt("Three").text(),
    );
    wait_until("three chats", || {
        served.api.get("chats").as_array().unwrap().len() == 3
    });
    for file in [&one, &two, &three] {
        let (bundle, _) = imported(&world, file);
        let chats = served.api.get("chats");
        let name = file.file_name().unwrap().to_str().unwrap();
        let chat = chats.as_array().unwrap().iter().find(|chat| {
            let source = chat["source"].as_str().unwrap();
            source.ends_with(name)
        });
        let chat = chat.unwrap_or_else(|| panic!("{name} in {chats}"));
        let link = served.link(&served.api.share(id(chat), "live"));
        wait_until("it is as the file", || all_items(&link) == bundle);
    }
    let ran = following.stop("-INT");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("up to date"), "{}", ran.err);
}

#[test]
fn follow_loses_and_doubles_nothing_through_crashes_of_either_side() {
    let world = World::new();
    let mut served = Served::start(&world);
    let mut session = Session::new().prompt("Question 0");
    let file = world.write("s.jsonl", session.text());
    let token = world.write("token", served.done(&["token", "new", "laptop"]));
    let url = served.api.url.clone();
    let follow = || {
        let mut command = on(&world.path("none"));
        command
            .arg("follow")
            .arg(&file)
            .args(["--to", &url, "--token-file"])
            .arg(&token);
        Running::start(&mut command)
    };
    let mut following = follow();
    let chat = wait_for("the chat", || {
        let chats = served.api.get("chats");
        chats[0]["id"].as_str().map(str::to_owned)
    });
    let link = served.link(&served.api.share(&chat, "live"));
    block_on(async {
        let mut viewer = Viewer::open(&link).await;
        let mut line = viewer.come_back().await;
        let mut dice = Dice::new(7);
        for round in 0..8 {
            for _ in 0..30 {
                let number = session.len();
                session = match dice.below(4) {
                    0 => session.prompt(&format!("Question {number}")),
                    1 => session.call(
                        &format!("c{number}"),
                        "Bash",
                        &json!({"command": format!("ls {number}")}),
                    ),
                    2 => session.result(
                        &format!("c{}", number - 1),
                        &json!(format!("result {number}")),
                    ),
                    _ => session.answer(&format!("Answer {number}")),
                };
                let text = session.text();
                append(
                    &file,
                    text.split_inclusive('\n').next_back().unwrap().as_bytes(),
                );
                viewer
                    .hear(&mut line, Duration::from_millis(dice.below(15) as u64))
                    .await;
            }
            match round % 3 {
                0 => {
                    served.kill();
                    viewer
                        .hear(&mut line, Duration::from_millis(dice.below(400) as u64))
                        .await;
                    served.again();
                    line = viewer.come_back().await;
                }
                1 => {
                    following.kill();
                    following = follow();
                }
                _ => {
                    served.kill();
                    following.kill();
                    following = follow();
                    viewer
                        .hear(&mut line, Duration::from_millis(dice.below(400) as u64))
                        .await;
                    served.again();
                    line = viewer.come_back().await;
                }
            }
        }
        settle(
            &world,
            &mut viewer,
            &mut line,
            &link,
            &file,
            "after crashes",
        )
        .await;
    });
    let chats = served.api.get("chats");
    assert_eq!(chats.as_array().unwrap().len(), 1, "one chat: {chats}");
    let index = served.api.get(&format!("chats/{chat}/index"));
    let ids: Vec<&str> = index["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry[0].as_str().unwrap())
        .collect();
    let once: std::collections::BTreeSet<&&str> = ids.iter().collect();
    assert_eq!(once.len(), ids.len());
    assert_eq!(following.stop("-TERM").code, 0);
    // Once more from nothing: all is there already.
    let before = served.api.get(&format!("chats/{chat}"))["seq"].clone();
    let mut command = on(&world.path("none"));
    command
        .arg("follow")
        .arg(&file)
        .args(["--to", &url, "--once", "--token-file"])
        .arg(&token);
    let ran = Running::start(&mut command).ended();
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(
        served.api.get(&format!("chats/{chat}"))["seq"],
        before,
        "nothing was written again"
    );
}

/// The lines of a session: prompts, answers in pieces, calls with results that come late.
fn session(dice: &mut Dice) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut parent = Value::Null;
    for turn in 0..4 + dice.below(8) {
        let mut record = |kind: &str, message: Value| {
            let uuid = format!("u{turn}-{}", lines.len());
            let at = format!("2026-01-02T03:04:{:02}.000Z", lines.len() % 60);
            let line = json!({"type": kind, "uuid": uuid, "parentUuid": parent, "sessionId": "a-session", "timestamp": at, "isSidechain": false, "message": message});
            lines.push(format!("{line}\n"));
            parent = json!(uuid);
        };
        record(
            "user",
            json!({"role": "user", "content": format!("Question {turn} äöü €")}),
        );
        let calls = dice.below(3);
        for piece in 0..=calls {
            let block = match piece {
                0 => {
                    json!({"type": "text", "text": format!("Answer {turn}. {}", "Words. ".repeat(dice.below(40)))})
                }
                _ => {
                    json!({"type": "tool_use", "id": format!("c{turn}-{piece}"), "name": "Bash", "input": {"command": format!("ls {piece}")}})
                }
            };
            record(
                "assistant",
                json!({"id": format!("m{turn}"), "role": "assistant", "model": "a", "content": [block]}),
            );
        }
        for piece in 1..=calls {
            let block = json!({"type": "tool_result", "tool_use_id": format!("c{turn}-{piece}"), "content": format!("done {piece}")});
            record("user", json!({"role": "user", "content": [block]}));
        }
    }
    lines
}

fn truncate(path: &Path, length: usize) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(length as u64).unwrap();
}

/// Writes a session, but for its first line, in all the ways that writers have, more or less badly.
fn write(path: &Path, lines: &mut [String], dice: &mut Dice) {
    let mut done = 1;
    while done < lines.len() {
        let count = 1 + dice.below(4);
        let until = lines.len().min(done + count);
        let before = lines[..done].concat();
        let next = lines[done..until].concat();
        match dice.below(14) {
            0..6 => append(path, next.as_bytes()),
            6 | 7 => {
                // In two pieces, cut anywhere: in the middle of a character too.
                let cut = dice.below(next.len());
                append(path, &next.as_bytes()[..cut]);
                dice.pause(150);
                append(path, &next.as_bytes()[cut..]);
            }
            8 => {
                // A torn line that is taken back.
                append(path, &next.as_bytes()[..next.len() / 2]);
                dice.pause(150);
                truncate(path, before.len());
                append(path, next.as_bytes());
            }
            9 => {
                // Taken back by some lines, and written again.
                let kept = 1 + dice.below(done);
                truncate(path, lines[..kept].concat().len());
                dice.pause(300);
                append(path, (lines[kept..done].concat() + &next).as_bytes());
            }
            10 => {
                // Written beside it and renamed into its place.
                let other = path.with_extension("tmp");
                fs::write(&other, before + &next).unwrap();
                fs::rename(&other, path).unwrap();
            }
            11 => {
                // Written anew from the beginning, with a line that says something else.
                let changed = dice.below(done);
                lines[changed] = lines[changed]
                    .replace("Answer", "Reply")
                    .replace("Question", "Request")
                    .replace("done", "looked at");
                fs::write(path, lines[..until].concat()).unwrap();
            }
            12 => {
                // Emptied, and written again a little later.
                truncate(path, 0);
                dice.pause(150);
                append(path, (before + &next).as_bytes());
            }
            _ => {
                // Rotated away, and begun anew.
                fs::rename(path, path.with_extension("old")).unwrap();
                dice.pause(300);
                append(path, (before + &next).as_bytes());
            }
        }
        done = until;
        dice.pause(80);
    }
    if dice.below(4) == 0 {
        truncate(path, lines.concat().len() - 1);
    }
}

#[test]
fn whatever_a_writer_does_viewers_end_with_what_the_file_holds() {
    let schedules = env::var("READALONG_SCHEDULES")
        .ok()
        .and_then(|text| text.parse().ok());
    let schedules: u64 = schedules.unwrap_or(SCHEDULES);
    let first: u64 = env::var("READALONG_SCHEDULE")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let world = World::new();
    let folder = world.path("sessions");
    fs::create_dir(&folder).unwrap();
    let served = Served::with(&world.path("data"), &[folder.to_str().unwrap()]);
    let next = AtomicU64::new(first);
    let failed = AtomicBool::new(false);
    let told = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + schedules || failed.load(Ordering::Relaxed) {
                        break;
                    }
                    let outcome = catch_unwind(AssertUnwindSafe(|| play(&world, &served, &folder, seed)));
                    match outcome {
                        Ok(frames) => _ = told.fetch_add(frames, Ordering::Relaxed),
                        Err(panic) => {
                            failed.store(true, Ordering::Relaxed);
                            eprintln!("schedule {seed} failed; READALONG_SCHEDULE={seed} READALONG_SCHEDULES=1 plays it alone");
                            resume_unwind(panic);
                        }
                    }
                }
            });
        }
    });
    println!(
        "{schedules} schedules, {} frames",
        told.load(Ordering::Relaxed)
    );
}

/// One writer, one viewer; the frames that the viewer got.
fn play(world: &World, served: &Served, folder: &Path, seed: u64) -> u64 {
    let mut dice = Dice::new(seed);
    let mut lines = session(&mut dice);
    let file: PathBuf = folder.join(format!("s{seed}.jsonl"));
    fs::write(&file, &lines[0]).unwrap();
    let chat = chat_of(&served.api, &file);
    let link = served.link(&served.api.share(&chat, "live"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut viewer = Viewer::open(&link).await;
        let mut line = viewer.come_back().await;
        let writing = {
            let file = file.clone();
            let mut dice = Dice::new(seed + 1_000_000);
            tokio::task::spawn_blocking(move || write(&file, &mut lines, &mut dice))
        };
        while !writing.is_finished() {
            if dice.below(30) == 0 {
                // The network goes away, now and then for a while.
                drop(line);
                tokio::time::sleep(Duration::from_millis(dice.below(400) as u64)).await;
                line = viewer.come_back().await;
            }
            if let Heard::Closed(code) = viewer.hear(&mut line, Duration::from_millis(30)).await {
                panic!("schedule {seed}: closed with {code:?}");
            }
        }
        writing.await.unwrap();
        let what = format!("schedule {seed}");
        settle(world, &mut viewer, &mut line, &link, &file, &what).await;
        let fresh = Page::parse(&get_text(&link));
        assert_eq!(viewer.page.title, fresh.title, "{what}");
        viewer.told.frames
    })
}

#[test]
fn a_chat_that_was_deleted_stays_away() {
    let world = World::new();
    let mut session = Session::new().prompt("Question").answer("One.");
    let file = world.write("sessions/s.jsonl", session.text());
    let mut served = Served::with(
        &world.path("data"),
        &[world.path("sessions").to_str().unwrap()],
    );
    let chat = chat_of(&served.api, &file);
    done_on(&served.data, &["rm", &chat, "--yes"]);
    session = session.answer("Two.");
    append(
        &file,
        session
            .text()
            .split_inclusive('\n')
            .next_back()
            .unwrap()
            .as_bytes(),
    );
    // Longer than the slow look at everything takes.
    thread::sleep(Duration::from_secs(3));
    assert_eq!(
        served.done(&["list", "--chats", "--json"]),
        "",
        "while the server runs"
    );
    served.kill();
    served.again();
    thread::sleep(Duration::from_secs(1));
    let listed = served.done(&["list", "--chats", "--json"]);
    assert!(listed.lines().count() <= 1, "{listed}");
}

#[test]
fn a_server_does_not_follow_its_own_data_folder() {
    let world = World::new();
    let folder = world.path("sessions");
    let one = world.write("sessions/one.jsonl", Session::new().prompt("One").text());
    let served = Served::with(&folder.join("data"), &[folder.to_str().unwrap()]);
    let chat = chat_of(&served.api, &one);
    served.api.share(&chat, "frozen");
    let is_bundle = |path: &Path| path.join("chat.json").is_file();
    wait_until("a bundle is written", || {
        let entries = fs::read_dir(served.data.join("bundles")).into_iter();
        entries
            .flatten()
            .flatten()
            .any(|entry| is_bundle(&entry.path()))
    });
    // What is seen after the bundle is no earlier than the bundle.
    let two = world.write("sessions/two.jsonl", Session::new().prompt("Two").text());
    chat_of(&served.api, &two);
    assert_eq!(served.api.get("chats").as_array().unwrap().len(), 2);
    served.api.delete(&format!("chats/{chat}"));
    let three = world.write(
        "sessions/three.jsonl",
        Session::new().prompt("Three").text(),
    );
    chat_of(&served.api, &three);
    assert_eq!(served.api.get("chats").as_array().unwrap().len(), 2);
    let path = served.data.canonicalize().unwrap();
    let asked = served
        .api
        .try_ask("POST", "follow", &json!({ "path": path }));
    let refused = asked.unwrap();
    assert_eq!(refused.status, 400);
    assert!(
        refused.text().contains("own data folder"),
        "{}",
        refused.text()
    );
}

#[test]
fn follow_says_once_that_the_server_is_gone_and_that_it_is_back() {
    let world = World::new();
    let mut served = Served::start(&world);
    let mut session = Session::new().prompt("Question");
    let file = world.write("s.jsonl", session.text());
    let mut command = on(&world.path("none"));
    command
        .env(
            "READALONG_TOKEN",
            served.done(&["token", "new", "laptop"]).trim(),
        )
        .arg("follow")
        .arg(&file)
        .args(["--to", &served.api.url]);
    let mut following = Running::start(&mut command);
    wait_until("all is there", || following.err().contains("up to date"));
    served.kill();
    session = session.answer("Answer.");
    fs::write(&file, session.text()).unwrap();
    let lost = format!("`{}` cannot be reached: ", served.api.url);
    wait_until("it says what is wrong", || following.err().contains(&lost));
    served.again();
    wait_until("it says that it goes on", || {
        following.err().contains("answers again")
    });
    let ran = following.stop("-INT");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(
        ran.err.matches("cannot be reached").count(),
        1,
        "{}",
        ran.err
    );
    assert!(ran.err.contains("; trying again"), "{}", ran.err);
}

#[test]
fn follow_once_ends_where_there_is_nothing_to_bring() {
    let world = World::new();
    let served = Served::start(&world);
    let token = served.done(&["token", "new", "laptop"]);
    let follow = |path: &Path| {
        let mut command = on(&world.path("none"));
        command
            .env("READALONG_TOKEN", token.trim())
            .arg("follow")
            .arg(path)
            .args(["--to", &served.api.url, "--once"]);
        Running::start(&mut command).ended()
    };
    let line = Session::new().prompt("Question").text();
    for (name, bytes, words) in [
        ("empty.jsonl", &b""[..], "is empty"),
        ("half.jsonl", &line.as_bytes()[..40], "is not a transcript"),
        ("notes.jsonl", b"Nothing but notes\n", "is not a transcript"),
        ("wide.jsonl", b"\xff\xfe{\0}\0\n\0", "UTF-16"),
        ("sessions/notes.txt", b"no transcript", ""),
    ] {
        let file = world.write(name, bytes);
        if !words.is_empty() {
            let ran = follow(&file);
            assert_eq!(ran.code, 2, "{name}: {}", ran.err);
            assert!(
                ran.err.contains(words) && ran.err.contains("help: "),
                "{name}: {}",
                ran.err
            );
        }
    }
    let ran = follow(&world.path("sessions"));
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(ran.err.contains("holds no transcript"), "{}", ran.err);
    // Beside one that is there, what is none is passed over.
    world.write("sessions/half.jsonl", &line.as_bytes()[..40]);
    world.write("sessions/whole.jsonl", &line);
    let ran = follow(&world.path("sessions"));
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(served.api.get("chats").as_array().unwrap().len(), 1);
}

#[test]
fn follow_once_brings_an_end_that_could_have_been_the_beginning_of_a_secret() {
    let world = World::new();
    let served = Served::start(&world);
    let token = served.done(&["token", "new", "laptop"]);
    let line = Session::new().prompt("It begins with token=ab").text();
    let file = world.write("a-session.jsonl", &line);
    let mut command = on(&world.path("none"));
    command
        .env("READALONG_TOKEN", token.trim())
        .arg("follow")
        .arg(&file)
        .args(["--to", &served.api.url, "--once"]);
    let ran = Running::start(&mut command).ended();
    assert_eq!(ran.code, 0, "{}", ran.err);
    let chats = served.api.get("chats");
    let chat = chats[0]["id"].as_str().unwrap();
    // The server, too, waits whether it goes on.
    wait_until("the end of it", || {
        let messages = served.api.get(&format!("chats/{chat}/messages"));
        messages.to_string().contains("It begins with token=ab")
    });
}

#[test]
fn follow_of_a_folder_goes_on_past_a_deleted_chat_and_leaves_it_deleted() {
    let world = World::new();
    let served = Served::start(&world);
    let token = served.done(&["token", "new", "laptop"]);
    let mut session = Session::new().prompt("Gone").answer("One.");
    let gone = world.write("sessions/gone.jsonl", session.text());
    let follow = |path: &Path| {
        let mut command = on(&world.path("none"));
        command
            .env("READALONG_TOKEN", token.trim())
            .arg("follow")
            .arg(path)
            .args(["--to", &served.api.url]);
        Running::start(&mut command)
    };
    let chats = || served.api.get("chats").as_array().unwrap().clone();
    let mut following = follow(&world.path("sessions"));
    wait_until("its chat is there", || {
        following.err().contains("up to date")
    });
    served.api.delete(&format!("chats/{}", id(&chats()[0])));
    session = session.answer("Two.");
    fs::write(&gone, session.text()).unwrap();
    // What is seen first is the file, or that it is empty for a moment, and read anew.
    wait_until("it is refused", || {
        let err = following.err();
        err.contains("no such chat any more") || err.contains("its chat was deleted")
    });
    world.write("sessions/new.jsonl", Session::new().prompt("New").text());
    wait_until("another file comes", || chats().len() == 1);
    following.stop("-INT");

    let mut following = follow(&world.path("sessions"));
    wait_until("it is refused again", || {
        following.err().contains("its chat was deleted")
    });
    wait_until("the other is looked at", || {
        following.err().contains("new.jsonl: up to date")
    });
    assert_eq!(chats().len(), 1);
    assert_eq!(
        following.stop("-INT").code,
        2,
        "one of two was not followed"
    );

    // Who names the file wants it back.
    let mut following = follow(&gone);
    wait_until("it begins anew", || chats().len() == 2);
    following.stop("-INT");
}
