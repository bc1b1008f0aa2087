//! Commands on a data folder as a person uses them: with a server and without, and when something is wrong.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs::{self, OpenOptions},
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant, SystemTime},
};

use serde_json::{Value, json};

use crate::{
    serve::holding,
    served::{
        PATIENCE, Running, Served, done_on, get, get_text, id, json_on, on, try_ask, try_on,
        wait_for, wait_until,
    },
    viewer::{Page, Viewer, all_items, assert_same_items, block_on},
    world::{Ran, Session, World, program, readalong, root, run},
};

/// A short session; its file.
fn session(world: &World) -> std::path::PathBuf {
    let session = Session::new()
        .prompt("How does a kite fly?")
        .answer("On the wind.");
    world.write("session.jsonl", session.text())
}

/// Line number so-and-so of a session that goes on.
fn line(number: usize, text: &str) -> String {
    let mut session = Session::new();
    for _ in 0..number {
        session = session.raw("");
    }
    let text = session.answer(text).text();
    text.trim_start_matches('\n').to_owned()
}

fn append(file: &Path, text: &str) {
    let mut file = OpenOptions::new().append(true).open(file).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// Fails unless a command failed and said this, and what to do next.
fn assert_refused(ran: &Ran, words: &[&str]) {
    assert_eq!(ran.code, 2, "{}{}", ran.out, ran.err);
    assert!(
        ran.err.starts_with("error: ") || ran.err.contains("\nerror: "),
        "{}",
        ran.err
    );
    for word in words {
        assert!(ran.err.contains(word), "`{word}` is not in: {}", ran.err);
    }
}

/// The only link in what a command printed.
fn link_in(out: &str) -> String {
    let links: Vec<&str> = out.lines().filter(|line| line.contains("/s/")).collect();
    assert_eq!(links.len(), 1, "{out}");
    links[0].trim().to_owned()
}

/// The path of a link: servers of tests have other ports.
fn path_of(link: &str) -> &str {
    &link[link.find("/s/").unwrap()..]
}

/// Makes a user with a password.
pub(crate) fn add_user(data: &Path, name: &str, password: &str, more: &[&str]) -> Ran {
    with_input(
        data,
        &[&["user", "add", name, "--password-stdin"], more].concat(),
        &format!("{password}\n"),
    )
}

fn with_input(data: &Path, args: &[&str], input: &str) -> Ran {
    let mut child = on(data)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that fails early does not read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let ran = Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    };
    assert!(!ran.err.contains("panicked"), "{}", ran.err);
    ran
}

/// Signs in with a password; the session's cookie.
fn sign_in(url: &str, name: &str, password: &str) -> Option<String> {
    let form = format!("name={name}&password={password}&next=/");
    let headers = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Origin", url),
    ];
    let answer = try_ask("POST", &format!("{url}/signin"), &headers, form.as_bytes()).unwrap();
    let cookie = answer.headers.get("set-cookie")?.to_str().unwrap();
    Some(cookie.split(';').next().unwrap().to_owned())
}

#[test]
fn a_frozen_share_needs_no_server_to_be_made() {
    let world = World::new();
    let (file, data) = (session(&world), world.path("data"));
    let ran = try_on(&data, &["share", file.to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(
        ran.out.lines().count(),
        1,
        "nothing but the link: {}",
        ran.out
    );
    assert!(
        ran.err.contains("How does a kite fly?")
            && ran.err.contains("frozen")
            && ran.err.contains("public"),
        "{}",
        ran.err
    );
    assert!(
        ran.err.contains("readalong serve"),
        "what makes the link work: {}",
        ran.err
    );
    let link = link_in(&ran.out);
    assert!(!data.join("server.json").exists());
    let share = json_on(&data, &["show", &link, "--json"]);
    assert_eq!(
        (&share["updates"], &share["visibility"], &share["artifacts"]),
        (&json!("frozen"), &json!("public"), &json!(false))
    );

    // The source may vanish: the share has its own copy.
    fs::remove_file(&file).unwrap();
    let mut served = Served::start(&world);
    let page = get_text(&format!("{}{}/", served.api.url, path_of(&link)));
    assert!(page.contains("On the wind.") && page.contains("How does a kite fly?"));
    // While a server runs its commands print links that work.
    let link = link_in(&served.done(&["list"]));
    assert!(get(&format!("{link}/")).status == 200, "{link}");
    served.running.stop("-TERM");
    let next = link_in(&done_on(&data, &["list"]));
    assert!(next.contains("127.0.0.1:4141"), "any port was free: {next}");
    served.again();
    drop(served);
    let again = link_in(&done_on(&data, &["list"]));
    assert_eq!(again, link, "where it was served last");
}

#[test]
fn a_second_share_of_a_file_is_of_the_same_chat() {
    let world = World::new();
    let (file, data) = (session(&world), world.path("data"));
    let name = file.to_str().unwrap();
    let first = json_on(&data, &["share", name, "--json"]);
    append(&file, &line(2, "And on its tail."));
    let second = json_on(
        &data,
        &[
            "share",
            name,
            "--private",
            "--artifacts",
            "--name",
            "Kites",
            "--expires",
            "7d",
            "--json",
        ],
    );
    assert_ne!(first["id"], second["id"]);
    assert_eq!(first["chat"], second["chat"]);
    assert_eq!(
        (&second["visibility"], &second["artifacts"], &second["name"]),
        (&json!("private"), &json!(true), &json!("Kites"))
    );
    assert!(second["expires_at"].is_string());
    let chats = done_on(&data, &["list", "--chats", "--json"]);
    assert_eq!(chats.lines().count(), 1, "{chats}");
    assert_eq!(
        serde_json::from_str::<Value>(&chats).unwrap()["messages"],
        3
    );
    let served = Served::start(&world);
    assert!(
        !get_text(&served.link(&first)).contains("And on its tail."),
        "frozen before"
    );
    assert_ne!(get(&served.link(&second)).status, 200, "private");

    // By the chat's title instead of the file.
    let third: Value =
        serde_json::from_str(&served.done(&["share", "How does a kite fly?", "--json"])).unwrap();
    assert_eq!(third["chat"], first["chat"]);
    assert!(get_text(&served.link(&third)).contains("And on its tail."));
}

#[test]
fn a_live_share_of_a_running_server_grows() {
    let world = World::new();
    let file = session(&world);
    let served = Served::start(&world);
    let share: Value =
        serde_json::from_str(&served.done(&["share", file.to_str().unwrap(), "--live", "--json"]))
            .unwrap();
    assert_eq!(share["updates"], "live");
    let link = served.link(&share);
    block_on(async {
        let mut viewer = Viewer::open(&link).await;
        assert!(viewer.text().contains("On the wind."));
        let mut socket = viewer.come_back().await;
        viewer.hear(&mut socket, PATIENCE).await;
        append(&file, &line(2, "And on its tail."));
        viewer
            .hear_until(&mut socket, "the line", |viewer| {
                viewer.text().contains("And on its tail.")
            })
            .await;
        assert_same_items(&viewer.page.items, &all_items(&link), "after a line");
    });
    // The same file again: the same chat, another link.
    let again: Value =
        serde_json::from_str(&served.done(&["share", file.to_str().unwrap(), "--live", "--json"]))
            .unwrap();
    assert_eq!(again["chat"], share["chat"]);
    assert_ne!(again["id"], share["id"]);
}

#[test]
fn a_live_share_starts_a_server_and_ends_it() {
    let world = World::new();
    let (file, data) = (session(&world), world.path("data"));
    for (signal, is_json) in [("-INT", false), ("-TERM", true)] {
        let mut command = on(&data);
        command.args([
            "share",
            file.to_str().unwrap(),
            "--live",
            "--addr",
            "127.0.0.1:0",
        ]);
        if is_json {
            command.arg("--json");
        }
        let mut sharing = Running::start(&mut command);
        let said = wait_for("a link", || {
            assert!(!sharing.has_ended(), "{}", sharing.err());
            Some(sharing.out()).filter(|out| out.ends_with('\n'))
        });
        let link = match is_json {
            true => serde_json::from_str::<Value>(&said).unwrap()["url"]
                .as_str()
                .unwrap()
                .to_owned(),
            false => link_in(&said),
        };
        let count = fs::read_to_string(&file).unwrap().lines().count();
        block_on(async {
            let mut viewer = Viewer::open(&format!("{link}/")).await;
            let mut socket = viewer.come_back().await;
            viewer.hear(&mut socket, PATIENCE).await;
            append(&file, &line(count, &format!("More for {signal}.")));
            viewer
                .hear_until(&mut socket, "the line", |viewer| {
                    viewer.text().contains(&format!("More for {signal}."))
                })
                .await;
            let begun = Instant::now();
            sharing.signal(signal);
            let code = viewer.hear_end(&mut socket).await;
            assert!(matches!(code, Some(1001 | 1012)), "{code:?}");
            let ran = sharing.ended();
            assert_eq!(ran.code, 0, "{}", ran.err);
            assert!(
                begun.elapsed() < Duration::from_secs(8),
                "{:?}",
                begun.elapsed()
            );
            assert!(
                ran.err.contains("readalong serve"),
                "what makes the link work again: {}",
                ran.err
            );
        });
        assert!(!data.join("server.json").exists());
    }
    assert_eq!(
        done_on(&data, &["list", "--live", "--json"])
            .lines()
            .count(),
        2
    );
}

#[test]
fn no_proxy_stands_between_commands_and_the_server_of_their_folder() {
    let world = World::new();
    let (file, data) = (session(&world), world.path("data"));
    let _served = Served::start(&world);
    let proxied = |args: &[&str]| {
        let mut command = on(&data);
        command.args(args);
        for name in ["http_proxy", "https_proxy", "all_proxy"] {
            // Nobody listens there: whoever asks it gets no answer.
            for name in [name.to_owned(), name.to_ascii_uppercase()] {
                command.env(name, "http://127.0.0.1:1");
            }
        }
        Running::start(&mut command)
    };
    let file = file.to_str().unwrap();
    let mut shared = proxied(&["share", file]);
    wait_until("a share", || {
        assert!(
            !shared.has_ended() || shared.out().contains("/s/"),
            "{}",
            shared.err()
        );
        shared.out().contains("/s/")
    });
    let site = world.path("site");
    let mut publishing = proxied(&["publish", file, "--live", "--to", site.to_str().unwrap()]);
    wait_until("a page", || {
        assert!(!publishing.has_ended(), "{}", publishing.err());
        publishing.out().contains("/s/")
    });
    assert_eq!(publishing.stop("-INT").code, 0, "{}", publishing.err());
}

#[test]
fn a_page_goes_on_when_the_program_ends_whose_server_makes_it() {
    let world = World::new();
    let (file, data) = (session(&world), world.path("data"));
    let publish = |site: &str| {
        let mut command = on(&data);
        let site = world.path(site);
        command
            .arg("publish")
            .arg(&file)
            .arg("--to")
            .arg(site)
            .arg("--live");
        let running = Running::start(&mut command);
        wait_until("a page", || running.err().contains("New messages follow"));
        running
    };
    let (mut first, mut second) = (publish("one"), publish("two"));
    assert_eq!(first.stop("-TERM").code, 0);
    let mut log = OpenOptions::new().append(true).open(&file).unwrap();
    log.write_all(line(2, "Said later.").as_bytes()).unwrap();
    wait_until("it goes on", || {
        assert!(!second.has_ended(), "{}", second.err());
        !holding(&world.path("two"), "Said later.").is_empty()
    });
    assert_eq!(second.stop("-TERM").code, 0);
    assert_eq!(second.out().matches("/s/").count(), 1, "{}", second.out());
}

#[test]
fn a_live_share_of_a_chat_starts_a_server_too() {
    let world = World::new();
    let (file, data) = (session(&world), world.path("data"));
    let shared = json_on(&data, &["share", file.to_str().unwrap(), "--json"]);
    for chat in ["How does a kite fly?", shared["chat"].as_str().unwrap()] {
        let mut command = on(&data);
        command.args(["share", chat, "--live", "--addr", "127.0.0.1:0"]);
        let mut sharing = Running::start(&mut command);
        wait_until("a link", || {
            assert!(!sharing.has_ended(), "{}", sharing.err());
            sharing.out().contains("/s/")
        });
        let page = get(&format!("{}/", link_in(&sharing.out())));
        assert!(page.text().contains("On the wind."), "{}", page.text());
        assert_eq!(sharing.stop("-INT").code, 0, "{}", sharing.err());
    }
}

#[test]
fn a_live_share_of_what_is_none_ends_with_words() {
    let world = World::new();
    let data = world.path("data");
    let file = world.write("notes.txt", "Nothing but notes\nof somebody\n");
    let ran = try_on(
        &data,
        &[
            "share",
            file.to_str().unwrap(),
            "--live",
            "--addr",
            "127.0.0.1:0",
        ],
    );
    assert_refused(&ran, &["notes.txt"]);
    assert!(
        !data.join("server.json").exists(),
        "the server that it started ended"
    );
    let ran = try_on(&data, &["share", "nothing-of-that-name"]);
    assert_refused(&ran, &["nothing-of-that-name", "readalong list --chats"]);
    let ran = try_on(&data, &["share", file.to_str().unwrap()]);
    assert_refused(&ran, &["notes.txt", "help: "]);
}

#[test]
fn a_live_share_waits_for_the_first_message_and_says_so() {
    let world = World::new();
    let begun =
        "{\"type\":\"permission-mode\",\"permissionMode\":\"default\",\"sessionId\":\"s\"}\n";
    let text = Session::new().prompt("How does a kite fly?").text();
    let text = format!("{begun}{text}");
    for (name, there) in [
        ("empty.jsonl", 0),
        ("half.jsonl", 40),
        ("begun.jsonl", begun.len()),
    ] {
        let file = world.write(name, &text[..there]);
        let mut command = on(&world.path("data"));
        command
            .args(["share", file.to_str().unwrap(), "--live"])
            .args(["--addr", "127.0.0.1:0"]);
        let mut sharing = Running::start(&mut command);
        wait_until("it says that it waits", || {
            assert!(!sharing.has_ended(), "{}", sharing.err());
            sharing.err().contains("holds no message yet; waiting")
        });
        append(&file, &text[there..]);
        wait_until("a link", || sharing.out().contains("/s/"));
        assert_eq!(sharing.stop("-INT").code, 0, "{}", sharing.err());
    }
}

#[test]
fn shares_are_named_by_link_id_beginning_and_name() {
    let world = World::new();
    let (file, data) = (session(&world), world.path("data"));
    let served = Served::start(&world);
    let name = file.to_str().unwrap();
    let make = |args: &[&str]| json_on(&data, &[&["share", name, "--json"], args].concat());
    let one = make(&["--name", "Kites"]);
    let two = make(&["--name", "Boats", "--private"]);
    let share_id = id(&one);
    let url = one["url"].as_str().unwrap();
    for text in [
        share_id,
        &share_id[..8],
        &share_id[..4],
        &share_id.to_ascii_uppercase()[..8],
        url,
        &format!("{url}/index.html#m0123"),
        "Kites",
    ] {
        // Four digits could begin both; eight cannot, in all likelihood.
        if text.len() == 4 && id(&two).starts_with(text) {
            continue;
        }
        assert_eq!(
            id(&json_on(&data, &["show", text, "--json"])),
            share_id,
            "{text}"
        );
    }
    let shown = try_on(&data, &["show", "Kites"]);
    assert_eq!(link_in(&shown.out), url);
    assert!(
        shown.err.contains("Kites") && shown.err.contains("anyone with the link"),
        "{}",
        shown.err
    );

    // A chat by its title, with its shares.
    let chat = done_on(&data, &["show", "How does a kite fly?"]);
    assert!(
        chat.contains(url) && chat.contains(two["url"].as_str().unwrap()),
        "{chat}"
    );
    assert_eq!(
        json_on(&data, &["show", one["chat"].as_str().unwrap(), "--json"])["title"],
        "How does a kite fly?"
    );

    assert_refused(
        &try_on(&data, &["show", "Planes"]),
        &["Planes", "readalong list"],
    );
    assert_refused(
        &try_on(&data, &["show", &share_id[..3]]),
        &["readalong list"],
    );
    make(&["--name", "Kites"]);
    assert_refused(
        &try_on(&data, &["show", "Kites"]),
        &["2 shares are called `Kites`", "id"],
    );
    assert_refused(&try_on(&data, &["rm", "Kites"]), &["Kites"]);

    // A share without a name is not called as its chat is.
    let titled = make(&[]);
    assert_eq!(
        json_on(&data, &["show", "How does a kite fly?", "--json"])["id"],
        one["chat"]
    );
    let (by_id, by_link) = (id(&titled), titled["url"].as_str().unwrap());
    done_on(&data, &["rm", by_id, by_link, by_id]);

    // Lists.
    let listed = |args: &[&str]| {
        done_on(&data, &[&["list", "--json"], args].concat())
            .lines()
            .count()
    };
    assert_eq!(
        [
            listed(&[]),
            listed(&["--private"]),
            listed(&["--public"]),
            listed(&["--live"]),
            listed(&["--frozen"])
        ],
        [3, 1, 2, 0, 3]
    );
    assert_eq!(
        [listed(&["boat"]), listed(&["kite"]), listed(&["nothing"])],
        [1, 2, 0],
        "by what readers see as the title"
    );
    let none = try_on(&data, &["list", "nothing"]);
    assert_eq!((none.code, none.out.as_str()), (0, ""));
    assert!(none.err.contains("readalong list"), "{}", none.err);
    let none = try_on(&data, &["list", "--live"]);
    assert!(none.err.contains("no shares like this"), "{}", none.err);
    let newest = done_on(&data, &["list"]);
    assert!(
        newest.find("Boats").unwrap() > newest.find("Kites").unwrap(),
        "the newest first: {newest}"
    );
    drop(served);
}

#[test]
fn names_and_titles_forge_no_line_of_a_list() {
    let world = World::new();
    let served = Served::start(&world);
    let forged = "a\nhttps://chats.example/s/0 \u{202e}fake\u{1b}[2J";
    let shown = "a\\nhttps://chats.example/s/0 \\u202efake\\u001b[2J";
    let chat = served.api.chat("Kites");
    served
        .api
        .patch(&format!("chats/{chat}"), &json!({ "title": forged }));
    let share = served.api.share(&chat, "live");
    served.api.patch(
        &format!("shares/{}", id(&share)),
        &json!({ "name": forged }),
    );
    let shares = served.done(&["list"]);
    assert_eq!(shares.lines().count(), 2, "{shares}");
    assert!(
        shares.contains(&format!("\n    {shown} (public")),
        "{shares}"
    );
    let chats = served.done(&["list", "--chats"]);
    assert_eq!(chats.lines().count(), 1, "{chats}");
    assert!(chats.contains(shown), "{chats}");
    // Programs get what it is.
    let json: Value = serde_json::from_str(&served.done(&["list", "--json"])).unwrap();
    assert_eq!(json["name"], forged);
}

#[test]
fn changes_reach_open_pages_at_once() {
    let world = World::new();
    let file = session(&world);
    let served = Served::start(&world);
    let name = file.to_str().unwrap();
    let share: Value =
        serde_json::from_str(&served.done(&["share", name, "--live", "--json"])).unwrap();
    let (share_id, link) = (id(&share).to_owned(), served.link(&share));
    let done = |args: &[&str]| served.done(&[&["update", &share_id, "--json"], args].concat());
    block_on(async {
        let mut viewer = Viewer::open(&link).await;
        let mut socket = viewer.come_back().await;
        viewer.hear(&mut socket, PATIENCE).await;
        let changed: Value = serde_json::from_str(&done(&["--name", "On kites"])).unwrap();
        assert_eq!(changed["name"], "On kites");
        viewer
            .hear_until(&mut socket, "the name", |viewer| {
                viewer.page.title == "On kites"
            })
            .await;
        assert_eq!(Page::parse(&get_text(&link)).title, "On kites");

        done(&["--artifacts"]);
        let mut told = 0;
        viewer
            .hear_until(&mut socket, "artifacts are in", |viewer| {
                told = viewer.told.fetched;
                told > 1
                    || viewer
                        .header
                        .as_ref()
                        .is_some_and(|header| !header.contains("without"))
            })
            .await;

        done(&["--expires", "7d"]);
        assert!(json_on(&served.data, &["show", &share_id, "--json"])["expires_at"].is_string());
        done(&["--expires", "never"]);
        assert!(json_on(&served.data, &["show", &share_id, "--json"])["expires_at"].is_null());

        done(&["--freeze"]);
        assert_eq!(viewer.hear_end(&mut socket).await, Some(4410));
        assert!(
            viewer.ended && viewer.footer.is_some(),
            "told before the end"
        );
        append(&file, &line(2, "After the frost."));
        wait_until("the chat goes on", || {
            served
                .done(&["list", "--chats", "--json"])
                .contains("\"messages\":3")
        });
        assert!(!get_text(&link).contains("After the frost."));
        done(&["--refresh"]);
        assert!(get_text(&link).contains("After the frost."));

        let live: Value =
            serde_json::from_str(&served.done(&["share", name, "--live", "--json"])).unwrap();
        let link = served.link(&live);
        let mut viewer = Viewer::open(&link).await;
        let mut socket = viewer.come_back().await;
        viewer.hear(&mut socket, PATIENCE).await;
        served.done(&["update", id(&live), "--private"]);
        assert_eq!(viewer.hear_end(&mut socket).await, Some(4401));
        served.done(&["update", id(&live), "--public"]);
        let mut viewer = Viewer::open(&link).await;
        let mut socket = viewer.come_back().await;
        viewer.hear(&mut socket, PATIENCE).await;
        assert_eq!(
            json_on(&served.data, &["show", id(&live), "--json"])["readers"],
            1
        );
        let out = served.done(&["rm", id(&live)]);
        assert!(out.contains("taken back"), "{out}");
        assert_eq!(viewer.hear_end(&mut socket).await, Some(4404));
        assert_eq!(get(&link).status, 404);
    });
    let data = &served.data;
    assert_refused(
        &try_on(data, &["update", &share_id]),
        &["nothing to change", "readalong update --help"],
    );
    assert_refused(
        &try_on(data, &["update", &share_id, "--expires", "yesterday"]),
        &["--expires", "yesterday"],
    );
    assert_refused(
        &try_on(data, &["update", "How does a kite fly?", "--private"]),
        &["is a chat", "readalong show"],
    );
    served.done(&["update", "How does a kite fly?", "--name", "Winds"]);
    assert_eq!(
        json_on(data, &["show", "Winds", "--json"])["title"],
        "Winds"
    );
}

#[test]
fn a_file_that_is_not_there_is_told_as_such() {
    let world = World::new();
    let told = run(program()
        .args(["publish", "/nowhere/chat.jsonl", "--to"])
        .arg(world.path("site"))
        .arg("--data")
        .arg(world.path("data")));
    assert_eq!(told.code, 2, "{}", told.err);
    assert!(
        told.err
            .contains("`/nowhere/chat.jsonl` is neither a file nor a share"),
        "{}",
        told.err
    );
}

#[test]
fn a_slip_in_the_name_of_a_target_makes_no_folder() {
    let world = World::new();
    let file = session(&world);
    let site = world.path("site");
    let named = format!(
        "[[target]]\nname = \"pages\"\nto = \"{}\"\n",
        site.display()
    );
    let config = world.write("config.toml", named);
    let publish = |to: &str| {
        run(on(&world.path("data"))
            .current_dir(world.path(""))
            .env("READALONG_CONFIG", &config)
            .args(["publish", file.to_str().unwrap(), "--to", to]))
    };
    assert_refused(&publish("pgaes"), &["`pgaes`", "names pages", "`./pgaes`"]);
    assert!(!world.path("pgaes").exists());
    for to in ["pages", "./pgaes", "pgaes"] {
        let ran = publish(to);
        assert_eq!(ran.code, 0, "{to}: {}", ran.err);
    }
    assert!(site.join("s").is_dir() && world.path("pgaes/s").is_dir());
}

#[test]
fn what_is_taken_back_is_looked_up_first_and_chats_are_asked_for() {
    let world = World::new();
    let (file, data) = (session(&world), world.path("data"));
    let name = file.to_str().unwrap();
    let one = json_on(&data, &["share", name, "--name", "One", "--json"]);
    json_on(&data, &["share", name, "--name", "Two", "--json"]);
    let left = || done_on(&data, &["list", "--json"]).lines().count();
    assert_refused(
        &try_on(&data, &["rm", "One", "Two", "Three"]),
        &["Three", "readalong list"],
    );
    assert_eq!(left(), 2, "a slip in the third name leaves the first two");
    assert_refused(
        &try_on(&data, &["rm", "How does a kite fly?"]),
        &["is a chat", "--yes"],
    );
    assert_eq!(left(), 2);
    done_on(&data, &["rm", "Two"]);
    assert_eq!(left(), 1);
    let out = done_on(&data, &["rm", "How does a kite fly?", "--yes"]);
    assert!(out.contains("How does a kite fly?"), "{out}");
    assert_eq!(left(), 0);
    assert_eq!(done_on(&data, &["list", "--chats", "--json"]), "");
    let served = Served::start(&world);
    assert_eq!(get(&served.link(&one)).status, 404);
}

/// Only a terminal is asked, so `script` gives the command one.
#[test]
fn ctrl_c_at_the_question_deletes_nothing() {
    let world = World::new();
    let (file, data) = (session(&world), world.path("data"));
    done_on(&data, &["share", file.to_str().unwrap()]);
    let rm = format!(
        "'{}' rm 'How does a kite fly?' --data '{}'",
        env!("CARGO_BIN_EXE_readalong"),
        data.display()
    );
    let mut asked = Command::new("script")
        .args(["-qefc", &rm, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(asked.stdout.take().unwrap());
    said.read_until(b']', &mut Vec::new()).unwrap();
    asked.stdin.as_mut().unwrap().write_all(b"\x03").unwrap();
    wait_until("Ctrl-C ends it", || asked.try_wait().unwrap().is_some());
    assert_eq!(asked.wait().unwrap().code(), Some(130));
    assert_eq!(done_on(&data, &["list", "--json"]).lines().count(), 1);
}

#[test]
fn users_sign_in_and_open_private_shares() {
    let world = World::new();
    let (file, data) = (session(&world), world.path("data"));
    let served = Served::start(&world);
    let share = json_on(
        &data,
        &["share", file.to_str().unwrap(), "--private", "--json"],
    );
    let link = served.link(&share);
    assert_refused(&add_user(&data, "ada", "short", &[]), &["8"]);
    assert_eq!(
        add_user(&data, "ada", "correct-horse", &[]).out,
        "ada (viewer) can sign in\n"
    );
    assert_refused(&add_user(&data, "ada", "correct-horse", &[]), &["ada"]);
    assert_refused(
        &try_on(&data, &["user", "add", "bob"]),
        &["--password-stdin"],
    );
    let listed = done_on(&data, &["user", "list", "--json"]);
    let users: Vec<Value> = listed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let ada = users.iter().find(|user| user["name"] == "ada").unwrap();
    assert_eq!(
        (&ada["role"], &ada["has_password"]),
        (&json!("viewer"), &json!(true))
    );
    assert!(done_on(&data, &["user", "list"]).contains("ada (viewer"));

    let url = &served.api.url;
    assert_eq!(sign_in(url, "ada", "wrong-horse"), None);
    let cookie = sign_in(url, "ada", "correct-horse").expect("a session");
    let open = |cookie: &str| try_ask("GET", &link, &[("Cookie", cookie)], &[]).unwrap();
    assert!(open(&cookie).text().contains("On the wind."));
    let asked = get(&link);
    assert!(matches!(asked.status, 302 | 303 | 401), "{}", asked.status);
    assert!(!asked.text().contains("On the wind."));

    // Another password ends all sessions.
    let ran = with_input(
        &data,
        &["user", "passwd", "ada", "--password-stdin"],
        "battery-staple\n",
    );
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_ne!(open(&cookie).status, 200);
    assert_eq!(sign_in(url, "ada", "correct-horse"), None);
    let cookie = sign_in(url, "ada", "battery-staple").expect("a session");
    assert_eq!(open(&cookie).status, 200);
    // Capitals make no difference, as where one signs in.
    done_on(&data, &["user", "rm", "Ada"]);
    assert_ne!(open(&cookie).status, 200);
    assert_refused(
        &try_on(&data, &["user", "rm", "ada"]),
        &["ada", "readalong user list"],
    );
    assert_refused(&try_on(&data, &["user", "rm", "owner"]), &["last admin"]);
}

#[test]
fn tokens_are_shown_once_and_end() {
    let world = World::new();
    let data = world.path("data");
    let served = Served::start(&world);
    let token = served.done(&["token", "new", "laptop"]);
    assert_eq!(token.lines().count(), 1, "{token}");
    let api = served.api.with_token(&token);
    let chat = api.chat("By token");
    assert!(
        served.done(&["list", "--chats"]).contains("By token"),
        "it is the same owner"
    );
    api.say(&chat, 0, 2);

    // A viewer's token makes no chats.
    add_user(&data, "ada", "correct-horse", &[]);
    let token = served.done(&["token", "new", "phone", "--user", "ada", "--expires", "90d"]);
    let viewer = served.api.with_token(&token);
    let refused = viewer
        .try_ask("POST", "chats", &json!({"title": "x"}))
        .unwrap();
    assert_eq!(
        (refused.status, &refused.json()["error_type"]),
        (403, &json!("forbidden"))
    );
    assert_eq!(viewer.get("users/me")["name"], "ada");

    let listed = served.done(&["token", "list", "--json"]);
    assert!(listed.contains("laptop"), "{listed}");
    assert!(!listed.contains(token.trim()), "tokens are stored nowhere");
    let laptop: Value = listed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .find(|token: &Value| token["name"] == "laptop")
        .unwrap();
    let hers = served.done(&["token", "list", "--user", "ada"]);
    assert!(hers.contains("phone") && !hers.contains("laptop"), "{hers}");
    served.done(&["token", "rm", &laptop["id"].to_string()]);
    let refused = api.try_ask("GET", "chats", &Value::Null).unwrap();
    assert_eq!(
        (refused.status, &refused.json()["error_type"]),
        (401, &json!("unauthorized"))
    );
    assert_refused(&try_on(&data, &["token", "rm", "999"]), &["token"]);
    assert_refused(
        &try_on(&data, &["token", "new", "x", "--user", "nobody"]),
        &["nobody", "readalong user list"],
    );
}

#[test]
fn legacy_links_answer_until_they_expire() {
    let world = World::new();
    let (file, data) = (session(&world), world.path("data"));
    let share = json_on(&data, &["share", file.to_str().unwrap(), "--json"]);
    let chat = share["chat"].as_str().unwrap();
    let wrong = world.write(
        "wrong.csv",
        format!("path,chat,expires_at\n/old/1,{chat},2099-01-01T00:00:00Z\n/old/2,{chat},\n"),
    );
    assert_refused(
        &try_on(&data, &["legacy", "import", wrong.to_str().unwrap()]),
        &["wrong.csv", "line 3"],
    );
    let soon = SystemTime::now() + Duration::from_secs(6);
    let soon = soon.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let soon = readalong_model::Timestamp::after_epoch(soon);
    let csv = world.write(
        "links.csv",
        format!("expires_at,path,chat\n2099-01-01T00:00:00Z,/old/1,{chat}\n{soon},/old/2,{chat}\n2099-01-01,/alt/gespräch,{chat}\n"),
    );
    let out = done_on(&data, &["legacy", "import", csv.to_str().unwrap()]);
    assert!(out.starts_with("3 "), "{out}");
    let served = Served::start(&world);
    let url = &served.api.url;
    let old = |path: &str| get(&format!("{url}{path}"));
    let opened = |path: &str| {
        let answer = old(path);
        match answer.status {
            308 => old(&format!("{path}/")),
            _ => answer,
        }
    };
    for path in [
        "/old/1",
        "/old/%31",
        "/alt/gespr%C3%A4ch",
        "/alt/gespr%c3%a4ch",
    ] {
        assert!(opened(path).text().contains("On the wind."), "{path}");
    }
    assert_eq!(
        done_on(&data, &["list", "--json"]).lines().count(),
        1,
        "in no list"
    );
    let refused = served.api.with_token(&served.done(&["token", "new", "x"]));
    let refused = refused
        .try_ask("DELETE", "shared_chats/%2Fold%2F1", &Value::Null)
        .unwrap();
    assert_eq!(refused.status, 409, "{}", refused.text());
    for args in [
        &["rm", "/old/1"][..],
        &["rm", &format!("{url}/old/1")],
        &["update", "/old/1", "--private"],
        &["show", "/old/1"],
    ] {
        assert_refused(
            &try_on(&data, args),
            &["/old/1", "legacy link", "until 2099"],
        );
    }
    assert_refused(&try_on(&data, &["rm", "/old/3"]), &["no share or chat"]);
    // It grows with its chat.
    served.api.post(
        &format!("chats/{chat}/messages"),
        &json!({"role": "assistant", "text": "Later."}),
    );
    wait_until("it grows", || opened("/old/1").text().contains("Later."));
    wait_until("the other expires", || opened("/old/2").status == 404);
    assert_eq!(opened("/old/1").status, 200);
}

#[test]
fn one_server_a_data_folder() {
    let world = World::new();
    let mut served = Served::start(&world);
    let data = world.path("data");
    let second = try_on(&data, &["serve", "--addr", "127.0.0.1:0"]);
    let pid = served.running.pid().to_string();
    assert_refused(&second, &[data.to_str().unwrap(), &pid, &served.api.url]);
    assert!(second.out.is_empty(), "{}", second.out);
    assert_eq!(get(&format!("{}/health", served.api.url)).status, 200);

    // An address that is taken.
    let addr = served.api.url.trim_start_matches("http://").to_owned();
    let other = try_on(&world.path("other"), &["serve", "--addr", &addr]);
    assert_refused(&other, &[&addr]);
    assert!(!world.path("other").join("server.json").exists());

    // One that crashed holds up nobody.
    served.kill();
    assert!(data.join("server.json").exists(), "a crash leaves it");
    assert_eq!(done_on(&data, &["list", "--json"]), "");
    served.again();
    assert_eq!(get(&format!("{}/health", served.api.url)).status, 200);
}

#[test]
fn a_command_says_that_it_waits_for_a_server_that_does_not_answer() {
    let world = World::new();
    let served = Served::start(&world);
    served.running.signal("-STOP");
    let mut listing = Running::start(on(&served.data).arg("list"));
    let waits = format!(
        "waiting for the server of this data folder (process {})",
        served.running.pid()
    );
    wait_until("it says so", || listing.err().contains(&waits));
    served.running.signal("-CONT");
    let ran = listing.ended();
    assert_eq!(ran.code, 0, "{}", ran.err);
}

#[test]
fn signals_end_a_server_in_order() {
    for signal in ["-TERM", "-INT"] {
        let world = World::new();
        let mut served = Served::start(&world);
        let api = served.api.clone();
        let chat = api.chat("Open");
        let link = served.link(&api.share(&chat, "live"));
        block_on(async {
            let mut viewers = Vec::new();
            for _ in 0..20 {
                let mut viewer = Viewer::open(&link).await;
                let mut line = viewer.come_back().await;
                viewer.hear(&mut line, PATIENCE).await;
                viewers.push((viewer, line));
            }
            // So many that the server is told to stop while they are still rendered.
            api.say(&chat, 0, 500);
            let begun = Instant::now();
            served.running.signal(signal);
            for (viewer, line) in &mut viewers {
                let code = viewer.hear_end(line).await;
                assert!(matches!(code, Some(1001 | 1012)), "{signal}: {code:?}");
                assert!(
                    viewer.text().contains("Answer 499."),
                    "what was published before comes first"
                );
            }
            let ran = served.running.ended();
            assert_eq!(ran.code, 0, "{signal}: {}", ran.err);
            assert!(
                begun.elapsed() < Duration::from_secs(8),
                "{signal} took {:?}",
                begun.elapsed()
            );
            assert!(!served.data.join("server.json").exists());
            // They come back, some before anything is new, and lack nothing.
            served.again();
            let api = served.api.clone();
            let (early, late) = viewers.split_at_mut(10);
            for (viewer, line) in &mut *early {
                *line = viewer.come_back().await;
            }
            api.say(&chat, 500, 503);
            for (viewer, line) in &mut *late {
                *line = viewer.come_back().await;
            }
            let all = all_items(&link);
            for (viewer, line) in &mut viewers {
                viewer
                    .hear_until(line, "a message after the restart", |viewer| {
                        viewer.text().contains("Answer 501.")
                    })
                    .await;
                assert_same_items(&viewer.page.items, &all, "after the restart");
                assert_eq!(viewer.told.fetched, 1, "numbers go on, no page is fetched");
            }
        });
    }
}

#[test]
fn a_server_that_others_reach_has_an_owner() {
    let world = World::new();
    let data = world.path("data");
    let file = session(&world);
    let file = file.to_str().unwrap();
    let share = ["share", file, "--live", "--addr", "0.0.0.0:0"];
    let ran = try_on(&data, &share);
    assert_refused(&ran, &["0.0.0.0:0", "readalong user add NAME --admin"]);
    add_user(&data, "bob", "correct-horse", &[]);
    assert_refused(&try_on(&data, &share), &["--admin"]);
    let added = add_user(&data, "ada", "correct-horse", &["--owner"]);
    assert_eq!(added.code, 0, "{}", added.err);
    let mut command = on(&data);
    let mut running = Running::start(command.args([
        "serve",
        "--addr",
        "0.0.0.0:0",
        "--base-url",
        "https://chats.example",
    ]));
    wait_until("it serves", || {
        assert!(!running.has_ended(), "{}", running.err());
        running.out().contains("readalong serves")
    });
    assert!(
        !running.out().contains("works once"),
        "people sign in with passwords: {}",
        running.out()
    );
    let share = json_on(&data, &["share", file, "--json"]);
    assert!(
        share["url"]
            .as_str()
            .unwrap()
            .starts_with("https://chats.example/s/"),
        "{share}"
    );
    running.stop("-TERM");
    assert!(
        done_on(&data, &["list"]).contains("https://chats.example/s/"),
        "it is remembered"
    );
}

/// Puts the version of the schema where SQLite has it in a closed database.
fn set_version(data: &Path, version: u32) {
    let file = data.join("readalong.db");
    let mut bytes = fs::read(&file).unwrap();
    bytes[60..64].copy_from_slice(&version.to_be_bytes());
    fs::write(&file, bytes).unwrap();
}

#[test]
fn a_newer_database_is_refused_and_kept() {
    let world = World::new();
    let data = world.path("data");
    json_on(
        &data,
        &["share", session(&world).to_str().unwrap(), "--json"],
    );
    assert!(
        !data
            .join("readalong.db-wal")
            .metadata()
            .is_ok_and(|wal| wal.len() > 0),
        "closed"
    );
    let version = fs::read(data.join("readalong.db")).unwrap()[60..64].to_vec();
    set_version(&data, 999);
    let before = fs::read(data.join("readalong.db")).unwrap();
    for args in [&["serve", "--addr", "127.0.0.1:0"][..], &["list"]] {
        let ran = try_on(&data, args);
        assert_refused(&ran, &["999", "help: ", "newer readalong"]);
        assert!(ran.out.is_empty(), "{}", ran.out);
    }
    assert_eq!(fs::read(data.join("readalong.db")).unwrap(), before);
    set_version(&data, u32::from_be_bytes(version.try_into().unwrap()));
    assert_eq!(done_on(&data, &["list", "--json"]).lines().count(), 1);
}

#[test]
fn a_damaged_database_is_told_and_kept() {
    let world = World::new();
    let data = world.path("data");
    json_on(
        &data,
        &["share", session(&world).to_str().unwrap(), "--json"],
    );
    let file = data.join("readalong.db");
    let sound = fs::read(&file).unwrap();
    let mut torn = sound.clone();
    torn.truncate(sound.len() / 2);
    let mut scribbled = sound.clone();
    scribbled[4096..].fill(0xa5);
    for (what, bytes) in [
        (
            "text",
            b"This is no database at all, but a text. ".repeat(200),
        ),
        ("torn", torn),
        ("scribbled", scribbled),
    ] {
        // What a log beside it held would be restored.
        for beside in ["readalong.db-wal", "readalong.db-shm"] {
            let _ = fs::remove_file(data.join(beside));
        }
        fs::write(&file, &bytes).unwrap();
        for args in [
            &["serve", "--addr", "127.0.0.1:0"][..],
            &["list"],
            &["share", "How does a kite fly?"],
        ] {
            let ran = try_on(&data, args);
            assert_refused(&ran, &["database"]);
            assert!(!data.join("server.json").exists(), "{what}");
        }
        if what == "text" {
            assert_eq!(
                fs::read(&file).unwrap(),
                bytes,
                "what is not ours is not touched"
            );
        }
        for rest in ["readalong.db-wal", "readalong.db-shm"] {
            let _ = fs::remove_file(data.join(rest));
        }
    }
    fs::write(&file, &sound).unwrap();
    assert_eq!(done_on(&data, &["list", "--json"]).lines().count(), 1);
}

#[test]
fn a_data_folder_that_cannot_be_used_is_named() {
    let world = World::new();
    let file = world.write("a-file", "x");
    assert_refused(&try_on(&file, &["list"]), &[file.to_str().unwrap()]);
    assert_refused(
        &try_on(&file.join("below"), &["serve"]),
        &[file.to_str().unwrap()],
    );
    // The folder is its owner's alone.
    let data = world.path("data");
    done_on(&data, &["list"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&data), 0o700);
        assert_eq!(mode(&data.join("readalong.db")), 0o600);
        let served = Served::start(&world);
        assert_eq!(mode(&served.data.join("server.json")), 0o600);
    }
}

#[test]
fn one_of_many_chats_is_picked() {
    let world = World::new();
    let data = world.path("data");
    let file = world.write(
        "many.jsonl",
        (0..3)
            .map(|number| {
                json!({"id": format!("c{number}"), "conversations": [
                    {"from": "human", "value": format!("Question of chat {number}")},
                    {"from": "gpt", "value": format!("Answer of chat {number}")}]})
                .to_string()
                    + "\n"
            })
            .collect::<String>(),
    );
    let name = file.to_str().unwrap();
    let refused = try_on(&data, &["share", name]);
    assert_refused(&refused, &["help: ", "--chat"]);
    assert!(
        refused.err.contains("Question of chat 1"),
        "they are listed: {}",
        refused.err
    );
    assert_refused(&try_on(&data, &["share", name, "--chat", "9"]), &["9"]);
    let second = json_on(&data, &["share", name, "--chat", "2", "--json"]);
    let third = json_on(&data, &["share", name, "--chat", "c2", "--json"]);
    assert_ne!(second["chat"], third["chat"]);
    let again = json_on(&data, &["share", name, "--chat", "2", "--json"]);
    assert_eq!(again["chat"], second["chat"]);
    let served = Served::start(&world);
    let page = get_text(&served.link(&second));
    assert!(page.contains("Answer of chat 1") && !page.contains("Answer of chat 2"));
    assert!(get_text(&served.link(&third)).contains("Answer of chat 2"));
    // The line of commands says what does not go together.
    let ran = try_on(&data, &["share", name, "--live", "--chat", "2"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.err.contains("--chat") && ran.err.contains("--live"),
        "{}",
        ran.err
    );
}

#[test]
fn small_things_are_said_as_they_are() {
    let world = World::new();
    let (file, data) = (session(&world), world.path("data"));
    let name = file.to_str().unwrap();
    assert_refused(
        &try_on(&data, &["serve", "--addr", "nowhere:1"]),
        &["as in 127.0.0.1:4141"],
    );
    let wrong = world.write("config.toml", "log = 'warn'\n[limits]\nstreams = 'many'\n");
    let ran = try_on(&data, &["list", "--config", wrong.to_str().unwrap()]);
    assert_refused(&ran, &["line 3: ", "`streams = 'many'`"]);
    assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
    assert!(try_on(&data, &["token", "list"]).err.contains("token new"));
    let help = readalong(["export", "--help"]).out;
    let (_, secrets) = help.split_once("Secrets:").unwrap();
    assert!(
        secrets.contains("--waive") && !secrets.contains("--config"),
        "{help}"
    );

    let exported = world.export(&file, &[]);
    let packed = world.path("new/folder/chat.html");
    let bundle = exported.path.to_str().unwrap();
    done_on(
        &data,
        &[
            "pack",
            bundle,
            "--as",
            "html",
            "-o",
            packed.to_str().unwrap(),
        ],
    );
    assert!(packed.is_file());

    // Nobody is asked where there is no terminal.
    let mut follow = Command::new("setsid");
    follow.arg(env!("CARGO_BIN_EXE_readalong"));
    follow
        .args(["follow", name, "--to", "http://127.0.0.1:9"])
        .env_remove("READALONG_TOKEN");
    let ran = run(&mut follow);
    assert_refused(&ran, &["no terminal to ask at; set READALONG_TOKEN"]);
    assert!(!ran.err.contains("os error"), "{}", ran.err);

    let base = [
        "serve",
        "--addr",
        "localhost:0",
        "--base-url",
        "https://chats.example",
    ];
    let mut served = Running::start(on(&data).args(base));
    wait_until("it says where it listens", || {
        served.err().contains("It listens at 127.0.0.1:")
    });
    served.stop("-TERM");
}

#[test]
fn of_chats_that_are_called_the_same_none_is_taken_by_its_title() {
    let world = World::new();
    let chat = |id: &str| {
        let turns =
            json!([{"from": "human", "value": "Tax question"}, {"from": "gpt", "value": id}]);
        format!("{}\n", json!({"id": id, "conversations": turns}))
    };
    let file = world.write("two.jsonl", chat("first") + &chat("second"));
    let by_title = world.try_export(&file, &["--chat", "Tax question"]);
    assert_refused(&by_title, &["2 chats that match", "readalong inspect"]);
    world.export(&file, &["--chat", "2"]).assert_holds("second");
    world
        .export(&file, &["--chat", "first"])
        .assert_holds("first");
}

#[test]
fn many_commands_at_once_wait_for_each_other_at_a_server() {
    let world = World::new();
    let served = Served::start(&world);
    thread::scope(|scope| {
        for number in 0..8 {
            let file = world.write(
                &format!("s{number}.jsonl"),
                Session::new()
                    .prompt(&format!("Chat {number}"))
                    .answer("Yes.")
                    .text(),
            );
            let served = &served;
            scope.spawn(move || served.done(&["share", file.to_str().unwrap()]));
        }
    });
    assert_eq!(served.done(&["list", "--json"]).lines().count(), 8);
}

#[test]
fn wrong_command_lines_end_with_two_and_a_hint() {
    let world = World::new();
    let data = world.path("data");
    for args in [
        &["serve", "--addr", "nowhere"][..],
        &["serve", "--base-url", "chats.example"],
        &["share", "x", "--live", "--frozen"],
        &["share", "x", "--public", "--private"],
        &["share", "x", "--expires", "soon"],
        &["share", "x", "--expires", "2020-01-01"],
        &["list", "--live", "--frozen"],
        &["update", "x", "--freeze", "--refresh"],
        &["follow", "x"],
        &["token", "rm", "one"],
        &["user"],
        &["rm"],
    ] {
        let ran = try_on(&data, args);
        assert_eq!(ran.code, 2, "{args:?}: {}", ran.err);
        assert!(
            ran.err.contains("--help") || ran.err.contains("Usage"),
            "{args:?}: {}",
            ran.err
        );
    }
    assert!(!data.exists(), "nothing was made");
    let missing = root().join("tests/fixtures/no-such-file.jsonl");
    let ran = run(on(&data)
        .args(["serve", "--addr", "127.0.0.1:0"])
        .arg(&missing));
    assert_refused(&ran, &["no-such-file.jsonl"]);
    assert!(!data.join("server.json").exists());
}

#[test]
fn the_first_command_shows_both_sides() {
    let world = World::new();
    let mut command = program();
    command.args(["demo", "--no-open", "-o"]).arg(world.out());
    let mut demo = Running::start(&mut command);
    let link = wait_for("the link of the live page", || {
        let out = demo.out();
        let mut lines = out.split_inclusive('\n');
        let link = lines.find(|line| line.starts_with("http://") && line.ends_with('\n'))?;
        Some(link.trim().to_owned())
    });
    let [bundle] = &world.names_in_out()[..] else {
        panic!("one bundle: {:?}", world.names_in_out());
    };
    let verified = readalong([Path::new("verify"), &world.out().join(bundle)]);
    assert_eq!(verified.code, 0, "{}", verified.err);
    let items = || get_text(&format!("{link}/")).matches("data-item=").count();
    let at_first = items();
    assert!(at_first > 0);
    wait_until("the page grows", || items() > at_first + 2);
    let ran = demo.stop("-INT");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(!ran.err.to_lowercase().contains("warn"), "{}", ran.err);
}

#[test]
fn a_live_share_grows_on_after_its_server_was_started_again() {
    let world = World::new();
    let session = Session::new()
        .prompt("How does a kite fly?")
        .answer("On the wind.")
        .prompt("And the boat?");
    let file = world.write("session.jsonl", session.first(2));
    let mut served = Served::start(&world);
    let share = served.done(&["share", file.to_str().unwrap(), "--live", "--json"]);
    let share: Value = serde_json::from_str(&share).unwrap();
    let page = format!("{}/", share["url"].as_str().unwrap());
    assert!(get_text(&page).contains("On the wind."));
    served.running.stop("-TERM");
    fs::write(&file, session.text()).unwrap();
    served.again();
    wait_until("what came meanwhile is there", || {
        get_text(&page).contains("And the boat?")
    });
    // Nobody follows for a share that is gone.
    served.done(&["rm", share["id"].as_str().unwrap(), "--yes"]);
    served.running.stop("-TERM");
    served.again();
    assert_eq!(served.api.get("follow"), json!([]));
}

#[test]
fn a_long_transcript_is_shared_again_where_its_order_is_another() {
    let world = World::new();
    let data = world.path("data");
    let prompts = (0..1_200).map(|number| format!("Message {number}."));
    let session = prompts.fold(Session::new(), |session, text| session.prompt(&text));
    let file = world.write("session.jsonl", session.text());
    let share = |file: &Path| json_on(&data, &["share", file.to_str().unwrap(), "--json"]);
    let first = share(&file);
    // Every message moves on by one, which takes several requests.
    let before = Session::new().prompt("Before all others.").text();
    let before = before.replace("\"u0\"", "\"first\"");
    fs::write(&file, format!("{before}{}", session.text())).unwrap();
    let again = share(&file);
    assert_eq!(again["chat"], first["chat"]);
    let chat = json_on(&data, &["list", "--chats", "--json"]);
    assert_eq!(chat["messages"], 1_201);
}
