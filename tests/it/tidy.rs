//! Holds the promises that ARCHITECTURE.md and the documents make: layers, names, formats, commands, sample bundles.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use readalong_bundle::{FORMAT_VERSION, verify};
use readalong_import::FORMATS;

use crate::world::{World, readalong, root};

/// Folders that hold nothing of ours, or nothing that is committed.
const SKIPPED: [&str; 5] = [
    "target",
    ".git",
    "node_modules",
    "tests/output",
    "tests/browser/node_modules",
];
/// Names that only the importers know.
const VENDORS: [&str; 6] = [
    "claude",
    "chatgpt",
    "codex",
    "openai",
    "anthropic",
    "gemini",
];
/// Crates from outside, and the only ones of ours that may use them.
const ONLY_IN: [(&str, &[&str]); 24] = [
    (
        "tokio",
        &[
            "readalong-live",
            "readalong-publish",
            "readalong-server",
            "readalong",
        ],
    ),
    ("object_store", &["readalong-publish"]),
    ("axum", &["readalong-server"]),
    ("hyper", &["readalong-server"]),
    ("tower", &["readalong-server"]),
    ("utoipa", &["readalong-server"]),
    ("argon2", &["readalong-server"]),
    ("rusqlite", &["readalong-store"]),
    ("notify", &["readalong-live"]),
    ("ureq", &["readalong-live", "readalong-server", "readalong"]),
    ("openidconnect", &["readalong-server"]),
    ("qrcode", &["readalong-server", "readalong"]),
    ("anyhow", &["readalong"]),
    ("clap", &["readalong"]),
    ("indicatif", &["readalong"]),
    ("minijinja", &["readalong-render"]),
    ("pulldown-cmark", &["readalong-render"]),
    ("syntect", &["readalong-render"]),
    ("sha2", &["readalong-model", "readalong-bundle"]),
    ("aes-gcm", &["readalong-bundle"]),
    ("hkdf", &["readalong-bundle"]),
    ("hmac", &["readalong-bundle"]),
    ("pbkdf2", &["readalong-bundle"]),
    ("zip", &["readalong-import", "readalong-bundle"]),
];
/// Words that may not stand in the code of a crate, and files that are excused.
const NEVER: [(&str, &[&str], &[&str]); 4] = [
    (
        "crates/model/src",
        &["fs::", "SystemTime", "Instant", "async"],
        &[],
    ),
    (
        "crates/render/src",
        &["Chat", "fs::", "SystemTime", "Instant", "println"],
        &["highlight.rs", "pattern.rs"],
    ),
    (
        "crates/bundle/src",
        &["SystemTime", "Instant", "println", "eprintln"],
        &[],
    ),
    (
        "crates/import/src",
        &["File::open", "fs::", "SystemTime", "Instant", "println"],
        &[],
    ),
];
const ARCHITECTURE_WORDS_MAX: usize = 3800;

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All files below a folder, relative to the workspace.
fn files_below(folder: &str) -> Vec<String> {
    let mut open = vec![PathBuf::from(folder)];
    let mut files = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            let name = path.to_string_lossy().into_owned();
            if SKIPPED.contains(&name.as_str()) {
                continue;
            }
            match entry.file_type().unwrap() {
                kind if kind.is_dir() => open.push(path),
                kind if kind.is_file() => files.push(name),
                _ => {}
            }
        }
    }
    files.sort();
    files
}

fn code_below(folder: &str) -> Vec<String> {
    let mut files = files_below(folder);
    files.retain(|file| file.ends_with(".rs"));
    files
}

/// The part of a document below a heading.
fn section<'a>(document: &'a str, heading: &str) -> &'a str {
    let begin = document
        .find(&format!("{heading}\n"))
        .unwrap_or_else(|| panic!("no heading `{heading}`"));
    let rest = &document[begin + heading.len()..];
    let level = heading.split(' ').next().unwrap();
    rest.split(&format!("\n{level} ")).next().unwrap()
}

/// Names in code spans.
fn spans(text: &str) -> BTreeSet<String> {
    let odd = text.split('`').skip(1).step_by(2);
    odd.map(str::to_owned).collect()
}

/// Crates of ours with what they depend on: (all names, those of ours).
fn crates() -> BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)> {
    let mut manifests = vec!["themes/Cargo.toml".to_owned()];
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        let name = entry.unwrap().file_name();
        manifests.push(format!("crates/{}/Cargo.toml", name.to_string_lossy()));
    }
    let mut crates = BTreeMap::new();
    for manifest in manifests {
        let manifest: toml::Table = read(&manifest).parse().unwrap();
        let name = manifest["package"]["name"].as_str().unwrap().to_owned();
        let needs = manifest["dependencies"].as_table().unwrap();
        let needs: BTreeSet<String> = needs.keys().cloned().collect();
        let ours = needs.iter().filter(|name| name.starts_with("readalong"));
        let ours = ours.cloned().collect();
        crates.insert(name, (needs, ours));
    }
    crates
}

#[test]
fn the_crate_table_is_true() {
    let architecture = read("ARCHITECTURE.md");
    let mut table = BTreeMap::new();
    for line in section(&architecture, "## Crates").lines() {
        let cells: Vec<&str> = line.split('|').collect();
        if let [_, name, _, _, needs, ..] = cells.as_slice()
            && let Some(name) = spans(name).into_iter().next()
        {
            table.insert(name, spans(needs));
        }
    }
    let real: BTreeMap<_, _> = crates()
        .into_iter()
        .map(|(name, (_, ours))| (name, ours))
        .collect();
    assert_eq!(table, real, "ARCHITECTURE.md (left) and Cargo.toml (right)");
    let words = architecture.split_whitespace().count();
    assert!(
        words <= ARCHITECTURE_WORDS_MAX,
        "ARCHITECTURE.md: {words} words"
    );
}

#[test]
fn layers_keep_to_themselves() {
    for (name, (needs, _)) in crates() {
        for (outside, allowed) in ONLY_IN {
            let is_used = needs
                .iter()
                .any(|need| need == outside || need.starts_with(&format!("{outside}_")));
            assert!(
                !is_used || allowed.contains(&name.as_str()),
                "{name} uses {outside}"
            );
        }
    }
    for (folder, words, excused) in NEVER {
        for file in code_below(folder) {
            let is_test = file.ends_with("tests.rs")
                || file.ends_with("outline.rs")
                || file.ends_with("growth.rs");
            if is_test || excused.iter().any(|name| file.ends_with(name)) {
                continue;
            }
            for (number, line) in read(&file).lines().enumerate() {
                if line.trim_start().starts_with("#[cfg(test)]") {
                    break;
                }
                let code = line.split("//").next().unwrap();
                for word in words {
                    assert!(!has_word(code, word), "{file}:{}: {word}", number + 1);
                }
            }
        }
    }
}

fn has_word(code: &str, word: &str) -> bool {
    let goes_on = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    code.match_indices(word).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + word.len()..]);
        let is_whole = word.ends_with(':') || !goes_on(after.chars().next());
        is_whole && !goes_on(before.chars().next_back())
    })
}

#[test]
fn vendors_are_named_by_importers_only() {
    let mut files = files_below("crates");
    files.extend(files_below("themes"));
    // Rules for secrets say whose they are.
    files
        .retain(|file| !file.starts_with("crates/import/") && !file.ends_with("redact/rules.toml"));
    let mut named = Vec::new();
    for file in files {
        let text = String::from_utf8_lossy(&fs::read(root().join(&file)).unwrap()).to_lowercase();
        for (number, line) in text.lines().enumerate() {
            let vendors = VENDORS.iter().filter(|vendor| line.contains(**vendor));
            named.extend(vendors.map(|vendor| format!("{file}:{}: {vendor}", number + 1)));
        }
    }
    assert!(named.is_empty(), "{named:#?}");
}

#[test]
fn every_format_has_fixtures_and_a_row() {
    let document = read("docs/formats.md");
    let rows: Vec<(String, String)> = document
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<&str> = line.split(" | ").collect();
            (cells[0].replace(['|', '`', ' '], ""), cells[3].to_owned())
        })
        .collect();
    let formats: Vec<(String, String)> = FORMATS
        .iter()
        .map(|format| {
            (
                format.name.to_owned(),
                format!("{:?}", format.growth).to_lowercase(),
            )
        })
        .collect();
    assert_eq!(rows, formats, "docs/formats.md (left) and FORMATS (right)");
    for (name, _) in formats {
        // The fixtures of our own format are the sample bundles.
        let folder = match name.as_str() {
            "readalong" => format!("exports/v{FORMAT_VERSION}"),
            name => format!("tests/fixtures/formats/{name}"),
        };
        assert!(!files_below(&folder).is_empty(), "{folder} is empty");
    }
}

#[test]
fn every_sample_bundle_verifies_and_reads_back() {
    let ours = format!("readalong {}", env!("CARGO_PKG_VERSION"));
    for version in 1..=FORMAT_VERSION {
        let folder = root().join(format!("exports/v{version}"));
        let bundles: Vec<PathBuf> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert!(bundles.len() >= 2, "{} has too few", folder.display());
        for bundle in bundles {
            check_sample(&bundle, &ours);
        }
    }
}

fn check_sample(bundle: &Path, ours: &str) {
    let verified = verify(bundle).unwrap().into_verified();
    let verified = verified.unwrap_or_else(|problems| panic!("{problems:?}"));
    let name = bundle.file_name().unwrap().to_string_lossy();
    assert_eq!(name, verified.id.to_string());
    let again = World::new().export(&bundle.join("chat.json"), &[]);
    assert_eq!(again.warnings(), [""; 0], "{name}");
    if verified.manifest.generator == ours {
        assert_eq!(
            again.id(),
            name,
            "pages changed: run tests/tools/make-exports"
        );
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    let mut files = code_below("crates");
    files.extend(code_below("themes"));
    files.extend(code_below("tests"));
    let silent: Vec<&String> = files
        .iter()
        .filter(|file| !read(file).starts_with("//! "))
        .collect();
    assert!(silent.is_empty(), "these begin without `//!`: {silent:#?}");
}

#[test]
fn no_file_names_a_place_on_one_machine() {
    let places = ["work", "root"].map(|name| format!("/{name}/"));
    let mut found = Vec::new();
    for file in files_below("") {
        let bytes = fs::read(root().join(&file)).unwrap();
        let Ok(text) = String::from_utf8(bytes) else {
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            let named = places.iter().any(|place| {
                let mut places = line.match_indices(place.as_str());
                places.any(|(at, _)| {
                    let before = line[..at].chars().next_back();
                    before.is_none_or(|c| !c.is_alphanumeric() && !"._~-/".contains(c))
                })
            });
            if named {
                found.push(format!("{file}:{}", number + 1));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn every_command_and_option_is_documented() {
    let document = read("docs/commands.md");
    let help = readalong(["--help"]).out;
    let commands: Vec<&str> = section(&help, "Commands:")
        .lines()
        .take_while(|line| !line.starts_with("Options"))
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(commands.contains(&"export"), "{help}");
    for command in commands {
        let documented = section(&document, &format!("## readalong {command}"));
        let help = readalong([command, "--help"]).out;
        let options = help.split_whitespace().filter(|word| {
            word.starts_with("--")
                && word[2..]
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c == '-')
        });
        // The data folder and the configuration are the same for all; `serve` tells of them.
        let is_shared = |option: &str| ["--data", "--config"].contains(&option);
        let is_own =
            |option: &&str| *option != "--help" && (command == "serve" || !is_shared(option));
        for option in options.filter(is_own) {
            assert!(
                documented.contains(option),
                "docs/commands.md: {command} has {option}"
            );
        }
    }
}
