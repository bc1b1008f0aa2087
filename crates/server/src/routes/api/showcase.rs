//! The showcase: featured shares, in the contract of h2oGPTe, for its stock Python client and for our own pages.
//!
//! What anybody sees of it is asked of the gate. Admins manage it, also while nobody sees it.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Json,
    extract::{Multipart, State, multipart::MultipartError},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use data_encoding::HEXLOWER;
use readalong_model::{Digest, ShareId, ShareVisibility, Timestamp, Updates, can_be_seen};
use readalong_store::{
    ShowcaseEntry, ShowcaseFilter, ShowcaseWords, ShowcaseWrite, StoreError, Thumbnail, Write,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    auth::{Admin, Caller},
    error::{ApiError, ApiJson, ApiPath, ApiQuery},
    gate::{self, Denied, Link},
    headers,
    service::{Service, now, random},
};

/// Featured shares: a page that people look through.
const ENTRIES_MAX: u32 = 1_000;
/// Bytes of a title or a category: a heading, not a text.
const TITLE_BYTES_MAX: usize = 300;
/// Bytes of a description: some sentences.
const DESCRIPTION_BYTES_MAX: usize = 5_000;
/// Bytes of a picture, as the contract has it.
const PICTURE_BYTES_MAX: usize = 20 << 20;
/// Bytes of a picture with the form around it.
pub(super) const FORM_BYTES_MAX: usize = PICTURE_BYTES_MAX + (64 << 10);
/// What a picture can be.
const PICTURE_TYPES: [&str; 4] = ["image/jpeg", "image/png", "image/webp", "image/gif"];

/// The routes.
pub(crate) fn routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(categories))
        .routes(routes!(reorder))
        .routes(routes!(change, remove))
}

/// The routes of pictures, which are larger.
pub(crate) fn picture_routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new().routes(routes!(picture, put_picture, remove_picture))
}

/// A featured share.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ShowcaseChat {
    /// The entry's id.
    id: String,
    /// The share's id.
    #[schema(value_type = String)]
    shared_chat_id: ShareId,
    /// What readers see as the share's title.
    chat_name: String,
    /// What the entry says.
    title: String,
    /// What it says then.
    description: String,
    /// What it stands under.
    category: Option<String>,
    /// Where its picture is.
    thumbnail_path: Option<String>,
    /// Lower ones come first.
    sort_order: i64,
    /// When it was featured.
    #[schema(value_type = String)]
    featured_at: Timestamp,
    /// When it changed last.
    #[schema(value_type = String)]
    updated_at: Timestamp,
    /// Only for those who are signed in.
    is_private: bool,
    /// Later messages do not appear.
    is_frozen: bool,
    /// With images and files.
    includes_artifacts: bool,
    /// When it was shared.
    #[schema(value_type = String)]
    chat_created_at: Timestamp,
    /// Who shared it.
    shared_by_username: Option<String>,
    /// Who featured it.
    featured_by_username: Option<String>,
}

impl From<ShowcaseEntry> for ShowcaseChat {
    fn from(entry: ShowcaseEntry) -> Self {
        let ShowcaseWords {
            title,
            description,
            category,
        } = entry.words;
        let picture = entry.has_thumbnail.then(|| picture_path(&entry.id));
        Self {
            thumbnail_path: picture,
            id: entry.id,
            chat_name: entry.share.name.unwrap_or(entry.chat_title),
            title,
            description,
            category,
            sort_order: entry.sort_order,
            featured_at: entry.featured_at,
            updated_at: entry.updated_at,
            is_private: entry.share.visibility == ShareVisibility::Private,
            is_frozen: entry.share.updates == Updates::Frozen,
            includes_artifacts: entry.share.includes_artifacts,
            chat_created_at: entry.share.created_at,
            shared_chat_id: entry.share.id,
            shared_by_username: entry.shared_by,
            featured_by_username: entry.featured_by,
        }
    }
}

fn picture_path(id: &str) -> String {
    format!("/api/v1/showcase/{id}/thumbnail")
}

/// Which entries are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Listed {
    /// How many to leave out.
    offset: Option<u32>,
    /// How many at most.
    limit: Option<u32>,
}

/// The featured shares that one sees.
#[utoipa::path(get, path = "/api/v1/showcase", tag = "showcase", params(Listed), responses(
    (status = 200, description = "In their order.", body = [ShowcaseChat]),
))]
async fn list(
    State(service): State<Arc<Service>>,
    caller: Caller,
    ApiQuery(listed): ApiQuery<Listed>,
) -> Result<Json<Vec<ShowcaseChat>>, ApiError> {
    let visibility = gate::showcase(&service, &caller).map_err(denied)?;
    let filter = ShowcaseFilter {
        visibility,
        offset: listed.offset.unwrap_or(0),
        limit: listed.limit.unwrap_or(ENTRIES_MAX),
    };
    Ok(Json(entries(&service, filter).await?))
}

/// Featured shares.
///
/// # Errors
/// The store failed.
pub(crate) async fn entries(
    service: &Arc<Service>,
    filter: ShowcaseFilter,
) -> Result<Vec<ShowcaseChat>, ApiError> {
    let entries = service.read(move |r| r.showcase(&filter, now())).await?;
    Ok(entries.into_iter().map(ShowcaseChat::from).collect())
}

/// All that is featured, whoever can open it.
pub(crate) const ALL: ShowcaseFilter = ShowcaseFilter {
    visibility: None,
    offset: 0,
    limit: ENTRIES_MAX,
};

fn denied(denied: Denied) -> ApiError {
    match denied {
        Denied::Gone => ApiError::not_found("showcase"),
        Denied::SignIn | Denied::BadToken => ApiError::unauthorized(),
        Denied::Failed => ApiError::internal("the gate failed"),
    }
}

/// What entries stand under.
#[derive(Debug, Serialize, ToSchema)]
struct Categories {
    /// Each once, in order.
    categories: BTreeSet<String>,
}

/// What the entries that one sees stand under.
#[utoipa::path(get, path = "/api/v1/showcase/categories", tag = "showcase", responses(
    (status = 200, description = "Categories.", body = Categories),
))]
async fn categories(
    State(service): State<Arc<Service>>,
    caller: Caller,
) -> Result<Json<Categories>, ApiError> {
    let visibility = gate::showcase(&service, &caller).map_err(|error| match error {
        Denied::Gone => ApiError::forbidden("the showcase is switched off"),
        error => denied(error),
    })?;
    let filter = ShowcaseFilter { visibility, ..ALL };
    let entries = entries(&service, filter).await?;
    let categories = entries.into_iter().filter_map(|entry| entry.category);
    Ok(Json(Categories {
        categories: categories.collect(),
    }))
}

/// What is to be featured.
#[derive(Debug, Deserialize, ToSchema)]
struct NewEntry {
    /// The share.
    shared_chat_id: String,
    /// What the entry says.
    title: String,
    /// What it says then.
    description: String,
    /// What it stands under.
    category: Option<String>,
}

/// What was made.
#[derive(Debug, Serialize, ToSchema)]
struct Made {
    /// Its id.
    id: String,
}

/// Features a share.
#[utoipa::path(post, path = "/api/v1/showcase", tag = "showcase", request_body = NewEntry, responses(
    (status = 201, description = "The entry's id.", body = Made),
))]
async fn add(
    State(service): State<Arc<Service>>,
    admin: Admin,
    ApiJson(new): ApiJson<NewEntry>,
) -> Result<(StatusCode, Json<Made>), ApiError> {
    let share: Result<ShareId, _> = new.shared_chat_id.parse();
    let share = share.map_err(|_| ApiError::not_found("shared chat"))?;
    let words = ShowcaseWords {
        title: line("title", &new.title)?,
        description: description(&new.description)?,
        category: category(new.category.as_deref())?,
    };
    if service.read(|r| r.showcase_count()).await? >= u64::from(ENTRIES_MAX) {
        return Err(ApiError::conflict(format!(
            "{ENTRIES_MAX} shares are featured; take some away first"
        )));
    }
    let bytes: [u8; 16] = random().map_err(ApiError::internal)?;
    let id = HEXLOWER.encode(&bytes);
    let add = ShowcaseWrite::Add {
        id: id.clone(),
        share,
        words,
        by: admin.user.id,
    };
    let added = service.write(Write::Showcase(add)).await;
    added.map_err(|error| {
        let error = ApiError::from(error).about("shared chat");
        match error.status() {
            StatusCode::CONFLICT => ApiError::conflict("this share is featured already"),
            _ => error,
        }
    })?;
    Ok((StatusCode::CREATED, Json(Made { id })))
}

/// What of an entry is to change.
#[derive(Debug, Deserialize, ToSchema)]
struct EntryChange {
    /// What it says.
    title: Option<String>,
    /// What it says then.
    description: Option<String>,
    /// What it stands under; an empty one for nothing.
    category: Option<String>,
}

/// Says something else of a featured share.
#[utoipa::path(patch, path = "/api/v1/showcase/{id}", tag = "showcase", params(("id" = String, Path)), request_body = EntryChange, responses(
    (status = 204, description = "It says so now."),
))]
async fn change(
    State(service): State<Arc<Service>>,
    _admin: Admin,
    ApiPath(id): ApiPath<String>,
    ApiJson(change): ApiJson<EntryChange>,
) -> Result<StatusCode, ApiError> {
    let mut words = entry(&service, &id).await?.words;
    if let Some(text) = change.title {
        words.title = line("title", &text)?;
    }
    if let Some(text) = change.description {
        words.description = description(&text)?;
    }
    if change.category.is_some() {
        words.category = category(change.category.as_deref())?;
    }
    write(&service, ShowcaseWrite::Change { id, words }).await
}

/// Takes a share out of the showcase; the share stays.
#[utoipa::path(delete, path = "/api/v1/showcase/{id}", tag = "showcase", params(("id" = String, Path)), responses(
    (status = 204, description = "It is not featured any more."),
))]
async fn remove(
    State(service): State<Arc<Service>>,
    _admin: Admin,
    ApiPath(id): ApiPath<String>,
) -> Result<StatusCode, ApiError> {
    let share = entry(&service, &id).await?.share.id;
    let removed = write(&service, ShowcaseWrite::Remove { id }).await?;
    service.underway.cut_share(&share);
    Ok(removed)
}

/// An order of entries.
#[derive(Debug, Deserialize, ToSchema)]
struct Orders {
    /// The places.
    orders: Vec<Order>,
}

/// The place of an entry.
#[derive(Debug, Deserialize, ToSchema)]
struct Order {
    /// The entry.
    id: String,
    /// Lower ones come first.
    sort_order: i64,
}

/// Puts entries into an order, all or none.
#[utoipa::path(post, path = "/api/v1/showcase/reorder", tag = "showcase", request_body = Orders, responses(
    (status = 204, description = "They are in this order."),
))]
async fn reorder(
    State(service): State<Arc<Service>>,
    _admin: Admin,
    ApiJson(orders): ApiJson<Orders>,
) -> Result<StatusCode, ApiError> {
    let orders = orders.orders.into_iter();
    let orders = orders.map(|order| (order.id, order.sort_order)).collect();
    let written = write(&service, ShowcaseWrite::Order(orders)).await;
    written.map_err(|error| match error.status() {
        StatusCode::NOT_FOUND => ApiError::bad_request("`orders` names an entry that is not there"),
        _ => error,
    })
}

/// A featured share's picture.
#[utoipa::path(get, path = "/api/v1/showcase/{id}/thumbnail", tag = "showcase", params(("id" = String, Path)), responses(
    (status = 200, description = "The picture.", body = Vec<u8>, content_type = "image/*"),
))]
async fn picture(
    State(service): State<Arc<Service>>,
    caller: Caller,
    ApiPath(id): ApiPath<String>,
    request: HeaderMap,
) -> Result<Response, ApiError> {
    let turn = service.api.pictures.turn().await?;
    let seen = match gate::showcase(&service, &caller) {
        Ok(seen) => seen,
        // Whoever manages it sees it before others do.
        Err(_) if gate::manages_showcase(&caller) => None,
        Err(error) => return Err(denied(error)),
    };
    let share = entry(&service, &id).await?.share;
    let link = Link::Share(share.id.to_string());
    let cut = service.underway.begin(&share, &link);
    let entry = entry(&service, &id).await?;
    if seen.is_some_and(|visibility| visibility != entry.share.visibility) {
        return Err(ApiError::not_found("entry"));
    }
    // Another picture gives the entry another time.
    let made_of = format!("{id} {}", entry.updated_at.millis());
    let name = Digest::of(made_of.as_bytes());
    let at = service.clone();
    let found = service.read(move |r| {
        let _turn = turn;
        at.api.pictures.known_or(&at.data, name, || {
            let picture = r.thumbnail(&id)?.ok_or(StoreError::NotFound)?;
            let media_type = headers::artifact_type(kind_of(&picture.bytes).unwrap_or_default());
            Ok((picture.bytes.into(), media_type))
        })
    });
    let picture = found.await;
    let picture = picture.map_err(|error| ApiError::from(error).about("thumbnail"))?;
    let answer = picture.content(cut).answer(&request).await;
    let mut response = answer.map_err(ApiError::internal)?;
    let headers = response.headers_mut();
    headers::artifact(headers, picture.media_type(), None);
    match service.visibility(&entry.share) {
        ShareVisibility::Public => headers::keep(headers, &entry.share),
        ShareVisibility::Private => headers::keep_nothing(headers),
    }
    Ok(response)
}

/// Where a picture is.
#[derive(Debug, Serialize, ToSchema)]
struct PicturePath {
    /// Its path.
    thumbnail_path: String,
}

/// Gives a featured share a picture.
#[utoipa::path(post, path = "/api/v1/showcase/{id}/thumbnail", tag = "showcase", params(("id" = String, Path)),
    request_body(content = Vec<u8>, content_type = "multipart/form-data"),
    responses((status = 200, description = "Where it is.", body = PicturePath)))]
async fn put_picture(
    State(service): State<Arc<Service>>,
    _admin: Admin,
    ApiPath(id): ApiPath<String>,
    form: Multipart,
) -> Result<Json<PicturePath>, ApiError> {
    entry(&service, &id).await?;
    let bytes = file_of(form).await?;
    // What it is called and said to be is whatever somebody wrote.
    let kind = kind_of(&bytes).ok_or_else(|| {
        ApiError::bad_request(
            "the file is no picture of a kind that is taken: JPEG, PNG, WebP, GIF",
        )
    })?;
    let picture = Some(Thumbnail {
        media_type: kind.to_owned(),
        bytes,
    });
    let thumbnail_path = picture_path(&id);
    write(&service, ShowcaseWrite::Thumbnail { id, picture }).await?;
    Ok(Json(PicturePath { thumbnail_path }))
}

/// What kind of picture bytes are, if they are one that is taken.
fn kind_of(bytes: &[u8]) -> Option<&'static str> {
    let kind = infer::get(bytes)?.mime_type();
    PICTURE_TYPES.contains(&kind).then_some(kind)
}

/// The part `file` of a form.
async fn file_of(mut form: Multipart) -> Result<Vec<u8>, ApiError> {
    let of_form = |error: MultipartError| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::too_large(PICTURE_BYTES_MAX as u64),
        _ => ApiError::bad_request(error.body_text()),
    };
    while let Some(part) = form.next_field().await.map_err(of_form)? {
        if part.name() == Some("file") {
            let bytes = part.bytes().await.map_err(of_form)?;
            return match bytes.len() > PICTURE_BYTES_MAX {
                true => Err(ApiError::too_large(PICTURE_BYTES_MAX as u64)),
                false => Ok(bytes.into()),
            };
        }
    }
    Err(ApiError::bad_request("the form has no part `file`"))
}

/// Takes a featured share's picture away.
#[utoipa::path(delete, path = "/api/v1/showcase/{id}/thumbnail", tag = "showcase", params(("id" = String, Path)), responses(
    (status = 204, description = "It has none any more."),
))]
async fn remove_picture(
    State(service): State<Arc<Service>>,
    _admin: Admin,
    ApiPath(id): ApiPath<String>,
) -> Result<StatusCode, ApiError> {
    let picture = None;
    write(&service, ShowcaseWrite::Thumbnail { id, picture }).await
}

async fn entry(service: &Arc<Service>, id: &str) -> Result<ShowcaseEntry, ApiError> {
    let id = id.to_owned();
    let found = service.read(move |r| r.showcase_entry(&id, now())).await?;
    found.ok_or_else(|| ApiError::not_found("entry"))
}

async fn write(service: &Arc<Service>, write: ShowcaseWrite) -> Result<StatusCode, ApiError> {
    let written = service.write(Write::Showcase(write)).await;
    written.map_err(|error| ApiError::from(error).about("entry"))?;
    Ok(StatusCode::NO_CONTENT)
}

fn line(what: &str, text: &str) -> Result<String, ApiError> {
    let text = text.trim();
    let is_line = text.len() <= TITLE_BYTES_MAX && !text.contains(char::is_control);
    match is_line && can_be_seen(text) {
        true => Ok(text.to_owned()),
        false => Err(ApiError::bad_request(format!(
            "the {what} is one line of 1 to {TITLE_BYTES_MAX} bytes, with something to see in it"
        ))),
    }
}

fn category(text: Option<&str>) -> Result<Option<String>, ApiError> {
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    text.map(|text| line("category", text)).transpose()
}

fn description(text: &str) -> Result<String, ApiError> {
    let text = text.trim();
    match (1..=DESCRIPTION_BYTES_MAX).contains(&text.len()) {
        true => Ok(text.to_owned()),
        false => Err(ApiError::bad_request(format!(
            "the description has 1 to {DESCRIPTION_BYTES_MAX} bytes"
        ))),
    }
}
