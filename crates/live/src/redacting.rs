//! Takes secrets out of what is brought into chats, on its way into a store or to a server elsewhere.
//!
//! What is known of a chat is remembered, so that a secret goes from everything that comes after it. The end of the newest message, where it could be the beginning
//! of a secret, is held back until the message goes on, at most for [`HELD_MS`].

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak},
    thread,
    time::{Duration, Instant},
};

use readalong_model::{
    Artifact, Availability, ChangeSet, ChatHead, ChatId, Digest, Message, MessageId, Status,
};
use readalong_redact::{Known, Redactor, Report};

use crate::sink::{FollowState, IndexEntry, Sink, SinkError};

/// How long the end of a message is held back that does not go on, in milliseconds: models pause for less.
pub const HELD_MS: u64 = 2_000;
/// Chats of which something is remembered.
const CHATS_MAX: usize = 1_000;
/// Artifacts of a chat whose bytes were others before their secrets went.
const RENAMED_MAX: usize = 10_000;

/// Which secrets of a chat stay because its owner wants them to.
type Kept = dyn Fn(&ChatId) -> Vec<String> + Send + Sync;

/// What stands between sources and chats. Made once, shared by all who bring something.
pub struct Redactions {
    redactor: Redactor,
    kept: Box<Kept>,
    chats: Mutex<HashMap<ChatId, Arc<Mutex<OfChat>>>>,
}

/// What is remembered of a chat.
struct OfChat {
    redactor: Redactor,
    known: Known,
    renamed: Renamed,
    held: HashMap<MessageId, Held>,
}

/// A message whose end is held back.
struct Held {
    place: u32,
    message: Message,
    due: Instant,
}

/// What became of changes.
#[derive(Debug)]
pub struct Passed<T> {
    /// What the sending answered.
    pub sent: T,
    /// What was taken out.
    pub report: Report,
    /// Something is held back; [`Redactions::release`] is due after [`HELD_MS`].
    pub is_held: bool,
    /// A secret was found that earlier messages may hold where nothing tells it.
    pub has_learned: bool,
}

/// Artifacts whose bytes are others without their secrets: by the digest that their source gives them.
#[derive(Clone, Debug, Default)]
pub struct Renamed(HashMap<Digest, (Digest, u64)>);

impl Renamed {
    /// Remembers under which digest, and in how many bytes, an artifact is kept.
    pub fn insert(&mut self, source: Digest, kept: Digest, size_bytes: u64) {
        if self.0.len() < RENAMED_MAX {
            self.0.insert(source, (kept, size_bytes));
        }
    }

    /// The digest under which an artifact of a source is kept.
    pub fn of(&self, source: Digest) -> Digest {
        self.0.get(&source).map_or(source, |(kept, _)| *kept)
    }

    /// Calls an artifact by what its bytes are.
    pub fn rename(&self, artifact: &mut Artifact) {
        if let Availability::Present { sha256, size_bytes }
        | Availability::TextOnly { sha256, size_bytes } = &mut artifact.content
            && let Some((kept, bytes)) = self.0.get(sha256)
        {
            (*sha256, *size_bytes) = (*kept, *bytes);
        }
    }
}

impl Redactions {
    /// Redactions by a redactor. `kept` tells what stays in a chat; it is asked when the chat is met first.
    pub fn new(
        redactor: Redactor,
        kept: impl Fn(&ChatId) -> Vec<String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            redactor,
            kept: Box::new(kept),
            chats: Mutex::default(),
        }
    }

    /// The redactor for what belongs to no chat yet.
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Takes secrets out of changes and sends them. What is sent of a chat is sent in this order. With `may_hold` the end of the newest message is held back where it
    /// could be the beginning of a secret.
    pub fn pass<T>(
        &self,
        chat: &ChatId,
        mut changes: ChangeSet,
        may_hold: bool,
        send: impl FnOnce(ChangeSet) -> T,
    ) -> Passed<T> {
        let of_chat = self.of_chat(chat);
        let mut of_chat = lock(&of_chat);
        let OfChat {
            redactor,
            known,
            renamed,
            held,
        } = &mut *of_chat;
        for (_, artifact) in &mut changes.artifacts {
            renamed.rename(artifact);
        }
        for id in &changes.removed {
            held.remove(id);
        }
        let messages = std::mem::take(&mut changes.messages);
        let mut outcome = redactor.changes(&mut changes, known);
        let newest = messages.iter().map(|(place, _)| *place).max();
        for (place, mut message) in messages {
            held.remove(&message.id);
            let may_grow = Some(place) == newest || message.status == Status::Partial;
            let is_open = may_hold && may_grow;
            let raw = is_open.then(|| message.clone());
            let of_message = redactor.message(&mut message, known, is_open);
            if let Some(raw) = raw.filter(|_| of_message.is_held) {
                let due = Instant::now() + Duration::from_millis(HELD_MS);
                let id = raw.id.clone();
                held.insert(
                    id,
                    Held {
                        place,
                        message: raw,
                        due,
                    },
                );
            }
            outcome.report.add(of_message.report);
            outcome.is_held |= of_message.is_held;
            outcome.has_learned |= of_message.has_learned;
            changes.messages.push((place, message));
        }
        Passed {
            sent: send(changes),
            report: outcome.report,
            is_held: outcome.is_held,
            has_learned: outcome.has_learned,
        }
    }

    /// Sends what was held back and has not gone on: what is due by then.
    pub fn release(&self, by: Instant, mut send: impl FnMut(&ChatId, ChangeSet)) {
        let chats: Vec<_> = lock(&self.chats)
            .iter()
            .map(|(chat, of_chat)| (chat.clone(), of_chat.clone()))
            .collect();
        for (chat, of_chat) in chats {
            let mut of_chat = lock(&of_chat);
            let OfChat {
                redactor,
                known,
                held,
                ..
            } = &mut *of_chat;
            let mut messages: Vec<(u32, Message)> = held
                .extract_if(|_, held| held.due <= by)
                .map(|(_, held)| (held.place, held.message))
                .collect();
            if messages.is_empty() {
                continue;
            }
            for (_, message) in &mut messages {
                redactor.message(message, known, false);
            }
            let changes = ChangeSet {
                messages,
                ..ChangeSet::default()
            };
            send(&chat, changes);
        }
    }

    /// True while the end of a message is held back, or anything is on its way into a chat.
    pub fn is_holding(&self) -> bool {
        lock(&self.chats)
            .values()
            .any(|of_chat| match of_chat.try_lock() {
                Ok(of_chat) => !of_chat.held.is_empty(),
                Err(TryLockError::Poisoned(error)) => !error.into_inner().held.is_empty(),
                Err(TryLockError::WouldBlock) => true,
            })
    }

    /// A chat's artifact without its secrets; `None` where it holds none. It is called by its new digest from then on.
    pub fn file(&self, chat: &ChatId, bytes: &[u8]) -> Option<(Vec<u8>, Report)> {
        let of_chat = self.of_chat(chat);
        let mut of_chat = lock(&of_chat);
        let OfChat {
            redactor,
            known,
            renamed,
            ..
        } = &mut *of_chat;
        let (new, report) = redactor.file("", bytes, known)?;
        renamed.insert(Digest::of(bytes), Digest::of(&new), new.len() as u64);
        Some((new, report))
    }

    /// Calls an artifact of a chat by what its bytes are.
    pub fn rename(&self, chat: &ChatId, artifact: &mut Artifact) {
        lock(&self.of_chat(chat)).renamed.rename(artifact);
    }

    /// The digest under which an artifact of a chat is kept.
    pub fn renamed(&self, chat: &ChatId, source: Digest) -> Digest {
        lock(&self.of_chat(chat)).renamed.of(source)
    }

    /// Does something with what is known of a chat, while nothing else is sent to it.
    pub fn with<T>(&self, chat: &ChatId, act: impl FnOnce(&Redactor, &mut Known) -> T) -> T {
        let of_chat = self.of_chat(chat);
        let mut of_chat = lock(&of_chat);
        let OfChat {
            redactor, known, ..
        } = &mut *of_chat;
        act(redactor, known)
    }

    /// Forgets a chat: what stays in it was said anew.
    pub fn forget(&self, chat: &ChatId) {
        lock(&self.chats).remove(chat);
    }

    /// Meets a chat that is yet to be made; `kept` tells what is to stay in it.
    pub fn meet(&self, chat: &ChatId, kept: &[String]) {
        self.of_chat_keeping(chat, || kept.to_vec());
    }

    fn of_chat(&self, chat: &ChatId) -> Arc<Mutex<OfChat>> {
        self.of_chat_keeping(chat, || (self.kept)(chat))
    }

    fn of_chat_keeping(
        &self,
        chat: &ChatId,
        kept: impl FnOnce() -> Vec<String>,
    ) -> Arc<Mutex<OfChat>> {
        let mut chats = lock(&self.chats);
        if let Some(of_chat) = chats.get(chat) {
            return of_chat.clone();
        }
        if chats.len() >= CHATS_MAX {
            // Whoever uses one has it in hand; what is held back is not forgotten.
            chats.retain(|_, of_chat| {
                Arc::strong_count(of_chat) > 1 || !lock(of_chat).held.is_empty()
            });
        }
        let of_chat = Arc::new(Mutex::new(OfChat {
            redactor: self.redactor.keeping(&kept()),
            known: Known::default(),
            renamed: Renamed::default(),
            held: HashMap::new(),
        }));
        chats.insert(chat.clone(), of_chat.clone());
        of_chat
    }
}

impl std::fmt::Debug for Redactions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactions")
            .field("redactor", &self.redactor)
            .finish_non_exhaustive()
    }
}

/// Hears what was taken out of a chat, and whether earlier messages may hold it too.
type Tell = dyn Fn(&ChatId, &Report, bool) + Send + Sync;

/// A sink that takes secrets out before another sink gets anything.
pub struct RedactingSink {
    inner: Arc<dyn Sink>,
    redactions: Arc<Redactions>,
    tell: Box<Tell>,
    /// This sink, for what is released later.
    me: Weak<Self>,
}

impl RedactingSink {
    /// A sink before another one. `tell` is called for changes in which something was found.
    pub fn new(
        inner: Arc<dyn Sink>,
        redactions: Arc<Redactions>,
        tell: impl Fn(&ChatId, &Report, bool) + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            inner,
            redactions,
            tell: Box::new(tell),
            me: me.clone(),
        })
    }

    /// Sends what is held back when its time has come.
    fn release_later(&self) {
        let me = self.me.clone();
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(HELD_MS));
            if let Some(me) = me.upgrade() {
                me.redactions.release(Instant::now(), |chat, changes| {
                    // What the sink does not take now is read again when it does.
                    let _ = me.inner.apply(chat, changes);
                });
            }
        });
    }
}

impl Sink for RedactingSink {
    fn open_chat(&self, source: &str, head: &ChatHead) -> Result<ChatId, SinkError> {
        let mut head = head.clone();
        let redactor = self.redactions.redactor();
        redactor.text(&mut head.title, "title", &mut Known::default());
        self.inner.open_chat(source, &head)
    }

    fn has_chat(&self, source: &str) -> Result<bool, SinkError> {
        self.inner.has_chat(source)
    }

    fn index(&self, chat: &ChatId) -> Result<Vec<IndexEntry>, SinkError> {
        self.inner.index(chat)
    }

    fn recall(&self, chat: &ChatId, id: &MessageId) -> Result<Option<Message>, SinkError> {
        self.inner.recall(chat, id)
    }

    fn apply(&self, chat: &ChatId, changes: ChangeSet) -> Result<(), SinkError> {
        let passed = self.redactions.pass(chat, changes, true, |changes| {
            self.inner.apply(chat, changes)
        });
        if passed.is_held {
            self.release_later();
        }
        if !passed.report.findings.is_empty() {
            (self.tell)(chat, &passed.report, passed.has_learned);
        }
        passed.sent
    }

    fn keep_artifact(&self, chat: &ChatId, bytes: &[u8]) -> Result<Digest, SinkError> {
        match self.redactions.file(chat, bytes) {
            Some((new, report)) => {
                self.inner.keep_artifact(chat, &new)?;
                (self.tell)(chat, &report, false);
                // Its source goes on calling it by the digest that it gave.
                Ok(Digest::of(bytes))
            }
            None => self.inner.keep_artifact(chat, bytes),
        }
    }

    fn state(&self, state: &FollowState) {
        self.inner.state(state);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
