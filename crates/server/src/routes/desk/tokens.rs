//! `/tokens`: the API tokens of somebody, made and revoked.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use readalong_model::Timestamp;
use serde::Serialize;

use super::{Visitor, page};
use crate::{
    routes::{api::tokens::TokenEntry, viewer},
    service::{Service, now},
};

/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 3600 * 1000;
/// For how many days a token can be made.
const DAYS: [i64; 4] = [7, 30, 90, 365];

#[derive(Serialize)]
struct Content {
    tokens: Vec<TokenEntry>,
    choices: Vec<Choice>,
    /// The present, to tell which have ended.
    now: Timestamp,
}

/// When a new token can end.
#[derive(Serialize)]
struct Choice {
    days: i64,
    expires_at: Timestamp,
}

/// Shows the page.
pub(crate) async fn show(State(service): State<Arc<Service>>, visitor: Visitor) -> Response {
    let user = visitor.user.id;
    let tokens = match service.read(move |r| r.tokens(user)).await {
        Ok(tokens) => tokens,
        Err(error) => return viewer::failed(&error),
    };
    let now = now();
    let choices = DAYS.iter().filter_map(|days| {
        let expires_at = Timestamp::from_millis(now.millis() + days * DAY_MS).ok()?;
        Some(Choice {
            days: *days,
            expires_at,
        })
    });
    let content = Content {
        choices: choices.collect(),
        tokens: tokens.into_iter().map(TokenEntry::from).collect(),
        now,
    };
    page(&service, &visitor, ("tokens", "tokens"), &content)
}
