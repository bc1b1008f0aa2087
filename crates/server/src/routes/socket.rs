//! `/s/{share}/live`: the WebSocket of a page that is open (docs/protocol.md). The server speaks, the viewer listens.
//!
//! One small task a viewer: it waits for the viewer and for the time of the next ping, and finishes frames that the viewer takes slowly. The others go past
//! it, from the channel straight to the socket. No queue of its own.

mod wire;

use std::{future::poll_fn, io::Cursor, sync::Arc, task::Poll, time::Duration};

use axum::{
    extract::Request,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, StatusCode, Uri,
    header::{HOST, ORIGIN, UPGRADE},
};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use readalong_live::{
    hub::Next,
    protocol::{self, CloseCode},
};
use readalong_model::{Seq, Updates};
use readalong_store::StoreError;
use tokio::{
    io::{AsyncReadExt as _, Chain},
    net::tcp::OwnedReadHalf,
    time::{Instant, MissedTickBehavior, interval_at, timeout},
};

use self::wire::{Control, FrameReader, FrameWriter, Said};
use crate::{
    gate::{self, Denied, Link, Verb},
    limits::Permit,
    live_share::Viewer,
    metrics::Metrics,
    routes::{AskedBy, errors},
    serve::PatientStream,
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
                if let Some(wire) = open(upgrade, metrics.clone()).await {
                    speak(wire, viewer, permit, metrics, ping_every).await;
                }
            });
        }
        Err(Refused::Close(code)) => {
            let metrics = service.metrics.clone();
            tokio::spawn(async move {
                if let Some(wire) = open(upgrade, metrics).await {
                    close(wire, code).await;
                }
            });
        }
        Err(Refused::Failed) => return errors::failed(),
    }
    (wire::SWITCHING, answer).into_response()
}

/// Both halves of a connection.
struct Wire {
    reader: FrameReader<Chain<Cursor<Bytes>, OwnedReadHalf>>,
    writer: Arc<FrameWriter>,
}

/// The connection, once the answer has been sent; nothing where that failed.
async fn open(upgrade: OnUpgrade, metrics: Arc<Metrics>) -> Option<Wire> {
    let upgraded = upgrade.await.ok()?;
    let parts = upgraded.downcast::<TokioIo<PatientStream>>().ok()?;
    // A copy: the original is a place for whole requests, and would be kept as long as the viewer is there.
    let early = Bytes::copy_from_slice(&parts.read_buf);
    let (reading, writing) = parts.io.into_inner().into_inner().into_split();
    Some(Wire {
        reader: FrameReader::new(Cursor::new(early).chain(reading)),
        writer: Arc::new(FrameWriter::new(writing, metrics)),
    })
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
        Err(ServiceError::Ended(code)) => return Err(Refused::Close(code)),
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
    let mut origins = headers.get_all(ORIGIN).iter();
    origins.all(|origin| is_own(service, headers, origin))
}

fn is_own(service: &Service, headers: &HeaderMap, origin: &HeaderValue) -> bool {
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
    let end = pump(&mut wire, viewer, ping_every).await;
    drop(permit);
    if let Some(code) = end {
        if code == CloseCode::Slow {
            metrics.slow_viewers.add(1);
        }
        close(wire, code).await;
    }
}

/// Sends until the end; answers with the code to close with, or nothing where the viewer is gone.
async fn pump(wire: &mut Wire, viewer: Viewer, ping_every: Duration) -> Option<CloseCode> {
    let Wire { reader, writer } = wire;
    let Viewer {
        _session,
        first,
        mut frames,
    } = viewer;
    let taken = || writer.taken();
    for (_, text) in first {
        match frames.attend(taken, writer.send(&text)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return None,
            Err(code) => return Some(code),
        }
    }
    frames.send_through(writer.clone());
    let mut pings = interval_at(Instant::now() + ping_every, ping_every);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Nothing was heard yet, and nothing was asked.
    let mut heard = 1;
    loop {
        let happened = poll_fn(|context| {
            if let Poll::Ready(next) = frames.poll_next(context) {
                return Poll::Ready(Happened::Next(next));
            }
            if let Poll::Ready(said) = reader.poll_said(context) {
                return Poll::Ready(Happened::Said(said));
            }
            pings.poll_tick(context).map(|_| Happened::PingIsDue)
        });
        let done = match happened.await {
            Happened::Next(Next::Frame { text, .. }) => {
                frames.attend(taken, writer.send(&text)).await
            }
            Happened::Next(Next::Rest) => frames.attend(taken, writer.finish()).await,
            Happened::Next(Next::Close(code)) => return Some(code),
            Happened::Said(said @ (Said::Pong | Said::Ping(_))) => {
                heard += 1;
                if heard > protocol::VIEWER_PINGS_MAX {
                    return Some(CloseCode::Protocol);
                }
                match said {
                    Said::Ping(payload) => {
                        frames
                            .attend(taken, writer.control(Control::Pong, &payload))
                            .await
                    }
                    _ => continue,
                }
            }
            Happened::Said(Said::Message | Said::Nonsense) => return Some(CloseCode::Protocol),
            Happened::Said(Said::Close(code)) => {
                let _ = frames
                    .attend(taken, writer.control(Control::Close, &code))
                    .await;
                return None;
            }
            Happened::Said(Said::Gone) => return None,
            Happened::PingIsDue => {
                writer.report();
                if std::mem::take(&mut heard) == 0 {
                    return None;
                }
                frames
                    .attend(taken, writer.control(Control::Ping, &[]))
                    .await
            }
        };
        match done {
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

/// Says why it ends, and waits a moment for the viewer to hear it.
async fn close(mut wire: Wire, code: CloseCode) {
    let mut payload = code.number().to_be_bytes().to_vec();
    payload.extend_from_slice(code.reason().as_bytes());
    let farewell = async {
        if wire.writer.control(Control::Close, &payload).await.is_ok() {
            while let Said::Pong | Said::Ping(_) | Said::Message = wire.reader.said().await {}
        }
    };
    let _ = timeout(CLOSE_TIMEOUT, farewell).await;
}
