//! The bare limit of an export: read, parse into borrowed structs, Markdown, escape, digest, write pages; nothing else.
//!
//! No model, no templates, no pairing of results with calls, no contents, no search, no copies for machines. What an export costs is told
//! as a multiple of this, so it must stay as small and as quick as it can be made in plain code.

use std::borrow::Cow;
use std::fs;
use std::io;
use std::path::Path;

use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

/// A page is closed when it is at least this long.
const PAGE_BYTES: usize = 200_000;

#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    message: Option<Message<'a>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
    #[serde(borrow)]
    content: &'a RawValue,
}

#[derive(Deserialize)]
struct Block<'a> {
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    thinking: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

/// Exports the transcript of a coding agent into pages in the folder.
pub(crate) fn export(transcript: &Path, folder: &Path) -> io::Result<()> {
    let text = fs::read_to_string(transcript)?;
    let mut pages = Pages {
        folder,
        page: String::with_capacity(PAGE_BYTES * 2),
        written: 0,
        digests: String::new(),
    };
    for line in text.lines() {
        let Ok(Record {
            message: Some(message),
        }) = serde_json::from_str(line)
        else {
            continue;
        };
        pages.message(&message)?;
    }
    pages.finish()
}

struct Pages<'a> {
    folder: &'a Path,
    page: String,
    written: usize,
    digests: String,
}

impl Pages<'_> {
    fn message(&mut self, message: &Message<'_>) -> io::Result<()> {
        self.page.push_str("<article data-role=\"");
        escape(&message.role, &mut self.page);
        self.page.push_str("\">");
        if let Ok(text) = serde_json::from_str::<Prompt<'_>>(message.content.get()) {
            self.markdown(&text.0);
        } else if let Ok(blocks) = serde_json::from_str::<Vec<Block<'_>>>(message.content.get()) {
            for block in &blocks {
                self.block(block);
            }
        }
        self.page.push_str("</article>\n");
        if self.page.len() >= PAGE_BYTES {
            self.close_page()
        } else {
            Ok(())
        }
    }

    fn block(&mut self, block: &Block<'_>) {
        for text in [&block.text, &block.thinking].into_iter().flatten() {
            self.markdown(text);
        }
        if let Some(name) = &block.name {
            escape(name, &mut self.page);
        }
        if let Some(input) = block.input {
            self.preformatted(input.get());
        }
        if let Some(content) = block.content {
            match serde_json::from_str::<Prompt<'_>>(content.get()) {
                Ok(text) => self.preformatted(&text.0),
                Err(_) => self.preformatted(content.get()),
            }
        }
    }

    fn markdown(&mut self, text: &str) {
        pulldown_cmark::html::push_html(
            &mut self.page,
            pulldown_cmark::Parser::new_ext(text, pulldown_cmark::Options::all()),
        );
    }

    fn preformatted(&mut self, text: &str) {
        self.page.push_str("<pre>");
        escape(text, &mut self.page);
        self.page.push_str("</pre>");
    }

    fn close_page(&mut self) -> io::Result<()> {
        self.written += 1;
        for byte in Sha256::digest(self.page.as_bytes()) {
            self.digests.push_str(&format!("{byte:02x}"));
        }
        self.digests.push('\n');
        fs::write(
            self.folder.join(format!("{}.html", self.written)),
            &self.page,
        )?;
        self.page.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        self.close_page()?;
        fs::write(self.folder.join("digests.txt"), &self.digests)
    }
}

/// A string that is borrowed where it holds no escape.
#[derive(Deserialize)]
struct Prompt<'a>(#[serde(borrow)] Cow<'a, str>);

/// Copies whole runs between the five characters that need it.
fn escape(text: &str, out: &mut String) {
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escaped = match byte {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'"' => "&quot;",
            b'\'' => "&#39;",
            _ => continue,
        };
        out.push_str(&text[from..at]);
        out.push_str(escaped);
        from = at + 1;
    }
    out.push_str(&text[from..]);
}
