//! `/shares`: every share of the owner.

use std::sync::Arc;

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use readalong_model::{ShareVisibility, Updates};
use readalong_store::{ShareFilter, SharePage};
use serde::{Deserialize, Serialize};

use super::{OwnerVisitor, more, page};
use crate::{
    routes::{
        api::{
            chats::ChatEntry,
            shares::{ShareEntry, Sort},
        },
        viewer,
    },
    service::Service,
};

/// Shares on a page.
const PAGE: u32 = 50;

/// What is asked for; what cannot be read is not asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    q: String,
    sort: Sort,
    visibility: String,
    updates: String,
    chat: String,
    after: Option<String>,
}

#[derive(Serialize)]
struct Content {
    q: String,
    sort: Sort,
    visibility: Option<ShareVisibility>,
    updates: Option<Updates>,
    /// The chat whose shares are asked for.
    chat: Option<ChatEntry>,
    /// False where public shares ask for a sign-in too, and nothing can be made public.
    public_sharing: bool,
    /// How many are found, on this page and beyond.
    count: u64,
    shares: Vec<ShareEntry>,
    more: Option<String>,
}

/// Shows the page.
pub(crate) async fn show(
    State(service): State<Arc<Service>>,
    OwnerVisitor { visitor, owner }: OwnerVisitor,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let Query(asked) = asked.unwrap_or_default();
    let visibility = match asked.visibility.as_str() {
        "public" => Some(ShareVisibility::Public),
        "private" => Some(ShareVisibility::Private),
        _ => None,
    };
    let updates = match asked.updates.as_str() {
        "frozen" => Some(Updates::Frozen),
        "live" => Some(Updates::Live),
        _ => None,
    };
    let filter = ShareFilter {
        text: Some(asked.q.trim().to_owned()).filter(|q| !q.is_empty()),
        visibility,
        updates,
        chat: asked.chat.parse().ok(),
        order: asked.sort.into(),
        after: asked.after.as_deref().and_then(|after| after.parse().ok()),
        offset: 0,
        limit: PAGE,
    };
    let read = service.read(move |r| {
        let chat = match &filter.chat {
            Some(chat) => r.chat_of(owner.id, chat)?,
            None => None,
        };
        let count = r.count_shares(owner.id, &filter)?;
        Ok((r.shares(owner.id, &filter)?, count, chat))
    });
    let (SharePage { shares, next }, count, chat) = match read.await {
        Ok(read) => read,
        Err(error) => return viewer::failed(&error),
    };
    let query = [
        ("q", asked.q.as_str()),
        ("sort", asked.sort.word()),
        ("visibility", &asked.visibility),
        ("updates", &asked.updates),
        ("chat", &asked.chat),
    ];
    let entry = |(share, title)| ShareEntry::new(&service, &share, title);
    let content = Content {
        more: more(&query, next),
        shares: shares.into_iter().map(entry).collect(),
        public_sharing: service.switches().public_sharing,
        count,
        visibility,
        updates,
        chat: chat.map(ChatEntry::from),
        sort: asked.sort,
        q: asked.q.clone(),
    };
    page(&service, &visitor, ("shares", "shares"), &content)
}
