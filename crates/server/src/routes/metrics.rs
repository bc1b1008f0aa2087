//! `/metrics`: what the server counts, as Prometheus reads it. For programs on this machine and for those who are signed in.

use std::{fmt::Write, sync::Arc};

use axum::{
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, header::CONTENT_TYPE};

use crate::{
    auth::Caller,
    routes::{AskedBy, errors},
    service::Service,
};

/// `GET /metrics`.
pub(crate) async fn metrics(State(service): State<Arc<Service>>, request: Request) -> Response {
    let is_from_here = request
        .extensions()
        .get::<AskedBy>()
        .is_none_or(|asked| asked.0.is_none());
    let is_user = || matches!(Caller::of(&service, request.headers()), Caller::User { .. });
    if !is_from_here && !is_user() {
        return errors::gone();
    }
    let mut response = written(&service).into_response();
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn written(service: &Service) -> String {
    let metrics = &service.metrics;
    let (viewers, live_shares) = service.live.counts();
    let mut out = String::with_capacity(2_000);
    let mut put = |name: &str, kind: &str, help: &str, values: &[(String, u64)]| {
        // Writing into a string cannot fail.
        let _ = writeln!(
            out,
            "# HELP readalong_{name} {help}\n# TYPE readalong_{name} {kind}"
        );
        for (labels, value) in values {
            let _ = writeln!(out, "readalong_{name}{labels} {value}");
        }
    };
    let one = |value: u64| [(String::new(), value)];
    let of_status = |class: usize| {
        (
            format!("{{status=\"{class}xx\"}}"),
            metrics.requests[class].value(),
        )
    };
    let requests: Vec<(String, u64)> = (1..=5).map(of_status).collect();
    put(
        "requests_total",
        "counter",
        "Requests by the class of their status.",
        &requests,
    );
    put(
        "requests_refused_total",
        "counter",
        "Requests refused for their number.",
        &one(metrics.refused.value()),
    );
    put(
        "panics_total",
        "counter",
        "Handlers that panicked.",
        &one(metrics.panics.value()),
    );
    put("viewers", "gauge", "Viewers of live shares.", &one(viewers));
    put(
        "streams",
        "gauge",
        "Sockets and event streams that are open.",
        &one(service.addresses.streams() as u64),
    );
    put(
        "live_shares",
        "gauge",
        "Live shares in memory.",
        &one(live_shares),
    );
    put(
        "frames_total",
        "counter",
        "Frames sent to viewers.",
        &one(metrics.frames.value()),
    );
    put(
        "frame_bytes_total",
        "counter",
        "Bytes of frames sent to viewers.",
        &one(metrics.frame_bytes.value()),
    );
    put(
        "slow_viewers_total",
        "counter",
        "Viewers cut because they did not read.",
        &one(metrics.slow_viewers.value()),
    );
    put(
        "events_total",
        "counter",
        "Events written to the log.",
        &one(metrics.events.value()),
    );
    put(
        "last_seq",
        "gauge",
        "Number of the log's last event.",
        &one(service.store.last_seq()),
    );
    put(
        "publish_lag_microseconds_sum",
        "counter",
        "Time from a commit until its frame was published, summed up.",
        &one(metrics.lag_us.value()),
    );
    put(
        "publish_lag_microseconds_count",
        "counter",
        "Times that it was measured.",
        &one(metrics.lags.value()),
    );
    put(
        "bundles_total",
        "counter",
        "Bundles made for frozen shares.",
        &one(metrics.bundles.value()),
    );
    out
}
