//! `/s/{share}/qr.svg` and `qr.png`: the link as a picture, for a telephone.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use qrcode::{Color, QrCode, render::svg};
use readalong_model::Share;

use crate::{
    gate::Link,
    headers,
    routes::errors,
    service::{Service, ServiceError},
};

/// Side of the drawing in pixels; it is drawn in lines and can be any size.
const SIDE: u32 = 256;
/// Pixels of the side of a square in the picture: sharp on paper too.
const SQUARE: usize = 10;
/// Squares of white around it, as readers need them.
const QUIET: usize = 4;

/// The drawing of a share's link.
pub(crate) async fn lines(
    service: &Service,
    link: &Link,
    share: &Share,
    request: &HeaderMap,
) -> Result<Response, ServiceError> {
    let draw = |code: QrCode| {
        let mut picture = code.render::<svg::Color<'_>>();
        let picture = picture.min_dimensions(SIDE, SIDE).quiet_zone(true);
        Some(picture.build())
    };
    let picture = drawn(service, link, request, draw).await?;
    Ok(answer(picture, "image/svg+xml", share))
}

/// The picture of a share's link, for what takes no drawings.
pub(crate) async fn dots(
    service: &Service,
    link: &Link,
    share: &Share,
    request: &HeaderMap,
) -> Result<Response, ServiceError> {
    let picture = drawn(service, link, request, |code| png(&code).ok()).await?;
    Ok(answer(picture, "image/png", share))
}

/// A picture of a link's address. Its squares are found by trying, which takes a while: nobody else waits for it.
async fn drawn<T: Send + 'static>(
    service: &Service,
    link: &Link,
    request: &HeaderMap,
    draw: impl FnOnce(QrCode) -> Option<T> + Send + 'static,
) -> Result<Option<T>, ServiceError> {
    let path = match link {
        Link::Share(id) => format!("/s/{id}/"),
        Link::Legacy(path) => path.clone(),
    };
    let address = format!("{}{path}", service.url_seen_by(request));
    let work = move || draw(QrCode::new(address.as_bytes()).ok()?);
    let picture = tokio::task::spawn_blocking(work).await;
    picture.map_err(|_| ServiceError::Stopping)
}

/// Only an address that is longer than any server takes has no picture.
fn answer(picture: Option<impl IntoResponse>, media_type: &'static str, share: &Share) -> Response {
    let Some(picture) = picture else {
        return errors::gone();
    };
    let mut response = picture.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers::keep(headers, share);
    response
}

fn png(code: &QrCode) -> Result<Vec<u8>, png::EncodingError> {
    let squares = code.width() + 2 * QUIET;
    let side = squares * SQUARE;
    let is_dark = |x: usize, y: usize| {
        let inside = QUIET..code.width() + QUIET;
        inside.contains(&x) && inside.contains(&y) && code[(x - QUIET, y - QUIET)] == Color::Dark
    };
    let dots = (0..side).flat_map(|y| (0..side).map(move |x| (x / SQUARE, y / SQUARE)));
    let dots: Vec<u8> = dots
        .map(|(x, y)| if is_dark(x, y) { 0 } else { u8::MAX })
        .collect();
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, side as u32, side as u32);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header()?.write_image_data(&dots)?;
    Ok(out)
}
