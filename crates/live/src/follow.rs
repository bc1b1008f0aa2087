//! Follows transcripts that grow: a file, or all files of a folder, each of them a chat.
//!
//! One thread a follower, blocking. What the operating system tells of a file is acted on at once; beside that all files are looked at every
//! [`poll_interval`](FollowOptions::poll_interval), for what it tells is not complete (network folders, full queues, folders that come later).
//! `followed.rs` is what happens to one file.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime},
};

use notify::{Config, EventKind, RecommendedWatcher, RecursiveMode, Watcher, event::AccessKind};

use crate::{
    sink::{FollowState, Following, Sink},
    source::uuid_in_name,
};

mod around;
mod files;
mod followed;
mod lines;
mod placing;
#[cfg(test)]
mod tests;
mod turns;

use files::Root;
use followed::Followed;
use turns::Turns;

/// All files are looked at so often by default.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// What only the whole tells is settled by default when a file stood still for so long.
const SETTLE_AFTER: Duration = Duration::from_millis(1_500);
/// A file that is written anew is read again so often by default, at most.
const REREAD_INTERVAL: Duration = Duration::from_millis(500);
/// Files that one follower looks at, at most.
const FILES_MAX: usize = 20_000;
/// Looking for files takes at most one in so many parts of the time, however many there are.
const SCANNING_SHARE: u32 = 4;
/// Bytes of memory, about, for files of which the newest messages are held; of the others nothing is, and they are read anew when they grow.
const AWAKE_BYTES_MAX: usize = 64 << 20;

/// How a follower looks at its files.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FollowOptions {
    /// How often all files are looked at, whatever the operating system tells.
    pub poll_interval: Duration,
    /// How long a file stands still before what only the whole tells is settled, and messages that it lost are removed.
    pub settle_after: Duration,
    /// How often at most a file that is written anew is read again.
    pub reread_interval: Duration,
    /// Name of this machine: part of the source of a chat that has no id of its own.
    pub host: String,
    /// Name of the format, where it is not to be found out.
    pub format: Option<String>,
    /// The folder, without links, that whoever follows keeps its own data in: nothing in it is followed.
    pub left_out: Option<PathBuf>,
}

impl Default for FollowOptions {
    fn default() -> Self {
        Self {
            poll_interval: POLL_INTERVAL,
            settle_after: SETTLE_AFTER,
            reread_interval: REREAD_INTERVAL,
            host: host_name(),
            format: None,
            left_out: None,
        }
    }
}

/// What keeps a follower from starting.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FollowError {
    /// The path is no file and no folder that can be read.
    #[error("cannot follow `{}`", path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The path lies in the folder that is left out.
    #[error("`{}` lies in the server's own data folder; keep transcripts elsewhere", path.display())]
    LeftOut {
        /// The path.
        path: PathBuf,
    },
}

/// Follows a file or a folder.
pub struct Follower;

/// A follower at work. Dropping it stops it and waits for its thread: a sink that waits for something has to be told to stop before.
pub struct FollowerHandle {
    shared: Arc<Shared>,
    wake: Sender<Word>,
    thread: Option<JoinHandle<()>>,
}

/// What the follower's thread is told.
enum Word {
    Changed(PathBuf),
    /// Something was missed: all files are to be looked at.
    Missed,
    Stop,
}

/// What the follower's thread and its handle both know.
#[derive(Default)]
struct Shared {
    states: Mutex<States>,
    changed: Condvar,
    is_stopped: AtomicBool,
}

#[derive(Default)]
struct States {
    files: BTreeMap<PathBuf, FollowState>,
    /// Nothing waits to be read.
    is_idle: bool,
}

/// What all followed files have in common.
struct Circumstances {
    root: Root,
    sink: Arc<dyn Sink>,
    options: FollowOptions,
    /// The files that chats with ids of their own come from.
    sources: HashMap<String, PathBuf>,
    shared: Arc<Shared>,
    /// Nothing is waited for: what is there is all that comes.
    is_hasty: bool,
}

impl Follower {
    /// Starts to follow a file, or all transcripts in a folder and below it, on a thread of its own. A file may come later than its folder.
    ///
    /// # Errors
    /// The path is neither file nor folder, cannot be read, or is left out.
    pub fn start(
        path: &Path,
        sink: Arc<dyn Sink>,
        options: FollowOptions,
    ) -> Result<FollowerHandle, FollowError> {
        let (wake, words) = channel();
        let mut engine = Engine::new(path, sink, options)?;
        engine.wake = Some(wake.clone());
        let shared = Arc::clone(&engine.around.shared);
        let thread = thread::Builder::new()
            .name("follow".to_owned())
            .spawn(move || engine.run(&words))
            .map_err(|source| FollowError::Path {
                path: path.to_owned(),
                source,
            })?;
        Ok(FollowerHandle {
            shared,
            wake,
            thread: Some(thread),
        })
    }

    /// Brings the sink up to date with a file or folder once, on the calling thread, and follows no longer. Tells how each file ended, sorted
    /// by path.
    ///
    /// # Errors
    /// The path is neither file nor folder, cannot be read, or is left out.
    pub fn run_once(
        path: &Path,
        sink: Arc<dyn Sink>,
        options: FollowOptions,
    ) -> Result<Vec<FollowState>, FollowError> {
        let mut engine = Engine::new(path, sink, options)?;
        engine.around.is_hasty = true;
        engine.scan();
        while let Some(path) = engine.turns.next() {
            engine.step(path);
        }
        let states = engine.around.shared.lock();
        Ok(states.files.values().cloned().collect())
    }
}

impl FollowerHandle {
    /// How the followed files are at present, sorted by path.
    pub fn states(&self) -> Vec<FollowState> {
        self.shared.lock().files.values().cloned().collect()
    }

    /// Waits until nothing that is there is left to be read; false where that takes longer.
    pub fn wait_until_up_to_date(&self, timeout: Duration) -> bool {
        let is_behind = |states: &mut States| {
            let is_busy = |state: &FollowState| {
                matches!(
                    state.following,
                    Following::Reading { .. } | Following::Failing(_)
                )
            };
            !states.is_idle || states.files.values().any(is_busy)
        };
        let states = self.shared.lock();
        let waited = self
            .shared
            .changed
            .wait_timeout_while(states, timeout, is_behind);
        waited.is_ok_and(|(_, timeout)| !timeout.timed_out())
    }

    /// Stops following and waits until the thread has ended.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for FollowerHandle {
    fn drop(&mut self) {
        self.shared.is_stopped.store(true, Ordering::Release);
        // The thread may have ended by itself.
        let _ = self.wake.send(Word::Stop);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a follower ended in a panic");
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, States> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, state: &FollowState) {
        self.lock().files.insert(state.path.clone(), state.clone());
        self.changed.notify_all();
    }

    fn set_idle(&self, is_idle: bool) {
        let mut states = self.lock();
        if states.is_idle != is_idle {
            states.is_idle = is_idle;
            self.changed.notify_all();
        }
    }

    fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Acquire)
    }
}

/// The files of a follower, and which of them are to be looked at.
struct Engine {
    around: Circumstances,
    files: HashMap<PathBuf, Followed>,
    turns: Turns,
    /// Files that want to be looked at again by themselves, and when.
    timed: BTreeSet<(Instant, PathBuf)>,
    awake: HashSet<PathBuf>,
    /// Files of the folder that are beyond the limit.
    left_out: usize,
    has_missed: bool,
    /// Whom the operating system tells of changes, where it is asked to.
    wake: Option<Sender<Word>>,
    watcher: Option<RecommendedWatcher>,
    watched: Option<FolderMark>,
}

/// What tells a folder from one that came in its place; a number may be given again.
type FolderMark = (u64, u64, Option<SystemTime>);

impl Engine {
    fn new(path: &Path, sink: Arc<dyn Sink>, options: FollowOptions) -> Result<Self, FollowError> {
        let root =
            Root::of(path, options.left_out.clone()).map_err(|source| FollowError::Path {
                path: path.to_owned(),
                source,
            })?;
        if root.leaves_out(&root.path) {
            return Err(FollowError::LeftOut { path: root.path });
        }
        Ok(Self {
            around: Circumstances {
                root,
                sink,
                options,
                sources: HashMap::new(),
                shared: Arc::default(),
                is_hasty: false,
            },
            files: HashMap::new(),
            turns: Turns::default(),
            timed: BTreeSet::new(),
            awake: HashSet::new(),
            left_out: 0,
            has_missed: false,
            wake: None,
            watcher: None,
            watched: None,
        })
    }

    fn run(&mut self, words: &Receiver<Word>) {
        self.scan();
        let mut next_poll = Instant::now() + self.around.options.poll_interval;
        loop {
            while let Ok(word) = words.try_recv() {
                self.hear(word);
            }
            if self.around.shared.is_stopped() {
                return;
            }
            // However much there is to read: what comes meanwhile has its turn, too.
            let is_time = self.has_missed || Instant::now() >= next_poll;
            if is_time && self.turns.is_round_over() {
                self.has_missed = false;
                let begun = Instant::now();
                self.scan();
                let pause = begun.elapsed() * SCANNING_SHARE;
                next_poll = Instant::now() + self.around.options.poll_interval.max(pause);
            }
            let now = Instant::now();
            while self.timed.first().is_some_and(|(at, _)| *at <= now)
                && let Some((_, path)) = self.timed.pop_first()
            {
                self.enqueue(path);
            }
            if let Some(path) = self.turns.next() {
                self.step(path);
                continue;
            }
            let first = self.timed.first().map(|(at, _)| *at);
            let until = first.map_or(next_poll, |at| at.min(next_poll));
            self.around.shared.set_idle(true);
            match words.recv_timeout(until.saturating_duration_since(now)) {
                Ok(word) => self.hear(word),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn hear(&mut self, word: Word) {
        match word {
            Word::Changed(path) => self.changed(&path),
            Word::Missed => self.has_missed = true,
            Word::Stop => {}
        }
    }

    /// Something happened at a path: in a followed file, or in a folder that belongs to one.
    fn changed(&mut self, path: &Path) {
        if self.around.root.leaves_out(path) {
            return;
        }
        if self.files.contains_key(path) {
            return self.enqueue_grown(path.to_owned());
        }
        let is_folder = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir());
        let folders = path.ancestors().skip(usize::from(!is_folder));
        let folders = folders.take_while(|folder| folder.starts_with(&self.around.root.folder));
        let files =
            folders.flat_map(|folder| files::ENDINGS.map(|ending| folder.with_extension(ending)));
        let owners: Vec<PathBuf> = files.filter(|file| self.files.contains_key(file)).collect();
        if !owners.is_empty() {
            owners.into_iter().for_each(|owner| self.enqueue(owner));
        } else if self.around.root.may_hold(path) {
            self.add(path.to_owned());
        } else if is_folder {
            // What was in it before it was watched is not told of.
            let files = self.around.root.files_below(path);
            files.into_iter().for_each(|file| self.add(file));
        }
    }

    fn add(&mut self, path: PathBuf) {
        // The next look for files makes room for it.
        if self.files.len() >= FILES_MAX && !self.files.contains_key(&path) {
            return;
        }
        self.files
            .entry(path.clone())
            .or_insert_with(|| Followed::new(path.clone()));
        self.enqueue(path);
    }

    /// Looks for files, the newest first, and looks at all.
    fn scan(&mut self) {
        self.watch();
        let mut paths = newest_first(self.around.root.files());
        let left_out = paths.split_off(paths.len().min(FILES_MAX)).len();
        if left_out > 0 {
            self.keep_only(&paths);
        }
        self.tell_left_out(left_out);
        paths.into_iter().for_each(|path| self.add(path));
        // Also those that are gone.
        let all: Vec<PathBuf> = self.files.keys().cloned().collect();
        all.into_iter().for_each(|path| self.enqueue(path));
        self.turns.begin_round();
        self.let_sleep();
    }

    /// Lets go of all files but these.
    fn keep_only(&mut self, paths: &[PathBuf]) {
        let kept: HashSet<&PathBuf> = paths.iter().collect();
        let timed = &mut self.timed;
        let gone = self.files.extract_if(|path, _| !kept.contains(path));
        for (path, followed) in gone {
            if let Some(at) = followed.next() {
                timed.remove(&(at, path.clone()));
            }
            self.awake.remove(&path);
            self.around.shared.lock().files.remove(&path);
        }
    }

    /// Says how many files of the folder are not followed, where that is news.
    fn tell_left_out(&mut self, left_out: usize) {
        let known = std::mem::replace(&mut self.left_out, left_out);
        if left_out == known {
            return;
        }
        let path = self.around.root.path.clone();
        if left_out == 0 {
            self.around.shared.lock().files.remove(&path);
            return;
        }
        let words = format!(
            "{left_out} of its files are not followed, those that changed longest ago, for it has more than {FILES_MAX}; move them into another folder, and follow that too"
        );
        if known == 0 {
            tracing::warn!("`{}`: {words}", path.display());
        }
        self.around.tell(&FollowState {
            path,
            chat: None,
            following: Following::Refused(words),
        });
    }

    /// Asks the operating system to tell of changes, and once more where another folder stands in place of the one that it tells of.
    fn watch(&mut self) {
        let root = &self.around.root;
        let (Some(wake), Ok(meta)) = (&self.wake, root.folder.metadata()) else {
            return;
        };
        let mark = Some((meta.dev(), meta.ino(), meta.created().ok()));
        if self.watched != mark {
            self.watcher = watch(root, wake.clone());
            self.watched = mark;
        }
    }

    fn enqueue(&mut self, path: PathBuf) {
        self.around.shared.set_idle(false);
        self.turns.push(path);
    }

    fn enqueue_grown(&mut self, path: PathBuf) {
        self.around.shared.set_idle(false);
        self.turns.push_grown(path);
    }

    fn step(&mut self, path: PathBuf) {
        let Some(followed) = self.files.get_mut(&path) else {
            return;
        };
        if let Some(at) = followed.next() {
            self.timed.remove(&(at, path.clone()));
        }
        let more = followed.step(&mut self.around);
        if let Some(at) = followed.next() {
            self.timed.insert((at, path.clone()));
        }
        if followed.could_sleep().is_some() && self.awake.insert(path.clone()) {
            self.let_sleep();
        }
        if more {
            self.enqueue(path);
        }
    }

    /// Where the files in memory take too much of it, lets go of those that stood still the longest; the one that changed last stays in any case.
    fn let_sleep(&mut self) {
        let files = &mut self.files;
        let awake = self.awake.drain().filter_map(|path| {
            let (since, bytes) = files.get(&path)?.could_sleep()?;
            Some((since, bytes, path))
        });
        let mut awake: Vec<(Instant, usize, PathBuf)> = awake.collect();
        awake.sort_unstable_by_key(|(since, ..)| std::cmp::Reverse(*since));
        let mut left = AWAKE_BYTES_MAX;
        for (_, bytes, path) in awake {
            if bytes <= left || self.awake.is_empty() {
                left = left.saturating_sub(bytes);
                self.awake.insert(path);
            } else if let Some(file) = files.get_mut(&path) {
                file.sleep();
            }
        }
    }
}

/// Files in the order in which they are read: those that changed last come first. Of copies of a session, which have the same id in their names,
/// the longest comes first, in the place of the newest: the others may be older than what its chat has.
fn newest_first(paths: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut newest: HashMap<String, SystemTime> = HashMap::new();
    let seen = paths.into_iter().map(|path| {
        let meta = path.metadata().ok();
        let modified = meta.as_ref().and_then(|meta| meta.modified().ok());
        let modified = modified.unwrap_or(SystemTime::UNIX_EPOCH);
        let id = uuid_in_name(&path);
        if let Some(id) = &id {
            let newest = newest.entry(id.clone()).or_insert(modified);
            *newest = modified.max(*newest);
        }
        (modified, id, meta.map_or(0, |meta| meta.len()), path)
    });
    let mut seen: Vec<_> = seen.collect();
    seen.sort_by_cached_key(|(modified, id, bytes, path)| {
        let newest = id.as_ref().and_then(|id| newest.get(id));
        let newest = *newest.unwrap_or(modified);
        (Reverse(newest), id.clone(), Reverse(*bytes), path.clone())
    });
    seen.into_iter().map(|(.., path)| path).collect()
}

/// Asks the operating system to tell of changes; without it, files are only looked at from time to time.
fn watch(root: &Root, wake: Sender<Word>) -> Option<RecommendedWatcher> {
    let tell = move |event: notify::Result<notify::Event>| {
        // The thread may have ended.
        let _ = match event {
            Ok(event) if event.need_rescan() => wake.send(Word::Missed),
            // Files are opened and read by the follower itself.
            Ok(event)
                if matches!(
                    event.kind,
                    EventKind::Access(AccessKind::Open(_) | AccessKind::Read)
                ) =>
            {
                return;
            }
            Ok(event) => event
                .paths
                .into_iter()
                .try_for_each(|path| wake.send(Word::Changed(path))),
            Err(_) => wake.send(Word::Missed),
        };
    };
    let config = Config::default().with_follow_symlinks(false);
    let mode = match root.is_folder {
        true => RecursiveMode::Recursive,
        false => RecursiveMode::NonRecursive,
    };
    let watcher = RecommendedWatcher::new(tell, config).and_then(|mut watcher| {
        watcher.watch(&root.folder, mode)?;
        let own = root.path.with_extension("");
        if !root.is_folder && own.is_dir() {
            watcher.watch(&own, RecursiveMode::Recursive)?;
        }
        Ok(watcher)
    });
    match watcher {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            tracing::warn!(
                folder = %root.folder.display(), %error,
                "changes are not told of by the system; files are looked at from time to time"
            );
            None
        }
    }
}

/// The name of this machine.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::fs::read_to_string("/etc/hostname"));
    let name = name.unwrap_or_default().trim().to_owned();
    match name.is_empty() {
        true => "localhost".to_owned(),
        false => name,
    }
}
