//! A server below a path of a host: every link, redirect, cookie and address begins there, whether the proxy in front leaves the path away or not.

use axum::{body::Body, http::header};
use serde_json::json;

use crate::world::{World, cookie};

async fn world() -> World {
    World::with(|options| options.base_url = Some("https://host.example/chats/".to_owned())).await
}

#[tokio::test]
async fn whatever_leads_on_leads_below_the_path() {
    let world = world().await;
    let token = world.root.clone();
    let chat = world
        .post("/api/v1/chats", &token, json!({ "title": "Kites" }))
        .await
        .expect(201);
    let share = json!({ "chat": chat.json()["id"], "updates": "live", "visibility": "private" });
    let share = world
        .post("/api/v1/shares", &token, share)
        .await
        .expect(201);
    let share = share.json();
    let id = share["id"].as_str().unwrap();
    let url = format!("https://host.example/chats/s/{id}");
    assert_eq!(share["url"], url);

    for before in ["", "/chats"] {
        let page = format!("{before}/s/{id}/");
        let asked = world.get(&page, "").await.expect(303);
        let next = format!("/chats/signin?next=/s/{id}/");
        assert_eq!(asked.header(header::LOCATION), next);
        let slash = world
            .get(page.trim_end_matches('/'), &token)
            .await
            .expect(308);
        let with_slash = format!("/chats/s/{id}/");
        assert_eq!(slash.header(header::LOCATION), with_slash);
        let shown = world.get(&page, &token).await.expect(200).text();
        let signin = format!("data-signin=\"/chats/signin?next=/s/{id}/\"");
        assert!(shown.contains(&signin), "{shown}");
        let form = world.get(&format!("{before}/signin"), "").await.expect(200);
        let form = form.text();
        // It is sent to its own address, whatever that is.
        assert!(
            form.contains("<form class=\"form\" method=\"post\">"),
            "{form}"
        );
        let style = "href=\"/chats/assets/";
        assert!(form.contains(style), "{form}");
        let gone = world.get(&format!("{before}/s/x/"), "").await.expect(404);
        assert!(gone.text().contains(style));
        let at = form.find(style).unwrap() + "href=\"/chats".len();
        let style = form[at..].split('"').next().unwrap();
        world.get(&format!("{before}{style}"), "").await.expect(200);
        let home = world.get(&format!("{before}/"), "").await.expect(200);
        assert!(home.text().contains("/chats/signin"), "{}", home.text());
    }
    world.get("/chats", "").await.expect(200);
    world.get("/chatsx/", "").await.expect(404);
}

#[tokio::test]
async fn the_session_is_for_the_path_and_nothing_else_of_the_host() {
    let world = world().await;
    let signed_in = world
        .sign_in("ada", "password of ada", "/s/x/")
        .await
        .expect(303);
    assert_eq!(signed_in.header(header::LOCATION), "/chats/s/x/");
    let line = signed_in.header(header::SET_COOKIE).to_owned();
    assert!(line.starts_with("__Secure-readalong="), "{line}");
    assert!(line.contains("; Path=/chats/;"), "{line}");
    assert!(line.contains("; Secure"), "{line}");
    let request = World::request("GET", "/chats/api/v1/chats", "");
    let request = request.header(header::COOKIE, cookie(&signed_in));
    let request = request.body(Body::empty()).unwrap();
    world.send(request).await.expect(200);
    let out = World::request("POST", "/signout", "").header(header::COOKIE, cookie(&signed_in));
    let out = world
        .send(out.body(Body::empty()).unwrap())
        .await
        .expect(303);
    assert_eq!(out.header(header::LOCATION), "/chats/signin");
    let line = out.header(header::SET_COOKIE);
    assert!(line.contains("Path=/chats/"), "{line}");
}

#[tokio::test]
async fn a_path_that_is_called_like_one_of_ours_is_no_riddle() {
    let world = world().await;
    // The base itself, and the desk's page of chats below it.
    let home = world.get("/chats/", "").await.expect(200);
    assert!(home.text().contains("Sign in"), "{}", home.text());
    for path in ["/chats/chats", "/chats"] {
        let request = World::request("GET", path, "");
        let request = match path {
            "/chats" => request.header("X-Forwarded-Prefix", "/chats"),
            _ => request,
        };
        let asked = world.send(request.body(Body::empty()).unwrap()).await;
        let to = "/chats/signin?next=/chats";
        assert_eq!(asked.expect(303).header(header::LOCATION), to, "{path}");
    }
}
