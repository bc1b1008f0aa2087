//! Reads the fixtures of this format, data sets of chats, and the real samples where they are.

use super::super::outline::{
    assert_accounted, check_outline, fixtures, occurrences, open, read_bytes, samples,
};

#[test]
fn fixtures_give_their_outlines() {
    for name in ["dataset.json", "dataset.jsonl", "one.json"] {
        let path = fixtures("sharegpt").join(name);
        assert_eq!(open(&path).detection().format.name, "sharegpt", "{name}");
        check_outline(&path);
    }
}

/// Every text of a sample stands once in its chat for each time it stands in the file; every call and every answer is there.
#[test]
fn samples_lose_and_double_nothing() {
    for path in samples("sharegpt")
        .into_iter()
        .filter(|path| path.to_string_lossy().contains("glaive"))
    {
        assert_eq!(open(&path).detection().format.name, "sharegpt");
        let raw: Vec<serde_json::Value> =
            serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(open(&path).list().unwrap().len(), raw.len());
        for raw in &raw {
            let imported = read_bytes(raw.to_string().into_bytes());
            assert_accounted(&imported);
            let turns = raw["conversations"].as_array().unwrap();
            assert_eq!(imported.chat.messages.len(), turns.len());
            let texts: Vec<&str> = turns
                .iter()
                .filter(|turn| turn["from"] != "function_call")
                .map(|turn| turn["value"].as_str().unwrap())
                .collect();
            for text in &texts {
                let times = texts.iter().filter(|other| *other == text).count();
                assert_eq!(occurrences(&imported.chat, text), times, "{text}");
            }
        }
    }
}
