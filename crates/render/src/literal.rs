//! What Markdown would take for markup though nobody meant it so, made text before it is parsed.
//!
//! Mathematics keeps its backslashes. The parser is told by means of Markdown itself, so that all else works as it does: what is text gets
//! a backslash. Time is linear in the text.

use std::borrow::Cow;

use pulldown_cmark::{Event, LinkType, Options, Parser, Tag};

/// What becomes of a byte of the source.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Plain,
    /// Of code or an address, where a backslash is a backslash.
    Code,
    /// Gets a backslash before it: punctuation is text then, and a line end stays one.
    Escaped,
}

/// Returns the source with what is text marked as text.
pub(crate) fn literal(markdown: &str, options: Options) -> Cow<'_, str> {
    if memchr::memchr2(b'\\', b'$', markdown.as_bytes()).is_none() {
        return Cow::Borrowed(markdown);
    }
    let mut marks = vec![Mark::Plain; markdown.len()];
    for (event, range) in Parser::new_ext(markdown, options).into_offset_iter() {
        match event {
            Event::Code(_)
            | Event::Start(
                Tag::CodeBlock(_)
                | Tag::HtmlBlock
                | Tag::Link {
                    link_type: LinkType::Autolink | LinkType::Email,
                    ..
                },
            ) => marks[range].fill(Mark::Code),
            _ => {}
        }
    }
    Mathematics::default().mark(markdown.as_bytes(), &mut marks);
    written(markdown, &marks)
}

/// Writes the source as its marks say.
fn written<'a>(markdown: &'a str, marks: &[Mark]) -> Cow<'a, str> {
    if !marks.contains(&Mark::Escaped) {
        return Cow::Borrowed(markdown);
    }
    let mut out = String::with_capacity(markdown.len() + markdown.len() / 8);
    for (at, c) in markdown.char_indices() {
        if marks[at] == Mark::Escaped {
            out.push('\\');
        }
        out.push(c);
    }
    Cow::Owned(out)
}

/// Where mathematics of each kind has begun.
#[derive(Default)]
struct Mathematics {
    /// `\(`
    inline: Option<usize>,
    /// `\[`
    display: Option<usize>,
    /// `$`
    dollar: Option<usize>,
    /// `$$`
    dollars: Option<usize>,
}

impl Mathematics {
    /// Marks `\(…\)`, `\[…\]`, `$…$` and `$$…$$`. They end in the paragraph in which they begin, `$…$` in its line.
    fn mark(mut self, source: &[u8], marks: &mut [Mark]) {
        let mut at = 0;
        while at < source.len() {
            if marks[at] == Mark::Code {
                self = Self::default();
                at += 1;
                continue;
            }
            let begun = match &source[at..] {
                [b'\\', b')', ..] => self.inline.take(),
                [b'\\', b']', ..] => self.display.take(),
                [b'$', b'$', ..] if self.dollars.is_some() => self.dollars.take(),
                [b'$', ..] if self.closes(source, at) => self.dollar.take(),
                rest => {
                    self.open(source, at, rest);
                    None
                }
            };
            let length = match source[at..] {
                [b'\\', _, ..] | [b'$', b'$', ..] => 2,
                _ => 1,
            };
            at += length;
            if let Some(begun) = begun {
                mark_text(&source[begun..at], &mut marks[begun..at]);
                self.forget(|open| open > begun);
            }
        }
    }

    /// Notes what begins here, and lets go of what cannot end any more.
    fn open(&mut self, source: &[u8], at: usize, rest: &[u8]) {
        match rest {
            [b'\\', b'(', ..] => self.inline = Some(at),
            [b'\\', b'[', ..] => self.display = Some(at),
            [b'$', b'$', ..] => self.dollars = Some(at),
            // A price, or a variable behind its name's end, is none: `US$`, `$ 5`.
            [b'$', next, ..] => {
                let is_begin = !next.is_ascii_whitespace() && !is_word(source, at.wrapping_sub(1));
                self.dollar = is_begin.then_some(at);
            }
            [b'\n', rest @ ..] => {
                self.dollar = None;
                let next = rest.iter().find(|byte| !b" \t\r>".contains(byte));
                if matches!(next, None | Some(b'\n')) {
                    *self = Self::default();
                }
            }
            _ => {}
        }
    }

    /// True where the dollar sign at `at` ends what the last one began: `$a$`, and not `$A and $B`.
    fn closes(&self, source: &[u8], at: usize) -> bool {
        self.dollar.is_some() && !source[at - 1].is_ascii_whitespace() && !is_word(source, at + 1)
    }

    fn forget(&mut self, is_forgotten: impl Fn(usize) -> bool) {
        for open in [
            &mut self.inline,
            &mut self.display,
            &mut self.dollar,
            &mut self.dollars,
        ] {
            *open = open.filter(|open| !is_forgotten(*open));
        }
    }
}

fn is_word(source: &[u8], at: usize) -> bool {
    source.get(at).is_some_and(u8::is_ascii_alphanumeric)
}

/// Marks a piece of mathematics as text; lines of a block of it stay lines.
fn mark_text(source: &[u8], marks: &mut [Mark]) {
    let is_block = matches!(source, [b'\\', b'[', ..] | [b'$', b'$', ..]);
    let mut is_line_begin = false;
    for (at, byte) in source.iter().enumerate() {
        let is_text = match byte {
            // The mark of a quote that goes on.
            b'>' if is_line_begin => false,
            b' ' | b'\t' => false,
            b'\n' => {
                is_line_begin = true;
                is_block && source[at - 1] != b'\r'
            }
            b'\r' => is_block && source.get(at + 1) == Some(&b'\n'),
            byte => {
                is_line_begin = false;
                byte.is_ascii_punctuation()
            }
        };
        if is_text {
            marks[at] = Mark::Escaped;
        }
    }
}
