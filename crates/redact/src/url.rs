//! Passwords in URLs: `scheme://user:password@host`.

use std::ops::Range;

/// What is looked for first.
pub(crate) const KEYWORD: &str = "://";

/// The longest user and password.
const BYTES_MAX: usize = 512;

/// The password of a URL whose `://` stands at a place.
pub(crate) fn at(text: &str, separator: Range<usize>) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let from = separator.end;
    let is_scheme = separator.start > 0 && bytes[separator.start - 1].is_ascii_alphanumeric();
    let authority = &bytes[from..bytes.len().min(from + BYTES_MAX)];
    let end = authority
        .iter()
        .position(|byte| {
            byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'`' | b'<' | b'>' | b'\\')
        })
        .unwrap_or(authority.len());
    let authority = &authority[..end];
    // A password may hold a slash or an at sign that nobody escaped; the host does not. Query strings have at signs of their own.
    let query = authority
        .iter()
        .position(|byte| matches!(byte, b'?' | b'#'));
    let authority = &authority[..query.unwrap_or(authority.len())];
    let slash = authority.iter().position(|byte| *byte == b'/');
    let at = match authority.iter().position(|byte| *byte == b'@') {
        Some(at) if slash.is_none_or(|slash| at < slash) => {
            let until = slash.unwrap_or(authority.len());
            authority[..until]
                .iter()
                .rposition(|byte| *byte == b'@')
                .unwrap_or(at)
        }
        _ => return None,
    };
    let colon = authority[..at].iter().position(|byte| *byte == b':')?;
    let host = authority.get(at + 1)?;
    let password = from + colon + 1..from + at;
    let is_password = is_scheme
        && !password.is_empty()
        && (host.is_ascii_alphanumeric() || matches!(host, b'[' | b'$' | b'{' | b'<'));
    (is_password && text.is_char_boundary(password.end)).then_some(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<&str> {
        let separator = text.find(KEYWORD)?;
        at(text, separator..separator + KEYWORD.len()).map(|range| &text[range])
    }

    #[test]
    fn passwords_in_urls_are_found() {
        for (url, password) in [
            ("postgres://app:hunter2@db:5432/x", Some("hunter2")),
            ("\"mongodb+srv://u:p%40ss@h.example/\"", Some("p%40ss")),
            ("redis://:s3kr1t@cache", Some("s3kr1t")),
            ("amqp://u:p@ss@host/", Some("p@ss")),
            ("https://host/a:b@c", None),
            ("http://localhost:8080/@scope/x", None),
            ("https://host/?q=a:b@c", None),
            ("git+ssh://git@host:22/x", None),
            ("://a:b@c", None),
        ] {
            assert_eq!(found(url), password, "{url}");
        }
    }
}
