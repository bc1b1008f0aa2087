//! Who sends a request: nobody, a user, or somebody with a wrong token.
//!
//! A token in `Authorization: Bearer` counts before a session cookie. Other schemes are those of a proxy in front and none of ours.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use readalong_model::{Digest, Timestamp, UserId};
use readalong_store::{Reader, StoreError, User, Write};

use crate::{
    accounts,
    error::ApiError,
    service::{Service, now},
};

/// Its name where the server has a part of a host only, which other programs share.
const COOKIE_BELOW: &str = "__Secure-readalong";
/// Name of the session cookie on https: a browser takes it only with `Secure`, from this host and for all of it.
const COOKIE_SECURE: &str = "__Host-readalong";
/// How the session cookie is called on http, where browsers do not take the other ones.
const COOKIE_PLAIN: &str = "readalong";
/// Digits that tell servers of one host apart.
const SERVER_DIGITS: usize = 8;
/// How long a browser keeps the cookie, in days: as long as the session lasts.
const COOKIE_DAYS: i64 = 30;
/// How exactly it is known when a token or session was used last: a write for each request would be dear.
const USED_TO: i64 = 60_000;
/// Tokens and sessions of which it is remembered what they are good for; 200 bytes each.
const RIGHTS_KEPT_MAX: usize = 4_000;
/// Whom a proxy that is believed has signed in. Requests from elsewhere lose it before anybody looks.
pub(crate) const PROXY_USER: HeaderName = HeaderName::from_static("x-readalong-user");
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Proof {
    /// A session, by the digest of its cookie.
    Session(Digest),
    /// An API token, by its digest.
    Token(Digest),
    /// A proxy that is believed.
    Proxy,
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
            None => match (proxy_user(headers), session_cookie(service, headers)) {
                (Some(name), _) => Self::of_proxy(service, &name),
                (None, Some(cookie)) => Self::of_session(service, Digest::of(cookie.as_bytes())),
                (None, None) => Ok(Self::Nobody),
            },
        }
    }

    fn of_proxy(service: &Service, name: &str) -> Result<Self, StoreError> {
        let found = service.read_now(|r| r.user_by_name(name))?;
        Ok(match found {
            Some(user) => Self::User {
                user,
                proof: Proof::Proxy,
            },
            None => Self::Nobody,
        })
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
        let proof = Proof::Token(sha256);
        let found = service.rights.of(service, proof, |reader| {
            let found = reader.token(sha256, now())?;
            Ok(found.map(|(token, user)| Right {
                user,
                expires_at: token.expires_at,
                used_at: token.used_at,
            }))
        })?;
        Ok(match found {
            Some(right) => {
                say_used(service, sha256, right.used_at);
                let user = right.user;
                Self::User { user, proof }
            }
            None => Self::BadToken,
        })
    }

    fn of_session(service: &Service, sha256: Digest) -> Result<Self, StoreError> {
        let proof = Proof::Session(sha256);
        let found = service.rights.of(service, proof, |reader| {
            let found = reader.session(sha256, now())?;
            Ok(found.map(|(session, user)| Right {
                user,
                expires_at: Some(session.expires_at),
                used_at: session.used_at,
            }))
        })?;
        Ok(match found {
            Some(right) => {
                say_used(service, sha256, right.used_at);
                let user = right.user;
                Self::User { user, proof }
            }
            None => Self::Nobody,
        })
    }
}

/// What tokens and sessions are good for, as it was read, for as long as nothing was written that it rests on: a program that sends message after message
/// has not the database asked each time.
#[derive(Default)]
pub(crate) struct Rights(Mutex<KnownRights>);

#[derive(Default)]
struct KnownRights {
    /// [`Store::settings_version`](readalong_store::Store::settings_version) when they were read.
    version: u64,
    rights: HashMap<Proof, Right>,
}

/// What a token or session is good for.
#[derive(Clone)]
struct Right {
    user: User,
    expires_at: Option<Timestamp>,
    used_at: Option<Timestamp>,
}

impl Rights {
    fn of(
        &self,
        service: &Service,
        proof: Proof,
        read: impl FnOnce(&Reader<'_>) -> Result<Option<Right>, StoreError>,
    ) -> Result<Option<Right>, StoreError> {
        // Before the reading: what is written meanwhile makes this the version of before.
        let version = service.store.settings_version();
        {
            let mut known = self.known();
            if known.version != version {
                known.rights.clear();
                known.version = version;
            }
            let right = known.rights.get(&proof);
            if let Some(right) = right
                && right.expires_at.is_none_or(|at| at > now())
            {
                return Ok(Some(right.clone()));
            }
        }
        let right = service.read_now(read)?;
        let mut known = self.known();
        if known.version == version
            && let Some(right) = &right
        {
            if known.rights.len() >= RIGHTS_KEPT_MAX {
                known.rights.clear();
            }
            known.rights.insert(proof, right.clone());
        }
        Ok(right)
    }

    fn known(&self) -> MutexGuard<'_, KnownRights> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

/// A caller who may do all: manage users, revoke anybody's shares, switch things for the whole server. Others get 403.
#[derive(Clone, Debug)]
pub(crate) struct Admin {
    /// Who.
    pub(crate) user: User,
}

impl FromRequestParts<Arc<Service>> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        service: &Arc<Service>,
    ) -> Result<Self, ApiError> {
        let SignedIn { user, proof } = SignedIn::from_request_parts(parts, service).await?;
        match accounts::is_admin(&user, proof) {
            true => Ok(Self { user }),
            false => Err(ApiError::forbidden(
                "this is for admins; ask whoever runs the server",
            )),
        }
    }
}

/// A caller who may make chats and shares; viewers get 403.
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
    let cookie = jar.get(&cookie_name(service))?;
    (!cookie.value().is_empty()).then(|| cookie.value().to_owned())
}

fn cookie_name(service: &Service) -> String {
    match (is_https(service), service.root()) {
        (true, "/") => COOKIE_SECURE.to_owned(),
        (true, _) => COOKIE_BELOW.to_owned(),
        (false, _) => named_for(service, COOKIE_PLAIN),
    }
}

/// The name of a cookie that this server alone is to have: on http a browser sends it to all ports of a host, and to all paths below its own.
pub(crate) fn named_for(service: &Service, name: &str) -> String {
    let url = service.base_url().unwrap_or_default();
    let server = Digest::of(url.as_bytes()).short(SERVER_DIGITS);
    format!("{name}-{server}")
}

/// True where people reach the server over https.
pub(crate) fn is_https(service: &Service) -> bool {
    service
        .base_url()
        .is_some_and(|url| url.starts_with("https://"))
}

/// Keeps that a token or session was used, where that is not known to the minute.
fn say_used(service: &Service, sha256: Digest, known: Option<Timestamp>) {
    let known = known.map_or(0, Timestamp::millis);
    if now().millis() - known >= USED_TO {
        // Nobody waits for it, and nothing rests on it.
        service.store.write(Write::Used { sha256 }, |_| {});
    }
}

/// Takes what a request says of its sender where a proxy says it that is believed, and from all others nothing.
pub(crate) fn take_proxy_user(service: &Service, peer: Option<IpAddr>, headers: &mut HeaderMap) {
    let Some(name) = &service.signin.user_header else {
        headers.remove(PROXY_USER);
        return;
    };
    let mut values = headers.get_all(name).iter();
    let (value, more) = (values.next().cloned(), values.next().is_some());
    headers.remove(name);
    // It may be the same name.
    headers.remove(PROXY_USER);
    let is_believed = peer.is_some_and(|peer| {
        let proxies = &service.limits.trusted_proxies;
        proxies.contains(&peer.to_canonical())
    });
    // Two of them were not both written by the proxy.
    if let Some(value) = value.filter(|_| is_believed && !more) {
        headers.insert(PROXY_USER, value);
    }
}

/// Whom a proxy has signed in.
pub(crate) fn proxy_user(headers: &HeaderMap) -> Option<String> {
    let name = std::str::from_utf8(headers.get(PROXY_USER)?.as_bytes()).ok()?;
    let name = name.trim();
    accounts::is_name(name).then(|| name.to_owned())
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
