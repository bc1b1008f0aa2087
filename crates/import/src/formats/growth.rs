//! What is read as it grows is what is read whole: all fixtures and samples, cut at random.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use readalong_model::{Artifact, Chat, ChatHead, Message, MessageId, Place, Thread};

use super::outline::{Folder, fixtures, read, samples};
use crate::{
    Amount, Changes, Discard, GrowingTranscript, Lack, Pick, ReadSeek, Recall, Source,
    Surroundings, Transcript, builder::ChatBuilder,
};

/// Random cuts that each file is read in.
const CUTS: u64 = 6;

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % limit.max(1)
    }
}

/// What a chat is according to its changes.
#[derive(Clone)]
struct Model {
    head: ChatHead,
    threads: Vec<Thread>,
    artifacts: Vec<Artifact>,
    messages: HashMap<MessageId, (u32, Message)>,
    /// Messages that came, repeated ones counted.
    put: usize,
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

impl Model {
    fn new() -> Self {
        Self {
            head: ChatHead::default(),
            // The main thread is always there.
            threads: ChatBuilder::new(
                "",
                Place {
                    file: String::new(),
                    unit: "line",
                    number: 0,
                },
            )
            .chat
            .threads,
            artifacts: Vec::new(),
            messages: HashMap::new(),
            put: 0,
        }
    }

    fn apply(&mut self, changes: Changes) {
        for (place, thread) in changes.threads {
            set(&mut self.threads, place, thread);
        }
        for (place, artifact) in changes.artifacts {
            set(&mut self.artifacts, place, artifact);
        }
        if let Some(head) = changes.head {
            self.head = head;
        }
        for (place, message, digest) in changes.messages {
            assert_eq!(message.digest(), digest);
            assert!((message.thread.0 as usize) < self.threads.len());
            self.put += 1;
            let known = self.messages.insert(message.id.clone(), (place, message));
            assert!(known.is_none_or(|(known, _)| known == place));
        }
    }

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
}

/// Brings all changes to the model, which is asked for messages meanwhile.
fn take(model: &Mutex<Model>, transcript: &mut GrowingTranscript, amount: Amount, dice: &mut Dice) {
    loop {
        let (messages, bytes) = (1 + dice.below(5), 1 + dice.below(4_000));
        let changes = transcript.take_changes(amount, messages, bytes);
        if changes.is_empty() {
            break;
        }
        model.lock().unwrap().apply(changes);
    }
}

fn transcript(name: &str, bytes: &[u8]) -> Option<Transcript> {
    let bytes = bytes.to_owned();
    let open =
        Box::new(move || Ok(Box::new(std::io::Cursor::new(bytes.clone())) as Box<dyn ReadSeek>));
    let name = name.to_owned();
    Transcript::open(Source { name, open }, None).ok()
}

/// The messages of the model, got back as they were handed out.
fn recall(model: &Arc<Mutex<Model>>) -> Recall {
    let model = Arc::clone(model);
    Box::new(move |id| {
        let model = model.lock().unwrap();
        model.messages.get(id).map(|(_, message)| message.clone())
    })
}

/// The same messages, a thread after the other: which of two growing files comes first is no property of the chat.
fn by_thread(chat: &Chat) -> Chat {
    let mut chat = chat.clone();
    chat.messages.sort_by_key(|message| message.thread);
    chat
}

fn assert_same(grown: &Chat, whole: &Chat, note: &str) {
    for (grown, whole) in grown.messages.iter().zip(&whole.messages) {
        assert_eq!(grown, whole, "{note}");
    }
    assert_eq!(grown.messages.len(), whole.messages.len(), "{note}");
    assert_eq!(grown, whole, "{note}");
}

/// Reads a file in random pieces; `None` where its format does not grow.
fn grow(path: &Path, seed: u64, is_interleaved: bool) -> Option<Chat> {
    let dice = &mut Dice(seed);
    let bytes = fs::read(path).unwrap();
    let name = path.file_name()?.to_str()?;
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let opened = transcript(name, &bytes).filter(Transcript::grows)?;
    let mut around = Folder {
        path: path.parent()?.to_owned(),
        kept: HashMap::new(),
    };
    let model = Arc::new(Mutex::new(Model::new()));
    let mut growing = opened.growing(recall(&model));
    growing.messages().hold_only(2 + dice.below(6));
    let mut beside: HashMap<String, usize> = HashMap::new();
    let mut at = 0;
    while at < lines.len() {
        let count = 1 + dice.below(if seed.is_multiple_of(3) { 40 } else { 4 });
        let piece = lines[at..lines.len().min(at + count)].concat();
        at += count;
        growing.push(&piece, &mut around).unwrap();
        if is_interleaved {
            read_beside(&mut growing, &mut beside, &mut around, Some(&mut *dice));
        }
        if dice.below(4) == 0 {
            growing.settle();
        }
        let amounts = [Amount::Passing, Amount::All, Amount::All, Amount::Quiet];
        take(&model, &mut growing, amounts[dice.below(4)], dice);
    }
    while read_beside(&mut growing, &mut beside, &mut around, None) {}
    take(&model, &mut growing, Amount::All, dice);
    growing.settle();
    take(&model, &mut growing, Amount::Quiet, dice);
    if growing.lack() == Lack::Rereading {
        *model.lock().unwrap() = Model::new();
        growing = opened.growing(recall(&model));
        growing.push(&bytes, &mut around).unwrap();
        beside.clear();
        while read_beside(&mut growing, &mut beside, &mut around, None) {}
        growing.end(&mut around).unwrap();
        take(&model, &mut growing, Amount::Quiet, dice);
    }
    assert_eq!(growing.lack(), Lack::Nothing, "{}", path.display());
    let model = model.lock().unwrap();
    Some(model.chat())
}

/// Reads on in the files beside; a random piece of each, or all. False where nothing was new.
fn read_beside(
    growing: &mut GrowingTranscript,
    done: &mut HashMap<String, usize>,
    around: &mut Folder,
    mut dice: Option<&mut Dice>,
) -> bool {
    let mut any = false;
    for path in growing.beside(around).unwrap() {
        let bytes = around.beside(&path).unwrap().unwrap();
        let at = done.entry(path.clone()).or_default();
        let rest = &bytes[*at..];
        let end = match &mut dice {
            Some(dice) => {
                let some = dice.below(rest.len() + 1);
                rest[..some]
                    .iter()
                    .rposition(|byte| *byte == b'\n')
                    .map_or(0, |end| end + 1)
            }
            None => rest.len(),
        };
        any |= end > 0;
        growing.push_beside(&path, &rest[..end], around).unwrap();
        *at += end;
    }
    any
}

fn files_of(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files
}

fn all_files() -> Vec<PathBuf> {
    let formats = fixtures("codex").parent().unwrap().to_owned();
    let folders = fs::read_dir(formats)
        .unwrap()
        .flatten()
        .map(|entry| entry.path());
    let mut files: Vec<PathBuf> = folders.flat_map(|folder| files_of(&folder)).collect();
    files.sort();
    for folder in ["claude-code", "codex", "openai-messages", "gemini-cli"] {
        files.extend(samples(folder));
    }
    files
}

#[test]
fn what_grew_is_what_is_read_whole() {
    let mut read_files = 0;
    for path in all_files() {
        for seed in 0..CUTS {
            let Some(grown) = grow(&path, seed, false) else {
                break;
            };
            assert_same(
                &grown,
                &read(&path).chat,
                &format!("{} {seed}", path.display()),
            );
            read_files += usize::from(seed == 0);
        }
    }
    assert!(read_files > 15, "{read_files}");
}

#[test]
fn files_beside_grow_with_their_session() {
    let fixture = fixtures("claude-code").join("subagents-session.jsonl");
    for path in [vec![fixture], samples("claude-code")].concat() {
        for seed in 0..CUTS {
            let Some(grown) = grow(&path, seed, true) else {
                break;
            };
            let whole = by_thread(&read(&path).chat);
            let mut grown = by_thread(&grown);
            // Threads are numbered as they come.
            renumber(&mut grown, &whole);
            assert_same(
                &by_thread(&grown),
                &whole,
                &format!("{} {seed}", path.display()),
            );
        }
    }
}

/// Numbers the threads of a chat as those of another one, by what their messages are.
fn renumber(chat: &mut Chat, like: &Chat) {
    let thread_of: HashMap<&MessageId, u32> = like
        .messages
        .iter()
        .map(|message| (&message.id, message.thread.0))
        .collect();
    let mut threads = like.threads.clone();
    for message in &mut chat.messages {
        let Some(number) = thread_of.get(&message.id) else {
            panic!("{} is not there", message.id);
        };
        threads[*number as usize] = chat.threads[message.thread.0 as usize].clone();
        message.thread.0 = *number;
    }
    chat.threads = threads;
}

/// A session of that many turns.
fn session(turns: std::ops::Range<usize>) -> String {
    let mut text = String::new();
    for n in turns {
        let parent = if n == 0 {
            "null".to_owned()
        } else {
            format!("\"r{}\"", n - 1)
        };
        text += &format!(
            "{{\"type\":\"user\",\"uuid\":\"u{n}\",\"parentUuid\":{parent},\"sessionId\":\"s\",\"timestamp\":\"2026-01-02T03:04:05Z\",\"message\":{{\"role\":\"user\",\"content\":\"Question {n}\"}}}}\n\
             {{\"type\":\"assistant\",\"uuid\":\"a{n}\",\"parentUuid\":\"u{n}\",\"sessionId\":\"s\",\"message\":{{\"id\":\"m{n}\",\"role\":\"assistant\",\"content\":[{{\"type\":\"tool_use\",\"id\":\"c{n}\",\"name\":\"Bash\",\"input\":{{\"command\":\"ls\"}}}}]}}}}\n\
             {{\"type\":\"user\",\"uuid\":\"r{n}\",\"parentUuid\":\"a{n}\",\"sessionId\":\"s\",\"message\":{{\"role\":\"user\",\"content\":[{{\"type\":\"tool_result\",\"tool_use_id\":\"c{n}\",\"content\":\"done {n}\"}}]}}}}\n"
        );
    }
    text
}

#[test]
fn a_long_chat_costs_a_new_message_no_more() {
    let first = session(0..1);
    let opened = transcript("s.jsonl", first.as_bytes()).unwrap();
    let mut growing = opened.growing(Box::new(|id| panic!("{id} was asked for")));
    for n in 0..3_000 {
        growing
            .push(session(n..n + 1).as_bytes(), &mut Discard)
            .unwrap();
        let changes = growing.take_changes(Amount::All, 100, 1 << 20);
        assert_eq!(changes.messages.len(), 3, "turn {n}");
        assert_eq!(changes.head.is_some(), n == 0, "turn {n}");
        assert!(growing.take_changes(Amount::All, 100, 1 << 20).is_empty());
        let (held, recalls) = growing.messages().cost();
        assert!(held <= 256, "{held}");
        assert_eq!(recalls, 0);
        assert_eq!(growing.lack(), Lack::Nothing);
    }
}

#[test]
fn what_is_read_in_passing_is_told_once() {
    let text = session(0..2_000);
    let opened = transcript("s.jsonl", text.as_bytes()).unwrap();
    let model = Arc::new(Mutex::new(Model::new()));
    let mut growing = opened.growing(recall(&model));
    let dice = &mut Dice(7);
    for piece in text.as_bytes().split_inclusive(|byte| *byte == b'\n') {
        growing.push(piece, &mut Discard).unwrap();
        take(&model, &mut growing, Amount::Passing, dice);
    }
    take(&model, &mut growing, Amount::Quiet, dice);
    let model = model.lock().unwrap();
    assert_eq!((model.messages.len(), model.put), (6_000, 6_000));
    let whole = opened.read(&Pick::Only, &mut Discard).unwrap().chat;
    assert_same(&model.chat(), &whole, "passing");
}

#[test]
fn a_message_that_is_written_again_grows_in_its_place() {
    let text = ["H", "Hel", "Hello", "Hello"]
        .map(|said| format!("{{\"role\":\"assistant\",\"id\":\"m\",\"content\":\"{said}\"}}\n"))
        .concat();
    let opened = transcript("x.jsonl", text.as_bytes()).unwrap();
    let model = Arc::new(Mutex::new(Model::new()));
    let mut growing = opened.growing(recall(&model));
    let dice = &mut Dice(3);
    for piece in text.as_bytes().split_inclusive(|byte| *byte == b'\n') {
        growing.push(piece, &mut Discard).unwrap();
        take(&model, &mut growing, Amount::All, dice);
    }
    let model = model.lock().unwrap();
    // A repetition says nothing new.
    assert_eq!((model.messages.len(), model.put), (1, 3));
    let whole = opened.read(&Pick::Only, &mut Discard).unwrap().chat;
    assert_same(&model.chat(), &whole, "written again");
}

#[test]
fn an_old_message_that_cannot_be_got_back_asks_for_reading_anew() {
    let opened = transcript("s.jsonl", session(0..1).as_bytes()).unwrap();
    let mut growing = opened.growing(Box::new(|_| None));
    growing
        .push(session(0..400).as_bytes(), &mut Discard)
        .unwrap();
    while !growing.take_changes(Amount::All, 1_000, 1 << 20).is_empty() {}
    assert_eq!(growing.lack(), Lack::Nothing);
    // A second result for a call of long ago.
    let again = session(0..1)
        .lines()
        .nth(2)
        .unwrap()
        .replace("\"r0\"", "\"r0-again\"")
        .replace(
            "\"content\":\"done 0\"",
            "\"content\":\"no\",\"is_error\":true",
        );
    growing.push(again.as_bytes(), &mut Discard).unwrap();
    growing.take_changes(Amount::All, 1_000, 1 << 20);
    assert_eq!(growing.lack(), Lack::Rereading);
}

#[test]
fn the_first_lines_may_turn_out_to_be_of_another_format() {
    let first = b"{\"role\":\"user\",\"content\":\"Hi\"}\n";
    let opened = transcript("x.jsonl", first).unwrap();
    let mut growing = opened.growing(Box::new(|_| None));
    growing.push(first, &mut Discard).unwrap();
    assert!(!growing.looks_otherwise() && growing.is_young());
    let blocks = b"{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"n\",\"input\":{}}]}\n";
    growing.push(&blocks.repeat(3), &mut Discard).unwrap();
    assert!(growing.looks_otherwise());
}
