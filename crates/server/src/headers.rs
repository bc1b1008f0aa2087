//! The headers that every answer carries, and those of pages, files and artifacts. The second wall behind escaping.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{
        CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
        X_CONTENT_TYPE_OPTIONS,
    },
};
use readalong_model::{Share, ShareVisibility};

/// For whom a proxy asks.
pub(crate) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const ROBOTS: HeaderName = HeaderName::from_static("x-robots-tag");
const OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const PERMISSIONS: HeaderName = HeaderName::from_static("permissions-policy");

/// The policy of pages: a bundle's own, and what only a header can say. `connect-src` is for the socket of live pages.
const PAGE_CSP: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; img-src 'self' data:; media-src 'self'; style-src 'self'; font-src 'self'; script-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
/// The policy of what comes from a chat's files: it does nothing, wherever it is opened.
const ARTIFACT_CSP: HeaderValue =
    HeaderValue::from_static("sandbox; default-src 'none'; frame-ancestors 'none'");
/// The policy of everything that says no other: JSON, errors, redirects.
const PLAIN_CSP: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
);
/// A page may be kept and has to be asked for again: the answer may be that it is gone.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");
/// Nothing of a private share stays on a disk.
const KEEP_NOTHING: HeaderValue = HeaderValue::from_static("private, no-store");
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Puts what every answer carries where a route has not said otherwise.
pub(crate) fn secure(headers: &mut HeaderMap) {
    let mut put = |name: HeaderName, value: HeaderValue| {
        headers.entry(name).or_insert(value);
    };
    put(CONTENT_SECURITY_POLICY, PLAIN_CSP);
    put(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    put(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    put(ROBOTS, HeaderValue::from_static("noindex, nofollow"));
    put(OPENER, HeaderValue::from_static("same-origin"));
    put(RESOURCE, HeaderValue::from_static("same-origin"));
    put(
        PERMISSIONS,
        HeaderValue::from_static(
            "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
        ),
    );
    put(CACHE_CONTROL, NO_STORE);
}

/// Says how long what a share shows may be kept.
pub(crate) fn keep(headers: &mut HeaderMap, share: &Share) {
    let value = match share.visibility {
        ShareVisibility::Public => ASK_AGAIN,
        ShareVisibility::Private => KEEP_NOTHING,
    };
    headers.insert(CACHE_CONTROL, value);
}

/// Says that nothing stays on a disk.
pub(crate) fn keep_nothing(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, KEEP_NOTHING);
}

/// For what is named by its content and no secret: the theme's files.
pub(crate) fn for_ever(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, FOR_EVER);
}

/// Puts the policy of pages.
pub(crate) fn page(headers: &mut HeaderMap) {
    headers.insert(CONTENT_SECURITY_POLICY, PAGE_CSP);
}

/// Puts the policy of the sign-in page: its form goes back to this server, and it is shown in nobody's frame.
pub(crate) fn signin(headers: &mut HeaderMap) {
    unframed(headers, readalong_render::CSP_SIGNIN);
}

/// Puts what pages of the desk carry: their policy, their type, and that nothing of them stays on a disk.
pub(crate) fn desk(headers: &mut HeaderMap) {
    unframed(headers, readalong_render::CSP_DESK);
    headers.insert(CONTENT_TYPE, HTML);
    headers.insert(CACHE_CONTROL, NO_STORE);
    has_forms(headers);
}

/// Lets a browser tell this server, and nobody else, which page a form was sent from. Over plain http it says nothing else by which a form of ours is told
/// from one of another site.
pub(crate) fn has_forms(headers: &mut HeaderMap) {
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
}

fn unframed(headers: &mut HeaderMap, policy: &str) {
    let policy = format!("{policy}; frame-ancestors 'none'");
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
}

/// Puts the policy of artifacts, and under which name one is kept where it is not shown.
pub(crate) fn artifact(headers: &mut HeaderMap, media_type: &str, name: Option<&str>) {
    headers.insert(CONTENT_SECURITY_POLICY, ARTIFACT_CSP);
    let shown = match is_shown(media_type) {
        true => "inline",
        false => "attachment",
    };
    let value = match name {
        Some(name) => format!("{shown}; filename*=UTF-8''{}", encode(name)),
        None => shown.to_owned(),
    };
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(CONTENT_DISPOSITION, value);
    }
}

/// Puts under which name a browser keeps what is not to be shown.
pub(crate) fn keep_as(headers: &mut HeaderMap, name: &str) {
    let value = format!("attachment; filename*=UTF-8''{}", encode(name));
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(CONTENT_DISPOSITION, value);
    }
}

/// The media type under which an artifact leaves the server: one that no browser runs.
pub(crate) fn artifact_type(media_type: &str) -> &'static str {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    let known = INERT_TYPES
        .iter()
        .find(|known| essence.eq_ignore_ascii_case(known));
    match known {
        Some(known) => known,
        None if essence
            .get(..5)
            .is_some_and(|start| start.eq_ignore_ascii_case("text/")) =>
        {
            TEXT
        }
        None => "application/octet-stream",
    }
}

const TEXT: &str = "text/plain; charset=utf-8";
/// Types that a browser shows and does not run.
const INERT_TYPES: [&str; 15] = [
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "image/avif",
    "image/bmp",
    "audio/mpeg",
    "audio/ogg",
    "audio/wav",
    "audio/webm",
    "video/mp4",
    "video/ogg",
    "video/webm",
    "application/pdf",
    "application/zip",
];

/// True for pictures, sound, films and text. A sandboxed PDF is not shown by browsers, so it is kept instead.
fn is_shown(media_type: &str) -> bool {
    ["image/", "audio/", "video/", "text/plain"]
        .iter()
        .any(|start| media_type.starts_with(start))
}

/// A file name as RFC 8187 wants it.
fn encode(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' => out.push(byte as char),
            _ => {
                out.push('%');
                out.push(char::from(b"0123456789ABCDEF"[usize::from(byte >> 4)]));
                out.push(char::from(b"0123456789ABCDEF"[usize::from(byte & 15)]));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_browser_could_run_leaves_as_something_to_keep() {
        for (media_type, leaves_as) in [
            ("image/png", "image/png"),
            ("IMAGE/PNG", "image/png"),
            ("text/html", TEXT),
            ("text/markdown; charset=utf-8", TEXT),
            ("image/svg+xml", "application/octet-stream"),
            ("application/xhtml+xml", "application/octet-stream"),
            ("text", "application/octet-stream"),
            ("", "application/octet-stream"),
        ] {
            assert_eq!(artifact_type(media_type), leaves_as, "{media_type}");
        }
    }

    #[test]
    fn names_of_artifacts_cannot_break_out_of_their_header() {
        let mut headers = HeaderMap::new();
        artifact(
            &mut headers,
            "application/zip",
            Some("a\"; x=\r\nSet-Cookie: ä.zip"),
        );
        assert_eq!(
            headers[CONTENT_DISPOSITION],
            "attachment; filename*=UTF-8''a%22%3B%20x%3D%0D%0ASet-Cookie%3A%20%C3%A4.zip"
        );
        artifact(&mut headers, "image/png", None);
        assert_eq!(headers[CONTENT_DISPOSITION], "inline");
        assert_eq!(headers[CONTENT_SECURITY_POLICY], ARTIFACT_CSP);
    }
}
