//! `/chats/{chat}/share`: how a chat is shared, with what will be seen of it before there is a link.

use std::sync::Arc;

use axum::{
    extract::{Path, Query, State, rejection::QueryRejection},
    response::Response,
};
use readalong_model::ChatId;
use serde::{Deserialize, Serialize};

use super::{OwnerVisitor, page};
use crate::{
    routes::{
        api::{
            chats::ChatEntry,
            preview::{self, Preview},
        },
        errors, viewer,
    },
    service::Service,
};

/// What is asked for; what cannot be read is not asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    artifacts: bool,
}

#[derive(Serialize)]
struct Content {
    chat: ChatEntry,
    artifacts: bool,
    /// False where nothing can be made public.
    public_sharing: bool,
    preview: Preview,
}

/// Shows the page.
pub(crate) async fn show(
    State(service): State<Arc<Service>>,
    OwnerVisitor { visitor, owner }: OwnerVisitor,
    Path(chat): Path<String>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let (Ok(chat), Query(asked)) = (chat.parse::<ChatId>(), asked.unwrap_or_default()) else {
        return errors::gone();
    };
    let artifacts = asked.artifacts;
    let redactions = service.redactions.clone();
    let read = service.read(move |r| match r.chat_of(owner.id, &chat)? {
        Some(record) => {
            let preview = preview::of(r, &record, artifacts, redactions.redactor())?;
            Ok(Some((preview, record)))
        }
        None => Ok(None),
    });
    match read.await {
        Ok(Some((preview, record))) => {
            let content = Content {
                chat: record.into(),
                artifacts,
                public_sharing: service.switches().public_sharing,
                preview,
            };
            page(&service, &visitor, ("share", "chats"), &content)
        }
        Ok(None) => errors::gone(),
        Err(error) => viewer::failed(&error),
    }
}
