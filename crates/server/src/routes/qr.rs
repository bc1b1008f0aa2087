//! `/s/{share}/qr.svg`: the link as a picture, for a telephone.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use qrcode::{QrCode, render::svg};
use readalong_model::Share;

use crate::{
    gate::Link,
    headers,
    routes::errors,
    service::{Service, ServiceError},
};

/// Side of the picture in pixels; it is drawn in lines and can be any size.
const SIDE: u32 = 256;

/// The picture of a share's link.
pub(crate) fn picture(
    service: &Service,
    link: &Link,
    share: &Share,
    request: &HeaderMap,
) -> Result<Response, ServiceError> {
    let path = match link {
        Link::Share(id) => format!("/s/{id}/"),
        Link::Legacy(path) => path.clone(),
    };
    let address = format!("{}{path}", service.url_seen_by(request));
    // Only an address that is longer than any server takes does not fit.
    let Ok(code) = QrCode::new(address.as_bytes()) else {
        return Ok(errors::gone());
    };
    let picture = code
        .render::<svg::Color<'_>>()
        .min_dimensions(SIDE, SIDE)
        .quiet_zone(true)
        .build();
    let mut response = picture.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("image/svg+xml"));
    headers::keep(headers, share);
    Ok(response)
}
