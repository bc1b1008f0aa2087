//! Ctrl-C: asks the work to stop at its next step, so that whoever is writing can clean up behind itself.

use std::{
    error::Error,
    fmt, io, process,
    sync::atomic::{AtomicBool, Ordering},
};

use tokio::sync::Notify;

static CANCELLED: AtomicBool = AtomicBool::new(false);
static IS_ASKING: AtomicBool = AtomicBool::new(false);
static WAKE: Notify = Notify::const_new();

/// Why [`check`] fails.
#[derive(Debug)]
struct Cancelled;

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cancelled")
    }
}

impl Error for Cancelled {}

/// True for an error of work that somebody cancelled, whatever it says that it was doing.
pub(crate) fn is_cause(error: &anyhow::Error) -> bool {
    let is_cancelled = |cause: &(dyn Error + 'static)| {
        let inner = cause
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        inner.is_some_and(|inner| inner.is::<Cancelled>())
    };
    error.chain().any(is_cancelled)
}

/// The exit code of a program that was interrupted, as shells count it.
const INTERRUPTED: i32 = 130;

/// From now on Ctrl-C (and SIGTERM) cancels; a second one ends the program at once.
pub(crate) fn watch() {
    let watched = ctrlc::set_handler(|| {
        if CANCELLED.swap(true, Ordering::Relaxed) || IS_ASKING.load(Ordering::Relaxed) {
            process::exit(INTERRUPTED);
        }
        WAKE.notify_waiters();
    });
    // Without a handler Ctrl-C ends the program as usual, and a partial folder may stay: no reason not to work.
    drop(watched);
}

/// Waits for what a person answers. Nothing is at work meanwhile, so Ctrl-C ends the program at once.
pub(crate) fn while_asking<T>(ask: impl FnOnce() -> T) -> T {
    IS_ASKING.store(true, Ordering::Relaxed);
    let answer = ask();
    IS_ASKING.store(false, Ordering::Relaxed);
    answer
}

/// Cancels, as Ctrl-C does.
pub(crate) fn cancel() {
    CANCELLED.store(true, Ordering::Relaxed);
    WAKE.notify_waiters();
}

/// True once somebody cancelled.
pub(crate) fn is_cancelled() -> bool {
    CANCELLED.load(Ordering::Relaxed)
}

/// Ends once somebody cancels.
pub(crate) async fn cancelled() {
    let woken = WAKE.notified();
    if !is_cancelled() {
        woken.await;
    }
}

/// Fails once somebody cancelled.
pub(crate) fn check() -> io::Result<()> {
    match is_cancelled() {
        true => Err(io::Error::other(Cancelled)),
        false => Ok(()),
    }
}
