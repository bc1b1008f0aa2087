//! Who sends a request: nobody, a user, or somebody with a wrong token.
//!
//! A token in `Authorization: Bearer` counts before a session cookie. Other schemes are those of a proxy in front and none of ours.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, HeaderValue, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use readalong_model::{Digest, UserId};
use readalong_store::{StoreError, User};

use crate::{
    accounts,
    error::ApiError,
    service::{Service, now},
};

/// Its name where the server has a part of a host only, which other programs share.
const COOKIE_BELOW: &str = "__Secure-readalong";
/// Name of the session cookie on https: a browser takes it only with `Secure`, from this host and for all of it.
const COOKIE_SECURE: &str = "__Host-readalong";
/// Name of the session cookie on http, where browsers do not take the other one.
const COOKIE_PLAIN: &str = "readalong";
/// How long a browser keeps the cookie, in days: as long as the session lasts.
const COOKIE_DAYS: i64 = 30;
/// Bytes of a token at most; ours have 53.
const TOKEN_BYTES_MAX: usize = 1_000;

/// Who sends a request.
#[derive(Clone, Debug)]
pub(crate) enum Caller {
    /// Nobody who is known.
    Nobody,
    /// Somebody with a token that is wrong, expired or removed.
    BadToken,
    /// A user.
    User {
        /// Who.
        user: User,
        /// What proves it.
        proof: Proof,
    },
}

/// What proves who a caller is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// A session, by the digest of its cookie.
    Session(Digest),
    /// An API token, by its digest.
    Token(Digest),
    /// The token of this server's own data folder.
    Local,
}

impl Caller {
    /// Who the headers of a request say that it is from; nobody where the store fails.
    pub(crate) fn of(service: &Service, headers: &HeaderMap) -> Self {
        Self::try_of(service, headers).unwrap_or_else(|error| {
            tracing::error!("nobody can be signed in: {error}");
            Self::Nobody
        })
    }

    /// Who the headers of a request say that it is from.
    ///
    /// # Errors
    /// The store failed.
    pub(crate) fn try_of(service: &Service, headers: &HeaderMap) -> Result<Self, StoreError> {
        match bearer(headers) {
            Some(token) if token.len() > TOKEN_BYTES_MAX => Ok(Self::BadToken),
            Some(token) => Self::of_token(service, Digest::of(token.as_bytes())),
            None => match session_cookie(service, headers) {
                Some(cookie) => Self::of_session(service, Digest::of(cookie.as_bytes())),
                None => Ok(Self::Nobody),
            },
        }
    }

    fn of_token(service: &Service, sha256: Digest) -> Result<Self, StoreError> {
        if sha256 == service.command_token {
            let owner = accounts::first_owner(service.read_now(|r| r.users())?);
            return Ok(match owner {
                Some(user) => Self::User {
                    user,
                    proof: Proof::Local,
                },
                None => Self::BadToken,
            });
        }
        let found = service.read_now(|r| r.token(sha256, now()))?;
        Ok(match found {
            Some((_, user)) => Self::User {
                user,
                proof: Proof::Token(sha256),
            },
            None => Self::BadToken,
        })
    }

    fn of_session(service: &Service, sha256: Digest) -> Result<Self, StoreError> {
        let found = service.read_now(|r| r.session(sha256, now()))?;
        Ok(match found {
            Some((_, user)) => Self::User {
                user,
                proof: Proof::Session(sha256),
            },
            None => Self::Nobody,
        })
    }
}

impl FromRequestParts<Arc<Service>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        service: &Arc<Service>,
    ) -> Result<Self, ApiError> {
        match parts.extensions.get::<Self>() {
            Some(caller) => Ok(caller.clone()),
            None => Ok(Self::try_of(service, &parts.headers)?),
        }
    }
}

/// A caller who is signed in; others get 401.
#[derive(Clone, Debug)]
pub(crate) struct SignedIn {
    /// Who.
    pub(crate) user: User,
    /// What proves it.
    pub(crate) proof: Proof,
}

impl FromRequestParts<Arc<Service>> for SignedIn {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        service: &Arc<Service>,
    ) -> Result<Self, ApiError> {
        match Caller::from_request_parts(parts, service).await? {
            Caller::User { user, proof } => Ok(Self { user, proof }),
            Caller::Nobody | Caller::BadToken => Err(ApiError::unauthorized()),
        }
    }
}

/// A caller who may make chats and shares and manage users; viewers get 403.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    /// Their id: everything is theirs or not by it.
    pub(crate) id: UserId,
    /// What proves it.
    pub(crate) proof: Proof,
}

impl FromRequestParts<Arc<Service>> for Owner {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        service: &Arc<Service>,
    ) -> Result<Self, ApiError> {
        let SignedIn { user, proof } = SignedIn::from_request_parts(parts, service).await?;
        match accounts::is_owner(user.role) {
            true => Ok(Self { id: user.id, proof }),
            false => Err(ApiError::forbidden(
                "a viewer can open private shares and nothing else; ask an owner",
            )),
        }
    }
}

/// Looks up the caller once a request, and refuses wrong tokens before any route sees them.
pub(crate) async fn refuse_bad_tokens(
    State(service): State<Arc<Service>>,
    mut request: Request,
    next: Next,
) -> Response {
    match Caller::try_of(&service, request.headers()) {
        Err(error) => ApiError::from(error).into_response(),
        Ok(Caller::BadToken) => ApiError::unauthorized().into_response(),
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
    }
}

/// The header that gives a browser its session.
pub(crate) fn session_header(service: &Service, session: &str) -> HeaderValue {
    let cookie = cookie(service, session.to_owned());
    header_of(cookie.max_age_days(COOKIE_DAYS))
}

/// The header that takes a browser's session away.
pub(crate) fn no_session_header(service: &Service) -> HeaderValue {
    header_of(cookie(service, String::new()).max_age_days(0))
}

fn cookie(service: &Service, value: String) -> SessionCookie {
    SessionCookie(
        Cookie::build((cookie_name(service), value))
            .path(service.root().to_owned())
            .http_only(true)
            .same_site(SameSite::Lax)
            .secure(is_https(service))
            .build(),
    )
}

struct SessionCookie(Cookie<'static>);

impl SessionCookie {
    fn max_age_days(&self, days: i64) -> String {
        // The cookie crate counts in a type of another crate; the attribute is a number of seconds.
        format!("{}; Max-Age={}", self.0, days * 24 * 3600)
    }
}

fn header_of(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("names, Base64 and attributes are visible ASCII")
}

fn session_cookie(service: &Service, headers: &HeaderMap) -> Option<String> {
    let jar = CookieJar::from_headers(headers);
    let cookie = jar.get(cookie_name(service))?;
    (!cookie.value().is_empty()).then(|| cookie.value().to_owned())
}

fn cookie_name(service: &Service) -> &'static str {
    match (is_https(service), service.root()) {
        (true, "/") => COOKIE_SECURE,
        (true, _) => COOKIE_BELOW,
        (false, _) => COOKIE_PLAIN,
    }
}

fn is_https(service: &Service) -> bool {
    service
        .base_url()
        .is_some_and(|url| url.starts_with("https://"))
}

/// The token of `Authorization: Bearer TOKEN`; some clients of the compatible API write `Bearer-Token`.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .unwrap_or("Bearer ");
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    let is_ours = ["bearer", "bearer-token"]
        .iter()
        .any(|name| scheme.eq_ignore_ascii_case(name));
    is_ours.then(|| token.trim())
}
