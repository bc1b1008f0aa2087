//! Shares: made, listed, changed, deleted by whoever owns them.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use readalong_model::{ChatId, Digest, Seq, Share, ShareId, ShareVisibility, Timestamp, Updates};
use readalong_store::{ShareChange, ShareFilter, ShareOrder, SharePage, StoreError, Write};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Range, cursor, given, heading, legacy::normal_path, next_header, share_id, wanted};
use crate::{
    auth::Owner,
    error::{ApiError, ApiJson, ApiPath, ApiQuery},
    service::{Service, now, random},
};

/// Shares that are deleted at once: as many as a list shows.
pub(crate) const IDS_MAX: usize = 1_000;

/// A share.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ShareEntry {
    /// Its id.
    #[schema(value_type = String)]
    id: ShareId,
    /// Its link.
    url: String,
    /// The link's path.
    relative_path: String,
    /// The chat that it shows.
    #[schema(value_type = String)]
    chat: ChatId,
    /// What the chat is called.
    chat_title: String,
    /// What readers see as its title, where not the chat's.
    name: Option<String>,
    /// `public` or `private`.
    #[schema(value_type = String)]
    visibility: ShareVisibility,
    /// `frozen` or `live`.
    #[schema(value_type = String)]
    updates: Updates,
    /// With images and files.
    artifacts: bool,
    /// When it was made.
    #[schema(value_type = String)]
    created_at: Timestamp,
    /// From when on its link is dead.
    #[schema(value_type = Option<String>)]
    expires_at: Option<Timestamp>,
    /// How many have its page open.
    readers: usize,
    /// Id of the bundle of a frozen share, once it is made: the first who opens the page has it made.
    #[schema(value_type = Option<String>)]
    bundle: Option<Digest>,
}

impl ShareEntry {
    /// What is said of a share.
    pub(crate) fn new(service: &Service, share: &Share, chat_title: String) -> Self {
        Self {
            url: url(service, &share.id),
            relative_path: relative_path(&share.id),
            chat_title,
            name: share.name.clone(),
            visibility: share.visibility,
            updates: share.updates,
            artifacts: share.includes_artifacts,
            created_at: share.created_at,
            expires_at: share.expires_at,
            readers: service.live.readers(&share.id),
            bundle: share.bundle,
            chat: share.chat.clone(),
            id: share.id.clone(),
        }
    }
}

/// The path of a share's link: its id is the last piece.
pub(crate) fn relative_path(share: &ShareId) -> String {
    format!("/s/{share}")
}

/// The link of a share.
pub(crate) fn url(service: &Service, share: &ShareId) -> String {
    let base = service.link_base();
    format!("{base}{}", relative_path(share))
}

/// What a new share is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewShare {
    /// The chat.
    chat: String,
    /// `frozen` or `live`.
    #[schema(value_type = String)]
    updates: Updates,
    /// `public` or `private`.
    #[schema(value_type = String)]
    visibility: ShareVisibility,
    /// With images and files.
    #[serde(default)]
    artifacts: bool,
    /// What readers see as its title.
    name: Option<String>,
    /// From when on its link is dead.
    #[schema(value_type = Option<String>)]
    expires_at: Option<Timestamp>,
}

/// Makes a share.
#[utoipa::path(post, path = "/api/v1/shares", tag = "shares", request_body = NewShare, responses(
    (status = 201, description = "The share.", body = ShareEntry),
))]
pub(crate) async fn create(
    State(service): State<Arc<Service>>,
    owner: Owner,
    ApiJson(new): ApiJson<NewShare>,
) -> Result<(StatusCode, Json<ShareEntry>), ApiError> {
    let share = Share {
        id: new_id()?,
        chat: super::chat_id(&new.chat)?,
        owner: owner.id,
        name: new.name.map(|name| heading("name", name)).transpose()?,
        visibility: new.visibility,
        updates: new.updates,
        includes_artifacts: new.artifacts,
        created_at: now(),
        expires_at: later(new.expires_at)?,
        frozen_at_seq: None,
        bundle: None,
    };
    let share = service.create_share(share).await;
    let share = share.map_err(|error| ApiError::from(error).about("chat"))?;
    let entry = entry(&service, &share).await?;
    Ok((StatusCode::CREATED, Json(entry)))
}

/// A new id: 128 bits that nobody can guess.
pub(crate) fn new_id() -> Result<ShareId, ApiError> {
    Ok(ShareId::from_random(random().map_err(ApiError::internal)?))
}

fn later(expires_at: Option<Timestamp>) -> Result<Option<Timestamp>, ApiError> {
    match expires_at {
        Some(at) if at <= now() => Err(ApiError::bad_request("its end has passed already")),
        expires_at => Ok(expires_at),
    }
}

async fn entry(service: &Arc<Service>, share: &Share) -> Result<ShareEntry, ApiError> {
    let chat = share.chat.clone();
    let chat = service.read(move |r| r.chat(&chat)).await?;
    let title = chat.map(|chat| chat.head.title).unwrap_or_default();
    Ok(ShareEntry::new(service, share, title))
}

/// Which shares are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Listed {
    /// A piece of the name, or of the chat's title where there is none.
    filter: Option<String>,
    /// `public` or `private`.
    #[param(value_type = Option<String>)]
    visibility: Option<ShareVisibility>,
    /// `frozen` or `live`.
    #[param(value_type = Option<String>)]
    updates: Option<Updates>,
    /// Only those of this chat.
    chat: Option<String>,
    /// `newest` (default), `oldest` or `name`.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    sort: Sort,
    /// Only those after the end of a list, as its `x-next` says.
    after: Option<String>,
    /// How many to leave out.
    offset: Option<u32>,
    /// How many at most.
    limit: Option<u32>,
}

/// Which shares come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Sort {
    /// The newest.
    #[default]
    Newest,
    /// The oldest.
    Oldest,
    /// By name.
    Name,
}

impl Sort {
    /// The word that stands for it in a query.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Newest => "",
            Self::Oldest => "oldest",
            Self::Name => "name",
        }
    }
}

impl From<Sort> for ShareOrder {
    fn from(sort: Sort) -> Self {
        match sort {
            Sort::Newest => Self::Newest,
            Sort::Oldest => Self::Oldest,
            Sort::Name => Self::Name,
        }
    }
}

/// The shares of one's own.
#[utoipa::path(get, path = "/api/v1/shares", tag = "shares", params(Listed), responses(
    (status = 200, description = "Shares; the header `x-next` says where the list goes on.", body = [ShareEntry]),
))]
pub(crate) async fn list(
    State(service): State<Arc<Service>>,
    owner: Owner,
    ApiQuery(listed): ApiQuery<Listed>,
) -> Result<(HeaderMap, Json<Vec<ShareEntry>>), ApiError> {
    let range = Range::new(listed.offset, listed.limit)?;
    let filter = ShareFilter {
        text: wanted(listed.filter),
        visibility: listed.visibility,
        updates: listed.updates,
        chat: listed.chat.as_deref().map(super::chat_id).transpose()?,
        order: listed.sort.into(),
        after: cursor(listed.after.as_deref())?,
        offset: range.offset,
        limit: range.limit,
    };
    let SharePage { shares, next } = service
        .read(move |r| match &filter.chat {
            Some(chat) if r.chat_of(owner.id, chat)?.is_none() => Err(StoreError::NotFound),
            _ => r.shares(owner.id, &filter),
        })
        .await
        .map_err(|error| ApiError::from(error).about("chat"))?;
    let entry = |(share, title)| ShareEntry::new(&service, &share, title);
    let entries = shares.into_iter().map(entry).collect();
    Ok((next_header(next), Json(entries)))
}

/// One share.
#[utoipa::path(get, path = "/api/v1/shares/{share}", tag = "shares", params(("share" = String, Path)), responses(
    (status = 200, description = "The share.", body = ShareEntry),
))]
pub(crate) async fn one(
    State(service): State<Arc<Service>>,
    owner: Owner,
    ApiPath(share): ApiPath<String>,
) -> Result<Json<ShareEntry>, ApiError> {
    let share = record(&service, &owner, named(&service, &share).await?).await?;
    Ok(Json(entry(&service, &share).await?))
}

/// The id of a share in a path.
async fn named(service: &Arc<Service>, text: &str) -> Result<ShareId, ApiError> {
    if text.parse::<ShareId>().is_err() {
        refuse_legacy(service, text).await?;
    }
    share_id(text)
}

/// Legacy links are no shares: they can be neither looked at here nor changed nor deleted.
pub(crate) async fn refuse_legacy(service: &Arc<Service>, path: &str) -> Result<(), ApiError> {
    let path = legacy_path(path);
    match service.read(move |r| r.legacy(&path, now())).await? {
        Some(link) => Err(ApiError::conflict(format!(
            "`{}` is a legacy link: it works until {} and cannot be changed or deleted",
            link.path, link.expires_at
        ))),
        None => Ok(()),
    }
}

/// The path of a legacy link, which may be named without the slash that it begins with.
pub(crate) fn legacy_path(text: &str) -> String {
    normal_path(&match text.starts_with('/') {
        true => text.to_owned(),
        false => format!("/{text}"),
    })
}

/// The share, where it is the owner's; else it does not exist.
async fn record(service: &Arc<Service>, owner: &Owner, id: ShareId) -> Result<Share, ApiError> {
    let owner = owner.id;
    let found = service.read(move |r| r.share_of(owner, &id)).await?;
    found.ok_or_else(|| ApiError::not_found("share"))
}

/// What of a share is to change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    /// `public` or `private`.
    #[schema(value_type = Option<String>)]
    visibility: Option<ShareVisibility>,
    /// With images and files.
    artifacts: Option<bool>,
    /// What readers see as its title; null for the chat's.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    name: Option<Option<String>>,
    /// From when on its link is dead; null for never.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    expires_at: Option<Option<Timestamp>>,
    /// `frozen` freezes a live share, `live` lets a frozen one go on.
    #[schema(value_type = Option<String>)]
    updates: Option<Updates>,
    /// True freezes a frozen share anew.
    #[serde(default)]
    refresh: bool,
}

/// Changes a share.
#[utoipa::path(patch, path = "/api/v1/shares/{share}", tag = "shares", params(("share" = String, Path)), request_body = Change, responses(
    (status = 200, description = "The share.", body = ShareEntry),
))]
pub(crate) async fn change(
    State(service): State<Arc<Service>>,
    owner: Owner,
    ApiPath(share): ApiPath<String>,
    ApiJson(change): ApiJson<Change>,
) -> Result<Json<ShareEntry>, ApiError> {
    let share = record(&service, &owner, named(&service, &share).await?).await?;
    let refresh = change.refresh;
    let name = match change.name {
        Some(Some(name)) => Some(Some(heading("name", name)?)),
        name => name,
    };
    let change = ShareChange {
        visibility: change.visibility,
        includes_artifacts: change.artifacts,
        name,
        expires_at: change.expires_at.map(later).transpose()?,
        updates: change.updates,
        frozen_at_seq: None,
        bundle: None,
    };
    let share = match refresh {
        true => frozen_anew(&service, &owner, &share, change).await?,
        false => service
            .change_share(&share.id, Some(owner.id), change)
            .await
            .map_err(of_share)?,
    };
    Ok(Json(entry(&service, &share).await?))
}

/// Changes a frozen share that is to show its chat as it is now.
async fn frozen_anew(
    service: &Arc<Service>,
    owner: &Owner,
    share: &Share,
    change: ShareChange,
) -> Result<Arc<Share>, ApiError> {
    if share.updates != Updates::Frozen || change.updates.is_some() {
        return Err(ApiError::bad_request(
            "`refresh` is for frozen shares that stay frozen",
        ));
    }
    let change = ShareChange {
        // What is yet to come is now, whoever else writes.
        frozen_at_seq: Some(Seq::MAX),
        ..change
    };
    let changed = service.change_share(&share.id, Some(owner.id), change);
    changed.await.map_err(of_share)
}

/// Deletes a share.
#[utoipa::path(delete, path = "/api/v1/shares/{share}", tag = "shares", params(("share" = String, Path)), responses(
    (status = 204, description = "Its link is dead."),
))]
pub(crate) async fn delete(
    State(service): State<Arc<Service>>,
    owner: Owner,
    ApiPath(share): ApiPath<String>,
) -> Result<StatusCode, ApiError> {
    let ids = vec![named(&service, &share).await?];
    delete_all(&service, &owner, ids).await
}

/// Shares that belong together.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ids {
    /// Their ids.
    #[serde(default)]
    ids: Option<Vec<String>>,
    /// True for all of one's own.
    #[serde(default)]
    all: bool,
}

/// Deletes several shares, all or none.
#[utoipa::path(delete, path = "/api/v1/shares", tag = "shares", request_body = Ids, responses(
    (status = 204, description = "Their links are dead."),
))]
pub(crate) async fn delete_several(
    State(service): State<Arc<Service>>,
    owner: Owner,
    ApiJson(ids): ApiJson<Ids>,
) -> Result<StatusCode, ApiError> {
    match (ids.ids, ids.all) {
        (Some(ids), false) => {
            let named: Result<_, ApiError> = ids.iter().map(|id| share_id(id)).collect();
            return delete_all(&service, &owner, named?).await;
        }
        (None, true) => {}
        // A client that lost its body is not told that its shares are gone.
        (Some(_), true) | (None, false) => {
            return Err(ApiError::bad_request("give either `ids` or `all`"));
        }
    }
    let filter = ShareFilter {
        limit: u32::MAX,
        ..ShareFilter::default()
    };
    let read = service.read(move |r| r.shares(owner.id, &filter));
    let ids = read.await?.shares.into_iter().map(|(share, _)| share.id);
    let (ids, by) = (ids.collect(), Some(owner.id));
    let delete = Write::DeleteShares { ids, by };
    service.write(delete).await.map_err(of_share)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Deletes shares of an owner, all or none.
pub(crate) async fn delete_all(
    service: &Arc<Service>,
    owner: &Owner,
    ids: Vec<ShareId>,
) -> Result<StatusCode, ApiError> {
    if ids.len() > IDS_MAX {
        return Err(ApiError::bad_request(format!(
            "a request deletes at most {IDS_MAX} shares"
        )));
    }
    let by = Some(owner.id);
    let delete = Write::DeleteShares { ids, by };
    service.write(delete).await.map_err(of_share)?;
    Ok(StatusCode::NO_CONTENT)
}

fn of_share(error: impl Into<ApiError>) -> ApiError {
    error.into().about("share")
}
