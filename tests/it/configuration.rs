//! The configuration: file, environment and flags, in this order, and what is said where one of them is wrong.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use serde_json::Value;

use crate::{
    served::{Running, on, wait_for},
    world::{World, fixture, program, root, run},
};

/// `readalong config` with a file, on a data folder that nobody sees.
fn config(world: &World, file: &Path) -> Command {
    let mut command = on(&world.path("data"));
    command.arg("config").arg("--config").arg(file);
    command
}

/// What is in force under a key, and where it comes from.
fn in_force(command: &mut Command, key: &str) -> (Value, String) {
    let ran = run(command.arg("--json"));
    assert_eq!(ran.code, 0, "{}", ran.err);
    let lines = ran
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let found = lines.into_iter().find(|line: &Value| line["key"] == key);
    let found = found.unwrap_or_else(|| panic!("{key} is not in: {}", ran.out));
    let from = found["from"].as_str().unwrap().to_owned();
    (found["value"].clone(), from)
}

#[test]
fn a_flag_is_over_the_environment_and_that_over_the_file() {
    let world = World::new();
    let text = "log = 'debug'\n[limits]\nstreams = 5\n";
    let file = world.write("config.toml", text);
    let of_file = in_force(&mut config(&world, &file), "log");
    let place = format!("{}:1", file.display());
    assert_eq!(of_file, ("debug".into(), place));

    let with_env = |key| {
        let mut command = config(&world, &file);
        command.env("READALONG_LIMITS_STREAMS", "6");
        in_force(command.env("READALONG_LOG", "warn"), key)
    };
    assert_eq!(with_env("log"), ("warn".into(), "READALONG_LOG".into()));
    let streams = (6.into(), "READALONG_LIMITS_STREAMS".into());
    assert_eq!(with_env("limits.streams"), streams);

    let mut command = config(&world, &file);
    command.env("READALONG_LOG", "warn");
    let of_flag = in_force(command.args(["--log", "error"]), "log");
    assert_eq!(of_flag, ("error".into(), "--log".into()));

    let (theme, from) = in_force(&mut config(&world, &file), "theme");
    assert_eq!((theme, from), ("default".into(), "default".into()));
    let (base_url, _) = in_force(&mut config(&world, &file), "base_url");
    assert_eq!(base_url, Value::Null);
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_what_was_meant() {
    let world = World::new();
    for (text, words) in [
        (
            "\n[limits]\nstream = 5",
            ["line 3", "`limits.stream`", "did you mean `limits.streams`"],
        ),
        ("log = 3", ["line 1", "log", "expected a string"]),
        ("base_url = 'host'", ["base_url", "https://", "line 1"]),
        ("addr = ", ["line 1", "addr", "config.toml"]),
    ] {
        let file = world.write("config.toml", text);
        // Whatever command it is.
        for args in [vec!["config"], vec!["serve"], vec!["list"]] {
            let mut command = on(&world.path("data"));
            let ran = run(command.args(args).arg("--config").arg(&file));
            assert_eq!(ran.code, 2, "{text}: {}", ran.out);
            for word in words {
                assert!(ran.err.contains(word), "`{word}` is not in: {}", ran.err);
            }
            assert!(ran.err.contains("config.toml"), "{}", ran.err);
        }
    }
    let file = world.write("config.toml", "");
    for (name, value, word) in [
        ("READALONG_LIMITS_STREAMS", "many", "no whole number"),
        ("READALONG_LIMITS_STREAMS", "-1", "invalid value"),
        ("READALONG_REDACT_MAIL", "maybe", "neither true nor false"),
        ("READALONG_ADDR", "here", "addr"),
    ] {
        let ran = run(config(&world, &file).env(name, value));
        assert_eq!(ran.code, 2, "{name}");
        assert!(
            ran.err.contains(name) && ran.err.contains(word),
            "{}",
            ran.err
        );
    }
    let ran = run(&mut config(&world, &world.path("none.toml")));
    assert!(
        ran.code == 2 && ran.err.contains("none.toml"),
        "{}",
        ran.err
    );
}

#[test]
fn what_is_printed_can_be_used_as_a_file() {
    let world = World::new();
    let text = "follow = [\"a\\nb\"]\n[redact]\nkeep = ['x']\n[[redact.rule]]\nid = 'a'\n";
    let file = world.write("config.toml", text);
    let printed = run(config(&world, &file).env("READALONG_LOG", "warn")).out;
    let again = world.write("again.toml", &printed);
    let read = |file: &Path, key| in_force(&mut config(&world, file), key).0;
    for key in ["follow", "redact.keep", "redact.rule", "limits.streams"] {
        assert_eq!(read(&again, key), read(&file, key), "{printed}");
    }
    assert_eq!(read(&again, "log"), "warn");
}

#[test]
fn a_server_is_as_its_configuration_says() {
    let world = World::new();
    let data = world.path("elsewhere");
    let text = format!(
        "addr = '127.0.0.1:0'\nlog = 'debug'\nbase_url = 'https://chats.example/x/'\ndata = {:?}\n",
        data.to_str().unwrap()
    );
    let file = world.write("config.toml", text);
    let mut command = on(&data);
    command.env_remove("READALONG_DATA");
    let mut server = Running::start(command.arg("serve").arg("--config").arg(&file));
    let line = wait_for("the server says where it is", || {
        let out = server.out();
        out.contains('\n').then_some(out)
    });
    assert!(line.contains("serves https://chats.example/x\n"), "{line}");
    assert!(data.join("server.json").is_file());
    server.signal("-TERM");
    assert_eq!(server.ended().code, 0);
}

/// Keys in the tables of docs/configuration.md, with the tables that their headings name.
fn documented() -> BTreeSet<String> {
    let document = fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let mut table = String::new();
    let mut keys = BTreeSet::new();
    for line in document.lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            let name = heading
                .strip_prefix("`[")
                .filter(|name| !name.starts_with('['));
            table = name.map_or(String::new(), |name| {
                format!("{}.", name.trim_end_matches("]`"))
            });
        }
        if let Some(rest) = line.strip_prefix("| `") {
            keys.insert(format!("{table}{}", rest.split('`').next().unwrap()));
        }
    }
    keys
}

#[test]
fn the_document_has_every_key_and_no_other() {
    let world = World::new();
    let file = world.write("config.toml", "");
    let out = run(config(&world, &file).arg("--json")).out;
    let lines = out.lines().map(|line| serde_json::from_str(line).unwrap());
    let keys = lines.map(|line: Value| line["key"].as_str().unwrap().to_owned());
    assert_eq!(documented(), keys.collect(), "docs/configuration.md (left)");
}

#[test]
fn what_is_printed_sets_no_secret_when_it_is_read_again() {
    let world = World::new();
    let text =
        "[signin.oidc]\nissuer = 'https://id.example'\nclient_id = 'a'\nclient_secret = 'CANARY'\n";
    let file = world.write("config.toml", text);
    let printed = run(&mut config(&world, &file));
    assert_eq!(printed.code, 0, "{}", printed.err);
    assert!(!printed.out.contains("CANARY"), "{}", printed.out);
    let says = "# signin.oidc.client_secret = \"(set, not shown)\"";
    assert!(printed.out.contains(says), "{}", printed.out);
    let again = world.write("again.toml", printed.out);
    let (secret, _) = in_force(&mut config(&world, &again), "signin.oidc.client_secret");
    assert_eq!(secret, Value::Null);
}

#[test]
fn the_usual_data_folder_is_shown() {
    let world = World::new();
    let file = world.write("config.toml", "");
    let mut command = program();
    command.env("XDG_DATA_HOME", world.path("share"));
    let (data, from) = in_force(command.arg("config").arg("--config").arg(&file), "data");
    let expected = world.path("share/readalong");
    assert_eq!(data.as_str(), expected.to_str());
    assert_eq!(from, "default");
}

#[test]
fn inspect_reads_the_configuration_that_it_is_given() {
    let world = World::new();
    let ran = run(program()
        .arg("inspect")
        .arg(fixture("chats/agent.jsonl"))
        .arg("--config")
        .arg(world.path("nowhere.toml")));
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("nowhere.toml"), "{}", ran.err);
}
