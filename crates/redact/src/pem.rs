//! Private keys between `-----BEGIN …-----` and `-----END …-----` (RFC 7468, OpenPGP, SSH2), also where lines are numbered, quoted or on one line.

use std::ops::Range;

/// What is looked for first.
pub(crate) const KEYWORD: &str = "private key";

/// The longest key, with all that may stand before its lines: 16,384 bits with line numbers.
const BYTES_MAX: usize = 64 << 10;
/// The longest label: `BEGIN SSH2 ENCRYPTED PRIVATE KEY`.
const LABEL_BYTES_MAX: usize = 48;
/// What follows a beginning without an end has to have so many characters of base64 to be a key.
const BODY_CHARS_MIN: usize = 24;

/// A key in whose first line the keyword stands at a place.
pub(crate) fn at(text: &str, keyword: Range<usize>) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let before = &bytes[keyword.start.saturating_sub(LABEL_BYTES_MAX)..keyword.start];
    let begin = memchr::memmem::rfind(before, b"BEGIN ")?;
    let mut start = keyword.start - before.len() + begin;
    // A line between that breaks the label is no label.
    if text.as_bytes()[start..keyword.start].contains(&b'\n') {
        return None;
    }
    while start > 0 && matches!(bytes[start - 1], b'-' | b' ') && bytes[start - 1] == b'-' {
        start -= 1;
    }
    let body = after_label(bytes, keyword.end);
    let within = &bytes[body..bytes.len().min(body + BYTES_MAX)];
    // The end, unless another key begins before it.
    let next = memchr::memmem::find(within, b"BEGIN ").unwrap_or(within.len());
    if let Some(end) = memchr::memmem::find(&within[..next], b"END ") {
        let rest = &within[end..];
        let line = rest
            .iter()
            .take(LABEL_BYTES_MAX + 16)
            .position(|byte| matches!(byte, b'\n' | b'\\' | b'"' | b'\'' | b'<'))
            .unwrap_or_else(|| rest.len().min(LABEL_BYTES_MAX));
        // Up to the last dash of the line.
        let last = rest[..line].iter().rposition(|byte| *byte == b'-');
        let end = body + end + last.map_or(line, |dash| dash + 1);
        return has_key(&bytes[body..end]).then_some(start..snap(text, end));
    }
    let end = body + body_length(&within[..next]);
    has_key(&bytes[body..end]).then_some(start..snap(text, end))
}

fn after_label(bytes: &[u8], mut at: usize) -> usize {
    if bytes[at..].len() >= 6 && bytes[at..at + 6].eq_ignore_ascii_case(b" block") {
        at += 6;
    }
    while bytes.get(at) == Some(&b'-') {
        at += 1;
    }
    at
}

/// True where enough stands there to be a key, and not dots.
fn has_key(body: &[u8]) -> bool {
    let mut longest = 0;
    let mut run = 0;
    for byte in body {
        let is_base64 = byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
        run = if is_base64 { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest >= BODY_CHARS_MIN
}

/// How far lines of a key go on that has no end: the transcript was cut, or the program showed its beginning.
fn body_length(bytes: &[u8]) -> usize {
    let mut length = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let words = line
            .split(|byte| byte.is_ascii_whitespace())
            .filter(|word| !word.is_empty());
        let longest = words.map(<[u8]>::len).max().unwrap_or(0);
        let is_header = line.contains(&b':') && line.len() < 80;
        if longest > 0 && longest < 16 && !is_header && length > 2 {
            // The last line of a key is shorter than the others, and ends in padding or alone.
            let is_last = line.iter().all(|byte| {
                byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'\n' | b'\r')
            });
            return if is_last { length + line.len() } else { length };
        }
        length += line.len();
    }
    length
}

fn snap(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const BODY: &str = "MIIEowIBAAKCAQEAzq7Lw2Kd9Xc4Vb6Nm1Qa3Ws5Ed8Rf0Tg2Yh4Uj6Ik8Ol0Pz9";

    fn found(text: &str) -> Option<&str> {
        let keyword = text.to_ascii_lowercase().find(KEYWORD)?;
        at(text, keyword..keyword + KEYWORD.len()).map(|range| &text[range])
    }

    #[test]
    fn keys_are_found_however_they_are_written() {
        for (before, key, after) in [
            (
                "x ",
                format!(
                    "-----BEGIN RSA PRIVATE KEY-----\n{BODY}\n{BODY}\n-----END RSA PRIVATE KEY-----"
                ),
                "\ny",
            ),
            (
                "\"",
                format!("-----BEGIN PRIVATE KEY-----\\n{BODY}\\n-----END PRIVATE KEY-----"),
                "\\n\"",
            ),
            (
                "1→",
                format!(
                    "-----BEGIN OPENSSH PRIVATE KEY-----\n 2→{BODY}\n 3→{BODY}\n 4→-----END OPENSSH PRIVATE KEY-----"
                ),
                "\n",
            ),
            (
                "",
                format!(
                    "-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: 1\n\n{BODY}\n=aB3d\n-----END PGP PRIVATE KEY BLOCK-----"
                ),
                "",
            ),
            (
                "",
                format!("-----BEGIN EC PRIVATE KEY-----\n{BODY}\n{BODY}\nAb3=\n"),
                "and so on it goes",
            ),
            (
                "KEY=",
                format!("-----BEGIN PRIVATE KEY----- {BODY} -----END PRIVATE KEY-----"),
                " z",
            ),
        ] {
            let text = format!("{before}{key}{after}");
            assert_eq!(found(&text), Some(key.as_str()), "{text}");
        }
    }

    #[test]
    fn what_only_names_a_key_stays() {
        for text in [
            "a private key is needed",
            "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
            "grep -r 'BEGIN RSA PRIVATE KEY' .",
            "-----BEGIN RSA PRIVATE KEY----- is how it begins",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }
}
