//! Rollouts from fixtures and from real samples.

use std::collections::HashMap;

use readalong_model::{Part, Visibility};
use serde_json::{Value, json};

use crate::formats::outline::{
    assert_accounted, fixtures, occurrences, open, outline, read, read_bytes, samples,
};

fn check(fixture: &str, expected: &str) {
    let imported = read(&fixtures("codex").join(fixture));
    assert_accounted(&imported);
    assert_eq!(imported.chat.origin.format, "codex");
    assert_eq!(outline(&imported.chat), expected.trim(), "{fixture}");
}

#[test]
fn present_form() {
    check(
        "present.jsonl",
        r##"
# The broken build
system hidden
  text "<permissions instructions>sandboxed"
user hidden
  text "# AGENTS.md instructions for /home/dev/app\nUse tabs."
user hidden
  text "A context of a kind that nobody has seen before"
user
  text "Fix the build"
  image image.png image/png (8 bytes)
assistant gpt-x
  reasoning "**Look first**"
  reasoning "**Then think**"
  text "I look at the build."
  call c1 exec_command Run { command: "cargo check", language: None, purpose: None } Failed {"workdir":"/home/dev/app"}
  call c2 shell Run { command: "ls -la", language: None, purpose: None } Done
tool
  result c1 error
    text "Chunk ID: ab\nWall time: 0.1 seconds\nProcess exited with code 101\nOutput:\nerror[E0308]"
tool
  result c2
    text "total 0\n"
assistant gpt-x
  call c3 apply_patch Patch { files: [Edit { path: "src/main.rs", edits: [Unified { diff: "@@\n-let a = 1\n+let a = 1;\n" }] }, Write { path: "NOTES.md", content: "fixed\n" }, Remove { path: "old.rs" }] } Failed
tool
  result c3 error
    text "patch failed"
assistant gpt-x
  call c4 update_plan Plan { items: [PlanItem { text: "look", status: Done }, PlanItem { text: "fix", status: Active }, PlanItem { text: "test", status: Pending }] } Done {"explanation":"two steps"}
tool
  result c4
    text "Plan updated"
assistant gpt-x
  call c5 view_image Read { path: "/home/dev/a.png", lines: None } Done
tool
  result c5
    image a.png image/png (at https://example.com/pics/a.png?x=1)
    text "seen"
    unknown hologram {"type":"hologram","x":1}
assistant gpt-x
  call call-13-e03f62688b51 web_search WebSearch { query: "rust E0308" } Done
tool
  result call-13-e03f62688b51
assistant gpt-x
  call call-15-b91f445016e0 web_search Fetch { url: "https://example.com/e0308", prompt: None } Done
tool
  result call-15-b91f445016e0
assistant gpt-x
  call c6 shell Run { command: "rg 'two words' src", language: None, purpose: None } Done {"timeout_ms":1000}
tool
  result c6
assistant gpt-x
  call c7 write_stdin Other NoResult {"session_id":7,"chars":"y\n"}
  call c8 shell Run { command: "rm -r target", language: None, purpose: Some("clean") } Denied {"with_escalated_permissions":true}
tool
  result c8 error
    text "exec command rejected by user"
assistant gpt-x
  call c9 shell Other NoResult "not json"
system meta
  notice Interrupted "interrupted"
system hidden
  text "# Context from my IDE setup:\n\n## Open tabs:\n- secret.rs"
user
  text "Go on"
assistant gpt-x
  text "Done."
system meta
  notice Compaction "Summary: the build is fixed."
system meta
  notice Command "git status\n\n\nclean"
system meta
  unknown new_line_kind {"timestamp":"2026-03-01T08:00:22.000Z","type":"new_line_kind","payload":{"x":1}}
system meta
  unknown new_event {"timestamp":"2026-03-01T08:00:23.000Z","type":"event_msg","payload":{"type":"new_event","y":2}}
system meta
  unknown new_item {"timestamp":"2026-03-01T08:00:24.000Z","type":"response_item","payload":{"type":"new_item","z":3}}
system meta
  unknown response_item {"timestamp":"2026-03-01T08:00:25.000Z","type":"response_item","payload":"no object"}
system meta
  notice Error "stream disconnected"
"##,
    );
}

#[test]
fn present_form_counts() {
    let imported = read(&fixtures("codex").join("present.jsonl"));
    let stats = imported.stats;
    assert_eq!(
        (stats.records, stats.kept_raw, stats.damaged),
        (54, 4, 2),
        "{stats:?} {:?}",
        imported.warnings
    );
    let origin = &imported.chat.origin;
    assert_eq!(
        (origin.app.as_deref(), origin.native_id.as_deref()),
        (Some("codex_cli_rs 0.99.0"), Some("0195-main"))
    );
}

#[test]
fn old_form() {
    check(
        "old.jsonl",
        r##"
# Say hello
user hidden
  text "<environment_context>\ncwd\n</environment_context>"
user
  text "Say hello"
assistant
  reasoning "A greeting"
  text "Hello."
  call c1 shell Patch { files: [Write { path: "a", content: "b\n" }] } Done
tool
  result c1
    text "Success"
"##,
    );
}

#[test]
fn prompts_that_begin_like_injected_texts_are_shown() {
    check(
        "own-words.jsonl",
        r##"
# <environment_context> is in my prompt. Why?
user hidden
  text "# AGENTS.md instructions for /home/dev/app\n\n<INSTRUCTIONS>\nUse tabs.\n</INSTRUCTIONS>"
  text "<environment_context>\n<cwd>/home/dev/app</cwd>\n</environment_context>"
user
  text "<environment_context> is in my prompt. Why?"
assistant
  text "It tells me the folder."
user
  text "# AGENTS.md instructions are ignored."
user hidden
  text "<environment_context>\n<cwd>/home/dev</cwd>\n</environment_context>\n"
assistant
  text "I read them now."
"##,
    );
}

/// The chat of a rollout of these payloads, as its outline.
fn outline_of(payloads: &[Value]) -> String {
    let lines = payloads.iter().map(|payload| {
        let kind = match payload["type"].as_str() {
            Some("message" | "reasoning") => "response_item",
            Some(_) => "event_msg",
            None => "session_meta",
        };
        let at = "2026-03-03T08:00:00Z";
        json!({"timestamp": at, "type": kind, "payload": payload}).to_string() + "\n"
    });
    outline(&read_bytes(lines.collect::<String>().into_bytes()).chat)
}

fn user_item(text: &str) -> Value {
    let content = json!([{"type": "input_text", "text": text}]);
    json!({"type": "message", "role": "user", "content": content})
}

fn user_event(text: &str) -> Value {
    json!({"type": "user_message", "message": text})
}

#[test]
fn tags_before_a_prompt_are_hidden() {
    let tags = "<user_instructions>tabs</user_instructions>\n\n<environment_context>cwd</environment_context>";
    let before = format!("{tags}\n\nhello");
    let open = "<environment_context> is in my prompt";
    let shown = format!("user\n  text \"hello\"\nuser\n  text \"{open}\"");
    for (meta, by) in [
        (json!({"id": "x"}), [user_item, user_event]),
        (json!({"id": "y"}), [user_event, user_item]),
    ] {
        let mut payloads = vec![meta];
        for text in [tags, &before, open] {
            payloads.extend(by.iter().map(|by| by(text)));
        }
        let found = outline_of(&payloads);
        let tags = tags.replace('\n', "\\n");
        assert_eq!(
            found,
            format!(
                "# hello\nuser hidden\n  text \"{tags}\"\nsystem hidden\n  text \"{tags}\"\n{shown}"
            )
        );
    }
}

#[test]
fn contexts_before_the_first_event_are_hidden_though_the_model_began() {
    let context = user_item("Unknown CTX kind");
    let answer = json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi."}]});
    let thought = json!({"type": "reasoning", "summary": []});
    let meta = json!({"id": "x"});
    let begun = "# hello\nuser hidden\n  text \"Unknown CTX kind\"\nuser\n  text \"hello\"";
    for (by_model, shown) in [(thought, ""), (answer, "\nassistant\n  text \"Hi.\"")] {
        let payloads = [
            meta.clone(),
            context.clone(),
            user_item("hello"),
            by_model,
            user_event("hello"),
        ];
        assert_eq!(outline_of(&payloads), format!("{begun}{shown}"));
    }
}

#[test]
fn prompts_from_before_there_were_events_are_shown() {
    check(
        "mixed.jsonl",
        r##"
# one
user hidden
  text "<user_instructions>\nUse tabs.\n</user_instructions>"
user
  text "one"
assistant
  text "first"
user
  text "two"
assistant
  call c1 shell Run { command: "ls", language: None, purpose: None } NoResult
user hidden
  text "A context of a kind that nobody has seen before"
user
  text "three"
assistant
  text "third"
user hidden
  text "Another context of that kind"
"##,
    );
}

#[test]
fn plans_stand_once_and_without_their_tags() {
    check(
        "plans.jsonl",
        r##"
# Plan it
user
  text "Plan it"
assistant
  text "I read the code.\n\n"
  text "# Plan\n\n- one"
user
  text "Again"
assistant
  text "First:\n"
  text "# Plan\n\n- two"
  text "Good?\n"
user
  text "And where are no items?"
assistant
  text "# Plan\n\n- three\n"
"##,
    );
}

#[test]
fn what_windows_put_before_a_prompt_is_hidden() {
    check(
        "windows.jsonl",
        r##"
# Describe it
system hidden
  text "\n# Files mentioned by the user:\n\n## a.png: /home/dev/a.png"
user
  text "Describe it"
system hidden
  text "# In app browser:\n- Current URL: http://localhost:3000/"
user
  text "Make it blue\n\n## My request for Codex:\nis a heading"
system hidden
  text "# Files mentioned by the user:\n\n## b.png: /home/dev/b.png"
user
  image image.png image/png (8 bytes)
user
  text "# In app browser: what is it?"
"##,
    );
}

#[test]
fn prompts_that_begin_like_a_heading_of_a_window_are_shown_whole() {
    let text = "# In app browser: what is it?\n## My request: is a heading";
    let found = outline_of(&[json!({"id": "x"}), user_item(text), user_event(text)]);
    let shown = text.replace('\n', "\\n");
    assert_eq!(
        found,
        format!("# In app browser: what is it?\nuser\n  text \"{shown}\"")
    );
}

#[test]
fn agents_speak_and_declarations_of_tools_are_left_out() {
    check(
        "agents.jsonl",
        r##"
# Review it with two agents
user
  text "Review it with two agents"
assistant gpt-x
  call a1 spawn_agent Other Done {"task_name":"review"}
tool
  result a1
    text "{\"task_name\":\"/lead/review\"}"
assistant /lead/review
  text "Message Type: FINAL_ANSWER\nPayload:\n"
  text "A key is missing."
assistant gpt-x
  text "One key is missing."
"##,
    );
}

#[test]
fn events_without_items_are_shown_once() {
    check(
        "events-only.jsonl",
        r##"
# Hello
user hidden
  text "<environment_context>x</environment_context>"
user
  text "Hello"
  image image.png image/png (8 bytes)
  image b.png image/png (missing)
assistant
  reasoning "Greet"
  text "Hi there."
system meta
  notice Compaction ""
user
  text "Hello"
assistant
  text "Hi there."
"##,
    );
}

#[test]
fn turns_taken_back_are_a_branch() {
    check(
        "rolled-back.jsonl",
        r##"
# one
user
  text "one"
assistant
  text "first"
user
  text "two"
assistant
  text "second"
system meta after=2
  notice Rewind "the last turn was taken back"
user
  text "two, better"
assistant
  call c1 shell Run { command: "rm x", language: None, purpose: None } Denied {"sandbox_permissions":"require_escalated"}
user
  text "no, leave it"
"##,
    );
}

#[test]
fn turns_are_taken_back_where_no_prompt_is_left() {
    let line = |payload: &str| format!("{{\"timestamp\":\"2026-03-03T08:00:00Z\",{payload}}}\n");
    let rolled =
        line(r#""type":"event_msg","payload":{"type":"thread_rolled_back","num_turns":1}"#);
    let said = |role: &str, text: &str| {
        let kind = if role == "user" {
            "input_text"
        } else {
            "output_text"
        };
        line(&format!(
            r#""type":"response_item","payload":{{"type":"message","role":"{role}","content":[{{"type":"{kind}","text":"{text}"}}]}}"#
        ))
    };
    let lines = [
        line(r#""type":"session_meta","payload":{"id":"rb-2"}"#),
        said("assistant", "Hello"),
        rolled.clone(),
        rolled.clone(),
        said("user", "one"),
        said("assistant", "first"),
        rolled,
        said("user", "two"),
    ];
    let chat = read_bytes(lines.concat().into_bytes()).chat;
    let after = |at: usize| {
        let parent = chat.messages[at].parent.as_ref();
        parent.and_then(|id| chat.messages.iter().position(|message| message.id == *id))
    };
    let parents: Vec<Option<usize>> = (0..chat.messages.len()).map(after).collect();
    assert_eq!(
        parents,
        [None, Some(0), Some(1), Some(2), Some(3), Some(2), Some(5)]
    );
}

#[test]
fn copies_of_the_history_are_cut() {
    check(
        "resumed.jsonl",
        r##"
# one
user
  text "one"
assistant
  text "first"
user
  text "again"
assistant
  text "second"
user
  text "again"
assistant
  text "third"
"##,
    );
}

/// A longer file gives the same ids to the messages that were there before.
#[test]
fn ids_are_stable_while_the_file_grows() {
    let bytes = std::fs::read(fixtures("codex").join("present.jsonl")).unwrap();
    let whole = read(&fixtures("codex").join("present.jsonl")).chat;
    let folder = std::env::temp_dir().join(format!("readalong-codex-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for (end, _) in bytes
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'\n')
        .skip(6)
    {
        let path = folder.join("part.jsonl");
        std::fs::write(&path, &bytes[..end]).unwrap();
        let part = read(&path).chat;
        for (message, later) in part.messages.iter().zip(&whole.messages) {
            assert_eq!(
                (&message.id, &message.parent),
                (&later.id, &later.parent),
                "after {end} bytes"
            );
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

/// What the raw file says, in its own words: shown prompts and the assistant's texts, each with how often it must stand in the chat.
fn expected_texts(raw: &str) -> HashMap<String, usize> {
    let mut counts: HashMap<(String, &str), usize> = HashMap::new();
    for line in raw
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
    {
        let payload = &line["payload"];
        match (
            line["type"].as_str(),
            payload["type"].as_str(),
            payload["role"].as_str(),
        ) {
            (Some("response_item"), Some("message") | None, Some("user" | "assistant")) => {
                for text in payload["content"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|part| part["text"].as_str())
                {
                    *counts.entry((text.to_owned(), "item")).or_default() += 1;
                }
            }
            (Some("event_msg"), Some("user_message" | "agent_message"), _) => {
                *counts
                    .entry((payload["message"].as_str().unwrap().to_owned(), "event"))
                    .or_default() += 1;
            }
            _ => {}
        }
    }
    let mut expected: HashMap<String, usize> = HashMap::new();
    for ((text, _), count) in counts {
        let most = expected.entry(text).or_default();
        *most = (*most).max(count);
    }
    expected
}

#[test]
fn real_samples_lose_and_double_nothing() {
    for path in samples("codex") {
        let transcript = open(&path);
        assert_eq!(
            transcript.detection().format.name,
            "codex",
            "{}",
            path.display()
        );
        let imported = read(&path);
        assert_accounted(&imported);
        assert_eq!(imported.stats.damaged, 0, "{}", path.display());
        let raw = std::fs::read_to_string(&path).unwrap();
        // Tags around pictures are left out where the pictures stand.
        for (text, count) in expected_texts(&raw).into_iter().filter(|(text, _)| {
            !text.contains("image>") && !text.contains("len=7 ") && !text.contains("len=8 ")
        }) {
            assert_eq!(
                occurrences(&imported.chat, &text),
                count,
                "{}: {text:?}",
                path.display()
            );
        }
        let prompts = raw
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let prompts = prompts
            .filter(|line| line["payload"]["type"] == "user_message")
            .count();
        let shown =
            imported.chat.messages.iter().filter(|m| {
                m.role == readalong_model::Role::User && m.visibility == Visibility::Shown
            });
        if prompts > 0 {
            assert_eq!(shown.count(), prompts, "{}", path.display());
        }
        let mut calls = std::collections::HashSet::new();
        for part in imported
            .chat
            .messages
            .iter()
            .flat_map(|message| &message.parts)
        {
            if let Part::ToolCall(call) = part {
                assert!(
                    calls.insert(call.call_id.clone()),
                    "{}: {}",
                    path.display(),
                    call.call_id
                );
            }
        }
    }
}
