//! Our own API below `/api/v1`, for programs: its routes on one screen, its OpenAPI document, and what all routes share.
//!
//! docs/api.md is written for people and compared with the OpenAPI document by a test.

pub(crate) mod admin;
pub(crate) mod artifacts;
pub(crate) mod chats;
mod export;
pub(crate) mod follow;
pub(crate) mod history;
mod import;
pub(crate) mod legacy;
pub(crate) mod messages;
pub(crate) mod preview;
pub(crate) mod sessions;
pub(crate) mod shares;
pub(crate) mod showcase;
mod source;
pub(crate) mod tokens;
mod upload;
pub(crate) mod users;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use http_body::Body as _;
use readalong_model::{ChatId, ShareId, UserId, can_be_seen};
use readalong_store::Cursor;
use serde::{Deserialize, Deserializer};
use tokio::{sync::Semaphore, time::timeout};
use tower_http::csrf::CsrfLayer;
use utoipa::{
    IntoParams, OpenApi, ToSchema,
    openapi::{
        ComponentsBuilder, Ref, RefOr, ResponseBuilder, SecurityRequirement,
        content::ContentBuilder,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    answers::Answers,
    auth::{self, Caller},
    error::ApiError,
    routes::h2ogpte,
    service::Service,
};

/// Entries of a list, where nobody says how many.
const LIST_DEFAULT: u32 = 100;
/// Entries of a list at most: some 300 KB of JSON.
const LIST_MAX: u32 = 1_000;
/// Says where a list goes on.
const X_NEXT: HeaderName = HeaderName::from_static("x-next");
/// Bytes of a JSON body where a route does not say otherwise: names and settings.
pub(crate) const JSON_BYTES_MAX: usize = 1 << 20;
/// Bytes of a body of messages or changes: long tool results come whole.
pub(crate) const MESSAGES_BYTES_MAX: usize = 32 << 20;
/// Bytes of long bodies that are in memory at once: four of the longest.
const LONG_BODIES_BYTES_MAX: usize = 4 * MESSAGES_BYTES_MAX;
/// Bytes from which on a body is long. Most are shorter, and nobody who sends long ones keeps another from taking a share back.
const LONG_BODY_BYTES: usize = 64 << 10;
/// Seconds after which whoever found no room for a body may try again.
const ROOM_AFTER_S: u64 = 10;
/// Bytes of a chat's title or a share's name: a heading, not a text.
const TITLE_BYTES_MAX: usize = 1_000;

/// What the API remembers between two requests; nothing of it is on disk.
#[derive(Default)]
pub(crate) struct ApiState {
    room: Room,
    sources: source::Sources,
    imports: import::Imports,
    /// Chats that are answered whole.
    pub(super) whole_chats: Answers,
    /// Pictures of featured shares.
    pictures: Answers,
}

/// Bytes that long bodies may still take in memory: those of all, and those of each user, so that nobody takes the room of others.
struct Room {
    all: Semaphore,
    of: Mutex<HashMap<UserId, Arc<Semaphore>>>,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            all: Semaphore::new(LONG_BODIES_BYTES_MAX),
            of: Mutex::default(),
        }
    }
}

impl Room {
    fn of(&self, user: UserId) -> Arc<Semaphore> {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = || Arc::new(Semaphore::new(MESSAGES_BYTES_MAX));
        of.entry(user).or_insert_with(begun).clone()
    }
}

#[derive(OpenApi)]
#[openapi(info(
    title = "readalong",
    description = "Shares AI chats read-only. docs/api.md says the same in prose."
))]
struct ApiDocument;

/// The routes, with the guards that stand before all of them.
pub(crate) fn router(service: &Arc<Service>) -> Router<Arc<Service>> {
    let (router, document) = documented(service);
    let document: Arc<str> = document.to_json().unwrap_or_default().into();
    let router = router
        .route_layer(middleware::from_fn_with_state(
            service.clone(),
            auth::refuse_bad_tokens,
        ))
        .layer(guard_against_other_sites(service, || {
            ApiError::cross_site().into_response()
        }));
    router.route(
        "/openapi.json",
        get(async move || {
            (
                [(header::CONTENT_TYPE, "application/json")],
                document.to_string(),
            )
        }),
    )
}

/// The routes and what the OpenAPI document says of them.
fn documented(service: &Arc<Service>) -> (Router<Arc<Service>>, utoipa::openapi::OpenApi) {
    let large = OpenApiRouter::new()
        .routes(routes!(
            messages::put,
            messages::list,
            messages::edit_named,
            messages::erase_named
        ))
        .routes(routes!(source::change));
    let unbounded = OpenApiRouter::new()
        .routes(routes!(source::head_artifact, source::put_artifact))
        .routes(routes!(import::create))
        .routes(routes!(import::inspect))
        .routes(routes!(import::update))
        .layer(DefaultBodyLimit::disable());
    let small = OpenApiRouter::with_openapi(ApiDocument::openapi())
        .routes(routes!(chats::create, chats::list))
        .routes(routes!(chats::count))
        .routes(routes!(chats::one, chats::change, chats::delete))
        .routes(routes!(chats::rescan))
        .routes(routes!(preview::preview))
        .routes(routes!(export::export))
        .routes(routes!(artifacts::list))
        .routes(routes!(artifacts::change, artifacts::erase))
        .routes(routes!(history::list))
        .routes(routes!(history::undo))
        .routes(routes!(messages::one, messages::edit, messages::erase))
        .routes(routes!(source::index))
        .routes(routes!(
            shares::create,
            shares::list,
            shares::delete_several
        ))
        .routes(routes!(shares::one, shares::change, shares::delete))
        .routes(routes!(users::me))
        .routes(routes!(users::list, users::create))
        .routes(routes!(users::change, users::remove))
        .routes(routes!(users::signin_link))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::remove))
        .routes(routes!(follow::list, follow::add))
        .routes(routes!(sessions::list, sessions::end_others))
        .routes(routes!(sessions::end))
        .routes(routes!(admin::list))
        .routes(routes!(admin::one, admin::revoke))
        .routes(routes!(admin::settings, admin::change_settings))
        .merge(showcase::routes())
        .merge(h2ogpte::routes());
    let pictures = showcase::picture_routes();
    let lists = OpenApiRouter::new().routes(routes!(legacy::import));
    let (router, mut document) = in_memory(small, service, JSON_BYTES_MAX)
        .merge(in_memory(pictures, service, showcase::FORM_BYTES_MAX))
        .merge(in_memory(lists, service, legacy::LIST_BYTES_MAX))
        .merge(in_memory(large, service, MESSAGES_BYTES_MAX))
        .merge(unbounded)
        .split_for_parts();
    say_of_all(&mut document);
    (router, document)
}

/// Routes whose bodies are held in memory, and have this many bytes at most.
fn in_memory(
    routes: OpenApiRouter<Arc<Service>>,
    service: &Arc<Service>,
    bytes_max: usize,
) -> OpenApiRouter<Arc<Service>> {
    let state = (service.clone(), bytes_max);
    routes
        .layer(middleware::from_fn_with_state(state, with_room))
        .layer(DefaultBodyLimit::max(bytes_max))
}

/// Lets a request in when there is room for its body, of which nothing is read before; a short one needs none. The room is taken until it is answered:
/// what is made of a body is as long.
async fn with_room(
    State((service, bytes_max)): State<(Arc<Service>, usize)>,
    request: Request,
    next: Next,
) -> Response {
    let says = request.body().size_hint().upper();
    let says = says.and_then(|bytes| usize::try_from(bytes).ok());
    let bytes = says.map_or(bytes_max, |bytes| bytes.min(bytes_max));
    if bytes < LONG_BODY_BYTES {
        return next.run(request).await;
    }
    let known = request.extensions().get::<Caller>().cloned();
    let caller = known.unwrap_or_else(|| Caller::of(&service, request.headers()));
    let Caller::User { user, .. } = caller else {
        // Refused before any of it is read.
        return next.run(request).await;
    };
    let (room, of_user) = (&service.api.room, service.api.room.of(user.id));
    let both = async {
        let own = of_user.acquire_many(bytes as u32).await;
        (own, room.all.acquire_many(bytes as u32).await)
    };
    match timeout(service.limits.body_timeout, both).await {
        Ok((Ok(_own), Ok(_room))) => next.run(request).await,
        _ => ApiError::no_room(ROOM_AFTER_S).into_response(),
    }
}

/// Adds what is true of every route: how to sign in and what errors look like.
fn say_of_all(document: &mut utoipa::openapi::OpenApi) {
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    let mut components = document
        .components
        .take()
        .unwrap_or_else(|| ComponentsBuilder::new().build());
    components.add_security_scheme("token", SecurityScheme::Http(scheme));
    components.schemas.insert(
        "Error".to_owned(),
        <ErrorBody as utoipa::PartialSchema>::schema(),
    );
    document.components = Some(components);
    document.security = Some(vec![SecurityRequirement::new("token", [] as [&str; 0])]);
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Error")))
        .build();
    let error = ResponseBuilder::new()
        .description("Refused or failed.")
        .content("application/json", content)
        .build();
    let items = document.paths.paths.values_mut();
    for operation in items
        .flat_map(|item| {
            [
                &mut item.get,
                &mut item.put,
                &mut item.post,
                &mut item.delete,
                &mut item.patch,
                &mut item.head,
            ]
        })
        .flatten()
    {
        let responses = &mut operation.responses.responses;
        responses.insert("default".to_owned(), RefOr::T(error.clone()));
    }
}

/// What every error says.
#[derive(ToSchema)]
#[allow(
    dead_code,
    reason = "only its schema is used; the error itself is `ApiError`"
)]
struct ErrorBody {
    /// The status.
    code: u16,
    /// What is wrong, for people.
    message: String,
    /// The same again.
    error: String,
    /// What is wrong, for programs.
    error_type: String,
}

/// Refuses with an answer of the route's kind what a browser sends from a page of another site, by `Sec-Fetch-Site` and `Origin`.
pub(crate) fn guard_against_other_sites(
    service: &Service,
    refused: fn() -> Response,
) -> CsrfLayer<impl Fn(tower_http::csrf::ProtectionError) -> Response + Clone + Send + 'static> {
    let layer = CsrfLayer::new();
    let layer = match service.base_url().map(origin_of) {
        // Behind a proxy that writes another Host, the address that people use is ours all the same.
        Some(origin) => layer.add_trusted_origin(origin).unwrap_or_default(),
        None => layer,
    };
    layer.with_rejection_response(move |_| refused())
}

/// Scheme, host and port of an address.
fn origin_of(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url[host..].find('/').map_or(url.len(), |at| host + at);
    &url[..end]
}

/// Which entries of a list are wanted.
#[derive(Clone, Copy, Debug)]
struct Range {
    offset: u32,
    limit: u32,
}

/// Which entries of a list are wanted, as a query says it.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Paged {
    /// How many to leave out.
    offset: Option<u32>,
    /// How many at most.
    limit: Option<u32>,
}

impl Range {
    /// # Errors
    /// More are wanted than a list gives at once.
    fn new(offset: Option<u32>, limit: Option<u32>) -> Result<Self, ApiError> {
        let limit = limit.unwrap_or(LIST_DEFAULT);
        match limit <= LIST_MAX {
            true => Ok(Self {
                offset: offset.unwrap_or(0),
                limit,
            }),
            false => Err(ApiError::bad_request(format!(
                "`limit` is at most {LIST_MAX}"
            ))),
        }
    }

    /// What of a whole list is wanted.
    fn of<T>(self, entries: Vec<T>) -> impl Iterator<Item = T> {
        let wanted = entries.into_iter().skip(self.offset as usize);
        wanted.take(self.limit as usize)
    }
}

/// Where a list goes on.
fn cursor(after: Option<&str>) -> Result<Option<Cursor>, ApiError> {
    let cursor = after.map(str::parse).transpose();
    cursor.map_err(|_| ApiError::bad_request("`after` is what `x-next` of a list said"))
}

/// The header that says where a list goes on. A name may stand in it, so it is percent-encoded.
fn next_header(next: Option<Cursor>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(next) = next
        && let Ok(value) = HeaderValue::try_from(encoded(&next.to_string()))
    {
        headers.insert(X_NEXT, value);
    }
    headers
}

/// Text as it stands in a query.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(byte as char)
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Text that is looked for; an empty one looks for nothing.
fn wanted(filter: Option<String>) -> Option<String> {
    filter.filter(|text| !text.is_empty())
}

/// The id of a chat in a path; what is no id names nothing that is there.
fn chat_id(text: &str) -> Result<ChatId, ApiError> {
    text.parse().map_err(|_| ApiError::not_found("chat"))
}

/// The id of a share in a path; what is no id names nothing that is there.
fn share_id(text: &str) -> Result<ShareId, ApiError> {
    text.parse().map_err(|_| ApiError::not_found("share"))
}

/// A title or name as it may stand in a heading.
///
/// # Errors
/// There is nothing to see in it, or it is too long.
fn heading(what: &str, text: String) -> Result<String, ApiError> {
    let text = text.trim().to_owned();
    match text.len() <= TITLE_BYTES_MAX && can_be_seen(&text) {
        true => Ok(text),
        false => Err(ApiError::bad_request(format!(
            "the {what} has 1 to {TITLE_BYTES_MAX} bytes, with something to see in it"
        ))),
    }
}

/// A member that can be left out, or be null, which is something else.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}
