//! Artifacts of a chat as its owner sees them: listed, hidden, removed for good.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use readalong_model::{Artifact, ChatId, Digest};
use readalong_store::Write;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{chat_id, chats::record, source::digest};
use crate::{
    auth::Owner,
    error::{ApiError, ApiJson, ApiPath},
    service::Service,
};

/// An artifact of a chat.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ArtifactEntry {
    /// Its place in the chat's list.
    place: u32,
    /// Its name.
    name: String,
    /// What kind of file it is.
    media_type: String,
    /// Digest of its bytes; null where they are not there.
    #[schema(value_type = Option<String>)]
    sha256: Option<Digest>,
    /// How many bytes; null where they are not there.
    size_bytes: Option<u64>,
    /// True where the owner hid it.
    hidden: bool,
}

impl ArtifactEntry {
    fn new(place: u32, artifact: Artifact, hidden: bool) -> Self {
        let bytes = artifact.bytes();
        Self {
            place,
            sha256: bytes.map(|(sha256, _)| sha256),
            size_bytes: bytes.map(|(_, size_bytes)| size_bytes),
            name: artifact.name,
            media_type: artifact.media_type,
            hidden,
        }
    }
}

/// The artifacts of a chat, in their order; those that were removed are not there.
///
/// # Errors
/// The store failed.
pub(crate) async fn of_chat(
    service: &Arc<Service>,
    chat: ChatId,
) -> Result<Vec<ArtifactEntry>, ApiError> {
    let artifacts = service.read(move |r| r.own_artifacts(&chat)).await?;
    let artifacts = (0..).zip(artifacts);
    let is_left = |artifact: &Artifact| artifact.emptied() != *artifact;
    let left = artifacts.filter(|(_, (artifact, _))| is_left(artifact));
    let entry = |(place, (artifact, hidden))| ArtifactEntry::new(place, artifact, hidden);
    Ok(left.map(entry).collect())
}

/// The artifacts of a chat.
#[utoipa::path(get, path = "/api/v1/chats/{chat}/artifacts", tag = "messages", params(("chat" = String, Path)), responses(
    (status = 200, description = "Artifacts.", body = [ArtifactEntry]),
))]
pub(crate) async fn list(
    State(service): State<Arc<Service>>,
    owner: Owner,
    ApiPath(chat): ApiPath<String>,
) -> Result<Json<Vec<ArtifactEntry>>, ApiError> {
    let chat = record(&service, &owner, chat_id(&chat)?).await?.id;
    Ok(Json(of_chat(&service, chat).await?))
}

/// What the owner changes of an artifact.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ArtifactChange {
    /// True to hide it, false to show it again.
    hidden: bool,
}

/// Hides an artifact or shows it again.
#[utoipa::path(patch, path = "/api/v1/chats/{chat}/artifacts/{sha256}", tag = "messages",
    params(("chat" = String, Path), ("sha256" = String, Path)), request_body = ArtifactChange,
    responses((status = 204, description = "It is so.")))]
pub(crate) async fn change(
    State(service): State<Arc<Service>>,
    owner: Owner,
    ApiPath((chat, sha256)): ApiPath<(String, String)>,
    ApiJson(change): ApiJson<ArtifactChange>,
) -> Result<StatusCode, ApiError> {
    let (chat, places) = places(&service, &owner, &chat, &sha256).await?;
    for place in places {
        let hide = Write::HideArtifact {
            chat: chat.clone(),
            by: Some(owner.id),
            place,
            hidden: change.hidden,
        };
        service.write(hide).await.map_err(of_artifact)?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Removes an artifact for good.
#[utoipa::path(delete, path = "/api/v1/chats/{chat}/artifacts/{sha256}", tag = "messages",
    params(("chat" = String, Path), ("sha256" = String, Path)),
    responses((status = 204, description = "It is gone.")))]
pub(crate) async fn erase(
    State(service): State<Arc<Service>>,
    owner: Owner,
    ApiPath((chat, sha256)): ApiPath<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let (chat, places) = places(&service, &owner, &chat, &sha256).await?;
    for place in places {
        let erase = Write::EraseArtifact {
            chat: chat.clone(),
            by: Some(owner.id),
            place,
        };
        service.write(erase).await.map_err(of_artifact)?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Where a chat of the owner's has artifacts of these bytes.
async fn places(
    service: &Arc<Service>,
    owner: &Owner,
    chat: &str,
    sha256: &str,
) -> Result<(ChatId, Vec<u32>), ApiError> {
    let chat = record(service, owner, chat_id(chat)?).await?.id;
    let sha256 = Some(digest(sha256)?);
    let entries = of_chat(service, chat.clone()).await?.into_iter();
    let named = entries.filter(|entry| entry.sha256 == sha256);
    let places: Vec<u32> = named.map(|entry| entry.place).collect();
    match places.is_empty() {
        true => Err(ApiError::not_found("artifact")),
        false => Ok((chat, places)),
    }
}

fn of_artifact(error: impl Into<ApiError>) -> ApiError {
    error.into().about("artifact")
}
