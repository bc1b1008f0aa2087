//! Terminal output as HTML: colours as classes, progress bars as their last state, links by the allow-list.
//!
//! A small screen of the last lines is kept so that programs which rewrite what they wrote look as they did at their
//! end. Everything else a terminal understands is dropped; whatever is not a well-formed sequence stays visible as
//! text. No state outlives a call, nothing here is recursive, and time is linear in the input.

use std::borrow::Cow;
use std::collections::VecDeque;

use memchr::{memchr, memchr3};

use crate::activity;
use crate::html::escape_code;
use crate::linkify::{open_link, safe_href};

/// Lines that cursor movements can still reach; older ones are written out.
const SCREEN_LINES: usize = 64;

/// Longest control sequence (`ESC [ … letter`); longer ones are text.
const MAX_CSI_BYTES: usize = 128;

/// Longest command string (titles, links); an unterminated one is text.
const MAX_STRING_BYTES: usize = 4_096;

/// Columns that a cursor movement can leave empty in front of text.
const MAX_GAP: usize = 400;

/// Spaces that movements may add to one text in all, so that a few bytes never become a page of blanks.
const MAX_GAPS_TOTAL: usize = 100_000;

/// Bytes of addresses that links may have in one text besides two for each of its own, so that a long address which the text names once
/// and shows in pieces does not stand in the page a thousand times. What lists files with links stays far below.
const LINK_BYTES_MIN: usize = 64 << 10;

/// Writes terminal output as HTML.
pub(crate) fn terminal_into(out: &mut String, text: &str) {
    halves_into(out, text, usize::MAX);
}

/// Writes terminal output as HTML in two pieces, each whole for itself; `cut` is where the second one begins in [`plain_text`].
pub(crate) fn terminal_halves(text: &str, cut: usize) -> (String, String) {
    let mut first = String::with_capacity(text.len() + text.len() / 8);
    let rest_start = halves_into(&mut first, text, cut);
    let rest = first.split_off(rest_start);
    (first, rest)
}

/// Writes terminal output and returns where the second half begins in `out`: its end where there is none.
fn halves_into(out: &mut String, text: &str, cut: usize) -> usize {
    if !has_controls(text) {
        let (first, rest) = text.split_at(cut.min(text.len()));
        escape_code(out, first);
        let rest_start = out.len();
        escape_code(out, rest);
        return rest_start;
    }
    let mut writer = HtmlWriter {
        out,
        run: String::new(),
        style: Style::default(),
        open: Open::default(),
        link_bytes_left: LINK_BYTES_MIN + 2 * text.len(),
        links_left_out: 0,
        bytes_to_cut: Some(cut),
        rest_start: None,
    };
    Screen::new(&mut writer).play(text);
    writer.finish()
}

/// Returns the text that [`terminal_into`] shows, without any control sequence.
pub(crate) fn plain_text(text: &str) -> Cow<'_, str> {
    if !has_controls(text) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    Screen::new(&mut plain).play(text);
    Cow::Owned(plain)
}

fn has_controls(text: &str) -> bool {
    memchr3(0x1b, b'\r', 0x08, text.as_bytes()).is_some() || memchr(0x07, text.as_bytes()).is_some()
}

const BOLD: u8 = 1;
const DIM: u8 = 2;
const ITALIC: u8 = 4;
const UNDERLINE: u8 = 8;
const INVERSE: u8 = 16;
const STRIKE: u8 = 32;

/// Class of each flag above.
const FLAG_CLASSES: [(u8, &str); 5] = [
    (BOLD, "t-b"),
    (DIM, "t-d"),
    (ITALIC, "t-i"),
    (UNDERLINE, "t-u"),
    (STRIKE, "t-s"),
];

/// How a character looks. Colours are 0 for the default and 1 to 16 for the sixteen of the terminal.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Style {
    foreground: u8,
    background: u8,
    flags: u8,
    /// 0 for none, else one more than the index into the links of the screen.
    link: u32,
}

#[derive(Clone, Copy)]
struct Cell {
    c: char,
    style: Style,
}

/// Where finished lines go.
trait Sink {
    /// Takes the next character.
    fn put(&mut self, cell: Cell, links: &[String]);
}

impl Sink for String {
    fn put(&mut self, cell: Cell, _links: &[String]) {
        self.push(cell.c);
    }
}

/// The lines that can still change, and where the next character goes.
struct Screen<'a, S: Sink> {
    sink: &'a mut S,
    lines: VecDeque<Vec<Cell>>,
    row: usize,
    column: usize,
    style: Style,
    /// Addresses of hyperlinks, only allowed ones, ready for an `href`.
    links: Vec<String>,
    gaps_left: usize,
}

impl<'a, S: Sink> Screen<'a, S> {
    fn new(sink: &'a mut S) -> Self {
        Screen {
            sink,
            lines: VecDeque::from([Vec::new()]),
            row: 0,
            column: 0,
            style: Style::default(),
            links: Vec::new(),
            gaps_left: MAX_GAPS_TOTAL,
        }
    }

    /// Plays the whole text and hands every line to the sink.
    fn play(mut self, text: &str) {
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            rest = &rest[c.len_utf8()..];
            match c {
                '\u{1b}' => rest = self.escape(rest),
                '\n' => self.line_feed(),
                '\r' => self.column = 0,
                '\u{8}' => self.column = self.column.saturating_sub(1),
                '\u{7}' => {}
                c => self.put(c),
            }
        }
        self.flush();
    }

    fn put(&mut self, c: char) {
        let line = &mut self.lines[self.row];
        if self.column > line.len() {
            let gap = (self.column - line.len()).min(self.gaps_left);
            self.gaps_left -= gap;
            let blank = Cell {
                c: ' ',
                style: Style::default(),
            };
            line.resize(line.len() + gap, blank);
            self.column = line.len();
        }
        let cell = Cell {
            c,
            style: self.style,
        };
        match line.get_mut(self.column) {
            Some(old) => *old = cell,
            None => line.push(cell),
        }
        self.column += 1;
    }

    fn line_feed(&mut self) {
        self.column = 0;
        self.row += 1;
        if self.row < self.lines.len() {
            return;
        }
        self.lines.push_back(Vec::new());
        if self.lines.len() > SCREEN_LINES {
            self.flush_first();
            self.row -= 1;
        }
    }

    fn flush_first(&mut self) {
        let Some(line) = self.lines.pop_front() else {
            return;
        };
        let end_style = line.last().map(|cell| cell.style).unwrap_or_default();
        for cell in line {
            self.sink.put(cell, &self.links);
        }
        if !self.lines.is_empty() {
            self.sink.put(
                Cell {
                    c: '\n',
                    style: end_style,
                },
                &self.links,
            );
        }
    }

    fn flush(&mut self) {
        while !self.lines.is_empty() {
            self.flush_first();
        }
    }

    /// Starts below everything written so far; a program that clears the screen must not take text away.
    fn new_page(&mut self) {
        if self.lines.back().is_some_and(|line| !line.is_empty()) {
            self.row = self.lines.len() - 1;
            self.line_feed();
        }
        while self.lines.len() > 1 {
            self.flush_first();
        }
        self.row = 0;
        self.column = 0;
    }

    /// Handles what follows an escape character and returns what follows the sequence.
    ///
    /// Of a malformed sequence only the escape character goes: the rest is text again.
    fn escape<'t>(&mut self, rest: &'t str) -> &'t str {
        let bytes = rest.as_bytes();
        match bytes.first() {
            Some(b'[') => match csi_length(bytes) {
                Some(length) => {
                    self.csi(&rest[1..length]);
                    &rest[length..]
                }
                None => rest,
            },
            Some(b']' | b'P' | b'X' | b'^' | b'_') => match string_length(bytes) {
                Some((content, length)) => {
                    if bytes[0] == b']' {
                        self.command(&rest[1..content]);
                    }
                    &rest[length..]
                }
                None => rest,
            },
            Some(0x20..=0x2f) => {
                let intermediates = bytes
                    .iter()
                    .take(MAX_CSI_BYTES)
                    .take_while(|b| matches!(b, 0x20..=0x2f))
                    .count();
                match bytes.get(intermediates) {
                    Some(0x30..=0x7e) => &rest[intermediates + 1..],
                    _ => rest,
                }
            }
            // Two-character sequences that programs use: keypad modes, saved cursor, reset, index, string end.
            Some(
                b'=' | b'>' | b'7' | b'8' | b'c' | b'D' | b'E' | b'H' | b'M' | b'N' | b'O' | b'Z'
                | b'\\',
            ) => &rest[1..],
            _ => rest,
        }
    }

    /// Obeys a control sequence, given without its `ESC [`.
    fn csi(&mut self, sequence: &str) {
        let (parameters, last) = sequence.split_at(sequence.len() - 1);
        if parameters.starts_with(['<', '=', '>', '?']) {
            return;
        }
        let number = parameters
            .split([';', ':'])
            .next()
            .and_then(|number| number.parse::<usize>().ok());
        let count = number.unwrap_or(1).max(1);
        let reach = self.lines[self.row].len().max(self.column).max(MAX_GAP);
        match last {
            "m" => self.select_style(parameters),
            "A" | "F" => self.row = self.row.saturating_sub(count),
            "B" | "E" => self.row = self.row.saturating_add(count).min(self.lines.len() - 1),
            "C" => self.column = self.column.saturating_add(count).min(reach),
            "D" => self.column = self.column.saturating_sub(count),
            "G" => self.column = (count - 1).min(reach),
            "K" => self.erase_line(number.unwrap_or(0)),
            "J" if number.unwrap_or(0) == 0 => {
                self.erase_line(0);
                self.lines.truncate(self.row + 1);
            }
            "H" | "f" | "J" => self.new_page(),
            _ => {}
        }
        if matches!(last, "E" | "F") {
            self.column = 0;
        }
    }

    fn erase_line(&mut self, what: usize) {
        let line = &mut self.lines[self.row];
        match what {
            0 => line.truncate(self.column),
            // What stands left of the cursor is overwritten anyway by programs that erase it.
            1 => {}
            _ => {
                line.clear();
                self.column = self.column.min(MAX_GAP);
            }
        }
    }

    /// Obeys an operating system command; only hyperlinks matter.
    fn command(&mut self, content: &str) {
        let Some(address) = content
            .strip_prefix("8;")
            .and_then(|rest| rest.split_once(';'))
            .map(|(_, address)| address)
        else {
            return;
        };
        self.style.link = 0;
        if let Some(href) = safe_href(address) {
            if self.links.last() != Some(&href) {
                self.links.push(href);
            }
            self.style.link = u32::try_from(self.links.len()).unwrap_or(0);
        }
    }

    /// Obeys a "select graphic rendition" sequence.
    fn select_style(&mut self, parameters: &str) {
        let style = &mut self.style;
        let mut groups = parameters.split(';');
        while let Some(group) = groups.next() {
            let mut parts = group.split(':');
            let code = parse_number(parts.next());
            match code {
                0 => {
                    *style = Style {
                        link: style.link,
                        ..Style::default()
                    }
                }
                1 => style.flags |= BOLD,
                2 => style.flags |= DIM,
                3 => style.flags |= ITALIC,
                4 if group == "4:0" => style.flags &= !UNDERLINE,
                4 | 21 => style.flags |= UNDERLINE,
                7 => style.flags |= INVERSE,
                9 => style.flags |= STRIKE,
                22 => style.flags &= !(BOLD | DIM),
                23 => style.flags &= !ITALIC,
                24 => style.flags &= !UNDERLINE,
                27 => style.flags &= !INVERSE,
                29 => style.flags &= !STRIKE,
                30..=37 => style.foreground = (code - 29) as u8,
                39 => style.foreground = 0,
                40..=47 => style.background = (code - 39) as u8,
                49 => style.background = 0,
                90..=97 => style.foreground = (code - 81) as u8,
                100..=107 => style.background = (code - 91) as u8,
                38 | 48 | 58 => {
                    let color = if group.contains(':') {
                        colon_color(parts)
                    } else {
                        semicolon_color(&mut groups)
                    };
                    match (code, color) {
                        (38, Some(color)) => style.foreground = color,
                        (48, Some(color)) => style.background = color,
                        _ => {}
                    }
                }
                // Concealed text (8) is shown: a shared page hides nothing. Blinking and fonts are dropped.
                _ => {}
            }
        }
    }
}

/// Returns the length of a control sequence that starts with `[`, if it is well formed.
fn csi_length(bytes: &[u8]) -> Option<usize> {
    let body = &bytes[1..bytes.len().min(MAX_CSI_BYTES)];
    let parameters = body.iter().take_while(|b| matches!(b, 0x30..=0x3f)).count();
    let intermediates = body[parameters..]
        .iter()
        .take_while(|b| matches!(b, 0x20..=0x2f))
        .count();
    let last = parameters + intermediates;
    matches!(body.get(last), Some(0x40..=0x7e)).then_some(last + 2)
}

/// Returns where the content of a command string ends and where the string ends, if it is terminated.
fn string_length(bytes: &[u8]) -> Option<(usize, usize)> {
    let window = &bytes[..bytes.len().min(MAX_STRING_BYTES)];
    let end = memchr3(0x07, 0x1b, b'\n', window)?;
    match bytes[end] {
        0x07 => Some((end, end + 1)),
        0x1b if bytes.get(end + 1) == Some(&b'\\') => Some((end, end + 2)),
        _ => None,
    }
}

fn parse_number(text: Option<&str>) -> u32 {
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Reads `2:…:r:g:b` or `5:n`; the colour space between is optional and ignored.
fn colon_color<'t>(parts: impl Iterator<Item = &'t str>) -> Option<u8> {
    let parts: Vec<&str> = parts.take(8).collect();
    match *parts.first()? {
        "5" => palette_color(parse_number(parts.get(1).copied())),
        "2" if parts.len() >= 4 => {
            let channels = if parts.len() == 4 {
                &parts[1..4]
            } else {
                &parts[2..5]
            };
            nearest_color([0, 1, 2].map(|at| parse_number(channels.get(at).copied())))
        }
        _ => None,
    }
}

/// Reads `5;n` or `2;r;g;b`.
fn semicolon_color<'t>(groups: &mut impl Iterator<Item = &'t str>) -> Option<u8> {
    match groups.next()? {
        "5" => palette_color(parse_number(Some(groups.next()?))),
        "2" => nearest_color([
            parse_number(Some(groups.next()?)),
            parse_number(Some(groups.next()?)),
            parse_number(Some(groups.next()?)),
        ]),
        _ => None,
    }
}

/// The sixteen colours as terminals usually show them, only to find the nearest one.
const PALETTE: [[i32; 3]; 16] = [
    [0, 0, 0],
    [205, 0, 0],
    [0, 205, 0],
    [205, 205, 0],
    [0, 0, 238],
    [205, 0, 205],
    [0, 205, 205],
    [229, 229, 229],
    [127, 127, 127],
    [255, 0, 0],
    [0, 255, 0],
    [255, 255, 0],
    [92, 92, 255],
    [255, 0, 255],
    [0, 255, 255],
    [255, 255, 255],
];

/// Maps one of 256 colours to one of the sixteen.
fn palette_color(index: u32) -> Option<u8> {
    let level = |step: u32| if step == 0 { 0 } else { 55 + 40 * step };
    match index {
        0..=15 => Some(index as u8 + 1),
        16..=231 => {
            let cube = index - 16;
            nearest_color([level(cube / 36), level(cube / 6 % 6), level(cube % 6)])
        }
        232..=255 => nearest_color([8 + 10 * (index - 232); 3]),
        _ => None,
    }
}

/// Maps red, green and blue to the nearest of the sixteen colours.
fn nearest_color(rgb: [u32; 3]) -> Option<u8> {
    let distance = |color: &[i32; 3]| -> i32 {
        let channel = |at: usize| rgb[at].min(255) as i32 - color[at];
        (0..3).map(|at| channel(at) * channel(at)).sum()
    };
    let nearest = (0..PALETTE.len()).min_by_key(|index| distance(&PALETTE[*index]))?;
    Some(nearest as u8 + 1)
}

/// Elements that are open in the output.
#[derive(Default)]
struct Open {
    link: bool,
    span: bool,
}

/// Writes cells as HTML; a change of style closes and opens elements, equal neighbours share them. A link stays open while styles change
/// within it.
struct HtmlWriter<'a> {
    out: &'a mut String,
    run: String,
    style: Style,
    open: Open,
    link_bytes_left: usize,
    links_left_out: usize,
    /// Bytes of plain text before the second half; none once it has begun.
    bytes_to_cut: Option<usize>,
    rest_start: Option<usize>,
}

impl Sink for HtmlWriter<'_> {
    fn put(&mut self, cell: Cell, links: &[String]) {
        self.bytes_to_cut = match self.bytes_to_cut {
            Some(0) => {
                self.close();
                self.rest_start = Some(self.out.len());
                None
            }
            left => left.map(|left| left.saturating_sub(cell.c.len_utf8())),
        };
        if cell.style != self.style {
            self.write_run();
            self.close_span();
            if cell.style.link != self.style.link {
                self.close_link();
                self.open_link(cell.style, links);
            }
            self.open_span(cell.style);
            self.style = cell.style;
        }
        self.run.push(cell.c);
    }
}

impl HtmlWriter<'_> {
    fn write_run(&mut self) {
        escape_code(self.out, &self.run);
        self.run.clear();
    }

    fn close_span(&mut self) {
        if std::mem::take(&mut self.open.span) {
            self.out.push_str("</span>");
        }
    }

    fn close_link(&mut self) {
        if std::mem::take(&mut self.open.link) {
            self.out.push_str("</a>");
        }
    }

    fn open_link(&mut self, style: Style, links: &[String]) {
        let link = (style.link as usize)
            .checked_sub(1)
            .and_then(|at| links.get(at));
        let Some(href) = link else {
            return;
        };
        match self.link_bytes_left.checked_sub(href.len()) {
            Some(left) => {
                self.link_bytes_left = left;
                open_link(self.out, href, "");
                self.open.link = true;
            }
            None => self.links_left_out += 1,
        }
    }

    fn open_span(&mut self, style: Style) {
        if (Style { link: 0, ..style }) != Style::default() {
            self.out.push_str("<span class=\"");
            push_classes(self.out, style);
            self.out.push_str("\">");
            self.open.span = true;
        }
    }

    /// Closes what is open; what comes next opens what it needs.
    fn close(&mut self) {
        self.write_run();
        self.close_span();
        self.close_link();
        self.style = Style::default();
    }

    /// Ends the last half and returns where it begins.
    fn finish(mut self) -> usize {
        self.close();
        if self.links_left_out > 0 {
            let words = activity::count(self.links_left_out, "link");
            self.out.push_str("\n<span class=\"t-d\">[");
            self.out.push_str(&words);
            self.out
                .push_str(" left out: their addresses are too long]</span>");
        }
        self.rest_start.unwrap_or(self.out.len())
    }
}

/// Writes the class names of a style. Inverse swaps the colours here, so that a theme needs no rule for pairs;
/// `t-inv` remains where one of the two is the default.
fn push_classes(out: &mut String, style: Style) {
    let start = out.len();
    let mut push = |class: &str, number: Option<u8>| {
        if out.len() > start {
            out.push(' ');
        }
        out.push_str(class);
        if let Some(number) = number {
            out.push_str(&number.to_string());
        }
    };
    for (flag, class) in FLAG_CLASSES {
        if style.flags & flag != 0 {
            push(class, None);
        }
    }
    let (mut foreground, mut background) = (style.foreground, style.background);
    if style.flags & INVERSE != 0 {
        std::mem::swap(&mut foreground, &mut background);
        if foreground == 0 || background == 0 {
            push("t-inv", None);
        }
    }
    if foreground > 0 {
        push("t-fg", Some(foreground - 1));
    }
    if background > 0 {
        push("t-bg", Some(background - 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html(text: &str) -> String {
        let mut out = String::new();
        terminal_into(&mut out, text);
        out
    }

    #[test]
    fn colours_and_weights_are_classes() {
        for (text, expected) in [
            ("plain <b> & text", "plain &lt;b&gt; &amp; text"),
            (
                "\x1b[31mred\x1b[0m rest",
                "<span class=\"t-fg1\">red</span> rest",
            ),
            ("\x1b[1;32mok\x1b[m", "<span class=\"t-b t-fg2\">ok</span>"),
            (
                "\x1b[91;104mx\x1b[39;49my",
                "<span class=\"t-fg9 t-bg12\">x</span>y",
            ),
            (
                "\x1b[2;3;4;9mx\x1b[22;23;24;29my",
                "<span class=\"t-d t-i t-u t-s\">x</span>y",
            ),
            ("\x1b[7mx\x1b[27my", "<span class=\"t-inv\">x</span>y"),
            ("\x1b[7;31;42mx", "<span class=\"t-fg2 t-bg1\">x</span>"),
            ("\x1b[7;31mx", "<span class=\"t-inv t-bg1\">x</span>"),
            ("\x1b[38;5;9mx", "<span class=\"t-fg9\">x</span>"),
            ("\x1b[38;5;196mx", "<span class=\"t-fg9\">x</span>"),
            ("\x1b[48;5;255mx", "<span class=\"t-bg7\">x</span>"),
            ("\x1b[38;2;250;250;0mx", "<span class=\"t-fg11\">x</span>"),
            ("\x1b[38:2::250:250:0mx", "<span class=\"t-fg11\">x</span>"),
            ("\x1b[38:5:9;1mx", "<span class=\"t-b t-fg9\">x</span>"),
            ("\x1b[58;5;9;1mx", "<span class=\"t-b\">x</span>"),
            ("\x1b[4:3mx\x1b[4:0my", "<span class=\"t-u\">x</span>y"),
            ("\x1b[8mshown\x1b[28m", "shown"),
            (
                "\x1b[31mone\ntwo\x1b[0m",
                "<span class=\"t-fg1\">one\ntwo</span>",
            ),
            ("\x1b[31ma\x1b[31mb", "<span class=\"t-fg1\">ab</span>"),
            (
                "\x1b[31m<script>\x1b[0m",
                "<span class=\"t-fg1\">&lt;script&gt;</span>",
            ),
        ] {
            assert_eq!(html(text), expected, "{text:?}");
        }
    }

    #[test]
    fn rewritten_lines_show_their_last_state() {
        for (text, expected) in [
            ("10%\r50%\r100%\ndone", "100%\ndone"),
            ("a\r\nb\r\n", "a\nb\n"),
            ("Downloading\r\x1b[KDone\n", "Done\n"),
            ("Downloading\x1b[2K\rDone", "Done"),
            ("ab\x08c", "ac"),
            ("b\x08bo\x08o", "bo"),
            ("\x08\x08a", "a"),
            ("1\n2\n\x1b[2A\x1b[2Kone\n\x1b[2Ktwo\n", "one\ntwo\n"),
            ("1\n2\n3\x1b[2A\r\x1b[Jx", "x"),
            ("a\x1b[3Cb", "a   b"),
            ("abc\x1b[2DX", "aXc"),
            ("abc\x1b[1GX", "Xbc"),
            ("before\x1b[2J\x1b[Hafter", "before\nafter"),
            ("\x1b[99Aa\x1b[99Bb", "ab"),
            ("\x1b[?25lx\x1b[?25h\x1b[?2026h", "x"),
            ("\x07ding", "ding"),
        ] {
            assert_eq!(html(text), expected, "{text:?}");
            assert_eq!(plain_text(text), expected, "{text:?}");
        }
    }

    #[test]
    fn malformed_sequences_lose_no_text() {
        for (text, expected) in [
            ("a\x1b", "a"),
            ("a\x1b[", "a["),
            ("a\x1b[31", "a[31"),
            ("a\x1b[31\nb", "a[31\nb"),
            ("a\x1b[3é", "a[3é"),
            ("a\x1bé", "aé"),
            ("\x1b]0;title\x07text", "text"),
            ("\x1b]0;title\x1b\\text", "text"),
            ("\x1b]0;title\ntext", "]0;title\ntext"),
            ("\x1b]0;title", "]0;title"),
            ("\x1bPdcs\x1b\\text", "text"),
            ("\x1b_apc\x1b\\text", "text"),
            ("\x1b(Btext\x1b)0", "text"),
            ("\x1b=\x1b>\x1b7\x1b8text", "text"),
            ("\x1b\x1b[31mx", "<span class=\"t-fg1\">x</span>"),
            ("\x1b[99999999999999999999Ax", "x"),
            ("\x1b[38;5mx", "x"),
            ("\x1b[38;2;1mx", "x"),
            ("\x1b[38mx\x1b[48;9mx", "xx"),
            ("\x1b[;;;mx", "x"),
        ] {
            assert_eq!(html(text), expected, "{text:?}");
        }
        let long = format!("\x1b]0;{}\x07end", "x".repeat(10_000));
        assert!(html(&long).contains(&"x".repeat(10_000)));
        let long = format!("\x1b[{}mend", "1".repeat(1_000));
        assert!(html(&long).ends_with("1mend"));
    }

    #[test]
    fn hyperlinks_follow_the_allow_list() {
        for (text, expected) in [
            (
                "\x1b]8;;https://a.com/?b=1&c\x1b\\go\x1b]8;;\x1b\\ on",
                "<a href=\"https://a.com/?b=1&amp;c\" rel=\"noopener noreferrer nofollow\">go</a> on",
            ),
            (
                "\x1b]8;id=1;https://a.com\x07\x1b[1mgo\x1b]8;;\x07!",
                "<a href=\"https://a.com\" rel=\"noopener noreferrer nofollow\"><span class=\"t-b\">go</span></a>\
                 <span class=\"t-b\">!</span>",
            ),
            (
                "\x1b]8;;https://a.com\x07a\x1b[1mb\x1b[mc\x1b]8;;\x07",
                "<a href=\"https://a.com\" rel=\"noopener noreferrer nofollow\">a<span class=\"t-b\">b</span>c</a>",
            ),
            ("\x1b]8;;javascript:alert(1)\x07go\x1b]8;;\x07", "go"),
            ("\x1b]8;;file:///etc/passwd\x07go\x1b]8;;\x07", "go"),
            ("\x1b]8;;data:text/html,x\x07go", "go"),
        ] {
            assert_eq!(html(text), expected, "{text:?}");
        }
        let html = html("\x1b]8;;https://a.com/\"onmouseover=\"x\x07go");
        assert!(
            html.contains("href=\"https://a.com/%22onmouseover=%22x\""),
            "{html}"
        );
    }

    #[test]
    fn a_long_address_that_is_shown_in_pieces_does_not_fill_the_page() {
        let address = format!("\x1b]8;;https://a.example/{}\x07", "'".repeat(3_900));
        for (name, text) in [
            ("styles", address.clone() + &"\x1b[1mx\x1b[mx".repeat(2_000)),
            (
                "gaps",
                address + &"x".repeat(2_000) + "\x1b]8;;\x07\r" + &"y\x1b[C".repeat(1_000),
            ),
        ] {
            let out = html(&text);
            assert!(out.len() < 600_000, "{name}: {}", out.len());
            let is_cut = out.ends_with(" left out: their addresses are too long]</span>");
            assert_eq!(is_cut, name == "gaps", "{name}");
        }
    }

    #[test]
    fn hidden_characters_are_marked() {
        assert!(html("a\u{202e}b").contains("hidden-char"));
        assert!(html("\x1b[1ma\u{202e}b").contains("hidden-char"));
        assert_eq!(
            html("\x1b[1m\0\x1b[0m"),
            "<span class=\"t-b\">\u{2400}</span>"
        );
    }

    #[test]
    fn plain_text_borrows_when_there_is_nothing_to_do() {
        assert!(matches!(plain_text("a\tb\n<c>"), Cow::Borrowed(_)));
        assert_eq!(
            plain_text("\x1b[31ma\x1b[0m\x1b]8;;https://a.com\x07b"),
            "ab"
        );
    }

    #[test]
    fn hostile_text_takes_linear_time_and_space() {
        for piece in [
            "\r",
            "\x1b",
            "\x1b[",
            "\x1b]",
            "\x1b]8;;",
            "\x08",
            "\n\x1b[99A",
            "\x1b[2K\x1b[9999Cx",
            "\x1b[9999Cx\n",
            "x\x1b[1K",
            "\x1b[J\n",
            "\x1b[31ma\x1b[32mb",
            "\x1b[2J",
            "\x1b]8;;https://a.com/\x07x",
        ] {
            let text = piece.repeat(1_000_000 / piece.len());
            let out = html(&text);
            assert!(out.len() < 12 * text.len(), "{piece:?}: {}", out.len());
            plain_text(&text);
        }
        let wide = format!("{}{}", "x".repeat(500_000), "\x1b[2Ka".repeat(100_000));
        assert!(html(&wide).len() < 2_000_000);
    }
}
