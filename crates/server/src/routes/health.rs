//! `/health`: whether the server answers. A full disk is no reason to take it away: what is there can still be read and taken back.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde_json::json;

use crate::service::Service;

/// `GET /health`: 200 where the store can be read and written, also while the first account is not made yet, else 503.
pub(crate) async fn health(State(service): State<Arc<Service>>) -> Response {
    let is_stopping = *service.stopping.borrow();
    let (status, word) = match service.read_now(|reader| reader.last_seq()) {
        Ok(_) if is_stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
        Ok(_) if !service.store.is_writing() => {
            tracing::error!("nothing can be written any more; start the server again");
            (StatusCode::SERVICE_UNAVAILABLE, "store")
        }
        Ok(_) if service.setup.is_pending() => (StatusCode::OK, "setup"),
        Ok(_) => (StatusCode::OK, "ok"),
        Err(error) => {
            tracing::error!("the store cannot be read: {error}");
            (StatusCode::SERVICE_UNAVAILABLE, "store")
        }
    };
    let body = json!({ "status": word, "version": env!("CARGO_PKG_VERSION") });
    (status, Json(body)).into_response()
}
