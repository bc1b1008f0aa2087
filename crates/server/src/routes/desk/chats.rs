//! `/chats`: the owner's chats, with what is followed.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use readalong_store::ChatFilter;
use serde::{Deserialize, Serialize};

use super::{OwnerVisitor, more, page};
use crate::{
    routes::{
        AskedBy,
        api::{
            chats::{ChatEntry, Sort},
            follow::{self, Followed},
        },
        viewer,
    },
    service::Service,
};

/// Chats on a page.
const PAGE: u32 = 50;
/// The least characters with which messages are looked through.
const SEARCH_CHARS_MIN: usize = 3;

/// What is asked for; what cannot be read is not asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    q: String,
    sort: Sort,
    after: Option<String>,
}

#[derive(Serialize)]
struct Content {
    q: String,
    sort: Sort,
    chats: Vec<Row>,
    /// Where the list goes on.
    more: Option<String>,
    /// Not all messages could be looked through.
    is_part: bool,
    /// What is looked for is too short for messages.
    is_short: bool,
    followed: Vec<Followed>,
}

#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    chat: ChatEntry,
    /// The last piece of its source's path.
    file: Option<String>,
}

impl From<ChatEntry> for Row {
    fn from(chat: ChatEntry) -> Self {
        let file = chat
            .source
            .as_deref()
            .and_then(|source| source.rsplit(['/', '\\']).next());
        Self {
            file: file.map(str::to_owned),
            chat,
        }
    }
}

/// Shows the page.
pub(crate) async fn show(
    State(service): State<Arc<Service>>,
    OwnerVisitor { visitor, owner }: OwnerVisitor,
    Extension(asked_by): Extension<AskedBy>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let Query(asked) = asked.unwrap_or_default();
    let filter = ChatFilter {
        search: Some(asked.q.trim().to_owned()).filter(|q| !q.is_empty()),
        order: asked.sort.into(),
        after: asked.after.as_deref().and_then(|after| after.parse().ok()),
        limit: PAGE,
        ..ChatFilter::default()
    };
    let found = match service.read(move |r| r.chats(owner.id, &filter)).await {
        Ok(found) => found,
        Err(error) => return viewer::failed(&error),
    };
    let chats = found.chats.into_iter().map(ChatEntry::from).map(Row::from);
    let content = Content {
        chats: chats.collect(),
        more: more(&[("q", &asked.q), ("sort", asked.sort.word())], found.next),
        is_part: !found.is_whole,
        is_short: (1..SEARCH_CHARS_MIN).contains(&asked.q.trim().chars().count()),
        followed: follow::seen_by(&service, &owner, asked_by),
        q: asked.q,
        sort: asked.sort,
    };
    page(&service, &visitor, ("chats", "chats"), &content)
}
