//! What programs need that follow a transcript.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{body::Body, http::header};
use bytes::Bytes;
use readalong_model::{Digest, Message, Role};
use serde_json::{Value, json};

use crate::world::World;

fn artifact(digest: Digest, size: usize) -> Value {
    let content = json!({"present": {"sha256": digest, "size_bytes": size}});
    json!([0, {"name": "a.bin", "media_type": "application/octet-stream", "role": "uploaded", "content": content}])
}

#[tokio::test]
async fn a_change_set_is_taken_once() {
    let world = World::new().await;
    let id = world.chat(&world.ada).await;
    let path = format!("/api/v1/chats/{id}/changes");
    let changes = json!({
        "head": {"title": "Trees", "origin": {"format": "sharegpt"}},
        "threads": [[1, {"kind": "subagent", "title": "Looks"}]],
        "messages": [[2, {"id": "m3", "thread": 1, "role": "assistant", "parts": [{"text": {"markdown": "An oak."}}]}]],
        "removed": ["m2"],
    });
    let first = world
        .post(&path, &world.ada, changes.clone())
        .await
        .expect(200)
        .json();
    let again = world
        .post(&path, &world.ada, changes)
        .await
        .expect(200)
        .json();
    assert_eq!(first["seq"], again["seq"]);
    assert_eq!(
        world.texts(&world.ada, &id).await,
        ["Where is the kite?", "An oak."]
    );
    let chat = world
        .get(&format!("/api/v1/chats/{id}"), &world.ada)
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&chat["title"], &chat["format"]),
        (&json!("Trees"), &json!("sharegpt"))
    );
}

#[tokio::test]
async fn the_index_has_the_digests_of_the_messages_as_they_are_answered() {
    let world = World::new().await;
    let id = world.chat(&world.ada).await;
    let index = world
        .get(&format!("/api/v1/chats/{id}/index"), &world.ada)
        .await
        .expect(200)
        .json();
    let messages = index["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 2);
    for (place, entry) in messages.iter().enumerate() {
        let path = format!("/api/v1/chats/{id}/messages/{}", entry[0].as_str().unwrap());
        let message = world.get(&path, &world.ada).await.expect(200);
        assert_eq!(entry[1], Digest::of(&message.body).to_string());
        assert_eq!(entry[2], place);
    }
}

#[tokio::test]
async fn a_change_set_with_a_mistake_changes_nothing() {
    let world = World::new().await;
    let id = world.chat(&world.ada).await;
    let path = format!("/api/v1/chats/{id}/changes");
    let message = |id: &str| serde_json::to_value(Message::new(id, Role::User)).unwrap();
    for wrong in [
        json!({"messages": [[4_000_000_000_u32, message("x")]]}),
        json!({"messages": [[-1, message("x")]]}),
        json!({"messages": [[2, message("")]]}),
        json!({"messages": [[2, message("x")], [3, {"id": "y"}]]}),
        json!({"threads": [[2, {"kind": "side"}]]}),
        json!({"artifacts": [[1, {"name": "a", "media_type": "a/b", "role": "uploaded", "content": "missing"}]]}),
        json!({"removed": [""]}),
        json!({"colour": "red"}),
        json!([]),
    ] {
        world
            .post(&path, &world.ada, wrong)
            .await
            .expect_error(400, "bad_request");
    }
    assert_eq!(world.texts(&world.ada, &id).await.len(), 2);
}

#[tokio::test]
async fn a_place_is_that_of_one_message() {
    let world = World::new().await;
    let id = world.chat(&world.ada).await;
    let path = format!("/api/v1/chats/{id}/changes");
    let at = |place: u32, id: &str| json!([place, {"id": id, "role": "user", "parts": [{"text": {"markdown": id}}]}]);
    let change = async |changes: Value| world.post(&path, &world.ada, changes).await;
    for changes in [
        json!({"messages": [at(1, "new")]}),
        json!({"messages": [at(2, "new"), at(2, "other")]}),
        json!({"messages": [at(0, "m2")]}),
        json!({"messages": [at(1, "m1"), at(2, "new")]}),
    ] {
        let refused = change(changes).await.expect_error(400, "bad_request");
        assert!(refused.text().contains("is that of"), "{}", refused.text());
    }
    // What goes or moves in the same set makes room; who brings pieces says so.
    for changes in [
        json!({"messages": [at(1, "new")], "removed": ["m2"]}),
        json!({"messages": [at(0, "new"), at(1, "m1")]}),
        json!({"messages": [at(0, "new"), at(1, "m1"), at(2, "m3")]}),
        json!({"messages": [at(1, "between")], "unsettled": true}),
        json!({"messages": [at(2, "m1"), at(3, "m3")]}),
    ] {
        change(changes).await.expect(200);
    }
    let texts = world.texts(&world.ada, &id).await;
    assert_eq!(texts, ["new", "between", "m1", "m3"]);
}

#[tokio::test]
async fn artifacts_come_before_what_names_them() {
    let world = World::new().await;
    let id = world.chat(&world.ada).await;
    let bytes = b"a picture, let us say".to_vec();
    let digest = Digest::of(&bytes);
    let path = format!("/api/v1/chats/{id}/artifacts/{digest}");
    let changes = json!({"artifacts": [artifact(digest, bytes.len())]});
    let changes_path = format!("/api/v1/chats/{id}/changes");
    world
        .post(&changes_path, &world.ada, changes.clone())
        .await
        .expect_error(409, "missing_artifact");
    world.bare("HEAD", &path, &world.ada).await.expect(404);
    let media_type = "application/octet-stream";
    let other = world
        .raw("PUT", &path, &world.ada, media_type, b"other".to_vec())
        .await;
    other.expect_error(400, "bad_request");
    world
        .raw("PUT", &path, &world.ada, media_type, bytes.clone())
        .await
        .expect(201);
    world
        .raw("PUT", &path, &world.ada, media_type, bytes)
        .await
        .expect(201);
    world.bare("HEAD", &path, &world.ada).await.expect(200);
    // Its size is what it has, not what is said.
    for said in [0, 2, 999_999] {
        let lie = json!({"artifacts": [artifact(digest, said)]});
        let refused = world.post(&changes_path, &world.ada, lie).await;
        refused.expect_error(400, "bad_request");
    }
    world
        .post(&changes_path, &world.ada, changes)
        .await
        .expect(200);
}

#[tokio::test]
async fn a_digest_is_no_right_to_somebody_elses_file() {
    let world = World::new().await;
    let (hers, his) = (world.chat(&world.ada).await, world.chat(&world.bob).await);
    let bytes = b"only hers".to_vec();
    let digest = Digest::of(&bytes);
    let path = format!("/api/v1/chats/{hers}/artifacts/{digest}");
    world
        .raw("PUT", &path, &world.ada, "image/png", bytes.clone())
        .await
        .expect(201);
    let changes = json!({"artifacts": [artifact(digest, bytes.len())]});
    world
        .post(
            &format!("/api/v1/chats/{hers}/changes"),
            &world.ada,
            changes.clone(),
        )
        .await
        .expect(200);
    let stolen = world
        .post(&format!("/api/v1/chats/{his}/changes"), &world.bob, changes)
        .await;
    stolen.expect_error(409, "missing_artifact");
    let path = format!("/api/v1/chats/{his}/artifacts/{digest}");
    world.bare("HEAD", &path, &world.bob).await.expect(404);
}

const TRANSCRIPT: &str = r#"{"messages": [{"role": "user", "content": "Fly it."}, {"role": "assistant", "content": "It flies."}]}"#;

#[tokio::test]
async fn a_transcript_becomes_a_chat() {
    let world = World::new().await;
    let import = "/api/v1/import?name=kite.json&source=here";
    let body = TRANSCRIPT.as_bytes().to_vec();
    let chat = world
        .raw(
            "POST",
            import,
            &world.ada,
            "application/octet-stream",
            body.clone(),
        )
        .await;
    let chat = chat.expect(201).json();
    assert_eq!(chat["messages"], 2);
    assert_eq!(chat["warnings"], json!([]));
    let again = world
        .raw("POST", import, &world.ada, "application/json", body)
        .await
        .expect(200)
        .json();
    assert_eq!((&again["id"], &again["seq"]), (&chat["id"], &chat["seq"]));
    let id = chat["id"].as_str().unwrap();
    assert_eq!(world.texts(&world.ada, id).await, ["Fly it.", "It flies."]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_sees_a_chat_before_what_was_imported_is_in_it() {
    let world = World::new().await;
    let message = |number: usize| json!({"role": "user", "content": format!("Message {number}. ").repeat(40)});
    let transcript = json!({"messages": (0..4_000).map(message).collect::<Vec<_>>()});
    let body = transcript.to_string().into_bytes();
    let path = "/api/v1/import?title=Kites&kept=all";
    let import = world.raw("POST", path, &world.ada, "application/json", body);
    let import = tokio::time::timeout(std::time::Duration::from_secs(60), import);
    let look = async {
        loop {
            let chats = world.get("/api/v1/chats", &world.ada).await.expect(200);
            if let Some(chat) = chats.json().get(0) {
                return chat["messages"].clone();
            }
            tokio::task::yield_now().await;
        }
    };
    let (imported, seen) = tokio::join!(import, look);
    assert_eq!(seen, 4_000);
    let chat = imported.unwrap().expect(201).json();
    assert_eq!(
        (&chat["title"], &chat["messages"]),
        (&json!("Kites"), &json!(4_000))
    );
}

#[tokio::test]
async fn a_form_brings_a_transcript_and_an_import_removes_what_is_gone() {
    let world = World::new().await;
    let id = world.chat(&world.ada).await;
    let form = format!(
        "--x\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhello\r\n--x\r\n\
         Content-Disposition: form-data; name=\"file\"; filename=\"k.json\"\r\n\r\n{TRANSCRIPT}\r\n--x--\r\n"
    );
    let path = format!("/api/v1/chats/{id}/import?title=Flying");
    let media_type = "multipart/form-data; boundary=x";
    let chat = world
        .raw("POST", &path, &world.ada, media_type, form.into_bytes())
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&chat["id"], &chat["title"]),
        (&json!(id), &json!("Flying"))
    );
    assert_eq!(world.texts(&world.ada, &id).await, ["Fly it.", "It flies."]);
    let nothing = world
        .raw("POST", &path, &world.ada, media_type, b"--x--\r\n".to_vec())
        .await;
    nothing.expect_error(400, "bad_request");
}

#[tokio::test]
async fn a_form_without_a_file_is_refused_before_much_of_it_is_read() {
    const SENT_MAX: usize = 64 << 20;
    let world = World::new().await;
    for (begin, what) in [
        ("", "no part"),
        ("--x\r\nX-Y: ", "a head without an end"),
        (
            "--x\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\n",
            "another part",
        ),
    ] {
        let taken = Arc::new(AtomicUsize::new(0));
        let count = taken.clone();
        let mut begin = Some(Bytes::from_static(begin.as_bytes()));
        let piece = Bytes::from(vec![b'a'; 16 << 10]);
        let pieces = std::iter::from_fn(move || {
            let piece = begin.take().unwrap_or_else(|| piece.clone());
            let sent = count.fetch_add(piece.len(), Ordering::Relaxed);
            (sent < SENT_MAX).then_some(Ok::<_, std::io::Error>(piece))
        });
        let body = Body::from_stream(futures_util::stream::iter(pieces));
        let request = World::request("POST", "/api/v1/inspect", &world.ada)
            .header(header::CONTENT_TYPE, "multipart/form-data; boundary=x");
        let answer = world.send(request.body(body).unwrap()).await;
        answer.expect_error(400, "bad_request");
        let taken = taken.load(Ordering::Relaxed);
        assert!(taken < 1 << 20, "{what}: {taken} bytes were read");
    }
}

#[tokio::test]
async fn the_file_of_a_form_may_be_long() {
    let world = World::new().await;
    let text = "kites and wind ".repeat(20_000);
    let transcript = json!([{"role": "user", "content": text}]);
    let form = format!(
        "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"k.json\"\r\n\r\n{transcript}\r\n--x--\r\n"
    );
    let media_type = "multipart/form-data; boundary=x";
    let import = "/api/v1/import";
    let body = form.into_bytes();
    let chat = world
        .raw("POST", import, &world.ada, media_type, body)
        .await;
    assert_eq!(chat.expect(201).json()["messages"], 1);
}

#[tokio::test]
async fn what_was_removed_for_good_is_not_stored_again_by_whoever_brings_it() {
    let world = World::new().await;
    let bytes = b"\x89PNG\r\n\x1a\nbytes of a picture".to_vec();
    let transcript = json!([{"role": "user", "content": [{"type": "image", "source":
        {"type": "base64", "media_type": "image/png", "data": data_encoding::BASE64.encode(&bytes)}}]}]);
    let transcript = transcript.to_string().into_bytes();
    let import = "/api/v1/import?name=kite.json&source=here";
    let media_type = "application/octet-stream";
    let bring = async |path: &str| {
        let body = transcript.clone();
        world.raw("POST", path, &world.ada, media_type, body).await
    };
    let chat = bring(import).await.expect(201).json();
    let chat = format!("/api/v1/chats/{}", chat["id"].as_str().unwrap());
    let digest = Digest::of(&bytes);
    let kept = world.folder.path().join(format!("data/artifacts/{digest}"));
    assert!(kept.exists());
    let path = format!("{chat}/artifacts/{digest}");
    world.delete(&path, &world.ada).await.expect(204);
    assert!(!kept.exists());
    bring(import).await.expect(200);
    assert!(!kept.exists(), "by its source");
    bring(&format!("{chat}/import")).await.expect(200);
    assert!(!kept.exists(), "by its chat");
    world.bare("HEAD", &path, &world.ada).await.expect(200);
    let put = world.raw("PUT", &path, &world.ada, media_type, bytes.clone());
    put.await.expect(201);
    assert!(!kept.exists(), "by its digest");
    let changes = json!({"artifacts": [artifact(digest, bytes.len())]});
    let path = format!("{chat}/changes");
    world.post(&path, &world.ada, changes).await.expect(200);
    assert!(!kept.exists(), "by what names it");
}

#[tokio::test]
async fn what_is_no_transcript_leaves_no_chat() {
    let world = World::new().await;
    for body in [
        "",
        "hello",
        "{}",
        "[]",
        "PK\u{3}\u{4}zzzzzzzz",
        "SQLite format 3\0",
    ] {
        let answer = world
            .raw(
                "POST",
                "/api/v1/import",
                &world.ada,
                "text/plain",
                body.into(),
            )
            .await;
        answer.expect_error(400, "bad_request");
    }
    let query = "/api/v1/import?format=nonsense";
    let answer = world
        .raw("POST", query, &world.ada, "text/plain", TRANSCRIPT.into())
        .await;
    answer.expect_error(400, "bad_request");
    let chats = world
        .get("/api/v1/chats", &world.ada)
        .await
        .expect(200)
        .json();
    assert_eq!(chats, json!([]));
}

#[tokio::test]
async fn files_of_the_machine_are_followed_by_its_owner_only() {
    let world = World::new().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = json!({"path": file.path()});
    let follow = "/api/v1/follow";
    world
        .post(follow, &world.eve, path.clone())
        .await
        .expect_error(403, "forbidden");
    world
        .post(follow, &world.root, json!({"path": "a.jsonl"}))
        .await
        .expect_error(400, "bad_request");
    world
        .post(follow, &world.root, json!({"path": "/no/such/file"}))
        .await
        .expect_error(400, "bad_request");
    world
        .post(follow, &world.root, path.clone())
        .await
        .expect(201);
    let followed = world.get(follow, &world.root).await.expect(200).json();
    assert_eq!(followed.as_array().unwrap().len(), 1);

    // It becomes a chat of the first owner: others neither bring any nor see which there are.
    world
        .post(follow, &world.ada, path.clone())
        .await
        .expect_error(403, "forbidden");
    world
        .get(follow, &world.ada)
        .await
        .expect_error(403, "forbidden");
    let first = world.get("/api/v1/users/me", &world.root).await.json();
    let token = json!({"name": "first", "user": first["id"]});
    let token = world.post("/api/v1/tokens", &world.root, token).await;
    let token = token.expect(201).json()["token"].clone();
    let token = token.as_str().unwrap();
    world.post(follow, token, path).await.expect(201);
    let followed = world.get(follow, token).await.expect(200).json();
    assert_eq!(followed.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn behind_a_proxy_nobody_is_taken_for_one_at_the_machine() {
    let world =
        World::with(|options| options.base_url = Some("https://chats.test".to_owned())).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    world
        .post("/api/v1/follow", &world.ada, json!({"path": file.path()}))
        .await
        .expect_error(403, "forbidden");
    world
        .get("/api/v1/follow", &world.ada)
        .await
        .expect_error(403, "forbidden");
    world.get("/api/v1/follow", &world.root).await.expect(200);
}
