//! Secrets stay at home: in bundles, live pages, the database, and on the way to a server elsewhere.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::json;

use crate::{
    served::{Served, done_on, get_text, on, try_on, wait_until},
    viewer::{Viewer, block_on},
    world::{Ran, Session, World, program, run},
};

/// Made up, of the right shape. What must be nowhere is a piece of each.
const TOKEN: &str = "ghp_Zq7Lw2Kd9Xc4Vb6Nm1Qa3Ws5Ed8Rf0Tg2Yh4";
const PASSWORD: &str = "tr0ub4dor&3xyz";
const GONE: [&str; 2] = ["Zq7Lw2Kd9Xc4", "tr0ub4dor"];
const MARK: &str = "[redacted: GitHub token]";

fn session() -> Session {
    Session::new()
        .prompt(&format!("Why does {TOKEN} not work?"))
        .call("c1", "Bash", &json!({"command": format!("curl -H 'Authorization: token {TOKEN}' x"), "note": PASSWORD}))
        .result("c1", &json!(format!("DB_PASSWORD={PASSWORD}\n\x1b[31m{}\x1b[0m{}", &TOKEN[..20], &TOKEN[20..])))
        .answer(&format!("It printed {PASSWORD} and ended."))
}

/// No file below a folder holds a piece of a secret: as it is, within JSON, or packed.
fn assert_nowhere(folder: &Path) {
    let mut folders = vec![folder.to_owned()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = fs::read(&path).unwrap();
            files += 1;
            for packed in [bytes.clone(), unpacked(&path, &bytes)] {
                let text = String::from_utf8_lossy(&packed);
                for gone in GONE {
                    assert!(!text.contains(gone), "{} holds {gone}", path.display());
                }
            }
        }
    }
    assert!(files > 0, "{} holds files", folder.display());
}

/// What a packed file holds; nothing of others.
fn unpacked(path: &Path, bytes: &[u8]) -> Vec<u8> {
    let program = match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => "gzip",
        Some("br") => "brotli",
        _ => return Vec::new(),
    };
    // Where the program is not there, the plain file beside the packed one was looked into.
    let output = Command::new(program).arg("-dc").arg(path).output();
    output.map_or_else(|_| bytes.to_vec(), |output| output.stdout)
}

fn with_config(data: &Path, config: &Path, args: &[&str]) -> Ran {
    run(on(data).env("READALONG_CONFIG", config).args(args))
}

#[test]
fn an_export_holds_no_secret_and_says_what_was_taken_out() {
    let world = World::new();
    let file = world.write("session.jsonl", session().text());
    let exported = world.export(&file, &[]);
    assert_nowhere(&world.out());
    exported.assert_holds(MARK);
    let page = exported.file("index.html");
    assert!(
        page.contains("<dt>Secrets removed</dt>"),
        "the header counts them"
    );

    let ran = run(program()
        .args(["export", file.to_str().unwrap(), "-o"])
        .arg(world.path("said")));
    assert!(
        ran.err.contains("secrets (") && ran.err.contains("GitHub token"),
        "{}",
        ran.err
    );

    let listed = run(program().args(["inspect", "--secrets"]).arg(&file));
    assert_eq!(listed.code, 1, "{}", listed.err);
    assert!(
        listed.out.contains("[github-pat-classic] in message "),
        "{}",
        listed.out
    );
    assert!(listed.out.contains("gh…h4"), "{}", listed.out);
    assert!(
        !GONE.iter().any(|gone| listed.out.contains(gone)),
        "{}",
        listed.out
    );

    // A bundle's own chat gives the same bundle: marks are no secrets.
    let again = world.export(&exported.path.join("chat.json"), &[]);
    assert_eq!(again.id(), exported.id());
}

#[test]
fn what_stays_has_to_be_named() {
    let world = World::new();
    let file = world.write("session.jsonl", session().text());
    let refused = world.try_export(&file, &["--redact", "off"]);
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("--waive all"), "{}", refused.err);
    assert_eq!(world.names_in_out(), [""; 0]);
    world
        .export(&file, &["--redact", "off", "--waive", "all"])
        .assert_holds(TOKEN);
    let slip = world.try_export(&file, &["--waive", "GitHup token"]);
    assert!(slip.err.contains("--waive GitHup token"), "{}", slip.err);
    let kept = world.export(&file, &["--waive", "GitHub token"]);
    kept.assert_holds(TOKEN);
    kept.assert_lacks(PASSWORD);

    let config = world.write(
        "config.toml",
        "[redact]\nkeep = [\"github-pat-classic\"]\nhome_paths = true\n[[redact.rule]]\nid = \"kite\"\nkind = \"kite\"\nkeywords = [\"kite-\"]\npattern = 'kite-[0-9]{4}'\n",
    );
    let file = world.write(
        "kite.jsonl",
        Session::new()
            .prompt(&format!("{TOKEN} kite-1234 /home/ann/x"))
            .answer("Yes.")
            .text(),
    );
    let ran = run(program()
        .env("READALONG_CONFIG", &config)
        .arg("export")
        .arg(&file)
        .arg("-o")
        .arg(world.path("kite")));
    assert_eq!(ran.code, 0, "{}", ran.err);
    let page = fs::read_to_string(ran.out.split_whitespace().next().unwrap()).unwrap();
    assert!(
        page.contains(TOKEN) && page.contains("[redacted: kite] ~/x"),
        "{page}"
    );
    let wrong = world.write("wrong.toml", "[redact]\nkepe = []\n");
    let ran = run(program()
        .env("READALONG_CONFIG", &wrong)
        .arg("export")
        .arg(&file));
    assert!(
        ran.code == 2 && ran.err.contains("kepe") && ran.err.contains("wrong.toml"),
        "{}",
        ran.err
    );
}

#[test]
fn no_frame_page_or_database_of_a_live_share_holds_a_secret() {
    let world = World::new();
    let served = Served::start(&world);
    let api = &served.api;
    let chat = api.chat("Kites");
    let link = served.link(&api.share(&chat, "live"));
    let path = format!("chats/{chat}/messages");
    block_on(async {
        let mut viewer = Viewer::open(&link).await;
        let mut line = viewer.come_back().await;
        // A message grows, piece by piece, over the secret.
        let whole = format!("the token is {TOKEN} and the rest");
        for end in (10..whole.len()).step_by(3).chain([whole.len()]) {
            api.post(&path, &json!({"id": "m-1", "role": "assistant", "status": "partial", "text": whole[..end]}));
        }
        let said = api.post(
            &path,
            &json!({"id": "m-1", "role": "assistant", "text": whole}),
        );
        assert_eq!(said["redactions"][0]["kind"], "GitHub token");
        // An end that could be one, and is none.
        api.post(
            &path,
            &json!({"id": "m-2", "role": "assistant", "text": "it begins with ghp_Ab"}),
        );
        api.post(
            &path,
            &json!({"id": "m-3", "role": "assistant", "text": format!("DB_PASSWORD={PASSWORD}")}),
        );
        viewer
            .hear_until(&mut line, "the last message", |viewer| {
                viewer.text().contains("DB_PASSWORD=")
                    && viewer.text().contains("and the rest")
                    && viewer.text().contains("ghp_Ab")
            })
            .await;
        for gone in GONE {
            assert!(!viewer.text().contains(gone));
        }
    });
    let page = get_text(&link);
    assert!(page.contains(MARK) && !GONE.iter().any(|gone| page.contains(gone)));
    // What is taken out is known from then on.
    api.post(
        &path,
        &json!({"id": "m-4", "role": "assistant", "text": format!("it printed {PASSWORD} again")}),
    );
    let frozen = api.share(&chat, "frozen");
    assert!(get_text(&served.link(&frozen)).contains("it printed [redacted: password] again"));
    api.patch(
        &format!("chats/{chat}"),
        &json!({"title": format!("Kites {TOKEN}")}),
    );
    api.patch(
        &format!("chats/{chat}/messages/m-2"),
        &json!({"text": format!("edited {TOKEN}")}),
    );
    assert_nowhere(&served.data);
}

#[test]
fn rescan_takes_out_what_was_shared_before_the_rules_knew_it() {
    let world = World::new();
    let (file, data) = (
        world.write("session.jsonl", session().text()),
        world.path("data"),
    );
    // As before there were rules: all of it stays.
    let config = world.write("old.toml", "[redact]\nkeep = [\"all\"]\n");
    let old = with_config(&data, &config, &["share", file.to_str().unwrap(), "--json"]);
    assert_eq!(old.code, 0, "{}", old.err);
    let share: serde_json::Value = serde_json::from_str(&old.out).unwrap();
    let site = world.path("site");
    let (share_id, site) = (share["id"].as_str().unwrap(), site.to_str().unwrap());
    let publish = ["publish", share_id, "--to", site];
    done_on(&data, &publish);
    done_on(&data, &["publish", file.to_str().unwrap(), "--to", site]);
    let chat = share["chat"].as_str().unwrap().to_owned();
    let mut served = Served::start(&world);
    let link = served.link(&share);
    assert!(get_text(&link).contains(TOKEN));
    let live = served.link(&served.api.share(&chat, "live"));
    let said = try_on(&data, &["rescan"]);
    assert!(said.out.contains("GitHub token"), "{}", said.out);
    assert!(said.out.contains(&publish.join(" ")), "{}", said.out);
    assert!(said.err.contains("1 publication of"), "{}", said.err);
    done_on(&data, &publish);
    for link in [&link, &live] {
        let page = get_text(link);
        assert!(
            page.contains(MARK) && !GONE.iter().any(|gone| page.contains(gone)),
            "{page}"
        );
    }
    assert_eq!(served.done(&["rescan"]), "", "nothing is left to be found");
    // What no rule knows goes where its owner names it.
    assert!(get_text(&link).contains("and ended"));
    let mut named = on(&data)
        .args(["rescan", "--texts-stdin"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    named
        .stdin
        .take()
        .unwrap()
        .write_all(b"and ended\n")
        .unwrap();
    assert!(named.wait().unwrap().success());
    for link in [&link, &live] {
        let page = get_text(link);
        assert!(page.contains("[redacted: removed by the owner]") && !page.contains("and ended"));
    }
    served.running.stop("-TERM");
    assert_nowhere(&data);

    // Bundles likewise.
    let exported = world.export(&file, &["--redact", "off", "--waive", "all"]);
    let ran = run(program().arg("rescan").arg(&exported.path));
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(!exported.path.exists());
    assert_nowhere(&world.out());
    let verified = run(program()
        .arg("verify")
        .arg(world.out().join(&world.names_in_out()[0])));
    assert_eq!(verified.code, 0, "{}", verified.out);
}

#[test]
fn a_transcript_that_is_followed_brings_no_secret() {
    let world = World::new();
    let file = world.write("session.jsonl", session().text());
    // Here, and to a server elsewhere.
    let here = world.path("here");
    let served = Served::with(&here, &[file.to_str().unwrap()]);
    wait_until("the file is read", || {
        served.done(&["list", "--chats"]).contains("redacted")
    });
    let token = served.done(&["token", "new", "laptop"]);
    let ran = run(program()
        .args([
            "follow",
            "--once",
            file.to_str().unwrap(),
            "--to",
            &served.api.url,
        ])
        .env("READALONG_TOKEN", token.trim()));
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("GitHub token"), "{}", ran.err);
    assert_nowhere(&here);
    assert_eq!(try_on(&here, &["rescan"]).code, 0);
    assert!(done_on(&here, &["list", "--chats"]).contains("redacted"));
}
