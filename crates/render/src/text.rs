//! The text that a reader sees of a piece of HTML of ours, which find looks through, and texts that are cut.

use memchr::{memchr, memchr2};

/// Elements whose text is not searched: scripts on the page change it.
const SKIPPED: [&str; 1] = ["time"];

/// Characters of a title or name that a page shows: it stands on each page, or by each message, and chats have no longer ones. `chat.json`
/// has all of it.
const NAME_CHARS_MAX: usize = 500;

/// A title or name as pages show it.
pub(crate) fn name(text: &str) -> String {
    cut(text, NAME_CHARS_MAX)
}

/// So many characters of a text, with a mark where there are more.
pub(crate) fn cut(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Appends the text of `html`, as `textContent` gives it, with runs of white space made one space. Text in `<time>` is left out.
///
/// Takes only HTML that this crate made: well-formed, no comments, attribute values quoted and without `>`.
pub(crate) fn text_into(out: &mut String, html: &str) {
    let begin = out.len();
    let mut rest = html;
    while let Some(at) = memchr2(b'<', b'&', rest.as_bytes()) {
        push_collapsed(out, &rest[..at], begin);
        rest = &rest[at..];
        rest = if rest.starts_with('<') {
            skip_tag(rest)
        } else {
            push_entity(out, rest, begin)
        };
    }
    push_collapsed(out, rest, begin);
    if out.len() > begin && out.ends_with(' ') {
        out.pop();
    }
}

/// Appends text; white space at the beginning, or after white space, is dropped.
fn push_collapsed(out: &mut String, text: &str, begin: usize) {
    let is_space = |byte: u8| matches!(byte, b' ' | b'\n' | b'\t' | b'\r' | 0x0c);
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if is_space(bytes[at]) {
            if out.len() > begin && !out.ends_with(' ') {
                out.push(' ');
            }
            at += 1;
            continue;
        }
        // A run goes on over single spaces, so that most text is copied in a few pieces.
        let from = at;
        while at < bytes.len() {
            let single_space =
                bytes[at] == b' ' && bytes.get(at + 1).is_some_and(|next| !is_space(*next));
            if is_space(bytes[at]) && !single_space {
                break;
            }
            at += 1;
        }
        out.push_str(&text[from..at]);
    }
}

fn skip_tag(html: &str) -> &str {
    let Some(end) = memchr(b'>', html.as_bytes()) else {
        return "";
    };
    let name = html[1..end]
        .split([' ', '>', '/'])
        .next()
        .unwrap_or_default();
    let rest = &html[end + 1..];
    if !SKIPPED.contains(&name) {
        return rest;
    }
    match rest.find(&format!("</{name}>")) {
        Some(close) => &rest[close + name.len() + 3..],
        None => rest,
    }
}

fn push_entity<'a>(out: &mut String, html: &'a str, begin: usize) -> &'a str {
    let Some(end) = memchr(b';', &html.as_bytes()[..html.len().min(12)]) else {
        out.push('&');
        return &html[1..];
    };
    let character = match &html[1..end] {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        entity => entity
            .strip_prefix("#x")
            .and_then(|hex| u32::from_str_radix(hex, 16).ok())
            .or_else(|| entity.strip_prefix('#')?.parse().ok())
            .and_then(char::from_u32),
    };
    let Some(character) = character else {
        out.push('&');
        return &html[1..];
    };
    push_collapsed(out, character.encode_utf8(&mut [0; 4]), begin);
    &html[end + 1..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_what_a_reader_sees() {
        for (html, expected) in [
            ("<p>a  <b>b</b>\n</p><p>c</p>", "a b c"),
            ("  x &lt;script&gt; &amp; &#39;&#x27; ", "x <script> & ''"),
            ("a <time datetime=\"x\">14:02</time> b", "a b"),
            ("&nope &", "&nope &"),
            ("über\n\n  ß", "über ß"),
        ] {
            let mut out = String::new();
            text_into(&mut out, html);
            assert_eq!(out, expected, "{html}");
        }
    }

    #[test]
    fn names_are_cut_at_characters() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöü", 2), "äö…");
        assert_eq!(name(&"x".repeat(NAME_CHARS_MAX)).len(), NAME_CHARS_MAX);
    }
}
