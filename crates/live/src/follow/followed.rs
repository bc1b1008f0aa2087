//! One followed file: from its bytes to the changes that its chat gets.

use std::{
    collections::BTreeMap,
    fs::{self, File, Metadata},
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Read, Seek, SeekFrom},
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use readalong_import::{
    Amount, GrowingTranscript, ImportError, Lack, Pick, ReadSeek, Source, Transcript,
};
use readalong_model::{ChangeSet, Chat, ChatHead, MessageId};

use super::{
    Circumstances, Shared,
    around::{Around, ChatOf, sink_error},
    files::{Look, Unread},
    lines::{Lines, OPEN_LINE_IS_BROKEN, OPEN_LINE_STANDS, Piece, Rest},
    placing::Placing,
};
use crate::{
    sink::{FollowState, Following, SinkError},
    source::{own_source, source_of_path},
};

/// Messages of one change set, at most.
const MESSAGES_MAX: usize = 500;
/// Bytes of the messages of one change set; one message may be more.
const BYTES_MAX: usize = 1 << 20;
/// Files beside a growing one are looked at so often at most: looking costs a list of folders.
const BESIDE_INTERVAL: Duration = Duration::from_millis(100);
/// Bytes of files beside a growing one that are read at once, as of the file itself: then others have their turn.
const BESIDE_BYTES: u64 = 1 << 20;
/// The largest file that is read whole each time it changes: such a chat is in memory while it is read.
const REWRITTEN_BYTES_MAX: u64 = 512 << 20;
/// The largest file of lines: reading it once takes minutes.
const GROWING_BYTES_MAX: u64 = 16 << 30;
/// A file that is no transcript and larger than this will not become one.
const BEGINNING_BYTES: u64 = 256 << 10;
/// Settling and reading anew take at most one in so many parts of the time.
const SETTLING_SHARE: u32 = 20;
/// Comparing what was read with what the file holds takes at most one in so many parts of the time.
const CHECKING_SHARE: u32 = 100;
/// Bytes of a file that was written over are read from its beginning in a second, at most, however often that happens.
pub(crate) const REREAD_BYTES_PER_SECOND: f64 = (4 << 20) as f64;
/// How long a file is left alone after an error, from the first to the longest.
const RETRY_AFTER: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(30)];
/// Changes of a file that follow each other faster than this may leave the same time of change.
const CLOCK_TICK: Duration = Duration::from_millis(100);
/// A file that was refused for what it holds is looked into again after so long, where it changed.
const REFUSED_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// Entries of a folder beside a file that are looked at for changes.
const BESIDE_ENTRIES_MAX: usize = 5_000;

/// One followed file.
pub(crate) struct Followed {
    path: PathBuf,
    state: FollowState,
    /// The state as it was told last.
    told: Option<FollowState>,
    reading: Reading,
    source: Option<String>,
    /// The file as it was looked at last, and when that was another look.
    look: Option<Look>,
    changed_at: Instant,
    /// When it wants to be looked at again by itself.
    next: Option<Instant>,
    not_before: Instant,
    not_checked_before: Instant,
    failures: u32,
    retry_at: Option<Instant>,
    /// The chat's messages are to be numbered anew, for their order is another one.
    numbers_anew: bool,
    /// What is held back is to be taken at the end: the file was read in vain without.
    ends: bool,
    /// The file as it was when it was opened anew for another format.
    opened_for: Option<Look>,
}

enum Reading {
    /// Nothing of it is in memory. `Some` with the file and what lies beside it where all was read.
    Asleep(Option<(Look, u64)>),
    Growing(Box<Growing>),
    /// Read whole; messages that it does not have any more and that go when it stands still.
    Rewritten(Look, Vec<MessageId>),
    /// Not read until it is another file; where its content is the reason, until it changes.
    Refused(Look, Reason),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Content,
    Sink,
}

/// A file to which lines are appended.
struct Growing {
    begun_at: Instant,
    transcript: GrowingTranscript,
    around: Around,
    chat: ChatOf,
    lines: Lines,
    placing: Placing,
    beside: BTreeMap<String, Lines>,
    beside_mark: u64,
    beside_looked_at: Option<Instant>,
    /// The end of the file was reached.
    at_end: bool,
    has_open_line: bool,
    /// Something came since all was settled.
    is_fresh: bool,
    /// The file as it was when it last held all that was read.
    checked: Look,
    check: Option<Check>,
}

/// A comparison of what was read with what the file holds.
struct Check {
    /// The file as it was when this began.
    look: Look,
    /// The block that is next.
    block: u64,
    spent: Duration,
}

/// Why a step ended.
#[derive(Debug)]
enum Trouble {
    Gone,
    Refused(Reason, String),
    Later(String),
    /// The file is to be read from its beginning.
    Again,
    Stopped,
}

impl From<SinkError> for Trouble {
    fn from(error: SinkError) -> Self {
        match error {
            SinkError::Refused(words) => Self::Refused(Reason::Sink, words),
            SinkError::Stopped => Self::Stopped,
            SinkError::Later(words) => Self::Later(words),
        }
    }
}

impl From<Unread> for Trouble {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Gone => Self::Gone,
            Unread::Never(words) => Self::Refused(Reason::Content, words),
            Unread::Now(error) => Self::Later(error.to_string()),
        }
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        match sink_error(&error) {
            Some(error) => error.clone().into(),
            None => Self::Later(error.to_string()),
        }
    }
}

impl From<ImportError> for Trouble {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Io { source, .. } => source.into(),
            ImportError::ManyChats { count, .. } => Self::Refused(
                Reason::Content,
                format!(
                    "it holds {count} chats, and only one can be followed; share one of them as it is: \
                 `readalong share FILE --frozen --chat …`, `readalong inspect FILE` lists them"
                ),
            ),
            other => Self::Refused(Reason::Content, other.to_string()),
        }
    }
}

impl Followed {
    pub(crate) fn new(path: PathBuf) -> Self {
        let now = Instant::now();
        Self {
            state: FollowState {
                path: path.clone(),
                chat: None,
                following: Following::Waiting,
            },
            path,
            told: None,
            reading: Reading::Asleep(None),
            source: None,
            look: None,
            changed_at: now,
            next: None,
            not_before: now,
            not_checked_before: now,
            failures: 0,
            retry_at: None,
            numbers_anew: false,
            ends: false,
            opened_for: None,
        }
    }

    /// When it wants to be looked at again by itself.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.next
    }

    /// When it changed last, and about how many bytes of memory it takes, where these could be let go.
    pub(crate) fn could_sleep(&self) -> Option<(Instant, usize)> {
        match &self.reading {
            Reading::Growing(growing)
                if growing.at_end && self.next.is_none() && Some(growing.checked) == self.look =>
            {
                Some((self.changed_at, growing.transcript.held_bytes()))
            }
            _ => None,
        }
    }

    /// Lets go of what is in memory. When the file grows it is read anew.
    pub(crate) fn sleep(&mut self) {
        if let Reading::Growing(growing) = &self.reading
            && let Some(look) = self.look
        {
            self.reading = Reading::Asleep(Some((look, growing.beside_mark)));
        }
    }

    /// Reads a piece on; true where there is more to be read at once.
    pub(crate) fn step(&mut self, around: &mut Circumstances) -> bool {
        self.next = None;
        if let Some(at) = self.retry_at.take()
            && !around.is_hasty
            && Instant::now() < at
        {
            (self.next, self.retry_at) = (Some(at), Some(at));
            return false;
        }
        let stepped = panic::catch_unwind(AssertUnwindSafe(|| self.try_step(around)));
        // One file that brings a mistake to light does not take the others with it.
        let stepped = stepped.unwrap_or_else(|_| {
            Err(Trouble::Refused(
                Reason::Content,
                "reading it ended in a mistake of readalong; please report it with the file"
                    .to_owned(),
            ))
        });
        match stepped {
            Ok(more) => {
                self.failures = 0;
                more
            }
            Err(Trouble::Again) => {
                self.reading = Reading::Asleep(None);
                true
            }
            Err(Trouble::Gone) => {
                let was_there = self.look.take().is_some();
                self.reading = Reading::Asleep(None);
                if was_there || self.state.chat.is_some() {
                    self.tell(Following::Gone, around);
                }
                false
            }
            Err(Trouble::Refused(reason, words)) => {
                if let Some(look) = self.look {
                    self.reading = Reading::Refused(look, reason);
                    self.not_before = Instant::now() + REFUSED_AGAIN_AFTER;
                }
                self.tell(Following::Refused(words), around);
                false
            }
            Err(Trouble::Later(words)) => {
                self.reading = Reading::Asleep(None);
                let wait = RETRY_AFTER[0] * 2_u32.saturating_pow(self.failures.min(10));
                self.failures += 1;
                self.retry_at = Some(Instant::now() + wait.min(RETRY_AFTER[1]));
                self.next = self.retry_at;
                self.tell(Following::Failing(words), around);
                false
            }
            Err(Trouble::Stopped) => false,
        }
    }

    fn tell(&mut self, following: Following, around: &mut Circumstances) {
        self.state.following = following;
        if self.told.as_ref() != Some(&self.state) {
            around.tell(&self.state);
            self.told = Some(self.state.clone());
        }
    }

    fn try_step(&mut self, around: &mut Circumstances) -> Result<bool, Trouble> {
        if let Reading::Asleep(Some((known, mark))) = &self.reading
            && fs::symlink_metadata(&self.path).is_ok_and(|meta| Look::of(&meta) == *known)
            && *mark == beside_mark(&self.path)
        {
            return Ok(false);
        }
        let (file, meta) = around.root.open(&self.path).inspect_err(|unread| {
            // What is refused is refused as what it is now.
            if let (Unread::Never(_), Ok(meta)) = (unread, fs::symlink_metadata(&self.path)) {
                self.look = Some(Look::of(&meta));
            }
        })?;
        let look = Look::of(&meta);
        if self.look != Some(look) {
            let age = meta
                .modified()
                .ok()
                .and_then(|at| SystemTime::now().duration_since(at).ok());
            let now = Instant::now();
            let age = age.filter(|_| self.look.is_none()).unwrap_or_default();
            self.changed_at = now.checked_sub(age).unwrap_or(now);
            self.look = Some(look);
        }
        match &mut self.reading {
            Reading::Refused(known, reason)
                if (known.dev, known.inode) == (look.dev, look.inode)
                    && (*reason == Reason::Sink || *known == look) =>
            {
                Ok(false)
            }
            Reading::Refused(..) if Instant::now() < self.not_before && !around.is_hasty => {
                self.next = Some(self.not_before);
                Ok(false)
            }
            Reading::Asleep(_) | Reading::Refused(..) => self.begin(&meta, around),
            Reading::Growing(_) => self.grow(&file, &meta, around),
            Reading::Rewritten(..) => self.read_whole(around),
        }
    }

    /// How long the file stands still.
    fn still(&self, around: &Circumstances) -> Duration {
        if around.is_hasty {
            Duration::MAX
        } else {
            self.changed_at.elapsed()
        }
    }

    /// Opens the file to read it from its beginning.
    fn begin(&mut self, meta: &Metadata, around: &mut Circumstances) -> Result<bool, Trouble> {
        let transcript = match self.open(around) {
            Ok(transcript) => transcript,
            Err(ImportError::Empty { .. }) => return Ok(self.wait(around)),
            Err(ImportError::NotATranscript { .. }) if meta.len() < BEGINNING_BYTES => {
                return Ok(self.wait(around));
            }
            Err(error) => return Err(error.into()),
        };
        if !transcript.grows() {
            return self.read_whole(around);
        }
        if meta.len() > GROWING_BYTES_MAX {
            return Err(too_large(meta.len(), GROWING_BYTES_MAX));
        }
        let chat = ChatOf::default();
        let look = Look::of(meta);
        self.reading = Reading::Growing(Box::new(Growing {
            begun_at: Instant::now(),
            transcript: transcript.growing(chat.recall(&around.sink)),
            around: Around::new(&around.root, &self.path, &around.sink, &chat),
            chat,
            lines: Lines::new(meta),
            placing: Placing::default(),
            beside: BTreeMap::new(),
            beside_mark: 0,
            beside_looked_at: None,
            at_end: false,
            has_open_line: false,
            is_fresh: true,
            // It may change again within the same tick of the file system's clock.
            checked: match self.still(around) < CLOCK_TICK {
                true => look.unlike(),
                false => look,
            },
            check: None,
        }));
        Ok(true)
    }

    /// There is nothing yet that could be read.
    fn wait(&mut self, around: &mut Circumstances) -> bool {
        self.reading = Reading::Asleep(self.look.map(|look| (look, beside_mark(&self.path))));
        self.tell(Following::Waiting, around);
        false
    }

    fn open(&self, around: &Circumstances) -> Result<Transcript, ImportError> {
        let (root, path) = (around.root.clone(), self.path.clone());
        let shared = Arc::clone(&around.shared);
        let open = move || match root.open(&path) {
            Ok((file, _)) => {
                let shared = Arc::clone(&shared);
                Ok(Box::new(Stoppable { file, shared }) as Box<dyn ReadSeek>)
            }
            Err(Unread::Gone) => Err(io::ErrorKind::NotFound.into()),
            Err(Unread::Never(words)) => Err(io::Error::other(words)),
            Err(Unread::Now(error)) => Err(error),
        };
        let source = Source {
            name: self.path.display().to_string(),
            open: Box::new(open),
        };
        Transcript::open(source, around.options.format.as_deref())
    }

    /// Reads on in a file to which lines are appended.
    fn grow(
        &mut self,
        file: &File,
        meta: &Metadata,
        around: &mut Circumstances,
    ) -> Result<bool, Trouble> {
        let still = self.still(around);
        let Reading::Growing(growing) = &mut self.reading else {
            return Ok(true);
        };
        // What was ended cannot go on.
        if growing.transcript.is_ended() && meta.len() != growing.lines.cursor().offset() {
            return self.begin_anew(around);
        }
        let piece = growing.lines.next(file, meta, still)?;
        let begun = Instant::now();
        match piece {
            Piece::Replaced => return self.begin_anew(around),
            Piece::Lines(lines, rest) => {
                growing.transcript.push(&lines, &mut growing.around)?;
                growing.has_open_line = rest == Rest::OpenLine;
                // An open line that stands is taken next.
                growing.at_end =
                    rest != Rest::Lines && !(growing.has_open_line && still >= OPEN_LINE_STANDS);
                growing.is_fresh = true;
            }
            Piece::TooLong(bytes) => {
                growing.transcript.pass_over(bytes);
                growing.is_fresh = true;
                return Ok(true);
            }
            Piece::Nothing(has_open_line) => {
                growing.at_end = true;
                growing.has_open_line = has_open_line;
            }
        }
        if !growing.at_end {
            self.bring(Amount::Passing, around)?;
            let following = Following::Reading {
                read_bytes: self.read_bytes(),
                size_bytes: meta.len(),
            };
            self.tell(following, around);
            return Ok(true);
        }
        if self.looks_otherwise(around)? {
            return Err(Trouble::Again);
        }
        self.bring(Amount::All, around)?;
        if self.read_beside(around)? {
            self.bring(Amount::Passing, around)?;
            return Ok(true);
        }
        self.tell(Following::UpToDate, around);
        self.rest(file, begun, around)
    }

    fn read_bytes(&self) -> u64 {
        match &self.reading {
            Reading::Growing(growing) => growing.lines.cursor().offset(),
            _ => 0,
        }
    }

    /// True where the file is to be opened anew, for it is of another format than it seemed.
    fn looks_otherwise(&mut self, around: &Circumstances) -> Result<bool, Trouble> {
        let Reading::Growing(growing) = &mut self.reading else {
            return Ok(false);
        };
        if growing.transcript.is_part() && around.root.is_folder {
            return Err(Trouble::Refused(
                Reason::Content,
                "it is a part of another chat, which shows it; follow the file itself to see it alone"
                    .to_owned(),
            ));
        }
        let looks_otherwise = growing.transcript.looks_otherwise() && self.opened_for != self.look;
        if looks_otherwise {
            self.opened_for = self.look;
        }
        Ok(looks_otherwise)
    }

    /// Does at the end of the file what can be done now, and says when more can be done.
    fn rest(
        &mut self,
        file: &File,
        begun: Instant,
        around: &mut Circumstances,
    ) -> Result<bool, Trouble> {
        let (still, now) = (self.still(around), Instant::now());
        let Reading::Growing(growing) = &mut self.reading else {
            return Ok(true);
        };
        if growing.has_open_line && still < OPEN_LINE_STANDS {
            // It may be what is missing: nothing is settled before.
            self.wake_at(self.changed_at + OPEN_LINE_STANDS);
            return Ok(false);
        }
        if growing.has_open_line {
            self.wake_at(self.changed_at + OPEN_LINE_IS_BROKEN);
        }
        let Reading::Growing(growing) = &mut self.reading else {
            return Ok(true);
        };
        if !growing.is_fresh {
            return self.check(file, around);
        }
        let at = (self.changed_at + around.options.settle_after).max(self.not_before);
        if !around.is_hasty && now < at {
            self.wake_at(at);
            return Ok(false);
        }
        if growing.transcript.lack() == Lack::Rereading {
            if !self.ends {
                self.ends = true;
                return Err(Trouble::Again);
            }
            growing.transcript.end(&mut growing.around)?;
        }
        growing.transcript.settle();
        growing.is_fresh = false;
        self.bring(Amount::Quiet, around)?;
        self.remove_left_over(around)?;
        if self.is_of_another_kind(around) {
            return Err(Trouble::Again);
        }
        (self.ends, self.numbers_anew) = (false, false);
        self.not_before = now + begun.elapsed() * SETTLING_SHARE;
        self.check(file, around)
    }

    /// Compares what was read with what the file holds by now, a block at a time, where it changed and stands still: whoever writes in the middle
    /// leaves no other trace. True where there is more to compare.
    fn check(&mut self, file: &File, around: &Circumstances) -> Result<bool, Trouble> {
        let (Reading::Growing(growing), Some(look)) = (&mut self.reading, self.look) else {
            return Ok(false);
        };
        if growing.checked == look || around.is_hasty {
            return Ok(false);
        }
        let begun = Instant::now();
        let at = (self.changed_at + around.options.settle_after).max(self.not_checked_before);
        if begun < at {
            self.wake_at(at);
            return Ok(false);
        }
        let check = growing.check.get_or_insert(Check {
            look,
            block: 0,
            spent: Duration::ZERO,
        });
        let holds = growing.lines.cursor().holds_block(file, check.block)?;
        check.block += 1;
        check.spent += begun.elapsed();
        if holds == Some(true) {
            return Ok(true);
        }
        self.not_checked_before = Instant::now() + check.spent * CHECKING_SHARE;
        if holds == Some(false) {
            growing.check = None;
            return self.begin_anew(around);
        }
        growing.checked = check.look;
        growing.check = None;
        // It may have changed meanwhile.
        self.check(file, around)
    }

    /// Reads the file from its beginning, for it is not what was read; later, where that was begun just now.
    fn begin_anew(&mut self, around: &Circumstances) -> Result<bool, Trouble> {
        let Reading::Growing(growing) = &self.reading else {
            return Err(Trouble::Again);
        };
        let seconds = growing.lines.cursor().offset() as f64 / REREAD_BYTES_PER_SECOND;
        let at = growing.begun_at + Duration::from_secs_f64(seconds);
        if around.is_hasty || Instant::now() >= at {
            return Err(Trouble::Again);
        }
        self.wake_at(at);
        Ok(false)
    }

    fn wake_at(&mut self, at: Instant) {
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }

    /// True where a file of few lines turns out to be of another format, or none to which lines are appended.
    fn is_of_another_kind(&mut self, around: &Circumstances) -> bool {
        let Reading::Growing(growing) = &self.reading else {
            return false;
        };
        if !growing.transcript.is_young() || self.opened_for == self.look {
            return false;
        }
        self.opened_for = self.look;
        self.open(around).is_ok_and(|opened| {
            !opened.grows() || opened.detection().format.name != growing.transcript.format().name
        })
    }

    /// Brings changes to the chat.
    fn bring(&mut self, amount: Amount, around: &mut Circumstances) -> Result<(), Trouble> {
        let numbers_anew = self.numbers_anew;
        let Reading::Growing(growing) = &mut self.reading else {
            return Ok(());
        };
        if growing.chat.get().is_none() {
            if growing.transcript.is_empty() {
                return Ok(());
            }
            let id = growing.transcript.first_id();
            let source = around.source(growing.transcript.format().name, id, &self.path)?;
            let head = growing.transcript.head();
            let chat = around.sink.open_chat(&source, &head)?;
            let index = around.sink.index(&chat)?;
            growing.placing = match numbers_anew {
                true => Placing::anew(index),
                false => Placing::new(index),
            };
            growing.chat.set(chat.clone());
            growing.around.keep_waiting()?;
            self.source = Some(source);
            self.state.chat = Some(chat);
        }
        let Some(chat) = &self.state.chat else {
            return Ok(());
        };
        loop {
            around.check()?;
            let changes = growing
                .transcript
                .take_changes(amount, MESSAGES_MAX, BYTES_MAX);
            if changes.is_empty() {
                break;
            }
            let mut set = ChangeSet {
                head: changes.head,
                threads: changes.threads,
                artifacts: changes.artifacts,
                ..ChangeSet::default()
            };
            for (number, message, digest) in changes.messages {
                if let Some(place) = growing.placing.place(number, &message, &digest) {
                    set.messages.push((place, message));
                }
            }
            if !set.is_empty() {
                around.sink.apply(chat, set)?;
            }
        }
        if growing.placing.is_out_of_order() {
            self.numbers_anew = true;
            return Err(Trouble::Again);
        }
        Ok(())
    }

    /// Removes messages that the transcript does not have any more.
    fn remove_left_over(&mut self, around: &mut Circumstances) -> Result<(), Trouble> {
        let Reading::Growing(growing) = &mut self.reading else {
            return Ok(());
        };
        let removed = growing.placing.take_left_over();
        match &self.state.chat {
            Some(chat) if !removed.is_empty() => remove(removed, chat, around),
            _ => Ok(()),
        }
    }

    /// Reads on in the files beside, as much as one turn may; true where something was new.
    fn read_beside(&mut self, around: &mut Circumstances) -> Result<bool, Trouble> {
        let is_quiet = self.still(around) >= around.options.settle_after;
        let Reading::Growing(growing) = &mut self.reading else {
            return Ok(false);
        };
        let looked = growing
            .beside_looked_at
            .filter(|at| at.elapsed() < BESIDE_INTERVAL);
        if let Some(looked) = looked.filter(|_| !is_quiet) {
            self.next = Some(looked + BESIDE_INTERVAL);
            return Ok(false);
        }
        growing.beside_looked_at = Some(Instant::now());
        let mark = beside_mark(&self.path);
        let grew = |(path, lines): (&String, &Lines)| {
            let meta = growing.around.place(path).map(fs::metadata);
            meta.is_some_and(|meta| meta.is_ok_and(|meta| meta.len() != lines.cursor().offset()))
        };
        if growing.beside_mark == mark && !growing.is_fresh && !growing.beside.iter().any(grew) {
            return Ok(false);
        }
        let mut bytes = 0;
        for path in growing.transcript.beside(&mut growing.around)? {
            bytes += growing.read_one_beside(&path, around)?;
            if bytes >= BESIDE_BYTES {
                break;
            }
        }
        if bytes == 0 {
            growing.beside_mark = mark;
            return Ok(false);
        }
        // There may be more.
        growing.is_fresh = true;
        growing.beside_looked_at = None;
        Ok(true)
    }

    /// Reads a file that is written anew each time, compares, and brings what changed.
    fn read_whole(&mut self, around: &mut Circumstances) -> Result<bool, Trouble> {
        let (still, now) = (self.still(around), Instant::now());
        let quiet_at = self.changed_at + around.options.settle_after;
        let Some(look) = self.look else {
            return Ok(false);
        };
        if let Reading::Rewritten(known, removed) = &mut self.reading
            && *known == look
        {
            if removed.is_empty() {
                return Ok(false);
            }
            if still < around.options.settle_after {
                self.next = Some(quiet_at);
                return Ok(false);
            }
            let removed = std::mem::take(removed);
            if let Some(chat) = &self.state.chat {
                remove(removed, chat, around)?;
            }
            return Ok(false);
        }
        if now < self.not_before && !around.is_hasty {
            self.next = Some(self.not_before);
            return Ok(false);
        }
        if look.size > REWRITTEN_BYTES_MAX {
            return Err(too_large(look.size, REWRITTEN_BYTES_MAX));
        }
        let chat = ChatOf::default();
        let mut beside = Around::new(&around.root, &self.path, &around.sink, &chat);
        let read = self
            .open(around)
            .and_then(|transcript| transcript.read(&Pick::Only, &mut beside));
        // What was read until then is not all.
        around.check()?;
        let read = match read {
            Ok(imported) => imported.chat,
            // A file that is just being written may be empty or cut.
            Err(
                ImportError::Empty { .. }
                | ImportError::NoChat { .. }
                | ImportError::NotATranscript { .. },
            ) => return Ok(self.wait(around)),
            Err(error) => return Err(error.into()),
        };
        let format = read.origin.format.clone();
        let id = read.origin.native_id.clone();
        let source = around.source(&format, id.as_deref(), &self.path)?;
        let opened = around.sink.open_chat(&source, &ChatHead::of(&read))?;
        chat.set(opened.clone());
        beside.keep_waiting()?;
        self.source = Some(source);
        self.state.chat = Some(opened);
        let removed = self.bring_whole(read, around)?;
        let is_racy = still < CLOCK_TICK;
        // It may change again within the same tick of the file system's clock: then it is read once more.
        let known = if is_racy { look.unlike() } else { look };
        self.reading = Reading::Rewritten(known, removed);
        self.not_before = now
            + around
                .options
                .reread_interval
                .max(now.elapsed() * SETTLING_SHARE);
        self.tell(Following::UpToDate, around);
        if is_racy {
            self.next = Some(quiet_at.max(self.not_before));
        }
        Ok(matches!(&self.reading, Reading::Rewritten(_, removed) if !removed.is_empty()))
    }

    /// Brings what of a whole chat is new; messages that are not in it any more.
    fn bring_whole(
        &mut self,
        read: Chat,
        around: &mut Circumstances,
    ) -> Result<Vec<MessageId>, Trouble> {
        let Some(chat) = self.state.chat.clone() else {
            return Ok(Vec::new());
        };
        let mut placing = Placing::new(around.sink.index(&chat)?);
        let place_all = |placing: &mut Placing| -> Vec<Option<u32>> {
            let messages = read.messages.iter().zip(0_u32..);
            messages
                .map(|(message, number)| placing.place(number, message, &message.digest()))
                .collect()
        };
        let mut places = place_all(&mut placing);
        if placing.is_out_of_order() {
            placing = Placing::anew(around.sink.index(&chat)?);
            places = place_all(&mut placing);
        }
        let mut set = ChangeSet {
            head: Some(ChatHead::of(&read)),
            threads: (1_u32..).zip(read.threads.into_iter().skip(1)).collect(),
            artifacts: (0_u32..).zip(read.artifacts).collect(),
            ..ChangeSet::default()
        };
        let mut bytes = 0;
        for (message, place) in read.messages.into_iter().zip(places) {
            let Some(place) = place else { continue };
            bytes += serde_json::to_vec(&message).map_or(0, |json| json.len());
            set.messages.push((place, message));
            if set.messages.len() >= MESSAGES_MAX || bytes >= BYTES_MAX {
                around.check()?;
                around.sink.apply(&chat, std::mem::take(&mut set))?;
                bytes = 0;
            }
        }
        if !set.is_empty() {
            around.sink.apply(&chat, set)?;
        }
        Ok(placing.take_left_over())
    }
}

impl Growing {
    /// Reads on in a file beside the transcript; how many bytes were new.
    fn read_one_beside(&mut self, path: &str, around: &mut Circumstances) -> Result<u64, Trouble> {
        let Some(place) = self.around.place(path) else {
            return Ok(0);
        };
        let (file, meta) = match around.root.open(&place) {
            Ok(opened) => opened,
            Err(Unread::Gone | Unread::Never(_)) => return Ok(0),
            Err(unread) => return Err(unread.into()),
        };
        let lines = self
            .beside
            .entry(path.to_owned())
            .or_insert_with(|| Lines::new(&meta));
        let age = meta.modified().ok().and_then(|at| at.elapsed().ok());
        let still = age.filter(|_| !around.is_hasty).unwrap_or(Duration::MAX);
        match lines.next(&file, &meta, still)? {
            Piece::Lines(bytes, _) => {
                self.transcript
                    .push_beside(path, &bytes, &mut self.around)?;
                Ok(bytes.len() as u64)
            }
            Piece::TooLong(bytes) => Ok(bytes),
            Piece::Nothing(_) => Ok(0),
            Piece::Replaced => Err(Trouble::Again),
        }
    }
}

/// A file that is read no further once the follower is to stop: reading it whole may take minutes.
struct Stoppable {
    file: File,
    shared: Arc<Shared>,
}

impl Read for Stoppable {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.shared.is_stopped() {
            true => Err(io::Error::other(SinkError::Stopped)),
            false => self.file.read(buffer),
        }
    }
}

impl Seek for Stoppable {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

fn remove(
    removed: Vec<MessageId>,
    chat: &readalong_model::ChatId,
    around: &mut Circumstances,
) -> Result<(), Trouble> {
    for removed in removed.chunks(MESSAGES_MAX) {
        let set = ChangeSet {
            removed: removed.to_vec(),
            ..ChangeSet::default()
        };
        around.check()?;
        around.sink.apply(chat, set)?;
    }
    Ok(())
}

fn too_large(bytes: u64, bytes_max: u64) -> Trouble {
    Trouble::Refused(
        Reason::Content,
        format!(
            "it has {} MB, and the largest of its kind that is followed has {} MB; share it as it is: `readalong share FILE --frozen`",
            bytes >> 20,
            bytes_max >> 20
        ),
    )
}

/// What lies in the folder that is named as a file, as far as changes show in it.
fn beside_mark(path: &Path) -> u64 {
    let mut mark = 0;
    let mut open = vec![(path.with_extension(""), 0)];
    let mut seen = 0;
    while let Some((folder, depth)) = open.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            seen += 1;
            if seen > BESIDE_ENTRIES_MAX {
                break;
            }
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_dir() {
                if depth < 2 {
                    open.push((entry.path(), depth + 1));
                }
            } else {
                let mut hasher = DefaultHasher::new();
                (entry.file_name(), meta.len(), meta.modified().ok()).hash(&mut hasher);
                // In whatever order they are listed.
                mark ^= hasher.finish();
            }
        }
    }
    mark
}

impl Circumstances {
    /// What names a chat: its own id, else this machine and the path. Of copies with one id the first one has it; what was named by its path once
    /// stays so, whichever copy is read first after the next start.
    fn source(&mut self, format: &str, id: Option<&str>, path: &Path) -> Result<String, SinkError> {
        let by_path = source_of_path(path, &self.options.host);
        let Some(own) = own_source(format, id, path) else {
            return Ok(by_path);
        };
        let is_another_s = match self.sources.get(&own) {
            Some(holder) if holder == path => false,
            Some(holder) if holder.exists() => true,
            _ => self.sink.has_chat(&by_path)?,
        };
        if is_another_s {
            return Ok(by_path);
        }
        self.sources.insert(own.clone(), path.to_owned());
        Ok(own)
    }

    pub(crate) fn tell(&self, state: &FollowState) {
        self.shared.set(state);
        self.sink.state(state);
    }

    fn check(&self) -> Result<(), Trouble> {
        match self.shared.is_stopped() {
            true => Err(Trouble::Stopped),
            false => Ok(()),
        }
    }
}
