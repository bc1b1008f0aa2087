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

/// A source with what is text marked as text.
pub(crate) struct Literal<'a> {
    pub(crate) text: Cow<'a, str>,
    source: &'a str,
    /// Where something else than in the source ends, there and in the source.
    changes: Vec<(usize, usize)>,
}

impl<'a> Literal<'a> {
    fn unchanged(source: &'a str) -> Self {
        Literal {
            text: Cow::Borrowed(source),
            source,
            changes: Vec::new(),
        }
    }

    /// Returns what stands in the source for a range of the text.
    pub(crate) fn source(&self, range: Range<usize>) -> &'a str {
        let place = |at: usize| {
            let next = self.changes.partition_point(|(end, _)| *end <= at);
            let (end, source_end) = match next.checked_sub(1) {
                Some(last) => self.changes[last],
                None => (0, 0),
            };
            let limit = self.changes.get(next).map_or(self.source.len(), |it| it.1);
            (source_end + at - end).min(limit)
        };
        let range = place(range.start)..place(range.end);
        self.source.get(range).unwrap_or_default()
    }
}

/// Marks what is text in the source as text; `is_typed` says that it was typed by a person.
pub(crate) fn literal(markdown: &str, options: Options, is_typed: bool) -> Literal<'_> {
    let has = |texts: &[&str]| texts.iter().any(|text| markdown.contains(text));
    let is_east_asian = || markdown.bytes().any(|byte| byte >= EAST_ASIAN_BYTE);
    let needs_marks = memchr::memchr2(b'\\', b'$', markdown.as_bytes()).is_some()
        || is_typed && has(&["__", "\n ", "\n\t"])
        || has(&["**"]) && is_east_asian();
    if !needs_marks {
        return Literal::unchanged(markdown);
    }
    let mut marks = vec![Mark::Plain; markdown.len()];
    let mut indentation = Indentation::default();
    // The text of such a link is its label, which is compared as it is written.
    let mut label_end = 0;
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
            Event::Start(Tag::Link {
                link_type: LinkType::Shortcut | LinkType::Collapsed,
                ..
            }) => label_end = range.end,
            Event::Start(Tag::Strong)
                if is_typed
                    && range.start >= label_end
                    && markdown[range.clone()].starts_with('_') =>
            {
                marks[range.start..range.start + 2].fill(Mark::Escaped);
                marks[range.end - 2..range.end].fill(Mark::Escaped);
            }
            Event::Text(_) if range.start >= label_end && marks[range.start] != Mark::Code => {
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
fn written<'a>(markdown: &'a str, marks: &[Mark]) -> Literal<'a> {
    let is_changed = |mark: &Mark| matches!(mark, Mark::Escaped | Mark::Blank | Mark::Letter);
    if !marks.iter().any(is_changed) {
        return Literal::unchanged(markdown);
    }
    let mut out = String::with_capacity(markdown.len() + markdown.len() / 8);
    let mut changes = Vec::new();
    for (at, c) in markdown.char_indices() {
        match (marks[at], c) {
            (Mark::Blank, '\t') => out.push_str(&NO_BREAK_SPACE.repeat(TAB_COLUMNS)),
            (Mark::Blank, _) => out.push_str(NO_BREAK_SPACE),
            (Mark::Escaped, c) => out.extend(['\\', c]),
            (Mark::Letter, c) => _ = write!(out, "&#{};", u32::from(c)),
            (_, c) => out.push(c),
        }
        if is_changed(&marks[at]) {
            changes.push((out.len(), at + c.len_utf8()));
        }
    }
    Literal {
        text: Cow::Owned(out),
        source: markdown,
        changes,
    }
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
            let letter = start - before.len_utf8();
            marks[letter] = Mark::Letter;
            let backslashes = source[..letter].iter().rev();
            if backslashes.take_while(|byte| **byte == b'\\').count() % 2 == 1 {
                // It would make the `&` of the entity text.
                marks[letter - 1] = Mark::Escaped;
            }
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
    let line = memchr::memrchr2(b'\n', b'\r', &source[..at]).map_or(0, |end| end + 1);
    source[line..at].iter().fold(0, |column, byte| match byte {
        b'\t' => column + TAB_COLUMNS - column % TAB_COLUMNS,
        _ => column + 1,
    })
}

/// Where mathematics of each kind has begun, and the line that is read.
#[derive(Default)]
struct Mathematics {
    open: Open,
    /// Where the text of the line begins, behind the marks of quotes and lists.
    line: usize,
    /// True where the line begins an item of a list.
    is_item: bool,
}

#[derive(Default)]
struct Open {
    /// `\(`
    inline: Option<usize>,
    /// `\[`
    display: Option<usize>,
    /// `$`
    dollar: Option<usize>,
    /// `$$` that begins a block.
    dollars: Option<usize>,
    /// `$$` within a sentence.
    pair: Option<usize>,
    /// True where `$$` has its line for itself, so that what looks like items of lists is mathematics.
    is_fence: bool,
}

impl Mathematics {
    /// Marks `\(…\)`, `\[…\]`, `$…$` and `$$…$$` that can be nothing but mathematics: dollars are prices and levels of them, variables of
    /// shells, too, and escaped brackets are brackets.
    ///
    /// All end in the paragraph or cell in which they begin, `$…$` in its line; `$$…$$` too, or it has its lines for itself.
    fn mark(mut self, source: &[u8], marks: &mut [Mark]) {
        let mut at = 0;
        self.begin_line(source, at);
        while let [byte, rest @ ..] = &source[at..] {
            let start = at;
            at += match rest {
                [next, ..] if *byte == b'\\' && next.is_ascii_punctuation() => 2,
                _ if *byte == b'$' => 1 + rest.iter().take_while(|next| **next == b'$').count(),
                _ => 1,
            };
            let is_markup = marks[start] == Mark::Markup;
            if is_line_end(source, start) {
                if is_markup {
                    self.open = Open::default();
                }
                self.begin_line(source, at);
                continue;
            }
            if marks[start] == Mark::Code || is_markup && *byte == b'|' {
                self.open = Open::default();
                continue;
            }
            let begun = match &source[start..at] {
                b"\\)" => self.open.inline.take(),
                b"\\]" => self.open.display.take(),
                b"$" if closes(source, start) => self.open.dollar.take(),
                b"$$" if self.ends_block(source, start) => self.open.dollars.take(),
                b"$$" => (self.open.pair.take()).filter(|begun| is_pair(source, *begun, start)),
                _ => None,
            };
            match begun {
                Some(begun) if is_mathematics(&source[begun..at]) => {
                    mark_text(&source[begun..at], &mut marks[begun..at]);
                    self.open.forget(|open| open >= begun);
                }
                _ => self.begin(source, start..at),
            }
        }
    }

    /// Notes what begins here, and lets go of what cannot end any more.
    fn begin(&mut self, source: &[u8], sign: Range<usize>) {
        let at = sign.start;
        match &source[sign] {
            b"\\(" => self.open.inline = Some(at),
            b"\\[" => self.open.display = Some(at),
            b"$" => self.open.dollar = opens(source, at).then_some(at),
            b"$$" => {
                self.open.dollar = None;
                self.open.pair = Some(at);
                self.open.dollars = (at == self.line).then_some(at);
                self.open.is_fence = !self.is_item && is_blank_behind(source, at + 2);
            }
            [b'$', ..] => {
                self.open.dollar = None;
                self.open.pair = None;
                self.open.dollars = None;
            }
            b"|" => self.open.dollar = None,
            _ => {}
        }
    }

    fn begin_line(&mut self, source: &[u8], at: usize) {
        (self.line, self.is_item) = line_text(source, at);
        self.open.dollar = None;
        self.open.pair = None;
        if self.is_item && !self.open.is_fence {
            self.open.dollars = None;
        }
        if !self.is_item && is_blank_behind(source, self.line) {
            self.open = Open::default();
        }
    }

    /// True where `$$` at `at` ends its line, and is not all that an item of a list has.
    fn ends_block(&self, source: &[u8], at: usize) -> bool {
        self.open.dollars.is_some()
            && is_blank_behind(source, at + 2)
            && !(self.is_item && at == self.line)
    }
}

impl Open {
    fn forget(&mut self, is_forgotten: impl Fn(usize) -> bool) {
        for open in [
            &mut self.inline,
            &mut self.display,
            &mut self.dollar,
            &mut self.dollars,
            &mut self.pair,
        ] {
            *open = open.filter(|open| !is_forgotten(*open));
        }
    }
}

/// Returns where the text of the line begins that begins at `at`, and whether it is an item of a list.
fn line_text(source: &[u8], mut at: usize) -> (usize, bool) {
    let mut is_item = false;
    loop {
        let rest = &source[at..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        at += match rest {
            [b' ' | b'\t' | b'>', ..] => 1,
            [b'-' | b'+' | b'*', b' ' | b'\t', ..] => {
                is_item = true;
                1
            }
            _ if digits > 0 && matches!(rest[digits..], [b'.' | b')', b' ' | b'\t', ..]) => {
                is_item = true;
                digits + 1
            }
            _ => return (at, is_item),
        };
    }
}

/// True for the last byte of a line.
fn is_line_end(source: &[u8], at: usize) -> bool {
    match source[at..] {
        [b'\r', b'\n', ..] => false,
        [byte, ..] => matches!(byte, b'\n' | b'\r'),
        [] => true,
    }
}

/// True where the line has nothing any more from `at` on.
fn is_blank_behind(source: &[u8], at: usize) -> bool {
    let mut rest = source[at..].iter();
    matches!(
        rest.find(|byte| !b" \t".contains(byte)),
        None | Some(b'\n' | b'\r')
    )
}

/// True where a dollar sign can begin mathematics: no price, no variable, no sign on its own.
fn opens(source: &[u8], at: usize) -> bool {
    let next = source.get(at + 1);
    next.is_some_and(|next| !next.is_ascii_whitespace() && !b")]},.;:!?*_|'\"{".contains(next))
        && !is_word(source, at.wrapping_sub(1))
}

/// True where a dollar sign can end mathematics.
fn closes(source: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).map(|before| source[before]);
    // An optimum is written as `$p^*$`.
    let is_star = at >= 2 && source[at - 1] == b'*' && b"^_".contains(&source[at - 2]);
    before.is_some_and(|before| {
        !before.is_ascii_whitespace() && (is_star || !b"([{*_|\"".contains(&before))
    }) && !is_word(source, at + 1)
        && source.get(at + 1) != Some(&b'{')
}

/// True where `$$` at `begin` and at `end` can enclose mathematics in a sentence. Where blanks stand inside of them they can be two levels of prices, too,
/// unless something stands between that only mathematics has.
fn is_pair(source: &[u8], begin: usize, end: usize) -> bool {
    let content = &source[begin + 2..end];
    let is_tight = opens(source, begin + 1) && closes(source, end);
    let is_command = |pair: &[u8]| pair[0] == b'\\' && pair[1].is_ascii_alphabetic();
    let is_marked = content.contains(&b'^') || content.windows(2).any(is_command);
    let is_spaced = content.starts_with(b" ") && content.ends_with(b" ");
    (is_tight || is_marked && is_spaced)
        && !is_word(source, begin.wrapping_sub(1))
        && !is_word(source, end + 2)
}

/// True where what stands between two signs, which are given along with it, cannot be prose.
fn is_mathematics(source: &[u8]) -> bool {
    let is_dollar = source[0] == b'$';
    let length = if source[1] == b'$' || !is_dollar {
        2
    } else {
        1
    };
    let content = source
        .get(length..source.len() - length)
        .unwrap_or_default();
    let is_prose = content.windows(2).any(|pair| match pair {
        b"](" => true,
        b"**" | b"${" | [b'`', _] | [_, b'`'] => is_dollar,
        _ => false,
    });
    let mut at = 0;
    while !is_prose && at < content.len() {
        at += match content[at..] {
            // What Markdown escapes says nothing.
            [b'\\', next, ..] if b"*_[]()`#+-.>~=".contains(&next) => 2,
            [b'\\' | b'^' | b'_' | b'{', ..] => return true,
            [b'=', ..] if !is_dollar => return true,
            [a, b'*', b, ..] if is_dollar && a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                return true;
            }
            _ => 1,
        };
    }
    false
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
            b'\n' | b'\r' => {
                is_line_begin = true;
                is_block && !source[..at].ends_with(b"\r")
            }
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
