//! What a book reads: the chat as the store has it.

use std::{fs, ops::Range};

use readalong_model::{Artifact, ChatHead, ChatId, Digest, Message, Seq, Thread};
use readalong_render::Library;
use readalong_store::{Reader, Store, StoreError};

/// What the book reads: the chat as the store has it when it is asked.
pub(super) struct StoreLibrary<'a> {
    store: &'a Store,
    chat: &'a ChatId,
}

impl<'a> StoreLibrary<'a> {
    pub(super) fn new(store: &'a Store, chat: &'a ChatId) -> Self {
        Self { store, chat }
    }

    fn read<T: Default>(&self, read: impl FnOnce(&Reader<'_>) -> Result<T, StoreError>) -> T {
        let read = self
            .store
            .read(read)
            .map_err(|error| super::failed::<()>(&error));
        read.unwrap_or_default()
    }
}

impl Library for StoreLibrary<'_> {
    fn head(&self) -> ChatHead {
        self.read(|reader| {
            Ok(reader
                .chat(self.chat)?
                .map(|chat| chat.head)
                .unwrap_or_default())
        })
    }

    fn message(&self, place: u32) -> Option<(Seq, Message)> {
        let found = self.read(|reader| reader.message(self.chat, place))?;
        Some((found.seq, found.message))
    }

    fn for_each(&self, places: Range<u32>, see: &mut dyn FnMut(u32, Seq, Message)) {
        self.read(|reader| {
            reader.messages(self.chat, places, &mut |found| {
                see(found.place, found.seq, found.message);
            })
        });
    }

    fn threads(&self) -> Vec<Thread> {
        self.read(|reader| reader.threads(self.chat))
    }

    fn artifacts(&self) -> Vec<Artifact> {
        self.read(|reader| reader.artifacts(self.chat))
    }

    fn blob(&self, digest: Digest) -> Option<Vec<u8>> {
        fs::read(self.store.artifact_path(digest)).ok()
    }
}
