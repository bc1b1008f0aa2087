//! The server as viewers see it: real sockets, real pages, real bundles in its data folder.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::Command,
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant, SystemTime},
};

use serde_json::{Value, json};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Error, client::IntoClientRequest},
};

use crate::{
    follow::Dice,
    served::{
        Api, PATIENCE, Running, Served, done_on, get, get_text, id, message, on, try_ask,
        wait_until,
    },
    viewer::{Heard, Item, Page, Viewer, all_items, assert_same_items, block_on, items_of_bundle},
    world::{Session, World, readalong, root},
};

/// A picture of one point.
const PICTURE: &[u8] =
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89";
/// Sockets that a revocation has to close.
const SOCKETS: usize = 100;
/// How long that may take in a build without optimisation on a machine that does other things too.
const REVOKED_WITHIN: Duration = Duration::from_secs(5);

/// A session of an agent that fills several pages: prompts, thoughts, calls, results, code.
fn long_session(turns: usize) -> String {
    let mut session = Session::new();
    for turn in 0..turns {
        let call = format!("call-{turn}");
        session = session
            .prompt(&format!("Question {turn} with `code` & <b>marks</b>"))
            .answer(&format!(
                "Answer {turn}: **yes**.\n\n```rust\nfn f{turn}() {{}}\n```\n\n{}",
                "Word after word. ".repeat(60)
            ))
            .call(
                &call,
                "Bash",
                &json!({"command": format!("ls {turn}"), "description": "looks"}),
            )
            .result(
                &call,
                &json!(format!("file-{turn}\n{}", "line\n".repeat(turn % 7))),
            )
            .answer(&format!("Done with {turn}."));
    }
    session.text()
}

/// Every file below a folder.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => files.extend(files_below(&path)),
            path => files.push(path),
        }
    }
    files
}

/// Files of a data folder that hold a text.
pub(crate) fn holding(data: &Path, text: &str) -> Vec<PathBuf> {
    let holds = |path: &PathBuf| {
        let bytes = fs::read(path).unwrap_or_default();
        bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    };
    files_below(data).into_iter().filter(holds).collect()
}

/// The ids of the bundles in a data folder.
fn bundles(data: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(data.join("bundles"))
        .into_iter()
        .flatten()
        .flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.join("manifest.json").is_file())
        .collect()
}

#[test]
fn a_live_share_shows_what_a_bundle_of_it_shows() {
    let world = World::new();
    let file = world.write("session.jsonl", long_session(150));
    // What a crash left of an upload goes.
    let left = world.path("data/cache/uploads/.tmpAbCdEf");
    fs::create_dir_all(left.parent().unwrap()).unwrap();
    fs::write(&left, "half").unwrap();
    let served = Served::start(&world);
    assert!(!left.exists());
    let frozen: Value =
        serde_json::from_str(&served.done(&["share", file.to_str().unwrap(), "--json"])).unwrap();
    let live = served.api.share(frozen["chat"].as_str().unwrap(), "live");
    let exported = world.export(&file, &["--no-artifacts"]);

    let bundle = items_of_bundle(&exported.path);
    assert!(
        exported.said["pages"].as_u64() > Some(2),
        "several pages: {}",
        exported.said
    );
    assert_same_items(&all_items(&served.link(&frozen)), &bundle, "frozen");
    assert_same_items(&all_items(&served.link(&live)), &bundle, "live");

    // The page at the address itself ends with the newest messages.
    let newest = Page::parse(&get_text(&served.link(&live)));
    assert!(newest.is_live && !newest.has_next && newest.has_previous);
    assert_same_items(
        &newest.items,
        &bundle[bundle.len() - newest.items.len()..],
        "newest",
    );

    // All that a bundle has is there while the share is live, with the same chat and the same text to find.
    for file in exported
        .files()
        .keys()
        .filter(|file| !file.starts_with("assets/"))
    {
        let answers = |share: &Value| get(&format!("{}{file}", served.link(share)));
        assert_eq!(answers(&frozen).status, 200, "frozen {file}");
        if *file == "manifest.json" {
            continue;
        }
        let answer = answers(&live);
        assert_eq!(answer.status, 200, "live {file}");
        if file.starts_with("data/search-") {
            assert_eq!(answer.text(), exported.file(file), "{file}");
        }
    }
    let messages = |link: String| get(&format!("{link}chat.json")).json()["messages"].clone();
    assert_eq!(messages(served.link(&live)), exported.chat()["messages"]);
    assert_eq!(messages(served.link(&frozen)), exported.chat()["messages"]);
}

#[test]
fn every_fixture_is_the_same_live_and_frozen() {
    let world = World::new();
    let served = Served::start(&world);
    let mut compared = 0;
    for file in files_below(&root().join("tests/fixtures")) {
        let is_transcript = ["json", "jsonl"]
            .iter()
            .any(|end| file.extension().is_some_and(|e| e == *end));
        if !is_transcript || !(0..200_000).contains(&file.metadata().unwrap().len()) {
            continue;
        }
        let name = file.strip_prefix(root()).unwrap().display().to_string();
        let ran = crate::served::try_on(
            &served.data,
            &["share", file.to_str().unwrap(), "--json", "--artifacts"],
        );
        let Ok(frozen) = serde_json::from_str::<Value>(&ran.out) else {
            // It holds no chat, or several; other tests are about these.
            assert_eq!(ran.code, 2, "{name}: {}", ran.err);
            continue;
        };
        let live = served.api.post(
            "shares",
            &json!({"chat": frozen["chat"], "updates": "live", "visibility": "public", "artifacts": true}),
        );
        let exported = world.export(&file, &[]);
        let bundle = items_of_bundle(&exported.path);
        assert_same_items(
            &all_items(&served.link(&frozen)),
            &bundle,
            &format!("{name}, frozen"),
        );
        assert_same_items(
            &all_items(&served.link(&live)),
            &bundle,
            &format!("{name}, live"),
        );
        compared += 1;
    }
    assert!(compared > 25, "{compared} transcripts");
}

/// A chat with a picture, and its address.
fn chat_with_picture(api: &Api) -> String {
    let chat = api.chat("With a picture");
    let digest = readalong_model::Digest::of(PICTURE).to_string();
    let url = format!("{}/api/v1/chats/{chat}/artifacts/{digest}", api.url);
    let token = format!("Bearer {}", api.token);
    let put = try_ask("PUT", &url, &[("Authorization", &token)], PICTURE).unwrap();
    assert_eq!(put.status, 201, "{}", put.text());
    let artifact = json!({"name": "a.png", "media_type": "image/png", "role": "uploaded", "content": {"present": {"sha256": digest, "size_bytes": PICTURE.len()}}});
    let messages = json!([
        [0, {"id": "m-0", "role": "user", "parts": [{"text": {"markdown": "What is this?"}}, {"image": {"artifact": 0}}]}],
        [1, {"id": "m-1", "parent": "m-0", "role": "assistant", "parts": [{"text": {"markdown": "A point."}}]}]]);
    api.post(
        &format!("chats/{chat}/changes"),
        &json!({"artifacts": [[0, artifact]], "messages": messages}),
    );
    chat
}

#[test]
fn what_its_owner_takes_back_is_gone_at_once() {
    let world = World::new();
    let served = Served::with(&world.path("data"), &["--sockets-per-address", "400"]);
    let api = &served.api;
    let chat = chat_with_picture(api);
    for way in ["delete", "private", "expire", "delete the chat"] {
        let share = api.post(
            "shares",
            &json!({"chat": chat, "updates": "live", "visibility": "public", "artifacts": true}),
        );
        let (path, link) = (format!("shares/{}", id(&share)), served.link(&share));
        let page = get_text(&link);
        let (_, picture) = page.split_once("files/").expect("a picture");
        let picture = format!("files/{}", picture.split('"').next().unwrap());
        assert_eq!(get(&format!("{link}{picture}")).body, PICTURE);
        let code = if way == "private" { 4401 } else { 4404 };
        block_on(async {
            let mut watched = Vec::new();
            for _ in 0..SOCKETS {
                let mut viewer = Viewer::open(&link).await;
                let line = viewer.come_back().await;
                watched.push((viewer, line));
            }
            for (viewer, line) in &mut watched {
                viewer.hear(line, PATIENCE).await;
            }
            let begun = Instant::now();
            let mut allowed = REVOKED_WITHIN;
            match way {
                "delete" => _ = api.delete(&path),
                "private" => _ = api.patch(&path, &json!({"visibility": "private"})),
                "delete the chat" => _ = api.delete(&format!("chats/{chat}")),
                _ => {
                    allowed += Duration::from_secs(1);
                    let at = SystemTime::now() + Duration::from_secs(1);
                    let at = at.duration_since(SystemTime::UNIX_EPOCH).unwrap();
                    let at = readalong_model::Timestamp::after_epoch(at).to_string();
                    api.patch(&path, &json!({"expires_at": at}));
                }
            }
            for (mut viewer, mut line) in watched {
                assert_eq!(viewer.hear_end(&mut line).await, Some(code), "{way}");
            }
            assert!(
                begun.elapsed() < allowed,
                "{way} took {:?}",
                begun.elapsed()
            );
            // Whoever comes now is told the same.
            let url = format!("{}live", link.replace("http://", "ws://"));
            let (mut socket, _) = connect_async(url).await.unwrap();
            let said = futures_util::StreamExt::next(&mut socket)
                .await
                .unwrap()
                .unwrap();
            let said = match said {
                tokio_tungstenite::tungstenite::Message::Close(Some(frame)) => {
                    u16::from(frame.code)
                }
                other => panic!("{way}: {other:?}"),
            };
            assert_eq!(said, code, "{way}");
        });
        for name in [
            "",
            "index.html",
            "contents.html",
            "chat.json",
            "chat.md",
            "data/chat.js",
            "live",
            "events",
            "qr.svg",
            "9.html",
            &picture,
        ] {
            let answer = get(&format!("{link}{name}"));
            let expected: &[u16] = match (way, name) {
                // A source of events says it as an event, since scripts do not see the status.
                (_, "events") => &[200, 401, 404],
                ("private", _) => &[401, 302, 303],
                _ => &[404],
            };
            assert!(
                expected.contains(&answer.status),
                "{way} {name:?}: {}",
                answer.status
            );
            assert!(!answer.text().contains("A point."), "{way} {name:?}");
        }
    }
}

#[test]
fn who_is_signed_in_keeps_a_share_that_becomes_private() {
    let world = World::new();
    let served = Served::start(&world);
    let api = &served.api;
    let chat = api.chat("Ours");
    api.say(&chat, 0, 3);
    let share = api.share(&chat, "live");
    let link = served.link(&share);
    let said = served.running.out();
    let (_, signin) = said.split_once("works once): ").expect("a link to sign in");
    let signed_in = get(signin.lines().next().unwrap().trim());
    let cookie = signed_in.headers["set-cookie"].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    block_on(async {
        let mut owner = Viewer::open_page(&link, "", Some(&cookie)).await;
        let mut owner_line = owner.come_back().await;
        let mut guest = Viewer::open(&link).await;
        let mut guest_line = guest.come_back().await;
        owner.hear(&mut owner_line, PATIENCE).await;
        guest.hear(&mut guest_line, PATIENCE).await;
        api.patch(
            &format!("shares/{}", id(&share)),
            &json!({"visibility": "private"}),
        );
        assert_eq!(guest.hear_end(&mut guest_line).await, Some(4401));
        api.say(&chat, 3, 4);
        owner
            .hear_until(&mut owner_line, "a message after the change", |viewer| {
                viewer.text().contains("Answer 3.")
            })
            .await;
        assert!(
            owner
                .header
                .as_ref()
                .is_some_and(|header| header.contains("rivate")),
            "the header says so"
        );
        // The session ends, and with it what it opened.
        let origin = served.api.url.clone();
        let out = try_ask(
            "POST",
            &format!("{origin}/signout"),
            &[("Cookie", &cookie), ("Origin", &origin)],
            &[],
        )
        .unwrap();
        assert!(out.status < 400, "{}", out.text());
        assert_eq!(owner.hear_end(&mut owner_line).await, Some(4401));
        assert!(matches!(get(&link).status, 401 | 302 | 303));
    });
}

/// An event of a source of events.
#[derive(Debug)]
struct Sent {
    id: String,
    event: String,
    data: String,
}

/// Reads a source of events to its end.
fn events(url: &str, headers: &[(&str, &str)]) -> Receiver<Sent> {
    let mut request = ureq::get(url)
        .header("Accept", "text/event-stream")
        .config()
        .timeout_connect(Some(PATIENCE))
        .build();
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.call().unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let (tell, told) = channel();
    thread::spawn(move || {
        let mut sent = [const { String::new() }; 3];
        for line in BufReader::new(response.into_body().into_reader()).lines() {
            let Ok(line) = line else { return };
            match line.split_once(": ") {
                Some(("id", value)) => sent[0] = value.to_owned(),
                Some(("event", value)) => sent[1] = value.to_owned(),
                Some(("data", value)) => sent[2] = value.to_owned(),
                _ if line.is_empty() && !sent[2].is_empty() => {
                    let [id, event, data] = std::mem::take(&mut sent);
                    if tell.send(Sent { id, event, data }).is_err() {
                        return;
                    }
                }
                _ => {}
            }
        }
    });
    told
}

#[test]
fn events_are_the_frames_of_the_socket() {
    let world = World::new();
    let served = Served::start(&world);
    let api = &served.api;
    let chat = api.chat("Twice");
    api.say(&chat, 0, 4);
    let share = api.share(&chat, "live");
    let link = served.link(&share);
    block_on(async {
        let mut viewer = Viewer::open(&link).await;
        let (epoch, after) = (viewer.page.epoch.clone(), viewer.page.seq);
        let mut line = viewer.come_back().await;
        let source = events(&format!("{link}events?epoch={epoch}&after={after}"), &[]);
        viewer.hear(&mut line, PATIENCE).await;
        let hello: Value =
            serde_json::from_str(&source.recv_timeout(PATIENCE).unwrap().data).unwrap();
        assert_eq!(hello["hello"]["protocol"], 1);
        for number in 4..40 {
            api.say(&chat, number, number + 1);
        }
        api.patch(
            &format!("chats/{chat}/messages/m-2"),
            &json!({"text": "Edited"}),
        );
        api.delete(&format!("chats/{chat}/messages/m-3"));
        api.patch(
            &format!("shares/{}", id(&share)),
            &json!({"updates": "frozen"}),
        );
        let mut frames = Vec::new();
        let code = loop {
            match viewer.hear(&mut line, PATIENCE).await {
                Heard::Frame(frame) if frame.get("ops").is_some() => frames.push(frame),
                Heard::Frame(_) => {}
                Heard::Closed(code) => break code,
                Heard::Silence => panic!("silence"),
            }
        };
        assert_eq!(code, Some(4410));
        let mut sent = Vec::new();
        let close = loop {
            let event = source.recv_timeout(PATIENCE).unwrap();
            let data: Value = serde_json::from_str(&event.data).unwrap();
            if event.event == "close" {
                break data;
            }
            if data.get("ops").is_some() {
                assert_eq!(event.id, format!("{epoch}-{}", data["seq"]));
                sent.push(data);
            }
        };
        assert_eq!(close, json!({"code": 4410}));
        assert_eq!(frames, sent);
        assert!(frames.len() > 1, "{frames:?}");
        assert!(viewer.text().contains("Edited") && !viewer.text().contains("Answer 3."));
        let fresh = Page::parse(&get_text(&format!("{link}index.html")));
        assert_same_items(&viewer.page.items, &fresh.items, "after freezing");
    });
}

#[test]
fn a_source_of_events_goes_on_after_its_last_id() {
    let world = World::new();
    let served = Served::start(&world);
    let api = &served.api;
    let chat = api.chat("Again");
    api.say(&chat, 0, 4);
    let share = api.share(&chat, "live");
    let link = served.link(&share);
    let page = Page::parse(&get_text(&link));
    let seq = page.seq;
    api.say(&chat, 4, 6);
    let next = |source: &Receiver<Sent>| -> Value {
        serde_json::from_str(&source.recv_timeout(PATIENCE).unwrap().data).unwrap()
    };
    // The address says another place; what the browser says of itself goes first.
    let last = format!("{}-{seq}", page.epoch);
    let source = events(
        &format!("{link}events?epoch={}&after=999999", page.epoch),
        &[("Last-Event-ID", &last)],
    );
    assert!(next(&source)["hello"].is_object());
    let frame = next(&source);
    assert!(
        frame["seq"].as_u64() > Some(seq) && frame["ops"][0]["put"].is_object(),
        "{frame}"
    );
    // Places that are of no use.
    for place in [
        String::new(),
        format!("?epoch={}&after=999999", page.epoch),
        format!("?epoch=0123456789abcdef&after={seq}"),
    ] {
        let source = events(&format!("{link}events{place}"), &[]);
        assert!(next(&source)["hello"].is_object());
        let reset = next(&source);
        assert_eq!(
            reset["reset"]["epoch"],
            page.epoch.as_str(),
            "{place}: {reset}"
        );
    }
}

#[test]
fn a_viewer_who_does_not_read_is_cut_and_loses_nothing() {
    let world = World::new();
    let served = Served::start(&world);
    let api = served.api.clone();
    let chat = api.chat("Much");
    api.say(&chat, 0, 2);
    let link = served.link(&api.share(&chat, "live"));
    block_on(async {
        let mut slow = Viewer::open(&link).await;
        slow.receive_buffer = Some(4 << 10);
        let mut slow_line = slow.come_back().await;
        slow.hear(&mut slow_line, PATIENCE).await;
        let mut quick = Viewer::open(&link).await;
        let mut quick_line = quick.come_back().await;
        quick.hear(&mut quick_line, PATIENCE).await;
        // More than the server keeps and the system holds.
        let write = tokio::task::spawn_blocking(move || {
            for number in 2..402 {
                let mut said = message(number);
                said["role"] = json!("user");
                said["text"] = json!(format!(
                    "Number {number}. {}",
                    "Word after word. ".repeat(2_000)
                ));
                api.post(&format!("chats/{chat}/messages"), &said);
            }
        });
        quick
            .hear_until(&mut quick_line, "the last message", |viewer| {
                viewer
                    .page
                    .items
                    .last()
                    .is_some_and(|item| item.html.contains("Number 401."))
            })
            .await;
        write.await.unwrap();
        assert_eq!(quick.told.fetched, 1, "whoever reads is not cut");
        slow.receive_buffer = None;
        let code = slow.hear_end(&mut slow_line).await;
        assert!(matches!(code, Some(4408) | None), "{code:?}");
        assert!(slow.page.items.len() < 400, "the slow one has not got all");
        let mut line = slow.come_back().await;
        slow.catch_up(&mut line, quick.page.seq).await;
        let all = all_items(&link);
        let newest = Page::parse(&get_text(&link));
        quick.assert_is_end_of(&all, &newest, "quick");
        slow.assert_is_end_of(&all, &newest, "slow");
    });
}

#[test]
fn a_server_says_where_the_system_allows_too_few_open_files() {
    let world = World::new();
    let running = |allowed: u32, more: &str| {
        let command = on(&world.path("data"));
        let program = command.get_program().to_owned();
        let shell = format!("ulimit -n {allowed}; exec \"$0\" serve --addr 127.0.0.1:0 {more}");
        let mut limited = Command::new("sh");
        let set = command
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?)));
        limited
            .envs(set)
            .env("READALONG_LIMITS_CONNECTIONS", "100")
            .env("READALONG_LIMITS_STREAMS", "20")
            .args(["-c", &shell])
            .arg(program);
        let mut running = Running::start(&mut limited);
        wait_until("it serves", || running.err().contains("Ctrl-C ends it"));
        running.stop("-TERM").err
    };
    // One person needs few. An address that others reach it at is remembered from then on.
    assert!(!running(1_119, "").contains("open files"));
    let for_others = "--base-url https://chats.example";
    let err = running(1_119, for_others);
    assert!(
        err.contains("the system allows 1119 open files, and 1120 may be needed at once"),
        "{err}"
    );
    assert!(!running(1_120, for_others).contains("open files"));
}

#[test]
fn other_sites_do_not_listen() {
    let world = World::new();
    let served = Served::start(&world);
    let chat = served.api.chat("Mine");
    let link = served.link(&served.api.share(&chat, "live"));
    let own = served.api.url.clone();
    for (origin, is_let_in) in [
        (None, true),
        (Some(own.as_str()), true),
        (Some("https://evil.example"), false),
        (Some("http://127.0.0.1"), false),
        (Some("null"), false),
    ] {
        let mut request = format!("{}live", link.replace("http://", "ws://"))
            .into_client_request()
            .unwrap();
        if let Some(origin) = origin {
            request
                .headers_mut()
                .insert("Origin", origin.parse().unwrap());
        }
        let status = match block_on(connect_async(request)) {
            Ok(_) => 101,
            Err(Error::Http(answer)) => answer.status().as_u16(),
            Err(error) => panic!("{origin:?}: {error}"),
        };
        assert_eq!(status, if is_let_in { 101 } else { 403 }, "{origin:?}");
        if let Some(origin) = origin.filter(|_| !is_let_in) {
            let answer =
                try_ask("GET", &format!("{link}events"), &[("Origin", origin)], &[]).unwrap();
            assert_eq!(answer.status, 403, "{origin}");
            let headers = [
                ("Origin", origin),
                ("Authorization", &*format!("Bearer {}", served.api.token)),
            ];
            let answer = try_ask(
                "DELETE",
                &format!("{own}/api/v1/chats/{chat}"),
                &headers,
                &[],
            )
            .unwrap();
            assert_eq!(answer.status, 403, "{origin}: {}", answer.text());
        }
    }
}

#[test]
fn a_viewer_who_speaks_is_sent_away() {
    let world = World::new();
    let served = Served::start(&world);
    let link = served.link(&served.api.share(&served.api.chat("Quiet"), "live"));
    block_on(async {
        use futures_util::{SinkExt, StreamExt};
        use tokio_tungstenite::tungstenite::Message;
        for said in [Message::text("hello"), Message::binary(vec![1, 2, 3])] {
            let url = format!("{}live", link.replace("http://", "ws://"));
            let (mut socket, _) = connect_async(url).await.unwrap();
            socket.send(said).await.unwrap();
            let code = loop {
                if let Message::Close(frame) = socket.next().await.unwrap().unwrap() {
                    break frame.map(|frame| u16::from(frame.code));
                }
            };
            assert_eq!(code, Some(4400));
        }
    });
}

#[test]
fn a_frozen_share_keeps_its_state_but_not_what_is_taken_back() {
    let world = World::new();
    let served = Served::start(&world);
    let api = &served.api;
    let chat = api.chat("Frozen");
    let said = [
        ("m-0", "user", "Where is the kite?"),
        ("m-1", "assistant", "kite-canary: under the bridge."),
        ("m-2", "user", "And the boat?"),
        ("m-3", "assistant", "boat-canary: in the shed."),
    ];
    let said: Vec<Value> = said
        .iter()
        .map(|(id, role, text)| json!({"id": id, "role": role, "text": text}))
        .collect();
    api.post(&format!("chats/{chat}/messages"), &json!(said));
    let share = api.share(&chat, "frozen");
    let link = served.link(&share);
    let before = get_text(&link);
    let etag = get(&format!("{link}index.html")).headers["etag"].clone();
    let old = bundles(&served.data);
    assert_eq!(old.len(), 1, "one bundle");

    // Later messages, and later versions of messages that it shows.
    api.say(&chat, 10, 30);
    api.post(
        &format!("chats/{chat}/messages"),
        &json!({"id": "m-1", "role": "assistant", "text": "later-canary"}),
    );
    assert_eq!(get_text(&link), before, "a frozen share does not change");
    assert_eq!(get(&format!("{link}index.html")).headers["etag"], etag);

    // What the owner edits and erases does.
    api.patch(
        &format!("chats/{chat}/messages/m-1"),
        &json!({"text": "I do not know."}),
    );
    api.delete(&format!("chats/{chat}/messages/m-3"));
    let text_of = |name: &str| get_text(&format!("{link}{name}"));
    wait_until("the frozen share shows the edit", || {
        text_of("").contains("I do not know.")
    });
    let names: Vec<String> = get(&format!("{link}manifest.json")).json()["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["path"].as_str().unwrap().to_owned())
        .collect();
    assert!(
        names.iter().any(|name| name == "chat.json")
            && names.iter().any(|name| name.starts_with("data/search-"))
    );
    for name in &names {
        let text = get(&format!("{link}{name}")).text();
        for canary in ["kite-canary", "boat-canary", "later-canary", "Answer 10."] {
            assert!(!text.contains(canary), "{canary} is in {name}");
        }
    }
    assert!(
        text_of("").contains("And the boat?") && text_of("chat.json").contains("I do not know.")
    );

    // Nothing of what was erased is on the disk; the old bundle is gone.
    wait_until("the old bundle goes", || {
        !bundles(&served.data).contains(&old[0])
    });
    assert_eq!(bundles(&served.data).len(), 1);
    wait_until("what was erased is nowhere", || {
        holding(&served.data, "boat-canary").is_empty()
    });
    assert_eq!(
        holding(&served.data.join("bundles"), "kite-canary"),
        [""; 0].map(PathBuf::from)
    );
    assert_eq!(
        holding(&served.data.join("compressed"), "kite-canary"),
        [""; 0].map(PathBuf::from)
    );

    // What is there is sound, and still there after a restart.
    for bundle in bundles(&served.data) {
        let ran = readalong([Path::new("verify"), &bundle]);
        assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    }
    let page = text_of("");
    let mut served = served;
    served.running.stop("-TERM");
    served.again();
    assert_eq!(get_text(&link), page);
    assert_eq!(
        holding(&served.data, "boat-canary"),
        [""; 0].map(PathBuf::from)
    );

    // Refreshed it shows what is there now.
    done_on(&served.data, &["update", id(&share), "--refresh"]);
    wait_until("the share is refreshed", || {
        get_text(&link).contains("Answer 29.")
    });
    assert!(get_text(&link).contains("I do not know."), "an edit stays");
    for bundle in bundles(&served.data) {
        assert_eq!(readalong([Path::new("verify"), &bundle]).code, 0);
    }
}

#[test]
fn a_live_share_forgets_what_is_erased_hidden_and_edited() {
    let world = World::new();
    let served = Served::start(&world);
    let api = &served.api;
    let chat = api.chat("Open");
    api.say(&chat, 0, 12);
    let share = api.share(&chat, "live");
    let link = served.link(&share);
    block_on(async {
        let mut viewer = Viewer::open(&link).await;
        let mut line = viewer.come_back().await;
        viewer.hear(&mut line, PATIENCE).await;
        api.patch(
            &format!("chats/{chat}/messages/m-1"),
            &json!({"text": "Something else."}),
        );
        api.patch(
            &format!("chats/{chat}/messages/m-4"),
            &json!({"hidden": true}),
        );
        api.delete(&format!("chats/{chat}/messages/m-8"));
        viewer
            .hear_until(&mut line, "all three changes", |viewer| {
                let text = viewer.text();
                text.contains("Something else.")
                    && !text.contains("Question 4?")
                    && !text.contains("Question 8?")
            })
            .await;
        assert_same_items(&viewer.page.items, &all_items(&link), "after changes");
        assert_eq!(viewer.told.new, 0, "no message is new");
        api.patch(
            &format!("chats/{chat}/messages/m-4"),
            &json!({"hidden": false}),
        );
        viewer
            .hear_until(&mut line, "shown again", |viewer| {
                viewer.text().contains("Question 4?")
            })
            .await;
        assert_same_items(&viewer.page.items, &all_items(&link), "shown again");
        api.patch(&format!("chats/{chat}"), &json!({"title": "Another name"}));
        viewer
            .hear_until(&mut line, "the title", |viewer| {
                viewer.page.title == "Another name"
            })
            .await;
        for name in ["", "chat.json", "chat.md", "data/search-main-1.js"] {
            let answer = get(&format!("{link}{name}"));
            assert!(!answer.text().contains("Question 8?"), "{name}");
        }
    });
    wait_until("what was erased is nowhere", || {
        holding(&served.data, "Question 8?").is_empty()
    });
}

#[test]
fn wrong_links_look_alike() {
    let world = World::new();
    let served = Served::start(&world);
    let api = &served.api;
    let chat = api.chat("Gone");
    let share = api.share(&chat, "frozen");
    let link = served.link(&share);
    assert_eq!(get(link.trim_end_matches('/')).status, 308);
    api.delete(&format!("shares/{}", id(&share)));
    let unknown = get(&format!("{}/s/0123456789abcdef0123456789abcdef/", api.url));
    let deleted = get(&link);
    assert_eq!(
        (deleted.status, deleted.text()),
        (unknown.status, unknown.text())
    );
    assert_eq!(deleted.status, 404);
    assert_eq!(get(&format!("{}/s/not-an-id/", api.url)).status, 404);
    assert_eq!(get(&format!("{}/nothing/here", api.url)).status, 404);
    assert_eq!(get(&format!("{}/health", api.url)).status, 200);
    assert!(get_text(&format!("{}/metrics", api.url)).contains("readalong"));
}

/// A chat to which its owner does everything that can be done.
struct Owner<'a> {
    api: &'a Api,
    chat: String,
    share: String,
    dice: Dice,
    said: u32,
    ids: Vec<String>,
    calls: Vec<String>,
}

impl Owner<'_> {
    fn words(&mut self) -> String {
        let count = [2, 10, 400][self.dice.below(3)];
        format!(
            "**w{}** {}",
            self.dice.below(1_000),
            "word ".repeat(self.dice.below(count))
        )
    }

    fn message(&mut self, id: &str) -> Value {
        let role = ["user", "assistant", "assistant", "assistant"][self.dice.below(4)];
        let text = json!({"text": {"markdown": self.words()}});
        let parts = match self.dice.below(6) {
            0 => {
                let call = format!("c{}", self.said);
                self.calls.push(call.clone());
                json!([text, {"tool_call": {"call_id": call, "name": "Bash", "action": {"run": {"command": "ls"}}}}])
            }
            1 => match self.calls.pop() {
                Some(call) => json!([{"tool_result": {"call_id": call, "parts": [text]}}]),
                None => json!([text]),
            },
            2 => json!([{"reasoning": {"markdown": self.words()}}, text]),
            _ => json!([text]),
        };
        json!({"id": id, "role": role, "parts": parts, "at": crate::served::at(self.said)})
    }

    fn append(&mut self, count: usize) {
        let mut messages = Vec::new();
        for _ in 0..count {
            self.said += 1;
            let id = format!("m-{}", self.said);
            messages.push(self.message(&id));
            self.ids.push(id);
        }
        self.api
            .post(&format!("chats/{}/messages", self.chat), &json!(messages));
    }

    fn one(&mut self) -> String {
        let near = self.ids.len().min(12);
        let place = match self.dice.below(2) {
            0 => self.ids.len() - 1 - self.dice.below(near),
            _ => self.dice.below(self.ids.len()),
        };
        self.ids[place].clone()
    }

    fn act(&mut self) -> String {
        let id = self.one();
        let path = format!("chats/{}/messages/{id}", self.chat);
        let chat = format!("chats/{}", self.chat);
        let api = self.api;
        match self.dice.below(24) {
            0..10 => {
                let count = 1 + self.dice.below(4);
                self.append(count);
                format!("append {count}")
            }
            10..13 => {
                let message = self.message(&id);
                api.post(&format!("{chat}/messages"), &message);
                format!("replace {id}")
            }
            13 | 14 => {
                let text = self.words();
                api.patch(&path, &json!({"text": text}));
                format!("edit {id}")
            }
            15 | 16 => {
                let hidden = self.dice.below(2) == 0;
                api.patch(&path, &json!({"hidden": hidden}));
                format!("hide {id}: {hidden}")
            }
            17 if self.ids.len() > 10 => {
                api.delete(&path);
                self.ids.retain(|other| *other != id);
                format!("erase {id}")
            }
            18 if self.ids.len() > 10 => {
                api.post(&format!("{chat}/changes"), &json!({"removed": [id]}));
                self.ids.retain(|other| *other != id);
                format!("remove {id}")
            }
            19 => {
                // Another version of what came after a message.
                self.said += 1;
                let new = format!("m-{}", self.said);
                let mut message = self.message(&new);
                message["parent"] = json!(id);
                api.post(&format!("{chat}/messages"), &message);
                self.ids.push(new);
                format!("branch at {id}")
            }
            20 => {
                api.patch(
                    &chat,
                    &json!({"title": format!("Title {}", self.dice.below(100))}),
                );
                "rename".to_owned()
            }
            21 => {
                let artifacts = self.dice.below(2) == 0;
                api.patch(
                    &format!("shares/{}", self.share),
                    &json!({"artifacts": artifacts}),
                );
                format!("artifacts {artifacts}")
            }
            22 => {
                let name = match self.dice.below(2) {
                    0 => Value::Null,
                    _ => json!(format!("Name {}", self.dice.below(100))),
                };
                api.patch(&format!("shares/{}", self.share), &json!({"name": name}));
                "name".to_owned()
            }
            _ => {
                self.append(30);
                "append many".to_owned()
            }
        }
    }
}

/// What keeps a viewer from showing what a fresh page shows; `None` where nothing does.
fn difference(viewer: &Viewer, link: &str, name: &str, all: &[Item]) -> Option<String> {
    let mine = &viewer.page.items;
    let fresh = get(&format!("{link}{name}"));
    let fresh = match fresh.status {
        200 => Page::parse(&fresh.text()),
        // The chat became shorter, and its last page is no more: there is nothing to compare with but the end.
        404 if viewer.page.has_next => return None,
        404 => Page::parse(&get_text(link)),
        status => panic!("{link}{name}: {status}"),
    };
    let wanted = match viewer.page.has_next {
        true => fresh.items.clone(),
        // A page at the end shows all from its first item on, and nothing of its pages is missing before that.
        false => {
            let place = |items: &[Item]| {
                let first = items.first()?;
                all.iter().position(|item| item.key == first.key)
            };
            let mut from = place(mine).unwrap_or(0);
            let begins = get(&format!("{link}{}", viewer.page.pages[0]));
            if begins.status == 200 {
                let begins = place(&Page::parse(&begins.text()).items);
                from = from.min(begins.unwrap_or(from));
            }
            all[from..].to_vec()
        }
    };
    if viewer.page.title != fresh.title {
        return Some(format!(
            "title {:?} instead of {:?}",
            viewer.page.title, fresh.title
        ));
    }
    if *mine == wanted {
        return None;
    }
    let keys = |items: &[Item]| {
        items
            .iter()
            .map(|item| item.key.clone())
            .collect::<Vec<_>>()
    };
    let other = mine.iter().zip(wanted.iter()).find(|(a, b)| a != b);
    Some(format!(
        "{:?}\ninstead of\n{:?}\nfirst: {other:#?}",
        keys(mine),
        keys(&wanted)
    ))
}

#[test]
fn whatever_its_owner_does_viewers_see_what_a_fresh_page_and_a_bundle_show() {
    let stories: u64 = std::env::var("READALONG_STORIES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(4);
    let first: u64 = std::env::var("READALONG_STORY")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let world = World::new();
    let served = Served::start(&world);
    let api = &served.api;
    for seed in first..first + stories {
        let chat = api.chat("Story");
        let share = api.share(&chat, "live");
        let link = served.link(&share);
        let mut owner = Owner {
            api,
            chat: chat.clone(),
            share: id(&share).to_owned(),
            dice: Dice::new(seed),
            said: 0,
            ids: Vec::new(),
            calls: Vec::new(),
        };
        owner.append(60 + (seed as usize % 3) * 120);
        block_on(async {
            let names = ["", "index.html", "2.html"];
            let mut viewers = Vec::new();
            for name in names {
                if get(&format!("{link}{name}")).status == 200 {
                    let mut viewer = Viewer::open_page(&link, name, None).await;
                    let line = viewer.come_back().await;
                    viewers.push((name, viewer, line));
                }
            }
            for round in 0..20 {
                let did: Vec<String> = (0..1 + owner.dice.below(4)).map(|_| owner.act()).collect();
                let what = format!("story {seed}, round {round}, {did:?}");
                for (name, viewer, line) in &mut viewers {
                    let begun = Instant::now();
                    loop {
                        match viewer.hear(line, Duration::from_millis(60)).await {
                            Heard::Frame(_) => continue,
                            // Its page is not there any more, since the chat became shorter.
                            Heard::Closed(None) if get(&format!("{link}{name}")).status == 404 => {
                                break;
                            }
                            Heard::Closed(code) => panic!("{what}: closed with {code:?}"),
                            Heard::Silence => {}
                        }
                        let all = all_items(&link);
                        let Some(difference) = difference(viewer, &link, name, &all) else {
                            break;
                        };
                        assert!(
                            begun.elapsed() < Duration::from_secs(6),
                            "{what}, page {name:?}: {difference}"
                        );
                    }
                }
                // A page that lost its last item, or its place, is left by its reader.
                viewers.retain(|(name, _, _)| get(&format!("{link}{name}")).status == 200);
                if round % 5 == 4 {
                    let frozen = api.share(&chat, "frozen");
                    assert_same_items(&all_items(&served.link(&frozen)), &all_items(&link), &what);
                    api.delete(&format!("shares/{}", id(&frozen)));
                }
            }
        });
        api.delete(&format!("chats/{chat}"));
    }
}

#[test]
fn who_was_away_gets_what_is_missing() {
    let world = World::new();
    let served = Served::start(&world);
    let api = &served.api;
    let chat = api.chat("Away");
    api.say(&chat, 0, 4);
    let link = served.link(&api.share(&chat, "live"));
    let say = |number: u32, bytes: usize| {
        let mut said = message(number);
        said["text"] = json!(format!("Number {number}. {}", "word ".repeat(bytes / 5)));
        api.post(&format!("chats/{chat}/messages"), &said);
    };
    block_on(async {
        let mut present = Viewer::open(&link).await;
        let mut present_line = present.come_back().await;
        let mut away = Viewer::open(&link).await;
        let mut number = 4;
        // A little: from what is kept. Some: the items that changed, as one frame. Much: the page anew.
        for (bytes, fetches) in [(10 << 10, 0), (600 << 10, 0), (3 << 20, 1)] {
            let before = away.told.fetched;
            let frames = away.told.frames;
            for _ in 0..10 {
                say(number, bytes / 10);
                number += 1;
            }
            // No answer is changed twice: what is kept is older than it has to be.
            api.patch(
                &format!("chats/{chat}/messages/m-1"),
                &json!({"text": format!("Edited before {number}.")}),
            );
            present
                .hear_until(&mut present_line, "all", |viewer| {
                    viewer.text().contains(&format!("Edited before {number}."))
                })
                .await;
            tokio::time::sleep(Duration::from_millis(2_500)).await;
            say(number, 10);
            number += 1;
            let last = format!("Number {}.", number - 1);
            present
                .hear_until(&mut present_line, "the last", |viewer| {
                    viewer.text().contains(&last)
                })
                .await;
            let mut line = away.come_back().await;
            away.hear_until(&mut line, "what is missing", |viewer| {
                viewer.text().contains(&last)
            })
            .await;
            assert_eq!(away.told.fetched - before, fetches, "{bytes} bytes");
            if bytes == 600 << 10 {
                assert_eq!(away.told.frames - frames, 1, "as one frame");
            }
            let all = all_items(&link);
            let newest = Page::parse(&get_text(&link));
            away.assert_is_end_of(&all, &newest, "away");
            present.assert_is_end_of(&all, &newest, "present");
        }
    });
}
