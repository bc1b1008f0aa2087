//! The messages of a chat in the making. Of a chat that grows only the newest are held, and it is known which ones changed since they
//! were handed out last.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use readalong_model::{
    Action, CallState, Digest, Edit, Message, MessageId, Part, Role, ThreadId, Visibility,
};

use crate::names::{Names, push_tightly};

/// Messages of a growing chat that are held although they were handed out: what a transcript changes lies near its end. Readers look back
/// 200 messages at most where they look back at all.
const HELD_MESSAGES_MAX: usize = 256;
/// Bytes that those may have together. The longest results in real transcripts have 1 MB.
const HELD_BYTES_MAX: usize = 4 << 20;
/// Messages that are got back between two hand-outs, at most. A transcript that changes more of what is old is cheaper to read anew.
const RECALLS_MAX: usize = 1_000;

/// Gets back a message that was handed out before; `None` where that cannot be done.
pub type Recall = Box<dyn FnMut(&MessageId) -> Option<Message> + Send>;

/// The messages of a chat by place and by id.
#[derive(Default)]
pub(crate) struct Messages {
    slots: Vec<Slot>,
    places: Names,
    growth: Option<Box<Growth>>,
    /// Calls say themselves what became of them, also where their results are not in the chat.
    pub(crate) are_settled: bool,
}

enum Slot {
    Held(Box<Message>),
    Dropped(Stub),
}

/// What stays of a message that was handed out and is not held any more.
struct Stub {
    id: ShortId,
    thread: ThreadId,
    role: Role,
    visibility: Visibility,
}

impl Stub {
    fn of(message: &Message) -> Self {
        Self {
            id: ShortId::of(&message.id),
            thread: message.thread,
            role: message.role,
            visibility: message.visibility,
        }
    }
}

/// A message's id, in few bytes where it is a UUID as most are.
enum ShortId {
    Uuid([u8; 16]),
    Other(Box<str>),
}

impl ShortId {
    fn of(id: &MessageId) -> Self {
        match uuid_of(&id.0) {
            Some(uuid) => Self::Uuid(uuid),
            None => Self::Other(id.0.as_str().into()),
        }
    }

    fn whole(&self) -> MessageId {
        MessageId(match self {
            Self::Uuid(uuid) => uuid_text(uuid),
            Self::Other(id) => id.to_string(),
        })
    }
}

/// Characters of a UUID before which there is a hyphen.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

/// The bytes of a UUID that is written as usual: in lower case, with hyphens.
fn uuid_of(text: &str) -> Option<[u8; 16]> {
    let text = text.as_bytes();
    if text.len() != 36 || HYPHENS.iter().any(|at| text[*at] != b'-') {
        return None;
    }
    let mut digits = text.iter().enumerate().filter_map(|(at, byte)| {
        let digit = || match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => u8::MAX,
        };
        (!HYPHENS.contains(&at)).then(digit)
    });
    let mut uuid = [0; 16];
    for byte in &mut uuid {
        let (high, low) = (digits.next()?, digits.next()?);
        if high.max(low) > 15 {
            return None;
        }
        *byte = high << 4 | low;
    }
    Some(uuid)
}

fn uuid_text(uuid: &[u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for byte in uuid {
        if HYPHENS.contains(&text.len()) {
            text.push('-');
        }
        for digit in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(digit.into(), 16));
        }
    }
    text
}

/// What is known of the messages of a chat that grows.
struct Growth {
    recall: Recall,
    recalls: usize,
    /// A message was asked for and could not be got back: what was made without it is wrong.
    missed: bool,
    /// Changed since they were looked through.
    dirty: BTreeSet<u32>,
    /// Looked through and not handed out yet.
    unsent: BTreeSet<u32>,
    /// Places of the messages that are held, with their weights.
    held: BTreeMap<u32, usize>,
    held_bytes: usize,
    /// The beginning of the digest of each message as it was handed out last; 0 for never.
    sent: Vec<u64>,
    calls: Calls,
    /// [`HELD_MESSAGES_MAX`], fewer in tests.
    held_max: usize,
}

/// Calls and their results, wherever they stand.
#[derive(Default)]
struct Calls {
    /// By the id of a call, where the only message with it stands; of several, [`MORE`] and the place of a list.
    calls: Names,
    more_calls: Vec<Vec<u32>>,
    /// The same of the messages with results; twice their places, and one more where they tell of an error.
    results: Names,
    more_results: Vec<Results>,
}

/// Marks the place of a list. Places, and twice places, are below it.
const MORE: u32 = 1 << 31;

/// The numbers of a name: one as a rule, a list of several beside.
fn list_of<'a>(first: &'a Option<u32>, more: &'a [Vec<u32>]) -> &'a [u32] {
    match first {
        Some(list) if *list >= MORE => more.get((list - MORE) as usize).map_or(&[], Vec::as_slice),
        one => one.as_slice(),
    }
}

/// The results of a call that has several.
#[derive(Default)]
struct Results {
    /// By place: whether it tells of an error.
    by_place: BTreeMap<u32, bool>,
    errors: usize,
}

impl Results {
    fn put(&mut self, result: u32) {
        let is_error = result % 2 == 1;
        let before = self.by_place.insert(result / 2, is_error);
        self.errors += usize::from(is_error);
        self.errors -= usize::from(before == Some(true));
    }
}

impl Calls {
    fn result(&self, call_id: &str) -> Option<bool> {
        Some(match self.results.get(call_id)? {
            list if list >= MORE => self.more_results[(list - MORE) as usize].errors > 0,
            one => one % 2 == 1,
        })
    }

    fn note_call(&mut self, call_id: &str, place: u32) {
        match self.calls.get(call_id) {
            None => _ = self.calls.insert(call_id, place),
            Some(list) if list >= MORE => {
                let places = &mut self.more_calls[(list - MORE) as usize];
                if let Err(at) = places.binary_search(&place) {
                    places.insert(at, place);
                }
            }
            Some(one) if one == place => {}
            Some(one) => {
                let list = MORE + self.more_calls.len() as u32;
                self.calls.insert(call_id, list);
                self.more_calls.push(vec![one.min(place), one.max(place)]);
            }
        }
    }

    fn note_result(&mut self, call_id: &str, place: u32, is_error: bool) {
        let result = place * 2 + u32::from(is_error);
        match self.results.get(call_id) {
            Some(list) if list >= MORE => self.more_results[(list - MORE) as usize].put(result),
            Some(one) if one / 2 != place => {
                let mut results = Results::default();
                results.put(one);
                results.put(result);
                let list = MORE + self.more_results.len() as u32;
                self.results.insert(call_id, list);
                self.more_results.push(results);
            }
            _ => _ = self.results.insert(call_id, result),
        }
    }

    /// Takes note of a message's calls and results; the places of calls whose state they change.
    fn note(&mut self, place: u32, message: &Message) -> Vec<u32> {
        let mut touched = Vec::new();
        for part in &message.parts {
            match part {
                Part::ToolCall(call) => self.note_call(&call.call_id, place),
                Part::ToolResult {
                    call_id, is_error, ..
                } => {
                    let before = self.result(call_id);
                    self.note_result(call_id, place, *is_error);
                    if self.result(call_id) != before {
                        let first = self.calls.get(call_id);
                        touched.extend_from_slice(list_of(&first, &self.more_calls));
                    }
                }
                _ => {}
            }
        }
        touched
    }
}

/// The state of a call, as its reader and its result tell it.
fn settled(state: CallState, result: Option<bool>) -> CallState {
    match (state, result) {
        (CallState::Denied, _) => CallState::Denied,
        (_, Some(true)) | (CallState::Failed, _) => CallState::Failed,
        (_, Some(false)) => CallState::Done,
        (_, None) => CallState::NoResult,
    }
}

impl Messages {
    /// Messages of a chat that grows.
    pub(crate) fn growing(recall: Recall) -> Self {
        Self {
            growth: Some(Box::new(Growth {
                recall,
                recalls: 0,
                missed: false,
                dirty: BTreeSet::new(),
                unsent: BTreeSet::new(),
                held: BTreeMap::new(),
                held_bytes: 0,
                sent: Vec::new(),
                calls: Calls::default(),
                held_max: HELD_MESSAGES_MAX,
            })),
            ..Self::default()
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn has(&self, id: &str) -> bool {
        self.place(id).is_some()
    }

    pub(crate) fn place(&self, id: &str) -> Option<usize> {
        self.places.get(id).map(|place| place as usize)
    }

    pub(crate) fn id_at(&self, place: usize) -> Option<MessageId> {
        Some(match self.slots.get(place)? {
            Slot::Held(message) => message.id.clone(),
            Slot::Dropped(stub) => stub.id.whole(),
        })
    }

    /// Role, visibility and thread of a message: what is known of all.
    pub(crate) fn kind_at(&self, place: usize) -> Option<(Role, Visibility, ThreadId)> {
        Some(match self.slots.get(place)? {
            Slot::Held(message) => (message.role, message.visibility, message.thread),
            Slot::Dropped(stub) => (stub.role, stub.visibility, stub.thread),
        })
    }

    /// The message at that place to look at.
    pub(crate) fn peek(&mut self, place: usize) -> Option<&Message> {
        self.hold(place)?;
        self.held(place)
    }

    /// The message at that place, as far as it is held.
    pub(crate) fn held(&self, place: usize) -> Option<&Message> {
        match self.slots.get(place)? {
            Slot::Held(message) => Some(message),
            Slot::Dropped(_) => None,
        }
    }

    /// The message at that place, to be changed.
    pub(crate) fn at_mut(&mut self, place: usize) -> Option<&mut Message> {
        self.hold(place)?;
        if let Some(growth) = &mut self.growth {
            growth.dirty.insert(place as u32);
        }
        match self.slots.get_mut(place)? {
            Slot::Held(message) => Some(message),
            Slot::Dropped(_) => None,
        }
    }

    /// Adds a message, or puts it where the one with its id stands; its place.
    pub(crate) fn put(&mut self, message: Message) -> usize {
        let place = self.place(&message.id.0).unwrap_or(self.slots.len());
        if let Some(growth) = &mut self.growth {
            growth.dirty.insert(place as u32);
            growth.held.entry(place as u32).or_insert(0);
        }
        if let Some(slot) = self.slots.get_mut(place) {
            *slot = Slot::Held(Box::new(message));
        } else {
            self.places.insert(&message.id.0, place as u32);
            push_tightly(&mut self.slots, Slot::Held(Box::new(message)));
        }
        place
    }

    /// Sees to it that the message at that place is held.
    fn hold(&mut self, place: usize) -> Option<()> {
        let slot = self.slots.get_mut(place)?;
        let Slot::Dropped(stub) = slot else {
            return Some(());
        };
        let growth = self.growth.as_mut()?;
        growth.recalls += 1;
        let id = stub.id.whole();
        let message = (growth.recalls <= RECALLS_MAX)
            .then(|| (growth.recall)(&id))
            .flatten()
            .filter(|message| message.id == id);
        let Some(message) = message else {
            growth.missed = true;
            return None;
        };
        growth.held.insert(place as u32, weight(&message));
        growth.held_bytes += weight(&message);
        *slot = Slot::Held(Box::new(message));
        Some(())
    }

    /// All messages of a chat that does not grow, with their calls told whether their results are in the chat.
    pub(crate) fn into_all(self) -> Vec<Message> {
        let mut all: Vec<Message> = self
            .slots
            .into_iter()
            .filter_map(|slot| match slot {
                Slot::Held(message) => Some(*message),
                Slot::Dropped(_) => None,
            })
            .collect();
        if self.are_settled {
            return all;
        }
        let mut results: HashMap<String, bool> = HashMap::new();
        for part in all.iter().flat_map(|message| &message.parts) {
            if let Part::ToolResult {
                call_id, is_error, ..
            } = part
            {
                *results.entry(call_id.clone()).or_default() |= *is_error;
            }
        }
        for part in all.iter_mut().flat_map(|message| &mut message.parts) {
            if let Part::ToolCall(call) = part {
                call.state = settled(call.state, results.get(&call.call_id).copied());
            }
        }
        all
    }

    /// Looks through what changed: which calls got their results, and what `see` wants to know of each changed message.
    pub(crate) fn look_through(&mut self, mut see: impl FnMut(usize, &Message)) {
        let mut open = match &mut self.growth {
            Some(growth) => std::mem::take(&mut growth.dirty),
            None => return,
        };
        let mut seen: HashSet<u32> = HashSet::new();
        while let Some(place) = open.pop_first() {
            if !seen.insert(place) || self.hold(place as usize).is_none() {
                continue;
            }
            let (Some(growth), Some(Slot::Held(message))) =
                (&mut self.growth, self.slots.get(place as usize))
            else {
                continue;
            };
            let weight = weight(message);
            growth.held_bytes += weight;
            growth.held_bytes -= growth.held.insert(place, weight).unwrap_or(0);
            growth.unsent.insert(place);
            open.extend(growth.calls.note(place, message));
            see(place as usize, message);
        }
    }

    /// The next changed message that is to be handed out, as it is to be. Where more is about to come (`until_quiet`), only one that is
    /// so far back that it will hardly change again.
    pub(crate) fn next_changed(&mut self, until_quiet: bool) -> Option<(u32, Message, Digest)> {
        loop {
            let growth = self.growth.as_mut()?;
            let place = *growth.unsent.first()?;
            let is_back = || {
                growth.held_bytes > HELD_BYTES_MAX
                    || self.slots.len() - place as usize > growth.held_max
            };
            if !until_quiet && !is_back() {
                return None;
            }
            growth.unsent.pop_first();
            let Some(Slot::Held(message)) = self.slots.get(place as usize) else {
                continue;
            };
            let mut message = Message::clone(message);
            for part in &mut message.parts {
                if let Part::ToolCall(call) = part
                    && !self.are_settled
                {
                    call.state = settled(call.state, growth.calls.result(&call.call_id));
                }
            }
            let digest = message.digest();
            let mark = mark(&digest);
            if growth.sent.len() <= place as usize {
                let missing = self.slots.len() - growth.sent.len();
                (0..missing).for_each(|_| push_tightly(&mut growth.sent, 0));
            }
            let same = growth.sent[place as usize] == mark;
            growth.sent[place as usize] = mark;
            if !until_quiet {
                self.drop_one(place);
            }
            if !same {
                return Some((place, message, digest));
            }
        }
    }

    /// Bytes of the messages that are held.
    pub(crate) fn held_bytes(&self) -> usize {
        self.growth.as_ref().map_or(0, |growth| growth.held_bytes)
    }

    /// Drops what was handed out, but for the newest messages.
    pub(crate) fn drop_old(&mut self) {
        let Some(growth) = &mut self.growth else {
            return;
        };
        growth.recalls = 0;
        let newest = self.slots.len().saturating_sub(1) as u32;
        let mut places = Vec::new();
        let (mut count, mut bytes) = (growth.held.len(), growth.held_bytes);
        for (place, weight) in &growth.held {
            if (count <= growth.held_max && bytes <= HELD_BYTES_MAX) || *place == newest {
                break;
            }
            if growth.unsent.contains(place) || growth.dirty.contains(place) {
                continue;
            }
            count -= 1;
            bytes -= weight;
            places.push(*place);
        }
        places.into_iter().for_each(|place| self.drop_one(place));
    }

    fn drop_one(&mut self, place: u32) {
        let Some(growth) = &mut self.growth else {
            return;
        };
        if growth.dirty.contains(&place) || place as usize + 1 == self.slots.len() {
            return;
        }
        growth.held_bytes -= growth.held.remove(&place).unwrap_or(0);
        if let Some(slot) = self.slots.get_mut(place as usize)
            && let Slot::Held(message) = slot
        {
            *slot = Slot::Dropped(Stub::of(message));
        }
    }

    /// True where a message was missed that could not be got back.
    pub(crate) fn missed(&self) -> bool {
        self.growth.as_ref().is_some_and(|growth| growth.missed)
    }

    #[cfg(test)]
    pub(crate) fn hold_only(&mut self, messages: usize) {
        if let Some(growth) = &mut self.growth {
            growth.held_max = messages;
        }
    }

    /// How many messages are held, and how many were got back since the last hand-out.
    #[cfg(test)]
    pub(crate) fn cost(&self) -> (usize, usize) {
        let recalls = self.growth.as_ref().map_or(0, |growth| growth.recalls);
        let held = |slot: &&Slot| matches!(slot, Slot::Held(_));
        (self.slots.iter().filter(held).count(), recalls)
    }
}

/// The beginning of a digest, never 0.
fn mark(digest: &Digest) -> u64 {
    u64::from_str_radix(&digest.short(16), 16).map_or(1, |mark| mark.max(1))
}

/// About how many bytes a message holds.
pub(crate) fn weight(message: &Message) -> usize {
    /// Bytes of a message without its texts, its place in maps included.
    const BARE: usize = 400;
    BARE + message.parts.iter().map(part_weight).sum::<usize>()
}

fn part_weight(part: &Part) -> usize {
    /// Bytes of a part without its texts.
    const BARE: usize = 120;
    BARE + match part {
        Part::Text { markdown } | Part::Reasoning { markdown, .. } => markdown.len(),
        Part::ToolResult { parts, .. } => parts.iter().map(part_weight).sum(),
        Part::ToolCall(call) => {
            call.input.as_ref().map_or(0, |input| input.get().len()) + action_weight(&call.action)
        }
        Part::Notice { text, .. } => text.len(),
        Part::Unknown { json, .. } => json.get().len(),
        _ => 0,
    }
}

/// About how many bytes the long texts of an action have.
fn action_weight(action: &Action) -> usize {
    match action {
        Action::Write { content, .. } => content.len(),
        Action::Edit { edits, .. } => edits
            .iter()
            .map(|edit| match edit {
                Edit::Replace { old, new } => old.len() + new.len(),
                Edit::Unified { diff } => diff.len(),
            })
            .sum(),
        Action::Patch { files } => files.iter().map(action_weight).sum(),
        Action::Run { command, .. } => command.len(),
        Action::Delegate { prompt, .. } => prompt.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_ids_are_the_ids_that_they_stand_for() {
        let ids = [
            "1519a44c-cfcd-41ab-858a-cd7a5fecfdad",
            "00000000-0000-0000-0000-00000000000f",
            "1519A44C-cfcd-41ab-858a-cd7a5fecfdad",
            "1519a44c-cfcd-41ab-858a-cd7a5fecfdag",
            "1519a44c-cfcd-41ab-858a-cd7a5fecfdad~2",
            "1519a44ccfcd--1ab-858a-cd7a5fecfdad1",
            "aaaaaaa\u{e9}-cfcd-41ab-858a-cd7a5fecfdad",
            "",
        ];
        for (place, id) in ids.into_iter().enumerate() {
            let short = ShortId::of(&MessageId(id.to_owned()));
            assert_eq!(short.whole().0, id);
            assert_eq!(matches!(short, ShortId::Uuid(_)), place < 2, "{id}");
        }
    }

    #[test]
    fn calls_of_one_id_are_all_known() {
        let mut calls = Calls::default();
        let touched = |calls: &mut Calls, place, is_error| {
            let mut message = Message::new("m", Role::Tool);
            message.parts.push(Part::ToolResult {
                call_id: "c".to_owned(),
                parts: Vec::new(),
                is_error,
            });
            calls.note(place, &message)
        };
        calls.note_call("c", 3);
        calls.note_call("c", 3);
        assert_eq!(calls.result("c"), None);
        assert_eq!(touched(&mut calls, 4, false), [3]);
        calls.note_call("c", 5);
        calls.note_call("c", 6);
        assert_eq!(touched(&mut calls, 7, true), [3, 5, 6]);
        assert_eq!(calls.result("c"), Some(true));
        assert!(touched(&mut calls, 8, false).is_empty());
        assert_eq!(touched(&mut calls, 7, false), [3, 5, 6]);
        assert_eq!(calls.result("c"), Some(false));
    }
}
