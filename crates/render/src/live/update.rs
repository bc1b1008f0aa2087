//! How a live book takes changes: messages into the index, the index into items, items into pages and operations.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use rayon::prelude::*;
use readalong_model::{
    Change, ChatHead, Event, LeftOut, Message, MessageId, Seq, ThreadId, ThreadKind, Timestamp,
};

use super::{
    Library, LiveBook, Op, REMOVED_MAX, face,
    record::{Record, Rests},
};
use crate::{
    RenderError, Renderer,
    fragment::{Fragment, FragmentRenderer},
    index::{self, Index, Key, Line, PartPlace},
    outline::{Item, ItemKey, ItemKind, Items, Outline},
    page,
};

/// Messages that are taken back and put again where one among the last changes its shape; of an older one the whole index is made anew.
const REWIND_MAX: usize = 512;
/// Places of a chat. Far above any chat; a place beyond it is a mistake.
const PLACES_MAX: usize = 1 << 24;
/// Bytes of HTML that operations carry; where more changed at once, viewers fetch their page again.
const OPS_BYTES_MAX: usize = 1 << 20;
/// Items that are rendered at once while a book is made; more would only cost memory.
const ITEMS_AT_ONCE: usize = 64;
/// Items that are rendered side by side; fewer are not worth it.
const ITEMS_PER_TASK: usize = 4;
/// Messages in one fetch although some between are not needed.
const GAP_MAX: usize = 4;
/// Text of the last items that is kept, so that the next message need not fetch it.
const TAIL_BYTES_MAX: usize = 256 << 10;

/// What events ask for.
#[derive(Default)]
struct Work {
    head: bool,
    threads: bool,
    /// An erased message took artifacts with it.
    artifacts: bool,
    /// Places to look at again, with the event that says so.
    places: BTreeMap<usize, Seq>,
    /// Messages that events put elsewhere than the index has them.
    put: HashMap<Key, usize>,
    /// Threads to show anew.
    touched: BTreeSet<ThreadId>,
}

/// What became of the index.
#[derive(Default)]
struct Changed {
    /// The first place from which the main thread may read differently.
    cut: Option<usize>,
    /// Places from here on were put anew.
    from: usize,
    /// Everything may read differently.
    all: bool,
    /// Calls and threads that are shown anew wherever they stand.
    calls: Vec<PartPlace>,
    threads: BTreeSet<ThreadId>,
}

impl Changed {
    fn cut(&mut self, place: usize) {
        self.cut = Some(self.cut.map_or(place, |cut| cut.min(place)));
    }

    /// Notes what hangs on the message at a place.
    fn touch(&mut self, index: &Index, place: usize) {
        if index.line(place).is_none() {
            return;
        }
        let thread = index.thread_of(place);
        if thread.is_main() {
            self.cut(place);
            if let [first, _, ..] = index.alternatives(place) {
                self.cut(*first);
            }
        } else {
            self.threads.insert(thread);
        }
        self.note_calls(index, place);
    }

    /// Notes the calls that the results in a message answer.
    fn note_calls(&mut self, index: &Index, message: usize) {
        let parts = index.line(message).map_or(0, |line| line.parts.len());
        let places = (0..parts).map(|part| PartPlace::new(message, part));
        self.calls
            .extend(places.filter_map(|place| index.call_of(place)));
    }
}

/// Items that are to be rendered, and what is to be told of them.
#[derive(Default)]
struct Outcome {
    /// The first record that stands in a new place.
    start: usize,
    /// Records whose HTML may be another.
    pending: BTreeSet<usize>,
    /// Records that were not there before.
    new: HashSet<usize>,
    removed: Vec<ItemKey>,
    /// True where operations could not lead from the old items to the new ones: their order changed, or a page went.
    is_mixed: bool,
    /// The header counts what was taken out.
    is_header_other: bool,
    html: BTreeMap<usize, String>,
    html_bytes: usize,
}

impl Outcome {
    fn is_too_much(&self) -> bool {
        self.is_mixed || self.html_bytes > OPS_BYTES_MAX
    }
}

impl LiveBook {
    /// Takes events of the chat, in order; those that the book knows are passed over. What comes back is for one frame, whose `seq` is
    /// [`Self::seq`] afterwards.
    ///
    /// # Errors
    /// A template is wrong. The book is of no use afterwards.
    pub fn apply(
        &mut self,
        renderer: &Renderer,
        library: &dyn Library,
        events: &[Event],
    ) -> Result<Vec<Op>, RenderError> {
        let mut work = Work::default();
        let taken_back_at = self.taken_back_at;
        for event in events {
            if event.seq > self.seq {
                self.seq = event.seq;
                self.note(&event.change, &mut work);
            }
        }
        let mut ops = match work.head {
            true => self.take_head(renderer, library)?,
            false => Vec::new(),
        };
        if ops.contains(&Op::Reload {}) {
            return Ok(ops);
        }
        if work.artifacts {
            self.artifacts = library.artifacts();
        }
        let put: HashSet<usize> = work.put.values().copied().collect();
        let changed = self.take_messages(library, work);
        let mut outcome = self.look(&changed);
        self.render_pending(renderer, library, &mut outcome)?;
        let moved = self.bind(&outcome);
        self.render_moved(renderer, library, moved, &mut outcome)?;
        self.keep_tail();
        if outcome.is_header_other && ops.is_empty() {
            self.header_at = self.seq;
            ops.push(self.header(renderer)?);
        }
        ops.extend(self.operations(outcome, &put));
        if self.taken_back_at > taken_back_at && !ops.contains(&Op::Reload {}) {
            ops.push(Op::TakenBack {});
        }
        Ok(ops)
    }

    /// Reads the whole chat.
    pub(super) fn read(
        &mut self,
        renderer: &Renderer,
        library: &dyn Library,
    ) -> Result<(), RenderError> {
        self.index = Index::default();
        self.uses.clear();
        self.tail.clear();
        self.take_threads(library.threads());
        self.artifacts = library.artifacts();
        library.for_each(0..u32::MAX, &mut |place, seq, message| {
            let place = place as usize;
            while self.index.len() < place.min(PLACES_MAX) {
                self.index.push(None);
            }
            if self.index.len() == place {
                self.tail.clear();
                let line = self.line(place, (seq, message));
                self.index.push(Some(line));
            }
        });
        self.records.clear();
        self.main_records = 0;
        self.path.clear();
        let from = self.index.len();
        self.index
            .refresh_threads(&self.threads, self.left_out, from);
        let changed = Changed {
            all: true,
            ..Changed::default()
        };
        let mut outcome = self.look(&changed);
        self.render_pending(renderer, library, &mut outcome)?;
        self.bind(&outcome);
        self.keep_tail();
        self.known_from = self.seq;
        self.removed.clear();
        Ok(())
    }

    /// Takes what is said of the chat as a whole.
    pub(super) fn take_head(
        &mut self,
        renderer: &Renderer,
        library: &dyn Library,
    ) -> Result<Vec<Op>, RenderError> {
        self.head = library.head();
        let left_out = LeftOut::of(&self.share.options, self.head.left_out);
        let face = face(&self.head, &self.share, left_out);
        let shows_more = std::mem::replace(&mut self.left_out, left_out) != left_out;
        let says_more = self.face != face;
        self.face = face;
        let mut ops = Vec::new();
        if says_more {
            self.header_at = self.seq;
            ops.push(self.header(renderer)?);
        }
        if shows_more {
            self.read(renderer, library)?;
            ops.push(Op::Reload {});
        }
        Ok(ops)
    }

    /// Notes what an event changes.
    fn note(&mut self, change: &Change, work: &mut Work) {
        match change {
            Change::Head(ChatHead { .. }) | Change::Renamed { .. } => work.head = true,
            Change::ThreadPut { place, thread } => {
                put_at(&mut self.threads, *place, thread.clone(), || {
                    super::thread(ThreadKind::Side)
                });
                work.threads = true;
                work.touched.insert(ThreadId(*place));
            }
            Change::ArtifactPut { place, artifact } => {
                let before = self.artifacts.get(*place as usize);
                if before.is_some_and(|before| before != artifact) {
                    self.taken_back_at = self.seq;
                }
                put_at(&mut self.artifacts, *place, artifact.clone(), || {
                    artifact.emptied()
                });
                self.note_artifact(*place, work);
            }
            Change::MessagePut { place, message } => {
                let place = *place as usize;
                self.note_message(&message.id, work);
                work.places.insert(place, self.seq);
                work.put.insert(index::key_of(&message.id), place);
            }
            Change::MessageRemoved { id } | Change::Edited { id, .. } => {
                self.note_message(id, work);
            }
            Change::Hidden { id, .. } => self.note_message(id, work),
            Change::Erased { id } => {
                self.note_message(id, work);
                work.artifacts = true;
            }
            Change::ChatCreated { .. }
            | Change::ChatDeleted
            | Change::Undone { .. }
            | Change::ShareCreated(_)
            | Change::ShareChanged(_)
            | Change::ShareDeleted(_) => {}
            // All of it may read differently: whoever has a book makes it anew.
            Change::Redacted | Change::ArtifactHidden { .. } | Change::ArtifactErased { .. } => {
                work.head = true;
            }
        }
    }

    fn note_message(&self, id: &MessageId, work: &mut Work) {
        let key = index::key_of(id);
        let known = work.put.get(&key).copied();
        if let Some(place) = known.or_else(|| self.index.place_of(key)) {
            work.places.insert(place, self.seq);
        }
    }

    /// Messages that show an artifact show it anew. Nearly always it comes before them, and there is none.
    fn note_artifact(&self, artifact: u32, work: &mut Work) {
        if !self.named_artifacts.contains(&artifact) {
            return;
        }
        for (place, used) in &self.uses {
            if used.iter().any(|id| id.0 == artifact) {
                work.places.insert(*place, self.seq);
            }
        }
    }

    /// The line of a message, which is remembered for rendering.
    fn line(&mut self, place: usize, (version, message): (Seq, Message)) -> Line {
        let line = Line::unseen(&message, version);
        let seen = self.left_out.see(message);
        self.take_uses(place, seen.as_ref());
        self.note_taken_back(place, seen.as_ref());
        match seen {
            Some(message) => {
                let line = line.seen(&message);
                self.tail.insert(place, (version, Arc::new(message)));
                line
            }
            None => line,
        }
    }

    /// Notes where viewers had something of a message that they do not have now. What an older one said is not at hand: it seldom changes but by its owner.
    fn note_taken_back(&mut self, place: usize, now: Option<&Message>) {
        if !self.index.is_seen(place) {
            return;
        }
        let line = self.index.line(place);
        let before = self.tail.get(&place);
        let before =
            before.filter(|(version, _)| line.is_some_and(|line| line.version == *version));
        let is_there = before.zip(now);
        if !is_there.is_some_and(|((_, before), now)| now.continues(before)) {
            self.taken_back_at = self.seq;
        }
    }

    /// Takes messages into the index.
    fn take_messages(&mut self, library: &dyn Library, work: Work) -> Changed {
        if work.threads {
            self.index.set_threads(&self.threads);
        }
        let mut lines = BTreeMap::new();
        let mut waiting = work.places;
        while let Some((place, seq)) = waiting.pop_first() {
            let found = library.message(place as u32);
            let found = found.map(|(version, message)| (version.max(seq), message));
            let line = match found {
                Some(found) => Some(self.line(place, found)),
                None => {
                    self.take_uses(place, None);
                    self.note_taken_back(place, None);
                    None
                }
            };
            // A store that is ahead may have moved the message here from a place that no event named yet.
            let before = line.as_ref().and_then(|line| self.index.place_of(line.key));
            if let Some(before) = before.filter(|before| !lines.contains_key(before)) {
                waiting.entry(before).or_insert(seq);
            }
            lines.insert(place, line);
            waiting.remove(&place);
        }
        let mut changed = self.put_lines(lines);
        changed.threads.extend(work.touched);
        let threads = self
            .index
            .refresh_threads(&self.threads, self.left_out, changed.from);
        changed.all |= threads.all;
        changed.calls.extend(threads.calls);
        // Which calls are shown is known only now.
        for message in changed.from..self.index.len() {
            changed.note_calls(&self.index, message);
        }
        changed
    }

    fn put_lines(&mut self, lines: BTreeMap<usize, Option<Line>>) -> Changed {
        let index = &mut self.index;
        let mut changed = Changed {
            from: index.len(),
            ..Changed::default()
        };
        let mut reshaped = BTreeMap::new();
        for (place, line) in lines {
            changed.touch(index, place);
            match line.map(|line| index.replace(place, line)) {
                Some(Ok(())) => {}
                Some(Err(line)) if place < PLACES_MAX => _ = reshaped.insert(place, Some(line)),
                None if index.line(place).is_some() => _ = reshaped.insert(place, None),
                _ => {}
            }
        }
        if index.has_lost_messages() {
            // A thread that messages waited for may be there now.
            reshaped.entry(0).or_insert_with(|| index.line(0).cloned());
        }
        let Some(first) = reshaped.keys().next().copied() else {
            return changed;
        };
        let first = first.min(index.len());
        if index.len() - first > REWIND_MAX || index.has_lost_messages() {
            self.rebuild(reshaped);
            changed.all = true;
            changed.from = 0;
            return changed;
        }
        changed.from = first;
        let mut back = Vec::new();
        while index.len() > first {
            changed.touch(index, index.len() - 1);
            back.push(index.pop());
        }
        let last = reshaped.keys().next_back().copied().unwrap_or(first);
        let end = (first + back.len()).max(last + 1);
        for place in first..end {
            let before = back.pop().flatten();
            index.push(reshaped.remove(&place).unwrap_or(before));
            changed.touch(index, place);
        }
        changed
    }

    /// Makes the whole index anew with some other lines.
    fn rebuild(&mut self, reshaped: BTreeMap<usize, Option<Line>>) {
        let mut index = std::mem::take(&mut self.index);
        let mut lines = index.take_lines();
        for (place, line) in reshaped {
            if lines.len() <= place {
                lines.resize_with(place + 1, || None);
            }
            lines[place] = line;
        }
        self.index = index.rebuilt(&self.threads, lines);
    }

    // Items

    /// Finds out which items there are now and which of them may read differently.
    fn look(&mut self, changed: &Changed) -> Outcome {
        let pages = self.pages();
        let cut = self.take_path(changed);
        let start = match cut {
            _ if changed.all => 0,
            Some(cut) => self.restart_at(cut),
            None => self.main_records,
        };
        let old = self.records.split_off(start);
        let items = self.items_from(start, cut.is_some() || changed.all, &old);
        let mut outcome = Outcome {
            start,
            ..Outcome::default()
        };
        let (calls, loose) = self.where_shown(changed);
        let mut known: HashMap<ItemKey, (usize, Record)> = HashMap::with_capacity(old.len());
        let mut order = Vec::with_capacity(old.len());
        for (at, record) in old.into_iter().enumerate() {
            order.push(record.key);
            known.insert(record.key, (at, record));
        }
        let mut last = None;
        let main = items.len();
        let loose_items = self.index.loose_threads().to_vec();
        let loose_items = loose_items
            .into_iter()
            .map(|thread| Item::loose(&self.index, thread));
        let items: Vec<Item> = items.into_iter().chain(loose_items).collect();
        self.main_records = start + main;
        if self.records.capacity() - self.records.len() < items.len() {
            // No more than they need and some to come: they live long.
            let more = items.len() + (start + items.len()) / 8;
            self.records.reserve_exact(more);
        }
        for item in items {
            let is_sure = match item.kind {
                // What is not said to be another is not.
                ItemKind::LooseThread(thread) => !changed.all && !loose.contains(&thread),
                _ => false,
            };
            let mut record = Record::new(item, &self.index, self.seq);
            let place = self.records.len();
            let is_known = known.remove(&record.key);
            if let Some((at, known)) = is_known {
                outcome.is_mixed |= last.is_some_and(|last| last > at);
                last = Some(at);
                record = Record {
                    item: record.item,
                    ..known
                };
                if is_sure {
                    self.records.push(record);
                    continue;
                }
            } else {
                outcome.new.insert(place);
            }
            self.records.push(record);
            self.look_at(place, &mut outcome);
        }
        for call in calls {
            if let Some(place) = self.record_of(call).filter(|place| *place < start) {
                self.look_at(place, &mut outcome);
            }
        }
        order.retain(|key| known.contains_key(key));
        outcome.removed = order;
        outcome.is_mixed |= !outcome.removed.is_empty() && self.lost_last_page(pages);
        outcome
    }

    /// True where nothing is left of what was the last of several pages: an open page has no item then that others could follow.
    fn lost_last_page(&self, last: usize) -> bool {
        let mut records = self.records.iter().rev();
        last > 1 && !records.any(|record| record.page as usize == last)
    }

    /// Takes the digest of what an item rests on; another one asks for rendering.
    fn look_at(&mut self, place: usize, outcome: &mut Outcome) {
        let rests = Rests::new(&self.index, &self.threads);
        let record = &mut self.records[place];
        let input = rests.input(&record.item);
        if std::mem::replace(&mut record.input, input) != input || outcome.new.contains(&place) {
            outcome.pending.insert(place);
        }
    }

    /// Finds the branch that is read first; gives the place from which it, or what is on it, is another.
    fn take_path(&mut self, changed: &Changed) -> Option<usize> {
        let index = &self.index;
        let from = changed.from as u32;
        let leaf = self.leaf();
        let main = index.places_in(ThreadId::MAIN);
        let kept = self.path.partition_point(|place| *place < from);
        let mut tip = kept.checked_sub(1).map(|last| self.path[last]);
        let mut added = Vec::new();
        for place in &main[main.partition_point(|place| *place < from)..] {
            let parent = index.parent(*place as usize).map(|parent| parent as u32);
            if changed.all || parent != tip {
                break;
            }
            added.push(*place);
            tip = Some(*place);
        }
        let is_on = |leaf: usize| {
            let leaf = leaf as u32;
            self.path[..kept].binary_search(&leaf).is_ok() || added.binary_search(&leaf).is_ok()
        };
        // What ends with the newest message is the branch through the newest, and the one through each message on it.
        if !changed.all && tip == main.last().copied() && leaf.is_none_or(is_on) {
            let is_longer_only = kept == self.path.len();
            self.path.truncate(kept);
            let newest = self.last_at_of(&added);
            self.path.extend(added);
            // A chat without times has none further up either.
            if newest.is_some() {
                self.last_at = newest;
            } else if !is_longer_only && self.last_at.is_some() {
                self.last_at = self.last_at_of(&self.path);
            }
            return changed.cut;
        }
        let path = index.path_of(ThreadId::MAIN, leaf);
        let path: Vec<u32> = path.into_iter().map(|place| place as u32).collect();
        let same = path.iter().zip(&self.path).take_while(|(a, b)| a == b);
        let same = same.count();
        let other = [&path, &self.path].map(|path| path.get(same).copied());
        self.path = path;
        self.last_at = self.last_at_of(&self.path);
        let other = other.into_iter().flatten().min();
        let other = other.map(|place| place as usize);
        changed.cut.into_iter().chain(other).min()
    }

    /// Time of the newest of these messages that has one.
    fn last_at_of(&self, places: &[u32]) -> Option<Timestamp> {
        let mut newest_first = places.iter().rev();
        newest_first.find_map(|place| self.index.line(*place as usize)?.at)
    }

    /// The record from which items are made anew where the path is another from a place on: one earlier than that place's, since what
    /// comes may join it, and one that begins with its message.
    fn restart_at(&self, cut: usize) -> usize {
        let records = &self.records[..self.main_records];
        let begin = |mut at: usize| {
            while at > 0
                && records
                    .get(at)
                    .is_some_and(|record| !record.item.has_anchor)
            {
                at -= 1;
            }
            at
        };
        let is_before = |record: &Record| record.item.last_message() < cut;
        begin(begin(records.partition_point(is_before)).saturating_sub(1))
    }

    /// The items of the path from a record on.
    fn items_from(&self, start: usize, is_asked: bool, old: &[Record]) -> Vec<Item> {
        if !is_asked {
            return Vec::new();
        }
        let first = old.first().filter(|_| start > 0);
        let standing = first.map(|record| record.item.before.clone());
        let first = first.map_or(0, |record| record.item.message as u32);
        let mut items = Items::new(&self.index, standing.unwrap_or_default());
        for place in &self.path[self.path.partition_point(|place| *place < first)..] {
            items.add_message(*place as usize);
        }
        items.done
    }

    /// The calls of the main thread and the loose threads in which changed calls and threads are shown.
    fn where_shown(&self, changed: &Changed) -> (Vec<PartPlace>, HashSet<ThreadId>) {
        let (mut calls, mut loose) = (Vec::new(), HashSet::new());
        let mut threads = changed.threads.clone();
        for call in &changed.calls {
            match self.index.thread_of(call.message()) {
                ThreadId::MAIN => calls.push(*call),
                thread => _ = threads.insert(thread),
            }
        }
        for thread in threads {
            let mut thread = thread;
            // Threads hang on each other without circles; the count is for safety.
            for _ in 0..=self.threads.len() {
                let Some(home) = self.index.home_of(thread) else {
                    loose.insert(thread);
                    break;
                };
                thread = self.index.thread_of(home.message());
                if thread.is_main() {
                    calls.push(home);
                    break;
                }
            }
        }
        (calls, loose)
    }

    /// The record that shows a part of the main thread.
    fn record_of(&self, part: PartPlace) -> Option<usize> {
        let records = &self.records[..self.main_records];
        let place = records.partition_point(|record| record.item.first_part() <= part);
        let place = place.checked_sub(1)?;
        records[place].item.parts.contains(&part).then_some(place)
    }

    // Rendering

    fn render_pending(
        &mut self,
        renderer: &Renderer,
        library: &dyn Library,
        outcome: &mut Outcome,
    ) -> Result<(), RenderError> {
        let pending: Vec<usize> = outcome.pending.iter().copied().collect();
        for chunk in pending.chunks(ITEMS_AT_ONCE) {
            let fragments = self.fragments(renderer, library, chunk)?;
            for (place, fragment) in chunk.iter().zip(fragments) {
                let redacted = self.records[*place].facts.redacted;
                let is_other = self.records[*place].take(&fragment);
                outcome.is_header_other |= self.records[*place].facts.redacted != redacted;
                if !is_other && !outcome.new.contains(place) {
                    outcome.pending.remove(place);
                    continue;
                }
                self.records[*place].changed = self.seq;
                outcome.keep(*place, fragment.html);
            }
        }
        Ok(())
    }

    /// Puts items on pages; gives those that are on another page than before and read the same.
    fn bind(&mut self, outcome: &Outcome) -> Vec<usize> {
        let mut moved = Vec::new();
        let Some(first) = outcome.pending.first().copied() else {
            return self.bind_from(outcome.start, usize::MAX, outcome);
        };
        if first < outcome.start {
            let last = outcome.pending.range(..outcome.start).next_back().copied();
            moved = self.bind_from(first, last.unwrap_or(first), outcome);
        }
        moved.extend(self.bind_from(outcome.start, usize::MAX, outcome));
        moved.sort_unstable();
        moved.dedup();
        moved
    }

    /// Puts items on pages from one on, until after `last` nothing is new.
    fn bind_from(&mut self, first: usize, last: usize, outcome: &Outcome) -> Vec<usize> {
        let mut moved = Vec::new();
        for at in first..self.records.len() {
            let before = at.checked_sub(1).map(|before| &self.records[before]);
            let (page, bytes) = before.map_or((1, 0), |record| {
                let bytes = record.bytes_before + record.facts.html_bytes;
                (record.page, bytes)
            });
            let record = &mut self.records[at];
            let item_bytes = record.facts.html_bytes as usize;
            let place = match page::is_full(bytes as usize, item_bytes, record.is_prompt()) {
                true => (page + 1, 0),
                false => (page, bytes),
            };
            if place == (record.page, record.bytes_before) && at > last {
                break;
            }
            if record.page != place.0 && !outcome.pending.contains(&at) {
                moved.push(at);
            }
            (record.page, record.bytes_before) = place;
        }
        moved
    }

    /// Items that moved to another page are told of, too: an open page lets go of them or takes them.
    fn render_moved(
        &mut self,
        renderer: &Renderer,
        library: &dyn Library,
        moved: Vec<usize>,
        outcome: &mut Outcome,
    ) -> Result<(), RenderError> {
        for chunk in moved.chunks(ITEMS_AT_ONCE) {
            if !outcome.is_too_much() {
                let fragments = self.fragments(renderer, library, chunk)?;
                for (place, fragment) in chunk.iter().zip(fragments) {
                    outcome.keep(*place, fragment.html);
                }
            }
            for place in chunk {
                self.records[*place].changed = self.seq;
            }
        }
        Ok(())
    }

    /// Renders some records.
    pub(super) fn fragments(
        &self,
        renderer: &Renderer,
        library: &dyn Library,
        records: &[usize],
    ) -> Result<Vec<Fragment>, RenderError> {
        let items: Vec<&Item> = records
            .iter()
            .map(|place| &self.records[*place].item)
            .collect();
        let rests = Rests::new(&self.index, &self.threads);
        let messages = self.messages_at(library, &rests.places(items.iter().copied()));
        let outline = Outline::of_some(&self.index, &self.threads, &self.artifacts, &messages);
        let blobs = |digest| library.blob(digest);
        let fragments = FragmentRenderer {
            environment: &renderer.environment,
            outline: &outline,
            highlighter: renderer.highlighter.as_ref(),
            blobs: &blobs,
            // No page of the main thread has another version of what is on it.
            page_of: &|_| None,
        };
        if items.len() < 2 * ITEMS_PER_TASK {
            return items
                .into_iter()
                .map(|item| fragments.render(item, 0))
                .collect();
        }
        items
            .par_iter()
            .with_min_len(ITEMS_PER_TASK)
            .map(|item| fragments.render(item, 0))
            .collect()
    }

    /// Messages as viewers see them: from what is at hand, else from the library.
    fn messages_at(
        &self,
        library: &dyn Library,
        places: &BTreeSet<usize>,
    ) -> HashMap<usize, Arc<Message>> {
        let mut messages = HashMap::with_capacity(places.len());
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for &place in places {
            let known = self.tail.get(&place).filter(|(version, _)| {
                let line = self.index.line(place);
                line.is_some_and(|line| line.version == *version)
            });
            if let Some((_, message)) = known {
                messages.insert(place, Arc::clone(message));
                continue;
            }
            match runs.last_mut() {
                Some((_, end)) if place - *end <= GAP_MAX => *end = place,
                _ => runs.push((place, place)),
            }
        }
        let mut see = |place: usize, message: Message| {
            if places.contains(&place)
                && let Some(message) = self.left_out.see(message)
            {
                messages.insert(place, Arc::new(message));
            }
        };
        for (first, last) in runs {
            if first == last {
                if let Some((_, message)) = library.message(first as u32) {
                    see(first, message);
                }
                continue;
            }
            let range = first as u32..last as u32 + 1;
            library.for_each(range, &mut |place, _, message| see(place as usize, message));
        }
        messages
    }

    /// Forgets all messages but those of the last items.
    fn keep_tail(&mut self) {
        let last = self.main_records.saturating_sub(1)..self.main_records;
        let items = self.records[last].iter().map(|record| &record.item);
        let places = Rests::new(&self.index, &self.threads).places(items);
        let parts = places.iter().filter_map(|place| self.index.line(*place));
        let bytes = parts.flat_map(|line| &line.parts);
        let bytes: usize = bytes.map(|part| part.weight_bytes as usize).sum();
        let fits = bytes <= TAIL_BYTES_MAX;
        self.tail.retain(|place, _| fits && places.contains(place));
        self.tail.shrink_to(places.len());
    }

    // Operations

    fn operations(&mut self, outcome: Outcome, put: &HashSet<usize>) -> Vec<Op> {
        for item in &outcome.removed {
            if self.removed.len() == REMOVED_MAX
                && let Some((seq, _)) = self.removed.pop_front()
            {
                self.known_from = self.known_from.max(seq);
            }
            self.removed.push_back((self.seq, *item));
        }
        if outcome.is_too_much() {
            self.known_from = self.seq;
            return vec![Op::Reload {}];
        }
        let removed = outcome.removed.into_iter();
        let mut ops: Vec<Op> = removed.map(remove).collect();
        for (place, html) in outcome.html {
            let is_new = outcome.new.contains(&place);
            let is_new = is_new && put.contains(&self.records[place].item.message);
            ops.push(self.put(place, html, is_new));
        }
        ops
    }

    /// The operation that puts an item.
    pub(super) fn put(&self, place: usize, html: String, new: bool) -> Op {
        let record = &self.records[place];
        let before = place.checked_sub(1).map(|before| &self.records[before]);
        Op::Put {
            item: record.key.to_string(),
            after: before.map(|record| record.key.to_string()),
            page: page::main_href(record.page as usize),
            html,
            new,
        }
    }
}

impl Outcome {
    /// Keeps HTML for an operation, unless it is too much anyway.
    fn keep(&mut self, place: usize, html: String) {
        self.html_bytes += html.len();
        match self.is_too_much() {
            true => self.html.clear(),
            false => _ = self.html.insert(place, html),
        }
    }
}

/// The operation that removes an item.
pub(super) fn remove(key: ItemKey) -> Op {
    Op::Remove {
        item: key.to_string(),
    }
}

fn put_at<T>(list: &mut Vec<T>, place: u32, value: T, empty: impl FnMut() -> T) {
    let place = place as usize;
    if place >= PLACES_MAX {
        return;
    }
    if list.len() <= place {
        list.resize_with(place + 1, empty);
    }
    list[place] = value;
}
