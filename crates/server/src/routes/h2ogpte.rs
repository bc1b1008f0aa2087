//! Shared chats in the contract of h2oGPTe, for its stock Python client: a shared chat is a share, a chat session is a chat.
//!
//! Names, defaults and statuses are that contract's and not ours; docs/api.md says which.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use readalong_model::{
    Branches, ChatId, Digest, Message, Part, Role, Share, ShareId, ShareVisibility, Snapshot,
    Status, ThreadId, Timestamp, Updates,
};
use readalong_store::{ShareChange, ShareFilter, ShareOrder, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    accounts,
    auth::{Owner, SignedIn},
    error::{ApiError, ApiJson, ApiPath, ApiQuery},
    gate::{self, Denied, Link},
    routes::api::shares,
    service::{Service, now},
};

/// What makes the answers: another one may word them otherwise.
pub(crate) const BUILD: &str = concat!("readalong ", env!("CARGO_PKG_VERSION"));
/// The version that is told to a client that does not tell its own.
const VERSION: &str = "1.7.5";
/// What admins may do there.
const MANAGE_SHOWCASE: &str = "h2ogpte/chat/manage_showcase";
/// Bytes of a version that a client may tell.
const VERSION_BYTES_MAX: usize = 100;
/// Entries of a list, where nobody says how many.
const LIST_DEFAULT: u32 = 100;
/// Entries of a list at most: clients of this contract ask for all at once.
const LIST_MAX: u32 = 10_000;
/// The routes.
pub(crate) fn routes() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::new()
        .routes(routes!(meta))
        .routes(routes!(share, list))
        .routes(routes!(detail, update, delete))
        .routes(routes!(batch_delete))
}

/// What a client asks first. All members have to be there.
#[utoipa::path(get, path = "/rpc/meta", tag = "h2ogpte", responses(
    (status = 200, description = "About server and user.", body = Object),
))]
async fn meta(caller: SignedIn, headers: HeaderMap) -> Json<Value> {
    let told = headers
        .get("x-client-version")
        .and_then(|version| version.to_str().ok());
    let version = told
        .filter(|version| !version.is_empty() && version.len() <= VERSION_BYTES_MAX)
        .unwrap_or(VERSION);
    let name = &caller.user.name;
    let permissions: &[&str] = match accounts::is_admin(&caller.user, caller.proof) {
        true => &[MANAGE_SHOWCASE],
        false => &[],
    };
    Json(json!({
        "version": version,
        "build": BUILD,
        "username": name,
        "user_id": caller.user.id.0.to_string(),
        "subject": name,
        "email": "",
        "license_expired": false,
        "license_expiry_date": "",
        "is_guest": false,
        "global_configs": [],
        "user_configs": [],
        "picture": null,
        "groups": null,
        "workspaces": null,
        "permissions": permissions,
        "ui_config": {
            "logo": "",
            "chat_logo": "",
            "primary_color": "",
            "chat_name": "readalong",
            "greeting": "",
            "show_private_button": true,
            "show_workers_status": false,
            "show_live_logs": false,
            "show_eval": false,
            "show_extractors": false,
            "public_mode": false,
        },
    }))
}

/// What is to be shared, and how.
#[derive(Debug, Deserialize, ToSchema)]
struct NewSharedChat {
    /// Id of the chat.
    chat_session_id: String,
    /// Only for those who are signed in.
    #[serde(default)]
    is_private: bool,
    /// Later messages do not appear.
    #[serde(default = "yes")]
    is_frozen: bool,
    /// With images and files.
    #[serde(default)]
    includes_artifacts: bool,
}

fn yes() -> bool {
    true
}

/// Where a chat is shared.
#[derive(Debug, Serialize, ToSchema)]
struct SharedChatUrl {
    /// The link.
    url: String,
    /// Its path; the last piece is the shared chat's id.
    relative_path: String,
}

/// Shares a chat.
#[utoipa::path(post, path = "/api/v1/shared_chats", tag = "h2ogpte", request_body = NewSharedChat, responses(
    (status = 201, description = "Where.", body = SharedChatUrl),
))]
async fn share(
    State(service): State<Arc<Service>>,
    owner: Owner,
    ApiJson(new): ApiJson<NewSharedChat>,
) -> Result<(StatusCode, Json<SharedChatUrl>), ApiError> {
    let chat: Result<ChatId, _> = new.chat_session_id.parse();
    let chat =
        chat.map_err(|error| ApiError::bad_request(format!("`chat_session_id`: {error}")))?;
    let share = Share {
        id: shares::new_id()?,
        chat,
        owner: owner.id,
        name: None,
        visibility: visibility(new.is_private),
        updates: match new.is_frozen {
            true => Updates::Frozen,
            false => Updates::Live,
        },
        includes_artifacts: new.includes_artifacts,
        created_at: now(),
        expires_at: None,
        frozen_at_seq: None,
        bundle: None,
    };
    let share = service.create_share(share).await;
    let share =
        share.map_err(|error| ApiError::from(error).about("chat").not_found_as_forbidden())?;
    let shared = SharedChatUrl {
        url: shares::url(&service, &share.id),
        relative_path: shares::relative_path(&share.id),
    };
    Ok((StatusCode::CREATED, Json(shared)))
}

fn visibility(is_private: bool) -> ShareVisibility {
    match is_private {
        true => ShareVisibility::Private,
        false => ShareVisibility::Public,
    }
}

/// Which shared chats are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Listed {
    /// How many to leave out.
    offset: Option<u32>,
    /// How many at most.
    limit: Option<u32>,
    /// A piece of the name.
    name_filter: Option<String>,
    /// `all`, `private`, `public`, `frozen` or `active`.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    filter_type: FilterType,
    /// `all`, `featured` or `not_featured`.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    showcase_filter: ShowcaseFilter,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FilterType {
    #[default]
    All,
    Private,
    Public,
    Frozen,
    Active,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ShowcaseFilter {
    #[default]
    All,
    Featured,
    NotFeatured,
}

/// A shared chat in a list.
#[derive(Debug, Serialize, ToSchema)]
struct SharedChatInfo {
    /// Its id.
    #[schema(value_type = String)]
    id: ShareId,
    /// Only for those who are signed in.
    is_private: bool,
    /// Later messages do not appear.
    is_frozen: bool,
    /// With images and files.
    includes_artifacts: bool,
    /// When it was shared.
    #[schema(value_type = String)]
    created_at: Timestamp,
    /// What readers see as its title.
    name: String,
    /// Id of the chat.
    #[schema(value_type = String)]
    chat_session_id: ChatId,
    /// The entry of the showcase that features it.
    showcase_id: Option<String>,
}

/// The shared chats of one's own.
#[utoipa::path(get, path = "/api/v1/shared_chats", tag = "h2ogpte", params(Listed), responses(
    (status = 200, description = "Shared chats.", body = [SharedChatInfo]),
))]
async fn list(
    State(service): State<Arc<Service>>,
    caller: SignedIn,
    ApiQuery(listed): ApiQuery<Listed>,
) -> Result<Json<Vec<SharedChatInfo>>, ApiError> {
    let limit = listed.limit.unwrap_or(LIST_DEFAULT);
    if limit > LIST_MAX {
        return Err(ApiError::bad_request(format!(
            "`limit` is at most {LIST_MAX}"
        )));
    }
    let (visibility, updates) = match listed.filter_type {
        FilterType::All => (None, None),
        FilterType::Private => (Some(ShareVisibility::Private), None),
        FilterType::Public => (Some(ShareVisibility::Public), None),
        FilterType::Frozen => (None, Some(Updates::Frozen)),
        FilterType::Active => (None, Some(Updates::Live)),
    };
    let offset = listed.offset.unwrap_or(0);
    // Few are featured, so all of one's own are looked through for them.
    let (read_offset, read_limit) = match listed.showcase_filter {
        ShowcaseFilter::All => (offset, limit),
        ShowcaseFilter::Featured | ShowcaseFilter::NotFeatured => (0, u32::MAX),
    };
    let filter = ShareFilter {
        text: listed.name_filter.filter(|text| !text.is_empty()),
        visibility,
        updates,
        chat: None,
        order: ShareOrder::Newest,
        after: None,
        offset: read_offset,
        limit: read_limit,
    };
    let (mut shares, featured) = service
        .read(move |r| Ok((r.shares(caller.user.id, &filter)?.shares, r.showcase_ids()?)))
        .await?;
    if listed.showcase_filter != ShowcaseFilter::All {
        let is_wanted = listed.showcase_filter == ShowcaseFilter::Featured;
        shares.retain(|(share, _)| featured.contains_key(&share.id) == is_wanted);
        shares = shares
            .into_iter()
            .skip(offset as usize)
            .take(limit as usize)
            .collect();
    }
    let info = |(share, title): (Share, String)| SharedChatInfo {
        showcase_id: featured.get(&share.id).cloned(),
        is_private: share.visibility == ShareVisibility::Private,
        is_frozen: share.updates == Updates::Frozen,
        includes_artifacts: share.includes_artifacts,
        created_at: share.created_at,
        name: share.name.unwrap_or(title),
        chat_session_id: share.chat,
        id: share.id,
    };
    Ok(Json(shares.into_iter().map(info).collect()))
}

/// A shared chat with what it shows.
#[derive(Debug, Serialize, ToSchema)]
struct SharedChatDetail {
    /// What readers see as its title.
    name: String,
    /// When it was shared.
    #[schema(value_type = String)]
    shared_at: Timestamp,
    /// Who shared it.
    shared_by: String,
    /// Only for those who are signed in.
    is_private: bool,
    /// Later messages do not appear.
    is_frozen: bool,
    /// With images and files.
    includes_artifacts: bool,
    /// Its messages as they are read first.
    messages: Vec<SharedMessage>,
}

/// A message of a shared chat.
#[derive(Debug, Serialize, ToSchema)]
struct SharedMessage {
    /// Its id.
    id: String,
    /// Its prose, Markdown.
    content: String,
    /// `user`, `assistant`, `system` or `tool`.
    #[schema(value_type = String)]
    role: Role,
    /// Nobody votes here.
    votes: i32,
    /// When it was written, or the chat was shared.
    #[schema(value_type = String)]
    created_at: Timestamp,
    /// True where it names sources.
    has_references: bool,
    /// How many sources it names.
    total_references: usize,
    /// Who wrote it, where known.
    username: Option<String>,
    /// The message of the human that it answers.
    reply_to: Option<String>,
    /// What went wrong with it.
    error: Option<String>,
    /// Not known here.
    llm_args: Option<String>,
    /// What it holds beside prose.
    type_list: Vec<SharedPiece>,
}

/// A piece of a message that is no prose.
#[derive(Debug, Serialize, ToSchema)]
struct SharedPiece {
    /// What kind of piece.
    message_type: &'static str,
    /// What it says, as text or JSON.
    content: String,
}

/// A shared chat, for everybody if it is public.
#[utoipa::path(get, path = "/api/v1/shared_chats/{id}", tag = "h2ogpte", params(("id" = String, Path)), responses(
    (status = 200, description = "The shared chat.", body = SharedChatDetail),
))]
async fn detail(
    State(service): State<Arc<Service>>,
    ApiPath(id): ApiPath<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let link = match id.parse::<ShareId>() {
        Ok(_) => Link::Share(id),
        Err(_) => Link::Legacy(shares::legacy_path(&id)),
    };
    let admit = || {
        gate::admit(&service, &link, &headers).map_err(|denied| match denied {
            Denied::Gone => ApiError::not_found("shared chat"),
            Denied::SignIn | Denied::BadToken => ApiError::unauthorized(),
            Denied::Failed => ApiError::internal("the gate cannot read the store"),
        })
    };
    admit()?;
    let turn = service.api.whole_chats.turn().await?;
    let cut = service.underway.begin(&*admit()?, &link);
    let share = admit()?;
    let at = service.clone();
    let made = service.read(move |r| {
        let _turn = turn;
        let record = r.chat(&share.chat)?.ok_or(StoreError::NotFound)?;
        let card = Service::card(r, &share)?;
        let made_of = format!(
            "{BUILD} {} {} {} {share:?}",
            at.store.epoch(),
            record.last_seq,
            card.shared_by
        );
        let name = Digest::of(made_of.as_bytes());
        at.api.whole_chats.known_or(&at.data, name, || {
            let chat = r.whole_chat(&share.chat, share.frozen_at_seq)?;
            let chat = chat.ok_or(StoreError::NotFound)?;
            let snapshot = Snapshot::take(chat, &Service::options(&share));
            let detail = SharedChatDetail {
                messages: messages(&snapshot, share.created_at),
                name: snapshot.title,
                shared_at: card.shared_at,
                shared_by: card.shared_by,
                is_private: share.visibility == ShareVisibility::Private,
                is_frozen: share.updates == Updates::Frozen,
                includes_artifacts: share.includes_artifacts,
            };
            let json = serde_json::to_vec(&detail).expect("texts and numbers are JSON");
            Ok((json.into(), "application/json"))
        })
    });
    let made = made.await;
    // It may have been taken back while its messages were read.
    admit()?;
    let made = made.map_err(|error| ApiError::from(error).about("shared chat"))?;
    let answer = made.content(cut).answer(&headers).await;
    answer.map_err(ApiError::internal)
}

/// The main thread of a snapshot as it is read first.
fn messages(snapshot: &Snapshot, shared_at: Timestamp) -> Vec<SharedMessage> {
    let branches = Branches::of(&snapshot.messages, ThreadId::MAIN);
    let path = branches.active_path(&snapshot.messages, snapshot.active_leaf.as_ref());
    let mut asked: Option<String> = None;
    let mut shared = Vec::with_capacity(path.len());
    for message in path.into_iter().map(|place| &snapshot.messages[place]) {
        let is_question = message.role == Role::User;
        let reply_to = asked.clone().filter(|_| !is_question);
        if is_question {
            asked = Some(message.id.0.clone());
        }
        shared.push(shared_message(message, reply_to, shared_at));
    }
    shared
}

fn shared_message(
    message: &Message,
    reply_to: Option<String>,
    shared_at: Timestamp,
) -> SharedMessage {
    let mut content = String::new();
    let mut type_list = Vec::new();
    let mut sources = 0;
    for part in &message.parts {
        match part {
            Part::Text { markdown } => {
                if !content.is_empty() {
                    content.push_str("\n\n");
                }
                content.push_str(markdown);
            }
            other => {
                sources += usize::from(matches!(other, Part::Source { .. }));
                type_list.push(SharedPiece::of(other));
            }
        }
    }
    let author = &message.author;
    SharedMessage {
        id: message.id.0.clone(),
        content,
        role: message.role,
        votes: 0,
        created_at: message.at.unwrap_or(shared_at),
        has_references: sources > 0,
        total_references: sources,
        username: author.name.clone().or_else(|| author.model.clone()),
        reply_to,
        error: match message.status {
            Status::Error => Some("it ended in an error".to_owned()),
            Status::Aborted => Some("it was interrupted".to_owned()),
            Status::Complete | Status::Partial => None,
        },
        llm_args: None,
        type_list,
    }
}

impl SharedPiece {
    fn of(part: &Part) -> Self {
        let message_type = match part {
            Part::Text { .. } => "text",
            Part::Reasoning { .. } => "reasoning",
            Part::ToolCall(_) => "tool_call",
            Part::ToolResult { .. } => "tool_result",
            Part::Image { .. } => "image",
            Part::File { .. } => "file",
            Part::Source { .. } => "source",
            Part::Notice { .. } => "notice",
            Part::Unknown { .. } => "unknown",
        };
        let content = match part {
            Part::Text { markdown } | Part::Reasoning { markdown, .. } => markdown.clone(),
            Part::Notice { text, .. } => text.clone(),
            other => serde_json::to_string(other).unwrap_or_default(),
        };
        Self {
            message_type,
            content,
        }
    }
}

/// What of a shared chat is to change. Members that are not named here are passed over.
#[derive(Debug, Deserialize, ToSchema)]
struct SharedChatChange {
    /// Only for those who are signed in.
    is_private: Option<bool>,
    /// With images and files.
    includes_artifacts: Option<bool>,
    /// Cannot be changed.
    is_frozen: Option<bool>,
}

/// Changes a shared chat.
#[utoipa::path(patch, path = "/api/v1/shared_chats/{id}", tag = "h2ogpte", params(("id" = String, Path)), request_body = SharedChatChange, responses(
    (status = 204, description = "It is so."),
))]
async fn update(
    State(service): State<Arc<Service>>,
    owner: Owner,
    ApiPath(id): ApiPath<String>,
    ApiJson(change): ApiJson<SharedChatChange>,
) -> Result<StatusCode, ApiError> {
    if change.is_frozen.is_some() {
        return Err(ApiError::bad_request("`is_frozen` cannot be changed"));
    }
    let id = own_share(&service, &id).await?;
    let change = ShareChange {
        visibility: change.is_private.map(visibility),
        includes_artifacts: change.includes_artifacts,
        ..ShareChange::default()
    };
    let changed = service.change_share(&id, Some(owner.id), change).await;
    changed.map_err(|error| {
        ApiError::from(error)
            .about("share")
            .not_found_as_forbidden()
    })?;
    Ok(StatusCode::NO_CONTENT)
}

/// The id of a share that is to be changed or deleted; legacy links refuse both.
async fn own_share(service: &Arc<Service>, id: &str) -> Result<ShareId, ApiError> {
    if let Ok(id) = id.parse() {
        return Ok(id);
    }
    shares::refuse_legacy(service, id).await?;
    Err(ApiError::bad_request("this is no id of a shared chat"))
}

/// Deletes a shared chat; the chat stays.
#[utoipa::path(delete, path = "/api/v1/shared_chats/{id}", tag = "h2ogpte", params(("id" = String, Path)), responses(
    (status = 204, description = "It is gone."),
))]
async fn delete(
    State(service): State<Arc<Service>>,
    owner: Owner,
    ApiPath(id): ApiPath<String>,
) -> Result<StatusCode, ApiError> {
    let ids = vec![own_share(&service, &id).await?];
    let deleted = shares::delete_all(&service, &owner, ids).await;
    deleted.map_err(ApiError::not_found_as_forbidden)
}

/// Shared chats that belong together.
#[derive(Debug, Deserialize, ToSchema)]
struct SharedChatIds {
    /// Their ids.
    shared_chat_ids: Vec<String>,
}

/// Deletes shared chats, all or none.
#[utoipa::path(post, path = "/api/v1/shared_chats/batch_delete", tag = "h2ogpte", request_body = SharedChatIds, responses(
    (status = 204, description = "They are gone."),
))]
async fn batch_delete(
    State(service): State<Arc<Service>>,
    owner: Owner,
    ApiJson(shared): ApiJson<SharedChatIds>,
) -> Result<StatusCode, ApiError> {
    let mut ids = Vec::with_capacity(shared.shared_chat_ids.len());
    for id in &shared.shared_chat_ids {
        ids.push(own_share(&service, id).await?);
    }
    let deleted = shares::delete_all(&service, &owner, ids).await;
    deleted.map_err(ApiError::not_found_as_forbidden)
}
