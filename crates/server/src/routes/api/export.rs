//! A chat as a file to keep, as readers of a share with everything would see it.

use std::sync::Arc;

use axum::{extract::State, http::HeaderMap, response::Response};
use readalong_model::{Digest, Snapshot, SnapshotOptions};
use readalong_render::CopyFormat;
use readalong_store::StoreError;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    chat_id,
    chats::{beginning, record},
};
use crate::{
    auth::Owner,
    error::{ApiError, ApiPath, ApiQuery},
    headers,
    routes::h2ogpte::BUILD,
    service::Service,
    underway::Cut,
};

/// Bytes of a title in a file's name.
const NAME_BYTES_MAX: usize = 80;

/// As what a chat is wanted.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Format {
    Json,
    Markdown,
}

impl Format {
    fn copy(self) -> (CopyFormat, &'static str, &'static str) {
        match self {
            Self::Json => (CopyFormat::Json, "json", "application/json"),
            Self::Markdown => (CopyFormat::Markdown, "md", "text/markdown; charset=utf-8"),
        }
    }
}

/// As what a chat is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wish {
    /// `json` or `markdown`.
    #[param(value_type = String)]
    format: Format,
}

/// A chat as a file.
#[utoipa::path(get, path = "/api/v1/chats/{chat}/export", tag = "chats", params(("chat" = String, Path), Wish), responses(
    (status = 200, description = "The file.", body = String),
))]
pub(crate) async fn export(
    State(service): State<Arc<Service>>,
    owner: Owner,
    ApiPath(chat): ApiPath<String>,
    ApiQuery(wish): ApiQuery<Wish>,
    request: HeaderMap,
) -> Result<Response, ApiError> {
    let chat = record(&service, &owner, chat_id(&chat)?).await?;
    let (format, extension, media_type) = wish.format.copy();
    let file = file_name(&chat.head.title, extension);
    let turn = service.api.whole_chats.turn().await?;
    let at = service.clone();
    let read = service.read(move |r| {
        let _turn = turn;
        let chat = r.chat(&chat.id)?.ok_or(StoreError::NotFound)?;
        let made_of = format!(
            "{BUILD} {} {} {} {extension}",
            at.store.epoch(),
            chat.id,
            chat.last_seq
        );
        let name = Digest::of(made_of.as_bytes());
        at.api.whole_chats.known_or(&at.data, name, || {
            let chat = r.whole_chat(&chat.id, None)?.ok_or(StoreError::NotFound)?;
            let options = SnapshotOptions {
                title: None,
                artifacts: true,
                reasoning: true,
                tools: true,
                messages: None,
            };
            let snapshot = Snapshot::take(chat, &options);
            let copy = readalong_render::copy(&snapshot, format);
            Ok((copy.into(), media_type))
        })
    });
    let made = read.await?;
    let answer = made.content(Cut::default()).answer(&request).await;
    let mut response = answer.map_err(ApiError::internal)?;
    let headers = response.headers_mut();
    headers::keep_as(headers, &file);
    Ok(response)
}

/// A title as the name of a file: what no file system minds.
fn file_name(title: &str, extension: &str) -> String {
    let plain = |c: char| match c {
        c if c.is_alphanumeric() || " -_.()".contains(c) => c,
        _ => '_',
    };
    let name: String = title.trim().chars().map(plain).collect();
    let name = beginning(&name, NAME_BYTES_MAX);
    format!("{}.{extension}", name.trim_start_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_have_nothing_that_leads_elsewhere() {
        assert_eq!(file_name("../a/b\\c:\n\u{202e}x", "md"), "_a_b_c___x.md");
        assert_eq!(file_name(&"ä".repeat(100), "json").len(), 85);
    }
}
