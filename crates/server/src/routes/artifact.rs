//! What every answer with an artifact says: it is inert, whatever is in it.

use axum::response::Response;
use http::HeaderValue;

use crate::headers;

/// Puts the headers of artifacts. `name` is what the chat calls the file.
pub(crate) fn guard(response: &mut Response, media_type: &HeaderValue, name: Option<&str>) {
    let media_type = media_type.to_str().unwrap_or_default();
    headers::artifact(response.headers_mut(), media_type, name);
}
