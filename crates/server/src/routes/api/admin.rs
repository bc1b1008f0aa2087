//! What admins do for the whole server: they see and revoke all shares, and switch things.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use readalong_model::{ShareVisibility, Updates};
use readalong_store::{ShareFilter, Write};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Range, share_id, shares::ShareEntry, wanted};
use crate::{
    auth::Admin,
    error::{ApiError, ApiJson, ApiPath, ApiQuery},
    service::Service,
    switches::{ShowcaseMode, Switches},
};

/// A share of anybody's.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OwnedShare {
    /// The share.
    #[serde(flatten)]
    pub(crate) share: ShareEntry,
    /// Who owns it.
    pub(crate) owner: String,
}

/// Which shares are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Listed {
    /// A piece of the name, of the chat's title where there is none, or of the owner's name.
    pub(crate) filter: Option<String>,
    /// `public` or `private`.
    #[param(value_type = Option<String>)]
    pub(crate) visibility: Option<ShareVisibility>,
    /// `frozen` or `live`.
    #[param(value_type = Option<String>)]
    pub(crate) updates: Option<Updates>,
    /// How many to leave out.
    pub(crate) offset: Option<u32>,
    /// How many at most.
    pub(crate) limit: Option<u32>,
}

/// The shares of all owners.
#[utoipa::path(get, path = "/api/v1/admin/shares", tag = "admin", params(Listed), responses(
    (status = 200, description = "Shares.", body = [OwnedShare]),
))]
pub(crate) async fn list(
    State(service): State<Arc<Service>>,
    _admin: Admin,
    ApiQuery(listed): ApiQuery<Listed>,
) -> Result<Json<Vec<OwnedShare>>, ApiError> {
    Ok(Json(shares(&service, listed).await?))
}

/// The shares of all owners that are wanted.
///
/// # Errors
/// Too many are, or the store failed.
pub(crate) async fn shares(
    service: &Arc<Service>,
    listed: Listed,
) -> Result<Vec<OwnedShare>, ApiError> {
    let range = Range::new(listed.offset, listed.limit)?;
    let filter = ShareFilter {
        text: wanted(listed.filter),
        visibility: listed.visibility,
        updates: listed.updates,
        chat: None,
        order: readalong_store::ShareOrder::Newest,
        after: None,
        offset: range.offset,
        limit: range.limit,
    };
    let found = service.read(move |r| r.shares_of_all(&filter)).await?;
    let found = found.into_iter().map(|(share, title, owner)| OwnedShare {
        share: ShareEntry::new(service, &share, title),
        owner,
    });
    Ok(found.collect())
}

/// A share of anybody's.
#[utoipa::path(get, path = "/api/v1/admin/shares/{share}", tag = "admin", params(("share" = String, Path)), responses(
    (status = 200, description = "The share.", body = OwnedShare),
))]
pub(crate) async fn one(
    State(service): State<Arc<Service>>,
    _admin: Admin,
    ApiPath(share): ApiPath<String>,
) -> Result<Json<OwnedShare>, ApiError> {
    let id = share_id(&share)?;
    let found = service.read(move |r| r.share_of_all(&id)).await?;
    let (share, title, owner) = found.ok_or_else(|| ApiError::not_found("share"))?;
    Ok(Json(OwnedShare {
        share: ShareEntry::new(&service, &share, title),
        owner,
    }))
}

/// Revokes a share of anybody's.
#[utoipa::path(delete, path = "/api/v1/admin/shares/{share}", tag = "admin", params(("share" = String, Path)), responses(
    (status = 204, description = "Its link is dead."),
))]
pub(crate) async fn revoke(
    State(service): State<Arc<Service>>,
    admin: Admin,
    ApiPath(share): ApiPath<String>,
) -> Result<StatusCode, ApiError> {
    let ids = vec![share_id(&share)?];
    let delete = Write::DeleteShares { ids, by: None };
    let deleted = service.write(delete).await;
    deleted.map_err(|error| ApiError::from(error).about("share"))?;
    tracing::info!("{} revoked a share", admin.user.name);
    Ok(StatusCode::NO_CONTENT)
}

/// What is switched for the whole server.
#[utoipa::path(get, path = "/api/v1/admin/settings", tag = "admin", responses(
    (status = 200, description = "What is switched.", body = Switches),
))]
pub(crate) async fn settings(State(service): State<Arc<Service>>, _admin: Admin) -> Json<Switches> {
    Json(service.switches())
}

/// What is to be switched.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SwitchesChange {
    /// False where public shares ask for a sign-in too, and no new ones are made.
    public_sharing: Option<bool>,
    /// `disabled`, `authenticated` or `public`.
    showcase: Option<ShowcaseMode>,
}

/// Switches something for the whole server.
#[utoipa::path(patch, path = "/api/v1/admin/settings", tag = "admin", request_body = SwitchesChange, responses(
    (status = 200, description = "What is switched.", body = Switches),
))]
pub(crate) async fn change_settings(
    State(service): State<Arc<Service>>,
    admin: Admin,
    ApiJson(change): ApiJson<SwitchesChange>,
) -> Result<Json<Switches>, ApiError> {
    let now = service.switches();
    let next = Switches {
        public_sharing: change.public_sharing.unwrap_or(now.public_sharing),
        showcase: change.showcase.unwrap_or(now.showcase),
    };
    service.switch(next).await?;
    tracing::info!("{} switched {now:?} to {next:?}", admin.user.name);
    Ok(Json(next))
}
