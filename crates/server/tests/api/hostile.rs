//! Requests that nobody in their right mind sends: answered as errors, in the one shape, and never with 500.

use axum::{body::Body, http::header};
use serde_json::json;

use crate::world::{World, is_refusal};

/// A generator of numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }
}

/// Bodies that are nearly right, and some that are nothing.
fn bodies(dice: &mut Dice, chat: &str, share: &str) -> Vec<u8> {
    const WORDS: [&str; 28] = [
        "null",
        "true",
        "-1",
        "1e999",
        "4294967296",
        "\"\"",
        "\"x\"",
        "[]",
        "{}",
        "\"live\"",
        "\"public\"",
        "[[0,{}]]",
        "[[]]",
        "{\"text\":{}}",
        "\"\\u0000\"",
        "\"\\ud800\"",
        "\"2030-01-01T00:00:00Z\"",
        "\"user\"",
        "[null]",
        "0.5",
        "{\"title\":1}",
        "[[0]]",
        "[{\"text\":{\"markdown\":\"x\"}}]",
        "\"m1\"",
        "[\"m1\"]",
        "{\"title\":\"t\"}",
        "9223372036854775807",
        "[[0,{\"id\":\"q\",\"role\":\"user\",\"parts\":[]}]]",
    ];
    const NAMES: [&str; 34] = [
        "title",
        "name",
        "source",
        "head",
        "id",
        "role",
        "text",
        "at",
        "status",
        "author",
        "parent",
        "parts",
        "hidden",
        "threads",
        "artifacts",
        "messages",
        "removed",
        "durable",
        "chat",
        "updates",
        "visibility",
        "expires_at",
        "refresh",
        "ids",
        "password",
        "current_password",
        "user",
        "path",
        "chat_session_id",
        "is_private",
        "is_frozen",
        "includes_artifacts",
        "shared_chat_ids",
        "x",
    ];
    let mut body = String::from("{");
    for number in 0..dice.roll(5) {
        let value = match dice.roll(6) {
            0 => format!("\"{chat}\""),
            1 => format!("\"{share}\""),
            _ => WORDS[dice.roll(WORDS.len())].to_owned(),
        };
        let comma = if number == 0 { "" } else { "," };
        body.push_str(&format!(
            "{comma}\"{}\":{value}",
            NAMES[dice.roll(NAMES.len())]
        ));
    }
    body.push('}');
    let mut body = match dice.roll(4) {
        0 => format!("[{body},{body}]"),
        _ => body,
    }
    .into_bytes();
    match dice.roll(8) {
        0 => body.truncate(dice.roll(body.len() + 1)),
        1 => {
            let place = dice.roll(body.len());
            body[place] = dice.roll(256) as u8;
        }
        2 => body.insert(0, 0xef),
        _ => {}
    }
    body
}

const ROUTES: [(&str, &str); 26] = [
    ("POST", "/api/v1/chats"),
    ("PATCH", "/api/v1/chats/{chat}"),
    ("POST", "/api/v1/chats/{chat}/messages"),
    ("POST", "/api/v1/chats/{chat}/messages"),
    ("POST", "/api/v1/chats/{chat}/changes"),
    ("POST", "/api/v1/chats/{chat}/changes"),
    ("PATCH", "/api/v1/chats/{chat}/messages/m1"),
    ("DELETE", "/api/v1/chats/{chat}/messages/m2"),
    ("PUT", "/api/v1/chats/{chat}/artifacts/x"),
    ("POST", "/api/v1/chats/{chat}/import"),
    ("POST", "/api/v1/import"),
    ("POST", "/api/v1/shares"),
    ("PATCH", "/api/v1/shares/{share}"),
    ("DELETE", "/api/v1/shares"),
    ("POST", "/api/v1/users"),
    ("PATCH", "/api/v1/users/1"),
    ("POST", "/api/v1/tokens"),
    ("DELETE", "/api/v1/tokens/0"),
    ("POST", "/api/v1/legacy_links"),
    ("POST", "/api/v1/follow"),
    ("POST", "/api/v1/shared_chats"),
    ("PATCH", "/api/v1/shared_chats/{share}"),
    ("PATCH", "/api/v1/shared_chats/%00"),
    ("POST", "/api/v1/shared_chats/batch_delete"),
    ("GET", "/api/v1/chats/{chat}/messages/%ff"),
    ("GET", "/api/v1/shared_chats/%2F%2e%2e"),
];

#[tokio::test]
async fn malformed_bodies_are_refused_and_never_fail() {
    let world = World::new().await;
    let chat = world.chat(&world.ada).await;
    let share = world.share(&world.ada, &chat, "live", "public").await;
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut refused = 0;
    for number in 0..3_000 {
        let (method, path) = ROUTES[number % ROUTES.len()];
        let path = path.replace("{chat}", &chat).replace("{share}", &share);
        let body = bodies(&mut dice, &chat, &share);
        let said = String::from_utf8_lossy(&body).into_owned();
        let media_type = match dice.roll(10) {
            0 => "text/plain",
            1 => "multipart/form-data; boundary=x",
            _ => "application/json",
        };
        let answer = world.raw(method, &path, &world.ada, media_type, body).await;
        assert!(
            answer.status < 500,
            "{method} {path} {media_type} {said}: {}",
            answer.text()
        );
        if answer.status >= 400 {
            let status = answer.status;
            let json = answer.json();
            assert_eq!(json["code"], status, "{method} {path} {said}");
            assert!(json["message"].is_string(), "{method} {path} {said}");
            refused += 1;
        }
    }
    assert!(refused > 2_000, "{refused}");
    // What is there can still be read.
    world
        .get(&format!("/api/v1/chats/{chat}"), &world.ada)
        .await
        .expect(200);
    world
        .get(&format!("/api/v1/shares/{share}"), &world.ada)
        .await
        .expect(200);
}

#[tokio::test]
async fn routes_that_are_not_there_are_errors_of_the_same_shape() {
    let world = World::new().await;
    for path in [
        "/api",
        "/api/",
        "/api/v1",
        "/api/v1/nothing",
        "/api/v2/chats",
        "/rpc/x",
        "/api/v1/chats/",
        "/api/v1/showcase",
        "/api/v1/auth/session/capabilities",
    ] {
        world
            .get(path, &world.ada)
            .await
            .expect_error(404, "not_found");
        world.get(path, "").await.expect_error(404, "not_found");
    }
    let answer = world.bare("PUT", "/api/v1/chats", &world.ada).await;
    let answer = answer.expect_error(405, "method_not_allowed");
    assert!(answer.header(header::ALLOW).contains("GET"));
    let no_json = world
        .raw(
            "POST",
            "/api/v1/chats",
            &world.ada,
            "text/plain",
            b"{}".to_vec(),
        )
        .await;
    no_json.expect_error(415, "unsupported_media_type");
}

#[tokio::test]
async fn bodies_have_their_limits() {
    let world = World::new().await;
    let chat = world.chat(&world.ada).await;
    let large = json!({"title": "x".repeat(2 << 20)});
    world
        .post("/api/v1/chats", &world.ada, large.clone())
        .await
        .expect_error(413, "too_large");
    world
        .post("/api/v1/shared_chats", &world.ada, large.clone())
        .await
        .expect_error(413, "too_large");
    world
        .patch(
            &format!("/api/v1/chats/{chat}/messages/m1"),
            &world.ada,
            large,
        )
        .await
        .expect_error(413, "too_large");
    let messages = format!("/api/v1/chats/{chat}/messages");
    let message = json!({"id": "big", "role": "user", "text": "x".repeat(3 << 20)});
    world.post(&messages, &world.ada, message).await.expect(200);
    let message = json!({"id": "bigger", "role": "user", "text": "x".repeat(33 << 20)});
    world
        .post(&messages, &world.ada, message)
        .await
        .expect_error(413, "too_large");
    let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    for path in [
        format!("/api/v1/chats/{chat}/artifacts/{sha256}"),
        format!("/api/v1/chats/{chat}/import"),
    ] {
        let method = if path.ends_with("import") {
            "POST"
        } else {
            "PUT"
        };
        let request = World::request(method, &path, &world.ada)
            .header(header::CONTENT_LENGTH, 3_000_000_000_u64);
        let answer = world.send(request.body(Body::empty()).unwrap()).await;
        answer.expect_error(413, "too_large");
    }
    let list = vec![b'x'; 17 << 20];
    let answer = world
        .raw("POST", "/api/v1/legacy_links", &world.ada, "text/csv", list)
        .await;
    answer.expect_error(413, "too_large");
}

#[tokio::test]
async fn deep_json_is_refused() {
    let world = World::new().await;
    let chat = world.chat(&world.ada).await;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let inside = format!(
        r#"{{"id":"d","role":"user","parts":[{{"tool_result":{{"call_id":"c","parts":{deep}}}}}]}}"#
    );
    for body in [deep, inside] {
        for path in ["messages", "changes"] {
            let path = format!("/api/v1/chats/{chat}/{path}");
            let body = body.clone().into_bytes();
            let answer = world
                .raw("POST", &path, &world.ada, "application/json", body)
                .await;
            answer.expect_error(400, "bad_request");
        }
    }
}

#[tokio::test]
async fn ids_may_be_any_text() {
    let world = World::new().await;
    let chat = world.chat(&world.ada).await;
    let ids = [
        "../../x",
        "a b",
        "<script>",
        "ä",
        "?x=1#y",
        "%2F",
        "\u{202e}x",
        "'; DROP TABLE messages; --",
        "\n",
        "\u{0}",
    ];
    for id in ids {
        let message = json!({"id": id, "role": "user", "text": "<script>alert(1)</script>"});
        let path = format!("/api/v1/chats/{chat}/messages");
        world.post(&path, &world.ada, message).await.expect(200);
        let encoded: String = id.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let path = format!("{path}/{encoded}");
        assert_eq!(
            world.get(&path, &world.ada).await.expect(200).json()["id"],
            id
        );
        world.delete(&path, &world.ada).await.expect(204);
    }
}

#[tokio::test]
async fn tokens_of_any_kind_are_refused_alike() {
    let world = World::new().await;
    let long = "x".repeat(5_000);
    for authorization in [
        "Bearer",
        "Bearer ",
        "bearer x",
        "Bearer \u{e4}",
        "Bearer-Token x",
        &format!("Bearer {long}"),
    ] {
        let request =
            World::request("GET", "/api/v1/chats", "").header(header::AUTHORIZATION, authorization);
        let answer = world.send(request.body(Body::empty()).unwrap()).await;
        assert!(is_refusal(answer.status), "{authorization}");
        answer.expect_error(401, "unauthorized");
    }
    // What a proxy in front asks for is none of ours.
    let request =
        World::request("GET", "/api/v1/chats", "").header(header::AUTHORIZATION, "Basic eDp5");
    let answer = world.send(request.body(Body::empty()).unwrap()).await;
    answer.expect_error(401, "unauthorized");
    let request = World::request("GET", "/api/v1/chats", "");
    let request = request.header(header::AUTHORIZATION, format!("Bearer-Token {}", world.ada));
    world
        .send(request.body(Body::empty()).unwrap())
        .await
        .expect(200);
}
