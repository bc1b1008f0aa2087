//! Every fixture and every sample, from the file to the bundle and back: the right format, every record accounted for, every text once.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use readalong_import::{Discard, Layout, Pick, RecordStats, Source, Surroundings, Transcript};
use readalong_model::Digest;
use serde_json::Value;

use crate::world::{Exported, World, collapsed, fixture, root};

/// Chats of a file of many that are exported, spread over the file.
const CHATS_MAX: usize = 8;
/// Words of a text that are looked for in pages, at least; fewer are found anywhere.
const SLICE_CHARS_MIN: usize = 18;

/// A transcript and what is known of it beforehand.
struct Case {
    path: PathBuf,
    format: &'static str,
}

#[test]
fn hand_written_fixtures() {
    let mut cases = Vec::new();
    for folder in fs::read_dir(fixture("formats")).unwrap().flatten() {
        let name = folder.file_name().to_string_lossy().into_owned();
        let format = readalong_import::FORMATS
            .iter()
            .find(|format| format.name == name);
        let format = format
            .unwrap_or_else(|| panic!("fixtures of no format: {name}"))
            .name;
        cases.extend(
            transcripts(&folder.path())
                .into_iter()
                .map(|path| Case { path, format }),
        );
    }
    assert!(cases.len() >= 20, "{} fixtures", cases.len());
    let (agent, branches) = (fixture("chats/agent.jsonl"), fixture("chats/branches.json"));
    cases.push(Case {
        path: agent,
        format: "claude-code",
    });
    cases.push(Case {
        path: branches,
        format: "chatgpt",
    });
    check_all(&cases, 100);
}

#[test]
fn real_samples() {
    let samples = root().join("../shared/samples");
    if !samples.exists() {
        println!("skipped: no samples in {}", samples.display());
        return;
    }
    let world = World::new();
    let mut cases = Vec::new();
    for (folder, format) in [
        ("claude-code", "claude-code"),
        ("codex", "codex"),
        ("chatgpt", "chatgpt"),
        ("openai-messages", "openai-chat"),
        ("sharegpt", "sharegpt"),
    ] {
        let Ok(entries) = fs::read_dir(samples.join(folder)) else {
            continue;
        };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            // Samples lie flat; `X+subagents+agent-Y.jsonl` is a file in the folder of session X.
            let path = world.write(
                &format!("{folder}/{}", name.replace('+', "/")),
                fs::read(entry.path()).unwrap(),
            );
            if name.contains("+subagents+") {
                continue;
            }
            let format = match name.as_str() {
                name if name.ends_with("sample_session.json") => "claude-code-web",
                // Its chats are `messages` with `role` and `content`.
                name if name.ends_with("mllm_demo.json") => "openai-chat",
                _ => format,
            };
            cases.push(Case { path, format });
        }
    }
    check_all(&cases, 800);
}

/// Transcripts in a folder, without the files that only lie beside them.
fn transcripts(folder: &Path) -> Vec<PathBuf> {
    let beside = [
        "user.json",
        "library_files.json",
        "conversation_asset_file_names.json",
    ];
    let entries = fs::read_dir(folder)
        .unwrap()
        .flatten()
        .map(|entry| entry.path());
    let mut found: Vec<PathBuf> = entries
        .filter(|path| {
            path.extension()
                .is_some_and(|ending| ending == "json" || ending == "jsonl")
        })
        .filter(|path| !beside.iter().any(|name| path.ends_with(name)))
        .collect();
    found.sort();
    found
}

/// Checks cases on two threads; all failures are told, not only the first. At least so many texts have to be found in them: a check of
/// none proves nothing.
fn check_all(cases: &[Case], texts_min: usize) {
    let texts = AtomicUsize::new(0);
    let texts = &texts;
    let failures: Vec<String> = std::thread::scope(|scope| {
        let halves = [0, 1].map(|half| {
            scope.spawn(move || {
                let mine = cases.iter().skip(half).step_by(2);
                mine.flat_map(|case| {
                    check(case, texts)
                        .into_iter()
                        .map(|text| format!("{}: {text}", case.path.display()))
                })
                .collect::<Vec<_>>()
            })
        });
        halves
            .into_iter()
            .flat_map(|half| half.join().unwrap())
            .collect()
    });
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
    let seen = texts.load(Ordering::Relaxed);
    assert!(seen >= texts_min, "only {seen} texts were compared");
}

/// Everything that has to hold for a transcript; what does not.
fn check(case: &Case, texts_seen: &AtomicUsize) -> Vec<String> {
    let transcript = Transcript::open(source(&case.path), None).unwrap();
    let mut failures = Vec::new();
    let found = transcript.detection().format.name;
    if found != case.format {
        failures.push(format!("taken for {found}"));
    }
    let one = transcript.detection().layout == Layout::OneChat;
    let picks: Vec<Option<usize>> = if one {
        vec![None]
    } else {
        let chats = transcript.list().unwrap().len();
        let step = chats.div_ceil(CHATS_MAX).max(1);
        (1..=chats).step_by(step).map(Some).collect()
    };
    for pick in picks {
        let chat = pick.map(|number| number.to_string());
        let stats = read(&transcript, chat.clone(), &case.path);
        failures.extend(check_stats(stats, &case.path, one));
        let world = World::new();
        let args: Vec<&str> = chat
            .as_deref()
            .map(|chat| vec!["--chat", chat])
            .unwrap_or_default();
        let exported = world.export(&case.path, &args);
        let texts = texts_of(case, pick, &exported);
        texts_seen.fetch_add(texts.len(), Ordering::Relaxed);
        failures.extend(check_texts(&texts, &exported, &case.path));
        let again = world.export(&exported.path.join("chat.json"), &[]);
        if again.id() != exported.id() {
            failures.push(format!(
                "chat {chat:?}: its own chat.json gives another bundle"
            ));
        }
    }
    failures
}

fn read(transcript: &Transcript, chat: Option<String>, path: &Path) -> RecordStats {
    let pick = chat.map_or(Pick::Only, Pick::Named);
    transcript
        .read(&pick, &mut Beside(path.parent().unwrap()))
        .unwrap()
        .stats
}

/// Records in = mapped + bookkeeping + kept raw + damaged, and as many as the file has.
fn check_stats(stats: RecordStats, path: &Path, one: bool) -> Option<String> {
    let sum = stats.mapped + stats.bookkeeping + stats.kept_raw + stats.damaged;
    if stats.records != sum {
        return Some(format!("{stats:?} do not add up"));
    }
    let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    let is_lines = path.extension().is_some_and(|ending| ending == "jsonl");
    let lines = text
        .lines()
        .filter(|line| !line.trim_matches(['\0', ' ', '\t', '\r']).is_empty())
        .count() as u64;
    let whole = text
        .lines()
        .all(|line| line.trim().is_empty() || serde_json::from_str::<Value>(line).is_ok());
    let fits = if whole {
        stats.records == lines
    } else {
        stats.records >= lines
    };
    (is_lines && one && !fits).then(|| format!("{lines} lines and {} records", stats.records))
}

/// Every text stands in `chat.json` as often as in the transcript, and on the pages once.
fn check_texts(texts: &[String], exported: &Exported, path: &Path) -> Vec<String> {
    let mut failures = Vec::new();
    let mut wanted: BTreeMap<&str, usize> = BTreeMap::new();
    let whole: Vec<String> = texts.iter().map(|text| collapsed(text)).collect();
    for text in whole.iter().filter(|text| !text.is_empty()) {
        *wanted.entry(text).or_default() += 1;
    }
    let mut kept: BTreeMap<String, usize> = BTreeMap::new();
    for message in exported.chat()["messages"].as_array().unwrap() {
        let spoken = matches!(message["role"].as_str(), Some("user" | "assistant"));
        for part in message["parts"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|_| spoken)
        {
            if let Some(text) = part["text"]["markdown"].as_str() {
                *kept.entry(collapsed(text)).or_default() += 1;
            }
        }
    }
    for (text, times) in &wanted {
        let found = kept.get(*text).copied().unwrap_or(0);
        if found != *times {
            failures.push(format!(
                "{found} times instead of {times} in chat.json: {text:.120}"
            ));
        }
    }
    let raw = collapsed(&raw_with_subagents(path));
    let shown = exported.found_text();
    for text in texts {
        // Runs of plain words within a line: what Markdown makes of a text keeps them together.
        let slices = text
            .split(|c: char| !(c.is_ascii_alphanumeric() || c == ' '))
            .map(str::trim);
        let Some(slice) = slices
            .filter(|slice| slice.len() >= SLICE_CHARS_MIN)
            .max_by_key(|slice| slice.len())
        else {
            continue;
        };
        let (given, found) = (raw.matches(slice).count(), shown.matches(slice).count());
        if found == 0 || (given == 1 && found > 1) {
            failures.push(format!(
                "{found} times on the pages, {given} times in the file: {slice}"
            ));
        }
    }
    failures
}

fn raw_with_subagents(path: &Path) -> String {
    let mut raw = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    for file in subagents(path) {
        raw.push_str(&String::from_utf8_lossy(&fs::read(file).unwrap()));
    }
    raw
}

fn subagents(path: &Path) -> Vec<PathBuf> {
    let folder = path.with_extension("").join("subagents");
    let entries = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    // Those of a compaction make the summary that the chat holds anyway, and are not shown.
    let is_agent = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with("agent-") && name.ends_with(".jsonl") && !name.contains("acompact")
    };
    entries.filter(is_agent).collect()
}

/// Texts of people and models, read from the raw file without any of the program's code.
fn texts_of(case: &Case, pick: Option<usize>, exported: &Exported) -> Vec<String> {
    let raw = fs::read(&case.path).unwrap();
    let native_id = exported.chat()["origin"]["native_id"]
        .as_str()
        .map(str::to_owned);
    match case.format {
        "claude-code" => {
            let mut texts = session_texts(&raw, true);
            for file in subagents(&case.path) {
                texts.extend(session_texts(&fs::read(file).unwrap(), false));
            }
            texts
        }
        "chatgpt" => {
            // One fixture holds half of a surrogate pair, which this parser refuses.
            let whole = String::from_utf8_lossy(&raw).replace("\\ud83d ", "\u{fffd} ");
            let conversations: Value = serde_json::from_str(&whole).unwrap();
            let list = conversations
                .as_array()
                .cloned()
                .unwrap_or_else(|| vec![conversations.clone()]);
            let own = |conversation: &&Value| {
                conversation["conversation_id"]
                    .as_str()
                    .or(conversation["id"].as_str())
                    == native_id.as_deref()
            };
            list.iter()
                .filter(own)
                .flat_map(conversation_texts)
                .collect()
        }
        "sharegpt" | "openai-chat" | "anthropic" => {
            // Numbers count what can be read: where something cannot, nothing is compared.
            let chats = dataset(&raw);
            let number = pick.map_or(0, |number| number - 1);
            chats
                .get(number)
                .map(|turns| turns.iter().flat_map(turn_texts).collect())
                .unwrap_or_default()
        }
        "codex" => rollout_texts(&raw),
        _ => Vec::new(),
    }
}

/// What a session's people and models said: prompts that are strings, text blocks of answers. `prompts` is false for subagents, whose
/// first prompt stands in the call that started them.
fn session_texts(raw: &[u8], prompts: bool) -> Vec<String> {
    let mut seen = BTreeMap::new();
    let mut texts = Vec::new();
    for line in String::from_utf8_lossy(raw).lines() {
        let Ok(record) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        let kind = record["type"].as_str().unwrap_or_default();
        let is_inner = record["isMeta"] == true
            || record["isCompactSummary"] == true
            || record["isSidechain"] == true && prompts
            || record["isApiErrorMessage"] == true;
        let content = &record["message"]["content"];
        let said: Vec<&str> = match (kind, content) {
            ("user", Value::String(text)) if prompts && !is_inner && is_human(text) => {
                vec![text.as_str()]
            }
            ("assistant", Value::Array(blocks)) if !is_inner => blocks
                .iter()
                .filter(|block| block["type"] == "text")
                .filter_map(|block| block["text"].as_str())
                .collect(),
            _ => continue,
        };
        // Compaction writes the history again, with the same ids.
        let id = record["uuid"].as_str().unwrap_or_default().to_owned();
        for text in said {
            if id.is_empty() || seen.insert((id.clone(), text.to_owned()), ()).is_none() {
                texts.push(text.to_owned());
            }
        }
    }
    texts
}

fn is_human(text: &str) -> bool {
    let text = text.trim_start();
    !text.starts_with('<')
        && !text.contains("<system-reminder>")
        && ![
            "[Request interrupted",
            "Caveat: ",
            "This session is being continued",
        ]
        .iter()
        .any(|start| text.starts_with(start))
}

fn conversation_texts(conversation: &Value) -> Vec<String> {
    let nodes = conversation["mapping"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(_, node)| &node["message"]);
    let is_shown = |message: &&Value| {
        matches!(
            message["author"]["role"].as_str(),
            Some("user" | "assistant")
        ) && matches!(message["recipient"].as_str(), None | Some("all"))
            && message["content"]["content_type"] == "text"
            && message["metadata"]["is_visually_hidden_from_conversation"] != true
            && message["weight"].as_f64() != Some(0.0)
    };
    let parts = nodes
        .filter(is_shown)
        .flat_map(|message| message["content"]["parts"].as_array().into_iter().flatten());
    // Marks of citations become links; those texts are looked at by the importer's own tests.
    let texts = parts.filter_map(Value::as_str).filter(|text| {
        !text.contains(|c: char| ('\u{e200}'..='\u{e2ff}').contains(&c) || c == '【')
    });
    texts.map(str::to_owned).collect()
}

/// What the model said in a rollout. A resumed one begins with a copy of what came before, which is shown once: that is left to the
/// importer's own tests.
fn rollout_texts(raw: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(raw);
    if text.matches("\"session_meta\"").count() > 1 {
        return Vec::new();
    }
    let records = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let messages = records.map(|record| record.get("payload").cloned().unwrap_or(record));
    let spoken =
        messages.filter(|message| message["type"] == "message" && message["role"] == "assistant");
    spoken
        .flat_map(|message| message["content"].as_array().cloned().unwrap_or_default())
        .filter(|part| part["type"] == "output_text")
        .filter_map(|part| part["text"].as_str().map(str::to_owned))
        .flat_map(|text| without_blocks(&text))
        .collect()
}

/// The pieces of a text between the tags of plans, without citations of the model's memory.
fn without_blocks(text: &str) -> Vec<String> {
    let mut pieces = text.split("<oai-mem-citation>");
    let first = pieces.next().into_iter();
    let behind = pieces.map(|piece| match piece.split_once("</oai-mem-citation>") {
        Some((_, behind)) => behind,
        None => piece,
    });
    first
        .chain(behind)
        .flat_map(|piece| piece.split("<proposed_plan>"))
        .flat_map(|piece| piece.split("</proposed_plan>"))
        .filter(|piece| !piece.trim().is_empty())
        .map(str::to_owned)
        .collect()
}

/// The chats of a file of one or many.
fn dataset(raw: &[u8]) -> Vec<Vec<Value>> {
    let text = String::from_utf8_lossy(raw);
    let values: Vec<Value> = match serde_json::from_str(&text) {
        Ok(Value::Array(list)) => list,
        Ok(one) => vec![one],
        Err(_) => {
            let lines = text
                .lines()
                .filter(|line| !line.trim().is_empty())
                .map(serde_json::from_str);
            lines.collect::<Result<_, _>>().unwrap_or_default()
        }
    };
    // Messages that are no part of a list make one chat.
    if values.iter().any(|value| value.get("role").is_some()) {
        return vec![values];
    }
    let turns = |value: &Value| match value {
        Value::Array(turns) => Some(turns.clone()),
        _ => ["conversations", "conversation", "messages"]
            .iter()
            .find_map(|key| value.get(key)?.as_array().cloned()),
    };
    values.iter().filter_map(turns).collect()
}

fn turn_texts(turn: &Value) -> Vec<String> {
    let who = turn["role"]
        .as_str()
        .or(turn["from"].as_str())
        .unwrap_or_default();
    if !["user", "assistant", "human", "gpt", "chatgpt"].contains(&who) {
        return Vec::new();
    }
    let content = turn
        .get("content")
        .or(turn.get("value"))
        .unwrap_or(&Value::Null);
    let texts: Vec<&str> = match content {
        Value::String(text) => vec![text],
        Value::Array(parts) => {
            let texts = parts.iter().filter(|part| part["type"] == "text");
            texts
                .filter_map(|part| part["text"].as_str().or(part["value"].as_str()))
                .collect()
        }
        _ => Vec::new(),
    };
    // Tags in a text stand for pictures, reasoning and calls.
    texts
        .into_iter()
        .filter(|text| !text.contains(['<', '>']))
        .map(str::to_owned)
        .collect()
}

fn source(path: &Path) -> Source {
    let at = path.to_owned();
    Source {
        name: path.display().to_string(),
        open: Box::new(move || Ok(Box::new(fs::File::open(&at)?))),
    }
}

/// What lies beside a transcript; artifacts are not kept.
struct Beside<'a>(&'a Path);

impl Surroundings for Beside<'_> {
    fn keep(&mut self, bytes: &[u8]) -> std::io::Result<Digest> {
        Discard.keep(bytes)
    }

    fn beside(&mut self, path: &str) -> std::io::Result<Option<Vec<u8>>> {
        Ok(fs::read(self.0.join(path)).ok())
    }

    fn names_in(&mut self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.0.join(folder))
            .into_iter()
            .flatten()
            .flatten();
        let mut names: Vec<String> = entries
            .filter(|entry| entry.path().is_file())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}
