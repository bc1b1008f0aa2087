//! Items, requests and responses from fixtures; no samples of other formats are taken for them.

use crate::formats::outline::{assert_accounted, fixtures, open, outline, read, read_all, samples};

#[test]
fn items_of_all_kinds() {
    let path = fixtures("openai-responses").join("items.json");
    assert_eq!(open(&path).detection().format.name, "openai-responses");
    let imported = read(&path);
    assert_accounted(&imported);
    assert_eq!(
        (imported.stats.kept_raw, imported.stats.damaged),
        (5, 0),
        "{:?}",
        imported.warnings
    );
    assert_eq!(outline(&imported.chat), r##"
# Show me a cat
system hidden
  text "Answer in English."
user
  text "Show me a cat"
  image image.png image/png (8 bytes)
  image file-1 application/octet-stream (missing)
  file a.txt text/plain (5 bytes)
  file b.pdf application/pdf (at https://example.com/b.pdf)
  file file-2 application/octet-stream (missing)
  file audio.wav audio/wav (5 bytes)
  unknown input_smell {"type": "input_smell", "x": 1}
assistant
  reasoning "A cat is wanted"
  reasoning "cats have four legs"
  call ws_1 web_search WebSearch { query: "cats\nkittens" } Done
tool
  result ws_1
    source "https://example.com/cats" https://example.com/cats -
assistant
  call ws_2 web_search Search { query: "paw", path: Some("https://example.com/cats") } Done
tool
  result ws_2
assistant
  call fs_1 file_search Search { query: "cat\ndog", path: None } Done
tool
  result fs_1
    source "pets.md" - Cats purr.
assistant
  call ci_1 code_interpreter Run { command: "print(4)", language: Some("python"), purpose: None } Done
tool
  result ci_1
    text "4\n"
    image plot.png image/png (at https://example.com/plot.png)
assistant
  image image.png image/png (8 bytes) "a grey cat"
  call ig_2 image_generation Other Failed
  text "Here it is."
  source "Cats" https://example.com/cats -
  source "pets.md" - -
  text "No dogs."
  call c1 get_weather Other NoResult {"city":"Oslo"}
  call c1~7 get_weather Other Done {"city":"Bergen"}
tool
  result c1~7
    text "rain"
assistant
  call c2 js_repl Run { command: "1 + 1", language: Some("javascript"), purpose: None } Done
tool
  result c2
    text "2"
assistant
  call c3 computer Other Done {"type":"click","x":1,"y":2}
tool
  result c3
    image image.png image/png (8 bytes)
assistant
  call mcp_1 docs.find Other Done {"q":1}
tool
  result mcp_1
    text "found"
assistant
  call mcp_2 docs.find Other Failed
tool
  result mcp_2 error
    text "timed out"
system meta
  unknown mcp_approval_request {"type": "mcp_approval_request", "id": "ap_1", "name": "drop", "arguments": "{}"}
assistant
  call c4 shell Run { command: "ls -l", language: None, purpose: None } Done {"working_directory":"/home/dev"}
tool
  result c4
    text "a\nb"
assistant
  call c5 shell Run { command: "ls\npwd", language: None, purpose: None } Failed
tool
  result c5 error
    text "a"
    text "oops"
assistant
  call c6 apply_patch Patch { files: [Write { path: "n.txt", content: "one\ntwo\n" }] } Failed
tool
  result c6 error
    text "exists"
tool
  result orphan
    unknown output {"strange": true}
system meta
  notice Compaction ""
system meta
  unknown item_reference {"type": "item_reference", "id": "msg_unknown"}
system meta
  unknown brand_new {"type": "brand_new", "a": 1}
system meta
  unknown message {"type": "message", "role": "critic", "content": "hm"}
user
  unknown content 5
system meta
  unknown  42
"##.trim());
}

#[test]
fn lines_of_items_are_one_chat() {
    let path = fixtures("openai-responses").join("items.jsonl");
    assert_eq!(open(&path).detection().format.name, "openai-responses");
    let imported = read(&path);
    assert_accounted(&imported);
    assert_eq!(
        (
            imported.stats.mapped,
            imported.stats.kept_raw,
            imported.stats.damaged
        ),
        (4, 1, 1),
        "{:?}",
        imported.warnings
    );
    assert_eq!(
        outline(&imported.chat),
        r##"
# Add 1 and 1
system meta
  unknown unheard_of {"type":"unheard_of","x":1}
user
  text "Add 1 and 1"
assistant
  call c1 add Other Done {"a":1,"b":1}
tool
  result c1
    text "2"
assistant
  text "It is 2 �."
"##
        .trim()
    );
}

#[test]
fn each_line_of_items_is_a_chat() {
    let path = fixtures("openai-responses").join("responses.jsonl");
    assert_eq!(open(&path).detection().format.name, "openai-responses");
    let chats: Vec<String> = read_all(&path)
        .iter()
        .map(|imported| outline(&imported.chat))
        .collect();
    assert_eq!(
        chats.join("\n"),
        r##"
# Hello?
system hidden
  text "Be kind."
user
  text "Hello?"
assistant gpt-x
  text "Hello!"
# One
user
  text "One"
assistant
  call c1 f Other NoResult
# Two
user
  text "Two"
# Three
user
  text "Three"
assistant
  text "3"
# Four
user
  text "Four"
# Untitled chat
system meta
  notice Error "server error"
"##
        .trim()
    );
}

#[test]
fn samples_of_other_formats_are_not_taken() {
    for folder in [
        "ai-studio",
        "chatgpt",
        "claude-ai",
        "claude-code",
        "codex",
        "gemini-cli",
        "grok",
        "open-webui",
        "openai-messages",
        "sharegpt",
        "swe-agent",
    ] {
        for path in samples(folder) {
            let file = path.clone();
            let source = crate::Source {
                name: folder.to_owned(),
                open: Box::new(move || Ok(Box::new(std::fs::File::open(&file)?))),
            };
            if let Ok(transcript) = crate::Transcript::open(source, None) {
                let name = transcript.detection().format.name;
                assert!(
                    !matches!(name, "openai-responses" | "codex-exec")
                        && (name == "codex") == (folder == "codex"),
                    "{}: {name}",
                    path.display()
                );
            }
        }
    }
}
