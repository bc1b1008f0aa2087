//! The pages of a live book, what viewers lack, and the chat as JSON: made when they are asked for.

use std::{
    collections::HashSet,
    ops::{ControlFlow, Range},
};

use readalong_model::{
    Artifact, ArtifactId, Message, MessageId, Part, Seq, Snapshot, ThreadId, Timestamp,
};

use super::{Library, LiveBook, Moment, Op, Page, record::Record, update};
use crate::{
    RenderError, Renderer,
    context::{self, End, Live, PromptLink},
    copies, data, index,
    outline::ItemKey,
    page::{self, OpenPage, Sheet},
    parts,
};

/// A last page that is lighter than this has the page before it on top, where the newest messages are shown.
const NEWEST_BYTES_GOOD: u32 = 48 << 10;
/// Items of a page that are rendered at once.
const ITEMS_AT_ONCE: usize = 256;
/// Messages that are written to `chat.json` at once.
const MESSAGES_AT_ONCE: usize = 256;

impl LiveBook {
    /// Makes a page; `None` where there is none of that number.
    ///
    /// # Errors
    /// A template is wrong.
    pub fn page(
        &self,
        renderer: &Renderer,
        library: &dyn Library,
        page: Page,
        moment: &Moment<'_>,
    ) -> Result<Option<Vec<u8>>, RenderError> {
        let last = self.pages();
        let contents = page::contents_pages(self.prompts());
        Ok(Some(match page {
            Page::Newest => {
                let first = self.newest_from();
                let live = self.live(moment, first, last);
                self.messages_page(renderer, library, (first, last), Some(&live))?
            }
            Page::Messages(number) if (1..=last).contains(&number) => {
                let live = self.live(moment, number, number);
                self.messages_page(renderer, library, (number, number), Some(&live))?
            }
            Page::Contents(number) if (1..=contents).contains(&number) => {
                let files: Vec<_> = self
                    .shown_artifacts()
                    .map(|(_, artifact)| parts::file(artifact))
                    .collect();
                let shown = (self.contents(number), files);
                let numbers = (number, contents);
                let html = self
                    .face
                    .contents(renderer, numbers, (&shown.0, &shown.1))?;
                html.into_bytes()
            }
            Page::ContentsData(number) if (1..=contents).contains(&number) => {
                data::contents(&format!("contents-{number}"), &self.contents(number))
            }
            Page::Search(number) if (1..=last).contains(&number) => {
                let open = self.open(renderer, library, (number, number))?;
                data::search(&page::page_name("main", "index", number), &open.texts)
            }
            Page::Items(number) if (1..=last).contains(&number) => {
                let name = page::page_name("main", "index", number);
                data::items(&name, &self.puts(renderer, library, number)?)
            }
            Page::Facts => self.facts(),
            Page::Anchors => self.anchors(),
            _ => return Ok(None),
        }))
    }

    /// What changed after an event, for a viewer who was away; `None` where that is not known or more than so many bytes of HTML.
    ///
    /// # Errors
    /// A template is wrong.
    pub fn since(
        &self,
        renderer: &Renderer,
        library: &dyn Library,
        after: Seq,
        bytes_max: usize,
    ) -> Result<Option<Vec<Op>>, RenderError> {
        if after < self.known_from || after > self.seq {
            return Ok(None);
        }
        let records = self.records.iter().enumerate();
        let changed = records.filter(|(_, record)| record.changed > after);
        let changed: Vec<usize> = changed.map(|(place, _)| place).collect();
        let bytes = changed
            .iter()
            .map(|place| self.records[*place].facts.html_bytes as usize);
        if bytes.sum::<usize>() > bytes_max {
            return Ok(None);
        }
        let mut ops = Vec::new();
        if self.header_at > after {
            ops.push(self.header(renderer)?);
        }
        let removed = self.removed.iter().filter(|(seq, _)| *seq > after);
        let mut removed: HashSet<ItemKey> = removed.map(|(_, item)| *item).collect();
        if !removed.is_empty() {
            // What went may have come back.
            let there = self.records.iter().map(|record| record.key);
            there.for_each(|item| _ = removed.remove(&item));
        }
        if !removed.is_empty() && self.pages() > 1 {
            // It may have been all that the viewer's page had, and what follows would have no place on it.
            return Ok(None);
        }
        ops.extend(removed.into_iter().map(update::remove));
        for chunk in changed.chunks(ITEMS_AT_ONCE) {
            let fragments = self.fragments(renderer, library, chunk)?;
            for (place, fragment) in chunk.iter().zip(fragments) {
                let is_new = self.records[*place].created > after;
                ops.push(self.put(*place, fragment.html, is_new));
            }
        }
        if self.taken_back_at > after {
            ops.push(Op::TakenBack {});
        }
        Ok(Some(ops))
    }

    /// Hands over `chat.json` in pieces: what a bundle of the chat as it is now would hold. Ends early where `out` breaks.
    pub fn json(
        &self,
        library: &dyn Library,
        out: &mut dyn FnMut(Vec<u8>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let shown: Vec<bool> = self.index.threads_shown().collect();
        let threads = renamed(shown.into_iter());
        let mut used = vec![false; self.artifacts.len()];
        self.shown_artifacts()
            .for_each(|(place, _)| used[place] = true);
        let artifacts = renamed(used.iter().copied());
        let head = self.json_head(library, &threads, &used);
        out(copies::json_begin(&head))?;
        let mut is_first = true;
        let mut waiting: Vec<Message> = Vec::new();
        let mut state = ControlFlow::Continue(());
        let mut write = |waiting: &mut Vec<Message>| {
            let piece = copies::json_piece(&std::mem::take(waiting), is_first);
            is_first = false;
            out(piece)
        };
        let mut previous: Vec<Option<MessageId>> = vec![None; threads.len()];
        library.for_each(0..u32::MAX, &mut |place, _, message| {
            let place = place as usize;
            if state.is_break() || self.index.shown(place).is_none() {
                return;
            }
            let Some(mut message) = self.left_out.see(message) else {
                return;
            };
            let thread = message.thread.0 as usize;
            // The library may be ahead, with a thread that the book does not know yet.
            let Some(previous) = previous.get_mut(thread) else {
                return;
            };
            message.parent = self.parent_id(library, (place, &message), previous.as_ref());
            message.thread = ThreadId(threads.get(thread).copied().flatten().unwrap_or(0));
            rename_artifacts(&mut message.parts, &artifacts);
            *previous = Some(message.id.clone());
            waiting.push(message);
            if waiting.len() == MESSAGES_AT_ONCE {
                state = write(&mut waiting);
            }
        });
        state?;
        if !waiting.is_empty() {
            write(&mut waiting)?;
        }
        out(copies::JSON_END.to_vec())
    }

    /// Everything of the snapshot but its messages.
    fn json_head(&self, library: &dyn Library, threads: &[Option<u32>], used: &[bool]) -> Snapshot {
        let kept = self.threads.iter().zip(threads);
        let kept = kept.filter(|(_, number)| number.is_some());
        let used = self.artifacts.iter().zip(used);
        let used = used.filter(|(_, is_used)| **is_used);
        Snapshot {
            title: self.face.chat.title.clone(),
            origin: self.head.origin.clone(),
            created_at: self.head.created_at,
            updated_at: self.head.updated_at,
            share: Some(self.share.card.clone()),
            left_out: self.left_out,
            damaged_records: self.head.damaged_records,
            threads: kept.map(|(thread, _)| thread.clone()).collect(),
            active_leaf: self.leaf_id(library),
            artifacts: used
                .map(|(artifact, _)| Artifact::clone(artifact))
                .collect(),
            messages: Vec::new(),
        }
    }

    /// What a message follows in a snapshot: the nearest message before it that viewers see. One that followed a message of a thread that
    /// is not shown follows the one before it in its own.
    fn parent_id(
        &self,
        library: &dyn Library,
        (place, message): (usize, &Message),
        previous: Option<&MessageId>,
    ) -> Option<MessageId> {
        let parent = self.index.place_of(self.index.follows(place)?);
        let is_lost = |parent: usize| {
            parent < place && self.index.is_seen(parent) && self.index.shown(parent).is_none()
        };
        if parent.is_some_and(is_lost) {
            return previous.cloned();
        }
        match self.index.names_itself(place) {
            at if at == place => message.parent.clone(),
            at => library.message(at as u32)?.1.parent,
        }
    }

    /// Where the branch that is read first ends, as a snapshot says it.
    fn leaf_id(&self, library: &dyn Library) -> Option<MessageId> {
        let leaf = self.head.active_leaf.as_ref()?;
        let Some(place) = self.index.place_of(index::key_of(leaf)) else {
            return Some(leaf.clone());
        };
        if self.index.is_seen(place) {
            return self.index.shown(place).map(|_| leaf.clone());
        }
        let follows = self.index.place_of(self.index.follows(place)?);
        let is_lost = |place: usize| self.index.is_seen(place) && self.index.shown(place).is_none();
        if follows.is_some_and(is_lost) {
            return None;
        }
        let at = self.index.names_itself(place);
        library.message(at as u32)?.1.parent
    }

    /// The items of a page as operations that put them there.
    fn puts(
        &self,
        renderer: &Renderer,
        library: &dyn Library,
        number: usize,
    ) -> Result<Vec<Op>, RenderError> {
        let records: Vec<usize> = self.records_on((number, number)).collect();
        let mut ops = Vec::with_capacity(records.len());
        for chunk in records.chunks(ITEMS_AT_ONCE) {
            let fragments = self.fragments(renderer, library, chunk)?;
            ops.extend(
                chunk
                    .iter()
                    .zip(fragments)
                    .map(|(place, fragment)| self.put(*place, fragment.html, false)),
            );
        }
        Ok(ops)
    }

    // Pages of messages

    /// The first page whose items are shown where the newest messages are.
    fn newest_from(&self) -> usize {
        let bytes = |record: &Record| record.bytes_before + record.facts.html_bytes;
        let is_light = self.records.last().map_or(0, bytes) < NEWEST_BYTES_GOOD;
        (self.pages() - usize::from(is_light)).max(1)
    }

    /// The records on some pages.
    fn records_on(&self, (first, last): (usize, usize)) -> Range<usize> {
        let before = |number: usize| {
            self.records
                .partition_point(|record| (record.page as usize) < number)
        };
        before(first)..before(last + 1)
    }

    /// The items of some pages.
    fn open(
        &self,
        renderer: &Renderer,
        library: &dyn Library,
        pages: (usize, usize),
    ) -> Result<OpenPage, RenderError> {
        let mut open = OpenPage::default();
        let records: Vec<usize> = self.records_on(pages).collect();
        for chunk in records.chunks(ITEMS_AT_ONCE) {
            let fragments = self.fragments(renderer, library, chunk)?;
            for (place, fragment) in chunk.iter().zip(fragments) {
                let number = self.records[*place].page as usize;
                open.push(fragment, &page::main_href(number));
            }
        }
        Ok(open)
    }

    pub(super) fn messages_page(
        &self,
        renderer: &Renderer,
        library: &dyn Library,
        (first, last): (usize, usize),
        live: Option<&Live>,
    ) -> Result<Vec<u8>, RenderError> {
        let open = self.open(renderer, library, (first, last))?;
        let previous = (first > 1).then(|| page::main_href(first - 1));
        let next = (last < self.pages()).then(|| page::main_href(last + 1));
        let href = page::main_href(last);
        let end = next.is_none().then(|| self.end_context(None));
        // Where the newest messages are, an open page stays and its number does not.
        let label = match (live, &next) {
            (Some(_), None) => String::new(),
            _ => page::label("main", last),
        };
        let page = context::Page {
            kind: "main",
            href: &href,
            label: &label,
            title: None,
            previous: previous.as_deref(),
            next: next.as_deref(),
            back: None,
            first_prompt: self.prompts_before(self.records_on((first, last)).start) + 1,
            redacted: self.redacted(last),
        };
        let sheet = Sheet {
            end,
            live,
            ..Sheet::new(page, &open.prompts)
        };
        let [mut page, tail] = self.face.around_items(renderer, sheet)?;
        open.html
            .iter()
            .for_each(|html| page.extend_from_slice(html.as_bytes()));
        page.extend(tail);
        Ok(page)
    }

    fn live(&self, moment: &Moment<'_>, first: usize, last: usize) -> Live {
        let pages: Vec<String> = (first..=last).map(page::main_href).collect();
        Live {
            epoch: moment.epoch.to_owned(),
            seq: self.seq,
            pages: pages.join(" "),
            signin: moment.signin.to_owned(),
            viewers: moment.viewers,
            at: self.last_message_at().map(|at| at.to_string()),
        }
    }

    /// The operation that shows the header anew.
    pub(super) fn header(&self, renderer: &Renderer) -> Result<Op, RenderError> {
        let moment = Moment {
            epoch: "",
            viewers: 0,
            signin: "",
        };
        let last = self.pages();
        let live = self.live(&moment, last, last);
        let html = self.alone(renderer, "header.html", None, Some(&live))?;
        Ok(Op::Header {
            html,
            title: self.face.chat.title.clone(),
        })
    }

    /// What stands at the end of the chat.
    pub(super) fn end(
        &self,
        renderer: &Renderer,
        as_of: Option<Timestamp>,
    ) -> Result<String, RenderError> {
        self.alone(renderer, "end.html", Some(self.end_context(as_of)), None)
    }

    /// A piece of the last page.
    fn alone(
        &self,
        renderer: &Renderer,
        template: &str,
        end: Option<End>,
        live: Option<&Live>,
    ) -> Result<String, RenderError> {
        let href = page::main_href(self.pages());
        let page = context::Page {
            kind: "main",
            href: &href,
            label: &page::label("main", self.pages()),
            title: None,
            previous: None,
            next: None,
            back: None,
            first_prompt: 1,
            redacted: self.redacted(self.pages()),
        };
        let sheet = Sheet {
            end,
            live,
            ..Sheet::new(page, &[])
        };
        let html = self.face.render(renderer, template, sheet)?;
        Ok(html.trim().to_owned())
    }

    fn end_context(&self, as_of: Option<Timestamp>) -> End {
        End {
            empty: self.messages() == 0,
            damaged_records: self.head.damaged_records,
            as_of: as_of.map(|at| at.to_string()),
        }
    }

    // Contents and data

    fn prompts(&self) -> usize {
        self.records
            .iter()
            .filter(|record| record.is_prompt())
            .count()
    }

    /// Marks of secrets on the pages up to one.
    fn redacted(&self, page: usize) -> usize {
        let records = &self.records[..self.records_on((1, page)).end];
        let marks = records.iter().map(|record| record.facts.redacted as usize);
        marks.sum()
    }

    fn prompts_before(&self, place: usize) -> usize {
        match self.records[..self.main_records].get(place) {
            Some(record) => record.item.before.prompts as usize,
            None => self.prompts(),
        }
    }

    /// The prompts of a page of contents.
    fn contents(&self, number: usize) -> Vec<PromptLink> {
        let prompts: Vec<&Record> = self
            .records
            .iter()
            .filter(|record| record.is_prompt())
            .collect();
        let link = |record: &&Record| PromptLink {
            page: page::main_href(record.page as usize),
            anchor: self.index.anchor(record.item.message),
            text: record.facts.prompt.as_deref().unwrap_or("").to_owned(),
            at: self
                .index
                .line(record.item.message)
                .and_then(|line| line.at)
                .map(|at| at.to_string()),
        };
        let shown = page::contents_range(&prompts, number);
        shown.iter().map(link).collect()
    }

    fn facts(&self) -> Vec<u8> {
        let pages: Vec<String> = (1..=self.pages()).map(page::main_href).collect();
        let facts = data::ChatFacts {
            pages: pages.iter().map(String::as_str).collect(),
            messages: self.records.iter().map(Record::messages).sum(),
            prompts: self.prompts(),
            contents: page::contents_pages(self.prompts()),
        };
        data::script("chat", &facts)
    }

    fn anchors(&self) -> Vec<u8> {
        let pages: Vec<String> = (1..=self.pages()).map(page::main_href).collect();
        let on_page = |number: usize| {
            let records = &self.records[self.records_on((number, number))];
            let anchors: Vec<String> = records.iter().flat_map(Record::anchors).collect();
            anchors.join(" ")
        };
        let pages = pages.iter().enumerate();
        let anchors: Vec<(&str, String)> = pages
            .map(|(place, href)| (href.as_str(), on_page(place + 1)))
            .collect();
        data::script("anchors", &data::Pairs(&anchors))
    }
}

/// Numbers what is kept anew.
fn renamed(kept: impl Iterator<Item = bool>) -> Vec<Option<u32>> {
    let mut next = 0;
    kept.map(|is_kept| {
        next += u32::from(is_kept);
        is_kept.then(|| next - 1)
    })
    .collect()
}

fn rename_artifacts(parts: &mut [Part], renamed: &[Option<u32>]) {
    for part in parts {
        match part {
            Part::Image { artifact, .. } | Part::File { artifact } => {
                let new = renamed.get(artifact.0 as usize).copied().flatten();
                *artifact = new.map_or(*artifact, ArtifactId);
            }
            Part::ToolResult { parts, .. } => rename_artifacts(parts, renamed),
            _ => {}
        }
    }
}
