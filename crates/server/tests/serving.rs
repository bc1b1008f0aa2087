//! How shares are served: files of frozen ones, frames of live ones, what ends when rights end, limits, an orderly end.

#![allow(clippy::unwrap_used)]

mod world;

use std::time::{Duration, Instant, SystemTime};

use axum::body::Body;
use http::{HeaderName, Method, Request, StatusCode, header};
use readalong_model::{Digest, Timestamp};
use readalong_server::{Limits, RunningServer, ServeError, Server};
use serde_json::{Value, json};
use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use tokio_tungstenite::{MaybeTlsStream, tungstenite::Message};
use tower::ServiceExt;
use world::{Got, PICTURE, SECRET, Who, World, options};

const PATIENCE: Duration = Duration::from_secs(20);

fn bundles(world: &World) -> Vec<String> {
    let entries = std::fs::read_dir(world.folder.path().join("bundles")).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_frozen_shares_have_etags_ranges_and_packed_forms() {
    let world = World::start().await;
    let chat = world.chat().await;
    let share = world.share(&chat, "frozen", "public", true).await;
    let page = format!("/s/{share}/index.html");
    let plain = world.get(&page, &Who::Nobody).await;
    assert_eq!(plain.status, StatusCode::OK);
    assert!(plain.text().contains(SECRET));
    assert_eq!(
        plain.header(header::CONTENT_TYPE),
        "text/html; charset=utf-8"
    );
    assert_eq!(plain.header(header::CACHE_CONTROL), "no-cache");
    assert_eq!(plain.header(header::VARY), "accept-encoding");
    assert_eq!(plain.header(header::ACCEPT_RANGES), "bytes");
    let etag = format!("\"{}\"", Digest::of(&plain.body));
    assert_eq!(plain.header(header::ETAG), etag);
    assert!(
        plain
            .header(header::CONTENT_SECURITY_POLICY)
            .contains("frame-ancestors 'none'")
    );
    assert!(
        plain
            .header(header::CONTENT_SECURITY_POLICY)
            .contains("script-src 'self'")
    );

    let known = world
        .get_with(&page, &[(header::IF_NONE_MATCH, &etag)])
        .await;
    assert_eq!(
        (known.status, known.body.len()),
        (StatusCode::NOT_MODIFIED, 0)
    );
    assert_eq!(known.header(header::ETAG), etag);

    for (coding, name) in [("gzip, br", "br"), ("gzip", "gzip")] {
        let packed = world
            .get_with(&page, &[(header::ACCEPT_ENCODING, coding)])
            .await;
        assert_eq!(packed.header(header::CONTENT_ENCODING), name);
        assert!(packed.body.len() < plain.body.len());
        assert_ne!(packed.header(header::ETAG), etag);
        let again = [
            (header::ACCEPT_ENCODING, coding),
            (header::IF_NONE_MATCH, packed.header(header::ETAG)),
        ];
        assert_eq!(
            world.get_with(&page, &again).await.status,
            StatusCode::NOT_MODIFIED
        );
    }

    let part = world
        .get_with(
            &page,
            &[
                (header::RANGE, "bytes=3-9"),
                (header::ACCEPT_ENCODING, "br"),
            ],
        )
        .await;
    assert_eq!(
        (part.status, part.body.as_slice()),
        (StatusCode::PARTIAL_CONTENT, &plain.body[3..=9])
    );
    assert_eq!(
        part.header(header::CONTENT_RANGE),
        format!("bytes 3-9/{}", plain.body.len())
    );
    let outside = world
        .get_with(&page, &[(header::RANGE, "bytes=99999999-")])
        .await;
    assert_eq!(outside.status, StatusCode::RANGE_NOT_SATISFIABLE);
    let several = world
        .get_with(&page, &[(header::RANGE, "bytes=0-1,5-6")])
        .await;
    assert_eq!(
        (several.status, several.body.len()),
        (StatusCode::OK, plain.body.len())
    );
    let head = world
        .ask(Method::HEAD, &page, &Who::Nobody, &[], Body::empty())
        .await;
    assert_eq!(
        head.header(header::CONTENT_LENGTH),
        plain.body.len().to_string()
    );
    assert!(head.body.is_empty());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn artifacts_do_nothing_wherever_they_are_opened() {
    let world = World::start().await;
    let chat = world.chat().await;
    let page = b"<script>alert(1)</script>";
    let sha256 = Digest::of(page);
    let path = format!("/api/v1/chats/{chat}/artifacts/{sha256}");
    world
        .ask(
            Method::PUT,
            &path,
            &world.owner(),
            &[],
            Body::from(&page[..]),
        )
        .await;
    let changes = json!({
        "artifacts": [[1, { "name": "p\u{e4}ge.html", "media_type": "text/html", "role": "produced",
            "content": { "present": { "sha256": sha256, "size_bytes": page.len() } } }]],
        "messages": [[2, { "id": "m-3", "parent": "m-2", "role": "assistant", "parts": [{ "file": { "artifact": 1 } }] }]],
    });
    world
        .send(
            Method::POST,
            &format!("/api/v1/chats/{chat}/changes"),
            changes,
        )
        .await;
    for updates in ["live", "frozen"] {
        let share = world.share(&chat, updates, "public", true).await;
        let file = world
            .get(&format!("/s/{share}/files/{sha256}.html.txt"), &Who::Nobody)
            .await;
        assert_eq!(file.status, StatusCode::OK, "{updates}");
        assert_eq!(
            file.header(header::CONTENT_TYPE),
            "text/plain; charset=utf-8"
        );
        assert_eq!(
            file.header(header::CONTENT_DISPOSITION),
            "inline; filename*=UTF-8''p%C3%A4ge.html"
        );
        assert!(
            file.header(header::CONTENT_SECURITY_POLICY)
                .starts_with("sandbox; default-src 'none'")
        );
        assert_eq!(file.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
        for wrong in ["html", "bin", "txt"] {
            let file = world
                .get(&format!("/s/{share}/files/{sha256}.{wrong}"), &Who::Nobody)
                .await;
            assert_eq!(file.status, StatusCode::NOT_FOUND, "{updates} {wrong}");
        }
        let picture = format!("/s/{share}/files/{}.png", Digest::of(PICTURE));
        let part = world
            .get_with(&picture, &[(header::RANGE, "bytes=1-3")])
            .await;
        assert_eq!(
            (part.status, part.body.as_slice()),
            (StatusCode::PARTIAL_CONTENT, &PICTURE[1..4]),
            "{updates}"
        );
        assert_eq!(part.header(header::CONTENT_TYPE), "image/png");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_share_changes_by_its_owner_and_by_nothing_else() {
    let world = World::start().await;
    let chat = world.chat().await;
    let share = world.share(&chat, "frozen", "public", false).await;
    let page = format!("/s/{share}/");
    let see = async || world.get(&page, &Who::Nobody).await.text();
    let first = see().await;
    assert_eq!(bundles(&world).len(), 1);
    world.say(&chat, "m-3", "a later message").await;
    assert_eq!(see().await, first, "later messages do not appear");

    let message = format!("/api/v1/chats/{chat}/messages/m-2");
    world
        .send(Method::PATCH, &message, json!({ "text": "I looked." }))
        .await;
    let edited = see().await;
    assert!(edited.contains("I looked.") && !edited.contains("I will look."));
    assert!(!edited.contains("a later message"));
    world
        .send(Method::PATCH, &message, json!({ "hidden": true }))
        .await;
    assert!(!see().await.contains("I looked."));
    world
        .send(
            Method::PATCH,
            &format!("/api/v1/chats/{chat}"),
            json!({ "title": "Other kites" }),
        )
        .await;
    assert!(see().await.contains("Other kites"));
    world
        .change_share(&share, json!({ "name": "My kites" }))
        .await;
    assert!(see().await.contains("My kites"));
    world
        .send(
            Method::DELETE,
            &format!("/api/v1/chats/{chat}/messages/m-1"),
            Value::Null,
        )
        .await;
    assert!(!see().await.contains(SECRET));
    for copy in ["chat.json", "chat.md"] {
        let copy = world.get(&format!("/s/{share}/{copy}"), &Who::Nobody).await;
        assert!(copy.status == StatusCode::OK && !copy.text().contains(SECRET));
    }
    world.until(async || bundles(&world).len() == 1).await;

    // What was made is there after a restart, and is not made again.
    let (before, bundle) = (see().await, bundles(&world));
    let folder = world.stop().await;
    let world = World::in_folder(folder, Limits::default()).await;
    assert_eq!(world.get(&page, &Who::Nobody).await.text(), before);
    assert_eq!(bundles(&world), bundle);
    world.delete_share(&share).await;
    let folder = world.stop().await;
    let world = World::in_folder(folder, Limits::default()).await;
    assert!(bundles(&world).is_empty(), "a bundle of no share stays");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn viewers_get_what_is_new_and_nothing_twice() {
    let world = World::start().await;
    let chat = world.chat().await;
    let share = world.share(&chat, "live", "public", false).await;
    let page = world
        .get(&format!("/s/{share}/"), &Who::Nobody)
        .await
        .text();
    let said = |name: &str| {
        let from = page.find(&format!("{name}=\"")).unwrap() + name.len() + 2;
        page[from..].split('"').next().unwrap().to_owned()
    };
    let path = format!(
        "/s/{share}/live?epoch={}&after={}",
        said("data-epoch"),
        said("data-seq")
    );
    let mut viewer = world.watch(&path, &Who::Nobody).await.unwrap();
    let hello = viewer.frame().await;
    assert_eq!(hello["hello"]["epoch"], said("data-epoch"));
    world.say(&chat, "m-3", "the wind is good").await;
    let frame = viewer.frame().await;
    let put = &frame["ops"][0]["put"];
    assert!(
        put["html"].as_str().unwrap().contains("the wind is good"),
        "{frame}"
    );
    let after = frame["seq"].as_u64().unwrap();

    // One who comes back gets only what it lacks.
    world.say(&chat, "m-4", "and now it rains").await;
    assert!(
        viewer
            .frame()
            .await
            .to_string()
            .contains("and now it rains")
    );
    let path = format!("/s/{share}/live?epoch={}&after={after}", said("data-epoch"));
    let mut back = world.watch(&path, &Who::Nobody).await.unwrap();
    assert!(back.frame().await.get("hello").is_some());
    let missed = back.frame().await.to_string();
    assert!(
        missed.contains("and now it rains") && !missed.contains("the wind is good"),
        "{missed}"
    );
    // One who comes from nowhere begins anew.
    let mut lost = world
        .watch(&format!("/s/{share}/live?epoch=0&after=7"), &Who::Nobody)
        .await
        .unwrap();
    assert!(lost.frame().await.get("hello").is_some());
    assert!(lost.frame().await.get("reset").is_some());

    world
        .change_share(&share, json!({ "updates": "frozen" }))
        .await;
    let (frames, end) = viewer.end().await;
    let ops = frames.last().unwrap()["ops"].as_array().unwrap();
    assert!(ops.last().unwrap().get("end").is_some(), "{frames:?}");
    assert_eq!(end, Got::Closed(4410));
    world.say(&chat, "m-5", "nobody hears this").await;
    let page = world
        .get(&format!("/s/{share}/"), &Who::Nobody)
        .await
        .text();
    assert!(page.contains("and now it rains") && !page.contains("nobody hears this"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_taken_back_is_nowhere_once_the_owner_is_told() {
    let world = World::start().await;
    let chat = world.chat().await;
    let live = world.share(&chat, "live", "public", false).await;
    for number in 0..10 {
        let (id, words) = (format!("s-{number}"), format!("slip {number}."));
        world.say(&chat, &id, &words).await;
        let frozen = world.share(&chat, "frozen", "public", false).await;
        for share in [&live, &frozen] {
            let page = world.get(&format!("/s/{share}/"), &Who::Nobody).await;
            assert!(page.text().contains(&words), "{words} is not there at once");
        }
        let message = format!("/api/v1/chats/{chat}/messages/{id}");
        world
            .send(Method::PATCH, &message, json!({ "hidden": true }))
            .await;
        for share in [&live, &frozen] {
            for file in ["", "chat.json", "chat.md", "data/search-index.js"] {
                let page = world.get(&format!("/s/{share}/{file}"), &Who::Nobody).await;
                assert_eq!(page.status, StatusCode::OK);
                assert!(!page.text().contains(&words), "{words} is still in {file}");
            }
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_of_a_followed_file_reaches_viewers() {
    use std::io::Write;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("session.jsonl");
    let mut file = std::fs::File::create(&path).unwrap();
    let line = |number: usize, text: &str| {
        format!(
            "{{\"type\":\"user\",\"uuid\":\"u-{number}\",\"parentUuid\":{},\"sessionId\":\"s\",\"timestamp\":\"2026-11-20T10:00:{number:02}Z\",\
             \"message\":{{\"role\":\"user\",\"content\":\"{text}\"}}}}\n",
            match number {
                0 => "null".to_owned(),
                number => format!("\"u-{}\"", number - 1),
            },
        )
    };
    file.write_all(line(0, SECRET).as_bytes()).unwrap();
    let world = World::following(folder.path()).await;
    let chats = async || world.get("/api/v1/chats", &world.owner()).await.json();
    world
        .until(async || {
            chats()
                .await
                .as_array()
                .is_some_and(|chats| !chats.is_empty())
        })
        .await;
    let chat = chats().await[0]["id"].as_str().unwrap().to_owned();
    let share = world.share(&chat, "live", "public", false).await;
    let page = format!("/s/{share}/");
    world
        .until(async || world.get(&page, &Who::Nobody).await.text().contains(SECRET))
        .await;
    let mut viewer = world
        .watch(&format!("{page}live"), &Who::Nobody)
        .await
        .unwrap();
    assert!(viewer.frame().await.get("hello").is_some());
    let mut waited = Vec::new();
    for number in 1..=20 {
        let words = format!("line {number} of it");
        tokio::time::sleep(Duration::from_millis(100)).await;
        let begin = Instant::now();
        file.write_all(line(number, &words).as_bytes()).unwrap();
        while !viewer.frame().await.to_string().contains(&words) {}
        waited.push(begin.elapsed());
    }
    waited.sort();
    println!(
        "from the file to the viewer: {:?} in the middle, {:?} at most",
        waited[10], waited[19]
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revocation_cuts_everybody_at_once() {
    const VIEWERS: usize = 300;
    let world = World::start().await;
    let chat = world.chat().await;
    let share = world.share(&chat, "live", "public", true).await;
    let mut viewers = Vec::new();
    for _ in 0..VIEWERS {
        let mut viewer = world
            .watch(&format!("/s/{share}/live"), &Who::Nobody)
            .await
            .unwrap();
        assert!(viewer.frame().await.get("hello").is_some());
        viewers.push(viewer);
    }
    let begin = Instant::now();
    world.delete_share(&share).await;
    for path in [
        "",
        "/",
        "/chat.json",
        &format!("/files/{}.png", Digest::of(PICTURE)),
    ] {
        let answer = world
            .get(&format!("/s/{share}{path}"), &world.owner())
            .await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
    for viewer in &mut viewers {
        assert_eq!(viewer.end().await.1, Got::Closed(4404));
    }
    let took = begin.elapsed();
    println!("{VIEWERS} viewers cut and asked in {took:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_that_end_end_what_is_open() {
    let world = World::start().await;
    let chat = world.chat().await;
    let share = world.share(&chat, "live", "public", false).await;
    let path = format!("/s/{share}/live");
    let (user, token) = world.user("grace", "viewer").await;
    let session = world.session(user).await;
    let mut nobody = world.watch(&path, &Who::Nobody).await.unwrap();
    let mut by_session = world.watch(&path, &session).await.unwrap();
    let mut by_token = world.watch(&path, &token).await.unwrap();
    let mut owner = world.watch(&path, &world.owner()).await.unwrap();
    for viewer in [&mut nobody, &mut by_session, &mut by_token, &mut owner] {
        assert!(viewer.frame().await.get("hello").is_some());
    }
    world
        .change_share(&share, json!({ "visibility": "private" }))
        .await;
    assert_eq!(nobody.end().await.1, Got::Closed(4401));
    assert_eq!(
        world
            .get(&format!("/s/{share}/"), &Who::Nobody)
            .await
            .status,
        StatusCode::SEE_OTHER
    );
    assert_eq!(
        world.get(&format!("/s/{share}/"), &session).await.status,
        StatusCode::OK
    );

    let same_origin = [(HeaderName::from_static("sec-fetch-site"), "same-origin")];
    world
        .ask(
            Method::POST,
            "/signout",
            &session,
            &same_origin,
            Body::empty(),
        )
        .await;
    assert_eq!(by_session.end().await.1, Got::Closed(4401));
    assert_eq!(
        world.get(&format!("/s/{share}/"), &session).await.status,
        StatusCode::SEE_OTHER
    );

    world
        .send(
            Method::DELETE,
            &format!("/api/v1/users/{user}"),
            Value::Null,
        )
        .await;
    assert_eq!(by_token.end().await.1, Got::Closed(4401));
    // Who may still see it sees it go on.
    world.say(&chat, "m-3", "the wind is good").await;
    let mut seen = String::new();
    while !seen.contains("the wind is good") {
        seen = owner.frame().await.to_string();
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_says_nothing() {
    let world = World::start().await;
    let chat = world.chat().await;
    let share = world.share(&chat, "live", "public", false).await;
    let long = "x".repeat(100_000);
    for message in [
        Message::text("hello"),
        Message::binary(vec![1]),
        Message::text(long),
    ] {
        let mut viewer = world
            .watch(&format!("/s/{share}/live"), &Who::Nobody)
            .await
            .unwrap();
        viewer.send(message).await;
        assert_eq!(viewer.end().await.1, Got::Closed(4400));
    }
    world.stop().await;
}

/// Each ping is answered, and who does not read the answers leaves them in the server's memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pings_have_a_bound() {
    let world = World::start().await;
    let chat = world.chat().await;
    let share = world.share(&chat, "live", "public", false).await;
    let path = format!("/s/{share}/live");
    let mut viewer = world.watch(&path, &Who::Nobody).await.unwrap();
    for _ in 0..50 {
        viewer.send(Message::Ping(vec![b'x'; 125].into())).await;
    }
    world.say(&chat, "m-3", "the wind is good").await;
    let mut seen = String::new();
    while !seen.contains("the wind is good") {
        seen = viewer.frame().await.to_string();
    }
    for _ in 0..51 {
        viewer.send(Message::Ping(vec![b'x'; 125].into())).await;
    }
    assert_eq!(viewer.end().await.1, Got::Closed(4400));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_that_does_not_read_is_cut_and_holds_up_nobody() {
    let world = World::start().await;
    let chat = world.chat().await;
    let share = world.share(&chat, "live", "public", false).await;
    let path = format!("/s/{share}/live");
    let slow = world.watch(&path, &Who::Nobody).await.unwrap();
    let mut good = world.watch(&path, &Who::Nobody).await.unwrap();
    assert!(good.frame().await.get("hello").is_some());
    let text = "wind and rain ".repeat(8_000);
    let begin = Instant::now();
    let slow_ones = async || {
        world
            .get("/metrics", &world.owner())
            .await
            .text()
            .contains("slow_viewers_total 1")
    };
    let mut number = 0;
    let mut worst = Duration::ZERO;
    while !slow_ones().await {
        number += 1;
        let sent = Instant::now();
        world
            .say(&chat, &format!("s-{number}"), &format!("{text} {number}."))
            .await;
        let mut seen = String::new();
        while !seen.contains(&format!(" {number}.")) {
            seen = good.frame().await.to_string();
        }
        worst = worst.max(sent.elapsed());
        assert!(begin.elapsed() < PATIENCE * 3, "it is not cut");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!(
        "cut after {number} messages of {} bytes in {:?}; the other waited {worst:?} at most",
        text.len(),
        begin.elapsed()
    );
    drop(slow);
    world.stop().await;
}

/// More than the system holds for a viewer, and less than the server keeps for those who are behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_that_is_taken_in_pieces_comes_whole_and_holds_up_nobody() {
    let world = World::start().await;
    let chat = world.chat().await;
    let share = world.share(&chat, "live", "public", false).await;
    let path = format!("/s/{share}/live");
    let mut slow = world.watch(&path, &Who::Nobody).await.unwrap();
    assert!(slow.frame().await.get("hello").is_some());
    let MaybeTlsStream::Plain(socket) = slow.socket.get_ref() else {
        panic!("no secrets here");
    };
    SockRef::from(socket).set_recv_buffer_size(1).unwrap();
    let mut good = Vec::new();
    for _ in 0..20 {
        good.push(world.watch(&path, &Who::Nobody).await.unwrap());
    }
    let text = "wind and rain ".repeat(5_500);
    for number in 1..=3 {
        let text = format!("{text} {number}.");
        world.say(&chat, &format!("s-{number}"), &text).await;
        for viewer in &mut good {
            while !viewer
                .frame()
                .await
                .to_string()
                .contains(&format!(" {number}."))
            {}
        }
        // Its answer has to wait for the frame that is half sent.
        slow.send(Message::Ping(vec![number].into())).await;
    }
    let mut seen = String::new();
    for number in 1..=3 {
        while !seen.contains(&format!(" {number}.")) {
            seen = slow.frame().await.to_string();
        }
    }
    world.say(&chat, "s-4", "the sun is back").await;
    assert!(
        slow.frame().await.to_string().contains("the sun is back"),
        "nothing comes twice"
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_streams_carry_the_same_frames() {
    let world = World::start().await;
    let chat = world.chat().await;
    let share = world.share(&chat, "live", "public", false).await;
    let mut stream = TcpStream::connect(world.addr).await.unwrap();
    let ask = format!(
        "GET /s/{share}/events HTTP/1.1\r\nhost: {}\r\naccept: text/event-stream\r\n\r\n",
        world.addr
    );
    stream.write_all(ask.as_bytes()).await.unwrap();
    let mut got = String::new();
    read_until(&mut stream, &mut got, "\"reset\"").await;
    assert!(got.starts_with("HTTP/1.1 200"), "{got}");
    assert!(
        got.contains("text/event-stream") && got.contains("\"hello\""),
        "{got}"
    );
    world.say(&chat, "m-3", "the wind is good").await;
    read_until(&mut stream, &mut got, "the wind is good").await;
    assert!(got.contains("\nid: "), "{got}");
    world.delete_share(&share).await;
    read_until(&mut stream, &mut got, "event: close\ndata: {\"code\":4404}").await;
    world.stop().await;
}

async fn read_until(stream: &mut TcpStream, got: &mut String, words: &str) {
    let mut buffer = [0; 4096];
    while !got.contains(words) {
        let read = timeout(PATIENCE, stream.read(&mut buffer))
            .await
            .expect(words)
            .unwrap();
        assert!(read > 0, "it ended before {words}: {got}");
        got.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
}

/// What comes back for raw bytes, until the server closes.
async fn raw(world: &World, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(world.addr).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer))
        .await
        .expect("it is not closed");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_have_limits_and_slow_heads_do_not_stay() {
    let world = World::with(Limits {
        requests_per_second: 1.try_into().unwrap(),
        requests_burst: 3.try_into().unwrap(),
        streams_per_address: 1,
        head_timeout: Duration::from_millis(200),
        body_timeout: Duration::from_millis(200),
        ..Limits::default()
    })
    .await;
    let ask = async |from: &str, path: &str| {
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-forwarded-for: {from}\r\n\r\n"
        );
        let answer = raw(&world, request.as_bytes()).await;
        answer[9..12].to_owned()
    };
    for expected in ["200", "200", "200", "429", "429"] {
        assert_eq!(ask("198.51.100.1", "/robots.txt").await, expected);
    }
    assert_eq!(
        ask("198.51.100.2", "/robots.txt").await,
        "200",
        "another address"
    );
    for _ in 0..10 {
        let own = raw(
            &world,
            b"GET /robots.txt HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        )
        .await;
        assert!(own.starts_with("HTTP/1.1 200"), "this machine itself");
    }
    let begin = Instant::now();
    let slow = raw(&world, b"GET / HTTP/1.1\r\nhost:").await;
    assert!(!slow.contains("200 OK"), "{slow}");
    let long = format!(
        "GET / HTTP/1.1\r\nhost: x\r\ncookie: {}\r\n\r\n",
        "x".repeat(200_000)
    );
    assert!(
        raw(&world, long.as_bytes())
            .await
            .starts_with("HTTP/1.1 431")
    );
    let slow = raw(&world, b"POST /signin HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: 50\r\n\r\nname=").await;
    assert!(!slow.contains("200 OK"), "{slow}");
    let mut drips = TcpStream::connect(world.addr).await.unwrap();
    let head = "POST /signin HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: 5000\r\n\r\nname=";
    drips.write_all(head.as_bytes()).await.unwrap();
    for drop in 1.. {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if drips.write_all(b"x").await.is_err() {
            break;
        }
        assert!(drop < 100, "a byte now and then holds a connection");
    }
    assert!(begin.elapsed() < Duration::from_secs(10));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_has_one_server_and_the_end_is_in_order() {
    let mut world = World::start().await;
    let running = RunningServer::of(world.folder.path()).unwrap().unwrap();
    assert_eq!(running.url, format!("http://{}", world.addr));
    assert_eq!(running.token, world.server.command_token());
    match Server::open(options(world.folder.path(), Limits::default())) {
        Err(ServeError::Busy { pid, url, .. }) => {
            assert_eq!(pid, Some(std::process::id()));
            assert_eq!(url, Some(running.url));
        }
        other => panic!("{other:?}"),
    }
    let chat = world.chat().await;
    let share = world.share(&chat, "live", "public", false).await;
    let mut viewer = world
        .watch(&format!("/s/{share}/live"), &Who::Nobody)
        .await
        .unwrap();
    assert!(viewer.frame().await.get("hello").is_some());
    let mut idle = TcpStream::connect(world.addr).await.unwrap();
    let begin = Instant::now();
    let serving = world.begin_to_stop();
    assert_eq!(viewer.end().await.1, Got::Closed(1012));
    drop(viewer);
    timeout(PATIENCE, serving).await.unwrap().unwrap();
    println!("ended in {:?}", begin.elapsed());
    assert!(begin.elapsed() < Duration::from_secs(3));
    assert_eq!(idle.read(&mut [0; 10]).await.unwrap_or(0), 0);
    assert!(TcpStream::connect(world.addr).await.is_err());
    assert!(RunningServer::of(world.folder.path()).unwrap().is_none());
    let World {
        server,
        router,
        folder,
        ..
    } = world;
    drop((server, router));
    Server::open(options(folder.path(), Limits::default())).unwrap();
}

/// A folder that an administrator made, or a volume, is often open to all.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_shares_show_is_closed_to_others_on_the_machine() {
    use std::{fs, os::unix::fs::PermissionsExt};
    let folder = tempfile::tempdir().unwrap();
    let open_to_all = |path: &std::path::Path| {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    open_to_all(folder.path());
    // One that an earlier version has left.
    fs::create_dir(folder.path().join("bundles")).unwrap();
    open_to_all(&folder.path().join("bundles"));
    let world = World::in_folder(folder, Limits::default()).await;
    let chat = world.chat().await;
    world.share(&chat, "frozen", "private", true).await;
    let live = world.share(&chat, "live", "private", true).await;
    world
        .get(&format!("/s/{live}/"), &world.owner())
        .await
        .text();
    let folder = world.stop().await;
    for entry in fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} is open", path.display());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nothing_is_public_any_more_open_pages_end() {
    let world = World::start().await;
    let chat = world.chat().await;
    let share = world.share(&chat, "live", "public", true).await;
    let (eve, _) = world.user("eve", "viewer").await;
    let session = world.session(eve).await;
    let path = format!("/s/{share}/live");
    let mut nobody = world.watch(&path, &Who::Nobody).await.unwrap();
    let mut signed_in = world.watch(&path, &session).await.unwrap();
    for viewer in [&mut nobody, &mut signed_in] {
        assert!(viewer.frame().await.get("hello").is_some());
    }
    let off = json!({ "public_sharing": false });
    world
        .send(Method::PATCH, "/api/v1/admin/settings", off)
        .await;
    assert_eq!(nobody.end().await.1, Got::Closed(4401));
    world.say(&chat, "m-9", "Still there.").await;
    while !signed_in.frame().await.to_string().contains("Still there.") {}
    match world.watch(&path, &Who::Nobody).await {
        Err(error) => assert!(error.to_string().contains("401"), "{error}"),
        Ok(mut viewer) => assert_eq!(viewer.end().await.1, Got::Closed(4401)),
    }
    // And it stays so over a restart.
    let folder = world.stop().await;
    let world = World::in_folder(folder, Limits::default()).await;
    let page = world.get(&format!("/s/{share}/"), &Who::Nobody).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
}

/// A chat with a file that no socket's buffers hold.
async fn large_file(world: &World) -> (String, String, usize) {
    let chat = world.chat().await;
    let bytes = vec![b'x'; 48 << 20];
    let (sha256, size_bytes) = (Digest::of(&bytes), bytes.len());
    let path = format!("/api/v1/chats/{chat}/artifacts/{sha256}");
    let kept = world
        .ask(Method::PUT, &path, &world.owner(), &[], Body::from(bytes))
        .await;
    assert!(kept.status.is_success(), "{}", kept.text());
    let changes = json!({
        "artifacts": [[1, { "name": "kite.bin", "media_type": "application/octet-stream", "role": "uploaded",
            "content": { "present": { "sha256": sha256, "size_bytes": size_bytes } } }]],
        "messages": [[2, { "id": "m-3", "parent": "m-2", "role": "user", "parts": [{ "file": { "artifact": 1 } }] }]],
    });
    world
        .send(
            Method::POST,
            &format!("/api/v1/chats/{chat}/changes"),
            changes,
        )
        .await;
    (chat, format!("files/{sha256}.bin"), size_bytes)
}

/// A request whose answer is taken no further than to its status.
async fn begin_to_take(world: &World, path: &str, who: &Who) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    let mut stream = socket.connect(world.addr).await.unwrap();
    let authorization = match who {
        Who::Token(token) => format!("authorization: Bearer {token}\r\n"),
        _ => String::new(),
    };
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {}\r\n{authorization}connection: close\r\n\r\n",
        world.addr
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut begun = vec![0; 12];
    timeout(PATIENCE, stream.read_exact(&mut begun))
        .await
        .expect("no answer")
        .unwrap();
    assert_eq!(begun, b"HTTP/1.1 200", "{path}");
    stream
}

/// How many bytes come of the rest of an answer.
async fn rest_of(mut stream: TcpStream) -> usize {
    let mut came = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut came))
        .await
        .expect("it is not closed");
    came.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_on_their_way_end_where_fewer_may_have_them() {
    let world = World::start().await;
    let (chat, file, size_bytes) = large_file(&world).await;
    let off = json!({ "public_sharing": false });
    let settings = "/api/v1/admin/settings";
    for (updates, change) in [
        ("live", Some(json!({ "visibility": "private" }))),
        ("live", Some(json!({ "artifacts": false }))),
        ("frozen", Some(json!({ "visibility": "private" }))),
        ("frozen", Some(json!({ "artifacts": false }))),
        ("live", None),
        ("frozen", None),
    ] {
        let share = world.share(&chat, updates, "public", true).await;
        let begun = begin_to_take(&world, &format!("/s/{share}/{file}"), &Who::Nobody).await;
        match &change {
            Some(change) => world.change_share(&share, change.clone()).await,
            None => _ = world.send(Method::PATCH, settings, off.clone()).await,
        }
        let came = rest_of(begun).await;
        assert!(came < size_bytes, "{updates}, {change:?}: all of it");
        let on = json!({ "public_sharing": true });
        world.send(Method::PATCH, settings, on).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_taken_out_of_a_chat_goes_no_further_than_it_is() {
    let world = World::start().await;
    for updates in ["live", "frozen"] {
        let (chat, file, size_bytes) = large_file(&world).await;
        let sha256 = &file["files/".len()..file.len() - ".bin".len()];
        let artifact = format!("/api/v1/chats/{chat}/artifacts/{sha256}");
        let text = "wind and rain ".repeat(200_000);
        world.say(&chat, "m-long", &text).await;
        let message = format!("/api/v1/chats/{chat}/messages/m-long");
        let share = world.share(&chat, updates, "public", true).await;
        for (taken, whole, method, path, change) in [
            (
                "chat.json",
                text.len(),
                Method::PATCH,
                &message,
                json!({ "hidden": true }),
            ),
            (
                "chat.json",
                text.len(),
                Method::PATCH,
                &message,
                json!({ "hidden": false }),
            ),
            ("chat.md", text.len(), Method::DELETE, &message, Value::Null),
            (
                &file,
                size_bytes,
                Method::PATCH,
                &artifact,
                json!({ "hidden": true }),
            ),
            (
                &file,
                size_bytes,
                Method::PATCH,
                &artifact,
                json!({ "hidden": false }),
            ),
            (&file, size_bytes, Method::DELETE, &artifact, Value::Null),
        ] {
            let is_shown_again = change == json!({ "hidden": false });
            let begun = match is_shown_again {
                true => None,
                false => {
                    Some(begin_to_take(&world, &format!("/s/{share}/{taken}"), &Who::Nobody).await)
                }
            };
            world.send(method.clone(), path, change.clone()).await;
            let Some(begun) = begun else { continue };
            let came = rest_of(begun).await;
            assert!(
                came < whole,
                "{updates} {taken}, {method} {change}: all of it"
            );
        }
    }
    world.stop().await;
}

/// A moment from now, for a share that ends then.
fn soon() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let millis = since.unwrap().as_millis() as i64 + 300;
    Timestamp::from_millis(millis).unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_on_their_way_end_with_the_account_of_who_takes_them() {
    let world = World::start().await;
    let (chat, file, size_bytes) = large_file(&world).await;
    for updates in ["live", "frozen"] {
        let share = world.share(&chat, updates, "private", true).await;
        let (id, viewer) = world.user(&format!("of-{updates}"), "viewer").await;
        let begun = begin_to_take(&world, &format!("/s/{share}/{file}"), &viewer).await;
        let user = format!("/api/v1/users/{id}");
        world.send(Method::DELETE, &user, Value::Null).await;
        assert!(rest_of(begun).await < size_bytes, "{updates}: all of it");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_on_their_way_end_with_their_share() {
    let world = World::start().await;
    let (chat, file, size_bytes) = large_file(&world).await;
    for updates in ["live", "frozen"] {
        let share = world.share(&chat, updates, "public", true).await;
        let path = format!("/s/{share}/{file}");
        let begun = begin_to_take(&world, &path, &Who::Nobody).await;
        let end = json!({ "expires_at": soon() });
        world.change_share(&share, end).await;
        let page = format!("/s/{share}/");
        let is_gone = async || world.get(&page, &Who::Nobody).await.status == StatusCode::NOT_FOUND;
        world.until(is_gone).await;
        // A look every half a second finds it; meanwhile no more comes than the connection holds.
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert!(rest_of(begun).await < size_bytes, "{updates}: all of it");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_share_that_a_program_reads_goes_no_further_than_its_right() {
    let world = World::start().await;
    let text = "wind and rain ".repeat(200_000);
    for updates in ["live", "frozen"] {
        for end in ["deleted", "private", "hidden"] {
            let chat = world.chat().await;
            world.say(&chat, "m-long", &text).await;
            let share = world.share(&chat, updates, "public", true).await;
            let path = format!("/api/v1/shared_chats/{share}");
            let begun = begin_to_take(&world, &path, &Who::Nobody).await;
            match end {
                "deleted" => world.delete_share(&share).await,
                "private" => {
                    let private = json!({ "visibility": "private" });
                    world.change_share(&share, private).await;
                }
                _ => {
                    let message = format!("/api/v1/chats/{chat}/messages/m-long");
                    let hidden = json!({ "hidden": true });
                    world.send(Method::PATCH, &message, hidden).await;
                }
            }
            let came = rest_of(begun).await;
            assert!(came < text.len(), "{updates}, {end}: all of it");
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_picture_of_a_featured_share_goes_no_further_than_the_share() {
    let world = World::start().await;
    let chat = world.chat().await;
    for end in ["switched off", "not featured", "deleted"] {
        let share = world.share(&chat, "live", "public", true).await;
        let settings = "/api/v1/admin/settings";
        let on = json!({ "showcase": "public" });
        world.send(Method::PATCH, settings, on).await;
        let entry =
            json!({ "shared_chat_id": share, "title": "Kites", "description": "What flies." });
        let entry = world.send(Method::POST, "/api/v1/showcase", entry).await;
        let entry = format!("/api/v1/showcase/{}", entry["id"].as_str().unwrap());
        let path = format!("{entry}/thumbnail");
        let size_bytes = 8 << 20;
        let mut form = b"--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n".to_vec();
        form.extend_from_slice(PICTURE);
        form.resize(form.len() + size_bytes, 0);
        form.extend_from_slice(b"\r\n--x--\r\n");
        let kind = [(header::CONTENT_TYPE, "multipart/form-data; boundary=x")];
        let put = world
            .ask(Method::POST, &path, &world.owner(), &kind, form.into())
            .await;
        assert_eq!(put.status, StatusCode::OK, "{}", put.text());
        let begun = begin_to_take(&world, &path, &Who::Nobody).await;
        match end {
            "switched off" => {
                let off = json!({ "showcase": "disabled" });
                world.send(Method::PATCH, settings, off).await;
            }
            "not featured" => {
                world.send(Method::DELETE, &entry, Value::Null).await;
            }
            _ => world.delete_share(&share).await,
        }
        assert!(rest_of(begun).await < size_bytes, "{end}: all of it");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_bodies_that_do_not_end_take_a_bounded_memory() {
    let world = World::with(Limits {
        body_timeout: Duration::from_millis(300),
        ..Limits::default()
    })
    .await;
    let chat = world.chat().await;
    let path = format!("/api/v1/chats/{chat}/messages");
    let token = world.server.command_token();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        world.addr,
        32 << 20
    );
    let dripping = (0..5).map(|_| {
        let (head, addr) = (head.clone(), world.addr);
        tokio::spawn(async move {
            let mut stream = TcpStream::connect(addr).await.unwrap();
            stream.write_all(head.as_bytes()).await.unwrap();
            while stream.write_all(&[b' '; 8 << 10]).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
    });
    let dripping: Vec<_> = dripping.collect();
    let kind = [(header::CONTENT_TYPE, "application/json")];
    let text = "wind and rain ".repeat(5_000);
    let say = async || {
        let message = json!({ "role": "user", "text": text }).to_string();
        let owner = world.owner();
        let said = world.ask(Method::POST, &path, &owner, &kind, message.into());
        said.await
    };
    let is_full = async || {
        let said = say().await;
        let may_come_again = !said.header(header::RETRY_AFTER).is_empty();
        said.status == StatusCode::SERVICE_UNAVAILABLE && may_come_again
    };
    world.until(is_full).await;
    // Nobody takes the room of another.
    let (_, other) = world.user("ada", "owner").await;
    let ask = async |path: &str, body: Value| {
        let body = body.to_string().into();
        world.ask(Method::POST, path, &other, &kind, body).await
    };
    let theirs = ask("/api/v1/chats", json!({ "title": "Birds" }))
        .await
        .json();
    let theirs = format!("/api/v1/chats/{}/messages", theirs["id"].as_str().unwrap());
    let said = ask(&theirs, json!({ "role": "user", "text": text })).await;
    assert_eq!(said.status, StatusCode::OK, "{}", said.text());
    // Whoever says a word, or takes a share back, needs no room.
    world.say(&chat, "m-3", "the wind is good").await;
    let share = world.share(&chat, "live", "public", true).await;
    let private = json!({ "visibility": "private" });
    world.change_share(&share, private).await;
    for one in dripping {
        one.abort();
    }
    world
        .until(async || say().await.status == StatusCode::OK)
        .await;
    world.stop().await;
}

/// Sends a request and goes away without waiting for the answer.
async fn ask_and_go(world: &World, method: &str, path: &str, body: &Value, after: Duration) {
    let body = match body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    let Who::Token(token) = world.owner() else {
        panic!("the owner has no token")
    };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        world.addr,
        body.len()
    );
    let mut stream = TcpStream::connect(world.addr).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    tokio::time::sleep(after).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_asked_for_is_done_to_its_end_though_the_client_goes_away() {
    let world = World::start().await;
    let chat = world.chat().await;
    let share = world.share(&chat, "live", "public", true).await;
    let settings = "/api/v1/admin/settings";
    let mut arrived = 0;
    for _ in 0..10 {
        let on = json!({ "public_sharing": true });
        world.send(Method::PATCH, settings, on).await;
        let path = format!("/s/{share}/live");
        let mut nobody = world.watch(&path, &Who::Nobody).await.unwrap();
        let off = json!({ "public_sharing": false });
        ask_and_go(&world, "PATCH", settings, &off, Duration::from_micros(500)).await;
        let is_off = async || {
            let now = world.get(settings, &world.owner()).await.json();
            now["public_sharing"] == false
        };
        // Of some requests the server sees no more than the end.
        let off = timeout(Duration::from_secs(1), world.until(is_off)).await;
        if off.is_ok() {
            arrived += 1;
            assert_eq!(nobody.end().await.1, Got::Closed(4401));
        }
    }
    assert!(arrived > 0, "no request arrived");

    let path = format!("/api/v1/chats/{chat}/messages");
    for count in 0..20 {
        let message =
            |id: &str| json!({ "id": format!("{id}-{count}"), "role": "user", "text": "Hello." });
        let short = Duration::from_micros(300);
        ask_and_go(&world, "POST", &path, &message("cut"), short).await;
        world.send(Method::POST, &path, message("whole")).await;
    }
    let messages = world.get(&path, &world.owner()).await.json();
    let places = messages.as_array().unwrap().iter();
    let mut places: Vec<_> = places
        .map(|entry| entry["place"].as_u64().unwrap())
        .collect();
    let count = places.len();
    places.sort_unstable();
    places.dedup();
    assert_eq!(places.len(), count, "two messages have one place");
}

/// A live share that takes a while to be read.
async fn long_share(world: &World, messages: usize) -> (String, String) {
    let chat = world.chat().await;
    let changes = |from: usize| {
        let message = |n| {
            let parts = json!([{ "text": { "markdown": format!("Word number {n}.") } }]);
            json!([n, { "id": format!("l-{n}"), "role": "user", "parts": parts }])
        };
        let messages: Vec<Value> = (from..from + 500).map(message).collect();
        json!({ "messages": messages })
    };
    let path = format!("/api/v1/chats/{chat}/changes");
    for from in (2..messages).step_by(500) {
        world.send(Method::POST, &path, changes(from)).await;
    }
    let share = world.share(&chat, "live", "public", false).await;
    (chat, share)
}

/// Asks for a page as a task of its own, which can be ended.
fn ask_for(world: &World, path: &str) -> JoinHandle<StatusCode> {
    let request = Request::builder()
        .uri(path)
        .header(header::HOST, world.addr.to_string());
    let request = request.body(Body::empty()).unwrap();
    let answer = world.router.clone().oneshot(request);
    tokio::spawn(async move { answer.await.unwrap().status() })
}

async fn until_it_is_being_read(world: &World) {
    let is_open = async || {
        let metrics = world.get("/metrics", &world.owner()).await.text();
        metrics.contains("readalong_live_shares 1")
    };
    world.until(is_open).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_share_that_is_frozen_while_it_is_read_is_frozen_and_not_gone() {
    let world = World::start().await;
    let (_, share) = long_share(&world, 500).await;
    let live = format!("/s/{share}/live");
    let page = ask_for(&world, &format!("/s/{share}/"));
    until_it_is_being_read(&world).await;
    let watching = world.watch(&live, &Who::Nobody);
    let freezing = world.change_share(&share, json!({ "updates": "frozen" }));
    let (viewer, ()) = tokio::join!(watching, freezing);
    let (_, end) = viewer.unwrap().end().await;
    assert_eq!(end, Got::Closed(4410));
    assert_eq!(page.await.unwrap(), StatusCode::OK);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_who_goes_while_a_share_is_read_takes_no_message_along() {
    let world = World::start().await;
    let (chat, share) = long_share(&world, 4_000).await;
    let path = format!("/s/{share}/");
    let first = ask_for(&world, &path);
    until_it_is_being_read(&world).await;
    first.abort();
    let second = ask_for(&world, &path);
    let mut said = 0_usize;
    while !second.is_finished() {
        let text = format!("New word number {said}.");
        world.say(&chat, &format!("n-{said}"), &text).await;
        said += 1;
    }
    assert_eq!(second.await.unwrap(), StatusCode::OK);
    let shown = world.get(&path, &Who::Nobody).await.text();
    for n in said.saturating_sub(30)..said {
        assert!(
            shown.contains(&format!("New word number {n}.")),
            "{n} of {said}"
        );
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_chat_stays_away_until_its_file_is_named_again() {
    let world = World::start().await;
    let file = world.folder.path().with_extension("jsonl");
    let new = file.with_extension("new");
    let line = |text: &str| format!("{{\"role\":\"user\",\"content\":\"{text}\"}}\n");
    std::fs::write(&file, line("One")).unwrap();
    let named = json!({ "path": file });
    let name_it = || world.send(Method::POST, "/api/v1/follow", named.clone());
    let state = async || {
        let followed = world.get("/api/v1/follow", &world.owner()).await.json();
        followed[0]["files"][0].clone()
    };
    name_it().await;
    world
        .until(async || state().await["chat"].is_string())
        .await;
    let chat = state().await["chat"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/chats/{chat}");
    world.send(Method::DELETE, &path, Value::Null).await;

    std::fs::write(&new, [line("One"), line("Two")].concat()).unwrap();
    std::fs::rename(&new, &file).unwrap();
    let is_refused = async || state().await["state"].as_str().unwrap().contains("deleted");
    world.until(is_refused).await;
    let chats = async || world.get("/api/v1/chats", &world.owner()).await.json();
    assert_eq!(chats().await, json!([]));

    name_it().await;
    world.until(async || chats().await != json!([])).await;
    std::fs::remove_file(&file).unwrap();
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_to_stay_is_there_when_a_file_is_named_again() {
    let world = World::start().await;
    let file = world.folder.path().with_extension("jsonl");
    let token = format!("ghp_{}", "b4K9".repeat(9));
    let line = format!("{{\"role\":\"user\",\"content\":\"It is {token}.\"}}\n");
    std::fs::write(&file, line).unwrap();
    let says = async |words: &str| {
        let chats = world.get("/api/v1/chats", &world.owner()).await.json();
        let Some(chat) = chats[0]["id"].as_str() else {
            return false;
        };
        let path = format!("/api/v1/chats/{chat}/messages");
        let messages = world.get(&path, &world.owner()).await.text();
        messages.contains(words)
    };
    let name_it = async |kept: Value| {
        let named = json!({ "path": file, "kept": kept });
        world.send(Method::POST, "/api/v1/follow", named).await;
    };
    name_it(json!([])).await;
    world.until(async || says("[redacted: ").await).await;
    name_it(json!(["GitHub token"])).await;
    world.until(async || says(&token).await).await;
    std::fs::remove_file(&file).unwrap();
    world.stop().await;
}
