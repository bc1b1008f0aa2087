//! Transcripts that are sent whole, in any format that is known.

use std::{io, path::Path, sync::Arc};

use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
};
use readalong_import::{ImportError, Imported, Pick, Source, Surroundings, Transcript};
use readalong_live::redacting::Renamed;
use readalong_model::{
    Artifact, ChangeSet, Chat, ChatHead, ChatId, Digest, Message, MessageId, Timestamp, Visibility,
    Warning,
};
use readalong_redact::{Finding, Known, Redactor, Report};
use readalong_store::{Reader, Store, StoreError, Write};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    chat_id,
    chats::{ChatEntry, check_source, keep, of_chat, record, shortened_title},
    heading,
    upload::Upload,
};
use crate::{
    auth::Owner,
    error::{ApiError, ApiPath, ApiQuery},
    redaction::NewChat,
    service::{Service, ServiceError, random},
};

/// Bytes of a transcript: an export of years with its files.
const TRANSCRIPT_BYTES_MAX: u64 = 2 << 30;
/// Transcripts that are read at once: each may be a chat that fills much memory.
const IMPORTS_MAX: usize = 1;
/// Warnings that are answered; more say nothing new.
const WARNINGS_MAX: usize = 100;
/// What a transcript is called in messages that nobody gave a name.
const UNNAMED: &str = "transcript";

/// Bounds how many transcripts are read at once.
pub(crate) struct Imports(tokio::sync::Semaphore);

impl Default for Imports {
    fn default() -> Self {
        Self(tokio::sync::Semaphore::new(IMPORTS_MAX))
    }
}

/// How a transcript is to be read.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wish {
    /// The file's name, for messages.
    name: Option<String>,
    /// Read it as this format.
    format: Option<String>,
    /// Which chat of a file that holds several.
    pick: Option<String>,
    /// The chat with this source is brought to the state of the file.
    source: Option<String>,
    /// Another title.
    title: Option<String>,
    /// Secrets that stay in it: kinds, rules, ids, or `all`, with commas between them.
    kept: Option<String>,
}

/// A chat and what could not be read of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Read {
    /// The chat.
    #[serde(flatten)]
    chat: ChatEntry,
    /// What could not be read or was repaired.
    warnings: Vec<String>,
    /// Secrets that were taken out.
    #[schema(value_type = Vec<Object>)]
    redactions: Vec<Finding>,
}

/// Reads a transcript into a new chat, or the one of its source.
#[utoipa::path(post, path = "/api/v1/import", tag = "sources", params(Wish),
    request_body(content = String, content_type = "application/octet-stream"),
    responses(
        (status = 201, description = "A chat was made.", body = Read),
        (status = 200, description = "The chat was there and is as the file now.", body = Read),
    ))]
pub(crate) async fn create(
    State(service): State<Arc<Service>>,
    owner: Owner,
    ApiQuery(wish): ApiQuery<Wish>,
    request: Request,
) -> Result<(StatusCode, Json<Read>), ApiError> {
    let title = wish
        .title
        .clone()
        .map(|title| heading("title", title))
        .transpose()?;
    let source = wish.source.clone();
    check_source(source.as_deref())?;
    let kept = wish.kept.as_deref().map(listed);
    let there = of_source(&service, &owner, source.clone()).await?;
    let imported = read_transcript(&service, there, wish, request).await?;
    // Reading takes its time: others may have made it meanwhile.
    let Some(chat) = of_source(&service, &owner, source.clone()).await? else {
        let read = make(&service, &owner, (source, kept), (imported, title)).await?;
        return Ok((StatusCode::CREATED, Json(read)));
    };
    if let Some(kept) = kept {
        keep(&service, &owner, &chat, kept).await?;
    }
    let read = take(&service, &owner, &chat, (imported, title)).await?;
    Ok((StatusCode::OK, Json(read)))
}

/// The owner's chat of a source, where there is one.
async fn of_source(
    service: &Arc<Service>,
    owner: &Owner,
    source: Option<String>,
) -> Result<Option<ChatId>, ApiError> {
    let (owner, Some(source)) = (owner.id, source) else {
        return Ok(None);
    };
    let found = service.read(move |r| r.chat_by_source(owner, &source));
    Ok(found.await?.map(|chat| chat.id))
}

/// Brings a chat to the state of a transcript.
#[utoipa::path(post, path = "/api/v1/chats/{chat}/import", tag = "sources", params(("chat" = String, Path), Wish),
    request_body(content = String, content_type = "application/octet-stream"),
    responses((status = 200, description = "The chat is as the file now.", body = Read)))]
pub(crate) async fn update(
    State(service): State<Arc<Service>>,
    owner: Owner,
    ApiPath(chat): ApiPath<String>,
    ApiQuery(wish): ApiQuery<Wish>,
    request: Request,
) -> Result<Json<Read>, ApiError> {
    let chat = record(&service, &owner, chat_id(&chat)?).await?.id;
    if wish.source.is_some() || wish.kept.is_some() {
        return Err(ApiError::bad_request(
            "`source` and `kept` are for new chats",
        ));
    }
    let title = wish
        .title
        .clone()
        .map(|title| heading("title", title))
        .transpose()?;
    let imported = read_transcript(&service, Some(chat.clone()), wish, request).await?;
    let read = take(&service, &owner, &chat, (imported, title)).await?;
    Ok(Json(read))
}

fn listed(words: &str) -> Vec<String> {
    let words = words.split(',').map(|word| word.trim().to_owned());
    words.filter(|word| !word.is_empty()).collect()
}

/// What a transcript is, before anything of it is taken.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct Inspected {
    /// Name of its format.
    format: String,
    /// Its chats, where it holds several: one of them has to be picked. Nothing else is said then.
    chats: Vec<InspectedChat>,
    /// What readers will see as the title.
    title: String,
    /// When it began.
    #[schema(value_type = Option<String>)]
    created_at: Option<Timestamp>,
    /// How many messages it has that can be shown.
    messages: usize,
    /// How many it has that are never shown: instructions, injected context.
    hidden: usize,
    /// Its images and files.
    artifacts: Vec<InspectedArtifact>,
    /// What could not be read or was repaired.
    warnings: Vec<String>,
    /// Secrets that will be taken out.
    #[schema(value_type = Vec<Object>)]
    redactions: Vec<Finding>,
}

/// A chat of a transcript that holds several.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InspectedChat {
    /// What to pick it by.
    pick: String,
    /// Its title.
    title: String,
    /// How many messages it has.
    messages: usize,
    /// When it changed last.
    #[schema(value_type = Option<String>)]
    updated_at: Option<Timestamp>,
}

/// An image or file of a transcript.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InspectedArtifact {
    /// Its name.
    name: String,
    /// Its bytes; null where it is not in the transcript.
    size_bytes: Option<u64>,
}

/// Tells what a transcript is, and takes nothing.
#[utoipa::path(post, path = "/api/v1/inspect", tag = "sources", params(Wish),
    request_body(content = String, content_type = "application/octet-stream"),
    responses((status = 200, description = "What it is.", body = Inspected)))]
pub(crate) async fn inspect(
    State(service): State<Arc<Service>>,
    _owner: Owner,
    ApiQuery(wish): ApiQuery<Wish>,
    request: Request,
) -> Result<Json<Inspected>, ApiError> {
    let upload = Upload::of_request(&service, request, TRANSCRIPT_BYTES_MAX).await?;
    let _turn = service
        .api
        .imports
        .0
        .acquire()
        .await
        .map_err(ApiError::internal)?;
    let redactor = service.redactions.redactor().clone();
    let look = move || {
        let transcript = opened(&wish, &upload)?;
        let format = transcript.detection().format.name.to_owned();
        let chats = match &wish.pick {
            Some(_) => Vec::new(),
            None => transcript.list()?,
        };
        if chats.len() > 1 {
            let chats = chats.into_iter().map(InspectedChat::from).collect();
            return Ok(Inspected {
                format,
                chats,
                ..Inspected::default()
            });
        }
        let pick = wish.pick.map_or(Pick::Only, Pick::Named);
        let mut looked = Looked {
            redactor,
            report: Report::default(),
        };
        let imported = transcript.read(&pick, &mut looked)?;
        Ok(Inspected::of(format, imported, looked))
    };
    let looked: Result<Inspected, ImportError> = tokio::task::spawn_blocking(look)
        .await
        .map_err(|error| ApiError::internal(format!("a transcript could not be read: {error}")))?;
    Ok(Json(looked?))
}

impl From<readalong_import::ChatEntry> for InspectedChat {
    fn from(chat: readalong_import::ChatEntry) -> Self {
        Self {
            pick: chat.id.unwrap_or_else(|| chat.number.to_string()),
            title: chat.title,
            messages: chat.messages,
            updated_at: chat.updated_at,
        }
    }
}

impl Inspected {
    fn of(format: String, imported: Imported, looked: Looked) -> Self {
        let Imported { chat, warnings, .. } = imported;
        let mut changes = ChangeSet {
            head: Some(ChatHead::of(&chat)),
            threads: (0..).zip(chat.threads).collect(),
            artifacts: (0..).zip(chat.artifacts).collect(),
            messages: (0..).zip(chat.messages.clone()).collect(),
            removed: Vec::new(),
        };
        let found = looked.redactor.changes(&mut changes, &mut Known::default());
        let mut redactions = looked.report.findings;
        redactions.extend(found.report.findings);
        let is_hidden = |message: &&Message| message.visibility == Visibility::Hidden;
        let hidden = chat.messages.iter().filter(is_hidden).count();
        // What was in the title or a file's name is not told either.
        let title = changes.head.map(|head| head.title).unwrap_or_default();
        let artifact = |(_, artifact): (u32, Artifact)| InspectedArtifact {
            size_bytes: artifact.bytes().map(|(_, size_bytes)| size_bytes),
            name: artifact.name,
        };
        Self {
            format,
            chats: Vec::new(),
            title: shortened_title(title),
            created_at: chat.created_at,
            messages: chat.messages.len() - hidden,
            hidden,
            artifacts: changes.artifacts.into_iter().map(artifact).collect(),
            warnings: warnings
                .iter()
                .take(WARNINGS_MAX)
                .map(ToString::to_string)
                .collect(),
            redactions,
        }
    }
}

/// Keeps nothing of what is only looked at, but what was found in its files.
struct Looked {
    redactor: Redactor,
    report: Report,
}

impl Surroundings for Looked {
    fn keep(&mut self, bytes: &[u8]) -> io::Result<Digest> {
        if let Some((_, report)) = self.redactor.file("", bytes, &mut Known::default()) {
            self.report.add(report);
        }
        Ok(Digest::of(bytes))
    }

    fn beside(&mut self, _path: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(None)
    }

    fn names_in(&mut self, _folder: &str) -> Vec<String> {
        Vec::new()
    }
}

/// Opens what was sent as a transcript.
fn opened(wish: &Wish, upload: &Upload) -> Result<Transcript, ImportError> {
    let name = wish.name.clone().or_else(|| upload.name.clone());
    let path = upload.path.to_path_buf();
    let source = Source {
        name: name.unwrap_or_else(|| UNNAMED.to_owned()),
        open: Box::new(move || Ok(Box::new(Upload::open(Path::new(&path))?))),
    };
    Transcript::open(source, wish.format.as_deref())
}

/// Reads a transcript that is to become a chat, or to change `chat`.
async fn read_transcript(
    service: &Arc<Service>,
    chat: Option<ChatId>,
    wish: Wish,
    request: Request,
) -> Result<(Imported, Report), ApiError> {
    let upload = Upload::of_request(service, request, TRANSCRIPT_BYTES_MAX).await?;
    let _turn = service
        .api
        .imports
        .0
        .acquire()
        .await
        .map_err(ApiError::internal)?;
    let mut kept = Kept {
        chat,
        store: service.store.clone(),
        redactor: service.redactions.redactor().clone(),
        renamed: Renamed::default(),
        report: Report::default(),
    };
    let read = move || {
        let transcript = opened(&wish, &upload)?;
        let pick = wish.pick.map_or(Pick::Only, Pick::Named);
        let imported = transcript.read(&pick, &mut kept);
        // The file goes only now: whatever was read, was read.
        drop(upload);
        let mut imported = imported?;
        for artifact in &mut imported.chat.artifacts {
            kept.renamed.rename(artifact);
        }
        Ok((imported, kept.report))
    };
    let imported: Result<(Imported, Report), ImportError> = tokio::task::spawn_blocking(read)
        .await
        .map_err(|error| ApiError::internal(format!("an import failed: {error}")))?;
    Ok(imported?)
}

/// Artifacts go to the store, without their secrets; nothing lies beside what was sent.
struct Kept {
    /// The chat, where it is there already.
    chat: Option<ChatId>,
    store: Store,
    redactor: Redactor,
    renamed: Renamed,
    report: Report,
}

impl Surroundings for Kept {
    fn keep(&mut self, bytes: &[u8]) -> io::Result<Digest> {
        let Some((new, report)) = self.redactor.file("", bytes, &mut Known::default()) else {
            return self.keep_bytes(bytes);
        };
        self.keep_bytes(&new)?;
        self.renamed
            .insert(Digest::of(bytes), Digest::of(&new), new.len() as u64);
        self.report.add(report);
        Ok(Digest::of(bytes))
    }

    fn beside(&mut self, _path: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(None)
    }

    fn names_in(&mut self, _folder: &str) -> Vec<String> {
        Vec::new()
    }
}

impl Kept {
    fn keep_bytes(&self, bytes: &[u8]) -> io::Result<Digest> {
        let kept = match &self.chat {
            Some(chat) => self.store.keep_artifact_of(chat, bytes),
            None => self.store.keep_artifact(bytes),
        };
        kept.map_err(io::Error::other)
    }
}

/// What was read, what was taken out of its files, and a title of the owner's.
type Taken = ((Imported, Report), Option<String>);

/// Makes a chat of what was read, in one write.
async fn make(
    service: &Arc<Service>,
    owner: &Owner,
    (source, kept): (Option<String>, Option<Vec<String>>),
    ((imported, mut report), title): Taken,
) -> Result<Read, ApiError> {
    let new = NewChat {
        id: ChatId::from_random(random().map_err(ApiError::internal)?),
        owner: owner.id,
        source,
        kept: kept.unwrap_or_default(),
    };
    let (id, by) = (new.id.clone(), Some(owner.id));
    let changes = changes_of(imported.chat, Vec::new());
    let brought = service.bring_new(new, changes).await;
    report.add(brought.map_err(|error| match error {
        ServiceError::Store(StoreError::NotFound) => {
            ApiError::conflict("the chat of this source was made by another just now; try again")
        }
        error => error.into(),
    })?);
    let read = named(service, owner, &id, (imported.warnings, report, title)).await;
    if read.is_err() {
        let chat = id;
        service.write(Write::DeleteChat { chat, by }).await?;
    }
    read
}

/// Makes a chat what was read, in one write.
async fn take(
    service: &Arc<Service>,
    owner: &Owner,
    chat: &ChatId,
    ((imported, mut report), title): Taken,
) -> Result<Read, ApiError> {
    {
        let _turn = service.api.sources.turn(chat).await;
        let (id, read) = (chat.clone(), imported.chat);
        let changes = service.read(move |r| changes_to(r, &id, read)).await?;
        let brought = service.bring(chat.clone(), Some(owner.id), changes, true);
        report.add(brought.await.map_err(of_chat)?.1);
    }
    named(service, owner, chat, (imported.warnings, report, title)).await
}

/// Gives a chat the owner's title, and tells what became of it.
async fn named(
    service: &Arc<Service>,
    owner: &Owner,
    chat: &ChatId,
    (warnings, report, title): (Vec<Warning>, Report, Option<String>),
) -> Result<Read, ApiError> {
    if let Some(title) = title {
        let rename = Write::Rename {
            chat: chat.clone(),
            by: Some(owner.id),
            title,
        };
        service.write(rename).await.map_err(of_chat)?;
    }
    let warnings = warnings.iter().take(WARNINGS_MAX);
    Ok(Read {
        warnings: warnings.map(ToString::to_string).collect(),
        redactions: report.findings,
        chat: record(service, owner, chat.clone()).await?.into(),
    })
}

/// What makes a chat of the store the chat that was read. What is the same already is dropped by the store.
fn changes_to(reader: &Reader<'_>, id: &ChatId, chat: Chat) -> Result<ChangeSet, StoreError> {
    let stays: std::collections::HashSet<&str> = chat
        .messages
        .iter()
        .map(|message| message.id.0.as_str())
        .collect();
    let there = reader.index(id)?.into_iter().map(|(id, _, _)| id);
    let removed = there.filter(|id| !stays.contains(id.0.as_str())).collect();
    Ok(changes_of(chat, removed))
}

/// All of a chat that was read.
fn changes_of(chat: Chat, removed: Vec<MessageId>) -> ChangeSet {
    let mut head = ChatHead::of(&chat);
    head.title = shortened_title(head.title);
    ChangeSet {
        head: Some(head),
        threads: (0..).zip(chat.threads).collect(),
        artifacts: (0..).zip(chat.artifacts).collect(),
        messages: (0..).zip(chat.messages).collect(),
        removed,
    }
}
