//! The store as the rest of the program holds it: a handle that is cheap to clone.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
};

use readalong_model::{ChatId, Digest, Event, Seq};
use rusqlite::Connection;

use crate::{
    Reader, StoreError, Write, Written,
    artifacts::{self, Artifacts},
    reserve::Reserve,
    schema,
    sql::Result,
    sync::Syncer,
    writer::{Job, Writer},
};

/// Name of the database in the data folder.
const DATABASE: &str = "readalong.db";

/// Name of the folder of artifacts in the data folder.
const ARTIFACTS: &str = "artifacts";

/// Connections for reading that are kept open when nobody reads: as many as read at once on a small machine.
const READERS_KEPT: usize = 4;

/// Writes that may wait at once. A thousand callers wait for their answers long before.
const QUEUE_MAX: usize = 4096;

/// The event log, its tables and the artifacts. Clones are the same store.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    database: PathBuf,
    epoch: String,
    last_seq: Arc<AtomicU64>,
    settings_version: Arc<AtomicU64>,
    waiting: Arc<AtomicUsize>,
    artifacts: Arc<Artifacts>,
    readers: Mutex<Vec<Connection>>,
    /// `None` only while the store is closed.
    jobs: Option<mpsc::Sender<Job>>,
    writer: Option<JoinHandle<()>>,
    syncer: Option<JoinHandle<()>>,
}

impl Store {
    /// Opens the store in a folder, makes it where it is not there, and starts its writer.
    ///
    /// `on_commit` is called on the writer's thread after each commit, with its events in the order of the log, before those who wrote are answered and while
    /// the disk may not have them yet. It should not take long. It must not hold the store, or the store is never closed.
    ///
    /// # Errors
    /// The folder cannot be written; the database is another program's or a later readalong's, or is damaged.
    pub fn open(folder: &Path, on_commit: impl FnMut(&[Event]) + Send + 'static) -> Result<Self> {
        artifacts::make_folder(folder).map_err(StoreError::io("making", folder))?;
        let database = folder.join(DATABASE);
        let connection = schema::open_writer(&database)?;
        let epoch = schema::epoch(&connection)?;
        let artifacts = Arc::new(Artifacts::open(folder.join(ARTIFACTS))?);
        let last_seq = Arc::new(AtomicU64::new(0));
        let settings_version = Arc::new(AtomicU64::new(0));
        let waiting = Arc::new(AtomicUsize::new(0));
        let (jobs, queue) = mpsc::channel();
        let (syncer, sync_thread) = Syncer::start(&database)?;
        let writer = Writer::new(
            connection,
            syncer,
            artifacts.clone(),
            Reserve::of(folder),
            last_seq.clone(),
            settings_version.clone(),
        )?;
        let counter = waiting.clone();
        let thread = thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer.run(&queue, &counter, on_commit))
            .map_err(StoreError::io("starting the writer of", folder))?;
        Ok(Self {
            inner: Arc::new(Inner {
                database,
                epoch,
                last_seq,
                settings_version,
                waiting,
                artifacts,
                readers: Mutex::default(),
                jobs: Some(jobs),
                writer: Some(thread),
                syncer: Some(sync_thread),
            }),
        })
    }

    /// Numbers of events mean the same for as long as this is the same: 16 hexadecimal digits.
    pub fn epoch(&self) -> &str {
        &self.inner.epoch
    }

    /// The last event of the log that readers see.
    pub fn last_seq(&self) -> Seq {
        self.inner.last_seq.load(Ordering::Acquire)
    }

    /// True as long as something can be written.
    pub fn is_writing(&self) -> bool {
        let threads = [&self.inner.writer, &self.inner.syncer];
        let runs = |thread: &&Option<JoinHandle<()>>| {
            thread.as_ref().is_some_and(|thread| !thread.is_finished())
        };
        threads.iter().all(runs)
    }

    /// Is another after each write that is acknowledged and more than what a source brings: what was read of accounts, shares and settings before holds
    /// as long as this is the same.
    pub fn settings_version(&self) -> u64 {
        self.inner.settings_version.load(Ordering::Acquire)
    }

    /// Writes when its turn comes, with all else that waits. `done` is called on a thread of the store's once the write is durable, or has failed and
    /// changed nothing; it should not take long. Only where syncing the disk fails ([`StoreError::Io`]) is the write there and perhaps not for good. Does not wait.
    pub fn write(&self, write: Write, done: impl FnOnce(Result<Written>) + Send + 'static) {
        let inner = &self.inner;
        if inner.waiting.fetch_add(1, Ordering::AcqRel) >= QUEUE_MAX {
            inner.waiting.fetch_sub(1, Ordering::AcqRel);
            return done(Err(StoreError::Busy));
        }
        let job = Job {
            write,
            done: Box::new(done),
        };
        let failed = match &inner.jobs {
            Some(jobs) => jobs.send(job).err().map(|unsent| unsent.0),
            None => Some(job),
        };
        if let Some(job) = failed {
            (job.done)(Err(StoreError::Closed));
        }
    }

    /// Writes and waits until it is durable. Not for the store's own threads.
    ///
    /// # Errors
    /// The write cannot be done; nothing is changed then.
    pub fn write_and_wait(&self, write: Write) -> Result<Written> {
        let (sender, answer) = mpsc::sync_channel(1);
        self.write(write, move |written| {
            // Whoever waited may be gone; the write is done all the same.
            let _ = sender.send(written);
        });
        answer.recv().unwrap_or(Err(StoreError::Closed))
    }

    /// Reads the store as it is now; what is written meanwhile is not seen.
    ///
    /// # Errors
    /// The database cannot be read, or whatever `read` answers.
    pub fn read<T>(&self, read: impl FnOnce(&Reader<'_>) -> Result<T>) -> Result<T> {
        let idle = self.readers().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => schema::open_reader(&self.inner.database)?,
        };
        let found = {
            let transaction = connection.transaction()?;
            read(&Reader::new(transaction))
        };
        let mut readers = self.readers();
        if readers.len() < READERS_KEPT {
            readers.push(connection);
        }
        found
    }

    /// Keeps the bytes of an artifact; they are on the disk when this returns. They stay for ten minutes, and from then on for as long as a chat
    /// names them.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn keep_artifact(&self, bytes: &[u8]) -> Result<Digest> {
        self.inner.artifacts.keep_bytes(bytes)
    }

    /// Keeps the bytes of an artifact that is to be a chat's, as [`Store::keep_artifact`] does. Those that were removed from the chat for good are not written again.
    ///
    /// # Errors
    /// They cannot be written, or the database fails.
    pub fn keep_artifact_of(&self, chat: &ChatId, bytes: &[u8]) -> Result<Digest> {
        let digest = Digest::of(bytes);
        match self.read(|reader| reader.is_artifact_erased(chat, digest))? {
            true => Ok(digest),
            false => self.keep_artifact(bytes),
        }
    }

    /// Keeps the bytes that come out of a reader, as [`Store::keep_artifact`] does.
    ///
    /// # Errors
    /// They cannot be read or written.
    pub fn keep_artifact_from(&self, bytes: &mut dyn Read) -> Result<Digest> {
        self.inner.artifacts.keep(bytes)
    }

    /// Where the bytes of an artifact lie, if they are there.
    pub fn artifact_path(&self, digest: Digest) -> PathBuf {
        self.inner.artifacts.path(digest)
    }

    /// The bytes of an artifact; `None` where they are not there.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn artifact(&self, digest: Digest) -> Result<Option<Vec<u8>>> {
        let path = self.artifact_path(digest);
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|mut file| file.read_to_end(&mut bytes));
        match read {
            Ok(_) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io("reading", path)(error)),
        }
    }

    fn readers(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        let readers = &self.inner.readers;
        readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    /// Lets the writer finish what waits. The last clone may well go on a thread of the store's own, which cannot wait for itself, nor the writer for the
    /// one that syncs what it wrote.
    fn drop(&mut self) {
        // Readers go first: the last connection to be closed empties SQLite's log, which one that only reads cannot.
        self.readers
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        self.jobs = None;
        for thread in [self.writer.take(), self.syncer.take()]
            .into_iter()
            .flatten()
        {
            if thread.thread().id() == thread::current().id() {
                return;
            }
            // One that panicked has said so already.
            let _ = thread.join();
        }
    }
}
