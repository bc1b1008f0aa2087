//! A body that is too large for memory, on its way into a file of its own.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    body::{Body, BodyDataStream},
    extract::{FromRequest, Multipart, Request},
    http::{HeaderMap, header},
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use readalong_model::{Digest, DigestWriter};
use tempfile::{NamedTempFile, TempPath};
use tokio::{fs::File, io::AsyncWriteExt};

use crate::{error::ApiError, service::Service};

/// Folder of the data folder for files on their way; it may be emptied at any time.
const FOLDER: &str = "cache/uploads";
/// Name of the part of a form that holds the file.
const PART: &str = "file";
/// Bytes of a form before its file: other parts, heads.
const FORM_BYTES_MAX: usize = 64 << 10;
/// Bytes that a form is read by: what it has by then is looked at before more is taken.
const FORM_STEP_BYTES: usize = 16 << 10;

/// A body in a file, which goes with this.
pub(super) struct Upload {
    /// Where it lies.
    pub(super) path: TempPath,
    /// Digest of its bytes.
    pub(super) sha256: Digest,
    /// What a form calls the file.
    pub(super) name: Option<String>,
}

impl Upload {
    /// Takes a raw body.
    ///
    /// # Errors
    /// It has more than `bytes_max`, breaks off, or cannot be written.
    pub(super) async fn of_body(
        service: &Service,
        headers: &HeaderMap,
        body: Body,
        bytes_max: u64,
    ) -> Result<Self, ApiError> {
        let length = headers.get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| length > bytes_max) {
            return Err(ApiError::too_large(bytes_max));
        }
        let pieces: BodyDataStream = body.into_data_stream();
        Self::of_pieces(service, pieces, bytes_max).await
    }

    /// Takes the file of a form, or a raw body.
    ///
    /// # Errors
    /// As [`Upload::of_body`], or the form has no part `file`.
    pub(super) async fn of_request(
        service: &Service,
        request: Request,
        bytes_max: u64,
    ) -> Result<Self, ApiError> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        if !kind.is_some_and(|kind| kind.as_bytes().starts_with(b"multipart/form-data")) {
            let (parts, body) = request.into_parts();
            return Self::of_body(service, &parts.headers, body, bytes_max).await;
        }
        let unreadable = |error: axum::extract::multipart::MultipartError| {
            ApiError::bad_request(format!("the form cannot be read: {}", error.body_text()))
        };
        let has_begun = Arc::new(AtomicBool::new(false));
        let begun = has_begun.clone();
        let request = request.map(|body| Body::from_stream(in_steps(body, begun)));
        let form = Multipart::from_request(request, &()).await;
        let mut form = form.map_err(|error| ApiError::bad_request(error.body_text()))?;
        while let Some(part) = form.next_field().await.map_err(unreadable)? {
            if part.name() == Some(PART) {
                has_begun.store(true, Ordering::Relaxed);
                let name = part.file_name().map(str::to_owned);
                let upload = Self::of_pieces(service, part, bytes_max).await?;
                return Ok(Self { name, ..upload });
            }
        }
        Err(ApiError::bad_request(format!(
            "the form has no part `{PART}`"
        )))
    }

    async fn of_pieces<E: std::fmt::Display>(
        service: &Service,
        mut pieces: impl Stream<Item = Result<Bytes, E>> + Unpin,
        bytes_max: u64,
    ) -> Result<Self, ApiError> {
        let (file, path) = temporary(service.data.join(FOLDER)).await?;
        let mut file = File::from_std(file);
        let mut digest = DigestWriter::default();
        let mut size_bytes = 0;
        while let Some(piece) = pieces.next().await {
            let broken = |error| ApiError::bad_request(format!("the body broke off: {error}"));
            let piece = piece.map_err(broken)?;
            size_bytes += piece.len() as u64;
            if size_bytes > bytes_max {
                return Err(ApiError::too_large(bytes_max));
            }
            digest.update(&piece);
            file.write_all(&piece).await.map_err(full)?;
        }
        file.flush().await.map_err(full)?;
        Ok(Self {
            path,
            sha256: digest.finish(),
            name: None,
        })
    }

    /// Opens the file at its beginning.
    ///
    /// # Errors
    /// It is not there any more.
    pub(super) fn open(path: &Path) -> io::Result<std::fs::File> {
        std::fs::File::open(path)
    }
}

/// The body of a form whose file begins after some KB. A reader of forms takes all that it can get, and keeps it until it finds what it looks for: so it
/// gets little at once, and has to wait for more.
fn in_steps(
    body: Body,
    has_begun: Arc<AtomicBool>,
) -> impl Stream<Item = Result<Bytes, axum::Error>> {
    let begin = (body.into_data_stream(), Bytes::new(), 0);
    stream::try_unfold(begin, move |(mut pieces, mut rest, mut before)| {
        let has_begun = has_begun.clone();
        async move {
            tokio::task::yield_now().await;
            while rest.is_empty() {
                match pieces.next().await {
                    Some(piece) => rest = piece?,
                    None => return Ok(None),
                }
            }
            let step = rest.split_to(rest.len().min(FORM_STEP_BYTES));
            if !has_begun.load(Ordering::Relaxed) {
                before += step.len();
            }
            match before > FORM_BYTES_MAX {
                true => Err(axum::Error::new(io::Error::other(format!(
                    "there is no file in its first {FORM_BYTES_MAX} bytes"
                )))),
                false => Ok(Some((step, (pieces, rest, before)))),
            }
        }
    })
}

async fn temporary(folder: PathBuf) -> Result<(std::fs::File, TempPath), ApiError> {
    let make = move || {
        std::fs::create_dir_all(&folder)?;
        Ok(NamedTempFile::new_in(&folder)?.into_parts())
    };
    let made: io::Result<_> = tokio::task::spawn_blocking(make)
        .await
        .map_err(ApiError::internal)?;
    made.map_err(full)
}

/// An error in writing: of a full disk whoever sends should know.
fn full(error: io::Error) -> ApiError {
    match error.kind() {
        io::ErrorKind::StorageFull => ApiError::unavailable("the disk is full"),
        _ => ApiError::internal(error),
    }
}
