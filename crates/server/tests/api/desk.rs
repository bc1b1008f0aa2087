//! The desk's pages and what they ask the API for: found, previewed, changed, taken back, and nobody else's.

use axum::http::header;
use serde_json::{Value, json};

use crate::world::World;

#[tokio::test]
async fn chats_are_found_by_what_they_say_and_lists_go_on() {
    let world = World::new().await;
    for _ in 0..3 {
        world.chat(&world.ada).await;
    }
    let found = world
        .get("/api/v1/chats?search=the%20KITE&limit=2", &world.ada)
        .await
        .expect(200);
    let next = found.headers["x-next"].to_str().unwrap().to_owned();
    let chats = found.json();
    assert_eq!(chats.as_array().unwrap().len(), 2);
    assert_eq!(chats[0]["found"]["message"], "m1");
    assert_eq!(chats[0]["found"]["excerpt"], "Where is the kite?");
    let rest = world
        .get(
            &format!("/api/v1/chats?search=the%20KITE&limit=2&after={next}"),
            &world.ada,
        )
        .await
        .expect(200);
    assert!(!rest.headers.contains_key("x-next"));
    assert_eq!(rest.json().as_array().unwrap().len(), 1);
    let others = world
        .get("/api/v1/chats?search=the%20KITE", &world.bob)
        .await;
    assert_eq!(others.expect(200).json(), json!([]));
    world
        .get("/api/v1/chats?after=nonsense", &world.ada)
        .await
        .expect_error(400, "bad_request");
}

#[tokio::test]
async fn shares_are_sorted_and_all_are_deleted() {
    let world = World::new().await;
    let chat = world.chat(&world.ada).await;
    for name in ["b", "a", "c"] {
        let share = json!({"chat": chat, "updates": "live", "visibility": "public", "name": name});
        world
            .post("/api/v1/shares", &world.ada, share)
            .await
            .expect(201);
    }
    let bobs = world.chat(&world.bob).await;
    world.share(&world.bob, &bobs, "live", "public").await;
    let list = world
        .get("/api/v1/shares?sort=name&limit=2", &world.ada)
        .await;
    let names = |answer: &crate::world::Answer| -> Vec<Value> {
        let list = answer.json();
        list.as_array()
            .unwrap()
            .iter()
            .map(|share| share["name"].clone())
            .collect()
    };
    assert_eq!(names(&list), ["a", "b"]);
    let next = list.headers["x-next"].to_str().unwrap();
    let rest = world
        .get(
            &format!("/api/v1/shares?sort=name&after={next}"),
            &world.ada,
        )
        .await;
    assert_eq!(names(&rest), ["c"]);
    for unclear in [json!({"all": true, "ids": [chat]}), json!({})] {
        world
            .json("DELETE", "/api/v1/shares", &world.ada, unclear)
            .await
            .expect_error(400, "bad_request");
    }
    world
        .json("DELETE", "/api/v1/shares", &world.ada, json!({"all": true}))
        .await
        .expect(204);
    let left = world.get("/api/v1/shares", &world.ada).await;
    assert_eq!(left.expect(200).json(), json!([]));
    let bobs = world.get("/api/v1/shares", &world.bob).await;
    assert_eq!(bobs.expect(200).json().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn changes_are_refused_where_the_message_is_another_and_taken_back() {
    let world = World::new().await;
    let chat = world.chat(&world.ada).await;
    let path = format!("/api/v1/chats/{chat}");
    let message = format!("{path}/messages/m1");
    let seen = world
        .get(&format!("{path}/messages?limit=1"), &world.ada)
        .await
        .expect(200)
        .json()[0]["seq"]
        .clone();
    let edit = |text: &str| json!({"text": text, "seq": seen});
    world
        .patch(&message, &world.ada, edit("First"))
        .await
        .expect(204);
    world
        .patch(&message, &world.ada, edit("Second"))
        .await
        .expect_error(409, "conflict");
    assert_eq!(world.texts(&world.ada, &chat).await[0], "First");
    let history = world
        .get(&format!("{path}/history"), &world.ada)
        .await
        .expect(200)
        .json();
    assert_eq!(
        (
            &history[0]["what"],
            &history[0]["message"],
            &history[0]["can_undo"]
        ),
        (&json!("edited"), &json!("m1"), &json!(true))
    );
    let undo = format!("{path}/history/{}/undo", history[0]["seq"]);
    world
        .bare("POST", &undo, &world.bob)
        .await
        .expect_error(404, "not_found");
    world.bare("POST", &undo, &world.ada).await.expect(204);
    assert_eq!(
        world.texts(&world.ada, &chat).await[0],
        "Where is the kite?"
    );
    world
        .bare("POST", &undo, &world.ada)
        .await
        .expect_error(409, "conflict");
    world
        .bare("POST", &format!("{path}/history/0/undo"), &world.ada)
        .await
        .expect_error(409, "conflict");
    // What is gone was not only changed.
    world.delete(&message, &world.ada).await.expect(204);
    world
        .patch(&message, &world.ada, edit("Third"))
        .await
        .expect_error(404, "not_found");
}

#[tokio::test]
async fn a_title_made_of_a_hidden_prompt_is_hidden_too() {
    let world = World::new().await;
    let transcript = json!([
        {"role": "user", "content": "My zebrafish"},
        {"role": "assistant", "content": "Swims."},
    ]);
    let import = "/api/v1/import?name=one.json";
    let imported = world
        .post(import, &world.ada, transcript)
        .await
        .expect(201)
        .json();
    let chat = imported["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/chats/{chat}");
    let listed = world.get(&format!("{path}/messages"), &world.ada).await;
    let id = listed.expect(200).json()[0]["message"]["id"].clone();
    let message = format!("{path}/messages/{}", id.as_str().unwrap());
    let mut shares = Vec::new();
    for updates in ["live", "frozen"] {
        shares.push(world.share(&world.ada, &chat, updates, "public").await);
    }
    let says = async |words: &str| {
        let mut says = Vec::new();
        for share in &shares {
            for file in ["", "chat.json", "chat.md"] {
                let page = world.get(&format!("/s/{share}/{file}"), "").await;
                says.push(page.expect(200).text().contains(words));
            }
        }
        assert!(
            says.iter().all(|said| *said == says[0]),
            "{words}: {says:?}"
        );
        says[0]
    };
    assert!(says("zebrafish").await);
    for change in [json!({"hidden": true}), json!({"text": "My fish"})] {
        world.patch(&message, &world.ada, change).await.expect(204);
        assert!(!says("zebrafish").await && says("Untitled chat").await);
        let history = world.get(&format!("{path}/history"), &world.ada).await;
        let seq = &history.expect(200).json()[0]["seq"];
        let undo = format!("{path}/history/{seq}/undo");
        world.bare("POST", &undo, &world.ada).await.expect(204);
        assert!(says("zebrafish").await && !says("Untitled chat").await);
    }
}

/// A chat with a file that a message shows; its id and the file's digest.
async fn chat_with_file(world: &World) -> (String, String) {
    let chat = world.chat(&world.ada).await;
    let bytes = b"bytes of a file".to_vec();
    let sha256 = readalong_digest(&bytes);
    let path = format!("/api/v1/chats/{chat}/artifacts/{sha256}");
    // Files of any length are taken at the same path, changes are not.
    let blanks = vec![b' '; 40 << 20];
    let long = world.raw("PATCH", &path, &world.ada, "application/json", blanks);
    long.await.expect_error(413, "too_large");
    world
        .raw("PUT", &path, &world.ada, "application/octet-stream", bytes)
        .await
        .expect(201);
    let changes = json!({
        "artifacts": [[0, {"name": "a.bin", "media_type": "application/octet-stream", "role": "uploaded",
            "content": {"present": {"sha256": sha256, "size_bytes": 15}}}]],
        "messages": [[2, {"id": "m3", "role": "user", "parts": [{"file": {"artifact": 0}}]}]],
    });
    world
        .post(
            &format!("/api/v1/chats/{chat}/changes"),
            &world.ada,
            changes,
        )
        .await
        .expect(200);
    (chat, sha256)
}

fn readalong_digest(bytes: &[u8]) -> String {
    readalong_model::Digest::of(bytes).to_string()
}

#[tokio::test]
async fn artifacts_are_hidden_from_every_link_and_removed() {
    let world = World::new().await;
    let (chat, sha256) = chat_with_file(&world).await;
    let mut links = Vec::new();
    for updates in ["live", "frozen"] {
        let share =
            json!({"chat": chat, "updates": updates, "visibility": "public", "artifacts": true});
        let share = world.post("/api/v1/shares", &world.ada, share).await;
        let path = share.expect(201).json()["relative_path"]
            .as_str()
            .unwrap()
            .to_owned();
        links.push(format!("{path}/files/{sha256}.bin"));
    }
    let statuses = async || {
        let mut statuses = Vec::new();
        for link in &links {
            statuses.push(world.get(link, "").await.status);
        }
        statuses
    };
    assert_eq!(statuses().await, [200, 200]);
    let path = format!("/api/v1/chats/{chat}/artifacts");
    let one = format!("{path}/{sha256}");
    world
        .patch(&one, &world.bob, json!({"hidden": true}))
        .await
        .expect_error(404, "not_found");
    world
        .patch(&one, &world.ada, json!({"hidden": true}))
        .await
        .expect(204);
    assert_eq!(statuses().await, [404, 404]);
    let list = world.get(&path, &world.ada).await.expect(200).json();
    assert_eq!(
        (&list[0]["name"], &list[0]["hidden"]),
        (&json!("a.bin"), &json!(true))
    );
    let preview = format!("/api/v1/chats/{chat}/preview?artifacts=true");
    let seen = world.get(&preview, &world.ada).await.expect(200).json();
    assert_eq!(
        (&seen["artifacts_hidden"], &seen["artifacts"]),
        (&json!(1), &json!([]))
    );
    world
        .patch(&one, &world.ada, json!({"hidden": false}))
        .await
        .expect(204);
    assert_eq!(statuses().await, [200, 200]);
    world
        .delete(&one, &world.bob)
        .await
        .expect_error(404, "not_found");
    world.delete(&one, &world.ada).await.expect(204);
    assert_eq!(statuses().await, [404, 404]);
    assert_eq!(
        world.get(&path, &world.ada).await.expect(200).json(),
        json!([])
    );
    world
        .delete(&one, &world.ada)
        .await
        .expect_error(404, "not_found");
}

#[tokio::test]
async fn a_preview_says_what_a_share_shows_and_leaves_out() {
    let world = World::new().await;
    let (chat, _) = chat_with_file(&world).await;
    let messages = json!([
        {"id": "m4", "role": "user", "text": format!("my key ghp_{}", "b4K9".repeat(9))},
        {"id": "m5", "role": "system", "visibility": "hidden", "parts": [{"text": {"markdown": "be brief"}}]},
    ]);
    let path = format!("/api/v1/chats/{chat}");
    world
        .post(&format!("{path}/messages"), &world.ada, messages)
        .await
        .expect(200);
    world
        .patch(
            &format!("{path}/messages/m2"),
            &world.ada,
            json!({"hidden": true}),
        )
        .await
        .expect(204);
    let without = world
        .get(&format!("{path}/preview"), &world.ada)
        .await
        .expect(200)
        .json();
    assert_eq!(without["messages"], 2, "{without}");
    assert_eq!(without["first"], "Where is the kite?");
    assert_eq!(without["artifacts_left_out"], 1);
    assert_eq!(without["hidden"], 1);
    assert_eq!(
        without["redacted"].as_object().unwrap().len(),
        1,
        "{without}"
    );
    let with = world
        .get(&format!("{path}/preview?artifacts=true"), &world.ada)
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&with["messages"], &with["artifacts"][0]["name"]),
        (&json!(3), &json!("a.bin"))
    );
    world
        .get(&format!("{path}/preview"), &world.bob)
        .await
        .expect_error(404, "not_found");
}

#[tokio::test]
async fn a_transcript_is_inspected_and_nothing_of_it_is_taken() {
    let world = World::new().await;
    let secret = format!("ghp_{}", "b4K9".repeat(9));
    let transcript = json!({"messages": [{"role": "user", "content": format!("see {secret}")}, {"role": "assistant", "content": "Yes."}]});
    let body = transcript.to_string().into_bytes();
    let inspected = world
        .raw(
            "POST",
            "/api/v1/inspect?name=a.json",
            &world.ada,
            "application/json",
            body.clone(),
        )
        .await
        .expect(200)
        .json();
    assert_eq!(inspected["messages"], 2);
    let found = &inspected["redactions"][0];
    assert!(!inspected.to_string().contains(&secret));
    let chats = world.get("/api/v1/chats", &world.ada).await;
    assert_eq!(chats.expect(200).json(), json!([]));
    let kept = format!("/api/v1/import?kept={}", found["id"].as_str().unwrap());
    let chat = world
        .raw("POST", &kept, &world.ada, "application/json", body)
        .await
        .expect(201)
        .json();
    let texts = world.texts(&world.ada, chat["id"].as_str().unwrap()).await;
    assert!(texts[0].contains(&secret));
    world
        .raw(
            "POST",
            "/api/v1/inspect",
            &world.ada,
            "application/json",
            b"no transcript".to_vec(),
        )
        .await
        .expect_error(400, "bad_request");
    world
        .raw(
            "POST",
            "/api/v1/inspect",
            &world.eve,
            "application/json",
            Vec::new(),
        )
        .await
        .expect_error(403, "forbidden");
}

#[tokio::test]
async fn a_chat_is_exported_for_its_owner() {
    let world = World::new().await;
    let chat = world.chat(&world.ada).await;
    let path = format!("/api/v1/chats/{chat}/export?format=");
    let markdown = world
        .get(&format!("{path}markdown"), &world.ada)
        .await
        .expect(200);
    assert!(markdown.text().contains("In the tree."));
    assert_eq!(
        markdown.header(header::CONTENT_DISPOSITION),
        "attachment; filename*=UTF-8''Kites.md"
    );
    let whole = world
        .get(&format!("{path}json"), &world.ada)
        .await
        .expect(200)
        .json();
    assert_eq!(whole["title"], "Kites");
    world
        .get(&format!("{path}json"), &world.bob)
        .await
        .expect_error(404, "not_found");
    world
        .get(&format!("{path}exe"), &world.ada)
        .await
        .expect_error(400, "bad_request");
}

#[tokio::test]
async fn a_message_that_is_asked_for_is_gone_to() {
    let world = World::new().await;
    let chat = world.chat(&world.ada).await;
    let shown = |query: &str| format!("/chats/{chat}{query}");
    let plain = world.get(&shown(""), &world.ada).await.expect(200).text();
    assert!(!plain.contains("autofocus"));
    let asked = world.get(&shown("?message=m2"), &world.ada).await;
    let asked = asked.expect(200).text();
    assert_eq!(asked.matches("autofocus").count(), 1);
    assert!(asked.contains(r#"data-place="1" tabindex="-1" autofocus"#));
}

#[tokio::test]
async fn results_and_thoughts_are_told_apart_by_how_they_begin() {
    let world = World::new().await;
    let chat = world.chat(&world.ada).await;
    let text = |markdown: &str| json!({"text": {"markdown": markdown}});
    let result =
        json!({"tool_result": {"call_id": "c1", "parts": [text("\n  3 tests failed\nat length")]}});
    let thought = json!({"reasoning": {"markdown": "Let me see.\nThen more."}});
    let messages = json!([{"id": "m3", "role": "tool", "parts": [result, thought]}]);
    let path = format!("/api/v1/chats/{chat}/messages");
    world.post(&path, &world.ada, messages).await.expect(200);
    let page = world.get(&format!("/chats/{chat}"), &world.ada).await;
    let page = page.expect(200).text();
    assert!(page.contains("<bdi>3 tests failed</bdi>") && page.contains("<bdi>Let me see.</bdi>"));
    assert!(!page.contains("at length") && !page.contains("Then more"));
}

#[tokio::test]
async fn the_history_goes_back_to_the_first_change() {
    let world = World::new().await;
    let chat = world.chat(&world.ada).await;
    let path = format!("/api/v1/chats/{chat}/messages/m1");
    for number in 0..45 {
        let edit = json!({"text": format!("Edit {number}")});
        world.patch(&path, &world.ada, edit).await.expect(204);
    }
    let page = async |query: &str| {
        let page = format!("/chats/{chat}{query}");
        let page = world.get(&page, &world.ada).await.expect(200).text();
        let part = page.split("id=\"history\"").nth(1).unwrap().to_owned();
        let rows = part.matches("id=\"change-").count();
        let links: Vec<String> = part
            .split("<a href=\"")
            .skip(1)
            .filter_map(|at| at.split('"').next())
            .filter(|href| href.ends_with("#history"))
            .map(|href| href.replace("&amp;", "&").replace("#history", ""))
            .collect();
        (rows, links)
    };
    let (rows, links) = page("?from=0").await;
    assert_eq!((rows, links.len()), (30, 1));
    let (rows, back) = page(&links[0]).await;
    assert_eq!((rows, back), (15, vec!["?from=0".to_owned()]));
}

#[tokio::test]
async fn pages_are_their_owners_and_nobody_frames_them() {
    let world = World::new().await;
    let chat = world.chat(&world.ada).await;
    let pages = [
        "/chats".to_owned(),
        "/chats?q=kite&sort=title&after=nonsense".to_owned(),
        "/shares?visibility=x&sort=y".to_owned(),
        format!("/chats/{chat}"),
        format!("/chats/{chat}?from=4000000000&message=%00"),
        format!("/chats/{chat}/share?artifacts=true"),
    ];
    for page in &pages {
        let shown = world.get(page, &world.ada).await.expect(200);
        let policy = shown.header(header::CONTENT_SECURITY_POLICY);
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
            "form-action 'self'",
        ] {
            assert!(policy.contains(part), "{page}: {policy}");
        }
        assert_eq!(shown.header(header::CACHE_CONTROL), "no-store");
        assert_eq!(world.get(page, &world.eve).await.status, 403, "{page}");
        let unknown = world.get(page, "").await.expect(303);
        assert!(
            unknown
                .header(header::LOCATION)
                .starts_with("/signin?next=%2F")
                || unknown
                    .header(header::LOCATION)
                    .starts_with("/signin?next=/")
        );
    }
    for page in &pages[3..] {
        world.get(page, &world.bob).await.expect(404);
        let unknown = page.replace(&chat, &"0".repeat(32));
        let (theirs, nobodys) = (
            world.get(page, &world.bob).await,
            world.get(&unknown, &world.bob).await,
        );
        assert_eq!(theirs.text(), nobodys.text());
    }
    let listed = world.get("/chats", &world.bob).await.expect(200);
    assert!(!listed.text().contains(&chat) && !listed.text().contains("Kites"));
}

#[tokio::test]
async fn whoever_is_signed_in_begins_at_a_page_of_theirs() {
    let world = World::new().await;
    let home = async |token: &str| {
        let answer = world.get("/", token).await;
        let location = answer.header(header::LOCATION).to_owned();
        if !location.is_empty() {
            world.get(&location, token).await.expect(200);
        }
        location
    };
    assert_eq!(home("").await, "");
    assert_eq!(home(&world.ada).await, "/chats");
    assert_eq!(home(&world.eve).await, "/account");
    let on = json!({"showcase": "authenticated"});
    let settings = "/api/v1/admin/settings";
    world.patch(settings, &world.root, on).await.expect(200);
    assert_eq!(home(&world.eve).await, "/showcase");
    assert_eq!(home(&world.ada).await, "/chats");
}

#[tokio::test]
async fn the_number_of_a_chats_shares_leads_to_them() {
    let world = World::new().await;
    let (chat, other) = (world.chat(&world.ada).await, world.chat(&world.ada).await);
    let named =
        json!({"chat": chat, "updates": "live", "visibility": "public", "name": "Other words"});
    world
        .post("/api/v1/shares", &world.ada, named)
        .await
        .expect(201);
    for chat in [&chat, &other] {
        world.share(&world.ada, chat, "frozen", "public").await;
    }
    let page = format!("/shares?chat={chat}");
    let chats = world.get("/chats", &world.ada).await.expect(200).text();
    assert!(chats.contains(&format!("{page}\"")));
    let shown = world.get(&page, &world.ada).await.expect(200).text();
    assert_eq!(shown.matches("<li class=\"row share\"").count(), 2);
    assert!(shown.contains("Other words") && shown.contains("Only shares of"));
    assert!(!shown.contains("delete-all"));
    let theirs = world.get(&page, &world.bob).await.expect(200).text();
    assert!(!theirs.contains("<li class=\"row share\"") && !theirs.contains("Kites"));
    let all = world
        .get("/shares?chat=x", &world.ada)
        .await
        .expect(200)
        .text();
    assert_eq!(all.matches("<li class=\"row share\"").count(), 3);
}

#[tokio::test]
async fn owners_are_told_while_nothing_is_public() {
    let world = World::new().await;
    let chat = world.chat(&world.ada).await;
    world.share(&world.ada, &chat, "live", "public").await;
    world.share(&world.ada, &chat, "frozen", "private").await;
    let share = format!("/chats/{chat}/share");
    let off = "Public sharing is switched off on this server";
    for is_on in [true, false] {
        let switch = json!({"public_sharing": is_on});
        let settings = "/api/v1/admin/settings";
        world.patch(settings, &world.root, switch).await.expect(200);
        for page in ["/shares", &share] {
            let shown = world.get(page, &world.ada).await.expect(200).text();
            assert_eq!(shown.contains(off), !is_on, "{page}");
        }
        let shown = world.get(&share, &world.ada).await.text();
        let radio = r#"name="visibility" value="public" disabled"#;
        assert_eq!(shown.contains(radio), !is_on);
        let shown = world.get("/shares", &world.ada).await.text();
        let switches = shown.split("data-do=\"public\"").skip(1);
        let switches: Vec<&str> = switches.filter_map(|at| at.split('>').next()).collect();
        // Open pages of frozen shares tell nobody.
        assert_eq!(shown.matches("0 readers").count(), 1);
        let can_be_made_public = switches.iter().filter(|at| !at.ends_with(" disabled"));
        assert_eq!(can_be_made_public.count(), if is_on { 2 } else { 1 });
    }
}

#[tokio::test]
async fn other_sites_change_nothing() {
    let world = World::new().await;
    let signed_in = world.sign_in("ada", "password of ada", "/").await;
    let cookie = crate::world::cookie(&signed_in);
    let chat = world.chat(&world.ada).await;
    world
        .patch(
            &format!("/api/v1/chats/{chat}/messages/m1"),
            &world.ada,
            json!({"text": "x"}),
        )
        .await
        .expect(204);
    for (method, path) in [
        ("PATCH", format!("/api/v1/chats/{chat}")),
        ("DELETE", format!("/api/v1/chats/{chat}")),
        ("POST", format!("/api/v1/chats/{chat}/history/1/undo")),
        ("DELETE", "/api/v1/shares".to_owned()),
        ("POST", "/api/v1/import".to_owned()),
        ("POST", "/api/v1/inspect".to_owned()),
    ] {
        let request = World::request(method, &path, "")
            .header(header::COOKIE, &cookie)
            .header(header::CONTENT_TYPE, "application/json")
            .header("sec-fetch-site", "cross-site")
            .body(axum::body::Body::from("{\"all\":true}"))
            .unwrap();
        world.send(request).await.expect_error(403, "cross_site");
    }
}

/// A text that looks like the mark of a secret says nothing of what was taken out.
#[tokio::test]
async fn a_preview_names_no_kind_of_secret_that_is_none() {
    let world = World::new().await;
    let chat = world.chat(&world.ada).await;
    let path = format!("/api/v1/chats/{chat}");
    let text = format!(
        "[redacted: all] [redacted: example values] ghp_{}",
        "b4K9".repeat(9)
    );
    let message = json!({"id": "m3", "role": "user", "text": text});
    let messages = format!("{path}/messages");
    let sent = world.post(&messages, &world.ada, message).await;
    sent.expect(200);
    let preview = world.get(&format!("{path}/preview"), &world.ada).await;
    let preview = preview.expect(200).json();
    assert_eq!(preview["redacted"], json!({"GitHub token": 1}));
}
