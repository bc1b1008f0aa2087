//! Addresses: which ones a page may link to, and where bare ones begin and end in prose.
//!
//! The allow-list here is the only place that decides what becomes an `href` from the content of a chat. Nothing is
//! ever fetched, and an address that is not allowed stays visible as text.

use std::borrow::Cow;

use idna::punycode;
use memchr::memchr3;

use crate::html::{
    escape_attribute, escape_code, escape_text, has_lookalikes, is_hidden_char,
    passes_for_latin_word,
};

/// Longest address that becomes a link; browsers and servers give up not far beyond.
const MAX_URL_BYTES: usize = 8_000;

/// What every link of a chat says of itself.
const LINK_REL: &str = "noopener noreferrer nofollow";

/// Returns the address as it may stand in an `href` (not yet escaped for HTML), or nothing when it may not be linked.
///
/// Allowed are `http`, `https`, `mailto`, `tel` and plain fragments of the same page. Anything else (scripts, data,
/// files, relative paths, hosts with credentials, control characters anywhere) is not.
pub(crate) fn safe_href(url: &str) -> Option<String> {
    if url.is_empty() || url.len() > MAX_URL_BYTES || url.contains(char::is_control) {
        return None;
    }
    if let Some(fragment) = url.strip_prefix('#') {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.~%".contains(c);
        return (!fragment.is_empty() && fragment.chars().all(plain)).then(|| url.to_string());
    }
    let (scheme, rest) = url.split_once(':')?;
    let allowed = match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" => is_plain_authority(authority(rest)?),
        "mailto" => rest.contains('@') && !rest.starts_with('/'),
        "tel" => {
            rest.contains(|c: char| c.is_ascii_digit())
                && rest
                    .chars()
                    .all(|c| c.is_ascii_digit() || "+-.()".contains(c))
        }
        _ => false,
    };
    allowed.then(|| percent_encode(url))
}

/// Returns the host (with its port) of an `http` or `https` address, for people to read.
pub(crate) fn host(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once(':')?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    authority(rest).filter(|authority| is_plain_authority(authority))
}

/// Returns the host of an `http` or `https` address as [`unmasked`] writes it.
pub(crate) fn shown_host(url: &str) -> Option<Cow<'_, str>> {
    host(url).map(unmasked)
}

/// Writes a host in the ASCII form of names where a part of it, in letters of another alphabet, looks like a Latin name in every font.
///
/// Below an ending of that alphabet such a part is what it seems.
fn unmasked(host: &str) -> Cow<'_, str> {
    const SEPARATORS: [char; 3] = ['.', ':', '@'];
    let ending = bare_host(host).rsplit('.').next().unwrap_or_default();
    let is_masked = ending.is_ascii() && host.split(SEPARATORS).any(passes_for_latin_word);
    if !is_masked {
        return Cow::Borrowed(host);
    }
    let parts = host.split_inclusive(SEPARATORS).map(|part| {
        let label = part.trim_end_matches(SEPARATORS);
        match punycode::encode_str(&label.to_lowercase()) {
            Some(ascii) if !label.is_ascii() => format!("xn--{ascii}{}", &part[label.len()..]),
            _ => part.to_owned(),
        }
    });
    Cow::Owned(parts.collect())
}

/// Endings of hosts that are known as such without a word more; those that functions and files have, too, are left out.
const HOST_ENDINGS: [&str; 24] = [
    "ai", "app", "br", "ca", "ch", "cn", "co", "com", "de", "dev", "edu", "eu", "fr", "gov", "io",
    "jp", "net", "nl", "org", "pl", "ru", "uk", "us", "xyz",
];

/// Returns where an address leads, for people to read, if the text of its link seems to say something else: the text names another host,
/// or the host passes for another one.
pub(crate) fn unsaid_host<'u>(text: &str, url: &'u str) -> Option<Cow<'u, str>> {
    let mail = |url: &'u str| {
        let (scheme, rest) = url.split_once(':')?;
        let address = rest.split('?').next()?;
        scheme.eq_ignore_ascii_case("mailto").then_some(address)
    };
    let target = host(url).or_else(|| mail(url))?;
    let is_said = named_host(text).is_none_or(|named| leads_to(target, named));
    let shown = unmasked(target);
    (!is_said || has_lookalikes(target) || shown != target).then_some(shown)
}

/// The host that the text of a link names, where it looks like an address.
fn named_host(text: &str) -> Option<&str> {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, text.trim()),
    };
    let authority = rest.split(['/', '?', '#']).next()?;
    // What stands before the `@` of an address is what the eye takes for its host.
    let shown = match scheme {
        Some(_) => authority.split('@').next()?,
        None => authority,
    };
    let host = bare_host(shown);
    let (_, ending) = host.rsplit_once('.')?;
    let is_domain = ending.chars().count() > 1 && ending.chars().all(char::is_alphabetic);
    // `asyncio.gather` and `App.tsx` are none, and every answer has such.
    let is_known = HOST_ENDINGS.contains(&ending)
        || !ending.is_ascii()
        || authority.contains('@')
        || rest[authority.len()..].starts_with('/')
        || host
            .get(..4)
            .is_some_and(|start| start.eq_ignore_ascii_case("www."));
    (looks_like_host(host) && (scheme.is_some() || is_domain && is_known)).then_some(host)
}

/// True where a host is the named one or lies below it, with or without `www.`
fn leads_to(target: &str, named: &str) -> bool {
    let [target, named] = [target, named].map(|host| bare_host(host).to_lowercase());
    let named = named.strip_prefix("www.").unwrap_or(&named);
    target
        .strip_suffix(named)
        .is_some_and(|below| below.is_empty() || below.ends_with('.'))
}

/// An authority without credentials and port.
fn bare_host(authority: &str) -> &str {
    let host = authority.rsplit('@').next().unwrap_or_default();
    host.split(':').next().unwrap_or_default()
}

/// Opens a link; `href` comes from [`safe_href`], and an empty title is none.
pub(crate) fn open_link(out: &mut String, href: &str, title: &str) {
    out.push_str("<a href=\"");
    escape_attribute(out, href);
    if !title.is_empty() {
        out.push_str("\" title=\"");
        escape_attribute(out, title);
    }
    // A link within the page hands nothing to another host.
    if !href.starts_with('#') {
        out.push_str("\" rel=\"");
        out.push_str(LINK_REL);
    }
    out.push_str("\">");
}

/// Writes where the link before it leads.
pub(crate) fn push_target(out: &mut String, target: &str) {
    out.push_str(" <span class=\"link-target\">(");
    escape_code(out, target);
    out.push_str(")</span>");
}

/// Writes prose escaped, with bare addresses (`https://…`, `www.…`, mail) as links.
pub(crate) fn linkify_into(out: &mut String, text: &str) {
    let bytes = text.as_bytes();
    let mut written = 0;
    let mut at = 0;
    while let Some(step) = memchr3(b':', b'@', b'.', &bytes[at..]) {
        let hit = at + step;
        let found = match bytes[hit] {
            b':' => find_scheme(text, written, hit),
            b'@' => find_mail(text, written, hit),
            _ => find_www(text, written, hit),
        };
        match found {
            Found::Nothing => at = hit + 1,
            Found::Refused { end } => at = end.max(hit + 1),
            Found::Link { start, end, href } => {
                escape_text(out, &text[written..start]);
                open_link(out, &href, "");
                escape_code(out, &text[start..end]);
                out.push_str("</a>");
                if let Some(Cow::Owned(host)) = shown_host(&href) {
                    push_target(out, &host);
                }
                written = end;
                at = end;
            }
        }
    }
    escape_text(out, &text[written..]);
}

/// What stands around a character that addresses have.
enum Found {
    Nothing,
    /// Looks like an address, must not be a link, and no part of it may be one either.
    Refused {
        end: usize,
    },
    Link {
        start: usize,
        end: usize,
        href: String,
    },
}

/// Looks for `http://` or `https://` around the colon at `colon`.
fn find_scheme(text: &str, written: usize, colon: usize) -> Found {
    let bytes = text.as_bytes();
    if !bytes[colon..].starts_with(b"://") {
        return Found::Nothing;
    }
    let Some(length) = [5, 4].into_iter().find(|length| {
        colon
            .checked_sub(*length)
            .filter(|start| *start >= written)
            .is_some_and(|start| {
                bytes[start..colon].eq_ignore_ascii_case(&b"https"[..*length])
                    && (start == 0 || !bytes[start - 1].is_ascii_alphanumeric())
            })
    }) else {
        return Found::Nothing;
    };
    let start = colon - length;
    let host_start = colon + 3;
    let end = trimmed_end(text, host_start, url_end(text, host_start));
    link_or_refuse(&text[host_start..end], start, end, text[start..end].into())
}

/// Looks for `www.` around the dot at `dot`.
fn find_www(text: &str, written: usize, dot: usize) -> Found {
    let bytes = text.as_bytes();
    let Some(start) = dot.checked_sub(3).filter(|start| *start >= written) else {
        return Found::Nothing;
    };
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"./-@:&=?%+#\\$".contains(&byte);
    if !bytes[start..dot].eq_ignore_ascii_case(b"www") || start > 0 && inside(bytes[start - 1]) {
        return Found::Nothing;
    }
    let end = trimmed_end(text, start, url_end(text, start));
    if end <= dot + 1 || !bytes[dot + 1].is_ascii_alphanumeric() {
        return Found::Nothing;
    }
    link_or_refuse(
        &text[start..end],
        start,
        end,
        format!("http://{}", &text[start..end]),
    )
}

/// Makes the link when its host is a host and the allow-list agrees.
fn link_or_refuse(from_host: &str, start: usize, end: usize, url: String) -> Found {
    let authority = from_host.split(['/', '?', '#']).next().unwrap_or_default();
    if !looks_like_host(authority) {
        return Found::Refused { end };
    }
    match safe_href(&url) {
        Some(href) => Found::Link { start, end, href },
        None => Found::Refused { end },
    }
}

/// Looks for a mail address around the at sign at `at`.
fn find_mail(text: &str, written: usize, at: usize) -> Found {
    let bytes = text.as_bytes();
    let is_local = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_+".contains(byte);
    let is_domain = |byte: &u8| byte.is_ascii_alphanumeric() || b".-".contains(byte);
    let local = bytes[written..at]
        .iter()
        .rev()
        .take_while(|b| is_local(b))
        .count();
    let mut start = at - local;
    while start < at && !bytes[start].is_ascii_alphanumeric() {
        start += 1;
    }
    let mut end = at + 1 + bytes[at + 1..].iter().take_while(|b| is_domain(b)).count();
    // `git@host:path`, `pkg@1.2/x` and credentials in an address are no mail addresses.
    let followed = bytes.get(end).is_some_and(|b| b"/@_".contains(b))
        || bytes.get(end) == Some(&b':')
            && bytes.get(end + 1).is_some_and(|b| !b.is_ascii_whitespace());
    let before = &bytes[..start];
    let preceded =
        before.ends_with(b"/") || before.ends_with(b":") && !before.ends_with(b"mailto:");
    while end > at + 1 && !bytes[end - 1].is_ascii_alphanumeric() {
        end -= 1;
    }
    if start == at || followed || preceded || !is_mail_domain(&text[at + 1..end]) {
        return Found::Refused { end };
    }
    match safe_href(&format!("mailto:{}", &text[start..end])) {
        Some(href) => Found::Link { start, end, href },
        None => Found::Refused { end },
    }
}

fn is_mail_domain(domain: &str) -> bool {
    let mut labels = 0;
    let mut last = "";
    for label in domain.split('.') {
        if label.is_empty() || label.starts_with('-') || label.ends_with('-') {
            return false;
        }
        labels += 1;
        last = label;
    }
    labels > 1 && last.len() > 1 && last.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// Returns how far an address reaches at most, before punctuation at its end is given back to the sentence.
fn url_end(text: &str, start: usize) -> usize {
    let mut previous = '\0';
    let mut in_host = true;
    let mut at_root = false;
    let mut cjk_host = false;
    for (step, c) in text[start..].char_indices() {
        // Hosts have few characters; those of credentials and placeholders go on, so that the whole is refused.
        let ends_host =
            in_host && c.is_ascii() && !c.is_ascii_alphanumeric() && !"-._:[]@%${}/?#".contains(c);
        if ends_host || ends_url(c) {
            return start + step;
        }
        if is_cjk(c) {
            // Text without spaces goes on right behind an address, but addresses may also hold such text.
            let belongs = if in_host {
                step == 0 || cjk_host
            } else {
                is_cjk(previous) || "/=#_-".contains(previous) && !at_root
            };
            if !belongs {
                return start + step;
            }
            cjk_host |= step == 0;
        }
        at_root = in_host && c == '/';
        in_host &= !matches!(c, '/' | '?' | '#');
        previous = c;
    }
    text.len()
}

/// Characters that are never part of an address: spaces, quotes, brackets of markup, punctuation of East Asian text.
fn ends_url(c: char) -> bool {
    match c {
        '<' | '>' | '"' | '`' | '\\' => true,
        '!'..='~' => false,
        '\u{ab}' | '\u{bb}' | '\u{2014}' | '\u{2015}' | '\u{2018}'..='\u{201f}' => true,
        '\u{2026}' | '\u{2039}' | '\u{203a}' => true,
        '\u{3000}'..='\u{3004}' | '\u{3008}'..='\u{3020}' | '\u{3030}' | '\u{303d}' => true,
        '\u{fe10}'..='\u{fe1f}' | '\u{fe30}'..='\u{fe6f}' => true,
        '\u{ff00}'..='\u{ff65}' | '\u{ffe0}'..='\u{ffef}' => true,
        c => c.is_whitespace() || c.is_control() || is_hidden_char(c),
    }
}

/// Letters of scripts that are written without blanks between words, or go on right behind other text.
pub(crate) fn is_cjk(c: char) -> bool {
    matches!(c,
        '\u{1100}'..='\u{11ff}' | '\u{2e80}'..='\u{2fff}' | '\u{3005}'..='\u{3007}' | '\u{3021}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7ff}' | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ffdc}' | '\u{20000}'..='\u{3ffff}')
}

/// Gives trailing punctuation back to the sentence; closing brackets only when they were not opened in the address.
fn trimmed_end(text: &str, start: usize, mut end: usize) -> usize {
    let bytes = text.as_bytes();
    let mut surplus = [('(', b')'), ('[', b']'), ('{', b'}')].map(|(open, close)| {
        let opened = bytes[start..end]
            .iter()
            .filter(|b| **b == open as u8)
            .count();
        let closed = bytes[start..end].iter().filter(|b| **b == close).count();
        (close, closed.saturating_sub(opened))
    });
    while end > start {
        let last = bytes[end - 1];
        if b"?!.,:;*_~'([{|".contains(&last) {
            end -= 1;
        } else if let Some((_, count)) = surplus
            .iter_mut()
            .find(|(close, count)| *close == last && *count > 0)
        {
            *count -= 1;
            end -= 1;
        } else {
            break;
        }
    }
    end
}

/// Returns what stands between `//` and the path.
fn authority(after_scheme: &str) -> Option<&str> {
    after_scheme
        .strip_prefix("//")?
        .split(['/', '?', '#'])
        .next()
        .filter(|authority| !authority.is_empty())
}

/// Tells whether an authority is a host and perhaps a port: no credentials, nothing that browsers decode or drop.
fn is_plain_authority(authority: &str) -> bool {
    !authority
        .chars()
        .any(|c| "@%\\<>\"'`{}|^ ".contains(c) || c.is_whitespace() || is_hidden_char(c))
}

/// Tells whether a bare address has a host worth linking to.
fn looks_like_host(authority: &str) -> bool {
    if let Some(v6) = authority.strip_prefix('[') {
        return v6.split(']').next().is_some_and(|v6| {
            v6.contains(':') && v6.bytes().all(|b| b.is_ascii_hexdigit() || b == b':')
        });
    }
    let host = authority.split(':').next().unwrap_or_default();
    host.contains(char::is_alphanumeric)
        && host
            .chars()
            .all(|c| c.is_alphanumeric() || "-._".contains(c) || !c.is_ascii())
}

/// Encodes what may not stand in an address; everything that is legal there stays readable.
fn percent_encode(url: &str) -> String {
    let mut out = String::with_capacity(url.len());
    for c in url.chars() {
        let legal = match c {
            '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}' | ' ' => false,
            '!'..='~' => true,
            c => !c.is_whitespace() && !is_hidden_char(c),
        };
        if legal {
            out.push(c);
        } else {
            let mut buffer = [0; 4];
            for byte in c.encode_utf8(&mut buffer).bytes() {
                out.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(text: &str) -> String {
        let mut out = String::new();
        linkify_into(&mut out, text);
        // The attribute is the same everywhere: the tests read better without it.
        out.replace(" rel=\"noopener noreferrer nofollow\"", "")
    }

    #[test]
    fn only_listed_schemes_are_linked() {
        for (url, allowed) in [
            ("https://example.com", true),
            ("HTTP://EXAMPLE.com/A?b=c#d", true),
            ("http://localhost:3000/", true),
            ("http://[::1]:8080/x", true),
            ("mailto:a@example.com?subject=x", true),
            ("tel:+49-30-123", true),
            ("#fn-1", true),
            ("", false),
            ("#", false),
            ("#\" onclick=x", false),
            ("javascript:alert(1)", false),
            ("JaVaScRiPt:alert(1)", false),
            ("java\nscript:alert(1)", false),
            ("java\tscript:alert(1)", false),
            (" javascript:alert(1)", false),
            ("\u{1}javascript:alert(1)", false),
            ("javascript&colon;alert(1)", false),
            ("javascript%3Aalert(1)", false),
            ("vbscript:x", false),
            ("data:text/html,<script>alert(1)</script>", false),
            ("file:///etc/passwd", false),
            ("blob:https://example.com/x", false),
            ("//example.com/x", false),
            ("/etc/passwd", false),
            ("src/main.rs", false),
            ("https:example.com", false),
            ("https:/example.com", false),
            ("https:///example.com", false),
            ("https:\\\\example.com", false),
            ("https://good.com@evil.com/", false),
            ("https://good.com\\@evil.com/", false),
            ("https://ex\u{202e}ample.com/", false),
            ("https://%6a/", false),
            ("ftp://example.com", false),
            ("tel:*21#", false),
            ("mailto:", false),
        ] {
            assert_eq!(safe_href(url).is_some(), allowed, "{url:?}");
        }
        let long = format!("https://example.com/{}", "a".repeat(MAX_URL_BYTES));
        assert_eq!(safe_href(&long), None);
    }

    #[test]
    fn addresses_are_encoded() {
        for (url, expected) in [
            ("https://e.com/a b\"c", "https://e.com/a%20b%22c"),
            ("https://e.com/文?q=%20", "https://e.com/文?q=%20"),
            ("https://e.com/a\u{202e}b", "https://e.com/a%E2%80%AEb"),
            // Browsers read a backslash as a slash; encoded, it is only a character of the path.
            ("https://e.com/\\@evil.com", "https://e.com/%5C@evil.com"),
        ] {
            assert_eq!(safe_href(url).as_deref(), Some(expected));
        }
    }

    #[test]
    fn bare_addresses_become_links() {
        for (text, address) in [
            ("https://example.com", "https://example.com"),
            ("see http://a.b/c?d=e&f=g#h now", "http://a.b/c?d=e&f=g#h"),
            ("HTTPS://EXAMPLE.COM/x", "HTTPS://EXAMPLE.COM/x"),
            ("(https://a.com/b)", "https://a.com/b"),
            ("https://a.com/b_(c)", "https://a.com/b_(c)"),
            ("(https://a.com/b_(c))", "https://a.com/b_(c)"),
            ("[https://a.com/b]", "https://a.com/b"),
            ("https://a.com/b.", "https://a.com/b"),
            ("https://a.com/b?!.,:;*_~'", "https://a.com/b"),
            ("\"https://a.com/b\"", "https://a.com/b"),
            ("<https://a.com/b>", "https://a.com/b"),
            ("http://localhost:3000/x, then", "http://localhost:3000/x"),
            ("http://[::1]:80/x", "http://[::1]:80/x"),
            ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
            ("见https://example.com/a。然后", "https://example.com/a"),
            ("见https://example.com/a，然后", "https://example.com/a"),
            ("（https://example.com/a）", "https://example.com/a"),
            ("「https://example.com/a」です", "https://example.com/a"),
            ("访问https://example.com查看", "https://example.com"),
            ("访问https://example.com/查看", "https://example.com/"),
            (
                "https://example.com/foo를 보세요",
                "https://example.com/foo",
            ),
            ("https://example.com/a？b", "https://example.com/a"),
            (
                "https://zh.wikipedia.org/wiki/中文。",
                "https://zh.wikipedia.org/wiki/中文",
            ),
            ("https://例子.中国/a。", "https://例子.中国/a"),
            ("“https://example.com/a”", "https://example.com/a"),
            ("https://a.com/x\u{202e}y", "https://a.com/x"),
        ] {
            let linked = links(text);
            let link = format!(">{}</a>", address.replace('&', "&amp;"));
            assert!(linked.contains(&link), "{text}: {linked}");
            assert_eq!(linked.matches("<a ").count(), 1, "{text}: {linked}");
        }
    }

    #[test]
    fn the_link_goes_where_its_text_says() {
        for (text, expected) in [
            (
                "www.example.com.",
                "<a href=\"http://www.example.com\">www.example.com</a>.",
            ),
            (
                "mail a.b+c@example.co.uk!",
                "mail <a href=\"mailto:a.b+c@example.co.uk\">a.b+c@example.co.uk</a>!",
            ),
            (
                "https://a.com,https://b.com",
                "<a href=\"https://a.com\">https://a.com</a>,<a href=\"https://b.com\">https://b.com</a>",
            ),
            (
                "http://a.com http://b.com",
                "<a href=\"http://a.com\">http://a.com</a> <a href=\"http://b.com\">http://b.com</a>",
            ),
        ] {
            assert_eq!(links(text), expected);
        }
    }

    #[test]
    fn hosts_that_a_text_does_not_say_are_found() {
        for (text, url, host) in [
            (
                "https://bank.example",
                "https://evil.example/login",
                Some("evil.example"),
            ),
            (
                "Go to https://bank.example/",
                "https://evil.example",
                Some("evil.example"),
            ),
            (
                "bank.example/login",
                "https://evil.example:8080/",
                Some("evil.example:8080"),
            ),
            (
                "www.bank.example",
                "https://bank.example.evil.example",
                Some("bank.example.evil.example"),
            ),
            ("docs.bank.com", "https://bank.com", Some("bank.com")),
            (
                "help@bank.example",
                "mailto:a@evil.example?subject=x",
                Some("a@evil.example"),
            ),
            (
                "https://bank.example@evil.example",
                "https://evil.example",
                Some("evil.example"),
            ),
            (
                "docs.rs/serde",
                "https://evil.example",
                Some("evil.example"),
            ),
            (
                "the bank",
                "https://p\u{430}ypal.example",
                Some("p\u{430}ypal.example"),
            ),
            (
                "https://\u{430}\u{440}\u{440}\u{4cf}\u{435}.com/",
                "https://\u{430}\u{440}\u{440}\u{4cf}\u{435}.com/",
                Some("xn--80ak6aa92e.com"),
            ),
            (
                "the shop",
                "http://www.\u{410}\u{440}\u{440}\u{4cf}\u{435}.com:80",
                Some("www.xn--80ak6aa92e.com:80"),
            ),
            (
                "mail",
                "mailto:a@\u{441}\u{43e}\u{440}.com",
                Some("a@xn--n1aeb.com"),
            ),
            (
                "\u{441}\u{43e}\u{440}",
                "https://\u{441}\u{43e}\u{440}.\u{440}\u{444}",
                None,
            ),
            (
                "ru",
                "https://\u{43c}\u{43e}\u{441}\u{43a}\u{432}\u{430}.com",
                None,
            ),
            ("the bank", "https://evil.example", None),
            ("HTTPS://WWW.Bank.example/a", "https://bank.example/b", None),
            ("bank.example", "https://www.bank.example:443/", None),
            ("bank.example", "https://docs.bank.example/", None),
            ("a@bank.example", "mailto:a@bank.example", None),
            ("main.rs", "https://code.example/src/main.rs", None),
            ("main.rs#L10", "https://code.example/src/main.rs", None),
            ("asyncio.gather", "https://docs.example", None),
            ("Array.prototype.map", "https://docs.example", None),
            ("System.Net", "https://docs.example", None),
            ("App.tsx", "https://code.example", None),
            ("config.yaml", "https://code.example", None),
            ("例子.中国", "https://evil.example", Some("evil.example")),
            ("e.g. 1.2", "https://code.example", None),
            ("#1", "#fn-1", None),
        ] {
            assert_eq!(unsaid_host(text, url).as_deref(), host, "{text} {url}");
        }
    }

    #[test]
    fn a_bare_address_whose_host_passes_for_a_latin_one_says_what_it_is() {
        let apple = "https://\u{430}\u{440}\u{440}\u{4cf}\u{435}.com/";
        assert_eq!(
            links(&format!("See {apple}.")),
            format!(
                "See <a href=\"{apple}\">{apple}</a> <span class=\"link-target\">(xn--80ak6aa92e.com)</span>."
            )
        );
        let russian = "https://\u{43c}\u{43e}\u{441}\u{43a}\u{432}\u{430}.com/";
        assert!(!links(russian).contains("link-target"));
    }

    #[test]
    fn lookalikes_stay_text() {
        for text in [
            "",
            "http://",
            "http:// x",
            "http://...",
            "xhttp://example.com",
            "http://{host}/",
            "http://$HOST/x",
            "https://user:secret@example.com/",
            "javascript:alert(1)",
            "ftp://example.com",
            "www.",
            "xwww.example.com",
            "a@b",
            "@name",
            "pkg@1.2.3",
            "git@github.com:a/b.git",
            "redis://user:pw@host.example:1",
            "a@@b.com",
            "::://@@@...",
        ] {
            assert_eq!(links(text), text, "{text}");
        }
    }

    #[test]
    fn nothing_gets_out_of_the_attribute() {
        let linked = links("https://a.com/'onmouseover='alert(1) https://b.com/\"><script>");
        assert!(linked.contains("href=\"https://a.com/&#39;onmouseover=&#39;alert(1)\""));
        assert!(
            linked.contains("<a href=\"https://b.com/\">https://b.com/</a>\"&gt;&lt;script&gt;")
        );
    }

    #[test]
    fn hostile_text_takes_linear_time() {
        for piece in [
            "a@",
            "http://",
            "www.",
            "a.b@",
            ".",
            ":",
            "https://a/)",
            "http://a(",
            "@a.a-",
        ] {
            let text = piece.repeat(200_000);
            let mut out = String::new();
            linkify_into(&mut out, &text);
            assert!(out.len() < 100 * text.len());
        }
    }
}
