//! A transcript of a coding agent that is written line by line: one message a line, 500 bytes of text each.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::path::Path;

use serde_json::{Value, json};

use crate::Outcome;
use crate::message;

/// A transcript that grows.
pub(crate) struct Transcript {
    file: File,
    session: String,
    lines: u32,
}

impl Transcript {
    /// Writes a transcript of so many messages.
    pub(crate) fn create(path: &Path, name: &str, messages: u32) -> Outcome<Self> {
        let mut transcript = Self {
            file: File::create(path)?,
            session: name.to_owned(),
            lines: 0,
        };
        let mut out = BufWriter::with_capacity(1 << 20, transcript.file.try_clone()?);
        for number in 0..messages {
            let mut text = format!("{name} {number}");
            message::filler(message::MESSAGE_BYTES - text.len(), &mut text);
            out.write_all(&transcript.line(&text)?)?;
        }
        out.flush()?;
        drop(out);
        transcript.file = OpenOptions::new().append(true).open(path)?;
        Ok(transcript)
    }

    /// Appends a message with one write.
    pub(crate) fn append(&mut self, text: &str) -> Outcome<()> {
        let line = self.line(text)?;
        Ok(self.file.write_all(&line)?)
    }

    /// A prompt opens the chat and every tenth message is one, as far as pages care.
    fn line(&mut self, text: &str) -> Outcome<Vec<u8>> {
        let number = self.lines;
        self.lines += 1;
        let id = |number: u32| format!("{:0>8}-0000-4000-8000-{number:012x}", self.session.len());
        let parent = number.checked_sub(1).map(id);
        let (kind, message) = if number.is_multiple_of(10) {
            ("user", json!({"role": "user", "content": text}))
        } else {
            let content = json!([{"type": "text", "text": text}]);
            let said = json!({"id": format!("msg_{number:016x}"), "type": "message", "role": "assistant", "model": "example-1", "content": content,
                "stop_reason": null, "usage": {"input_tokens": 3, "output_tokens": 120}});
            ("assistant", said)
        };
        let (minute, second) = ((number / 60) % 60, number % 60);
        let hour = (number / 3_600) % 24;
        let record: Value = json!({"parentUuid": parent, "isSidechain": false, "userType": "external", "cwd": "/home/dev/projects/example",
            "sessionId": self.session, "version": "2.1.42", "gitBranch": "main", "type": kind, "message": message, "uuid": id(number),
            "timestamp": format!("2026-01-{:02}T{hour:02}:{minute:02}:{second:02}.000Z", 1 + number / 86_400)});
        let mut line = serde_json::to_vec(&record)?;
        line.push(b'\n');
        Ok(line)
    }
}
