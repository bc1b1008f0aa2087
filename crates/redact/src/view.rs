//! A text as it would be without what hides in it: terminal codes, escapes, invisible characters, lines broken in the middle of a word.
//!
//! A view remembers where each of its bytes comes from, so that what is found in it is found in the text.

use std::ops::Range;

use memchr::{memchr_iter, memchr3};

/// Escapes within escapes that are undone: JSON in JSON in a shell's string.
const LEVELS_MAX: usize = 3;
/// More backslashes in a row escape nothing.
const BACKSLASHES_MAX: usize = 64;
/// Before and after a broken line so many characters together make it worth joining: ordinary words are shorter.
const JOINED_CHARS_MIN: usize = 12;
/// How far from a broken line its name and its rest may stand.
const NEAR_BYTES: usize = 2_048;
/// What may stand before a continued line besides white space: line numbers and margins of listings, quotes and diffs.
const MARGIN_CHARS_MAX: usize = 24;

/// A text made of another one.
pub(crate) struct View {
    pub(crate) text: String,
    pieces: Vec<Piece>,
}

/// Bytes of a view that come from one place: the same bytes, or one character for a longer spelling.
#[derive(Clone, Copy)]
struct Piece {
    view: usize,
    source: Span,
    is_copy: bool,
}

#[derive(Clone, Copy)]
struct Span {
    start: usize,
    end: usize,
}

struct Builder<'a> {
    source: &'a str,
    view: View,
    done: usize,
    /// Only lines near something that is undone are in the view: up to here.
    near: usize,
}

impl View {
    /// The text without terminal codes, invisible characters, backslash, percent and entity escapes; `None` where it has none.
    pub(crate) fn plain(text: &str) -> Option<Self> {
        let mut view = plain_once(text)?;
        for _ in 1..LEVELS_MAX {
            match plain_once(&view.text) {
                Some(next) => view = view.then(next),
                None => break,
            }
        }
        Some(view)
    }

    /// The text with lines joined that break in the middle of something; `None` where none does.
    pub(crate) fn unwrapped(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let mut builder: Option<Builder<'_>> = None;
        for newline in memchr_iter(b'\n', bytes) {
            let Some(join) = join_at(bytes, newline) else {
                continue;
            };
            let builder = builder.get_or_insert_with(|| Builder::new(text));
            if join.start < builder.done {
                continue;
            }
            builder.near(join.start);
            builder.skip(join);
        }
        builder.map(Builder::finish)
    }

    /// Where in the source a range of the view comes from.
    pub(crate) fn source(&self, range: Range<usize>) -> Range<usize> {
        let start = self.piece_at(range.start);
        let last = self.piece_at(range.end.saturating_sub(1).max(range.start));
        let from = match start.is_copy {
            true => start.source.start + (range.start - start.view),
            false => start.source.start,
        };
        let to = match last.is_copy {
            true => last.source.start + (range.end - last.view),
            false => last.source.end,
        };
        from..to.max(from)
    }

    fn piece_at(&self, at: usize) -> Piece {
        let after = self.pieces.partition_point(|piece| piece.view <= at);
        self.pieces[after.saturating_sub(1)]
    }

    /// This view's source seen through both.
    fn then(self, next: Self) -> Self {
        let mut pieces = Vec::with_capacity(next.pieces.len() + self.pieces.len());
        let ends = next
            .pieces
            .iter()
            .skip(1)
            .map(|piece| piece.view)
            .chain([next.text.len()]);
        for (piece, end) in next.pieces.iter().zip(ends) {
            if !piece.is_copy {
                let source = self.source(piece.source.start..piece.source.end);
                pieces.push(Piece {
                    view: piece.view,
                    source: Span {
                        start: source.start,
                        end: source.end,
                    },
                    is_copy: false,
                });
                continue;
            }
            // A copied stretch may come from several pieces of the view before.
            let (mut at, stop) = (piece.source.start, piece.source.start + (end - piece.view));
            while at < stop {
                let index = self
                    .pieces
                    .partition_point(|before| before.view <= at)
                    .saturating_sub(1);
                let before = self.pieces[index];
                let until = self
                    .pieces
                    .get(index + 1)
                    .map_or(stop, |after| after.view.min(stop))
                    .max(at + 1);
                let source = match before.is_copy {
                    true => Span {
                        start: before.source.start + (at - before.view),
                        end: before.source.start + (until - before.view),
                    },
                    false => before.source,
                };
                pieces.push(Piece {
                    view: piece.view + (at - piece.source.start),
                    source,
                    is_copy: before.is_copy,
                });
                at = until;
            }
        }
        if pieces.is_empty() {
            pieces.push(Piece {
                view: 0,
                source: Span { start: 0, end: 0 },
                is_copy: true,
            });
        }
        Self {
            text: next.text,
            pieces,
        }
    }
}

impl<'a> Builder<'a> {
    fn new(source: &'a str) -> Self {
        Self {
            source,
            view: View {
                text: String::with_capacity(source.len()),
                pieces: vec![Piece {
                    view: 0,
                    source: Span { start: 0, end: 0 },
                    is_copy: true,
                }],
            },
            done: 0,
            near: 0,
        }
    }

    /// Leaves out what is far from a place where something is undone.
    fn near(&mut self, at: usize) {
        if at + NEAR_BYTES / 2 <= self.near {
            return;
        }
        let bytes = self.source.as_bytes();
        let start = line_before(bytes, at);
        if start > self.near {
            self.copy(self.near);
            self.skip(self.near..start);
        }
        self.near = self.near.max(line_after(bytes, at));
    }

    /// Copies up to a place.
    fn copy(&mut self, to: usize) {
        if to > self.done {
            self.view.pieces.push(Piece {
                view: self.view.text.len(),
                source: Span {
                    start: self.done,
                    end: to,
                },
                is_copy: true,
            });
            self.view.text.push_str(&self.source[self.done..to]);
            self.done = to;
        }
    }

    /// Leaves a range out.
    fn skip(&mut self, range: Range<usize>) {
        self.copy(range.start);
        self.done = self.done.max(range.end);
    }

    /// Puts a character in the place of its spelling.
    fn decode(&mut self, range: Range<usize>, char: char) {
        self.copy(range.start);
        self.view.pieces.push(Piece {
            view: self.view.text.len(),
            source: Span {
                start: range.start,
                end: range.end,
            },
            is_copy: false,
        });
        self.view.text.push(char);
        self.done = range.end;
    }

    fn finish(mut self) -> View {
        self.copy(self.near);
        self.view
    }
}

fn plain_once(text: &str) -> Option<View> {
    let bytes = text.as_bytes();
    // The lead bytes of invisible characters are those of ordinary ones too, so this only says that it is worth looking.
    let first = [
        memchr3(0x1b, b'\\', 0xe2, bytes),
        memchr3(0xef, 0xc2, b'%', bytes),
        memchr::memchr2(b'&', 0xf3, bytes),
    ]
    .into_iter()
    .flatten()
    .min()?;
    let mut builder: Option<Builder<'_>> = None;
    let mut at = first;
    while at < bytes.len() {
        if bytes[at] == b'\\' {
            let run = bytes[at..]
                .iter()
                .take_while(|byte| **byte == b'\\')
                .count();
            if run > BACKSLASHES_MAX {
                at += run;
                continue;
            }
        }
        let Some(found) = hidden_at(text, at) else {
            at += 1;
            // To the next byte that can begin something.
            match bytes[at..].iter().position(|byte| BEGINS[*byte as usize]) {
                Some(next) => at += next,
                None => break,
            }
            continue;
        };
        let (length, char) = found;
        let builder = builder.get_or_insert_with(|| Builder::new(text));
        builder.near(at);
        match char {
            Some(char) => builder.decode(at..at + length, char),
            None => builder.skip(at..at + length),
        }
        at += length;
    }
    builder.map(Builder::finish)
}

/// Bytes that something hidden can begin with.
const BEGINS: [bool; 256] = {
    let mut begins = [false; 256];
    let bytes = [0x1b, b'\\', b'%', b'&', 0xe2, 0xef, 0xc2, 0xf3];
    let mut at = 0;
    while at < bytes.len() {
        begins[bytes[at] as usize] = true;
        at += 1;
    }
    begins
};

/// What is hidden at a place: its length, and the character that it stands for.
fn hidden_at(text: &str, at: usize) -> Option<(usize, Option<char>)> {
    let rest = &text.as_bytes()[at..];
    match rest[0] {
        0x1b => Some((terminal_code(rest), None)),
        b'\\' => backslash(rest).map(|(length, char)| (length, Some(char))),
        b'%' => percent(rest).map(|(length, char)| (length, Some(char))),
        b'&' => entity(rest).map(|(length, char)| (length, Some(char))),
        0xe2 | 0xef | 0xc2 | 0xf3 => {
            let char = text.get(at..)?.chars().next()?;
            is_invisible(char).then(|| (char.len_utf8(), None))
        }
        _ => None,
    }
}

/// True for characters that take no room: joiners, direction marks, tags.
pub(crate) fn is_invisible(char: char) -> bool {
    matches!(char,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}'
        | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// Length of a terminal code (ECMA-48): a control sequence, an operating system command, or two bytes.
fn terminal_code(rest: &[u8]) -> usize {
    const CODE_BYTES_MAX: usize = 4_096;
    match rest.get(1) {
        Some(b'[') => {
            let body = rest[2..]
                .iter()
                .take(64)
                .position(|byte| (0x40..=0x7e).contains(byte));
            body.map_or(1, |end| 2 + end + 1)
        }
        Some(b']') => {
            let body = &rest[2..rest.len().min(CODE_BYTES_MAX)];
            match body.iter().position(|byte| matches!(byte, 7 | 0x1b)) {
                Some(end) if body[end] == 7 => 2 + end + 1,
                Some(end) if body.get(end + 1) == Some(&b'\\') => 2 + end + 2,
                _ => 2,
            }
        }
        Some(byte) if byte.is_ascii() && *byte > b' ' => 2,
        _ => 1,
    }
}

fn backslash(rest: &[u8]) -> Option<(usize, char)> {
    let simple = |char| Some((2, char));
    match rest.get(1)? {
        b'n' => simple('\n'),
        b'r' => simple('\r'),
        b't' => simple('\t'),
        b'"' => simple('"'),
        b'\'' => simple('\''),
        b'/' => simple('/'),
        b'\\' => simple('\\'),
        b'=' => simple('='),
        b':' => simple(':'),
        b'e' => simple('\u{1b}'),
        b'u' => unicode(rest),
        b'x' => hex(rest.get(2..4)?).map(|code| (4, char::from(code as u8))),
        b'0' if rest.get(1..4) == Some(b"033") => Some((4, '\u{1b}')),
        _ => None,
    }
    .filter(|(_, char)| char.is_ascii() || !char.is_control())
}

/// `\uXXXX`, a surrogate pair of them, or `\u{XXXX}`.
fn unicode(rest: &[u8]) -> Option<(usize, char)> {
    if rest.get(2) == Some(&b'{') {
        let end = rest.iter().take(10).position(|byte| *byte == b'}')?;
        return Some((end + 1, char::from_u32(hex(&rest[3..end])?)?));
    }
    let high = hex(rest.get(2..6)?)?;
    if (0xd800..0xdc00).contains(&high)
        && rest.get(6..8) == Some(b"\\u")
        && let Some(low) = rest.get(8..12).and_then(hex)
        && (0xdc00..0xe000).contains(&low)
    {
        let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
        return Some((12, char::from_u32(code)?));
    }
    Some((6, char::from_u32(high)?))
}

fn percent(rest: &[u8]) -> Option<(usize, char)> {
    let code = hex(rest.get(1..3)?)?;
    let char = char::from(code as u8);
    (char.is_ascii_graphic() || matches!(char, ' ' | '\n')).then_some((3, char))
}

fn entity(rest: &[u8]) -> Option<(usize, char)> {
    const NAMED: [(&[u8], char); 7] = [
        (b"&amp;", '&'),
        (b"&quot;", '"'),
        (b"&apos;", '\''),
        (b"&#39;", '\''),
        (b"&lt;", '<'),
        (b"&gt;", '>'),
        (b"&nbsp;", ' '),
    ];
    if let Some((name, char)) = NAMED.iter().find(|(name, _)| rest.starts_with(name)) {
        return Some((name.len(), *char));
    }
    let end = rest.iter().take(9).position(|byte| *byte == b';')?;
    let code = match rest.get(1..end)? {
        [b'#', b'x' | b'X', digits @ ..] => hex(digits)?,
        [b'#', digits @ ..] => std::str::from_utf8(digits).ok()?.parse().ok()?,
        _ => return None,
    };
    let char = char::from_u32(code)?;
    char.is_ascii_graphic().then_some((end + 1, char))
}

fn hex(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Characters that secrets are made of.
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+' | b'/' | b'=' | b'.')
}

/// What is to be left out at a line's end so that what it breaks is whole; `None` where it breaks nothing.
fn join_at(bytes: &[u8], newline: usize) -> Option<Range<usize>> {
    let mut start = newline;
    while start > 0 && matches!(bytes[start - 1], b'\r' | b'\\' | b' ') && newline - start < 3 {
        start -= 1;
    }
    if start == 0 || !is_token(bytes[start - 1]) {
        return None;
    }
    let end = after_margin(bytes, newline + 1);
    if !bytes.get(end).is_some_and(|byte| is_token(*byte)) {
        return None;
    }
    let before = run(bytes[..start].iter().rev());
    let after = run(bytes[end..].iter());
    // A line that begins with a name of its own goes on with nothing.
    let is_named = bytes[end + after.chars..].starts_with(b": ");
    let is_worth_it = !after.is_word
        && !is_named
        && !after.is_assignment
        && bytes[end] != b'.'
        && before.chars + after.chars >= JOINED_CHARS_MIN
        && (before.is_odd() || after.is_odd())
        && before.chars.max(after.chars) >= JOINED_CHARS_MIN / 2;
    is_worth_it.then_some(start..end)
}

/// The beginning of a line some lines before a place.
fn line_before(bytes: &[u8], at: usize) -> usize {
    let from = at.saturating_sub(NEAR_BYTES);
    match memchr::memrchr_iter(b'\n', &bytes[from..at]).nth(1) {
        Some(newline) => from + newline + 1,
        None if from == 0 => 0,
        None => memchr::memchr(b'\n', &bytes[from..at]).map_or(at, |newline| from + newline + 1),
    }
}

/// The end of a line some lines behind a place.
fn line_after(bytes: &[u8], at: usize) -> usize {
    let end = bytes.len().min(at + NEAR_BYTES);
    match memchr_iter(b'\n', &bytes[at..end]).nth(2) {
        Some(newline) => at + newline + 1,
        None if end == bytes.len() => end,
        None => memchr::memrchr(b'\n', &bytes[at..end]).map_or(at, |newline| at + newline + 1),
    }
}

/// The first character of a line's own text: after white space, a line number, a mark of a quote or diff.
fn after_margin(bytes: &[u8], from: usize) -> usize {
    let line = &bytes[from..bytes.len().min(from + MARGIN_CHARS_MAX)];
    let spaces = |at: usize| {
        line[at..]
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t'))
            .count()
    };
    let mut at = spaces(0);
    let digits = line[at..].iter().take_while(|b| b.is_ascii_digit()).count();
    if (1..=6).contains(&digits) {
        let rest = &line[at + digits..];
        // The arrow and the bar that listings put behind the number.
        let marks: [&[u8]; 5] = ["→".as_bytes(), "│".as_bytes(), b"|", b"\t", b": "];
        if let Some(mark) = marks.iter().find(|mark| rest.starts_with(mark)) {
            at += digits + mark.len();
            at += spaces(at);
        }
    } else if let Some(b'>' | b'#' | b'|' | b'*') = line.get(at) {
        at += 1;
        at += spaces(at);
    }
    from + at
}

struct Run {
    chars: usize,
    digits: usize,
    upper: usize,
    /// Small letters alone, as in a sentence that goes on.
    is_word: bool,
    /// Something stands behind an equals sign.
    is_assignment: bool,
}

impl Run {
    /// Not like a word: letters of both cases with digits, or long.
    fn is_odd(&self) -> bool {
        self.digits > 0 && self.chars > self.digits || self.upper > 2 || self.chars >= 20
    }
}

fn run<'a>(bytes: impl Iterator<Item = &'a u8>) -> Run {
    let mut run = Run {
        chars: 0,
        digits: 0,
        upper: 0,
        is_word: true,
        is_assignment: false,
    };
    let mut has_equals = false;
    for byte in bytes.take(40).take_while(|byte| is_token(**byte)) {
        run.chars += 1;
        run.is_assignment |= has_equals && *byte != b'=';
        has_equals |= *byte == b'=';
        run.digits += usize::from(byte.is_ascii_digit());
        run.upper += usize::from(byte.is_ascii_uppercase());
        run.is_word &= byte.is_ascii_lowercase() || *byte == b'.';
    }
    run.is_word &= run.chars <= 14;
    run
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, wanted: &str, needle: &str, source: &str) {
        let view = View::plain(text).unwrap();
        assert_eq!(view.text, wanted);
        let at = view.text.find(needle).unwrap();
        assert_eq!(&text[view.source(at..at + needle.len())], source);
    }

    #[test]
    fn what_hides_a_text_is_undone_and_its_place_is_known() {
        check(
            "a \x1b[31mgh\x1b[0mp_x\x1b[0m b",
            "a ghp_x b",
            "ghp_x",
            "gh\x1b[0mp_x",
        );
        check(
            "gh\u{200b}p\u{ad}_x",
            "ghp_x",
            "ghp_x",
            "gh\u{200b}p\u{ad}_x",
        );
        check(
            r#"{\"a\":\"\u0067hp_x\"}"#,
            r#"{"a":"ghp_x"}"#,
            "ghp_x",
            r"\u0067hp_x",
        );
        check(
            r#"\\\"g\\\""#,
            r#"\"g\""#.replace('\\', "").as_str(),
            "g",
            "g",
        );
        check("a%3Dghp%5Fx", "a=ghp_x", "ghp_x", "ghp%5Fx");
        check(
            "&quot;gh&#112;&#x5f;x&quot;",
            "\"ghp_x\"",
            "ghp_x",
            "gh&#112;&#x5f;x",
        );
        check(r"\x1b[31mghp\x1b[0m_x", "ghp_x", "ghp_x", r"ghp\x1b[0m_x");
        check(
            "\x1b]8;;http://x\x07ghp\x1b]8;;\x07_x",
            "ghp_x",
            "ghp_x",
            "ghp\x1b]8;;\x07_x",
        );
    }

    #[test]
    fn a_text_in_which_nothing_hides_has_no_view() {
        for text in ["", "plain — “text” 100 % & more", "C:\\Windows", "→ é ü"] {
            assert!(View::plain(text).is_none(), "{text}");
        }
    }

    #[test]
    fn broken_lines_are_joined_where_they_break_something() {
        let text = "key ghp_Zq7Lw2Kd9Xc4\n   5→Vb6Nm1Qa3Ws5Ed8\nand more";
        let view = View::unwrapped(text).unwrap();
        assert_eq!(view.text, "key ghp_Zq7Lw2Kd9Xc4Vb6Nm1Qa3Ws5Ed8\nand more");
        let at = view.text.find("ghp_").unwrap();
        let source = &text[view.source(at..at + 31)];
        assert_eq!(source, "ghp_Zq7Lw2Kd9Xc4\n   5→Vb6Nm1Qa3Ws5Ed8");
        for text in [
            "some words\nand others",
            "fn a() {\n    b();\n}",
            "one two\nthree\nfour",
            "token: 4060\nof_as_44: 2700",
        ] {
            assert!(View::unwrapped(text).is_none(), "{text}");
        }
    }
}
