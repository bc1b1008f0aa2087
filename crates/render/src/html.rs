//! The only way text becomes HTML in this crate: escaping, and marks for characters that hide or pass for others.
//!
//! Everything here copies clean runs in bulk and stops only at bytes that may need work. It must not know about
//! Markdown, terminals or highlighting: those modules write their own tags around text that goes through here.

/// Longest word of prose without a place where lines may break: browsers need time quadratic in the length of a word.
const LONG_WORD_BYTES: usize = 256;

/// Escapes prose for the content of an element; characters that turn the text around are marked.
///
/// Joiners, soft hyphens and direction marks stay as they are: many scripts need them. The marks are elements, so this
/// is not for `<title>`, where [`escape_attribute`] fits.
pub(crate) fn escape_text(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = long_word(rest) {
        escape(out, &rest[..at], Mode::Prose);
        out.push_str("<wbr>");
        rest = &rest[at..];
    }
    escape(out, rest, Mode::Prose);
}

/// Where a word has become so long that it must be allowed to break.
fn long_word(text: &str) -> Option<usize> {
    let mut word_start = 0;
    for (at, byte) in text.bytes().enumerate() {
        // Scripts whose characters have three bytes and more hardly know words of letters in a row, and break by rules of their own.
        if matches!(byte, b' ' | b'\t' | b'\n' | 0xe0..) {
            word_start = at + 1;
        } else if at - word_start >= LONG_WORD_BYTES && text.is_char_boundary(at) {
            return Some(at);
        }
    }
    None
}

/// Escapes code, commands, terminal output and addresses for the content of an element; every character that hides is marked, and
/// letters of another alphabet that look like the Latin ones in their word.
pub(crate) fn escape_code(out: &mut String, text: &str) {
    escape(out, text, Mode::Code);
}

/// Escapes prose for a quoted attribute (or for `<title>`): no tags, marks are plain text in brackets.
pub(crate) fn escape_attribute(out: &mut String, text: &str) {
    escape(out, text, Mode::Attribute);
}

/// Where the text goes decides what must be escaped and what must be marked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Prose,
    Code,
    Attribute,
}

/// Bytes at which prose must be looked at; true also for the first byte of characters that may have to be marked.
static STOP_PROSE: [bool; 256] = stop_bytes(b"&<>\x7f\xC2\xE2\xF3");
/// The same for code, where more characters are marked.
static STOP_CODE: [bool; 256] =
    stop_bytes(b"&<>\x7f\xC2\xCD\xCE\xCF\xD0\xD1\xD2\xD3\xD4\xD8\xE1\xE2\xE3\xEF\xF3");
/// The same for attributes.
static STOP_ATTRIBUTE: [bool; 256] = stop_bytes(b"&<>\"'\x7f\xC2\xE2\xF3");

const fn stop_bytes(special: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut at = 0;
    while at < 0x20 {
        table[at] = at != b'\n' as usize && at != b'\t' as usize;
        at += 1;
    }
    at = 0;
    while at < special.len() {
        table[special[at] as usize] = true;
        at += 1;
    }
    table
}

fn escape(out: &mut String, text: &str, mode: Mode) {
    let stops = match mode {
        Mode::Prose => &STOP_PROSE,
        Mode::Code => &STOP_CODE,
        Mode::Attribute => &STOP_ATTRIBUTE,
    };
    let bytes = text.as_bytes();
    out.reserve(text.len());
    let mut clean_from = 0;
    let mut at = 0;
    while let Some(step) = bytes[at..]
        .iter()
        .position(|byte| stops[usize::from(*byte)])
    {
        at += step;
        let Some(c) = text[at..].chars().next() else {
            break;
        };
        let end = at + c.len_utf8();
        if c.is_ascii() {
            out.push_str(&text[clean_from..at]);
            push_ascii(out, c, bytes.get(end) == Some(&b'\n'));
            clean_from = end;
            at = end;
        } else if ('\u{80}'..='\u{9f}').contains(&c) {
            out.push_str(&text[clean_from..at]);
            out.push('\u{fffd}');
            clean_from = end;
            at = end;
        } else if is_hidden(c, text, at, mode) {
            out.push_str(&text[clean_from..at]);
            at = push_hidden_run(out, text, at, mode);
            clean_from = at;
        } else if mode == Mode::Code && passes_for_latin(c, text, at) {
            out.push_str(&text[clean_from..at]);
            at = push_lookalikes(out, text, at);
            clean_from = at;
        } else {
            at = end;
        }
    }
    out.push_str(&text[clean_from..]);
}

/// Writes an ASCII character that may not stand as it is.
fn push_ascii(out: &mut String, c: char, before_newline: bool) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        '\'' => out.push_str("&#39;"),
        // A Windows line end is a line end; any other carriage return is shown.
        '\r' if before_newline => {}
        '\u{7f}' => out.push('\u{2421}'),
        // The Unicode block "control pictures" mirrors the control characters.
        c => out.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}')),
    }
}

/// Tells whether the character at `at` must be made visible in this place.
fn is_hidden(c: char, text: &str, at: usize, mode: Mode) -> bool {
    match c {
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        // Tag characters carry invisible text; flags of regions are the one place where they belong.
        '\u{e0000}'..='\u{e007f}' => !in_flag(text, at),
        _ if mode != Mode::Code => false,
        // A zero-width joiner between two emoji makes one picture of them.
        '\u{200d}' => !joins_emoji(text, at),
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' => true,
        '\u{200b}'..='\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{2060}'..='\u{206f}' => true,
        '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' => true,
        '\u{e0100}'..='\u{e01ef}' => true,
        _ => false,
    }
}

/// Tells whether a character is hidden wherever it stands in code; for addresses, file names and the like.
pub(crate) fn is_hidden_char(c: char) -> bool {
    is_hidden(c, "", 0, Mode::Code)
}

fn joins_emoji(text: &str, at: usize) -> bool {
    let is_emoji =
        |c: char| matches!(c, '\u{2190}'..='\u{2bff}' | '\u{fe0f}' | '\u{1f000}'..='\u{1faff}');
    text[..at].chars().next_back().is_some_and(is_emoji)
        && text[at..].chars().nth(1).is_some_and(is_emoji)
}

/// Longest flag in tag characters: a black flag, up to six letters and the end tag.
const MAX_FLAG_CHARS: usize = 8;

fn in_flag(text: &str, at: usize) -> bool {
    text[..at]
        .chars()
        .rev()
        .take(MAX_FLAG_CHARS)
        .find(|c| !('\u{e0000}'..='\u{e007f}').contains(c))
        == Some('\u{1f3f4}')
}

/// Tells whether a text has letters that look like Latin ones among Latin letters.
pub(crate) fn has_lookalikes(text: &str) -> bool {
    let mut chars = text.char_indices();
    chars.any(|(at, c)| passes_for_latin(c, text, at))
}

/// Tells whether a word has letters of another alphabet, and none that does not look like a Latin one.
pub(crate) fn passes_for_latin_word(word: &str) -> bool {
    word.contains(is_lookalike)
        && word
            .chars()
            .all(|c| is_lookalike(c) || c.is_ascii_digit() || c == '-')
}

/// Letters of a word that are looked at around one of another alphabet, so that a long word takes linear time.
const WORD_CHARS_MAX: usize = 32;

/// Tells whether a letter of another alphabet looks like a Latin one and stands in a word that has some.
///
/// A word of one alphabet is what it seems, and so are letters that look like no Latin one: `\u{394}t`, `\u{3bc}s`.
fn passes_for_latin(c: char, text: &str, at: usize) -> bool {
    let is_latin = |c: char| c.is_ascii_alphabetic();
    let before = text[..at].chars().rev().take(WORD_CHARS_MAX);
    let after = text[at..].chars().take(WORD_CHARS_MAX);
    is_lookalike(c)
        && (before.take_while(|c| c.is_alphabetic()).any(is_latin)
            || after.take_while(|c| c.is_alphabetic()).any(is_latin))
}

/// Greek and Cyrillic letters that most fonts draw as Latin ones.
fn is_lookalike(c: char) -> bool {
    match c {
        // ABEZHIKMNOPTYX, o and v, c and j.
        '\u{391}' | '\u{392}' | '\u{395}'..='\u{397}' | '\u{399}' | '\u{39a}' => true,
        '\u{39c}' | '\u{39d}' | '\u{39f}' | '\u{3a1}' | '\u{3a4}' | '\u{3a5}' | '\u{3a7}' => true,
        '\u{3bf}' | '\u{3bd}' | '\u{3f2}' | '\u{3f3}' => true,
        // SIJ, ABEKMHOPCTYX, aeopcyx, sij.
        '\u{405}' | '\u{406}' | '\u{408}' | '\u{410}' | '\u{412}' | '\u{415}' | '\u{41a}' => true,
        '\u{41c}'..='\u{41e}' | '\u{420}'..='\u{423}' | '\u{425}' => true,
        '\u{430}' | '\u{435}' | '\u{43e}' | '\u{440}' | '\u{441}' | '\u{443}' | '\u{445}' => true,
        '\u{455}' | '\u{456}' | '\u{458}' => true,
        // h, I and l, d, q, w.
        '\u{4bb}' | '\u{4c0}' | '\u{4cf}' | '\u{501}' | '\u{51b}' | '\u{51d}' => true,
        _ => false,
    }
}

/// Writes letters that pass for Latin ones with a mark around them and returns where they end.
fn push_lookalikes(out: &mut String, text: &str, start: usize) -> usize {
    let rest = &text[start..];
    let length = rest.find(|c| !is_lookalike(c)).unwrap_or(rest.len());
    out.push_str("<span class=\"lookalike\" title=\"");
    rest[..length].chars().for_each(|c| push_name(out, c, 1));
    out.push_str("\">");
    out.push_str(&rest[..length]);
    out.push_str("</span>");
    start + length
}

/// Writes one mark for a run of hidden characters and returns where the run ends.
///
/// One mark for a run keeps text made of nothing but hidden characters from growing twentyfold.
fn push_hidden_run(out: &mut String, text: &str, start: usize, mode: Mode) -> usize {
    let mut names = String::new();
    let mut at = start;
    let mut run: Option<(char, usize)> = None;
    while let Some(c) = text[at..].chars().next() {
        if c.is_ascii() || !is_hidden(c, text, at, mode) {
            break;
        }
        run = match run {
            Some((last, count)) if last == c => Some((last, count + 1)),
            Some((last, count)) => {
                push_name(&mut names, last, count);
                Some((c, 1))
            }
            None => Some((c, 1)),
        };
        at += c.len_utf8();
    }
    let first = text[start..].chars().next();
    if let Some((last, count)) = run {
        push_name(&mut names, last, count);
    }
    if mode == Mode::Attribute {
        out.push('[');
        out.push_str(&names);
        out.push(']');
    } else {
        out.push_str("<span class=\"hidden-char\" title=\"");
        if let Some(first) = first {
            push_name(out, first, 1);
        }
        out.push_str("\">");
        out.push_str(&names);
        out.push_str("</span>");
    }
    at
}

fn push_name(out: &mut String, c: char, count: usize) {
    if out.ends_with(|last: char| last.is_ascii_hexdigit() || last == '\u{d7}') {
        out.push(' ');
    }
    out.push_str(&format!("U+{:04X}", u32::from(c)));
    if count > 1 {
        out.push_str(&format!("\u{d7}{count}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(input: &str) -> String {
        let mut out = String::new();
        escape_text(&mut out, input);
        out
    }

    fn code(input: &str) -> String {
        let mut out = String::new();
        escape_code(&mut out, input);
        out
    }

    fn attribute(input: &str) -> String {
        let mut out = String::new();
        escape_attribute(&mut out, input);
        out
    }

    fn mark(name: &str) -> String {
        format!("<span class=\"hidden-char\" title=\"{name}\">{name}</span>")
    }

    #[test]
    fn markup_becomes_text() {
        for (input, expected) in [
            ("", ""),
            ("plain\ttext\n", "plain\ttext\n"),
            (
                "<script>alert(1)</script>",
                "&lt;script&gt;alert(1)&lt;/script&gt;",
            ),
            ("a && b <!-- -->", "a &amp;&amp; b &lt;!-- --&gt;"),
            ("&lt;", "&amp;lt;"),
            ("\"quoted\" 'text'", "\"quoted\" 'text'"),
            ("grüße 文字 👍🏽", "grüße 文字 👍🏽"),
        ] {
            assert_eq!(text(input), expected);
            assert_eq!(code(input), expected);
        }
        assert_eq!(
            attribute("\" onclick='x' <b>&"),
            "&quot; onclick=&#39;x&#39; &lt;b&gt;&amp;"
        );
    }

    #[test]
    fn control_characters_are_visible() {
        for (input, expected) in [
            ("a\0b", "a\u{2400}b"),
            ("\x1b[31m", "\u{241b}[31m"),
            ("a\r\nb", "a\nb"),
            ("a\rb", "a\u{240d}b"),
            ("\x7f", "\u{2421}"),
            ("a\u{85}b\u{9b}", "a\u{fffd}b\u{fffd}"),
        ] {
            assert_eq!(text(input), expected);
            assert_eq!(code(input), expected);
            assert_eq!(attribute(input), expected);
        }
    }

    #[test]
    fn long_words_of_prose_may_break() {
        let word = "A".repeat(LONG_WORD_BYTES);
        assert_eq!(text(&word), word);
        assert_eq!(
            text(&format!("{word} {word}\n{word}")),
            format!("{word} {word}\n{word}")
        );
        assert_eq!(
            text(&format!("a {word}AB{word}")),
            format!("a {word}<wbr>AB{}<wbr>AA", &word[2..])
        );
        let wide = "é".repeat(LONG_WORD_BYTES);
        assert_eq!(text(&wide).replace("<wbr>", ""), wide);
        assert_eq!(text(&wide).matches("<wbr>").count(), 1);
        // Text without blanks breaks where its own rules say.
        let chinese = "文".repeat(LONG_WORD_BYTES);
        assert_eq!(text(&chinese), chinese);
        let long = word.repeat(4);
        assert_eq!(
            (code(&long), attribute(&long)),
            (long.clone(), long.clone())
        );
    }

    #[test]
    fn direction_overrides_are_marked_everywhere() {
        for c in "\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}".chars()
        {
            let name = format!("U+{:04X}", u32::from(c));
            let input = format!("a{c}b");
            assert_eq!(text(&input), format!("a{}b", mark(&name)));
            assert_eq!(code(&input), format!("a{}b", mark(&name)));
            assert_eq!(attribute(&input), format!("a[{name}]b"));
        }
    }

    #[test]
    fn zero_width_characters_are_marked_in_code_and_kept_in_prose() {
        for c in "\u{200b}\u{200c}\u{200e}\u{200f}\u{61c}\u{feff}\u{2060}\u{ad}\u{3164}".chars() {
            let name = format!("U+{:04X}", u32::from(c));
            let input = format!("a{c}b");
            assert_eq!(text(&input), input);
            assert_eq!(code(&input), format!("a{}b", mark(&name)));
        }
        assert_eq!(text("می\u{200c}خواهم"), "می\u{200c}خواهم");
        let family = "👨\u{200d}👩\u{200d}👧";
        assert_eq!(text(family), family);
        assert_eq!(code(family), family);
        assert_eq!(code("a\u{200d}b"), format!("a{}b", mark("U+200D")));
    }

    #[test]
    fn letters_that_pass_for_latin_ones_are_marked_in_code() {
        let marked = |letter: &str, name: &str| {
            format!("<span class=\"lookalike\" title=\"{name}\">{letter}</span>")
        };
        for (input, expected) in [
            (
                "p\u{430}ypal",
                format!("p{}ypal", marked("\u{430}", "U+0430")),
            ),
            (
                "is_\u{430}dmin",
                format!("is_{}dmin", marked("\u{430}", "U+0430")),
            ),
            (
                "\u{422}\u{43e}ken",
                format!("{}ken", marked("\u{422}\u{43e}", "U+0422 U+043E")),
            ),
            ("Va\u{3bd}e", format!("Va{}e", marked("\u{3bd}", "U+03BD"))),
        ] {
            assert_eq!(code(input), expected);
            assert_eq!(text(input), input);
            assert_eq!(attribute(input), input);
            assert!(has_lookalikes(input));
        }
        for input in [
            "переменная = 1",
            "x = \u{43e}",
            "Δt = 5 μs",
            "ελληνικά",
            "a_\u{3bd}",
            "é",
        ] {
            assert_eq!(code(input), input);
            assert!(!has_lookalikes(input));
        }
        let long = "\u{430}".repeat(200_000);
        assert_eq!(code(&long), long);
        assert!(code(&format!("a{long}")).len() < 6 * long.len());
    }

    #[test]
    fn text_hidden_in_tag_characters_is_marked_and_flags_are_not() {
        let scotland = "\u{1f3f4}\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}";
        assert_eq!(text(scotland), scotland);
        assert_eq!(code(scotland), scotland);
        assert!(text("hi\u{e0068}\u{e0069}").contains("U+E0068 U+E0069"));
    }

    #[test]
    fn runs_of_hidden_characters_get_one_mark() {
        assert_eq!(
            code("a\u{200b}\u{200b}\u{200b}\u{202e}b"),
            "a<span class=\"hidden-char\" title=\"U+200B\">U+200B\u{d7}3 U+202E</span>b"
        );
        let many = "\u{200b}".repeat(100_000);
        assert!(code(&many).len() < 200);
        let alternating = "\u{200b}\u{200c}".repeat(50_000);
        assert!(code(&alternating).len() < alternating.len() * 3);
    }
}
