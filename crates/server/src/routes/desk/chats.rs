//! `/chats`: the owner's chats.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use readalong_store::{ChatFilter, ChatOrder};
use serde::Serialize;

use super::{OwnerVisitor, page};
use crate::{
    routes::{api::chats::ChatEntry, viewer},
    service::Service,
};

/// Chats on a page.
const PAGE: u32 = 100;

#[derive(Serialize)]
struct Content {
    chats: Vec<ChatEntry>,
}

/// Shows the page.
pub(crate) async fn show(
    State(service): State<Arc<Service>>,
    OwnerVisitor { visitor, owner }: OwnerVisitor,
) -> Response {
    let filter = ChatFilter {
        text: None,
        order: ChatOrder::Changed,
        offset: 0,
        limit: PAGE,
    };
    let chats = service.read(move |r| r.chats(owner.id, &filter)).await;
    match chats {
        Ok(chats) => {
            let chats = chats.into_iter().map(ChatEntry::from).collect();
            page(&service, &visitor, ("chats", "chats"), &Content { chats })
        }
        Err(error) => viewer::failed(&error),
    }
}
