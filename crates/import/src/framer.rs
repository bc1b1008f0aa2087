//! Cuts a byte stream into JSON values, and gets what can be read out of damaged lines.
//!
//! Survives half lines, several values on a line, torn values followed by whole ones, runs of NUL bytes, byte order marks, lines without
//! end and files that stop in the middle. Holds one value in memory, never the file.

use std::io::{self, Read};

use memchr::{memchr, memchr2};
use serde::de::IgnoredAny;

use crate::head::Framing;

/// The longest line that is read; a longer one is skipped and reported. The longest seen in real transcripts is 1 MB.
pub(crate) const LINE_BYTES_MAX: usize = 64 << 20;
/// The longest value of an array or of a file that is one value: a whole chat with its inline images.
pub(crate) const VALUE_BYTES_MAX: usize = 512 << 20;
/// Bytes asked of the stream at once.
const CHUNK_BYTES: usize = 256 << 10;
/// Places in a damaged line at which reading is tried again, at most, and bytes that all tries together may look at: hostile lines stay cheap.
const RESYNC_TRIES_MAX: usize = 256;
const RESYNC_BYTES_MAX: usize = 256 << 20;

/// A piece of the stream.
pub(crate) enum Frame<'a> {
    /// A line or value; its number counts from 1.
    Piece { bytes: &'a [u8], number: u64 },
    /// Bytes that were skipped, and why.
    Skipped { number: u64, reason: String },
}

/// Cuts a stream as its framing asks.
pub(crate) struct Framer<R> {
    input: R,
    framing: Framing,
    buffer: Vec<u8>,
    /// Bytes of `buffer` before this were handed out.
    start: usize,
    end_of_input: bool,
    number: u64,
    array: Array,
}

/// How far the array is whose elements are the values.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Array {
    Before,
    Within,
    Over,
}

impl<R: Read> Framer<R> {
    pub(crate) fn new(input: R, framing: Framing) -> Self {
        Self {
            input,
            framing,
            buffer: Vec::new(),
            start: 0,
            end_of_input: false,
            number: 0,
            array: Array::Before,
        }
    }

    /// The next piece; `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Frame<'_>>> {
        match self.framing {
            Framing::Lines => self.next_line(),
            Framing::Array | Framing::Values => self.next_value(),
        }
    }

    /// Reads on; false at the end of the stream.
    fn fill(&mut self) -> io::Result<bool> {
        if self.end_of_input {
            return Ok(false);
        }
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        let length = self.buffer.len();
        // Reads grow with the value, so that a long value is not copied once for every chunk of it.
        self.buffer.resize(length + CHUNK_BYTES.max(length / 2), 0);
        let read = loop {
            match self.input.read(&mut self.buffer[length..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        self.buffer.truncate(length + *read.as_ref().unwrap_or(&0));
        self.end_of_input = read? == 0;
        Ok(!self.end_of_input)
    }

    fn next_line(&mut self) -> io::Result<Option<Frame<'_>>> {
        let mut searched = 0;
        loop {
            let rest = &self.buffer[self.start..];
            if let Some(found) = memchr(b'\n', &rest[searched..]) {
                let line = self.start..self.start + searched + found;
                self.start = line.end + 1;
                self.number += 1;
                return Ok(Some(Frame::Piece {
                    bytes: &self.buffer[line],
                    number: self.number,
                }));
            }
            searched = rest.len();
            if searched > LINE_BYTES_MAX {
                self.number += 1;
                let bytes = self.skip_line()?;
                return Ok(Some(Frame::Skipped {
                    number: self.number,
                    reason: too_long(bytes),
                }));
            }
            if !self.fill()? {
                let line = self.start..self.buffer.len();
                self.start = line.end;
                if line.is_empty() {
                    return Ok(None);
                }
                self.number += 1;
                return Ok(Some(Frame::Piece {
                    bytes: &self.buffer[line],
                    number: self.number,
                }));
            }
        }
    }

    /// Drops everything up to the end of the line and tells how many bytes that were.
    fn skip_line(&mut self) -> io::Result<u64> {
        let mut skipped = 0;
        loop {
            let rest = &self.buffer[self.start..];
            if let Some(found) = memchr(b'\n', rest) {
                self.start += found + 1;
                return Ok(skipped + found as u64);
            }
            skipped += rest.len() as u64;
            self.buffer.clear();
            self.start = 0;
            if !self.fill()? {
                return Ok(skipped);
            }
        }
    }

    fn next_value(&mut self) -> io::Result<Option<Frame<'_>>> {
        let found = self.skip_to_value()?;
        let number = self.number + 1;
        match (found, self.array) {
            (true, Array::Over) => {
                let reason = format!(
                    "{} bytes behind the end of the array were not read",
                    self.skip_all()?
                );
                return Ok(Some(Frame::Skipped { number, reason }));
            }
            (true, _) => self.number = number,
            (false, Array::Within) => {
                self.array = Array::Over;
                let reason = "the file ends in the middle: its array is not closed".to_owned();
                return Ok(Some(Frame::Skipped { number, reason }));
            }
            (false, _) => return Ok(None),
        }
        let mut scanner = Scanner::default();
        let mut scanned = 0;
        loop {
            if let Some(length) = scanner.scan(&self.buffer[self.start + scanned..]) {
                let value = self.start..self.start + scanned + length;
                self.start = value.end;
                return Ok(Some(Frame::Piece {
                    bytes: &self.buffer[value],
                    number,
                }));
            }
            scanned = self.buffer.len() - self.start;
            if scanned > VALUE_BYTES_MAX {
                let reason = format!(
                    "value of more than {} MB; nothing after it was read",
                    VALUE_BYTES_MAX >> 20
                );
                self.array = Array::Over;
                self.skip_all()?;
                return Ok(Some(Frame::Skipped { number, reason }));
            }
            if !self.fill()? {
                let value = self.start..self.buffer.len();
                self.start = value.end;
                if scanner.is_bare() {
                    return Ok(Some(Frame::Piece {
                        bytes: &self.buffer[value],
                        number,
                    }));
                }
                self.array = Array::Over;
                let reason = format!(
                    "the file ends in the middle of this value, after {} bytes of it",
                    value.len()
                );
                return Ok(Some(Frame::Skipped { number, reason }));
            }
        }
    }

    /// Drops everything that is left and tells how many bytes that were. It is read all the same: only at its end a zip's member shows damage.
    fn skip_all(&mut self) -> io::Result<u64> {
        let mut skipped = 0;
        loop {
            skipped += (self.buffer.len() - self.start) as u64;
            self.buffer.clear();
            self.start = 0;
            if !self.fill()? {
                return Ok(skipped);
            }
        }
    }

    /// Goes to the first byte of the next value: past blanks, NUL bytes, commas, byte order marks and the array's brackets.
    fn skip_to_value(&mut self) -> io::Result<bool> {
        loop {
            while let Some(&byte) = self.buffer.get(self.start) {
                match byte {
                    b' ' | b'\t' | b'\r' | b'\n' | b',' | 0 | 0xef | 0xbb | 0xbf => {}
                    b'[' if self.framing == Framing::Array && self.array == Array::Before => {
                        self.array = Array::Within
                    }
                    b']' if self.array == Array::Within => self.array = Array::Over,
                    _ => return Ok(true),
                }
                self.start += 1;
            }
            if !self.fill()? {
                return Ok(false);
            }
        }
    }
}

/// Why a line of so many bytes was skipped.
pub(crate) fn too_long(bytes: u64) -> String {
    format!(
        "line of {} MB skipped; the longest that is read is {} MB",
        bytes >> 20,
        LINE_BYTES_MAX >> 20
    )
}

/// Finds the end of a JSON value without parsing it.
#[derive(Default)]
struct Scanner {
    depth: usize,
    in_string: bool,
    escaped: bool,
    begun: bool,
}

impl Scanner {
    /// Scans on; the length at which the value ends, if it does.
    fn scan(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < bytes.len() {
            if self.in_string {
                at = self.scan_string(bytes, at);
                if !self.in_string && self.depth == 0 {
                    return Some(at);
                }
                continue;
            }
            match bytes[at] {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    if self.depth == 0 {
                        return Some(at.max(1));
                    }
                    self.depth -= 1;
                    if self.depth == 0 {
                        return Some(at + 1);
                    }
                }
                b',' | b' ' | b'\n' | b'\r' | b'\t' if self.depth == 0 && self.begun => {
                    return Some(at);
                }
                _ => {}
            }
            self.begun = true;
            at += 1;
        }
        None
    }

    /// Goes on within a string; the place after it, or the end of the bytes.
    fn scan_string(&mut self, bytes: &[u8], mut at: usize) -> usize {
        if self.escaped {
            self.escaped = false;
            at += 1;
        }
        while at < bytes.len() {
            match memchr2(b'"', b'\\', &bytes[at..]) {
                None => return bytes.len(),
                Some(found) if bytes[at + found] == b'"' => {
                    self.in_string = false;
                    return at + found + 1;
                }
                Some(found) => at += found + 2,
            }
        }
        // A backslash was the last byte that is there: what it escapes comes next.
        self.escaped = at > bytes.len();
        bytes.len()
    }

    /// True for a value that nothing closes: a number or a word at the end of the file.
    fn is_bare(&self) -> bool {
        self.depth == 0 && !self.in_string
    }
}

/// What could be had of a damaged piece.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Salvaged {
    /// A JSON value; `note` says what was repaired, if anything was.
    Value {
        json: String,
        note: Option<&'static str>,
    },
    /// Bytes that belong to no value.
    Lost { bytes: usize },
}

/// Blanks, NUL bytes and byte order marks around a piece.
pub(crate) fn trim(mut bytes: &[u8]) -> &[u8] {
    let blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0;
    loop {
        let before = bytes.len();
        while let [first, rest @ ..] = bytes {
            if !blank(first) {
                break;
            }
            bytes = rest;
        }
        bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        if bytes.len() == before {
            break;
        }
    }
    while let [rest @ .., last] = bytes {
        if !blank(last) {
            break;
        }
        bytes = rest;
    }
    bytes
}

/// Gets what can be had out of a piece that is not one JSON value as it stands.
pub(crate) fn salvage(piece: &[u8]) -> Vec<Salvaged> {
    let (text, note) = repair(piece);
    // JSON as it stood: what was refused is a name that stands twice, of which the last counts.
    if note.is_none()
        && let Ok(value) = serde_json::from_str::<serde_json::Value>(&text)
    {
        return vec![Salvaged::Value {
            json: value.to_string(),
            note: Some("of names that stand twice in an object the last was read"),
        }];
    }
    let mut found = Vec::new();
    let mut at = 0;
    let mut lost_from = 0;
    let mut tries = 0;
    let mut tried_bytes = 0;
    while at < text.len() {
        let rest = &text[at..];
        let blanks = rest.len()
            - rest
                .trim_start_matches(|c: char| c.is_whitespace() || c == '\0')
                .len();
        if blanks > 0 {
            at += blanks;
            continue;
        }
        tries += 1;
        tried_bytes += rest.len();
        match value_length(rest).filter(|length| lost_from == at || ends_cleanly(&rest[*length..]))
        {
            Some(length) => {
                note_loss(&mut found, &text[lost_from..at]);
                found.push(Salvaged::Value {
                    json: rest[..length].to_owned(),
                    note,
                });
                at += length;
                lost_from = at;
            }
            None if tries > RESYNC_TRIES_MAX || tried_bytes > RESYNC_BYTES_MAX => break,
            None => {
                let first = rest.chars().next().map_or(0, char::len_utf8);
                let later = &rest[first..];
                match later.find("{\"").or_else(|| later.find("[{")) {
                    Some(next) => at += first + next,
                    None => break,
                }
            }
        }
    }
    note_loss(&mut found, &text[lost_from..]);
    found
}

fn note_loss(found: &mut Vec<Salvaged>, lost: &str) {
    let bytes = lost
        .trim_matches(|c: char| c.is_whitespace() || c == '\0')
        .len();
    if bytes > 0 {
        found.push(Salvaged::Lost { bytes });
    }
}

/// The length of the object or array at the start of `text`, if there is a whole one.
fn value_length(text: &str) -> Option<usize> {
    if !text.starts_with(['{', '[']) {
        return None;
    }
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    values.next()?.ok()?;
    Some(values.byte_offset())
}

/// After a torn value only a value that is followed by another, or by nothing, is a record and not a piece of the torn one.
fn ends_cleanly(rest: &str) -> bool {
    let rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '\0');
    rest.is_empty() || rest.starts_with("{\"")
}

/// Makes text of bytes: invalid UTF-8 and halves of surrogate pairs become U+FFFD, NUL runs go.
fn repair(piece: &[u8]) -> (String, Option<&'static str>) {
    let text = String::from_utf8_lossy(piece);
    let mut note = matches!(text, std::borrow::Cow::Owned(_))
        .then_some("bytes that are not UTF-8 were replaced");
    let mut text = text.into_owned();
    if text.contains('\0') {
        text.retain(|c| c != '\0');
        note = note.or(Some("NUL bytes were dropped"));
    }
    if let Some(whole) = replace_lone_surrogates(&text) {
        text = whole;
        note = note.or(Some("halves of surrogate pairs were replaced"));
    }
    if let Some(whole) = replace_no_numbers(&text) {
        text = whole;
        note = note.or(Some("numbers that JSON does not have were dropped"));
    }
    (text, note)
}

/// Replaces the numbers that some programs write and JSON does not have by `null`; `None` where there are none.
fn replace_no_numbers(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut copied = 0;
    let mut scanner = Scanner::default();
    let mut at = 0;
    while let Some(step) = text.get(at..).and_then(|rest| rest.find(['"', 'N', 'I'])) {
        at += step;
        let rest = &text[at..];
        if rest.starts_with('"') {
            scanner.in_string = true;
            at = scanner.scan_string(text.as_bytes(), at + 1);
            continue;
        }
        let word = ["NaN", "Infinity"]
            .into_iter()
            .find(|word| rest.starts_with(word));
        if let Some(word) = word {
            out.push_str(text[copied..at].trim_end_matches('-'));
            out.push_str("null");
            copied = at + word.len();
        }
        at += word.map_or(1, str::len);
    }
    (copied > 0).then(|| out + &text[copied..])
}

/// Replaces `\ud800` to `\udfff` escapes without a partner by `\ufffd`; `None` where there are none.
fn replace_lone_surrogates(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let unit = |at: usize| -> Option<u16> {
        let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let mut out = String::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(found) = memchr(b'\\', &bytes[at..]) {
        at += found;
        match unit(at) {
            Some(0xd800..=0xdbff) if matches!(unit(at + 6), Some(0xdc00..=0xdfff)) => at += 12,
            Some(0xd800..=0xdfff) => {
                out.push_str(&text[copied..at]);
                out.push_str("\\ufffd");
                at += 6;
                copied = at;
            }
            Some(_) => at += 6,
            None => at += 2,
        }
        if at >= bytes.len() {
            break;
        }
    }
    (copied > 0).then(|| out + &text[copied..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(bytes: &[u8], framing: Framing) -> Vec<String> {
        let mut framer = Framer::new(bytes, framing);
        let mut found = Vec::new();
        while let Some(frame) = framer.next().unwrap() {
            found.push(match frame {
                Frame::Piece { bytes, number } => {
                    format!("{number} {}", String::from_utf8_lossy(bytes))
                }
                Frame::Skipped { number, reason } => format!("{number} skipped: {reason}"),
            });
        }
        found
    }

    fn values(piece: &[u8]) -> Vec<String> {
        let as_text = |salvaged| match salvaged {
            Salvaged::Value { json, note } => format!(
                "{json}{}",
                note.map(|n| format!(" ({n})")).unwrap_or_default()
            ),
            Salvaged::Lost { bytes } => format!("lost {bytes}"),
        };
        salvage(piece).into_iter().map(as_text).collect()
    }

    #[test]
    fn lines_end_with_the_file_too() {
        assert_eq!(
            frames(b"{}\n\n{\"a\":1}", Framing::Lines),
            ["1 {}", "2 ", "3 {\"a\":1}"]
        );
        assert_eq!(frames(b"", Framing::Lines), [""; 0]);
    }

    #[test]
    fn array_elements_come_one_by_one() {
        let text =
            "\u{feff} [ {\"a\":\"]}\\\"\"} , [1,[2]],\n\"x,y\", 17 ,{} ] trailing".as_bytes();
        assert_eq!(
            frames(text, Framing::Array),
            [
                "1 {\"a\":\"]}\\\"\"}",
                "2 [1,[2]]",
                "3 \"x,y\"",
                "4 17",
                "5 {}",
                "6 skipped: 8 bytes behind the end of the array were not read"
            ]
        );
        assert_eq!(frames(b"[{}]\n\0", Framing::Array), ["1 {}"]);
    }

    #[test]
    fn an_array_that_is_cut_is_reported_once_wherever_that_is() {
        let cut = "2 skipped: the file ends in the middle: its array is not closed";
        for (text, rest) in [
            ("[{\"a\":1},", cut),
            ("[{\"a\":1}", cut),
            (
                "[{\"a\":1},{\"b\":",
                "2 skipped: the file ends in the middle of this value, after 5 bytes of it",
            ),
        ] {
            let found = frames(text.as_bytes(), Framing::Array);
            assert_eq!(found, ["1 {\"a\":1}", rest], "{text}");
        }
    }

    #[test]
    fn pretty_printed_values_follow_each_other() {
        assert_eq!(
            frames(b"{\n \"a\": 1\n}\n{\n}", Framing::Values),
            ["1 {\n \"a\": 1\n}", "2 {\n}"]
        );
    }

    #[test]
    fn elements_split_over_reads_are_whole() {
        struct Drip<'a>(&'a [u8]);
        impl Read for Drip<'_> {
            fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
                let n = self.0.len().min(1);
                out[..n].copy_from_slice(&self.0[..n]);
                self.0 = &self.0[n..];
                Ok(n)
            }
        }
        let text = br#"[{"a":"\\"},{"b":"\"}"}]"#;
        let mut framer = Framer::new(Drip(text), Framing::Array);
        let mut found = Vec::new();
        while let Some(Frame::Piece { bytes, .. }) = framer.next().unwrap() {
            found.push(String::from_utf8(bytes.to_vec()).unwrap());
        }
        assert_eq!(found, [r#"{"a":"\\"}"#, r#"{"b":"\"}"}"#]);
    }

    #[test]
    fn damaged_lines_give_what_they_hold() {
        for (line, expected) in [
            (&br#"{"a":1}{"b":2}"#[..], &[r#"{"a":1}"#, r#"{"b":2}"#][..]),
            (
                br#"{"a":{"x":1},"b":"to{"c":3}"#,
                &["lost 20", r#"{"c":3}"#],
            ),
            (
                b"{\"a\":1}\0\0\0{\"b\":2}",
                &[
                    r#"{"a":1} (NUL bytes were dropped)"#,
                    r#"{"b":2} (NUL bytes were dropped)"#,
                ],
            ),
            (
                br#"{"a":"\ud83d"}"#,
                &[r#"{"a":"\ufffd"} (halves of surrogate pairs were replaced)"#],
            ),
            (
                b"{\"a\":\"\xff\"}",
                &["{\"a\":\"\u{fffd}\"} (bytes that are not UTF-8 were replaced)"],
            ),
            (
                br#"{"a":"\ud83d\ude00","b":1,"b":2}"#,
                &[
                    "{\"a\":\"\u{1f600}\",\"b\":2} (of names that stand twice in an object the last was read)",
                ],
            ),
            (
                br#"{"a":[NaN,-Infinity,1],"b":"NaN \" NaN"}"#,
                &[
                    r#"{"a":[null,null,1],"b":"NaN \" NaN"} (numbers that JSON does not have were dropped)"#,
                ],
            ),
            (b"not json", &["lost 8"]),
            (b"NaN Infinity \"", &["lost 11"]),
            ("Ünlesbar".as_bytes(), &["lost 9"]),
            (b"\xff\xfe", &["lost 6"]),
            (
                "\u{1f980}\u{1f980}{\"a\":1}".as_bytes(),
                &["lost 8", r#"{"a":1}"#],
            ),
            (br#"{"half":"#, &["lost 8"]),
        ] {
            assert_eq!(values(line), expected, "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn hostile_lines_cost_no_more_than_their_length() {
        let brackets = "[".repeat(100_000);
        assert_eq!(values(brackets.as_bytes()), ["lost 100000"]);
        let openings = r#"{"a":"#.repeat(50_000);
        assert_eq!(
            values(openings.as_bytes()),
            [format!("lost {}", openings.len())]
        );
    }
}
