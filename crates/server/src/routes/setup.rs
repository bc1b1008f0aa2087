//! `/setup`: where the first account is made, and what everybody else sees until then.

use std::sync::Arc;

use axum::{
    Form,
    extract::{Query, State, rejection::FormRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use readalong_store::Write;
use serde::Deserialize;

use super::errors;
use crate::{
    accounts::{self, Agent},
    auth::session_header,
    error::ApiError,
    service::Service,
};

/// The path.
pub(crate) const PATH: &str = "/setup";

/// What the link and the form say.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Entered {
    token: String,
    name: String,
    password: String,
}

/// What programs are told meanwhile.
pub(crate) const WAITS: &str = "this server waits for its first account: whoever started it makes it with the link that was printed there";

/// What everybody sees who has not got the link.
pub(crate) fn wait() -> Response {
    let body = "<p>Whoever started it makes the first account with the link that was printed there. Come back in a while.</p>";
    let page = errors::document("This server is being set up", body);
    let mut response = errors::page(StatusCode::SERVICE_UNAVAILABLE, page);
    let headers = response.headers_mut();
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
    response
}

/// Shows the form to whoever has the link.
pub(crate) async fn show(
    State(service): State<Arc<Service>>,
    Query(entered): Query<Entered>,
) -> Response {
    match service.setup.is_link(&entered.token) {
        true => form(&service, &entered, ""),
        false => nothing(&service),
    }
}

/// Makes the account.
pub(crate) async fn make(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    entered: Result<Form<Entered>, FormRejection>,
) -> Response {
    let Ok(Form(entered)) = entered else {
        return nothing(&service);
    };
    if !service.setup.is_link(&entered.token) {
        return nothing(&service);
    }
    match make_owner(&service, &entered, &Agent::of(&headers)).await {
        Ok(session) => {
            let cookie = session_header(&service, session.expose());
            let to = HeaderValue::from_static("/");
            let headers = [(header::LOCATION, to), (header::SET_COOKIE, cookie)];
            (StatusCode::SEE_OTHER, headers).into_response()
        }
        Err(error) => form(&service, &entered, &error.to_string()),
    }
}

async fn make_owner(
    service: &Arc<Service>,
    entered: &Entered,
    agent: &Agent,
) -> Result<accounts::Secret, ApiError> {
    let name = entered.name.trim().to_owned();
    if !accounts::is_name(&name) {
        return Err(ApiError::bad_request(
            "A name is one line of 1 to 100 bytes, with something to see in it.",
        ));
    }
    let hash = accounts::hash_password(service, entered.password.clone()).await?;
    let users = service.read(|r| r.users()).await?;
    let owner = accounts::first_owner(users).ok_or_else(|| ApiError::not_found("owner"))?;
    let (user, password_hash) = (owner.id, Some(hash));
    service.write(Write::RenameUser { user, name }).await?;
    // Of two at once one makes it.
    if !service.setup.is_link(&entered.token) || !service.setup.end() {
        return Err(ApiError::conflict("The account has been made already."));
    }
    let set = Write::SetPassword {
        user,
        password_hash,
    };
    service.write(set).await?;
    accounts::new_session(service, user, agent).await
}

/// The link is wrong, used or old; or there is an account already.
fn nothing(service: &Service) -> Response {
    match service.setup.is_pending() {
        true => {
            let body = "<p>This link was not made by this server, or has expired. Start the server again: it prints another one.</p>";
            errors::page(
                StatusCode::FORBIDDEN,
                errors::document("This link does not work", body),
            )
        }
        false => errors::gone(),
    }
}

fn form(service: &Service, entered: &Entered, problem: &str) -> Response {
    let (action, token) = (service.path(PATH), escaped(&entered.token));
    let name = escaped(&entered.name);
    let problem = match problem {
        "" => String::new(),
        problem => format!(
            "<p role=\"alert\"><strong>{}</strong></p>",
            escaped(problem)
        ),
    };
    let body = format!(
        "<p>This makes the account of whoever runs this server: it can share chats and take back what anybody shared. Accounts for others are made with <code>readalong user add</code>.</p>{problem}\
         <form method=\"post\" action=\"{action}\"><input type=\"hidden\" name=\"token\" value=\"{token}\">\
         <label>Name <input name=\"name\" value=\"{name}\" autocomplete=\"username\" autocapitalize=\"none\" spellcheck=\"false\" required autofocus></label>\
         <label>Password, 8 characters or more <input name=\"password\" type=\"password\" autocomplete=\"new-password\" minlength=\"8\" required></label>\
         <button>Make the account</button></form>"
    );
    let status = match problem.is_empty() {
        true => StatusCode::OK,
        false => StatusCode::BAD_REQUEST,
    };
    errors::page(status, errors::document("Set up readalong", &body))
}

/// Text as it may stand in an element or a quoted attribute.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
