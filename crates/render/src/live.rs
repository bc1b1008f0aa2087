//! The book of a live share: it knows where everything is, keeps no message, and tells viewers what changed.
//!
//! Its pages are those of a bundle of the same chat: the same index and outline, the same templates, the same places where pages split.
//! An event costs what it touches: a message that comes last costs the last items, however long the chat is. What stands elsewhere than
//! before (another branch, a hidden prompt) costs a look through the index and the items that read differently.

mod op;
mod pages;
mod record;
#[cfg(test)]
mod tests;
mod update;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use readalong_model::{
    Artifact, ArtifactId, ChatHead, LeftOut, Message, Part, Seq, ShareCard, Thread, ThreadKind,
    Timestamp,
};

pub use self::op::{Library, LiveShare, Moment, Op, Page};
use self::record::Record;
use crate::{
    RenderError, Renderer,
    index::{self, Index},
    outline::ItemKey,
    page::{self, Face},
};

/// Removed items that are remembered for viewers who come back.
const REMOVED_MAX: usize = 1000;

/// A live share's pages, ready to be made, and what viewers of them lack.
pub struct LiveBook {
    share: LiveShare,
    head: ChatHead,
    left_out: LeftOut,
    face: Face,
    threads: Vec<Thread>,
    artifacts: Vec<Artifact>,
    index: Index,
    /// Artifacts that messages show, by place of the message.
    uses: HashMap<usize, Box<[ArtifactId]>>,
    /// Artifacts that a message named, ever.
    named_artifacts: HashSet<u32>,
    /// The branch that is read first, as places.
    path: Vec<u32>,
    /// Time of the newest message of the path that has one.
    last_at: Option<Timestamp>,
    /// Items in order: those of the path, then loose threads.
    records: Vec<Record>,
    /// How many of them are of the path.
    main_records: usize,
    seq: Seq,
    /// What changed after this is known.
    known_from: Seq,
    /// When the header changed last.
    header_at: Seq,
    removed: VecDeque<(Seq, ItemKey)>,
    /// When something that viewers had was taken out or changed last.
    taken_back_at: Seq,
    /// The messages of the last items, so that the next change need not fetch them: version and message.
    tail: HashMap<usize, (u64, Arc<Message>)>,
}

impl LiveBook {
    /// Reads a chat and renders every item once, to know how heavy it is. `at` is the number of the last event that `library` shows.
    ///
    /// # Errors
    /// A template is wrong, or the share shows a range of messages.
    pub fn build(
        renderer: &Renderer,
        library: &dyn Library,
        share: LiveShare,
        at: Seq,
    ) -> Result<Self, RenderError> {
        if share.options.messages.is_some() {
            return Err(RenderError::RangeOfLive);
        }
        let head = library.head();
        let left_out = LeftOut::of(&share.options, head.left_out);
        let mut book = Self {
            face: face(&head, &share, left_out),
            share,
            head,
            left_out,
            threads: Vec::new(),
            artifacts: Vec::new(),
            index: Index::default(),
            uses: HashMap::new(),
            named_artifacts: HashSet::new(),
            path: Vec::new(),
            last_at: None,
            records: Vec::new(),
            main_records: 0,
            seq: at,
            known_from: at,
            header_at: 0,
            removed: VecDeque::new(),
            taken_back_at: 0,
            tail: HashMap::new(),
        };
        book.read(renderer, library)?;
        Ok(book)
    }

    /// Says that the library, while it was read, may have shown what events up to a number change. Those events then change nothing that the book knows
    /// of, so whoever has an older page has to fetch it again.
    pub fn read_ahead(&mut self, until: Seq) {
        self.known_from = self.known_from.max(until);
    }

    /// What changed after this number is known.
    pub fn known_from(&self) -> Seq {
        self.known_from
    }

    /// Takes another name, visibility or choice of artifacts for the share.
    ///
    /// # Errors
    /// A template is wrong, or the share shows a range of messages.
    pub fn set_share(
        &mut self,
        renderer: &Renderer,
        library: &dyn Library,
        share: LiveShare,
        at: Seq,
    ) -> Result<Vec<Op>, RenderError> {
        if share.options.messages.is_some() {
            return Err(RenderError::RangeOfLive);
        }
        self.share = share;
        self.seq = self.seq.max(at);
        self.take_head(renderer, library)
    }

    /// The last event that the book knows of.
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// Pages of messages of the main thread.
    pub fn pages(&self) -> usize {
        self.records.last().map_or(1, |record| record.page as usize)
    }

    /// Messages that viewers see, on all branches and in all threads.
    pub fn messages(&self) -> usize {
        let shown = self.index.threads_shown().enumerate();
        let threads = shown.filter(|(_, is_shown)| *is_shown);
        threads
            .map(|(thread, _)| self.index.messages_in(thread))
            .sum()
    }

    /// Time of the last message of the main thread that viewers see.
    pub fn last_message_at(&self) -> Option<Timestamp> {
        self.last_at
    }

    /// What the share's pages call the chat.
    pub fn title(&self) -> &str {
        &self.face.chat.title
    }

    /// File name of the page that has the message of an anchor.
    pub fn page_of(&self, anchor: &str) -> Option<String> {
        let mut records = self.records.iter();
        let record = records.find(|record| record.has_anchor(anchor))?;
        Some(page::main_href(record.page as usize))
    }

    /// The artifact that has this path, `files/<sha256>.<ext>`, where the share shows it.
    pub fn artifact(&self, path: &str) -> Option<&Artifact> {
        let has_path = |artifact: &&Artifact| artifact.path().as_deref() == Some(path);
        self.shown_artifacts()
            .map(|(_, artifact)| artifact)
            .find(has_path)
    }

    /// The operation that ends open pages when the share is frozen; `card` is what it says then.
    ///
    /// # Errors
    /// A template is wrong.
    pub fn frozen(&self, renderer: &Renderer, card: &ShareCard) -> Result<Op, RenderError> {
        let as_of = page::as_of(Some(card), self.head.updated_at.max(self.last_message_at()));
        let html = self.end(renderer, as_of)?;
        Ok(Op::End {
            reason: "frozen".to_owned(),
            html,
        })
    }

    /// Artifacts that a message shows which viewers see, with their places.
    fn shown_artifacts(&self) -> impl Iterator<Item = (usize, &Artifact)> {
        let shown = self
            .uses
            .iter()
            .filter(|(place, _)| self.index.shown(**place).is_some());
        let used: HashSet<ArtifactId> = shown.flat_map(|(_, used)| used.iter().copied()).collect();
        let artifacts = self.artifacts.iter().enumerate();
        artifacts.filter(move |(place, _)| used.contains(&ArtifactId(*place as u32)))
    }

    /// The main thread is always there.
    fn take_threads(&mut self, threads: Vec<Thread>) {
        self.threads = threads;
        if self.threads.is_empty() {
            self.threads.push(thread(ThreadKind::Main));
        }
        self.index.set_threads(&self.threads);
    }

    /// Notes what artifacts a message shows.
    fn take_uses(&mut self, place: usize, message: Option<&Message>) {
        let mut used = Vec::new();
        if let Some(message) = message {
            collect_artifacts(&message.parts, &mut used);
        }
        self.named_artifacts.extend(used.iter().map(|id| id.0));
        match used.is_empty() {
            true => self.uses.remove(&place),
            false => self.uses.insert(place, used.into()),
        };
    }

    /// The end of the branch that is read first, where it is not the newest message.
    fn leaf(&self) -> Option<usize> {
        let key = index::key_of(self.head.active_leaf.as_ref()?);
        let place = self.index.place_of(key)?;
        if self.index.is_seen(place) {
            return Some(place);
        }
        self.index.place_of(self.index.follows(place)?)
    }
}

fn face(head: &ChatHead, share: &LiveShare, left_out: LeftOut) -> Face {
    let title = share.options.title.clone();
    let head = ChatHead {
        title: title.unwrap_or_else(|| head.title.clone()),
        ..head.clone()
    };
    Face::new(&head, Some(&share.card), left_out)
}

fn thread(kind: ThreadKind) -> Thread {
    Thread {
        kind,
        title: None,
        parent_call: None,
    }
}

fn collect_artifacts(parts: &[Part], used: &mut Vec<ArtifactId>) {
    for part in parts {
        match part {
            Part::Image { artifact, .. } | Part::File { artifact } => used.push(*artifact),
            Part::ToolResult { parts, .. } => collect_artifacts(parts, used),
            _ => {}
        }
    }
}
