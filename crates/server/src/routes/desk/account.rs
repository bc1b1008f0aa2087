//! `/account`: who somebody is here, their password, and where they are signed in.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use serde::Serialize;

use super::{Visitor, page};
use crate::{
    auth::SignedIn,
    routes::{
        api::{sessions, users::UserEntry},
        errors,
    },
    service::Service,
};

#[derive(Serialize)]
struct Content {
    user: UserEntry,
    sessions: Vec<sessions::SessionEntry>,
}

/// Shows the page.
pub(crate) async fn show(State(service): State<Arc<Service>>, visitor: Visitor) -> Response {
    let caller = SignedIn {
        user: visitor.user.clone(),
        proof: visitor.proof,
    };
    match sessions::of(&service, &caller).await {
        Ok(sessions) => {
            let user = caller.user.into();
            let content = Content { user, sessions };
            page(&service, &visitor, ("account", "account"), &content)
        }
        Err(_) => errors::failed(),
    }
}
