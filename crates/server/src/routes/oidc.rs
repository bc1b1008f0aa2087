//! `/signin/oidc`: to the provider of OpenID Connect that is set up, and back.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use axum_extra::extract::cookie::CookieJar;
use serde::Deserialize;
use tokio::task::spawn_blocking;

use super::{errors, signin};
use crate::{
    accounts::{self, Agent, SignInError},
    auth::{self, Caller},
    oidc::{Answer, Oidc, OidcError},
    service::Service,
};

/// Where a sign-in begins.
pub(crate) const PATH: &str = "/signin/oidc";
/// Where the provider sends people back to.
const BACK: &str = "/signin/oidc/callback";
/// How the cookie is called that a browser is known by meanwhile.
const COOKIE: &str = "readalong-oidc";
/// Seconds that it lasts.
const COOKIE_LASTS_S: u32 = 15 * 60;

/// Characters of a failure in the log.
const TOLD_CHARS_MAX: usize = 1_000;

const NOT_BEGUN: &str = "That sign-in was not begun in this browser, or too long ago. Try again.";
const NOT_SIGNED_IN: &str = "The provider signed nobody in. Try again.";
const NOT_REACHED: &str =
    "The provider cannot be reached. Try again in a while; the server's log says why.";
const NOT_KNOWN: &str =
    "You are signed in there, and have no account here. Ask whoever runs this server for one.";

/// The routes.
pub(crate) fn router() -> Router<Arc<Service>> {
    Router::new().route(PATH, get(begin)).route(BACK, get(back))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    next: Option<String>,
}

async fn begin(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let Query(asked) = asked.unwrap_or_default();
    let next = signin::path_of(asked.next.as_deref()).to_owned();
    let come_back = come_back(&service, &headers);
    let wanted = next.clone();
    let begun = ask(&service, &next, move |oidc| oidc.begin(&come_back, wanted));
    let begun = match begun.await {
        Ok(begun) => begun,
        Err(response) => return response,
    };
    let Ok(to) = HeaderValue::try_from(begun.url) else {
        return errors::failed();
    };
    let cookie = cookie(&service, begun.cookie.expose(), COOKIE_LASTS_S);
    let headers = [(header::LOCATION, to), (header::SET_COOKIE, cookie)];
    (StatusCode::SEE_OTHER, headers).into_response()
}

async fn back(
    State(service): State<Arc<Service>>,
    caller: Caller,
    headers: HeaderMap,
    answer: Result<Query<Answer>, QueryRejection>,
) -> Response {
    let Query(answer) = answer.unwrap_or_default();
    let jar = CookieJar::from_headers(&headers);
    let known_by = jar
        .get(&auth::named_for(&service, COOKIE))
        .map(|cookie| cookie.value().to_owned());
    let come_back = come_back(&service, &headers);
    let known_by = known_by.unwrap_or_default();
    let finish = move |oidc: &Oidc| oidc.finish(&known_by, &come_back, answer);
    let person = match ask(&service, "/", finish).await {
        Ok(person) => person,
        Err(response) => return response,
    };
    let next = person.next.clone();
    let agent = Agent::of(&headers);
    let signed_in = accounts::sign_in_elsewhere(&service, person, &agent).await;
    let mut response = match signed_in {
        Ok(session) => signin::begin_session(&service, &caller, &session, &next).await,
        Err(SignInError::Wrong) => {
            signin::form_with(&service, StatusCode::FORBIDDEN, &next, NOT_KNOWN)
        }
        Err(_) => errors::failed(),
    };
    let gone = cookie(&service, "", 0);
    response.headers_mut().append(header::SET_COOKIE, gone);
    response
}

/// Asks the provider, on a thread for that; where it cannot be asked, gives the page that says so.
async fn ask<T: Send + 'static>(
    service: &Arc<Service>,
    next: &str,
    ask: impl FnOnce(&Oidc) -> Result<T, OidcError> + Send + 'static,
) -> Result<T, Response> {
    let Some(turn) = service.accounts.turn_to_ask().await else {
        tracing::warn!("a sign-in gave up: the provider lets too many wait");
        let status = StatusCode::SERVICE_UNAVAILABLE;
        return Err(signin::form_with(service, status, next, NOT_REACHED));
    };
    let asking = service.clone();
    let asked = spawn_blocking(move || {
        let _turn = turn;
        asking.oidc.as_ref().map(ask)
    });
    match asked.await {
        Ok(Some(Ok(answer))) => Ok(answer),
        Ok(Some(Err(error))) => Err(failed(service, &error, next)),
        Ok(None) => Err(errors::gone()),
        Err(_) => Err(errors::failed()),
    }
}

/// The address that the provider sends people back to, as they see it.
fn come_back(service: &Service, headers: &HeaderMap) -> String {
    format!("{}{BACK}", service.url_seen_by(headers))
}

fn failed(service: &Service, error: &OidcError, next: &str) -> Response {
    let (status, words) = match error {
        OidcError::Provider { .. } => (StatusCode::BAD_GATEWAY, NOT_REACHED),
        OidcError::Unknown => (StatusCode::BAD_REQUEST, NOT_BEGUN),
        OidcError::Refused(_) | OidcError::Invalid(_) => (StatusCode::FORBIDDEN, NOT_SIGNED_IN),
    };
    let told = in_one_line(&error.to_string());
    tracing::warn!("a sign-in with the provider failed: {told}");
    signin::form_with(service, status, next, words)
}

/// What somebody else says, for the log: it makes no lines of its own there.
fn in_one_line(text: &str) -> String {
    let line = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    line.take(TOLD_CHARS_MAX).collect()
}

/// A cookie that comes along when the provider sends somebody back.
fn cookie(service: &Service, value: &str, lasts_s: u32) -> HeaderValue {
    let path = service.path("/signin");
    let secure = match auth::is_https(service) {
        true => "; Secure",
        false => "",
    };
    let name = auth::named_for(service, COOKIE);
    let text =
        format!("{name}={value}; Path={path}; HttpOnly; SameSite=Lax; Max-Age={lasts_s}{secure}");
    HeaderValue::try_from(text).expect("Base64 and attributes are visible ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_provider_says_makes_no_lines_of_the_log() {
        let forged = "denied\r\n2026-01-01 ERROR\u{1b}[2J\u{85}x";
        assert_eq!(in_one_line(forged), "denied  2026-01-01 ERROR [2J x");
        assert_eq!(in_one_line(&"x".repeat(10_000)).len(), TOLD_CHARS_MAX);
    }
}
