//! Errors as programs get them: one JSON object for every status, whoever refused the request.
//!
//! Handlers return [`ApiError`]; what extractors, method routers and layers answer by themselves is put into the same shape by [`as_json`].

use std::any::Any;

use axum::{
    Json,
    body::{self, Body, Bytes},
    extract::{
        FromRequest, FromRequestParts, Request,
        rejection::{BytesRejection, PathRejection, QueryRejection},
    },
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use readalong_import::ImportError;
use readalong_store::StoreError;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::service::ServiceError;

/// Bytes of a foreign error text that are passed on: longer ones are no sentence.
const FOREIGN_TEXT_BYTES_MAX: usize = 2_000;

/// A request that is refused, as JSON: `{"code", "message", "error", "error_type"}`.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    kind: &'static str,
    message: String,
    retry_after_s: Option<u64>,
}

impl ApiError {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            message: message.into(),
            retry_after_s: None,
        }
    }

    /// 400: the request is not what it should be.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// 401: nobody is signed in.
    pub(crate) fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "sign in: send a valid API token as `Authorization: Bearer ...`",
        )
    }

    /// 403: signed in, and not allowed to.
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// 403: a browser sent it from another site.
    pub(crate) fn cross_site() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "cross_site",
            "a page of another site sent this request",
        )
    }

    /// 404: unknown, deleted or somebody else's; `what` names the kind of thing.
    pub(crate) fn not_found(what: &str) -> Self {
        let message = format!("there is no such {what}");
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// 409: it contradicts what is there.
    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", message)
    }

    /// 409: an artifact is named whose bytes are not there.
    pub(crate) fn missing_artifact(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "missing_artifact", message)
    }

    /// 413: the body is larger than `bytes_max`.
    pub(crate) fn too_large(bytes_max: u64) -> Self {
        let message = format!("the body is larger than {bytes_max} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    }

    /// 429: later again.
    pub(crate) fn too_many_requests(retry_after_s: u64) -> Self {
        Self {
            retry_after_s: Some(retry_after_s),
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_requests",
                format!("too many requests; try again in {retry_after_s} seconds"),
            )
        }
    }

    /// 500: our fault. The cause goes to the log and not to the caller.
    pub(crate) fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!("a request failed: {cause}");
        Self::of_status(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// 503: not now.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
    }

    /// 503: too much is held in memory; later again.
    pub(crate) fn no_room(retry_after_s: u64) -> Self {
        let message =
            format!("too many long bodies come at once; try again in {retry_after_s} seconds");
        Self {
            retry_after_s: Some(retry_after_s),
            ..Self::unavailable(message)
        }
    }

    /// The error that a status stands for, in general words.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        let (status, kind, message) = match status.as_u16() {
            401 => return Self::unauthorized(),
            403 => (status, "forbidden", "this is not allowed"),
            404 => (status, "not_found", "there is no such route"),
            405 => (
                status,
                "method_not_allowed",
                "the route does not have this method",
            ),
            409 => (status, "conflict", "it contradicts what is there"),
            413 => (status, "too_large", "the body is too large"),
            415 => (
                status,
                "unsupported_media_type",
                "the body has another type than this route takes",
            ),
            429 => (status, "too_many_requests", "too many requests; try later"),
            503 => (status, "unavailable", "not now; try again"),
            code if code >= 500 => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "the server failed; its log has more",
            ),
            _ => (
                StatusCode::BAD_REQUEST,
                "bad_request",
                "the request cannot be read",
            ),
        };
        Self::new(status, kind, message)
    }

    /// The status.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The same error; where something is not there, it says what kind of thing.
    pub(crate) fn about(self, what: &str) -> Self {
        match self.status {
            StatusCode::NOT_FOUND => Self::not_found(what),
            _ => self,
        }
    }

    /// The same error under a status that the route declares.
    pub(crate) fn not_found_as_forbidden(self) -> Self {
        match self.status {
            StatusCode::NOT_FOUND => Self::forbidden(format!("{} of yours", self.message)),
            _ => self,
        }
    }

    fn with_message(self, message: String) -> Self {
        Self { message, ..self }
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = json!({
            "code": self.status.as_u16(),
            "message": self.message,
            "error": self.message,
            "error_type": self.kind,
        });
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"readalong\""),
            );
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<BytesRejection> for ApiError {
    fn from(rejection: BytesRejection) -> Self {
        of_rejection(rejection.status(), rejection.body_text())
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        of_rejection(rejection.status(), rejection.body_text())
    }
}

impl From<PathRejection> for ApiError {
    fn from(_: PathRejection) -> Self {
        Self::of_status(StatusCode::NOT_FOUND)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound => Self::not_found("thing"),
            StoreError::Exists { .. }
            | StoreError::OwnsChats { .. }
            | StoreError::LastAdmin
            | StoreError::Superseded { .. } => Self::conflict(error.to_string()),
            StoreError::Full => {
                tracing::error!("a request was refused: {error}");
                Self::unavailable(error.to_string())
            }
            StoreError::Busy | StoreError::Locked | StoreError::Closed => {
                Self::unavailable(error.to_string())
            }
            _ => Self::internal(with_causes(&error)),
        }
    }
}

impl From<ServiceError> for ApiError {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Store(error) => error.into(),
            ServiceError::NothingPublic => Self::forbidden(error.to_string()),
            ServiceError::Busy | ServiceError::Stopping => Self::unavailable(error.to_string()),
            _ if error.is_disk_full() => StoreError::Full.into(),
            _ => Self::internal(with_causes(&error)),
        }
    }
}

/// An error with what caused it, for the log.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

impl From<ImportError> for ApiError {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Io { .. } => Self::internal(with_causes(&error)),
            _ => Self::bad_request(error.to_string()),
        }
    }
}

fn of_rejection(status: StatusCode, text: String) -> ApiError {
    ApiError::of_status(status).with_message(shortened(text))
}

fn shortened(mut text: String) -> String {
    let mut end = FOREIGN_TEXT_BYTES_MAX.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

/// A body that is a JSON object; what is wrong with it is told as an [`ApiError`]. No body at all is an object without members.
pub(crate) struct ApiJson<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for ApiJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let kind = request.headers().get(header::CONTENT_TYPE).cloned();
        let body = Bytes::from_request(request, state).await?;
        match kind {
            Some(kind) if !is_json(&kind) => {
                return Err(Self::of_type());
            }
            None if !body.is_empty() => return Err(Self::of_type()),
            _ => {}
        }
        let text: &[u8] = match body.trim_ascii_start() {
            b"" => b"{}",
            text => text,
        };
        // Arrays would be taken for the members of an object in their order.
        if text[0] != b'{' {
            return Err(ApiError::bad_request("the body is not a JSON object"));
        }
        let value = serde_json::from_slice(text);
        value.map(Self).map_err(|error| {
            ApiError::bad_request(shortened(format!("the body cannot be read: {error}")))
        })
    }
}

impl<T> ApiJson<T> {
    fn of_type() -> ApiError {
        ApiError::of_status(StatusCode::UNSUPPORTED_MEDIA_TYPE)
            .with_message("the body has to be `application/json`".to_owned())
    }
}

fn is_json(kind: &HeaderValue) -> bool {
    let kind = kind.to_str().unwrap_or_default().to_ascii_lowercase();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// Parameters behind the `?`; what is wrong with them is told as an [`ApiError`].
pub(crate) struct ApiQuery<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for ApiQuery<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let axum::extract::Query(value) =
            axum::extract::Query::from_request_parts(parts, state).await?;
        Ok(Self(value))
    }
}

/// Parameters in the path; one that cannot be read names nothing that is there.
pub(crate) struct ApiPath<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for ApiPath<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let axum::extract::Path(value) =
            axum::extract::Path::from_request_parts(parts, state).await?;
        Ok(Self(value))
    }
}

/// Puts an error that is not JSON yet into the shape of [`ApiError`]: those of extractors, method routers, limits.
pub(crate) async fn as_json(response: Response) -> Response {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let kind = response.headers().get(header::CONTENT_TYPE);
    if !is_error || kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/json")) {
        return response;
    }
    let (parts, content) = response.into_parts();
    let mut error = ApiError::of_status(status);
    if status.is_client_error()
        && let Some(text) = short_text(content).await
    {
        error = error.with_message(text);
    }
    let mut response = error.into_response();
    for name in [header::ALLOW, header::RETRY_AFTER] {
        if let Some(value) = parts.headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

async fn short_text(content: Body) -> Option<String> {
    let bytes = body::to_bytes(content, FOREIGN_TEXT_BYTES_MAX).await.ok()?;
    let text = String::from_utf8(bytes.to_vec()).ok()?;
    (!text.trim().is_empty()).then_some(text)
}

/// What a panic in a handler is answered with. No panic reaches the process.
pub(crate) fn of_panic(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a message");
    ApiError::internal(format!("a handler panicked: {text}")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_only_a_matter_of_time_is_not_the_servers_failure() {
        for error in [
            ServiceError::Busy,
            ServiceError::Stopping,
            StoreError::Busy.into(),
            StoreError::Locked.into(),
            StoreError::Full.into(),
        ] {
            let told = error.to_string();
            let error = ApiError::from(error);
            assert_eq!((error.status.as_u16(), error.message), (503, told));
        }
    }
}
