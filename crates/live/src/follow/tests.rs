//! Following real files into a sink that holds what it is brought.

use std::{
    collections::HashMap,
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, atomic::Ordering, mpsc::channel},
    time::{Duration, Instant, SystemTime},
};

use readalong_import::{Pick, ReadSeek, Source, Transcript};
use readalong_model::{
    Artifact, ChangeSet, Chat, ChatHead, ChatId, Digest, Message, MessageId, Part, Thread,
    ThreadKind,
};
use tempfile::TempDir;

use super::{
    Engine, FILES_MAX, FollowOptions, Follower, FollowerHandle, Word,
    followed::REREAD_BYTES_PER_SECOND,
};
use crate::sink::{FollowState, Following, IndexEntry, Sink, SinkError};

/// Longer than anything here takes, however busy the machine is.
const LONG: Duration = Duration::from_secs(60);

/// Id of a message that the sink cannot take without a panic.
const DEADLY_ID: &str = "deadly";

/// A chat as a sink holds it.
#[derive(Clone, Default)]
struct Held {
    source: String,
    head: ChatHead,
    threads: Vec<Thread>,
    artifacts: Vec<Artifact>,
    messages: HashMap<MessageId, (u32, Message)>,
}

impl Held {
    fn chat(&self) -> Chat {
        let mut messages: Vec<&(u32, Message)> = self.messages.values().collect();
        messages.sort_by_key(|(place, _)| *place);
        Chat {
            threads: self.threads.clone(),
            artifacts: self.artifacts.clone(),
            messages: messages
                .into_iter()
                .map(|(_, message)| message.clone())
                .collect(),
            ..self.head.clone().into_chat()
        }
    }

    fn texts(&self) -> Vec<String> {
        let messages = self.chat().messages;
        let parts = messages.into_iter().flat_map(|message| message.parts);
        parts
            .filter_map(|part| match part {
                Part::Text { markdown } => Some(markdown),
                _ => None,
            })
            .collect()
    }
}

/// Holds chats in memory, and notes when and what it was brought.
#[derive(Default)]
struct Memory {
    chats: Mutex<Vec<Held>>,
    /// Messages that were put, removed ones, and the largest change set.
    puts: Mutex<Vec<(MessageId, Instant)>>,
    removed: Mutex<Vec<MessageId>>,
    largest: Mutex<usize>,
    /// When chats were opened.
    opened: Mutex<Vec<Instant>>,
    files: Mutex<HashMap<Digest, usize>>,
    /// Errors that come before anything works again.
    errors: Mutex<Vec<SinkError>>,
    states: Mutex<Vec<FollowState>>,
}

fn number(chat: &ChatId) -> usize {
    usize::from_str_radix(&chat.as_str()[..8], 16).unwrap()
}

impl Memory {
    fn only(&self) -> Held {
        let chats = self.chats.lock().unwrap();
        assert_eq!(chats.len(), 1);
        chats[0].clone()
    }

    fn put_count(&self) -> usize {
        self.puts.lock().unwrap().len()
    }

    fn fail(&self) -> Result<(), SinkError> {
        self.errors.lock().unwrap().pop().map_or(Ok(()), Err)
    }
}

impl Sink for Memory {
    fn open_chat(&self, source: &str, head: &ChatHead) -> Result<ChatId, SinkError> {
        self.opened.lock().unwrap().push(Instant::now());
        let mut chats = self.chats.lock().unwrap();
        let known = chats.iter().position(|chat| chat.source == source);
        let number = known.unwrap_or_else(|| {
            let main = Thread {
                kind: ThreadKind::Main,
                title: None,
                parent_call: None,
            };
            chats.push(Held {
                source: source.to_owned(),
                head: head.clone(),
                threads: vec![main],
                ..Held::default()
            });
            chats.len() - 1
        });
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&(number as u32).to_be_bytes());
        Ok(ChatId::from_random(bytes))
    }

    fn has_chat(&self, source: &str) -> Result<bool, SinkError> {
        let chats = self.chats.lock().unwrap();
        Ok(chats.iter().any(|chat| chat.source == source))
    }

    fn index(&self, chat: &ChatId) -> Result<Vec<IndexEntry>, SinkError> {
        let held = self.chats.lock().unwrap()[number(chat)].clone();
        let entries = held
            .messages
            .into_iter()
            .map(|(id, (place, message))| IndexEntry {
                id,
                digest: message.digest(),
                place,
            });
        let mut entries: Vec<IndexEntry> = entries.collect();
        entries.sort_by_key(|entry| entry.place);
        Ok(entries)
    }

    fn recall(&self, chat: &ChatId, id: &MessageId) -> Result<Option<Message>, SinkError> {
        let chats = self.chats.lock().unwrap();
        Ok(chats[number(chat)]
            .messages
            .get(id)
            .map(|(_, message)| message.clone()))
    }

    fn apply(&self, chat: &ChatId, changes: ChangeSet) -> Result<(), SinkError> {
        let at = Instant::now();
        self.fail()?;
        let is_id = |(_, message): &(u32, Message)| message.id.0 == DEADLY_ID;
        assert!(!changes.messages.iter().any(is_id), "a mistake");
        let mut chats = self.chats.lock().unwrap();
        let held = &mut chats[number(chat)];
        if let Some(head) = changes.head {
            held.head = head;
        }
        for (place, thread) in changes.threads {
            set(&mut held.threads, place, thread);
        }
        for (place, artifact) in changes.artifacts {
            set(&mut held.artifacts, place, artifact);
        }
        let mut largest = self.largest.lock().unwrap();
        *largest = changes.messages.len().max(*largest);
        for (place, message) in changes.messages {
            self.puts.lock().unwrap().push((message.id.clone(), at));
            held.messages.insert(message.id.clone(), (place, message));
        }
        for id in changes.removed {
            assert!(held.messages.remove(&id).is_some(), "{id} was there");
            self.removed.lock().unwrap().push(id);
        }
        Ok(())
    }

    fn keep_artifact(&self, _chat: &ChatId, bytes: &[u8]) -> Result<Digest, SinkError> {
        let digest = Digest::of(bytes);
        *self.files.lock().unwrap().entry(digest).or_default() += 1;
        Ok(digest)
    }

    fn state(&self, state: &FollowState) {
        self.states.lock().unwrap().push(state.clone());
    }
}

fn set<T>(list: &mut Vec<T>, place: u32, value: T) {
    match list.get_mut(place as usize) {
        Some(known) => *known = value,
        None => {
            assert_eq!(list.len(), place as usize, "no gaps");
            list.push(value);
        }
    }
}

fn hasty() -> FollowOptions {
    FollowOptions {
        poll_interval: Duration::from_millis(20),
        settle_after: Duration::from_millis(30),
        reread_interval: Duration::from_millis(5),
        host: "here".to_owned(),
        format: None,
        left_out: None,
    }
}

fn start(path: &Path, sink: &Arc<Memory>) -> FollowerHandle {
    Follower::start(path, Arc::clone(sink) as Arc<dyn Sink>, hasty()).unwrap()
}

/// Waits for something that a follower does on its own thread.
fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LONG, "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// A line of a message list.
fn line(role: &str, text: &str) -> String {
    format!(
        "{{\"role\":\"{role}\",\"content\":{}}}\n",
        serde_json::json!(text)
    )
}

/// What reading a file whole gives.
fn whole(path: &Path) -> Chat {
    let file = path.to_owned();
    let open = Box::new(move || Ok(Box::new(fs::File::open(&file)?) as Box<dyn ReadSeek>));
    let name = path.display().to_string();
    let transcript = Transcript::open(Source { name, open }, None).unwrap();
    transcript
        .read(&Pick::Only, &mut readalong_import::Discard)
        .unwrap()
        .chat
}

fn assert_same(held: &Chat, whole: &Chat, note: &str) {
    for (held, whole) in held.messages.iter().zip(&whole.messages) {
        assert_eq!(held, whole, "{note}");
    }
    assert_eq!(held, whole, "{note}");
}

struct Place {
    folder: TempDir,
    path: PathBuf,
    sink: Arc<Memory>,
}

impl Place {
    fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            path: folder.path().join(name),
            folder,
            sink: Arc::default(),
        }
    }

    fn is_whole(&self) -> bool {
        let chats = self.sink.chats.lock().unwrap();
        chats.len() == 1 && chats[0].chat() == whole(&self.path)
    }
}

#[test]
fn lines_come_as_they_are_appended() {
    let place = Place::new("chat.jsonl");
    let follower = start(&place.path, &place.sink);
    append(&place.path, &line("user", "One"));
    append(&place.path, &line("assistant", "Two"));
    until("two messages", || place.sink.put_count() == 2);
    append(&place.path, &line("user", "Three"));
    until("a third message", || place.is_whole());
    assert_eq!(place.sink.only().texts(), ["One", "Two", "Three"]);
    let source = place.sink.only().source;
    assert!(
        source.starts_with("here:/") && source.ends_with("/chat.jsonl"),
        "{source}"
    );
    assert!(follower.wait_until_up_to_date(LONG));
    assert_eq!(follower.states()[0].following, Following::UpToDate);
    assert_eq!(place.sink.put_count(), 3);
    follower.stop();
}

#[test]
fn a_file_that_brings_a_mistake_to_light_keeps_no_other_from_being_followed() {
    let place = Place::new("good.jsonl");
    let bad = place.folder.path().join("bad.jsonl");
    append(&place.path, &line("user", "One"));
    let follower = start(place.folder.path(), &place.sink);
    until("the good one", || place.sink.put_count() == 1);
    append(
        &bad,
        &format!("{{\"id\":\"{DEADLY_ID}\",\"role\":\"user\",\"content\":\"Boo\"}}\n"),
    );
    let is_refused = |state: &FollowState| {
        state.path == bad
            && matches!(&state.following, Following::Refused(why) if why.contains("mistake"))
    };
    until("the bad one is refused", || {
        follower.states().iter().any(is_refused)
    });
    append(&place.path, &line("assistant", "Two"));
    until("the good one goes on", || place.sink.put_count() == 2);
}

#[test]
fn the_chat_of_a_file_is_told_that_had_none_when_it_was_read_first() {
    let place = Place::new("chat.jsonl");
    append(
        &place.path,
        "{\"type\":\"permission-mode\",\"permissionMode\":\"default\",\"sessionId\":\"s\"}\n",
    );
    let follower = start(&place.path, &place.sink);
    assert!(follower.wait_until_up_to_date(LONG));
    append(
        &place.path,
        "{\"type\":\"user\",\"uuid\":\"a\",\"sessionId\":\"s\",\"message\":{\"role\":\"user\",\"content\":\"Hello\"}}\n",
    );
    until("a message", || place.sink.put_count() == 1);
    until("its chat is told", || {
        let states = place.sink.states.lock().unwrap();
        states.last().is_some_and(|state| state.chat.is_some())
    });
    assert!(follower.states()[0].chat.is_some());
}

#[test]
fn half_a_line_waits_for_its_end_and_a_last_one_without_end_is_taken_when_it_stands_still() {
    let place = Place::new("chat.jsonl");
    append(&place.path, &line("user", "One"));
    let _follower = start(&place.path, &place.sink);
    let two = line("assistant", "Two");
    append(&place.path, &two[..10]);
    append(&place.path, &two[10..]);
    until("both", || place.is_whole());
    let three = line("user", "Three");
    append(&place.path, three.trim_end());
    until("one without end", || place.sink.only().texts().len() == 3);
    // Its end comes later, with what follows.
    append(&place.path, "\n");
    append(&place.path, &line("assistant", "Four"));
    until("all", || place.is_whole());
    assert_eq!(place.sink.only().texts(), ["One", "Two", "Three", "Four"]);
    assert_eq!(place.sink.put_count(), 4);
}

#[test]
fn a_message_in_pieces_grows_in_its_place() {
    let place = Place::new("s.jsonl");
    let _follower = start(&place.path, &place.sink);
    let record = |uuid: &str, block: &str| {
        format!(
            "{{\"type\":\"assistant\",\"uuid\":\"{uuid}\",\"sessionId\":\"s\",\"message\":{{\"id\":\"m\",\"role\":\"assistant\",\"content\":[{block}]}}}}\n"
        )
    };
    append(
        &place.path,
        &record("a", "{\"type\":\"text\",\"text\":\"Let me look.\"}"),
    );
    until("the beginning", || place.sink.put_count() == 1);
    append(
        &place.path,
        &record(
            "b",
            "{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"Bash\",\"input\":{\"command\":\"ls\"}}",
        ),
    );
    until("more of it", || place.sink.put_count() == 2);
    let held = place.sink.only();
    assert_eq!(held.messages.len(), 1);
    assert_eq!(held.chat().messages[0].parts.len(), 2);
    assert!(held.source.ends_with(":s"), "{}", held.source);
    until("all", || place.is_whole());
}

#[test]
fn a_shorter_file_loses_messages_and_a_torn_end_nothing() {
    let place = Place::new("chat.jsonl");
    let lines: Vec<String> = (0..6).map(|n| line("user", &format!("Line {n}"))).collect();
    append(&place.path, &lines.concat());
    append(&place.path, "{\"role\":\"us");
    let _follower = start(&place.path, &place.sink);
    until("six", || place.sink.put_count() == 6);
    let file = OpenOptions::new().write(true).open(&place.path).unwrap();
    file.set_len(lines.concat().len() as u64).unwrap();
    append(&place.path, &line("assistant", "Seven"));
    until("seven", || place.is_whole());
    assert!(place.sink.removed.lock().unwrap().is_empty());
    assert_eq!(place.sink.put_count(), 7);
    file.set_len(lines[..3].concat().len() as u64).unwrap();
    until("three", || place.is_whole());
    assert_eq!(place.sink.only().texts().len(), 3);
    assert_eq!(place.sink.put_count(), 7, "nothing was brought again");
    // An empty file is one that is about to be written.
    file.set_len(0).unwrap();
    until("waiting", || {
        let states = place.sink.states.lock().unwrap();
        states
            .last()
            .is_some_and(|state| state.following == Following::Waiting)
    });
    assert_eq!(place.sink.only().texts().len(), 3);
}

#[test]
fn a_file_written_anew_or_renamed_into_place_changes_only_what_is_new() {
    let place = Place::new("chat.jsonl");
    let text = |n: usize| line("user", &format!("Line {n}"));
    append(&place.path, &(0..4).map(text).collect::<String>());
    let _follower = start(&place.path, &place.sink);
    until("four", || place.is_whole());
    let other = place.folder.path().join("other.tmp");
    fs::write(&other, (0..5).map(text).collect::<String>()).unwrap();
    fs::rename(&other, &place.path).unwrap();
    until("five", || place.is_whole());
    assert_eq!(place.sink.put_count(), 5);
    // Another order: what moved is brought again, in its new place.
    fs::write(&place.path, [0, 2, 1, 9].map(text).concat()).unwrap();
    until("another order", || place.is_whole());
}

#[test]
fn a_deleted_file_keeps_its_chat_and_may_come_again() {
    let place = Place::new("chat.jsonl");
    append(&place.path, &line("user", "One"));
    let follower = start(&place.path, &place.sink);
    until("one", || place.is_whole());
    fs::remove_file(&place.path).unwrap();
    until("gone", || follower.states()[0].following == Following::Gone);
    assert_eq!(place.sink.only().texts(), ["One"]);
    append(
        &place.path,
        &(line("user", "One") + &line("assistant", "Two")),
    );
    until("again", || place.is_whole());
    assert_eq!(place.sink.put_count(), 2);
}

#[test]
fn each_file_of_a_folder_is_a_chat_also_those_that_come_later() {
    let place = Place::new("a.jsonl");
    append(&place.path, &line("user", "A"));
    fs::write(place.folder.path().join("notes.txt"), "no chat").unwrap();
    fs::write(place.folder.path().join("odd.jsonl"), "no chat\n").unwrap();
    let follower = start(place.folder.path(), &place.sink);
    let deep = place.folder.path().join("x/y");
    fs::create_dir_all(&deep).unwrap();
    append(&deep.join("b.jsonl"), &line("user", "B"));
    append(&place.folder.path().join("c.jsonl"), &line("user", "C"));
    until("three chats", || {
        place.sink.chats.lock().unwrap().len() == 3
    });
    append(&deep.join("b.jsonl"), &line("assistant", "B2"));
    until("four messages", || place.sink.put_count() == 4);
    assert!(follower.wait_until_up_to_date(LONG));
    let states: Vec<Following> = follower
        .states()
        .into_iter()
        .map(|state| state.following)
        .collect();
    assert_eq!(
        states,
        [
            Following::UpToDate,
            Following::UpToDate,
            Following::Waiting,
            Following::UpToDate
        ]
    );
}

#[test]
fn many_files_that_grow_in_turn_are_each_read_once() {
    let place = Place::new("none.jsonl");
    let file = |n: usize| place.folder.path().join(format!("{n}.jsonl"));
    (0..20).for_each(|n| append(&file(n), &line("user", "One")));
    let follower = start(place.folder.path(), &place.sink);
    for round in 1..4 {
        until("a line of each", || place.sink.put_count() == 20 * round);
        assert!(follower.wait_until_up_to_date(LONG));
        (0..20).for_each(|n| append(&file(n), &line("user", "More")));
    }
    assert_eq!(place.sink.opened.lock().unwrap().len(), 20);
}

#[test]
fn a_file_that_is_written_without_pause_keeps_no_other_waiting() {
    let place = Place::new("busy.jsonl");
    append(
        &place.folder.path().join("other.jsonl"),
        &line("user", "One"),
    );
    append(&place.path, &line("user", "One"));
    let sink = Arc::clone(&place.sink) as Arc<dyn Sink>;
    let mut engine = Engine::new(place.folder.path(), sink, hasty()).unwrap();
    engine.scan();
    for _ in 0..10 {
        append(&place.path, &line("assistant", "More"));
        engine.hear(Word::Changed(place.path.clone()));
        let path = engine.turns.next().unwrap();
        engine.step(path);
    }
    assert_eq!(place.sink.chats.lock().unwrap().len(), 2);
}

#[test]
fn what_is_written_over_in_the_middle_is_read_again() {
    let place = Place::new("chat.jsonl");
    let text = |n: usize| format!("{n} {}", "word ".repeat(20));
    let lines: String = (0..500).map(|n| line("user", &text(n))).collect();
    append(&place.path, &lines);
    let follower = start(&place.path, &place.sink);
    assert!(follower.wait_until_up_to_date(LONG));
    let write_over = |place_of: &str| {
        let at = lines.find(place_of).unwrap() as u64;
        let file = OpenOptions::new().write(true).open(&place.path).unwrap();
        file.write_all_at(b"XXX", at).unwrap();
    };
    write_over("250 word");
    until("the words are gone", || place.is_whole());
    write_over("251 word");
    append(&place.path, &line("user", "And on"));
    until("these too", || place.is_whole());
    drop(follower);
}

#[test]
fn a_file_that_is_written_over_soon_after_it_was_read_is_read_anew_later() {
    const SECONDS: f64 = 3.0;
    let place = Place::new("chat.jsonl");
    let first = line("user", &format!("{} 10 words", "word ".repeat(2_000)));
    // Reading blanks takes next to no time.
    let blanks = " ".repeat((SECONDS * REREAD_BYTES_PER_SECOND) as usize);
    append(&place.path, &format!("{first}{blanks}\n"));
    let file = OpenOptions::new().write(true).open(&place.path).unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(3_600);
    file.set_modified(long_ago).unwrap();
    let follower = start(&place.path, &place.sink);
    assert!(follower.wait_until_up_to_date(LONG));
    let at = first.find("10 words").unwrap() as u64;
    file.write_all_at(b"11", at).unwrap();
    let opened = || place.sink.opened.lock().unwrap().clone();
    until("it is read anew", || opened().len() > 1);
    let between = opened()[1] - opened()[0];
    assert!(between.as_secs_f64() > SECONDS * 0.75, "{between:?}");
    until("what it holds by now", || {
        place.sink.only().texts()[0].ends_with(" 11 words")
    });
}

#[test]
fn a_folder_that_was_made_anew_is_watched() {
    let place = Place::new("in/a.jsonl");
    let folder = place.path.parent().unwrap();
    fs::create_dir(folder).unwrap();
    let sink = Arc::clone(&place.sink) as Arc<dyn Sink>;
    let mut engine = Engine::new(folder, sink, hasty()).unwrap();
    let (wake, words) = channel();
    engine.wake = Some(wake);
    engine.scan();
    fs::remove_dir(folder).unwrap();
    fs::create_dir(folder).unwrap();
    engine.scan();
    append(&place.path, &line("user", "One"));
    let is_told = |word| matches!(word, Word::Changed(path) if path == place.path);
    while !is_told(words.recv_timeout(LONG).unwrap()) {}
}

#[test]
fn of_too_many_files_the_newest_are_followed() {
    let place = Place::new("0.jsonl");
    let file = |number: usize| place.folder.path().join(format!("{number}.jsonl"));
    (0..FILES_MAX + 2).for_each(|number| fs::write(file(number), "").unwrap());
    let old = |number: usize| {
        let time = SystemTime::now() - Duration::from_secs(3_600);
        fs::File::open(file(number))
            .unwrap()
            .set_modified(time)
            .unwrap();
    };
    old(7);
    old(11);
    let sink = Arc::clone(&place.sink) as Arc<dyn Sink>;
    let mut engine = Engine::new(place.folder.path(), sink, hasty()).unwrap();
    engine.scan();
    assert_eq!(engine.files.len(), FILES_MAX);
    assert!(
        ![7, 11]
            .map(file)
            .iter()
            .any(|path| engine.files.contains_key(path))
    );
    let told = |engine: &Engine| engine.around.shared.lock().files.values().next().cloned();
    let Following::Refused(words) = told(&engine).unwrap().following else {
        panic!();
    };
    assert!(
        words.starts_with("2 of its files are not followed"),
        "{words}"
    );
    // One that grows comes in place of another.
    append(&file(7), &line("user", "One"));
    old(8);
    engine.scan();
    assert!(engine.files.contains_key(&file(7)) && !engine.files.contains_key(&file(8)));
    fs::remove_file(file(8)).unwrap();
    fs::remove_file(file(11)).unwrap();
    engine.scan();
    assert_eq!(told(&engine), None);
}

#[test]
fn a_new_folder_is_looked_through_and_no_other() {
    let place = Place::new("a.jsonl");
    let sink = Arc::clone(&place.sink) as Arc<dyn Sink>;
    let mut engine = Engine::new(place.folder.path(), sink, hasty()).unwrap();
    append(&place.path, &line("user", "One"));
    for name in ["new/deep", "new/.hidden", "other"] {
        let folder = place.folder.path().join(name);
        fs::create_dir_all(&folder).unwrap();
        append(&folder.join("b.jsonl"), &line("user", "Two"));
    }
    engine.hear(Word::Changed(place.folder.path().join("new")));
    engine.hear(Word::Changed(place.folder.path().join("new/.hidden")));
    let deep = place.folder.path().join("new/deep/b.jsonl");
    assert_eq!(
        [engine.turns.next(), engine.turns.next()],
        [Some(deep), None]
    );
}

#[test]
fn what_is_no_plain_file_below_the_folder_is_refused_in_words() {
    let place = Place::new("link.jsonl");
    let elsewhere = tempfile::tempdir().unwrap();
    append(
        &elsewhere.path().join("secret.jsonl"),
        &line("user", "Secret"),
    );
    std::os::unix::fs::symlink(elsewhere.path().join("secret.jsonl"), &place.path).unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), place.folder.path().join("linked")).unwrap();
    let pipe = place.folder.path().join("pipe.jsonl");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    append(
        &place.folder.path().join("good.jsonl"),
        &line("user", "Good"),
    );
    let follower = start(place.folder.path(), &place.sink);
    until("the good one", || place.sink.put_count() == 1);
    assert!(follower.wait_until_up_to_date(LONG));
    assert_eq!(place.sink.only().texts(), ["Good"]);
    let words: Vec<String> = follower
        .states()
        .into_iter()
        .filter_map(|state| match state.following {
            Following::Refused(words) => Some(words),
            _ => None,
        })
        .collect();
    assert_eq!(words.len(), 2, "{words:?}");
    assert!(
        words[0].contains("it is a link") && words[1].contains("it is a pipe"),
        "{words:?}"
    );
}

#[test]
fn a_file_of_many_chats_is_refused_in_words() {
    let place = Place::new("many.jsonl");
    let chat = "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}\n";
    append(&place.path, &chat.repeat(3));
    let states = Follower::run_once(
        &place.path,
        Arc::clone(&place.sink) as Arc<dyn Sink>,
        hasty(),
    )
    .unwrap();
    let Following::Refused(words) = &states[0].following else {
        panic!("{states:?}");
    };
    assert!(
        words.contains("3 chats") && words.contains("--chat"),
        "{words}"
    );
}

#[test]
fn a_restart_brings_only_what_is_new() {
    let place = Place::new("chat.jsonl");
    append(&place.path, &line("user", "One"));
    let first = start(&place.path, &place.sink);
    until("one", || place.is_whole());
    first.stop();
    append(&place.path, &line("assistant", "Two"));
    append(&place.path, line("user", "Three").trim_end());
    let second = start(&place.path, &place.sink);
    until("three", || place.is_whole());
    assert_eq!(place.sink.put_count(), 3);
    drop(second);
    let states = Follower::run_once(
        &place.path,
        Arc::clone(&place.sink) as Arc<dyn Sink>,
        hasty(),
    )
    .unwrap();
    assert_eq!(states[0].following, Following::UpToDate);
    assert_eq!(place.sink.put_count(), 3);
    assert!(place.sink.removed.lock().unwrap().is_empty());
}

#[test]
fn a_copy_of_a_session_takes_no_chat_over_whenever_it_comes_and_however_it_grows() {
    let place = Place::new("a/0f0e0d0c-1111-2222-3333-444455556666.jsonl");
    let copy = place
        .folder
        .path()
        .join("b")
        .join(place.path.file_name().unwrap());
    let text = |id: &str| {
        format!(
            "{{\"type\":\"user\",\"uuid\":\"{id}\",\"sessionId\":\"s\",\"message\":{{\"role\":\"user\",\"content\":\"{id}\"}}}}\n"
        )
    };
    for path in [&place.path, &copy] {
        fs::create_dir(path.parent().unwrap()).unwrap();
    }
    let read = || {
        let sink = Arc::clone(&place.sink) as Arc<dyn Sink>;
        Follower::run_once(place.folder.path(), sink, hasty()).unwrap();
        let chats = place.sink.chats.lock().unwrap();
        let texts: Vec<Vec<String>> = chats.iter().map(Held::texts).collect();
        texts
    };
    append(&place.path, &(text("one") + &text("two")));
    assert_eq!(read(), [["one", "two"]]);
    // It is newer, and older is what it holds.
    append(&copy, &text("one"));
    assert_eq!(read(), [vec!["one", "two"], vec!["one"]]);
    append(&copy, &(text("three") + &text("four")));
    assert_eq!(read(), [vec!["one", "two"], vec!["one", "three", "four"]]);
    fs::remove_file(&place.path).unwrap();
    assert_eq!(read(), [vec!["one", "two"], vec!["one", "three", "four"]]);
}

#[test]
fn a_torn_last_line_whose_writer_is_gone_is_a_damaged_record() {
    let place = Place::new("chat.jsonl");
    append(&place.path, &(line("user", "One") + "{\"role\":\"assis"));
    let run = || {
        let sink = Arc::clone(&place.sink) as Arc<dyn Sink>;
        Follower::run_once(&place.path, sink, hasty()).unwrap()
    };
    run();
    assert!(place.is_whole());
    assert_eq!(place.sink.only().head.damaged_records, 1);
    append(
        &place.path,
        &line("assistant", "Two")["{\"role\":\"assis".len()..],
    );
    run();
    assert!(place.is_whole());
    assert_eq!(place.sink.only().texts(), ["One", "Two"]);
}

#[test]
fn a_sink_that_fails_gets_all_later() {
    let place = Place::new("chat.jsonl");
    append(&place.path, &(line("user", "One") + &line("user", "Two")));
    *place.sink.errors.lock().unwrap() = vec![SinkError::Later("the disk is full".to_owned()); 2];
    let _follower = start(&place.path, &place.sink);
    until("all", || place.is_whole());
    assert_eq!(place.sink.put_count(), 2);
    let states = place.sink.states.lock().unwrap();
    let failing = Following::Failing("the disk is full".to_owned());
    assert!(
        states.iter().any(|state| state.following == failing),
        "{states:?}"
    );
}

#[test]
fn a_refused_chat_is_left_alone() {
    let place = Place::new("chat.jsonl");
    append(&place.path, &line("user", "One"));
    *place.sink.errors.lock().unwrap() = vec![SinkError::Refused("the chat is deleted".to_owned())];
    let follower = start(&place.path, &place.sink);
    let refused = Following::Refused("the chat is deleted".to_owned());
    until("refused", || {
        follower
            .states()
            .first()
            .is_some_and(|state| state.following == refused)
    });
    append(&place.path, &line("user", "Two"));
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(place.sink.put_count(), 0);
    assert_eq!(follower.states()[0].following, refused);
}

#[test]
fn a_list_that_is_written_anew_is_compared() {
    let place = Place::new("chat.json");
    let list = |texts: &[&str]| {
        let messages: Vec<serde_json::Value> = texts
            .iter()
            .map(|text| serde_json::json!({"role": "user", "content": text, "id": format!("id-{text}")}))
            .collect();
        serde_json::to_string_pretty(&messages).unwrap()
    };
    fs::write(&place.path, list(&["a", "b"])).unwrap();
    let _follower = start(&place.path, &place.sink);
    until("two", || place.is_whole());
    fs::write(&place.path, list(&["a", "b", "c"])).unwrap();
    until("three", || place.is_whole());
    assert_eq!(place.sink.put_count(), 3);
    fs::write(&place.path, list(&["a", "c"])).unwrap();
    until("one less", || place.is_whole());
    // The one that followed it follows another one now.
    assert_eq!(place.sink.put_count(), 4);
    assert_eq!(
        *place.sink.removed.lock().unwrap(),
        [MessageId("id-b".to_owned())]
    );
}

#[test]
fn a_file_is_not_read_whole_for_a_follower_that_is_to_stop() {
    let place = Place::new("chat.json");
    fs::write(&place.path, "[{\"role\":\"user\",\"content\":\"One\"}]").unwrap();
    let sink = Arc::clone(&place.sink) as Arc<dyn Sink>;
    let mut engine = Engine::new(&place.path, sink, hasty()).unwrap();
    engine.scan();
    let shared = Arc::clone(&engine.around.shared);
    shared.is_stopped.store(true, Ordering::Release);
    engine.step(place.path.clone());
    assert!(place.sink.chats.lock().unwrap().is_empty());
    assert!(place.sink.states.lock().unwrap().is_empty());
    shared.is_stopped.store(false, Ordering::Release);
    engine.step(place.path.clone());
    assert!(place.is_whole());
}

#[test]
fn files_beside_a_session_grow_into_its_chat() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/chats/agent");
    let place = Place::new("agent.jsonl");
    let main = fs::read_to_string(fixture.with_extension("jsonl")).unwrap();
    append(&place.path, &main);
    let follower = start(place.folder.path(), &place.sink);
    until("the session", || place.sink.put_count() > 3);
    assert!(follower.wait_until_up_to_date(LONG));
    let before = place.sink.only().messages.len();
    let beside = place.path.with_extension("").join("subagents");
    fs::create_dir_all(&beside).unwrap();
    for entry in fs::read_dir(fixture.join("subagents")).unwrap().flatten() {
        for line in fs::read_to_string(entry.path())
            .unwrap()
            .split_inclusive('\n')
        {
            append(&beside.join(entry.file_name()), line);
        }
    }
    until("its subagents", || {
        let held = place.sink.only();
        held.messages.len() > before + 3
    });
    assert!(follower.wait_until_up_to_date(LONG));
    assert_eq!(place.sink.chats.lock().unwrap().len(), 1);
    assert!(place.sink.largest.lock().unwrap().le(&500));
}

mod schedules;
