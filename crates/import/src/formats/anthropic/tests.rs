//! Fixtures as outlines.

use crate::{
    Discard, Imported, Layout, Pick,
    formats::outline::{
        assert_accounted, check_outline, fixtures, open, open_bytes, outline, read, read_all,
        read_bytes,
    },
};

fn fixture(name: &str) -> Imported {
    let imported = read(&fixtures("anthropic").join(name));
    assert_accounted(&imported);
    assert_eq!(imported.chat.origin.format, "anthropic");
    imported
}

#[test]
fn every_kind_of_block() {
    check_outline(&fixtures("anthropic").join("blocks.json"));
    let imported = fixture("blocks.json");
    assert_eq!(imported.stats.kept_raw, 1);
    let answer = imported
        .chat
        .messages
        .iter()
        .find(|message| message.id.0 == "msg_a")
        .unwrap();
    assert_eq!(answer.usage.unwrap().output_tokens, 6);
    assert_eq!(
        imported
            .chat
            .messages
            .iter()
            .filter(|message| message.usage.is_some())
            .count(),
        1
    );
}

#[test]
fn a_request_is_a_chat_with_hidden_instructions() {
    let imported = fixture("request.json");
    assert_eq!(
        outline(&imported.chat),
        "# Hi\nsystem hidden\n  text \"Be brief\"\nuser\n  text \"Hi\"\nassistant model-b\n  text \"Hello\""
    );
}

#[test]
fn thoughts_may_be_a_list() {
    let message = |thinking: &str| {
        format!(
            r#"[{{"role":"user","content":"Why?"}},{{"role":"assistant","content":[{{"type":"thinking","thinking":{thinking}}},{{"type":"text","text":"So."}}]}}]"#
        )
    };
    for (thinking, part) in [
        (r#""one""#, "  reasoning \"one\""),
        (r#""""#, "  reasoning \"\""),
        (
            r#"[{"type":"text","text":"one"},{"type":"text","text":"two"}]"#,
            "  reasoning \"one\\n\\ntwo\"",
        ),
        (
            r#"{"a":1}"#,
            r#"  unknown thinking {"type":"thinking","thinking":{"a":1}}"#,
        ),
    ] {
        let imported = read_bytes(message(thinking).into_bytes());
        assert!(outline(&imported.chat).contains(part), "{thinking}");
    }
}

/// A request as agents send it: reminders before and behind what people and tools say.
#[test]
fn what_a_program_injects_is_hidden() {
    let request = serde_json::json!({"messages": [
        {"role": "user", "content": [
            {"type": "text", "text": "<system-reminder>\nOwn notes\n</system-reminder>\n"},
            {"type": "text", "text": "fix it\n<system-reminder>be nice</system-reminder>"},
        ]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "X", "input": {}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "t", "content": "1 abc\n\n<system-reminder>\nNo\n</system-reminder>\n"},
        ]},
        {"role": "user", "content": "<system-reminder>alone</system-reminder>"},
        {"role": "user", "content": "what is <system-reminder>x</system-reminder>?"},
    ]});
    let imported = read_bytes(request.to_string().into_bytes());
    assert_accounted(&imported);
    assert_eq!(
        outline(&imported.chat),
        [
            "# fix it",
            "system hidden",
            "  text \"Own notes\"",
            "  text \"<system-reminder>be nice</system-reminder>\"",
            "user",
            "  text \"fix it\"",
            "assistant",
            "  call t X Other Done",
            "system hidden",
            "  text \"<system-reminder>\\nNo\\n</system-reminder>\"",
            "tool",
            "  result t",
            "    text \"1 abc\"",
            "system hidden",
            "  text \"alone\"",
            "user",
            "  text \"what is <system-reminder>x</system-reminder>?\"",
        ]
        .join("\n")
    );
}

/// A message that is written again whenever there is more of it.
#[test]
fn a_message_that_grows_stands_there_once() {
    let lines = r#"{"id":"m1","role":"user","content":[{"type":"text","text":"Hi"}]}
{"id":"m2","role":"assistant","content":[{"type":"thinking","thinking":"Hm"}]}
{"id":"m2","role":"assistant","content":[{"type":"thinking","thinking":"Hm?"},{"type":"text","text":"Hel"}]}
{"id":"m2","role":"assistant","content":[{"type":"thinking","thinking":"Hm?"},{"type":"text","text":"Hello"}],"usage":{"output_tokens":7}}
{"id":"m2","role":"assistant","content":[{"type":"text","text":"Something else"}]}
"#;
    let imported = read_bytes(lines.as_bytes().to_vec());
    assert_accounted(&imported);
    let message = &imported.chat.messages[1];
    assert_eq!(message.usage.map(|usage| usage.output_tokens), Some(7));
    assert_eq!(
        outline(&imported.chat),
        "# Hi\nuser\n  text \"Hi\"\nassistant\n  reasoning \"Hm?\"\n  text \"Hello\"\nassistant\n  text \"Something else\""
    );
}

#[test]
fn lines_are_one_chat_and_call_ids_stay_unique() {
    let imported = fixture("messages.jsonl");
    let text = outline(&imported.chat);
    assert!(
        text.contains("call t Bash") && text.contains("call t~2 Bash") && text.contains("NoResult"),
        "{text}"
    );
    assert_eq!(imported.stats.damaged, 1);
}

#[test]
fn lines_of_whole_chats_are_many() {
    let path = fixtures("anthropic").join("chats.jsonl");
    assert_eq!(open(&path).detection().layout, Layout::ChatPerRecord);
    let chats = read_all(&path);
    let titles: Vec<&str> = chats
        .iter()
        .map(|imported| imported.chat.title.as_str())
        .collect();
    assert_eq!(titles, ["Prompt 1", "Prompt 2", "Prompt 3"]);
    assert_eq!(chats[1].chat.origin.native_id.as_deref(), Some("chat-2"));
}

#[test]
fn text_blocks_alone_are_recognised() {
    let messages = r#"[{"role":"user","content":[{"type":"text","text":"Hi"}]},{"role":"assistant","content":[{"type":"text","text":"Hello"}]}]"#;
    let object = format!(r#"{{"model":"model-b","messages":{messages}}}"#);
    let lines = messages[1..messages.len() - 1].replace("},{", "}\n{");
    for (text, layout) in [
        (messages, Layout::OneChat),
        (&object, Layout::ChatPerRecord),
        (&lines, Layout::OneChat),
    ] {
        let transcript = open_bytes(text).unwrap();
        let detection = transcript.detection();
        assert_eq!(
            (detection.format.name, detection.layout),
            ("anthropic", layout),
            "{text}"
        );
        let imported = transcript.read(&Pick::Only, &mut Discard).unwrap();
        assert_eq!(imported.chat.messages.len(), 2, "{text}");
    }
    // What the other vendor's messages have beside their texts tells them apart.
    for text in [
        messages.replace("\"assistant\",", "\"assistant\",\"refusal\":null,"),
        messages.replace("\"user\"", "\"system\""),
        messages.replace(r#"[{"type":"text","text":"Hello"}]"#, "\"Hello\""),
    ] {
        let transcript = open_bytes(&text).unwrap();
        assert_eq!(transcript.detection().format.name, "openai-chat", "{text}");
    }
}
