//! The one gate: every route of a share, for every visibility, state, caller, with artifacts and without.

#![allow(clippy::unwrap_used)]

mod world;

use axum::body::Body;
use http::{Method, StatusCode, header};
use readalong_model::{Digest, ShareId, Timestamp};
use serde_json::json;
use world::{Got, PICTURE, SECRET, Who, World};

/// A page to open, or something to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Open,
    Take,
}

/// What a link may have become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Live,
    Frozen,
    Deleted,
    DeletedWhileFrozen,
    ChatDeleted,
    Expired,
    NeverExisted,
    Invalid,
}

const STATES: [State; 8] = [
    State::Live,
    State::Frozen,
    State::Deleted,
    State::DeletedWhileFrozen,
    State::ChatDeleted,
    State::Expired,
    State::NeverExisted,
    State::Invalid,
];

impl State {
    fn is_there(self) -> bool {
        matches!(self, Self::Live | Self::Frozen)
    }
}

/// Routes of a share and what the owner of a public one with artifacts gets. A live one has no bundle.
fn routes(state: State, picture: &str) -> Vec<(String, Verb, StatusCode)> {
    use StatusCode as S;
    use Verb::{Open, Take};
    let of_bundle = match state {
        State::Frozen => S::OK,
        _ => S::NOT_FOUND,
    };
    let fixed = [
        ("/", Open, S::OK),
        ("", Open, S::PERMANENT_REDIRECT),
        ("/index.html", Open, S::OK),
        ("/contents.html", Open, S::OK),
        ("/nothing.html", Open, S::NOT_FOUND),
        ("/chat.json", Take, S::OK),
        ("/chat.md", Take, S::OK),
        ("/data/anchors.js", Take, S::OK),
        ("/data/search-index.js", Take, S::OK),
        ("/qr.svg", Take, S::OK),
        ("/qr.png", Take, S::OK),
        ("/live", Take, S::UPGRADE_REQUIRED),
        ("/events", Take, S::UPGRADE_REQUIRED),
        ("/data/bundle.js", Take, of_bundle),
        ("/bundle.zip", Take, of_bundle),
        ("/manifest.txt", Take, S::NOT_FOUND),
        ("/../../readalong.db", Take, S::NOT_FOUND),
        ("/%2e%2e/%2e%2e/readalong.db", Take, S::NOT_FOUND),
        ("/files/..%2f..%2freadalong.db", Take, S::NOT_FOUND),
        ("//", Take, S::NOT_FOUND),
    ];
    let mut routes: Vec<_> = fixed
        .map(|(path, verb, status)| (path.to_owned(), verb, status))
        .into();
    routes.push((format!("/{picture}"), Take, S::OK));
    routes
}

async fn share_in(world: &World, state: State, visibility: &str, artifacts: bool) -> String {
    match state {
        State::NeverExisted => return ShareId::from_random([7; 16]).to_string(),
        State::Invalid => return "not-an-id".to_owned(),
        _ => {}
    }
    let chat = world.chat().await;
    let updates = match state {
        State::Frozen | State::DeletedWhileFrozen => "frozen",
        _ => "live",
    };
    let share = world.share(&chat, updates, visibility, artifacts).await;
    // Something was looked at before it went away, so that caches have it.
    let seen = world.get(&format!("/s/{share}/"), &world.owner()).await;
    assert_eq!(seen.status, StatusCode::OK, "{}", seen.text());
    match state {
        State::Deleted | State::DeletedWhileFrozen => world.delete_share(&share).await,
        State::ChatDeleted => {
            world
                .send(
                    Method::DELETE,
                    &format!("/api/v1/chats/{chat}"),
                    json!(null),
                )
                .await;
        }
        State::Expired => {
            world
                .change_share(&share, json!({ "expires_at": soon(300) }))
                .await;
            let path = format!("/s/{share}/");
            world
                .until(async || {
                    world.get(&path, &world.owner()).await.status == StatusCode::NOT_FOUND
                })
                .await;
        }
        _ => {}
    }
    share
}

/// A moment from now.
fn soon(in_ms: i64) -> String {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    Timestamp::from_millis(since.as_millis() as i64 + in_ms)
        .unwrap()
        .to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_byte_of_a_share_passes_the_gate() {
    let world = World::start().await;
    let (_, other) = world.user("grace", "viewer").await;
    let callers = [Who::Nobody, other, world.owner(), Who::BadToken];
    let picture = format!("files/{}.png", Digest::of(PICTURE));
    let gone = world.get("/s/nothing/", &Who::Nobody).await.body;
    let mut asked = 0;
    for state in STATES {
        for visibility in ["public", "private"] {
            for artifacts in [true, false] {
                let share = share_in(&world, state, visibility, artifacts).await;
                for who in &callers {
                    for (route, verb, when_let_in) in routes(state, &picture) {
                        let path = format!("/s/{share}{route}");
                        let is_let_in =
                            visibility == "public" || !matches!(who, Who::Nobody | Who::BadToken);
                        let expected = match (state.is_there(), is_let_in) {
                            (false, _) => StatusCode::NOT_FOUND,
                            (true, false) if *who == Who::Nobody && verb == Verb::Open => {
                                StatusCode::SEE_OTHER
                            }
                            (true, false) => StatusCode::UNAUTHORIZED,
                            (true, true) if route.contains(&picture) && !artifacts => {
                                StatusCode::NOT_FOUND
                            }
                            (true, true) => when_let_in,
                        };
                        for method in [Method::GET, Method::HEAD] {
                            let answer = world
                                .ask(method.clone(), &path, who, &[], Body::empty())
                                .await;
                            let case = format!(
                                "{method} {route} of a {visibility} {state:?} share, artifacts {artifacts}, by {who:?}"
                            );
                            assert_eq!(answer.status, expected, "{case}: {}", answer.text());
                            asked += 1;
                            if !answer.status.is_success() {
                                assert!(!answer.text().contains(SECRET), "{case}");
                                assert!(!answer.text().contains("Kites"), "{case}");
                            }
                            if answer.status == StatusCode::NOT_FOUND && method == Method::GET {
                                assert_eq!(answer.body, gone, "{case}: gone in other words");
                            }
                            if answer.status == StatusCode::SEE_OTHER {
                                assert_eq!(
                                    answer.header(header::LOCATION),
                                    format!("/signin?next={}", path.replace("//", "/")),
                                    "{case}"
                                );
                            }
                            let kept = answer.header(header::CACHE_CONTROL);
                            assert!(
                                visibility == "public" || kept.contains("no-store"),
                                "{case}: {kept}"
                            );
                            for (name, value) in [
                                ("x-content-type-options", "nosniff"),
                                ("referrer-policy", "no-referrer"),
                                ("x-robots-tag", "noindex, nofollow"),
                                ("cross-origin-opener-policy", "same-origin"),
                                ("cross-origin-resource-policy", "same-origin"),
                            ] {
                                let name = http::HeaderName::from_static(name);
                                assert_eq!(answer.header(name), value, "{case}");
                            }
                            assert!(
                                answer
                                    .header(header::CONTENT_SECURITY_POLICY)
                                    .contains("default-src 'none'"),
                                "{case}"
                            );
                        }
                    }
                }
            }
        }
    }
    assert!(asked > 4_000, "{asked}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_and_event_streams_pass_the_gate() {
    let world = World::start().await;
    let (_, other) = world.user("grace", "viewer").await;
    let callers = [Who::Nobody, other, world.owner(), Who::BadToken];
    for state in STATES {
        for visibility in ["public", "private"] {
            let share = share_in(&world, state, visibility, false).await;
            for who in &callers {
                let is_let_in =
                    visibility == "public" || !matches!(who, Who::Nobody | Who::BadToken);
                let code = match (state, is_let_in) {
                    (State::Live, true) => None,
                    (State::Frozen, true) => Some(4410),
                    (state, false) if state.is_there() => Some(4401),
                    _ => Some(4404),
                };
                let case = format!("a {visibility} {state:?} share, by {who:?}");
                let mut viewer = world.watch(&format!("/s/{share}/live"), who).await.unwrap();
                match code {
                    None => assert!(viewer.frame().await.get("hello").is_some(), "{case}"),
                    Some(code) => {
                        assert_eq!(viewer.end().await, (vec![], Got::Closed(code)), "{case}")
                    }
                }
                if let Some(code) = code {
                    let accept = [(header::ACCEPT, "text/event-stream")];
                    let path = format!("/s/{share}/events");
                    let answer = world
                        .ask(Method::GET, &path, who, &accept, Body::empty())
                        .await;
                    assert_eq!(
                        answer.text(),
                        format!("event: close\ndata: {{\"code\":{code}}}\n\n"),
                        "{case}"
                    );
                }
            }
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_other_sites_cannot_watch() {
    let world = World::start().await;
    let chat = world.chat().await;
    let share = world.share(&chat, "live", "public", false).await;
    let ask = async |origin: &str| {
        let headers = [
            (header::ORIGIN, origin),
            (header::ACCEPT, "text/event-stream"),
        ];
        let path = format!("/s/{share}/events?epoch=x&after=0");
        let ask = world.ask(Method::GET, &path, &Who::Nobody, &headers, Body::empty());
        // A stream that is let in does not end.
        match tokio::time::timeout(std::time::Duration::from_millis(300), ask).await {
            Ok(answer) => Some(answer.status),
            Err(_) => None,
        }
    };
    for origin in [
        "https://evil.example",
        "null",
        "http://127.0.0.1:1",
        "file://",
        "",
    ] {
        assert_eq!(ask(origin).await, Some(StatusCode::FORBIDDEN), "{origin}");
    }
    let own = format!("http://{}", world.addr);
    assert_eq!(ask(&own).await, None);
    let path = format!("/s/{share}/events?epoch=x&after=0");
    let two = [
        (header::ORIGIN, own.as_str()),
        (header::ORIGIN, "https://evil.example"),
    ];
    let answer = world.get_with(&path, &two);
    let answer = tokio::time::timeout(std::time::Duration::from_secs(5), answer).await;
    let status = answer.expect("a stream is let in").status;
    assert_eq!(status, StatusCode::FORBIDDEN);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn legacy_links_answer_at_their_old_path_until_they_expire() {
    let world = World::start().await;
    let chat = world.chat().await;
    let far = "2090-01-01T00:00:00Z";
    let list = format!(
        "path,chat,expires_at\n/shared/old one?,{chat},{far}\n/shared/abc,{chat},{far}\n/brief,{chat},{}\n",
        soon(2_000)
    );
    let list = list.replace("/shared/old one?", "/shared/deep/er");
    let csv = [(header::CONTENT_TYPE, "text/csv")];
    let answer = world
        .ask(
            Method::POST,
            "/api/v1/legacy_links",
            &world.owner(),
            &csv,
            Body::from(list),
        )
        .await;
    assert!(answer.status.is_success(), "{}", answer.text());
    for path in ["/shared/abc", "/shared/deep/er"] {
        let answer = world.get(path, &Who::Nobody).await;
        assert_eq!(answer.status, StatusCode::PERMANENT_REDIRECT, "{path}");
        assert_eq!(answer.header(header::LOCATION), format!("{path}/"));
        let page = world.get(&format!("{path}/"), &Who::Nobody).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(page.text().contains(SECRET));
        let copy = world.get(&format!("{path}/chat.md"), &Who::Nobody).await;
        assert_eq!(copy.status, StatusCode::OK);
        let picture = format!("{path}/files/{}.png", Digest::of(PICTURE));
        assert_eq!(
            world.get(&picture, &Who::Nobody).await.status,
            StatusCode::NOT_FOUND
        );
        let mut viewer = world
            .watch(&format!("{path}/live"), &Who::Nobody)
            .await
            .unwrap();
        assert!(viewer.frame().await.get("hello").is_some());
    }
    world
        .until(async || world.get("/brief", &Who::Nobody).await.status == StatusCode::NOT_FOUND)
        .await;
    assert_eq!(
        world.get("/brief/", &Who::Nobody).await.status,
        StatusCode::NOT_FOUND
    );
    for path in ["/", "/shared", "/shared/", "/shared/abcd", "/shared/deep"] {
        let answer = world.get(path, &Who::Nobody).await;
        assert!(!answer.text().contains(SECRET), "{path}");
    }
    // The chat takes its old links along.
    let mut viewer = world.watch("/shared/abc/live", &Who::Nobody).await.unwrap();
    world
        .send(
            Method::DELETE,
            &format!("/api/v1/chats/{chat}"),
            json!(null),
        )
        .await;
    assert_eq!(viewer.end().await.1, Got::Closed(4404));
    assert_eq!(
        world.get("/shared/abc/", &Who::Nobody).await.status,
        StatusCode::NOT_FOUND
    );
    world.stop().await;
}
