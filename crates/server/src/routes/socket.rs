//! `/s/{share}/live`: the WebSocket of a page that is open (docs/protocol.md). The server speaks, the viewer listens.
//!
//! One small task a viewer: it waits for a frame, for the viewer and for the time of the next ping. No queue of its own.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{
        FromRequestParts, Request,
        ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade},
    },
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, StatusCode, Uri,
    header::{HOST, ORIGIN, UPGRADE},
};
use readalong_live::{
    hub::Next,
    protocol::{self, CloseCode},
};
use readalong_model::{Seq, Updates};
use readalong_store::StoreError;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use crate::{
    gate::{self, Denied, Link, Verb},
    limits::StreamPermit,
    live_share::Viewer,
    metrics::Metrics,
    routes::{AskedBy, errors},
    service::{Service, ServiceError},
};

/// Bytes that are read from a viewer at once: it says nothing but pongs.
const READ_BYTES: usize = 4 << 10;
/// Time for the last word to be written, and for the viewer to answer it.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Answers a request for a socket.
pub(crate) async fn watch(service: Arc<Service>, link: Link, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    let upgrade = match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => upgrade,
        Err(_) => return no_upgrade(&service, &link, &parts.headers, parts.uri.path()),
    };
    if !is_own_origin(&service, &parts.headers) {
        return errors::forbidden();
    }
    let upgrade = upgrade
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(0)
        .max_message_size(protocol::VIEWER_MESSAGE_BYTES_MAX)
        .max_frame_size(protocol::VIEWER_MESSAGE_BYTES_MAX);
    let asker = parts.extensions.get::<AskedBy>().and_then(|asked| asked.0);
    match enter(&service, &link, &parts.headers, &parts.uri, asker).await {
        Ok((viewer, permit)) => {
            let (metrics, ping_every) = (service.metrics.clone(), service.limits.ping_every);
            upgrade.on_upgrade(move |socket| speak(socket, viewer, permit, metrics, ping_every))
        }
        Err(Refused::Close(code)) => upgrade.on_upgrade(move |socket| close(socket, code)),
        Err(Refused::Failed) => errors::failed(),
    }
}

/// Why a viewer does not come in.
pub(crate) enum Refused {
    /// It is told by a code.
    Close(CloseCode),
    /// The server failed.
    Failed,
}

/// Lets a viewer in to what it asks for, through the gate and within the limits.
pub(crate) async fn enter(
    service: &Arc<Service>,
    link: &Link,
    headers: &HeaderMap,
    uri: &Uri,
    asker: crate::limits::Asker,
) -> Result<(Viewer, StreamPermit), Refused> {
    if *service.stopping.borrow() {
        return Err(Refused::Close(CloseCode::Restarting));
    }
    let share = match gate::admit(service, link, headers) {
        Ok(share) => share,
        Err(Denied::Gone) => return Err(Refused::Close(CloseCode::Gone)),
        Err(Denied::SignIn | Denied::BadToken) => return Err(Refused::Close(CloseCode::SignIn)),
        Err(Denied::Failed) => return Err(Refused::Failed),
    };
    if share.updates == Updates::Frozen {
        return Err(Refused::Close(CloseCode::Frozen));
    }
    let permit = service.addresses.open_stream(asker);
    let permit = permit.ok_or(Refused::Close(CloseCode::TooMany))?;
    let live = match service.live.open(service, &share, link).await {
        Ok(live) => live,
        Err(ServiceError::Store(StoreError::NotFound)) => {
            return Err(Refused::Close(CloseCode::Gone));
        }
        Err(error) => {
            tracing::error!("a live share could not be opened: {error}");
            return Err(Refused::Failed);
        }
    };
    let entered = live.enter(service, headers, place(headers, uri)).await;
    let viewer = entered.map_err(Refused::Close)?;
    Ok((viewer, permit))
}

/// Whether the share may be seen, for one who asks without asking for a socket.
pub(crate) fn no_upgrade(
    service: &Service,
    link: &Link,
    headers: &HeaderMap,
    path: &str,
) -> Response {
    if let Err(denied) = gate::admit(service, link, headers) {
        return denied.response(Verb::Watch, path);
    }
    let mut response = StatusCode::UPGRADE_REQUIRED.into_response();
    response
        .headers_mut()
        .insert(UPGRADE, HeaderValue::from_static("websocket"));
    response
}

/// Where the viewer's page stands: what the browser says when it comes back by itself, else what the address says.
fn place(headers: &HeaderMap, uri: &Uri) -> Option<(String, Seq)> {
    let last = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok());
    if let Some((epoch, after)) = last.and_then(protocol::parse_event_id) {
        return Some((epoch.to_owned(), after));
    }
    let value = |name: &str| {
        let mut pairs = uri
            .query()?
            .split('&')
            .filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    Some((value("epoch")?.to_owned(), value("after")?.parse().ok()?))
}

/// True where no other site's page asks. Programs name no origin.
pub(crate) fn is_own_origin(service: &Service, headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else {
        return true;
    };
    let Ok(origin) = origin.to_str() else {
        return false;
    };
    let own = service.base_url().is_some_and(|url| {
        let uri = url.parse::<Uri>().unwrap_or_default();
        origin
            == format!(
                "{}://{}",
                uri.scheme_str().unwrap_or(""),
                uri.authority().map_or("", |a| a.as_str())
            )
    });
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let of_host = origin.split_once("://").is_some_and(|(scheme, authority)| {
        matches!(scheme, "http" | "https")
            && host.is_some_and(|host| host.eq_ignore_ascii_case(authority))
    });
    own || of_host
}

/// Speaks to one viewer until either side ends it.
async fn speak(
    mut socket: WebSocket,
    viewer: Viewer,
    permit: StreamPermit,
    metrics: Arc<Metrics>,
    ping_every: Duration,
) {
    let end = pump(&mut socket, viewer, &metrics, ping_every).await;
    drop(permit);
    if let Some(code) = end {
        if code == CloseCode::Slow {
            metrics.slow_viewers.add(1);
        }
        close(socket, code).await;
    }
}

/// Passes frames on; answers with the code to close with, or nothing where the viewer is gone.
async fn pump(
    socket: &mut WebSocket,
    viewer: Viewer,
    metrics: &Metrics,
    ping_every: Duration,
) -> Option<CloseCode> {
    let Viewer {
        _session,
        first,
        mut frames,
    } = viewer;
    let mut sent = Sent {
        metrics,
        frames: 0,
        bytes: 0,
    };
    for (_, text) in first {
        let message = sent.message(text);
        match frames.attend(socket.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return None,
            Err(code) => return Some(code),
        }
    }
    let mut pings = interval_at(Instant::now() + ping_every, ping_every);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Nothing was heard yet, and nothing was asked.
    let mut heard = 1;
    loop {
        let message = tokio::select! {
            next = frames.next() => match next {
                Next::Frame { text, .. } => sent.message(text),
                Next::Close(code) => return Some(code),
            },
            said = socket.recv() => match said {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {
                    heard += 1;
                    if heard > protocol::VIEWER_PINGS_MAX {
                        return Some(CloseCode::Protocol);
                    }
                    continue;
                }
                Some(Ok(Message::Text(_) | Message::Binary(_))) => return Some(CloseCode::Protocol),
                // A message that is too large cannot be read to its end.
                Some(Err(_)) => return Some(CloseCode::Protocol),
                Some(Ok(Message::Close(_))) | None => return None,
            },
            _ = pings.tick() => {
                sent.count();
                if std::mem::take(&mut heard) == 0 {
                    return None;
                }
                Message::Ping(Bytes::new())
            }
        };
        match frames.attend(socket.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return None,
            Err(code) => return Some(code),
        }
    }
}

/// Counts what one viewer got, and adds it to what all got from time to time: thousands would hold each other up.
struct Sent<'a> {
    metrics: &'a Metrics,
    frames: u64,
    bytes: u64,
}

impl Sent<'_> {
    fn message(&mut self, text: Bytes) -> Message {
        self.frames += 1;
        self.bytes += text.len() as u64;
        // Frames are JSON that we wrote.
        Message::Text(Utf8Bytes::try_from(text).unwrap_or_default())
    }

    fn count(&mut self) {
        self.metrics.frames.add(std::mem::take(&mut self.frames));
        self.metrics
            .frame_bytes
            .add(std::mem::take(&mut self.bytes));
    }
}

impl Drop for Sent<'_> {
    fn drop(&mut self) {
        self.count();
    }
}

/// Says why it ends, and waits a moment for the viewer to hear it.
async fn close(mut socket: WebSocket, code: CloseCode) {
    let frame = CloseFrame {
        code: code.number(),
        reason: Utf8Bytes::from_static(code.reason()),
    };
    let farewell = async {
        if socket.send(Message::Close(Some(frame))).await.is_ok() {
            while let Some(Ok(_)) = socket.recv().await {}
        }
    };
    let _ = timeout(CLOSE_TIMEOUT, farewell).await;
}
