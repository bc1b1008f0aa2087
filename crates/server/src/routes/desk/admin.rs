//! `/admin`: what is switched for the whole server, and the shares of all owners.

use std::sync::Arc;

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use readalong_model::ShareVisibility;
use serde::{Deserialize, Serialize};

use super::{AdminVisitor, page};
use crate::{
    routes::{
        api::admin::{Listed, OwnedShare, shares},
        errors,
    },
    service::Service,
    switches::Switches,
};

/// Shares on a page.
const PAGE: u32 = 50;

/// What is asked for; what cannot be read is not asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    q: String,
    visibility: String,
    offset: u32,
}

#[derive(Serialize)]
struct Content {
    switches: Switches,
    q: String,
    visibility: Option<ShareVisibility>,
    shares: Vec<OwnedShare>,
    more: Option<String>,
}

/// Shows the page.
pub(crate) async fn show(
    State(service): State<Arc<Service>>,
    AdminVisitor(visitor): AdminVisitor,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let Query(asked) = asked.unwrap_or_default();
    let visibility = match asked.visibility.as_str() {
        "public" => Some(ShareVisibility::Public),
        "private" => Some(ShareVisibility::Private),
        _ => None,
    };
    let listed = Listed {
        filter: Some(asked.q.trim().to_owned()),
        visibility,
        updates: None,
        offset: Some(asked.offset),
        // One more than is shown says whether there are more.
        limit: Some(PAGE + 1),
    };
    let mut found = match shares(&service, listed).await {
        Ok(found) => found,
        Err(_) => return errors::failed(),
    };
    let has_more = found.len() > PAGE as usize;
    found.truncate(PAGE as usize);
    let next = asked.offset.saturating_add(PAGE);
    let more = format!(
        "?q={}&visibility={}&offset={next}",
        errors::encoded(&asked.q),
        errors::encoded(&asked.visibility)
    );
    let content = Content {
        switches: service.switches(),
        more: has_more.then_some(more),
        shares: found,
        visibility,
        q: asked.q,
    };
    page(&service, &visitor, ("admin", "admin"), &content)
}
