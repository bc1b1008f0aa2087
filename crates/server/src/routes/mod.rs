//! All routes on one screen, and what happens around every request.

pub(crate) mod api;
mod artifact;
mod desk;
pub(crate) mod errors;
mod events;
mod frozen;
pub(crate) mod h2ogpte;
mod health;
mod live_page;
mod metrics;
mod oidc;
mod qr;
pub(crate) mod setup;
pub(crate) mod signin;
mod socket;
mod viewer;

use std::{
    io,
    net::IpAddr,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    thread,
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode, Uri,
    header::{CONTENT_TYPE, LOCATION},
    uri::PathAndQuery,
};
use http_body::{Body as _, Frame, SizeHint};
use tokio::{runtime::Handle, time::Sleep};
use tower::util::MapRequest;

use crate::{
    accounts,
    auth::{self, Caller, Proof},
    content::Takes,
    error::{self, ApiError},
    headers,
    limits::Asker,
    service::Service,
};

/// Seconds after which an address that asked too often may ask again.
const RETRY_AFTER_S: u64 = 10;
/// Digits of a share's id that may stand in our own log.
const DIGITS_LOGGED: usize = 6;
/// So many letters and digits in a row may be an id or a token.
const SECRET_DIGITS: usize = 22;
/// Bytes of a body that have to come in the time of [`crate::limits::Limits::body_timeout`], or its end: one byte now and then holds a connection for days.
const BODY_PIECE_BYTES: usize = 4 << 10;

/// Paths that are ours, with all below them: no old link can be there.
pub(crate) const OUR_PATHS: [&str; 17] = [
    "/s",
    "/assets",
    "/api",
    "/rpc",
    "/signin",
    "/signout",
    "/setup",
    "/health",
    "/metrics",
    "/robots.txt",
    "/openapi.json",
    "/account",
    "/admin",
    "/chats",
    "/shares",
    "/showcase",
    "/tokens",
];

/// Where probes ask, of a server too that waits for its first account.
const HEALTH: &str = "/health";
/// In this header a proxy says what it has left away of a path.
const X_FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// For whom a request counts; every request carries it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AskedBy(pub(crate) Asker);

/// Everything that the server answers.
pub(crate) fn router(service: Arc<Service>) -> Router {
    let root = service.root().to_owned();
    let router = Router::new()
        .route("/", get(home))
        .route("/robots.txt", get(robots))
        .route("/assets/{file}", get(assets))
        .route(HEALTH, get(health::health))
        .route("/metrics", get(metrics::metrics))
        .route("/s/{share}", get(viewer::without_slash))
        .route("/s/{share}/", get(viewer::first_page))
        .route("/s/{share}/{*rest}", get(viewer::anything))
        .merge(api::router(&service))
        .merge(signin::router(&service))
        .merge(desk::router())
        .merge(oidc::router())
        .route(setup::PATH, get(setup::show).post(setup::make))
        .fallback(fallback)
        .layer(DefaultBodyLimit::max(service.limits.body_bytes))
        .layer(middleware::from_fn_with_state(service.clone(), around))
        .with_state(service);
    match root.as_str() {
        "/" => router,
        _ => Router::new().fallback_service(MapRequest::new(router, move |request| {
            without_root(request, &root)
        })),
    }
}

/// A request whose path begins where ours do: some proxies leave away what they have us below, others do not. A proxy that says that it did so is believed;
/// only where what it left away is like one of our own paths it has to.
fn without_root(mut request: Request, root: &str) -> Request {
    if request.headers().contains_key(X_FORWARDED_PREFIX) {
        return request;
    }
    let uri = request.uri();
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let folder = root.trim_end_matches('/');
    let rest = match path.strip_prefix(folder) {
        Some(rest) if rest.starts_with('/') => rest.to_owned(),
        Some(rest) if rest.is_empty() || rest.starts_with('?') => format!("/{rest}"),
        _ => return request,
    };
    if let Ok(uri) = rest.parse() {
        *request.uri_mut() = uri;
    }
    request
}

/// What a route leads on to, for a browser that knows us below a root.
fn lead_below(root: &str, headers: &mut HeaderMap) {
    let Some(to) = headers.get(LOCATION).and_then(|to| to.to_str().ok()) else {
        return;
    };
    if let Some(path) = to.strip_prefix('/')
        && let Ok(to) = HeaderValue::try_from(format!("{root}{path}"))
    {
        headers.insert(LOCATION, to);
    }
}

/// Old paths that still lead somewhere; everything else is nowhere.
async fn fallback(State(service): State<Arc<Service>>, request: Request) -> Response {
    if is_for_programs(request.uri()) {
        return ApiError::of_status(StatusCode::NOT_FOUND).into_response();
    }
    viewer::legacy(service, request).await
}

/// A file of the theme, for pages that belong to no share. Its name is that of its content.
async fn assets(State(service): State<Arc<Service>>, request: Request) -> Response {
    let takes = Takes::of(request.headers());
    let Some(asset) = service.asset(request.uri().path().trim_start_matches('/')) else {
        return errors::gone();
    };
    asset.pack();
    match asset.content(takes).answer(request.headers()).await {
        Ok(mut response) => {
            headers::for_ever(response.headers_mut());
            response
        }
        Err(_) => errors::failed(),
    }
}

/// Where somebody begins who has no link.
async fn home(State(service): State<Arc<Service>>, caller: Caller) -> Response {
    if let Caller::User { user, .. } = caller {
        let to = HeaderValue::from_static(desk::home(&service, user.role));
        return (StatusCode::SEE_OTHER, [(LOCATION, to)]).into_response();
    }
    let signin = service.path("/signin");
    let body = format!(
        "<p>Chats are shared here by their links. <a href=\"{signin}\">Sign in</a> to open private ones.</p>"
    );
    errors::page(StatusCode::OK, errors::document("readalong", &body))
}

/// Nothing is forbidden to robots: a page that they may not fetch cannot tell them to forget it. Every page does.
async fn robots() -> Response {
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    ([(CONTENT_TYPE, text)], "User-agent: *\nDisallow:\n").into_response()
}

/// What happens around every request: it is counted, bounded in time, and answered with our headers, whatever happens inside.
async fn around(State(service): State<Arc<Service>>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
    let asker = service.addresses.asker(peer, request.headers());
    let for_programs = is_for_programs(request.uri());
    let span = tracing::debug_span!("request", method = %request.method(), path = %Masked(request.uri().path()));
    let mut response = if is_kept_out(&service, &request) {
        match for_programs {
            true => ApiError::unavailable(setup::WAITS).into_response(),
            false => setup::wait(),
        }
    } else if service.addresses.may_ask(asker)
        && let Some(permit) = service.addresses.begin_answer(asker)
    {
        request.extensions_mut().insert(AskedBy(asker));
        auth::take_proxy_user(&service, peer, request.headers_mut());
        if let Some(name) = auth::proxy_user(request.headers())
            && let Err(error) = accounts::know(&service, &name).await
        {
            tracing::error!("nobody can be signed in: {error}");
        }
        let request = with_patience(request, service.limits.body_timeout);
        let answer = async move {
            let _permit = permit;
            next.run(request).await
        };
        let answer = tracing::Instrument::instrument(answer, span.clone());
        match ToItsEnd(Some(AssertUnwindSafe(answer).catch_unwind().boxed())).await {
            Ok(response) => response,
            Err(panic) => {
                service.metrics.panics.add(1);
                let told = error::of_panic(panic);
                if for_programs { told } else { errors::failed() }
            }
        }
    } else {
        service.metrics.refused.add(1);
        match for_programs {
            true => ApiError::too_many_requests(RETRY_AFTER_S).into_response(),
            false => errors::too_many(RETRY_AFTER_S),
        }
    };
    if for_programs && !response.status().is_success() {
        response = error::as_json(response).await;
    }
    service.notices.fill(&mut response);
    lead_below(service.root(), response.headers_mut());
    headers::secure(response.headers_mut());
    let status = response.status().as_u16();
    service.metrics.requests[usize::from(status / 100).min(5)].add(1);
    span.in_scope(|| tracing::debug!(status, "answered"));
    response
}

/// An answer that is made to its end, also where whoever asked goes away meanwhile: then a task of its own goes on with it. Nothing that was asked for is
/// done by half, and no turn is given back while the work that it was for goes on.
struct ToItsEnd(Option<Answering>);

type Answering = Pin<Box<dyn Future<Output = thread::Result<Response>> + Send>>;

impl Future for ToItsEnd {
    type Output = thread::Result<Response>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answering = self.0.as_mut().expect("it is not polled after its end");
        let answer = ready!(answering.as_mut().poll(context));
        self.0 = None;
        Poll::Ready(answer)
    }
}

impl Drop for ToItsEnd {
    fn drop(&mut self) {
        if let Some(rest) = self.0.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(rest);
        }
    }
}

/// True as long as there is no account, for all but whoever makes it.
fn is_kept_out(service: &Service, request: &Request) -> bool {
    let is_for_all = [setup::PATH, HEALTH].contains(&request.uri().path());
    if !service.setup.is_pending() || is_for_all {
        return false;
    }
    // A command on this machine may have made one.
    let is_made = service.has_owner().unwrap_or(false);
    if is_made {
        service.setup.end();
    }
    let is_local = || {
        matches!(
            Caller::of(service, request.headers()),
            Caller::User {
                proof: Proof::Local,
                ..
            }
        )
    };
    !is_made && !is_local()
}

/// True for routes whose errors are JSON.
fn is_for_programs(uri: &Uri) -> bool {
    let path = uri.path();
    path.starts_with("/api/") || path.starts_with("/rpc/") || path == "/api" || path == "/rpc"
}

/// A path as it may stand in a log: of a share's id the first digits only, for whoever has the id can open the share.
struct Masked<'a>(&'a str);

impl std::fmt::Display for Masked<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (place, piece) in self.0.split('/').enumerate() {
            if place > 0 {
                f.write_str("/")?;
            }
            // A link with something before or behind it is not one that opens, and says how to all the same.
            for word in piece.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
                let end = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
                match end.len() >= SECRET_DIGITS {
                    true => {
                        let behind = &word[end.len()..];
                        write!(f, "{}…{}", &end[..DIGITS_LOGGED], behind.escape_debug())?;
                    }
                    false => write!(f, "{}", word.escape_debug())?,
                }
            }
        }
        Ok(())
    }
}

/// A request whose body has to come in time.
fn with_patience(request: Request, timeout: Duration) -> Request {
    match request.body().is_end_stream() {
        true => request,
        false => request.map(|body| {
            Body::new(PatientBody {
                body,
                timeout,
                came: 0,
                waiting: None,
            })
        }),
    }
}

/// A body of which some has to come within a time, again and again.
struct PatientBody {
    body: Body,
    timeout: Duration,
    /// Bytes that came since the time began to run.
    came: usize,
    /// Runs while too little comes.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl http_body::Body for PatientBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            if let Some(Ok(frame)) = &frame {
                self.came += frame.data_ref().map_or(0, Bytes::len);
            }
            if self.came >= BODY_PIECE_BYTES {
                (self.came, self.waiting) = (0, None);
            }
            return Poll::Ready(frame);
        }
        let timeout = self.timeout;
        let waiting = self
            .waiting
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        ready!(waiting.as_mut().poll(context));
        let slow = io::Error::from(io::ErrorKind::TimedOut);
        Poll::Ready(Some(Err(axum::Error::new(slow))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;
    use crate::serve::{Server, ServerOptions};

    #[test]
    fn what_opens_a_share_does_not_stand_in_the_log() {
        let id = "0123456789abcdef0123456789abcdef";
        let path = format!("/s/{id}/files/a.png");
        assert_eq!(Masked(&path).to_string(), "/s/012345…/files/a.png");
        for (path, logged) in [
            (format!("/s/{id}%00/x"), "/s/012345…%00/x"),
            (format!("/s/..%2e{id};a/"), "/s/..%2e01234…;a/"),
            (format!("/s\\{id}."), "/s\\\\012345…."),
            (format!("/s/\u{202e}{id}ä"), "/s/\\u{202e}012345…ä"),
        ] {
            let masked = Masked(&path).to_string();
            assert!(!masked.contains(&id[..8]), "{masked}");
            assert!(path.contains("%2e") || masked == logged, "{masked}");
        }
        assert_eq!(
            Masked("/signin/x\n\u{1b}").to_string(),
            "/signin/x\\n\\u{1b}"
        );
    }

    #[tokio::test]
    async fn a_panic_is_answered_and_the_next_request_too() {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::open(ServerOptions::new(folder.path().to_owned())).unwrap();
        let service = server.service().clone();
        let boom = get(async || -> &'static str { panic!("a panic of this test") });
        let router = Router::new()
            .route("/boom", boom.clone())
            .route("/api/boom", boom)
            .layer(middleware::from_fn_with_state(service.clone(), around))
            .with_state(service.clone());
        for (path, kind) in [("/boom", "text/html"), ("/api/boom", "application/json")] {
            let request = Request::get(path).body(Body::empty()).unwrap();
            let answer = router.clone().oneshot(request).await.unwrap();
            assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
            assert!(
                answer.headers()[CONTENT_TYPE]
                    .to_str()
                    .unwrap()
                    .starts_with(kind)
            );
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            assert!(!body.is_empty() && !String::from_utf8_lossy(&body).contains("of this test"));
        }
        assert_eq!(service.metrics.panics.value(), 2);
    }
}
