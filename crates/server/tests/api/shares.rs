//! Shares, and that nobody meets what is not theirs.

use axum::{
    body::Body,
    http::{Request, header},
};
use serde_json::{Value, json};

use crate::world::{Answer, World};

#[tokio::test]
async fn a_share_is_made_listed_changed_and_deleted() {
    let world = World::new().await;
    let chat = world.chat(&world.ada).await;
    let id = world.share(&world.ada, &chat, "live", "public").await;
    let path = format!("/api/v1/shares/{id}");
    let share = world.get(&path, &world.ada).await.expect(200).json();
    assert_eq!(share["relative_path"], format!("/s/{id}"));
    assert!(
        share["url"]
            .as_str()
            .unwrap()
            .ends_with(&format!("/s/{id}")),
        "{share}"
    );
    assert_eq!(
        (&share["chat_title"], &share["readers"]),
        (&json!("Kites"), &json!(0))
    );
    assert_eq!(
        (&share["name"], &share["expires_at"]),
        (&Value::Null, &Value::Null)
    );
    let change = json!({"visibility": "private", "artifacts": true, "name": "Sky", "expires_at": "2999-01-01T00:00:00Z"});
    let share = world
        .patch(&path, &world.ada, change)
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&share["visibility"], &share["artifacts"]),
        (&json!("private"), &json!(true))
    );
    assert_eq!(
        (&share["name"], &share["expires_at"]),
        (&json!("Sky"), &json!("2999-01-01T00:00:00.000Z"))
    );
    let share = world
        .patch(&path, &world.ada, json!({"name": null, "expires_at": null}))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&share["name"], &share["expires_at"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(share["visibility"], "private");
    let other = world.chat(&world.ada).await;
    for (query, found) in [
        ("", 1),
        ("?filter=kite", 1),
        ("?filter=sky", 0),
        ("?visibility=public", 0),
        ("?visibility=private&updates=live", 1),
        ("?updates=frozen", 0),
        (&format!("?chat={chat}"), 1),
        (&format!("?chat={other}"), 0),
        (&format!("?chat={chat}&updates=frozen"), 0),
        (&format!("?chat={chat}&visibility=public"), 0),
        (&format!("?chat={chat}&filter=sky"), 0),
        (
            &format!("?chat={chat}&updates=live&visibility=private&filter=kite&sort=name"),
            1,
        ),
        ("?offset=1", 0),
    ] {
        let list = world
            .get(&format!("/api/v1/shares{query}"), &world.ada)
            .await
            .expect(200)
            .json();
        assert_eq!(list.as_array().unwrap().len(), found, "{query}");
    }
    world.delete(&path, &world.ada).await.expect(204);
    world
        .get(&path, &world.ada)
        .await
        .expect_error(404, "not_found");
    world.get(&format!("/s/{id}/"), "").await.expect(404);
}

#[tokio::test]
async fn what_matters_has_to_be_said() {
    let world = World::new().await;
    let chat = world.chat(&world.ada).await;
    for wrong in [
        json!({"chat": chat}),
        json!({"chat": chat, "updates": "live"}),
        json!({"chat": chat, "visibility": "public"}),
        json!({"chat": chat, "updates": "sometimes", "visibility": "public"}),
        json!({"chat": chat, "updates": "live", "visibility": "public", "private": true}),
        json!({"chat": chat, "updates": "live", "visibility": "public", "artifacts": 1}),
        json!({"chat": chat, "updates": "live", "visibility": "public", "expires_at": "2001-01-01T00:00:00Z"}),
        json!({"chat": chat, "updates": "live", "visibility": "public", "expires_at": "soon"}),
        json!({"chat": chat, "updates": "live", "visibility": "public", "name": ""}),
        json!({"chat": chat, "updates": "live", "visibility": "public", "name": "x".repeat(1001)}),
    ] {
        world
            .post("/api/v1/shares", &world.ada, wrong)
            .await
            .expect_error(400, "bad_request");
    }
}

/// What the public sees of a share, as the compatible route tells it.
async fn seen(world: &World, share: &str) -> Vec<String> {
    let detail = world
        .get(&format!("/api/v1/shared_chats/{share}"), "")
        .await
        .expect(200)
        .json();
    let messages = detail["messages"].as_array().unwrap();
    messages
        .iter()
        .map(|message| message["content"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_frozen_share_stays_until_it_is_refreshed() {
    let world = World::new().await;
    let chat = world.chat(&world.ada).await;
    let frozen = world.share(&world.ada, &chat, "frozen", "public").await;
    let live = world.share(&world.ada, &chat, "live", "public").await;
    let say = async |id: &str, text: &str| {
        let message = json!({"id": id, "role": "user", "text": text});
        let path = format!("/api/v1/chats/{chat}/messages");
        world.post(&path, &world.ada, message).await.expect(200);
    };
    say("m3", "third").await;
    assert_eq!(seen(&world, &frozen).await.len(), 2);
    assert_eq!(seen(&world, &live).await.len(), 3);
    let path = format!("/api/v1/shares/{frozen}");
    world
        .patch(&path, &world.ada, json!({"refresh": true}))
        .await
        .expect(200);
    say("m4", "fourth").await;
    assert_eq!(seen(&world, &frozen).await.len(), 3);
    let live_path = format!("/api/v1/shares/{live}");
    let refused = world
        .patch(&live_path, &world.ada, json!({"refresh": true}))
        .await;
    refused.expect_error(400, "bad_request");
    world
        .patch(&live_path, &world.ada, json!({"updates": "frozen"}))
        .await
        .expect(200);
    world
        .patch(&path, &world.ada, json!({"updates": "live"}))
        .await
        .expect(200);
    say("m5", "fifth").await;
    assert_eq!(seen(&world, &live).await.len(), 4);
    assert_eq!(seen(&world, &frozen).await.len(), 5);
    let edit = json!({"text": "THIRD"});
    world
        .patch(
            &format!("/api/v1/chats/{chat}/messages/m3"),
            &world.ada,
            edit,
        )
        .await
        .expect(204);
    assert_eq!(seen(&world, &live).await[2], "THIRD");
}

#[tokio::test]
async fn several_are_deleted_or_none() {
    let world = World::new().await;
    let chat = world.chat(&world.ada).await;
    let one = world.share(&world.ada, &chat, "live", "public").await;
    let two = world.share(&world.ada, &chat, "live", "public").await;
    let his = world.chat(&world.bob).await;
    let his = world.share(&world.bob, &his, "live", "public").await;
    for foreign in [his.as_str(), "00000000000000000000000000000000", "x"] {
        let ids = json!({"ids": [one, foreign, two]});
        world
            .json("DELETE", "/api/v1/shares", &world.ada, ids)
            .await
            .expect_error(404, "not_found");
        world
            .get(&format!("/api/v1/shares/{one}"), &world.ada)
            .await
            .expect(200);
    }
    let ids = json!({"ids": [one, two, one]});
    world
        .json("DELETE", "/api/v1/shares", &world.ada, ids)
        .await
        .expect(204);
    world
        .get(&format!("/api/v1/shares/{two}"), &world.ada)
        .await
        .expect(404);
    world
        .get(&format!("/api/v1/shares/{his}"), &world.bob)
        .await
        .expect(200);
}

#[tokio::test]
async fn deleting_a_chat_deletes_its_shares() {
    let world = World::new().await;
    let chat = world.chat(&world.ada).await;
    let share = world.share(&world.ada, &chat, "frozen", "public").await;
    world
        .delete(&format!("/api/v1/chats/{chat}"), &world.ada)
        .await
        .expect(204);
    world
        .get(&format!("/api/v1/shares/{share}"), &world.ada)
        .await
        .expect(404);
    world
        .get(&format!("/api/v1/shared_chats/{share}"), "")
        .await
        .expect(404);
}

/// Requests that name a chat, a share or something of theirs.
fn requests(chat: &str, share: &str) -> Vec<(&'static str, String, Value)> {
    let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let message = json!({"id": "m1", "role": "user", "text": "mine now"});
    let new = json!({"chat": chat, "updates": "live", "visibility": "public"});
    let chat = format!("/api/v1/chats/{chat}");
    let share_path = format!("/api/v1/shares/{share}");
    vec![
        ("GET", chat.clone(), Value::Null),
        ("PATCH", chat.clone(), json!({"title": "x"})),
        ("GET", format!("{chat}/messages"), Value::Null),
        ("POST", format!("{chat}/messages"), message),
        (
            "POST",
            format!("{chat}/changes"),
            json!({"head": {"title": "x"}}),
        ),
        ("GET", format!("{chat}/index"), Value::Null),
        ("GET", format!("{chat}/messages/m1"), Value::Null),
        (
            "PATCH",
            format!("{chat}/messages/m1"),
            json!({"hidden": true}),
        ),
        ("PATCH", format!("{chat}/messages/m1"), json!({"text": "x"})),
        ("DELETE", format!("{chat}/messages/m1"), Value::Null),
        ("PUT", format!("{chat}/artifacts/{sha256}"), Value::Null),
        (
            "POST",
            format!("{chat}/import"),
            json!([{"role": "user", "content": "x"}]),
        ),
        ("POST", "/api/v1/shares".to_owned(), new),
        ("GET", share_path.clone(), Value::Null),
        (
            "PATCH",
            share_path.clone(),
            json!({"visibility": "private"}),
        ),
        ("PATCH", share_path.clone(), json!({"refresh": true})),
        (
            "DELETE",
            "/api/v1/shares".to_owned(),
            json!({"ids": [share]}),
        ),
        ("DELETE", share_path, Value::Null),
        ("DELETE", chat, Value::Null),
    ]
}

async fn ask(world: &World, token: &str, request: &(&str, String, Value)) -> Answer {
    let (method, path, body) = request;
    match body {
        Value::Null => world.bare(method, path, token).await,
        body => world.json(method, path, token, body.clone()).await,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_share_is_refreshed_however_quickly_its_chat_changes() {
    let world = World::new().await;
    let chat = world.chat(&world.ada).await;
    let share = world.share(&world.ada, &chat, "frozen", "public").await;
    let is_done = std::cell::Cell::new(false);
    let say = async |id: &str| {
        let path = format!("/api/v1/chats/{chat}/messages");
        let mut number = 0;
        while !is_done.get() {
            number += 1;
            let message = json!({"id": id, "role": "user", "text": format!("Text {number}")});
            world.post(&path, &world.ada, message).await.expect(200);
        }
    };
    let refresh = async {
        let path = format!("/api/v1/shares/{share}");
        for _ in 0..20 {
            let refreshed = world.patch(&path, &world.ada, json!({"refresh": true}));
            refreshed.await.expect(200);
        }
        is_done.set(true);
    };
    tokio::join!(say("m1"), say("m2"), say("m3"), refresh);
    world
        .post(
            &format!("/api/v1/chats/{chat}/messages"),
            &world.ada,
            json!({"id": "m2", "role": "user", "text": "At last"}),
        )
        .await
        .expect(200);
    let path = format!("/api/v1/shares/{share}");
    let refreshed = world.patch(&path, &world.ada, json!({"refresh": true}));
    refreshed.await.expect(200);
    assert!(seen(&world, &share).await.contains(&"At last".to_owned()));
}

#[tokio::test]
async fn what_is_somebody_elses_is_answered_as_what_never_was() {
    let world = World::new().await;
    let chat = world.chat(&world.ada).await;
    let share = world.share(&world.ada, &chat, "frozen", "private").await;
    let never = "0123456789abcdef0123456789abcdef";
    for (hers, nothing) in requests(&chat, &share).iter().zip(requests(never, never)) {
        let (method, path, _) = hers;
        let his_answer = ask(&world, &world.bob, hers)
            .await
            .expect_error(404, "not_found");
        let nothing_answer = ask(&world, &world.bob, &nothing)
            .await
            .expect_error(404, "not_found");
        assert_eq!(his_answer.text(), nothing_answer.text(), "{method} {path}");
        let names = |answer: &Answer| {
            let mut names: Vec<String> = answer.headers.keys().map(ToString::to_string).collect();
            names.sort();
            names
        };
        assert_eq!(
            names(&his_answer),
            names(&nothing_answer),
            "{method} {path}"
        );
    }
    // Nothing of it happened.
    assert_eq!(
        world.texts(&world.ada, &chat).await,
        ["Where is the kite?", "In the tree."]
    );
    let share = world
        .get(&format!("/api/v1/shares/{share}"), &world.ada)
        .await
        .expect(200)
        .json();
    assert_eq!(share["visibility"], "private");
}

#[tokio::test]
async fn every_request_needs_somebody_who_may() {
    let world = World::new().await;
    let chat = world.chat(&world.ada).await;
    let share = world.share(&world.ada, &chat, "live", "public").await;
    let mut all = requests(&chat, &share);
    for (method, path, body) in [
        ("GET", "/api/v1/chats", Value::Null),
        ("GET", "/api/v1/chats/count", Value::Null),
        ("POST", "/api/v1/chats", json!({})),
        (
            "POST",
            "/api/v1/import",
            json!([{"role": "user", "content": "x"}]),
        ),
        ("GET", "/api/v1/shares", Value::Null),
        ("GET", "/api/v1/users", Value::Null),
        (
            "POST",
            "/api/v1/users",
            json!({"name": "x", "role": "owner"}),
        ),
        ("DELETE", "/api/v1/users/1", Value::Null),
        ("POST", "/api/v1/users/1/signin_link", Value::Null),
        ("POST", "/api/v1/legacy_links", Value::Null),
        ("GET", "/api/v1/follow", Value::Null),
        (
            "POST",
            "/api/v1/shared_chats",
            json!({"chat_session_id": chat}),
        ),
        (
            "POST",
            "/api/v1/shared_chats/batch_delete",
            json!({"shared_chat_ids": [share]}),
        ),
    ] {
        all.push((method, path.to_owned(), body));
    }
    for id in [&share, "old"] {
        let path = format!("/api/v1/shared_chats/{id}");
        all.push(("PATCH", path.clone(), json!({})));
        all.push(("DELETE", path, Value::Null));
    }
    for request in &all {
        for nobody in ["", "wrong", "readalong_AAAA"] {
            let answer = ask(&world, nobody, request)
                .await
                .expect_error(401, "unauthorized");
            assert!(
                answer
                    .header(axum::http::header::WWW_AUTHENTICATE)
                    .starts_with("Bearer")
            );
        }
        ask(&world, &world.eve, request)
            .await
            .expect_error(403, "forbidden");
    }
    assert_eq!(world.texts(&world.ada, &chat).await.len(), 2);
    // A wrong token is told also where none is needed.
    world
        .get(&format!("/api/v1/shared_chats/{share}"), "wrong")
        .await
        .expect_error(401, "unauthorized");
    world
        .get(&format!("/api/v1/shared_chats/{share}"), "")
        .await
        .expect(200);
}

/// What a request calls the server is whatever its sender likes, and the link's picture is drawn of it.
#[tokio::test]
async fn pictures_of_links_are_drawn_for_hosts_only() {
    let world = World::new().await;
    let chat = world.chat(&world.ada).await;
    let share = world.share(&world.ada, &chat, "frozen", "public").await;
    let path = format!("/s/{share}/qr.svg");
    let drawn = async |host: &str| {
        let request = Request::get(&path).header(header::HOST, host);
        let answer = world.send(request.body(Body::empty()).unwrap()).await;
        answer.expect(200).text()
    };
    let without = world.send(Request::get(&path).body(Body::empty()).unwrap());
    let without = without.await.expect(200).text();
    assert!(drawn("chats.test:4141").await != without);
    for host in ["a".repeat(2_200).as_str(), "a b", "x/y"] {
        assert!(drawn(host).await == without, "{host}");
    }
}
