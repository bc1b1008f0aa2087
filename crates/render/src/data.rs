//! Data for the page's scripts, as script files: from `file://` a page can load nothing else.

use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{Op, context::PromptLink};

/// What a script may want to know of the whole chat.
#[derive(Serialize)]
pub(crate) struct ChatFacts<'a> {
    pub(crate) pages: Vec<&'a str>,
    pub(crate) messages: usize,
    pub(crate) prompts: usize,
    /// Files of contents.
    pub(crate) contents: usize,
}

/// Pairs as an object, in their order.
pub(crate) struct Pairs<'a>(pub(crate) &'a [(&'a str, String)]);

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// A script that hands a value over.
pub(crate) fn script(name: &str, value: &impl Serialize) -> Vec<u8> {
    let mut script = format!("readalong.data(\"{name}\",").into_bytes();
    // Writing into memory fails for no value of ours: they hold no map with keys other than texts.
    if serde_json::to_writer(&mut script, value).is_err() {
        script.extend_from_slice(b"null");
    }
    script.extend_from_slice(b");\n");
    script
}

/// The text of a page's items, for find.
pub(crate) fn search(page: &str, texts: &[(String, String)]) -> Vec<u8> {
    script(&format!("search-{page}"), &texts)
}

/// The items of a page as operations.
pub(crate) fn items(page: &str, ops: &[Op]) -> Vec<u8> {
    script(&format!("items-{page}"), &ops)
}

/// Prompts, for the rail.
pub(crate) fn contents(name: &str, prompts: &[PromptLink]) -> Vec<u8> {
    let rows: Vec<_> = prompts
        .iter()
        .map(|prompt| (&prompt.page, &prompt.anchor, &prompt.text, &prompt.at))
        .collect();
    script(name, &rows)
}
