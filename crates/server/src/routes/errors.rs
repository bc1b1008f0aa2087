//! What people see where there is nothing to see. The same page for unknown, deleted, expired and invalid links.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use data_encoding::BASE64;
use http::{
    HeaderValue, StatusCode,
    header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE},
};
use readalong_model::Digest;

/// The look of pages that belong to no theme.
const STYLE: &str = ":root{color-scheme:light dark}body{font:16px/1.6 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1rem}\
h1{font-size:1.3rem}a{color:inherit}label{display:block;margin:.8rem 0}input{font:inherit;width:100%;padding:.4rem;box-sizing:border-box}\
button{font:inherit;padding:.4rem 1.2rem}";

/// The error pages' policy: their own style and nothing else. A form may go back to this server.
static CSP: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hex = Digest::of(STYLE.as_bytes()).to_string();
    let bytes = data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap_or_default();
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        BASE64.encode(&bytes)
    );
    HeaderValue::try_from(policy).expect("a policy is ASCII")
});

static GONE: LazyLock<Bytes> = LazyLock::new(|| {
    document(
        "This link leads nowhere",
        "<p>It is not a link of this server, or what it led to was deleted or has expired. Ask whoever gave it to you for another one.</p>",
    )
});

/// A small page of our own. `body` is HTML, `title` is text that is HTML as well.
pub(crate) fn document(title: &str, body: &str) -> Bytes {
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta name=\"robots\" content=\"noindex,nofollow,noarchive\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n{body}\n</body>\n</html>\n"
    );
    Bytes::from(page)
}

/// An answer that is a small page of our own.
pub(crate) fn page(status: StatusCode, document: Bytes) -> Response {
    let mut response = (status, document).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CONTENT_SECURITY_POLICY, CSP.clone());
    response
}

/// 404: unknown, deleted, expired, invalid.
pub(crate) fn gone() -> Response {
    page(StatusCode::NOT_FOUND, GONE.clone())
}

/// 303 to the sign-in page, which leads back to `path`.
pub(crate) fn sign_in(path: &str) -> Response {
    let mut to = String::from("/signin?next=");
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' => to.push(byte as char),
            _ => to.push_str(&format!("%{byte:02X}")),
        }
    }
    let mut response = StatusCode::SEE_OTHER.into_response();
    if let Ok(to) = HeaderValue::try_from(to) {
        response.headers_mut().insert(LOCATION, to);
    }
    response
}

/// 401: what is asked for is private.
pub(crate) fn unauthorized() -> Response {
    let body = document(
        "Sign in to see this",
        "<p>The chat is shared with signed-in viewers only. <a href=\"/signin\">Sign in</a>, then open the link again.</p>",
    );
    let mut response = page(StatusCode::UNAUTHORIZED, body);
    let scheme = HeaderValue::from_static("Bearer realm=\"readalong\"");
    response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
    response
}

/// 403: the page of another site asks.
pub(crate) fn forbidden() -> Response {
    let body = document("Not from here", "<p>Only this server's own pages may ask for this.</p>");
    page(StatusCode::FORBIDDEN, body)
}

/// 429: too many requests or sockets of one address.
pub(crate) fn too_many() -> Response {
    let body = document("Too many requests", "<p>Wait a minute, then try again.</p>");
    let mut response = page(StatusCode::TOO_MANY_REQUESTS, body);
    let wait = HeaderValue::from_static("10");
    response.headers_mut().insert(http::header::RETRY_AFTER, wait);
    response
}

/// 500: our fault. The log has more.
pub(crate) fn failed() -> Response {
    let body = document(
        "Something went wrong",
        "<p>The server could not do this. Its log says why. Trying again later may help.</p>",
    );
    page(StatusCode::INTERNAL_SERVER_ERROR, body)
}

/// 503: the server stops.
pub(crate) fn unavailable() -> Response {
    let body = document("Not now", "<p>The server is going down or starting. Try again in a moment.</p>");
    page(StatusCode::SERVICE_UNAVAILABLE, body)
}
