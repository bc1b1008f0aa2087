//! What lies around a followed transcript: the files beside it, and the sink that keeps its artifacts.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use readalong_import::{Recall, Surroundings};
use readalong_model::{ChatId, Digest};

use super::files::{Root, Unread, read_at};
use crate::sink::{Sink, SinkError};

/// The largest file beside a transcript that is read; a larger one counts as missing.
pub(crate) const BESIDE_BYTES_MAX: u64 = 256 << 20;
/// Names in a folder beside a transcript that are looked at, at most.
const NAMES_MAX: usize = 20_000;

/// The chat of a transcript, once it is known, for all who need it.
#[derive(Clone, Default)]
pub(crate) struct ChatOf(Arc<Mutex<Option<ChatId>>>);

impl ChatOf {
    pub(crate) fn get(&self) -> Option<ChatId> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn set(&self, chat: ChatId) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(chat);
    }

    /// Gets back messages of the chat.
    pub(crate) fn recall(&self, sink: &Arc<dyn Sink>) -> Recall {
        let (chat, sink) = (self.clone(), Arc::clone(sink));
        Box::new(move |id| sink.recall(&chat.get()?, id).ok().flatten())
    }
}

/// What lies around a transcript.
pub(crate) struct Around {
    root: Root,
    folder: PathBuf,
    sink: Arc<dyn Sink>,
    chat: ChatOf,
    /// Artifacts that wait for their chat to be opened.
    waiting: Vec<Vec<u8>>,
}

impl Around {
    pub(crate) fn new(root: &Root, path: &Path, sink: &Arc<dyn Sink>, chat: &ChatOf) -> Self {
        Self {
            root: root.clone(),
            folder: path.parent().unwrap_or(Path::new("/")).to_owned(),
            sink: Arc::clone(sink),
            chat: chat.clone(),
            waiting: Vec::new(),
        }
    }

    /// Keeps the artifacts that waited for the chat.
    pub(crate) fn keep_waiting(&mut self) -> Result<(), SinkError> {
        let Some(chat) = self.chat.get() else {
            return Ok(());
        };
        for bytes in std::mem::take(&mut self.waiting) {
            self.sink.keep_artifact(&chat, &bytes)?;
        }
        Ok(())
    }

    /// The place of a file beside the transcript; `None` for a path that leads elsewhere.
    pub(crate) fn place(&self, path: &str) -> Option<PathBuf> {
        let mut place = self.folder.clone();
        for piece in Path::new(path).components() {
            let Component::Normal(name) = piece else {
                return None;
            };
            place.push(name);
            if fs::symlink_metadata(&place).ok()?.file_type().is_symlink() {
                return None;
            }
        }
        Some(place)
    }
}

impl Surroundings for Around {
    fn keep(&mut self, bytes: &[u8]) -> io::Result<Digest> {
        match self.chat.get() {
            Some(chat) => self
                .sink
                .keep_artifact(&chat, bytes)
                .map_err(io::Error::other),
            None => {
                self.waiting.push(bytes.to_owned());
                Ok(Digest::of(bytes))
            }
        }
    }

    fn beside(&mut self, path: &str) -> io::Result<Option<Vec<u8>>> {
        self.beside_start(path, BESIDE_BYTES_MAX as usize)
    }

    fn beside_start(&mut self, path: &str, bytes_max: usize) -> io::Result<Option<Vec<u8>>> {
        let Some(place) = self.place(path) else {
            return Ok(None);
        };
        match self.root.open(&place) {
            Ok((file, meta)) if meta.len() <= BESIDE_BYTES_MAX => {
                read_at(&file, 0, bytes_max).map(Some)
            }
            Ok(_) | Err(Unread::Gone | Unread::Never(_)) => Ok(None),
            Err(Unread::Now(error)) => Err(error),
        }
    }

    fn names_in(&mut self, folder: &str) -> Vec<String> {
        let place = if folder.is_empty() {
            Some(self.folder.clone())
        } else {
            self.place(folder)
        };
        let entries = place.and_then(|place| fs::read_dir(place).ok());
        let mut names: Vec<String> = entries
            .into_iter()
            .flatten()
            .flatten()
            .take(NAMES_MAX)
            .filter_map(|entry| name_of(&entry))
            .collect();
        names.sort();
        names
    }
}

/// The name of a file, or of a folder with `/` at the end; `None` for a link and anything else.
fn name_of(entry: &fs::DirEntry) -> Option<String> {
    let name = entry.file_name().to_string_lossy().into_owned();
    match entry.file_type() {
        Ok(kind) if kind.is_file() => Some(name),
        Ok(kind) if kind.is_dir() => Some(name + "/"),
        _ => None,
    }
}

/// What the sink said, where an import failed because of it.
pub(crate) fn sink_error(error: &io::Error) -> Option<&SinkError> {
    error.get_ref()?.downcast_ref()
}
