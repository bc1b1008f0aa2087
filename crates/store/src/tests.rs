//! Tests of the store with real files in temporary folders.

mod accounts;
mod durability;
mod erasing;
mod history;
mod layers;
mod random;
mod searching;
mod shares;

use std::sync::{Arc, Mutex};

use readalong_model::*;
use tempfile::TempDir;

use crate::*;

/// A store in a folder of its own, with a user and a chat.
struct World {
    folder: TempDir,
    store: Store,
    events: Arc<Mutex<Vec<Event>>>,
    owner: UserId,
    chat: ChatId,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (store, events) = open(&folder);
        let owner = add_user(&store, "ada");
        let chat = add_chat(&store, owner, 1, Some("/a.jsonl"));
        Self {
            folder,
            store,
            events,
            owner,
            chat,
        }
    }

    fn reopened(self) -> Self {
        drop(self.store);
        let (store, events) = open(&self.folder);
        Self {
            store,
            events,
            ..self
        }
    }

    fn put(&self, messages: Vec<(u32, Message)>) -> Written {
        self.apply(ChangeSet {
            messages,
            ..ChangeSet::default()
        })
    }

    fn apply(&self, changes: ChangeSet) -> Written {
        let write = Write::Apply {
            chat: self.chat.clone(),
            by: Some(self.owner),
            changes,
            durable: true,
        };
        self.write(write)
    }

    fn write(&self, write: Write) -> Written {
        self.store.write_and_wait(write).unwrap()
    }

    fn refused(&self, write: Write) -> StoreError {
        self.store.write_and_wait(write).unwrap_err()
    }

    fn edit(&self, id: &str, text: &str) -> Written {
        self.write(Write::Edit {
            chat: self.chat.clone(),
            by: Some(self.owner),
            id: MessageId(id.into()),
            parts: vec![said(text)],
        })
    }

    fn hide(&self, id: &str, hidden: bool) -> Written {
        self.write(Write::Hide {
            chat: self.chat.clone(),
            by: Some(self.owner),
            id: MessageId(id.into()),
            hidden,
        })
    }

    fn erase(&self, id: &str) -> Written {
        self.write(Write::Erase {
            chat: self.chat.clone(),
            by: Some(self.owner),
            id: MessageId(id.into()),
        })
    }

    fn share(&self, number: u8, updates: Updates) -> Share {
        self.write(Write::CreateShare(self.new_share(number, updates)));
        self.shared(number)
    }

    fn new_share(&self, number: u8, updates: Updates) -> Share {
        Share {
            id: ShareId::from_random([number; 16]),
            chat: self.chat.clone(),
            owner: self.owner,
            name: None,
            visibility: ShareVisibility::Public,
            updates,
            includes_artifacts: true,
            created_at: Timestamp::from_millis(1000 + i64::from(number)).unwrap(),
            expires_at: None,
            frozen_at_seq: None,
            bundle: None,
        }
    }

    fn shared(&self, number: u8) -> Share {
        let id = ShareId::from_random([number; 16]);
        self.read(|reader| reader.share(&id)).unwrap()
    }

    fn read<T>(&self, read: impl FnOnce(&Reader<'_>) -> Result<T, StoreError>) -> T {
        self.store.read(read).unwrap()
    }

    fn record(&self) -> ChatRecord {
        self.read(|reader| reader.chat(&self.chat)).unwrap()
    }

    /// The chat at an event as `id: text`, hidden messages in brackets.
    fn said_at(&self, at: Option<Seq>) -> Vec<String> {
        let chat = self.read(|reader| reader.whole_chat(&self.chat, at));
        chat.unwrap().messages.iter().map(line).collect()
    }

    fn said(&self) -> Vec<String> {
        let whole = self.said_at(None);
        let mut streamed = Vec::new();
        self.read(|reader| {
            reader.messages(&self.chat, 0..u32::MAX, &mut |stored| {
                streamed.push(line(&stored.message));
            })
        });
        assert_eq!(whole, streamed);
        whole
    }

    /// True where some file of the store has the bytes in it.
    fn is_on_disk(&self, bytes: &str) -> bool {
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                if entry.path().is_dir() {
                    folders.push(entry.path());
                } else {
                    let content = std::fs::read(entry.path()).unwrap();
                    let found = content
                        .windows(bytes.len())
                        .any(|at| at == bytes.as_bytes());
                    if found || entry.file_name().to_string_lossy() == bytes {
                        return true;
                    }
                }
            }
        }
        false
    }
}

fn open(folder: &TempDir) -> (Store, Arc<Mutex<Vec<Event>>>) {
    let events: Arc<Mutex<Vec<Event>>> = Arc::default();
    let seen = events.clone();
    let on_commit = move |new: &[Event]| seen.lock().unwrap().extend_from_slice(new);
    (Store::open(folder.path(), on_commit).unwrap(), events)
}

fn add_user(store: &Store, name: &str) -> UserId {
    let write = Write::CreateUser {
        name: name.into(),
        role: UserRole::Owner,
        password_hash: None,
    };
    store.write_and_wait(write).unwrap().user.unwrap()
}

fn add_chat(store: &Store, owner: UserId, number: u8, source: Option<&str>) -> ChatId {
    let write = Write::CreateChat {
        id: ChatId::from_random([number; 16]),
        owner,
        source: source.map(str::to_owned),
        head: head(&format!("Chat {number}")),
    };
    store.write_and_wait(write).unwrap().chat.unwrap()
}

fn head(title: &str) -> ChatHead {
    ChatHead {
        title: title.into(),
        ..ChatHead::default()
    }
}

fn said(text: &str) -> Part {
    Part::Text {
        markdown: text.into(),
    }
}

fn message(id: &str, text: &str) -> Message {
    Message {
        parts: vec![said(text)],
        ..Message::new(id, Role::User)
    }
}

fn line(message: &Message) -> String {
    let text = match message.parts.first() {
        Some(Part::Text { markdown }) => markdown.as_str(),
        _ => "",
    };
    match message.visibility {
        Visibility::Hidden => format!("[{}: {text}]", message.id),
        _ => format!("{}: {text}", message.id),
    }
}
