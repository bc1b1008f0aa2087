//! `/showcase`: featured shares, for whoever the gate lets see them; and `/showcase/manage`, where admins choose them.

use std::sync::Arc;

use axum::{extract::State, http::Uri, response::Response};
use readalong_store::ShowcaseFilter;
use serde::Serialize;

use super::{AdminVisitor, Visitor, page, page_for_all};
use crate::{
    auth::Caller,
    gate::{self, Verb},
    routes::{
        api::showcase::{ALL, ShowcaseChat, entries},
        errors,
    },
    service::Service,
    switches::Switches,
};

#[derive(Serialize)]
struct Content {
    switches: Switches,
    /// May choose what is featured.
    manages: bool,
    entries: Vec<ShowcaseChat>,
}

/// Shows what is featured.
pub(crate) async fn show(
    State(service): State<Arc<Service>>,
    caller: Caller,
    uri: Uri,
) -> Response {
    let visibility = match gate::showcase(&service, &caller) {
        Ok(visibility) => visibility,
        Err(denied) => return denied.response(Verb::Open, uri.path()),
    };
    let filter = ShowcaseFilter { visibility, ..ALL };
    let Ok(entries) = entries(&service, filter).await else {
        return errors::failed();
    };
    let content = Content {
        switches: service.switches(),
        manages: gate::manages_showcase(&caller),
        entries,
    };
    let here = ("showcase", "showcase");
    match Visitor::of(caller) {
        Some(visitor) => page(&service, &visitor, here, &content),
        None => page_for_all(&service, here, &content),
    }
}

/// Shows what is featured to whoever chooses it.
pub(crate) async fn manage(
    State(service): State<Arc<Service>>,
    AdminVisitor(visitor): AdminVisitor,
) -> Response {
    let Ok(entries) = entries(&service, ALL).await else {
        return errors::failed();
    };
    let content = Content {
        switches: service.switches(),
        manages: true,
        entries,
    };
    page(&service, &visitor, ("featured", "showcase"), &content)
}
