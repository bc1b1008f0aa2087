//! Bad input: a clear error or warning, no panic, nothing half-written, and what is readable is exported.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::{Cursor, Write as _},
    os::unix::{fs::PermissionsExt as _, fs::symlink, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use crate::world::{Exported, Ran, Session, World, fixture, program, run};

/// What a run may take at most, whatever it is given: debug builds on a busy machine.
const TIME_MAX: Duration = Duration::from_secs(90);
/// Pauses between two looks at something that is waited for.
const POLL: Duration = Duration::from_millis(5);

/// A file that cannot be exported: the error names it and the next step, and nothing is left.
fn refused(world: &World, file: &Path, says: &str) {
    let ran = world.try_export(file, &[]);
    assert_refused(&ran, file, says);
    assert_eq!(world.names_in_out(), [""; 0], "left behind: {}", ran.err);
}

fn assert_refused(ran: &Ran, file: &Path, says: &str) {
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    assert_eq!(ran.code, 2, "{name}: {ran:?}");
    assert!(ran.err.contains(&name), "{name} is not named: {}", ran.err);
    assert!(
        ran.err.contains("\nhelp: "),
        "{name}: no next step: {}",
        ran.err
    );
    assert!(ran.err.contains(says), "{name}: not `{says}`: {}", ran.err);
    assert!(ran.out.is_empty(), "{name}: {}", ran.out);
}

/// A file of which some can be read: it is, and a warning says what could not be.
fn survives(world: &World, file: &Path, shown: &[&str], warning: Option<&str>) -> Exported {
    let (ran, _) = watched(
        program()
            .arg("export")
            .arg(file)
            .arg("-o")
            .arg(world.out())
            .arg("--json"),
    );
    assert_eq!(ran.code, 0, "{}: {}", file.display(), ran.err);
    let exported = Exported::of(&ran);
    let text = exported.found_text();
    for words in shown {
        assert_eq!(
            text.matches(words).count(),
            1,
            "{}: `{words}`",
            file.display()
        );
    }
    match warning {
        Some(says) => {
            let told = exported
                .warnings()
                .iter()
                .any(|warning| warning.contains(says));
            assert!(told, "not `{says}`: {:?}", exported.warnings());
        }
        None => assert!(exported.warnings().is_empty(), "{:?}", exported.warnings()),
    }
    assert_eq!(world.names_in_out(), [exported.id()]);
    let sound = run(program().arg("verify").arg(&exported.path));
    assert_eq!(sound.code, 0, "{sound:?}");
    exported
}

/// Runs a command within its time and tells how much memory it took at most, in megabytes.
fn watched(command: &mut Command) -> (Ran, u64) {
    let out = tempfile::NamedTempFile::new().unwrap();
    let err = tempfile::NamedTempFile::new().unwrap();
    command
        .stdout(out.reopen().unwrap())
        .stderr(err.reopen().unwrap());
    let mut child = command.spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let (begun, mut peak) = (Instant::now(), 0);
    let code = loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes =
            line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        peak = peak.max(kilobytes.unwrap_or(0) >> 10);
        if let Some(status) = child.try_wait().unwrap() {
            break status.code().unwrap_or(-1);
        }
        if begun.elapsed() > TIME_MAX {
            child.kill().unwrap();
            panic!("{command:?} did not end within {TIME_MAX:?}");
        }
        thread::sleep(POLL);
    };
    let text = |file: &tempfile::NamedTempFile| {
        String::from_utf8_lossy(&fs::read(file.path()).unwrap()).into_owned()
    };
    let ran = Ran {
        code,
        out: text(&out),
        err: text(&err),
    };
    assert!(!ran.err.contains("panicked"), "{command:?}: {}", ran.err);
    (ran, peak)
}

/// A line that is good, before and after what is not.
fn before() -> String {
    Session::new().prompt("This stands before.").text()
}

fn after() -> String {
    let after = Session::new().raw("").prompt("This stands after.");
    after.text().trim_start().to_owned()
}

const AROUND: [&str; 2] = ["This stands before.", "This stands after."];

#[test]
fn files_that_are_no_transcripts() {
    let utf16: Vec<u8> = "\u{feff}{\"type\":\"user\"}\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let mut binary: Vec<u8> = (0..4096_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    binary[0] = 0x7f;
    for (name, bytes, says) in [
        ("empty.jsonl", Vec::new(), "is empty"),
        ("blanks.jsonl", b" \n\t\r\n\n".to_vec(), "is empty"),
        ("nuls.jsonl", vec![0; 100_000], "is empty"),
        ("mark.jsonl", "\u{feff}\n".into(), "is empty"),
        ("binary.jsonl", binary, "not a transcript"),
        (
            "prose.md",
            b"# Shopping\n\n- bread\n".to_vec(),
            "not a transcript",
        ),
        (
            "page.html",
            b"<!doctype html><title>x</title>".to_vec(),
            "it is text/html",
        ),
        (
            "session.jsonl.gz",
            b"\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec(),
            "it is packed (application/gzip); unpack it",
        ),
        ("unmarked.jsonl", utf16[2..].to_vec(), "UTF-16"),
        (
            "cut.json",
            br#"{"messages": [{"role": "user", "content": "a"}, {"role"#.to_vec(),
            "nothing of it can be read: line 1: EOF while parsing",
        ),
        (
            "cut-list.json",
            br#"[{"title": "t", "mapping": {"a": {"id": "#.to_vec(),
            "item 1: the file ends in the middle of this value, after 39 bytes of it; if it was cut or damaged, get it again",
        ),
        (
            "data.sqlite",
            b"SQLite format 3\0\x10\0\x01\x01".to_vec(),
            "SQLite",
        ),
        ("utf16.jsonl", utf16, "UTF-16"),
        (
            "settings.json",
            br#"{"colour": "red", "size": 3}"#.to_vec(),
            "not a transcript",
        ),
        ("numbers.json", b"[1, 2, 3]".to_vec(), "not a transcript"),
        ("nothing.json", b"[]".to_vec(), "holds no record"),
        ("null.json", b"null".to_vec(), "not a transcript"),
        (
            "package.json",
            br#"{"messages": [], "name": "x"}"#.to_vec(),
            "settle",
        ),
        (
            "cut.zip",
            b"PK\x03\x04\x14\0\0\0\x08\0cut here".to_vec(),
            "cut zip",
        ),
        (
            "picture.png",
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec(),
            "not a transcript",
        ),
    ] {
        let world = World::new();
        let file = world.write(name, bytes);
        // What has the shape of a list of messages and holds none is told as such.
        let says = if says == "settle" { name } else { says };
        refused(&world, &file, says);
        let inspected = run(program().arg("inspect").arg(&file));
        assert_refused(&inspected, &file, says);
    }
}

#[test]
fn places_that_are_no_files() {
    let world = World::new();
    fs::create_dir(world.path("folder")).unwrap();
    symlink(world.path("nowhere"), world.path("dangling")).unwrap();
    refused(&world, &world.path("folder"), "help: name a file within it");
    refused(&world, &world.path("missing.jsonl"), "help: check the name");
    refused(&world, &world.path("dangling"), "help: check the name");
    let socket = world.path("socket");
    let _bound = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    refused(&world, &socket, "socket");
    for command in ["verify", "pack", "rescan"] {
        let missing = world.path("missing");
        let mut program = program();
        program.arg(command).arg(&missing);
        if command == "pack" {
            program.args(["--as", "zip"]);
        }
        assert_refused(&run(&mut program), &missing, "help: check the name");
    }
    // Nobody writes into it: reading would wait for ever.
    let pipe = world.path("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let mut import = program();
    import.args(["legacy", "import"]).arg(&pipe);
    import.arg("--data").arg(world.path("data"));
    assert_refused(&watched(&mut import).0, &pipe, "it is not a plain file");
}

#[test]
fn files_of_others() {
    let world = World::new();
    let file = world.write("secret.jsonl", before());
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
    fs::set_permissions(world.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = program();
    command
        .arg("export")
        .arg(&file)
        .arg("-o")
        .arg("/tmp/readalong-it-not-made");
    if is_root() {
        command.uid(65534).gid(65534);
    }
    match command.output() {
        Ok(_) => assert_refused(
            &run(&mut command),
            &file,
            "help: check who may read or write there",
        ),
        Err(error) => println!("skipped: cannot run as another user: {error}"),
    }
    assert!(!Path::new("/tmp/readalong-it-not-made").exists());
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0)
}

#[test]
fn damaged_lines_cost_only_themselves() {
    let good = Session::new().prompt("This stands between.").text();
    let good = good.trim_end().replace("\"u0\"", "\"between\"");
    let torn = &good[..good.len() / 2];
    let three = [AROUND[0], "This stands between.", AROUND[1]];
    type Damage<'a> = (&'a str, Vec<u8>, &'a [&'a str], Option<&'a str>);
    let cases: [Damage<'_>; 11] = [
        ("invalid UTF-8", [&good.as_bytes()[..good.len() - 4], b"\xff\xfe\"}}"].concat(), &AROUND, Some("bytes")),
        ("lone surrogate", good.replace("between.", "between.\\ud83d").into(), &three, Some("surrogate")),
        ("NUL run", [&[0; 5000][..], good.as_bytes(), &[0; 10]].concat(), &three, None),
        ("only NULs", vec![0; 70_000], &AROUND, None),
        ("two on a line", format!("{}{good}", good.replace("between.", "twice.").replace("\"between\"", "\"twice\"")).into(), &["This stands twice.", three[1]], Some("several records")),
        ("torn and good", format!("{torn}{good}").into(), &three, Some("could not be read")),
        ("torn", torn.into(), &AROUND, Some("could not be read")),
        ("prose", b"not JSON at all".to_vec(), &AROUND, Some("15 bytes could not be read")),
        ("carriage returns", format!("{good}\r").into(), &three, None),
        ("wrong types", br#"{"type":"user","uuid":[7],"message":{"role":{},"content":12}}"#.to_vec(), &AROUND, None),
        ("huge numbers", br#"{"type":"user","uuid":"n","timestamp":1e999,"message":{"role":"user","content":"x"}}"#.to_vec(), &AROUND, None),
    ];
    for (name, line, shown, warning) in cases {
        let world = World::new();
        let file = world.write(
            &format!("{name}.jsonl"),
            [before().as_bytes(), &line, b"\n", after().as_bytes()].concat(),
        );
        let exported = survives_loosely(&world, &file, shown, warning);
        AROUND.iter().for_each(|words| exported.assert_holds(words));
    }
}

/// Like [`survives`], where it is left open whether there is a warning.
fn survives_loosely(world: &World, file: &Path, shown: &[&str], warning: Option<&str>) -> Exported {
    match warning {
        Some(_) => survives(world, file, shown, warning),
        None => {
            let exported = world.export(file, &[]);
            let text = exported.found_text();
            shown.iter().for_each(|words| {
                assert_eq!(
                    text.matches(words).count(),
                    1,
                    "{}: {words}",
                    file.display()
                )
            });
            exported
        }
    }
}

#[test]
fn half_a_last_line_waits() {
    let world = World::new();
    let whole = before() + &after();
    let file = world.write("growing.jsonl", &whole[..whole.len() - 30]);
    survives(&world, &file, &AROUND[..1], Some("growing.jsonl, line 2: "));
}

#[test]
fn a_line_longer_than_any_limit() {
    let world = World::new();
    let path = world.path("long.jsonl");
    let mut file = fs::File::create(&path).unwrap();
    file.write_all(before().as_bytes()).unwrap();
    file.write_all(
        br#"{"type":"user","uuid":"long","sessionId":"s","message":{"role":"user","content":""#,
    )
    .unwrap();
    let mega = vec![b'x'; 1 << 20];
    (0..65).for_each(|_| file.write_all(&mega).unwrap());
    file.write_all(b"\"}}\n").unwrap();
    file.write_all(after().as_bytes()).unwrap();
    drop(file);
    survives(
        &world,
        &path,
        &AROUND,
        Some("long.jsonl, line 2: line of 65 MB skipped; the longest that is read is 64 MB"),
    );
    let (_, peak) = watched(program().arg("inspect").arg(&path));
    assert!(peak < 250, "{peak} MB");
}

#[test]
fn nesting_without_end() {
    const DEEP: usize = 100_000;
    let open = "[".repeat(DEEP);
    let brackets = format!("{open}{}", "]".repeat(DEEP));
    let world = World::new();
    let file = world.write("line.jsonl", format!("{}{brackets}\n{}", before(), after()));
    survives_loosely(&world, &file, &AROUND, None);
    let call = format!(
        r#"{{"type":"assistant","uuid":"deep","sessionId":"s","message":{{"id":"m","role":"assistant","content":[{{"type":"tool_use","id":"t","name":"Deep","input":{{"a":{brackets}}}}}]}}}}"#
    );
    let file = world.write("input.jsonl", format!("{}{call}\n{}", before(), after()));
    let exported = world.export(&file, &[]);
    AROUND.iter().for_each(|words| exported.assert_holds(words));
    let lists: String = (0..20_000)
        .map(|depth| format!("{}- x\n", "  ".repeat(depth % 400)))
        .collect();
    for (name, markdown) in [
        ("quotes", ">".repeat(DEEP)),
        ("spaced quotes", "> ".repeat(DEEP)),
        ("open brackets", open),
        ("images", "![".repeat(DEEP)),
        ("nested lists", format!("{}x", "- ".repeat(20_000))),
        ("indented lists", lists),
        ("emphasis", "*a **b ".repeat(DEEP / 4)),
        ("backticks", (1..400).map(|n| "`".repeat(n) + " ").collect()),
        (
            "pipes",
            format!("{}\n{}\n", "|a".repeat(DEEP), "|-".repeat(DEEP)),
        ),
        ("tags", "<div>".repeat(DEEP)),
        (
            "footnotes",
            (0..2000)
                .map(|n| format!("[^{n}]\n\n[^{n}]: [^{}]\n\n", n + 1))
                .collect(),
        ),
    ] {
        let session = Session::new()
            .prompt(AROUND[0])
            .answer(&markdown)
            .prompt(&markdown)
            .prompt(AROUND[1]);
        let world = World::new();
        let begun = Instant::now();
        let exported = survives_loosely(
            &world,
            &world.write("deep.jsonl", session.text()),
            &[],
            None,
        );
        AROUND.iter().for_each(|words| exported.assert_holds(words));
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "{name} took {:?}",
            begun.elapsed()
        );
    }
}

#[test]
fn names_of_all_kinds() {
    let world = World::new();
    let long_title = "t".repeat(1 << 20);
    for (number, title) in [
        "../../etc/passwd",
        "a/b\\c",
        "\u{202e}gpj.exe",
        "\0\u{7}\u{1b}[31m",
        "</script><script>x</script>",
        &long_title,
        " ",
    ]
    .iter()
    .enumerate()
    {
        let session = Session::new().prompt("Hello").raw(
            json!({"type": "custom-title", "customTitle": title, "sessionId": "s"}).to_string(),
        );
        let exported = world.export(&world.write("named.jsonl", session.text()), &[]);
        assert_eq!(
            run(program().arg("verify").arg(&exported.path)).code,
            0,
            "title {number}"
        );
        let ran = run(program().arg("inspect").arg(world.path("named.jsonl")));
        assert!(
            !ran.out.contains(['\u{1b}', '\u{7}', '\0']),
            "the terminal is steered by title {number}"
        );
    }
    let long_name = format!("{}.jsonl", "n".repeat(249));
    for name in [
        long_name.as_str(),
        "line\nbreak.jsonl",
        "\u{202e}lnosj.jsonl",
        "-o.jsonl",
        " .jsonl",
        "no ending",
        "%41&<b>.jsonl",
    ] {
        let world = World::new();
        let exported = world.export(&world.write(name, before()), &[]);
        exported.assert_holds(AROUND[0]);
        exported.assert_lacks(world.path("").to_str().unwrap());
    }
    let wrong = world.write("bad\u{1b}[31m name.jsonl", "nothing");
    assert!(!world.try_export(&wrong, &[]).err.contains('\u{1b}'));
}

#[test]
fn ids_twice_and_in_circles() {
    let world = World::new();
    let record = |uuid: &str, parent: &str, text: &str| {
        json!({"type": "user", "uuid": uuid, "parentUuid": parent, "sessionId": "s", "message": {"role": "user", "content": text}}).to_string()
    };
    let circle = [
        record("a", "c", "words of one"),
        record("b", "a", "words of two"),
        record("c", "b", "words of three"),
        record("d", "d", "words of four"),
        record("a", "b", "words of five"),
    ];
    let shown = [
        "words of one",
        "words of two",
        "words of three",
        "words of four",
        "words of five",
    ];
    survives_loosely(
        &world,
        &world.write("circle.jsonl", circle.join("\n")),
        &shown,
        None,
    );
    let conversation = |mapping: Value| {
        json!([{"title": "t", "mapping": mapping, "current_node": "a", "conversation_id": "c", "create_time": 1.0}]).to_string()
    };
    let mapping = json!({"a": node("a", Some("b"), &["b"], "words of one"), "b": node("b", Some("a"), &["a", "b"], "words of two"), "c": node("c", Some("gone"), &["gone"], "words of three")});
    let exported = world.export(&world.write("circle.json", conversation(mapping)), &[]);
    shown[..3]
        .iter()
        .for_each(|words| exported.assert_holds(words));
    let same = json!([{"role": "user", "id": "x", "content": "words of one"}, {"role": "assistant", "id": "x", "content": "words of two"}]);
    let exported = world.export(&world.write("same.json", same.to_string()), &[]);
    shown[..2]
        .iter()
        .for_each(|words| exported.assert_holds(words));
}

/// A node of a product's tree of messages.
fn node(id: &str, parent: Option<&str>, children: &[&str], text: &str) -> Value {
    let role = if id.starts_with('a') {
        "assistant"
    } else {
        "user"
    };
    json!({"id": id, "parent": parent, "children": children, "message": {
        "id": id, "author": {"role": role}, "content": {"content_type": "text", "parts": [text]}, "metadata": {}, "recipient": "all", "weight": 1.0,
    }})
}

#[test]
fn forks_by_the_thousand() {
    const FORKS: usize = 10_000;
    let world = World::new();
    let ids: Vec<String> = (0..FORKS).map(|n| format!("a{n}")).collect();
    let children: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut mapping = serde_json::Map::new();
    mapping.insert("root".into(), node("root", None, &children, "One prompt"));
    for (n, id) in ids.iter().enumerate() {
        mapping.insert(
            id.clone(),
            node(id, Some("root"), &[], &format!("version number {n}.")),
        );
    }
    let chat = json!([{"title": "t", "mapping": mapping, "current_node": "a0", "conversation_id": "c", "create_time": 1.0}]);
    let file = world.write("forks.json", chat.to_string());
    let (ran, peak) = watched(
        program()
            .arg("export")
            .arg(&file)
            .arg("-o")
            .arg(world.out())
            .arg("--json"),
    );
    assert_eq!(ran.code, 0, "{}", ran.err);
    let exported = Exported::of(&ran);
    exported.assert_holds("version number 9999.");
    assert!(peak < 400, "{peak} MB");
    assert!(
        exported.said["size_bytes"].as_u64().unwrap() < 400 << 20,
        "{}",
        exported.said
    );
}

fn zip_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn cut_and_foreign_zips() {
    let world = World::new();
    let chats = fs::read(fixture("chats/branches.json")).unwrap();
    let whole = zip_of(&[("conversations.json", &chats)]);
    refused(&world, &world.write("cut.zip", &whole[..10]), "cut zip");
    refused(
        &world,
        &world.write("cut.zip", &whole[..whole.len() / 2]),
        "is a damaged or cut zip",
    );
    let exported = world.export(&world.write("end.zip", &whole[..whole.len() - 3]), &[]);
    let warnings = exported.warnings();
    assert!(
        warnings
            .iter()
            .any(|warning| warning.contains("damaged or cut")),
        "{warnings:?}"
    );
    // Of many chats those before the cut are still there.
    let world = World::new();
    let chat = |number: usize| json!({"title": format!("Chat {number}"), "conversation_id": format!("c{number}"), "create_time": 1.0, "current_node": "u", "mapping": {"u": node("u", None, &[], &format!("words of chat {number} {:x}", number * 7_654_321))}});
    let many: Vec<Value> = (1..=3000).map(chat).collect();
    let zip = zip_of(&[("conversations.json", json!(many).to_string().as_bytes())]);
    let file = world.write("many.zip", &zip[..zip.len() / 2]);
    let exported = world.export(&file, &["--chat", "Chat 500"]);
    exported.assert_holds("words of chat 500 ");
    assert!(!exported.warnings().is_empty());
    assert_eq!(world.try_export(&file, &["--chat", "Chat 2999"]).code, 2);
    let world = World::new();
    let mut flipped = whole.clone();
    let middle = whole.len() / 3;
    flipped[middle..middle + 40]
        .iter_mut()
        .for_each(|byte| *byte ^= 0x55);
    refused(&world, &world.write("flipped.zip", flipped), "flipped.zip");
    refused(
        &world,
        &world.write("foreign.zip", zip_of(&[("letter.docx", b"x")])),
        "without a `conversations.json`",
    );
    refused(
        &world,
        &world.write("hollow.zip", zip_of(&[("conversations.json", b"")])),
        "hollow.zip",
    );
    refused(&world, &world.write("empty.zip", zip_of(&[])), "empty.zip");
}

#[test]
fn a_zip_whose_text_was_altered_says_so() {
    let chats = fs::read_to_string(fixture("chats/branches.json")).unwrap();
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    zip.start_file("conversations.json", stored).unwrap();
    zip.write_all(chats.as_bytes()).unwrap();
    let mut zip = zip.finish().unwrap().into_inner();
    let at = zip.windows(9).position(|bytes| bytes == b"\"title\": ");
    zip[at.unwrap() + 11] ^= 1;
    let world = World::new();
    let exported = world.export(&world.write("altered.zip", zip), &[]);
    let warnings = exported.warnings();
    let told = "conversations.json: it is damaged or cut: Invalid checksum";
    assert!(warnings.contains(&told), "{warnings:?}");
}

#[test]
fn arrays_that_are_cut_or_followed_by_something_say_so() {
    let messages = r#"[{"role":"user","content":"This is one."},{"role":"assistant","content":"This is two."}"#;
    for (end, says) in [
        ("", "item 3: the file ends in the middle"),
        (",", "item 3: the file ends in the middle"),
        (
            r#"]{"trail"#,
            "item 3: 7 bytes behind the end of the array were not read",
        ),
    ] {
        let world = World::new();
        let file = world.write("chat.json", format!("{messages}{end}"));
        survives(&world, &file, &["This is one.", "This is two."], Some(says));
    }
}

#[test]
fn what_is_lost_of_a_file_of_chats_is_told_by_inspect() {
    let world = World::new();
    let chat = |id: &str| json!({"title": id, "conversation_id": id, "create_time": 1.0, "current_node": "u", "mapping": {"u": node("u", None, &[], "words")}});
    let torn = json!({"title": "torn", "id": "t", "conversation_id": "t", "create_time": 1.0, "update_time": 1.0, "default_model_slug": "m"});
    let says = "item 2: a conversation without its messages";
    let file = world.write(
        "chats.json",
        json!([chat("a"), torn, chat("b")]).to_string(),
    );
    let ran = run(program().arg("inspect").arg(&file));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.out.contains("Chats     2\n") && ran.out.contains("Warnings  1\n"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains(says), "{}", ran.out);
    let file = world.write("torn.json", json!([torn]).to_string());
    let ran = run(program().arg("inspect").arg(&file));
    assert_eq!(ran.code, 2, "{ran:?}");
    let says = "item 1: a conversation without its messages";
    assert!(
        ran.err.contains(says) && ran.err.contains("help: if it was cut"),
        "{}",
        ran.err
    );
}

#[test]
fn zip_members_cannot_climb_out() {
    let world = World::new();
    let pointer = |id: &str| json!({"content_type": "image_asset_pointer", "asset_pointer": format!("file-service://{id}")});
    let parts = json!([
        "Look",
        pointer("file-../../evil"),
        pointer("file-/etc/passwd"),
        pointer("file-Good1")
    ]);
    let mapping = json!({"u": {"id": "u", "parent": null, "children": [], "message": {"id": "u", "author": {"role": "user"}, "content": {"content_type": "multimodal_text", "parts": parts}, "metadata": {}, "recipient": "all", "weight": 1.0}}});
    let chats = json!([{"title": "t", "mapping": mapping, "current_node": "u", "conversation_id": "../../../up", "create_time": 1.0}]).to_string();
    let zip = zip_of(&[
        ("conversations.json", chats.as_bytes()),
        ("../../evil", b"EVIL"),
        ("file-../../evil", b"EVIL"),
        ("/abs/file-Good1.png", b"\x89PNG\r\n\x1a\n"),
        ("../file-Good1-x.html", b"<script>EVIL</script>"),
    ]);
    let file = world.write("inner/deep/climb.zip", zip);
    let exported = world.export(&file, &[]);
    let outside: Vec<PathBuf> = fs::read_dir(world.path(""))
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    assert_eq!(outside.len(), 2, "{outside:?}");
    assert_eq!(fs::read_dir(world.path("inner/deep")).unwrap().count(), 1);
    exported.assert_lacks("root:x:0");
    assert!(
        exported
            .files()
            .keys()
            .all(|path| !path.contains("..") && !path.starts_with('/'))
    );
    assert!(
        exported
            .files()
            .keys()
            .all(|path| !path.starts_with("files/") || !path.ends_with(".html"))
    );
}

#[test]
fn zip_bombs() {
    for (name, begin) in [
        ("blanks", "["),
        (
            "one string",
            r#"[{"mapping":{},"conversation_id":"c","title":""#,
        ),
    ] {
        let world = World::new();
        let path = world.path("bomb.zip");
        let mut zip = ZipWriter::new(fs::File::create(&path).unwrap());
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        zip.start_file("conversations.json", options).unwrap();
        zip.write_all(begin.as_bytes()).unwrap();
        let blanks = vec![b' '; 1 << 20];
        (0..2048).for_each(|_| zip.write_all(&blanks).unwrap());
        zip.finish().unwrap();
        let (ran, peak) = watched(
            program()
                .arg("export")
                .arg(&path)
                .arg("-o")
                .arg(world.out()),
        );
        assert_refused(&ran, &path, "bomb.zip");
        assert_eq!(world.names_in_out(), [""; 0]);
        assert!(peak < 700, "{name}: {peak} MB");
    }
}

#[test]
fn artifacts_that_are_missing_or_elsewhere() {
    let world = World::new();
    let secret = world.write("elsewhere/secret.png", b"\x89PNG\r\n\x1a\nCANARY-ELSEWHERE");
    let parts = json!(["Look", {"content_type": "image_asset_pointer", "asset_pointer": "file-service://file-Linked"}, {"content_type": "image_asset_pointer", "asset_pointer": "file-service://file-Gone"}]);
    let mapping = json!({"u": {"id": "u", "parent": null, "children": [], "message": {"id": "u", "author": {"role": "user"}, "content": {"content_type": "multimodal_text", "parts": parts}, "metadata": {}, "recipient": "all", "weight": 1.0}}});
    let chats = json!([{"title": "t", "mapping": mapping, "current_node": "u", "conversation_id": "c", "create_time": 1.0}]).to_string();
    let file = world.write("here/conversations.json", chats);
    symlink(&secret, world.path("here/file-Linked.png")).unwrap();
    let exported = world.export(&file, &[]);
    exported.assert_lacks("CANARY-ELSEWHERE");
    let states: Vec<Value> = exported.chat()["artifacts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|artifact| artifact["content"].clone())
        .collect();
    assert_eq!(states, [json!("missing"), json!("missing")]);
    // Nor through a linked folder.
    let session = Session::new()
        .prompt("Go")
        .call("t", "Bash", &json!({"command": "x"}));
    let output = "<persisted-output>\nOutput too large (5KB). Full output saved to: /home/dev/.claude/projects/p/linked/tool-results/big.txt\n\nPreview (first 2KB):\npreview\n</persisted-output>";
    let session = session.result("t", &json!(output));
    let file = world.write(
        "here/linked.jsonl",
        session.text().replace("\"s\"", "\"linked\""),
    );
    world.write("elsewhere/tool-results/big.txt", "CANARY-ELSEWHERE");
    symlink(world.path("elsewhere"), world.path("here/linked")).unwrap();
    world.export(&file, &[]).assert_lacks("CANARY-ELSEWHERE");
    // A bundle's own chat.json whose files are gone or were exchanged.
    let made = world.export(&fixture("chats/agent.jsonl"), &[]);
    let copy = world.write("copy/chat.json", made.file("chat.json"));
    let without = world.export(&copy, &[]);
    assert_ne!(without.id(), made.id());
    for (path, _) in made
        .files()
        .iter()
        .filter(|(path, _)| path.starts_with("files/"))
    {
        world.write(&format!("copy/{path}"), "CANARY-EXCHANGED");
    }
    world.export(&copy, &[]).assert_lacks("CANARY-EXCHANGED");
}

#[test]
fn places_where_nothing_can_be_written() {
    let world = World::new();
    let file = world.write("chat.jsonl", before());
    let taken = world.write("taken", "a file");
    for out in [taken.clone(), taken.join("below")] {
        let ran = run(program().arg("export").arg(&file).arg("-o").arg(&out));
        assert_refused(&ran, &taken, "taken");
    }
    assert_eq!(fs::read_to_string(&taken).unwrap(), "a file");
    let closed = world.path("closed");
    fs::create_dir(&closed).unwrap();
    if let Some(_mounted) = Mounted::tmpfs(&closed, "ro,size=1m") {
        let ran = run(program().arg("export").arg(&file).arg("-o").arg(&closed));
        assert_refused(&ran, &closed, "help: write elsewhere");
    } else if !is_root() {
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).unwrap();
        let ran = run(program().arg("export").arg(&file).arg("-o").arg(&closed));
        assert_refused(&ran, &closed, "help: check who may read or write there");
    }
}

#[test]
fn a_full_disk() {
    let world = World::new();
    let small = world.path("small");
    fs::create_dir(&small).unwrap();
    let Some(_mounted) = Mounted::tmpfs(&small, "size=1m") else {
        return;
    };
    let mut session = Session::new();
    for turn in 0..400 {
        session = session.prompt(&format!("Prompt {turn}")).answer(&format!(
            "Answer {turn}. {}",
            "Some more words. ".repeat(200)
        ));
    }
    let file = world.write("chat.jsonl", session.text());
    let ran = run(program().arg("export").arg(&file).arg("-o").arg(&small));
    assert_refused(&ran, &small, "help: free some space");
    assert_eq!(fs::read_dir(&small).unwrap().count(), 0, "nothing is left");
    // Nor where the temporary folder for artifacts is full.
    let picture = json!([{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo".to_owned() + &"A".repeat(3 << 20)}}]);
    let file = world.write(
        "picture.jsonl",
        Session::new().prompt_blocks(&picture).text(),
    );
    let ran = run(program()
        .arg("export")
        .arg(&file)
        .arg("-o")
        .arg(world.out())
        .env("TMPDIR", &small));
    assert_refused(&ran, &file, "help: free some space");
    assert_eq!(
        (
            fs::read_dir(&small).unwrap().count(),
            world.names_in_out().len()
        ),
        (0, 0)
    );
}

/// A file system of its own, gone when dropped.
struct Mounted(PathBuf);

impl Mounted {
    /// Mounts one where that is allowed; says so where it is not.
    fn tmpfs(at: &Path, options: &str) -> Option<Self> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "readalong-it"])
            .arg(at)
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(at.to_owned())),
            _ => {
                println!("skipped: mounting a file system is not allowed here");
                None
            }
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn an_interrupt_leaves_nothing() {
    let world = World::new();
    let mut session = Session::new();
    for turn in 0..6000 {
        session = session.prompt(&format!("Prompt {turn}")).answer(&format!(
            "```rust\n{}```",
            "fn a() -> usize { 1 }\n".repeat(30)
        ));
    }
    let file = world.write("big.jsonl", session.text());
    for signal in ["-INT", "-TERM"] {
        let mut command = program();
        command
            .arg("export")
            .arg(&file)
            .arg("-o")
            .arg(world.out())
            .stderr(Stdio::piped())
            .stdout(Stdio::piped());
        let child = command.spawn().unwrap();
        let begun = Instant::now();
        while !world
            .names_in_out()
            .iter()
            .any(|name| name.ends_with(".partial"))
        {
            assert!(begun.elapsed() < TIME_MAX, "no bundle was begun");
            thread::sleep(POLL);
        }
        let kill = Command::new("kill")
            .arg(signal)
            .arg(child.id().to_string())
            .status()
            .unwrap();
        assert!(kill.success());
        let interrupted = Instant::now();
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && !err.contains("panicked"),
            "{err}"
        );
        assert!(err.contains("cancelled"), "{err}");
        assert!(
            interrupted.elapsed() < Duration::from_secs(20),
            "{:?}",
            interrupted.elapsed()
        );
        assert_eq!(world.names_in_out(), [""; 0], "left behind after {signal}");
    }
}

#[test]
fn readers_that_go_away_are_no_failure() {
    let world = World::new();
    let file = fixture("chats/agent.jsonl");
    for args in [
        &["formats"][..],
        &["completions", "zsh"],
        &["theme", "list"],
        &["inspect", file.to_str().unwrap()],
        &["--help"],
    ] {
        let mut child = program()
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!err.contains("panicked"), "{args:?}: {err}");
        assert_eq!(output.status.code(), Some(0), "{args:?}: {err}");
    }
    let mut command = program();
    command
        .arg("export")
        .arg(&file)
        .arg("-o")
        .arg(world.out())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(world.names_in_out().len(), 1);
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = program()
        .arg("formats")
        .stdout(full)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert!(err.contains("help: "), "{err}");
}
