//! Long answers that are made for whoever asks: few at once, each once, and on disk from then on, however many take it and however slowly.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use http::HeaderValue;
use readalong_model::Digest;
use tempfile::{NamedTempFile, TempPath};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    content::{Content, Packing, Source},
    service::ServiceError,
    underway::Cut,
};

/// Folder of answers in the folder `cache`; what a crash has left there goes at the next start.
pub(crate) const FOLDER: &str = "answers";
/// Answers that are made at once: each is in memory meanwhile with what it is made of.
const AT_ONCE: usize = 2;
/// Bytes of answers that are kept on disk. One that has to go stays for those who take it.
const BYTES_MAX: u64 = 256 << 20;

/// Long answers, by a name that says what they are made of.
pub(crate) struct Answers {
    turns: Arc<Semaphore>,
    /// The one that was asked for last is the last.
    kept: Mutex<Vec<Answer>>,
}

/// An answer that was made. Its file stays at least as long as this.
#[derive(Clone)]
pub(crate) struct Answer {
    name: Digest,
    media_type: &'static str,
    bytes: Where,
}

#[derive(Clone)]
enum Where {
    File(Arc<TempPath>, u64),
    /// The disk has no room for them.
    Memory(Bytes),
}

impl Default for Answers {
    fn default() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            kept: Mutex::default(),
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

    /// The answer of this name, made with its media type where it is not there. Blocks.
    ///
    /// # Errors
    /// It could not be made.
    pub(crate) fn known_or<E>(
        &self,
        data: &Path,
        name: Digest,
        make: impl FnOnce() -> Result<(Bytes, &'static str), E>,
    ) -> Result<Answer, E> {
        if let Some(known) = self.known(name) {
            return Ok(known);
        }
        let (bytes, media_type) = make()?;
        let answer = |bytes| Answer {
            name,
            media_type,
            bytes,
        };
        let Ok(file) = written(&data.join("cache").join(FOLDER), &bytes) else {
            return Ok(answer(Where::Memory(bytes)));
        };
        let answer = answer(Where::File(Arc::new(file), bytes.len() as u64));
        let mut kept = self.kept();
        kept.push(answer.clone());
        while kept.len() > 1 && kept.iter().map(Answer::len).sum::<u64>() > BYTES_MAX {
            kept.remove(0);
        }
        Ok(answer)
    }

    fn known(&self, name: Digest) -> Option<Answer> {
        let mut kept = self.kept();
        let place = kept.iter().position(|answer| answer.name == name)?;
        let answer = kept.remove(place);
        kept.push(answer.clone());
        Some(answer)
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Answer>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answer {
    pub(crate) fn media_type(&self) -> &'static str {
        self.media_type
    }

    fn len(&self) -> u64 {
        match &self.bytes {
            Where::File(_, bytes) => *bytes,
            Where::Memory(bytes) => bytes.len() as u64,
        }
    }

    /// It as it is given, as far as it is not cut.
    pub(crate) fn content(&self, cut: Cut) -> Content {
        let source = match &self.bytes {
            Where::File(file, size_bytes) => Source::File {
                path: PathBuf::from(file.as_os_str()),
                size_bytes: *size_bytes,
                cut,
            },
            Where::Memory(bytes) => Source::Bytes(bytes.clone()),
        };
        Content {
            media_type: HeaderValue::from_static(self.media_type),
            // Not of the bytes, but of what they are made of: it names them as exactly.
            sha256: self.name,
            packing: Packing::Plain,
            source,
        }
    }
}

fn written(folder: &Path, bytes: &[u8]) -> io::Result<TempPath> {
    fs::create_dir_all(folder)?;
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    Ok(file.into_temp_path())
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn whoever_takes_an_answer_has_all_of_it_though_others_are_kept_instead() {
        let data = tempfile::tempdir().unwrap();
        let answers = Answers::default();
        let long = Bytes::from(vec![7; 3 << 20]);
        let make = |n: u8| {
            let name = Digest::of(&[n]);
            let bytes = long.clone();
            answers.known_or(data.path(), name, || {
                Ok::<_, io::Error>((bytes, "image/png"))
            })
        };
        let first = make(0).unwrap();
        let taken = first
            .content(Cut::default())
            .answer(&HeaderMap::new())
            .await
            .unwrap();
        drop(first);
        assert!(answers.known(Digest::of(&[0])).is_some());
        for n in 1..100 {
            make(n).unwrap();
        }
        assert!(answers.known(Digest::of(&[0])).is_none());
        let kept = fs::read_dir(data.path().join("cache").join(FOLDER)).unwrap();
        assert!(kept.count() as u64 * (3 << 20) <= BYTES_MAX);
        let came = taken.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(came, long);
    }
}
