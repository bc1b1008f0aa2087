//! What people see where there is nothing to see. The same page for unknown, deleted, expired and invalid links.

use std::{collections::HashMap, sync::LazyLock};

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use data_encoding::BASE64;
use http::{
    HeaderValue, StatusCode,
    header::{
        CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, RETRY_AFTER,
        WWW_AUTHENTICATE,
    },
};
use readalong_model::Digest;
use readalong_render::{NoticePage, RenderError, Renderer};

use crate::headers;

/// The look of pages that load nothing: that of the default theme.
const STYLE: &str = ":root{color-scheme:light dark}\
body{margin:0;font:1rem/1.6 system-ui,sans-serif;color:light-dark(#1b1d20,#dcdfe3);background:light-dark(#fdfdfc,#15171a)}\
main{max-width:30rem;margin:0 auto;padding:18vh 1.5rem 3rem;overflow-wrap:break-word}\
h1{margin:0 0 1rem;font-size:1.375rem;line-height:1.3}a{color:light-dark(#1c55a6,#93b8f8)}form{display:grid;gap:1rem}\
label{display:grid;gap:.25rem;font-size:.875rem;color:light-dark(#565c65,#a2a9b2)}\
input{font:inherit;font-size:1rem;color:light-dark(#1b1d20,#dcdfe3);background:light-dark(#fff,#1e2125);border:1px solid light-dark(#858c96,#747b85);border-radius:.375rem;padding:.5rem .75rem}\
button{font:inherit;padding:.5rem 1rem;border:0;border-radius:.375rem;background:light-dark(#2f68bd,#7fa8f0);color:light-dark(#fff,#10131a);cursor:pointer}";

/// The error pages' policy: their own style and nothing else. A form may go back to this server.
static CSP: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hex = Digest::of(STYLE.as_bytes()).to_string();
    let bytes = data_encoding::HEXLOWER
        .decode(hex.as_bytes())
        .unwrap_or_default();
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        BASE64.encode(&bytes)
    );
    HeaderValue::try_from(policy).expect("a policy is ASCII")
});

/// A small page of our own. `body` is HTML, `title` is text that is HTML as well.
pub(crate) fn document(title: &str, body: &str) -> Bytes {
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta name=\"robots\" content=\"noindex,nofollow,noarchive\">\n<meta name=\"referrer\" content=\"same-origin\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n{body}\n</main>\n</body>\n</html>\n"
    );
    Bytes::from(page)
}

/// An answer that is a small page of our own.
pub(crate) fn page(status: StatusCode, document: Bytes) -> Response {
    let mut response = (status, document).into_response();
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    headers.insert(CONTENT_SECURITY_POLICY, CSP.clone());
    headers::has_forms(headers);
    response
}

/// What is said where there is nothing to show. A route answers with one of these, and `routes::around` puts the theme's page for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Said {
    /// 404: unknown, deleted, expired, invalid: the same page for all.
    Gone,
    /// 401: it is private.
    SignIn,
    /// 403: the page of another site asks.
    Forbidden,
    /// 403: a viewer opens a page of owners.
    ForOwners,
    /// 403: somebody else opens a page of admins.
    ForAdmins,
    /// 429: too many requests or sockets of one address.
    TooMany,
    /// 500: our fault.
    Failed,
    /// 503: the server stops, its disk is full, or a chat changes too quickly.
    Unavailable,
}

impl Said {
    const ALL: [Self; 8] = [
        Self::Gone,
        Self::SignIn,
        Self::Forbidden,
        Self::ForOwners,
        Self::ForAdmins,
        Self::TooMany,
        Self::Failed,
        Self::Unavailable,
    ];

    fn status(self) -> StatusCode {
        match self {
            Self::Gone => StatusCode::NOT_FOUND,
            Self::SignIn => StatusCode::UNAUTHORIZED,
            Self::Forbidden | Self::ForOwners | Self::ForAdmins => StatusCode::FORBIDDEN,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Heading and text.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Gone => (
                "This link leads nowhere",
                "It is not a link of this server, or what it led to was deleted or has expired. Ask whoever gave it to you for another one.",
            ),
            Self::SignIn => (
                "Sign in to see this",
                "The chat is shared with signed-in viewers only. Sign in, then open the link again.",
            ),
            Self::Forbidden => (
                "Not from here",
                "Only this server's own pages may ask for this. Open the page by its own address, then try again.",
            ),
            Self::ForOwners => (
                "This page is for owners",
                "You are signed in as a viewer: you can open chats that are shared with you. Ask an owner of this server to make you one, if you want to share chats yourself.",
            ),
            Self::ForAdmins => (
                "This page is for admins",
                "It is about the server as a whole. Ask whoever runs it.",
            ),
            Self::TooMany => ("Too many requests", "Wait a minute, then try again."),
            Self::Failed => (
                "Something went wrong",
                "The server could not do this. Its log says why. Trying again later may help.",
            ),
            Self::Unavailable => (
                "Not now",
                "The server is going down or starting, has no room on its disk, or the chat changes faster than it can be shown. Try again in a moment.",
            ),
        }
    }

    fn response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The pages of [`Said`], rendered once.
pub(crate) struct Notices(HashMap<Said, Bytes>);

impl Notices {
    /// Renders them in the look of a theme, for a server whose paths begin with `root`.
    ///
    /// # Errors
    /// The theme's template is wrong.
    pub(crate) fn new(renderer: &Renderer, root: &str) -> Result<Self, RenderError> {
        let signin = format!("{root}signin");
        let page = |said: Said| {
            let (heading, text) = said.words();
            let link = (said == Said::SignIn).then_some((signin.as_str(), "Sign in"));
            let page = renderer.notice_page(&NoticePage {
                title: heading,
                heading,
                text,
                link,
                root,
            })?;
            Ok((said, Bytes::from(page)))
        };
        let pages: Result<_, RenderError> = Said::ALL.into_iter().map(page).collect();
        Ok(Self(pages?))
    }

    /// Puts the page into an answer that says one of these.
    pub(crate) fn fill(&self, response: &mut Response) {
        let said = response.extensions().get::<Said>().copied();
        let Some(page) = said.and_then(|said| self.0.get(&said)) else {
            return;
        };
        *response.body_mut() = page.clone().into();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        );
        headers.insert(CONTENT_LENGTH, HeaderValue::from(page.len()));
        headers::page(headers);
    }
}

/// 404: unknown, deleted, expired, invalid.
pub(crate) fn gone() -> Response {
    Said::Gone.response()
}

/// 303 to the sign-in page, which leads back to `path`.
pub(crate) fn sign_in(path: &str) -> Response {
    let to = format!("/signin?next={}", encoded(path));
    let mut response = StatusCode::SEE_OTHER.into_response();
    if let Ok(to) = HeaderValue::try_from(to) {
        response.headers_mut().insert(LOCATION, to);
    }
    response
}

/// A path as the value of a parameter.
pub(crate) fn encoded(path: &str) -> String {
    let mut to = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' => {
                to.push(byte as char)
            }
            _ => to.push_str(&format!("%{byte:02X}")),
        }
    }
    to
}

/// 401: what is asked for is private.
pub(crate) fn unauthorized() -> Response {
    let mut response = Said::SignIn.response();
    let scheme = HeaderValue::from_static("Bearer realm=\"readalong\"");
    response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
    response
}

/// 403: the page of another site asks.
pub(crate) fn forbidden() -> Response {
    Said::Forbidden.response()
}

/// 403: a viewer opens a page of owners.
pub(crate) fn for_owners() -> Response {
    Said::ForOwners.response()
}

/// 403: somebody else opens a page of admins.
pub(crate) fn for_admins() -> Response {
    Said::ForAdmins.response()
}

/// 429: too many requests or sockets of one address.
pub(crate) fn too_many(retry_after_s: u64) -> Response {
    let mut response = Said::TooMany.response();
    let wait = HeaderValue::from(retry_after_s);
    response.headers_mut().insert(RETRY_AFTER, wait);
    response
}

/// 500: our fault. The log has more.
pub(crate) fn failed() -> Response {
    Said::Failed.response()
}

/// 503: not now.
pub(crate) fn unavailable() -> Response {
    Said::Unavailable.response()
}
