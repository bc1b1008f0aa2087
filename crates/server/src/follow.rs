//! What the server follows: transcripts on its own machine, brought into its own store.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use readalong_live::{
    FollowError, FollowOptions, FollowState, Follower, FollowerHandle, Following, IndexEntry, Sink,
    SinkError,
    redacting::{RedactingSink, Redactions},
};
use readalong_model::{ChangeSet, ChatHead, ChatId, Digest, Message, MessageId, Updates, UserId};
use readalong_redact::Report;
use readalong_store::{Reader, Store, StoreError, Write};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use crate::{
    accounts,
    serve::write_private,
    service::{Service, now, random},
};

/// The file of the data folder that lists what live shares rest on, for the next start.
const REMEMBERED: &str = "followed.json";

/// All followers of a server.
#[derive(Default)]
pub(crate) struct Followers {
    followers: Mutex<Vec<Followed>>,
}

/// A file or folder that is followed.
struct Followed {
    path: PathBuf,
    kept: Vec<String>,
    follower: FollowerHandle,
}

/// A file that is followed again at the next start, as long as its chat has a live share.
#[derive(Serialize, Deserialize)]
struct Remembered {
    chat: ChatId,
    path: PathBuf,
    kept: Vec<String>,
}

impl Followers {
    /// Follows a file or a folder, in the name of the first owner. One that is followed already stays so, but for a file that was given up or is
    /// to keep other secrets. `kept` names secrets that stay in its chats.
    ///
    /// # Errors
    /// The path cannot be read or lies in the data folder, or the store failed.
    pub(crate) fn follow(
        &self,
        service: &Arc<Service>,
        path: &Path,
        kept: Vec<String>,
    ) -> Result<(), FollowError> {
        let path_error = |source| FollowError::Path {
            path: path.to_owned(),
            source,
        };
        let path = path.canonicalize().map_err(path_error)?;
        let users = service.read_now(|reader| reader.users());
        let users = users.map_err(|error| path_error(std::io::Error::other(error)))?;
        let nobody = || path_error(std::io::Error::other("there is no owner"));
        let owner = accounts::first_owner(users).ok_or_else(nobody)?.id;
        let mut followers = self.followers();
        if let Some(place) = followers.iter().position(|known| known.path == path) {
            if !followers[place].is_to_begin_anew(service, &kept) {
                return Ok(());
            }
            let replaced = followers.swap_remove(place);
            // It may have to read a file to its end first; nobody else waits for that.
            drop(followers);
            replaced.follower.stop();
            followers = self.followers();
            if followers.iter().any(|known| known.path == path) {
                return Ok(());
            }
        }
        let store = service.store.clone();
        // Who names a file wants its chat; a folder does not bring back what was deleted.
        let revives = AtomicBool::new(path.is_file());
        let sink = Arc::new(StoreSink {
            store,
            owner,
            revives,
            kept: kept.clone(),
            redactions: service.redactions.clone(),
        });
        let (runtime, behind) = (Handle::current(), Arc::downgrade(service));
        let tell = move |chat: &ChatId, report: &Report, has_learned: bool| {
            tell(chat, report);
            let Some(service) = behind.upgrade().filter(|_| has_learned) else {
                return;
            };
            let chat = chat.clone();
            runtime.spawn(async move {
                if let Err(error) = service.rescan(&chat, Vec::new()).await {
                    tracing::warn!("a chat could not be gone over for a secret: {error}");
                }
            });
        };
        let sink = RedactingSink::new(sink, service.redactions.clone(), tell);
        let mut options = FollowOptions::default();
        // What the server writes itself is no transcript: a bundle would come back as a chat that outlives its own.
        options.left_out = Some(service.data.canonicalize().map_err(path_error)?);
        let follower = Follower::start(&path, sink, options)?;
        followers.push(Followed {
            path,
            kept,
            follower,
        });
        Ok(())
    }

    /// Keeps in mind what file a chat grows from, now that somebody shared it live.
    pub(crate) fn remember(&self, service: &Service, chat: &ChatId) {
        let followers = self.followers();
        let is_of_chat = |state: &FollowState| state.chat.as_ref() == Some(chat);
        let mut files = followers.iter().filter(|followed| followed.path.is_file());
        let Some(file) = files.find(|file| file.follower.states().iter().any(is_of_chat)) else {
            return;
        };
        let Some(mut all) = remembered(service) else {
            return;
        };
        if all
            .iter()
            .any(|one| one.path == file.path && one.chat == *chat)
        {
            return;
        }
        // A chat that was deleted left it behind.
        all.retain(|one| one.path != file.path);
        all.push(Remembered {
            chat: chat.clone(),
            path: file.path.clone(),
            kept: file.kept.clone(),
        });
        keep_in_mind(service, &all);
    }

    /// Follows again what live shares rest on.
    pub(crate) fn resume(&self, service: &Arc<Service>) {
        let Some(mut all) = remembered(service) else {
            return;
        };
        let before = all.len();
        all.retain(|one| has_live_share(service, &one.chat));
        if all.len() < before {
            keep_in_mind(service, &all);
        }
        for Remembered { path, kept, .. } in all {
            if let Err(error) = self.follow(service, &path, kept) {
                tracing::warn!("a live share does not grow any more: {error}");
            }
        }
    }

    /// What is followed, and how every file of it is.
    pub(crate) fn states(&self) -> Vec<(PathBuf, Vec<FollowState>)> {
        let followers = self.followers();
        let states = followers
            .iter()
            .map(|followed| (followed.path.clone(), followed.follower.states()));
        states.collect()
    }

    /// Stops following; what was read is in the store then.
    pub(crate) async fn stop(&self) {
        let followers = std::mem::take(&mut *self.followers());
        let stop = move || {
            for followed in followers {
                followed.follower.stop();
            }
        };
        // A follower that panicked has stopped too.
        let _ = tokio::task::spawn_blocking(stop).await;
    }

    fn followers(&self) -> MutexGuard<'_, Vec<Followed>> {
        self.followers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Followed {
    /// True for a file whose chat was deleted, that was given up, or in which more secrets are to stay.
    fn is_to_begin_anew(&self, service: &Service, kept: &[String]) -> bool {
        let is_over = |state: FollowState| {
            matches!(state.following, Following::Refused(_))
                || state.chat.is_some_and(|chat| {
                    let found = service.read_now(|reader| reader.chat(&chat));
                    matches!(found, Ok(None))
                })
        };
        let keeps_more = || kept.iter().any(|secret| !self.kept.contains(secret));
        self.path.is_file() && (keeps_more() || self.follower.states().into_iter().any(is_over))
    }
}

/// What is kept in mind; `None` where it cannot be read now, so that it is not written over.
fn remembered(service: &Service) -> Option<Vec<Remembered>> {
    let path = service.data.join(REMEMBERED);
    match fs::read(&path) {
        Ok(text) => Some(serde_json::from_slice(&text).unwrap_or_default()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Some(Vec::new()),
        Err(error) => {
            tracing::warn!("`{}` cannot be read: {error}", path.display());
            None
        }
    }
}

fn keep_in_mind(service: &Service, all: &[Remembered]) {
    let text = serde_json::to_vec(all).map_err(std::io::Error::other);
    let path = service.data.join(REMEMBERED);
    if let Err(error) = text.and_then(|text| write_private(&path, &text)) {
        tracing::warn!(
            "`{}` could not be written; after the next start some live shares do not grow: {error}",
            path.display()
        );
    }
}

fn has_live_share(service: &Service, chat: &ChatId) -> bool {
    let shares = service.read_now(|reader| reader.shares_of_chat(chat));
    let is_live =
        |share: &readalong_model::Share| share.updates == Updates::Live && !share.is_expired(now());
    // Where that cannot be told now, it is not forgotten.
    shares.map_or(true, |shares| shares.iter().any(is_live))
}

/// Brings what a follower reads into the store.
struct StoreSink {
    store: Store,
    owner: UserId,
    /// Whether a chat that was deleted may begin anew: once, for whoever named the file.
    revives: AtomicBool,
    /// Secrets that stay in its chats.
    kept: Vec<String>,
    redactions: Arc<Redactions>,
}

impl Sink for StoreSink {
    fn open_chat(&self, source: &str, head: &ChatHead) -> Result<ChatId, SinkError> {
        if !self.revives.load(Ordering::Relaxed) {
            let read = |reader: &Reader<'_>| reader.is_deleted_source(self.owner, source);
            if self.store.read(read).map_err(of_store)? {
                return Err(SinkError::Refused(
                    "its chat was deleted; `readalong share` on the file itself begins it anew"
                        .to_owned(),
                ));
            }
        }
        let bytes = random().map_err(|error| SinkError::Later(error.to_string()))?;
        let written = self.store.write_and_wait(Write::CreateChat {
            id: ChatId::from_random(bytes),
            owner: self.owner,
            source: Some(source.to_owned()),
            head: head.clone(),
        });
        let chat = written.map_err(of_store)?.chat;
        let chat = chat.ok_or_else(|| SinkError::Later("the store made no chat".to_owned()))?;
        let mut kept = self
            .store
            .read(|reader| reader.kept(&chat))
            .map_err(of_store)?;
        let known = kept.len();
        let more = self.kept.iter().filter(|secret| !kept.contains(secret));
        let more: Vec<String> = more.cloned().collect();
        kept.extend(more);
        if kept.len() > known {
            let keep = Write::Keep {
                chat: chat.clone(),
                by: None,
                kept,
            };
            self.store.write_and_wait(keep).map_err(of_store)?;
            // What comes from here on is looked at with what stays by now.
            self.redactions.forget(&chat);
        }
        self.revives.store(false, Ordering::Relaxed);
        Ok(chat)
    }

    fn has_chat(&self, source: &str) -> Result<bool, SinkError> {
        let is_known = self.store.read(|reader| {
            let chat = reader.chat_by_source(self.owner, source)?;
            // One that was deleted stays its chat.
            Ok(chat.is_some() || reader.is_deleted_source(self.owner, source)?)
        });
        is_known.map_err(of_store)
    }

    fn index(&self, chat: &ChatId) -> Result<Vec<IndexEntry>, SinkError> {
        let index = self
            .store
            .read(|reader| reader.index(chat))
            .map_err(of_store)?;
        let entry = |(id, digest, place)| IndexEntry { id, digest, place };
        Ok(index.into_iter().map(entry).collect())
    }

    fn recall(&self, chat: &ChatId, id: &MessageId) -> Result<Option<Message>, SinkError> {
        let message = self.store.read(|reader| reader.source_message(chat, id));
        message.map_err(of_store)
    }

    fn apply(&self, chat: &ChatId, changes: ChangeSet) -> Result<(), SinkError> {
        let written = self.store.write_and_wait(Write::Apply {
            chat: chat.clone(),
            by: None,
            changes,
            // The transcript itself is on the disk.
            durable: false,
        });
        written.map(drop).map_err(of_store)
    }

    fn keep_artifact(&self, chat: &ChatId, bytes: &[u8]) -> Result<Digest, SinkError> {
        self.store.keep_artifact_of(chat, bytes).map_err(of_store)
    }

    fn state(&self, state: &FollowState) {
        if let Following::Failing(why) = &state.following {
            let path = state.path.display();
            tracing::warn!("`{path}` is not followed at present, which is tried again: {why}");
        }
    }
}

/// Says in the log what was taken out of a chat: kinds, never a secret.
fn tell(chat: &ChatId, report: &Report) {
    let kinds = report.removed_by_kind();
    if !kinds.is_empty() {
        let kinds: Vec<String> = kinds
            .iter()
            .map(|(kind, count)| format!("{kind} ({count})"))
            .collect();
        tracing::info!("taken out of chat {chat}: {}", kinds.join(", "));
    }
}

fn of_store(error: StoreError) -> SinkError {
    match error {
        StoreError::NotFound => SinkError::Refused("its chat was deleted".to_owned()),
        StoreError::Closed => SinkError::Stopped,
        // A backup, a virus scanner or a lack of open files: it passes.
        StoreError::Busy
        | StoreError::Locked
        | StoreError::Full
        | StoreError::Io { .. }
        | StoreError::Database(_) => SinkError::Later(error.to_string()),
        error => SinkError::Refused(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_fails_for_a_while_ends_no_follower() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("readalong.db")).unwrap();
        let failed = Store::open(folder.path(), |_| {}).err().unwrap();
        assert!(matches!(failed, StoreError::Database(_)), "{failed:?}");
        for error in [failed, StoreError::Locked, StoreError::Busy] {
            assert!(matches!(of_store(error), SinkError::Later(_)));
        }
    }
}
