//! `/s/{share}/live`: the WebSocket of a page that is open (docs/protocol.md). The server speaks, the viewer listens.
//!
//! One small task a viewer: it waits for a frame, for the viewer and for the time of the next ping. No queue of its own.

mod wire;

use std::{future::poll_fn, sync::Arc, task::Poll, time::Duration};

use axum::{
    extract::Request,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, StatusCode, Uri,
    header::{HOST, ORIGIN, UPGRADE},
};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use readalong_live::{
    hub::Next,
    protocol::{self, CloseCode},
};
use readalong_model::{Seq, Updates};
use readalong_store::StoreError;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use self::wire::{Kind, Said};
use crate::{
    gate::{self, Denied, Link, Verb},
    limits::Permit,
    live_share::Viewer,
    metrics::Metrics,
    routes::{AskedBy, errors},
    service::{Service, ServiceError},
};

/// Time for the last word to be written, and for the viewer to answer it.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Answers a request for a socket.
pub(crate) async fn watch(service: Arc<Service>, link: Link, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    let Some((upgrade, answer)) = wire::upgrade(&mut parts) else {
        return no_upgrade(&service, &link, &parts.headers, parts.uri.path());
    };
    if !is_own_origin(&service, &parts.headers) {
        return errors::forbidden();
    }
    let asker = parts.extensions.get::<AskedBy>().and_then(|asked| asked.0);
    match enter(&service, &link, &parts.headers, &parts.uri, asker).await {
        Ok((viewer, permit)) => {
            let (metrics, ping_every) = (service.metrics.clone(), service.limits.ping_every);
            tokio::spawn(async move {
                if let Some(wire) = open(upgrade).await {
                    speak(wire, viewer, permit, metrics, ping_every).await;
                }
            });
        }
        Err(Refused::Close(code)) => {
            tokio::spawn(async move {
                if let Some(wire) = open(upgrade).await {
                    close(wire, code).await;
                }
            });
        }
        Err(Refused::Failed) => return errors::failed(),
    }
    (wire::SWITCHING, answer).into_response()
}

type Wire = wire::Wire<TokioIo<Upgraded>>;

/// The connection, once the answer has been sent; nothing where that failed.
async fn open(upgrade: OnUpgrade) -> Option<Wire> {
    let upgraded = upgrade.await.ok()?;
    Some(Wire::new(TokioIo::new(upgraded)))
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
) -> Result<(Viewer, Permit), Refused> {
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
    mut wire: Wire,
    viewer: Viewer,
    permit: Permit,
    metrics: Arc<Metrics>,
    ping_every: Duration,
) {
    let end = pump(&mut wire, viewer, &metrics, ping_every).await;
    drop(permit);
    if let Some(code) = end {
        if code == CloseCode::Slow {
            metrics.slow_viewers.add(1);
        }
        close(wire, code).await;
    }
}

/// Passes frames on; answers with the code to close with, or nothing where the viewer is gone.
async fn pump(
    wire: &mut Wire,
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
        sent.add(&text);
        match frames.attend(wire.send(Kind::Text, text)).await {
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
        let happened = poll_fn(|context| {
            if let Poll::Ready(next) = frames.poll_next(context) {
                return Poll::Ready(Happened::Next(next));
            }
            if let Poll::Ready(said) = wire.poll_said(context) {
                return Poll::Ready(Happened::Said(said));
            }
            pings.poll_tick(context).map(|_| Happened::PingIsDue)
        });
        let (kind, payload) = match happened.await {
            Happened::Next(Next::Frame { text, .. }) => {
                sent.add(&text);
                (Kind::Text, text)
            }
            Happened::Next(Next::Close(code)) => return Some(code),
            Happened::Said(said @ (Said::Pong | Said::Ping(_))) => {
                heard += 1;
                if heard > protocol::VIEWER_PINGS_MAX {
                    return Some(CloseCode::Protocol);
                }
                match said {
                    Said::Ping(payload) => (Kind::Pong, payload),
                    _ => continue,
                }
            }
            Happened::Said(Said::Message | Said::Nonsense) => return Some(CloseCode::Protocol),
            Happened::Said(Said::Close(code)) => {
                let _ = frames.attend(wire.send(Kind::Close, code)).await;
                return None;
            }
            Happened::Said(Said::Gone) => return None,
            Happened::PingIsDue => {
                sent.count();
                if std::mem::take(&mut heard) == 0 {
                    return None;
                }
                (Kind::Ping, Bytes::new())
            }
        };
        match frames.attend(wire.send(kind, payload)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return None,
            Err(code) => return Some(code),
        }
    }
}

/// What a viewer's task waits for.
enum Happened {
    Next(Next),
    Said(Said),
    PingIsDue,
}

/// Counts what one viewer got, and adds it to what all got from time to time: thousands would hold each other up.
struct Sent<'a> {
    metrics: &'a Metrics,
    frames: u64,
    bytes: u64,
}

impl Sent<'_> {
    fn add(&mut self, text: &Bytes) {
        self.frames += 1;
        self.bytes += text.len() as u64;
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
async fn close(mut wire: Wire, code: CloseCode) {
    let mut payload = code.number().to_be_bytes().to_vec();
    payload.extend_from_slice(code.reason().as_bytes());
    let farewell = async {
        if wire.send(Kind::Close, payload.into()).await.is_ok() {
            while let Said::Pong | Said::Ping(_) | Said::Message = wire.said().await {}
        }
    };
    let _ = timeout(CLOSE_TIMEOUT, farewell).await;
}
