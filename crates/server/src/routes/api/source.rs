//! For programs that follow a transcript: what a chat has already, what changed, and the bytes of artifacts.

use std::{
    collections::{HashMap, HashSet},
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io::Read,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use readalong_model::{
    Artifact, ChangeSet, ChatHead, ChatId, Digest, Message, MessageId, Seq, Thread,
};
use readalong_redact::Finding;
use readalong_store::{Reader, StoreError};
use serde::{Deserialize, Serialize};
use tokio::sync::MutexGuard;
use utoipa::ToSchema;

use super::{
    chat_id,
    chats::{of_chat, record, shortened_title},
    messages::{MESSAGES_MAX, check_id},
    upload::Upload,
};
use crate::{
    auth::Owner,
    error::{ApiError, ApiJson, ApiPath},
    service::Service,
};

/// Bytes of an artifact: recordings and archives, not disks.
const ARTIFACT_BYTES_MAX: u64 = 256 << 20;
/// The largest artifact in which secrets are looked for: text is not longer.
const TEXT_BYTES_MAX: u64 = 64 << 20;
/// How long a chat may take to name an artifact that was sent: as long as the store keeps what nobody names.
const NAMED_WITHIN: Duration = Duration::from_secs(600);
/// Chats that are written to side by side; two of the same turn wait for each other for nothing.
const TURNS: usize = 64;

/// What is remembered between two requests of a source.
#[derive(Default)]
pub(crate) struct Sources {
    turns: Turns,
    uploads: Mutex<HashMap<(ChatId, Digest), Instant>>,
}

struct Turns([tokio::sync::Mutex<()>; TURNS]);

impl Default for Turns {
    fn default() -> Self {
        Self(std::array::from_fn(|_| tokio::sync::Mutex::default()))
    }
}

impl Sources {
    /// Waits for the right to place messages in a chat.
    pub(super) async fn turn(&self, chat: &ChatId) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        chat.hash(&mut hasher);
        let turn = hasher.finish() % TURNS as u64;
        self.turns.0[turn as usize].lock().await
    }

    fn uploaded(&self, chat: ChatId, sha256: Digest) {
        let mut uploads = self.uploads.lock().unwrap_or_else(PoisonError::into_inner);
        uploads.retain(|_, since| since.elapsed() < NAMED_WITHIN);
        uploads.insert((chat, sha256), Instant::now());
    }

    fn is_uploaded(&self, chat: &ChatId, sha256: Digest) -> bool {
        let uploads = self.uploads.lock().unwrap_or_else(PoisonError::into_inner);
        uploads.contains_key(&(chat.clone(), sha256))
    }
}

/// Changes that belong together. All members can be left out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Changes {
    /// What is said of the chat as a whole.
    #[schema(value_type = Option<Object>)]
    head: Option<ChatHead>,
    /// Threads with their places.
    #[schema(value_type = Vec<Vec<Object>>)]
    threads: Vec<(u32, Thread)>,
    /// Artifacts with their places.
    #[schema(value_type = Vec<Vec<Object>>)]
    artifacts: Vec<(u32, Artifact)>,
    /// Messages with their places.
    #[schema(value_type = Vec<Vec<Object>>)]
    messages: Vec<(u32, Message)>,
    /// Ids of messages that are not there any more.
    #[schema(value_type = Vec<String>)]
    removed: Vec<MessageId>,
    /// False where the source can bring it again after a loss of power.
    durable: bool,
    /// True where further changes follow that settle which of two messages has a place: a long transcript that is brought in pieces in another order.
    unsettled: bool,
}

impl Default for Changes {
    fn default() -> Self {
        Self {
            head: None,
            threads: Vec::new(),
            artifacts: Vec::new(),
            messages: Vec::new(),
            removed: Vec::new(),
            durable: true,
            unsettled: false,
        }
    }
}

/// What came of changes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Changed {
    /// The last event of the chat.
    seq: Seq,
    /// Secrets that were taken out.
    #[schema(value_type = Vec<Object>)]
    redactions: Vec<Finding>,
}

/// Takes what a source brings.
#[utoipa::path(post, path = "/api/v1/chats/{chat}/changes", tag = "sources", params(("chat" = String, Path)), request_body = Changes,
    responses((status = 200, description = "They are made.", body = Changed)))]
pub(crate) async fn change(
    State(service): State<Arc<Service>>,
    owner: Owner,
    ApiPath(chat): ApiPath<String>,
    ApiJson(mut changes): ApiJson<Changes>,
) -> Result<Json<Changed>, ApiError> {
    let chat = chat_id(&chat)?;
    let _turn = service.api.sources.turn(&chat).await;
    for (_, artifact) in &mut changes.artifacts {
        service.redactions.rename(&chat, artifact);
    }
    check(&service, &owner, &chat, &changes).await?;
    if let Some(head) = &mut changes.head {
        head.title = shortened_title(std::mem::take(&mut head.title));
    }
    let set = ChangeSet {
        head: changes.head,
        threads: changes.threads,
        artifacts: changes.artifacts,
        messages: changes.messages,
        removed: changes.removed,
    };
    let brought = service.bring(chat.clone(), Some(owner.id), set, changes.durable);
    let (_, report) = brought.await.map_err(of_chat)?;
    let seq = record(&service, &owner, chat).await?.last_seq;
    Ok(Json(Changed {
        seq,
        redactions: report.findings,
    }))
}

/// Refuses places that leave gaps or that two messages would have, ids that are none, and artifacts whose bytes are not there.
async fn check(
    service: &Arc<Service>,
    owner: &Owner,
    chat: &ChatId,
    changes: &Changes,
) -> Result<(), ApiError> {
    let wrong = |what: String| Err(ApiError::bad_request(what));
    if changes.messages.len() > MESSAGES_MAX {
        return wrong(format!("a request has at most {MESSAGES_MAX} messages"));
    }
    let ids = changes.messages.iter().map(|(_, message)| &message.id);
    for id in ids.chain(&changes.removed) {
        check_id(&id.0).or_else(wrong)?;
    }
    let messages = record(service, owner, chat.clone()).await?.places as usize;
    let places = |list: &[(u32, Message)]| list.iter().map(|(place, _)| *place as usize).max();
    if places(&changes.messages) >= Some(messages + changes.messages.len()) {
        return wrong(format!(
            "a message is placed far behind the last one; the next place is {messages}"
        ));
    }
    if !changes.unsettled {
        let id = chat.clone();
        let placed = changes.messages.iter();
        let placed = placed.map(|(place, message)| (message.id.clone(), *place));
        let (placed, removed) = (placed.collect(), changes.removed.clone());
        let taken = service.read(move |r| taken(r, &id, &placed, &removed));
        if let Some((place, MessageId(other))) = taken.await? {
            return wrong(format!(
                "place {place} is that of `{other}`; `index` tells all places"
            ));
        }
    }
    if changes.threads.is_empty() && changes.artifacts.is_empty() {
        return Ok(());
    }
    let id = chat.clone();
    let there = service.read(move |r| Ok((r.threads(&id)?.len(), r.artifacts(&id)?)));
    let (threads, artifacts) = there.await?;
    if has_gap(threads, changes.threads.iter().map(|(place, _)| *place)) {
        return wrong("places of threads have a gap".to_owned());
    }
    if has_gap(
        artifacts.len(),
        changes.artifacts.iter().map(|(place, _)| *place),
    ) {
        return wrong("places of artifacts have a gap".to_owned());
    }
    for (place, artifact) in &changes.artifacts {
        let Some((sha256, said)) = artifact.bytes() else {
            continue;
        };
        if service.read_now(|r| r.is_artifact_erased(chat, sha256))? {
            continue;
        }
        match kept_bytes(service, chat, &artifacts, sha256) {
            Some(kept) if kept == said => {}
            Some(kept) => {
                return wrong(format!(
                    "artifact {place} is said to have {said} bytes and has {kept}"
                ));
            }
            None => {
                return Err(ApiError::missing_artifact(format!(
                    "the bytes of artifact {place}, {sha256}, are not there; send them first"
                )));
            }
        }
    }
    Ok(())
}

/// A place that two messages would have, and the one of them that has it already: readers would see one of them for both.
fn taken(
    reader: &Reader<'_>,
    chat: &ChatId,
    placed: &HashMap<MessageId, u32>,
    removed: &[MessageId],
) -> Result<Option<(u32, MessageId)>, StoreError> {
    let mut held: HashMap<u32, &MessageId> = HashMap::new();
    for (id, &place) in placed {
        if let Some(other) = held.insert(place, id) {
            return Ok(Some((place, other.clone())));
        }
    }
    let removed: HashSet<&MessageId> = removed.iter().collect();
    let mut found = None;
    for place in held.into_keys() {
        reader.messages(chat, place..place.saturating_add(1), &mut |stored| {
            let id = stored.message.id;
            if !placed.contains_key(&id) && !removed.contains(&id) {
                found = Some((place, id));
            }
        })?;
    }
    Ok(found)
}

/// How many bytes an artifact has, where the chat has them. That somebody else's chat has them does not count: a digest alone is no right to a file.
fn kept_bytes(
    service: &Service,
    chat: &ChatId,
    artifacts: &[Artifact],
    sha256: Digest,
) -> Option<u64> {
    let mut named = artifacts.iter().filter_map(Artifact::bytes);
    let is_named = named.any(|(known, _)| known == sha256);
    if !is_named && !service.api.sources.is_uploaded(chat, sha256) {
        return None;
    }
    let file = fs::metadata(service.store.artifact_path(sha256)).ok()?;
    Some(file.len())
}

/// True where a list of `there` entries would have a hole with these.
fn has_gap(there: usize, places: impl Iterator<Item = u32>) -> bool {
    let mut places: Vec<usize> = places.map(|place| place as usize).collect();
    places.sort_unstable();
    let mut end = there;
    for place in places {
        if place > end {
            return true;
        }
        end = end.max(place + 1);
    }
    false
}

/// What a chat has already.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Index {
    /// The last event of the chat.
    seq: Seq,
    /// Id, digest and place of each of its messages, in their order.
    #[schema(value_type = Vec<Vec<Object>>)]
    messages: Vec<(MessageId, Digest, u32)>,
}

/// Ids, digests and places of all messages.
#[utoipa::path(get, path = "/api/v1/chats/{chat}/index", tag = "sources", params(("chat" = String, Path)), responses(
    (status = 200, description = "The index.", body = Index),
))]
pub(crate) async fn index(
    State(service): State<Arc<Service>>,
    owner: Owner,
    ApiPath(chat): ApiPath<String>,
) -> Result<Json<Index>, ApiError> {
    let chat = record(&service, &owner, chat_id(&chat)?).await?;
    Ok(Json(Index {
        seq: chat.last_seq,
        messages: service.read(move |r| r.index(&chat.id)).await?,
    }))
}

/// Tells whether an artifact's bytes are there. Those that were removed for good are not wanted again.
#[utoipa::path(head, path = "/api/v1/chats/{chat}/artifacts/{sha256}", tag = "sources",
    params(("chat" = String, Path), ("sha256" = String, Path)),
    responses((status = 200, description = "They are there.")))]
pub(crate) async fn head_artifact(
    State(service): State<Arc<Service>>,
    owner: Owner,
    ApiPath((chat, sha256)): ApiPath<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let chat = record(&service, &owner, chat_id(&chat)?).await?.id;
    let sha256 = service.redactions.renamed(&chat, digest(&sha256)?);
    if service.read_now(|r| r.is_artifact_erased(&chat, sha256))? {
        return Ok(StatusCode::OK);
    }
    let id = chat.clone();
    let artifacts = service.read(move |r| r.artifacts(&id)).await?;
    kept_bytes(&service, &chat, &artifacts, sha256)
        .map(|_| StatusCode::OK)
        .ok_or_else(|| ApiError::not_found("artifact"))
}

/// Brings an artifact's bytes.
#[utoipa::path(put, path = "/api/v1/chats/{chat}/artifacts/{sha256}", tag = "sources",
    params(("chat" = String, Path), ("sha256" = String, Path)),
    request_body(content = String, content_type = "application/octet-stream"),
    responses((status = 201, description = "They are kept.")))]
pub(crate) async fn put_artifact(
    State(service): State<Arc<Service>>,
    owner: Owner,
    ApiPath((chat, sha256)): ApiPath<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, ApiError> {
    let chat = record(&service, &owner, chat_id(&chat)?).await?.id;
    let sha256 = digest(&sha256)?;
    let upload = Upload::of_body(&service, &headers, body, ARTIFACT_BYTES_MAX).await?;
    if upload.sha256 != sha256 {
        return Err(ApiError::bad_request(format!(
            "the body has the SHA-256 {} and not {sha256}",
            upload.sha256
        )));
    }
    let keep = {
        let (service, chat) = (service.clone(), chat.clone());
        move || {
            let mut file = Upload::open(&upload.path).map_err(ApiError::internal)?;
            let size_bytes = file.metadata().map_or(0, |meta| meta.len());
            if size_bytes <= TEXT_BYTES_MAX {
                let mut bytes = Vec::with_capacity(size_bytes as usize);
                file.read_to_end(&mut bytes).map_err(ApiError::internal)?;
                let new = service.redactions.file(&chat, &bytes);
                let bytes = new.map_or(bytes, |(new, _)| new);
                let kept = service.store.keep_artifact_of(&chat, &bytes);
                return kept.map_err(ApiError::from);
            }
            if service.read_now(|r| r.is_artifact_erased(&chat, sha256))? {
                return Ok(sha256);
            }
            let kept = service.store.keep_artifact_from(&mut file);
            kept.map_err(ApiError::from)
        }
    };
    let kept = tokio::task::spawn_blocking(keep).await;
    let kept = kept.map_err(ApiError::internal)??;
    service.api.sources.uploaded(chat, kept);
    Ok(StatusCode::CREATED)
}

pub(super) fn digest(text: &str) -> Result<Digest, ApiError> {
    text.parse().map_err(|_| ApiError::not_found("artifact"))
}
