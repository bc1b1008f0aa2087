//! `/s/{share}/events`: the same frames as server-sent events, for networks that break WebSocket.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::{body::Body, extract::Request, response::Response};
use bytes::Bytes;
use http::{
    HeaderName, HeaderValue,
    header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE},
};
use http_body::Frame;
use readalong_live::{
    hub::{Next, Subscription},
    protocol::{self, CloseCode, EncodedFrame},
};
use readalong_model::Seq;

use crate::{
    gate::Link,
    limits::Permit,
    live_share::{SessionGuard, Viewer},
    metrics::Metrics,
    routes::{
        AskedBy, errors,
        socket::{self, Refused},
    },
    service::Service,
};

const EVENT_STREAM: &str = "text/event-stream";
/// Tells proxies not to wait until they have more.
const NO_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Answers a request for an event stream.
pub(crate) async fn watch(service: Arc<Service>, link: Link, request: Request) -> Response {
    let headers = request.headers();
    if !socket::is_own_origin(&service, headers) {
        return errors::forbidden();
    }
    let asks_for_events = headers
        .get_all(ACCEPT)
        .iter()
        .any(|value| value.to_str().is_ok_and(|text| text.contains(EVENT_STREAM)));
    if !asks_for_events {
        return socket::no_upgrade(&service, &link, headers, request.uri().path());
    }
    let asker = request
        .extensions()
        .get::<AskedBy>()
        .and_then(|asked| asked.0);
    let body = match socket::enter(&service, &link, headers, request.uri(), asker).await {
        Ok((viewer, permit)) => {
            let epoch = service.store.epoch().to_owned();
            Body::new(Stream::new(viewer, permit, epoch, service.metrics.clone()))
        }
        Err(Refused::Close(code)) => Body::from(farewell(code)),
        Err(Refused::Failed) => return errors::failed(),
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(NO_BUFFERING, HeaderValue::from_static("no"));
    response
}

fn farewell(code: CloseCode) -> Bytes {
    format!("event: close\ndata: {}\n\n", code.event_data()).into()
}

/// What one viewer gets, as a body.
struct Stream {
    first: VecDeque<(Option<Seq>, EncodedFrame)>,
    frames: Subscription,
    epoch: String,
    has_ended: bool,
    metrics: Arc<Metrics>,
    _session: SessionGuard,
    _permit: Permit,
}

impl Stream {
    fn new(viewer: Viewer, permit: Permit, epoch: String, metrics: Arc<Metrics>) -> Self {
        Self {
            first: viewer.first.into(),
            frames: viewer.frames,
            epoch,
            has_ended: false,
            metrics,
            _session: viewer._session,
            _permit: permit,
        }
    }

    fn event(&self, seq: Option<Seq>, text: &[u8]) -> Bytes {
        let mut event = Vec::with_capacity(text.len() + 64);
        if let Some(seq) = seq {
            event.extend_from_slice(b"id: ");
            event.extend_from_slice(protocol::event_id(&self.epoch, seq).as_bytes());
            event.push(b'\n');
        }
        // JSON as we write it has no line breaks.
        event.extend_from_slice(b"data: ");
        event.extend_from_slice(text);
        event.extend_from_slice(b"\n\n");
        self.metrics.frames.add(1);
        self.metrics.frame_bytes.add(text.len() as u64);
        event.into()
    }
}

impl http_body::Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let event = match self.first.pop_front() {
            Some((seq, text)) => self.event(seq, &text),
            None => match ready!(self.frames.poll_next(context)) {
                Next::Frame { seq, text } => self.event(seq, &text),
                // An event stream has no outlet, and so no rest either.
                Next::Rest => Bytes::new(),
                Next::Close(code) => {
                    self.has_ended = true;
                    farewell(code)
                }
            },
        };
        Poll::Ready(Some(Ok(Frame::data(event))))
    }
}
