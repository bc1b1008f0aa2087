//! Long answers that are made for whoever asks: few at once, and each in memory once, however many take it and however slowly.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use readalong_model::Digest;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    content::{Content, Packing, Source},
    file_cache::FileCache,
    service::ServiceError,
};

/// Answers that are made at once: each is in memory meanwhile with what it is made of.
const AT_ONCE: usize = 2;
/// Bytes of answers that are kept; a longer one is kept alone. Whoever still takes one that has to go asks again.
const BYTES_MAX: usize = 64 << 20;

/// Long answers, by a name that says what they are made of.
pub(crate) struct Answers {
    turns: Arc<Semaphore>,
    made: Arc<FileCache>,
}

impl Default for Answers {
    fn default() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            made: Arc::new(FileCache::new(BYTES_MAX)),
        }
    }
}

impl Answers {
    /// The right to make an answer. It goes with the work and not with whoever asked: that one may hang up, and the work goes on.
    ///
    /// # Errors
    /// The server is stopping.
    pub(crate) async fn turn(&self) -> Result<OwnedSemaphorePermit, ServiceError> {
        let turn = self.turns.clone().acquire_owned().await;
        turn.map_err(|_| ServiceError::Stopping)
    }

    /// The answer of this name, made where it is not there.
    ///
    /// # Errors
    /// It could not be made.
    pub(crate) fn known_or<E>(
        &self,
        name: Digest,
        make: impl FnOnce() -> Result<Bytes, E>,
    ) -> Result<Bytes, E> {
        let key = (name, Packing::Plain);
        if let Some(known) = self.made.known(key) {
            return Ok(known);
        }
        let made = make()?;
        self.made.keep(key, &made);
        Ok(made)
    }

    /// An answer as it is given.
    pub(crate) fn content(&self, name: Digest, bytes: &Bytes, media_type: &'static str) -> Content {
        Content {
            media_type: HeaderValue::from_static(media_type),
            // Not of the bytes, but of what they are made of: it names them as exactly.
            sha256: name,
            packing: Packing::Plain,
            source: Source::Cached {
                cache: self.made.clone(),
                size_bytes: bytes.len() as u64,
            },
        }
    }
}
