//! Who gets in: the making of the first account on a server that others reach, and whom a proxy in front has signed in.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::{
    commands::add_user,
    served::{Running, Served, done_on, get, on, try_ask, wait_for},
    world::{World, run},
};

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

/// A server at an address that others reach: the program, where it is reached here, and what its link holds.
fn open_to_others(world: &World) -> (Running, String, String) {
    let mut command = on(&world.path("data"));
    let server = Running::start(command.args(["serve", "--addr", "0.0.0.0:0"]));
    let out = wait_for("it says what to do", || {
        Some(server.out()).filter(|out| out.contains("token="))
    });
    let link = out
        .split_whitespace()
        .find(|word| word.contains("/setup?token="));
    let (url, token) = link.unwrap().split_once("/setup?token=").unwrap();
    (server, url.to_owned(), token.to_owned())
}

fn post(url: &str, body: &str) -> crate::served::Answer {
    try_ask("POST", url, &[FORM], body.as_bytes()).unwrap()
}

#[test]
fn the_page_to_sign_in_says_how_one_gets_in() {
    let world = World::new();
    let served = Served::start(&world);
    let page = |path: &str| get(&format!("{}/signin{path}", served.api.url)).text();
    for path in ["", "?token=used"] {
        assert!(page(path).contains("prints a new link"), "{}", page(path));
    }
    assert_eq!(
        add_user(&served.data, "ada", "correct-horse", &["--admin"]).code,
        0
    );
    assert!(!page("").contains("prints a new link"));
    let private = page("?next=/s/0123456789abcdef0123456789abcdef/");
    assert!(private.contains("signed-in viewers only"), "{private}");
}

#[test]
fn a_server_that_others_reach_serves_nothing_before_there_is_an_account() {
    let world = World::new();
    let (mut server, url, token) = open_to_others(&world);
    for path in [
        "/",
        "/signin",
        "/s/x/",
        "/api/v1/chats",
        "/metrics",
        "/openapi.json",
        "/assets/x",
        "/rpc/meta",
    ] {
        let answer = get(&format!("{url}{path}"));
        assert_eq!(answer.status, 503, "{path}");
        // Programs get an error in their shape.
        let words = match path.starts_with("/api/") || path.starts_with("/rpc/") {
            true => "waits for its first account",
            false => "being set up",
        };
        assert!(answer.text().contains(words), "{path}: {}", answer.text());
        assert!(!answer.text().contains(&token));
    }
    let health = get(&format!("{url}/health"));
    assert_eq!(
        health.status, 200,
        "it waits for its operator, and is not dead"
    );
    assert!(health.text().contains("\"setup\""), "{}", health.text());
    let setup = format!("{url}/setup");
    assert_eq!(get(&setup).status, 403);
    assert_eq!(get(&format!("{setup}?token=wrong")).status, 403);
    let wrong = post(&setup, "token=wrong&name=ada&password=correct-horse");
    assert_eq!(wrong.status, 403);
    let short = post(
        &setup,
        &format!("token={token}&name=ada%22%3E&password=short"),
    );
    assert_eq!(short.status, 400);
    assert!(
        short.text().contains("8 to") && short.text().contains("ada&quot;&gt;"),
        "{}",
        short.text()
    );
    assert_eq!(get(&format!("{setup}?token={token}")).status, 200);

    let form = format!("token={token}&name=ada&password=correct-horse");
    let made = post(&setup, &form);
    assert_eq!(made.status, 303, "{}", made.text());
    let cookie = made.headers["set-cookie"]
        .to_str()
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    let me = try_ask(
        "GET",
        &format!("{url}/api/v1/users/me"),
        &[("Cookie", &cookie)],
        &[],
    )
    .unwrap();
    assert_eq!(me.json()["name"], "ada");
    assert_eq!(me.json()["role"], "admin");
    // The link has done its work.
    assert_eq!(post(&setup, &form).status, 404);
    assert_eq!(get(&format!("{setup}?token={token}")).status, 404);
    assert_eq!(get(&format!("{url}/signin")).status, 200);
    server.stop("-TERM");
    // And is not printed again.
    let mut command = on(&world.path("data"));
    let mut again = Running::start(command.args(["serve", "--addr", "0.0.0.0:0"]));
    wait_for("it serves", || {
        again.out().contains("readalong serves").then_some(())
    });
    assert!(!again.out().contains("token="), "{}", again.out());
    again.stop("-TERM");
}

#[test]
fn a_command_makes_the_first_account_as_well() {
    let world = World::new();
    let (mut server, url, token) = open_to_others(&world);
    assert_eq!(get(&format!("{url}/signin")).status, 503);
    let data = world.path("data");
    let added = add_user(&data, "ada", "correct-horse", &["--admin"]);
    assert_eq!(added.code, 0, "{}", added.err);
    assert_eq!(get(&format!("{url}/signin")).status, 200);
    let late = post(
        &format!("{url}/setup"),
        &format!("token={token}&name=eve&password=correct-horse"),
    );
    assert_eq!(late.status, 404);
    server.stop("-TERM");
}

/// Who the server takes somebody for, by their headers.
fn me(server: &Served, headers: &[(&str, &str)]) -> Option<(String, String)> {
    let url = format!("{}/api/v1/users/me", server.api.url);
    let answer = try_ask("GET", &url, headers, &[]).unwrap();
    match answer.status {
        200 => {
            let me = answer.json();
            let text = |name: &str| me[name].as_str().unwrap().to_owned();
            Some((text("name"), text("role")))
        }
        status => {
            assert_eq!(status, 401, "{}", answer.text());
            None
        }
    }
}

#[test]
fn a_proxy_that_is_named_says_who_people_are_and_nobody_else_does() {
    let world = World::new();
    let data = world.path("data");
    let header = "signin.user_header = 'X-Forwarded-User'\n";
    let trusted = world.write(
        "trusted.toml",
        format!("trusted_proxies = ['127.0.0.1']\n{header}"),
    );
    let other = world.write(
        "other.toml",
        format!("trusted_proxies = ['192.0.2.1']\n{header}"),
    );
    let as_ada = [("X-Forwarded-User", "ada")];

    let server = Served::with(&data, &["--config", other.to_str().unwrap()]);
    assert_eq!(me(&server, &as_ada), None, "this machine is not the proxy");
    assert_eq!(me(&server, &[("X-Readalong-User", "owner")]), None);
    let forwarded = [as_ada[0], ("X-Forwarded-For", "192.0.2.1")];
    assert_eq!(
        me(&server, &forwarded),
        None,
        "what a request says of itself is nothing"
    );
    drop(server);
    let users = done_on(&data, &["user", "list"]);
    assert!(!users.contains("ada"), "{users}");

    let server = Served::with(&data, &["--config", trusted.to_str().unwrap()]);
    let ada = me(&server, &as_ada);
    assert_eq!(ada, Some(("ada".to_owned(), "viewer".to_owned())));
    assert_eq!(me(&server, &[]), None);
    assert_eq!(me(&server, &[("X-Readalong-User", "owner")]), None);
    let twice = [as_ada[0], ("X-Forwarded-User", "owner")];
    assert_eq!(
        me(&server, &twice),
        None,
        "one of two was not written by the proxy"
    );
    assert_eq!(me(&server, &[("X-Forwarded-User", " ")]), None);
    done_on(&data, &["user", "role", "ada", "owner"]);
    assert_eq!(me(&server, &as_ada).unwrap().1, "owner");
    let page = |path: &str, headers| {
        let page = try_ask("GET", &format!("{}{path}", server.api.url), headers, &[]);
        page.unwrap().text()
    };
    let desk = page("/chats", &as_ada);
    assert!(desk.contains("Signed in as"), "{desk}");
    assert!(
        !desk.contains("signout"),
        "the proxy would sign them in again: {desk}"
    );
    drop(server);

    let refusing =
        format!("trusted_proxies = ['127.0.0.1']\n{header}signin.new_users = 'refuse'\n");
    let refusing = world.write("refusing.toml", refusing);
    let server = Served::with(&data, &["--config", refusing.to_str().unwrap()]);
    assert!(me(&server, &as_ada).is_some());
    assert_eq!(me(&server, &[("X-Forwarded-User", "bob")]), None);
}

#[test]
fn a_sign_in_that_could_not_be_believed_is_refused_at_the_start() {
    let world = World::new();
    for (text, words) in [
        ("signin.user_header = 'X-User'", "trusted_proxies"),
        (
            "trusted_proxies = ['127.0.0.1']\nsignin.user_header = 'a b'",
            "`a b` is no name of a header",
        ),
        (
            "signin.oidc.issuer = 'http://provider.example'\nsignin.oidc.client_id = 'x'",
            "has to begin with https://",
        ),
        (
            "signin.oidc.issuer = 'https://provider.example'",
            "client_id",
        ),
        ("signin.oidc.client_id = 'x'", "issuer"),
        ("signin.new_users = 'all'", "unknown variant"),
    ] {
        let file = world.write("config.toml", text);
        let mut command = on(&world.path("data"));
        let ran = run(command
            .args(["serve", "--addr", "127.0.0.1:0", "--config"])
            .arg(&file));
        assert_eq!(ran.code, 2, "{text}");
        assert!(ran.err.contains(words), "{}", ran.err);
    }
}
