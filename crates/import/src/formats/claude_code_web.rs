//! Claude Code sessions as the web hands them out: one object with all records in `loglines`.
//!
//! Source of the shape: simonw/claude-code-transcripts tests/sample_session.json. The records are those of `claude_code.rs`.

use std::{borrow::Cow, io};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Evidence, Format, Growth, Layout, Reader, Record, Refusal, Taken, claude_code::ClaudeCode,
    lenient,
};
use crate::{builder::ChatBuilder, head::Head, surroundings::Surroundings};

pub(super) const FORMAT: Format = Format {
    name: "claude-code-web",
    title: "Claude Code web session",
    found_at: "JSON of a session of Claude Code on the web",
    growth: Growth::Export,
    detect,
    reader: || Box::new(Web::default()),
};

fn detect(head: &Head) -> Option<Evidence> {
    let matched = head
        .records
        .iter()
        .filter(|record| {
            record
                .member("loglines")
                .is_some_and(|lines| matches!(lines, crate::head::HeadRecord::Array(_)))
        })
        .count();
    Some(Evidence {
        matched,
        of: head.records.len(),
        layout: if head.records.len() > 1 {
            Layout::ChatPerRecord
        } else {
            Layout::OneChat
        },
    })
}

#[derive(Default)]
struct Web {
    inner: ClaudeCode,
    title: Option<String>,
    id: Option<String>,
}

#[derive(Deserialize)]
struct Session<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::list")]
    loglines: Vec<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    title: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "lenient::text")]
    id: Option<Cow<'a, str>>,
}

impl Reader for Web {
    fn push(
        &mut self,
        record: &Record<'_>,
        chat: &mut ChatBuilder,
        surroundings: &mut dyn Surroundings,
    ) -> Result<Taken, Refusal> {
        let session: Option<Session<'_>> =
            lenient::object_of(serde_json::from_slice(record.bytes)?)?;
        let Some(session) = session.filter(|session| !session.loglines.is_empty()) else {
            chat.put_unknown(
                readalong_model::ThreadId::MAIN,
                "",
                &String::from_utf8_lossy(record.bytes),
            )?;
            return Ok(Taken::KeptRaw);
        };
        self.title = self.title.take().or(session.title.map(Cow::into_owned));
        self.id = self.id.take().or(session.id.map(Cow::into_owned));
        for (at, raw) in session.loglines.into_iter().enumerate() {
            let line = Record {
                bytes: raw.get().as_bytes(),
                place: record.place,
            };
            match self.inner.push(&line, chat, surroundings) {
                Ok(_) => {}
                // The object as a whole was taken: what cannot be read of it is kept as it is.
                Err(Refusal::Unreadable(reason)) => {
                    chat.warn(format!(
                        "record {} of the session could not be read and is kept as it is: {reason}",
                        at + 1
                    ));
                    chat.put_unknown(readalong_model::ThreadId::MAIN, "", raw.get())?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Taken::Mapped)
    }

    fn finish(
        &mut self,
        chat: &mut ChatBuilder,
        surroundings: &mut dyn Surroundings,
    ) -> io::Result<()> {
        self.inner.finish(chat, surroundings)?;
        let title = self.title.take().filter(|title| !title.trim().is_empty());
        if chat.chat.title.is_empty() {
            chat.chat.title = title.unwrap_or_default();
        }
        chat.chat.origin.native_id = self.id.take().or(chat.chat.origin.native_id.take());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::formats::outline::{fixtures, outline, read};

    #[test]
    fn reads_all_records_of_the_object() {
        let imported = read(&fixtures("claude-code-web").join("session.json"));
        assert_eq!(imported.chat.origin.format, "claude-code-web");
        assert_eq!(imported.chat.title, "Sums");
        assert_eq!(imported.stats.mapped, 1);
        let outline = outline(&imported.chat);
        for expected in ["Add two numbers", "Done.", "Earlier: sums."] {
            assert_eq!(outline.matches(expected).count(), 1, "{outline}");
        }
    }
}
