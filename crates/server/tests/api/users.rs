//! Users and tokens.

use axum::http::header;
use serde_json::{Value, json};

use crate::world::{World, cookie};

#[tokio::test]
async fn users_are_made_and_removed_by_admins() {
    let world = World::new().await;
    let new = json!({"name": "Zoë", "role": "viewer"});
    let user = world
        .post("/api/v1/users", &world.root, new.clone())
        .await
        .expect(201)
        .json();
    assert_eq!(
        (&user["role"], &user["has_password"]),
        (&json!("viewer"), &json!(false))
    );
    world
        .post("/api/v1/users", &world.root, new)
        .await
        .expect_error(409, "conflict");
    for wrong in [
        json!({"name": "", "role": "viewer"}),
        json!({"name": " x", "role": "viewer"}),
        json!({"name": "x\ny", "role": "viewer"}),
        json!({"name": "\u{200b}\u{2060}", "role": "viewer"}),
        json!({"name": "x", "role": "king"}),
        json!({"name": "x", "role": "viewer", "password": "short"}),
        json!({"name": "x", "role": "viewer", "password": "x".repeat(1001)}),
        json!({"name": "x", "role": "viewer", "id": 1}),
    ] {
        world
            .post("/api/v1/users", &world.root, wrong)
            .await
            .expect_error(400, "bad_request");
    }
    let users = world.get("/api/v1/users", &world.root).await.expect(200);
    assert!(!users.text().contains("argon2"), "{}", users.text());
    assert_eq!(users.json().as_array().unwrap().len(), 5);
    let path = format!("/api/v1/users/{}", user["id"]);
    world.delete(&path, &world.root).await.expect(204);
    world
        .delete(&path, &world.root)
        .await
        .expect_error(404, "not_found");
    world
        .delete("/api/v1/users/nobody", &world.root)
        .await
        .expect_error(404, "not_found");
}

#[tokio::test]
async fn one_admin_stays() {
    let world = World::new().await;
    let users = world
        .get("/api/v1/users", &world.root)
        .await
        .expect(200)
        .json();
    let mut answers = Vec::new();
    let me = world
        .get("/api/v1/users/me", &world.root)
        .await
        .expect(200)
        .json();
    let others = users
        .as_array()
        .unwrap()
        .iter()
        .filter(|user| user["id"] != me["id"]);
    for user in others {
        answers.push(
            world
                .delete(&format!("/api/v1/users/{}", user["id"]), &world.root)
                .await
                .status,
        );
    }
    assert!(answers.iter().all(|status| *status == 204));
    let path = format!("/api/v1/users/{}", me["id"]);
    world
        .delete(&path, &world.root)
        .await
        .expect_error(409, "conflict");
    world
        .get("/api/v1/users/me", &world.ada)
        .await
        .expect_error(401, "unauthorized");
}

#[tokio::test]
async fn a_removed_user_leaves_nothing() {
    let world = World::new().await;
    let chat = world.chat(&world.bob).await;
    let share = world.share(&world.bob, &chat, "live", "public").await;
    let me = world
        .get("/api/v1/users/me", &world.bob)
        .await
        .expect(200)
        .json();
    world
        .delete(&format!("/api/v1/users/{}", me["id"]), &world.root)
        .await
        .expect(204);
    world
        .get(&format!("/api/v1/shared_chats/{share}"), "")
        .await
        .expect(404);
    world
        .get("/api/v1/chats", &world.bob)
        .await
        .expect_error(401, "unauthorized");
}

#[tokio::test]
async fn tokens_are_shown_once_and_end() {
    let world = World::new().await;
    let token = json!({"name": "laptop"});
    let shown = world
        .post("/api/v1/tokens", &world.eve, token)
        .await
        .expect(201)
        .json();
    let token = shown["token"].as_str().unwrap();
    assert!(
        token.starts_with("readalong_") && token.len() == 53,
        "{token}"
    );
    world.get("/api/v1/users/me", token).await.expect(200);
    let list = world.get("/api/v1/tokens", &world.eve).await.expect(200);
    assert!(!list.text().contains(token) && list.text().contains("laptop"));
    let path = format!("/api/v1/tokens/{}", shown["id"]);
    world.delete(&path, &world.bob).await.expect(404);
    world.delete(&path, &world.root).await.expect(204);
    world
        .get("/api/v1/users/me", token)
        .await
        .expect_error(401, "unauthorized");
    world
        .delete(&path, &world.eve)
        .await
        .expect_error(404, "not_found");
    for wrong in [
        json!({}),
        json!({"name": ""}),
        json!({"name": "x", "expires_at": "2001-01-01T00:00:00Z"}),
    ] {
        world
            .post("/api/v1/tokens", &world.eve, wrong)
            .await
            .expect_error(400, "bad_request");
    }
    let me = world
        .get("/api/v1/users/me", &world.ada)
        .await
        .expect(200)
        .json();
    let for_her = json!({"name": "stolen", "user": me["id"]});
    world
        .post("/api/v1/tokens", &world.eve, for_her)
        .await
        .expect_error(403, "forbidden");
    let for_nobody = json!({"name": "x", "user": 999});
    world
        .post("/api/v1/tokens", &world.root, for_nobody)
        .await
        .expect_error(404, "not_found");
}

#[tokio::test]
async fn a_viewer_removes_no_token_of_others() {
    let world = World::new().await;
    let tokens = world
        .get("/api/v1/tokens", &world.ada)
        .await
        .expect(200)
        .json();
    let path = format!("/api/v1/tokens/{}", tokens[0]["id"]);
    world
        .delete(&path, &world.eve)
        .await
        .expect_error(404, "not_found");
    world.get("/api/v1/users/me", &world.ada).await.expect(200);
}

#[tokio::test]
async fn another_password_ends_all_sessions() {
    let world = World::new().await;
    let session = cookie(
        &world
            .sign_in("eve", "password of eve", "/")
            .await
            .expect(303),
    );
    let me = async |cookie: &str| {
        let request = World::request("GET", "/api/v1/users/me", "").header(header::COOKIE, cookie);
        world
            .send(request.body(axum::body::Body::empty()).unwrap())
            .await
    };
    let eve = me(&session).await.expect(200).json();
    let path = format!("/api/v1/users/{}", eve["id"]);
    let next = "another long password";
    world
        .patch(&path, &world.eve, json!({"password": next}))
        .await
        .expect_error(400, "bad_request");
    let wrong = json!({"password": next, "current_password": "wrong password"});
    world
        .patch(&path, &world.eve, wrong)
        .await
        .expect_error(403, "forbidden");
    me(&session).await.expect(200);
    let right = json!({"password": next, "current_password": "password of eve"});
    let link = format!("/api/v1/users/{}/signin_link", eve["id"]);
    let link = world.bare("POST", &link, &world.root).await.expect(201);
    let link = link.json()["url"].as_str().unwrap().to_owned();
    let signin = &link[link.find("/signin").unwrap()..];
    world.patch(&path, &world.eve, right).await.expect(204);
    world.get(signin, "").await.expect(401);
    me(&session).await.expect_error(401, "unauthorized");
    world
        .sign_in("eve", "password of eve", "/")
        .await
        .expect(401);
    world.sign_in("eve", next, "/").await.expect(303);
    let ada = world
        .get("/api/v1/users/me", &world.ada)
        .await
        .expect(200)
        .json();
    let path = format!("/api/v1/users/{}", ada["id"]);
    world
        .patch(&path, &world.eve, json!({"password": next}))
        .await
        .expect_error(403, "forbidden");
    world
        .patch(&path, &world.bob, json!({"password": next}))
        .await
        .expect_error(403, "forbidden");
    world
        .patch(&path, &world.root, json!({"password": next}))
        .await
        .expect(204);
    world.sign_in("ada", next, "/").await.expect(303);
    world
        .patch("/api/v1/users/999", &world.root, json!({"password": next}))
        .await
        .expect_error(404, "not_found");
}

#[tokio::test]
async fn who_is_signed_in_cannot_guess_the_password_either() {
    let world = World::new().await;
    let eve = world.get("/api/v1/users/me", &world.eve).await.expect(200);
    let path = format!("/api/v1/users/{}", eve.json()["id"]);
    let guess = json!({"password": "another password", "current_password": "a wrong password"});
    for _ in 0..5 {
        let answer = world.patch(&path, &world.eve, guess.clone()).await;
        answer.expect_error(403, "forbidden");
    }
    let answer = world.patch(&path, &world.eve, guess).await;
    let answer = answer.expect_error(429, "too_many_requests");
    assert!(!answer.header(header::RETRY_AFTER).is_empty());
}

#[tokio::test]
async fn lists_of_users_and_tokens_are_paged() {
    let world = World::new().await;
    for name in ["one", "two", "three"] {
        let token = world.post("/api/v1/tokens", &world.ada, json!({"name": name}));
        token.await.expect(201);
    }
    for (path, token) in [
        ("/api/v1/users", &world.root),
        ("/api/v1/tokens", &world.ada),
    ] {
        let all = world.get(path, token).await.expect(200).json();
        let all = all.as_array().unwrap().clone();
        assert_eq!(all.len(), 4);
        let page = async |query: &str| {
            let page = world.get(&format!("{path}?{query}"), token).await;
            page.expect(200).json().as_array().unwrap().clone()
        };
        assert_eq!(page("offset=1&limit=2").await, all[1..3]);
        assert_eq!(page("offset=3").await, all[3..]);
        assert!(page("offset=4").await.is_empty());
        let many = world.get(&format!("{path}?limit=1001"), token).await;
        many.expect_error(400, "bad_request");
    }
}

#[tokio::test]
async fn a_change_of_a_user_is_made_whole_or_not_at_all() {
    let world = World::new().await;
    let me = async |token: &String| {
        world
            .get("/api/v1/users/me", token)
            .await
            .expect(200)
            .json()
    };
    let path = format!("/api/v1/users/{}", me(&world.bob).await["id"]);
    for (change, status) in [
        (json!({"role": "viewer", "password": "short"}), 400),
        (json!({"role": "viewer", "password": "x".repeat(1001)}), 400),
    ] {
        let refused = world.patch(&path, &world.root, change).await;
        refused.expect(status);
        assert_eq!(me(&world.bob).await["role"], "owner");
    }
    let both = json!({"role": "viewer", "password": "another password"});
    world.patch(&path, &world.root, both).await.expect(204);
    assert_eq!(me(&world.bob).await["role"], "viewer");
    let signed_in = world.sign_in("bob", "another password", "/").await;
    signed_in.expect(303);
}

/// Whoever finds an open browser or a token of somebody who signs in elsewhere may not make the account theirs.
#[tokio::test]
async fn a_first_password_is_given_by_an_admin() {
    let world = World::new().await;
    let new = json!({"name": "oli", "role": "owner"});
    let oli = world.post("/api/v1/users", &world.root, new).await;
    let oli = oli.expect(201).json()["id"].clone();
    let token = json!({"name": "found", "user": oli});
    let token = world.post("/api/v1/tokens", &world.root, token).await;
    let token = token.expect(201).json()["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/api/v1/users/{oli}");
    let password = json!({"password": "a first password"});
    let refused = world.patch(&path, &token, password.clone()).await;
    refused.expect_error(403, "forbidden");
    world.patch(&path, &world.root, password).await.expect(204);
    let mine = json!({"password": "my own password", "current_password": "a first password"});
    world.patch(&path, &token, mine).await.expect(204);
}

#[tokio::test]
async fn admins_list_tokens_of_others() {
    let world = World::new().await;
    let bob = world.get("/api/v1/users/me", &world.bob).await.expect(200);
    let path = format!("/api/v1/tokens?user={}", bob.json()["id"]);
    let own = "/api/v1/tokens";
    let mut lists = Vec::new();
    for (path, who) in [
        (path.as_str(), &world.root),
        (own, &world.bob),
        (&path, &world.bob),
    ] {
        let mut tokens = world.get(path, who).await.expect(200).json();
        // When it was used is written a moment later.
        tokens[0]["used_at"] = Value::Null;
        lists.push(tokens);
    }
    assert!(lists.iter().all(|list| *list == lists[0]), "{lists:?}");
    assert_eq!(lists[0][0]["name"], "test");
    let refused = world.get(&path, &world.ada).await;
    refused.expect_error(403, "forbidden");
}

#[tokio::test]
async fn a_token_makes_none_that_outlives_it() {
    let world = World::new().await;
    let made = json!({"name": "short", "expires_at": "2100-01-01T00:00:00Z"});
    let short = world.post("/api/v1/tokens", &world.ada, made).await;
    let short = short.expect(201).json()["token"]
        .as_str()
        .unwrap()
        .to_owned();
    for (wish, status) in [
        (json!({"name": "more"}), 403),
        (
            json!({"name": "more", "expires_at": "2100-01-01T00:00:01Z"}),
            403,
        ),
        (
            json!({"name": "less", "expires_at": "2100-01-01T00:00:00Z"}),
            201,
        ),
    ] {
        let answer = world.post("/api/v1/tokens", &short, wish).await;
        answer.expect(status);
    }
}

#[tokio::test]
async fn what_is_entered_on_the_desk_is_refused_in_words_and_not_by_names_of_the_api() {
    let world = World::new().await;
    let me = world.get("/api/v1/users/me", &world.ada).await.json();
    let path = format!("/api/v1/users/{}", me["id"]);
    let wrong = json!({"password": "a new password", "current_password": "a wrong one"});
    let past = json!({"name": "laptop", "expires_at": "2001-01-01T00:00:00Z"});
    for (method, path, body) in [
        ("PATCH", path.as_str(), wrong),
        (
            "PATCH",
            path.as_str(),
            json!({"password": "a new password"}),
        ),
        ("POST", "/api/v1/tokens", json!({"name": " "})),
        ("POST", "/api/v1/tokens", past),
        ("POST", "/api/v1/chats", json!({"title": " "})),
    ] {
        let refused = world.json(method, path, &world.ada, body).await.json();
        let message = refused["message"].as_str().unwrap();
        assert!(refused["code"].as_u64() > Some(399), "{refused}");
        assert!(!message.contains(['`', '_']), "{message}");
    }
}
