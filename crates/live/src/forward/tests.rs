//! Against a small server that answers as it is told.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
};

use readalong_model::Role;

use super::*;

/// A server that gives one prepared answer after the other, and notes what it was asked.
struct Server {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

#[derive(Clone, Debug)]
struct Asked {
    line: String,
    authorization: String,
    body: Vec<u8>,
}

fn serve(answers: &[(u16, &str, &str)]) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
    let mut answers: VecDeque<(u16, String, String)> = answers
        .iter()
        .map(|(status, headers, body)| (*status, (*headers).to_owned(), (*body).to_owned()))
        .collect();
    let log = Arc::clone(&asked);
    thread::spawn(move || {
        while let Some((status, headers, body)) = answers.pop_front() {
            let (stream, _) = listener.accept().unwrap();
            if status == 0 {
                // The connection breaks.
                continue;
            }
            let request = read_request(&stream);
            let length = if request.line.starts_with("HEAD") {
                0
            } else {
                body.len()
            };
            log.lock().unwrap().push(request);
            let mut stream = stream;
            let text = format!(
                "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{}",
                &body[..length]
            );
            let _ = stream.write_all(text.as_bytes());
        }
    });
    Server { url, asked }
}

fn read_request(stream: &TcpStream) -> Asked {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_owned());
    }
    let header = |name: &str| {
        let found = lines.iter().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        });
        found.unwrap_or_default()
    };
    let mut body = vec![0; header("content-length").parse().unwrap_or(0)];
    reader.read_exact(&mut body).unwrap();
    Asked {
        authorization: header("authorization"),
        line: lines[0].clone(),
        body,
    }
}

fn chat() -> ChatId {
    ChatId::from_random([7; 16])
}

#[test]
fn speaks_the_servers_api() {
    let digest = Digest::of(b"x");
    let id = chat();
    let message = Message::new("a/b ä", Role::User);
    let json = serde_json::to_string(&message).unwrap();
    let server = serve(&[
        (201, "", &format!("{{\"id\":\"{id}\",\"title\":\"T\"}}")),
        (
            200,
            "",
            &format!("{{\"seq\":3,\"messages\":[[\"m\",\"{digest}\",5]]}}"),
        ),
        (200, "", &json),
        (404, "", "{\"message\":\"no\"}"),
        (200, "", "{\"seq\":4}"),
        (404, "", ""),
        (201, "", ""),
    ]);
    let sink = HttpSink::new(&format!("{}/", server.url), "t0k").unwrap();
    assert_eq!(sink.open_chat("here:/x", &ChatHead::default()).unwrap(), id);
    let entry = IndexEntry {
        id: MessageId("m".to_owned()),
        digest,
        place: 5,
    };
    assert_eq!(sink.index(&id).unwrap(), [entry]);
    assert_eq!(
        sink.recall(&id, &message.id).unwrap(),
        Some(message.clone())
    );
    assert_eq!(sink.recall(&id, &MessageId("..".to_owned())).unwrap(), None);
    let changes = ChangeSet {
        messages: vec![(5, message)],
        removed: vec![MessageId("m".to_owned())],
        ..ChangeSet::default()
    };
    sink.apply(&id, changes).unwrap();
    assert_eq!(sink.keep_artifact(&id, b"x").unwrap(), digest);
    assert_eq!(
        sink.keep_artifact(&id, b"x").unwrap(),
        digest,
        "known by now"
    );
    let asked = server.asked.lock().unwrap().clone();
    let lines: Vec<&str> = asked
        .iter()
        .map(|asked| asked.line.trim_end_matches(" HTTP/1.1"))
        .collect();
    assert_eq!(
        lines,
        [
            "POST /api/v1/chats".to_owned(),
            format!("GET /api/v1/chats/{id}/index"),
            format!("GET /api/v1/chats/{id}/messages/a%2Fb%20%C3%A4"),
            format!("GET /api/v1/chats/{id}/messages/%2E%2E"),
            format!("POST /api/v1/chats/{id}/changes"),
            format!("HEAD /api/v1/chats/{id}/artifacts/{digest}"),
            format!("PUT /api/v1/chats/{id}/artifacts/{digest}"),
        ]
    );
    assert!(
        asked
            .iter()
            .all(|asked| asked.authorization == "Bearer t0k")
    );
    assert_eq!(asked[6].body, b"x");
    let sent: serde_json::Value = serde_json::from_slice(&asked[4].body).unwrap();
    assert_eq!(sent["removed"][0], "m");
    assert_eq!(sent["messages"][0][0], 5);
    assert_eq!(sent["unsettled"], true);
}

#[test]
fn tries_again_until_the_server_is_back() {
    let server = serve(&[
        (0, "", ""),
        (503, "retry-after: 0\r\n", "{\"message\":\"going down\"}"),
        (429, "retry-after: 0\r\n", ""),
        (200, "", "{\"seq\":1}"),
    ]);
    let heard: Arc<Mutex<Vec<Connection>>> = Arc::default();
    let log = Arc::clone(&heard);
    let sink = HttpSink::new(&server.url, "t")
        .unwrap()
        .with_notice(move |connection| log.lock().unwrap().push(connection.clone()));
    sink.apply(&chat(), ChangeSet::default()).unwrap();
    assert_eq!(server.asked.lock().unwrap().len(), 3);
    let heard = heard.lock().unwrap();
    assert!(
        matches!(heard.as_slice(), [Connection::Lost(why), Connection::Back] if why.contains("cannot be reached")),
        "{heard:?}"
    );
}

#[test]
fn says_what_to_do_where_trying_again_would_not_help() {
    for (status, words) in [
        (401, "readalong token new"),
        (403, "does not allow it"),
        (404, "no such chat any more"),
        (413, "takes nothing so large"),
        (400, "the reason"),
        (301, "has moved"),
    ] {
        let server = serve(&[(
            status,
            "location: http://elsewhere.example/\r\n",
            "{\"message\":\"the reason\"}",
        )]);
        let sink = HttpSink::new(&server.url, "t").unwrap();
        let error = sink.apply(&chat(), ChangeSet::default()).unwrap_err();
        assert!(
            matches!(&error, SinkError::Refused(text) if text.contains(words)),
            "{status}: {error}"
        );
    }
    let server = serve(&[(200, "", "<html>")]);
    let error = HttpSink::new(&server.url, "t")
        .unwrap()
        .index(&chat())
        .unwrap_err();
    assert!(error.to_string().contains("not readalong's"), "{error}");
}

#[test]
fn stops_at_once_while_it_waits() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let sink = Arc::new(HttpSink::new(&url, "t").unwrap());
    let waiting = Arc::clone(&sink);
    let thread = thread::spawn(move || waiting.apply(&chat(), ChangeSet::default()));
    thread::sleep(Duration::from_millis(100));
    sink.stop();
    assert_eq!(thread.join().unwrap(), Err(SinkError::Stopped));
}

#[test]
fn addresses_and_tokens_that_are_none_are_told_at_once() {
    for (url, token) in [
        ("chats.example.org", "t"),
        ("ftp://chats.example.org", "t"),
        ("https://", "t"),
        ("https://chats.example.org", ""),
        ("https://chats.example.org", "t\r\nx: y"),
    ] {
        assert!(HttpSink::new(url, token).is_err(), "{url} {token}");
    }
}

#[test]
fn waits_grow_and_differ() {
    assert!(back_off(0) >= RETRY_AFTER[0] / 2);
    assert!(back_off(0) <= RETRY_AFTER[0] * 2);
    assert!(back_off(60) <= RETRY_AFTER[1] * 2);
    let waits: HashSet<Duration> = (0..20).map(|_| back_off(6)).collect();
    assert!(waits.len() > 1);
}

#[test]
fn a_source_is_asked_for_by_its_name() {
    let server = serve(&[(200, "", "[]"), (200, "", "[{\"id\":\"9f\"}]")]);
    let sink = HttpSink::new(&server.url, "t0k").unwrap();
    assert!(!sink.has_chat("here:/a b").unwrap());
    assert!(sink.has_chat("here:/a b").unwrap());
    let line = server.asked.lock().unwrap()[0].line.clone();
    assert_eq!(line, "GET /api/v1/chats?source=here%3A%2Fa%20b HTTP/1.1");
}
