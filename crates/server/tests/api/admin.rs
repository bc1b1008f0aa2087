//! What admins do for the whole server, and that nobody else does.

use axum::{body::Body, http::header};
use serde_json::{Value, json};

use crate::world::{World, cookie};

async fn id_of(world: &World, token: &str) -> Value {
    let me = world.get("/api/v1/users/me", token).await.expect(200);
    me.json()["id"].clone()
}

#[tokio::test]
async fn nobody_else_does_what_admins_do() {
    let world = World::new().await;
    let chat = world.chat(&world.ada).await;
    let share = world.share(&world.ada, &chat, "live", "public").await;
    let ada = id_of(&world, &world.ada).await;
    let user = format!("/api/v1/users/{ada}");
    let link = format!("{user}/signin_link");
    let revoke = format!("/api/v1/admin/shares/{share}");
    let cases = [
        ("GET", "/api/v1/users", Value::Null),
        (
            "POST",
            "/api/v1/users",
            json!({"name": "x", "role": "admin"}),
        ),
        ("PATCH", &user, json!({"role": "admin"})),
        ("PATCH", &user, json!({"password": "another password"})),
        ("DELETE", &user, Value::Null),
        ("POST", &link, json!({})),
        ("POST", "/api/v1/tokens", json!({"name": "x", "user": ada})),
        ("GET", "/api/v1/admin/shares", Value::Null),
        ("DELETE", &revoke, Value::Null),
        ("GET", "/api/v1/admin/settings", Value::Null),
        (
            "PATCH",
            "/api/v1/admin/settings",
            json!({"public_sharing": false}),
        ),
        ("POST", "/api/v1/showcase/reorder", json!({"orders": []})),
    ];
    for (method, path, body) in cases {
        for token in [&world.bob, &world.eve] {
            let answer = match body {
                Value::Null => world.bare(method, path, token).await,
                _ => world.json(method, path, token, body.clone()).await,
            };
            answer.expect_error(403, "forbidden");
        }
        let answer = world.json(method, path, "", json!({})).await;
        assert!([400, 401].contains(&answer.status), "{method} {path}");
    }
    world.get("/api/v1/chats", &world.ada).await.expect(200);
    let own = json!({"role": "admin"});
    let bob = format!("/api/v1/users/{}", id_of(&world, &world.bob).await);
    world
        .patch(&bob, &world.bob, own)
        .await
        .expect_error(403, "forbidden");
}

#[tokio::test]
async fn an_admin_sees_and_revokes_everybodys_shares() {
    let world = World::new().await;
    let ada = id_of(&world, &world.ada).await;
    let path = format!("/api/v1/users/{ada}");
    let role = json!({"role": "admin"});
    world.patch(&path, &world.root, role).await.expect(204);
    let chat = world.chat(&world.bob).await;
    let share = world.share(&world.bob, &chat, "live", "public").await;
    let mine = world.chat(&world.ada).await;
    world.share(&world.ada, &mine, "frozen", "private").await;
    let listed = world.get("/api/v1/admin/shares", &world.ada).await;
    let listed = listed.expect(200).json();
    assert_eq!(listed.as_array().unwrap().len(), 2, "{listed}");
    let of_bob = world
        .get(
            "/api/v1/admin/shares?filter=BOB&visibility=public",
            &world.ada,
        )
        .await
        .expect(200)
        .json();
    assert_eq!(of_bob[0]["id"], share);
    assert_eq!(of_bob[0]["owner"], "bob");
    assert_eq!(of_bob.as_array().unwrap().len(), 1);
    // The rest of what is somebody else's is theirs.
    let theirs = format!("/api/v1/shares/{share}");
    world.get(&theirs, &world.ada).await.expect(404);
    let revoke = format!("/api/v1/admin/shares/{share}");
    let one = world.get(&revoke, &world.ada).await.expect(200).json();
    assert_eq!(one, of_bob[0]);
    world.get(&revoke, &world.bob).await.expect(403);
    world.delete(&revoke, &world.ada).await.expect(204);
    world.delete(&revoke, &world.ada).await.expect(404);
    world.get(&revoke, &world.ada).await.expect(404);
    world.get(&format!("/s/{share}/"), "").await.expect(404);
    world.get(&theirs, &world.bob).await.expect(404);
}

#[tokio::test]
async fn the_last_admin_stays_one() {
    let world = World::new().await;
    let root = id_of(&world, &world.root).await;
    let path = format!("/api/v1/users/{root}");
    let viewer = json!({"role": "viewer"});
    world
        .patch(&path, &world.root, viewer.clone())
        .await
        .expect_error(409, "conflict");
    world
        .delete(&path, &world.root)
        .await
        .expect_error(409, "conflict");
    let ada = format!("/api/v1/users/{}", id_of(&world, &world.ada).await);
    let admin = json!({"role": "admin"});
    world.patch(&ada, &world.root, admin).await.expect(204);
    world.patch(&path, &world.ada, viewer).await.expect(204);
    world
        .patch(&ada, &world.ada, json!({}))
        .await
        .expect_error(400, "bad_request");
}

#[tokio::test]
async fn where_nothing_is_public_everybody_signs_in() {
    let world = World::new().await;
    let chat = world.chat(&world.bob).await;
    let frozen = world.share(&world.bob, &chat, "frozen", "public").await;
    let live = world.share(&world.bob, &chat, "live", "public").await;
    let off = json!({"public_sharing": false});
    let settings = "/api/v1/admin/settings";
    let now = world.patch(settings, &world.root, off).await.expect(200);
    assert_eq!(
        now.json(),
        json!({"public_sharing": false, "showcase": "disabled"})
    );
    for share in [&frozen, &live] {
        let page = format!("/s/{share}/");
        let asked = world.get(&page, "").await.expect(303);
        let to = asked.header(header::LOCATION);
        assert_eq!(to, format!("/signin?next=/s/{share}/"));
        for file in ["chat.json", "chat.md", "qr.svg", "data/search-index.js"] {
            world.get(&format!("{page}{file}"), "").await.expect(401);
        }
        let shown = world.get(&page, &world.eve).await.expect(200);
        assert_eq!(shown.header(header::CACHE_CONTROL), "private, no-store");
        let detail = format!("/api/v1/shared_chats/{share}");
        world.get(&detail, "").await.expect(401);
        world.get(&detail, &world.eve).await.expect(200);
    }
    let new = json!({"chat": chat, "updates": "live", "visibility": "public"});
    let refused = world.post("/api/v1/shares", &world.bob, new).await;
    let refused = refused.expect_error(403, "forbidden");
    assert!(
        refused.text().contains("switched off"),
        "{}",
        refused.text()
    );
    let new = json!({"chat_session_id": chat});
    let refused = world.post("/api/v1/shared_chats", &world.bob, new).await;
    refused.expect_error(403, "forbidden");
    let private = world.share(&world.bob, &chat, "live", "private").await;
    let change = json!({"visibility": "public"});
    let path = format!("/api/v1/shares/{private}");
    world
        .patch(&path, &world.bob, change)
        .await
        .expect_error(403, "forbidden");
    let on = json!({"public_sharing": true});
    world.patch(settings, &world.root, on).await.expect(200);
    world.get(&format!("/s/{frozen}/"), "").await.expect(200);
    world.get(&format!("/s/{live}/"), "").await.expect(200);
    world.get(&format!("/s/{private}/"), "").await.expect(303);
}

#[tokio::test]
async fn sessions_are_seen_and_ended() {
    let world = World::new().await;
    let sign_in = async || cookie(&world.sign_in("eve", "password of eve", "/").await);
    let (here, there) = (sign_in().await, sign_in().await);
    let ask = async |method: &str, path: &str, cookie: &str| {
        let request = World::request(method, path, "").header(header::COOKIE, cookie);
        world.send(request.body(Body::empty()).unwrap()).await
    };
    let sessions = ask("GET", "/api/v1/sessions", &here).await.expect(200);
    let sessions = sessions.json();
    let sessions = sessions.as_array().unwrap();
    assert_eq!(sessions.len(), 2);
    let of_here = sessions.iter().filter(|one| one["is_this"] == true);
    assert_eq!(of_here.count(), 1);
    let other = sessions.iter().find(|one| one["is_this"] == false).unwrap();
    let path = format!("/api/v1/sessions/{}", other["id"].as_str().unwrap());
    // Nobody ends somebody else's.
    world.delete(&path, &world.bob).await.expect(404);
    ask("DELETE", &path, &here).await.expect(204);
    ask("GET", "/api/v1/users/me", &there).await.expect(401);
    ask("GET", "/api/v1/users/me", &here).await.expect(200);
    let third = sign_in().await;
    ask("DELETE", "/api/v1/sessions", &third).await.expect(204);
    ask("GET", "/api/v1/users/me", &here).await.expect(401);
    ask("GET", "/api/v1/users/me", &third).await.expect(200);
    world
        .delete("/api/v1/sessions", &world.eve)
        .await
        .expect(204);
    ask("GET", "/api/v1/users/me", &third).await.expect(401);
}
