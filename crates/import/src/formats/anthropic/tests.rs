//! Fixtures as outlines.

use crate::{
    Imported, Layout,
    formats::outline::{assert_accounted, check_outline, fixtures, open, outline, read, read_all},
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
