//! `/s/{share}/…`: everything that a link leads to. One function takes apart what is asked for, passes the gate, and hands on.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header::LOCATION};
use readalong_live::protocol::CloseCode;
use readalong_model::{ShareVisibility, Updates};
use readalong_store::StoreError;

use crate::{
    gate::{self, Link, Verb},
    headers,
    routes::{api::legacy::normal_path, errors, events, frozen, live_page, qr, socket},
    service::{Service, ServiceError},
};

/// Where links of shares begin.
const SHARES: &str = "/s/";
/// Times that an answer is made again because the owner changed the share meanwhile.
const TRIES_MAX: usize = 5;
/// Pieces of a file's name within a share: `files/x.png` has two.
const PIECES_MAX: usize = 2;

/// `GET /s/{share}`: the page's links are relative, so it needs the slash.
pub(crate) async fn without_slash(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Response {
    let (share, _) = taken_apart(request.uri().path());
    add_slash(&service, Link::Share(share.to_owned()), &request)
}

/// `GET /s/{share}/`.
pub(crate) async fn first_page(state: State<Arc<Service>>, request: Request) -> Response {
    anything(state, request).await
}

/// `GET /s/{share}/{*rest}`.
pub(crate) async fn anything(State(service): State<Arc<Service>>, request: Request) -> Response {
    let (share, rest) = taken_apart(request.uri().path());
    let (link, rest) = (Link::Share(share.to_owned()), rest.to_owned());
    answer(service, link, &rest, request).await
}

/// Any other path: an old link's own, or one below it.
pub(crate) async fn legacy(service: Arc<Service>, request: Request) -> Response {
    if !matches!(*request.method(), http::Method::GET | http::Method::HEAD) {
        return errors::gone();
    }
    let path = normal_path(request.uri().path());
    let link = Link::Legacy(path.clone());
    if gate::find(&service, &link).is_ok() && !path.ends_with('/') {
        return add_slash(&service, link, &request);
    }
    // The longest path first: one old link can lie below another.
    for (at, _) in path.rmatch_indices('/').take(PIECES_MAX) {
        let (old, rest) = (&path[..at], &path[at + 1..]);
        let with_slash = Link::Legacy(format!("{old}/"));
        for link in [Link::Legacy(old.to_owned()), with_slash] {
            if gate::find(&service, &link).is_ok() {
                return answer(service, link, rest, request).await;
            }
        }
    }
    errors::gone()
}

/// What a share has under a name; the empty one is its first page.
async fn answer(service: Arc<Service>, link: Link, rest: &str, request: Request) -> Response {
    match rest {
        "live" => return socket::watch(service, link, request).await,
        "events" => return events::watch(service, link, request).await,
        _ => {}
    }
    let (path, sent) = (request.uri().path(), request.headers());
    let verb = verb_of(rest);
    let mut answered = Err(ServiceError::Busy);
    for _ in 0..TRIES_MAX {
        let share = match gate::admit(&service, &link, sent) {
            Ok(share) => share,
            Err(denied) => return denied.response(verb, path),
        };
        let cut = service.underway.begin(&share, &link);
        let asked = (sent, &cut);
        let made = match (rest, share.updates) {
            ("qr.svg", _) => qr::lines(&service, &link, &share, sent).await,
            ("qr.png", _) => qr::dots(&service, &link, &share, sent).await,
            (_, Updates::Frozen) => frozen::file(&service, &share, rest, asked).await,
            (_, Updates::Live) => live_page::file(&service, &share, &link, rest, asked).await,
        };
        // What was frozen or taken back while it was read is answered as what it is now.
        let is_frozen = matches!(made, Err(ServiceError::Ended(CloseCode::Frozen)));
        if !is_frozen && !cut.is_set() {
            answered = made;
            break;
        }
    }
    // The right may have ended while the answer was made.
    match gate::admit(&service, &link, sent) {
        Ok(share) => {
            let mut answer = answered.unwrap_or_else(|error| failed(&error));
            // A public share may have become one for those who are signed in.
            if service.visibility(&share) == ShareVisibility::Private {
                headers::keep_nothing(answer.headers_mut());
            }
            answer
        }
        Err(denied) => denied.response(verb, path),
    }
}

fn add_slash(service: &Service, link: Link, request: &Request) -> Response {
    let uri = request.uri();
    if let Err(denied) = gate::admit(service, &link, request.headers()) {
        return denied.response(Verb::Open, uri.path());
    }
    let query = uri
        .query()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    // Two slashes at the beginning would name another host.
    let path = format!("/{}/{query}", uri.path().trim_matches('/'));
    let mut response = StatusCode::PERMANENT_REDIRECT.into_response();
    if let Ok(path) = HeaderValue::try_from(path) {
        response.headers_mut().insert(LOCATION, path);
    }
    response
}

/// The share and what is asked of it, as the path has them: an id needs no decoding, and no name of a file does.
fn taken_apart(path: &str) -> (&str, &str) {
    let path = path.strip_prefix(SHARES).unwrap_or_default();
    path.split_once('/').unwrap_or((path, ""))
}

/// Pages lead to the sign-in and back; whatever else is asked for is refused.
fn verb_of(rest: &str) -> Verb {
    match rest.is_empty() || rest.ends_with(".html") {
        true => Verb::Open,
        false => Verb::Take,
    }
}

/// What a share is answered with when it could not be made.
pub(crate) fn failed(error: &ServiceError) -> Response {
    match error {
        ServiceError::Store(StoreError::NotFound) | ServiceError::Ended(CloseCode::Gone) => {
            errors::gone()
        }
        ServiceError::Busy | ServiceError::Ended(_) | ServiceError::Stopping => {
            errors::unavailable()
        }
        error => {
            let mut words = error.to_string();
            let mut cause = std::error::Error::source(error);
            while let Some(because) = cause {
                words.push_str(&format!(": {because}"));
                cause = because.source();
            }
            tracing::error!("a share could not be shown: {words}");
            match error.is_disk_full() {
                true => errors::unavailable(),
                false => errors::failed(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io, path::Path};

    use readalong_bundle::BundleError;
    use readalong_render::RenderError;

    use super::*;

    #[test]
    fn a_share_that_a_full_disk_has_no_room_for_is_there_later() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let bundle = BundleError::Io {
            action: "writing",
            path: "chat.json".into(),
            source: full(),
        };
        let rendered = RenderError::Output {
            path: "chat.json".to_owned(),
            source: Box::new(bundle),
        };
        for error in [
            rendered.into(),
            StoreError::Full.into(),
            ServiceError::io("writing", Path::new("a"))(full()),
        ] {
            let status = failed(&error).status();
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{error}");
        }
        let damaged = io::Error::other("damaged");
        let failure = ServiceError::io("opening", Path::new("a"))(damaged);
        let status = failed(&failure).status();
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    }
}
