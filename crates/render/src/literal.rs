//! What Markdown would take for markup though nobody meant it so, made text before it is parsed.
//!
//! Mathematics keeps its backslashes, what people type its own and its indentation, and bold text ends where East Asian punctuation
//! stands. The parser is told by means of Markdown itself, so that all else works as it does: what is text gets a backslash, a letter that
//! shall not count as one becomes an entity. Time is linear in the text.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::Range;

use pulldown_cmark::{Event, LinkType, Options, Parser, Tag, TagEnd};

use crate::linkify::is_cjk;

/// What stands for a blank that shall be seen.
const NO_BREAK_SPACE: &str = "\u{a0}";
const TAB_COLUMNS: usize = 4;
/// No character of East Asian text begins with a byte below.
const EAST_ASIAN_BYTE: u8 = 0xe1;

/// What becomes of a byte of the source.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Plain,
    /// Of code or an address, where a backslash is a backslash.
    Code,
    /// Of a table or raw HTML, where a backslash that was typed is the parser's.
    Markup,
    /// Gets a backslash before it: punctuation is text then, and a line end stays one.
    Escaped,
    /// A blank at the beginning of a line, which is shown.
    Blank,
    /// Begins a letter that is written as an entity.
    Letter,
}

/// Returns the source with what is text marked as text; `is_typed` says that it was typed by a person.
pub(crate) fn literal(markdown: &str, options: Options, is_typed: bool) -> Cow<'_, str> {
    let has = |texts: &[&str]| texts.iter().any(|text| markdown.contains(text));
    let is_east_asian = || markdown.bytes().any(|byte| byte >= EAST_ASIAN_BYTE);
    let needs_marks = memchr::memchr2(b'\\', b'$', markdown.as_bytes()).is_some()
        || is_typed && has(&["__", "\n ", "\n\t"])
        || has(&["**"]) && is_east_asian();
    if !needs_marks {
        return Cow::Borrowed(markdown);
    }
    let mut marks = vec![Mark::Plain; markdown.len()];
    let mut indentation = Indentation::default();
    for (event, range) in Parser::new_ext(markdown, options).into_offset_iter() {
        if is_typed {
            indentation.event(&event, range.start, markdown.as_bytes(), &mut marks);
        }
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
            Event::InlineHtml(_) | Event::Start(Tag::Table(_)) => marks[range].fill(Mark::Markup),
            Event::Start(Tag::Strong) if is_typed && markdown[range.clone()].starts_with('_') => {
                marks[range.start..range.start + 2].fill(Mark::Escaped);
                marks[range.end - 2..range.end].fill(Mark::Escaped);
            }
            Event::Text(_) if marks[range.start] != Mark::Code => {
                mark_letters(markdown, range, &mut marks)
            }
            _ => {}
        }
    }
    Mathematics::default().mark(markdown.as_bytes(), &mut marks);
    if is_typed {
        mark_backslashes(markdown.as_bytes(), &mut marks);
    }
    written(markdown, &marks)
}

/// Writes the source as its marks say.
fn written<'a>(markdown: &'a str, marks: &[Mark]) -> Cow<'a, str> {
    let is_changed = |mark: &Mark| matches!(mark, Mark::Escaped | Mark::Blank | Mark::Letter);
    if !marks.iter().any(is_changed) {
        return Cow::Borrowed(markdown);
    }
    let mut out = String::with_capacity(markdown.len() + markdown.len() / 8);
    for (at, c) in markdown.char_indices() {
        match (marks[at], c) {
            (Mark::Blank, '\t') => out.push_str(&NO_BREAK_SPACE.repeat(TAB_COLUMNS)),
            (Mark::Blank, _) => out.push_str(NO_BREAK_SPACE),
            (Mark::Escaped, c) => out.extend(['\\', c]),
            (Mark::Letter, c) => _ = write!(out, "&#{};", u32::from(c)),
            (_, c) => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Marks the letter outside of each `**` that the parser left as text, because punctuation stands on its other side.
///
/// In `**注意：**请` a letter follows the second `**`, which therefore ends nothing: so the rule for text that has blanks between words.
fn mark_letters(markdown: &str, text: Range<usize>, marks: &mut [Mark]) {
    let source = markdown.as_bytes();
    let mut at = text.start;
    while at < text.end
        && let Some(step) = memchr::memchr(b'*', &source[at..text.end])
    {
        let start = at + step;
        // The parser may give each of them for itself.
        if source[..start].ends_with(b"*") {
            at = start + 1;
            continue;
        }
        let stars = source[start..].iter().take_while(|byte| **byte == b'*');
        at = start + stars.count();
        let before = markdown[..start].chars().next_back();
        let after = markdown[at..].chars().next();
        let (Some(before), Some(after)) = (before, after) else {
            continue;
        };
        if at - start < 2 || before == '\\' || !is_east_asian(before) && !is_east_asian(after) {
            continue;
        }
        if is_punctuation(before) && after.is_alphanumeric() {
            marks[at] = Mark::Letter;
        } else if before.is_alphanumeric() && is_punctuation(after) {
            marks[start - before.len_utf8()] = Mark::Letter;
        }
    }
}

fn is_punctuation(c: char) -> bool {
    !c.is_alphanumeric() && !c.is_whitespace()
}

fn is_east_asian(c: char) -> bool {
    is_cjk(c)
        || matches!(c, '\u{3000}'..='\u{303f}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ffef}')
}

/// Marks each backslash as text, and what it would make text.
fn mark_backslashes(source: &[u8], marks: &mut [Mark]) {
    let mut at = 0;
    while let Some(step) = memchr::memchr(b'\\', &source[at..]) {
        at += step;
        if marks[at] == Mark::Plain {
            marks[at] = Mark::Escaped;
            if let Some(mark) = marks.get_mut(at + 1)
                && *mark == Mark::Plain
                && source[at + 1].is_ascii_punctuation()
            {
                *mark = Mark::Escaped;
            }
        }
        at += 1;
    }
}

/// Finds the blanks at the beginning of lines that the parser drops.
#[derive(Default)]
struct Indentation {
    /// Where the text of the open block begins.
    begin: Option<usize>,
    /// The column of that, once it was needed.
    column: Option<usize>,
    is_line_begin: bool,
}

impl Indentation {
    fn event(&mut self, event: &Event<'_>, start: usize, source: &[u8], marks: &mut [Mark]) {
        match event {
            Event::SoftBreak | Event::HardBreak => self.is_line_begin = true,
            Event::Text(_)
            | Event::Code(_)
            | Event::InlineHtml(_)
            | Event::FootnoteReference(_)
            | Event::TaskListMarker(_)
            | Event::Start(
                Tag::Emphasis
                | Tag::Strong
                | Tag::Strikethrough
                | Tag::Link { .. }
                | Tag::Image { .. },
            ) => self.text(start, source, marks),
            Event::End(
                TagEnd::Emphasis
                | TagEnd::Strong
                | TagEnd::Strikethrough
                | TagEnd::Link
                | TagEnd::Image,
            ) => {}
            _ => *self = Self::default(),
        }
    }

    /// Marks the blanks before a line by which it begins behind the first line of its block.
    fn text(&mut self, mut start: usize, source: &[u8], marks: &mut [Mark]) {
        let is_line_begin = std::mem::take(&mut self.is_line_begin);
        if self.begin.is_some() && !is_line_begin {
            return;
        }
        // The parser leaves out the backslash of what it makes text.
        while start > 0 && source[start - 1] == b'\\' {
            start -= 1;
        }
        let begin = *self.begin.get_or_insert(start);
        if !is_line_begin {
            return;
        }
        let first = *self.column.get_or_insert_with(|| column(source, begin));
        let mut surplus = column(source, start).saturating_sub(first);
        while surplus > 0 && start > 0 {
            start -= 1;
            surplus = match source[start] {
                b' ' => surplus - 1,
                b'\t' => surplus.saturating_sub(TAB_COLUMNS),
                _ => break,
            };
            marks[start] = Mark::Blank;
        }
    }
}

/// The column at which a place of the source stands in its line.
fn column(source: &[u8], at: usize) -> usize {
    let line = memchr::memrchr(b'\n', &source[..at]).map_or(0, |end| end + 1);
    source[line..at].iter().fold(0, |column, byte| match byte {
        b'\t' => column + TAB_COLUMNS - column % TAB_COLUMNS,
        _ => column + 1,
    })
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
