//! The main path and the commands around it: the same bytes everywhere, links that last, nothing of what is left out, every damage found.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    fs,
    io::{Cursor, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use snapbox::{assert_data_eq, str};

use crate::world::{Exported, Session, World, fixture, program, readalong, run};

/// A picture of one pixel, with a text in it that only its bytes hold.
const PIXEL: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89CANARY-IN-PICTURE";
/// Its base64.
const PIXEL_BASE64: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJQ0FOQVJZLUlOLVBJQ1RVUkU=";

/// A chat that is long enough for several pages, with prose, code and tool calls.
fn long_session(turns: usize) -> Session {
    let mut session = Session::new();
    for turn in 0..turns {
        let paragraphs: Vec<String> = (0..12)
            .map(|n| format!("Paragraph {n} of answer {turn} says a little about *many* things, `code` among them, and goes on for a while."))
            .collect();
        let code = format!("```rust\nfn number_{turn}() -> usize {{ {turn} }} // a comment\n```");
        let call = format!("call{turn}");
        session = session
            .prompt(&format!("Prompt number {turn}: what comes next?"))
            .call(&call, "Bash", &json!({"command": format!("echo {turn}")}))
            .result(
                &call,
                &json!(format!("\u{1b}[32m{turn}\u{1b}[0m\n").repeat(20)),
            )
            .answer(&format!("{}\n\n{code}", paragraphs.join("\n\n")));
    }
    session
}

#[test]
fn same_bytes_everywhere() {
    let surroundings: [(&str, &[(&str, &str)]); 4] = [
        (
            "022",
            &[("TZ", "UTC"), ("LC_ALL", "C"), ("RAYON_NUM_THREADS", "1")],
        ),
        (
            "077",
            &[
                ("TZ", "Pacific/Auckland"),
                ("LC_ALL", "de_DE.UTF-8"),
                ("RAYON_NUM_THREADS", "2"),
            ],
        ),
        (
            "000",
            &[
                ("TZ", "America/St_Johns"),
                ("LANG", "tr_TR.UTF-8"),
                ("RAYON_NUM_THREADS", "8"),
            ],
        ),
        (
            "022",
            &[
                ("TZ", ":/nowhere"),
                ("LANG", ""),
                ("HOME", "/nowhere"),
                ("COLUMNS", "20"),
                ("NO_COLOR", "1"),
            ],
        ),
    ];
    let long = long_session(60).text();
    let mut first: BTreeMap<&str, (String, BTreeMap<String, Vec<u8>>)> = BTreeMap::new();
    for (number, (umask, variables)) in surroundings.iter().enumerate() {
        let world = World::new();
        let here = format!("{number} folder");
        let chats = [
            ("agent", copy_chat(&world, &here, "agent.jsonl")),
            ("branches", copy_chat(&world, &here, "branches.json")),
            ("long", world.write(&format!("{here}/long.jsonl"), &long)),
        ];
        for (name, path) in chats {
            let mut command = Command::new("sh");
            command.args([
                "-c",
                &format!("umask {umask}; exec \"$@\""),
                "sh",
                env!("CARGO_BIN_EXE_readalong"),
            ]);
            command
                .arg("export")
                .arg(&path)
                .arg("--json")
                .arg("-o")
                .arg(world.out());
            // From a folder of its own: a path in the bundle would be another one.
            command
                .envs(variables.iter().copied())
                .current_dir(path.parent().unwrap());
            let exported = Exported::of(&run(&mut command));
            let (id, files) = (exported.id().to_owned(), exported.files());
            let (expected_id, expected) = first
                .entry(name)
                .or_insert_with(|| (id.clone(), files.clone()));
            for (path, bytes) in &files {
                assert!(
                    expected.get(path) == Some(bytes),
                    "{name}: {path} differs under {variables:?}"
                );
            }
            assert_eq!(
                (&id, files.len()),
                (&*expected_id, expected.len()),
                "{name}"
            );
        }
    }
    assert!(
        first["long"].1.contains_key("2.html"),
        "the long chat has several pages"
    );
}

/// Copies a sample chat with what lies beside it.
fn copy_chat(world: &World, folder: &str, name: &str) -> PathBuf {
    let path = world.write(
        &format!("{folder}/{name}"),
        fs::read(fixture("chats").join(name)).unwrap(),
    );
    if name == "agent.jsonl" {
        let beside = "agent/subagents/agent-a4c81e.jsonl";
        world.write(
            &format!("{folder}/{beside}"),
            fs::read(fixture("chats").join(beside)).unwrap(),
        );
    }
    path
}

#[test]
fn a_growing_chat_keeps_links_and_finished_pages() {
    let world = World::new();
    let session = long_session(300);
    let pages = |exported: &Exported| exported.said["pages"].as_u64().unwrap() as usize;
    let page = |number: usize| {
        if number == 1 {
            "index.html".to_owned()
        } else {
            format!("{number}.html")
        }
    };
    let mut before: Option<Exported> = None;
    for lines in [session.len() / 3, session.len() * 2 / 3 + 1, session.len()] {
        let file = world.write("growing.jsonl", session.first(lines));
        let now = world.export(&file, &[]);
        if let Some(before) = before {
            assert!(
                pages(&before) >= 3 && pages(&now) > pages(&before),
                "{} pages",
                pages(&before)
            );
            for number in 1..pages(&before) {
                assert_eq!(
                    before.file(&page(number)),
                    now.file(&page(number)),
                    "page {number}"
                );
            }
            for number in 1..=pages(&before) {
                let (old, new) = (before.file(&page(number)), now.file(&page(number)));
                let lost: Vec<&str> = anchors(&old)
                    .into_iter()
                    .filter(|anchor| !anchors(&new).contains(anchor))
                    .collect();
                assert!(lost.is_empty(), "page {number} lost {lost:?}");
                // The last page may just have begun.
                let is_last = number == pages(&before);
                assert!(is_last || anchors(&old).len() > 3, "page {number}");
            }
        }
        before = Some(now);
    }
}

/// Anchors of messages in a page.
fn anchors(html: &str) -> Vec<&str> {
    html.split(" id=\"m")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect()
}

#[test]
fn a_chat_of_many_is_picked() {
    let world = World::new();
    let chats = [
        ("a1", "Red kites"),
        ("a2", "Blue kites"),
        ("7", "Red whales"),
    ];
    let chats: Vec<Value> = chats
        .iter()
        .map(|(id, title)| json!({"id": id, "title": title, "messages": [{"role": "user", "content": format!("About {title}")}, {"role": "assistant", "content": "Yes."}]}))
        .collect();
    let lines: String = chats.iter().map(|chat| format!("{chat}\n")).collect();
    let file = world.write("many.jsonl", lines);
    for (pick, title) in [
        ("2", "Blue kites"),
        ("a1", "Red kites"),
        ("Red whales", "Red whales"),
        ("blue", "Blue kites"),
        ("7", "Red whales"),
    ] {
        assert_eq!(
            world.export(&file, &["--chat", pick]).said["title"],
            title,
            "--chat {pick}"
        );
    }
    for (args, says) in [
        (&[][..], "holds 3 chats"),
        (&["--chat", "red"], "2 chats that match"),
        (&["--chat", "green"], "0 chats that match"),
        (&["--chat", "4"], "0 chats"),
    ] {
        let ran = world.try_export(&file, args);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(
            ran.err.contains(says)
                && ran.err.contains("many.jsonl")
                && ran.err.contains("--chat NUMBER"),
            "{args:?}: {}",
            ran.err
        );
    }
    let listed = readalong(["inspect".as_ref(), file.as_os_str()]);
    assert!(
        ["1  Red kites", "2  Blue kites", "3  Red whales"]
            .iter()
            .all(|line| listed.out.contains(line)),
        "{}",
        listed.out
    );
}

#[test]
fn what_is_left_out_is_nowhere() {
    let world = World::new();
    let picture = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL_BASE64}});
    let attachment = json!({
        "type": "attachment", "uuid": "file1", "parentUuid": null, "sessionId": "s", "isSidechain": false,
        "attachment": {"type": "file", "filename": "/home/dev/app/CANARY-NAME.txt", "displayPath": "CANARY-NAME.txt",
            "content": {"type": "text", "file": {"content": "CANARY-IN-FILE"}}},
    });
    let session = Session::new()
        .prompt("<system-reminder>\nCANARY-HIDDEN\n</system-reminder>")
        .prompt_blocks(&json!([{"type": "text", "text": "First prompt"}, picture.clone()]))
        .raw(attachment.to_string())
        .answer_blocks(&json!([{"type": "thinking", "thinking": "CANARY-REASONING", "signature": "CANARY-SIGNATURE"}]))
        .answer_blocks(&json!([
            {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "CANARY-TOOL-INPUT"}},
            {"type": "tool_use", "id": "t2", "name": "Task", "input": {"description": "CANARY-TASK", "prompt": "CANARY-TASK-PROMPT", "subagent_type": "x"}},
        ]))
        .result("t1", &json!([{"type": "text", "text": "CANARY-TOOL-OUTPUT\n\n<system-reminder>CANARY-HIDDEN</system-reminder>\n"}, picture]))
        .raw(json!({"type": "user", "uuid": "side1", "parentUuid": null, "sessionId": "s", "isSidechain": true, "agentId": "x9", "timestamp": "2026-03-01T00:00:09Z",
            "message": {"role": "user", "content": "CANARY-TASK-PROMPT"}}).to_string())
        .raw(json!({"type": "assistant", "uuid": "side2", "parentUuid": "side1", "sessionId": "s", "isSidechain": true, "agentId": "x9", "timestamp": "2026-03-01T00:00:09Z",
            "message": {"id": "ms", "role": "assistant", "model": "model-a", "content": [{"type": "text", "text": "CANARY-SUBAGENT"}]}}).to_string())
        .result("t2", &json!("CANARY-TOOL-OUTPUT too"))
        .answer("Middle answer")
        .prompt("Last prompt CANARY-LAST")
        .answer("Last answer")
        .raw(json!({"type": "custom-title", "customTitle": "CANARY-TITLE", "sessionId": "s"}).to_string());
    let file = world.write("leave.jsonl", session.text());
    let hidden = ["CANARY-HIDDEN", "CANARY-SIGNATURE"];
    let artifacts = [
        "CANARY-NAME",
        "CANARY-IN-FILE",
        "CANARY-IN-PICTURE",
        PIXEL_BASE64,
    ];
    let reasoning = ["CANARY-REASONING"];
    let tools = [
        "CANARY-TOOL-INPUT",
        "CANARY-TOOL-OUTPUT",
        "CANARY-TASK",
        "CANARY-SUBAGENT",
    ];
    let whole = world.export(&file, &[]);
    hidden.iter().for_each(|canary| whole.assert_lacks(canary));
    let shown = artifacts[..3]
        .iter()
        .chain(&reasoning)
        .chain(&tools)
        .chain(&["CANARY-TITLE", "CANARY-LAST"]);
    shown.for_each(|canary| whole.assert_holds(canary));
    assert!(
        whole
            .files()
            .values()
            .any(|bytes| bytes.as_slice() == PIXEL),
        "the picture is there as it was"
    );
    for (args, lacks) in [
        (&["--no-artifacts"][..], &artifacts[..]),
        (&["--no-reasoning"], &reasoning),
        (&["--no-tools"], &tools),
        (&["--title", "Another"], &["CANARY-TITLE"]),
        (&["--messages", "1..2"], &["CANARY-LAST"]),
        (
            &[
                "--no-artifacts",
                "--no-reasoning",
                "--no-tools",
                "--title",
                "Another",
                "--messages",
                "..1",
            ],
            &["CANARY"],
        ),
    ] {
        let exported = world.export(&file, args);
        hidden
            .iter()
            .chain(lacks)
            .for_each(|canary| exported.assert_lacks(canary));
        let again = world.export(&exported.path.join("chat.json"), &[]);
        assert_eq!(
            again.id(),
            exported.id(),
            "{args:?}: what is left out stays left out"
        );
    }
}

#[test]
fn hidden_texts_are_never_published() {
    let world = World::new();
    for (chat, canaries) in [
        ("agent.jsonl", &["CANARY-INJECTED", "CANARY-REMINDER"][..]),
        ("branches.json", &["CANARY-PROFILE", "CANARY-INSTRUCTIONS"]),
    ] {
        let exported = world.export(&fixture("chats").join(chat), &[]);
        canaries
            .iter()
            .for_each(|canary| exported.assert_lacks(canary));
    }
    let messages = json!([{"role": "system", "content": "CANARY-SYSTEM"}, {"role": "developer", "content": "CANARY-SYSTEM"}, {"role": "user", "content": "Hi"}]);
    world
        .export(&world.write("m.json", messages.to_string()), &[])
        .assert_lacks("CANARY-SYSTEM");
}

#[test]
fn a_title_made_of_a_dropped_prompt_goes_with_it() {
    let world = World::new();
    let session = Session::new()
        .prompt("CANARY-FIRST is private")
        .answer("Private too")
        .prompt("Public")
        .answer("Fine");
    let exported = world.export(
        &world.write("t.jsonl", session.text()),
        &["--messages", "3.."],
    );
    exported.assert_lacks("CANARY-FIRST");
}

#[test]
fn ranges_count_what_is_read() {
    let world = World::new();
    let session = Session::new()
        .prompt("one")
        .answer("two")
        .prompt("three")
        .answer("four");
    let file = world.write("r.jsonl", session.text());
    for (range, expected) in [
        ("2..3", "two three"),
        ("4..", "four"),
        ("..1", "one"),
        ("3", "three"),
        ("4..99", "four"),
    ] {
        let exported = world.export(&file, &["--messages", range]);
        let messages = exported.chat()["messages"].as_array().unwrap().clone();
        let texts: Vec<&str> = messages
            .iter()
            .map(|m| m["parts"][0]["text"]["markdown"].as_str().unwrap())
            .collect();
        assert_eq!(texts.join(" "), expected, "{range}");
    }
    assert_eq!(world.try_export(&file, &["--messages", "3..2"]).code, 2);
    let beyond = world.try_export(&file, &["--messages", "50.."]);
    assert_eq!(beyond.code, 2, "{beyond:?}");
    let says = "--messages begins at 50, and the chat has 4 messages";
    assert!(beyond.err.contains(says), "{}", beyond.err);
}

#[test]
fn json_for_scripts() {
    let world = World::new();
    let agent = fixture("chats/agent.jsonl");
    let said = world.export(&agent, &[]).said;
    let keys: Vec<&str> = said
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        keys,
        [
            "file",
            "path",
            "index",
            "id",
            "title",
            "messages",
            "pages",
            "files",
            "size_bytes",
            "warnings",
            "redactions"
        ]
    );
    assert_eq!(said["file"], agent.to_str().unwrap());
    assert_eq!(
        said["index"],
        format!("{}/index.html", said["path"].as_str().unwrap())
    );
    assert!(
        said["path"]
            .as_str()
            .unwrap()
            .ends_with(said["id"].as_str().unwrap())
    );
    assert_eq!(
        (said["title"].as_str(), said["pages"].as_u64()),
        (Some("Fix the flaky login test"), Some(1))
    );
    let warning = said["warnings"][0].as_str().unwrap();
    assert!(warning.contains("agent.jsonl, line 46: "), "{warning}");
    // One line a file; a file that fails does not keep the others back.
    let out = world.out();
    let missing = world.path("missing.jsonl");
    let ran = readalong([
        "export".as_ref(),
        agent.as_os_str(),
        missing.as_os_str(),
        fixture("chats/branches.json").as_os_str(),
        "--json".as_ref(),
        "-o".as_ref(),
        out.as_os_str(),
    ]);
    assert_eq!((ran.code, ran.out.lines().count()), (2, 2), "{ran:?}");
    assert!(
        ran.out
            .lines()
            .all(|line| serde_json::from_str::<Value>(line).is_ok())
    );
    assert!(
        ran.err.contains("1 of 3 files could not be exported"),
        "{}",
        ran.err
    );
}

#[test]
fn one_line_for_people() {
    let world = World::new();
    let ran = run(program()
        .arg("export")
        .arg(fixture("chats/branches.json"))
        .arg("-o")
        .arg(world.out()));
    let words: Vec<&str> = ran.out.split_whitespace().collect();
    assert_eq!(
        (ran.code, ran.out.lines().count(), words.len()),
        (0, 1, 2),
        "{ran:?}"
    );
    assert!(
        Path::new(words[0]).is_file() && words[0].contains(words[1]),
        "{}",
        ran.out
    );
    assert_eq!(ran.err, "Sunday bread for 18: 24 messages on 5 pages\n");
    // The second time it is there already, and stays what it is.
    let again = run(program()
        .arg("export")
        .arg(fixture("chats/branches.json"))
        .arg("-o")
        .arg(world.out()));
    assert_eq!((again.out, world.names_in_out().len()), (ran.out, 1));
}

#[test]
fn verify_names_every_damage() {
    type Damage = fn(&Path);
    let cases: [(&str, Damage, &str); 9] = [
        (
            "changed",
            |at| fs::write(at.join("index.html"), "other").unwrap(),
            "changed: index.html",
        ),
        (
            "one byte",
            |at| flip(&at.join("chat.json")),
            "changed: chat.json",
        ),
        (
            "cut",
            |at| fs::write(at.join("chat.md"), "").unwrap(),
            "changed: chat.md",
        ),
        (
            "missing",
            |at| fs::remove_file(at.join("chat.md")).unwrap(),
            "missing: chat.md",
        ),
        (
            "added",
            |at| fs::write(at.join("data/more.js"), "1").unwrap(),
            "added: data/more.js",
        ),
        (
            "added beside",
            |at| fs::write(at.join(".hidden"), "1").unwrap(),
            "added: .hidden",
        ),
        (
            "renamed",
            |at| fs::rename(at.join("chat.md"), at.join("chat2.md")).unwrap(),
            "renamed: chat.md is now chat2.md",
        ),
        (
            "a link",
            |at| {
                fs::rename(at.join("chat.md"), at.with_extension("md")).unwrap();
                std::os::unix::fs::symlink(at.with_extension("md"), at.join("chat.md")).unwrap();
            },
            "chat.md",
        ),
        (
            "manifest",
            |at| {
                let text = fs::read_to_string(at.join("manifest.json")).unwrap();
                fs::write(
                    at.join("manifest.json"),
                    text.replace("\"version\":1", "\"version\": 1"),
                )
                .unwrap();
            },
            "manifest.json is not as readalong writes it",
        ),
    ];
    let world = World::new();
    let made = world.export(&fixture("chats/branches.json"), &[]);
    for (name, damage, says) in cases {
        let copy = world.path(&format!("copy of {name}")).join(made.id());
        copy_folder(&made.path, &copy);
        let sound = readalong(["verify".as_ref(), copy.as_os_str()]);
        assert_eq!(sound.code, 0, "{sound:?}");
        assert!(
            sound.out.starts_with("ok ") && sound.out.contains(made.id()),
            "{}",
            sound.out
        );
        damage(&copy);
        let ran = readalong(["verify".as_ref(), copy.as_os_str()]);
        assert_eq!(ran.code, 1, "{name}: {ran:?}");
        assert!(
            ran.out.starts_with("damaged ") && ran.out.contains(says),
            "{name}: {}",
            ran.out
        );
    }
    let renamed = world.path("renamed").join("0".repeat(64));
    copy_folder(&made.path, &renamed);
    let ran = readalong([
        "verify".as_ref(),
        renamed.as_os_str(),
        made.path.as_os_str(),
    ]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.out.contains("wrong name") && ran.out.contains("ok "),
        "{}",
        ran.out
    );
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn exit_codes_and_next_steps() {
    let world = World::new();
    let empty = world.path("empty folder");
    fs::create_dir_all(&empty).unwrap();
    let empty = empty.to_str().unwrap().to_owned();
    let agent = fixture("chats/agent.jsonl").to_str().unwrap().to_owned();
    let newer = world.path("newer");
    copy_folder(
        &world.export(&fixture("chats/branches.json"), &[]).path,
        &newer,
    );
    let text = fs::read_to_string(newer.join("manifest.json")).unwrap();
    fs::write(
        newer.join("manifest.json"),
        text.replace("\"version\":1", "\"version\":999"),
    )
    .unwrap();
    let newer = newer.to_str().unwrap().to_owned();
    for (args, code, says) in [
        (&["--version"][..], 0, ""),
        (&["--help"], 0, ""),
        (&[], 2, "Usage"),
        (&["export"], 2, "FILE"),
        (&["export", "--nonsense", &agent], 2, "--nonsense"),
        (
            &["export", &agent, "--format", "nonsense"],
            2,
            "help: `readalong formats` lists the names",
        ),
        (
            &["export", &agent, "--theme", "nonsense"],
            2,
            "help: `readalong theme list`",
        ),
        (
            &["export", "/nowhere/chat.jsonl"],
            2,
            "help: check the name",
        ),
        (
            &["inspect", "/nowhere/chat.jsonl"],
            2,
            "help: check the name",
        ),
        (&["verify", "/nowhere"], 2, "/nowhere"),
        (&["verify", &empty], 2, "help: name the folder"),
        (&["verify", &newer], 2, "help: use a newer readalong"),
        (
            &["verify", &empty, &newer],
            2,
            "help: use a newer readalong",
        ),
        (
            &["theme", "init", &empty],
            2,
            "help: name a folder that does not exist yet",
        ),
        (&["completions", "nonsense"], 2, "nonsense"),
        (&["formats"], 0, ""),
        (&["theme", "list"], 0, ""),
    ] {
        let ran = run(program().args(args).current_dir(world.path("")));
        assert_eq!(ran.code, code, "{args:?}: {ran:?}");
        assert!(ran.err.contains(says), "{args:?}: {}", ran.err);
        assert!(
            code == 0 || ran.out.is_empty(),
            "{args:?} failed and printed {}",
            ran.out
        );
    }
}

#[test]
fn a_theme_folder_replaces_file_by_file() {
    let world = World::new();
    let theme = world.path("my theme");
    let ran = readalong(["theme".as_ref(), "init".as_ref(), theme.as_os_str()]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let written: Vec<PathBuf> = ran.out.lines().map(PathBuf::from).collect();
    let colours = written
        .iter()
        .find(|path| path.extension().is_some_and(|ending| ending == "css"))
        .unwrap();
    let css = fs::read_to_string(colours).unwrap();
    fs::write(
        colours,
        format!("{css}\n:root {{ --canary-colour: #123456; }}\n"),
    )
    .unwrap();
    let chat = fixture("chats/branches.json");
    let plain = world.export(&chat, &[]);
    let themed = world.export(&chat, &["--theme", theme.to_str().unwrap()]);
    assert_ne!(plain.id(), themed.id());
    themed.assert_holds("--canary-colour");
    plain.assert_lacks("--canary-colour");
    // Everything else is inherited, and pages link the changed file by its new digest.
    assert_eq!(plain.files().len(), themed.files().len());
    assert_eq!(
        readalong(["verify".as_ref(), themed.path.as_os_str()]).code,
        0
    );
    let listed = readalong(["theme", "list"]);
    assert!(
        listed.out.lines().any(|line| line.starts_with("default  ")),
        "{}",
        listed.out
    );
}

#[test]
fn completions_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = readalong(["completions", shell]);
        assert_eq!(ran.code, 0, "{shell}");
        assert!(
            ["export", "verify", "no-artifacts"]
                .iter()
                .all(|word| ran.out.contains(word)),
            "{shell}"
        );
    }
}

#[test]
fn formats_are_listed() {
    let ran = readalong(["formats"]);
    for format in readalong_import::FORMATS {
        let line = ran
            .out
            .lines()
            .find(|line| line.split("  ").next() == Some(format.name));
        assert!(
            line.is_some_and(|line| line.contains(format.title) && line.contains(format.found_at)),
            "{}",
            format.name
        );
    }
    assert_eq!(ran.out.lines().count(), readalong_import::FORMATS.len());
}

#[test]
fn a_format_can_be_forced() {
    let world = World::new();
    let file = world.write(
        "x.json",
        json!([{"role": "user", "content": [{"type": "text", "text": "Who am I?"}]}]).to_string(),
    );
    for format in ["openai-chat", "anthropic"] {
        let exported = world.export(&file, &["--format", format]);
        assert_eq!(exported.chat()["origin"]["format"], format);
    }
    let wrong = world.try_export(&file, &["--format", "chatgpt"]);
    assert_eq!(wrong.code, 2, "{wrong:?}");
    assert!(wrong.err.contains("read as `chatgpt`"), "{wrong:?}");
}

/// A reader that knows no record of a file keeps all of them as they are.
#[test]
fn a_wrong_format_shows_no_system_prompt() {
    let world = World::new();
    let turn = |role: &str, content: &str| json!({"role": role, "content": content});
    let turns = json!([turn("system", "SECRET-SYSTEM"), turn("user", "Who am I?")]);
    let file = world.write("x.json", turns.to_string());
    for format in readalong_import::FORMATS {
        let ran = world.try_export(&file, &["--format", format.name]);
        if ran.code == 0 {
            Exported::of(&ran).assert_lacks("SECRET-SYSTEM");
        }
    }
}

#[test]
fn inspect_tells_what_is_in_a_file() {
    let inspect = |chat: &str| {
        let ran = run(program()
            .args(["inspect", chat])
            .current_dir(fixture("chats")));
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.err);
        ran.out
    };
    assert_data_eq!(
        inspect("agent.jsonl"),
        str![[r#"
Format    claude-code (Claude Code session): 61 of the first 62 lines have its marks
Title     Fix the flaky login test
Id        agent
App       Claude Code 2.1.40
Time      2026-10-14T14:02:11.350Z to 2026-10-15T08:40:29.600Z
Records   62: 61 read (6 of them bookkeeping), 0 kept raw, 1 damaged
Messages  43: 1 about the chat, 15 assistant, 4 hidden (never published), 1 system, 18 tool, 4 user
Parts     63: 1 file, 1 image, 3 notice, 4 reasoning, 18 text, 18 tool call, 18 tool result
Threads   1 beside the main one
Artifacts 2
          image.png (image/png, 3728 bytes)
          sign-in.md (text/markdown, 181 bytes)
Warnings  1
          agent.jsonl, line 46: 172 bytes could not be read: EOF while parsing a string at line 1 column 172

"#]]
    );
    assert_data_eq!(
        inspect("branches.json"),
        str![[r#"
Format    chatgpt (ChatGPT export): 1 of the first 1 array elements have its marks
Title     Sunday bread for 18
Id        sunday-bread
App       ChatGPT
Time      2026-10-31T10:00:00.000Z to 2026-10-31T10:15:57.000Z
Records   1: 1 read (0 of them bookkeeping), 0 kept raw, 0 damaged
Messages  30: 16 assistant, 2 hidden (never published), 4 tool, 8 user
Parts     31: 2 reasoning, 1 source, 20 text, 4 tool call, 4 tool result
Branches  7 messages have other versions
Artifacts 0
Warnings  0

"#]]
    );
}

#[test]
fn artifacts_lie_under_their_digests() {
    let world = World::new();
    let exported = world.export(&fixture("chats/agent.jsonl"), &[]);
    let files = exported.files();
    let named = files
        .keys()
        .filter(|path| path.starts_with("files/") || path.starts_with("assets/"));
    let mut seen = 0;
    for path in named {
        let digest = readalong_model::Digest::of(&files[path]).to_string();
        assert!(
            path.split('/').nth(1).unwrap().starts_with(&digest),
            "{path}"
        );
        seen += 1;
    }
    assert!(seen > 3);
    let is_png = |path: &String| path.starts_with("files/") && path.ends_with(".png");
    assert_eq!(files.keys().filter(|path| is_png(path)).count(), 1);
    // Permissions are those of ordinary files: a web server reads them.
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(exported.path.join("index.html"))
            .unwrap()
            .permissions(),
    );
    assert_eq!(mode & 0o400, 0o400);
}

#[test]
fn an_export_zip_gives_its_files() {
    let world = World::new();
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    let folder = fixture("formats/chatgpt");
    for path in files_below(&folder) {
        let name = path.strip_prefix(&folder).unwrap().to_str().unwrap();
        zip.start_file(format!("export/{name}"), options).unwrap();
        zip.write_all(&fs::read(&path).unwrap()).unwrap();
    }
    let file = world.write("export.zip", zip.finish().unwrap().into_inner());
    let exported = world.export(&file, &["--chat", "All kinds"]);
    assert!(
        exported
            .files()
            .keys()
            .any(|path| path.starts_with("files/") && path.ends_with(".png")),
        "{:?}",
        exported.files().keys()
    );
    let from_folder = world.export(
        &fixture("formats/chatgpt/conversations.json"),
        &["--chat", "Tools"],
    );
    let from_zip = world.export(&file, &["--chat", "Tools"]);
    assert_eq!(
        from_zip.id(),
        from_folder.id(),
        "a zip and its unpacked folder are the same"
    );
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut open) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            if entry.path().is_dir() {
                &mut open
            } else {
                &mut found
            }
            .push(entry.path());
        }
    }
    found.sort();
    found
}
