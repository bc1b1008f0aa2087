//! Chats and messages.

use serde_json::{Value, json};

use crate::world::World;

#[tokio::test]
async fn a_source_has_one_chat_an_owner() {
    let world = World::new().await;
    let new = json!({"source": "laptop:/a.jsonl", "head": {"title": "A"}});
    let first = world
        .post("/api/v1/chats", &world.ada, new.clone())
        .await
        .expect(201)
        .json();
    let again = world
        .post("/api/v1/chats", &world.ada, new.clone())
        .await
        .expect(200)
        .json();
    assert_eq!(first["id"], again["id"]);
    let other = world
        .post("/api/v1/chats", &world.bob, new)
        .await
        .expect(201)
        .json();
    assert_ne!(first["id"], other["id"]);
    let found = world
        .get("/api/v1/chats?source=laptop%3A%2Fa.jsonl", &world.ada)
        .await;
    assert_eq!(found.expect(200).json()[0]["id"], first["id"]);
}

#[tokio::test]
async fn a_chat_is_made_listed_renamed_and_deleted() {
    let world = World::new().await;
    let id = world.chat(&world.ada).await;
    let path = format!("/api/v1/chats/{id}");
    let chat = world.get(&path, &world.ada).await.expect(200).json();
    assert_eq!(
        (&chat["title"], &chat["messages"]),
        (&json!("Kites"), &json!(2))
    );
    let chat = world
        .patch(&path, &world.ada, json!({"title": "  Strings "}))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&chat["title"], &chat["name"]),
        (&json!("Strings"), &json!("Strings"))
    );
    let listed = world
        .get("/api/v1/chats?filter=STRING", &world.ada)
        .await
        .expect(200)
        .json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    let listed = world
        .get("/api/v1/chats?filter=kites", &world.ada)
        .await
        .expect(200)
        .json();
    assert_eq!(listed, json!([]));
    let count = world
        .get("/api/v1/chats/count", &world.ada)
        .await
        .expect(200)
        .json();
    assert_eq!(count, json!({"count": 1}));
    world.delete(&path, &world.ada).await.expect(204);
    world
        .get(&path, &world.ada)
        .await
        .expect_error(404, "not_found");
    world
        .delete(&path, &world.ada)
        .await
        .expect_error(404, "not_found");
}

#[tokio::test]
async fn a_name_has_something_to_see() {
    let world = World::new().await;
    let chat = world.chat(&world.ada).await;
    let share = world.share(&world.ada, &chat, "live", "public").await;
    let unseen = "\u{200b}\u{feff} \u{2060}";
    let new = json!({"chat": chat, "updates": "live", "visibility": "public", "name": unseen});
    for (method, path, body, what) in [
        ("POST", "chats", json!({"title": unseen}), "title"),
        (
            "PATCH",
            &format!("chats/{chat}"),
            json!({"title": unseen}),
            "title",
        ),
        ("POST", "shares", new, "name"),
        (
            "PATCH",
            &format!("shares/{share}"),
            json!({"name": unseen}),
            "name",
        ),
    ] {
        let path = format!("/api/v1/{path}");
        let refused = world.json(method, &path, &world.ada, body).await;
        let refused = refused.expect_error(400, "bad_request").json();
        let told = format!("the {what} has 1 to 1000 bytes, with something to see in it");
        assert_eq!(refused["message"], told, "{path}");
    }
    let source = json!({"source": "a", "head": {"title": unseen}});
    let made = world.post("/api/v1/chats", &world.ada, source).await;
    assert_eq!(made.expect(201).json()["title"], "Untitled chat");
}

#[tokio::test]
async fn lists_are_paged_within_a_limit() {
    let world = World::new().await;
    for number in 0..5 {
        let new = json!({"title": format!("chat {number}")});
        world
            .post("/api/v1/chats", &world.ada, new)
            .await
            .expect(201);
    }
    let page = world
        .get("/api/v1/chats?offset=1&limit=2", &world.ada)
        .await
        .expect(200)
        .json();
    assert_eq!(page.as_array().unwrap().len(), 2);
    for query in [
        "limit=1001",
        "sort=odd",
        "limit=-1",
        "offset=x",
        "offset=99999999999",
        "colour=red",
    ] {
        let path = format!("/api/v1/chats?{query}");
        world
            .get(&path, &world.ada)
            .await
            .expect_error(400, "bad_request");
    }
}

#[tokio::test]
async fn lists_are_sorted() {
    let world = World::new().await;
    for title in ["beta", "Alpha", "gamma"] {
        world
            .post("/api/v1/chats", &world.ada, json!({ "title": title }))
            .await
            .expect(201);
    }
    for (query, expected) in [
        ("", ["gamma", "Alpha", "beta"]),
        ("?sort=updated", ["gamma", "Alpha", "beta"]),
        ("?sort=created", ["gamma", "Alpha", "beta"]),
        ("?sort=title", ["Alpha", "beta", "gamma"]),
    ] {
        let path = format!("/api/v1/chats{query}");
        let list = world.get(&path, &world.ada).await.expect(200).json();
        let titles: Vec<&str> = list
            .as_array()
            .unwrap()
            .iter()
            .map(|chat| chat["title"].as_str().unwrap())
            .collect();
        assert_eq!(titles, expected, "{query}");
    }
}

#[tokio::test]
async fn the_same_messages_again_change_nothing() {
    let world = World::new().await;
    let id = world.chat(&world.ada).await;
    let path = format!("/api/v1/chats/{id}/messages");
    let message = json!({"id": "m3", "role": "user", "text": "Which tree?"});
    let first = world
        .post(&path, &world.ada, message.clone())
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&first["ids"], &first["messages"]),
        (&json!(["m3"]), &json!(3))
    );
    let again = world
        .post(&path, &world.ada, json!([message]))
        .await
        .expect(200)
        .json();
    assert_eq!(first["seq"], again["seq"]);
    let grown = json!({"id": "m3", "role": "user", "text": "Which tree? The oak?"});
    let grown = world
        .post(&path, &world.ada, grown)
        .await
        .expect(200)
        .json();
    assert!(grown["seq"].as_u64() > first["seq"].as_u64());
    let texts = world.texts(&world.ada, &id).await;
    assert_eq!(
        texts,
        ["Where is the kite?", "In the tree.", "Which tree? The oak?"]
    );
}

#[tokio::test]
async fn messages_follow_each_other_where_nothing_else_is_said() {
    let world = World::new().await;
    let id = world.chat(&world.ada).await;
    let path = format!("/api/v1/chats/{id}/messages");
    let long = json!({"id": "a/b c%", "role": "assistant", "parts": [
        {"tool_call": {"call_id": "c", "name": "look", "input": {"z": 1, "a": [1.50, "\u{e9}"]}}},
    ]});
    let branch = json!({"id": "m4", "role": "user", "text": "?", "parent": "m1"});
    world
        .post(&path, &world.ada, json!([long, branch]))
        .await
        .expect(200);
    let path = format!("/api/v1/chats/{id}/messages/a%2Fb%20c%25");
    let message = world.get(&path, &world.ada).await.expect(200);
    assert!(
        message.text().contains(r#""input":{"z":1,"a":[1.5,"é"]}"#),
        "{}",
        message.text()
    );
    assert_eq!(message.json()["parent"], "m2");
    let message = world
        .get(&format!("/api/v1/chats/{id}/messages/m4"), &world.ada)
        .await;
    assert_eq!(message.expect(200).json()["parent"], "m1");
    let first = world
        .get(&format!("/api/v1/chats/{id}/messages/m1"), &world.ada)
        .await;
    assert_eq!(first.expect(200).json()["parent"], Value::Null);
}

#[tokio::test]
async fn what_a_system_message_says_is_for_readers_only_where_the_sender_says_so() {
    let world = World::new().await;
    let id = world.chat(&world.ada).await;
    let parts = |text: &str| json!([{"text": {"markdown": text}}]);
    let messages = json!([
        {"id": "s1", "role": "system", "text": "CANARY-SHORT"},
        {"id": "s2", "role": "system", "parts": parts("CANARY-LONG")},
        {"id": "s3", "role": "system", "parts": parts("Known to all"), "visibility": "shown"},
    ]);
    let path = format!("/api/v1/chats/{id}/messages");
    world.post(&path, &world.ada, messages).await.expect(200);
    for updates in ["live", "frozen"] {
        let share = json!({"chat": id, "updates": updates, "visibility": "public"});
        let share = world.post("/api/v1/shares", &world.ada, share).await;
        let share = share.expect(201).json()["relative_path"].clone();
        let share = share.as_str().unwrap();
        for file in ["", "chat.json", "chat.md"] {
            let page = world.get(&format!("{share}/{file}"), "").await.expect(200);
            let text = page.text();
            assert!(!text.contains("CANARY"), "{updates} {file}: {text}");
            assert!(text.contains("Known to all"), "{updates} {file}: {text}");
        }
    }
}

#[tokio::test]
async fn a_message_is_named_in_the_query_where_a_path_cannot_carry_its_id() {
    let world = World::new().await;
    let id = world.chat(&world.ada).await;
    let path = format!("/api/v1/chats/{id}/messages");
    for (name, named) in [("..", ".."), ("../../x", "..%2F..%2Fx"), ("a&b", "a%26b")] {
        let message = json!({"id": name, "role": "user", "text": "Hi"});
        world.post(&path, &world.ada, message).await.expect(200);
        let one = format!("{path}?id={named}");
        let hide = json!({"hidden": true});
        world
            .patch(&one, &world.bob, hide.clone())
            .await
            .expect(404);
        world.patch(&one, &world.ada, hide).await.expect(204);
        world.delete(&one, &world.ada).await.expect(204);
        let left = world.get(&path, &world.ada).await.expect(200).json();
        assert!(!left.to_string().contains(name), "{left}");
    }
    world.delete(&path, &world.ada).await.expect(400);
    let all = json!({"hidden": true});
    world.patch(&path, &world.ada, all).await.expect(400);
}

#[tokio::test]
async fn a_batch_is_taken_whole_or_not_at_all() {
    let world = World::new().await;
    let id = world.chat(&world.ada).await;
    let path = format!("/api/v1/chats/{id}/messages");
    let good = json!({"id": "m3", "role": "user", "text": "good"});
    for bad in [
        json!({"id": "m4", "role": "king", "text": "x"}),
        json!({"id": "", "role": "user", "text": "x"}),
        json!({"id": "x".repeat(513), "role": "user", "text": "x"}),
        json!({"id": "m4", "role": "user"}),
        json!({"id": "m4", "role": "user", "text": "x", "colour": "red"}),
        json!({"id": "m4", "role": "user", "parts": [{"nonsense": {}}]}),
        json!({"id": 4, "role": "user", "text": "x"}),
        json!(null),
        json!("text"),
        json!([]),
    ] {
        let batch = json!([good, bad]);
        let answer = world
            .post(&path, &world.ada, batch)
            .await
            .expect_error(400, "bad_request");
        assert!(answer.text().contains("message 1"), "{}", answer.text());
    }
    let many: Vec<Value> = (0..10_001).map(|_| good.clone()).collect();
    world
        .post(&path, &world.ada, json!(many))
        .await
        .expect_error(400, "bad_request");
    assert_eq!(world.texts(&world.ada, &id).await.len(), 2);
    world.post(&path, &world.ada, json!([])).await.expect(200);
}

#[tokio::test]
async fn the_last_of_one_id_in_a_batch_counts() {
    let world = World::new().await;
    let id = world.chat(&world.ada).await;
    let batch = json!([
        {"id": "m3", "role": "user", "text": "one"},
        {"id": "m4", "role": "user", "text": "two"},
        {"id": "m3", "role": "user", "text": "three"},
    ]);
    let path = format!("/api/v1/chats/{id}/messages");
    world.post(&path, &world.ada, batch).await.expect(200);
    assert_eq!(world.texts(&world.ada, &id).await[2..], ["three", "two"]);
}

#[tokio::test]
async fn messages_that_come_at_once_all_have_their_places() {
    let world = World::new().await;
    let id = world.chat(&world.ada).await;
    let path = format!("/api/v1/chats/{id}/messages");
    let send = async |number: u32| {
        let message =
            json!({"id": format!("n{number}"), "role": "user", "text": number.to_string()});
        world.post(&path, &world.ada, message).await.expect(200);
    };
    let mut all = Vec::new();
    for number in 0..30 {
        all.push(send(number));
    }
    futures_util::future::join_all(all).await;
    let path = format!("{path}?limit=1000");
    let messages = world.get(&path, &world.ada).await.expect(200).json();
    let places: Vec<u64> = messages
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["place"].as_u64().unwrap())
        .collect();
    assert_eq!(places, (0..32).collect::<Vec<u64>>());
}

#[tokio::test]
async fn messages_are_read_from_a_place_on() {
    let world = World::new().await;
    let id = world.chat(&world.ada).await;
    let path = format!("/api/v1/chats/{id}/messages?from=1&limit=1");
    let messages = world.get(&path, &world.ada).await.expect(200).json();
    assert_eq!(messages.as_array().unwrap().len(), 1);
    assert_eq!(messages[0]["message"]["id"], "m2");
    let path = format!("/api/v1/chats/{id}/messages?from=4294967295&limit=1000");
    assert_eq!(
        world.get(&path, &world.ada).await.expect(200).json(),
        json!([])
    );
}

#[tokio::test]
async fn a_list_of_long_messages_ends_early_and_says_where_it_goes_on() {
    let world = World::new().await;
    let chat = world.chat(&world.ada).await;
    let path = format!("/api/v1/chats/{chat}/messages");
    for number in 0..8 {
        let text = format!("{number} {}", "long ".repeat(200_000));
        let message = json!({"id": format!("long {number}"), "role": "user", "text": text});
        world.post(&path, &world.ada, message).await.expect(200);
    }
    let mut from = Some("0".to_owned());
    let mut ids = Vec::new();
    let mut answers = 0;
    while let Some(place) = from {
        let asked = format!("{path}?limit=1000&from={place}");
        let answer = world.get(&asked, &world.ada).await.expect(200);
        assert!(answer.body.len() < 6 << 20, "{}", answer.body.len());
        let entries = answer.json();
        let entries = entries.as_array().unwrap();
        ids.extend(entries.iter().map(|entry| entry["message"]["id"].clone()));
        let next = answer.headers.get("x-next");
        from = next.map(|next| next.to_str().unwrap().to_owned());
        answers += 1;
    }
    assert_eq!((ids.len(), answers), (10, 2), "{ids:?}");
    let first = world.get(&format!("{path}?limit=1"), &world.ada).await;
    assert_eq!(first.headers["x-next"], "1");
    let last = world.get(&format!("{path}?from=9"), &world.ada).await;
    assert!(!last.headers.contains_key("x-next"));
}

#[tokio::test]
async fn what_the_owner_changes_outlasts_the_source() {
    let world = World::new().await;
    let id = world.chat(&world.ada).await;
    let path = |message: &str| format!("/api/v1/chats/{id}/messages/{message}");
    world
        .patch(&path("m1"), &world.ada, json!({"text": "Where?"}))
        .await
        .expect(204);
    world
        .patch(&path("m2"), &world.ada, json!({"hidden": true}))
        .await
        .expect(204);
    let messages = format!("/api/v1/chats/{id}/messages");
    let from_source = json!([
        {"id": "m1", "role": "user", "text": "Where is the kite now?"},
        {"id": "m2", "role": "assistant", "text": "Still in the tree."},
    ]);
    world
        .post(&messages, &world.ada, from_source.clone())
        .await
        .expect(200);
    let listed = world.get(&messages, &world.ada).await.expect(200).json();
    assert_eq!(
        listed[0]["message"]["parts"][0]["text"]["markdown"],
        "Where?"
    );
    assert_eq!(
        (&listed[0]["edited"], &listed[1]["hidden"]),
        (&json!(true), &json!(true))
    );
    let source = world.get(&path("m1"), &world.ada).await.expect(200).json();
    assert_eq!(
        source["parts"][0]["text"]["markdown"],
        "Where is the kite now?"
    );
    world
        .patch(
            &path("m2"),
            &world.ada,
            json!({"hidden": false, "text": "Down."}),
        )
        .await
        .expect(204);
    world.delete(&path("m1"), &world.ada).await.expect(204);
    world
        .post(&messages, &world.ada, from_source)
        .await
        .expect(200);
    world
        .get(&path("m1"), &world.ada)
        .await
        .expect_error(404, "not_found");
    assert_eq!(world.texts(&world.ada, &id).await, ["Down."]);
    for wrong in [
        json!({}),
        json!({"text": "a", "parts": []}),
        json!({"hidden": 1}),
        json!({"role": "user"}),
    ] {
        world
            .patch(&path("m2"), &world.ada, wrong)
            .await
            .expect_error(400, "bad_request");
    }
    world
        .patch(&path("m9"), &world.ada, json!({"hidden": true}))
        .await
        .expect_error(404, "not_found");
    world
        .get(&path("m9"), &world.ada)
        .await
        .expect_error(404, "not_found");
}
