//! The showcase: who sees what of it, and who manages it.

use axum::{body::Body, http::header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::world::{Answer, World};

const PICTURE: &[u8] =
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89";

async fn mode(world: &World, mode: &str) {
    let body = json!({ "showcase": mode });
    world
        .patch("/api/v1/admin/settings", &world.root, body)
        .await
        .expect(200);
}

async fn feature(world: &World, share: &str, title: &str, category: Option<&str>) -> String {
    let mut body =
        json!({"shared_chat_id": share, "title": title, "description": "What it is about."});
    if let Some(category) = category {
        body["category"] = category.into();
    }
    let made = world.post("/api/v1/showcase", &world.root, body).await;
    made.expect(201).json()["id"].as_str().unwrap().to_owned()
}

async fn upload(world: &World, id: &str, token: &str, name: &str, bytes: &[u8]) -> Answer {
    let head = format!(
        "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: image/png\r\n\r\n"
    );
    let body = [head.as_bytes(), bytes, b"\r\n--x--\r\n"].concat();
    let path = format!("/api/v1/showcase/{id}/thumbnail");
    let request = World::request("POST", &path, token)
        .header(header::CONTENT_TYPE, "multipart/form-data; boundary=x");
    world.send(request.body(Body::from(body)).unwrap()).await
}

/// A public and a private share, both featured with pictures: entry and share of each.
async fn featured(world: &World) -> [(String, String); 2] {
    let chat = world.chat(&world.ada).await;
    let mut made = Vec::new();
    for visibility in ["public", "private"] {
        let share = world.share(&world.ada, &chat, "frozen", visibility).await;
        let entry = feature(world, &share, visibility, Some(visibility)).await;
        let path = upload(world, &entry, &world.root, "a.png", PICTURE).await;
        path.expect(200);
        made.push((entry, share));
    }
    made.try_into().unwrap()
}

#[tokio::test]
async fn everybody_sees_what_the_mode_and_the_gate_let_them_see() {
    let world = World::new().await;
    let [(public, _), (private, _)] = featured(&world).await;
    let picture = |entry: &str| format!("/api/v1/showcase/{entry}/thumbnail");
    // Mode, caller, entries seen or the status, pictures of the public and the private one.
    let nobody = String::new();
    type Case<'a> = (&'a str, &'a String, Result<usize, u16>, [u16; 2]);
    let cases: [Case<'_>; 9] = [
        ("disabled", &nobody, Err(404), [404, 404]),
        ("disabled", &world.eve, Err(404), [404, 404]),
        ("disabled", &world.root, Err(404), [200, 200]),
        ("authenticated", &nobody, Err(401), [401, 401]),
        ("authenticated", &world.eve, Ok(2), [200, 200]),
        ("authenticated", &world.bob, Ok(2), [200, 200]),
        ("public", &nobody, Ok(1), [200, 404]),
        ("public", &world.eve, Ok(2), [200, 200]),
        ("public", &world.root, Ok(2), [200, 200]),
    ];
    for (name, token, seen, pictures) in cases {
        mode(&world, name).await;
        let listed = world.get("/api/v1/showcase", token).await;
        match seen {
            Ok(count) => {
                let listed = listed.expect(200).json();
                assert_eq!(listed.as_array().unwrap().len(), count, "{name}: {listed}");
                let categories = world.get("/api/v1/showcase/categories", token).await;
                let categories = categories.expect(200).json();
                let names = categories["categories"].as_array().unwrap();
                assert_eq!(names.len(), count, "{categories}");
            }
            Err(status) => drop(listed.expect(status)),
        }
        for (entry, status) in [&public, &private].into_iter().zip(pictures) {
            let shown = world.get(&picture(entry), token).await;
            assert_eq!(shown.status, status, "{name} {token} {}", shown.text());
        }
    }
    // Where nothing is public, nobody sees it without signing in.
    let off = json!({"public_sharing": false});
    let settings = "/api/v1/admin/settings";
    world.patch(settings, &world.root, off).await.expect(200);
    world.get("/api/v1/showcase", "").await.expect(401);
    world.get(&picture(&public), "").await.expect(401);
    let wrong = world.get("/api/v1/showcase", "readalong_wrong").await;
    wrong.expect(401);
}

#[tokio::test]
async fn a_share_that_goes_takes_its_entry_along() {
    let world = World::new().await;
    let [(public, public_share), (private, private_share)] = featured(&world).await;
    mode(&world, "public").await;
    let path = format!("/api/v1/shares/{public_share}");
    world.delete(&path, &world.ada).await.expect(204);
    let listed = world.get("/api/v1/showcase", &world.eve).await.expect(200);
    assert_eq!(listed.json().as_array().unwrap().len(), 1);
    let picture = format!("/api/v1/showcase/{public}/thumbnail");
    world.get(&picture, &world.eve).await.expect(404);
    // Its share outlives an entry.
    let entry = format!("/api/v1/showcase/{private}");
    world.delete(&entry, &world.root).await.expect(204);
    let page = format!("/s/{private_share}/");
    world.get(&page, &world.eve).await.expect(200);
    feature(&world, &private_share, "Again", None).await;
}

#[tokio::test]
async fn a_share_that_changes_stays_featured() {
    let world = World::new().await;
    let [(public, share), _] = featured(&world).await;
    mode(&world, "public").await;
    let path = format!("/api/v1/shares/{share}");
    for change in [
        json!({"name": "Another name"}),
        json!({"visibility": "private"}),
        json!({"artifacts": true}),
    ] {
        world.patch(&path, &world.ada, change).await.expect(200);
        let listed = world.get("/api/v1/showcase", &world.eve).await.expect(200);
        assert_eq!(listed.json().as_array().unwrap().len(), 2);
    }
    let picture = format!("/api/v1/showcase/{public}/thumbnail");
    world.get(&picture, &world.eve).await.expect(200);
    let listed = world.get("/api/v1/showcase", "").await.expect(200);
    assert_eq!(listed.json().as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn admins_manage_it_and_nobody_else() {
    let world = World::new().await;
    let [(first, share), (second, _)] = featured(&world).await;
    mode(&world, "public").await;
    let entry = format!("/api/v1/showcase/{first}");
    for token in [&world.ada, &world.eve] {
        let new = json!({"shared_chat_id": share, "title": "x", "description": "x"});
        for answer in [
            world.post("/api/v1/showcase", token, new).await,
            world.patch(&entry, token, json!({"title": "x"})).await,
            world.delete(&entry, token).await,
            upload(&world, &first, token, "a.png", PICTURE).await,
            world.delete(&format!("{entry}/thumbnail"), token).await,
        ] {
            answer.expect_error(403, "forbidden");
        }
    }
    let again = json!({"shared_chat_id": share, "title": "x", "description": "x"});
    world
        .post("/api/v1/showcase", &world.root, again)
        .await
        .expect_error(409, "conflict");
    for (wrong, status, kind) in [
        (
            json!({"shared_chat_id": "nothing", "title": "x", "description": "x"}),
            404,
            "not_found",
        ),
        (
            json!({"shared_chat_id": share, "title": " ", "description": "x"}),
            400,
            "bad_request",
        ),
        (
            json!({"shared_chat_id": share, "title": "x", "description": ""}),
            400,
            "bad_request",
        ),
        (
            json!({"shared_chat_id": share, "title": "x".repeat(10_000), "description": "x"}),
            400,
            "bad_request",
        ),
    ] {
        let answer = world.post("/api/v1/showcase", &world.root, wrong).await;
        answer.expect_error(status, kind);
    }
    let change = json!({"title": "Kites", "category": ""});
    world.patch(&entry, &world.root, change).await.expect(204);
    let orders =
        json!({"orders": [{"id": first, "sort_order": 5}, {"id": second, "sort_order": 1}]});
    let reorder = "/api/v1/showcase/reorder";
    world.post(reorder, &world.root, orders).await.expect(204);
    let orders =
        json!({"orders": [{"id": first, "sort_order": 0}, {"id": "nothing", "sort_order": 1}]});
    world.post(reorder, &world.root, orders).await.expect(400);
    let listed = world.get("/api/v1/showcase", &world.eve).await.expect(200);
    let listed = listed.json();
    let ids: Vec<&Value> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["id"])
        .collect();
    assert_eq!(ids, [&json!(second), &json!(first)], "all or none");
    assert_eq!(listed[1]["title"], "Kites");
    assert_eq!(listed[1]["category"], Value::Null);
    assert_eq!(listed[1]["shared_by_username"], "ada");
    let some = world
        .get("/api/v1/showcase?offset=1&limit=5", &world.eve)
        .await;
    assert_eq!(some.expect(200).json().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_picture_is_what_it_is_and_runs_nowhere() {
    let world = World::new().await;
    let [(entry, _), _] = featured(&world).await;
    mode(&world, "public").await;
    let svg: &[u8] = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>";
    for (name, bytes) in [
        ("a.png", svg),
        (
            "a.png",
            b"<!doctype html><script>alert(1)</script>".as_slice(),
        ),
        ("a.png", b"".as_slice()),
        (
            "a.bmp",
            b"BM\x3a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".as_slice(),
        ),
    ] {
        let refused = upload(&world, &entry, &world.root, name, bytes).await;
        refused.expect_error(400, "bad_request");
    }
    let large = [PICTURE, &vec![0; 20 << 20]].concat();
    let refused = upload(&world, &entry, &world.root, "a.png", &large).await;
    refused.expect_error(413, "too_large");
    let gif = b"GIF89a\x01\0\x01\0\0\0\0\x3b";
    let named_otherwise = upload(&world, &entry, &world.root, "../../x.html", gif).await;
    let path = named_otherwise.expect(200).json()["thumbnail_path"].clone();
    let shown = world.get(path.as_str().unwrap(), "").await.expect(200);
    assert_eq!(shown.body, gif);
    assert_eq!(shown.header(header::CONTENT_TYPE), "image/gif");
    assert_eq!(shown.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
    let policy = shown.header(header::CONTENT_SECURITY_POLICY);
    assert!(
        policy.starts_with("sandbox; default-src 'none'"),
        "{policy}"
    );
    let picture = path.as_str().unwrap();
    world.delete(picture, &world.root).await.expect(204);
    world.get(picture, "").await.expect(404);
    let missing = upload(&world, "nothing", &world.root, "a.png", PICTURE).await;
    missing.expect(404);
}

#[tokio::test]
async fn lists_of_shared_chats_say_what_is_featured() {
    let world = World::new().await;
    let [(entry, share), _] = featured(&world).await;
    let chat = world.chat(&world.ada).await;
    let plain = world.share(&world.ada, &chat, "live", "public").await;
    let list = async |filter: &str| {
        let path = format!("/api/v1/shared_chats?showcase_filter={filter}");
        world.get(&path, &world.ada).await.expect(200).json()
    };
    let featured = list("featured").await;
    assert_eq!(featured.as_array().unwrap().len(), 2);
    let all = list("all").await;
    let of_share = all
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["id"] == share);
    assert_eq!(of_share.unwrap()["showcase_id"], entry);
    let others = list("not_featured").await;
    assert_eq!(others.as_array().unwrap().len(), 1);
    assert_eq!(others[0]["id"], plain);
    assert_eq!(others[0]["showcase_id"], Value::Null);
}

/// Each look at the showcase asks for all pictures.
#[tokio::test]
async fn a_picture_is_sent_once_and_piece_by_piece() {
    let world = World::new().await;
    let [(public, _), _] = featured(&world).await;
    mode(&world, "public").await;
    let large = [PICTURE, &[7; 200_000]].concat();
    let put = upload(&world, &public, &world.root, "a.png", &large).await;
    put.expect(200);
    let path = format!("/api/v1/showcase/{public}/thumbnail");
    let request = World::request("GET", &path, "").body(Body::empty());
    let mut slow = world
        .router
        .clone()
        .oneshot(request.unwrap())
        .await
        .unwrap();
    let first = slow.body_mut().frame().await.unwrap().unwrap();
    let first = first.into_data().unwrap();
    assert!(first.len() <= 64 << 10, "{}", first.len());

    let whole = world.get(&path, "").await.expect(200);
    assert_eq!(whole.header(header::CONTENT_TYPE), "image/png");
    assert!(whole.body == large);
    let again = |etag: &str| {
        let request = World::request("GET", &path, "").header(header::IF_NONE_MATCH, etag);
        request.body(Body::empty()).unwrap()
    };
    let known = again(whole.header(header::ETAG));
    world.send(known).await.expect(304);
    // Another one, however soon it comes.
    let known = again(whole.header(header::ETAG));
    let put = upload(&world, &public, &world.root, "b.png", PICTURE).await;
    put.expect(200);
    assert!(world.send(known).await.expect(200).body == PICTURE);
}

#[tokio::test]
async fn what_the_showcase_says_has_no_secrets() {
    let world = World::new().await;
    let chat = world.chat(&world.ada).await;
    let share = world.share(&world.ada, &chat, "frozen", "public").await;
    mode(&world, "public").await;
    let key = format!("ghp_{}", "b4K9".repeat(9));
    let words = json!({"shared_chat_id": share, "title": format!("See {key}"), "description": format!("It is {key}."), "category": key});
    let made = world.post("/api/v1/showcase", &world.root, words.clone());
    let id = made.await.expect(201).json()["id"].clone();
    let shown = async || world.get("/api/v1/showcase", "").await.expect(200).text();
    let first = shown().await;
    assert!(
        first.contains("[redacted: ") && !first.contains(&key),
        "{first}"
    );
    let entry = format!("/api/v1/showcase/{}", id.as_str().unwrap());
    world.patch(&entry, &world.root, words).await.expect(204);
    assert_eq!(shown().await.matches(&key).count(), 0);
}
