//! The contract of h2oGPTe, status by status. The stock client meets the real program in tests/h2ogpte.

use axum::{body::Body, http::header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::world::World;

const NEVER: &str = "0123456789abcdef0123456789abcdef";

async fn shared(world: &World, token: &str, body: Value) -> String {
    let shared = world
        .post("/api/v1/shared_chats", token, body)
        .await
        .expect(201)
        .json();
    let path = shared["relative_path"].as_str().unwrap();
    assert!(shared["url"].as_str().unwrap().ends_with(path));
    path.rsplit('/').next().unwrap().to_owned()
}

#[tokio::test]
async fn meta_has_all_that_the_client_wants() {
    let world = World::new().await;
    let request =
        World::request("GET", "/rpc/meta", &world.ada).header("x-client-version", "9.8.7");
    let meta = world
        .send(request.body(axum::body::Body::empty()).unwrap())
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&meta["version"], &meta["username"]),
        (&json!("9.8.7"), &json!("ada"))
    );
    for key in [
        "version",
        "build",
        "username",
        "user_id",
        "subject",
        "email",
        "license_expiry_date",
        "is_guest",
        "license_expired",
        "global_configs",
        "user_configs",
        "picture",
        "groups",
        "workspaces",
        "permissions",
        "ui_config",
    ] {
        assert!(meta.get(key).is_some(), "{key}");
    }
    assert_eq!(meta["ui_config"].as_object().unwrap().len(), 11);
    assert_eq!(
        world.get("/rpc/meta", &world.ada).await.json()["version"],
        "1.7.5"
    );
    assert_eq!(
        world.get("/rpc/meta", &world.eve).await.expect(200).json()["username"],
        "eve"
    );
    world
        .get("/rpc/meta", "")
        .await
        .expect_error(401, "unauthorized");
    world
        .get("/rpc/nothing", &world.ada)
        .await
        .expect_error(404, "not_found");
}

#[tokio::test]
async fn a_shared_chat_is_public_and_frozen_where_nothing_else_is_said() {
    let world = World::new().await;
    let chat = world.chat(&world.ada).await;
    let id = shared(&world, &world.ada, json!({"chat_session_id": chat})).await;
    let list = world
        .get("/api/v1/shared_chats", &world.ada)
        .await
        .expect(200)
        .json();
    assert_eq!(list.as_array().unwrap().len(), 1);
    let info = &list[0];
    assert_eq!(
        (&info["id"], &info["chat_session_id"]),
        (&json!(id), &json!(chat))
    );
    assert_eq!(
        (&info["is_private"], &info["is_frozen"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(
        (&info["includes_artifacts"], &info["name"]),
        (&json!(false), &json!("Kites"))
    );
    assert!(info["created_at"].is_string() && info["showcase_id"].is_null());
}

#[tokio::test]
async fn lists_are_filtered() {
    let world = World::new().await;
    let chat = world.chat(&world.ada).await;
    for (is_private, is_frozen) in [(false, false), (false, true), (true, false), (true, true)] {
        let body = json!({"chat_session_id": chat, "is_private": is_private, "is_frozen": is_frozen, "includes_artifacts": is_private});
        shared(&world, &world.ada, body).await;
    }
    for (query, found) in [
        ("", 4),
        ("?filter_type=all", 4),
        ("?filter_type=private", 2),
        ("?filter_type=public", 2),
        ("?filter_type=frozen", 2),
        ("?filter_type=active", 2),
        ("?showcase_filter=featured", 0),
        ("?showcase_filter=not_featured", 4),
        ("?name_filter=KITE", 4),
        ("?name_filter=%25", 0),
        ("?name_filter=none", 0),
        ("?offset=3&limit=100", 1),
        ("?offset=1&limit=2", 2),
        ("?limit=0", 0),
        ("?limit=10000", 4),
        ("?unknown=1", 4),
    ] {
        let list = world
            .get(&format!("/api/v1/shared_chats{query}"), &world.ada)
            .await
            .expect(200)
            .json();
        assert_eq!(list.as_array().unwrap().len(), found, "{query}");
    }
    for query in [
        "filter_type=odd",
        "showcase_filter=odd",
        "offset=-1",
        "limit=x",
        "limit=10001",
    ] {
        let path = format!("/api/v1/shared_chats?{query}");
        world
            .get(&path, &world.ada)
            .await
            .expect_error(400, "bad_request");
    }
    let none = world
        .get("/api/v1/shared_chats", &world.eve)
        .await
        .expect(200)
        .json();
    assert_eq!(none, json!([]));
    world
        .get("/api/v1/shared_chats", "")
        .await
        .expect_error(401, "unauthorized");
}

#[tokio::test]
async fn types_are_strict() {
    let world = World::new().await;
    let chat = world.chat(&world.ada).await;
    for body in [
        json!({}),
        json!({"chat_session_id": 7}),
        json!({"chat_session_id": chat, "is_private": 1}),
        json!({"chat_session_id": chat, "is_frozen": "yes"}),
        json!({"chat_session_id": chat, "includes_artifacts": null}),
        json!([]),
    ] {
        world
            .post("/api/v1/shared_chats", &world.ada, body)
            .await
            .expect_error(400, "bad_request");
    }
    for id in ["", "x", "../../etc", &"A".repeat(32)] {
        let body = json!({"chat_session_id": id});
        let answer = world.post("/api/v1/shared_chats", &world.ada, body).await;
        answer.expect_error(400, "bad_request");
    }
    let ask = async |id: &str| {
        let body = json!({"chat_session_id": id});
        let answer = world.post("/api/v1/shared_chats", &world.bob, body).await;
        answer.expect_error(403, "forbidden").text()
    };
    assert_eq!(ask(&chat).await, ask(NEVER).await);
}

#[tokio::test]
async fn public_ones_are_for_everybody_and_private_ones_for_who_is_signed_in() {
    let world = World::new().await;
    let chat = world.chat(&world.ada).await;
    let hidden = json!({"id": "s", "role": "system", "visibility": "hidden", "parts": [{"text": {"markdown": "secret"}}]});
    world
        .post(
            &format!("/api/v1/chats/{chat}/messages"),
            &world.ada,
            hidden,
        )
        .await
        .expect(200);
    let public = shared(&world, &world.ada, json!({"chat_session_id": chat})).await;
    let private = shared(
        &world,
        &world.ada,
        json!({"chat_session_id": chat, "is_private": true, "is_frozen": false}),
    )
    .await;
    let path = |id: &str| format!("/api/v1/shared_chats/{id}");
    let detail = world.get(&path(&public), "").await.expect(200);
    assert!(
        !detail.text().contains("secret") && !detail.text().contains(&chat),
        "{}",
        detail.text()
    );
    let detail = detail.json();
    assert_eq!(
        (&detail["name"], &detail["shared_by"]),
        (&json!("Kites"), &json!("ada"))
    );
    assert!(detail["shared_at"].is_string());
    let messages = detail["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 2);
    assert_eq!(
        (&messages[0]["content"], &messages[0]["reply_to"]),
        (&json!("Where is the kite?"), &Value::Null)
    );
    assert_eq!(
        (&messages[1]["content"], &messages[1]["reply_to"]),
        (&json!("In the tree."), &json!("m1"))
    );
    world
        .get(&path(&private), "")
        .await
        .expect_error(401, "unauthorized");
    for token in [&world.ada, &world.bob, &world.eve] {
        assert_eq!(
            world.get(&path(&private), token).await.expect(200).json()["is_private"],
            true
        );
    }
    for gone in [NEVER, "x", "%2Fold%2Fx", "..%2F.."] {
        for token in ["", &world.ada] {
            world
                .get(&path(gone), token)
                .await
                .expect_error(404, "not_found");
        }
    }
}

#[tokio::test]
async fn only_visibility_and_artifacts_change() {
    let world = World::new().await;
    let chat = world.chat(&world.ada).await;
    let id = shared(&world, &world.ada, json!({"chat_session_id": chat})).await;
    let path = format!("/api/v1/shared_chats/{id}");
    world.patch(&path, &world.ada, json!({})).await.expect(204);
    world
        .patch(&path, &world.ada, json!({"is_private": true, "unknown": 1}))
        .await
        .expect(204);
    world.get(&path, "").await.expect_error(401, "unauthorized");
    world
        .patch(&path, &world.ada, json!({"includes_artifacts": true}))
        .await
        .expect(204);
    let detail = world.get(&path, &world.eve).await.expect(200).json();
    assert_eq!(
        (&detail["is_private"], &detail["includes_artifacts"]),
        (&json!(true), &json!(true))
    );
    for wrong in [
        json!({"is_frozen": false}),
        json!({"is_private": "no"}),
        json!([]),
    ] {
        world
            .patch(&path, &world.ada, wrong)
            .await
            .expect_error(400, "bad_request");
    }
    let never = format!("/api/v1/shared_chats/{NEVER}");
    let his = world
        .patch(&path, &world.bob, json!({}))
        .await
        .expect_error(403, "forbidden");
    let nothing = world
        .patch(&never, &world.bob, json!({}))
        .await
        .expect_error(403, "forbidden");
    assert_eq!(his.text(), nothing.text());
    let his = world
        .delete(&path, &world.bob)
        .await
        .expect_error(403, "forbidden");
    let nothing = world
        .delete(&never, &world.bob)
        .await
        .expect_error(403, "forbidden");
    assert_eq!(his.text(), nothing.text());
    world.delete(&path, &world.ada).await.expect(204);
    world
        .get(&path, &world.ada)
        .await
        .expect_error(404, "not_found");
    world
        .delete(&path, &world.ada)
        .await
        .expect_error(403, "forbidden");
}

#[tokio::test]
async fn a_batch_is_deleted_whole_or_not_at_all() {
    let world = World::new().await;
    let chat = world.chat(&world.ada).await;
    let one = shared(&world, &world.ada, json!({"chat_session_id": chat})).await;
    let two = shared(&world, &world.ada, json!({"chat_session_id": chat})).await;
    let path = "/api/v1/shared_chats/batch_delete";
    let ids = |ids: &[&str]| json!({"shared_chat_ids": ids});
    world
        .post(path, &world.ada, ids(&[&one, NEVER, &two]))
        .await
        .expect_error(403, "forbidden");
    world
        .post(path, &world.bob, ids(&[&one]))
        .await
        .expect_error(403, "forbidden");
    for wrong in [
        json!({}),
        json!({"shared_chat_ids": one}),
        json!({"shared_chat_ids": [1]}),
        ids(&[&one, "x"]),
    ] {
        world
            .post(path, &world.ada, wrong)
            .await
            .expect_error(400, "bad_request");
    }
    let many: Vec<&str> = (0..1001).map(|_| one.as_str()).collect();
    world
        .post(path, &world.ada, ids(&many))
        .await
        .expect_error(400, "bad_request");
    world
        .get(&format!("/api/v1/shared_chats/{one}"), "")
        .await
        .expect(200);
    world
        .post(path, &world.ada, ids(&[&one, &two]))
        .await
        .expect(204);
    world.post(path, &world.ada, ids(&[])).await.expect(204);
    let list = world
        .get("/api/v1/shared_chats", &world.ada)
        .await
        .expect(200)
        .json();
    assert_eq!(list, json!([]));
}

#[tokio::test]
async fn legacy_links_are_read_and_refuse_all_else() {
    let world = World::new().await;
    let chat = world.chat(&world.ada).await;
    let list = format!("chat,path,expires_at\n{chat},/old/share?no,2999-01-01T00:00:00Z\n");
    let import = async |token: &str, list: &str| {
        world
            .raw(
                "POST",
                "/api/v1/legacy_links",
                token,
                "text/csv",
                list.as_bytes().to_vec(),
            )
            .await
    };
    import(&world.ada, &list)
        .await
        .expect_error(400, "bad_request");
    let list = format!(
        "chat,path,expires_at\n{chat},/old/one,2999-01-01T00:00:00Z\n{chat},/two,2001-01-01T00:00:00Z\n"
    );
    let past = import(&world.ada, &list)
        .await
        .expect_error(400, "bad_request");
    assert!(past.text().contains("has passed"), "{}", past.text());
    let nothing = import(&world.ada, "chat,path,expires_at\n").await;
    nothing.expect_error(400, "bad_request");
    let list = list.replace("2001", "2999");
    let not_his = import(&world.bob, &list)
        .await
        .expect_error(400, "bad_request");
    assert!(
        not_his.text().contains("line 2: there is no such chat"),
        "{}",
        not_his.text()
    );
    assert_eq!(
        import(&world.ada, &list).await.expect(200).json(),
        json!({"imported": 2})
    );
    let his = world.chat(&world.bob).await;
    let taken = format!("path,chat,expires_at\n/old/one,{his},2999-01-01T00:00:00Z\n");
    let refused = import(&world.bob, &taken).await;
    refused.expect_error(400, "bad_request");
    for id in ["%2Fold%2Fone", "old%2Fone"] {
        let path = format!("/api/v1/shared_chats/{id}");
        let detail = world.get(&path, "").await.expect(200).json();
        assert_eq!(detail["messages"].as_array().unwrap().len(), 2);
        let refused = world
            .patch(&path, &world.ada, json!({"is_private": true}))
            .await
            .expect_error(409, "conflict");
        assert!(refused.text().contains("legacy link"), "{}", refused.text());
        world
            .delete(&path, &world.ada)
            .await
            .expect_error(409, "conflict");
        let ids = json!({"shared_chat_ids": [id.replace("%2F", "/")]});
        world
            .post("/api/v1/shared_chats/batch_delete", &world.ada, ids)
            .await
            .expect_error(409, "conflict");
    }
    world.get("/old/one", "").await.expect(308);
    world.get("/old/one/", "").await.expect(200);
    world
        .get("/api/v1/shared_chats/three", "")
        .await
        .expect_error(404, "not_found");
    assert_eq!(
        world.get("/api/v1/shared_chats", &world.ada).await.json(),
        json!([])
    );
    assert_eq!(
        world.get("/api/v1/shares", &world.ada).await.json(),
        json!([])
    );
}

/// However many ask and do not read: what each of them holds is a piece.
#[tokio::test]
async fn a_shared_chat_is_given_piece_by_piece() {
    let world = World::new().await;
    let chat = world.chat(&world.ada).await;
    let long = json!([{"id": "m3", "role": "assistant", "text": "kite ".repeat(100_000)}]);
    let messages = format!("/api/v1/chats/{chat}/messages");
    world.post(&messages, &world.ada, long).await.expect(200);
    let live = json!({"chat_session_id": chat, "is_frozen": false});
    let id = shared(&world, &world.ada, live).await;
    let path = format!("/api/v1/shared_chats/{id}");

    let request = World::request("GET", &path, "")
        .body(Body::empty())
        .unwrap();
    let mut slow = world.router.clone().oneshot(request).await.unwrap();
    let first = slow.body_mut().frame().await.unwrap().unwrap();
    let first = first.into_data().unwrap();
    assert!(first.len() <= 64 << 10, "{}", first.len());

    let whole = world.get(&path, "").await.expect(200);
    assert_eq!(whole.header(header::CONTENT_TYPE), "application/json");
    assert_eq!(whole.json()["messages"].as_array().unwrap().len(), 3);
    let rest = slow.into_body().collect().await.unwrap().to_bytes();
    assert_eq!([first, rest].concat(), whole.body);

    // It is what the chat says now.
    let more = json!([{"id": "m4", "role": "user", "text": "Thank you."}]);
    world.post(&messages, &world.ada, more).await.expect(200);
    let whole = world.get(&path, "").await.expect(200);
    assert_eq!(whole.json()["messages"].as_array().unwrap().len(), 4);
    let hidden = format!("/api/v1/chats/{chat}/messages/m3");
    world.delete(&hidden, &world.ada).await.expect(204);
    let whole = world.get(&path, "").await.expect(200);
    assert!(!whole.text().contains("kite kite"));
    world
        .patch(&path, &world.ada, json!({"includes_artifacts": true}))
        .await
        .expect(204);
    let whole = world.get(&path, "").await.expect(200);
    assert_eq!(whole.json()["includes_artifacts"], true);
}
