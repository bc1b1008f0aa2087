//! Reads the fixtures of this format, exports of chats with branches, calls and files, and the real samples where they are.

use std::io::{Cursor, Write};

use readalong_model::{Availability, Part, Visibility};

use super::super::outline::{
    assert_accounted, check_outline, fixtures, occurrences, open, open_bytes, outline, read_all,
    samples,
};
use crate::{Pick, Source, Surroundings, Transcript};

#[test]
fn fixtures_give_their_outlines() {
    for name in [
        "conversations.json",
        "one.json",
        "drawn.json",
        "report.json",
        "injected.json",
        "odd.json",
    ] {
        let path = fixtures("chatgpt").join(name);
        assert_eq!(open(&path).detection().format.name, "chatgpt", "{name}");
        check_outline(&path);
    }
}

#[test]
fn profiles_are_hidden_and_marks_never_stay() {
    for imported in read_all(&fixtures("chatgpt").join("conversations.json")) {
        let seen: Vec<_> = imported
            .chat
            .messages
            .iter()
            .filter(|message| message.visibility != Visibility::Hidden)
            .collect();
        let text = format!("{seen:?}");
        assert!(!text.contains("I sail.") && !text.contains("likes tea"));
        assert!(!outline(&imported.chat).contains("\\u{e2"));
    }
}

/// Remembers what was asked for beside the chats.
struct Asked(Vec<String>);

impl Surroundings for Asked {
    fn keep(&mut self, bytes: &[u8]) -> std::io::Result<readalong_model::Digest> {
        Ok(readalong_model::Digest::of(bytes))
    }

    fn beside(&mut self, path: &str) -> std::io::Result<Option<Vec<u8>>> {
        self.0.push(path.to_owned());
        Ok(None)
    }

    fn names_in(&mut self, _folder: &str) -> Vec<String> {
        vec!["user.json".to_owned(), "file-Kite1-kite.png".to_owned()]
    }
}

#[test]
fn only_files_of_the_chat_are_read() {
    let mut asked = Asked(Vec::new());
    open(&fixtures("chatgpt").join("conversations.json"))
        .read(&Pick::Named("c-kinds".to_owned()), &mut asked)
        .unwrap();
    assert_eq!(
        asked.0,
        [
            "conversation_asset_file_names.json",
            "library_files.json",
            "file-Kite1-kite.png"
        ]
    );
}

#[test]
fn a_file_is_read_once_however_often_it_is_shown() {
    let picture = serde_json::json!({"content_type": "image_asset_pointer", "asset_pointer": "file-service://file-Kite1"});
    let message = serde_json::json!({"id": "m", "author": {"role": "user"},
        "content": {"content_type": "multimodal_text", "parts": vec![picture; 50]}});
    let chat = serde_json::json!([{"id": "c", "title": "T", "current_node": "m", "mapping": {"m": {"id": "m", "parent": null, "children": [], "message": message}}}]);
    let mut asked = Asked(Vec::new());
    let transcript = open_bytes(chat.to_string()).unwrap();
    let imported = transcript.read(&Pick::Only, &mut asked).unwrap();
    assert_eq!(imported.chat.messages[0].parts.len(), 50);
    let reads = asked.0.iter().filter(|path| path.contains("file-Kite1"));
    assert_eq!(reads.count(), 1);
}

#[test]
fn the_zip_gives_the_same_as_its_folder() {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let folder = fixtures("chatgpt");
    let members = [
        ("conversations.json", "conversations.json"),
        ("user.json", "user.json"),
        ("user-1/file-Kite1-kite.png", "file-Kite1-kite.png"),
        (
            "dalle-generations/file-Drawn2-0a1b.png",
            "dalle-generations/file-Drawn2-0a1b.png",
        ),
        ("file-Report9.dat", "file-Report9.dat"),
        (
            "file_00000000000000000000000000000abc.dat",
            "file_00000000000000000000000000000abc.dat",
        ),
        (
            "conversation_asset_file_names.json",
            "conversation_asset_file_names.json",
        ),
        ("library_files.json", "library_files.json"),
    ];
    for (member, file) in members {
        zip.start_file(member, zip::write::SimpleFileOptions::default())
            .unwrap();
        zip.write_all(&std::fs::read(folder.join(file)).unwrap())
            .unwrap();
    }
    let bytes = zip.finish().unwrap().into_inner();
    let open =
        Box::new(move || Ok(Box::new(Cursor::new(bytes.clone())) as Box<dyn crate::ReadSeek>));
    let transcript = Transcript::open(
        Source {
            name: "export.zip".into(),
            open,
        },
        None,
    )
    .unwrap();
    for imported in read_all(&folder.join("conversations.json")) {
        let id = imported.chat.origin.native_id.clone().unwrap_or_default();
        if id.is_empty() {
            continue;
        }
        let zipped = transcript
            .read(&Pick::Named(id), &mut crate::Discard)
            .unwrap();
        assert_eq!(outline(&zipped.chat), outline(&imported.chat));
    }
}

#[test]
fn a_deep_tree_is_read_without_recursion() {
    let mut mapping = String::new();
    for n in 0..50_000 {
        let comma = if n == 0 { "" } else { "," };
        let parent = if n == 0 {
            "null".to_owned()
        } else {
            format!("\"{}\"", n - 1)
        };
        mapping.push_str(&format!(
            r#"{comma}"{n}":{{"parent":{parent},"message":{{"author":{{"role":"user"}},"content":{{"content_type":"text","parts":["{n}"]}}}}}}"#
        ));
    }
    let json =
        format!(r#"[{{"conversation_id":"deep","current_node":"49999","mapping":{{{mapping}}}}}]"#);
    let open = Box::new(move || {
        Ok(Box::new(Cursor::new(json.clone().into_bytes())) as Box<dyn crate::ReadSeek>)
    });
    let transcript = Transcript::open(
        Source {
            name: "deep.json".into(),
            open,
        },
        None,
    )
    .unwrap();
    let imported = transcript.read(&Pick::Only, &mut crate::Discard).unwrap();
    assert_eq!(imported.chat.messages.len(), 50_000);
}

/// Every text of a sample stands once in its chat; what is hidden there is hidden here.
#[test]
fn samples_lose_and_double_nothing() {
    for path in samples("chatgpt") {
        assert_eq!(open(&path).detection().format.name, "chatgpt");
        let raw: Vec<serde_json::Value> =
            serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let raw: Vec<_> = raw
            .into_iter()
            .filter(|conversation| conversation["mapping"].is_object())
            .collect();
        let chats = read_all(&path);
        assert_eq!(chats.len(), raw.len());
        for (imported, raw) in chats.iter().zip(&raw) {
            assert_accounted(imported);
            let mut expected = 0;
            for node in raw["mapping"]
                .as_object()
                .unwrap()
                .values()
                .filter(|node| node["message"].is_object())
            {
                expected += 1;
                let texts = node["message"]["content"]["parts"]
                    .as_array()
                    .cloned()
                    .unwrap_or_default();
                for text in texts
                    .iter()
                    .filter_map(|text| text.as_str())
                    .filter(|text| !text.is_empty())
                {
                    assert_eq!(occurrences(&imported.chat, text), 1, "{text}");
                }
            }
            assert_eq!(imported.chat.messages.len(), expected);
            assert_eq!(
                imported
                    .chat
                    .active_leaf
                    .as_ref()
                    .map(|leaf| leaf.0.as_str()),
                raw["current_node"].as_str()
            );
            assert_eq!(Some(imported.chat.title.as_str()), raw["title"].as_str());
        }
    }
}

#[test]
fn files_are_found_by_every_way_of_naming_them() {
    let chats = read_all(&fixtures("chatgpt").join("conversations.json"));
    let kinds = &chats
        .iter()
        .find(|imported| imported.chat.origin.native_id.as_deref() == Some("c-kinds"))
        .unwrap()
        .chat;
    let artifact = |part: &Part| match part {
        Part::Image { artifact, .. } | Part::File { artifact } => {
            Some(&kinds.artifacts[artifact.0 as usize])
        }
        _ => None,
    };
    let found: Vec<(&str, bool)> = kinds.messages[0]
        .parts
        .iter()
        .filter_map(artifact)
        .map(|artifact| {
            (
                artifact.name.as_str(),
                matches!(artifact.content, Availability::Present { .. }),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("my kite.png", true),
            ("harbour.png", true),
            ("file-Kite", false),
            ("paper.pdf", false)
        ]
    );
}
