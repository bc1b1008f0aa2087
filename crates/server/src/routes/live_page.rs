//! Pages and files of live shares, as they are now.

use std::sync::Arc;

use axum::response::Response;
use http::HeaderMap;
use readalong_model::Share;

use crate::{
    content::Takes,
    gate::Link,
    headers,
    live_share::Found,
    routes::{artifact, errors},
    service::{Service, ServiceError},
    underway::Cut,
};

/// A file of a live share, as far as it is not cut; the empty name is the page with its newest messages.
pub(crate) async fn file(
    service: &Arc<Service>,
    share: &Arc<Share>,
    link: &Link,
    name: &str,
    (request, cut): (&HeaderMap, &Cut),
) -> Result<Response, ServiceError> {
    let takes = Takes::of(request);
    let live = service.live.open(service, share, link).await?;
    let (content, kept_as) = match live.find(service, name, (takes, cut.clone())).await? {
        Some(Found::Page(page)) => (page.content(takes), None),
        Some(Found::File(content)) => (content, None),
        Some(Found::Artifact(content, name)) => (content, Some(name)),
        None => return Ok(errors::gone()),
    };
    let media_type = content.media_type.clone();
    let answered = content.answer(request).await;
    let mut response = answered.map_err(ServiceError::io("opening", name.as_ref()))?;
    match &kept_as {
        Some(kept_as) => artifact::guard(&mut response, &media_type, Some(kept_as)),
        None => headers::page(response.headers_mut()),
    }
    headers::keep(response.headers_mut(), share);
    Ok(response)
}
