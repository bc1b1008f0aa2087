//! Signing in and out as browsers do, and what other sites cannot do with it.

use std::{
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use axum::{body::Body, http::header};
use readalong_server::OidcOptions;
use serde_json::json;

use crate::world::{Answer, World, cookie};

async fn with_cookie(
    world: &World,
    method: &str,
    path: &str,
    cookie: &str,
    more: &[(&str, &str)],
) -> Answer {
    let mut request = World::request(method, path, "").header(header::COOKIE, cookie);
    for (name, value) in more {
        request = request.header(*name, *value);
    }
    let body = match method {
        "POST" if path.starts_with("/api") => {
            request = request.header(header::CONTENT_TYPE, "application/json");
            Body::from("{}")
        }
        _ => Body::empty(),
    };
    world.send(request.body(body).unwrap()).await
}

#[tokio::test]
async fn a_session_is_a_cookie_that_scripts_cannot_read() {
    let world = World::new().await;
    let signed_in = world
        .sign_in("ada", "password of ada", "/s/x/")
        .await
        .expect(303);
    assert_eq!(signed_in.header(header::LOCATION), "/s/x/");
    let cookie_line = signed_in.header(header::SET_COOKIE).to_owned();
    for part in [
        "readalong-",
        "HttpOnly",
        "SameSite=Lax",
        "Path=/",
        "Max-Age=2592000",
    ] {
        assert!(cookie_line.contains(part), "{cookie_line}");
    }
    assert!(
        !cookie_line.contains("Secure") && !cookie_line.contains("Domain"),
        "{cookie_line}"
    );
    let session = cookie(&signed_in);
    assert!(
        session.len() >= "readalong-01234567=".len() + 43,
        "{session}"
    );
    with_cookie(&world, "GET", "/api/v1/chats", &session, &[])
        .await
        .expect(200);
    with_cookie(&world, "POST", "/signout", &session, &[])
        .await
        .expect(303);
    with_cookie(&world, "GET", "/api/v1/chats", &session, &[])
        .await
        .expect_error(401, "unauthorized");
}

/// Browsers send the cookies of a host to all its ports.
#[tokio::test]
async fn two_servers_of_one_host_leave_each_others_sessions() {
    let mut sessions = Vec::new();
    let mut worlds = Vec::new();
    for url in [
        "http://chats.test:8080",
        "http://chats.test:8081",
        "http://chats.test:8080/b",
    ] {
        let world = World::with(|options| options.base_url = Some(url.to_owned())).await;
        let signed_in = world
            .sign_in("ada", "password of ada", "/")
            .await
            .expect(303);
        sessions.push(cookie(&signed_in));
        worlds.push(world);
    }
    let all = sessions.join("; ");
    for world in &worlds {
        with_cookie(world, "GET", "/api/v1/chats", &all, &[])
            .await
            .expect(200);
    }
    let out = with_cookie(&worlds[1], "POST", "/signout", &all, &[])
        .await
        .expect(303);
    let gone = cookie(&out);
    let [first, second, third] = [0, 1, 2].map(|place| sessions[place].starts_with(&gone));
    assert!(second && !first && !third, "{gone}: {sessions:?}");
}

#[tokio::test]
async fn on_https_the_cookie_is_bound_to_the_host() {
    let world =
        World::with(|options| options.base_url = Some("https://chats.test".to_owned())).await;
    let signed_in = world
        .sign_in("ada", "password of ada", "/")
        .await
        .expect(303);
    let line = signed_in.header(header::SET_COOKIE);
    assert!(
        line.starts_with("__Host-readalong=") && line.contains("Secure"),
        "{line}"
    );
    let plain = cookie(&signed_in).replace("__Host-", "");
    with_cookie(&world, "GET", "/api/v1/chats", &plain, &[])
        .await
        .expect(401);
    with_cookie(&world, "GET", "/api/v1/chats", &cookie(&signed_in), &[])
        .await
        .expect(200);
}

#[tokio::test]
async fn a_session_is_new_at_every_sign_in() {
    let world = World::new().await;
    let session = cookie(&world.sign_in("bob", "password of bob", "/").await);
    let (name, _) = session.split_once('=').unwrap();
    let planted = format!("{name}=planted-by-somebody-else");
    with_cookie(&world, "GET", "/api/v1/chats", &planted, &[])
        .await
        .expect(401);
    let first = cookie(
        &world
            .sign_in("ada", "password of ada", "/")
            .await
            .expect(303),
    );
    assert!(!planted.contains(&first));
    let form = b"name=ada&password=password+of+ada".to_vec();
    let request = World::request("POST", "/signin", "")
        .header(header::COOKIE, &first)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let second = cookie(
        &world
            .send(request.body(Body::from(form)).unwrap())
            .await
            .expect(303),
    );
    assert_ne!(first, second);
    with_cookie(&world, "GET", "/api/v1/chats", &first, &[])
        .await
        .expect(401);
    with_cookie(&world, "GET", "/api/v1/chats", &second, &[])
        .await
        .expect(200);
}

#[tokio::test]
async fn nobody_is_led_to_another_site() {
    let world = World::new().await;
    for foreign in [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/a\r\nX: y",
        "",
    ] {
        let signed_in = world
            .sign_in("ada", "password of ada", foreign)
            .await
            .expect(303);
        assert_eq!(signed_in.header(header::LOCATION), "/", "{foreign:?}");
    }
    let form = world
        .get("/signin?next=%22%3E%3Cscript%3E", "")
        .await
        .expect(200)
        .text();
    assert!(!form.contains("<script>"), "{form}");
    let form = world
        .get("/signin?next=/s/x/7.html", "")
        .await
        .expect(200)
        .text();
    assert!(form.contains("value=\"/s/x/7.html\""), "{form}");
}

#[tokio::test]
async fn another_site_can_change_nothing_with_a_readers_cookie() {
    let world = World::new().await;
    let session = cookie(
        &world
            .sign_in("ada", "password of ada", "/")
            .await
            .expect(303),
    );
    for foreign in [
        &[("sec-fetch-site", "cross-site")][..],
        &[("sec-fetch-site", "same-site")],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[
            ("sec-fetch-site", "cross-site"),
            ("origin", "http://chats.test"),
        ],
    ] {
        let refused = with_cookie(&world, "POST", "/api/v1/chats", &session, foreign).await;
        refused.expect_error(403, "cross_site");
        for path in ["/signout", "/signin"] {
            let refused = with_cookie(&world, "POST", path, &session, foreign).await;
            let page = refused.expect(403).text();
            assert!(page.contains("<h1>Not from here</h1>"), "{path}: {page}");
        }
    }
    for own in [
        &[("sec-fetch-site", "same-origin")][..],
        &[("origin", "http://chats.test")],
        &[],
    ] {
        with_cookie(&world, "POST", "/api/v1/chats", &session, own)
            .await
            .expect(201);
    }
    // Reading is harmless: the other site does not see the answer.
    with_cookie(
        &world,
        "GET",
        "/api/v1/chats",
        &session,
        &[("sec-fetch-site", "cross-site")],
    )
    .await
    .expect(200);
    let answer = with_cookie(
        &world,
        "GET",
        "/api/v1/chats",
        &session,
        &[("origin", "https://evil.example")],
    )
    .await;
    assert!(!answer.headers.contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn pages_with_forms_say_to_this_server_alone_where_a_form_came_from() {
    let world = World::new().await;
    let session = cookie(
        &world
            .sign_in("ada", "password of ada", "/")
            .await
            .expect(303),
    );
    for (path, policy) in [
        ("/signin", "same-origin"),
        ("/signout", "same-origin"),
        ("/account", "same-origin"),
        ("/s/nothing/", "no-referrer"),
    ] {
        let page = with_cookie(&world, "GET", path, &session, &[]).await;
        assert_eq!(page.header(header::REFERRER_POLICY), policy, "{path}");
        let text = page.text();
        // Of several in a page the last one counts.
        let (_, last) = text.rsplit_once("<meta name=\"referrer\"").unwrap();
        let said = format!(" content=\"{policy}\">");
        assert!(last.starts_with(&said), "{path}: {text}");
    }
}

#[tokio::test]
async fn a_sign_in_link_works_once_and_for_people_only() {
    let world = World::new().await;
    let eve = world
        .get("/api/v1/users/me", &world.eve)
        .await
        .expect(200)
        .json();
    let path = format!("/api/v1/users/{}/signin_link", eve["id"]);
    let link = world
        .bare("POST", &path, &world.root)
        .await
        .expect(201)
        .json();
    let url = link["url"].as_str().unwrap();
    let path = &url[url.find("/signin").unwrap()..];
    let head = world.bare("HEAD", path, "").await.expect(200);
    assert!(!head.headers.contains_key(header::SET_COOKIE));
    for (name, value) in [
        ("sec-purpose", "prefetch"),
        ("sec-fetch-dest", "image"),
        ("sec-fetch-dest", "iframe"),
    ] {
        let request = World::request("GET", path, "").header(name, value);
        let answer = world
            .send(request.body(Body::empty()).unwrap())
            .await
            .expect(200);
        assert!(!answer.headers.contains_key(header::SET_COOKIE), "{value}");
    }
    let session = cookie(&world.get(path, "").await.expect(303));
    let me = with_cookie(&world, "GET", "/api/v1/users/me", &session, &[])
        .await
        .expect(200)
        .json();
    assert_eq!(me["name"], "eve");
    world.get(path, "").await.expect(401);
    world.get("/signin?token=x", "").await.expect(401);
    world
        .bare("POST", "/api/v1/users/999/signin_link", &world.root)
        .await
        .expect_error(404, "not_found");
}

#[tokio::test]
async fn unknown_names_are_answered_as_wrong_passwords_and_as_slowly() {
    let world = World::new().await;
    let mut fastest = [Duration::MAX; 2];
    let mut texts = [String::new(), String::new()];
    // By turns, and the fastest of each: other tests hash passwords at the same time.
    for _ in 0..5 {
        for (place, name) in ["eve", "xyz"].into_iter().enumerate() {
            let begin = Instant::now();
            let refused = world
                .sign_in(name, "a wrong password", "/")
                .await
                .expect(401);
            fastest[place] = fastest[place].min(begin.elapsed());
            texts[place] = refused.text().replace(name, "NAME");
        }
    }
    assert_eq!(texts[0], texts[1]);
    let ratio = fastest[0].as_secs_f64() / fastest[1].as_secs_f64();
    assert!((0.33..3.0).contains(&ratio), "{fastest:?}");
}

#[tokio::test]
async fn guessing_has_to_wait() {
    let world = World::new().await;
    for _ in 0..5 {
        world
            .sign_in("ada", "a wrong password", "/")
            .await
            .expect(401);
    }
    let refused = world
        .sign_in("ada", "password of ada", "/")
        .await
        .expect(429);
    assert!(refused.header(header::RETRY_AFTER).parse::<u64>().unwrap() >= 1);
    world
        .sign_in("bob", "password of bob", "/")
        .await
        .expect(303);
}

#[tokio::test]
async fn a_form_that_is_none_is_refused_politely() {
    let world = World::new().await;
    for (media_type, body) in [
        ("text/plain", "x"),
        ("application/x-www-form-urlencoded", "%ff%zz=&&=&name"),
        ("", ""),
    ] {
        let answer = world
            .raw("POST", "/signin", "", media_type, body.into())
            .await;
        assert!([400, 401].contains(&answer.status), "{}", answer.status);
        assert!(answer.text().contains("<form"), "{}", answer.text());
    }
    let large = format!("name={}", "x".repeat(20_000));
    let answer = world
        .raw(
            "POST",
            "/signin",
            "",
            "application/x-www-form-urlencoded",
            large.into_bytes(),
        )
        .await;
    answer.expect(400);
    let session = json!({"name": "ada", "password": "password of ada"});
    world.post("/signin", "", session).await.expect(400);
}

/// It takes connections and says nothing. What asks it waits on a thread that others need.
#[tokio::test]
async fn a_provider_that_hangs_holds_few_threads() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let world = World::with(|options| {
        options.signin.oidc = Some(OidcOptions {
            issuer: format!("http://{address}"),
            client_id: "readalong".to_owned(),
            client_secret: None,
            name: "It".to_owned(),
        });
    })
    .await;
    let asked = Arc::new(AtomicUsize::new(0));
    let (end, ends) = std::sync::mpsc::channel::<()>();
    let asked_there = asked.clone();
    let provider = thread::spawn(move || {
        listener.set_nonblocking(true).unwrap();
        let mut held = Vec::new();
        while ends.recv_timeout(Duration::from_millis(1)).is_err() {
            held.extend(listener.accept());
            asked_there.store(held.len(), Ordering::SeqCst);
        }
    });
    let sign_ins: Vec<_> = (0..40)
        .map(|_| {
            let request = World::request("GET", "/signin/oidc", "");
            let request = request.body(Body::empty()).unwrap();
            tokio::spawn(tower::ServiceExt::oneshot(world.router.clone(), request))
        })
        .collect();
    let begun = Instant::now();
    while asked.load(Ordering::SeqCst) < 8 {
        assert!(begun.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for _ in 0..50 {
        world.get("/api/v1/chats", &world.ada).await.expect(200);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 8);
    end.send(()).unwrap();
    provider.join().unwrap();
    for sign_in in sign_ins {
        let answer = sign_in.await.unwrap().unwrap();
        assert_eq!(answer.status(), 502);
    }
}
