//! Files of frozen shares: from their bundles, as they lie there.

use std::{io::ErrorKind, sync::Arc};

use axum::response::Response;
use http::HeaderMap;
use readalong_model::Share;

use crate::{
    content::Takes,
    headers,
    routes::{artifact, errors},
    service::{Service, ServiceError},
};

/// A file of a frozen share; the empty name is its first page.
pub(crate) async fn file(
    service: &Arc<Service>,
    share: &Share,
    name: &str,
    request: &HeaderMap,
) -> Result<Response, ServiceError> {
    let name = match name {
        "" => "index.html",
        name => name,
    };
    match answer(service, share, name, request).await {
        // The bundle was replaced between the look at it and the opening of its file.
        Err(ServiceError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
            answer(service, share, name, request).await
        }
        answered => answered,
    }
}

async fn answer(
    service: &Arc<Service>,
    share: &Share,
    name: &str,
    request: &HeaderMap,
) -> Result<Response, ServiceError> {
    let bundle = service.frozen.open(service, share).await?;
    let Some(found) = service.frozen.file(&bundle, name, Takes::of(request)) else {
        return Ok(errors::gone());
    };
    let media_type = found.content.media_type.clone();
    let answered = found.content.answer(request).await;
    let mut response = answered.map_err(ServiceError::io("opening", name.as_ref()))?;
    match &found.artifact {
        Some(kept_as) => artifact::guard(&mut response, &media_type, kept_as.as_deref()),
        None => headers::page(response.headers_mut()),
    }
    headers::keep(response.headers_mut(), share);
    Ok(response)
}
