//! The one thread that writes: takes what waits, writes it in one transaction, tells what happened.

use std::{
    panic::{self, AssertUnwindSafe},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use readalong_model::{Digest, Event, Seq, Timestamp};
use rusqlite::Connection;

use crate::{
    StoreError, Write, Written, actions,
    apply::{Log, purge},
    artifacts::Artifacts,
    reserve::Reserve,
    schema,
    search::{self, Step},
    sql::{self, Result},
    sync::{Syncer, Waiter},
};

/// Writes that one transaction takes at most, so that the first of them is answered soon.
const BATCH_WRITES: usize = 256;

/// Events after which a transaction takes no further write: about 100 ms of work.
const BATCH_EVENTS: usize = 4096;

/// How often what could not be cleared away is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// How long messages wait before they are taken into the index of texts: one that grows is taken in once.
const INDEX_AFTER: Duration = Duration::from_secs(1);

/// Of the time in which others write, the index takes a part in so many.
const INDEX_SHARE: u32 = 10;

/// How long the emptying of SQLite's log waits for readers.
const TRUNCATE_TIMEOUT: Duration = Duration::from_millis(20);

/// How long anything else waits for others; see schema.rs.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// What waits to be written, and who waits for it.
pub(crate) struct Job {
    pub(crate) write: Write,
    pub(crate) done: Box<dyn FnOnce(Result<Written>) + Send>,
}

/// What is to be done once a transaction is committed.
#[derive(Default)]
pub(crate) struct After {
    /// Something was removed for good: SQLite's log must not keep it.
    pub(crate) truncate: bool,
    /// Files that a chat names now.
    pub(crate) named: Vec<Digest>,
    /// Files that perhaps no chat names any more.
    pub(crate) unnamed: Vec<Digest>,
}

/// The writer and what it has to clear away.
pub(crate) struct Writer {
    connection: Connection,
    syncer: Syncer,
    artifacts: Arc<Artifacts>,
    reserve: Reserve,
    last_seq: Arc<AtomicU64>,
    /// See [`Store::settings_version`](crate::Store::settings_version).
    settings_version: Arc<AtomicU64>,
    seq: Seq,
    /// How long SQLite's log gets before it is copied into the database, in pages; 0 for never.
    checkpoint_pages: i32,
    truncate_due: bool,
    /// Deleted chats left something.
    purge_due: bool,
    /// It is being cleared away, and that makes progress.
    is_purging: bool,
    unnamed: Vec<Digest>,
    /// When the next messages are taken into the index of texts, where some are not in it.
    index_at: Option<Instant>,
    /// When it was last tried to clear away.
    tried_at: Instant,
}

impl Writer {
    pub(crate) fn new(
        connection: Connection,
        syncer: Syncer,
        artifacts: Arc<Artifacts>,
        reserve: Reserve,
        last_seq: Arc<AtomicU64>,
        settings_version: Arc<AtomicU64>,
    ) -> Result<Self> {
        let newest = "SELECT coalesce(max(seq), 0) FROM events";
        let seq = sql::one(&connection, newest, [], |row| sql::seq(row, 0))?.unwrap_or(0);
        last_seq.store(seq, Ordering::Release);
        artifacts.sweep(|digest| is_named(&connection, digest))?;
        Ok(Self {
            connection,
            syncer,
            artifacts,
            reserve,
            last_seq,
            settings_version,
            seq,
            checkpoint_pages: schema::CHECKPOINT_PAGES,
            truncate_due: false,
            purge_due: true,
            is_purging: true,
            unnamed: Vec::new(),
            index_at: Some(Instant::now()),
            tried_at: Instant::now(),
        })
    }

    /// Writes until nobody can send any more.
    pub(crate) fn run(
        mut self,
        queue: &Receiver<Job>,
        waiting: &AtomicUsize,
        mut on_commit: impl FnMut(&[Event]),
    ) {
        loop {
            let index_in = self
                .index_at
                .map(|at| at.saturating_duration_since(Instant::now()));
            let pause = [self.pause(), index_in].into_iter().flatten().min();
            let first = match pause {
                Some(pause) => queue.recv_timeout(pause),
                None => queue.recv().map_err(RecvTimeoutError::from),
            };
            match first {
                Ok(job) => {
                    let jobs = take_batch(job, queue);
                    waiting.fetch_sub(jobs.len(), Ordering::AcqRel);
                    self.write_batch(jobs, &mut on_commit);
                    self.index(INDEX_SHARE - 1);
                }
                Err(RecvTimeoutError::Timeout) => {
                    if self.pause().is_some() {
                        self.do_chores();
                    }
                    self.index(0);
                }
                Err(RecvTimeoutError::Disconnected) => return self.finish_chores(),
            }
        }
    }

    /// Writes jobs, tells what happened, answers when the disk has them. Where the disk is full, those that take something back are still written.
    fn write_batch(&mut self, jobs: Vec<Job>, on_commit: &mut impl FnMut(&[Event])) {
        let (writes, waiters): (Vec<_>, Vec<_>) =
            jobs.into_iter().map(|job| (job.write, job.done)).unzip();
        let taken_back: Vec<(usize, Write)> = writes
            .iter()
            .enumerate()
            .filter(|(_, write)| write.takes_back())
            .map(|(place, write)| (place, write.clone()))
            .collect();
        let count = writes.len();
        let is_durable = writes.iter().any(Write::is_durable);
        // What is left of the space is not for others, until it is whole again.
        self.fill_reserve();
        let tried = match self.reserve.is_due() {
            true => Err(StoreError::Full),
            false => self.try_write(writes, on_commit),
        };
        let (written, after) = match tried {
            Ok(written) => written,
            Err(StoreError::Full) if !taken_back.is_empty() => {
                let mut all = vec![Err(StoreError::Full); count];
                let (places, writes): (Vec<_>, Vec<_>) = taken_back.into_iter().unzip();
                let tried = self.write_from_reserve(&writes, on_commit);
                let (written, after) = tried.unwrap_or_default();
                for (place, written) in places.into_iter().zip(written) {
                    all[place] = written;
                }
                (all, after)
            }
            Err(error) => (vec![Err(error); count], After::default()),
        };
        let answers = waiters.into_iter().zip(written).collect();
        self.answer(answers, is_durable, after);
    }

    /// Answers those who wrote, now or when the disk has it. Nothing is cleared away before the disk has what says so.
    fn answer(&mut self, mut answers: Vec<Waiter>, is_durable: bool, after: After) {
        if is_durable && !after.is_removing() && !self.syncer.is_doubtful() {
            self.clear_away(after);
            return self.syncer.answer(answers);
        }
        if is_durable && let Err(error) = self.sync() {
            for (_, written) in &mut answers {
                *written = written.clone().and(Err(error.clone()));
            }
        }
        // Where the disk failed, this clears nothing away.
        self.clear_away(after);
        for (done, written) in answers {
            done(written);
        }
    }

    /// Waits until the disk has what is committed.
    fn sync(&self) -> Result<()> {
        if self.syncer.is_doubtful() {
            if !self.truncate_log().unwrap_or(false) {
                return Err(self.syncer.refused());
            }
            self.syncer.trust();
        }
        self.syncer.sync()
    }

    /// Writes all or nothing, with as much of the space that is kept for that as it takes.
    fn write_from_reserve(
        &mut self,
        writes: &[Write],
        on_commit: &mut impl FnMut(&[Event]),
    ) -> Result<(Vec<Result<Written>>, After)> {
        // Of what was given away before, something may be left.
        let mut is_used_up = !self.reserve.is_due();
        loop {
            let is_last = is_used_up && !self.reserve.release();
            self.set_checkpoints()?;
            match self.try_write(writes.to_vec(), on_commit) {
                Err(StoreError::Full) if !is_last => is_used_up = true,
                tried => return tried,
            }
        }
    }

    /// Writes all or nothing, tells what happened. Readers see it then; the disk need not have it yet.
    fn try_write(
        &mut self,
        writes: Vec<Write>,
        on_commit: &mut impl FnMut(&[Event]),
    ) -> Result<(Vec<Result<Written>>, After)> {
        let before = self.seq;
        let is_of_sources = writes.iter().all(Write::is_of_source);
        // A mistake that one write brings to light does not end the writing. Where it comes to light after the commit it does: who was not told of what
        // was written would go on with what was before.
        match caught(|| self.commit(writes)) {
            Ok(batch) => {
                self.last_seq.store(self.seq, Ordering::Release);
                if !is_of_sources {
                    self.settings_version.fetch_add(1, Ordering::AcqRel);
                }
                if !batch.events.is_empty() {
                    on_commit(&batch.events);
                    self.index_at
                        .get_or_insert_with(|| Instant::now() + INDEX_AFTER);
                }
                Ok((batch.written, batch.after))
            }
            Err(error) => {
                self.seq = before;
                if !self.connection.is_autocommit() {
                    // Nothing was committed; what cannot be rolled back now is at the next opening.
                    let _ = self.connection.execute_batch("ROLLBACK");
                }
                Err(error)
            }
        }
    }

    /// Writes all in one transaction. A write that fails leaves the others alone; an error means that nothing was written.
    fn commit(&mut self, writes: Vec<Write>) -> Result<Batch> {
        self.connection
            .prepare_cached("BEGIN IMMEDIATE")?
            .execute([])?;
        let mut batch = Batch {
            now: now(),
            written: Vec::with_capacity(writes.len()),
            events: Vec::new(),
            after: After::default(),
        };
        for write in writes {
            let written = self.write_one(write, &mut batch);
            if let Err(error) = &written
                && self.connection.is_autocommit()
            {
                // SQLite gave up the whole transaction, as it does when the disk is full.
                return Err(error.clone());
            }
            batch.written.push(written);
        }
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(batch)
    }

    fn write_one(&mut self, write: Write, batch: &mut Batch) -> Result<Written> {
        let (seq, events) = (self.seq, batch.events.len());
        sql::run(&self.connection, "SAVEPOINT one", [])?;
        let mut after = After::default();
        let mut log = Log {
            connection: &self.connection,
            now: batch.now,
            seq: &mut self.seq,
            events: &mut batch.events,
            after: &mut after,
        };
        let written = actions::perform(&mut log, write);
        match &written {
            Ok(_) => batch.after.add(after),
            Err(_) => {
                self.seq = seq;
                batch.events.truncate(events);
                if self.connection.is_autocommit() {
                    return written;
                }
                sql::run(&self.connection, "ROLLBACK TO one", [])?;
            }
        }
        sql::run(&self.connection, "RELEASE one", [])?;
        let mut written = written?;
        written.seq = self.seq;
        written.events = (batch.events.len() - events) as u64;
        Ok(written)
    }

    /// While the disk is full, SQLite's log is not copied into the database: that would take all the space that is kept for taking back.
    fn set_checkpoints(&mut self) -> Result<()> {
        let pages = match self.reserve.is_due() {
            true => 0,
            false => schema::CHECKPOINT_PAGES,
        };
        if pages != self.checkpoint_pages {
            let name = "wal_autocheckpoint";
            self.connection.pragma_update(None, name, pages)?;
            self.checkpoint_pages = pages;
        }
        Ok(())
    }

    /// Takes the space again that was given away, where the disk has it.
    fn fill_reserve(&mut self) {
        self.reserve.fill();
        // Where it cannot be said now, it is said before the next write.
        let _ = self.set_checkpoints();
    }

    fn clear_away(&mut self, after: After) {
        let is_new = after.is_removing();
        for digest in after.named {
            self.artifacts.named(digest);
        }
        self.truncate_due |= after.truncate;
        self.purge_due |= after.truncate;
        self.unnamed.extend(after.unnamed);
        let is_time = self
            .pause()
            .is_some_and(|pause| self.tried_at.elapsed() >= pause);
        if is_new || is_time {
            self.do_chores();
        }
    }

    /// How long to wait for something to write before there is something to clear away.
    fn pause(&self) -> Option<Duration> {
        let is_due = self.purge_due
            || self.truncate_due
            || !self.unnamed.is_empty()
            || self.syncer.is_doubtful()
            || self.reserve.is_due();
        match self.is_purging {
            true => Some(Duration::ZERO),
            false => is_due.then_some(RETRY_INTERVAL),
        }
    }

    /// Clears away what can be; the rest is tried again later, and when the store is opened.
    fn do_chores(&mut self) {
        self.tried_at = Instant::now();
        self.fill_reserve();
        if self.syncer.is_doubtful() && self.sync().is_err() {
            // What says that something is to go is perhaps not on the disk.
            self.is_purging = false;
            return;
        }
        self.delete_unnamed();
        if self.reserve.is_due() {
            // All else would write, and the space is not for that.
            self.is_purging = false;
            return;
        }
        if self.purge_due {
            let more = self.purge();
            self.is_purging = matches!(more, Ok(true));
            self.purge_due = !matches!(more, Ok(false));
            self.truncate_due = true;
        }
        if self.truncate_due && !self.is_purging {
            self.truncate_due = !self.truncate_log().unwrap_or(false);
        }
    }

    /// Deletes files that no chat names any more.
    fn delete_unnamed(&mut self) {
        let (connection, artifacts) = (&self.connection, &self.artifacts);
        self.unnamed.retain(|&digest| {
            let deleted = artifacts.delete(digest, || is_named(connection, digest));
            !deleted.unwrap_or(false)
        });
    }

    /// Clears away to the end, before the store is closed.
    fn finish_chores(&mut self) {
        self.do_chores();
        while self.is_purging {
            self.do_chores();
        }
    }

    /// Removes some of what deleted chats left; true where there is more. The disk is waited for when SQLite's log is emptied.
    fn purge(&mut self) -> Result<bool> {
        if !purge::is_due(&self.connection)? {
            return Ok(false);
        }
        let transaction = self.connection.transaction()?;
        purge::some(&transaction)?;
        transaction.commit()?;
        purge::is_due(&self.connection)
    }

    /// Takes messages into the index of texts, if it is time; then `rest` times as long passes before it goes on.
    fn index(&mut self, rest: u32) {
        let begun = Instant::now();
        if self.index_at.is_none_or(|at| at > begun) {
            return;
        }
        if self.reserve.is_due() {
            self.index_at = Some(begun + RETRY_INTERVAL);
            return;
        }
        self.index_at = match caught(|| self.index_step()) {
            Ok(Step::More) => Some(begun + begun.elapsed() * (rest + 1)),
            Ok(Step::Done) => None,
            Ok(Step::Scrubbed) => {
                self.truncate_due = true;
                None
            }
            Err(_) => Some(begun + RETRY_INTERVAL),
        };
    }

    fn index_step(&mut self) -> Result<Step> {
        let transaction = self.connection.transaction()?;
        let step = search::step(&transaction)?;
        transaction.commit()?;
        Ok(step)
    }

    fn truncate_log(&self) -> Result<bool> {
        self.connection.busy_timeout(TRUNCATE_TIMEOUT)?;
        let done = schema::truncate_log(&self.connection);
        self.connection.busy_timeout(BUSY_TIMEOUT)?;
        done
    }
}

/// What one transaction did.
struct Batch {
    now: Timestamp,
    written: Vec<Result<Written>>,
    events: Vec<Event>,
    after: After,
}

impl After {
    /// True where something is to be removed from the disk.
    fn is_removing(&self) -> bool {
        self.truncate || !self.unnamed.is_empty()
    }

    fn add(&mut self, other: Self) {
        self.truncate |= other.truncate;
        self.named.extend(other.named);
        self.unnamed.extend(other.unnamed);
    }
}

/// A job and what waits behind it, within the bounds of a transaction.
fn take_batch(first: Job, queue: &Receiver<Job>) -> Vec<Job> {
    let mut events = first.write.events();
    let mut jobs = vec![first];
    while jobs.len() < BATCH_WRITES && events < BATCH_EVENTS {
        match queue.try_recv() {
            Ok(job) => {
                events += job.write.events();
                jobs.push(job);
            }
            Err(_) => break,
        }
    }
    jobs
}

/// Does something that leaves the database as it was where it panics.
fn caught<T>(action: impl FnOnce() -> Result<T>) -> Result<T> {
    panic::catch_unwind(AssertUnwindSafe(action)).unwrap_or(Err(StoreError::Panicked))
}

fn is_named(connection: &Connection, digest: Digest) -> Result<bool> {
    let sql = "SELECT 1 FROM files WHERE sha256 = ?1 LIMIT 1";
    let found = sql::one(connection, sql, [digest.as_bytes()], |_| Ok(()))?;
    Ok(found.is_some())
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = since.map_or(0, |since| since.as_millis() as i64);
    Timestamp::from_millis(millis).expect("the clock stands within the calendar")
}
