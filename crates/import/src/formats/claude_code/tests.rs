//! Fixtures as outlines, and the real samples against an independent reading of them.

use std::{collections::HashMap, fs, io, path::PathBuf};

use readalong_model::{
    Branches, Digest, MessageId, NoticeKind, Part, Role, ThreadId, ThreadKind, Visibility,
};
use serde_json::Value;

use crate::{
    Imported, Pick, Surroundings, Transcript,
    formats::outline::{assert_accounted, check_outline, fixtures, open, outline, read, samples},
};

fn fixture(name: &str) -> Imported {
    let imported = read(&fixtures("claude-code").join(name));
    assert_accounted(&imported);
    imported
}

#[test]
fn every_kind_of_record() {
    check_outline(&fixtures("claude-code").join("kinds.jsonl"));
    let imported = fixture("kinds.jsonl");
    assert_eq!(imported.chat.origin.native_id.as_deref(), Some("s-kinds"));
    assert_eq!(
        imported.chat.origin.app.as_deref(),
        Some("Claude Code 2.1.40")
    );
    let usage = imported
        .chat
        .messages
        .iter()
        .filter_map(|message| message.usage)
        .next()
        .unwrap();
    assert_eq!(
        (usage.input_tokens, usage.output_tokens, usage.cached_tokens),
        (13, 42, 100)
    );
}

#[test]
fn a_fork_is_an_alternative_and_parallel_calls_are_not() {
    let chat = fixture("fork.jsonl").chat;
    assert_eq!(chat.title, "Sorting both ways");
    let forked: Vec<(&str, &str)> = chat
        .messages
        .windows(2)
        .filter(|pair| pair[1].parent.as_ref() != Some(&pair[0].id))
        .map(|pair| {
            (
                pair[1].id.0.as_str(),
                pair[1]
                    .parent
                    .as_ref()
                    .map_or("-", |parent| parent.0.as_str()),
            )
        })
        .collect();
    assert_eq!(forked, [("u3", "a1")]);
    let branches = Branches::of(&chat.messages, ThreadId::MAIN);
    let ids: Vec<&MessageId> = branches
        .active_path(&chat.messages, None)
        .into_iter()
        .map(|place| &chat.messages[place].id)
        .collect();
    assert_eq!(
        ids.iter().map(|id| id.0.as_str()).collect::<Vec<_>>(),
        ["u1", "a1", "u3", "a3", "r2", "r3", "a5"]
    );
}

#[test]
fn subagents_and_big_outputs_beside_the_session() {
    let imported = fixture("subagents-session.jsonl");
    let chat = &imported.chat;
    let threads: Vec<(ThreadKind, Option<&str>, Option<&str>)> = chat
        .threads
        .iter()
        .map(|thread| {
            (
                thread.kind,
                thread.title.as_deref(),
                thread.parent_call.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        threads,
        [
            (ThreadKind::Main, None, None),
            (ThreadKind::Subagent, None, None),
            (ThreadKind::Subagent, Some("Explore"), Some("t1")),
            (ThreadKind::Subagent, Some("Count"), Some("t2")),
            (ThreadKind::Compaction, None, None),
            (ThreadKind::Subagent, Some("Check"), None),
            (ThreadKind::Subagent, Some("Old"), Some("t3")),
        ]
    );
    let seen: Vec<(u32, &str)> = chat
        .messages
        .iter()
        .filter(|message| message.visibility == Visibility::Shown && !message.thread.is_main())
        .filter_map(|message| {
            if let [Part::Text { markdown }] = message.parts.as_slice() {
                Some((message.thread.0, markdown.as_str()))
            } else {
                None
            }
        })
        .collect();
    assert_eq!(
        seen,
        [
            (1, "Inline work"),
            (1, "Inline done."),
            (2, "Found two."),
            (3, "Forty."),
            (5, "Check it"),
            (5, "It holds."),
            (6, "Old ways, more words"),
            (6, "Old answer.")
        ]
    );
    assert_eq!(chat.damaged_records, 1);
    assert!(
        imported
            .warnings
            .iter()
            .any(|warning| warning.place.file.ends_with("agent-aaa1.jsonl")),
        "{:?}",
        imported.warnings
    );
    let text = outline(chat);
    for expected in [
        "text \"line 1\\nline 2\\n\"",
        "text \"only this\"",
        "file gone.txt text/plain (missing)",
    ] {
        assert_eq!(text.matches(expected).count(), 1, "{expected}\n{text}");
    }
}

/// The text of each tool result, and how many files hang to it.
fn results(imported: &Imported) -> Vec<(String, usize)> {
    let mut results = Vec::new();
    for part in imported
        .chat
        .messages
        .iter()
        .flat_map(|message| &message.parts)
    {
        let Part::ToolResult { parts, .. } = part else {
            continue;
        };
        let text = parts.iter().find_map(|part| match part {
            Part::Text { markdown } => Some(markdown.clone()),
            _ => None,
        });
        let files = parts
            .iter()
            .filter(|part| matches!(part, Part::File { .. }))
            .count();
        results.push((text.unwrap_or_default(), files));
    }
    results
}

/// Files that lie beside a transcript.
struct Beside(HashMap<String, Vec<u8>>);

impl Surroundings for Beside {
    fn keep(&mut self, bytes: &[u8]) -> io::Result<Digest> {
        Ok(Digest::of(bytes))
    }

    fn beside(&mut self, path: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.get(path).cloned())
    }

    fn names_in(&mut self, _folder: &str) -> Vec<String> {
        Vec::new()
    }
}

/// A session `x.jsonl` whose tool results name big outputs, and those outputs.
fn read_with_outputs(named: &[(&str, &str)], files: &[(&str, &str)]) -> Imported {
    let mut lines = String::new();
    for (at, (session, path)) in named.iter().enumerate() {
        let preview = format!(
            "<persisted-output>\nsaved to: /p/{path}\n\nPreview (first 2KB):\ncut\n</persisted-output>"
        );
        let record = serde_json::json!({"type": "user", "uuid": format!("r{at}"), "sessionId": session, "message": {
            "role": "user", "content": [{"type": "tool_result", "tool_use_id": format!("t{at}"), "content": preview}]}});
        lines.push_str(&format!("{record}\n"));
    }
    let files = files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()));
    let mut beside = Beside(files.collect());
    transcript(lines.into_bytes())
        .read(&Pick::Only, &mut beside)
        .unwrap()
}

#[test]
fn a_text_brings_no_outputs_of_other_sessions() {
    let imported = read_with_outputs(
        &[
            ("s", "other/tool-results/b1.txt"),
            ("resumed", "resumed/tool-results/b2.txt"),
            ("s", "x/tool-results/b3.txt"),
        ],
        &[
            ("other/tool-results/b1.txt", "of another session"),
            ("resumed/tool-results/b2.txt", "of a session it goes on"),
            ("x/tool-results/b3.txt", "its own"),
        ],
    );
    let expected = [("cut", 1), ("of a session it goes on", 0), ("its own", 0)];
    assert_eq!(
        results(&imported),
        expected.map(|(text, files)| (text.to_owned(), files))
    );
}

#[test]
fn an_output_stands_in_the_chat_once() {
    let imported = read_with_outputs(
        &[("s", "x/tool-results/b.txt"); 3],
        &[("x/tool-results/b.txt", "whole")],
    );
    let expected = [("whole", 0), ("cut", 1), ("cut", 1)];
    assert_eq!(
        results(&imported),
        expected.map(|(text, files)| (text.to_owned(), files))
    );
    assert_eq!(imported.chat.artifacts.len(), 1);
}

#[test]
fn which_of_many_prompts_are_known_to_be_taken_back_is_no_chance() {
    let line = |kind: &str, rest: String| {
        format!(
            "{{\"type\":\"{kind}\",\"sessionId\":\"s\",\"timestamp\":\"2026-01-05T10:00:00.000Z\",{rest}}}\n"
        )
    };
    let enqueued = (0..150).map(|at| {
        let what = format!("\"operation\":\"enqueue\",\"content\":\"prompt {at}\"");
        line("queue-operation", what)
    });
    let popped = line("queue-operation", "\"operation\":\"popAll\"".to_owned());
    let prompts = (0..150).map(|at| {
        let what = format!(
            "\"uuid\":\"u{at}\",\"message\":{{\"role\":\"user\",\"content\":\"prompt {at}\"}}"
        );
        line("user", what)
    });
    let lines: String = enqueued.chain([popped]).chain(prompts).collect();
    let imported = transcript(lines.into_bytes())
        .read(&Pick::Only, &mut crate::Discard)
        .unwrap();
    let hidden: Vec<bool> = imported.chat.messages[..150]
        .iter()
        .map(|message| message.visibility == Visibility::Hidden)
        .collect();
    let newest: Vec<bool> = (0..150).map(|at| at >= 150 - 64).collect();
    assert_eq!(hidden, newest);
}

/// Records of a session, each the child of the one before, with what each has besides.
fn session(records: &[(&str, Value)]) -> Imported {
    let mut lines = String::new();
    for (at, (kind, rest)) in records.iter().enumerate() {
        let mut line = serde_json::json!({
            "type": kind,
            "sessionId": "s",
            "uuid": format!("r{at}"),
            "parentUuid": at.checked_sub(1).map(|above| format!("r{above}")),
            "timestamp": "2026-01-05T10:00:00.000Z",
        });
        let members = rest.as_object().unwrap().clone();
        line.as_object_mut().unwrap().extend(members);
        lines.push_str(&format!("{line}\n"));
    }
    transcript(lines.into_bytes())
        .read(&Pick::Only, &mut crate::Discard)
        .unwrap()
}

fn says(role: &str, text: &str) -> Value {
    serde_json::json!({"message": {"role": role, "content": text}})
}

#[test]
fn news_of_a_task_is_no_prompt_and_stands_there_once() {
    let news = "<task-notification>\n<task-id>t</task-id>\n</task-notification>\nRead the output file: /tmp/t";
    let imported = session(&[
        ("user", says("user", "Go on")),
        (
            "queue-operation",
            serde_json::json!({"operation": "enqueue", "content": news}),
        ),
        ("user", says("user", news)),
    ]);
    let seen: Vec<String> = imported
        .chat
        .messages
        .iter()
        .filter(|message| message.visibility != Visibility::Hidden)
        .map(|message| format!("{:?} {:?}", message.role, message.parts))
        .collect();
    assert_eq!(seen.len(), 3, "{seen:#?}");
    assert!(seen[1].contains("Info") && seen[1].contains("<task-id>t"));
    assert!(seen[2].contains("Info") && seen[2].contains("Read the output"));
}

#[test]
fn what_humans_say_to_calls_is_theirs() {
    check_outline(&fixtures("claude-code").join("refusals.jsonl"));
}

#[test]
fn a_record_with_the_id_of_another_is_a_replay_where_it_says_the_same() {
    let call = |id: &str| serde_json::json!({"type": "tool_use", "id": id, "name": "Bash", "input": {"command": id}});
    let thought = |text: &str| serde_json::json!({"type": "thinking", "thinking": text});
    let of_model = |block: Value| serde_json::json!({"uuid": "same", "message": {"role": "assistant", "content": [block]}});
    let imported = session(&[
        ("user", says("user", "Go on")),
        ("assistant", of_model(call("t1"))),
        ("assistant", of_model(call("t2"))),
        ("assistant", of_model(call("t1"))),
        ("assistant", of_model(thought("Hm."))),
        ("assistant", of_model(call("t2"))),
    ]);
    let text = outline(&imported.chat);
    for expected in ["call t1 ", "call t2 ", "reasoning \"Hm.\""] {
        assert_eq!(text.matches(expected).count(), 1, "{text}");
    }
}

#[test]
fn a_stream_that_failed_says_why() {
    let imported = session(&[
        ("user", says("user", "Go on")),
        (
            "result",
            serde_json::json!({"subtype": "error_during_execution", "is_error": true, "errors": ["No network", 7]}),
        ),
    ]);
    let text = outline(&imported.chat);
    assert!(text.ends_with("notice Error \"No network\""), "{text}");
}

#[test]
fn streams_of_older_versions_have_no_ids() {
    let stream = std::fs::read_to_string(fixtures("claude-code").join("stream.jsonl")).unwrap();
    let without_ids = |line: &str| {
        let mut record: serde_json::Map<String, Value> = serde_json::from_str(line).unwrap();
        record.remove("uuid");
        serde_json::to_string(&record).unwrap() + "\n"
    };
    let lines: String = stream.lines().map(without_ids).collect();
    let transcript = transcript(lines.into_bytes());
    assert_eq!(transcript.detection().format.name, "claude-code");
    let imported = transcript.read(&Pick::Only, &mut crate::Discard).unwrap();
    let text = outline(&imported.chat);
    assert!(
        text.contains("text \"Stream it\"") && text.contains("text \"Streamed.\""),
        "{text}"
    );
}

#[test]
fn lines_that_begin_with_damage_are_lines() {
    let line = |uuid: &str, text: &str| {
        let message = serde_json::json!({"role": "user", "content": text});
        let record = serde_json::json!({"type": "user", "uuid": uuid, "sessionId": "s-torn", "message": message});
        record.to_string()
    };
    let long = "x".repeat(400_000);
    let lines = [
        line("u1", "one") + &line("u2", "two"),
        line("u3", &long),
        r#"{"type":"user","uuid":"lost","message":{"role":"us"#.to_owned() + &line("u4", "four"),
        line("u5", "five"),
    ];
    let imported = transcript(lines.join("\n").into_bytes())
        .read(&Pick::Only, &mut crate::Discard)
        .unwrap();
    let messages = imported.chat.messages.iter();
    let ids: Vec<&str> = messages.map(|message| message.id.0.as_str()).collect();
    assert_eq!(ids, ["u1", "u2", "u3", "u4", "u5"]);
    assert_eq!(imported.stats.damaged, 1);
}

#[test]
fn a_command_that_the_model_answers_is_a_prompt() {
    check_outline(&fixtures("claude-code").join("commands.jsonl"));
}

#[test]
fn a_subagent_on_its_own_is_a_chat() {
    let chat = fixture("agent-old1.jsonl").chat;
    assert_eq!(chat.threads.len(), 1);
    assert_eq!(chat.title, "Old ways, more words");
    assert_eq!(
        chat.origin.native_id.as_deref(),
        Some("subagents-session/old1")
    );
    let chat = fixture("warmup.jsonl").chat;
    assert_eq!(chat.title, "Real prompt");
    assert_eq!(chat.threads.len(), 2);
    let threads: Vec<u32> = chat
        .messages
        .iter()
        .map(|message| message.thread.0)
        .collect();
    assert_eq!(threads, [1, 1, 0, 0]);
}

#[test]
fn streams_name_the_call_of_a_subagent() {
    let chat = fixture("stream.jsonl").chat;
    assert_eq!(chat.threads[1].parent_call.as_deref(), Some("t1"));
    let text = outline(&chat);
    assert_eq!(text.matches("Streamed.").count(), 1, "{text}");
    assert_eq!(chat.origin.native_id.as_deref(), Some("s-stream"));
}

#[test]
fn hostile_records_are_kept_and_change_nothing() {
    for json in [
        "{\"type\":\"user\",\"uuid\":\"a\",\"message\":{\"content\":[[[[[[1]]]]]]}}",
        "[]",
        "null",
        "{\"type\":{\"type\":1}}",
    ] {
        let lines = format!(
            "{{\"type\":\"user\",\"uuid\":\"u\",\"sessionId\":\"s\",\"message\":{{\"content\":\"Hi\"}}}}\n{json}\n"
        );
        let imported = transcript(lines.into_bytes())
            .read(&Pick::Only, &mut crate::Discard)
            .unwrap();
        assert_accounted(&imported);
        assert_eq!(imported.stats.damaged, 0, "{json}");
    }
    let deep = format!(
        "{{\"type\":\"user\",\"uuid\":\"d\",\"sessionId\":\"s\",\"message\":{{\"content\":{}1{}}}}}\n",
        "[{\"type\":\"tool_result\",\"tool_use_id\":\"t\",\"content\":".repeat(20_000),
        "}]".repeat(20_000)
    );
    let imported = transcript(deep.into_bytes())
        .read(&Pick::Only, &mut crate::Discard)
        .unwrap();
    assert_eq!(imported.stats.damaged, 0);
}

fn transcript(bytes: Vec<u8>) -> Transcript {
    let open =
        Box::new(move || Ok(Box::new(io::Cursor::new(bytes.clone())) as Box<dyn crate::ReadSeek>));
    Transcript::open(
        crate::Source {
            name: "x.jsonl".into(),
            open,
        },
        Some("claude-code"),
    )
    .unwrap()
}

/// Samples whose names stand for paths: `X+subagents+agent-Y.jsonl` is `X/subagents/agent-Y.jsonl`.
struct Flattened {
    files: HashMap<String, PathBuf>,
}

impl Surroundings for Flattened {
    fn keep(&mut self, bytes: &[u8]) -> io::Result<Digest> {
        Ok(Digest::of(bytes))
    }

    fn beside(&mut self, path: &str) -> io::Result<Option<Vec<u8>>> {
        self.files.get(path).map(fs::read).transpose()
    }

    fn names_in(&mut self, folder: &str) -> Vec<String> {
        let mut names: Vec<String> = self
            .files
            .keys()
            .filter_map(|path| path.strip_prefix(&format!("{folder}/")).map(str::to_owned))
            .collect();
        names.sort();
        names
    }
}

#[test]
fn samples_lose_and_double_nothing() {
    let paths = samples("claude-code");
    let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    let files: HashMap<String, PathBuf> = paths
        .iter()
        .map(|path| (name(path).replace('+', "/"), path.clone()))
        .collect();
    for path in &paths {
        let transcript = open(path);
        let imported = transcript
            .read(
                &Pick::Only,
                &mut Flattened {
                    files: files.clone(),
                },
            )
            .unwrap();
        assert_accounted(&imported);
        let chat = &imported.chat;
        assert_eq!(imported.stats.damaged, 0, "{}", path.display());
        assert_eq!(chat.threads.iter().skip(1).filter(|thread| thread.kind == ThreadKind::Subagent && thread.parent_call.is_none()).count(), 0);
        let mut found: HashMap<&str, usize> = HashMap::new();
        for part in chat.messages.iter().flat_map(|message| &message.parts) {
            match part {
                Part::Text { markdown } => *found.entry(markdown.trim()).or_default() += 1,
                Part::Notice { text, .. } if !text.is_empty() => {
                    *found.entry(text.trim()).or_default() += 1
                }
                _ => {}
            }
        }
        let stem = name(path).replace(".jsonl", "");
        let mut wanted = texts(path);
        for (_, side) in files
            .iter()
            .filter(|(name, _)| name.starts_with(&format!("{stem}/subagents/")))
        {
            for (text, count) in texts(side) {
                *wanted.entry(text).or_default() += count;
            }
        }
        for (text, count) in wanted {
            assert_eq!(
                found.get(text.trim()).copied().unwrap_or(0),
                count,
                "{}: {text:?}",
                path.display()
            );
        }
        let compactions = chat.messages.iter().flat_map(|message| &message.parts).filter(|part| matches!(part, Part::Notice { kind: NoticeKind::Compaction, text } if !text.is_empty()));
        if name(path).contains("compaction") {
            assert_eq!(compactions.count(), 1);
        }
        assert!(
            chat.messages
                .iter()
                .all(|message| message.role != Role::User || !message.parts.is_empty())
        );
    }
}

/// Prompts and assistant texts, read without the reader: each once, records with the same id once.
fn texts(path: &PathBuf) -> HashMap<String, usize> {
    let raw = fs::read_to_string(path).unwrap();
    let whole: Vec<Value> = match serde_json::from_str::<Value>(&raw) {
        Ok(mut object) if object.get("loglines").is_some() => object["loglines"]
            .as_array_mut()
            .map(std::mem::take)
            .unwrap(),
        _ => raw
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect(),
    };
    let mut texts = HashMap::new();
    for record in whole {
        let kind = record["type"].as_str().unwrap_or_default();
        if !matches!(kind, "user" | "assistant") {
            continue;
        }
        let content = &record["message"]["content"];
        let blocks = content.as_array().cloned().unwrap_or_default();
        let in_blocks = blocks
            .iter()
            .filter(|block| block["type"] == "text")
            .filter_map(|block| block["text"].as_str());
        for text in content.as_str().into_iter().chain(in_blocks) {
            let by_program =
                kind == "user" && (text.starts_with('<') || text.starts_with("[Request"));
            if !by_program && !text.trim().is_empty() {
                *texts.entry(text.to_owned()).or_default() += 1;
            }
        }
    }
    texts
}
