//! Chats: made, listed, renamed, deleted.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use readalong_model::{ChatHead, ChatId, Seq, Timestamp, can_be_seen};
use readalong_redact::Finding;
use readalong_store::{ChatFilter, ChatFound, ChatOrder, ChatPage, ChatRecord, Write};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Range, chat_id, cursor, heading, next_header, wanted};
use crate::{
    auth::Owner,
    error::{ApiError, ApiJson, ApiPath, ApiQuery},
    service::{Service, random},
};

/// What a chat is called that nobody gave a name.
const UNTITLED: &str = "Untitled chat";
/// Bytes of a source's name: a machine, a path and a number.
const SOURCE_BYTES_MAX: usize = 4_096;

/// A chat, without its messages.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChatEntry {
    /// Its id.
    #[schema(value_type = String)]
    id: ChatId,
    /// What readers see as its title.
    title: String,
    /// The title again.
    name: String,
    /// Where it comes from, as whoever created it said.
    pub(crate) source: Option<String>,
    /// Name of the format that it was read from, or empty.
    format: String,
    /// How many messages it has, hidden ones too.
    messages: u32,
    /// How many shares it has.
    shares: u32,
    /// Where what was looked for stands in its messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<FoundEntry>,
    /// The last event that concerns it.
    seq: Seq,
    /// When it began, or was made here.
    #[schema(value_type = String)]
    created_at: Timestamp,
    /// When it changed last here.
    #[schema(value_type = String)]
    updated_at: Timestamp,
}

/// Where in a chat something stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FoundEntry {
    /// The message.
    message: String,
    /// What stands around it, on one line.
    excerpt: String,
}

impl From<ChatFound> for ChatEntry {
    fn from(ChatFound { chat, found }: ChatFound) -> Self {
        let found = found.map(|found| FoundEntry {
            message: found.message.0,
            excerpt: found.excerpt,
        });
        Self {
            found,
            ..Self::from(chat)
        }
    }
}

impl From<ChatRecord> for ChatEntry {
    fn from(chat: ChatRecord) -> Self {
        Self {
            id: chat.id,
            name: chat.head.title.clone(),
            title: chat.head.title,
            source: chat.source,
            format: chat.head.origin.format,
            messages: chat.messages,
            shares: chat.shares,
            found: None,
            seq: chat.last_seq,
            created_at: chat.head.created_at.unwrap_or(chat.created_at),
            updated_at: chat.changed_at,
        }
    }
}

/// What a new chat is to be.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NewChat {
    /// What it is called.
    title: Option<String>,
    /// Names where it comes from: one chat a source.
    source: Option<String>,
    /// Instead of `title`, all that is said of a chat as a whole.
    #[schema(value_type = Option<Object>)]
    head: Option<ChatHead>,
    /// Secrets that stay in it: kinds, rules, ids, or `all`.
    kept: Option<Vec<String>>,
    /// A chat of that source that was deleted is not made again.
    stays_deleted: bool,
}

/// Makes a chat, or finds the one of the same source.
#[utoipa::path(post, path = "/api/v1/chats", tag = "chats", request_body = NewChat, responses(
    (status = 201, description = "It was made.", body = ChatEntry),
    (status = 200, description = "It is there already.", body = ChatEntry),
    (status = 409, description = "It was deleted, and is to stay so."),
))]
pub(crate) async fn create(
    State(service): State<Arc<Service>>,
    owner: Owner,
    ApiJson(new): ApiJson<NewChat>,
) -> Result<(StatusCode, Json<ChatEntry>), ApiError> {
    let head = match (new.title, new.head) {
        (Some(_), Some(_)) => {
            return Err(ApiError::bad_request("give either `title` or `head`"));
        }
        (_, Some(mut head)) => {
            head.title = shortened_title(head.title);
            head
        }
        (title, None) => ChatHead {
            title: heading("title", title.unwrap_or_else(|| UNTITLED.to_owned()))?,
            ..ChatHead::default()
        },
    };
    if let Some(source) = new.source.clone().filter(|_| new.stays_deleted) {
        let is_deleted = service.read(move |r| r.is_deleted_source(owner.id, &source));
        if is_deleted.await? {
            return Err(ApiError::conflict(
                "its chat was deleted; `readalong follow` on the file itself begins it anew",
            ));
        }
    }
    let (chat, created) = find_or_create(&service, &owner, new.source, head).await?;
    if let Some(kept) = new.kept {
        keep(&service, &owner, &chat, kept).await?;
    }
    let status = match created {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    Ok((status, Json(record(&service, &owner, chat).await?.into())))
}

/// Makes a chat, or finds the owner's chat of that source; tells which.
async fn find_or_create(
    service: &Arc<Service>,
    owner: &Owner,
    source: Option<String>,
    head: ChatHead,
) -> Result<(ChatId, bool), ApiError> {
    check_source(source.as_deref())?;
    let id = ChatId::from_random(random().map_err(ApiError::internal)?);
    let write = Write::CreateChat {
        id: id.clone(),
        owner: owner.id,
        source,
        head,
    };
    let written = service.write(write).await?;
    Ok((written.chat.unwrap_or(id), written.created))
}

/// # Errors
/// The name of a source is empty or too long.
pub(super) fn check_source(source: Option<&str>) -> Result<(), ApiError> {
    match source {
        Some(source) if !(1..=SOURCE_BYTES_MAX).contains(&source.len()) => Err(
            ApiError::bad_request(format!("`source` has 1 to {SOURCE_BYTES_MAX} bytes")),
        ),
        _ => Ok(()),
    }
}

/// The chat, where it is the owner's; else it does not exist.
pub(super) async fn record(
    service: &Arc<Service>,
    owner: &Owner,
    chat: ChatId,
) -> Result<ChatRecord, ApiError> {
    let owner = owner.id;
    let found = service.read(move |r| r.chat_of(owner, &chat)).await?;
    found.ok_or_else(|| ApiError::not_found("chat"))
}

/// Which chats are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Listed {
    /// A piece of the title.
    filter: Option<String>,
    /// A piece of the title or of what messages say; of messages from three characters on.
    search: Option<String>,
    /// Exactly this source.
    source: Option<String>,
    /// `updated` (default), `created` or `title`.
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

/// Which chats come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Sort {
    /// The one that changed last.
    #[default]
    Updated,
    /// The one that was made last.
    Created,
    /// By title.
    Title,
}

impl Sort {
    /// The word that stands for it in a query.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Updated => "",
            Self::Created => "created",
            Self::Title => "title",
        }
    }
}

impl From<Sort> for ChatOrder {
    fn from(sort: Sort) -> Self {
        match sort {
            Sort::Updated => Self::Changed,
            Sort::Created => Self::Created,
            Sort::Title => Self::Title,
        }
    }
}

/// The chats of one's own.
#[utoipa::path(get, path = "/api/v1/chats", tag = "chats", params(Listed), responses(
    (status = 200, description = "Chats; the header `x-next` says where the list goes on.", body = [ChatEntry]),
))]
pub(crate) async fn list(
    State(service): State<Arc<Service>>,
    owner: Owner,
    ApiQuery(listed): ApiQuery<Listed>,
) -> Result<(HeaderMap, Json<Vec<ChatEntry>>), ApiError> {
    let range = Range::new(listed.offset, listed.limit)?;
    let filter = ChatFilter {
        text: wanted(listed.filter),
        search: wanted(listed.search),
        order: listed.sort.into(),
        after: cursor(listed.after.as_deref())?,
        offset: range.offset,
        limit: range.limit,
    };
    let page = service
        .read(move |r| match listed.source {
            Some(source) => {
                let chat = r.chat_by_source(owner.id, &source)?;
                let found = |chat| ChatFound { chat, found: None };
                Ok(ChatPage {
                    chats: chat.into_iter().map(found).collect(),
                    next: None,
                    is_whole: true,
                })
            }
            None => r.chats(owner.id, &filter),
        })
        .await?;
    let chats = page.chats.into_iter().map(ChatEntry::from).collect();
    Ok((next_header(page.next), Json(chats)))
}

/// A number of things.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Count {
    /// How many.
    count: u64,
}

/// How many chats are one's own.
#[utoipa::path(get, path = "/api/v1/chats/count", tag = "chats", responses(
    (status = 200, description = "Their number.", body = Count),
))]
pub(crate) async fn count(
    State(service): State<Arc<Service>>,
    owner: Owner,
) -> Result<Json<Count>, ApiError> {
    let all = ChatFilter::default();
    let count = service.read(move |r| r.count_chats(owner.id, &all)).await?;
    Ok(Json(Count { count }))
}

/// One chat.
#[utoipa::path(get, path = "/api/v1/chats/{chat}", tag = "chats", params(("chat" = String, Path)), responses(
    (status = 200, description = "The chat.", body = ChatEntry),
))]
pub(crate) async fn one(
    State(service): State<Arc<Service>>,
    owner: Owner,
    ApiPath(chat): ApiPath<String>,
) -> Result<Json<ChatEntry>, ApiError> {
    let chat = record(&service, &owner, chat_id(&chat)?).await?;
    Ok(Json(chat.into()))
}

/// What of a chat is to change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChatChange {
    /// What it is called from now on.
    #[serde(alias = "name")]
    title: Option<String>,
    /// Secrets that stay in it from now on: kinds, rules, ids, or `all`. What was taken out comes back where its source brings it again.
    kept: Option<Vec<String>>,
}

/// Gives a chat another name.
#[utoipa::path(patch, path = "/api/v1/chats/{chat}", tag = "chats", params(("chat" = String, Path)), request_body = ChatChange, responses(
    (status = 200, description = "The chat.", body = ChatEntry),
))]
pub(crate) async fn change(
    State(service): State<Arc<Service>>,
    owner: Owner,
    ApiPath(chat): ApiPath<String>,
    ApiJson(change): ApiJson<ChatChange>,
) -> Result<Json<ChatEntry>, ApiError> {
    let chat = chat_id(&chat)?;
    if change.title.is_none() && change.kept.is_none() {
        return Err(ApiError::bad_request("give `title` or `kept`"));
    }
    if let Some(title) = change.title {
        let rename = Write::Rename {
            chat: chat.clone(),
            by: Some(owner.id),
            title: heading("title", title)?,
        };
        service.write(rename).await.map_err(of_chat)?;
    }
    if let Some(kept) = change.kept {
        keep(&service, &owner, &chat, kept).await?;
    }
    Ok(Json(record(&service, &owner, chat).await?.into()))
}

/// Characters of a text that is taken out wherever it stands.
const TEXT_CHARS_MIN: usize = 4;

/// Says which secrets stay in a chat.
pub(super) async fn keep(
    service: &Arc<Service>,
    owner: &Owner,
    chat: &ChatId,
    kept: Vec<String>,
) -> Result<(), ApiError> {
    let keep = Write::Keep {
        chat: chat.clone(),
        by: Some(owner.id),
        kept,
    };
    service.write(keep).await.map_err(of_chat)?;
    service.redactions.forget(chat);
    Ok(())
}

/// What going over a chat found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Rescanned {
    /// Secrets that are not in it any more, and those that stay because the owner wants them to.
    #[schema(value_type = Vec<Object>)]
    redactions: Vec<Finding>,
}

/// What is to go besides what the rules find.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Removal {
    /// Texts that go wherever they stand.
    texts: Vec<String>,
}

/// Goes over all that is kept of a chat by the rules of now.
#[utoipa::path(post, path = "/api/v1/chats/{chat}/rescan", tag = "chats", params(("chat" = String, Path)), request_body = Removal, responses(
    (status = 200, description = "What was found is taken out.", body = Rescanned),
))]
pub(crate) async fn rescan(
    State(service): State<Arc<Service>>,
    owner: Owner,
    ApiPath(chat): ApiPath<String>,
    ApiJson(removal): ApiJson<Removal>,
) -> Result<Json<Rescanned>, ApiError> {
    let chat = record(&service, &owner, chat_id(&chat)?).await?.id;
    let is_short = |text: &String| text.trim().chars().count() < TEXT_CHARS_MIN;
    if removal.texts.iter().any(is_short) {
        return Err(ApiError::bad_request(format!(
            "a text that is to go has at least {TEXT_CHARS_MIN} characters: a shorter one stands everywhere"
        )));
    }
    let report = service.rescan(&chat, removal.texts).await?;
    Ok(Json(Rescanned {
        redactions: report.findings,
    }))
}

/// Deletes a chat and all its shares.
#[utoipa::path(delete, path = "/api/v1/chats/{chat}", tag = "chats", params(("chat" = String, Path)), responses(
    (status = 204, description = "It is gone."),
))]
pub(crate) async fn delete(
    State(service): State<Arc<Service>>,
    owner: Owner,
    ApiPath(chat): ApiPath<String>,
) -> Result<StatusCode, ApiError> {
    let delete = Write::DeleteChat {
        chat: chat_id(&chat)?,
        by: Some(owner.id),
    };
    service.write(delete).await.map_err(of_chat)?;
    Ok(StatusCode::NO_CONTENT)
}

/// An error of the store about a chat.
pub(super) fn of_chat(error: impl Into<ApiError>) -> ApiError {
    error.into().about("chat")
}

/// A title of foreign text: never refused, cut where it is too long.
pub(super) fn shortened_title(title: String) -> String {
    let title = beginning(&title, super::TITLE_BYTES_MAX);
    match can_be_seen(title) {
        true => title.to_owned(),
        false => UNTITLED.to_owned(),
    }
}

/// As much of a text as has at most so many bytes.
pub(super) fn beginning(text: &str, bytes_max: usize) -> &str {
    let mut end = bytes_max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
