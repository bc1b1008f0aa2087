//! Waits for the disk, so that the writer need not: who reads is told of a change when it is committed, who wrote is answered when it is on the disk.
//!
//! What is committed outlasts the end of the process; only that of the machine can take what was not waited for, and the epoch is another one then.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread::{self, JoinHandle},
};

use crate::{StoreError, Written, sql::Result};

/// Someone who wrote, and the answer once the disk has it.
pub(crate) type Waiter = (Box<dyn FnOnce(Result<Written>) + Send>, Result<Written>);

/// SQLite's log, which every commit is written to first.
struct Log {
    path: PathBuf,
    file: File,
    /// The disk failed once: what it did not take then it may say to have taken when it is asked again. The log has to be written over.
    is_doubtful: AtomicBool,
}

impl Log {
    fn sync(&self) -> Result<()> {
        if self.is_doubtful.load(Ordering::Acquire) {
            return Err(self.refused());
        }
        self.file.sync_data().map_err(|error| {
            self.is_doubtful.store(true, Ordering::Release);
            StoreError::io("syncing", &self.path)(error)
        })?;
        // Of two who ask at once only one is told that the disk failed.
        match self.is_doubtful.load(Ordering::Acquire) {
            true => Err(self.refused()),
            false => Ok(()),
        }
    }

    /// It is written, and whether the disk has it is not known.
    fn refused(&self) -> StoreError {
        StoreError::io("syncing", &self.path)(io::Error::other("the disk failed before"))
    }
}

/// Syncs SQLite's log on a thread of its own.
pub(crate) struct Syncer {
    log: Arc<Log>,
    waiters: Sender<Vec<Waiter>>,
}

impl Syncer {
    /// For the log of an open database. The thread ends when the syncer is dropped and all are answered.
    pub(crate) fn start(database: &Path) -> Result<(Self, JoinHandle<()>)> {
        let mut path = database.as_os_str().to_owned();
        path.push("-wal");
        let path = PathBuf::from(path);
        let file = File::open(&path).map_err(StoreError::io("reading", &path))?;
        let log = Arc::new(Log {
            path,
            file,
            is_doubtful: AtomicBool::new(false),
        });
        let (waiters, queue) = mpsc::channel();
        let of_thread = log.clone();
        let thread = thread::Builder::new()
            .name("sync".to_owned())
            .spawn(move || run(&of_thread, &queue))
            .map_err(StoreError::io("starting the writer of", database))?;
        Ok((Self { log, waiters }, thread))
    }

    /// Answers when the disk has all that is committed now. Does not wait.
    pub(crate) fn answer(&self, waiters: Vec<Waiter>) {
        if let Err(unsent) = self.waiters.send(waiters) {
            answer(unsent.0, &Err(StoreError::Closed));
        }
    }

    /// Waits until the disk has all that is committed now.
    pub(crate) fn sync(&self) -> Result<()> {
        self.log.sync()
    }

    /// True where a sync failed: the disk has what is committed only when the log was copied into the database.
    pub(crate) fn is_doubtful(&self) -> bool {
        self.log.is_doubtful.load(Ordering::Acquire)
    }

    /// What is said of writes that are there while the disk cannot be asked.
    pub(crate) fn refused(&self) -> StoreError {
        self.log.refused()
    }

    /// The log was copied into the database, and the disk has that.
    pub(crate) fn trust(&self) {
        self.log.is_doubtful.store(false, Ordering::Release);
    }
}

fn run(log: &Log, queue: &Receiver<Vec<Waiter>>) {
    while let Ok(mut waiters) = queue.recv() {
        // All that came while the disk was busy waits for it once.
        queue.try_iter().for_each(|more| waiters.extend(more));
        answer(waiters, &log.sync());
    }
}

fn answer(waiters: Vec<Waiter>, synced: &Result<()>) {
    for (done, written) in waiters {
        done(match synced {
            Ok(()) => written,
            Err(error) => written.and(Err(error.clone())),
        });
    }
}
