//! Reads the fixtures of this format, message arrays in all layouts, and the real samples where they are.

use super::super::outline::{
    assert_accounted, check_outline, fixtures, occurrences, open, open_bytes, outline, read_all,
    read_bytes, samples,
};
use crate::Layout;

#[test]
fn roles_have_several_names() {
    let said = |role: &str| serde_json::json!({"role": role, "content": role});
    let messages: Vec<_> = [
        "System",
        "User",
        "model",
        "human",
        "ASSISTANT",
        "ipython",
        "boss",
        "ai",
        "Platform",
    ]
    .map(said)
    .into();
    let imported = read_bytes(serde_json::json!(messages).to_string().into_bytes());
    let text = outline(&imported.chat);
    let lines = text.lines().filter(|line| !line.starts_with(' '));
    let roles: Vec<&str> = lines.skip(1).collect();
    assert_eq!(
        roles,
        [
            "system hidden",
            "user",
            "assistant",
            "user",
            "assistant",
            "tool",
            "system meta",
            "assistant",
            "system hidden"
        ]
    );
}

#[test]
fn an_answer_beside_its_request_is_read_and_a_refusal_stands_there_once() {
    let log = serde_json::json!({
        "model": "m-1",
        "messages": [{"role": "user", "content": "Why?"}],
        "choices": [
            {"message": {"role": "assistant", "content": "No.", "refusal": "No."}},
            {"message": {"role": "assistant", "content": "Another."}}
        ]
    });
    let imported = read_bytes(log.to_string().into_bytes());
    let text = outline(&imported.chat);
    assert!(text.contains("user\n  text \"Why?\"\nassistant"), "{text}");
    assert_eq!(text.matches("\"No.\"").count(), 1, "{text}");
    assert!(!text.contains("Another"), "{text}");
}

#[test]
fn requests_and_answers_are_found_wherever_a_log_has_them() {
    let request =
        serde_json::json!({"model": "m-1", "messages": [{"role": "user", "content": "Why?"}]});
    let answer = serde_json::json!({"object": "chat.completion", "created": 1_700_000_000, "model": "m-1", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "No."}, "finish_reason": "stop"}
    ]});
    let with = |member: &str, value: serde_json::Value| {
        let mut record = request.clone();
        record[member] = value;
        record
    };
    let message = serde_json::json!({"role": "assistant", "content": "No."});
    let preferred = |chosen: serde_json::Value| {
        let mut record = with("chosen", chosen);
        record["rejected"] = serde_json::json!("Yes.");
        record
    };
    for (log, has_request) in [
        (answer.clone(), false),
        (
            serde_json::json!({"id": "b-1", "custom_id": "r-1", "response": {"status_code": 200, "request_id": "q", "body": answer}, "error": null}),
            false,
        ),
        (
            serde_json::json!({"request": request, "response": answer}),
            true,
        ),
        (
            serde_json::json!({"request": {"body": request}, "response": {"body": answer}}),
            true,
        ),
        (with("response", serde_json::json!("No.")), true),
        (with("response", answer.clone()), true),
        (
            preferred(serde_json::json!([request["messages"][0], message])),
            true,
        ),
        (preferred(message.clone()), true),
        (preferred(serde_json::json!("No.")), true),
    ] {
        let imported = read_bytes(log.to_string().into_bytes());
        let text = outline(&imported.chat);
        assert_eq!(
            text.contains("user\n  text \"Why?\""),
            has_request,
            "{log}: {text}"
        );
        assert_eq!(text.matches("\n  text \"No.\"").count(), 1, "{log}: {text}");
        assert!(!text.contains("unknown"), "{log}: {text}");
    }
    // An answer that is among the messages is not said twice, and what cannot be read is kept.
    let mut whole = preferred(serde_json::json!("A"));
    whole["messages"] = serde_json::json!([{"role": "user", "content": "Why?"}, message]);
    let text = outline(&read_bytes(whole.to_string().into_bytes()).chat);
    assert!(text.ends_with("text \"No.\""), "{text}");
    let other = serde_json::json!({"request": request, "response": {"output": [{"x": "KEPT"}]}});
    let text = outline(&read_bytes(other.to_string().into_bytes()).chat);
    assert!(text.contains("KEPT") || text.contains("unknown"), "{text}");
    let mixed = b"{\"type\":\"meta\",\"response\":\"x\",\"note\":\"n\"}\n{\"role\":\"user\",\"content\":\"Why?\"}\n";
    let text = outline(&read_bytes(mixed.to_vec()).chat);
    assert!(!text.contains("text \"x\""), "{text}");
    let asked = serde_json::json!({"custom_id": "r-1", "method": "POST", "url": "/v1/chat/completions", "body": request});
    let text = outline(&read_bytes(asked.to_string().into_bytes()).chat);
    assert!(text.ends_with("user\n  text \"Why?\""), "{text}");
}

#[test]
fn names_that_stand_twice_and_no_numbers_lose_no_message() {
    let messages = br#"[{"role":"system","content":"S"},{"role":"user","role":"user","content":"one","content":"two"},{"role":"assistant","content":"three","score":NaN}]"#;
    let imported = read_bytes(messages.to_vec());
    let text = outline(&imported.chat);
    assert!(
        text.ends_with("user\n  text \"two\"\nassistant\n  text \"three\""),
        "{text}"
    );
    assert_eq!((imported.stats.damaged, imported.warnings.len()), (0, 2));
}

#[test]
fn addresses_are_the_same_in_capitals() {
    let picture = "iVBORw0KGgo=";
    let messages = serde_json::json!([
        {"role": "system", "content": "Look."},
        {"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": format!("data:IMAGE/PNG;charset=x;BASE64,{picture}")}},
            {"type": "image_url", "image_url": {"url": format!("DATA:image/png;base64,{picture}")}},
            {"type": "image_url", "image_url": {"url": "HTTPS://example.org/a.png"}},
        ]},
        {"role": "user", "content": "And these?", "images": [picture, "iVBORw0KGgo/none"]},
    ]);
    let imported = read_bytes(messages.to_string().into_bytes());
    let text = outline(&imported.chat);
    assert_eq!(
        text.matches("image image.png image/png (8 bytes)").count(),
        3,
        "{text}"
    );
    assert!(
        text.contains("a.png image/png (at HTTPS://example.org/a.png)"),
        "{text}"
    );
}

#[test]
fn thoughts_have_several_names() {
    for answer in [
        r#""content": "So.", "thinking": "Hm.", "tool_calls": []"#,
        r#""content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}, {"type": "text", "text": "So."}]"#,
    ] {
        let messages = format!(
            r#"[{{"role": "system", "content": "Think."}}, {{"role": "user", "content": "Why?"}}, {{"role": "assistant", {answer}}}]"#
        );
        let imported = read_bytes(messages.into_bytes());
        let cut = "assistant\n  reasoning \"Hm.\"\n  text \"So.\"";
        assert!(outline(&imported.chat).ends_with(cut), "{answer}");
    }
}

#[test]
fn fixtures_give_their_outlines() {
    for name in ["messages.jsonl", "array.json", "object.json", "many.jsonl"] {
        check_outline(&fixtures("openai-chat").join(name));
    }
}

#[test]
fn layouts_are_told_apart() {
    for (name, layout) in [
        ("messages.jsonl", Layout::OneChat),
        ("array.json", Layout::OneChat),
        ("object.json", Layout::ChatPerRecord),
        ("many.jsonl", Layout::ChatPerRecord),
    ] {
        let transcript = open(&fixtures("openai-chat").join(name));
        assert_eq!(
            (
                transcript.detection().format.name,
                transcript.detection().layout
            ),
            ("openai-chat", layout),
            "{name}"
        );
    }
}

#[test]
fn what_a_program_injects_is_hidden() {
    let lines = r#"{"role":"user","content":"<system-reminder>Own notes</system-reminder>\nfix it"}
{"role":"assistant","content":"","tool_calls":[{"id":"t","function":{"name":"x","arguments":"{}"}}]}
{"role":"tool","tool_call_id":"t","content":"done\n<system-reminder>No</system-reminder>"}
"#;
    let imported = read_bytes(lines.as_bytes().to_vec());
    assert_accounted(&imported);
    assert_eq!(
        outline(&imported.chat),
        [
            "# fix it",
            "system hidden",
            "  text \"Own notes\"",
            "user",
            "  text \"fix it\"",
            "assistant",
            "  call t x Other Done",
            "system hidden",
            "  text \"<system-reminder>No</system-reminder>\"",
            "tool",
            "  result t",
            "    text \"done\"",
        ]
        .join("\n")
    );
}

/// A message that is written again whenever there is more of it, and lines that stand there twice.
#[test]
fn a_message_that_grows_stands_there_once() {
    let lines = r#"{"id":"m1","role":"user","content":"hi"}
{"id":"m1","role":"user","content":"hi"}
{"id":"m2","role":"assistant","content":""}
{"id":"m2","role":"assistant","content":"Hel"}
{"id":"m2","role":"assistant","content":"Hello"}
{"id":"m1","role":"user","content":"hi"}
{"id":"m1","role":"assistant","content":"hi again"}
{"id":"m1","role":"assistant","content":"and more"}
"#;
    let imported = read_bytes(lines.as_bytes().to_vec());
    assert_accounted(&imported);
    assert_eq!(
        outline(&imported.chat),
        [
            "# hi",
            "user",
            "  text \"hi\"",
            "assistant",
            "  text \"Hello\"",
            "user",
            "  text \"hi\"",
            "assistant",
            "  text \"hi again\"",
            "assistant",
            "  text \"and more\"",
        ]
        .join("\n")
    );
}

/// Templates of some models end with the tag that opens the thoughts.
#[test]
fn thoughts_without_an_opening_tag_are_thoughts() {
    let said = |role: &str, text: &str| {
        let message = serde_json::json!([{"role": role, "content": text}]);
        let imported = read_bytes(message.to_string().into_bytes());
        let whole = outline(&imported.chat);
        whole.lines().skip(2).collect::<Vec<_>>().join("\n")
    };
    let cut = "  reasoning \"Hm.\"\n  text \"Yes\"";
    assert_eq!(said("assistant", "Hm.\n</think>\n\nYes"), cut);
    assert_eq!(said("assistant", "<think>\nHm.\n</think>\n\nYes"), cut);
    for (role, text) in [
        ("assistant", "Close it with `</think>`."),
        ("assistant", "Write <think>\n</think>\nthen"),
        (
            "assistant",
            "It prints:\n```\nHm.\n</think>\nYes\n```\nStrip it.",
        ),
        ("assistant", "Strip\n</think> and all before it."),
        ("user", "Hm.\n</think>\nYes"),
    ] {
        let text_alone = format!("  text {text:?}");
        assert_eq!(said(role, text), text_alone);
    }
}

/// Every text of a sample stands once in its chat for each time it stands in the file.
#[test]
fn samples_lose_and_double_nothing() {
    let paths = samples("openai-messages").into_iter().chain(
        samples("sharegpt")
            .into_iter()
            .filter(|path| path.ends_with("hiyouga-LLaMA-Factory__mllm_demo.json")),
    );
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let raw: Vec<serde_json::Value> = match text.trim_start().starts_with('[') {
            true => serde_json::from_str(&text).unwrap(),
            false => text
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect(),
        };
        assert_eq!(open(&path).detection().format.name, "openai-chat");
        let chats = read_all(&path);
        assert_eq!(chats.len(), raw.len());
        for (imported, raw) in chats.iter().zip(&raw) {
            assert_accounted(imported);
            assert_eq!(imported.stats.mapped, 1);
            let mut texts: Vec<String> = Vec::new();
            for message in raw["messages"].as_array().unwrap() {
                match &message["content"] {
                    serde_json::Value::String(text) => texts.push(text.replace("<image>", "")),
                    parts => texts.extend(
                        parts
                            .as_array()
                            .unwrap()
                            .iter()
                            .filter(|part| part["type"] == "text")
                            .map(|part| part["value"].as_str().unwrap().to_owned()),
                    ),
                }
            }
            for text in &texts {
                let times = texts.iter().filter(|other| *other == text).count();
                assert_eq!(occurrences(&imported.chat, text), times, "{text}");
            }
        }
    }
}

/// Formats of plain lists must leave the lists of others alone.
#[test]
fn samples_of_other_formats_are_not_taken() {
    let ours = ["openai-chat", "sharegpt", "chatgpt"];
    for folder in [
        "ai-studio",
        "claude-ai",
        "claude-code",
        "codex",
        "gemini-cli",
        "grok",
        "open-webui",
        "swe-agent",
    ] {
        for path in samples(folder) {
            let name = detected(std::fs::read(&path).unwrap());
            assert!(
                !name.is_some_and(|name| ours.contains(&name)),
                "{}: {name:?}",
                path.display()
            );
        }
    }
    for (json, expected) in [
        (
            r#"[{"role":"user","content":[{"type":"text","text":"a"}]},{"role":"assistant","content":[{"type":"text","text":"b"}]}]"#,
            false,
        ),
        (
            r#"[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"tool_use","id":"1","name":"x","input":{}}]}]"#,
            false,
        ),
        (
            r#"[{"role":"user","content":[{"type":"input_text","text":"a"}]}]"#,
            false,
        ),
        (r#"[{"type":"message","role":"user","content":"a"}]"#, false),
        (
            r#"[{"role":"user","parts":[{"type":"text","text":"a"}]}]"#,
            false,
        ),
        (
            r#"[{"role":"user","content":[{"type":"text","text":"a"}]},{"role":"tool","tool_call_id":"1","content":"b"}]"#,
            true,
        ),
        (r#"[{"unknown":1},{"role":"user","content":"a"}]"#, true),
        (r#"{"messages":[{"role":"user","content":"a"}]}"#, true),
    ] {
        assert_eq!(
            detected(json.as_bytes().to_vec()) == Some("openai-chat"),
            expected,
            "{json}"
        );
    }
}

fn detected(bytes: Vec<u8>) -> Option<&'static str> {
    let transcript = open_bytes(bytes).ok();
    transcript.map(|transcript| transcript.detection().format.name)
}
