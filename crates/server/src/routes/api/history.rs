//! What the owner did to a chat: listed, and taken back.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use readalong_model::{Seq, Timestamp};
use readalong_store::{Done, HistoryEntry, Write};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Range, chat_id, chats::record};
use crate::{
    auth::Owner,
    error::{ApiError, ApiPath, ApiQuery},
    service::Service,
};

/// Something that the owner did to a chat.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangeEntry {
    /// The event.
    seq: Seq,
    /// When.
    #[schema(value_type = String)]
    at: Timestamp,
    /// `renamed`, `edited`, `hidden`, `shown`, `removed`, `artifact_hidden`, `artifact_shown` or `artifact_removed`.
    what: &'static str,
    /// The message that it was done to.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// The place of the artifact that it was done to.
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact: Option<u32>,
    /// The name that was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    /// True where it can be taken back.
    can_undo: bool,
}

impl From<HistoryEntry> for ChangeEntry {
    fn from(entry: HistoryEntry) -> Self {
        let shown = |hidden, words: [&'static str; 2]| words[usize::from(hidden)];
        let (what, message, artifact, title) = match entry.done {
            Done::Renamed { title } => ("renamed", None, None, Some(title)),
            Done::Edited { message } => ("edited", Some(message), None, None),
            Done::Hidden { message, hidden } => (
                shown(hidden, ["shown", "hidden"]),
                Some(message),
                None,
                None,
            ),
            Done::Erased { message } => ("removed", Some(message), None, None),
            Done::ArtifactHidden { place, hidden } => {
                let what = shown(hidden, ["artifact_shown", "artifact_hidden"]);
                (what, None, Some(place), None)
            }
            Done::ArtifactErased { place } => ("artifact_removed", None, Some(place), None),
        };
        Self {
            seq: entry.seq,
            at: entry.at,
            what,
            message: message.map(|id| id.0),
            artifact,
            title,
            can_undo: entry.can_undo,
        }
    }
}

/// Which changes are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Listed {
    /// Only those before this event.
    before: Option<Seq>,
    /// How many at most.
    limit: Option<u32>,
}

/// What the owner did to a chat, the newest first.
#[utoipa::path(get, path = "/api/v1/chats/{chat}/history", tag = "messages", params(("chat" = String, Path), Listed), responses(
    (status = 200, description = "Changes.", body = [ChangeEntry]),
))]
pub(crate) async fn list(
    State(service): State<Arc<Service>>,
    owner: Owner,
    ApiPath(chat): ApiPath<String>,
    ApiQuery(listed): ApiQuery<Listed>,
) -> Result<Json<Vec<ChangeEntry>>, ApiError> {
    let range = Range::new(None, listed.limit)?;
    let chat = record(&service, &owner, chat_id(&chat)?).await?.id;
    let entries = service.read(move |r| r.history(&chat, listed.before, range.limit));
    let entries = entries.await?.into_iter();
    Ok(Json(entries.map(ChangeEntry::from).collect()))
}

/// Takes a change back.
#[utoipa::path(post, path = "/api/v1/chats/{chat}/history/{seq}/undo", tag = "messages",
    params(("chat" = String, Path), ("seq" = u64, Path)),
    responses((status = 204, description = "It is as before.")))]
pub(crate) async fn undo(
    State(service): State<Arc<Service>>,
    owner: Owner,
    ApiPath((chat, seq)): ApiPath<(String, Seq)>,
) -> Result<StatusCode, ApiError> {
    let chat = record(&service, &owner, chat_id(&chat)?).await?.id;
    let _turn = service.api.sources.turn(&chat).await;
    let undo = Write::Undo {
        chat,
        by: Some(owner.id),
        seq,
    };
    let undone = service.write(undo).await.map_err(ApiError::from);
    undone.map_err(|error| match error.status() {
        StatusCode::NOT_FOUND => ApiError::conflict(
            "this cannot be taken back: it was already, something later was done to the same thing, or that is gone for good",
        ),
        _ => error,
    })?;
    Ok(StatusCode::NO_CONTENT)
}
