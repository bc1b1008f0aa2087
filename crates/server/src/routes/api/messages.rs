//! Messages of a chat: added, replaced, read, edited, hidden, erased.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE},
};
use readalong_model::{
    Author, ChangeSet, ChatId, Message, MessageId, Part, Role, Seq, Status, Timestamp, UserId,
    Visibility,
};
use readalong_redact::Finding;
use readalong_store::{Reader, StoreError, Write};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::{
    Range, X_NEXT, chat_id,
    chats::{of_chat, record},
};
use crate::{
    auth::Owner,
    error::{ApiError, ApiJson, ApiPath, ApiQuery},
    redaction::MESSAGES_AT_ONCE,
    service::{Service, now, random},
};

/// Messages of one request: a batch, not an archive.
pub(super) const MESSAGES_MAX: usize = 10_000;
/// Bytes of a list of messages, beyond which it ends with the message that it has come to: messages can be long.
const LIST_BYTES_MAX: usize = 4 << 20;
/// Bytes of a message's id: native ids have 30 to 100.
const ID_BYTES_MAX: usize = 512;

/// The short form of a message.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShortMessage {
    /// Names it within its chat; a new one is made where it is left out.
    id: Option<String>,
    /// `user`, `assistant`, `system` or `tool`.
    #[schema(value_type = String)]
    role: Role,
    /// What it says, Markdown.
    text: String,
    /// When; now where it is left out and the message is new.
    #[schema(value_type = Option<String>)]
    at: Option<Timestamp>,
    /// `complete` (default), `partial`, `aborted` or `error`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    status: Status,
    /// Who wrote it: `kind`, `name`, `model`.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    author: Author,
    /// The message that it follows, for branches.
    parent: Option<String>,
}

/// What became of messages that were sent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Put {
    /// The last event of the chat.
    seq: Seq,
    /// Their ids, in the order of the request.
    #[schema(value_type = Vec<String>)]
    ids: Vec<MessageId>,
    /// How many messages the chat has now.
    messages: u32,
    /// Secrets that were taken out of them.
    #[schema(value_type = Vec<Object>)]
    redactions: Vec<Finding>,
}

/// Adds messages, or replaces those with the same id.
#[utoipa::path(post, path = "/api/v1/chats/{chat}/messages", tag = "messages", params(("chat" = String, Path)),
    request_body(content = [ShortMessage], description = "One message or several, in short or long form."),
    responses((status = 200, description = "They are there.", body = Put)))]
pub(crate) async fn put(
    State(service): State<Arc<Service>>,
    owner: Owner,
    ApiPath(chat): ApiPath<String>,
    body: Bytes,
) -> Result<Json<Put>, ApiError> {
    let chat = chat_id(&chat)?;
    let sent = Sent::parse(&body)?;
    let ids = sent.iter().map(|sent| sent.message.id.clone()).collect();
    // Places are given one request after the other: two that add at once would take the same.
    let _turn = service.api.sources.turn(&chat).await;
    let (owner, of) = (owner.id, chat.clone());
    let is_long = sent.len() > MESSAGES_AT_ONCE;
    let place = move |r: &Reader<'_>| placed(r, owner, &of, sent);
    let changes = match is_long {
        true => service.read(place).await.map_err(of_chat)?,
        false => service.read_now(place).map_err(of_chat)?,
    };
    let brought = service.bring(chat, Some(owner), changes, true);
    let (written, report) = brought.await.map_err(of_chat)?;
    let applied = written.applied.ok_or_else(|| ApiError::not_found("chat"))?;
    Ok(Json(Put {
        redactions: report.findings,
        seq: applied.last_seq,
        ids,
        messages: applied.messages,
    }))
}

/// A message as it was sent.
struct Sent {
    message: Message,
    /// True where the sender left out when; it is now, or as it was.
    at_is_left_out: bool,
}

impl Sent {
    /// Reads one message or an array of them.
    fn parse(body: &[u8]) -> Result<Vec<Self>, ApiError> {
        let unreadable = |error| ApiError::bad_request(format!("the body cannot be read: {error}"));
        let raw: Vec<&RawValue> = match body.trim_ascii_start().first() {
            Some(b'[') => serde_json::from_slice(body).map_err(unreadable)?,
            _ => vec![serde_json::from_slice(body).map_err(unreadable)?],
        };
        if raw.len() > MESSAGES_MAX {
            return Err(ApiError::bad_request(format!(
                "a request has at most {MESSAGES_MAX} messages"
            )));
        }
        let numbered = raw.into_iter().enumerate();
        numbered
            .map(|(number, raw)| {
                Self::parse_one(raw.get())
                    .map_err(|reason| ApiError::bad_request(format!("message {number}: {reason}")))
            })
            .collect()
    }

    fn parse_one(json: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Form<'a> {
            #[serde(borrow)]
            parts: Option<&'a RawValue>,
            #[serde(borrow)]
            text: Option<&'a RawValue>,
            #[serde(borrow)]
            id: Option<&'a RawValue>,
            #[serde(borrow)]
            visibility: Option<&'a RawValue>,
        }
        if !json.starts_with('{') {
            return Err("it is not a JSON object".to_owned());
        }
        let form: Form<'_> = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let mut message = match (form.parts, form.text) {
            (Some(_), Some(_)) => return Err("give either `text` or `parts`".to_owned()),
            (Some(_), None) => Self::parse_long(json, form.id.is_some())?,
            (None, _) => Self::parse_short(json)?,
        };
        // What a model is told beforehand is shown to readers only where the sender says so.
        if message.role == Role::System && form.visibility.is_none() {
            message.visibility = Visibility::Hidden;
        }
        check_id(&message.id.0)?;
        Ok(Self {
            at_is_left_out: message.at.is_none(),
            message,
        })
    }

    fn parse_long(json: &str, has_id: bool) -> Result<Message, String> {
        let json = match has_id {
            true => Cow::Borrowed(json),
            // It has `parts`: more members follow.
            false => Cow::Owned(format!("{{\"id\":\"{}\",{}", new_id()?, &json[1..])),
        };
        serde_json::from_str(&json).map_err(|error| error.to_string())
    }

    fn parse_short(json: &str) -> Result<Message, String> {
        let short: ShortMessage = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let id = match short.id {
            Some(id) => id,
            None => new_id()?,
        };
        Ok(Message {
            at: short.at,
            status: short.status,
            author: short.author,
            parent: short.parent.map(MessageId),
            parts: vec![Part::Text {
                markdown: short.text,
            }],
            ..Message::new(id, short.role)
        })
    }
}

fn new_id() -> Result<String, String> {
    let bytes: [u8; 16] = random().map_err(|error| error.to_string())?;
    Ok(data_encoding::HEXLOWER.encode(&bytes))
}

/// Gives messages their places: those that are there keep theirs, others follow the last.
fn placed(
    reader: &Reader<'_>,
    owner: UserId,
    chat: &ChatId,
    sent: Vec<Sent>,
) -> Result<ChangeSet, StoreError> {
    let Some((mut next, mut last)) = reader.end(owner, chat)? else {
        return Err(StoreError::NotFound);
    };
    let mut places: HashMap<MessageId, usize> = HashMap::new();
    let mut messages: Vec<(u32, Message)> = Vec::with_capacity(sent.len());
    for Sent {
        mut message,
        at_is_left_out,
    } in sent
    {
        if let Some(index) = places.get(&message.id) {
            let earlier = &mut messages[*index];
            keep_left_out(&mut message, &earlier.1, at_is_left_out);
            earlier.1 = message;
            continue;
        }
        let place = match reader.message_by_id(chat, &message.id)? {
            Some(before) => {
                keep_left_out(&mut message, &before.message, at_is_left_out);
                before.place
            }
            None => {
                message.at.get_or_insert_with(now);
                if message.parent.is_none() {
                    message.parent = last.take();
                }
                last = Some(message.id.clone());
                next += 1;
                next - 1
            }
        };
        places.insert(message.id.clone(), messages.len());
        messages.push((place, message));
    }
    Ok(ChangeSet {
        messages,
        ..ChangeSet::default()
    })
}

/// What the sender leaves out of a message that is there already stays as it was.
fn keep_left_out(message: &mut Message, before: &Message, at_is_left_out: bool) {
    if at_is_left_out {
        message.at = before.at;
    }
    if message.parent.is_none() {
        message.parent.clone_from(&before.parent);
    }
}

/// # Errors
/// The id is empty or too long.
pub(super) fn check_id(id: &str) -> Result<(), String> {
    match (1..=ID_BYTES_MAX).contains(&id.len()) {
        true => Ok(()),
        false => Err(format!("an id has 1 to {ID_BYTES_MAX} bytes")),
    }
}

/// Which messages are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Listed {
    /// Place of the first.
    from: Option<u32>,
    /// How many places at most.
    limit: Option<u32>,
}

/// A message with the owner's changes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Entry {
    /// Its place among the chat's messages.
    place: u32,
    /// The event that changed it last.
    seq: Seq,
    /// True where the owner wrote what it says.
    edited: bool,
    /// True where the owner hid it.
    hidden: bool,
    /// The message.
    #[schema(value_type = Object)]
    message: Message,
}

/// Messages in their order.
#[utoipa::path(get, path = "/api/v1/chats/{chat}/messages", tag = "messages", params(("chat" = String, Path), Listed), responses(
    (status = 200, description = "Messages. The header `x-next` says the place from which the list goes on.", body = [Entry]),
))]
pub(crate) async fn list(
    State(service): State<Arc<Service>>,
    owner: Owner,
    ApiPath(chat): ApiPath<String>,
    ApiQuery(listed): ApiQuery<Listed>,
) -> Result<(HeaderMap, Vec<u8>), ApiError> {
    let range = Range::new(listed.from, listed.limit)?;
    let chat = chat_id(&chat)?;
    let written = service.read(move |r| written(r, owner.id, &chat, range));
    let (json, next) = written.await.map_err(of_chat)?;
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(next) = next {
        headers.insert(X_NEXT, HeaderValue::from(next));
    }
    Ok((headers, json))
}

/// A list of messages as JSON, and the place at which it goes on.
fn written(
    reader: &Reader<'_>,
    owner: UserId,
    chat: &ChatId,
    range: Range,
) -> Result<(Vec<u8>, Option<u32>), StoreError> {
    let Some((end, _)) = reader.end(owner, chat)? else {
        return Err(StoreError::NotFound);
    };
    let wanted = range.offset.saturating_add(range.limit).min(end);
    let mut json = b"[".to_vec();
    let mut place = range.offset;
    while place < wanted && json.len() < LIST_BYTES_MAX {
        let mut entries = Vec::new();
        reader.messages(chat, place..place + 1, &mut |stored| {
            if !stored.erased {
                entries.push(Entry {
                    place: stored.place,
                    seq: stored.seq,
                    edited: stored.edited,
                    hidden: stored.hidden,
                    message: stored.message,
                });
            }
        })?;
        for entry in entries {
            if json.len() > 1 {
                json.push(b',');
            }
            serde_json::to_writer(&mut json, &entry)?;
        }
        place += 1;
    }
    json.push(b']');
    Ok((json, (place < end).then_some(place)))
}

/// One message as the source has it.
#[utoipa::path(get, path = "/api/v1/chats/{chat}/messages/{message}", tag = "messages",
    params(("chat" = String, Path), ("message" = String, Path)),
    responses((status = 200, description = "The message.", body = Object)))]
pub(crate) async fn one(
    State(service): State<Arc<Service>>,
    owner: Owner,
    ApiPath((chat, message)): ApiPath<(String, String)>,
) -> Result<Json<Message>, ApiError> {
    let chat = record(&service, &owner, chat_id(&chat)?).await?.id;
    let message = MessageId(message);
    let found = service.read(move |r| match r.message_by_id(&chat, &message)? {
        Some(stored) if !stored.erased => r.source_message(&chat, &message),
        _ => Ok(None),
    });
    let found = found.await?;
    found
        .map(Json)
        .ok_or_else(|| ApiError::not_found("message"))
}

/// What the owner changes of a message.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MessageChange {
    /// What it says now, Markdown.
    text: Option<String>,
    /// What it says now, in parts.
    #[schema(value_type = Option<Vec<Object>>)]
    parts: Option<Vec<Part>>,
    /// True to hide it, false to show it again.
    hidden: Option<bool>,
    /// The `seq` of the message that was changed: refused where it is another now.
    seq: Option<Seq>,
}

/// Edits, hides or shows a message.
#[utoipa::path(patch, path = "/api/v1/chats/{chat}/messages/{message}", tag = "messages",
    params(("chat" = String, Path), ("message" = String, Path)), request_body = MessageChange,
    responses((status = 204, description = "It is so.")))]
pub(crate) async fn edit(
    State(service): State<Arc<Service>>,
    owner: Owner,
    ApiPath((chat, message)): ApiPath<(String, String)>,
    ApiJson(change): ApiJson<MessageChange>,
) -> Result<StatusCode, ApiError> {
    let (chat, by) = (chat_id(&chat)?, Some(owner.id));
    let id = MessageId(message);
    let parts = match (change.text, change.parts) {
        (Some(_), Some(_)) => return Err(ApiError::bad_request("give either `text` or `parts`")),
        (Some(markdown), None) => Some(vec![Part::Text { markdown }]),
        (None, parts) => parts,
    };
    if parts.is_none() && change.hidden.is_none() {
        return Err(ApiError::bad_request("give `text`, `parts` or `hidden`"));
    }
    let edit = parts.map(|parts| Write::Edit {
        chat: chat.clone(),
        by,
        id: id.clone(),
        parts,
    });
    let hide = |hidden| Write::Hide {
        chat: chat.clone(),
        by,
        id: id.clone(),
        hidden,
    };
    let _turn = service.api.sources.turn(&chat).await;
    if let Some(seq) = change.seq {
        check_seq(&service, &owner, &chat, &id, seq).await?;
    }
    // What is to be hidden is never shown with other words, and what is to be shown again never with the old ones.
    let writes = match change.hidden {
        Some(true) => [Some(hide(true)), edit],
        Some(false) => [edit, Some(hide(false))],
        None => [edit, None],
    };
    for write in writes.into_iter().flatten() {
        service.write(write).await.map_err(of_message)?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Refuses to change a message that is another than the one that was seen.
async fn check_seq(
    service: &Arc<Service>,
    owner: &Owner,
    chat: &ChatId,
    id: &MessageId,
    seq: Seq,
) -> Result<(), ApiError> {
    let (chat, id) = (record(service, owner, chat.clone()).await?.id, id.clone());
    let now = service.read(move |r| r.message_by_id(&chat, &id)).await?;
    match now.filter(|now| !now.erased) {
        None => Err(ApiError::not_found("message")),
        Some(now) if now.seq == seq => Ok(()),
        Some(_) => Err(ApiError::conflict(
            "the message was changed since you opened it; look at it as it is now, then change it again",
        )),
    }
}

/// Erases a message for good.
#[utoipa::path(delete, path = "/api/v1/chats/{chat}/messages/{message}", tag = "messages",
    params(("chat" = String, Path), ("message" = String, Path)),
    responses((status = 204, description = "It is gone.")))]
pub(crate) async fn erase(
    State(service): State<Arc<Service>>,
    owner: Owner,
    ApiPath((chat, message)): ApiPath<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let erase = Write::Erase {
        chat: chat_id(&chat)?,
        by: Some(owner.id),
        id: MessageId(message),
    };
    service.write(erase).await.map_err(of_message)?;
    Ok(StatusCode::NO_CONTENT)
}

/// The message that is meant, where its id is in no path.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Named {
    /// Its id.
    id: String,
}

/// Edits, hides or shows a message whose id may hold what a path cannot carry: a browser or proxy makes another path of `..` in it.
#[utoipa::path(patch, path = "/api/v1/chats/{chat}/messages", tag = "messages",
    params(("chat" = String, Path), Named), request_body = MessageChange,
    responses((status = 204, description = "It is so.")))]
pub(crate) async fn edit_named(
    service: State<Arc<Service>>,
    owner: Owner,
    ApiPath(chat): ApiPath<String>,
    ApiQuery(Named { id }): ApiQuery<Named>,
    change: ApiJson<MessageChange>,
) -> Result<StatusCode, ApiError> {
    edit(service, owner, ApiPath((chat, id)), change).await
}

/// Erases a message for good whose id may hold what a path cannot carry.
#[utoipa::path(delete, path = "/api/v1/chats/{chat}/messages", tag = "messages",
    params(("chat" = String, Path), Named),
    responses((status = 204, description = "It is gone.")))]
pub(crate) async fn erase_named(
    service: State<Arc<Service>>,
    owner: Owner,
    ApiPath(chat): ApiPath<String>,
    ApiQuery(Named { id }): ApiQuery<Named>,
) -> Result<StatusCode, ApiError> {
    erase(service, owner, ApiPath((chat, id))).await
}

fn of_message(error: impl Into<ApiError>) -> ApiError {
    error.into().about("message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_without_an_id_gets_a_new_one_in_either_form() {
        let parts = r#"[{"text": {"markdown": "Hi"}}]"#;
        for body in [
            r#"{"role": "user", "text": "Hi"}"#.to_owned(),
            format!(r#"{{"role": "user", "parts": {parts}}}"#),
        ] {
            let id = || Sent::parse_one(&body).unwrap().message.id.0;
            assert_eq!(id().len(), 32, "{body}");
            assert_ne!(id(), id(), "{body}");
        }
        let both = format!(r#"{{"role": "user", "text": "Hi", "parts": {parts}}}"#);
        let refused = Sent::parse_one(&both).map(drop).unwrap_err();
        assert_eq!(refused, "give either `text` or `parts`");
    }
}
