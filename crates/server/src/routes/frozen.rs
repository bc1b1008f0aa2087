//! Files of frozen shares: from their bundles, as they lie there.

use std::{io::ErrorKind, sync::Arc};

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use readalong_model::Share;

use crate::{
    content::Takes,
    headers,
    routes::{artifact, errors},
    service::{Service, ServiceError},
    underway::Cut,
};

/// The script that tells which bundle it is.
const ID: &str = "data/bundle.js";

/// The whole bundle as a file.
const ZIP: &str = "bundle.zip";

/// A file of a frozen share, as far as it is not cut; the empty name is its first page.
pub(crate) async fn file(
    service: &Arc<Service>,
    share: &Share,
    name: &str,
    (request, cut): (&HeaderMap, &Cut),
) -> Result<Response, ServiceError> {
    let name = match name {
        "" => "index.html",
        ID => return Ok(id(share)),
        name => name,
    };
    match answer(service, share, name, (request, cut)).await {
        // The bundle was replaced between the look at it and the opening of its file.
        Err(ServiceError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
            answer(service, share, name, (request, cut)).await
        }
        answered => answered,
    }
}

/// The bundle's id as a data script: no page of a bundle can name it, since it covers the page.
fn id(share: &Share) -> Response {
    let Some(id) = share.bundle else {
        return errors::gone();
    };
    let mut response = format!("readalong.data(\"bundle\",\"{id}\")\n").into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/javascript"));
    headers::keep(headers, share);
    response
}

async fn answer(
    service: &Arc<Service>,
    share: &Share,
    name: &str,
    (request, cut): (&HeaderMap, &Cut),
) -> Result<Response, ServiceError> {
    let bundle = service.frozen.open(service, share).await?;
    if name == ZIP {
        let zip = service.frozen.zip(&share.id, &bundle, cut.clone()).await?;
        let media_type = zip.media_type.clone();
        let answered = zip.answer(request).await;
        let mut response = answered.map_err(ServiceError::io("opening", name.as_ref()))?;
        artifact::guard(&mut response, &media_type, Some("chat.zip"));
        headers::keep(response.headers_mut(), share);
        return Ok(response);
    }
    let wanted = (Takes::of(request), cut.clone());
    let Some(found) = service.frozen.file(&bundle, name, wanted) else {
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
