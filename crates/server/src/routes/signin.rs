//! The pages where people sign in and out.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use axum::{
    Extension, Form, Router,
    extract::{
        DefaultBodyLimit, Query, State,
        rejection::{FormRejection, QueryRejection},
    },
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use readalong_render::SigninPage;
use readalong_store::Write;
use serde::Deserialize;

use super::{AskedBy, api, errors, oidc as oidc_route};
use crate::{
    accounts::{self, Agent, Secret, SignInError},
    auth::{Caller, Proof, no_session_header, session_header},
    headers,
    service::Service,
};

/// Bytes of the form: a name, a password and a path.
const FORM_BYTES_MAX: usize = 16 << 10;
/// Where people go who wanted nowhere else.
const HOME: &str = "/";

/// The routes, guarded against forms of other sites.
pub(crate) fn router(service: &Arc<Service>) -> Router<Arc<Service>> {
    Router::new()
        .route("/signin", get(show).post(sign_in))
        .route("/signout", get(show_signout).post(sign_out))
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(api::guard_against_other_sites(service, errors::forbidden))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    next: Option<String>,
    token: Option<String>,
}

/// Shows the form, or takes a sign-in link.
async fn show(
    State(service): State<Arc<Service>>,
    method: Method,
    caller: Caller,
    headers: HeaderMap,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let Query(asked) = asked.unwrap_or_default();
    let next = path_of(asked.next.as_deref());
    // A preview or a prefetch is not the person: it may not use the link up. Nor may another site's page that loads it as a picture or frame, and so
    // signs its reader in as somebody else.
    let is_opened = headers
        .get("sec-fetch-dest")
        .is_none_or(|dest| dest == "document");
    let is_person = method == Method::GET && !headers.contains_key("sec-purpose") && is_opened;
    match asked.token {
        Some(token) if is_person => {
            let signed_in = accounts::sign_in_by_link(&service, &token, &Agent::of(&headers)).await;
            answer(
                &service,
                &caller,
                signed_in,
                Filled { next, name: "" },
                LINK_IS_WRONG,
            )
            .await
        }
        _ => form(&service, StatusCode::OK, Filled { next, name: "" }, ""),
    }
}

const LINK_IS_WRONG: &str = "This sign-in link was used already or has expired.";
const NAME_IS_WRONG: &str = "The name or the password is wrong.";
const IS_PRIVATE: &str = "The chat is shared with signed-in viewers only. If you have no account, ask whoever gave you the link, or whoever runs this server.";
const NO_PASSWORD: &str = "Whoever runs this server has no password yet. Start “readalong serve” again: it prints a new link that signs them in. “readalong user passwd NAME” sets a password.";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Entered {
    name: String,
    password: String,
    next: Option<String>,
}

/// Takes the form.
async fn sign_in(
    State(service): State<Arc<Service>>,
    caller: Caller,
    headers: HeaderMap,
    asked_by: Option<Extension<AskedBy>>,
    entered: Result<Form<Entered>, FormRejection>,
) -> Response {
    let Ok(Form(entered)) = entered else {
        return form(
            &service,
            StatusCode::BAD_REQUEST,
            Filled {
                next: HOME,
                name: "",
            },
            "The form could not be read.",
        );
    };
    let next = path_of(entered.next.as_deref());
    let address = asked_by.and_then(|Extension(AskedBy(asker))| asker);
    let address = address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let from = (address, &Agent::of(&headers));
    let signed_in = accounts::sign_in(&service, &entered.name, entered.password, from).await;
    let shown = Filled {
        next,
        name: &entered.name,
    };
    answer(&service, &caller, signed_in, shown, NAME_IS_WRONG).await
}

/// What the form is filled with.
struct Filled<'a> {
    next: &'a str,
    name: &'a str,
}

/// Gives the session, in place of one that was there, or says why not.
async fn answer(
    service: &Arc<Service>,
    caller: &Caller,
    signed_in: Result<Secret, SignInError>,
    shown: Filled<'_>,
    wrong: &str,
) -> Response {
    let session = match signed_in {
        Ok(session) => session,
        Err(SignInError::Wrong) => return form(service, StatusCode::UNAUTHORIZED, shown, wrong),
        Err(SignInError::Wait { seconds }) => return wait(service, shown, seconds),
        Err(SignInError::Failed(error)) if error.status() == StatusCode::TOO_MANY_REQUESTS => {
            return wait(service, shown, 1);
        }
        Err(SignInError::Failed(_)) => return errors::failed(),
    };
    begin_session(service, caller, &session, shown.next).await
}

/// Gives a browser its session, in place of one that was there, and leads to where somebody wanted to go.
pub(crate) async fn begin_session(
    service: &Arc<Service>,
    caller: &Caller,
    session: &Secret,
    next: &str,
) -> Response {
    end_session(service, caller).await;
    go_to(next, session_header(service, session.expose()))
}

/// The page, with what went wrong.
pub(crate) fn form_with(
    service: &Service,
    status: StatusCode,
    next: &str,
    problem: &str,
) -> Response {
    form(service, status, Filled { next, name: "" }, problem)
}

async fn end_session(service: &Arc<Service>, caller: &Caller) {
    if let Caller::User {
        proof: Proof::Session(sha256),
        ..
    } = caller
    {
        let end = Write::RemoveSession { sha256: *sha256 };
        if let Err(error) = service.write(end).await {
            tracing::error!("a session could not be ended: {error}");
        }
    }
}

async fn show_signout(State(service): State<Arc<Service>>) -> Response {
    let action = service.path("/signout");
    let body =
        format!("<form method=\"post\" action=\"{action}\"><button>Sign out</button></form>");
    no_store(errors::page(
        StatusCode::OK,
        errors::document("Sign out", &body),
    ))
}

async fn sign_out(State(service): State<Arc<Service>>, caller: Caller) -> Response {
    end_session(&service, &caller).await;
    go_to("/signin", no_session_header(&service))
}

fn go_to(path: &str, cookie: HeaderValue) -> Response {
    let location = HeaderValue::try_from(path).unwrap_or(HeaderValue::from_static(HOME));
    let headers: [(HeaderName, HeaderValue); 2] =
        [(header::LOCATION, location), (header::SET_COOKIE, cookie)];
    no_store((StatusCode::SEE_OTHER, headers).into_response())
}

fn wait(service: &Service, shown: Filled<'_>, seconds: u64) -> Response {
    let problem = format!("Too many tries. Try again in {seconds} seconds.");
    let mut response = form(service, StatusCode::TOO_MANY_REQUESTS, shown, &problem);
    let headers = response.headers_mut();
    headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

fn form(service: &Service, status: StatusCode, shown: Filled<'_>, problem: &str) -> Response {
    let provider = service.oidc.as_ref().map(|oidc| {
        let next = errors::encoded(shown.next);
        (
            format!("{}?next={next}", service.path(oidc_route::PATH)),
            oidc.name(),
        )
    });
    let text = match service.has_owner() {
        _ if shown.next.starts_with("/s/") => IS_PRIVATE,
        Ok(false) if provider.is_none() => NO_PASSWORD,
        _ => "",
    };
    let page = service.renderer.signin_page(&SigninPage {
        text,
        next: shown.next,
        user: shown.name,
        provider: provider.as_ref().map(|(href, name)| (href.as_str(), *name)),
        error: Some(problem).filter(|problem| !problem.is_empty()),
        root: service.root(),
    });
    let page = match page {
        Ok(page) => page,
        Err(error) => {
            tracing::error!("the sign-in page could not be rendered: {error}");
            return errors::failed();
        }
    };
    let mut response = errors::page(status, page.into());
    headers::signin(response.headers_mut());
    no_store(response)
}

fn no_store(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The path to go to afterwards: one of this server, whatever the link says.
pub(crate) fn path_of(next: Option<&str>) -> &str {
    let is_ours = |path: &&str| {
        let mut bytes = path.bytes();
        bytes.next() == Some(b'/')
            && !matches!(bytes.next(), Some(b'/' | b'\\'))
            && path
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'\\')
    };
    next.filter(is_ours).unwrap_or(HOME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_server_are_gone_to() {
        for path in [
            "/",
            "/s/abc/",
            "/s/abc/7.html?x=1#m0",
            "/a//b",
            "/s/%2F%2Fx",
        ] {
            assert_eq!(path_of(Some(path)), path);
        }
        for foreign in [
            "",
            "s/abc",
            "//evil.example",
            "/\\evil.example",
            "/\t/evil.example",
            "/a\r\nSet-Cookie: x=1",
            "\\/evil.example",
            "https://evil.example/",
            "javascript:alert(1)",
            " //evil.example",
            "/ä",
        ] {
            assert_eq!(path_of(Some(foreign)), HOME, "{foreign:?}");
        }
        assert_eq!(path_of(None), HOME);
    }
}
