//! A live book shows what a bundle of the same chat would show, after whatever happened to the chat, and what viewers do with its
//! operations ends at what a fresh page shows.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    env,
    ops::{ControlFlow, Range},
};

use readalong_model::{
    Action, ArtifactRole, Availability, Change, Chat, ChatId, Digest, Event, MessageId, NoticeKind,
    RawJson, Role, ShareVisibility, Snapshot, SnapshotOptions, Status, ThreadId, ToolCall, Updates,
    Visibility,
};
use readalong_themes::Theme;

use super::*;
use crate::{Output, OutputError};

/// A chat as a store has it, in memory.
#[derive(Clone, Default)]
struct Memory {
    head: ChatHead,
    title: Option<String>,
    threads: Vec<Thread>,
    artifacts: Vec<Artifact>,
    messages: BTreeMap<u32, (Seq, Message)>,
    edited: HashMap<MessageId, Vec<Part>>,
    hidden: HashSet<MessageId>,
    erased: HashSet<MessageId>,
    seq: Seq,
    events: Vec<Event>,
}

impl Memory {
    fn tell(&mut self, change: Change) {
        self.seq += 1;
        let at = Timestamp::from_millis(0).unwrap();
        let chat = ChatId::from_random([1; 16]);
        let seq = self.seq;
        match &change {
            Change::Head(head) => self.head = head.clone(),
            Change::Renamed { title } => self.title = Some(title.clone()),
            Change::ThreadPut { place, thread } => {
                put(&mut self.threads, *place, thread.clone());
            }
            Change::ArtifactPut { place, artifact } => {
                put(&mut self.artifacts, *place, artifact.clone());
            }
            Change::MessagePut { place, message } => {
                let old = self.place_of(&message.id);
                if let Some(old) = old {
                    self.messages.remove(&old);
                }
                self.messages.insert(*place, (seq, message.clone()));
            }
            Change::MessageRemoved { id } => {
                let place = self.place_of(id).unwrap();
                self.messages.remove(&place);
            }
            Change::Edited { id, parts } => _ = self.edited.insert(id.clone(), parts.clone()),
            Change::Hidden { id, hidden: true } => _ = self.hidden.insert(id.clone()),
            Change::Hidden { id, .. } => _ = self.hidden.remove(id),
            Change::Erased { id } => _ = self.erased.insert(id.clone()),
            _ => {}
        }
        self.events.push(Event {
            seq,
            at,
            chat,
            change,
        });
    }

    fn place_of(&self, id: &MessageId) -> Option<u32> {
        let mut messages = self.messages.iter();
        messages
            .find(|(_, (_, message))| message.id == *id)
            .map(|(place, _)| *place)
    }

    fn seen(&self, message: &Message) -> Message {
        if self.erased.contains(&message.id) {
            return message.emptied();
        }
        let mut message = message.clone();
        if let Some(parts) = self.edited.get(&message.id) {
            message.parts.clone_from(parts);
        }
        if self.hidden.contains(&message.id) {
            message.visibility = Visibility::Hidden;
        }
        message
    }

    fn chat(&self) -> Chat {
        Chat {
            threads: self.threads.clone(),
            artifacts: self.artifacts.clone(),
            messages: self
                .messages
                .values()
                .map(|(_, message)| self.seen(message))
                .collect(),
            ..self.head().into_chat()
        }
    }
}

fn put<T: Clone>(list: &mut Vec<T>, place: u32, value: T) {
    if list.len() <= place as usize {
        assert_eq!(list.len(), place as usize);
        list.push(value);
    } else {
        list[place as usize] = value;
    }
}

impl Library for Memory {
    fn head(&self) -> ChatHead {
        let title = self.title.clone();
        ChatHead {
            title: title.unwrap_or_else(|| self.head.title.clone()),
            ..self.head.clone()
        }
    }

    fn message(&self, place: u32) -> Option<(Seq, Message)> {
        let (seq, message) = self.messages.get(&place)?;
        Some((*seq, self.seen(message)))
    }

    fn for_each(&self, places: Range<u32>, see: &mut dyn FnMut(u32, Seq, Message)) {
        for (place, (seq, message)) in self.messages.range(places) {
            see(*place, *seq, self.seen(message));
        }
    }

    fn threads(&self) -> Vec<Thread> {
        self.threads.clone()
    }

    fn artifacts(&self) -> Vec<Artifact> {
        self.artifacts.clone()
    }

    fn blob(&self, _: Digest) -> Option<Vec<u8>> {
        Some(b"<svg/>".to_vec())
    }
}

/// Files of a bundle.
#[derive(Default)]
struct Files(BTreeMap<String, Vec<u8>>);

impl Output for Files {
    fn write(
        &mut self,
        path: &str,
        pieces: &mut dyn Iterator<Item = Vec<u8>>,
    ) -> Result<(), OutputError> {
        self.0.insert(path.to_owned(), pieces.flatten().collect());
        Ok(())
    }
}

fn renderer() -> Renderer {
    Renderer::new(&Theme::load(readalong_themes::DEFAULT).unwrap(), false).unwrap()
}

fn share(options: SnapshotOptions) -> LiveShare {
    LiveShare {
        card: ShareCard {
            shared_by: "Ada".to_owned(),
            shared_at: Timestamp::from_millis(1_767_225_600_000).unwrap(),
            visibility: ShareVisibility::Public,
            updates: Updates::Live,
        },
        options,
    }
}

const ALL: SnapshotOptions = SnapshotOptions {
    title: None,
    artifacts: true,
    reasoning: true,
    tools: true,
    messages: None,
};

const MOMENT: Moment<'static> = Moment {
    epoch: "0123456789abcdef",
    viewers: 2,
    signin: "/signin",
};

fn text(markdown: &str) -> Part {
    Part::Text {
        markdown: markdown.to_owned(),
    }
}

fn call(id: &str, action: Action) -> Part {
    Part::ToolCall(ToolCall {
        call_id: id.to_owned(),
        name: "tool".to_owned(),
        action,
        input: None,
        state: Default::default(),
    })
}

fn result(id: &str, markdown: &str) -> Part {
    Part::ToolResult {
        call_id: id.to_owned(),
        parts: vec![text(markdown)],
        is_error: false,
    }
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, count: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % count.max(1) as u64) as usize
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }
}

/// A chat to which everything happens.
struct Story {
    dice: Dice,
    chat: Memory,
    ids: usize,
    calls: usize,
    clock: i64,
    /// Of one kind of text a lot, so that pages split.
    heavy: bool,
}

impl Story {
    fn new(seed: u64) -> Self {
        let mut chat = Memory::default();
        chat.tell(Change::Head(ChatHead {
            title: "A story".to_owned(),
            ..ChatHead::default()
        }));
        chat.tell(Change::ThreadPut {
            place: 0,
            thread: thread(ThreadKind::Main),
        });
        Self {
            dice: Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5555),
            chat,
            ids: 0,
            calls: 0,
            clock: 1_767_225_600_000,
            heavy: seed.is_multiple_of(3),
        }
    }

    fn words(&mut self) -> String {
        let count = match (self.heavy, self.dice.below(6)) {
            (true, 0) => 8_000,
            (_, 1) => 60,
            _ => 3,
        };
        format!("**w{}** {}", self.dice.below(1000), "word ".repeat(count))
    }

    fn call_id(&mut self) -> String {
        // Now and then one that is there already, or that comes later.
        format!("c{}", self.dice.below(self.calls + 2))
    }

    fn part(&mut self) -> Part {
        match self.dice.below(16) {
            0..=4 => text(&self.words()),
            5..=8 => {
                self.calls += 1;
                let id = match self.dice.one_in(12) {
                    true => self.call_id(),
                    false => format!("c{}", self.calls),
                };
                let action = match self.dice.below(4) {
                    0 => Action::Delegate {
                        title: "sub".to_owned(),
                        prompt: self.words(),
                    },
                    1 => Action::Run {
                        command: "ls".to_owned(),
                        language: None,
                        purpose: None,
                    },
                    _ => Action::Other,
                };
                call(&id, action)
            }
            9..=11 => {
                let id = self.call_id();
                result(&id, &self.words())
            }
            12 => Part::Reasoning {
                markdown: self.words(),
                duration_ms: Some(1200),
            },
            13 => {
                let kinds = [
                    NoticeKind::Compaction,
                    NoticeKind::Queue,
                    NoticeKind::Info,
                    NoticeKind::Error,
                ];
                Part::Notice {
                    kind: self.dice.pick(&kinds),
                    text: "note".to_owned(),
                }
            }
            14 => {
                let artifact = ArtifactId(self.dice.below(self.chat.artifacts.len() + 1) as u32);
                match self.dice.one_in(2) {
                    true => Part::Image {
                        artifact,
                        alt: None,
                    },
                    false => Part::File { artifact },
                }
            }
            _ => Part::Unknown {
                label: "x".to_owned(),
                json: RawJson::new("{\"a\":1}".to_owned()).unwrap(),
            },
        }
    }

    fn any_id(&mut self) -> Option<MessageId> {
        let ids: Vec<MessageId> = self
            .chat
            .messages
            .values()
            .map(|(_, message)| message.id.clone())
            .collect();
        (!ids.is_empty()).then(|| self.dice.pick(&ids))
    }

    fn last_in(&self, thread: ThreadId) -> Option<MessageId> {
        let mut messages = self.chat.messages.values().rev();
        messages
            .find(|(_, message)| message.thread == thread)
            .map(|(_, message)| message.id.clone())
    }

    fn new_message(&mut self) -> Message {
        self.ids += 1;
        let roles = [Role::User, Role::Assistant, Role::Assistant, Role::Tool];
        let role = match self.dice.one_in(10) {
            true => Role::System,
            false => self.dice.pick(&roles),
        };
        let mut message = Message::new(format!("id-{}", self.ids), role);
        if self.dice.one_in(3) && self.chat.threads.len() > 1 {
            message.thread = ThreadId(self.dice.below(self.chat.threads.len() + 1) as u32);
        }
        message.parent = match self.dice.below(16) {
            0 => self.any_id(),
            1 => Some(MessageId("nowhere".to_owned())),
            2 if self.ids < 4 => None,
            _ => self.last_in(message.thread),
        };
        self.clock += [1_000, 60_000, 20_000_000][self.dice.below(3)];
        if !self.dice.one_in(6) {
            message.at = Timestamp::from_millis(self.clock).ok();
        }
        message.visibility = match self.dice.below(14) {
            0 => Visibility::Hidden,
            1 => Visibility::Meta,
            _ => Visibility::Shown,
        };
        message.status = match self.dice.below(10) {
            0 => Status::Partial,
            1 => Status::Error,
            _ => Status::Complete,
        };
        let models = [None, Some("m1".to_owned()), Some("m2".to_owned())];
        message.author.model = self.dice.pick(&models);
        message.author.name = Some("Bo".to_owned()).filter(|_| self.dice.one_in(4));
        let count = [0, 1, 1, 1, 2, 3, 5][self.dice.below(7)];
        message.parts = (0..count).map(|_| self.part()).collect();
        message
    }

    fn append(&mut self) {
        let message = self.new_message();
        let last = self.chat.messages.keys().next_back();
        let place = last.map_or(0, |last| last + 1) + u32::from(self.dice.one_in(20));
        self.chat.tell(Change::MessagePut { place, message });
    }

    /// A message grows, or is otherwise another.
    fn grow(&mut self) {
        let count = self.chat.messages.len();
        if count == 0 {
            return;
        }
        let near = self.dice.below(count.min(4));
        let at = match self.dice.one_in(5) {
            true => self.dice.below(count),
            false => count - 1 - near,
        };
        let (place, (_, message)) = self.chat.messages.iter().nth(at).unwrap();
        let (place, mut message) = (*place, message.clone());
        match self.dice.below(6) {
            0 => _ = message.parts.pop(),
            1 => message.status = Status::Complete,
            2 => message.at = Timestamp::from_millis(self.clock).ok(),
            3 => {
                let words = self.words();
                match message.parts.last_mut() {
                    Some(Part::Text { markdown }) => markdown.push_str(&words),
                    _ => message.parts.push(text(&words)),
                }
            }
            _ => {
                let part = self.part();
                message.parts.push(part);
            }
        }
        self.chat.tell(Change::MessagePut { place, message });
    }

    fn put_thread(&mut self) {
        let count = self.chat.threads.len() as u32;
        let is_new = self.dice.one_in(3) || count < 3;
        let place = match is_new {
            true => count,
            false => 1 + self.dice.below(count as usize - 1) as u32,
        };
        let kinds = [
            ThreadKind::Subagent,
            ThreadKind::Subagent,
            ThreadKind::Compaction,
            ThreadKind::Side,
        ];
        let kind = self.dice.pick(&kinds);
        let title = Some(format!("T{}", self.dice.below(9))).filter(|_| self.dice.one_in(2));
        let id = self.call_id();
        let parent_call = Some(id).filter(|_| !self.dice.one_in(5));
        let thread = Thread {
            kind,
            title,
            parent_call,
        };
        self.chat.tell(Change::ThreadPut { place, thread });
    }

    fn put_artifact(&mut self) {
        let count = self.chat.artifacts.len();
        let place = match self.dice.one_in(4) {
            true => self.dice.below(count + 1),
            false => count,
        };
        let types = ["image/png", "image/svg+xml", "application/pdf"];
        let bytes = self.dice.below(1000).to_string();
        let artifact = Artifact {
            name: format!("file-{bytes}"),
            media_type: self.dice.pick(&types).to_owned(),
            role: ArtifactRole::Produced,
            content: Availability::Present {
                sha256: Digest::of(bytes.as_bytes()),
                size_bytes: 5,
            },
            dimensions: None,
        };
        let place = place as u32;
        self.chat.tell(Change::ArtifactPut { place, artifact });
    }

    /// A message comes between others, which all stand elsewhere then; or two change places.
    fn shift(&mut self) {
        let places: Vec<u32> = self.chat.messages.keys().copied().collect();
        if places.len() < 3 {
            return;
        }
        let near = self.dice.below(places.len().min(5));
        let at = places.len() - 1 - near;
        let message_at = |chat: &Memory, place: u32| chat.messages[&place].1.clone();
        if self.dice.one_in(2) && at > 0 {
            let (a, b) = (places[at - 1], places[at]);
            let (first, second) = (message_at(&self.chat, a), message_at(&self.chat, b));
            let put = |place, message| Change::MessagePut { place, message };
            self.chat.tell(put(a, second));
            self.chat.tell(put(b, first));
            return;
        }
        let moved: Vec<(u32, Message)> = places[at..]
            .iter()
            .map(|place| (*place + 1, message_at(&self.chat, *place)))
            .collect();
        let message = self.new_message();
        let mut puts = vec![(places[at], message)];
        puts.extend(moved);
        for (place, message) in puts {
            self.chat.tell(Change::MessagePut { place, message });
        }
    }

    fn own(&mut self) {
        let Some(id) = self.any_id() else {
            return;
        };
        let change = match self.dice.below(8) {
            0..=2 => Change::Hidden {
                hidden: !self.chat.hidden.contains(&id),
                id,
            },
            3 | 4 => {
                let count = self.dice.below(3);
                let parts = (0..count).map(|_| self.part()).collect();
                Change::Edited { id, parts }
            }
            5 => Change::Erased { id },
            6 => Change::MessageRemoved { id },
            _ => Change::Renamed {
                title: format!("Name {}", self.dice.below(100)),
            },
        };
        self.chat.tell(change);
    }

    fn head(&mut self) {
        let leaf = self.any_id().filter(|_| self.dice.one_in(3));
        let last = self.last_in(ThreadId::MAIN);
        let head = ChatHead {
            title: format!("Title {}", self.dice.below(3)),
            active_leaf: if self.dice.one_in(2) { last } else { leaf },
            updated_at: Timestamp::from_millis(self.clock).ok(),
            damaged_records: self.dice.below(2) as u64,
            ..self.chat.head.clone()
        };
        self.chat.tell(Change::Head(head));
    }

    fn step(&mut self) {
        match self.dice.below(40) {
            0..=19 => self.append(),
            20..=27 => self.grow(),
            28..=30 => self.put_thread(),
            31 | 32 => self.put_artifact(),
            33 => self.shift(),
            34..=37 => self.own(),
            _ => self.head(),
        }
    }
}

/// An open page, as docs/protocol.md says that it takes operations.
#[derive(Clone)]
struct Viewer {
    pages: Vec<String>,
    first: usize,
    last: usize,
    is_at_end: bool,
    items: Vec<(String, String)>,
    seq: Seq,
    has_ended_reload: bool,
}

impl Viewer {
    fn open(
        book: &LiveBook,
        renderer: &Renderer,
        chat: &Memory,
        (first, last): (usize, usize),
    ) -> Self {
        Self {
            pages: (first..=last).map(page::main_href).collect(),
            first,
            last,
            is_at_end: last == book.pages(),
            items: fresh(book, renderer, chat, (first, last)),
            seq: book.seq(),
            has_ended_reload: false,
        }
    }

    fn place(&self, key: &str) -> Option<usize> {
        self.items.iter().position(|(item, _)| item == key)
    }

    fn take(&mut self, op: &Op) {
        match op {
            Op::Put {
                item,
                after,
                page,
                html,
                ..
            } => self.put(item, after.as_deref(), page, html),
            Op::Remove { item } => self.items.retain(|(key, _)| key != item),
            Op::Header { .. } | Op::TakenBack {} => {}
            Op::End { .. } => panic!("nothing ends here"),
            Op::Reload {} => self.has_ended_reload = true,
        }
    }

    fn put(&mut self, item: &str, after: Option<&str>, page: &str, html: &str) {
        let entry = (item.to_owned(), html.to_owned());
        let is_mine = self.pages.iter().any(|mine| mine == page);
        let after_place = after.and_then(|after| self.place(after));
        if let Some(place) = self.place(item) {
            if !self.is_at_end && !is_mine {
                self.items.remove(place);
                return;
            }
            match after_place {
                Some(after) if after + 1 != place => {
                    self.items.remove(place);
                    let after = self.place(after_key(&self.items, after, place)).unwrap();
                    self.items.insert(after + 1, entry);
                }
                _ => self.items[place] = entry,
            }
            return;
        }
        match after_place {
            Some(after) if self.is_at_end || is_mine => self.items.insert(after + 1, entry),
            None if self.pages[0] == page => self.items.insert(0, entry),
            _ if self.is_at_end && self.items.is_empty() => self.items.push(entry),
            _ => {}
        }
    }
}

/// Key of the item that stood at `after` before the one at `removed` went.
fn after_key(items: &[(String, String)], after: usize, removed: usize) -> &str {
    &items[after - usize::from(removed < after)].0
}

fn fresh(
    book: &LiveBook,
    renderer: &Renderer,
    chat: &Memory,
    pages: (usize, usize),
) -> Vec<(String, String)> {
    let on = |place: usize| (pages.0..=pages.1).contains(&(book.records[place].page as usize));
    let places: Vec<usize> = (0..book.records.len()).filter(|place| on(*place)).collect();
    let fragments = book.fragments(renderer, chat, &places).unwrap();
    let keys = places
        .iter()
        .map(|place| book.records[*place].key.to_string());
    keys.zip(fragments.into_iter().map(|fragment| fragment.html))
        .collect()
}

/// The book's pages are the bundle's.
fn assert_is_bundle(book: &LiveBook, renderer: &Renderer, chat: &Memory, seed: u64) {
    let whole = Chat {
        share: Some(book.share.card.clone()),
        ..chat.chat()
    };
    let snapshot = Snapshot::take(whole, &book.share.options);
    let mut files = Files::default();
    let blobs = |digest| chat.blob(digest);
    renderer.render(&snapshot, &blobs, &mut files).unwrap();
    let mut expected = files.0;
    let mut check = |name: &str, made: Vec<u8>| {
        let expected = expected
            .remove(name)
            .unwrap_or_else(|| panic!("seed {seed}, seq {}: a bundle has no {name}", chat.seq));
        if expected != made {
            let [expected, made] = [expected, made].map(|bytes| String::from_utf8(bytes).unwrap());
            let same = expected.bytes().zip(made.bytes());
            let mut from = same.take_while(|(a, b)| a == b).count().saturating_sub(200);
            while !expected.is_char_boundary(from) || !made.is_char_boundary(from) {
                from -= 1;
            }
            let cut = |text: &str| text[from..].chars().take(700).collect::<String>();
            panic!(
                "seed {seed}, seq {}, {name}:\nbundle: {}\n\nlive: {}",
                chat.seq,
                cut(&expected),
                cut(&made)
            );
        }
    };
    for number in 1..=book.pages() {
        let page = book.messages_page(renderer, chat, (number, number), None);
        check(&page::main_href(number), page.unwrap());
        let name = page::page_name("main", "index", number);
        let search = book.page(renderer, chat, Page::Search(number), &MOMENT);
        check(&format!("data/search-{name}.js"), search.unwrap().unwrap());
    }
    let mut contents = 1;
    while let Some(page) = book
        .page(renderer, chat, Page::Contents(contents), &MOMENT)
        .unwrap()
    {
        check(&page::contents_href(contents), page);
        let data = book.page(renderer, chat, Page::ContentsData(contents), &MOMENT);
        let name = format!("data/contents-{contents}.js");
        check(&name, data.unwrap().unwrap());
        contents += 1;
    }
    let mut json = Vec::new();
    let _ = book.json(chat, &mut |piece| {
        json.extend(piece);
        ControlFlow::Continue(())
    });
    check("chat.json", json);
    let main: BTreeSet<String> = (1..=book.pages()).map(page::main_href).collect();
    let anchors = String::from_utf8(expected.remove("data/anchors.js").unwrap()).unwrap();
    let made = book.page(renderer, chat, Page::Anchors, &MOMENT);
    let made = String::from_utf8(made.unwrap().unwrap()).unwrap();
    let made = made.trim_end().trim_end_matches("});");
    assert!(anchors.starts_with(made), "seed {seed}: {anchors}\n{made}");
    let chat_js = String::from_utf8(expected.remove("data/chat.js").unwrap()).unwrap();
    for name in main {
        assert!(chat_js.contains(&format!("\"{name}\"")), "seed {seed}");
    }
    let is_aside = |name: &String| {
        [
            "branch-",
            "thread-",
            "data/search-branch-",
            "data/search-thread-",
            "assets/",
            "chat.md",
        ]
        .iter()
        .any(|begin| name.starts_with(begin))
    };
    let left: Vec<&String> = expected.keys().filter(|name| !is_aside(name)).collect();
    assert!(left.is_empty(), "seed {seed}: the book lacks {left:?}");
    assert_eq!(book.messages(), snapshot.messages.len(), "seed {seed}");
    assert_eq!(book.title(), snapshot.title);
}

/// What viewers hold is what is there now.
fn assert_is_fresh(
    book: &LiveBook,
    renderer: &Renderer,
    chat: &Memory,
    (viewer, seed): (&Viewer, u64),
) {
    let why = format!(
        "seed {seed}, seq {}, viewer of {:?}",
        chat.seq, viewer.pages
    );
    if viewer.is_at_end {
        let all = fresh(book, renderer, chat, (1, book.pages()));
        assert!(
            all.ends_with(&viewer.items),
            "{why}: {}",
            differ(&all, &viewer.items)
        );
        let least = fresh(book, renderer, chat, (viewer.first, book.pages()));
        assert!(least.len() <= viewer.items.len(), "{why}");
    } else if viewer.last <= book.pages() {
        let now = fresh(book, renderer, chat, (viewer.first, viewer.last));
        assert!(
            now == viewer.items,
            "{why}: {}",
            differ(&now, &viewer.items)
        );
    }
}

fn differ(expected: &[(String, String)], found: &[(String, String)]) -> String {
    let keys = |items: &[(String, String)]| -> Vec<String> {
        let short = |html: &str| Digest::of(html.as_bytes()).short(4);
        items
            .iter()
            .map(|(key, html)| format!("{key} {}", short(html)))
            .collect()
    };
    let other = |a: &[(String, String)], b: &[(String, String)]| -> Vec<String> {
        let items = a.iter().filter(|item| !b.contains(item));
        items.map(|(_, html)| html.clone()).collect()
    };
    let only = (other(expected, found), other(found, expected));
    format!(
        "\nthere: {:#?}\nheld: {:#?}\nonly there: {:#?}\nonly held: {:#?}",
        keys(expected),
        keys(found),
        only.0,
        only.1
    )
}

fn tell_story(renderer: &Renderer, seed: u64, steps: usize) -> (usize, usize) {
    let mut story = Story::new(seed);
    for _ in 0..story.dice.below(12) {
        story.step();
    }
    let mut options = ALL;
    options.artifacts = seed % 4 != 1;
    options.tools = seed % 7 != 3;
    options.reasoning = seed % 5 != 2;
    options.title = Some("Shared".to_owned()).filter(|_| seed % 6 == 5);
    let at = story.chat.seq;
    let mut book = LiveBook::build(renderer, &story.chat, share(options), at).unwrap();
    assert_is_bundle(&book, renderer, &story.chat, seed);
    story.chat.events.clear();
    let open = |book: &LiveBook, story: &mut Story| {
        let last = 1 + story.dice.below(book.pages());
        let first = match story.dice.one_in(2) {
            true => last,
            false => last.saturating_sub(1).max(1),
        };
        Viewer::open(book, renderer, &story.chat, (first, last))
    };
    let mut viewers: Vec<Viewer> = vec![open(&book, &mut story)];
    let mut away: Vec<Viewer> = Vec::new();
    let (mut reloads, mut frames, mut away_too_long) = (0, 0, 0);
    for _ in 0..steps {
        for _ in 0..=story.dice.below(4) {
            story.step();
        }
        let mut events = std::mem::take(&mut story.chat.events);
        while !events.is_empty() {
            // The store may be ahead of what the book is told.
            let now = 1 + story.dice.below(events.len());
            let told: Vec<Event> = events.drain(..now).collect();
            let ops = book.apply(renderer, &story.chat, &told).unwrap();
            frames += usize::from(!ops.is_empty());
            for viewer in &mut viewers {
                ops.iter().for_each(|op| viewer.take(op));
                viewer.seq = book.seq();
            }
            reloads += usize::from(ops.contains(&Op::Reload {}));
        }
        assert_is_bundle(&book, renderer, &story.chat, seed);
        for viewer in viewers.iter_mut().filter(|viewer| viewer.has_ended_reload) {
            let last = viewer.last.min(book.pages());
            *viewer = Viewer::open(&book, renderer, &story.chat, (viewer.first.min(last), last));
        }
        for viewer in &viewers {
            assert_is_fresh(&book, renderer, &story.chat, (viewer, seed));
        }
        if story.dice.one_in(4) {
            let viewer = open(&book, &mut story);
            viewers.push(viewer);
        }
        if story.dice.one_in(4) && !viewers.is_empty() {
            away.push(viewers.remove(0));
        }
        if story.dice.one_in(4) && !away.is_empty() {
            let mut viewer = away.remove(0);
            let ops = book.since(renderer, &story.chat, viewer.seq, 1 << 30);
            match ops.unwrap() {
                Some(ops) => {
                    ops.iter().for_each(|op| viewer.take(op));
                    viewer.seq = book.seq();
                    assert_is_fresh(&book, renderer, &story.chat, (&viewer, seed));
                    viewers.push(viewer);
                }
                None => away_too_long += 1,
            }
        }
    }
    assert!(away_too_long <= steps / 4, "seed {seed}");
    (frames, reloads)
}

#[test]
fn a_live_book_is_the_bundle_whatever_happens() {
    let renderer = renderer();
    let number = |name, otherwise| {
        let value = env::var(name).ok();
        value.map_or(otherwise, |value| value.parse().unwrap())
    };
    let first: u64 = number("READALONG_SEED", 0);
    let (mut frames, mut reloads) = (0, 0);
    for seed in first..first + number("READALONG_SEEDS", 8) {
        let (more_frames, more_reloads) = tell_story(&renderer, seed, 25);
        frames += more_frames;
        reloads += more_reloads;
    }
    println!("{frames} frames, {reloads} of them reloads");
    assert!(reloads * 4 < frames, "{reloads} of {frames} frames reload");
}

/// A chat of so many plain messages, and its book.
fn plain(renderer: &Renderer, count: usize) -> (Memory, LiveBook) {
    let mut chat = Memory::default();
    for number in 0..count {
        say(&mut chat, number);
    }
    let book = LiveBook::build(renderer, &chat, share(ALL), chat.seq).unwrap();
    chat.events.clear();
    (chat, book)
}

fn say(chat: &mut Memory, number: usize) {
    let roles = [Role::User, Role::Assistant];
    let mut message = Message::new(format!("id-{number}"), roles[number % 2]);
    message.parent = number
        .checked_sub(1)
        .map(|before| MessageId(format!("id-{before}")));
    message.at = Timestamp::from_millis(1_767_225_600_000 + number as i64 * 1000).ok();
    message.parts = vec![text(&format!("Text {number}"))];
    let place = number as u32;
    chat.tell(Change::MessagePut { place, message });
}

fn tell(book: &mut LiveBook, renderer: &Renderer, chat: &mut Memory) -> Vec<Op> {
    let events = std::mem::take(&mut chat.events);
    book.apply(renderer, chat, &events).unwrap()
}

#[test]
fn a_new_message_is_one_operation_after_the_last_item() {
    let renderer = renderer();
    let (mut chat, mut book) = plain(&renderer, 50);
    say(&mut chat, 50);
    let events = chat.events.clone();
    let ops = tell(&mut book, &renderer, &mut chat);
    let [
        Op::Put {
            item,
            after,
            page,
            html,
            new: true,
        },
    ] = &ops[..]
    else {
        panic!("{ops:?}");
    };
    assert!(html.contains("Text 50") && html.contains(&format!("data-item=\"{item}\"")));
    assert_eq!(page, "index.html");
    let anchor = |id: &str| index::anchor_of(index::key_of(&MessageId(id.to_owned())));
    assert_eq!(*item, format!("{}-0", anchor("id-50")));
    assert_eq!(*after, Some(format!("{}-0", anchor("id-49"))));
    assert_eq!(
        book.apply(&renderer, &chat, &events).unwrap(),
        [],
        "known already"
    );
    assert_eq!(book.page_of(&anchor("id-3")).as_deref(), Some("index.html"));
    assert_eq!(book.page_of(&anchor("nobody")), None);
    assert_eq!(book.last_message_at().unwrap().millis(), 1_767_225_650_000);
}

#[test]
fn hidden_erased_and_removed_messages_leave_open_pages() {
    let renderer = renderer();
    let id = || MessageId("id-5".to_owned());
    for change in [
        Change::Hidden {
            id: id(),
            hidden: true,
        },
        Change::Erased { id: id() },
        Change::MessageRemoved { id: id() },
    ] {
        let (mut chat, mut book) = plain(&renderer, 10);
        chat.tell(change);
        let ops = tell(&mut book, &renderer, &mut chat);
        assert!(
            matches!(&ops[..], [Op::Remove { .. }, Op::TakenBack {}]),
            "{ops:?}"
        );
        let page = book.page(&renderer, &chat, Page::Newest, &MOMENT).unwrap();
        let page = String::from_utf8(page.unwrap()).unwrap();
        assert!(page.contains("Text 4") && !page.contains("Text 5"));
    }
}

#[test]
fn what_is_taken_back_is_told_and_what_grows_is_not() {
    let renderer = renderer();
    let (mut chat, mut book) = plain(&renderer, 10);
    let before = book.seq();
    let put = |chat: &mut Memory, parts: Vec<Part>| {
        let mut message = chat.messages[&9].1.clone();
        message.parts = parts;
        chat.tell(Change::MessagePut { place: 9, message });
    };
    let read = || {
        call(
            "c",
            Action::Read {
                path: "a.rs".to_owned(),
                lines: None,
            },
        )
    };
    put(&mut chat, vec![text("Text 9, and more"), read()]);
    let ops = tell(&mut book, &renderer, &mut chat);
    assert!(!ops.is_empty() && !ops.contains(&Op::TakenBack {}));
    put(&mut chat, vec![text("Text 9, and more of it"), read()]);
    assert!(!tell(&mut book, &renderer, &mut chat).contains(&Op::TakenBack {}));
    put(&mut chat, vec![text("Text nine"), read()]);
    assert_eq!(
        tell(&mut book, &renderer, &mut chat).last(),
        Some(&Op::TakenBack {})
    );
    let id = MessageId("id-2".to_owned());
    let parts = vec![text("Written anew")];
    chat.tell(Change::Edited { id, parts });
    assert_eq!(
        tell(&mut book, &renderer, &mut chat).last(),
        Some(&Op::TakenBack {})
    );
    // Whoever was away hears of it, too.
    let since = |after| book.since(&renderer, &chat, after, 1 << 20).unwrap();
    assert_eq!(since(before).unwrap().last(), Some(&Op::TakenBack {}));
    assert_eq!(since(book.seq()), Some(Vec::new()));
}

#[test]
fn a_viewer_who_was_away_gets_what_changed_or_is_sent_to_the_page() {
    let renderer = renderer();
    let (mut chat, mut book) = plain(&renderer, 10);
    let before = book.seq();
    say(&mut chat, 10);
    chat.tell(Change::Hidden {
        id: MessageId("id-2".to_owned()),
        hidden: true,
    });
    chat.tell(Change::Renamed {
        title: "Another".to_owned(),
    });
    tell(&mut book, &renderer, &mut chat);
    let since = |after, bytes_max| book.since(&renderer, &chat, after, bytes_max).unwrap();
    let ops = since(before, 1 << 20).unwrap();
    assert!(
        matches!(&ops[0], Op::Header { title, .. } if title == "Another"),
        "{ops:?}"
    );
    assert!(matches!(&ops[1], Op::Remove { .. }), "{ops:?}");
    assert!(ops.iter().any(|op| matches!(op, Op::Put { new: true, .. })));
    assert_eq!(since(book.seq(), 0), Some(Vec::new()));
    assert_eq!(since(before, 10), None, "more than may be sent");
    assert_eq!(since(before - 1, 1 << 20), None, "before the book was made");
    assert_eq!(since(book.seq() + 1, 1 << 20), None, "ahead of the book");
}

#[test]
fn what_the_book_read_ahead_of_its_events_is_for_pages_only() {
    let renderer = renderer();
    let (mut chat, _) = plain(&renderer, 10);
    let before = chat.seq;
    // The store is ahead: the event comes when the book has read already what it says.
    chat.tell(Change::Hidden {
        id: MessageId("id-2".to_owned()),
        hidden: true,
    });
    let mut book = LiveBook::build(&renderer, &chat, share(ALL), before).unwrap();
    book.read_ahead(chat.seq);
    assert_eq!(tell(&mut book, &renderer, &mut chat), []);
    let since = |after| book.since(&renderer, &chat, after, 1 << 20).unwrap();
    assert_eq!(since(before), None, "who has an older page lacks it");
    assert_eq!(since(book.seq()), Some(Vec::new()));
    // A thread that the book does not know yet, with a message that it knows elsewhere.
    for (place, kind) in [(0, ThreadKind::Main), (1, ThreadKind::Side)] {
        let thread = super::thread(kind);
        chat.tell(Change::ThreadPut { place, thread });
    }
    let (_, mut message) = chat.message(9).unwrap();
    message.thread = ThreadId(1);
    chat.tell(Change::MessagePut { place: 9, message });
    let mut json = Vec::new();
    let whole = book.json(&chat, &mut |piece| {
        json.extend(piece);
        std::ops::ControlFlow::Continue(())
    });
    assert!(whole.is_continue());
    let json = String::from_utf8(json).unwrap();
    assert!(json.contains("Text 8") && !json.contains("Text 9"));
}

#[test]
fn a_share_that_changes_tells_the_header_or_is_bound_anew() {
    let renderer = renderer();
    let (chat, mut book) = plain(&renderer, 10);
    let mut changed = share(ALL);
    assert_eq!(
        book.set_share(&renderer, &chat, changed.clone(), 0)
            .unwrap(),
        []
    );
    changed.card.visibility = ShareVisibility::Private;
    changed.options.title = Some("<Name>".to_owned());
    let ops = book
        .set_share(&renderer, &chat, changed.clone(), 99)
        .unwrap();
    let [Op::Header { html, title }] = &ops[..] else {
        panic!("{ops:?}");
    };
    assert!(
        html.starts_with("<header") && html.ends_with("</header>"),
        "{html}"
    );
    assert!(html.contains("Private") && html.contains("&lt;Name&gt;") && title == "<Name>");
    assert_eq!(book.seq(), 99);
    changed.options.artifacts = false;
    let ops = book
        .set_share(&renderer, &chat, changed.clone(), 100)
        .unwrap();
    assert!(
        matches!(&ops[..], [Op::Header { .. }, Op::Reload {}]),
        "{ops:?}"
    );
    let mut card = changed.card.clone();
    card.updates = Updates::Frozen;
    let Op::End { reason, html } = book.frozen(&renderer, &card).unwrap() else {
        panic!("a frozen share ends");
    };
    assert_eq!(reason, "frozen");
    assert!(
        html.starts_with("<footer") && html.ends_with("</footer>"),
        "{html}"
    );
    changed.options.messages = Some(readalong_model::MessageRange { first: 1, last: 2 });
    let refused = book.set_share(&renderer, &chat, changed, 101);
    assert!(matches!(refused, Err(RenderError::RangeOfLive)));
}

#[test]
fn live_pages_say_where_they_stand_and_load_the_live_script() {
    let folder = env::temp_dir().join(format!("readalong-live-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("static")).unwrap();
    std::fs::write(folder.join("theme.toml"), "name = \"mine\"").unwrap();
    std::fs::write(folder.join("static/live-mine.js"), "mine()").unwrap();
    let theme = Theme::load(folder.to_str().unwrap()).unwrap();
    let renderer = Renderer::new(&theme, false).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let script = format!("assets/{}.js", Digest::of(b"mine()"));
    let (mut chat, mut book) = plain(&renderer, 3);
    for number in 3..6 {
        say(&mut chat, number);
        let long = "word ".repeat(30_000);
        let id = MessageId(format!("id-{number}"));
        chat.tell(Change::Edited {
            id,
            parts: vec![text(&long)],
        });
    }
    tell(&mut book, &renderer, &mut chat);
    assert!(book.pages() > 2);
    let page = |page| {
        let page = book.page(&renderer, &chat, page, &MOMENT).unwrap();
        page.map(|page| String::from_utf8(page).unwrap())
    };
    let last = page::main_href(book.pages());
    for (name, newest) in [(Page::Newest, true), (Page::Messages(1), false)] {
        let page = page(name).unwrap();
        let body = page
            .split("<body")
            .nth(1)
            .unwrap()
            .split('>')
            .next()
            .unwrap();
        let shown = if newest { last.as_str() } else { "index.html" };
        for attribute in [
            "data-live=\"live\"",
            "data-epoch=\"0123456789abcdef\"",
            &format!("data-seq=\"{}\"", book.seq()),
            &format!("data-page=\"{shown}\""),
            &format!("data-pages=\"{shown}\""),
            "data-signin=\"/signin\"",
        ] {
            assert!(body.contains(attribute), "{attribute} in {body}");
        }
        assert!(page.contains(&script) && page.contains("connect-src"));
        assert!(page.contains("class=\"live\"") && page.contains("2 reading"));
        assert_eq!(page.contains("href=\"./\">Newest messages"), !newest);
        assert_eq!(page.contains("rel=\"next\""), !newest);
    }
    let contents = page(Page::Contents(1)).unwrap();
    assert!(!contents.contains(&script) && !contents.contains("data-live"));
    assert_eq!(page(Page::Messages(99)), None);
    assert_eq!(page(Page::Contents(2)), None);
    let mut files = Files::default();
    let snapshot = Snapshot::take(chat.chat(), &ALL);
    renderer.render(&snapshot, &|_| None, &mut files).unwrap();
    assert!(!files.0.contains_key(&script), "no bundle has it");
    let first = String::from_utf8(files.0["index.html"].clone()).unwrap();
    assert!(!first.contains(&script) && !first.contains("data-live"));
    assert_eq!(renderer.asset(&script), Some(&b"mine()"[..]));
}

#[test]
fn names_that_are_long_stand_on_pages_as_their_beginning() {
    let renderer = renderer();
    let (mut chat, _) = plain(&renderer, 3);
    let long = "W".repeat(20_000);
    let mut head = chat.head();
    head.title.clone_from(&long);
    head.origin.app = Some(long.clone());
    chat.tell(Change::Head(head));
    for number in 3..40 {
        say(&mut chat, number);
        let place = number as u32;
        let (_, mut message) = chat.message(place).unwrap();
        message.author.name = Some(long.clone());
        chat.tell(Change::MessagePut { place, message });
    }
    let book = LiveBook::build(&renderer, &chat, share(ALL), chat.seq).unwrap();
    let page = Page::Newest;
    let page = book.page(&renderer, &chat, page, &MOMENT).unwrap().unwrap();
    let page = String::from_utf8(page).unwrap();
    assert!(page.contains(&format!("{}…", "W".repeat(500))));
    assert!(!page.contains(&"W".repeat(501)));
}

#[test]
fn artifacts_are_those_that_viewers_see() {
    let renderer = renderer();
    let (mut chat, mut book) = plain(&renderer, 3);
    let artifact = Artifact {
        name: "a.png".to_owned(),
        media_type: "image/png".to_owned(),
        role: ArtifactRole::Produced,
        content: Availability::Present {
            sha256: Digest::of(b"a"),
            size_bytes: 1,
        },
        dimensions: None,
    };
    let path = artifact.path().unwrap();
    chat.tell(Change::ArtifactPut { place: 0, artifact });
    tell(&mut book, &renderer, &mut chat);
    assert!(book.artifact(&path).is_none(), "no message shows it");
    let image = Part::Image {
        artifact: ArtifactId(0),
        alt: None,
    };
    let id = MessageId("id-1".to_owned());
    chat.tell(Change::Edited {
        id: id.clone(),
        parts: vec![image],
    });
    tell(&mut book, &renderer, &mut chat);
    assert_eq!(book.artifact(&path).unwrap().name, "a.png");
    chat.tell(Change::Hidden { id, hidden: true });
    tell(&mut book, &renderer, &mut chat);
    assert!(book.artifact(&path).is_none());
}
